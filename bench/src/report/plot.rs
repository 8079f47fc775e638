//! The pictures: points and lines on logarithmic axes. A bar would have to begin at zero, which is not on such an axis.

use std::path::Path;

use plotters::chart::ChartContext;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::series::{Series, series};
use super::{Picture, Section};
use crate::measure::Measured;
use crate::rows::Unit;
use crate::{Result, Results};

type Area<'p> = DrawingArea<SVGBackend<'p>, plotters::coord::Shift>;
type Chart<'a, 'p> = ChartContext<'a, SVGBackend<'p>, Cartesian2d<LogCoord<f64>, RangedCoordf64>>;

const FONT: &str = "sans-serif";
const WIDTH: u32 = 900;
const LINE_HEIGHT: u32 = 20;
const NAMES_WIDTH: u32 = 270;

const OURS: RGBColor = RGBColor(0x1f, 0x5f, 0xbf);
const OURS_TOO: RGBColor = RGBColor(0x7f, 0xb2, 0xe5);
const FLOOR: RGBColor = RGBColor(0x40, 0x40, 0x40);
const PEER: RGBColor = RGBColor(0xd9, 0x7a, 0x1a);
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Draws the picture of a part of the page, if any row of the part was measured.
pub(super) fn draw(section: &Section, results: &Results, directory: &Path) -> Result<()> {
    let is_shown = |row: &&Measured| match section.picture {
        Picture::PointsOf(end) => row.id.ends_with(end),
        _ => true,
    };
    let rows = results.rows.iter().filter(|row| row.id.starts_with(section.prefix));
    let rows: Vec<&Measured> = rows.filter(is_shown).filter(|row| !row.everybody().is_empty()).collect();
    let path = directory.join(section.picture_name());
    match section.picture {
        _ if rows.is_empty() => Ok(()),
        Picture::Lines { against, of } => lines(&path, &Axes { against, of, unit: rows[0].unit }, &rows),
        _ => points(&path, &rows),
    }
}

/// A line of a picture with points.
enum Line<'r> {
    Row(&'r str),
    Contender { name: &'r str, median: f64, low: f64, high: f64, color: RGBColor },
}

fn lines_of<'r>(row: &'r Measured) -> impl Iterator<Item = Line<'r>> {
    let contenders = row.everybody().into_iter().map(|(name, median)| {
        let spread = row.spread.get(name);
        let (low, high) = spread.map_or((median, median), |spread| (spread.low, spread.high));
        Line::Contender { name, median, low, high, color: color(row, name) }
    });
    [Line::Row(&row.id)].into_iter().chain(contenders)
}

fn color(row: &Measured, name: &str) -> RGBColor {
    match name {
        "offspring" => OURS,
        _ if row.variants.contains_key(name) => OURS_TOO,
        _ if row.peers.contains_key(name) => PEER,
        _ => FLOOR,
    }
}

fn points(path: &Path, rows: &[&Measured]) -> Result<()> {
    let unit = rows[0].unit;
    let lines: Vec<Line> = rows.iter().flat_map(|row| lines_of(row)).collect();
    let height = (u32::try_from(lines.len())? + 4) * LINE_HEIGHT;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let (low, high) = decades(lines.iter().flat_map(|line| match line {
        Line::Row(_) => Vec::new(),
        Line::Contender { low, high, .. } => vec![*low, *high],
    }));
    let mut chart: Chart = ChartBuilder::on(&area)
        .set_label_area_size(LabelAreaPosition::Left, NAMES_WIDTH)
        .margin_top(LINE_HEIGHT)
        .margin_bottom(2 * LINE_HEIGHT)
        .margin_right(110)
        .build_cartesian_2d((low..high).log_scale(), lines.len() as f64..0.0)?;
    decade_lines(&area, &chart, unit, (low, high), lines.len() as f64)?;
    for (index, line) in lines.iter().enumerate() {
        point(&area, &mut chart, unit, line, index as f64 + 0.5)?;
    }
    key(&area, i32::try_from(height - LINE_HEIGHT / 2)?)?;
    area.present()?;
    Ok(())
}

/// Returns the powers of ten around all values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| *value > 0.0)
        .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    (10_f64.powf(low.log10().floor()), 10_f64.powf((high * 1.01).log10().ceil()))
}

/// Draws a line and a label for each power of ten.
fn decade_lines(area: &Area, chart: &Chart, unit: Unit, (low, high): (f64, f64), bottom: f64) -> Result<()> {
    let mut value = low;
    while value < high * 1.1 {
        let (x, y) = chart.backend_coord(&(value.min(high), bottom));
        let (_, top) = chart.backend_coord(&(low, 0.0));
        area.draw(&PathElement::new([(x, top), (x, y)], GRID))?;
        area.draw(&Text::new(unit.show(value), (x, y + 4), words(FLOOR, 12.0, HPos::Center, VPos::Top)))?;
        value *= 10.0;
    }
    Ok(())
}

fn point(area: &Area, chart: &mut Chart, unit: Unit, line: &Line, y: f64) -> Result<()> {
    match *line {
        Line::Row(id) => {
            let (_, y) = chart.backend_coord(&(1.0, y));
            area.draw(&Text::new(id.to_owned(), (10, y), words(BLACK, 14.0, HPos::Left, VPos::Center)))?;
        }
        Line::Contender { name, median, low, high, color } => {
            let at = |value: f64| chart.backend_coord(&(value, y));
            let (x, middle) = at(median);
            let end = at(high).0.max(x + 4);
            area.draw(&PathElement::new([at(low), at(high)], color.stroke_width(3).filled()))?;
            area.draw(&Circle::new((x, middle), 5, color.filled()))?;
            let name_end = i32::try_from(NAMES_WIDTH)? - 10;
            area.draw(&Text::new(name.to_owned(), (name_end, middle), words(color, 13.0, HPos::Right, VPos::Center)))?;
            area.draw(&Text::new(unit.show(median), (end + 6, middle), words(color, 13.0, HPos::Left, VPos::Center)))?;
        }
    }
    Ok(())
}

/// Draws the legend of colors and strokes.
fn key(area: &Area, y: i32) -> Result<()> {
    let entries = [(OURS, "offspring"), (OURS_TOO, "offspring, another way"), (FLOOR, "floor"), (PEER, "peer")];
    let mut x = i32::try_from(NAMES_WIDTH)?;
    for (color, name) in entries {
        area.draw(&Circle::new((x, y - 4), 5, color.filled()))?;
        area.draw(&Text::new(name, (x + 10, y - 4), words(color, 13.0, HPos::Left, VPos::Center)))?;
        x += 40 + 7 * i32::try_from(name.len())?;
    }
    let spread = "point: median; stroke: quartiles";
    area.draw(&Text::new(spread, (10, y - 4), words(FLOOR, 13.0, HPos::Left, VPos::Center)))?;
    Ok(())
}

fn words(color: RGBColor, size: f64, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&color).pos(Pos::new(horizontal, vertical))
}

/// What a picture with lines shows.
struct Axes<'s> {
    against: &'s str,
    of: &'s str,
    unit: Unit,
}

fn lines(path: &Path, axes: &Axes, rows: &[&Measured]) -> Result<()> {
    let series = series(rows);
    let area = SVGBackend::new(path, (WIDTH, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let all = || series.iter().flat_map(|series| series.values.iter());
    let (low, high) = decades(all().map(|(_, value)| *value));
    match axes.unit {
        // A share has a natural beginning and end.
        Unit::Percent => lines_on(&area, 0.0..all().fold(100.0, |most, (_, value)| value.max(most)), axes, &series)?,
        _ => lines_on(&area, (low..high).log_scale(), axes, &series)?,
    }
    area.present()?;
    Ok(())
}

/// Draws the lines on the given vertical axis.
fn lines_on<Y>(area: &Area, vertical: Y, axes: &Axes, series: &[Series]) -> Result<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let sizes = series.iter().flat_map(|series| series.values.iter().map(|(size, _)| *size));
    let (left, right) = sizes.fold((f64::MAX, 1.0_f64), |(left, right), size| (left.min(size), right.max(size)));
    let mut chart = ChartBuilder::on(area)
        .margin(20)
        .margin_right(250)
        .set_label_area_size(LabelAreaPosition::Left, 90)
        .set_label_area_size(LabelAreaPosition::Bottom, 50)
        .build_cartesian_2d((left..right).log_scale(), vertical)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .label_style((FONT, 13.0))
        .x_desc(axes.against)
        .y_desc(axes.of)
        .x_label_formatter(&|size| format!("{size:.0}"))
        .y_label_formatter(&|value| axes.unit.show(*value))
        .draw()?;
    for Series { name, row, values } in series {
        let color = color(row, name);
        chart.draw_series(LineSeries::new(values.iter().copied(), color.stroke_width(2)))?;
        chart.draw_series(values.iter().map(|value| Circle::new(*value, 4, color.filled())))?;
    }
    let ends = series.iter().filter_map(|series| Some((series, chart.backend_coord(series.values.last()?))));
    name_lines(area, ends.collect())
}

/// Writes the name of each line at its end, moved down where the place is taken.
fn name_lines(area: &Area, mut ends: Vec<(&Series, (i32, i32))>) -> Result<()> {
    const HEIGHT: i32 = 17;
    ends.sort_by_key(|(_, (_, y))| *y);
    let mut free = i32::MIN;
    let right = ends.iter().map(|(_, (x, _))| *x).max().unwrap_or_default() + 12;
    for (series, (x, y)) in ends {
        let place = (right, y.max(free));
        let color = color(series.row, series.name);
        area.draw(&PathElement::new([(x, y), place], color.mix(0.3)))?;
        area.draw(&Text::new(series.name, place, words(color, 13.0, HPos::Left, VPos::Center)))?;
        free = place.1 + HEIGHT;
    }
    Ok(())
}

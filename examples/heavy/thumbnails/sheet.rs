//! A contact sheet: cells of one size in rows, on a dark ground.

use image::imageops::overlay;
use image::{Rgba, RgbaImage};

const GROUND: Rgba<u8> = Rgba([32, 34, 38, 255]);
const CELL: Rgba<u8> = Rgba([48, 51, 57, 255]);
const CROSS: Rgba<u8> = Rgba([190, 60, 60, 255]);
/// Pixels between two cells, and around all cells.
const GAP: u32 = 8;

pub(crate) struct Sheet {
    picture: RgbaImage,
    side: u32,
    columns: u32,
}

impl Sheet {
    pub(crate) fn new(cells: usize, side: u32, columns: u32) -> Self {
        let cells = u32::try_from(cells).unwrap_or(u32::MAX);
        let columns = columns.min(cells);
        let (width, height) = (columns, cells.div_ceil(columns));
        let length = |cells: u32| cells * (side + GAP) + GAP;
        let mut sheet = Self { picture: RgbaImage::from_pixel(length(width), length(height), GROUND), side, columns };
        for place in 0..cells as usize {
            let (left, top) = sheet.corner(place);
            sheet.dots((0..side).flat_map(|y| (0..side).map(move |x| (left + x, top + y))), CELL);
        }
        sheet
    }

    /// Returns the upper left corner of a cell.
    fn corner(&self, place: usize) -> (u32, u32) {
        let place = place as u32;
        let at = |cells: u32| cells * (self.side + GAP) + GAP;
        (at(place % self.columns), at(place / self.columns))
    }

    fn dots(&mut self, dots: impl Iterator<Item = (u32, u32)>, color: Rgba<u8>) {
        dots.for_each(|(x, y)| self.picture.put_pixel(x, y, color));
    }

    /// Puts a picture into the middle of its cell.
    pub(crate) fn show(&mut self, place: usize, thumbnail: &RgbaImage) {
        let (left, top) = self.corner(place);
        let middle = |length: u32| self.side.saturating_sub(length) / 2;
        let (x, y) = (left + middle(thumbnail.width()), top + middle(thumbnail.height()));
        overlay(&mut self.picture, thumbnail, x.into(), y.into());
    }

    /// Crosses a cell out, two pixels wide.
    pub(crate) fn cross_out(&mut self, place: usize) {
        let (left, top) = self.corner(place);
        let last = self.side - 1;
        let cross = (0..last).flat_map(|n| [(n, n), (n + 1, n), (last - n, n), (last - n - 1, n)]);
        self.dots(cross.map(|(x, y)| (left + x, top + y)), CROSS);
    }

    pub(crate) fn picture(&self) -> &RgbaImage {
        &self.picture
    }
}

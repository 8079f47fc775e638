//! Paints over a picture, the rows of it dealt out to child processes, and checks that against one process's work.
//!
//! Each pixel becomes the mean of the calmest of the four squares that it is a corner of (the Kuwahara filter), which
//! smooths areas, keeps edges, and looks like a brush. All children read the picture in place (`SharedSlice`), write
//! into the same result (`SharedArray`), and take the next rows from a counter that they share, so that none waits for
//! a slower one.
//!
//! Writes the result as a PNG and prints the size of the picture and a checksum of its pixels, which are the same under
//! every start method; times go to standard error. Ends with exit code 1 if the children's result and that of one
//! process differ. Without a picture it draws one.
//!
//! ```text
//! cargo run --release --example matrix -- [--radius N] [--children N] [--start-method METHOD] [--output FILE] \
//!     [PICTURE.png]
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use offspring::{Context, SharedArray, SharedSlice, child_task, process_main};
use offspring_examples::{Method, Unreadable, conclude, processors};
use serde::{Deserialize, Serialize};

/// Paints over a picture with several processes.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    method: Method,
    /// Width of the brush in pixels, from its middle
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    radius: u32,
    /// How many children to start [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    children: Option<u16>,
    /// Where the result goes
    #[arg(long, value_name = "FILE", default_value = "painted.png")]
    output: PathBuf,
    /// A PNG to paint over; drawn here unless given
    #[arg(value_name = "PICTURE.png")]
    picture: Option<PathBuf>,
}

/// Red, green, blue.
type Pixel = [u8; 3];

/// A picture, row after row.
#[derive(Clone, Serialize, Deserialize)]
struct Picture {
    width: usize,
    height: usize,
    pixels: SharedSlice<Pixel>,
}

/// Paints rows until none is left; returns how many.
#[child_task]
fn paint(picture: Picture, radius: usize, next_row: SharedArray<u64>, result: SharedArray<Pixel>) -> usize {
    let mut painted = 0;
    loop {
        let row = next_row.update(0, |row| row + 1) as usize;
        if row >= picture.height {
            return painted;
        }
        result.write_from(row * picture.width, &paint_row(&picture, row, radius));
        painted += 1;
    }
}

#[process_main]
fn main() -> ExitCode {
    conclude("matrix", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let context = arguments.method.context()?;
    let picture = match &arguments.picture {
        Some(path) => read(path)?,
        None => draw(960, 640)?,
    };
    let (radius, children) = (arguments.radius as usize, arguments.children.map_or_else(processors, usize::from));
    let began = Instant::now();
    let (painted, shares) = paint_by_children(&context, &picture, radius, children)?;
    let parallel = began.elapsed();
    let began = Instant::now();
    let serial: Vec<Pixel> = (0..picture.height).flat_map(|row| paint_row(&picture, row, radius)).collect();
    let alone = began.elapsed();
    if painted != serial {
        return Err("the children's picture and that of one process differ".into());
    }
    write(&arguments.output, &picture, &painted)?;
    let method = context.start_method();
    writeln!(io::stderr(), "{children} children ({method}) {parallel:.0?}, rows {shares:?}; one process {alone:.0?}")?;
    let sum = checksum(&painted);
    writeln!(io::stdout(), "{} x {} pixels, checksum {sum:016x}, one process agrees", picture.width, picture.height)?;
    Ok(())
}

fn paint_by_children(
    context: &Context,
    picture: &Picture,
    radius: usize,
    children: usize,
) -> Result<(Vec<Pixel>, Vec<usize>), Box<dyn Error>> {
    let (next_row, result) = (SharedArray::new(1)?, SharedArray::new(picture.pixels.len())?);
    let calls = (0..children).map(|_| paint::call(picture.clone(), radius, next_row.clone(), result.clone()));
    let started = calls.map(|call| context.start(call)).collect::<Result<Vec<_>, _>>()?;
    let shares = started.into_iter().map(|child| child.join()).collect::<Result<_, _>>()?;
    Ok((result.to_vec(), shares))
}

fn paint_row(picture: &Picture, y: usize, radius: usize) -> Vec<Pixel> {
    (0..picture.width).map(|x| paint_pixel(picture, x, y, radius)).collect()
}

/// The mean of the calmest of the four squares that have the pixel as a corner.
fn paint_pixel(picture: &Picture, x: usize, y: usize, radius: usize) -> Pixel {
    let (left, right) = (x.saturating_sub(radius), (x + radius).min(picture.width - 1));
    let (top, bottom) = (y.saturating_sub(radius), (y + radius).min(picture.height - 1));
    let squares = [(left, x, top, y), (x, right, top, y), (left, x, y, bottom), (x, right, y, bottom)];
    let painted = squares.map(|(left, right, top, bottom)| {
        let rows = (top..=bottom).map(|y| &picture.pixels[y * picture.width + left..=y * picture.width + right]);
        mean_and_variance(rows)
    });
    let calmest = painted.into_iter().min_by(|(_, one), (_, other)| one.total_cmp(other));
    calmest.map_or([0; 3], |(mean, _)| mean)
}

fn mean_and_variance<'a>(rows: impl Iterator<Item = &'a [Pixel]>) -> (Pixel, f64) {
    let (mut sums, mut squares, mut count) = ([0_u64; 3], 0, 0_u64);
    for row in rows {
        for pixel in row {
            let light: u64 = pixel.iter().map(|part| u64::from(*part)).sum();
            sums = std::array::from_fn(|part| sums[part] + u64::from(pixel[part]));
            squares += light * light;
        }
        count += row.len() as u64;
    }
    let mean_light = sums.iter().sum::<u64>() as f64 / count as f64;
    (sums.map(|sum| (sum / count) as u8), squares as f64 / count as f64 - mean_light * mean_light)
}

/// Hills under an evening sky, with grain.
fn draw(width: usize, height: usize) -> Result<Picture, offspring::Error> {
    let pixels = SharedSlice::build(width * height, |pixels: &mut [Pixel]| {
        for (index, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = ((index % width) as f64 / width as f64, (index / width) as f64 / height as f64);
            let grain = f64::from(noise(index as u64)) / 255.0 - 0.5;
            *pixel = scene(x, y).map(|part| (part + 50.0 * grain).clamp(0.0, 255.0) as u8);
        }
    })?;
    Ok(Picture { width, height, pixels })
}

/// The colour at a place between 0 and 1 each way.
fn scene(x: f64, y: f64) -> [f64; 3] {
    let hill = |height: f64, waves: f64, shift: f64| {
        y > height + 0.06 * (waves * x + shift).sin() + 0.02 * (31.0 * x + shift).sin()
    };
    let from_sun = ((x - 0.68) * 1.5).hypot(y - 0.36);
    if hill(0.82, 5.0, 0.3) {
        [30.0, 52.0, 44.0]
    } else if hill(0.68, 8.0, 2.0) {
        [58.0, 86.0, 74.0]
    } else if hill(0.55, 6.0, 4.4) {
        [112.0, 110.0, 128.0]
    } else if from_sun < 0.11 {
        [255.0, 236.0, 170.0]
    } else {
        let glow = (1.0 - from_sun).clamp(0.0, 1.0);
        [90.0 + 150.0 * glow * glow, 80.0 + 90.0 * glow, 150.0 - 40.0 * glow]
    }
}

/// A byte that looks random (splitmix64).
fn noise(index: u64) -> u8 {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 56) as u8
}

fn read(path: &Path) -> Result<Picture, Box<dyn Error>> {
    let file = File::open(path).map_err(Unreadable::at(path))?;
    let no_picture =
        |error: png::DecodingError| Unreadable::at(path)(io::Error::new(io::ErrorKind::InvalidData, error));
    let mut decoder = png::Decoder::new_with_limits(BufReader::new(file), png::Limits { bytes: 1 << 30 });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(no_picture)?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("the picture is larger than memory can be")?];
    let frame = reader.next_frame(&mut bytes).map_err(no_picture)?;
    let samples = frame.color_type.samples();
    let (width, height) = (frame.width as usize, frame.height as usize);
    let pixels = SharedSlice::build(width * height, |pixels: &mut [Pixel]| {
        for (pixel, sample) in pixels.iter_mut().zip(bytes.chunks_exact(samples)) {
            // Grey, or three colours; what comes behind is how opaque it is.
            *pixel = if samples < 3 { [sample[0]; 3] } else { [sample[0], sample[1], sample[2]] };
        }
    })?;
    Ok(Picture { width, height, pixels })
}

fn write(path: &Path, picture: &Picture, pixels: &[Pixel]) -> Result<(), Box<dyn Error>> {
    let unwritable = |error: png::EncodingError| format!("cannot write {}: {error}", path.display());
    let file = File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), picture.width as u32, picture.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().map_err(unwritable)?;
    writer.write_image_data(pixels.as_flattened()).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    Ok(())
}

/// FNV-1a.
fn checksum(pixels: &[Pixel]) -> u64 {
    let bytes = pixels.as_flattened().iter();
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

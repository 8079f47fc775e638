//! A folder of test pictures: drawn the same in every run, some of them broken on purpose.

use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use image::{Rgb, RgbImage};

/// Those that are broken, and the label of how each must fail.
pub(crate) const BROKEN: [(&str, &str); 6] = [
    ("bomb.png", "Signaled(6)"),
    ("crash.img", "Signaled(11)"),
    ("cut-short.png", "Failed"),
    ("panic.img", "Panicked"),
    ("stall.img", "TimedOut"),
    ("text.jpg", "Failed"),
];

/// The color of a place, whose coordinates are from 0 to 1.
type Draw = fn(f64, f64) -> [f64; 3];

const SOUND: [(&str, Draw); 6] = [
    ("dawn", |x, y| [1.0 - y * 0.6, 0.55 + 0.3 * (x - y), 0.35 + 0.6 * y]),
    ("mandelbrot", mandelbrot),
    ("rings", |x, y| {
        let ring = ((x - 0.5).hypot(y - 0.5) * 40.0).sin().abs();
        [ring, 0.4 * ring, 1.0 - ring]
    }),
    ("squares", |x, y| {
        let light = ((x * 8.0) as u32 + (y * 6.0) as u32) % 2;
        if light == 1 { [0.95, 0.9, 0.8] } else { [0.2 + 0.5 * x, 0.3, 0.2 + 0.5 * y] }
    }),
    ("stripes", |x, y| if (((x + y) * 12.0) as u32).is_multiple_of(2) { [0.1, 0.45, 0.4] } else { [0.95, 0.75, 0.2] }),
    ("waves", |x, y| {
        let height = (x * 9.0).sin() + (y * 7.0 + x * 5.0).cos() + (x * y * 30.0).sin();
        [0.5 + height / 8.0, 0.5 + height / 6.0, 0.9]
    }),
];

/// Lying, standing, square, wide, larger, and smaller than its cell.
const SIZES: [(u32, u32); 6] = [(640, 480), (300, 500), (400, 400), (900, 200), (1600, 1200), (60, 40)];

/// Fills the folder.
pub(crate) fn draw_into(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (number, (name, draw)) in SOUND.iter().cycle().take(24).enumerate() {
        let kind = if number % 2 == 0 { "png" } else { "jpg" };
        // One further each time round, so that every motif has several sizes.
        let (width, height) = SIZES[(number + number / SOUND.len()) % SIZES.len()];
        let (across, down) = (f64::from(width), f64::from(height));
        let picture = RgbImage::from_fn(width, height, |x, y| {
            Rgb(draw(f64::from(x) / across, f64::from(y) / down).map(|part| (part * 255.0) as u8))
        });
        picture.save(folder.join(format!("{name}-{number:02}.{kind}")))?;
    }
    break_some(folder)
}

fn break_some(folder: &Path) -> Result<(), Box<dyn Error>> {
    bomb(&folder.join("bomb.png"))?;
    let whole = fs::read(folder.join("dawn-00.png"))?;
    fs::write(folder.join("cut-short.png"), &whole[..whole.len() / 2])?;
    fs::write(folder.join("text.jpg"), "This is not a picture.\n")?;
    for bug in ["crash", "panic", "stall"] {
        fs::write(folder.join(format!("{bug}.img")), format!("BUG: {bug}"))?;
    }
    Ok(())
}

/// 30,000 × 30,000 black pixels of one bit: some hundred kilobytes of file, and 858 MiB when a decoder has given each a
/// byte.
fn bomb(path: &Path) -> Result<(), Box<dyn Error>> {
    const SIDE: u32 = 30_000;
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), SIDE, SIDE);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    let mut rows = writer.stream_writer()?;
    let row = vec![0; SIDE.div_ceil(8) as usize];
    for _ in 0..SIDE {
        std::io::Write::write_all(&mut rows, &row)?;
    }
    Ok(rows.finish()?)
}

fn mandelbrot(x: f64, y: f64) -> [f64; 3] {
    let (re, im) = (x * 3.0 - 2.2, y * 2.4 - 1.2);
    let step = |(a, b): &(f64, f64)| Some((a * a - b * b + re, 2.0 * a * b + im));
    let steps = std::iter::successors(Some((0.0, 0.0)), step).take(60).take_while(|(a, b)| a * a + b * b < 4.0).count();
    let heat = steps as f64 / 60.0;
    if steps == 60 { [0.0; 3] } else { [heat, heat * heat, 0.3 + heat / 2.0] }
}

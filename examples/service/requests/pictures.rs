//! Pictures for uploads, and the sizes of thumbnails.

use std::io::{Cursor, Write};

use image::{ImageFormat, Rgb, RgbImage};

/// Draws a picture of 160 × 120 pixels.
pub(crate) fn draw(format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(160, 120, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("memory can be written");
    bytes.into_inner()
}

/// Returns a PNG of 30,000 × 30,000 pixels of one bit: some hundred kilobytes, and 858 MiB decoded.
pub(crate) fn bomb() -> Vec<u8> {
    const SIDE: u32 = 30_000;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE, SIDE);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().expect("memory can be written");
    let mut rows = writer.stream_writer().expect("memory can be written");
    let row = vec![0; SIDE.div_ceil(8) as usize];
    for _ in 0..SIDE {
        rows.write_all(&row).expect("memory can be written");
    }
    rows.finish().expect("memory can be written");
    writer.finish().expect("memory can be written");
    bytes
}

/// Decodes a PNG, and returns width and height.
pub(crate) fn size(png: &[u8]) -> (u32, u32) {
    let picture = image::load_from_memory_with_format(png, ImageFormat::Png).expect("a thumbnail is a PNG");
    (picture.width(), picture.height())
}

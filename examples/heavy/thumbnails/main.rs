//! Shrinks a folder of pictures to a contact sheet, and loses no good picture to the broken ones.
//!
//! Decoders are a favourite target: a file is cut short, is no picture at all, unfolds to gigabytes, or crashes or
//! stalls the decoder. A worker of a pool with limits on memory and time decodes each picture. A picture that ends its
//! worker has no effect on the remaining pictures. Prints a line with name and reason for each failed picture, and the
//! number of failures. The sheet (a PNG) has the thumbnails in the order of their names, and a crossed cell for each
//! failed picture. Shows a progress bar meanwhile, if the program runs in a terminal.
//!
//! Without a folder, the program draws a folder of pictures, some of them broken on purpose. Exit code 1 then means
//! that a broken picture did not fail in its own way, or that a sound picture failed.
//!
//! ```text
//! cargo run --release --example thumbnails -- [--sheet FILE] [--size N] [--columns N] [--memory-mib N] \
//!     [--timeout 2s] [--workers N] [--start-method METHOD] [FOLDER]
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbaImage};
use indicatif::{ProgressBar, ProgressFinish, ProgressIterator, ProgressStyle};
use offspring::{JoinError, JoinErrorKind, Report, Resource, child_task, process_main};
use offspring_examples::{Workers, conclude, duration, files_below, misbehave};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

mod pictures;
mod sheet;

use sheet::Sheet;

/// Shrinks a folder of pictures, some of them broken, to a contact sheet.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    workers: Workers,
    /// The contact sheet
    #[arg(long, value_name = "FILE", default_value = "contact-sheet.png")]
    sheet: PathBuf,
    /// Width and height that no thumbnail exceeds
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(8..=1024))]
    size: u32,
    /// How many thumbnails are in a row
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=64))]
    columns: u32,
    /// The address space of each worker
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u64).range(64..=1 << 16))]
    memory_mib: u64,
    /// The time for each picture, in `ms` or `s`
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    timeout: Duration,
    /// Pictures in PNG and JPEG; by default pictures drawn by this program
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// A thumbnail on its way to the parent.
#[derive(Serialize, Deserialize)]
struct Thumbnail {
    width: u32,
    height: u32,
    pixels: ByteBuf,
}

/// Decodes a picture and shrinks it.
#[child_task(report)]
fn thumbnail(path: OsString, size: u32) -> Result<Thumbnail, ImageError> {
    let bytes = std::fs::read(path)?;
    if let Some(bug) = bytes.strip_prefix(b"BUG: ") {
        misbehave(bug);
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.no_limits(); // the limits of the process also bind decoders without limits
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let is_large = picture.width().max(picture.height()) > size;
    let small = if is_large { picture.thumbnail(size, size) } else { picture }.into_rgba8();
    Ok(Thumbnail { width: small.width(), height: small.height(), pixels: ByteBuf::from(small.into_raw()) })
}

/// The reason for a missing thumbnail.
enum Failure {
    /// The task has returned an error of the decoder.
    Failed(Report),
    /// The task has not returned.
    Ended(JoinError),
}

impl Failure {
    /// Returns the kind of failure in one word, with its number if there is a number.
    fn label(&self) -> String {
        let Self::Ended(error) = self else { return "Failed".to_owned() };
        let label = format!("{:?}", error.kind());
        match error.kind() {
            JoinErrorKind::Signaled(_) | JoinErrorKind::Exited(_) => label,
            _ => label.split('(').next().unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(report) => report.fmt(f),
            Self::Ended(error) => error.kind().fmt(f), // the error's own text names the process
        }
    }
}

#[process_main]
fn main() -> ExitCode {
    conclude("thumbnails", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = &arguments.folder {
        return shrink(folder, arguments).map(drop);
    }
    let folder = tempfile::tempdir()?;
    pictures::draw_into(folder.path())?;
    let failures = shrink(folder.path(), arguments)?;
    let labels: Vec<(&str, String)> = failures.iter().map(|(name, failure)| (&**name, failure.label())).collect();
    let is_as_meant = labels.iter().map(|(name, label)| (*name, &**label)).eq(pictures::BROKEN);
    if is_as_meant { Ok(()) } else { Err("other pictures failed than should, or otherwise".into()) }
}

/// Makes the sheet of a folder, and returns the names of missing pictures with reasons.
fn shrink(folder: &Path, arguments: &Arguments) -> Result<Vec<(String, Failure)>, Box<dyn Error>> {
    let files = files_below(&[folder])?;
    let pool = arguments.workers.pool()?.task_timeout(arguments.timeout);
    let memory = arguments.memory_mib << 20;
    let pool = pool
        .worker_options(|worker| worker.limit(Resource::AddressSpace, memory).limit(Resource::CoreDump, 0))
        .build()?;
    let mut sheet = Sheet::new(files.len(), arguments.size, arguments.columns);
    let mut failures = Vec::new();
    let calls = files.iter().map(|path| thumbnail::call(path.clone(), arguments.size));
    let bar = bar(files.len())?;
    let results = pool.map(calls).progress_with(bar.clone());
    for (result, (place, path)) in results.zip(files.iter().enumerate()) {
        match result.map_err(Failure::Ended).and_then(|result| result.map_err(Failure::Failed)) {
            Ok(thumbnail) => sheet.show(place, &picture(thumbnail)?),
            // Not the fault of the picture.
            Err(Failure::Ended(error)) if matches!(error.kind(), JoinErrorKind::NotStarted(_)) => {
                return Err(error.into());
            }
            Err(failure) => {
                sheet.cross_out(place);
                failures.push((name(path, folder), failure));
                bar.set_message(format!(", {} broken", failures.len()));
            }
        }
    }
    pool.join()?;
    let path = &arguments.sheet;
    let written = sheet.picture().save_with_format(path, ImageFormat::Png);
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    tell(files.len(), &failures)?;
    Ok(failures)
}

/// Makes a progress bar on standard error, which is hidden if that is no terminal.
fn bar(pictures: usize) -> Result<ProgressBar, Box<dyn Error>> {
    let style = ProgressStyle::with_template("{bar:28} {human_pos}/{human_len}{msg}, {eta} left")?;
    Ok(ProgressBar::new(pictures as u64).with_style(style).with_finish(ProgressFinish::AndClear))
}

/// Turns a thumbnail into an image. A worker gone wrong may have sent too few or too many pixels.
fn picture(thumbnail: Thumbnail) -> Result<RgbaImage, Box<dyn Error>> {
    let picture = RgbaImage::from_raw(thumbnail.width, thumbnail.height, thumbnail.pixels.into_vec());
    picture.ok_or_else(|| "a worker has sent fewer pixels than it says".into())
}

fn name(path: &OsString, folder: &Path) -> String {
    let path = Path::new(path);
    let below = path.strip_prefix(folder).ok().filter(|below| !below.as_os_str().is_empty());
    below.unwrap_or(path).display().to_string()
}

fn tell(count: usize, failures: &[(String, Failure)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (name, failure) in failures {
        writeln!(out, "{name:<16} {:<13} {failure}", failure.label())?;
    }
    writeln!(out, "{count} pictures: {} on the sheet, {} broken", count - failures.len(), failures.len())
}

//! Shrinks a folder of pictures to a contact sheet, and loses none of them to those that are broken.
//!
//! Decoders are a favourite target: pictures are cut short, are no pictures at all, unfold to gigabytes, or crash or
//! stall the decoder. Each is decoded by a worker of a pool, whose memory and time are limited; whatever a picture does
//! to its worker, the others go on. Prints a line with name and reason for each that failed, and how many there were.
//! The others are on the sheet (a PNG), in the order of their names, a crossed cell for each that is missing. Shows a
//! progress bar meanwhile, if it runs in a terminal.
//!
//! Without a folder it draws itself one, in which some pictures are broken on purpose, and ends with exit code 1 unless
//! each of them fails in its own way and the others do not.
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
use nix::sys::resource::{Resource, setrlimit};
use offspring::{JoinError, JoinErrorKind, Report, child_task, process_main};
use offspring_examples::{Workers, conclude, duration, files_below};
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
    /// Pictures in PNG and JPEG; by default some that this program draws
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// A picture on its way home.
#[derive(Serialize, Deserialize)]
struct Thumbnail {
    width: u32,
    height: u32,
    pixels: ByteBuf,
}

/// What each worker does first.
#[child_task(report)]
fn confine(memory_mib: u64) -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_AS, memory_mib << 20, memory_mib << 20)
}

/// Decodes a picture and shrinks it.
#[child_task(report)]
fn thumbnail(path: OsString, size: u32) -> Result<Thumbnail, ImageError> {
    let bytes = std::fs::read(path)?;
    if let Some(bug) = bytes.strip_prefix(b"BUG: ") {
        misbehave(bug);
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.no_limits(); // the process has limits, which bind decoders too that know of none
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let is_large = picture.width().max(picture.height()) > size;
    let small = if is_large { picture.thumbnail(size, size) } else { picture }.into_rgba8();
    Ok(Thumbnail { width: small.width(), height: small.height(), pixels: ByteBuf::from(small.into_raw()) })
}

/// What a decoder might do that has not been written with care, when a file asks for it.
#[expect(unsafe_code, reason = "a decoder in another language is as unsafe as this")]
fn misbehave(bug: &[u8]) {
    match bug {
        // SAFETY: none. The kernel ends the process, which is a worker kept for that.
        b"crash" => unsafe { std::ptr::without_provenance_mut::<u8>(1).write_volatile(1) },
        b"panic" => panic!("a length is {}, which cannot be", -1),
        b"stall" => loop {
            std::thread::park();
        },
        _ => {}
    }
}

/// Why there is no thumbnail.
enum Failure {
    /// The task has returned an error: the decoder's word.
    Failed(Report),
    /// It has not returned.
    Ended(JoinError),
}

impl Failure {
    /// What kind of failure it is, in one word, with its number if it has one.
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
            Self::Ended(error) => error.kind().fmt(f), // the error itself also names its process, another in every run
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

/// Makes the sheet of a folder; returns the names of those that are not on it, and why.
fn shrink(folder: &Path, arguments: &Arguments) -> Result<Vec<(String, Failure)>, Box<dyn Error>> {
    let files = files_below(&[folder])?;
    let pool = arguments.workers.pool()?.task_timeout(arguments.timeout);
    let pool = pool.initializer(confine::call(arguments.memory_mib)).build()?;
    let mut sheet = Sheet::new(files.len(), arguments.size, arguments.columns);
    let mut failures = Vec::new();
    let calls = files.iter().map(|path| thumbnail::call(path.clone(), arguments.size));
    let results = pool.map(calls).progress().failing(Result::is_err);
    for ((place, path), result) in files.iter().enumerate().zip(results) {
        match result.map_err(Failure::Ended).and_then(|result| result.map_err(Failure::Failed)) {
            Ok(thumbnail) => sheet.show(place, &picture(thumbnail)?),
            // That is not the picture's fault.
            Err(Failure::Ended(error)) if matches!(error.kind(), JoinErrorKind::NotStarted(_)) => {
                return Err(error.into());
            }
            Err(failure) => {
                sheet.cross_out(place);
                failures.push((name(path, folder), failure));
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

/// Pixels that a worker has sent, which may be too few or too many if it was not itself any more.
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

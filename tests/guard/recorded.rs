//! Recorded counts: `recorded/x86_64-gnu.txt` and similar files.
//!
//! ```text
//! # Linux 6.18, glibc 2.36, root, debug                    where it was counted
//! start_fork                                               a path, and its calls by process: sum, then each by name
//!   parent  30  clone 1, close 4, …
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::utsname::uname;
use offspring_tests::sys;

use crate::counts::Counts;
use crate::paths::PATHS;

/// The tolerance in percent, for a kernel, libc or user other than at the recording.
const ELSEWHERE: u32 = 10;

const UPDATE: &str = "UPDATE_COUNTS=1 cargo test -p offspring-tests --test guard";

/// A recording.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The place of the recording.
    place: String,
    /// The calls of each path, by name.
    paths: Vec<(String, Counts)>,
}

/// Returns the file of this target.
pub(crate) fn file() -> PathBuf {
    let libc = if cfg!(target_env = "gnu") { "gnu" } else { "other" };
    let name = format!("{}-{libc}.txt", std::env::consts::ARCH);
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guard/recorded").join(name)
}

/// Describes the conditions of the counts, beside the code.
fn here() -> String {
    let kernel = uname().expect("the kernel's name").release().to_string_lossy().into_owned();
    let version: Vec<&str> = kernel.split(['.', '-']).take(2).collect();
    let user = if sys::is_root() { "root" } else { "not root" };
    // With its assertions, std checks every descriptor before the close.
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("Linux {}, {}, {user}, {profile}", version.join("."), sys::libc_version())
}

/// Records the counts of one path, and keeps counts of other paths from the same place.
pub(crate) fn update(name: &str, counts: &Counts) {
    let known = Recorded::read().filter(|known| known.place == here());
    let mut recorded = known.unwrap_or_else(|| Recorded { place: here(), paths: Vec::new() });
    recorded.paths.retain(|(other, _)| other != name && PATHS.iter().any(|path| path.name == *other));
    recorded.paths.push((name.to_owned(), counts.clone()));
    recorded.paths.sort_by_key(|(name, _)| PATHS.iter().position(|path| path.name == *name));
    fs::create_dir_all(file().parent().expect("a folder")).expect("a folder can be made");
    fs::write(file(), recorded.text()).expect("the file can be written");
}

impl Recorded {
    /// Returns a recording of one path, made here.
    pub(crate) fn here(name: &str, counts: Counts) -> Self {
        Self { place: here(), paths: vec![(name.to_owned(), counts)] }
    }

    /// Reads the recording. `None` if there is none for this target.
    pub(crate) fn read() -> Option<Self> {
        let text = fs::read_to_string(file()).ok()?;
        Some(Self::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file().display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut recorded = Self { place: String::new(), paths: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(place) = line.strip_prefix("# ") {
                recorded.place = place.to_owned();
            } else if let Some(calls) = line.strip_prefix("  ") {
                let (_, counts) = recorded.paths.last_mut().ok_or("calls of no path")?;
                counts.read_line(calls).map_err(|error| format!("{line:?}: {error}"))?;
            } else {
                recorded.paths.push((line.to_owned(), Counts::default()));
            }
        }
        Ok(recorded)
    }

    fn text(&self) -> String {
        let mut text = format!("# {}\n", self.place);
        for (name, counts) in &self.paths {
            text += &format!("\n{name}\n");
            counts.lines().iter().for_each(|line| text += &format!("  {line}\n"));
        }
        text
    }

    /// Compares with the recording. At the same place the sums must be equal. At another place they may be lower, or a
    /// little higher.
    pub(crate) fn compare(&self, name: &str, now: &Counts) -> Result<(), String> {
        let Some((_, expected)) = self.paths.iter().find(|(known, _)| known == name) else {
            return Err(format!("nothing is recorded for {name}: {UPDATE}"));
        };
        let (sum, was, here) = (now.total(), expected.total(), here());
        let is_elsewhere = here != self.place;
        let slack = if is_elsewhere { was * ELSEWHERE / 100 } else { 0 };
        let verdict = match sum {
            _ if sum > was + slack => "more than recorded",
            _ if sum < was && !is_elsewhere => "fewer than recorded, which is good news",
            _ => return Ok(()),
        };
        let mut text = format!("{name} takes {sum} system calls, not {was}: {verdict}{}", expected.difference(now));
        if is_elsewhere {
            text += &format!("\nthey were recorded on {}; on {here} {slack} more are allowed", self.place);
        }
        Err(format!("{text}\nif that is meant, record it: {UPDATE}"))
    }
}

//! What this process is at this moment: what a child takes over from it ([`InheritedState`]), and the text in `/proc` that tells
//! most of it, and of who it is ([`ProcStatus`]), in one reading.
//!
//! Source: proc_pid_status(5).

use std::fs::File;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::attributes::{self, Limit};
use super::environ::Environment;
use super::signal::SignalSet;

/// The lines of `/proc/thread-self/status`.
#[derive(Debug)]
pub(crate) struct ProcStatus(String);

impl ProcStatus {
    /// Reads that of the calling thread.
    ///
    /// # Errors
    /// Without `/proc` there is none.
    pub(crate) fn read() -> io::Result<Self> {
        read_small("/proc/thread-self/status").map(Self)
    }

    /// What follows a key, as `Umask`.
    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        let value = |line: &'_ str| line.strip_prefix(key).and_then(|rest| rest.strip_prefix(':').map(str::len));
        self.0.lines().find_map(|line| value(line).map(|length| line[line.len() - length..].trim()))
    }

    fn number(&self, key: &str, radix: u32) -> io::Result<u64> {
        let number = self.field(key).and_then(|text| u64::from_str_radix(text, radix).ok());
        number
            .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, format!("/proc/thread-self/status has no {key}")))
    }
}

/// Reads a file of `/proc` whose content is made when it is read: in one call, since its length is not known before.
pub(crate) fn read_small(path: &str) -> io::Result<String> {
    const PAGE: usize = 4096;
    let mut content = vec![0; 2 * PAGE];
    let mut length = 0;
    let mut file = File::open(path)?;
    while let read @ 1.. = file.read(&mut content[length..])? {
        length += read;
        // The kernel gives a page at a time, less the line that does not fit: this little is the end.
        if read < PAGE / 2 {
            break;
        }
        content.resize(length + 2 * PAGE, 0);
    }
    content.truncate(length);
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// What a child takes over, whatever it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InheritedState {
    pub(crate) environment: Environment,
    pub(crate) umask: u32,
    pub(crate) nice: i32,
    /// By the kernel's numbers of resources.
    pub(crate) limits: Vec<(u32, Limit)>,
    pub(crate) affinity: Vec<usize>,
    pub(crate) process_group: i32,
    pub(crate) oom_score: String,
    pub(crate) ignored_signals: SignalSet,
    pub(crate) blocked_signals: SignalSet,
    /// Device and inode of the working directory; `None` if it cannot be read any more.
    pub(crate) directory: Option<(u64, u64)>,
}

impl InheritedState {
    pub(crate) fn read(status: &ProcStatus) -> io::Result<Self> {
        Ok(Self {
            environment: Environment::present(),
            umask: status.number("Umask", 8)? as u32,
            nice: attributes::nice()?,
            limits: attributes::limits()?,
            affinity: attributes::affinity()?,
            process_group: attributes::process_group(),
            oom_score: read_small("/proc/self/oom_score_adj")?,
            ignored_signals: SignalSet(status.number("SigIgn", 16)?).settable(),
            blocked_signals: SignalSet(status.number("SigBlk", 16)?).settable(),
            directory: attributes::directory(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_this_thread_is_understood() {
        let status = ProcStatus::read().unwrap();
        assert_eq!(status.field("Tgid"), Some(std::process::id().to_string().as_str()));
        assert_eq!(status.field("Tgi"), None);
        let present = InheritedState::read(&status).unwrap();
        assert!(present.umask <= 0o777);
        assert_eq!(present.blocked_signals, super::super::signal::mask());
        assert_eq!(present.ignored_signals, super::super::signal::ignored());
    }

    #[test]
    fn a_long_file_is_read_to_its_end() {
        assert!(read_small("/proc/self/maps").unwrap().contains("[stack]"));
    }
}

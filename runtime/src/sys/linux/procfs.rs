//! Files of `/proc` that tell of this process.
//!
//! Source: proc_pid_status(5).

use std::fs::File;
use std::io::{self, Read};

/// The lines of `/proc/thread-self/status`.
#[derive(Debug)]
pub(crate) struct ProcStatus(String);

impl ProcStatus {
    /// Reads the status of the calling thread.
    ///
    /// # Errors
    /// `NotFound` without `/proc`.
    pub(crate) fn read() -> io::Result<Self> {
        read_small("/proc/thread-self/status").map(Self)
    }

    /// Returns the text behind a key, as `Umask`.
    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        let value = |line: &'_ str| line.strip_prefix(key).and_then(|rest| rest.strip_prefix(':').map(str::len));
        self.0.lines().find_map(|line| value(line).map(|length| line[line.len() - length..].trim()))
    }

    pub(super) fn number(&self, key: &str, radix: u32) -> io::Result<u64> {
        let number = self.field(key).and_then(|text| u64::from_str_radix(text, radix).ok());
        number
            .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, format!("/proc/thread-self/status has no {key}")))
    }
}

/// Reads a file of `/proc`, whose content the kernel makes at the read. Reads in one call, as the length is not known
/// before.
pub(crate) fn read_small(path: &str) -> io::Result<String> {
    const PAGE: usize = 4096;
    let mut content = vec![0; 2 * PAGE];
    let mut length = 0;
    let mut file = File::open(path)?;
    while let read @ 1.. = file.read(&mut content[length..])? {
        length += read;
        // The kernel gives a page at a time, less the line that does not fit. So little is the end.
        if read < PAGE / 2 {
            break;
        }
        content.resize(length + 2 * PAGE, 0);
    }
    content.truncate(length);
    Ok(String::from_utf8_lossy(&content).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_this_thread_are_found_by_their_whole_names() {
        let status = ProcStatus::read().unwrap();
        assert_eq!(status.field("Tgid"), Some(std::process::id().to_string().as_str()));
        assert_eq!(status.field("Tgi"), None);
    }

    #[test]
    fn a_long_file_is_read_to_its_end() {
        assert!(read_small("/proc/self/maps").unwrap().contains("[stack]"));
    }
}

//! The machine of a measurement.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::python;

/// The facts that a reader needs to compare results.
#[derive(Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) python: Option<String>,
    /// Runnable processes when the measurement began, on average over a minute, without the measurement itself.
    pub(crate) load: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_gib().unwrap_or_default(),
            kernel: format!("{} {}", words("/proc/sys/kernel/ostype"), release()),
            python: python::version(),
            load: words("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// Returns the release without the builder's suffix: `6.18.44`.
fn release() -> String {
    words("/proc/sys/kernel/osrelease").split('-').next().unwrap_or_default().to_owned()
}

fn memory_gib() -> Option<u64> {
    let total = field("/proc/meminfo", "MemTotal")?;
    let kibibytes: u64 = total.split(' ').next()?.parse().ok()?;
    Some(kibibytes.div_ceil(1 << 20))
}

fn words(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Returns the first value with the given name in a file of `name: value` lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

//! Idle children, and the resources of each idle child.

use std::fs;
use std::time::{Duration, Instant};

use crate::Result;
use crate::contender::Round;

/// The counted resource.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Footprint {
    /// Private memory of the child: `Private_Clean` and `Private_Dirty` of its `smaps_rollup`.
    Private,
    /// Descriptors of the parent for the child.
    ParentFds,
    /// Descriptors of the child.
    ChildFds,
}

/// The process name of an idle child. A name costs no descriptor and next to no memory.
const NAME: &str = "bench-idle";

const LIMIT: Duration = Duration::from_secs(20);

/// Takes the idle name, and sleeps until killed.
pub(crate) fn stay() -> ! {
    name_itself();
    loop {
        std::thread::park();
    }
}

/// Takes the idle name.
pub(crate) fn name_itself() {
    fs::write("/proc/self/comm", NAME).expect("the name of this process can be changed");
}

/// Returns a round that counts the resources of idle children. The drop of a handle kills its child.
pub(crate) fn footprint<C: 'static>(what: Footprint, start: impl Fn() -> Result<(u32, C)> + 'static) -> Result<Round> {
    drop(start()?); // creates shared resources before the first count
    Ok(Box::new(move |count| {
        let before = descriptors("self")?;
        let children = (0..count).map(|_| start()).collect::<Result<Vec<_>>>()?;
        let pids: Vec<u32> = children.iter().map(|(pid, _)| *pid).collect();
        pids.iter().try_for_each(|pid| wait_until_idle(*pid))?;
        let total = match what {
            Footprint::Private => pids.iter().map(|pid| private_bytes(*pid)).sum::<Result<f64>>()?,
            Footprint::ParentFds => descriptors("self")? - before,
            Footprint::ChildFds => pids.iter().map(|pid| descriptors(&pid.to_string())).sum::<Result<f64>>()?,
        };
        Ok(total / count as f64)
    }))
}

fn wait_until_idle(pid: u32) -> Result<()> {
    let begin = Instant::now();
    while !is_idle(pid)? {
        if begin.elapsed() > LIMIT {
            return Err(format!("process {pid} is not idle in time").into());
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Tells whether a process has the idle name, and sleeps.
fn is_idle(pid: u32) -> Result<bool> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(stat.contains(&format!("({NAME}) S ")))
}

fn descriptors(process: &str) -> Result<f64> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count() as f64)
}

fn private_bytes(pid: u32) -> Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let private = rollup.lines().filter(|line| line.starts_with("Private_Clean") || line.starts_with("Private_Dirty"));
    let kibibytes = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    Ok(kibibytes.sum::<f64>() * 1024.0)
}

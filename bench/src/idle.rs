//! Children that do nothing, and what each of them keeps.

use std::fs;
use std::time::{Duration, Instant};

use crate::Result;
use crate::contender::Round;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Footprint {
    /// Memory that is the child's alone: `Private_Clean` and `Private_Dirty` of its `smaps_rollup`.
    Private,
    /// Descriptors that its parent has for it.
    ParentFds,
    /// Descriptors that it has.
    ChildFds,
}

/// The name by which a child says that it is idle: it costs no descriptor and next to no memory.
const NAME: &str = "bench-idle";

const LIMIT: Duration = Duration::from_secs(20);

/// Says so, and does nothing until it is killed.
pub(crate) fn stay() -> ! {
    name_itself();
    loop {
        std::thread::park();
    }
}

/// Says that nothing follows but waiting.
pub(crate) fn name_itself() {
    fs::write("/proc/self/comm", NAME).expect("the name of this process can be changed");
}

/// A round that counts what some children, started and idle, keep; a child is killed by the drop of its handle.
pub(crate) fn footprint<C: 'static>(what: Footprint, start: impl Fn() -> Result<(u32, C)> + 'static) -> Result<Round> {
    drop(start()?); // what there is once for all children is there before the first is counted
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

/// Whether it has its idle name, and sleeps.
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

//! How many spares this process keeps: the number that the program has set, none unless set.

use std::sync::{Mutex, MutexGuard};

use super::handle::LockedServer;
use crate::sys;
use crate::this_process::spares;

/// The number of one process. A copy of the process begins with none.
struct SpareTarget {
    owner: u32,
    count: usize,
}

impl SpareTarget {
    fn lock() -> MutexGuard<'static, Self> {
        static TARGET: Mutex<SpareTarget> = Mutex::new(SpareTarget { owner: 0, count: 0 });
        let mut target = sys::lock(&TARGET);
        if target.owner != sys::pid() {
            *target = Self { owner: sys::pid(), count: 0 };
        }
        target
    }
}

/// Sets the number. A running server makes missing spares at once, and surplus spares end at once.
pub(crate) fn set_spares(count: usize) {
    SpareTarget::lock().count = count;
    if let Some(server) = LockedServer::if_running() {
        spares::retire_beyond(count);
        refill(&server);
    }
}

/// Requests the spares that are missing. A start works without spares too, so a failure is ignored.
pub(super) fn refill(server: &LockedServer) {
    let target = SpareTarget::lock().count;
    for _ in spares::count()..target {
        if server.request_spare().is_err() {
            return;
        }
    }
}

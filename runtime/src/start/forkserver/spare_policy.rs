//! How many spares this process keeps: the number that the program has set, none unless set.

use super::handle::LockedServer;
use crate::this_process::per_process::{OnCopy, PerProcess};
use crate::this_process::spares;

/// The number of this process. A copy of the process begins with none.
static TARGET: PerProcess<usize> = PerProcess::new(OnCopy::Drop);

/// Sets the number. A running server makes missing spares at once, and surplus spares end at once.
pub(crate) fn set_spares(count: usize) {
    *TARGET.lock() = count;
    if let Some(server) = LockedServer::if_running() {
        spares::retire_beyond(count);
        refill(&server);
    }
}

/// Requests the spares that are missing. A start works without spares too, so a failure is ignored.
pub(super) fn refill(server: &LockedServer) {
    let target = TARGET.lock_used().map_or(0, |target| *target);
    for _ in spares::count()..target {
        if server.request_spare().is_err() {
            return;
        }
    }
}

//! A start by forkserver: a loop over attempts with one result each, until an attempt has started the child.

use super::drift::Drift;
use super::handle::LockedServer;
use super::request::{self, Delivery, ForkOutcome};
use super::spare_policy;
use crate::child::Settings;
use crate::error::{Error, ErrorKind};
use crate::start::{Launcher, Request, availability};
use crate::this_process::children::Launched;
use crate::this_process::spares::{self, Spare};

pub(crate) struct ForkServer;

/// The largest number of requests for one child. Each request but the last has ended with a new server.
const REQUESTS: usize = 3;

/// The result of one attempt.
#[expect(clippy::large_enum_variant, reason = "taken apart at once")]
enum Attempt {
    /// The child has the spec.
    Started(Launched),
    /// The spare ended before `TAKEN`.
    Retry,
    /// The server, still locked, is of no more use for this reason.
    Replace(LockedServer, Drift),
}

impl Launcher for ForkServer {
    fn launch(&self, mut request: Request<'_>) -> Result<Launched, Error> {
        let requested = std::mem::take(&mut request.spec.settings);
        // A limit, since each used spare requests a successor, and the cause that ends spares may persist.
        let mut spares_left = spares::count();
        let mut requests_left = REQUESTS;
        let mut last_drift = Drift::ServerGone;
        while requests_left > 0 {
            let server = LockedServer::running()?;
            let spare = if spares_left > 0 { spares::take() } else { None };
            let attempt = if let Some(spare) = spare {
                spares_left -= 1;
                attempt_with_spare(server, spare, &requested, &mut request)?
            } else {
                spares_left = 0;
                requests_left -= 1;
                attempt_by_request(server, &requested, &mut request)?
            };
            match attempt {
                Attempt::Started(launched) => return Ok(Launched { streams: request.streams, ..launched }),
                Attempt::Retry => {}
                Attempt::Replace(server, drift) => {
                    server.replace();
                    last_drift = drift;
                }
            }
        }
        let text = format!(
            "cannot get a child for `{}`: the forkserver was replaced {REQUESTS} times meanwhile, the last time \
             because {last_drift}",
            request.spec.task
        );
        Err(Error::new(ErrorKind::ForkServer, text))
    }
}

/// Learns whether this program can have a forkserver, and starts the forkserver to find out.
///
/// # Errors
/// The forkserver cannot be started for another reason than threads before the guard.
pub(crate) fn ensure_known() -> Result<(), Error> {
    if !availability::is_known()
        && let Err(error) = LockedServer::running()
        && error.kind() != ErrorKind::MultiThreadedFork
    {
        return Err(error);
    }
    Ok(())
}

/// Sends the spec to a spare.
fn attempt_with_spare(
    server: LockedServer,
    spare: Spare,
    requested: &Settings,
    request: &mut Request<'_>,
) -> Result<Attempt, Error> {
    let delivery = server.send_spec(requested, request, &spare.link, None);
    if matches!(delivery, Ok(Delivery::Sent)) {
        // While the spare begins.
        spare_policy::refill(&server);
        // A stopped spare must not keep other threads from the server.
        drop(server);
        return Ok(spare.into_child().map_or(Attempt::Retry, Attempt::Started));
    }
    spares::retire(spare);
    match delivery? {
        Delivery::Withheld(drift) => Ok(Attempt::Replace(server, drift)),
        Delivery::Sent | Delivery::LinkClosed => Ok(Attempt::Retry),
    }
}

/// Requests a new child from the server, and sends the spec to that child.
fn attempt_by_request(server: LockedServer, requested: &Settings, request: &mut Request<'_>) -> Result<Attempt, Error> {
    let task = request.spec.task.clone();
    let zygote = server.child()?;
    let send_spec = |link: &_, lifeline: &_| server.send_spec(requested, request, link, Some(lifeline));
    match request::fork(&zygote, &task, send_spec)? {
        ForkOutcome::Child(launched) => {
            spare_policy::refill(&server);
            Ok(Attempt::Started(launched))
        }
        ForkOutcome::Orphan(launched) => {
            server.replace();
            Ok(Attempt::Started(launched))
        }
        ForkOutcome::Withheld(drift) => Ok(Attempt::Replace(server, drift)),
        ForkOutcome::Gone => Ok(Attempt::Replace(server, Drift::ServerGone)),
    }
}

//! This process's side of a start: a spare that waits already, or a child that the server is asked for.

use super::handle::{Live, Server};
use super::request::{self, Ordered};
use super::spare_policy;
use crate::child::Settings;
use crate::error::{Error, ErrorKind};
use crate::start::{Launcher, Request};
use crate::this_process::children::Launched;
use crate::this_process::spares::{self, Spare};

pub(crate) struct ForkServer;

/// How often a child is asked for anew after a server has died over it.
const ATTEMPTS: usize = 3;

impl Launcher for ForkServer {
    fn launch(&self, mut request: Request<'_>) -> Result<Launched, Error> {
        let wished = std::mem::take(&mut request.order.settings);
        let wanted = spare_policy::note_start();
        // No more than were there: each asks for its successor, and what ends them all is told by a child without one.
        for _ in 0..spares::count() {
            let server = Server::lock_live()?;
            let Some(spare) = spares::take() else { break };
            if let Some(launched) = hire(server, spare, &wished, &mut request, wanted)? {
                return Ok(Launched { streams: request.streams, ..launched });
            }
        }
        for _ in 0..ATTEMPTS {
            if let Some(launched) = ask(Server::lock_live()?, &wished, &mut request, wanted)? {
                return Ok(Launched { streams: request.streams, ..launched });
            }
        }
        let text = format!(
            "cannot get a child for `{}`: the forkserver has died or grown stale {ATTEMPTS} times while it was asked",
            request.order.task
        );
        Err(Error::new(ErrorKind::ForkServer, text))
    }
}

/// Gives the order to a spare. `None` if it has died before it has taken it, or was stale.
fn hire(
    mut server: Live,
    spare: Spare,
    wished: &Settings,
    request: &mut Request<'_>,
    wanted: spare_policy::Wanted,
) -> Result<Option<Launched>, Error> {
    let ordered = server.order(wished, request, &spare.link, None);
    if matches!(ordered, Ok(Ordered::Given)) {
        // While the spare begins.
        wanted.refill(&server);
        drop(server);
        return Ok(spare.into_child());
    }
    spares::retire(spare);
    if matches!(ordered?, Ordered::Stale) {
        server.replace();
    }
    Ok(None)
}

/// Asks for a child, and gives it the order. `None` if the server has died over it, or was stale.
fn ask(
    mut server: Live,
    wished: &Settings,
    request: &mut Request<'_>,
    wanted: spare_policy::Wanted,
) -> Result<Option<Launched>, Error> {
    let task = request.order.task.clone();
    let maker = server.child()?;
    let asked = request::ask(&maker, &task, |link, lifeline| server.order(wished, request, link, Some(lifeline)))?;
    if asked.is_over {
        server.replace();
    } else {
        wanted.refill(&server);
    }
    Ok(asked.launched)
}

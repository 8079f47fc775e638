//! An order: all that a child needs to know, in memory for a fork and as one frame for the others.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ipc::codec;
use crate::ipc::wire::frame::{Body, OutgoingFrame, ReceivedFrame, SEND_TIMEOUT};
use crate::ipc::wire::payload::{Payload, decode_bytes};
use crate::ipc::wire::{fds, kind};
use crate::sys::environ::Environment;
use crate::sys::identity::Privileges;
use crate::sys::rlimit::{Limit, ManyFiles};
use crate::sys::signal::SignalSet;
use crate::task::TaskId;
use crate::this_process::ancestry::Ancestry;

/// What a child is to be and to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChildSpec {
    /// The task's name.
    pub(crate) task: String,
    /// Tells it from others of that name.
    pub(crate) mark: TaskId,
    pub(crate) lineage: Ancestry,
    /// What `ps` and `top` show: a chosen name, or the task's without its path.
    pub(crate) title: String,
    pub(crate) settings: Settings,
    pub(crate) timeout: Option<Duration>,
    /// A child with more of them than this gives them up.
    pub(crate) privileges: Option<Privileges>,
}

/// What a child changes in itself before it runs its task; `None` is to leave it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) environment: Option<Environment>,
    pub(crate) streams: [StreamSetting; 3],
    pub(crate) umask: Option<u32>,
    pub(crate) nice: Option<i32>,
    /// By the kernel's numbers of resources.
    pub(crate) limits: Vec<(u32, Limit)>,
    pub(crate) affinity: Option<Vec<usize>>,
    pub(crate) process_group: Option<i32>,
    pub(crate) oom_score: Option<String>,
    pub(crate) ignored_signals: Option<SignalSet>,
    pub(crate) blocked_signals: Option<SignalSet>,
}

/// What becomes of a standard stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StreamSetting {
    /// It stays what it is.
    #[default]
    Keep,
    /// `/dev/null`.
    Null,
    /// A descriptor of the kit.
    Given,
}

/// The descriptors that a child gets with its order.
#[derive(Debug, Default)]
pub(crate) struct ChildFds {
    /// To be armed by the child, unless it has done so as a spare.
    pub(crate) lifeline: Option<OwnedFd>,
    /// To be entered.
    pub(crate) directory: Option<OwnedFd>,
    /// Become 0, 1 and 2.
    pub(crate) streams: [Option<OwnedFd>; 3],
    /// While the rest of the kit is put to use.
    pub(crate) many_files: Option<ManyFiles>,
}

/// Which descriptors a frame carries: lifeline, directory, and the three streams.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest([bool; 5]);

impl ChildSpec {
    /// Sends it, with its descriptors and the task's arguments. The lifeline stays with the parent too, hence is apart;
    /// a spare has its own already.
    pub(crate) fn send(
        &self,
        link: BorrowedFd<'_>,
        lifeline: Option<BorrowedFd<'_>>,
        kit: &ChildFds,
        arguments: &Payload,
    ) -> io::Result<()> {
        let [input, output, error] = &kit.streams;
        let others = [&kit.directory, input, output, error].map(|slot| slot.as_ref().map(AsFd::as_fd));
        let slots: Vec<Option<BorrowedFd<'_>>> = std::iter::once(lifeline).chain(others).collect();
        let mut manifest = Manifest([false; 5]);
        for (present, slot) in manifest.0.iter_mut().zip(&slots) {
            *present = slot.is_some();
        }
        let head = Payload::encode(&(manifest, self)).map_err(io::Error::other)?;
        let head = head.bytes()?;
        let descriptors: Vec<_> = slots.into_iter().flatten().collect();
        let body = Body::from(arguments);
        OutgoingFrame { kind: kind::SPEC, head: &head, body, descriptors: &descriptors }.send(link, SEND_TIMEOUT)
    }

    /// Takes one apart that has been received.
    pub(crate) fn open(frame: ReceivedFrame) -> Result<(Self, ChildFds, Payload), codec::Error> {
        let head = frame.head.bytes().map_err(|error| codec::Error::new(error.to_string()))?;
        let (Manifest(present), order) = decode_bytes::<(Manifest, Self)>(&head, fds::ReceivedFds::default())?;
        if present.iter().filter(|present| **present).count() != frame.descriptors.len() {
            return Err(codec::Error::new("an order has not the descriptors that it announces"));
        }
        let mut descriptors = frame.descriptors.into_iter();
        let [lifeline, directory, input, output, error] =
            present.map(|present| if present { descriptors.next() } else { None });
        Ok((
            order,
            ChildFds { lifeline, directory, streams: [input, output, error], many_files: Some(ManyFiles::allow()) },
            frame.payload,
        ))
    }
}

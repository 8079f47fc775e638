//! The spec of a child: task, settings and descriptors. In memory under `fork`, one frame under `spawn` and
//! `forkserver`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ipc::codec;
use crate::ipc::wire::fds::ReceivedFds;
use crate::ipc::wire::frame::{Body, OutgoingFrame, ReceivedFrame, SEND_TIMEOUT};
use crate::ipc::wire::kind;
use crate::ipc::wire::payload::{Payload, decode_bytes};
use crate::sys::environ::Environment;
use crate::sys::identity::Privileges;
use crate::sys::rlimit::{Limit, ManyFiles};
use crate::sys::signal::SignalSet;
use crate::task::TaskId;
use crate::this_process::ancestry::Ancestry;

/// The task of a child and the settings to run the task with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChildSpec {
    /// The task's name.
    pub(crate) task: String,
    /// Distinguishes tasks of one name.
    pub(crate) id: TaskId,
    pub(crate) ancestry: Ancestry,
    /// The name in `ps` and `top`: a chosen name, or the task's name without its path.
    pub(crate) title: String,
    pub(crate) settings: Settings,
    pub(crate) timeout: Option<Duration>,
    /// The most privileges that the child may keep.
    pub(crate) privileges: Option<Privileges>,
}

/// The settings that a child changes in itself before the task. `None` leaves a setting as inherited.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) environment: Option<Environment>,
    pub(crate) streams: [StreamSetting; 3],
    pub(crate) umask: Option<u32>,
    pub(crate) nice: Option<i32>,
    /// By the kernel's resource numbers.
    pub(crate) limits: Vec<(u32, Limit)>,
    pub(crate) affinity: Option<Vec<usize>>,
    pub(crate) process_group: Option<i32>,
    pub(crate) oom_score: Option<String>,
    pub(crate) ignored_signals: Option<SignalSet>,
    pub(crate) blocked_signals: Option<SignalSet>,
}

/// The setting of a standard stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StreamSetting {
    /// Leaves the stream as inherited.
    #[default]
    Keep,
    /// `/dev/null`.
    Null,
    /// The stream's descriptor in [`ChildFds`].
    Given,
}

/// The descriptors that a child receives with the spec.
#[derive(Debug, Default)]
pub(crate) struct ChildFds {
    /// Armed by the child. `None` in a spare, which has armed a lifeline before.
    pub(crate) lifeline: Option<OwnedFd>,
    /// The working directory.
    pub(crate) directory: Option<OwnedFd>,
    /// Moved to the numbers 0, 1 and 2.
    pub(crate) streams: [Option<OwnedFd>; 3],
    /// Holds the limit on descriptors up until the others have been used.
    pub(crate) many_files: Option<ManyFiles>,
}

/// Tells for each slot whether the frame carries a descriptor: lifeline, directory, and the three streams.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest([bool; 5]);

impl ChildSpec {
    /// Sends the spec with its descriptors and the task's arguments. The lifeline is a parameter of its own, since the
    /// parent keeps a copy.
    pub(crate) fn send(
        &self,
        link: BorrowedFd<'_>,
        lifeline: Option<BorrowedFd<'_>>,
        fds: &ChildFds,
        arguments: &Payload,
    ) -> io::Result<()> {
        let [input, output, error] = &fds.streams;
        let others = [&fds.directory, input, output, error].map(|slot| slot.as_ref().map(AsFd::as_fd));
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

    /// Decodes a received frame.
    ///
    /// # Errors
    /// The frame is malformed, or holds other descriptors than announced.
    pub(crate) fn decode(frame: ReceivedFrame) -> Result<(Self, ChildFds, Payload), codec::Error> {
        let head = frame.head.bytes().map_err(|error| codec::Error::new(error.to_string()))?;
        let (Manifest(present), spec) = decode_bytes::<(Manifest, Self)>(&head, ReceivedFds::default())?;
        if present.iter().filter(|present| **present).count() != frame.descriptors.len() {
            return Err(codec::Error::new("a spec has other descriptors than it announces"));
        }
        let mut descriptors = frame.descriptors.into_iter();
        let [lifeline, directory, input, output, error] =
            present.map(|present| if present { descriptors.next() } else { None });
        Ok((
            spec,
            ChildFds { lifeline, directory, streams: [input, output, error], many_files: Some(ManyFiles::allow()) },
            frame.payload,
        ))
    }
}

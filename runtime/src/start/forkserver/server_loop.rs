//! The loop of one who makes children: a forkserver or a template, on one thread, until its link ends.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use serde::Serialize;

use crate::child::{self, ProcessOrigin};
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::sys::fork::{self, FreshCopy, SingleThreaded};
use crate::sys::identity::own_ids;
use crate::sys::{self, lifeline, socket};
use crate::this_process::after_fork;

/// Its name, and its own descriptors, none of which its children keep.
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) link: OwnedFd,
    pub(super) lifeline: OwnedFd,
}

impl Server {
    /// Ties this process to its parent's life.
    pub(super) fn bind_to_parent(&self) {
        if !lifeline::arm(self.lifeline.as_fd()).unwrap_or(false) {
            sys::exit_now(child::FAILED);
        }
    }

    /// Has every request tell who made it; before the parent is told that it may ask.
    pub(super) fn identify_senders(&self) {
        if let Err(error) = socket::identify_senders(self.link.as_fd()) {
            child::fail(&format!("the {} cannot tell who asks: {error}", self.name));
        }
    }

    /// Obeys the user who started it, and nobody else: a parent that has given up its ids gets another server, and who
    /// has taken over such a parent nothing.
    pub(super) fn run(self) -> ! {
        let mut server = self;
        loop {
            let request = frame::receive(server.link.as_fd(), None).ok().flatten();
            let own_user = |frame: &ReceivedFrame| frame.sender.map(|sender| sender.ids) == Some(own_ids());
            // Or the parent is gone, or has no use for this server any more.
            let Some(frame) = request.filter(own_user) else { sys::exit_now(0) };
            server = match frame.kind {
                kind::FORK => server.make_child(frame),
                kind::SPARE => server.make_spare(frame),
                _ => sys::exit_now(0),
            };
        }
    }

    /// Makes a child and tells the parent.
    fn make_child(self, request: ReceivedFrame) -> Self {
        // An answer is waited for.
        let Some(link) = request.descriptors.into_iter().next() else { sys::exit_now(child::FAILED) };
        let threads = self.threads();
        let ((server, _link), made) =
            fork::clone_sibling(&threads, (self, link), |(server, link), copy| server.become_child(link, copy));
        match made {
            Ok(child) => server.say_forked(child.pid, &child.pidfd),
            Err(error) => server.say(kind::REFUSED, &error.raw_os_error().unwrap_or_default(), None),
        }
        server
    }

    /// Makes a spare, which tells the parent itself; if there is none, the end of its link does.
    ///
    /// Its lifeline is opened here, where the code for that has been run before: a fresh copy of a process pays for each piece of code.
    fn make_spare(self, request: ReceivedFrame) -> Self {
        let patience = request.head().unwrap_or_default();
        let Some(link) = request.descriptors.into_iter().next() else { return self };
        let Ok(lifeline) = lifeline::for_sibling(self.lifeline.as_fd()) else { return self };
        let threads = self.threads();
        let given = (self, link, lifeline, patience);
        let ((server, ..), _made) = fork::clone_sibling(&threads, given, |(server, link, lifeline, patience), copy| {
            server.become_spare(link, lifeline, patience, copy)
        });
        server
    }

    fn threads(&self) -> SingleThreaded {
        // One may have come since the last time, from a timer that a preload has set, say.
        SingleThreaded::check().unwrap_or_else(|_| child::fail(&format!("the {} has other threads by now", self.name)))
    }

    fn become_child(self, link: OwnedFd, copy: FreshCopy) -> ! {
        drop(self);
        after_fork::run(&copy);
        child::send_handshake(&link);
        let order = child::first_message(&link);
        child::run_received(link, order, ProcessOrigin::Copied(copy))
    }

    fn become_spare(self, link: OwnedFd, lifeline: OwnedFd, patience: Option<Duration>, copy: FreshCopy) -> ! {
        drop(self);
        after_fork::run(&copy);
        child::wait_for_order(link, lifeline, patience, copy)
    }

    pub(super) fn say_forked(&self, pid: u32, pidfd: &OwnedFd) {
        self.say(kind::FORKED, &pid, Some(pidfd));
    }

    /// A server that cannot answer ends: that is an answer too, where silence would keep the parent waiting.
    pub(super) fn say(&self, kind: u8, value: &impl Serialize, descriptor: Option<&OwnedFd>) {
        let descriptors: Vec<_> = descriptor.into_iter().map(AsFd::as_fd).collect();
        match frame::send_value(self.link.as_fd(), kind, value, &descriptors) {
            Ok(()) => {}
            Err(error) if frame::is_gone(&error) => sys::exit_now(0),
            Err(error) => child::fail(&format!("the {} cannot answer: {error}", self.name)),
        }
    }
}

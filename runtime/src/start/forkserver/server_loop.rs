//! The event loop of a forkserver or a template: one thread that clones a child at each request, until its link ends.

use std::os::fd::{AsFd, OwnedFd};

use serde::Serialize;

use crate::child::{self, ProcessOrigin};
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::sys::fork::{self, FreshCopy, SingleThreaded};
use crate::sys::fork_generation::ForkGeneration;
use crate::sys::identity::own_ids;
use crate::sys::{self, lifeline, socket};
use crate::this_process::after_fork;

/// The server's name and descriptors. Children close the descriptors.
pub(super) struct EventLoop {
    pub(super) name: &'static str,
    pub(super) link: OwnedFd,
    pub(super) lifeline: OwnedFd,
}

impl EventLoop {
    /// Ties this process to the life of the parent.
    pub(super) fn bind_to_parent(&self) {
        if !lifeline::arm(self.lifeline.as_fd()).unwrap_or(false) {
            sys::exit_now(child::EXIT_NOT_STARTED);
        }
    }

    /// Has the kernel add the sender's ids to each request. Called before the parent learns that the server is ready.
    pub(super) fn identify_senders(&self) {
        if let Err(error) = socket::identify_senders(self.link.as_fd()) {
            child::fail(&format!("the {} cannot tell who asks: {error}", self.name));
        }
    }

    /// Serves requests until the link ends.
    ///
    /// Exits at a request by another user than the server's own. So a parent that has given up its ids gets no children
    /// with the old ids, and neither does an intruder in such a parent.
    pub(super) fn run(self) -> ! {
        // Maps the page of the generation, which each child then has too.
        let _ = ForkGeneration::current();
        let mut server = self;
        loop {
            let request = frame::receive(server.link.as_fd(), None).ok().flatten();
            let is_own_user = |frame: &ReceivedFrame| frame.sender.map(|sender| sender.ids) == Some(own_ids());
            // No frame: the parent is gone, or has dismissed this server.
            let Some(frame) = request.filter(is_own_user) else { sys::exit_now(0) };
            server = match frame.kind {
                kind::FORK => server.fork_child(frame),
                kind::SPARE => server.fork_spare(frame),
                _ => sys::exit_now(0),
            };
        }
    }

    /// Forks a child and answers the parent.
    fn fork_child(self, request: ReceivedFrame) -> Self {
        // The parent waits for an answer, and the exit is one.
        let Some(link) = request.descriptors.into_iter().next() else { sys::exit_now(child::EXIT_NOT_STARTED) };
        let threads = self.single_threaded();
        let ((server, _link), forked) =
            fork::clone_sibling(&threads, (self, link), |(server, link), copy| server.become_child(link, copy));
        match forked {
            Ok(child) => server.send_forked(child.pid, &child.pidfd),
            Err(error) => server.send(kind::REFUSED, &error.raw_os_error().unwrap_or_default(), None),
        }
        server
    }

    /// Forks a spare, which reports to the parent directly. After a failure the end of the spare's link tells the
    /// parent.
    ///
    /// The server opens the spare's lifeline, since the server has run that code before: in a fresh copy of a process
    /// each newly touched page costs a fault.
    fn fork_spare(self, request: ReceivedFrame) -> Self {
        let Some(link) = request.descriptors.into_iter().next() else { return self };
        let Ok(lifeline) = lifeline::for_sibling(self.lifeline.as_fd()) else { return self };
        let threads = self.single_threaded();
        let given = (self, link, lifeline);
        let ((server, ..), _forked) = fork::clone_sibling(&threads, given, |(server, link, lifeline), copy| {
            server.become_spare(link, lifeline, copy)
        });
        server
    }

    /// Checks anew at each clone: a timer that a preload has set may have started a thread.
    fn single_threaded(&self) -> SingleThreaded {
        SingleThreaded::check().unwrap_or_else(|_| child::fail(&format!("the {} has other threads by now", self.name)))
    }

    fn become_child(self, link: OwnedFd, copy: FreshCopy) -> ! {
        drop(self);
        after_fork::run(&copy);
        child::send_handshake(&link);
        let frame = child::first_message(&link);
        child::run_received(link, frame, ProcessOrigin::Copied(copy))
    }

    fn become_spare(self, link: OwnedFd, lifeline: OwnedFd, copy: FreshCopy) -> ! {
        drop(self);
        after_fork::run(&copy);
        child::wait_for_spec(link, lifeline, copy)
    }

    pub(super) fn send_forked(&self, pid: u32, pidfd: &OwnedFd) {
        self.send(kind::FORKED, &pid, Some(pidfd));
    }

    /// Sends a message to the parent. Exits on failure: the exit is an answer, while silence would keep the parent
    /// waiting.
    pub(super) fn send(&self, kind: u8, value: &impl Serialize, descriptor: Option<&OwnedFd>) {
        let descriptors: Vec<_> = descriptor.into_iter().map(AsFd::as_fd).collect();
        match frame::send_value(self.link.as_fd(), kind, value, &descriptors) {
            Ok(()) => {}
            Err(error) if frame::is_gone(&error) => sys::exit_now(0),
            Err(error) => child::fail(&format!("the {} cannot answer: {error}", self.name)),
        }
    }
}

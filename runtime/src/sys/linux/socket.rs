//! `SOCK_SEQPACKET` pairs and datagrams that carry descriptors.
//!
//! A datagram is whole or absent, whichever process dies. The kernel has these edges:
//!
//! - A datagram of length 0 reads like end of file. None is ever sent, as every frame has a header. Where a foreign
//!   process may have sent one, [`receive_into`] asks whether the end has come.
//! - A peer that exits with unread data causes `ECONNRESET` *before* the peer's own data. [`receive`] reads on.
//! - A full descriptor table drops a datagram's descriptors (`MSG_CTRUNC`) for ever. [`receive`] takes duplicates
//!   (`MSG_PEEK`) before the datagram, and if there is no room gives up one descriptor that is kept in reserve.
//! - Too many descriptors under way (`ETOOMANYREFS`, unprivileged users only) are a full queue by another name.
//!
//! Sources: unix(7), cmsg(3), recvmsg(2).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, setsockopt, socketpair, sockopt,
};

use super::fd::above_stdio;
use super::poll::{self, Deadline};
use super::{check, retry};

/// The most descriptors that the kernel lets one datagram carry (`SCM_MAX_FD`).
pub(crate) const MAX_DESCRIPTORS: usize = 253;

/// A pidfd of the sender. This crate asks for none, but any process that shares the socket can (`SO_PASSPIDFD`, Linux
/// 6.5).
const SCM_PIDFD: libc::c_int = 4;

/// The time before another try after `ETOOMANYREFS`, for which there is no event to wait for.
const CROWDED_RETRY: Duration = Duration::from_millis(1);

/// Makes a connected pair. Messages have boundaries, and each end sees when the other is closed everywhere.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((above_stdio(ours)?, above_stdio(theirs)?))
}

/// Makes a connected pair on which messages go one way only, from the first end to the second.
pub(crate) fn one_way() -> io::Result<(OwnedFd, OwnedFd)> {
    let (sender, receiver) = pair()?;
    // The call ends the other direction for both.
    nix::sys::socket::shutdown(sender.as_raw_fd(), nix::sys::socket::Shutdown::Read)?;
    Ok((sender, receiver))
}

/// Returns whether the descriptor is a connected socket of the kind that [`pair`] makes.
pub(crate) fn is_link(fd: BorrowedFd<'_>) -> bool {
    let is_seqpacket =
        nix::sys::socket::getsockopt(&fd, sockopt::SockType).is_ok_and(|kind| kind == SockType::SeqPacket);
    is_seqpacket && nix::sys::socket::getpeername::<UnixAddr>(fd.as_raw_fd()).is_ok()
}

/// Returns the pid of the process that made the other end (`SO_PEERCRED`), as this process's pid namespace numbers it.
/// Returns 0 for a process outside of the namespace.
pub(crate) fn peer_pid(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let credentials = nix::sys::socket::getsockopt(&fd, sockopt::PeerCredentials)?;
    Ok(credentials.pid() as u32)
}

/// Ends sending from this end. Messages from the other end are still received.
pub(crate) fn end_sending(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(nix::sys::socket::shutdown(fd.as_raw_fd(), nix::sys::socket::Shutdown::Write)?)
}

/// Ends the connection for every copy of both ends.
pub(crate) fn shut_down(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(nix::sys::socket::shutdown(fd.as_raw_fd(), nix::sys::socket::Shutdown::Both)?)
}

/// Asks the kernel to name the sender of each datagram received on `fd` from now on.
pub(crate) fn identify_senders(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setsockopt(&fd, sockopt::PassCred, &true)?)
}

/// The time that a send waits for room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SendTimeout {
    /// No limit. The kernel waits.
    Endless,
    Until(Instant),
    /// Counted from the first failed try. Before that no clock is read, as a fresh copy of a process pays for its code
    /// and data.
    Limit(Duration),
}

impl SendTimeout {
    fn deadline(self) -> Deadline {
        match self {
            Self::Endless => None,
            Self::Until(deadline) => Some(deadline),
            Self::Limit(limit) => poll::deadline_in(limit),
        }
    }
}

impl From<Deadline> for SendTimeout {
    fn from(deadline: Deadline) -> Self {
        deadline.map_or(Self::Endless, Self::Until)
    }
}

/// Sends one datagram. Waits while the queue is full, up to `timeout`.
///
/// # Errors
/// `EPIPE` or `ECONNRESET` when the other end is gone, `EMSGSIZE` when it is too long for the socket's buffer,
/// `TimedOut`; `QuotaExceeded` if the time of a [`SendTimeout::Limit`] was over for too many descriptors under way.
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
    timeout: SendTimeout,
) -> io::Result<()> {
    let mut deadline = None;
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[] } else { &rights[..] };
    let wait = if let SendTimeout::Endless = timeout { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
    let flags = MsgFlags::MSG_NOSIGNAL | wait;
    loop {
        match sendmsg::<UnixAddr>(fd.as_raw_fd(), parts, control, flags, None) {
            Ok(_) => return Ok(()),
            Err(nix::Error::EINTR) => {}
            Err(error @ (nix::Error::EAGAIN | nix::Error::ETOOMANYREFS)) => {
                let deadline = *deadline.get_or_insert_with(|| timeout.deadline());
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(expired(error, timeout));
                }
                wait_for_room(error, fd, deadline)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The caller has set a deadline and knows it. A caller with a limit learns the reason of the wait.
fn expired(error: nix::Error, timeout: SendTimeout) -> io::Error {
    match (error, timeout) {
        (nix::Error::ETOOMANYREFS, SendTimeout::Limit(_)) => {
            let text = "this user has more descriptors in messages that no process has received yet than a process \
                        may open (RLIMIT_NOFILE)";
            io::Error::new(io::ErrorKind::QuotaExceeded, text)
        }
        _ => io::ErrorKind::TimedOut.into(),
    }
}

/// Waits until there may be room. The kernel tells of room when three quarters are free. With less, a last try at the
/// deadline finds the room.
fn wait_for_room(error: nix::Error, fd: BorrowedFd<'_>, deadline: Deadline) -> io::Result<()> {
    if error == nix::Error::EAGAIN {
        poll::writable(fd, deadline)?;
    } else {
        poll::readable([], poll::deadline_in(CROWDED_RETRY))?;
    }
    Ok(())
}

/// Returns whether a datagram was refused because the socket's buffer could never hold it.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}

/// One datagram as it was received.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Whether descriptors were lost because this process may not open more.
    pub(crate) descriptors_lost: bool,
    /// The sender, after [`identify_senders`].
    pub(crate) sender: Option<SenderCredentials>,
}

/// The sender of a datagram, as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderCredentials {
    pub(crate) pid: u32,
    /// Real user and group.
    pub(crate) ids: (u32, u32),
}

/// Receives one datagram of at most `limit` bytes. Returns `None` at end of file.
///
/// Does not wait: [`poll::readable`] does.
///
/// # Errors
/// `WouldBlock` for an empty queue. `InvalidData` for a datagram longer than `limit`, which is then gone.
pub(crate) fn receive(fd: BorrowedFd<'_>, limit: usize) -> io::Result<Option<Datagram>> {
    // The descriptors of a peeked datagram are duplicates: if there is no room for them, none is lost.
    let mut short = [0; SHORT];
    let seen = receive_message(fd, &mut short, libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT)?;
    if seen.length == 0 {
        return Ok(None);
    }
    let length = seen.length;
    if let Some(bytes) = short.get(..length)
        && !seen.control_truncated
    {
        discard(fd)?;
        return if length > limit { Err(too_long(length, limit)) } else { Ok(Some(seen.datagram(bytes.to_vec()))) };
    }
    drop(seen);
    let mut bytes = vec![0; length.min(limit)];
    let received = with_reserve_given_up(|| receive_message(fd, &mut bytes, libc::MSG_DONTWAIT))?;
    if received.truncated || length > limit {
        return Err(too_long(length, limit));
    }
    bytes.truncate(received.length);
    Ok(Some(received.datagram(bytes)))
}

/// Longer than nearly every message of a link.
const SHORT: usize = 512;

fn too_long(length: usize, limit: usize) -> io::Error {
    let text = format!("a datagram of {length} bytes where at most {limit} are allowed");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Receives one datagram into a buffer that is long enough for every datagram. Returns `None` at end of file.
///
/// For an end that several processes receive on. Nothing is peeked, as another receiver may take a peeked datagram.
/// Waits until `deadline`. Without one, the kernel waits, and wakes one receiver for each datagram.
///
/// # Errors
/// `TimedOut`. `InvalidData` for a datagram that is longer than the buffer or empty, which is then gone.
pub(crate) fn receive_into(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    deadline: Deadline,
) -> io::Result<Option<ReceivedMessage>> {
    let flags = if deadline.is_some() { libc::MSG_DONTWAIT } else { 0 };
    let received = loop {
        match receive_message(fd, buffer, flags) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let [ready] = poll::readable([fd], deadline)?;
                if !ready {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            other => break other?,
        }
    };
    if received.truncated {
        let text = format!("a datagram of more than {} bytes", buffer.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    if received.length > 0 {
        return Ok(Some(received));
    }
    if is_at_end(fd)? { Ok(None) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "an empty datagram")) }
}

/// Returns whether the queue is empty and no process can send more. A length of 0 may have been an empty datagram.
fn is_at_end(fd: BorrowedFd<'_>) -> io::Result<bool> {
    if !is_hung_up_for_reading(fd) {
        return Ok(false);
    }
    let mut left: libc::c_int = 0;
    // SAFETY: the kernel writes one number, how many bytes are in the queue.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut left) }.into())?;
    Ok(left == 0)
}

/// Returns whether nothing more can come to a socket than the content of its queue.
fn is_hung_up_for_reading(fd: BorrowedFd<'_>) -> bool {
    // nix has no such flag.
    let mut polled = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one entry, alive during the call, which does not wait.
    unsafe { libc::poll(&mut polled, 1, 0) };
    polled.revents & (libc::POLLRDHUP | libc::POLLHUP) != 0
}

/// Takes the next datagram out of the queue, which the caller has looked at.
fn discard(fd: BorrowedFd<'_>) -> io::Result<()> {
    let nowhere = std::ptr::null_mut();
    // SAFETY: nothing is written to a buffer of length 0.
    read_on(|| check(unsafe { libc::recv(fd.as_raw_fd(), nowhere, 0, libc::MSG_DONTWAIT) } as libc::c_long))?;
    Ok(())
}

/// `ECONNRESET` comes once, before the data that the peer sent before it went.
fn read_on<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    retry(|| match call() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(io::ErrorKind::Interrupted.into()),
        other => other,
    })
}

/// A received message whose bytes are in the caller's buffer.
#[derive(Debug)]
pub(crate) struct ReceivedMessage {
    pub(crate) length: usize,
    truncated: bool,
    /// Whether descriptors were lost because this process may not open more.
    pub(crate) control_truncated: bool,
    pub(crate) descriptors: Vec<OwnedFd>,
    sender: Option<SenderCredentials>,
}

impl ReceivedMessage {
    fn datagram(self, bytes: Vec<u8>) -> Datagram {
        let Self { descriptors, control_truncated: descriptors_lost, sender, .. } = self;
        Datagram { bytes, descriptors, descriptors_lost, sender }
    }
}

const CONTROL_SPACE: usize = space_for(MAX_DESCRIPTORS * size_of::<RawFd>()) + space_for(size_of::<libc::ucred>());

const fn space_for(data: usize) -> usize {
    // SAFETY: CMSG_SPACE only computes.
    unsafe { libc::CMSG_SPACE(data as u32) as usize }
}

/// Control messages start with a header that has the alignment of a length.
#[repr(C, align(8))]
struct Control(MaybeUninit<[u8; CONTROL_SPACE]>);

fn receive_message(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: libc::c_int) -> io::Result<ReceivedMessage> {
    // The kernel says how much of it it has written.
    let mut control = Control(MaybeUninit::uninit());
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zeroes is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_SPACE as _;
    let length = read_on(|| {
        // SAFETY: the header points at one buffer and one control buffer, both of the lengths given and alive.
        check(unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC | flags) } as libc::c_long)
    })? as usize;
    let mut received = ReceivedMessage {
        length,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        control_truncated: message.msg_flags & libc::MSG_CTRUNC != 0,
        descriptors: Vec::new(),
        sender: None,
    };
    // SAFETY: the kernel has filled the control buffer up to msg_controllen.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return pointers into the control buffer or null.
        let control = unsafe { &*header };
        // SAFETY: the kernel has written it.
        unsafe { read_control(control, &mut received) };
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(&message, header) };
    }
    Ok(received)
}

/// # Safety
/// The header was written by the kernel and its data follows it.
unsafe fn read_control(header: &libc::cmsghdr, received: &mut ReceivedMessage) {
    // SAFETY: CMSG_DATA only computes, from the header's address.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: CMSG_LEN only computes.
    let header_length = unsafe { libc::CMSG_LEN(0) } as usize;
    match (header.cmsg_level, header.cmsg_type) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
            #[allow(clippy::unnecessary_cast, reason = "musl's type is another")]
            let count = (header.cmsg_len as usize - header_length) / size_of::<RawFd>();
            // SAFETY: the data is an array of that many descriptors; its alignment is a length's, which is larger.
            let raw = unsafe { std::slice::from_raw_parts(data.cast::<RawFd>(), count) };
            for raw in raw {
                // SAFETY: it is new in this process and owned by nobody else.
                match above_stdio(unsafe { OwnedFd::from_raw_fd(*raw) }) {
                    Ok(fd) => received.descriptors.push(fd),
                    // As if the kernel had found no room for the descriptor.
                    Err(_) => received.control_truncated = true,
                }
            }
        }
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
            // SAFETY: the data is one ucred.
            let credentials = unsafe { data.cast::<libc::ucred>().read_unaligned() };
            let ids = (credentials.uid, credentials.gid);
            received.sender = u32::try_from(credentials.pid).ok().map(|pid| SenderCredentials { pid, ids });
        }
        (libc::SOL_SOCKET, SCM_PIDFD) => {
            // SAFETY: the data is one descriptor, or the negative number of an error.
            let raw = unsafe { data.cast::<RawFd>().read_unaligned() };
            if raw >= 0 {
                // SAFETY: it is new in this process and owned by nobody else.
                drop(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
        _ => {}
    }
}

/// A descriptor that is open only to be closed when a message or its file needs the place.
static RESERVE: Mutex<Option<OwnedFd>> = Mutex::new(None);

fn with_reserve_given_up<T>(receive: impl FnOnce() -> T) -> T {
    let mut reserve = super::lock(&RESERVE);
    let was_kept = reserve.take().is_some();
    let received = receive();
    if was_kept {
        *reserve = super::fd::null().ok();
    }
    received
}

/// Opens a descriptor that is closed soon. Gives the reserve up for it if this process may open no more. The caller
/// [restores](keep_reserve) the reserve.
pub(crate) fn open_with_reserve<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match open() {
        Err(error) if super::is_out_of_descriptors(&error) && super::lock(&RESERVE).take().is_some() => open(),
        opened => opened,
    }
}

/// Closes the reserve in a fresh copy, which has no use for one until it has children of its own.
pub(crate) fn close_reserve_in_copy(_copy: &super::fork::FreshCopy) {
    drop(super::lock(&RESERVE).take());
}

/// Opens the reserve, if there is none. Called before the first child, while the table has room, and after the close of
/// a descriptor in the place of the reserve.
pub(crate) fn keep_reserve() {
    let mut reserve = super::lock(&RESERVE);
    if reserve.is_none() {
        *reserve = super::fd::null().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    const LONG: SendTimeout = SendTimeout::Limit(Duration::from_secs(10));

    fn message(text: &[u8]) -> [IoSlice<'_>; 1] {
        [IoSlice::new(text)]
    }

    #[test]
    fn datagrams_keep_their_boundaries_and_end_of_file_comes_last() {
        let (ours, theirs) = pair().unwrap();
        send(theirs.as_fd(), &message(b"one"), &[], LONG).unwrap();
        send(theirs.as_fd(), &message(b"three"), &[], LONG).unwrap();
        drop(theirs);
        assert_eq!(receive(ours.as_fd(), 100).unwrap().unwrap().bytes, b"one");
        assert_eq!(receive(ours.as_fd(), 100).unwrap().unwrap().bytes, b"three");
        assert!(receive(ours.as_fd(), 100).unwrap().is_none());
    }

    #[test]
    fn what_a_peer_sent_before_it_reset_the_connection_is_read() {
        let (ours, theirs) = pair().unwrap();
        send(ours.as_fd(), &message(b"never read"), &[], LONG).unwrap();
        send(theirs.as_fd(), &message(b"outcome"), &[], LONG).unwrap();
        drop(theirs);
        assert_eq!(receive(ours.as_fd(), 100).unwrap().unwrap().bytes, b"outcome");
        assert!(receive(ours.as_fd(), 100).unwrap().is_none());
    }

    #[test]
    fn descriptors_travel_and_a_sender_is_named() {
        let (ours, theirs) = pair().unwrap();
        identify_senders(ours.as_fd()).unwrap();
        let null = crate::sys::fd::null().unwrap();
        send(theirs.as_fd(), &message(b"x"), &[null.as_fd(), null.as_fd()], LONG).unwrap();
        let datagram = receive(ours.as_fd(), 100).unwrap().unwrap();
        assert_eq!(datagram.descriptors.len(), 2);
        assert_eq!(datagram.sender.map(|sender| sender.pid), Some(std::process::id()));
        assert!(!datagram.descriptors_lost);
    }

    #[test]
    fn a_datagram_over_the_limit_is_refused_and_the_next_one_read() {
        let (ours, theirs) = pair().unwrap();
        send(theirs.as_fd(), &message(&[7; 200]), &[], LONG).unwrap();
        send(theirs.as_fd(), &message(b"next"), &[], LONG).unwrap();
        assert_eq!(receive(ours.as_fd(), 100).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(receive(ours.as_fd(), 100).unwrap().unwrap().bytes, b"next");
    }

    #[test]
    fn nothing_sent_would_block_and_a_full_queue_times_out() {
        let (ours, theirs) = pair().unwrap();
        assert_eq!(receive(ours.as_fd(), 100).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let filled = loop {
            if let Err(error) = send(theirs.as_fd(), &message(&[1; 1000]), &[], SendTimeout::Limit(Duration::ZERO)) {
                break error;
            }
        };
        assert_eq!(filled.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_one_way_pair_sends_one_way_and_tells_both_ends() {
        let (sender, receiver) = one_way().unwrap();
        let mut buffer = [0; 10];
        assert!(send(receiver.as_fd(), &message(b"back"), &[], SendTimeout::Endless).is_err());
        send(sender.as_fd(), &message(b"there"), &[], SendTimeout::Endless).unwrap();
        drop(sender);
        assert_eq!(receive_into(receiver.as_fd(), &mut buffer, None).unwrap().unwrap().length, 5);
        assert!(receive_into(receiver.as_fd(), &mut buffer, None).unwrap().is_none());
        let (sender, receiver) = one_way().unwrap();
        let soon = Some(Instant::now());
        assert_eq!(receive_into(receiver.as_fd(), &mut buffer, soon).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(receiver);
        assert_eq!(
            send(sender.as_fd(), &message(b"x"), &[], SendTimeout::Endless).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn an_empty_datagram_is_not_the_end() {
        let (sender, receiver) = one_way().unwrap();
        let mut buffer = [0; 10];
        let mut length =
            || receive_into(receiver.as_fd(), &mut buffer, None).map(|received| received.map(|it| it.length));
        send(sender.as_fd(), &message(b""), &[], LONG).unwrap();
        assert_eq!(length().unwrap_err().kind(), io::ErrorKind::InvalidData);
        send(sender.as_fd(), &message(b""), &[], LONG).unwrap();
        send(sender.as_fd(), &message(b"more"), &[], LONG).unwrap();
        drop(sender);
        assert_eq!(length().unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(length().unwrap(), Some(4));
        assert_eq!(length().unwrap(), None);
    }

    #[test]
    fn only_a_connected_seqpacket_socket_is_a_link() {
        let (ours, _theirs) = pair().unwrap();
        assert!(is_link(ours.as_fd()));
        assert!(!is_link(crate::sys::fd::null().unwrap().as_fd()));
        let (stream, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(!is_link(stream.as_fd()));
    }
}

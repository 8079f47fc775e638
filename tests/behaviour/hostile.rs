//! Received bytes are not trusted: a malformed message costs only itself, and causes no panic and no hang.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use offspring::__private::codec;
use offspring::{Duplex, Fd, JoinErrorKind, Receiver, RecvErrorKind, Sender, StartMethod, channel, child_task, duplex};
use offspring_tests::ends::{Forged, all, next, nothing, until_waits_in};
use offspring_tests::random::Random;
use offspring_tests::{cases, procs, start, sys, value, wait};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

cases! {
    here an_undecodable_message_costs_itself_alone;
    here iteration_goes_on_after_an_undecodable_message;
    here garbage_costs_itself_alone;
    here garbage_on_a_two_way_pipe;
    here garbage_while_a_two_way_pipe_waits_for_room;
    here an_empty_datagram_is_not_the_end;
    here a_socket_whose_settings_were_changed;
    here frames_by_hand;
    here frames_with_files_by_hand;
    here random_damage;
    here claims_without_descriptors;
    here claims_of_other_descriptors;
    here claims_in_arguments_and_results;
    here serialised_where_no_descriptor_goes;
}

/// Decodes as a `bool`. Encodes as a `bool` only if the value is 0 or 1.
#[derive(Debug, PartialEq)]
struct Truth(u8);

impl Serialize for Truth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 | 1 => serializer.serialize_bool(self.0 == 1),
            other => serializer.serialize_u8(other),
        }
    }
}

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(|truth| Self(truth.into()))
    }
}

#[child_task]
fn send_truths(numbers: Vec<u8>, to: Sender<Truth>) {
    numbers.into_iter().for_each(|number| to.send(Truth(number)).unwrap());
}

fn an_undecodable_message_costs_itself_alone(method: StartMethod) {
    let (to, truths) = channel().unwrap();
    value(start(method, send_truths::call(vec![1, 7, 0], to)));
    assert_eq!(next(&truths), Truth(1));
    let error = truths.recv().unwrap_err();
    assert_eq!(error.kind(), RecvErrorKind::Undecodable, "{error:?}");
    assert_eq!(all(&truths), [Truth(0)]);
}

fn iteration_goes_on_after_an_undecodable_message(method: StartMethod) {
    let (to, truths) = channel().unwrap();
    value(start(method, send_truths::call(vec![1, 7, 8, 0], to)));
    let items: Vec<bool> = truths.iter().map(|truth| truth.is_ok()).collect();
    assert_eq!(items, [true, false, false, true]);
}

fn send_raw(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() { &[] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None).unwrap();
}

const GARBAGE: [&[u8]; 4] = [b"x", b"OFS1", &[0; 24], &[0xff; 3000]];

#[child_task]
fn send_garbage(to: Sender<String>, last: String) {
    GARBAGE.iter().for_each(|bytes| send_raw(to.as_fd(), bytes, &[]));
    let long = vec![7; 150_000];
    send_raw(to.as_fd(), &long, &[]);
    to.send(last).unwrap();
}

#[track_caller]
fn is_undecodable<T>(received: Result<T, offspring::RecvError>) {
    assert_eq!(nothing(received), RecvErrorKind::Undecodable);
}

fn garbage_costs_itself_alone(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let child = start(method, send_garbage::call(to, "good".to_owned()));
    for _ in 0..=GARBAGE.len() {
        is_undecodable(from.recv_timeout(wait::LIMIT));
    }
    assert_eq!(all(&from), ["good"]);
    value(child);
}

#[child_task]
fn send_garbage_both_ways(parent: Duplex<String, u32>) -> u32 {
    GARBAGE.iter().for_each(|bytes| send_raw(parent.as_fd(), bytes, &[]));
    parent.request("good".to_owned()).unwrap()
}

fn garbage_on_a_two_way_pipe(method: StartMethod) {
    let (here, there) = duplex().unwrap();
    let child = start(method, send_garbage_both_ways::call(there));
    GARBAGE.iter().for_each(|_| is_undecodable(here.recv_timeout(wait::LIMIT)));
    assert_eq!(here.recv_timeout(wait::LIMIT).unwrap(), "good");
    here.send(9).unwrap();
    assert_eq!(value(child), 9);
}

#[child_task]
fn send_garbage_then_read(parent: Duplex<u8, Vec<u8>>) -> usize {
    GARBAGE.iter().for_each(|bytes| send_raw(parent.as_fd(), bytes, &[]));
    send_raw(parent.as_fd(), &[], &[]);
    send_raw(parent.as_fd(), &[7; 150_000], &[]);
    parent.send(8).unwrap();
    std::iter::from_fn(|| parent.recv().ok()).count()
}

/// The waiting sender receives any bytes meanwhile.
fn garbage_while_a_two_way_pipe_waits_for_room(method: StartMethod) {
    let (here, there) = duplex::<Vec<u8>, u8>().unwrap();
    let child = start(method, send_garbage_then_read::call(there));
    wait::until("something has come", || wait::is_readable(here.as_fd()));
    (0..1000).for_each(|_| here.send(vec![1; 1000]).unwrap());
    for _ in 0..GARBAGE.len() + 2 {
        is_undecodable(here.recv_timeout(wait::LIMIT));
    }
    assert_eq!(here.recv_timeout(wait::LIMIT).unwrap(), 8);
    drop(here);
    assert_eq!(value(child), 1000);
}

#[child_task]
fn send_empty_datagrams(to: Sender<String>) {
    send_raw(to.as_fd(), &[], &[]);
    to.send("after one".to_owned()).unwrap();
    send_raw(to.as_fd(), &[], &[]);
    send_raw(to.as_fd(), &[], &[]);
    to.send("after two".to_owned()).unwrap();
}

/// The kernel reports both by a length of zero, with and without a living sender.
fn an_empty_datagram_is_not_the_end(method: StartMethod) {
    let (to, from) = channel::<String>().unwrap();
    let empty = Err(RecvErrorKind::Undecodable);
    let expected = [empty, Ok("after one"), empty, empty, Ok("after two")].map(|text| text.map(str::to_owned));
    for to in [to.clone(), to] {
        value(start(method, send_empty_datagrams::call(to)));
        let received = (0..5).map(|_| from.recv_timeout(wait::LIMIT).map_err(|error| error.kind()));
        assert_eq!(received.collect::<Vec<_>>(), expected);
    }
    assert!(from.iter().next().is_none());
}

/// Makes a socket return at once and report senders by descriptors, for every holder of the same end.
fn change_settings(socket: BorrowedFd<'_>) {
    fcntl(socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    sys::pass_pidfds(&socket);
}

#[child_task]
fn change_settings_and_send(to: Sender<u32>, from: Receiver<u32>, changed: Sender<()>, count: u32) -> u32 {
    change_settings(to.as_fd());
    change_settings(from.as_fd());
    drop(from);
    changed.send(()).unwrap();
    drop(changed);
    // The parent waits for a message without a time limit.
    until_waits_in(nix::unistd::getppid().as_raw() as u32, libc::SYS_poll);
    (0..count).for_each(|number| to.send(number).unwrap());
    count
}

fn a_socket_whose_settings_were_changed(method: StartMethod) {
    let ((to, from), (changed, is_changed)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, change_settings_and_send::call(to, from.clone(), changed, 400));
    next(&is_changed);
    let before = procs::descriptors().len();
    assert!((0..400).all(|number| from.recv().unwrap() == number));
    // One descriptor for each message would be 400.
    assert!(procs::descriptors().len() < before + 100);
    assert_eq!(nothing(from.recv()), RecvErrorKind::Disconnected);
    assert_eq!(value(child), 400);
}

/// A frame in the library's format, with any field forged.
#[derive(Clone, Serialize, Deserialize)]
struct Frame {
    magic: [u8; 4],
    kind: u8,
    flags: u8,
    descriptors: u16,
    head: u32,
    held: u32,
    payload: u64,
    body: Vec<u8>,
}

impl Frame {
    fn of(body: &[u8]) -> Self {
        let payload = body.len() as u64;
        Self { magic: *b"OFS1", kind: 64, flags: 0, descriptors: 0, head: 0, held: 0, payload, body: body.to_vec() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.descriptors.to_le_bytes());
        bytes.extend(self.head.to_le_bytes());
        bytes.extend(self.held.to_le_bytes());
        bytes.extend(self.payload.to_le_bytes());
        bytes.extend(&self.body);
        bytes
    }
}

/// `ok` in encoded form: the version of the format, the length, then the letters.
const OK: &[u8] = b"\x01\x02ok";

#[child_task]
fn send_frames(frames: Vec<Frame>, to: Sender<String>) {
    frames.iter().for_each(|frame| send_raw(to.as_fd(), &frame.bytes(), &[]));
}

fn frames_by_hand(method: StartMethod) {
    let good = Frame::of(OK);
    let bad = vec![
        Frame { magic: *b"OFS2", ..good.clone() },
        Frame { kind: 2, ..good.clone() },
        Frame { flags: 1, ..good.clone() },
        Frame { flags: 2, ..good.clone() },
        Frame { flags: 3, descriptors: 2, ..good.clone() },
        Frame { descriptors: 1, ..good.clone() },
        Frame { descriptors: u16::MAX, held: u32::MAX, ..good.clone() },
        Frame { held: 1, ..good.clone() },
        Frame { head: 1, ..good.clone() },
        Frame { head: u32::MAX, ..good.clone() },
        Frame { payload: 3, ..good.clone() },
        Frame { payload: 5, ..good.clone() },
        Frame { payload: u64::MAX, ..good.clone() },
        Frame { payload: 1 << 30, flags: 2, ..good.clone() },
        Frame::of(b""),
        Frame::of(b"\x02\x02ok"),
        Frame::of(b"\x01\x03ok"),
        Frame::of(b"\x01\x01ok"),
        Frame::of(b"\x01\x02\xff\xfe"),
        Frame::of(b"\x01\x46\xff\xff\xff\xff\xff\xff\xff\xff\x0fok"),
    ];
    let (to, from) = channel::<String>().unwrap();
    let count = bad.len();
    let frames = bad.into_iter().chain([good]).collect();
    value(start(method, send_frames::call(frames, to)));
    (0..count).for_each(|_| is_undecodable(from.recv()));
    assert_eq!(all(&from), ["ok"]);
}

#[child_task]
fn send_files(to: Sender<String>) {
    let unsealed = sys::temporary_file();
    std::io::Write::write_all(&mut &unsealed, OK).unwrap();
    let others =
        [OwnedFd::from(unsealed), File::open("/dev/zero").unwrap().into(), to.as_fd().try_clone_to_owned().unwrap()];
    let in_file = Frame { flags: 2, descriptors: 1, body: vec![], ..Frame::of(OK) };
    for other in &others {
        send_raw(to.as_fd(), &in_file.bytes(), &[other.as_raw_fd()]);
    }
    // Held by a value that refers to none of the descriptors, so all are closed.
    let held = Frame { descriptors: 3, held: 3, ..Frame::of(OK) };
    send_raw(to.as_fd(), &held.bytes(), &others.each_ref().map(AsRawFd::as_raw_fd));
    // More descriptors than the header says.
    send_raw(to.as_fd(), &Frame::of(OK).bytes(), &others.each_ref().map(AsRawFd::as_raw_fd));
}

/// An unsealed file could change or shrink during the read.
fn frames_with_files_by_hand(method: StartMethod) {
    let (to, from) = channel::<String>().unwrap();
    value(start(method, send_files::call(to)));
    (0..3).for_each(|_| is_undecodable(from.recv()));
    assert_eq!(next(&from), "ok");
    is_undecodable(from.recv());
    assert_eq!(all(&from), [""; 0]);
}

/// Sends frames with one wrong bit each.
#[child_task]
fn send_damaged(places: Vec<usize>, to: Sender<(u32, String, Option<Vec<u8>>)>) {
    let good = Frame::of(&codec::to_vec(&(5_u32, "abc", Some([0_u8; 2]))).unwrap()).bytes();
    for place in places {
        let mut bytes = good.clone();
        let place = place % (8 * bytes.len());
        bytes[place / 8] ^= 1 << (place % 8);
        send_raw(to.as_fd(), &bytes, &[]);
    }
    to.send((6, "last".to_owned(), None)).unwrap();
}

fn random_damage(method: StartMethod) {
    let mut random = Random::new();
    let places: Vec<usize> = (0..400).map(|_| random.below(1 << 32) as usize).collect();
    let (to, from) = channel().unwrap();
    let child = start(method, send_damaged::call(places.clone(), to));
    let mut decodable = 0;
    for _ in &places {
        match from.recv_timeout(wait::LIMIT) {
            // The wrong bit is in the value itself.
            Ok(_) => decodable += 1,
            received => is_undecodable(received),
        }
    }
    assert!(decodable < places.len() / 2, "{decodable} of {}", places.len());
    assert_eq!(all(&from), [(6, "last".to_owned(), None)]);
    value(child);
}

/// Encodes as an index into the list of descriptors, and decodes as a file.
enum Claim<T> {
    Place(u32),
    Other(Fd<File>),
    Taken(T),
}

impl<T> Serialize for Claim<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Place(place) => Forged::Descriptor(*place).serialize(serializer),
            Self::Other(other) => other.serialize(serializer),
            Self::Taken(_) => unreachable!("it is on the other side"),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Claim<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::Taken)
    }
}

#[child_task]
fn claim_ends(to: Sender<Vec<Claim<Sender<u8>>>>, good: Sender<u8>) {
    for places in [vec![0], vec![3], vec![u32::MAX], vec![0, 1]] {
        to.send(places.into_iter().map(Claim::Place).collect()).unwrap();
    }
    drop(good);
    to.send(vec![]).unwrap();
}

#[child_task]
fn claim_files(to: Sender<Vec<Claim<Fd<File>>>>) {
    to.send(vec![Claim::Place(0)]).unwrap();
    // The same index twice, although each claims sole ownership.
    to.send(vec![Claim::Other(File::open("/dev/null").unwrap().into()), Claim::Place(0)]).unwrap();
    to.send(vec![Claim::Other(File::open("/dev/null").unwrap().into())]).unwrap();
}

fn claims_without_descriptors(method: StartMethod) {
    let ((to, from), (good, _)) = (channel::<Vec<Claim<Sender<u8>>>>().unwrap(), channel().unwrap());
    value(start(method, claim_ends::call(to, good)));
    for place in [0, 3, u32::MAX, 0] {
        let error = from.recv().err().unwrap();
        assert_eq!(error.kind(), RecvErrorKind::Undecodable);
        assert!(error.to_string().contains(&format!("descriptor {place}")), "{error}");
    }
    assert!(next(&from).is_empty());
    let (to, from) = channel::<Vec<Claim<Fd<File>>>>().unwrap();
    value(start(method, claim_files::call(to)));
    (0..2).for_each(|_| is_undecodable(from.recv()));
    let taken = next(&from);
    assert!(matches!(&taken[..], [Claim::Taken(file)] if file.metadata().is_ok()));
}

#[child_task]
fn claim_that_a_file_is_an_end(to: Sender<Claim<Receiver<u8>>>) {
    to.send(Claim::Other(File::open("/dev/null").unwrap().into())).unwrap();
    let stream = std::os::unix::net::UnixStream::pair().unwrap().0;
    to.send(Claim::Other(File::from(OwnedFd::from(stream)).into())).unwrap();
}

fn claims_of_other_descriptors(method: StartMethod) {
    let (to, from) = channel::<Claim<Receiver<u8>>>().unwrap();
    value(start(method, claim_that_a_file_is_an_end::call(to)));
    for _ in 0..2 {
        let error = from.recv().err().unwrap();
        assert!(error.to_string().contains("should be the end of a channel"), "{error}");
    }
    assert!(from.iter().next().is_none());
}

#[child_task]
fn return_claim(claim: Claim<Sender<u8>>) -> Claim<Sender<u8>> {
    drop(claim);
    Claim::Place(5)
}

#[child_task]
fn return_any_claim() -> Claim<Sender<u8>> {
    Claim::Place(5)
}

#[track_caller]
fn join_error<T>(mut child: offspring::Process<T>) -> offspring::JoinError {
    match child.join_timeout(wait::LIMIT) {
        Ok(Some(_)) => panic!("a value where none was to come"),
        Ok(None) => wait::expired("a child has not ended"),
        Err(error) => error,
    }
}

fn claims_in_arguments_and_results(method: StartMethod) {
    let error = join_error(start(method, return_claim::call(Claim::Place(2))));
    assert!(matches!(error.kind(), JoinErrorKind::NotStarted(_)), "{error:?}");
    assert!(error.to_string().contains("descriptor 2"), "{error}");
    let error = join_error(start(method, return_any_claim::call()));
    assert!(matches!(error.kind(), JoinErrorKind::Undecodable), "{error:?}");
    assert!(error.to_string().contains("descriptor 5"), "{error}");
}

#[child_task]
fn serialise_elsewhere(to: Sender<u8>, from: Receiver<u8>, file: Fd<File>) -> Vec<String> {
    let (one, _other) = duplex::<u8, u8>().unwrap();
    let errors = [
        serde_json::to_string(&to).unwrap_err().to_string(),
        serde_json::to_string(&vec![Some(&from)]).unwrap_err().to_string(),
        serde_json::to_string(&file).unwrap_err().to_string(),
        serde_json::to_string(&one).unwrap_err().to_string(),
    ];
    let forged = codec::to_vec(&Forged::Descriptor(0)).unwrap();
    assert!(codec::to_vec(&to).is_err() && codec::from_slice::<Sender<u8>>(&forged).is_err());
    assert!(serde_json::from_str::<Receiver<u8>>("0").is_err() && serde_json::from_str::<Fd<File>>("0").is_err());
    to.send(1).unwrap();
    errors.into()
}

fn serialised_where_no_descriptor_goes(method: StartMethod) {
    let ((to, from), file) = (channel().unwrap(), File::open("/dev/null").unwrap());
    let child = start(method, serialise_elsewhere::call(to.clone(), from.clone(), file.into()));
    for error in value(child) {
        assert!(error.contains("only in the arguments or the result of a task, or in a message"), "{error}");
    }
    assert_eq!(next(&from), 1);
}

//! Open files on their way to other processes: any kind, any number, within the limits.

use std::collections::HashMap;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use offspring::{
    ErrorKind, Fd, JoinErrorKind, Receiver, RecvErrorKind, Resource, SendErrorKind, Sender, StartMethod, channel,
    child_task, get_context,
};
use offspring_tests::ends::{next, nothing, unsent};
use offspring_tests::{build, cases, failure, get_error, procs, run, start, sys, value, wait};
use serde::{Deserialize, Serialize};

use crate::tasks::{forever, nothing as nothing_task};

cases! {
    here a_file_whose_position_is_shared;
    here sockets_and_pipes;
    here in_a_result;
    here in_messages_and_structures;
    here above_256;
    here closed_on_exec;
    here closing_it_in_the_child_is_seen;
    here the_senders_own_stays_open;
    here a_call_can_be_started_twice;
    here what_a_task_does_not_take_is_closed;
    here as_many_as_the_kernel_carries;
    here one_more_than_the_kernel_carries;
    alone a_receivers_limit_costs_one_message;
    alone a_full_table_costs_a_big_message;
    alone a_senders_limit_gives_the_value_back;
    alone a_limit_at_the_start_says_so;
    alone a_soft_limit_at_the_start_does_not_matter;
    alone a_limit_that_was_low_before_does_not_matter;
    alone a_limit_of_the_childs_own_does_not_matter;
    alone a_limit_at_the_join_says_so;
}

fn file_with(text: &str) -> File {
    let mut file = sys::temporary_file();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

#[child_task]
fn read_three_and_write(mut file: Fd<File>) -> String {
    let mut bytes = [0; 3];
    file.read_exact(&mut bytes).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b", written").unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn a_file_whose_position_is_shared(method: StartMethod) {
    let mut file = file_with("one two");
    assert_eq!(value(start(method, read_three_and_write::call(file.try_clone().unwrap().into()))), "one");
    assert_eq!(file.stream_position().unwrap(), 16);
    file.rewind().unwrap();
    assert_eq!(std::io::read_to_string(file).unwrap(), "one two, written");
}

#[child_task]
fn shout(mut tcp: Fd<TcpStream>, mut unix: Fd<UnixStream>, from: Fd<PipeReader>, to: Fd<PipeWriter>, raw: Fd<OwnedFd>) {
    let text = std::io::read_to_string(from.into_inner()).unwrap().to_uppercase();
    tcp.write_all(text.as_bytes()).unwrap();
    unix.write_all(text.as_bytes()).unwrap();
    to.into_inner().write_all(text.as_bytes()).unwrap();
    File::from(raw.into_inner()).write_all(text.as_bytes()).unwrap();
}

fn sockets_and_pipes(method: StartMethod) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (unix, unix_end) = UnixStream::pair().unwrap();
    let ((from, mut text), (pipe_end, to)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let (raw_end, raw) = std::io::pipe().unwrap();
    text.write_all(b"quiet").unwrap();
    drop(text);
    let raw = OwnedFd::from(raw);
    let child = start(method, shout::call(tcp.into(), unix.into(), from.into(), to.into(), raw.into()));
    let mut accepted = listener.accept().unwrap().0;
    let mut ends: [Box<dyn Read>; 4] =
        [Box::new(&mut accepted), Box::new(unix_end), Box::new(pipe_end), Box::new(raw_end)];
    // Each stream ends when the child closes the only copy.
    for end in &mut ends {
        assert_eq!(std::io::read_to_string(end).unwrap(), "QUIET");
    }
    value(child);
}

#[child_task]
fn make_a_pipe(text: String) -> (Fd<PipeReader>, Vec<Fd<File>>) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    (reader.into(), vec![file_with("a file").into(), file_with("another").into()])
}

fn in_a_result(method: StartMethod) {
    let (pipe, files) = value(start(method, make_a_pipe::call("through a pipe".to_owned())));
    assert_eq!(std::io::read_to_string(pipe.into_inner()).unwrap(), "through a pipe");
    let texts = files.into_iter().map(|file| std::io::read_to_string(file.into_inner()).unwrap());
    assert_eq!(texts.collect::<Vec<_>>(), ["a file", "another"]);
}

#[derive(Serialize, Deserialize)]
enum Work {
    Read { file: Fd<File>, answer: Sender<String> },
    Files(HashMap<String, Option<Fd<File>>>, Sender<usize>),
}

#[child_task]
fn work(works: Receiver<Work>) {
    for work in &works {
        match work.unwrap() {
            Work::Read { file, answer } => answer.send(std::io::read_to_string(file.into_inner()).unwrap()).unwrap(),
            Work::Files(files, answer) => {
                let lengths = files.into_values().flatten().map(|file| file.metadata().unwrap().len() as usize);
                answer.send(lengths.sum()).unwrap();
            }
        }
    }
}

fn in_messages_and_structures(method: StartMethod) {
    let (to, works) = channel().unwrap();
    let child = start(method, work::call(works));
    let (answer, text) = channel().unwrap();
    to.send(Work::Read { file: file_with("text").into(), answer }).unwrap();
    assert_eq!(next(&text), "text");
    let (answer, sum) = channel().unwrap();
    let files = ["a", "bc", ""].map(|text| (text.to_owned(), (!text.is_empty()).then(|| file_with(text).into())));
    to.send(Work::Files(files.into(), answer)).unwrap();
    assert_eq!(next(&sum), 3);
    drop(to);
    value(child);
}

#[child_task]
fn number_and_text(file: Fd<File>) -> (i32, String) {
    (file.as_raw_fd(), std::io::read_to_string(file.into_inner()).unwrap())
}

fn above_256(method: StartMethod) {
    let high = File::from(sys::duplicate_inheritable(&file_with("high"), 700));
    let (number, text) = value(start(method, number_and_text::call(high.into())));
    assert_eq!(text, "high");
    assert!(number < 300, "{number}");
    let many: Vec<File> = (0..300).map(|_| File::open("/dev/null").unwrap()).collect();
    let (to, from) = channel().unwrap();
    to.send(Fd::new(file_with("received"))).unwrap();
    let received: Fd<File> = next(&from);
    assert!(received.as_raw_fd() > 300 && many.len() == 300);
    assert_eq!(value(start(method, number_and_text::call(received))).1, "received");
}

fn is_closed_on_exec(fd: impl AsFd) -> bool {
    let flags = fcntl(fd.as_fd(), FcntlArg::F_GETFD).unwrap();
    FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC)
}

#[child_task]
fn are_closed_on_exec(file: Fd<File>, to: Sender<Fd<File>>, from: Receiver<Fd<File>>) -> [bool; 4] {
    let received = from.recv().unwrap();
    [is_closed_on_exec(&file), is_closed_on_exec(&to), is_closed_on_exec(&from), is_closed_on_exec(&received)]
}

fn closed_on_exec(method: StartMethod) {
    let (to, from) = channel().unwrap();
    to.send(Fd::new(file_with(""))).unwrap();
    assert_eq!(value(start(method, are_closed_on_exec::call(file_with("").into(), to, from))), [true; 4]);
}

#[child_task]
fn close_and_stay(pipe: Fd<PipeWriter>) {
    pipe.into_inner().write_all(b"written\n").unwrap();
    forever()
}

fn closing_it_in_the_child_is_seen(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let child = start(method, close_and_stay::call(writer.into()));
    assert_eq!(wait::rest(&mut reader), "written\n");
    assert!(procs::is_alive(child.pid()));
    child.kill().unwrap();
    failure(child);
}

fn the_senders_own_stays_open(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut kept = writer.try_clone().unwrap();
    let child = start(method, close_and_stay::call(writer.into()));
    assert_eq!(wait::line(&mut reader).unwrap(), "written");
    kept.write_all(b"by the parent\n").unwrap();
    assert_eq!(wait::line(&mut reader).unwrap(), "by the parent");
    child.kill().unwrap();
    failure(child);
}

#[child_task]
fn append(mut file: Fd<File>) {
    file.write_all(b"+").unwrap();
}

fn a_call_can_be_started_twice(method: StartMethod) {
    let mut file = file_with("");
    let call = append::call(file.try_clone().unwrap().into());
    value(start(method, call.clone()));
    value(start(method, call.clone()));
    value(start(method, call));
    file.rewind().unwrap();
    assert_eq!(std::io::read_to_string(file).unwrap(), "+++");
}

#[child_task]
fn refuses(_first: Fd<PipeWriter>, _never: Never) {}

/// A type that encodes, and never decodes.
struct Never;

impl Serialize for Never {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("never"))
    }
}

fn what_a_task_does_not_take_is_closed(method: StartMethod) {
    let ((mut reader, writer), (mut other, theirs)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let error = failure(start(method, refuses::call(writer.into(), Never)));
    assert!(matches!(error.kind(), JoinErrorKind::NotStarted(_)), "{error:?}");
    assert_eq!(wait::rest(&mut reader), "");
    let (to, from) = channel().unwrap();
    to.send((Fd::new(theirs), Never)).unwrap();
    assert_eq!(nothing::<(Fd<PipeWriter>, Never)>(from.recv()), RecvErrorKind::Undecodable);
    assert_eq!(wait::rest(&mut other), "");
}

/// `SCM_MAX_FD`, less the descriptors that the library may need for itself.
const MOST: usize = 246;

#[child_task]
fn sum_of_lengths(files: Vec<Fd<File>>, more: Vec<u8>) -> u64 {
    files.iter().map(|file| file.metadata().unwrap().len()).sum::<u64>() + more.len() as u64
}

fn files(count: usize) -> Vec<Fd<File>> {
    (0..count).map(|_| file_with("abc").into()).collect()
}

fn as_many_as_the_kernel_carries(method: StartMethod) {
    for more in [0, 1 << 20] {
        let call = sum_of_lengths::call(files(MOST), vec![1; more]);
        assert_eq!(value(start(method, call)), 3 * MOST as u64 + more as u64);
        let (to, from) = channel().unwrap();
        to.send((files(MOST), vec![1; more])).unwrap();
        let (files, rest): (Vec<Fd<File>>, Vec<u8>) = next(&from);
        assert_eq!(value(start(method, sum_of_lengths::call(files, rest))), 3 * MOST as u64 + more as u64);
    }
}

fn one_more_than_the_kernel_carries(method: StartMethod) {
    let error = get_error(get_context(method).unwrap().start(sum_of_lengths::call(files(MOST + 1), vec![])));
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(error.to_string().contains("246 descriptors"), "{error}");
    let (to, from) = channel::<Vec<Fd<File>>>().unwrap();
    let (kind, back) = unsent(to.send(files(MOST + 1)));
    assert_eq!((kind, back.len()), (SendErrorKind::Unencodable, MOST + 1));
    assert_eq!(nothing(from.try_recv()), RecvErrorKind::Empty);
}

/// Lets this process open `more` descriptors more.
fn leave_room_for(more: usize) {
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    let free = (0..).filter(|number| !sys::is_open(*number)).nth(more).unwrap();
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, free as u64, hard));
}

#[child_task]
fn receive_with_little_room(from: Receiver<Vec<Fd<File>>>) -> Vec<Result<usize, String>> {
    leave_room_for(5);
    from.iter().map(|files| files.map(|files| files.len()).map_err(|error| format!("{:?}", error.kind()))).collect()
}

fn a_receivers_limit_costs_one_message(method: StartMethod) {
    let (to, from) = channel().unwrap();
    for count in [1, 200, 0, 1, 200, 1] {
        to.send(files(count)).unwrap();
    }
    drop(to);
    let lost = || Err("DescriptorsLost".to_owned());
    let received = value(start(method, receive_with_little_room::call(from)));
    assert_eq!(received, [Ok(1), lost(), Ok(0), Ok(1), lost(), Ok(1)]);
}

#[child_task]
fn receive_without_room(from: Receiver<String>) -> Vec<Result<usize, String>> {
    leave_room_for(0);
    from.iter().map(|text| text.map(|text| text.len()).map_err(|error| format!("{:?}", error.kind()))).collect()
}

/// The big message travels in a memory file, and the receiver has no room for the descriptor.
fn a_full_table_costs_a_big_message(method: StartMethod) {
    let (to, from) = channel().unwrap();
    [3, 200_000, 4].into_iter().for_each(|length| to.send("x".repeat(length)).unwrap());
    drop(to);
    let received = value(start(method, receive_without_room::call(from)));
    assert_eq!(received, [Ok(3), Err("DescriptorsLost".to_owned()), Ok(4)]);
}

fn a_senders_limit_gives_the_value_back(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let mine = files(3);
    let before = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 10, before.1));
    let (kind, back) = unsent(to.send(mine));
    let refused = get_context(method).unwrap().start(sum_of_lengths::call(back, vec![]));
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, before.0, before.1));
    assert_eq!(kind, SendErrorKind::Unencodable);
    assert_eq!(get_error(refused).kind(), ErrorKind::Encode);
    assert_eq!(nothing::<Vec<Fd<File>>>(from.try_recv()), RecvErrorKind::Empty);
}

/// Returns a call with more files than a limit of 50 allows.
fn call_with_too_many() -> offspring::Call<u64> {
    sum_of_lengths::call(files(100), vec![])
}

fn a_limit_at_the_start_says_so(method: StartMethod) {
    let call = call_with_too_many();
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 50, 50));
    let child = start(method, call);
    if method == StartMethod::Fork {
        // A copy has the files already.
        return assert_eq!(value(child), 300);
    }
    let error = failure(child);
    let is_limit = |error: &offspring::Error| error.kind() == ErrorKind::LimitReached;
    assert!(matches!(error.kind(), JoinErrorKind::NotStarted(error) if is_limit(error)), "{error:?}");
    assert!(format!("{error:?}").contains("RLIMIT_NOFILE"), "{error:?}");
}

#[child_task]
fn limit_and_sum(files: Vec<Fd<File>>) -> (u64, u64) {
    let sum = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    (sys::limit(libc::RLIMIT_NOFILE).0, sum)
}

/// The limit applies to files that the child opens, not to given files.
fn a_soft_limit_at_the_start_does_not_matter(method: StartMethod) {
    let call = limit_and_sum::call(files(100));
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 50, hard));
    assert_eq!(value(start(method, call)), (50, 300));
}

/// A forkserver keeps the limit of its parent at the server's start.
fn a_limit_that_was_low_before_does_not_matter(method: StartMethod) {
    let (soft, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 50, hard));
    value(start(method, nothing_task::call()));
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, soft, hard));
    assert_eq!(value(start(method, limit_and_sum::call(files(100)))), (soft, 300));
}

fn a_limit_of_the_childs_own_does_not_matter(method: StartMethod) {
    let builder = build(method, limit_and_sum::call(files(100)));
    assert_eq!(value(run(method, builder.limit(Resource::OpenFiles, 20))), (20, 300));
}

#[child_task]
fn make_files(count: usize) -> Vec<Fd<File>> {
    files(count)
}

fn a_limit_at_the_join_says_so(method: StartMethod) {
    let mut child = start(method, make_files::call(100));
    let (soft, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 50, hard));
    let joined = child.join_timeout(wait::LIMIT);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, soft, hard));
    let error = joined.map(|files| files.map(|files| files.len())).unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::DescriptorsLost), "{error:?}");
    assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
}

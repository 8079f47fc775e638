//! Two-way pipes: requests and answers, and two sides that send without reading.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use offspring::{
    Duplex, ErrorKind, Process, RecvErrorKind, RequestError, SendErrorKind, Sender, StartMethod, channel, child_task,
    duplex, get_context,
};
use offspring_tests::ends::{next, nothing, unsent, until_waits_in};
use offspring_tests::{cases, failure, get_error, start, sys, value, wait};

use crate::tasks::forever;

cases! {
    here one_request_after_another;
    here requests_of_every_size;
    here an_answer_that_does_not_come_in_time;
    here both_send_without_reading;
    alone both_send_big_messages_without_reading;
    here neither_side_ever_reads;
    alone one_thread_sends_and_another_receives;
    here calls_that_do_not_wait;
    here a_waiting_side_learns_of_the_end;
    here what_was_sent_survives_its_sender;
    here requests_to_a_dead_child;
    here given_returned_and_sent_along;
    here passed_on_with_unread_messages;
    here in_a_child_and_its_own_child;
}

#[child_task]
fn serve(parent: Duplex<String, String>) -> u32 {
    let mut count = 0;
    while let Ok(text) = parent.recv() {
        parent.send(text.to_uppercase()).unwrap();
        count += 1;
    }
    count
}

fn server(method: StartMethod) -> (Duplex<String, String>, Process<u32>) {
    let (here, there) = duplex().unwrap();
    let child = start(method, serve::call(there));
    (here, child)
}

fn one_request_after_another(method: StartMethod) {
    let (here, child) = server(method);
    for text in ["a", "", "longer"] {
        assert_eq!(here.request_timeout(text.to_owned(), wait::LIMIT).unwrap(), text.to_uppercase());
        assert_eq!(here.request(text.to_owned()).unwrap(), text.to_uppercase());
    }
    drop(here);
    assert_eq!(value(child), 6);
}

fn requests_of_every_size(method: StartMethod) {
    let (here, child) = server(method);
    for size in [0, 62, 1000, 114_000, 115_000, 131_000, 132_000, 1_000_000, 5_000_000] {
        let answer = here.request_timeout("x".repeat(size), wait::LIMIT).unwrap();
        assert!(answer.len() == size && answer.bytes().all(|byte| byte == b'X'), "{size} bytes");
    }
    drop(here);
    value(child);
}

#[child_task]
fn serve_when_told(parent: Duplex<u32, u32>, told: offspring::Receiver<()>) {
    told.recv().unwrap();
    while let Ok(number) = parent.recv() {
        parent.send(number + 1).unwrap();
    }
}

fn an_answer_that_does_not_come_in_time(method: StartMethod) {
    const SHORT: Duration = Duration::from_millis(30);
    let ((here, there), (tell, told)) = (duplex().unwrap(), channel().unwrap());
    let child = start(method, serve_when_told::call(there, told));
    let begin = Instant::now();
    let error = here.request_timeout(1, SHORT).unwrap_err();
    assert!(begin.elapsed() >= SHORT);
    assert!(matches!(&error, RequestError::Receive(error) if error.kind() == RecvErrorKind::TimedOut), "{error:?}");
    tell.send(()).unwrap();
    // The late answer comes before the answer to the second request.
    assert_eq!(here.request_timeout(5, wait::LIMIT).unwrap(), 2);
    assert_eq!(here.recv_timeout(wait::LIMIT).unwrap(), 6);
    drop(here);
    value(child);
}

fn text(number: u32, size: usize) -> String {
    char::from(b'a' + (number % 26) as u8).to_string().repeat(size)
}

/// Sends all messages before the first read. Returns whether all messages arrive in order.
fn send_all_then_read(end: &Duplex<(u32, String), (u32, String)>, count: u32, size: usize) -> bool {
    (0..count).for_each(|number| end.send((number, text(number, size))).unwrap());
    let as_sent = |number: u32| {
        let (received, content) = end.recv().unwrap();
        received == number && content == text(number, size)
    };
    (0..count).all(as_sent)
}

#[child_task]
fn send_and_read(parent: Duplex<(u32, String), (u32, String)>, count: u32, size: usize) -> bool {
    send_all_then_read(&parent, count, size)
}

fn both_send(method: StartMethod, count: u32, size: usize) {
    let (here, there) = duplex().unwrap();
    let child = start(method, send_and_read::call(there, count, size));
    assert!(send_all_then_read(&here, count, size));
    assert!(value(child));
}

fn both_send_without_reading(method: StartMethod) {
    both_send(method, 10_000, 20);
}

/// Messages within a datagram, and in memory files, of which there are more than either side may have open.
fn both_send_big_messages_without_reading(method: StartMethod) {
    both_send(method, 300, 50_000);
    let (soft, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 200, hard));
    both_send(method, 300, 200_000);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, soft, hard));
}

/// Messages that the sending thread receives while waiting for room reach the thread that waits for messages.
fn one_thread_sends_and_another_receives(method: StartMethod) {
    const COUNT: u32 = 3000;
    let (here, there) = duplex::<(u32, String), (u32, String)>().unwrap();
    let child = start(method, send_and_read::call(there, COUNT, 1000));
    std::thread::scope(|scope| {
        scope.spawn(|| (0..COUNT).for_each(|number| here.send((number, text(number, 1000))).unwrap()));
        for number in 0..COUNT {
            let received = here.recv_timeout(wait::LIMIT).unwrap();
            assert_eq!(received.0, number);
        }
    });
    assert!(value(child));
}

#[child_task]
fn send_for_ever(parent: Duplex<String, String>) -> String {
    loop {
        if let Err(error) = parent.send(text(1, 100_000)) {
            return format!("{:?}", error.kind());
        }
    }
}

/// The memory for received messages has a limit, with an error instead of a hang.
fn neither_side_ever_reads(method: StartMethod) {
    let (here, there) = duplex::<String, String>().unwrap();
    let child = start(method, send_for_ever::call(there));
    let error = std::iter::from_fn(|| Some(here.send(text(2, 100_000)))).find_map(Result::err).unwrap();
    assert_eq!(error.into_inner().len(), 100_000);
    let taken_in = std::iter::from_fn(|| here.recv_timeout(wait::LIMIT).ok()).take(640).count();
    drop(here);
    // The faster side has received 64 MiB.
    let kind = value(child);
    assert!(kind == "Full" || taken_in == 640, "{kind}, {taken_in} messages");
}

fn calls_that_do_not_wait(method: StartMethod) {
    let (here, child) = server(method);
    assert_eq!(nothing(here.try_recv()), RecvErrorKind::Empty);
    assert_eq!(nothing(here.recv_timeout(Duration::ZERO)), RecvErrorKind::TimedOut);
    here.try_send("x".to_owned()).unwrap();
    wait::until("the answer is there", || wait::is_readable(here.as_fd()));
    assert_eq!(here.try_recv().unwrap(), "X");
    drop(here);
    value(child);
    let (here, _there) = duplex::<u32, u32>().unwrap();
    let kind = (0..1000).find_map(|number| here.try_send(number).err()).map(|error| error.kind());
    assert_eq!(kind, Some(SendErrorKind::Full));
    let short = Duration::from_millis(20);
    assert_eq!(unsent(here.send_timeout(8, short)), (SendErrorKind::TimedOut, 8));
}

#[child_task]
fn wait_for_end(parent: Duplex<u32, u32>) -> (String, String) {
    let received = format!("{:?}", parent.recv().unwrap_err().kind());
    (received, format!("{:?}", parent.send(1).unwrap_err().kind()))
}

#[child_task]
fn send_until_end(parent: Duplex<Vec<u8>, u32>) -> String {
    loop {
        if let Err(error) = parent.send(vec![0; 1000]) {
            return format!("{:?}", error.kind());
        }
    }
}

fn a_waiting_side_learns_of_the_end(method: StartMethod) {
    let ((here, there), (other_here, other_there)) = (duplex().unwrap(), duplex().unwrap());
    let receiver = start(method, wait_for_end::call(there));
    let sender = start(method, send_until_end::call(other_there));
    until_waits_in(receiver.pid(), libc::SYS_recvmsg);
    until_waits_in(sender.pid(), libc::SYS_poll);
    drop((here, other_here));
    assert_eq!(value(receiver), ("Disconnected".to_owned(), "Disconnected".to_owned()));
    assert_eq!(value(sender), "Disconnected");
}

#[child_task]
fn send_and_leave(parent: Duplex<u32, u32>) {
    (0..50).for_each(|number| parent.send(number).unwrap());
}

/// Holds also if the sender has left unread messages, which the kernel reports first.
fn what_was_sent_survives_its_sender(method: StartMethod) {
    let (here, there) = duplex().unwrap();
    here.send(99).unwrap();
    value(start(method, send_and_leave::call(there)));
    assert!((0..50).all(|number| here.recv_timeout(wait::LIMIT).unwrap() == number));
    for _ in 0..2 {
        assert_eq!(nothing(here.recv_timeout(wait::LIMIT)), RecvErrorKind::Disconnected);
        assert_eq!(unsent(here.send(7)), (SendErrorKind::Disconnected, 7));
    }
}

#[child_task]
fn take_and_hang(parent: Duplex<u32, u32>, ready: Sender<()>) {
    parent.recv().unwrap();
    ready.send(()).unwrap();
    forever()
}

fn requests_to_a_dead_child(method: StartMethod) {
    let ((here, there), (ready, is_ready)) = (duplex().unwrap(), channel().unwrap());
    let child = start(method, take_and_hang::call(there, ready));
    here.send(1).unwrap();
    next(&is_ready);
    here.send(2).unwrap();
    child.kill().unwrap();
    failure(child);
    assert_eq!(nothing(here.recv_timeout(wait::LIMIT)), RecvErrorKind::Disconnected);
    let error = here.request(3).unwrap_err();
    assert!(matches!(&error, RequestError::Send(error) if error.kind() == SendErrorKind::Disconnected), "{error:?}");
}

#[child_task]
fn give_back(end: Duplex<u32, u32>, others: Vec<Option<Duplex<u32, u32>>>) -> (Duplex<u32, u32>, usize) {
    end.send(5).unwrap();
    for other in others.iter().flatten() {
        other.send(6).unwrap();
    }
    (end, others.len())
}

fn given_returned_and_sent_along(method: StartMethod) {
    let ((here, there), (other_here, other_there)) = (duplex::<u32, u32>().unwrap(), duplex().unwrap());
    let (there, count) = value(start(method, give_back::call(there, vec![None, Some(other_there)])));
    assert_eq!((here.recv().unwrap(), other_here.recv().unwrap(), count), (5, 6, 2));
    let (to, from) = channel().unwrap();
    to.send((there, 1)).unwrap();
    let (there, _): (Duplex<u32, u32>, u8) = next(&from);
    here.send(7).unwrap();
    assert_eq!(there.recv().unwrap(), 7);
}

/// The unread messages would be left behind.
fn passed_on_with_unread_messages(method: StartMethod) {
    let (here, there) = duplex::<u32, u32>().unwrap();
    (0..10).for_each(|number| there.send(number).unwrap());
    while here.try_send(0).is_ok() {}
    // Receives the messages during the wait for room.
    assert_eq!(unsent(here.send_timeout(1, Duration::from_millis(200))).0, SendErrorKind::TimedOut);
    let (to, _from) = channel().unwrap();
    let (kind, here) = unsent(to.send(here));
    assert_eq!(kind, SendErrorKind::Unencodable);
    let error = get_error(get_context(method).unwrap().start(count_received::call(here)));
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(error.to_string().contains("has not read"), "{error}");
}

#[child_task]
fn count_received(end: Duplex<u32, u32>) -> usize {
    std::iter::from_fn(|| end.recv().ok()).count()
}

#[child_task]
fn pass_on(method: StartMethod, end: Duplex<String, String>) -> u32 {
    let text = end.recv().unwrap();
    end.send(format!("{text} from the child")).unwrap();
    value(start(method, serve::call(end)))
}

fn in_a_child_and_its_own_child(method: StartMethod) {
    let (here, there) = duplex().unwrap();
    let child = start(method, pass_on::call(method, there));
    assert_eq!(here.request("a".to_owned()).unwrap(), "a from the child");
    assert_eq!(here.request("b".to_owned()).unwrap(), "B");
    drop(here);
    assert_eq!(value(child), 1);
}

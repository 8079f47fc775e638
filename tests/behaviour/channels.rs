//! Channels: messages arrive whole, in order and once, and each side learns of the other side's end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use offspring::{Process, Receiver, RecvErrorKind, SendErrorKind, Sender, StartMethod, channel, child_task};
use offspring_tests::ends::{all, is_over, next, nothing, unsent, until_waits_in};
use offspring_tests::sys::Disposition;
use offspring_tests::{cases, failure, start, sys, value, wait};

use crate::tasks::forever;

cases! {
    here both_ways_to_a_child;
    here every_size_arrives;
    here boundaries_are_kept;
    here messages_without_content;
    here one_senders_order;
    here each_message_goes_to_one_receiver;
    here as_full_as_documented;
    here big_messages_take_a_small_place;
    here room_that_comes_late_is_used;
    here a_call_that_does_not_wait;
    here time_runs_out;
    here iteration_ends_with_the_last_sender;
    here the_end_comes_after_the_last_message;
    here join_before_anything_is_read;
    here a_waiting_receiver_learns_of_the_end;
    here a_waiting_sender_gets_its_value_back;
    here a_killed_sender_is_no_sender_any_more;
    here a_killed_receiver_is_no_receiver_any_more;
    here what_cannot_be_encoded;
    alone signals_do_not_disturb;
    alone threads_share_an_end;
}

#[child_task]
fn lengths(words: Receiver<String>, lengths: Sender<usize>) -> u64 {
    let mut count = 0;
    for word in &words {
        lengths.send(word.unwrap().len()).unwrap();
        count += 1;
    }
    count
}

/// Starts a child that answers each text with its length.
fn with_lengths(method: StartMethod) -> (Sender<String>, Receiver<usize>, Process<u64>) {
    let ((words, theirs), (their_lengths, lengths)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, lengths::call(theirs, their_lengths));
    (words, lengths, child)
}

fn both_ways_to_a_child(method: StartMethod) {
    let (words, lengths, child) = with_lengths(method);
    for word in ["one", "three", "é"] {
        words.send(word.to_owned()).unwrap();
        assert_eq!(next(&lengths), word.len());
    }
    drop(words);
    assert_eq!(value(child), 3);
    is_over(&lengths);
}

#[child_task]
fn echo(from: Receiver<String>, to: Sender<String>) {
    for text in from.iter() {
        to.send(text.unwrap()).unwrap();
    }
}

/// Returns lengths around the size of the encoder's own buffer, and around the size of a datagram, above which a memory
/// file carries the message.
fn sizes() -> Vec<usize> {
    const KIB: usize = 1024;
    let around = |size: usize| size - 4..=size + 2;
    let edges = [62, 128, 112 * KIB, 128 * KIB].into_iter().flat_map(around);
    (0..4).chain(edges).chain([5000, 64 * KIB, 208 * KIB, 212_992, 1_000_000, 5_000_000]).collect()
}

fn every_size_arrives(method: StartMethod) {
    let ((to, theirs), (their_answers, answers)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, echo::call(theirs, their_answers));
    for size in sizes() {
        let mut text = "every piece is in its place; ".repeat(size / 29 + 1);
        text.truncate(size);
        to.send(text.clone()).unwrap();
        assert!(next(&answers) == text, "{size} bytes");
    }
    drop(to);
    value(child);
}

#[child_task]
fn send_texts(texts: Vec<String>, to: Sender<String>) {
    texts.into_iter().for_each(|text| to.send(text).unwrap());
}

fn boundaries_are_kept(method: StartMethod) {
    let (to, texts) = channel().unwrap();
    let sent: Vec<String> = ["", "a", "", "bc", "d"].map(str::to_owned).to_vec();
    value(start(method, send_texts::call(sent.clone(), to)));
    assert_eq!(all(&texts), sent);
}

#[child_task]
fn send_nothings(count: usize, to: Sender<()>) {
    (0..count).for_each(|_| to.send(()).unwrap());
}

fn messages_without_content(method: StartMethod) {
    let (to, nothings) = channel().unwrap();
    value(start(method, send_nothings::call(7, to)));
    assert_eq!(all(&nothings).len(), 7);
}

#[child_task]
fn send_numbers(own: u32, count: u32, to: Sender<(u32, u32)>) {
    (0..count).for_each(|number| to.send((own, number)).unwrap());
}

fn one_senders_order(method: StartMethod) {
    let (to, numbers) = channel().unwrap();
    let children: Vec<_> = (0..3).map(|own| start(method, send_numbers::call(own, 500, to.clone()))).collect();
    drop(to);
    let received = all(&numbers);
    for own in 0..3 {
        let of_one = received.iter().filter(|(sender, _)| *sender == own).map(|(_, number)| *number);
        assert!(of_one.eq(0..500), "the messages of sender {own}");
    }
    children.into_iter().for_each(value);
}

#[child_task]
fn collect(from: Receiver<(u32, u32)>) -> Vec<(u32, u32)> {
    from.iter().map(Result::unwrap).collect()
}

fn each_message_goes_to_one_receiver(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let receivers: Vec<_> = (0..3).map(|_| start(method, collect::call(from.clone()))).collect();
    let senders: Vec<_> = (0..3).map(|own| start(method, send_numbers::call(own, 300, to.clone()))).collect();
    drop((to, from));
    senders.into_iter().for_each(value);
    let received: Vec<(u32, u32)> = receivers.into_iter().flat_map(value).collect();
    assert_eq!(received.len(), 900);
    assert_eq!(received.iter().collect::<BTreeSet<_>>().len(), 900, "a message was received twice");
}

/// Sends until the channel is full, and returns the number of messages.
#[track_caller]
fn fill<T: serde::Serialize + Clone + PartialEq + std::fmt::Debug>(sender: &Sender<T>, value: &T) -> usize {
    let mut count = 0;
    loop {
        match sender.try_send(value.clone()) {
            Ok(()) => count += 1,
            refused => {
                assert_eq!(unsent(refused), (SendErrorKind::Full, value.clone()));
                return count;
            }
        }
        assert!(count < 100_000, "a channel that is never full");
    }
}

#[child_task]
fn count(from: Receiver<String>) -> usize {
    from.iter().map(|text| text.unwrap().len()).sum()
}

/// Tells whether the system has the buffer size that the documentation assumes.
fn is_usual_buffer() -> bool {
    std::fs::read_to_string("/proc/sys/net/core/wmem_default").is_ok_and(|text| text.trim() == "212992")
}

fn as_full_as_documented(method: StartMethod) {
    for (length, room) in [(1, 278), (64 << 10, 3)] {
        let (to, from) = channel().unwrap();
        let sent = fill(&to, &"x".repeat(length));
        assert!(!is_usual_buffer() || sent >= room, "{sent} messages of {length} bytes");
        let child = start(method, count::call(from));
        drop(to);
        assert_eq!(value(child), sent * length);
    }
}

fn big_messages_take_a_small_place(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let text = "x".repeat(200 << 10);
    (0..100).for_each(|_| to.try_send(text.clone()).unwrap());
    drop(to);
    assert_eq!(value(start(method, count::call(from))), 100 * text.len());
}

#[child_task]
fn take_when_told(from: Receiver<String>, count: usize, told: Receiver<()>, done: Sender<()>) {
    told.recv().unwrap();
    (0..count).for_each(|_| drop(from.recv().unwrap()));
    done.send(()).unwrap();
    drop(done);
    forever()
}

/// The kernel wakes a waiting sender only when three quarters are free. Room for one message must do.
fn room_that_comes_late_is_used(method: StartMethod) {
    let ((to, from), (tell, told), (done, is_done)) = (channel().unwrap(), channel().unwrap(), channel().unwrap());
    let text = "x".to_owned();
    let sent = fill(&to, &text);
    let child = start(method, take_when_told::call(from, 10, told, done));
    tell.send(()).unwrap();
    // Exactly ten places become free during this wait.
    to.send_timeout(text.clone(), Duration::from_millis(1500)).unwrap();
    next(&is_done);
    assert!(fill(&to, &text) >= 5, "{sent} were sent before");
    child.kill().unwrap();
    failure(child);
}

fn a_call_that_does_not_wait(method: StartMethod) {
    let (words, lengths, child) = with_lengths(method);
    assert_eq!(nothing(lengths.try_recv()), RecvErrorKind::Empty);
    words.try_send("four".to_owned()).unwrap();
    wait::until("the answer is there", || wait::is_readable(std::os::fd::AsFd::as_fd(&lengths)));
    assert_eq!(lengths.try_recv().unwrap(), 4);
    assert_eq!(nothing(lengths.try_recv()), RecvErrorKind::Empty);
    drop(words);
    value(child);
    assert_eq!(nothing(lengths.try_recv()), RecvErrorKind::Disconnected);
}

#[track_caller]
fn takes<T>(at_least: Duration, act: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = act();
    assert!(begin.elapsed() >= at_least, "after {:?}", begin.elapsed());
    done
}

fn time_runs_out(method: StartMethod) {
    const SHORT: Duration = Duration::from_millis(30);
    let (words, lengths, child) = with_lengths(method);
    assert_eq!(takes(SHORT, || nothing(lengths.recv_timeout(SHORT))), RecvErrorKind::TimedOut);
    assert_eq!(nothing(lengths.recv_timeout(Duration::ZERO)), RecvErrorKind::TimedOut);
    drop(words);
    value(child);
    let (to, _from) = channel().unwrap();
    fill(&to, &3);
    assert_eq!(takes(SHORT, || unsent(to.send_timeout(4, SHORT))), (SendErrorKind::TimedOut, 4));
    assert_eq!(unsent(to.send_timeout(5, Duration::ZERO)), (SendErrorKind::TimedOut, 5));
}

fn iteration_ends_with_the_last_sender(method: StartMethod) {
    let (to, numbers) = channel().unwrap();
    let children: Vec<_> = (0..2).map(|own| start(method, send_numbers::call(own, 5, to.clone()))).collect();
    children.into_iter().for_each(value);
    assert_eq!(numbers.iter().take(9).filter_map(Result::ok).count(), 9);
    drop(to);
    let mut rest = numbers.iter();
    assert!(rest.next().unwrap().is_ok());
    assert!(rest.next().is_none() && rest.next().is_none());
}

fn the_end_comes_after_the_last_message(method: StartMethod) {
    let (to, numbers) = channel().unwrap();
    value(start(method, send_numbers::call(0, 20, to)));
    assert_eq!(all(&numbers).len(), 20);
    for _ in 0..2 {
        assert_eq!(nothing(numbers.recv()), RecvErrorKind::Disconnected);
        assert_eq!(nothing(numbers.recv_timeout(wait::LIMIT)), RecvErrorKind::Disconnected);
    }
}

/// In `multiprocessing` a child with unread messages cannot end.
fn join_before_anything_is_read(method: StartMethod) {
    let (to, numbers) = channel().unwrap();
    value(start(method, send_numbers::call(0, 200, to)));
    assert_eq!(all(&numbers).len(), 200);
}

fn a_waiting_receiver_learns_of_the_end(method: StartMethod) {
    let (to, from) = channel::<(u32, u32)>().unwrap();
    let children: Vec<_> = (0..2).map(|_| start(method, collect::call(from.clone()))).collect();
    children.iter().for_each(|child| until_waits_in(child.pid(), libc::SYS_recvmsg));
    drop(to);
    children.into_iter().for_each(|child| assert_eq!(value(child), []));
}

/// Sends numbers until a failure, and returns the number of sent messages, the reason, and the returned value.
#[child_task]
fn send_until_refused(to: Sender<(u64, Vec<u8>)>) -> (u64, String, u64) {
    let mut sent = 0;
    loop {
        match to.send((sent, vec![1; 100])) {
            Ok(()) => sent += 1,
            Err(error) => return (sent, format!("{:?}", error.kind()), error.into_inner().0),
        }
    }
}

#[track_caller]
fn refused(child: Process<(u64, String, u64)>) {
    let (sent, kind, back) = value(child);
    assert_eq!((&*kind, back), ("Disconnected", sent));
}

fn a_waiting_sender_gets_its_value_back(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let children: Vec<_> = (0..2).map(|_| start(method, send_until_refused::call(to.clone()))).collect();
    children.iter().for_each(|child| until_waits_in(child.pid(), libc::SYS_sendmsg));
    drop(from);
    children.into_iter().for_each(refused);
    assert_eq!(unsent(to.try_send((7, vec![]))), (SendErrorKind::Disconnected, (7, vec![])));
}

#[child_task]
fn hold_sender(held: Sender<(u32, u32)>, ready: Sender<()>) {
    held.send((0, 0)).unwrap();
    ready.send(()).unwrap();
    forever()
}

fn a_killed_sender_is_no_sender_any_more(method: StartMethod) {
    let ((to, from), (ready, is_ready)) = (channel().unwrap(), channel().unwrap());
    let receiver = start(method, collect::call(from));
    let senders: Vec<_> = (0..2).map(|_| start(method, hold_sender::call(to.clone(), ready.clone()))).collect();
    drop(to);
    senders.iter().for_each(|_| next(&is_ready));
    until_waits_in(receiver.pid(), libc::SYS_recvmsg);
    for sender in senders {
        sender.kill().unwrap();
        failure(sender);
    }
    assert_eq!(value(receiver), [(0, 0); 2]);
}

#[child_task]
fn hold_receiver_of_bytes(held: Receiver<(u64, Vec<u8>)>) {
    held.recv().unwrap();
    forever()
}

fn a_killed_receiver_is_no_receiver_any_more(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let holder = start(method, hold_receiver_of_bytes::call(from));
    let sender = start(method, send_until_refused::call(to));
    until_waits_in(sender.pid(), libc::SYS_sendmsg);
    holder.kill().unwrap();
    failure(holder);
    refused(sender);
}

/// Refuses some of its serialisations.
#[derive(Debug, PartialEq, serde::Deserialize)]
enum Odd {
    Number(u32),
    Endless,
}

impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_newtype_variant("Odd", 0, "Number", number),
            Self::Endless => Err(serde::ser::Error::custom("it has no end")),
        }
    }
}

#[child_task]
fn send_odd(to: Sender<Odd>) -> (String, String) {
    to.send(Odd::Number(1)).unwrap();
    let error = to.send(Odd::Endless).unwrap_err();
    to.send(Odd::Number(2)).unwrap();
    let told = (error.to_string(), format!("{:?}", error.kind()));
    assert_eq!(error.into_inner(), Odd::Endless);
    told
}

fn what_cannot_be_encoded(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let (text, kind) = value(start(method, send_odd::call(to)));
    assert_eq!(kind, "Unencodable");
    assert!(text.contains("it has no end"), "{text}");
    assert_eq!(all(&from), [Odd::Number(1), Odd::Number(2)]);
}

#[child_task]
fn count_slowly(from: Receiver<(u64, Vec<u8>)>, count: u64) -> u64 {
    sys::on_signal(libc::SIGUSR1, Disposition::Nothing);
    (0..count).map(|number| from.recv().map(|(sent, _)| assert_eq!(sent, number)).map_or(0, |()| 1)).sum()
}

/// Both sides wait again and again, while signals interrupt them.
fn signals_do_not_disturb(method: StartMethod) {
    const COUNT: u64 = 1000;
    sys::on_signal(libc::SIGUSR1, Disposition::Nothing);
    let (to, from) = channel().unwrap();
    let child = start(method, count_slowly::call(from, COUNT));
    let targets = [std::process::id(), child.pid()];
    until_waits_in(child.pid(), libc::SYS_recvmsg);
    let storm = sys::Assistant::new(|| {
        targets.into_iter().for_each(|target| sys::kill(target as i32, libc::SIGUSR1));
        std::thread::yield_now();
    });
    for number in 0..COUNT {
        to.send((number, vec![0; 2000])).unwrap();
    }
    assert_eq!(value(child), COUNT);
    drop(storm);
}

#[child_task]
fn send_by_threads(to: Sender<(u32, u32)>) {
    std::thread::scope(|scope| {
        for own in 0..4 {
            let to = &to;
            scope.spawn(move || (0..500).for_each(|number| to.send((own, number)).unwrap()));
        }
    });
}

fn threads_share_an_end(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let child = start(method, send_by_threads::call(to));
    let received: Vec<(u32, u32)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| all(&from))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    value(child);
    assert_eq!((received.len(), received.iter().collect::<BTreeSet<_>>().len()), (2000, 2000));
}

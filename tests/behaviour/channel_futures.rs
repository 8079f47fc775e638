//! Channels awaited, with the executor of a few lines from the other futures.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use offspring::{Process, Receiver, RecvErrorKind, SendErrorKind, Sender, StartMethod, channel, child_task};
use offspring_tests::ends::{is_over, next};
use offspring_tests::{cases, procs, start, value, wait};

use crate::futures::{Unpark, block_on};

cases! {
    alone what_is_there_needs_no_thread;
    alone what_comes_later;
    alone room_that_comes_later;
    alone several_on_one_receiver;
    alone a_dropped_future_loses_nothing;
    alone a_dropped_send_sends_nothing;
    alone the_end_wakes_a_receiver;
    alone the_end_wakes_a_sender;
    alone a_receiver_dropped_after_its_future_is_gone;
    alone a_later_waker_replaces_the_first;
    alone a_stream_until_the_end;
    alone both_ways_at_once;
    alone in_a_child;
}

#[child_task]
fn send_when_told(told: Receiver<u32>, to: Sender<u32>) {
    for number in &told {
        to.send(number.unwrap()).unwrap();
    }
}

/// Starts a child that sends each received number back.
fn told(method: StartMethod) -> (Sender<u32>, Receiver<u32>, Process<()>) {
    let ((tell, told), (to, from)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, send_when_told::call(told, to));
    (tell, from, child)
}

/// Returns the output if ready at once.
fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn what_is_there_needs_no_thread(method: StartMethod) {
    let (tell, from, child) = told(method);
    tell.send(1).unwrap();
    drop(tell);
    value(child);
    let (to, other) = channel().unwrap();
    assert_eq!(now(&mut from.recv_async()).unwrap().unwrap(), 1);
    assert_eq!(now(&mut from.recv_async()).unwrap().unwrap_err().kind(), RecvErrorKind::Disconnected);
    now(&mut to.send_async(5)).unwrap().unwrap();
    assert_eq!(next(&other), 5);
    assert_eq!(procs::status("self", "Threads"), "1");
}

fn what_comes_later(method: StartMethod) {
    let (tell, from, child) = told(method);
    for number in 0..50 {
        let mut future = from.recv_async();
        assert!(now(&mut future).is_none());
        tell.send(number).unwrap();
        assert_eq!(block_on(future).unwrap(), number);
    }
    assert_eq!(procs::status("self", "Threads"), "2", "one thread for all");
    drop(tell);
    value(child);
}

/// Sends until there is no room, and returns the number of messages.
fn fill(to: &Sender<u32>) -> u32 {
    (0..).find(|number| to.try_send(*number).is_err()).unwrap()
}

#[child_task]
fn take_when_told(told: Receiver<()>, from: Receiver<u32>) -> Vec<u32> {
    told.recv().unwrap();
    from.iter().map(Result::unwrap).collect()
}

fn room_that_comes_later(method: StartMethod) {
    let ((to, from), (tell, told)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, take_when_told::call(told, from));
    let sent = fill(&to);
    let mut future = to.send_async(1_000_000);
    assert!(now(&mut future).is_none());
    tell.send(()).unwrap();
    block_on(future).unwrap();
    drop(to);
    let received = value(child);
    assert!(received.iter().copied().eq((0..sent).chain([1_000_000])));
}

fn several_on_one_receiver(method: StartMethod) {
    let (tell, from, child) = told(method);
    let mut futures: Vec<_> = (0..5).map(|_| Some(from.recv_async())).collect();
    let (mut got, mut tell) = (Vec::new(), Some(tell));
    block_on(std::future::poll_fn(|polling| {
        for slot in &mut futures {
            if let Some(future) = slot
                && let Poll::Ready(number) = pin!(future).poll(polling)
            {
                got.push(number.unwrap());
                *slot = None;
            }
        }
        // All futures are pending by now.
        if let Some(tell) = tell.take() {
            (0..5).for_each(|number| tell.send(number).unwrap());
        }
        if futures.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    }));
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3, 4]);
    value(child);
}

fn a_dropped_future_loses_nothing(method: StartMethod) {
    let (tell, from, child) = told(method);
    let (mut first, mut second) = (from.recv_async(), from.recv_async());
    assert!(now(&mut first).is_none() && now(&mut second).is_none());
    tell.send(1).unwrap();
    wait::until("the message is there", || wait::is_readable(std::os::fd::AsFd::as_fd(&from)));
    drop(first);
    assert_eq!(block_on(second).unwrap(), 1);
    let mut third = from.recv_async();
    assert!(now(&mut third).is_none());
    drop((third, tell));
    is_over(&from);
    value(child);
}

fn a_dropped_send_sends_nothing(method: StartMethod) {
    let ((to, from), (tell, told)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, take_when_told::call(told, from));
    let sent = fill(&to);
    let mut future = to.send_async(1_000_000);
    assert!(now(&mut future).is_none());
    drop(future);
    drop(to.send_async(2_000_000));
    tell.send(()).unwrap();
    drop(to);
    assert!(value(child).into_iter().eq(0..sent));
}

fn the_end_wakes_a_receiver(method: StartMethod) {
    let (tell, from, child) = told(method);
    let mut future = from.recv_async();
    assert!(now(&mut future).is_none());
    child.kill().unwrap();
    assert_eq!(block_on(future).unwrap_err().kind(), RecvErrorKind::Disconnected);
    offspring_tests::failure(child);
    drop(tell);
}

fn the_end_wakes_a_sender(method: StartMethod) {
    let ((to, from), (_tell, told)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, take_when_told::call(told, from));
    fill(&to);
    let mut future = to.send_async(7);
    assert!(now(&mut future).is_none());
    child.kill().unwrap();
    let error = block_on(future).unwrap_err();
    assert_eq!((error.kind(), error.into_inner()), (SendErrorKind::Disconnected, 7));
    offspring_tests::failure(child);
}

#[child_task]
fn send_for_ever(to: Sender<u32>, go_on: Receiver<()>) -> String {
    go_on.recv().unwrap();
    loop {
        if let Err(error) = to.send(1) {
            return format!("{:?}", error.kind());
        }
    }
}

/// The waiting thread drops the receiver too.
fn a_receiver_dropped_after_its_future_is_gone(method: StartMethod) {
    let ((to, from), (tell, told)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, send_for_ever::call(to, told));
    let mut future = from.recv_async();
    assert!(now(&mut future).is_none());
    drop(future);
    drop(from);
    tell.send(()).unwrap();
    assert_eq!(value(child), "Disconnected");
}

fn a_later_waker_replaces_the_first(method: StartMethod) {
    let (tell, from, child) = told(method);
    let forgotten = Arc::new(Unpark(std::thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&forgotten));
    let mut future = from.recv_async();
    assert!(pin!(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(now(&mut future).is_none());
    tell.send(3).unwrap();
    assert_eq!(block_on(future).unwrap(), 3);
    assert_eq!(forgotten.1.load(Ordering::SeqCst), 0);
    drop(tell);
    value(child);
}

#[child_task]
fn count_to(number: u32, to: Sender<u32>) {
    (0..number).for_each(|count| to.send(count).unwrap());
}

fn a_stream_until_the_end(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let child = start(method, count_to::call(2000, to));
    let mut stream = from.into_stream();
    let mut received = Vec::new();
    block_on(std::future::poll_fn(|polling| {
        while let Poll::Ready(item) = pin!(&mut stream).poll_next(polling) {
            match item {
                Some(number) => received.push(number.unwrap()),
                None => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }));
    assert!(received.into_iter().eq(0..2000));
    let again = pin!(&mut stream).poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(again, Poll::Ready(None)));
    value(child);
}

/// A sender and a receiver on one thread, without waits for each other.
fn both_ways_at_once(method: StartMethod) {
    const COUNT: u32 = 3000;
    let (tell, from, child) = told(method);
    let mut tell = Some(tell);
    let (mut sent, mut received) = (0, 0);
    block_on(std::future::poll_fn(|polling| {
        while let Some(to) = &tell {
            let Poll::Ready(result) = pin!(to.send_async(sent)).poll(polling) else { break };
            result.unwrap();
            sent += 1;
            if sent == COUNT {
                tell = None;
            }
        }
        while let Poll::Ready(number) = pin!(from.recv_async()).poll(polling) {
            match number {
                Ok(number) => assert_eq!(number, received),
                Err(_) => return Poll::Ready(()),
            }
            received += 1;
        }
        // The futures are gone, so no other wake will come.
        polling.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!((sent, received), (COUNT, COUNT));
    value(child);
}

#[child_task]
fn await_all(from: Receiver<u32>, to: Sender<u32>) -> u32 {
    let mut sum = 0;
    while let Ok(number) = block_on(from.recv_async()) {
        block_on(to.send_async(number)).unwrap();
        sum += number;
    }
    sum
}

fn in_a_child(method: StartMethod) {
    let ((to, theirs), (their_answers, answers)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, await_all::call(theirs, their_answers));
    for number in 0..100 {
        to.send(number).unwrap();
        assert_eq!(next(&answers), number);
    }
    drop(to);
    assert_eq!(value(child), 4950);
}

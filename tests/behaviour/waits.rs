//! Waits for several sources at once.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use offspring::{Fd, Receiver, Sender, StartMethod, channel, child_task, duplex, wait};
use offspring_tests::ends::next;
use offspring_tests::wait::LIMIT;
use offspring_tests::{cases, failure, start, value};

use crate::tasks::{exit, hanging};

cases! {
    here the_one_of_several;
    here every_kind;
    here a_child_that_ends;
    here a_lost_sender;
    here an_empty_list;
    here time_runs_out;
    here ready_before_it_begins;
    here a_two_way_pipe_that_has_taken_something_in;
    here a_loop_over_children_and_their_messages;
}

const NONE: [usize; 0] = [];

#[child_task]
fn send_when_told(told: Receiver<()>, to: Sender<u32>, number: u32) {
    told.recv().unwrap();
    to.send(number).unwrap();
}

fn the_one_of_several(method: StartMethod) {
    let channels: Vec<_> = (0..5).map(|_| channel::<u32>().unwrap()).collect();
    let (tell, told) = channel().unwrap();
    let child = start(method, send_when_told::call(told, channels[3].0.clone(), 7));
    let all: Vec<&dyn offspring::Waitable> = channels.iter().map(|(_, from)| from as _).collect();
    assert_eq!(wait(&all, Some(Duration::ZERO)).unwrap(), NONE);
    tell.send(()).unwrap();
    assert_eq!(wait(&all, Some(LIMIT)).unwrap(), [3]);
    assert_eq!(channels[3].1.try_recv().unwrap(), 7);
    assert_eq!(wait(&all, Some(Duration::ZERO)).unwrap(), NONE);
    value(child);
}

fn every_kind(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let (here, there) = duplex::<u8, u8>().unwrap();
    let (pipe, mut pipe_end) = std::io::pipe().unwrap();
    let (socket, mut socket_end) = UnixStream::pair().unwrap();
    let socket = Fd::new(socket);
    let child = hanging(method);
    let ready = || wait(&[&from, &here, &pipe, &socket, &child], Some(Duration::ZERO)).unwrap();
    assert_eq!(ready(), NONE);
    socket_end.write_all(b"x").unwrap();
    assert_eq!(ready(), [3]);
    to.send(1).unwrap();
    assert_eq!(ready(), [0, 3]);
    child.kill().unwrap();
    assert_eq!(wait(&[&child], Some(LIMIT)).unwrap(), [0]);
    assert_eq!(ready(), [0, 3, 4]);
    there.send(1).unwrap();
    pipe_end.write_all(b"x").unwrap();
    assert_eq!(ready(), [0, 1, 2, 3, 4]);
    assert_eq!(next(&from), 1);
    assert_eq!(ready(), [1, 2, 3, 4]);
    failure(child);
}

fn a_child_that_ends(method: StartMethod) {
    let (long, short) = (hanging(method), start(method, exit::call(3)));
    assert_eq!(wait(&[&long, &short], None).unwrap(), [1]);
    failure(short);
    long.kill().unwrap();
    assert_eq!(wait(&[&long], None).unwrap(), [0]);
    failure(long);
}

fn a_lost_sender(method: StartMethod) {
    let ((to, from), (_kept, other), (tell, told)) = (channel().unwrap(), channel::<u8>().unwrap(), channel().unwrap());
    let child = start(method, send_when_told::call(told, to, 1));
    tell.send(()).unwrap();
    assert_eq!(wait(&[&other, &from], Some(LIMIT)).unwrap(), [1]);
    assert_eq!(next(&from), 1);
    assert_eq!(wait(&[&other, &from], Some(LIMIT)).unwrap(), [1]);
    assert!(from.recv().is_err());
    value(child);
}

/// Returns at once, since no event can come. `multiprocessing` sleeps.
fn an_empty_list(_: StartMethod) {
    let begin = Instant::now();
    assert_eq!(wait(&[], Some(LIMIT)).unwrap(), NONE);
    assert_eq!(wait(&[], None).unwrap(), NONE);
    assert!(begin.elapsed() < LIMIT);
}

fn time_runs_out(method: StartMethod) {
    const SHORT: Duration = Duration::from_millis(30);
    let ((_to, from), child) = (channel::<u8>().unwrap(), hanging(method));
    let begin = Instant::now();
    assert_eq!(wait(&[&from, &child], Some(SHORT)).unwrap(), NONE);
    assert!(begin.elapsed() >= SHORT);
    assert_eq!(wait(&[&from, &child], Some(Duration::ZERO)).unwrap(), NONE);
    child.kill().unwrap();
    failure(child);
}

fn ready_before_it_begins(method: StartMethod) {
    let ((to, from), (tell, told)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, send_when_told::call(told, to, 5));
    tell.send(()).unwrap();
    value(child);
    for limit in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
        assert_eq!(wait(&[&from], limit).unwrap(), [0]);
    }
    assert_eq!(next(&from), 5);
}

#[child_task]
fn send_then_read(parent: offspring::Duplex<u32, Vec<u8>>) -> usize {
    parent.send(1).unwrap();
    std::iter::from_fn(|| parent.recv().ok()).count()
}

/// The message is already in memory, so the descriptor is not readable.
fn a_two_way_pipe_that_has_taken_something_in(method: StartMethod) {
    let (here, there) = duplex().unwrap();
    let child = start(method, send_then_read::call(there));
    wait(&[&here], Some(LIMIT)).unwrap();
    (0..500).for_each(|_| here.send(vec![0; 1000]).unwrap());
    assert_eq!(wait(&[&here], None).unwrap(), [0]);
    assert_eq!(here.try_recv().unwrap(), 1);
    assert_eq!(wait(&[&here], Some(Duration::ZERO)).unwrap(), NONE);
    drop(here);
    assert_eq!(value(child), 500);
}

#[child_task]
fn count_to(number: u32, to: Sender<u32>) -> u32 {
    (0..number).for_each(|count| to.send(count).unwrap());
    number
}

fn a_loop_over_children_and_their_messages(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let mut children: Vec<_> = (1..5).map(|number| start(method, count_to::call(100 * number, to.clone()))).collect();
    let (mut messages, mut results) = (0, 0);
    drop(to);
    while !children.is_empty() {
        let mut all: Vec<&dyn offspring::Waitable> = children.iter().map(|child| child as _).collect();
        all.push(&from);
        let ready = wait(&all, Some(LIMIT)).unwrap();
        assert!(!ready.is_empty());
        messages += std::iter::from_fn(|| from.try_recv().ok()).count();
        for place in ready.into_iter().rev().filter(|place| *place < children.len()).collect::<Vec<_>>() {
            results += value(children.remove(place));
        }
    }
    messages += std::iter::from_fn(|| from.try_recv().ok()).count();
    assert_eq!((messages, results), (1000, 1000));
}

//! Batches: many values in few messages, received one by one all the same.

use std::fs::File;
use std::time::Duration;

use offspring::{Fd, Process, Receiver, SendErrorKind, Sender, StartMethod, channel, child_task, wait as wait_for};
use offspring_tests::ends::{all, is_over, next};
use offspring_tests::{cases, start, value, wait};

cases! {
    here a_batch_comes_out_in_order;
    here one_by_one_and_together_keep_their_order;
    here many_values_take_few_places;
    here big_values_and_files_travel_in_batches;
    here values_without_bytes_are_counted;
    here what_cannot_be_encoded_comes_back;
    here no_receiver_is_left;
    here wait_knows_of_the_rest;
    here a_receiver_with_a_rest_is_not_passed_on;
    alone threads_share_a_batch;
}

#[child_task]
fn numbers(out: Sender<u64>, upto: u64) {
    out.send_all(0..upto).unwrap();
}

#[child_task]
fn sum(numbers: Receiver<u64>) -> u64 {
    numbers.iter().map(Result::unwrap).sum()
}

fn source(method: StartMethod, upto: u64) -> (Receiver<u64>, Process<()>) {
    let (theirs, numbers_here) = channel().unwrap();
    (numbers_here, start(method, numbers::call(theirs, upto)))
}

fn a_batch_comes_out_in_order(method: StartMethod) {
    let (from_child, child) = source(method, 100_000);
    assert_eq!(all(&from_child), (0..100_000).collect::<Vec<_>>());
    value(child);
    let (to_child, theirs) = channel().unwrap();
    let child = start(method, sum::call(theirs));
    to_child.send_all(0..100_000).unwrap();
    drop(to_child);
    assert_eq!(value(child), 4_999_950_000);
}

fn one_by_one_and_together_keep_their_order(_: StartMethod) {
    let (sender, receiver) = channel().unwrap();
    sender.send(0).unwrap();
    sender.send_all(1..10).unwrap();
    sender.send(10).unwrap();
    sender.send_all([]).unwrap();
    sender.send_all([11]).unwrap();
    drop(sender);
    assert_eq!(all(&receiver), (0..12).collect::<Vec<_>>());
}

fn many_values_take_few_places(_: StartMethod) {
    let (sender, receiver) = channel().unwrap();
    // As single messages, some 278 values would fit.
    sender.send_all(0..20_000_u64).unwrap();
    drop(sender);
    assert_eq!(all(&receiver).len(), 20_000);
}

fn big_values_and_files_travel_in_batches(_: StartMethod) {
    let (sender, receiver) = channel().unwrap();
    let texts = [10, 500_000, 3, 40_000].map(|length| "x".repeat(length));
    sender.send_all(texts.clone()).unwrap();
    assert_eq!(texts.map(|_| next(&receiver)).map(|text| text.len()), [10, 500_000, 3, 40_000]);
    let (sender, receiver) = channel().unwrap();
    let null = || Fd::new(File::open("/dev/null").unwrap());
    sender.send_all((0..5).map(|_| null())).unwrap();
    drop(sender);
    assert_eq!(all::<Fd<File>>(&receiver).len(), 5);
}

fn values_without_bytes_are_counted(_: StartMethod) {
    let (sender, receiver) = channel::<()>().unwrap();
    sender.send_all([(); 10_000]).unwrap();
    drop(sender);
    assert_eq!(all(&receiver).len(), 10_000);
}

/// Refuses some of its serialisations.
#[derive(Debug, serde::Deserialize)]
struct Awkward(bool);

impl serde::Serialize for Awkward {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 { Err(serde::ser::Error::custom("not this one")) } else { false.serialize(serializer) }
    }
}

fn what_cannot_be_encoded_comes_back(_: StartMethod) {
    let (sender, receiver) = channel().unwrap();
    let mut values = [false, true, false].map(Awkward).into_iter();
    let error = sender.send_all(values.by_ref()).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Unencodable);
    assert_eq!(error.into_inner().iter().map(|value| value.0).collect::<Vec<_>>(), [false, true]);
    sender.send_all(values).unwrap();
    drop(sender);
    assert_eq!(all(&receiver).len(), 1);
}

fn no_receiver_is_left(_: StartMethod) {
    let (sender, receiver) = channel().unwrap();
    drop(receiver);
    let error = sender.send_all(0..3).unwrap_err();
    assert_eq!((error.kind(), error.into_inner()), (SendErrorKind::Disconnected, vec![0, 1, 2]));
}

fn wait_knows_of_the_rest(_: StartMethod) {
    let (sender, receiver) = channel().unwrap();
    sender.send_all(0..3).unwrap();
    for expected in 0..3 {
        assert_eq!(wait_for(&[&receiver], Some(wait::LIMIT)).unwrap(), [0]);
        assert_eq!(next(&receiver), expected);
    }
    assert!(wait_for(&[&receiver], Some(Duration::ZERO)).unwrap().is_empty());
    drop(sender);
    is_over(&receiver);
}

fn a_receiver_with_a_rest_is_not_passed_on(method: StartMethod) {
    let (sender, receiver) = channel().unwrap();
    sender.send_all(1..=3).unwrap();
    assert_eq!(next(&receiver), 1);
    let refused = offspring::get_context(method).unwrap().start(sum::call(receiver.clone())).unwrap_err();
    assert!(refused.to_string().contains("batch"), "{refused}");
    assert_eq!([next(&receiver), next(&receiver)], [2, 3]);
    drop(sender);
    assert_eq!(value(start(method, sum::call(receiver))), 0);
}

fn threads_share_a_batch(_: StartMethod) {
    let (sender, receiver) = channel::<u64>().unwrap();
    let gone = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let receiver = receiver.clone();
                // All receivers wait before the first value, and share the values of one batch.
                scope.spawn(move || (0..25).map(|_| next(&receiver)).sum::<u64>())
            })
            .collect();
        sender.send_all(0..100).unwrap();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum::<u64>()
    });
    assert_eq!(gone, 4950);
    drop(sender);
    is_over(&receiver);
}

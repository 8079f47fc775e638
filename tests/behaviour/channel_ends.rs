//! Ends of channels as values: given to children, returned, sent along, passed on. Which process holds which end.

use std::collections::HashMap;

use offspring::{
    Call, Duplex, Process, Receiver, RecvErrorKind, SendErrorKind, Sender, StartMethod, channel, child_task, duplex,
};
use offspring_tests::ends::{all, is_over, next, nothing, unsent};
use offspring_tests::{cases, failure, procs, start, value};
use serde::{Deserialize, Serialize};

use crate::tasks::{forever, hanging};

cases! {
    here in_a_result;
    here given_and_returned;
    here in_a_message;
    here in_any_structure;
    here the_same_one_twice_is_one_descriptor;
    here between_siblings;
    here from_a_child_to_its_own_child;
    here a_closed_copy_of_the_parents;
    here children_hold_nothing_that_they_were_not_given;
    here children_let_go_of_what_they_drop;
    here a_call_holds_what_it_carries;
    here a_message_holds_what_it_carries;
    here an_unread_message_holds_nothing;
    here what_a_pipe_has_taken_in_is_the_parents_alone;
    here used_in_a_child_and_passed_on;
    here a_closure_uses_what_it_borrows;
}

#[child_task]
fn makes_a_channel(text: String) -> (Sender<String>, Receiver<String>) {
    let (to, from) = channel().unwrap();
    to.send(text).unwrap();
    (to, from)
}

fn in_a_result(method: StartMethod) {
    let (to, from) = value(start(method, makes_a_channel::call("from the child".to_owned())));
    to.send("from the parent".to_owned()).unwrap();
    drop(to);
    assert_eq!(all(&from), ["from the child", "from the parent"]);
}

#[child_task]
fn takes_one_and_returns(from: Receiver<u32>) -> (u32, Receiver<u32>) {
    (from.recv().unwrap(), from)
}

fn given_and_returned(method: StartMethod) {
    let (to, mut from) = channel().unwrap();
    (0..5).for_each(|number| to.send(number).unwrap());
    drop(to);
    for wanted in 0..3 {
        let taken;
        (taken, from) = value(start(method, takes_one_and_returns::call(from)));
        assert_eq!(taken, wanted);
    }
    assert_eq!(all(&from), [3, 4]);
}

#[child_task]
fn answer_each(questions: Receiver<(u64, Sender<u64>)>) {
    for question in &questions {
        let (number, answer) = question.unwrap();
        answer.send(number * number).unwrap();
    }
}

fn in_a_message(method: StartMethod) {
    let (ask, questions) = channel().unwrap();
    let child = start(method, answer_each::call(questions));
    for number in 1..20 {
        let (to, answer) = channel().unwrap();
        ask.send((number, to)).unwrap();
        assert_eq!(all(&answer), [number * number]);
    }
    drop(ask);
    value(child);
}

#[derive(Serialize, Deserialize)]
enum Choice {
    Nothing,
    Numbers(Sender<u32>),
    Both { to: Sender<u32>, from: Receiver<u32> },
}

#[derive(Serialize, Deserialize)]
struct Board {
    name: String,
    maybe: Option<Sender<u32>>,
    not: Option<Sender<u32>>,
    many: Vec<Sender<u32>>,
    named: HashMap<String, Sender<u32>>,
    choices: (Choice, Box<Choice>, Choice),
}

#[child_task]
fn use_all(board: Board) -> String {
    assert!(board.not.is_none());
    board.maybe.unwrap().send(1).unwrap();
    board.many.iter().zip(10..).for_each(|(to, number)| to.send(number).unwrap());
    board.named.iter().for_each(|(name, to)| to.send(name.parse().unwrap()).unwrap());
    let (Choice::Numbers(one), Choice::Both { to, from }, Choice::Nothing) =
        (board.choices.0, *board.choices.1, board.choices.2)
    else {
        panic!("other choices")
    };
    one.send(200).unwrap();
    to.send(from.recv().unwrap() + 1).unwrap();
    board.name
}

/// Many channels whose messages are received in the order in which the channels were made.
#[derive(Default)]
struct Ends(Vec<Receiver<u32>>);

impl Ends {
    fn sender(&mut self) -> Sender<u32> {
        let (to, from) = channel().unwrap();
        self.0.push(from);
        to
    }
}

fn in_any_structure(method: StartMethod) {
    let mut ends = Ends::default();
    let (given, from) = channel().unwrap();
    let board = Board {
        name: "a board".to_owned(),
        maybe: Some(ends.sender()),
        not: None,
        many: (0..3).map(|_| ends.sender()).collect(),
        named: [100, 101].map(|name: u32| (name.to_string(), ends.sender())).into(),
        choices: (Choice::Numbers(ends.sender()), Box::new(Choice::Both { to: ends.sender(), from }), Choice::Nothing),
    };
    given.send(300).unwrap();
    assert_eq!(value(start(method, use_all::call(board))), "a board");
    let received: Vec<u32> = ends.0.iter().flat_map(all).collect();
    assert_eq!(received, [1, 10, 11, 12, 100, 101, 200, 301]);
}

fn sockets() -> usize {
    procs::kinds(&procs::descriptors()).get("socket").copied().unwrap_or_default()
}

#[child_task]
fn use_twice(to: (Sender<u32>, Vec<Sender<u32>>), again: Sender<u32>, alone: Sender<u32>) -> usize {
    let (one, more) = to;
    one.send(1).unwrap();
    drop(one);
    more.into_iter().for_each(|to| to.send(2).unwrap());
    again.send(3).unwrap();
    drop(again);
    let held = sockets();
    drop(alone);
    held - sockets()
}

fn the_same_one_twice_is_one_descriptor(method: StartMethod) {
    let ((to, from), (alone, _from_alone)) = (channel().unwrap(), channel().unwrap());
    let call = use_twice::call((to.clone(), vec![to.clone(), to.clone()]), to, alone);
    // The child has closed all given copies of the first channel before its count.
    assert_eq!(value(start(method, call)), 1);
    assert_eq!(all(&from), [1, 2, 2, 3]);
}

#[child_task]
fn count_up(to: Sender<u64>, end: u64) {
    (0..end).for_each(|number| to.send(number).unwrap());
}

#[child_task]
fn add_up(from: Receiver<u64>) -> u64 {
    from.iter().map(Result::unwrap).sum()
}

fn between_siblings(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let sum = start(method, add_up::call(from));
    let counts: Vec<Process<()>> = (0..2).map(|_| start(method, count_up::call(to.clone(), 1000))).collect();
    drop(to);
    counts.into_iter().for_each(value);
    assert_eq!(value(sum), 2 * 499_500);
}

#[child_task]
fn pass_on(generations: u32, method: StartMethod, from: Receiver<u64>) -> u64 {
    if generations == 0 {
        return from.iter().map(Result::unwrap).sum();
    }
    value(start(method, pass_on::call(generations - 1, method, from)))
}

fn from_a_child_to_its_own_child(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let child = start(method, pass_on::call(3, method, from));
    (0..100).for_each(|number| to.send(number).unwrap());
    drop(to);
    assert_eq!(value(child), 4950);
}

fn a_closed_copy_of_the_parents(method: StartMethod) {
    let ((to, numbers), (out, sums)) = (channel().unwrap(), channel().unwrap());
    let sum = start(method, add_up::call(numbers));
    let count = start(method, count_up::call(out, 3));
    drop(to);
    assert_eq!(value(sum), 0);
    value(count);
    assert_eq!(all(&sums), [0, 1, 2]);
}

/// Looks also for ends in memory of the parent that no code of the child reaches.
fn children_hold_nothing_that_they_were_not_given(method: StartMethod) {
    let ((to, from), (other_to, other_from)) = (channel::<u64>().unwrap(), channel::<u64>().unwrap());
    let (here, there) = duplex::<u64, u64>().unwrap();
    let call: Call<u64> = add_up::call(from.clone());
    let bystanders = [hanging(method), hanging(method)];
    drop((to, other_from, call, there));
    is_over(&from);
    assert_eq!(unsent(other_to.try_send(7)), (SendErrorKind::Disconnected, 7));
    assert_eq!(nothing(here.recv()), RecvErrorKind::Disconnected);
    for bystander in bystanders {
        bystander.kill().unwrap();
        failure(bystander);
    }
}

#[child_task]
fn drop_and_stay(to: Sender<u64>, from: Receiver<u64>) {
    to.send(5).unwrap();
    drop((to, from));
    forever()
}

fn children_let_go_of_what_they_drop(method: StartMethod) {
    let ((to, from), (other_to, other_from)) = (channel().unwrap(), channel().unwrap());
    let child = start(method, drop_and_stay::call(to, other_from));
    assert_eq!(all(&from), [5]);
    offspring_tests::wait::until("the receiver is gone", || {
        other_to.try_send(1).is_err_and(|error| error.kind() == SendErrorKind::Disconnected)
    });
    assert!(procs::is_alive(child.pid()));
    child.kill().unwrap();
    failure(child);
}

fn a_call_holds_what_it_carries(method: StartMethod) {
    let (to, from) = channel().unwrap();
    let call = count_up::call(to, 2);
    assert_eq!(nothing(from.try_recv()), RecvErrorKind::Empty);
    value(start(method, call.clone()));
    value(start(method, call.clone()));
    assert_eq!((0..4).map(|_| next(&from)).collect::<Vec<_>>(), [0, 1, 0, 1]);
    assert_eq!(nothing(from.try_recv()), RecvErrorKind::Empty);
    drop(call);
    is_over(&from);
}

fn a_message_holds_what_it_carries(method: StartMethod) {
    let ((ask, questions), (to, answers)) = (channel().unwrap(), channel().unwrap());
    ask.send((4, to)).unwrap();
    drop(ask);
    assert_eq!(nothing(answers.try_recv()), RecvErrorKind::Empty);
    value(start(method, answer_each::call(questions)));
    assert_eq!(all(&answers), [16]);
}

fn an_unread_message_holds_nothing(method: StartMethod) {
    let ((ask, questions), (to, answers)) = (channel().unwrap(), channel::<u64>().unwrap());
    ask.send((4, to)).unwrap();
    let bystander = hanging(method);
    drop(questions);
    is_over(&answers);
    bystander.kill().unwrap();
    failure(bystander);
}

#[child_task]
fn send_ends(parent: Duplex<Option<Sender<u64>>, Vec<u8>>, to: Sender<u64>, go_on: Receiver<()>) -> usize {
    parent.send(Some(to)).unwrap();
    go_on.recv().unwrap();
    let mut count = 0;
    while parent.recv().is_ok() {
        count += 1;
    }
    count
}

/// Messages received while the parent waited for room are in the parent's memory when the next child is made.
fn what_a_pipe_has_taken_in_is_the_parents_alone(method: StartMethod) {
    let ((here, there), (to, numbers), (tell, told)) =
        (duplex().unwrap(), channel::<u64>().unwrap(), channel().unwrap());
    let child = start(method, send_ends::call(there, to, told));
    offspring_tests::wait::until("a message has come", || {
        offspring_tests::wait::is_readable(std::os::fd::AsFd::as_fd(&here))
    });
    let mut sent = 0;
    while here.send_timeout(vec![1; 1000], std::time::Duration::from_millis(50)).is_ok() {
        sent += 1;
    }
    let bystander = hanging(method);
    drop(here.recv().unwrap());
    tell.send(()).unwrap();
    drop(here);
    assert_eq!(value(child), sent);
    is_over(&numbers);
    bystander.kill().unwrap();
    failure(bystander);
}

#[child_task]
fn use_and_pass_on(method: StartMethod, to: Sender<u64>) -> u64 {
    to.send(1000).unwrap();
    let child = start(method, count_up::call(to.clone(), 3));
    to.send(2000).unwrap();
    value(child);
    3
}

fn used_in_a_child_and_passed_on(method: StartMethod) {
    let (to, from) = channel().unwrap();
    assert_eq!(value(start(method, use_and_pass_on::call(method, to))), 3);
    let mut received = all(&from);
    received.sort_unstable();
    assert_eq!(received, [0, 1, 2, 1000, 2000]);
}

/// Unlike a task, a closure has all of its parent's values.
fn a_closure_uses_what_it_borrows(_: StartMethod) {
    let ((to, theirs), (answer, from)) = (channel::<u64>().unwrap(), channel().unwrap());
    let child = offspring::fork(|| answer.send(theirs.recv().unwrap() + 1).unwrap()).unwrap();
    to.send(6).unwrap();
    assert_eq!(next(&from), 7);
    value(child);
    drop(answer);
    is_over(&from);
}

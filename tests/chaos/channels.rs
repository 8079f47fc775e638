//! Kills of senders and receivers: messages stay whole, in order and single, and the surviving processes go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::Duration;

use offspring::{
    Duplex, Fd, JoinErrorKind, Process, Receiver, RecvErrorKind, RequestError, SendErrorKind, Sender, StartMethod,
    channel, child_task, duplex,
};
use offspring_tests::ends::{all, is_over, next};
use offspring_tests::random::Random;
use offspring_tests::{cases, procs, start, value, wait};
use serde::{Deserialize, Serialize};

cases! {
    alone senders_and_receivers_of_one_channel;
    alone the_only_receiver;
    alone the_only_sender;
    alone a_server_of_requests;
    alone a_server_that_sends_all_the_time;
    alone senders_and_receivers_of_descriptors;
}

/// One of a sender's numbered messages, whose text follows from the numbers.
#[derive(Serialize, Deserialize)]
struct Message {
    sender: u32,
    number: u32,
    text: String,
}

impl Message {
    fn new(sender: u32, number: u32) -> Self {
        Self { sender, number, text: Self::text(sender, number) }
    }

    /// Returns a mostly small text. Some texts just fit into a datagram, and some travel in memory files.
    fn text(sender: u32, number: u32) -> String {
        let length = match number % 20 {
            19 => 300_000,
            13 => 100_000,
            rest => 40 * rest,
        };
        let word = format!("{sender}:{number};");
        word.repeat(length as usize / word.len() + 1)
    }

    fn is_whole(&self) -> bool {
        self.text == Self::text(self.sender, self.number)
    }
}

/// The number of messages from a sender that is not killed.
const COUNT: u32 = 200;

#[child_task]
fn send(sender: u32, to: Sender<Message>) {
    for number in 0..COUNT {
        to.send(Message::new(sender, number)).unwrap();
    }
}

/// The report of a receiver on a received message.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Receipt {
    receiver: u32,
    sender: u32,
    number: u32,
}

#[child_task]
fn receive(receiver: u32, from: Receiver<Message>, receipts: Sender<Receipt>) {
    for message in &from {
        let message = message.unwrap();
        assert!(message.is_whole(), "message {} of sender {}", message.number, message.sender);
        receipts.send(Receipt { receiver, sender: message.sender, number: message.number }).unwrap();
    }
}

/// Kills a child, and returns whether the kill came before the end of the child.
#[track_caller]
fn kill<T>(mut child: Process<T>) -> bool {
    child.kill().unwrap();
    match child.join_timeout(wait::LIMIT) {
        Ok(Some(_)) => false,
        Ok(None) => wait::expired("a killed child has not ended"),
        Err(error) => {
            assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
            true
        }
    }
}

/// Several senders and receivers of one channel.
struct Crowd {
    method: StartMethod,
    to: Sender<Message>,
    from: Receiver<Message>,
    receipt: Sender<Receipt>,
    receipts: Receiver<Receipt>,
    senders: Vec<(u32, Process<()>)>,
    receivers: Vec<Process<()>>,
    begun: u32,
    /// The senders that have sent all their messages.
    complete: BTreeSet<u32>,
    killed_receivers: usize,
    received: Vec<Receipt>,
}

impl Crowd {
    fn new(method: StartMethod, senders: usize, receivers: usize) -> Self {
        let ((to, from), (receipt, receipts)) = (channel().unwrap(), channel().unwrap());
        let (none, nobody, begun) = (Vec::new(), BTreeSet::new(), 0);
        let mut crowd = Self {
            method,
            to,
            from,
            receipt,
            receipts,
            senders: Vec::new(),
            receivers: Vec::new(),
            begun,
            complete: nobody,
            killed_receivers: 0,
            received: none,
        };
        (0..senders).for_each(|_| crowd.add_sender());
        (0..receivers).for_each(|_| crowd.add_receiver());
        crowd
    }

    fn add_sender(&mut self) {
        self.begun += 1;
        self.senders.push((self.begun, start(self.method, send::call(self.begun, self.to.clone()))));
    }

    fn add_receiver(&mut self) {
        self.begun += 1;
        self.receivers.push(start(self.method, receive::call(self.begun, self.from.clone(), self.receipt.clone())));
    }

    /// Kills a sender or receiver, and starts a replacement.
    fn replace_one(&mut self, random: &mut Random) {
        let victim = random.below((self.senders.len() + self.receivers.len()) as u64) as usize;
        if victim < self.senders.len() {
            let (number, sender) = self.senders.swap_remove(victim);
            if !kill(sender) {
                self.complete.insert(number);
            }
            self.add_sender();
        } else {
            let receiver = self.receivers.swap_remove(victim - self.senders.len());
            assert!(kill(receiver), "a receiver has ended while there were senders");
            self.killed_receivers += 1;
            self.add_receiver();
        }
    }

    fn take_receipts(&mut self) {
        self.received.extend(std::iter::from_fn(|| self.receipts.try_recv().ok()));
    }

    /// Waits for the end of the remaining processes, and checks all received messages.
    fn finish(self) {
        let Self { to, from, receipt, receipts, senders, receivers, mut complete, mut received, .. } = self;
        drop((to, from, receipt));
        received.extend(all(&receipts));
        for (number, sender) in senders {
            value(sender);
            complete.insert(number);
        }
        receivers.into_iter().for_each(value);
        in_order_and_single(&received);
        let lost = lost(&received, &complete);
        assert!(
            lost <= self.killed_receivers,
            "{lost} messages are lost, {} receivers were killed",
            self.killed_receivers
        );
        eprintln!("{} received, {lost} lost with {} receivers", received.len(), self.killed_receivers);
        assert!(received.len() > COUNT as usize);
    }
}

#[track_caller]
fn in_order_and_single(received: &[Receipt]) {
    let mut last = BTreeMap::new();
    for receipt in received {
        let before = last.insert((receipt.receiver, receipt.sender), receipt.number);
        assert!(before.is_none_or(|before| before < receipt.number), "{receipt:?} came after {before:?}");
    }
    let messages: BTreeSet<_> = received.iter().map(|receipt| (receipt.sender, receipt.number)).collect();
    assert_eq!(messages.len(), received.len(), "a message was received twice");
}

/// Returns the number of lost messages: gaps before the last received message of each sender, and all missing messages
/// of senders that were not killed.
fn lost(received: &[Receipt], complete: &BTreeSet<u32>) -> usize {
    let mut numbers: BTreeMap<u32, Vec<u32>> = complete.iter().map(|sender| (*sender, Vec::new())).collect();
    for receipt in received {
        numbers.entry(receipt.sender).or_default().push(receipt.number);
    }
    let sent = |sender: &u32, numbers: &[u32]| {
        let last = numbers.iter().max().map_or(0, |last| last + 1);
        if complete.contains(sender) { COUNT } else { last }
    };
    numbers.iter().map(|(sender, numbers)| sent(sender, numbers) as usize - numbers.len()).sum()
}

fn senders_and_receivers_of_one_channel(method: StartMethod) {
    let mut random = Random::new();
    let mut crowd = Crowd::new(method, 4, 3);
    for _ in 0..70 {
        for _ in 0..4 {
            random.pass_time(Duration::from_millis(2));
            crowd.take_receipts();
        }
        crowd.replace_one(&mut random);
    }
    crowd.finish();
}

/// Sends until no receiver is left. Returns the number of messages, and whether the last message came back.
#[child_task]
fn send_until_refused(to: Sender<Message>) -> (u32, bool) {
    for number in 0.. {
        if let Err(error) = to.send(Message::new(0, number)) {
            assert_eq!(error.kind(), SendErrorKind::Disconnected);
            let message = error.into_inner();
            return (number, message.number == number && message.is_whole());
        }
    }
    unreachable!("nobody counts that far")
}

fn the_only_receiver(method: StartMethod) {
    let mut random = Random::new();
    for _ in 0..30 {
        let ((to, from), (receipt, receipts)) = (channel().unwrap(), channel().unwrap());
        let sender = start(method, send_until_refused::call(to));
        let receiver = start(method, receive::call(1, from, receipt));
        next(&receipts);
        random.pass_time(Duration::from_millis(3));
        // A receiver that waits for room for its receipts is killed too.
        assert!(kill(receiver));
        let (sent, came_back) = value(sender);
        let received = 1 + all(&receipts).len();
        assert!(came_back && received <= sent as usize, "{received} of {sent}");
    }
}

#[child_task]
fn send_for_ever(to: Sender<Message>) {
    for number in 0.. {
        to.send(Message::new(7, number)).unwrap();
    }
}

fn the_only_sender(method: StartMethod) {
    let mut random = Random::new();
    for _ in 0..30 {
        let (to, from) = channel().unwrap();
        let sender = start(method, send_for_ever::call(to));
        assert!(next(&from).is_whole());
        random.pass_time(Duration::from_millis(3));
        assert!(kill(sender));
        let rest = all(&from);
        assert!(rest.iter().all(Message::is_whole));
        assert!(rest.iter().map(|message| message.number).eq(1..=rest.len() as u32));
    }
}

#[child_task]
fn serve(parent: Duplex<Message, u32>) {
    while let Ok(number) = parent.recv() {
        parent.send(Message::new(0, number)).unwrap();
    }
}

fn a_server_of_requests(method: StartMethod) {
    let mut random = Random::new();
    for _ in 0..40 {
        let (here, there) = duplex().unwrap();
        let server = start(method, serve::call(there));
        let requests = random.below(40) as u32;
        assert!((0..requests).all(|number| here.request(number).unwrap().is_whole()));
        here.send(requests).unwrap();
        random.pass_time(Duration::from_micros(300));
        assert!(kill(server));
        match here.recv_timeout(wait::LIMIT) {
            Ok(answer) => assert!(answer.number == requests && answer.is_whole()),
            Err(error) => assert_eq!(error.kind(), RecvErrorKind::Disconnected),
        }
        let error = here.request(0).err().unwrap();
        assert!(
            matches!(&error, RequestError::Send(error) if error.kind() == SendErrorKind::Disconnected),
            "{error:?}"
        );
    }
}

#[child_task]
fn send_both_ways(parent: Duplex<Message, Message>) {
    // Sends until the memory for received messages is full.
    let _ = (0..).find_map(|number| parent.send(Message::new(1, number)).err());
}

/// Both sides send without reading, so this side stores received messages.
fn a_server_that_sends_all_the_time(method: StartMethod) {
    let mut random = Random::new();
    for _ in 0..20 {
        let (here, there) = duplex::<Message, Message>().unwrap();
        let server = start(method, send_both_ways::call(there));
        let end = 20 + random.below(100) as u32;
        let error = (0..end).find_map(|number| here.send(Message::new(2, number)).err());
        assert!(error.is_none_or(|error| error.kind() == SendErrorKind::Full), "it is alive");
        kill(server);
        let error = (end..).find_map(|number| here.send(Message::new(2, number)).err()).unwrap();
        assert!(matches!(error.kind(), SendErrorKind::Disconnected | SendErrorKind::Full), "{error:?}");
        let received: Vec<Message> = std::iter::from_fn(|| here.recv_timeout(wait::LIMIT).ok()).collect();
        assert!(received.iter().all(Message::is_whole));
        assert!(received.iter().map(|message| message.number).eq(0..received.len() as u32));
    }
}

type Carried = (u32, Fd<File>, Sender<u32>);

#[child_task]
fn send_descriptors(to: Sender<Carried>) {
    for number in 0.. {
        let (answer, _) = channel().unwrap();
        to.send((number, File::open("/dev/null").unwrap().into(), answer)).unwrap();
    }
}

#[child_task]
fn receive_descriptors(from: Receiver<Carried>) {
    for carried in &from {
        let (number, file, answer) = carried.unwrap();
        assert!(file.metadata().is_ok());
        // The receiver is gone, or inside an unread message of its own.
        let _ = answer.try_send(number);
    }
}

/// Descriptors on their way close with the channel, and descriptors received by a killed process close with the
/// process.
fn senders_and_receivers_of_descriptors(method: StartMethod) {
    let mut random = Random::new();
    let (to, from) = channel().unwrap();
    drop(to);
    value(start(method, receive_descriptors::call(from)));
    let before = procs::lasting_kinds();
    for _ in 0..30 {
        let ((to, from), (answer, answers)) = (channel().unwrap(), channel().unwrap());
        to.send((0, File::open("/dev/null").unwrap().into(), answer)).unwrap();
        let sender = start(method, send_descriptors::call(to));
        let receiver = start(method, receive_descriptors::call(from.clone()));
        random.pass_time(Duration::from_millis(3));
        assert!(kill(receiver) && kill(sender));
        let left = std::iter::from_fn(|| from.try_recv().ok());
        left.take(random.below(100) as usize).for_each(|(_, file, _)| assert!(file.metadata().is_ok()));
        drop(from);
        let answered = all(&answers);
        assert!(answered.iter().all(|number| *number == 0) && answered.len() <= 1, "{answered:?}");
        is_over(&answers);
    }
    assert_eq!(procs::lasting_kinds(), before);
}

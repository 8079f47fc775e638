//! A channel of std is between threads.

use std::sync::mpsc::{Receiver, Sender, SyncSender};

use offspring::child_task;

#[child_task]
fn relay(from: Receiver<u64>, to: Sender<u64>, _: SyncSender<u64>) {
    from.into_iter().for_each(|n| to.send(n).unwrap());
}

fn main() {}

//! What is called like a type of std that cannot be sent, and is another, is sent.

#![deny(warnings)]

use std::marker::PhantomData;

use offspring::sync::{Barrier, Condvar, Mutex, Once, RwLock};
use offspring::{Fd, Receiver, Sender, SharedArray, child_task};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct File {
    path: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Cell(bool);

#[derive(Serialize, Deserialize)]
pub struct Instant<T>(T);

#[child_task]
fn locks(_: Mutex<u64>, _: RwLock<[u64; 2]>, _: Option<Barrier>, _: (Condvar, Once)) {}

#[child_task]
fn ends(from: Receiver<Vec<Mutex<u64>>>, to: Sender<Vec<Mutex<u64>>>) -> Vec<Receiver<File>> {
    let _ = (from, to);
    vec![]
}

#[child_task]
fn files(_: Fd<std::fs::File>, _: Vec<Fd<std::net::TcpStream>>, _: File) -> Option<Fd<std::fs::File>> {
    None
}

#[child_task]
fn life(board: Vec<Vec<Cell>>, _: Instant<u64>, _: SharedArray<u64>) -> Result<Vec<Vec<Cell>>, Cell> {
    Ok(board)
}

#[child_task]
fn marked(_: PhantomData<std::sync::Mutex<u64>>) -> Result<PhantomData<std::fs::File>, u8> {
    Ok(PhantomData)
}

fn main() {
    let _ = (marked::call(PhantomData), life::start, files::start, ends::start, locks::start);
}

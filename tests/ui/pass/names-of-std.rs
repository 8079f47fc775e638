//! What is called like a type of std that cannot be sent, and is another, is sent.

#![deny(warnings)]

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::marker::PhantomData;
use std::num::TryFromIntError;
use std::path::Path;

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

type Hasher = BuildHasherDefault<DefaultHasher>;

type Checked<T> = Result<T, TryFromIntError>;

type Small = Checked<u8>;

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

#[child_task]
fn behind(_: Box<Path>, names: HashMap<String, Box<[u8]>, Hasher>, _: HashSet<u8, Hasher>) -> Box<str> {
    names.into_keys().collect::<String>().into()
}

#[child_task(report)]
fn narrow(n: u64) -> Checked<u8> {
    u8::try_from(n)
}

#[child_task(report)]
fn small(n: u64) -> Small {
    narrow(n)
}

fn main() {
    let _ = (behind::start, narrow::call(1), small::call(1));
    let _ = (marked::call(PhantomData), life::start, files::start, ends::start, locks::start);
}

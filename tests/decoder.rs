//! Arbitrary bytes, for a bounded time: the decoder returns a value or an error, and allocates in proportion to the
//! bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use offspring_tests::random::Random;

#[path = "fuzz/target.rs"]
mod target;

/// Counts the bytes that this thread has allocated.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    HELD.set(HELD.get() + bytes);
    MOST.set(MOST.get().max(HELD.get()));
}

#[expect(unsafe_code, reason = "an allocator that counts")]
// SAFETY: the system's allocator does all the work, beside counters without destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes of memory for each received byte. A sequence announces an element with one byte, and the largest
/// element here has some 200 bytes. The fixed cost of a decoder and an error comes on top.
const FACTOR: isize = 1024;
const BESIDE: isize = 64 * 1024;

#[track_caller]
fn is_bounded(bytes: &[u8]) {
    HELD.set(0);
    MOST.set(0);
    target::decode_as_everything(bytes);
    let (most, sent) = (MOST.get(), bytes.len() as isize);
    assert!(most <= BESIDE + FACTOR * sent, "{most} bytes of memory for {sent}: {}", bytes.escape_ascii());
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/decode");
    let files = fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry").path());
    let mut corpus: Vec<Vec<u8>> = files.map(|file| fs::read(file).expect("bytes")).collect();
    corpus.sort();
    assert!(corpus.len() > 10);
    corpus
}

#[test]
fn the_corpus() {
    corpus().iter().for_each(|bytes| is_bounded(bytes));
}

/// Mutates bytes as a fuzzer does, without coverage.
#[test]
fn changed_bytes() {
    const ROUNDS: usize = 50_000;
    let corpus = corpus();
    let mut random = Random::new();
    for _ in 0..ROUNDS {
        let mut bytes = corpus[random.below(corpus.len() as u64) as usize].clone();
        for _ in 0..=random.below(4) {
            change(&mut bytes, &corpus, &mut random);
        }
        is_bounded(&bytes);
    }
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let place = random.below(bytes.len() as u64 + 1) as usize;
    match random.below(6) {
        0 => bytes.truncate(place),
        1 => bytes.insert(place, random.below(256) as u8),
        2 if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
        3 if place < bytes.len() => bytes[place] = random.below(256) as u8,
        4 => {
            let other = &corpus[random.below(corpus.len() as u64) as usize];
            bytes.truncate(place);
            bytes.extend(&other[random.below(other.len() as u64) as usize..]);
        }
        _ => {
            let end = place + random.below((bytes.len() - place) as u64 + 1) as usize;
            let piece = bytes[place..end].to_vec();
            bytes.splice(place..place, piece);
        }
    }
}

#[test]
fn lengths_that_are_not_there() {
    let longest = [&[0xFF][..], &[0xFF; 8]].concat();
    for tag in [0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D] {
        is_bounded(&[&[1, tag][..], &longest].concat());
        is_bounded(&[&[1, tag, 0][..], &longest, &longest].concat());
        is_bounded(&[&[1, tag, 0][..], &longest, &[1, 1, b'a']].concat());
    }
    for number in 0..=u8::MAX {
        is_bounded(&[&[1, 0x4E, number][..], &longest].concat());
        is_bounded(&[1, 0x48, 0, 0x4F, number, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    // Each level announces as much as the whole has.
    is_bounded(&[1, 0x48, 0xFE, 0xFF, 0xFF, 0xFF, 0x7F].repeat(5000));
}

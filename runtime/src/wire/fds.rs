//! Descriptors inside of values: where serde sees a number, the kernel passes an open file.
//!
//! serde carries bytes alone. While a value is encoded for another process, a *window* is open on this thread, in which
//! the descriptors that the value holds are collected; the bytes have their places in that list. The list travels beside
//! the bytes (`SCM_RIGHTS`), and while the value is decoded a window holds what came. Outside of a window there is
//! no list, so that serialising a descriptor is an error there.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sys::fd::{self, Descriptor, Ends};
use crate::sys::socket::MAX_DESCRIPTORS;

/// What a frame may carry beside those of its value: a lifeline, a directory, three streams, two memory files.
const OTHERS: usize = 7;

/// Most descriptors in one value.
pub(crate) const MAX: usize = MAX_DESCRIPTORS - OTHERS;

thread_local! {
    /// It has no destructor, and so is there until the thread is gone: values are sent by destructors of other thread-locals too.
    /// Between two values it is empty.
    static WINDOW: RefCell<ManuallyDrop<Option<Window>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

enum Window {
    Encoding(Vec<Arc<Descriptor>>),
    Decoding(Incoming),
}

/// A descriptor in a value: its place in the list. No other value looks like it, so that a type which takes one of several kinds of
/// values (serde's `untagged`) does not mistake it for a number.
#[derive(Serialize, Deserialize)]
enum Place {
    #[serde(rename = "$descriptor")]
    Descriptor(u32),
}

/// The descriptors that came with a value. What the value does not take is closed.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    slots: Vec<Option<Arc<Descriptor>>>,
    /// Whether a value has become the owner of one.
    is_one_taken: bool,
}

impl Incoming {
    pub(crate) fn new(descriptors: Vec<Arc<Descriptor>>) -> Self {
        Self { slots: descriptors.into_iter().map(Some).collect(), is_one_taken: false }
    }

    /// Those of a value that a fresh copy of the process has in its memory.
    pub(crate) fn inherited(descriptors: &[Arc<Descriptor>], ends: &Ends) -> Self {
        let slots = descriptors.iter().map(|descriptor| ends.inherit(descriptor)).collect();
        Self { slots, is_one_taken: false }
    }
}

/// Puts the window that was open before back when the work panics.
struct Reopen(Option<Window>);

impl Drop for Reopen {
    fn drop(&mut self) {
        replace(self.0.take());
    }
}

fn replace(window: Option<Window>) -> Option<Window> {
    WINDOW.with(|open| std::mem::replace(&mut **open.borrow_mut(), window))
}

fn within<T>(open: Window, work: impl FnOnce() -> T) -> (T, Option<Window>) {
    let mut reopen = Reopen(replace(Some(open)));
    let done = work();
    let window = replace(reopen.0.take());
    std::mem::forget(reopen); // it has nothing left
    (done, window)
}

/// Encodes with `encode`; the descriptors that its values hold are added to `descriptors`.
pub(crate) fn encoding<T>(descriptors: &mut Vec<Arc<Descriptor>>, encode: impl FnOnce() -> T) -> T {
    let (done, window) = within(Window::Encoding(std::mem::take(descriptors)), encode);
    if let Some(Window::Encoding(collected)) = window {
        *descriptors = collected;
    }
    done
}

/// Decodes with `decode`, whose values take their descriptors from `incoming`.
pub(crate) fn decoding<T>(incoming: &mut Incoming, decode: impl FnOnce() -> T) -> T {
    let (done, window) = within(Window::Decoding(std::mem::take(incoming)), decode);
    if let Some(Window::Decoding(left)) = window {
        *incoming = left;
    }
    done
}

/// Serialises a descriptor: as its place in the list of the value that is being encoded.
pub(crate) fn attach<S: Serializer>(descriptor: &Arc<Descriptor>, serializer: S) -> Result<S::Ok, S::Error> {
    Place::Descriptor(place(descriptor).map_err(S::Error::custom)?).serialize(serializer)
}

const NO_WINDOW: &str = "a descriptor (a channel's end, shared memory, an open file) can be serialised only in the \
                         arguments or the result of a task, or in a message to another process";

const NOTHING_SENT: &str = "a descriptor can be deserialised only from what another process has sent";

/// Whether a value is being encoded for another process: what sometimes holds a descriptor is serialised only then, always.
pub(crate) fn check_encoding<E: serde::ser::Error>() -> Result<(), E> {
    let is_open = WINDOW.with(|window| matches!(**window.borrow(), Some(Window::Encoding(_))));
    if is_open { Ok(()) } else { Err(E::custom(NO_WINDOW)) }
}

/// The same for decoding.
pub(crate) fn check_decoding<E: serde::de::Error>() -> Result<(), E> {
    let is_open = WINDOW.with(|window| matches!(**window.borrow(), Some(Window::Decoding(_))));
    if is_open { Ok(()) } else { Err(E::custom(NOTHING_SENT)) }
}

fn place(descriptor: &Arc<Descriptor>) -> Result<u32, String> {
    WINDOW.with(|window| {
        let mut window = window.borrow_mut();
        let Some(Window::Encoding(collected)) = window.as_mut() else {
            return Err(NO_WINDOW.to_owned());
        };
        let known = collected.iter().position(|known| Arc::ptr_eq(known, descriptor));
        let found = match known {
            Some(place) => Ok(place),
            None => collect(collected, descriptor),
        };
        found.map(|place| place as u32)
    })
}

fn collect(collected: &mut Vec<Arc<Descriptor>>, descriptor: &Arc<Descriptor>) -> Result<usize, String> {
    descriptor.fd().map_err(|error| format!("a descriptor cannot be sent: {error}"))?;
    if collected.len() >= MAX {
        return Err(format!("more than {MAX} descriptors in one value, which is all that the kernel carries"));
    }
    collected.push(Arc::clone(descriptor));
    Ok(collected.len() - 1)
}

/// Deserialises a descriptor that other parts of the value may refer to as well.
pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Descriptor>, D::Error> {
    check_decoding()?;
    let Place::Descriptor(place) = Place::deserialize(deserializer)?;
    with_slot(place, |slot| slot.clone()).map_err(D::Error::custom)
}

/// Deserialises a descriptor that is this part of the value's alone.
pub(crate) fn own<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnedFd, D::Error> {
    check_decoding()?;
    let Place::Descriptor(place) = Place::deserialize(deserializer)?;
    let shared = with_slot(place, Option::take).map_err(D::Error::custom)?;
    note_taken();
    let owned = match Arc::try_unwrap(shared) {
        Ok(last) => last.into_owned().ok_or_else(|| std::io::ErrorKind::NotConnected.into()),
        // The value is decoded where it was encoded, and may be decoded again.
        Err(shared) => shared.fd().and_then(fd::duplicate),
    };
    owned.map_err(|error| D::Error::custom(format_args!("a descriptor cannot be taken over: {error}")))
}

/// Whether the value that is being decoded can be decoded from its beginning once more.
pub(crate) fn are_all_there() -> bool {
    WINDOW.with(|window| !matches!(**window.borrow(), Some(Window::Decoding(Incoming { is_one_taken: true, .. }))))
}

fn note_taken() {
    WINDOW.with(|window| {
        if let Some(Window::Decoding(incoming)) = window.borrow_mut().as_mut() {
            incoming.is_one_taken = true;
        }
    });
}

fn with_slot(
    place: u32,
    take: impl FnOnce(&mut Option<Arc<Descriptor>>) -> Option<Arc<Descriptor>>,
) -> Result<Arc<Descriptor>, String> {
    let taken = WINDOW.with(|window| match window.borrow_mut().as_mut() {
        Some(Window::Decoding(Incoming { slots, .. })) => Some(slots.get_mut(place as usize).and_then(take)),
        _ => None,
    });
    match taken {
        Some(Some(descriptor)) => Ok(descriptor),
        Some(None) => Err(format!("a value refers to descriptor {place}, which did not come with it")),
        None => Err(NOTHING_SENT.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::{Payload, decode};

    struct Held(Arc<Descriptor>);

    impl Serialize for Held {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            attach(&self.0, serializer)
        }
    }

    #[derive(Debug)]
    struct Owned(#[expect(dead_code, reason = "it is there to be owned")] OwnedFd);

    impl<'de> Deserialize<'de> for Owned {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            own(deserializer).map(Self)
        }
    }

    fn held() -> Held {
        Held(Arc::new(Descriptor::new(fd::null().unwrap())))
    }

    #[test]
    fn descriptors_are_collected_once_each_and_found_again() {
        let (one, other) = (held(), held());
        let payload = Payload::encode(&(&one, "between", &other)).unwrap();
        assert_eq!(payload.descriptors.len(), 2);
        assert_eq!(Payload::encode(&(&one, &one)).unwrap().descriptors.len(), 1);
        let (_, text, _) = decode::<(Owned, String, Owned)>(payload).unwrap();
        assert_eq!(text, "between");
    }

    #[test]
    fn outside_of_a_window_there_is_an_error_and_no_panic() {
        let encoded = crate::codec::to_vec(&held());
        assert!(encoded.is_err());
        assert!(crate::codec::from_slice::<Owned>(&[1, 0x60, 0]).is_err());
    }

    #[test]
    fn a_place_that_did_not_come_or_was_taken_is_an_error_that_says_so() {
        let forged = Payload::encode(&Place::Descriptor(3)).unwrap();
        let error = decode::<Owned>(forged).unwrap_err();
        assert!(error.text().contains("descriptor 3"), "{error}");
        let one = held();
        let payload = Payload::encode(&(&one, &one)).unwrap();
        assert!(decode::<(Owned, Owned)>(payload).unwrap_err().text().contains("did not come"));
    }

    #[test]
    fn more_than_the_kernel_carries_is_an_error_that_says_so() {
        let many: Vec<Held> = (0..=MAX).map(|_| held()).collect();
        assert!(Payload::encode(&many).unwrap_err().text().contains("descriptors in one value"));
        assert!(Payload::encode(&many[..MAX]).is_ok());
    }

    #[test]
    fn a_failure_closes_the_window_and_an_inner_value_has_its_own() {
        struct Inner;
        impl Serialize for Inner {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let inner = Payload::encode(&held()).map_err(S::Error::custom)?;
                inner.descriptors.len().serialize(serializer)
            }
        }
        let payload = Payload::encode(&(Inner, held())).unwrap();
        assert_eq!(payload.descriptors.len(), 1);
        assert!(WINDOW.with(|window| window.borrow().is_none()));
    }
}

//! The part common to all locks: a shared object of a kind, and a handle that is cloned, sent and received.

use std::sync::Arc;

use bytemuck::Pod;
use serde::{Deserializer, Serializer};

use crate::error::Error;
use crate::ipc::wire::fds;
use crate::sys::shared_object::SharedObject;

/// The kind of an object, written into the memory, so that a receiver refuses memory of another kind.
///
/// The numbers are known to other processes of the same program only. A new kind goes to the end.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum ObjectKind {
    Mutex = 0x6f66_6601,
    RwLock,
    Condvar,
    Semaphore,
    Barrier,
    Event,
    Once,
}

impl ObjectKind {
    /// The name with an article, for error texts.
    fn name(self) -> String {
        let article = if matches!(self, Self::Event) { "an" } else { "a" };
        format!("{article} `{self:?}`")
    }
}

pub(super) fn create<T: Pod, const SLOTS: usize, const WORDS: usize>(
    kind: ObjectKind,
    value: T,
) -> Result<Arc<SharedObject<T, SLOTS, WORDS>>, Error> {
    let shared = SharedObject::create(kind as u32, value);
    shared.map(Arc::new).map_err(|error| Error::os(format!("cannot make the shared memory of {}", kind.name()), error))
}

pub(super) fn serialize<T, S: Serializer, const SLOTS: usize, const WORDS: usize>(
    shared: &SharedObject<T, SLOTS, WORDS>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    fds::attach(shared.descriptor(), serializer)
}

pub(super) fn deserialize<'de, T: Pod, D: Deserializer<'de>, const SLOTS: usize, const WORDS: usize>(
    kind: ObjectKind,
    deserializer: D,
) -> Result<Arc<SharedObject<T, SLOTS, WORDS>>, D::Error> {
    let shared = SharedObject::accept(kind as u32, fds::share_plain(deserializer)?);
    let refused = |error| serde::de::Error::custom(format_args!("{} cannot be taken over: {error}", kind.name()));
    shared.map(Arc::new).map_err(refused)
}

/// Implements `Clone`, `Serialize` and `Deserialize` for a lock with the one field `shared`.
macro_rules! handle {
    ($name:ident $(<$value:ident>)?) => {
        /// Makes another handle of the same object, with the same descriptor and mapping. Costs a reference count.
        impl $(<$value: bytemuck::Pod>)? Clone for $name $(<$value>)? {
            fn clone(&self) -> Self {
                Self { shared: std::sync::Arc::clone(&self.shared) }
            }
        }

        /// Passes the object on, in the arguments or the result of a task, or in a message. Serialising elsewhere is an
        /// error of the serializer.
        impl $(<$value: bytemuck::Pod>)? serde::Serialize for $name $(<$value>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::ipc::sync::handle::serialize(&self.shared, serializer)
            }
        }

        /// Makes a handle of the object that another process has passed on. Memory of another object is an error of the
        /// deserializer.
        impl<'de $(, $value: bytemuck::Pod)?> serde::Deserialize<'de> for $name $(<$value>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let kind = $crate::ipc::sync::handle::ObjectKind::$name;
                $crate::ipc::sync::handle::deserialize(kind, deserializer).map(|shared| Self { shared })
            }
        }
    };
}
pub(super) use handle;

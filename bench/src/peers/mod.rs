//! The same operations by others: the kernel alone, other crates, and this process alone.

pub(crate) mod command;
pub(crate) mod formats;
pub(crate) mod in_process;
pub(crate) mod ipc_channel;
pub(crate) mod plain_fork;
pub(crate) mod procspawn;
pub(crate) mod socketpair;
pub(crate) mod zygote;

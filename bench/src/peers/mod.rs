//! The same operations by the kernel alone, by other crates, and within this process.

pub(crate) mod command;
pub(crate) mod formats;
pub(crate) mod in_process;
pub(crate) mod ipc_channel;
pub(crate) mod plain_fork;
pub(crate) mod procspawn;
pub(crate) mod socketpair;
pub(crate) mod zygote;

//! What this process knows of itself, and what a copy of it must forget.
//!
//! | question | module |
//! | --- | --- |
//! | What does a copy of the process forget? | [`after_fork`], the one list |
//! | Is this the process that made X, or a copy? | `sys::fork_generation`; for a static, [`per_process`] asks |
//! | What is this process called, and who is its parent? | [`ancestry`] |
//! | Which descriptors bind it to its parent? Is it a forkserver? | [`role`] |
//! | Which children has it, and how did they end? | [`children`] |
//! | Which children were made ahead? | [`spares`] |
//! | Who reaps the children that no handle answers for? | [`reaper`] |

pub(crate) mod after_fork;
pub(crate) mod ancestry;
pub(crate) mod children;
pub(crate) mod per_process;
pub(crate) mod reaper;
pub(crate) mod role;
pub(crate) mod spares;

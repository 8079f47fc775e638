//! Events and the commands that follow, with links played by the tests.

mod admission;
mod broadcast;
mod dispatch;
mod endings;
mod fake;
mod priorities;
mod retries;
mod scaling;
mod shutdown;
mod timeouts;

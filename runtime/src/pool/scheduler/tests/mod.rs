//! Tables of events and the commands that follow, by links that are played by the test.

mod dispatch;
mod endings;
mod fake;
mod scaling;
mod timeouts;

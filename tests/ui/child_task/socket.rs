//! So are sockets and pipes, in other types and as results.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use offspring::child_task;

#[child_task]
fn serve(_: Vec<TcpStream>, _: Option<UnixStream>) -> Option<OwnedFd> {
    None
}

fn main() {}

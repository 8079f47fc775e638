//! The hot paths: frequent operations of programs.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};
use offspring::{Context, StartMethod, channel, child_task, get_context, set_spares, sync};
use offspring_tests::{program, sys};

use crate::counts::Role;

/// A path: a name, and the preparation of an operation.
pub(crate) struct Path {
    pub(crate) name: &'static str,
    /// The parts of the processes: the subject, the subject's children, their children.
    pub(crate) family: &'static [Role],
    prepare: fn() -> Operation,
}

type Operation = Box<dyn FnMut()>;

/// The number of operations of each path.
const ROUNDS: usize = 12;

/// The first operations make the server and open the lasting descriptors.
pub(crate) const WARM_UP: usize = 5;

const ALONE: &[Role] = &[Role::Parent];
const DIRECT: &[Role] = &[Role::Parent, Role::Child];
const SERVED: &[Role] = &[Role::Parent, Role::Server, Role::Child];

#[rustfmt::skip]
pub(crate) static PATHS: &[Path] = &[
    Path { name: "start_spawn", family: DIRECT, prepare: || start(StartMethod::Spawn, 0) },
    Path { name: "start_fork", family: DIRECT, prepare: || start(StartMethod::Fork, 0) },
    Path { name: "start_forkserver", family: SERVED, prepare: || start(StartMethod::ForkServer, 0) },
    Path { name: "start_forkserver_with_a_spare", family: SERVED, prepare: || start(StartMethod::ForkServer, 1) },
    Path { name: "pool_round_trip", family: SERVED, prepare: pool_round_trip },
    Path { name: "pool_map_of_100", family: SERVED, prepare: pool_map },
    Path { name: "channel_send", family: ALONE, prepare: channel_send },
    Path { name: "channel_send_and_recv", family: ALONE, prepare: channel_send_and_recv },
    Path { name: "channel_send_all_and_recv_of_100", family: ALONE, prepare: channel_batch },
    Path { name: "mutex_lock", family: ALONE, prepare: mutex_lock },
];

/// `channel_send` with a call too many.
pub(crate) static WORSE: Path = Path { name: "worse_channel_send", family: ALONE, prepare: worse_channel_send };

pub(crate) fn find(name: &str) -> &'static Path {
    PATHS.iter().chain([&WORSE]).find(|path| path.name == name).unwrap_or_else(|| panic!("no path {name}"))
}

impl Path {
    /// Returns the traced program, which begins when its input ends.
    pub(crate) fn subject(&self) -> Command {
        let mut command = Command::new(program::own_path());
        command.args(["--subject", self.name]).env_clear().stdout(Stdio::null()).process_group(0);
        command
    }

    /// Runs the traced program.
    pub(crate) fn be_traced(&self) {
        // The kernel reports even an ignored signal to a tracer, and the interrupted call begins anew, which is one
        // call more than without a tracer. A blocked signal interrupts no call.
        SigSet::from(Signal::SIGCHLD).thread_block().expect("a signal can be blocked");
        std::io::stdin().read_to_end(&mut Vec::new()).expect("the tracer lets it begin");
        let mut operation = (self.prepare)();
        for _ in 0..ROUNDS {
            sys::mark();
            operation();
        }
        sys::mark();
    }
}

#[child_task]
fn double(n: u64) -> u64 {
    2 * n
}

fn context(method: StartMethod) -> Context {
    get_context(method).expect("a supported method")
}

/// Starts and joins a child with a trivial task.
fn start(method: StartMethod, spares: usize) -> Operation {
    let context = context(method);
    set_spares(spares);
    Box::new(move || {
        let child = context.start(double::call(21)).expect("a child");
        assert_eq!(child.join().expect("a value"), 42);
    })
}

fn pool_round_trip() -> Operation {
    let pool = context(StartMethod::ForkServer).pool().workers(1).build().expect("a pool");
    Box::new(move || assert_eq!(pool.submit(double::call(21)).wait().expect("a value"), 42))
}

fn pool_map() -> Operation {
    let pool = context(StartMethod::ForkServer).pool().workers(1).build().expect("a pool");
    Box::new(move || assert_eq!(pool.map((0..100).map(double::call)).map(Result::unwrap).sum::<u64>(), 9900))
}

fn channel_send() -> Operation {
    let (sender, receiver) = channel::<u64>().expect("a channel");
    // The buffer has room for all messages.
    Box::new(move || {
        let _open = &receiver;
        sender.send(42).expect("there is room");
    })
}

fn worse_channel_send() -> Operation {
    let mut send = channel_send();
    Box::new(move || {
        let _ = std::process::id();
        send();
    })
}

fn channel_send_and_recv() -> Operation {
    let (sender, receiver) = channel::<u64>().expect("a channel");
    Box::new(move || {
        sender.send(42).expect("there is room");
        assert_eq!(receiver.recv().expect("a message"), 42);
    })
}

fn channel_batch() -> Operation {
    let (sender, receiver) = channel::<u64>().expect("a channel");
    Box::new(move || {
        sender.send_all(0..100).expect("there is room");
        for n in 0..100 {
            assert_eq!(receiver.recv().expect("a message"), n);
        }
    })
}

fn mutex_lock() -> Operation {
    let mutex = sync::Mutex::new(0_u64).expect("a mutex");
    Box::new(move || *mutex.lock().expect("nobody has died with it") += 1)
}

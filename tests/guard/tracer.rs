//! Counts the system calls of a program and of all its descendants, in a repeatable order.
//!
//! Every thread of every process is stopped before and after each call, from its origin to the begin of its end. There
//! the tracer detaches, so that the parent, not the tracer, receives the end. Only one thread runs at a time: a thread
//! keeps the turn until it sleeps or ends, and then the eldest runnable thread has the turn. So no thread polls in vain
//! for a slower thread. At a mark the program is held until no other thread can run: an operation includes all of its
//! effects.
//!
//! ```text
//!   subject    ─ mark ─ request ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ join ─ mark ┄┄┄┄┄┄┄┄┄┄┄┄┄ request ─ …
//!   server     ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ clone ─ answer ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ clone a spare ┄┄┄┄┄┄┄
//!   child                                        ─ run ─ end
//!                     └──────────────────── counted as one operation ──────────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as File;
use std::process::{Child, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use offspring_tests::{case, procs, sys, wait};

use crate::counts::{Counts, Role};
use crate::paths::{Path, WARM_UP};

/// The reason why tracing is impossible here: containers and hardened systems forbid tracing.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Errno);

/// Returns the calls of a warm operation of a path, the median if the operations differ.
pub(crate) fn usual_operation(path: &Path) -> Result<Counts, Refused> {
    let mut operations = Ok(Vec::new());
    case::watched(|| operations = all_operations(path));
    let mut operations = operations?;
    // The operations before the first mark and after the last mark are incomplete.
    operations.pop();
    let mut warm = operations.split_off(1 + WARM_UP);
    warm.sort_by_key(Counts::total);
    Ok(warm.swap_remove(warm.len() / 2))
}

fn all_operations(path: &Path) -> Result<Vec<Counts>, Refused> {
    // The subject waits for the end of its input before its first operation.
    let mut subject = Subject(path.subject().stdin(Stdio::piped()).spawn().expect("this program"));
    let mut tracer = Tracer::new(subject.pid(), path.family);
    tracer.seize().map_err(Refused)?;
    drop(subject.0.stdin.take());
    tracer.run();
    Ok(tracer.operations)
}

/// The program, in a process group of its own. Dropping kills the whole group.
struct Subject(Child);

impl Subject {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        sys::kill(-self.pid().as_raw(), libc::SIGKILL);
        // The tracer has received the end already, unless tracing was refused.
        let _ = self.0.wait();
    }
}

/// A traced thread.
#[derive(Debug)]
struct Thread {
    /// The number of threads made before.
    age: usize,
    role: Role,
    /// The distance from the subject, which has generation zero.
    generation: usize,
    process: Pid,
    /// Set while the thread is stopped, with the signal to continue with.
    stopped: Option<Option<Signal>>,
    /// Set during an exec, whose calls do not count.
    is_loading: bool,
    /// Set while the thread sleeps uninterruptibly until its child's exec.
    has_lent_memory: bool,
}

struct Tracer {
    root: Pid,
    family: &'static [Role],
    threads: BTreeMap<Pid, Thread>,
    births: usize,
    /// New stopped threads, not yet announced by their makers.
    strangers: BTreeSet<Pid>,
    /// Threads that are detached, and not yet ended.
    leaving: BTreeSet<Pid>,
    /// The thread that has the turn.
    turn: Option<Pid>,
    /// The thread held at a mark.
    held: Option<Pid>,
    operations: Vec<Counts>,
    /// The end of the subject.
    ended: Option<WaitStatus>,
}

impl Tracer {
    fn new(root: Pid, family: &'static [Role]) -> Self {
        let mut tracer = Self {
            root,
            family,
            threads: BTreeMap::new(),
            births: 0,
            strangers: BTreeSet::new(),
            leaving: BTreeSet::new(),
            turn: None,
            held: None,
            operations: vec![Counts::default()],
            ended: None,
        };
        tracer.enter(root, 0, root);
        tracer
    }

    fn enter(&mut self, thread: Pid, generation: usize, process: Pid) {
        let entered = Thread {
            age: self.births,
            role: self.family[generation.min(self.family.len() - 1)],
            generation,
            process,
            stopped: self.strangers.remove(&thread).then_some(None),
            is_loading: thread == self.root,
            has_lent_memory: false,
        };
        self.threads.insert(thread, entered);
        self.births += 1;
    }

    fn seize(&self) -> Result<(), Errno> {
        let births = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
        let lives = Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_EXITKILL;
        ptrace::seize(self.root, births | lives | Options::PTRACE_O_TRACESYSGOOD)?;
        ptrace::interrupt(self.root)
    }

    fn run(&mut self) {
        while self.ended.is_none() || !self.threads.is_empty() {
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)).expect("the subject is there") {
                WaitStatus::StillAlive if self.is_settled() => self.give_turn(),
                WaitStatus::StillAlive => std::thread::yield_now(),
                status => self.see(status),
            }
        }
        let ended = self.ended.take();
        assert!(matches!(ended, Some(WaitStatus::Exited(_, 0))), "the subject has failed: {ended:?}");
    }

    /// Tells whether every thread is stopped, asleep, or gone.
    fn is_settled(&mut self) -> bool {
        let state = |thread: &Pid| procs::stat(thread.as_raw() as u32).map(|stat| stat.state);
        self.leaving.retain(|thread| !matches!(state(thread), None | Some('Z' | 'X')));
        let mut running = self.threads.iter().filter(|(_, thread)| thread.stopped.is_none());
        self.leaving.is_empty()
            && running.all(|(pid, thread)| {
                let state = state(pid);
                state == Some('S') || state == Some('D') && thread.has_lent_memory
            })
    }

    /// Lets one thread continue: the thread with the turn, else the eldest, else the thread held at a mark.
    fn give_turn(&mut self) {
        let can_go_on = |thread: &Pid| self.threads.get(thread).is_some_and(|known| known.stopped.is_some());
        let free = self.threads.keys().filter(|thread| can_go_on(thread) && Some(**thread) != self.held);
        let next = self.turn.filter(can_go_on).filter(|turn| Some(*turn) != self.held);
        let next = next.or_else(|| free.min_by_key(|thread| self.threads[*thread].age).copied());
        let next = next.or_else(|| {
            let held = self.held.take()?;
            self.operations.push(Counts::default());
            Some(held)
        });
        self.turn = next;
        match next {
            Some(next) => self.go_on(next),
            // All threads sleep, until a time limit passes.
            None => wait::a_moment(),
        }
    }

    fn go_on(&mut self, pid: Pid) {
        let signal = self.threads.get_mut(&pid).and_then(|thread| thread.stopped.take()).flatten();
        // Fails for a thread that was killed meanwhile.
        let _ = ptrace::syscall(pid, signal);
    }

    fn see(&mut self, status: WaitStatus) {
        match status {
            WaitStatus::PtraceSyscall(pid) => self.see_call(pid),
            WaitStatus::PtraceEvent(pid, _, event) => self.see_event(pid, event),
            WaitStatus::Stopped(pid, signal) => self.stopped(pid, Some(signal)),
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                self.threads.remove(&pid);
                self.leaving.remove(&pid);
                if pid == self.root {
                    self.ended = Some(status);
                }
            }
            other => panic!("nobody was asked for this: {other:?}"),
        }
    }

    fn stopped(&mut self, pid: Pid, signal: Option<Signal>) {
        match self.threads.get_mut(&pid) {
            Some(thread) => thread.stopped = Some(signal),
            None => drop(self.strangers.insert(pid)),
        }
    }

    fn see_call(&mut self, pid: Pid) {
        self.stopped(pid, None);
        let (Ok(Some(call)), Some(thread)) = (sys::entered_call(pid.as_raw()), self.threads.get_mut(&pid)) else {
            return;
        };
        match call {
            sys::MARK if thread.is_loading => thread.is_loading = false,
            sys::MARK => self.held = Some(pid),
            _ if thread.is_loading => {}
            _ => self.operations.last_mut().expect("the first is there").add(thread.role, call),
        }
    }

    fn see_event(&mut self, pid: Pid, event: i32) {
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => self.see_birth(pid, event),
            libc::PTRACE_EVENT_EXEC => self.threads.get_mut(&pid).expect("it is traced").is_loading = true,
            libc::PTRACE_EVENT_EXIT => {
                self.threads.remove(&pid);
                self.leaving.insert(pid);
                let _ = ptrace::detach(pid, None);
                return;
            }
            _ => {}
        }
        self.stopped(pid, None);
    }

    fn see_birth(&mut self, maker: Pid, event: i32) {
        let Ok(born) = ptrace::getevent(maker).map(|pid| Pid::from_raw(pid as i32)) else { return };
        let of = self.threads.get_mut(&maker).expect("it is traced");
        of.has_lent_memory = event == libc::PTRACE_EVENT_VFORK;
        let (generation, process) = (of.generation, of.process);
        if File::new(&format!("/proc/{process}/task/{born}")).exists() {
            self.enter(born, generation, process);
        } else {
            self.enter(born, generation + 1, born);
        }
    }
}

//! Counts the system calls of a program and of all that comes of it, in an order that is always the same.
//!
//! Every thread of every process is stopped before each call and after it, from its birth to the moment it begins to
//! end; there it is let go, so that its parent hears of its end, not the tracer. Only one thread runs at a time: it
//! keeps the turn until it sleeps or ends, and then the eldest that can go on has it. So nobody looks in vain because
//! another was slower this time. At a mark the program is held until nobody else can go on: whatever an operation sets
//! off is counted as part of it.
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

/// Nothing can be traced here: containers and hardened systems forbid it.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Errno);

/// What an operation of a path takes, once it is warm: the median, should they differ.
pub(crate) fn usual_operation(path: &Path) -> Result<Counts, Refused> {
    let mut operations = Ok(Vec::new());
    case::watched(|| operations = all_operations(path));
    let mut operations = operations?;
    // Before the first mark, and after the last.
    operations.pop();
    let mut warm = operations.split_off(1 + WARM_UP);
    warm.sort_by_key(Counts::total);
    Ok(warm.swap_remove(warm.len() / 2))
}

fn all_operations(path: &Path) -> Result<Vec<Counts>, Refused> {
    // It waits for the end of its input before it does anything.
    let mut subject = Subject(path.subject().stdin(Stdio::piped()).spawn().expect("this program"));
    let mut tracer = Tracer::new(subject.pid(), path.family);
    tracer.seize().map_err(Refused)?;
    drop(subject.0.stdin.take());
    tracer.run();
    Ok(tracer.operations)
}

/// The program, in a process group of its own, of which nobody is left.
struct Subject(Child);

impl Subject {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        sys::kill(-self.pid().as_raw(), libc::SIGKILL);
        // The tracer has heard of its end already, unless it was refused.
        let _ = self.0.wait();
    }
}

/// A thread that is traced.
#[derive(Debug)]
struct Thread {
    /// How many were born before it.
    age: usize,
    role: Role,
    /// The subject is the first, those that it makes are the next.
    generation: usize,
    process: Pid,
    /// It stands still, until it is told to go on, with this signal.
    stopped: Option<Option<Signal>>,
    /// What it does is not counted: another program begins.
    is_loading: bool,
    /// It sleeps as nobody else does, until its child executes another program.
    has_lent_memory: bool,
}

struct Tracer {
    root: Pid,
    family: &'static [Role],
    threads: BTreeMap<Pid, Thread>,
    births: usize,
    /// Born and stopped, but not yet announced by their makers.
    strangers: BTreeSet<Pid>,
    /// Let go, and not yet ended.
    leaving: BTreeSet<Pid>,
    /// Who has the turn.
    turn: Option<Pid>,
    /// Who is held at a mark.
    held: Option<Pid>,
    operations: Vec<Counts>,
    /// How the subject has ended.
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

    /// Whether everybody is stopped, asleep, or gone.
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

    /// Lets one go on: whoever has the turn, or else the eldest, or else who is held at a mark.
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
            // All sleep, until a time limit of theirs passes.
            None => wait::a_moment(),
        }
    }

    fn go_on(&mut self, pid: Pid) {
        let signal = self.threads.get_mut(&pid).and_then(|thread| thread.stopped.take()).flatten();
        // One that was killed meanwhile has no use for it.
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

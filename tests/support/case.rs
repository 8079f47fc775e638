//! Cases, and the checks at the end of each case: no child is left, and no descriptor is left open.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::num::NonZero;
use std::process::{Command, ExitCode};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Trial};
use offspring::{StartMethod, child_task, get_context};

use crate::{METHODS, Program, procs, program, runner, sys, wait};

/// The cases of one file.
pub type Suite = (&'static str, &'static [Case]);

/// One behaviour, which holds for every start method.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    run: fn(StartMethod),
    alone: bool,
    needs_root: bool,
    exclusive: bool,
    exceptions: [Option<Unsupported>; 2],
}

/// The reason why a case does not hold for a method.
#[derive(Clone, Copy, Debug)]
struct Unsupported(StartMethod, &'static str);

impl Case {
    /// A case that leaves its process as it found it.
    pub const fn here(name: &'static str, run: fn(StartMethod)) -> Self {
        Self { name, run, alone: false, needs_root: false, exclusive: false, exceptions: [None; 2] }
    }

    /// A case that makes threads or changes its process, and so runs in a process of its own.
    pub const fn alone(name: &'static str, run: fn(StartMethod)) -> Self {
        Self { alone: true, ..Self::here(name, run) }
    }

    /// A case that only root can try.
    pub const fn as_root(self) -> Self {
        Self { needs_root: true, ..self }
    }

    /// Marks a case that uses up a resource of all the user's processes, or measures time. No other case runs beside
    /// the case.
    pub const fn exclusive(self) -> Self {
        Self { exclusive: true, ..self }
    }

    /// Excludes a method.
    pub const fn except(mut self, method: StartMethod, reason: &'static str) -> Self {
        let free = if self.exceptions[0].is_none() { 0 } else { 1 };
        self.exceptions[free] = Some(Unsupported(method, reason));
        self
    }

    /// Excludes the methods without a forkserver.
    pub const fn only_by_forkserver(self, reason: &'static str) -> Self {
        self.except(StartMethod::Spawn, reason).except(StartMethod::Fork, reason)
    }

    fn why_not(&self, method: StartMethod) -> Option<&'static str> {
        if self.needs_root && !sys::is_root() {
            return Some("needs root");
        }
        let mut exceptions = self.exceptions.iter().flatten();
        exceptions.find(|Unsupported(excepted, _)| *excepted == method).map(|Unsupported(_, reason)| *reason)
    }
}

/// A list of cases: `here name`, `alone name`, and more, as methods of [`Case`].
#[macro_export]
macro_rules! cases {
    ($($place:ident $name:ident $(. $more:ident ($($argument:expr),*))*;)*) => {
        pub(crate) const CASES: &[$crate::Case] = &[
            $($crate::Case::$place(stringify!($name), $name) $(.$more($($argument),*))*),*
        ];
    };
}

/// Runs the cases that the arguments ask for. Most of a case is waiting, so two cases for each processor run at once.
pub(crate) fn run_all(suites: &'static [Suite]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(2 * processors);
    let mut trials = Vec::new();
    for method in METHODS {
        for (topic, cases) in suites {
            trials.extend(cases.iter().map(|case| trial(topic, case, method)));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    runner::finish();
    conclusion.exit_code()
}

/// Held shared by most cases, and alone by an exclusive case.
static MACHINE: RwLock<()> = RwLock::new(());

fn trial(topic: &'static str, case: &'static Case, method: StartMethod) -> Trial {
    Trial::ignorable_test(format!("{method}::{topic}::{}", case.name), move || {
        if let Some(reason) = case.why_not(method) {
            return Ok(Completion::ignored_with(reason));
        }
        // A failed case poisons the lock, which has no meaning for later cases.
        let _exclusive = case.exclusive.then(|| MACHINE.write().unwrap_or_else(PoisonError::into_inner));
        let _shared = (!case.exclusive).then(|| MACHINE.read().unwrap_or_else(PoisonError::into_inner));
        let name = format!("{topic}::{}", case.name);
        if case.alone {
            Program::of(Command::new(program::own_path()))
                .args(["--case", &name, method.as_str()])
                .start()
                .finish_within(CASE_LIMIT + wait::LIMIT)
                .succeeded();
        } else {
            runner::run(method, &name)?;
        }
        Ok(Completion::Completed)
    })
}

/// Runs cases that leave their process unchanged, as a runner.
pub(crate) fn serve(suites: &'static [Suite]) -> ExitCode {
    METHODS.into_iter().for_each(warm_up);
    runner::serve(|method, name| {
        let before = Leftovers::now();
        watched(|| (find(suites, name).run)(method));
        before.check(&BTreeMap::new());
    })
}

fn find(suites: &[Suite], name: &str) -> &'static Case {
    let of_topic = |(topic, cases): &Suite| {
        let name = name.strip_prefix(topic)?.strip_prefix("::")?;
        cases.iter().find(|case| case.name == name)
    };
    suites.iter().find_map(of_topic).expect("a case")
}

/// Ends the children of a failed case, so that the next case starts clean.
struct KillChildren;

impl Drop for KillChildren {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        sys::cancel_expiry();
        for child in offspring::active_children() {
            sys::kill(child.pid() as i32, libc::SIGKILL);
        }
        wait::until("the children are dead", || offspring::active_children().is_empty());
    }
}

pub(crate) fn run_alone(suites: &[Suite], name: &str, method: StartMethod) -> ExitCode {
    let before = Leftovers::now();
    watched(|| (find(suites, name).run)(method));
    // Descriptors that the library keeps: lifeline and reserve; the pidfd, lifeline and eventfd of the forkserver link;
    // a socket pair of the thread behind futures.
    let kept = [("pipe", 2), ("/dev/null", 1), ("socket", 3), ("anon_inode:[pidfd]", 1), ("anon_inode:[eventfd]", 1)];
    before.check(&kept.map(|(kind, count)| (kind.to_owned(), count)).into());
    ExitCode::SUCCESS
}

#[child_task]
fn nothing() {}

/// Lets the library create its lasting descriptors.
fn warm_up(method: StartMethod) {
    let context = get_context(method).expect("a supported method");
    context.start(nothing::call()).expect("a child").join().expect("no failure");
}

/// A little longer than any single wait in a case.
const CASE_LIMIT: Duration = Duration::from_secs(50);

/// Runs a case. If the case hangs, prints the states of all its processes and ends this process.
pub fn watched(case: impl FnOnce()) {
    let _ = OWN.set(Own {
        path: CString::new(program::own_path().into_os_string().into_encoded_bytes()).expect("a path"),
        pid: CString::new(std::process::id().to_string()).expect("a number"),
    });
    let _left_over = KillChildren;
    sys::on_expiry(CASE_LIMIT, hanging);
    case();
    sys::cancel_expiry();
}

/// Prepared strings for the signal handler, which cannot allocate.
struct Own {
    path: CString,
    pid: CString,
}

static OWN: OnceLock<Own> = OnceLock::new();

extern "C" fn hanging(_: i32) {
    let none: &CStr = c"";
    let (path, pid) = OWN.get().map_or((none, none), |own| (&*own.path, &*own.pid));
    sys::print_states_and_end(path, pid)
}

/// The things that a case must not leave more of.
#[derive(Debug)]
struct Leftovers {
    /// The number of spares, each of which has some of the descriptors.
    spares: usize,
    descriptors: BTreeMap<i32, String>,
    shared_memory: Vec<String>,
}

impl Leftovers {
    fn now() -> Self {
        let spares = settled_spares();
        Self { spares, descriptors: procs::descriptors(), shared_memory: procs::shared_memory() }
    }

    /// Checks that no child is left, and no more descriptors than before, except `kept` and the spares' own.
    fn check(&self, kept: &BTreeMap<String, usize>) {
        wait::until("every child but a forkserver and its spares has ended and was reaped", || {
            let active = offspring::active_children();
            let mut children = procs::children_of(std::process::id()).into_iter();
            active.is_empty() && children.all(|child| is_helper(&child) && child.state != 'Z')
        });
        assert!(procs::servers_of(std::process::id()).len() <= 1, "more than one forkserver");
        let mut more = None;
        // The reactor lets go of a child's descriptor some time after the child's end.
        let deadline = Instant::now() + wait::LIMIT;
        while Instant::now() < deadline {
            let after = Self::now();
            assert_eq!(self.shared_memory, after.shared_memory, "left in /dev/shm");
            more = self.more_descriptors(&after, kept);
            if more.is_none() {
                return;
            }
            wait::a_moment();
        }
        panic!("{}", more.unwrap_or_default());
    }

    /// Describes the descriptors that are more than before, if there are any.
    fn more_descriptors(&self, after: &Self, kept: &BTreeMap<String, usize>) -> Option<String> {
        let (before, now) = (&self.descriptors, &after.descriptors);
        let allowed = procs::kinds(before);
        procs::kinds(now).into_iter().find_map(|(kind, count)| {
            let is_of_spares = matches!(&*kind, "socket" | "pipe" | "anon_inode:[pidfd]");
            let (spares_before, spares) = if is_of_spares { (self.spares, after.spares) } else { (0, 0) };
            let limit = allowed.get(&kind).unwrap_or(&0) + kept.get(&kind).unwrap_or(&0) + spares - spares_before;
            let text =
                || format!("{count} descriptors of {kind} are open, not {limit}: before {before:#?}, now {now:#?}");
            (count > limit).then(text)
        })
    }
}

/// Returns the number of this process's spares, once all spares wait and are known, and the server makes no more.
fn settled_spares() -> usize {
    let own = std::process::id();
    let mut spares = 0;
    wait::until("server and spares wait", || {
        // Lets this process receive the news of new spares.
        offspring::active_children();
        let helpers: Vec<_> = procs::children_of(own).into_iter().filter(is_helper).collect();
        spares = helpers.iter().filter(|child| child.comm == "offspring-spare").count();
        // A new child has its server's name for a moment.
        helpers.len() <= spares + 1 && helpers.iter().all(|helper| matches!(helper.state, 'S' | 'T'))
    });
    offspring::active_children();
    spares
}

/// Tells whether a process is a forkserver or a spare.
fn is_helper(process: &procs::Stat) -> bool {
    process.comm == "forkserver" || process.comm == "offspring-spare"
}

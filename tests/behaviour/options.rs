//! The options of a builder, each for every start method.

use std::collections::BTreeMap;
use std::path::Path;

use offspring::{ErrorKind, JoinErrorKind, ProcessBuilder, Resource, StartMethod, Stdio, active_children, child_task};
use offspring_tests::{build, cases, failure, procs, run, start, sys, value};

use crate::tasks::{begun, hang, nothing, status};

const NO_EXEC: &str = "the child sets the environment itself";

cases! {
    here environment_variables;
    here an_environment_cleared;
    here an_environment_that_cannot_be;
    here an_environment_too_large_for_a_new_program
        .except(StartMethod::Fork, NO_EXEC)
        .except(StartMethod::ForkServer, NO_EXEC);
    here no_trace_of_the_bootstrap_in_the_environment;
    here directory;
    alone relative_directory;
    here directory_that_is_not_there;
    alone directory_that_was_deleted;
    here umask_of_the_child;
    here nice_value;
    here limits;
    here a_limit_on_memory_is_felt;
    here a_limit_on_time_is_felt;
    here affinity;
    here process_group;
    here daemon;
    here name;
    here name_for_ps;
    here settings_that_cannot_be;
    alone a_setting_that_the_child_may_not_make.as_root();
    here builders_are_used_once_and_leave_the_parent_alone;
}

#[child_task]
fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

fn environment_of(
    method: StartMethod,
    edit: impl FnOnce(ProcessBuilder<BTreeMap<String, String>>) -> ProcessBuilder<BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    value(run(method, edit(build(method, environment::call()))))
}

fn environment_variables(method: StartMethod) {
    let own: BTreeMap<String, String> = std::env::vars().collect();
    assert_eq!(environment_of(method, |builder| builder), own);
    let edited = environment_of(method, |builder| {
        builder.env("ADDED", "first").env("ADDED", "a=b c").env("EMPTY", "").env_remove("PATH").env_remove("NOT_THERE")
    });
    let mut wanted = own.clone();
    wanted.insert("ADDED".into(), "a=b c".into());
    wanted.insert("EMPTY".into(), String::new());
    wanted.remove("PATH");
    assert_eq!(edited, wanted);
    let several = environment_of(method, |builder| builder.envs([("ONE", "1"), ("TWO", "2")]).env_remove("ONE"));
    assert!(!several.contains_key("ONE") && several["TWO"] == "2");
    assert_eq!(std::env::vars().collect::<BTreeMap<_, _>>(), own);
}

fn an_environment_cleared(method: StartMethod) {
    assert_eq!(environment_of(method, |builder| builder.env_clear()), BTreeMap::new());
    let wanted = BTreeMap::from([("ONLY".to_owned(), "this".to_owned())]);
    assert_eq!(environment_of(method, |builder| builder.env("GONE", "x").env_clear().env("ONLY", "this")), wanted);
}

fn an_environment_that_cannot_be(method: StartMethod) {
    for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
        let error = build(method, nothing::call()).env(name, value).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting, "{name:?}={value:?}");
    }
}

fn an_environment_too_large_for_a_new_program(method: StartMethod) {
    let error = build(method, environment::call()).env("LARGE", "x".repeat(256 << 10)).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
    assert!(error.to_string().contains("the environment"), "{error}");
}

fn no_trace_of_the_bootstrap_in_the_environment(method: StartMethod) {
    let names: Vec<String> = environment_of(method, |builder| builder).into_keys().collect();
    assert!(!names.iter().any(|name| name == "OFFSPRING_BOOTSTRAP"), "{names:?}");
}

#[child_task]
fn where_am_i() -> String {
    std::fs::read_link("/proc/self/cwd").unwrap().display().to_string()
}

fn directory(method: StartMethod) {
    let own = std::env::current_dir().unwrap();
    for wanted in ["/", "/proc/self/..", "/tmp"] {
        let child = run(method, build(method, where_am_i::call()).current_dir(wanted));
        assert_eq!(Path::new(&value(child)), std::fs::canonicalize(wanted).unwrap());
    }
    assert_eq!(Path::new(&value(start(method, where_am_i::call()))), own);
}

fn relative_directory(method: StartMethod) {
    std::env::set_current_dir("/usr").unwrap();
    let child = run(method, build(method, where_am_i::call()).current_dir("bin"));
    assert_eq!(Path::new(&value(child)), std::fs::canonicalize("/usr/bin").unwrap());
    let child = run(method, build(method, where_am_i::call()).current_dir(".."));
    assert_eq!(value(child), "/");
}

fn directory_that_is_not_there(method: StartMethod) {
    for wanted in ["/no/such/directory", "/dev/null", ""] {
        let error = build(method, nothing::call()).current_dir(wanted).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting, "{wanted}: {error:?}");
        assert!(error.to_string().contains("behaviour::tasks::nothing"), "{error}");
    }
}

fn directory_that_was_deleted(method: StartMethod) {
    let path = std::env::temp_dir().join(format!("offspring-deleted-{}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    std::env::set_current_dir(&path).unwrap();
    std::fs::remove_dir(&path).unwrap();
    assert!(value(start(method, where_am_i::call())).ends_with(" (deleted)"));
    let error = build(method, nothing::call()).current_dir(&path).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    let child = run(method, build(method, where_am_i::call()).current_dir("/"));
    assert_eq!(value(child), "/");
}

#[child_task]
fn own_umask() -> u32 {
    sys::umask(0)
}

fn umask_of_the_child(method: StartMethod) {
    let own = sys::umask(0o22);
    sys::umask(own);
    for mask in [0, 0o77, 0o777, 0o137] {
        assert_eq!(value(run(method, build(method, own_umask::call()).umask(mask))), mask);
    }
    assert_eq!(value(start(method, own_umask::call())), own);
}

#[child_task]
fn own_nice() -> i32 {
    sys::nice()
}

fn nice_value(method: StartMethod) {
    let own = sys::nice();
    assert_eq!(value(run(method, build(method, own_nice::call()).nice(19))), 19);
    assert_eq!(value(run(method, build(method, own_nice::call()).nice(own + 1))), own + 1);
    assert_eq!(value(start(method, own_nice::call())), own);
}

#[child_task]
fn own_limit(resource: sys::Resource) -> (u64, u64) {
    sys::limit(resource)
}

const RESOURCES: [(Resource, sys::Resource, u64); 9] = [
    (Resource::AddressSpace, libc::RLIMIT_AS, 1 << 34),
    (Resource::CpuSeconds, libc::RLIMIT_CPU, 1000),
    (Resource::FileSize, libc::RLIMIT_FSIZE, 1 << 20),
    (Resource::Data, libc::RLIMIT_DATA, 1 << 33),
    (Resource::Stack, libc::RLIMIT_STACK, 1 << 20),
    (Resource::CoreDump, libc::RLIMIT_CORE, 0),
    (Resource::Processes, libc::RLIMIT_NPROC, 500),
    (Resource::OpenFiles, libc::RLIMIT_NOFILE, 40),
    (Resource::LockedMemory, libc::RLIMIT_MEMLOCK, 4096),
];

fn limits(method: StartMethod) {
    for (resource, number, limit) in RESOURCES {
        let child = run(method, build(method, own_limit::call(number)).limit(resource, limit));
        // One second more, since the kernel's first signal tells the reason.
        let on_top = u64::from(resource == Resource::CpuSeconds);
        assert_eq!(value(child), (limit, limit + on_top), "{resource:?}");
        assert_eq!(value(start(method, own_limit::call(number))), sys::limit(number), "{resource:?}");
    }
}

#[child_task]
fn allocate(bytes: usize) -> usize {
    std::hint::black_box(vec![1_u8; bytes]).len()
}

fn a_limit_on_memory_is_felt(method: StartMethod) {
    let child = run(
        method,
        build(method, allocate::call(1 << 32)).limit(Resource::AddressSpace, 1 << 30).stderr(Stdio::null()),
    );
    let error = failure(child);
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGABRT)), "{error:?}");
}

#[child_task]
fn burn() {
    loop {
        std::hint::black_box(0);
    }
}

fn a_limit_on_time_is_felt(method: StartMethod) {
    let error = failure(run(method, build(method, burn::call()).limit(Resource::CpuSeconds, 1)));
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGXCPU)), "{error:?}");
}

fn affinity(method: StartMethod) {
    let allowed = |text: &str| status::call(vec![text.to_owned()]);
    let key = "Cpus_allowed_list";
    let child = run(method, build(method, allowed(key)).cpu_affinity([0]));
    assert_eq!(value(child), ["0"]);
    assert_eq!(value(start(method, allowed(key))), [procs::status("self", key)]);
    let child = run(method, build(method, nothing::call()).cpu_affinity([1000]));
    let error = failure(child);
    let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
    assert_eq!(cause.kind(), ErrorKind::Setting);
}

fn process_group(method: StartMethod) {
    let own = procs::stat(std::process::id()).unwrap().group;
    let same = begun(method, build(method, hang::call()));
    assert_eq!(procs::stat(same.pid()).unwrap().group, own);
    let leader = begun(method, build(method, hang::call()).process_group(0));
    let group = leader.pid() as i32;
    assert_eq!(procs::stat(leader.pid()).unwrap().group, group);
    let member = begun(method, build(method, hang::call()).process_group(group));
    assert_eq!(procs::stat(member.pid()).unwrap().group, group);
    sys::kill(-group, libc::SIGTERM);
    for child in [leader, member] {
        let error = failure(child);
        assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGTERM)), "{error:?}");
    }
    assert!(same.is_alive());
    same.kill().unwrap();
    failure(same);
}

#[child_task]
fn am_i_a_daemon() -> bool {
    offspring::current_process().is_daemon()
}

fn daemon(method: StartMethod) {
    assert!(value(run(method, build(method, am_i_a_daemon::call()).daemon(true))));
    assert!(!value(start(method, am_i_a_daemon::call())));
    let child = begun(method, build(method, hang::call()).daemon(true));
    assert!(active_children().iter().any(|active| active.pid() == child.pid() && active.is_daemon()));
    child.kill().unwrap();
    failure(child);
}

#[child_task]
fn own_name() -> String {
    offspring::current_process().name().to_owned()
}

fn name(method: StartMethod) {
    let child = run(method, build(method, own_name::call()).name("Ünïcode näme that is long"));
    assert_eq!(child.name(), "Ünïcode näme that is long");
    assert_eq!(value(child), "Ünïcode näme that is long");
    let child = start(method, own_name::call());
    let name = child.name().to_owned();
    assert_eq!(value(child), name);
}

fn name_for_ps(method: StartMethod) {
    for (name, comm) in
        [(Some("chosen"), "chosen"), (Some("a name of more than 15 bytes"), "a name of more "), (None, "hang")]
    {
        let builder = build(method, hang::call());
        let builder = match name {
            Some(name) => builder.name(name),
            None => builder,
        };
        let child = begun(method, builder);
        assert_eq!(procs::stat(child.pid()).unwrap().comm, comm);
        child.kill().unwrap();
        failure(child);
    }
}

fn settings_that_cannot_be(method: StartMethod) {
    let builders = [
        build(method, nothing::call()).cpu_affinity([]),
        build(method, nothing::call()).nice(20),
        build(method, nothing::call()).nice(-21),
        build(method, nothing::call()).umask(0o1000),
        build(method, nothing::call()).process_group(-1),
    ];
    for builder in builders {
        assert_eq!(builder.start().unwrap_err().kind(), ErrorKind::Setting);
    }
    let error = failure(run(method, build(method, nothing::call()).process_group(i32::MAX)));
    assert!(
        matches!(error.kind(), JoinErrorKind::NotStarted(cause) if cause.kind() == ErrorKind::Setting),
        "{error:?}"
    );
}

fn a_setting_that_the_child_may_not_make(method: StartMethod) {
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 100, 200));
    sys::become_user(65534);
    for builder in
        [build(method, nothing::call()).nice(-5), build(method, nothing::call()).limit(Resource::OpenFiles, 300)]
    {
        let error = failure(run(method, builder));
        let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
        assert_eq!(cause.kind(), ErrorKind::Setting);
        assert!(std::error::Error::source(cause).is_some(), "{cause:?}");
    }
}

fn builders_are_used_once_and_leave_the_parent_alone(method: StartMethod) {
    let before = (sys::nice(), std::env::current_dir().unwrap(), sys::limit(libc::RLIMIT_NOFILE));
    let builder = build(method, own_name::call())
        .nice(5)
        .current_dir("/")
        .limit(Resource::OpenFiles, 50)
        .umask(0o77)
        .env("X", "y");
    value(run(method, builder));
    assert_eq!((sys::nice(), std::env::current_dir().unwrap(), sys::limit(libc::RLIMIT_NOFILE)), before);
    assert!(std::env::var_os("X").is_none());
}

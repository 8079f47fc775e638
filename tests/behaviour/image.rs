//! A child runs the same executable as its parent, even if the file has changed, and under any user.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use offspring::{ErrorKind, StartMethod, child_task};
use offspring_tests::{Program, cases, get_error, hidden_proc, program, start, sys, value, wait};

use crate::tasks::own_pid;

cases! {
    here a_replaced_file;
    here a_deleted_file;
    here an_unguarded_program;
    here a_pool_whose_workers_end_before_the_guard;
    here a_thread_that_is_older_than_main;
    here run_by_the_dynamic_loader;
    alone without_proc.as_root();
    here without_proc_children_die_all_the_same.as_root();
    here a_set_id_program_that_has_dropped_its_ids.as_root();
    here a_set_id_program_with_more_than_its_caller.as_root();
    here arguments_of_the_program_are_the_childs;
}

/// A copy of this test binary in a directory that all users may read.
struct Copy {
    directory: PathBuf,
    path: PathBuf,
}

impl Copy {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("offspring-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("program");
        std::fs::copy(program::own_path(), &path).unwrap();
        Self { directory, path }
    }

    fn program(&self, method: StartMethod, how: &str) -> Program {
        Program::by(Command::new(&self.path), "image::starts", method).args([how])
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[child_task]
fn image() -> PathBuf {
    std::fs::read_link("/proc/self/exe").unwrap()
}

#[child_task]
fn arguments() -> Vec<String> {
    std::env::args().collect()
}

/// Starts children as the arguments say.
pub(crate) fn starts(method: StartMethod, arguments: &[String]) {
    match &*arguments[0] {
        "twice" => {
            program::say(value(start(method, image::call())).display());
            // Waits until the file has been changed.
            std::io::stdin().read_line(&mut String::new()).unwrap();
            program::say(value(start(method, image::call())).display());
            program::say(value(start(method, image::call())).display());
        }
        "once" => report(method),
        "dropped" => {
            sys::become_user(65534);
            report(method);
        }
        "hidden" => {
            hidden_proc();
            let child = crate::tasks::hanging(method);
            program::say(child.pid());
            crate::tasks::forever()
        }
        other => panic!("{other}"),
    }
}

fn report(method: StartMethod) {
    match offspring::get_context(method).unwrap().start(own_pid::call()) {
        Ok(child) => program::say(format!("{}", child.pid() == child.join().unwrap())),
        Err(error) => program::say(format!("{:?}", error.kind())),
    }
}

fn changed(method: StartMethod, change: impl FnOnce(&Copy)) -> Vec<String> {
    let copy = Copy::new(&format!("changed-{method}"));
    let (stdin, told) = std::io::pipe().unwrap();
    let mut program = copy.program(method, "twice").stdin(stdin).start();
    assert_eq!(program.line(), copy.path.display().to_string());
    change(&copy);
    drop(told);
    let lines = vec![program.line(), program.line()];
    program.finish().succeeded();
    lines
}

fn a_replaced_file(method: StartMethod) {
    let images = changed(method, |copy| {
        let other = copy.directory.join("other");
        std::fs::copy("/bin/false", &other).unwrap();
        std::fs::rename(other, &copy.path).unwrap();
    });
    assert!(images.iter().all(|image| image.ends_with("/program (deleted)")), "{images:?}");
}

fn a_deleted_file(method: StartMethod) {
    let images = changed(method, |copy| std::fs::remove_dir_all(&copy.directory).unwrap());
    assert!(images.iter().all(|image| image.ends_with("/program (deleted)")), "{images:?}");
}

fn an_unguarded_program(method: StartMethod) {
    let ended = Program::of(Command::new(env!("CARGO_BIN_EXE_unguarded"))).finish();
    let printed = ended.succeeded();
    let runs = printed.lines().filter(|line| *line == "main").count();
    assert_eq!(runs, 1, "{printed}");
    let line = printed.lines().find(|line| line.starts_with(&format!("{method}:"))).unwrap();
    match method {
        StartMethod::Fork => assert_eq!(line, "fork: Some(42)"),
        _ => assert!(line.contains("MissingGuard") && line.contains("#[offspring::process_main]"), "{line}"),
    }
}

fn a_pool_whose_workers_end_before_the_guard(method: StartMethod) {
    let (input, mut output) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut output, b"a line\n").unwrap();
    drop(output);
    let printed = Program::of(Command::new(env!("CARGO_BIN_EXE_late_guard"))).stdin(input).finish().succeeded();
    let line = printed.lines().find(|line| line.starts_with(&format!("{method}:"))).unwrap();
    match method {
        StartMethod::Fork => assert_eq!(line, "fork: Some(42)", "{printed}"),
        StartMethod::ForkServer => assert!(line.contains("exit code 3; ") && line.contains("the guard"), "{printed}"),
        _ => {
            assert!(line.contains("MissingGuard") && line.contains("exited with code 3"), "{printed}");
            assert!(line.contains("#[offspring::process_main]"), "{printed}");
            let runs = printed.lines().take_while(|line| !line.starts_with("spawn")).count();
            assert!(runs <= 3, "the program, and each worker once: {printed}");
        }
    }
}

/// The default, if no method was chosen, is a method that works. A chosen method that cannot work names the thread and
/// the way out.
fn a_thread_that_is_older_than_main(method: StartMethod) {
    let program = || Program::of(Command::new(env!("CARGO_BIN_EXE_load_time_thread")));
    let by_default = program().env("OFFSPRING_START_METHOD", "").finish().succeeded();
    assert_eq!(by_default, "methods [Spawn], default spawn\nchild by spawn: Some(42)\npool: Some(42)\n");

    let chosen = program().env("OFFSPRING_START_METHOD", method.as_str()).finish().succeeded();
    let lines: Vec<&str> = chosen.lines().collect();
    assert_eq!(lines[0], format!("methods [Spawn], default {method}"));
    if method == StartMethod::Spawn {
        assert_eq!(chosen, by_default);
        return;
    }
    for (line, what) in lines[1..].iter().zip(["child", "pool"]) {
        assert!(line.starts_with(&format!("{what}: MultiThreadedFork: ")), "{chosen}");
        assert!(line.contains("older-than-main") && line.contains("use the start method `spawn`"), "{chosen}");
        assert!(!line.contains("`forkserver`"), "no way out: {chosen}");
    }
    assert_eq!(lines.len(), 3, "{chosen}");
}

/// Returns the dynamic loader. `None` for a static program.
fn loader() -> Option<PathBuf> {
    if cfg!(target_feature = "crt-static") {
        return None;
    }
    let candidates = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"].map(PathBuf::from);
    candidates.into_iter().find(|path| path.exists())
}

fn run_by_the_dynamic_loader(method: StartMethod) {
    let Some(loader) = loader() else { return };
    let mut command = Command::new(loader);
    command.arg(program::own_path());
    let printed = Program::by(command, "image::starts", method).args(["once"]).finish().succeeded();
    assert_eq!(printed, if method == StartMethod::Fork { "true\n" } else { "NoExecutable\n" });
}

fn without_proc(method: StartMethod) {
    hidden_proc();
    let started = offspring::get_context(method).unwrap().start(own_pid::call());
    match method {
        StartMethod::Fork => {
            let child = started.unwrap();
            assert_eq!(child.pid(), child.join().unwrap());
        }
        _ => assert_eq!(get_error(started).kind(), ErrorKind::NoExecutable),
    }
    offspring_tests::shown_proc();
}

fn without_proc_children_die_all_the_same(method: StartMethod) {
    if method != StartMethod::Fork {
        return;
    }
    let mut parent = Program::new("image::starts", method).args(["hidden"]).start();
    let child = parent.numbers()[0];
    let pidfd = sys::open_pid(child).unwrap();
    parent.kill();
    let deadline = std::time::Instant::now() + wait::LIMIT;
    assert!(wait::readable(std::os::fd::AsFd::as_fd(&pidfd), deadline), "an orphan lives on");
}

/// Returns a copy owned by root, which runs with root's rights under any user.
fn set_id_copy(name: &str) -> Copy {
    let copy = Copy::new(name);
    for (path, mode) in [(&copy.path, 0o4755), (&copy.directory, 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    copy
}

fn a_set_id_program_that_has_dropped_its_ids(method: StartMethod) {
    let copy = set_id_copy(&format!("dropped-{method}"));
    let printed = copy.program(method, "dropped").finish().succeeded();
    assert_eq!(printed, if method == StartMethod::Fork { "true\n" } else { "PrivilegedBinary\n" });
    let printed = copy.program(method, "once").finish().succeeded();
    assert_eq!(printed, "true\n", "root itself gains nothing by it");
}

fn a_set_id_program_with_more_than_its_caller(method: StartMethod) {
    use std::os::unix::process::CommandExt;
    let copy = set_id_copy(&format!("privileged-{method}"));
    let mut command = Command::new(&copy.path);
    command.uid(65534).gid(65534);
    let printed = Program::by(command, "image::starts", method).args(["once"]).finish().succeeded();
    assert_eq!(printed, if method == StartMethod::Fork { "true\n" } else { "PrivilegedBinary\n" });
}

fn arguments_of_the_program_are_the_childs(method: StartMethod) {
    let own: Vec<String> = std::env::args().collect();
    assert_eq!(value(start(method, arguments::call())), own);
}

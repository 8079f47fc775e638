//! A program with the functions of LLVM's coverage runtime: each process notes how it would have written its counts.

use std::ffi::{CStr, c_char, c_int};
use std::io::Write;
use std::sync::Mutex;

use offspring::{child_task, get_context, process_main};

/// The name of this process's file, and how often its counts were set to zero.
static FILE: Mutex<(String, u32)> = Mutex::new((String::new(), 0));

// An instrumented program has the real ones, and this one is of no use there.
#[cfg(not(coverage))]
#[expect(unsafe_code, reason = "the names are those of the runtime")]
mod runtime {
    use super::{CStr, FILE, c_char, c_int};

    /// The runtime registers its exit handler before `main`.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static AT_LOAD: extern "C" fn() = register;

    extern "C" fn register() {
        // SAFETY: the handler is a function of this program.
        unsafe { libc::atexit(at_exit) };
    }

    extern "C" fn at_exit() {
        __llvm_profile_write_file();
    }

    #[unsafe(no_mangle)]
    extern "C" fn __llvm_profile_write_file() -> c_int {
        super::note();
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn __llvm_profile_set_filename(name: *const c_char) {
        // SAFETY: the caller passes a string.
        let name = unsafe { CStr::from_ptr(name) };
        FILE.lock().unwrap().0 = name.to_str().unwrap().to_owned();
    }

    #[unsafe(no_mangle)]
    extern "C" fn __llvm_profile_reset_counters() {
        FILE.lock().unwrap().1 += 1;
    }
}

/// Appends a line to the file of notes.
fn note() {
    let (name, resets) = FILE.lock().unwrap().clone();
    let notes = std::env::var_os("NOTES").expect("the file of notes");
    let mut notes = std::fs::File::options().append(true).open(notes).expect("the file is there");
    notes.write_all(format!("{} {resets} {name}\n", std::process::id()).as_bytes()).expect("a line");
}

#[child_task]
fn pid() -> u32 {
    std::process::id()
}

#[child_task]
fn panics() {
    panic!("on purpose");
}

/// Prints the pids of two children and a worker.
#[process_main]
fn main() {
    let context = get_context(std::env::args().nth(1).unwrap().parse().unwrap()).unwrap();
    let pool = context.pool().workers(1).build().unwrap();
    let worker = pool.submit(pid::call()).wait().unwrap();
    pool.join().unwrap();
    let child = context.start(pid::call()).unwrap().join().unwrap();
    let mut panicked = context.start(panics::call()).unwrap();
    panicked.wait().unwrap_err();
    println!("{worker} {child} {}", panicked.pid());
}

//! Panics in a child, on their way to the parent.
//!
//! 1. The panic hook notes message, place and backtrace; `catch_unwind` returns only the message.
//! 2. [`catch`] returns the noted panic, which the child then sends to the parent.
//!
//! In a program built with `panic = "abort"` step 2 never comes, so the hook itself reports.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use crate::error::Panic;

thread_local! {
    /// The latest panic on this thread.
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Installs a hook that notes every panic. The previous hook, such as std's message on standard error, still runs.
pub(super) fn watch(report: impl Fn(&Panic) + Send + Sync + 'static) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let panic = describe(info);
        previous(info);
        if cfg!(panic = "abort") {
            report(&panic);
        }
        // A thread whose thread-locals are gone runs no task.
        let _ = LAST.try_with(|last| *last.borrow_mut() = Some(panic));
    }));
}

/// Runs the task, and returns the task's panic as an error.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = message(&*payload);
        // The payload's drop could panic again. The process ends soon.
        std::mem::forget(payload);
        let noted = LAST.try_with(|last| last.borrow_mut().take()).ok().flatten();
        // If the task has installed another hook, the noted panic may be an older one that the task caught.
        noted.filter(|panic| panic.message == message).unwrap_or(Panic { message, location: None, backtrace: None })
    })
}

fn describe(info: &PanicHookInfo<'_>) -> Panic {
    let backtrace = Backtrace::capture();
    Panic {
        message: message(info.payload()),
        location: info.location().map(ToString::to_string),
        backtrace: (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string()),
    }
}

/// Returns the text of a panic, or a placeholder for a payload without text.
pub(crate) fn message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "Box<dyn Any>".to_owned())
}

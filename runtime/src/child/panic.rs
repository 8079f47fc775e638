//! Panics in a child, on their way to the parent.
//!
//! The panic hook writes down what `catch_unwind` does not tell: place and backtrace. A program built with
//! `panic = "abort"` has nothing but the hook, so there it is the hook that reports, at once.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use crate::error::Panic;

thread_local! {
    /// The panic under way on this thread.
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Writes down every panic from now on; what was in place before (std's message on standard error) still runs.
pub(super) fn watch(report: impl Fn(&Panic) + Send + Sync + 'static) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let panic = describe(info);
        previous(info);
        if cfg!(panic = "abort") {
            report(&panic);
        }
        // A thread that is past the end of its thread-locals runs no task.
        let _ = LAST.try_with(|last| *last.borrow_mut() = Some(panic));
    }));
}

/// Runs the task.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = message(&*payload);
        // Dropping what somebody else's type panicked with could panic again; the process ends anyway.
        std::mem::forget(payload);
        let noted = LAST.try_with(|last| last.borrow_mut().take()).ok().flatten();
        // A hook of the task's own may have replaced ours, and this be an older panic that the task caught.
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

/// The text of a panic, if it has one.
pub(crate) fn message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "Box<dyn Any>".to_owned())
}

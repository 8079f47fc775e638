//! The expansion: one function per attribute, and the plan of each attribute.
//!
//! ```text
//!   attribute arguments ─ args ──▶ TaskArgs ─┐
//!                                            ├─ check ─▶ Task ─▶ the item, its struct, its entry in the registry
//!   annotated item ────── model ─▶ Function ─┘    │
//!                                                 └──▶ mistakes ─▶ the item, one `compile_error!` for each,
//!                                                                  and stand-ins that keep callers free of errors
//! ```
//!
//! Generated code is short and calls the runtime. All paths are absolute. A path begins with the runtime's crate (or
//! the `crate = path` of the attribute) or with `core`, so that names in the user's module have no effect.
//!
//! Invariant: where the name of an argument is bound, no constant, static or unit struct of generated code is in scope.
//! Such a name would turn the binding into a pattern. So generated constants are associated constants, and generated
//! local variables have `Span::mixed_site()`.

mod hook;
mod main;
mod shared;
mod task;
mod type_verdict;

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{HookArgs, MainArgs, TaskArgs};
use crate::check::{self, Soundness};
use crate::errors::Errors;
use crate::model::Task;

pub(crate) fn child_task(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut args = TaskArgs::parse(args, &mut errors);
    let Some(function) = check::function("child_task", item.clone(), &mut errors) else {
        return quote!(#item #errors);
    };
    let generated = match check::task(&function, &mut args, &mut errors) {
        Soundness::Sound => task::items(&Task::new(&function, &args)),
        Soundness::Faulty => task::stand_in_items(&Task::new(&function, &args)),
        Soundness::Misplaced => item,
    };
    quote!(#generated #errors)
}

pub(crate) fn process_main(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = MainArgs::parse(args, &mut errors);
    let Some(function) = check::function("process_main", item.clone(), &mut errors) else {
        return quote!(#item #errors);
    };
    let generated = match check::main(&function, &mut errors) {
        Soundness::Sound => main::guarded(&function, &args),
        Soundness::Faulty => main::stand_in(&function),
        Soundness::Misplaced => item,
    };
    quote!(#generated #errors)
}

pub(crate) fn preload(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = HookArgs::parse_preload(args, &mut errors);
    let entry = check::function("preload", item.clone(), &mut errors)
        .filter(|function| check::preload(function, &mut errors) == Soundness::Sound)
        .map(|function| hook::preload_entry(&function, &args));
    quote!(#item #entry #errors)
}

pub(crate) fn after_fork(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = HookArgs::parse_after_fork(args, &mut errors);
    let entry = check::function("after_fork", item.clone(), &mut errors)
        .filter(|function| check::after_fork(function, &mut errors) == Soundness::Sound)
        .map(|function| hook::after_fork_entry(&function, &args));
    quote!(#item #entry #errors)
}

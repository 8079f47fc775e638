//! The rejections for `#[preload]` and `#[after_fork]`.

use syn::{FnArg, Safety, Signature};

use super::common::{Soundness, is_plain, is_unit, no_generics};
use crate::errors::Errors;
use crate::model::Function;

/// Checks a function marked `#[preload]`.
pub(crate) fn preload(function: &Function, errors: &mut Errors) -> Soundness {
    let before = errors.count();
    hook(&function.sig, "a preload function", "it runs once, in the forkserver, before there is any call", errors);
    if let Some(ty) = function.returned().filter(|ty| is_plain(ty) && !is_unit(ty)) {
        errors.reject(
            ty,
            "a preload function has no caller to give a value to; return nothing, or a \
             `Result` that tells whether it worked",
        );
    }
    Soundness::since(before, errors)
}

/// Checks a function marked `#[after_fork]`.
pub(crate) fn after_fork(function: &Function, errors: &mut Errors) -> Soundness {
    let before = errors.count();
    hook(&function.sig, "an after-fork function", "it runs in every forked child, before the task is known", errors);
    if let Some(ty) = function.returned().filter(|ty| !is_unit(ty)) {
        errors.reject(
            ty,
            "an after-fork function has no caller to give a value to; return nothing, and \
             panic if the child cannot go on",
        );
    }
    Soundness::since(before, errors)
}

fn hook(sig: &Signature, what: &str, because: &str, errors: &mut Errors) {
    match sig.inputs.first() {
        Some(FnArg::Receiver(receiver)) => {
            errors.reject(receiver, format_args!("{what} is a free function; move it out of the `impl` block"));
        }
        Some(argument) => errors.reject(argument, format_args!("{what} takes no arguments: {because}; remove them")),
        None => {}
    }
    if let Some(asyncness) = &sig.asyncness {
        errors.reject(asyncness, format_args!("{what} runs where there is no async runtime; remove `async`"));
    }
    if let Safety::Unsafe(unsafety) = &sig.safety {
        errors.reject(
            unsafety,
            format_args!(
                "{what} is called from safe code; remove `unsafe`, and use an `unsafe` \
                 block inside"
            ),
        );
    }
    if let Some(abi) = &sig.abi {
        errors.reject(abi, format_args!("{what} is called as a Rust function; remove the `extern`"));
    }
    no_generics(sig, &format!("{what} cannot be generic: no caller names the types; remove the parameters"), errors);
}

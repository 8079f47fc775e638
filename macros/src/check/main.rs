//! The rejections for `#[process_main]`.

use syn::Safety;

use super::common::{Soundness, no_generics};
use crate::errors::Errors;
use crate::model::Function;

/// Checks a function marked `#[process_main]`.
pub(crate) fn check(function: &Function, errors: &mut Errors) -> Soundness {
    let before = errors.count();
    let sig = &function.sig;
    if sig.ident != "main" {
        errors.reject(
            &sig.ident,
            "`#[process_main]` guards `main`, where the program starts; move it there, \
             and leave other functions to `#[child_task]`",
        );
        return Soundness::Misplaced;
    }
    if let Some(argument) = sig.inputs.first() {
        errors.reject(argument, "`main` takes no arguments; read them inside, with `std::env::args()`");
    }
    qualifiers(function, errors);
    no_generics(sig, "`main` cannot be generic; remove the parameters", errors);
    Soundness::since(before, errors)
}

fn qualifiers(function: &Function, errors: &mut Errors) {
    let sig = &function.sig;
    if let Some(asyncness) = sig.asyncness.as_ref().filter(|_| !has_foreign_attribute(function)) {
        errors.reject(
            asyncness,
            "`main` is async, and nothing here runs it; add the attribute of a runtime, \
             such as `#[tokio::main]`, above or below `#[process_main]`",
        );
    }
    if let Some(constness) = &sig.constness {
        errors.reject(constness, "`main` starts the program and is never called in a constant; remove `const`");
    }
    if let Safety::Unsafe(unsafety) = &sig.safety {
        errors.reject(
            unsafety,
            "`main` is called from safe code; remove `unsafe`, and use an `unsafe` \
             block inside",
        );
    }
    if let Some(abi) = &sig.abi {
        errors.reject(abi, "`main` is called as a Rust function; remove the `extern`");
    }
}

/// Whether `main` has an attribute that the language does not define. Such an attribute may turn an async `main` into a
/// plain function.
fn has_foreign_attribute(function: &Function) -> bool {
    function.attrs.iter().any(|attr| !BUILT_IN_ATTRIBUTES.iter().any(|name| attr.path().is_ident(name)))
}

/// `cfg_attr` is missing on purpose: the list of a `cfg_attr` may hold the attribute of a runtime.
const BUILT_IN_ATTRIBUTES: &[&str] =
    &["allow", "cfg", "cold", "deny", "deprecated", "doc", "expect", "forbid", "inline", "must_use", "rustfmt", "warn"];

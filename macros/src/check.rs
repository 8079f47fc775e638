//! Every rejection, in one flat list per attribute: all mistakes of an item are found in one pass, each is reported at the
//! smallest token that shows it, and each message says the way out.

mod task;
mod types;

use proc_macro2::TokenStream;
use syn::{FnArg, Safety, Signature, Type};

use crate::args::TaskArgs;
use crate::errors::Errors;
use crate::model::{Function, foreign_keyword};

/// How much can be generated for a function that was checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it.
    Sound,
    /// Something in the signature is wrong: only what keeps the item's users from failing too.
    Faulty,
    /// Not even that: it would be wrong here.
    Misplaced,
}

impl Verdict {
    /// What the mistakes amount to that were found since there were `before` of them.
    fn since(before: usize, errors: &Errors) -> Self {
        if errors.count() == before { Self::Sound } else { Self::Faulty }
    }
}

/// Reads the function below `attribute`; anything else is a mistake.
pub(crate) fn function(attribute: &str, item: TokenStream, errors: &mut Errors) -> Option<Function> {
    let parsed = syn::parse2::<Function>(item.clone());
    match (parsed, foreign_keyword(item)) {
        (Ok(function), _) if function.has_body() => return Some(function),
        (Ok(function), _) => errors.reject(
            &function.body,
            format_args!(
                "`#[{attribute}]` needs a function with a body; put it on a free function \
                 that calls this one"
            ),
        ),
        (Err(_), Some(keyword)) => errors.reject(
            keyword,
            format_args!(
                "`#[{attribute}]` goes on a function, and this is none; move what is to run \
                 into an `fn`"
            ),
        ),
        (Err(error), None) => errors.push(error),
    }
    None
}

/// Checks a function marked `#[child_task]`. Arguments that cannot hold for it are taken away.
pub(crate) fn task(function: &Function, args: &mut TaskArgs, errors: &mut Errors) -> Verdict {
    task::check(function, args, errors)
}

/// Checks a function marked `#[process_main]`.
pub(crate) fn main(function: &Function, errors: &mut Errors) -> Verdict {
    let before = errors.count();
    let sig = &function.sig;
    if sig.ident != "main" {
        errors.reject(
            &sig.ident,
            "`#[process_main]` guards `main`, where the program starts; move it there, \
             and leave other functions to `#[child_task]`",
        );
        return Verdict::Misplaced;
    }
    if let Some(argument) = sig.inputs.first() {
        errors.reject(argument, "`main` takes no arguments; read them inside, with `std::env::args()`");
    }
    main_qualifiers(function, errors);
    no_generics(sig, "`main` cannot be generic; remove the parameters", errors);
    Verdict::since(before, errors)
}

/// Checks a function marked `#[preload]`.
pub(crate) fn preload(function: &Function, errors: &mut Errors) -> Verdict {
    let before = errors.count();
    hook(&function.sig, "a preload function", "it runs once, in the forkserver, before there is any call", errors);
    if let Some(ty) = function.returned().filter(|ty| is_plain(ty) && !is_unit(ty)) {
        errors.reject(
            ty,
            "a preload function has nobody to give a value to; return nothing, or a \
             `Result` that tells whether it worked",
        );
    }
    Verdict::since(before, errors)
}

/// Checks a function marked `#[after_fork]`.
pub(crate) fn after_fork(function: &Function, errors: &mut Errors) -> Verdict {
    let before = errors.count();
    hook(&function.sig, "an after-fork function", "it runs in every forked child, before the task is known", errors);
    if let Some(ty) = function.returned().filter(|ty| !is_unit(ty)) {
        errors.reject(
            ty,
            "an after-fork function has nobody to give a value to; return nothing, and \
             panic if the child cannot go on",
        );
    }
    Verdict::since(before, errors)
}

// ── Main and hooks ──────────────────────────────────────────────────────────────────────────────────────────────────

fn main_qualifiers(function: &Function, errors: &mut Errors) {
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

/// Whether an attribute is there that may turn an async `main` into a plain one: any that the language does not define.
fn has_foreign_attribute(function: &Function) -> bool {
    function.attrs.iter().any(|attr| !BUILT_IN_ATTRIBUTES.iter().any(|name| attr.path().is_ident(name)))
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
    no_generics(sig, &format!("{what} cannot be generic: nobody names the types; remove the parameters"), errors);
}

fn no_generics(sig: &Signature, message: &str, errors: &mut Errors) {
    match (sig.generics.params.first(), &sig.generics.where_clause) {
        (Some(param), _) => errors.reject(param, message),
        (None, Some(clause)) => errors
            .reject(clause.where_token, "there is nothing generic here for a `where` clause to be about; remove it"),
        (None, None) => {}
    }
}

/// Whether the tokens alone prove that `ty` is no `Result`.
pub(crate) fn is_plain(ty: &Type) -> bool {
    match ty {
        Type::Path(ty) if ty.path.segments.len() == 1 => {
            let name = &ty.path.segments[0].ident;
            PRIMITIVES.iter().chain(&["String", "Option", "Vec"]).any(|plain| name == plain)
        }
        Type::Path(_) | Type::Group(_) | Type::Paren(_) | Type::Macro(_) | Type::ImplTrait(_) => false,
        _ => true,
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

const PRIMITIVES: &[&str] = &[
    "bool", "char", "str", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
    "f16", "f32", "f64", "f128",
];

/// `cfg_attr` is missing on purpose: it may hold the attribute of a runtime.
const BUILT_IN_ATTRIBUTES: &[&str] =
    &["allow", "cfg", "cold", "deny", "deprecated", "doc", "expect", "forbid", "inline", "must_use", "rustfmt", "warn"];

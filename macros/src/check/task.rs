//! The rejections for `#[child_task]`.

use syn::{GenericParam, Safety, Signature, Type};

use super::common::{PRIMITIVES, Soundness, is_plain};
use super::types;
use crate::args::TaskArgs;
use crate::errors::Errors;
use crate::model::Function;

/// Checks a function marked `#[child_task]`. Removes arguments that cannot hold for the function.
pub(crate) fn check(function: &Function, args: &mut TaskArgs, errors: &mut Errors) -> Soundness {
    let before = errors.count();
    let sig = &function.sig;
    let misplaced = receiver(sig, errors) | hidden_primitive(function, args, errors);
    qualifiers(sig, errors);
    let before_types = errors.count();
    arguments(function, errors);
    output(function, args, errors);
    generics(sig, errors.count() > before_types, errors);
    let soundness = if misplaced { Soundness::Misplaced } else { Soundness::since(before, errors) };
    report_has_a_result(function, args, errors);
    soundness
}

fn receiver(sig: &Signature, errors: &mut Errors) -> bool {
    let Some(receiver) = sig.receiver() else {
        return false;
    };
    errors.reject(
        receiver,
        "a child task is a free function; move it out of the `impl` block, and take \
         what was `self` as an ordinary argument",
    );
    true
}

/// Rejects the name of a primitive type: a struct called `str` would replace the primitive in the whole module, with
/// errors in other places.
fn hidden_primitive(function: &Function, args: &TaskArgs, errors: &mut Errors) -> bool {
    let handle = args.handle.as_ref().unwrap_or(&function.sig.ident);
    if !PRIMITIVES.iter().any(|primitive| handle == primitive) {
        return false;
    }
    errors.reject(
        handle,
        format_args!(
            "the struct of this task would hide the primitive type `{handle}` from the whole \
             module; give it another name, as in `#[child_task(handle = {})]`",
            suggested_handle(&function.unraw_name()),
        ),
    );
    true
}

fn qualifiers(sig: &Signature, errors: &mut Errors) {
    if let Some(asyncness) = &sig.asyncness {
        errors.reject(
            asyncness,
            "a child has no async runtime; remove `async`, and start one inside, as in \
             `Runtime::new()?.block_on(async { … })`",
        );
    }
    if let Safety::Unsafe(unsafety) = &sig.safety {
        errors.reject(
            unsafety,
            "a child task is called from safe code; remove `unsafe`, and use an `unsafe` \
             block inside",
        );
    }
    if let Some(abi) = &sig.abi {
        errors.reject(
            abi,
            "a child task is called as a Rust function; remove the `extern`, or make a task \
             that calls this function",
        );
    }
    if let Some(variadic) = &sig.variadic {
        errors.reject(variadic, "a child task has a fixed number of arguments; take a `Vec`");
    }
}

fn arguments(function: &Function, errors: &mut Errors) {
    for argument in function.arguments() {
        for cfg in argument.attrs.iter().filter(|attr| attr.path().is_ident("cfg")) {
            errors.reject(
                cfg,
                "a child task has the same arguments in every build; write one function per \
                 `#[cfg]`",
            );
        }
        types::argument(&argument.ty, errors);
    }
}

fn output(function: &Function, args: &TaskArgs, errors: &mut Errors) {
    match function.returned() {
        None => {}
        Some(Type::Never(never)) => errors.reject(
            never,
            "a child task that never returns has no result to send; leave the return \
             type out, the task may still run for ever",
        ),
        Some(ty) if args.report.is_some() => types::reported_output(ty, errors),
        Some(ty) => types::output(ty, errors),
    }
}

/// Rejects generic parameters. A lifetime counts only if the types are sound: the check of the argument has already
/// reported `fn f<'a>(x: &'a str)`.
fn generics(sig: &Signature, faulty_types: bool, errors: &mut Errors) {
    let unspecific = sig.generics.params.iter().find(|param| !matches!(param, GenericParam::Lifetime(_)));
    match (unspecific.or(sig.generics.params.first()), &sig.generics.where_clause) {
        (Some(GenericParam::Type(param)), _) => errors.reject(
            &param.ident,
            "a child task is looked up by name at run time, so it cannot be generic; \
             write one task for each type, which may all call one generic function",
        ),
        (Some(GenericParam::Const(param)), _) => errors.reject(
            &param.ident,
            "a child task is looked up by name at run time, so it has no const \
             parameters; take the value as an ordinary argument",
        ),
        (Some(GenericParam::Lifetime(param)), _) if !faulty_types => {
            errors.reject(
                &param.lifetime,
                "a child task owns its arguments, so it has no lifetimes to name; remove \
                 the parameter",
            );
        }
        (None, Some(clause)) => errors.reject(
            clause.where_token,
            "a child task is not generic, so a `where` clause has nothing to say; remove it",
        ),
        _ => {}
    }
}

/// Rejects and removes a `report` without a `Result`. The rest of the code is then generated without `report`.
fn report_has_a_result(function: &Function, args: &mut TaskArgs, errors: &mut Errors) {
    let Some(report) = &args.report else { return };
    const WAY_OUT: &str = "return a `Result`, or take `report` away";
    match function.returned() {
        None => errors.reject(
            report,
            format_args!(
                "`report` sends the error of a `Result`, and this task returns nothing; \
                 {WAY_OUT}"
            ),
        ),
        Some(ty) if is_plain(ty) => {
            errors.reject(ty, format_args!("`report` sends the error of a `Result`, and this is none; {WAY_OUT}"))
        }
        Some(_) => return,
    }
    args.report = None;
}

fn suggested_handle(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain("Task".chars()).collect()
}

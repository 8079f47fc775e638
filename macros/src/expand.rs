//! The whole pipeline, one function per attribute, and what each generates.
//!
//! ```text
//!   attribute arguments ─ args ──▶ TaskArgs ─┐
//!                                            ├─ check ─▶ Task ─▶ the item, its struct, its entry in the registry
//!   annotated item ────── model ─▶ Function ─┘    │
//!                                                 └──▶ mistakes ─▶ the item, one `compile_error!` for each, and what
//!                                                                  its users need so that they do not fail as well
//! ```
//!
//! Generated code is short and calls the runtime. It names everything by absolute path, from the runtime's crate (or what
//! `crate = path` says) and `core`, so whatever the user's module shadows does not matter. Invariant: where an argument's
//! name is bound, no constant, static or unit struct of ours is in scope, since such a name would turn the binding into a
//! pattern. So our constants are associated ones, and our locals have `Span::mixed_site()`.

mod task;
mod verdict;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{LitStr, Meta, Type, parse_quote};

use crate::args::{HookArgs, MainArgs, StartMethod, TaskArgs};
use crate::check::{self, Verdict};
use crate::errors::Errors;
use crate::model::{Function, Task};

pub(crate) fn child_task(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut args = TaskArgs::parse(args, &mut errors);
    let Some(function) = check::function("child_task", item.clone(), &mut errors) else {
        return quote!(#item #errors);
    };
    let generated = match check::task(&function, &mut args, &mut errors) {
        Verdict::Sound => task::items(&Task::new(&function, &args)),
        Verdict::Faulty => task::stand_in_items(&Task::new(&function, &args)),
        Verdict::Misplaced => item,
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
        Verdict::Sound => guarded_main(&function, &args),
        Verdict::Faulty => stand_in_main(&function),
        Verdict::Misplaced => item,
    };
    quote!(#generated #errors)
}

pub(crate) fn preload(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = HookArgs::parse_preload(args, &mut errors);
    let entry = check::function("preload", item.clone(), &mut errors)
        .filter(|function| check::preload(function, &mut errors) == Verdict::Sound)
        .map(|function| preload_entry(&function, &args));
    quote!(#item #entry #errors)
}

pub(crate) fn after_fork(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = HookArgs::parse_after_fork(args, &mut errors);
    let entry = check::function("after_fork", item.clone(), &mut errors)
        .filter(|function| check::after_fork(function, &mut errors) == Verdict::Sound)
        .map(|function| after_fork_entry(&function, &args));
    quote!(#item #entry #errors)
}

// ── #[process_main] ─────────────────────────────────────────────────────────────────────────────────────────────────

/// A plain `main` around the user's one, which keeps its attributes: whichever of them makes an async function plain, and
/// in whatever order, the runtime gets a function to call. And a hidden test, through which children of a test enter.
fn guarded_main(function: &Function, args: &MainArgs) -> TokenStream {
    let krate = &args.krate;
    let Function { attrs, vis, sig, body } = function;
    let cfg: Vec<_> = function.attributes("cfg").collect();
    let start_method = start_method(krate, args.start_method);
    let span = at(&returned(function));
    let runtime = located(krate, span);
    let guard = quote_spanned!(span=> #runtime::__private::main(#start_method, main));
    quote! {
        #(#cfg)*
        #vis fn main() -> ::std::process::ExitCode {
            #(#attrs)*
            #sig #body
            #guard
        }
        #(#cfg)*
        #[cfg(test)]
        #[::core::prelude::v1::test]
        fn __offspring_child() {
            #krate::__private::test_child()
        }
        #(#cfg)*
        #[cfg(test)]
        const _: () = {
            #krate::__private::inventory::submit! {
                #krate::__private::TestGuard { module: ::core::module_path!() }
            }
        };
    }
}

/// A `main` that the compiler accepts, so that it does not complain of a wrong or missing one too.
fn stand_in_main(function: &Function) -> TokenStream {
    quote! {
        fn main() {
            #[allow(dead_code, reason = "it has a mistake, which is reported already")]
            #function
        }
    }
}

// ── #[preload] and #[after_fork] ────────────────────────────────────────────────────────────────────────────────────

fn preload_entry(function: &Function, args: &HookArgs) -> TokenStream {
    let krate = &args.krate;
    let returned = returned(function);
    let called = &function.sig.ident;
    let run = quote_spanned! {at(&returned)=>
        || <#returned as #krate::__private::PreloadOutput>::outcome(#called())
    };
    hook_entry(function, args, &quote!(Preload), &run)
}

fn after_fork_entry(function: &Function, args: &HookArgs) -> TokenStream {
    hook_entry(function, args, &quote!(AfterFork), &function.sig.ident.to_token_stream())
}

fn hook_entry(function: &Function, args: &HookArgs, kind: &TokenStream, run: &TokenStream) -> TokenStream {
    let krate = &args.krate;
    let cfg = function.attributes("cfg");
    let lints = allowed_lints(function);
    let name = registered_name(function, args.name.as_ref());
    let place = place(function);
    quote! {
        #(#cfg)*
        #lints
        const _: () = {
            #krate::__private::inventory::submit! {
                #krate::__private::#kind {
                    name: #name,
                    #place
                    run: #run,
                }
            }
        };
    }
}

// ── Shared ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The name that was given, or the path of the function.
fn registered_name(function: &Function, given: Option<&LitStr>) -> TokenStream {
    let spoken = function.spoken_name();
    match given {
        Some(name) => quote!(#name),
        None => quote!(::core::concat!(::core::module_path!(), "::", #spoken)),
    }
}

/// `file` and `line`, for messages that have to tell two functions of one name apart.
fn place(function: &Function) -> TokenStream {
    quote_spanned! {at(&function.sig.ident)=>
        file: ::core::file!(),
        line: ::core::line!(),
    }
}

/// What the user allowed for the function holds for code that names the same types; and that it is deprecated is news to
/// its callers only.
fn allowed_lints(function: &Function) -> TokenStream {
    let given = function.attributes("allow").chain(function.attributes("expect"));
    let lists = given.filter_map(|attr| match &attr.meta {
        Meta::List(list) => Some(&list.tokens),
        _ => None,
    });
    let deprecated = function
        .attributes("deprecated")
        .next()
        .map(|_| quote!(#[allow(deprecated, reason = "the one who calls the task is told")]));
    quote!(#(#[allow(#lists)])* #deprecated)
}

fn start_method(krate: &TokenStream, method: Option<StartMethod>) -> TokenStream {
    optional(method.map(|method| quote!(#krate::StartMethod::#method)))
}

fn optional(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

fn returned(function: &Function) -> Type {
    function.returned().cloned().unwrap_or_else(|| parse_quote!(()))
}

/// Where errors about `tokens` are shown; names there are still looked up as in all generated code.
fn at(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::mixed_site())
}

/// The path of the runtime as if it were written at `span`, where the compiler shows what is wrong with a call of it.
fn located(krate: &TokenStream, span: Span) -> TokenStream {
    let moved = krate.clone().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    moved.collect()
}

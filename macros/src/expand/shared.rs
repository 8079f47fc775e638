//! The parts of generated code that several attributes share.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{LitStr, Meta, Type, parse_quote};

use crate::args::StartMethod;
use crate::model::Function;

/// Returns the `name` of the attribute, or the path of the function.
pub(super) fn registered_name(function: &Function, given: Option<&LitStr>) -> TokenStream {
    let unraw = function.unraw_name();
    match given {
        Some(name) => quote!(#name),
        None => quote!(::core::concat!(::core::module_path!(), "::", #unraw)),
    }
}

/// Returns `file` and `line`. Messages tell two functions of one name apart by these fields.
pub(super) fn place(function: &Function) -> TokenStream {
    quote_spanned! {at(&function.sig.ident)=>
        file: ::core::file!(),
        line: ::core::line!(),
    }
}

/// Returns the lints that generated code allows.
///
/// Generated code names the types of the function, so the user's `allow` and `expect` hold for generated code as well.
/// A deprecation concerns callers only.
pub(super) fn allowed_lints(function: &Function) -> TokenStream {
    let given = function.attributes("allow").chain(function.attributes("expect"));
    let lists = given.filter_map(|attr| match &attr.meta {
        Meta::List(list) => Some(&list.tokens),
        _ => None,
    });
    let deprecated = function
        .attributes("deprecated")
        .next()
        .map(|_| quote!(#[allow(deprecated, reason = "callers of the task get the warning")]));
    quote!(#(#[allow(#lists)])* #deprecated)
}

pub(super) fn start_method(krate: &TokenStream, method: Option<StartMethod>) -> TokenStream {
    optional(method.map(|method| quote!(#krate::StartMethod::#method)))
}

pub(super) fn optional(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

pub(super) fn returned(function: &Function) -> Type {
    function.returned().cloned().unwrap_or_else(|| parse_quote!(()))
}

/// Returns the place of `tokens` for the compiler's errors. Names resolve as in all generated code.
pub(super) fn at(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::mixed_site())
}

/// Returns the path of the runtime with the place `span`, where the compiler shows errors about a call of the runtime.
pub(super) fn located(krate: &TokenStream, span: Span) -> TokenStream {
    let moved = krate.clone().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    moved.collect()
}

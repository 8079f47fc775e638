//! The code that `#[process_main]` generates.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::shared::{at, located, returned, start_method};
use crate::args::MainArgs;
use crate::model::Function;

/// Wraps the user's `main` in a plain `main`, and adds a hidden test, which is the entry of a test's children.
///
/// The inner `main` keeps all attributes. An attribute that makes an async function plain may stand above or below
/// `#[process_main]`: the runtime gets a plain function in both cases.
pub(super) fn guarded(function: &Function, args: &MainArgs) -> TokenStream {
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

/// Generates a `main` that the compiler accepts, so that a missing `main` is not a second error.
pub(super) fn stand_in(function: &Function) -> TokenStream {
    quote! {
        fn main() {
            #[allow(dead_code, reason = "the mistake is reported already")]
            #function
        }
    }
}

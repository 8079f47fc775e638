//! The code that `#[preload]` and `#[after_fork]` generate: an entry of the function for the runtime.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};

use super::shared::{allowed_lints, at, place, registered_name, returned};
use crate::args::HookArgs;
use crate::model::Function;

pub(super) fn preload_entry(function: &Function, args: &HookArgs) -> TokenStream {
    let krate = &args.krate;
    let returned = returned(function);
    let called = &function.sig.ident;
    let run = quote_spanned! {at(&returned)=>
        || <#returned as #krate::__private::PreloadOutput>::outcome(#called())
    };
    hook_entry(function, args, &quote!(Preload), &run)
}

pub(super) fn after_fork_entry(function: &Function, args: &HookArgs) -> TokenStream {
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

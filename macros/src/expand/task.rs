//! What `#[child_task]` generates: the function as it was, a struct of its name, and an entry in the registry.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{LitInt, Type};

use super::verdict::{self, Verdict};
use super::{allowed_lints, at, optional, place, registered_name, returned, start_method};
use crate::model::{Function, Parameter, Task};

/// The function as it was, a struct of the same name in the type namespace, and an unnamed constant with all the rest.
pub(super) fn items(task: &Task<'_>) -> TokenStream {
    let function = documented(task);
    let lints = allowed_lints(task.function);
    let traits = traits(task);
    let (identity, entry, run, starters) = (identity(task), entry(task), run(task), starters(task));
    let krate = &task.args.krate;
    let handle = handle_struct(
        task,
        &quote! {
            #lints
            const _: () = {
                enum __Entry {} // implements what names the user's types: if they are private, the handle cannot (E0446)
                #traits
                #identity
                #entry
                #run
                #starters
                #krate::__private::inventory::submit! { <__Entry as #krate::__private::Registered>::ENTRY }
            };
        },
    );
    quote!(#function #handle)
}

/// The user's function with one sentence added to its documentation.
fn documented(task: &Task<'_>) -> TokenStream {
    let Function { attrs, vis, sig, body } = task.function;
    let names: Vec<String> = task.names().map(Ident::to_string).collect();
    let (handle, names) = (task.handle(), names.join(", "));
    let sentence = format!(
        " A child task: `{handle}::call({names})` makes a call of it, \
         `{handle}::start({names})` starts it in a child process."
    );
    let blank_line = task.function.attributes("doc").next().map(|_| quote!(#[doc = ""]));
    quote! {
        #(#attrs)*
        #blank_line
        #[doc = #sentence]
        #vis #sig #body
    }
}

/// Braces, so that nothing enters the value namespace and `add` stays the function there.
///
/// The attribute puts `rest` beside the struct. An `impl` block cannot have a struct; the compiler then drops it with its attributes
/// and has one error. If `rest` were there by itself, it would add more about what it does not find.
fn handle_struct(task: &Task<'_>, rest: &TokenStream) -> TokenStream {
    let krate = &task.args.krate;
    let carried = task.function.attributes("cfg").chain(task.function.attributes("deprecated"));
    let (vis, handle) = (&task.function.vis, task.handle());
    quote! {
        #(#carried)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "it is called like the function whose calls it makes")]
        #[#krate::__private::beside(#rest)]
        #vis struct #handle {
            _private: (),
        }
    }
}

fn identity(task: &Task<'_>) -> TokenStream {
    let (krate, handle) = (&task.args.krate, task.handle());
    let name = registered_name(task.function, task.args.name.as_ref());
    quote! {
        impl #krate::__private::Sealed for #handle {}
        impl #krate::Task for #handle {
            const NAME: &'static str = #name;
        }
    }
}

fn entry(task: &Task<'_>) -> TokenStream {
    let (krate, handle) = (&task.args.krate, task.handle());
    let (signature, fingerprint) = (task.signature(), hexadecimal(task.fingerprint()));
    let start_method = start_method(krate, task.args.start_method);
    let timeout = optional(task.args.timeout.map(|limit| {
        let (seconds, nanos) = (limit.as_secs(), limit.subsec_nanos());
        quote!(::core::time::Duration::new(#seconds, #nanos))
    }));
    let idempotent = task.args.idempotent;
    let (origin, place) = (origin(krate), place(task.function));
    quote! {
        impl #krate::__private::Registered for __Entry {
            const ENTRY: #krate::__private::Entry = #krate::__private::Entry {
                name: <#handle as #krate::Task>::NAME,
                signature: #signature,
                fingerprint: #fingerprint,
                #origin
                #place
                start_method: #start_method,
                timeout: #timeout,
                idempotent: #idempotent,
                run: __Entry::run,
            };
        }
    }
}

/// The crate that the task is of, evaluated where that is compiled. Cargo may be absent, hence no `env!`.
fn origin(krate: &TokenStream) -> TokenStream {
    quote! {
        origin: #krate::__private::Origin {
            package: ::core::option_env!("CARGO_PKG_NAME"),
            version: ::core::option_env!("CARGO_PKG_VERSION"),
            binary: ::core::option_env!("CARGO_BIN_NAME"),
            test: ::core::cfg!(test),
        },
    }
}

/// What the child executes: takes the arguments one by one, calls the function, and encodes what it returned.
fn run(task: &Task<'_>) -> TokenStream {
    let krate = &task.args.krate;
    let arguments = Ident::new("arguments", Span::mixed_site());
    let locals: Vec<Ident> =
        (0..task.parameters.len()).map(|index| format_ident!("__{index}", span = Span::mixed_site())).collect();
    let takes = task.parameters.iter().zip(&locals).map(|(Parameter { name, ty }, local)| {
        let name = spoken(name);
        let Verdict { value, parameter } = verdict::of_argument(krate, ty);
        quote_spanned! {at(ty)=>
            let #local = <#ty as #krate::__private::TaskArg #parameter>::take(#arguments, #name, #value)?;
        }
    });
    let output = output(task, &locals);
    quote! {
        impl __Entry {
            fn run(
                #arguments: &mut #krate::__private::Arguments<'_>,
            ) -> ::core::result::Result<#krate::__private::Output, #krate::__private::Undecodable> {
                #(#takes)*
                #krate::__private::Arguments::finish(#arguments)?;
                ::core::result::Result::Ok(#output)
            }
        }
    }
}

/// The call of the function and the encoding of its value, at the place of the return type: a type that cannot be sent
/// is then shown there.
fn output(task: &Task<'_>, locals: &[Ident]) -> TokenStream {
    let (krate, function) = (&task.args.krate, &task.function.sig.ident);
    let returned = returned(task.function);
    let value = quote!(#function(#(#locals),*));
    let value = if task.args.report.is_some() { reported(krate, &returned, &value) } else { value };
    let (sent, Verdict { value: verdict, parameter }) = (sent_type(task), output_verdict(task));
    quote_spanned! {at(&returned)=>
        <#sent as #krate::__private::TaskOutput #parameter>::output(#value, #verdict)
    }
}

/// Turns the error of `value` into a report by whichever of the runtime's three traits applies to its type, which the
/// compiler finds by the number of references that each takes away.
fn reported(krate: &TokenStream, returned: &Type, value: &TokenStream) -> TokenStream {
    let (result, error) = (Ident::new("value", Span::mixed_site()), Ident::new("error", Span::mixed_site()));
    quote_spanned! {at(returned)=>
        match <#returned as #krate::__private::Fallible>::into_result(#value) {
            ::core::result::Result::Ok(#result) => ::core::result::Result::Ok(#result),
            ::core::result::Result::Err(#error) => {
                #[allow(unused_imports, reason = "the type of the error decides which one is used")]
                use #krate::__private::{ReportAny as _, ReportNone as _, ReportSend as _};
                let #error = ::core::option::Option::Some(#error);
                ::core::result::Result::Err((&mut &mut #krate::__private::Reporting(#error)).report())
            }
        }
    }
}

/// `call` and `start`, with the names and types that the function declares.
fn starters(task: &Task<'_>) -> TokenStream {
    let (krate, handle) = (&task.args.krate, task.handle());
    let (names, types): (Vec<_>, Vec<_>) = (task.names().collect(), task.types().collect());
    let sent = sent_type(task);
    let encoder = Ident::new("encoder", Span::mixed_site());
    let mutable = (!names.is_empty()).then(|| quote!(mut));
    let puts = puts(task, &encoder);
    let Verdict { value: verdict, parameter } = output_verdict(task);
    let (call_docs, start_docs) = starter_docs(task);
    let call = quote_spanned! {at(&returned(task.function))=>
        <#sent as #krate::__private::TaskOutput #parameter>::call(
            &<__Entry as #krate::__private::Registered>::ENTRY,
            #encoder,
            #verdict,
        )
    };
    quote! {
        #[allow(private_interfaces, clippy::too_many_arguments, reason = "the function itself shows it")]
        impl #handle {
            #[doc = #call_docs]
            pub fn call(#(#names: #types),*) -> #krate::Call<#sent> {
                let #mutable #encoder = #krate::__private::Encoder::new();
                #puts
                #call
            }
            #[doc = #start_docs]
            pub fn start(
                #(#names: #types),*
            ) -> ::core::result::Result<#krate::Process<#sent>, #krate::Error> {
                #krate::Call::start(Self::call(#(#names),*))
            }
        }
    }
}

/// Encodes the arguments, each at the place of its type: one that cannot be sent is then shown there.
fn puts(task: &Task<'_>, encoder: &Ident) -> TokenStream {
    let krate = &task.args.krate;
    let put = |Parameter { name, ty }: &Parameter<'_>| {
        let (text, Verdict { value, parameter }) = (spoken(name), verdict::of_argument(krate, ty));
        quote_spanned! {at(ty)=>
            <#ty as #krate::__private::TaskArg #parameter>::put(&#name, &mut #encoder, #text, #value);
        }
    };
    task.parameters.iter().map(put).collect()
}

fn starter_docs(task: &Task<'_>) -> (String, String) {
    let name = task.function.spoken_name();
    (
        format!(" Makes a call of `{name}`: the task and its encoded arguments. Nothing runs yet."),
        format!(" Starts `{name}` in a child process, under the default context."),
    )
}

/// What a faulty task leaves behind: `call` and `start` exist, so that the one mistake is not followed by one at each use.
pub(super) fn stand_in_items(task: &Task<'_>) -> TokenStream {
    let (krate, function, name) = (&task.args.krate, task.function, task.handle());
    let (generics, _, where_clause) = function.sig.generics.split_for_impl();
    let types: Vec<_> = task.types().collect();
    let sent = match function.returned() {
        Some(Type::Never(_) | Type::ImplTrait(_)) => quote!(()),
        _ => sent_type(task),
    };
    let lints = allowed_lints(function);
    let handle = handle_struct(
        task,
        &quote! {
            #lints
            const _: () = {
                #[allow(dead_code, private_interfaces, reason = "the task has a mistake, which is reported already")]
                impl #name {
                    pub fn call #generics (#(_: #types),*) -> #krate::Call<#sent> #where_clause {
                        loop {}
                    }
                    pub fn start #generics (
                        #(_: #types),*
                    ) -> ::core::result::Result<#krate::Process<#sent>, #krate::Error> #where_clause {
                        loop {}
                    }
                }
            };
        },
    );
    quote!(#function #handle)
}

/// The type of the call's value: with `report`, the error in it has become a report.
fn sent_type(task: &Task<'_>) -> TokenStream {
    let (krate, returned) = (&task.args.krate, returned(task.function));
    if task.args.report.is_none() {
        return returned.into_token_stream();
    }
    quote_spanned!(at(&returned)=> <#returned as #krate::__private::Fallible>::Reported)
}

/// What the verdicts need in scope.
fn traits(task: &Task<'_>) -> Option<TokenStream> {
    let arguments = task.types().map(|ty| verdict::of_argument(&task.args.krate, ty));
    let verdicts: Vec<Verdict> = arguments.chain([output_verdict(task)]).collect();
    verdict::traits(&task.args.krate, &verdicts)
}

fn output_verdict(task: &Task<'_>) -> Verdict {
    let of = if task.args.report.is_some() { verdict::of_reported } else { verdict::of_output };
    of(&task.args.krate, &returned(task.function))
}

/// An argument's name as text, without `r#`.
fn spoken(name: &Ident) -> String {
    name.unraw().to_string()
}

fn hexadecimal(number: u64) -> LitInt {
    LitInt::new(&format!("{number:#018x}_u64"), Span::mixed_site())
}

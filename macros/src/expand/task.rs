//! The code that `#[child_task]` generates: the unchanged function, a struct of the same name, and an entry in the
//! registry.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{LitInt, Type};

use super::shared::{allowed_lints, at, optional, place, registered_name, returned, start_method};
use super::type_verdict::{self, TypeVerdict};
use crate::model::{Function, Parameter, Task};

/// Generates the unchanged function, a struct of the same name in the type namespace, and an unnamed constant with the
/// rest.
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
                // Has the impls that name private types of the user, which the handle must not have (E0446).
                enum __Entry {}
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

/// Returns the user's function with one more sentence of documentation.
fn documented(task: &Task<'_>) -> TokenStream {
    let Function { attrs, vis, sig, body } = task.function;
    let names: Vec<String> = task.names().map(Ident::to_string).collect();
    let (handle, names) = (task.handle(), names.join(", "));
    let sentence = format!(
        " A child task: `{handle}::call({names})` makes a call of this function, \
         `{handle}::start({names})` starts this function in a child process."
    );
    let blank_line = task.function.attributes("doc").next().map(|_| quote!(#[doc = ""]));
    quote! {
        #(#attrs)*
        #blank_line
        #[doc = #sentence]
        #vis #sig #body
    }
}

/// Generates the struct with `call` and `start`. The braces keep the struct out of the value namespace, where `add`
/// stays the function.
///
/// The attribute `beside` puts `rest` beside the struct. In an `impl` block, the compiler drops the struct together
/// with the attribute and reports one error. Without the attribute, `rest` would add an error for each name that `rest`
/// does not find.
fn handle_struct(task: &Task<'_>, rest: &TokenStream) -> TokenStream {
    let krate = &task.args.krate;
    let carried = task.function.attributes("cfg").chain(task.function.attributes("deprecated"));
    let (vis, handle) = (&task.function.vis, task.handle());
    quote! {
        #(#carried)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "the struct has the name of the function")]
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
            const ENTRY: #krate::__private::TaskEntry = #krate::__private::TaskEntry {
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

/// Generates the origin of the task, which the compiler evaluates in the user's crate. A build without cargo lacks the
/// variables, so the code uses `option_env!`.
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

/// Generates the code of the child: decodes the arguments one by one, calls the function, and encodes the result.
fn run(task: &Task<'_>) -> TokenStream {
    let krate = &task.args.krate;
    let arguments = Ident::new("arguments", Span::mixed_site());
    let locals: Vec<Ident> =
        (0..task.parameters.len()).map(|index| format_ident!("__{index}", span = Span::mixed_site())).collect();
    let takes = task.parameters.iter().zip(&locals).map(|(Parameter { name, ty }, local)| {
        let name = unraw(name);
        let TypeVerdict { value, parameter } = type_verdict::of_argument(krate, ty);
        quote_spanned! {at(ty)=>
            let #local = <#ty as #krate::__private::TaskArg #parameter>::take(#arguments, #name, #value)?;
        }
    });
    let output = output(task, &locals);
    quote! {
        impl __Entry {
            fn run(
                #arguments: &mut #krate::__private::ArgumentDecoder<'_>,
            ) -> ::core::result::Result<#krate::__private::EncodedOutput, #krate::__private::UndecodableArguments> {
                #(#takes)*
                #krate::__private::ArgumentDecoder::finish(#arguments)?;
                ::core::result::Result::Ok(#output)
            }
        }
    }
}

/// Generates the call of the function and the encoding of the result, at the place of the return type. The compiler
/// shows an error about the type in this place.
fn output(task: &Task<'_>, locals: &[Ident]) -> TokenStream {
    let (krate, function) = (&task.args.krate, &task.function.sig.ident);
    let returned = returned(task.function);
    let value = quote!(#function(#(#locals),*));
    let value = if task.args.report.is_some() { reported(krate, &returned, &value) } else { value };
    let (sent, TypeVerdict { value: verdict, parameter }) = (sent_type(task), output_verdict(task));
    quote_spanned! {at(&returned)=>
        <#sent as #krate::__private::TaskOutput #parameter>::output(#value, #verdict)
    }
}

/// Generates the conversion of the error of `value` into a report. The compiler chooses among the runtime's three
/// traits by the number of references that each trait removes.
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

/// Generates `call` and `start`, with the names and types of the function's arguments.
fn starters(task: &Task<'_>) -> TokenStream {
    let (krate, handle) = (&task.args.krate, task.handle());
    let (names, types): (Vec<_>, Vec<_>) = (task.names().collect(), task.types().collect());
    let sent = sent_type(task);
    let encoder = Ident::new("encoder", Span::mixed_site());
    let mutable = (!names.is_empty()).then(|| quote!(mut));
    let puts = puts(task, &encoder);
    let TypeVerdict { value: verdict, parameter } = output_verdict(task);
    let (call_docs, start_docs) = starter_docs(task);
    let call = quote_spanned! {at(&returned(task.function))=>
        <#sent as #krate::__private::TaskOutput #parameter>::call(
            &<__Entry as #krate::__private::Registered>::ENTRY,
            #encoder,
            #verdict,
        )
    };
    quote! {
        #[allow(private_interfaces, clippy::too_many_arguments, reason = "the lint reports the function itself")]
        impl #handle {
            #[doc = #call_docs]
            pub fn call(#(#names: #types),*) -> #krate::Call<#sent> {
                let #mutable #encoder = #krate::__private::ArgumentEncoder::new();
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

/// Generates the encoding of each argument, at the place of the argument's type. The compiler shows an error about the
/// type in this place.
fn puts(task: &Task<'_>, encoder: &Ident) -> TokenStream {
    let krate = &task.args.krate;
    let put = |Parameter { name, ty }: &Parameter<'_>| {
        let (text, TypeVerdict { value, parameter }) = (unraw(name), type_verdict::of_argument(krate, ty));
        quote_spanned! {at(ty)=>
            <#ty as #krate::__private::TaskArg #parameter>::put(&#name, &mut #encoder, #text, #value);
        }
    };
    task.parameters.iter().map(put).collect()
}

fn starter_docs(task: &Task<'_>) -> (String, String) {
    let name = task.function.unraw_name();
    (
        format!(" Encodes the arguments of `{name}` and returns the call, which runs nothing until a start."),
        format!(" Starts `{name}` in a child process, by the task's own start method or the default context."),
    )
}

/// Generates stand-ins for `call` and `start` of a faulty task, so that a use of the task is no second error.
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

/// Returns the type of the call's result. With `report`, the error of the type is a report.
fn sent_type(task: &Task<'_>) -> TokenStream {
    let (krate, returned) = (&task.args.krate, returned(task.function));
    if task.args.report.is_none() {
        return returned.into_token_stream();
    }
    quote_spanned!(at(&returned)=> <#returned as #krate::__private::Fallible>::Reported)
}

/// Generates the imports that the verdicts need.
fn traits(task: &Task<'_>) -> Option<TokenStream> {
    let arguments = task.types().map(|ty| type_verdict::of_argument(&task.args.krate, ty));
    let verdicts: Vec<TypeVerdict> = arguments.chain([output_verdict(task)]).collect();
    type_verdict::traits(&task.args.krate, &verdicts)
}

fn output_verdict(task: &Task<'_>) -> TypeVerdict {
    let of = if task.args.report.is_some() { type_verdict::of_reported } else { type_verdict::of_output };
    of(&task.args.krate, &returned(task.function))
}

/// Returns the name of an argument as text, without `r#`.
fn unraw(name: &Ident) -> String {
    name.unraw().to_string()
}

fn hexadecimal(number: u64) -> LitInt {
    LitInt::new(&format!("{number:#018x}_u64"), Span::mixed_site())
}

//! The input of the attributes: a function with an unread body, and the task that a checked function describes.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, FnArg, Pat, PatIdent, PatType, ReturnType, Signature, Type, Visibility};

use crate::args::TaskArgs;
use crate::signature;

/// A function with a parsed signature. The body is the unparsed rest of the tokens.
///
/// An unparsed body saves time and keeps the compiler's own messages about the body. An editor still sees the task
/// while the body has half a statement.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        Ok(Self {
            attrs: input.call(Attribute::parse_outer)?,
            vis: input.parse()?,
            sig: input.parse()?,
            body: input.parse()?,
        })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, body } = self;
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}

impl Function {
    /// Returns the name without `r#`.
    pub(crate) fn unraw_name(&self) -> String {
        self.sig.ident.unraw().to_string()
    }

    /// Whether the function has a body. A declaration in a trait or in an `extern` block has a `;`.
    pub(crate) fn has_body(&self) -> bool {
        starts_with_braces(self.body.clone())
    }

    /// Returns the attributes called `name`, such as every `#[cfg(…)]`.
    pub(crate) fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Attribute> {
        self.attrs.iter().filter(move |attr| attr.path().is_ident(name))
    }

    /// Returns the arguments without `self`.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &PatType> {
        self.sig.inputs.iter().filter_map(|argument| match argument {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        })
    }

    /// Returns the type after the arrow, if there is an arrow, without the invisible group of a `macro_rules!`
    /// expansion.
    pub(crate) fn returned(&self) -> Option<&Type> {
        let ReturnType::Type(_, ty) = &self.sig.output else {
            return None;
        };
        let mut ty = ty;
        while let Type::Group(group) = &**ty {
            ty = &group.elem;
        }
        Some(ty)
    }
}

/// Whether the first token is a group in braces, also inside of the invisible group around a `$body:block` of
/// `macro_rules!`.
fn starts_with_braces(tokens: TokenStream) -> bool {
    match tokens.into_iter().next() {
        Some(TokenTree::Group(group)) => match group.delimiter() {
            Delimiter::Brace => true,
            Delimiter::None => starts_with_braces(group.stream()),
            _ => false,
        },
        _ => false,
    }
}

/// Returns the token that shows that `item` is no function, such as the `struct` of `pub struct Opts;`.
pub(crate) fn foreign_keyword(item: TokenStream) -> Option<TokenTree> {
    let after_visibility = |input: ParseStream| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<TokenStream>()
    };
    let rest = after_visibility.parse2(item).ok()?;
    let is_qualifier = |token: &TokenTree| match token {
        TokenTree::Ident(word) => ["const", "async", "unsafe", "extern"].iter().any(|qualifier| word == qualifier),
        TokenTree::Literal(_) => true, // the `"C"` of `extern "C"`
        _ => false,
    };
    match rest.clone().into_iter().find(|token| !is_qualifier(token)) {
        Some(TokenTree::Ident(word)) if word == "fn" => None,
        _ => rest.into_iter().next(),
    }
}

/// A checked task: the complete input of the expansion.
pub(crate) struct Task<'a> {
    pub(crate) function: &'a Function,
    pub(crate) args: &'a TaskArgs,
    pub(crate) parameters: Vec<Parameter<'a>>,
}

/// One argument of a task, as `call` and `start` declare it.
pub(crate) struct Parameter<'a> {
    pub(crate) name: Ident,
    pub(crate) ty: &'a Type,
}

impl<'a> Task<'a> {
    pub(crate) fn new(function: &'a Function, args: &'a TaskArgs) -> Self {
        let taken: Vec<&Ident> = function.arguments().filter_map(|argument| simple_name(&argument.pat)).collect();
        let parameters = function.arguments().enumerate().map(|(index, argument)| Parameter {
            name: simple_name(&argument.pat).cloned().unwrap_or_else(|| invented_name(index + 1, &taken)),
            ty: &argument.ty,
        });
        Self { function, args, parameters: parameters.collect() }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Ident> {
        self.parameters.iter().map(|parameter| &parameter.name)
    }

    pub(crate) fn types(&self) -> impl Iterator<Item = &'a Type> {
        self.parameters.iter().map(|parameter| parameter.ty)
    }

    /// Returns the name of the struct with `call` and `start`.
    pub(crate) fn handle(&self) -> &Ident {
        self.args.handle.as_ref().unwrap_or(&self.function.sig.ident)
    }

    /// Returns the signature for messages, without the names of the arguments.
    pub(crate) fn signature(&self) -> String {
        let types = self.types();
        let output = &self.function.sig.output;
        signature::text(quote!(fn(#(#types),*) #output))
    }

    /// Returns a hash of the parts of the signature that decide the meaning of a call's bytes.
    pub(crate) fn fingerprint(&self) -> u64 {
        let reported = if self.args.report.is_some() { " report" } else { "" };
        signature::fingerprint(&(self.signature() + reported))
    }
}

/// Returns the name in `a: u32` and `mut a: u32`. A pattern has no name.
fn simple_name(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => Some(ident),
        _ => None,
    }
}

/// Returns `argument_2`, with an underscore added for each argument of the same name.
fn invented_name(position: usize, taken: &[&Ident]) -> Ident {
    let mut name = format_ident!("argument_{position}", span = Span::mixed_site());
    while taken.iter().any(|other| **other == name) {
        name = format_ident!("{name}_");
    }
    name
}

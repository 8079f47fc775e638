//! What the attributes work on: a function whose body stays unread, and the task that a checked one describes.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, FnArg, Pat, PatIdent, PatType, ReturnType, Signature, Type, Visibility};

use crate::args::TaskArgs;
use crate::signature;

/// A function up to its signature; the body is whatever tokens follow.
///
/// Not parsing the body saves time, keeps the compiler's own messages for it, and lets an editor that has half a
/// statement there still see the task.
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
    /// The name without `r#`, as a reader would say it.
    pub(crate) fn spoken_name(&self) -> String {
        self.sig.ident.unraw().to_string()
    }

    /// Whether there is something to run; a function that a trait or an `extern` block declares has a `;` instead.
    pub(crate) fn has_body(&self) -> bool {
        starts_with_braces(self.body.clone())
    }

    /// The attributes called `name`, such as every `#[cfg(…)]`.
    pub(crate) fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Attribute> {
        self.attrs.iter().filter(move |attr| attr.path().is_ident(name))
    }

    /// The arguments, a `self` left out.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &PatType> {
        self.sig.inputs.iter().filter_map(|argument| match argument {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        })
    }

    /// The type after the arrow, if there is an arrow; out of the invisible group that `macro_rules!` puts it in.
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

/// Whether the first token is a group in braces, out of the invisible group that `macro_rules!` puts a `$body:block` in.
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

/// The token that shows that `item` is no function, such as the `struct` of `pub struct Opts;`, if it is none.
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

/// A checked task: everything that the expansion needs, nothing left to decide.
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

    /// The struct that `call` and `start` belong to.
    pub(crate) fn handle(&self) -> &Ident {
        self.args.handle.as_ref().unwrap_or(&self.function.sig.ident)
    }

    /// The signature as a message shows it; names of arguments do not belong to it.
    pub(crate) fn signature(&self) -> String {
        let types = self.types();
        let output = &self.function.sig.output;
        signature::text(quote!(fn(#(#types),*) #output))
    }

    /// Differs whenever the bytes of a call may mean something else, as far as the signature tells.
    pub(crate) fn fingerprint(&self) -> u64 {
        let reported = if self.args.report.is_some() { " report" } else { "" };
        signature::fingerprint(&(self.signature() + reported))
    }
}

/// The name in `a: u32` and `mut a: u32`; a pattern has none.
fn simple_name(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => Some(ident),
        _ => None,
    }
}

/// `argument_2`, with underscores added while another argument has that very name.
fn invented_name(position: usize, taken: &[&Ident]) -> Ident {
    let mut name = format_ident!("argument_{position}", span = Span::mixed_site());
    while taken.iter().any(|other| **other == name) {
        name = format_ident!("{name}_");
    }
    name
}

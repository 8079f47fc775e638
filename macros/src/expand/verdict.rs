//! What generated code asks the runtime about the types of a signature, so that the compiler names the replacement of one that
//! cannot cross to another process.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericArgument, PathArguments, Type, TypePath};

use super::at;
use crate::check::is_plain;

/// A verdict, in the two places where generated code has it.
pub(super) struct Verdict {
    /// The last argument of `put`, `take`, `output` and `call`.
    pub(super) value: TokenStream,
    /// The trait's parameter, unless it is the default.
    pub(super) parameter: Option<TokenStream>,
}

/// The verdict about everything in the type of an argument.
pub(super) fn of_argument(krate: &TokenStream, ty: &Type) -> Verdict {
    let mut questions = Questions { krate, asked: Vec::new() };
    questions.ask(ty);
    questions.verdict()
}

/// The verdict about everything in the type of a result.
pub(super) fn of_output(krate: &TokenStream, ty: &Type) -> Verdict {
    let mut questions = Questions { krate, asked: Vec::new() };
    match (container(ty), ungrouped(ty)) {
        (Some((name, parts)), _) if name == "Result" => {
            parts.iter().take(1).for_each(|value| questions.ask(value));
            questions.put(ty, parts.get(1).copied().unwrap_or(ty), "of_error");
        }
        (None, Type::Path(path)) if !is_plain(ty) && !is_owned(path) => {
            questions.put(ty, ty, if has_parameters(path) { "of_error" } else { "of_result" });
        }
        _ => questions.ask(ty),
    }
    questions.verdict()
}

/// The verdict about a result whose error is reported: the value is all that crosses as it is.
pub(super) fn of_reported(krate: &TokenStream, ty: &Type) -> Verdict {
    match container(ty) {
        Some((_, parts)) if !parts.is_empty() => of_argument(krate, parts[0]),
        _ => of_argument(krate, ty),
    }
}

/// The traits whose functions tell the reasons, for a task about whose types there is a question.
pub(super) fn traits(krate: &TokenStream, verdicts: &[Verdict]) -> Option<TokenStream> {
    verdicts.iter().any(|verdict| verdict.parameter.is_some()).then(|| {
        quote! {
            #[allow(unused_imports, reason = "the types decide which ones are used")]
            use #krate::__private::{Carried as _, Failing as _, Uncarried as _, Unknown as _};
        }
    })
}

struct Questions<'a> {
    krate: &'a TokenStream,
    /// Expressions, each a verdict.
    asked: Vec<TokenStream>,
}

impl Questions<'_> {
    fn verdict(self) -> Verdict {
        let krate = self.krate;
        let mut asked = self.asked.into_iter();
        match asked.next() {
            Some(first) => Verdict { value: quote!(#first #(.and(#asked))*), parameter: Some(quote!(<_>)) },
            None => Verdict { value: quote!(#krate::__private::Fine), parameter: None },
        }
    }

    /// Asks about each type that `ty` is made of, as far as the tokens show that they cross by themselves.
    fn ask(&mut self, ty: &Type) {
        match ungrouped(ty) {
            Type::Tuple(tuple) => tuple.elems.iter().for_each(|part| self.ask(part)),
            Type::Array(array) => self.ask(&array.elem),
            Type::Path(path) if is_owned(path) => {}
            Type::Path(path) => match container(ty) {
                Some((name, parts)) if name == "Result" => {
                    parts.iter().take(1).for_each(|value| self.ask(value));
                    self.put(ty, parts.get(1).copied().unwrap_or(ty), "of_inner_error");
                }
                Some((_, parts)) => parts.iter().for_each(|part| self.ask(part)),
                None if is_plain(ty) => {}
                None => self.put(ty, ty, if has_parameters(path) { "of_inner_error" } else { "of_type" }),
            },
            _ => {}
        }
    }

    /// Puts one question about `ty`; the compiler shows at `part` why it is refused.
    fn put(&mut self, ty: &Type, part: &Type, question: &str) {
        let krate = self.krate;
        let (asked, generated) = (self.asked_at(ty, part), at(part));
        let question = Ident::new(question, generated);
        self.asked.push(quote_spanned! {generated=>
            <#asked as #krate::__private::Question<_>>::judged(
                (&&#krate::__private::Crossing::<#ty>::reason()).#question()
            )
        });
    }

    /// The type that fails to be a question. The compiler underlines it, from its first to its last token, if those are of the
    /// user's code; all else is generated, so that no lint looks at it.
    fn asked_at(&self, ty: &Type, part: &Type) -> TokenStream {
        let mut spans = part.to_token_stream().into_iter().map(|token| token.span());
        let open = spans.next().unwrap_or_else(Span::call_site);
        let close = spans.last().unwrap_or(open);
        let mut krate: Vec<TokenTree> = self.krate.clone().into_iter().collect();
        // A `$crate` stays where it is: its span tells which one it is.
        krate
            .iter_mut()
            .take_while(|token| matches!(token, TokenTree::Punct(_)))
            .for_each(|colon| colon.set_span(open));
        let crossing = quote_spanned!(at(part)=> #(#krate)*::__private::Crossing);
        quote_spanned!(close=> #crossing<#ty>)
    }
}

/// The types in angle brackets behind the name of a type that holds values of them, and serialises as those.
fn container(ty: &Type) -> Option<(&Ident, Vec<&Type>)> {
    const CONTAINERS: &[&str] = &[
        "Option",
        "Result",
        "Box",
        "Rc",
        "Arc",
        "Vec",
        "VecDeque",
        "LinkedList",
        "BinaryHeap",
        "HashMap",
        "HashSet",
        "BTreeMap",
        "BTreeSet",
    ];
    let Type::Path(path) = ungrouped(ty) else { return None };
    let last = path.path.segments.last().filter(|_| path.qself.is_none())?;
    let PathArguments::AngleBracketed(list) = &last.arguments else { return None };
    if !CONTAINERS.iter().any(|name| last.ident == name) {
        return None;
    }
    let parts = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(part) => Some(part),
        _ => None,
    });
    Some((&last.ident, parts.collect()))
}

fn has_parameters(ty: &TypePath) -> bool {
    ty.path.segments.last().is_some_and(|last| !last.arguments.is_none())
}

/// Types of std that are so common that nothing is asked about them.
fn is_owned(ty: &TypePath) -> bool {
    ["PathBuf", "OsString", "Duration", "SystemTime"].iter().any(|name| ty.path.is_ident(name))
}

/// Out of the invisible groups that `macro_rules!` makes, and of parentheses.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        _ => ty,
    }
}

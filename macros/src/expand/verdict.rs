//! What generated code asks the runtime about the types of a signature, so that the compiler names the replacement of one that
//! cannot cross to another process.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericArgument, PathArguments, PathSegment, Type, TypePath};

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
    match made_of(ty) {
        Made::Result { value, error } => {
            questions.ask(value);
            questions.put(ty, error, "of_error");
        }
        Made::Named(path) => questions.put(ty, ty, if has_parameters(path) { "of_error" } else { "of_result" }),
        _ => questions.ask(ty),
    }
    questions.verdict()
}

/// The verdict about a result whose error is reported: the value is all that crosses as it is. What an alias stands for is not asked.
pub(super) fn of_reported(krate: &TokenStream, ty: &Type) -> Verdict {
    let mut questions = Questions { krate, asked: Vec::new() };
    if let Made::Result { value, .. } = made_of(ty) {
        questions.ask(value);
    }
    questions.verdict()
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

    /// Asks about each type that `ty` is made of.
    fn ask(&mut self, ty: &Type) {
        match made_of(ty) {
            Made::Parts(parts) => parts.into_iter().for_each(|part| self.ask(part)),
            Made::Pointer(target) => match made_of(target) {
                Made::Named(_) => self.put(target, target, "of_inner_error"),
                _ => self.ask(target),
            },
            Made::Result { value, error } => {
                self.ask(value);
                self.put(ty, error, "of_inner_error");
            }
            Made::Named(path) => self.put(ty, ty, if has_parameters(path) { "of_inner_error" } else { "of_type" }),
            Made::Nothing => {}
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

/// What a type is made of, as far as the tokens show that it crosses if and only if that does.
enum Made<'a> {
    Parts(Vec<&'a Type>),
    /// The target may be unsized.
    Pointer(&'a Type),
    /// In an alias with one parameter, the error is shown where the alias is.
    Result {
        value: &'a Type,
        error: &'a Type,
    },
    /// Of what only the compiler knows.
    Named(&'a TypePath),
    /// Of nothing to ask about.
    Nothing,
}

fn made_of(ty: &Type) -> Made<'_> {
    match ungrouped(ty) {
        Type::Tuple(tuple) => Made::Parts(tuple.elems.iter().collect()),
        Type::Array(array) => Made::Parts(vec![&array.elem]),
        Type::Slice(slice) => Made::Parts(vec![&slice.elem]),
        Type::Path(path) => made_of_path(ty, path),
        _ => Made::Nothing,
    }
}

fn made_of_path<'a>(ty: &'a Type, path: &'a TypePath) -> Made<'a> {
    let last = path.path.segments.last().filter(|_| path.qself.is_none());
    let (name, parameters) = last.map(|last| (last.ident.to_string(), parameters(last))).unwrap_or_default();
    match (&*name, &*parameters) {
        ("Result", [value]) => Made::Result { value, error: ty },
        ("Result", [value, error, ..]) => Made::Result { value, error },
        ("Box" | "Rc" | "Arc", [target, ..]) => Made::Pointer(target),
        // What comes behind these is a hasher or an allocator.
        ("HashMap" | "BTreeMap", [key, value, ..]) => Made::Parts(vec![key, value]),
        ("Option" | "Vec" | "VecDeque" | "LinkedList" | "BinaryHeap" | "HashSet" | "BTreeSet", [part, ..]) => {
            Made::Parts(vec![part])
        }
        ("PathBuf" | "OsString" | "Duration" | "SystemTime", []) => Made::Nothing,
        _ if is_plain(ty) => Made::Nothing,
        _ => Made::Named(path),
    }
}

fn parameters(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(list) = &segment.arguments else { return Vec::new() };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

fn has_parameters(ty: &TypePath) -> bool {
    ty.path.segments.last().is_some_and(|last| !last.arguments.is_none())
}

/// Out of the invisible groups that `macro_rules!` makes, and of parentheses.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        _ => ty,
    }
}

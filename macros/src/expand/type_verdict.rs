//! The questions of generated code to the runtime about the types of a signature. For a type that cannot be sent to
//! another process, the answer makes the compiler name the replacement.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericArgument, PathArguments, PathSegment, Type, TypePath};

use super::shared::at;
use crate::check::is_plain;

/// A verdict as generated code: an expression and a parameter of a trait.
pub(super) struct TypeVerdict {
    /// The last argument of `put`, `take`, `output` and `call`.
    pub(super) value: TokenStream,
    /// The trait's parameter, unless it is the default.
    pub(super) parameter: Option<TokenStream>,
}

/// Returns the verdict about all parts of the type of an argument.
pub(super) fn of_argument(krate: &TokenStream, ty: &Type) -> TypeVerdict {
    let mut questions = Questions { krate, asked: Vec::new() };
    questions.ask(ty);
    questions.verdict()
}

/// Returns the verdict about all parts of the type of a result.
pub(super) fn of_output(krate: &TokenStream, ty: &Type) -> TypeVerdict {
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

/// Returns the verdict about a result with `report`: only the value is sent as written. There is no question about an
/// alias.
pub(super) fn of_reported(krate: &TokenStream, ty: &Type) -> TypeVerdict {
    let mut questions = Questions { krate, asked: Vec::new() };
    if let Made::Result { value, .. } = made_of(ty) {
        questions.ask(value);
    }
    questions.verdict()
}

/// Generates the imports of the traits that answer, for a task with at least one question.
pub(super) fn traits(krate: &TokenStream, verdicts: &[TypeVerdict]) -> Option<TokenStream> {
    verdicts.iter().any(|verdict| verdict.parameter.is_some()).then(|| {
        quote! {
            #[allow(unused_imports, reason = "the types decide which ones are used")]
            use #krate::__private::{Carried as _, Failing as _, Uncarried as _, Unknown as _};
        }
    })
}

struct Questions<'a> {
    krate: &'a TokenStream,
    /// Expressions of verdicts.
    asked: Vec<TokenStream>,
}

impl Questions<'_> {
    fn verdict(self) -> TypeVerdict {
        let krate = self.krate;
        let mut asked = self.asked.into_iter();
        match asked.next() {
            Some(first) => TypeVerdict { value: quote!(#first #(.and(#asked))*), parameter: Some(quote!(<_>)) },
            None => TypeVerdict { value: quote!(#krate::__private::Accepted), parameter: None },
        }
    }

    /// Asks about each part of `ty`.
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

    /// Asks one question about `ty`. The compiler shows a refusal at `part`.
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

    /// Returns the type that does not implement `Question` for a refusal.
    ///
    /// The compiler underlines the type from the first to the last token if both tokens have places in the user's code.
    /// All other tokens have places in generated code, so that no lint looks at the type.
    fn asked_at(&self, ty: &Type, part: &Type) -> TokenStream {
        let mut spans = part.to_token_stream().into_iter().map(|token| token.span());
        let open = spans.next().unwrap_or_else(Span::call_site);
        let close = spans.last().unwrap_or(open);
        let mut krate: Vec<TokenTree> = self.krate.clone().into_iter().collect();
        // A `$crate` keeps its span, which says which crate is meant.
        krate
            .iter_mut()
            .take_while(|token| matches!(token, TokenTree::Punct(_)))
            .for_each(|colon| colon.set_span(open));
        let crossing = quote_spanned!(at(part)=> #(#krate)*::__private::Crossing);
        quote_spanned!(close=> #crossing<#ty>)
    }
}

/// The parts of a type, where the tokens show that the type can be sent if and only if the parts can be sent.
enum Made<'a> {
    Parts(Vec<&'a Type>),
    /// The target may be unsized.
    Pointer(&'a Type),
    /// In an alias with one parameter, the error has the place of the alias.
    Result {
        value: &'a Type,
        error: &'a Type,
    },
    /// A type whose parts only the compiler knows.
    Named(&'a TypePath),
    /// A type without a question.
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
        // The further parameters of these types are a hasher and an allocator.
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

/// Removes parentheses and the invisible groups of `macro_rules!`.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        _ => ty,
    }
}

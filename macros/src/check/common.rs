//! The parts of the check that several attributes share.

use syn::{Signature, Type};

use crate::errors::Errors;

/// How much code can be generated for a checked function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Soundness {
    /// All of the code.
    Sound,
    /// The signature has a mistake. Only the code that keeps callers of the item free of further errors.
    Faulty,
    /// No code. Generated code would be a mistake in this place.
    Misplaced,
}

impl Soundness {
    /// Returns `Faulty` if `errors` has more than `before` mistakes.
    pub(super) fn since(before: usize, errors: &Errors) -> Self {
        if errors.count() == before { Self::Sound } else { Self::Faulty }
    }
}

/// Rejects generic parameters and `where` clauses.
pub(super) fn no_generics(sig: &Signature, message: &str, errors: &mut Errors) {
    match (sig.generics.params.first(), &sig.generics.where_clause) {
        (Some(param), _) => errors.reject(param, message),
        (None, Some(clause)) => errors
            .reject(clause.where_token, "there is nothing generic here for a `where` clause to be about; remove it"),
        (None, None) => {}
    }
}

/// Whether the tokens alone prove that `ty` is no `Result`.
pub(crate) fn is_plain(ty: &Type) -> bool {
    match ty {
        Type::Path(ty) if ty.path.segments.len() == 1 => {
            let name = &ty.path.segments[0].ident;
            PRIMITIVES.iter().chain(&["String", "Option", "Vec"]).any(|plain| name == plain)
        }
        Type::Path(_) | Type::Group(_) | Type::Paren(_) | Type::Macro(_) | Type::ImplTrait(_) => false,
        _ => true,
    }
}

pub(super) fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

pub(super) const PRIMITIVES: &[&str] = &[
    "bool", "char", "str", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
    "f16", "f32", "f64", "f128",
];

//! Rejects the parts of a type that cannot be sent to another process, at any depth of the type.
//!
//! Rejects only the parts that the tokens prove wrong. The compiler decides the rest by serde's traits: a
//! `Box<dyn Shape>`, for example, may be serialisable.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::token::Comma;
use syn::visit::{self, Visit};
use syn::{
    Expr, GenericArgument, Lifetime, Path, PathArguments, Type, TypeFnPtr, TypeImplTrait, TypeParamBound, TypePath,
    TypePtr, TypeReference, TypeTraitObject,
};

use crate::errors::Errors;
use crate::signature;

/// Checks the type of an argument.
pub(super) fn argument(ty: &Type, errors: &mut Errors) {
    CrossingVisitor { way: Way::In, part: Part::Inner, errors }.visit_type(ty);
}

/// Checks the type of a result.
pub(super) fn output(ty: &Type, errors: &mut Errors) {
    let part = if matches!(ty, Type::Path(_)) { Part::Whole } else { Part::Inner };
    CrossingVisitor { way: Way::Out, part, errors }.visit_type(ty);
}

/// Checks the type of a result with `report`: only the value is sent as written, and the error becomes a report.
pub(super) fn reported_output(ty: &Type, errors: &mut Errors) {
    CrossingVisitor { way: Way::Out, part: Part::Inner, errors }.visit_type(reported_value(ty));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// The place of a type in a result. `report` changes only the error of the task's own `Result`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The whole return type.
    Whole,
    /// Inside of the error of the returned `Result`.
    Error,
    /// Inside of any other type.
    Inner,
}

/// Visits all parts of a type that is sent to a child or back.
struct CrossingVisitor<'e> {
    way: Way,
    part: Part,
    errors: &'e mut Errors,
}

impl Visit<'_> for CrossingVisitor<'_> {
    fn visit_type_path(&mut self, ty: &TypePath) {
        match foreign_error(&ty.path) {
            Some(error) if self.way == Way::Out => {
                let message = self.unsent(&error);
                self.errors.reject(ty, message);
            }
            _ => self.visit_parts(ty),
        }
    }

    fn visit_type_reference(&mut self, reference: &TypeReference) {
        let owned = owned(&reference.elem);
        let message = match (self.way, reference.mutability) {
            (Way::In, None) => format!("a task owns its arguments; take {owned}"),
            (Way::In, Some(_)) => format!(
                "a task owns its arguments, and what it changes stays in the child; \
                 take {owned} and return the new one"
            ),
            (Way::Out, _) => format!(
                "the result of a task is sent to another process, so it cannot borrow; \
                 return {owned}"
            ),
        };
        self.errors.reject(reference, message);
    }

    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        if lifetime.ident != "static" {
            self.errors.reject(
                lifetime,
                "what crosses to another process cannot borrow; write `'static`, or use an \
                 owned type",
            );
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &TypeImplTrait) {
        let message = match self.way {
            Way::In => {
                "the child decodes one exact type, so `impl Trait` says too little; \
                 name a concrete type"
            }
            Way::Out => {
                "the caller decodes one exact type, so `impl Trait` says too little; \
                 return a concrete type, such as a `Vec` for an iterator"
            }
        };
        self.errors.reject(ty, message);
    }

    fn visit_type_ptr(&mut self, ty: &TypePtr) {
        self.errors.reject(ty, "an address means nothing in another process; send the value that it points to");
    }

    fn visit_type_fn_ptr(&mut self, ty: &TypeFnPtr) {
        self.errors.reject(
            ty,
            "the address of a function means nothing in another process; send a value that \
             tells the task which function to call",
        );
    }

    fn visit_type_trait_object(&mut self, ty: &TypeTraitObject) {
        let message = match trait_name(ty).as_deref() {
            Some("Fn" | "FnMut" | "FnOnce") => {
                "a closure cannot be sent to another process; make what it does a child \
                 task of its own, and send the values"
            }
            Some("Error") if self.way == Way::Out => &self.unsent("dyn Error"),
            Some("Error") => "`dyn Error` cannot be sent to a child; send its text, as a `String`",
            Some("Any") => "`dyn Any` cannot be sent to another process; name the concrete type",
            _ => return visit::visit_type_trait_object(self, ty),
        };
        self.errors.reject(ty, message);
    }

    /// Skips the length of an array: the lifetimes and casts of the expression are never sent.
    fn visit_expr(&mut self, _: &Expr) {}
}

impl CrossingVisitor<'_> {
    /// Returns the message about an error type without serde's traits.
    fn unsent(&self, error: &str) -> String {
        match self.part {
            Part::Whole | Part::Error => {
                format!("`{error}` cannot be sent as it is; send a report of it with `#[child_task(report)]`")
            }
            Part::Inner => format!(
                "`{error}` cannot be sent as it is; use `Result<_, offspring::Report>` here, since \
                 `#[child_task(report)]` changes only the `Result` that the task returns"
            ),
        }
    }

    /// Visits the types in a path, and notes the place of each type.
    fn visit_parts(&mut self, ty: &TypePath) {
        let part = self.part;
        match (part, path_end(&ty.path).as_deref(), parameters(&ty.path)) {
            (Part::Whole, Some("Result"), Some(parameters)) => {
                for (parameter, part) in parameters.iter().zip([Part::Inner, Part::Error]) {
                    self.part = part;
                    self.visit_generic_argument(parameter);
                }
            }
            (Part::Whole, ..) => {
                self.part = Part::Inner;
                visit::visit_type_path(self, ty);
            }
            _ => visit::visit_type_path(self, ty),
        }
        self.part = part;
    }
}

/// Returns the error type of `io::Result<T>` and similar aliases, which never have serde's traits.
///
/// The compiler would reject these types as well, but without a hint at `report`. A user with an own module `io` can
/// write `self::io`.
fn foreign_error(path: &Path) -> Option<String> {
    let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let home = match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["std", "io", "Result" | "Error"] | ["io", "Result" | "Error"] => "io",
        ["anyhow", "Result" | "Error"] => "anyhow",
        ["eyre" | "color_eyre", "Result" | "Report"] => return Some("eyre::Report".to_owned()),
        _ => return None,
    };
    Some(format!("{home}::Error"))
}

/// Returns the replacement for a reference to `ty`.
fn owned(ty: &Type) -> String {
    let text = signature::text(ty.to_token_stream());
    match (ty, last_segment(ty).as_deref()) {
        (Type::Slice(slice), _) => {
            format!("`Vec<{}>`", signature::text(slice.elem.to_token_stream()))
        }
        (Type::TraitObject(_), _) => "a concrete type by value".to_owned(),
        (_, Some("str")) => "`String`".to_owned(),
        (_, Some(borrowed @ ("Path" | "OsStr" | "CStr"))) => format!("`{}`", owned_twin(borrowed)),
        _ => format!("`{text}` by value"),
    }
}

fn owned_twin(borrowed: &str) -> &'static str {
    match borrowed {
        "Path" => "PathBuf",
        "OsStr" => "OsString",
        _ => "CString",
    }
}

fn trait_name(ty: &TypeTraitObject) -> Option<String> {
    ty.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => path_end(&bound.path),
        _ => None,
    })
}

fn last_segment(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(ty) => path_end(&ty.path),
        _ => None,
    }
}

fn path_end(path: &Path) -> Option<String> {
    path.segments.last().map(|segment| segment.ident.to_string())
}

fn parameters(path: &Path) -> Option<&Punctuated<GenericArgument, Comma>> {
    match &path.segments.last()?.arguments {
        PathArguments::AngleBracketed(list) => Some(&list.args),
        _ => None,
    }
}

/// Returns the `T` of `Result<T, E>`, the only part that is sent as written with `report`. `T` is the first parameter
/// of aliases too.
fn reported_value(ty: &Type) -> &Type {
    let Type::Path(path) = ty else { return ty };
    let first = parameters(&path.path).into_iter().flatten().find_map(|argument| match argument {
        GenericArgument::Type(value) => Some(value),
        _ => None,
    });
    first.unwrap_or(ty)
}

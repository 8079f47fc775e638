//! The check: every rejection of every attribute.
//!
//! One pass finds all mistakes of an item. Each mistake is reported at the smallest token that shows the mistake, and
//! each message names a way out.

mod common;
mod hook;
mod main;
mod task;
mod types;

use proc_macro2::TokenStream;

pub(crate) use self::common::{Soundness, is_plain};
pub(crate) use self::hook::{after_fork, preload};
pub(crate) use self::main::check as main;
pub(crate) use self::task::check as task;
use crate::errors::Errors;
use crate::model::{Function, foreign_keyword};

/// Reads the function below `attribute`. Any other item is a mistake.
pub(crate) fn function(attribute: &str, item: TokenStream, errors: &mut Errors) -> Option<Function> {
    let parsed = syn::parse2::<Function>(item.clone());
    match (parsed, foreign_keyword(item)) {
        (Ok(function), _) if function.has_body() => return Some(function),
        (Ok(function), _) => errors.reject(
            &function.body,
            format_args!(
                "`#[{attribute}]` needs a function with a body; put it on a free function \
                 that calls this one"
            ),
        ),
        (Err(_), Some(keyword)) => errors.reject(
            keyword,
            format_args!(
                "`#[{attribute}]` goes on a function, and this is none; move what is to run \
                 into an `fn`"
            ),
        ),
        (Err(error), None) => errors.push(error),
    }
    None
}

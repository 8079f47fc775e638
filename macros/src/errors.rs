//! Collects all mistakes of one item, so that one compilation shows all mistakes.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The mistakes of one item, each with the tokens of the mistake.
#[derive(Default)]
pub(crate) struct Errors {
    combined: Option<syn::Error>,
    count: usize,
}

impl Errors {
    /// Adds one mistake at `tokens`. The message names the mistake and a way out.
    pub(crate) fn reject(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a mistake of the parser.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.count += 1;
        match &mut self.combined {
            Some(combined) => combined.combine(error),
            None => self.combined = Some(error),
        }
    }

    /// Returns the number of mistakes. A check compares two counts to see whether a step found a mistake.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

/// Emits one `compile_error!` per mistake beside the item.
impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        if let Some(error) = &self.combined {
            tokens.extend(error.to_compile_error());
        }
    }
}

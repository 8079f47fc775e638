//! Collects everything that is wrong with one item, so that the user sees all of it in one compilation.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The mistakes found so far, each with the tokens that it is about.
#[derive(Default)]
pub(crate) struct Errors {
    combined: Option<syn::Error>,
    count: usize,
}

impl Errors {
    /// Notes one mistake at `tokens`; the message says what is wrong and the way out.
    pub(crate) fn reject(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Notes a mistake that the parser found.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.count += 1;
        match &mut self.combined {
            Some(combined) => combined.combine(error),
            None => self.combined = Some(error),
        }
    }

    /// How many mistakes there are; comparing two counts tells whether a check found one.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

/// One `compile_error!` per mistake, to be emitted beside the item.
impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        if let Some(error) = &self.combined {
            tokens.extend(error.to_compile_error());
        }
    }
}

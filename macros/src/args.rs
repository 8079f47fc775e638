//! Attribute arguments: reads tokens into one plain struct per attribute.
//!
//! The reader cuts the list at the commas, takes every known key from the list, and rejects the rest as unknown. So a
//! broken argument never hides a mistake in a later argument, and all valid arguments are used.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parse;
use syn::{LitStr, Path};

use crate::errors::Errors;

/// The arguments of `#[child_task(…)]`.
pub(crate) struct TaskArgs {
    pub(crate) krate: TokenStream,
    pub(crate) name: Option<LitStr>,
    pub(crate) handle: Option<Ident>,
    pub(crate) report: Option<Ident>,
    pub(crate) idempotent: bool,
    pub(crate) start_method: Option<StartMethod>,
    pub(crate) timeout: Option<Duration>,
}

impl TaskArgs {
    pub(crate) fn parse(args: TokenStream, errors: &mut Errors) -> Self {
        let mut list = ArgumentList::split(args, errors);
        let parsed = Self {
            krate: list.krate(errors),
            name: list.name(errors),
            handle: list.value("handle", "an identifier, such as `handle = ResizeTask`", errors),
            report: list.flag("report", errors),
            idempotent: list.flag("idempotent", errors).is_some(),
            start_method: list.start_method(errors),
            timeout: list.timeout(errors),
        };
        list.reject_rest(
            "`#[child_task]` takes `name`, `handle`, `report`, `idempotent`, \
             `start_method`, `timeout` and `crate`",
            errors,
        );
        parsed
    }
}

/// The arguments of `#[process_main(…)]`.
pub(crate) struct MainArgs {
    pub(crate) krate: TokenStream,
    pub(crate) start_method: Option<StartMethod>,
}

impl MainArgs {
    pub(crate) fn parse(args: TokenStream, errors: &mut Errors) -> Self {
        let mut list = ArgumentList::split(args, errors);
        let parsed = Self { krate: list.krate(errors), start_method: list.start_method(errors) };
        list.reject_rest("`#[process_main]` takes `start_method` and `crate`", errors);
        parsed
    }
}

/// The arguments of `#[preload(…)]` and `#[after_fork(…)]`. `#[after_fork]` takes no name.
pub(crate) struct HookArgs {
    pub(crate) krate: TokenStream,
    pub(crate) name: Option<LitStr>,
}

impl HookArgs {
    pub(crate) fn parse_preload(args: TokenStream, errors: &mut Errors) -> Self {
        let mut list = ArgumentList::split(args, errors);
        let parsed = Self { krate: list.krate(errors), name: list.name(errors) };
        list.reject_rest("`#[preload]` takes `name` and `crate`", errors);
        parsed
    }

    pub(crate) fn parse_after_fork(args: TokenStream, errors: &mut Errors) -> Self {
        let mut list = ArgumentList::split(args, errors);
        let parsed = Self { krate: list.krate(errors), name: None };
        list.reject_rest("`#[after_fork]` takes only `crate`", errors);
        parsed
    }
}

/// A start method in an attribute. The variants have the names of the variants of the runtime's `StartMethod`.
#[derive(Clone, Copy)]
pub(crate) enum StartMethod {
    Spawn,
    Fork,
    ForkServer,
}

impl StartMethod {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "spawn" => Some(Self::Spawn),
            "fork" => Some(Self::Fork),
            "forkserver" => Some(Self::ForkServer),
            _ => None,
        }
    }
}

impl ToTokens for StartMethod {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Spawn => quote!(Spawn),
            Self::Fork => quote!(Fork),
            Self::ForkServer => quote!(ForkServer),
        });
    }
}

/// `key` or `key = value`, with an unread value.
struct Argument {
    key: Ident,
    value: Option<TokenStream>,
}

/// The arguments of the attribute that no reader has taken yet.
struct ArgumentList(Vec<Argument>);

impl ArgumentList {
    fn split(args: TokenStream, errors: &mut Errors) -> Self {
        let tokens: Vec<TokenTree> = args.into_iter().collect();
        let pieces = tokens.split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','));
        let is_blank = |piece: &&[TokenTree]| piece.is_empty();
        Self(pieces.filter(|piece| !is_blank(piece)).filter_map(|piece| Argument::read(piece, errors)).collect())
    }

    /// Takes the argument called `key` out of the list. The first argument of the name counts, and each repetition is a
    /// mistake.
    fn take(&mut self, key: &str, errors: &mut Errors) -> Option<Argument> {
        let (mut matching, rest) = self.0.drain(..).partition::<Vec<_>, _>(|argument| argument.key == key);
        self.0 = rest;
        for repeated in matching.iter().skip(1) {
            errors.reject(&repeated.key, format_args!("`{key}` is given twice; keep one of them"));
        }
        (!matching.is_empty()).then(|| matching.swap_remove(0))
    }

    fn flag(&mut self, key: &str, errors: &mut Errors) -> Option<Ident> {
        let argument = self.take(key, errors)?;
        if let Some(value) = argument.value {
            errors.reject(value, format_args!("`{key}` takes no value; write `{key}` alone"));
        }
        Some(argument.key)
    }

    fn value<T: Parse>(&mut self, key: &str, shape: &str, errors: &mut Errors) -> Option<T> {
        let argument = self.take(key, errors)?;
        let Some(value) = argument.value else {
            errors.reject(argument.key, format_args!("`{key}` needs {shape}"));
            return None;
        };
        let parsed = syn::parse2(value.clone());
        if parsed.is_err() {
            errors.reject(value, format_args!("`{key}` needs {shape}"));
        }
        parsed.ok()
    }

    fn krate(&mut self, errors: &mut Errors) -> TokenStream {
        let path: Option<Path> = self.value("crate", "a path, such as `crate = my_reexports::offspring`", errors);
        path.map_or_else(|| quote!(::offspring), ToTokens::into_token_stream)
    }

    fn name(&mut self, errors: &mut Errors) -> Option<LitStr> {
        let name: LitStr = self.value("name", "a string, such as `name = \"resize\"`", errors)?;
        if name.value().trim().is_empty() {
            errors.reject(
                name,
                "a name cannot be empty; write one, or leave `name` out to get the \
                 function's path",
            );
            return None;
        }
        Some(name)
    }

    fn start_method(&mut self, errors: &mut Errors) -> Option<StartMethod> {
        const SHAPE: &str = "one of `\"spawn\"`, `\"fork\"` and `\"forkserver\"`";
        let name: LitStr = self.value("start_method", SHAPE, errors)?;
        let method = StartMethod::from_name(&name.value());
        if method.is_none() {
            errors.reject(&name, format_args!("`start_method` needs {SHAPE}"));
        }
        method
    }

    fn timeout(&mut self, errors: &mut Errors) -> Option<Duration> {
        let text: LitStr = self.value("timeout", "a string with a unit, such as `timeout = \"2.5s\"`", errors)?;
        match duration(&text.value()) {
            Ok(timeout) => Some(timeout),
            Err(reason) => {
                errors.reject(text, reason);
                None
            }
        }
    }

    fn reject_rest(self, known: &str, errors: &mut Errors) {
        for argument in self.0 {
            let key = &argument.key;
            errors.reject(key, format_args!("there is no argument `{key}`; {known}"));
        }
    }
}

impl Argument {
    fn read(piece: &[TokenTree], errors: &mut Errors) -> Option<Self> {
        match piece {
            [TokenTree::Ident(key)] => Some(Self { key: key.clone(), value: None }),
            [TokenTree::Ident(key), TokenTree::Punct(equals), value @ ..]
                if equals.as_char() == '=' && !value.is_empty() =>
            {
                Some(Self { key: key.clone(), value: Some(value.iter().cloned().collect()) })
            }
            _ => {
                let tokens: TokenStream = piece.iter().cloned().collect();
                errors.reject(
                    tokens,
                    "this is no argument; write `key` or `key = value`, with commas \
                     between them",
                );
                None
            }
        }
    }
}

/// Reads `5s` or `2.5ms`: digits, an optional fraction, and a unit.
///
/// Uses integers only, because the expansion must be the same on every machine.
fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit_nanos(unit).ok_or_else(|| {
        format!(
            "`{text}` has no unit that a timeout can have; end it with `ns`, `us`, `ms`, \
             `s`, `m` or `h`, as in `2.5s`"
        )
    })?;
    let nanos = scaled(number, unit)
        .ok_or_else(|| format!("`{text}` does not start with a number; write a timeout like `5s` or `2.5s`"))?;
    let seconds = u64::try_from(nanos / 1_000_000_000)
        .map_err(|_| format!("`{text}` is too long a timeout; leave it out to have none"))?;
    match Duration::new(seconds, (nanos % 1_000_000_000) as u32) {
        Duration::ZERO => Err(format!("`{text}` ends every task at once; a timeout is longer than zero")),
        timeout => Ok(timeout),
    }
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return None,
    })
}

/// Returns `number × unit` in nanoseconds, rounded down.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u128>().ok()?.checked_mul(unit)? / scale;
    whole.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2.5ms"), Ok(Duration::from_micros(2_500)));
        assert_eq!(duration("0.1s"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("7ns"), Ok(Duration::from_nanos(7)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "5", "s", "5 s", "-1s", "1.s", ".5s", "1.2.3s", "5min", "0s", "0.0001ns", "99999999999999999999h"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

//! A signature as a text that does not depend on the compiler, and the fingerprint of the text.
//!
//! The compiler's own spacing of tokens is unspecified and differs between versions, so this file prints the text.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Prints tokens with normalised spacing: `fn(u32, Vec<(u8, [String; 2])>) -> u32`.
pub(crate) fn text(tokens: TokenStream) -> String {
    let mut text = String::new();
    print(tokens, &mut text);
    text
}

/// Returns the FNV-1a hash of 64 bits. A collision gives an attacker nothing, so a short hash is enough.
///
/// Source: FNV-1a by Fowler, Noll and Vo. The test has the published values.
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn print(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = delimiters(group.delimiter());
                text.push_str(open);
                print(group.stream(), text);
                text.truncate(text.trim_end().len()); // a comma before the end has added a space
                text.push_str(close);
            }
            TokenTree::Punct(punct) => print_punct(punct.as_char(), punct.spacing(), text),
            word => print_word(&word.to_string(), text),
        }
    }
}

/// Prints a word. Two words need a space in between, and all other pairs of tokens need no space.
fn print_word(word: &str, text: &mut String) {
    if text.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | '"')) {
        text.push(' ');
    }
    text.push_str(word);
}

fn print_punct(punct: char, spacing: Spacing, text: &mut String) {
    match punct {
        ',' | ';' => text.extend([punct, ' ']),
        '+' | '=' => text.extend([' ', punct, ' ']),
        '-' if spacing == Spacing::Joint => text.push_str(" -"),
        '>' if text.ends_with(" -") => text.push_str("> "),
        _ => text.push(punct),
    }
}

fn delimiters(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(source: &str) -> String {
        text(source.parse().expect("the test writes tokens"))
    }

    #[test]
    fn spacing_is_normalised() {
        let spaced = printed("fn ( u32,Vec < Option<( u8 , [ String;2 ] )> > )->Result < u8,Box<dyn Error+Send> >");
        assert_eq!(spaced, "fn(u32, Vec<Option<(u8, [String; 2])>>) -> Result<u8, Box<dyn Error + Send>>");
        assert_eq!(printed("( u8 , )"), "(u8,)");
        assert_eq!(printed("std :: borrow :: Cow < 'static , str >"), "std::borrow::Cow<'static, str>");
    }

    #[test]
    fn fingerprint_is_the_published_function() {
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fingerprint("foobar"), 0x8594_4171_f739_67e8);
    }
}

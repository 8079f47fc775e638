//! File names in messages as GNU programs write them: quoted only if a shell would read the bare name differently.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// Returns the name, quoted if necessary: `a`, `'a b'`, `"it's"`, `'a'$'\n''b'`.
///
/// Source: gnulib's `quotearg`, style `shell-escape`, with a colon among the characters that need quotes.
pub fn quoted(name: &OsStr) -> String {
    let chunks = || name.as_bytes().utf8_chunks();
    let is_text = chunks().all(|chunk| chunk.invalid().is_empty() && !chunk.valid().contains(char::is_control));
    let text = name.to_string_lossy();
    if is_text && !text.is_empty() && !needs_quotes(&text) {
        return text.into_owned();
    }
    if is_text && text.contains('\'') && !needs_single_quotes(&text) {
        return format!("\"{text}\"");
    }
    let mut quoted = Quoted { text: "'".to_owned(), is_escaping: false };
    for chunk in chunks() {
        chunk.valid().chars().for_each(|c| quoted.push(c));
        chunk.invalid().iter().for_each(|byte| quoted.escape(u32::from(*byte)));
    }
    quoted.text + "'"
}

fn needs_quotes(text: &str) -> bool {
    text.starts_with(['#', '~']) || ["{", "}"].contains(&text) || text.contains([' ', '\'', ':']) || is_special(text)
}

/// Tells whether a character other than the apostrophe needs quotes. An apostrophe alone is fine between double quotes.
fn needs_single_quotes(text: &str) -> bool {
    text.chars().skip(1).any(|c| c == '#' || c == '~') || is_special(text)
}

fn is_special(text: &str) -> bool {
    text.contains(|c| "!\"$&()*;<=>?[\\^`|".contains(c))
}

/// A name between quotes: begins in `'…'`, with escapes in `$'…'`.
struct Quoted {
    text: String,
    is_escaping: bool,
}

impl Quoted {
    fn push(&mut self, c: char) {
        if c.is_control() {
            return c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| self.escape(u32::from(byte)));
        }
        if c == '\'' {
            self.text.push_str("'\\''");
        } else {
            self.text.push_str(if self.is_escaping { "''" } else { "" });
            self.text.push(c);
        }
        self.is_escaping = false;
    }

    fn escape(&mut self, byte: u32) {
        self.text.push_str(if self.is_escaping { "" } else { "'$'" });
        self.is_escaping = true;
        // Bell, backspace, tabulator, newline, vertical tabulator, form feed, carriage return.
        match (7..=13).zip("abtnvfr".chars()).find(|(code, _)| *code == byte) {
            Some((_, letter)) => self.text.extend(['\\', letter]),
            None => write!(self.text, "\\{byte:03o}").unwrap_or_default(), // writing to a String never fails
        }
    }
}

//! The errors of the format, with the path to the failed part of a value.

use std::fmt::{self, Display};
use std::io;
use std::sync::Arc;

/// The failure of encoding or decoding a value, with serde's own message and the path to the failed part.
///
/// A path is built after the failure. Each container around the failed part adds a step to the error. A success
/// costs nothing.
#[derive(Clone)]
pub struct Error(Box<Fault>);

#[derive(Clone, Debug)]
struct Fault {
    text: String,
    /// The steps of the path, from the innermost to the outermost.
    steps: Vec<Step>,
    /// The name of the task's argument, if the value is an argument.
    argument: Option<&'static str>,
    /// The failure of the sink, or of the source of the bytes.
    io: Option<Arc<io::Error>>,
}

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Variant(String),
    Index(usize),
    Key(String),
}

/// The key of a map in the form for a path.
pub(super) enum ShownKey {
    Text(String),
    /// A number, or the name of a variant.
    Other(String),
}

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Box::new(Fault { text: text.into(), steps: Vec::new(), argument: None, io: None }))
    }

    #[cold]
    pub(super) fn in_field(self, name: &str) -> Self {
        self.step(Step::Field(name.to_owned()))
    }

    #[cold]
    pub(super) fn in_variant(self, name: &str) -> Self {
        self.step(Step::Variant(name.to_owned()))
    }

    #[cold]
    pub(super) fn at_index(self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// Adds an entry of a map to the path. `None` stands for a key without a short text.
    #[cold]
    pub(super) fn at_key(self, key: Option<ShownKey>) -> Self {
        match key {
            Some(ShownKey::Text(name)) if is_identifier(&name) => self.step(Step::Field(name)),
            Some(ShownKey::Text(text)) => self.step(Step::Key(format!("{text:?}"))),
            Some(ShownKey::Other(text)) => self.step(Step::Key(text)),
            None => self.step(Step::Key("…".to_owned())),
        }
    }

    pub(crate) fn in_argument(mut self, name: &'static str) -> Self {
        self.0.argument = Some(name);
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.0.steps.push(step);
        self
    }

    /// Returns the message without the path.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Returns the failure of the sink, if the value itself is not at fault.
    pub fn io_error(&self) -> Option<&io::Error> {
        self.0.io.as_deref()
    }

    /// Returns the path to the failed part in the notation of Rust, as `.rules[3].when`.
    ///
    /// Empty if the failure concerns the value as a whole.
    pub fn path(&self) -> String {
        const SHOWN: usize = 8;
        let steps = &self.0.steps;
        let mut path = String::new();
        for (place, step) in steps.iter().rev().enumerate() {
            if steps.len() > 2 * SHOWN && place == SHOWN {
                path.push_str(" … ");
            }
            if steps.len() > 2 * SHOWN && (SHOWN..steps.len() - SHOWN).contains(&place) {
                continue;
            }
            path += &match step {
                Step::Field(name) | Step::Variant(name) => format!(".{name}"),
                Step::Index(index) => format!("[{index}]"),
                Step::Key(key) => format!("[{key}]"),
            };
        }
        path
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        match self.0.argument {
            Some(name) => write!(f, "argument `{name}{path}`: ")?,
            None if path.is_empty() => {}
            None => write!(f, "at `{}`: ", path.trim_start_matches('.'))?,
        }
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.io_error().and_then(std::error::Error::source)
    }
}

/// The text is that of the failure of the sink.
impl From<io::Error> for Error {
    #[cold]
    fn from(error: io::Error) -> Self {
        let mut made = Self::new(error.to_string());
        made.0.io = Some(Arc::new(error));
        made
    }
}

impl serde::ser::Error for Error {
    fn custom<T: Display>(text: T) -> Self {
        Self::new(text.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: Display>(text: T) -> Self {
        Self::new(text.to_string())
    }
}

//! JSON, read as a stream in constant memory, and written.
//!
//! The grammar is RFC 8259 with the tolerances of CONTRACTS 3: `NaN`, `Infinity` and `-Infinity` are values, bytes in
//! a string that are not UTF-8 and lone surrogate escapes read as U+FFFD.

mod decimal;
mod number;
pub mod path;
mod reader;
pub mod writer;

#[cfg(test)]
mod reader_tests;

pub use number::Number;
pub use reader::{Fault, Reader};

use crate::text::{Hash, Subject};

/// One step through a document.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'a> {
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// The key of the value that follows.
    Key(Text<'a>),
    /// A string.
    String(Text<'a>),
    /// A number.
    Number(Number<'a>),
    /// `NaN`, `Infinity` or `-Infinity`, which Python writes: a value, and none that counts.
    NotFinite,
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
}

/// A string or key, escapes decoded: its first bytes, and length and hash of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Text<'a> {
    kept: &'a str,
    bytes: u64,
    /// Of the whole, if it is longer than what was kept; else of nothing.
    hash: Hash,
}

impl<'a> Text<'a> {
    /// Makes a text of which all is at hand.
    #[must_use]
    pub const fn new(whole: &'a str) -> Self {
        Self {
            kept: whole,
            bytes: whole.len() as u64,
            hash: Hash::EMPTY,
        }
    }

    /// Tells whether the whole text is `other`.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        self.whole() == Some(other)
    }

    /// Tells the whole text, unless it was too long to be kept.
    #[must_use]
    pub fn whole(&self) -> Option<&'a str> {
        (self.kept.len() as u64 == self.bytes).then_some(self.kept)
    }

    /// Tells the first [`crate::limits::JSON_TOKEN_BYTES_MAX`] bytes or fewer, whole characters.
    #[must_use]
    pub const fn start(&self) -> &'a str {
        self.kept
    }

    /// Makes a signal's subject of the text.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self.whole() {
            Some(text) => Subject::new(text),
            None => Subject::of_parts(self.kept, self.bytes, self.hash),
        }
    }
}

//! The words of a configuration file, read as its bytes come: lines of any length, comments passed over.

use heapless::Vec;

use crate::limits::HOST_BYTES_MAX;

/// Bytes of a word that is kept: a name with the dot at its end. A longer one can be no name and no address.
const WORD_BYTES_MAX: usize = HOST_BYTES_MAX + 1;

/// A step through a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A word; empty if it is too long or not UTF-8.
    Word(&'a str),
    /// The end of a line.
    LineEnd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Blank,
    Word,
    TooLong,
    Comment,
}

/// The reader.
pub(super) struct Words {
    place: Place,
    word: Vec<u8, WORD_BYTES_MAX>,
}

impl Words {
    pub(super) const fn new() -> Self {
        Self {
            place: Place::Blank,
            word: Vec::new(),
        }
    }

    pub(super) fn reset(&mut self) {
        self.place = Place::Blank;
        self.word.clear();
    }

    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Token<'_>)) {
        for byte in bytes {
            self.take(*byte, sink);
        }
    }

    /// Ends the last line, which may lack its line feed.
    pub(super) fn end(&mut self, sink: &mut impl FnMut(Token<'_>)) {
        self.take(b'\n', sink);
    }

    fn take(&mut self, byte: u8, sink: &mut impl FnMut(Token<'_>)) {
        match (self.place, byte) {
            (_, b'\n') => {
                self.end_word(sink);
                self.place = Place::Blank;
                sink(Token::LineEnd);
            }
            (Place::Comment, _) => {}
            // `;` begins a comment like `#`, but only where a word would begin.
            (_, b'#') | (Place::Blank, b';') => {
                self.end_word(sink);
                self.place = Place::Comment;
            }
            (_, b' ' | b'\t' | b'\r') => {
                self.end_word(sink);
                self.place = Place::Blank;
            }
            (Place::TooLong, _) => {}
            (Place::Blank | Place::Word, _) => {
                self.place = match self.word.push(byte) {
                    Ok(()) => Place::Word,
                    Err(_byte) => Place::TooLong,
                };
            }
        }
    }

    fn end_word(&mut self, sink: &mut impl FnMut(Token<'_>)) {
        match self.place {
            Place::Word => sink(Token::Word(core::str::from_utf8(&self.word).unwrap_or(""))),
            Place::TooLong => sink(Token::Word("")),
            Place::Blank | Place::Comment => {}
        }
        self.word.clear();
    }
}

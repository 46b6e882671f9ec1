//! Bounded text: subjects, details, and the cleaning that both share.
//!
//! What strangers wrote (container names, agent ids, health outputs) ends here: control characters and
//! bidirectional marks become spaces, and nothing is longer than its bound (CONTRACTS 4).

use core::fmt::{self, Write as _};

use crate::limits::{DETAIL_BYTES_MAX, SUBJECT_BYTES_MAX, SUBJECT_KEPT_BYTES};

/// A reason in words, at most [`DETAIL_BYTES_MAX`] bytes.
pub type Detail = heapless::String<DETAIL_BYTES_MAX>;

/// Tells the character to show for `character`: a space for control characters, line and paragraph separators and
/// bidirectional marks, itself for all others.
#[must_use]
pub const fn shown(character: char) -> char {
    match character {
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => ' ',
        other => other,
    }
}

/// Appends a text byte by byte, or tells that it does not fit. `heapless` appends whole texts with a count that the
/// compiler can not see to stay in range, which leaves a path to a panic alive; single bytes it can.
pub(crate) fn append<const N: usize>(bytes: &mut heapless::Vec<u8, N>, text: &str) -> Option<()> {
    text.bytes().try_for_each(|byte| bytes.push(byte).ok())
}

/// Takes back what was appended since a text had so many bytes. `heapless` asserts that a character begins there, which
/// leaves a path to a panic alive; taking characters one by one does not.
pub(crate) fn take_back<const N: usize>(text: &mut heapless::String<N>, bytes: usize) {
    while text.len() > bytes && text.pop().is_some() {}
}

/// Tells what stands before the first byte `end`, which is ASCII; all, if there is none. The standard library's search for a
/// character leaves a path to a panic alive.
pub(crate) fn before(text: &str, end: u8) -> &str {
    text.bytes()
        .position(|byte| byte == end)
        .and_then(|at| text.get(..at))
        .unwrap_or(text)
}

/// FNV-1a over 32 bits, resumable: the hash behind `~` in a cut subject.
///
/// It names, it does not protect: two subjects that collide share one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hash(u32);

impl Hash {
    /// The hash of nothing.
    pub const EMPTY: Self = Self(0x811c_9dc5);

    /// Tells the hash of what was hashed before followed by `bytes`.
    #[must_use]
    pub const fn and(self, bytes: &[u8]) -> Self {
        let mut hash = self.0;
        let mut rest = bytes;
        while let [first, tail @ ..] = rest {
            hash = (hash ^ *first as u32).wrapping_mul(0x0100_0193);
            rest = tail;
        }
        Self(hash)
    }

    /// Tells the 32 bits.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

/// What a signal is about: an agent's id, a container's name, a path. At most [`SUBJECT_BYTES_MAX`] bytes, cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject(heapless::String<SUBJECT_BYTES_MAX>);

impl Subject {
    /// The subject of a signal that has none.
    pub const NONE: Self = Self(heapless::String::new());

    /// Makes a subject of any text: cleaned, and cut with a hash if it is too long.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::of_parts(text, text.len() as u64, Hash::EMPTY.and(text.as_bytes()))
    }

    /// Makes the same subject as [`Subject::new`] of a text of which only the first bytes were kept, at least
    /// [`SUBJECT_BYTES_MAX`] of them unless it is shorter.
    ///
    /// `bytes` is the length of the whole text, `hash` the hash of the whole.
    #[must_use]
    pub fn of_parts(start: &str, bytes: u64, hash: Hash) -> Self {
        let is_whole = bytes <= SUBJECT_BYTES_MAX as u64;
        let taken_max = if is_whole {
            SUBJECT_BYTES_MAX
        } else {
            SUBJECT_KEPT_BYTES
        };
        let mut subject = heapless::Vec::new();
        let mut taken = 0_usize;
        for character in start.chars() {
            taken = taken.saturating_add(character.len_utf8());
            if taken > taken_max {
                break;
            }
            // A cleaned character is never longer than the one that it stands for, so all of it fits.
            let _ = append(&mut subject, shown(character).encode_utf8(&mut [0; 4]));
        }
        if !is_whole {
            let _ = append(&mut subject, "~");
            for shift in [28, 24, 20, 16, 12, 8, 4, 0] {
                let digit = char::from_digit(hash.value() >> shift & 0xf, 16).unwrap_or('0');
                let _ = append(&mut subject, digit.encode_utf8(&mut [0; 4]));
            }
        }
        Self(heapless::String::from_utf8(subject).unwrap_or_default())
    }

    /// Tells the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Tells whether there is no subject.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Subject {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

/// Writes into a fixed text: cleans each character, and cuts at the bound with `…`.
///
/// Writing never fails; what does not fit is dropped.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cut<'a, const N: usize> {
    text: &'a mut heapless::String<N>,
    full: bool,
}

const ELLIPSIS: char = '…';

impl<'a, const N: usize> Cut<'a, N> {
    /// Begins at the end of `text`.
    pub const fn new(text: &'a mut heapless::String<N>) -> Self {
        Self { text, full: false }
    }

    fn close(&mut self) {
        self.full = true;
        while self.text.len().saturating_add(ELLIPSIS.len_utf8()) > N && self.text.pop().is_some() {}
        drop(self.text.push(ELLIPSIS));
    }
}

impl<const N: usize> fmt::Write for Cut<'_, N> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars().map(shown) {
            if self.full {
                break;
            }
            if self.text.push(character).is_err() {
                self.close();
            }
        }
        Ok(())
    }
}

/// Makes a detail of format arguments: cleaned, and cut with `…` at its bound.
#[must_use]
pub fn detail(arguments: fmt::Arguments<'_>) -> Detail {
    let mut text = Detail::new();
    let _ = Cut::new(&mut text).write_fmt(arguments);
    text
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;

    #[test]
    fn a_short_subject_is_itself_and_cleaned() {
        assert_eq!(Subject::new("web-1").as_str(), "web-1");
        assert_eq!(Subject::new("a\nb\u{202e}c").as_str(), "a b c");
        let full: String = "x".repeat(64);
        assert_eq!(Subject::new(&full).as_str(), full);
    }

    #[test]
    fn a_long_subject_is_cut_at_a_character_and_hashed() {
        let long: String = "é".repeat(33);
        let subject = Subject::new(&long);
        assert!(subject.as_str().starts_with(&"é".repeat(26)));
        assert_eq!(subject.as_str().len(), 52 + 9);
        assert_ne!(subject, Subject::new(&("é".repeat(33) + "x")));
    }

    #[test]
    fn parts_make_the_same_subject_as_the_whole() {
        let long: String = "agent-".repeat(40);
        let hash = Hash::EMPTY
            .and(&long.as_bytes()[..70])
            .and(&long.as_bytes()[70..]);
        assert_eq!(
            Subject::of_parts(&long[..100], long.len() as u64, hash),
            Subject::new(&long)
        );
    }

    #[test]
    fn a_detail_is_cut_with_an_ellipsis_within_its_bound() {
        let long: String = "é".repeat(150);
        let text = detail(format_args!("{long}"));
        assert!(text.len() <= DETAIL_BYTES_MAX && text.ends_with('…'));
        assert_eq!(detail(format_args!("exited {}", 3)).as_str(), "exited 3");
    }
}

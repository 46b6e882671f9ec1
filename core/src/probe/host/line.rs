//! Lines of a text that comes in pieces, each as much of it as is worth keeping.
//!
//! The texts of /proc that are read here say what matters in the first bytes of a line; `intr` in `/proc/stat` has
//! thousands more. Constant memory, lines of any length, split anywhere. Never panics. Tests: beside the code.

use heapless::Vec;

/// Bytes of a line that are kept. 128: the longest line that is read to its end, a pressure's with every number at its
/// greatest, has 75.
const KEPT_BYTES: usize = 128;

/// The line that is being read.
#[derive(Debug)]
pub(super) struct Line {
    kept: Vec<u8, KEPT_BYTES>,
    is_cut: bool,
}

impl Line {
    /// A line of which nothing was read.
    pub(super) const fn new() -> Self {
        Self {
            kept: Vec::new(),
            is_cut: false,
        }
    }

    /// Forgets what was read.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.is_cut = false;
    }

    /// Reads on, and hands each line that ends to `each`.
    pub(super) fn read(&mut self, part: &[u8], mut each: impl FnMut(&Self)) {
        for &byte in part {
            if byte == b'\n' {
                each(self);
                self.clear();
            } else if self.kept.push(byte).is_err() {
                self.is_cut = true;
            }
        }
    }

    /// Tells the start of the line.
    pub(super) fn start(&self) -> &[u8] {
        self.kept.as_slice()
    }

    /// Tells the line's words if all of it was kept. Of a line that was not, the last number may be half a number.
    pub(super) fn words(&self) -> impl Iterator<Item = &[u8]> {
        let whole = if self.is_cut { &[] } else { self.kept.as_slice() };
        whole
            .split(|byte| byte.is_ascii_whitespace())
            .filter(|word| !word.is_empty())
    }
}

/// Reads a decimal number; none if it is not one or has no room in 64 bits.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit.wrapping_sub(b'0')))?;
    }
    (!digits.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec::Vec as List;

    fn lines(parts: &[&[u8]]) -> List<String> {
        let mut line = Line::new();
        let mut lines = List::new();
        for part in parts {
            line.read(part, |line| {
                let words: List<String> = line
                    .words()
                    .map(|word| String::from_utf8_lossy(word).into_owned())
                    .collect();
                lines.push(words.join(" "));
            });
        }
        lines
    }

    #[test]
    fn lines_are_the_same_wherever_the_text_is_split() {
        let text = b"a  1\n\nb\t2 3\nunfinished";
        let whole = lines(&[text]);
        assert_eq!(whole, ["a 1", "", "b 2 3"]);
        for at in 0..=text.len() {
            assert_eq!(lines(&[&text[..at], &text[at..]]), whole, "split at {at}");
        }
    }

    /// A number at the edge of what is kept would be misread, so a line that is cut has a start and no words.
    #[test]
    fn a_line_that_is_too_long_has_a_start_and_no_words() {
        let mut line = Line::new();
        let mut seen = 0;
        let long = [b'7'; 100_000];
        line.read(&long, |_| seen += 1);
        assert_eq!((line.start().len(), line.words().count(), seen), (128, 0, 0));
        line.read(b"\nnext 1\n", |_| seen += 1);
        assert_eq!(seen, 2);
    }

    #[test]
    fn a_number_is_digits_and_fits() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"18446744073709551616", b"-1", b"1.5", b" 1", b"0x1"] {
            assert_eq!(number(bad), None);
        }
    }
}

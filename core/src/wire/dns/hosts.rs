//! `/etc/hosts`: an address and its names on a line (`hosts(5)`). Of any size; nothing of it is kept here.

use core::net::{IpAddr, Ipv4Addr};

use super::address;
use super::words::{Token, Words};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the address of a line.
    Start,
    /// Behind an address.
    Names,
    /// In a line whose first word is no address.
    Skipped,
}

/// Reads the file.
pub struct Reader {
    words: Words,
    place: Place,
    /// The address of the line, in [`Place::Names`].
    address: IpAddr,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// Makes a reader at the start of a file. All zero bits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words: Words::new(),
            place: Place::Start,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    /// Goes back to the start.
    pub fn reset(&mut self) {
        self.words.reset();
        self.place = Place::Start;
    }

    /// Reads the next bytes and hands each name with its address to `sink`; a dot at its end is taken off.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(IpAddr, &str)) {
        let Self {
            words,
            place,
            address,
        } = self;
        words.feed(bytes, &mut |token| take(place, address, token, sink));
    }

    /// Reads the file's end.
    pub fn end(&mut self, sink: &mut impl FnMut(IpAddr, &str)) {
        let Self {
            words,
            place,
            address,
        } = self;
        words.end(&mut |token| take(place, address, token, sink));
    }
}

fn take(place: &mut Place, address: &mut IpAddr, token: Token<'_>, sink: &mut impl FnMut(IpAddr, &str)) {
    *place = match (*place, token) {
        (_, Token::LineEnd) => Place::Start,
        (Place::Start, Token::Word(word)) => match address::parse(word) {
            Some(parsed) => {
                *address = parsed;
                Place::Names
            }
            // A zone (`fe80::1%eth0`) among them: a number of an interface is needed for it, which only a kernel knows.
            None => Place::Skipped,
        },
        (Place::Names, Token::Word(word)) => {
            sink(*address, word.strip_suffix('.').unwrap_or(word));
            Place::Names
        }
        (Place::Skipped, Token::Word(_)) => Place::Skipped,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    extern crate std;

    fn read(parts: &[&[u8]]) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        let mut reader = Reader::new();
        let mut sink = |address: IpAddr, name: &str| seen.push((address.to_string(), name.to_string()));
        for part in parts {
            reader.feed(part, &mut sink);
        }
        reader.end(&mut sink);
        seen
    }

    /// Names come with the address of their line; comments, blank and malformed lines come to nothing, and where the
    /// bytes are cut changes nothing.
    #[test]
    fn names_with_addresses() {
        let file = b"# start\n127.0.0.1\tlocalhost  lo. # comment name\r\n\nnonsense a b\n\
            fe80::1%eth0 zone\n::1 six;x ; no\n10.0.0.300 bad\n10.0.0.1 \xff\xfe good\n10.0.0.2 last";
        let expected: Vec<(String, String)> = [
            ("127.0.0.1", "localhost"),
            ("127.0.0.1", "lo"),
            ("::1", "six;x"),
            ("10.0.0.1", ""),
            ("10.0.0.1", "good"),
            ("10.0.0.2", "last"),
        ]
        .map(|(address, name)| (address.to_string(), name.to_string()))
        .into();
        assert_eq!(read(&[file]), expected);
        let single: Vec<&[u8]> = file.chunks(1).collect();
        assert_eq!(read(&single), expected);
    }

    /// A line and a word of any length are read in the same memory, and what follows on the line is still found.
    #[test]
    fn long_lines() {
        let file = std::format!("10.0.0.1 {} {}name\n", "x".repeat(100_000), "y ".repeat(50_000));
        let names = read(&[file.as_bytes()]);
        assert_eq!(names.len(), 50_002);
        assert_eq!(names.first().unwrap().1, "");
        assert_eq!(names.last().unwrap().1, "name");
    }
}

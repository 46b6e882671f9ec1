//! The hash of all that a machine said and wished, and when it wanted to be called again, but for what steps of the wall clock
//! may change.
//!
//! Left out are the time of a log line, the time in a late line, the times of alerts, and lengths, which follow from these.
//! It tells two runs apart; it never tells what differs.

use std::borrow::Cow;

use super::{Wish, alert};

/// A hash in the making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash(u64);

impl Hash {
    /// Tells what it came to.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Folds a number in.
    pub const fn fold(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Folds bytes in, and how many they are.
    pub fn fold_bytes(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            self.fold(u64::from_le_bytes(*eight));
        }
        let last = rest.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        self.fold(last);
        self.fold(bytes.len() as u64);
    }

    /// Folds in what the machine wishes.
    pub fn fold_wish(&mut self, wish: &Wish) {
        let (kind, place, text): (u64, u64, &[u8]) = match wish {
            Wish::Open(connection, port, address, server) => {
                self.fold(u64::from(*port));
                self.fold_bytes(server.as_deref().unwrap_or_default().as_bytes());
                (1, connection.slot.into(), address.as_bytes())
            }
            Wish::Secure(connection, name) => (2, connection.slot.into(), name.as_bytes()),
            Wish::Write(connection, bytes) => {
                self.fold_text(&text_of(bytes));
                (3, connection.slot.into(), &[])
            }
            Wish::Close(connection) => (4, connection.slot.into(), &[]),
            Wish::Query(server, bytes) => (5, server.port().into(), bytes),
            Wish::File(file) => (6, *file as u64, &[]),
            Wish::Stat(place) => (7, u64::from(*place), &[]),
            Wish::Event(line) => {
                self.fold_text(line);
                (8, 0, &[])
            }
        };
        self.fold(kind);
        self.fold(place);
        self.fold_bytes(text);
    }

    /// Folds a text in, word by word.
    pub fn fold_text(&mut self, text: &str) {
        let mut after_until = 0_u8;
        for (part, _) in alert::times_apart(text) {
            for word in part.as_bytes().split(|byte| matches!(byte, b' ' | b'\r' | b'\n')) {
                let is_until = word == b"until";
                after_until = if is_until {
                    2
                } else {
                    after_until.saturating_sub(1)
                };
                let is_length = word.iter().all(u8::is_ascii_digit);
                if !word.starts_with(b"ts=") && (is_until || after_until == 0) && !is_length {
                    self.fold_bytes(word);
                }
            }
        }
    }
}

/// Tells bytes as a text, the quick way if they are one.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::Hash;

    fn hash(text: &str) -> u64 {
        let mut hash = Hash::default();
        hash.fold_text(text);
        hash.value()
    }

    /// What the wall clock shows changes nothing, and each other word does, as does their order.
    #[test]
    fn words_count_and_times_do_not() {
        let line = "ts=2026-01-02T03:04:05Z it fired until 03:04Z and 12 \"endsAt\":\"2026\" more";
        let later = "ts=2027-01-02T03:04:05Z it fired until 05:09Z and 345 \"endsAt\":\"2027\" more";
        assert_eq!(hash(line), hash(later));
        for (from, to) in [
            ("fired", "feared"),
            ("it fired", "fired it"),
            ("and", "an d"),
            (" more", ""),
        ] {
            assert_ne!(hash(line), hash(&line.replace(from, to)), "{from} -> {to}");
        }
    }
}

//! A container's id.

use core::fmt;

/// A container's id: 64 hex digits in text, 32 bytes here. It never changes, and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Id([u8; 32]);

impl Id {
    /// Wraps the 32 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hex digits of either case, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return None;
        };
        if pairs.len() != 32 {
            return None;
        }
        let mut bytes = [0_u8; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = (digit(*high)? << 4) | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// Writes the first 12 digits, what the engine's own command line shows.
    pub(super) fn short(self) -> heapless::String<12> {
        let mut text = heapless::String::new();
        for byte in self.0.iter().take(6) {
            let _ = fmt::write(&mut text, format_args!("{byte:02x}"));
        }
        text
    }
}

/// The 64 hex digits.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn an_id_reads_and_writes_back() {
        let text = "0123456789abcdef".repeat(4);
        let id = Id::parse(&text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.short().as_str(), "0123456789ab");
        assert_eq!(Id::parse(&text.to_uppercase()), Some(id));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        // It goes into a request's path: a slash or a space must never pass.
        let text = "0123456789abcdef".repeat(4);
        for bad in [
            "",
            "web",
            &text[1..],
            &text[2..],
            &(text.clone() + "0"),
            &(text.clone() + "00"),
            &text.replace('f', "/"),
            &text.replace('f', "g"),
        ] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }
}

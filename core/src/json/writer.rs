//! Writing JSON: strings escaped, straight into whatever takes text.
//!
//! It knows nothing of structure: who writes a document writes its brackets, commas and integers. There is nothing here
//! for doubles, as the standard library's float formatting keeps a path to a panic; what we tell is counted in whole units.
//! What is written here reads back as the same value. Tests: beside the code.

use core::fmt::{self, Write};

/// A text as a JSON string with its quotes (RFC 8259, 7): quotes, backslashes and control characters are escaped.
///
/// U+2028 and U+2029 are escaped too, so that a document can stand in a script.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\0'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => {
                    write!(f, "\\u{:04x}", u32::from(character))?;
                }
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};

    /// Whatever the text, what is written reads back as the same text.
    #[test]
    fn an_escaped_text_reads_back() {
        let every: String = (0..0x3000_u32)
            .chain(0x1_f000..0x1_f100)
            .filter_map(char::from_u32)
            .collect();
        for text in ["", "\"\\/", "a\u{0}b\u{1f}\u{7f}", "</script>\u{2028}", &every] {
            let written = Escaped(text).to_string();
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
            assert!(!written.contains(['\n', '\0', '\u{2028}']));
        }
        assert_eq!(Escaped("a\"b\n").to_string(), r#""a\"b\n""#);
    }
}

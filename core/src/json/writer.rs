//! Writing JSON: strings escaped, numbers as numbers, straight into whatever takes text.
//!
//! It knows nothing of structure: who writes a document writes its brackets and commas.
//! What is written here reads back as the same value. Tests: beside the code; fuzz target `json`.

use core::fmt::{self, Write};

/// A text as a JSON string with its quotes (RFC 8259, 7): quotes, backslashes and control characters are escaped.
///
/// U+2028 and U+2029 are escaped too, so that a document can stand in a script.
#[derive(Clone, Copy, Debug)]
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

/// A double as a JSON number in its shortest form that reads back the same; `null` if it is not finite.
#[derive(Clone, Copy, Debug)]
pub struct Figure(pub f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() {
            write!(f, "{}", self.0)
        } else {
            f.write_str("null")
        }
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

    /// A figure reads back to the bit, and what is not finite is null, never a word that JSON does not know.
    #[test]
    fn a_figure_reads_back() {
        for value in [0.0, -0.0, 1.5, 0.1, 1e300, 5e-324, f64::MAX, -123.456] {
            let back: f64 = serde_json::from_str(&Figure(value).to_string()).unwrap();
            assert_eq!(back.to_bits(), value.to_bits());
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Figure(value).to_string(), "null");
        }
    }
}

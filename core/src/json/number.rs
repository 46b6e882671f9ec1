//! Numbers: the significant digits of one and its power of ten, and what they come to.
//!
//! A number may be of any length; digits past [`crate::limits::JSON_TOKEN_BYTES_MAX`] are dropped, and only whether any
//! of them was not zero is kept. That is all that rounding needs: no double, and no midpoint between two, has more
//! than 767 significant digits. Tests: beside the code, against `serde_json`.

use heapless::String;

use super::decimal::nearest_f64;
use crate::limits::JSON_TOKEN_BYTES_MAX;
use crate::text::{Hash, Subject};

/// A number, exact but for digits that no double can tell apart.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Number<'a> {
    /// Significant digits, without leading zeros; none for zero.
    digits: &'a str,
    /// The power of ten of the last digit.
    exponent: i64,
    negative: bool,
    /// Whether digits were dropped that were not all zero.
    inexact: bool,
}

/// Where a digit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In front of the point.
    Integer,
    /// Behind it.
    Fraction,
}

/// What is known of a number that is being read, besides its digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) negative: bool,
    pub(super) exponent_negative: bool,
    inexact: bool,
    /// The power of ten of the last kept digit, the written exponent left aside.
    point: i64,
    /// The written exponent without its sign.
    exponent: i64,
}

impl Scale {
    pub(super) const NEW: Self = Self {
        negative: false,
        exponent_negative: false,
        inexact: false,
        point: 0,
        exponent: 0,
    };

    /// Takes the next digit, `0` to `9`.
    pub(super) fn digit(&mut self, digits: &mut String<JSON_TOKEN_BYTES_MAX>, digit: u8, place: Place) {
        let leading_zero = digit == b'0' && digits.is_empty();
        let kept = leading_zero || digits.push(char::from(digit)).is_ok();
        self.inexact |= !kept && digit != b'0';
        match place {
            Place::Integer if !kept => self.point = self.point.saturating_add(1),
            Place::Fraction if kept => self.point = self.point.saturating_sub(1),
            _ => {}
        }
    }

    /// Takes the next digits, behind the first of the integer or of the fraction.
    pub(super) fn digits(&mut self, digits: &mut String<JSON_TOKEN_BYTES_MAX>, run: &[u8], place: Place) {
        // Behind a significant digit all are significant, so a run that fits is taken at once.
        let text = core::str::from_utf8(run).unwrap_or_default();
        if digits.is_empty() || digits.push_str(text).is_err() {
            run.iter().for_each(|digit| self.digit(digits, *digit, place));
        } else if place == Place::Fraction {
            let count = i64::try_from(run.len()).unwrap_or(i64::MAX);
            self.point = self.point.saturating_sub(count);
        }
    }

    /// Takes the next digit of the written exponent.
    pub(super) fn exponent_digit(&mut self, digit: u8) {
        let value = i64::from(digit.wrapping_sub(b'0'));
        self.exponent = self.exponent.saturating_mul(10).saturating_add(value);
    }

    /// Tells the number, now that all of it was read.
    pub(super) fn number<'a>(&self, digits: &'a str) -> Number<'a> {
        let written = if self.exponent_negative {
            self.exponent.saturating_neg()
        } else {
            self.exponent
        };
        Number {
            digits,
            exponent: self.point.saturating_add(written),
            negative: self.negative,
            inexact: self.inexact,
        }
    }
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Integers up to here are exact as doubles: 2^53.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

impl<'a> Number<'a> {
    /// Tells the nearest double (ties to even); none if the nearest is infinite, such as of `1e999`.
    ///
    /// Such a number is valid by the grammar; Python reads it as infinite, and what is not finite counts as missing.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        let magnitude = if self.digits.is_empty() {
            0.0
        } else {
            self.exact_f64()
                .or_else(|| nearest_f64(self.digits, self.exponent, self.inexact))?
        };
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// Tells the integer, if it is one (`1.0` and `1e3` are) and in range.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        let magnitude = self.integer_magnitude()?;
        if self.negative {
            0_i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        }
    }

    /// Tells the integer, if it is one (`1.0`, `1e3` and `-0` are), in range and not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.integer_magnitude()
            .filter(|magnitude| !self.negative || *magnitude == 0)
    }

    /// Makes a signal's subject of an integer of any length, as it is written without exponent; none for fractions
    /// and for what has more than a thousand zeros at its end.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        const ZEROS_MAX: i64 = 1000;
        let (digits, zeros) = self.significant();
        if digits.is_empty() {
            return Some(Subject::new("0"));
        }
        if !(0..=ZEROS_MAX).contains(&zeros) {
            return None;
        }
        let mut start = String::<{ crate::limits::SUBJECT_BYTES_MAX }>::new();
        let mut hash = Hash::EMPTY;
        let mut bytes = 0_u64;
        let sign = self.negative.then_some('-');
        let zeros = (0..zeros).map(|_| '0');
        for character in sign.into_iter().chain(digits.chars()).chain(zeros) {
            hash = hash.and(character.encode_utf8(&mut [0; 4]).as_bytes());
            bytes = bytes.saturating_add(1);
            // What no longer fits is in the hash.
            let _ = start.push(character);
        }
        Some(Subject::of_parts(&start, bytes, hash))
    }

    /// Tells the digits without zeros at their end, and the power of ten of the last one.
    fn significant(&self) -> (&'a str, i64) {
        let mut digits = self.digits;
        let mut exponent = self.exponent;
        while let Some(shorter) = digits.strip_suffix('0') {
            digits = shorter;
            exponent = exponent.saturating_add(1);
        }
        (digits, exponent)
    }

    /// Tells digits times ten to the `zeros`, if that fits.
    fn integer_magnitude(&self) -> Option<u64> {
        let (digits, zeros) = self.significant();
        if digits.is_empty() {
            return Some(0);
        }
        // 2^64 has 20 digits, so more zeros than that are out of range, and so is what dropped digits.
        if self.inexact || !(0..20).contains(&zeros) {
            return None;
        }
        (0..zeros).try_fold(value_of(digits)?, |value, _| value.checked_mul(10))
    }

    /// Tells the magnitude where one exact operation gives it: few digits and a small power of ten.
    fn exact_f64(&self) -> Option<f64> {
        let digits = value_of(self.digits).filter(|value| *value <= EXACT_INTEGER_MAX && !self.inexact)?;
        #[expect(clippy::cast_precision_loss, reason = "exact, as it is at most 2^53")]
        let digits = digits as f64;
        let power = EXACT_POWERS.get(usize::try_from(self.exponent.unsigned_abs()).ok()?)?;
        Some(if self.exponent < 0 {
            digits / power
        } else {
            digits * power
        })
    }
}

/// Tells the integer that up to 20 digits write; zero for none.
fn value_of(digits: &str) -> Option<u64> {
    if digits.len() > 20 {
        return None;
    }
    digits.bytes().try_fold(0_u64, |value, digit| {
        value
            .checked_mul(10)?
            .checked_add(u64::from(digit.wrapping_sub(b'0')))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use crate::json::{Event, Reader};
    use std::format;
    use std::string::{String, ToString};

    /// What the number in `text` comes to, as double, as both integers, and as a subject.
    fn read(text: &str) -> (Option<f64>, Option<i64>, Option<u64>, Option<String>) {
        let mut values = None;
        let mut sink = |event: Event<'_>| {
            let Event::Number(number) = event else {
                panic!("{text} is no number")
            };
            let subject = number.subject().map(|subject| subject.as_str().to_string());
            values = Some((number.as_f64(), number.as_i64(), number.as_u64(), subject));
        };
        let mut reader = Reader::new();
        reader.feed(text.as_bytes(), &mut sink).unwrap();
        reader.finish(&mut sink).unwrap();
        values.unwrap()
    }

    /// Doubles are rounded as Rust's own reader does, which is right for any length: here up to and beyond the kept
    /// digits, at midpoints, and at both ends of the range.
    #[test]
    fn doubles_are_correctly_rounded() {
        let half_way = "9007199254740993"; // 2^53 + 1, halfway between two doubles
        let long = |digits: usize| format!("0.{}1", "0".repeat(digits));
        let texts = [
            "0".to_string(),
            "-0".to_string(),
            "0.1".to_string(),
            "3.2".to_string(),
            "123456789012345678".to_string(),
            half_way.to_string(),
            format!("{half_way}.{}1", "0".repeat(2000)),
            format!("{half_way}{}1e-2001", "0".repeat(2000)),
            format!("{half_way}{}e-2001", "0".repeat(2001)),
            "9".repeat(300),
            "2.2250738585072011e-308".to_string(),
            "4.9e-324".to_string(),
            "2.4703282292062327208e-324".to_string(),
            "1e-400".to_string(),
            "1.7976931348623157e308".to_string(),
            "1.7976931348623158079e308".to_string(),
            "-1e22".to_string(),
            "1e23".to_string(),
            "0e999999999999999999999".to_string(),
            format!("{}e5000", long(5000)),
            format!("1{}e-1000", "0".repeat(1000)),
            long(10_000),
            "1e-99999999999999999999".to_string(),
        ];
        for text in texts {
            let expected: f64 = text.parse().unwrap();
            let (double, ..) = read(&text);
            assert_eq!(double.map(f64::to_bits), Some(expected.to_bits()), "{text}");
        }
    }

    /// The same for many numbers of every length and exponent, drawn from a fixed seed, and for the doubles' midpoints
    /// written in full, with a digit before, at and behind them.
    #[test]
    fn many_doubles_are_correctly_rounded() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut draw = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % bound
        };
        let check = |text: &str| {
            let expected: f64 = text.parse().unwrap();
            let expected = Some(expected).filter(|value| value.is_finite());
            assert_eq!(
                read(text).0.map(f64::to_bits),
                expected.map(f64::to_bits),
                "{text}"
            );
        };
        for round in 0..20_000 {
            let length = if round % 10 == 0 { draw(1200) } else { draw(25) };
            let digits: String = (0..length).map(|_| draw(10).to_string()).collect();
            let (raise, lower) = (draw(340), draw(360) + length / 2);
            check(&format!("{}{digits}e{raise}", 1 + draw(9)));
            check(&format!("{}{digits}e-{lower}", 1 + draw(9)));
            check(&format!("-0.{digits}{}", 1 + draw(9)));
        }
        for _ in 0..500 {
            let bits = draw(0x7fef_ffff_ffff_ffff);
            let (low, high) = (f64::from_bits(bits), f64::from_bits(bits + 1));
            check(&format!("{low:e}"));
            check(&format!("{low:.1100}"));
            if (1e-290..1e300).contains(&low) {
                // Half the gap is a power of two, so both texts are exact.
                let midpoint =
                    add_decimals(&format!("{low:.1100}"), &format!("{:.1100}", (high - low) / 2.0));
                check(&midpoint);
                check(&format!("{midpoint}1"));
                let significant = midpoint.trim_end_matches('0');
                let (start, last) = significant.split_at(significant.len() - 1);
                // The last character is a point where the midpoint is an integer.
                if let Ok(last) = last.parse::<u8>() {
                    check(&format!("{start}{}{}", last - 1, "9".repeat(60)));
                }
            }
        }
    }

    /// Adds two decimal texts with the same count of digits behind the point.
    fn add_decimals(left: &str, right: &str) -> String {
        let mut sum = std::vec::Vec::new();
        let (mut left, mut right) = (left.bytes().rev(), right.bytes().rev());
        let mut carry = 0;
        loop {
            let digits = (left.next(), right.next());
            let value = match digits {
                (None, None) if carry == 0 => break,
                (Some(b'.'), _) => {
                    sum.push('.');
                    continue;
                }
                (one, other) => {
                    carry + one.map_or(0, |digit| digit - b'0') + other.map_or(0, |digit| digit - b'0')
                }
            };
            sum.push(char::from(b'0' + value % 10));
            carry = value / 10;
        }
        sum.iter().rev().collect()
    }

    /// A number that no double reaches is valid and reads as none.
    #[test]
    fn what_is_beyond_every_double_is_not_finite() {
        for text in [
            "1e999",
            "-1e309",
            "1e99999999999999999999",
            "1.7976931348623159e308",
        ] {
            assert_eq!(read(text).0, None, "{text}");
        }
        assert_eq!(read(&"9".repeat(400)).0, None);
    }

    /// Integers are exact, however they are written; what is out of range or no integer is none.
    #[test]
    fn integers_are_exact() {
        for (text, signed, unsigned) in [
            ("0", Some(0), Some(0)),
            ("-0.0", Some(0), Some(0)),
            ("1.0", Some(1), Some(1)),
            ("1e3", Some(1000), Some(1000)),
            ("12.50e1", Some(125), Some(125)),
            ("-7", Some(-7), None),
            ("1.5", None, None),
            ("1e-1", None, None),
            ("9223372036854775807", Some(i64::MAX), Some(i64::MAX as u64)),
            ("9223372036854775808", None, Some(i64::MAX as u64 + 1)),
            ("-9223372036854775808", Some(i64::MIN), None),
            ("-9223372036854775809", None, None),
            ("18446744073709551615", None, Some(u64::MAX)),
            ("18446744073709551616", None, None),
            ("1e19", None, Some(10_000_000_000_000_000_000)),
            ("1e20", None, None),
            ("1e99999999999999999999", None, None),
        ] {
            let (_, as_signed, as_unsigned, _) = read(text);
            assert_eq!((as_signed, as_unsigned), (signed, unsigned), "{text}");
        }
        let long_one = format!("1.{}", "0".repeat(3000));
        assert_eq!(read(&long_one).2, Some(1));
        assert_eq!(read(&(long_one + "1")).2, None);
    }

    /// An integer names a subject as it is written in full, beyond 64 bits too; a fraction names none.
    #[test]
    fn an_integer_makes_a_subject() {
        use crate::text::Subject;
        for (text, subject) in [
            ("17", Some("17")),
            ("-17", Some("-17")),
            ("17.0", Some("17")),
            ("1.7e3", Some("1700")),
            ("0", Some("0")),
            (
                "123456789012345678901234567890",
                Some("123456789012345678901234567890"),
            ),
            ("1.5", None),
            ("1e99999", None),
        ] {
            assert_eq!(read(text).3.as_deref(), subject, "{text}");
        }
        let long = format!("1{}", "2".repeat(99));
        assert_eq!(read(&long).3.as_deref(), Some(Subject::new(&long).as_str()));
    }
}

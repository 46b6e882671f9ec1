//! The small values of the configuration: durations, counts, percentages, numbers, booleans, as text and back.
//!
//! Reading takes no sign, no white space and nothing that is out of range; what is read is shown again in one canonical
//! form, which reads back to the same value. No `str::parse` of floating point numbers: a path to a panic stays
//! alive in it. Limits: numbers of at most [`DIGITS_MAX`] digits, so that both conversions are exact.
//! Tests: beside the code.

use core::fmt;

use super::Percent;
use crate::time::Millis;

/// Digits of a number that count: every integer of so many digits, and its quotient by a power of ten, is one exact
/// operation away from the nearest double.
const DIGITS_MAX: usize = 15;
/// Digits of a percentage or a load: what single precision tells apart.
const SINGLE_DIGITS_MAX: usize = 6;
/// Greatest power of ten that a double holds exactly.
const EXPONENT_MAX: u32 = 22;

/// The first and the last duration that a variable takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) first: Millis,
    pub(crate) last: Millis,
}

impl Bounds {
    /// What CONTRACTS 2 allows where it says nothing else: 1s to 365d.
    pub(crate) const USUAL: Self = Self::millis(1000, 365 * 86_400_000);

    pub(crate) const fn millis(first: u64, last: u64) -> Self {
        Self {
            first: Millis::from_millis(first),
            last: Millis::from_millis(last),
        }
    }

    fn keep(self, span: Millis) -> Option<Millis> {
        (self.first <= span && span <= self.last).then_some(span)
    }
}

/// Splits a text around the first one of a character. `str` searches for a single character, given as such, by a way in which
/// a panic can not be shown to be out of reach; for one of several it looks at each, and so it does for one of one.
pub(crate) fn cut(text: &str, at: char) -> Option<(&str, &str)> {
    text.split_once([at])
}

/// Tells whether a text is `off`, in any case.
pub(crate) fn is_off(text: &str) -> bool {
    text.eq_ignore_ascii_case("off")
}

/// Reads `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off` in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if ["true", "1", "yes", "on"].into_iter().any(is) {
        Some(true)
    } else if ["false", "0", "no", "off"].into_iter().any(is) {
        Some(false)
    } else {
        None
    }
}

/// Reads digits and nothing else, without a sign.
pub(crate) fn digits(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| byte.saturating_sub(b'0'))?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Reads a whole number from `first` to `last`.
pub(crate) fn whole(text: &str, first: u64, last: u64) -> Option<u64> {
    digits(text).filter(|value| first <= *value && *value <= last)
}

/// Reads K: 1 to 1000 ticks.
pub(crate) fn ticks(text: &str) -> Option<u16> {
    whole(text, 1, 1000).and_then(|value| u16::try_from(value).ok())
}

/// Reads a duration within bounds: `500ms`, `15s`, `5m`, `2h`, `1d`; a bare number is seconds.
pub(crate) fn span(text: &str, bounds: Bounds) -> Option<Millis> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at_checked(end)?;
    let millis = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let total = digits(count)?.checked_mul(millis)?;
    bounds.keep(Millis::from_millis(total))
}

/// Reads a number without a sign: `4`, `0.25`.
pub(crate) fn number(text: &str) -> Option<f64> {
    decimal(text, DIGITS_MAX)
}

/// Reads a number without a sign that single precision holds: `1.5`.
pub(crate) fn single(text: &str) -> Option<f32> {
    decimal(text, SINGLE_DIGITS_MAX).map(nearest_single)
}

/// Reads `97` or `97%`, 0 to 100.
pub(crate) fn percent(text: &str) -> Option<Percent> {
    single(text.strip_suffix('%').unwrap_or(text))
        .filter(|value| *value <= 100.0)
        .map(Percent)
}

/// Reads a number as JSON writes it, with a sign and an exponent: `-1.5e3`.
pub(crate) fn json_number(text: &str) -> Option<f64> {
    let (unsigned, sign) = match text.strip_prefix('-') {
        Some(rest) => (rest, -1.0),
        None => (text, 1.0),
    };
    let (plain, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((plain, exponent)) => (plain, Some(exponent)),
        None => (unsigned, None),
    };
    let value = match exponent {
        None => number(plain)?,
        Some(exponent) => match exponent.strip_prefix('-') {
            Some(places) => scaled(plain, DIGITS_MAX, 0, whole(places, 0, u64::from(EXPONENT_MAX))?)?,
            None => {
                let places = exponent.strip_prefix('+').unwrap_or(exponent);
                scaled(plain, DIGITS_MAX, whole(places, 0, u64::from(EXPONENT_MAX))?, 0)?
            }
        },
    };
    Some(sign * value)
}

fn decimal(text: &str, digits_max: usize) -> Option<f64> {
    scaled(text, digits_max, 0, 0)
}

/// Reads `digits[.digits]` times ten to `up` or by ten to `down`: one rounding in all, so the result is the nearest
/// double. Tells nothing where it would take two.
fn scaled(text: &str, digits_max: usize, up: u64, down: u64) -> Option<f64> {
    let (before, after) = match cut(text, '.') {
        Some((before, after)) => {
            digits(after)?;
            (before, after)
        }
        None => (text, ""),
    };
    digits(before)?;
    let mut mantissa = 0_u64;
    let mut significant = 0_usize;
    for byte in before.bytes().chain(after.bytes()) {
        let digit = u64::from(byte.saturating_sub(b'0'));
        mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
        significant = significant.saturating_add(usize::from(mantissa > 0));
    }
    if significant > digits_max {
        return None;
    }
    let down = down.saturating_add(u64::try_from(after.len()).ok()?);
    let mantissa = exact(mantissa);
    if up >= down {
        Some(mantissa * power_of_ten(up.saturating_sub(down))?)
    } else {
        Some(mantissa / power_of_ten(down.saturating_sub(up))?)
    }
}

fn power_of_ten(exponent: u64) -> Option<f64> {
    let exponent = u32::try_from(exponent).ok().filter(|e| *e <= EXPONENT_MAX)?;
    Some((0..exponent).fold(1.0, |power, _| power * 10.0))
}

/// The value of an integer below 2^53, which a double holds exactly.
fn exact(value: u64) -> f64 {
    let high = u32::try_from(value >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to the nearest single is what is wanted; the values are below a million"
)]
fn nearest_single(value: f64) -> f32 {
    value as f32
}

/// A duration in canonical form: the largest unit that leaves no rest, `90s`, `1h`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub(crate) Millis);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (size, unit) in [
            (86_400_000_u64, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
        ] {
            if millis > 0 && millis.checked_rem(size) == Some(0) {
                return write!(f, "{}{unit}", millis.checked_div(size).unwrap_or(0));
            }
        }
        write!(f, "{millis}ms")
    }
}

/// A number that [`number`] read, with as few digits as tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shortest(pub(crate) f64);

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        emit_decimal(f, value, |back| back == value)
    }
}

/// A number that [`single`] read, with as few digits as tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortestSingle(pub(crate) f32);

impl fmt::Display for ShortestSingle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        emit_decimal(f, f64::from(value), |back| nearest_single(back) == value)
    }
}

/// Tries one more decimal place each time until the text would read back as the value. What was read has at most 15
/// digits, so scaling it errs by less than a quarter and rounding finds them again.
fn emit_decimal(f: &mut fmt::Formatter<'_>, value: f64, is_it: impl Fn(f64) -> bool) -> fmt::Result {
    let mut scale = 1.0_f64;
    let mut unit = 1_u64;
    let mut last = 0_u64;
    for places in 0..=18_usize {
        last = rounded(value * scale);
        if is_it(exact(last) / scale) {
            let front = last.checked_div(unit).unwrap_or(0);
            let rest = last.checked_rem(unit).unwrap_or(0);
            return match places {
                0 => write!(f, "{front}"),
                _ => write!(f, "{front}.{rest:0places$}"),
            };
        }
        scale *= 10.0;
        unit = unit.saturating_mul(10);
    }
    // Only a value that was never read comes here.
    write!(f, "{last}e-18")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the values are not negative, and the cast saturates"
)]
fn rounded(value: f64) -> u64 {
    (value + 0.5) as u64
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::string::ToString as _;

    #[test]
    fn durations_are_read_in_each_unit_and_shown_canonically() {
        // Each text must read as these milliseconds and be shown in the largest unit that leaves no rest.
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("1500ms", 1500, "1500ms"),
            ("15", 15_000, "15s"),
            ("15s", 15_000, "15s"),
            ("90s", 90_000, "90s"),
            ("60s", 60_000, "1m"),
            ("5m", 300_000, "5m"),
            ("2h", 7_200_000, "2h"),
            ("24h", 86_400_000, "1d"),
            ("1d", 86_400_000, "1d"),
            ("0015s", 15_000, "15s"),
        ] {
            let span = span(text, Bounds::millis(1, u64::MAX)).unwrap();
            assert_eq!(span.as_millis(), millis, "{text}");
            assert_eq!(Span(span).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_out_of_range_is_refused() {
        // Signs, fractions, spaces, unknown units and numbers past u64 are not in the grammar of CONTRACTS 2.
        for text in [
            "",
            "s",
            "-1s",
            "+1s",
            "1.5h",
            "15 s",
            " 15s",
            "15S",
            "15sec",
            "1w",
            "1m30s",
            "٣s",
            "ms",
            "18446744073709551616",
            "18446744073709551615d",
            "off",
            "1e3",
        ] {
            assert_eq!(span(text, Bounds::millis(0, u64::MAX)), None, "{text}");
        }
        // The bounds themselves are in, their neighbours out.
        let bounds = Bounds::millis(1000, 3_600_000);
        assert!(span("1s", bounds).is_some() && span("1h", bounds).is_some());
        assert!(span("999ms", bounds).is_none() && span("3600001ms", bounds).is_none());
    }

    #[test]
    fn booleans_take_eight_words_in_any_case() {
        for (text, value) in [
            ("true", Some(true)),
            ("FALSE", Some(false)),
            ("1", Some(true)),
            ("0", Some(false)),
            ("Yes", Some(true)),
            ("nO", Some(false)),
            ("ON", Some(true)),
            ("off", Some(false)),
            ("", None),
            ("2", None),
            ("truee", None),
            ("t", None),
        ] {
            assert_eq!(boolean(text), value, "{text}");
        }
    }

    #[test]
    fn counts_hold_their_range() {
        assert_eq!(ticks("1"), Some(1));
        assert_eq!(ticks("1000"), Some(1000));
        for text in ["0", "1001", "-1", "+1", "1.0", "", "99999999999999999999999"] {
            assert_eq!(ticks(text), None, "{text}");
        }
    }

    #[test]
    fn percentages_take_an_optional_sign_and_stay_within_100() {
        assert_eq!(percent("97"), Some(Percent(97.0)));
        assert_eq!(percent("97.5%"), Some(Percent(97.5)));
        assert_eq!(percent("0"), Some(Percent(0.0)));
        assert_eq!(percent("100%"), Some(Percent(100.0)));
        for text in [
            "100.1", "-1", "%", "97%%", "97 %", "nan", "inf", "1e1", ".5", "5.",
        ] {
            assert_eq!(percent(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_read_as_std_reads_them() {
        // The oracle is std's own conversion, over plain, fractional and signed texts with exponents.
        for text in [
            "0",
            "1",
            "0.01",
            "0.1",
            "0.3",
            "123456789.012345",
            "999999999999999",
            "0.000000000000001",
            "007.5",
        ] {
            assert_eq!(number(text), Some(text.parse().unwrap()), "{text}");
            assert_eq!(json_number(text), Some(text.parse().unwrap()), "{text}");
        }
        for text in [
            "-1", "-0.25", "1e3", "1E+3", "1.5e-3", "-2.25e10", "1e22", "1e-22",
        ] {
            assert_eq!(json_number(text), Some(text.parse().unwrap()), "{text}");
            assert_eq!(number(text), None, "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".1",
            "--1",
            "1e",
            "1e+",
            "1e23",
            "1234567890123456",
            "1,5",
            "NaN",
            "inf",
            "0x1",
            "1_0",
        ] {
            assert_eq!(json_number(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_shown_with_the_digits_that_tell_them() {
        for text in [
            "0",
            "1",
            "0.01",
            "0.1",
            "0.3",
            "2.675",
            "123456789.012345",
            "999999999999999",
            "0.000000000000001",
        ] {
            assert_eq!(Shortest(number(text).unwrap()).to_string(), text);
        }
        // Every percentage with two decimals comes back as it was written.
        for hundredths in 0..=10_000 {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let plain = text.trim_end_matches('0').trim_end_matches('.');
            assert_eq!(ShortestSingle(percent(&text).unwrap().0).to_string(), plain);
        }
    }
}

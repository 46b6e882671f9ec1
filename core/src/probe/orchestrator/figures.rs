//! Figures from the envelope as people read them, and seconds as spans.
//!
//! What a stranger wrote may be negative, huge or a tiny fraction: everything here saturates. Doubles are printed by way
//! of integers, so that no float formatting is needed. Tests: beside the code.

use core::fmt;

use crate::time::Millis;

/// From here on a double has no digits behind the point, and scaled ones would no longer fit.
const WHOLE_MAX: f64 = 1e15;

/// Tells the nearest integer; 0 for what is negative, the greatest for what is too great.
fn rounded(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "this cast saturates at both ends, and cutting off after adding a half is rounding"
    )]
    let whole = (value + 0.5) as u64;
    whole
}

/// Tells the span of so many seconds, to the millisecond; none for negative ones, the greatest for those too great.
pub(super) fn seconds(value: f64) -> Millis {
    Millis::from_millis(rounded(value * 1000.0))
}

/// A figure with as many decimals, up to three, as it has: `4`, `0.003`, `1.5`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain(pub(super) f64);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = sign_and_parts::<1000>(self.0, f)?;
        write!(f, "{whole}")?;
        match (thousandths % 10, thousandths / 10 % 10) {
            _ if thousandths == 0 => Ok(()),
            (0, 0) => write!(f, ".{}", thousandths / 100),
            (0, _) => write!(f, ".{:02}", thousandths / 10),
            _ => write!(f, ".{thousandths:03}"),
        }
    }
}

/// A sum of money, with its cents: `3.20`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Money(pub(super) f64);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, cents) = sign_and_parts::<100>(self.0, f)?;
        write!(f, "{whole}.{cents:02}")
    }
}

/// Writes the sign, or that the figure is over the greatest one shown, and tells the integer and the parts of `SCALE`.
fn sign_and_parts<const SCALE: u32>(
    value: f64,
    f: &mut fmt::Formatter<'_>,
) -> Result<(u64, u64), fmt::Error> {
    let scale = u64::from(SCALE);
    let magnitude = value.abs();
    let scaled = rounded(magnitude.min(WHOLE_MAX) * f64::from(SCALE));
    if value < 0.0 && scaled > 0 {
        f.write_str("-")?;
    }
    if magnitude > WHOLE_MAX {
        f.write_str("over ")?;
    }
    let whole = scaled.checked_div(scale).unwrap_or(0);
    let parts = scaled.checked_rem(scale).unwrap_or(0);
    Ok((whole, parts))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    /// Figures show the decimals that they have, to a bound, and never more digits than a person can read.
    #[test]
    fn figures_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (4.0, "4"),
            (1.5, "1.5"),
            (0.01, "0.01"),
            (0.003, "0.003"),
            (0.0004, "0"),
            (0.9996, "1"),
            (12.34, "12.34"),
            (-2.25, "-2.25"),
            (1e300, "over 1000000000000000"),
            (f64::MIN, "-over 1000000000000000"),
        ] {
            assert_eq!(Plain(value).to_string(), text, "{value}");
        }
        assert_eq!(Money(12.5).to_string(), "12.50");
        assert_eq!(Money(0.005).to_string(), "0.01");
        assert_eq!(Money(-3.0).to_string(), "-3.00");
    }

    /// Any double makes a span.
    #[test]
    fn seconds_saturate() {
        assert_eq!(seconds(312.5), Millis::from_millis(312_500));
        assert_eq!(seconds(-1.0), Millis::ZERO);
        assert_eq!(seconds(1e300), Millis::from_millis(u64::MAX));
        assert_eq!(seconds(f64::MIN), Millis::ZERO);
        assert_eq!(seconds(1e-300), Millis::ZERO);
    }
}

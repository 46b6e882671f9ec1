//! The nearest double to a decimal number of up to 800 digits, exactly, by long arithmetic.
//!
//! The standard library's reader does the same and faster, but keeps paths to a panic that a linker can see; this one has
//! none, and the common numbers do not come here ([`super::Number::as_f64`]). With the number as `digits * 10^exponent`,
//! the digits are written into a long binary integer, moved up so far that enough bits are left, and multiplied or
//! divided by the power of ten in small steps. What every division leaves over is remembered as one bit, so rounding sees
//! the whole number. Tests: those of `number.rs`.

use crate::limits::JSON_TOKEN_BYTES_MAX;

/// Words of 32 bits. Enough for the longest dividend, see the assertion.
const WORDS: usize = 128;
/// Numbers of 10^309 and above are beyond every double.
const MAGNITUDE_MAX: i64 = 309;
/// Numbers below 10^-324 round to zero: the smallest double's half is 2.47e-324.
const MAGNITUDE_MIN: i64 = -324;
/// What is left after the division must hold a double's 53 bits and more; a word of 64 is what is looked at.
const BITS_LEFT: usize = 66;

const _: () = {
    let digits = JSON_TOKEN_BYTES_MAX + 1;
    let divisor_exponent = digits + 325;
    // A digit is less than 3.34 bits, and the last word may be needed for its last bit alone.
    assert!(
        bits_above(divisor_exponent) + BITS_LEFT + bits_above(digits) - bits_below(digits) + 64 <= 32 * WORDS
    );
};

/// At least the bits of a number of so many digits.
const fn bits_above(digits: usize) -> usize {
    digits * 334 / 100 + 1
}

/// At most the bits of a number of so many significant digits.
const fn bits_below(digits: usize) -> usize {
    digits.saturating_sub(1) * 33 / 10
}

/// Tells the double nearest to `digits * 10^exponent`, ties to even; none if that is infinite.
///
/// `digits` begins with no zero and is at most [`JSON_TOKEN_BYTES_MAX`] long; `inexact` says that digits other than
/// zero follow it.
pub(super) fn nearest_f64(digits: &str, exponent: i64, inexact: bool) -> Option<f64> {
    let count = digits.len().min(JSON_TOKEN_BYTES_MAX);
    let magnitude = exponent.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
    if count == 0 || magnitude < MAGNITUDE_MIN {
        return Some(0.0);
    }
    if magnitude > MAGNITUDE_MAX {
        return None;
    }
    // Both are at most some 1200 now, so nothing below leaves its range.
    let power = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
    let raised = if exponent < 0 {
        (bits_above(power).saturating_add(BITS_LEFT))
            .saturating_sub(bits_below(count))
            .div_ceil(32)
    } else {
        0
    };
    let grown = if exponent < 0 { 0 } else { power };
    let used = bits_above(count.saturating_add(grown))
        .div_ceil(32)
        .saturating_add(raised)
        .saturating_add(1);
    let mut words = [0_u32; WORDS];
    let words = words.get_mut(..used)?;
    for chunk in digits.as_bytes().chunks(9) {
        let value = chunk.iter().fold(0, |value: u32, digit| {
            value
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit.wrapping_sub(b'0')))
        });
        multiply_add(words.get_mut(raised..)?, power_of_ten(chunk.len()), value);
    }
    let mut sticky = inexact;
    let mut rest = power;
    while rest > 0 {
        let step = rest.min(9);
        rest = rest.saturating_sub(step);
        if exponent < 0 {
            sticky |= divide(words, power_of_ten(step)) != 0;
        } else {
            multiply_add(words, power_of_ten(step), 0);
        }
    }
    round(words, raised, sticky)
}

/// Tells ten to the power of 0 to 9.
fn power_of_ten(power: usize) -> u32 {
    (0..power).fold(1_u32, |value, _| value.wrapping_mul(10))
}

/// Multiplies a long integer, lowest word first, and adds to it.
fn multiply_add(words: &mut [u32], factor: u32, add: u32) {
    let mut carry = add;
    for word in words {
        // At most (2^32 - 1)^2 + 2^32 - 1, which is below 2^64.
        let product = u64::from(*word)
            .wrapping_mul(u64::from(factor))
            .wrapping_add(u64::from(carry));
        *word = low_word(product);
        carry = low_word(product >> 32);
    }
}

/// Divides a long integer, lowest word first, and tells the remainder. A divisor of zero leaves it as it is.
fn divide(words: &mut [u32], divisor: u32) -> u32 {
    let mut remainder = 0_u32;
    for word in words.iter_mut().rev() {
        let dividend = (u64::from(remainder) << 32) | u64::from(*word);
        let quotient = dividend.checked_div(u64::from(divisor)).unwrap_or(dividend);
        // The remainder is below the divisor, so the quotient fits a word.
        *word = low_word(quotient);
        remainder = low_word(dividend.wrapping_sub(quotient.wrapping_mul(u64::from(divisor))));
    }
    remainder
}

fn low_word(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

/// Rounds a long integer that was moved up by `raised` words to a double; `sticky` says that it is a little more.
fn round(words: &[u32], raised: usize, sticky: bool) -> Option<f64> {
    // The highest 64 bits, moved so that the first is one, and whether anything below is.
    let mut significant = words
        .iter()
        .copied()
        .enumerate()
        .rev()
        .skip_while(|(_, word)| *word == 0);
    let Some((highest, first)) = significant.next() else {
        return Some(0.0);
    };
    let mut next = || significant.next().map_or(0, |(_, word)| u128::from(word));
    let three = (u128::from(first) << 64) | (next() << 32) | next();
    let below = significant.any(|(_, word)| word != 0);
    let length = 128_u32.saturating_sub(three.leading_zeros());
    let dropped = length.saturating_sub(64);
    let top = u64::try_from(three >> dropped).unwrap_or(u64::MAX);
    let sticky = sticky || below || (u128::from(top) << dropped) != three;
    // The power of two of the first bit.
    let place = i64::try_from(highest)
        .ok()?
        .saturating_sub(i64::try_from(raised).ok()?);
    let exponent = place
        .saturating_mul(32)
        .saturating_add(i64::from(31_u32.saturating_sub(first.leading_zeros())));
    assemble(top, sticky, exponent)
}

/// Makes a double of a mantissa whose highest bit stands for two to the power of `exponent`.
fn assemble(top: u64, sticky: bool, exponent: i64) -> Option<f64> {
    const EXPONENT_MIN: i64 = -1022;
    const EXPONENT_MAX: i64 = 1023;
    if exponent > EXPONENT_MAX {
        return None;
    }
    // Of 64 bits a double keeps 53, and fewer where its exponent can go no lower.
    let missing = EXPONENT_MIN.saturating_sub(exponent).max(0);
    let dropped = u32::try_from(missing).unwrap_or(u32::MAX).saturating_add(11);
    let kept = top.checked_shr(dropped).unwrap_or(0);
    let rest = u128::from(top).saturating_sub(u128::from(kept) << dropped.min(64));
    let middle = 1_u128.checked_shl(dropped.saturating_sub(1)).unwrap_or(u128::MAX);
    let up = rest > middle || (rest == middle && (sticky || kept & 1 == 1));
    let mantissa = kept.saturating_add(u64::from(up));
    // The hidden bit of a normal number counts one to the exponent's field, and so does a carry out of the mantissa.
    let field = u64::try_from(exponent.saturating_sub(EXPONENT_MIN)).unwrap_or(0);
    let bits = (field << 52).saturating_add(mantissa);
    Some(f64::from_bits(bits)).filter(|value| value.is_finite())
}

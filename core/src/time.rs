//! Time as the machine knows it: monotonic milliseconds, spans, and calendar text.
//!
//! Every decision uses [`Instant`]; [`Utc`] is for people's eyes, for the envelope's
//! `generated_at` and for the validity of certificates alone. Nothing here reads a clock.
//! Tests: beside the code; `tests/` compares the calendar with `jiff`.

use core::fmt;

/// A point in monotonic time: milliseconds since some start that never changes in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The start of time.
    pub const ZERO: Self = Self(0);

    /// Makes an instant from milliseconds since the start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Tells the milliseconds since the start.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Tells how long after `earlier` this is; zero if it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// Tells the instant `span` later; stops at the end of time.
    #[must_use]
    pub const fn after(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Millis(u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Makes a span of milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Makes a span of seconds; stops at the greatest span.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Tells the milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Tells the whole seconds, the rest cut off.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Tells the sum; stops at the greatest span.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Tells the span `factor` times; stops at the greatest span.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

/// As people say it: the two largest units that are not zero, `45s`, `12m 30s`, `4h`, `2d 3h`; under a second `350ms`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        if self.0 < 1000 {
            return if self.0 == 0 {
                f.write_str("0s")
            } else {
                write!(f, "{}ms", self.0)
            };
        }
        let mut rest = self.as_secs();
        let mut printed = 0;
        for (seconds, unit) in UNITS {
            let count = rest.checked_div(seconds).unwrap_or(0);
            rest = rest.checked_rem(seconds).unwrap_or(0);
            if count == 0 {
                // The second unit stands right below the first or is left out: `1d`, not `1d 5s`.
                if printed > 0 {
                    break;
                }
                continue;
            }
            if printed > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{count}{unit}")?;
            printed += 1;
            if printed == 2 {
                break;
            }
        }
        Ok(())
    }
}

const SECONDS_A_DAY: i64 = 86_400;

/// A point in civil time: seconds since 1970-01-01T00:00:00Z and nanoseconds within the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Utc {
    seconds: i64,
    nanos: u32,
}

impl Utc {
    /// The years that calendar text can say, 0000 to 9999, as seconds.
    const SECONDS_MIN: i64 = -62_167_219_200;
    const SECONDS_MAX: i64 = 253_402_300_799;

    /// Makes a point in civil time; years outside 0000 to 9999 become the nearest that is inside.
    #[must_use]
    pub const fn new(seconds: i64, nanos: u32) -> Self {
        let seconds = if seconds < Self::SECONDS_MIN {
            Self::SECONDS_MIN
        } else if seconds > Self::SECONDS_MAX {
            Self::SECONDS_MAX
        } else {
            seconds
        };
        Self {
            seconds,
            nanos: if nanos > 999_999_999 { 999_999_999 } else { nanos },
        }
    }

    /// Tells the seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Tells the nanoseconds within the second, 0 to 999,999,999.
    #[must_use]
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// Tells how many nanoseconds this is after `earlier` (negative: before it).
    #[must_use]
    pub fn nanos_since(self, earlier: Self) -> i128 {
        let seconds = i128::from(self.seconds).saturating_sub(i128::from(earlier.seconds));
        let nanos = i128::from(self.nanos).saturating_sub(i128::from(earlier.nanos));
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    }

    /// Tells the point `span` later.
    #[must_use]
    pub fn after(self, span: Millis) -> Self {
        let millis = span.as_millis();
        let nanos = u64::from(self.nanos).saturating_add((millis % 1000).saturating_mul(1_000_000));
        let carry = i64::try_from(millis / 1000)
            .unwrap_or(i64::MAX)
            .saturating_add(i64::from(nanos >= 1_000_000_000));
        Self::new(
            self.seconds.saturating_add(carry),
            u32::try_from(nanos.checked_rem(1_000_000_000).unwrap_or(0)).unwrap_or(0),
        )
    }

    /// Tells the point `span` earlier, whole milliseconds.
    #[must_use]
    pub fn before(self, span: Millis) -> Self {
        let millis = i128::from(self.seconds)
            .saturating_mul(1000)
            .saturating_add(i128::from(self.nanos / 1_000_000))
            .saturating_sub(i128::from(span.as_millis()));
        let seconds = i64::try_from(millis.div_euclid(1000)).unwrap_or(i64::MIN);
        let nanos = u32::try_from(millis.rem_euclid(1000))
            .unwrap_or(0)
            .saturating_mul(1_000_000);
        Self::new(seconds, nanos)
    }

    /// Tells year, month (1 to 12) and day (1 to 31).
    ///
    /// Days are counted from 0000-03-01, so that the leap day is the last of its year
    /// (the proleptic Gregorian calendar of RFC 3339).
    #[must_use]
    pub fn date(self) -> (i64, u8, u8) {
        let days = self.seconds.div_euclid(SECONDS_A_DAY).saturating_add(719_468);
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        (
            year,
            u8::try_from(month).unwrap_or(1),
            u8::try_from(day).unwrap_or(1),
        )
    }

    /// Tells hour, minute and second of the day.
    #[must_use]
    pub fn time_of_day(self) -> (u8, u8, u8) {
        let second = self.seconds.rem_euclid(SECONDS_A_DAY);
        let part = |value: i64| u8::try_from(value).unwrap_or(0);
        (part(second / 3600), part(second / 60 % 60), part(second % 60))
    }

    /// Reads RFC 3339: any fraction, `Z` or an offset, `T` or a space, either case; a leap second reads as
    /// the second before it.
    ///
    /// Digits of the fraction past the ninth are cut off.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let mut digits = Digits(text.as_bytes());
        let year = digits.number(4)?;
        digits.literal(b"-")?;
        let month = digits.number(2)?;
        digits.literal(b"-")?;
        let day = digits.number(2)?;
        digits.literal(b"Tt ")?;
        let hour = digits.number(2)?;
        digits.literal(b":")?;
        let minute = digits.number(2)?;
        digits.literal(b":")?;
        let second = digits.number(2)?;
        let nanos = digits.fraction()?;
        let offset = digits.offset()?;
        if !digits.0.is_empty()
            || day < 1
            || day > days_of_month(year, month)?
            || hour > 23
            || minute > 59
            || second > 60
        {
            return None;
        }
        let days = days_since_1970(year, month, day);
        let seconds = days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second.min(59) - offset;
        (Self::SECONDS_MIN..=Self::SECONDS_MAX)
            .contains(&seconds)
            .then_some(Self { seconds, nanos })
    }
}

/// RFC 3339 in UTC with whole seconds: `2026-01-02T03:04:05Z`. Each line of the log has one, and `write!` takes six times as long.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let (hour, minute, second) = self.time_of_day();
        let [century, year] = [year / 100, year % 100].map(|part| u8::try_from(part).unwrap_or(0));
        let [[a, b], [c, d]] = [century, year].map(two_digits);
        let [[e, g], [h, i]] = [month, day].map(two_digits);
        let [[j, k], [l, m], [n, o]] = [hour, minute, second].map(two_digits);
        let text = [
            a, b, c, d, b'-', e, g, b'-', h, i, b'T', j, k, b':', l, m, b':', n, o, b'Z',
        ];
        f.write_str(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Tells the digits of a number below 100.
const fn two_digits(number: u8) -> [u8; 2] {
    [b'0' | (number / 10 % 10), b'0' | (number % 10)]
}

/// What is left of a text that is read from the front.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn number(&mut self, count: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        head.iter().try_fold(0_i64, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
        })
    }

    fn literal(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        allowed.contains(first).then_some(*first)
    }

    /// An optional `.` with at least one digit, as nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        let Some((b'.', rest)) = self.0.split_first() else {
            return Some(0);
        };
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at_checked(count).filter(|_| count > 0)?;
        self.0 = rest;
        let mut nanos = 0_u32;
        for place in 0..9 {
            let digit = digits.get(place).map_or(0, |byte| u32::from(byte - b'0'));
            nanos = nanos.saturating_mul(10).saturating_add(digit);
        }
        Some(nanos)
    }

    /// `Z` or `+hh:mm`, as seconds east of Greenwich.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.literal(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.number(2)?;
        self.literal(b":")?;
        let minutes = self.number(2)?;
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

fn days_of_month(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn spans_read_as_people_say_them() {
        let said = |millis| Millis::from_millis(millis).to_string();
        assert_eq!(said(0), "0s");
        assert_eq!(said(350), "350ms");
        assert_eq!(said(45_000), "45s");
        assert_eq!(said(750_000), "12m 30s");
        assert_eq!(said(4 * 3_600_000), "4h");
        assert_eq!(said(86_405_000), "1d");
        assert_eq!(said(51 * 3_600_000), "2d 3h");
    }

    #[test]
    fn calendar_text_reads_back() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2026-01-02T03:04:05Z",
            "2000-02-29T23:59:59Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T19:58:57Z",
        ] {
            assert_eq!(Utc::parse_rfc3339(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn fractions_and_offsets_are_honoured() {
        let plain = Utc::parse_rfc3339("2026-01-02T03:04:05Z").unwrap();
        let fine = Utc::parse_rfc3339("2026-01-02T05:34:05.123456789123+02:30").unwrap();
        assert_eq!(fine.nanos_since(plain), 123_456_789);
        assert_eq!(Utc::parse_rfc3339("2026-01-02t03:04:05z"), Some(plain));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-01-02",
            "2026-13-02T03:04:05Z",
            "2026-02-29T03:04:05Z",
            "2026-01-02T24:04:05Z",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05+2:00",
            "2026-01-02T03:04:05Zx",
        ] {
            assert_eq!(Utc::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn spans_move_civil_time_both_ways() {
        let base = Utc::parse_rfc3339("2026-01-02T03:04:05.900Z").unwrap();
        let later = base.after(Millis::from_millis(1_200));
        assert_eq!(later.nanos_since(base), 1_200_000_000);
        assert_eq!(later.before(Millis::from_millis(1_200)), base);
    }
}

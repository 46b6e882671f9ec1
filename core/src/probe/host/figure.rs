//! Figures of the host as exact integers: shares, limits and sizes, how they compare and how they are shown.
//!
//! Hundredths everywhere: the kernel prints its loads and pressures with two decimals, a limit has no more that
//! matter, and integers compare without surprises. What is shown is rounded towards zero, so that a line never reads
//! `97% used (limit 97%)` of a signal that is clear. Never panics. Tests: beside the code.

use core::fmt;

/// A number in hundredths: of a percent, or of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hundredths(pub(super) u32);

/// How far below its limit a percentage must fall to be clear again, and how far above it for a minimum
/// (CONTRACTS 4): 2 points, for a disk that is written to moves by less than that between two ticks.
const GAP: u32 = 200;
/// All of it.
const WHOLE: u32 = 10_000;

/// What a figure says of its signal. Whether a figure between the two thresholds is active depends on whether the
/// signal is firing, which only the table knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is wrong.
    Clear,
    /// Not bad enough to fire, and too bad to be clear if it is firing.
    Between,
    /// The limit is reached.
    Active,
    /// It cannot be told.
    Unknown,
}

impl Hundredths {
    /// Reads a limit of the configuration.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float saturates, and makes 0 of what is no number"
    )]
    pub(super) fn of_limit(limit: f32) -> Self {
        Self((limit * 100.0 + 0.5) as u32)
    }

    /// Tells how many percent `part` is of `whole`; none if that makes no sense: of nothing, or more than all.
    pub(super) fn share(part: u64, whole: u64) -> Option<Self> {
        if part > whole {
            return None;
        }
        let share = u128::from(part)
            .saturating_mul(u128::from(WHOLE))
            .checked_div(u128::from(whole))?;
        u32::try_from(share).ok().map(Self)
    }

    /// Tells this divided by `count`; none by 0.
    pub(super) fn each(self, count: u32) -> Option<Self> {
        self.0.checked_div(count).map(Self)
    }

    /// Tells the same with one decimal: what more of a measured percentage would say is noise.
    pub(super) const fn coarse(self) -> Self {
        Self(self.0 / 10 * 10)
    }

    /// Tells what is missing to all of it: how bad it is to have so little.
    pub(super) const fn shortfall(self) -> Self {
        Self(WHOLE.saturating_sub(self.0))
    }

    /// Judges a percentage with an upper limit. Reaching the limit is active; having nothing at all never is, so that
    /// a limit of 0 asks for any use, not for none.
    pub(super) fn against_ceiling(self, limit: Self) -> Verdict {
        match self.against_limit(limit) {
            Verdict::Clear if self.0 > limit.0.saturating_sub(GAP) => Verdict::Between,
            verdict => verdict,
        }
    }

    /// Judges a percentage with a lower limit: below it is active.
    pub(super) fn against_floor(self, limit: Self) -> Verdict {
        if self < limit {
            Verdict::Active
        } else if self.0 < limit.0.saturating_add(GAP).min(WHOLE) {
            Verdict::Between
        } else {
            Verdict::Clear
        }
    }

    /// Judges what is no percentage and has one threshold: a load.
    pub(super) fn against_limit(self, limit: Self) -> Verdict {
        if self >= limit && self.0 > 0 {
            Verdict::Active
        } else {
            Verdict::Clear
        }
    }
}

/// With as many decimals as it has, at most two: `5`, `3.1`, `0.75`.
impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        if rest == 0 {
            write!(f, "{whole}")
        } else if rest % 10 == 0 {
            write!(f, "{whole}.{}", rest / 10)
        } else {
            write!(f, "{whole}.{rest:02}")
        }
    }
}

/// A size in KiB, shown in the largest unit of which there is one: `15.6 GiB`.
#[derive(Clone, Copy, Debug)]
pub(super) struct KiB(pub(super) u64);

impl fmt::Display for KiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 3] = [(30, "TiB"), (20, "GiB"), (10, "MiB")];
        for (shift, unit) in UNITS {
            if self.0.checked_shr(shift).unwrap_or(0) > 0 {
                let tenths = u128::from(self.0)
                    .saturating_mul(10)
                    .checked_shr(shift)
                    .unwrap_or(0);
                let tenths = u64::try_from(tenths).unwrap_or(u64::MAX);
                return match tenths % 10 {
                    0 => write!(f, "{} {unit}", tenths / 10),
                    rest => write!(f, "{}.{rest} {unit}", tenths / 10),
                };
            }
        }
        write!(f, "{} KiB", self.0)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_share_is_exact_and_makes_no_sense_of_nothing_or_of_more_than_all() {
        assert_eq!(Hundredths::share(97, 100), Some(Hundredths(9_700)));
        assert_eq!(Hundredths::share(u64::MAX, u64::MAX), Some(Hundredths(WHOLE)));
        assert_eq!(Hundredths::share(u64::MAX - 1, u64::MAX), Some(Hundredths(9_999)));
        assert_eq!(Hundredths::share(0, 1), Some(Hundredths(0)));
        assert_eq!(Hundredths::share(0, 0), None);
        assert_eq!(Hundredths::share(2, 1), None);
    }

    #[test]
    fn a_limit_of_the_configuration_is_read_to_its_hundredth() {
        for (limit, hundredths) in [
            (97.0, 9_700),
            (97.3, 9_730),
            (0.01, 1),
            (0.0, 0),
            (100.0, 10_000),
            (1.72, 172),
        ] {
            assert_eq!(Hundredths::of_limit(limit), Hundredths(hundredths));
        }
        for nonsense in [f32::NAN, -1.0, f32::NEG_INFINITY] {
            assert_eq!(Hundredths::of_limit(nonsense), Hundredths(0));
        }
        assert_eq!(Hundredths::of_limit(f32::INFINITY), Hundredths(u32::MAX));
    }

    #[test]
    fn a_ceiling_has_a_second_threshold_two_points_lower() {
        let limit = Hundredths(9_700);
        for (value, verdict) in [
            (10_000, Verdict::Active),
            (9_700, Verdict::Active),
            (9_699, Verdict::Between),
            (9_501, Verdict::Between),
            (9_500, Verdict::Clear),
            (0, Verdict::Clear),
        ] {
            assert_eq!(Hundredths(value).against_ceiling(limit), verdict, "{value}");
        }
    }

    /// At the ends of the scale a signal must still be able to fire and to clear.
    #[test]
    fn limits_at_the_ends_can_fire_and_clear() {
        assert_eq!(Hundredths(0).against_ceiling(Hundredths(0)), Verdict::Clear);
        assert_eq!(Hundredths(1).against_ceiling(Hundredths(0)), Verdict::Active);
        assert_eq!(Hundredths(0).against_ceiling(Hundredths(100)), Verdict::Clear);
        assert_eq!(
            Hundredths(WHOLE).against_ceiling(Hundredths(WHOLE)),
            Verdict::Active
        );
        assert_eq!(Hundredths(WHOLE).against_floor(Hundredths(9_900)), Verdict::Clear);
        assert_eq!(Hundredths(0).against_floor(Hundredths(1)), Verdict::Active);
    }

    #[test]
    fn a_floor_has_a_second_threshold_two_points_higher() {
        let limit = Hundredths(500);
        for (value, verdict) in [
            (499, Verdict::Active),
            (500, Verdict::Between),
            (699, Verdict::Between),
            (700, Verdict::Clear),
        ] {
            assert_eq!(Hundredths(value).against_floor(limit), verdict, "{value}");
        }
    }

    #[test]
    fn numbers_and_sizes_read_as_people_write_them() {
        assert_eq!(Hundredths(500).to_string(), "5");
        assert_eq!(Hundredths(314).to_string(), "3.14");
        assert_eq!(Hundredths(314).coarse().to_string(), "3.1");
        assert_eq!(Hundredths(305).to_string(), "3.05");
        assert_eq!(Hundredths(9_696).coarse().to_string(), "96.9");
        assert_eq!(KiB(16_384_000).to_string(), "15.6 GiB");
        assert_eq!(KiB(2 * 1024 * 1024).to_string(), "2 GiB");
        assert_eq!(KiB(1_023).to_string(), "1023 KiB");
        assert_eq!(KiB(1_536).to_string(), "1.5 MiB");
        assert_eq!(KiB(u64::MAX).to_string(), "17179869183.9 TiB");
    }
}

//! The list's `Status` text: `Up 5 seconds (health: starting)`, `Exited (137) 2 minutes ago`.
//!
//! It is written for people, and is all that an engine before API 1.52 says of health, and all that any says of exit
//! code and age without being asked for each container.

use super::exit::ExitCode;
use super::state::Health;

/// What a `Status` text says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// The health in its parentheses.
    pub(super) health: Health,
    /// The exit code in its parentheses.
    pub(super) code: Option<ExitCode>,
    /// Seconds since it started or ended: at least so many, for the text counts in ever larger units.
    pub(super) age_s: Option<u64>,
}

impl Status {
    /// Nothing is said.
    pub(super) const NOT: Self = Self {
        health: Health::None,
        code: None,
        age_s: None,
    };

    /// Reads the text; what is not understood is not said.
    pub(super) fn of(text: &str) -> Self {
        let (first, rest) = cut(text, b' ').unwrap_or((text, ""));
        match first {
            "Up" => Self {
                health: health(rest),
                code: None,
                age_s: age(rest),
            },
            "Exited" | "Restarting" => {
                let (code, rest) = code(rest);
                Self {
                    health: Health::None,
                    code,
                    age_s: age(rest),
                }
            }
            _ => Self::default(),
        }
    }
}

/// Cuts a text at the first `at`. The standard library's own has a path to a panic that the compiler does not see
/// through; this one has none.
fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == at)?;
    let (before, rest) = text.split_at_checked(place)?;
    Some((before, rest.get(1..)?))
}

/// The health in the last parentheses, if that is what stands in them.
fn health(rest: &str) -> Health {
    let mut inside = rest;
    while let Some((_, behind)) = cut(inside, b'(') {
        inside = behind;
    }
    let Some((word, "")) = cut(inside, b')') else {
        return Health::None;
    };
    Health::of(word.strip_prefix("health: ").unwrap_or(word))
}

fn code(rest: &str) -> (Option<ExitCode>, &str) {
    let Some((inside, behind)) = rest.strip_prefix('(').and_then(|rest| cut(rest, b')')) else {
        return (None, rest);
    };
    (inside.parse().ok().map(ExitCode), behind.trim_start())
}

/// The engine's own rounding: `Less than a second`, `About a minute`, `About an hour`, `5 seconds`, `3 weeks`.
fn age(rest: &str) -> Option<u64> {
    let (first, rest) = cut(rest, b' ')?;
    let (count, unit) = match first {
        "Less" => return Some(0),
        // `a` or `an` stands between.
        "About" => (1, cut(rest, b' ')?.1),
        number => (number.parse().ok()?, rest),
    };
    let seconds = [
        ("second", 1_u64),
        ("minute", 60),
        ("hour", 3_600),
        ("day", 86_400),
        ("week", 7 * 86_400),
        ("month", 30 * 86_400),
        ("year", 365 * 86_400),
    ]
    .into_iter()
    .find_map(|(name, seconds)| unit.starts_with(name).then_some(seconds))?;
    Some(seconds.saturating_mul(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(health: Health, code: Option<i64>, age_s: Option<u64>) -> Status {
        Status {
            health,
            code: code.map(ExitCode),
            age_s,
        }
    }

    #[test]
    fn what_engines_write_is_read() {
        // Texts as daemon versions from 20.10 to 29 write them.
        for (text, expected) in [
            (
                "Up 4 days (healthy)",
                status(Health::Healthy, None, Some(4 * 86_400)),
            ),
            (
                "Up 5 seconds (health: starting)",
                status(Health::Starting, None, Some(5)),
            ),
            (
                "Up 2 hours (unhealthy)",
                status(Health::Unhealthy, None, Some(7_200)),
            ),
            ("Up 3 hours (Paused)", status(Health::None, None, Some(10_800))),
            ("Up Less than a second", status(Health::None, None, Some(0))),
            ("Up About a minute", status(Health::None, None, Some(60))),
            (
                "Up About an hour (healthy)",
                status(Health::Healthy, None, Some(3_600)),
            ),
            (
                "Restarting (1) 3 seconds ago",
                status(Health::None, Some(1), Some(3)),
            ),
            (
                "Restarting (137) Less than a second ago",
                status(Health::None, Some(137), Some(0)),
            ),
            (
                "Exited (137) 2 minutes ago",
                status(Health::None, Some(137), Some(120)),
            ),
            (
                "Exited (0) About an hour ago",
                status(Health::None, Some(0), Some(3_600)),
            ),
            (
                "Exited (-1) 3 weeks ago",
                status(Health::None, Some(-1), Some(3 * 604_800)),
            ),
            ("Created", status(Health::None, None, None)),
            ("Dead", status(Health::None, None, None)),
            ("Removal In Progress", status(Health::None, None, None)),
        ] {
            assert_eq!(Status::of(text), expected, "{text}");
        }
    }

    #[test]
    fn odd_texts_say_nothing() {
        for text in [
            "",
            " ",
            "Up",
            "Up ",
            "Exited",
            "Exited (",
            "Exited (x",
            "up 3 seconds",
            "\u{0}",
        ] {
            assert_eq!(Status::of(text), Status::default(), "{text:?}");
        }
        assert_eq!(
            Status::of("Exited (99999999999999999999) 1 second ago").code,
            None
        );
        assert_eq!(Status::of("Up 99999999999999999999 years").age_s, None);
        assert_eq!(Status::of("Up 18446744073709551615 years").age_s, Some(u64::MAX));
        assert_eq!(Status::of("Up 5 fortnights (odd)"), Status::default());
    }
}

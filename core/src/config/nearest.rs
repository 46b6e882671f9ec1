//! The known name nearest to an unknown one, for people who slipped.
//!
//! Edit distance (Levenshtein) in one row of fixed length. Limits: names of [`NAME_BYTES_MAX`] bytes behind `WATCHDOG_`;
//! a name of which half would have to be changed is near nothing. Tests: beside the code.

use super::variables::{FILE_SUFFIX, PREFIX, VARIABLES};

/// Bytes of a name that are compared; the longest known one has 33.
const NAME_BYTES_MAX: usize = 64;
/// What stands in for the part of a family's name that is free.
const FREE_PART: &str = "<NAME>";

/// Tells the known name nearest to `unknown`, unless none is near.
pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
    let name = unknown.strip_prefix(PREFIX)?;
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let plain = name.strip_suffix(FILE_SUFFIX);
    let known = VARIABLES
        .iter()
        .flat_map(|variable| [Some(variable.name()), variable.twin()])
        .flatten();
    known
        .filter_map(|candidate| {
            let body = candidate.strip_prefix(PREFIX)?;
            let distance = match body.strip_suffix(FREE_PART) {
                Some(family) => family_distance(name, family),
                // One that has no twin is what was meant by its twin.
                None if plain == Some(body) => 1,
                None => distance(name, body),
            };
            (distance <= name.len() / 2).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The distance of a family's fixed part to the start of a name, one more so that a whole name as near is preferred.
/// A letter too many or too few, or another one, is near; more is not.
fn family_distance(name: &str, family: &str) -> usize {
    let lengths = family.len().saturating_sub(1)..=family.len().saturating_add(1);
    lengths
        .filter_map(|length| name.split_at_checked(length))
        .map(|(start, _)| distance(start, family))
        .filter(|distance| *distance <= 1)
        .min()
        .map_or(usize::MAX, |distance| distance.saturating_add(1))
}

/// Counts the bytes to insert, remove or replace to make one text of the other; `to` has at most [`NAME_BYTES_MAX`] bytes.
fn distance(from: &str, to: &str) -> usize {
    let mut row = [0_usize; NAME_BYTES_MAX];
    for (cell, start) in row.iter_mut().zip(1..=NAME_BYTES_MAX) {
        *cell = start;
    }
    let mut result = to.len();
    for (byte, removed) in from.bytes().zip(0..from.len()) {
        let mut diagonal = removed;
        let mut left = removed.saturating_add(1);
        for (cell, other) in row.iter_mut().zip(to.bytes()) {
            let changed = if byte == other {
                diagonal
            } else {
                diagonal.min(*cell).min(left).saturating_add(1)
            };
            diagonal = *cell;
            *cell = changed;
            left = changed;
        }
        result = left;
    }
    result
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn the_distance_is_levenshteins() {
        for (from, to, changes) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("INTERVL", "INTERVAL", 1),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(from, to), changes, "{from} {to}");
            assert_eq!(distance(to, from), changes, "{to} {from}");
        }
    }

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_none() {
        for (unknown, known) in [
            ("WATCHDOG_INTERVL", Some("WATCHDOG_INTERVAL")),
            ("WATCHDOG_interval", None),
            ("WATCHDOG_TELEGRAM_CHATID", Some("WATCHDOG_TELEGRAM_CHAT_ID")),
            ("WATCHDOG_TELEGRAM_BOT_TOKEN", Some("WATCHDOG_TELEGRAM_TOKEN")),
            ("WATCHDOG_DISK_PATH", Some("WATCHDOG_DISK_PATHS")),
            ("WATCHDOG_INTERVAL_FILE", Some("WATCHDOG_INTERVAL")),
            (
                "WATCHDOG_TELEGRAM_TOKEN_FIL",
                Some("WATCHDOG_TELEGRAM_TOKEN_FILE"),
            ),
            ("WATCHDOG_DEPGITEA", Some("WATCHDOG_DEP_<NAME>")),
            ("WATCHDOG_DEP_", Some("WATCHDOG_DEP_<NAME>")),
            ("WATCHDOG_DEPS_GITEA", Some("WATCHDOG_DEP_<NAME>")),
            ("WATCHDOG_RULES_FAILED", Some("WATCHDOG_RULE_<NAME>")),
            ("WATCHDOG_RULEX", Some("WATCHDOG_RULE_<NAME>")),
            ("WATCHDOG_XYZZYQQQ", None),
            ("WATCHDOG_", None),
            ("WATCHDOG_ÄÖÜ", None),
            ("OTHER_INTERVAL", None),
        ] {
            assert_eq!(nearest(unknown), known, "{unknown}");
        }
    }

    #[test]
    fn long_and_odd_names_get_an_answer() {
        for unit in ["A", "é", "_", "\u{0}", "DEP", "日本"] {
            for count in 0..200 {
                let name = std::format!("WATCHDOG_{}", unit.repeat(count));
                let _ = nearest(&name);
            }
        }
    }
}

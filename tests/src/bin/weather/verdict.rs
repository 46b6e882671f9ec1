//! What was logged held against what was told, and both against what was wrong.
//!
//! It knows nothing of the machine but its log lines and its messages, as CONTRACTS 6 has them. Its tests: below.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use watchdog_tests::fake::telegram::Sent;
use watchdog_tests::harness::Line;

use crate::ledger::Ledger;
use crate::strikes::{Strikes, Timeliness};

/// How far a duration may be from the time between the lines of firing and resolved, on a busy machine. A wall clock that got
/// in would make it wrong by an hour.
const TOLERANCE: Duration = Duration::from_secs(20);

/// What came of it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Firings in the log.
    pub incidents: usize,
    /// Those that were told.
    pub told: usize,
    /// Beginnings or ends that were not told.
    pub lost: usize,
    /// Beginnings or ends that were told once more than they were.
    pub twice: usize,
    /// Firings that no fault explains.
    pub invented: Vec<String>,
    /// What the faults had to bring about, and whether it came and was told in time.
    pub timeliness: Timeliness,
    /// Durations that are not true.
    pub untrue: Vec<String>,
    /// Whether nothing fires any more.
    pub is_over: bool,
}

impl Verdict {
    /// Judges, knowing what befell.
    pub fn of(lines: &[Line], messages: &[Sent], strikes: &Strikes) -> Self {
        let firings = events(lines, "firing");
        let ledger = Ledger::of(messages);
        let signals: BTreeSet<&String> = firings.keys().chain(ledger.signals()).collect();
        let (mut told, mut lost, mut twice) = (0, 0, 0);
        for signal in signals {
            let count = firings.get(signal).copied().unwrap_or_default();
            let ((began, ended), again) = ledger.told(signal, count);
            told += began;
            lost += count.saturating_sub(began.min(ended));
            twice += again + began.max(ended).saturating_sub(count);
        }
        Self {
            incidents: firings.values().sum(),
            told,
            lost,
            twice,
            invented: strikes.unexplained(lines),
            timeliness: strikes.timeliness(lines, messages),
            untrue: untrue(lines, messages),
            is_over: firings == events(lines, "resolved"),
        }
    }

    /// Whether all is told and nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.is_over
            && self.lost == 0
            && self.twice == 0
            && self.invented.is_empty()
            && self.timeliness.is_good()
            && self.untrue.is_empty()
    }
}

fn events(lines: &[Line], event: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines.iter().filter(|line| line.field("event") == event) {
        *counts.entry(line.field("signal").to_owned()).or_default() += 1;
    }
    counts
}

/// Durations in the log that are not the time between the two lines, and those in messages that the log does not have.
fn untrue(lines: &[Line], messages: &[Sent]) -> Vec<String> {
    let mut begun: BTreeMap<&str, Instant> = BTreeMap::new();
    let mut lasted: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut untrue = Vec::new();
    for line in lines {
        let signal = line.field("signal");
        match line.field("event") {
            "firing" => drop(begun.insert(signal, line.at)),
            "resolved" => {
                let after = humantime::parse_duration(line.field("after")).unwrap_or(Duration::MAX);
                let between = begun.get(signal).map_or(Duration::ZERO, |begun| line.at - *begun);
                if after.abs_diff(between) > TOLERANCE {
                    untrue.push(format!("{} ({between:?} between the lines)", line.text));
                }
                lasted.entry(signal).or_default().push(after);
            }
            _ => {}
        }
    }
    let ends = messages.iter().flat_map(|message| message.text.lines());
    let wrong = ends.filter(|line| {
        told_duration(line).is_some_and(|(signal, told)| {
            let known = lasted.get(signal);
            !known.is_some_and(|known| known.contains(&told))
        })
    });
    untrue.extend(wrong.map(str::to_owned));
    untrue
}

/// A line that tells late of an end.
#[derive(Clone, Debug)]
pub struct LateEnd {
    /// When it was told.
    pub told_at: Instant,
    /// Until when it says that it was, in the message's words.
    pub until: String,
    /// Ends of the signal that lasted as long as the line says.
    pub ended_at: Vec<Instant>,
}

/// All lines of the messages that tell late.
pub fn late_ends(lines: &[Line], messages: &[Sent]) -> Vec<LateEnd> {
    let ended_at = |signal: &str, told: Duration| {
        let ends = lines.iter().filter(|line| line.tells("resolved", signal));
        let same = ends.filter(|line| humantime::parse_duration(line.field("after")) == Ok(told));
        same.map(|line| line.at).collect()
    };
    let mut all = Vec::new();
    for message in messages {
        for line in message.text.lines() {
            let until = line
                .strip_suffix(", told late")
                .and_then(|line| line.split_once(" until "));
            if let (Some((_, until)), Some((signal, told))) = (until, told_duration(line)) {
                all.push(LateEnd {
                    told_at: message.at,
                    until: until.to_owned(),
                    ended_at: ended_at(signal, told),
                });
            }
        }
    }
    all
}

/// The signal and the duration of a line that tells an end.
fn told_duration(line: &str) -> Option<(&str, Duration)> {
    let (signal, rest) = line.split_once(" RESOLVED ")?.1.split_once(": ")?;
    let text = match rest.split_once("was ") {
        None => rest.strip_prefix("after ")?,
        Some((_, late)) => late.split_once(' ')?.1.split_once(" until ")?.0,
    };
    Some((signal, humantime::parse_duration(text).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;
    use crate::strikes::{Manner, Strike, line};

    fn message(text: &str) -> Sent {
        Sent {
            at: Instant::now(),
            body: serde_json::Value::Null,
            text: text.to_owned(),
            accepted: true,
        }
    }

    /// Two incidents, the second of which was told late, while something was wrong from second 0 to 2000.
    fn judged(messages: &[&str], after: &str, faulty_s: u64) -> Verdict {
        let start = Instant::now();
        let lines = [
            line(start, 10, "event=firing signal=dep_down:site"),
            line(
                start,
                100,
                &format!("event=resolved signal=dep_down:site after={after}"),
            ),
            line(start, 200, "event=firing signal=dep_down:site"),
            line(start, 1100, "event=resolved signal=dep_down:site after=15m"),
        ];
        let messages: Vec<Sent> = messages.iter().map(|text| message(text)).collect();
        let mut strikes = Strikes::default();
        let ended = start + Duration::from_secs(faulty_s);
        strikes.push(Strike::new(Fault::Loss, Manner::Amid, start, ended));
        Verdict::of(&lines, &messages, &strikes)
    }

    const FIRING: &str = "host-1\n🔴 FIRING dep_down:site: http 503 (3 checks in 3s)";
    const RESOLVED: &str = "host-1\n🟢 RESOLVED dep_down:site: after 1m 30s";
    const LATE: &str = "host-1\n🟢 RESOLVED dep_down:site: was down 15m until 12:07Z, told late";

    /// What was told as it was is good: two incidents, both told.
    #[test]
    fn the_truth_is_good() {
        let verdict = judged(&[FIRING, RESOLVED, LATE], "\"1m 30s\"", 2000);
        assert!(verdict.is_good(), "{verdict:?}");
        assert_eq!((verdict.incidents, verdict.told), (2, 2));
        let again = format!("(again: the answer was lost)\n{FIRING}");
        let verdict = judged(&[FIRING, &again, RESOLVED, LATE], "\"1m 30s\"", 2000);
        assert!(verdict.is_good(), "{verdict:?}");
    }

    /// A late line is taken apart, and the end that it means is found.
    #[test]
    fn late_lines_name_their_ends() {
        let start = Instant::now();
        let end = line(start, 1100, "event=resolved signal=dep_down:site after=15m");
        let other = line(start, 2100, "event=resolved signal=dep_down:site after=16m");
        let late = late_ends(&[end.clone(), other], &[message(FIRING), message(LATE)]);
        assert_eq!(late.len(), 1);
        assert_eq!(
            (late[0].until.as_str(), &late[0].ended_at[..]),
            ("12:07Z", &[end.at][..])
        );
    }

    /// Each kind of untruth is found, and only it: lost, told twice, false, and a duration that the wall clock got into,
    /// in the log or in a message.
    #[test]
    fn each_untruth_is_found() {
        let after = "\"1m 30s\"";
        let lost = judged(&[FIRING, RESOLVED], after, 2000);
        assert_eq!((lost.lost, lost.twice, lost.is_good()), (1, 0, false));
        let twice = judged(&[FIRING, FIRING, RESOLVED, LATE], after, 2000);
        assert_eq!((twice.lost, twice.twice, twice.is_good()), (0, 1, false));
        let invented = judged(&[FIRING, RESOLVED, LATE], after, 150);
        assert_eq!((invented.invented.len(), invented.is_good()), (1, false));
        let logged = judged(
            &[FIRING, LATE, "🟢 RESOLVED dep_down:site: after 2h 1m"],
            "\"2h 1m\"",
            2000,
        );
        assert_eq!((logged.untrue.len(), logged.is_good()), (1, false));
        let told = judged(
            &[FIRING, LATE, "🟢 RESOLVED dep_down:site: after 2h 1m"],
            after,
            2000,
        );
        assert_eq!((told.untrue.len(), told.is_good()), (1, false));
    }
}

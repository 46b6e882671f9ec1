//! What a reader of the chat knows: how often each signal was told to begin and to end.
//!
//! A message that says `(again: ` is made anew from all that is not known to have arrived. Whether the ones before it
//! belong to that, it does not say: an answer was lost, or a request. So a signal has more than one possible past until a
//! message comes that leaves no doubt. Its tests: below.

use std::collections::{BTreeMap, BTreeSet};

use watchdog_tests::fake::telegram::Sent;

/// Beginnings and ends that were told.
type Told = (usize, usize);

/// What a line says of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Firing,
    Resolved,
    /// So many whole incidents.
    Late(usize),
}

impl Said {
    /// The signal, and what is said of it; none for other lines.
    fn parse(line: &str) -> Option<(&str, Self)> {
        let mut words = line.split(' ').skip(1);
        let (verb, id) = (words.next()?, words.next()?);
        let said = match verb {
            "FIRING" => Self::Firing,
            "RESOLVED" if line.ends_with("told late") => {
                let times = words.next().and_then(|word| word.parse().ok());
                Self::Late(times.unwrap_or(1))
            }
            "RESOLVED" => Self::Resolved,
            _ => return None,
        };
        Some((id.trim_end_matches(':'), said))
    }

    /// What was told in all, once this was; none if it does not follow from what was told before.
    fn after(self, (began, ended): Told) -> Option<Told> {
        match self {
            Self::Firing => (began == ended).then_some((began + 1, ended)),
            Self::Resolved => (began > ended).then_some((began, ended + 1)),
            Self::Late(times) => (began == ended).then_some((began + times, ended + times)),
        }
    }
}

/// Whether a line of a message tells that this signal fired, in time or late.
pub fn tells_firing(line: &str, signal: &str) -> bool {
    Said::parse(line).is_some_and(|(id, said)| id == signal && said != Said::Resolved)
}

/// What was told of one signal.
#[derive(Clone, Debug)]
struct Account {
    /// If the last messages are known to have arrived.
    latest: BTreeSet<Told>,
    /// If some of them are not.
    doubted: BTreeSet<Told>,
    /// What was told though it had been told.
    twice: usize,
}

impl Account {
    fn new() -> Self {
        Self {
            latest: BTreeSet::from([(0, 0)]),
            doubted: BTreeSet::new(),
            twice: 0,
        }
    }

    fn read(&mut self, said: &[Said], is_again: bool) {
        let mut pasts = self.latest.clone();
        if is_again {
            pasts.append(&mut self.doubted);
        }
        let told = |past: &Told| said.iter().try_fold(*past, |past, said| said.after(past));
        let next: BTreeSet<Told> = pasts.iter().filter_map(told).collect();
        if next.is_empty() {
            self.twice += 1;
            return;
        }
        (self.doubted, self.latest) = (pasts, next);
    }
}

/// What was told of all signals.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<String, Account>);

impl Ledger {
    /// Reads these messages, which Telegram took.
    pub fn of(messages: &[Sent]) -> Self {
        let mut ledger = Self::default();
        for message in messages {
            let is_again = message.text.lines().any(|line| line.starts_with("(again: "));
            let mut by_signal: BTreeMap<&str, Vec<Said>> = BTreeMap::new();
            for (id, said) in message.text.lines().filter_map(Said::parse) {
                by_signal.entry(id).or_default().push(said);
            }
            for (id, said) in by_signal {
                let account = ledger.0.entry(id.to_owned()).or_insert_with(Account::new);
                account.read(&said, is_again);
            }
        }
        ledger
    }

    /// All signals of which something was told.
    pub fn signals(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Beginnings and ends of a signal, in the one of its possible pasts that is closest to so many incidents, and how often
    /// it was told what had been told.
    pub fn told(&self, signal: &str, incidents: usize) -> (Told, usize) {
        let account = self.0.get(signal);
        let closest = account.and_then(|account| {
            let off = |told: &&Told| told.0.abs_diff(incidents) + told.1.abs_diff(incidents);
            account.latest.iter().min_by_key(off).copied()
        });
        (
            closest.unwrap_or_default(),
            account.map_or(0, |account| account.twice),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const FIRING: &str = "🔴 FIRING x: http 503 (3 checks in 3s)";
    const RESOLVED: &str = "🟢 RESOLVED x: after 5s";
    const LATE: &str = "🟢 RESOLVED x: was active 5s until 12:07Z, told late";
    const AGAIN: &str = "(again: it is not known whether the last message arrived)";

    /// Beginnings, ends, and repetitions, told by messages with these lines, of which there were so many in truth.
    fn told(incidents: usize, messages: &[&[&str]]) -> (usize, usize, usize) {
        let messages: Vec<Sent> = messages
            .iter()
            .map(|lines| Sent {
                at: Instant::now(),
                body: serde_json::Value::Null,
                text: lines.join("\n"),
                accepted: true,
            })
            .collect();
        let ((began, ended), twice) = Ledger::of(&messages).told("x", incidents);
        (began, ended, twice)
    }

    /// Without doubt each line counts, and what does not follow from the ones before was told twice.
    #[test]
    fn without_doubt_each_line_counts() {
        assert_eq!(told(2, &[&[FIRING], &[RESOLVED, FIRING], &[RESOLVED]]), (2, 2, 0));
        let late = "🟢 RESOLVED x: 3 times, last was active 5s until 12:07Z, told late";
        assert_eq!(told(4, &[&[late], &[FIRING], &[RESOLVED]]), (4, 4, 0));
        assert_eq!(told(1, &[&[FIRING], &[FIRING], &[RESOLVED]]), (1, 1, 1));
        assert_eq!(told(1, &[&[FIRING], &[RESOLVED], &[RESOLVED]]), (1, 1, 1));
        assert_eq!(told(1, &[&[LATE], &[LATE]]), (2, 2, 0));
    }

    /// A firing is told by its own line, or by the one that tells late of its end, and by no line of another signal.
    #[test]
    fn a_firing_is_told_in_time_or_late() {
        assert!(tells_firing(FIRING, "x") && tells_firing(LATE, "x"));
        assert!(!tells_firing(RESOLVED, "x") && !tells_firing(AGAIN, "x"));
        assert!(!tells_firing(FIRING, "y") && !tells_firing("🔴 FIRING x:y: http 503", "x"));
    }

    /// What is said again is nothing new, in whatever words it is said by then.
    #[test]
    fn what_is_said_again_is_nothing_new() {
        assert_eq!(told(1, &[&[FIRING], &[AGAIN, FIRING], &[RESOLVED]]), (1, 1, 0));
        assert_eq!(told(1, &[&[FIRING], &[AGAIN, LATE]]), (1, 1, 0));
        assert_eq!(told(1, &[&[FIRING], &[RESOLVED], &[AGAIN, RESOLVED]]), (1, 1, 0));
        assert_eq!(told(1, &[&[LATE], &[AGAIN, LATE], &[AGAIN, LATE]]), (1, 1, 0));
        assert_eq!(
            told(
                2,
                &[&[FIRING], &[RESOLVED], &[AGAIN, RESOLVED, FIRING], &[RESOLVED]]
            ),
            (2, 2, 0)
        );
    }

    /// The doubt may be about a message that never came: then what says again is all new.
    #[test]
    fn what_is_doubted_may_never_have_come() {
        assert_eq!(told(1, &[&[FIRING], &[AGAIN, RESOLVED]]), (1, 1, 0));
        assert_eq!(
            told(2, &[&[FIRING], &[RESOLVED], &[AGAIN, FIRING], &[RESOLVED]]),
            (2, 2, 0)
        );
        assert_eq!(told(2, &[&[LATE], &[AGAIN, LATE]]), (2, 2, 0));
        // A lost one stays lost: no past has it.
        assert_eq!(told(3, &[&[LATE], &[AGAIN, LATE]]), (2, 2, 0));
    }
}

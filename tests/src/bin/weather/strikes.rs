//! What befell, and what it explains and demands: each fault knows which signals it must make fire, and which it may.
//!
//! A fault that comes alone begins when all is clear, told and quiet, and ends into the same. Of it is demanded: what must
//! fire fires in time, is told in time, and is over in time. A fault amid others demands nothing, since a count that it begins may be cut short. Of
//! each it is known until when it explains a firing, and of which signals. Its tests: below.

use std::fmt;
use std::time::{Duration, Instant};

use watchdog_tests::fake::telegram::Sent;
use watchdog_tests::harness::Line;

use crate::faults::Fault;
use crate::ledger::tells_firing;

/// From the beginning of a fault to the firing: up to a tick until the next look, two ticks more, a time-out, which are 4 s; the rest
/// is for a machine that does other things too.
pub const FIRES_WITHIN: Duration = Duration::from_secs(9);
/// From the fault's end to the signal's: up to a tick until the next look, one tick more, a time-out, which are 3 s; the rest as above.
const ENDS_WITHIN: Duration = Duration::from_secs(8);
/// From the firing to its message at a Telegram that is reached: 5 s between digests; the rest as above.
const TOLD_WITHIN: Duration = Duration::from_secs(12);
/// The same if Telegram was not reached, from then on when it is again: a call of 15 s that is under way, a pause after a few
/// failures, of 8 s and a quarter, and the above.
const TOLD_AFTER_WITHIN: Duration = Duration::from_secs(40);
/// After a fault, signals may still fire on what was seen of it for so long, unless all is calm before: K ticks, a time-out, and the
/// kernel's repeats of lost packets.
const GRACE: Duration = Duration::from_secs(12);
/// A line of the log may be read so much later than a message that was sent after it.
const READ_LATE: Duration = Duration::from_secs(1);
/// A request may come so much earlier than the fault, and be answered by it.
const ANSWERED_LATE: Duration = Duration::from_millis(200);
/// Looks in a row that must have shown it before a signal fires.
pub const RAISE_TICKS: u16 = 3;

/// In what company a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Between two calms, and for long enough.
    Alone,
    /// Among others.
    Amid,
}

/// A fault that came.
#[derive(Clone, Debug)]
pub struct Strike {
    fault: Fault,
    manner: Manner,
    begun: Instant,
    ended: Instant,
    explains_until: Instant,
    /// When the peer that was wrong was asked; none if it is one of many, or cannot know.
    asked: Option<Vec<Instant>>,
}

impl Strike {
    /// It was there from then to then.
    pub fn new(fault: Fault, manner: Manner, begun: Instant, ended: Instant) -> Self {
        Self {
            fault,
            manner,
            begun,
            ended,
            explains_until: ended + GRACE,
            asked: None,
        }
    }

    /// All that went wrong was this peer, which was asked at these times.
    #[must_use]
    pub fn of_peer(mut self, asked: impl Iterator<Item = Instant>) -> Self {
        let since = self.begun.checked_sub(ANSWERED_LATE).unwrap_or(self.begun);
        self.asked = Some(asked.filter(|at| *at >= since && *at <= self.ended).collect());
        self
    }

    /// Looks that can have shown it until the signal fired, if they are too few.
    fn too_few_looks(&self, fired_after: Duration) -> Option<usize> {
        let asked = self.asked.as_ref()?;
        let until = self.begun + fired_after;
        let looks = asked.iter().filter(|at| **at <= until).count();
        (looks < usize::from(RAISE_TICKS)).then_some(looks)
    }

    fn explains(&self, line: &Line) -> bool {
        self.begun <= line.at
            && line.at <= self.explains_until
            && self.fault.may().contains(&line.field("signal"))
    }

    /// How long what it had to bring about took.
    fn took(&self, signal: &str, lines: &[Line], messages: &[Sent]) -> Took {
        let after = |event, since| {
            let first = lines
                .iter()
                .find(|line| line.at >= since && line.tells(event, signal));
            first.map(|line| line.at).filter(|at| *at <= self.explains_until)
        };
        let Some(fired_at) = after("firing", self.begun) else {
            return Took::default();
        };
        let told = messages.iter().find(|message| {
            message.at + READ_LATE >= fired_at && message.text.lines().any(|line| tells_firing(line, signal))
        });
        let could = if self.fault.spares_channel() {
            fired_at
        } else {
            fired_at.max(self.ended)
        };
        Took {
            firing: Some(fired_at - self.begun),
            telling: told.map(|message| message.at.saturating_duration_since(could)),
            ending: after("resolved", self.ended).map(|over_at| over_at - self.ended),
        }
    }

    const fn told_within(&self) -> Duration {
        if self.fault.spares_channel() {
            TOLD_WITHIN
        } else {
            TOLD_AFTER_WITHIN
        }
    }
}

/// How long it took, if it came.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    /// From the beginning of the fault to the firing.
    firing: Option<Duration>,
    /// From when that could be told to when it was.
    telling: Option<Duration>,
    /// From the end of the fault to that of the signal.
    ending: Option<Duration>,
}

/// All that came.
#[derive(Clone, Debug, Default)]
pub struct Strikes(Vec<Strike>);

impl Strikes {
    /// One more came and went.
    pub fn push(&mut self, strike: Strike) {
        self.0.push(strike);
    }

    /// All is calm: what came before explains nothing from now on.
    pub fn calm(&mut self, now: Instant) {
        for strike in &mut self.0 {
            strike.explains_until = strike.explains_until.min(now);
        }
    }

    /// Firings that no fault explains.
    pub fn unexplained(&self, lines: &[Line]) -> Vec<String> {
        let firings = lines.iter().filter(|line| line.field("event") == "firing");
        let unexplained = firings.filter(|line| !self.0.iter().any(|strike| strike.explains(line)));
        unexplained.map(|line| line.text.clone()).collect()
    }

    /// Holds what had to come against what came.
    pub fn timeliness(&self, lines: &[Line], messages: &[Sent]) -> Timeliness {
        let mut timeliness = Timeliness::default();
        for strike in self.0.iter().filter(|strike| strike.manner == Manner::Alone) {
            for signal in strike.fault.must() {
                let took = strike.took(signal, lines, messages);
                timeliness.add(strike, signal, took);
            }
        }
        timeliness
    }
}

/// Whether what had to come came in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeliness {
    demanded: usize,
    /// Firings that came before enough looks could show why.
    early: Vec<String>,
    /// Firings that did not come, or too late.
    missed: Vec<String>,
    /// Firings that were told late.
    late: Vec<String>,
    /// Ends that did not come, or too late.
    lingering: Vec<String>,
    slowest_firing: Duration,
    slowest_telling: Duration,
    slowest_telling_after: Duration,
    slowest_ending: Duration,
}

impl Timeliness {
    /// Whether all came in time.
    pub const fn is_good(&self) -> bool {
        self.early.is_empty() && self.missed.is_empty() && self.late.is_empty() && self.lingering.is_empty()
    }

    fn add(&mut self, strike: &Strike, signal: &str, took: Took) {
        let what = |took| format!("{signal} in {:?}: {took:?}", strike.fault);
        self.demanded += 1;
        if took.firing.is_none_or(|took| took > FIRES_WITHIN) {
            self.missed.push(what(took.firing));
        }
        if let Some(looks) = took.firing.and_then(|took| strike.too_few_looks(took)) {
            self.early
                .push(format!("{} after {looks} looks", what(took.firing)));
        }
        // What never fired has no end, and what is never told is lost, and counted there.
        if took.firing.is_some() && took.ending.is_none_or(|took| took > ENDS_WITHIN) {
            self.lingering.push(what(took.ending));
        }
        if took.telling.is_some_and(|took| took > strike.told_within()) {
            self.late.push(what(took.telling));
        }
        let slowest_telling = if strike.fault.spares_channel() {
            &mut self.slowest_telling
        } else {
            &mut self.slowest_telling_after
        };
        for (slowest, took) in [
            (&mut self.slowest_firing, took.firing),
            (slowest_telling, took.telling),
            (&mut self.slowest_ending, took.ending),
        ] {
            *slowest = (*slowest).max(took.unwrap_or_default());
        }
    }
}

impl fmt::Display for Timeliness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} firings demanded, early {}, missed {}, told late {}, over late {}; the slowest fired {:.1} s after its fault began, was told \
             {:.1} s after it fired or {:.1} s after Telegram could be reached again, and was over {:.1} s after its fault",
            self.demanded,
            self.early.len(),
            self.missed.len(),
            self.late.len(),
            self.lingering.len(),
            self.slowest_firing.as_secs_f64(),
            self.slowest_telling.as_secs_f64(),
            self.slowest_telling_after.as_secs_f64(),
            self.slowest_ending.as_secs_f64(),
        )
    }
}

/// A line of the log, so many seconds later.
#[cfg(test)]
pub fn line(start: Instant, second: u64, text: &str) -> Line {
    Line {
        at: start + Duration::from_secs(second),
        text: text.to_owned(),
        fields: watchdog_tests::logfmt::parse(text).unwrap(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "event=firing signal=dep_down:site";
    const OVER: &str = "event=resolved signal=dep_down:site after=8s";
    const WIKI: &str = "event=firing signal=dep_down:wiki";

    fn later(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    /// The site is broken from second 10 to 20, with calms up to 10 and from 24 on.
    fn site_broken(start: Instant, fault: Fault) -> Strikes {
        let mut strikes = Strikes::default();
        let loss = Strike::new(Fault::Loss, Manner::Amid, start, later(start, 5));
        strikes.push(loss);
        strikes.calm(later(start, 9));
        let broken = Strike::new(fault, Manner::Alone, later(start, 10), later(start, 20));
        strikes.push(broken);
        strikes.calm(later(start, 24));
        strikes
    }

    fn message(at: Instant, text: &str) -> Sent {
        Sent {
            at,
            body: serde_json::Value::Null,
            text: text.to_owned(),
            accepted: true,
        }
    }

    /// A fault explains what it may bring about, and only that, until all is calm.
    #[test]
    fn a_fault_explains_its_own() {
        let start = Instant::now();
        let strikes = site_broken(start, Fault::SiteBroken);
        let explained = |second, text| strikes.unexplained(&[line(start, second, text)]).is_empty();
        assert!(explained(14, SITE) && explained(22, SITE), "its own");
        assert!(!explained(14, WIKI), "another's");
        assert!(!explained(14, "event=firing signal=orch_down"), "another's");
        assert!(!explained(25, SITE), "after the calm");
        assert!(explained(3, WIKI), "a bad line explains all");
        assert!(explained(8, WIKI), "for some time");
        assert!(!explained(3, "event=firing signal=mem_low"), "but memory");
    }

    /// What must fire and does not, or does too late, is missed; what is not over in time is found too.
    #[test]
    fn what_must_fire_is_demanded() {
        let start = Instant::now();
        let strikes = site_broken(start, Fault::SiteBroken);
        let judged = |lines: &[Line]| strikes.timeliness(lines, &[]);
        let good = judged(&[line(start, 14, SITE), line(start, 22, OVER)]);
        assert!(good.is_good() && good.demanded == 1 && good.slowest_firing == Duration::from_secs(4));
        assert_eq!(judged(&[line(start, 14, SITE)]).lingering.len(), 1);
        let early = [line(start, 14, SITE), line(start, 16, OVER)];
        assert_eq!(judged(&early).lingering.len(), 1, "while it is broken");
        assert_eq!(judged(&[]).missed.len(), 1);
        assert_eq!(judged(&[line(start, 14, WIKI)]).missed.len(), 1, "another's");
        assert_eq!(judged(&[line(start, 8, SITE)]).missed.len(), 1, "before");
        assert_eq!(judged(&[line(start, 23, SITE)]).missed.len(), 1, "too late");
        let refused = site_broken(start, Fault::Refused);
        assert_eq!(refused.timeliness(&[line(start, 14, SITE)], &[]).missed.len(), 2);
    }

    /// What fires before the peer was asked three times is early; a request may come just before the fault and be answered by it.
    #[test]
    fn what_fires_after_too_few_looks_is_found() {
        let start = Instant::now();
        let judged = |asked_ms: &[u64]| {
            let asked = asked_ms.iter().map(|ms| start + Duration::from_millis(*ms));
            let broken = Strike::new(
                Fault::SiteBroken,
                Manner::Alone,
                later(start, 10),
                later(start, 20),
            );
            let strikes = Strikes(vec![broken.of_peer(asked)]);
            let lines = [line(start, 13, SITE), line(start, 22, OVER)];
            strikes.timeliness(&lines, &[]).early.len()
        };
        assert_eq!(judged(&[9_100, 10_100, 11_100, 12_100, 13_100]), 0);
        assert_eq!(judged(&[9_900, 10_900, 11_900]), 0);
        assert_eq!(judged(&[9_100, 10_100, 12_100, 13_100]), 1);
        assert_eq!(judged(&[]), 1);
    }

    /// What is told later than it could be told is late.
    #[test]
    fn what_is_told_late_is_found() {
        let start = Instant::now();
        let told = |fault, second, text| {
            let messages = [message(later(start, second), text)];
            let strikes = site_broken(start, fault);
            let timeliness = strikes.timeliness(&[line(start, 14, SITE)], &messages);
            timeliness.late.len()
        };
        let firing = "host-1\n🔴 FIRING dep_down:site: http 503 (3 checks in 3s)";
        let late = "host-1\n🟢 RESOLVED dep_down:site: was down 9s until 12:07Z, told late";
        assert_eq!(told(Fault::SiteBroken, 20, firing), 0);
        assert_eq!(told(Fault::SiteBroken, 74, firing), 1);
        assert_eq!(told(Fault::SiteBroken, 74, late), 1);
        assert_eq!(told(Fault::Refused, 40, late), 0, "it could not be told before");
        assert_eq!(told(Fault::Refused, 80, late), 1);
    }
}

//! When a line must have been told at the latest, from what the world knows of the channel.

use std::collections::VecDeque;

use super::weather::Fault;

/// A connection and an answer in fair weather: names, a proxy and TLS, both directions' delays, and up to four pieces.
const ROUND_TRIP_MS: u64 = 2_000;
/// The machine's patience with one call that the weather swallowed before it turned.
const CALL_MS: u64 = 15_000;
/// The longest back-off, a minute and up to a quarter more.
const BACK_OFF_MS: u64 = 75_000;
/// After a refusal that somebody has to mend.
const MEND_MS: u64 = 600_000;
/// What a 429 can ask for at most, and the margin on top of it.
const FLOOD_MS: u64 = 900_000;
const FLOOD_MARGIN_MS: u64 = 250;
/// Between two messages; a digest gathers for so long.
const GAP_MS: u64 = 5_000;
/// Between two messages if not all lines found room.
const OVERFLOW_MS: u64 = 60_000;
/// The Bot API takes 20 messages a minute; the machine sends no more than these.
const A_MINUTE: usize = 15;
/// Lines that surely find room in one message: 4096 bytes, and a line of names and a detail has up to 330.
const LINES_SURE: u64 = 12;

/// What the world knows of the channel.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// What was wrong at the Bot API with the last call, if it came so far.
    pub fault: Option<Fault>,
    /// The process was not run until then.
    pub resumed_at: u64,
    /// Nothing is told before the first ticks.
    pub ready_at: u64,
    wait_until: u64,
    accepted: VecDeque<u64>,
    /// When the call under way began.
    pub sending_since: Option<u64>,
    /// The last message left lines for the next.
    is_over: bool,
}

/// How late the latest line was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// From when it could be told to when it was, milliseconds.
    pub late_ms: u64,
    /// What was allowed, milliseconds.
    pub allowed_ms: u64,
}

impl Lateness {
    /// The one that came nearer to its bound.
    #[must_use]
    pub const fn worse(self, other: Self) -> Self {
        let (mine, its) = (self.late_ms * other.allowed_ms, other.late_ms * self.allowed_ms);
        if self.allowed_ms == 0 || (other.allowed_ms > 0 && its > mine) {
            other
        } else {
            self
        }
    }
}

impl Channel {
    /// A call begins.
    pub const fn begins(&mut self, now: u64) {
        (self.sending_since, self.fault) = (Some(now), None);
    }

    /// A call ended; `left`: not all lines found room.
    pub fn ended(&mut self, accepted: bool, left: bool, now: u64) {
        self.sending_since = None;
        if accepted {
            self.wait_until = 0;
            self.is_over = left;
            self.accepted.push_back(now);
            if self.accepted.len() > A_MINUTE {
                self.accepted.pop_front();
            }
            return;
        }
        let asked = match self.fault {
            Some(Fault::Flood(Some(seconds))) => (1000 * seconds).min(FLOOD_MS) + FLOOD_MARGIN_MS,
            Some(Fault::Unauthorized | Fault::Forbidden) => MEND_MS,
            Some(Fault::Bad(why)) if why.contains("chat not found") => MEND_MS,
            // What a proxy refuses passes, like whatever else comes between.
            _ => 0,
        };
        self.wait_until = now + asked.max(BACK_OFF_MS);
    }

    /// The same as it was when the call under way began, and when that was.
    pub fn before_call(&self) -> Option<(Self, u64)> {
        let mut before = self.clone();
        let began = before.sending_since.take()?;
        Some((before, began))
    }

    /// From when a line could be told that has been due since `owed`, over a channel that has been fair since `fair`.
    pub fn tellable_from(&self, owed: u64, fair: u64) -> u64 {
        owed.max(fair).max(self.resumed_at).max(self.ready_at)
    }

    /// By when a line must have been told, of `lines` that are due in all:
    ///
    /// the latest of: it was due, the channel fair, the process running and the first ticks through
    /// ([`Channel::tellable_from`]); the wait after the last failure over; the gap after the last message, and the
    /// minute after the fifteenth last; the call under way given up, if the weather swallowed it;
    /// and then a minute for each message that has to go before, and the way there and back.
    pub fn told_by(&self, owed: u64, fair: u64, lines: u64) -> u64 {
        let gap = if self.is_over { OVERFLOW_MS } else { GAP_MS };
        let paced = self.accepted.back().map_or(0, |at| at + gap);
        let minute = match self.accepted.front() {
            Some(at) if self.accepted.len() == A_MINUTE => at + 60_000,
            _ => 0,
        };
        let call = self.sending_since.map_or(0, |at| at + CALL_MS);
        let crowd = lines.saturating_sub(1) / LINES_SURE * OVERFLOW_MS;
        let free = self.wait_until.max(paced).max(minute).max(call);
        self.tellable_from(owed, fair).max(free) + crowd + ROUND_TRIP_MS
    }
}

//! The stream of `/events`: open for as long as the engine lets it, from where it ended before.

use core::fmt;

use super::container::Engine;
use super::events::EventReader;
use super::{Answer, Docker, EventsState, Want};
use crate::config;
use crate::planted::{Planted, is_planted};
use crate::time::{Instant, Millis};

/// How long a refusal of `/events` stands before it is tried again.
pub(super) const EVENTS_RETRY: Millis = Millis::from_secs(600);

/// The stream of events.
#[derive(Debug)]
pub(super) struct Stream {
    state: EventsState,
    /// Whether it was tried in vain since the last tick began.
    tried: bool,
    /// Whether it was open when the last tick began.
    is_old: bool,
    refused_at: Instant,
    answer: Answer,
    reader: EventReader,
    /// The engine's time of the last event.
    last_ns: Option<i64>,
}

impl Stream {
    /// A stream that is not open: all zero bits.
    pub(super) const fn new() -> Self {
        Self {
            state: EventsState::Closed,
            tried: false,
            is_old: false,
            refused_at: Instant::ZERO,
            answer: Answer::None,
            reader: EventReader::new(),
            last_ns: None,
        }
    }

    /// A tick begins: a stream that is closed may be tried again, after a while also one that was refused.
    pub(super) fn begin_tick(&mut self, now: Instant) {
        self.tried = false;
        self.is_old = self.state == EventsState::Open;
        if matches!(self.state, EventsState::Refused(_)) && now.since(self.refused_at) >= EVENTS_RETRY {
            self.state = EventsState::Closed;
        }
    }

    /// Tells whether it is to be opened, as far as it depends on the stream.
    pub(super) fn is_wanted(&self) -> bool {
        self.state == EventsState::Closed && !self.tried
    }

    /// Tells how it fares.
    pub(super) const fn state(&self) -> EventsState {
        self.state
    }

    /// Takes the head of its answer.
    pub(super) fn head(&mut self, answer: Answer) -> Want {
        self.answer = answer;
        self.reader.reset();
        if answer == Answer::Reading {
            self.state = EventsState::Open;
            Want::More
        } else {
            Want::Nothing
        }
    }

    /// Writes its path. The engine replays what it still has from `since` on, that nanosecond included.
    pub(super) fn write_path(&self, out: &mut impl fmt::Write) -> fmt::Result {
        const NANOS: i64 = 1_000_000_000;
        out.write_str("/events?")?;
        let last = self.last_ns.filter(|_| !is_planted(Planted::SinceForgotten));
        if let Some(next) = last.and_then(|last| last.checked_add(1)) {
            let (seconds, nanos) = (next.div_euclid(NANOS), next.rem_euclid(NANOS));
            write!(out, "since={seconds}.{nanos:09}&")?;
        }
        // {"type":["container"],"event":["die","health_status","kill","oom","rename","start","stop"]}
        out.write_str("filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22die%22%2C%22health_status%22")?;
        out.write_str("%2C%22kill%22%2C%22oom%22%2C%22rename%22%2C%22start%22%2C%22stop%22%5D%7D")
    }
}

impl Docker {
    pub(super) fn read_events(&mut self, bytes: &[u8], now: Instant, config: &config::Docker) -> Want {
        let mut rest = bytes;
        while self.stream.answer == Answer::Reading {
            match self.stream.reader.feed(rest, config) {
                Ok(Some((happened, behind))) => {
                    rest = behind;
                    self.stream.last_ns = happened.ns.or(self.stream.last_ns);
                    if happened.matters() {
                        self.store.settle_event(&happened, self.looks, now);
                    }
                }
                Ok(None) => return Want::More,
                Err(_) => self.stream.answer = Answer::Useless,
            }
        }
        Want::Nothing
    }

    /// Polling goes on alone. A stream that stood a while is opened again at once, from the last event on: a proxy may
    /// have cut it. One that ends at once is opened again at the next tick.
    pub(super) fn end_events(&mut self, now: Instant) {
        let was_old = core::mem::take(&mut self.stream.is_old);
        self.stream.tried = !was_old;
        // A 5xx is a passing trouble, and is tried again at the next tick.
        if let Answer::Status(status @ 400..=499) = core::mem::take(&mut self.stream.answer) {
            self.stream.state = EventsState::Refused(status);
            self.stream.refused_at = now;
            return;
        }
        self.stream.state = EventsState::Closed;
        // Only the end of one that stood is a sign that the engine may have restarted. A stream that never stands
        // must not excuse every end.
        if was_old && self.engine == Engine::Stayed {
            self.engine = Engine::Interrupted;
        }
    }
}

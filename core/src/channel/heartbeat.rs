//! The heartbeat: a GET after a completed tick, so that someone elsewhere notices when the watchdog itself is gone.
//!
//! It says nothing but that a tick was completed, and, if asked to, that a master alarm is firing. Its URL is a secret as
//! a whole: no fault or log line holds it. Bounded: one exchange at a time, of whose answer the status alone is read.
//! Tests: `core/src/watchdog/tests.rs`, through the whole machine.

use core::fmt::{self, Write};

use crate::config::{Config, Url};
use crate::exchange::Failure;
use crate::text::{self, Detail};
use crate::time::Millis;
use crate::wire::http::{Authority, Get};

/// What the heartbeat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Beat {
    /// A tick was completed.
    Alive,
    /// It was, and a master alarm is firing: `/fail` behind the path.
    Failing,
}

/// What the end of one exchange tells that the one before did not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum News {
    /// Nothing.
    None,
    /// It began to fail, and why.
    Fails(Detail),
    /// It is answered again after so many failures.
    Back(u64),
}

/// The channel.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Heartbeat {
    /// The first tick after which the next one may go out.
    next_tick: u64,
    status: u16,
    /// Failures since the last answer.
    in_a_row: u64,
    answered: u64,
    failed: u64,
}

impl Heartbeat {
    /// A heart that has not beaten yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next_tick: 0,
            status: 0,
            in_a_row: 0,
            answered: 0,
            failed: 0,
        }
    }

    /// Tells whether one is due after the completed tick of this number, and takes it for sent.
    ///
    /// Counted in ticks: measured in time, a tick that wakes a millisecond early would put it off by a whole one.
    pub fn is_due(&mut self, tick: u64, config: &Config) -> bool {
        if tick < self.next_tick {
            return false;
        }
        let (gap, interval) = (config.heartbeat_interval.as_millis(), config.interval.as_millis());
        let ticks = gap
            .saturating_add(interval.saturating_sub(1))
            .checked_div(interval)
            .unwrap_or(1);
        self.next_tick = tick.saturating_add(ticks.max(1));
        self.status = 0;
        true
    }

    /// The answer's head came.
    pub const fn head(&mut self, status: u16) {
        self.status = status;
    }

    /// The exchange ended.
    pub fn ended(&mut self, outcome: Result<Millis, Failure>) -> News {
        let reason = match outcome {
            Ok(_) if matches!(self.status, 200..=299) => {
                self.answered = self.answered.saturating_add(1);
                return match core::mem::take(&mut self.in_a_row) {
                    0 => News::None,
                    failures => News::Back(failures),
                };
            }
            Ok(_) => text::detail(format_args!("http {}", self.status)),
            Err(failure) => text::detail(format_args!("{failure}")),
        };
        self.failed = self.failed.saturating_add(1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row == 1 {
            News::Fails(reason)
        } else {
            News::None
        }
    }

    /// Tells heartbeats answered and failed.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.answered, self.failed)
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes the request.
///
/// # Errors
/// It does not fit, or the URL holds what a request must not.
pub fn emit(url: &Url, beat: Beat, out: &mut impl Write) -> fmt::Result {
    let path = url.path.reveal();
    let start = text::before(path, b'?');
    let query = path.get(start.len()..).unwrap_or_default();
    let (start, end) = match beat {
        Beat::Alive => (start, ""),
        Beat::Failing => (start.trim_end_matches('/'), "/fail"),
    };
    Get {
        authority: Authority::of(url),
        path: format_args!("{start}{end}{query}"),
        user_info: url.user_info(),
    }
    .emit(out)
}

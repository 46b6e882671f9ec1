//! One read of the host: wanted, asked, answered, or never answered.
//!
//! A call that has not returned is never asked again: a dead network mount would swallow one helper after the other.
//! Tests: beside [`super::Host`].

use core::fmt;

use crate::net::FileFault;
use crate::time::Instant;

/// Where a read stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Call<T> {
    /// Nobody wants it this tick.
    #[default]
    Idle,
    /// It is to be asked.
    Wanted,
    /// It was asked in the tick that began then, this one or an earlier one.
    Asked(Instant),
    /// It has answered, this tick or since the last.
    Answered(Result<T, FileFault>),
}

/// Why a read has nothing to say this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// There was no time left to ask: something else has not answered.
    NotAsked,
    /// It was asked in the tick that began then and has not returned.
    Late(Instant),
    /// It has failed.
    Fault(FileFault),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not asked, another read has not returned"),
            Self::Late(_) => f.write_str("the read has not returned"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl<T: Copy> Call<T> {
    /// Forgets the last tick's answer; tells whether there is nothing under way any more.
    pub(super) fn begin(&mut self) -> bool {
        if matches!(self, Self::Asked(_)) {
            return false;
        }
        *self = Self::Idle;
        true
    }

    /// Wants it this tick, unless it is under way.
    pub(super) fn want(&mut self) {
        if matches!(self, Self::Idle) {
            *self = Self::Wanted;
        }
    }

    /// Asks it in the tick that began at `tick`; tells whether it was wanted.
    pub(super) fn ask(&mut self, tick: Instant) -> bool {
        let is_wanted = matches!(self, Self::Wanted);
        if is_wanted {
            *self = Self::Asked(tick);
        }
        is_wanted
    }

    /// Takes the answer; one that nobody asked for is dropped.
    pub(super) fn answer(&mut self, result: Result<T, FileFault>) {
        if matches!(self, Self::Asked(_)) {
            *self = Self::Answered(result);
        }
    }

    /// Tells the answer.
    pub(super) fn answered(&self) -> Result<T, Missing> {
        match self {
            Self::Idle | Self::Wanted => Err(Missing::NotAsked),
            Self::Asked(tick) => Err(Missing::Late(*tick)),
            Self::Answered(result) => result.map_err(Missing::Fault),
        }
    }

    /// Tells whether the tick that began at `tick` has something to wait for here: what hangs since an earlier one is
    /// not waited for.
    pub(super) fn is_open(&self, tick: Instant) -> bool {
        matches!(self, Self::Wanted) || self.is_asked(tick)
    }

    /// Tells whether it was asked in the tick that began at `tick` and has not answered.
    pub(super) fn is_asked(&self, tick: Instant) -> bool {
        matches!(self, Self::Asked(since) if *since == tick)
    }
}

//! Faults planted on purpose, to show that the simulated world and the fuzzer would find them.
//!
//! Without the feature `planted`, which nothing that ships or is tested elsewhere switches on, none is ever there and
//! nothing of this is compiled in. With it, one at a time can be planted for the whole process. Tests: `tests/canaries`, `fuzz/run.sh`.

/// A mistake that the machine could have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Planted {
    /// A signal fires one active look early, where it needs more than one.
    DebounceOffByOne = 1,
    /// A message that was not accepted takes the ends in it along.
    ResolveLost,
    /// A firing signal reminds while its master holds it.
    ReminderUnderMaster,
    /// The wait that Telegram asks for is not kept.
    RetryAfterIgnored,
    /// The row of a discovered signal that has fired is never freed.
    SlotLeaked,
    /// How long a firing lasted is read off the wall clock.
    WallClockForDurations,
    /// A firing that is not the first of its signal is taken for told.
    SecondFiringLost,
    /// A single failed answer of a source does not hold its children.
    ChildrenNotHeld,
    /// A container's end is not taken from the engine's event.
    DeathForgotten,
    /// A stream of events that broke off is opened again from now on, not from where it broke off.
    SinceForgotten,
    /// A container that exits with 137 is taken for one that the kernel killed for want of memory.
    OomGuessed,
    /// A chunk's size line without a digit is taken for the end of the body.
    SizeWithoutDigit,
    /// An alert's end in a request that was not accepted is taken for told.
    AlertEndLost,
    /// What an Alertmanager knows to be firing is not sent again.
    RefreshForgotten,
    /// An alert in a request whose answer was lost is taken for one that never arrived.
    DoubtForgotten,
    /// A tunnel is spoken through in plain where it should be TLS.
    PlainInTunnel,
    /// A look at a name does not see that a wait is over.
    WaitNotEnded,
    /// What the engine states as a fact between two ticks waits for the next one.
    FactsWait,
    /// What a look says of a kill for want of memory is passed over.
    OomFlagIgnored,
    /// A restart counts when a life ends, and again when the next one begins.
    RestartTwice,
    /// What a proxy refuses is waited out like what somebody has to mend.
    ProxyWaitedOut,
    /// The last good answer about a name is forgotten as soon as its server fails.
    AddressForgotten,
}

/// Tells whether this mistake is planted: never, without the feature.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn is_planted(_: Planted) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use switch::{is_planted, plant, wall_ms, watch_wall};

#[cfg(feature = "planted")]
mod switch {
    use core::sync::atomic::{AtomicI64, AtomicU8, Ordering::Relaxed};

    use super::Planted;
    use crate::time::Instant;

    static PLANTED: AtomicU8 = AtomicU8::new(0);
    /// What the wall clock's milliseconds are ahead of the monotonic ones.
    static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

    /// Plants one mistake in place of the last one; `None` takes it out.
    pub fn plant(mistake: Option<Planted>) {
        PLANTED.store(mistake.map_or(0, |mistake| mistake as u8), Relaxed);
    }

    /// Tells whether this mistake is planted.
    #[must_use]
    pub fn is_planted(mistake: Planted) -> bool {
        PLANTED.load(Relaxed) == mistake as u8
    }

    /// Notes what the wall clock says, Unix milliseconds.
    pub fn watch_wall(now: Instant, wall_ms: i64) {
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        AHEAD_MS.store(wall_ms.saturating_sub(now), Relaxed);
    }

    /// Tells the wall clock's time, Unix milliseconds.
    #[must_use]
    pub fn wall_ms(now: Instant) -> i64 {
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        AHEAD_MS.load(Relaxed).saturating_add(now)
    }
}

//! `decide`: one observation of one signal in, the next state and at most one event out.
//!
//! Pure, total, without a clock and without allocation: CONTRACTS 5 in code. Every source goes through it, so that
//! debounce, reminders and flap detection are the same for all. It never looks at what a signal is or who is told.
//! Tests: beside the code for each rule.

use crate::limits::{FLAP_CHANGES_MAX, REMINDER_GAP_MAX};
use crate::planted::{Planted, is_planted};
use crate::signal::Observation;
use crate::time::{Instant, Millis};

/// What it takes to fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Raise {
    /// So many active observations in a row (K); 0 counts as 1.
    Ticks(u16),
    /// Active without a clear for so long.
    For(Millis),
}

/// How a signal is decided: one for each signal, from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policy {
    /// From tick to tick; a gap of over three of them resets counts in progress.
    pub interval: Millis,
    /// What it takes to fire.
    pub raise: Raise,
    /// Clear observations in a row that resolve (M); 0 counts as 1.
    pub clear_ticks: u16,
    /// From firing to the first reminder; none = no reminders.
    pub cooldown: Option<Millis>,
    /// So many changes inside [`Policy::flap_window`] are flapping; 2 to 16.
    pub flap_changes: u8,
    /// The window of [`Policy::flap_changes`], and how long it must stand still to be stable again.
    pub flap_window: Millis,
}

/// What happened to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// It fired.
    Firing {
        /// Active observations that made it fire.
        checks: u16,
        /// The time that they took, the first one's interval included.
        within: Millis,
    },
    /// It is firing still, and a reminder is due.
    StillFiring {
        /// Since it fired.
        lasted: Millis,
    },
    /// It resolved.
    Resolved {
        /// From firing to resolved.
        lasted: Millis,
    },
    /// It began to flap: this change was one too many.
    Flapping {
        /// Changes inside the window.
        changes: u8,
    },
    /// It stood still for a whole window, and flaps no more.
    Stable,
}

/// The last fire and resolve changes, newest last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Changes {
    at: [Instant; FLAP_CHANGES_MAX],
    count: u8,
}

impl Changes {
    const NONE: Self = Self {
        at: [Instant::ZERO; FLAP_CHANGES_MAX],
        count: 0,
    };

    /// Notes a change and tells how many there are inside the window that ends now.
    fn note(&mut self, now: Instant, window: Millis) -> u8 {
        if usize::from(self.count) == FLAP_CHANGES_MAX {
            self.at.rotate_left(1);
        } else {
            self.count = self.count.saturating_add(1);
        }
        if let Some(newest) = self.at.get_mut(usize::from(self.count).saturating_sub(1)) {
            *newest = now;
        }
        self.inside(now, window)
    }

    fn inside(&self, now: Instant, window: Millis) -> u8 {
        let recent = self
            .at
            .iter()
            .take(usize::from(self.count))
            .filter(|at| now.since(**at) <= window)
            .count();
        u8::try_from(recent).unwrap_or(u8::MAX)
    }
}

/// Everything that is remembered of one signal to decide its next observation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct State {
    firing: bool,
    flapping: bool,
    /// Active observations in a row while not firing, clear ones in a row while firing.
    streak: u16,
    streak_since: Instant,
    fired_at: Instant,
    fired_checks: u16,
    fired_within: Millis,
    reminder_gap: Millis,
    reminder_at: Instant,
    changes: Changes,
    /// While flapping: known time without a change.
    still_for: Millis,
    /// When the last observation came, if there was one.
    seen_at: Instant,
    seen: bool,
    /// Whether the last observation was clear or active.
    known: bool,
}

impl State {
    /// The state of a signal that was never looked at.
    pub const NEW: Self = Self {
        firing: false,
        flapping: false,
        streak: 0,
        streak_since: Instant::ZERO,
        fired_at: Instant::ZERO,
        fired_checks: 0,
        fired_within: Millis::ZERO,
        reminder_gap: Millis::ZERO,
        reminder_at: Instant::ZERO,
        changes: Changes::NONE,
        still_for: Millis::ZERO,
        seen_at: Instant::ZERO,
        seen: false,
        known: false,
    };

    /// Sets counts in progress back to zero, as after a master's alarm. Never touches a firing state.
    pub const fn restart_counts(&mut self) {
        self.streak = 0;
    }

    /// Tells whether it is firing, told or not.
    #[must_use]
    pub const fn is_firing(&self) -> bool {
        self.firing
    }

    /// Tells whether it is flapping.
    #[must_use]
    pub const fn is_flapping(&self) -> bool {
        self.flapping
    }

    /// Tells whether it has been active, but not yet long enough to fire.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        !self.firing && self.streak > 0
    }

    /// Tells whether the last observation said something.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.known
    }

    /// Tells when it fired last; meaningful while it is firing.
    #[must_use]
    pub const fn fired_at(&self) -> Instant {
        self.fired_at
    }

    /// Tells how many active observations made it fire last, and the time that they took; also where that firing was
    /// the change that made it flap.
    #[must_use]
    pub const fn fired_by(&self) -> (u16, Millis) {
        (self.fired_checks, self.fired_within)
    }

    /// Tells whether it was ever looked at.
    #[must_use]
    pub const fn is_seen(&self) -> bool {
        self.seen
    }

    /// Tells since when it has been active without a clear, for one that is pending.
    #[must_use]
    pub const fn active_since(&self) -> Instant {
        self.streak_since
    }

    /// Tells whether a fire or resolve change lies inside the window that ends now, so that forgetting the signal would
    /// hide its flapping.
    #[must_use]
    pub fn has_recent_change(&self, now: Instant, window: Millis) -> bool {
        self.changes.inside(now, window) > 0
    }

    fn fire(&mut self, now: Instant, policy: &Policy) -> Event {
        self.fired_checks = self.streak;
        self.fired_within = now.since(self.streak_since).plus(policy.interval);
        self.firing = true;
        self.streak = 0;
        self.fired_at = now;
        self.start_reminders(now, policy);
        Event::Firing {
            checks: self.fired_checks,
            within: self.fired_within,
        }
    }

    fn resolve(&mut self, now: Instant) -> Event {
        self.firing = false;
        self.streak = 0;
        Event::Resolved {
            lasted: now.since(self.fired_at),
        }
    }

    fn start_reminders(&mut self, now: Instant, policy: &Policy) {
        self.reminder_gap = policy.cooldown.unwrap_or(Millis::ZERO).min(REMINDER_GAP_MAX);
        self.reminder_at = now.after(self.reminder_gap);
    }

    /// A reminder, if one is due: only what is seen active reminds, and never while it flaps.
    fn remind(&mut self, now: Instant, policy: &Policy) -> Option<Event> {
        if self.flapping || policy.cooldown.is_none() || now < self.reminder_at {
            return None;
        }
        self.reminder_gap = self.reminder_gap.times(2).min(REMINDER_GAP_MAX);
        self.reminder_at = now.after(self.reminder_gap);
        Some(Event::StillFiring {
            lasted: now.since(self.fired_at),
        })
    }

    /// A change has happened: it may be the one that makes it flap.
    fn after_change(&mut self, change: Event, now: Instant, policy: &Policy) -> Event {
        self.still_for = Millis::ZERO;
        let changes = self.changes.note(now, policy.flap_window);
        if self.flapping || changes < policy.flap_changes {
            return change;
        }
        self.flapping = true;
        Event::Flapping { changes }
    }

    /// No change has happened: it may have stood still for long enough.
    fn after_stillness(&mut self, still: Millis, now: Instant, policy: &Policy) -> Option<Event> {
        if !self.flapping {
            return None;
        }
        self.still_for = self.still_for.plus(still);
        if self.still_for < policy.flap_window {
            return None;
        }
        self.flapping = false;
        self.changes = Changes::NONE;
        self.start_reminders(now, policy);
        Some(Event::Stable)
    }
}

/// Decides: what an observation makes of a signal's state, and the event in it, if any.
///
/// `now` never goes back; if it does, no time has passed. The policy may differ from call to call: a fact of the engine
/// comes with `Raise::Ticks(1)`.
#[must_use]
pub fn decide(
    observation: Observation,
    prev: &State,
    now: Instant,
    policy: &Policy,
) -> (State, Option<Event>) {
    let mut next = prev.clone();
    let since_seen = now.since(prev.seen_at);
    let jumped = prev.seen && since_seen > policy.interval.times(3);
    if jumped {
        next.restart_counts();
    }
    // Time counts as still only between two looks that both said something.
    let still = if prev.known && !jumped {
        since_seen
    } else {
        Millis::ZERO
    };
    next.seen = true;
    next.seen_at = now.max(prev.seen_at);
    next.known = observation != Observation::Unknown;
    let event = match (observation, prev.firing) {
        (Observation::Unknown, true) if is_planted(Planted::ReminderUnderMaster) => next.remind(now, policy),
        (Observation::Unknown, _) => None,
        (Observation::Active, false) => active_while_clear(&mut next, still, now, policy),
        (Observation::Active, true) => active_while_firing(&mut next, still, now, policy),
        (Observation::Clear, false) => {
            next.streak = 0;
            next.after_stillness(still, now, policy)
        }
        (Observation::Clear, true) => clear_while_firing(&mut next, still, now, policy),
    };
    (next, event)
}

fn active_while_clear(next: &mut State, still: Millis, now: Instant, policy: &Policy) -> Option<Event> {
    if next.streak == 0 {
        next.streak_since = now;
    }
    next.streak = next.streak.saturating_add(1);
    let reached = match policy.raise {
        Raise::Ticks(ticks) if ticks > 1 && is_planted(Planted::DebounceOffByOne) => {
            next.streak.saturating_add(1) >= ticks
        }
        Raise::Ticks(ticks) => next.streak >= ticks,
        Raise::For(span) => now.since(next.streak_since) >= span,
    };
    if !reached {
        return next.after_stillness(still, now, policy);
    }
    let change = next.fire(now, policy);
    Some(next.after_change(change, now, policy))
}

fn active_while_firing(next: &mut State, still: Millis, now: Instant, policy: &Policy) -> Option<Event> {
    next.streak = 0;
    next.after_stillness(still, now, policy)
        .or_else(|| next.remind(now, policy))
}

fn clear_while_firing(next: &mut State, still: Millis, now: Instant, policy: &Policy) -> Option<Event> {
    next.streak = next.streak.saturating_add(1);
    if next.streak < policy.clear_ticks {
        return next.after_stillness(still, now, policy);
    }
    let change = next.resolve(now);
    Some(next.after_change(change, now, policy))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const POLICY: Policy = Policy {
        interval: Millis::from_secs(15),
        raise: Raise::Ticks(3),
        clear_ticks: 2,
        cooldown: Some(Millis::from_secs(4 * 3600)),
        flap_changes: 6,
        flap_window: Millis::from_secs(1800),
    };

    /// Feeds one letter a tick (`a`ctive, `c`lear, `u`nknown) and collects (tick, event).
    fn run(letters: &str, policy: &Policy) -> (State, Vec<(usize, Event)>) {
        let mut state = State::NEW;
        let mut events = Vec::new();
        for (tick, letter) in letters.chars().enumerate() {
            let now = Instant::from_millis(policy.interval.as_millis() * tick as u64);
            let observation = match letter {
                'a' => Observation::Active,
                'c' => Observation::Clear,
                _ => Observation::Unknown,
            };
            let (next, event) = decide(observation, &state, now, policy);
            state = next;
            events.extend(event.map(|event| (tick, event)));
        }
        (state, events)
    }

    /// Rule 1: it fires on the K-th active in a row, never earlier.
    #[test]
    fn fires_on_the_kth_active_in_a_row() {
        let fired = Event::Firing {
            checks: 3,
            within: Millis::from_secs(45),
        };
        assert_eq!(run("aaa", &POLICY).1, [(2, fired)]);
        assert_eq!(run("aacaa", &POLICY).1, []);
        assert_eq!(run("aacaaa", &POLICY).1, [(5, fired)]);
    }

    /// A firing that is the change that makes it flap is known by its own looks, not by those of the firing before.
    #[test]
    fn a_firing_that_makes_it_flap_keeps_its_figures() {
        let policy = Policy {
            flap_changes: 3,
            clear_ticks: 1,
            ..POLICY
        };
        let (state, events) = run("aaacauauua", &policy);
        assert_eq!(events.last(), Some(&(9, Event::Flapping { changes: 3 })));
        assert_eq!(state.fired_by(), (3, Millis::from_secs(90)));
    }

    /// Rule 4: unknown neither counts nor resets.
    #[test]
    fn unknown_holds_the_count() {
        let events = run("auaua", &POLICY).1;
        assert_eq!(
            events,
            [(
                4,
                Event::Firing {
                    checks: 3,
                    within: Millis::from_secs(75)
                }
            )]
        );
        assert_eq!(run("aaacuuuc", &POLICY).1.len(), 2);
    }

    /// Rule 3: it resolves on the M-th clear in a row, once.
    #[test]
    fn resolves_once_with_its_duration() {
        let events = run("aaacaccccc", &POLICY).1;
        assert_eq!(events.len(), 2);
        assert_eq!(
            events[1],
            (
                6,
                Event::Resolved {
                    lasted: Millis::from_secs(60)
                }
            )
        );
    }

    /// Rule 2: the first reminder after the cooldown, each next after twice the gap, at most a day apart.
    #[test]
    fn reminds_ever_more_slowly() {
        let policy = Policy {
            interval: Millis::from_secs(3600),
            raise: Raise::Ticks(1),
            ..POLICY
        };
        let letters: std::string::String = "a".repeat(100);
        let at: Vec<usize> = run(&letters, &policy)
            .1
            .into_iter()
            .skip(1)
            .map(|(tick, _)| tick)
            .collect();
        assert_eq!(at, [4, 12, 28, 52, 76]);
        let silent = Policy {
            cooldown: None,
            ..policy
        };
        assert_eq!(run(&letters, &silent).1.len(), 1);
    }

    /// Only an active look reminds: a due reminder waits out the unknown.
    #[test]
    fn unknown_does_not_remind() {
        let policy = Policy {
            interval: Millis::from_secs(3600),
            raise: Raise::Ticks(1),
            ..POLICY
        };
        let events = run("auuuuuuua", &policy).1;
        assert_eq!(
            events[1],
            (
                8,
                Event::StillFiring {
                    lasted: Millis::from_secs(8 * 3600)
                }
            )
        );
    }

    /// Rule 5: the change that is one too many is told as flapping; a still window ends it.
    #[test]
    fn flaps_and_becomes_stable() {
        let policy = Policy {
            raise: Raise::Ticks(1),
            clear_ticks: 1,
            flap_window: Millis::from_secs(90),
            ..POLICY
        };
        let (state, events) = run("acacacccccccc", &policy);
        assert_eq!(events[5], (5, Event::Flapping { changes: 6 }));
        assert_eq!(events[6], (11, Event::Stable));
        assert_eq!(events.len(), 7);
        assert!(!state.is_flapping());
    }

    /// While it flaps, unknown time does not count as still.
    #[test]
    fn unknown_time_is_not_still() {
        let policy = Policy {
            raise: Raise::Ticks(1),
            clear_ticks: 1,
            flap_window: Millis::from_secs(90),
            ..POLICY
        };
        let events = run("acacacuuuuuuuuuuuccccccc", &policy).1;
        assert_eq!(events[6], (23, Event::Stable));
    }

    /// Rule 6: a gap of over three intervals resets what was in progress, never a firing state.
    #[test]
    fn a_jump_of_time_resets_counts_alone() {
        let at = |secs: u64| Instant::from_millis(secs * 1000);
        let (state, _) = decide(Observation::Active, &State::NEW, at(0), &POLICY);
        let (state, _) = decide(Observation::Active, &state, at(15), &POLICY);
        let (jumped, event) = decide(Observation::Active, &state, at(15 + 46), &POLICY);
        assert_eq!((event, jumped.is_pending()), (None, true));
        let (_, event) = decide(Observation::Active, &state, at(15 + 45), &POLICY);
        assert!(matches!(event, Some(Event::Firing { checks: 3, .. })));
    }

    /// A hold time replaces K: it fires once active without a clear for so long.
    #[test]
    fn a_hold_time_replaces_the_count() {
        let policy = Policy {
            raise: Raise::For(Millis::from_secs(60)),
            ..POLICY
        };
        assert_eq!(
            run("aaaaa", &policy).1,
            [(
                4,
                Event::Firing {
                    checks: 5,
                    within: Millis::from_secs(75)
                }
            )]
        );
        assert_eq!(run("aaacaaaa", &policy).1, []);
    }

    /// The least limits are one observation, whatever the policy says.
    #[test]
    fn zero_ticks_count_as_one() {
        let policy = Policy {
            raise: Raise::Ticks(0),
            clear_ticks: 0,
            ..POLICY
        };
        assert_eq!(run("cac", &policy).1.len(), 2);
    }
}

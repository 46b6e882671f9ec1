//! What events do to a container: a signal, a stop, a death and its wait for an intent, a start, a health check's word.
//!
//! Nothing is decided here but what an event alone can tell; the next list and the next look have their say. Tests:
//! `tests/events.rs`.

use super::{Container, Died, End, Followed, INTENT_WAIT, Looks, Wish};
use crate::probe::docker::state::{Health, State};
use crate::time::Instant;

/// What events do to a container.
impl Container {
    /// A `kill` was sent.
    pub(in super::super) fn on_kill(&mut self, signal: Option<u8>, ns: i64) {
        self.signs.killed_by = signal.map(|signal| (signal, ns)).or(self.signs.killed_by);
    }

    /// Someone stopped it, also if its death was already taken for its own.
    pub(in super::super) fn on_stop(&mut self, ns: i64) {
        self.signs.stopped_ns = Some(ns);
        if self.end == End::ByItself && self.signs.died.is_some() && self.is_intended() {
            self.end = End::OnPurpose;
            self.has_news = false;
        }
    }

    /// It died; why is judged after [`INTENT_WAIT`].
    pub(in super::super) fn on_die(&mut self, ns: i64, now: Instant) {
        self.signs.died = Some(Died {
            at: now,
            ns,
            followed: Followed::NotYet,
        });
        self.signs.heard = Some(now);
        if self.end != End::None {
            // The list was quicker and its end was judged without this: once more, when the wait is over.
            self.end = End::Open;
        }
    }

    /// The kernel killed in it.
    pub(in super::super) fn on_oom(&mut self, ns: i64, now: Instant) {
        self.oom.at = Some(now);
        self.oom.counted = true;
        self.oom.heard_ns = Some(ns);
        self.has_news = true;
    }

    /// It started: what went before means nothing any more.
    pub(in super::super) fn on_start(&mut self, now: Instant) {
        if self.was_listed && self.signs.died.is_some() {
            self.note_restart();
        }
        self.begin_life();
        self.signs.heard = Some(now);
        self.oom.counted = false;
        self.has_news = false;
        self.seen.state = State::Running;
        self.seen.health = Health::None;
        self.seen.code = None;
        self.seen.age_s = Some(0);
        self.wish = self.wish.max(Wish::Soon);
    }

    /// Its health check said something new.
    pub(in super::super) fn on_health(&mut self, health: Health, looks: Looks, now: Instant) {
        let was_unhealthy = self.is_unhealthy();
        self.signs.heard = Some(now);
        self.seen.health = health;
        if self.is_unhealthy() && !was_unhealthy {
            // Its last output is asked for before the fact is told; where that is refused it is told without.
            self.has_news = looks == Looks::Refused;
            self.wish = Wish::AtOnce;
        }
    }

    /// Tells when its death must be followed up, if one waits.
    pub(in super::super) fn deadline(&self) -> Option<Instant> {
        let died = self.signs.died?;
        (died.followed == Followed::NotYet).then(|| died.at.after(INTENT_WAIT))
    }

    /// Follows a death up whose wait is over: one without intent is looked at at once, for only inspect knows whether
    /// its restart policy brings it back.
    pub(in super::super) fn wake(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if let Some(died) = &mut self.signs.died {
            died.followed = Followed::Up;
        }
        if !self.is_intended() {
            self.wish = Wish::AtOnce;
        }
        if self.end == End::Open {
            self.end = self.why_ended_by(false, now);
        }
    }
}

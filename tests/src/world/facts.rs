//! What the engine states as a fact between two ticks: it is to be decided at once, not at the next tick.
//!
//! `oom` by itself, with the event that tells it; a `die` once the wait for an intent and one look at the container are
//! through; `unhealthy` once that look is. Nothing is demanded of what comes while a tick is under way, or while facts
//! are not trusted at once, or where something could be missed or a look fared badly; the whole looks of the ticks
//! are demanded anyway (`containers.rs`).

use super::container::{Cause, LISTED, NAMES, State};
use super::containers::{DOWN, Judge, KINDS, OOM, UNHEALTHY};
use super::engine::Engine;
use super::options::TIMEOUT_MS;
use super::stream::Happened;
use super::truth::Level;

/// How long a death waits for an intent to come.
const INTENT_WAIT_MS: u64 = 150;
/// What was asked for by a signal that long ago, or was missed then, says nothing of an end now.
const OVERTAKEN_MS: u64 = 120_000;

impl Judge {
    /// The machine has this event: is it one that leads to a firing before the next tick?
    pub(super) fn heard_fact(&mut self, event: &Happened, engine: &Engine, now: u64) {
        let kind = match event.action.as_str() {
            "die" => DOWN,
            "health_status: unhealthy" => UNHEALTHY,
            "oom" => OOM,
            _ => return,
        };
        let is_present = engine.containers[event.place].id == event.id;
        let has_room = !self.crowd || (kind == DOWN && event.place < LISTED);
        let truth = &mut self.truths[event.place];
        // What was paused is known to run again from the next list on.
        let is_known = kind != UNHEALTHY || truth.listed_running_at.is_some_and(|at| at > truth.stood_at);
        if is_present && !event.is_old(now) && has_room && is_known && self.is_trusting(kind, now) {
            self.truths[event.place].facts[kind] = Some(now);
        }
    }

    /// Whether a fact that is heard now is to be decided now.
    fn is_trusting(&self, kind: usize, now: u64) -> bool {
        // One that comes in the very moment of the next tick belongs to that.
        let is_between = self.tick_began <= self.last_tick && now < self.tick_began + self.interval_ms;
        let is_trusted = self.has_list && !self.was_holding && self.ticks_since_release > self.raise_ticks;
        let can_look = kind == OOM || self.inspect_gap_at < self.tick_began;
        let is_steady = self.gap_at + OVERTAKEN_MS < now && self.replayed_at < self.tick_began;
        is_between && is_trusted && can_look && is_steady
    }

    /// Holds what fires against the facts that were heard; to be called behind each step.
    ///
    /// # Errors
    /// One was not decided in time.
    pub fn facts(
        &mut self,
        engine: &Engine,
        is_firing: impl Fn(&str) -> bool,
        now: u64,
    ) -> Result<(), String> {
        for (place, name) in NAMES.iter().enumerate() {
            for kind in [DOWN, UNHEALTHY, OOM] {
                let Some(since) = self.truths[place].facts[kind] else {
                    continue;
                };
                let id = format!("{}:{name}", KINDS[kind]);
                let fires = is_firing(&id);
                self.told += u64::from(fires);
                if fires || !self.still_stands(place, kind, since, engine) {
                    self.truths[place].facts[kind] = None;
                } else if now > since + Self::allowed_ms(kind) || kind == OOM {
                    return Err(format!(
                        "{id} was stated as a fact at {since} ms, between two ticks, and does not fire"
                    ));
                }
            }
        }
        Ok(())
    }

    const fn allowed_ms(kind: usize) -> u64 {
        match kind {
            DOWN => INTENT_WAIT_MS + TIMEOUT_MS,
            UNHEALTHY => TIMEOUT_MS,
            _ => 0,
        }
    }

    /// Whether what was heard at this time is still so, and nothing came between: a tick, which decides it with all else, or
    /// something that is in the way of a look.
    fn still_stands(&self, place: usize, kind: usize, since: u64, engine: &Engine) -> bool {
        let (one, truth) = (&engine.containers[place], &self.truths[place]);
        let is_undisturbed =
            self.tick_began <= since && self.gap_at < since && (kind == OOM || self.inspect_gap_at < since);
        let is_so = truth.lines[kind].since().1 == Level::Must;
        let is_end = one.state == State::Exited
            && one.cause == Cause::Itself
            && (one.code != 0 || place < LISTED)
            && truth.death.is_some_and(|death| death.die_heard_at.is_some());
        is_undisturbed && is_so && (kind != DOWN || is_end)
    }
}

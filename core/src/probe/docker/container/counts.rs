//! What looks at a container count: restarts, and kills for want of memory.
//!
//! A look is held against the one before; what an event or a list has shown already must not count again. Tests:
//! `tests/inspections.rs`, `tests/events.rs`.

use super::{Circumstances, Container, End, Looked, Unlooked, before, utc_of};
use crate::limits::RESTARTS_WINDOW;
use crate::planted::{Planted, is_planted};
use crate::probe::docker::exit::ExitCode;
use crate::probe::docker::inspect::Inspection;
use crate::probe::docker::state::State;

impl Container {
    /// Restarts by policy are counted by the engine, when the life before ends and not when the next begins, and its count
    /// begins anew at each manual start; a start that it did not count shows in `StartedAt` alone. A life that lasted longer
    /// than the window began before it, and is no restart of late whenever it is seen.
    pub(super) fn count_restarts(&mut self, said: &Inspection, around: &Circumstances) {
        let now = around.now;
        let looked = Looked {
            at: now,
            state: said.state,
            started: said.started,
            restart_count: said.restart_count,
        };
        if said.state == State::Restarting && self.seen.state == State::Running && self.was_listed {
            self.note_restart();
        }
        let unlooked = core::mem::take(&mut self.unlooked);
        let Some(before) = self.looked.replace(looked) else {
            // There is nothing to hold its counts against, which may be of long ago: what was seen is one.
            let count = u64::from(unlooked == Unlooked::Restarted);
            self.restarts.add(count, before(around), now);
            return;
        };
        let has_started = matches!((before.started, said.started), (Some(old), Some(new)) if old != new);
        let is_long_ago = said.lived().is_some_and(|lived| lived >= RESTARTS_WINDOW);
        let count = match (before.restart_count, said.restart_count) {
            _ if is_long_ago => 0,
            (Some(old), Some(new)) if new > old => new.saturating_sub(old),
            (Some(old), Some(new)) if new < old => new,
            _ if before.state == State::Restarting && !is_planted(Planted::RestartTwice) => 0,
            _ => u64::from(has_started),
        };
        self.oom.counted &= !has_started;
        self.restarts.add(count, before.at, now);
    }

    /// A restart was seen; if the next look has nothing to show it by, it is to count all the same.
    pub(super) fn note_restart(&mut self) {
        if self.looked.is_none() && self.unlooked == Unlooked::None {
            self.unlooked = Unlooked::Restarted;
        }
    }

    /// The engine's word holds for a whole life; it counts once in it, and not at all if it was there before us or an event of
    /// the same life has told it.
    pub(super) fn count_oom(&mut self, said: &Inspection, around: &Circumstances) {
        let heard = self.oom.heard_ns.map(utc_of);
        let was_heard =
            matches!((heard, said.started), (Some(heard), Some(started)) if heard.nanos_since(started) >= 0);
        let was_before = self.end == End::Before;
        let guessed = is_planted(Planted::OomGuessed) && said.code == Some(ExitCode(137));
        let told = said.oom_killed && !is_planted(Planted::OomFlagIgnored);
        if (told || guessed) && !self.oom.counted && !was_heard && !was_before {
            self.oom.at = Some(around.now);
            self.has_news = true;
        }
        self.oom.counted = said.oom_killed;
    }
}

//! What the machine's looks at one container have shown it: restarts, and the engine's word of a kill.
//!
//! A look counts that the machine is sure to have taken: no event came behind it, and since the look that it is held against
//! nothing could be missed. Restarts between two such looks stand where the first of them may have been, so that a
//! machine which notices them later counts them for longer, not shorter.

use super::container::{Container, State};

const MINUTE: u64 = 60_000;
/// The window of `container_restarting`, and how long a kill for want of memory is remembered.
pub(super) const WINDOW: u64 = 10 * MINUTE;
/// As many restarts within [`WINDOW`] are a loop.
const RESTARTS: usize = 3;

/// What the engine answered to one look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The container's place.
    pub place: usize,
    pub(super) id: u64,
    /// When the engine said so.
    pub(super) at: u64,
    state: State,
    pub(super) started_at: u64,
    restart_count: u64,
    oom_killed: bool,
}

impl Look {
    /// What a look at this container shows now.
    pub fn at(one: &Container, now: u64) -> Self {
        Self {
            place: one.place,
            id: one.id,
            at: now,
            state: one.state,
            started_at: one.started_at,
            restart_count: one.restart_count,
            oom_killed: one.oom_killed,
        }
    }

    /// How many restarts this shows at least, beside an earlier look: by policy, or one that only its time shows.
    fn restarts_since(&self, before: &Self) -> u64 {
        let (old, new) = (before.restart_count, self.restart_count);
        match () {
            () if new > old => new - old,
            () if new < old => new,
            // That of one that was restarting is counted.
            () => u64::from(self.started_at != before.started_at && before.state != State::Restarting),
        }
    }

    /// Whether this shows a kill that the earlier look did not.
    fn shows_new_kill(&self, before: &Self) -> bool {
        let is_same_life = self.started_at == before.started_at;
        self.oom_killed && before.state == State::Running && !(is_same_life && before.oom_killed)
    }
}

/// What looks at one container have shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    /// The last one, and when the machine had it.
    last: Option<(Look, u64)>,
    /// The restarts that it has seen.
    restarts: Vec<u64>,
    /// When it saw a kill that no event had told.
    killed_at: Option<u64>,
}

impl Looks {
    /// The machine has taken this look. What it had by `known_from` says nothing any more. `is_kill_news` tells whether there was
    /// a kill since an earlier look, had at that time, of which no event told.
    pub(super) fn take(
        &mut self,
        look: Look,
        known_from: u64,
        now: u64,
        is_kill_news: impl Fn(&Look, u64) -> bool,
    ) {
        let before = self.last.replace((look, now));
        let Some((before, had_at)) = before.filter(|(_, had_at)| *had_at > known_from) else {
            return;
        };
        let seen = look.restarts_since(&before);
        // Of more in a longer time only the last is known to be recent.
        let early = if now - had_at < WINDOW {
            seen.saturating_sub(1)
        } else {
            0
        };
        for _ in 0..early.min(RESTARTS as u64) {
            self.restarts.push(before.at);
        }
        if seen > 0 {
            self.restarts.push(before.at.max(look.started_at));
        }
        self.restarts.retain(|at| now - at < WINDOW);
        if look.shows_new_kill(&before) && is_kill_news(&before, had_at) {
            self.killed_at = Some(now);
        }
    }

    /// It is another container.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether the machine has seen a restart loop.
    pub(super) fn show_loop(&self, now: u64) -> bool {
        let recent = self.restarts.iter().filter(|at| now - **at < WINDOW);
        recent.count() >= RESTARTS
    }

    /// Whether the machine has seen a kill for want of memory of late.
    pub(super) fn show_kill(&self, now: u64) -> bool {
        self.killed_at.is_some_and(|at| now < at + WINDOW)
    }
}

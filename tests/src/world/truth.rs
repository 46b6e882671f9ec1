//! The truth of one container: spans of time in which each of its signals was so, was not, or may have been taken for it.
//!
//! It is made of what happened at the engine and of what reached the machine; it never knows what the machine says, which
//! is the judge's business (`containers.rs`).

use super::container::{Cause, Container, Health, LISTED, State};
use super::looks::Looks;

const MINUTE: u64 = 60_000;
/// How long after its last cause a signal of ten minutes' memory may still come up late.
const LONG_AGO: u64 = 70 * MINUTE;

/// What is true of one signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It is not active, and is to resolve.
    Clear,
    /// It is not active, but may not be seen to be over.
    Quiet,
    /// The machine may take it for active or not: what would show it may be lost.
    May,
    /// It is active.
    Must,
}

/// Spans of time, each with its truth.
#[derive(Clone, Debug)]
pub(super) struct Line(pub(super) Vec<(u64, Level)>);

impl Line {
    pub(super) fn set(&mut self, now: u64, level: Level) {
        if self.0.last().is_some_and(|(_, last)| *last == level) {
            return;
        }
        self.0.push((now, level));
        if self.0.len() > 64 {
            self.0.remove(0);
        }
    }

    /// Since when it has been what it is.
    pub(super) fn since(&self) -> (u64, Level) {
        self.0.last().copied().unwrap_or((0, Level::May))
    }

    /// Everything that it was from then on.
    pub(super) fn from(&self, from: u64) -> impl Iterator<Item = Level> + '_ {
        let ends = self.0.iter().skip(1).map(|(at, _)| *at).chain([u64::MAX]);
        self.0
            .iter()
            .zip(ends)
            .filter(move |(_, end)| *end >= from)
            .map(|((_, level), _)| *level)
    }
}

/// Whole looks in a row that began after a truth did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streak {
    pub(super) since: u64,
    pub(super) level: Level,
    pub(super) looks: u32,
}

impl Streak {
    pub(super) const NONE: Self = Self {
        since: u64::MAX,
        level: Level::May,
        looks: 0,
    };
}

/// One kill for want of memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oom {
    pub(super) at: u64,
    pub(super) number: u64,
    pub(super) id: u64,
    pub(super) heard_at: Option<u64>,
    /// Whether its container was there when the event came.
    pub(super) was_present: bool,
}

/// The last end of a container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death {
    pub(super) at: u64,
    /// The machine has the event.
    pub(super) die_heard_at: Option<u64>,
    /// A whole list showed it running before and ended after, and nothing was missed in between.
    pub(super) steady_at: Option<u64>,
}

/// What is true of one name.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    pub(super) lines: [Line; 4],
    /// Whether a fact of `container_down` stood: an end by itself.
    pub(super) fact: Line,
    pub(super) life: (u64, u64),
    pub(super) death: Option<Death>,
    pub(super) kill_heard: bool,
    pub(super) heard_at: u64,
    /// When the oldest event of the history that came since the newest list happened.
    pub(super) replayed_from: u64,
    pub(super) listed_running_at: Option<u64>,
    pub(super) ooms: Vec<Oom>,
    /// When a kill was last told by an event.
    pub(super) oom_heard_at: u64,
    /// When the engine's word of a kill was last to be had, and whether it is now.
    pub(super) flagged: (u64, bool),
    /// Restarts: when it ended to be started again, or when it was started if that was not seen before.
    pub(super) starts: Vec<u64>,
    is_start_counted: bool,
    pub(super) looks: Looks,
    /// When a list last came without it.
    pub(super) missed_at: u64,
    /// When it last was not running.
    pub(super) stood_at: u64,
    /// Facts that came between two ticks and are to be decided at once: when, for each kind.
    pub(super) facts: [Option<u64>; 4],
    /// Whole looks in a row that began after the present truth, for each kind.
    pub(super) streaks: [Streak; 4],
    /// Whole looks in a row of which each may have shown it not running.
    pub(super) down_looks: u32,
}

impl Level {
    const fn rank(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::Quiet => 1,
            Self::May => 2,
            Self::Must => 3,
        }
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.rank().partial_cmp(&other.rank())
    }
}

impl Truth {
    /// All is well.
    pub(super) fn new() -> Self {
        let line = Line(vec![(0, Level::Clear)]);
        Self {
            lines: [(); 4].map(|()| line.clone()),
            fact: line,
            life: (0, 0),
            death: None,
            kill_heard: false,
            heard_at: 0,
            replayed_from: u64::MAX,
            listed_running_at: None,
            ooms: Vec::new(),
            oom_heard_at: 0,
            flagged: (0, false),
            starts: Vec::new(),
            is_start_counted: false,
            looks: Looks::default(),
            missed_at: 0,
            stood_at: 0,
            facts: [None; 4],
            streaks: [Streak::NONE; 4],
            down_looks: 0,
        }
    }

    pub(super) fn note_life(&mut self, one: &Container, now: u64) {
        let life = (one.id, one.started_at);
        if life != self.life {
            let is_counted = std::mem::take(&mut self.is_start_counted);
            if life.0 == self.life.0 && !is_counted {
                self.starts.push(now);
            }
            if life.0 != self.life.0 {
                self.listed_running_at = None;
                self.looks.forget();
            }
            self.facts = [None; 4];
            (self.life, self.death, self.kill_heard) = (life, None, false);
        }
        if one.state == State::Restarting && !self.is_start_counted {
            self.is_start_counted = true;
            self.starts.push(now);
        }
        let is_over = matches!(one.state, State::Exited | State::Restarting | State::Dead);
        if is_over && self.death.is_none() {
            self.death = Some(Death {
                at: now,
                die_heard_at: None,
                steady_at: None,
            });
        }
        if one.state != State::Running {
            self.stood_at = now;
        }
        if self.flagged.1 {
            self.flagged.0 = now;
        }
        self.flagged.1 = one.oom_killed;
        self.starts.retain(|at| now - at < LONG_AGO);
        self.ooms
            .retain(|oom| now - oom.heard_at.unwrap_or(oom.at) < LONG_AGO);
    }

    pub(super) fn down(&self, one: &Container) -> Level {
        let is_listed = one.place < LISTED;
        match (one.state, one.cause) {
            (State::Running, _) => Level::Clear,
            _ if is_listed => Level::Must,
            (State::Exited, Cause::Itself) if one.code == 0 => Level::Quiet,
            (State::Exited, Cause::Itself) => {
                let death = self.death;
                let is_heard = death.is_some_and(|death| death.die_heard_at.is_some());
                let is_steady = death.is_some_and(|death| death.steady_at.is_some());
                let looks_stopped = matches!(one.code, 130 | 137 | 143);
                match () {
                    () if is_heard || (is_steady && !looks_stopped) => Level::Must,
                    () => Level::May,
                }
            }
            (State::Exited, Cause::Unclear) => Level::May,
            (State::Exited | State::Dead, Cause::Operator | Cause::Engine) => {
                // One that was made just now may be known by its end alone.
                let is_known = one.started_at > one.made_at + 300_000 || self.listed_running_at.is_some();
                match () {
                    () if self.kill_heard => Level::Quiet,
                    () if is_known && (one.code == 0 || self.looks_wanted(one)) => Level::Quiet,
                    () => Level::May,
                }
            }
            (State::Dead, _) => Level::May,
            (State::Absent | State::Created | State::Paused | State::Restarting, _) => Level::Clear,
        }
    }

    /// Whether the machine is to take its end for wanted: it has the event, or the code says so and no word of the kernel
    /// stands against it. Else, where the event was lost, it may take it for an end by itself.
    pub(super) const fn looks_wanted(&self, one: &Container) -> bool {
        match one.cause {
            Cause::Itself | Cause::Unclear => false,
            Cause::Operator | Cause::Engine => {
                self.kill_heard || (matches!(one.code, 130 | 137 | 143) && !one.oom_killed)
            }
        }
    }

    pub(super) fn restarting(&self, one: &Container, now: u64, gap_at: u64, interval_ms: u64) -> Level {
        let needs = 6 * interval_ms + 5 * MINUTE;
        let loops = one
            .loops_since
            .is_some_and(|since| now - since.max(gap_at) > needs);
        let quiet = 15 * MINUTE + 2 * interval_ms;
        match () {
            () if loops || (one.state != State::Absent && self.looks.show_loop(now)) => Level::Must,
            () if self.starts.iter().filter(|at| now - *at < quiet).count() >= 3 => Level::May,
            () if self.starts.len() >= 3 && now - gap_at < quiet => Level::May,
            () if self.starts.iter().any(|at| now - at < quiet) || now - gap_at < quiet => Level::Quiet,
            () => Level::Clear,
        }
    }

    pub(super) fn oom(&self, one: &Container, now: u64) -> Level {
        let is_present = one.state != State::Absent;
        let is_fresh = |oom: &Oom| oom.heard_at.is_some_and(|at| now < at + 10 * MINUTE);
        // A name's kill outlives its container, unless a list came between in which there was none of that name.
        let goes_on = |oom: &Oom| oom.was_present && oom.heard_at > Some(self.missed_at);
        let is_its = |oom: &Oom| oom.id == one.id || goes_on(oom);
        match () {
            () if is_present && self.ooms.iter().any(|oom| is_its(oom) && is_fresh(oom)) => Level::Must,
            () if is_present && self.looks.show_kill(now) => Level::Must,
            () if self
                .ooms
                .iter()
                .any(|oom| oom.heard_at.is_none() || is_fresh(oom)) =>
            {
                Level::May
            }
            // Whoever looked last at the engine's word remembers it for ten minutes.
            () if self.ooms.is_empty()
                && (one.oom_killed || (self.flagged.0 > 0 && now < self.flagged.0 + 10 * MINUTE)) =>
            {
                Level::May
            }
            () => Level::Clear,
        }
    }
}

/// Whether its health check says that it should not run.
pub(super) const fn unhealthy(one: &Container) -> Level {
    match (one.state, one.health) {
        (State::Running, Health::Unhealthy) => Level::Must,
        (State::Running, Health::None | Health::Healthy) => Level::Clear,
        (State::Running, Health::Starting) | (State::Paused | State::Restarting, _) => Level::Quiet,
        (State::Absent | State::Created | State::Exited | State::Dead, _) => Level::Clear,
    }
}

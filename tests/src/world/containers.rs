//! The judge of containers: what was true of each, and what of it had to be told, might be, or must not.
//!
//! The other signals are foretold event by event. What the machine can know of a container depends on races between
//! three requests and a stream, so here the truth is kept as spans of time, and each event is held against it: a truth
//! that stood before so many whole looks began must be firing, or be over; a firing without any truth behind it is false.

use super::container::{Cause, Container, Health, LISTED, NAMES, State};
use super::engine::Engine;
use super::options::Options;
use super::stream::Happened;

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
struct Line(Vec<(u64, Level)>);

impl Line {
    fn set(&mut self, now: u64, level: Level) {
        if self.0.last().is_some_and(|(_, last)| *last == level) {
            return;
        }
        self.0.push((now, level));
        if self.0.len() > 64 {
            self.0.remove(0);
        }
    }

    /// Since when it has been what it is.
    fn since(&self) -> (u64, Level) {
        self.0.last().copied().unwrap_or((0, Level::May))
    }

    /// Everything that it was from then on.
    fn from(&self, from: u64) -> impl Iterator<Item = Level> + '_ {
        let ends = self.0.iter().skip(1).map(|(at, _)| *at).chain([u64::MAX]);
        self.0
            .iter()
            .zip(ends)
            .filter(move |(_, end)| *end >= from)
            .map(|((_, level), _)| *level)
    }
}

/// The kinds of signals that a container has.
pub const KINDS: [&str; 4] = [
    "container_down",
    "container_unhealthy",
    "container_restarting",
    "container_oom",
];
const DOWN: usize = 0;
const RESTARTING: usize = 2;

const MINUTE: u64 = 60_000;
/// How long after its last cause a signal of ten minutes' memory may still come up late.
const LONG_AGO: u64 = 70 * MINUTE;

/// One kill for want of memory.
#[derive(Clone, Copy, Debug)]
struct Oom {
    at: u64,
    number: u64,
    id: u64,
    heard_at: Option<u64>,
}

/// The last end of a container.
#[derive(Clone, Copy, Debug)]
struct Death {
    at: u64,
    /// The machine has the event.
    die_heard_at: Option<u64>,
    /// A whole list showed it running before and ended after, and nothing was missed in between.
    steady_at: Option<u64>,
}

/// Whole looks in a row that began after a truth did.
#[derive(Clone, Copy, Debug)]
struct Streak {
    since: u64,
    level: Level,
    looks: u32,
}

impl Streak {
    const NONE: Self = Self {
        since: u64::MAX,
        level: Level::May,
        looks: 0,
    };
}

/// What is true of one name.
#[derive(Clone, Debug)]
struct Truth {
    lines: [Line; 4],
    /// Whether a fact of `container_down` stood: an end by itself.
    fact: Line,
    life: (u64, u64),
    death: Option<Death>,
    kill_heard: bool,
    heard_at: u64,
    /// When the oldest event of the history that came since the newest list happened.
    replayed_from: u64,
    listed_running_at: Option<u64>,
    ooms: Vec<Oom>,
    /// When the engine's word of a kill was last to be had, and whether it is now.
    flagged: (u64, bool),
    starts: Vec<u64>,
    /// Whole looks in a row that began after the present truth, for each kind.
    streaks: [Streak; 4],
    /// Whole looks in a row of which each may have shown it not running.
    down_looks: u32,
}

/// The list that was delivered.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When the engine made it.
    pub at: u64,
    /// Each container's id and whether it ran.
    rows: Vec<(u64, State)>,
}

impl Snapshot {
    /// What the list shows now.
    pub fn of(engine: &Engine, now: u64) -> Self {
        let rows = engine.containers.iter().map(|one| (one.id, one.state));
        Self {
            at: now,
            rows: rows.collect(),
        }
    }
}

/// The judge of all containers.
#[derive(Clone, Debug)]
pub struct Judge {
    truths: Vec<Truth>,
    raise_ticks: u32,
    clear_ticks: u32,
    interval_ms: u64,
    crowd: bool,
    list_at: u64,
    events_from: u64,
    /// When the tick under way, or the last one, began.
    pub tick_began: u64,
    last_tick: u64,
    /// The last time at which something could have been missed.
    pub gap_at: u64,
    /// The last time at which an inspection did not fare well.
    pub inspect_gap_at: u64,
    /// When the last old event came, after a reconnect: what it says is overtaken until the next list.
    replayed_at: u64,
    was_holding: bool,
    ticks_since_release: u32,
    /// Truths that had to be told, and were.
    pub told: u64,
    events_seen: u64,
}

impl Judge {
    /// All is well.
    pub fn new(options: &Options) -> Self {
        let line = Line(vec![(0, Level::Clear)]);
        let truth = Truth {
            lines: [(); 4].map(|()| line.clone()),
            fact: line,
            life: (0, 0),
            death: None,
            kill_heard: false,
            heard_at: 0,
            replayed_from: u64::MAX,
            listed_running_at: None,
            ooms: Vec::new(),
            flagged: (0, false),
            starts: Vec::new(),
            streaks: [Streak::NONE; 4],
            down_looks: 0,
        };
        Self {
            truths: vec![truth; NAMES.len()],
            raise_ticks: options.raise_ticks,
            clear_ticks: options.clear_ticks,
            interval_ms: options.interval_ms,
            crowd: options.crowd,
            list_at: 0,
            events_from: u64::MAX,
            tick_began: 0,
            last_tick: 0,
            gap_at: 0,
            inspect_gap_at: 0,
            replayed_at: 0,
            was_holding: false,
            ticks_since_release: u32::MAX,
            told: 0,
            events_seen: 0,
        }
    }

    /// Takes notice of what is true now.
    pub fn observe(&mut self, engine: &Engine, now: u64) {
        for event in engine.events_from(self.events_seen) {
            if event.action == "oom" {
                self.truths[event.place].ooms.push(Oom {
                    at: now,
                    number: event.number,
                    id: event.id,
                    heard_at: None,
                });
            }
        }
        self.events_seen = engine.numbered;
        for one in &engine.containers {
            let truth = &mut self.truths[one.place];
            truth.note_life(one, now);
            let (gap, inspect_gap) = (self.gap_at, self.inspect_gap_at);
            let levels = [
                truth.down(one),
                unhealthy(one),
                truth.restarting(one, now, gap.max(inspect_gap), self.interval_ms),
                truth.oom(one, now),
            ];
            for (line, level) in truth.lines.iter_mut().zip(levels) {
                line.set(now, level);
            }
            let is_over = matches!(one.state, State::Exited | State::Dead);
            let is_fact = is_over && !truth.looks_wanted(one);
            truth
                .fact
                .set(now, if is_fact { Level::Must } else { Level::Clear });
        }
    }

    /// The machine has these events, which the engine sent at `sent_at`.
    pub fn heard(&mut self, event: &Happened, sent_at: u64, now: u64, engine: &Engine) {
        self.events_from = self.events_from.min(sent_at);
        if event.is_old(now) {
            self.replayed_at = now;
        }
        let truth = &mut self.truths[event.place];
        if event.is_old(now) {
            truth.replayed_from = truth.replayed_from.min(event.at());
        }
        truth.heard_at = now;
        let is_present = engine.containers[event.place].id == event.id;
        match event.action.as_str() {
            "oom" => {
                // It may come from the history long after it was.
                truth.ooms.retain(|oom| oom.number != event.number);
                truth.ooms.push(Oom {
                    at: now,
                    number: event.number,
                    id: event.id,
                    heard_at: Some(now),
                });
            }
            // The last signal counts: whoever sends another changed their mind.
            "kill" if is_present => truth.kill_heard = event.asks_to_end,
            "start" if is_present => truth.kill_heard = false,
            "die" if is_present => {
                if let Some(death) = &mut truth.death
                    && engine.is_last_die(event)
                {
                    death.die_heard_at.get_or_insert(now);
                }
            }
            _ => {}
        }
        self.observe(engine, now);
    }

    /// The machine has this list.
    pub fn listed(&mut self, snapshot: &Snapshot, now: u64) {
        self.list_at = snapshot.at;
        self.events_from = u64::MAX;
        let gap_at = self.gap_at;
        let tick_began = self.tick_began;
        for (truth, (id, state)) in self.truths.iter_mut().zip(&snapshot.rows) {
            if let Some(death) = &mut truth.death
                && death.at < snapshot.at
                && truth.listed_running_at.is_some_and(|at| at > gap_at)
                && truth.heard_at < tick_began
                && *state == State::Exited
                && *id == truth.life.0
            {
                death.steady_at.get_or_insert(now);
            }
            truth.replayed_from = u64::MAX;
            let runs = *state == State::Running && *id == truth.life.0;
            truth.listed_running_at = runs.then_some(snapshot.at);
        }
    }

    /// A tick ended, with a whole list or without; `holding`: the engine holds its containers' signals.
    pub fn tick(&mut self, has_list: bool, holding: bool, now: u64) {
        if !has_list {
            self.gap_at = now;
        }
        let jumped = now - self.last_tick > 3 * self.interval_ms;
        self.last_tick = now;
        self.ticks_since_release = if holding {
            0
        } else if self.was_holding {
            1
        } else {
            self.ticks_since_release.saturating_add(1)
        };
        self.was_holding = holding;
        let replayed_at = self.replayed_at;
        let (began, list_at) = (self.tick_began, self.list_at.min(self.events_from));
        for truth in &mut self.truths {
            if holding || jumped {
                truth.down_looks = 0;
                truth.streaks = [Streak::NONE; 4];
            }
            if holding || !has_list {
                continue;
            }
            let was_down = truth.lines[DOWN].from(list_at).any(|level| level != Level::Clear);
            truth.down_looks = if was_down { truth.down_looks + 1 } else { 0 };
            // An event that comes behind the list starts another wait for its intent, or is older than what the list says.
            let is_undisturbed = replayed_at < began && truth.heard_at < began;
            for (line, streak) in truth.lines.iter().zip(&mut truth.streaks) {
                let (since, level) = line.since();
                // What waits for its intent is not decided yet.
                let counts = since + 200 < began && is_undisturbed;
                let goes_on = streak.since == since;
                *streak = Streak {
                    since,
                    level,
                    looks: if goes_on { streak.looks } else { 0 } + u32::from(counts),
                };
            }
        }
    }

    /// Holds what fires against what is true; to be called once a tick's events were logged.
    ///
    /// # Errors
    /// Something was not told in time, or goes on being told.
    pub fn verdict(&mut self, is_firing: impl Fn(&str) -> bool) -> Result<(), String> {
        let cautious = self.ticks_since_release <= self.raise_ticks;
        for (place, name) in NAMES.iter().enumerate() {
            for (kind, word) in KINDS.iter().enumerate() {
                let Streak { level, looks, .. } = self.truths[place].streaks[kind];
                let is_slow = kind == RESTARTING || (kind == DOWN && place < LISTED);
                let needed = if cautious || is_slow { self.raise_ticks } else { 1 };
                let id = format!("{word}:{name}");
                let has_room = !self.crowd || (kind == DOWN && place < LISTED);
                if level == Level::Must && looks >= needed && has_room {
                    if !is_firing(&id) {
                        return Err(format!(
                            "{id} has been true for {looks} whole looks and does not fire"
                        ));
                    }
                    self.told += u64::from(looks == needed);
                }
                if level == Level::Clear && looks >= self.clear_ticks && is_firing(&id) {
                    return Err(format!(
                        "{id} has been over for {looks} whole looks and still fires"
                    ));
                }
            }
        }
        Ok(())
    }

    /// A container's signal began or ended to fire.
    ///
    /// # Errors
    /// It was not so, or its engine holds it.
    pub fn changed(&self, id: &str, fires: bool, now: u64) -> Result<(), String> {
        let (word, name) = id.split_once(':').unwrap_or((id, ""));
        let kind = KINDS
            .iter()
            .position(|kind| *kind == word)
            .ok_or("no such kind")?;
        let place = NAMES
            .iter()
            .position(|known| *known == name)
            .ok_or("no such container")?;
        let truth = &self.truths[place];
        if self.was_holding {
            return Err(format!("{id} changed while its engine held it"));
        }
        // A look between two ticks may be older than the list, but by no more than an answer takes.
        let from = self.list_at.min(self.events_from).saturating_sub(1_000);
        if !fires {
            // An old event from the history that comes behind the list is taken for newer, until the next one.
            let is_replayed = self.replayed_at >= self.tick_began;
            return if !is_replayed && truth.lines[kind].from(from).all(|level| level == Level::Must) {
                Err(format!("{id} resolved and goes on"))
            } else {
                Ok(())
            };
        }
        // What the history tells may be overtaken by what it tells next.
        let from = from.min(truth.replayed_from);
        let is_true = if kind == DOWN && place < LISTED {
            truth.fact.from(from).any(|level| level == Level::Must) || truth.down_looks >= self.raise_ticks
        } else {
            truth.lines[kind].from(from).any(|level| level >= Level::May)
        };
        if is_true {
            Ok(())
        } else {
            let recent: Vec<_> = truth.lines[kind].0.iter().rev().take(4).collect();
            Err(format!(
                "{id} fires at {now} ms and is not so since {from} ms: {recent:?}, {:?}, {:?}, {:?}, {}",
                truth.death,
                truth.ooms,
                truth.fact.0.last(),
                truth.down_looks
            ))
        }
    }
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
    fn note_life(&mut self, one: &Container, now: u64) {
        let life = (one.id, one.started_at);
        if life != self.life {
            if life.0 == self.life.0 && life.1 != self.life.1 {
                self.starts.push(now);
            }
            if life.0 != self.life.0 {
                self.listed_running_at = None;
            }
            (self.life, self.death, self.kill_heard) = (life, None, false);
        }
        let is_over = matches!(one.state, State::Exited | State::Restarting | State::Dead);
        if is_over && self.death.is_none() {
            self.death = Some(Death {
                at: now,
                die_heard_at: None,
                steady_at: None,
            });
        }
        if self.flagged.1 {
            self.flagged.0 = now;
        }
        self.flagged.1 = one.oom_killed;
        self.starts.retain(|at| now - at < LONG_AGO);
        self.ooms
            .retain(|oom| now - oom.heard_at.unwrap_or(oom.at) < LONG_AGO);
    }

    fn down(&self, one: &Container) -> Level {
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
    const fn looks_wanted(&self, one: &Container) -> bool {
        match one.cause {
            Cause::Itself | Cause::Unclear => false,
            Cause::Operator | Cause::Engine => {
                self.kill_heard || (matches!(one.code, 130 | 137 | 143) && !one.oom_killed)
            }
        }
    }

    fn restarting(&self, one: &Container, now: u64, gap_at: u64, interval_ms: u64) -> Level {
        let needs = 6 * interval_ms + 5 * MINUTE;
        let loops = one
            .loops_since
            .is_some_and(|since| now - since.max(gap_at) > needs);
        let quiet = 15 * MINUTE + 2 * interval_ms;
        match () {
            () if loops => Level::Must,
            () if self.starts.len() >= 3 && self.starts.iter().any(|at| now - at < quiet) => Level::May,
            () if self.starts.len() >= 3 && now - gap_at < quiet => Level::May,
            () if self.starts.iter().any(|at| now - at < quiet) || now - gap_at < quiet => Level::Quiet,
            () => Level::Clear,
        }
    }

    fn oom(&self, one: &Container, now: u64) -> Level {
        let is_present = one.state != State::Absent;
        let is_fresh = |oom: &Oom| oom.heard_at.is_some_and(|at| now < at + 10 * MINUTE);
        match () {
            () if is_present && self.ooms.iter().any(|oom| oom.id == one.id && is_fresh(oom)) => Level::Must,
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

const fn unhealthy(one: &Container) -> Level {
    match (one.state, one.health) {
        (State::Running, Health::Unhealthy) => Level::Must,
        (State::Running, Health::None | Health::Healthy) => Level::Clear,
        (State::Running, Health::Starting) | (State::Paused | State::Restarting, _) => Level::Quiet,
        (State::Absent | State::Created | State::Exited | State::Dead, _) => Level::Clear,
    }
}

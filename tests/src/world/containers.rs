//! The judge of containers: what was true of each, and what of it had to be told, might be, or must not.
//!
//! The other signals are foretold event by event. What the machine can know of a container depends on races between
//! three requests and a stream, so here the truth is kept as spans of time, and each event is held against it: a truth
//! that stood before so many whole looks began must be firing, or be over; a firing without any truth behind it is false.

use super::container::{LISTED, NAMES, State};
use super::engine::Engine;
use super::looks::Look;
use super::options::Options;
use super::stream::Happened;
use super::truth::{Level, Oom, Streak, Truth, unhealthy};

/// The kinds of signals that a container has.
pub const KINDS: [&str; 4] = [
    "container_down",
    "container_unhealthy",
    "container_restarting",
    "container_oom",
];
pub(super) const DOWN: usize = 0;
pub(super) const UNHEALTHY: usize = 1;
const RESTARTING: usize = 2;
pub(super) const OOM: usize = 3;

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
    pub(super) truths: Vec<Truth>,
    pub(super) raise_ticks: u32,
    clear_ticks: u32,
    pub(super) interval_ms: u64,
    pub(super) crowd: bool,
    pub(super) list_at: u64,
    events_from: u64,
    /// When the tick under way, or the last one, began.
    pub tick_began: u64,
    pub(super) last_tick: u64,
    /// Whether it ended with a list.
    pub(super) has_list: bool,
    /// The last time at which something could have been missed.
    pub gap_at: u64,
    /// The last time at which an inspection did not fare well.
    pub inspect_gap_at: u64,
    /// When the last old event came, after a reconnect: what it says is overtaken until the next list.
    pub(super) replayed_at: u64,
    pub(super) was_holding: bool,
    pub(super) ticks_since_release: u32,
    /// Truths that had to be told, and were.
    pub told: u64,
    events_seen: u64,
}

impl Judge {
    /// All is well.
    pub fn new(options: &Options) -> Self {
        Self {
            truths: vec![Truth::new(); NAMES.len()],
            raise_ticks: options.raise_ticks,
            clear_ticks: options.clear_ticks,
            interval_ms: options.interval_ms,
            crowd: options.crowd,
            list_at: 0,
            events_from: u64::MAX,
            tick_began: 0,
            last_tick: 0,
            has_list: false,
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
                    was_present: false,
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
        // What was heard of it since may have overtaken the look.
        truth.facts.iter_mut().flatten().for_each(|since| *since = now);
        let is_present = engine.containers[event.place].id == event.id;
        match event.action.as_str() {
            "oom" => {
                // It may come from the history long after it was.
                truth.oom_heard_at = now;
                truth.ooms.retain(|oom| oom.number != event.number);
                truth.ooms.push(Oom {
                    at: now,
                    number: event.number,
                    id: event.id,
                    heard_at: Some(now),
                    was_present: is_present,
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
        self.heard_fact(event, engine, now);
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
            if *state == State::Absent {
                truth.missed_at = now;
            }
            let runs = *state == State::Running && *id == truth.life.0;
            truth.listed_running_at = runs.then_some(snapshot.at);
        }
    }

    /// The machine has this look, which it began at `asked_at`.
    pub fn looked(&mut self, look: Look, asked_at: u64, now: u64) {
        let truth = &mut self.truths[look.place];
        let gap_at = self.gap_at.max(self.inspect_gap_at);
        // One that an event overtook is made again. Behind a gap, the next list may forget what was looked at.
        if look.id != truth.life.0 || truth.heard_at >= asked_at || self.list_at <= self.gap_at {
            return;
        }
        // A kill that was told is what the engine's word is of, for as long as that life lasts.
        let (ooms, heard_at) = (&truth.ooms, truth.oom_heard_at);
        truth.looks.take(look, gap_at, now, |before, had_at| {
            let is_between =
                |oom: &Oom| oom.id == look.id && oom.at > before.at.max(look.started_at) && oom.at <= look.at;
            heard_at < had_at && ooms.iter().any(is_between)
        });
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
        self.has_list = has_list;
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
                    // What history tells for newer than the list may have fired once more.
                    looks: if goes_on && (is_undisturbed || level != Level::Clear) {
                        streak.looks
                    } else {
                        0
                    } + u32::from(counts),
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

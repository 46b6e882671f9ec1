//! The fixed table of signals: this tick's observations in, transitions out.
//!
//! Probes *stage* what they see; nothing counts until the tick is settled. A document that turns out to be no document
//! is taken back with [`Table::unstage_source`], a key that stands twice with [`Table::unstage`]. Signals known from
//! the configuration have their row from the start; a discovered subject has one only while there is something to say
//! about it, and what finds no room is counted in `table_full`. What is held is never evicted.
//!
//! Bounded: [`SIGNALS_MAX`] rows. Fuzz target: `table_ops`.

use core::fmt;

use heapless::Vec;

use crate::config::Config;
use crate::decide::{self, Event, State};
use crate::delivery::{Alert, Alerted, Audience, Ended, Incidents, Lines, Told};
use crate::limits::{CHANNELS_MAX, SIGNALS_MAX};
use crate::planted::{Planted, is_planted};
use crate::policy;
use crate::signal::{Kind, Observation, SignalId, Source};
use crate::text::{self, Detail, Hash, Subject};
use crate::time::{Instant, Millis};

/// The signals whose being active makes others unknown, in the order of [`Table::holds`].
const MASTERS: [Kind; 2] = [Kind::OrchDown, Kind::DockerDown];

/// What a probe saw of a signal in this tick.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Staged {
    observation: Observation,
    badness: f64,
    strength: Strength,
    detail: Detail,
}

/// How much one active observation weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Strength {
    /// It counts towards K.
    Polled,
    /// The engine states it as a fact: one is enough.
    Fact,
}

/// A signal's state as `/status` and `/metrics` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Shown {
    /// Nothing is wrong.
    Clear,
    /// Active, and not for long enough to fire.
    Pending,
    /// Firing.
    Firing,
    /// It could not be told.
    Unknown,
    /// Flapping.
    Flapping,
}

/// One signal.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Row {
    id: SignalId,
    /// Known from the configuration: the row stays.
    configured: bool,
    state: State,
    detail: Detail,
    incidents: Incidents,
    flap_changes: u8,
    last: Observation,
    shown_since: Instant,
    staged: Option<Staged>,
    event: Option<Event>,
    told: [Told; CHANNELS_MAX],
    alerted: Alerted,
    #[cfg(feature = "planted")]
    began_wall_ms: i64,
}

impl Row {
    const fn new(id: SignalId, configured: bool, now: Instant) -> Self {
        Self {
            id,
            configured,
            state: State::NEW,
            detail: Detail::new(),
            incidents: Incidents {
                number: 0,
                began: Instant::ZERO,
                ended: Ended {
                    at: Instant::ZERO,
                    lasted: Millis::ZERO,
                },
                firing: false,
                flapping: false,
            },
            flap_changes: 0,
            last: Observation::Unknown,
            shown_since: now,
            staged: None,
            event: None,
            told: [Told::NOTHING; CHANNELS_MAX],
            alerted: Alerted::NOTHING,
            #[cfg(feature = "planted")]
            began_wall_ms: 0,
        }
    }

    /// Tells the signal's id.
    #[must_use]
    pub const fn id(&self) -> &SignalId {
        &self.id
    }

    /// Tells the reason in words: of the newest active look while it is active, else what the last look said.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.detail.as_str()
    }

    /// Tells what the last settled look said.
    #[must_use]
    pub const fn observation(&self) -> Observation {
        self.last
    }

    /// Tells its firings.
    #[must_use]
    pub const fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Tells how many observations made it fire, and the time that they took.
    #[must_use]
    pub const fn fired_by(&self) -> (u16, Millis) {
        self.state.fired_by()
    }

    /// Tells the changes that made it flap.
    #[must_use]
    pub const fn flap_changes(&self) -> u8 {
        self.flap_changes
    }

    /// Tells the state that people are shown.
    #[must_use]
    pub const fn shown(&self) -> Shown {
        if self.state.is_flapping() {
            Shown::Flapping
        } else if self.state.is_firing() {
            Shown::Firing
        } else if self.state.is_pending() {
            Shown::Pending
        } else if self.state.is_known() {
            Shown::Clear
        } else {
            Shown::Unknown
        }
    }

    /// Tells for how long that state has been shown.
    #[must_use]
    pub const fn shown_for(&self, now: Instant) -> Millis {
        now.since(self.shown_since)
    }

    /// Tells what is left to tell a channel.
    #[must_use]
    pub fn lines(&self, channel: usize, config: &Config, now: Instant) -> Lines {
        self.told
            .get(channel)
            .map(|told| told.lines(&self.incidents, self.audience(config), now))
            .unwrap_or_default()
    }

    /// Tells whether the channels, the first so many, know the newest state.
    #[must_use]
    pub fn is_told(&self, channels: usize, config: &Config, now: Instant) -> bool {
        let audience = self.audience(config);
        self.told
            .iter()
            .take(channels)
            .all(|told| told.lines(&self.incidents, audience, now).is_empty())
    }

    /// Tells what an Alertmanager, by its place in the configuration, is to be sent in each round.
    ///
    /// What is held keeps its state, so a firing one goes on being sent under its master.
    #[must_use]
    pub fn alert(&self, place: usize, config: &Config) -> Option<Alert> {
        let goes_on = self.incidents.firing || self.incidents.flapping;
        match self.audience(config) {
            Audience::All if goes_on => Some(Alert::Firing),
            _ => self.alerted.is_believed(place).then_some(Alert::Over),
        }
    }

    /// Tells whether an Alertmanager, by its place in the configuration, knows the newest state.
    #[must_use]
    pub fn is_alerted(&self, place: usize, config: &Config) -> bool {
        match self.alert(place, config) {
            Some(Alert::Firing) => self.alerted.is_believed(place),
            Some(Alert::Over) => false,
            None => true,
        }
    }

    /// Tells what the Alertmanagers were told.
    #[must_use]
    pub const fn alerted(&self) -> &Alerted {
        &self.alerted
    }

    /// Tells what the Alertmanagers were told, to change it.
    pub const fn alerted_mut(&mut self) -> &mut Alerted {
        &mut self.alerted
    }

    fn audience(&self, config: &Config) -> Audience {
        if config.is_muted(self.id.kind, &self.id.subject) {
            Audience::Muted
        } else {
            Audience::All
        }
    }

    /// Takes the event that is to be logged, if there is one.
    pub const fn take_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    fn stage(
        &mut self,
        observation: Observation,
        badness: f64,
        strength: Strength,
        detail: fmt::Arguments<'_>,
    ) {
        let worse = self.staged.as_ref().is_none_or(|staged| {
            (observation, strength == Strength::Fact)
                > (staged.observation, staged.strength == Strength::Fact)
                || (observation == staged.observation && badness > staged.badness)
        });
        if worse {
            self.staged = Some(Staged {
                observation,
                badness,
                strength,
                detail: text::detail(detail),
            });
        }
    }

    /// Decides one observation.
    fn settle(
        &mut self,
        observation: Observation,
        now: Instant,
        policy: &decide::Policy,
        detail: Option<Detail>,
    ) {
        let before = self.shown();
        let (next, event) = decide::decide(observation, &self.state, now, policy);
        let (fired, resolved) = (
            !self.state.is_firing() && next.is_firing(),
            self.state.is_firing() && !next.is_firing(),
        );
        self.state = next;
        self.last = observation;
        if let Some(detail) = detail
            && (observation == Observation::Active || !self.state.is_firing())
        {
            self.detail = detail;
        }
        self.incidents.firing = self.state.is_firing();
        self.incidents.flapping = self.state.is_flapping();
        if fired {
            self.incidents.number = self.incidents.number.saturating_add(1);
            self.incidents.began = now;
            #[cfg(feature = "planted")]
            self.plant_beginning(now);
        }
        if resolved {
            self.note_end(now);
        }
        if let Some(event) = event {
            self.note_event(event);
        }
        if self.shown() != before {
            self.shown_since = now;
        }
    }

    fn note_end(&mut self, now: Instant) {
        self.incidents.ended = Ended {
            at: now,
            lasted: now.since(self.incidents.began),
        };
        #[cfg(feature = "planted")]
        self.plant_end(now);
        for told in &mut self.told {
            told.note_end(self.incidents.number, self.incidents.ended);
            // People get no line for the end of a cost that they were told of: it ends because the day did. One that they
            // were never told of is told late all the same.
            if self.id.kind == Kind::CostOver {
                told.forgo_end();
            }
        }
    }

    #[cfg(feature = "planted")]
    fn plant_beginning(&mut self, now: Instant) {
        self.began_wall_ms = crate::planted::wall_ms(now);
        if is_planted(Planted::SecondFiringLost) && self.incidents.number > 1 {
            let incidents = self.incidents;
            for told in &mut self.told {
                told.send(&incidents, Audience::All);
                told.accepted(now);
            }
        }
    }

    #[cfg(feature = "planted")]
    fn plant_end(&mut self, now: Instant) {
        if is_planted(Planted::WallClockForDurations) {
            let lasted = crate::planted::wall_ms(now).saturating_sub(self.began_wall_ms);
            self.incidents.ended.lasted = Millis::from_millis(u64::try_from(lasted).unwrap_or(0));
        }
    }

    fn note_event(&mut self, event: Event) {
        match event {
            Event::Flapping { changes } => self.flap_changes = changes,
            Event::StillFiring { lasted } => {
                let number = self.incidents.number;
                self.told
                    .iter_mut()
                    .for_each(|told| told.note_reminder(number, lasted));
            }
            Event::Firing { .. } | Event::Resolved { .. } | Event::Stable => {}
        }
        self.event = Some(event);
    }

    /// Whether there is something to say about it, so that its row must stay.
    fn is_held(&self, channels: usize, config: &Config, now: Instant) -> bool {
        self.configured
            || self.staged.is_some()
            || self.event.is_some()
            || self.shown() == Shown::Pending
            || self.state.is_firing()
            || self.state.is_flapping()
            || self.told.iter().any(Told::is_sending)
            || self.alerted.is_held()
            || !self.is_told(channels, config, now)
    }
}

/// A master's hold on its children.
#[derive(Clone, Copy, Debug, Default)]
struct Hold {
    /// From the first failed answer until the master is clear again.
    holding: bool,
    /// Ticks left in which no fact counts at once.
    cautious_ticks: u16,
}

/// How many signals there are, and how they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Totals {
    /// Firing, told or not, flapping ones that fire included.
    pub active: u32,
    /// All of them, the clear ones without a row included.
    pub total: u32,
    /// Held by `orch_down`.
    pub held_by_orchestrator: u32,
    /// Held by `docker_down`.
    pub held_by_docker: u32,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Row, SIGNALS_MAX>,
    holds: [Hold; MASTERS.len()],
    /// Kinds whose list was read to its end this tick.
    ended: [bool; Kind::COUNT],
    /// Clear subjects without a row, this tick and when the list was last read to its end.
    clear_staged: [u32; Kind::COUNT],
    clear: [u32; Kind::COUNT],
    rows_of_kind: [u16; Kind::COUNT],
    /// A word of each row's id, in the rows' order: most look-ups end here, without touching the row.
    marks: Vec<u32, SIGNALS_MAX>,
    /// Active subjects that found no row, this tick.
    roomless: [u32; Kind::COUNT],
    left_out: u32,
    channels: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rows: Vec::new(),
            holds: [Hold {
                holding: false,
                cautious_ticks: 0,
            }; MASTERS.len()],
            ended: [false; Kind::COUNT],
            clear_staged: [0; Kind::COUNT],
            clear: [0; Kind::COUNT],
            rows_of_kind: [0; Kind::COUNT],
            marks: Vec::new(),
            roomless: [0; Kind::COUNT],
            left_out: 0,
            channels: 0,
        }
    }

    /// Says how many channels, at most [`CHANNELS_MAX`], have an account of what was delivered.
    pub fn set_channels(&mut self, channels: usize) {
        self.channels = channels.min(CHANNELS_MAX);
    }

    /// Tells how many channels have an account.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Gives a signal that is known from the configuration its row. Masters come first.
    pub fn register(&mut self, id: SignalId, now: Instant) {
        if self.place(id.kind, &id.subject).is_none() {
            self.add(id, true, now);
        }
    }

    /// Stages one observation of this tick. Of two of one signal the worse counts: first by [`Observation`], then by
    /// `badness`, the figure behind it (any unit, greater is worse).
    ///
    /// A discovered subject that is clear and has no row is counted, not kept. What has no room is counted as left out.
    pub fn stage(
        &mut self,
        kind: Kind,
        subject: &Subject,
        observation: Observation,
        badness: f64,
        detail: fmt::Arguments<'_>,
    ) {
        self.stage_with(kind, subject, observation, badness, Strength::Polled, detail);
    }

    /// Stages what the engine states as a fact: as [`Table::stage`], but one active look is enough to fire.
    pub fn stage_fact(
        &mut self,
        kind: Kind,
        subject: &Subject,
        observation: Observation,
        badness: f64,
        detail: fmt::Arguments<'_>,
    ) {
        self.stage_with(kind, subject, observation, badness, Strength::Fact, detail);
    }

    fn stage_with(
        &mut self,
        kind: Kind,
        subject: &Subject,
        observation: Observation,
        badness: f64,
        strength: Strength,
        detail: fmt::Arguments<'_>,
    ) {
        let place = self.place(kind, subject).or_else(|| {
            if observation != Observation::Active {
                return None;
            }
            self.add(
                SignalId {
                    kind,
                    subject: subject.clone(),
                },
                false,
                Instant::ZERO,
            )
        });
        if let Some(row) = place.and_then(|place| self.rows.get_mut(place)) {
            row.stage(observation, badness, strength, detail);
        } else if observation == Observation::Clear
            && let Some(count) = self.clear_staged.get_mut(kind.index())
        {
            *count = count.saturating_add(1);
        }
    }

    /// Tells that the kind's list was read to its end this tick: subjects that were not staged are gone, hence clear.
    pub fn list_ended(&mut self, kind: Kind) {
        if let Some(ended) = self.ended.get_mut(kind.index()) {
            *ended = true;
        }
    }

    /// Takes back what was staged for a kind this tick, and that its list had ended.
    pub fn unstage(&mut self, kind: Kind) {
        self.rows
            .iter_mut()
            .filter(|row| row.id.kind == kind)
            .for_each(|row| row.staged = None);
        if let Some(ended) = self.ended.get_mut(kind.index()) {
            *ended = false;
        }
        for counts in [&mut self.clear_staged, &mut self.roomless] {
            if let Some(count) = counts.get_mut(kind.index()) {
                *count = 0;
            }
        }
    }

    /// Takes back what was staged for all kinds of a source this tick, its master aside.
    pub fn unstage_source(&mut self, source: Source) {
        let rules = (0..self.rule_kinds()).map(Kind::Rule);
        for kind in Kind::BUILT_IN.iter().copied().chain(rules) {
            if kind.source() == source && kind.master().is_some() {
                self.unstage(kind);
            }
        }
    }

    fn rule_kinds(&self) -> u8 {
        u8::try_from(crate::limits::RULES_MAX).unwrap_or(u8::MAX)
    }

    /// Tells what has been staged for a signal this tick.
    #[must_use]
    pub fn staged(&self, kind: Kind, subject: &Subject) -> Option<(Observation, &str)> {
        let row = self.rows.get(self.place(kind, subject)?)?;
        row.staged
            .as_ref()
            .map(|staged| (staged.observation, staged.detail.as_str()))
    }

    /// Tells whether a signal is firing: two-threshold signals need to know (CONTRACTS 4, `disk_ceiling`).
    #[must_use]
    pub fn is_firing(&self, kind: Kind, subject: &Subject) -> bool {
        self.place(kind, subject)
            .and_then(|place| self.rows.get(place))
            .is_some_and(|row| row.state.is_firing())
    }

    /// Counts subjects for which state could not be kept (`table_full`).
    pub const fn left_out(&mut self, count: u32) {
        self.left_out = self.left_out.saturating_add(count);
    }

    /// Tells whether a master holds its children.
    #[must_use]
    pub fn is_holding(&self, master: Kind) -> bool {
        MASTERS
            .iter()
            .zip(&self.holds)
            .any(|(kind, hold)| *kind == master && hold.holding)
    }

    /// Ends a tick: decides every signal with what was staged, and forgets the rows that have nothing left to say.
    pub fn settle(&mut self, now: Instant, config: &Config) {
        self.stage_table_full();
        for place in 0..self.rows.len() {
            self.settle_row(place, now, config);
        }
        for (place, ended) in self.ended.iter_mut().enumerate() {
            let staged = self.clear_staged.get_mut(place).map(core::mem::take);
            if let (true, Some(clear), Some(staged)) = (*ended, self.clear.get_mut(place), staged) {
                *clear = staged;
            }
            *ended = false;
        }
        for hold in &mut self.holds {
            hold.cautious_ticks = hold.cautious_ticks.saturating_sub(1);
        }
        self.left_out = 0;
        self.roomless = [0; Kind::COUNT];
        self.forget(now, config);
    }

    /// Between ticks: decides the signals for which the engine stated an active fact, and those alone.
    ///
    /// Held ones wait, and while facts are not trusted at once they wait for their tick: it stages anew what is still so
    /// then, and what was so before must not outweigh that.
    pub fn settle_facts(&mut self, now: Instant, config: &Config) {
        for row in &mut self.rows {
            let fact = row.staged.as_ref().is_some_and(|staged| {
                staged.strength == Strength::Fact && staged.observation == Observation::Active
            });
            if !fact {
                continue;
            }
            let detail = row.staged.take().map(|staged| staged.detail);
            let hold = hold_of(&self.holds, row.id.kind);
            if !hold.holding && hold.cautious_ticks == 0 {
                row.settle(Observation::Active, now, &policy::of_fact(config), detail);
            }
        }
        self.forget(now, config);
    }

    fn stage_table_full(&mut self) {
        let left_out = self
            .roomless
            .iter()
            .fold(self.left_out, |sum, count| sum.saturating_add(*count));
        let observation = match left_out {
            0 if self.holds.iter().any(|hold| hold.holding) => Observation::Unknown,
            0 => Observation::Clear,
            _ => Observation::Active,
        };
        let subjects = if left_out == 1 { "signal" } else { "signals" };
        self.stage(
            Kind::TableFull,
            &Subject::NONE,
            observation,
            f64::from(left_out),
            format_args!("{left_out} {subjects} left out"),
        );
    }

    fn settle_row(&mut self, place: usize, now: Instant, config: &Config) {
        let Some(row) = self.rows.get_mut(place) else {
            return;
        };
        let kind = row.id.kind;
        let gone = kind.is_discovered() && self.ended.get(kind.index()).copied().unwrap_or(false);
        let staged = row.staged.take();
        let hold = hold_of(&self.holds, kind);
        let observation = match &staged {
            _ if hold.holding && !is_planted(Planted::ChildrenNotHeld) => Observation::Unknown,
            Some(staged) => staged.observation,
            None if gone => Observation::Clear,
            None => Observation::Unknown,
        };
        let fact = staged
            .as_ref()
            .is_some_and(|staged| staged.strength == Strength::Fact);
        let policy = match hold.cautious_ticks {
            0 if fact => policy::of_fact(config),
            0 => policy::of(config, kind, &row.id.subject),
            _ => policy::of_cautious(config, kind, &row.id.subject),
        };
        let detail = staged.map(|staged| staged.detail).filter(|_| !hold.holding);
        row.settle(observation, now, &policy, detail);
        let firing = row.state.is_firing();
        if let Some(master) = MASTERS.iter().position(|master| *master == kind) {
            self.after_master(master, observation, firing, config);
        }
    }

    /// A master was decided: from its first failed answer until it is clear again its children are held; then their
    /// counts start at zero.
    fn after_master(&mut self, master: usize, observation: Observation, firing: bool, config: &Config) {
        let (Some(hold), Some(kind)) = (self.holds.get_mut(master), MASTERS.get(master)) else {
            return;
        };
        match observation {
            Observation::Unknown => {}
            Observation::Active => hold.holding = true,
            Observation::Clear if hold.holding && !firing => {
                *hold = Hold {
                    holding: false,
                    cautious_ticks: config.raise_ticks,
                };
                let children = self
                    .rows
                    .iter_mut()
                    .filter(|row| row.id.kind.master() == Some(*kind));
                children.for_each(|row| row.state.restart_counts());
            }
            Observation::Clear => {}
        }
    }

    /// Takes out discovered rows that have nothing left to say. One that changed inside the flap window stays while
    /// there is room, so that its next change still counts.
    fn forget(&mut self, now: Instant, config: &Config) {
        let mut place = 0;
        while let Some(row) = self.rows.get(place) {
            let needed = row.is_held(self.channels, config, now)
                || row.state.has_recent_change(now, config.flap_window)
                || (row.incidents.number > 0 && is_planted(Planted::SlotLeaked));
            if needed {
                place = place.saturating_add(1);
            } else {
                self.remove(place);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        if place >= self.rows.len() {
            return;
        }
        let row = self.rows.swap_remove(place);
        if place < self.marks.len() {
            self.marks.swap_remove(place);
        }
        if let Some(count) = self.rows_of_kind.get_mut(row.id.kind.index()) {
            *count = count.saturating_sub(1);
        }
    }

    fn place(&self, kind: Kind, subject: &Subject) -> Option<usize> {
        if self
            .rows_of_kind
            .get(kind.index())
            .is_none_or(|count| *count == 0)
        {
            return None;
        }
        let wanted = mark(kind, subject);
        self.marks
            .iter()
            .zip(&self.rows)
            .position(|(mark, row)| *mark == wanted && row.id.kind == kind && row.id.subject == *subject)
    }

    /// Adds a row; with the table full, in place of a clear one that is kept for its recent changes alone.
    fn add(&mut self, id: SignalId, configured: bool, now: Instant) -> Option<usize> {
        if self.rows.is_full() {
            let channels = self.channels;
            let is_spare = |row: &Row| {
                !row.configured
                    && row.staged.is_none()
                    && row.event.is_none()
                    && row.shown() == Shown::Clear
                    && !row.incidents.firing
                    && row.told.iter().take(channels).all(|told| {
                        !told.is_sending()
                            && told
                                .lines(&row.incidents, Audience::All, Instant::ZERO)
                                .is_empty()
                    })
            };
            // One whose end an Alertmanager still waits for goes last, but it goes: an alert there ends by itself, and a
            // side channel that is away must not keep people from hearing of what is new.
            let mut rows = self.rows.iter();
            let spare = rows
                .position(|row| is_spare(row) && !row.alerted.is_held())
                .or_else(|| self.rows.iter().position(is_spare));
            let Some(spare) = spare else {
                if let Some(count) = self.roomless.get_mut(id.kind.index()) {
                    *count = count.saturating_add(1);
                }
                return None;
            };
            self.remove(spare);
        }
        let kind = id.kind;
        let mark = mark(kind, &id.subject);
        self.rows.push(Row::new(id, configured, now)).ok()?;
        self.marks.push(mark).ok()?;
        if let Some(count) = self.rows_of_kind.get_mut(kind.index()) {
            *count = count.saturating_add(1);
        }
        self.rows.len().checked_sub(1)
    }

    /// Tells all rows, in no order that means anything.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Tells all rows, to change what was told of them.
    pub fn rows_mut(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// Tells a row to change what was told or logged of it.
    pub fn row_mut(&mut self, place: usize) -> Option<&mut Row> {
        self.rows.get_mut(place)
    }

    /// Tells how many signals there are, and how they are. A subject of a document that is still being read does not count:
    /// it may be among the clear ones of the last, and this one may turn out to be none.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for row in self
            .rows
            .iter()
            .filter(|row| row.configured || row.state.is_seen())
        {
            totals.total = totals.total.saturating_add(1);
            totals.active = totals.active.saturating_add(u32::from(row.state.is_firing()));
            if hold_of(&self.holds, row.id.kind).holding {
                let held = match row.id.kind.source() {
                    Source::Docker => &mut totals.held_by_docker,
                    _ => &mut totals.held_by_orchestrator,
                };
                *held = held.saturating_add(1);
            }
        }
        totals.total = totals.total.saturating_add(self.clear_without_row());
        totals
    }

    /// Tells how many clear subjects are counted without a row.
    #[must_use]
    pub fn clear_without_row(&self) -> u32 {
        self.clear.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Tells how many signals the channels do not know the newest state of.
    #[must_use]
    pub fn undelivered(&self, config: &Config, now: Instant) -> u32 {
        let count = self
            .rows
            .iter()
            .filter(|row| !row.is_told(self.channels, config, now))
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Marks all lines of a row as being under way to a channel.
    pub fn send(&mut self, place: usize, channel: usize, config: &Config) {
        let Some(row) = self.rows.get_mut(place) else {
            return;
        };
        let audience = row.audience(config);
        let incidents = row.incidents;
        if let Some(told) = row.told.get_mut(channel) {
            told.send(&incidents, audience);
        }
    }

    /// Counts the message under way to a channel as delivered.
    pub fn accepted(&mut self, channel: usize, now: Instant, config: &Config) {
        self.rows
            .iter_mut()
            .filter_map(|row| row.told.get_mut(channel))
            .for_each(|told| told.accepted(now));
        self.forget(now, config);
    }

    /// Counts the message under way to a channel as not delivered.
    pub fn rejected(&mut self, channel: usize) {
        self.rows
            .iter_mut()
            .filter_map(|row| row.told.get_mut(channel))
            .for_each(|told| {
                if is_planted(Planted::ResolveLost) {
                    told.lose_end();
                }
                told.rejected();
            });
    }
}

/// The word by which a row is looked for; two ids may share one.
fn mark(kind: Kind, subject: &Subject) -> u32 {
    let kind = u32::try_from(kind.index()).unwrap_or(u32::MAX);
    Hash::EMPTY
        .and(subject.as_str().as_bytes())
        .value()
        .rotate_left(8)
        ^ kind
}

fn hold_of(holds: &[Hold; MASTERS.len()], kind: Kind) -> Hold {
    let master = kind.master();
    MASTERS
        .iter()
        .zip(holds)
        .find(|(kind, _)| Some(**kind) == master)
        .map(|(_, hold)| *hold)
        .unwrap_or_default()
}

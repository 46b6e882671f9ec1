//! Agents with state: CPU in cores from one envelope to the next, and for how long it has been too low or too high.
//!
//! Two kinds of signals count time instead of ticks, `agent_stalled` and `agent_runaway`. Their time is counted here and
//! not in the table: thousands of healthy idle agents would fill it with rows that are pending. So what is staged is
//! active only once the time is reached, and fires at once (K = 1).
//!
//! A row is one process of one subject: a new pid is a new row with nothing counted, and two elements with one subject
//! are two rows of which the table takes the worse. What a document says is a *sample*, and counts once the document has
//! ended well. Bounded: [`AGENTS_MAX`] rows; what finds no room is counted, and no row with state is evicted for it.
//! Tests: `tests.rs`.

use heapless::Vec;

use super::figures::Plain;
use crate::config;
use crate::limits::{AGENTS_MAX, RUNAWAY_AFTER};
use crate::signal::{Kind, Observation};
use crate::table::Table;
use crate::text::{Hash, Subject};
use crate::time::{Instant, Millis, Utc};

/// Places of the index: four times the rows, so that a search meets an empty place soon.
const PLACES: usize = 4 * AGENTS_MAX;
/// Places that one search looks at. Subjects that were made to collide find no room instead of taking time.
const SEARCH_MAX: usize = 64;
/// Rows of one subject: the process of before and of now, and an element or two that bear the same id by mistake.
const SAME_SUBJECT_MAX: usize = 4;

const _: () = assert!(PLACES.is_power_of_two() && AGENTS_MAX < u16::MAX as usize);

/// Whether state is kept for an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampled {
    /// It is, and [`Agents::settle`] will stage what there is to say.
    Kept,
    /// It is not: there is nothing to keep, or no room.
    Unknown,
}

/// What a document says about its own time and about agents as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick {
    pub(super) now: Instant,
    pub(super) generated_at: Option<Utc>,
    /// Clock ticks a second, above zero.
    pub(super) clk_tck: Option<f64>,
    pub(super) judgement: Judgement,
}

/// What comes of the samples of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// They are judged.
    Staged,
    /// They serve as baselines alone: the orchestrator is paused.
    Withheld,
}

/// Ticks of a process at a time of the envelope's.
#[derive(Clone, Copy, Debug)]
struct Baseline {
    ticks: f64,
    at: Utc,
}

/// For how long something has held.
#[derive(Clone, Copy, Debug, Default)]
struct Hold {
    /// The first look that showed it.
    since: Option<Instant>,
    /// It has held for long enough, and no look has shown otherwise since.
    reached: bool,
}

impl Hold {
    /// Takes a look at it, and tells whether it has held for `limit`.
    fn look(&mut self, holds: bool, now: Instant, limit: Millis) -> Observation {
        if !holds {
            *self = Self::default();
            return Observation::Clear;
        }
        self.reached |= self.lasts(now) >= limit;
        if self.reached {
            Observation::Active
        } else {
            Observation::Clear
        }
    }

    /// Tells for how long it has held, from now on if it had not.
    fn lasts(&mut self, now: Instant) -> Millis {
        now.since(*self.since.get_or_insert(now))
    }

    /// Starts at zero again, unless the time was reached.
    const fn restart(&mut self) {
        if !self.reached {
            self.since = None;
        }
    }
}

/// One process of one agent.
#[derive(Clone, Debug)]
struct Row {
    subject: Subject,
    hash: u32,
    pid: Option<i64>,
    /// Its place in the index.
    place: usize,
    /// The list that it was seen in last.
    seen_in: u32,
    /// What the document under way says: ticks in all, and the pid.
    sample: Option<f64>,
    sampled_pid: Option<i64>,
    baseline: Option<Baseline>,
    low: Hold,
    high: Hold,
}

impl Row {
    /// Tells the CPU since the last document, in cores, and makes the sample the new baseline.
    ///
    /// A time that did not move says nothing, whatever the ticks did, and the baseline stays; nor does a document
    /// without time or `clk_tck`.
    fn cores(&mut self, tick: &Tick) -> Option<f64> {
        let (ticks, at) = (self.sample.take()?, tick.generated_at?);
        let new = Some(Baseline { ticks, at });
        let Some(old) = self.baseline else {
            self.baseline = new;
            return None;
        };
        if at < old.at || ticks < old.ticks {
            self.baseline = new;
            return None;
        }
        if at == old.at {
            return None;
        }
        let clk_tck = tick.clk_tck?;
        self.baseline = new;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a nanosecond more or less in years does not matter"
        )]
        let seconds = at.nanos_since(old.at) as f64 / 1e9;
        Some((ticks - old.ticks) / clk_tck / seconds)
    }

    /// Stages what a sample, in cores, says about `agent_stalled`; unknown if there is none.
    fn judge_low(
        &mut self,
        cores: Option<f64>,
        now: Instant,
        limits: &config::Orchestrator,
        table: &mut Table,
    ) {
        let (Some(floor), Some(limit)) = (limits.agent_cpu_min_cores, limits.agent_stall_after) else {
            return;
        };
        let Some(cores) = cores else {
            return unknown(table, Kind::AgentStalled, &self.subject);
        };
        let observation = self.low.look(cores < floor, now, limit);
        let (shown, floor) = (Plain(cores), Plain(floor));
        if observation == Observation::Active {
            let lasts = self.low.lasts(now);
            table.stage(
                Kind::AgentStalled,
                &self.subject,
                observation,
                badness(lasts),
                format_args!("idle for {lasts} ({shown} cores, floor {floor})"),
            );
        } else {
            table.stage(
                Kind::AgentStalled,
                &self.subject,
                observation,
                -cores,
                format_args!("{shown} cores (floor {floor})"),
            );
        }
    }

    /// Stages what a sample, in cores, says about `agent_runaway`; unknown if there is none.
    fn judge_high(
        &mut self,
        cores: Option<f64>,
        now: Instant,
        limits: &config::Orchestrator,
        table: &mut Table,
    ) {
        let Some(ceiling) = limits.agent_cpu_max_cores else {
            return;
        };
        let Some(cores) = cores else {
            return unknown(table, Kind::AgentRunaway, &self.subject);
        };
        let observation = self.high.look(cores > ceiling, now, RUNAWAY_AFTER);
        let (shown, ceiling) = (Plain(cores), Plain(ceiling));
        if observation == Observation::Active {
            let lasts = self.high.lasts(now);
            table.stage(
                Kind::AgentRunaway,
                &self.subject,
                observation,
                badness(lasts),
                format_args!("{shown} cores, above {ceiling} for {lasts}"),
            );
        } else {
            table.stage(
                Kind::AgentRunaway,
                &self.subject,
                observation,
                cores,
                format_args!("{shown} cores (limit {ceiling})"),
            );
        }
    }
}

/// The longer, the worse.
#[expect(
    clippy::cast_precision_loss,
    reason = "of two spans that a double cannot tell apart, either is the worse"
)]
pub(super) const fn badness(lasts: Millis) -> f64 {
    lasts.as_millis() as f64
}

/// Stages that nothing is known of an agent's CPU.
pub(super) fn stage_unknown(table: &mut Table, subject: &Subject, limits: &config::Orchestrator) {
    if limits.agent_cpu_min_cores.is_some() && limits.agent_stall_after.is_some() {
        unknown(table, Kind::AgentStalled, subject);
    }
    if limits.agent_cpu_max_cores.is_some() {
        unknown(table, Kind::AgentRunaway, subject);
    }
}

fn unknown(table: &mut Table, kind: Kind, subject: &Subject) {
    table.stage(
        kind,
        subject,
        Observation::Unknown,
        0.0,
        format_args!("no CPU figure"),
    );
}

/// Where a subject's process is in the index, or where it would go.
enum Found {
    Row(usize),
    Vacant(usize),
    NoRoom,
}

/// The agents of the envelopes so far.
#[derive(Debug)]
pub(super) struct Agents {
    rows: Vec<Row, AGENTS_MAX>,
    /// Open addressing by the subject's hash: the row's number and one, 0 where there is none.
    index: [u16; PLACES],
    /// The list that is being read.
    list: u32,
    /// Rows from here on are of the document under way.
    committed: usize,
    /// Subjects of the list under way that found no room.
    left_out: u32,
}

impl Agents {
    /// No agents: all zero bits.
    pub(super) const fn new() -> Self {
        Self {
            rows: Vec::new(),
            index: [0; PLACES],
            list: 0,
            committed: 0,
            left_out: 0,
        }
    }

    /// Begins a list; what the document said in an earlier one is void.
    pub(super) fn begin_list(&mut self) {
        self.list = self.list.wrapping_add(1);
        self.left_out = 0;
        // The rows that came last leave first, so no search is cut by a place that becomes empty.
        while self.rows.len() > self.committed
            && let Some(row) = self.rows.pop()
        {
            self.set_place(row.place, 0);
        }
    }

    /// Takes an element of the list: the ticks of a process.
    pub(super) fn sample(&mut self, subject: &Subject, pid: Option<i64>, ticks: Option<f64>) -> Sampled {
        let hash = Hash::EMPTY.and(subject.as_str().as_bytes()).value();
        let row = match self.find(subject, hash, pid) {
            Found::Row(row) => Some(row),
            Found::Vacant(_) if ticks.is_none() => return Sampled::Unknown,
            Found::Vacant(place) => self.add(Row {
                subject: subject.clone(),
                hash,
                pid,
                place,
                seen_in: 0,
                sample: None,
                sampled_pid: None,
                baseline: None,
                low: Hold::default(),
                high: Hold::default(),
            }),
            Found::NoRoom => None,
        };
        let list = self.list;
        let Some(row) = row.and_then(|row| self.rows.get_mut(row)) else {
            self.left_out = self.left_out.saturating_add(1);
            return Sampled::Unknown;
        };
        row.seen_in = list;
        row.sample = ticks;
        row.sampled_pid = pid;
        Sampled::Kept
    }

    /// Finds the row of a process that the list has not named yet. An unknown pid may be any.
    fn find(&self, subject: &Subject, hash: u32, pid: Option<i64>) -> Found {
        let mut same_subject = 0;
        for place in search(hash) {
            let Some(row) = self.row_at(place) else {
                return Found::Vacant(place);
            };
            if row.hash != hash || row.subject != *subject {
                continue;
            }
            let same_process = pid.is_none() || row.pid.is_none() || row.pid == pid;
            if same_process && row.seen_in != self.list {
                return self.number_at(place).map_or(Found::NoRoom, Found::Row);
            }
            same_subject += 1;
            if same_subject == SAME_SUBJECT_MAX {
                break;
            }
        }
        Found::NoRoom
    }

    fn add(&mut self, row: Row) -> Option<usize> {
        let (place, number) = (row.place, self.rows.len());
        self.rows.push(row).ok()?;
        self.set_place(place, u16::try_from(number.saturating_add(1)).unwrap_or(0));
        Some(number)
    }

    fn number_at(&self, place: usize) -> Option<usize> {
        usize::from(*self.index.get(place)?).checked_sub(1)
    }

    fn row_at(&self, place: usize) -> Option<&Row> {
        self.rows.get(self.number_at(place)?)
    }

    fn set_place(&mut self, place: usize, entry: u16) {
        if let Some(own) = self.index.get_mut(place) {
            *own = entry;
        }
    }

    /// Stages what the list under way says, now that its document has ended well.
    pub(super) fn settle(&mut self, tick: &Tick, limits: &config::Orchestrator, table: &mut Table) {
        self.committed = self.rows.len();
        for row in &mut self.rows {
            if row.seen_in != self.list {
                continue;
            }
            row.pid = row.sampled_pid.or(row.pid);
            let cores = row.cores(tick);
            if tick.judgement == Judgement::Staged {
                row.judge_low(cores, tick.now, limits, table);
                row.judge_high(cores, tick.now, limits, table);
            }
        }
        if tick.judgement == Judgement::Staged {
            table.left_out(self.left_out);
        }
    }

    /// Forgets the agents that the list under way, read to its end, no longer holds.
    pub(super) fn forget_absent(&mut self) {
        let mut number = 0;
        let before = self.rows.len();
        while let Some(row) = self.rows.get(number) {
            if row.seen_in == self.list {
                number = number.saturating_add(1);
            } else {
                self.rows.swap_remove(number);
            }
        }
        self.committed = self.rows.len();
        if self.rows.len() != before {
            self.index_again();
        }
    }

    fn index_again(&mut self) {
        self.index.fill(0);
        for (number, row) in self.rows.iter_mut().enumerate() {
            let vacant = search(row.hash).find(|place| self.index.get(*place) == Some(&0));
            let entry = u16::try_from(number.saturating_add(1)).unwrap_or(0);
            // With fewer rows than before there is a place within reach; a row without one would be found no more,
            // and leave with the next list.
            if let Some(place) = vacant
                && let Some(own) = self.index.get_mut(place)
            {
                *own = entry;
                row.place = place;
            }
        }
    }

    /// Takes back what the document under way said, and starts the times that are being counted at zero: the source
    /// has failed, and its children are unknown (CONTRACTS 4, masters).
    pub(super) fn abandon(&mut self) {
        self.begin_list();
        self.restart_counts();
    }

    /// Starts the times that are being counted at zero; what has lasted long enough stays so.
    pub(super) fn restart_counts(&mut self) {
        for row in &mut self.rows {
            row.low.restart();
            row.high.restart();
        }
    }
}

/// The places where a hash may be, in the order in which they are looked at.
fn search(hash: u32) -> impl Iterator<Item = usize> {
    let first = usize::try_from(hash).unwrap_or(0);
    (0..SEARCH_MAX).map(move |step| first.wrapping_add(step) & (PLACES - 1))
}

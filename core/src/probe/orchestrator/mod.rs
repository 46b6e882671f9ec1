//! The orchestrator's envelope (CONTRACTS 3) and the signals that are read from it (CONTRACTS 4).
//!
//! [`Orchestrator::begin`], [`Orchestrator::feed`] for each piece of the body, then [`Orchestrator::finish`]: nothing
//! counts before the document's end. Where the answer fails, in the body or before it, [`Orchestrator::abandon`] takes back
//! what was staged. Whether the orchestrator is down is decided outside: this says whether a body is an envelope, and
//! if not, why.
//!
//! It never holds a document: a body may be of any length, and constant memory serves ([`crate::limits::AGENTS_MAX`]
//! agents with state). No document makes it panic, and none costs more than time in proportion to its length.
//! Tests: `tests.rs`.

mod agents;
mod envelope;
mod figures;
mod rules;
#[cfg(test)]
mod tests;

use core::fmt;

use self::agents::{Agents, Judgement, Tick};
use self::envelope::{Bench, Envelope, List, Queue, needs_state, stage_age, unstage_agents};
use self::figures::{Money, Plain};
pub use self::rules::Rules;
use crate::config;
use crate::json::{Event, Fault, Reader};
use crate::signal::{Kind, Observation, Source};
use crate::table::Table;
use crate::text::Subject;
use crate::time::{Instant, Utc};

/// The highest `schema_version` that is known.
const SCHEMA_VERSION: f64 = 1.0;

/// Why a body is no envelope. The orchestrator is at fault, or whatever answers in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EnvelopeFault {
    /// There is no body.
    Empty,
    /// It is JSON, and no object.
    OtherThanObject,
    /// It is not JSON, or more than one document.
    NotJson(Fault),
    /// It ends before the object does.
    CutShort,
    /// It is nested deeper than [`crate::limits::JSON_DEPTH_MAX`] levels.
    TooDeep,
}

impl fmt::Display for EnvelopeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("body is empty"),
            Self::OtherThanObject => f.write_str("body is not one JSON object"),
            Self::NotJson(fault) => write!(f, "body is not one JSON object ({fault})"),
            Self::CutShort => f.write_str("body cut short"),
            Self::TooDeep => f.write_str("nested too deeply"),
        }
    }
}

impl From<Fault> for EnvelopeFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Empty => Self::Empty,
            Fault::CutShort => Self::CutShort,
            Fault::TooDeep => Self::TooDeep,
            other => Self::NotJson(other),
        }
    }
}

/// A `schema_version` above the known one, to be logged as a warning; told once per change.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NewerSchema {
    version: f64,
}

impl fmt::Display for NewerSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = Plain(self.version);
        write!(
            f,
            "envelope has schema_version {version}, newer than 1: what is known of it is read"
        )
    }
}

/// What a good envelope was, besides what it staged.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Summary {
    /// `generated_at`, if it was there and well formed.
    pub generated_at: Option<Utc>,
    /// `enabled` was false.
    pub paused: bool,
    /// Agents in the list, those with neither id nor pid left aside.
    pub agents: u32,
    /// A warning that is due now.
    pub newer_schema: Option<NewerSchema>,
}

/// The newest `generated_at`, and since when it has been that.
#[derive(Debug)]
struct Freshness {
    generated_at: Option<Utc>,
    since: Instant,
}

/// Reads envelopes, and remembers from one to the next what their signals need.
#[derive(Debug)]
pub struct Orchestrator {
    reader: Reader,
    envelope: Envelope,
    agents: Agents,
    freshness: Freshness,
    /// The `schema_version` of the last envelope that had one.
    schema_version: Option<f64>,
}

impl Default for Orchestrator {
    fn default() -> Self {
        Self::new()
    }
}

impl Orchestrator {
    /// Nothing read yet: all zero bits, some 230 KiB.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            reader: Reader::new(),
            envelope: Envelope::new(),
            agents: Agents::new(),
            freshness: Freshness {
                generated_at: None,
                since: Instant::ZERO,
            },
            schema_version: None,
        }
    }

    /// Begins a body.
    pub fn begin(&mut self) {
        self.reader.reset();
        self.envelope.reset();
        self.agents.begin_list();
    }

    /// Reads the next piece of the body, cut anywhere. Each event goes to `also` too, which is how [`Rules`] read along.
    ///
    /// # Errors
    /// Why the body is no envelope; the same again at every further call. The caller then calls
    /// [`Orchestrator::abandon`].
    pub fn feed(
        &mut self,
        bytes: &[u8],
        limits: &config::Orchestrator,
        table: &mut Table,
        also: &mut impl FnMut(&Event<'_>, &mut Table),
    ) -> Result<(), EnvelopeFault> {
        let Self {
            reader,
            envelope,
            agents,
            ..
        } = self;
        let mut bench = Bench {
            limits,
            agents,
            table,
        };
        let read = reader.feed(bytes, &mut |event| {
            also(&event, bench.table);
            envelope.take(&event, &mut bench);
        });
        self.check(read)
    }

    fn check(&self, read: Result<(), Fault>) -> Result<(), EnvelopeFault> {
        // The nesting is the better reason of the two: what is that deep was not written by an orchestrator at all.
        if self.envelope.values.other_than_object && read != Err(Fault::TooDeep) {
            return Err(EnvelopeFault::OtherThanObject);
        }
        read.map_err(EnvelopeFault::from)
    }

    /// Ends the body: what it says counts from now on, and is staged. The machine calls this only if the answer as a
    /// whole was good (2xx, not cut short).
    ///
    /// # Errors
    /// Why the body is no envelope. The caller then calls [`Orchestrator::abandon`].
    pub fn finish(
        &mut self,
        now: Instant,
        limits: &config::Orchestrator,
        table: &mut Table,
    ) -> Result<Summary, EnvelopeFault> {
        let Self { reader, envelope, .. } = self;
        // What ends only here is a number at the top level, which is no object.
        let read = reader.finish(&mut |_| envelope.values.other_than_object = true);
        self.check(read)?;
        self.settle_staleness(now, limits, table);
        self.settle_agents(now, limits, table);
        let values = &self.envelope.values;
        if values.paused {
            withhold(limits, table);
        } else {
            if values.stages == List::Ended && limits.stage_stuck_after.is_some() {
                table.list_ended(Kind::StageStuck);
            }
            stage_queue(&values.queue, limits, table);
            stage_cost(values.cost_today_usd, limits, table);
        }
        Ok(Summary {
            generated_at: values.generated_at,
            paused: values.paused,
            agents: values.agent_count,
            newer_schema: self.newer_schema(),
        })
    }

    /// Takes back all that the answer under way staged: it failed. Its signals are unknown, and times that were being
    /// counted start at zero; what has fired is not touched (CONTRACTS 4, masters).
    ///
    /// To be called for every failed answer, also for one that never had a body.
    pub fn abandon(&mut self, table: &mut Table) {
        table.unstage_source(Source::Orchestrator);
        self.agents.abandon();
    }

    /// Starts the times that are being counted at zero: too much time passed between two ticks (CONTRACTS 5, rule 6).
    pub fn restart_counts(&mut self) {
        self.agents.restart_counts();
    }

    /// `orch_stale`. Any change of `generated_at` is an advance, backwards too: it shows that the loop still turns.
    fn settle_staleness(&mut self, now: Instant, limits: &config::Orchestrator, table: &mut Table) {
        let generated_at = self.envelope.values.generated_at;
        if generated_at.is_some() && generated_at != self.freshness.generated_at {
            self.freshness = Freshness {
                generated_at,
                since: now,
            };
        }
        let Some(limit) = limits.stale_after else { return };
        if generated_at.is_none() {
            return stage_unknown(
                table,
                Kind::OrchStale,
                format_args!("generated_at missing or malformed"),
            );
        }
        let age = now.since(self.freshness.since);
        let observation = active_if(age >= limit);
        table.stage(
            Kind::OrchStale,
            &Subject::NONE,
            observation,
            agents::badness(age),
            format_args!("generated_at unchanged for {age} (limit {limit})"),
        );
    }

    fn settle_agents(&mut self, now: Instant, limits: &config::Orchestrator, table: &mut Table) {
        let values = &self.envelope.values;
        let tick = Tick {
            now,
            generated_at: values.generated_at,
            clk_tck: values.clk_tck,
            judgement: if values.paused {
                Judgement::Withheld
            } else {
                Judgement::Staged
            },
        };
        self.agents.settle(&tick, limits, table);
        // Paused, the list may well be empty: who is not in it has not ended for that.
        if values.agents != List::Ended || values.paused {
            return;
        }
        self.agents.forget_absent();
        if limits.agent_elapsed_max.is_some() {
            table.list_ended(Kind::AgentOvertime);
        }
        if needs_state(limits) {
            table.list_ended(Kind::AgentStalled);
            table.list_ended(Kind::AgentRunaway);
        }
    }

    /// Tells the warning that a `schema_version` is due, and remembers it.
    fn newer_schema(&mut self) -> Option<NewerSchema> {
        let version = self.envelope.values.schema_version?;
        let before = self.schema_version.replace(version);
        (version > SCHEMA_VERSION && before != Some(version)).then_some(NewerSchema { version })
    }
}

/// Makes everything unknown that says nothing while the orchestrator is paused.
fn withhold(limits: &config::Orchestrator, table: &mut Table) {
    table.unstage(Kind::StageStuck);
    unstage_agents(table);
    let paused = format_args!("paused (enabled: false)");
    if limits.queue_age_max.is_some() {
        stage_unknown(table, Kind::QueueOld, paused);
    }
    stage_unknown(table, Kind::QueueStalled, paused);
    if limits.cost_daily_max_usd.is_some() {
        stage_unknown(table, Kind::CostOver, paused);
    }
}

/// `queue_old` and `queue_stalled`.
fn stage_queue(queue: &Queue, limits: &config::Orchestrator, table: &mut Table) {
    if let Some(limit) = limits.queue_age_max {
        stage_age(table, Kind::QueueOld, &Subject::NONE, queue.oldest_age, limit);
    }
    let Some((depth, running)) = queue.depth.zip(queue.running) else {
        return stage_unknown(
            table,
            Kind::QueueStalled,
            format_args!("depth or running missing"),
        );
    };
    let shown = Plain(depth);
    if depth > 0.0 && running == 0.0 {
        table.stage(
            Kind::QueueStalled,
            &Subject::NONE,
            Observation::Active,
            depth,
            format_args!("depth {shown}, nothing running"),
        );
    } else {
        let running = Plain(running);
        table.stage(
            Kind::QueueStalled,
            &Subject::NONE,
            Observation::Clear,
            depth,
            format_args!("depth {shown}, {running} running"),
        );
    }
}

/// `cost_over`.
fn stage_cost(today_usd: Option<f64>, limits: &config::Orchestrator, table: &mut Table) {
    let Some(limit) = limits.cost_daily_max_usd else {
        return;
    };
    let Some(today) = today_usd else {
        return stage_unknown(table, Kind::CostOver, format_args!("today_usd missing"));
    };
    let (shown, shown_limit) = (Money(today), Money(limit));
    table.stage(
        Kind::CostOver,
        &Subject::NONE,
        active_if(today > limit),
        today,
        format_args!("{shown} USD today (limit {shown_limit})"),
    );
}

fn stage_unknown(table: &mut Table, kind: Kind, detail: fmt::Arguments<'_>) {
    table.stage(kind, &Subject::NONE, Observation::Unknown, 0.0, detail);
}

fn active_if(active: bool) -> Observation {
    if active {
        Observation::Active
    } else {
        Observation::Clear
    }
}

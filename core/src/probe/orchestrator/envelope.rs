//! The envelope's shape: which value of the document is which, kept until the document has ended.
//!
//! Single values are kept, elements of `stages` and `agents` are dealt with as they end, so a document may hold any
//! number of them. A value of the wrong type is missing, it alone; a key that stands again voids all of what its earlier
//! value said (CONTRACTS 3). Tests: `tests.rs`. Fuzz target: `envelope`.

use core::fmt::Write as _;

use super::agents::{Agents, Sampled};
use super::figures::seconds;
use crate::config;
use crate::json::path::{Matcher, Patterns, Segment};
use crate::json::{Event, Text};
use crate::signal::{Kind, Observation};
use crate::table::Table;
use crate::text::Subject;
use crate::time::{Millis, Utc};

/// The places of the document that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Document,
    SchemaVersion,
    GeneratedAt,
    ClkTck,
    Enabled,
    Stages,
    Stage,
    StageName,
    StageAge,
    Queue,
    QueueDepth,
    QueueRunning,
    QueueAge,
    Agents,
    Agent,
    AgentId,
    AgentPid,
    AgentUtime,
    AgentStime,
    AgentElapsed,
    Cost,
    CostToday,
}

use Segment::{Every, Key};

const PLACES: &[(Place, &[Segment<'static>])] = &[
    (Place::Document, &[]),
    (Place::SchemaVersion, &[Key("schema_version")]),
    (Place::GeneratedAt, &[Key("generated_at")]),
    (Place::ClkTck, &[Key("clk_tck")]),
    (Place::Enabled, &[Key("enabled")]),
    (Place::Stages, &[Key("stages")]),
    (Place::Stage, &[Key("stages"), Every]),
    (Place::StageName, &[Key("stages"), Every, Key("stage")]),
    (Place::StageAge, &[Key("stages"), Every, Key("oldest_age_s")]),
    (Place::Queue, &[Key("queue")]),
    (Place::QueueDepth, &[Key("queue"), Key("depth")]),
    (Place::QueueRunning, &[Key("queue"), Key("running")]),
    (Place::QueueAge, &[Key("queue"), Key("oldest_age_s")]),
    (Place::Agents, &[Key("agents")]),
    (Place::Agent, &[Key("agents"), Every]),
    (Place::AgentId, &[Key("agents"), Every, Key("id")]),
    (Place::AgentPid, &[Key("agents"), Every, Key("pid")]),
    (Place::AgentUtime, &[Key("agents"), Every, Key("utime")]),
    (Place::AgentStime, &[Key("agents"), Every, Key("stime")]),
    (Place::AgentElapsed, &[Key("agents"), Every, Key("elapsed_s")]),
    (Place::Cost, &[Key("cost")]),
    (Place::CostToday, &[Key("cost"), Key("today_usd")]),
];

const ALL_PLACES: Patterns = Patterns::first(PLACES.len());

fn segment(pattern: usize, level: usize) -> Option<Segment<'static>> {
    PLACES.get(pattern)?.1.get(level).copied()
}

/// What is known of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum List {
    /// It is not there, or something else is in its place.
    #[default]
    Missing,
    /// It has begun.
    Open,
    /// It was read to its end.
    Ended,
}

/// `queue`
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    pub(super) depth: Option<f64>,
    pub(super) running: Option<f64>,
    pub(super) oldest_age: Option<Millis>,
}

/// An element of `stages`.
#[derive(Debug)]
struct Stage {
    name: Option<Subject>,
    oldest_age: Option<Millis>,
}

/// An element of `agents`.
#[derive(Debug)]
struct Agent {
    id: Option<Subject>,
    pid: Option<i64>,
    utime: Option<f64>,
    stime: Option<f64>,
    elapsed: Option<Millis>,
}

/// What is kept of the document under way.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) schema_version: Option<f64>,
    pub(super) generated_at: Option<Utc>,
    pub(super) clk_tck: Option<f64>,
    /// `enabled` is false.
    pub(super) paused: bool,
    pub(super) queue: Queue,
    pub(super) cost_today_usd: Option<f64>,
    pub(super) stages: List,
    pub(super) agents: List,
    /// Agents in the list.
    pub(super) agent_count: u32,
    /// The document is something other than an object.
    pub(super) other_than_object: bool,
    stage: Stage,
    agent: Agent,
    /// Whether anything of the lists was staged, so that it may have to be taken back.
    stages_staged: bool,
    agents_staged: bool,
}

impl Values {
    const NONE: Self = Self {
        schema_version: None,
        generated_at: None,
        clk_tck: None,
        paused: false,
        queue: Queue {
            depth: None,
            running: None,
            oldest_age: None,
        },
        cost_today_usd: None,
        stages: List::Missing,
        agents: List::Missing,
        agent_count: 0,
        other_than_object: false,
        stage: Stage {
            name: None,
            oldest_age: None,
        },
        agent: Agent {
            id: None,
            pid: None,
            utime: None,
            stime: None,
            elapsed: None,
        },
        stages_staged: false,
        agents_staged: false,
    };
}

/// What elements are judged by and where they go.
pub(super) struct Bench<'a> {
    pub(super) limits: &'a config::Orchestrator,
    pub(super) agents: &'a mut Agents,
    pub(super) table: &'a mut Table,
}

/// Reads one document.
#[derive(Debug)]
pub(super) struct Envelope {
    matcher: Matcher,
    pub(super) values: Values,
}

impl Envelope {
    /// In front of a document: all zero bits.
    pub(super) const fn new() -> Self {
        Self {
            matcher: Matcher::new(),
            values: Values::NONE,
        }
    }

    /// Stands in front of a new document.
    pub(super) fn reset(&mut self) {
        self.matcher.reset();
        self.values = Values::NONE;
    }

    /// Takes the next event.
    pub(super) fn take(&mut self, event: &Event<'_>, bench: &mut Bench<'_>) {
        let mut matched = self.matcher.step(event, ALL_PLACES, segment).matched;
        if let Some((place, _)) = matched.next().and_then(|place| PLACES.get(place)) {
            self.value(*place, event, bench);
        }
    }

    /// Takes a value, or the start or end of one. Whatever is no value of the right type leaves none.
    fn value(&mut self, place: Place, event: &Event<'_>, bench: &mut Bench<'_>) {
        let values = &mut self.values;
        let (stage, agent) = (&mut values.stage, &mut values.agent);
        match place {
            Place::Document => {
                values.other_than_object |= !matches!(event, Event::ObjectStart | Event::ObjectEnd);
            }
            Place::SchemaVersion => values.schema_version = number(event),
            Place::GeneratedAt => values.generated_at = text(event).and_then(Utc::parse_rfc3339),
            Place::ClkTck => values.clk_tck = number(event).filter(|ticks| *ticks > 0.0),
            Place::Enabled => values.paused = *event == Event::Bool(false),
            Place::Stages => self.stages(event, bench),
            Place::Stage => self.stage(event, bench),
            Place::StageName => stage.name = name(event),
            Place::StageAge => stage.oldest_age = number(event).map(seconds),
            Place::Queue if is_end(event) => {}
            Place::Queue => values.queue = Queue::default(),
            Place::QueueDepth => values.queue.depth = number(event),
            Place::QueueRunning => values.queue.running = number(event),
            Place::QueueAge => values.queue.oldest_age = number(event).map(seconds),
            Place::Agents => self.agents(event, bench),
            Place::Agent => self.agent(event, bench),
            Place::AgentId => agent.id = name(event),
            Place::AgentPid => agent.pid = integer(event),
            Place::AgentUtime => agent.utime = number(event),
            Place::AgentStime => agent.stime = number(event),
            Place::AgentElapsed => agent.elapsed = number(event).map(seconds),
            Place::Cost if is_end(event) => {}
            Place::Cost => values.cost_today_usd = None,
            Place::CostToday => values.cost_today_usd = number(event),
        }
    }

    /// The list begins, or begins again, or ends.
    fn stages(&mut self, event: &Event<'_>, bench: &mut Bench<'_>) {
        if is_end(event) {
            self.values.stages = self.values.stages.ended();
            return;
        }
        self.values.stages = List::begun(event);
        if core::mem::take(&mut self.values.stages_staged) {
            bench.table.unstage(Kind::StageStuck);
        }
    }

    fn stage(&mut self, event: &Event<'_>, bench: &mut Bench<'_>) {
        let stage = &mut self.values.stage;
        if *event == Event::ObjectStart {
            *stage = Values::NONE.stage;
        }
        if *event != Event::ObjectEnd {
            return;
        }
        let (Some(name), Some(limit)) = (&stage.name, bench.limits.stage_stuck_after) else {
            return;
        };
        stage_age(bench.table, Kind::StageStuck, name, stage.oldest_age, limit);
        self.values.stages_staged = true;
    }

    /// The list begins, or begins again, or ends.
    fn agents(&mut self, event: &Event<'_>, bench: &mut Bench<'_>) {
        if is_end(event) {
            self.values.agents = self.values.agents.ended();
            return;
        }
        self.values.agents = List::begun(event);
        self.values.agent_count = 0;
        bench.agents.begin_list();
        if core::mem::take(&mut self.values.agents_staged) {
            unstage_agents(bench.table);
        }
    }

    fn agent(&mut self, event: &Event<'_>, bench: &mut Bench<'_>) {
        let agent = &mut self.values.agent;
        if *event == Event::ObjectStart {
            *agent = Values::NONE.agent;
        }
        if *event != Event::ObjectEnd {
            return;
        }
        let Some(subject) = agent.id.take().or_else(|| agent.pid.map(pid_subject)) else {
            return;
        };
        self.values.agent_count = self.values.agent_count.saturating_add(1);
        self.values.agents_staged = true;
        if let Some(limit) = bench.limits.agent_elapsed_max {
            stage_elapsed(bench.table, &subject, agent.elapsed, limit);
        }
        if !needs_state(bench.limits) {
            return;
        }
        let ticks = agent
            .utime
            .zip(agent.stime)
            .map(|(utime, stime)| utime + stime)
            .filter(|ticks| ticks.is_finite());
        if bench.agents.sample(&subject, agent.pid, ticks) == Sampled::Unknown {
            super::agents::stage_unknown(bench.table, &subject, bench.limits);
        }
    }
}

impl List {
    fn begun(event: &Event<'_>) -> Self {
        if *event == Event::ArrayStart {
            Self::Open
        } else {
            Self::Missing
        }
    }

    fn ended(self) -> Self {
        match self {
            Self::Open => Self::Ended,
            other => other,
        }
    }
}

/// Tells whether any limit needs an agent's CPU.
pub(super) const fn needs_state(limits: &config::Orchestrator) -> bool {
    let low = limits.agent_cpu_min_cores.is_some() && limits.agent_stall_after.is_some();
    low || limits.agent_cpu_max_cores.is_some()
}

/// Takes back what was staged of agents.
pub(super) fn unstage_agents(table: &mut Table) {
    for kind in [Kind::AgentStalled, Kind::AgentRunaway, Kind::AgentOvertime] {
        table.unstage(kind);
    }
}

/// Stages an age against its limit: `2h 5m old (limit 2h)`.
pub(super) fn stage_age(
    table: &mut Table,
    kind: Kind,
    subject: &Subject,
    age: Option<Millis>,
    limit: Millis,
) {
    match age {
        None => table.stage(
            kind,
            subject,
            Observation::Unknown,
            0.0,
            format_args!("oldest_age_s missing"),
        ),
        Some(age) => table.stage(
            kind,
            subject,
            above(age, limit),
            super::agents::badness(age),
            format_args!("{age} old (limit {limit})"),
        ),
    }
}

fn stage_elapsed(table: &mut Table, subject: &Subject, elapsed: Option<Millis>, limit: Millis) {
    let kind = Kind::AgentOvertime;
    match elapsed {
        None => table.stage(
            kind,
            subject,
            Observation::Unknown,
            0.0,
            format_args!("elapsed_s missing"),
        ),
        Some(elapsed) => table.stage(
            kind,
            subject,
            above(elapsed, limit),
            super::agents::badness(elapsed),
            format_args!("runs for {elapsed} (limit {limit})"),
        ),
    }
}

fn above(span: Millis, limit: Millis) -> Observation {
    if span > limit {
        Observation::Active
    } else {
        Observation::Clear
    }
}

pub(super) fn is_end(event: &Event<'_>) -> bool {
    matches!(event, Event::ObjectEnd | Event::ArrayEnd)
}

fn number(event: &Event<'_>) -> Option<f64> {
    match event {
        Event::Number(number) => number.as_f64(),
        _ => None,
    }
}

fn integer(event: &Event<'_>) -> Option<i64> {
    match event {
        Event::Number(number) => number.as_i64(),
        _ => None,
    }
}

fn text<'a>(event: &Event<'a>) -> Option<&'a str> {
    match event {
        Event::String(text) => text.whole(),
        _ => None,
    }
}

/// Reads text or an integer; an empty text names nothing.
pub(super) fn name(event: &Event<'_>) -> Option<Subject> {
    match event {
        Event::String(text) => Some(Text::subject(text)),
        Event::Number(number) => number.subject(),
        _ => None,
    }
    .filter(|name| !name.is_none())
}

fn pid_subject(pid: i64) -> Subject {
    let mut text = heapless::String::<32>::new();
    // Four letters and at most 20 characters of a number.
    let _ = write!(text, "pid-{pid}");
    Subject::new(&text)
}

//! Tests of the envelope: each sentence of CONTRACTS 3, and the signals of CONTRACTS 4 that are read from it, through the
//! real table.

extern crate std;

use super::{EnvelopeFault, Orchestrator, Summary};
use crate::config::Config;
use crate::json::Fault;
use crate::limits::AGENTS_MAX;
use crate::signal::{Kind, Observation, SignalId};
use crate::table::Table;
use crate::text::Subject;
use crate::time::{Instant, Millis, Utc};
use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use Observation::{Active, Clear, Unknown};

/// An orchestrator's answers, one a tick, and the table that they end in.
struct World {
    orchestrator: Box<Orchestrator>,
    table: Box<Table>,
    config: Box<Config>,
    now: Instant,
    /// Bytes of one piece of a body.
    piece: usize,
}

impl World {
    /// Every limit is on, and a tick is a minute.
    fn new() -> Self {
        let mut config = Box::new(Config::EMPTY);
        config.interval = Millis::from_secs(60);
        config.raise_ticks = 3;
        config.clear_ticks = 2;
        config.flap_changes = 16;
        config.flap_window = Millis::from_secs(60);
        let limits = &mut config.orchestrator;
        limits.down_ticks = 3;
        limits.stale_after = Some(Millis::from_secs(300));
        limits.stage_stuck_after = Some(Millis::from_secs(7200));
        limits.queue_age_max = Some(Millis::from_secs(3600));
        limits.agent_stall_after = Some(Millis::from_secs(3600));
        limits.agent_cpu_min_cores = Some(0.01);
        limits.agent_cpu_max_cores = Some(2.0);
        limits.agent_elapsed_max = Some(Millis::from_secs(600));
        limits.cost_daily_max_usd = Some(10.0);
        let mut world = Self {
            orchestrator: Box::new(Orchestrator::new()),
            table: Box::new(Table::new()),
            config,
            now: Instant::ZERO,
            piece: usize::MAX,
        };
        for kind in [
            Kind::OrchDown,
            Kind::OrchStale,
            Kind::QueueOld,
            Kind::QueueStalled,
            Kind::CostOver,
            Kind::TableFull,
        ] {
            world.watch(kind, "");
        }
        world
    }

    /// Gives a signal a row of its own, so that what is seen of it can be told when it is clear or unknown too.
    fn watch(&mut self, kind: Kind, subject: &str) {
        let subject = Subject::new(subject);
        self.table.register(SignalId { kind, subject }, self.now);
    }

    fn read(&mut self, body: &[u8]) -> Result<Summary, EnvelopeFault> {
        self.orchestrator.begin();
        for piece in body.chunks(self.piece.min(body.len().max(1))) {
            self.orchestrator
                .feed(piece, &self.config.orchestrator, &mut self.table, &mut |_, _| {})?;
        }
        self.orchestrator
            .finish(self.now, &self.config.orchestrator, &mut self.table)
    }

    /// A minute passes, and this is the answer.
    fn tick(&mut self, body: &str) -> Result<Summary, EnvelopeFault> {
        self.now = self.now.after(Millis::from_secs(60));
        let read = self.read(body.as_bytes());
        if read.is_err() {
            self.orchestrator.abandon(&mut self.table);
        }
        let down = if read.is_err() { Active } else { Clear };
        self.table
            .stage(Kind::OrchDown, &Subject::NONE, down, 0.0, format_args!("test"));
        self.table.settle(self.now, &self.config);
        read
    }

    fn good(&mut self, body: &str) -> Summary {
        self.tick(body).unwrap()
    }

    /// A minute passes, and this is what the agents are and say, at a time of their own.
    fn agents(&mut self, generated_at: &str, agents: &str) -> Summary {
        self.good(&format!(
            r#"{{"generated_at":"2026-01-02T{generated_at}Z","clk_tck":100,"agents":[{agents}]}}"#
        ))
    }

    /// The minute of the tick that comes next, as a time of day.
    fn next_minute(&self) -> String {
        let minute = self.now.as_millis() / 60_000 + 1;
        format!("{:02}:{:02}:00", minute / 60, minute % 60)
    }

    /// A minute passes, and one agent, `a`, has so many ticks.
    fn agent(&mut self, pid: u32, ticks: u32) {
        let time = self.next_minute();
        self.agents(
            &time,
            &format!(r#"{{"id":"a","pid":{pid},"utime":{ticks},"stime":0}}"#),
        );
    }

    fn row(&self, kind: Kind, subject: &str) -> Option<&crate::table::Row> {
        let subject = Subject::new(subject);
        self.table
            .rows()
            .iter()
            .find(|row| row.id().kind == kind && row.id().subject == subject)
    }

    /// What the last tick saw of a signal.
    fn seen(&self, kind: Kind, subject: &str) -> Observation {
        self.row(kind, subject).expect("a watched signal").observation()
    }

    fn detail(&self, kind: Kind, subject: &str) -> String {
        self.row(kind, subject)
            .map_or_else(String::new, |row| row.detail().to_string())
    }

    fn fires(&self, kind: Kind, subject: &str) -> bool {
        self.table.is_firing(kind, &Subject::new(subject))
    }
}

/// A subject that was clear and is active in a document that is still being read is counted once, and not twice, and one that
/// only that document knows is not counted yet: nothing counts before the document's end.
#[test]
fn what_is_still_being_read_is_not_counted() {
    let mut world = World::new();
    let stages = |old: &str, new: &str| {
        format!(
            r#"{{"stages":[{{"stage":"old","oldest_age_s":{old}}},{{"stage":"{new}","oldest_age_s":9999}}]"#
        )
    };
    world.good(&(stages("1", "pending") + "}"));
    let before = world.table.totals();
    assert_eq!(before.total, 6 + 2);
    world.orchestrator.begin();
    let under_way = stages("9999", "new");
    world
        .orchestrator
        .feed(
            under_way.as_bytes(),
            &world.config.orchestrator,
            &mut world.table,
            &mut |_, _| {},
        )
        .unwrap();
    assert_eq!(world.table.totals(), before);
}

/// An empty object is a good envelope that says nothing: up, and everything unknown.
#[test]
fn an_empty_object_is_up_and_says_nothing() {
    let mut world = World::new();
    world.watch(Kind::StageStuck, "build");
    world.watch(Kind::AgentStalled, "a");
    let summary = world.good("{}");
    assert_eq!(summary.generated_at, None);
    assert_eq!((summary.paused, summary.agents), (false, 0));
    assert_eq!(summary.newer_schema, None);
    for kind in [
        Kind::OrchStale,
        Kind::QueueOld,
        Kind::QueueStalled,
        Kind::CostOver,
    ] {
        assert_eq!(world.seen(kind, ""), Unknown, "{kind:?}");
    }
    assert_eq!(world.seen(Kind::StageStuck, "build"), Unknown);
    assert_eq!(world.seen(Kind::AgentStalled, "a"), Unknown);
}

/// Whatever is not exactly one JSON object is no envelope, and the reason is in words that an operator understands.
#[test]
fn bodies_that_are_no_envelope_say_why() {
    let deep = format!(r#"{{"a":{}"#, "[".repeat(100_000));
    let long_head = format!("{}<html>", " ".repeat(10_000));
    for (body, reason) in [
        ("", "body is empty"),
        (" \n", "body is empty"),
        ("[]", "body is not one JSON object"),
        ("null", "body is not one JSON object"),
        ("7", "body is not one JSON object"),
        ("\"ok\"", "body is not one JSON object"),
        ("NaN", "body is not one JSON object"),
        ("{} {}", "body is not one JSON object (more than one document)"),
        ("{}x", "body is not one JSON object (more than one document)"),
        ("{\"a\":01}", "body is not one JSON object (malformed number)"),
        ("{\"a\":1,}", "body is not one JSON object (unexpected character)"),
        ("OK", "body is not one JSON object (unexpected character)"),
        (&long_head, "body is not one JSON object (unexpected character)"),
        ("\u{feff}{}", "body is not one JSON object (unexpected character)"),
        ("{", "body cut short"),
        ("{\"agents\":[{\"id\":\"a", "body cut short"),
        (&deep, "nested too deeply"),
    ] {
        for piece in [1, usize::MAX] {
            let mut world = World::new();
            world.piece = piece;
            assert_eq!(world.tick(body).unwrap_err().to_string(), reason, "{body}");
        }
    }
    let mut world = World::new();
    assert_eq!(
        world.tick("{\"a\":+1}"),
        Err(EnvelopeFault::NotJson(Fault::BadNumber))
    );
    world.good(&format!(r#"{{"a":{}1{}}}"#, "[".repeat(63), "]".repeat(63)));
}

/// A fault stays a fault whatever else is fed, and a new body starts afresh.
#[test]
fn a_fault_lasts_until_the_next_body() {
    let mut world = World::new();
    let (limits, table) = (&world.config.orchestrator, &mut *world.table);
    let orchestrator = &mut *world.orchestrator;
    for (body, fault) in [
        (&b"[1"[..], EnvelopeFault::OtherThanObject),
        (b"{x", EnvelopeFault::NotJson(Fault::UnexpectedByte)),
    ] {
        orchestrator.begin();
        assert_eq!(orchestrator.feed(body, limits, table, &mut |_, _| {}), Err(fault));
        assert_eq!(orchestrator.feed(b"]", limits, table, &mut |_, _| {}), Err(fault));
        assert_eq!(orchestrator.finish(Instant::ZERO, limits, table), Err(fault));
        orchestrator.begin();
        assert_eq!(orchestrator.feed(b"{}", limits, table, &mut |_, _| {}), Ok(()));
        assert!(orchestrator.finish(Instant::ZERO, limits, table).is_ok());
    }
}

/// `generated_at` that does not change for the limit is stale; any change is an advance, also backwards; missing or
/// malformed it says nothing, and its time goes on.
#[test]
fn staleness_is_measured_from_the_last_change() {
    let at = |time: &str| format!(r#"{{"generated_at":{time}}}"#);
    let (noon, later) = (
        at(r#""2026-01-02T12:00:00Z""#),
        at(r#""2026-01-02T13:00:00.5+01:00""#),
    );
    let mut world = World::new();
    for minute in 0..5 {
        let summary = world.good(&noon);
        assert_eq!(summary.generated_at, Utc::parse_rfc3339("2026-01-02T12:00:00Z"));
        assert_eq!(world.seen(Kind::OrchStale, ""), Clear, "{minute}");
    }
    world.good(&noon);
    assert_eq!(world.seen(Kind::OrchStale, ""), Active);
    assert_eq!(
        world.detail(Kind::OrchStale, ""),
        "generated_at unchanged for 5m (limit 5m)"
    );
    for malformed in ["null", "1767355200", "\"yesterday\"", "\"\"", "[]", "{\"a\":1}"] {
        world.good(&at(malformed));
        assert_eq!(world.seen(Kind::OrchStale, ""), Unknown, "{malformed}");
    }
    world.good(&noon);
    assert_eq!(world.seen(Kind::OrchStale, ""), Active);
    world.good(&later);
    assert_eq!(world.seen(Kind::OrchStale, ""), Clear);
    for _ in 0..5 {
        world.good(&later);
    }
    assert_eq!(world.seen(Kind::OrchStale, ""), Active);
    world.good(&noon);
    assert_eq!(
        world.seen(Kind::OrchStale, ""),
        Clear,
        "back in time is a change too"
    );
}

/// A stage is stuck when its oldest item is older than the limit; a stage without an age is unknown; one that is no
/// longer listed is clear; without the list nothing is known.
#[test]
fn stages_are_judged_by_their_oldest_item() {
    let mut world = World::new();
    for name in ["build", "7", "test", "gone", "odd"] {
        world.watch(Kind::StageStuck, name);
    }
    world.good(
        r#"{"stages":[{"stage":"build","count":2,"oldest_age_s":7500.4},{"oldest_age_s":7200,"stage":7},
            {"stage":"test"},{"oldest_age_s":9e9},{"stage":null,"oldest_age_s":9e9},{"stage":"","oldest_age_s":9e9},
            {"stage":1.5,"oldest_age_s":9e9},{"stage":{"stage":"odd"},"oldest_age_s":9e9},5,null,
            [{"stage":"odd","oldest_age_s":9e9}],{"stage":"odd","oldest_age_s":-3}]}"#,
    );
    assert_eq!(world.seen(Kind::StageStuck, "build"), Active);
    assert_eq!(world.detail(Kind::StageStuck, "build"), "2h 5m old (limit 2h)");
    assert_eq!(
        world.seen(Kind::StageStuck, "7"),
        Clear,
        "at the limit is not above it"
    );
    assert_eq!(world.seen(Kind::StageStuck, "test"), Unknown);
    assert_eq!(world.seen(Kind::StageStuck, "odd"), Clear);
    assert_eq!(world.seen(Kind::StageStuck, "gone"), Clear);
    assert!(world.row(Kind::StageStuck, "1.5").is_none());
    for body in [
        "{}",
        r#"{"stages":null}"#,
        r#"{"stages":{"stage":"build","oldest_age_s":1}}"#,
        r#"{"stages":[],"stages":"none"}"#,
    ] {
        world.good(body);
        assert_eq!(world.seen(Kind::StageStuck, "build"), Unknown, "{body}");
        assert_eq!(world.seen(Kind::StageStuck, "gone"), Unknown, "{body}");
    }
    world.good(r#"{"stages":[]}"#);
    assert_eq!(world.seen(Kind::StageStuck, "build"), Clear);
}

/// Of two elements with one subject the worse counts, in either order, and so does the greater age.
#[test]
fn the_worse_of_two_elements_counts() {
    let mut world = World::new();
    world.watch(Kind::StageStuck, "a");
    let element = |age: &str| format!(r#"{{"stage":"a","oldest_age_s":{age}}}"#);
    for (ages, seen) in [
        (["1", "7201"], Active),
        (["1", "null"], Unknown),
        (["null", "7201"], Active),
        (["1", "2"], Clear),
    ] {
        for [first, second] in [ages, [ages[1], ages[0]]] {
            world.good(&format!(
                r#"{{"stages":[{},{}]}}"#,
                element(first),
                element(second)
            ));
            assert_eq!(world.seen(Kind::StageStuck, "a"), seen, "{first} {second}");
        }
    }
    world.good(&format!(
        r#"{{"stages":[{},{}]}}"#,
        element("7260"),
        element("10800")
    ));
    assert_eq!(world.detail(Kind::StageStuck, "a"), "3h old (limit 2h)");
}

/// The queue's two signals: too old, and waiting while nothing runs; each needs its own keys and no other.
#[test]
fn the_queue_is_judged_by_age_and_by_standstill() {
    let mut world = World::new();
    for (queue, old, stalled) in [
        (r#"{"depth":4,"running":2,"oldest_age_s":42.0}"#, Clear, Clear),
        (r#"{"depth":4,"running":0,"oldest_age_s":3601}"#, Active, Active),
        (r#"{"depth":0,"running":0,"oldest_age_s":3600}"#, Clear, Clear),
        (r#"{"depth":4,"oldest_age_s":3601}"#, Active, Unknown),
        (r#"{"running":0}"#, Unknown, Unknown),
        (
            r#"{"depth":"4","running":0,"oldest_age_s":"1"}"#,
            Unknown,
            Unknown,
        ),
        (
            r#"{"depth":4,"running":0.0,"oldest_age_s":1e300}"#,
            Active,
            Active,
        ),
        (
            r#"{"depth":1e999,"running":0,"oldest_age_s":NaN}"#,
            Unknown,
            Unknown,
        ),
        (r#"{"depth":-1,"running":0,"oldest_age_s":-1}"#, Clear, Clear),
        (
            r#"{"depth":true,"running":[0],"oldest_age_s":{}}"#,
            Unknown,
            Unknown,
        ),
        (r#"[{"depth":4,"running":0}]"#, Unknown, Unknown),
        (r#"{"queue":{"depth":4,"running":0}}"#, Unknown, Unknown),
        ("null", Unknown, Unknown),
    ] {
        world.good(&format!(r#"{{"queue":{queue}}}"#));
        assert_eq!(world.seen(Kind::QueueOld, ""), old, "{queue}");
        assert_eq!(world.seen(Kind::QueueStalled, ""), stalled, "{queue}");
    }
    world.good(r#"{"queue":{"depth":4,"running":0}}"#);
    assert_eq!(world.detail(Kind::QueueStalled, ""), "depth 4, nothing running");
}

/// Cost is over when it is above the limit; it reads with its cents.
#[test]
fn cost_is_judged_by_today() {
    let mut world = World::new();
    for (cost, seen) in [
        (r#"{"today_usd":3.2,"total_usd":120.5}"#, Clear),
        (r#"{"today_usd":10}"#, Clear),
        (r#"{"total_usd":120.5}"#, Unknown),
        (r#"{"today_usd":Infinity}"#, Unknown),
        (r#"{"today_usd":"12.5"}"#, Unknown),
        ("12.5", Unknown),
        (r#"{"today_usd":12.5}"#, Active),
    ] {
        world.good(&format!(r#"{{"cost":{cost}}}"#));
        assert_eq!(world.seen(Kind::CostOver, ""), seen, "{cost}");
    }
    assert_eq!(world.detail(Kind::CostOver, ""), "12.50 USD today (limit 10.00)");
}

/// The last of two equal keys replaces the whole earlier value: none of the earlier one's parts is left.
#[test]
fn the_last_of_two_equal_keys_replaces_the_whole() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.watch(Kind::StageStuck, name);
        world.watch(Kind::AgentOvertime, name);
    }
    let queue = r#""queue":{"depth":4,"running":0,"oldest_age_s":9999}"#;
    for second in [r#"{"depth":4}"#, "null", "[]", "{}"] {
        world.good(&format!(r#"{{{queue},"queue":{second}}}"#));
        assert_eq!(world.seen(Kind::QueueOld, ""), Unknown, "{second}");
        assert_eq!(world.seen(Kind::QueueStalled, ""), Unknown, "{second}");
    }
    world.good(r#"{"queue":{"depth":4,"running":0,"depth":0}}"#);
    assert_eq!(world.seen(Kind::QueueStalled, ""), Clear);
    world.good(r#"{"queue":{"depth":4,"running":0,"running":{"running":0}}}"#);
    assert_eq!(world.seen(Kind::QueueStalled, ""), Unknown);
    world.good(r#"{"cost":{"today_usd":99},"cost":{"total_usd":1}}"#);
    assert_eq!(world.seen(Kind::CostOver, ""), Unknown);

    world.good(
        r#"{"stages":[{"stage":"a","oldest_age_s":9999}],"stages":[{"stage":"b","oldest_age_s":9999}],
            "agents":[{"id":"a","elapsed_s":9999}],"agents":[{"id":"b","elapsed_s":9999}]}"#,
    );
    for kind in [Kind::StageStuck, Kind::AgentOvertime] {
        assert_eq!(world.seen(kind, "a"), Clear, "{kind:?}");
        assert_eq!(world.seen(kind, "b"), Active, "{kind:?}");
    }
    world.good(r#"{"stages":[{"stage":"a","oldest_age_s":9999}],"stages":null}"#);
    assert_eq!(world.seen(Kind::StageStuck, "a"), Unknown);
    world.good(r#"{"stages":[{"stage":"a","oldest_age_s":9999,"stage":"b","oldest_age_s":"old"}]}"#);
    assert_eq!(world.seen(Kind::StageStuck, "a"), Clear);
    assert_eq!(world.seen(Kind::StageStuck, "b"), Unknown);
    world.good(r#"{"generated_at":"2026-01-02T03:04:05Z","generated_at":7}"#);
    assert_eq!(world.seen(Kind::OrchStale, ""), Unknown);
    let summary = world.good(r#"{"enabled":false,"enabled":true}"#);
    assert!(!summary.paused);
}

/// Paused, its stages, queue, agents and cost are unknown, wherever the key stands; staleness goes on. Any other value
/// of the key is no pause.
#[test]
fn a_paused_orchestrator_is_only_watched_for_staleness() {
    let rest = r#""generated_at":"2026-01-02T03:04:05Z","stages":[{"stage":"a","oldest_age_s":9999}],
        "queue":{"depth":4,"running":0,"oldest_age_s":9999},"agents":[{"id":"a","elapsed_s":9999}],
        "cost":{"today_usd":99}"#;
    let mut world = World::new();
    world.watch(Kind::StageStuck, "a");
    world.watch(Kind::AgentOvertime, "a");
    let judged = [
        (Kind::StageStuck, "a"),
        (Kind::AgentOvertime, "a"),
        (Kind::QueueOld, ""),
        (Kind::QueueStalled, ""),
        (Kind::CostOver, ""),
    ];
    for body in [
        format!(r#"{{"enabled":false,{rest}}}"#),
        format!(r#"{{{rest},"enabled":false}}"#),
    ] {
        assert!(world.good(&body).paused);
        for (kind, subject) in judged {
            assert_eq!(world.seen(kind, subject), Unknown, "{kind:?}");
        }
        assert_eq!(world.seen(Kind::OrchStale, ""), Clear);
    }
    for enabled in ["true", "null", "0", "\"false\"", "[false]"] {
        assert!(!world.good(&format!(r#"{{{rest},"enabled":{enabled}}}"#)).paused);
        for (kind, subject) in judged {
            assert_eq!(world.seen(kind, subject), Active, "{kind:?} {enabled}");
        }
    }
}

/// A higher schema version is warned of once per change, and the rest of the document is read.
#[test]
fn a_newer_schema_is_told_once_per_change() {
    let mut world = World::new();
    let mut told = Vec::new();
    for version in [
        "1", "2", "2", "null", "2", "\"9\"", "3", "2", "1", "2", "0", "1e999", "2.0",
    ] {
        let body = format!(r#"{{"schema_version":{version},"queue":{{"depth":1,"running":0}}}}"#);
        if let Some(newer) = world.good(&body).newer_schema {
            told.push(newer.to_string());
        }
        assert_eq!(world.seen(Kind::QueueStalled, ""), Active);
    }
    let text =
        |version| format!("envelope has schema_version {version}, newer than 1: what is known of it is read");
    assert_eq!(told, [text(2), text(3), text(2), text(2), text(2)]);
}

/// An agent is known by its id, text or integer, else by its pid; with neither it is passed over.
#[test]
fn agents_are_known_by_id_or_pid() {
    let long = "x".repeat(5000);
    let mut world = World::new();
    for name in ["17", "pid-4242", "pid-5", &long] {
        world.watch(Kind::AgentOvertime, name);
    }
    let summary = world.good(&format!(
        r#"{{"agents":[{{"id":17,"elapsed_s":601}},{{"pid":4242,"elapsed_s":601}},{{"id":null,"pid":5,"elapsed_s":1}},
            {{"id":"{long}","elapsed_s":601}},{{"elapsed_s":601}},{{"id":1.5,"pid":"7","elapsed_s":601}}]}}"#
    ));
    assert_eq!(summary.agents, 4);
    for (name, seen) in [
        ("17", Active),
        ("pid-4242", Active),
        ("pid-5", Clear),
        (&long, Active),
    ] {
        assert_eq!(world.seen(Kind::AgentOvertime, name), seen, "{name}");
    }
    assert_eq!(
        world.detail(Kind::AgentOvertime, "17"),
        "runs for 10m 1s (limit 10m)"
    );
    let rows = world.table.rows().iter();
    assert_eq!(rows.filter(|row| row.id().kind == Kind::AgentOvertime).count(), 4);
}

/// A second envelope's `generated_at`, clk_tck, pid, utime and stime, and the cores that it comes to; the first one's are
/// 12:00:00, 100, 1, 1000 and 500.
const CPU: &[([&str; 5], &str)] = &[
    (["12:01:00Z", "100", "1", "1000", "506"], "0.001"),
    (["13:01:00.5+01:00", "100", "1", "10075", "500"], "1.5"),
    (["12:01:00Z", "1000", "1", "4000", "500"], "0.05"),
    (["12:01:00Z", "100", "null", "4000", "500"], "0.5"),
    (["12:01:00Z", "100", "\"1\"", "4000.5", "499.5"], "0.5"),
    (["12:01:00Z", "100", "1", "1000", "500"], "0"),
    // Another process, ticks that went down, a time that went back or stood still.
    (["12:01:00Z", "100", "2", "4000", "500"], ""),
    (["12:01:00Z", "100", "1", "999", "500"], ""),
    (["11:59:00Z", "100", "1", "4000", "500"], ""),
    (["12:00:00Z", "100", "1", "1000", "500"], ""),
    (["12:00:00Z", "100", "1", "4000", "500"], ""),
    // Something is missing.
    (["noon", "100", "1", "4000", "500"], ""),
    (["12:01:00Z", "null", "1", "4000", "500"], ""),
    (["12:01:00Z", "0", "1", "4000", "500"], ""),
    (["12:01:00Z", "-100", "1", "4000", "500"], ""),
    (["12:01:00Z", "100", "1", "\"9\"", "500"], ""),
    (["12:01:00Z", "100", "1", "4000", "null"], ""),
    (["12:01:00Z", "100", "1", "1e308", "1.7e308"], ""),
];

/// An agent's CPU is ticks by time, in cores; it is unknown where either says nothing.
#[test]
fn cpu_is_ticks_by_time_and_nothing_else() {
    for ([at, clk_tck, pid, utime, stime], cores) in CPU {
        let mut world = World::new();
        world.watch(Kind::AgentStalled, "a");
        world.agents("12:00:00", r#"{"id":"a","pid":1,"utime":1000,"stime":500}"#);
        assert_eq!(world.seen(Kind::AgentStalled, "a"), Unknown);
        // The list stands in front of what it is judged by.
        let agent = format!(r#"{{"stime":{stime},"utime":{utime},"pid":{pid},"id":"a"}}"#);
        let body = format!(r#"{{"agents":[{agent}],"clk_tck":{clk_tck},"generated_at":"2026-01-02T{at}"}}"#);
        world.good(&body);
        let detail = world.detail(Kind::AgentStalled, "a");
        if cores.is_empty() {
            assert_eq!(world.seen(Kind::AgentStalled, "a"), Unknown, "{body}");
        } else {
            assert_eq!(world.seen(Kind::AgentStalled, "a"), Clear, "{body}");
            assert_eq!(detail, format!("{cores} cores (floor 0.01)"), "{body}");
        }
    }
}

/// What a baseline is after a tick that said nothing: a step back in time or ticks starts a new one, a time that stood
/// still keeps the old one.
#[test]
fn baselines_follow_what_was_said() {
    let element = |ticks: u32| format!(r#"{{"id":"a","pid":1,"utime":{ticks},"stime":0}}"#);
    for (between, detail) in [
        (("11:00:00", 1000), "0.005 cores (floor 0.01)"),
        (("12:00:30", 500), "0.056 cores (floor 0.01)"),
        (("12:00:00", 3000), "0.667 cores (floor 0.01)"),
    ] {
        let mut world = World::new();
        world.watch(Kind::AgentStalled, "a");
        world.agents("12:00:00", &element(1000));
        world.agents(between.0, &element(between.1));
        assert_eq!(world.seen(Kind::AgentStalled, "a"), Unknown, "{between:?}");
        let ticks = if between.1 == 500 { 1000 } else { 3000 };
        let ticks = if between.1 == 3000 { 9000 } else { ticks };
        world.agents("12:02:00", &element(ticks));
        assert_eq!(world.detail(Kind::AgentStalled, "a"), detail, "{between:?}");
    }
}

/// An agent is stalled once every known sample was below the floor for the whole time: it is clear until then, fires
/// with its reason, and ends with the first sample at the floor.
#[test]
fn an_idle_agent_stalls_after_the_whole_time() {
    let mut world = World::new();
    world.watch(Kind::AgentStalled, "a");
    world.agent(1, 0);
    for minute in 0..60 {
        world.agent(1, 18);
        assert_eq!(world.seen(Kind::AgentStalled, "a"), Clear, "{minute}");
    }
    world.agent(1, 36);
    assert_eq!(world.seen(Kind::AgentStalled, "a"), Active);
    assert!(world.fires(Kind::AgentStalled, "a"));
    assert_eq!(
        world.detail(Kind::AgentStalled, "a"),
        "idle for 1h (0.003 cores, floor 0.01)"
    );
    world.agent(1, 36 + 60);
    assert_eq!(
        world.seen(Kind::AgentStalled, "a"),
        Clear,
        "at the floor is not below it"
    );
    world.agent(1, 36 + 60);
    assert_eq!(world.seen(Kind::AgentStalled, "a"), Clear, "counts anew");
}

/// While an idle hour is being counted: a busy sample or another process starts it again; a new baseline of the same
/// process, unknown ticks, a pause and a missing list do not; a failed answer and a leap in time do.
#[test]
fn what_starts_an_idle_hour_again() {
    fn list_missing(world: &mut World) {
        let time = world.next_minute();
        world.good(&format!(
            r#"{{"generated_at":"2026-01-02T{time}Z","agents":null}}"#
        ));
    }
    fn time_missing(world: &mut World) {
        world.good(r#"{"clk_tck":100,"agents":[{"id":"a","pid":1,"utime":0,"stime":0}]}"#);
    }
    fn paused(world: &mut World) {
        let time = world.next_minute();
        world.good(&format!(
            r#"{{"generated_at":"2026-01-02T{time}Z","clk_tck":100,"agents":[],"enabled":false}}"#
        ));
    }
    type Minute = fn(&mut World);
    let cases: [(&str, Minute, bool); 9] = [
        ("idle", |world| world.agent(1, 1000), true),
        ("ticks went down", |world| world.agent(1, 5), true),
        ("list missing", list_missing, true),
        ("time missing", time_missing, true),
        ("paused", paused, true),
        ("busy", |world| world.agent(1, 1060), false),
        ("other process", |world| world.agent(2, 1000), false),
        ("failed", |world| assert!(world.tick("{").is_err()), false),
        (
            "leap in time",
            |world| {
                world.orchestrator.restart_counts();
                world.agent(1, 1000);
            },
            false,
        ),
    ];
    for (name, minute, goes_on) in cases {
        let mut world = World::new();
        world.watch(Kind::AgentStalled, "a");
        // The first sample is of the second tick; the hour is full at the 62nd.
        (0..40).for_each(|_| world.agent(1, 1000));
        minute(&mut world);
        let (pid, ticks) = match name {
            "other process" => (2, 1000),
            "busy" => (1, 1060),
            "ticks went down" => (1, 5),
            _ => (1, 1000),
        };
        (0..20).for_each(|_| world.agent(pid, ticks));
        assert_eq!(world.seen(Kind::AgentStalled, "a"), Clear, "{name}");
        world.agent(pid, ticks);
        let expected = if goes_on { Active } else { Clear };
        assert_eq!(world.seen(Kind::AgentStalled, "a"), expected, "{name}");
        (0..60).for_each(|_| world.agent(pid, ticks));
        assert_eq!(world.seen(Kind::AgentStalled, "a"), Active, "{name}");
    }
}

/// A stalled agent stays so through an outage: what came before is not told as resolved because a count began anew.
#[test]
fn a_firing_stall_outlives_an_outage() {
    let mut world = World::new();
    (0..63).for_each(|_| world.agent(1, 0));
    assert!(world.fires(Kind::AgentStalled, "a"));
    (0..3).for_each(|_| assert!(world.tick("").is_err()));
    for _ in 0..5 {
        world.agent(1, 0);
        assert_ne!(world.seen(Kind::AgentStalled, "a"), Clear);
    }
    assert_eq!(world.seen(Kind::AgentStalled, "a"), Active);
    world.agent(1, 600);
    world.agent(1, 1200);
    assert!(!world.fires(Kind::AgentStalled, "a"));
}

/// An agent that ended is clear; so its alarm resolves, and its state is gone when it comes back.
#[test]
fn an_agent_that_ended_is_clear() {
    let mut world = World::new();
    (0..63).for_each(|_| world.agent(1, 0));
    assert!(world.fires(Kind::AgentStalled, "a"));
    let time = world.next_minute();
    world.agents(&time, "");
    assert_eq!(world.seen(Kind::AgentStalled, "a"), Clear);
    let time = world.next_minute();
    world.agents(&time, r#"{"id":"b"}"#);
    assert!(!world.fires(Kind::AgentStalled, "a"));
    world.watch(Kind::AgentStalled, "a");
    world.agent(1, 0);
    assert_eq!(world.seen(Kind::AgentStalled, "a"), Unknown);
    world.agent(1, 0);
    assert_eq!(world.seen(Kind::AgentStalled, "a"), Clear);
}

/// An agent above the ceiling for ten minutes runs away; one sample at or below it ends that.
#[test]
fn a_runaway_is_above_the_ceiling_for_ten_minutes() {
    let mut world = World::new();
    world.watch(Kind::AgentRunaway, "a");
    // 2.5 cores are 15,000 ticks a minute.
    (0..11).for_each(|minute| {
        world.agent(1, minute * 15_000);
        assert_ne!(world.seen(Kind::AgentRunaway, "a"), Active);
    });
    world.agent(1, 11 * 15_000);
    assert_eq!(world.seen(Kind::AgentRunaway, "a"), Active);
    assert!(world.fires(Kind::AgentRunaway, "a"));
    assert_eq!(
        world.detail(Kind::AgentRunaway, "a"),
        "2.5 cores, above 2 for 10m"
    );
    world.agent(1, 11 * 15_000 + 12_000);
    assert_eq!(world.seen(Kind::AgentRunaway, "a"), Clear);
}

/// Two elements with one id are two processes with a state each: the idle one is seen beside the busy one.
#[test]
fn an_id_that_stands_twice_hides_no_stalled_process() {
    for pids in [
        [r#""pid":1"#, r#""pid":2"#],
        [r#""pid":1"#, r#""pid":1"#],
        ["", ""],
    ] {
        let mut world = World::new();
        world.watch(Kind::AgentStalled, "a");
        for minute in 0..63 {
            let time = world.next_minute();
            let element = |pid: &str, ticks: u32| {
                let comma = if pid.is_empty() { "" } else { "," };
                format!(r#"{{"id":"a"{comma}{pid},"utime":{ticks},"stime":0}}"#)
            };
            let elements = [element(pids[0], minute * 6000), element(pids[1], 7)];
            world.agents(&time, &elements.join(","));
        }
        assert_eq!(world.seen(Kind::AgentStalled, "a"), Active, "{pids:?}");
    }
}

/// A list that stands twice counts once, as its last: state and samples of the first are gone.
#[test]
fn a_repeated_list_leaves_no_samples() {
    let mut world = World::new();
    world.watch(Kind::AgentStalled, "a");
    world.watch(Kind::AgentStalled, "b");
    for ticks in [0, 600] {
        let time = world.next_minute();
        world.good(&format!(
            r#"{{"generated_at":"2026-01-02T{time}Z","clk_tck":100,
                "agents":[{{"id":"a","utime":1,"stime":1}},{{"id":"b","utime":9999999,"stime":0}}],
                "agents":[{{"id":"b","utime":{ticks},"stime":0}}]}}"#
        ));
    }
    assert_eq!(world.seen(Kind::AgentStalled, "a"), Clear);
    assert_eq!(world.detail(Kind::AgentStalled, "b"), "0.1 cores (floor 0.01)");
}

/// A document that fails counts for nothing: no signal, no baseline, no time of its own, no agent.
#[test]
fn a_failed_document_counts_for_nothing() {
    let mut world = World::new();
    world.watch(Kind::AgentStalled, "a");
    world.agent(1, 0);
    let cut = r#"{"generated_at":"2026-01-02T23:00:00Z","clk_tck":1,"enabled":false,"schema_version":2,
        "stages":[{"stage":"s","oldest_age_s":9999}],"queue":{"depth":1,"running":0,"oldest_age_s":9999},
        "agents":[{"id":"a","pid":1,"utime":99999,"stime":0},{"id":"b","pid":2,"utime":0,"stime":0,"elapsed_s":9999}],
        "cost":{"today_usd":99}"#;
    assert_eq!(world.tick(cut), Err(EnvelopeFault::CutShort));
    for kind in [
        Kind::OrchStale,
        Kind::QueueOld,
        Kind::QueueStalled,
        Kind::CostOver,
    ] {
        assert_eq!(world.seen(kind, ""), Unknown, "{kind:?}");
    }
    assert!(world.row(Kind::StageStuck, "s").is_none());
    assert!(world.row(Kind::AgentOvertime, "b").is_none());
    // Two minutes after the first sample, as if nothing had been in between.
    world.agent(1, 240);
    world.agent(1, 300);
    assert_eq!(world.detail(Kind::AgentStalled, "a"), "0.01 cores (floor 0.01)");
}

/// What is switched off is neither staged nor needs any state.
#[test]
fn what_is_off_says_nothing() {
    let mut world = World::new();
    let off = Config::EMPTY.orchestrator;
    world.config.orchestrator = off;
    for ticks in 0..2 {
        world.good(&format!(
            r#"{{"generated_at":"2026-01-02T03:0{ticks}:05Z","clk_tck":100,
                "stages":[{{"stage":"s","oldest_age_s":1e9}}],"queue":{{"depth":0,"running":0,"oldest_age_s":1e9}},
                "agents":[{{"id":"a","utime":0,"stime":0,"elapsed_s":1e9}}],"cost":{{"today_usd":99}}}}"#
        ));
    }
    for row in world.table.rows() {
        let expected = match row.id().kind {
            Kind::OrchDown | Kind::QueueStalled | Kind::TableFull => Clear,
            _ => Unknown,
        };
        assert_eq!(row.observation(), expected, "{}", row.id());
    }
    assert_eq!(world.table.totals().total, 6);
}

/// The order of keys and the cuts between pieces change nothing: every rotation of one document, in pieces of every
/// size, sees the same of every signal.
#[test]
fn order_and_cuts_change_nothing() {
    let parts = [
        r#""generated_at":"2026-01-02T03:05:05Z""#,
        r#""clk_tck":100"#,
        r#""stages":[{"stage":"s","oldest_age_s":9999},{"stage":"\u0074","oldest_age_s":1}]"#,
        r#""queue":{"depth":4,"running":0,"oldest_age_s":9999}"#,
        r#""agents":[{"id":"a","pid":1,"utime":6000,"stime":0,"elapsed_s":9999},{"pid":2,"elapsed_s":1}]"#,
        r#""cost":{"today_usd":12.5}"#,
        r#""unknown":{"stages":[{"stage":"x","oldest_age_s":9999}],"agents":"\ud83d\ude00"}"#,
    ];
    let run = |body: &str, piece: usize| {
        let mut world = World::new();
        for (kind, subject) in [
            (Kind::StageStuck, "s"),
            (Kind::StageStuck, "t"),
            (Kind::AgentStalled, "a"),
            (Kind::AgentOvertime, "a"),
            (Kind::AgentOvertime, "pid-2"),
        ] {
            world.watch(kind, subject);
        }
        world.piece = piece;
        world.agents("03:04:05", r#"{"id":"a","pid":1,"utime":0,"stime":0}"#);
        world.good(body);
        let rows = world.table.rows().iter();
        let mut seen: Vec<String> = rows
            .map(|row| format!("{} {:?} {}", row.id(), row.observation(), row.detail()))
            .collect();
        seen.sort();
        seen
    };
    let whole = run(&format!("{{{}}}", parts.join(",")), usize::MAX);
    assert!(whole.contains(&"agent_stalled:a Clear 1 cores (floor 0.01)".to_string()));
    for rotation in 0..parts.len() {
        let mut rotated = parts;
        rotated.rotate_left(rotation);
        let body = format!("{{{}}}", rotated.join(","));
        for piece in [1, 2, 3, 5, 8, 13, 64, usize::MAX] {
            assert_eq!(run(&body, piece), whole, "rotation {rotation}, pieces of {piece}");
        }
    }
}

fn many(range: core::ops::Range<usize>, ticks: usize) -> String {
    let elements: Vec<String> = range
        .map(|number| {
            let elapsed = if number == 9_999 { 9_999 } else { 1 };
            format!(
                r#"{{"id":"job-{number}","pid":{number},"utime":{ticks},"stime":0,"elapsed_s":{elapsed}}}"#
            )
        })
        .collect();
    elements.join(",")
}

/// Reading goes on past any capacity: of 10,000 agents all are looked at for what needs no state, 1,024 have state, the
/// others are counted as left out, and those with state keep it.
#[test]
fn ten_thousand_agents_are_read() {
    let mut world = World::new();
    world.watch(Kind::AgentOvertime, "job-0");
    for name in ["job-0", "job-1023", "job-1024"] {
        world.watch(Kind::AgentStalled, name);
    }
    for minute in 0..3 {
        let time = world.next_minute();
        let summary = world.agents(&time, &many(0..10_000, minute * 6000));
        assert_eq!(summary.agents, 10_000);
        assert_eq!(world.seen(Kind::AgentOvertime, "job-0"), Clear);
        assert_eq!(world.seen(Kind::AgentOvertime, "job-9999"), Active);
        assert_eq!(world.seen(Kind::TableFull, ""), Active);
        assert_eq!(
            world.detail(Kind::TableFull, ""),
            format!("{} signals left out", 10_000 - AGENTS_MAX)
        );
    }
    assert_eq!(world.detail(Kind::AgentStalled, "job-0"), "1 cores (floor 0.01)");
    assert_eq!(world.seen(Kind::AgentStalled, "job-1023"), Clear);
    assert_eq!(world.seen(Kind::AgentStalled, "job-1024"), Unknown);
    // They end, others come: the room is theirs one envelope later.
    world.agents("04:00:00", &many(9_000..9_500, 0));
    assert_eq!(world.seen(Kind::AgentStalled, "job-0"), Clear);
    world.agents("04:01:00", &many(9_000..9_500, 0));
    assert_eq!(world.seen(Kind::TableFull, ""), Clear);
}

/// Room taken by a list that was void, or by a document that failed, is given back at once.
#[test]
fn void_lists_take_no_room() {
    let mut world = World::new();
    let (first, second) = (many(0..1024, 0), many(2000..3024, 0));
    world.good(&format!(r#"{{"agents":[{first}],"agents":[{second}]}}"#));
    assert_eq!(world.seen(Kind::TableFull, ""), Clear);
    world.good(r#"{"agents":[]}"#);
    assert!(world.tick(&format!(r#"{{"agents":[{first}]"#)).is_err());
    world.good(&format!(r#"{{"agents":[{second}]}}"#));
    assert_ne!(world.seen(Kind::TableFull, ""), Active);
}

/// Agents that all bear one id cost no room but for a few, and what is not kept is counted.
#[test]
fn one_id_many_times_takes_little_room() {
    let mut world = World::new();
    world.watch(Kind::AgentStalled, "b");
    let same: Vec<String> = (0..2000)
        .map(|pid| format!(r#"{{"id":"a","pid":{pid},"utime":0,"stime":0}}"#))
        .collect();
    let body = same.join(",") + r#",{"id":"b","pid":1,"utime":0,"stime":0}"#;
    world.agents("03:00:00", &body);
    world.agents("03:01:00", &body);
    assert_eq!(world.seen(Kind::AgentStalled, "b"), Clear);
    assert_eq!(world.seen(Kind::TableFull, ""), Active);
}

/// Any bytes at all are read without harm: pseudo-random ones, and every prefix and every single change of a document.
#[test]
fn no_bytes_do_harm() {
    let body = br#"{"generated_at":"2026-01-02T03:05:05Z","clk_tck":1e2,"stages":[{"stage":"\ud83d","oldest_age_s":-1e999}],
        "agents":[{"id":[{"id":1}],"pid":-9223372036854775808,"utime":1e308,"stime":-1e308,"elapsed_s":1e308}]}"#;
    let mut world = World::new();
    for end in 0..body.len() {
        let _ = world.read(&body[..end]);
        let mut changed = *body;
        for byte in [0, b'"', b'{', b']', b',', b'9', 0xff] {
            changed[end] = byte;
            let _ = world.read(&changed);
            world.orchestrator.abandon(&mut world.table);
        }
    }
    assert!(world.tick(core::str::from_utf8(body).unwrap()).is_ok());
}

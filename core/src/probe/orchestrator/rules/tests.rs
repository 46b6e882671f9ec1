//! Tests of rules over whole documents, through the real reader and the real table.

extern crate std;

use super::super::Orchestrator;
use super::Rules;
use crate::config::{Config, Name};
use crate::rule::Rule;
use crate::signal::{Kind, Observation, SignalId};
use crate::table::Table;
use crate::text::Subject;
use crate::time::{Instant, Millis};
use std::boxed::Box;
use std::format;
use std::string::{String, ToString as _};

use Observation::{Active, Clear, Unknown};

/// One rule, and the table that its signals end in.
struct World {
    orchestrator: Box<Orchestrator>,
    rules: Box<Rules>,
    table: Box<Table>,
    config: Box<Config>,
    now: Instant,
    piece: usize,
}

const KIND: Kind = Kind::Rule(0);

impl World {
    fn new(text: &str) -> Self {
        let mut config = Box::new(Config::EMPTY);
        (config.interval, config.raise_ticks, config.clear_ticks) = (Millis::from_secs(60), 1, 1);
        config.flap_changes = 16;
        let rule = Rule::compile(&Name::try_from("r").unwrap(), text).unwrap();
        let is_one = rule.by.is_none();
        config.rules.push(rule).unwrap();
        let mut world = Self {
            orchestrator: Box::new(Orchestrator::new()),
            rules: Box::new(Rules::new()),
            table: Box::new(Table::new()),
            config,
            now: Instant::ZERO,
            piece: usize::MAX,
        };
        if is_one {
            world.watch("");
        }
        world
    }

    /// Gives a subject a row of its own, so that what is seen of it can be told when it is clear or unknown too.
    fn watch(&mut self, subject: &str) {
        let subject = Subject::new(subject);
        self.table.register(SignalId { kind: KIND, subject }, self.now);
    }

    /// Reads a document up to its end, which nothing counts before.
    fn read(&mut self, body: &str) {
        self.orchestrator.begin();
        self.rules.begin(&self.config.rules);
        for piece in body.as_bytes().chunks(self.piece.min(body.len())) {
            let Self { rules, config, .. } = self;
            self.orchestrator
                .feed(
                    piece,
                    &config.orchestrator,
                    &mut self.table,
                    &mut |event, table| rules.take(event, &config.rules, table),
                )
                .unwrap();
        }
        self.orchestrator
            .finish(self.now, &self.config.orchestrator, &mut self.table)
            .unwrap();
        self.rules.finish(&self.config.rules, &mut self.table);
    }

    /// A minute passes, and this is the answer.
    fn tick(&mut self, body: &str) {
        self.now = self.now.after(Millis::from_secs(60));
        self.read(body);
        self.table.settle(self.now, &self.config);
    }

    /// What was last seen of a subject.
    fn saw(&self, subject: &str) -> Option<Observation> {
        let is_it = |row: &&crate::table::Row| row.id().kind == KIND && row.id().subject.as_str() == subject;
        self.table
            .rows()
            .iter()
            .find(is_it)
            .map(crate::table::Row::observation)
    }

    fn detail(&self) -> String {
        self.table.rows().iter().next().unwrap().detail().to_string()
    }
}

/// Tells what a rule without `by` says of one document, in whatever pieces it comes.
fn verdict(rule: &str, body: &str) -> (Observation, String) {
    let mut whole = World::new(rule);
    whole.tick(body);
    let mut bytewise = World::new(rule);
    bytewise.piece = 1;
    bytewise.tick(body);
    let seen = (whole.saw("").unwrap(), whole.detail());
    assert_eq!(seen, (bytewise.saw("").unwrap(), bytewise.detail()));
    seen
}

const VALUES: &[(&str, &str, Observation, &str)] = &[
    (
        "queue.failed > 0",
        r#"{"queue":{"failed":3}}"#,
        Active,
        "queue.failed is 3 (> 0)",
    ),
    (
        "queue.failed > 0",
        r#"{"queue":{"failed":0}}"#,
        Clear,
        "queue.failed is 0 (> 0)",
    ),
    (
        "queue.failed > 0",
        r#"{"queue":{}}"#,
        Unknown,
        "queue.failed missing",
    ),
    (
        "queue.failed > 0",
        r#"{"queue":[3]}"#,
        Unknown,
        "queue.failed missing",
    ),
    (
        "queue.failed > 0",
        r#"{"queue":{"failed":"3"}}"#,
        Unknown,
        r#"queue.failed is "3" (> 0)"#,
    ),
    (
        "queue.failed > 0",
        r#"{"queue":{"failed":NaN}}"#,
        Unknown,
        "queue.failed missing",
    ),
    (
        "queue.failed > 0",
        r#"{"queue":{"failed":1e999}}"#,
        Unknown,
        "queue.failed missing",
    ),
    (
        "a.b == null",
        r#"{"a":{"b":null}}"#,
        Active,
        "a.b is null (== null)",
    ),
    (
        "a.b != null",
        r#"{"a":{"b":{}}}"#,
        Active,
        "a.b is a list or an object (!= null)",
    ),
    ("a.b != null", r#"{"a":{}}"#, Unknown, "a.b missing"),
    (
        r#"mode == "on""#,
        r#"{"mode":"on"}"#,
        Active,
        r#"mode is "on" (== "on")"#,
    ),
    (
        "enabled == false",
        r#"{"enabled":false}"#,
        Active,
        "enabled is false (== false)",
    ),
];

/// Each type of value is held against the rule's; what is missing or of another type is unknown, null compares with all.
#[test]
fn a_value_is_held_against_the_rule() {
    for (rule, body, observation, detail) in VALUES {
        let expected = (*observation, detail.to_string());
        assert_eq!(verdict(rule, body), expected, "{rule} {body}");
    }
    let long = format!(r#"{{"mode":"{}"}}"#, "x".repeat(5000));
    assert_eq!(verdict(r#"mode != "on""#, &long).0, Active);
}

/// Without `by` the worst of all elements counts, with its figure; an element without the key is unknown, an empty list
/// is clear, no list is unknown.
#[test]
fn of_all_elements_the_worst_counts() {
    let rule = "stages[].age > 10";
    for (body, observation, detail) in [
        (
            r#"{"stages":[{"age":11},{"age":30},{"age":2}]}"#,
            Active,
            "stages[].age is 30 (> 10)",
        ),
        (
            r#"{"stages":[{"age":1},{"age":9}]}"#,
            Clear,
            "stages[].age is 9 (> 10)",
        ),
        (
            r#"{"stages":[{"age":1},{"x":9}]}"#,
            Unknown,
            "stages[].age missing",
        ),
        (r#"{"stages":[]}"#, Clear, "stages[].age: empty list"),
        (r#"{"stages":{"age":11}}"#, Unknown, "stages[].age missing"),
        ("{}", Unknown, "stages[].age missing"),
    ] {
        assert_eq!(verdict(rule, body), (observation, detail.to_string()), "{body}");
    }
    let (observation, detail) = verdict("a[].b < 5", r#"{"a":[{"b":4},{"b":1}]}"#);
    assert_eq!((observation, detail.as_str()), (Active, "a[].b is 1 (< 5)"));
    for (body, observation) in [
        (r#"{"tags":["a","x"]}"#, Active),
        (r#"{"tags":["a"]}"#, Clear),
        (r#"{"tags":[]}"#, Clear),
        (r#"{"tags":"x"}"#, Unknown),
    ] {
        assert_eq!(verdict(r#"tags[] == "x""#, body).0, observation, "{body}");
    }
}

/// `by` names the subject by text or integer, wherever it stands in its object; an element without it is passed over.
#[test]
fn subjects_are_named_by_their_sibling() {
    let mut world = World::new("stages[].age > 10 by stage");
    for subject in ["build", "7", "none"] {
        world.watch(subject);
    }
    world.tick(
        r#"{"stages":[{"age":11,"stage":"build"},{"stage":7,"age":1},{"age":50},{"age":60,"stage":null},
            {"stage":"none"},{"age":12,"stage":"new"}]}"#,
    );
    assert_eq!(world.saw("build"), Some(Active));
    assert_eq!(world.saw("7"), Some(Clear));
    assert_eq!(world.saw("none"), Some(Unknown));
    assert_eq!(world.saw("new"), Some(Active));
    assert_eq!(world.table.rows().len(), 4);
}

/// Of two elements with one subject the worse counts, and a subject that the list no longer holds is clear; without the
/// list nothing is known of it.
#[test]
fn a_subject_that_is_gone_is_clear_once_the_list_ended() {
    let mut world = World::new("stages[].age > 10 by stage");
    world.tick(r#"{"stages":[{"age":1,"stage":"a"},{"age":11,"stage":"a"},{"age":2,"stage":"a"}]}"#);
    assert_eq!(world.saw("a"), Some(Active));
    world.tick(r#"{"x":[{"age":1,"stage":"a"}]}"#);
    assert_eq!(world.saw("a"), Some(Unknown));
    world.tick(r#"{"stages":7}"#);
    assert_eq!(world.saw("a"), Some(Unknown));
    world.tick(r#"{"stages":[]}"#);
    assert_eq!(world.saw("a"), Some(Clear));
}

/// The last of two equal keys replaces the whole earlier value: the list, an element's value, its name.
#[test]
fn a_second_equal_key_replaces_all_that_the_first_one_said() {
    let mut world = World::new("stages[].age > 10 by stage");
    world.tick(r#"{"stages":[{"age":11,"stage":"a"}],"stages":[{"age":12,"stage":"b"}]}"#);
    assert_eq!((world.saw("a"), world.saw("b")), (None, Some(Active)));
    let mut world = World::new("stages[].age > 10 by stage");
    world.watch("a");
    world.tick(r#"{"stages":[{"age":11,"stage":"a"}],"stages":null}"#);
    assert_eq!(world.saw("a"), Some(Unknown));
    world.tick(r#"{"stages":[{"age":11,"stage":"a","age":1}]}"#);
    assert_eq!(world.saw("a"), Some(Clear));
    world.tick(r#"{"stages":[{"stage":"b","age":11,"stage":"a"}]}"#);
    assert_eq!((world.saw("a"), world.saw("b")), (Some(Active), None));

    for (rule, body, observation) in [
        ("a.b > 0", r#"{"a":{"b":1},"a":{}}"#, Unknown),
        ("a.b > 0", r#"{"a":{"b":1},"a":3}"#, Unknown),
        ("a.b > 0", r#"{"a":{"b":1,"b":0}}"#, Clear),
        ("a[].b > 0", r#"{"a":[{"b":1}],"a":[{"b":0}]}"#, Clear),
        ("a[].b.c > 0", r#"{"a":[{"b":{"c":1},"b":{"c":0}}]}"#, Clear),
        ("a[].b.c > 0", r#"{"a":[{"b":{"c":1},"b":{}}]}"#, Unknown),
        ("a.b[] > 0", r#"{"a":{"b":[1],"b":[]}}"#, Clear),
    ] {
        assert_eq!(verdict(rule, body).0, observation, "{rule} {body}");
    }
}

/// Lists of lists: a list that is missing inside leaves the rest unknown, and what a repeated key inside would replace
/// cannot be told from the rest, so the rule is unknown.
#[test]
fn lists_of_lists_are_read_to_their_ends() {
    let rule = "g[].jobs[].age > 10";
    for (body, observation) in [
        (
            r#"{"g":[{"jobs":[{"age":1}]},{"jobs":[{"age":11},{"age":2}]}]}"#,
            Active,
        ),
        (r#"{"g":[{"jobs":[{"age":1}]},{"jobs":[]}]}"#, Clear),
        (r#"{"g":[{"jobs":[{"age":1}]},{"x":1}]}"#, Unknown),
        (r#"{"g":[{"jobs":[{"age":1}]},{"jobs":5}]}"#, Unknown),
        (r#"{"g":[{"jobs":[{"age":11}]},{"x":1}]}"#, Active),
        (r#"{"g":[{"jobs":[{"age":11}],"jobs":[]}]}"#, Unknown),
    ] {
        assert_eq!(verdict(rule, body).0, observation, "{body}");
    }
    let mut world = World::new("g[].jobs[].age > 10 by id");
    world.tick(r#"{"g":[{"jobs":[{"id":"a","age":11}]},{"jobs":[{"age":12,"id":"b"}]}]}"#);
    assert_eq!((world.saw("a"), world.saw("b")), (Some(Active), Some(Active)));
    world.tick(r#"{"g":[{"jobs":[{"id":"a","age":11}]},{}]}"#);
    assert_eq!((world.saw("a"), world.saw("b")), (Some(Active), Some(Unknown)));
    world.tick(r#"{"g":[{"jobs":[{"id":"a","age":11}]}]}"#);
    assert_eq!((world.saw("a"), world.saw("b")), (Some(Active), Some(Clear)));
}

/// `by` stands beside the path's last key, also where that is an object inside the element or the list behind it.
#[test]
fn by_stands_beside_the_last_key() {
    let mut world = World::new("a[].cpu.used > 1 by id");
    world.tick(r#"{"a":[{"id":"no","cpu":{"used":2,"id":"yes"}}]}"#);
    assert_eq!((world.saw("yes"), world.saw("no")), (Some(Active), None));
    let mut world = World::new("q.tags[] == \"x\" by name");
    world.tick(r#"{"q":{"name":"n","tags":["x"]}}"#);
    assert_eq!(world.saw("n"), Some(Active));
    world.tick(r#"{"q":{"tags":["y"],"name":"n"}}"#);
    assert_eq!(world.saw("n"), Some(Clear));
}

/// A paused orchestrator's own signals are unknown; the rest goes on, and rules are of the rest.
#[test]
fn rules_go_on_while_the_orchestrator_is_paused() {
    let body = r#"{"enabled":false,"queue":{"failed":1}}"#;
    assert_eq!(verdict("queue.failed > 0", body).0, Active);
}

/// Nothing of a document that turns out to be none is left behind.
#[test]
fn a_failed_document_leaves_nothing() {
    let mut world = World::new("stages[].age > 10 by stage");
    world.read(r#"{"stages":[{"age":11,"stage":"a"}]}"#);
    world.orchestrator.abandon(&mut world.table);
    world.table.settle(world.now, &world.config);
    assert_eq!(world.saw("a").unwrap_or(Unknown), Unknown);
    assert_ne!(world.saw("a"), Some(Active));
}

//! The operator's rules, evaluated while the envelope streams past (CONTRACTS 4).
//!
//! [`Rules::begin`], [`Rules::take`] for each event of the document, then [`Rules::finish`] if it was one. A rule looks at
//! one *element* at a time: the innermost `[]` in front of its path's last key, or the whole document. What the element
//! says is kept until it ends, so the key of `by` may come after the value. What a second equal key replaces is forgotten;
//! where that is more than an element and less than the whole rule (a list of lists), the rule is unknown for this document.
//!
//! It never holds more than one element of a rule, whatever the document's length. Tests: `rules/tests.rs`.

#[cfg(test)]
mod tests;

use core::fmt::{self, Write as _};

use heapless::{String, Vec};

use super::envelope::{is_end, name};
use super::figures::Plain;
use crate::json::Event;
use crate::json::path::{Matcher, Patterns, Segment as Place, Step};
use crate::limits::{RULES_MAX, SUBJECT_BYTES_MAX};
use crate::rule::{Literal, Op, PATH_SEGMENTS_MAX, Rule, Scalar, Segment};
use crate::signal::{Kind, Observation};
use crate::table::Table;
use crate::text::{Cut, Subject};

/// Rules in the configuration, which are never more than [`RULES_MAX`].
type Compiled = Vec<Rule, RULES_MAX>;

/// Evaluates the rules over one document after the other.
#[derive(Debug)]
pub struct Rules {
    matcher: Matcher,
    running: [Running; RULES_MAX],
}

/// What a rule found at its place.
#[derive(Clone, Debug)]
#[repr(u8)]
enum Found {
    /// Nothing, or no value that counts.
    Missing,
    /// The path ends in a list, and the list was empty.
    NoElement,
    /// A value, what the rule says of it, and how bad it is beside others.
    Value(Figure, Observation, f64),
}

/// A value as a person is shown it.
#[derive(Clone, Debug)]
enum Figure {
    Number(f64),
    Bool(bool),
    Null,
    Text(String<SUBJECT_BYTES_MAX>),
    Container,
}

/// One rule over the document under way.
#[derive(Debug)]
struct Running {
    shape: Shape,
    /// What the element under way says.
    element: Found,
    subject: Option<Subject>,
    /// The worst of the elements so far, for a rule without `by`.
    worst: Found,
    /// The first list was read to its end.
    ended: bool,
    /// Something is in the table that may have to be taken back.
    staged: bool,
    /// Keys between two `[]` that were seen in the object under way, one bit for each step of the path.
    seen: u16,
    /// What a key between two `[]` leads to is not there somewhere, so not all subjects are known.
    incomplete: bool,
    /// A key between two `[]` stood twice: what its earlier value said cannot be told from the rest.
    spoiled: bool,
}

/// Where the steps of a path are that matter, counted from the document.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// The first `[]`; the path's length if there is none.
    first_list: usize,
    /// The element: the step behind the last `[]` in front of the last key.
    element: usize,
    /// The last key.
    last_key: usize,
}

impl Shape {
    fn of(path: &[Segment]) -> Self {
        let is_key = |step: &Segment| matches!(step, Segment::Key(_));
        let last_key = path.iter().rposition(is_key).unwrap_or(0);
        let before = path.iter().take(last_key);
        let lists_and_keys = before.rev().position(|step| !is_key(step)).unwrap_or(last_key);
        Self {
            first_list: path.iter().position(|step| !is_key(step)).unwrap_or(path.len()),
            element: last_key.saturating_sub(lists_and_keys),
            last_key,
        }
    }

    /// Whether the step is a key between two `[]` in front of the element.
    const fn is_between(&self, step: usize) -> bool {
        self.first_list < step && step < self.element
    }
}

impl Running {
    const NEW: Self = Self {
        shape: Shape {
            first_list: 0,
            element: 0,
            last_key: 0,
        },
        element: Found::Missing,
        subject: None,
        worst: Found::Missing,
        ended: false,
        staged: false,
        seen: 0,
        incomplete: false,
        spoiled: false,
    };

    /// All that was found is void.
    fn restart(&mut self, kind: Kind, table: &mut Table) {
        if self.staged {
            table.unstage(kind);
        }
        *self = Self {
            shape: self.shape,
            worst: Found::NoElement,
            ..Self::NEW
        };
    }

    fn begin_element(&mut self) {
        self.element = Found::Missing;
        self.subject = None;
    }

    fn end_element(&mut self, rule: &Rule, kind: Kind, table: &mut Table) {
        let found = core::mem::replace(&mut self.element, Found::Missing);
        if rule.by.is_none() {
            if found.is_worse_than(&self.worst) {
                self.worst = found;
            }
        } else if let Some(subject) = self.subject.take() {
            self.staged = true;
            stage(rule, kind, &subject, &found, table);
        }
    }

    /// A key on the way to the value begins its own: what an earlier one said is void.
    fn key_begins(&mut self, step: usize, event: &Event<'_>, rule: &Rule, kind: Kind, table: &mut Table) {
        if step >= self.shape.element {
            self.element = Found::Missing;
            self.ended &= step > self.shape.first_list;
        } else if step < self.shape.first_list {
            self.restart(kind, table);
        } else if self.shape.is_between(step) {
            let bit = 1_u16.checked_shl(u32::try_from(step).unwrap_or(0)).unwrap_or(0);
            self.spoiled |= self.seen & bit != 0;
            self.seen |= bit;
            let leads_on = match rule.path.get(step.saturating_add(1)) {
                Some(Segment::Each) => *event == Event::ArrayStart,
                _ => *event == Event::ObjectStart,
            };
            self.incomplete |= !leads_on;
        }
    }

    /// A container on the way to the value begins or ends at this step.
    fn container(&mut self, step: usize, event: &Event<'_>, rule: &Rule, kind: Kind, table: &mut Table) {
        let bit = 1_u16.checked_shl(u32::try_from(step).unwrap_or(0)).unwrap_or(0);
        let has_key_between =
            self.shape.is_between(step) && matches!(rule.path.get(step), Some(Segment::Key(_)));
        match event {
            Event::ObjectStart if step == self.shape.element => self.begin_element(),
            Event::ObjectEnd if step == self.shape.element => self.end_element(rule, kind, table),
            Event::ObjectStart if has_key_between => self.seen &= !bit,
            Event::ObjectEnd if has_key_between => self.incomplete |= self.seen & bit == 0,
            Event::ArrayEnd => {
                self.ended |= step == self.shape.first_list;
                if step > self.shape.last_key && matches!(self.element, Found::Missing) {
                    self.element = Found::NoElement;
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, rule: &Rule, kind: Kind, table: &mut Table) {
        let has_list = self.shape.first_list < rule.path.len();
        let all_read = !has_list || (self.ended && !self.incomplete);
        if rule.by.is_some() {
            if self.spoiled {
                table.unstage(kind);
            } else if all_read {
                table.list_ended(kind);
            }
            return;
        }
        let active = self.worst.observation() == Observation::Active;
        let found = if self.spoiled || !(all_read || active) {
            &Found::Missing
        } else {
            &self.worst
        };
        stage(rule, kind, &Subject::NONE, found, table);
    }
}

impl Found {
    fn of(event: &Event<'_>, rule: &Rule) -> Self {
        let (figure, observation) = match event {
            Event::Number(number) => match number.as_f64() {
                Some(value) => (Figure::Number(value), rule.holds(Scalar::Number(value))),
                None => return Self::Missing,
            },
            Event::Bool(value) => (Figure::Bool(*value), rule.holds(Scalar::Bool(*value))),
            Event::Null => (Figure::Null, rule.holds(Scalar::Null)),
            Event::String(text) => {
                let mut shown = String::new();
                let _ = Cut::new(&mut shown).write_str(text.start());
                // What is longer than all that is kept is longer than any text of a rule, so its start tells enough.
                (Figure::Text(shown), rule.holds(Scalar::Text(text.start())))
            }
            Event::ObjectStart | Event::ArrayStart => (Figure::Container, rule.holds(Scalar::Container)),
            Event::NotFinite | Event::Key(_) | Event::ObjectEnd | Event::ArrayEnd => return Self::Missing,
        };
        let badness = match (&figure, rule.op) {
            (Figure::Number(value), Op::Above | Op::AtLeast) => *value,
            (Figure::Number(value), Op::Below | Op::AtMost) => -*value,
            _ => 0.0,
        };
        Self::Value(figure, observation, badness)
    }

    const fn observation(&self) -> Observation {
        match self {
            Self::Missing => Observation::Unknown,
            Self::NoElement => Observation::Clear,
            Self::Value(_, observation, _) => *observation,
        }
    }

    const fn badness(&self) -> f64 {
        match self {
            Self::Missing | Self::NoElement => f64::MIN,
            Self::Value(_, _, badness) => *badness,
        }
    }

    fn is_worse_than(&self, other: &Self) -> bool {
        let (own, others) = (self.observation(), other.observation());
        own > others || (own == others && self.badness() > other.badness())
    }
}

impl Rules {
    /// No document yet: all zero bits, some 10 KiB.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            matcher: Matcher::new(),
            running: [const { Running::NEW }; RULES_MAX],
        }
    }

    /// Begins a document.
    pub fn begin(&mut self, rules: &Compiled) {
        self.matcher.reset();
        for (running, rule) in self.running.iter_mut().zip(rules) {
            *running = Running {
                shape: Shape::of(&rule.path),
                worst: Found::NoElement,
                ..Running::NEW
            };
        }
    }

    /// Takes the next event of the document. What has no end stays staged until the table is told that the document was none.
    pub fn take(&mut self, event: &Event<'_>, rules: &Compiled, table: &mut Table) {
        // Of each rule the value's pattern, and next to it that of its `by`.
        let patterns = Patterns::first(rules.len().saturating_mul(2));
        if patterns.is_empty() {
            return;
        }
        let step = self
            .matcher
            .step(event, patterns, |pattern, place| place_of(rules, pattern, place));
        if step != Step::default() {
            self.step(event, step, rules, table);
        }
    }

    fn step(&mut self, event: &Event<'_>, step: Step, rules: &Compiled, table: &mut Table) {
        let starts = usize::from(matches!(event, Event::ObjectStart | Event::ArrayStart));
        // How many steps lead to the value of this event, or to the container that it starts or ends.
        let length = self.matcher.depth().saturating_sub(starts);
        let mut each = |patterns: Patterns, visit: &mut dyn FnMut(&mut Running, Part, &Rule, Kind)| {
            for pattern in patterns {
                let number = pattern / 2;
                let part = if pattern.is_multiple_of(2) {
                    Part::Value
                } else {
                    Part::By
                };
                if let (Some(running), Some(rule)) = (self.running.get_mut(number), rules.get(number)) {
                    let kind = Kind::Rule(u8::try_from(number).unwrap_or(u8::MAX));
                    visit(running, part, rule, kind);
                }
            }
        };
        each(step.replaced, &mut |running, part, rule, kind| match part {
            Part::Value => running.key_begins(length.saturating_sub(1), event, rule, kind, table),
            Part::By if length > running.shape.element => running.subject = None,
            Part::By => {}
        });
        if !is_end(event) {
            each(step.matched, &mut |running, part, rule, _| match part {
                Part::By => running.subject = name(event),
                Part::Value => {
                    let found = Found::of(event, rule);
                    let is_first = matches!(running.element, Found::Missing);
                    if is_first || found.is_worse_than(&running.element) {
                        running.element = found;
                    }
                }
            });
        }
        each(step.inside, &mut |running, part, rule, kind| {
            if part == Part::Value {
                running.container(length, event, rule, kind, table);
            }
        });
    }

    /// Ends a document that was a good one: what is known only at its end is staged.
    pub fn finish(&mut self, rules: &Compiled, table: &mut Table) {
        for ((number, running), rule) in (0_u8..).zip(&mut self.running).zip(rules) {
            running.finish(rule, Kind::Rule(number), table);
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}

/// Which of a rule's two patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Value,
    By,
}

/// Tells the step of a pattern. That of a `by` that is not given has no end, so nothing matches it.
fn place_of(rules: &Compiled, pattern: usize, step: usize) -> Option<Place<'_>> {
    let rule = rules.get(pattern / 2)?;
    let own = match rule.path.get(step) {
        Some(Segment::Key(key)) => Some(Place::Key(key)),
        Some(Segment::Each) => Some(Place::Every),
        None => None,
    };
    if pattern.is_multiple_of(2) {
        return own;
    }
    let Some(by) = &rule.by else {
        return Some(Place::Every);
    };
    let last_key = Shape::of(&rule.path).last_key;
    match step.cmp(&last_key) {
        core::cmp::Ordering::Less => own,
        core::cmp::Ordering::Equal => Some(Place::Key(by)),
        core::cmp::Ordering::Greater => None,
    }
}

fn stage(rule: &Rule, kind: Kind, subject: &Subject, found: &Found, table: &mut Table) {
    let path = ShownPath(&rule.path);
    let mut staged = |badness, detail: fmt::Arguments<'_>| {
        table.stage(kind, subject, found.observation(), badness, detail);
    };
    match found {
        Found::Missing => staged(0.0, format_args!("{path} missing")),
        Found::NoElement => staged(0.0, format_args!("{path}: empty list")),
        Found::Value(figure, _, badness) => {
            let (op, value) = (rule.op.as_str(), ShownLiteral(&rule.value));
            staged(*badness, format_args!("{path} is {figure} ({op} {value})"));
        }
    }
}

/// A path as its rule is written.
struct ShownPath<'a>(&'a Vec<Segment, PATH_SEGMENTS_MAX>);

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut dot = "";
        for segment in self.0 {
            match segment {
                Segment::Key(key) => write!(f, "{dot}{key}")?,
                Segment::Each => f.write_str("[]")?,
            }
            dot = ".";
        }
        Ok(())
    }
}

struct ShownLiteral<'a>(&'a Literal);

impl fmt::Display for ShownLiteral<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Literal::Number(value) => Plain(*value).fmt(f),
            Literal::Bool(value) => value.fmt(f),
            Literal::Null => f.write_str("null"),
            Literal::Text(text) => write!(f, "\"{text}\""),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => Plain(*value).fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Null => f.write_str("null"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Container => f.write_str("a list or an object"),
        }
    }
}

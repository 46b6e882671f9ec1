//! The rule grammar: `PATH OP VALUE [for N|DURATION] [by KEY]` (CONTRACTS 4), compiled into a [`Rule`] of fixed size.
//!
//! A `Rule` that exists can be evaluated; what cannot is refused with the column at which something else was
//! expected. Must never recurse or grow with the text. Limits: [`PATH_SEGMENTS_MAX`] steps in a path, 64 bytes in a key or a text.
//! Tests: beside the code. Fuzz target: `rule`.

use core::fmt;

use heapless::Vec;

use crate::config::Name;
use crate::config::value::{self, Bounds};
use crate::signal::Observation;
use crate::text::append;
use crate::time::Millis;

/// Steps of a path, each a key or `[]`. The envelope's own paths have at most three; eight reach what an orchestrator adds.
pub const PATH_SEGMENTS_MAX: usize = 8;

/// A rule over the envelope, compiled.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rule {
    /// `<NAME>` in lower case: the kind of its signals.
    pub name: Name,
    /// Where to look.
    pub path: Vec<Segment, PATH_SEGMENTS_MAX>,
    /// How to compare what is found there with `value`.
    pub op: Op,
    /// What to compare with.
    pub value: Literal,
    /// When it fires; none = `WATCHDOG_RAISE_TICKS`.
    pub raise: Option<Raise>,
    /// The key beside the path's last step whose value names the subject; `path` then holds [`Segment::Each`].
    pub by: Option<Name>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Segment {
    /// The value of this key of an object.
    Key(Name),
    /// Every element of an array: `[]`.
    Each,
}

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Op {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Op {
    /// Tells how it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// The value of a rule.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Literal {
    /// A finite number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
    /// `"text"`, at most 64 bytes.
    Text(Name),
}

/// When a rule that holds fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Raise {
    /// After so many ticks in a row, 1 to 1000.
    Ticks(u16),
    /// After it has held for so long without a clear, 1s to 365d.
    For(Millis),
}

/// A value of the envelope that a rule can be held against.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scalar<'a> {
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
    /// A string.
    Text(&'a str),
    /// An array or an object, which is not null, and that is all that can be asked of it.
    Container,
}

impl Rule {
    /// Compiles a rule's text.
    ///
    /// # Errors
    ///
    /// Where the text leaves the grammar, and what the operator should have written there.
    pub fn compile(name: &Name, text: &str) -> Result<Self, RuleFault> {
        let mut scan = Scan { text, rest: text };
        scan.skip_space();
        let path = scan.path()?;
        scan.skip_space();
        let op_at = scan;
        let op = scan.op()?;
        scan.skip_space();
        let value = scan.value()?;
        let has_order = matches!(value, Literal::Number(_));
        if !has_order && !matches!(op, Op::Equal | Op::NotEqual) {
            return Err(op_at.fault(Expected::Equality));
        }
        let raise = scan.raise()?;
        let by = scan.by(path.contains(&Segment::Each))?;
        scan.end()?;
        Ok(Self {
            name: name.clone(),
            path,
            op,
            value,
            raise,
            by,
        })
    }

    /// Tells whether a value fulfils the rule. Values of another type than the rule's are unknown, as a missing one is; only
    /// `null` can be compared with a value of any type.
    #[must_use]
    pub fn holds(&self, found: Scalar<'_>) -> Observation {
        let is_equal = match (&self.value, found) {
            (Literal::Number(value), Scalar::Number(found)) => return self.holds_number(found, *value),
            (Literal::Bool(value), Scalar::Bool(found)) => *value == found,
            (Literal::Text(value), Scalar::Text(found)) => value.as_str() == found,
            (Literal::Null, found) => found == Scalar::Null,
            (Literal::Number(_) | Literal::Bool(_) | Literal::Text(_), _) => return Observation::Unknown,
        };
        observation(match self.op {
            Op::Equal => is_equal,
            Op::NotEqual => !is_equal,
            // The grammar gives an order to numbers alone.
            Op::Above | Op::AtLeast | Op::Below | Op::AtMost => return Observation::Unknown,
        })
    }

    fn holds_number(&self, found: f64, value: f64) -> Observation {
        if !found.is_finite() {
            return Observation::Unknown;
        }
        observation(match self.op {
            Op::Above => found > value,
            Op::AtLeast => found >= value,
            Op::Below => found < value,
            Op::AtMost => found <= value,
            Op::Equal => found == value,
            Op::NotEqual => found != value,
        })
    }
}

const fn observation(holds: bool) -> Observation {
    if holds {
        Observation::Active
    } else {
        Observation::Clear
    }
}

/// Where a rule leaves the grammar, the operator's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RuleFault {
    /// The character at which it happens, counted from 1.
    pub column: usize,
    /// What should stand there.
    pub expected: Expected,
}

/// What a rule should hold at a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Expected {
    /// A key of 1 to 64 bytes.
    Key,
    /// `[]`, whole.
    Brackets,
    /// No more steps than [`PATH_SEGMENTS_MAX`].
    ShorterPath,
    /// An operator.
    Operator,
    /// `==` or `!=`, since only numbers have an order.
    Equality,
    /// A value.
    Value,
    /// A number that we can hold.
    Number,
    /// The closing quote of a text of at most 64 bytes.
    TextEnd,
    /// Ticks or a duration behind `for`.
    Hold,
    /// No `by`, since the path has no `[]`.
    ByWithBrackets,
    /// `for`, `by` or the end.
    End,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: expected ", self.column)?;
        f.write_str(match self.expected {
            Expected::Key => "a key of 1 to 64 bytes",
            Expected::Brackets => "[] for every element",
            Expected::ShorterPath => "a path of at most 8 steps",
            Expected::Operator => "an operator: > >= < <= == !=",
            Expected::Equality => "== or != (only numbers have an order)",
            Expected::Value => "a number, true, false, null or \"text\"",
            Expected::Number => "a number of at most 15 digits",
            Expected::TextEnd => "the closing quote of a text of at most 64 bytes",
            Expected::Hold => "1 to 1000 ticks or a duration from 1s to 365d",
            Expected::ByWithBrackets => "no by, for the path has no []",
            Expected::End => "for N|DURATION, then by KEY, then the end",
        })
    }
}

/// What is left of a rule's text.
#[derive(Clone, Copy)]
struct Scan<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Scan<'a> {
    fn fault(&self, expected: Expected) -> RuleFault {
        let read = self.text.len().saturating_sub(self.rest.len());
        let before = self.text.split_at_checked(read).map_or("", |(before, _)| before);
        RuleFault {
            column: before.chars().count().saturating_add(1),
            expected,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes characters up to the first one that `ends` names.
    fn take_until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn word(&mut self) -> &'a str {
        self.take_until(char::is_whitespace)
    }

    fn take(&mut self, literal: &str) -> bool {
        match self.rest.strip_prefix(literal) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes white space and the word behind it, if it is this one.
    fn take_word(&mut self, wanted: &str) -> bool {
        let mut ahead = *self;
        ahead.skip_space();
        let is_it = ahead.word() == wanted;
        if is_it {
            *self = ahead;
        }
        is_it
    }

    fn path(&mut self) -> Result<Vec<Segment, PATH_SEGMENTS_MAX>, RuleFault> {
        let mut path = Vec::new();
        loop {
            let start = *self;
            let key = self.key()?;
            path.push(Segment::Key(key))
                .map_err(|_| start.fault(Expected::ShorterPath))?;
            while self.rest.starts_with('[') {
                let start = *self;
                if !self.take("[]") {
                    return Err(start.fault(Expected::Brackets));
                }
                path.push(Segment::Each)
                    .map_err(|_| start.fault(Expected::ShorterPath))?;
            }
            if !self.take(".") {
                return Ok(path);
            }
        }
    }

    fn key(&mut self) -> Result<Name, RuleFault> {
        let start = *self;
        let key = self.take_until(|c| {
            c.is_whitespace() || c.is_control() || matches!(c, '.' | '[' | ']' | '<' | '>' | '=' | '!' | '"')
        });
        if key.is_empty() {
            return Err(start.fault(Expected::Key));
        }
        Name::try_from(key).map_err(|_| start.fault(Expected::Key))
    }

    fn op(&mut self) -> Result<Op, RuleFault> {
        let start = *self;
        // The longer ones first, or `>=` would read as `>`.
        for (text, op) in [
            (">=", Op::AtLeast),
            ("<=", Op::AtMost),
            ("==", Op::Equal),
            ("!=", Op::NotEqual),
            (">", Op::Above),
            ("<", Op::Below),
        ] {
            if self.take(text) {
                return Ok(op);
            }
        }
        Err(start.fault(Expected::Operator))
    }

    fn value(&mut self) -> Result<Literal, RuleFault> {
        if self.take("\"") {
            return self.text_value();
        }
        let start = *self;
        match self.word() {
            "true" => Ok(Literal::Bool(true)),
            "false" => Ok(Literal::Bool(false)),
            "null" => Ok(Literal::Null),
            number if number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                value::json_number(number)
                    .map(Literal::Number)
                    .ok_or_else(|| start.fault(Expected::Number))
            }
            _ => Err(start.fault(Expected::Value)),
        }
    }

    /// Reads on behind a quote: `\"` and `\\` stand for `"` and `\`, as in JSON.
    fn text_value(&mut self) -> Result<Literal, RuleFault> {
        let mut text = Vec::new();
        loop {
            let before = *self;
            let mut characters = self.rest.chars();
            let mut character = characters.next();
            if character == Some('"') {
                self.rest = characters.as_str();
                break;
            }
            if character == Some('\\') && characters.as_str().starts_with(['"', '\\']) {
                character = characters.next();
            }
            self.rest = characters.as_str();
            character
                .and_then(|character| append(&mut text, character.encode_utf8(&mut [0; 4])))
                .ok_or_else(|| before.fault(Expected::TextEnd))?;
        }
        if !self.rest.is_empty() && !self.rest.starts_with(char::is_whitespace) {
            return Err(self.fault(Expected::End));
        }
        let text = Name::from_utf8(text).map_err(|_| self.fault(Expected::TextEnd))?;
        Ok(Literal::Text(text))
    }

    fn raise(&mut self) -> Result<Option<Raise>, RuleFault> {
        if !self.take_word("for") {
            return Ok(None);
        }
        self.skip_space();
        let start = *self;
        let word = self.word();
        let raise = if word.bytes().all(|byte| byte.is_ascii_digit()) {
            value::ticks(word).map(Raise::Ticks)
        } else {
            value::span(word, Bounds::USUAL).map(Raise::For)
        };
        raise.map(Some).ok_or_else(|| start.fault(Expected::Hold))
    }

    fn by(&mut self, has_brackets: bool) -> Result<Option<Name>, RuleFault> {
        let mut start = *self;
        start.skip_space();
        if !self.take_word("by") {
            return Ok(None);
        }
        if !has_brackets {
            return Err(start.fault(Expected::ByWithBrackets));
        }
        self.skip_space();
        self.key().map(Some)
    }

    fn end(&mut self) -> Result<(), RuleFault> {
        self.skip_space();
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.fault(Expected::End))
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::string::{String, ToString as _};

    fn compile(text: &str) -> Result<Rule, RuleFault> {
        Rule::compile(&Name::try_from("r").unwrap(), text)
    }

    fn key(text: &str) -> Segment {
        Segment::Key(Name::try_from(text).unwrap())
    }

    #[test]
    fn a_rule_compiles_into_its_parts() {
        let rule = compile("queue.failed > 0 for 3").unwrap();
        assert_eq!(rule.path, [key("queue"), key("failed")]);
        assert_eq!((rule.op, rule.value), (Op::Above, Literal::Number(0.0)));
        assert_eq!((rule.raise, rule.by), (Some(Raise::Ticks(3)), None));

        let rule = compile("  stages[].oldest_age_s>=1.5e2   for 10m by stage ").unwrap();
        assert_eq!(rule.path, [key("stages"), Segment::Each, key("oldest_age_s")]);
        assert_eq!((rule.op, rule.value), (Op::AtLeast, Literal::Number(150.0)));
        assert_eq!(rule.raise, Some(Raise::For(Millis::from_secs(600))));
        assert_eq!(rule.by.as_deref(), Some("stage"));
    }

    #[test]
    fn each_operator_and_each_kind_of_value_is_read() {
        for (text, op) in [
            (">", Op::Above),
            (">=", Op::AtLeast),
            ("<", Op::Below),
            ("<=", Op::AtMost),
            ("==", Op::Equal),
            ("!=", Op::NotEqual),
        ] {
            assert_eq!(compile(&format!("a {text} 1")).unwrap().op, op);
            assert_eq!(
                compile(&format!("a{text}-1")).unwrap().value,
                Literal::Number(-1.0)
            );
        }
        for (text, value) in [
            ("true", Literal::Bool(true)),
            ("false", Literal::Bool(false)),
            ("null", Literal::Null),
            ("\"a b\"", Literal::Text(Name::try_from("a b").unwrap())),
            ("\"\"", Literal::Text(Name::new())),
            (
                r#""q\"b\\s\n""#,
                Literal::Text(Name::try_from(r#"q"b\s\n"#).unwrap()),
            ),
        ] {
            assert_eq!(compile(&format!("a == {text}")).unwrap().value, value);
        }
    }

    #[test]
    fn a_rule_that_leaves_the_grammar_is_told_where_and_what_was_expected() {
        let long_key = format!("a.{} > 1", "k".repeat(65));
        let long_text = format!("a == \"{}\"", "t".repeat(65));
        for (text, column, expected) in [
            ("", 1, Expected::Key),
            ("   ", 4, Expected::Key),
            (".a > 1", 1, Expected::Key),
            ("a. > 1", 3, Expected::Key),
            ("a..b > 1", 3, Expected::Key),
            ("[].a > 1", 1, Expected::Key),
            ("> 1", 1, Expected::Key),
            ("a.b.c.d.e.f.g.h.i > 1", 17, Expected::ShorterPath),
            ("a[][][][][][][][] > 1", 16, Expected::ShorterPath),
            ("a[0] > 1", 2, Expected::Brackets),
            ("a[ > 1", 2, Expected::Brackets),
            ("a", 2, Expected::Operator),
            ("a b > 1", 3, Expected::Operator),
            ("a[]b > 1", 4, Expected::Operator),
            ("a = 1", 3, Expected::Operator),
            ("a => 1", 3, Expected::Operator),
            ("a ! 1", 3, Expected::Operator),
            ("é é", 3, Expected::Operator),
            ("a >", 4, Expected::Value),
            ("a > ", 5, Expected::Value),
            ("a > for 3", 5, Expected::Value),
            ("a > = 1", 5, Expected::Value),
            ("a == text", 6, Expected::Value),
            ("a == NaN", 6, Expected::Value),
            ("a == Infinity", 6, Expected::Value),
            ("a == -Infinity", 6, Expected::Number),
            ("a > 1x", 5, Expected::Number),
            ("a > 1234567890123456", 5, Expected::Number),
            ("a == \"open", 11, Expected::TextEnd),
            (&long_text, 71, Expected::TextEnd),
            (&long_key, 3, Expected::Key),
            ("a == \"x\"y", 9, Expected::End),
            ("a > true", 3, Expected::Equality),
            ("a >= \"b\"", 3, Expected::Equality),
            ("a < null", 3, Expected::Equality),
            ("a > 1 for", 10, Expected::Hold),
            ("a > 1 for 0", 11, Expected::Hold),
            ("a > 1 for 1001", 11, Expected::Hold),
            ("a > 1 for 366d", 11, Expected::Hold),
            ("a > 1 for ever", 11, Expected::Hold),
            ("a > 1 by b", 7, Expected::ByWithBrackets),
            ("a[].x > 1 by", 13, Expected::Key),
            ("a[].x > 1 by b.c", 15, Expected::End),
            ("a[].x > 1 by b for 3", 16, Expected::End),
            ("a > 1 2", 7, Expected::End),
            ("a > 1 forever", 7, Expected::End),
        ] {
            let fault = compile(text).map(|_| ()).unwrap_err();
            assert_eq!(fault, RuleFault { column, expected }, "{text}");
            assert!(
                fault
                    .to_string()
                    .starts_with(&format!("column {column}: expected "))
            );
        }
    }

    #[test]
    fn any_text_of_any_length_gets_an_answer() {
        // Ten thousand characters of each shape are refused or taken, never a panic, and a column lies within the text.
        for unit in [
            "a", ".", "a.", "[]", "a[].", "\"", "é", " ", "a > 1 ", "for ", "\\\"", "1", "\u{0}", "==",
        ] {
            let text: String = unit.repeat(10_000 / unit.len());
            for text in [
                text.clone(),
                format!("a == {text}"),
                format!("a[] > 1 for 3 by {text}"),
                format!("a == \"{text}"),
            ] {
                if let Err(fault) = compile(&text) {
                    assert!(fault.column <= text.chars().count() + 1, "{unit}");
                }
            }
        }
    }

    #[test]
    fn a_value_is_compared_by_its_type() {
        use Observation::{Active, Clear, Unknown};
        for (rule, found, told) in [
            ("a > 1", Scalar::Number(1.5), Active),
            ("a > 1", Scalar::Number(1.0), Clear),
            ("a >= 1", Scalar::Number(1.0), Active),
            ("a < 1", Scalar::Number(0.0), Active),
            ("a <= 1", Scalar::Number(1.5), Clear),
            ("a == 0.1", Scalar::Number(0.1), Active),
            ("a != 0.1", Scalar::Number(0.1), Clear),
            ("a != 0.1", Scalar::Number(0.2), Active),
            ("a > 1", Scalar::Number(f64::NAN), Unknown),
            ("a != 1", Scalar::Number(f64::INFINITY), Unknown),
            ("a > 1", Scalar::Text("2"), Unknown),
            ("a != 1", Scalar::Null, Unknown),
            ("a == 1", Scalar::Bool(true), Unknown),
            ("a == true", Scalar::Bool(true), Active),
            ("a != true", Scalar::Bool(true), Clear),
            ("a == true", Scalar::Number(1.0), Unknown),
            ("a == \"x\"", Scalar::Text("x"), Active),
            ("a != \"x\"", Scalar::Text("y"), Active),
            ("a == \"x\"", Scalar::Null, Unknown),
            ("a == null", Scalar::Null, Active),
            ("a == null", Scalar::Number(0.0), Clear),
            ("a != null", Scalar::Text(""), Active),
            ("a != null", Scalar::Null, Clear),
        ] {
            assert_eq!(compile(rule).unwrap().holds(found), told, "{rule} {found:?}");
        }
    }
}

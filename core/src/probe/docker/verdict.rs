//! From a container's state to its four signals, and their details in words.

use core::fmt;

use super::container::{Container, End};
use super::exit::ExitCode;
use super::state::{Run, State, judge};
use crate::limits::OOM_QUIET;
use crate::signal::{Kind, Observation};
use crate::table::Table;
use crate::time::{Instant, Millis};

/// How an active observation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// One of K.
    OneOfK,
    /// At once: the engine states it (CONTRACTS 4, debounce).
    Fact,
}

/// What stands behind an observation, in words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Words<'a> {
    /// Nothing to say.
    None,
    /// These.
    Plain(&'static str),
    /// These, and the code of its last end.
    PlainAfter(&'static str, ExitCode),
    /// It ended with this code.
    Exit(ExitCode),
    /// It is unhealthy, and its check said this.
    Unhealthy(&'a str),
    /// So many restarts in so long a time.
    Restarts(u64, Millis),
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => Ok(()),
            Self::Plain(words) => f.write_str(words),
            Self::PlainAfter(words, code) => write!(f, "{words}, {code}"),
            Self::Exit(code) => write!(f, "{code}"),
            Self::Unhealthy("") => f.write_str("unhealthy"),
            Self::Unhealthy(output) => write!(f, "unhealthy: {output}"),
            Self::Restarts(count, span) => write!(f, "{count} restarts in {span}"),
        }
    }
}

/// One signal's observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict<'a> {
    pub(super) observation: Observation,
    pub(super) weight: Weight,
    pub(super) words: Words<'a>,
}

impl Verdict<'_> {
    const CLEAR: Self = Self::quiet(Observation::Clear);
    const UNKNOWN: Self = Self::quiet(Observation::Unknown);

    const fn quiet(observation: Observation) -> Self {
        Self {
            observation,
            weight: Weight::OneOfK,
            words: Words::None,
        }
    }
}

/// The kinds of signals that a container has.
pub(super) const KINDS: [Kind; 4] = [
    Kind::ContainerDown,
    Kind::ContainerUnhealthy,
    Kind::ContainerRestarting,
    Kind::ContainerOom,
];

/// Tells what one kind of signal is, for a container whose health check last said `output`.
pub(super) fn verdict<'a>(kind: Kind, container: &Container, output: &'a str, now: Instant) -> Verdict<'a> {
    match kind {
        Kind::ContainerDown => down(container),
        Kind::ContainerUnhealthy => unhealthy(container, output),
        Kind::ContainerRestarting => restarting(container, now),
        Kind::ContainerOom => oom(container, now),
        _ => Verdict::UNKNOWN,
    }
}

/// Stages an observation the way it counts.
pub(super) fn stage(table: &mut Table, kind: Kind, container: &Container, verdict: Verdict<'_>) {
    let subject = &container.seen.name;
    let words = format_args!("{}", verdict.words);
    match verdict.weight {
        Weight::OneOfK => table.stage(kind, subject, verdict.observation, 0.0, words),
        Weight::Fact => table.stage_fact(kind, subject, verdict.observation, 0.0, words),
    }
}

const fn active(weight: Weight, words: Words<'_>) -> Verdict<'_> {
    Verdict {
        observation: Observation::Active,
        weight,
        words,
    }
}

fn down(container: &Container) -> Verdict<'static> {
    let seen = &container.seen;
    match judge(seen.state, seen.health).0 {
        Run::Runs => Verdict::CLEAR,
        Run::Unknown => Verdict::UNKNOWN,
        Run::Ended => ended(container),
        Run::Idle(_) if !seen.role.is_listed() => Verdict::CLEAR,
        Run::Idle(words) => {
            let words = match seen.code {
                Some(code) if seen.state == State::Restarting => Words::PlainAfter(words, code),
                _ => Words::Plain(words),
            };
            active(Weight::OneOfK, words)
        }
    }
}

fn ended(container: &Container) -> Verdict<'static> {
    let seen = &container.seen;
    let is_listed = seen.role.is_listed();
    let is_success = seen.code == Some(ExitCode(0));
    let words = seen.code.map_or(Words::Plain("ended"), Words::Exit);
    match container.end {
        _ if seen.expects_exit && is_success => Verdict::CLEAR,
        End::ByItself if is_listed || !is_success => active(Weight::Fact, words),
        End::OnPurpose if is_listed => active(Weight::OneOfK, Words::Plain("stopped")),
        _ if is_listed => active(Weight::OneOfK, words),
        End::Open => Verdict::UNKNOWN,
        End::None | End::Before | End::OnPurpose | End::ByItself => Verdict::CLEAR,
    }
}

fn unhealthy<'a>(container: &Container, output: &'a str) -> Verdict<'a> {
    match judge(container.seen.state, container.seen.health).1 {
        Observation::Active => active(Weight::Fact, Words::Unhealthy(output)),
        quiet => Verdict::quiet(quiet),
    }
}

fn restarting(container: &Container, now: Instant) -> Verdict<'static> {
    container
        .restarts
        .too_many(now)
        .map_or(Verdict::CLEAR, |(count, span)| {
            active(Weight::OneOfK, Words::Restarts(count, span))
        })
}

fn oom(container: &Container, now: Instant) -> Verdict<'static> {
    match container.oom_at() {
        Some(at) if now.since(at) < OOM_QUIET => active(
            Weight::Fact,
            Words::Plain("out of memory: the kernel killed in it"),
        ),
        _ => Verdict::CLEAR,
    }
}

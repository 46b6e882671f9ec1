//! What the machine has to say beside signals: log lines that wait to be polled, faults of the configuration for the start
//! digest, and how each source fares.
//!
//! Bounded: what does not fit is counted, and the count is told.

use core::fmt::{self, Write as _};

use heapless::{Deque, Vec};

use crate::logfmt::Line;
use crate::net::Level;
use crate::text::{self, Detail};
use crate::time::Utc;

/// Lines that wait to be polled: an input leads to a few at most.
const LINES_MAX: usize = 8;
/// Faults of the configuration that the start digest can hold.
const FAULTS_MAX: usize = 16;

/// A fault of the configuration in words: the longest one that the configuration writes.
type FaultLine = heapless::String<336>;

/// How a source fares, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SourceState<'a> {
    /// It is switched off.
    Off,
    /// It was not read yet.
    Waiting,
    /// It answers; some figures.
    Answers(&'a str),
    /// It does not answer usably; why.
    Fails(&'a str),
}

impl SourceState<'_> {
    /// Tells whether it answers.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Answers(_))
    }

    /// Tells figures or the reason.
    #[must_use]
    pub const fn detail(&self) -> &str {
        match self {
            Self::Off => "off",
            Self::Waiting => "not read yet",
            Self::Answers(detail) | Self::Fails(detail) => detail,
        }
    }
}

/// How a source fared in its last tick.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fared {
    read: bool,
    answers: bool,
    detail: Detail,
}

impl Fared {
    pub(super) const fn new() -> Self {
        Self {
            read: false,
            answers: false,
            detail: Detail::new(),
        }
    }

    pub(super) fn set(&mut self, answers: bool, detail: fmt::Arguments<'_>) {
        (self.read, self.answers) = (true, answers);
        self.detail = text::detail(detail);
    }

    pub(super) fn state(&self) -> SourceState<'_> {
        match (self.read, self.answers) {
            (false, _) => SourceState::Waiting,
            (true, true) => SourceState::Answers(&self.detail),
            (true, false) => SourceState::Fails(&self.detail),
        }
    }
}

/// What waits to be said.
#[derive(Debug)]
pub struct Notes {
    lines: Deque<(Level, Line), LINES_MAX>,
    dropped: u32,
    faults: Vec<FaultLine, FAULTS_MAX>,
    faults_left: u32,
    start_line: bool,
    pub(super) orchestrator: Fared,
    pub(super) docker: Fared,
    pub(super) host: Fared,
    /// Why the last exchange with the engine failed.
    pub(super) engine_failure: Detail,
}

impl Notes {
    pub(super) const fn new() -> Self {
        Self {
            lines: Deque::new(),
            dropped: 0,
            faults: Vec::new(),
            faults_left: 0,
            start_line: false,
            orchestrator: Fared::new(),
            docker: Fared::new(),
            host: Fared::new(),
            engine_failure: Detail::new(),
        }
    }

    /// The run begins: one line will say with what.
    pub(super) const fn started(&mut self) {
        self.start_line = true;
    }

    /// Takes the wish to say how the run begins.
    pub(super) const fn take_start_line(&mut self) -> bool {
        core::mem::replace(&mut self.start_line, false)
    }

    pub(super) fn fault(&mut self, line: fmt::Arguments<'_>) {
        let mut text = FaultLine::new();
        let _ = text::Cut::new(&mut text).write_fmt(line);
        if self.faults.push(text).is_err() {
            self.faults_left = self.faults_left.saturating_add(1);
        }
    }

    /// Tells the faults of the configuration, and how many more there were.
    pub(super) fn faults(&self) -> (&[FaultLine], u32) {
        (&self.faults, self.faults_left)
    }

    /// Adds a log line: its event, filled in by `fill`.
    pub(super) fn log(&mut self, wall: Utc, level: Level, event: &str, fill: impl FnOnce(&mut Line)) {
        let mut line = Line::new(wall, level);
        line.pair("event", event);
        fill(&mut line);
        if self.lines.push_back((level, line)).is_err() {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Takes the next log line.
    pub(super) fn take_line(&mut self, wall: Utc) -> Option<(Level, Line)> {
        if let Some(line) = self.lines.pop_front() {
            return Some(line);
        }
        let dropped = core::mem::take(&mut self.dropped);
        (dropped > 0).then(|| {
            let mut line = Line::new(wall, Level::Warn);
            line.pair("event", "dropped").pair("lines", dropped);
            (Level::Warn, line)
        })
    }
}

//! The answer to `/containers/<id>/json`: one container's state, its counts, and its health check's last words.
//!
//! `Config.Env` holds other people's secrets: it is passed over like all that is not named here.

use core::fmt::Write as _;

use heapless::String;

use super::exit::{ExitCode, signal_number};
use super::state::{Health, State};
use super::trail::{Shape, Trail, Visit};
use crate::json::{Event, Text};
use crate::limits::DETAIL_BYTES_MAX;
use crate::text::Cut;
use crate::time::{Millis, Utc};

/// A health check's output: its first bytes, cleaned.
pub(super) type Output = String<DETAIL_BYTES_MAX>;

/// What inspect says.
#[derive(Clone, Debug, Default)]
pub(super) struct Inspection {
    pub(super) state: State,
    pub(super) code: Option<ExitCode>,
    pub(super) oom_killed: bool,
    /// When it was last started; none if never.
    pub(super) started: Option<Utc>,
    /// When it last ended; none if never.
    pub(super) finished: Option<Utc>,
    pub(super) health: Health,
    /// What the last health check said.
    pub(super) output: Output,
    pub(super) restart_count: Option<u64>,
    /// The signal that `docker stop` sends it; none if that is SIGTERM.
    pub(super) stop_signal: Option<u8>,
}

impl Inspection {
    const EMPTY: Self = Self {
        state: State::Unknown,
        code: None,
        oom_killed: false,
        started: None,
        finished: None,
        health: Health::None,
        output: Output::new(),
        restart_count: None,
        stop_signal: None,
    };

    /// Tells how long its last life was, if that is over for good. While it runs, what it says of an end is of the life
    /// before, and one that its policy brings back restarts now, however long it lived.
    pub(super) fn lived(&self) -> Option<Millis> {
        let (started, finished) = (self.started?, self.finished?);
        let millis = finished.nanos_since(started).div_euclid(1_000_000);
        self.state
            .is_ended()
            .then(|| Millis::from_millis(u64::try_from(millis).unwrap_or(0)))
    }
}

/// The places of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Elsewhere,
    Top,
    State,
    Status,
    ExitCode,
    OomKilled,
    Started,
    Finished,
    Health,
    HealthStatus,
    Log,
    LogEntry,
    Output,
    RestartCount,
    Config,
    StopSignal,
}

impl Shape for At {
    const ELSEWHERE: Self = Self::Elsewhere;
    const TOP: Self = Self::Top;

    fn key(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top, "State") => Self::State,
            (Self::Top, "RestartCount") => Self::RestartCount,
            (Self::Top, "Config") => Self::Config,
            (Self::State, "Status") => Self::Status,
            (Self::State, "ExitCode") => Self::ExitCode,
            (Self::State, "OOMKilled") => Self::OomKilled,
            (Self::State, "StartedAt") => Self::Started,
            (Self::State, "FinishedAt") => Self::Finished,
            (Self::State, "Health") => Self::Health,
            (Self::Health, "Status") => Self::HealthStatus,
            (Self::Health, "Log") => Self::Log,
            (Self::LogEntry, "Output") => Self::Output,
            (Self::Config, "StopSignal") => Self::StopSignal,
            _ => Self::Elsewhere,
        }
    }

    fn element(self) -> Self {
        match self {
            Self::Log => Self::LogEntry,
            _ => Self::Elsewhere,
        }
    }
}

/// Reads an inspection.
#[derive(Debug)]
pub(super) struct InspectReader {
    trail: Trail<At>,
    said: Inspection,
    is_object: bool,
}

impl InspectReader {
    /// Stands in front of an answer: all zero bits.
    pub(super) const fn new() -> Self {
        Self {
            trail: Trail::new(),
            said: Inspection::EMPTY,
            is_object: false,
        }
    }

    /// Stands in front of an answer again.
    pub(super) fn reset(&mut self) {
        self.trail.reset();
        self.said = Inspection::EMPTY;
        self.is_object = false;
    }

    /// Tells what a whole document said, if it was an object.
    pub(super) fn said(&self) -> Option<&Inspection> {
        self.is_object.then_some(&self.said)
    }

    /// Takes one event.
    pub(super) fn take(&mut self, event: Event<'_>) {
        match self.trail.step(event) {
            Visit::Named(place) => self.forget(place),
            Visit::Opened(At::Top) => self.is_object = event == Event::ObjectStart,
            // The engine keeps five; the last one said the last word, also when it had no output.
            Visit::Opened(At::LogEntry) => self.said.output.clear(),
            Visit::Value(place, Event::String(text)) => self.text(place, text),
            Visit::Value(At::OomKilled, Event::Bool(value)) => self.said.oom_killed = value,
            Visit::Value(At::ExitCode, Event::Number(number)) => {
                self.said.code = number.as_i64().map(ExitCode)
            }
            Visit::Value(At::RestartCount, Event::Number(number)) => {
                self.said.restart_count = number.as_i64().and_then(|count| u64::try_from(count).ok());
            }
            _ => {}
        }
    }

    fn forget(&mut self, place: At) {
        let said = &mut self.said;
        match place {
            At::State => {
                *said = Inspection {
                    restart_count: said.restart_count,
                    stop_signal: said.stop_signal,
                    ..Inspection::EMPTY
                };
            }
            At::Status => said.state = State::Unknown,
            At::ExitCode => said.code = None,
            At::OomKilled => said.oom_killed = false,
            At::Started => said.started = None,
            At::Finished => said.finished = None,
            At::Health => {
                said.health = Health::None;
                said.output.clear();
            }
            At::HealthStatus => said.health = Health::None,
            At::Log | At::Output => said.output.clear(),
            At::RestartCount => said.restart_count = None,
            At::Config | At::StopSignal => said.stop_signal = None,
            At::Elsewhere | At::Top | At::LogEntry => {}
        }
    }

    fn text(&mut self, place: At, text: Text<'_>) {
        let whole = text.whole().unwrap_or_default();
        let said = &mut self.said;
        match place {
            At::Status => said.state = State::of(whole),
            At::Started => said.started = Utc::parse_rfc3339(whole).filter(is_real),
            At::Finished => said.finished = Utc::parse_rfc3339(whole).filter(is_real),
            At::HealthStatus => said.health = Health::of(whole),
            At::Output => {
                let _ = Cut::new(&mut said.output).write_str(text.start().trim());
            }
            At::StopSignal => said.stop_signal = signal_number(whole),
            _ => {}
        }
    }
}

/// The engine writes the first second of the year 1 for what never happened.
fn is_real(time: &Utc) -> bool {
    time.date().0 > 1
}

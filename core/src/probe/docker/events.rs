//! The stream of `/events`: one JSON object after the other, each something that happened to a container.

use super::exit::signal_number;
use super::id::Id;
use super::list::{Label, Labels, Named, Row};
use super::state::{Health, State};
use super::trail::{Shape, Trail, Visit};
use crate::config;
use crate::json::{Event, Fault, Reader, Text};

/// What happened, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Action {
    /// Something else.
    #[default]
    Other,
    /// It started.
    Start,
    /// It was sent a signal.
    Kill,
    /// It was stopped.
    Stop,
    /// It ended.
    Die,
    /// The kernel killed in it.
    Oom,
    /// It has another name.
    Rename,
    /// Its health check said something new. (What it said stands beside, so that a new reader is all zero bits.)
    Health,
}

impl Action {
    /// Reads the engine's word; `destroy` is not among them, for a removed container shows in the next list.
    fn of(word: &str) -> Self {
        match word {
            "start" => Self::Start,
            "kill" => Self::Kill,
            "stop" => Self::Stop,
            "die" => Self::Die,
            "oom" => Self::Oom,
            "rename" => Self::Rename,
            _ if health_in(word) != Health::None => Self::Health,
            _ => Self::Other,
        }
    }
}

/// `health_status: unhealthy`
fn health_in(word: &str) -> Health {
    Health::of(word.strip_prefix("health_status:").unwrap_or_default().trim())
}

/// One event.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    is_container: bool,
    pub(super) action: Action,
    /// What a health check said.
    pub(super) health: Health,
    /// The container as the event describes it, its state left open.
    pub(super) row: Row,
    /// The signal of a `kill`.
    pub(super) signal: Option<u8>,
    /// The engine's time of it, in nanoseconds since 1970.
    pub(super) ns: Option<i64>,
}

impl Happening {
    const EMPTY: Self = Self {
        is_container: false,
        action: Action::Other,
        health: Health::None,
        row: Row::EMPTY,
        signal: None,
        ns: None,
    };
}

/// The places of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Elsewhere,
    Top,
    Type,
    Action,
    Actor,
    Id,
    Attributes,
    Name,
    Signal,
    Enable,
    OneOff,
    Expect,
    TimeNano,
}

impl Shape for At {
    const ELSEWHERE: Self = Self::Elsewhere;
    const TOP: Self = Self::Top;

    fn key(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top, "Type") => Self::Type,
            (Self::Top, "Action") => Self::Action,
            (Self::Top, "Actor") => Self::Actor,
            (Self::Top, "timeNano") => Self::TimeNano,
            (Self::Actor, "ID") => Self::Id,
            (Self::Actor, "Attributes") => Self::Attributes,
            (Self::Attributes, "name") => Self::Name,
            (Self::Attributes, "signal") => Self::Signal,
            (Self::Attributes, Labels::ENABLE) => Self::Enable,
            (Self::Attributes, Labels::ONE_OFF) => Self::OneOff,
            (Self::Attributes, Labels::EXPECT) => Self::Expect,
            _ => Self::Elsewhere,
        }
    }

    fn element(self) -> Self {
        Self::Elsewhere
    }
}

/// Reads the stream.
#[derive(Debug)]
pub(super) struct EventReader {
    reader: Reader,
    document: Document,
}

/// The event under way.
#[derive(Debug)]
struct Document {
    trail: Trail<At>,
    said: Happening,
}

impl EventReader {
    /// Stands in front of a stream: all zero bits.
    pub(super) const fn new() -> Self {
        Self {
            reader: Reader::new(),
            document: Document {
                trail: Trail::new(),
                said: Happening::EMPTY,
            },
        }
    }

    /// Stands in front of a stream again.
    pub(super) fn reset(&mut self) {
        self.reader.reset();
        self.document.reset();
    }

    /// Reads a piece of the stream up to the end of one event; tells it, and the bytes behind it.
    pub(super) fn feed<'b>(
        &mut self,
        bytes: &'b [u8],
        config: &config::Docker,
    ) -> Result<Option<(Happening, &'b [u8])>, Fault> {
        let document = &mut self.document;
        let rest = self
            .reader
            .feed_sequence(bytes, &mut |event| document.take(event, config))?;
        Ok(rest.map(|rest| {
            let said = document.said.clone();
            document.reset();
            (said, rest)
        }))
    }
}

impl Document {
    fn reset(&mut self) {
        self.trail.reset();
        self.said = Happening::EMPTY;
    }

    fn take(&mut self, event: Event<'_>, config: &config::Docker) {
        match self.trail.step(event) {
            Visit::Named(place) => self.forget(place),
            Visit::Value(place, Event::String(text)) => self.text(place, text, config),
            Visit::Value(At::TimeNano, Event::Number(number)) => self.said.ns = number.as_i64(),
            _ => {}
        }
    }

    fn forget(&mut self, place: At) {
        let said = &mut self.said;
        match place {
            At::Type => said.is_container = false,
            At::Action => {
                said.action = Action::Other;
                said.health = Health::None;
            }
            At::Actor => {
                said.row = Row::EMPTY;
                said.signal = None;
            }
            At::Id => said.row.id = None,
            At::Attributes => {
                said.row.named = Named::NOT;
                said.row.labels = Labels::default();
                said.signal = None;
            }
            At::Name => said.row.named = Named::NOT,
            At::Signal => said.signal = None,
            At::Enable => said.row.labels.take(Label::Enable, None),
            At::OneOff => said.row.labels.take(Label::OneOff, None),
            At::Expect => said.row.labels.take(Label::Expect, None),
            At::TimeNano => said.ns = None,
            At::Elsewhere | At::Top => {}
        }
    }

    fn text(&mut self, place: At, text: Text<'_>, config: &config::Docker) {
        let whole = text.whole().unwrap_or_default();
        let said = &mut self.said;
        match place {
            At::Type => said.is_container = whole == "container",
            At::Action => {
                said.action = Action::of(whole);
                said.health = health_in(whole);
            }
            At::Id => said.row.id = Id::parse(whole),
            At::Name => said.row.named.take(text, config),
            At::Signal => said.signal = signal_number(whole),
            At::Enable => said.row.labels.take(Label::Enable, Some(whole)),
            At::OneOff => said.row.labels.take(Label::OneOff, Some(whole)),
            At::Expect => said.row.labels.take(Label::Expect, Some(whole)),
            At::Elsewhere | At::Top | At::Actor | At::Attributes | At::TimeNano => {}
        }
    }
}

impl Happening {
    /// Tells whether it happened to a container, and is of a kind that matters.
    pub(super) fn matters(&self) -> bool {
        self.is_container && self.action != Action::Other
    }

    /// Tells whether the container is known to run, or to have run just now, by this alone.
    pub(super) const fn shows_running(&self) -> bool {
        matches!(self.action, Action::Start | Action::Die | Action::Oom)
    }

    /// Tells the row of a container that the event shows running.
    pub(super) fn running_row(&self) -> Row {
        Row {
            state: State::Running,
            ..self.row.clone()
        }
    }
}

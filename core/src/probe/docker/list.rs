//! The answer to `/containers/json?all=1`: an array of any number of containers, one kept at a time.

use super::id::Id;
use super::state::{Health, State};
use super::status::Status;
use super::trail::{Shape, Trail, Visit};
use crate::config;
use crate::json::{Event, Text};
use crate::text::Subject;

/// What the configuration says of a container's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// It must exist and run; its place in `WATCHDOG_CONTAINERS`.
    Listed(u8),
    /// It is left alone. Wins over being listed: both are the operator's word, and this one cannot alarm falsely.
    Ignored,
}

impl Role {
    /// Tells the role of a container's name, without the leading slash.
    pub(super) fn of(name: &str, config: &config::Docker) -> Self {
        if config.ignored.iter().any(|ignored| ignored == name) {
            return Self::Ignored;
        }
        config
            .listed
            .iter()
            .position(|listed| listed == name)
            .and_then(|place| u8::try_from(place).ok())
            .map_or(Self::Plain, Self::Listed)
    }

    /// Tells whether the container must exist and run.
    pub(super) const fn is_listed(self) -> bool {
        matches!(self, Self::Listed(_))
    }
}

/// Which of a container's names was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Taken {
    /// None was said yet.
    #[default]
    No,
    /// `/web/db`, a legacy link's name for it: it counts if there is no other.
    Alias,
    /// `/web`
    Own,
}

/// A container's name, taken from the engine's `/web`.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    taken: Taken,
    subject: Subject,
    role: Role,
}

impl Named {
    /// No name.
    pub(super) const NOT: Self = Self {
        taken: Taken::No,
        subject: Subject::NONE,
        role: Role::Plain,
    };

    /// Takes one name into account: the first that is no alias counts, else the first.
    pub(super) fn take(&mut self, name: Text<'_>, config: &config::Docker) {
        let text = name.start();
        let text = text.strip_prefix('/').unwrap_or(text);
        let taken = if text.as_bytes().contains(&b'/') {
            Taken::Alias
        } else {
            Taken::Own
        };
        if text.is_empty() || self.taken == Taken::Own || self.taken == taken {
            return;
        }
        *self = Self {
            taken,
            subject: Subject::new(text),
            role: Role::of(text, config),
        };
    }

    /// Tells the name and its role, if there was one.
    pub(super) fn parts(&self) -> Option<(&Subject, Role)> {
        (self.taken != Taken::No).then_some((&self.subject, self.role))
    }
}

/// What the labels say. They never enter messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    /// `watchdog.enable=false`
    pub(super) off: bool,
    /// `com.docker.compose.oneoff=True`: `docker compose run`.
    pub(super) one_off: bool,
    /// `watchdog.expect=exited`
    pub(super) expects_exit: bool,
}

impl Labels {
    pub(super) const ENABLE: &'static str = "watchdog.enable";
    pub(super) const ONE_OFF: &'static str = "com.docker.compose.oneoff";
    pub(super) const EXPECT: &'static str = "watchdog.expect";

    /// Takes one label into account.
    pub(super) fn take(&mut self, key: Label, value: Option<&str>) {
        let is = |word: &str| value.is_some_and(|value| value.eq_ignore_ascii_case(word));
        match key {
            Label::Enable => self.off = is("false"),
            Label::OneOff => self.one_off = is("true"),
            Label::Expect => self.expects_exit = is("exited"),
        }
    }
}

/// The labels that mean something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// `watchdog.enable`
    Enable,
    /// `com.docker.compose.oneoff`
    OneOff,
    /// `watchdog.expect`
    Expect,
}

/// One container of the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) id: Option<Id>,
    pub(super) named: Named,
    pub(super) state: State,
    /// What the `Status` text says.
    pub(super) status: Status,
    /// `Health.Status`, since API 1.52.
    pub(super) health: Health,
    pub(super) labels: Labels,
}

impl Row {
    pub(super) const EMPTY: Self = Self {
        id: None,
        named: Named::NOT,
        state: State::Unknown,
        status: Status::NOT,
        health: Health::None,
        labels: Labels {
            off: false,
            one_off: false,
            expects_exit: false,
        },
    };

    /// Tells the health: the field's word, else the text's.
    pub(super) fn health(&self) -> Health {
        match self.health {
            Health::None => self.status.health,
            said => said,
        }
    }
}

/// The places of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Elsewhere,
    Top,
    Row,
    Id,
    Names,
    Name,
    State,
    Status,
    Health,
    HealthStatus,
    Labels,
    Enable,
    OneOff,
    Expect,
}

impl Shape for At {
    const ELSEWHERE: Self = Self::Elsewhere;
    const TOP: Self = Self::Top;

    fn key(self, key: &str) -> Self {
        match (self, key) {
            (Self::Row, "Id") => Self::Id,
            (Self::Row, "Names") => Self::Names,
            (Self::Row, "State") => Self::State,
            (Self::Row, "Status") => Self::Status,
            (Self::Row, "Health") => Self::Health,
            (Self::Row, "Labels") => Self::Labels,
            (Self::Health, "Status") => Self::HealthStatus,
            (Self::Labels, Labels::ENABLE) => Self::Enable,
            (Self::Labels, Labels::ONE_OFF) => Self::OneOff,
            (Self::Labels, Labels::EXPECT) => Self::Expect,
            _ => Self::Elsewhere,
        }
    }

    fn element(self) -> Self {
        match self {
            Self::Top => Self::Row,
            Self::Names => Self::Name,
            _ => Self::Elsewhere,
        }
    }
}

/// Reads the list.
#[derive(Debug)]
pub(super) struct ListReader {
    trail: Trail<At>,
    row: Row,
    is_list: bool,
}

impl ListReader {
    /// Stands in front of a list: all zero bits.
    pub(super) const fn new() -> Self {
        Self {
            trail: Trail::new(),
            row: Row::EMPTY,
            is_list: false,
        }
    }

    /// Stands in front of a list again.
    pub(super) fn reset(&mut self) {
        self.trail.reset();
        self.is_list = false;
    }

    /// Tells whether the document is an array at all.
    pub(super) const fn is_list(&self) -> bool {
        self.is_list
    }

    /// Takes one event; tells the row that it completes.
    pub(super) fn take(&mut self, event: Event<'_>, config: &config::Docker) -> Option<&Row> {
        match self.trail.step(event) {
            Visit::Named(place) => self.forget(place),
            Visit::Opened(At::Top) => self.is_list = event == Event::ArrayStart,
            Visit::Opened(At::Row) => self.row = Row::EMPTY,
            Visit::Closed(At::Row) => return Some(&self.row),
            Visit::Value(place, Event::String(text)) => self.value(place, text, config),
            _ => {}
        }
        None
    }

    /// The last of two equal keys replaces what the first one said, whatever its type.
    fn forget(&mut self, place: At) {
        match place {
            At::Id => self.row.id = None,
            At::Names => self.row.named = Named::NOT,
            At::State => self.row.state = State::Unknown,
            At::Status => self.row.status = Status::default(),
            At::Health | At::HealthStatus => self.row.health = Health::None,
            At::Labels => self.row.labels = Labels::default(),
            At::Enable => self.row.labels.take(Label::Enable, None),
            At::OneOff => self.row.labels.take(Label::OneOff, None),
            At::Expect => self.row.labels.take(Label::Expect, None),
            At::Elsewhere | At::Top | At::Row | At::Name => {}
        }
    }

    fn value(&mut self, place: At, text: Text<'_>, config: &config::Docker) {
        let whole = text.whole().unwrap_or_default();
        match place {
            At::Id => self.row.id = Id::parse(whole),
            At::Name => self.row.named.take(text, config),
            At::State => self.row.state = State::of(whole),
            At::Status => self.row.status = Status::of(whole),
            At::HealthStatus => self.row.health = Health::of(whole),
            At::Enable => self.row.labels.take(Label::Enable, Some(whole)),
            At::OneOff => self.row.labels.take(Label::OneOff, Some(whole)),
            At::Expect => self.row.labels.take(Label::Expect, Some(whole)),
            At::Elsewhere | At::Top | At::Row | At::Names | At::Health | At::Labels => {}
        }
    }
}

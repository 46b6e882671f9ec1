//! The Docker Engine: which GET comes next, and what its answers mean.
//!
//! A tick asks `/_ping` for the API version where it is not known, `/containers/json?all=1` for everything, and
//! `/containers/<id>/json` for what changed. Beside it `/events` stays open, so that a death is looked at once it
//! happens; where that is refused, polling alone serves. Podman's answers are understood.
//!
//! It never asks for anything but these four, never shows a label or an environment, and never takes exit 137 for a
//! want of memory. A list of any length is read in constant memory; of 512 containers (and every listed one) state is
//! kept, of the rest only their number.
//! Tests: `tests.rs`, and beside the parts. Fuzz targets: `docker_list`, `docker_inspect`, `docker_events`.

mod container;
mod events;
mod exit;
mod fault;
mod id;
mod inspect;
mod list;
mod outputs;
mod restarts;
mod state;
mod status;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod tick;
mod trail;
mod verdict;

use core::fmt;

pub use fault::Fault;
pub use id::Id;

use crate::config;
use crate::json::Reader;
use crate::signal::{Kind, Observation};
use crate::table::Table;
use crate::text::Subject;
use crate::time::{Instant, Millis};
use container::{Engine, Looks, Wish};
use inspect::InspectReader;
use list::{ListReader, Role};
use outputs::Outputs;
use store::{Store, Tally};
use stream::Stream;
use verdict::{KINDS, Weight};

/// The newest API version that we know how to read: that of Engine 29.
const VERSION_MAX: Version = Version(1, 52);

/// A version of the engine's API, major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Version(pub u16, pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// One GET of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Request {
    /// `/_ping`: which API version it speaks.
    Ping,
    /// `/containers/json?all=1`: all containers.
    List,
    /// `/containers/<id>/json`: one container.
    Inspect(Id),
    /// `/events`: what happens, an answer without end.
    Events,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Close {
    /// The body was read to its end.
    Whole,
    /// It broke off, timed out, or never came about.
    Broken,
}

/// Whether the rest of a body is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Want {
    /// It is to be read on.
    More,
    /// Nothing in it counts any more: the connection may be closed, [`Docker::end`] is still to be called.
    Nothing,
}

/// How the stream of events fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EventsState {
    /// It is not open: polling alone serves, for now.
    #[default]
    Closed,
    /// It is open.
    Open,
    /// It was refused with this status: polling alone serves.
    Refused(u16),
}

/// What a tick found, for people who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Summary {
    /// Containers in the list, whatever becomes of them.
    pub containers: u32,
    /// Those of them that run.
    pub running: u32,
    /// Those of them that are left alone.
    pub left_alone: u32,
    /// Those of them for which there was no room.
    pub left_out: u32,
    /// The API version that is spoken; none if a proxy hides it.
    pub version: Option<Version>,
    /// How the stream of events fares.
    pub events: EventsState,
}

/// `12 containers, 10 running, API 1.41`, and what is not as it should be.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.containers == 1 { "" } else { "s" };
        write!(
            f,
            "{} container{plural}, {} running",
            self.containers, self.running
        )?;
        if let Some(version) = self.version {
            write!(f, ", API {version}")?;
        }
        if self.left_out > 0 {
            write!(f, ", {} without room", self.left_out)?;
        }
        if let EventsState::Refused(status) = self.events {
            write!(f, ", events refused (http {status}): polling alone")?;
        }
        Ok(())
    }
}

/// What the probe is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// Between two ticks.
    #[default]
    Rest,
    /// The version is to be asked.
    Ping,
    /// The list is to be asked.
    List,
    /// The list is through, and containers are to be asked.
    Looks,
    /// This tick failed.
    Failed,
}

/// What came of the answer under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answer {
    /// There is none.
    #[default]
    None,
    /// Its head was good, its body is being read.
    Reading,
    /// Its head told this other status.
    Status(u16),
    /// Its body is of no use; for the list, the fault says why.
    Useless,
}

/// The probe. All zero bits when new.
#[derive(Debug)]
pub struct Docker {
    step: Step,
    fault: Fault,
    version: Option<Version>,
    /// Whether the version was asked for a second time in this tick.
    renegotiated: bool,
    engine: Engine,
    looks: Looks,
    /// Inspections that this tick still allows.
    looks_left: usize,
    interval: Millis,
    /// When the tick began.
    begun: Instant,
    /// When the exchange under way began.
    asked_at: Instant,
    answer: Answer,
    /// Whether any byte of the body was there that is no white space.
    has_body: bool,
    reader: Reader,
    list: ListReader,
    inspect: InspectReader,
    store: Store,
    tally: Tally,
    outputs: Outputs,
    stream: Stream,
}

impl Default for Docker {
    fn default() -> Self {
        Self::new()
    }
}

impl Docker {
    /// Makes a probe that knows of no engine.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            step: Step::Rest,
            fault: Fault::NoAnswer,
            version: None,
            renegotiated: false,
            engine: Engine::Away,
            looks: Looks::Granted,
            looks_left: 0,
            interval: Millis::ZERO,
            begun: Instant::ZERO,
            asked_at: Instant::ZERO,
            answer: Answer::None,
            has_body: false,
            reader: Reader::new(),
            list: ListReader::new(),
            inspect: InspectReader::new(),
            store: Store::new(),
            tally: Tally::NONE,
            outputs: Outputs::new(),
            stream: Stream::new(),
        }
    }

    /// Names the container that the watchdog itself runs in, if any: it is left alone.
    pub fn set_own_id(&mut self, own: Option<Id>) {
        self.store.set_own_id(own);
    }

    /// Begins a tick: the list is wanted, and before it the version if it is not known. `interval` is the time to the
    /// next tick.
    ///
    /// An exchange that is under way is forgotten, but for the stream of events.
    pub fn begin_tick(&mut self, now: Instant, interval: Millis) {
        self.step = if self.version.is_none() {
            Step::Ping
        } else {
            Step::List
        };
        self.fault = Fault::NoAnswer;
        self.renegotiated = false;
        self.interval = interval;
        self.begun = now;
        self.answer = Answer::None;
        self.allow_looks();
        self.store.drop_list();
        self.stream.begin_tick(now);
    }

    /// Tells what to ask now, one exchange after the other; none = nothing more for now.
    ///
    /// May change after every call of `begin_tick`, `end`, `wake` and `settle`, and after `body` of the events. Between
    /// ticks it asks for containers of which an event said something.
    #[must_use]
    pub fn next(&self) -> Option<Request> {
        let least = match self.step {
            Step::Ping => return Some(Request::Ping),
            Step::List => return Some(Request::List),
            Step::Failed => return None,
            Step::Looks => Wish::Soon,
            Step::Rest => Wish::AtOnce,
        };
        if self.looks_left == 0 || self.engine == Engine::Away {
            return None;
        }
        self.store.next_look(least).map(Request::Inspect)
    }

    /// An exchange begins, as [`Docker::next`] told: its answer may be older than what events say meanwhile.
    pub const fn begin(&mut self, now: Instant) {
        self.asked_at = now;
    }

    /// Tells whether the stream of events is to be opened, beside all else.
    #[must_use]
    pub fn wants_events(&self) -> bool {
        self.engine != Engine::Away && self.stream.is_wanted()
    }

    /// Writes a request's path with its query.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_path(&self, request: Request, out: &mut impl fmt::Write) -> fmt::Result {
        if let (Some(version), true) = (self.version, request != Request::Ping) {
            write!(out, "/v{version}")?;
        }
        match request {
            Request::Ping => out.write_str("/_ping"),
            Request::List => out.write_str("/containers/json?all=1"),
            Request::Inspect(id) => write!(out, "/containers/{id}/json"),
            Request::Events => self.stream.write_path(out),
        }
    }

    /// Takes an answer's head: its status, and the version in its `Api-Version` field.
    pub fn head(&mut self, request: Request, status: u16, api: Option<(u16, u16)>) -> Want {
        let answer = if status == 200 {
            Answer::Reading
        } else {
            Answer::Status(status)
        };
        if request == Request::Events {
            return self.stream.head(answer);
        }
        self.answer = answer;
        self.has_body = false;
        self.reader.reset();
        match request {
            Request::Ping if answer == Answer::Reading => {
                self.version = api.map(|(major, minor)| Version(major, minor).min(VERSION_MAX));
            }
            Request::List => {
                self.list.reset();
                self.store.begin_list();
            }
            Request::Inspect(_) => self.inspect.reset(),
            Request::Ping | Request::Events => {}
        }
        if answer == Answer::Reading && request != Request::Ping {
            Want::More
        } else {
            Want::Nothing
        }
    }

    /// Takes the next piece of an answer's body.
    pub fn body(&mut self, request: Request, bytes: &[u8], now: Instant, config: &config::Docker) -> Want {
        if request == Request::Events {
            return self.read_events(bytes, now, config);
        }
        if self.answer != Answer::Reading {
            return Want::Nothing;
        }
        match request {
            Request::List => self.read_list(bytes, config),
            Request::Inspect(_) => self.read_inspect(bytes),
            Request::Ping | Request::Events => Want::Nothing,
        }
    }

    /// Takes the end of an exchange, also of one that never got a head.
    pub fn end(&mut self, request: Request, close: Close, now: Instant) {
        if request == Request::Events {
            return self.end_events(now);
        }
        let answer = core::mem::take(&mut self.answer);
        match request {
            Request::Ping => self.end_ping(answer, close),
            Request::List => self.end_list(answer, close, now),
            Request::Inspect(id) => self.end_inspect(id, answer, close, now),
            Request::Events => {}
        }
    }

    /// Ends the tick: stages what is known of every container. Call it once nothing is wanted any more, or at the
    /// tick's deadline.
    ///
    /// # Errors
    /// Why the engine counts as down; nothing was staged then. For [`Fault::NoAnswer`] whoever held the exchange knows
    /// the reason. A stream of events that still stands is to be closed then, for it may be that of an engine that is
    /// gone.
    pub fn settle(
        &mut self,
        now: Instant,
        config: &config::Docker,
        table: &mut Table,
    ) -> Result<Summary, Fault> {
        self.close_tick()?;
        self.stage_containers(now, table);
        self.stage_absent(config, table);
        KINDS.into_iter().for_each(|kind| table.list_ended(kind));
        if self.tally.left_out > 0 {
            table.left_out(self.tally.left_out);
        }
        Ok(self.summary())
    }

    /// Tells when [`Docker::wake`] is to be called, if ever.
    ///
    /// May change after `body` of the events, `wake` and `end`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.store.iter().filter_map(container::Container::deadline).min()
    }

    /// Takes notice of the time: deaths that waited for an intent are followed up.
    pub fn wake(&mut self, now: Instant) {
        self.store.iter_mut().for_each(|container| container.wake(now));
    }

    /// Stages the facts that events brought since the last tick; tells how many there were.
    pub fn facts(&mut self, now: Instant, table: &mut Table) -> usize {
        let mut count = 0_usize;
        for container in self.store.iter_mut().filter(|container| container.has_news) {
            container.has_news = false;
            let output = self.outputs.of(container.id);
            for kind in KINDS {
                let verdict = verdict::verdict(kind, container, output, now);
                if verdict.observation == Observation::Active && verdict.weight == Weight::Fact {
                    verdict::stage(table, kind, container, verdict);
                    count = count.saturating_add(1);
                }
            }
        }
        count
    }

    /// Tells what the last good tick found.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            containers: self.tally.containers,
            running: self.tally.running,
            left_alone: self.tally.left_alone,
            left_out: self.tally.left_out,
            version: self.version,
            events: self.stream.state(),
        }
    }
}

/// What a tick stages.
impl Docker {
    fn stage_containers(&mut self, now: Instant, table: &mut Table) {
        let store = &mut self.store;
        self.outputs.drop_all_but(|id| {
            store
                .iter()
                .any(|container| container.id == id && container.is_unhealthy())
        });
        for container in store.iter_mut() {
            container.has_news = false;
            let output = self.outputs.of(container.id);
            for kind in KINDS {
                verdict::stage(
                    table,
                    kind,
                    container,
                    verdict::verdict(kind, container, output, now),
                );
            }
        }
    }

    fn stage_absent(&self, config: &config::Docker, table: &mut Table) {
        for (name, observation, words) in self.absent(config) {
            let subject = Subject::new(name);
            table.stage(
                Kind::ContainerDown,
                &subject,
                observation,
                0.0,
                format_args!("{words}"),
            );
        }
    }

    /// Tells the listed names of which no state is kept: those that are not there, and those that had no room.
    fn absent<'a>(
        &self,
        config: &'a config::Docker,
    ) -> impl Iterator<Item = (&'a config::Name, Observation, &'static str)> {
        let tally = self.tally;
        (0_u32..).zip(&config.listed).filter_map(move |(place, name)| {
            let bit = 1_u64.checked_shl(place).unwrap_or(0);
            if tally.listed_unclear & bit != 0 {
                return Some((name, Observation::Unknown, ""));
            }
            let is_missing = tally.listed_there & bit == 0 && Role::of(name, config) != Role::Ignored;
            is_missing.then_some((name, Observation::Active, "not found"))
        })
    }
}

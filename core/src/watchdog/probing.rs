//! A tick: all probes start at once with one deadline, and when all have answered or it is reached, the table decides.

use crate::config::Config;
use crate::exchange::{Failure, Task};
use crate::net::{HostFile, Level};
use crate::planted::{Planted, is_planted};
use crate::probe::dependency::{Appetite, Dependency};
use crate::probe::docker::{self, Docker};
use crate::probe::host::Want;
use crate::probe::orchestrator::{Orchestrator, Rules};
use crate::signal::{Kind, Observation, Source};
use crate::table::Table;
use crate::text::{self, Detail, Subject};
use crate::time::{Instant, Millis};
use crate::wire::http::Piece;

use super::links::Owner;
use super::notes::SourceState;
use super::{Mode, Watchdog};

/// Passes after one input. A begun exchange, its outcome, one more begun for it and that one's outcome are four; more
/// would be a loop.
const PASSES_MAX: u8 = 4;

/// Where the tick stands.
#[derive(Debug)]
pub struct Probing {
    /// The tick under way, if there is one.
    under_way: bool,
    began: Instant,
    deadline: Instant,
    next_at: Instant,
    ticks: u64,
    last_tick_at: Instant,
    last_took: Millis,
    orchestrator_status: u16,
    orchestrator_answer: OrchestratorAnswer,
    /// The question to the engine that is under way, its stream of events aside.
    asked: Asked,
    hosts_due: bool,
    resolv_conf_due: bool,
}

/// The question to the engine that is under way; at rest it is all zero bits, which an `Option` would not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Asked {
    /// None.
    Nothing,
    /// This one.
    Request(docker::Request),
}

/// What came of asking the orchestrator in this tick.
#[derive(Debug)]
#[repr(u8)]
enum OrchestratorAnswer {
    /// Nothing yet.
    None,
    /// It is up, and took so long.
    Up(Millis),
    /// It is down, and why.
    Down(Detail),
}

impl Probing {
    pub(super) const fn new() -> Self {
        Self {
            under_way: false,
            began: Instant::ZERO,
            deadline: Instant::ZERO,
            next_at: Instant::ZERO,
            ticks: 0,
            last_tick_at: Instant::ZERO,
            last_took: Millis::ZERO,
            orchestrator_status: 0,
            orchestrator_answer: OrchestratorAnswer::None,
            asked: Asked::Nothing,
            hosts_due: false,
            resolv_conf_due: false,
        }
    }

    pub(super) const fn start(&mut self, now: Instant) {
        self.next_at = now;
        self.last_tick_at = now;
    }

    pub(super) const fn ticks(&self) -> u64 {
        self.ticks
    }

    pub(super) const fn last_tick_at(&self) -> Instant {
        self.last_tick_at
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way
    }

    pub(super) const fn deadline(&self) -> Instant {
        if self.under_way {
            self.deadline
        } else {
            self.next_at
        }
    }

    /// Both files of the resolver are to be read, or are known not to have changed.
    pub(super) const fn read_resolver_files(&mut self) {
        (self.hosts_due, self.resolv_conf_due) = (true, true);
    }

    /// A tick begins, and the next one is due an interval later: at the same pace, unless time has jumped.
    fn begin(&mut self, now: Instant, config: &Config) {
        self.under_way = true;
        (self.began, self.deadline) = (now, now.after(config.timeout));
        let paced = self.next_at.after(config.interval);
        self.next_at = if paced > now {
            paced
        } else {
            now.after(config.interval)
        };
        self.orchestrator_status = 0;
        self.orchestrator_answer = OrchestratorAnswer::None;
    }

    fn end(&mut self, now: Instant) {
        self.under_way = false;
        self.ticks = self.ticks.saturating_add(1);
        self.last_tick_at = now;
        self.last_took = now.since(self.began);
    }

    /// A file of the resolver to be read, if one is due.
    pub(super) const fn take_resolver_file(&mut self) -> Option<HostFile> {
        if core::mem::replace(&mut self.hosts_due, false) {
            return Some(HostFile::Hosts);
        }
        if core::mem::replace(&mut self.resolv_conf_due, false) {
            return Some(HostFile::ResolvConf);
        }
        None
    }

    /// A piece of the orchestrator's answer; tells whether what came is enough.
    pub(super) fn envelope(
        &mut self,
        piece: Piece<'_>,
        orchestrator: &mut Orchestrator,
        rules: &mut Rules,
        config: &Config,
        table: &mut Table,
    ) -> bool {
        match piece {
            Piece::Head(head) => {
                self.orchestrator_status = head.status;
                !is_success(head.status)
            }
            Piece::Body(bytes) => orchestrator
                .feed(bytes, &config.orchestrator, table, &mut |event, table| {
                    rules.take(event, &config.rules, table);
                })
                .is_err(),
        }
    }

    /// A piece of the engine's answer; tells whether what came is enough.
    pub(super) fn engine(
        &mut self,
        owner: Owner,
        piece: Piece<'_>,
        docker: &mut Docker,
        config: &Config,
        now: Instant,
    ) -> bool {
        let request = if owner == Owner::EngineEvents {
            Some(docker::Request::Events)
        } else {
            self.asked()
        };
        let Some(request) = request else { return true };
        match piece {
            Piece::Head(head) => docker.head(request, head.status, head.api_version) == docker::Want::Nothing,
            Piece::Body(bytes) => docker.body(request, bytes, now, &config.docker) == docker::Want::Nothing,
        }
    }

    pub(super) const fn asked(&self) -> Option<docker::Request> {
        match self.asked {
            Asked::Nothing => None,
            Asked::Request(request) => Some(request),
        }
    }
}

const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

/// A piece of a dependency's answer; tells whether what came is enough.
pub(super) fn dependency(
    piece: Piece<'_>,
    state: &mut Dependency,
    config: &crate::config::Dependency,
) -> bool {
    match piece {
        Piece::Head(head) => {
            state.head(head.status);
            false
        }
        Piece::Body(bytes) => state.body(bytes, config) == Appetite::Enough,
    }
}

impl Watchdog<'_> {
    /// Moves everything on that can move without a further input.
    ///
    /// An exchange that one pass begins may have its address at hand, or fail at once: no input would come to tell.
    pub(super) fn advance(&mut self, now: Instant, config: &Config) {
        for _ in 0..PASSES_MAX {
            self.pass(now, config);
            if !self.links.has_begun() {
                break;
            }
        }
    }

    fn pass(&mut self, now: Instant, config: &Config) {
        self.links.advance(now);
        if self.mode == Mode::NotifyTest {
            self.advance_test(now, config);
            self.advance_alert_test(now, config);
            return;
        }
        self.collect(now, config);
        if self.probing.under_way && (now >= self.probing.deadline || self.is_complete(config)) {
            self.settle(now, config);
        }
        if !self.probing.under_way && now >= self.probing.next_at && self.wants_tick() {
            self.begin_tick(now, config);
        }
        if self.probing.under_way || self.wants_tick() {
            self.drive_engine(now, config);
            self.look_at_facts(now, config);
        }
        self.advance_telling(now, config);
        self.advance_alerting(now, config);
    }

    /// Tells whether another tick is to come.
    pub(super) const fn wants_tick(&self) -> bool {
        match self.mode {
            Mode::Run => true,
            Mode::Check => self.probing.ticks() == 0,
            Mode::NotifyTest => false,
        }
    }

    fn begin_tick(&mut self, now: Instant, config: &Config) {
        if self.probing.ticks > 0 && now.since(self.probing.began) > config.interval.times(3) {
            self.orchestrator.restart_counts();
        }
        self.probing.begin(now, config);
        let deadline = Some(self.probing.deadline);
        if self
            .links
            .start(Owner::Orchestrator, now, deadline, Task::Request)
        {
            self.orchestrator.begin();
            self.rules.begin(&config.rules);
        }
        for (place, dependency) in config.dependencies.iter().enumerate() {
            let Some(state) = self.dependencies.get_mut(place) else {
                continue;
            };
            state.begin(dependency);
            let task = match dependency.url.scheme {
                crate::config::Scheme::Tcp | crate::config::Scheme::Unix => Task::Connect,
                _ => Task::Request,
            };
            self.links.start(Owner::Dependency(place), now, deadline, task);
        }
        if self.links.has(Owner::Engine)
            && let Some(exchange) = self.links.exchange_mut(Owner::Engine)
        {
            // A look at a container between two ticks gives way.
            exchange.cancel();
            self.probing.asked = Asked::Nothing;
            self.docker.begin_tick(now, config.interval);
        }
        self.host.begin_tick(now, &config.host);
        if self.links.resolver.has_names() {
            self.probing.read_resolver_files();
        }
    }

    /// Takes the outcomes of exchanges that ended.
    fn collect(&mut self, now: Instant, config: &Config) {
        self.collect_heartbeat(now);
        if let Some(outcome) = self.take_outcome(Owner::Orchestrator) {
            self.orchestrator_ended(outcome, now, config);
        }
        if let Some(outcome) = self.take_outcome(Owner::Engine)
            && let Some(request) = self.probing.asked()
        {
            self.probing.asked = Asked::Nothing;
            if let Err(failure) = outcome {
                self.notes.engine_failure = text::detail(format_args!("{}", EngineFailure(failure)));
            }
            let close = if outcome.is_ok() {
                docker::Close::Whole
            } else {
                docker::Close::Broken
            };
            self.docker.end(request, close, now);
        }
        if self.take_outcome(Owner::EngineEvents).is_some() {
            self.docker
                .end(docker::Request::Events, docker::Close::Broken, now);
        }
        for place in 0..config.dependencies.len() {
            if let Some(outcome) = self.take_outcome(Owner::Dependency(place))
                && let Some(dependency) = self.dependencies.get_mut(place)
            {
                dependency.ended(outcome);
            }
        }
    }

    pub(super) fn take_outcome(&mut self, owner: Owner) -> Option<Result<Millis, Failure>> {
        self.links.exchange_mut(owner)?.take_outcome()
    }

    fn orchestrator_ended(&mut self, outcome: Result<Millis, Failure>, now: Instant, config: &Config) {
        let status = self.probing.orchestrator_status;
        let result = match outcome {
            Err(failure) => Err(text::detail(format_args!("{failure}"))),
            Ok(_) if !is_success(status) => Err(text::detail(format_args!("http {status}"))),
            Ok(took) => match self
                .orchestrator
                .finish(now, &config.orchestrator, &mut self.table)
            {
                Ok(summary) => {
                    self.rules.finish(&config.rules, &mut self.table);
                    if let Some(newer) = summary.newer_schema {
                        let wall = self.wall(now);
                        self.notes.log(wall, Level::Warn, "schema_version", |line| {
                            line.pair("detail", newer);
                        });
                    }
                    Ok(took)
                }
                Err(fault) => Err(text::detail(format_args!("{fault}"))),
            },
        };
        self.probing.orchestrator_answer = match result {
            Ok(took) => OrchestratorAnswer::Up(took),
            Err(reason) => {
                self.orchestrator.abandon(&mut self.table);
                OrchestratorAnswer::Down(reason)
            }
        };
    }

    /// Asks the engine the next question: in a tick while there is time, and between ticks what an event calls for.
    fn drive_engine(&mut self, now: Instant, config: &Config) {
        if config.docker.host.is_none() {
            return;
        }
        self.docker.wake(now);
        if self.mode == Mode::Run && self.docker.wants_events() && !self.links.is_busy(Owner::EngineEvents) {
            self.links.start(Owner::EngineEvents, now, None, Task::Request);
        }
        let probing = &mut self.probing;
        let deadline = if probing.under_way {
            probing.deadline
        } else {
            now.after(config.timeout)
        };
        if probing.asked().is_some() || now >= deadline {
            return;
        }
        let Some(request) = self.docker.next() else { return };
        if self
            .links
            .start(Owner::Engine, now, Some(deadline), Task::Request)
        {
            probing.asked = Asked::Request(request);
            self.docker.begin(now);
        }
    }

    fn is_complete(&self, config: &Config) -> bool {
        let engine_done =
            config.docker.host.is_none() || (self.probing.asked().is_none() && self.docker.next().is_none());
        let dependencies = config.dependencies.iter().zip(&self.dependencies);
        !self.links.is_busy(Owner::Orchestrator)
            && engine_done
            && dependencies.map(|(_, state)| state).all(Dependency::is_ended)
            && self.host.is_complete()
    }

    /// The tick is over: everything is decided.
    fn settle(&mut self, now: Instant, config: &Config) {
        self.settle_orchestrator();
        self.settle_engine(now, config);
        let wall = self.wall(now);
        for (dependency, state) in config.dependencies.iter().zip(&self.dependencies) {
            state.settle(dependency, wall, &mut self.table);
        }
        let summary = self.host.settle(now, &config.host, &mut self.table);
        self.notes
            .host
            .set(summary.is_readable, format_args!("{}", summary.detail));
        let held = self.table.is_holding(Kind::OrchDown);
        self.table.settle(now, config);
        if held && !self.table.is_holding(Kind::OrchDown) {
            self.orchestrator.restart_counts();
        }
        self.probing.end(now);
        self.beat(now, config);
        self.telling.something_changed();
        self.alerting.something_changed();
    }

    fn settle_orchestrator(&mut self) {
        let (observation, detail) = match &self.probing.orchestrator_answer {
            OrchestratorAnswer::Up(took) => (
                Observation::Clear,
                text::detail(format_args!("answers in {took}")),
            ),
            OrchestratorAnswer::Down(reason) => (Observation::Active, reason.clone()),
            OrchestratorAnswer::None => return,
        };
        self.table.stage(
            Kind::OrchDown,
            &Subject::NONE,
            observation,
            0.0,
            format_args!("{detail}"),
        );
        self.notes
            .orchestrator
            .set(observation == Observation::Clear, format_args!("{detail}"));
        if observation == Observation::Active {
            self.table.unstage_source(Source::Orchestrator);
        }
    }

    fn settle_engine(&mut self, now: Instant, config: &Config) {
        if config.docker.host.is_none() {
            return;
        }
        let settled = self.docker.settle(now, &config.docker, &mut self.table);
        if settled.is_err() {
            self.close_events(now);
        }
        let fared = &mut self.notes.docker;
        let observation = match settled {
            Ok(summary) => {
                fared.set(true, format_args!("{summary}"));
                Observation::Clear
            }
            Err(docker::Fault::NoAnswer) => {
                fared.set(false, format_args!("{}", self.notes.engine_failure));
                Observation::Active
            }
            Err(fault) => {
                fared.set(false, format_args!("{fault}"));
                Observation::Active
            }
        };
        let state = fared.state();
        let detail = state.detail();
        self.table.stage(
            Kind::DockerDown,
            &Subject::NONE,
            observation,
            0.0,
            format_args!("{detail}"),
        );
    }

    /// An engine that does not answer is asked for its events anew once it does: what a stream that outlived the fault
    /// would still bring is older than the next list.
    fn close_events(&mut self, now: Instant) {
        if self.links.is_busy(Owner::EngineEvents)
            && let Some(exchange) = self.links.exchange_mut(Owner::EngineEvents)
        {
            exchange.cancel();
            self.docker
                .end(docker::Request::Events, docker::Close::Broken, now);
        }
    }

    /// Between ticks: what the engine states as a fact is decided at once.
    fn look_at_facts(&mut self, now: Instant, config: &Config) {
        // In a tick they are staged with all else.
        let between_ticks =
            config.docker.host.is_some() && !self.probing.under_way && !is_planted(Planted::FactsWait);
        if between_ticks && self.docker.facts(now, &mut self.table) > 0 {
            self.table.settle_facts(now, config);
            self.telling.something_changed();
            self.alerting.something_changed();
        }
    }

    /// What the host probe wants read next, while a tick is under way.
    pub(super) fn next_host_want(&mut self) -> Option<Want> {
        if self.probing.under_way {
            self.host.next()
        } else {
            None
        }
    }

    pub(super) fn sources(
        &self,
        config: &Config,
        visit: &mut dyn FnMut(core::fmt::Arguments<'_>, SourceState<'_>),
    ) {
        let unless_off = |url: bool, state| if url { state } else { SourceState::Off };
        let notes = &self.notes;
        visit(
            format_args!("orchestrator"),
            unless_off(config.orchestrator.url.is_some(), notes.orchestrator.state()),
        );
        visit(
            format_args!("docker"),
            unless_off(config.docker.host.is_some(), notes.docker.state()),
        );
        visit(format_args!("host"), notes.host.state());
        for dependency in &config.dependencies {
            let name = &dependency.name;
            let row = self
                .table
                .rows()
                .iter()
                .find(|row| row.id().kind == Kind::DepDown && row.id().subject.as_str() == name.as_str());
            let state = row.map_or(SourceState::Waiting, |row| match row.observation() {
                Observation::Clear => SourceState::Answers(row.detail()),
                Observation::Active => SourceState::Fails(row.detail()),
                Observation::Unknown => SourceState::Waiting,
            });
            visit(format_args!("dependency:{name}"), state);
        }
    }
}

/// Why the engine did not answer, with what to do about it.
struct EngineFailure(Failure);

impl core::fmt::Display for EngineFailure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Failure::Unconnected(crate::net::Closed::PermissionDenied) => {
                f.write_str("permission denied: set DOCKER_GID to the socket's group")
            }
            failure => failure.fmt(f),
        }
    }
}

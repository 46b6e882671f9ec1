//! The machine that composes all others: a tick from start to end, and what is told of it.
//!
//! [`Watchdog::handle`] takes one thing that happened, [`Watchdog::poll`] tells the wishes that it led to, until there is
//! none, and [`Watchdog::deadline`] when to call again if nothing happens. It never sees a socket, a file or a clock.
//! Bounded: one input leads to at most one wish for each connection, file and row of the table. At rest it is all zero
//! bits, so that a static one costs nothing until it is used. Fuzz target: `watchdog`.

mod alerting;
#[cfg(test)]
mod alerting_tests;
mod beating;
mod links;
mod notes;
mod probing;
mod telling;
#[cfg(test)]
mod tests;
mod wishes;

use core::fmt;

use crate::channel::alertmanager::Alertmanager;
use crate::channel::heartbeat::Heartbeat;
use crate::channel::telegram::Telegram;
use crate::config::Config;
use crate::digest::Message;
use crate::exchange::Exchange;
use crate::limits::DEPENDENCIES_MAX;
use crate::logfmt::Line;
use crate::net::{Connection, HostFile, Input, Output};
use crate::probe::dependency::Dependency;
use crate::probe::docker::{self, Docker};
use crate::probe::host::Host;
use crate::probe::orchestrator::{Orchestrator, Rules};
use crate::random::Random;
use crate::signal::{Kind, SignalId};
use crate::table::Table;
use crate::text::Subject;
use crate::time::{Instant, Millis, Utc};
use crate::wire::certificate;
use crate::wire::http::Piece;

use alerting::Alerting;
use links::{Links, Owner, Request};
use notes::Notes;
pub use notes::SourceState;
use probing::Probing;
use telling::Telling;

/// What the machine is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Mode {
    /// The daemon: tick after tick, and tell people.
    Run,
    /// `watchdog check`: one tick, and tell nobody.
    Check,
    /// `watchdog notify-test`: no tick, one message.
    NotifyTest,
}

/// The machine.
pub struct Watchdog<'c> {
    config: Option<&'c Config>,
    mode: Mode,
    /// A monotonic time and what the wall clock said then.
    wall: (Instant, Utc),
    random: Random,
    table: Table,
    links: Links,
    orchestrator: Orchestrator,
    rules: Rules,
    docker: Docker,
    host: Host,
    dependencies: [Dependency; DEPENDENCIES_MAX],
    probing: Probing,
    telegram: Telegram,
    heartbeat: Heartbeat,
    telling: Telling,
    alerting: Alerting,
    message: Message,
    request: Request,
    query: heapless::Vec<u8, 512>,
    /// The log line that is being told.
    line: Option<Line>,
    notes: Notes,
}

impl<'c> Watchdog<'c> {
    /// A machine that was not started: it wishes nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            config: None,
            mode: Mode::Run,
            wall: (Instant::ZERO, Utc::new(0, 0)),
            random: Random::new(0),
            table: Table::new(),
            links: Links::new(),
            orchestrator: Orchestrator::new(),
            rules: Rules::new(),
            docker: Docker::new(),
            host: Host::new(),
            dependencies: [const { Dependency::new() }; DEPENDENCIES_MAX],
            probing: Probing::new(),
            telegram: Telegram::new(),
            heartbeat: Heartbeat::new(),
            telling: Telling::new(),
            alerting: Alerting::new(),
            message: Message::new(),
            request: Request::new(),
            query: heapless::Vec::new(),
            line: None,
            notes: Notes::new(),
        }
    }

    /// Starts it, once. `seed` should be different for each run: it makes the ids of DNS questions and the jitter of
    /// back-offs. The first tick begins with the first [`Watchdog::handle`].
    pub fn start(&mut self, now: Instant, config: &'c Config, seed: u64, mode: Mode) {
        self.config = Some(config);
        self.mode = mode;
        self.random = Random::new(seed);
        self.links.register(config, seed);
        self.table.set_channels(1);
        self.register_signals(now, config);
        self.probing.start(now);
        self.probing.read_resolver_files();
        if mode == Mode::Run {
            self.notes.started();
        }
    }

    /// Notes a fault of the configuration for the start digest: one line, without secrets.
    pub fn note_fault(&mut self, line: fmt::Arguments<'_>) {
        self.notes.fault(line);
    }

    /// Names the watchdog's own container, so that it does not watch itself.
    pub fn set_own_container(&mut self, id: [u8; 32]) {
        self.docker.set_own_id(Some(docker::Id::new(id)));
    }

    /// Gives every signal that the configuration knows its row, masters first.
    fn register_signals(&mut self, now: Instant, config: &Config) {
        let table = &mut self.table;
        let orchestrator = &config.orchestrator;
        let host = &config.host;
        let mut register = |wanted: bool, kind| {
            if wanted {
                table.register(SignalId::of(kind), now);
            }
        };
        let has_orchestrator = orchestrator.url.is_some();
        register(has_orchestrator, Kind::OrchDown);
        register(config.docker.host.is_some(), Kind::DockerDown);
        register(
            has_orchestrator && orchestrator.stale_after.is_some(),
            Kind::OrchStale,
        );
        register(
            has_orchestrator && orchestrator.queue_age_max.is_some(),
            Kind::QueueOld,
        );
        register(has_orchestrator, Kind::QueueStalled);
        register(
            has_orchestrator && orchestrator.cost_daily_max_usd.is_some(),
            Kind::CostOver,
        );
        register(host.mem_available_min.is_some(), Kind::MemLow);
        register(host.swap_max.is_some(), Kind::SwapHigh);
        register(host.load_max.is_some(), Kind::LoadHigh);
        register(host.pressure_mem_max.is_some(), Kind::PressureMem);
        register(host.pressure_io_max.is_some(), Kind::PressureIo);
        register(host.pressure_cpu_max.is_some(), Kind::PressureCpu);
        register(host.fd_max.is_some(), Kind::FdHigh);
        register(true, Kind::HostProbeStuck);
        register(true, Kind::TableFull);
        self.register_rules(now, config);
        self.register_subjects(now, config);
    }

    /// A rule without `by` is one signal; the subjects of the others are found by looking.
    fn register_rules(&mut self, now: Instant, config: &Config) {
        for (number, rule) in (0_u8..).zip(&config.rules) {
            if rule.by.is_none() && config.orchestrator.url.is_some() {
                self.table.register(SignalId::of(Kind::Rule(number)), now);
            }
        }
    }

    fn register_subjects(&mut self, now: Instant, config: &Config) {
        let table = &mut self.table;
        let mut register = |wanted: bool, kind, subject: &str| {
            if wanted {
                table.register(
                    SignalId {
                        kind,
                        subject: Subject::new(subject),
                    },
                    now,
                );
            }
        };
        for path in &config.host.disk_paths {
            register(config.host.disk_ceiling.is_some(), Kind::DiskCeiling, &path.shown);
            register(
                config.host.inode_ceiling.is_some(),
                Kind::InodeCeiling,
                &path.shown,
            );
            register(true, Kind::DiskReadonly, &path.shown);
        }
        for dependency in &config.dependencies {
            register(true, Kind::DepDown, &dependency.name);
            register(dependency.latency.is_some(), Kind::DepSlow, &dependency.name);
            register(dependency.cert.is_some(), Kind::DepCert, &dependency.name);
        }
        for name in config
            .docker
            .listed
            .iter()
            .filter(|_| config.docker.host.is_some())
        {
            register(true, Kind::ContainerDown, name);
        }
    }

    /// Takes one thing that happened. Spurious ones change nothing.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        let Some(config) = self.config else { return };
        match input {
            Input::Time => {}
            Input::Wall(wall) => {
                #[cfg(feature = "planted")]
                crate::planted::watch_wall(now, wall.seconds().saturating_mul(1000));
                self.wall = (now, wall);
            }
            Input::PeerCertificate(connection, der) => self.peer_certificate(connection, der),
            Input::Connected(connection) => self.connected(connection, now),
            Input::Received(connection, bytes) => self.received(connection, bytes, now, config),
            Input::Closed(connection, why) => match Owner::of(connection.slot) {
                Some(Owner::Resolver) => self.links.resolver.handle_closed(now, connection, why),
                Some(owner) => {
                    if let Some(exchange) = self.links.exchange_mut(owner) {
                        exchange.closed(connection, why, now);
                    }
                }
                None => {}
            },
            Input::Datagram(from, bytes) => self.links.resolver.handle_datagram(now, from, bytes),
            Input::FilePart(file, bytes) => self.file_part(file, bytes, config),
            Input::FileEnd(file, result) => match file {
                HostFile::Hosts => self.links.resolver.hosts_end(),
                HostFile::ResolvConf => self.links.resolver.resolv_conf_end(now),
                _ => self.host.file_end(file, result),
            },
            // What was read before still holds.
            Input::FileUnchanged(_) => {}
            Input::FileSystem(place, result) => self.host.file_system(place, result),
        }
        self.advance(now, config);
    }

    fn connected(&mut self, connection: Connection, now: Instant) {
        match Owner::of(connection.slot) {
            Some(Owner::Resolver) => self.links.resolver.handle_connected(connection),
            Some(owner) => self.links.connected(owner, connection, now),
            None => {}
        }
    }

    fn peer_certificate(&mut self, connection: Connection, der: &[u8]) {
        let Some(owner @ Owner::Dependency(place)) = Owner::of(connection.slot) else {
            return;
        };
        let is_mine = |exchange: &Exchange| exchange.is_mine(connection);
        if self.links.exchange(owner).is_some_and(is_mine)
            && let Some(dependency) = self.dependencies.get_mut(place)
        {
            dependency.certificate(certificate::not_after(der));
        }
    }

    fn file_part(&mut self, file: HostFile, bytes: &[u8], config: &Config) {
        match file {
            HostFile::Hosts => self.links.resolver.hosts_feed(bytes),
            HostFile::ResolvConf => self.links.resolver.resolv_conf_feed(bytes),
            _ => self.host.file_part(&config.host, file, bytes),
        }
    }

    /// Bytes of an answer go to whoever asked.
    fn received(&mut self, connection: Connection, bytes: &[u8], now: Instant, config: &Config) {
        let Some(owner) = Owner::of(connection.slot) else {
            return;
        };
        if owner == Owner::Resolver {
            self.links.resolver.handle_received(now, connection, bytes);
            return;
        }
        let Self {
            links,
            table,
            orchestrator,
            rules,
            docker,
            dependencies,
            telegram,
            heartbeat,
            alerting,
            probing,
            ..
        } = self;
        let Some(exchange) = links.exchange_mut(owner) else {
            return;
        };
        let mut enough = false;
        exchange.received(connection, bytes, now, &mut |piece| match (owner, piece) {
            (Owner::Orchestrator, piece) => {
                enough |= probing.envelope(piece, orchestrator, rules, config, table);
            }
            (Owner::Engine | Owner::EngineEvents, piece) => {
                enough |= probing.engine(owner, piece, docker, config, now);
            }
            (Owner::Telegram, Piece::Head(head)) => telegram.head(head.status),
            (Owner::Telegram, Piece::Body(bytes)) => telegram.body(bytes),
            (Owner::Heartbeat, Piece::Head(head)) => {
                heartbeat.head(head.status);
                enough = true;
            }
            (Owner::Alertmanager(place), Piece::Head(head)) => {
                alerting.head(place, head.status);
                enough = true;
            }
            (Owner::Dependency(place), piece) => {
                if let (Some(dependency), Some(config)) =
                    (dependencies.get_mut(place), config.dependencies.get(place))
                {
                    enough |= probing::dependency(piece, dependency, config);
                }
            }
            (Owner::Resolver, _) | (Owner::Heartbeat | Owner::Alertmanager(_), Piece::Body(_)) => {}
        });
        if enough {
            exchange.finish(now);
        }
    }

    /// Tells the next wish; to be called until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Output<'_>> {
        let config = self.config?;
        self.next_wish(now, config)
    }

    /// Tells when to call [`Watchdog::handle`] with [`Input::Time`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        const NEVER: Instant = Instant::from_millis(u64::MAX);
        let Some(config) = self.config else { return NEVER };
        let tick = (self.probing.is_under_way() || self.wants_tick()).then(|| self.probing.deadline());
        let facts = self.docker.deadline();
        let messages = [self.next_message_at(config), self.next_alert_at(config)];
        [tick, facts, self.links.deadline()]
            .into_iter()
            .chain(messages)
            .flatten()
            .min()
            .unwrap_or(NEVER)
    }

    /// Tells what the wall clock says.
    #[must_use]
    pub fn wall(&self, now: Instant) -> Utc {
        self.wall.1.after(now.since(self.wall.0))
    }

    /// Tells whether `check` or `notify-test` has done all that it does.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match self.mode {
            Mode::Run => false,
            Mode::Check => self.probing.ticks() > 0 && self.telling.is_tested(),
            Mode::NotifyTest => self.telling.is_tested() && self.alerting.is_tested(self.config),
        }
    }

    /// Tells the configuration, once started.
    #[must_use]
    pub const fn config(&self) -> Option<&'c Config> {
        self.config
    }

    /// Tells the table of signals.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Tells what the machine is there for.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Tells how many ticks were completed.
    #[must_use]
    pub const fn ticks(&self) -> u64 {
        self.probing.ticks()
    }

    /// Tells the time since the last completed tick; the start counts as one.
    #[must_use]
    pub const fn last_tick_age(&self, now: Instant) -> Millis {
        now.since(self.probing.last_tick_at())
    }

    /// Tells the channel to Telegram.
    #[must_use]
    pub const fn telegram(&self) -> &Telegram {
        &self.telegram
    }

    /// Tells an Alertmanager, by its place in the configuration.
    #[must_use]
    pub fn alertmanager(&self, place: usize) -> Option<&Alertmanager> {
        self.alerting.manager(place)
    }

    /// Tells the heartbeat.
    #[must_use]
    pub const fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Tells what `notify-test` has to report, in words.
    #[must_use]
    pub fn report(&self) -> &str {
        self.telling.report()
    }

    /// Tells whether `notify-test` delivered everything.
    #[must_use]
    pub fn is_all_delivered(&self) -> bool {
        self.telling.is_all_delivered() && self.alerting.is_all_accepted(self.config)
    }

    /// Calls back with each source: its name, and how it stands.
    pub fn each_source(&self, visit: &mut dyn FnMut(fmt::Arguments<'_>, SourceState<'_>)) {
        if let Some(config) = self.config {
            self.sources(config, visit);
            if config.telegram.is_some() {
                visit(format_args!("telegram"), self.telegram_state());
            }
        }
    }
}

impl Default for Watchdog<'_> {
    fn default() -> Self {
        Self::new()
    }
}

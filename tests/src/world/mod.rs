//! The simulated world: the very machine that ships, in hostile weather, with time of its own.
//!
//! One thread, one seed, virtual time. The seed draws the configuration and which faults exist; two phases follow: faults,
//! with every invariant held at every step, then none, after which all must be settled and told. The world knows what
//! it let the machine learn, foretells from CONTRACTS each event and each line, and compares.
//! Limits: TLS as no more than a handshake that ends well or not, no agents.
//! Tests: `tests/world.rs`; by hand: `src/bin/simulate.rs`.

mod alert;
mod alerting;
mod alertmanager;
mod channel;
mod container;
mod containers;
mod dice;
mod engine;
mod living;
mod names;
mod options;
mod oracle;
mod peers;
mod proxy;
mod request;
mod signals;
mod stream;
mod troubles;
mod ways;
mod weather;

use std::collections::BTreeMap;

use watchdog_core::config::{self, Config, Facts, Origin, Pair};
use watchdog_core::net::{Closed, Connection, FileFault, FileSystem, HostFile, Input, Output, Peer};
use watchdog_core::time::{Instant, Utc};
use watchdog_core::watchdog::{Mode, Watchdog};

use alerting::Alerting;
use channel::Channel;
pub use channel::Lateness;
use dice::Dice;
use names::Names;
pub use options::Options;
use options::{SECRETS, TOKEN};
use oracle::{Oracle, Seen};
use peers::{Answer, Meaning};
use proxy::Proxy;
use signals::Look;
use weather::{Fault, Weather};

/// What a world came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Inputs that the machine was given.
    pub steps: u64,
    /// Firings.
    pub incidents: u64,
    /// Lines told.
    pub told: u64,
    /// Truths of containers that had to be told, and were.
    pub containers: u64,
    /// How late the latest line was, as far as the channel was there.
    pub lateness: Lateness,
    /// Of everything that the machine wished.
    pub hash: u64,
}

enum Event {
    Connected(Connection, Option<Meaning>),
    Bytes(Connection, Vec<u8>, Option<Meaning>),
    Closed(Connection, Closed, Option<Meaning>),
    Datagram(std::net::SocketAddr, Vec<u8>),
    Stat(u8),
    Engine(troubles::Step),
    WallStep,
    Pause,
}

/// The wishes of the machine, copied out of it.
enum Wish {
    Open(Connection, u16),
    Secure(Connection, String),
    Write(Connection, Vec<u8>),
    Close(Connection),
    Query(std::net::SocketAddr, Vec<u8>),
    File(HostFile),
    Stat(u8),
    Event(String),
}

struct World<'c> {
    options: Options,
    watchdog: Box<Watchdog<'c>>,
    now: u64,
    handled_at: u64,
    wall_ms: i64,
    wall_told: (u64, i64),
    dice: Dice,
    wall_dice: Dice,
    pause_dice: Dice,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    /// The newest envelope that the machine has had, and since when.
    fresh: (Option<u64>, u64),
    open: BTreeMap<u8, (Connection, u16)>,
    first_open: BTreeMap<u8, u64>,
    weather: Vec<Weather>,
    alerting: Alerting,
    proxy: Option<Proxy>,
    names: Names,
    things: peers::Things,
    living: Option<living::Living>,
    channel: Channel,
    ticked_at: u64,
    oracle: Oracle,
    seen: Seen,
    ticks: u64,
    tick_began: u64,
    /// Since when nothing can go wrong any more.
    healed_at: Option<u64>,
    telegram_ends: u64,
    answered_ok: bool,
    unacknowledged: bool,
    not_before: u64,
    accepted_at: Option<u64>,
    overflow: bool,
    leaves_some: bool,
    rows_at_start: usize,
    report: Report,
}

/// What kind of invariant broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Something that was to be told was not, or not in time.
    Lost,
    /// Something was told that was not so.
    False,
    /// Anything else: order, pace, secrets, rows left over, a panic.
    Other,
}

impl Breach {
    /// The kind of what [`run`] says.
    #[must_use]
    pub fn of(why: &str) -> Self {
        const LOST: [&str; 6] = [
            "lacks ",
            "did not come",
            "not told in time",
            "has not settled",
            "does not fire",
            "still fires",
        ];
        const FALSE: [&str; 5] = [
            "foretold",
            "is not so",
            "while its engine held it",
            "resolved and goes on",
            "are active, and",
        ];
        let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
        match () {
            () if has(&LOST) => Self::Lost,
            () if has(&FALSE) => Self::False,
            () => Self::Other,
        }
    }
}

/// A thread to be, with room on its stack: the machine is some megabytes and passes over it on its way to the heap.
pub fn roomy() -> std::thread::Builder {
    std::thread::Builder::new().stack_size(64 * 1024 * 1024)
}

/// Does something in a [`roomy`] thread.
///
/// # Panics
/// If it panics, with that.
pub fn with_room<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = roomy().spawn(act).expect("a thread");
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Lets one world live; `Err` tells the broken invariant. To be called within [`with_room`], or another [`roomy`] thread.
///
/// # Errors
/// The invariant that did not hold, with the time.
pub fn run(options: &Options) -> Result<Report, String> {
    let pairs = options.pairs();
    let pairs: Vec<Pair<'_>> = pairs
        .iter()
        .map(|(name, value)| Pair {
            name,
            value: Ok(value),
            origin: Origin::Env,
        })
        .collect();
    let facts = Facts {
        host_name: "h",
        docker_socket_exists: false,
    };
    let mut parsed = Box::new(Config::EMPTY);
    config::parse(&pairs, &facts, &mut parsed, &mut |fault| panic!("{fault}"));
    let mut world = World::new(options);
    world
        .watchdog
        .start(Instant::from_millis(world.now), &parsed, options.seed, Mode::Run);
    world.live().map_err(|why| {
        let (seed, now) = (options.seed, world.now);
        format!(
            "seed {seed}, {} s, step {}: {why}",
            now / 1000,
            world.report.steps
        )
    })
}

/// Looks for the shortest stormy time after which a world that fails still fails, to the second: the options with it,
/// and why it fails then.
pub fn shrink(options: &Options, why: String) -> (Options, String) {
    let (mut fails, mut holds) = ((options.clone(), why), 0);
    while fails.0.stormy_ms - holds > 1_000 {
        let tried = Options {
            stormy_ms: holds.midpoint(fails.0.stormy_ms),
            ..options.clone()
        };
        match run(&tried) {
            Ok(_) => holds = tried.stormy_ms,
            Err(why) => fails = (tried, why),
        }
    }
    fails
}

impl<'c> World<'c> {
    fn new(options: &Options) -> Self {
        let weather = options
            .faults
            .iter()
            .map(|faults| Weather::new(faults.clone(), options.calm_ms, options.storm_ms));
        Self {
            watchdog: Box::new(Watchdog::new()),
            now: 1_000,
            handled_at: 0,
            wall_ms: 1_767_355_200_000,
            wall_told: (1_000, 1_767_355_200_000),
            dice: Dice::new(options.seed),
            wall_dice: Dice::new(options.seed ^ 0x7761_6c6c),
            pause_dice: Dice::new(options.seed ^ 0x7061_7573),
            events: BTreeMap::new(),
            sequence: 0,
            fresh: (None, 0),
            open: BTreeMap::new(),
            first_open: BTreeMap::new(),
            weather: weather.collect(),
            alerting: Alerting::new(options),
            proxy: options
                .proxy
                .as_ref()
                .map(|drawn| Proxy::new(drawn, options.seed)),
            names: Names::new(&options.names_over_tcp, options.seed),
            things: peers::Things::new(options.crowd),
            living: living::Living::of(options, 1_000),
            channel: Channel::new(options),
            ticked_at: 1_000,
            oracle: Oracle::new(options),
            seen: Seen::default(),
            ticks: 0,
            tick_began: 0,
            healed_at: None,
            telegram_ends: 0,
            answered_ok: false,
            unacknowledged: false,
            not_before: 0,
            accepted_at: None,
            overflow: false,
            leaves_some: false,
            rows_at_start: 0,
            report: Report {
                hash: 0xcbf2_9ce4_8422_2325,
                ..Report::default()
            },
            options: options.clone(),
        }
    }

    fn live(&mut self) -> Result<Report, String> {
        self.rows_at_start = self.watchdog.table().rows().len();
        self.tell_wall()?;
        self.engine_stepped();
        self.plan(60_000, Event::WallStep);
        self.plan(600_000, Event::Pause);
        let stormy_until = self.now + self.options.stormy_ms;
        self.pass_until(stormy_until)?;
        let now = self.now;
        self.options.pauses = false;
        self.weather.iter_mut().for_each(|weather| weather.heal(now));
        self.healed_at = Some(now);
        self.alerting.heal(now);
        self.names.weather.heal(now);
        if let Some(proxy) = &mut self.proxy {
            proxy.weather.heal(now);
        }
        self.things.heal();
        if let Some(living) = &mut self.living {
            living.engine.heal();
        }
        self.engine_stepped();
        let calm = 2 * self.options.flap_window_ms + 40 * self.options.interval_ms + 1_800_000;
        self.pass_until(stormy_until + calm)?;
        if let Some(id) = self.oracle.unsettled(self.now) {
            return Err(format!(
                "{id} has not settled after {} s of fair weather",
                calm / 1000
            ));
        }
        if let Some(id) = self.alerting.unsettled(self.wall_now()) {
            return Err(format!("an Alertmanager still believes in {id}"));
        }
        if self.rows() != self.rows_at_start {
            return Err(format!("{} rows are left of {}", self.rows(), self.rows_at_start));
        }
        self.report.simulated_ms = self.now;
        self.report.incidents = self
            .oracle
            .signals
            .values()
            .map(|signal| signal.incidents.len() as u64)
            .sum();
        self.report.told = self.oracle.told;
        self.report.lateness = self.oracle.lateness;
        self.report.containers = self.living.as_ref().map_or(0, |living| living.judge.told);
        Ok(self.report)
    }

    fn rows(&self) -> usize {
        self.watchdog.table().rows().len()
    }

    fn wall_now(&self) -> i64 {
        self.wall_ms + i64::try_from(self.now - 1_000).unwrap_or(0)
    }

    fn plan(&mut self, in_ms: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + in_ms, self.sequence), event);
    }

    fn pass_until(&mut self, end: u64) -> Result<(), String> {
        loop {
            let deadline = self.watchdog.deadline().as_millis();
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let next = event.map_or(deadline, |at| at.min(deadline));
            if next > end {
                // A process that stood still may have woken later.
                self.now = self.now.max(end);
                return Ok(());
            }
            if event == Some(next) {
                self.now = self.now.max(next);
                if let Some((_, event)) = self.events.pop_first() {
                    self.happen(event)?;
                }
            } else {
                // An event for a connection that is closed by now lets time pass and gives the machine nothing.
                if next <= self.handled_at {
                    return Err("the next deadline does not lie ahead".to_owned());
                }
                self.now = self.now.max(next);
                self.handle(Input::Time)?;
            }
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Connected(connection, meaning) if self.is_open(connection) => {
                self.understood(connection, meaning);
                self.handle(Input::Connected(connection))
            }
            Event::Bytes(connection, bytes, meaning) if self.is_open(connection) => {
                self.understood(connection, meaning);
                self.handle(Input::Received(connection, &bytes))
            }
            Event::Closed(connection, why, meaning) if self.is_open(connection) => {
                self.understood(connection, meaning);
                self.open.remove(&connection.slot);
                self.engine_lost(connection);
                self.handle(Input::Closed(connection, why))
            }
            Event::Datagram(from, bytes) => self.handle(Input::Datagram(from, &bytes)),
            Event::Stat(place) => {
                let figures = FileSystem {
                    device: 1,
                    blocks: 100,
                    blocks_available: 50,
                    ..FileSystem::default()
                };
                self.handle(Input::FileSystem(place, Ok(figures)))
            }
            Event::Engine(step) => {
                self.engine_step(step);
                Ok(())
            }
            Event::WallStep => {
                let step = self.wall_dice.between(1, 7_200_000);
                if self.options.wall_steps {
                    self.alerting.clock_is_set(self.now, self.wall_now());
                    let step = i64::try_from(step).unwrap_or(0);
                    self.wall_ms += if self.wall_dice.chance(50) { step } else { -step };
                }
                self.plan(1_200_000, Event::WallStep);
                self.tell_wall()
            }
            Event::Pause => {
                if self.options.pauses {
                    self.now += self.pause_dice.between(1_000, 900_000);
                    self.channel.resumed_at = self.now;
                    if let Some(living) = &mut self.living {
                        (living.judge.gap_at, living.judge.inspect_gap_at) = (self.now, self.now);
                    }
                    self.alerting.excuse(self.now);
                }
                let next = self.pause_dice.between(600_000, 7_200_000);
                self.plan(next, Event::Pause);
                Ok(())
            }
            // It was closed by the machine meanwhile.
            _ => Ok(()),
        }
    }

    fn tell_wall(&mut self) -> Result<(), String> {
        let wall = self.wall_now();
        self.wall_told = (self.now, wall);
        let nanos = u32::try_from(wall.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
        self.handle(Input::Wall(Utc::new(wall.div_euclid(1000), nanos)))
    }

    fn is_open(&self, connection: Connection) -> bool {
        self.open
            .get(&connection.slot)
            .is_some_and(|(open, _)| *open == connection)
    }

    /// The machine is about to have a whole answer.
    fn understood(&mut self, connection: Connection, meaning: Option<Meaning>) {
        let took = self.now - self.first_open.get(&connection.slot).copied().unwrap_or(self.now);
        match meaning {
            Some(Meaning::Envelope(mut looks, generation)) => {
                if self.fresh.0 != Some(generation) {
                    self.fresh = (Some(generation), self.now);
                }
                let is_stale = self.now - self.fresh.1 >= options::STALE_AFTER_MS;
                looks.insert(
                    "orch_stale".to_owned(),
                    if is_stale { Look::Active } else { Look::Clear },
                );
                self.seen.envelope = Some(looks);
            }
            Some(Meaning::Dependency(good)) => {
                let place = usize::from(connection.slot.saturating_sub(16));
                self.seen.dependencies.insert(place, (good, took));
            }
            Some(Meaning::List(is_there)) => self.seen.list = Some(is_there),
            Some(Meaning::Containers(snapshot)) => {
                self.seen.list = Some(true);
                if let Some(living) = &mut self.living {
                    living.judge.listed(&snapshot, self.now);
                    living.judge.observe(&living.engine, self.now);
                }
            }
            Some(Meaning::Happened(sent)) => self.engine_heard(&sent),
            Some(Meaning::Taken) => {
                (self.answered_ok, self.unacknowledged) = (true, false);
                self.accepted_at = Some(self.now);
                self.overflow = self.leaves_some;
            }
            Some(Meaning::Flood(wait_s)) => self.not_before = self.now + 1000 * wait_s.min(900),
            Some(Meaning::Looked) | None => {}
        }
    }

    fn handle(&mut self, input: Input<'_>) -> Result<(), String> {
        self.report.steps += 1;
        self.handled_at = self.now;
        let now = Instant::from_millis(self.now);
        self.watchdog.handle(now, input);
        let mut wishes = Vec::new();
        let mut count = 0;
        while let Some(output) = self.watchdog.poll(now) {
            count += 1;
            if count > 700 {
                return Err("one input led to more than 700 wishes".to_owned());
            }
            wishes.extend(wish_of(output, &mut self.report.hash)?);
        }
        self.judge(&wishes)?;
        for wish in wishes {
            self.grant(wish)?;
        }
        Ok(())
    }

    /// Holds what was logged, and what came of the message under way, against what was foretold.
    fn judge(&mut self, wishes: &[Wish]) -> Result<(), String> {
        let ticked = self.watchdog.ticks() != self.ticks;
        if ticked {
            self.ticks = self.watchdog.ticks();
            self.judge_haste()?;
            let seen = std::mem::take(&mut self.seen);
            self.first_open.retain(|slot, _| *slot < 16);
            self.oracle.tick(&seen, self.now);
            if let Some(living) = &mut self.living {
                living.judge.observe(&living.engine, self.now);
                let holding = self.oracle.is_engine_holding();
                living.judge.tick(seen.list.is_some(), holding, self.now);
            }
            self.ticked_at = self.now;
            if self.ticks == u64::from(self.options.raise_ticks) {
                self.channel.ready_at = self.now;
            }
            if self.ticks >= u64::from(self.options.raise_ticks)
                && let Some(fair) = self.telegram_fair_since()
                && let Some(id) = self.oracle.overdue(&self.channel, fair, self.now)
            {
                return Err(format!("{id} was not told in time"));
            }
            let (wall, names_fair) = (self.wall_now(), self.names_fair_since());
            self.alerting.tick(self.now, wall, names_fair)?;
        }
        // A truth of K ticks is known an interval for each and a probe's deadline later: if none is late.
        let since = self.ticked_at.max(self.channel.resumed_at);
        if self.now - since > self.options.interval_ms + options::TIMEOUT_MS {
            return Err("a tick is late".to_owned());
        }
        for wish in wishes {
            if let Wish::Event(line) = wish {
                let (id, change) = self.oracle.event(line, self.now)?;
                if let (Some(living), Some(fires), true) =
                    (&self.living, change, id.starts_with("container_"))
                {
                    living.judge.changed(&id, fires, self.now)?;
                }
            }
        }
        self.oracle.events_end()?;
        if let (Some(living), true) = (&mut self.living, ticked) {
            living.judge.verdict(|id| self.oracle.is_firing(id))?;
        }
        self.judge_alerts(wishes)?;
        let (delivered, failed) = self.watchdog.telegram().counts();
        if delivered + failed != self.telegram_ends {
            self.telegram_ends = delivered + failed;
            let accepted = std::mem::take(&mut self.answered_ok);
            if let (true, Some(fair)) = (accepted, self.telegram_fair_since()) {
                self.oracle.note_lateness(&self.channel, fair, self.now);
            }
            self.channel.ended(accepted, self.overflow, self.now);
            self.oracle.ended(accepted, self.now);
            self.things.composed = false;
        }
        let is_sending = self.watchdog.telegram().errand() != watchdog_core::channel::telegram::Errand::None;
        if is_sending && !self.things.composed {
            self.things.composed = true;
            self.channel.begins(self.now);
            let wall = self.wall_told.1 + i64::try_from(self.now - self.wall_told.0).unwrap_or(0);
            self.oracle.composed(self.now, wall, self.overflow);
        }
        Ok(())
    }

    fn grant(&mut self, wish: Wish) -> Result<(), String> {
        match wish {
            Wish::Event(_) => Ok(()),
            Wish::Close(connection) => {
                if self.is_open(connection) {
                    self.open.remove(&connection.slot);
                    self.engine_lost(connection);
                }
                Ok(())
            }
            Wish::Open(connection, port) => self.connect(connection, port),
            Wish::Secure(connection, name) => self.secure(connection, &name),
            Wish::Write(connection, bytes) => self.written(connection, &bytes),
            Wish::Query(server, bytes) => {
                Names::read(&bytes)?;
                let fault = self.weather[4].at(self.now, &mut self.dice);
                let answer = peers::resolve(&bytes, fault)?;
                if let Some(answer) = answer.and_then(|answer| self.names.answered(&bytes, answer, fault)) {
                    let delay = self.dice.between(1, 60);
                    self.plan(delay, Event::Datagram(server, answer));
                }
                Ok(())
            }
            Wish::Stat(place) => {
                self.plan(1, Event::Stat(place));
                Ok(())
            }
            Wish::File(file) => self.read(file),
        }
    }

    fn read(&mut self, file: HostFile) -> Result<(), String> {
        let text = match file {
            HostFile::MemInfo => {
                self.tick_began = self.now;
                self.things.turn(&mut self.dice);
                if let Some(living) = &mut self.living {
                    living.judge.tick_began = self.now;
                }
                self.seen.memory = self.things.memory;
                self.things.memory.map(|percent| {
                    format!(
                        "MemTotal: 10000 kB\nMemFree: 5 kB\nMemAvailable: {}00 kB\n",
                        percent
                    )
                })
            }
            HostFile::Hosts => Some("127.0.0.1 localhost\n".to_owned()),
            HostFile::ResolvConf => Some("nameserver 127.0.0.53\n".to_owned()),
            _ => None,
        };
        match text {
            Some(text) => {
                let cut = usize::try_from(self.dice.below(text.len() as u64)).expect("an index");
                self.handle(Input::FilePart(file, &text.as_bytes()[..cut]))?;
                self.handle(Input::FilePart(file, &text.as_bytes()[cut..]))?;
                self.handle(Input::FileEnd(file, Ok(())))
            }
            None => self.handle(Input::FileEnd(file, Err(FileFault::NotFound))),
        }
    }

    fn peer(port: u16) -> usize {
        match port {
            8500 => 0,
            0 => 1,
            8443 => 2,
            _ => 3,
        }
    }

    fn connect(&mut self, connection: Connection, port: u16) -> Result<(), String> {
        self.open.insert(connection.slot, (connection, port));
        self.first_open.entry(connection.slot).or_insert(self.now);
        let (fault, dice) = self.met(connection, port)?;
        let delay = dice.between(1, 50);
        let is_away = port == 0 && self.engine_is_away(fault.is_some());
        let fault = if is_away { Some(Fault::Refused) } else { fault };
        if matches!(port, 8443 | proxy::PORT) {
            self.channel.fault = fault;
        }
        let is_bare = usize::from(port) + 1 == 7000 + self.options.dependencies;
        let event = match fault {
            Some(Fault::BlackHole) => return Ok(()),
            Some(Fault::Refused) => Event::Closed(connection, Closed::Refused, None),
            Some(Fault::Unreachable) => Event::Closed(connection, Closed::Unreachable, None),
            _ => Event::Connected(connection, is_bare.then_some(Meaning::Dependency(true))),
        };
        self.plan(delay, event);
        Ok(())
    }

    fn written(&mut self, connection: Connection, bytes: &[u8]) -> Result<(), String> {
        let Some((_, port)) = self
            .open
            .get(&connection.slot)
            .copied()
            .filter(|(open, _)| *open == connection)
        else {
            return Err("bytes for a connection that is not open".to_owned());
        };
        if let Some(events) = self.answered_beside(connection, port, bytes)? {
            self.plan_all(events);
            return Ok(());
        }
        let port = if port == proxy::PORT { 8443 } else { port };
        let request = request::parse(bytes)?;
        ways::check_secrets(bytes, port)?;
        if port != 8443 && request.method != "GET" {
            return Err(format!("{} to port {port}", request.method));
        }
        let fault = self.weather[Self::peer(port)].at(self.now, &mut self.dice);
        if port == 8443 {
            self.channel.fault = fault;
        }
        if port == 0 && self.living.is_some() {
            let slow = self.engine_is_slow(request.path).then_some(Fault::Slow);
            if let Some(answer) = self.engine_answer(connection, request.path, fault)? {
                let events = ways::pieces(connection, answer, fault.or(slow), &mut self.dice);
                self.plan_all(events);
            }
            return Ok(());
        }
        let answer = match port {
            8500 => self.things.envelope(fault, &mut self.dice),
            0 => self.things.engine(request.path, fault, &mut self.dice)?,
            8443 => self.telegram(&request, fault)?,
            _ => self.things.dependency(fault, &mut self.dice),
        };
        let events = ways::pieces(connection, answer, fault, &mut self.dice);
        self.plan_all(events);
        Ok(())
    }

    fn plan_all(&mut self, events: Vec<(u64, Event)>) {
        for (delay, event) in events {
            self.plan(delay, event);
        }
    }

    fn telegram(&mut self, request: &request::Request<'_>, fault: Option<Fault>) -> Result<Answer, String> {
        if request.path != format!("/bot{TOKEN}/sendMessage") || request.method != "POST" {
            return Err("a strange request to the Bot API".to_owned());
        }
        let body: serde_json::Value = serde_json::from_str(request.body).map_err(|why| why.to_string())?;
        let text = body["text"].as_str().ok_or("no text")?;
        if body["chat_id"] != options::CHAT || SECRETS.iter().any(|secret| text.contains(secret)) {
            return Err(format!("wrong chat, or a secret: {text}"));
        }
        let message = self.oracle.message(text, body["parse_mode"] == "HTML")?;
        if self.now < self.not_before {
            return Err(format!(
                "sent {} ms before retry_after",
                self.not_before - self.now
            ));
        }
        let gap = match () {
            () if message.has_master => 1_000,
            () if self.overflow => 60_000,
            () => 5_000,
        };
        if !message.is_start && self.accepted_at.is_some_and(|at| self.now < at + gap) {
            return Err("sent too soon after the last message".to_owned());
        }
        if self.unacknowledged && !message.is_again {
            return Err("repeats what may have arrived without saying so".to_owned());
        }
        let answer = peers::telegram(fault, &mut self.dice);
        if answer.is_taken {
            self.unacknowledged = true;
            self.leaves_some = message.left > 0;
        }
        Ok(answer)
    }
}

/// Copies a wish out of the machine, looks for secrets in it, and folds it into the hash.
fn wish_of(output: Output<'_>, hash: &mut u64) -> Result<Option<Wish>, String> {
    let fold = |bytes: &[u8], hash: &mut u64| {
        for byte in bytes {
            *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let line = match &output {
        Output::Log(_, line) | Output::Event(line) => *line,
        Output::Write(_, bytes) => {
            let text = alert::times_removed(&String::from_utf8_lossy(bytes));
            fold(&times_removed(&text), hash);
            ""
        }
        _ => "",
    };
    if SECRETS.iter().any(|secret| line.contains(secret)) || line.contains('\n') {
        return Err(format!("a secret or a line feed in {line:?}"));
    }
    fold(&times_removed(line), hash);
    Ok(match output {
        Output::Open(connection, Peer::Tcp(address), _) => Some(Wish::Open(connection, address.port())),
        Output::Open(connection, Peer::Unix(_), _) => Some(Wish::Open(connection, 0)),
        Output::Write(connection, bytes) => Some(Wish::Write(connection, bytes.to_vec())),
        Output::StartTls(connection, name) => Some(Wish::Secure(connection, name.to_owned())),
        Output::Close(connection) => Some(Wish::Close(connection)),
        Output::Query { server, bytes, .. } => Some(Wish::Query(server, bytes.to_vec())),
        Output::ReadFile(file) => Some(Wish::File(file)),
        Output::Stat(place, _) => Some(Wish::Stat(place)),
        Output::Log(..) => None,
        Output::Event(line) => Some(Wish::Event(line.to_owned())),
    })
}

/// Leaves out what the wall clock may change: the time of a log line, and of a late line.
fn times_removed(text: &str) -> Vec<u8> {
    let words = text.split([' ', '\r', '\n']);
    let mut after_until = 0;
    let mut kept = Vec::new();
    for word in words {
        after_until = if word == "until" {
            2
        } else {
            0_i32.max(after_until - 1)
        };
        let is_length = word.parse::<u32>().is_ok();
        if !word.starts_with("ts=") && (word == "until" || after_until == 0) && !is_length {
            kept.extend_from_slice(word.as_bytes());
        }
    }
    kept
}

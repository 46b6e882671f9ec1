//! The simulated world: the very machine that ships, in hostile weather, with time of its own.
//!
//! One thread, one seed, virtual time. The seed draws the configuration and which faults exist; two phases follow: faults,
//! with every invariant held at every step, then none, after which all must be settled and told. The world knows what
//! it let the machine learn, foretells from CONTRACTS each event and each line, and compares.
//!
//! Twelve invariants, and where they are held:
//! 1. what fired is told, by its bound (`channel.rs`), and so is its end; in the calm nothing is left (`live`); what the engine
//!    states as a fact fires at once (`facts.rs`);
//! 2. nothing is told that was not so (`oracle.rs`; `containers.rs` with `truth.rs` and `looks.rs`);
//! 3. no end before its firing, worst first, late lines true in their times (`oracle.rs`, `signals.rs`);
//! 4. nothing twice but after a lost answer, and then with a word about it (`grants.rs`);
//! 5. nothing before `retry_after`, nothing in the quiet time after a message (`grants.rs`);
//! 6. a message keeps Telegram's bounds, and has each part of its frame where and when it belongs (`frame.rs`); a line of the log
//!    has its fields (`record.rs`);
//! 7. what a master holds is silent (`oracle.rs`, `containers.rs`);
//! 8. no secret in any output, no line with a line feed (`grants.rs`);
//! 9. every byte sent is read by a parser that is strict (`request.rs`, `alert.rs`, `proxy.rs`, `names.rs`);
//! 10. an input leads to a bounded number of wishes, the next deadline lies ahead, no tick is late (`steps.rs`), whoever was there all
//!     through one was seen in it, and a message that began in fair weather was taken (`ways.rs`);
//! 11. each Alertmanager believes what is so, and is not asked before its back-off is over (`alerting.rs`); no row is left
//!     over (`live`);
//!     a heartbeat comes with each tick that it is due at, and never otherwise (`beat.rs`);
//! 12. the same seed gives the same bytes, and steps of the wall clock change none (`tests/world.rs`).
//!
//! Limits: TLS as no more than a name and a handshake that ends well or not; no certificates, dependencies by
//! HTTP and by a bare connect alone; of details the figures that the world put into an answer and the reasons for silence are
//! foretold, and of containers, the host and the engine the form alone (`detail.rs`).
//! Not demanded, so that a machine without would pass: a fact that is heard while a tick is under way or within five seconds of
//! the next one, before that has ended; a kill that a look shows and its container's heir would inherit; the first restart
//! of a container that was never looked at, as one; how soon a name is found that
//! never was, while its server is in trouble.
//! Tests: `tests/world.rs`; by hand: `src/bin/simulate.rs`.

mod alert;
mod alerting;
mod alertmanager;
mod answers;
mod beat;
mod channel;
mod container;
mod containers;
mod detail;
mod dice;
mod engine;
mod facts;
mod frame;
mod grants;
mod hash;
mod host;
mod living;
mod looks;
mod names;
mod options;
mod oracle;
mod peers;
mod proxy;
mod record;
mod request;
mod shrink;
mod signals;
mod steps;
mod stream;
mod troubles;
mod truth;
mod ways;
mod weather;

use std::collections::BTreeMap;

use watchdog_core::config::{self, Config, Facts, Origin, Pair};
use watchdog_core::net::{Closed, Connection, HostFile};
use watchdog_core::time::Instant;
use watchdog_core::watchdog::{Mode, Watchdog};

use alerting::Alerting;
use channel::Channel;
pub use channel::Lateness;
use dice::Dice;
use hash::Hash;
use names::Names;
pub use options::Options;
use oracle::{Oracle, Seen};
use peers::Meaning;
use proxy::Proxy;
pub use shrink::shrink;
use weather::Weather;

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
    /// Of all that was said and wished, but for times of the wall clock.
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
    /// To this port, which is 0 for a unix socket; the address or path, and the server's name for TLS.
    Open(Connection, u16, String, Option<String>),
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
    beat: Option<beat::Beat>,
    host: Option<host::Host>,
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
    hash: Hash,
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
        const LOST: [&str; 7] = [
            "was not taken",
            "lacks ",
            "did not come",
            "not told in time",
            "has not settled",
            "does not fire",
            "still fires",
        ];
        const FALSE: [&str; 6] = [
            "was not seen",
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
            beat: options
                .beat
                .as_ref()
                .map(|drawn| beat::Beat::new(drawn, options.seed)),
            host: options
                .host_drawn
                .as_ref()
                .map(|drawn| host::Host::new(drawn, options.seed)),
            names: Names::new(&options.names_over_tcp, options.seed),
            things: peers::Things::new(options.crowd),
            living: living::Living::of(options, 1_000),
            channel: Channel::default(),
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
            report: Report::default(),
            hash: Hash::default(),
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
        if let Some(beat) = &mut self.beat {
            beat.weather.heal(now);
        }
        for place in self
            .host
            .iter_mut()
            .flat_map(host::Host::heal)
            .collect::<Vec<_>>()
        {
            self.plan(1, Event::Stat(place));
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
        self.report.hash = self.hash.value();
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
}

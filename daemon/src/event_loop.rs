//! The loop: readiness becomes [`Input`], [`Output`] becomes a system call, and nothing else happens here.
//!
//! One thread, one `epoll_wait` a turn. It must never wait anywhere else, never end because a call failed, and never spin:
//! a failing `epoll_wait` is followed by a short sleep after which every descriptor is tried. Limits: [`TURN_BYTES_MAX`]
//! of one connection a turn, [`PASSES_MAX`] looks at all of them, [`DATAGRAMS_MAX`]. Tests: `daemon/tests/program/`, with the real
//! program.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use watchdog_core::limits::CONNECTIONS_MAX;
use watchdog_core::net::{Closed, HostFile, Input, Level, Output};
use watchdog_core::time::{Instant, Millis, Utc};
use watchdog_core::watchdog::Watchdog;

use crate::connection::{Connections, Progress};
use crate::host_files::{self, HostFiles};
use crate::log::Log;
use crate::resolver::{Family, Port, Resolver, Unchanged};
use crate::sys::Signals;
use crate::tls::Tls;

/// Bytes that one connection may bring in one turn before the others are served: four reads of a whole buffer.
const TURN_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the one buffer that everything is read into: a TLS record's most.
const BUFFER_BYTES: usize = 16 * 1024;
/// Looks at all connections in one turn: what the machine wishes for one may concern another one.
const PASSES_MAX: usize = 4;
/// What a step that brings less counts for.
const STEP_BYTES: usize = 1024;
/// Datagrams taken in one look. The stub has a handful of questions open at most.
const DATAGRAMS_MAX: usize = 32;
/// Events taken from the kernel in one turn; what is left over is reported at the next.
const EVENTS_MAX: usize = 64;
/// Longest wait for an event, whatever the machine says: an hour, since spurious turns are harmless.
const WAIT_MAX: Millis = Millis::from_secs(3600);
/// Longest wait where signals are asked for.
const ASKING_GAP: Millis = Millis::from_millis(500);
/// Wait before a call that was interrupted is tried again.
const INTERRUPTED_GAP: Millis = Millis::from_millis(5);
/// Sleep in place of an `epoll_wait` that fails: short against every deadline, long against a spinning processor.
const FAILED_WAIT: Millis = Millis::from_millis(50);

const SIGNALS: Token = Token(0xf0);
const DNS_V4: Token = Token(0xf1);
const DNS_V6: Token = Token(0xf2);
const WAKER: Token = Token(0xf3);

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// SIGTERM or SIGINT came.
    Signalled,
    /// The machine has done what it was to do once.
    Finished,
    /// It had not by the time that was given.
    OutOfTime,
}

/// The clocks: time since the start, and the wall's.
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Tells the time since the start.
    pub fn now(self) -> Instant {
        Instant::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Tells what the wall clock says.
    pub fn wall() -> Utc {
        // A clock before 1970 is wrong by more than we can say; it reads as 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Utc::new(
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            since.subsec_nanos(),
        )
    }
}

/// How long the next turn may wait though the kernel has nothing new to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rest {
    /// A budget ran out: not at all.
    Work,
    /// A call was interrupted: [`INTERRUPTED_GAP`].
    Interrupted,
    /// Nothing is left: until the machine's next deadline.
    Nothing,
}

/// The loop and all that it works with.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    signals: Signals,
    wait_max: Millis,
    signalled: bool,
    clock: Clock,
    hands: Hands,
}

impl EventLoop {
    /// Opens the kernel's queue and takes the signals over.
    ///
    /// # Errors
    ///
    /// Those of the kernel: without these there is no watchdog.
    pub fn new(clock: Clock, log: Log) -> io::Result<Self> {
        let poll = Poll::new()?;
        let signals = Signals::new()?;
        let registered =
            poll.registry()
                .register(&mut SourceFd(&signals.as_raw_fd()), SIGNALS, Interest::READABLE);
        // Without the kernel's word they are asked for, often enough to be answered within a second.
        let wait_max = if registered.is_ok() { WAIT_MAX } else { ASKING_GAP };
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            signals,
            wait_max,
            signalled: false,
            clock,
            hands: Hands::new(log),
        })
    }

    /// Gives the log, for what is to be said before and after.
    pub const fn log(&mut self) -> &mut Log {
        &mut self.hands.log
    }

    /// Waits for a signal and does nothing else: the kill switch.
    pub fn idle(&mut self) {
        while !self.signalled {
            self.hands.log.flush(self.clock.now());
            self.wait(None);
        }
        self.hands.log.finish(self.clock.now());
    }

    /// Serves the machine until a signal comes, it has finished, or `until` is reached.
    pub fn run(&mut self, watchdog: &mut Watchdog<'_>, tls: Tls, until: Option<Instant>) -> Ended {
        let proc = watchdog
            .config()
            .map_or("/proc", |config| config.host.proc.as_str());
        let mut buffer = vec![0; BUFFER_BYTES];
        self.hands.connections = Connections::new(tls);
        match Waker::new(self.poll.registry(), WAKER) {
            Ok(waker) => self.hands.host_files = Some(HostFiles::new(Arc::new(waker))),
            Err(error) => self.hands.failures.count("eventfd", &error, &mut self.hands.log),
        }
        let mut now = self.clock.now();
        self.tell(watchdog, now, Input::Wall(Clock::wall()));
        let ended = loop {
            let rest = self.work(watchdog, now, proc, &mut buffer);
            self.hands.log.flush(now);
            if self.signalled {
                break Ended::Signalled;
            }
            if watchdog.is_finished() {
                break Ended::Finished;
            }
            if until.is_some_and(|until| until <= now) {
                break Ended::OutOfTime;
            }
            let wake = match rest {
                Rest::Work => now,
                Rest::Interrupted => now.after(INTERRUPTED_GAP),
                Rest::Nothing => watchdog.deadline(),
            };
            now = self.wait(Some(until.map_or(wake, |until| wake.min(until))));
            self.tell(watchdog, now, Input::Wall(Clock::wall()));
            if watchdog.deadline() <= now {
                self.tell(watchdog, now, Input::Time);
            }
        };
        self.hands.log.finish(self.clock.now());
        ended
    }

    /// Waits for events, at most until `wake` or the log's next attempt, and tells the time after that.
    fn wait(&mut self, wake: Option<Instant>) -> Instant {
        let wake = [wake, self.hands.log.deadline()].into_iter().flatten().min();
        let now = self.clock.now();
        let wait = wake
            .map_or(self.wait_max, |wake| wake.since(now))
            .min(self.wait_max);
        let answer = self
            .poll
            .poll(&mut self.events, Some(Duration::from_millis(wait.as_millis())));
        match answer {
            Ok(()) => {
                for event in &self.events {
                    let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                    let writable = event.is_writable() || event.is_write_closed() || event.is_error();
                    match event.token() {
                        // The kernel reports this descriptor for a signal alone, even if it cannot be read then.
                        SIGNALS => self.signalled |= self.signals.arrived().unwrap_or(true),
                        token => self.hands.note_ready(token, readable, writable),
                    }
                }
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.hands
                        .failures
                        .count("epoll_wait", &error, &mut self.hands.log);
                }
                thread::sleep(Duration::from_millis(wait.min(FAILED_WAIT).as_millis()));
                self.signalled |= self.signals.arrived().unwrap_or(false);
                self.hands.note_all_ready();
            }
        }
        if self.wait_max < WAIT_MAX {
            self.signalled |= self.signals.arrived().unwrap_or(false);
        }
        self.hands.log.set_wall(Clock::wall());
        self.clock.now()
    }

    /// Does what can be done without waiting, within the turn's bounds, and tells what is left.
    fn work(&mut self, watchdog: &mut Watchdog<'_>, now: Instant, proc: &str, buffer: &mut [u8]) -> Rest {
        let mut brought = [0_usize; CONNECTIONS_MAX];
        let mut rest = Rest::Nothing;
        for pass in 0..PASSES_MAX {
            self.read_files(watchdog, now, proc);
            self.take_file_systems(watchdog, now);
            rest = self.take_datagrams(watchdog, now, buffer);
            let mut news = false;
            for (slot, brought) in brought.iter_mut().enumerate() {
                let before = *brought;
                rest = rest.min(self.serve(watchdog, now, slot, brought, buffer));
                news |= *brought != before;
            }
            if !self.hands.files.is_empty() || (news && pass + 1 == PASSES_MAX) {
                rest = Rest::Work;
            }
            if !news && self.hands.files.is_empty() {
                break;
            }
        }
        rest
    }

    /// Serves one slot until it has nothing more or its budget is used up.
    fn serve(
        &mut self,
        watchdog: &mut Watchdog<'_>,
        now: Instant,
        slot: usize,
        brought: &mut usize,
        buffer: &mut [u8],
    ) -> Rest {
        while *brought < TURN_BYTES_MAX {
            let Some((connection, progress)) = self.hands.connections.advance(slot, buffer) else {
                return Rest::Nothing;
            };
            // Every step costs something, or a peer that brings single bytes would have the turn for itself.
            *brought = brought.saturating_add(match progress {
                Progress::Idle => return Rest::Nothing,
                Progress::Interrupted => return Rest::Interrupted,
                Progress::Received(bytes) => bytes.max(STEP_BYTES),
                Progress::Busy | Progress::Connected | Progress::Closed(_) => STEP_BYTES,
            });
            if progress == Progress::Connected
                && let Some(leaf) = self.hands.connections.leaf(connection)
            {
                watchdog.handle(now, Input::PeerCertificate(connection, leaf));
            }
            if matches!(progress, Progress::Closed(Closed::Tls(_)))
                && let Some(leaf) = self.hands.connections.take_refused_leaf()
            {
                watchdog.handle(now, Input::PeerCertificate(connection, &leaf));
            }
            let input = match progress {
                Progress::Connected => Input::Connected(connection),
                Progress::Received(bytes) => {
                    Input::Received(connection, buffer.get(..bytes).unwrap_or_default())
                }
                Progress::Closed(reason) => Input::Closed(connection, reason),
                Progress::Idle | Progress::Busy | Progress::Interrupted => continue,
            };
            self.tell(watchdog, now, input);
        }
        Rest::Work
    }

    fn read_files(&mut self, watchdog: &mut Watchdog<'_>, now: Instant, proc: &str) {
        // Files asked for while these are read have their turn at the next look.
        for file in std::mem::take(&mut self.hands.files) {
            if self.hands.unchanged.check(file) {
                self.tell(watchdog, now, Input::FileUnchanged(file));
                continue;
            }
            let result = host_files::read_file(file, proc, &mut |part| {
                self.tell(watchdog, now, Input::FilePart(file, part));
            });
            if result.is_err() {
                self.hands.unchanged.forget(file);
            }
            self.tell(watchdog, now, Input::FileEnd(file, result));
        }
    }

    fn take_file_systems(&mut self, watchdog: &mut Watchdog<'_>, now: Instant) {
        while let Some((index, result)) = self.hands.host_files.as_mut().and_then(HostFiles::results) {
            self.tell(watchdog, now, Input::FileSystem(index, result));
        }
    }

    fn take_datagrams(&mut self, watchdog: &mut Watchdog<'_>, now: Instant, buffer: &mut [u8]) -> Rest {
        let mut left = DATAGRAMS_MAX;
        for family in Family::ALL {
            while let Some((from, bytes)) = self.hands.resolver.receive(family, buffer) {
                let datagram = buffer.get(..bytes).unwrap_or_default();
                self.tell(watchdog, now, Input::Datagram(from, datagram));
                left = left.saturating_sub(1);
                if left == 0 {
                    return Rest::Work;
                }
            }
        }
        Rest::Nothing
    }

    /// Tells the machine one thing and does all that it then wishes.
    fn tell(&mut self, watchdog: &mut Watchdog<'_>, now: Instant, input: Input<'_>) {
        watchdog.handle(now, input);
        while let Some(output) = watchdog.poll(now) {
            self.hands.perform(self.poll.registry(), output);
        }
    }
}

/// What carries the machine's wishes out.
struct Hands {
    log: Log,
    connections: Connections,
    resolver: Resolver,
    host_files: Option<HostFiles>,
    /// Files that are asked for and not read yet.
    files: Vec<HostFile>,
    unchanged: Unchanged,
    failures: Failures,
}

impl Hands {
    fn new(log: Log) -> Self {
        Self {
            log,
            connections: Connections::new(Tls::new()),
            resolver: Resolver::new(),
            host_files: None,
            files: Vec::new(),
            unchanged: Unchanged::default(),
            failures: Failures::default(),
        }
    }

    fn perform(&mut self, registry: &Registry, output: Output<'_>) {
        match output {
            Output::Open(connection, peer, server) => {
                self.connections.open(registry, connection, peer, server)
            }
            Output::StartTls(connection, server) => self.connections.start_tls(connection, server),
            Output::Write(connection, bytes) => self.connections.write(connection, bytes),
            Output::Close(connection) => self.connections.close(connection),
            Output::Query { server, bytes, fresh } => {
                let port = if fresh { Port::Fresh } else { Port::Same };
                let token = if server.is_ipv4() { DNS_V4 } else { DNS_V6 };
                if let Err(error) = self.resolver.send(registry, token, server, bytes, port) {
                    self.failures.count("sendto", &error, &mut self.log);
                }
            }
            Output::ReadFile(file) => {
                if !self.files.contains(&file) {
                    self.files.push(file);
                }
            }
            Output::Stat(index, path) => {
                if let Some(host_files) = &mut self.host_files {
                    host_files.stat(index, path);
                }
            }
            Output::Log(level, line) => self.log.push(level, line),
            Output::Event(line) => self.log.push_event(line),
        }
    }

    fn note_ready(&mut self, token: Token, readable: bool, writable: bool) {
        match token {
            DNS_V4 => self.resolver.note_ready(Family::V4),
            DNS_V6 => self.resolver.note_ready(Family::V6),
            // What woke us is fetched in every turn.
            WAKER => {}
            other => self.connections.note_ready(other, readable, writable),
        }
    }

    /// Takes everything for ready: the kernel cannot be asked what is.
    fn note_all_ready(&mut self) {
        self.connections.note_all_ready();
        Family::ALL
            .into_iter()
            .for_each(|family| self.resolver.note_ready(family));
    }
}

/// Failures of calls that no connection stands for, so that the machine does not hear of them: they are counted.
#[derive(Default)]
struct Failures {
    count: u64,
}

impl Failures {
    /// Counts one, and says so at the 1st, 2nd, 4th, 8th and so on: a call that fails for good must not fill the log.
    fn count(&mut self, call: &str, error: &io::Error, log: &mut Log) {
        self.count = self.count.saturating_add(1);
        if self.count.is_power_of_two() {
            let mut line = log.line(Level::Warn);
            line.pair("event", "call_failed")
                .pair("call", call)
                .pair("error", Number(error.raw_os_error()))
                .pair("count", self.count);
            log.push(Level::Warn, line.as_str());
        }
    }
}

/// The number of an error of the operating system, as far as it has one.
struct Number(Option<i32>);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

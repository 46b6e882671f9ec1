//! The commands (CONTRACTS 1): what each argument means, and what they share.
//!
//! Output here is plain and may wait for its reader, but never panics before one that is gone. Tests:
//! `daemon/tests/program/commands.rs`, with the real program.

mod check;
mod config;
mod notify_test;
mod run;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::sync::{Mutex, MutexGuard, PoisonError};

use watchdog_core::config::{Config, FaultKind};
use watchdog_core::net::Level;
use watchdog_core::time::Instant;
use watchdog_core::watchdog::{Mode, Watchdog};

use crate::event_loop::{Clock, Ended, EventLoop};
use crate::log::Log;
use crate::settings::{self, Settings};
use crate::sys;
use crate::tls::Tls;

/// Exit status of an unknown command or flag (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;

const USAGE: &str = "\
usage: watchdog [COMMAND]

  run                the daemon; also without a command
  check [--json]     every probe once, as a table or as JSON
  config             the effective configuration and its faults
  notify-test        one test message through every channel
  --help, --version

All configuration is in environment variables, WATCHDOG_*; `watchdog config` lists them.
";

/// The one machine. Its tables are fixed and large, so it lives where zeroes cost nothing and is never moved.
static WATCHDOG: Mutex<Watchdog<'static>> = Mutex::new(Watchdog::new());
/// The one configuration, for the same reason.
static CONFIG: Mutex<Config> = Mutex::new(Config::EMPTY);

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// The document of `/status`.
    Json,
}

/// What the program is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Be the daemon.
    Run,
    /// Every probe once.
    Check(Format),
    /// The effective configuration.
    Config,
    /// One message through every channel.
    NotifyTest,
    /// The usage.
    Help,
    /// The version.
    Version,
}

/// Tells the command that the arguments name, or the first argument that is unknown.
///
/// # Errors
///
/// The argument that is unknown, the caller's fault.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let Some(first) = arguments.next() else {
        return Ok(Command::Run);
    };
    let command = match first.as_str() {
        "run" => Command::Run,
        "check" => Command::Check(Format::Table),
        "config" => Command::Config,
        "notify-test" => Command::NotifyTest,
        "--help" | "-h" | "help" => Command::Help,
        "--version" | "-V" => Command::Version,
        _ => return Err(first),
    };
    arguments.try_fold(command, |command, argument| match (command, argument.as_str()) {
        (Command::Check(_), "--json") => Ok(Command::Check(Format::Json)),
        (_, "--help" | "-h") => Ok(Command::Help),
        _ => Err(argument),
    })
}

/// Tells on stderr what is unknown and what is not.
pub fn usage(unknown: &str) -> ExitCode {
    let _ = write!(io::stderr(), "watchdog: unknown argument {unknown:?}\n\n{USAGE}");
    ExitCode::from(EXIT_USAGE)
}

impl Command {
    /// Does it, and tells the exit status.
    pub fn execute(self) -> ExitCode {
        match self {
            Self::Run => run::run(),
            Self::Check(format) => check::check(format),
            Self::Config => config::config(),
            Self::NotifyTest => notify_test::notify_test(),
            Self::Help => {
                let _ = io::stdout().write_all(USAGE.as_bytes());
                ExitCode::SUCCESS
            }
            Self::Version => {
                let _ = writeln!(io::stdout(), "watchdog {}", env!("CARGO_PKG_VERSION"));
                ExitCode::SUCCESS
            }
        }
    }
}

/// Gives what lives as long as the program. There is one thread, so it is always free.
fn own<T>(place: &'static Mutex<T>) -> MutexGuard<'static, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws a seed for the machine's generator from the operating system.
fn seed() -> u64 {
    // Early in a boot the kernel may not have randomness yet. The time and our number are no secret, but differ from the
    // last run's; the stub also checks server, port and question of what it takes for an answer.
    sys::seed().unwrap_or_else(|_| u64::from(Clock::wall().nanos()) << 32 | u64::from(process::id()))
}

/// Writes text into any output; a reader that is gone is no failure of ours.
struct Text<W: Write>(W);

impl<W: Write> fmt::Write for Text<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// What is ready to run: the machine, configured and started, and the loop.
struct Started {
    watchdog: MutexGuard<'static, Watchdog<'static>>,
    config: &'static Config,
    event_loop: EventLoop,
    tls: Tls,
}

impl Started {
    fn run(&mut self, until: Option<Instant>) -> Ended {
        let tls = std::mem::replace(&mut self.tls, Tls::new());
        self.event_loop.run(&mut self.watchdog, tls, until)
    }
}

/// Reads the configuration, tells its faults, and starts the machine.
///
/// # Errors
///
/// The exit status if the system gives not even what every loop needs; the reason is on stderr.
fn start(clock: Clock, mode: Mode, log: fn(Level) -> Log) -> Result<Started, ExitCode> {
    // Read from now on, never written again; it stays locked as long as the program runs.
    let config = Box::leak(Box::new(own(&CONFIG)));
    let mut faults = Vec::new();
    Settings::read().parse(config, &mut |fault| {
        faults.push((level_of(fault.kind()), fault.to_string()));
    });
    let config: &'static Config = config;
    let mut tls = Tls::new();
    if let Some(Err(fault)) = config.ca_file.as_deref().map(|path| tls.add_roots(path)) {
        faults.push((Level::Error, fault.to_string()));
    }
    if config.docker.host.is_none() && !config.docker.listed.is_empty() {
        let fault =
            "WATCHDOG_CONTAINERS: no engine to ask, WATCHDOG_DOCKER_HOST is off: they are not watched";
        faults.push((Level::Warn, fault.to_owned()));
    }
    let mut event_loop = event_loop(clock, log(config.log))?;
    let mut watchdog = own(&WATCHDOG);
    for (level, fault) in &faults {
        let log = event_loop.log();
        let mut line = log.line(*level);
        log.push(
            *level,
            line.pair("event", "config").pair("detail", fault).as_str(),
        );
        log.flush(clock.now());
        if *level < Level::Info {
            watchdog.note_fault(format_args!("{fault}"));
        }
    }
    if let Some(id) = settings::own_container() {
        watchdog.set_own_container(id);
    }
    watchdog.start(clock.now(), config, seed(), mode);
    Ok(Started {
        watchdog,
        config,
        event_loop,
        tls,
    })
}

/// How much a line about the configuration matters.
const fn level_of(kind: FaultKind) -> Level {
    match kind {
        FaultKind::Fault => Level::Error,
        FaultKind::Unknown => Level::Warn,
        FaultKind::Notice => Level::Info,
    }
}

/// Opens the loop.
///
/// # Errors
///
/// The exit status, as for [`start`].
fn event_loop(clock: Clock, mut log: Log) -> Result<EventLoop, ExitCode> {
    log.set_wall(Clock::wall());
    EventLoop::new(clock, log).map_err(|error| {
        let _ = writeln!(io::stderr(), "watchdog: cannot start: {error}");
        ExitCode::FAILURE
    })
}

/// Says on stderr that the kill switch is thrown; a command that was asked for says so instead of doing nothing.
fn refuse_disabled(status: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "watchdog: disabled: WATCHDOG_ENABLED is false");
    ExitCode::from(status)
}

/// Log lines on stderr, for commands whose answer is on standard output.
fn stderr_log(level: Level) -> Log {
    Log::new(level, |bytes| io::stderr().write(bytes))
}

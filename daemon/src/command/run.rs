//! `watchdog run`: the daemon.
//!
//! Ends with status 0 within a second of SIGTERM or SIGINT, whatever is under way, and for no other reason.

use std::process::ExitCode;

use watchdog_core::net::Level;
use watchdog_core::watchdog::Mode;

use super::{event_loop, start};
use crate::event_loop::Clock;
use crate::log::Log;
use crate::{settings, sys};

/// Runs until it is told to stop.
pub fn run() -> ExitCode {
    let clock = Clock::start();
    if !settings::is_enabled() {
        return idle(clock);
    }
    match start(clock, Mode::Run, own_log) {
        Ok(mut started) => {
            let _ = started.run(None);
            // An end that is not logged looks like a crash.
            let log = started.event_loop.log();
            let mut line = log.line(Level::Info);
            line.pair("event", "stopped");
            log.push(Level::Info, line.as_str());
            log.flush(clock.now());
            ExitCode::SUCCESS
        }
        Err(status) => status,
    }
}

/// Lines on standard output; in a build for frames, these on standard error, unless a person looks at it.
fn own_log(level: Level) -> Log {
    let log = Log::new(level, sys::write_stdout);
    #[cfg(feature = "defmt")]
    if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        return log.with_frames(sys::write_stderr);
    }
    log
}

/// The kill switch: nothing is opened, read or sent, and the process stays where an orchestrator expects it.
fn idle(clock: Clock) -> ExitCode {
    match event_loop(clock, own_log(Level::Info)) {
        Ok(mut event_loop) => {
            let log = event_loop.log();
            let mut line = log.line(Level::Info);
            line.pair("event", "disabled")
                .pair("detail", "WATCHDOG_ENABLED is false");
            log.push(Level::Info, line.as_str());
            event_loop.idle();
            ExitCode::SUCCESS
        }
        Err(status) => status,
    }
}

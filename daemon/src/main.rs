//! The watchdog: a thin shell of sockets, files, clocks and signals around the machine in `watchdog-core`.
//!
//! This file turns an argument into a command. Nothing that can panic is reachable from here: a failure of the system
//! becomes an input of the machine, or a count in the log.

mod command;
mod connection;
mod event_loop;
#[cfg(feature = "defmt")]
mod frames;
mod host_files;
mod log;
mod resolver;
mod ring;
mod settings;
mod sys;
mod tls;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    match command::parse(env::args_os().skip(1)) {
        Ok(command) => command.execute(),
        Err(unknown) => command::usage(&unknown),
    }
}

//! `watchdog check`: every probe once, and a table of what they saw.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use watchdog_core::status;
use watchdog_core::time::Millis;
use watchdog_core::watchdog::Mode;

use super::{Format, Text, refuse_disabled, start, stderr_log};
use crate::event_loop::{Clock, Ended};
use crate::settings;

/// Exit status when nothing could be checked.
const EXIT_NOTHING: u8 = 2;
/// Time on top of a probe's own deadline after which what is there is shown: the machine ends by itself long before.
const SLACK: Millis = Millis::from_secs(30);

/// Checks once and shows it.
pub fn check(format: Format) -> ExitCode {
    if !settings::is_enabled() {
        return refuse_disabled(EXIT_NOTHING);
    }
    let clock = Clock::start();
    let mut started = match start(clock, Mode::Check, stderr_log) {
        Ok(started) => started,
        Err(_) => return ExitCode::from(EXIT_NOTHING),
    };
    let until = clock.now().after(started.config.timeout).after(SLACK);
    if started.run(Some(until)) == Ended::Signalled {
        return ExitCode::from(EXIT_NOTHING);
    }
    let mut out = Text(BufWriter::new(io::stdout()));
    let _ = match format {
        Format::Table => status::write_table(&started.watchdog, &mut out),
        Format::Json => status::write_json(&started.watchdog, clock.now(), &mut out),
    };
    let _ = out.0.flush();
    ExitCode::from(status::exit_status(&started.watchdog))
}

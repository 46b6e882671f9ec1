//! `watchdog notify-test`: one message through every channel, and what each answered.

use std::io::{self, Write as _};
use std::process::ExitCode;

use watchdog_core::status;
use watchdog_core::time::Millis;
use watchdog_core::watchdog::Mode;

use super::{refuse_disabled, start, stderr_log};
use crate::event_loop::{Clock, Ended};
use crate::settings;

/// Exit status when not every channel delivered.
const EXIT_UNDELIVERED: u8 = 1;
/// Time after which what is there is shown. The channels' own deadlines are well below it.
const PATIENCE: Millis = Millis::from_secs(120);

/// Sends the messages and shows the answers.
pub fn notify_test() -> ExitCode {
    if !settings::is_enabled() {
        return refuse_disabled(EXIT_UNDELIVERED);
    }
    let clock = Clock::start();
    let mut started = match start(clock, Mode::NotifyTest, stderr_log) {
        Ok(started) => started,
        Err(_) => return ExitCode::from(EXIT_UNDELIVERED),
    };
    if started.config.telegram.is_none() && settings::names_telegram() {
        let _ = writeln!(
            io::stdout(),
            "telegram: not asked: it takes a good WATCHDOG_TELEGRAM_TOKEN and a good WATCHDOG_TELEGRAM_CHAT_ID, see stderr"
        );
        return ExitCode::from(EXIT_UNDELIVERED);
    }
    let until = clock.now().after(PATIENCE);
    if started.run(Some(until)) == Ended::Signalled {
        return ExitCode::from(EXIT_UNDELIVERED);
    }
    let _ = writeln!(io::stdout(), "{}", started.watchdog.report().trim_end());
    ExitCode::from(status::exit_status(&started.watchdog))
}

//! `watchdog config`: the effective configuration, and every fault in it at once.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use watchdog_core::config::Origin;

use super::{Text, watchdog};
use crate::settings::Settings;
use crate::tls::Tls;

/// Shows every variable, tells the faults on stderr, and fails if there is one.
pub fn config() -> ExitCode {
    let mut watchdog = watchdog();
    let settings = Settings::read();
    let mut faults = 0_u32;
    let mut tell = |fault: &dyn std::fmt::Display| {
        faults = faults.saturating_add(1);
        let _ = writeln!(io::stderr(), "{fault}");
    };
    settings.parse(watchdog.config_mut(), &mut |fault| tell(fault));
    let ca_file = watchdog.config().ca_file.as_deref();
    if let Some(Err(fault)) = ca_file.map(|path| Tls::new().add_roots(path)) {
        tell(&fault);
    }
    let mut out = Text(BufWriter::new(io::stdout()));
    settings.effective(watchdog.config(), &mut |name, value, origin| {
        let _ = writeln!(out, "{name}={value}  # {}", word(origin));
    });
    let _ = out.0.flush();
    if faults == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

const fn word(origin: Origin) -> &'static str {
    match origin {
        Origin::Environment => "env",
        Origin::File => "file",
        Origin::Default => "default",
    }
}

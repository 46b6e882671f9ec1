//! `watchdog config`: the effective configuration, and every fault in it at once.

use std::fmt::{Display, Write as _};
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use watchdog_core::config::FaultKind;

use super::{CONFIG, Text, own};
use crate::settings::Settings;
use crate::tls::Tls;

/// Shows every variable, tells the faults on stderr, and fails if there is one.
pub fn config() -> ExitCode {
    let mut config = own(&CONFIG);
    let settings = Settings::read();
    let mut faults = 0_u32;
    let mut tell = |fault: &dyn Display, kind: FaultKind| {
        faults = faults.saturating_add(u32::from(kind != FaultKind::Notice));
        let _ = writeln!(io::stderr(), "{fault}");
    };
    settings.parse(&mut config, &mut |fault| tell(fault, fault.kind()));
    let ca_file = config.ca_file.as_deref();
    if let Some(Err(fault)) = ca_file.map(|path| Tls::new().add_roots(path)) {
        tell(&fault, FaultKind::Fault);
    }
    let mut out = Text(BufWriter::new(io::stdout()));
    settings.effective(&config, &mut |name, value, origin| {
        let _ = writeln!(out, "{name}={value}  # {}", origin.as_str());
    });
    let _ = out.0.flush();
    if faults == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

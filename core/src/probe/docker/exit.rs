//! Exit codes and signal names, in words and out of them.

use core::fmt;

/// The names of the signals 1 to 31, as Linux numbers them on x86 and Arm (signal(7)).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// The first real-time signal that programs may use.
const RTMIN: u8 = 34;
/// The last one.
const RTMAX: u8 = 64;

/// A container's exit status: `exited 3`, and with the signal's name behind 128 and it: `exited 137 (SIGKILL)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExitCode(pub(super) i64);

impl ExitCode {
    /// Tells whether the status is that of a container that was told to stop: SIGINT, SIGKILL or SIGTERM ended it.
    ///
    /// Where no event shows why a container ended, these count as an operator's doing (CONTRACTS 4).
    pub(super) const fn looks_stopped(self) -> bool {
        matches!(self.0, 130 | 137 | 143)
    }

    fn signal(self) -> Option<&'static str> {
        let number = usize::try_from(self.0.checked_sub(129)?).ok()?;
        NAMES.get(number).copied()
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.signal() {
            Some(name) => write!(f, "exited {} (SIG{name})", self.0),
            None => write!(f, "exited {}", self.0),
        }
    }
}

/// Reads a signal as the engine writes it: `15`, `SIGTERM`, `TERM`, `SIGRTMIN+3`; none if it is no signal.
pub(super) fn signal_number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    if let Some(place) = NAMES.iter().position(|known| *known == name) {
        return u8::try_from(place.saturating_add(1)).ok();
    }
    let number = if let Some(above) = name.strip_prefix("RTMIN") {
        RTMIN.checked_add(offset(above.strip_prefix('+'), above)?)?
    } else {
        let below = name.strip_prefix("RTMAX")?;
        RTMAX.checked_sub(offset(below.strip_prefix('-'), below)?)?
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

fn offset(digits: Option<&str>, rest: &str) -> Option<u8> {
    if rest.is_empty() {
        return Some(0);
    }
    digits?.parse().ok()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn an_exit_status_reads_as_people_know_it() {
        // The signal's name stands behind 128 + n alone, and odd numbers are only printed.
        let said = |code| ExitCode(code).to_string();
        assert_eq!(said(3), "exited 3");
        assert_eq!(said(0), "exited 0");
        assert_eq!(said(128), "exited 128");
        assert_eq!(said(129), "exited 129 (SIGHUP)");
        assert_eq!(said(137), "exited 137 (SIGKILL)");
        assert_eq!(said(143), "exited 143 (SIGTERM)");
        assert_eq!(said(159), "exited 159 (SIGSYS)");
        assert_eq!(said(160), "exited 160");
        assert_eq!(said(-1), "exited -1");
        assert_eq!(said(i64::MIN), std::format!("exited {}", i64::MIN));
        assert_eq!(said(3_221_225_786), "exited 3221225786");
    }

    #[test]
    fn only_three_codes_look_stopped() {
        let stopped: std::vec::Vec<i64> = (-2..=300)
            .filter(|code| ExitCode(*code).looks_stopped())
            .collect();
        assert_eq!(stopped, [130, 137, 143]);
    }

    #[test]
    fn signals_are_read_in_every_spelling() {
        assert_eq!(signal_number("15"), Some(15));
        assert_eq!(signal_number("SIGTERM"), Some(15));
        assert_eq!(signal_number("QUIT"), Some(3));
        assert_eq!(signal_number("SIGRTMIN+3"), Some(37));
        assert_eq!(signal_number("RTMIN"), Some(34));
        assert_eq!(signal_number("SIGRTMAX-1"), Some(63));
        for none in [
            "",
            "0",
            "65",
            "999",
            "SIG",
            "SIGRTMIN+40",
            "SIGRTMAX-99",
            "SIGRTMIN3",
            "-9",
            "kill",
        ] {
            assert_eq!(signal_number(none), None, "{none}");
        }
    }
}

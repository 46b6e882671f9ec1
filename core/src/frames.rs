//! Frames: what the machine logs through defmt, for hosts where text is too dear (feature `defmt`).
//!
//! The same as `logfmt` writes of the same event, with numbers as numbers and the subject as a pair of its own: the program
//! writes the number of a format string and the arguments, and whoever holds the binary puts a line together again, with texts
//! quoted as Rust quotes them. Where the frames go is the global logger's affair. Durations are in milliseconds. Test:
//! `tests/frames/tests/decoded.rs`, against the text of the same run.

use crate::config::Config;
use crate::decide::Event;
use crate::logfmt;
use crate::net::Level;
use crate::signal::{Kind, SignalId};
use crate::table::Row;

/// Logs a signal's event.
pub(crate) fn event(row: &Row, event: Event, config: &Config) {
    let happened = Happened { row, event, config };
    match logfmt::level(event, row.id().kind.severity()) {
        Level::Error => defmt::error!("{}", happened),
        Level::Warn => defmt::warn!("{}", happened),
        Level::Info | Level::Debug => defmt::info!("{}", happened),
    }
}

/// Logs one line of a message to people.
pub(crate) fn message(text: &str) {
    defmt::info!("event=message text={=str:?}", text);
}

/// A signal's event, pair by pair.
struct Happened<'a> {
    row: &'a Row,
    event: Event,
    config: &'a Config,
}

impl defmt::Format for Happened<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { row, event, config } = self;
        let id = Named(row.id(), config);
        let detail = row.detail();
        match event {
            Event::Firing { checks, .. } => {
                defmt::write!(
                    f,
                    "event=firing {} checks={=u16} detail={=str:?}",
                    id,
                    checks,
                    detail
                );
            }
            Event::StillFiring { lasted } => {
                let millis = lasted.as_millis();
                defmt::write!(
                    f,
                    "event=\"still firing\" {} for={=u64}ms detail={=str:?}",
                    id,
                    millis,
                    detail
                );
            }
            Event::Resolved { lasted } => {
                defmt::write!(f, "event=resolved {} after={=u64}ms", id, lasted.as_millis());
            }
            Event::Flapping { changes } => {
                defmt::write!(
                    f,
                    "event=flapping {} changes={=u8} detail={=str:?}",
                    id,
                    changes,
                    detail
                );
            }
            Event::Stable if row.incidents().firing => {
                defmt::write!(f, "event=stable {} state=firing", id);
            }
            Event::Stable => defmt::write!(f, "event=stable {} state=clear", id),
        }
        if row.incidents().flapping && !matches!(event, Event::Flapping { .. }) {
            defmt::write!(f, " inside=flapping");
        }
        if config.is_muted(row.id().kind, &row.id().subject) {
            defmt::write!(f, " muted=true");
        }
    }
}

/// An id as pairs, with the name that the operator gave its rule.
struct Named<'a>(&'a SignalId, &'a Config);

impl defmt::Format for Named<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self(SignalId { kind, subject }, config) = self;
        match kind {
            Kind::Rule(_) => defmt::write!(f, "signal={=str}", config.signal_name(*kind)),
            _ => defmt::write!(f, "signal={}", kind),
        }
        if !subject.is_none() {
            defmt::write!(f, " subject={=str:?}", subject.as_str());
        }
    }
}

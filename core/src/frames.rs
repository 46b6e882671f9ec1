//! Frames: what the machine logs through defmt, for hosts where text is too dear (feature `defmt`).
//!
//! The same as `logfmt` writes of the same event, with numbers as numbers: the program writes the number of a format
//! string and the arguments, and whoever holds the binary puts the text together again. Where the frames go is the global
//! logger's affair. Durations are in milliseconds. Test: `tests/tests/frames.rs`, against the text of the same run.

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
    defmt::info!("event=message text={=str}", text);
}

/// A signal's event, with the detail last: it is free text.
struct Happened<'a> {
    row: &'a Row,
    event: Event,
    config: &'a Config,
}

impl defmt::Format for Happened<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { row, event, config } = self;
        let id = Named(row.id(), config);
        match event {
            Event::Firing { checks, .. } => {
                defmt::write!(f, "event=firing signal={} checks={=u16}", id, checks);
            }
            Event::StillFiring { lasted } => {
                defmt::write!(
                    f,
                    "event=still firing signal={} for={=u64}ms",
                    id,
                    lasted.as_millis()
                );
            }
            Event::Resolved { lasted } => {
                defmt::write!(
                    f,
                    "event=resolved signal={} after={=u64}ms",
                    id,
                    lasted.as_millis()
                );
            }
            Event::Flapping { changes } => {
                defmt::write!(f, "event=flapping signal={} changes={=u8}", id, changes);
            }
            Event::Stable if row.incidents().firing => {
                defmt::write!(f, "event=stable signal={} state=firing", id);
            }
            Event::Stable => defmt::write!(f, "event=stable signal={} state=clear", id),
        }
        if row.incidents().flapping && !matches!(event, Event::Flapping { .. }) {
            defmt::write!(f, " inside=flapping");
        }
        if config.is_muted(row.id().kind, &row.id().subject) {
            defmt::write!(f, " muted=true");
        }
        if matches!(
            event,
            Event::Firing { .. } | Event::StillFiring { .. } | Event::Flapping { .. }
        ) {
            defmt::write!(f, " detail={=str}", row.detail());
        }
    }
}

/// An id with the name that the operator gave its rule.
struct Named<'a>(&'a SignalId, &'a Config);

impl defmt::Format for Named<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self(id, config) = self;
        match id.kind {
            Kind::Rule(_) if id.subject.is_none() => {
                defmt::write!(f, "{=str}", config.signal_name(id.kind));
            }
            Kind::Rule(_) => {
                defmt::write!(f, "{=str}:{}", config.signal_name(id.kind), id.subject);
            }
            _ => defmt::write!(f, "{}", id),
        }
    }
}

//! Log lines: `key=value` pairs as logfmt writes them, one line each, in a fixed buffer.
//!
//! A value with a space, a quote, `=` or nothing in it is quoted; control characters become spaces, so that a line
//! stays a line. What does not fit is cut with `…`.

use core::fmt::{self, Write};

use crate::config::Config;
use crate::decide::Event;
use crate::net::Level;
use crate::signal::Severity;
use crate::table::Row;
use crate::text::Cut;
use crate::time::Utc;

/// Bytes of one line.
pub const LINE_BYTES_MAX: usize = 768;

/// One line under construction.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Line {
    text: heapless::String<LINE_BYTES_MAX>,
}

impl Line {
    /// Begins a line with its time and level.
    #[must_use]
    pub fn new(wall: Utc, level: Level) -> Self {
        let mut line = Self {
            text: heapless::String::new(),
        };
        line.raw(format_args!("ts={wall} level={}", level.as_str()));
        line
    }

    /// Adds a pair.
    pub fn pair(&mut self, key: &str, value: impl fmt::Display) -> &mut Self {
        let mut look = Look {
            quoted: false,
            empty: true,
        };
        let _ = write!(look, "{value}");
        self.raw(format_args!(" {key}="));
        if look.quoted || look.empty {
            self.raw(format_args!("\""));
            let _ = write!(Quoted(&mut self.text), "{value}");
            self.raw(format_args!("\""));
        } else {
            self.raw(format_args!("{value}"));
        }
        self
    }

    fn raw(&mut self, arguments: fmt::Arguments<'_>) {
        let _ = Cut::new(&mut self.text).write_fmt(arguments);
    }

    /// Tells the line, without an end of line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }
}

/// Finds out whether a value needs quotes.
struct Look {
    quoted: bool,
    empty: bool,
}

impl Write for Look {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.empty &= part.is_empty();
        self.quoted |= part.chars().any(|character| {
            matches!(character, ' ' | '"' | '=' | '\\') || character.is_control() || character.is_whitespace()
        });
        Ok(())
    }
}

/// Writes the inside of a quoted value.
struct Quoted<'a>(&'a mut heapless::String<LINE_BYTES_MAX>);

impl Write for Quoted<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            // Room is left for the closing quote and the ellipsis.
            if self.0.len() > LINE_BYTES_MAX.saturating_sub(16) {
                break;
            }
            let mut cut = Cut::new(self.0);
            if matches!(character, '"' | '\\') {
                let _ = cut.write_char('\\');
            }
            let _ = cut.write_char(character);
        }
        Ok(())
    }
}

/// Tells the level of a signal's event.
#[must_use]
pub const fn level(event: Event, severity: Severity) -> Level {
    match (event, severity) {
        (Event::Firing { .. } | Event::StillFiring { .. }, Severity::Critical) => Level::Error,
        (Event::Firing { .. } | Event::StillFiring { .. }, Severity::Warning) => Level::Warn,
        (Event::Flapping { .. }, _) => Level::Warn,
        (Event::Resolved { .. } | Event::Stable, _) => Level::Info,
    }
}

/// Writes the line of a signal's event.
#[must_use]
pub fn event(row: &Row, event: Event, config: &Config, wall: Utc) -> Line {
    let name = match event {
        Event::Firing { .. } => "firing",
        Event::StillFiring { .. } => "still firing",
        Event::Resolved { .. } => "resolved",
        Event::Flapping { .. } => "flapping",
        Event::Stable => "stable",
    };
    let mut line = Line::new(wall, level(event, row.id().kind.severity()));
    line.pair("event", name).pair("signal", config.shown_id(row.id()));
    match event {
        Event::Firing { checks, .. } => line.pair("detail", row.detail()).pair("checks", checks),
        Event::StillFiring { lasted } => line.pair("detail", row.detail()).pair("for", lasted),
        Event::Resolved { lasted } => line.pair("after", lasted),
        Event::Flapping { changes } => line.pair("detail", row.detail()).pair("changes", changes),
        Event::Stable => line.pair("state", if row.incidents().firing { "firing" } else { "clear" }),
    };
    if row.incidents().flapping && !matches!(event, Event::Flapping { .. }) {
        line.pair("inside", "flapping");
    }
    if config.is_muted(row.id().kind, &row.id().subject) {
        line.pair("muted", true);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        let mut line = Line::new(Utc::new(0, 0), Level::Warn);
        line.pair("a", "plain")
            .pair("b", "two words")
            .pair("c", "")
            .pair("d", "q\"\\\nx")
            .pair("e", 3);
        let expected = r#"ts=1970-01-01T00:00:00Z level=warn a=plain b="two words" c="" d="q\"\\ x" e=3"#;
        assert_eq!(line.as_str(), expected);
    }

    #[test]
    fn a_value_that_is_too_long_still_closes_its_quote() {
        let mut line = Line::new(Utc::new(0, 0), Level::Info);
        line.pair("a", format_args!("{:>2000}", "x"));
        assert!(line.as_str().len() <= LINE_BYTES_MAX);
        assert!(line.as_str().ends_with('"'));
    }
}

//! A signal's line in the log, field by field (CONTRACTS 6).
//!
//! Which fields it has, and no other; its time and level; how long something lasted, also where nobody foretold it; the detail in
//! one of its forms. `inside=flapping` stands in what only the log hears of, `muted=true` in what people do not.
//! Tests: beside the code.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use watchdog_core::time::Millis;

use super::detail::{self, Forms};
use super::signals::Signal;
use crate::logfmt;

/// A line taken apart.
#[derive(Clone, Debug)]
pub struct Record {
    fields: BTreeMap<String, String>,
    /// The signal.
    pub id: String,
    /// The event with its figure, as it is foretold.
    pub event: String,
}

/// Of each event the field of its figure, and whether it has a detail.
const EVENTS: [(&str, &str, bool); 5] = [
    ("firing", "checks", true),
    ("still firing", "for", true),
    ("resolved", "after", false),
    ("flapping", "changes", true),
    ("stable", "state", false),
];

impl Record {
    /// Reads a line that is written while the wall clock says this, Unix milliseconds.
    ///
    /// # Errors
    /// It is no line of an event, or not of now.
    pub fn read(line: &str, wall_ms: i64) -> Result<Self, String> {
        let fields = logfmt::parse(line).map_err(|why| format!("{why}: {line}"))?;
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let event = field("event");
        let known = EVENTS.iter().find(|(known, ..)| *known == event);
        let (_, figure, has_detail) = known.ok_or_else(|| format!("unknown event {event:?}"))?;
        let since = Duration::from_secs(u64::try_from(wall_ms / 1000).unwrap_or(0));
        let ts = humantime::format_rfc3339_seconds(UNIX_EPOCH + since);
        if !line.starts_with(&format!("ts={ts} level=")) {
            return Err(format!("a line that was written at {ts}: {line}"));
        }
        let mut expected = vec!["ts", "level", "event", "signal", figure];
        if *has_detail {
            expected.push("detail");
        }
        let is_there = |name: &&str| fields.contains_key(*name);
        let is_known =
            |name: &String| expected.contains(&name.as_str()) || matches!(name.as_str(), "inside" | "muted");
        if !expected.iter().all(is_there) || !fields.keys().all(is_known) {
            return Err(format!("the fields are to be {expected:?}: {line}"));
        }
        Ok(Self {
            id: field("signal").to_owned(),
            event: format!("{event} {}", field(figure)),
            fields,
        })
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Holds it against its signal as that was before; `forms`: what its detail may be.
    ///
    /// # Errors
    /// A field is not what it should be.
    pub fn judge(&self, signal: &Signal, forms: &Forms, now: u64) -> Result<(), String> {
        let event = self.field("event").unwrap_or_default();
        let is_bad = matches!(event, "firing" | "still firing");
        let levels: &[&str] = match (is_bad, signal.critical) {
            (true, true) => &["error"],
            (true, false) => &["warn"],
            _ => &["info", "warn"],
        };
        let lasted = Millis::from_millis(now - signal.newest().0).to_string();
        let is_inside = signal.flapping && matches!(event, "firing" | "resolved");
        let is_end_of_words = event == "flapping" && signal.firing && self.field("detail") == Some("");
        let is_right = |name: &str, expected: Option<&str>| self.field(name) == expected;
        let faults = [
            (
                "level",
                !self.field("level").is_some_and(|level| levels.contains(&level)),
            ),
            ("after", event == "resolved" && !is_right("after", Some(&lasted))),
            ("for", event == "still firing" && !is_right("for", Some(&lasted))),
            ("inside", !is_right("inside", is_inside.then_some("flapping"))),
            ("muted", !is_right("muted", signal.muted.then_some("true"))),
            (
                "detail",
                self.field("detail")
                    .is_some_and(|said| !is_end_of_words && !detail::fits(said, forms)),
            ),
        ];
        match faults.iter().find(|(_, is_wrong)| *is_wrong) {
            Some((name, _)) => Err(format!(
                "{}: {name} is wrong in {:?}; it lasts {lasted}, and its detail is one of {forms:?}",
                self.id, self.fields
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Record;
    use crate::world::Options;
    use crate::world::signals::Signal;

    const WALL_MS: i64 = 1_767_355_200_999;
    const GOOD: &str = r#"ts=2026-01-02T12:00:00Z level=error event=firing signal=dep_down:d0 detail="connection refused" checks=3"#;

    fn judge(line: &str) -> Result<(), String> {
        let mut options = Options::draw(0, 1);
        options.muted = false;
        let signal = Signal::new("dep_down:d0", true, &options);
        let forms = vec!["connection refused".to_owned()];
        Record::read(line, WALL_MS)?.judge(&signal, &forms, 1_000)
    }

    /// A good line is taken, and each that is one step away from it is not.
    #[test]
    fn each_field_is_held() {
        judge(GOOD).unwrap();
        for (from, to) in [
            ("12:00:00", "12:00:01"),
            ("level=error", "level=warn"),
            ("event=firing", "event=fired"),
            (" checks=3", ""),
            (" detail=\"connection refused\"", ""),
            ("refused", "reset"),
            ("checks=3", "checks=3 for=4m"),
            ("checks=3", "checks=3 muted=true"),
            ("checks=3", "checks=3 inside=flapping"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(judge(&GOOD.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}

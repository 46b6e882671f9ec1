//! The words behind a signal: what its detail must say, by what the world let the machine learn.
//!
//! A figure is foretold from what the world put into the answer; a reason for silence from what the world did to the
//! connection. What the world does not know to the letter is held against the forms that a detail of its kind can have, so that
//! none is empty and none speaks of something else. A form is a text with `#` for a number and `*` for anything.
//! Tests: beside the code.

use std::collections::BTreeMap;

use watchdog_core::time::Millis;

use super::options::Options;
use super::oracle::Seen;
use super::signals::{ANY_CHECKS, Look};
use super::weather::Fault;

/// What may stand there, one of these.
pub type Forms = Vec<String>;

/// The machine's slots of connections.
const ORCHESTRATOR: u8 = 0;
const DEPENDENCIES: u8 = 16;

/// What befell the connections of a tick, by their slots: what was wrong as each was made, and as each was asked.
#[derive(Clone, Debug, Default)]
pub struct Befell(BTreeMap<u8, Vec<(Moment, Option<Fault>)>>);

/// When something was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// As the connection was made.
    Met,
    /// As the question came.
    Asked,
}

impl Befell {
    /// Notes what is wrong, or that nothing is.
    pub fn note(&mut self, slot: u8, moment: Moment, fault: Option<Fault>) {
        self.0.entry(slot).or_default().push((moment, fault));
    }

    /// The reasons that there can be for having no answer.
    fn reasons(&self, slot: u8, options: &Options) -> Forms {
        let mut forms = Forms::new();
        let late = |stage: &str| format!("timeout: no answer within 5s ({stage})");
        let is_never_in_time = options.names || options.pauses;
        for (moment, fault) in self.0.get(&slot).into_iter().flatten() {
            match moment {
                Moment::Met => forms.extend(met(*fault, options)),
                Moment::Asked => forms.extend(asked(*fault, slot)),
            }
            let is_slow = matches!(fault, Some(Fault::Silent | Fault::Stall | Fault::Slow));
            // Behind a pause a connection that was made and a time that is over may come together.
            let is_asked = *moment == Moment::Asked && (is_slow || options.names);
            if is_asked || options.pauses {
                forms.extend(["waiting for an answer", "reading the answer"].map(late));
            }
            if *fault == Some(Fault::BlackHole) || is_never_in_time {
                forms.push(late("connecting"));
            }
        }
        if options.names {
            forms.push(late("resolving the name"));
            forms.extend(OF_NAMES.map(str::to_owned));
        }
        forms
    }
}

/// What a name server's answer, or the lack of one, is called.
const OF_NAMES: [&str; 7] = [
    "no such host",
    "host has no address",
    "DNS did not answer",
    "DNS server failed (SERVFAIL)",
    "DNS server refused the question",
    "DNS answer is malformed",
    "DNS over TCP failed: *",
];

fn met(fault: Option<Fault>, options: &Options) -> Forms {
    let reason = match fault {
        Some(Fault::Refused) => "connection refused",
        Some(Fault::Unreachable) => "no route to host",
        // Each of several addresses has a part of the time.
        Some(Fault::BlackHole) if options.names => "connection timed out",
        _ => return Forms::new(),
    };
    vec![reason.to_owned()]
}

fn asked(fault: Option<Fault>, slot: u8) -> Forms {
    let cut = |how: &str, so: &str| {
        let whole = ["# of # bytes", "after # bytes"].map(|got| format!("body cut short ({got}{so})"));
        let mut forms = vec![
            format!("connection {how} before an answer"),
            format!("head cut short (connection {how})"),
        ];
        forms.extend(whole);
        forms
    };
    let is_dependency = slot >= DEPENDENCIES;
    match fault {
        Some(Fault::Reset) => cut("reset", ", connection reset"),
        Some(Fault::Cut) => [cut("reset", ", connection reset"), cut("closed", "")].concat(),
        Some(Fault::Broken) if is_dependency => vec!["http 500 (expected 200-399)".to_owned()],
        Some(Fault::Broken) => vec!["http 500".to_owned()],
        Some(Fault::Garbage) => vec!["answer is not HTTP".to_owned()],
        Some(Fault::Page) if !is_dependency => vec!["body is not one JSON object*".to_owned()],
        _ => Forms::new(),
    }
}

/// Of what is wrong the figures drift from envelope to envelope, so that an old one is not taken for a new one.
pub fn drift(generation: u64) -> u64 {
    generation % 8
}

/// What a look at a signal of which all is known made its detail; none if it said nothing.
pub fn of(id: &str, look: Look, seen: &Seen, options: &Options) -> Forms {
    let drift = drift(seen.generation);
    let (kind, subject) = id.split_once(':').unwrap_or((id, ""));
    let is_active = look == Look::Active;
    let seconds = |bad: u64| if is_active { bad + 60 * drift } else { 1 };
    let span = |seconds: u64| Millis::from_secs(seconds).to_string();
    let one = match kind {
        "orch_down" if is_active => return seen.befell.reasons(ORCHESTRATOR, options),
        "orch_down" => "answers in *".to_owned(),
        "orch_stale" => {
            let unchanged = Millis::from_millis(seen.unchanged_ms);
            format!("generated_at unchanged for {unchanged} (limit 5m)")
        }
        "queue_old" => format!("{} old (limit 1h)", span(seconds(4000))),
        "queue_stalled" if is_active => format!("depth {}, nothing running", 1 + drift),
        "queue_stalled" => format!("depth {}, 2 running", 1 + drift),
        "cost_over" => {
            let today = if is_active { 11 + drift } else { 1 };
            format!("{today}.00 USD today (limit 10.00)")
        }
        "failed_jobs" => format!("queue.failed is {} (> 0)", if is_active { 2 + drift } else { 0 }),
        "stage_stuck" => {
            let bad = if subject == "build" { 8000 } else { 9000 };
            format!("{} old (limit 2h)", span(seconds(bad)))
        }
        "slow" if is_active => format!("stages[].oldest_age_s is {} (> 8500)", seconds(9000)),
        "agent_overtime" => format!("runs for {} (limit 2h)", span(seconds(9000))),
        "mem_low" => format!("{}% of 9.7 MiB available (limit 5%)", seen.memory.unwrap_or(0)),
        "dep_down" | "dep_slow" => return of_dependency(kind, subject, is_active, seen, options),
        "container_down" if is_active => "not found".to_owned(),
        "container_down" => String::new(),
        _ => return shapes(kind),
    };
    vec![one]
}

fn of_dependency(kind: &str, subject: &str, is_active: bool, seen: &Seen, options: &Options) -> Forms {
    let place = subject.strip_prefix('d').and_then(|place| place.parse().ok());
    let place: usize = place.expect("a dependency of the world");
    let took = seen.dependencies.get(&place).map_or(0, |(_, took)| *took);
    let took = Millis::from_millis(took);
    match (kind, is_active) {
        ("dep_slow", _) => vec![format!("{took} (limit 2s)")],
        (_, true) => {
            let slot = u8::try_from(place).expect("few") + DEPENDENCIES;
            seen.befell.reasons(slot, options)
        }
        _ if place + 1 == options.dependencies => vec![format!("connected in {took}")],
        _ => vec![format!("http 200 in {took}"), format!("http 302 in {took}")],
    }
}

/// The forms that a detail of this kind can have, whatever was looked at; the first are those of what is wrong.
pub fn shapes(kind: &str) -> Forms {
    let forms: &[&str] = match kind {
        "orch_down" => &["*"],
        "docker_down" => &[
            "connection *",
            "timeout: no answer within * (*)",
            "no route to host",
            "head cut short (*)",
            "body cut short (*)",
            "answer is not HTTP",
            "http #",
            "HTML instead of JSON",
            "unreadable: *",
            "empty answer",
            "cut short",
            "no answer",
            // What a good answer said.
            "# container, *",
            "# containers, *",
        ],
        "queue_old" | "stage_stuck" => &[
            "# old (limit #)",
            "oldest_age_s missing",
            "paused (enabled: false)",
        ],
        "queue_stalled" => &[
            "depth #, nothing running",
            "depth #, # running",
            "paused (enabled: false)",
        ],
        "cost_over" => &["# USD today (limit 10.00)", "paused (enabled: false)"],
        "orch_stale" => &["generated_at unchanged for # (limit 5m)"],
        "failed_jobs" => &["queue.failed is # (> 0)"],
        "slow" => &["stages[].oldest_age_s is # (> 8500)"],
        "agent_overtime" => &["runs for # (limit 2h)"],
        "dep_slow" => &["# (limit 2s)"],
        "dep_down" => &["*"],
        "container_down" => &[
            "exited #",
            "exited # (SIG*)",
            "ended",
            "stopped",
            "paused",
            "created, not started",
            "restarting",
            "restarting, exited #",
            "restarting, exited # (SIG*)",
            "being removed",
            "not found",
        ],
        "container_unhealthy" => &["unhealthy", "unhealthy: *"],
        "container_restarting" => &["# restarts in #"],
        "container_oom" => &["out of memory: the kernel killed in it"],
        "table_full" => &["1 signal left out", "# signals left out"],
        _ => of_host(kind),
    };
    forms.iter().map(|form| (*form).to_owned()).collect()
}

fn of_host(kind: &str) -> &'static [&'static str] {
    match kind {
        "mem_low" => &["#% of 9.7 MiB available (limit 5%)"],
        "swap_high" => &["#% of * swap used (limit 80%)", "no swap"],
        "load_high" => &["15-minute load # per core (limit 2)"],
        "fd_high" => &["#% used, # of 10000 file handles (limit 90%)"],
        "pressure_mem" => &["all tasks stalled on memory for #% of the last minute (limit 20%)"],
        "pressure_io" => &["all tasks stalled on I/O for #% of the last minute (limit 30%)"],
        "pressure_cpu" => &["some task waited for a CPU for #% of the last minute (limit 70.5%)"],
        "disk_ceiling" => &["#% used (limit 97%)", "same file system as *"],
        "inode_ceiling" => &[
            "#% used (limit 90%)",
            "file system without inodes",
            "same file system as *",
        ],
        "disk_readonly" => &["* is read-only", "* is writable", "same file system as *"],
        "host_probe_stuck" => &[
            "*: no answer for #",
            "*: no answer for #, and # more",
            "all reads returned",
        ],
        _ => &[],
    }
}

/// Tells the detail in front of what ends a line.
pub fn before<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    if end != ANY_CHECKS {
        return text.strip_suffix(end);
    }
    let checked = text.rfind(" (").filter(|at| has_form(&text[*at..], end));
    Some(checked.map_or(text, |at| &text[..at]))
}

/// Tells whether a detail has one of the forms.
pub fn fits(detail: &str, forms: &[String]) -> bool {
    forms.iter().any(|form| has_form(detail, form)) && is_right_signal(detail)
}

/// `#` is a number or a span of time, `*` anything but nothing.
fn has_form(text: &str, form: &str) -> bool {
    let Some(at) = form.find(['#', '*']) else {
        return text == form;
    };
    let (start, rest) = form.split_at(at);
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    let is_number = rest.starts_with('#');
    let fits_so_far = |part: &str| {
        let is_figure = part.starts_with(|digit: char| digit.is_ascii_digit() || digit == '-')
            && part
                .chars()
                .all(|character| character.is_ascii_digit() || " .-dhms".contains(character))
            && !part.ends_with(' ');
        !part.is_empty() && (!is_number || is_figure)
    };
    let mut ends = text
        .char_indices()
        .map(|(at, character)| at + character.len_utf8());
    ends.any(|end| fits_so_far(&text[..end]) && has_form(&text[end..], &rest[1..]))
}

/// What stands for 128 and a signal's number is that signal.
fn is_right_signal(detail: &str) -> bool {
    const NAMES: [(u32, &str); 6] = [
        (130, "SIGINT"),
        (134, "SIGABRT"),
        (137, "SIGKILL"),
        (139, "SIGSEGV"),
        (143, "SIGTERM"),
        (129, "SIGHUP"),
    ];
    let Some((_, code)) = detail.split_once("exited ") else {
        return true;
    };
    let (number, name) = code.split_once(' ').unwrap_or((code, ""));
    let known = NAMES.iter().find(|(known, _)| number == known.to_string());
    match known {
        Some((_, known)) => name == format!("({known})"),
        None => name.is_empty() || !number.starts_with('0'),
    }
}

#[cfg(test)]
mod tests {
    use super::{fits, has_form};

    /// A number is a number or a span, and what stands around it is to the letter.
    #[test]
    fn forms_are_kept() {
        for (text, form) in [
            ("2h 30m old (limit 2h)", "# old (limit #)"),
            ("11.00 USD today (limit 10.00)", "# USD today (limit 10.00)"),
            (
                "body cut short (12 of 300 bytes)",
                "body cut short (# of # bytes)",
            ),
            ("unhealthy: o", "unhealthy: *"),
            ("stopped", "stopped"),
        ] {
            assert!(has_form(text, form), "{text} {form}");
        }
        for (text, form) in [
            ("old (limit 2h)", "# old (limit #)"),
            ("two old (limit 2h)", "# old (limit #)"),
            ("2h old (limit 2h) too", "# old (limit #)"),
            ("unhealthy: ", "unhealthy: *"),
            ("", "*"),
            ("", "stopped"),
        ] {
            assert!(!has_form(text, form), "{text} {form}");
        }
    }

    /// The name of another signal than the number's is noticed.
    #[test]
    fn the_signal_is_that_of_the_number() {
        let forms = ["exited #".to_owned(), "exited # (SIG*)".to_owned()];
        assert!(fits("exited 137 (SIGKILL)", &forms));
        assert!(fits("exited 3", &forms));
        assert!(!fits("exited 137 (SIGTERM)", &forms));
        assert!(!fits("exited 137", &forms));
    }
}

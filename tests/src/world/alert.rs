//! What an Alertmanager is sent, read as strictly as one could: RFC 8259, API v2, and what CONTRACTS 2 and 4 say of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use serde_json::{Map, Value};

use super::options::{INSTANCE, Options};
use super::signals::Signal;

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The id of its signal, from which all its labels follow: one id, one set of labels.
    pub id: String,
    /// Unix seconds.
    pub starts_s: i64,
    /// Unix seconds.
    pub ends_s: i64,
}

/// Reads the body of a request.
///
/// # Errors
/// What a strict Alertmanager would refuse, or what the watchdog has no business to send.
pub fn parse(body: &str, options: &Options) -> Result<Vec<Alert>, String> {
    let inner = body
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or("alerts that are no list")?;
    let mut read: Vec<Alert> = Vec::new();
    let mut rest = Some(inner).filter(|inner| !inner.is_empty());
    while let Some(text) = rest {
        let cut = find(text, BETWEEN, '}');
        let alert = known(cut.map_or(text, |cut| &text[..=cut]), options)?;
        rest = cut.map(|cut| &text[cut + 2..]);
        if read.iter().any(|other| other.id == alert.id) {
            return Err(format!("{} stands twice in one request", alert.id));
        }
        read.push(alert);
    }
    Ok(read)
}

/// Stands between two alerts, and not within a text, where a backslash goes before the quote.
const BETWEEN: &str = "},{\"";
const BEFORE_TIME: &str = "sAt\":\"";
/// So many alerts are remembered.
const KNOWN_MAX: usize = 4096;

thread_local! {
    /// Alerts that were read, by their text without the times: they are sent again each minute.
    static KNOWN: RefCell<HashMap<String, Alert>> = RefCell::default();
}

/// Reads one alert, or remembers it and reads its times alone.
fn known(text: &str, options: &Options) -> Result<Alert, String> {
    let (kept, times) = parted(text);
    let remembered = KNOWN.with_borrow(|known| known.get(&kept).cloned());
    if let (Some(mut alert), &[starts, ends]) = (remembered, &times[..]) {
        (alert.starts_s, alert.ends_s) = (time(starts)?, time(ends)?);
        return in_order(alert);
    }
    let alert = first_seen(text, options)?;
    let is_start_first = times.len() == 2 && kept.find("\"start") < kept.find("\"end");
    if is_start_first {
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(kept, alert.clone());
        });
    }
    Ok(alert)
}

/// Reads one alert.
fn first_seen(text: &str, options: &Options) -> Result<Alert, String> {
    let value: Value = serde_json::from_str(text).map_err(|why| format!("alerts: {why}"))?;
    // A key that stands twice in an object is but once in what was read.
    if value.to_string().len() != text.len() {
        return Err(format!(
            "an alert that reads otherwise than it is written: {text}"
        ));
    }
    one(&value, options).map_err(|why| format!("{why} in alert {value}"))
}

fn one(alert: &Value, options: &Options) -> Result<Alert, String> {
    let alert = object(alert, &["annotations", "endsAt", "labels", "startsAt"], "")?;
    let labels = object(
        &alert["labels"],
        &["alertname", "instance", "severity", "signal"],
        "subject",
    )?;
    let annotations = object(&alert["annotations"], &["detail", "summary"], "")?;
    let id = text(&labels["signal"])?;
    let (name, subject) = match id.split_once(':') {
        Some((name, subject)) => (name, Some(subject)),
        None => (id, None),
    };
    let severity = if Signal::new(id, false, options).critical {
        "critical"
    } else {
        "warning"
    };
    let expected = [
        ("alertname", Some(name)),
        ("subject", subject),
        ("instance", Some(INSTANCE)),
        ("severity", Some(severity)),
    ];
    for (label, expected) in expected {
        if labels.get(label).map(text).transpose()? != expected {
            return Err(format!("{label} is not {expected:?}"));
        }
    }
    if text(&annotations["summary"])? != format!("{id} on {INSTANCE}") {
        return Err("a strange summary".to_owned());
    }
    annotations["detail"].as_str().ok_or("no detail")?;
    let at = |key: &str| time(alert[key].as_str().ok_or("no time")?);
    in_order(Alert {
        id: id.to_owned(),
        starts_s: at("startsAt")?,
        ends_s: at("endsAt")?,
    })
}

fn in_order(alert: Alert) -> Result<Alert, String> {
    if alert.starts_s > alert.ends_s {
        return Err("ends before it starts".to_owned());
    }
    Ok(alert)
}

/// An object with just these keys, and perhaps one more.
fn object<'a>(value: &'a Value, keys: &[&str], perhaps: &str) -> Result<&'a Map<String, Value>, String> {
    let object = value.as_object().ok_or("no object")?;
    let lacking = keys.iter().find(|key| !object.contains_key(**key));
    let strange = object
        .keys()
        .find(|key| !keys.contains(&key.as_str()) && *key != perhaps);
    match (lacking, strange) {
        (None, None) => Ok(object),
        (lacking, strange) => Err(format!("lacks {lacking:?}, has {strange:?}")),
    }
}

/// A label's value: not empty, or it would be no label.
fn text(value: &Value) -> Result<&str, String> {
    let text = value.as_str().ok_or("no text")?;
    if text.is_empty() || text.contains(char::is_control) {
        return Err(format!("{text:?} can be no value of a label"));
    }
    Ok(text)
}

fn time(text: &str) -> Result<i64, String> {
    let at = humantime::parse_rfc3339(text).map_err(|why| format!("{text}: {why}"))?;
    let since = at.duration_since(UNIX_EPOCH).map_err(|why| why.to_string())?;
    i64::try_from(since.as_secs()).map_err(|why| why.to_string())
}

/// Finds a part by a character in it that is rare elsewhere: all that is sent is read here, and this is the quicker way.
fn find(text: &str, part: &str, rare: char) -> Option<usize> {
    let within = part.find(rare)?;
    let mut found = text
        .match_indices(rare)
        .filter_map(|(at, _)| at.checked_sub(within));
    found.find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(part)))
}

/// Takes the times of alerts out of a text, which are what steps of the wall clock may change: the rest, and the times.
fn parted(text: &str) -> (String, Vec<&str>) {
    let (mut kept, mut times) = (String::with_capacity(text.len()), Vec::new());
    for (before, time) in times_apart(text) {
        kept.push_str(before);
        times.extend(time);
    }
    (kept, times)
}

/// What stands before each time of an alert, with it, and last what stands behind them all.
pub fn times_apart(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(at) = find(text, BEFORE_TIME, 'A') else {
            return Some((text, None));
        };
        let (before, after) = (&text[..at], &text[at + BEFORE_TIME.len()..]);
        let (time, after) = after.split_once('"').unwrap_or((after, ""));
        rest = Some(after);
        Some((before, Some(time)))
    })
}

#[cfg(test)]
mod tests {
    use super::{Alert, parse, parted};
    use crate::world::Options;

    const GOOD: &str = r#"[{"labels":{"alertname":"dep_down","instance":"host-<1>&co","signal":"dep_down:d0","subject":"d0","severity":"critical"},"annotations":{"summary":"dep_down:d0 on host-<1>&co","detail":"x"},"startsAt":"2026-01-02T03:04:05Z","endsAt":"2026-01-02T03:09:05Z"}]"#;

    fn read(body: &str) -> Result<Vec<Alert>, String> {
        parse(body, &Options::draw(0, 1))
    }

    /// A good alert is read as it is meant.
    #[test]
    fn a_good_alert_is_read() {
        let alert = read(GOOD).unwrap().remove(0);
        assert_eq!(alert.id, "dep_down:d0");
        assert_eq!(alert.ends_s - alert.starts_s, 300);
    }

    /// Each of these is one step away from a good one, and refused.
    #[test]
    fn what_is_not_as_it_should_be_is_refused() {
        for (from, to) in [
            ("critical", "warning"),
            ("\"subject\":\"d0\",", ""),
            ("\"subject\":\"d0\"", "\"subject\":\"\""),
            ("\"subject\":\"d0\"", "\"subject\":\"d0\",\"subject\":\"d0\""),
            ("instance\":\"host", "instance\":\"ghost"),
            ("T03:09:05Z", "T03:03:05Z"),
            ("T03:09:05Z", " 03:09:05"),
            ("\"detail\":\"x\"", "\"detail\":1"),
            ("\"annotations\"", "\"annotation\""),
            ("}]", "}"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(read(&GOOD.replace(from, to)).is_err(), "{from} -> {to}");
        }
        // One that is remembered is read as strictly.
        assert!(read(GOOD).is_ok());
        for (from, to) in [
            ("T03:09:05Z", "T03:03:05Z"),
            ("T03:09:05Z", " 03:09:05"),
            ("}]", "}"),
        ] {
            assert!(read(&GOOD.replace(from, to)).is_err(), "{from} -> {to}");
        }
        let twice = format!("[{0},{0}]", GOOD.trim_matches(['[', ']']));
        assert!(read(&twice).is_err());
    }

    /// Nothing of a time is left, and all else is.
    #[test]
    fn times_are_removed() {
        assert_eq!(
            parted("a\"startsAt\":\"2026\",\"endsAt\":\"2027\"b"),
            ("a\"start,\"endb".to_owned(), vec!["2026", "2027"])
        );
    }
}

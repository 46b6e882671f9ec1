//! What an Alertmanager is sent, read as strictly as one could: RFC 8259, API v2, and what CONTRACTS 2 and 4 say of it.

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
    let value: Value = serde_json::from_str(body).map_err(|why| format!("alerts: {why}"))?;
    // A key that stands twice in an object is but once in what was read.
    if value.to_string().len() != body.len() {
        return Err(format!(
            "alerts that read otherwise than they are written: {body}"
        ));
    }
    let alerts = value.as_array().ok_or("alerts that are no list")?;
    let mut read: Vec<Alert> = Vec::new();
    for alert in alerts {
        let alert = one(alert, options).map_err(|why| format!("{why} in alert {alert}"))?;
        if read.iter().any(|other| other.id == alert.id) {
            return Err(format!("{} stands twice in one request", alert.id));
        }
        read.push(alert);
    }
    Ok(read)
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
    let (starts_s, ends_s) = (time(&alert["startsAt"])?, time(&alert["endsAt"])?);
    if starts_s > ends_s {
        return Err("ends before it starts".to_owned());
    }
    Ok(Alert {
        id: id.to_owned(),
        starts_s,
        ends_s,
    })
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

fn time(value: &Value) -> Result<i64, String> {
    let text = value.as_str().ok_or("no time")?;
    let at = humantime::parse_rfc3339(text).map_err(|why| format!("{text}: {why}"))?;
    let since = at.duration_since(UNIX_EPOCH).map_err(|why| why.to_string())?;
    i64::try_from(since.as_secs()).map_err(|why| why.to_string())
}

/// Leaves out what steps of the wall clock may change: the times of alerts.
pub fn times_removed(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("sAt\":\"") {
        kept.push_str(before);
        rest = after.split_once('"').map_or("", |(_, after)| after);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::{Alert, parse, times_removed};
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
        let twice = format!("[{0},{0}]", GOOD.trim_matches(['[', ']']));
        assert!(read(&twice).is_err());
    }

    /// Nothing of a time is left, and all else is.
    #[test]
    fn times_are_removed() {
        assert_eq!(
            times_removed("a\"startsAt\":\"2026\",\"endsAt\":\"2027\"b"),
            "a\"start,\"endb"
        );
    }
}

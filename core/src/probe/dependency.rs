//! Dependencies: what an answer, or the lack of one, says of `dep_down`, `dep_slow` and `dep_cert`.
//!
//! It sees status and body of one answer a tick and how the exchange ended. The body is searched as it streams past; at most
//! [`BODY_SEARCH_BYTES_MAX`] of it count. A certificate's time left is told by the wall
//! clock; of one that was refused, only that it had expired is known.

use crate::config;
use crate::exchange::{Failure, Outcome, Stage};
use crate::limits::{BODY_SEARCH_BYTES_MAX, BODY_TEXT_BYTES_MAX};
use crate::net::{Closed, TlsFault};
use crate::signal::{Kind, Observation};
use crate::table::Table;
use crate::text::Subject;
use crate::time::{Millis, Utc};

/// Finds a text in a stream, in constant memory, without looking at a byte twice (Knuth, Morris, Pratt).
#[derive(Debug)]
struct Search {
    /// For each length of a match, the longest shorter match that is its end too.
    fallback: [u8; BODY_TEXT_BYTES_MAX],
    matched: usize,
    found: bool,
}

impl Search {
    const fn new() -> Self {
        Self {
            fallback: [0; BODY_TEXT_BYTES_MAX],
            matched: 0,
            found: false,
        }
    }

    fn begin(&mut self, text: &[u8]) {
        (self.matched, self.found) = (0, text.is_empty());
        let mut length = 0_usize;
        for place in 1..text.len() {
            while length > 0 && text.get(place) != text.get(length) {
                length = self.shorter(length);
            }
            if text.get(place) == text.get(length) {
                length = length.saturating_add(1);
            }
            if let Some(fallback) = self.fallback.get_mut(place) {
                *fallback = u8::try_from(length).unwrap_or(0);
            }
        }
    }

    fn shorter(&self, length: usize) -> usize {
        length
            .checked_sub(1)
            .and_then(|place| self.fallback.get(place))
            .map_or(0, |length| usize::from(*length))
    }

    fn feed(&mut self, text: &[u8], bytes: &[u8]) {
        for byte in bytes {
            if self.found {
                return;
            }
            while self.matched > 0 && text.get(self.matched) != Some(byte) {
                self.matched = self.shorter(self.matched);
            }
            if text.get(self.matched) == Some(byte) {
                self.matched = self.matched.saturating_add(1);
            }
            self.found = self.matched == text.len();
        }
    }
}

/// Whether the rest of a body is worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Appetite {
    /// More may change the verdict.
    More,
    /// What came is enough.
    Enough,
}

/// One dependency's answer in this tick.
#[derive(Debug)]
pub struct Dependency {
    status: Option<u16>,
    body_bytes: usize,
    search: Search,
    /// The end of the certificate that was shown, accepted or not.
    not_after: Option<Utc>,
    outcome: Outcome,
}

impl Dependency {
    /// A dependency that was not asked yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            status: None,
            body_bytes: 0,
            search: Search::new(),
            not_after: None,
            outcome: Outcome::None,
        }
    }

    /// A tick begins.
    pub fn begin(&mut self, config: &config::Dependency) {
        (self.status, self.body_bytes, self.outcome) = (None, 0, Outcome::None);
        self.not_after = None;
        self.search.begin(config.body.as_deref().unwrap_or("").as_bytes());
    }

    /// The peer has shown a certificate, and its time ends then, if that could be read.
    pub const fn certificate(&mut self, not_after: Option<Utc>) {
        self.not_after = not_after;
    }

    /// The answer's head came.
    pub const fn head(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// A part of the answer's body came.
    pub fn body(&mut self, bytes: &[u8], config: &config::Dependency) -> Appetite {
        let room = BODY_SEARCH_BYTES_MAX.saturating_sub(self.body_bytes);
        let counted = bytes.get(..room).unwrap_or(bytes);
        self.body_bytes = self.body_bytes.saturating_add(counted.len());
        self.search
            .feed(config.body.as_deref().unwrap_or("").as_bytes(), counted);
        if self.body_bytes >= BODY_SEARCH_BYTES_MAX {
            Appetite::Enough
        } else {
            Appetite::More
        }
    }

    /// The exchange ended.
    pub fn ended(&mut self, outcome: Result<Millis, Failure>) {
        self.outcome = outcome.into();
    }

    /// Tells whether this tick's outcome is there.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.outcome.result().is_some()
    }

    fn settle_certificate(&self, subject: &Subject, limit: Millis, wall: Utc, table: &mut Table) {
        let mut stage = |observation, detail: core::fmt::Arguments<'_>| {
            table.stage(Kind::DepCert, subject, observation, 0.0, detail);
        };
        let expired = Failure::Unconnected(Closed::Tls(TlsFault::Expired));
        let is_expired = self.outcome.result() == Some(Err(expired));
        let span = |seconds: i64| Millis::from_secs(u64::try_from(seconds).unwrap_or(0));
        let left = self
            .not_after
            .map(|end| end.seconds().saturating_sub(wall.seconds()));
        let Some(left) = left.filter(|left| *left <= 0 || !is_expired) else {
            if is_expired {
                // Its end could not be read, or it is its issuer's that is over.
                stage(Observation::Active, format_args!("certificate expired"));
            }
            return;
        };
        if left <= 0 {
            let since = span(left.saturating_neg());
            return stage(Observation::Active, format_args!("expired {since} ago"));
        }
        let left = span(left);
        if left >= limit && self.outcome.result().is_some_and(|outcome| outcome.is_err()) {
            // It came from somebody who is not the one asked for, or said no more: no reason to think that all is well.
            return;
        }
        let observation = if left < limit {
            Observation::Active
        } else {
            Observation::Clear
        };
        stage(observation, format_args!("{left} left (limit {limit})"));
    }

    fn has_right_status(&self, config: &config::Dependency) -> bool {
        let (first, last) = config.status;
        self.status.is_none_or(|status| (first..=last).contains(&status))
    }

    /// Stages what this tick's answer says.
    pub fn settle(&self, config: &config::Dependency, wall: Utc, table: &mut Table) {
        let subject = Subject::new(&config.name);
        if let Some(limit) = config.cert {
            self.settle_certificate(&subject, limit, wall, table);
        }
        let mut down = |observation, detail: core::fmt::Arguments<'_>| {
            table.stage(Kind::DepDown, &subject, observation, 0.0, detail);
        };
        let took = match self.outcome.result() {
            None => return,
            // Nobody asked it, so nobody knows.
            Some(Err(failure @ Failure::TimedOut(_, Stage::Queued))) => {
                return down(Observation::Unknown, format_args!("{failure}"));
            }
            Some(Err(failure)) => return down(Observation::Active, format_args!("{failure}")),
            Some(Ok(took)) => took,
        };
        let (first, last) = config.status;
        match (self.status, &config.body) {
            (Some(status), _) if !self.has_right_status(config) => {
                return down(
                    Observation::Active,
                    format_args!("http {status} (expected {first}-{last})"),
                );
            }
            (_, Some(text)) if !self.search.found => {
                return down(Observation::Active, format_args!("body lacks \"{text}\""));
            }
            (Some(status), _) => down(Observation::Clear, format_args!("http {status} in {took}")),
            (None, _) => down(Observation::Clear, format_args!("connected in {took}")),
        }
        if let Some(limit) = config.latency {
            let observation = if took > limit {
                Observation::Active
            } else {
                Observation::Clear
            };
            let badness = f64::from(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
            table.stage(
                Kind::DepSlow,
                &subject,
                observation,
                badness,
                format_args!("{took} (limit {limit})"),
            );
        }
    }
}

impl Default for Dependency {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::boxed::Box;
    use std::string::String;

    fn finds(text: &str, parts: &[&str]) -> bool {
        let mut search = Search::new();
        search.begin(text.as_bytes());
        parts
            .iter()
            .for_each(|part| search.feed(text.as_bytes(), part.as_bytes()));
        search.found
    }

    /// A text is found however the stream is cut, also where its start repeats inside it.
    #[test]
    fn a_text_is_found_across_parts() {
        assert!(finds("ok", &["not o", "k at all"]));
        assert!(finds("aab", &["aa", "ab"]));
        assert!(finds("ababac", &["abab", "abac"]));
        assert!(!finds("ababac", &["ababab", "abab"]));
        assert!(finds("", &[]));
        assert!(!finds("x", &[]));
    }

    /// What is seen of `dep_cert` when the certificate ends at `end` and the exchange ended so.
    fn certificate(end: Option<&str>, outcome: Result<Millis, Failure>) -> Option<(Observation, String)> {
        let subject = Subject::new("x");
        let url = ("WATCHDOG_DEP_X", "https://h cert=14d");
        let pair = config::Pair {
            name: url.0,
            value: Ok(url.1),
            origin: config::Origin::Env,
        };
        let facts = config::Facts {
            host_name: "h",
            docker_socket_exists: false,
        };
        let mut config = Box::new(config::Config::EMPTY);
        config::parse(&[pair], &facts, &mut config, &mut |fault| panic!("{fault}"));
        let mut table = Box::new(Table::new());
        let id = crate::signal::SignalId {
            kind: Kind::DepCert,
            subject: subject.clone(),
        };
        table.register(id, crate::time::Instant::ZERO);
        let mut dependency = Dependency::new();
        dependency.begin(&config.dependencies[0]);
        if let Some(end) = end {
            dependency.certificate(Utc::parse_rfc3339(end));
        }
        dependency.ended(outcome);
        let wall = Utc::parse_rfc3339("2026-01-02T12:00:00Z").unwrap();
        dependency.settle(&config.dependencies[0], wall, &mut table);
        table
            .staged(Kind::DepCert, &subject)
            .map(|(seen, detail)| (seen, detail.into()))
    }

    /// A certificate is judged by the wall clock; one that was refused because it had expired is active too, and where none
    /// was seen nothing is said.
    #[test]
    fn the_time_left_of_a_certificate_is_told() {
        let good = Ok(Millis::from_millis(5));
        let told = |end, outcome| certificate(end, outcome).unwrap();
        let (seen, detail) = told(Some("2026-01-14T15:00:00Z"), good);
        assert_eq!(
            (seen, detail.as_str()),
            (Observation::Active, "12d 3h left (limit 14d)")
        );
        let (seen, detail) = told(Some("2026-01-16T12:00:00Z"), good);
        assert_eq!(
            (seen, detail.as_str()),
            (Observation::Clear, "14d left (limit 14d)")
        );
        let (seen, detail) = told(Some("2025-12-31T12:00:00Z"), good);
        assert_eq!((seen, detail.as_str()), (Observation::Active, "expired 2d ago"));
        let refused = |fault| Err(Failure::Unconnected(Closed::Tls(fault)));
        assert_eq!(told(None, refused(TlsFault::Expired)).0, Observation::Active);
        assert_eq!(certificate(None, refused(TlsFault::UnknownIssuer)), None);
        assert_eq!(certificate(None, good), None);
    }
}

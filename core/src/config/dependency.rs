//! Dependencies: `URL [key=value]…` as text and back (CONTRACTS 2).
//!
//! A dependency with any fault in it is not watched at all: half of what was asked for would be a false promise.
//! Must never show what its URL holds in secret. Limits: a body text of [`BODY_TEXT_BYTES_MAX`] bytes.
//! Tests: beside the code.

use core::fmt;

use heapless::{String, Vec};

use super::url::{self, UrlFault};
use super::value::{self, Bounds, Span, cut};
use super::{Dependency, Name, Scheme};
use crate::limits::BODY_TEXT_BYTES_MAX;
use crate::text::append;

/// Statuses that count as an answer if nothing else is asked for: success and redirection, as Kubernetes' probes take them.
const STATUS_USUAL: (u16, u16) = (200, 399);

/// From what on an answer is slow: other than most durations, a good part of a second is a sensible limit.
const LATENCY: Bounds = Bounds {
    first: crate::time::Millis::from_millis(1),
    last: Bounds::USUAL.last,
};

/// What can be said about a dependency behind its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Key {
    /// `status=200` or `status=200-399`.
    Status,
    /// `body=TEXT` or `body="TWO WORDS"`.
    Body,
    /// `latency=2s`
    Latency,
    /// `ticks=3`
    Ticks,
    /// `cert=14d`
    Cert,
}

impl Key {
    const ALL: [Self; 5] = [Self::Status, Self::Body, Self::Latency, Self::Ticks, Self::Cert];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Body => "body",
            Self::Latency => "latency",
            Self::Ticks => "ticks",
            Self::Cert => "cert",
        }
    }

    const fn expects(self) -> &'static str {
        match self {
            Self::Status => "a status or a range of them, 100 to 599",
            Self::Body => "a text of 1 to 128 bytes, in quotes if it holds spaces",
            Self::Latency => "a duration from 1ms to 365d",
            Self::Ticks => "a whole number from 1 to 1000",
            Self::Cert => "a duration from 1s to 365d",
        }
    }

    const fn goes_with(self, scheme: Scheme) -> bool {
        match self {
            Self::Status | Self::Body => matches!(scheme, Scheme::Http | Scheme::Https),
            Self::Cert => matches!(scheme, Scheme::Https),
            Self::Latency | Self::Ticks => true,
        }
    }
}

/// Why a text is no dependency. The operator's fault, each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DependencyFault<'a> {
    /// The URL is faulty.
    Url(UrlFault),
    /// A word behind the URL is no `key=value` of ours. The key, if it cannot be a piece of a secret.
    UnknownKey(Option<&'a str>),
    /// A key stands twice.
    Twice(Key),
    /// The key's value is not what it takes.
    Value(Key),
    /// The key does not go with the URL's scheme.
    WrongScheme(Key),
}

impl fmt::Display for DependencyFault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(fault) => write!(f, "{fault}"),
            Self::UnknownKey(Some(key)) => {
                write!(
                    f,
                    "unknown key {key}, expected status, body, latency, ticks or cert"
                )
            }
            Self::UnknownKey(None) => {
                f.write_str("expected key=value after the URL, of status, body, latency, ticks, cert")
            }
            Self::Twice(key) => write!(f, "{} is given twice", key.as_str()),
            Self::Value(key) => write!(f, "{} expects {}", key.as_str(), key.expects()),
            Self::WrongScheme(Key::Cert) => f.write_str("cert goes with https:// alone"),
            Self::WrongScheme(key) => write!(f, "{} goes with http:// and https:// alone", key.as_str()),
        }
    }
}

/// Reads a dependency; `ticks` is K where the text says nothing of it.
pub(super) fn parse<'a>(name: &Name, text: &'a str, ticks: u16) -> Result<Dependency, DependencyFault<'a>> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let Some((url_text, mut rest)) = text.split_at_checked(end) else {
        return Err(DependencyFault::Url(UrlFault::Character));
    };
    let url = url::parse_dependency(url_text).map_err(DependencyFault::Url)?;
    let mut dependency = Dependency {
        name: name.clone(),
        url,
        status: STATUS_USUAL,
        body: None,
        latency: None,
        ticks,
        cert: None,
    };
    let mut seen = [false; Key::ALL.len()];
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(dependency);
        }
        let (key, after) = next_key(rest, url::may_hold_secret(url_text))?;
        if let Some((_, seen)) = Key::ALL
            .iter()
            .zip(seen.iter_mut())
            .find(|(other, _)| **other == key)
        {
            if *seen {
                return Err(DependencyFault::Twice(key));
            }
            *seen = true;
        }
        if !key.goes_with(dependency.url.scheme) {
            return Err(DependencyFault::WrongScheme(key));
        }
        rest = read(key, after, &mut dependency).ok_or(DependencyFault::Value(key))?;
    }
}

/// Splits a key off. A word behind a URL with user info or a query may be the rest of a secret that holds a space, and is not named.
fn next_key(rest: &str, secret_before: bool) -> Result<(Key, &str), DependencyFault<'_>> {
    let end = rest
        .find(|c: char| c == '=' || c.is_whitespace())
        .unwrap_or(rest.len());
    let Some((word, after)) = rest.split_at_checked(end) else {
        return Err(DependencyFault::UnknownKey(None));
    };
    let key = Key::ALL.into_iter().find(|key| key.as_str() == word);
    match (key, after.strip_prefix('=')) {
        (Some(key), Some(value)) => Ok((key, value)),
        (Some(key), None) => Err(DependencyFault::Value(key)),
        (None, Some(_))
            if !secret_before && word.len() <= 16 && word.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            Err(DependencyFault::UnknownKey(Some(word)))
        }
        (None, _) => Err(DependencyFault::UnknownKey(None)),
    }
}

/// Reads the value of a key and tells what stands behind it.
fn read<'a>(key: Key, text: &'a str, dependency: &mut Dependency) -> Option<&'a str> {
    if key == Key::Body {
        let (body, rest) = body(text)?;
        dependency.body = Some(body);
        return Some(rest);
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    match key {
        Key::Status => dependency.status = status(word)?,
        Key::Latency => dependency.latency = Some(value::span(word, LATENCY)?),
        Key::Ticks => dependency.ticks = value::ticks(word)?,
        Key::Cert => dependency.cert = Some(value::span(word, Bounds::USUAL)?),
        Key::Body => {}
    }
    Some(rest)
}

fn status(word: &str) -> Option<(u16, u16)> {
    let one = |text: &str| {
        value::whole(text, 100, 599)
            .filter(|_| text.len() == 3)
            .and_then(|status| u16::try_from(status).ok())
    };
    let (first, last) = cut(word, '-').unwrap_or((word, word));
    let (first, last) = (one(first)?, one(last)?);
    (first <= last).then_some((first, last))
}

/// Reads a text up to the next white space, or in quotes, in which `\"` and `\\` stand for `"` and `\`.
fn body(text: &str) -> Option<(String<BODY_TEXT_BYTES_MAX>, &str)> {
    let mut body = Vec::new();
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        let body = String::try_from(word).ok()?;
        return (!body.is_empty()).then_some((body, rest));
    };
    let mut characters = quoted.chars();
    loop {
        let character = match characters.next()? {
            '"' => break,
            '\\' if characters.as_str().starts_with(['"', '\\']) => characters.next()?,
            other => other,
        };
        append(&mut body, character.encode_utf8(&mut [0; 4]))?;
    }
    let rest = characters.as_str();
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
    let body = String::from_utf8(body).ok()?;
    (ends && !body.is_empty()).then_some((body, rest))
}

/// As it would be written, with all that serves said; what is secret in the URL as `***`.
impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)?;
        if Key::Status.goes_with(self.url.scheme) {
            let (first, last) = self.status;
            write!(f, " status={first}")?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        if let Some(body) = &self.body {
            f.write_str(" body=\"")?;
            for character in body.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{}", crate::text::shown(character))?;
            }
            f.write_str("\"")?;
        }
        if let Some(latency) = self.latency {
            write!(f, " latency={}", Span(latency))?;
        }
        write!(f, " ticks={}", self.ticks)?;
        if let Some(cert) = self.cert {
            write!(f, " cert={}", Span(cert))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::time::Millis;
    use std::format;
    use std::string::ToString as _;

    fn read_one(text: &str) -> Result<Dependency, DependencyFault<'_>> {
        parse(&Name::try_from("gitea").unwrap(), text, 3)
    }

    #[test]
    fn a_dependency_is_read_and_shown_in_full() {
        // What is shown must name everything that serves, and read back to the same.
        for (text, shown) in [
            ("http://h", "http://h status=200-399 ticks=3"),
            (
                "https://h/x status=204 ticks=1 cert=14d",
                "https://h/x status=204 ticks=1 cert=14d",
            ),
            (
                "https://h \t cert=1209600  latency=2500ms ",
                "https://h status=200-399 latency=2500ms ticks=3 cert=14d",
            ),
            ("http://h body=OK", "http://h status=200-399 body=\"OK\" ticks=3"),
            (
                "http://h body=\"TWO WORDS\" latency=2s",
                "http://h status=200-399 body=\"TWO WORDS\" latency=2s ticks=3",
            ),
            (
                "http://h body=\"a\\\"b\\\\c\\d\"",
                "http://h status=200-399 body=\"a\\\"b\\\\c\\\\d\" ticks=3",
            ),
            (
                "http://h body={\"ok\":true}",
                "http://h status=200-399 body=\"{\\\"ok\\\":true}\" ticks=3",
            ),
            ("tcp://h:5432 latency=500ms", "tcp://h:5432 latency=500ms ticks=3"),
            ("unix:///run/x.sock ticks=1000", "unix:///run/x.sock ticks=1000"),
        ] {
            let dependency = read_one(text).unwrap();
            assert_eq!(dependency.to_string(), shown, "{text}");
            assert_eq!(read_one(shown).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn each_key_lands_in_its_field() {
        let dependency =
            read_one("https://h/p status=200-299 body=\"x y\" latency=2s ticks=5 cert=14d").unwrap();
        assert_eq!(dependency.name, "gitea");
        assert_eq!(dependency.status, (200, 299));
        assert_eq!(dependency.body.as_deref(), Some("x y"));
        assert_eq!(dependency.latency, Some(Millis::from_secs(2)));
        assert_eq!(dependency.ticks, 5);
        assert_eq!(dependency.cert, Some(Millis::from_secs(14 * 86_400)));
    }

    #[test]
    fn a_fault_names_the_key() {
        let long = format!("http://h body={}", "b".repeat(129));
        for (text, fault) in [
            ("http://h:x status=200", DependencyFault::Url(UrlFault::Port)),
            ("socks5://h:1", DependencyFault::Url(UrlFault::Scheme)),
            ("http://h foo=1", DependencyFault::UnknownKey(Some("foo"))),
            ("http://h Status=200", DependencyFault::UnknownKey(Some("Status"))),
            ("http://h =200", DependencyFault::UnknownKey(Some(""))),
            ("http://h banana", DependencyFault::UnknownKey(None)),
            ("http://u:p@h foo=1", DependencyFault::UnknownKey(None)),
            ("http://h?q foo=1", DependencyFault::UnknownKey(None)),
            ("http://h status", DependencyFault::Value(Key::Status)),
            ("http://h status=", DependencyFault::Value(Key::Status)),
            ("http://h status=99", DependencyFault::Value(Key::Status)),
            ("http://h status=600", DependencyFault::Value(Key::Status)),
            ("http://h status=0200", DependencyFault::Value(Key::Status)),
            ("http://h status=300-200", DependencyFault::Value(Key::Status)),
            ("http://h status=200-", DependencyFault::Value(Key::Status)),
            ("http://h status=2xx", DependencyFault::Value(Key::Status)),
            (
                "http://h status=200 status=201",
                DependencyFault::Twice(Key::Status),
            ),
            ("http://h body=", DependencyFault::Value(Key::Body)),
            ("http://h body=\"\"", DependencyFault::Value(Key::Body)),
            ("http://h body=\"open", DependencyFault::Value(Key::Body)),
            ("http://h body=\"a\"b", DependencyFault::Value(Key::Body)),
            (&long, DependencyFault::Value(Key::Body)),
            ("http://h latency=0", DependencyFault::Value(Key::Latency)),
            ("http://h latency=off", DependencyFault::Value(Key::Latency)),
            ("http://h ticks=0", DependencyFault::Value(Key::Ticks)),
            ("https://h cert=366d", DependencyFault::Value(Key::Cert)),
            ("http://h cert=14d", DependencyFault::WrongScheme(Key::Cert)),
            ("tcp://h:1 status=200", DependencyFault::WrongScheme(Key::Status)),
            ("unix:///x body=a", DependencyFault::WrongScheme(Key::Body)),
        ] {
            assert_eq!(read_one(text).map(|_| ()), Err(fault), "{text}");
            assert!(!fault.to_string().is_empty());
        }
        assert!(
            DependencyFault::Value(Key::Latency)
                .to_string()
                .contains("latency")
        );
    }
}

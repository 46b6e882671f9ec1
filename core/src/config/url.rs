//! URLs of the configuration: read once and checked, then shown without what is secret in them.
//!
//! Must never show user info or a query. Percent-encodes nothing: a path goes into the request line as it was given, so what
//! may not stand there is refused. Limits: the lengths of [`crate::limits`], and a unix path that the kernel takes.
//! Follows RFC 3986 as far as `http`, `https`, `tcp`, `socks5` and `unix` need it.
//! Tests: beside the code.

use core::fmt;
use core::net::IpAddr;

use heapless::String;

use super::value::{cut, whole};
use super::{Scheme, Secret, Url};
use crate::limits::{HOST_BYTES_MAX, PATH_BYTES_MAX, USER_INFO_BYTES_MAX};
use crate::text::append;
use crate::wire::dns::address::parse as parse_ip;

/// Bytes of a unix socket's path: `sun_path` of `unix(7)` has 108, the last one for the zero.
pub(super) const UNIX_PATH_BYTES_MAX: usize = 107;
/// Bytes of one label of a host name (RFC 1035, 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Why a text is no URL that we take. The operator's fault, each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UrlFault {
    /// There is no `://`, or a scheme that this variable does not take.
    Scheme,
    /// White space, a control character, or a byte outside ASCII stands in it.
    Character,
    /// There is no host.
    HostMissing,
    /// The host is neither a name nor an address.
    Host,
    /// The port is not a number from 1 to 65535, or missing where the scheme has none of its own.
    Port,
    /// User info that cannot be sent: a bad `%` escape, a control character, or a `:` in the user's name.
    UserInfo,
    /// User info where none is sent.
    UserInfoUnwanted,
    /// A path or a query where none is sent.
    PathUnwanted,
    /// A query on a base URL, to which a path is added.
    QueryUnwanted,
    /// The path of a `unix://` URL is not absolute, or only `/`.
    UnixPath,
    /// A part is longer than so many bytes.
    TooLong(usize),
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "scheme not supported here",
            Self::Character => "white space, control and non-ASCII characters must be percent-encoded",
            Self::HostMissing => "no host",
            Self::Host => "host is neither a name nor an address",
            Self::Port => "expected a port from 1 to 65535",
            Self::UserInfo => {
                "user info is not sendable (bad percent-encoding, control character or colon in it)"
            }
            Self::UserInfoUnwanted => "no user info is sent here",
            Self::PathUnwanted => "expected no path and no query after the port",
            Self::QueryUnwanted => "expected no query in a base URL",
            Self::UnixPath => "expected an absolute path to a socket, unix:///path",
            Self::TooLong(max) => return write!(f, "a part of the URL is over {max} bytes"),
        })
    }
}

/// Reads a URL of any scheme that we know.
pub(crate) fn parse(text: &str) -> Result<Url, UrlFault> {
    let (scheme, rest) = split_scheme(text).ok_or(UrlFault::Scheme)?;
    let scheme = scheme_of(scheme).ok_or(UrlFault::Scheme)?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlFault::Character);
    }
    match scheme {
        Scheme::Unix => unix(rest),
        Scheme::Http | Scheme::Https | Scheme::Tcp | Scheme::Socks5 => network(scheme, rest),
    }
}

/// Reads the URL of something that is asked: `http` or `https`, with any path and query.
pub(super) fn parse_web(text: &str) -> Result<Url, UrlFault> {
    let url = parse(text)?;
    match url.scheme {
        Scheme::Http | Scheme::Https => Ok(url),
        Scheme::Tcp | Scheme::Unix | Scheme::Socks5 => Err(UrlFault::Scheme),
    }
}

/// Reads the URL of something below which paths are asked: `http` or `https`, without a query.
pub(super) fn parse_base(text: &str) -> Result<Url, UrlFault> {
    let url = parse_web(text)?;
    if url.path.reveal().contains('?') {
        return Err(UrlFault::QueryUnwanted);
    }
    Ok(url)
}

/// Reads the URL of a proxy: `http` (CONNECT) or `socks5`, without a path.
pub(super) fn parse_proxy(text: &str) -> Result<Url, UrlFault> {
    let url = parse(text)?;
    match url.scheme {
        Scheme::Http | Scheme::Socks5 if url.path.reveal() == "/" => Ok(url),
        Scheme::Http | Scheme::Socks5 => Err(UrlFault::PathUnwanted),
        Scheme::Https | Scheme::Tcp | Scheme::Unix => Err(UrlFault::Scheme),
    }
}

/// Reads the URL of something that is watched: all but proxies.
pub(super) fn parse_dependency(text: &str) -> Result<Url, UrlFault> {
    let url = parse(text)?;
    match url.scheme {
        Scheme::Socks5 => Err(UrlFault::Scheme),
        Scheme::Http | Scheme::Https | Scheme::Tcp | Scheme::Unix => Ok(url),
    }
}

/// Tells whether anything in a URL's text could be user info or a query: then the text, if faulty, is not shown. All that is surely
/// neither is `scheme://host[:port][/path]`.
pub(super) fn may_hold_secret(text: &str) -> bool {
    let after = split_scheme(text).map_or(text, |(_, rest)| rest);
    let end = after
        .find(|c: char| c == '/' || c.is_whitespace())
        .unwrap_or(after.len());
    let Some((authority, tail)) = after.split_at_checked(end) else {
        return true;
    };
    let has_odd_port =
        cut(authority, ':').is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()));
    has_odd_port || authority.contains(['@', '?']) || tail.contains(['@', '?', ':'])
}

fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = cut(text, ':')?;
    Some((scheme, rest.strip_prefix("//")?))
}

/// Splits at the last one of a character; `str`'s own way there can not be shown to be free of panics.
fn split_last(text: &str, at: char) -> Option<(&str, &str)> {
    let mut last = None;
    let mut rest = text;
    while let Some((_, after)) = cut(rest, at) {
        rest = after;
        last = Some(after);
    }
    let after = last?;
    let before = text.strip_suffix(after)?.strip_suffix(at)?;
    Some((before, after))
}

const fn default_port(scheme: Scheme) -> Option<u16> {
    match scheme {
        Scheme::Http => Some(80),
        Scheme::Https => Some(443),
        Scheme::Socks5 => Some(1080),
        Scheme::Tcp | Scheme::Unix => None,
    }
}

const fn scheme_text(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::Tcp => "tcp",
        Scheme::Unix => "unix",
        Scheme::Socks5 => "socks5",
    }
}

fn scheme_of(text: &str) -> Option<Scheme> {
    [
        Scheme::Http,
        Scheme::Https,
        Scheme::Tcp,
        Scheme::Unix,
        Scheme::Socks5,
    ]
    .into_iter()
    .find(|scheme| text.eq_ignore_ascii_case(scheme_text(*scheme)))
}

fn unix(path: &str) -> Result<Url, UrlFault> {
    if !path.starts_with('/') || path.len() < 2 {
        return Err(UrlFault::UnixPath);
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(UrlFault::TooLong(UNIX_PATH_BYTES_MAX));
    }
    Ok(Url {
        scheme: Scheme::Unix,
        host: String::new(),
        port: 0,
        path: Secret::new(path).ok_or(UrlFault::TooLong(UNIX_PATH_BYTES_MAX))?,
        user_info: Secret::EMPTY,
    })
}

fn network(scheme: Scheme, rest: &str) -> Result<Url, UrlFault> {
    // A fragment is for the one who reads the answer, and is never sent (RFC 9110, 4.2.5).
    let rest = cut(rest, '#').map_or(rest, |(before, _)| before);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end).ok_or(UrlFault::Character)?;
    let (user, server) = match split_last(authority, '@') {
        Some((user, server)) => (user, server),
        None => ("", authority),
    };
    let (host, port) = split_port(server)?;
    let port = match port {
        Some(port) => whole(port, 1, 65_535).and_then(|port| u16::try_from(port).ok()),
        None => default_port(scheme),
    };
    let url = Url {
        scheme,
        host: host_of(host)?,
        port: port.ok_or(UrlFault::Port)?,
        path: target(tail)?,
        user_info: user_info(user)?,
    };
    match scheme {
        Scheme::Tcp if url.user_info().is_some() => Err(UrlFault::UserInfoUnwanted),
        Scheme::Tcp | Scheme::Socks5 if !tail.is_empty() && tail != "/" => Err(UrlFault::PathUnwanted),
        Scheme::Http | Scheme::Https | Scheme::Tcp | Scheme::Unix | Scheme::Socks5 => Ok(url),
    }
}

/// Splits `host:port`; an IPv6 address keeps its brackets.
fn split_port(server: &str) -> Result<(&str, Option<&str>), UrlFault> {
    if server.starts_with('[') {
        let (_, after) = cut(server, ']').ok_or(UrlFault::Host)?;
        let host = server.strip_suffix(after).ok_or(UrlFault::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(UrlFault::Port),
        };
    }
    Ok(match cut(server, ':') {
        Some((host, port)) => (host, Some(port)),
        None => (server, None),
    })
}

/// Checks a host and tells it in lower case, an IPv6 address without its brackets.
fn host_of(host: &str) -> Result<String<HOST_BYTES_MAX>, UrlFault> {
    if host.is_empty() {
        return Err(UrlFault::HostMissing);
    }
    let bare = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => {
            parse_ip(address).filter(IpAddr::is_ipv6).ok_or(UrlFault::Host)?;
            address
        }
        None => {
            is_name_or_v4(host).then_some(()).ok_or(UrlFault::Host)?;
            host
        }
    };
    let mut kept = String::try_from(bare).map_err(|_| UrlFault::TooLong(HOST_BYTES_MAX))?;
    kept.make_ascii_lowercase();
    Ok(kept)
}

/// A name of letters, digits, `-` and `_` with dots between; one whose last label is a number must be an IPv4 address, or
/// every resolver would make its own of it.
fn is_name_or_v4(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = split_last(name, '.').map_or(name, |(_, last)| last);
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return parse_ip(host).is_some();
    }
    name.split(['.']).all(is_label)
}

fn target(tail: &str) -> Result<Secret<PATH_BYTES_MAX>, UrlFault> {
    let mut path = heapless::Vec::new();
    let first = if tail.starts_with('/') { "" } else { "/" };
    append(&mut path, first)
        .and_then(|()| append(&mut path, tail))
        .and_then(|()| String::from_utf8(path).ok())
        .map(Secret)
        .ok_or(UrlFault::TooLong(PATH_BYTES_MAX))
}

/// Decodes `user:password` for Basic authentication (RFC 7617): no control characters, and no `:` in the user's
/// name, which only its encoding could bring in. A user alone has an empty password.
fn user_info(text: &str) -> Result<Secret<USER_INFO_BYTES_MAX>, UrlFault> {
    if text.is_empty() {
        return Ok(Secret::EMPTY);
    }
    let (user, password) = cut(text, ':').unwrap_or((text, ""));
    let mut bytes = heapless::Vec::<u8, USER_INFO_BYTES_MAX>::new();
    percent_decode(user, &mut bytes)?;
    if bytes.contains(&b':') {
        return Err(UrlFault::UserInfo);
    }
    bytes
        .push(b':')
        .map_err(|_| UrlFault::TooLong(USER_INFO_BYTES_MAX))?;
    percent_decode(password, &mut bytes)?;
    let decoded = core::str::from_utf8(&bytes).map_err(|_| UrlFault::UserInfo)?;
    if decoded.chars().any(char::is_control) {
        return Err(UrlFault::UserInfo);
    }
    Secret::new(decoded).ok_or(UrlFault::TooLong(USER_INFO_BYTES_MAX))
}

fn percent_decode<const N: usize>(text: &str, out: &mut heapless::Vec<u8, N>) -> Result<(), UrlFault> {
    let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = if byte == b'%' {
            let high = hex(rest.next()).ok_or(UrlFault::UserInfo)?;
            let low = hex(rest.next()).ok_or(UrlFault::UserInfo)?;
            u8::try_from(high.saturating_mul(16).saturating_add(low)).map_err(|_| UrlFault::UserInfo)?
        } else {
            byte
        };
        out.push(decoded).map_err(|_| UrlFault::TooLong(N))?;
    }
    Ok(())
}

/// A URL in canonical form, user info and query as `***`; a port that is the scheme's own and a path that is only `/` are left out.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", scheme_text(self.scheme))?;
        if self.user_info().is_some() {
            f.write_str("***@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if self.scheme != Scheme::Unix && default_port(self.scheme) != Some(self.port) {
            write!(f, ":{}", self.port)?;
        }
        let target = self.path.reveal();
        if self.scheme == Scheme::Unix {
            return f.write_str(target);
        }
        match cut(target, '?') {
            Some((path, _)) => write!(f, "{path}?***"),
            None if target == "/" => Ok(()),
            None => f.write_str(target),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::string::ToString as _;

    #[test]
    fn a_url_is_taken_apart_and_shown_again() {
        // Text, then scheme, host, port and target, then what people see.
        for (text, parts, shown) in [
            (
                "http://127.0.0.1:8500/metrics",
                "Http 127.0.0.1 8500 /metrics",
                "http://127.0.0.1:8500/metrics",
            ),
            (
                "https://api.telegram.org",
                "Https api.telegram.org 443 /",
                "https://api.telegram.org",
            ),
            (
                "HTTP://Gitea.Example:80/a/B",
                "Http gitea.example 80 /a/B",
                "http://gitea.example/a/B",
            ),
            ("http://h?x=1", "Http h 80 /?x=1", "http://h/?***"),
            ("http://h/p?x=1#frag/ment", "Http h 80 /p?x=1", "http://h/p?***"),
            (
                "http://h/p?mail=a@b:c",
                "Http h 80 /p?mail=a@b:c",
                "http://h/p?***",
            ),
            ("http://[::1]:9000/", "Http ::1 9000 /", "http://[::1]:9000"),
            (
                "https://[2001:DB8::1]/x",
                "Https 2001:db8::1 443 /x",
                "https://[2001:db8::1]/x",
            ),
            ("tcp://db_1:5432", "Tcp db_1 5432 /", "tcp://db_1:5432"),
            ("socks5://p", "Socks5 p 1080 /", "socks5://p"),
            (
                "unix:///run/a?b.sock",
                "Unix  0 /run/a?b.sock",
                "unix:///run/a?b.sock",
            ),
            ("http://name.:1", "Http name. 1 /", "http://name.:1"),
        ] {
            let url = parse(text).unwrap();
            let read = format!("{:?} {} {} {}", url.scheme, url.host, url.port, url.path.reveal());
            assert_eq!(read, parts, "{text}");
            assert_eq!(url.to_string(), shown, "{text}");
            assert!(url.user_info().is_none(), "{text}");
        }
    }

    #[test]
    fn user_info_is_decoded_and_never_shown() {
        for (text, decoded) in [
            ("http://u:p@h/", "u:p"),
            ("http://u@h/", "u:"),
            ("http://u:p%40ss%3aword@h/", "u:p@ss:word"),
            ("http://u:a@b@h/", "u:a@b"),
            ("http://:p@h/", ":p"),
            ("http://%C3%A9:p@h/", "é:p"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.user_info(), Some(decoded), "{text}");
            assert_eq!(url.to_string(), "http://***@h");
            assert!(!format!("{url:?}").contains(decoded), "{url:?}");
        }
        assert!(parse("http://@h/").unwrap().user_info().is_none());
        for text in [
            "http://u%3a:p@h",
            "http://u:%zz@h",
            "http://u:%4@h",
            "http://u:%0a@h",
            "http://u:%ff@h",
            "http://u:%@h",
        ] {
            assert_eq!(parse(text).unwrap_err(), UrlFault::UserInfo, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_reason() {
        let long_host = format!("http://{}/", "a.".repeat(130));
        let long_path = format!("http://h/{}", "p".repeat(512));
        let long_user = format!("http://{}@h/", "u".repeat(192));
        let long_unix = format!("unix:///{}", "s".repeat(107));
        for (text, fault) in [
            ("", UrlFault::Scheme),
            ("h", UrlFault::Scheme),
            ("h:80", UrlFault::Scheme),
            ("http:/h", UrlFault::Scheme),
            ("ftp://h", UrlFault::Scheme),
            ("://h", UrlFault::Scheme),
            ("http://", UrlFault::HostMissing),
            ("http:///p", UrlFault::HostMissing),
            ("http://:80", UrlFault::HostMissing),
            ("http://u:p@", UrlFault::HostMissing),
            ("http://a b", UrlFault::Character),
            ("http://h/a b", UrlFault::Character),
            ("http://h/a\nb", UrlFault::Character),
            ("http://h/\u{7f}", UrlFault::Character),
            ("http://hé", UrlFault::Character),
            ("http://h!", UrlFault::Host),
            ("http://a..b", UrlFault::Host),
            ("http://.", UrlFault::Host),
            ("http://.a", UrlFault::Host),
            ("http://1.2.3", UrlFault::Host),
            ("http://1.2.3.256", UrlFault::Host),
            ("http://127.1", UrlFault::Host),
            ("http://h.0", UrlFault::Host),
            ("http://[::1", UrlFault::Host),
            ("http://[::1%25eth0]", UrlFault::Host),
            ("http://[h]", UrlFault::Host),
            ("http://::1/", UrlFault::HostMissing),
            ("http://[::1]9", UrlFault::Port),
            ("http://h:", UrlFault::Port),
            ("http://h:0", UrlFault::Port),
            ("http://h:65536", UrlFault::Port),
            ("http://h:+80", UrlFault::Port),
            ("http://h:80:81", UrlFault::Port),
            ("http://h:pass/x", UrlFault::Port),
            ("tcp://h", UrlFault::Port),
            ("tcp://h:1/x", UrlFault::PathUnwanted),
            ("tcp://h:1?x", UrlFault::PathUnwanted),
            ("tcp://u:p@h:1", UrlFault::UserInfoUnwanted),
            ("socks5://h:1/x", UrlFault::PathUnwanted),
            ("unix://", UrlFault::UnixPath),
            ("unix:///", UrlFault::UnixPath),
            ("unix://run/x", UrlFault::UnixPath),
            (&long_host, UrlFault::TooLong(253)),
            (&long_path, UrlFault::TooLong(512)),
            (&long_user, UrlFault::TooLong(192)),
            (&long_unix, UrlFault::TooLong(107)),
        ] {
            assert_eq!(parse(text).map(|_| ()), Err(fault), "{text}");
            assert!(!fault.to_string().is_empty());
        }
    }

    #[test]
    fn each_use_takes_its_own_schemes_and_parts() {
        assert!(parse_web("https://h/p?q").is_ok());
        assert_eq!(parse_web("tcp://h:1").unwrap_err(), UrlFault::Scheme);
        assert!(parse_base("https://h/base").is_ok());
        assert_eq!(
            parse_base("https://h/base?q").unwrap_err(),
            UrlFault::QueryUnwanted
        );
        assert!(parse_proxy("http://u:p@h:3128").is_ok() && parse_proxy("socks5://h:1080").is_ok());
        assert_eq!(
            parse_proxy("http://h:3128/x").unwrap_err(),
            UrlFault::PathUnwanted
        );
        assert_eq!(
            parse_proxy("http://h:3128?x").unwrap_err(),
            UrlFault::PathUnwanted
        );
        assert_eq!(parse_proxy("https://h:3128").unwrap_err(), UrlFault::Scheme);
        assert_eq!(parse_dependency("socks5://h").unwrap_err(), UrlFault::Scheme);
    }

    #[test]
    fn a_faulty_text_that_may_hold_a_secret_is_recognised() {
        // Whatever a mistyped URL could carry in its user info or query must not be taken for harmless.
        for text in [
            "http://u:SECRET@h",
            "http//u:SECRET@h",
            "u:SECRET@h",
            "http://u:SECRET/h",
            "http://u:SECRET h",
            "http://h/p?token=SECRET",
            "?SECRET",
            "http://a:1,http://u:SECRET/x",
            "http://u@SECRET",
            "http://h/ x=a@SECRET",
        ] {
            assert!(may_hold_secret(text), "{text}");
        }
        for text in [
            "http://h:80/p",
            "ftp://h/x",
            "banana",
            "http://h/x latency=foo",
            "tcp://h:99999",
        ] {
            assert!(!may_hold_secret(text), "{text}");
        }
    }
}

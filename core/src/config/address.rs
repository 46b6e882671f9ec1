//! Socket addresses of the configuration: where to listen, whom to ask for names, where the engine is.
//!
//! Tests: beside the code.

use core::net::{IpAddr, SocketAddr};

use heapless::String;

use super::url::{self, UrlFault};
use super::value::{cut, whole};
use super::{Endpoint, EngineAddress, Scheme};
use crate::wire::dns::address::parse as parse_ip;

/// The port of DNS (RFC 1035, 4.2).
const DNS_PORT: u16 = 53;

/// Reads `ip:port`.
pub(super) fn listen(text: &str) -> Option<Endpoint> {
    let (address, port) = split(text)?;
    Some(SocketAddr::new(address, port?).into())
}

/// Reads `ip[:port]`, the port of DNS where none is given.
pub(super) fn nameserver(text: &str) -> Option<Endpoint> {
    let (address, port) = split(text)?;
    Some(SocketAddr::new(address, port.unwrap_or(DNS_PORT)).into())
}

/// Reads `unix:///path` or `tcp://host:port`.
pub(super) fn engine(text: &str) -> Result<EngineAddress, UrlFault> {
    let url = url::parse(text)?;
    match url.scheme {
        Scheme::Unix => String::try_from(url.path.reveal())
            .map(EngineAddress::Unix)
            .map_err(|_| UrlFault::TooLong(url::UNIX_PATH_BYTES_MAX)),
        Scheme::Tcp => Ok(EngineAddress::Tcp(url.host, url.port)),
        Scheme::Http | Scheme::Https | Scheme::Socks5 => Err(UrlFault::Scheme),
    }
}

fn split(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let port = |text: &str| whole(text, 1, 65_535).and_then(|port| u16::try_from(port).ok());
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, after) = cut(bracketed, ']')?;
        let address = parse_ip(address).filter(IpAddr::is_ipv6)?;
        return match after.strip_prefix(':') {
            Some(digits) => Some((address, Some(port(digits)?))),
            None => after.is_empty().then_some((address, None)),
        };
    }
    // An IPv6 address without brackets has no port: where would it begin?
    if let Some(address) = parse_ip(text) {
        return Some((address, None));
    }
    let (address, port) = match cut(text, ':') {
        Some((address, digits)) => (address, Some(port(digits)?)),
        None => (text, None),
    };
    Some((parse_ip(address)?, port))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (text, listens, asks) in [
            ("127.0.0.1:9108", Some("127.0.0.1:9108"), Some("127.0.0.1:9108")),
            ("[::1]:9108", Some("[::1]:9108"), Some("[::1]:9108")),
            ("9.9.9.9", None, Some("9.9.9.9:53")),
            ("::1", None, Some("[::1]:53")),
            ("[2001:db8::1]", None, Some("[2001:db8::1]:53")),
            (":9108", None, None),
            ("9108", None, None),
            ("localhost:9108", None, None),
            ("127.0.0.1:0", None, None),
            ("127.0.0.1:65536", None, None),
            ("127.0.0.1:", None, None),
            ("127.0.0.1:1:2", None, None),
            ("127.0.0.1 ", None, None),
            ("127.0.0.01", None, None),
            ("[::1", None, None),
            ("[::1]9", None, None),
            ("[127.0.0.1]:1", None, None),
            ("", None, None),
        ] {
            assert_eq!(listen(text).map(|a| a.to_string()).as_deref(), listens, "{text}");
            assert_eq!(nameserver(text).map(|a| a.to_string()).as_deref(), asks, "{text}");
        }
    }

    #[test]
    fn the_engine_is_at_a_socket_or_a_port() {
        assert!(
            matches!(engine("unix:///var/run/docker.sock"), Ok(EngineAddress::Unix(path)) if path == "/var/run/docker.sock")
        );
        assert!(matches!(engine("tcp://proxy:2375"), Ok(EngineAddress::Tcp(host, 2375)) if host == "proxy"));
        for (text, fault) in [
            ("http://proxy:2375", UrlFault::Scheme),
            ("npipe://x", UrlFault::Scheme),
            ("/var/run/docker.sock", UrlFault::Scheme),
            ("tcp://proxy", UrlFault::Port),
            ("tcp://proxy:2375/v1.41", UrlFault::PathUnwanted),
            ("unix://docker.sock", UrlFault::UnixPath),
        ] {
            assert_eq!(engine(text).map(|_| ()), Err(fault), "{text}");
        }
    }
}

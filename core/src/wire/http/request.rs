//! Requests as text: [`Get`], and the parts of a request that do not tell its method.
//!
//! Never: write a character that could end a line of the head early. What a path or a host must not hold makes the
//! writing fail, so a container's name or a configured path can not smuggle a second request in.

use core::fmt::{self, Write};

use crate::config::{Scheme, Url};

/// Whom a request is for, as its `Host` field says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: &'a str,
    /// The port, unless it is the scheme's own.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Takes the authority of a configured URL.
    #[must_use]
    pub fn of(url: &'a Url) -> Self {
        let own = match url.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Tcp | Scheme::Unix | Scheme::Socks5 => 0,
        };
        Self {
            host: url.host.as_str(),
            port: (url.port != own).then_some(url.port),
        }
    }
}

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.bytes().any(|byte| byte == b':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// A GET. There is no field that could make it anything else.
#[derive(Clone, Copy)]
pub struct Get<'a> {
    /// Whom it is for.
    pub authority: Authority<'a>,
    /// Path with query, beginning with `/`.
    pub path: fmt::Arguments<'a>,
    /// `user:password`, to be sent as Basic authentication.
    pub user_info: Option<&'a str>,
}

impl Get<'_> {
    /// Writes the request.
    ///
    /// # Errors
    /// It does not fit into `out`, or path or host hold a character that can not stand in a request. What was written
    /// by then must not be sent.
    pub fn emit(&self, out: &mut impl Write) -> fmt::Result {
        out.write_str("GET ")?;
        emit_target(out, self.path)?;
        emit_fields(out, self.authority, self.user_info)?;
        out.write_str("\r\n")
    }
}

/// Writes what stands behind the method: the path and the version.
///
/// # Errors
/// See [`Get::emit`].
pub fn emit_target(out: &mut impl Write, path: fmt::Arguments<'_>) -> fmt::Result {
    let mut checked = Visible {
        out,
        first: Some('/'),
    };
    checked.write_fmt(path)?;
    // A path of no characters at all has not shown its first one.
    if checked.first.is_some() {
        return Err(fmt::Error);
    }
    out.write_str(" HTTP/1.1\r\n")
}

/// Writes the fields that every request has, without the empty line that ends the head.
///
/// # Errors
/// See [`Get::emit`].
pub fn emit_fields(out: &mut impl Write, authority: Authority<'_>, user_info: Option<&str>) -> fmt::Result {
    out.write_str("Host: ")?;
    write!(Visible { out, first: None }, "{authority}")?;
    out.write_str(concat!(
        "\r\nUser-Agent: watchdog/",
        env!("CARGO_PKG_VERSION"),
        "\r\nAccept: */*\r\nConnection: close\r\n"
    ))?;
    if let Some(user_info) = user_info {
        emit_authorization(out, user_info)?;
    }
    Ok(())
}

/// Writes the field that holds user and password.
///
/// # Errors
/// It does not fit.
pub fn emit_authorization(out: &mut impl Write, user_info: &str) -> fmt::Result {
    out.write_str("Authorization: Basic ")?;
    emit_base64(out, user_info.as_bytes())?;
    out.write_str("\r\n")
}

/// Lets visible ASCII through and fails at all else.
struct Visible<'a, W: Write> {
    out: &'a mut W,
    /// The character that the text must begin with, until it has.
    first: Option<char>,
}

impl<W: Write> Write for Visible<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            return Ok(());
        }
        let begins_right = self.first.take().is_none_or(|first| text.starts_with(first));
        if !begins_right || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(fmt::Error);
        }
        self.out.write_str(text)
    }
}

/// Writes bytes as base64 with padding (RFC 4648, 4).
fn emit_base64(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    for group in bytes.chunks(3) {
        let bits = match *group {
            [first] => u32::from_be_bytes([0, first, 0, 0]),
            [first, second] => u32::from_be_bytes([0, first, second, 0]),
            [first, second, third] => u32::from_be_bytes([0, first, second, third]),
            _ => 0,
        };
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = if place <= group.len() {
                base64_digit(bits >> shift)
            } else {
                '='
            };
            out.write_char(digit)?;
        }
    }
    Ok(())
}

/// Tells the digit of the lowest six bits.
fn base64_digit(bits: u32) -> char {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let place = usize::try_from(bits & 0x3f).unwrap_or(0);
    DIGITS.get(place).copied().map_or('=', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapless::String;

    fn get(host: &str, port: Option<u16>, path: &str, user_info: Option<&str>) -> Option<String<512>> {
        let mut out = String::new();
        let authority = Authority { host, port };
        Get {
            authority,
            path: format_args!("{path}"),
            user_info,
        }
        .emit(&mut out)
        .ok()
        .map(|()| out)
    }

    /// The whole request stands as a server must see it, to the byte.
    #[test]
    fn a_get_to_the_byte() {
        let expected = concat!(
            "GET /metrics?a=b HTTP/1.1\r\nHost: orch.lan:8500\r\nUser-Agent: watchdog/",
            env!("CARGO_PKG_VERSION"),
            "\r\nAccept: */*\r\nConnection: close\r\nAuthorization: Basic dTpw\r\n\r\n"
        );
        let got = get("orch.lan", Some(8500), "/metrics?a=b", Some("u:p")).unwrap();
        assert_eq!(got.as_str(), expected);
    }

    /// An IPv6 host stands in brackets, and the scheme's own port is left out.
    #[test]
    fn the_host_field() {
        assert!(
            get("::1", Some(81), "/", None)
                .unwrap()
                .contains("\r\nHost: [::1]:81\r\n")
        );
        assert!(
            get("::1", None, "/", None)
                .unwrap()
                .contains("\r\nHost: [::1]\r\n")
        );
        assert!(get("a.b", None, "/", None).unwrap().contains("\r\nHost: a.b\r\n"));
    }

    /// Nothing that comes through a path or host can begin a new line or end the request line: it is not written.
    #[test]
    fn no_character_smuggles() {
        for path in [
            "",
            "x",
            "/a b",
            "/a\r\nX: y",
            "/\n",
            "/\u{e9}",
            "/\u{0}",
            "/\u{7f}",
            " /",
        ] {
            assert!(get("a", None, path, None).is_none(), "{path:?}");
        }
        for host in ["a\r\nX: y", "a b", "\u{e9}"] {
            assert!(get(host, None, "/", None).is_none(), "{host:?}");
        }
    }

    /// A request that does not fit is not taken for a written one.
    #[test]
    fn what_does_not_fit_fails() {
        let mut small = String::<20>::new();
        let request = Get {
            authority: Authority {
                host: "a",
                port: None,
            },
            path: format_args!("/"),
            user_info: None,
        };
        assert!(request.emit(&mut small).is_err());
    }

    /// The vectors of RFC 4648, 10.
    #[test]
    fn base64_vectors() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{3ff}\u{fff}", "z7/gv78="),
        ] {
            let mut out = String::<32>::new();
            emit_base64(&mut out, plain.as_bytes()).unwrap();
            assert_eq!(out.as_str(), coded);
        }
    }
}

//! The way through a proxy: HTTP's CONNECT (RFC 9110, 9.3.6), and SOCKS5 (RFC 1928) with user and password (RFC 1929).
//!
//! [`Tunnel`] tells what to say, reads what is answered, and says when the connection is a tunnel. Names go to the proxy
//! as they are. Never: hold or show user and password, which go from the configuration into the bytes to send alone; or
//! take more than the answer from the connection. Whoever asks through a tunnel speaks first, so a byte behind the
//! answer is none of the target's, and refused. Limits: a CONNECT's answer is a head within HTTP's limits, one of SOCKS5
//! has at most 262 bytes and is not kept. Tests: beside the code; end to end in `tests/tests/telegram_proxy.rs`.

use core::fmt::{self, Write as _};
use core::net::IpAddr;

use heapless::Vec;

use super::dns;
use super::http::{self, Authority, Response, request};
use crate::config::{Scheme, Url};
use crate::net::Closed;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Way {
    /// By CONNECT.
    Connect,
    /// By SOCKS5, without a login.
    Socks,
    /// By SOCKS5, with user and password.
    SocksLogin,
}

impl Way {
    /// Tells the way of a configured proxy.
    #[must_use]
    pub fn of(proxy: &Url) -> Self {
        match (proxy.scheme, proxy.user_info()) {
            (Scheme::Socks5, None) => Self::Socks,
            (Scheme::Socks5, Some(_)) => Self::SocksLogin,
            _ => Self::Connect,
        }
    }
}

/// Why there is no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The proxy's name has no address.
    Unresolved(dns::Fault),
    /// No address of the proxy took the connection, or it ended it before the tunnel stood.
    Closed(Closed),
    /// What answers to CONNECT is not HTTP.
    NotHttp(http::Fault),
    /// CONNECT was answered with this status.
    Status(u16),
    /// What answers is not SOCKS5.
    NotSocks,
    /// It takes none of the logins that were offered.
    Login,
    /// It does not take this user and password.
    Password,
    /// SOCKS5 refuses with this code (RFC 1928, 6).
    Refused(u8),
    /// Bytes came behind the answer.
    Surplus,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("proxy: ")?;
        let reason = match *self {
            Self::Unresolved(fault) => return fault.fmt(f),
            Self::Closed(closed) => return closed.fmt(f),
            Self::NotHttp(fault) => return fault.fmt(f),
            Self::Status(status) => return fmt_status(f, status),
            Self::NotSocks => "answer is not SOCKS5",
            Self::Login => "wants another login; are user and password in its URL?",
            Self::Password => "user or password not accepted",
            Self::Surplus => "answer with bytes behind it",
            Self::Refused(1) => "it failed",
            Self::Refused(2) => "not allowed by its rules",
            Self::Refused(3) => "network unreachable from there",
            Self::Refused(4) => "host unreachable or unknown there",
            Self::Refused(5) => "connection refused to it",
            Self::Refused(6) => "time to live expired",
            Self::Refused(code) => return write!(f, "refused with code {code}"),
        };
        f.write_str(reason)
    }
}

fn fmt_status(f: &mut fmt::Formatter<'_>, status: u16) -> fmt::Result {
    write!(f, "answered {status}")?;
    f.write_str(match status {
        403 => ": not allowed by its rules",
        407 => ": user and password missing or not accepted",
        502..=504 => ": can not reach the target",
        _ => "",
    })
}

/// Where a tunnel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// The answer is not whole yet.
    NeedMore,
    /// The next thing is to be said.
    Say,
    /// The connection is a tunnel.
    Open,
}

/// What is said next, or was said last.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    Greeting,
    Password,
    Target,
}

/// One tunnel in the making.
pub struct Tunnel {
    way: Way,
    step: Step,
    /// Bytes of SOCKS5's answer that came.
    came: u16,
    /// Bytes that it has in all, as far as is known.
    whole: u16,
}

impl Tunnel {
    /// Begins with nothing said. All zero bits for [`Way::Connect`].
    #[must_use]
    pub const fn new(way: Way) -> Self {
        Self {
            way,
            step: Step::Greeting,
            came: 0,
            whole: 0,
        }
    }

    /// Writes what is to be said now.
    ///
    /// # Errors
    /// It does not fit, or the target can not be named in it.
    pub fn emit<const N: usize>(&self, proxy: &Url, target: &Url, out: &mut Vec<u8, N>) -> fmt::Result {
        match (self.way, self.step) {
            (Way::Connect, _) => emit_connect(proxy, target, out),
            (Way::Socks, Step::Greeting) => push(out, &[5, 1, 0]),
            (Way::SocksLogin, Step::Greeting) => push(out, &[5, 2, 0, 2]),
            (_, Step::Password) => emit_password(proxy.user_info().unwrap_or_default(), out),
            (_, Step::Target) => emit_target(target, out),
        }
    }

    /// Reads the next bytes of what is answered; a CONNECT's head goes through `response`.
    ///
    /// # Errors
    /// There will be no tunnel.
    pub fn feed(&mut self, bytes: &[u8], response: &mut Response) -> Result<Progress, Fault> {
        let (progress, rest) = match self.way {
            Way::Connect => feed_connect(bytes, response)?,
            Way::Socks | Way::SocksLogin => self.feed_socks(bytes)?,
        };
        if progress != Progress::NeedMore && !rest.is_empty() {
            return Err(Fault::Surplus);
        }
        Ok(progress)
    }

    fn feed_socks<'a>(&mut self, bytes: &'a [u8]) -> Result<(Progress, &'a [u8]), Fault> {
        let mut rest = bytes;
        while let [byte, tail @ ..] = rest {
            rest = tail;
            let before = self.step;
            let is_whole = match self.step {
                Step::Greeting => self.take_method(*byte)?,
                Step::Password => self.take_verdict(*byte)?,
                Step::Target => self.take_reply(*byte)?,
            };
            self.came = self.came.saturating_add(1);
            if is_whole {
                self.came = 0;
                let progress = match before {
                    Step::Target => Progress::Open,
                    Step::Greeting | Step::Password => Progress::Say,
                };
                return Ok((progress, rest));
            }
        }
        Ok((Progress::NeedMore, rest))
    }

    /// VER, METHOD.
    fn take_method(&mut self, byte: u8) -> Result<bool, Fault> {
        match (self.came, byte, self.way) {
            (0, 5, _) => return Ok(false),
            (0, _, _) => return Err(Fault::NotSocks),
            (_, 0, _) => self.step = Step::Target,
            (_, 2, Way::SocksLogin) => self.step = Step::Password,
            _ => return Err(Fault::Login),
        }
        Ok(true)
    }

    /// VER, STATUS (RFC 1929, 2).
    fn take_verdict(&mut self, byte: u8) -> Result<bool, Fault> {
        match (self.came, byte) {
            (0, 1) => return Ok(false),
            (0, _) => return Err(Fault::NotSocks),
            (_, 0) => self.step = Step::Target,
            _ => return Err(Fault::Password),
        }
        Ok(true)
    }

    /// VER, REP, RSV, ATYP, BND.ADDR, BND.PORT: the address is passed over.
    fn take_reply(&mut self, byte: u8) -> Result<bool, Fault> {
        let place = self.came;
        match (place, byte) {
            (0, 5) | (1, 0) => {}
            (1, code) => return Err(Fault::Refused(code)),
            // Some put something into the reserved byte.
            (2, _) => {}
            (3, 1) => self.whole = 10,
            (3, 4) => self.whole = 22,
            // How long a name is stands in front of it.
            (3, 3) => self.whole = 0,
            (4, length) if self.whole == 0 => self.whole = u16::from(length).saturating_add(7),
            (0 | 3, _) => return Err(Fault::NotSocks),
            _ => {}
        }
        Ok(place > 4 && place.saturating_add(1) >= self.whole)
    }
}

fn feed_connect<'a>(bytes: &'a [u8], response: &mut Response) -> Result<(Progress, &'a [u8]), Fault> {
    match response.feed_head(bytes).map_err(Fault::NotHttp)? {
        None => Ok((Progress::NeedMore, &[])),
        Some((head, rest)) if matches!(head.status, 200..=299) => Ok((Progress::Open, rest)),
        Some((head, _)) => Err(Fault::Status(head.status)),
    }
}

fn emit_connect<const N: usize>(proxy: &Url, target: &Url, out: &mut Vec<u8, N>) -> fmt::Result {
    let authority = Authority {
        host: target.host.as_str(),
        port: Some(target.port),
    };
    write!(out, "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n")?;
    if let Some(user_info) = proxy.user_info() {
        out.write_str("Proxy-")?;
        request::emit_authorization(out, user_info)?;
    }
    out.write_str("\r\n")
}

fn emit_password<const N: usize>(user_info: &str, out: &mut Vec<u8, N>) -> fmt::Result {
    let (user, password) = user_info.split_once([':']).unwrap_or((user_info, ""));
    push(out, &[1])?;
    push_counted(out, user.as_bytes())?;
    push_counted(out, password.as_bytes())
}

fn emit_target<const N: usize>(target: &Url, out: &mut Vec<u8, N>) -> fmt::Result {
    push(out, &[5, 1, 0])?;
    match dns::address::parse(&target.host) {
        Some(IpAddr::V4(address)) => {
            push(out, &[1])?;
            push(out, &address.octets())
        }
        Some(IpAddr::V6(address)) => {
            push(out, &[4])?;
            push(out, &address.octets())
        }
        None => {
            push(out, &[3])?;
            push_counted(out, target.host.as_bytes())
        }
    }?;
    push(out, &target.port.to_be_bytes())
}

fn push<const N: usize>(out: &mut Vec<u8, N>, bytes: &[u8]) -> fmt::Result {
    out.extend_from_slice(bytes).map_err(|_full| fmt::Error)
}

fn push_counted<const N: usize>(out: &mut Vec<u8, N>, bytes: &[u8]) -> fmt::Result {
    push(out, &[u8::try_from(bytes.len()).map_err(|_long| fmt::Error)?])?;
    push(out, bytes)
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;

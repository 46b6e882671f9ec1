//! A DNS stub resolver: names to addresses, by `/etc/hosts` and the servers of `/etc/resolv.conf`.
//!
//! [`Resolver`] is the machine; the rest is what it is made of: [`message`] the wire format, [`entry`] one name with its
//! cache, [`ask`] one question, [`stream`] an exchange over TCP, [`hosts`] and [`resolv_conf`] the two files,
//! [`address`] addresses as text.
//!
//! Never: recurse, take an answer that was not asked for, lose the last good answer because DNS is down, follow a
//! compression pointer forward. Limits: [`crate::limits::CONNECTIONS_MAX`] names, [`ADDRESSES_MAX`] addresses each,
//! [`message::RECORDS_MAX`] records and [`message::CHAIN_MAX`] aliases an answer. International names are not
//! translated: they are configured in their ASCII form. RFC 1035, 2181, 7766; `hosts(5)`, `resolv.conf(5)`.
//! Tests: beside the code. Fuzz target: `dns`.

pub mod address;
pub mod ask;
pub mod entry;
pub mod hosts;
pub mod message;
pub mod resolv_conf;
mod resolver;
pub mod stream;
mod words;

pub use resolver::{NameId, Resolver};

use core::fmt;
use core::net::IpAddr;

use heapless::Vec;

use crate::limits::ADDRESSES_MAX;
use crate::net::Closed;

/// The addresses of a name, in the order in which they are to be tried: the one that worked last, then the families
/// in turn, IPv6 first.
pub type Addresses = Vec<IpAddr, ADDRESSES_MAX>;

/// The two kinds of addresses, asked for separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Lookup<'a> {
    /// These are its addresses, at least one.
    Ready(&'a Addresses),
    /// These were its addresses; DNS is down or slow to confirm it.
    Stale(&'a Addresses),
    /// It is asked; look again after the next input or the deadline.
    Pending,
    /// It has none, or none are to be had.
    Failed(Fault),
}

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The name can not stand in a question: the configuration's fault.
    BadName,
    /// The name does not exist.
    NoSuchName,
    /// The name exists and has no address.
    NoAddress,
    /// No server answered in time.
    TimedOut,
    /// The servers answered with this error code.
    ServerFailed(u8),
    /// The servers refused the question, or do not resolve for us.
    Refused,
    /// The servers' answers can not be read.
    Unreadable,
    /// The answer was too long for a datagram, and the connection for it ended like this.
    StreamFailed(Closed),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName => f.write_str("host is not a valid name"),
            Self::NoSuchName => f.write_str("no such host"),
            Self::NoAddress => f.write_str("host has no address"),
            Self::TimedOut => f.write_str("DNS did not answer"),
            Self::ServerFailed(2) => f.write_str("DNS server failed (SERVFAIL)"),
            Self::ServerFailed(code) => write!(f, "DNS server failed (code {code})"),
            Self::Refused => f.write_str("DNS server refused the question"),
            Self::Unreadable => f.write_str("DNS answer is malformed"),
            Self::StreamFailed(closed) => write!(f, "DNS over TCP failed: {closed}"),
        }
    }
}

#[cfg(test)]
mod tests;

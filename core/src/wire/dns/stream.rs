//! One question over TCP, after a datagram was too small for its answer (RFC 1035, 4.2.2, and RFC 7766).
//!
//! There is one such exchange at a time, since they are rare: others wait. The beginning of an answer is kept, at most
//! [`KEPT_BYTES_MAX`]; what lies behind is more addresses than are tried.

use core::net::SocketAddr;

use heapless::Vec;

use super::Family;
use crate::net::Connection;

/// Bytes of an answer that are kept, behind its length.
pub const KEPT_BYTES_MAX: usize = 4096;

/// Where the exchange stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is none.
    Idle,
    /// The connection is being opened.
    Opening,
    /// The question is to be written.
    ToWrite,
    /// The answer is awaited.
    Reading,
    /// The connection is to be closed.
    ToClose,
}

/// The exchange.
pub(super) struct Stream {
    pub(super) step: Step,
    /// The slot, with the generation of its last use.
    pub(super) connection: Connection,
    /// Whose question it is: the name's place, and the family.
    pub(super) name: u8,
    pub(super) family: Family,
    /// The length of the answer, then its beginning.
    kept: Vec<u8, { KEPT_BYTES_MAX + 2 }>,
    got_bytes: usize,
}

impl Stream {
    pub(super) const fn new() -> Self {
        Self {
            step: Step::Idle,
            connection: Connection {
                slot: 0,
                generation: 0,
            },
            name: 0,
            family: Family::V4,
            kept: Vec::new(),
            got_bytes: 0,
        }
    }

    pub(super) fn begin(&mut self, name: u8, family: Family) {
        self.step = Step::Opening;
        self.name = name;
        self.family = family;
        self.connection.generation = self.connection.generation.wrapping_add(1);
        self.kept.clear();
        self.got_bytes = 0;
    }

    /// Tells whether what is told of a connection concerns this exchange.
    pub(super) fn is(&self, connection: Connection) -> bool {
        self.step != Step::Idle && self.connection == connection
    }

    /// Gives the exchange up: nobody waits for its answer any more.
    pub(super) const fn abandon(&mut self) {
        self.step = match self.step {
            Step::Idle => Step::Idle,
            _ => Step::ToClose,
        };
    }

    /// Takes bytes of the answer; the message, or what is kept of it, once it is there.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        self.got_bytes = self.got_bytes.saturating_add(bytes.len());
        let room = self.kept.capacity().saturating_sub(self.kept.len());
        let part = bytes.get(..room.min(bytes.len()))?;
        self.kept.extend_from_slice(part).ok()?;
        let (length, message) = self.kept.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let is_whole = self.got_bytes >= length.saturating_add(2);
        is_whole.then(|| message.get(..length).unwrap_or(message))
    }
}

/// Tells whether two addresses are the same server: the rest of an IPv6 socket address is the kernel's business.
pub(super) fn is_same_server(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() && one.port() == other.port()
}

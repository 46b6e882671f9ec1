//! One question: at which server it is asked, how often, and what came of it.

use super::message::{REFUSED, Reply};
use super::resolv_conf::Conf;
use super::{Addresses, Fault};
use crate::random::Random;
use crate::time::{Instant, Millis};

/// How long an answer over TCP may take, waiting for its turn included.
pub const STREAM_WAIT: Millis = Millis::from_secs(3);

/// Where a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Not asked.
    Idle,
    /// To be sent.
    ToSend,
    /// Sent, the answer awaited.
    Sent,
    /// Waiting for its turn over TCP.
    ToStream,
    /// Under way over TCP.
    Streamed,
    /// Answered with addresses.
    Found,
    /// Answered: none of this family.
    NoData,
    /// Answered: no such name.
    NoName,
    /// Not answered.
    Lost(Fault),
}

impl Step {
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::ToSend | Self::Sent | Self::ToStream | Self::Streamed)
    }
}

/// One question and what came of it.
pub(super) struct Ask {
    pub(super) step: Step,
    pub(super) id: u16,
    /// Tries that are over.
    pub(super) tries: u8,
    /// Bit n: the server at place n was asked.
    asked: u8,
    /// When the try is over, in [`Step::Sent`] and for the stream.
    until: Instant,
    /// What the last tries failed of.
    fault: Fault,
    pub(super) addresses: Addresses,
    pub(super) ttl_s: u32,
}

impl Ask {
    pub(super) const fn idle() -> Self {
        Self {
            step: Step::Idle,
            id: 0,
            tries: 0,
            asked: 0,
            until: Instant::ZERO,
            fault: Fault::TimedOut,
            addresses: Addresses::new(),
            ttl_s: 0,
        }
    }

    pub(super) fn begin(&mut self, random: &mut Random) {
        self.step = Step::ToSend;
        let [high, low, ..] = random.draw().to_be_bytes();
        self.id = u16::from_be_bytes([high, low]);
        self.tries = 0;
        self.asked = 0;
        self.fault = Fault::TimedOut;
        self.addresses.clear();
    }

    /// Ends a try; the next one goes to the next server, if there is a next one.
    pub(super) fn try_failed(&mut self, fault: Fault, conf: &Conf) {
        // What a server said tells more than that another one said nothing.
        if fault != Fault::TimedOut {
            self.fault = fault;
        }
        self.tries = self.tries.saturating_add(1);
        self.step = if self.tries < conf.tries() {
            Step::ToSend
        } else {
            Step::Lost(self.fault)
        };
    }

    pub(super) fn take(&mut self, reply: Reply, now: Instant, conf: &Conf) {
        match reply {
            Reply::Found { addresses, ttl_s } => {
                self.addresses = addresses;
                self.ttl_s = ttl_s;
                self.step = Step::Found;
            }
            Reply::NoData => self.step = Step::NoData,
            Reply::NoName => self.step = Step::NoName,
            Reply::Truncated => {
                self.step = Step::ToStream;
                self.until = now.after(STREAM_WAIT);
            }
            Reply::Error(REFUSED) => self.try_failed(Fault::Refused, conf),
            Reply::Error(code) => self.try_failed(Fault::ServerFailed(code), conf),
            Reply::Unreadable => self.try_failed(Fault::Unreadable, conf),
        }
    }

    /// Marks the question as sent to the server whose turn it is.
    pub(super) fn sent(&mut self, now: Instant, conf: &Conf) {
        let place = conf.server_of_try(self.tries).map_or(0, |(place, _server)| place);
        self.asked |= server_bit(place);
        self.until = now.after(conf.try_timeout());
        self.step = Step::Sent;
    }

    /// Tells whether a datagram with this number from the server at this place can be the answer: also a late one, of
    /// an earlier try.
    pub(super) fn awaits(&self, id: u16, place: usize) -> bool {
        matches!(self.step, Step::Sent | Step::ToSend) && self.id == id && self.asked & server_bit(place) != 0
    }

    /// Ends the try if its time is over.
    pub(super) fn expire(&mut self, now: Instant, conf: &Conf) {
        let is_timed = matches!(self.step, Step::Sent | Step::ToStream | Step::Streamed);
        if is_timed && now >= self.until {
            self.try_failed(Fault::TimedOut, conf);
        }
    }

    /// Tells when something is to be done if nothing happens.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::ToSend => Some(Instant::ZERO),
            Step::Sent | Step::ToStream | Step::Streamed => Some(self.until),
            _ => None,
        }
    }
}

fn server_bit(place: usize) -> u8 {
    u32::try_from(place).map_or(0, |place| 1_u8.checked_shl(place).unwrap_or(0))
}

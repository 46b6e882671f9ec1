//! One exchange with one peer: find its address, connect, ask once, read the answer, close.
//!
//! The same machine for every probe and channel: what differs is the request and who reads the pieces of the answer. It
//! holds one connection slot, tries the addresses of both families in turn, each with a time of its own while others
//! are left, and ends with exactly one outcome. It never retries a request that may have reached the peer.
//!
//! Bounded: one connection, [`ADDRESSES_MAX`] addresses, one answer's head. Tests: beside the code.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use heapless::Vec;

use crate::limits::{ADDRESSES_MAX, CONNECT_ATTEMPT, HANDSHAKE_TURN};
use crate::net::{Closed, Connection};
use crate::planted::{Planted, is_planted};
use crate::time::{Instant, Millis};
use crate::wire::dns;
use crate::wire::http::{self, Piece, Progress, Response};
use crate::wire::proxy::{self, Tunnel, Way};

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Security {
    /// It is not.
    Plain,
    /// By TLS.
    Tls,
}

/// Whom to talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Target {
    /// A unix socket, whose path the composer knows.
    Unix,
    /// A name known to the resolver, and a port.
    Host(dns::NameId, u16, Security),
    /// A proxy's name and port, whether what goes through it is encrypted, and how the proxy is spoken to.
    Proxy(dns::NameId, u16, Security, Way),
}

impl Target {
    /// Tells how a new connection to it begins: to a proxy always in plain.
    const fn opening(self) -> Option<(u16, Security)> {
        match self {
            Self::Unix => None,
            Self::Host(_, port, security) => Some((port, security)),
            Self::Proxy(_, port, ..) => Some((port, Security::Plain)),
        }
    }

    const fn name(self) -> Option<dns::NameId> {
        match self {
            Self::Unix => None,
            Self::Host(name, ..) | Self::Proxy(name, ..) => Some(name),
        }
    }
}

/// What came of an exchange. Not an `Option` of a `Result`, since at rest it must be all zero bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Outcome {
    /// Nothing yet.
    #[default]
    None,
    /// The answer was read to its end, so long after the first connect.
    Took(Millis),
    /// It failed.
    Failed(Failure),
}

impl Outcome {
    /// Tells it as a result, if there is one.
    ///
    /// # Errors
    /// Why it failed.
    #[must_use]
    pub const fn result(self) -> Option<Result<Millis, Failure>> {
        match self {
            Self::None => None,
            Self::Took(took) => Some(Ok(took)),
            Self::Failed(failure) => Some(Err(failure)),
        }
    }
}

impl From<Result<Millis, Failure>> for Outcome {
    fn from(result: Result<Millis, Failure>) -> Self {
        match result {
            Ok(took) => Self::Took(took),
            Err(failure) => Self::Failed(failure),
        }
    }
}

/// What to do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Task {
    /// Connect and no more.
    Connect,
    /// Send one request and read one answer.
    Request,
}

/// How far an exchange had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stage {
    /// The name was being looked up.
    Resolving,
    /// It was put off, since others were making their TLS connections, and was never tried.
    Queued,
    /// The connection, with TLS also the handshake, was being made.
    Connecting,
    /// The proxy was looked up, connected to, or asked.
    Proxy,
    /// The request was sent, and no head had come.
    Waiting,
    /// The body was being read.
    Reading,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "resolving the name",
            Self::Queued => "waiting for its turn",
            Self::Connecting => "connecting",
            Self::Proxy => "waiting for the proxy",
            Self::Waiting => "waiting for an answer",
            Self::Reading => "reading the answer",
        })
    }
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Failure {
    /// The name has no address.
    Unresolved(dns::Fault),
    /// No address took the connection; this is what the last one did.
    Unconnected(Closed),
    /// The proxy made no tunnel.
    Proxy(proxy::Fault),
    /// It took longer than this, and was in this stage.
    TimedOut(Millis, Stage),
    /// The answer is not HTTP as it should be, or was cut short.
    BadAnswer(http::Fault),
    /// The request could not be written: a host or path holds what a request must not.
    BadRequest,
}

impl Failure {
    /// Tells whether the request may have been carried out all the same: it went out and was not answered.
    #[must_use]
    pub const fn may_have_arrived(self) -> bool {
        match self {
            Self::TimedOut(_, stage) => matches!(stage, Stage::Waiting | Stage::Reading),
            Self::BadAnswer(_) => true,
            Self::Unresolved(_) | Self::Unconnected(_) | Self::Proxy(_) | Self::BadRequest => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(fault) => fault.fmt(f),
            Self::Unconnected(closed) => closed.fmt(f),
            Self::Proxy(fault) => fault.fmt(f),
            Self::TimedOut(limit, stage) => write!(f, "timeout: no answer within {limit} ({stage})"),
            Self::BadAnswer(fault) => fault.fmt(f),
            Self::BadRequest => f.write_str("request can not be written"),
        }
    }
}

/// What the daemon is to do for an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Want {
    /// Close the connection.
    Close(Connection),
    /// Connect to this address.
    OpenTcp(Connection, SocketAddr, Security),
    /// Connect to the target's unix socket.
    OpenUnix(Connection),
    /// Send what [`Exchange::tunnel`] writes, then call [`Exchange::requested`].
    Tunnel(Connection),
    /// Begin TLS on the open connection.
    StartTls(Connection),
    /// Send the request, then call [`Exchange::requested`].
    Request(Connection),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Resolving,
    /// An address is to be tried.
    Opening,
    Connecting,
    /// Something is to be said to the proxy.
    Asking,
    /// The proxy is to answer.
    Tunnelling,
    /// TLS is to begin in the tunnel.
    Securing,
    /// It is beginning.
    Shaking,
    Requesting,
    Answering,
}

/// The machine.
pub struct Exchange {
    phase: Phase,
    target: Target,
    task: Task,
    connection: Connection,
    /// The daemon holds a connection for us.
    open: bool,
    /// It is to be closed before anything else.
    closing: bool,
    head_came: bool,
    started_at: Instant,
    opened_at: Option<Instant>,
    deadline: Option<Instant>,
    attempt_until: Instant,
    attempt_at: Instant,
    /// A TLS connection that is being made no longer counts among those under way.
    slow: bool,
    addresses: Vec<IpAddr, ADDRESSES_MAX>,
    tried: usize,
    tunnel: Tunnel,
    response: Response,
    outcome: Outcome,
}

impl Exchange {
    /// An exchange that is not under way, in slot 0: see [`Exchange::set_slot`].
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            target: Target::Unix,
            task: Task::Connect,
            connection: Connection {
                slot: 0,
                generation: 0,
            },
            open: false,
            closing: false,
            head_came: false,
            started_at: Instant::ZERO,
            opened_at: None,
            deadline: None,
            attempt_until: Instant::ZERO,
            attempt_at: Instant::ZERO,
            slow: false,
            addresses: Vec::new(),
            tried: 0,
            tunnel: Tunnel::new(Way::Connect),
            response: Response::new(),
            outcome: Outcome::None,
        }
    }

    /// Gives it its connection slot, once.
    pub const fn set_slot(&mut self, slot: u8) {
        self.connection.slot = slot;
    }

    /// Begins. What was under way is given up. Without a deadline it ends when the peer ends it.
    pub fn start(&mut self, now: Instant, deadline: Option<Instant>, target: Target, task: Task) {
        self.cancel();
        self.phase = match target {
            Target::Host(..) | Target::Proxy(..) => Phase::Resolving,
            Target::Unix => Phase::Opening,
        };
        (self.target, self.task) = (target, task);
        (self.started_at, self.deadline) = (now, deadline);
        self.opened_at = None;
        self.head_came = false;
        self.addresses.clear();
        self.tried = 0;
        if let Target::Proxy(.., way) = target {
            self.tunnel = Tunnel::new(way);
        }
        self.response.reset();
        self.outcome = Outcome::None;
    }

    /// Gives up what is under way, without an outcome.
    pub const fn cancel(&mut self) {
        self.phase = Phase::Idle;
        self.closing = self.open;
    }

    /// Tells whether it is under way.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// Tells whether a TLS handshake is under way. One that makes others wait for longer than [`HANDSHAKE_TURN`] does not
    /// count any more: most likely there is no peer, and those that wait would be called down for it.
    #[must_use]
    pub const fn is_shaking_hands(&self) -> bool {
        let connecting = matches!(
            (self.phase, self.target),
            (Phase::Connecting, Target::Host(_, _, Security::Tls)) | (Phase::Shaking, _)
        );
        connecting && !self.slow
    }

    /// Tells whether the next wish is to begin a TLS connection, which the composer may have to put off.
    #[must_use]
    pub const fn is_about_to_shake_hands(&self) -> bool {
        matches!(
            (self.phase, self.target),
            (Phase::Opening, Target::Host(_, _, Security::Tls)) | (Phase::Securing, _)
        )
    }

    /// Tells the name whose addresses it waits for.
    #[must_use]
    pub const fn awaits_addresses(&self) -> Option<dns::NameId> {
        match self.phase {
            Phase::Resolving => self.target.name(),
            _ => None,
        }
    }

    /// The name was looked up.
    pub fn resolved(&mut self, addresses: &[IpAddr]) {
        if self.phase != Phase::Resolving {
            return;
        }
        self.addresses = addresses.iter().copied().take(ADDRESSES_MAX).collect();
        if self.addresses.is_empty() {
            self.unresolved(dns::Fault::NoAddress);
        } else {
            self.phase = Phase::Opening;
        }
    }

    /// The name could not be looked up.
    pub fn unresolved(&mut self, fault: dns::Fault) {
        if self.phase == Phase::Resolving {
            self.end(Err(match self.target {
                Target::Proxy(..) => Failure::Proxy(proxy::Fault::Unresolved(fault)),
                Target::Host(..) | Target::Unix => Failure::Unresolved(fault),
            }));
        }
    }

    /// Tells the next thing to be done for it.
    pub fn poll(&mut self, now: Instant) -> Option<Want> {
        if self.closing {
            (self.closing, self.open) = (false, false);
            return Some(Want::Close(self.connection));
        }
        match self.phase {
            Phase::Opening => self.open(now),
            Phase::Asking => Some(Want::Tunnel(self.connection)),
            Phase::Securing => {
                (self.attempt_at, self.slow) = (now, false);
                self.phase = Phase::Shaking;
                Some(Want::StartTls(self.connection))
            }
            Phase::Requesting => Some(Want::Request(self.connection)),
            Phase::Idle
            | Phase::Resolving
            | Phase::Connecting
            | Phase::Tunnelling
            | Phase::Shaking
            | Phase::Answering => None,
        }
    }

    fn open(&mut self, now: Instant) -> Option<Want> {
        self.connection.generation = self.connection.generation.wrapping_add(1);
        (self.attempt_at, self.slow) = (now, false);
        let want = match self.target.opening() {
            None => {
                self.attempt_until = self.deadline.unwrap_or(now.after(CONNECT_ATTEMPT));
                Want::OpenUnix(self.connection)
            }
            Some((port, security)) => {
                let address = self.addresses.get(self.tried).copied()?;
                self.tried = self.tried.saturating_add(1);
                self.attempt_until = self.attempt_deadline(now);
                Want::OpenTcp(self.connection, SocketAddr::new(address, port), security)
            }
        };
        self.opened_at.get_or_insert(now);
        (self.phase, self.open) = (Phase::Connecting, true);
        Some(want)
    }

    /// An address has until the deadline, or as long as one attempt may take while others are left.
    fn attempt_deadline(&self, now: Instant) -> Instant {
        let end = self.deadline.unwrap_or(now.after(CONNECT_ATTEMPT));
        let left = self.addresses.len().saturating_sub(self.tried);
        if left == 0 {
            return end;
        }
        // With a short deadline the addresses share what there is.
        let shares = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
        let share = end.since(now).as_millis().checked_div(shares).unwrap_or(0);
        now.after(CONNECT_ATTEMPT.min(Millis::from_millis(share)))
    }

    /// Tells the address that is being tried or has taken the connection.
    #[must_use]
    pub fn address(&self) -> Option<(dns::NameId, IpAddr)> {
        let name = self.target.name()?;
        self.addresses
            .get(self.tried.checked_sub(1)?)
            .map(|address| (name, *address))
    }

    /// Tells what is to be said to the proxy.
    #[must_use]
    pub const fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// The request, or what is said to the proxy, was handed to the daemon.
    pub fn requested(&mut self) {
        self.phase = match self.phase {
            Phase::Requesting => Phase::Answering,
            Phase::Asking => Phase::Tunnelling,
            other => other,
        };
    }

    /// The request could not be written.
    pub fn unwritable(&mut self) {
        self.end(Err(Failure::BadRequest));
    }

    /// The connection is made.
    pub fn connected(&mut self, connection: Connection, now: Instant) {
        if !self.is_mine(connection) {
            return;
        }
        match (self.phase, self.target) {
            (Phase::Connecting, Target::Proxy(..)) => self.phase = Phase::Asking,
            (Phase::Connecting | Phase::Shaking, _) => self.reached(now),
            _ => {}
        }
    }

    /// The peer itself is at the other end.
    fn reached(&mut self, now: Instant) {
        match self.task {
            Task::Connect => self.end(Ok(self.took(now))),
            Task::Request => self.phase = Phase::Requesting,
        }
    }

    /// The proxy said something.
    fn tunnelled(&mut self, bytes: &[u8], now: Instant) {
        match (self.tunnel.feed(bytes, &mut self.response), self.target) {
            (Ok(proxy::Progress::NeedMore), _) => {}
            (Ok(proxy::Progress::Say), _) => self.phase = Phase::Asking,
            (Ok(proxy::Progress::Open), Target::Proxy(_, _, Security::Tls, _))
                if !is_planted(Planted::PlainInTunnel) =>
            {
                self.response.reset();
                self.phase = Phase::Securing;
            }
            (Ok(proxy::Progress::Open), _) => {
                self.response.reset();
                self.reached(now);
            }
            (Err(fault), _) => self.end(Err(Failure::Proxy(fault))),
        }
    }

    /// Bytes came.
    pub fn received(
        &mut self,
        connection: Connection,
        bytes: &[u8],
        now: Instant,
        sink: &mut impl FnMut(Piece<'_>),
    ) {
        if !self.is_mine(connection) {
            return;
        }
        match self.phase {
            Phase::Answering => self.answered(bytes, now, sink),
            Phase::Tunnelling => self.tunnelled(bytes, now),
            // Nobody was asked, so nobody can answer. Behind a proxy this is no beginning of TLS either.
            Phase::Asking | Phase::Securing => self.end(Err(Failure::Proxy(proxy::Fault::Surplus))),
            _ => {}
        }
    }

    fn answered(&mut self, bytes: &[u8], now: Instant, sink: &mut impl FnMut(Piece<'_>)) {
        let head_came = &mut self.head_came;
        let progress = self.response.feed(bytes, &mut |piece| {
            *head_came = true;
            sink(piece);
        });
        match progress {
            Ok(Progress::NeedMore) => {}
            Ok(Progress::Done) => self.end(Ok(self.took(now))),
            Err(fault) => self.end(Err(Failure::BadAnswer(fault))),
        }
    }

    /// The connection could not be made, or ended.
    pub fn closed(&mut self, connection: Connection, why: Closed, now: Instant) {
        if !self.is_mine(connection) {
            return;
        }
        self.open = false;
        match self.phase {
            Phase::Connecting => self.try_next(why),
            Phase::Asking | Phase::Tunnelling | Phase::Securing | Phase::Shaking => {
                self.end(Err(self.unconnected(why)));
            }
            Phase::Requesting | Phase::Answering => {
                let ended = self.response.closed(why).map_err(Failure::BadAnswer);
                self.end(ended.map(|()| self.took(now)));
            }
            Phase::Idle | Phase::Resolving | Phase::Opening => {}
        }
    }

    /// An address did not take the connection. A fault of TLS is final: the peer was reached.
    fn try_next(&mut self, why: Closed) {
        let left = self.tried < self.addresses.len();
        if left && !matches!(why, Closed::Tls(_)) {
            self.closing = self.open;
            self.phase = Phase::Opening;
        } else {
            self.end(Err(self.unconnected(why)));
        }
    }

    /// A fault of TLS is the peer's, whatever lies between.
    const fn unconnected(&self, why: Closed) -> Failure {
        match (self.target, why) {
            (Target::Proxy(..), Closed::Tls(_)) => Failure::Unconnected(why),
            (Target::Proxy(..), _) => Failure::Proxy(proxy::Fault::Closed(why)),
            _ => Failure::Unconnected(why),
        }
    }

    /// What came is enough; the rest is not read.
    pub fn finish(&mut self, now: Instant) {
        if self.is_busy() {
            self.end(Ok(self.took(now)));
        }
    }

    /// Time passed.
    pub fn time(&mut self, now: Instant) {
        if !self.is_busy() {
            return;
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            let limit = now.since(self.started_at).min(self.allowed());
            self.end(Err(Failure::TimedOut(limit, self.stage())));
        } else if self.phase == Phase::Connecting && now >= self.attempt_until {
            self.try_next(Closed::TimedOut);
        } else if self.is_shaking_hands() && now >= self.attempt_at.after(HANDSHAKE_TURN) {
            self.slow = true;
        }
    }

    fn allowed(&self) -> Millis {
        self.deadline
            .map_or(Millis::ZERO, |deadline| deadline.since(self.started_at))
    }

    fn stage(&self) -> Stage {
        match (self.phase, self.target) {
            (Phase::Securing, _) => return Stage::Queued,
            (Phase::Shaking, _) => return Stage::Connecting,
            (Phase::Requesting | Phase::Answering, _) => {}
            (_, Target::Proxy(..)) => return Stage::Proxy,
            _ => {}
        }
        match self.phase {
            Phase::Idle | Phase::Resolving => Stage::Resolving,
            Phase::Opening if self.opened_at.is_none() => Stage::Queued,
            Phase::Requesting | Phase::Answering if self.head_came => Stage::Reading,
            Phase::Requesting | Phase::Answering => Stage::Waiting,
            _ => Stage::Connecting,
        }
    }

    /// Tells when [`Exchange::time`] is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let turn = self
            .is_shaking_hands()
            .then(|| self.attempt_at.after(HANDSHAKE_TURN));
        let attempt = (self.phase == Phase::Connecting).then_some(self.attempt_until);
        let end = self.deadline.filter(|_| self.is_busy());
        [turn, attempt, end].into_iter().flatten().min()
    }

    /// Takes the outcome, once: how long it took from the first connect to the last byte, or why it failed.
    pub const fn take_outcome(&mut self) -> Option<Result<Millis, Failure>> {
        core::mem::replace(&mut self.outcome, Outcome::None).result()
    }

    fn took(&self, now: Instant) -> Millis {
        now.since(self.opened_at.unwrap_or(self.started_at))
    }

    fn end(&mut self, outcome: Result<Millis, Failure>) {
        self.phase = Phase::Idle;
        self.closing = self.open;
        self.outcome = outcome.into();
    }

    /// Whether an input is about the connection that is open now, and not about an earlier one in the same slot.
    /// Tells whether this is the exchange's connection.
    #[must_use]
    pub fn is_mine(&self, connection: Connection) -> bool {
        self.open && !self.closing && self.connection == connection
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::net::Ipv4Addr;
    use std::vec::Vec;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
    }

    fn started(addresses: &[IpAddr]) -> Exchange {
        let mut exchange = Exchange::new();
        exchange.start(
            at(0),
            Some(at(5_000)),
            Target::Host(dns::NameId::default(), 80, Security::Plain),
            Task::Request,
        );
        exchange.resolved(addresses);
        exchange
    }

    fn opened(exchange: &mut Exchange, now: u64) -> (Connection, SocketAddr) {
        match exchange.poll(at(now)) {
            Some(Want::OpenTcp(connection, address, _)) => (connection, address),
            other => panic!("{other:?}"),
        }
    }

    /// A whole exchange ends with the time from connect to last byte, and closes its connection.
    #[test]
    fn a_request_and_its_answer() {
        let mut exchange = started(&[address(1)]);
        let (connection, peer) = opened(&mut exchange, 10);
        assert_eq!(peer, SocketAddr::new(address(1), 80));
        exchange.connected(connection, at(20));
        assert_eq!(exchange.poll(at(20)), Some(Want::Request(connection)));
        exchange.requested();
        let mut body = Vec::new();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        exchange.received(connection, answer, at(40), &mut |piece| {
            if let Piece::Body(bytes) = piece {
                body.extend_from_slice(bytes);
            }
        });
        assert_eq!(exchange.take_outcome(), Some(Ok(Millis::from_millis(30))));
        assert_eq!(exchange.poll(at(40)), Some(Want::Close(connection)));
        assert_eq!(exchange.poll(at(40)), None);
        assert_eq!(body, b"hi");
    }

    /// The next address is tried when one refuses, and when one stays silent for its share of the time.
    #[test]
    fn addresses_are_tried_in_turn() {
        let mut exchange = started(&[address(1), address(2), address(3)]);
        let (first, _) = opened(&mut exchange, 0);
        exchange.closed(first, Closed::Refused, at(1));
        let (second, peer) = opened(&mut exchange, 1);
        assert_eq!(peer.ip(), address(2));
        let until = exchange.deadline().unwrap();
        assert!(until <= at(1_501));
        exchange.time(until);
        assert_eq!(exchange.poll(until), Some(Want::Close(second)));
        let (third, _) = opened(&mut exchange, until.as_millis());
        exchange.closed(third, Closed::Unreachable, at(1_600));
        assert_eq!(
            exchange.take_outcome(),
            Some(Err(Failure::Unconnected(Closed::Unreachable)))
        );
        assert_eq!(exchange.poll(at(1_600)), None);
    }

    /// Past its deadline it ends, says how far it had come, and closes what is open.
    #[test]
    fn the_deadline_ends_it() {
        let mut exchange = started(&[address(1)]);
        let (connection, _) = opened(&mut exchange, 0);
        exchange.time(at(5_000));
        let expected = Failure::TimedOut(Millis::from_secs(5), Stage::Connecting);
        assert_eq!(exchange.take_outcome(), Some(Err(expected)));
        assert_eq!(exchange.poll(at(5_000)), Some(Want::Close(connection)));
    }

    /// What is still on its way from an earlier connection in the slot changes nothing.
    #[test]
    fn late_inputs_are_dropped() {
        let mut exchange = started(&[address(1), address(2)]);
        let (first, _) = opened(&mut exchange, 0);
        exchange.closed(first, Closed::Refused, at(1));
        let (second, _) = opened(&mut exchange, 1);
        exchange.connected(first, at(2));
        exchange.closed(first, Closed::Reset, at(2));
        assert_eq!(exchange.poll(at(2)), None);
        exchange.connected(second, at(3));
        assert_eq!(exchange.poll(at(3)), Some(Want::Request(second)));
    }

    /// A TLS fault is final: another address of the same peer would show the same certificate.
    #[test]
    fn a_tls_fault_is_final() {
        let mut exchange = started(&[address(1), address(2)]);
        let (first, _) = opened(&mut exchange, 0);
        let why = Closed::Tls(crate::net::TlsFault::Expired);
        exchange.closed(first, why, at(1));
        assert_eq!(exchange.take_outcome(), Some(Err(Failure::Unconnected(why))));
    }

    /// A TLS connection that nobody takes stops counting among those under way, so that others get their turn; one
    /// that never got it ends as not tried.
    #[test]
    fn a_handshake_that_hangs_gives_up_its_turn() {
        let target = Target::Host(dns::NameId::default(), 443, Security::Tls);
        let mut exchange = Exchange::new();
        exchange.start(at(0), Some(at(5_000)), target, Task::Request);
        exchange.resolved(&[address(1)]);
        assert!(matches!(exchange.poll(at(0)), Some(Want::OpenTcp(..))));
        assert!(exchange.is_shaking_hands());
        let turn = exchange.deadline().unwrap();
        assert!(turn < at(1_000));
        exchange.time(turn);
        assert!(!exchange.is_shaking_hands());
        assert_eq!(exchange.deadline(), Some(at(5_000)));
        let mut waiting = Exchange::new();
        waiting.start(at(0), Some(at(5_000)), target, Task::Request);
        waiting.resolved(&[address(1)]);
        waiting.time(at(5_000));
        let outcome = waiting.take_outcome();
        assert_eq!(
            outcome,
            Some(Err(Failure::TimedOut(Millis::from_secs(5), Stage::Queued)))
        );
    }

    fn tunnelling(security: Security, way: Way) -> (Exchange, Connection) {
        let target = Target::Proxy(dns::NameId::default(), 3128, security, way);
        let mut exchange = Exchange::new();
        exchange.start(at(0), Some(at(5_000)), target, Task::Request);
        exchange.resolved(&[address(1)]);
        let Some(Want::OpenTcp(connection, peer, Security::Plain)) = exchange.poll(at(0)) else {
            panic!("a proxy is connected to in plain");
        };
        assert_eq!(peer.port(), 3128);
        assert!(!exchange.is_shaking_hands());
        exchange.connected(connection, at(1));
        (exchange, connection)
    }

    fn say(exchange: &mut Exchange, connection: Connection, answer: &[u8]) {
        assert_eq!(exchange.poll(at(2)), Some(Want::Tunnel(connection)));
        exchange.requested();
        assert_eq!(exchange.poll(at(2)), None);
        exchange.received(connection, answer, at(2), &mut |_| {
            panic!("the proxy's word is no answer")
        });
    }

    /// TLS begins behind the proxy's yes, counts as a handshake from then on, and the request goes through it.
    #[test]
    fn tls_begins_in_the_tunnel() {
        let (mut exchange, connection) = tunnelling(Security::Tls, Way::Connect);
        say(&mut exchange, connection, b"HTTP/1.1 200 OK\r\n\r\n");
        assert!(exchange.is_about_to_shake_hands() && !exchange.is_shaking_hands());
        assert_eq!(exchange.poll(at(3)), Some(Want::StartTls(connection)));
        assert!(exchange.is_shaking_hands());
        assert_eq!(exchange.deadline(), Some(at(3).after(HANDSHAKE_TURN)));
        exchange.connected(connection, at(4));
        assert_eq!(exchange.poll(at(4)), Some(Want::Request(connection)));
        exchange.requested();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        exchange.received(connection, answer, at(5), &mut |_| {});
        assert_eq!(exchange.take_outcome(), Some(Ok(Millis::from_millis(5))));
    }

    /// SOCKS5 says two things without a login; a plain target is asked at once.
    #[test]
    fn a_plain_target_is_asked_through_socks() {
        let (mut exchange, connection) = tunnelling(Security::Plain, Way::Socks);
        say(&mut exchange, connection, &[5, 0]);
        say(&mut exchange, connection, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(exchange.poll(at(4)), Some(Want::Request(connection)));
    }

    /// Whatever goes wrong before the tunnel stands is the proxy's, and said so; a certificate is the peer's.
    #[test]
    fn failures_name_the_proxy() {
        let ended = |exchange: &mut Exchange| exchange.take_outcome().unwrap().unwrap_err();
        let (mut exchange, connection) = tunnelling(Security::Tls, Way::Connect);
        exchange.closed(connection, Closed::ByPeer, at(2));
        assert_eq!(
            ended(&mut exchange),
            Failure::Proxy(proxy::Fault::Closed(Closed::ByPeer))
        );
        let (mut exchange, connection) = tunnelling(Security::Tls, Way::Connect);
        exchange.received(connection, b"H", at(2), &mut |_| {});
        assert_eq!(ended(&mut exchange), Failure::Proxy(proxy::Fault::Surplus));
        assert_eq!(exchange.poll(at(2)), Some(Want::Close(connection)));
        let (mut exchange, connection) = tunnelling(Security::Tls, Way::Connect);
        say(&mut exchange, connection, b"HTTP/1.1 407 No\r\n\r\n");
        assert_eq!(ended(&mut exchange), Failure::Proxy(proxy::Fault::Status(407)));
        let (mut exchange, _) = tunnelling(Security::Tls, Way::Connect);
        exchange.time(at(5_000));
        let expected = Failure::TimedOut(Millis::from_secs(5), Stage::Proxy);
        assert_eq!(ended(&mut exchange), expected);
        let (mut exchange, connection) = tunnelling(Security::Tls, Way::Connect);
        say(&mut exchange, connection, b"HTTP/1.1 200 OK\r\n\r\n");
        exchange.poll(at(3));
        let why = Closed::Tls(crate::net::TlsFault::WrongName);
        exchange.closed(connection, why, at(4));
        assert_eq!(ended(&mut exchange), Failure::Unconnected(why));
    }
}

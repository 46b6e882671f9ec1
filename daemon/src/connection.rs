//! Connections: slots that hold a TCP or unix stream each, with TLS on top where it is asked for.
//!
//! [`Connections::advance`] does one bounded step of one slot and tells what came of it, so the loop shares its turn
//! among all of them; readiness is edge-triggered, hence remembered until the kernel says that it is used up. It must
//! never wait, never panic on an answer of the kernel or of a peer, and never leave a descriptor behind a closed
//! connection. Limits: one stream a slot, [`UNSENT_BYTES_MAX`] to be sent. Tests: beside the code, with real peers.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt as _;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use watchdog_core::limits::CONNECTIONS_MAX;
use watchdog_core::net::{Closed, Connection, Peer};

use crate::tls::{Plain, ReceiveError, Session, Tls};

/// Bytes that wait for the peer of one connection at most. The machine never asks for more than 16 KiB; what is above
/// it means that a peer takes nothing, and its connection ends.
pub const UNSENT_BYTES_MAX: usize = 16 * 1024;
/// Steps of TLS that may pass without a decrypted byte before the others have their turn.
const TLS_STEPS_MAX: usize = 16;

/// What one step of a connection came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing to do until the kernel reports something.
    Idle,
    /// Work is left that gave no news.
    Busy,
    /// The kernel was interrupted; the same step is worth another try a little later.
    Interrupted,
    /// The connection is open; with TLS, its handshake is through.
    Connected,
    /// So many bytes stand at the start of the buffer.
    Received(usize),
    /// It has ended, and its slot is free.
    Closed(Closed),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    fn open(peer: Peer<'_>) -> Result<Self, Closed> {
        match peer {
            Peer::Tcp(address) => retry(|| TcpStream::connect(address))
                .map(Self::Tcp)
                .map_err(|error| reason(&error)),
            Peer::Unix(path) => retry(|| UnixStream::connect(path))
                .map(Self::Unix)
                .map_err(|error| unix_reason(path, &error)),
        }
    }

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => registry.register(stream, token, interest),
            Self::Unix(stream) => registry.register(stream, token, interest),
        }
    }

    /// Tells how a connect ended; `WouldBlock` while it has not.
    fn connected(&self) -> io::Result<()> {
        let (pending, peer) = match self {
            Self::Tcp(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Self::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
        };
        match (pending, peer) {
            (Some(error), _) => Err(error),
            (None, Err(error)) if error.kind() == ErrorKind::NotConnected => {
                Err(ErrorKind::WouldBlock.into())
            }
            (None, answer) => answer,
        }
    }

    fn begin(&self) {
        if let Self::Tcp(stream) = self {
            // Requests are small and whole: waiting to fill a segment would only delay them. A kernel that refuses
            // the option delays them, no more.
            let _ = stream.set_nodelay(true);
        }
    }

    fn end(&self) {
        // The descriptor is closed right after; this only says so in good order where that is still possible.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Handshaking,
    Open,
}

struct Open {
    stream: Stream,
    session: Option<Session>,
    stage: Stage,
    readable: bool,
    writable: bool,
    /// Bytes that wait for the peer; those of a TLS session wait in it.
    unsent: Vec<u8>,
    /// Why nothing can be sent any more. An answer that came before that is read all the same.
    send_failed: Option<Closed>,
}

enum Slot {
    /// It could not be opened, which is not told yet.
    Failed(Closed),
    Open(Box<Open>),
}

/// All slots.
pub struct Connections {
    slots: Vec<Option<(Connection, Slot)>>,
    tls: Tls,
}

impl Connections {
    /// Makes free slots.
    pub fn new(tls: Tls) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(CONNECTIONS_MAX, || None);
        Self { slots, tls }
    }

    /// Opens a connection in its slot; what was there before is gone. How it ended is told by
    /// [`Connections::advance`].
    pub fn open(
        &mut self,
        registry: &Registry,
        connection: Connection,
        peer: Peer<'_>,
        server: Option<&str>,
    ) {
        let slot = match self.begin(registry, connection, peer, server) {
            Ok(open) => Slot::Open(Box::new(open)),
            Err(reason) => Slot::Failed(reason),
        };
        if let Some(place) = self.slots.get_mut(usize::from(connection.slot)) {
            *place = Some((connection, slot));
        }
    }

    fn begin(
        &mut self,
        registry: &Registry,
        connection: Connection,
        peer: Peer<'_>,
        server: Option<&str>,
    ) -> Result<Open, Closed> {
        let session = server
            .map(|name| self.tls.begin(name))
            .transpose()
            .map_err(Closed::Tls)?;
        let mut stream = Stream::open(peer)?;
        stream
            .register(registry, token(connection))
            .map_err(|error| reason(&error))?;
        Ok(Open {
            stream,
            session,
            stage: Stage::Connecting,
            readable: false,
            writable: false,
            unsent: Vec::new(),
            send_failed: None,
        })
    }

    /// Begins TLS on an open connection that has none: the coming steps are those of its handshake.
    pub fn start_tls(&mut self, connection: Connection, server: &str) {
        let session = self.tls.begin(server);
        let slot = self.slots.get_mut(usize::from(connection.slot));
        let Some(Some((known, slot))) = slot else { return };
        match (slot, session) {
            _ if *known != connection => {}
            (Slot::Open(open), Ok(session)) => {
                open.session = Some(session);
                open.stage = Stage::Handshaking;
            }
            (slot, Err(fault)) => *slot = Slot::Failed(Closed::Tls(fault)),
            (Slot::Failed(_), Ok(_)) => {}
        }
    }

    /// Takes bytes to be sent; they go out at the next steps.
    pub fn write(&mut self, connection: Connection, bytes: &[u8]) {
        let Some(open) = self.find(connection) else {
            return;
        };
        let taken = match &mut open.session {
            Some(session) => session.queue(bytes),
            None if open.unsent.len().saturating_add(bytes.len()) > UNSENT_BYTES_MAX => false,
            None => {
                open.unsent.extend_from_slice(bytes);
                true
            }
        };
        if !taken {
            open.send_failed = Some(Closed::NoMemory);
        }
    }

    /// Closes a connection; nothing more is told about it.
    pub fn close(&mut self, connection: Connection) {
        let slot = usize::from(connection.slot);
        match self.slots.get_mut(slot) {
            Some(Some((known, slot_now))) if *known == connection => {
                if let Slot::Open(open) = slot_now {
                    open.end();
                }
                self.free(slot);
            }
            _ => {}
        }
    }

    /// Notes what the kernel said of a token; one of a connection that is gone means nothing.
    pub fn note_ready(&mut self, token: Token, readable: bool, writable: bool) {
        let Token(number) = token;
        let known = self.slots.get_mut(number & SLOT_MASK);
        if let Some(Some((connection, Slot::Open(open)))) = known
            && self::token(*connection) == token
        {
            open.readable |= readable;
            open.writable |= writable;
        }
    }

    /// Takes every connection for ready: when the kernel cannot be asked which one is.
    pub fn note_all_ready(&mut self) {
        for (_, slot) in self.slots.iter_mut().flatten() {
            if let Slot::Open(open) = slot {
                open.readable = true;
                open.writable = true;
            }
        }
    }

    /// Does one step of the connection in a slot and tells whose it was; bytes go into `buffer`.
    pub fn advance(&mut self, slot: usize, buffer: &mut [u8]) -> Option<(Connection, Progress)> {
        let (connection, slot_now) = self.slots.get_mut(slot)?.as_mut()?;
        let connection = *connection;
        let progress = match slot_now {
            Slot::Failed(reason) => Progress::Closed(*reason),
            Slot::Open(open) => open.advance(buffer),
        };
        if matches!(progress, Progress::Closed(_)) {
            self.free(slot);
        }
        Some((connection, progress))
    }

    /// Tells the certificate that the peer of a connection has shown, in DER.
    pub fn leaf(&self, connection: Connection) -> Option<&[u8]> {
        match self.slots.get(usize::from(connection.slot))? {
            Some((known, Slot::Open(open))) if *known == connection => open.session.as_ref()?.leaf(),
            _ => None,
        }
    }

    /// Hands over the certificate that was refused in the step just done, in DER.
    pub fn take_refused_leaf(&self) -> Option<Box<[u8]>> {
        self.tls.take_refused()
    }

    fn find(&mut self, connection: Connection) -> Option<&mut Open> {
        match self.slots.get_mut(usize::from(connection.slot))? {
            Some((known, Slot::Open(open))) if *known == connection => Some(open),
            _ => None,
        }
    }

    fn free(&mut self, slot: usize) {
        // Closing the descriptor takes it out of epoll, since it is never duplicated.
        if let Some(place) = self.slots.get_mut(slot) {
            *place = None;
        }
    }
}

impl Open {
    fn advance(&mut self, buffer: &mut [u8]) -> Progress {
        if self.stage == Stage::Connecting {
            if !self.writable {
                return Progress::Idle;
            }
            if let Err(error) = self.stream.connected() {
                self.writable = false;
                return unless_waiting(&error, Progress::Idle);
            }
            self.stream.begin();
            if self.session.is_none() {
                self.stage = Stage::Open;
                return Progress::Connected;
            }
            self.stage = Stage::Handshaking;
        }
        if let Err(error) = self.send() {
            if error.kind() == ErrorKind::Interrupted {
                return Progress::Interrupted;
            }
            self.send_failed = Some(reason(&error));
        }
        match self.session.take() {
            None => self.read(buffer),
            Some(mut session) => {
                let progress = self.read_tls(&mut session, buffer);
                self.session = Some(session);
                progress
            }
        }
    }

    /// Sends what waits, as far as the peer takes it now.
    fn send(&mut self) -> io::Result<()> {
        while self.writable && self.send_failed.is_none() {
            let sent = match &mut self.session {
                Some(session) if session.wants_write() => session.send(&mut self.stream),
                None if !self.unsent.is_empty() => self.stream.write(&self.unsent),
                _ => break,
            };
            match sent {
                Ok(0) => break,
                Ok(count) if self.session.is_none() => {
                    drop(self.unsent.drain(..count.min(self.unsent.len())));
                    if self.unsent.is_empty() {
                        self.unsent = Vec::new();
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Progress {
        if !self.readable {
            return self.idle();
        }
        match self.stream.read(buffer) {
            Ok(0) => Progress::Closed(Closed::ByPeer),
            Ok(count) => Progress::Received(count),
            Err(error) => self.read_failed(&error),
        }
    }

    fn read_tls(&mut self, session: &mut Session, buffer: &mut [u8]) -> Progress {
        for _ in 0..TLS_STEPS_MAX {
            if self.stage == Stage::Handshaking && !session.is_handshaking() && !session.wants_write() {
                self.stage = Stage::Open;
                return Progress::Connected;
            }
            if self.stage == Stage::Open {
                match session.plain(buffer) {
                    Plain::Bytes(count) => return Progress::Received(count),
                    Plain::Ended => return Progress::Closed(Closed::ByPeer),
                    Plain::Truncated => return Progress::Closed(Closed::Truncated),
                    Plain::Nothing => {}
                }
            }
            if !self.readable {
                return self.idle();
            }
            match session.receive(&mut self.stream) {
                Ok(0) if self.stage == Stage::Handshaking => return Progress::Closed(Closed::Truncated),
                Ok(_) => {}
                Err(ReceiveError::Stream(error)) => return self.read_failed(&error),
                Err(ReceiveError::Tls(fault)) => {
                    // One attempt to tell the peer why; it is not waited for.
                    let _ = session.send(&mut self.stream);
                    return Progress::Closed(Closed::Tls(fault));
                }
            }
            if session.wants_write() && self.writable {
                return Progress::Busy;
            }
        }
        Progress::Busy
    }

    fn read_failed(&mut self, error: &io::Error) -> Progress {
        if error.kind() == ErrorKind::WouldBlock {
            self.readable = false;
            return self.idle();
        }
        unless_waiting(error, Progress::Idle)
    }

    /// Nothing more can be read now: a failure to send is final.
    fn idle(&self) -> Progress {
        self.send_failed.map_or(Progress::Idle, Progress::Closed)
    }

    /// Says goodbye in good order where that costs no waiting.
    fn end(&mut self) {
        if self.stage != Stage::Open || self.send_failed.is_some() {
            return;
        }
        if let Some(session) = &mut self.session {
            session.end();
        }
        let _ = self.send();
        self.stream.end();
    }
}

/// The slot's place in a token's number; the loop's own tokens are numbers of slots that no connection has.
const SLOT_MASK: usize = 0xff;
const _: () = assert!(CONNECTIONS_MAX < 0xf0);

/// The token of a connection: its slot, and above it as much of its generation as fits.
fn token(connection: Connection) -> Token {
    let generation = usize::try_from(connection.generation).unwrap_or(0);
    Token(usize::from(connection.slot) | (generation << 8))
}

/// A call that a signal interrupted is worth a few more tries, not an endless row of them.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..3 {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
    call()
}

fn unless_waiting(error: &io::Error, waiting: Progress) -> Progress {
    match error.kind() {
        ErrorKind::WouldBlock => waiting,
        ErrorKind::Interrupted => Progress::Interrupted,
        _ => Progress::Closed(reason(error)),
    }
}

/// Tells why a unix socket did not open. A path that is there and is no socket is refused by the kernel like a socket
/// that nobody listens on, so it is looked at.
fn unix_reason(path: &str, error: &io::Error) -> Closed {
    let reason = reason(error);
    let is_socket = || fs::metadata(path).map(|found| found.file_type().is_socket());
    match reason {
        Closed::Refused if matches!(is_socket(), Ok(false)) => Closed::NotASocket,
        other => other,
    }
}

/// Tells in our words why a call failed.
fn reason(error: &io::Error) -> Closed {
    let Some(number) = error.raw_os_error() else {
        return match error.kind() {
            // The only one that std makes up itself: a path that does not fit into an address.
            ErrorKind::InvalidInput => Closed::Os(libc::ENAMETOOLONG),
            _ => Closed::Os(libc::EIO),
        };
    };
    match number {
        libc::ECONNREFUSED => Closed::Refused,
        libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED => Closed::Reset,
        // EAGAIN of a connect: the listener's queue is full and stays so, it accepts nobody.
        libc::ETIMEDOUT | libc::EAGAIN => Closed::TimedOut,
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EADDRNOTAVAIL
        | libc::EAFNOSUPPORT
        | libc::ENETDOWN => Closed::Unreachable,
        libc::EACCES | libc::EPERM => Closed::PermissionDenied,
        libc::ENOENT | libc::ENOTDIR => Closed::NotFound,
        libc::ENOTSOCK => Closed::NotASocket,
        libc::EMFILE | libc::ENFILE => Closed::NoDescriptors,
        libc::ENOMEM | libc::ENOBUFS => Closed::NoMemory,
        other => Closed::Os(other),
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

//! The border of the machine: what it is told ([`Input`]), what it asks for ([`Output`]), and why a connection ended.
//!
//! Nothing here does anything; the daemon and the simulated world both speak it.

use core::fmt;
use core::net::SocketAddr;

use crate::time::Utc;

/// One connection in one of the daemon's slots. The generation grows with each use of a slot, so that what is still
/// on its way from an earlier connection is recognised and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Connection {
    /// The slot, below [`crate::limits::CONNECTIONS_MAX`].
    pub slot: u8,
    /// The use of the slot.
    pub generation: u32,
}

/// Whom to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Peer<'a> {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(&'a str),
}

/// A text of the host that the daemon reads for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HostFile {
    /// `meminfo` below `WATCHDOG_PROC`.
    MemInfo,
    /// `loadavg` below `WATCHDOG_PROC`.
    LoadAvg,
    /// `stat` below `WATCHDOG_PROC`.
    Stat,
    /// `sys/fs/file-nr` below `WATCHDOG_PROC`.
    FileNr,
    /// `pressure/memory` below `WATCHDOG_PROC`.
    PressureMemory,
    /// `pressure/io` below `WATCHDOG_PROC`.
    PressureIo,
    /// `pressure/cpu` below `WATCHDOG_PROC`.
    PressureCpu,
    /// `self/mountinfo` below `WATCHDOG_PROC`, else below `/proc`: our own mounts.
    MountInfo,
    /// `/etc/hosts`.
    Hosts,
    /// `/etc/resolv.conf`.
    ResolvConf,
}

/// What a path's file system says, from `statvfs(3)` and `stat(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FileSystem {
    /// The device number, the same for two paths in one file system.
    pub device: u64,
    /// Blocks in all (`f_blocks`).
    pub blocks: u64,
    /// Blocks free to those who are not root (`f_bavail`).
    pub blocks_available: u64,
    /// Inodes in all (`f_files`); 0 on file systems without.
    pub inodes: u64,
    /// Inodes free to those who are not root (`f_favail`).
    pub inodes_available: u64,
}

/// Why a file or a path could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FileFault {
    /// There is no such file.
    NotFound,
    /// It may not be read.
    PermissionDenied,
    /// The kernel answers that it does not offer this (EOPNOTSUPP of a kernel booted with `psi=0`).
    NotSupported,
    /// Another error, by its number.
    Os(i32),
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::NotSupported => f.write_str("not supported by this kernel"),
            Self::Os(number) => write!(f, "error {number} of the operating system"),
        }
    }
}

/// Why a TLS handshake failed or a session broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TlsFault {
    /// The certificate is signed by nobody we trust (self-signed, or a root missing from `WATCHDOG_CA_FILE`).
    UnknownIssuer,
    /// The certificate's time is over.
    Expired,
    /// The certificate's time has not begun.
    NotYetValid,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is bad in another way (malformed, revoked, for another purpose, bad signature).
    BadCertificate,
    /// The peer ended the handshake with this alert.
    Alert(u8),
    /// The peer and we share no version or cipher suite.
    NothingInCommon,
    /// What answers is not TLS.
    NotTls,
    /// The configured host is not a name that a certificate can hold.
    BadServerName,
    /// Anything else.
    Other,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => {
                f.write_str("certificate from an unknown issuer (WATCHDOG_CA_FILE adds roots)")
            }
            Self::Expired => f.write_str("certificate expired"),
            Self::NotYetValid => f.write_str("certificate not yet valid"),
            Self::WrongName => f.write_str("certificate is for another name"),
            Self::BadCertificate => f.write_str("certificate not acceptable"),
            Self::Alert(number) => write!(f, "peer refused the TLS handshake (alert {number})"),
            Self::NothingInCommon => f.write_str("no TLS version or cipher suite in common"),
            Self::NotTls => f.write_str("answer is not TLS"),
            Self::BadServerName => f.write_str("host is no valid server name"),
            Self::Other => f.write_str("TLS failed"),
        }
    }
}

/// Why a connection could not be opened or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Closed {
    /// The peer closed it in good order (with TLS: with `close_notify`).
    ByPeer,
    /// A TLS connection ended without `close_notify`: what came may be cut short.
    Truncated,
    /// Nobody listens (ECONNREFUSED).
    Refused,
    /// The peer reset it (ECONNRESET, EPIPE).
    Reset,
    /// The kernel gave up waiting (ETIMEDOUT).
    TimedOut,
    /// No route (EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT).
    Unreachable,
    /// We may not (EACCES, EPERM).
    PermissionDenied,
    /// The unix socket's path does not exist (ENOENT).
    NotFound,
    /// The path is there and is no socket.
    NotASocket,
    /// This process or host has no file descriptors left (EMFILE, ENFILE).
    NoDescriptors,
    /// The host has no memory left (ENOMEM, ENOBUFS).
    NoMemory,
    /// TLS failed.
    Tls(TlsFault),
    /// Another error, by its number.
    Os(i32),
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => f.write_str("connection closed"),
            Self::Truncated => f.write_str("connection cut off"),
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection reset"),
            Self::TimedOut => f.write_str("connection timed out"),
            Self::Unreachable => f.write_str("no route to host"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::NotFound => f.write_str("no such socket"),
            Self::NotASocket => f.write_str("not a socket"),
            Self::NoDescriptors => f.write_str("no file descriptors left"),
            Self::NoMemory => f.write_str("no memory left"),
            Self::Tls(fault) => fault.fmt(f),
            Self::Os(number) => write!(f, "error {number} of the operating system"),
        }
    }
}

/// One thing that happened, told to [`crate::watchdog::Watchdog::handle`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Input<'a> {
    /// Nothing but time passed.
    Time,
    /// What the wall clock says now. Told before the first other input and whenever it is looked at again.
    Wall(Utc),
    /// The peer has shown this certificate, in DER, and it was accepted. Told in front of [`Input::Connected`].
    PeerCertificate(Connection, &'a [u8]),
    /// The connection is open; with TLS, the handshake is through.
    Connected(Connection),
    /// Bytes came, any number of them; with TLS, decrypted.
    Received(Connection, &'a [u8]),
    /// The connection could not be opened, or has ended; its slot is free.
    Closed(Connection, Closed),
    /// A datagram came for the DNS stub.
    Datagram(SocketAddr, &'a [u8]),
    /// A part of a file that was asked for; a file of no bytes has no part.
    FilePart(HostFile, &'a [u8]),
    /// The end of a file that was asked for.
    FileEnd(HostFile, Result<(), FileFault>),
    /// A file of the resolver that was asked for has not changed since it was read last.
    FileUnchanged(HostFile),
    /// What the file system at a path of the configuration says, by the path's place.
    FileSystem(u8, Result<FileSystem, FileFault>),
}

/// One wish of the machine, taken from [`crate::watchdog::Watchdog::poll`].
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Output<'a> {
    /// Open a connection: answered by [`Input::Connected`] or [`Input::Closed`]. `tls` is the server's name.
    Open(Connection, Peer<'a>, Option<&'a str>),
    /// Begin TLS with the server of this name on an open connection without: answered like [`Output::Open`].
    StartTls(Connection, &'a str),
    /// Send all of these bytes, as the peer takes them. At most 16 KiB for one connection.
    Write(Connection, &'a [u8]),
    /// Close the connection; nothing more is told about it.
    Close(Connection),
    /// Send a datagram to a DNS server. `fresh` asks for a socket with a new random port.
    Query {
        /// Where to.
        server: SocketAddr,
        /// The message.
        bytes: &'a [u8],
        /// Whether no question is under way, so that the socket can be replaced.
        fresh: bool,
    },
    /// Read a file: answered by any number of [`Input::FilePart`] and one [`Input::FileEnd`].
    ReadFile(HostFile),
    /// Ask a path's file system; answered by [`Input::FileSystem`], perhaps never.
    Stat(u8, &'a str),
    /// A line for the log: one logfmt line without its end, to be left out below the log level.
    Log(Level, &'a str),
    /// A signal's event or a message to people, as such a line; to be written whatever the log level.
    Event(&'a str),
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something may be.
    Warn,
    /// What an operator wants to have seen.
    #[default]
    Info,
    /// What a developer wants to have seen.
    Debug,
}

impl Level {
    /// Tells the word in a log line and in `WATCHDOG_LOG`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

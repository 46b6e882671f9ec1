//! The UDP sockets of the DNS stub in core: questions out, datagrams in.
//!
//! One socket for each address family, opened when it is first needed and replaced by one with a new random port whenever
//! the stub says that no question is under way. It must never look into a datagram: whether one is an answer is the
//! stub's to say. Limits: one datagram a call, as long as the caller's buffer. Tests: beside the code, over loopback.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use std::os::unix::fs::MetadataExt as _;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use watchdog_core::net::HostFile;

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Any address of the family, and a port that the kernel picks at random.
    const fn unbound(self) -> SocketAddr {
        match self {
            Self::V4 => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            Self::V6 => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
        }
    }
}

#[derive(Debug)]
struct Socket {
    socket: UdpSocket,
    readable: bool,
}

/// The sockets.
#[derive(Debug, Default)]
pub struct Resolver {
    v4: Option<Socket>,
    v6: Option<Socket>,
}

impl Resolver {
    /// Makes a resolver without a socket.
    pub const fn new() -> Self {
        Self { v4: None, v6: None }
    }

    /// Sends a question; `token` is what the socket reports with. A question that the kernel does not take is lost like
    /// one that the network loses: the stub asks again.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn send(
        &mut self,
        registry: &Registry,
        token: Token,
        server: SocketAddr,
        bytes: &[u8],
        port: Port,
    ) -> io::Result<()> {
        let family = Family::of(server);
        let place = self.place(family);
        let socket = match place {
            Some(open) if port == Port::Same => open,
            _ => {
                // The old descriptor goes first, so that a limit of descriptors is never met by our own spare one.
                *place = None;
                let mut socket = UdpSocket::bind(family.unbound())?;
                registry.register(&mut socket, token, Interest::READABLE)?;
                place.insert(Socket {
                    socket,
                    readable: false,
                })
            }
        };
        socket.socket.send_to(bytes, server).map(drop)
    }

    /// Notes that the kernel has datagrams.
    pub fn note_ready(&mut self, family: Family) {
        if let Some(socket) = self.place(family) {
            socket.readable = true;
        }
    }

    /// Takes one datagram into `buffer` and tells who sent it and how long it is; none if there is none now.
    pub fn receive(&mut self, family: Family, buffer: &mut [u8]) -> Option<(SocketAddr, usize)> {
        let socket = self.place(family).as_mut().filter(|socket| socket.readable)?;
        match socket.socket.recv_from(buffer) {
            Ok((bytes, from)) => Some((from, bytes)),
            Err(error) => {
                // Whatever failed, the next datagram reports itself; an interrupted call is asked again.
                socket.readable = error.kind() == ErrorKind::Interrupted;
                None
            }
        }
    }

    fn place(&mut self, family: Family) -> &mut Option<Socket> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// Whether a question goes out from the port of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// From the same, if there is one.
    Same,
    /// From a new random one.
    Fresh,
}

/// The stamp of a file: where it lies, how long it is, and when it was written.
type Stamp = (u64, u64, u64, i64, i64);

/// Remembers the resolver's files as they were when they were last read, so that only a change is read again.
#[derive(Debug, Default)]
pub struct Unchanged {
    hosts: Option<Stamp>,
    resolv_conf: Option<Stamp>,
}

impl Unchanged {
    /// Tells whether a file is the same as at the last call; other files than the resolver's never are.
    pub fn check(&mut self, file: HostFile) -> bool {
        let (known, path) = match file {
            HostFile::Hosts => (&mut self.hosts, "/etc/hosts"),
            HostFile::ResolvConf => (&mut self.resolv_conf, "/etc/resolv.conf"),
            _ => return false,
        };
        let before = *known;
        *known = stamp(path);
        before.is_some() && *known == before
    }

    /// Forgets a file that could not be read after all.
    pub fn forget(&mut self, file: HostFile) {
        match file {
            HostFile::Hosts => self.hosts = None,
            HostFile::ResolvConf => self.resolv_conf = None,
            _ => {}
        }
    }
}

fn stamp(path: &str) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.len(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::time::Duration;

    #[test]
    fn a_question_and_its_answer_pass_and_a_fresh_port_is_another_one() {
        // A server on loopback answers what it was sent; the second question comes from the same port, the third does
        // not have to hear what is still on its way to the old one.
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = server.local_addr().unwrap();
        let mut poll = Poll::new().unwrap();
        let mut resolver = Resolver::new();
        let mut buffer = [0; 512];
        let mut ports = Vec::new();
        for port in [Port::Fresh, Port::Same, Port::Fresh] {
            resolver
                .send(poll.registry(), Token(0xf1), address, b"question", port)
                .unwrap();
            let (bytes, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..bytes], b"question");
            ports.push(from.port());
            server.send_to(b"answer", from).unwrap();
            let mut events = Events::with_capacity(8);
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            resolver.note_ready(Family::V4);
            assert_eq!(resolver.receive(Family::V4, &mut buffer), Some((address, 6)));
            assert_eq!(resolver.receive(Family::V4, &mut buffer), None);
        }
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[1], ports[2]);
    }

    #[test]
    fn a_family_without_a_socket_has_nothing() {
        let mut resolver = Resolver::new();
        resolver.note_ready(Family::V6);
        assert_eq!(resolver.receive(Family::V6, &mut [0; 8]), None);
    }

    #[test]
    fn a_file_is_unchanged_from_the_second_look_on_and_never_one_that_is_not_the_resolvers() {
        let mut unchanged = Unchanged::default();
        assert!(!unchanged.check(HostFile::Hosts));
        assert!(unchanged.check(HostFile::Hosts));
        unchanged.forget(HostFile::Hosts);
        assert!(!unchanged.check(HostFile::Hosts));
        assert!(!unchanged.check(HostFile::MemInfo) && !unchanged.check(HostFile::MemInfo));
    }
}

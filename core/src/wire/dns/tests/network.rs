//! A small network for the resolver: scripted servers, datagrams that take their time, one connection, virtual time.

use super::*;

pub(super) const SLOT: u8 = 7;

/// A question as it came out of the resolver, over either carrier.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) at: u64,
    pub(super) server: String,
    pub(super) name: String,
    pub(super) family: Family,
    pub(super) fresh: bool,
    pub(super) over_tcp: bool,
}

/// What a server does with a question.
#[derive(Clone)]
pub(super) enum Act {
    Silent,
    /// Answers with these addresses (of the family that was asked), living so long.
    Addresses(&'static [&'static str], u32),
    /// Answers that the name is an alias of another, which has this address.
    Alias(&'static str, u32),
    Code(u8),
    Truncated,
    /// Answers after so many milliseconds.
    Late(u64, Box<Act>),
    /// Answers with bytes that are no records.
    Garbage,
}

pub(super) type Script = Box<dyn FnMut(&Asked) -> Act>;

/// Datagrams on their way: when, from whom, what.
pub(super) struct World {
    pub(super) resolver: Box<Resolver>,
    pub(super) now: u64,
    script: Script,
    pub(super) asked: StdVec<Asked>,
    on_the_way: StdVec<(u64, SocketAddr, StdVec<u8>)>,
    /// The connection that is open, its server, and whether it will be refused.
    pub(super) connection: Option<(Connection, SocketAddr)>,
    pub(super) refuses_tcp: bool,
    pub(super) closes: u32,
}

pub(super) fn read_question(bytes: &[u8]) -> (String, Family) {
    let mut labels = StdVec::new();
    let mut at = 12;
    while bytes[at] != 0 {
        let length = usize::from(bytes[at]);
        labels.push(String::from_utf8(bytes[at + 1..at + 1 + length].to_vec()).unwrap());
        at += 1 + length;
    }
    assert_eq!(bytes.len(), at + 5, "nothing behind the question");
    let family = match bytes[at + 2] {
        1 => Family::V4,
        28 => Family::V6,
        other => panic!("type {other}"),
    };
    (labels.join("."), family)
}

pub(super) fn response(query: &[u8], act: &Act, family: Family) -> StdVec<u8> {
    let mut bytes = query.to_vec();
    bytes[2] = 0x81;
    bytes[3] = 0x80;
    let mut records = StdVec::new();
    let mut record = |owner: &[u8], kind: u16, ttl_s: u32, data: &[u8]| {
        records.extend(owner);
        records.extend(kind.to_be_bytes());
        records.extend([0, 1]);
        records.extend(ttl_s.to_be_bytes());
        records.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        records.extend(data);
        bytes[7] += 1;
    };
    let mut address = |owner: &[u8], text: &str, ttl_s: u32| match (text.parse().unwrap(), family) {
        (IpAddr::V4(v4), Family::V4) => record(owner, 1, ttl_s, &v4.octets()),
        (IpAddr::V6(v6), Family::V6) => record(owner, 28, ttl_s, &v6.octets()),
        _ => {}
    };
    match act {
        Act::Addresses(addresses, ttl_s) => {
            addresses
                .iter()
                .for_each(|text| address(&[0xc0, 12], text, *ttl_s));
        }
        Act::Alias(text, ttl_s) => {
            address(b"\x05alias\x00", text, *ttl_s);
            record(&[0xc0, 12], 5, 1000, b"\x05alias\x00");
        }
        Act::Code(code) => bytes[3] |= code,
        Act::Truncated => bytes[2] |= 2,
        Act::Garbage => {
            bytes[7] = 1;
            records.push(0xff);
        }
        Act::Silent | Act::Late(..) => unreachable!("no answer"),
    }
    bytes.extend(records);
    bytes
}

impl World {
    pub(super) fn new(conf: &str, hosts: &str, script: impl FnMut(&Asked) -> Act + 'static) -> Self {
        let mut world = Self {
            resolver: Box::new(Resolver::new()),
            now: 1_000,
            script: Box::new(script),
            asked: vec![],
            on_the_way: vec![],
            connection: None,
            refuses_tcp: false,
            closes: 0,
        };
        world.resolver.start(42, None, SLOT);
        world.conf(conf);
        world.hosts(hosts);
        world
    }

    pub(super) fn conf(&mut self, text: &str) {
        self.resolver.resolv_conf_begin();
        self.resolver.resolv_conf_feed(text.as_bytes());
        self.resolver.resolv_conf_end(Instant::from_millis(self.now));
    }

    pub(super) fn hosts(&mut self, text: &str) {
        self.resolver.hosts_begin();
        self.resolver.hosts_feed(text.as_bytes());
        self.resolver.hosts_end();
    }

    pub(super) fn register(&mut self, host: &str) -> NameId {
        self.resolver.register(host).unwrap()
    }

    /// Looks up once, and drains.
    pub(super) fn lookup(&mut self, name: NameId) -> Seen {
        let now = Instant::from_millis(self.now);
        let seen = match self.resolver.lookup(now, name) {
            Lookup::Ready(addresses) => Seen::Ready(texts(addresses)),
            Lookup::Stale(addresses) => Seen::Stale(texts(addresses)),
            Lookup::Pending => Seen::Pending,
            Lookup::Failed(fault) => Seen::Failed(fault),
        };
        self.drain();
        seen
    }

    /// Looks up until there is an outcome; tells it and the milliseconds that it took.
    pub(super) fn resolve(&mut self, name: NameId) -> (Seen, u64) {
        let begun = self.now;
        loop {
            let seen = self.lookup(name);
            if seen != Seen::Pending {
                return (seen, self.now - begun);
            }
            self.step();
            assert!(self.now - begun < 120_000, "no outcome");
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
        self.drain();
    }

    pub(super) fn next_at(&self) -> Option<u64> {
        let deadline = self.resolver.deadline().map(Instant::as_millis);
        self.on_the_way.iter().map(|(at, ..)| *at).chain(deadline).min()
    }

    /// Jumps to the next thing that happens.
    pub(super) fn step(&mut self) {
        let at = self.next_at().expect("something is to happen");
        self.now = self.now.max(at);
        let now = Instant::from_millis(self.now);
        if let Some(place) = self.on_the_way.iter().position(|(at, ..)| *at <= self.now) {
            let (_, from, bytes) = self.on_the_way.remove(place);
            self.resolver.handle_datagram(now, from, &bytes);
        }
        self.drain();
        assert!(
            self.resolver.deadline().is_none_or(|deadline| deadline > now),
            "the next deadline lies ahead"
        );
    }

    pub(super) fn drain(&mut self) {
        let now = Instant::from_millis(self.now);
        for _ in 0..1000 {
            match self.resolver.poll(now) {
                None => return,
                Some(Output::Query { server, bytes, fresh }) => {
                    let query = bytes.to_vec();
                    self.datagram(server, &query, fresh);
                }
                Some(Output::Open(connection, Peer::Tcp(server), None)) => {
                    assert!(self.connection.replace((connection, server)).is_none());
                    assert_eq!(connection.slot, SLOT);
                    if self.refuses_tcp {
                        self.connection = None;
                        self.resolver.handle_closed(now, connection, Closed::Refused);
                    } else {
                        self.resolver.handle_connected(connection);
                    }
                }
                Some(Output::Write(connection, bytes)) => {
                    let query = bytes.to_vec();
                    self.stream(connection, &query);
                }
                Some(Output::Close(connection)) => {
                    assert_eq!(self.connection.take().unwrap().0, connection);
                    self.closes += 1;
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        panic!("poll does not end");
    }

    pub(super) fn note(
        &mut self,
        server: SocketAddr,
        query: &[u8],
        fresh: bool,
        over_tcp: bool,
    ) -> (Act, Family) {
        let (name, family) = read_question(query);
        let asked = Asked {
            at: self.now,
            server: server.to_string(),
            name,
            family,
            fresh,
            over_tcp,
        };
        let act = (self.script)(&asked);
        self.asked.push(asked);
        (act, family)
    }

    pub(super) fn datagram(&mut self, server: SocketAddr, query: &[u8], fresh: bool) {
        let (act, family) = self.note(server, query, fresh, false);
        let (delay, act) = match act {
            Act::Silent => return,
            Act::Late(delay, act) => (delay, *act),
            act => (10, act),
        };
        let bytes = response(query, &act, family);
        self.on_the_way.push((self.now + delay, server, bytes));
    }

    /// Answers over TCP at once, a byte at a time.
    pub(super) fn stream(&mut self, connection: Connection, query: &[u8]) {
        let (length, query) = query.split_at(2);
        assert_eq!(
            usize::from(u16::from_be_bytes([length[0], length[1]])),
            query.len()
        );
        let server = self.connection.unwrap().1;
        let (act, family) = self.note(server, query, false, true);
        if matches!(act, Act::Silent | Act::Late(..)) {
            return;
        }
        let bytes = response(query, &act, family);
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        for byte in length.iter().chain(&bytes) {
            let now = Instant::from_millis(self.now);
            self.resolver.handle_received(now, connection, &[*byte]);
        }
    }

    /// The names that were asked, without repetition by family.
    pub(super) fn names_asked(&self) -> StdVec<&str> {
        let mut names: StdVec<&str> = self.asked.iter().map(|asked| asked.name.as_str()).collect();
        names.dedup();
        names
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Ready(StdVec<String>),
    Stale(StdVec<String>),
    Pending,
    Failed(Fault),
}

pub(super) fn texts(addresses: &[IpAddr]) -> StdVec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

pub(super) fn ready(addresses: &[&str]) -> Seen {
    Seen::Ready(addresses.iter().map(ToString::to_string).collect())
}

pub(super) fn stale(addresses: &[&str]) -> Seen {
    Seen::Stale(addresses.iter().map(ToString::to_string).collect())
}

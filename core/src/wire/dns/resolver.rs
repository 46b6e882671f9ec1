//! The machine: all names, the two files, datagrams and the one stream.

use core::net::SocketAddr;

use heapless::Vec;

use super::ask::Step;
use super::entry::{Context, Entry};
use super::message::{Carrier, Query, parse};
use super::resolv_conf::Conf;
use super::stream::{self, Stream, is_same_server};
use super::{Family, Fault, Lookup, hosts, resolv_conf};
use crate::limits::CONNECTIONS_MAX;
use crate::net::{Closed, Connection, Output, Peer};
use crate::planted::{Planted, is_planted};
use crate::random::Random;
use crate::time::Instant;

const FAMILIES: [Family; 2] = [Family::V6, Family::V4];

/// A registered name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NameId(u8);

/// The resolver. Register names, tell it both files, then look names up; after each input drain [`Resolver::poll`].
///
/// One input makes it say at most two datagrams for each name, and one step of one connection.
pub struct Resolver {
    random: Random,
    /// `WATCHDOG_NAMESERVER`, if it is set: in place of the file's servers.
    own_server: Vec<SocketAddr, 1>,
    conf: Conf,
    conf_reader: resolv_conf::Reader,
    hosts_reader: hosts::Reader,
    has_conf: bool,
    has_hosts: bool,
    names: Vec<Entry, CONNECTIONS_MAX>,
    stream: Stream,
    out: Query,
}

/// What is to be sent, before its bytes are borrowed.
enum Wish {
    Query { server: SocketAddr, fresh: bool },
    Open(SocketAddr),
    Write,
    Close,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolver {
    /// Makes a resolver without names. All zero bits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            random: Random::new(0),
            own_server: Vec::new(),
            conf: Conf::EMPTY,
            conf_reader: resolv_conf::Reader::new(),
            hosts_reader: hosts::Reader::new(),
            has_conf: false,
            has_hosts: false,
            names: Vec::new(),
            stream: Stream::new(),
            out: Query::new(),
        }
    }

    /// Sets what holds for the whole run: the seed of the questions' numbers, the server that is asked in place of
    /// those of `/etc/resolv.conf`, and the slot of connections for answers that are too long for a datagram.
    pub fn start(&mut self, seed: u64, server: Option<SocketAddr>, slot: u8) {
        self.random = Random::new(seed);
        self.own_server.clear();
        if let Some(server) = server {
            let _ = self.own_server.push(server);
        }
        self.stream.connection.slot = slot;
    }

    /// Registers a host, or finds it again; none if there are [`CONNECTIONS_MAX`] others, or it is longer than a name.
    ///
    /// A hosts file that was read before does not count for it: register first.
    pub fn register(&mut self, host: &str) -> Option<NameId> {
        let place = match self.names.iter().position(|entry| entry.is_for(host)) {
            Some(place) => place,
            None => {
                self.names.push(Entry::new(host)?).ok()?;
                self.names.len().checked_sub(1)?
            }
        };
        u8::try_from(place).ok().map(NameId)
    }

    /// Tells whether there is a name that the files have a say in: not an address.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.names.iter().any(|entry| !entry.is_address())
    }

    /// Tells what is known of a name, and sees to it that more will be.
    ///
    /// Until both files were read once, only addresses and names of the hosts file are known.
    pub fn lookup(&mut self, now: Instant, name: NameId) -> Lookup<'_> {
        let is_ready = self.has_conf && self.has_hosts;
        let mut context = Context {
            now,
            conf: &self.conf,
            random: &mut self.random,
        };
        match self.names.get_mut(usize::from(name.0)) {
            Some(entry) if is_ready => {
                // Whoever waits looks before the next poll and not after it: what is over by now must show here.
                if !is_planted(Planted::WaitNotEnded) {
                    entry.expire(&mut context);
                }
                entry.lookup(&mut context)
            }
            Some(entry) => entry.lookup_without_servers(),
            None => Lookup::Failed(Fault::BadName),
        }
    }

    /// Tells that a connection to this address of the name came about: it is tried first from now on.
    pub fn worked(&mut self, name: NameId, address: core::net::IpAddr) {
        if let Some(entry) = self.names.get_mut(usize::from(name.0)) {
            entry.prefer(address);
        }
    }

    /// Begins to read `/etc/hosts`. What it said before holds until the end.
    pub fn hosts_begin(&mut self) {
        self.hosts_reader.reset();
        self.names.iter_mut().for_each(Entry::hosts_begin);
    }

    /// Reads a part of `/etc/hosts`.
    pub fn hosts_feed(&mut self, bytes: &[u8]) {
        let names = &mut self.names;
        self.hosts_reader.feed(bytes, &mut |address, name| {
            names.iter_mut().for_each(|entry| entry.hosts_line(address, name));
        });
    }

    /// Ends `/etc/hosts`. A file that is missing is begun and ended.
    pub fn hosts_end(&mut self) {
        let names = &mut self.names;
        self.hosts_reader.end(&mut |address, name| {
            names.iter_mut().for_each(|entry| entry.hosts_line(address, name));
        });
        self.names.iter_mut().for_each(Entry::hosts_end);
        self.has_hosts = true;
    }

    /// Begins to read `/etc/resolv.conf`. What it said before holds until the end.
    pub fn resolv_conf_begin(&mut self) {
        self.conf_reader.begin();
    }

    /// Reads a part of `/etc/resolv.conf`.
    pub fn resolv_conf_feed(&mut self, bytes: &[u8]) {
        self.conf_reader.feed(bytes);
    }

    /// Ends `/etc/resolv.conf`. A file that is missing is begun and ended. If it says something new, what is under way
    /// begins again by it, and failures are forgotten.
    pub fn resolv_conf_end(&mut self, now: Instant) {
        let read = self.conf_reader.end();
        if let [server] = self.own_server.as_slice() {
            read.servers.clear();
            let _ = read.servers.push(*server);
        }
        self.has_conf = true;
        if *read == self.conf {
            return;
        }
        self.conf.clone_from(read);
        let mut context = Context {
            now,
            conf: &self.conf,
            random: &mut self.random,
        };
        for entry in &mut self.names {
            entry.restart(&mut context);
        }
    }

    /// Takes a datagram. One that is not the answer to a question that is under way counts for nothing.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let same = |server: &SocketAddr| is_same_server(*server, from);
        let Some(place) = self.conf.servers.iter().position(same) else {
            return;
        };
        let Some(id) = bytes.first_chunk().map(|id| u16::from_be_bytes(*id)) else {
            return;
        };
        let mut context = Context {
            now,
            conf: &self.conf,
            random: &mut self.random,
        };
        for entry in &mut self.names {
            for family in FAMILIES {
                if !entry.ask(family).awaits(id, place) {
                    continue;
                }
                let reply = entry
                    .question(family, context.conf)
                    .and_then(|question| parse(bytes, Carrier::Datagram, &question));
                if let Some(reply) = reply {
                    entry.answered(family, reply, &mut context);
                    return;
                }
            }
        }
    }

    /// Takes that the connection is open.
    pub fn handle_connected(&mut self, connection: Connection) {
        if self.stream.is(connection) && self.stream.step == stream::Step::Opening {
            self.stream.step = stream::Step::ToWrite;
        }
    }

    /// Takes bytes of the connection.
    pub fn handle_received(&mut self, now: Instant, connection: Connection, bytes: &[u8]) {
        if !self.stream.is(connection) || self.stream.step != stream::Step::Reading {
            return;
        }
        let family = self.stream.family;
        let Some(entry) = self.names.get_mut(usize::from(self.stream.name)) else {
            return;
        };
        if entry.ask(family).step != Step::Streamed {
            return self.stream.abandon();
        }
        let Some(message) = self.stream.take(bytes) else {
            return;
        };
        let reply = entry
            .question(family, &self.conf)
            .and_then(|question| parse(message, Carrier::Stream, &question));
        self.stream.abandon();
        let mut context = Context {
            now,
            conf: &self.conf,
            random: &mut self.random,
        };
        match reply {
            Some(reply) => entry.answered(family, reply, &mut context),
            None => entry.try_failed(family, Fault::Unreadable, &mut context),
        }
    }

    /// Takes that the connection could not be opened, or has ended.
    pub fn handle_closed(&mut self, now: Instant, connection: Connection, closed: Closed) {
        if !self.stream.is(connection) {
            return;
        }
        self.stream.step = stream::Step::Idle;
        let family = self.stream.family;
        let mut context = Context {
            now,
            conf: &self.conf,
            random: &mut self.random,
        };
        match self.names.get_mut(usize::from(self.stream.name)) {
            Some(entry) if entry.ask(family).step == Step::Streamed => {
                entry.try_failed(family, Fault::StreamFailed(closed), &mut context);
            }
            _ => {}
        }
    }

    /// Tells when to call [`Resolver::poll`] again if nothing happens. May change with every other call.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.names.iter().filter_map(Entry::deadline).min()
    }

    /// Ends what took too long, and tells the next wish.
    pub fn poll(&mut self, now: Instant) -> Option<Output<'_>> {
        let mut context = Context {
            now,
            conf: &self.conf,
            random: &mut self.random,
        };
        for entry in &mut self.names {
            entry.expire(&mut context);
        }
        let wish = self.poll_stream().or_else(|| self.poll_datagram(now))?;
        let connection = self.stream.connection;
        Some(match wish {
            Wish::Open(server) => Output::Open(connection, Peer::Tcp(server), None),
            Wish::Write => Output::Write(connection, &self.out),
            Wish::Close => Output::Close(connection),
            Wish::Query { server, fresh } => Output::Query {
                server,
                bytes: &self.out,
                fresh,
            },
        })
    }

    fn poll_stream(&mut self) -> Option<Wish> {
        let family = self.stream.family;
        let entry = self.names.get(usize::from(self.stream.name));
        if entry.is_none_or(|entry| entry.ask(family).step != Step::Streamed) {
            self.stream.abandon();
        }
        match self.stream.step {
            stream::Step::Idle => self.begin_stream(),
            stream::Step::ToWrite => self.write_stream(),
            stream::Step::ToClose => {
                self.stream.step = stream::Step::Idle;
                Some(Wish::Close)
            }
            stream::Step::Opening | stream::Step::Reading => None,
        }
    }

    /// Begins the exchange of the first question that waits for one.
    fn begin_stream(&mut self) -> Option<Wish> {
        let (place, family) = self.find(Step::ToStream)?;
        let entry = self.names.get_mut(place)?;
        let server = entry.server_place(family, &self.conf)?;
        let server = *self.conf.servers.get(server)?;
        entry.ask_mut(family).step = Step::Streamed;
        self.stream.begin(u8::try_from(place).ok()?, family);
        Some(Wish::Open(server))
    }

    fn write_stream(&mut self) -> Option<Wish> {
        let entry = self.names.get(usize::from(self.stream.name))?;
        let question = entry.question(self.stream.family, &self.conf)?;
        self.out.clear();
        // The length comes first, and is known last.
        self.out.extend_from_slice(&[0, 0]).ok()?;
        question.emit(&mut self.out)?;
        let length = u16::try_from(self.out.len()).ok()?.checked_sub(2)?;
        *self.out.first_chunk_mut()? = length.to_be_bytes();
        self.stream.step = stream::Step::Reading;
        Some(Wish::Write)
    }

    fn poll_datagram(&mut self, now: Instant) -> Option<Wish> {
        let (place, family) = self.find(Step::ToSend)?;
        let fresh = self.find(Step::Sent).is_none();
        let entry = self.names.get_mut(place)?;
        let server = entry.server_place(family, &self.conf)?;
        let server = *self.conf.servers.get(server)?;
        self.out.clear();
        entry.question(family, &self.conf)?.emit(&mut self.out)?;
        entry.ask_mut(family).sent(now, &self.conf);
        Some(Wish::Query { server, fresh })
    }

    /// Finds the first question at this step.
    fn find(&self, step: Step) -> Option<(usize, Family)> {
        self.names.iter().enumerate().find_map(|(place, entry)| {
            let family = FAMILIES
                .into_iter()
                .find(|family| entry.ask(*family).step == step)?;
            Some((place, family))
        })
    }
}

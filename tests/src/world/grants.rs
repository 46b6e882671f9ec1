//! What comes of the machine's wishes: files read, connections opened, requests taken to their peers.

use watchdog_core::net::{Closed, Connection, FileFault, HostFile, Input, Output, Peer};

use super::detail::Moment;
use super::frame::Call;
use super::hash::Hash;
use super::names::Names;
use super::options::{SECRET, SECRETS, TOKEN};
use super::peers::{Answer, Meaning};
use super::weather::Fault;
use super::{Event, Wish, World, alertmanager, host, names, peers, proxy, request, ways};

impl World<'_> {
    pub(super) fn grant(&mut self, wish: Wish) -> Result<(), String> {
        match wish {
            Wish::Event(_) => Ok(()),
            Wish::Close(connection) => {
                if self.is_open(connection) {
                    self.open.remove(&connection.slot);
                    self.engine_lost(connection);
                }
                Ok(())
            }
            Wish::Open(connection, port, address, server) => {
                let wanted = self.server_of(port);
                if !self.is_address_of(&address, port) || server != wanted {
                    return Err(format!(
                        "opens {address} port {port} with TLS {server:?}, wanted {wanted:?}"
                    ));
                }
                self.names.found(port);
                self.connect(connection, port)
            }
            Wish::Secure(connection, name) => self.secure(connection, &name),
            Wish::Write(connection, bytes) => self.written(connection, &bytes),
            Wish::Query(server, bytes) => {
                Names::read(&bytes)?;
                let fault = self.weather[4].at(self.now, &mut self.dice);
                let answer = peers::resolve(&bytes, fault)?;
                if let Some(answer) = answer.and_then(|answer| self.names.answered(&bytes, answer, fault)) {
                    let delay = self.dice.between(1, 60);
                    self.plan(delay, Event::Datagram(server, answer));
                }
                Ok(())
            }
            Wish::Stat(place) => {
                let delay = match &mut self.host {
                    Some(host) => host.asked(place)?,
                    None => Some(1),
                };
                if let Some(delay) = delay {
                    self.plan(delay, Event::Stat(place));
                }
                Ok(())
            }
            Wish::File(file) => self.read(file),
        }
    }

    pub(super) fn read(&mut self, file: HostFile) -> Result<(), String> {
        if let Some(host) = &mut self.host {
            if file == HostFile::MountInfo {
                host.begin_tick();
            }
            if let Some((text, end)) = host.text(file) {
                self.handle(Input::FilePart(file, text.as_bytes()))?;
                return self.handle(Input::FileEnd(file, end));
            }
        }
        let text = match file {
            HostFile::MemInfo => {
                self.tick_began = self.now;
                self.things.turn(&mut self.dice);
                if let Some(living) = &mut self.living {
                    living.judge.tick_began = self.now;
                }
                self.seen.memory = self.things.memory;
                let swap = self.host.as_ref().map(host::Host::swap).unwrap_or_default();
                self.things.memory.map(|percent| {
                    format!("MemTotal: 10000 kB\nMemFree: 5 kB\nMemAvailable: {percent}00 kB\n{swap}")
                })
            }
            HostFile::Hosts => Some("127.0.0.1 localhost\n".to_owned()),
            HostFile::ResolvConf => Some("nameserver 127.0.0.53\n".to_owned()),
            _ => None,
        };
        match text {
            Some(text) => {
                let cut = usize::try_from(self.dice.below(text.len() as u64)).expect("an index");
                self.handle(Input::FilePart(file, &text.as_bytes()[..cut]))?;
                self.handle(Input::FilePart(file, &text.as_bytes()[cut..]))?;
                self.handle(Input::FileEnd(file, Ok(())))
            }
            None => self.handle(Input::FileEnd(file, Err(FileFault::NotFound))),
        }
    }

    pub(super) fn peer(port: u16) -> usize {
        match port {
            8500 => 0,
            0 => 1,
            8443 => 2,
            _ => 3,
        }
    }

    pub(super) fn connect(&mut self, connection: Connection, port: u16) -> Result<(), String> {
        self.open.insert(connection.slot, (connection, port));
        self.first_open.entry(connection.slot).or_insert(self.now);
        if port == 0 {
            self.engine_opened(connection);
        }
        let (fault, dice) = self.met(connection, port)?;
        let delay = dice.between(1, 50);
        self.seen.befell.note(connection.slot, Moment::Met, fault);
        let is_away = port == 0 && self.engine_is_away(fault.is_some());
        let fault = if is_away { Some(Fault::Refused) } else { fault };
        if port == 8443 {
            self.channel.fault = fault;
        }
        let is_bare = usize::from(port) + 1 == 7000 + self.options.dependencies;
        let event = match fault {
            Some(Fault::BlackHole) => return Ok(()),
            Some(Fault::Refused) => Event::Closed(connection, Closed::Refused, None),
            Some(Fault::Unreachable) => Event::Closed(connection, Closed::Unreachable, None),
            _ => Event::Connected(connection, is_bare.then_some(Meaning::Dependency(true))),
        };
        self.plan(delay, event);
        Ok(())
    }

    pub(super) fn written(&mut self, connection: Connection, bytes: &[u8]) -> Result<(), String> {
        let Some((_, port)) = self
            .open
            .get(&connection.slot)
            .copied()
            .filter(|(open, _)| *open == connection)
        else {
            return Err("bytes for a connection that is not open".to_owned());
        };
        if let Some(events) = self.answered_beside(connection, port, bytes)? {
            self.plan_all(events);
            return Ok(());
        }
        let port = if port == proxy::PORT { 8443 } else { port };
        let request = request::parse(bytes)?;
        ways::check_secrets(bytes, port)?;
        if port != 8443 && request.method != "GET" {
            return Err(format!("{} to port {port}", request.method));
        }
        if !matches!(port, 0 | 8443) {
            self.check_get(&request, port)?;
        }
        let fault = self.weather[Self::peer(port)].at(self.now, &mut self.dice);
        self.seen.befell.note(connection.slot, Moment::Asked, fault);
        if port == 8443 {
            self.channel.fault = fault;
        }
        if port == 0 && self.living.is_some() {
            let slow = self.engine_is_slow(request.path).then_some(Fault::Slow);
            if let Some(answer) = self.engine_answer(connection, request.path, fault)? {
                let events = ways::pieces(connection, answer, fault.or(slow), &mut self.dice);
                self.plan_all(events);
            }
            return Ok(());
        }
        let answer = match port {
            8500 => self.things.envelope(fault, &mut self.dice),
            0 => self.things.engine(request.path, fault, &mut self.dice)?,
            8443 => self.telegram(&request, fault)?,
            _ => self.things.dependency(fault, &mut self.dice),
        };
        let events = ways::pieces(connection, answer, fault, &mut self.dice);
        self.plan_all(events);
        Ok(())
    }

    /// Whether whoever listens at this port is there; a name may have many addresses of this host.
    fn is_address_of(&self, address: &str, port: u16) -> bool {
        match port {
            0 => address == "/run/engine.sock",
            names::PORT => address == "127.0.0.53",
            _ if self.options.names => address.starts_with("127.0.0."),
            _ => address == "127.0.0.1",
        }
    }

    /// The name by which TLS is to begin at once.
    fn server_of(&self, port: u16) -> Option<String> {
        let place = alertmanager::at_port(port)?;
        let drawn = self.options.alertmanagers.get(place)?;
        drawn.secure.then(|| self.options.host("alerts"))
    }

    /// What is asked of an orchestrator or a dependency, and of whom.
    fn check_get(&self, request: &request::Request<'_>, port: u16) -> Result<(), String> {
        let (name, path) = if port == 8500 {
            ("orch", "metrics")
        } else {
            ("dep", "health")
        };
        let host = format!("{}:{port}", self.options.host(name));
        if request.path != format!("/{path}?key={SECRET}") || request.field("Host") != Some(host.as_str()) {
            return Err(format!("port {port} is asked by {request:?}"));
        }
        Ok(())
    }

    pub(super) fn plan_all(&mut self, events: Vec<(u64, Event)>) {
        for (delay, event) in events {
            self.plan(delay, event);
        }
    }

    pub(super) fn telegram(
        &mut self,
        request: &request::Request<'_>,
        fault: Option<Fault>,
    ) -> Result<Answer, String> {
        if request.path != format!("/bot{TOKEN}/sendMessage") || request.method != "POST" {
            return Err("a strange request to the Bot API".to_owned());
        }
        let call = Call::read(request.body)?;
        if SECRETS.iter().any(|secret| call.shown.contains(secret)) {
            return Err(format!("a secret: {}", call.shown));
        }
        let message = self.oracle.message(&call)?;
        if self.now < self.not_before {
            return Err(format!(
                "sent {} ms before retry_after",
                self.not_before - self.now
            ));
        }
        let gap = match () {
            () if message.has_master => 1_000,
            () if self.overflow => 60_000,
            () => 5_000,
        };
        if !message.is_start && self.accepted_at.is_some_and(|at| self.now < at + gap) {
            return Err("sent too soon after the last message".to_owned());
        }
        if self.unacknowledged && !message.is_again {
            return Err("repeats what may have arrived without saying so".to_owned());
        }
        // What was said to a proxy that only seemed to consent may be in doubt too.
        let (frame, resumed_at) = (&mut self.oracle.frame, self.channel.resumed_at);
        if message.is_again && self.proxy.is_none() && !frame.is_in_doubt(resumed_at) {
            return Err("says that the last message may have arrived, and it did not".to_owned());
        }
        frame.sent(fault, resumed_at, self.now);
        let answer = peers::telegram(fault, &mut self.dice);
        if answer.is_taken {
            self.unacknowledged = true;
            self.leaves_some = message.left > 0;
        }
        Ok(answer)
    }
}

/// Copies a wish out of the machine, looks for secrets in it, and folds it into the hash.
pub(super) fn wish_of(output: Output<'_>, hash: &mut Hash) -> Result<Option<Wish>, String> {
    if let Output::Log(_, line) | Output::Event(line) = &output {
        if SECRETS.iter().any(|secret| line.contains(secret)) || line.contains('\n') {
            return Err(format!("a secret or a line feed in {line:?}"));
        }
        if matches!(output, Output::Log(..)) {
            hash.fold_text(line);
        }
    }
    let wish = match output {
        Output::Open(connection, Peer::Tcp(address), server) => Some(Wish::Open(
            connection,
            address.port(),
            address.ip().to_string(),
            server.map(str::to_owned),
        )),
        Output::Open(connection, Peer::Unix(path), server) => Some(Wish::Open(
            connection,
            0,
            path.to_owned(),
            server.map(str::to_owned),
        )),
        Output::Write(connection, bytes) => Some(Wish::Write(connection, bytes.to_vec())),
        Output::StartTls(connection, name) => Some(Wish::Secure(connection, name.to_owned())),
        Output::Close(connection) => Some(Wish::Close(connection)),
        Output::Query { server, bytes, .. } => Some(Wish::Query(server, bytes.to_vec())),
        Output::ReadFile(file) => Some(Wish::File(file)),
        Output::Stat(place, _) => Some(Wish::Stat(place)),
        Output::Log(..) => None,
        Output::Event(line) => Some(Wish::Event(line.to_owned())),
    };
    if let Some(wish) = &wish {
        hash.fold_wish(wish);
    }
    Ok(wish)
}

//! The world's side of the living engine: its answers, its stream of events, and what of it reached the machine.

use std::collections::BTreeMap;

use super::containers::{Judge, Snapshot};
use super::engine::Engine;
use super::looks::Look;
use super::options::Options;
use super::peers::{Answer, Meaning, served};
use super::stream::{self, Cut, Happened, Stream};
use super::troubles::{InspectMode, Step};
use super::weather::Fault;
use super::{Event, World};
use watchdog_core::net::{Closed, Connection};

/// An engine and the judge of its containers.
pub struct Living {
    /// The engine.
    pub engine: Engine,
    /// The judge.
    pub judge: Judge,
    events_refused: bool,
    /// When each connection was opened.
    asked_at: BTreeMap<u8, u64>,
}

/// One event on its way to the machine, and when it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    happened: Happened,
    at: u64,
}

impl Living {
    /// The engine of these options, if it lives.
    pub fn of(options: &Options, now: u64) -> Option<Self> {
        let life = options.engine.as_ref().filter(|_| options.docker)?;
        Some(Self {
            engine: Engine::new(&life.troubles, options.seed, now),
            judge: Judge::new(options),
            events_refused: life.events_refused,
            asked_at: BTreeMap::new(),
        })
    }
}

impl World<'_> {
    /// Something happens at the engine.
    pub fn engine_step(&mut self, step: Step) {
        let now = self.now;
        if let Some(living) = &mut self.living {
            living.engine.step(step, now);
        }
        self.engine_stepped();
    }

    /// What the engine did goes on its way.
    pub fn engine_stepped(&mut self) {
        let now = self.now;
        let Some(living) = &mut self.living else { return };
        living.judge.observe(&living.engine, now);
        let plans = std::mem::take(&mut living.engine.plans);
        self.flow();
        for (delay, step) in plans {
            self.plan(delay, Event::Engine(step));
        }
        let Some(living) = &mut self.living else { return };
        if std::mem::take(&mut living.engine.closes_all) {
            living.engine.stream = None;
            living.judge.gap_at = now;
            let cut: Vec<Connection> = self
                .open
                .values()
                .filter(|(_, port)| *port == 0)
                .map(|(connection, _)| *connection)
                .collect();
            for connection in cut {
                let delay = self.dice.between(1, 40);
                self.plan(delay, Event::Closed(connection, Closed::Reset, None));
            }
        }
    }

    /// Sends what the stream of events has not had yet.
    fn flow(&mut self) {
        let now = self.now;
        let Some(living) = &mut self.living else { return };
        let Some(mut stream) = living.engine.stream.take() else {
            return;
        };
        let events = living.engine.events_from(stream.next);
        stream.next = living.engine.numbered;
        let is_open = self.is_open(stream.connection);
        for happened in events.into_iter().filter(|_| is_open) {
            self.send_event(&mut stream, happened, now);
        }
        if let Some(living) = self.living.as_mut().filter(|_| is_open) {
            living.engine.stream = Some(stream);
        }
    }

    fn send_event(&mut self, stream: &mut Stream, happened: Happened, now: u64) {
        let Some(living) = self.living.as_mut().filter(|_| !stream.silent) else {
            return;
        };
        let dice = &mut living.engine.dice;
        let (bytes, whole) = happened.chunk();
        let length = bytes.len() as u64;
        let cut = stream.cut.take();
        let kept = usize::try_from(if cut.is_some() { dice.below(length) } else { length }).expect("small");
        let middle = usize::try_from(dice.below(length)).expect("small").min(kept);
        let first_at = stream.arrives_at.max(now + dice.between(1, 60));
        let second_at = first_at + dice.between(0, 60);
        stream.arrives_at = second_at;
        stream.silent = cut.is_some();
        if kept > 0 {
            // It may be known from its last brace on.
            let known = &mut living.engine.heard_ns;
            known.1 = known.1.max(happened.ns);
        }
        let sent = Sent { happened, at: now };
        for (from, to, at) in [(0, middle, first_at), (middle, kept, second_at)] {
            let meaning = (from < whole && to >= whole).then(|| Meaning::Happened(sent.clone()));
            if from < to {
                self.plan(
                    at - now,
                    Event::Bytes(stream.connection, bytes[from..to].to_vec(), meaning),
                );
            }
        }
        let closed = match cut {
            Some(Cut::Reset) => Closed::Reset,
            Some(Cut::Closed) => Closed::ByPeer,
            Some(Cut::Silence) | None => return,
        };
        self.plan(
            second_at + 1 - now,
            Event::Closed(stream.connection, closed, None),
        );
    }

    /// A connection is no more.
    pub fn engine_lost(&mut self, connection: Connection) {
        let now = self.now;
        let Some(living) = &mut self.living else { return };
        if living
            .engine
            .stream
            .is_some_and(|stream| stream.connection == connection)
        {
            living.engine.stream = None;
            living.judge.gap_at = now;
        }
    }

    /// The machine has this event.
    pub fn engine_heard(&mut self, sent: &Sent) {
        let now = self.now;
        let Some(living) = &mut self.living else { return };
        let known = &mut living.engine.heard_ns;
        known.0 = known.0.max(sent.happened.ns);
        living.judge.heard(&sent.happened, sent.at, now, &living.engine);
    }

    /// A connection to it is wished for.
    pub fn engine_opened(&mut self, connection: Connection) {
        if let Some(living) = &mut self.living {
            living.asked_at.insert(connection.slot, self.now);
        }
    }

    /// The machine has this look.
    pub fn engine_looked(&mut self, connection: Connection, look: Look) {
        let now = self.now;
        let Some(living) = &mut self.living else { return };
        let asked_at = living.asked_at.get(&connection.slot).copied().unwrap_or(0);
        living.judge.looked(look, asked_at, now);
        living.judge.observe(&living.engine, now);
    }

    /// The living engine's answer; none if it never comes.
    ///
    /// # Errors
    /// A request that the engine is not to be asked.
    pub fn engine_answer(
        &mut self,
        connection: Connection,
        path: &str,
        fault: Option<Fault>,
    ) -> Result<Option<Answer>, String> {
        let (now, dice) = (self.now, &mut self.dice);
        let living = self.living.as_mut().ok_or("no engine")?;
        let path = path.strip_prefix("/v1.41").unwrap_or(path);
        if path == "/_ping" {
            return Ok(Some(Answer::new("200 OK", "OK", None, dice)));
        }
        if path == "/containers/json?all=1" {
            let meaning = Meaning::Containers(Snapshot::of(&living.engine, now));
            return Ok(Some(served(&living.engine.list(now), meaning, fault, dice)));
        }
        if path.starts_with("/events") {
            return self.engine_events(connection, path, fault);
        }
        let Some(id) = path
            .strip_prefix("/containers/")
            .and_then(|rest| rest.strip_suffix("/json"))
        else {
            return Err(format!("the engine was asked {path}"));
        };
        let mode = living.engine.inspect;
        if mode != InspectMode::Well || fault.is_some() {
            living.judge.inspect_gap_at = now;
        }
        let known = living.engine.inspect(id).filter(|_| mode != InspectMode::Missing);
        let known = known.map(|(text, one)| (text, Look::at(one, now)));
        Ok(match (mode, known) {
            (InspectMode::Hangs, _) => None,
            (InspectMode::Broken, _) => Some(Answer::new("500 Oops", "{}", None, dice)),
            (InspectMode::Refused, _) => Some(Answer::new("403 Forbidden", "no", None, dice)),
            (_, None) => Some(Answer::new("404 Not Found", "{}", None, dice)),
            (_, Some((text, look))) => Some(served(&text, Meaning::Looked(look), fault, dice)),
        })
    }

    /// Tells whether nobody listens at the engine's socket; notes that it can not be asked well.
    pub fn engine_is_away(&mut self, has_fault: bool) -> bool {
        let now = self.now;
        let Some(living) = &mut self.living else {
            return false;
        };
        if has_fault || !living.engine.up {
            living.judge.inspect_gap_at = now;
        }
        !living.engine.up
    }

    /// Whether the answer to this path takes some seconds.
    pub fn engine_is_slow(&self, path: &str) -> bool {
        let is_slow = |living: &Living| living.engine.inspect == InspectMode::Slow;
        self.living.as_ref().is_some_and(is_slow) && path.ends_with("/json")
    }

    fn engine_events(
        &mut self,
        connection: Connection,
        path: &str,
        fault: Option<Fault>,
    ) -> Result<Option<Answer>, String> {
        let (now, dice) = (self.now, &mut self.dice);
        let living = self.living.as_mut().ok_or("no engine")?;
        let since = stream::since_of(path)?;
        let (heard, perhaps) = living.engine.heard_ns;
        // From behind what it has, or it misses what happened meanwhile or is told of it twice.
        let is_right = match since {
            None => heard == 0,
            Some(since) => since > heard && since <= perhaps + 1,
        };
        if !is_right {
            return Err(format!(
                "events were asked for since {since:?}, and {heard} to {perhaps} is known"
            ));
        }
        if living.events_refused {
            return Ok(Some(Answer::new("403 Forbidden", "no", None, dice)));
        }
        match fault {
            None | Some(Fault::Slow) => {}
            Some(Fault::Broken) => return Ok(Some(Answer::new("500 Oops", "", None, dice))),
            Some(_) => {
                self.plan(20, Event::Closed(connection, Closed::Reset, None));
                return Ok(None);
            }
        }
        let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nTransfer-Encoding: chunked\r\n\r\n";
        let delay = dice.between(1, 80);
        living.engine.stream = Some(Stream {
            connection,
            next: since.map_or(living.engine.numbered, |since| living.engine.number_since(since)),
            arrives_at: now + delay,
            silent: false,
            cut: None,
        });
        self.plan(delay, Event::Bytes(connection, head.into(), None));
        self.flow();
        Ok(None)
    }
}

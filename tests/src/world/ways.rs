//! The ways to the peers: which one listens where, what is in the way, and how answers come.
//!
//! Alertmanagers, the proxy and the name server's connections have weather and dice of their own.

use super::alertmanager;
use super::beat;
use super::dice::Dice;
use super::names;
use super::options::{SECRET, SECRETS, TOKEN};
use super::peers::Answer;
use super::proxy::{self, Proxy};
use super::request;
use super::weather::Fault;
use super::{Event, Seen, Wish, World};
use watchdog_core::net::{Closed, Connection};

/// The longest wait of a resolver, and what was begun before it, are over so long after a storm.
const WAITS_END_MS: u64 = 90_000;
/// A tick in fair weather: four names, each with a question over TCP for either family, and an answer in a few pieces.
const TICK_MS: u64 = 3_000;

impl World<'_> {
    /// Holds alerts against what was logged.
    pub(super) fn judge_alerts(&mut self, wishes: &[Wish]) -> Result<(), String> {
        if wishes.iter().any(|wish| matches!(wish, Wish::Event(_))) {
            self.alerting.note(&self.oracle.signals, self.now);
        }
        for place in 0..self.alerting.managers.len() {
            if let Some(shipped) = self.watchdog.alertmanager(place) {
                self.alerting.counted(place, shipped, self.now)?;
                let mut ports = self.open.values().map(|(_, port)| *port);
                let is_asked = ports.any(|port| alertmanager::at_port(port) == Some(place));
                if shipped.due_at().is_none() && !is_asked {
                    self.alerting.idle(place, self.wall_now())?;
                }
            }
        }
        Ok(())
    }

    /// Holds the heartbeats that were begun against the ticks.
    pub(super) fn judge_beats(&mut self, ticked: bool, wishes: &[Wish]) -> Result<(), String> {
        let Some(beat) = &mut self.beat else {
            return Ok(());
        };
        let opened = wishes
            .iter()
            .filter(|wish| matches!(wish, Wish::Open(_, beat::PORT, ..)));
        let ended_tick = ticked.then_some(self.ticks);
        let counts = self.watchdog.heartbeat().counts();
        beat.handled(
            ended_tick,
            opened.count(),
            self.options.interval_ms,
            counts,
            self.now,
        )
    }

    /// Tells since when nothing has been in the way of an address for this port, if nothing is.
    pub(super) fn address_fair_since(&self, port: u16) -> Option<u64> {
        if !self.options.names {
            return Some(0);
        }
        self.names.fair_since(port, &self.weather[4], self.now)
    }

    /// Whoever could be reached all through a tick was seen in it.
    ///
    /// # Errors
    /// One was not.
    pub(super) fn judge_sight(&self, seen: &Seen) -> Result<(), String> {
        let began = self.tick_began;
        if self.channel.resumed_at >= began {
            return Ok(());
        }
        let was_there = |peer: usize, port: u16| {
            let fair = self.weather[peer].fair_now(self.now);
            let address = self.address_fair_since(port);
            fair.max(address).is_some_and(|since| since < began) && fair.is_some() && address.is_some()
        };
        if was_there(0, 8500) && seen.envelope.is_none() {
            return Err("the orchestrator was there and was not seen".to_owned());
        }
        for (place, port) in (0..self.options.dependencies).zip(7000..) {
            let is_seen = seen.dependencies.get(&place).is_some_and(|(good, _)| *good);
            if was_there(3, port) && !is_seen {
                return Err(format!("dependency {place} was there and was not seen"));
            }
        }
        Ok(())
    }

    /// A message that was taken began in time, by what is known by now of the weather before it.
    ///
    /// # Errors
    /// A line of it is late.
    pub(super) fn judge_success(&self) -> Result<(), String> {
        let (Some(fair), Some((before, began))) = (self.telegram_fair_since(), self.channel.before_call())
        else {
            return Ok(());
        };
        match self.oracle.overdue(&before, fair, began) {
            Some(id) => Err(format!(
                "{id} was not told in time, but by a message {} ms ago",
                self.now - began
            )),
            None => Ok(()),
        }
    }

    /// A message that was not taken had a reason.
    ///
    /// # Errors
    /// Nothing was in its way since it began.
    pub(super) fn judge_failure(&self) -> Result<(), String> {
        let fair = self.telegram_fair_since();
        match (fair, self.channel.sending_since) {
            (Some(fair), Some(began)) if fair.max(self.channel.resumed_at) < began => {
                Err("a message was not taken in fair weather".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Tells since when nothing has been in the way to Telegram, if nothing is.
    pub(super) fn telegram_fair_since(&self) -> Option<u64> {
        let own = self.weather[2].fair_now(self.now)?;
        let Some(proxy) = &self.proxy else {
            return Some(own);
        };
        let proxys = proxy.weather.fair_now(self.now)?;
        Some(own.max(proxys).max(self.address_fair_since(proxy::PORT)?))
    }

    /// Once nothing can go wrong any more, a tick has what it needs long before its deadline: nobody is forgotten.
    pub(super) fn judge_haste(&self) -> Result<(), String> {
        let took = self.now - self.tick_began;
        match self.healed_at {
            Some(healed_at) if self.now > healed_at + WAITS_END_MS && took > TICK_MS => {
                Err(format!("a tick took {took} ms in fair weather"))
            }
            _ => Ok(()),
        }
    }

    /// Tells what is in the way of a new connection, and the dice of whoever it is for.
    pub(super) fn met(
        &mut self,
        connection: Connection,
        port: u16,
    ) -> Result<(Option<Fault>, &mut Dice), String> {
        Ok(match (port, &mut self.proxy) {
            (names::PORT, _) => {
                let names = &mut self.names;
                (names.weather.at(self.now, &mut names.dice), &mut names.dice)
            }
            (beat::PORT, _) => {
                let beat = self.beat.as_mut().ok_or("there is no heartbeat")?;
                (beat.weather.at(self.now, &mut beat.dice), &mut beat.dice)
            }
            (proxy::PORT, Some(proxy)) => (proxy.met(connection, self.now), &mut proxy.dice),
            _ => match alertmanager::at_port(port) {
                Some(place) => {
                    let fault = self.alerting.met(place, self.now)?;
                    (fault, &mut self.alerting.managers[place].dice)
                }
                None => {
                    let weather = &mut self.weather[Self::peer(port)];
                    (weather.at(self.now, &mut self.dice), &mut self.dice)
                }
            },
        })
    }

    /// TLS is to begin in the tunnel to Telegram.
    pub(super) fn secure(&mut self, connection: Connection, name: &str) -> Result<(), String> {
        let proxy = self
            .proxy
            .as_mut()
            .ok_or("TLS on an open connection, and no proxy")?;
        let fault = proxy.weather.at(self.now, &mut proxy.dice);
        let delay = proxy.dice.between(1, 300);
        match proxy.secured(connection, name, fault)? {
            None => {}
            Some(Ok(())) => self.plan(delay, Event::Connected(connection, None)),
            Some(Err(why)) => self.plan(delay, Event::Closed(connection, why, None)),
        }
        Ok(())
    }

    /// The answer to what was said to the proxy, to the name server or to an Alertmanager; none if it was said to another.
    pub(super) fn answered_beside(
        &mut self,
        connection: Connection,
        port: u16,
        bytes: &[u8],
    ) -> Result<Option<Vec<(u64, Event)>>, String> {
        let is_said_to_proxy = |proxy: &&mut Proxy| port == proxy::PORT && !proxy.is_open(connection);
        if let Some(proxy) = self.proxy.as_mut().filter(is_said_to_proxy) {
            let beyond = self.weather[2].at(self.now, &mut self.dice);
            let fault = proxy.weather.at(self.now, &mut proxy.dice);
            let (answer, fault) = proxy.said(connection, bytes, fault, beyond)?;
            return Ok(Some(pieces(connection, answer, fault, &mut proxy.dice)));
        }
        if port == names::PORT {
            let names = &mut self.names;
            let fault = names.weather.at(self.now, &mut names.dice);
            let answer = names.asked(bytes, fault)?;
            return Ok(Some(pieces(connection, answer, fault, &mut names.dice)));
        }
        if let Some(beat) = self.beat.as_mut().filter(|_| port == beat::PORT) {
            check_secrets(bytes, port)?;
            let is_failing = ["orch_down", "docker_down"]
                .iter()
                .any(|id| self.oracle.is_firing(id));
            let (answer, fault) = beat.said(&request::parse(bytes)?, is_failing, self.now)?;
            return Ok(Some(pieces(connection, answer, fault, &mut beat.dice)));
        }
        let Some(place) = alertmanager::at_port(port) else {
            return Ok(None);
        };
        check_secrets(bytes, port)?;
        let request = request::parse(bytes)?;
        let (answer, fault) = self.alerting.taken(place, &request, self.now, self.wall_now())?;
        let dice = &mut self.alerting.managers[place].dice;
        Ok(Some(pieces(connection, answer, fault, dice)))
    }
}

/// Looks for secrets that have no business at this port.
///
/// # Errors
/// There is one.
pub(super) fn check_secrets(bytes: &[u8], port: u16) -> Result<(), String> {
    let text = super::hash::text_of(bytes);
    let is_meant = |secret: &str| match port {
        8443 => secret == TOKEN,
        8500 | beat::PORT | 7000..=7063 => secret == SECRET,
        _ => false,
    };
    let mut leaked = SECRETS.into_iter().filter(|secret| text.contains(secret));
    match leaked.find(|secret| !is_meant(secret)) {
        Some(secret) => Err(format!("{secret} in what goes to port {port}")),
        None => Ok(()),
    }
}

/// Cuts an answer into pieces, and tells when they come.
pub(super) fn pieces(
    connection: Connection,
    answer: Answer,
    fault: Option<Fault>,
    dice: &mut Dice,
) -> Vec<(u64, Event)> {
    let mut events = Vec::new();
    let mut delay = dice.between(1, 80);
    let Answer {
        bytes, mut meaning, ..
    } = answer;
    let length = u64::try_from(bytes.len()).expect("small");
    let (kept, end) = match fault {
        Some(Fault::Silent) => return events,
        Some(Fault::Stall | Fault::Lost) => (dice.below(length), None),
        Some(Fault::Reset) => (dice.below(length), Some(Closed::Reset)),
        // Without a length, an end in good order would be the end of a whole answer.
        Some(Fault::Cut) if answer.ends => (dice.below(length), Some(Closed::Reset)),
        Some(Fault::Cut) => (dice.below(length), Some(Closed::ByPeer)),
        _ => (length, answer.ends.then_some(Closed::ByPeer)),
    };
    let pieces = dice.between(1, 4);
    let mut rest = bytes
        .get(..usize::try_from(kept).expect("small"))
        .unwrap_or_default();
    for piece in 0..pieces {
        let is_last = piece + 1 == pieces;
        let cut = if is_last { rest.len() } else { rest.len() / 2 };
        let (first, after) = rest.split_at(cut);
        rest = after;
        let meaning = if is_last && kept == length && !answer.ends {
            meaning.take()
        } else {
            None
        };
        if !first.is_empty() {
            events.push((delay, Event::Bytes(connection, first.to_vec(), meaning)));
        }
        delay += match fault {
            Some(Fault::Slow) => dice.between(100, 4_000),
            _ => dice.between(0, 20),
        };
    }
    if let Some(why) = end {
        let meaning = meaning.take().filter(|_| kept == length);
        events.push((delay, Event::Closed(connection, why, meaning)));
    }
    events
}

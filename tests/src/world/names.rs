//! The name server's ways: some answers are too long for a datagram, and the question comes again over a connection (RFC
//! 7766); and some servers never answer a question for an address of a family that they do not know.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::peers::{self, Answer};
use super::weather::{Climate, Fault, Weather};
use super::{alertmanager, proxy};

/// Where the name server listens.
pub const PORT: u16 = 53;

/// What is drawn of it.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Of a hundred answers so many are too long for a datagram.
    truncated: u64,
    climate: Climate,
    /// It keeps silent about IPv6, in all weathers.
    deaf: bool,
}

impl Drawn {
    /// Takes its faults and its odd ways away.
    pub fn calm_down(&mut self) {
        self.climate.faults.clear();
        (self.truncated, self.deaf) = (0, false);
    }
}

/// Draws it, from a sequence of its own.
pub fn draw(seed: u64) -> Drawn {
    let mut dice = Dice::new(seed ^ 0x6e61_6d65_7300_0000);
    Drawn {
        truncated: dice.pick(&[0, 30, 100]),
        climate: Climate::draw(Fault::OF_NAME_STREAMS, &mut dice),
        deaf: dice.chance(25),
    }
}

/// The name server, as far as it has ways of its own.
#[derive(Clone, Debug)]
pub struct Names {
    truncated: u64,
    deaf: bool,
    /// The weather of its connections.
    pub weather: Weather,
    /// Its own dice.
    pub dice: Dice,
    /// Questions that were answered with the word that the answer is too long.
    asked: BTreeSet<Vec<u8>>,
    /// By name: the machine has an address, and keeps it while the name server says nothing better.
    found: [bool; 4],
}

/// What a machine waits that had no answer, a failure remembered or a question under way, is over so long after a storm.
const WAITS_END_MS: u64 = 90_000;

/// Tells which name is looked up for this port.
fn name_of(port: u16) -> Option<usize> {
    match port {
        8500 => Some(0),
        7000..=7063 => Some(1),
        proxy::PORT => Some(2),
        _ => alertmanager::at_port(port).map(|_| 3),
    }
}

impl Names {
    /// One that was asked nothing.
    pub fn new(drawn: &Drawn, seed: u64) -> Self {
        Self {
            truncated: drawn.truncated,
            deaf: drawn.deaf,
            weather: drawn.climate.weather(),
            dice: Dice::new(seed ^ 0x6e61_6d65_7463_7000),
            asked: BTreeSet::new(),
            found: [false; 4],
        }
    }

    /// The machine connects to this port, so it has an address.
    pub fn found(&mut self, port: u16) {
        if let Some(name) = name_of(port) {
            self.found[name] = true;
        }
    }

    /// Tells since when nothing has been in the way of an address for this port, if nothing is. `datagrams` is the weather of
    /// the name server's datagrams.
    ///
    /// Who has had an address once goes on with it in all weathers, after a second at the latest.
    pub fn fair_since(&self, port: u16, datagrams: &Weather, now: u64) -> Option<u64> {
        if name_of(port).is_none_or(|name| self.found[name]) {
            return Some(0);
        }
        // Connections are rare; these have dice of their own, so what the next one would meet can be known.
        let mut streams = self.weather.clone();
        streams.at(now, &mut self.dice.clone());
        let fair = datagrams.fair_now(now)?.max(streams.fair_now(now)?);
        Some(fair + WAITS_END_MS)
    }

    /// Reads a question as strictly as one could, and for whom it is.
    ///
    /// # Errors
    /// It is malformed, or for a name that is not for this server.
    pub fn read(query: &[u8]) -> Result<(), String> {
        let (head, mut rest) = query.split_at_checked(12).ok_or("a short question")?;
        if head[2..] != [1, 0, 0, 1, 0, 0, 0, 0, 0, 0] {
            return Err("a strange head of a question".to_owned());
        }
        let mut name = String::new();
        while let Some((length @ 1..=63, after)) = rest.split_first() {
            let (label, after) = after.split_at_checked(usize::from(*length)).ok_or("a cut name")?;
            name.push_str(std::str::from_utf8(label).map_err(|why| why.to_string())?);
            name.push('.');
            rest = after;
        }
        let ours = ["orch.test.", "dep.test.", "alerts.test.", "proxy.test."];
        if !matches!(rest, [0, 0, 1 | 28, 0, 1]) || !ours.contains(&name.as_str()) {
            return Err(format!("a question for {name:?} that ends in {rest:?}"));
        }
        Ok(())
    }

    /// Answers a datagram: as it would be answered otherwise, not at all, or with the word that the answer is too long.
    pub fn answered(&mut self, query: &[u8], answer: Vec<u8>, fault: Option<Fault>) -> Option<Vec<u8>> {
        if self.deaf && query.ends_with(&[0, 28, 0, 1]) {
            return None;
        }
        if fault.is_some() || !self.dice.chance(self.truncated) {
            return Some(answer);
        }
        Some(self.truncated(query))
    }

    /// None or some of an answer.
    fn truncated(&mut self, query: &[u8]) -> Vec<u8> {
        self.asked.insert(query.to_vec());
        let mut answer = query.to_vec();
        (answer[2], answer[3]) = (0x83, 0x80);
        if self.dice.chance(30) {
            answer[7] = 1;
            answer.extend(address(9));
        }
        answer
    }

    /// Takes a question that came over a connection.
    ///
    /// # Errors
    /// It is not one, or was not asked in a datagram before.
    pub fn asked(&mut self, bytes: &[u8], fault: Option<Fault>) -> Result<Answer, String> {
        let (length, query) = bytes.split_first_chunk::<2>().ok_or("no length")?;
        if usize::from(u16::from_be_bytes(*length)) != query.len() {
            return Err("a question of another length".to_owned());
        }
        if !self.asked.remove(query) {
            return Err("a question over TCP that no datagram was too small for".to_owned());
        }
        let garbled = matches!(fault, Some(Fault::Broken)).then_some(Fault::Broken);
        let mut answer = peers::resolve(query, garbled)?.ok_or("no answer")?;
        if answer[7] > 0 {
            let more = u8::try_from(self.dice.between(40, 200)).expect("small");
            answer[7] += more;
            (2..=more + 1).for_each(|last| answer.extend(address(last)));
        }
        match fault {
            Some(Fault::Garbage) => answer.truncate(7),
            // The answer to another question.
            Some(Fault::Page) => answer[0] ^= 0xff,
            _ => {}
        }
        let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
        Ok(Answer::raw(&[&length[..], &answer].concat()))
    }
}

/// A record that names an address of this host.
fn address(last: u8) -> [u8; 16] {
    [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, last]
}

//! What the engine says: its events and their history, its list, its word on one container.
//!
//! What it lives through is `engine.rs`' business, and over HTTP it speaks in `living.rs`.

use serde_json::json;

use super::container::{Container, EPOCH_MS, NAMES, State, id_text};
use super::engine::Engine;
use super::options::SECRET;
use super::stream::{Happened, is_asked_for};

/// Events that the engine remembers, of all types.
const HISTORY_MAX: usize = 256;

impl Engine {
    /// Something happened to a container.
    pub(super) fn emit(&mut self, place: usize, action: &str, attributes: &[(&str, &str)], now: u64) {
        self.last_ns = (self.last_ns + 1).max((EPOCH_MS + now) * 1_000_000);
        let id = self.containers[place].id;
        let mut actor = json!({"name": NAMES[place], "image": "i", "a": SECRET});
        for (key, value) in attributes {
            actor[*key] = json!(value);
        }
        let ns = self.last_ns;
        let json = json!({
            "status": action, "id": id_text(id), "Type": "container", "Action": action,
            "Actor": {"ID": id_text(id), "Attributes": actor}, "scope": "local", "time": ns / 1_000_000_000, "timeNano": ns,
        });
        let happened = Happened {
            number: self.numbered,
            ns,
            place,
            action: action.to_owned(),
            id,
            asks_to_end: attributes.iter().any(|pair| pair.0 == "signal" && pair.1 != "1"),
            json: json.to_string(),
        };
        if action == "die" {
            self.last_die[place] = self.numbered;
        }
        self.numbered += 1;
        self.history.push_back(happened);
        if self.history.len() > HISTORY_MAX {
            self.history.pop_front();
        }
    }

    /// Events from a number on, as far as they are remembered.
    pub fn events_from(&self, number: u64) -> Vec<Happened> {
        self.history
            .iter()
            .filter(|event| event.number >= number && is_asked_for(&event.action))
            .cloned()
            .collect()
    }

    /// Whether no later end of this container followed.
    pub fn is_last_die(&self, event: &Happened) -> bool {
        self.last_die[event.place] == event.number
    }

    /// The number of the first remembered event that is not older than `ns`.
    pub fn number_since(&self, ns: u64) -> u64 {
        let first = self.history.iter().find(|event| event.ns >= ns);
        first.map_or(self.numbered, |event| event.number)
    }

    /// The list.
    pub fn list(&self, now: u64) -> String {
        let there = self.containers.iter().filter(|one| one.state != State::Absent);
        let rows = there.map(|one| one.row(now));
        serde_json::Value::from_iter(rows).to_string()
    }

    /// One container, if it is there.
    pub fn inspect(&self, id: &str) -> Option<(String, &Container)> {
        let one = self
            .containers
            .iter()
            .find(|one| one.state != State::Absent && id_text(one.id) == id)?;
        Some((one.inspection().to_string(), one))
    }
}

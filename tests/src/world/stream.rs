//! The stream of events: what happened, how the engine writes it, and how a stream of it ends.

use super::container::EPOCH_MS;
use watchdog_core::net::Connection;

/// One event of the stream.
#[derive(Clone, Debug)]
pub struct Happened {
    /// Its number.
    pub number: u64,
    /// The engine's time of it, nanoseconds.
    pub ns: u64,
    /// The container's place.
    pub place: usize,
    /// `die`, `oom`, and so on.
    pub action: String,
    /// Its container's id.
    pub id: u64,
    /// A signal that asks its container to end.
    pub asks_to_end: bool,
    pub(super) json: String,
}

/// The standing answer to `/events`.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Its connection.
    pub connection: Connection,
    /// The number of the next event to be sent.
    pub next: u64,
    /// When the last of what was sent arrives.
    pub arrives_at: u64,
    /// It sends no more.
    pub silent: bool,
    /// The next event is cut, and then this.
    pub cut: Option<Cut>,
}

/// How a stream of events ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It is reset.
    Reset,
    /// It is closed in good order.
    Closed,
    /// Nothing follows.
    Silence,
}

impl Happened {
    /// Whether it is older than an answer's way at this time.
    pub const fn is_old(&self, now: u64) -> bool {
        self.ns + 2_000_000_000 < (EPOCH_MS + now) * 1_000_000
    }

    /// The world's time of it.
    pub const fn at(&self) -> u64 {
        (self.ns / 1_000_000).saturating_sub(EPOCH_MS)
    }

    /// A chunk of the stream, and at which byte the event in it is whole.
    pub fn chunk(&self) -> (Vec<u8>, usize) {
        let size = format!("{:x}\r\n", self.json.len() + 1);
        let whole = size.len() + self.json.len();
        (format!("{size}{}\n\r\n", self.json).into_bytes(), whole)
    }
}

/// The filter that every request for events bears.
pub fn is_asked_for(action: &str) -> bool {
    action.starts_with("health_status")
        || matches!(action, "die" | "kill" | "oom" | "rename" | "start" | "stop")
}

/// `{"type":["container"],"event":["die","health_status","kill","oom","rename","start","stop"]}`
const FILTER: &str = "%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22die%22%2C%22health_status%22%2C%22kill%22%2C%22\
                      oom%22%2C%22rename%22%2C%22start%22%2C%22stop%22%5D%7D";

/// Reads the path of a request for events: the time in `since`, if there is one.
///
/// # Errors
/// It is not what the engine would take.
pub fn since_of(path: &str) -> Result<Option<u64>, String> {
    let query = path
        .strip_prefix("/events?")
        .ok_or_else(|| format!("odd events path {path}"))?;
    let mut since = None;
    let mut has_filter = false;
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("since", value)) => {
                let (seconds, nanos) = value.split_once('.').ok_or("since without nanoseconds")?;
                let number = |text: &str| text.parse::<u64>().map_err(|_| format!("since={value}"));
                if nanos.len() != 9 {
                    return Err(format!("since={value}"));
                }
                since = Some(number(seconds)? * 1_000_000_000 + number(nanos)?);
            }
            Some(("filters", FILTER)) => has_filter = true,
            _ => return Err(format!("odd events query {query}")),
        }
    }
    if !has_filter {
        return Err("events without a filter".to_owned());
    }
    Ok(since)
}

//! Alertmanagers: what they answer, and what they believe, as a real one would.
//!
//! An alert is what its labels are. It is active until its `endsAt`; a newer one of the same labels takes its place, and of
//! two that overlap the earlier start holds, and the later end unless the newer one is over. A restart forgets all.
//! Limits: no silences, no groups, no cluster. Whether what they believe is true judges `alerting`.

use std::collections::BTreeMap;

use super::alert::Alert;
use super::dice::Dice;
use super::peers::{Answer, NO_HTTP};
use super::weather::{Fault, Weather};

/// The port of the first; the others follow.
pub const PORT: u16 = 9093;
/// In the URL of those that ask for a login.
pub const PASSWORD: &str = "alertPasswordNeverShown";
/// `ops:` and the password, in base64.
const LOGIN: &str = "Basic b3BzOmFsZXJ0UGFzc3dvcmROZXZlclNob3du";

/// What is drawn of one Alertmanager.
#[derive(Clone, Debug)]
pub struct Drawn {
    faults: Vec<Fault>,
    /// It stands behind a login, and below a path.
    guarded: bool,
    /// By TLS.
    pub(super) secure: bool,
    calm_ms: u64,
    storm_ms: u64,
}

impl Drawn {
    /// Takes its faults away.
    pub fn calm_down(&mut self) {
        self.faults.clear();
    }
}

/// Draws up to three, from a sequence of their own.
pub fn draw(seed: u64) -> Vec<Drawn> {
    let mut dice = Dice::new(seed ^ 0x616c_6572_746d_616e);
    let count = dice.below(4);
    let one = |_| Drawn {
        faults: Fault::some(Fault::OF_ALERTMANAGERS, &mut dice),
        guarded: dice.chance(40),
        secure: dice.chance(25),
        calm_ms: dice.pick(&[120_000, 600_000, 1_800_000]),
        storm_ms: dice.pick(&[20_000, 120_000, 600_000]),
    };
    (0..count).map(one).collect()
}

/// Tells the value of `WATCHDOG_ALERTMANAGER_URL`; none if there are none.
pub fn urls(drawn: &[Drawn], host: &str) -> Option<String> {
    let one = |(port, drawn): (u16, &Drawn)| {
        let scheme = if drawn.secure { "https" } else { "http" };
        let (login, path) = if drawn.guarded {
            (format!("ops:{PASSWORD}@"), "/below/")
        } else {
            (String::new(), "")
        };
        format!("{scheme}://{login}{host}:{port}{path}")
    };
    let urls: Vec<String> = (PORT..).zip(drawn).map(one).collect();
    (!urls.is_empty()).then(|| urls.join(","))
}

/// Tells which one listens at a port.
pub fn at_port(port: u16) -> Option<usize> {
    let place = port.checked_sub(PORT).filter(|place| *place < 4)?;
    Some(usize::from(place))
}

/// An alert that one has.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Unix milliseconds.
    starts_ms: i64,
    /// Unix milliseconds.
    pub ends_ms: i64,
    /// Something else answered in its place that all is well, so that it never heard of the end.
    pub misled: bool,
}

impl Held {
    /// Tells whether it is active by the Alertmanager's clock.
    pub const fn is_active(&self, wall_ms: i64) -> bool {
        self.ends_ms > wall_ms
    }
}

/// One Alertmanager.
#[derive(Clone, Debug)]
pub struct Alertmanager {
    guarded: bool,
    /// Its weather.
    pub weather: Weather,
    /// Its own dice.
    pub dice: Dice,
    /// Its alerts, by their signals.
    pub held: BTreeMap<String, Held>,
    /// Answers that say that all is well.
    pub good_answers: u64,
}

impl Alertmanager {
    /// One that knows nothing.
    pub fn new(drawn: &Drawn, seed: u64, place: u64) -> Self {
        Self {
            guarded: drawn.guarded,
            weather: Weather::new(drawn.faults.clone(), drawn.calm_ms, drawn.storm_ms),
            dice: Dice::new(seed ^ (0x616c_6572_7477_0000 + place)),
            held: BTreeMap::new(),
            good_answers: 0,
        }
    }

    /// Tells the path that alerts go to, and the login that must stand beside it.
    pub const fn door(&self) -> (&'static str, Option<&'static str>) {
        if self.guarded {
            ("/below/api/v2/alerts", Some(LOGIN))
        } else {
            ("/api/v2/alerts", None)
        }
    }

    /// Tells what is wrong with it as a connection is made. One that is down may have lost all that it knew.
    pub fn met(&mut self, now: u64) -> Option<Fault> {
        let fault = self.weather.at(now, &mut self.dice);
        if fault == Some(Fault::Refused) && self.dice.chance(20) {
            self.held.clear();
        }
        fault
    }

    /// Takes a request, or not, and answers.
    pub fn answer(&mut self, alerts: &[Alert], fault: Option<Fault>, wall_ms: i64) -> Answer {
        let often = self.dice.chance(50);
        let (status, is_taken) = match fault {
            // What lies between may have passed it on; of a batch with one bad alert the good ones are taken.
            Some(Fault::Broken) => (
                self.dice.pick(&["500 Oops", "502 Bad Gateway", "504 Late"]),
                often,
            ),
            Some(Fault::Bad(_)) => ("400 Bad Request", often),
            Some(Fault::Garbage) => ("", often),
            Some(Fault::Silent) => ("200 OK", often),
            Some(Fault::Unauthorized) => ("401 Unauthorized", false),
            Some(Fault::Forbidden) => (self.dice.pick(&["403 Forbidden", "404 Not Found"]), false),
            Some(Fault::Flood(_)) => ("429 Too Many Requests", false),
            Some(Fault::Page) => ("200 OK", false),
            _ => ("200 OK", true),
        };
        if is_taken {
            alerts.iter().for_each(|alert| self.put(alert, wall_ms));
        }
        if status.starts_with('2') {
            self.good_answers += 1;
        }
        if fault == Some(Fault::Page) {
            for alert in alerts {
                if let Some(held) = self.held.get_mut(&alert.id) {
                    held.misled = true;
                }
            }
        }
        match fault {
            Some(Fault::Garbage) => Answer::raw(NO_HTTP),
            Some(Fault::Page) => Answer::new(status, "<html>sign in</html>", None, &mut self.dice),
            _ => Answer::new(status, "", None, &mut self.dice),
        }
    }

    fn put(&mut self, alert: &Alert, wall_ms: i64) {
        let mut new = Held {
            starts_ms: 1000 * alert.starts_s,
            ends_ms: 1000 * alert.ends_s,
            misled: false,
        };
        if let Some(old) = self.held.get(&alert.id) {
            let is_within = |at: i64| at > old.starts_ms && at < old.ends_ms;
            if is_within(new.ends_ms) || is_within(new.starts_ms) {
                new.starts_ms = new.starts_ms.min(old.starts_ms);
                if new.is_active(wall_ms) || !old.is_active(wall_ms) {
                    new.ends_ms = new.ends_ms.max(old.ends_ms);
                }
            }
        }
        self.held.insert(alert.id.clone(), new);
    }
}

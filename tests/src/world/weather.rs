//! Faults, and when which of them holds at a peer.

use super::dice::Dice;

/// What is wrong with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens.
    Refused,
    /// Packets vanish.
    BlackHole,
    /// There is no route.
    Unreachable,
    /// It takes connections and never answers.
    Silent,
    /// It stops in the middle of an answer.
    Stall,
    /// It resets in the middle of an answer.
    Reset,
    /// It closes in good order in the middle of an answer.
    Cut,
    /// It answers 500.
    Broken,
    /// It answers with something that is no HTTP.
    Garbage,
    /// It answers 200 with a page.
    Page,
    /// It is slow, perhaps too slow.
    Slow,
    /// Each of its requests fares differently.
    Patchy,
    /// 429, asking for so many seconds.
    Flood(Option<u64>),
    /// 400, with this description.
    Bad(&'static str),
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// It takes the message, and its answer is lost.
    Lost,
}

const NETWORK: [Fault; 7] = [
    Fault::Refused,
    Fault::BlackHole,
    Fault::Unreachable,
    Fault::Silent,
    Fault::Stall,
    Fault::Reset,
    Fault::Cut,
];
const SERVER: [Fault; 12] = joined(
    &NETWORK,
    &[
        Fault::Broken,
        Fault::Garbage,
        Fault::Page,
        Fault::Slow,
        Fault::Patchy,
    ],
);
const TELEGRAM: [Fault; 24] = joined(
    &SERVER,
    &[
        Fault::Flood(Some(0)),
        Fault::Flood(Some(1)),
        Fault::Flood(Some(30)),
        Fault::Flood(Some(300)),
        Fault::Flood(Some(1_000_000_000)),
        Fault::Flood(None),
        Fault::Bad("Bad Request: can't parse entities: Unsupported start tag"),
        Fault::Bad("Bad Request: message is too long"),
        Fault::Bad("Bad Request: chat not found"),
        Fault::Unauthorized,
        Fault::Forbidden,
        Fault::Lost,
        Fault::Lost,
    ],
);
const DNS: [Fault; 3] = [Fault::Silent, Fault::Broken, Fault::Garbage];
const ALERTMANAGER: [Fault; 18] = joined(
    &SERVER,
    &[
        Fault::Flood(None),
        Fault::Bad(""),
        Fault::Unauthorized,
        Fault::Forbidden,
        Fault::Lost,
        Fault::Lost,
    ],
);
const PROXY: [Fault; 12] = joined(&SERVER, &[Fault::Forbidden]);
const NAME_STREAM: [Fault; 11] = joined(&SERVER, &[]);

/// As many of the first as there is room for besides the others, and then these.
const fn joined<const N: usize>(first: &[Fault], others: &[Fault]) -> [Fault; N] {
    let mut all = [Fault::Lost; N];
    let kept = N - others.len();
    let mut place = 0;
    while place < N {
        all[place] = if place < kept {
            first[place]
        } else {
            others[place - kept]
        };
        place += 1;
    }
    all
}

impl Fault {
    /// Those of a dependency.
    pub const OF_DEPENDENCIES: &'static [Self] = &SERVER;
    /// Those of an Alertmanager.
    pub const OF_ALERTMANAGERS: &'static [Self] = &ALERTMANAGER;
    /// Those of the proxy in front of Telegram.
    pub const OF_PROXIES: &'static [Self] = &PROXY;
    /// Those of a name server's connections.
    pub const OF_NAME_STREAMS: &'static [Self] = &NAME_STREAM;

    /// Draws some of these: one world in five has none, and each is absent from half of the others.
    pub fn some(all: &[Self], dice: &mut Dice) -> Vec<Self> {
        if dice.chance(80) {
            all.iter().filter(|_| dice.chance(50)).copied().collect()
        } else {
            Vec::new()
        }
    }

    /// Tells the faults that a peer can have, by its place in the options.
    pub const fn of_peer(peer: usize) -> &'static [Self] {
        match peer {
            2 => &TELEGRAM,
            4 => &DNS,
            _ => &SERVER,
        }
    }
}

/// What weather a peer of its own draws has.
#[derive(Clone, Debug)]
pub struct Climate {
    /// What may be wrong with it.
    pub faults: Vec<Fault>,
    /// Mean time of fair weather, milliseconds.
    calm_ms: u64,
    /// Mean time of one fault, milliseconds.
    storm_ms: u64,
}

impl Climate {
    /// Draws some of these faults, and how long they last.
    pub fn draw(all: &[Fault], dice: &mut Dice) -> Self {
        Self {
            faults: Fault::some(all, dice),
            calm_ms: dice.pick(&[120_000, 600_000, 1_800_000]),
            storm_ms: dice.pick(&[20_000, 120_000, 600_000]),
        }
    }

    /// Fair weather that may turn.
    pub fn weather(&self) -> Weather {
        Weather::new(self.faults.clone(), self.calm_ms, self.storm_ms)
    }
}

/// One peer's weather.
#[derive(Clone, Debug)]
pub struct Weather {
    possible: Vec<Fault>,
    now: Option<Fault>,
    until: u64,
    calm_ms: u64,
    storm_ms: u64,
    /// When the last fault ended.
    pub fair_since: u64,
}

impl Weather {
    /// Fair weather that may turn.
    pub const fn new(possible: Vec<Fault>, calm_ms: u64, storm_ms: u64) -> Self {
        Self {
            possible,
            now: None,
            until: 0,
            calm_ms,
            storm_ms,
            fair_since: 0,
        }
    }

    /// No faults from now on.
    pub fn heal(&mut self, now: u64) {
        self.possible.clear();
        if self.now.take().is_some() {
            self.fair_since = now;
        }
    }

    /// Tells since when nothing has been wrong, if nothing is, without making the weather turn.
    pub const fn fair_now(&self, now: u64) -> Option<u64> {
        if self.possible.is_empty() || (self.now.is_none() && now < self.until) {
            Some(self.fair_since)
        } else {
            None
        }
    }

    /// Tells whether nothing was wrong when it was last looked at.
    pub const fn is_calm(&self) -> bool {
        self.now.is_none()
    }

    /// Tells what is wrong now.
    pub fn at(&mut self, now: u64, dice: &mut Dice) -> Option<Fault> {
        if self.possible.is_empty() {
            return None;
        }
        while now >= self.until {
            let from = self.until.max(now.saturating_sub(3_600_000));
            if self.now.is_none() && self.until > 0 {
                self.now = Some(dice.pick(&self.possible));
                self.until = from + dice.between(1, 2 * self.storm_ms);
            } else {
                if self.now.take().is_some() {
                    // Nobody looked since, and whoever had looked would have found it fair.
                    self.fair_since = from;
                }
                self.until = from + dice.between(1, 2 * self.calm_ms);
            }
        }
        match self.now {
            Some(Fault::Patchy) if dice.chance(50) => None,
            Some(Fault::Patchy) => Some(dice.pick(&SERVER[..11])),
            other => other,
        }
    }
}

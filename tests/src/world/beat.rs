//! The heartbeat's other end: whoever notices when no GET comes any more.
//!
//! One is to come at the end of each tick that the interval lets one follow, and never otherwise; it says whether a master
//! alarm is firing if that is asked for. Its URL is a secret as a whole.

use super::dice::Dice;
use super::options::{SECRET, TIMEOUT_MS};
use super::peers::{Answer, Meaning, served};
use super::request::Request;
use super::weather::{Climate, Fault, Weather};

/// Where it listens.
pub const PORT: u16 = 8444;

/// What is drawn of it.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// `WATCHDOG_HEARTBEAT_INTERVAL`, milliseconds.
    gap_ms: u64,
    /// `WATCHDOG_HEARTBEAT_FAIL`
    fails: bool,
    climate: Climate,
}

/// Draws whether there is one, from a sequence of its own.
pub fn draw(seed: u64) -> Option<Drawn> {
    let mut dice = Dice::new(seed ^ 0x6865_6172_7462_6561);
    dice.chance(40).then(|| Drawn {
        gap_ms: dice.pick(&[15_000, 60_000, 300_000]),
        fails: dice.chance(50),
        climate: Climate::draw(Fault::OF_DEPENDENCIES, &mut dice),
    })
}

impl Drawn {
    /// Tells its variables.
    pub fn pairs(&self) -> [(&'static str, String); 3] {
        [
            (
                "HEARTBEAT_URL",
                format!("http://127.0.0.1:{PORT}/beat/{SECRET}/?of=h"),
            ),
            ("HEARTBEAT_INTERVAL", format!("{}ms", self.gap_ms)),
            ("HEARTBEAT_FAIL", self.fails.to_string()),
        ]
    }
}

/// It.
#[derive(Clone, Debug)]
pub struct Beat {
    drawn: Drawn,
    /// Its weather.
    pub weather: Weather,
    /// Its own dice.
    pub dice: Dice,
    next_tick: u64,
    /// Heartbeats begun, the last one when, and how many of them gave way to the next.
    begun: u64,
    begun_at: u64,
    gave_way: u64,
    /// Good answers that came whole.
    pub answered: u64,
}

impl Beat {
    /// One that has heard nothing yet.
    pub fn new(drawn: &Drawn, seed: u64) -> Self {
        Self {
            weather: drawn.climate.weather(),
            dice: Dice::new(seed ^ 0x7075_6c73_6500_0000),
            drawn: drawn.clone(),
            next_tick: 0,
            begun: 0,
            begun_at: 0,
            gave_way: 0,
            answered: 0,
        }
    }

    /// One input was handled, perhaps the one that ended a tick; `opened`: how often it was connected to; then the
    /// machine's own counts of what was answered and what failed.
    ///
    /// # Errors
    /// A heartbeat is missing, or one too many, or the machine's own counts are not so.
    pub fn handled(
        &mut self,
        ended_tick: Option<u64>,
        opened: usize,
        interval_ms: u64,
        (answered, failed): (u64, u64),
        now: u64,
    ) -> Result<(), String> {
        let is_due = ended_tick.is_some_and(|tick| tick >= self.next_tick);
        if opened != usize::from(is_due) {
            return Err(format!(
                "{opened} heartbeats at the end of {ended_tick:?}, the next is due at {}",
                self.next_tick
            ));
        }
        if let Some(tick) = ended_tick.filter(|_| is_due) {
            self.next_tick = tick + self.drawn.gap_ms.div_ceil(interval_ms);
            // Behind a pause two ticks may end within one heartbeat's time.
            if self.begun > answered + failed + self.gave_way && now < self.begun_at + TIMEOUT_MS {
                self.gave_way += 1;
            }
            (self.begun, self.begun_at) = (self.begun + 1, now);
        }
        let ended = answered + failed + self.gave_way;
        if answered < self.answered || ended > self.begun || ended + 1 < self.begun {
            return Err(format!(
                "counts {answered} heartbeats answered and {failed} not; {} of {} were",
                self.answered, self.begun
            ));
        }
        Ok(())
    }

    /// Answers one; `is_failing`: a master alarm is firing.
    ///
    /// # Errors
    /// It says something else than it should.
    pub fn said(
        &mut self,
        request: &Request<'_>,
        is_failing: bool,
        now: u64,
    ) -> Result<(Answer, Option<Fault>), String> {
        let path = if is_failing && self.drawn.fails {
            format!("/beat/{SECRET}/fail?of=h")
        } else {
            format!("/beat/{SECRET}/?of=h")
        };
        let host = format!("127.0.0.1:{PORT}");
        if request.method != "GET" || request.path != path || request.field("Host") != Some(host.as_str()) {
            return Err(format!("a heartbeat says {request:?}, wanted {path}"));
        }
        let fault = self.weather.at(now, &mut self.dice);
        Ok((served("OK", Meaning::Beat, fault, &mut self.dice), fault))
    }
}

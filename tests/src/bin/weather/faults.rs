//! What can go wrong, the numbers that decide when, and the way to do what only a command can.

use std::process::Command;

/// What is wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing that matters: packets come twice and out of order by some milliseconds, and the wall clock steps to and fro.
    /// Nothing may fire.
    Drizzle,
    /// A part of all packets is lost.
    Loss,
    /// All packets are lost.
    Partition,
    /// The line takes a few bytes a second.
    Narrow,
    /// Packets come a tenth of a second late, or half a second, each way.
    Delay,
    /// Packets come in disorder.
    Disorder,
    /// A bit of many packets is wrong.
    Damage,
    /// Packets are lost, late, doubled, damaged and out of order.
    Foul,
    /// Nobody listens: connections are answered with a reset.
    Refused,
    /// The orchestrator answers what is no envelope, or too late, or not at all.
    OrchestratorBroken,
    /// The dependency that is known by a name answers wrongly, at once.
    SiteBroken,
    /// The one that is known by its address answers too late or not at all.
    WikiBroken,
    /// Telegram answers 502 with a page.
    TelegramBroken,
    /// Telegram accepts, and its answer is lost.
    TelegramAnswerLost,
    /// The process is stopped.
    Stopped,
    /// It can open nothing more.
    NoDescriptors,
}

/// Those that come in a storm, each once before any comes again.
pub const STORM: [Fault; 15] = [
    Fault::Loss,
    Fault::Partition,
    Fault::Narrow,
    Fault::Delay,
    Fault::Disorder,
    Fault::Damage,
    Fault::Foul,
    Fault::Refused,
    Fault::OrchestratorBroken,
    Fault::SiteBroken,
    Fault::WikiBroken,
    Fault::TelegramBroken,
    Fault::TelegramAnswerLost,
    Fault::Stopped,
    Fault::NoDescriptors,
];

/// All that can fire because somebody is not reached.
const ALL: &[&str] = &["orch_down", "dep_down:site", "dep_down:wiki"];

impl Fault {
    /// The signals that it must make fire, if it lasts long enough and finds all well.
    pub const fn must(self) -> &'static [&'static str] {
        match self {
            Self::Partition | Self::Refused => ALL,
            Self::OrchestratorBroken => &["orch_down"],
            Self::SiteBroken => &["dep_down:site"],
            Self::WikiBroken => &["dep_down:wiki"],
            _ => &[],
        }
    }

    /// The signals that it may make fire: none but these.
    pub const fn may(self) -> &'static [&'static str] {
        match self {
            Self::Drizzle | Self::TelegramBroken | Self::TelegramAnswerLost => &[],
            Self::OrchestratorBroken | Self::SiteBroken | Self::WikiBroken => self.must(),
            // What comes of a bad line is chance. A process that was stopped, or finds no descriptor, reaches nobody either.
            _ => ALL,
        }
    }

    /// Whether messages reach Telegram, and their answers the watchdog, all the same.
    pub const fn spares_channel(self) -> bool {
        matches!(
            self,
            Self::Drizzle | Self::OrchestratorBroken | Self::SiteBroken | Self::WikiBroken
        )
    }
}

/// The numbers of a seed (xorshift).
pub struct Dice(u64);

impl Dice {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        // Seeds of little numbers would begin with little numbers.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Puts them in an order that nobody foresees.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for place in (1..all.len()).rev() {
            let other = usize::try_from(self.below(place as u64 + 1)).expect("small");
            all.swap(place, other);
        }
    }
}

/// Runs a command.
///
/// # Panics
/// If it fails.
pub fn run(command: &[&str]) {
    let done = Command::new(command[0]).args(&command[1..]).output();
    let done = done.unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

//! The wall clock of the running binary, stepped by hours and days, ahead and back, while the monotonic one goes on.
//!
//! By libfaketime, which answers the binary's questions for the time of day with an offset that it reads from a file. A static
//! binary does not ask through it. Its tests: below.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use watchdog_tests::harness::{Line, Setup};

use crate::faults::Dice;

/// How far a line's time may be from what the clock said when the line was read, on a busy machine.
const TOLERANCE_S: i64 = 15;
/// How old a message may be when it arrives, over a bad line.
const UNDER_WAY: Duration = Duration::from_secs(60);
/// Steps are of an hour at least, so that no wait and no tolerance looks like one,
const HOUR_S: u64 = 3600;
/// and of forty days at most.
const HOURS_MAX: u64 = 960;

/// The stepped clock.
pub struct Clock {
    library: PathBuf,
    folder: tempfile::TempDir,
    /// Since when it has been off by so many seconds.
    steps: Vec<(Instant, i64)>,
}

/// What the times of the log lines show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Lines later than the one before by more than half an hour.
    pub ahead: usize,
    /// Lines earlier than the one before.
    pub back: usize,
    /// Lines whose time the clock never showed.
    pub wrong: usize,
    /// The time in the first of them, in seconds since 1970.
    pub first_wrong_s: Option<i64>,
    /// Ends that messages told late, each with a minute of the day.
    pub late: usize,
}

impl Clock {
    /// A clock that is a day and a half ahead; none, and a word aloud, where there is no libfaketime.
    pub fn find() -> Option<Self> {
        let place = format!(
            "/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1",
            std::env::consts::ARCH
        );
        let library = PathBuf::from(place);
        if !library.exists() {
            eprintln!("weather: no {}: the wall clock is not stepped", library.display());
            return None;
        }
        let mut clock = Self {
            library,
            folder: tempfile::tempdir().expect("a folder"),
            steps: Vec::new(),
        };
        clock.set(36 * 3600);
        Some(clock)
    }

    /// Lets the binary see this clock.
    pub fn seen_by(&self, setup: Setup) -> Setup {
        setup
            .set("LD_PRELOAD", self.library.display())
            .set("FAKETIME_TIMESTAMP_FILE", self.file().display())
            .set("FAKETIME_NO_CACHE", 1)
            .set("FAKETIME_DONT_FAKE_MONOTONIC", 1)
    }

    /// Steps to the other side of the true time: by hours or days.
    pub fn step(&mut self, dice: &mut Dice) {
        let off_s = HOUR_S * (1 + dice.below(HOURS_MAX)) + dice.below(HOUR_S);
        let off_s = i64::try_from(off_s).expect("days");
        self.set(if self.off_s() > 0 { -off_s } else { off_s });
    }

    /// How often it has been stepped.
    pub fn steps(&self) -> usize {
        self.steps.len() - 1
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    fn off_s(&self) -> i64 {
        self.steps.last().map_or(0, |(_, off_s)| *off_s)
    }

    fn set(&mut self, off_s: i64) {
        // It may be read, and the line that shows it too, before this thread comes to run again.
        self.steps.push((Instant::now(), off_s));
        // The file is read at any time, and must never be seen half written.
        let next = self.folder.path().join("next");
        std::fs::write(&next, format!("{off_s:+}\n")).expect("the offset");
        std::fs::rename(next, self.file()).expect("the offset");
    }

    /// Holds the times of the lines against the clock.
    pub fn followed_by(&self, lines: &[Line]) -> Followed {
        let (now, wall_s) = (Instant::now(), wall_s());
        let times = lines.iter().filter_map(|line| {
            let since_s = i64::try_from(now.saturating_duration_since(line.at).as_secs()).ok()?;
            Some((line.at, written_s(line)?, wall_s - since_s))
        });
        self.follow(&times.collect::<Vec<_>>())
    }

    /// The same for lines of which is known: when they were read, the time in them, and the true time then.
    fn follow(&self, lines: &[(Instant, i64, i64)]) -> Followed {
        let mut followed = Followed::default();
        for pair in lines.windows(2) {
            followed.ahead += usize::from(pair[1].1 > pair[0].1 + 1800);
            followed.back += usize::from(pair[1].1 + 1800 < pair[0].1);
        }
        let mut wrong = lines.iter().filter(|(at, written_s, true_s)| {
            let off_s = written_s - true_s;
            let lately = Duration::from_secs(TOLERANCE_S.unsigned_abs());
            !self
                .shown(*at, lately)
                .any(|shown| shown.abs_diff(off_s) <= TOLERANCE_S.unsigned_abs())
        });
        followed.first_wrong_s = wrong.next().map(|(_, written_s, _)| *written_s);
        followed.wrong = usize::from(followed.first_wrong_s.is_some()) + wrong.count();
        followed
    }

    /// Whether what ended then had ended at this minute of the day (`12:07Z`) by the clock of one who writes that now.
    pub fn says(&self, now: Instant, ended: Instant, until: &str) -> bool {
        let since_s = i64::try_from(ended.elapsed().as_secs()).unwrap_or(i64::MAX);
        self.says_of(now, wall_s() - since_s, until)
    }

    fn says_of(&self, now: Instant, ended_s: i64, until: &str) -> bool {
        self.shown(now, UNDER_WAY).any(|off_s| {
            let around = [-TOLERANCE_S, 0, TOLERANCE_S];
            around
                .iter()
                .any(|more_s| minute(ended_s + off_s + more_s) == until)
        })
    }

    /// By how much it was off at this time and shortly before, and 0: with no descriptor left the library cannot read its file,
    /// and tells the true time.
    fn shown(&self, at: Instant, lately: Duration) -> impl Iterator<Item = i64> {
        let ends = self.steps.iter().skip(1).map(|(began, _)| *began);
        let ends = ends.map(Some).chain([None]);
        let spans = self.steps.iter().zip(ends);
        let in_force =
            spans.filter(move |((began, _), end)| *began <= at && end.is_none_or(|end| at <= end + lately));
        in_force.map(|((_, off_s), _)| *off_s).chain([0])
    }
}

/// The minute of the day as messages have it.
fn minute(unix_s: i64) -> String {
    let minutes = unix_s.div_euclid(60).rem_euclid(24 * 60);
    format!("{:02}:{:02}Z", minutes / 60, minutes % 60)
}

fn written_s(line: &Line) -> Option<i64> {
    let written = humantime::parse_rfc3339(line.field("ts")).ok()?;
    let since = written.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

fn wall_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("some years")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(steps: &[(Instant, i64)]) -> Clock {
        Clock {
            library: PathBuf::new(),
            folder: tempfile::tempdir().unwrap(),
            steps: steps.to_vec(),
        }
    }

    /// A line's time must be one that the clock showed then: neither the one of a step long over, nor one between.
    #[test]
    fn a_line_has_the_time_that_the_clock_showed() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let clock = clock(&[(start, 7200), (later(100), -90_000)]);
        let good = [
            (later(10), 1_007_200, 1_000_000),
            (later(101), 1_007_292, 1_000_091),
            (later(102), 910_092, 1_000_092),
        ];
        let followed = clock.follow(&good);
        assert_eq!((followed.wrong, followed.ahead, followed.back), (0, 0, 1));
        let late = (later(150), 1_007_341, 1_000_141);
        let between = (later(50), 1_003_600, 1_000_040);
        assert_eq!(clock.follow(&[late]).wrong, 1);
        assert_eq!(clock.follow(&[between]).wrong, 1);
    }

    /// The end of something past is told by the clock of the moment, not by the one of then.
    #[test]
    fn an_end_is_told_by_the_clock_of_the_moment() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let clock = clock(&[(start, 7200), (later(100), -10_800)]);
        // 12:00:30 in truth.
        let ended_s = 20_000 * 86_400 + 12 * 3600 + 30;
        assert!(clock.says_of(later(200), ended_s, "09:00Z"));
        assert!(!clock.says_of(later(200), ended_s, "14:00Z"));
        assert!(!clock.says_of(later(200), ended_s, "09:02Z"));
        assert!(
            clock.says_of(later(130), ended_s, "14:00Z"),
            "written before the step"
        );
    }

    /// Steps go ahead and back in turn, each by an hour at least, and the file holds the last one whole.
    #[test]
    fn steps_go_ahead_and_back() {
        let mut clock = clock(&[(Instant::now(), 5)]);
        let mut dice = Dice::new(3);
        for _ in 0..50 {
            let before = clock.off_s();
            clock.step(&mut dice);
            assert!(before.signum() == -clock.off_s().signum() && clock.off_s().abs() >= 3600);
            let held = std::fs::read_to_string(clock.file()).unwrap();
            assert_eq!(held.trim().parse::<i64>().unwrap(), clock.off_s());
        }
    }
}

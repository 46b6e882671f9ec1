//! The host: texts of /proc and figures of file systems, near their limits, torn, not readable, late or never there.
//!
//! What is drawn at a tick's beginning holds for that tick. A text is answered at once, as the daemon reads it; a file
//! system when it will, for a dead one may never answer. What has no limit is not looked at.

use std::collections::BTreeMap;

use watchdog_core::net::{FileFault, FileSystem, HostFile};

use super::dice::Dice;
use super::options::TIMEOUT_MS;
use super::signals::Look;

/// The paths: how each is shown, where it is mounted, its type.
const PATHS: [(&str, &str, &str); 3] = [
    ("/", "/host/root", "ext4"),
    ("/data", "/host/data", "xfs"),
    ("/net", "/host/net", "nfs4"),
];
/// Signals beside those of the paths, their variables, and their limits.
const FIGURES: [(&str, &str, &str); 6] = [
    ("swap_high", "SWAP_MAX", "80"),
    ("load_high", "LOAD_MAX", "2"),
    ("fd_high", "FD_MAX", "90"),
    ("pressure_mem", "PRESSURE_MEM_MAX", "20"),
    ("pressure_io", "PRESSURE_IO_MAX", "30"),
    ("pressure_cpu", "PRESSURE_CPU_MAX", "70.5"),
];
const DISK: usize = FIGURES.len();
const INODES: usize = DISK + PATHS.len();
const READ_ONLY: usize = INODES + PATHS.len();
const TROUBLES: usize = READ_ONLY + PATHS.len();

/// What is drawn of it.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Which of the figures have a limit.
    limits: [bool; FIGURES.len()],
    /// `WATCHDOG_INODE_CEILING`
    inodes: bool,
    /// The second path lies on the first one's file system.
    shares_device: bool,
    /// File systems may answer late or, until all is mended, never.
    hangs: bool,
    /// Texts and file systems may fail.
    fails: bool,
}

/// Draws whether there is more of it than its memory, from a sequence of its own.
pub fn draw(seed: u64) -> Option<Drawn> {
    let mut dice = Dice::new(seed ^ 0x686f_7374_0000_0000);
    dice.chance(50).then(|| Drawn {
        limits: [(); FIGURES.len()].map(|()| dice.chance(70)),
        inodes: dice.chance(70),
        shares_device: dice.chance(30),
        hangs: dice.chance(50),
        fails: dice.chance(60),
    })
}

impl Drawn {
    /// Tells its variables.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let paths = PATHS
            .map(|(shown, point, _)| format!("{shown}={point}"))
            .join(",");
        let figures = FIGURES
            .iter()
            .zip(self.limits)
            .map(|((_, variable, limit), is_set)| {
                (*variable, if is_set { *limit } else { "off" }.to_owned())
            });
        let inodes = if self.inodes { "90" } else { "off" };
        figures
            .chain([("DISK_PATHS", paths), ("INODE_CEILING", inodes.to_owned())])
            .collect()
    }

    /// Tells the signals that are looked at.
    pub fn ids(&self) -> Vec<String> {
        let figures = FIGURES.iter().zip(self.limits);
        let figures = figures
            .filter(|(_, is_set)| *is_set)
            .map(|((id, ..), _)| (*id).to_owned());
        let mut kinds = vec!["disk_ceiling", "disk_readonly"];
        kinds.extend(self.inodes.then_some("inode_ceiling"));
        let of_path = |kind: &str| PATHS.map(|(shown, ..)| format!("{kind}:{shown}"));
        figures
            .chain(kinds.into_iter().flat_map(of_path))
            .chain(["host_probe_stuck".to_owned()])
            .collect()
    }
}

/// How a figure stands to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Far from it.
    Low,
    /// Behind the limit for clearing, and not at that for firing.
    Between,
    /// At the limit, or behind it.
    High,
    /// It can not be read.
    Missing,
    /// It makes no sense, or the kernel does not say it.
    Odd,
}

impl Figure {
    /// What a look at it says.
    pub const fn look(self, is_firing: bool) -> Look {
        match self {
            Self::Low => Look::Clear,
            Self::Between if is_firing => Look::Active,
            Self::Between => Look::Clear,
            Self::High => Look::Active,
            Self::Missing | Self::Odd => Look::Unknown,
        }
    }
}

/// What the machine knows of a path's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It was not asked in this tick.
    Nothing,
    /// It was asked in the tick of this number, and has not answered.
    Asked(u64),
    /// It answered in this tick, with blocks and inodes; none if it failed.
    Answered(Option<(Figure, Figure)>),
}

/// The host.
#[derive(Clone, Debug)]
pub struct Host {
    drawn: Drawn,
    dice: Dice,
    healed: bool,
    figures: [Figure; TROUBLES],
    /// Whether `mountinfo` can be read.
    has_mounts: bool,
    known: [Known; PATHS.len()],
    tick: u64,
}

impl Host {
    /// One that has nothing wrong.
    pub fn new(drawn: &Drawn, seed: u64) -> Self {
        Self {
            dice: Dice::new(seed ^ 0x6b65_726e_656c_0000),
            drawn: drawn.clone(),
            healed: false,
            figures: [Figure::Low; TROUBLES],
            has_mounts: true,
            known: [Known::Nothing; PATHS.len()],
            tick: 0,
        }
    }

    /// Nothing is wrong any more; tells the file systems that have not answered.
    pub fn heal(&mut self) -> Vec<u8> {
        self.healed = true;
        (0..)
            .zip(self.known)
            .filter(|(_, known)| matches!(known, Known::Asked(_)))
            .map(|(place, _)| place)
            .collect()
    }

    /// A tick begins: some figures move.
    pub fn begin_tick(&mut self) {
        self.tick += 1;
        for known in &mut self.known {
            if !matches!(known, Known::Asked(_)) {
                *known = Known::Nothing;
            }
        }
        let dice = &mut self.dice;
        for figure in &mut self.figures {
            if self.healed {
                *figure = Figure::Low;
            } else if dice.chance(10) {
                let all = [
                    Figure::Low,
                    Figure::Low,
                    Figure::Between,
                    Figure::High,
                    Figure::Missing,
                    Figure::Odd,
                ];
                *figure = dice.pick(if self.drawn.fails { &all } else { &all[..4] });
            }
        }
        self.has_mounts = self.healed || !self.drawn.fails || dice.chance(90);
    }

    /// Tells a text, or how it fails behind what of it comes first; none if this is not the host's.
    pub fn text(&mut self, file: HostFile) -> Option<(String, Result<(), FileFault>)> {
        let (place, text) = match file {
            HostFile::MountInfo => return Some(self.mounts()),
            HostFile::LoadAvg => {
                let load = self.pick(1, ["3.99", "3.99", "4.00", "x.4"]);
                (1, format!("0.07 12.50 {load} 2/345 6789\n"))
            }
            HostFile::Stat => (
                1,
                "cpu  9 9 9 9\ncpu0 4 4 4 4\ncpu1 5 5 5 5\nintr 1 2 3\nctxt 4\n".to_owned(),
            ),
            HostFile::FileNr => (
                2,
                format!("{}\t1000\t10000\n", self.pick(2, ["9800", "9999", "10000", "x"])),
            ),
            HostFile::PressureMemory => (3, self.pressure(3, "full", ["18.00", "19.99", "20.00"])),
            HostFile::PressureIo => (4, self.pressure(4, "full", ["28.00", "29.99", "30.00"])),
            HostFile::PressureCpu => (5, self.pressure(5, "some", ["68.50", "70.49", "70.50"])),
            _ => return None,
        };
        let is_failing = self.figures[place] == Figure::Missing && file != HostFile::Stat;
        Some(if is_failing {
            let faults = [
                FileFault::NotFound,
                FileFault::PermissionDenied,
                FileFault::NotSupported,
                FileFault::Os(5),
            ];
            let kept = usize::try_from(self.dice.below(text.len() as u64)).expect("an index");
            (text[..kept].to_owned(), Err(self.dice.pick(&faults)))
        } else {
            (text, Ok(()))
        })
    }

    fn pick(&self, place: usize, [low, between, high, odd]: [&'static str; 4]) -> &'static str {
        match self.figures[place] {
            Figure::Low => low,
            Figure::Between => between,
            Figure::High | Figure::Missing => high,
            Figure::Odd => odd,
        }
    }

    fn pressure(&self, place: usize, judged: &str, [low, between, high]: [&'static str; 3]) -> String {
        let share = self.pick(place, [low, between, high, "?"]);
        let line = |name: &str| {
            let share = if name == judged { share } else { "99.00" };
            format!("{name} avg10=99.00 avg60={share} avg300=99.00 total=123456\n")
        };
        // Older kernels have no line of all tasks for the processor.
        if judged == "some" {
            line("some")
        } else {
            line("some") + &line("full")
        }
    }

    /// What `meminfo` says of swap, behind what it says of memory.
    pub fn swap(&self) -> String {
        match self.figures[0] {
            // There is none, which is never too much.
            Figure::Missing => "SwapTotal: 0 kB\nSwapFree: 0 kB\n".to_owned(),
            _ => format!(
                "SwapTotal: 10000 kB\nSwapFree: {} kB\n",
                self.pick(0, ["2200", "2001", "2000", "10001"])
            ),
        }
    }

    fn mounts(&mut self) -> (String, Result<(), FileFault>) {
        let mut text = "20 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/l\n".to_owned();
        let lines = (0..).zip(PATHS).map(|(place, (_, point, kind))| {
            let options = match self.figures[READ_ONLY + place] {
                Figure::High => "ro,errors=remount-ro",
                // Options of the mount are none of the file system.
                _ => "rw,errors=remount-ro",
            };
            let device = self.device(place);
            format!("3{place} 20 8:{device} / {point} ro,relatime shared:{place} - {kind} /dev/sd{device} {options}\n")
        });
        text.extend(lines);
        if self.has_mounts {
            (text, Ok(()))
        } else {
            (String::new(), Err(FileFault::PermissionDenied))
        }
    }

    const fn device(&self, place: usize) -> u64 {
        match place {
            1 if self.drawn.shares_device => 1,
            _ => place as u64 + 1,
        }
    }

    /// A path's file system is asked: tells when it answers, in milliseconds; none if it does not.
    ///
    /// # Errors
    /// It has not answered the last time.
    pub fn asked(&mut self, place: u8) -> Result<Option<u64>, String> {
        let known = self.known.get_mut(usize::from(place)).ok_or("no such path")?;
        if *known != Known::Nothing {
            return Err(format!(
                "the file system at place {place} is asked again: {known:?}"
            ));
        }
        *known = Known::Asked(self.tick);
        let hangs = self.drawn.hangs && !self.healed;
        Ok(if hangs && self.dice.chance(4) {
            self.dice.chance(70).then(|| self.dice.between(1_000, 600_000))
        } else {
            Some(self.dice.between(1, 20))
        })
    }

    /// A path's file system answers.
    pub fn answer(&mut self, place: u8) -> Option<Result<FileSystem, FileFault>> {
        let index = usize::from(place);
        let known = self.known.get(index)?;
        if !matches!(known, Known::Asked(_)) {
            return None;
        }
        let (blocks, inodes) = (self.figures[DISK + index], self.figures[INODES + index]);
        if blocks == Figure::Missing {
            self.known[index] = Known::Answered(None);
            return Some(Err(FileFault::Os(116)));
        }
        let device = self.device(index);
        self.known[index] = Known::Answered(Some((blocks, inodes)));
        let available = |figure: Figure, [low, between, high]: [u64; 3]| match figure {
            Figure::Low | Figure::Missing => low,
            Figure::Between => between,
            Figure::High => high,
            Figure::Odd => 10_001,
        };
        Some(Ok(FileSystem {
            device,
            blocks: 10_000,
            blocks_available: available(blocks, [500, 301, 300]),
            // Some file systems have none, which is never too much.
            inodes: if inodes == Figure::Missing { 0 } else { 10_000 },
            inodes_available: available(inodes, [1_200, 1_001, 1_000]),
        }))
    }

    /// A tick ended after so long, with or without the text about memory and swap: tells how each figure stood.
    ///
    /// # Errors
    /// A file system was not asked, and none was in its way.
    pub fn end_tick(&self, memory: Option<u64>, took_ms: u64) -> Result<BTreeMap<String, Figure>, String> {
        let (known, tick) = (self.known, self.tick);
        // An answer that comes with the deadline leaves no time for the others.
        let is_late = took_ms >= TIMEOUT_MS;
        let is_held_up = known.contains(&Known::Asked(tick));
        if !is_late && !is_held_up && known.contains(&Known::Nothing) {
            return Err(format!("a file system was not asked: {known:?}"));
        }
        let mut looks = BTreeMap::new();
        for (place, (id, ..)) in FIGURES.iter().enumerate() {
            let figure = match (place, self.figures[place]) {
                (0, _) if memory.is_none() => Figure::Missing,
                (0, Figure::Missing) => Figure::Low,
                // A load has one threshold.
                (1, Figure::Between) => Figure::Low,
                (_, figure) => figure,
            };
            looks.insert((*id).to_owned(), figure);
        }
        for (place, (shown, ..)) in PATHS.iter().enumerate() {
            let is_twin = self.drawn.shares_device && place == 1;
            let (blocks, inodes) = match known[place] {
                // It counts once, if both have answered.
                Known::Answered(Some(_)) if is_twin && matches!(known[0], Known::Answered(Some(_))) => {
                    (Figure::Low, Figure::Low)
                }
                Known::Answered(Some((blocks, Figure::Missing))) => (blocks, Figure::Low),
                Known::Answered(Some((blocks, inodes))) => (blocks, inodes),
                _ => (Figure::Missing, Figure::Missing),
            };
            let read_only = match self.figures[READ_ONLY + place] {
                _ if !self.has_mounts || place == 2 => Figure::Missing,
                Figure::High if !is_twin => Figure::High,
                _ => Figure::Low,
            };
            looks.insert(format!("disk_ceiling:{shown}"), blocks);
            looks.insert(format!("inode_ceiling:{shown}"), inodes);
            looks.insert(format!("disk_readonly:{shown}"), read_only);
        }
        let is_stuck = known.iter().any(|known| matches!(known, Known::Asked(_)));
        let stuck = if is_stuck { Figure::High } else { Figure::Low };
        looks.insert("host_probe_stuck".to_owned(), stuck);
        Ok(looks)
    }
}

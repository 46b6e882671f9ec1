//! The real binary in real bad weather: `weather [--minutes N] [--seed S]`, as root, with iptables and iproute2.
//!
//! It goes into a network namespace of its own, where nothing is but its loopback device. On that device packets are lost,
//! held back, refused or cut off; the peers answer wrongly or not at all; the process is stopped, finds no free file
//! descriptor, and lives within 8 MiB of data. Then the weather is fair, and what was logged is held against what was told.
//! It ends with a failure if a firing was not told, one was told that no fault explains, or memory grew.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use watchdog_tests::fake::{Answer, FakeOrchestrator, FakeTelegram, TelegramAnswer};
use watchdog_tests::harness::{self, Setup, Watchdog, number_after};

/// Set in the process that is inside the namespace.
const INSIDE: &str = "WATCHDOG_WEATHER_INSIDE";
/// Bytes of data that the process may have.
const DATA_BYTES_MAX: &str = "8388608";
/// After a fault, signals may still fire on what was seen of it for so long: K ticks, a time-out, and the kernel's repeats of
/// lost packets.
const GRACE: Duration = Duration::from_secs(12);
/// In fair weather all is told within this: the longest pause of the channel after failures, and some.
const SETTLED_WITHIN: Duration = Duration::from_secs(900);
/// KiB by which resident memory may have grown since the first fault: pages of code touched for the first time.
const GROWTH_KIB_MAX: u64 = 1024;

/// What is wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// A part of all packets is lost.
    Loss,
    /// All packets are lost.
    Partition,
    /// Connections are answered with a reset.
    Reset,
    /// The line takes a few bytes a second.
    Narrow,
    /// The orchestrator answers 500.
    OrchestratorBroken,
    /// The dependency answers 503.
    DependencyBroken,
    /// Telegram answers 502 with a page.
    TelegramBroken,
    /// Telegram accepts, and its answer is lost.
    TelegramAnswerLost,
    /// The process is stopped.
    Stopped,
    /// It can open nothing more.
    NoDescriptors,
}

const FAULTS: [Fault; 10] = [
    Fault::Loss,
    Fault::Partition,
    Fault::Reset,
    Fault::Narrow,
    Fault::OrchestratorBroken,
    Fault::DependencyBroken,
    Fault::TelegramBroken,
    Fault::TelegramAnswerLost,
    Fault::Stopped,
    Fault::NoDescriptors,
];

struct Scene {
    orchestrator: FakeOrchestrator,
    site: FakeOrchestrator,
    telegram: FakeTelegram,
    watchdog: Watchdog,
    /// When something was wrong.
    faulty: Vec<(Instant, Instant)>,
    counts: BTreeMap<Fault, u32>,
}

fn main() -> ExitCode {
    let minutes = number_after("--minutes", 2);
    let seed = number_after("--seed", u64::from(std::process::id()));
    if std::env::var_os(INSIDE).is_none() {
        return go_inside();
    }
    run(&["ip", "link", "set", "lo", "up"]);
    println!("weather: seed {seed}, {minutes} minutes");
    let mut scene = Scene::start();
    let memory_at_start = scene.watchdog.memory_kib("VmRSS");
    scene.storm(Duration::from_secs(60 * minutes), seed);
    let verdict = scene.settle();
    let memory_at_end = scene.watchdog.memory_kib("VmRSS");
    let (lost, invented, told, firings) = verdict;
    println!(
        "weather: faults {:?}; {firings} incidents, {told} told, lost {lost}, false {invented}; resident memory {memory_at_start} \
         KiB at the start, {memory_at_end} KiB at the end",
        scene.counts
    );
    let good = lost == 0 && invented == 0 && firings > 0 && memory_at_end <= memory_at_start + GROWTH_KIB_MAX;
    if !good {
        println!("{}", scene.watchdog.output());
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Starts this program again in a network namespace that ends with it.
fn go_inside() -> ExitCode {
    let why = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().expect("this program"))
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .env("WATCHDOG_BIN", harness::binary())
        .exec();
    println!("no network namespace: {why}");
    ExitCode::FAILURE
}

fn run(command: &[&str]) {
    let done = Command::new(command[0]).args(&command[1..]).output();
    let done = done.unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// The numbers of a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

impl Scene {
    fn start() -> Self {
        let orchestrator = FakeOrchestrator::healthy();
        let site = FakeOrchestrator::healthy();
        let telegram = FakeTelegram::start();
        let watchdog = Setup::quiet()
            .orchestrator(&orchestrator)
            .telegram(&telegram)
            .ticks(3, 2)
            .set("WATCHDOG_DEP_SITE", site.url())
            .set("WATCHDOG_FLAP_CHANGES", 16)
            .set("WATCHDOG_FLAP_WINDOW", "1m")
            .set("WATCHDOG_COOLDOWN", "off")
            .start();
        telegram.wait_for("STARTED", Duration::from_secs(60));
        run(&[
            "prlimit",
            "--pid",
            &watchdog.pid().to_string(),
            &format!("--data={DATA_BYTES_MAX}"),
        ]);
        Self {
            orchestrator,
            site,
            telegram,
            watchdog,
            faulty: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Fault after fault, with a little fair weather in between. These are real seconds on purpose: the kernel's clocks can
    /// not be waited for in another way.
    fn storm(&mut self, lasting: Duration, seed: u64) {
        let mut dice = Dice(seed | 1);
        let end = Instant::now() + lasting;
        let mut order = FAULTS.to_vec();
        let mut next = 0;
        while Instant::now() < end {
            if next == 0 {
                for place in (1..order.len()).rev() {
                    order.swap(
                        place,
                        usize::try_from(dice.below(place as u64 + 1)).expect("small"),
                    );
                }
            }
            let fault = order[next];
            next = (next + 1) % order.len();
            let begun = Instant::now();
            self.begin(fault, &mut dice);
            let seconds = match fault {
                // The first stop lasts a minute, far more than three intervals.
                Fault::Stopped if lasting > Duration::from_secs(600) => 60,
                _ => 4 + dice.below(6),
            };
            sleep(Duration::from_secs(seconds));
            self.end(fault);
            self.faulty.push((begun, Instant::now() + GRACE));
            *self.counts.entry(fault).or_default() += 1;
            assert!(
                self.watchdog.is_alive(),
                "it died of {fault:?}:\n{}",
                self.watchdog.output()
            );
            sleep(Duration::from_secs(1 + dice.below(4)));
        }
    }

    fn begin(&mut self, fault: Fault, dice: &mut Dice) {
        let pid = self.watchdog.pid().to_string();
        let packets = ["iptables", "-A", "INPUT", "-p", "tcp"];
        let rule = |more: &[&str]| run(&[&packets[..], more].concat());
        match fault {
            Fault::Loss => {
                let part = format!("0.{}", 1 + dice.below(4));
                rule(&[
                    "-m",
                    "statistic",
                    "--mode",
                    "random",
                    "--probability",
                    &part,
                    "-j",
                    "DROP",
                ]);
            }
            Fault::Partition => rule(&["-j", "DROP"]),
            Fault::Reset => rule(&["--syn", "-j", "REJECT", "--reject-with", "tcp-reset"]),
            Fault::Narrow => run(&[
                "tc", "qdisc", "replace", "dev", "lo", "root", "tbf", "rate", "16kbit", "burst", "4kb",
                "latency", "2s",
            ]),
            Fault::OrchestratorBroken => self.orchestrator.answer(Answer::status(500)),
            Fault::DependencyBroken => self.site.answer(Answer::status(503)),
            Fault::TelegramBroken => self.telegram.always(TelegramAnswer::Html(502)),
            Fault::TelegramAnswerLost => self.telegram.always(TelegramAnswer::LostAfterAcceptance),
            Fault::Stopped => self.watchdog.signal(Signal::STOP),
            Fault::NoDescriptors => run(&["prlimit", "--pid", &pid, "--nofile=3:"]),
        }
    }

    fn end(&mut self, fault: Fault) {
        let pid = self.watchdog.pid().to_string();
        match fault {
            Fault::Loss | Fault::Partition | Fault::Reset => run(&["iptables", "-F", "INPUT"]),
            Fault::Narrow => run(&["tc", "qdisc", "del", "dev", "lo", "root"]),
            Fault::OrchestratorBroken => self.orchestrator.heal(),
            Fault::DependencyBroken => self.site.heal(),
            Fault::TelegramBroken | Fault::TelegramAnswerLost => self.telegram.always(TelegramAnswer::Ok),
            Fault::Stopped => self.watchdog.signal(Signal::CONT),
            Fault::NoDescriptors => run(&["prlimit", "--pid", &pid, "--nofile=1024:"]),
        }
    }

    /// Waits until all is told, at most for [`SETTLED_WITHIN`], and tells: lost, false, told, and all incidents.
    fn settle(&self) -> (usize, usize, usize, usize) {
        let until = Instant::now() + SETTLED_WITHIN;
        loop {
            let (firings, invented) = self.firings();
            let resolved = self.events("resolved");
            let told = self.told();
            let all: usize = firings.values().sum();
            let lost: usize = firings
                .iter()
                .map(|(signal, count)| {
                    let (began, ended) = told.get(signal).copied().unwrap_or_default();
                    count.abs_diff(began).max(count.abs_diff(ended))
                })
                .sum();
            let is_over = firings == resolved && lost == 0;
            if is_over || Instant::now() > until {
                let told = told.values().map(|(began, _)| began).sum();
                return (lost, invented, told, all);
            }
            sleep(Duration::from_millis(200));
        }
    }

    fn events(&self, event: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.watchdog.lines() {
            if line.field("event") == event {
                *counts.entry(line.field("signal").to_owned()).or_default() += 1;
            }
        }
        counts
    }

    /// Firings in the log by signal, and how many of them no fault explains.
    fn firings(&self) -> (BTreeMap<String, usize>, usize) {
        let lines = self.watchdog.lines();
        let firings = lines.iter().filter(|line| line.field("event") == "firing");
        let invented = firings.filter(|line| {
            let explained = |(begun, ended): &(Instant, Instant)| *begun <= line.at && line.at <= *ended;
            !self.faulty.iter().any(explained)
        });
        (self.events("firing"), invented.count())
    }

    /// Beginnings and ends by signal in what Telegram took, a late line being both, and what is said to be said again being
    /// nothing new.
    fn told(&self) -> BTreeMap<String, (usize, usize)> {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut before: Vec<String> = Vec::new();
        for message in self.telegram.messages() {
            let lines: Vec<String> = message.text.lines().map(str::to_owned).collect();
            let again = lines.iter().any(|line| line.starts_with("(again: "));
            for line in lines.iter().filter(|line| !again || !before.contains(line)) {
                let mut words = line.split(' ');
                let (Some(verb), Some(id)) = (words.nth(1), words.next()) else {
                    continue;
                };
                let count = counts.entry(id.trim_end_matches(':').to_owned()).or_default();
                let times = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
                match verb {
                    "FIRING" => count.0 += 1,
                    "RESOLVED" if line.ends_with("told late") => {
                        count.0 += times;
                        count.1 += times;
                    }
                    "RESOLVED" => count.1 += 1,
                    _ => {}
                }
            }
            if again {
                before.extend(lines);
            } else {
                before = lines;
            }
        }
        counts.retain(|_, (began, ended)| *began + *ended > 0);
        counts
    }
}

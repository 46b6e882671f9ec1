//! The watchdog, its peers, and the faults that befall them.
//!
//! Real seconds pass here on purpose: the kernel's clocks can not be waited for in another way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use watchdog_tests::fake::{Answer, FakeDns, FakeOrchestrator, FakeTelegram, TelegramAnswer, server};
use watchdog_tests::harness::{Setup, Watchdog};

use crate::clock::{Clock, Followed};
use crate::faults::{Dice, Fault, STORM, run};
use crate::link::Link;
use crate::verdict::{Verdict, late_ends};

/// Bytes of data that the process may have.
const DATA_BYTES_MAX: &str = "8388608";
/// After a fault, signals may still fire on what was seen of it for so long: K ticks, a time-out, and the kernel's repeats of
/// lost packets.
const GRACE: Duration = Duration::from_secs(12);
/// In a drizzle nothing may fire for so long.
const DRIZZLE: Duration = Duration::from_secs(10);
/// Between two steps of the clock in a drizzle: three ticks.
const STEP: Duration = Duration::from_secs(3);
/// In fair weather all is told within this: the longest pause of the channel after failures, and some.
const SETTLED_WITHIN: Duration = Duration::from_secs(900);
/// KiB by which resident memory may have grown since the first fault: pages of code touched for the first time.
const GROWTH_KIB_MAX: u64 = 1024;
/// A storm from this length on has time for stops of a whole minute.
const LONG: Duration = Duration::from_secs(600);
/// Seconds between two looks, and between two heartbeats.
const INTERVAL_S: u64 = 1;
const HEARTBEAT_S: u64 = 5;
/// Messages come less often than this on an average: what changes within seconds is one message, and failures make pauses.
const MESSAGE_S: u64 = 2;

/// The watchdog among its peers.
pub struct Scene {
    link: Link,
    clock: Option<Clock>,
    dice: Dice,
    orchestrator: FakeOrchestrator,
    site: FakeOrchestrator,
    heartbeat: FakeOrchestrator,
    telegram: FakeTelegram,
    /// It answers for as long as it is held.
    _dns: FakeDns,
    watchdog: Watchdog,
    memory_kib: u64,
    /// When something was wrong.
    faulty: Vec<(Instant, Instant)>,
    counts: BTreeMap<Fault, u32>,
    /// What should not have been, in words.
    wrong: Vec<String>,
}

impl Scene {
    /// Starts all of it, and waits until the watchdog has said so.
    pub fn start(seed: u64) -> Self {
        let link = Link::start(seed);
        server::listen_at(link.peers());
        let clock = Clock::find();
        let orchestrator = FakeOrchestrator::healthy();
        let site = FakeOrchestrator::healthy();
        let heartbeat = FakeOrchestrator::always(Answer::http(200, &[], b"ok"));
        let telegram = FakeTelegram::named(&[&link.peers().to_string()]);
        let dns = FakeDns::start();
        dns.addresses("site.test", &[IpAddr::V4(link.peers())]);
        dns.ttl_s(1);
        let setup = Setup::quiet()
            .orchestrator(&orchestrator)
            .telegram(&telegram)
            .nameserver(&dns)
            .ticks(3, 2)
            .set("WATCHDOG_INTERVAL", format!("{INTERVAL_S}s"))
            .set("WATCHDOG_DEP_SITE", format!("http://site.test:{}/", site.port()))
            .set("WATCHDOG_HEARTBEAT_URL", heartbeat.url())
            .set("WATCHDOG_HEARTBEAT_INTERVAL", format!("{HEARTBEAT_S}s"))
            .set("WATCHDOG_FLAP_CHANGES", 16)
            .set("WATCHDOG_FLAP_WINDOW", "1m")
            .set("WATCHDOG_COOLDOWN", "off");
        let setup = clock.iter().fold(setup, |setup, clock| clock.seen_by(setup));
        let watchdog = link.near(|| setup.start());
        telegram.wait_for("STARTED", Duration::from_secs(60));
        let pid = watchdog.pid().to_string();
        run(&["prlimit", "--pid", &pid, &format!("--data={DATA_BYTES_MAX}")]);
        Self {
            link,
            clock,
            dice: Dice::new(seed),
            orchestrator,
            site,
            heartbeat,
            telegram,
            _dns: dns,
            memory_kib: watchdog.memory_kib("VmRSS"),
            watchdog,
            faulty: Vec::new(),
            counts: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    /// Fault after fault, with a little fair weather in between, and drizzle before and after.
    pub fn storm(&mut self, lasting: Duration) {
        let end = Instant::now() + lasting;
        let mut order: Vec<Fault> = STORM.into_iter().filter(|fault| self.link.can(*fault)).collect();
        while Instant::now() < end {
            self.drizzle();
            self.dice.shuffle(&mut order);
            for fault in &order {
                if Instant::now() < end {
                    self.strike(*fault, lasting);
                }
            }
        }
        self.drizzle();
    }

    /// What must change nothing. Of what came before something may still be seen, so it lasts for longer than that.
    fn drizzle(&mut self) {
        let sent = self.telegram.attempts().len();
        let until = self.faulty.last().map_or_else(Instant::now, |(_, ended)| *ended) + DRIZZLE;
        self.link.begin(Fault::Drizzle, &mut self.dice);
        while Instant::now() < until {
            self.step_clock();
            sleep(STEP);
        }
        self.link.end(Fault::Drizzle);
        let said = self.telegram.attempts().len() - sent;
        if self.faulty.is_empty() && said > 0 {
            self.wrong.push(format!("{said} messages of nothing"));
        }
        self.count(Fault::Drizzle);
    }

    fn strike(&mut self, fault: Fault, storm: Duration) {
        let begun = Instant::now();
        // It begins and ends by different clocks.
        self.step_clock();
        self.begin(fault);
        let seconds = match fault {
            Fault::Stopped if storm >= LONG => 60,
            Fault::Stopped => 8,
            _ => 4 + self.dice.below(4),
        };
        sleep(Duration::from_secs(seconds));
        self.step_clock();
        self.end(fault);
        self.faulty.push((begun, Instant::now() + GRACE));
        self.count(fault);
        sleep(Duration::from_secs(1 + self.dice.below(2)));
    }

    fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
        assert!(
            self.watchdog.is_alive(),
            "it died of {fault:?}:\n{}",
            self.watchdog.output()
        );
    }

    fn step_clock(&mut self) {
        if let Some(clock) = &mut self.clock {
            clock.step(&mut self.dice);
        }
    }

    fn begin(&mut self, fault: Fault) {
        let pid = self.watchdog.pid().to_string();
        match fault {
            Fault::Refused => {
                self.orchestrator.refuse();
                self.site.refuse();
                self.heartbeat.refuse();
                self.telegram.refuse();
            }
            Fault::OrchestratorBroken => self.orchestrator.answer(Answer::status(500)),
            Fault::DependencyBroken => self.site.answer(Answer::status(503)),
            Fault::TelegramBroken => self.telegram.always(TelegramAnswer::Html(502)),
            Fault::TelegramAnswerLost => self.telegram.always(TelegramAnswer::LostAfterAcceptance),
            Fault::Stopped => self.watchdog.signal(Signal::STOP),
            Fault::NoDescriptors => run(&["prlimit", "--pid", &pid, "--nofile=3:"]),
            _ => self.link.begin(fault, &mut self.dice),
        }
    }

    fn end(&mut self, fault: Fault) {
        let pid = self.watchdog.pid().to_string();
        match fault {
            Fault::Refused => {
                self.orchestrator.reopen();
                self.site.reopen();
                self.heartbeat.reopen();
                self.telegram.reopen();
            }
            Fault::OrchestratorBroken => self.orchestrator.heal(),
            Fault::DependencyBroken => self.site.heal(),
            Fault::TelegramBroken | Fault::TelegramAnswerLost => self.telegram.always(TelegramAnswer::Ok),
            Fault::Stopped => self.watchdog.signal(Signal::CONT),
            Fault::NoDescriptors => run(&["prlimit", "--pid", &pid, "--nofile=1024:"]),
            _ => self.link.end(fault),
        }
    }

    /// Waits until all is told, prints what came of it, and tells whether it was as it must be.
    pub fn settle(&mut self) -> bool {
        let until = Instant::now() + SETTLED_WITHIN;
        let verdict = loop {
            let verdict = self.judge();
            if verdict.is_over && verdict.lost == 0 || Instant::now() > until {
                break verdict;
            }
            sleep(Duration::from_millis(200));
        };
        let memory_kib = self.watchdog.memory_kib("VmRSS");
        if memory_kib > self.memory_kib + GROWTH_KIB_MAX {
            self.wrong.push("memory grew".to_owned());
        }
        self.check_requests();
        let followed = self.check_clock();
        self.print(&verdict, followed, memory_kib);
        let is_good = verdict.is_good() && verdict.incidents > 0 && self.wrong.is_empty();
        if !is_good {
            println!("{}", self.watchdog.output());
            for message in self.telegram.messages() {
                println!(
                    "{:?} {}",
                    message.at.duration_since(self.watchdog.started),
                    message.text
                );
            }
            println!("weather: {verdict:#?} {:#?}", self.wrong);
        }
        // Its own end, so that what libfaketime shares between processes is put away.
        self.watchdog.terminate();
        is_good
    }

    fn judge(&self) -> Verdict {
        Verdict::of(&self.watchdog.lines(), &self.telegram.messages(), &self.faulty)
    }

    /// Nobody was asked more often than the intervals say, whatever the clock or the line did; and each was asked
    /// in much of the time, which would not be if the steps of the clock stopped it.
    fn check_requests(&mut self) {
        let elapsed_s = self.watchdog.started.elapsed().as_secs();
        for (name, count, every_s) in [
            ("orchestrator", self.orchestrator.count(), INTERVAL_S),
            ("site", self.site.count(), INTERVAL_S),
            ("heartbeat", self.heartbeat.count(), HEARTBEAT_S),
            ("telegram", self.telegram.attempts().len(), MESSAGE_S),
        ] {
            let due = usize::try_from(elapsed_s / every_s).expect("some hours");
            let least = if every_s == MESSAGE_S { 1 } else { due / 5 };
            if count < least || count > due + due / 10 + 5 {
                self.wrong
                    .push(format!("{name}: {count} requests, {due} were due"));
            }
        }
    }

    fn check_clock(&mut self) -> Option<Followed> {
        let clock = self.clock.as_ref()?;
        let mut followed = clock.followed_by(&self.watchdog.lines());
        let late = late_ends(&self.watchdog.lines(), &self.telegram.messages());
        followed.late = late.len();
        for end in late {
            let is_true = |ended: &Instant| clock.says(end.told_at, *ended, &end.until);
            if !end.ended_at.iter().any(is_true) {
                self.wrong.push(format!("an end at a wrong time: {end:?}"));
            }
        }
        if followed.wrong > 0 {
            self.wrong
                .push("lines have times that the clock never showed".to_owned());
        }
        if followed.ahead == 0 || followed.back == 0 {
            let why = "the log does not follow the stepped clock: is the binary static?";
            self.wrong.push(why.to_owned());
        }
        Some(followed)
    }

    fn print(&self, verdict: &Verdict, followed: Option<Followed>, memory_kib: u64) {
        println!("weather: faults {:?}", self.counts);
        if let Some(packets) = self.link.packets() {
            println!(
                "weather: packets {} sent, {} lost, {} damaged, {} doubled, {} overtaking others",
                packets.sent, packets.lost, packets.damaged, packets.doubled, packets.overtaking
            );
        }
        if let (Some(clock), Some(followed)) = (&self.clock, followed) {
            println!(
                "weather: wall clock stepped {} times by an hour to forty days; the log went ahead {} times and back {} times, \
                 and {} ends were told late",
                clock.steps(),
                followed.ahead,
                followed.back,
                followed.late
            );
        }
        println!(
            "weather: {} incidents, {} told, lost {}, told twice {}, false {}, untrue durations {}; resident memory {} KiB at the \
             start, {memory_kib} KiB at the end",
            verdict.incidents,
            verdict.told,
            verdict.lost,
            verdict.twice,
            verdict.invented.len(),
            verdict.untrue.len(),
            self.memory_kib
        );
    }
}

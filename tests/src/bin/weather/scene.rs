//! The watchdog, its peers, and the faults that befall them.
//!
//! Real seconds pass here on purpose: the kernel's clocks can not be waited for in another way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use watchdog_tests::envelope;
use watchdog_tests::fake::{Answer, FakeDns, FakeOrchestrator, FakeTelegram, TelegramAnswer, server};
use watchdog_tests::harness::{self, Line, Setup, Watchdog};

use crate::clock::{Clock, Followed};
use crate::faults::{Dice, Fault, STORM, run};
use crate::link::Link;
use crate::strikes::{FIRES_WITHIN, Manner, RAISE_TICKS, Strike, Strikes};
use crate::verdict::{Verdict, late_ends};

/// Bytes of data that the process may have.
const DATA_BYTES_MAX: &str = "8388608";
/// Between two looks at what came.
const LOOK: Duration = Duration::from_millis(200);
/// In fair weather all is over and told within this: a call of 15 s that is under way, a pause of 75 s after failures, 5 s between
/// digests, some ticks, and as much again as a busy machine may need.
const CALM_WITHIN: Duration = Duration::from_secs(120);
/// Ticks of fair weather after which nothing of what was seen before may count any more: one that was under way, and two.
const CALM_TICKS: usize = 3;
/// In a drizzle nothing may fire for so long.
const DRIZZLE: Duration = Duration::from_secs(10);
/// Between two steps of the clock in a drizzle: three ticks.
const STEP: Duration = Duration::from_secs(3);
/// KiB by which resident memory may have grown since the first fault: pages of code touched for the first time.
const GROWTH_KIB_MAX: u64 = 1024;
/// A storm from this length on has time for stops of a whole minute.
const LONG: Duration = Duration::from_secs(600);
/// Seconds between two looks, and between two heartbeats.
const INTERVAL_S: u64 = 1;
const HEARTBEAT_S: u64 = 5;
/// Three times the time-out of a probe, which is the interval.
const TOO_LATE: Duration = Duration::from_secs(3 * INTERVAL_S);
/// Messages come less often than this on an average: what changes within seconds is one message, and failures make pauses.
const MESSAGE_S: u64 = 2;

/// The watchdog among its peers.
pub struct Scene {
    link: Link,
    clock: Option<Clock>,
    dice: Dice,
    orchestrator: FakeOrchestrator,
    site: FakeOrchestrator,
    wiki: FakeOrchestrator,
    heartbeat: FakeOrchestrator,
    telegram: FakeTelegram,
    /// It answers for as long as it is held.
    _dns: FakeDns,
    watchdog: Watchdog,
    memory_kib: u64,
    strikes: Strikes,
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
        let wiki = FakeOrchestrator::healthy();
        let heartbeat = FakeOrchestrator::always(Answer::http(200, &[], b"ok"));
        let telegram = FakeTelegram::named(&[&link.peers().to_string()]);
        let dns = FakeDns::start();
        dns.addresses("site.test", &[IpAddr::V4(link.peers())]);
        dns.ttl_s(1);
        let setup = Setup::quiet()
            .orchestrator(&orchestrator)
            .telegram(&telegram)
            .nameserver(&dns)
            .ticks(u32::from(RAISE_TICKS), 2)
            .set("WATCHDOG_INTERVAL", format!("{INTERVAL_S}s"))
            .set("WATCHDOG_DEP_SITE", format!("http://site.test:{}/", site.port()))
            .set("WATCHDOG_DEP_WIKI", format!("http://{}:{}/", link.peers(), wiki.port()))
            // Looked at, and far from firing, on any machine that can run this.
            .set("WATCHDOG_MEM_AVAILABLE_MIN", "1%")
            .set("WATCHDOG_FD_MAX", "99%")
            .set("WATCHDOG_DISK_CEILING", "100%")
            .set("WATCHDOG_LOG", "debug")
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
            wiki,
            heartbeat,
            telegram,
            _dns: dns,
            memory_kib: watchdog.memory_kib("VmRSS"),
            watchdog,
            strikes: Strikes::default(),
            counts: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    /// Fault after fault, each once before any comes again and before the end, and drizzle before and after. It ends at once if
    /// something is found.
    pub fn storm(&mut self, lasting: Duration) {
        let end = Instant::now() + lasting;
        let mut is_first = true;
        while is_first || Instant::now() < end {
            self.drizzle();
            for fault in self.round() {
                if (!is_first && Instant::now() >= end) || !self.is_well() {
                    break;
                }
                // Those that must bring something about come alone, and later on also in the middle of others.
                if fault.must().is_empty() || (!is_first && self.dice.percent(50)) {
                    self.strike_amid(fault, lasting);
                } else {
                    self.strike_alone(fault);
                }
            }
            is_first = false;
            if !self.is_well() {
                return;
            }
        }
        self.drizzle();
    }

    fn is_well(&self) -> bool {
        let verdict = self.judge();
        self.wrong.is_empty() && verdict.invented.is_empty() && verdict.timeliness.is_good()
    }

    /// All faults in an order that nobody foresees, but that those that come alone follow one another, which saves calms.
    fn round(&mut self) -> Vec<Fault> {
        let can = STORM.into_iter().filter(|fault| self.link.can(*fault));
        let (mut alone, mut others): (Vec<_>, Vec<_>) = can.partition(|fault| !fault.must().is_empty());
        self.dice.shuffle(&mut alone);
        self.dice.shuffle(&mut others);
        let place = self.dice.below(others.len() as u64 + 1);
        let place = usize::try_from(place).expect("small");
        others.splice(place..place, alone);
        others
    }

    /// What must change nothing.
    fn drizzle(&mut self) {
        self.calm();
        let sent = self.telegram.attempts().len();
        let until = Instant::now() + DRIZZLE;
        self.link.begin(Fault::Drizzle, &mut self.dice);
        while Instant::now() < until {
            self.step_clock();
            sleep(STEP);
        }
        self.link.end(Fault::Drizzle);
        let said = self.telegram.attempts().len() - sent;
        if said > 0 {
            self.wrong.push(format!("{said} messages of nothing"));
        }
        self.count(Fault::Drizzle);
    }

    /// Waits in fair weather until all is over and told, and nothing that was seen before can count any more.
    fn calm(&mut self) {
        let (begun, asked) = (Instant::now(), self.asked());
        while !self.is_calm(&asked) {
            if begun.elapsed() > CALM_WITHIN {
                self.wrong.push(format!("no calm within {CALM_WITHIN:?}"));
                break;
            }
            sleep(LOOK);
        }
        self.strikes.calm(Instant::now());
    }

    fn is_calm(&self, asked_before: &[usize; 3]) -> bool {
        let asked = self.asked();
        let was_asked = asked
            .iter()
            .zip(asked_before)
            .all(|(asked, before)| *asked >= before + CALM_TICKS);
        if !was_asked {
            return false;
        }
        // Telegram may have taken what the watchdog does not know to be told.
        let lines = self.watchdog.lines();
        let delivered = lines.iter().rfind(|line| line.field("event") == "delivered");
        let last = self.telegram.attempts().pop().map(|sent| sent.at);
        let verdict = self.judge();
        verdict.is_over && verdict.lost == 0 && delivered.map(|line| line.at) > last
    }

    fn asked(&self) -> [usize; 3] {
        [self.orchestrator.count(), self.site.count(), self.wiki.count()]
    }

    /// Between two calms, until all has fired that must, or should have.
    fn strike_alone(&mut self, fault: Fault) {
        self.calm();
        self.wait_between_looks(fault);
        let begun = Instant::now();
        self.step_clock();
        self.begin(fault);
        let has_fired = |lines: &[Line]| {
            let lately = |signal: &&str| {
                let mut lines = lines.iter();
                lines.any(|line| line.at >= begun && line.tells("firing", signal))
            };
            fault.must().iter().all(lately)
        };
        while begun.elapsed() < FIRES_WITHIN && !has_fired(&self.watchdog.lines()) {
            sleep(LOOK);
        }
        sleep(Duration::from_secs(1 + self.dice.below(2)));
        self.finish(fault, Manner::Alone, begun);
        self.calm();
    }

    /// A look under way when a peer begins to answer wrongly could count or not; who counts looks must know.
    fn wait_between_looks(&mut self, fault: Fault) {
        if let Some(peer) = self.peer(fault) {
            peer.wait_for_more(1, harness::SOON);
            sleep(Duration::from_millis(300 + self.dice.below(500)));
        }
    }

    /// The one peer that answers wrongly.
    const fn peer(&self, fault: Fault) -> Option<&FakeOrchestrator> {
        match fault {
            Fault::OrchestratorBroken => Some(&self.orchestrator),
            Fault::SiteBroken => Some(&self.site),
            Fault::WikiBroken => Some(&self.wiki),
            _ => None,
        }
    }

    /// Right after another, which may still go on having effects, and right before the next.
    fn strike_amid(&mut self, fault: Fault, storm: Duration) {
        let begun = Instant::now();
        self.step_clock();
        self.begin(fault);
        let seconds = match fault {
            Fault::Stopped if storm >= LONG => 60,
            Fault::Stopped => 8,
            _ => 4 + self.dice.below(3),
        };
        sleep(Duration::from_secs(seconds));
        self.finish(fault, Manner::Amid, begun);
        sleep(Duration::from_secs(1));
    }

    /// It begins and ends by different clocks.
    fn finish(&mut self, fault: Fault, manner: Manner, begun: Instant) {
        self.step_clock();
        self.end(fault);
        let strike = Strike::new(fault, manner, begun, Instant::now());
        self.strikes.push(match self.peer(fault) {
            Some(peer) => strike.of_peer(peer.requests().iter().map(|request| request.at)),
            None => strike,
        });
        self.count(fault);
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
                self.wiki.refuse();
                self.heartbeat.refuse();
                self.telegram.refuse();
            }
            Fault::OrchestratorBroken => self.orchestrator.answer(no_envelope(&mut self.dice)),
            Fault::SiteBroken => self.site.answer(no_good(&mut self.dice)),
            Fault::WikiBroken => self.wiki.answer(no_answer(&mut self.dice)),
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
                self.wiki.reopen();
                self.heartbeat.reopen();
                self.telegram.reopen();
            }
            Fault::OrchestratorBroken => self.orchestrator.heal(),
            Fault::SiteBroken => self.site.heal(),
            Fault::WikiBroken => self.wiki.heal(),
            Fault::TelegramBroken | Fault::TelegramAnswerLost => self.telegram.always(TelegramAnswer::Ok),
            Fault::Stopped => self.watchdog.signal(Signal::CONT),
            Fault::NoDescriptors => run(&["prlimit", "--pid", &pid, "--nofile=1024:"]),
            _ => self.link.end(fault),
        }
    }

    /// Waits until all is told, prints what came of it, and tells whether it was as it must be.
    pub fn settle(&mut self) -> bool {
        let until = Instant::now() + CALM_WITHIN;
        let verdict = loop {
            let verdict = self.judge();
            if verdict.is_over && verdict.lost == 0 || Instant::now() > until {
                break verdict;
            }
            sleep(LOOK);
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
        Verdict::of(&self.watchdog.lines(), &self.telegram.messages(), &self.strikes)
    }

    /// Nobody was asked more often than the intervals say, whatever the clock or the line did; and each was asked
    /// in much of the time, which would not be if the steps of the clock stopped it.
    fn check_requests(&mut self) {
        let elapsed_s = self.watchdog.started.elapsed().as_secs();
        for (name, count, every_s) in [
            ("orchestrator", self.orchestrator.count(), INTERVAL_S),
            ("site", self.site.count(), INTERVAL_S),
            ("wiki", self.wiki.count(), INTERVAL_S),
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
        if let Some(first_s) = followed.first_wrong_s {
            self.wrong.push(format!(
                "{} lines have times that the clock never showed, the first {first_s}",
                followed.wrong
            ));
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
        println!("weather: {}", verdict.timeliness);
    }
}

/// What an orchestrator must not answer, or not so late.
fn no_envelope(dice: &mut Dice) -> Answer {
    match dice.below(9) {
        0 => Answer::status(500),
        1 => Answer::status(404),
        2 => Answer::status(302),
        3 => Answer::text("[1, 2, 3]"),
        4 => Answer::text("{\"enabled\": tr"),
        5 => Answer::cut_short(&envelope::healthy().to_string(), 10),
        6 => no_good(dice),
        _ => no_answer(dice),
    }
}

/// What a dependency must not answer.
fn no_good(dice: &mut Dice) -> Answer {
    match dice.below(3) {
        0 => Answer::status(503),
        1 => Answer::status(404),
        _ => Answer::Reset(b"HTTP/1.1 ".to_vec()),
    }
}

/// No answer within the time-out.
fn no_answer(dice: &mut Dice) -> Answer {
    match dice.below(2) {
        0 => Answer::BlackHole,
        _ => Answer::After(TOO_LATE, Box::new(Answer::json(&envelope::healthy()))),
    }
}

//! The whole machine, driven by hand: what it asks for, and what it tells.

extern crate std;

use core::net::{Ipv4Addr, SocketAddr};
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::{Mode, Watchdog};
use crate::config::{self, Config, Facts, Origin, Pair};
use crate::net::{Closed, Connection, FileFault, FileSystem, Input, Output, Peer};
use crate::time::{Instant, Utc};

/// What the world does with a connection to the orchestrator or Telegram.
#[derive(Clone)]
pub(super) enum Peered {
    Refuses,
    Answers(String),
}

/// A world of one orchestrator, one Bot API and two Alertmanagers, all on loopback, with time of its own.
pub(super) struct World {
    pub(super) watchdog: Box<Watchdog<'static>>,
    pub(super) now: Instant,
    pub(super) orchestrator: Peered,
    telegram: Peered,
    heartbeat: Peered,
    pub(super) alertmanagers: [Peered; 2],
    open: Vec<(Connection, u16)>,
    pub(super) logs: Vec<String>,
    sent: Vec<String>,
    beats: Vec<String>,
    /// Which of the two, and the request.
    pub(super) alerts: Vec<(usize, String)>,
}

const TELEGRAM: u16 = 8443;
const HEARTBEAT: u16 = 8444;
const ALERTMANAGERS: [u16; 2] = [9093, 9094];

/// The machine is some megabytes and passes over the stack on its way to the heap: more than a test's stack has.
pub(super) fn with_room(test: fn()) {
    let thread = std::thread::Builder::new()
        .stack_size(64 * 1024 * 1024)
        .spawn(test)
        .unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn configured(pairs: &[(&str, &str)]) -> &'static Config {
    let pairs: Vec<Pair<'_>> = pairs
        .iter()
        .map(|(name, value)| Pair {
            name,
            value: Ok(value),
            origin: Origin::Env,
        })
        .collect();
    let mut config = Box::new(Config::EMPTY);
    let facts = Facts {
        host_name: "host-1",
        docker_socket_exists: false,
    };
    config::parse(&pairs, &facts, &mut config, &mut |fault| panic!("{fault}"));
    Box::leak(config)
}

pub(super) fn http(status: &str, body: &str) -> Peered {
    Peered::Answers(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

const TOLD: &[(&str, &str)] = &[
    ("WATCHDOG_TELEGRAM_TOKEN", "123456:abc-DEF_ghi"),
    ("WATCHDOG_TELEGRAM_CHAT_ID", "-100123"),
    ("WATCHDOG_TELEGRAM_API_URL", "http://127.0.0.1:8443"),
    ("WATCHDOG_MEM_AVAILABLE_MIN", "off"),
    ("WATCHDOG_FD_MAX", "off"),
];

impl World {
    pub(super) fn new(pairs: &[(&str, &str)]) -> Self {
        Self::of(pairs, Mode::Run)
    }

    pub(super) fn of(pairs: &[(&str, &str)], mode: Mode) -> Self {
        let all: Vec<(&str, &str)> = TOLD.iter().chain(pairs).copied().collect();
        let mut world = Self {
            watchdog: Box::new(Watchdog::new()),
            now: Instant::from_millis(1_000),
            orchestrator: http("200 OK", "{}"),
            telegram: http("200 OK", r#"{"ok":true,"result":{}}"#),
            heartbeat: http("200 OK", "ok"),
            alertmanagers: [const { Peered::Refuses }; 2],
            beats: Vec::new(),
            alerts: Vec::new(),
            open: Vec::new(),
            logs: Vec::new(),
            sent: Vec::new(),
        };
        world.watchdog.start(world.now, configured(&all), 1, mode);
        world.tell(Input::Wall(Utc::parse_rfc3339("2026-01-02T12:00:00Z").unwrap()));
        world
    }

    fn tell(&mut self, input: Input<'_>) {
        self.watchdog.handle(self.now, input);
        self.drain();
    }

    /// Does what the machine wishes until it wishes nothing more.
    fn drain(&mut self) {
        enum Todo {
            Open(Connection, u16),
            Wrote(Connection, String),
            File(crate::net::HostFile),
            Stat(u8),
        }
        loop {
            let mut todo = Vec::new();
            while let Some(output) = self.watchdog.poll(self.now) {
                match output {
                    Output::Open(connection, Peer::Tcp(peer), _) => {
                        todo.push(Todo::Open(connection, peer.port()))
                    }
                    Output::Open(_, Peer::Unix(path), _) => panic!("{path}"),
                    Output::Write(connection, bytes) => {
                        todo.push(Todo::Wrote(
                            connection,
                            String::from_utf8(bytes.to_vec()).unwrap(),
                        ));
                    }
                    Output::Close(connection) => self.open.retain(|(open, _)| *open != connection),
                    Output::ReadFile(file) => todo.push(Todo::File(file)),
                    Output::Stat(place, _) => todo.push(Todo::Stat(place)),
                    Output::Log(_, line) | Output::Event(line) => self.logs.push(line.into()),
                    Output::StartTls(..) => panic!("there is no proxy"),
                    Output::Query { .. } => panic!("there is nothing to look up"),
                }
            }
            if todo.is_empty() {
                return;
            }
            for done in todo {
                match done {
                    Todo::Open(connection, port) => {
                        self.open.push((connection, port));
                        let input = match self.peer(port) {
                            Peered::Refuses => Input::Closed(connection, Closed::Refused),
                            Peered::Answers(_) => Input::Connected(connection),
                        };
                        self.watchdog.handle(self.now, input);
                    }
                    Todo::Wrote(connection, request) => self.answer(connection, request),
                    Todo::File(file) => self
                        .watchdog
                        .handle(self.now, Input::FileEnd(file, Err(FileFault::NotFound))),
                    Todo::Stat(place) => {
                        let figures = FileSystem {
                            device: 1,
                            blocks: 100,
                            blocks_available: 50,
                            ..FileSystem::default()
                        };
                        self.watchdog
                            .handle(self.now, Input::FileSystem(place, Ok(figures)));
                    }
                }
            }
        }
    }

    fn peer(&self, port: u16) -> Peered {
        match port {
            TELEGRAM => self.telegram.clone(),
            HEARTBEAT => self.heartbeat.clone(),
            _ => match ALERTMANAGERS.iter().position(|known| *known == port) {
                Some(place) => self.alertmanagers[place].clone(),
                None => self.orchestrator.clone(),
            },
        }
    }

    fn answer(&mut self, connection: Connection, request: String) {
        let port = self.open.iter().find(|(open, _)| *open == connection).unwrap().1;
        match port {
            TELEGRAM => self.sent.push(request),
            HEARTBEAT => self.beats.push(request),
            _ => {
                if let Some(place) = ALERTMANAGERS.iter().position(|known| *known == port) {
                    self.alerts.push((place, request));
                }
            }
        }
        if let Peered::Answers(mut answer) = self.peer(port) {
            if port == 9093 && REQUESTS_AT_ONCE.with(|l| l.get()) > 0 {
                let (at, n) = COUNT.with(|c| c.get());
                let n = if at == self.now.as_millis() { n + 1 } else { 1 };
                COUNT.with(|c| c.set((self.now.as_millis(), n)));
                if n > REQUESTS_AT_ONCE.with(|l| l.get()) {
                    answer = "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n".into();
                }
            }
            self.watchdog
                .handle(self.now, Input::Received(connection, answer.as_bytes()));
        }
    }

    /// Lets time pass, waking the machine whenever it asked to be.
    pub(super) fn pass(&mut self, secs: u64) {
        let end = Instant::from_millis(self.now.as_millis() + secs * 1000);
        loop {
            let next = self.watchdog.deadline();
            assert!(next > self.now, "the next deadline lies ahead");
            if next > end {
                break;
            }
            self.now = next;
            self.tell(Input::Time);
        }
        self.now = end;
        self.tell(Input::Time);
    }

    fn texts(&self) -> Vec<String> {
        let text = |request: &String| {
            let body = request.split("\r\n\r\n").nth(1).unwrap();
            let value: serde_json::Value = serde_json::from_str(body).unwrap();
            value["text"].as_str().unwrap().into()
        };
        self.sent.iter().map(text).collect()
    }

    fn events(&self) -> Vec<&str> {
        let event = |line: &str| line.contains("signal=orch_down");
        self.logs
            .iter()
            .map(String::as_str)
            .filter(|line| event(line))
            .collect()
    }
}

/// An orchestrator that is well leads to one silent start digest and then to nothing.
#[test]
fn all_well_is_one_silent_start_digest() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.pass(3_600);
        let texts = world.texts();
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(
            texts[0].starts_with("<b>host-1</b>\n🔵 STARTED watchdog "),
            "{}",
            texts[0]
        );
        assert!(world.sent[0].contains(r#""disable_notification":true"#));
        assert!(world.sent[0].starts_with("POST /bot123456:abc-DEF_ghi/sendMessage HTTP/1.1\r\n"));
    });
}

/// It fires on the K-th tick and is told at once, and resolved with its duration.
#[test]
fn an_outage_is_told_and_its_end_too() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.pass(60);
        world.orchestrator = Peered::Refuses;
        world.pass(44);
        assert_eq!(world.texts().len(), 1);
        world.pass(1);
        let texts = world.texts();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[1].contains("🔴 FIRING orch_down: connection refused (3 checks in 45s)\n"),
            "{}",
            texts[1]
        );
        assert!(texts[1].ends_with("held 3 by orch_down"), "{}", texts[1]);
        world.orchestrator = http("200 OK", "{}");
        world.pass(60);
        let texts = world.texts();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(texts[2].contains("🟢 RESOLVED orch_down: after "), "{}", texts[2]);
        assert_eq!(world.events().len(), 2, "{:?}", world.logs);
        assert!(
            world.events()[0].contains(
                r#"level=error event=firing signal=orch_down detail="connection refused" checks=3"#
            )
        );
    });
}

/// What fires while the channel is down is told once it is back, and what came and went as one late line.
#[test]
fn nothing_is_lost_while_the_channel_is_down() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.pass(60);
        world.telegram = Peered::Refuses;
        world.orchestrator = Peered::Refuses;
        world.pass(120);
        world.orchestrator = http("200 OK", "{}");
        world.pass(600);
        assert_eq!(world.texts().len(), 1);
        world.telegram = http("200 OK", r#"{"ok":true}"#);
        world.pass(120);
        let texts = world.texts();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[1].contains("RESOLVED orch_down: was down 1m 45s until 12:03Z, told late"),
            "{}",
            texts[1]
        );
    });
}

/// Three hours without the channel while the orchestrator goes and comes back five times: people get one late line with
/// the count, and what lasts is told as firing and then as resolved.
#[test]
fn three_hours_of_outage_lose_nothing() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.pass(60);
        world.telegram = Peered::Refuses;
        for _ in 0..5 {
            world.orchestrator = Peered::Refuses;
            world.pass(600);
            world.orchestrator = http("200 OK", "{}");
            world.pass(1500);
        }
        world.orchestrator = http("200 OK", r#"{"queue":{"depth":3,"running":0}}"#);
        world.pass(300);
        assert_eq!(world.texts().len(), 1);
        world.telegram = http("200 OK", r#"{"ok":true}"#);
        world.pass(120);
        let texts = world.texts();
        assert_eq!(texts.len(), 2, "{texts:?}");
        for part in [
            "RESOLVED orch_down: 5 times, last was down 9m 45s until ",
            "FIRING queue_stalled: ",
        ] {
            assert_eq!(texts[1].matches(part).count(), 1, "{}", texts[1]);
        }
        assert!(!texts[1].contains("again: "), "{}", texts[1]);
        world.orchestrator = http("200 OK", r#"{"queue":{"depth":3,"running":1}}"#);
        world.pass(120);
        let texts = world.texts();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(
            texts[2].contains("RESOLVED queue_stalled: after "),
            "{}",
            texts[2]
        );
    });
}

/// A flood wait is honoured to the second.
#[test]
fn nothing_is_sent_before_retry_after() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.telegram = http(
            "429 Too Many Requests",
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 100","parameters":{"retry_after":100}}"#,
        );
        world.pass(30);
        assert_eq!(world.sent.len(), 1);
        world.pass(99);
        assert_eq!(world.sent.len(), 1);
        world.pass(2);
        assert_eq!(world.sent.len(), 2);
    });
}

/// No output but the request line to the Bot API ever holds the token.
#[test]
fn the_token_is_in_no_log_line() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.telegram = http(
            "401 Unauthorized",
            r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
        );
        world.orchestrator = http("500 Oops", "");
        world.pass(3_600);
        assert!(
            world.logs.iter().any(|line| line.contains("event=undelivered")),
            "{:?}",
            world.logs
        );
        assert!(world.logs.iter().all(|line| !line.contains("abc-DEF_ghi")));
        let mut status = String::new();
        crate::status::write_json(&world.watchdog, world.now, &mut status).unwrap();
        crate::status::write_table(&world.watchdog, &mut status).unwrap();
        assert!(!status.contains("abc-DEF_ghi"));
    });
}

/// Rules fire under their own names, after their own ticks or time, one for each subject.
#[test]
fn rules_fire_under_their_own_names() {
    with_room(|| {
        let mut world = World::new(&[
            ("WATCHDOG_RULE_FAILED_JOBS", "queue.failed > 0 for 2"),
            (
                "WATCHDOG_RULE_OLD_STAGE",
                "stages[].oldest_age_s >= 1800 for 1m by stage",
            ),
        ]);
        world.pass(60);
        world.orchestrator = http(
            "200 OK",
            r#"{"queue":{"failed":3},"stages":[{"oldest_age_s":2000,"stage":"build"},{"stage":"test","oldest_age_s":1}]}"#,
        );
        world.pass(30);
        let texts = world.texts();
        assert!(
            texts[1].contains("🟡 FIRING failed_jobs: queue.failed is 3 (&gt; 0) (2 checks in 30s)\n"),
            "{texts:?}"
        );
        world.pass(60);
        let texts = world.texts();
        assert!(
            texts[2].contains("🟡 FIRING old_stage:build: stages[].oldest_age_s is 2000 (&gt;= 1800)"),
            "{texts:?}"
        );
        world.orchestrator = http("200 OK", r#"{"queue":{"failed":0},"stages":[]}"#);
        world.pass(60);
        let all = world.texts().join("\n");
        assert!(all.contains("🟢 RESOLVED failed_jobs: after "), "{all}");
        assert!(all.contains("🟢 RESOLVED old_stage:build: after "), "{all}");
        assert!(!all.contains("old_stage:test"), "{all}");
    });
}

/// Spurious calls are no-ops: without an input and without time passing there is nothing to wish.
#[test]
fn spurious_calls_change_nothing() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.pass(20);
        let logs = world.logs.len();
        let stray = Connection {
            slot: 0,
            generation: 9_999,
        };
        for input in [
            Input::Time,
            Input::Connected(stray),
            Input::Received(stray, b"HTTP/1.1 200 OK\r\n\r\n"),
            Input::Closed(stray, Closed::Reset),
            Input::Datagram(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)), b"x"),
            Input::FileSystem(200, Ok(FileSystem::default())),
            Input::Connected(Connection {
                slot: 255,
                generation: 0,
            }),
        ] {
            world.tell(input);
        }
        assert_eq!((world.logs.len(), world.open.len()), (logs, 0));
    });
}

const BEATS: &[(&str, &str)] = &[
    (
        "WATCHDOG_HEARTBEAT_URL",
        "http://u:p@127.0.0.1:8444/ping/secret-uuid?rid=1",
    ),
    ("WATCHDOG_HEARTBEAT_FAIL", "true"),
    ("WATCHDOG_LOG", "debug"),
];

/// The heart beats after completed ticks, once an interval, and says `/fail` while a master alarm fires.
#[test]
fn the_heart_beats_once_an_interval() {
    with_room(|| {
        let mut world = World::new(BEATS);
        world.pass(600);
        assert!((10..=11).contains(&world.beats.len()), "{}", world.beats.len());
        assert!(
            world
                .beats
                .iter()
                .all(|beat| beat.starts_with("GET /ping/secret-uuid?rid=1 HTTP/1.1\r\n"))
        );
        world.orchestrator = Peered::Refuses;
        world.pass(120);
        let last = world.beats.last().unwrap();
        assert!(
            last.starts_with("GET /ping/secret-uuid/fail?rid=1 HTTP/1.1\r\n"),
            "{last}"
        );
        world.orchestrator = http("200 OK", "{}");
        world.pass(120);
        assert!(!world.beats.last().unwrap().contains("/fail"));
    });
}

/// A heartbeat that fails is one line at debug, and one when it is answered again; none holds the URL.
#[test]
fn a_failing_heartbeat_is_logged_once() {
    with_room(|| {
        let mut world = World::new(BEATS);
        world.heartbeat = http("404 Not Found", "");
        world.pass(600);
        world.heartbeat = Peered::Refuses;
        world.pass(600);
        let lines = |world: &World| {
            world
                .logs
                .iter()
                .filter(|line| line.contains("event=heartbeat"))
                .count()
        };
        assert_eq!(lines(&world), 1, "{:?}", world.logs);
        world.heartbeat = http("204 No Content", "");
        world.pass(120);
        assert_eq!(lines(&world), 2, "{:?}", world.logs);
        assert!(world.watchdog.heartbeat().counts().1 >= 19);
        assert!(world.logs.iter().all(|line| !line.contains("secret-uuid")));
    });
}

/// 500 signals that fire in one tick are at most two messages in the first minute, all told within ten, none twice.
#[test]
fn a_flood_is_told_in_measure() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.pass(60);
        let stages: Vec<String> = (0..500)
            .map(|number| format!(r#"{{"stage":"s-{number:03}","count":1,"oldest_age_s":9000}}"#))
            .collect();
        world.orchestrator = http("200 OK", &format!(r#"{{"stages":[{}]}}"#, stages.join(",")));
        while world.texts().len() < 2 {
            world.pass(1);
        }
        world.pass(59);
        assert!(world.texts().len() <= 3, "{:?}", world.texts().len());
        world.pass(540);
        let texts = world.texts();
        for number in 0..500 {
            let line = format!("FIRING stage_stuck:s-{number:03}: ");
            let told = texts.iter().filter(|text| text.contains(&line)).count();
            assert_eq!(told, 1, "{line} in {} messages", texts.len());
        }
        assert!(texts.iter().all(|text| text.len() <= 4096));
    });
}

/// Refusals of a permanent kind are tried every ten minutes, and logged hourly.
#[test]
fn a_permanent_refusal_is_logged_hourly() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.telegram = Peered::Refuses;
        world.pass(31);
        world.telegram = http(
            "403 Forbidden",
            r#"{"ok":false,"description":"Forbidden: bot was blocked by the user"}"#,
        );
        world.pass(3 * 3_600);
        let logged = world
            .logs
            .iter()
            .filter(|line| line.contains("bot was blocked"))
            .count();
        assert!((1..=4).contains(&logged), "{logged}");
        assert!(world.sent.len() <= 20, "{}", world.sent.len());
        assert!(world.watchdog.telegram().is_broken());
    });
}

/// An answer that asks for one change after the other is not hammered: at most one try a second.
#[test]
fn endless_migration_is_paced() {
    with_room(|| {
        let mut world = World::new(&[]);
        for chat in 0..30 {
            let answer = format!(
                r#"{{"ok":false,"description":"Bad Request","parameters":{{"migrate_to_chat_id":-{}}}}}"#,
                100 + chat % 2
            );
            world.telegram = http("400 Bad Request", &answer);
            world.pass(2);
        }
        assert!(world.sent.len() <= 61, "{}", world.sent.len());
    });
}

/// A front that answers 504 may have passed the message on: the next one says that it may be a second one.
#[test]
fn a_gateway_time_out_leaves_doubt() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.telegram = http("504 Gateway Timeout", "<html>");
        world.pass(31);
        assert!(!world.texts()[0].contains("again: "));
        world.telegram = http("200 OK", r#"{"ok":true}"#);
        world.pass(60);
        let texts = world.texts();
        assert!(
            texts.last().unwrap().contains("again: it is not known"),
            "{texts:?}"
        );
    });
}

/// The end of a cost that was told is no line for people, and leaves nothing untold; one that came and went while the
/// channel was down is told late.
#[test]
fn the_end_of_a_cost_is_not_told() {
    with_room(|| {
        let over = || http("200 OK", r#"{"cost":{"today_usd":7}}"#);
        let below = || http("200 OK", r#"{"cost":{"today_usd":1}}"#);
        let mut world = World::new(&[("WATCHDOG_COST_DAILY_MAX", "5")]);
        world.pass(60);
        world.orchestrator = over();
        world.pass(60);
        let texts = world.texts();
        assert!(
            texts[1].contains("🟡 FIRING cost_over: 7.00 USD today"),
            "{}",
            texts[1]
        );
        world.orchestrator = below();
        world.pass(600);
        assert_eq!(world.texts().len(), 2, "{:?}", world.texts());
        let mut status = String::new();
        crate::status::write_json(&world.watchdog, world.now, &mut status).unwrap();
        assert!(!status.contains(r#""told":false"#), "{status}");
        world.telegram = Peered::Refuses;
        world.orchestrator = over();
        world.pass(60);
        world.orchestrator = below();
        world.pass(600);
        world.telegram = http("200 OK", r#"{"ok":true}"#);
        world.pass(300);
        let texts = world.texts();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(
            texts[2].contains("RESOLVED cost_over: was active 45s until"),
            "{}",
            texts[2]
        );
        assert!(!texts[2].contains("RESOLVED cost_over: after"), "{}", texts[2]);
    });
}

std::thread_local! {
    /// Requests in one instant that an Alertmanager takes before it answers 429; 0: all.
    pub(super) static REQUESTS_AT_ONCE: core::cell::Cell<u32> = const { core::cell::Cell::new(0) };
    static COUNT: core::cell::Cell<(u64, u32)> = const { core::cell::Cell::new((0, 0)) };
}

/// Where no topic is configured, none can be named as gone, whatever Telegram says of the general one.
#[test]
fn without_a_topic_none_is_gone() {
    with_room(|| {
        let mut world = World::new(&[]);
        world.pass(60);
        let closed = r#"{"ok":false,"error_code":400,"description":"Bad Request: TOPIC_CLOSED"}"#;
        world.telegram = http("400 Bad Request", closed);
        world.orchestrator = Peered::Refuses;
        world.pass(120);
        world.telegram = http("200 OK", r#"{"ok":true,"result":{}}"#);
        world.pass(120);
        let last = world.texts().pop().unwrap();
        assert!(
            last.contains("FIRING orch_down") && !last.contains("topic"),
            "{last}"
        );
    });
}

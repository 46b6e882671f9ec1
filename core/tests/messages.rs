//! Whole messages as people get them, for reviewers to read: `core/tests/snapshots/`.

use watchdog_core::config::{self, Config, Facts, Origin, Pair};
use watchdog_core::digest::{Context, Markup, Message};
use watchdog_core::net::{Closed, FileFault, FileSystem, Input, Output};
use watchdog_core::signal::{Kind, Observation, SignalId};
use watchdog_core::table::Table;
use watchdog_core::text::Subject;
use watchdog_core::time::{Instant, Millis, Utc};
use watchdog_core::watchdog::{Mode, Watchdog};

/// 2026-01-02T12:00:00Z.
const NOON_S: i64 = 1_767_355_200;

fn configured(pairs: &[(&str, &str)]) -> &'static Config {
    let pairs: Vec<Pair<'_>> = pairs
        .iter()
        .map(|(name, value)| Pair {
            name,
            value: Ok(value),
            origin: Origin::Env,
        })
        .collect();
    let facts = Facts {
        host_name: "host-1",
        docker_socket_exists: false,
    };
    let mut config = Box::new(Config::EMPTY);
    let mut faults = Vec::new();
    config::parse(&pairs, &facts, &mut config, &mut |fault| {
        faults.push(fault.to_string())
    });
    assert_eq!(faults, [""; 0]);
    Box::leak(config)
}

/// The table and big machines pass over the stack on their way to the heap.
fn with_room(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(test);
    // What went wrong in it has been printed by it.
    assert!(matches!(thread.map(std::thread::JoinHandle::join), Ok(Ok(()))));
}

/// A table that is fed by hand, a tick every 15 s, noon at the start.
struct Desk {
    table: Box<Table>,
    config: &'static Config,
    now: Instant,
    markup: Markup,
}

impl Desk {
    fn new(pairs: &[(&str, &str)], markup: Markup) -> Self {
        let mut table = Box::new(Table::new());
        table.set_channels(1);
        Self {
            table,
            config: configured(pairs),
            now: Instant::from_millis(1_000_000),
            markup,
        }
    }

    fn know(&mut self, kind: Kind, subject: &str) {
        let subject = Subject::new(subject);
        self.table.register(SignalId { kind, subject }, self.now);
    }

    /// So many ticks in which these look like that, and all others are clear.
    fn ticks(&mut self, count: u32, active: &[(Kind, &str, &str)]) {
        for _ in 0..count {
            self.now = self.now.after(Millis::from_secs(15));
            for (kind, subject, detail) in active {
                let subject = Subject::new(subject);
                self.table.stage(
                    *kind,
                    &subject,
                    Observation::Active,
                    0.0,
                    format_args!("{detail}"),
                );
            }
            let ids: Vec<SignalId> = self.table.rows().iter().map(|row| row.id().clone()).collect();
            for id in ids {
                if self.table.staged(id.kind, &id.subject).is_none() {
                    self.table.stage(
                        id.kind,
                        &id.subject,
                        Observation::Clear,
                        0.0,
                        format_args!("well"),
                    );
                }
            }
            self.table.settle(self.now, self.config);
        }
    }

    fn pass(&mut self, secs: u64) {
        self.now = self.now.after(Millis::from_secs(secs));
    }

    /// The message of what is left to tell now, which is accepted.
    fn message(&mut self) -> String {
        self.message_with(|_| {})
    }

    fn message_with(&mut self, prepare: fn(&mut Message)) -> String {
        let wall = Utc::new(NOON_S, 0);
        let mut message = Message::new();
        let context = Context {
            config: self.config,
            channel: 0,
            markup: self.markup,
            bytes_max: 4096,
            now: self.now,
            wall: wall.after(self.now.since(Instant::from_millis(1_000_000))),
        };
        message.begin(&context);
        prepare(&mut message);
        message.add_signals(&mut self.table, &context);
        message.end(&self.table);
        self.table.accepted(0, self.now, self.config);
        let sound = if message.is_silent() { "silent" } else { "aloud" };
        assert!(message.as_str().len() <= 4096);
        format!("[{sound}]\n{}", message.as_str())
    }
}

const DOWN: (Kind, &str, &str) = (Kind::DepDown, "gitea", "connection refused");
const DISK: (Kind, &str, &str) = (Kind::DiskCeiling, "/", "98% used");
const OLD: (Kind, &str, &str) = (Kind::StageStuck, "build", "oldest 3h");
const WEB: (Kind, &str, &str) = (Kind::ContainerDown, "web", "exited 137 (SIGKILL)");

fn desk(pairs: &[(&str, &str)]) -> Desk {
    let mut desk = Desk::new(pairs, Markup::Plain);
    for (kind, subject) in [
        (Kind::OrchDown, ""),
        (Kind::DepDown, "gitea"),
        (Kind::DepDown, "plane"),
        (Kind::DiskCeiling, "/"),
    ] {
        desk.know(kind, subject);
    }
    desk.ticks(1, &[]);
    desk
}

/// Firing first, critical before warning, then by id; the footer counts what is active.
#[test]
fn firing_in_order() {
    with_room(|| {
        let mut desk = desk(&[]);
        desk.ticks(3, &[OLD, WEB, DISK, DOWN]);
        insta::assert_snapshot!("firing_in_order", desk.message());
    });
}

/// What goes on is told after the cooldown, what is over with its duration, both beside what begins.
#[test]
fn still_firing_resolved_and_firing() {
    with_room(|| {
        let mut desk = desk(&[("WATCHDOG_COOLDOWN", "1m")]);
        desk.ticks(3, &[DISK, DOWN]);
        desk.message();
        desk.ticks(4, &[DISK, WEB]);
        insta::assert_snapshot!("still_firing_resolved_and_firing", desk.message());
        desk.ticks(2, &[]);
        insta::assert_snapshot!("resolved_alone", desk.message());
    });
}

/// What came and went untold is one late line, with its number if there were several, and its date if that is not today's.
#[test]
fn told_late() {
    with_room(|| {
        let mut desk = desk(&[("WATCHDOG_FLAP_CHANGES", "16")]);
        desk.ticks(50, &[DOWN]);
        desk.ticks(2, &[]);
        for _ in 0..2 {
            desk.ticks(3, &[OLD]);
            desk.ticks(2, &[]);
        }
        desk.pass(600);
        insta::assert_snapshot!("told_late", desk.message());
        desk.ticks(3, &[DOWN]);
        desk.message();
        desk.ticks(2, &[]);
        desk.ticks(3, &[DOWN]);
        desk.ticks(2, &[]);
        desk.ticks(3, &[DOWN]);
        desk.pass(2 * 86_400);
        insta::assert_snapshot!("told_late_and_again", desk.message());
    });
}

/// Flapping is one line, and so is its end, with the state that it settled in.
#[test]
fn flapping_and_stable() {
    with_room(|| {
        let mut desk = desk(&[("WATCHDOG_RAISE_TICKS", "1"), ("WATCHDOG_CLEAR_TICKS", "1")]);
        for _ in 0..5 {
            desk.ticks(1, &[DOWN, DISK]);
            desk.ticks(1, &[]);
        }
        insta::assert_snapshot!("flapping", desk.message());
        desk.ticks(125, &[DISK]);
        insta::assert_snapshot!("stable", desk.message());
    });
}

/// While a master fires its children are held: they are counted, and none of them is told.
#[test]
fn held_by_a_master() {
    with_room(|| {
        let mut desk = desk(&[]);
        desk.ticks(3, &[OLD]);
        desk.message();
        desk.ticks(
            3,
            &[(
                Kind::OrchDown,
                "",
                "timeout: no answer within 5s (waiting for an answer)",
            )],
        );
        insta::assert_snapshot!("held_by_a_master", desk.message());
    });
}

/// Whole lines only; what finds no room is counted, and follows in the same order.
#[test]
fn more_than_fits() {
    with_room(|| {
        let mut desk = desk(&[]);
        let names: Vec<String> = (0..80).map(|number| format!("stage-{number:02}")).collect();
        let active: Vec<(Kind, &str, &str)> = names
            .iter()
            .map(|name| (Kind::StageStuck, name.as_str(), "oldest 3h"))
            .collect();
        desk.ticks(3, &active);
        insta::assert_snapshot!("more_than_fits", desk.message());
        insta::assert_snapshot!("the_rest", desk.message());
    });
}

/// A master does not wait behind the many: its line, the good news too, stands at the head of a message that goes on with
/// what the last one left out.
#[test]
fn a_master_goes_ahead_of_the_many() {
    with_room(|| {
        let mut desk = desk(&[]);
        desk.ticks(3, &[(Kind::OrchDown, "", "connection refused")]);
        assert!(desk.message().contains("FIRING orch_down"));
        let names: Vec<String> = (0..120).map(|number| format!("path-{number:03}")).collect();
        let active: Vec<(Kind, &str, &str)> = names
            .iter()
            .map(|name| (Kind::DiskCeiling, name.as_str(), "98% used"))
            .collect();
        desk.ticks(3, &active);
        let first = desk.message();
        assert!(
            first.contains("more\n") && !first.contains("orch_down"),
            "{first}"
        );
        let second = desk.message_with(Message::put_masters_first);
        let line = second.lines().nth(2).unwrap_or_default().to_owned();
        assert_eq!(line, "\u{1f7e2} RESOLVED orch_down: after 30s");
        assert!(second.contains("FIRING disk_ceiling:path-1"), "{second}");
    });
}

/// Whatever a stranger wrote stands in the message as text.
#[test]
fn hostile_values() {
    with_room(|| {
        let long = "x".repeat(4096);
        let broken = String::from_utf8_lossy(b"bad \xff\xfe bytes").into_owned();
        let active = [
            (Kind::StageStuck, "<b>&_*`[x](y)", "a < b && c > d"),
            (
                Kind::StageStuck,
                "\u{1f680}\u{1f468}\u{200d}\u{1f469}",
                "snake_case \u{1f525}",
            ),
            (
                Kind::StageStuck,
                "rtl\u{202e}gnp\u{200f}",
                "line\nbreak\r\u{0}\u{1b}[31m",
            ),
            (Kind::StageStuck, broken.as_str(), broken.as_str()),
            (Kind::StageStuck, long.as_str(), long.as_str()),
        ];
        for (name, markup) in [("hostile_plain", Markup::Plain), ("hostile_html", Markup::Html)] {
            let mut desk = Desk::new(&[("WATCHDOG_NAME", "a<b>&co")], markup);
            desk.ticks(3, &active);
            insta::assert_snapshot!(name, desk.message());
        }
    });
}

/// The start digest as it goes to stdout, with an orchestrator that refuses and no other source.
fn start_digest(pairs: &[(&str, &str)], faults: u32) -> String {
    let mut watchdog = Box::new(Watchdog::new());
    let mut now = Instant::from_millis(1_000);
    watchdog.start(now, configured(pairs), 1, Mode::Run);
    for number in 0..faults {
        let long = "y".repeat(260);
        watchdog.note_fault(format_args!("WATCHDOG_FAULT_{number}: {long}, default used"));
    }
    let mut text = String::new();
    let mut wall = Some(Utc::new(NOON_S, 0));
    for _ in 0..20_000 {
        if let Some(wall) = wall.take() {
            watchdog.handle(now, Input::Wall(wall));
        } else {
            watchdog.handle(now, Input::Time);
        }
        loop {
            let mut closed = None;
            let mut file = None;
            let mut place = None;
            match watchdog.poll(now) {
                None => break,
                Some(Output::Open(connection, ..)) => closed = Some(connection),
                Some(Output::ReadFile(asked)) => file = Some(asked),
                Some(Output::Stat(asked, _)) => place = Some(asked),
                Some(Output::Event(line)) => {
                    if let Some((_, said)) = line.split_once("event=message text=") {
                        text.push_str(said);
                        text.push('\n');
                    }
                }
                Some(_) => {}
            }
            if let Some(connection) = closed {
                watchdog.handle(now, Input::Closed(connection, Closed::Refused));
            }
            if let Some(file) = file {
                watchdog.handle(now, Input::FileEnd(file, Err(FileFault::NotFound)));
            }
            if let Some(place) = place {
                let figures = FileSystem {
                    device: 1,
                    blocks: 100,
                    blocks_available: 50,
                    ..FileSystem::default()
                };
                watchdog.handle(now, Input::FileSystem(place, Ok(figures)));
            }
        }
        now = watchdog.deadline();
        if now >= Instant::from_millis(60_000) {
            break;
        }
    }
    text.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

/// All well: what is looked at, and that nothing is wrong.
#[test]
fn started_all_well() {
    with_room(|| {
        insta::assert_snapshot!(
            "started_all_well",
            start_digest(&[("WATCHDOG_ORCH_URL", "off")], 0)
        )
    });
}

/// What fires by then stands in it.
#[test]
fn started_firing() {
    with_room(|| {
        insta::assert_snapshot!(
            "started_firing",
            start_digest(&[("WATCHDOG_ORCH_URL", "http://127.0.0.1:1/")], 0)
        )
    });
}

/// Faults of the configuration stand in it, and leave room for what fires.
#[test]
fn started_with_faults() {
    with_room(|| {
        let pairs = [("WATCHDOG_ORCH_URL", "http://127.0.0.1:1/")];
        insta::assert_snapshot!("started_with_faults", start_digest(&pairs, 20));
    });
}

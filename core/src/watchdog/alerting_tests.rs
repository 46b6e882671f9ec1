//! Alertmanagers, through the whole machine: what each is sent, when, and until when.

extern crate std;

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use serde_json::{Value, json};

use crate::channel::alertmanager::{Alertmanager, News, Verdict};
use crate::random::Random;
use crate::time::{Instant, Millis};

use super::Mode;
use super::tests::{Peered, World, http, with_room};

const TWO: (&str, &str) = (
    "WATCHDOG_ALERTMANAGER_URL",
    "http://127.0.0.1:9093,http://us%20er:pass@127.0.0.1:9094/pre/fix/",
);

/// Both answer, as Alertmanager does: 200 and nothing.
fn world(pairs: &[(&str, &str)]) -> World {
    let all: Vec<_> = pairs.iter().copied().chain([TWO]).collect();
    let mut world = World::new(&all);
    world.alertmanagers = [http("200 OK", ""), http("200 OK", "")];
    world
}

fn alerts_of(request: &str) -> Vec<Value> {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len()))
            || head.ends_with(&format!("Content-Length: {}", body.len()))
    );
    assert!(body.len() <= 12 * 1024);
    serde_json::from_str(body).unwrap()
}

/// All alerts that one was sent, those of one signal, as (endsAt, whole alert).
fn of(world: &World, place: usize, signal: &str) -> Vec<(String, Value)> {
    let requests = world.alerts.iter().filter(|(to, _)| *to == place);
    let alerts = requests.flat_map(|(_, request)| alerts_of(request));
    alerts
        .filter(|alert| alert["labels"]["signal"] == signal)
        .map(|alert| (alert["endsAt"].as_str().unwrap().into(), alert))
        .collect()
}

fn ends(world: &World, place: usize, signal: &str) -> Vec<String> {
    of(world, place, signal).into_iter().map(|(end, _)| end).collect()
}

fn stages(names: &[&str]) -> Peered {
    let stages: Vec<Value> = names
        .iter()
        .map(|name| json!({"stage": name, "oldest_age_s": 10}))
        .collect();
    http("200 OK", &json!({ "stages": stages }).to_string())
}

const STAGES: (&str, &str) = ("WATCHDOG_RULE_OLD", "stages[].oldest_age_s > 5 for 1 by stage");

/// What fires is sent to both at once, each by its own path and user info, to the byte.
#[test]
fn a_firing_signal_to_the_byte() {
    with_room(|| {
        let mut world = world(&[]);
        world.pass(60);
        assert!(world.alerts.is_empty(), "nothing fires, nothing is sent");
        world.orchestrator = Peered::Refuses;
        world.pass(45);
        let requests: Vec<&str> = world.alerts.iter().map(|(_, request)| request.as_str()).collect();
        assert_eq!(requests.len(), 2);
        let body = concat!(
            r#"[{"labels":{"alertname":"orch_down","instance":"host-1","signal":"orch_down","severity":"critical"},"#,
            r#""annotations":{"summary":"orch_down on host-1","detail":"connection refused"},"#,
            r#""startsAt":"2026-01-02T12:01:45Z","endsAt":"2026-01-02T12:06:45Z"}]"#
        );
        let version = env!("CARGO_PKG_VERSION");
        let rest = format!("User-Agent: watchdog/{version}\r\nAccept: */*\r\nConnection: close\r\n");
        let end = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let first = format!("POST /api/v2/alerts HTTP/1.1\r\nHost: 127.0.0.1:9093\r\n{rest}{end}");
        assert_eq!(requests[0], first);
        let second = requests[1];
        assert!(
            second.starts_with("POST /pre/fix/api/v2/alerts HTTP/1.1\r\nHost: 127.0.0.1:9094\r\n"),
            "{second}"
        );
        assert!(
            second.contains("\r\nAuthorization: Basic dXMgZXI6cGFzcw==\r\n"),
            "{second}"
        );
        assert!(second.ends_with(body), "{second}");
    });
}

/// While it fires it is sent every minute with a later end; its true end is sent once, and then nothing more.
#[test]
fn it_is_sent_again_until_its_end_was() {
    with_room(|| {
        let mut world = world(&[]);
        world.orchestrator = Peered::Refuses;
        world.pass(45 + 180);
        world.orchestrator = http("200 OK", "{}");
        world.pass(3_600);
        let expected = [
            "2026-01-02T12:05:45Z",
            "2026-01-02T12:06:45Z",
            "2026-01-02T12:07:45Z",
            "2026-01-02T12:08:45Z",
            "2026-01-02T12:04:15Z",
        ];
        for place in [0, 1] {
            assert_eq!(ends(&world, place, "orch_down"), expected);
            let starts = of(&world, place, "orch_down");
            assert!(
                starts
                    .iter()
                    .all(|(_, alert)| alert["startsAt"] == "2026-01-02T12:00:45Z")
            );
        }
    });
}

/// One that is away holds up neither the other nor the ticks; once it is back it hears of the end, with its true
/// time. Until then the row is kept, and no longer.
#[test]
fn an_end_waits_for_the_one_that_is_away() {
    with_room(|| {
        let mut world = world(&[STAGES]);
        world.orchestrator = stages(&["build"]);
        world.pass(30);
        world.alertmanagers[1] = Peered::Refuses;
        world.orchestrator = stages(&[]);
        world.pass(30);
        assert_eq!(
            ends(&world, 0, "old:build").last().unwrap(),
            "2026-01-02T12:01:00Z"
        );
        assert_eq!(ends(&world, 1, "old:build").len(), 1);
        world.pass(2 * 3_600);
        let is_kept = |world: &World| {
            let mut rows = world.watchdog.table().rows().iter();
            rows.any(|row| row.id().subject.as_str() == "build")
        };
        assert!(is_kept(&world));
        let complaints = world.logs.iter().filter(|line| line.contains("undelivered"));
        let complaints: Vec<&String> = complaints.collect();
        assert_eq!(complaints.len(), 2, "once an hour: {complaints:?}");
        assert!(
            complaints[0].ends_with(
                r#"event=undelivered channel=alertmanager url=http://***@127.0.0.1:9094/pre/fix/ detail="connection refused""#
            ),
            "{complaints:?}"
        );
        world.alertmanagers[1] = http("200 OK", "");
        world.pass(120);
        let at_second = ends(&world, 1, "old:build");
        assert_eq!(at_second.len(), 2);
        assert_eq!(at_second[1], "2026-01-02T12:01:00Z");
        assert_eq!(world.watchdog.alertmanager(1).unwrap().fault(), "");
        world.pass(3_600);
        assert!(!is_kept(&world));
        assert_eq!(ends(&world, 1, "old:build").len(), 2);
    });
}

/// What came and went while all were away is no news to them: nothing is sent, and no row is kept for it.
#[test]
fn what_they_never_heard_of_is_not_sent_late() {
    with_room(|| {
        let mut world = world(&[STAGES]);
        world.alertmanagers = [const { Peered::Refuses }; 2];
        world.orchestrator = stages(&["build"]);
        world.pass(60);
        world.orchestrator = stages(&[]);
        world.pass(3_600);
        assert!(
            !world
                .watchdog
                .table()
                .rows()
                .iter()
                .any(|row| row.id().subject.as_str() == "build")
        );
        world.alertmanagers = [http("200 OK", ""), http("200 OK", "")];
        world.pass(600);
        assert!(world.alerts.is_empty());
    });
}

/// A round that was refused and in which nothing is left is over: what fires later, and was in it, is sent with all else.
#[test]
fn what_was_refused_and_is_over_fires_anew_in_a_round_of_its_own() {
    with_room(|| {
        let mut world = world(&[STAGES]);
        world.alertmanagers = [http("403 Forbidden", ""), http("200 OK", "")];
        world.orchestrator = stages(&["build"]);
        world.pass(120);
        world.orchestrator = stages(&[]);
        world.pass(180);
        world.alertmanagers = [http("200 OK", ""), http("200 OK", "")];
        world.alerts.clear();
        world.orchestrator = stages(&["another", "build"]);
        world.pass(40);
        for stage in ["another", "build"] {
            assert_eq!(ends(&world, 0, &format!("old:{stage}")).len(), 1, "{stage}");
        }
    });
}

/// A request whose answer was lost may have arrived: its end is sent too.
#[test]
fn an_end_follows_a_lost_answer() {
    with_room(|| {
        let mut world = world(&[STAGES]);
        world.alertmanagers[0] = http("502 Bad Gateway", "");
        world.orchestrator = stages(&["build"]);
        world.pass(30);
        world.orchestrator = stages(&[]);
        world.pass(60);
        world.alertmanagers[0] = http("200 OK", "");
        world.pass(120);
        assert_eq!(
            ends(&world, 0, "old:build").last().unwrap(),
            "2026-01-02T12:01:00Z"
        );
    });
}

/// More than fits into one request goes out in several, one after the other, all in the same instant and none twice.
#[test]
fn a_crowd_gets_through_in_one_round() {
    with_room(|| {
        let names: Vec<String> = (0..470)
            .map(|number| format!("{number:03} {}", "\"".repeat(60)))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut world = world(&[STAGES]);
        world.orchestrator = stages(&names);
        world.pass(15);
        let at_first: Vec<_> = world.alerts.iter().filter(|(to, _)| *to == 0).collect();
        let all: Vec<Value> = at_first
            .iter()
            .flat_map(|(_, request)| alerts_of(request))
            .collect();
        let subjects: BTreeSet<&str> = all
            .iter()
            .map(|alert| alert["labels"]["subject"].as_str().unwrap())
            .collect();
        assert_eq!((all.len(), subjects.len()), (470, 470));
        assert!((20..=60).contains(&at_first.len()), "{}", at_first.len());
        let before = world.alerts.len();
        world.pass(60);
        assert_eq!(world.alerts.len(), 2 * before, "a minute later all of it again");
    });
}

/// Whatever stands in a name arrives as it is shown, in valid JSON.
#[test]
fn names_arrive_as_they_are() {
    with_room(|| {
        let name = "<b>\"q\"\\ & \u{1f534} \u{2028}\u{7}\u{202e}x_";
        let mut world = world(&[STAGES]);
        world.orchestrator = stages(&[name]);
        world.pass(15);
        let alerts = alerts_of(&world.alerts[0].1);
        let shown = "<b>\"q\"\\ & \u{1f534}    x_";
        assert_eq!(alerts[0]["labels"]["subject"], shown);
        assert_eq!(alerts[0]["labels"]["signal"], format!("old:{shown}"));
        assert_eq!(alerts[0]["labels"]["alertname"], "old");
        assert_eq!(alerts[0]["labels"]["severity"], "warning");
    });
}

/// A flapping signal goes on as firing until it is stable; then its true end is sent.
#[test]
fn flapping_is_firing_until_stable() {
    with_room(|| {
        let mut world = world(&[STAGES, ("WATCHDOG_CLEAR_TICKS", "1")]);
        for _ in 0..8 {
            world.orchestrator = stages(&["build"]);
            world.pass(15);
            world.orchestrator = stages(&[]);
            world.pass(15);
        }
        world.alerts.clear();
        world.pass(20 * 60);
        let while_flapping = ends(&world, 0, "old:build");
        assert!((19..=21).contains(&while_flapping.len()), "{while_flapping:?}");
        assert!(
            while_flapping
                .iter()
                .all(|end| end.as_str() > "2026-01-02T12:08:00Z"),
            "{while_flapping:?}"
        );
        world.pass(60 * 60);
        let last = ends(&world, 0, "old:build").pop().unwrap();
        assert!(last.as_str() < "2026-01-02T12:05:00Z", "{last}");
    });
}

/// A muted signal is sent to none; the end of a cost, of which people get no line, is sent.
#[test]
fn muted_ones_are_not_sent_and_the_end_of_a_cost_is() {
    with_room(|| {
        let mut world = world(&[
            STAGES,
            ("WATCHDOG_MUTE", "old:*"),
            ("WATCHDOG_COST_DAILY_MAX", "5"),
        ]);
        let envelope = |cost: u32| {
            let stages = [json!({"stage": "build", "oldest_age_s": 10})];
            http(
                "200 OK",
                &json!({"stages": stages, "cost": {"today_usd": cost}}).to_string(),
            )
        };
        world.orchestrator = envelope(9);
        world.pass(60);
        world.orchestrator = envelope(0);
        world.pass(60);
        assert_eq!(
            ends(&world, 0, "cost_over").last().unwrap(),
            "2026-01-02T12:01:30Z"
        );
        assert!(ends(&world, 0, "old:build").is_empty());
    });
}

/// What fires under a master that is down goes on being sent as it was, and nothing new is.
#[test]
fn held_ones_keep_their_state() {
    with_room(|| {
        let mut world = world(&[STAGES]);
        world.orchestrator = stages(&["build"]);
        world.pass(30);
        world.orchestrator = Peered::Refuses;
        world.pass(600);
        let last = ends(&world, 0, "old:build").pop().unwrap();
        assert!(last.as_str() > "2026-01-02T12:14:00Z", "{last}");
    });
}

/// `notify-test` sends each of them one alert and says what came of it.
#[test]
fn the_test_alert_goes_to_each() {
    with_room(|| {
        let mut world = World::of(&[TWO], Mode::NotifyTest);
        // Before the first input nothing was sent; a refusal is the first answer of both.
        assert!(world.watchdog.is_finished());
        assert!(!world.watchdog.is_all_delivered());
        let refused = "connection refused; /api/v2/alerts below this URL should take a POST";
        for url in ["http://127.0.0.1:9093", "http://***@127.0.0.1:9094/pre/fix/"] {
            let line = format!("alertmanager {url}: {refused}\n");
            assert!(
                world.watchdog.report().contains(&line),
                "{}",
                world.watchdog.report()
            );
        }
        world = World::of(
            &[("WATCHDOG_ALERTMANAGER_URL", "http://127.0.0.1:8443")],
            Mode::NotifyTest,
        );
        let report = world.watchdog.report();
        assert!(
            report.contains("alertmanager http://127.0.0.1:8443: ok, accepted\n"),
            "{report}"
        );
        assert!(world.watchdog.is_all_delivered());
    });
}

/// A request in the middle of a round that is always refused neither starts the round again and again, nor keeps those
/// behind it from being sent; and the manager is asked less often than its own back-off would allow a healthy one.
#[test]
fn a_round_goes_on_behind_what_is_refused() {
    with_room(|| {
        let names: Vec<String> = (0..470).map(|n| format!("{n:03}{}", "x".repeat(40))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut world = world(&[STAGES]);
        super::tests::REQUESTS_AT_ONCE.with(|limit| limit.set(5));
        world.orchestrator = stages(&names);
        world.pass(3600);
        let rows = world.watchdog.table().rows();
        let known = rows.iter().filter(|row| row.alerted().is_believed(0)).count();
        let requests = world.alerts.iter().filter(|(place, _)| *place == 0).count();
        assert!(known >= 400, "{known} are known");
        assert!(requests < 600, "{requests} requests in an hour");
    });
}

/// After an outage one round that goes well ends the back-off: the next change is sent at once.
#[test]
fn a_good_round_ends_the_back_off() {
    let (mut manager, mut random) = (Alertmanager::new(), Random::new(1));
    let mut now = Instant::from_millis(1_000_000);
    let mut ask = |manager: &mut Alertmanager, now: Instant, status: u16| {
        manager.begin();
        manager.head(status);
        manager.ended(Ok(Millis::from_millis(5)), now, &mut random)
    };
    manager.look(News::Changed, now);
    for _ in 0..6 {
        manager.begin_round();
        assert_eq!(ask(&mut manager, now, 503), Verdict::Lost);
        now = manager.due_at().unwrap();
    }
    manager.begin_round();
    assert_eq!(ask(&mut manager, now, 200), Verdict::Accepted);
    manager.round_ended(now);
    let later = now.after(Millis::from_secs(2));
    manager.look(News::Changed, later);
    assert!(manager.due_at().is_some_and(|at| at <= later), "{manager:?}");
}

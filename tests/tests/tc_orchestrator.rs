//! What the orchestrator may answer, and what is made of it: TC-06, TC-11, TC-12.

use std::time::Duration;

use serde_json::{Value, json};
use watchdog_tests::envelope;
use watchdog_tests::fake::{Answer, FakeOrchestrator};
use watchdog_tests::harness::{SOON, Setup, each_at_once};

fn body() -> String {
    envelope::healthy().to_string()
}

fn raw(text: &str) -> Answer {
    Answer::Bytes(text.as_bytes().to_vec())
}

/// Each way of not answering usably fires `orch_down`, with a reason that names it.
#[test]
fn tc_06_every_failure_is_orch_down_with_a_reason() {
    let drip = raw("HTTP/1.1 200 OK\r\n\r\n{");
    let Answer::Bytes(drip) = drip else { unreachable!() };
    let cases: [(&str, (Answer, &str)); 14] = [
        ("timeout", (Answer::BlackHole, "")),
        ("drip", (Answer::Drip(drip, Duration::from_millis(900)), "")),
        ("reset", (Answer::Reset(Vec::new()), "reset")),
        (
            "reset in the body",
            (
                Answer::Reset(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec()),
                "",
            ),
        ),
        ("301", (Answer::status(301), "301")),
        ("302", (Answer::status(302), "302")),
        ("404", (Answer::status(404), "404")),
        ("429", (Answer::status(429), "429")),
        ("500", (Answer::status(500), "500")),
        ("503", (Answer::status(503), "503")),
        ("unreadable", (Answer::text("<html>not JSON</html>"), "")),
        ("an array", (Answer::text("[1]"), "")),
        ("cut short", (Answer::cut_short(&body(), 7), "")),
        ("no HTTP", (raw("SSH-2.0-OpenSSH_9.2\r\n"), "")),
    ];
    each_at_once(&cases, |name, (answer, word)| {
        let orchestrator = FakeOrchestrator::always(answer.clone());
        let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(2, 2).start();
        let firing = watchdog.wait_event("firing", "orch_down");
        let detail = firing.field("detail");
        assert!(!detail.is_empty() && detail.contains(word), "{name}: {detail:?}");
        orchestrator.heal();
        watchdog.wait_event("resolved", "orch_down");
    });
}

/// A refused connection is told as one, and its end too.
#[test]
fn tc_06_refused_is_orch_down_with_a_reason() {
    let mut orchestrator = FakeOrchestrator::healthy();
    orchestrator.refuse();
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(2, 2).start();
    let firing = watchdog.wait_event("firing", "orch_down");
    assert!(firing.field("detail").contains("refused"), "{firing:?}");
    orchestrator.reopen();
    watchdog.wait_event("resolved", "orch_down");
}

/// What CONTRACTS 3 calls down is down, in its details: heads, framings, documents.
#[test]
fn tc_06_the_finer_faults_are_down_too() {
    let with = |head: &str| raw(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{}", body()));
    let length = body().len();
    let many: String = (0..65).map(|number| format!("X-{number}: 1\r\n")).collect();
    let cases: Vec<(&str, Answer)> = vec![
        ("head over 16 KiB", Answer::big_head(17 * 1024, &body())),
        ("65 fields", with(many.trim_end())),
        (
            "length and chunks",
            with(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked")),
        ),
        (
            "two lengths",
            with(&format!(
                "Content-Length: {length}\r\nContent-Length: {}",
                length - 1
            )),
        ),
        ("length is a word", with("Content-Length: many")),
        ("length is negative", with("Content-Length: -1")),
        (
            "chunk without size",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n"),
        ),
        (
            "chunk too large",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}"),
        ),
        (
            "chunks cut short",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        ),
        ("status 99", raw("HTTP/1.1 099 No\r\nContent-Length: 2\r\n\r\n{}")),
        (
            "status 999",
            raw("HTTP/1.1 999 No\r\nContent-Length: 2\r\n\r\n{}"),
        ),
        ("status 204", raw("HTTP/1.1 204 No Content\r\n\r\n")),
        ("empty", Answer::text("")),
        ("only space", Answer::text("  \n")),
        ("two documents", Answer::text("{}{}")),
        ("a document and more", Answer::text("{} x")),
        ("unclosed", Answer::text(r#"{"queue":{"depth":1}"#)),
        ("single quotes", Answer::text("{'queue': 1}")),
        ("trailing comma", Answer::text(r#"{"queue":1,}"#)),
        ("nul", Answer::text(r#"{"queue":nul}"#)),
        ("a number", Answer::text("7")),
        ("null", Answer::text("null")),
        (
            "65 deep",
            Answer::text(&format!(r#"{{"a":{}{}}}"#, "[".repeat(64), "]".repeat(64))),
        ),
        ("control character", Answer::text("{\"a\":\"\u{1}\"}")),
    ];
    each_at_once(&cases, |name, answer| {
        let orchestrator = FakeOrchestrator::always(answer.clone());
        let checked = Setup::quiet().orchestrator(&orchestrator).check();
        assert_eq!(
            (checked.state("orch_down"), checked.status),
            ("active", 1),
            "{name}: {checked:?}"
        );
        assert!(!checked.detail("orch_down").is_empty(), "{name}: no reason");
    });
}

/// An envelope by its text, and what `queue_old` is then.
type Tolerated = Vec<(&'static str, (String, &'static str))>;

fn keys_and_types() -> Tolerated {
    let old = r#""queue":{"depth":1,"running":1,"oldest_age_s":5000}"#;
    vec![
        ("as it should be", (format!("{{{old}}}"), "active")),
        ("empty", ("{}".to_owned(), "unknown")),
        (
            "unknown keys",
            (format!(r#"{{"x":[{{"y":[1,{{}}]}}],{old},"z":null}}"#), "active"),
        ),
        ("key missing", (r#"{"queue":{"depth":1}}"#.to_owned(), "unknown")),
        (
            "wrong type",
            (r#"{"queue":{"oldest_age_s":"5000"}}"#.to_owned(), "unknown"),
        ),
        (
            "null",
            (r#"{"queue":{"oldest_age_s":null}}"#.to_owned(), "unknown"),
        ),
        ("queue is a list", (r#"{"queue":[5000]}"#.to_owned(), "unknown")),
        (
            "neighbour wrong",
            (
                format!(r#"{{"stages":7,"agents":{{}},"cost":"dear",{old}}}"#),
                "active",
            ),
        ),
        (
            "element wrong",
            (
                format!(r#"{{"agents":[7,null,"x",[]],"stages":[{{}}],{old}}}"#),
                "active",
            ),
        ),
        (
            "last of equal keys",
            (format!(r#"{{"queue":{{"oldest_age_s":1}},{old}}}"#), "active"),
        ),
        (
            "last of equal keys, inner",
            (
                r#"{"queue":{"oldest_age_s":5000,"oldest_age_s":1}}"#.to_owned(),
                "clear",
            ),
        ),
        (
            "the earlier is replaced whole",
            (format!(r#"{{{old},"queue":{{}}}}"#), "unknown"),
        ),
    ]
}

fn values_and_frames() -> Tolerated {
    let old = r#""queue":{"depth":1,"running":1,"oldest_age_s":5000}"#;
    vec![
        (
            "newer schema",
            (format!(r#"{{"schema_version":99,{old}}}"#), "active"),
        ),
        (
            "schema is text",
            (format!(r#"{{"schema_version":"one",{old}}}"#), "active"),
        ),
        (
            "time malformed",
            (format!(r#"{{"generated_at":"yesterday",{old}}}"#), "active"),
        ),
        (
            "time is a number",
            (format!(r#"{{"generated_at":17,{old}}}"#), "active"),
        ),
        ("NaN", (r#"{"queue":{"oldest_age_s":NaN}}"#.to_owned(), "unknown")),
        (
            "Infinity",
            (format!(r#"{{"a":Infinity,"b":-Infinity,{old}}}"#), "active"),
        ),
        ("1e4", (r#"{"queue":{"oldest_age_s":1e4}}"#.to_owned(), "active")),
        (
            "surrogates",
            (format!(r#"{{"a":"\ud83d\ude00 \ud83d",{old}}}"#), "active"),
        ),
        ("paused", (format!(r#"{{"enabled":false,{old}}}"#), "unknown")),
        (
            "enabled is text",
            (format!(r#"{{"enabled":"false",{old}}}"#), "active"),
        ),
        (
            "64 deep",
            (
                format!(r#"{{"a":{}{},{old}}}"#, "[".repeat(63), "]".repeat(63)),
                "active",
            ),
        ),
        ("space around", (format!(" \r\n\t{{ {old} }} \n"), "active")),
        (
            "long number",
            (
                format!(r#"{{"queue":{{"oldest_age_s":5000.{}}}}}"#, "0".repeat(2000)),
                "active",
            ),
        ),
    ]
}

/// Where the real orchestrator is up, with whatever it adds, leaves out or gets wrong, it is up, and the rest is read.
#[test]
fn tc_11_tolerant_envelope() {
    let cases = [keys_and_types(), values_and_frames()].concat();
    each_at_once(&cases, |name, (text, queue)| {
        for (framing, answer) in [
            ("length", Answer::text(text)),
            ("chunks", Answer::chunked(text, 3)),
            ("close", until_close(text)),
        ] {
            let orchestrator = FakeOrchestrator::always(answer);
            let checked = Setup::quiet().orchestrator(&orchestrator).check();
            assert_eq!(
                checked.state("orch_down"),
                "clear",
                "{name}, {framing}: {checked:?}"
            );
            assert_eq!(
                checked.state("queue_old"),
                *queue,
                "{name}, {framing}: {checked:?}"
            );
        }
    });
}

fn until_close(body: &str) -> Answer {
    raw(&format!("HTTP/1.0 200 OK\r\n\r\n{body}"))
}

/// Bytes that are not UTF-8 inside a string are read past.
#[test]
fn tc_11_a_string_may_hold_any_bytes() {
    let body = [
        &br#"{"a":""#[..],
        b"\xff\xfe\xc3",
        br#"","queue":{"oldest_age_s":5000}}"#,
    ]
    .concat();
    let orchestrator = FakeOrchestrator::always(Answer::http(200, &[], &body));
    let checked = Setup::quiet().orchestrator(&orchestrator).check();
    assert_eq!(
        (checked.state("orch_down"), checked.state("queue_old")),
        ("clear", "active")
    );
}

/// A newer `schema_version` is warned of once, not every tick, and stays up.
#[test]
fn tc_11_a_newer_schema_is_a_warning_once() {
    let orchestrator = FakeOrchestrator::start(|_| {
        let mut newer = envelope::healthy();
        newer["schema_version"] = json!(2);
        Answer::json(&newer)
    });
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(2, 2).start();
    orchestrator.wait_for_more(5, SOON);
    let warned = watchdog
        .lines()
        .iter()
        .filter(|line| line.text.contains("schema"))
        .count();
    assert_eq!(warned, 1, "{}", watchdog.output());
    assert!(watchdog.told("firing", "orch_down").is_empty());
}

/// An orchestrator in which ten seconds pass from one answer to the next, with agents that use so many ticks of a
/// hundredth in each.
fn working(
    agents: &'static [(&'static str, u64)],
    time: impl Fn(u64) -> Value + Send + 'static,
) -> FakeOrchestrator {
    let mut step = 0_u64;
    FakeOrchestrator::start(move |_| {
        step += 1;
        let mut now = envelope::healthy();
        now["generated_at"] = time(step);
        now["agents"] = agents
            .iter()
            .zip(100..)
            .map(|((id, ticks), pid)| envelope::agent(id, pid, 5000 + ticks * step))
            .collect();
        Answer::json(&now)
    })
}

fn every_ten_seconds(step: u64) -> Value {
    let seconds = step * 10;
    json!(format!(
        "2026-01-02T{:02}:{:02}:{:02}Z",
        3 + seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ))
}

/// An agent's CPU is its ticks over the orchestrator's own time: of 0.4 and 0.6 cores, only the first is below a floor of a half.
#[test]
fn tc_12_cpu_fraction() {
    let orchestrator = working(&[("slow", 400), ("quick", 600)], every_ten_seconds);
    let watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .set("WATCHDOG_AGENT_CPU_MIN", "0.5")
        .set("WATCHDOG_AGENT_STALL_AFTER", "3s")
        .start();
    let firing = watchdog.wait_event("firing", "agent_stalled:slow");
    assert_eq!(firing.field("level"), "warn");
    orchestrator.wait_for_more(3, SOON);
    assert!(
        watchdog.told("firing", "agent_stalled:quick").is_empty(),
        "{}",
        watchdog.output()
    );
}

/// Without a readable `generated_at` there is no fraction and no alarm of it, and all the rest goes on.
#[test]
fn tc_12_malformed_generated_at() {
    let cases: [(&str, Value); 6] = [
        ("missing", Value::Null),
        ("text", json!("yesterday")),
        ("number", json!(1_767_322_000)),
        ("no zone", json!("2026-01-02T03:04:05")),
        ("30 February", json!("2026-02-30T03:04:05Z")),
        ("empty", json!("")),
    ];
    each_at_once(&cases, |name, time| {
        let time = time.clone();
        let orchestrator = working(&[("idle", 0)], move |_| time.clone());
        let watchdog = Setup::quiet()
            .orchestrator(&orchestrator)
            .ticks(2, 2)
            .set("WATCHDOG_AGENT_STALL_AFTER", "2s")
            .set("WATCHDOG_ORCH_STALE_AFTER", "2s")
            .set("WATCHDOG_QUEUE_AGE_MAX", "30s")
            .start();
        watchdog.wait_event("firing", "queue_old");
        orchestrator.wait_for_more(4, SOON);
        assert!(
            watchdog.told("firing", "agent_stalled:idle").is_empty(),
            "{name}: {}",
            watchdog.output()
        );
        assert!(
            watchdog.told("firing", "orch_stale").is_empty(),
            "{name}: {}",
            watchdog.output()
        );
    });
}

/// An agent that really does nothing is found, and a `generated_at` that stands still is found, each on its own.
#[test]
fn tc_12_stalled_and_stale_are_told_apart() {
    let orchestrator = working(&[("idle", 0)], every_ten_seconds);
    let frozen = working(&[("busy", 900)], |_| json!("2026-01-02T03:04:05Z"));
    let limits = |orchestrator: &FakeOrchestrator| {
        Setup::quiet()
            .orchestrator(orchestrator)
            .ticks(2, 2)
            .set("WATCHDOG_AGENT_STALL_AFTER", "3s")
            .set("WATCHDOG_ORCH_STALE_AFTER", "3s")
            .start()
    };
    let (stalled, stale) = (limits(&orchestrator), limits(&frozen));
    stalled.wait_event("firing", "agent_stalled:idle");
    stale.wait_event("firing", "orch_stale");
    assert!(stalled.told("firing", "orch_stale").is_empty());
    assert!(stale.told("firing", "agent_stalled:busy").is_empty());
}

/// A paused orchestrator raises nothing of its own but stays watched: its end is still the master alarm.
#[test]
fn a_paused_orchestrator_is_still_watched() {
    let orchestrator = FakeOrchestrator::start(|_| {
        let mut paused = envelope::healthy();
        paused["enabled"] = json!(false);
        paused["queue"] = json!({"depth": 9, "running": 0, "oldest_age_s": 99999});
        Answer::json(&paused)
    });
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(2, 2).start();
    orchestrator.wait_for_more(5, SOON);
    assert!(
        !watchdog.output().contains("event=firing"),
        "{}",
        watchdog.output()
    );
    orchestrator.answer(Answer::status(500));
    watchdog.wait_event("firing", "orch_down");
}

/// While the master is down its children are held: they neither fire nor resolve, and go on afterwards.
#[test]
fn children_are_held_while_their_master_is_down() {
    let orchestrator = FakeOrchestrator::start(|_| {
        let mut old = envelope::healthy();
        old["queue"]["oldest_age_s"] = json!(9999);
        Answer::json(&old)
    });
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(2, 2).start();
    watchdog.wait_event("firing", "queue_old");
    orchestrator.answer(Answer::status(500));
    watchdog.wait_event("firing", "orch_down");
    assert!(
        watchdog.told("resolved", "queue_old").is_empty(),
        "{}",
        watchdog.output()
    );
    orchestrator.heal();
    watchdog.wait_event("resolved", "orch_down");
    watchdog.wait_event("resolved", "queue_old");
}

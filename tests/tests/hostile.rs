//! Documents and peers that mean harm: the daemon stays up, in constant memory, and says the truth.

use std::time::{Duration, Instant};

use serde_json::json;
use watchdog_tests::envelope;
use watchdog_tests::fake::{Answer, FakeHttp, FakeOrchestrator, FakeTelegram};
use watchdog_tests::harness::{SOON, Setup, Watchdog};

/// How much the daemon's peak may still grow once it has seen each kind of document: a page or two of the allocator's and
/// the kernel's accounting (which is 64 pages off per thread at worst), never a share of the document.
const GROWTH_KIB_MAX: u64 = 300;

fn nested(levels: usize) -> Answer {
    Answer::text(&format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels)))
}

/// So many agents, of which the last one has run for too long.
fn crowd(agents: usize) -> Answer {
    let mut envelope = envelope::healthy();
    envelope["agents"] = (1..=agents)
        .map(|number| {
            let mut agent = envelope::agent(&format!("job-{number}"), 1, 10);
            agent["pid"] = json!(number);
            if number == agents {
                agent["elapsed_s"] = json!(99999);
            }
            agent
        })
        .collect();
    Answer::json(&envelope)
}

fn patient(orchestrator: &FakeOrchestrator) -> Setup {
    Setup::quiet()
        .orchestrator(orchestrator)
        .set("WATCHDOG_INTERVAL", "3s")
        .set("WATCHDOG_TIMEOUT", "3s")
        .set("WATCHDOG_AGENT_ELAPSED_MAX", "1h")
        .ticks(1, 1)
}

/// One round through all of it; each is seen for what it is.
fn round(watchdog: &Watchdog, orchestrator: &FakeOrchestrator, after: Instant) -> Instant {
    let since = |event: &str, signal: &str, after: Instant| {
        watchdog.wait_for(&format!("{event} {signal}"), SOON, |line| {
            line.at > after && line.tells(event, signal)
        })
    };
    orchestrator.answer(nested(100_000));
    let down = since("firing", "orch_down", after);
    assert!(down.field("detail").contains("nested"), "{down:?}");
    // 64 MiB in which work waits and nothing runs: only who reads to the end knows it.
    orchestrator.answer(Answer::long_envelope(64 << 20));
    let up = since("resolved", "orch_down", down.at);
    let stalled = since("firing", "queue_stalled", down.at);
    orchestrator.answer(crowd(10_000));
    since("resolved", "queue_stalled", stalled.at);
    let overtime = since("firing", "agent_overtime:job-10000", up.at);
    orchestrator.heal();
    since("resolved", "agent_overtime:job-10000", overtime.at).at
}

/// 100,000 levels, 64 MiB, 10,000 agents, in turn and again: right each time, and the second round takes no more memory.
#[test]
fn deep_long_and_crowded_envelopes_take_constant_memory() {
    let orchestrator = FakeOrchestrator::healthy();
    let watchdog = patient(&orchestrator).start();
    orchestrator.wait_for_more(1, SOON);
    let first = round(&watchdog, &orchestrator, watchdog.started);
    let after_one = watchdog.memory_kib("VmHWM");
    round(&watchdog, &orchestrator, first);
    let after_two = watchdog.memory_kib("VmHWM");
    assert!(
        after_two <= after_one + GROWTH_KIB_MAX,
        "{after_one} KiB, then {after_two} KiB"
    );
    assert!(
        after_two < 16 * 1024,
        "{after_two} KiB, when one of the documents has 64 MiB"
    );
}

/// A peer that sends a byte a second is one that does not answer in time, and holds up nothing else.
#[test]
fn a_dripping_peer_holds_up_nothing() {
    let body = envelope::healthy().to_string();
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let drip = Answer::Drip(whole.into_bytes(), Duration::from_secs(1));
    let orchestrator = FakeOrchestrator::always(drip.clone());
    let dripping = FakeHttp::always(drip);
    let good = FakeHttp::healthy();
    let watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .set("WATCHDOG_DEP_DRIP", dripping.url())
        .set("WATCHDOG_DEP_GOOD", good.url())
        .ticks(2, 2)
        .start();
    watchdog.wait_event("firing", "orch_down");
    watchdog.wait_event("firing", "dep_down:drip");
    let before = Instant::now();
    good.wait_for_more(5, SOON);
    assert!(
        before.elapsed() < Duration::from_secs(8),
        "{:?}",
        before.elapsed()
    );
    assert!(watchdog.told("firing", "dep_down:good").is_empty());
}

/// A body without an end is given up at the time-out.
#[test]
fn an_endless_body_is_given_up() {
    let endless = Answer::Long {
        head: b"HTTP/1.1 200 OK\r\n\r\n{\"a\":\"".to_vec(),
        part: vec![b'x'; 4096],
        times: u64::MAX,
        tail: Vec::new(),
    };
    let orchestrator = FakeOrchestrator::always(endless);
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(2, 2).start();
    watchdog.wait_event("firing", "orch_down");
    orchestrator.heal();
    watchdog.wait_event("resolved", "orch_down");
}

/// More signals than there is room for: counted and told as `table_full`, and what is held stays held.
#[test]
fn more_signals_than_the_table_holds_are_counted() {
    let orchestrator = FakeOrchestrator::start(|_| {
        let mut many = envelope::healthy();
        many["stages"] = (0..2000)
            .map(|number| json!({"stage": format!("s{number}"), "oldest_age_s": 99999}))
            .collect();
        Answer::json(&many)
    });
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(1, 1).start();
    let full = watchdog.wait_event("firing", "table_full");
    assert!(
        full.field("detail").bytes().any(|byte| byte.is_ascii_digit()),
        "{full:?}"
    );
    orchestrator.heal();
    watchdog.wait_event("resolved", "table_full");
}

/// Names that lie (control characters, bidirectional marks, thousands of bytes) stay one line of log and one of a message.
#[test]
fn hostile_names_stay_one_line() {
    let orchestrator = FakeOrchestrator::start(|_| {
        let mut odd = envelope::healthy();
        odd["stages"] = json!([
            {"stage": "a\nlevel=error event=firing signal=forged", "oldest_age_s": 99999},
            {"stage": "\u{202e}\u{2066}b\u{0}\u{1b}[31m", "oldest_age_s": 99999},
            {"stage": "long".repeat(5000), "oldest_age_s": 99999},
        ]);
        Answer::json(&odd)
    });
    let telegram = FakeTelegram::start();
    let watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .ticks(2, 2)
        .start();
    telegram.wait_for("stage_stuck:longlong", SOON);
    let firing: Vec<_> = watchdog
        .lines()
        .into_iter()
        .filter(|line| line.field("event") == "firing")
        .collect();
    assert_eq!(firing.len(), 3, "{}", watchdog.output());
    for line in firing {
        assert!(
            line.text.len() < 600 && !line.text.chars().any(char::is_control),
            "{line:?}"
        );
        assert!(line.field("signal").starts_with("stage_stuck:"), "{line:?}");
    }
    assert!(telegram.faults().is_empty(), "{:?}", telegram.faults());
}

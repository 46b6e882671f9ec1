//! When it speaks: TC-01 to TC-05, shown with `orch_down` of the real binary against an orchestrator that fails tick by tick.

use std::time::Duration;

use watchdog_tests::envelope;
use watchdog_tests::fake::{Answer, FakeOrchestrator, FakeTelegram};
use watchdog_tests::harness::{SOON, Setup, Watchdog};

const DOWN: &str = "orch_down";

/// Answers tick by tick as the letters say, `x` with 500 and anything else well; the last letter goes on for ever.
fn ticks(letters: &'static str) -> FakeOrchestrator {
    let mut letters = letters.chars().peekable();
    FakeOrchestrator::start(move |_| {
        let letter = letters.next_if(|_| true);
        let standing = letter.or_else(|| letters.peek().copied());
        if standing.or(Some('.')) == Some('x') {
            Answer::status(500)
        } else {
            Answer::json(&envelope::healthy())
        }
    })
}

/// How many requests had come when this was told: each tick makes one.
fn ticks_before(orchestrator: &FakeOrchestrator, line: &watchdog_tests::harness::Line) -> usize {
    orchestrator
        .requests()
        .iter()
        .filter(|request| request.at <= line.at)
        .count()
}

fn settle(watchdog: &Watchdog, orchestrator: &FakeOrchestrator, ticks: usize) {
    orchestrator.wait_for_more(ticks, SOON);
    assert!(!watchdog.lines().is_empty());
}

/// Two bad ticks and a good one, twice, tell nothing; of three in a row, the third fires, and it says how many checks.
#[test]
fn tc_01_fires_on_the_kth_tick_and_not_before() {
    let orchestrator = ticks("xx.xx.xxx.");
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(3, 2).start();
    let firing = watchdog.wait_event("firing", DOWN);
    assert_eq!(ticks_before(&orchestrator, &firing), 9, "{}", watchdog.output());
    assert_eq!((firing.field("level"), firing.field("checks")), ("error", "3"));
    assert_eq!(watchdog.told("firing", DOWN).len(), 1);
}

/// While it stays down inside the cooldown there is one firing, no reminder, and one line to people.
#[test]
fn tc_02_silent_inside_the_cooldown() {
    let orchestrator = FakeOrchestrator::always(Answer::status(500));
    let telegram = FakeTelegram::start();
    let watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .ticks(2, 2)
        .set("WATCHDOG_COOLDOWN", "1h")
        .start();
    watchdog.wait_event("firing", DOWN);
    telegram.wait_for("FIRING orch_down", SOON);
    settle(&watchdog, &orchestrator, 8);
    assert_eq!(watchdog.told("firing", DOWN).len(), 1);
    assert!(!watchdog.output().contains("still"), "{}", watchdog.output());
    assert_eq!(
        telegram
            .lines(DOWN)
            .iter()
            .filter(|line| line.contains("FIRING"))
            .count(),
        1
    );
    assert!(telegram.faults().is_empty(), "{:?}", telegram.faults());
}

/// A reminder comes one cooldown after the firing, the next after twice that, and people hear of it.
#[test]
fn tc_03_reminder_after_the_cooldown() {
    let orchestrator = FakeOrchestrator::always(Answer::status(500));
    let telegram = FakeTelegram::start();
    let watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .ticks(1, 2)
        .set("WATCHDOG_COOLDOWN", "3s")
        .start();
    let firing = watchdog.wait_event("firing", DOWN);
    let first = watchdog.wait_event("still firing", DOWN);
    let second = watchdog.wait_for("second reminder", SOON, |line| {
        line.tells("still firing", DOWN) && line.at > first.at
    });
    let gaps = (first.at - firing.at, second.at - first.at);
    let within = |gap: Duration, from: f64, to: f64| (from..to).contains(&gap.as_secs_f64());
    assert!(within(gaps.0, 2.8, 5.5) && within(gaps.1, 5.8, 9.5), "{gaps:?}");
    telegram.wait_for("STILL FIRING orch_down", SOON);
}

/// The end is told once, with how long it lasted, to the log and to people.
#[test]
fn tc_04_resolved_exactly_once_with_duration() {
    let orchestrator = FakeOrchestrator::always(Answer::status(503));
    let telegram = FakeTelegram::start();
    let watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .ticks(2, 2)
        .start();
    let firing = watchdog.wait_event("firing", DOWN);
    telegram.wait_for("FIRING orch_down", SOON);
    orchestrator.heal();
    let resolved = watchdog.wait_event("resolved", DOWN);
    assert!(
        resolved.at > firing.at && resolved.field("after").ends_with('s'),
        "{resolved:?}"
    );
    let message = telegram.wait_for("RESOLVED orch_down", SOON);
    let line = message.line("RESOLVED").unwrap();
    assert!(line.contains("after ") && line.ends_with('s'), "{line}");
    assert!(message.is_silent(), "an end makes no sound: {message:?}");
    settle(&watchdog, &orchestrator, 4);
    assert_eq!(watchdog.told("resolved", DOWN).len(), 1);
    assert_eq!(watchdog.told("firing", DOWN).len(), 1);
    assert_eq!(telegram.lines("RESOLVED orch_down").len(), 1);
}

/// A bad tick between good ones, again and again, is nothing.
#[test]
fn tc_05_one_bad_tick_never_fires() {
    let orchestrator = ticks(".x.x..x.x.");
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(2, 2).start();
    settle(&watchdog, &orchestrator, 11);
    assert!(watchdog.told("firing", DOWN).is_empty(), "{}", watchdog.output());
}

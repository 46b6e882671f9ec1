//! The channel: TC-07, and what Telegram may do to a message without a line being lost or told twice.

use std::time::{Duration, Instant};

use watchdog_tests::fake::telegram::CHAT_ID;
use watchdog_tests::fake::{Answer, FakeOrchestrator, FakeTelegram, TelegramAnswer};
use watchdog_tests::harness::{SOON, Setup, Watchdog, each_at_once};

const DOWN: &str = "orch_down";

fn watched(orchestrator: &FakeOrchestrator, telegram: &FakeTelegram) -> Setup {
    Setup::quiet()
        .orchestrator(orchestrator)
        .telegram(telegram)
        .ticks(2, 2)
}

/// Shows that ticks go on at their pace: five of them take about five seconds, whatever the channel does.
fn ticks_keep_their_pace(orchestrator: &FakeOrchestrator) {
    let before = Instant::now();
    orchestrator.wait_for_more(5, SOON);
    assert!(
        before.elapsed() < Duration::from_secs(8),
        "five ticks took {:?}",
        before.elapsed()
    );
}

fn incident(watchdog: &Watchdog, orchestrator: &FakeOrchestrator) {
    orchestrator.answer(Answer::status(500));
    watchdog.wait_event("firing", DOWN);
    orchestrator.heal();
    watchdog.wait_event("resolved", DOWN);
}

/// A Telegram that fails in any way never stops a tick; once it answers again, what fired is told, once.
#[test]
fn tc_07_a_failing_channel_never_stops_a_tick_and_loses_nothing() {
    let cases: [(&str, TelegramAnswer); 5] = [
        ("500", TelegramAnswer::Status(500)),
        ("HTML", TelegramAnswer::Html(502)),
        ("garbage", TelegramAnswer::Garbage),
        ("429", TelegramAnswer::TooMany(2)),
        ("stall", TelegramAnswer::Stall),
    ];
    each_at_once(&cases, |name, answer| {
        let orchestrator = FakeOrchestrator::healthy();
        let telegram = FakeTelegram::start();
        let watchdog = watched(&orchestrator, &telegram).start();
        telegram.wait_for("STARTED", SOON);
        telegram.always(answer.clone());
        orchestrator.answer(Answer::status(500));
        watchdog.wait_event("firing", DOWN);
        telegram.wait_until(SOON, "an attempt that fails", |sent| !sent.accepted);
        ticks_keep_their_pace(&orchestrator);
        telegram.always(TelegramAnswer::Ok);
        telegram.wait_for("FIRING orch_down", Duration::from_secs(60));
        orchestrator.heal();
        telegram.wait_for("RESOLVED orch_down", SOON);
        assert_eq!(telegram.lines("FIRING orch_down").len(), 1, "{name}");
        assert_eq!(telegram.lines("RESOLVED orch_down").len(), 1, "{name}");
        assert!(telegram.faults().is_empty(), "{name}: {:?}", telegram.faults());
    });
}

/// A Telegram that refuses connections is no different, from the start on: the start digest comes when it can.
#[test]
fn tc_07_a_refusing_channel_gets_all_of_it_later() {
    let orchestrator = FakeOrchestrator::healthy();
    let mut telegram = FakeTelegram::start();
    telegram.refuse();
    let watchdog = watched(&orchestrator, &telegram).start();
    orchestrator.wait_for_more(3, SOON);
    orchestrator.answer(Answer::status(500));
    watchdog.wait_event("firing", DOWN);
    ticks_keep_their_pace(&orchestrator);
    telegram.reopen();
    telegram.wait_for("STARTED", Duration::from_secs(60));
    telegram.wait_for("FIRING orch_down", Duration::from_secs(60));
    assert_eq!(telegram.lines("STARTED").len(), 1);
}

/// What began and ended while the channel was down comes as one late line.
#[test]
fn tc_07_an_incident_missed_in_between_is_told_late() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    let watchdog = watched(&orchestrator, &telegram).start();
    telegram.wait_for("STARTED", SOON);
    telegram.always(TelegramAnswer::Status(500));
    incident(&watchdog, &orchestrator);
    telegram.always(TelegramAnswer::Ok);
    let late = telegram.wait_for("told late", Duration::from_secs(60));
    let line = late.line("RESOLVED orch_down").unwrap();
    assert!(line.contains("was down") && line.contains("until"), "{line}");
    assert!(telegram.lines("FIRING").is_empty());
}

/// Nothing is sent before `retry_after` is over, and then it is.
#[test]
fn retry_after_is_honoured() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    telegram.next([TelegramAnswer::TooMany(4)]);
    let watchdog = watched(&orchestrator, &telegram).start();
    telegram.wait_for("STARTED", SOON);
    let attempts = telegram.attempts();
    let gap = attempts[1].at - attempts[0].at;
    assert!(
        gap >= Duration::from_secs(4),
        "asked to wait 4 s, waited {gap:?}: {}",
        watchdog.output()
    );
}

/// An answer lost after acceptance may bring the message twice, never not at all.
#[test]
fn a_lost_answer_is_at_least_once() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    telegram.next([TelegramAnswer::LostAfterAcceptance]);
    let _watchdog = watched(&orchestrator, &telegram).start();
    telegram.wait_until(SOON, "a second attempt", |sent| sent.accepted);
    orchestrator.answer(Answer::status(500));
    telegram.wait_for("FIRING orch_down", SOON);
}

/// Permanent refusals do not make it hammer: with a token that is not valid, a handful of tries at most.
#[test]
fn a_permanent_refusal_is_retried_slowly() {
    let cases: [(&str, u16); 3] = [("401", 401), ("403", 403), ("404", 404)];
    each_at_once(&cases, |name, status| {
        let orchestrator = FakeOrchestrator::healthy();
        let telegram = FakeTelegram::start();
        telegram.always(TelegramAnswer::Status(*status));
        let watchdog = watched(&orchestrator, &telegram).start();
        telegram.wait_until(SOON, "an attempt", |_| true);
        orchestrator.wait_for_more(8, SOON);
        let attempts = telegram.attempts().len();
        assert!(attempts <= 4, "{name}: {attempts} attempts in eight seconds");
        let said = watchdog.lines().iter().any(|line| line.text.contains(name));
        assert!(said, "{name} is not said: {}", watchdog.output());
    });
}

/// The start is told once, after K ticks, silently if nothing is wrong, with the name on its first line.
#[test]
fn the_start_is_told_silently() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    let _watchdog = watched(&orchestrator, &telegram).start();
    let started = telegram.wait_for("STARTED", SOON);
    assert_eq!(started.text.lines().next(), Some("host-1"));
    assert!(started.is_silent(), "{started:?}");
    assert_eq!(
        started.body["chat_id"].to_string().trim_matches('"'),
        CHAT_ID.to_string()
    );
    orchestrator.wait_for_more(3, SOON);
    assert_eq!(telegram.messages().len(), 1);
}

/// What fires within the first K ticks stands in the start digest, aloud, and is told by it.
#[test]
fn what_is_wrong_at_the_start_is_in_the_start_digest() {
    let orchestrator = FakeOrchestrator::always(Answer::status(500));
    let telegram = FakeTelegram::start();
    let _watchdog = watched(&orchestrator, &telegram).start();
    let started = telegram.wait_for("STARTED", SOON);
    assert!(started.line("FIRING orch_down").is_some(), "{started:?}");
    assert!(!started.is_silent());
    orchestrator.wait_for_more(4, SOON);
    assert_eq!(telegram.lines("FIRING orch_down").len(), 1);
}

/// Values of strangers reach people as text, whatever markup they hold.
#[test]
fn values_are_escaped() {
    let orchestrator = FakeOrchestrator::start(|_| {
        let mut odd = watchdog_tests::envelope::healthy();
        odd["stages"] = serde_json::json!([
            {"stage": "<b>&amp;\"_*</i>", "oldest_age_s": 99999},
            {"stage": "\u{202e}evil\nline", "oldest_age_s": 99999},
        ]);
        Answer::json(&odd)
    });
    let telegram = FakeTelegram::start();
    let _watchdog = watched(&orchestrator, &telegram).start();
    let message = telegram.wait_for("stage_stuck:<b>&amp;\"_*</i>", SOON);
    assert!(message.text.contains("stage_stuck: evil line"), "{message:?}");
    assert!(telegram.faults().is_empty(), "{:?}", telegram.faults());
}

/// More lines than a message holds come as several, whole lines only, and none is missing in the end.
#[test]
fn a_long_digest_is_cut_at_whole_lines() {
    let orchestrator = FakeOrchestrator::start(|_| {
        let mut many = watchdog_tests::envelope::healthy();
        many["stages"] = (0..120)
            .map(|number| serde_json::json!({"stage": format!("stage-{number:03}-&&&&&&&&&&"), "oldest_age_s": 99999}))
            .collect();
        Answer::json(&many)
    });
    let telegram = FakeTelegram::start();
    let _watchdog = watched(&orchestrator, &telegram).start();
    let first = telegram.wait_for("stage_stuck", SOON);
    assert!(first.text.contains(" more"), "{}", first.text);
    assert!(first.body["text"].as_str().unwrap().len() <= 4096);
    let told = telegram.lines("FIRING stage_stuck").len();
    assert!((20..120).contains(&told), "{told} lines");
    assert!(telegram.faults().is_empty(), "{:?}", telegram.faults());
}

/// Without a token, notifications go to stdout alone, and nothing complains.
#[test]
fn without_a_token_stdout_is_told() {
    let orchestrator = FakeOrchestrator::healthy();
    let watchdog = Setup::quiet().orchestrator(&orchestrator).ticks(2, 2).start();
    incident(&watchdog, &orchestrator);
}

/// `notify-test` sends one message and says what was answered, for good and for bad.
#[test]
fn notify_test_sends_one_message() {
    let telegram = FakeTelegram::start();
    let setup = Setup::quiet().telegram(&telegram).argument("notify-test");
    let output = setup.output();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(telegram.messages().len(), 1);
    assert!(telegram.paths()[0].ends_with("/getMe"), "{:?}", telegram.paths());
    telegram.always(TelegramAnswer::Status(403));
    let output = setup.output();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

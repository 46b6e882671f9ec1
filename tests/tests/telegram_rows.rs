//! What Telegram may answer, row by row, over real TLS: each costs a repetition at most, never a line.
//!
//! Nothing here may depend on how quick the machine is: a test waits for what must come, and bounds from below alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use watchdog_tests::envelope;
use watchdog_tests::fake::telegram::{CHAT_ID, Sent};
use watchdog_tests::fake::{Answer, FakeDns, FakeOrchestrator, FakeSocket, FakeTelegram, TelegramAnswer};
use watchdog_tests::harness::{SOON, Setup, Watchdog, each_at_once};

const DOWN: &str = "orch_down";
/// For what comes after a back-off, which may have grown to a minute and a quarter.
const AFTER_BACK_OFF: Duration = Duration::from_secs(120);
/// What a message says if the one before it may have arrived.
const AGAIN: &str = "(again: it is not known whether the last message arrived)";

fn watched(orchestrator: &FakeOrchestrator, telegram: &FakeTelegram) -> Setup {
    Setup::quiet()
        .orchestrator(orchestrator)
        .telegram(telegram)
        .ticks(1, 1)
}

/// Waits until a condition holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + AFTER_BACK_OFF;
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for so many attempts and tells them.
fn attempts(telegram: &FakeTelegram, count: usize) -> Vec<Sent> {
    until(&format!("attempt {count}"), || telegram.attempts().len() >= count);
    telegram.attempts()
}

fn chat(sent: &Sent) -> String {
    sent.body["chat_id"].to_string().trim_matches('"').to_owned()
}

/// Telegram's own checks found no fault in any message, and none was longer than it may be.
fn nothing_was_refused(telegram: &FakeTelegram) {
    assert!(telegram.faults().is_empty(), "{:?}", telegram.faults());
    for sent in telegram.attempts() {
        assert!(sent.body["text"].as_str().is_some_and(|text| text.len() <= 4096));
    }
}

/// 429 with `retry_after`: nothing is sent before, and what happens meanwhile is in the one message that follows.
#[test]
fn a_flood_wait_is_kept_and_collects() {
    let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
    telegram.next([TelegramAnswer::TooMany(6)]);
    let watchdog = watched(&orchestrator, &telegram).start();
    attempts(&telegram, 1);
    orchestrator.answer(Answer::status(500));
    watchdog.wait_event("firing", DOWN);
    let tried = attempts(&telegram, 2);
    let gap = tried[1].at - tried[0].at;
    assert!(gap >= Duration::from_secs(6), "{gap:?}: {}", watchdog.output());
    assert!(!tried[0].accepted && tried[1].accepted);
    telegram.wait_for("FIRING orch_down", SOON);
    assert_eq!(telegram.lines("STARTED").len(), 1);
    assert_eq!(telegram.lines("FIRING orch_down").len(), 1);
    // A refusal is no doubt: nothing arrived.
    assert!(telegram.lines(AGAIN).is_empty());
    nothing_was_refused(&telegram);
}

/// Failures that pass by themselves, 429 without `retry_after` among them: the waits grow, and then it is delivered.
/// Where the message may have arrived, the next one says so.
#[test]
fn what_passes_is_tried_again_later_and_later() {
    let cases: [(&str, (TelegramAnswer, usize)); 6] = [
        ("429", (TelegramAnswer::Refused(429, "Too Many Requests"), 0)),
        ("500", (TelegramAnswer::Status(500), 1)),
        ("502 HTML", (TelegramAnswer::Html(502), 1)),
        ("503 HTML", (TelegramAnswer::Html(503), 1)),
        ("reset", (TelegramAnswer::Reset, 1)),
        ("200 HTML", (TelegramAnswer::Html(200), 1)),
    ];
    each_at_once(&cases, |name, (answer, doubts)| {
        let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
        telegram.next(vec![answer.clone(); 3]);
        let watchdog = watched(&orchestrator, &telegram).start();
        let started = telegram.wait_for("STARTED", AFTER_BACK_OFF);
        let tried = telegram.attempts();
        for (number, least_s) in [(1, 1), (2, 2), (3, 4)] {
            let gap = tried[number].at - tried[number - 1].at;
            assert!(
                gap >= Duration::from_secs(least_s),
                "{name}: {gap:?} before try {number}: {}",
                watchdog.output()
            );
        }
        assert_eq!(
            started.text.matches(AGAIN).count(),
            *doubts,
            "{name}: {started:?}"
        );
        let logged = watchdog.lines();
        let logged = logged
            .iter()
            .filter(|line| line.text.contains("event=undelivered"))
            .count();
        assert_eq!(logged, 1, "{name}: {}", watchdog.output());
        nothing_was_refused(&telegram);
    });
}

/// 400 for markup: once more as plain text, and marked up again after that.
#[test]
fn refused_markup_becomes_plain_text_once() {
    let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
    telegram.next([TelegramAnswer::BadRequest(
        "can't parse entities: Unsupported start tag \"x\" at byte offset 12",
    )]);
    let _watchdog = watched(&orchestrator, &telegram)
        .set("WATCHDOG_NAME", "a<b>&c")
        .start();
    let tried = attempts(&telegram, 2);
    assert_eq!(tried[0].body["parse_mode"], "HTML");
    assert!(tried[1].body.get("parse_mode").is_none(), "{:?}", tried[1]);
    assert_eq!(tried[1].text.lines().next(), Some("a<b>&c"));
    assert!(tried[1].accepted);
    orchestrator.answer(Answer::status(500));
    let next = telegram.wait_for("FIRING orch_down", SOON);
    assert_eq!(next.body["parse_mode"], "HTML");
    assert_eq!(telegram.lines("STARTED").len(), 1);
    nothing_was_refused(&telegram);
}

/// 400 for length: the next has fewer lines, and those that were left out follow, each once.
#[test]
fn a_message_too_long_becomes_shorter() {
    let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
    let _watchdog = watched(&orchestrator, &telegram).start();
    telegram.wait_for("STARTED", SOON);
    telegram.next([TelegramAnswer::BadRequest("message is too long")]);
    orchestrator.script(|_| {
        let mut many = envelope::healthy();
        many["stages"] = (0..60)
            .map(|number| json!({"stage": format!("stage-{number:02}"), "oldest_age_s": 99_999}))
            .collect();
        Answer::json(&many)
    });
    let tried = attempts(&telegram, 3);
    let count = |sent: &Sent| sent.text.matches("FIRING stage_stuck").count();
    assert!(!tried[1].accepted && tried[2].accepted);
    assert!(count(&tried[2]) < count(&tried[1]), "{tried:#?}");
    assert!(tried[2].line(" more").is_some(), "{}", tried[2].text);
    nothing_was_refused(&telegram);
}

/// 400 after the group became a supergroup: the new chat at once, for good, and the people there read what to set.
#[test]
fn a_group_that_moved_is_followed() {
    const NEW: i64 = -1_009_999_999_999;
    let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
    telegram.next([TelegramAnswer::Migrated(NEW)]);
    let watchdog = watched(&orchestrator, &telegram).start();
    let tried = attempts(&telegram, 2);
    assert_eq!(chat(&tried[0]), CHAT_ID.to_string());
    assert_eq!(chat(&tried[1]), NEW.to_string());
    let advice = format!("set WATCHDOG_TELEGRAM_CHAT_ID={NEW}");
    assert!(
        tried[1].accepted && tried[1].text.contains(&advice),
        "{:?}",
        tried[1]
    );
    watchdog.wait_for("the advice", SOON, |line| line.text.contains(&advice));
    orchestrator.answer(Answer::status(500));
    let next = telegram.wait_for("FIRING orch_down", SOON);
    assert_eq!(chat(&next), NEW.to_string());
    assert_eq!(telegram.lines("STARTED").len(), 1);
    nothing_was_refused(&telegram);
}

/// 400 since the topic is gone or closed: without it, for good, and people read what to set.
#[test]
fn a_topic_that_is_gone_is_left() {
    let cases = [
        ("gone", "message thread not found"),
        ("closed", "TOPIC_CLOSED"),
        ("deleted", "TOPIC_DELETED"),
    ];
    each_at_once(&cases, |name, reason| {
        let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
        telegram.next([TelegramAnswer::BadRequest(reason)]);
        let watchdog = watched(&orchestrator, &telegram)
            .set("WATCHDOG_TELEGRAM_THREAD_ID", 77)
            .start();
        let tried = attempts(&telegram, 2);
        assert_eq!(tried[0].body["message_thread_id"], 77, "{name}");
        let sent = &tried[1];
        assert!(sent.body.get("message_thread_id").is_none(), "{name}: {sent:?}");
        assert!(
            sent.accepted && sent.line("WATCHDOG_TELEGRAM_THREAD_ID").is_some(),
            "{name}: {sent:?}"
        );
        watchdog.wait_for("the reason", SOON, |line| line.text.contains(reason));
        orchestrator.answer(Answer::status(500));
        let next = telegram.wait_for("FIRING orch_down", SOON);
        assert!(next.body.get("message_thread_id").is_none(), "{name}: {next:?}");
        nothing_was_refused(&telegram);
    });
}

/// What somebody has to mend: one line at error, no hammering, and the state stays untold until it is mended.
#[test]
fn what_must_be_mended_is_said_once() {
    let cases = [
        ("401", TelegramAnswer::Status(401)),
        ("403", TelegramAnswer::Status(403)),
        ("404", TelegramAnswer::Status(404)),
        ("chat not found", TelegramAnswer::BadRequest("chat not found")),
    ];
    each_at_once(&cases, |name, answer| {
        let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
        telegram.always(answer.clone());
        let watchdog = watched(&orchestrator, &telegram).start();
        attempts(&telegram, 1);
        orchestrator.wait_for_more(5, SOON);
        assert_eq!(telegram.attempts().len(), 1, "{name}");
        let lines = watchdog.lines();
        let said: Vec<_> = lines
            .iter()
            .filter(|line| line.text.contains("event=undelivered"))
            .collect();
        assert_eq!(said.len(), 1, "{name}: {}", watchdog.output());
        let line = &said[0].text;
        assert!(line.contains("level=error") && line.contains(name), "{line}");
    });
}

/// An answer lost after acceptance: one repetition at most, which says that it may be one; then nothing more of it.
#[test]
fn a_lost_answer_is_one_marked_repetition() {
    let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
    let watchdog = watched(&orchestrator, &telegram).start();
    telegram.wait_for("STARTED", SOON);
    telegram.next([TelegramAnswer::LostAfterAcceptance]);
    orchestrator.answer(Answer::status(500));
    watchdog.wait_event("firing", DOWN);
    until("the repetition", || telegram.lines("FIRING orch_down").len() == 2);
    orchestrator.heal();
    telegram.wait_for("RESOLVED orch_down", SOON);
    let messages = telegram.messages();
    let marked: Vec<bool> = messages.iter().map(|sent| sent.text.contains(AGAIN)).collect();
    assert_eq!(marked, [false, false, true, false], "{messages:#?}");
    assert_eq!(telegram.lines("FIRING orch_down").len(), 2);
    assert_eq!(telegram.lines("RESOLVED orch_down").len(), 1);
    nothing_was_refused(&telegram);
}

/// A name with addresses of both families: IPv6 that refuses, leads nowhere or never answers does not keep it from IPv4.
#[test]
fn broken_ipv6_falls_back_to_ipv4() {
    // Reserved for documentation: no route leads there, or packets are dropped on the way.
    let nowhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let cases = [
        ("refused", (Ipv6Addr::LOCALHOST, false)),
        ("no route", (nowhere, false)),
        ("silent", (Ipv6Addr::LOCALHOST, true)),
    ];
    each_at_once(&cases, |name, (first, silent)| {
        let (orchestrator, telegram, dns) = (
            FakeOrchestrator::healthy(),
            FakeTelegram::start(),
            FakeDns::start(),
        );
        let hole = silent.then(|| TcpListener::bind((Ipv6Addr::LOCALHOST, telegram.port())));
        if let Some(Err(error)) = &hole {
            eprintln!("{name}: not shown, no socket over IPv6: {error}");
            return;
        }
        let both = [IpAddr::V6(*first), IpAddr::V4(Ipv4Addr::LOCALHOST)];
        dns.addresses("api.telegram.test", &both);
        let url = format!("https://api.telegram.test:{}", telegram.port());
        let _watchdog = watched(&orchestrator, &telegram)
            .nameserver(&dns)
            .set("WATCHDOG_TELEGRAM_API_URL", url)
            .start();
        telegram.wait_for("STARTED", AFTER_BACK_OFF);
        assert_eq!(telegram.lines("STARTED").len(), 1, "{name}");
    });
}

/// A Bot API server of one's own, without TLS, gets what Telegram would get.
#[test]
fn a_self_hosted_api_is_told() {
    let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::self_hosted());
    let _watchdog = watched(&orchestrator, &telegram)
        .unset("WATCHDOG_CA_FILE")
        .start();
    telegram.wait_for("STARTED", SOON);
    orchestrator.answer(Answer::status(500));
    telegram.wait_for("FIRING orch_down", SOON);
    nothing_was_refused(&telegram);
}

/// The fields of every message: topic, no link preview, silent for good news alone.
#[test]
fn messages_carry_their_fields() {
    let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
    let _watchdog = watched(&orchestrator, &telegram)
        .set("WATCHDOG_TELEGRAM_THREAD_ID", 77)
        .start();
    let started = telegram.wait_for("STARTED", SOON);
    orchestrator.answer(Answer::status(500));
    let firing = telegram.wait_for("FIRING orch_down", SOON);
    orchestrator.heal();
    let resolved = telegram.wait_for("RESOLVED orch_down", SOON);
    for (sent, silent) in [(&started, true), (&firing, false), (&resolved, true)] {
        assert_eq!(sent.body["disable_notification"], silent, "{sent:?}");
        assert_eq!(sent.body["message_thread_id"], 77);
        assert_eq!(sent.body["link_preview_options"], json!({"is_disabled": true}));
        assert_eq!(sent.body["parse_mode"], "HTML");
        assert_eq!(chat(sent), CHAT_ID.to_string());
    }
}

fn goes_and_comes_back(watchdog: &Watchdog, dependency: &mut FakeSocket, id: &str, times: usize) {
    dependency.refuse();
    until("firing", || watchdog.told("firing", id).len() == times);
    dependency.reopen();
    until("resolved", || watchdog.told("resolved", id).len() == times);
}

/// Telegram away while incidents come, go and stay: what is over is told late in one line each, what lasts is told as
/// firing and later as resolved, what was told before is told to be over, and nothing twice.
#[test]
fn an_outage_loses_nothing() {
    let (orchestrator, mut telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
    let [mut before, mut once, mut twice, mut stays] = [(); 4].map(|()| FakeSocket::tcp());
    let watchdog = watched(&orchestrator, &telegram)
        .set("WATCHDOG_DEP_BEFORE", before.url())
        .set("WATCHDOG_DEP_ONCE", once.url())
        .set("WATCHDOG_DEP_TWICE", twice.url())
        .set("WATCHDOG_DEP_STAYS", stays.url())
        .start();
    telegram.wait_for("STARTED", SOON);
    before.refuse();
    telegram.wait_for("FIRING dep_down:before", SOON);

    telegram.refuse();
    before.reopen();
    until("the end of before", || {
        !watchdog.told("resolved", "dep_down:before").is_empty()
    });
    goes_and_comes_back(&watchdog, &mut once, "dep_down:once", 1);
    goes_and_comes_back(&watchdog, &mut twice, "dep_down:twice", 1);
    goes_and_comes_back(&watchdog, &mut twice, "dep_down:twice", 2);
    stays.refuse();
    watchdog.wait_event("firing", "dep_down:stays");
    telegram.reopen();

    until("the rest", || telegram.lines("dep_down:").len() >= 5);
    stays.reopen();
    telegram.wait_for("RESOLVED dep_down:stays", SOON);
    let told = |part: &str| {
        let lines = telegram.lines(part);
        assert_eq!(lines.len(), 1, "{part}: {lines:?} of {:#?}", telegram.messages());
        lines[0].clone()
    };
    told("FIRING dep_down:before");
    told("RESOLVED dep_down:before");
    let late = told("dep_down:once");
    assert!(late.contains("was down") && late.ends_with("told late"), "{late}");
    let late = told("dep_down:twice");
    assert!(
        late.contains("2 times, last was down") && late.ends_with("told late"),
        "{late}"
    );
    told("FIRING dep_down:stays");
    told("RESOLVED dep_down:stays");
    nothing_was_refused(&telegram);
}

/// Names, subjects and details of any bytes: the message arrives, readable, within its length, and is never refused.
#[test]
fn odd_texts_arrive() {
    let (orchestrator, telegram) = (FakeOrchestrator::healthy(), FakeTelegram::start());
    let long = "<&_*`[é😀".repeat(300);
    let mut odd = envelope::healthy();
    let names = [
        "<b>bold</b>",
        "a&b&amp;c",
        "snake_case_*star*`tick`",
        "🔥 fire 👩‍👩‍👧",
        "\u{202e}right to left\u{2066}",
        "tab\tnull\u{0}bell\u{7}line\nend",
        "INVALID",
        &long,
        "</b></code>",
        "&#xD800;&nosuch;",
    ];
    odd["stages"] = names
        .iter()
        .map(|name| json!({"stage": name, "oldest_age_s": 99_999}))
        .collect();
    let body = odd.to_string().into_bytes();
    let at = body.windows(7).position(|window| window == b"INVALID").unwrap();
    let body = [&body[..at], b"bad \xff\xc3\x28 bytes", &body[at + 7..]].concat();
    orchestrator.answer(Answer::http(200, &[], &body));
    let _watchdog = watched(&orchestrator, &telegram)
        .set("WATCHDOG_NAME", "<i>&\"host_1\" 😀")
        .set("WATCHDOG_RULE_ODD", "queue.depth > 3")
        .start();
    until("ten lines", || {
        telegram.lines("FIRING stage_stuck").len() >= names.len()
    });
    for part in [
        "stage_stuck:<b>bold</b>: ",
        "stage_stuck:a&b&amp;c: ",
        "stage_stuck:snake_case_*star*`tick`: ",
        "🔥 fire",
        "right to left",
        "tab null bell line end",
        "bad \u{fffd}",
        "stage_stuck:<&_*`[é😀",
        "stage_stuck:</b></code>: ",
        "stage_stuck:&#xD800;&nosuch;: ",
    ] {
        assert_eq!(
            telegram.lines(part).len(),
            1,
            "{part}: {:#?}",
            telegram.messages()
        );
    }
    for sent in telegram.attempts() {
        assert!(sent.accepted, "{sent:?}");
        let odd = |character: char| {
            (character.is_control() && character != '\n')
                || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!sent.text.contains(odd), "{:?}", sent.text);
        assert_eq!(sent.text.lines().next(), Some("<i>&\"host_1\" 😀"));
    }
    nothing_was_refused(&telegram);
}

/// The fake is as strict as the real one: markup that it would refuse is refused here.
#[test]
fn the_fake_refuses_what_telegram_refuses() {
    use std::io::Write as _;
    let telegram = FakeTelegram::self_hosted();
    let address = telegram.url().replace("http://", "");
    for (text, good) in [
        ("<b>x</b> &lt;", true),
        ("a < b", false),
        ("x &nbsp;", false),
        ("<b>x", false),
        ("", false),
        (&"x".repeat(4097), false),
    ] {
        let body = json!({"chat_id": "-5", "text": text, "parse_mode": "HTML"}).to_string();
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "POST /bot{}/sendMessage HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            watchdog_tests::fake::telegram::TOKEN,
            body.len()
        )
        .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = watchdog_tests::fake::telegram::read_all(&mut stream);
        let status = if good { "HTTP/1.1 200" } else { "HTTP/1.1 400" };
        assert!(answer.starts_with(status), "{text:.40}: {answer}");
    }
}

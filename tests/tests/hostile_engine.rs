//! An engine that means harm, or is none: the daemon stays up, in constant memory, says the truth, and says why it cannot.

use std::thread::sleep;
use std::time::{Duration, Instant};

use watchdog_tests::fake::{Answer, Container, FakeEngine};
use watchdog_tests::harness::{Line, SOON, Setup, Watchdog, each_at_once};

/// How much the daemon's peak may still grow once it has seen each kind of answer: the accounting's own inaccuracy,
/// never a share of an answer.
const GROWTH_KIB_MAX: u64 = 300;
/// The containers of the long list.
const CROWD: u64 = 5000;
/// The bytes of labels that each of them has.
const LABEL_BYTES: usize = 100_000;
/// What a crowd may cost: the pages of its places, which were there from the start but untouched, and the inaccuracy.
const CROWD_KIB_MAX: u64 = 1024;
/// The long list has half a gigabyte, and the machine may have other things to do.
const READING: Duration = Duration::from_secs(120);

/// Answers with 500, with a page for people, without end, cut short, and with what is no list; each is told as what it
/// is and is over when it is over, and a second round takes no more memory than the first.
#[test]
fn answers_of_no_use_are_named_and_cost_nothing() {
    let endless = Answer::Long {
        head: b"HTTP/1.1 200 OK\r\nApi-Version: 1.52\r\n\r\n[{\"Image\":\"".to_vec(),
        part: vec![b'x'; 4096],
        times: u64::MAX,
        tail: Vec::new(),
    };
    let page = Answer::http(200, &[("Content-Type", "text/html")], b"<html>Hello</html>");
    each_at_once(
        &[
            ("http 500", Answer::status(500)),
            ("HTML instead of JSON", page),
            ("not a list of containers", Answer::text(r#"{"message":"hello"}"#)),
            ("body cut short", Answer::cut_short(r#"[{"Id":"ab"}]"#, 5)),
            ("no answer", endless),
        ],
        |reason, answer| {
            let engine = FakeEngine::start([Container::running("web")]);
            let watchdog = watching(&engine).start();
            let first = told_and_over(&watchdog, &engine, reason, answer, &looked_around(&watchdog));
            let after_one = watchdog.memory_kib("VmHWM");
            let second = told_and_over(&watchdog, &engine, reason, answer, &first);
            let after_two = watchdog.memory_kib("VmHWM");
            assert!(
                after_two <= after_one + GROWTH_KIB_MAX,
                "{after_one} KiB, then {after_two} KiB"
            );
            assert!(watchdog.told("firing", "container_down:web").is_empty());
            // It is watched as before.
            engine.set(Container::running("web").exited(3));
            let died = next(&watchdog, &second, "firing", "container_down:web");
            assert_eq!(died.field("detail"), "exited 3", "{died:?}");
        },
    );
}

/// The engine answers so and the reason is told; it answers properly again, and that is told.
fn told_and_over(
    watchdog: &Watchdog,
    engine: &FakeEngine,
    reason: &str,
    answer: &Answer,
    after: &Line,
) -> Line {
    engine.fail(answer.clone());
    let down = next(watchdog, after, "firing", "docker_down");
    assert!(down.field("detail").contains(reason), "{reason}: {down:?}");
    engine.heal();
    next(watchdog, &down, "resolved", "docker_down")
}

/// A stream of events that breaks amid the chunk of a death, again and again: it is opened anew from the last whole event
/// on, so that the engine says it once more and the death is told; no memory is lost by it.
#[test]
fn events_cut_amid_a_chunk_hide_no_death() {
    let names = ["a", "b", "c", "d", "e"];
    let engine = FakeEngine::start(names.map(Container::running));
    let watchdog = watching(&engine).start();
    looked_around(&watchdog);
    let mut peaks = Vec::new();
    for name in names {
        // Only who listens can be cut off.
        engine.wait_for_listener(SOON);
        engine.set(Container::running(name).exited(3));
        engine.cut_event("die", name, &[("exitCode", "3")]);
        engine.wait_for_listener(SOON);
        engine.event("die", name, &[("exitCode", "3")]);
        let down = watchdog.wait_event("firing", &format!("container_down:{name}"));
        assert_eq!(down.field("detail"), "exited 3", "{down:?}");
        peaks.push(watchdog.memory_kib("VmHWM"));
    }
    let asked: Vec<String> = engine
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    let last = asked.iter().rfind(|path| path.contains("/events")).unwrap();
    assert!(last.contains("since=1700000000.000000001&"), "{last}");
    assert!(peaks[4] <= peaks[0] + GROWTH_KIB_MAX, "{peaks:?}");
    assert!(watchdog.told("firing", "docker_down").is_empty());
}

/// 5,000 containers with 100 KB of labels each: all are counted, those without room are told, the last one's death is
/// seen because it is listed, and the list's half gigabyte costs what 500 small containers cost.
#[test]
fn five_thousand_containers_with_huge_labels_take_constant_memory() {
    let small = FakeEngine::start([Container::running("web")]);
    let patient = |engine: &FakeEngine| {
        watching(engine)
            .set("WATCHDOG_INTERVAL", "2m")
            .set("WATCHDOG_TIMEOUT", "2m")
            .set("WATCHDOG_CONTAINERS", format!("crowd-{}", CROWD - 1))
    };
    let calm = patient(&small).start();
    looked_around(&calm);
    let before = calm.memory_kib("VmHWM");

    let engine = FakeEngine::start([]);
    engine.fail_at(
        "/containers/json",
        Answer::Made {
            head: b"HTTP/1.1 200 OK\r\nApi-Version: 1.52\r\n\r\n[".to_vec(),
            part: one_of_the_crowd,
            times: CROWD,
            tail: b"]".to_vec(),
        },
    );
    let watchdog = patient(&engine).start();
    let full = watchdog.wait_for("table_full", READING, |line| line.tells("firing", "table_full"));
    let down = watchdog.wait_event("firing", &format!("container_down:crowd-{}", CROWD - 1));
    let after = watchdog.memory_kib("VmHWM");
    let sources = patient(&engine).check().document["sources"].to_string();
    assert!(
        sources.contains(&format!("{CROWD} containers, {} running", CROWD - 1)),
        "{sources}"
    );
    println!(
        "at most {before} KiB with one container, {after} KiB with {CROWD}; {}",
        full.text
    );
    assert_eq!(down.field("detail"), "exited 3", "{down:?}");
    assert!(
        after <= before + CROWD_KIB_MAX,
        "{before} KiB grew to {after} KiB"
    );
    assert!(watchdog.told("firing", "docker_down").is_empty());
}

/// Names of bytes that are no text, that lie about the direction of writing, or that are endless: one line each, no
/// control character in it, and nobody else's line is forged.
#[test]
fn odd_names_stay_one_line() {
    let names = [
        "a\nlevel=error event=firing signal=forged",
        "\u{202e}\u{2066}b\u{0}\u{1b}[31m",
        "long".repeat(5000).leak(),
        "quo\"te\\",
        "",
        "/",
        "..",
    ];
    let engine = FakeEngine::start(names.map(Container::running));
    let watchdog = watching(&engine).start();
    looked_around(&watchdog);
    for name in names {
        engine.set(Container::running(name).exited(3));
    }
    let end = Instant::now() + SOON;
    let firing = loop {
        let mut lines = watchdog.lines();
        lines.retain(|line| line.field("event") == "firing");
        if lines.len() >= names.len() {
            break lines;
        }
        assert!(Instant::now() < end, "{}", watchdog.output());
        sleep(Duration::from_millis(50));
    };
    assert_eq!(firing.len(), names.len(), "{}", watchdog.output());
    for line in firing {
        assert!(
            line.text.len() < 600 && !line.text.chars().any(char::is_control),
            "{line:?}"
        );
        assert!(line.field("signal").starts_with("container_down:"), "{line:?}");
    }
}

/// Names that are no UTF-8: the rest of the list is judged as ever.
#[test]
fn bytes_that_are_no_text_harm_nobody_else() {
    let engine = FakeEngine::start([]);
    engine.fail_at(
        "/containers/json",
        list_with_wild_bytes("running", "Up 4 minutes"),
    );
    let watchdog = watching(&engine).set("WATCHDOG_CONTAINERS", "good").start();
    looked_around(&watchdog);
    engine.fail_at(
        "/containers/json",
        list_with_wild_bytes("exited", "Exited (3) 2 seconds ago"),
    );
    let down = watchdog.wait_event("firing", "container_down:good");
    assert_eq!(down.field("detail"), "exited 3", "{down:?}");
    assert!(
        watchdog.told("firing", "docker_down").is_empty(),
        "{}",
        watchdog.output()
    );
}

/// Dates of year 1, of year 9999 and of no calendar: what started or ended then is neither in a loop nor dead by them.
#[test]
fn dates_of_no_use_raise_nothing() {
    let dates = [
        ("first", "0001-01-01T00:00:00Z"),
        ("last", "9999-12-31T23:59:59.999999999Z"),
        ("never", "2026-13-45T99:99:99Z"),
        ("words", "yesterday"),
    ];
    let engine = FakeEngine::start(dates.map(|(name, date)| Container::running(name).dated(date)));
    // Listed ones are inspected, so that their dates are read.
    let watchdog = watching(&engine)
        .set("WATCHDOG_CONTAINERS", "first,last,never,words")
        .start();
    looked_around(&watchdog);
    for (name, date) in dates {
        engine.set(Container::running(name).dated(date).exited(3));
        engine.event("die", name, &[("exitCode", "3")]);
        let down = watchdog.wait_event("firing", &format!("container_down:{name}"));
        assert_eq!(down.field("detail"), "exited 3", "{down:?}");
        engine.set(Container::running(name).dated(date));
        watchdog.wait_event("resolved", &format!("container_down:{name}"));
    }
    let lines = watchdog.lines();
    let others: Vec<&Line> = lines
        .iter()
        .filter(|line| {
            line.field("event") == "firing" && !line.field("signal").starts_with("container_down:")
        })
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

/// A watchdog of this engine that tells at once.
fn watching(engine: &FakeEngine) -> Setup {
    Setup::quiet().engine(engine).ticks(1, 1)
}

/// Waits until it has looked at everything once.
fn looked_around(watchdog: &Watchdog) -> Line {
    watchdog.wait_for("STARTED", SOON, |line| line.text.contains("STARTED"))
}

/// Waits for an event that came after another line.
fn next(watchdog: &Watchdog, after: &Line, event: &str, signal: &str) -> Line {
    watchdog.wait_for(&format!("{event} {signal}"), SOON, |line| {
        line.at > after.at && line.tells(event, signal)
    })
}

/// All run but the last one.
fn one_of_the_crowd(number: u64) -> Vec<u8> {
    let last = number + 1 == CROWD;
    let (state, status) = if last {
        ("exited", "Exited (3) 2 seconds ago")
    } else {
        ("running", "Up 4 hours")
    };
    let (comma, label) = (if last { "" } else { "," }, "x".repeat(LABEL_BYTES));
    format!(
        r#"{{"Id":"{number:064x}","Names":["/crowd-{number}"],"Labels":{{"big":"{label}"}},"State":"{state}","Status":"{status}"}}{comma}"#
    )
    .into_bytes()
}

fn list_with_wild_bytes(state: &str, status: &str) -> Answer {
    let row = |id: u8, name: &[u8]| {
        let id = format!("{id:02x}").repeat(32);
        let head = format!(r#"{{"Id":"{id}","State":"{state}","Status":"{status}","Names":["/"#);
        [head.as_bytes(), name, br#""]}"#].concat()
    };
    let rows = [
        row(1, b"\xff\xfe"),
        row(2, b"\xc0\x80"),
        row(3, b"\xed\xa0\x80x"),
        row(4, b"good"),
    ];
    let body = [b"[", rows.join(&b',').as_slice(), b"]"].concat();
    Answer::http(200, &[("Api-Version", "1.52")], &body)
}

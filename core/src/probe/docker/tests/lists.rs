//! What the list alone says.

use super::*;

#[test]
fn a_container_that_ends_by_itself_is_down_and_one_that_was_stopped_is_not() {
    // Five containers run, then end with each kind of code; inspect knows of no OOM.
    let mut bench = Bench::new();
    let names = ["ok", "three", "int", "kill", "term"];
    bench.tick(&names.map(up)).unwrap();
    let codes = [0, 3, 130, 137, 143];
    for (name, code) in names.iter().zip(codes) {
        assert_eq!(bench.down(name), "clear");
        bench.inspect(name, inspection("exited", code, false, START, 0));
    }
    let ended: Vec<String> = names
        .iter()
        .zip(codes)
        .map(|(name, code)| row(name, "exited", &format!("Exited ({code}) 3 seconds ago")))
        .collect();
    for _ in 0..3 {
        bench.tick(&ended).unwrap();
        assert_eq!(bench.down("ok"), "clear");
        assert_eq!(bench.down("three"), "fact: exited 3");
        for name in ["int", "kill", "term"] {
            assert_eq!(bench.down(name), "clear", "{name}");
        }
    }
    assert_eq!(bench.inspects_asked(), 5, "each end is looked at once");
    bench.tick(&names.map(up)).unwrap();
    assert_eq!(bench.down("three"), "clear");
}

#[test]
fn one_that_had_ended_when_first_seen_is_no_news() {
    // Not listed: clear. Listed: it does not run, whatever the reason, and takes K ticks.
    let mut bench = Bench::listing(&["job"]);
    let rows = [
        row("old", "exited", "Exited (3) 2 days ago"),
        row("job", "exited", "Exited (3) 2 days ago"),
        row("corpse", "dead", "Dead"),
    ];
    for _ in 0..2 {
        bench.tick(&rows).unwrap();
        assert_eq!(bench.down("old"), "clear");
        assert_eq!(bench.down("corpse"), "clear");
        assert_eq!(bench.down("job"), "active: exited 3");
    }
    // It was started and ended again between two lists: the age went down, so this end was seen.
    bench.inspect("old", inspection("exited", 3, false, START, 0));
    bench
        .tick(&[row("old", "exited", "Exited (3) 4 seconds ago")])
        .unwrap();
    assert_eq!(bench.down("old"), "fact: exited 3");
}

#[test]
fn a_listed_container_must_exist_and_run() {
    // Every state that is not running is active; a death by itself is a fact, all else takes K ticks.
    let mut bench = Bench::listing(&["web"]);
    bench.tick(&[]).unwrap();
    assert_eq!(bench.down("web"), "active: not found");
    bench.tick(&[up("web")]).unwrap();
    assert_eq!(bench.down("web"), "clear");
    for (state, status, expected) in [
        ("paused", "Up 2 hours (Paused)", "active: paused"),
        ("created", "Created", "active: created, not started"),
        ("removing", "Removal In Progress", "active: being removed"),
        (
            "restarting",
            "Restarting (1) 3 seconds ago",
            "active: restarting, exited 1",
        ),
        ("strange", "Who knows", "unknown"),
        ("running", "Up 1 second", "clear"),
    ] {
        bench.tick(&[row("web", state, status)]).unwrap();
        assert_eq!(bench.down("web"), expected, "{state}");
    }
    bench.inspect("web", inspection("exited", 0, false, START, 0));
    bench
        .tick(&[row("web", "exited", "Exited (0) 1 second ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "fact: exited 0");
    bench.tick(&[up("web")]).unwrap();
    bench.inspect("web", inspection("exited", 143, false, START, 0));
    bench
        .tick(&[row("web", "exited", "Exited (143) 1 second ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "active: stopped");
    bench.tick(&[]).unwrap();
    assert_eq!(bench.down("web"), "active: not found");
}

#[test]
fn one_that_is_not_listed_may_be_anything_but_dead_by_itself() {
    let mut bench = Bench::new();
    bench.tick(&[up("web")]).unwrap();
    for (state, status, expected) in [
        ("paused", "Up 2 hours (Paused)", "clear"),
        ("created", "Created", "clear"),
        ("removing", "Removal In Progress", "clear"),
        ("restarting", "Restarting (1) 3 seconds ago", "clear"),
        ("", "", "unknown"),
    ] {
        bench.tick(&[row("web", state, status)]).unwrap();
        assert_eq!(bench.down("web"), expected, "{state}");
    }
    bench.tick(&[]).unwrap();
    assert_eq!(bench.down("web"), "gone");
}

#[test]
fn all_states_and_healths_mean_what_the_table_says() {
    // Seven states by four healths through the text of engines before 1.52 where it carries a health, and through
    // the field of 1.52; the container is listed, so that what does not run shows.
    use Observation::{Active, Clear, Unknown};
    for (state, expected) in [
        ("created", [Clear, Clear, Clear, Clear]),
        ("running", [Clear, Unknown, Clear, Active]),
        ("paused", [Clear, Unknown, Clear, Unknown]),
        ("restarting", [Clear, Unknown, Unknown, Unknown]),
        ("removing", [Clear, Clear, Clear, Clear]),
        ("exited", [Clear, Clear, Clear, Clear]),
        ("dead", [Clear, Clear, Clear, Clear]),
        ("unheard-of", [Unknown, Unknown, Unknown, Unknown]),
    ] {
        for (health, observation) in ["none", "starting", "healthy", "unhealthy"].iter().zip(expected) {
            let mut bench = Bench::listing(&["web"]);
            let more = format!(r#","Health":{{"Status":"{health}","FailingStreak":0}}"#);
            bench.tick(&[row_with("web", state, "", &more)]).unwrap();
            let said = bench.unhealthy("web");
            let expected = match observation {
                Active => "fact: unhealthy",
                Clear => "clear",
                Unknown => "unknown",
            };
            assert_eq!(said, expected, "{state} {health}");
            let down = bench.down("web");
            match state {
                "running" => assert_eq!(down, "clear"),
                "unheard-of" => assert_eq!(down, "unknown"),
                _ => assert!(down.starts_with("active: "), "{state}: {down}"),
            }
        }
    }
    let mut bench = Bench::new();
    bench
        .tick(&[row("web", "running", "Up 2 hours (unhealthy)")])
        .unwrap();
    assert_eq!(bench.unhealthy("web"), "fact: unhealthy");
    bench
        .tick(&[row("web", "running", "Up 2 hours (health: starting)")])
        .unwrap();
    assert_eq!(bench.unhealthy("web"), "unknown");
}

#[test]
fn what_is_to_be_left_alone_is() {
    // Ignored by name, by label, a one-off of compose, and the watchdog itself; an explicit listing wins over labels.
    let mut bench = Bench::listing(&["both", "labelled"]);
    bench.config.ignored.push("ignored".try_into().unwrap()).unwrap();
    bench.config.ignored.push("both".try_into().unwrap()).unwrap();
    bench.docker.set_own_id(Id::parse(&id_of("self")));
    let off = r#","Labels":{"watchdog.enable":"false"}"#;
    let once = r#","Labels":{"com.docker.compose.oneoff":"True"}"#;
    let on = r#","Labels":{"watchdog.enable":"true","com.docker.compose.oneoff":"False"}"#;
    let summary = bench
        .tick(&[
            up("ignored"),
            up("both"),
            up("self"),
            row_with("off", "running", "Up 1 hour", off),
            row_with("once", "running", "Up 1 hour", once),
            row_with("on", "running", "Up 1 hour", on),
            row_with("labelled", "running", "Up 1 hour", off),
        ])
        .unwrap();
    for name in ["ignored", "both", "self", "off", "once"] {
        assert_eq!(bench.down(name), "gone", "{name}");
    }
    assert_eq!(bench.down("on"), "clear");
    assert_eq!(bench.down("labelled"), "clear");
    assert_eq!((summary.containers, summary.left_alone), (7, 5));
}

#[test]
fn a_job_that_is_meant_to_end_may_end_well() {
    // watchdog.expect=exited: exit 0 is clear, listed or not; another status is not.
    let mut bench = Bench::listing(&["listed"]);
    let label = r#","Labels":{"watchdog.expect":"exited"}"#;
    let rows =
        |status: &str, state: &str| ["listed", "plain"].map(|name| row_with(name, state, status, label));
    bench.tick(&rows("Up 1 hour", "running")).unwrap();
    bench.tick(&rows("Exited (0) 1 second ago", "exited")).unwrap();
    assert_eq!(bench.down("listed"), "clear");
    assert_eq!(bench.down("plain"), "clear");
    bench.tick(&rows("Exited (2) 1 second ago", "exited")).unwrap();
    assert_eq!(bench.down("listed"), "fact: exited 2");
    assert_eq!(bench.down("plain"), "fact: exited 2");
}

#[test]
fn a_renamed_container_keeps_its_state_and_a_name_keeps_its_signals() {
    // `web` died by itself and is renamed: the new name has the signal. Then another container takes a name whose
    // former holder was restarting: the name's count goes on.
    let mut bench = Bench::new();
    bench.tick(&[up("web"), up("api")]).unwrap();
    bench
        .tick(&[row("web", "exited", "Exited (3) 1 second ago"), up("api")])
        .unwrap();
    let renamed = row("web", "exited", "Exited (3) 16 seconds ago").replace("/web", "/old-web");
    bench.tick(&[renamed, up("api")]).unwrap();
    assert_eq!(bench.down("old-web"), "fact: exited 3");
    assert_eq!(bench.down("web"), "gone");

    let now = bench.now;
    for container in bench.docker.store.iter_mut() {
        container.restarts.add(4, now, now);
    }
    assert!(bench.restarting("api").starts_with("active: 4 restarts"));
    let heir = up("api2").replace("/api2", "/api");
    bench.tick(&[heir]).unwrap();
    assert!(bench.restarting("api").starts_with("active: 4 restarts"));
}

#[test]
fn ends_while_the_engine_was_down_are_no_news() {
    // The engine is gone for a tick; what ended meanwhile with status 1 is a new baseline, what ends later is not.
    let mut bench = Bench::new();
    bench.tick(&[up("web"), up("api")]).unwrap();
    bench.now = bench.now.after(INTERVAL);
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.docker.end(Request::List, Close::Broken, bench.now);
    assert_eq!(bench.docker.next(), None);
    assert_eq!(bench.docker.close_tick(), Err(Fault::NoAnswer));

    let rows = [row("web", "exited", "Exited (1) 9 seconds ago"), up("api")];
    bench.tick(&rows).unwrap();
    assert_eq!(bench.asked.iter().filter(|path| *path == "/_ping").count(), 2);
    assert_eq!(bench.down("web"), "clear");
    bench
        .tick(&[
            row("web", "exited", "Exited (1) 24 seconds ago"),
            row("api", "exited", "Exited (1) 9 seconds ago"),
        ])
        .unwrap();
    assert_eq!(bench.down("web"), "clear");
    assert_eq!(bench.down("api"), "fact: exited 1");
}

#[test]
fn nothing_counts_before_the_documents_end() {
    // Cut anywhere, the list changes nothing: neither states nor names nor how many there are.
    let whole = format!(
        "[{},{}]",
        row("web", "exited", "Exited (3) 1 second ago").replace("/web", "/other"),
        up("new")
    );
    for cut in 0..whole.len() {
        let mut bench = Bench::new();
        bench.tick(&[up("web")]).unwrap();
        bench.list = whole[..cut].into();
        assert!(matches!(bench.run_tick(), Err(Fault::NotJson(_))), "{cut}");
        assert_eq!(bench.down("web"), "clear", "{cut}");
        assert_eq!(bench.down("new"), "gone");
        assert_eq!(bench.docker.store.iter().count(), 1);
    }
}

#[test]
fn split_at_every_byte_the_list_says_the_same() {
    let rows = [
        row_with(
            "web",
            "running",
            "Up 2 hours (unhealthy)",
            r#","Labels":{"watchdog.expect":"exited"}"#,
        ),
        row("\u{e4}\u{6f22}", "exited", "Exited (3) 2 minutes ago"),
        row_with(
            "off",
            "running",
            "Up 1 hour",
            r#","Labels":{"watchdog.enable":"false"}"#,
        ),
    ];
    let mut whole = Bench::listing(&["\u{e4}\u{6f22}"]);
    let expected = whole.tick(&rows).unwrap();
    for split in 1..40 {
        let mut bench = Bench::listing(&["\u{e4}\u{6f22}"]);
        bench.split = split;
        assert_eq!(bench.tick(&rows), Ok(expected));
        assert_eq!(bench.unhealthy("web"), "fact: unhealthy");
        assert_eq!(bench.down("\u{e4}\u{6f22}"), "active: exited 3");
        assert_eq!(bench.down("off"), "gone");
    }
}

#[test]
fn the_last_of_two_equal_keys_counts_and_wrong_types_are_missing() {
    let mut bench = Bench::new();
    let twice =
        |first: &str, second: &str| row_with("web", "running", "Up 1 hour", &format!(",{first},{second}"));
    for (more, expected) in [
        (twice(r#""State":"exited""#, r#""State":"running""#), "clear"),
        (twice(r#""State":"running""#, r#""State":7"#), "unknown"),
        (twice(r#""State":"exited""#, r#""State":null"#), "unknown"),
        (twice(r#""Names":["/other"]"#, r#""Names":["/web"]"#), "clear"),
        (
            twice(r#""Labels":{"watchdog.enable":"false"}"#, r#""Labels":{}"#),
            "clear",
        ),
        (
            twice(r#""Labels":{"watchdog.enable":"false"}"#, r#""Labels":[]"#),
            "clear",
        ),
        (
            twice(
                r#""Labels":{"watchdog.enable":"false"}"#,
                r#""Labels":{"watchdog.enable":false}"#,
            ),
            "clear",
        ),
        (
            twice(
                r#""Labels":{"watchdog.enable":"false","watchdog.enable":"true"}"#,
                r#""x":1"#,
            ),
            "clear",
        ),
        (
            twice(r#""Status":"Up 2 hours (unhealthy)""#, r#""Status":["Up"]"#),
            "clear",
        ),
        (
            twice(r#""State":{"Status":"exited"}"#, r#""State":"running""#),
            "clear",
        ),
    ] {
        bench.tick(std::slice::from_ref(&more)).unwrap();
        assert_eq!(bench.down("web"), expected, "{more}");
        assert_eq!(bench.unhealthy("web"), expected, "{more}");
    }
    let health = r#","Health":{"Status":"unhealthy"},"Health":{"FailingStreak":3}"#;
    bench
        .tick(&[row_with("web", "running", "Up 1 hour", health)])
        .unwrap();
    assert_eq!(
        bench.unhealthy("web"),
        "clear",
        "the second object replaces the whole first"
    );
}

#[test]
fn odd_names_are_shown_clean_and_missing_ones_by_id() {
    let mut bench = Bench::listing(&["linked"]);
    let rename = |name: &str, names: &str| up(name).replace(&format!(r#"["/{name}"]"#), names);
    let long = "n".repeat(300);
    bench
        .tick(&[
            rename("a", r#"["/line\nbreak\u202e\u0000"]"#),
            rename("b", r#"["/other/alias","/linked"]"#),
            rename("c", "[]"),
            rename("d", "null"),
            rename("e", r#"[17,{"x":"/y"},["/z"],"/e2"]"#),
            rename("f", &format!(r#"["/{long}"]"#)),
            rename("g", r#"["/only/alias"]"#),
        ])
        .unwrap();
    let names: Vec<String> = bench
        .docker
        .store
        .iter()
        .map(|container| container.seen.name.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "line break  ",
            "linked",
            "630000000000",
            "640000000000",
            "e2",
            Subject::new(&long).as_str(),
            "only/alias"
        ]
    );
    assert_eq!(bench.down("linked"), "clear");
}

#[test]
fn rows_that_are_none_are_passed_over() {
    let mut bench = Bench::listing(&["web"]);
    bench.list = format!(
        r#"[null, 7, "x", [{}], {{}}, {{"Id":"short","Names":["/web"],"State":"running"}}, {}]"#,
        up("inner"),
        up("api")
    );
    let summary = bench.run_tick().unwrap();
    assert_eq!(bench.down("api"), "clear");
    assert_eq!(bench.down("inner"), "gone");
    assert_eq!(
        bench.down("web"),
        "unknown: ",
        "it is there, and nothing can be kept of it"
    );
    assert_eq!(summary.left_out, 0, "they had no want of room");
}

#[test]
fn five_thousand_containers_keep_512_and_count_the_rest() {
    // Constant memory is in the types; listed ones have room wherever they stand in the list.
    let mut bench = Bench::listing(&["last"]);
    let label = "x".repeat(1000);
    let labels = format!(r#","Labels":{{"big":"{label}"}}"#);
    let mut rows: Vec<String> = (0..5_000)
        .map(|number| row_with(&format!("c{number}"), "running", "Up 3 hours", &labels))
        .collect();
    rows.push(up("last"));
    for _ in 0..2 {
        let summary = bench.tick(&rows).unwrap();
        assert_eq!(summary.containers, 5_001);
        assert_eq!(summary.left_out, 5_000 - 512);
        assert_eq!(bench.down("c0"), "clear");
        assert_eq!(bench.down("c511"), "clear");
        assert_eq!(bench.down("c512"), "gone");
        assert_eq!(bench.down("last"), "clear");
    }
    // What goes makes room.
    rows.drain(..512);
    bench.tick(&rows).unwrap();
    bench.tick(&rows).unwrap();
    assert_eq!(bench.down("c512"), "clear");
}

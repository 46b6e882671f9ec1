//! What inspect adds: want of memory, restarts, a health check's last words; and whom it is asked of.

use super::*;

#[test]
fn only_the_engines_word_is_a_want_of_memory() {
    // Two exit 137; the engine says of one that the kernel killed it.
    let mut bench = Bench::new();
    bench.tick(&["oom", "killed"].map(up)).unwrap();
    bench.inspect("oom", inspection("exited", 137, true, START, 0));
    bench.inspect("killed", inspection("exited", 137, false, START, 0));
    let ended = ["oom", "killed"].map(|name| row(name, "exited", "Exited (137) 2 seconds ago"));
    bench.tick(&ended).unwrap();
    assert_eq!(bench.oom("oom"), "fact: out of memory: the kernel killed in it");
    assert_eq!(bench.down("oom"), "fact: exited 137 (SIGKILL)");
    assert_eq!(bench.oom("killed"), "clear");
    assert_eq!(bench.down("killed"), "clear");
    // It resolves after ten quiet minutes, though the container stays down.
    for _ in 0..39 {
        bench.tick(&ended).unwrap();
        assert!(bench.oom("oom").starts_with("fact"));
    }
    bench.tick(&ended).unwrap();
    assert_eq!(bench.oom("oom"), "clear");
    assert_eq!(bench.down("oom"), "fact: exited 137 (SIGKILL)");
}

#[test]
fn the_last_health_output_is_told_and_the_first_ones_are_not() {
    let mut bench = Bench::new();
    let log = |outputs: &[&str]| {
        let entries: Vec<String> = outputs
            .iter()
            .map(|output| {
                format!(r#"{{"Start":"{START}","End":"{START}","ExitCode":1,"Output":"{output}"}}"#)
            })
            .collect();
        inspection("running", 0, false, START, 0).replace(
            r#""FinishedAt""#,
            &format!(
                r#""Health":{{"Status":"unhealthy","FailingStreak":3,"Log":[{}]}},"FinishedAt""#,
                entries.join(",")
            ),
        )
    };
    bench.inspect("web", log(&["old", "  connection\\nrefused\\u001b[0m \\n"]));
    bench
        .tick(&[row("web", "running", "Up 2 hours (healthy)")])
        .unwrap();
    let sick = [row("web", "running", "Up 2 hours (unhealthy)")];
    for _ in 0..3 {
        bench.tick(&sick).unwrap();
        assert_eq!(bench.unhealthy("web"), "fact: unhealthy: connection refused [0m");
    }
    assert_eq!(bench.inspects_asked(), 1);
    bench
        .tick(&[row("web", "running", "Up 2 hours (healthy)")])
        .unwrap();
    assert_eq!(bench.unhealthy("web"), "clear");

    // A long one is cut to the bound, and an entry without output says nothing.
    let long = "é".repeat(2_000);
    bench.inspect("web", log(&[&long]));
    bench.tick(&sick).unwrap();
    let said = bench.unhealthy("web");
    assert!(
        said.starts_with("fact: unhealthy: éé") && said.ends_with('…'),
        "{said}"
    );
    bench
        .tick(&[row("web", "running", "Up 2 hours (healthy)")])
        .unwrap();
    bench.inspect(
        "web",
        log(&["old"]).replace(r#""Output":"old"}"#, r#""Output":"old"},{"ExitCode":-1}"#),
    );
    bench.tick(&sick).unwrap();
    assert_eq!(bench.unhealthy("web"), "fact: unhealthy");
}

#[test]
fn restarts_by_policy_are_counted_by_the_engines_count() {
    // The count grows by one a tick; the third within the window is too many. The container always lists as up.
    let mut bench = Bench::new();
    let young = [row("web", "running", "Up 3 seconds")];
    for (restarts, expected) in [
        (7, "clear"),
        (8, "clear"),
        (9, "clear"),
        (10, "active: 3 restarts in 45s"),
        (12, "active: 5 restarts in 1m"),
    ] {
        let started = format!("2026-01-02T03:04:{:02}Z", restarts);
        bench.inspect("web", inspection("running", 0, false, &started, restarts));
        bench.tick(&young).unwrap();
        assert_eq!(bench.restarting("web"), expected, "{restarts}");
        assert_eq!(bench.down("web"), "clear");
    }
    // Ten quiet minutes later it is over.
    bench.now = bench.now.after(Millis::from_secs(600));
    bench.tick(&[row("web", "running", "Up 10 minutes")]).unwrap();
    assert_eq!(bench.restarting("web"), "clear");
}

#[test]
fn a_lower_count_is_a_manual_start_and_counting_goes_on_from_it() {
    let mut bench = Bench::new();
    let young = [row("web", "running", "Up 3 seconds")];
    for (restarts, second) in [(50, 1), (0, 2), (1, 3), (2, 4)] {
        let started = format!("2026-01-02T03:04:{second:02}Z");
        bench.inspect("web", inspection("running", 0, false, &started, restarts));
        bench.tick(&young).unwrap();
        assert_eq!(bench.restarting("web"), "clear", "{restarts}");
    }
    bench.inspect("web", inspection("running", 0, false, START, 3));
    bench.tick(&young).unwrap();
    assert_eq!(bench.restarting("web"), "active: 3 restarts in 45s");
}

#[test]
fn starts_that_the_engine_does_not_count_show_in_the_start_time() {
    let mut bench = Bench::new();
    for second in 1..=4 {
        let started = format!("2026-01-02T03:04:{second:02}Z");
        bench.inspect("web", inspection("running", 0, false, &started, 0));
        bench.tick(&[row("web", "running", "Up 3 seconds")]).unwrap();
        assert_eq!(bench.restarting("web") != "clear", second == 4, "{second}");
    }
    // The same start again is none, and one of the year 1 is no time at all.
    let mut bench = Bench::new();
    for started in [
        "0001-01-01T00:00:00Z",
        START,
        "0001-01-01T00:00:00Z",
        START,
        "0001-01-01T00:00:00Z",
        START,
    ] {
        bench.inspect("web", inspection("running", 0, false, started, 0));
        bench.tick(&[row("web", "running", "Up 3 seconds")]).unwrap();
        assert_eq!(bench.restarting("web"), "clear");
    }
}

#[test]
fn a_crash_loop_is_restarting_and_not_down() {
    // Restarting, up, restarting: its policy brings it back, so it is never down, and the engine counts.
    let mut bench = Bench::new();
    bench.tick(&[up("web")]).unwrap();
    for restarts in 1..=6 {
        let restarting = restarts % 2 == 1;
        let (state, status) = if restarting {
            ("restarting", "Restarting (1) 1 second ago")
        } else {
            ("running", "Up 1 second")
        };
        let started = format!("2026-01-02T03:04:{restarts:02}Z");
        bench.inspect("web", inspection(state, 1, false, &started, restarts));
        bench.tick(&[row("web", state, status)]).unwrap();
        assert_eq!(bench.down("web"), "clear");
        assert_eq!(bench.restarting("web") != "clear", restarts >= 3, "{restarts}");
    }
    // Its policy gives up: it stays exited, and that is a death by itself.
    bench.inspect("web", inspection("exited", 1, false, START, 6));
    bench
        .tick(&[row("web", "exited", "Exited (1) 1 second ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "fact: exited 1");
}

#[test]
fn at_most_16_are_asked_a_tick_and_all_in_turn() {
    // 40 young containers: after three ticks each was asked, and those with news before all others.
    let mut bench = Bench::new();
    let rows: Vec<String> = (0..40)
        .map(|number| row(&format!("c{number}"), "running", "Up 3 seconds"))
        .collect();
    for number in 0..40 {
        bench.inspect(&format!("c{number}"), inspection("running", 0, false, START, 0));
    }
    for ticks in 1..=3 {
        let before = bench.inspects_asked();
        bench.tick(&rows).unwrap();
        assert_eq!(bench.inspects_asked() - before, 16, "{ticks}");
    }
    let mut asked: Vec<&String> = bench
        .asked
        .iter()
        .filter(|path| path.ends_with("/json"))
        .collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 40);

    let mut rows = rows.clone();
    rows[39] = row("c39", "exited", "Exited (137) 1 second ago");
    bench.inspect("c39", inspection("exited", 137, true, START, 0));
    bench.tick(&rows).unwrap();
    assert_eq!(bench.down("c39"), "fact: exited 137 (SIGKILL)");
}

#[test]
fn old_containers_are_not_asked() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench
            .tick(&[
                up("web"),
                row("old", "exited", "Exited (1) 3 days ago"),
                row("made", "created", "Created"),
            ])
            .unwrap();
    }
    assert_eq!(bench.inspects_asked(), 0);
}

#[test]
fn where_inspect_is_refused_the_list_judges() {
    // 403: codes that look stopped are on purpose, others are not; and the proxy is asked once a tick at most.
    let mut bench = Bench::new();
    let names = ["three", "kill", "loop"];
    for name in names {
        bench.inspects.insert(name.into(), (403, "<html>".into()));
    }
    bench.tick(&names.map(up)).unwrap();
    let status = |code: i64, name: &str| row(name, "exited", &format!("Exited ({code}) 1 second ago"));
    let before = bench.inspects_asked();
    bench
        .tick(&[
            status(3, "three"),
            status(137, "kill"),
            row("loop", "running", "Up 20 seconds"),
        ])
        .unwrap();
    assert_eq!(bench.inspects_asked() - before, 1);
    assert_eq!(bench.down("three"), "fact: exited 3");
    assert_eq!(bench.down("kill"), "clear");
    // A loop shows in the age alone.
    for age in [15, 10, 5, 1] {
        bench
            .tick(&[row("loop", "running", &format!("Up {age} seconds"))])
            .unwrap();
    }
    assert!(
        bench.restarting("loop").starts_with("active: "),
        "{}",
        bench.restarting("loop")
    );
}

#[test]
fn one_that_cannot_be_asked_holds_up_nobody() {
    // The engine hangs at one container: no more questions in this tick, the others in the next.
    let mut bench = Bench::new();
    bench.tick(&["a", "b"].map(up)).unwrap();
    let ended = ["a", "b"].map(|name| row(name, "exited", "Exited (137) 1 second ago"));
    bench.list = format!("[{}]", ended.join(","));
    bench.inspect("b", inspection("exited", 137, true, START, 0));
    bench.docker.begin_tick(bench.now, INTERVAL);
    let list = bench.list.clone();
    bench.answer(Request::List, 200, None, &list);
    let Some(Request::Inspect(first)) = bench.docker.next() else {
        panic!("a look is wanted")
    };
    assert_eq!(name_of(&first.to_string()), "a");
    bench.docker.head(Request::Inspect(first), 200, None);
    bench
        .docker
        .end(Request::Inspect(first), Close::Broken, bench.now);
    assert_eq!(bench.docker.next(), None);
    bench.docker.close_tick().unwrap();
    assert_eq!(bench.down("a"), "unknown");
    assert_eq!(bench.down("b"), "unknown");
    bench.inspects.insert("a".into(), (500, String::new()));
    bench.run_tick().unwrap();
    assert_eq!(bench.down("a"), "unknown");
    assert_eq!(bench.down("b"), "fact: exited 137 (SIGKILL)");
}

#[test]
fn odd_inspections_change_nothing() {
    for body in [
        "",
        "[]",
        "{",
        "null",
        "<html>",
        "{\"State\":[]}",
        "{\"State\":{\"Status\":3,\"ExitCode\":\"9\"}}",
    ] {
        let mut bench = Bench::new();
        bench.tick(&[up("web")]).unwrap();
        bench.inspect("web", body.to_string());
        bench
            .tick(&[row("web", "exited", "Exited (3) 1 second ago")])
            .unwrap();
        assert_eq!(bench.down("web"), "fact: exited 3", "{body}");
        assert_eq!(bench.oom("web"), "clear");
    }
    // The last of two equal keys counts here too.
    let mut bench = Bench::new();
    bench.tick(&[up("web")]).unwrap();
    let twice = inspection("exited", 137, true, START, 0).replace(
        r#""Name":"/x""#,
        r#""State":{"Status":"exited","ExitCode":137,"OOMKilled":"true"}"#,
    );
    bench.inspect("web", twice);
    bench
        .tick(&[row("web", "exited", "Exited (137) 1 second ago")])
        .unwrap();
    assert_eq!(bench.oom("web"), "clear");
    assert_eq!(bench.down("web"), "clear");
}

#[test]
fn a_restart_counts_once_when_looks_are_granted_again() {
    // Another container's look is refused, so that the list's younger age counts; the next look is granted, and shows
    // the same restart. Two of them are not three.
    let mut bench = Bench::new();
    bench.inspect("web", inspection("running", 0, false, START, 0));
    bench.inspects.insert("db".into(), (403, String::new()));
    bench
        .tick(&[row("web", "running", "Up 1 second"), up("db")])
        .unwrap();
    for day in ["03", "04"] {
        let sick = row("db", "running", "Up 1 hour (unhealthy)");
        bench
            .tick(&[row("web", "running", "Up 9 minutes"), sick])
            .unwrap();
        let started = START.replace("-02T", &format!("-{day}T"));
        bench.inspect("web", inspection("running", 0, false, &started, 0));
        bench
            .tick(&[row("web", "running", "Up 2 seconds"), up("db")])
            .unwrap();
    }
    assert_eq!(bench.restarting("web"), "clear");
}

/// The engine counts a restart when the life before ends: until the next one begins, `StartedAt` is the old one.
#[test]
fn a_restart_that_is_looked_at_before_and_behind_its_start_counts_once() {
    let mut bench = Bench::new();
    bench.inspect("web", inspection("running", 0, false, START, 0));
    bench.tick(&[row("web", "running", "Up 1 second")]).unwrap();
    for restart in 1..=3 {
        let day = |day: u64| START.replace("-02T", &format!("-{:02}T", 2 + day));
        bench.inspect(
            "web",
            inspection("restarting", 3, false, &day(restart - 1), restart),
        );
        let row_of = |state: &str, status: &str| [row("web", state, status)];
        bench
            .tick(&row_of("restarting", "Restarting (3) 5 seconds ago"))
            .unwrap();
        bench.inspect("web", inspection("running", 0, false, &day(restart), restart));
        bench.tick(&row_of("running", "Up 2 seconds")).unwrap();
        let expected = if restart < 3 {
            "clear"
        } else {
            "active: 3 restarts in "
        };
        let told = bench.restarting("web");
        assert!(told.starts_with(expected), "{restart}: {told}");
    }
}

/// One that ran for hours before anyone had a reason to look at it: its first restart counts as well.
#[test]
fn the_first_restart_of_one_that_was_never_looked_at_counts() {
    let shapes: [&[(&str, &str)]; 2] = [
        &[("running", "Up 1 second")],
        &[
            ("restarting", "Restarting (3) 1 second ago"),
            ("running", "Up 2 seconds"),
        ],
    ];
    for shape in shapes {
        let mut bench = Bench::new();
        bench.tick(&[up("web")]).unwrap();
        for restart in 1..=3 {
            for (state, status) in shape {
                // Before its start it shows the start before.
                let day = if *state == "running" {
                    2 + restart
                } else {
                    1 + restart
                };
                let started = START.replace("-02T", &format!("-{day:02}T"));
                // It has restarted before, long ago.
                bench.inspect("web", inspection(state, 3, false, &started, 40 + restart));
                bench.tick(&[row("web", state, status)]).unwrap();
            }
            let expected = if restart < 3 {
                "clear"
            } else {
                "active: 3 restarts in "
            };
            let told = bench.restarting("web");
            assert!(told.starts_with(expected), "{shape:?}, {restart}: {told}");
            bench.tick(&[row("web", "running", "Up 9 seconds")]).unwrap();
        }
    }
}

#[test]
fn a_start_of_long_ago_that_is_seen_late_is_no_restart_of_now() {
    // Two restarts were seen; the third start was an hour before the end that lets it be seen. A short life counts.
    for (finished, expected) in [
        ("2026-01-06T04:04:05Z", "clear"),
        ("2026-01-06T03:09:05Z", "active"),
    ] {
        let mut bench = Bench::new();
        bench.inspect("web", inspection("running", 0, false, START, 0));
        bench.tick(&[row("web", "running", "Up 1 second")]).unwrap();
        for day in ["03", "04"] {
            let started = START.replace("-02T", &format!("-{day}T"));
            bench.inspect("web", inspection("running", 0, false, &started, 0));
            bench.tick(&[row("web", "running", "Up 2 seconds")]).unwrap();
            bench.tick(&[row("web", "running", "Up 1 second")]).unwrap();
        }
        let ended = inspection("exited", 1, false, &START.replace("-02T", "-06T"), 0)
            .replace("0001-01-01T00:00:00Z", finished);
        bench.inspect("web", ended);
        bench
            .tick(&[row("web", "exited", "Exited (1) 1 second ago")])
            .unwrap();
        assert!(
            bench.restarting("web").starts_with(expected),
            "{finished}: {}",
            bench.restarting("web")
        );
    }
}

#[test]
fn a_want_of_memory_of_the_life_before_says_nothing_of_the_next_end() {
    // The kernel killed it once; it runs again while looks fail, and is stopped from outside before one is granted.
    let mut bench = Bench::new();
    bench.tick(&[up("web")]).unwrap();
    bench.inspect("web", inspection("exited", 137, true, START, 0));
    bench
        .tick(&[row("web", "exited", "Exited (137) 2 seconds ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "fact: exited 137 (SIGKILL)");
    for status in [500, 403] {
        bench.inspects.insert("web".into(), (status, String::new()));
        bench.tick(&[row("web", "running", "Up 2 seconds")]).unwrap();
        assert_eq!(bench.down("web"), "clear");
    }
    bench
        .tick(&[row("web", "exited", "Exited (143) 2 seconds ago")])
        .unwrap();
    assert_eq!(bench.down("web"), "clear");
}

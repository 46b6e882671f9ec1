//! Versions, refusals, and answers that are none.

use super::*;

/// The probe's answer to a list that was answered so.
fn fault_of(status: u16, body: &str) -> Fault {
    let mut bench = Bench::new();
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.answer(Request::Ping, 200, Some((1, 41)), "OK");
    assert_eq!(bench.docker.next(), Some(Request::List));
    bench.answer(Request::List, status, Some((1, 41)), body);
    assert_eq!(bench.docker.next(), None);
    bench.docker.close_tick().unwrap_err()
}

fn list_path(bench: &Bench) -> String {
    let mut path = String::new();
    bench.docker.write_path(Request::List, &mut path).unwrap();
    path
}

#[test]
fn the_reasons_are_words() {
    let deep = "[".repeat(70);
    for (status, body, words) in [
        (500, r#"{"message":"boom"}"#, "http 500"),
        (503, "", "http 503"),
        (301, "", "http 301"),
        (401, "", "http 401"),
        (
            403,
            "<html>Forbidden</html>",
            "the proxy refuses /containers/json",
        ),
        (204, "", "http 204"),
        (200, " \r\n<!DOCTYPE html><html></html>", "HTML instead of JSON"),
        (200, "", "empty answer"),
        (200, "[", "cut short"),
        (200, "[{\"Id\":\"", "cut short"),
        (200, &deep, "nested too deeply"),
        (200, "[] []", "unreadable: more than one document"),
        (200, "OK", "unreadable: unexpected character"),
        (200, "{}", "unreadable: not a list of containers"),
        (200, r#"{"message":"x"}"#, "unreadable: not a list of containers"),
        (200, "\"[]\"", "unreadable: not a list of containers"),
        (200, "12", "unreadable: not a list of containers"),
        (200, "null", "unreadable: not a list of containers"),
    ] {
        assert_eq!(fault_of(status, body).to_string(), words, "{status} {body}");
    }
}

#[test]
fn the_spoken_version_is_the_lesser_of_theirs_and_ours() {
    for (theirs, path) in [
        (Some((1, 41)), "/v1.41/containers/json?all=1"),
        (Some((1, 52)), "/v1.52/containers/json?all=1"),
        (Some((1, 56)), "/v1.52/containers/json?all=1"),
        (Some((2, 0)), "/v1.52/containers/json?all=1"),
        (Some((1, 24)), "/v1.24/containers/json?all=1"),
        // A proxy that hides the field: without a version the engine speaks its newest.
        (None, "/containers/json?all=1"),
    ] {
        let mut bench = Bench::new();
        bench.docker.begin_tick(bench.now, INTERVAL);
        bench.answer(Request::Ping, 200, theirs, "OK");
        assert_eq!(list_path(&bench), path);
    }
}

#[test]
fn a_ping_that_is_refused_is_no_fault_and_one_that_fails_is() {
    for status in [403, 404, 400, 301] {
        let mut bench = Bench::new();
        bench.docker.begin_tick(bench.now, INTERVAL);
        bench.answer(Request::Ping, status, None, "<html>");
        assert_eq!(bench.docker.next(), Some(Request::List), "{status}");
        assert_eq!(list_path(&bench), "/containers/json?all=1");
    }
    let mut bench = Bench::new();
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.answer(Request::Ping, 502, None, "");
    assert_eq!(bench.docker.close_tick(), Err(Fault::Http(502)));
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.docker.end(Request::Ping, Close::Broken, bench.now);
    assert_eq!(bench.docker.next(), None);
    assert_eq!(bench.docker.close_tick(), Err(Fault::NoAnswer));
}

#[test]
fn a_version_that_is_refused_is_asked_again_once() {
    // The engine was replaced by one that is older: 400, ping again, and the list with the new version is good.
    let mut bench = Bench::new();
    bench.tick(&[up("web")]).unwrap();
    let too_new = r#"{"message":"client version 1.41 is too new. Maximum supported API version is 1.40"}"#;
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.answer(Request::List, 400, Some((1, 40)), too_new);
    assert_eq!(bench.docker.next(), Some(Request::Ping));
    bench.answer(Request::Ping, 200, Some((1, 40)), "OK");
    assert_eq!(list_path(&bench), "/v1.40/containers/json?all=1");
    let list = format!("[{}]", up("web"));
    bench.answer(Request::List, 200, Some((1, 40)), &list);
    assert_eq!(bench.docker.close_tick(), Ok(()));

    // One that refuses what it offered gets no third question in this tick.
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.answer(Request::List, 400, Some((1, 40)), too_new);
    bench.answer(Request::Ping, 200, Some((1, 40)), "OK");
    bench.answer(Request::List, 400, Some((1, 40)), too_new);
    assert_eq!(bench.docker.next(), None);
    let fault = bench.docker.close_tick().unwrap_err();
    assert_eq!(fault.to_string(), "the engine refuses API version 1.40");
}

#[test]
fn a_tick_that_ends_before_the_list_is_no_answer() {
    let mut bench = Bench::new();
    bench.tick(&[up("web")]).unwrap();
    bench.docker.begin_tick(bench.now, INTERVAL);
    bench.docker.head(Request::List, 200, None);
    bench.docker.body(Request::List, b"[{", bench.now, &bench.config);
    assert_eq!(bench.docker.close_tick(), Err(Fault::NoAnswer));
    assert_eq!(
        bench.down("web"),
        "clear",
        "what is known is kept for the master to hold"
    );
    bench.docker.begin_tick(bench.now, INTERVAL);
    assert_eq!(
        bench.docker.next(),
        Some(Request::Ping),
        "after a failure the version is asked anew"
    );
}

#[test]
fn podmans_answers_are_understood() {
    // Its own states, a time with an offset, a list without the engine's extras.
    let mut bench = Bench::new();
    let podman = |name: &str, state: &str, status: &str| {
        format!(
            r#"{{"Id":"{}","Names":["/{name}"],"Image":"localhost/app:latest","State":"{state}","Status":"{status}","Labels":null,"Mounts":[],"Health":"","SizeRw":null}}"#,
            id_of(name)
        )
    };
    bench
        .tick(&[
            podman("run", "running", "Up 2 hours"),
            podman("end", "running", "Up 2 hours"),
        ])
        .unwrap();
    let looked = inspection("stopped", 4, false, "2026-01-02T03:04:05.1+02:00", 0);
    bench.inspect("end", looked);
    bench
        .tick(&[
            podman("run", "stopping", "Up 2 hours"),
            podman("end", "stopped", "Exited (4) 1 second ago"),
            podman("new", "configured", "Created"),
        ])
        .unwrap();
    assert_eq!(bench.down("run"), "clear");
    assert_eq!(bench.down("end"), "fact: exited 4");
    assert_eq!(bench.down("new"), "clear");
}

#[test]
fn the_summary_reads_well() {
    let mut bench = Bench::new();
    let summary = bench
        .tick(&[up("a"), row("b", "exited", "Exited (0) 1 hour ago")])
        .unwrap();
    assert_eq!(summary.to_string(), "2 containers, 1 running, API 1.41");
    bench.docker.head(Request::Events, 403, None);
    bench.docker.end(Request::Events, Close::Whole, bench.now);
    let summary = bench.tick(&[up("a")]).unwrap();
    assert_eq!(
        summary.to_string(),
        "1 container, 1 running, API 1.41, events refused (http 403): polling alone"
    );
}

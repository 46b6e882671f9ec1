//! What the Docker Engine says, read by the whole probe.

use watchdog_core::limits::DETAIL_BYTES_MAX;
use watchdog_core::probe::docker::{Close, Docker, Request};
use watchdog_core::signal::{Kind, SignalId};
use watchdog_core::table::Table;
use watchdog_core::text::Subject;
use watchdog_core::time::{Instant, Millis};

/// A list of three, of which `web` and `db` are those that the configuration lists.
const LIST: &[u8] = br#"[
{"Id":"1111111111111111111111111111111111111111111111111111111111111111","Names":["/web"],"Created":1767355200,"State":"running","Status":"Up 2 hours","Labels":{}},
{"Id":"2222222222222222222222222222222222222222222222222222222222222222","Names":["/db"],"Created":1767355200,"State":"running","Status":"Up 2 hours (healthy)","Labels":{}},
{"Id":"3333333333333333333333333333333333333333333333333333333333333333","Names":["/job"],"Created":1767355200,"State":"running","Status":"Up 5 minutes","Labels":{}}]"#;

/// The same list, when one of them has ended.
const ENDED: &[u8] = br#"[{"Id":"1111111111111111111111111111111111111111111111111111111111111111","Names":["/web"],"Created":1767355200,"State":"exited","Status":"Exited (137) 3 seconds ago","Labels":{}}]"#;

const INTERVAL: Millis = Millis::from_secs(15);

/// Asserts that a stream of events says the same however it is cut: the same facts at the same times, the same
/// containers to ask, the same wish for a new stream; and that every detail keeps its bound.
pub fn docker_events(data: &[u8]) {
    crate::with_room(|| {
        let [whole, others @ ..] = crate::cuts(data).map(|pieces| stream(&pieces));
        for other in others {
            assert_eq!(whole, other, "a cut changes what is read");
        }
    });
}

/// Asserts that a list says the same however it is cut, and that a valid document which is no array is a fault.
pub fn docker_list(data: &[u8]) {
    crate::with_room(|| {
        let [whole, others @ ..] = crate::cuts(data).map(|pieces| tick(&pieces, &[b"{}"]));
        for other in others {
            assert_eq!(whole, other, "a cut changes what is read");
        }
        if serde_json::from_slice::<serde_json::Value>(data).is_ok_and(|value| !value.is_array()) {
            assert!(!whole.0, "this is no list");
        }
    });
}

/// Asserts that an answer about a container says the same however it is cut.
pub fn docker_inspect(data: &[u8]) {
    crate::with_room(|| {
        let [whole, others @ ..] = crate::cuts(data).map(|pieces| tick(&[ENDED], &pieces));
        for other in others {
            assert_eq!(whole, other, "a cut changes what is read");
        }
    });
}

/// Plays two ticks with the given list, and the given answer for every container that is asked: whether the list was good,
/// and what the probe and the table then say.
fn tick(list: &[&[u8]], inspect: &[&[u8]]) -> (bool, String) {
    let config = crate::configuration();
    let mut docker = Box::new(Docker::new());
    let mut table = Box::new(Table::new());
    let mut now = Instant::from_millis(1_000_000);
    let mut told = String::new();
    let mut is_good = false;
    for bodies in [&[LIST], list] {
        is_good = play(&mut docker, now, bodies, inspect, &mut table);
        table.settle(now, config);
        told += &format!("{is_good} {:?} ", docker.summary());
        now = now.after(INTERVAL);
    }
    for row in table.rows() {
        assert!(row.detail().len() <= DETAIL_BYTES_MAX);
    }
    (
        is_good,
        told + &format!("{:?} {:?}", table.rows(), docker.deadline()),
    )
}

/// Plays one tick; whether the engine then counts as up.
fn play(docker: &mut Docker, now: Instant, list: &[&[u8]], inspect: &[&[u8]], table: &mut Table) -> bool {
    let config = &crate::configuration().docker;
    docker.begin_tick(now, INTERVAL);
    let mut asked = 0;
    while let Some(request) = docker.next() {
        asked += 1;
        assert!(asked < 100, "a tick asks no more than it may");
        docker.begin(now);
        docker.head(request, 200, Some((1, 44)));
        let bodies = match request {
            Request::List => list,
            Request::Inspect(_) => inspect,
            Request::Ping | Request::Events => &[],
        };
        for body in bodies {
            docker.body(request, body, now, config);
        }
        docker.end(request, Close::Whole, now);
    }
    docker.settle(now, config, table).is_ok()
}

/// Plays a tick with [`LIST`], then the pieces as events: what the probe and the table then say.
fn stream(pieces: &[&[u8]]) -> String {
    let config = crate::configuration();
    let mut docker = Box::new(Docker::new());
    let mut table = Box::new(Table::new());
    let mut now = Instant::from_millis(1_000_000);
    table.register(SignalId::of(Kind::DockerDown), now);
    for name in ["web", "db"] {
        table.register(
            SignalId {
                kind: Kind::ContainerDown,
                subject: Subject::new(name),
            },
            now,
        );
    }
    play(&mut docker, now, &[LIST], &[], &mut table);
    table.settle(now, config);

    docker.head(Request::Events, 200, None);
    for piece in pieces {
        docker.body(Request::Events, piece, now, &config.docker);
    }
    let mut told = String::new();
    for _second in 0..5 {
        let facts = docker.facts(now, &mut table);
        table.settle_facts(now, config);
        let asks = docker.next();
        told += &format!(
            "{facts} {:?} {asks:?} {} ",
            docker.deadline(),
            docker.wants_events()
        );
        now = now.after(Millis::from_secs(1));
        docker.wake(now);
    }
    for row in table.rows() {
        assert!(row.detail().len() <= DETAIL_BYTES_MAX);
    }
    told + &format!("{:?} {:?}", table.rows(), docker.summary())
}

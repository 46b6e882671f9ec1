//! A real HAProxy between the watchdog and a real engine, reached by `tcp://`: what it lets through is enough, and what
//! it refuses is named.
//!
//! Needs an engine, hence ignored in a plain run (see `engine.rs`, which has the proxy that re-exports a unix socket).

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use watchdog_tests::engine::{
    Engine, SUBJECT, Shared, Subject, build_subjects, docker, make_readable, repository, socket, succeed,
};
use watchdog_tests::harness::{SOON, Setup};

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn by_tcp_a_death_is_told_and_a_refused_list_is_named() {
    // By the rules that ship, but on a port: a death comes through, by events. Without the list docker_down says who refuses
    // what, and says it as one signal, of no container; with it again all is well.
    build_subjects(&Engine::given());
    println!(
        "{}",
        succeed(&mut Command::new(repository().join("tests/haproxy_image.sh")))
    );
    let rules = fs::read_to_string(repository().join("deploy/haproxy.cfg")).unwrap();
    let fewer = rules.replace("containers/json|", "");
    assert_ne!(rules, fewer, "the rules do not name the list");
    let proxy = Proxy::start(&rules);
    let dies = Subject::that_runs("subject-dies", &[], SUBJECT);
    let watchdog = Setup::quiet()
        .set("WATCHDOG_DOCKER_HOST", format!("tcp://127.0.0.1:{}", proxy.port))
        .start();
    watchdog.wait_for("STARTED", SOON, |line| line.text.contains("STARTED"));
    dies.end_now();
    let died = watchdog.wait_event("firing", "container_down:subject-dies");
    assert_eq!(died.field("detail"), "exited 3", "{}", died.text);

    proxy.restart_by(&fewer);
    let refusal = "the proxy refuses /containers/json";
    let down = watchdog.wait_event("firing", "docker_down");
    println!("{}", down.text);
    let checked = Setup::quiet()
        .set("WATCHDOG_DOCKER_HOST", format!("tcp://127.0.0.1:{}", proxy.port))
        .check();
    assert_eq!(checked.state("docker_down"), "active", "{checked:?}");
    assert!(checked.detail("docker_down").contains(refusal), "{checked:?}");

    proxy.restart_by(&rules);
    watchdog.wait_event("resolved", "docker_down");
    dies.begin_again();
    watchdog.wait_event("resolved", "container_down:subject-dies");
    let told: Vec<String> = watchdog
        .lines()
        .iter()
        .map(|line| line.field("signal").to_owned())
        .collect();
    let told: Vec<&String> = told.iter().filter(|signal| !signal.is_empty()).collect();
    let expected = ["container_down:subject-dies", "docker_down"];
    assert_eq!(told, [expected[0], expected[1], expected[1], expected[0]]);
}

/// A container of HAProxy on the host's loopback.
struct Proxy {
    folder: Shared,
    port: u16,
}

impl Proxy {
    const NAME: &str = "subject-proxy";

    fn start(rules: &str) -> Self {
        // HAProxy takes no port from the system, so one is asked for that is free a moment before.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let proxy = Self {
            folder: Shared::new(),
            port,
        };
        proxy.write(rules);
        docker(&[
            "run",
            "--detach",
            "--name",
            Self::NAME,
            "--network",
            "host",
            "--label",
            "watchdog.enable=false",
            "--volume",
            &format!("{}:/var/run/docker.sock:ro", socket().display()),
            "--volume",
            &format!("{}:/etc/haproxy:ro", proxy.folder.folder().display()),
            "--entrypoint",
            "/usr/sbin/haproxy",
            "watchdog-haproxy:test",
            "-db",
            "-f",
            "/etc/haproxy/haproxy.cfg",
        ]);
        proxy.wait();
        proxy
    }

    fn restart_by(&self, rules: &str) {
        self.write(rules);
        docker(&["restart", "--time", "1", Self::NAME]);
        self.wait();
    }

    /// The rules, on a port instead of a socket.
    fn write(&self, rules: &str) {
        let socket = "bind unix@/run/engine/docker.sock mode 660";
        let by_port = rules.replace(socket, &format!("bind 127.0.0.1:{}", self.port));
        assert_ne!(rules, by_port, "the rules bind no socket");
        let path = self.folder.path("haproxy.cfg");
        fs::write(&path, by_port).unwrap();
        make_readable(&path);
    }

    fn wait(&self) {
        let end = Instant::now() + SOON;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < end, "no proxy in {SOON:?}");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Command::new("docker").args(["logs", Self::NAME]).output();
            eprintln!("the proxy's log: {log:?}");
        }
        Engine::given().remove(Self::NAME);
    }
}

//! System calls of the real program that fail, by `strace -e inject`: whatever fails for a while, ticks go on afterwards,
//! and a signal is answered while it fails.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::{Running, wait_for, watchdog};

/// Each call of the loop, with the errors that a host without room, memory or rights answers, and the interruption.
const CASES: [(&str, &str); 26] = [
    ("epoll_wait", "ENOMEM"),
    ("epoll_wait", "EINTR"),
    ("epoll_ctl", "ENOMEM"),
    ("epoll_ctl", "ENOSPC"),
    ("socket", "EMFILE"),
    ("socket", "ENFILE"),
    ("socket", "ENOMEM"),
    ("socket", "EACCES"),
    ("connect", "EINTR"),
    ("connect", "ENETUNREACH"),
    ("connect", "EACCES"),
    ("getsockopt", "ENOMEM"),
    ("setsockopt", "ENOMEM"),
    ("sendto", "EPIPE"),
    ("sendto", "EINTR"),
    ("recvfrom", "ENOMEM"),
    ("recvfrom", "EINTR"),
    ("read", "ENOMEM"),
    ("openat", "EMFILE"),
    ("openat", "EACCES"),
    ("write", "EPIPE"),
    ("write", "EINTR"),
    ("poll", "ENOMEM"),
    ("poll", "EINTR"),
    ("eventfd2", "EMFILE"),
    ("clone3,clone", "EAGAIN"),
];

/// An orchestrator that counts how often it is asked.
fn orchestrator() -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut request = [0; 1024];
            if stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
                count.fetch_add(1, Ordering::Relaxed);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            }
        }
    });
    (address, asked)
}

/// Starts the program under strace, which makes the call fail from `first` on, up to `last`.
fn start(call: &str, error: &str, when: &str, orchestrator: SocketAddr) -> Running {
    let program = watchdog();
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:error={error}:when={when}")])
        .arg(program.get_program())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("WATCHDOG_DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .env("WATCHDOG_ORCH_URL", format!("http://{orchestrator}/metrics"))
        .env("WATCHDOG_DEP_NAME", "http://name.invalid/")
        .env("WATCHDOG_NAMESERVER", "127.0.0.1:9")
        .env("WATCHDOG_INTERVAL", "1s")
        .env("WATCHDOG_LOG", "debug")
        .stdout(Stdio::null());
    Running(command.spawn().expect("strace is there"))
}

/// Tells the traced program to end, once it can be told.
fn end(running: &Running, what: &str) {
    let mut child = String::new();
    wait_for("the program to be started", || {
        child = running.children();
        !child.trim().is_empty()
    });
    wait_for(&format!("its signals to be taken over with {what}"), || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.trim()));
        status.is_ok_and(|status| status.contains("SigBlk:\t0000000000004002"))
    });
    let sent = Command::new("kill").arg(child.trim()).status();
    assert!(sent.expect("kill is there").success());
}

/// Whether strace is here and may trace: it is a test's tool, not ours.
fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn ticks_go_on_after_any_call_has_failed_for_a_while() {
    // The orchestrator is asked again once the call works: after two successes at the start, it fails many times in a
    // row (a clone or an eventfd: always, there is but one).
    if !can_trace() {
        eprintln!("strace cannot trace here: nothing was tested");
        return;
    }
    thread::scope(|scope| {
        for (call, error) in CASES {
            scope.spawn(move || {
                let (address, asked) = orchestrator();
                let when = match call {
                    "eventfd2" | "clone3,clone" => "1+",
                    // The first reads and openings are those of the loader.
                    "read" | "openat" => "20..50",
                    "epoll_wait" | "write" | "poll" => "3..32",
                    // One or two of these are made in a tick.
                    _ => "3..9",
                };
                let mut running = start(call, error, when, address);
                wait_for(&format!("a tick after {call} failed with {error}"), || {
                    asked.load(Ordering::Relaxed) >= 3
                });
                end(&running, call);
                wait_for(&format!("an end after {call} failed with {error}"), || {
                    let ended = running.0.try_wait().expect("it is our child");
                    ended.is_some_and(|status| {
                        assert!(status.success(), "{call} {error}: {status}");
                        true
                    })
                });
            });
        }
    });
}

#[test]
fn a_signal_is_answered_while_calls_fail() {
    // Every call of the loop in turn fails for ever; the program ends all the same, with status 0.
    if !can_trace() {
        eprintln!("strace cannot trace here: nothing was tested");
        return;
    }
    thread::scope(|scope| {
        for (call, error) in [
            ("epoll_wait", "ENOMEM"),
            ("epoll_wait", "EINTR"),
            ("epoll_ctl", "ENOMEM"),
            ("socket", "EMFILE"),
            ("read", "ENOMEM"),
            ("openat", "EMFILE"),
            ("write", "EPIPE"),
            ("poll", "EINTR"),
        ] {
            scope.spawn(move || {
                let (address, _) = orchestrator();
                // What std and the loader do before our first line is not ours to survive.
                let when = match call {
                    "read" | "openat" => "20+",
                    _ => "2+",
                };
                let mut running = start(call, error, when, address);
                thread::sleep(Duration::from_millis(1500));
                end(&running, call);
                wait_for(&format!("an end while {call} fails with {error}"), || {
                    let ended = running.0.try_wait().expect("it is our child");
                    ended.is_some_and(|status| {
                        assert!(status.success(), "{call} {error}: {status}");
                        true
                    })
                });
            });
        }
    });
}

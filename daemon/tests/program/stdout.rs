//! Standard output of the real program when nobody reads it, when it is closed, and when it fails: the loop goes on, and
//! what was dropped is told.

use std::fs::File;
use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::common::{Running, wait_for, watchdog};

/// A command that has about a megabyte to say at once: a warning for each of many unknown variables.
fn talkative() -> Command {
    let mut command = watchdog();
    for number in 0..8000 {
        command.env(format!("WATCHDOG_UNKNOWN_{number:0>60}"), "x");
    }
    command
}

fn is_alive(running: &mut Running) -> bool {
    running.0.try_wait().expect("it is our child").is_none()
}

fn cpu_ticks(running: &Running) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.0.id())).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
}

#[test]
fn a_pipe_that_nobody_reads_stops_nothing_and_the_drops_are_told_once_it_is_read() {
    // `watchdog | sleep 1000`: the pipe fills up, the daemon neither waits nor spins, and when somebody reads after all,
    // whole lines come and one of them says how many are missing.
    let (mut reader, writer) = io::pipe().expect("descriptors are left");
    let mut running = Running(talkative().stdout(writer).spawn().expect("it starts"));
    running.wait_until_ready();
    thread::sleep(Duration::from_secs(1));
    let before = cpu_ticks(&running);
    thread::sleep(Duration::from_secs(2));
    assert!(is_alive(&mut running));
    assert!(cpu_ticks(&running) - before < 20, "it spins before a full pipe");

    let mut text = String::new();
    let mut buffer = [0; 4096];
    wait_for("the account of what was dropped", || {
        let bytes = reader.read(&mut buffer).expect("a pipe");
        text.push_str(std::str::from_utf8(&buffer[..bytes]).expect("ASCII"));
        text.contains("event=log_dropped lines=") && text.ends_with('\n')
    });
    assert!(text.len() < 200_000, "{} bytes", text.len());
    assert!(
        text.lines().all(|line| line.starts_with("ts=")),
        "a line is not whole"
    );

    let (status, took) = running.terminate();
    assert!(
        status.success() && took < Duration::from_secs(1),
        "{status} after {took:?}"
    );
}

#[test]
fn sigterm_is_answered_while_the_pipe_is_full() {
    let (_reader, writer) = io::pipe().expect("descriptors are left");
    let mut running = Running(talkative().stdout(writer).spawn().expect("it starts"));
    running.wait_until_ready();
    thread::sleep(Duration::from_millis(500));
    let (status, took) = running.terminate();
    assert!(
        status.success() && took < Duration::from_secs(1),
        "{status} after {took:?}"
    );
}

#[test]
fn a_closed_pipe_stops_nothing() {
    // `watchdog | true`
    let (reader, writer) = io::pipe().expect("descriptors are left");
    drop(reader);
    let mut running = Running(talkative().stdout(writer).spawn().expect("it starts"));
    running.wait_until_ready();
    thread::sleep(Duration::from_secs(1));
    let before = cpu_ticks(&running);
    thread::sleep(Duration::from_secs(2));
    assert!(is_alive(&mut running));
    assert!(cpu_ticks(&running) - before < 20, "it spins before a closed pipe");
    let (status, took) = running.terminate();
    assert!(
        status.success() && took < Duration::from_secs(1),
        "{status} after {took:?}"
    );
}

#[test]
fn a_device_that_is_full_or_a_descriptor_that_is_closed_stops_nothing() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let mut running = Running(talkative().stdout(full).spawn().expect("it starts"));
    running.wait_until_ready();
    let (status, _) = running.terminate();
    assert!(status.success());

    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$0\" >&-", env!("CARGO_BIN_EXE_watchdog")])
        .env_clear()
        .env("WATCHDOG_ORCH_URL", "off")
        .env("WATCHDOG_DOCKER_HOST", "off");
    let mut running = Running(shell.stdout(Stdio::null()).spawn().expect("it starts"));
    running.wait_until_ready();
    let (status, _) = running.terminate();
    assert!(status.success());
}

#[test]
fn commands_before_a_reader_that_is_gone_end_without_a_panic() {
    for arguments in [["--help"], ["--version"], ["config"], ["check"]] {
        let (reader, writer) = io::pipe().expect("descriptors are left");
        drop(reader);
        let output = watchdog()
            .args(arguments)
            .stdout(writer)
            .output()
            .expect("it starts");
        assert!(output.status.code().is_some(), "{arguments:?}: {}", output.status);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panic"), "{errors}");
    }
}

//! The commands of the real program: arguments, exit statuses, signals, and the kill switch.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::common::{Running, wait_for, watchdog};

fn output(arguments: &[&str]) -> Output {
    watchdog().args(arguments).output().expect("it starts")
}

#[test]
fn an_unknown_command_or_flag_is_told_on_stderr_with_status_64() {
    for arguments in [
        &["frobnicate"][..],
        &["--json"],
        &["run", "--json"],
        &["check", "--jsn"],
        &["config", "extra"],
        &[""],
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: watchdog"));
    }
}

#[test]
fn help_and_version_are_told_on_standard_output_with_status_0() {
    let help = output(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8_lossy(&help.stdout);
    for command in ["run", "check [--json]", "config", "notify-test"] {
        assert!(text.contains(command), "{command}");
    }
    let version = output(&["--version"]);
    assert!(version.status.success());
    let expected = format!("watchdog {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&version.stdout), expected);
}

#[test]
fn the_daemon_ends_with_status_0_within_a_second_of_sigterm() {
    let mut running = Running(watchdog().stdout(Stdio::null()).spawn().expect("it starts"));
    running.wait_until_ready();
    let (status, took) = running.terminate();
    assert!(
        status.success() && took < Duration::from_secs(1),
        "{status} after {took:?}"
    );
}

#[test]
fn the_kill_switch_opens_nothing_says_so_and_still_answers_sigterm() {
    // Whatever else is configured, a disabled watchdog holds no socket and reads no file: the path of the token's file
    // is a FIFO that nobody writes, and one of a folder that does not exist would be told as a fault.
    for word in ["false", "0", "No", " OFF "] {
        let mut running = Running(
            watchdog()
                .env("WATCHDOG_ENABLED", word)
                .env("WATCHDOG_ORCH_URL", "http://127.0.0.1:9/metrics")
                .env("WATCHDOG_TELEGRAM_TOKEN_FILE", "/nonexistent/token")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts"),
        );
        running.wait_until_ready();
        let mut stdout = running.0.stdout.take().expect("it is piped");
        let mut text = Vec::new();
        wait_for("a line", || {
            let mut byte = [0; 1];
            stdout.read_exact(&mut byte).expect("it says a line");
            text.extend_from_slice(&byte);
            byte == *b"\n"
        });
        assert!(String::from_utf8_lossy(&text).contains("event=disabled"));
        let sockets = fs::read_dir(format!("/proc/{}/fd", running.0.id()))
            .expect("it runs")
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count();
        assert_eq!(sockets, 0);
        let (status, took) = running.terminate();
        assert!(
            status.success() && took < Duration::from_secs(1),
            "{status} after {took:?}"
        );
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "", "it says one line");
    }
}

#[test]
fn a_disabled_watchdog_checks_and_sends_nothing() {
    for (command, status) in [("check", 2), ("notify-test", 1)] {
        let output = watchdog()
            .env("WATCHDOG_ENABLED", "false")
            .arg(command)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(status));
        assert!(String::from_utf8_lossy(&output.stderr).contains("WATCHDOG_ENABLED"));
    }
}

#[test]
fn config_tells_where_each_value_is_from_and_fails_for_any_fault() {
    let path = std::env::temp_dir().join(format!("watchdog-config-{}", std::process::id()));
    let mut file = fs::File::create(&path).expect("a temporary file");
    writeln!(file, " http://127.0.0.1:8500/metrics ").expect("room");
    let mut command = watchdog();
    command
        .arg("config")
        .env_remove("WATCHDOG_ORCH_URL")
        .env("WATCHDOG_ORCH_URL_FILE", &path)
        .env("WATCHDOG_INTERVAL", "30s");
    let good = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&good.stdout);
    let line = |name: &str| {
        let found = text.lines().find(|line| line.starts_with(&format!("{name}=")));
        found
            .unwrap_or_else(|| panic!("{name} is missing in {text}"))
            .to_owned()
    };
    assert_eq!(line("WATCHDOG_INTERVAL"), "WATCHDOG_INTERVAL=30s  # env");
    assert_eq!(
        line("WATCHDOG_ORCH_URL"),
        "WATCHDOG_ORCH_URL=http://127.0.0.1:8500/metrics  # file"
    );
    assert!(line("WATCHDOG_COOLDOWN").ends_with("  # default"));
    assert_eq!(String::from_utf8_lossy(&good.stderr), "");
    assert!(good.status.success());

    fs::remove_file(&path).expect("it is there");
    let bad = command
        .env("WATCHDOG_INTERVAL", "soon")
        .env("WATCHDOG_CA_FILE", "/nonexistent/roots.pem")
        .env("WATCHDOG_INTREVAL", "1s")
        .output()
        .expect("it starts");
    assert_eq!(bad.status.code(), Some(1));
    let faults = String::from_utf8_lossy(&bad.stderr);
    for name in [
        "WATCHDOG_INTERVAL",
        "WATCHDOG_CA_FILE",
        "WATCHDOG_INTREVAL",
        "WATCHDOG_ORCH_URL",
    ] {
        assert!(
            faults.lines().any(|line| line.starts_with(name)),
            "{name} is missing in {faults}"
        );
    }
}

//! The configuration as an operator meets it, and the secrets that nobody may meet.

use std::io::Write;
use std::path::Path;

use watchdog_tests::fake::telegram::{CHAT_ID, TOKEN};
use watchdog_tests::fake::{Answer, FakeHttp, FakeOrchestrator, FakeTelegram, TelegramAnswer};
use watchdog_tests::harness::{SOON, Setup, each_at_once};

/// Every variable that takes a value which can be wrong, with one that is.
const NONSENSE: [(&str, &str); 44] = [
    ("WATCHDOG_ENABLED", "perhaps"),
    ("WATCHDOG_INTERVAL", "yesterday"),
    ("WATCHDOG_TIMEOUT", "-5s"),
    ("WATCHDOG_RAISE_TICKS", "0"),
    ("WATCHDOG_CLEAR_TICKS", "two"),
    ("WATCHDOG_COOLDOWN", "4 moons"),
    ("WATCHDOG_FLAP_CHANGES", "99"),
    ("WATCHDOG_FLAP_WINDOW", "1s"),
    ("WATCHDOG_LOG", "shout"),
    ("WATCHDOG_ORCH_URL", "gopher://x"),
    ("WATCHDOG_ORCH_DOWN_TICKS", "1.5"),
    ("WATCHDOG_ORCH_STALE_AFTER", "soon"),
    ("WATCHDOG_STAGE_STUCK_AFTER", "1h1"),
    ("WATCHDOG_QUEUE_AGE_MAX", "9999999d"),
    ("WATCHDOG_AGENT_STALL_AFTER", "0"),
    ("WATCHDOG_AGENT_CPU_MIN", "NaN"),
    ("WATCHDOG_AGENT_CPU_MAX", "-1"),
    ("WATCHDOG_AGENT_ELAPSED_MAX", "\u{1F600}"),
    ("WATCHDOG_COST_DAILY_MAX", "USD"),
    ("WATCHDOG_RULE_BAD", "queue.failed >"),
    ("WATCHDOG_DEP_BAD", "ftp://x"),
    ("WATCHDOG_DEP_WORSE", "http://x status=abc"),
    ("WATCHDOG_DOCKER_HOST", "ssh://x"),
    ("WATCHDOG_DISK_PATHS", "relative"),
    ("WATCHDOG_DISK_CEILING", "101%"),
    ("WATCHDOG_INODE_CEILING", "-3"),
    ("WATCHDOG_MEM_AVAILABLE_MIN", "lots"),
    ("WATCHDOG_SWAP_MAX", "200"),
    ("WATCHDOG_LOAD_MAX", "high"),
    ("WATCHDOG_PRESSURE_MEM_MAX", "x"),
    ("WATCHDOG_PRESSURE_IO_MAX", "x"),
    ("WATCHDOG_PRESSURE_CPU_MAX", "x"),
    ("WATCHDOG_FD_MAX", "x"),
    ("WATCHDOG_TELEGRAM_CHAT_ID", "my chat"),
    ("WATCHDOG_TELEGRAM_THREAD_ID", "topic"),
    ("WATCHDOG_TELEGRAM_API_URL", "tcp://x"),
    ("WATCHDOG_TELEGRAM_PROXY", "carrier pigeon"),
    ("WATCHDOG_TELEGRAM_TOKEN_FILE", "/nonexistent/token"),
    ("WATCHDOG_CA_FILE", "/nonexistent/ca.pem"),
    ("WATCHDOG_HEARTBEAT_URL", "beat"),
    ("WATCHDOG_HEARTBEAT_INTERVAL", "often"),
    ("WATCHDOG_ALERTMANAGER_URL", "nowhere"),
    ("WATCHDOG_LISTEN", "everywhere"),
    ("WATCHDOG_NAMESERVER", "dns"),
];

/// The names as a fault tells them: a twin's is its variable's.
fn named() -> impl Iterator<Item = &'static str> {
    NONSENSE.iter().map(|(name, _)| name.trim_end_matches("_FILE"))
}

fn nonsense() -> Setup {
    NONSENSE
        .iter()
        .fold(Setup::bare(), |setup, (name, value)| setup.set(name, value))
}

/// Everything wrong at once: the daemon runs on its defaults, and its log and start digest name each variable.
#[test]
fn nonsense_in_every_variable_leaves_the_defaults() {
    let mut watchdog = nonsense().start();
    for name in named() {
        watchdog.wait_for(name, SOON, |line| line.text.contains(name));
    }
    assert!(watchdog.is_alive(), "{}", watchdog.output());
    let (status, _) = watchdog.terminate();
    assert_eq!(status.code(), Some(0));
}

/// The start digest carries the same lines to people; the ticks are those of the default, with what is right taken.
#[test]
fn the_start_digest_names_the_faults() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    let _watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .ticks(1, 1)
        .set("WATCHDOG_COOLDOWN", "4 moons")
        .set("WATCHDOG_QUEUE_AGE_MAX", "<b>&")
        .start();
    let started = telegram.wait_for("STARTED", SOON);
    for name in ["WATCHDOG_COOLDOWN", "WATCHDOG_QUEUE_AGE_MAX"] {
        assert!(started.line(name).is_some(), "{name}: {started:?}");
    }
    assert!(telegram.faults().is_empty(), "{:?}", telegram.faults());
}

/// `config` lists all faults at once on stderr, still prints the whole configuration, and exits 1.
#[test]
fn config_lists_every_fault_at_once() {
    let output = nonsense().argument("config").output();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for name in named() {
        assert!(
            stderr.lines().any(|line| line.contains(name)),
            "{name} is not on stderr:\n{stderr}"
        );
    }
    assert!(
        stdout
            .lines()
            .any(|line| line.starts_with("WATCHDOG_INTERVAL=15s")),
        "{stdout}"
    );
}

/// Without a fault: exit 0, each variable with where it came from.
#[test]
fn config_tells_where_a_value_comes_from() {
    let output = Setup::bare()
        .set("WATCHDOG_INTERVAL", "20s")
        .argument("config")
        .output();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line = |name: &str| {
        stdout
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name}: {stdout}"))
    };
    assert!(line("WATCHDOG_INTERVAL=20s").contains("env"));
    assert!(line("WATCHDOG_COOLDOWN=4h").contains("default"));
}

/// An unknown name is a warning with the nearest known one, and `config` exits 1 for it.
#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    let setup = Setup::bare().set("WATCHDOG_INTERVALL", "20s");
    let output = setup.clone().argument("config").output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let line = stderr
        .lines()
        .find(|line| line.contains("WATCHDOG_INTERVALL"))
        .unwrap();
    assert!(
        line.replace("WATCHDOG_INTERVALL", "")
            .contains("WATCHDOG_INTERVAL"),
        "{line}"
    );
    let systemd = Setup::bare()
        .set("WATCHDOG_USEC", "30000000")
        .set("WATCHDOG_PID", "1")
        .argument("config")
        .output();
    assert_eq!(
        systemd.status.code(),
        Some(0),
        "systemd's own names are passed over: {systemd:?}"
    );
}

/// Help and version end well; what is unknown ends with 64 and the usage on stderr.
#[test]
fn commands_and_flags() {
    for argument in ["--help", "--version"] {
        let output = Setup::bare().argument(argument).output();
        assert_eq!(output.status.code(), Some(0), "{argument}");
        assert!(!output.stdout.is_empty(), "{argument}");
    }
    for arguments in [
        &["explode"][..],
        &["--explode"],
        &["check", "--explode"],
        &["run", "extra"],
    ] {
        let setup = arguments
            .iter()
            .fold(Setup::bare(), |setup, argument| setup.argument(argument));
        let output = setup.output();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

/// On a bare machine `check` shows a table with this host's figures and exits 1, because nothing listens for `orch_down`.
#[test]
fn check_on_a_bare_machine_prints_the_table() {
    let mut orchestrator = FakeOrchestrator::healthy();
    orchestrator.refuse();
    let setup = Setup::bare()
        .set("WATCHDOG_DOCKER_HOST", "off")
        .orchestrator(&orchestrator);
    let output = setup.clone().argument("check").output();
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for signal in ["orch_down", "mem_low", "fd_high"] {
        assert!(table.contains(signal), "{signal}: {table}");
    }
    assert!(
        table
            .lines()
            .any(|line| line.contains("mem_low") && line.contains('%')),
        "{table}"
    );
    let checked = setup.check();
    assert_eq!(
        (checked.state("orch_down"), checked.state("fd_high")),
        ("active", "clear")
    );
}

/// With all sources off there is nothing to check, which is exit 2; with all of them well, 0.
#[test]
fn check_says_what_it_found_by_its_status() {
    let orchestrator = FakeOrchestrator::healthy();
    assert_eq!(Setup::quiet().orchestrator(&orchestrator).check().status, 0);
}

const SECRETS: [&str; 9] = [
    TOKEN,
    "AAtestTokenThatMustNeverShowUpAnywhere0",
    "userSecret",
    "passSecret",
    "querySecret",
    "beatSecret",
    "proxySecret",
    "fileSecret",
    // userSecret:passSecret in Base64.
    "dXNlclNlY3JldDpwYXNzU2VjcmV0",
];

fn no_secret(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is shown by {what}:\n{text}");
    }
}

/// Every variable that can hold a secret holds one; everything leads to what fails.
fn full_of_secrets(telegram: &FakeTelegram, port: u16, file: &Path) -> Setup {
    let failing = format!("http://userSecret:passSecret@127.0.0.1:{port}");
    Setup::quiet()
        .telegram(telegram)
        .ticks(1, 1)
        .set("WATCHDOG_LOG", "debug")
        .set("WATCHDOG_NAMESERVER", "127.0.0.1:1")
        .set("WATCHDOG_ORCH_URL", format!("{failing}/metrics?key=querySecret"))
        .set("WATCHDOG_DEP_ONE", format!("{failing}/?querySecret"))
        .set(
            "WATCHDOG_DEP_TWO",
            "https://userSecret:passSecret@127.0.0.1:1/?querySecret",
        )
        .set(
            "WATCHDOG_DEP_THREE",
            "http://userSecret:passSecret@no.such.name.test/?querySecret",
        )
        .set("WATCHDOG_DEP_BAD", "ftp://userSecret:passSecret@x/?querySecret")
        .set(
            "WATCHDOG_DEP_WORSE",
            "http://userSecret:passSecret@x:99999/?querySecret status=oops",
        )
        .set("WATCHDOG_DEP_FILE_FILE", file.display())
        .set("WATCHDOG_ALERTMANAGER_URL", format!("{failing}/?querySecret"))
        .set(
            "WATCHDOG_HEARTBEAT_URL",
            format!("http://127.0.0.1:{port}/beatSecret"),
        )
}

fn secret_file(port: u16) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(
        file,
        " http://fileSecret:fileSecret@127.0.0.1:{port}/?fileSecret "
    )
    .unwrap();
    file
}

/// Everything has a secret and everything fails: neither log nor messages hold one.
#[test]
fn the_daemon_never_shows_a_secret() {
    let failing = FakeHttp::always(Answer::status(500));
    let telegram = FakeTelegram::start();
    let file = secret_file(failing.port());
    let watchdog = full_of_secrets(&telegram, failing.port(), file.path()).start();
    watchdog.wait_event("firing", "dep_down:one");
    watchdog.wait_event("firing", "dep_down:three");
    telegram.wait_for("FIRING dep_down:one", SOON);
    telegram.always(TelegramAnswer::Status(401));
    failing.wait_for_more(4, SOON);
    no_secret("the log", &watchdog.output());
    for message in telegram.attempts() {
        no_secret("a message", &message.body.to_string());
    }
}

/// No command shows a secret, also where the variable that holds it is at fault.
#[test]
fn no_command_shows_a_secret() {
    let failing = FakeHttp::always(Answer::status(500));
    let telegram = FakeTelegram::start();
    let file = secret_file(failing.port());
    let right = full_of_secrets(&telegram, failing.port(), file.path());
    let proxied = right.clone().set(
        "WATCHDOG_TELEGRAM_PROXY",
        "http://proxySecret:proxySecret@127.0.0.1:1",
    );
    let wrong = right
        .clone()
        .set("WATCHDOG_TELEGRAM_PROXY", "ftp://proxySecret@x")
        .set("WATCHDOG_HEARTBEAT_URL", "beatSecret")
        .set("WATCHDOG_TELEGRAM_TOKEN", format!("/{TOKEN}"))
        .set("WATCHDOG_TELEGRAM_TOKEN_FILE", file.path().display());
    let cases = [("right", right), ("proxied", proxied), ("wrong", wrong)];
    each_at_once(&cases, |name, setup| {
        for command in [
            &["config"][..],
            &["check"],
            &["check", "--json"],
            &["notify-test"],
        ] {
            let setup = command
                .iter()
                .fold(setup.clone(), |setup, argument| setup.argument(argument));
            let output = setup.output();
            no_secret(
                &format!("{command:?}, {name}"),
                &String::from_utf8_lossy(&output.stdout),
            );
            no_secret(
                &format!("{command:?}, {name}"),
                &String::from_utf8_lossy(&output.stderr),
            );
        }
    });
}

/// A token from a file works, white space and all; together with the variable it is a fault, and neither serves.
#[test]
fn a_secret_may_come_from_a_file() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "\n  {TOKEN}  ").unwrap();
    let setup = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .ticks(1, 1)
        .unset("WATCHDOG_TELEGRAM_TOKEN")
        .set("WATCHDOG_TELEGRAM_CHAT_ID", CHAT_ID)
        .set("WATCHDOG_TELEGRAM_TOKEN_FILE", file.path().display());
    let _watchdog = setup.start();
    telegram.wait_for("STARTED", SOON);
    let both = setup
        .set("WATCHDOG_TELEGRAM_TOKEN", TOKEN)
        .argument("config")
        .output();
    assert_eq!(both.status.code(), Some(1), "{both:?}");
}

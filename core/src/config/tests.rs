//! Tests of the whole configuration: pairs in, `Config`, faults and effective values out.

extern crate std;

use super::*;
use std::boxed::Box;
use std::format;
use std::string::{String as Text, ToString as _};
use std::vec;
use std::vec::Vec as List;

const FACTS: Facts<'static> = Facts {
    host_name: "host-1",
    docker_socket_exists: true,
};

/// A configuration, what was reported of it, and its effective values as `watchdog config` prints them.
struct Read {
    config: Box<Config>,
    lines: List<(FaultKind, Text)>,
    effective: List<Text>,
}

impl Read {
    fn lines(&self, kind: FaultKind) -> List<&str> {
        let of_kind = self.lines.iter().filter(|(other, _)| *other == kind);
        of_kind.map(|(_, line)| line.as_str()).collect()
    }

    fn faults(&self) -> List<&str> {
        self.lines(FaultKind::Fault)
    }

    fn value(&self, name: &str) -> &str {
        let start = format!("{name}=");
        let line = self
            .effective
            .iter()
            .find_map(|line| line.strip_prefix(start.as_str()));
        line.unwrap_or_else(|| panic!("{name} is not shown"))
    }
}

fn read_pairs(pairs: &[Pair<'_>], facts: &Facts<'_>) -> Read {
    let mut read = Read {
        config: Box::new(Config::EMPTY),
        lines: List::new(),
        effective: List::new(),
    };
    let lines = &mut read.lines;
    parse(pairs, facts, &mut read.config, &mut |fault| {
        let line = fault.to_string();
        assert!(
            line.starts_with("WATCHDOG_") && !line.chars().any(char::is_control),
            "{line:?}"
        );
        assert_eq!(format!("{fault:?}"), line);
        lines.push((fault.kind(), line));
    });
    let effective = &mut read.effective;
    super::effective(pairs, &read.config, &mut |name, value, origin| {
        effective.push(format!("{name}={value} ({})", origin.as_str()));
    });
    read
}

fn env<'a>(name: &'a str, value: &'a str) -> Pair<'a> {
    Pair {
        name,
        value: Ok(value),
        origin: Origin::Env,
    }
}

fn file<'a>(name: &'a str, value: Result<&'a str, FileFault>) -> Pair<'a> {
    Pair {
        name,
        value,
        origin: Origin::File,
    }
}

fn read(values: &[(&str, &str)]) -> Read {
    let pairs: List<_> = values.iter().map(|(name, value)| env(name, value)).collect();
    read_pairs(&pairs, &FACTS)
}

/// The variables that are not families.
fn single() -> impl Iterator<Item = &'static Variable> {
    VARIABLES.iter().filter(|variable| !variable.name().contains('<'))
}

#[test]
fn nothing_given_is_every_default_and_no_word() {
    // The defaults of CONTRACTS 2, written out once more by hand and in its order.
    let read = read(&[]);
    assert!(read.lines.is_empty(), "{:?}", read.lines);
    let expected = "ENABLED=true NAME=host-1 INTERVAL=15s TIMEOUT=5s RAISE_TICKS=3 MUTE= CLEAR_TICKS=2 COOLDOWN=4h \
        FLAP_CHANGES=6 FLAP_WINDOW=30m LOG=info ORCH_URL=http://127.0.0.1:8500/metrics ORCH_DOWN_TICKS=3 \
        ORCH_STALE_AFTER=5m STAGE_STUCK_AFTER=2h QUEUE_AGE_MAX=1h AGENT_STALL_AFTER=1h AGENT_CPU_MIN=0.01 \
        AGENT_CPU_MAX=off AGENT_ELAPSED_MAX=off COST_DAILY_MAX=off DOCKER_HOST=unix:///var/run/docker.sock \
        CONTAINERS= CONTAINERS_IGNORE= DISK_PATHS=/ DISK_CEILING=off INODE_CEILING=off MEM_AVAILABLE_MIN=5% \
        SWAP_MAX=off LOAD_MAX=off PRESSURE_MEM_MAX=off PRESSURE_IO_MAX=off PRESSURE_CPU_MAX=off FD_MAX=90% \
        PROC=/proc TELEGRAM_TOKEN= TELEGRAM_CHAT_ID= TELEGRAM_THREAD_ID= \
        TELEGRAM_API_URL=https://api.telegram.org TELEGRAM_PROXY= CA_FILE= HEARTBEAT_URL= HEARTBEAT_INTERVAL=1m HEARTBEAT_FAIL=false \
        ALERTMANAGER_URL= LISTEN=off NAMESERVER=";
    let shown: List<_> = read.effective.iter().map(Text::as_str).collect();
    let expected: List<_> = expected
        .split_whitespace()
        .map(|pair| format!("WATCHDOG_{pair} (default)"))
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn defaults_that_depend_on_the_host_follow_it() {
    let without = Facts {
        host_name: "",
        docker_socket_exists: false,
    };
    let read = read_pairs(&[], &without);
    assert!(read.config.docker.host.is_none());
    assert_eq!(read.config.name, "watchdog");
    let long = "é\n".repeat(64);
    let facts = Facts {
        host_name: &long,
        docker_socket_exists: false,
    };
    let read = read_pairs(&[], &facts);
    assert!(read.config.name.len() >= 62 && read.config.name.starts_with("é é"));
}

/// Splits a table of three columns.
fn table(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.trim().lines().map(|line| {
        let mut columns = line.split(" | ");
        let mut next = || columns.next().unwrap();
        (next(), next(), next())
    })
}

/// A variable, a value, and how that is shown.
const CANONICAL: &str = r#"
ENABLED | No | false
NAME |  build-7  | build-7
INTERVAL | 60 | 1m
TIMEOUT | 500ms | 500ms
RAISE_TICKS | 1000 | 1000
MUTE | dep_down:gitea , agent_* | dep_down:gitea,agent_*
CLEAR_TICKS | 1 | 1
COOLDOWN | OFF | off
COOLDOWN | 24h | 1d
FLAP_CHANGES | 16 | 16
FLAP_WINDOW | 90m | 90m
LOG | DEBUG | debug
ORCH_URL | off | off
ORCH_URL | https://u:p@orch:8443/m?k=v | https://***@orch:8443/m?***
ORCH_DOWN_TICKS | 7 | 7
ORCH_STALE_AFTER | off | off
STAGE_STUCK_AFTER | 365d | 365d
QUEUE_AGE_MAX | 1s | 1s
AGENT_STALL_AFTER | 3600 | 1h
AGENT_CPU_MIN | off | off
AGENT_CPU_MAX | 0.950 | 0.95
AGENT_ELAPSED_MAX | 36h | 36h
COST_DAILY_MAX | 12.50 | 12.5
DOCKER_HOST | off | off
DOCKER_HOST | tcp://[::1]:2375 | tcp://[::1]:2375
CONTAINERS | web, db | web,db
CONTAINERS_IGNORE | cache | cache
DISK_PATHS | /=/host/root, /data | /=/host/root,/data
DISK_CEILING | 97 | 97%
INODE_CEILING | 97.5% | 97.5%
MEM_AVAILABLE_MIN | off | off
SWAP_MAX | 0 | 0%
LOAD_MAX | 1.5 | 1.5
PRESSURE_MEM_MAX | 100% | 100%
PRESSURE_IO_MAX | 1 | 1%
PRESSURE_CPU_MAX | 2 | 2%
FD_MAX | off | off
PROC | /host/proc | /host/proc
TELEGRAM_TOKEN | 123:abc | ***
TELEGRAM_CHAT_ID | -100123 | -100123
TELEGRAM_THREAD_ID | 42 | 42
TELEGRAM_API_URL | http://127.0.0.1:8081/ | http://127.0.0.1:8081
TELEGRAM_PROXY | socks5://p:1080 | ***
CA_FILE | /run/secrets/ca.pem | /run/secrets/ca.pem
HEARTBEAT_URL | https://hc.example/ping/abc | ***
HEARTBEAT_INTERVAL | 5m | 5m
HEARTBEAT_FAIL | yes | true
ALERTMANAGER_URL | http://a:9093,http://u:p@b:9093/am | http://a:9093,http://***@b:9093/am
LISTEN | 127.0.0.1:9108 | 127.0.0.1:9108
NAMESERVER | 9.9.9.9 | 9.9.9.9:53
"#;

#[test]
fn each_value_is_shown_in_canonical_form_with_its_origin() {
    for (name, given, shown) in table(CANONICAL) {
        let name = format!("WATCHDOG_{name}");
        let from_env = read(&[(&name, given)]);
        assert_eq!(from_env.value(&name), format!("{shown} (env)"));
        let alone = matches!(
            name.as_str(),
            "WATCHDOG_TELEGRAM_TOKEN" | "WATCHDOG_TELEGRAM_CHAT_ID"
        );
        assert_eq!(
            from_env.faults().len(),
            usize::from(alone),
            "{:?}",
            from_env.lines
        );
        let text = format!("\n {given}\t\n");
        let from_file = read_pairs(&[file(&name, Ok(&text))], &FACTS);
        assert_eq!(from_file.value(&name), format!("{shown} (file)"));
    }
}

#[test]
fn every_variable_set_to_nonsense_is_one_fault_each_and_its_default() {
    let unset = read(&[]);
    // A line break is no part of any value, so this is nonsense for each, the name too.
    for nonsense in ["%%\n%%", "\u{202e}nonsense", "🔥, 🔥\u{0}", "-1\n"] {
        let nonsense = format!("{nonsense}\n!");
        let mut pairs: List<_> = single().map(|variable| env(variable.name(), &nonsense)).collect();
        pairs.push(env("WATCHDOG_RULE_BAD", &nonsense));
        pairs.push(env("WATCHDOG_DEP_BAD", &nonsense));
        let read = read_pairs(&pairs, &FACTS);
        assert_eq!(read.lines.len(), pairs.len(), "{:#?}", read.lines);
        assert_eq!(read.faults().len(), pairs.len());
        for pair in &pairs {
            let about = |line: &&&str| {
                line.strip_prefix(pair.name)
                    .is_some_and(|rest| rest.starts_with('='))
            };
            assert_eq!(read.faults().iter().filter(about).count(), 1, "{}", pair.name);
        }
        assert_eq!(read.effective, unset.effective);
        assert!(
            read.config.telegram.is_none()
                && read.config.dependencies.is_empty()
                && read.config.rules.is_empty()
        );
    }
}

/// A variable, a value, and what follows the name in the fault's line.
const FAULTS: &str = r#"
INTERVAL | banana | =banana: expected a duration from 1s to 1h; using 15s
INTERVAL | off | =off: expected a duration from 1s to 1h; using 15s
INTERVAL | 61m | =61m: expected a duration from 1s to 1h; using 15s
TIMEOUT | 20s | =20s: expected at most the interval, 15s; using 5s
TIMEOUT | 99ms | =99ms: expected a duration from 100ms to the interval; using 5s
RAISE_TICKS | 0 | =0: expected a whole number from 1 to 1000; using 3
COOLDOWN | 25h | =25h: expected a duration from 1s to 24h, or off; using 4h
FLAP_CHANGES | 17 | =17: expected a whole number from 2 to 16; using 6
FLAP_WINDOW | 59s | =59s: expected a duration from 1m to 1d; using 30m
ORCH_STALE_AFTER | 366d | =366d: expected a duration from 1s to 365d, or off; using 5m
ORCH_DOWN_TICKS | x | =x: expected a whole number from 1 to 1000; using WATCHDOG_RAISE_TICKS
ORCH_URL | ftp://h | =ftp://h: expected an http:// or https:// URL, or off; using http://127.0.0.1:8500/metrics
ORCH_URL | http://h:99999/ | =http://h:99999/: expected a port from 1 to 65535; using http://127.0.0.1:8500/metrics
DISK_CEILING | 101 | =101: expected a percentage from 0 to 100, or off; using off
LISTEN | :9108 | =:9108: expected ip:port like 127.0.0.1:9108 (all interfaces: 0.0.0.0:9108), or off; using off
DOCKER_HOST | /run/docker.sock | =/run/docker.sock: expected unix:///path, tcp://host:port, or off; using unix:///var/run/docker.sock
TELEGRAM_TOKEN | 123:abc  | =***: expected a bot's token, digits:letters, as BotFather gives it; notifications go to stdout alone
TELEGRAM_CHAT_ID | ops | =ops: expected a chat's id, an integer that may be negative, or @channel; notifications go to stdout alone
TELEGRAM_CHAT_ID | @ops | : given without WATCHDOG_TELEGRAM_TOKEN; notifications go to stdout alone
RULE_X | queue.failed > | =queue.failed >: column 15: expected a number, true, false, null or "text"; rule left out
RULE_ORCH_DOWN | a > 1 | =a > 1: a built-in signal has this name; rule left out
RULE_lower | a > 1 | =a > 1: expected a name of A-Z, 0-9 and _, at most 64; rule left out
DEP_X | http://h latency=soon | =http://h latency=soon: latency expects a duration from 1ms to 365d; not watched
DEP_X-Y | http://h | =http://h: expected a name of A-Z, 0-9 and _, at most 64; not watched
MUTE | dep_dwn | =dep_dwn: expected signal ids, comma separated, * at the end allowed, at most 64; left unset
"#;

#[test]
fn a_fault_says_which_variable_its_value_what_was_expected_and_what_serves() {
    for (name, value, line) in table(FAULTS) {
        let name = format!("WATCHDOG_{name}");
        let read = read(&[(&name, value)]);
        assert_eq!(read.faults(), [format!("{name}{line}")]);
    }
    // Whatever stands in a value, its fault is one line, and not a long one.
    let long = read(&[("WATCHDOG_NAME", &"a\n".repeat(100))]);
    assert!(
        long.faults()[0].starts_with("WATCHDOG_NAME=a a a a "),
        "{:?}",
        long.lines
    );
    assert!(long.faults()[0].contains(" a …: expected a text of at most 64 bytes"));
}

#[test]
fn an_empty_value_is_no_value() {
    for empty in ["", " ", "\t\n"] {
        let mut pairs: List<_> = single().map(|variable| env(variable.name(), empty)).collect();
        pairs.push(env("WATCHDOG_RULE_R", empty));
        pairs.push(file("WATCHDOG_DEP_D", Ok(empty)));
        let empty_read = read_pairs(&pairs, &FACTS);
        assert!(empty_read.lines.is_empty(), "{:?}", empty_read.lines);
        assert_eq!(empty_read.effective, read(&[]).effective);
    }
    // An empty file beside a plain value takes nothing from it.
    let read = read_pairs(
        &[
            env("WATCHDOG_DEP_D", "http://h"),
            file("WATCHDOG_DEP_D", Ok("\n")),
        ],
        &FACTS,
    );
    assert!(read.lines.is_empty() && read.config.dependencies.len() == 1);
}

#[test]
fn the_time_out_stays_below_the_interval_without_a_word() {
    let short = read(&[("WATCHDOG_INTERVAL", "2s")]);
    assert!(short.lines.is_empty());
    assert_eq!(short.config.timeout, Millis::from_secs(2));
    assert_eq!(short.value("WATCHDOG_TIMEOUT"), "2s (default)");
    let equal = read(&[("WATCHDOG_INTERVAL", "2s"), ("WATCHDOG_TIMEOUT", "2s")]);
    assert!(equal.lines.is_empty() && equal.value("WATCHDOG_TIMEOUT") == "2s (env)");
    let above = read(&[("WATCHDOG_INTERVAL", "2s"), ("WATCHDOG_TIMEOUT", "3s")]);
    assert_eq!(
        above.faults(),
        ["WATCHDOG_TIMEOUT=3s: expected at most the interval, 2s; using 2s"]
    );
    assert_eq!(above.value("WATCHDOG_TIMEOUT"), "2s (default)");
}

#[test]
fn ticks_default_to_the_usual_ones() {
    let read = read(&[
        ("WATCHDOG_RAISE_TICKS", "9"),
        ("WATCHDOG_DEP_A", "http://a"),
        ("WATCHDOG_DEP_B", "http://b ticks=2"),
    ]);
    assert_eq!(read.config.orchestrator.down_ticks, 9);
    let ticks: List<_> = read
        .config
        .dependencies
        .iter()
        .map(|dependency| dependency.ticks)
        .collect();
    assert_eq!(ticks, [9, 2]);
}

#[test]
fn a_value_and_a_file_are_a_fault_and_neither_serves() {
    for variable in VARIABLES.iter().filter(|variable| variable.twin().is_some()) {
        let name = variable.name().replace("<NAME>", "X");
        for from_file in [Ok("http://file/"), Err(FileFault::NotFound)] {
            let pairs = [env(&name, "http://env/"), file(&name, from_file)];
            let read = read_pairs(&pairs, &FACTS);
            let start = format!("{name}: given together with {name}_FILE, so neither serves; ");
            assert_eq!(read.lines.len(), 1, "{:?}", read.lines);
            assert!(read.faults()[0].starts_with(&start), "{:?}", read.lines);
            assert!(
                !read
                    .effective
                    .iter()
                    .any(|line| line.contains("http://file") || line.contains("http://env"))
            );
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let pairs = [
        file("WATCHDOG_ORCH_URL", Err(FileFault::PermissionDenied)),
        file("WATCHDOG_DEP_X", Err(FileFault::NotFound)),
    ];
    assert_eq!(
        read_pairs(&pairs, &FACTS).faults(),
        [
            "WATCHDOG_ORCH_URL: its file: permission denied; using http://127.0.0.1:8500/metrics",
            "WATCHDOG_DEP_X: its file: not found; not watched",
        ]
    );
}

#[test]
fn telegram_is_whole_or_none() {
    let token = ("WATCHDOG_TELEGRAM_TOKEN", "123:abc");
    let chat = ("WATCHDOG_TELEGRAM_CHAT_ID", "-1");
    let whole = read(&[token, chat]);
    let telegram = whole.config.telegram.as_ref().unwrap();
    assert_eq!(
        (telegram.token.reveal(), telegram.chat_id.as_str()),
        ("123:abc", "-1")
    );
    assert_eq!(telegram.api_url.to_string(), "https://api.telegram.org");
    assert!(whole.lines.is_empty());
    let half = read(&[token]);
    assert!(half.config.telegram.is_none());
    assert_eq!(
        half.faults(),
        [
            "WATCHDOG_TELEGRAM_TOKEN: given without WATCHDOG_TELEGRAM_CHAT_ID; notifications go to stdout alone"
        ]
    );
    // One fault says it: that the other half is there or not matters no more.
    for values in [
        [token, ("WATCHDOG_TELEGRAM_CHAT_ID", "x")],
        [("WATCHDOG_TELEGRAM_TOKEN", "x"), chat],
    ] {
        let faulty = read(&values);
        assert!(faulty.config.telegram.is_none());
        assert_eq!(faulty.faults().len(), 1);
    }
}

#[test]
fn families_are_sorted_bounded_and_each_one_too_many_is_told() {
    let names: List<_> = (0..70)
        .rev()
        .map(|number| format!("WATCHDOG_DEP_N{number:03}"))
        .collect();
    let rules: List<_> = (0..40)
        .rev()
        .map(|number| format!("WATCHDOG_RULE_N{number:03}"))
        .collect();
    let mut pairs: List<_> = names.iter().map(|name| env(name, "tcp://h:1")).collect();
    pairs.extend(rules.iter().map(|name| env(name, "a > 1")));
    let read = read_pairs(&pairs, &FACTS);
    assert_eq!(read.config.dependencies.len(), DEPENDENCIES_MAX);
    assert_eq!(read.config.rules.len(), RULES_MAX);
    assert!(
        read.config
            .dependencies
            .iter()
            .map(|d| d.name.as_str())
            .is_sorted()
    );
    assert_eq!(read.config.rules[0].name, "n000");
    assert_eq!(read.faults().len(), 6 + 8);
    assert!(read.faults().contains(
        &"WATCHDOG_DEP_N064=tcp://h:1: more than 64 of them, in the order of their names; not watched"
    ));
    // What is shown is what serves.
    assert_eq!(
        read.effective.iter().filter(|line| line.contains("_N0")).count(),
        64 + 32
    );
}

#[test]
fn rules_and_dependencies_are_shown_after_the_variables() {
    let read = read(&[
        ("WATCHDOG_DEP_GITEA", "https://u:p@gitea/ latency=2s"),
        ("WATCHDOG_RULE_FAILED_JOBS", "queue.failed > 0 for 3"),
        ("WATCHDOG_DEP_BAD", "nonsense"),
    ]);
    let tail: List<_> = read.effective.iter().rev().take(2).rev().collect();
    assert_eq!(
        tail,
        [
            "WATCHDOG_RULE_FAILED_JOBS=queue.failed > 0 for 3 (env)",
            "WATCHDOG_DEP_GITEA=https://***@gitea status=200-399 latency=2s ticks=3 (env)",
        ]
    );
    assert_eq!(read.config.dependencies[0].name, "gitea");
    assert_eq!(read.config.rules[0].name, "failed_jobs");
}

#[test]
fn unknown_names_are_told_with_the_nearest_known_one() {
    let read = read(&[
        ("WATCHDOG_INTERVL", "15s"),
        ("WATCHDOG_DEPGITEA", "http://u:SECRET@h"),
        ("WATCHDOG_INTERVAL_FILE", "/x"),
        ("WATCHDOG_XYZZYQQQ\n\u{202e}", "1"),
        ("WATCHDOG_USEC", "30000000"),
        ("WATCHDOG_PID", "1"),
        ("WATCHDOG_EMPTY", ""),
        ("HOME", "/root"),
    ]);
    assert!(read.faults().is_empty());
    assert_eq!(
        read.lines(FaultKind::Unknown),
        [
            "WATCHDOG_INTERVL: unknown variable, did you mean WATCHDOG_INTERVAL?",
            "WATCHDOG_DEPGITEA: unknown variable, did you mean WATCHDOG_DEP_<NAME>?",
            "WATCHDOG_INTERVAL_FILE: unknown variable, did you mean WATCHDOG_INTERVAL?",
            "WATCHDOG_XYZZYQQQ  : unknown variable",
        ]
    );
}

/// Rules with unknown operators, missing values, 10,000 characters, paths with empty keys, and names of built-in signals
/// are a fault each, and the others work.
#[test]
fn faulty_rules_do_not_keep_the_others_from_working() {
    let long = "x".repeat(10_000);
    let faulty = [
        ("WATCHDOG_RULE_OPERATOR", "queue.failed ~ 1", "column 14"),
        ("WATCHDOG_RULE_VALUE", "queue.failed >", "column 15"),
        ("WATCHDOG_RULE_LONG", &long, "column 1"),
        ("WATCHDOG_RULE_EMPTY", "queue..failed > 1", "column 7"),
        ("WATCHDOG_RULE_ORCH_DOWN", "queue.failed > 1", "built-in signal"),
    ];
    let mut pairs: List<_> = faulty.iter().map(|(name, text, _)| (*name, *text)).collect();
    pairs.push(("WATCHDOG_RULE_GOOD", "queue.failed > 0 for 3"));
    let read = read(&pairs);
    assert_eq!(read.config.rules.len(), 1);
    assert_eq!(read.config.rules[0].name, "good");
    assert_eq!(read.lines.len(), faulty.len(), "{:?}", read.lines);
    for (name, _, at) in faulty {
        let is_about = |line: &&str| line.starts_with(&format!("{name}=")) && line.contains(at);
        assert_eq!(read.faults().into_iter().filter(is_about).count(), 1, "{name}");
    }
}

#[test]
fn what_is_not_yet_active_is_noticed_once_valid() {
    for (name, value) in [
        ("WATCHDOG_LISTEN", "127.0.0.1:9108"),
        ("WATCHDOG_HEARTBEAT_URL", "https://h/ping"),
        ("WATCHDOG_ALERTMANAGER_URL", "http://a:9093"),
        ("WATCHDOG_TELEGRAM_PROXY", "http://p:3128"),
        ("WATCHDOG_RULE_X", "a > 1"),
        ("WATCHDOG_DEP_X", "https://h cert=14d"),
    ] {
        let key = if name.starts_with("WATCHDOG_DEP") {
            "cert"
        } else {
            name
        };
        let notices = usize::from(variables::NOT_YET_ACTIVE.contains(&key));
        let read = read(&[(name, value)]);
        assert_eq!(read.lines(FaultKind::Notice).len(), notices, "{:?}", read.lines);
        assert_eq!(read.lines.len(), notices);
    }
    assert!(
        read(&[("WATCHDOG_LISTEN", "off"), ("WATCHDOG_DEP_X", "https://h")])
            .lines
            .is_empty()
    );
}

#[test]
fn only_those_with_a_twin_have_one() {
    for (name, plain) in [
        ("WATCHDOG_TELEGRAM_TOKEN_FILE", Some("WATCHDOG_TELEGRAM_TOKEN")),
        ("WATCHDOG_TELEGRAM_PROXY_FILE", Some("WATCHDOG_TELEGRAM_PROXY")),
        ("WATCHDOG_HEARTBEAT_URL_FILE", Some("WATCHDOG_HEARTBEAT_URL")),
        ("WATCHDOG_ORCH_URL_FILE", Some("WATCHDOG_ORCH_URL")),
        (
            "WATCHDOG_ALERTMANAGER_URL_FILE",
            Some("WATCHDOG_ALERTMANAGER_URL"),
        ),
        ("WATCHDOG_DEP_GITEA_FILE", Some("WATCHDOG_DEP_GITEA")),
        ("WATCHDOG_DEP_FILE", None),
        ("WATCHDOG_CA_FILE", None),
        ("WATCHDOG_RULE_X_FILE", None),
        ("WATCHDOG_INTERVAL_FILE", None),
        ("WATCHDOG_TELEGRAM_API_URL_FILE", None),
        ("_FILE", None),
        ("", None),
    ] {
        assert_eq!(file_twin(name), plain, "{name}");
    }
}

#[test]
fn no_secret_is_in_any_line_whatever_is_wrong_around_it() {
    // Valid and broken values that hold the secret where a secret may stand, in every variable that may hold one.
    const SECRET: &str = "Zq7secretqZ";
    let long = format!("123:{SECRET}{}", "x".repeat(200));
    let telegram = [
        format!("123:{SECRET}"),
        format!("123:{SECRET} "),
        format!("bot123:{SECRET}"),
        format!("{SECRET}/123:"),
        long,
    ];
    let urls = [
        format!("https://user:{SECRET}@host/path"),
        format!("https://{SECRET}@host:1/path?x"),
        format!("https://host/path?token={SECRET}"),
        format!("https://user:{SECRET}@host:99999/path"),
        format!("https://user:{SECRET}@ho st/path"),
        format!("https://user:{SECRET} @host/path"),
        format!("https://user:pass {SECRET}@host/path"),
        format!("https://user:pa ss={SECRET}@host/path"),
        format!("https://user:{SECRET}/host/path"),
        format!("https//user:{SECRET}@host/path"),
        format!("ftp://user:{SECRET}@host/path"),
        format!("user:{SECRET}@host"),
        format!("https://host/path?a b={SECRET}"),
        format!("https://host/path?token={SECRET}\n"),
        format!("https://host/?{SECRET} nonsense={SECRET}"),
        format!("http://a,https://user:{SECRET}@host:x"),
        format!("https://user:%zz{SECRET}@host/path"),
        format!("https://user:{}{SECRET}@host/", "x".repeat(300)),
    ];
    let whole = [
        format!("https://host/{SECRET}"),
        format!("http://{SECRET}"),
        SECRET.to_string(),
        format!("socks5://{SECRET}:x"),
    ];
    for variable in VARIABLES {
        let name = variable.name().replace("<NAME>", "X");
        let mut values = List::new();
        match variable.masking() {
            Masking::Nothing => continue,
            Masking::UrlParts => values.extend(&urls),
            Masking::Whole => values.extend(urls.iter().chain(&whole).chain(&telegram)),
        }
        for value in values {
            for pairs in [
                vec![env(&name, value)],
                vec![file(&name, Ok(value))],
                vec![env(&name, value), file(&name, Ok(value))],
                vec![env("WATCHDOG_TELEGRAM_CHAT_ID", "1"), env(&name, value)],
            ] {
                let read = read_pairs(&pairs, &FACTS);
                let shown = format!(
                    "{:?} {:?} {:?} {pairs:?}",
                    read.lines, read.effective, read.config
                );
                assert!(!shown.contains(SECRET), "{name}={value}\n{shown}");
            }
        }
    }
    // A whole token in the chat's place is as secret as in its own.
    let read = read(&[(
        "WATCHDOG_TELEGRAM_CHAT_ID",
        "123456789:AAabcdefghijklmnopqrstuvwxyz0123456",
    )]);
    assert!(
        read.faults()[0].starts_with("WATCHDOG_TELEGRAM_CHAT_ID=***: "),
        "{:?}",
        read.lines
    );
}

#[test]
fn odd_input_is_always_answered_in_short_lines() {
    let units = [
        "", "a", "=", ",", ":", "/", "//", "://", "@", "?", "[", "]", "%", "\"", " ", "\n", "é", "🔥",
        "\u{0}", "9", "-", "off", "http://",
    ];
    for first in units {
        for second in units {
            for count in [1, 3, 70, 700] {
                let value = format!("{first}{second}").repeat(count);
                let mut pairs: List<_> = single().map(|variable| env(variable.name(), &value)).collect();
                let web = format!("http://{value}");
                let options = format!("http://h {value}");
                let rule = format!("a[].b == {value}");
                let name = format!("WATCHDOG_{value}");
                pairs.push(env("WATCHDOG_DEP_A", &web));
                pairs.push(env("WATCHDOG_DEP_B", &options));
                pairs.push(env("WATCHDOG_RULE_A", &value));
                pairs.push(env("WATCHDOG_RULE_B", &rule));
                pairs.push(env(&name, &value));
                let read = read_pairs(&pairs, &FACTS);
                for (_, line) in &read.lines {
                    assert!(line.chars().count() < 330, "{line}");
                }
            }
        }
    }
}

#[test]
fn signals_bear_their_rules_names_and_are_muted_by_pattern() {
    let config = read(&[
        ("WATCHDOG_RULE_FAILED_JOBS", "a[].x > 1 by id"),
        (
            "WATCHDOG_MUTE",
            "dep_down:gitea, agent_*, failed_jobs:7*, container_down:*",
        ),
    ])
    .config;
    assert_eq!(config.signal_name(Kind::Rule(0)), "failed_jobs");
    assert_eq!(config.signal_name(Kind::Rule(9)), "rule");
    assert_eq!(config.signal_name(Kind::OrchDown), "orch_down");
    let mut text = Text::new();
    let id = SignalId {
        kind: Kind::Rule(0),
        subject: Subject::new("7a"),
    };
    config.write_signal_id(&id, &mut text).unwrap();
    assert_eq!(text, "failed_jobs:7a");
    let longest = "s".repeat(64);
    for (kind, subject, is_muted) in [
        (Kind::DepDown, "gitea", true),
        (Kind::DepDown, "gitea2", false),
        (Kind::DepDown, "", false),
        (Kind::AgentStalled, "x", true),
        (Kind::Rule(0), "7a", true),
        (Kind::Rule(0), "8", false),
        (Kind::ContainerDown, &longest, true),
        (Kind::OrchDown, "", false),
    ] {
        assert_eq!(
            config.is_muted(kind, &Subject::new(subject)),
            is_muted,
            "{kind:?} {subject}"
        );
    }
}

//! What the fuzz targets assert, against the public face of `watchdog-core` and oracles of other hands.
//!
//! Each function takes the fuzzer's bytes and panics when a property does not hold. The targets in `fuzz_targets/` are
//! one line each; `tests/replay.rs` runs the committed bytes on stable.

mod cert;
mod dns;
mod docker;
mod envelope;
mod host;
mod http;
mod json;
mod machine;
mod table;
mod telegram;
mod texts;

pub use cert::cert;
pub use dns::dns;
pub use docker::{docker_events, docker_inspect, docker_list};
pub use envelope::envelope;
pub use host::host_texts;
pub use http::{http_body, http_head};
pub use json::json;
pub use machine::watchdog;
pub use table::table_ops;
pub use telegram::telegram_reply;
pub use texts::{config, rule};

use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread;

use watchdog_core::config::{Config, Facts, Origin, Pair, parse};

/// What stands in every configuration here; the two secrets hold [`SECRETS`].
const VARIABLES: &[(&str, &str)] = &[
    ("WATCHDOG_TELEGRAM_TOKEN", "123456:the-token-is-secret"),
    ("WATCHDOG_TELEGRAM_CHAT_ID", "-100123"),
    ("WATCHDOG_TELEGRAM_API_URL", "http://127.0.0.1:8443"),
    (
        "WATCHDOG_HEARTBEAT_URL",
        "http://127.0.0.1:8444/the-path-is-secret",
    ),
    ("WATCHDOG_DOCKER_HOST", "tcp://127.0.0.1:2375"),
    ("WATCHDOG_CONTAINERS", "web,db"),
    ("WATCHDOG_NAMESERVER", "127.0.0.53"),
    ("WATCHDOG_DISK_CEILING", "97"),
    ("WATCHDOG_AGENT_CPU_MAX", "2"),
    ("WATCHDOG_AGENT_ELAPSED_MAX", "1h"),
    ("WATCHDOG_COST_DAILY_MAX", "10"),
    ("WATCHDOG_RULE_FAILED", "queue.failed > 0 for 2"),
    ("WATCHDOG_RULE_MANY", "stages[].count >= 3 by stage"),
    ("WATCHDOG_DEP_NAMED", "http://named.example/ body=fine latency=1s"),
    (
        "WATCHDOG_DEP_CLOSED",
        "http://user:the-password-is-secret@127.0.0.1:9/x?the-query-is-secret",
    ),
    ("WATCHDOG_DEP_PORT", "tcp://127.0.0.1:5432"),
];

/// No line of the log and no event may hold any of these.
const SECRETS: &[&str] = &[
    "the-token-is-secret",
    "the-path-is-secret",
    "the-password-is-secret",
    "the-query-is-secret",
];

/// Gives variables as the environment would.
fn given<'a>(variables: &[(&'a str, &'a str)]) -> Vec<Pair<'a>> {
    let pair = |(name, value): &(&'a str, &'a str)| Pair {
        name,
        value: Ok(*value),
        origin: Origin::Env,
    };
    variables.iter().map(pair).collect()
}

/// Reads [`VARIABLES`], once.
fn configuration() -> &'static Config {
    static CONFIG: OnceLock<Box<Config>> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let pairs = given(VARIABLES);
        let facts = Facts {
            host_name: "host-1",
            docker_socket_exists: false,
        };
        let mut config = Box::new(Config::EMPTY);
        parse(&pairs, &facts, &mut config, &mut |fault| panic!("{fault}"));
        config
    })
}

/// Runs `body` with a stack that the machine, some megabytes, may pass over.
fn with_room(body: impl FnOnce() + Send) {
    let ended = thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(64 * 1024 * 1024);
        builder
            .spawn_scoped(scope, body)
            .expect("a thread can be had")
            .join()
    });
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// Cuts of the same bytes that must all read alike: whole, in two, and in small pieces.
fn cuts(bytes: &[u8]) -> [Vec<&[u8]>; 4] {
    let (front, back) = bytes.split_at(bytes.len() / 2);
    [
        vec![bytes],
        vec![front, back],
        bytes.chunks(1).collect(),
        bytes.chunks(7).collect(),
    ]
}

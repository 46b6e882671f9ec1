//! The table of every variable: name, default, what it takes, whether it is secret, its `_FILE` twin, and its field.
//!
//! The one place that knows them (CONTRACTS 2, in its order): reading, showing, the nearest name to an unknown one and
//! the test of `.env.example` all draw from here. A variable that is not here does not exist.
//! Tests: `tests/env_example.rs`, and beside [`super::parse`].

use heapless::{String, Vec};

use super::list::Pattern;
use super::value::Bounds;
use super::{Config, DiskPath, Endpoint, EngineAddress, Name, Percent, Url};
use crate::limits::{
    ALERTMANAGERS_MAX, DISK_PATHS_MAX, FILE_PATH_BYTES_MAX, LISTED_CONTAINERS_MAX, MUTES_MAX,
};
use crate::net::Level;
use crate::time::Millis;

/// What every name of ours begins with.
pub(super) const PREFIX: &str = "WATCHDOG_";
/// What a rule's name begins with.
pub(super) const RULE_PREFIX: &str = "WATCHDOG_RULE_";
/// What a dependency's name begins with.
pub(super) const DEPENDENCY_PREFIX: &str = "WATCHDOG_DEP_";
/// What a `_FILE` twin ends with.
pub(super) const FILE_SUFFIX: &str = "_FILE";
/// Names that systemd sets for a service with `WatchdogSec=`: not ours, and no mistake.
pub(super) const SYSTEMD: [&str; 2] = ["WATCHDOG_USEC", "WATCHDOG_PID"];

/// A variable, or a family of them whose name ends in `<NAME>`.
#[derive(Debug)]
pub struct Variable {
    name: &'static str,
    default: Preset,
    expects: &'static str,
    masking: Masking,
    twin: Option<&'static str>,
    pub(super) value: Value,
}

#[cfg(feature = "defmt")]
impl defmt::Format for Variable {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.name);
    }
}

impl Variable {
    /// Tells the name; families end in `<NAME>`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Tells the default as it would be written; empty for none, or if only the running program knows it.
    #[must_use]
    pub const fn default_text(&self) -> &'static str {
        match self.default {
            Preset::Text(text) => text,
            Preset::ShorterOfIntervalAnd5s => "5s",
            Preset::SocketIfThere => SOCKET_USUAL,
            Preset::Unset | Preset::HostName | Preset::RaiseTicks | Preset::ResolvConf => "",
        }
    }

    /// Tells the default in words.
    #[must_use]
    pub const fn default_words(&self) -> &'static str {
        match self.default {
            Preset::Text(text) => text,
            Preset::Unset => "none",
            Preset::HostName => "the host name",
            Preset::ShorterOfIntervalAnd5s => "5s, or the interval if that is shorter",
            Preset::RaiseTicks => "WATCHDOG_RAISE_TICKS",
            Preset::SocketIfThere => "unix:///var/run/docker.sock if it exists, else off",
            Preset::ResolvConf => "from /etc/resolv.conf",
        }
    }

    /// Tells what the variable takes, with unit and range: what follows "expected".
    #[must_use]
    pub const fn expects(&self) -> &'static str {
        self.expects
    }

    /// Tells how much of its value is secret.
    #[must_use]
    pub const fn masking(&self) -> Masking {
        self.masking
    }

    /// Tells the name of the variable that names a file with the value.
    #[must_use]
    pub const fn twin(&self) -> Option<&'static str> {
        self.twin
    }

    pub(super) const fn preset(&self) -> Preset {
        self.default
    }

    const fn new(name: &'static str, default: Preset, expects: &'static str, value: Value) -> Self {
        Self {
            name,
            default,
            expects,
            masking: Masking::Nothing,
            twin: None,
            value,
        }
    }

    const fn masked(mut self, masking: Masking) -> Self {
        self.masking = masking;
        self
    }

    const fn with_twin(mut self, twin: &'static str) -> Self {
        self.twin = Some(twin);
        self
    }
}

/// How much of a value no output may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Masking {
    /// Nothing: it may be shown.
    Nothing,
    /// User info and query of a URL.
    UrlParts,
    /// All of it.
    Whole,
}

/// What serves where nothing valid is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    /// This, read like a given value.
    Text(&'static str),
    /// Nothing.
    Unset,
    /// The host's name.
    HostName,
    /// 5s, or the interval if that is shorter.
    ShorterOfIntervalAnd5s,
    /// The value of `WATCHDOG_RAISE_TICKS`.
    RaiseTicks,
    /// The engine's usual socket if it is there, else off.
    SocketIfThere,
    /// What the resolver finds in `/etc/resolv.conf`.
    ResolvConf,
}

/// Where the engine listens unless told otherwise.
pub(super) const SOCKET_USUAL: &str = "unix:///var/run/docker.sock";

/// The way to one field of a [`Config`], for reading and for writing.
#[derive(Debug)]
pub(super) struct Lens<T> {
    pub(super) of: fn(&Config) -> &T,
    pub(super) at: fn(&mut Config) -> &mut T,
}

macro_rules! lens {
    ($($field:ident).+) => {
        Lens { of: |config| &config.$($field).+, at: |config| &mut config.$($field).+ }
    };
}

/// A path in the file system.
pub(super) type FilePath = String<FILE_PATH_BYTES_MAX>;

/// How a variable's text is read and shown, and which field it fills.
#[derive(Debug)]
pub(super) enum Value {
    Bool(Lens<bool>),
    Instance(Lens<Name>),
    Span(Lens<Millis>, Bounds),
    Timeout(Lens<Millis>, Bounds),
    Limit(Lens<Option<Millis>>, Bounds),
    Ticks(Lens<u16>),
    FlapChanges(Lens<u8>),
    Log(Lens<Level>),
    Percent(Lens<Option<Percent>>),
    Number(Lens<Option<f64>>),
    Single(Lens<Option<f32>>),
    Mutes(Lens<Vec<Pattern, MUTES_MAX>>),
    UrlOrOff(Lens<Option<Url>>),
    SecretUrl(Lens<Option<Url>>),
    BaseUrls(Lens<Vec<Url, ALERTMANAGERS_MAX>>),
    Engine(Lens<Option<EngineAddress>>),
    Containers(Lens<Vec<Name, LISTED_CONTAINERS_MAX>>),
    DiskPaths(Lens<Vec<DiskPath, DISK_PATHS_MAX>>),
    Folder(Lens<FilePath>),
    File(Lens<Option<FilePath>>),
    Listen(Lens<Option<Endpoint>>),
    Nameserver(Lens<Option<Endpoint>>),
    Token,
    ChatId,
    ThreadId,
    ApiUrl,
    Proxy,
    /// `WATCHDOG_RULE_<NAME>`
    Rules,
    /// `WATCHDOG_DEP_<NAME>`
    Dependencies,
}

const INTERVAL: Bounds = Bounds::millis(1000, 3_600_000);
const TIMEOUT: Bounds = Bounds::millis(100, 3_600_000);
const COOLDOWN: Bounds = Bounds::millis(1000, 86_400_000);
const FLAP_WINDOW: Bounds = Bounds::millis(60_000, 86_400_000);

const TICKS: &str = "a whole number from 1 to 1000";
const LIMIT: &str = "a duration from 1s to 365d, or off";
const PERCENT: &str = "a percentage from 0 to 100, or off";

/// Every variable, in the order of CONTRACTS 2.
pub static VARIABLES: &[Variable] = &[
    Variable::new(
        "WATCHDOG_ENABLED",
        Preset::Text("true"),
        "true, false, 1, 0, yes, no, on or off",
        Value::Bool(lens!(enabled)),
    ),
    Variable::new(
        "WATCHDOG_NAME",
        Preset::HostName,
        "a text of at most 64 bytes without control characters",
        Value::Instance(lens!(name)),
    ),
    Variable::new(
        "WATCHDOG_INTERVAL",
        Preset::Text("15s"),
        "a duration from 1s to 1h",
        Value::Span(lens!(interval), INTERVAL),
    ),
    Variable::new(
        "WATCHDOG_TIMEOUT",
        Preset::ShorterOfIntervalAnd5s,
        "a duration from 100ms to the interval",
        Value::Timeout(lens!(timeout), TIMEOUT),
    ),
    Variable::new("WATCHDOG_RAISE_TICKS", Preset::Text("3"), TICKS, Value::Ticks(lens!(raise_ticks))),
    Variable::new(
        "WATCHDOG_MUTE",
        Preset::Unset,
        "signal ids, comma separated, * at the end allowed, at most 64",
        Value::Mutes(lens!(mute)),
    ),
    Variable::new("WATCHDOG_CLEAR_TICKS", Preset::Text("2"), TICKS, Value::Ticks(lens!(clear_ticks))),
    Variable::new(
        "WATCHDOG_COOLDOWN",
        Preset::Text("4h"),
        "a duration from 1s to 24h, or off",
        Value::Limit(lens!(cooldown), COOLDOWN),
    ),
    Variable::new(
        "WATCHDOG_FLAP_CHANGES",
        Preset::Text("6"),
        "a whole number from 2 to 16",
        Value::FlapChanges(lens!(flap_changes)),
    ),
    Variable::new(
        "WATCHDOG_FLAP_WINDOW",
        Preset::Text("30m"),
        "a duration from 1m to 1d",
        Value::Span(lens!(flap_window), FLAP_WINDOW),
    ),
    Variable::new(
        "WATCHDOG_LOG",
        Preset::Text("info"),
        "error, warn, info or debug",
        Value::Log(lens!(log)),
    ),
    Variable::new(
        "WATCHDOG_ORCH_URL",
        Preset::Text("http://127.0.0.1:8500/metrics"),
        "an http:// or https:// URL, or off",
        Value::UrlOrOff(lens!(orchestrator.url)),
    )
    .masked(Masking::UrlParts)
    .with_twin("WATCHDOG_ORCH_URL_FILE"),
    Variable::new(
        "WATCHDOG_ORCH_DOWN_TICKS",
        Preset::RaiseTicks,
        TICKS,
        Value::Ticks(lens!(orchestrator.down_ticks)),
    ),
    Variable::new(
        "WATCHDOG_ORCH_STALE_AFTER",
        Preset::Text("5m"),
        LIMIT,
        Value::Limit(lens!(orchestrator.stale_after), Bounds::USUAL),
    ),
    Variable::new(
        "WATCHDOG_STAGE_STUCK_AFTER",
        Preset::Text("2h"),
        LIMIT,
        Value::Limit(lens!(orchestrator.stage_stuck_after), Bounds::USUAL),
    ),
    Variable::new(
        "WATCHDOG_QUEUE_AGE_MAX",
        Preset::Text("1h"),
        LIMIT,
        Value::Limit(lens!(orchestrator.queue_age_max), Bounds::USUAL),
    ),
    Variable::new(
        "WATCHDOG_AGENT_STALL_AFTER",
        Preset::Text("1h"),
        LIMIT,
        Value::Limit(lens!(orchestrator.agent_stall_after), Bounds::USUAL),
    ),
    Variable::new(
        "WATCHDOG_AGENT_CPU_MIN",
        Preset::Text("0.01"),
        "a number of cores, 0 or more, or off",
        Value::Number(lens!(orchestrator.agent_cpu_min_cores)),
    ),
    Variable::new(
        "WATCHDOG_AGENT_CPU_MAX",
        Preset::Text("off"),
        "a number of cores, 0 or more, or off",
        Value::Number(lens!(orchestrator.agent_cpu_max_cores)),
    ),
    Variable::new(
        "WATCHDOG_AGENT_ELAPSED_MAX",
        Preset::Text("off"),
        LIMIT,
        Value::Limit(lens!(orchestrator.agent_elapsed_max), Bounds::USUAL),
    ),
    Variable::new(
        "WATCHDOG_COST_DAILY_MAX",
        Preset::Text("off"),
        "an amount in USD, 0 or more, or off",
        Value::Number(lens!(orchestrator.cost_daily_max_usd)),
    ),
    Variable::new(
        "WATCHDOG_RULE_<NAME>",
        Preset::Unset,
        "PATH OP VALUE [for N|DURATION] [by KEY]",
        Value::Rules,
    ),
    Variable::new(
        "WATCHDOG_DEP_<NAME>",
        Preset::Unset,
        "an http://, https://, tcp://host:port or unix:///path URL, then status, body, latency, ticks, cert as key=value",
        Value::Dependencies,
    )
    .masked(Masking::UrlParts)
    .with_twin("WATCHDOG_DEP_<NAME>_FILE"),
    Variable::new(
        "WATCHDOG_DOCKER_HOST",
        Preset::SocketIfThere,
        "unix:///path, tcp://host:port, or off",
        Value::Engine(lens!(docker.host)),
    ),
    Variable::new(
        "WATCHDOG_CONTAINERS",
        Preset::Unset,
        "container names of at most 64 bytes, comma separated, at most 64",
        Value::Containers(lens!(docker.listed)),
    ),
    Variable::new(
        "WATCHDOG_CONTAINERS_IGNORE",
        Preset::Unset,
        "container names of at most 64 bytes, comma separated, at most 64",
        Value::Containers(lens!(docker.ignored)),
    ),
    Variable::new(
        "WATCHDOG_DISK_PATHS",
        Preset::Text("/"),
        "absolute paths, each PATH or SHOWN=PATH, comma separated, at most 16",
        Value::DiskPaths(lens!(host.disk_paths)),
    ),
    Variable::new(
        "WATCHDOG_DISK_CEILING",
        Preset::Text("off"),
        PERCENT,
        Value::Percent(lens!(host.disk_ceiling)),
    ),
    Variable::new(
        "WATCHDOG_INODE_CEILING",
        Preset::Text("off"),
        PERCENT,
        Value::Percent(lens!(host.inode_ceiling)),
    ),
    Variable::new(
        "WATCHDOG_MEM_AVAILABLE_MIN",
        Preset::Text("5%"),
        PERCENT,
        Value::Percent(lens!(host.mem_available_min)),
    ),
    Variable::new("WATCHDOG_SWAP_MAX", Preset::Text("off"), PERCENT, Value::Percent(lens!(host.swap_max))),
    Variable::new(
        "WATCHDOG_LOAD_MAX",
        Preset::Text("off"),
        "a load per core, 0 or more, or off",
        Value::Single(lens!(host.load_max)),
    ),
    Variable::new(
        "WATCHDOG_PRESSURE_MEM_MAX",
        Preset::Text("off"),
        PERCENT,
        Value::Percent(lens!(host.pressure_mem_max)),
    ),
    Variable::new(
        "WATCHDOG_PRESSURE_IO_MAX",
        Preset::Text("off"),
        PERCENT,
        Value::Percent(lens!(host.pressure_io_max)),
    ),
    Variable::new(
        "WATCHDOG_PRESSURE_CPU_MAX",
        Preset::Text("off"),
        PERCENT,
        Value::Percent(lens!(host.pressure_cpu_max)),
    ),
    Variable::new("WATCHDOG_FD_MAX", Preset::Text("90%"), PERCENT, Value::Percent(lens!(host.fd_max))),
    Variable::new(
        "WATCHDOG_PROC",
        Preset::Text("/proc"),
        "an absolute path of at most 255 bytes",
        Value::Folder(lens!(host.proc)),
    ),
    Variable::new(
        "WATCHDOG_TELEGRAM_TOKEN",
        Preset::Unset,
        "a bot's token, digits:letters, as BotFather gives it",
        Value::Token,
    )
    .masked(Masking::Whole)
    .with_twin("WATCHDOG_TELEGRAM_TOKEN_FILE"),
    Variable::new(
        "WATCHDOG_TELEGRAM_CHAT_ID",
        Preset::Unset,
        "a chat's id, an integer that may be negative, or @channel",
        Value::ChatId,
    ),
    Variable::new(
        "WATCHDOG_TELEGRAM_THREAD_ID",
        Preset::Unset,
        "a topic's id, a whole number from 1",
        Value::ThreadId,
    ),
    Variable::new(
        "WATCHDOG_TELEGRAM_API_URL",
        Preset::Text("https://api.telegram.org"),
        "an http:// or https:// base URL",
        Value::ApiUrl,
    )
    .masked(Masking::UrlParts),
    Variable::new(
        "WATCHDOG_TELEGRAM_PROXY",
        Preset::Unset,
        "http://[user:password@]host:port or socks5://[user:password@]host:port",
        Value::Proxy,
    )
    .masked(Masking::Whole)
    .with_twin("WATCHDOG_TELEGRAM_PROXY_FILE"),
    Variable::new(
        "WATCHDOG_CA_FILE",
        Preset::Unset,
        "an absolute path of at most 255 bytes",
        Value::File(lens!(ca_file)),
    ),
    Variable::new(
        "WATCHDOG_HEARTBEAT_URL",
        Preset::Unset,
        "an http:// or https:// URL",
        Value::SecretUrl(lens!(heartbeat_url)),
    )
    .masked(Masking::Whole)
    .with_twin("WATCHDOG_HEARTBEAT_URL_FILE"),
    Variable::new(
        "WATCHDOG_HEARTBEAT_INTERVAL",
        Preset::Text("60s"),
        "a duration from 1s to 365d",
        Value::Span(lens!(heartbeat_interval), Bounds::USUAL),
    ),
    Variable::new(
        "WATCHDOG_HEARTBEAT_FAIL",
        Preset::Text("false"),
        "true, false, 1, 0, yes, no, on or off",
        Value::Bool(lens!(heartbeat_fail)),
    ),
    Variable::new(
        "WATCHDOG_ALERTMANAGER_URL",
        Preset::Unset,
        "http:// or https:// base URLs, comma separated, at most 4",
        Value::BaseUrls(lens!(alertmanagers)),
    )
    .masked(Masking::UrlParts)
    .with_twin("WATCHDOG_ALERTMANAGER_URL_FILE"),
    Variable::new(
        "WATCHDOG_LISTEN",
        Preset::Text("off"),
        "ip:port like 127.0.0.1:9108 (all interfaces: 0.0.0.0:9108), or off",
        Value::Listen(lens!(listen)),
    ),
    Variable::new(
        "WATCHDOG_NAMESERVER",
        Preset::ResolvConf,
        "ip or ip:port, IPv6 with a port as [ip]:port",
        Value::Nameserver(lens!(nameserver)),
    ),
];

/// Features whose variables are read, checked and shown, but which this version does not yet act on: a variable, a
/// family, or a dependency's key. The one that builds a feature deletes its line.
pub(super) const NOT_YET_ACTIVE: &[&str] = &["WATCHDOG_LISTEN"];

/// Tells the plain variable of a `_FILE` twin: `WATCHDOG_ORCH_URL` of `WATCHDOG_ORCH_URL_FILE`. Only of those that have a
/// twin; `WATCHDOG_CA_FILE` is none.
#[must_use]
pub fn file_twin(name: &str) -> Option<&str> {
    let plain = name.strip_suffix(FILE_SUFFIX)?;
    let is_dependency = plain
        .strip_prefix(DEPENDENCY_PREFIX)
        .is_some_and(|name| !name.is_empty());
    let has_twin = VARIABLES.iter().any(|variable| variable.twin == Some(name));
    (is_dependency || has_twin).then_some(plain)
}

/// Tells whether a name stands in the table as it is, as a twin, or belongs to a family.
pub(super) fn is_known(name: &str) -> bool {
    let in_family = |prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest: &str| !rest.is_empty())
    };
    in_family(RULE_PREFIX)
        || in_family(DEPENDENCY_PREFIX)
        || SYSTEMD.contains(&name)
        || VARIABLES
            .iter()
            .any(|variable| variable.name == name || variable.twin == Some(name))
}

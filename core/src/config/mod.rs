//! The configuration: `WATCHDOG_*` pairs in, a [`Config`] and a list of faults out.
//!
//! A `Config` that exists is right: every value is in its range. [`parse`] knows every name, default, unit and range, in
//! one place; a faulty value is told and its default serves (CONTRACTS 2). Nothing here reads an environment or a file.
//! Values start out as [`Config::EMPTY`], all zero bits, so that a static one costs no bytes in the binary.
//!

mod address;
mod dependency;
mod effective;
mod fault;
mod list;
mod nearest;
mod parse;
mod telegram;
mod url;
pub(crate) mod value;
mod variables;

use core::fmt::{self, Write as _};
use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use core::num::NonZeroI64;

use heapless::{String, Vec};

pub use effective::effective;
pub use fault::{Fault, FaultKind};
pub use list::Pattern;
pub use parse::parse;
#[cfg(test)]
pub(crate) use url::parse as parse_url;
pub use variables::{Masking, VARIABLES, Variable, file_twin};

use crate::limits::{
    ALERTMANAGERS_MAX, BODY_TEXT_BYTES_MAX, DEPENDENCIES_MAX, DISK_PATHS_MAX, FILE_PATH_BYTES_MAX,
    HOST_BYTES_MAX, LISTED_CONTAINERS_MAX, MUTES_MAX, PATH_BYTES_MAX, RULES_MAX, SUBJECT_BYTES_MAX,
    USER_INFO_BYTES_MAX,
};
use crate::net::{FileFault, Level};
use crate::rule::Rule;
use crate::signal::{Kind, SignalId};
use crate::text::Subject;
use crate::time::Millis;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Origin {
    /// The environment.
    Env,
    /// A file that a `_FILE` variable names.
    File,
    /// Nowhere: the default serves.
    Default,
}

impl Origin {
    /// Tells the word that `watchdog config` prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// One variable as it was given.
///
/// For a `_FILE` twin: the name of the plain variable, the file's text, and [`Origin::File`]. A text that is not UTF-8 comes
/// with its bad bytes replaced.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    /// The variable's name.
    pub name: &'a str,
    /// Its text, or why the file that holds it could not be read.
    pub value: Result<&'a str, FileFault>,
    /// The environment or a file.
    pub origin: Origin,
}

/// Shows no value: any may be secret.
impl fmt::Debug for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.name, self.origin.as_str())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Pair<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str} from {=str}", self.name, self.origin.as_str());
    }
}

/// What defaults depend on and only the running program knows.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Facts<'a> {
    /// The host's name.
    pub host_name: &'a str,
    /// Whether `/var/run/docker.sock` is a socket.
    pub docker_socket_exists: bool,
}

/// A name of a container, a dependency, or this instance.
pub type Name = String<SUBJECT_BYTES_MAX>;

/// A text that no output ever holds: `Debug` shows `***`, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<const N: usize>(String<N>);

impl<const N: usize> Secret<N> {
    /// No secret.
    pub const EMPTY: Self = Self(String::new());

    /// Wraps a text, or tells that it is too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        String::try_from(text).ok().map(Self)
    }

    /// Hands the text out: to the peer it is meant for, and to nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for Secret<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "***");
    }
}

/// How a URL is spoken to.
///
/// Counted from 1, so that no URL at all is all zero bits: see [`Config::EMPTY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scheme {
    /// `http://`
    Http = 1,
    /// `https://`
    Https,
    /// `tcp://`: a connect, no request.
    Tcp,
    /// `unix://`: a connect to a socket's path, no request.
    Unix,
    /// `socks5://` (proxies alone).
    Socks5,
}

/// A URL of the configuration, taken apart.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Url {
    /// How to speak.
    pub scheme: Scheme,
    /// The host: a name, an IPv4 address, or an IPv6 address without its brackets. Empty for `unix://`.
    pub host: String<HOST_BYTES_MAX>,
    /// The port; the scheme's own where none was given.
    pub port: u16,
    /// Path with query as it goes into the request line, beginning with `/`; for `unix://` the socket's path.
    pub path: Secret<PATH_BYTES_MAX>,
    /// What [`Url::user_info`] tells, or empty: an `Option` here would be the one whose tag says that there is no URL, and not by a zero.
    user_info: Secret<USER_INFO_BYTES_MAX>,
}

impl Url {
    /// Tells `user:password`, percent-decoded, to be sent as Basic authentication.
    #[must_use]
    pub fn user_info(&self) -> Option<&str> {
        Some(self.user_info.reveal()).filter(|text| !text.is_empty())
    }
}

/// A percentage, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Percent(pub f32);

/// The orchestrator: where its metrics are, and the limits on what they say.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Orchestrator {
    /// `WATCHDOG_ORCH_URL`; none = off.
    pub url: Option<Url>,
    /// `WATCHDOG_ORCH_DOWN_TICKS`
    pub down_ticks: u16,
    /// `WATCHDOG_ORCH_STALE_AFTER`
    pub stale_after: Option<Millis>,
    /// `WATCHDOG_STAGE_STUCK_AFTER`
    pub stage_stuck_after: Option<Millis>,
    /// `WATCHDOG_QUEUE_AGE_MAX`
    pub queue_age_max: Option<Millis>,
    /// `WATCHDOG_AGENT_STALL_AFTER`
    pub agent_stall_after: Option<Millis>,
    /// `WATCHDOG_AGENT_CPU_MIN`, in cores; `off` switches `agent_stalled` off.
    pub agent_cpu_min_cores: Option<f64>,
    /// `WATCHDOG_AGENT_CPU_MAX`, in cores.
    pub agent_cpu_max_cores: Option<f64>,
    /// `WATCHDOG_AGENT_ELAPSED_MAX`
    pub agent_elapsed_max: Option<Millis>,
    /// `WATCHDOG_COST_DAILY_MAX`, in USD.
    pub cost_daily_max_usd: Option<f64>,
}

/// Where the engine listens. Counted from 1, see [`Config::EMPTY`].
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum EngineAddress {
    /// The path of a unix socket.
    Unix(String<FILE_PATH_BYTES_MAX>) = 1,
    /// A host and port, a socket proxy.
    Tcp(String<HOST_BYTES_MAX>, u16) = 2,
}

/// An address and a port. Counted from 1, see [`Config::EMPTY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Endpoint {
    /// IPv4.
    V4(SocketAddrV4) = 1,
    /// IPv6.
    V6(SocketAddrV6) = 2,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(address),
            SocketAddr::V6(address) => Self::V6(address),
        }
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::V4(address) => Self::V4(address),
            Endpoint::V6(address) => Self::V6(address),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

/// The Docker Engine and what is expected of it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Docker {
    /// `WATCHDOG_DOCKER_HOST`; none = off.
    pub host: Option<EngineAddress>,
    /// `WATCHDOG_CONTAINERS`: these must exist and run.
    pub listed: Vec<Name, LISTED_CONTAINERS_MAX>,
    /// `WATCHDOG_CONTAINERS_IGNORE`
    pub ignored: Vec<Name, LISTED_CONTAINERS_MAX>,
}

/// A mount point to look at: the path to ask, and the path to show.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DiskPath {
    /// What people see.
    pub shown: Name,
    /// What is asked.
    pub path: String<FILE_PATH_BYTES_MAX>,
}

/// The host's limits.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Host {
    /// `WATCHDOG_PROC`
    pub proc: String<FILE_PATH_BYTES_MAX>,
    /// `WATCHDOG_DISK_PATHS`
    pub disk_paths: Vec<DiskPath, DISK_PATHS_MAX>,
    /// `WATCHDOG_DISK_CEILING`
    pub disk_ceiling: Option<Percent>,
    /// `WATCHDOG_INODE_CEILING`
    pub inode_ceiling: Option<Percent>,
    /// `WATCHDOG_MEM_AVAILABLE_MIN`
    pub mem_available_min: Option<Percent>,
    /// `WATCHDOG_SWAP_MAX`
    pub swap_max: Option<Percent>,
    /// `WATCHDOG_LOAD_MAX`, per core.
    pub load_max: Option<f32>,
    /// `WATCHDOG_PRESSURE_MEM_MAX`
    pub pressure_mem_max: Option<Percent>,
    /// `WATCHDOG_PRESSURE_IO_MAX`
    pub pressure_io_max: Option<Percent>,
    /// `WATCHDOG_PRESSURE_CPU_MAX`
    pub pressure_cpu_max: Option<Percent>,
    /// `WATCHDOG_FD_MAX`
    pub fd_max: Option<Percent>,
}

/// A dependency: `WATCHDOG_DEP_<NAME>`.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dependency {
    /// `<NAME>` in lower case.
    pub name: Name,
    /// Where it is.
    pub url: Url,
    /// First and last status that counts as an answer, inclusive.
    pub status: (u16, u16),
    /// What its body must contain.
    pub body: Option<String<BODY_TEXT_BYTES_MAX>>,
    /// From how long on it counts as slow.
    pub latency: Option<Millis>,
    /// K of its signals.
    pub ticks: u16,
    /// How long its certificate must still be valid.
    pub cert: Option<Millis>,
}

/// Telegram, complete: token and chat are both there.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Telegram {
    /// `WATCHDOG_TELEGRAM_TOKEN`
    pub token: Secret<128>,
    /// `WATCHDOG_TELEGRAM_CHAT_ID`: an integer or `@channel`.
    pub chat_id: Name,
    /// `WATCHDOG_TELEGRAM_THREAD_ID`
    pub thread_id: Option<NonZeroI64>,
    /// `WATCHDOG_TELEGRAM_API_URL`
    pub api_url: Url,
    /// `WATCHDOG_TELEGRAM_PROXY`
    pub proxy: Option<Url>,
}

/// The whole configuration.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// `WATCHDOG_ENABLED`
    pub enabled: bool,
    /// `WATCHDOG_NAME`
    pub name: Name,
    /// `WATCHDOG_INTERVAL`
    pub interval: Millis,
    /// `WATCHDOG_TIMEOUT`
    pub timeout: Millis,
    /// `WATCHDOG_RAISE_TICKS`
    pub raise_ticks: u16,
    /// `WATCHDOG_CLEAR_TICKS`
    pub clear_ticks: u16,
    /// `WATCHDOG_MUTE`: signal ids, `*` at the end allowed.
    pub mute: Vec<Pattern, MUTES_MAX>,
    /// `WATCHDOG_COOLDOWN`; none = no reminders.
    pub cooldown: Option<Millis>,
    /// `WATCHDOG_FLAP_CHANGES`
    pub flap_changes: u8,
    /// `WATCHDOG_FLAP_WINDOW`
    pub flap_window: Millis,
    /// `WATCHDOG_LOG`
    pub log: Level,
    /// The orchestrator.
    pub orchestrator: Orchestrator,
    /// `WATCHDOG_RULE_<NAME>`
    pub rules: Vec<Rule, RULES_MAX>,
    /// `WATCHDOG_DEP_<NAME>`
    pub dependencies: Vec<Dependency, DEPENDENCIES_MAX>,
    /// The engine.
    pub docker: Docker,
    /// The host.
    pub host: Host,
    /// Telegram; none without token or chat.
    pub telegram: Option<Telegram>,
    /// `WATCHDOG_CA_FILE`
    pub ca_file: Option<String<FILE_PATH_BYTES_MAX>>,
    /// `WATCHDOG_HEARTBEAT_URL`
    pub heartbeat_url: Option<Url>,
    /// `WATCHDOG_HEARTBEAT_INTERVAL`
    pub heartbeat_interval: Millis,
    /// `WATCHDOG_HEARTBEAT_FAIL`
    pub heartbeat_fail: bool,
    /// `WATCHDOG_ALERTMANAGER_URL`
    pub alertmanagers: Vec<Url, ALERTMANAGERS_MAX>,
    /// `WATCHDOG_LISTEN`; none = off.
    pub listen: Option<Endpoint>,
    /// `WATCHDOG_NAMESERVER`; none = from `/etc/resolv.conf`.
    pub nameserver: Option<Endpoint>,
}

impl Config {
    /// A configuration of nothing, to be filled by [`parse`].
    ///
    /// All zero bits, so that a static one needs no room in the binary. For that, what is optional here must be zero where it is not
    /// there; `tests/zero_bits.rs` watches over it.
    pub const EMPTY: Self = Self {
        enabled: false,
        name: String::new(),
        interval: Millis::ZERO,
        timeout: Millis::ZERO,
        raise_ticks: 0,
        clear_ticks: 0,
        mute: Vec::new(),
        cooldown: None,
        flap_changes: 0,
        flap_window: Millis::ZERO,
        log: Level::Error,
        orchestrator: Orchestrator {
            url: None,
            down_ticks: 0,
            stale_after: None,
            stage_stuck_after: None,
            queue_age_max: None,
            agent_stall_after: None,
            agent_cpu_min_cores: None,
            agent_cpu_max_cores: None,
            agent_elapsed_max: None,
            cost_daily_max_usd: None,
        },
        rules: Vec::new(),
        dependencies: Vec::new(),
        docker: Docker {
            host: None,
            listed: Vec::new(),
            ignored: Vec::new(),
        },
        host: Host {
            proc: String::new(),
            disk_paths: Vec::new(),
            disk_ceiling: None,
            inode_ceiling: None,
            mem_available_min: None,
            swap_max: None,
            load_max: None,
            pressure_mem_max: None,
            pressure_io_max: None,
            pressure_cpu_max: None,
            fd_max: None,
        },
        telegram: None,
        ca_file: None,
        heartbeat_url: None,
        heartbeat_interval: Millis::ZERO,
        heartbeat_fail: false,
        alertmanagers: Vec::new(),
        listen: None,
        nameserver: None,
    };

    /// Tells the name of a kind of signals, those of rules too.
    #[must_use]
    pub fn signal_name(&self, kind: Kind) -> &str {
        match kind {
            Kind::Rule(number) => self
                .rules
                .get(usize::from(number))
                .map_or(kind.name(), |rule| rule.name.as_str()),
            built_in => built_in.name(),
        }
    }

    /// Writes a signal's id as people see it: `kind` or `kind:subject`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_signal_id(&self, id: &SignalId, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(self.signal_name(id.kind))?;
        if id.subject.is_none() {
            Ok(())
        } else {
            write!(out, ":{}", id.subject)
        }
    }

    /// Tells a signal's id as [`Config::write_signal_id`] writes it, for format strings.
    pub fn shown_id<'a>(&'a self, id: &'a SignalId) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.write_signal_id(id, f))
    }

    /// Tells whether `WATCHDOG_MUTE` names the signal.
    #[must_use]
    pub fn is_muted(&self, kind: Kind, subject: &Subject) -> bool {
        if self.mute.is_empty() {
            return false;
        }
        let name = self.signal_name(kind);
        let mut id = Pattern::new();
        let subject_part = if subject.is_none() { "" } else { ":" };
        if write!(id, "{name}{subject_part}{subject}").is_err() {
            return false;
        }
        self.mute.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => id.starts_with(start),
            None => id == *pattern,
        })
    }
}

#[cfg(test)]
mod tests;

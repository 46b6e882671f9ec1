//! The connection slots: who has which, whom it talks to, and what goes into a request.
//!
//! A slot belongs to one peer for the whole run; its exchange is started anew for each question.

use heapless::{String, Vec};

use crate::config::{Config, EngineAddress, Scheme, Url};
use crate::exchange::{Exchange, Security, Target, Task, Want};
use crate::limits::{ALERTMANAGERS_MAX, CONNECTIONS_MAX, DEPENDENCIES_MAX, TLS_HANDSHAKES_MAX};
use crate::net::{Connection, Peer};
use crate::time::Instant;
use crate::wire::dns::{Lookup, Resolver};
use crate::wire::http::{Authority, Get};
use crate::wire::proxy::Way;

/// Bytes of one request: head and body.
pub const REQUEST_BYTES_MAX: usize = 14 * 1024;
/// A request under construction.
pub type Request = Vec<u8, REQUEST_BYTES_MAX>;
/// The path of a request to the engine.
pub type EnginePath = String<512>;

const ORCHESTRATOR: u8 = 0;
const ENGINE: u8 = 1;
const ENGINE_EVENTS: u8 = 2;
const RESOLVER: u8 = 3;
const TELEGRAM: u8 = 4;
const HEARTBEAT: u8 = 5;
const ALERTMANAGERS: u8 = 6;
const DEPENDENCIES: u8 = 16;

/// Who has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Owner {
    /// The orchestrator's metrics.
    Orchestrator,
    /// The engine: ping, list, inspect.
    Engine,
    /// The engine's standing stream of events.
    EngineEvents,
    /// DNS over TCP.
    Resolver,
    /// The Bot API.
    Telegram,
    /// The heartbeat.
    Heartbeat,
    /// An Alertmanager, by its place in the configuration.
    Alertmanager(usize),
    /// A dependency, by its place in the configuration.
    Dependency(usize),
}

impl Owner {
    /// Tells who has a slot.
    #[must_use]
    pub fn of(slot: u8) -> Option<Self> {
        match slot {
            ORCHESTRATOR => Some(Self::Orchestrator),
            ENGINE => Some(Self::Engine),
            ENGINE_EVENTS => Some(Self::EngineEvents),
            RESOLVER => Some(Self::Resolver),
            TELEGRAM => Some(Self::Telegram),
            HEARTBEAT => Some(Self::Heartbeat),
            other if other < DEPENDENCIES => {
                let place = usize::from(other.checked_sub(ALERTMANAGERS)?);
                (place < ALERTMANAGERS_MAX).then_some(Self::Alertmanager(place))
            }
            other => {
                let place = usize::from(other.checked_sub(DEPENDENCIES)?);
                (place < DEPENDENCIES_MAX).then_some(Self::Dependency(place))
            }
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Orchestrator => ORCHESTRATOR as usize,
            Self::Engine => ENGINE as usize,
            Self::EngineEvents => ENGINE_EVENTS as usize,
            Self::Resolver => RESOLVER as usize,
            Self::Telegram => TELEGRAM as usize,
            Self::Heartbeat => HEARTBEAT as usize,
            Self::Alertmanager(place) => (ALERTMANAGERS as usize).saturating_add(place),
            Self::Dependency(place) => (DEPENDENCIES as usize).saturating_add(place),
        }
    }

    /// Tells the URL of a peer that has one.
    #[must_use]
    pub fn url(self, config: &Config) -> Option<&Url> {
        match self {
            Self::Orchestrator => config.orchestrator.url.as_ref(),
            Self::Telegram => config.telegram.as_ref().map(|telegram| &telegram.api_url),
            Self::Heartbeat => config.heartbeat_url.as_ref(),
            Self::Alertmanager(place) => config.alertmanagers.get(place),
            Self::Dependency(place) => config.dependencies.get(place).map(|dependency| &dependency.url),
            Self::Engine | Self::EngineEvents | Self::Resolver => None,
        }
    }

    /// Tells the proxy in front of a peer.
    #[must_use]
    pub fn proxy(self, config: &Config) -> Option<&Url> {
        match self {
            Self::Telegram => config.telegram.as_ref()?.proxy.as_ref(),
            _ => None,
        }
    }

    /// Tells whom to connect to by a unix socket.
    #[must_use]
    pub fn unix_path(self, config: &Config) -> Option<&str> {
        match (self, &config.docker.host) {
            (Self::Engine | Self::EngineEvents, Some(EngineAddress::Unix(path))) => Some(path),
            (Self::Engine | Self::EngineEvents, _) => None,
            _ => self
                .url(config)
                .filter(|url| url.scheme == Scheme::Unix)
                .map(|url| url.path.reveal()),
        }
    }

    /// Tells the name that the peer's certificate must be for.
    #[must_use]
    pub fn server_name(self, config: &Config) -> Option<&str> {
        self.url(config).map(|url| url.host.as_str())
    }
}

/// All slots.
pub struct Links {
    exchanges: [Exchange; CONNECTIONS_MAX],
    targets: Vec<(Owner, Target), CONNECTIONS_MAX>,
    /// An exchange was begun since the last [`Links::advance`].
    begun: bool,
    /// Names, addresses and DNS.
    pub resolver: Resolver,
}

impl Links {
    /// No peer is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            exchanges: [const { Exchange::new() }; CONNECTIONS_MAX],
            targets: Vec::new(),
            begun: false,
            resolver: Resolver::new(),
        }
    }

    /// Learns the peers of the configuration.
    pub fn register(&mut self, config: &Config, seed: u64) {
        self.resolver
            .start(seed, config.nameserver.map(Into::into), RESOLVER);
        let fixed = [Owner::Orchestrator, Owner::Telegram, Owner::Heartbeat].into_iter();
        let dependencies = (0..config.dependencies.len()).map(Owner::Dependency);
        let alertmanagers = (0..config.alertmanagers.len()).map(Owner::Alertmanager);
        for owner in fixed.chain(alertmanagers).chain(dependencies) {
            if let (Some(url), Some(proxy)) = (owner.url(config), owner.proxy(config)) {
                self.register_proxy(owner, url, proxy);
            } else if let Some(url) = owner.url(config) {
                self.register_url(owner, url);
            }
        }
        for owner in [Owner::Engine, Owner::EngineEvents] {
            match &config.docker.host {
                Some(EngineAddress::Unix(_)) => self.register_target(owner, Target::Unix),
                Some(EngineAddress::Tcp(host, port)) => {
                    self.register_host(owner, host, *port, Security::Plain)
                }
                None => {}
            }
        }
    }

    fn register_url(&mut self, owner: Owner, url: &Url) {
        match url.scheme {
            Scheme::Unix => self.register_target(owner, Target::Unix),
            Scheme::Https => self.register_host(owner, &url.host, url.port, Security::Tls),
            Scheme::Http | Scheme::Tcp | Scheme::Socks5 => {
                self.register_host(owner, &url.host, url.port, Security::Plain);
            }
        }
    }

    /// The peer's own name is the proxy's to look up.
    fn register_proxy(&mut self, owner: Owner, url: &Url, proxy: &Url) {
        let security = match url.scheme {
            Scheme::Https => Security::Tls,
            Scheme::Http | Scheme::Tcp | Scheme::Socks5 | Scheme::Unix => Security::Plain,
        };
        if let Some(name) = self.resolver.register(&proxy.host) {
            let target = Target::Proxy(name, proxy.port, security, Way::of(proxy));
            self.register_target(owner, target);
        }
    }

    fn register_host(&mut self, owner: Owner, host: &str, port: u16, security: Security) {
        if let Some(name) = self.resolver.register(host) {
            self.register_target(owner, Target::Host(name, port, security));
        }
    }

    /// There is a place for each slot, and each owner has one.
    fn register_target(&mut self, owner: Owner, target: Target) {
        // Exchanges of peers that are not configured stay as they are: never touched, they take no memory.
        if let Some(exchange) = self.exchanges.get_mut(owner.place()) {
            exchange.set_slot(u8::try_from(owner.place()).unwrap_or(u8::MAX));
        }
        let _ = self.targets.push((owner, target));
    }

    /// Tells whether a peer is configured and can be asked.
    #[must_use]
    pub fn has(&self, owner: Owner) -> bool {
        self.target(owner).is_some()
    }

    fn target(&self, owner: Owner) -> Option<Target> {
        self.targets
            .iter()
            .find(|(known, _)| *known == owner)
            .map(|(_, target)| *target)
    }

    /// Begins an exchange with a peer; tells whether there is such a peer.
    pub fn start(&mut self, owner: Owner, now: Instant, deadline: Option<Instant>, task: Task) -> bool {
        let target = self.target(owner);
        match (target, self.exchanges.get_mut(owner.place())) {
            (Some(target), Some(exchange)) => {
                exchange.start(now, deadline, target, task);
                self.begun = true;
                true
            }
            _ => false,
        }
    }

    /// Tells a peer's exchange.
    #[must_use]
    pub fn exchange(&self, owner: Owner) -> Option<&Exchange> {
        self.exchanges.get(owner.place())
    }

    /// Tells a peer's exchange, to change it.
    pub fn exchange_mut(&mut self, owner: Owner) -> Option<&mut Exchange> {
        self.exchanges.get_mut(owner.place())
    }

    /// Tells whether an exchange with a peer is under way.
    #[must_use]
    pub fn is_busy(&self, owner: Owner) -> bool {
        self.exchange(owner).is_some_and(Exchange::is_busy)
    }

    /// A connection was made: the resolver hears which address worked.
    pub fn connected(&mut self, owner: Owner, connection: Connection, now: Instant) {
        let Some(exchange) = self.exchanges.get_mut(owner.place()) else {
            return;
        };
        exchange.connected(connection, now);
        if let Some((name, address)) = exchange.address() {
            self.resolver.worked(name, address);
        }
    }

    /// Tells whether an exchange was begun that [`Links::advance`] has not seen yet.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Time passed: deadlines, and names that have been looked up by now.
    pub fn advance(&mut self, now: Instant) {
        let Self {
            exchanges,
            targets,
            resolver,
            begun,
        } = self;
        *begun = false;
        for (owner, _) in targets.iter() {
            let Some(exchange) = exchanges.get_mut(owner.place()) else {
                continue;
            };
            // First: what finds its address with its deadline, or after a stop of the process, was looking it up until then.
            exchange.time(now);
            if let Some(name) = exchange.awaits_addresses() {
                match resolver.lookup(now, name) {
                    Lookup::Ready(addresses) | Lookup::Stale(addresses) => exchange.resolved(addresses),
                    Lookup::Failed(fault) => exchange.unresolved(fault),
                    Lookup::Pending => {}
                }
            }
        }
    }

    /// Tells the next wish of an exchange. TLS handshakes wait for each other.
    pub fn poll(&mut self, now: Instant) -> Option<(Owner, Want)> {
        let shaking = self
            .targets
            .iter()
            .filter_map(|(owner, _)| self.exchange(*owner))
            .filter(|exchange| exchange.is_shaking_hands())
            .count();
        for (owner, _) in &self.targets {
            let Some(exchange) = self.exchanges.get_mut(owner.place()) else {
                continue;
            };
            if shaking >= TLS_HANDSHAKES_MAX && exchange.is_about_to_shake_hands() {
                continue;
            }
            if let Some(want) = exchange.poll(now) {
                return Some((*owner, want));
            }
        }
        None
    }

    /// Tells when [`Links::advance`] is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let exchanges = self
            .targets
            .iter()
            .filter_map(|(owner, _)| self.exchange(*owner)?.deadline());
        exchanges.chain(self.resolver.deadline()).min()
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes the GET of a configured URL.
///
/// # Errors
/// It does not fit, or the URL holds what a request must not.
pub fn write_get(url: &Url, out: &mut Request) -> core::fmt::Result {
    let path = url.path.reveal();
    Get {
        authority: Authority::of(url),
        path: format_args!("{path}"),
        user_info: url.user_info(),
    }
    .emit(out)
}

/// Writes what an exchange has to say to the proxy in front of its peer.
///
/// # Errors
/// It does not fit, or there is no proxy.
pub fn write_tunnel(
    exchange: &Exchange,
    owner: Owner,
    config: &Config,
    out: &mut Request,
) -> core::fmt::Result {
    out.clear();
    match (owner.proxy(config), owner.url(config)) {
        (Some(proxy), Some(url)) => exchange.tunnel().emit(proxy, url, out),
        _ => Err(core::fmt::Error),
    }
}

/// Writes a GET to the engine.
///
/// # Errors
/// It does not fit, or the path holds what a request must not.
pub fn write_engine_get(config: &Config, path: &EnginePath, out: &mut Request) -> core::fmt::Result {
    let authority = match &config.docker.host {
        Some(EngineAddress::Tcp(host, port)) => Authority {
            host: host.as_str(),
            port: Some(*port),
        },
        // A unix socket has no host; the engine wants the field and does not read it.
        _ => Authority {
            host: "docker",
            port: None,
        },
    };
    Get {
        authority,
        path: format_args!("{path}"),
        user_info: None,
    }
    .emit(out)
}

/// Tells the unix socket of a peer.
#[must_use]
pub fn unix_peer(owner: Owner, config: &Config) -> Peer<'_> {
    Peer::Unix(owner.unix_path(config).unwrap_or(""))
}

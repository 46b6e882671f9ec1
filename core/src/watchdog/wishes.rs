//! The next wish: log lines first, then connections, then names, then files.

use core::net::SocketAddr;

use crate::channel::heartbeat;
use crate::config::Config;
use crate::exchange::{Security, Want};
use crate::logfmt::{self, Line};
use crate::net::{Connection, HostFile, Level, Output, Peer};
use crate::probe::docker;
use crate::probe::host;
use crate::time::Instant;

use super::links::{self, EnginePath, Owner};
use super::{Mode, Watchdog, alerting, beating, telling};

/// A wish without its texts, which stand in the machine's own buffers.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Log(Level),
    Event,
    OpenTcp(Owner, Connection, SocketAddr, Security),
    OpenUnix(Owner, Connection),
    StartTls(Owner, Connection),
    Write(Connection),
    Close(Connection),
    Query { server: SocketAddr, fresh: bool },
    ReadFile(HostFile),
    Stat(u8),
}

impl<'c> Watchdog<'c> {
    pub(super) fn next_wish(&mut self, now: Instant, config: &'c Config) -> Option<Output<'_>> {
        let wish = self
            .next_line(now, config)
            .or_else(|| self.next_link(now, config))
            .or_else(|| self.next_of_resolver(now))
            .or_else(|| self.next_read())?;
        Some(match wish {
            Wish::Log(level) => Output::Log(level, self.line.as_ref().map_or("", Line::as_str)),
            Wish::Event => Output::Event(self.line.as_ref().map_or("", Line::as_str)),
            Wish::OpenTcp(owner, connection, address, security) => {
                let name = match security {
                    Security::Plain => None,
                    Security::Tls => Some(owner.server_name(config).unwrap_or("")),
                };
                Output::Open(connection, Peer::Tcp(address), name)
            }
            Wish::OpenUnix(owner, connection) => {
                Output::Open(connection, links::unix_peer(owner, config), None)
            }
            Wish::StartTls(owner, connection) => {
                Output::StartTls(connection, owner.server_name(config).unwrap_or(""))
            }
            Wish::Write(connection) => Output::Write(connection, &self.request),
            Wish::Close(connection) => Output::Close(connection),
            Wish::Query { server, fresh } => Output::Query {
                server,
                bytes: &self.query,
                fresh,
            },
            Wish::ReadFile(file) => Output::ReadFile(file),
            Wish::Stat(place) => {
                let path = config
                    .host
                    .disk_paths
                    .get(usize::from(place))
                    .map_or("", |path| path.path.as_str());
                Output::Stat(place, path)
            }
        })
    }

    /// A line for the log: only the daemon's run writes any.
    fn next_line(&mut self, now: Instant, config: &Config) -> Option<Wish> {
        if self.mode != Mode::Run {
            return None;
        }
        let wall = self.wall(now);
        if self.notes.take_start_line() {
            let line = self.line.insert(Line::new(wall, Level::Info));
            line.pair("event", "started")
                .pair("version", env!("CARGO_PKG_VERSION"));
            line.pair("instance", &config.name)
                .pair("interval", config.interval);
            let channel = if config.telegram.is_none() {
                "stdout"
            } else {
                "telegram"
            };
            line.pair("channel", channel);
            return Some(Wish::Log(Level::Info));
        }
        for place in 0..self.table.rows().len() {
            let Some(row) = self.table.row_mut(place) else {
                break;
            };
            if let Some(event) = row.take_event() {
                #[cfg(feature = "defmt")]
                crate::frames::event(row, event, config);
                self.line = Some(logfmt::event(row, event, config, wall));
                return Some(Wish::Event);
            }
        }
        if let Some((level, line)) = self.notes.take_line(wall) {
            self.line = Some(line);
            return Some(Wish::Log(level));
        }
        self.next_stdout_line(now)
    }

    fn next_stdout_line(&mut self, now: Instant) -> Option<Wish> {
        let mut line = Line::new(self.wall(now), Level::Info);
        let text = self.take_stdout_line()?;
        line.pair("event", "message").pair("text", text);
        #[cfg(feature = "defmt")]
        crate::frames::message(text);
        self.line = Some(line);
        Some(Wish::Event)
    }

    fn next_link(&mut self, now: Instant, config: &Config) -> Option<Wish> {
        loop {
            let (owner, want) = self.links.poll(now)?;
            match want {
                Want::Close(connection) => return Some(Wish::Close(connection)),
                Want::OpenUnix(connection) => return Some(Wish::OpenUnix(owner, connection)),
                Want::OpenTcp(connection, address, security) => {
                    return Some(Wish::OpenTcp(owner, connection, address, security));
                }
                Want::StartTls(connection) => return Some(Wish::StartTls(owner, connection)),
                Want::Request(connection) | Want::Tunnel(connection) => {
                    let written = if matches!(want, Want::Request(_)) {
                        self.write_request(owner, now, config)
                    } else {
                        links::write_tunnel(self.links.exchange(owner)?, owner, config, &mut self.request)
                    };
                    let exchange = self.links.exchange_mut(owner)?;
                    if written.is_ok() {
                        exchange.requested();
                        return Some(Wish::Write(connection));
                    }
                    // Its connection is closed with the next wish, its outcome taken with the next input.
                    exchange.unwritable();
                }
            }
        }
    }

    fn write_request(&mut self, owner: Owner, now: Instant, config: &Config) -> core::fmt::Result {
        let clock = self.clock(now);
        let Self {
            mode,
            request,
            telegram,
            message,
            docker,
            probing,
            table,
            ..
        } = self;
        request.clear();
        match owner {
            Owner::Telegram => telling::write_request(telegram, message, config, request),
            Owner::Engine => write_engine_request(docker, probing.asked(), config, request),
            Owner::EngineEvents => {
                write_engine_request(docker, Some(docker::Request::Events), config, request)
            }
            Owner::Orchestrator | Owner::Dependency(_) => owner
                .url(config)
                .map_or(Err(core::fmt::Error), |url| links::write_get(url, request)),
            Owner::Heartbeat => match &config.heartbeat_url {
                Some(url) => heartbeat::emit(url, beating::beat_of(table, config), request),
                None => Err(core::fmt::Error),
            },
            Owner::Alertmanager(place) => {
                alerting::write_request(*mode, place, table, config, clock, request)
            }
            Owner::Resolver => Err(core::fmt::Error),
        }
    }

    fn next_of_resolver(&mut self, now: Instant) -> Option<Wish> {
        Some(match self.links.resolver.poll(now)? {
            Output::Open(connection, Peer::Tcp(address), _) => {
                Wish::OpenTcp(Owner::Resolver, connection, address, Security::Plain)
            }
            Output::Write(connection, bytes) => {
                self.request.clear();
                drop(self.request.extend_from_slice(bytes));
                Wish::Write(connection)
            }
            Output::Close(connection) => Wish::Close(connection),
            Output::Query { server, bytes, fresh } => {
                self.query.clear();
                drop(self.query.extend_from_slice(bytes));
                Wish::Query { server, fresh }
            }
            _ => return None,
        })
    }

    fn next_read(&mut self) -> Option<Wish> {
        if let Some(file) = self.probing.take_resolver_file() {
            match file {
                HostFile::Hosts => self.links.resolver.hosts_begin(),
                _ => self.links.resolver.resolv_conf_begin(),
            }
            return Some(Wish::ReadFile(file));
        }
        if self.mode == Mode::NotifyTest {
            return None;
        }
        self.next_host_want().map(|want| match want {
            host::Want::File(file) => Wish::ReadFile(file),
            host::Want::Stat(place) => Wish::Stat(place),
        })
    }
}

fn write_engine_request(
    docker: &docker::Docker,
    asked: Option<docker::Request>,
    config: &Config,
    out: &mut links::Request,
) -> core::fmt::Result {
    let mut path = EnginePath::new();
    docker.write_path(asked.ok_or(core::fmt::Error)?, &mut path)?;
    links::write_engine_get(config, &path, out)
}

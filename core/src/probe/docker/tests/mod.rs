//! The probe against an engine that a test plays: what it asks, and what it makes of the answers.

extern crate std;

mod answers;
mod events;
mod inspections;
mod lists;
mod staging;

use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use super::*;

/// A probe and the engine that it asks.
struct Bench {
    docker: Box<Docker>,
    config: config::Docker,
    now: Instant,
    list: String,
    inspects: BTreeMap<String, (u16, String)>,
    /// What was asked, in order.
    asked: Vec<String>,
    /// Bytes of a body that are given at once.
    split: usize,
}

const INTERVAL: Millis = Millis::from_secs(15);

impl Bench {
    fn new() -> Self {
        Self {
            docker: Box::new(Docker::new()),
            config: config::Docker {
                host: None,
                listed: heapless::Vec::new(),
                ignored: heapless::Vec::new(),
            },
            now: Instant::from_millis(1_000_000),
            list: "[]".into(),
            inspects: BTreeMap::new(),
            asked: Vec::new(),
            split: usize::MAX,
        }
    }

    fn listing(names: &[&str]) -> Self {
        let mut bench = Self::new();
        for name in names {
            bench.config.listed.push((*name).try_into().unwrap()).unwrap();
        }
        bench
    }

    /// One tick with the given containers in the list.
    fn tick(&mut self, rows: &[String]) -> Result<Summary, Fault> {
        self.list = format!("[{}]", rows.join(","));
        self.run_tick()
    }

    fn run_tick(&mut self) -> Result<Summary, Fault> {
        self.now = self.now.after(INTERVAL);
        self.docker.begin_tick(self.now, INTERVAL);
        self.now = self.now.after(Millis::from_millis(5));
        self.drain();
        self.docker.close_tick()?;
        for container in self.docker.store.iter_mut() {
            container.has_news = false;
        }
        Ok(self.docker.summary())
    }

    /// Answers whatever is asked until nothing is.
    fn drain(&mut self) {
        while let Some(request) = self.docker.next() {
            let mut path = String::new();
            self.docker.write_path(request, &mut path).unwrap();
            self.asked.push(path.clone());
            self.docker.begin(self.now);
            let (status, body) = match request {
                Request::Ping => (200, "OK".to_string()),
                Request::List => (200, self.list.clone()),
                Request::Inspect(id) => {
                    let name = name_of(&id.to_string());
                    self.inspects.get(&name).cloned().unwrap_or((404, String::new()))
                }
                Request::Events => unreachable!(),
            };
            self.answer(request, status, Some((1, 41)), &body);
        }
    }

    fn answer(&mut self, request: Request, status: u16, api: Option<(u16, u16)>, body: &str) {
        self.docker.head(request, status, api);
        for piece in body.as_bytes().chunks(self.split.min(body.len()).max(1)) {
            if self.docker.body(request, piece, self.now, &self.config) == Want::Nothing {
                break;
            }
        }
        self.docker.end(request, Close::Whole, self.now);
    }

    fn inspect(&mut self, name: &str, body: String) {
        self.inspects.insert(name.into(), (200, body));
    }

    fn inspects_asked(&self) -> usize {
        self.asked
            .iter()
            .filter(|path| path.contains("/containers/") && !path.contains("?all=1"))
            .count()
    }

    /// `fact: exited 3`, `active: stopped`, `clear`, `unknown`, or `gone`.
    fn says(&self, kind: Kind, name: &str) -> String {
        let mut said = Vec::new();
        for container in self.docker.store.iter() {
            if container.seen.name.as_str() == name {
                let output = self.docker.outputs.of(container.id);
                let verdict = verdict::verdict(kind, container, output, self.now);
                said.push(match verdict.observation {
                    Observation::Clear => "clear".to_string(),
                    Observation::Unknown => "unknown".into(),
                    Observation::Active if verdict.weight == Weight::Fact => {
                        format!("fact: {}", verdict.words)
                    }
                    Observation::Active => format!("active: {}", verdict.words),
                });
            }
        }
        if kind == Kind::ContainerDown {
            for (absent, observation, words) in self.docker.absent(&self.config) {
                if absent == name {
                    said.push(format!("{observation:?}: {words}").to_lowercase());
                }
            }
        }
        if said.is_empty() {
            "gone".into()
        } else {
            said.join(" + ")
        }
    }

    fn down(&self, name: &str) -> String {
        self.says(Kind::ContainerDown, name)
    }

    fn unhealthy(&self, name: &str) -> String {
        self.says(Kind::ContainerUnhealthy, name)
    }

    fn restarting(&self, name: &str) -> String {
        self.says(Kind::ContainerRestarting, name)
    }

    fn oom(&self, name: &str) -> String {
        self.says(Kind::ContainerOom, name)
    }
}

/// An id that holds a short name, so that a test can tell whose it is.
fn id_of(name: &str) -> String {
    let mut id: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    while id.len() < 64 {
        id.push('0');
    }
    id
}

fn name_of(id: &str) -> String {
    (0..32)
        .map(|place| u8::from_str_radix(&id[place * 2..place * 2 + 2], 16).unwrap())
        .take_while(|byte| *byte != 0)
        .map(char::from)
        .collect()
}

/// A container as the list shows it.
fn row(name: &str, state: &str, status: &str) -> String {
    row_with(name, state, status, "")
}

/// A container as the list shows it, with more keys behind.
fn row_with(name: &str, state: &str, status: &str, more: &str) -> String {
    let id = id_of(name);
    format!(
        r#"{{"Id":"{id}","Names":["/{name}"],"Image":"app:1","ImageID":"sha256:00","Command":"run","Created":1700000000,"Ports":[{{"PrivatePort":80,"Type":"tcp"}}],"Labels":{{"com.docker.compose.project":"p"}},"State":"{state}","Status":"{status}","HostConfig":{{"NetworkMode":"p_default"}},"NetworkSettings":{{"Networks":{{"p_default":{{"Aliases":null}}}}}},"Mounts":[]{more}}}"#
    )
}

fn up(name: &str) -> String {
    row(name, "running", "Up 2 hours")
}

/// An inspection: state, exit code, whether OOM killed, start, restart count.
fn inspection(state: &str, code: i64, oom: bool, started: &str, restarts: u64) -> String {
    format!(
        r#"{{"Id":"x","Created":"2026-01-01T00:00:00Z","State":{{"Status":"{state}","Running":{},"Paused":false,"Restarting":false,"OOMKilled":{oom},"Dead":false,"Pid":0,"ExitCode":{code},"Error":"","StartedAt":"{started}","FinishedAt":"0001-01-01T00:00:00Z"}},"Name":"/x","RestartCount":{restarts},"HostConfig":{{"RestartPolicy":{{"Name":"no","MaximumRetryCount":0}}}},"Config":{{"Env":["PASSWORD=hunter2"],"StopSignal":"SIGQUIT"}}}}"#,
        state == "running"
    )
}

const START: &str = "2026-01-02T03:04:04.123456789Z";

//! A Docker Engine on a unix socket: what the watchdog asks of one, and a record of everything it asked.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{Answer, Request};
use super::server::{Handler, Server, Socket, Stop};

/// One container, as the engine sees it.
#[derive(Clone, Debug)]
pub struct Container {
    /// Name, without the slash.
    pub name: String,
    /// created, running, paused, restarting, exited, removing or dead.
    pub state: String,
    /// healthy, unhealthy, starting; empty = no health check.
    pub health: String,
    /// The exit status.
    pub exit_code: i64,
    /// Restarts by policy.
    pub restarts: u64,
    /// `OOMKilled`
    pub oom_killed: bool,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// When it started and ended, if that is to be something else than usual.
    pub dates: Option<String>,
}

impl Container {
    /// A container that runs.
    pub fn running(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: "running".to_owned(),
            health: String::new(),
            exit_code: 0,
            restarts: 0,
            oom_killed: false,
            labels: vec![("com.docker.compose.service".to_owned(), name.to_owned())],
            dates: None,
        }
    }

    /// The same, ended with this status.
    #[must_use]
    pub fn exited(mut self, exit_code: i64) -> Self {
        "exited".clone_into(&mut self.state);
        self.exit_code = exit_code;
        self
    }

    /// The same, with this health.
    #[must_use]
    pub fn health(mut self, health: &str) -> Self {
        health.clone_into(&mut self.health);
        self
    }

    /// The same, with this date wherever a date is told.
    #[must_use]
    pub fn dated(mut self, date: &str) -> Self {
        self.dates = Some(date.to_owned());
        self
    }

    fn id(&self) -> String {
        let hash = self.name.bytes().fold(7_u64, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        format!("{hash:016x}").repeat(4)
    }

    /// The status text, which carries health and exit code on every version of the engine.
    fn status(&self) -> String {
        match (self.state.as_str(), self.health.as_str()) {
            ("running", "") => "Up 4 minutes".to_owned(),
            ("running", "starting") => "Up 5 seconds (health: starting)".to_owned(),
            ("running", health) => format!("Up 4 minutes ({health})"),
            ("paused", _) => "Up 4 minutes (Paused)".to_owned(),
            ("restarting", _) => format!("Restarting ({}) 3 seconds ago", self.exit_code),
            ("exited", _) => format!("Exited ({}) 3 seconds ago", self.exit_code),
            ("dead", _) => "Dead".to_owned(),
            ("removing", _) => "Removal In Progress".to_owned(),
            _ => "Created".to_owned(),
        }
    }

    fn labels(&self) -> Value {
        self.labels
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn summary(&self) -> Value {
        json!({
            "Id": self.id(), "Names": [format!("/{}", self.name)], "Image": "example/app:1", "ImageID": "sha256:0",
            "Command": "app --serve", "Created": 1_700_000_000, "Ports": [], "Labels": self.labels(),
            "State": self.state, "Status": self.status(), "HostConfig": {"NetworkMode": "default"},
            "NetworkSettings": {"Networks": {}}, "Mounts": [],
        })
    }

    fn details(&self) -> Value {
        let running = matches!(self.state.as_str(), "running" | "paused" | "restarting");
        let mut state = json!({
            "Status": self.state, "Running": running, "Paused": self.state == "paused",
            "Restarting": self.state == "restarting", "OOMKilled": self.oom_killed, "Dead": self.state == "dead",
            "Pid": if running { 4242 } else { 0 }, "ExitCode": self.exit_code, "Error": "",
            "StartedAt": "2026-01-02T03:04:05.123456789Z",
            "FinishedAt": if running { "0001-01-01T00:00:00Z" } else { "2026-01-02T03:05:05.5Z" },
        });
        if let Some(date) = &self.dates {
            state["StartedAt"] = json!(date);
            state["FinishedAt"] = json!(date);
        }
        if !self.health.is_empty() {
            state["Health"] = json!({"Status": self.health, "FailingStreak": 3, "Log": [
                {"Start": "2026-01-02T03:04:05Z", "End": "2026-01-02T03:04:06Z", "ExitCode": 1, "Output": "it <hurts> & how"},
            ]});
        }
        json!({
            "Id": self.id(), "Name": format!("/{}", self.name), "RestartCount": self.restarts, "State": state,
            "Config": {"Env": ["DATABASE_PASSWORD=theEnvironmentOfAContainerIsSecret"], "Labels": self.labels()},
            "HostConfig": {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Memory": 0},
        })
    }
}

#[derive(Default)]
struct State {
    containers: Vec<Container>,
    /// What is answered to a path that holds this text.
    fault: Option<(String, Answer)>,
    requests: Vec<Request>,
    listeners: Vec<Sender<Word>>,
}

/// What is sent to those who listen to events.
#[derive(Clone)]
enum Word {
    /// An event in a chunk of its own.
    Whole(String),
    /// Half of that chunk, and then the end of the connection.
    Cut(String),
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    came: Condvar,
}

/// The engine. Its containers change when the test says so.
pub struct FakeEngine {
    server: Server,
    shared: Arc<Shared>,
    folder: tempfile::TempDir,
}

impl FakeEngine {
    /// Listens on a socket of its own with these containers.
    pub fn start(containers: impl IntoIterator<Item = Container>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        Self::of(containers, folder, |handler| Server::unix(&path, handler))
    }

    /// Listens on a free port, as a socket proxy does.
    pub fn over_tcp(containers: impl IntoIterator<Item = Container>) -> Self {
        Self::of(containers, tempfile::tempdir().unwrap(), Server::tcp)
    }

    fn of(
        containers: impl IntoIterator<Item = Container>,
        folder: tempfile::TempDir,
        listen: impl FnOnce(Handler) -> Server,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        shared.state.lock().unwrap().containers.extend(containers);
        let serving = Arc::clone(&shared);
        let handler: Handler = Arc::new(move |mut socket, stop| serving.serve(&mut socket, stop));
        Self {
            server: listen(handler),
            shared,
            folder,
        }
    }

    /// The address as `WATCHDOG_DOCKER_HOST` takes it.
    pub fn host(&self) -> String {
        self.server.url()
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a container, or replaces the one of that name.
    pub fn set(&self, container: Container) {
        let mut state = self.shared.state.lock().unwrap();
        state.containers.retain(|known| known.name != container.name);
        state.containers.push(container);
    }

    /// Removes a container.
    pub fn remove(&self, name: &str) {
        self.shared
            .state
            .lock()
            .unwrap()
            .containers
            .retain(|known| known.name != name);
    }

    /// Sends an event about a container to everyone who listens.
    ///
    /// # Panics
    /// If there is no such container.
    pub fn event(&self, action: &str, name: &str, attributes: &[(&str, &str)]) {
        self.tell(Word::Whole, action, name, attributes);
    }

    /// Begins to send an event, and closes the connection amid its chunk.
    ///
    /// # Panics
    /// If there is no such container.
    pub fn cut_event(&self, action: &str, name: &str, attributes: &[(&str, &str)]) {
        self.tell(Word::Cut, action, name, attributes);
    }

    fn tell(&self, how: impl Fn(String) -> Word, action: &str, name: &str, attributes: &[(&str, &str)]) {
        let mut state = self.shared.state.lock().unwrap();
        let container = state.containers.iter().find(|known| known.name == name).unwrap();
        let mut all = json!({"name": name, "image": "example/app:1"});
        for (key, value) in attributes {
            all[*key] = json!(value);
        }
        let event = json!({
            "status": action, "id": container.id(), "from": "example/app:1", "Type": "container", "Action": action,
            "Actor": {"ID": container.id(), "Attributes": all}, "scope": "local",
            "time": 1_700_000_000, "timeNano": 1_700_000_000_000_000_000_u64,
        });
        let word = how(format!("{event}\n"));
        let goes_on = matches!(word, Word::Whole(_));
        state
            .listeners
            .retain(|listener| listener.send(word.clone()).is_ok() && goes_on);
    }

    /// Answers everything with this, until [`FakeEngine::heal`].
    pub fn fail(&self, answer: Answer) {
        self.fail_at("", answer);
    }

    /// Answers this to every path that holds `part`, until [`FakeEngine::heal`].
    pub fn fail_at(&self, part: &str, answer: Answer) {
        self.shared.state.lock().unwrap().fault = Some((part.to_owned(), answer));
    }

    /// Answers properly again.
    pub fn heal(&self) {
        self.shared.state.lock().unwrap().fault = None;
    }

    /// Closes the socket until [`FakeEngine::restart`].
    pub fn stop(&mut self) {
        self.shared.state.lock().unwrap().listeners.clear();
        self.server.close();
    }

    /// Listens again.
    pub fn restart(&mut self) {
        self.server.reopen();
    }

    /// Everything that was asked.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// Waits until somebody listens to the events.
    ///
    /// # Panics
    /// If nobody does in time.
    pub fn wait_for_listener(&self, within: Duration) {
        let state = self.shared.state.lock().unwrap();
        let (state, _) = self
            .shared
            .came
            .wait_timeout_while(state, within, |state| state.listeners.is_empty())
            .unwrap();
        assert!(!state.listeners.is_empty(), "nobody listens within {within:?}");
    }

    /// Waits until `more` requests whose path holds `part` have come after those that there are.
    ///
    /// # Panics
    /// If they do not come in time.
    pub fn wait_for_more(&self, part: &str, more: usize, within: Duration) {
        let until = Instant::now() + within;
        let state = self.shared.state.lock().unwrap();
        let matching = |state: &State| {
            state
                .requests
                .iter()
                .filter(|request| request.path.contains(part))
                .count()
        };
        let before = matching(&state);
        let left = until.saturating_duration_since(Instant::now());
        let (state, _) = self
            .shared
            .came
            .wait_timeout_while(state, left, |state| matching(state) < before + more)
            .unwrap();
        assert!(
            matching(&state) >= before + more,
            "not {more} requests of {part} in {within:?}"
        );
    }
}

impl Shared {
    fn serve(&self, socket: &mut Socket, stop: &Stop) {
        while let Some(request) = Request::read(socket) {
            let path = request.path.clone();
            let method = request.method.clone();
            let fault = {
                let mut state = self.state.lock().unwrap();
                state.requests.push(request);
                let fault = state.fault.as_ref();
                fault
                    .filter(|(part, _)| path.contains(part))
                    .map(|(_, answer)| answer.clone())
            };
            self.came.notify_all();
            let outcome = match fault {
                Some(fault) => {
                    drop(fault.write(socket, stop));
                    return;
                }
                None if is_events(&path) => return self.events(socket, stop, &path),
                None => socket.write_all(&self.answer(&method, &path)),
            };
            if outcome.is_err() {
                return;
            }
        }
    }

    fn answer(&self, method: &str, path: &str) -> Vec<u8> {
        let state = self.state.lock().unwrap();
        let place = path.split('?').next().unwrap_or_default();
        let unversioned = place
            .strip_prefix("/v1.")
            .and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        match (method, unversioned.unwrap_or(place)) {
            ("GET" | "HEAD", "/_ping") => reply(200, "text/plain; charset=utf-8", "OK"),
            ("GET", "/containers/json") => {
                let all = path.contains("all=1") || path.contains("all=true");
                let listed = state
                    .containers
                    .iter()
                    .filter(|known| all || known.state == "running");
                let list: Vec<Value> = listed.map(Container::summary).collect();
                reply(200, "application/json", &Value::from(list).to_string())
            }
            ("GET", place) => {
                let wanted = place
                    .strip_prefix("/containers/")
                    .and_then(|rest| rest.strip_suffix("/json"));
                let known = |known: &&Container| {
                    wanted.is_some_and(|wanted| known.id().starts_with(wanted) || known.name == wanted)
                };
                match state.containers.iter().find(known) {
                    Some(container) => reply(200, "application/json", &container.details().to_string()),
                    None => reply(404, "application/json", r#"{"message":"page not found"}"#),
                }
            }
            _ => reply(
                405,
                "application/json",
                r#"{"message":"this fake is not to be changed"}"#,
            ),
        }
    }

    /// Streams events in chunks for as long as both sides want to.
    fn events(&self, socket: &mut Socket, stop: &Stop, path: &str) {
        let (sender, receiver) = mpsc::channel();
        // `until` in the past ends the answer after what was kept, and nothing was.
        if !path.contains("until=") {
            self.state.lock().unwrap().listeners.push(sender);
            self.came.notify_all();
        }
        let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.52\r\nContent-Type: application/jsonl\r\nTransfer-Encoding: chunked\r\n\r\n";
        if socket.write_all(head.as_bytes()).is_err() {
            return;
        }
        loop {
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(Word::Cut(line)) => {
                    let (half, _) = line.split_at(line.len() / 2);
                    drop(write!(socket, "{:x}\r\n{half}", line.len()));
                    return;
                }
                Ok(Word::Whole(line)) => {
                    let chunk = format!("{:x}\r\n{line}\r\n", line.len());
                    if socket.write_all(chunk.as_bytes()).is_err() {
                        return;
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) if !stop.wait(Duration::ZERO) => {}
                Err(_) => {
                    drop(socket.write_all(b"0\r\n\r\n"));
                    return;
                }
            }
        }
    }
}

fn is_events(path: &str) -> bool {
    path.split('?')
        .next()
        .is_some_and(|place| place.ends_with("/events"))
}

fn reply(status: u16, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Answer\r\nApi-Version: 1.52\r\nServer: Docker/29.0.0 (linux)\r\nOstype: linux\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

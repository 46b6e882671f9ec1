//! The image beside a real Docker Engine: it starts from the Compose file alone, and what happens to real containers is told.
//!
//! Needs an engine, hence ignored in a plain run:
//!
//! ```text
//! eval "$(tests/engine.sh up)"
//! cargo test -p watchdog-tests --test engine -- --ignored --nocapture
//! ```
//!
//! No image can be pulled, so every container here is one static program in an image made `FROM scratch`. The tests
//! take turns, since the Compose file names its container, and remove every container they made.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use watchdog_tests::engine::{
    Engine, SUBJECT, SUBJECT_WITH_HEALTH, Shared, Subject, build_subjects, docker, make_readable, repository,
    socket, stdout, succeed,
};
use watchdog_tests::fake::FakeTelegram;
use watchdog_tests::fake::telegram::{CHAT_ID, TOKEN};

/// The container that the Compose file makes.
const WATCHDOG: &str = "orchestrator-watchdog";
/// What the image may weigh: 2.1 MiB.
const IMAGE_BYTES_MAX: u64 = 2_202_009;
/// How long anything may take to be told. The watchdog looks every second here; the rest is room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(45);

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn the_image_holds_one_small_binary_and_no_way_around_it() {
    // What ships must be small, owned by nobody and without a shell: the figures are the engine's own.
    let _turn = turn();
    let size: u64 = inspect_image("{{.Size}}").parse().unwrap();
    println!("image: {size} bytes, {:.2} MiB", size as f64 / f64::from(1 << 20));
    assert!(
        size <= IMAGE_BYTES_MAX,
        "the image has {size} bytes, over {IMAGE_BYTES_MAX}"
    );
    assert_eq!(inspect_image("{{.Config.User}}"), "65532:65532");
    assert_eq!(inspect_image("{{json .Config.Entrypoint}}"), r#"["/watchdog"]"#);
    assert_eq!(inspect_image("{{json .Config.Healthcheck}}"), "null");
    assert_eq!(inspect_image("{{len .RootFS.Layers}}"), "1");
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn compose_up_without_any_env_file_starts_and_looks_around() {
    // A missing .env.watchdog must never keep it from starting: `up` with the shipped file alone, then `check` inside.
    let turn = turn();
    let env_file = repository().join("deploy/.env.watchdog");
    assert!(
        !env_file.exists(),
        "{} is in the way of this test",
        env_file.display()
    );
    let watchdog = Watchdog::up(&turn, &[], socket_gid());

    let check = watchdog.exec("check");
    let table = stdout(&check);
    println!("{table}");
    assert_eq!(
        check.status.code(),
        Some(1),
        "no orchestrator runs here, so `check` must say so: {table}"
    );
    assert_eq!(state_of("orch_down", &table), "active");
    assert_eq!(
        state_of("docker_down", &table),
        "clear",
        "the socket's group was given"
    );
    assert_eq!(
        state_of("disk_readonly:/", &table),
        "clear",
        "a read-only mount is no read-only disk"
    );
    assert_eq!(state_of("mem_low", &table), "clear");
    assert_eq!(watchdog.state("{{.State.Status}} {{.RestartCount}}"), "running 0");

    let asked = Instant::now();
    docker(&["stop", "--time", "10", WATCHDOG]);
    let lasted = asked.elapsed();
    assert_eq!(
        watchdog.state("{{.State.ExitCode}}"),
        "0",
        "SIGTERM must end it in good order, also as PID 1"
    );
    assert!(lasted < Duration::from_secs(3), "it took {lasted:?} to end");
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn a_socket_of_another_group_is_named_as_what_it_is() {
    // Without the right DOCKER_GID the socket answers EACCES; the reason must tell the operator what to do about it.
    let turn = turn();
    let watchdog = Watchdog::up(&turn, &[], "65000".to_owned());
    let table = stdout(&watchdog.exec("check"));
    let line = table.lines().find(|line| line.contains("docker_down"));
    let line = line.unwrap_or_else(|| panic!("no docker_down in {table}"));
    assert!(
        line.contains("permission denied: set DOCKER_GID to the socket's group"),
        "{line}"
    );
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn real_containers_are_broken_and_mended_and_both_are_told() {
    // Every way to break that people know is done to a real container; the log and the chat must hear of each, and of
    // its end; what an operator stops on purpose must stay unsaid.
    let turn = turn();
    let telegram = FakeTelegram::start();
    let certificate = Shared::new();
    fs::copy(telegram.ca_file(), certificate.path("ca.pem")).unwrap();
    make_readable(&certificate.path("ca.pem"));

    let cast = Cast::on_stage();
    let watchdog = Watchdog::up_with(
        &turn,
        &[
            ("WATCHDOG_INTERVAL", "1s"),
            ("WATCHDOG_TIMEOUT", "1s"),
            ("WATCHDOG_ORCH_URL", "off"),
            ("WATCHDOG_CONTAINERS", "subject-listed"),
            ("WATCHDOG_TELEGRAM_API_URL", &telegram.url()),
            ("WATCHDOG_TELEGRAM_TOKEN", TOKEN),
            ("WATCHDOG_TELEGRAM_CHAT_ID", &CHAT_ID.to_string()),
            ("WATCHDOG_CA_FILE", "/certificate/ca.pem"),
        ],
        socket_gid(),
        &[format!("{}:/certificate:ro", certificate.folder().display())],
    );
    telegram.wait_for("STARTED", PATIENCE);
    // An alarm before anything broke would make everything below worthless.
    assert_eq!(telegram.lines("FIRING"), Vec::<String>::new());

    let (loops, eats) = cast.break_all(&watchdog);
    cast.mend_all(&watchdog, loops, eats);

    for signal in [
        "container_down:subject-dies",
        "container_down:subject-listed",
        "container_unhealthy:subject-sick",
        "container_restarting:subject-loops",
        "container_oom:subject-eats",
    ] {
        telegram.wait_for(&format!("FIRING {signal}"), PATIENCE);
        telegram.wait_for(&format!("RESOLVED {signal}"), PATIENCE);
    }
    let log = watchdog.log();
    for silent in ["container_down:subject-stopped", "container_down:subject-loops"] {
        // Who is stopped by an operator, and who is brought back by the engine, is not down.
        assert!(!log.contains(&format!("signal={silent}")), "{silent} in\n{log}");
    }
    assert!(!log.contains(TOKEN), "the token is in the log");
    assert_eq!(watchdog.state("{{.State.Status}} {{.RestartCount}}"), "running 0");
    assert_eq!(telegram.faults(), Vec::<String>::new());
    println!("memory by the engine's count: {}", watchdog.memory());
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn behind_the_proxy_it_sees_all_it_needs_and_the_rest_is_refused() {
    // By the two Compose files that ship and a real HAProxy: deaths are told as ever, by events and inspections; other
    // requests are answered 403 by the socket that the watchdog has; and a proxy that refuses too much is named.
    let turn = turn();
    println!(
        "{}",
        succeed(&mut Command::new(repository().join("tests/haproxy_image.sh")))
    );
    let proxy = Proxy::new();
    let watchdog = Watchdog::up_behind(&turn, &proxy);
    wait_until("an engine through the proxy", || {
        let table = stdout(&watchdog.exec("check"));
        table.contains("docker_down") && state_of("docker_down", &table) == "clear"
    });
    let table = stdout(&watchdog.exec("check"));
    assert!(!table.contains("events refused"), "{table}");
    wait_until("a look around", || watchdog.log().contains("STARTED"));
    let subject = Subject::that_runs("subject-behind", &[], SUBJECT);
    subject.end_now();
    watchdog.wait_for_event("firing", "container_down:subject-behind", "exited 3");

    for (request, status) in [
        ("GET /version", "200"),
        ("GET /v1.41/containers/json?all=1", "200"),
        ("POST /containers/create", "403"),
        ("POST /containers/json", "403"),
        ("HEAD /containers/json", "403"),
        ("GET /images/json", "403"),
        ("GET /containers/ab12/logs", "403"),
        ("GET /containers/ab12/archive?path=/", "403"),
        ("GET /containers/json/../../images/json", "403"),
        ("GET /containers/%2e%2e/images/json", "403"),
        ("GET //containers/json", "403"),
    ] {
        let answer = proxy.ask(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
    }

    proxy.refuse_the_list();
    watchdog.wait_for_event("firing", "docker_down", "");
    // What fired may have been the moment in which no proxy was there.
    wait_until("a refusal that is named", || {
        let table = stdout(&watchdog.exec("check"));
        let line = table.lines().find(|line| line.starts_with("docker_down"));
        line.is_some_and(|line| line.contains("the proxy refuses /containers/json"))
    });
}

/// The container of HAProxy that `compose.proxy.yaml` makes.
struct Proxy {
    folder: Shared,
}

impl Proxy {
    const NAME: &str = "orchestrator-watchdog-proxy";

    /// One by the rules that ship.
    fn new() -> Self {
        let folder = Shared::new();
        let rules = folder.path("haproxy.cfg");
        fs::copy(repository().join("deploy/haproxy.cfg"), &rules).unwrap();
        Self { folder }
    }

    fn rules(&self) -> PathBuf {
        self.folder.path("haproxy.cfg")
    }

    /// Sends one request by the socket that the watchdog has, and tells the answer.
    fn ask(&self, request: &str) -> String {
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", Self::NAME]);
        let path = format!("/proc/{pid}/root/run/engine/docker.sock");
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// It starts anew, with rules that leave the list out.
    fn refuse_the_list(&self) {
        let rules = fs::read_to_string(self.rules()).unwrap();
        let fewer = rules.replace("containers/json|", "");
        assert_ne!(rules, fewer, "the rules do not name the list");
        // The same file, written over: that is what is mounted.
        fs::write(self.rules(), fewer).unwrap();
        docker(&["restart", "--time", "1", Self::NAME]);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Command::new("docker").args(["logs", Self::NAME]).output();
            eprintln!("the proxy's log: {log:?}");
        }
        for words in [
            ["rm", "--force", Self::NAME],
            ["volume", "rm", "orchestrator-watchdog_engine"],
        ] {
            drop(Command::new("docker").args(words).output());
        }
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "no {what} in {PATIENCE:?}");
        sleep(Duration::from_millis(200));
    }
}

/// The containers of the story that run from its beginning.
struct Cast {
    dies: Subject,
    listed: Subject,
    stopped: Subject,
    sick: Subject,
}

impl Cast {
    fn on_stage() -> Self {
        Self {
            dies: Subject::that_runs("subject-dies", &[], SUBJECT),
            listed: Subject::that_runs("subject-listed", &[], SUBJECT),
            stopped: Subject::that_runs("subject-stopped", &[], SUBJECT),
            sick: Subject::that_runs("subject-sick", &[], SUBJECT_WITH_HEALTH),
        }
    }

    /// Breaks one after the other, each in its own way, and waits until each is told. Two more come up broken.
    fn break_all(&self, watchdog: &Watchdog<'_>) -> (Subject, Subject) {
        self.dies.end_now();
        watchdog.wait_for_event("firing", "container_down:subject-dies", "exited 3");
        self.listed.stop();
        self.stopped.stop();
        watchdog.wait_for_event("firing", "container_down:subject-listed", "");
        self.sick.mark("sick");
        watchdog.wait_for_event("firing", "container_unhealthy:subject-sick", "");
        let (restart, crash) = (["--restart", "always"], ["after", "100", "1"]);
        let loops = Subject::new("subject-loops", &restart, SUBJECT, &crash);
        watchdog.wait_for_event("firing", "container_restarting:subject-loops", "");
        let limit = ["--memory", "16m", "--memory-swap", "16m"];
        let eats = Subject::new("subject-eats", &limit, SUBJECT, &["eat"]);
        watchdog.wait_for_event("firing", "container_oom:subject-eats", "");
        (loops, eats)
    }

    /// Mends them all, and waits until each is told.
    fn mend_all(&self, watchdog: &Watchdog<'_>, loops: Subject, eats: Subject) {
        self.dies.begin_again();
        watchdog.wait_for_event("resolved", "container_down:subject-dies", "");
        self.listed.begin_again();
        watchdog.wait_for_event("resolved", "container_down:subject-listed", "");
        self.sick.unmark("sick");
        watchdog.wait_for_event("resolved", "container_unhealthy:subject-sick", "");
        // Both last ten quiet minutes; a container that is removed is gone at once.
        drop(loops);
        watchdog.wait_for_event("resolved", "container_restarting:subject-loops", "");
        drop(eats);
        watchdog.wait_for_event("resolved", "container_oom:subject-eats", "");
    }
}

fn variables(pairs: &[(&str, &str)]) -> serde_json::Map<String, serde_json::Value> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect()
}

/// What `check` says of a signal.
fn state_of(signal: &str, table: &str) -> String {
    let line = table
        .lines()
        .find(|line| line.split_whitespace().next() == Some(signal));
    let state = line.and_then(|line| line.split_whitespace().nth(1));
    state
        .unwrap_or_else(|| panic!("no {signal} in {table}"))
        .to_owned()
}

/// The watchdog in its container, by the Compose file that ships.
struct Watchdog<'turn> {
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
    _override: TempDir,
    _turn: &'turn MutexGuard<'static, ()>,
}

impl<'turn> Watchdog<'turn> {
    fn up(turn: &'turn MutexGuard<'static, ()>, environment: &[(&str, &str)], gid: String) -> Self {
        Self::up_with(turn, environment, gid, &[])
    }

    fn up_with(
        turn: &'turn MutexGuard<'static, ()>,
        environment: &[(&str, &str)],
        gid: String,
        volumes: &[String],
    ) -> Self {
        let mut services = serde_json::Map::new();
        if !environment.is_empty() {
            let service = serde_json::json!({"environment": variables(environment), "volumes": volumes});
            services.insert(WATCHDOG.to_owned(), service);
        }
        Self::up_by(turn, &["compose.yaml"], gid, services)
    }

    /// The watchdog with `proxy` between it and the engine.
    fn up_behind(turn: &'turn MutexGuard<'static, ()>, proxy: &Proxy) -> Self {
        let environment = variables(&[("WATCHDOG_INTERVAL", "1s"), ("WATCHDOG_ORCH_URL", "off")]);
        let mut services = serde_json::Map::new();
        services.insert(
            WATCHDOG.to_owned(),
            serde_json::json!({"environment": environment}),
        );
        let rules = format!("{}:/etc/haproxy.cfg:ro", proxy.rules().display());
        services.insert("docker-proxy".to_owned(), serde_json::json!({"volumes": [rules]}));
        Self::up_by(
            turn,
            &["compose.yaml", "compose.proxy.yaml"],
            socket_gid(),
            services,
        )
    }

    /// By these files of `deploy`, and what is to be different in a test.
    fn up_by(
        turn: &'turn MutexGuard<'static, ()>,
        files: &[&str],
        gid: String,
        services: serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let mut paths: Vec<PathBuf> = files
            .iter()
            .map(|file| repository().join("deploy").join(file))
            .collect();
        if !services.is_empty() {
            // Compose reads JSON too, since YAML does.
            let path = folder.path().join("override.yaml");
            fs::write(&path, serde_json::json!({"services": services}).to_string()).unwrap();
            paths.push(path);
        }
        let files = paths
            .iter()
            .flat_map(|path| ["-f".to_owned(), path.display().to_string()]);
        let variables = vec![
            ("DOCKER_SOCKET", socket().display().to_string()),
            ("DOCKER_GID", gid),
            ("PROXY_IMAGE", "watchdog-haproxy:test".to_owned()),
        ];
        let watchdog = Self {
            arguments: std::iter::once("compose".to_owned()).chain(files).collect(),
            variables,
            _override: folder,
            _turn: turn,
        };
        watchdog.compose(&["up", "--detach", "--no-build"]);
        watchdog
    }

    fn compose(&self, words: &[&str]) {
        let mut command = Command::new("docker");
        command
            .args(&self.arguments)
            .args(words)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        succeed(&mut command);
    }

    fn exec(&self, word: &str) -> Output {
        Command::new("docker")
            .args(["exec", WATCHDOG, "/watchdog", word])
            .output()
            .unwrap()
    }

    fn state(&self, format: &str) -> String {
        docker(&["inspect", "--format", format, WATCHDOG])
    }

    fn memory(&self) -> String {
        docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", WATCHDOG])
    }

    fn log(&self) -> String {
        docker(&["logs", WATCHDOG])
    }

    /// Waits for the log line of an event, and checks that it says `detail`.
    fn wait_for_event(&self, event: &str, signal: &str, detail: &str) {
        let end = Instant::now() + PATIENCE;
        let (event, signal) = (format!(" event={event} "), format!(" signal={signal} "));
        loop {
            let log = self.log();
            if let Some(line) = log
                .lines()
                .find(|line| line.contains(&event) && line.contains(&signal))
            {
                assert!(line.contains(detail), "{detail:?} is not in {line}");
                println!("{line}");
                return;
            }
            assert!(
                Instant::now() < end,
                "no{event}of{signal}in {PATIENCE:?}; the log is\n{log}"
            );
            sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Watchdog<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Command::new("docker").args(["logs", WATCHDOG]).output();
            eprintln!("the watchdog's log: {log:?}");
        }
        drop(Command::new("docker").args(["rm", "--force", WATCHDOG]).output());
    }
}

/// The right to use the engine, with all images built.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    static IMAGES: OnceLock<()> = OnceLock::new();
    // A test that failed has removed its containers all the same.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    IMAGES.get_or_init(build_images);
    turn
}

fn build_images() {
    println!(
        "{}",
        succeed(&mut Command::new(repository().join("deploy/build.sh")))
    );
    build_subjects(&Engine::given());
}

/// What the operator is told to find out by `stat -c %g`.
fn socket_gid() -> String {
    succeed(Command::new("stat").args(["-c", "%g"]).arg(socket()))
}

fn inspect_image(format: &str) -> String {
    docker(&[
        "image",
        "inspect",
        "--format",
        format,
        "orchestrator-watchdog:latest",
    ])
}

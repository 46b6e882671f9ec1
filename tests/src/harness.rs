//! The real binary as a child process: built once, started with a clean environment, read line by line, ended by its pid.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fake::telegram::{CHAT_ID, TOKEN};
use crate::fake::{FakeDns, FakeEngine, FakeOrchestrator, FakeTelegram};
use crate::logfmt;
use crate::strace::Strace;

/// How long a test waits for what must come: many times what it takes, for machines that do other things too.
pub const SOON: Duration = Duration::from_secs(30);

/// The binary under test: `WATCHDOG_BIN` if it is set, else built once, with the profile of this test run.
///
/// It is built alone, as it ships: in the build of the whole workspace the tests' features would be in it.
///
/// # Panics
/// If it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("WATCHDOG_BIN").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let folder = profile_folder();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(cargo);
    // What cargo told this test about its own package would look like a change to the build scripts of some crates, and
    // have them built again and again.
    for (name, _) in std::env::vars_os() {
        let told = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_EXE_",
            "CARGO_CRATE_NAME",
            "CARGO_PRIMARY_PACKAGE",
        ];
        if name
            .to_str()
            .is_some_and(|name| told.iter().any(|prefix| name.starts_with(prefix)))
        {
            command.env_remove(name);
        }
    }
    let status = command
        .args([
            "build",
            "--quiet",
            "--package",
            "watchdog-daemon",
            "--bin",
            "watchdog",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "the watchdog does not build: {status}");
    folder.join("watchdog")
}

/// `target/<profile>`: this program lies in it, or, if it is a test, in its `deps`.
fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let mut folder = program.parent().unwrap();
    if folder.ends_with("deps") {
        folder = folder.parent().unwrap();
    }
    folder.to_owned()
}

/// The number behind this word on the command line of a program of the tests.
///
/// # Panics
/// If what stands there is none.
pub fn number_after(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args();
    let given = arguments
        .find(|argument| argument == name)
        .and_then(|_| arguments.next());
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// Variables and arguments of a run to come.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    variables: BTreeMap<String, String>,
    arguments: Vec<String>,
    binary: Option<PathBuf>,
}

impl Setup {
    /// No variable at all.
    pub fn bare() -> Self {
        Self::default()
    }

    /// A tick a second, and every source off, so that a test sees what it switched on and nothing of this machine.
    pub fn quiet() -> Self {
        Self::bare()
            .set("WATCHDOG_NAME", "host-1")
            .set("WATCHDOG_INTERVAL", "1s")
            .set("WATCHDOG_ORCH_URL", "off")
            .set("WATCHDOG_DOCKER_HOST", "off")
            .set("WATCHDOG_MEM_AVAILABLE_MIN", "off")
            .set("WATCHDOG_FD_MAX", "off")
    }

    /// Sets one variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.insert(name.to_owned(), value.to_string());
        self
    }

    /// Removes one variable.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Runs another binary than [`binary`].
    #[must_use]
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = Some(path.to_owned());
        self
    }

    /// Looks at this orchestrator.
    #[must_use]
    pub fn orchestrator(self, orchestrator: &FakeOrchestrator) -> Self {
        self.set("WATCHDOG_ORCH_URL", orchestrator.url())
    }

    /// Looks at this engine.
    #[must_use]
    pub fn engine(self, engine: &FakeEngine) -> Self {
        self.set("WATCHDOG_DOCKER_HOST", engine.host())
    }

    /// Tells this Telegram.
    #[must_use]
    pub fn telegram(self, telegram: &FakeTelegram) -> Self {
        self.set("WATCHDOG_TELEGRAM_TOKEN", TOKEN)
            .set("WATCHDOG_TELEGRAM_CHAT_ID", CHAT_ID)
            .set("WATCHDOG_TELEGRAM_API_URL", telegram.url())
            .set("WATCHDOG_CA_FILE", telegram.ca_file().display())
    }

    /// Asks this name server.
    #[must_use]
    pub fn nameserver(self, dns: &FakeDns) -> Self {
        self.set("WATCHDOG_NAMESERVER", dns.address())
    }

    /// K and M.
    #[must_use]
    pub fn ticks(self, raise: u32, clear: u32) -> Self {
        self.set("WATCHDOG_RAISE_TICKS", raise)
            .set("WATCHDOG_CLEAR_TICKS", clear)
    }

    fn program(&self) -> &Path {
        self.binary.as_deref().unwrap_or_else(|| binary())
    }

    /// The command, for tests that want to start it in their own way.
    pub fn command(&self) -> Command {
        self.dressed(Command::new(self.program()))
    }

    fn dressed(&self, mut command: Command) -> Command {
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end: for `check`, `config` and the like.
    ///
    /// # Panics
    /// If it does not end in half a minute.
    pub fn output(&self) -> Output {
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let out = thread::spawn(move || all_of(&mut stdout));
        let errors = thread::spawn(move || all_of(&mut stderr));
        let status = wait(&mut child, SOON);
        if status.is_none() {
            drop(child.kill());
        }
        let output = Output {
            status: child.wait().unwrap(),
            stdout: out.join().unwrap(),
            stderr: errors.join().unwrap(),
        };
        assert!(status.is_some(), "{:?} does not end: {output:?}", self.arguments);
        output
    }

    /// Runs `check --json` and takes its document apart.
    ///
    /// # Panics
    /// If stdout is not one JSON document.
    pub fn check(&self) -> Checked {
        let output = self.clone().argument("check").argument("--json").output();
        let document =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        Checked {
            status: output.status.code().unwrap(),
            document,
        }
    }

    /// Starts the daemon.
    pub fn start(&self) -> Watchdog {
        Watchdog::of(self.command(), None)
    }

    /// Starts the daemon with its system calls recorded, or made to fail.
    pub fn start_traced(&self, strace: Strace) -> Watchdog {
        let command = self.dressed(strace.command(self.program()));
        Watchdog::of(command, Some(strace))
    }
}

/// What `check --json` said.
#[derive(Debug)]
pub struct Checked {
    /// The exit status.
    pub status: i32,
    /// The document, as `/status` has it.
    pub document: serde_json::Value,
}

impl Checked {
    /// The entry of a signal.
    pub fn signal(&self, id: &str) -> Option<&serde_json::Value> {
        self.document["signals"]
            .as_array()?
            .iter()
            .find(|signal| signal["signal"] == id)
    }

    /// The state of a signal; `absent` if it is not listed.
    pub fn state(&self, id: &str) -> &str {
        self.signal(id)
            .and_then(|signal| signal["state"].as_str())
            .unwrap_or("absent")
    }

    /// The detail of a signal.
    pub fn detail(&self, id: &str) -> &str {
        self.signal(id)
            .and_then(|signal| signal["detail"].as_str())
            .unwrap_or("")
    }
}

/// Does the same with every case, all at once, and tells which ones failed.
///
/// Most of a test's time is waiting for ticks; a case a core would take minutes.
///
/// # Panics
/// If any case panics.
pub fn each_at_once<T: Sync>(cases: &[(&str, T)], act: impl Fn(&str, &T) + Sync) {
    let act = &act;
    let failed: Vec<&str> = thread::scope(|scope| {
        let running: Vec<_> = cases
            .iter()
            .map(|(name, case)| (*name, scope.spawn(move || act(name, case))))
            .collect();
        running
            .into_iter()
            .filter_map(|(name, thread)| thread.join().is_err().then_some(name))
            .collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
}

fn all_of(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    bytes
}

/// Waits for the end of a child; none if it does not come in time.
pub fn wait(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() >= until {
            return None;
        }
        // The end of a child can only be waited for without a bound, or asked for.
        thread::sleep(Duration::from_millis(5));
    }
}

/// One line of its log.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// All of it.
    pub text: String,
    /// Its fields; empty if it is no logfmt.
    pub fields: BTreeMap<String, String>,
}

impl Line {
    /// A field, or nothing.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Whether it tells this event of this signal.
    pub fn tells(&self, event: &str, signal: &str) -> bool {
        self.field("event") == event && self.field("signal") == signal
    }
}

#[derive(Default)]
struct Lines {
    lines: Mutex<Vec<Line>>,
    came: Condvar,
}

/// The running daemon. It is killed when this is dropped.
pub struct Watchdog {
    child: Child,
    lines: Arc<Lines>,
    stderr: Arc<Lines>,
    strace: Option<Strace>,
    /// When it was started.
    pub started: Instant,
}

impl Watchdog {
    fn of(mut command: Command, strace: Option<Strace>) -> Self {
        let started = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self {
            child,
            lines,
            stderr,
            strace,
            started,
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it wrote to stdout so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lines.lock().unwrap().clone()
    }

    /// The lines that tell this event of this signal.
    pub fn told(&self, event: &str, signal: &str) -> Vec<Line> {
        self.lines()
            .into_iter()
            .filter(|line| line.tells(event, signal))
            .collect()
    }

    /// Everything that it wrote, stdout and stderr, as one text.
    pub fn output(&self) -> String {
        let stderr = self.stderr.lines.lock().unwrap().clone();
        let all: Vec<String> = self
            .lines()
            .into_iter()
            .chain(stderr)
            .map(|line| line.text)
            .collect();
        all.join("\n")
    }

    /// Waits for a line, also one that came before.
    ///
    /// # Panics
    /// If it does not come in time; `what` and the log are then shown.
    pub fn wait_for(&self, what: &str, within: Duration, wanted: impl Fn(&Line) -> bool) -> Line {
        let lines = self.lines.lines.lock().unwrap();
        let (lines, _) = self
            .lines
            .came
            .wait_timeout_while(lines, within, |lines| !lines.iter().any(&wanted))
            .unwrap();
        let found = lines.iter().find(|line| wanted(line)).cloned();
        drop(lines);
        found.unwrap_or_else(|| panic!("no {what} in {within:?}; the log:\n{}", self.output()))
    }

    /// Waits for an event of a signal.
    pub fn wait_event(&self, event: &str, signal: &str) -> Line {
        self.wait_for(&format!("{event} {signal}"), SOON, |line| {
            line.tells(event, signal)
        })
    }

    /// Sends SIGTERM and waits for the end; tells the status and how long it took.
    ///
    /// # Panics
    /// If it does not end.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal(Signal::TERM);
        let status = wait(&mut self.child, SOON);
        let took = asked.elapsed();
        (
            status.unwrap_or_else(|| panic!("it does not end; the log:\n{}", self.output())),
            took,
        )
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it is still there.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What strace recorded, after the end.
    ///
    /// # Panics
    /// If it was not started with strace.
    pub fn calls(&self) -> Vec<String> {
        self.strace.as_ref().unwrap().calls()
    }

    /// A figure of `/proc/<pid>/status` in KiB: `VmRSS`, `VmHWM`.
    pub fn memory_kib(&self, figure: &str) -> u64 {
        memory_kib(self.pid(), figure)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A figure of `/proc/<pid>/status` in KiB.
///
/// # Panics
/// If there is no such process or figure.
pub fn memory_kib(pid: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn collect(stream: impl Read + Send + 'static) -> Arc<Lines> {
    let lines = Arc::new(Lines::default());
    let collecting = Arc::clone(&lines);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        while stream.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
            let fields = logfmt::parse(&text).unwrap_or_default();
            collecting.lines.lock().unwrap().push(Line {
                at: Instant::now(),
                text,
                fields,
            });
            collecting.came.notify_all();
            bytes.clear();
        }
    });
    lines
}

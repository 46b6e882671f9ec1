//! What happens to containers of a real Docker Engine, told or left unsaid by the watchdog beside it.
//!
//! Needs an engine, hence ignored in a plain run (see `engine.rs`, which has the image and the Compose file). The tests
//! take turns, since by default every container of the engine is watched.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use watchdog_tests::engine::{Engine, SUBJECT, Subject, UNTIL_END, build_subjects, repository, succeed};
use watchdog_tests::harness::{SOON, Setup, Watchdog};

/// Longer than an unwanted line would take: K ticks of a second, and as much again.
const QUIET: Duration = Duration::from_secs(6);
/// Deaths of which the time to their line is taken.
const DEATHS: usize = 10;
/// Within so long a death is told, at the median, on a machine that does other things too. 300 ms is what is aimed at.
const DEATH_TO_LINE_MAX: Duration = Duration::from_secs(1);
/// Containers that are listed at once.
const CROWD: usize = 200;
/// What the memory may grow by when they come: the pages of their places, which were there but untouched.
const CROWD_KIB_MAX: u64 = 256;

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn what_an_operator_does_is_told_of_listed_containers_alone() {
    // Stopped, killed and renamed by hand: nothing to say. A listed one removed is down after K ticks, and is told as
    // resolved once one of its name is back, whatever its id. The crash at the end shows that deaths were looked at.
    let _turn = turn();
    let stopped = Subject::that_runs("subject-stopped", &[], SUBJECT);
    let killed = Subject::that_runs("subject-killed", &[], SUBJECT);
    let mut renamed = Subject::that_runs("subject-renamed", &[], SUBJECT);
    let kept = Subject::that_runs("subject-kept", &[], SUBJECT);
    let watchdog = started(setup(&Engine::given()).set("WATCHDOG_CONTAINERS", "subject-kept"));

    stopped.stop();
    killed.kill();
    renamed.rename("subject-anew");
    drop(kept);
    let down = watchdog.wait_event("firing", "container_down:subject-kept");
    assert_eq!(down.field("checks"), "3", "{}", down.text);
    assert_eq!(down.field("detail"), "not found", "{}", down.text);
    let _kept = Subject::that_runs("subject-kept", &[], SUBJECT);
    watchdog.wait_event("resolved", "container_down:subject-kept");

    sleep(QUIET);
    assert_eq!(
        told(&watchdog),
        [
            "firing container_down:subject-kept",
            "resolved container_down:subject-kept"
        ]
    );
    renamed.end_now();
    let died = watchdog.wait_event("firing", "container_down:subject-anew");
    assert_eq!(died.field("detail"), "exited 3", "{}", died.text);
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn only_the_engines_word_makes_a_death_one_for_want_of_memory() {
    // Two containers end with 137: the kernel ends the one at its memory limit, the other one ends so by itself. The first
    // alone is out of memory; of the second it is said what it ended with.
    let _turn = turn();
    let exits = Subject::new("subject-exits", &[], SUBJECT, &["until", "/flags/end", "137"]);
    let watchdog = started(setup(&Engine::given()));
    let limit = ["--memory", "16m", "--memory-swap", "16m"];
    let _eats = Subject::new("subject-eats", &limit, SUBJECT, &["eat"]);
    watchdog.wait_event("firing", "container_oom:subject-eats");
    exits.end_now();
    let died = watchdog.wait_event("firing", "container_down:subject-exits");
    assert_eq!(died.field("detail"), "exited 137 (SIGKILL)", "{}", died.text);
    sleep(QUIET);
    let told = told(&watchdog);
    assert!(
        !told
            .iter()
            .any(|line| line.ends_with("container_oom:subject-exits")),
        "{told:?}"
    );
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn the_version_spoken_is_the_engines_newest_up_to_ours() {
    // Engines of two ages are tested against: each must be spoken to in its own version, as it says itself.
    let _turn = turn();
    let engine = Engine::given();
    let newest = engine.docker(&["version", "--format", "{{.Server.APIVersion}}"]);
    let minor: u32 = newest.strip_prefix("1.").unwrap().parse().unwrap();
    let source = setup(&engine).check().document["sources"].to_string();
    println!("the engine speaks {newest}: {source}");
    assert!(source.contains(&format!("API 1.{}", minor.min(52))), "{source}");
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn an_engine_that_stops_and_starts_again_is_the_only_thing_told() {
    // While the engine is away its containers are not judged, and those that ended with it did not fail: docker_down
    // fires and resolves, and nothing else is said, neither of the listed one that comes back nor of the other.
    let _turn = turn();
    let mut own = OwnEngine::start();
    build_subjects(&own.engine);
    let always = ["--restart", "always"];
    let listed = Subject::within(&own.engine, "subject-listed", &always, SUBJECT, &UNTIL_END);
    let other = Subject::within(&own.engine, "subject-other", &[], SUBJECT, &UNTIL_END);
    let watchdog = started(setup(&own.engine).set("WATCHDOG_CONTAINERS", "subject-listed"));

    own.stop();
    watchdog.wait_event("firing", "docker_down");
    own.start_again();
    watchdog.wait_event("resolved", "docker_down");

    sleep(QUIET);
    assert_eq!(told(&watchdog), ["firing docker_down", "resolved docker_down"]);
    // It is watched as before.
    other.begin_again();
    other.end_now();
    watchdog.wait_event("firing", "container_down:subject-other");
    drop((listed, other));
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn a_death_is_told_at_once_and_not_at_the_next_tick() {
    // With a tick every ten seconds only the engine's events can be this fast.
    let _turn = turn();
    let subjects: Vec<Subject> = (0..=DEATHS)
        .map(|number| Subject::that_runs(&format!("subject-{number}"), &[], SUBJECT))
        .collect();
    let setup = setup(&Engine::given())
        .set("WATCHDOG_INTERVAL", "10s")
        .ticks(1, 1);
    let watchdog = started(setup);
    let mut times: Vec<Duration> = subjects
        .iter()
        .map(|subject| {
            let died = Instant::now();
            subject.end_now();
            let line = watchdog.wait_event("firing", &format!("container_down:{}", subject.name));
            line.at.duration_since(died)
        })
        .collect();
    // The first one may have ended before the events were asked for.
    times.remove(0);
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!(
        "from death to line: median {median:?} of {DEATHS}, {:?} to {:?}",
        times[0],
        times[times.len() - 1]
    );
    assert!(median < DEATH_TO_LINE_MAX, "{times:?}");
}

#[test]
#[ignore = "needs a Docker Engine: tests/engine.sh up"]
fn two_hundred_containers_at_once_cost_no_memory() {
    // The tables are as large as they will ever be from the start, so a crowd that comes must not be seen in what is resident.
    let _turn = turn();
    let engine = Engine::given();
    let setup = setup(&engine);
    let watchdog = started(setup.clone());
    let before = watchdog.memory_kib("VmRSS");
    let crowd = Crowd::come(&engine);
    let listed = setup.check();
    let source = listed.document["sources"].to_string();
    assert!(
        source.contains(&format!("{CROWD} containers, 0 running")),
        "{source}"
    );
    sleep(QUIET);
    let (after, peak) = (watchdog.memory_kib("VmRSS"), watchdog.memory_kib("VmHWM"));
    println!("resident with no container {before} KiB, with {CROWD} {after} KiB, at most {peak} KiB");
    assert!(
        after <= before + CROWD_KIB_MAX,
        "{before} KiB grew to {after} KiB"
    );
    assert_eq!(told(&watchdog), Vec::<String>::new());
    drop(crowd);
}

/// Containers that were made and never started: they are listed like any other.
struct Crowd {
    engine: Engine,
}

impl Crowd {
    fn come(engine: &Engine) -> Self {
        let crowd = Self {
            engine: engine.clone(),
        };
        let numbers: Vec<usize> = (0..CROWD).collect();
        thread::scope(|scope| {
            for some in numbers.chunks(CROWD / 4) {
                scope.spawn(move || {
                    for number in some {
                        let name = format!("subject-crowd-{number}");
                        engine.docker(&["create", "--network", "none", "--name", &name, SUBJECT, "eat"]);
                    }
                });
            }
        });
        crowd
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let names: Vec<String> = (0..CROWD)
            .map(|number| format!("subject-crowd-{number}"))
            .collect();
        let mut words = vec!["rm", "--force"];
        words.extend(names.iter().map(String::as_str));
        self.engine.docker(&words);
    }
}

/// An engine that this test alone uses, and so may stop.
struct OwnEngine {
    folder: TempDir,
    engine: Engine,
}

impl OwnEngine {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let engine = Engine::at(&folder.path().join("docker.sock"));
        let own = Self { folder, engine };
        own.script("up");
        own
    }

    /// Ends dockerd and keeps its data, as an upgrade does.
    fn stop(&mut self) {
        let pid = std::fs::read_to_string(self.folder.path().join("dockerd.pid")).unwrap();
        let pid = pid.trim();
        succeed(Command::new("kill").args(["-TERM", pid]));
        let process = PathBuf::from(format!("/proc/{pid}/exe"));
        // One that nobody waited for has no program any more.
        let end = Instant::now() + SOON;
        while std::fs::read_link(&process).is_ok() {
            assert!(Instant::now() < end, "dockerd does not end");
            sleep(Duration::from_millis(50));
        }
    }

    fn start_again(&self) {
        self.script("up");
    }

    fn script(&self, word: &str) {
        succeed(&mut self.command(word));
    }

    fn command(&self, word: &str) -> Command {
        let mut command = Command::new(repository().join("tests/engine.sh"));
        command.arg(word).env("WATCHDOG_ENGINE_DIR", self.folder.path());
        command
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        drop(self.command("down").output());
    }
}

/// A watchdog of this engine alone.
fn setup(engine: &Engine) -> Setup {
    Setup::quiet().set("WATCHDOG_DOCKER_HOST", engine.host())
}

/// Starts it and waits until it has looked around.
fn started(setup: Setup) -> Watchdog {
    let watchdog = setup.start();
    watchdog.wait_for("STARTED", SOON, |line| line.text.contains("STARTED"));
    watchdog
}

/// Everything that it told, in order, as `event signal`.
fn told(watchdog: &Watchdog) -> Vec<String> {
    let lines = watchdog.lines();
    let events = lines.iter().filter(|line| !line.field("signal").is_empty());
    events
        .map(|line| format!("{} {}", line.field("event"), line.field("signal")))
        .collect()
}

/// The right to use the engine, with the images built.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    static IMAGES: OnceLock<()> = OnceLock::new();
    // A test that failed has removed its containers all the same.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    IMAGES.get_or_init(|| build_subjects(&Engine::given()));
    turn
}

//! The process among others: pipes that stall or break, signals, system calls that fail, memory.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use watchdog_tests::envelope;
use watchdog_tests::fake::{Answer, FakeHttp, FakeHttps, FakeOrchestrator, FakeTelegram};
use watchdog_tests::harness::{SOON, Setup, each_at_once, memory_kib, wait};
use watchdog_tests::strace::Strace;

/// A child that is killed when the test ends, however it ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn terminate(child: &mut Ended, signal: Signal) -> Duration {
    let asked = Instant::now();
    kill_process(Pid::from_child(&child.0), signal).unwrap();
    let status = wait(&mut child.0, SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{status:?}");
    asked.elapsed()
}

/// An orchestrator of 400 stages that are all stuck at every other tick: some 100 KB of log a second.
fn chatty() -> FakeOrchestrator {
    let mut asked = 0;
    FakeOrchestrator::start(move |_| {
        asked += 1;
        let age_s = if asked % 2 == 0 { 0 } else { 999_999 };
        let mut many = envelope::healthy();
        many["stages"] = (0..400)
            .map(|number| json!({"stage": format!("a-stage-with-quite-a-long-name-{number}"), "oldest_age_s": age_s}))
            .collect();
        Answer::json(&many)
    })
}

fn chatting(orchestrator: &FakeOrchestrator) -> Setup {
    Setup::quiet()
        .orchestrator(orchestrator)
        .ticks(1, 1)
        .set("WATCHDOG_LOG", "debug")
}

/// Starts one that talks much, with this standard output.
fn chatting_into(orchestrator: &FakeOrchestrator, stdout: impl Into<Stdio>) -> Ended {
    let mut command = chatting(orchestrator).command();
    Ended(command.stdout(stdout).stderr(Stdio::null()).spawn().unwrap())
}

fn ten_ticks_at_their_pace(orchestrator: &FakeOrchestrator) {
    let before = Instant::now();
    orchestrator.wait_for_more(10, SOON);
    assert!(
        before.elapsed() < Duration::from_secs(14),
        "ten ticks took {:?}",
        before.elapsed()
    );
}

/// `watchdog | sleep 1000`: a reader that never reads, and far more log than the pipe holds. Ticks keep their pace, and
/// SIGTERM ends it within a second with status 0.
#[test]
fn a_reader_that_never_reads_stops_nothing() {
    let orchestrator = chatty();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = chatting_into(&orchestrator, writer);
    ten_ticks_at_their_pace(&orchestrator);
    let took = terminate(&mut child, Signal::TERM);
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(reader);
}

/// What does not fit is dropped, and how much is said once the reader reads again; whole lines only.
#[test]
fn dropped_lines_are_counted() {
    let orchestrator = chatty();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = chatting_into(&orchestrator, writer);
    orchestrator.wait_for_more(6, SOON);
    let (mut text, mut bytes) = (String::new(), [0; 65536]);
    let until = Instant::now() + SOON;
    while !text.contains("dropped") && Instant::now() < until {
        let read = reader.read(&mut bytes).unwrap();
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    let line = text
        .lines()
        .find(|line| line.contains("dropped"))
        .expect("a count of dropped lines");
    assert!(watchdog_tests::logfmt::parse(line).is_ok(), "{line}");
    let torn: Vec<_> = text
        .lines()
        .rev()
        .skip(1)
        .filter(|line| line.matches("ts=").count() != 1)
        .collect();
    assert!(torn.is_empty(), "{torn:?}");
    terminate(&mut child, Signal::TERM);
}

/// `watchdog | true`: a reader that is gone.
#[test]
fn a_reader_that_is_gone_stops_nothing() {
    let orchestrator = chatty();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = chatting_into(&orchestrator, writer);
    ten_ticks_at_their_pace(&orchestrator);
    terminate(&mut child, Signal::TERM);
}

/// A disk that is full under stdout, and no stdout at all, are no different.
#[test]
fn a_failing_stdout_stops_nothing() {
    let orchestrator = chatty();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut child = chatting_into(&orchestrator, full);
    ten_ticks_at_their_pace(&orchestrator);
    terminate(&mut child, Signal::TERM);
}

/// SIGTERM and SIGINT end it with status 0 within a second, also in the middle of a probe and of a message.
#[test]
fn signals_end_it_at_once() {
    let cases: [(&str, Signal); 2] = [("SIGTERM", Signal::TERM), ("SIGINT", Signal::INT)];
    each_at_once(&cases, |name, signal| {
        let orchestrator = FakeOrchestrator::always(Answer::BlackHole);
        let telegram = FakeTelegram::start();
        telegram.always(watchdog_tests::fake::TelegramAnswer::Stall);
        let setup = Setup::quiet()
            .orchestrator(&orchestrator)
            .telegram(&telegram)
            .ticks(1, 1);
        let mut child = Ended(
            setup
                .command()
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        telegram.wait_until(SOON, "a message under way", |_| true);
        let took = terminate(&mut child, *signal);
        assert!(took < Duration::from_secs(1), "{name}: {took:?}");
    });
}

/// The calls of a start, up to the first connect: what a dynamic binary's loader needs, and what may fail only before there
/// is anything to go on with.
fn calls_at_start() -> &'static [String] {
    static CALLS: OnceLock<Vec<String>> = OnceLock::new();
    CALLS.get_or_init(|| {
        let orchestrator = FakeOrchestrator::healthy();
        let strace = Strace::recording().unwrap();
        let mut watchdog = Setup::quiet().orchestrator(&orchestrator).start_traced(strace);
        orchestrator.wait_for_more(1, SOON);
        watchdog.terminate();
        let mut calls = watchdog.calls();
        let first = calls
            .iter()
            .position(|call| call.starts_with("connect("))
            .expect("it connects");
        calls.truncate(first);
        calls
    })
}

/// Each system call that a tick needs fails twenty times in a row, in each way it can; the daemon stays up and ticks go on.
#[test]
fn every_system_call_may_fail() {
    if Strace::recording().is_none() {
        return;
    }
    let cases: Vec<(&str, &str)> = vec![
        ("socket", "EMFILE"),
        ("socket", "ENOMEM"),
        ("socket", "EACCES"),
        ("connect", "EACCES"),
        ("connect", "EINTR"),
        ("connect", "ENETUNREACH"),
        ("read", "EINTR"),
        ("read", "ENOMEM"),
        ("recvfrom", "EINTR"),
        ("recvfrom", "ENOMEM"),
        ("write", "EINTR"),
        ("write", "EPIPE"),
        ("write", "ENOMEM"),
        ("sendto", "EINTR"),
        ("sendto", "EPIPE"),
        ("sendto", "ENOMEM"),
        ("writev", "EINTR"),
        ("epoll_wait", "EINTR"),
        ("epoll_wait", "ENOMEM"),
        ("epoll_ctl", "ENOMEM"),
        ("epoll_ctl", "ENOSPC"),
        ("openat", "EMFILE"),
        ("openat", "ENOMEM"),
        ("openat", "EACCES"),
        ("openat", "EINTR"),
        ("statfs", "EACCES"),
        ("statfs", "EINTR"),
        ("getsockopt", "ENOMEM"),
        ("close", "EINTR"),
    ];
    let cases: Vec<(String, (&str, &str))> = cases
        .into_iter()
        .map(|(call, error)| (format!("{call} {error}"), (call, error)))
        .collect();
    for some in cases.chunks(15) {
        let some: Vec<_> = some.iter().map(|(name, case)| (name.as_str(), *case)).collect();
        each_at_once(&some, |name, (call, error)| {
            let made = calls_at_start()
                .iter()
                .filter(|made| made.split('(').next() == Some(call))
                .count();
            let first = made + 1;
            let strace = Strace::injecting(call, error, &format!("{first}..{}", first + 19)).unwrap();
            survives(name, strace);
        });
    }
}

fn survives(name: &str, strace: Strace) {
    let orchestrator = FakeOrchestrator::healthy();
    let dependency = FakeHttp::healthy();
    let telegram = FakeTelegram::start();
    let mut watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .set("WATCHDOG_DEP_ONE", dependency.url())
        .set("WATCHDOG_DISK_CEILING", "100%")
        .unset("WATCHDOG_MEM_AVAILABLE_MIN")
        .ticks(2, 1)
        .start_traced(strace);
    // Whatever failed is over after twenty calls; then all is well again, and people know that it runs.
    telegram.wait_for("STARTED", Duration::from_secs(60));
    dependency.wait_for_more(3, SOON);
    orchestrator.wait_for_more(3, SOON);
    assert!(watchdog.is_alive(), "{name}: {}", watchdog.output());
    let (status, took) = watchdog.terminate();
    assert_eq!(status.code(), Some(0), "{name}: {}", watchdog.output());
    assert!(took < Duration::from_secs(2), "{name}: {took:?}");
}

/// The static binary of the release: `WATCHDOG_STATIC_BIN`, or what the build script makes and names.
fn static_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WATCHDOG_STATIC_BIN") {
        return path.into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/build.sh");
    let output = Command::new(script).arg("--binary").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().into()
}

/// The most that it may use after a sent message, with 16 dependencies.
const RESIDENT_KIB_MAX: u64 = 2560;
/// The most that the static binary may weigh.
const BINARY_BYTES_MAX: u64 = 2_202_009;

/// With 16 dependencies, one of them over TLS, and a sent message, the static binary stays within 2.5 MiB.
#[test]
#[ignore = "needs the static release binary, which takes minutes to build; .ci/run has it"]
fn resident_memory_stays_within_its_bound() {
    let telegram = FakeTelegram::start();
    let https = FakeHttps::start(&["127.0.0.1"]);
    let both = both_roots(telegram.ca_file(), https.ca_file());
    let orchestrator = FakeOrchestrator::healthy();
    let dependencies: Vec<FakeHttp> = (0..15).map(|_| FakeHttp::healthy()).collect();
    let mut setup = Setup::quiet()
        .binary(&static_binary())
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .unset("WATCHDOG_MEM_AVAILABLE_MIN")
        .unset("WATCHDOG_FD_MAX")
        .set("WATCHDOG_CA_FILE", both.path().display())
        .set(
            "WATCHDOG_DEP_SAFE",
            format!("https://127.0.0.1:{}/", https.port()),
        )
        .ticks(2, 2);
    for (number, dependency) in dependencies.iter().enumerate() {
        setup = setup.set(&format!("WATCHDOG_DEP_N{number}"), dependency.url());
    }
    let watchdog = setup.start();
    telegram.wait_for("STARTED", SOON);
    orchestrator.answer(Answer::status(500));
    telegram.wait_for("FIRING orch_down", SOON);
    orchestrator.wait_for_more(3, SOON);
    assert!(https.served() > 3 && dependencies.iter().all(|dependency| dependency.count() > 3));
    let (resident, peak) = (
        memory_kib(watchdog.pid(), "VmRSS"),
        memory_kib(watchdog.pid(), "VmHWM"),
    );
    let (own, file) = (
        memory_kib(watchdog.pid(), "RssAnon"),
        memory_kib(watchdog.pid(), "RssFile"),
    );
    println!("resident {resident} KiB ({own} of its own, {file} of the binary), at most {peak} KiB");
    assert!(resident <= RESIDENT_KIB_MAX, "{resident} KiB resident");
}

fn both_roots(one: &Path, other: &Path) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let both = [std::fs::read(one).unwrap(), std::fs::read(other).unwrap()].concat();
    std::fs::write(file.path(), both).unwrap();
    file
}

/// The static binary weighs at most 2.1 MiB.
#[test]
#[ignore = "needs the static release binary, which takes minutes to build; .ci/run has it"]
fn the_static_binary_is_small() {
    let bytes = static_binary().metadata().unwrap().len();
    assert!(bytes <= BINARY_BYTES_MAX, "{bytes} bytes");
}

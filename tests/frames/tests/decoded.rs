//! The binary that logs in defmt frames, built as the README says: what the frames say is what the log says, and a reader that
//! hangs costs whole frames and nothing else.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, PipeReader, Read, pipe};
use std::mem;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use defmt_decoder::{DecodeError, Table};
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, Signal, kill_process};
use watchdog_core::time::Millis;
use watchdog_tests::envelope;
use watchdog_tests::fake::FakeOrchestrator;
use watchdog_tests::fake::http::Answer;
use watchdog_tests::harness::{SOON, Setup, wait};
use watchdog_tests::logfmt;

/// What the pipe for frames holds: the least that there is, so that little makes it overflow.
const STDERR_BYTES: usize = 4096;
/// The watchdog's shortest window for flapping, with what tests are given besides.
const STABLE: Duration = Duration::from_secs(60).saturating_add(SOON);

/// A frame, decoded.
#[derive(Debug)]
struct Frame {
    at: SystemTime,
    level: String,
    text: String,
}

/// A line of the log.
#[derive(Debug)]
struct Line {
    text: String,
    fields: BTreeMap<String, String>,
}

impl Line {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn tells(&self, event: &str, signal: &str) -> bool {
        self.field("event") == event && self.field("signal") == signal
    }
}

fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut command = Command::new(root.join("deploy/build.sh"));
        // What cargo told this test about its own package would have crates built again and again.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_") && name != "CARGO_TARGET_DIR")
            {
                command.env_remove(name);
            }
        }
        let output = command.arg("--frames").stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "it does not build: {}", output.status);
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// The running daemon: its lines are read as they come, its frames from when [`Running::read_frames`] says so.
struct Running {
    child: Child,
    stderr: Option<PipeReader>,
    coming: Receiver<Line>,
    lines: Vec<Line>,
    reader: Option<JoinHandle<()>>,
    frames: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    fn start(setup: &Setup) -> Self {
        let mut command = setup.clone().binary(binary()).command();
        let (stderr, writer) = pipe().unwrap();
        fcntl_setpipe_size(&writer, STDERR_BYTES).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(writer).spawn().unwrap();
        // It holds the pipe's other end.
        drop(command);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, coming) = channel();
        thread::spawn(move || {
            for text in stdout.lines().map_while(Result::ok) {
                let fields = logfmt::parse(&text).unwrap();
                let _ = sender.send(Line { text, fields });
            }
        });
        Self {
            child,
            stderr: Some(stderr),
            coming,
            lines: Vec::new(),
            reader: None,
            frames: Arc::default(),
        }
    }

    fn read_frames(&mut self) {
        let mut stderr = self.stderr.take().unwrap();
        let frames = Arc::clone(&self.frames);
        self.reader = Some(thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match stderr.read(&mut buffer).unwrap() {
                    0 => return,
                    bytes => frames.lock().unwrap().extend_from_slice(&buffer[..bytes]),
                }
            }
        }));
    }

    fn frames_so_far(&self) -> Vec<u8> {
        self.frames.lock().unwrap().clone()
    }

    /// Reads lines until one is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&Line) -> bool) {
        let patience = Instant::now() + STABLE;
        let mut found = false;
        while !found {
            let line = self
                .coming
                .recv_timeout(patience.saturating_duration_since(Instant::now()))
                .unwrap_or_else(|error| panic!("{what}: {error}:\n{}", self.log()));
            found = wanted(&line);
            self.lines.push(line);
        }
    }

    fn log(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        lines.join("\n")
    }

    /// Ends it, and hands out all of its log and of its frames.
    fn stop(mut self) -> (Vec<Line>, Vec<u8>) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(wait(&mut self.child, SOON).expect("it ends").success());
        self.lines.extend(self.coming.iter());
        let reader = self.reader.take().expect("somebody reads its frames");
        reader.join().unwrap();
        (mem::take(&mut self.lines), self.frames_so_far())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes what came on standard error apart; every byte must belong to a whole frame.
fn decode(bytes: &[u8]) -> Vec<Frame> {
    let elf = std::fs::read(binary()).unwrap();
    let table = Table::parse(&elf).unwrap().expect("it holds format strings");
    assert!(table.has_timestamp());
    let mut decoder = table.new_stream_decoder();
    decoder.received(bytes);
    let mut frames = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                let at = frame.display_timestamp().unwrap().to_string();
                frames.push(Frame {
                    at: humantime::parse_rfc3339(&at).unwrap_or_else(|error| panic!("{at}: {error}")),
                    level: frame.level().unwrap().as_str().to_owned(),
                    text: frame.display_message().to_string(),
                });
            }
            Err(DecodeError::UnexpectedEof) => return frames,
            Err(DecodeError::Malformed) => panic!("a broken frame behind {:?}", frames.last()),
        }
    }
}

/// What the frame of this line must say: the pairs of the line, with the subject as one of its own, and durations in
/// milliseconds, which are worded as the line has them.
fn expected(line: &Line) -> BTreeMap<String, String> {
    let mut pairs = line.fields.clone();
    pairs.remove("ts");
    pairs.remove("level");
    pairs
}

/// Frames quote as Rust does, which has a number in place of a character that changes the one before it.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u{");
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        let (number, rest) = part.split_once('}').unwrap();
        whole.push(char::from_u32(u32::from_str_radix(number, 16).unwrap()).unwrap());
        whole.push_str(rest);
    }
    whole
}

fn said(frame: &Frame) -> BTreeMap<String, String> {
    let mut pairs =
        logfmt::parse(&unescaped(&frame.text)).unwrap_or_else(|error| panic!("{error}: {frame:?}"));
    if let Some(subject) = pairs.remove("subject") {
        let signal = pairs.get_mut("signal").expect("a subject is a signal's");
        *signal = format!("{signal}:{subject}");
    }
    for key in ["for", "after"] {
        let Some(value) = pairs.get_mut(key) else { continue };
        if let Some(millis) = value.strip_suffix("ms").and_then(|number| number.parse().ok()) {
            *value = Millis::from_millis(millis).to_string();
        }
    }
    pairs
}

fn hold_against(frames: &[Frame], lines: &[Line]) {
    for (frame, line) in frames.iter().zip(lines) {
        assert_eq!(said(frame), expected(line));
        assert_eq!(frame.level, line.field("level"));
        let at = humantime::parse_rfc3339(line.field("ts")).unwrap();
        let apart = frame.at.max(at).duration_since(frame.at.min(at)).unwrap();
        // Both are in whole seconds, and the line is written first.
        assert!(apart <= Duration::from_secs(1), "{frame:?} {line:?}");
    }
    assert_eq!(frames.len(), lines.len());
}

/// Every kind of event, with and without a subject, of rules, muted, inside flapping, in odd texts: each frame says what its
/// line says, in the same order, at the same level and time, and no frame is missing or too many.
#[test]
fn frames_say_what_the_log_says() {
    let odd = "tōkyō \"a=b\" {} {=u8} \u{1f4a5}";
    let orchestrator = FakeOrchestrator::healthy();
    let heartbeat = FakeOrchestrator::always(Answer::status(500));
    let setup = Setup::quiet()
        .ticks(1, 1)
        .orchestrator(&orchestrator)
        .set("WATCHDOG_INTERVAL", "1s")
        .set("WATCHDOG_COOLDOWN", "2s")
        .set("WATCHDOG_FLAP_CHANGES", 4)
        .set("WATCHDOG_FLAP_WINDOW", "1m")
        .set("WATCHDOG_MUTE", "queue_old")
        .set("WATCHDOG_RULE_DEEP", "queue.depth > 3")
        .set("WATCHDOG_RULE_EACH", "stages[].count > 1 by stage")
        .set("WATCHDOG_NONSENSE", "1")
        .set("WATCHDOG_LOG", "debug")
        .set("WATCHDOG_HEARTBEAT_URL", heartbeat.url());
    let mut running = Running::start(&setup);
    running.read_frames();
    let bad = move || {
        let mut document = envelope::healthy();
        document["stages"][0]["stage"] = odd.into();
        document["stages"][0]["oldest_age_s"] = 90_000.into();
        document["queue"]["oldest_age_s"] = 90_000.into();
        document
    };
    running.until("the rule", |line| {
        line.tells("firing", "DEEP") || line.tells("firing", "deep")
    });
    for _ in 0..2 {
        orchestrator.script(move |_| Answer::json(&bad()));
        running.until("the stage fires", |line| {
            line.field("event") == "firing" && line.field("signal").starts_with("stage_stuck:")
        });
        orchestrator.heal();
        running.until("and ends or flaps", |line| {
            line.field("event") == "resolved" || line.field("event") == "flapping"
        });
    }
    running.until("stable", |line| line.field("event") == "stable");
    running.until("still firing", |line| line.field("event") == "still firing");
    orchestrator.answer(Answer::status(503));
    running.until("no orchestrator", |line| line.tells("firing", "orch_down"));
    let (lines, bytes) = running.stop();
    let frames = decode(&bytes);
    hold_against(&frames, &lines);

    let mut kinds: Vec<&str> = lines.iter().map(|line| line.field("event")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in [
        "config",
        "started",
        "firing",
        "still firing",
        "resolved",
        "flapping",
        "stable",
        "message",
        "stopped",
        "heartbeat",
    ] {
        assert!(kinds.contains(&kind), "{kind} did not come: {kinds:?}");
    }
    for part in ["muted=true", "inside=flapping"] {
        assert!(
            frames.iter().any(|frame| frame.text.contains(part)),
            "{part} did not come"
        );
    }
    tell_gain(&lines, &bytes);
}

/// Prints what frames save: in all, and for the signals' events alone, which are what a host keeps.
fn tell_gain(lines: &[Line], bytes: &[u8]) {
    let frames: Vec<&[u8]> = bytes
        .split(|byte| *byte == 0)
        .filter(|frame| !frame.is_empty())
        .collect();
    assert_eq!(frames.len(), lines.len());
    let (mut events, mut as_text, mut as_frames) = (0, 0, 0);
    for (line, frame) in lines.iter().zip(&frames) {
        if !line.field("signal").is_empty() {
            events += 1;
            as_text += line.text.len() + 1;
            as_frames += frame.len() + 1;
        }
    }
    let all: usize = lines.iter().map(|line| line.text.len() + 1).sum();
    println!(
        "frames: {events} events of signals in {} bytes each instead of {}; the whole log in {} bytes instead of {all}",
        as_frames / events,
        as_text / events,
        bytes.len()
    );
    assert!(
        as_frames * 2 < as_text,
        "frames save too little: {as_frames} against {as_text} bytes"
    );
}

/// Nobody reads standard error while much is said: the log goes on, and once it is read every frame is whole, and those that
/// are missing are counted.
#[test]
fn a_reader_that_hangs_costs_whole_frames_and_they_are_counted() {
    let mut setup = Setup::quiet();
    for number in 0..600 {
        setup = setup.set(&format!("WATCHDOG_NONSENSE_{number:03}"), "1");
    }
    let mut running = Running::start(&setup);
    running.until("the first message", |line| line.field("event") == "message");
    running.read_frames();
    // The pipe is tried again at least once a second.
    let patience = Instant::now() + SOON;
    let mut count = Count::of(&decode(&running.frames_so_far()));
    while count.dropped == 0 {
        assert!(Instant::now() < patience, "no account came: {count:?}");
        thread::sleep(Duration::from_millis(10));
        count = Count::of(&decode(&running.frames_so_far()));
    }
    let (lines, bytes) = running.stop();
    let count = Count::of(&decode(&bytes));
    assert_eq!(count.whole + count.dropped, lines.len());
    println!(
        "frames: {} of {} dropped and counted while nobody read",
        count.dropped,
        lines.len()
    );
}

/// What came, and what is said to be missing.
#[derive(Debug)]
struct Count {
    whole: usize,
    dropped: usize,
}

impl Count {
    fn of(frames: &[Frame]) -> Self {
        let accounts: Vec<usize> = frames
            .iter()
            .filter_map(|frame| frame.text.strip_prefix("event=log_dropped frames=")?.parse().ok())
            .collect();
        Self {
            whole: frames.len() - accounts.len(),
            dropped: accounts.iter().sum(),
        }
    }
}

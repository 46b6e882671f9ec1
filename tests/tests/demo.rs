//! The demo orchestrator: real children, faults by flag and by key, and no child left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use watchdog_tests::harness::{SOON, Setup, wait};

struct Demo {
    child: Child,
    keys: ChildStdin,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Demo {
    fn start(flags: &[&str]) -> Self {
        // Built before the demo's clock starts: a build may take longer than what it is to show.
        watchdog_tests::harness::binary();
        let mut child = Command::new(env!("CARGO_BIN_EXE_orchestrator"))
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap();
        let address = address.strip_suffix("/metrics").unwrap().to_owned();
        Self {
            child,
            keys,
            stdout,
            address,
        }
    }

    fn press(&mut self, key: &str) {
        writeln!(self.keys, "{key}").unwrap();
    }

    fn heard(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn ask(&self) -> std::io::Result<(String, Value)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text
            .split_once("\r\n\r\n")
            .ok_or(std::io::ErrorKind::InvalidData)?;
        Ok((
            head.lines().next().unwrap_or_default().to_owned(),
            serde_json::from_str(body)?,
        ))
    }

    /// Asks until what is answered is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + SOON;
        loop {
            // A busy machine may take longer than one question waits.
            let answer = self.ask();
            if let Ok((_, envelope)) = &answer
                && wanted(envelope)
            {
                return envelope.clone();
            }
            assert!(Instant::now() < until, "never {what}: {answer:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Agents are real processes whose CPU ticks grow; killing the demo ends them too.
#[test]
fn its_agents_are_real_and_end_with_it() {
    let mut demo = Demo::start(&["--agents", "1"]);
    let first = demo.until("an agent", |envelope| envelope["agents"][0]["pid"].is_u64());
    let pid = first["agents"][0]["pid"].as_u64().unwrap();
    let ticks = |envelope: &Value| envelope["agents"][0]["utime"].as_u64().unwrap_or(0);
    demo.until("work", |envelope| ticks(envelope) > ticks(&first));
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
    let process = format!("/proc/{pid}/cmdline");
    let until = Instant::now() + SOON;
    // Its parent gone, the child is reaped by init, or stays a zombie without a command line.
    while std::fs::read(Path::new(&process)).is_ok_and(|line| !line.is_empty()) {
        assert!(Instant::now() < until, "agent {pid} outlives the demo");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Keys break one thing each, `r` mends all, `x` ends with status 0.
#[test]
fn keys_break_and_mend() {
    let mut demo = Demo::start(&[]);
    demo.press("q");
    assert_eq!(demo.heard(), "broken: AgeQueue");
    demo.until("an old queue", |envelope| {
        envelope["queue"]["oldest_age_s"].as_f64() > Some(3600.0)
    });
    demo.press("f5");
    assert_eq!(
        (demo.heard(), demo.heard()),
        ("broken: Freeze".to_owned(), "broken: Error".to_owned())
    );
    assert!(demo.ask().unwrap().0.contains(" 500 "));
    demo.press("r");
    for _ in 0..3 {
        assert!(demo.heard().starts_with("mended: "));
    }
    demo.until("a young queue", |envelope| {
        envelope["queue"]["oldest_age_s"].as_f64() < Some(60.0)
    });
    demo.press("s");
    assert_eq!(demo.heard(), "broken: Stop");
    assert!(demo.ask().is_err());
    demo.press("x");
    assert!(wait(&mut demo.child, SOON).is_some_and(|status| status.success()));
}

/// A fault given as a flag begins and ends on its own.
#[test]
fn flags_break_for_a_while() {
    let mut demo = Demo::start(&["--pause", "--cost-jump-after", "500ms", "--for", "1s"]);
    assert_eq!(demo.heard(), "broken: Pause");
    assert_eq!(demo.heard(), "broken: CostJump");
    assert!(demo.ask().unwrap().1["cost"]["today_usd"].as_f64() > Some(100.0));
    assert_eq!(demo.heard(), "mended: Pause");
    assert_eq!(demo.heard(), "mended: CostJump");
    assert_eq!(demo.ask().unwrap().1["enabled"], true);
}

/// What it does not know, it says, and ends.
#[test]
fn unknown_flags_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_orchestrator"))
        .arg("--explode")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--help"));
}

fn watched(demo: &Demo) -> Setup {
    Setup::quiet()
        .ticks(2, 2)
        .set("WATCHDOG_ORCH_URL", format!("http://{}/metrics", demo.address))
}

/// What the README promises a newcomer: the demo stops answering for a while, and the watchdog tells both ends of it.
#[test]
fn the_watchdog_sees_it_stop_and_return() {
    let demo = Demo::start(&["--stop-after", "2s", "--for", "5s"]);
    let watchdog = watched(&demo).start();
    let firing = watchdog.wait_event("firing", "orch_down");
    let resolved = watchdog.wait_event("resolved", "orch_down");
    assert!(resolved.at > firing.at && resolved.at < watchdog.started + Duration::from_secs(60));
}

/// An agent that really does nothing is told from those that work, by the ticks of their processes.
#[test]
fn the_watchdog_sees_which_agent_stalls() {
    let mut demo = Demo::start(&["--stall-agent-after", "8s"]);
    let watchdog = watched(&demo).set("WATCHDOG_AGENT_STALL_AFTER", "4s").start();
    let stalled = watchdog.wait_for("a stalled agent", SOON, |line| {
        line.field("signal").starts_with("agent_stalled:")
    });
    let signal = stalled.field("signal").to_owned();
    assert_eq!(demo.heard(), "broken: StallAgent");
    demo.press("r");
    watchdog.wait_event("resolved", &signal);
    let told = watchdog
        .lines()
        .iter()
        .filter(|line| line.field("event") == "firing")
        .count();
    assert_eq!(told, 1, "{}", watchdog.output());
}

//! Runs under strace: every system call recorded, or chosen ones made to fail.
//!
//! strace is started with `-D`, so that the watchdog itself is our child and keeps its pid and status.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// A run to come under strace.
#[derive(Debug)]
pub struct Strace {
    options: Vec<String>,
    log: tempfile::NamedTempFile,
}

impl Strace {
    /// Records every call of every thread, with whole strings.
    ///
    /// None if strace cannot trace here, which is said aloud: a test then shows nothing, and must not look as if it did.
    pub fn recording() -> Option<Self> {
        works().then(|| Self {
            options: vec!["-s".to_owned(), "256".to_owned()],
            log: tempfile::NamedTempFile::new().unwrap(),
        })
    }

    /// Makes `call` fail with `error` whenever `when` says (`3`, `3+`, `3+2`, `3..9`, strace(1)), and records that call alone.
    pub fn injecting(call: &str, error: &str, when: &str) -> Option<Self> {
        let mut strace = Self::recording()?;
        strace.options.push(format!("--trace={call}"));
        strace
            .options
            .push(format!("--inject={call}:error={error}:when={when}"));
        Some(strace)
    }

    /// The command that runs `program` under strace.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("strace");
        command
            .args(["-D", "-f", "-q", "-o"])
            .arg(self.log.path())
            .args(&self.options)
            .arg(program);
        command
    }

    /// The recorded calls, one a line, without their pids. Waits for strace to have written the end of the run.
    ///
    /// # Panics
    /// If strace does not finish.
    pub fn calls(&self) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let text = String::from_utf8_lossy(&std::fs::read(self.log.path()).unwrap()).into_owned();
            if ended(&text) {
                return text.lines().map(without_pid).map(str::to_owned).collect();
            }
            assert!(Instant::now() < until, "strace does not finish: {text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What has been recorded up to now, of a run that goes on.
    ///
    /// # Panics
    /// If the log cannot be read.
    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log.path()).unwrap()).into_owned()
    }
}

/// The process, whose call is the first one recorded, has ended.
fn ended(text: &str) -> bool {
    let pid = text.split(' ').next().unwrap_or_default();
    text.lines()
        .any(|line| line.starts_with(pid) && line.contains("+++ "))
}

fn without_pid(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, call)| call.trim_start())
}

fn works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let tried = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "/bin/true"])
            .stderr(Stdio::null())
            .status();
        let works = tried.is_ok_and(|status| status.success());
        if !works {
            eprintln!("\n!!! SKIPPED: strace cannot run here, so nothing is shown about system calls !!!\n");
        }
        works
    })
}

//! What the tests of the real program share: starting it with nothing of this environment, and waiting for conditions.

use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// Time for what must happen soon, on a machine that has other things to do too.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program, with an empty environment but for what keeps its sources quiet.
pub fn watchdog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchdog"));
    command
        .env_clear()
        .env("WATCHDOG_ORCH_URL", "off")
        .env("WATCHDOG_DOCKER_HOST", "off")
        .env("WATCHDOG_NAME", "test");
    command
}

/// A started program that does not outlive its test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A tracer that is killed lets the traced program go on.
        for child in self.children().split_whitespace() {
            let _ = Command::new("kill").args(["-9", child]).status();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Tells the process numbers of its children.
    pub fn children(&self) -> String {
        let path = format!("/proc/{0}/task/{0}/children", self.0.id());
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Sends SIGTERM and tells how the program ended, and after what time.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let sent = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(sent.expect("kill is there").success());
        loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return (status, start.elapsed());
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the program sleeps with its signals taken over: from then on it can be told to end.
    pub fn wait_until_ready(&mut self) {
        wait_for("signals taken over", || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
            let blocked = status.unwrap_or_default().lines().find_map(|line| {
                let mask = line.strip_prefix("SigBlk:")?;
                u64::from_str_radix(mask.trim(), 16).ok()
            });
            // SIGTERM is 15, and a signal's bit is its number less one.
            blocked.is_some_and(|mask| mask & (1 << 14) != 0)
        });
    }
}

/// Waits for a condition.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

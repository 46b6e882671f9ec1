//! One container as the engine knows it, and the words in which it says so.

use serde_json::json;

use super::options::SECRET;

/// The containers' names; the first two are listed.
pub const NAMES: [&str; 5] = ["web", "db", "api", "job", "cache"];
/// How many of [`NAMES`] are listed.
pub const LISTED: usize = 2;
/// Those that have a restart policy.
pub const POLICY: [bool; 5] = [false, true, false, true, false];
/// Those that have a health check.
pub const CHECKED: [bool; 5] = [false, true, true, false, false];
/// The engine's clock is not the host's: it never steps.
pub const EPOCH_MS: u64 = 1_767_355_200_000;

/// A container's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not there.
    Absent,
    /// Made, not started.
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// Between two runs.
    Restarting,
    /// Ended.
    Exited,
    /// Ended, and could not be removed.
    Dead,
}

/// A container's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has no check.
    None,
    /// Undecided.
    Starting,
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
}

impl Health {
    /// The engine's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Why a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By itself.
    Itself,
    /// Someone wanted it.
    Operator,
    /// The engine went, and it with it.
    Engine,
    /// By itself, just when someone had asked it to end.
    Unclear,
}

/// One container, by its name.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its place among [`NAMES`].
    pub place: usize,
    pub(super) id: u64,
    /// Its state.
    pub state: State,
    /// Its health.
    pub health: Health,
    /// The code of its last end.
    pub code: i64,
    /// Why it ended last.
    pub cause: Cause,
    /// The engine's word that the kernel killed in it, of this life.
    pub oom_killed: bool,
    /// When the present id was made.
    pub made_at: u64,
    /// When it was started last.
    pub started_at: u64,
    pub(super) ended_at: u64,
    pub(super) restart_count: u64,
    pub(super) back_off_ms: u64,
    /// Since when it crashes again and again.
    pub loops_since: Option<u64>,
    /// Someone asked this life of it to end.
    pub(super) is_asked: bool,
    pub(super) life: u64,
}

impl Container {
    /// Its row of the list.
    pub fn row(&self, now: u64) -> serde_json::Value {
        json!({"Id": id_text(self.id), "Names": [format!("/{}", NAMES[self.place])], "Image": "i",
            "State": self.state_word(), "Status": self.status_text(now), "Labels": {"a": SECRET}})
    }

    /// What `inspect` says of it.
    pub fn inspection(&self) -> serde_json::Value {
        let health = match self.health {
            Health::None => serde_json::Value::Null,
            health => {
                json!({"Status": health.word(), "FailingStreak": 0, "Log": [{"Output": "o", "ExitCode": 1}]})
            }
        };
        json!({
            "Id": id_text(self.id), "Name": format!("/{}", NAMES[self.place]), "RestartCount": self.restart_count,
            "State": {"Status": self.state_word(), "Running": true, "OOMKilled": self.oom_killed, "ExitCode": self.code,
                "StartedAt": time_text(self.started_at), "FinishedAt": time_text(self.ended_at), "Health": health},
            "Config": {"Env": [SECRET], "StopSignal": "SIGTERM"},
        })
    }

    const fn state_word(&self) -> &'static str {
        match self.state {
            State::Absent | State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Restarting => "restarting",
            State::Exited => "exited",
            State::Dead => "dead",
        }
    }

    fn status_text(&self, now: u64) -> String {
        let code = self.code;
        let up = age_text(now - self.started_at);
        let since = age_text(now - self.ended_at);
        match self.state {
            State::Absent | State::Created => "Created".to_owned(),
            State::Running => match self.health {
                Health::None => format!("Up {up}"),
                Health::Starting => format!("Up {up} (health: starting)"),
                health => format!("Up {up} ({})", health.word()),
            },
            State::Paused => format!("Up {up} (Paused)"),
            State::Restarting => format!("Restarting ({code}) {since} ago"),
            State::Exited => format!("Exited ({code}) {since} ago"),
            State::Dead => "Dead".to_owned(),
        }
    }
}

/// An id as the engine writes it.
pub fn id_text(id: u64) -> String {
    format!("{:064x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A time as the engine writes it.
fn time_text(at: u64) -> String {
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + std::time::Duration::from_millis(EPOCH_MS + at))
        .to_string()
}

/// The engine's own rounding of an age.
fn age_text(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds, seconds / 60, (seconds + 1800) / 3600) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, minutes @ 2..60, _) => format!("{minutes} minutes"),
        (_, _, 0..=1) => "About an hour".to_owned(),
        (_, _, hours @ 2..48) => format!("{hours} hours"),
        (_, _, hours @ 48..336) => format!("{} days", hours / 24),
        (_, _, hours) => format!("{} weeks", hours / 24 / 7),
    }
}

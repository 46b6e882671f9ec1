//! What the engine says of a container, and what that means: the one table of states and healths.

use crate::signal::Observation;

/// A container's state, as the list and inspect say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Not said, or a word that we do not know.
    #[default]
    Unknown,
    /// Made and never started.
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended, and its restart policy brings it back.
    Restarting,
    /// Is being removed.
    Removing,
    /// Ended.
    Exited,
    /// Ended, and could not be removed.
    Dead,
}

impl State {
    /// Reads the engine's word; Podman's own ones stand for the nearest.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "created" | "configured" | "initialized" => Self::Created,
            // Podman's `stopping` still runs: it has been told to end and has not yet.
            "running" | "stopping" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" | "stopped" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Unknown,
        }
    }

    /// Tells whether the container has ended and stays so.
    pub(super) const fn is_ended(self) -> bool {
        matches!(self, Self::Exited | Self::Dead)
    }
}

/// What a container's health check says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    /// There is no health check, or nothing was said of one.
    #[default]
    None,
    /// Not yet decided.
    Starting,
    /// Healthy.
    Healthy,
    /// Unhealthy, debounced by the engine itself.
    Unhealthy,
}

impl Health {
    /// Reads the engine's word.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "starting" => Self::Starting,
            "healthy" => Self::Healthy,
            "unhealthy" => Self::Unhealthy,
            _ => Self::None,
        }
    }
}

/// Whether a container does what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// It runs.
    Runs,
    /// It does not run, in the words given, and has not ended either: wrong for a listed container alone.
    Idle(&'static str),
    /// It ended; why decides.
    Ended,
    /// It cannot be told.
    Unknown,
}

/// What a state and a health mean together, for `container_down` and for `container_unhealthy`.
///
/// A container that does not run is not unhealthy: that it does not run is `container_down`'s business, and what its
/// last check said is no news. A frozen one and one between two runs is not checked: what was said before is held.
pub(super) const fn judge(state: State, health: Health) -> (Run, Observation) {
    use Health as H;
    use Observation::{Active, Clear, Unknown};
    use State as S;
    const CREATED: Run = Run::Idle("created, not started");
    const PAUSED: Run = Run::Idle("paused");
    const RESTARTING: Run = Run::Idle("restarting");
    const REMOVING: Run = Run::Idle("being removed");
    match (state, health) {
        (S::Created, H::None) => (CREATED, Clear),
        (S::Created, H::Starting) => (CREATED, Clear),
        (S::Created, H::Healthy) => (CREATED, Clear),
        (S::Created, H::Unhealthy) => (CREATED, Clear),
        (S::Running, H::None) => (Run::Runs, Clear),
        (S::Running, H::Starting) => (Run::Runs, Unknown),
        (S::Running, H::Healthy) => (Run::Runs, Clear),
        (S::Running, H::Unhealthy) => (Run::Runs, Active),
        (S::Paused, H::None) => (PAUSED, Clear),
        (S::Paused, H::Starting) => (PAUSED, Unknown),
        (S::Paused, H::Healthy) => (PAUSED, Clear),
        (S::Paused, H::Unhealthy) => (PAUSED, Unknown),
        (S::Restarting, H::None) => (RESTARTING, Clear),
        (S::Restarting, H::Starting) => (RESTARTING, Unknown),
        (S::Restarting, H::Healthy) => (RESTARTING, Unknown),
        (S::Restarting, H::Unhealthy) => (RESTARTING, Unknown),
        (S::Removing, H::None) => (REMOVING, Clear),
        (S::Removing, H::Starting) => (REMOVING, Clear),
        (S::Removing, H::Healthy) => (REMOVING, Clear),
        (S::Removing, H::Unhealthy) => (REMOVING, Clear),
        (S::Exited, H::None) => (Run::Ended, Clear),
        (S::Exited, H::Starting) => (Run::Ended, Clear),
        (S::Exited, H::Healthy) => (Run::Ended, Clear),
        (S::Exited, H::Unhealthy) => (Run::Ended, Clear),
        (S::Dead, H::None) => (Run::Ended, Clear),
        (S::Dead, H::Starting) => (Run::Ended, Clear),
        (S::Dead, H::Healthy) => (Run::Ended, Clear),
        (S::Dead, H::Unhealthy) => (Run::Ended, Clear),
        (S::Unknown, _) => (Run::Unknown, Unknown),
    }
}

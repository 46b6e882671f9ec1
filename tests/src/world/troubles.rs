//! What may happen at the living engine, and what is to come of it.

use super::container::Health;

/// What may happen to containers or their engine; each world has some of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It ends by itself, with a status of its own choice.
    Crash,
    /// The kernel kills it for want of memory.
    OutOfMemory,
    /// The kernel kills a child of it for want of memory, and it lives on.
    ChildOutOfMemory,
    /// `docker stop`
    Stop,
    /// `docker kill`
    Kill,
    /// `docker kill -s HUP`, which it survives.
    Hangup,
    /// `docker pause`
    Pause,
    /// `docker restart`
    Restart,
    /// `docker rm -f`, and it may linger as `dead`.
    Remove,
    /// Compose makes it anew under another id.
    Recreate,
    /// It crashes again and again; its restart policy brings it back.
    Loop,
    /// Its health check fails.
    Unhealthy,
    /// The engine restarts and its containers live on.
    LiveRestore,
    /// The engine stops all containers and restarts.
    EngineRestart,
    /// The engine is killed, and its containers with it.
    EngineKilled,
    /// The stream of events is cut, perhaps in the middle of one.
    StreamCut,
    /// The stream of events goes silent, perhaps in the middle of one.
    StreamSilent,
    /// `inspect` fares badly for a while.
    Inspect,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Crash,
        Self::OutOfMemory,
        Self::ChildOutOfMemory,
        Self::Stop,
        Self::Kill,
        Self::Hangup,
        Self::Pause,
        Self::Restart,
        Self::Remove,
        Self::Recreate,
        Self::Loop,
        Self::Unhealthy,
        Self::LiveRestore,
        Self::EngineRestart,
        Self::EngineKilled,
        Self::StreamCut,
        Self::StreamSilent,
        Self::Inspect,
    ];
}

/// What is to come.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Something happens, drawn when the time has come.
    Act,
    /// Something of one container, if it still lives the same life.
    Of(usize, u64, Next),
    /// The engine is back.
    Up,
    /// Inspecting fares well again.
    InspectWell,
}

/// What is to come of one container.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// It is started: by its policy, or anew.
    Start,
    /// It ends with this code by itself.
    Crash(i64),
    /// It ends with this code, as wanted; and what comes then.
    Stopped(i64, After),
    /// Its health check says this.
    Checked(Health),
    /// It is made anew.
    Make,
    /// It is gone at last.
    Gone,
    /// Someone sets it going again, whatever it is.
    Mend,
}

/// What comes after a wanted end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Rest,
    /// It is started again.
    Again,
    /// It is removed.
    Removed,
    /// It lingers, then is removed.
    Lingers,
    /// It is made anew.
    Anew,
}

/// How `inspect` fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InspectMode {
    /// Well.
    Well,
    /// 500
    Broken,
    /// 403
    Refused,
    /// 404, though the list had it.
    Missing,
    /// It takes some seconds.
    Slow,
    /// It never answers.
    Hangs,
}

//! One container's state from list to list: what was seen, why it ended, how often it restarted.

mod counts;
mod heard;

use super::exit::ExitCode;
use super::id::Id;
use super::inspect::Inspection;
use super::list::{Role, Row};
use super::restarts::Restarts;
use super::state::{Health, State};
use crate::text::Subject;
use crate::time::{Instant, Millis, Utc};

/// How long a death without intent waits for the intent to come: the engine's `stop` and `die` race each other.
pub(super) const INTENT_WAIT: Millis = Millis::from_millis(150);
/// How far apart `stop` and `die` may be to belong together, in nanoseconds of the engine's clock: one second.
const STOP_NEAR_NS: u64 = 1_000_000_000;
/// How long after a signal an end still counts as meant by it: a program that asked for a thread dump by SIGQUIT and
/// lives on may crash by itself later. Longer stops show by their `stop`.
const KILL_NEAR_NS: u64 = 60_000_000_000;

/// What was last seen of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: Subject,
    pub(super) role: Role,
    /// `watchdog.expect=exited`: a job that is meant to end.
    pub(super) expects_exit: bool,
    pub(super) state: State,
    pub(super) health: Health,
    pub(super) code: Option<ExitCode>,
    /// Seconds since it started or ended, at least.
    pub(super) age_s: Option<u64>,
}

impl Seen {
    /// Takes over what a row of the list says of a container whose name and role are known.
    pub(super) fn of(row: &Row, name: Subject, role: Role) -> Self {
        Self {
            name,
            role,
            expects_exit: row.labels.expects_exit,
            state: row.state,
            health: row.health(),
            code: row.status.code,
            age_s: row.status.age_s,
        }
    }

    /// Tells whether this is of a later life than `before`: ages only grow, however coarsely they are written.
    fn is_younger_than(&self, before: &Self) -> bool {
        matches!((before.age_s, self.age_s), (Some(before), Some(now)) if now < before)
    }

    fn ended_otherwise_than(&self, before: &Self) -> bool {
        matches!((before.code, self.code), (Some(before), Some(now)) if now != before)
    }
}

/// Whether and why a container ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// It did not.
    #[default]
    None,
    /// It had ended when it was first seen, or ended while nobody was there to see: no news.
    Before,
    /// It is not known yet.
    Open,
    /// Someone stopped it.
    OnPurpose,
    /// It ended by itself.
    ByItself,
}

/// How much a container wants to be inspected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// Not at all.
    #[default]
    None,
    /// In rotation: it is young, or restarts.
    Soon,
    /// Something changed.
    Now,
    /// An event said so: also between two ticks.
    AtOnce,
}

/// What stands around one look at a container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub(super) now: Instant,
    /// The time between two ticks.
    pub(super) interval: Millis,
    pub(super) engine: Engine,
    pub(super) looks: Looks,
}

/// Whether the engine was there since the last list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Engine {
    /// There was no last list, or the engine was gone in between: ends and restarts are no news.
    #[default]
    Away,
    /// Its events broke off, so it may have been gone in between: ends are no news unless an event comes late.
    Interrupted,
    /// It was.
    Stayed,
}

/// Whether containers can be inspected at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Looks {
    /// As far as is known.
    #[default]
    Granted,
    /// A proxy refuses it.
    Refused,
}

/// What is known of a container's restarts while there is no look to hold the next one against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unlooked {
    /// There was none since it was first seen.
    #[default]
    None,
    /// There was one at least.
    Restarted,
    /// Some may be known or told of already, or are the engine's own: nothing counts before the next list.
    Missed,
}

/// What the last inspection said that the next one is compared with.
#[derive(Clone, Copy, Debug)]
struct Looked {
    at: Instant,
    state: State,
    started: Option<Utc>,
    restart_count: Option<u64>,
}

/// The kernel's kills for want of memory.
#[derive(Clone, Copy, Debug, Default)]
struct Oom {
    /// The last one.
    at: Option<Instant>,
    /// Whether the engine's word for the present life was counted.
    counted: bool,
    /// The engine's time of the last one that an event told: it is of the present life if that began before.
    heard_ns: Option<i64>,
}

/// What events said since the container started.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    /// The last signal that someone sent it, and the engine's time of that.
    killed_by: Option<(u8, i64)>,
    /// The engine's time of a `stop`.
    stopped_ns: Option<i64>,
    died: Option<Died>,
    /// When the last event came.
    heard: Option<Instant>,
}

/// A `die`.
#[derive(Clone, Copy, Debug)]
struct Died {
    /// When it came.
    at: Instant,
    /// The engine's time of it.
    ns: i64,
    followed: Followed,
}

/// Whether a death's consequences were drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followed {
    /// It still waits for an intent.
    NotYet,
    /// They were.
    Up,
}

/// A container with state kept.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) id: Id,
    pub(super) seen: Seen,
    /// What the list under way says: nothing counts before its end.
    pub(super) read: Option<Seen>,
    /// Whether only the list under way knows of it.
    pub(super) is_fresh: bool,
    /// Whether a whole list has named it: until then it may be the heir of one whose name it took.
    pub(super) was_listed: bool,
    pub(super) end: End,
    /// Whether the engine was there all along when its end was seen.
    noticed: Engine,
    pub(super) wish: Wish,
    /// The number of the last time it was asked: the lowest is next.
    pub(super) asked: u64,
    /// Whether there is a fact that no tick has told yet.
    pub(super) has_news: bool,
    pub(super) restarts: Restarts,
    looked: Option<Looked>,
    unlooked: Unlooked,
    oom: Oom,
    signs: Signs,
    /// The signal that `docker stop` sends it, if not SIGTERM.
    stop_signal: Option<u8>,
}

impl Container {
    /// Begins with a container that a list under way names.
    pub(super) fn new(id: Id) -> Self {
        Self {
            id,
            seen: Seen::default(),
            read: None,
            is_fresh: true,
            was_listed: false,
            end: End::None,
            noticed: Engine::Away,
            wish: Wish::None,
            asked: 0,
            has_news: false,
            restarts: Restarts::NONE,
            looked: None,
            unlooked: Unlooked::None,
            oom: Oom::default(),
            signs: Signs::default(),
            stop_signal: None,
        }
    }

    /// Takes over what outlives a container when another takes its name, so that the name's signals go on.
    pub(super) fn inherit(&mut self, gone: &Self) {
        self.restarts.follow(&gone.restarts);
        self.oom.at = self.oom.at.max(gone.oom.at);
    }

    /// Takes over what a whole list said that was asked for at `asked_at`.
    pub(super) fn settle_list(&mut self, next: Seen, asked_at: Instant, around: &Circumstances) {
        self.was_listed = true;
        if around.engine == Engine::Away {
            // What the engine did to it while it was away or came up is no restart loop of the container's.
            self.looked = None;
            self.unlooked = Unlooked::Missed;
        } else if self.unlooked == Unlooked::Missed {
            self.unlooked = Unlooked::None;
        }
        if self.was_heard_since(asked_at) {
            // An event overtook the list: the list knows the names better, the event knows the state.
            self.seen.name = next.name;
            self.seen.role = next.role;
            self.seen.expects_exit = next.expects_exit;
            return;
        }
        let is_young_again = !self.is_fresh && next.is_younger_than(&self.seen);
        if is_young_again && next.state == State::Running {
            if around.looks == Looks::Refused {
                self.restarts.add(1, before(around), around.now);
                // Once looks are granted again, the next must not count it a second time.
                self.looked = None;
                self.unlooked = Unlooked::Missed;
            } else {
                self.note_restart();
            }
        }
        let was_running = !self.is_fresh && self.seen.state == State::Running;
        if was_running && next.state == State::Restarting {
            self.note_restart();
        }
        let is_other_life = is_young_again || self.end != End::None || self.signs.died.is_some();
        self.advance(next, around);
        if is_other_life && self.end == End::None {
            // It lives again: the engine's word was of the life before.
            self.oom.counted = false;
        }
    }

    /// Takes over what inspect said.
    pub(super) fn settle_look(&mut self, said: &Inspection, around: &Circumstances) {
        self.wish = Wish::None;
        self.stop_signal = said.stop_signal;
        self.correct_end(said);
        self.count_restarts(said, around);
        self.count_oom(said, around);
        if said.state != State::Unknown {
            let age_s = self.seen.age_s.filter(|_| said.state == self.seen.state);
            let next = Seen {
                state: said.state,
                health: said.health,
                code: said
                    .code
                    .filter(|_| said.state.is_ended() || said.state == State::Restarting),
                age_s,
                ..self.seen.clone()
            };
            self.advance(next, around);
            self.wish = Wish::None;
        }
        if self.end == End::Open {
            self.end = self.why_ended_by(said.oom_killed, around.now);
        }
        self.has_news |= self.end == End::ByItself || self.is_unhealthy();
    }

    /// Inspecting it is refused: judges by what the list and the events say.
    pub(super) fn settle_refusal(&mut self, now: Instant) {
        self.wish = Wish::None;
        if self.end == End::Open && self.seen.code.is_some() {
            self.end = self.why_ended_by(false, now);
        }
    }

    /// Tells whether an event said something of it at `time` or later.
    pub(super) fn was_heard_since(&self, time: Instant) -> bool {
        self.signs.heard.is_some_and(|heard| heard >= time)
    }

    /// Tells whether an event said something of it that a look begun at `time` can not have known.
    pub(super) fn overtook(&self, time: Instant) -> bool {
        let is_later = |heard: Option<Instant>| heard.is_some_and(|heard| heard > time);
        is_later(self.signs.heard) || is_later(self.oom.at)
    }

    /// Tells when the last kill for want of memory was.
    pub(super) fn oom_at(&self) -> Option<Instant> {
        self.oom.at
    }

    /// Tells whether it runs and its health check says that it should not.
    pub(super) fn is_unhealthy(&self) -> bool {
        self.seen.state == State::Running && self.seen.health == Health::Unhealthy
    }

    fn advance(&mut self, next: Seen, around: &Circumstances) {
        let is_first = core::mem::take(&mut self.is_fresh);
        let before = core::mem::replace(&mut self.seen, next);
        let is_younger = !is_first && self.seen.is_younger_than(&before);
        if is_younger && self.seen.state.is_ended() && self.died_long_before(around.now) {
            // It lived and ended once more unheard: what was heard of the end before says nothing of this one.
            self.begin_life();
        }
        match self.seen.state {
            State::Unknown => {}
            State::Exited | State::Dead => {
                let is_new = self.end == End::None || is_younger || self.seen.ended_otherwise_than(&before);
                if is_first {
                    self.end = End::Before;
                } else if is_new {
                    self.noticed = around.engine;
                    self.end = self.why_ended(around);
                    self.wish = self.wish.max(Wish::Now);
                }
            }
            State::Restarting => {
                self.end = End::None;
                self.signs.died = None;
                self.wish = self.wish.max(if before.state == State::Restarting {
                    Wish::Soon
                } else {
                    Wish::Now
                });
            }
            State::Created | State::Running | State::Paused | State::Removing => {
                if self.end != End::None || self.signs.died.is_some() {
                    self.begin_life();
                }
                self.wish = self.wish.max(self.wish_alive(&before, is_younger, around));
            }
        }
    }

    fn wish_alive(&self, before: &Seen, is_younger: bool, around: &Circumstances) -> Wish {
        let is_news = self.is_unhealthy() && before.health != Health::Unhealthy;
        let is_young = self.seen.state == State::Running
            && self
                .seen
                .age_s
                .is_some_and(|age| Millis::from_secs(age) < around.interval.times(2));
        if is_news || is_younger {
            Wish::Now
        } else if is_young {
            Wish::Soon
        } else {
            Wish::None
        }
    }

    /// Tells whether the death that was heard is older than the end that the list tells of, however coarse its words are.
    fn died_long_before(&self, now: Instant) -> bool {
        let ended_s = self
            .seen
            .age_s
            .map(|age| age.saturating_mul(2).saturating_add(120));
        matches!((self.signs.died, ended_s), (Some(died), Some(ended_s)) if now.since(died.at).as_secs() > ended_s)
    }

    /// The death that was heard is of a life before the one that has ended: it says nothing of this end, which nothing heard
    /// of.
    fn correct_end(&mut self, said: &Inspection) {
        let died = self.signs.died.map(|died| utc_of(died.ns));
        let is_of_before =
            matches!((died, said.started), (Some(died), Some(started)) if started.nanos_since(died) > 0);
        if is_of_before && said.state.is_ended() && self.end != End::None {
            self.begin_life();
            self.end = if self.noticed == Engine::Stayed {
                End::Open
            } else {
                End::Before
            };
        }
    }

    fn begin_life(&mut self) {
        self.end = End::None;
        self.signs = Signs {
            heard: self.signs.heard,
            ..Signs::default()
        };
    }

    fn why_ended(&self, around: &Circumstances) -> End {
        if self.is_intended() {
            return End::OnPurpose;
        }
        if self.signs.died.is_none() && around.engine != Engine::Stayed {
            return End::Before;
        }
        match self.seen.code {
            // Whether the kernel killed it is still to be asked.
            None => End::Open,
            Some(code)
                if self.signs.died.is_none() && code.looks_stopped() && around.looks == Looks::Granted =>
            {
                End::Open
            }
            Some(_) => self.why_ended_by(false, around.now),
        }
    }

    /// The last word, once all that can be asked was asked.
    fn why_ended_by(&self, oom_killed: bool, now: Instant) -> End {
        if self.is_intended() {
            return End::OnPurpose;
        }
        match self.signs.died {
            Some(died) if now < died.at.after(INTENT_WAIT) => End::Open,
            Some(_) => End::ByItself,
            None if oom_killed || self.oom.counted => End::ByItself,
            None if self.seen.code.is_some_and(ExitCode::looks_stopped) => End::OnPurpose,
            None => End::ByItself,
        }
    }

    /// Tells whether events show that someone wanted it to end. SIGHUP or SIGUSR1 do not mean that, and a program that
    /// ends of them has ended by itself.
    fn is_intended(&self) -> bool {
        let signs = &self.signs;
        let killed = signs
            .killed_by
            .filter(|(_, ns)| {
                signs
                    .died
                    .is_none_or(|died| died.ns.abs_diff(*ns) <= KILL_NEAR_NS)
            })
            .is_some_and(|(signal, _)| matches!(signal, 2 | 3 | 9 | 15) || Some(signal) == self.stop_signal);
        let stopped = signs.stopped_ns.is_some_and(|stopped| {
            signs
                .died
                .is_none_or(|died| died.ns.abs_diff(stopped) <= STOP_NEAR_NS)
        });
        killed || stopped
    }
}

/// The engine's time in an event.
fn utc_of(ns: i64) -> Utc {
    const NANOS: i64 = 1_000_000_000;
    Utc::new(
        ns.div_euclid(NANOS),
        u32::try_from(ns.rem_euclid(NANOS)).unwrap_or(0),
    )
}

/// The time of the list before this one, about.
fn before(around: &Circumstances) -> Instant {
    Instant::from_millis(around.now.as_millis().saturating_sub(around.interval.as_millis()))
}

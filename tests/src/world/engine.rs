//! The container engine: containers as state machines, their events, and restarts of the engine itself.
//!
//! It does as the real one does: `kill` goes before a wanted `die`, `oom` before the `die` that
//! it leads to, a restart policy backs off from 100 ms to a minute, `since` is answered from a history that a restart of
//! the engine wipes out. It never judges: what all that means is `containers`' business.
//! Its draws come from a generator of its own, so that worlds without it are what they were.

use std::collections::VecDeque;

use super::container::{CHECKED, Cause, Container, Health, NAMES, POLICY, State};
use super::dice::Dice;
use super::stream::{Cut, Happened, Stream};
use super::troubles::{After, InspectMode, Next, Step, Trouble};

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    troubles: Vec<Trouble>,
    /// Its own draws.
    pub dice: Dice,
    /// All containers.
    pub containers: Vec<Container>,
    /// Whether it is there.
    pub up: bool,
    /// Whether it closes every connection now.
    pub closes_all: bool,
    /// How `inspect` fares.
    pub inspect: InspectMode,
    /// The standing answer to `/events`.
    pub stream: Option<Stream>,
    pub(super) history: VecDeque<Happened>,
    /// The number of the next event.
    pub numbered: u64,
    pub(super) last_ns: u64,
    pub(super) last_die: [u64; NAMES.len()],
    ids: u64,
    /// Steps to be planned, with their delays.
    pub plans: Vec<(u64, Step)>,
    healed: bool,
    /// The engine's time of the last event that the machine is known to have, and of the last that it may have.
    pub heard_ns: (u64, u64),
}

impl Engine {
    /// All containers run.
    pub fn new(troubles: &[Trouble], seed: u64, now: u64) -> Self {
        let mut engine = Self {
            troubles: troubles.to_vec(),
            dice: Dice::new(seed ^ 0x656e_6769_6e65),
            containers: Vec::new(),
            up: true,
            closes_all: false,
            inspect: InspectMode::Well,
            stream: None,
            history: VecDeque::new(),
            numbered: 0,
            last_ns: 0,
            last_die: [0; NAMES.len()],
            ids: 0,
            plans: vec![(30_000, Step::Act)],
            healed: false,
            heard_ns: (0, 0),
        };
        for (place, checked) in CHECKED.into_iter().enumerate() {
            let id = engine.fresh_id();
            engine.containers.push(Container {
                place,
                id,
                state: State::Running,
                health: if checked { Health::Healthy } else { Health::None },
                code: 0,
                cause: Cause::Itself,
                oom_killed: false,
                made_at: 0,
                started_at: now,
                ended_at: 0,
                restart_count: 0,
                back_off_ms: 100,
                loops_since: None,
                is_asked: false,
                life: 0,
            });
        }
        engine
    }

    fn fresh_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// No trouble from now on: everything is set going again.
    pub fn heal(&mut self) {
        self.healed = true;
        self.troubles.clear();
        self.inspect = InspectMode::Well;
        for place in 0..NAMES.len() {
            self.containers[place].loops_since = None;
            self.after(1_000, place, Next::Mend);
        }
    }

    fn after(&mut self, delay: u64, place: usize, next: Next) {
        let life = self.containers[place].life;
        self.plans.push((delay, Step::Of(place, life, next)));
    }

    /// A step's time has come.
    pub fn step(&mut self, step: Step, now: u64) {
        match step {
            Step::Act => {
                let gap = self.dice.pick(&[5_000, 60_000, 240_000, 900_000]);
                let gap = self.dice.between(1, 2 * gap);
                if !self.healed {
                    self.plans.push((gap, Step::Act));
                    self.act(now);
                }
            }
            Step::Up => self.come_up(now),
            Step::InspectWell => self.inspect = InspectMode::Well,
            // A container does nothing that the engine could see while that is away.
            Step::Of(place, life, next) if !self.up => {
                self.plans.push((3_000, Step::Of(place, life, next)));
            }
            Step::Of(place, _, Next::Mend) => self.mend(place, now),
            Step::Of(place, life, next) if self.containers[place].life == life => {
                self.go_on(place, next, now)
            }
            Step::Of(..) => {}
        }
    }

    fn act(&mut self, now: u64) {
        if self.troubles.is_empty() || !self.up {
            return;
        }
        let trouble = self.dice.pick(&self.troubles);
        let place = usize::try_from(self.dice.below(NAMES.len() as u64)).expect("small");
        match trouble {
            Trouble::LiveRestore | Trouble::EngineRestart | Trouble::EngineKilled => {
                self.go_down(trouble, now)
            }
            Trouble::StreamCut => {
                let cut = self.dice.pick(&[Cut::Reset, Cut::Closed]);
                self.cut_stream(cut);
            }
            Trouble::StreamSilent => self.cut_stream(Cut::Silence),
            Trouble::Inspect => {
                self.inspect = self.dice.pick(&[
                    InspectMode::Broken,
                    InspectMode::Refused,
                    InspectMode::Missing,
                    InspectMode::Slow,
                    InspectMode::Hangs,
                ]);
                let lasts = self.dice.between(1_000, 900_000);
                self.plans.push((lasts, Step::InspectWell));
            }
            _ => self.trouble(trouble, place, now),
        }
    }

    /// The next event is cut.
    fn cut_stream(&mut self, cut: Cut) {
        if let Some(stream) = &mut self.stream {
            stream.cut = Some(cut);
        }
    }

    fn trouble(&mut self, trouble: Trouble, place: usize, now: u64) {
        match (self.containers[place].state, trouble) {
            (State::Running, Trouble::Crash) => {
                let code = self.dice.pick(&[0, 1, 3, 137, 139, 143, 255]);
                self.crash(place, code, now);
            }
            (State::Running, Trouble::OutOfMemory) => {
                self.out_of_memory(place, now);
                self.crash(place, 137, now);
            }
            (State::Running, Trouble::ChildOutOfMemory) => self.out_of_memory(place, now),
            (State::Running, Trouble::Hangup) => self.emit(place, "kill", &[("signal", "1")], now),
            (State::Running, Trouble::Stop) => self.stop(place, After::Rest, now),
            (State::Running, Trouble::Restart) => self.stop(place, After::Again, now),
            (State::Running, Trouble::Recreate) => self.stop(place, After::Anew, now),
            (State::Running, Trouble::Kill) => {
                self.emit(place, "kill", &[("signal", "9")], now);
                self.end(place, 137, Cause::Operator, State::Exited, now);
            }
            (State::Running, Trouble::Remove) => {
                self.emit(place, "kill", &[("signal", "9")], now);
                let after = self.dice.pick(&[After::Removed, After::Lingers]);
                self.stopped(place, 137, after, now);
            }
            (State::Running, Trouble::Pause) => {
                self.emit(place, "pause", &[], now);
                self.containers[place].state = State::Paused;
                self.mend_later(place);
            }
            (State::Running, Trouble::Loop) if POLICY[place] => {
                self.containers[place].loops_since.get_or_insert(now);
                self.crash(place, 1, now);
                self.mend_later(place);
            }
            (State::Running, Trouble::Unhealthy) if CHECKED[place] => {
                self.checked(place, Health::Unhealthy, now);
                let next = if self.dice.chance(50) { 30_000 } else { 900_000 };
                let delay = self.dice.between(1_000, next);
                self.after(delay, place, Next::Checked(Health::Healthy));
            }
            _ => {}
        }
    }

    fn mend_later(&mut self, place: usize) {
        let longest = self.dice.pick(&[10_000, 300_000, 2_400_000]);
        let delay = self.dice.between(500, longest);
        self.after(delay, place, Next::Mend);
    }

    fn go_on(&mut self, place: usize, next: Next, now: u64) {
        match next {
            Next::Start => self.start(place, now),
            Next::Crash(code) => self.crash(place, code, now),
            Next::Stopped(code, after) => self.stopped(place, code, after, now),
            Next::Checked(health) => self.checked(place, health, now),
            Next::Make => self.make(place, now),
            Next::Gone => self.gone(place, now),
            Next::Mend => {}
        }
    }

    fn mend(&mut self, place: usize, now: u64) {
        self.containers[place].loops_since = None;
        match self.containers[place].state {
            State::Absent => self.make(place, now),
            State::Created | State::Exited | State::Restarting => {
                self.containers[place].restart_count = 0;
                self.start(place, now);
            }
            State::Paused => {
                self.emit(place, "unpause", &[], now);
                self.containers[place].state = State::Running;
                self.mend(place, now);
            }
            State::Running if self.containers[place].health != Health::None => {
                self.checked(place, Health::Healthy, now);
            }
            State::Running => {}
            State::Dead => {
                self.gone(place, now);
                self.after(2_000, place, Next::Make);
            }
        }
    }

    fn make(&mut self, place: usize, now: u64) {
        let id = self.fresh_id();
        let container = &mut self.containers[place];
        container.id = id;
        container.made_at = now;
        container.state = State::Created;
        container.health = Health::None;
        container.oom_killed = false;
        container.restart_count = 0;
        container.loops_since = None;
        container.life += 1;
        self.emit(place, "create", &[], now);
        let delay = self.dice.between(10, 3_000);
        self.after(delay, place, Next::Start);
    }

    fn start(&mut self, place: usize, now: u64) {
        let container = &mut self.containers[place];
        container.state = State::Running;
        container.started_at = now;
        container.oom_killed = false;
        container.is_asked = false;
        container.health = if CHECKED[place] {
            Health::Starting
        } else {
            Health::None
        };
        container.life += 1;
        let loops = container.loops_since.is_some();
        self.emit(place, "start", &[], now);
        if loops {
            let lasts = self.dice.between(200, 15_000);
            self.after(lasts, place, Next::Crash(1));
        } else if CHECKED[place] {
            let delay = self.dice.between(1_000, 30_000);
            self.after(delay, place, Next::Checked(Health::Healthy));
        }
    }

    fn checked(&mut self, place: usize, health: Health, now: u64) {
        let container = &mut self.containers[place];
        if matches!(container.state, State::Running) && container.health != health {
            container.health = health;
            let action = format!("health_status: {}", health.word());
            self.emit(place, &action, &[], now);
        }
    }

    fn out_of_memory(&mut self, place: usize, now: u64) {
        self.containers[place].oom_killed = true;
        self.emit(place, "oom", &[], now);
    }

    /// It ends by itself; its policy may bring it back.
    fn crash(&mut self, place: usize, code: i64, now: u64) {
        if !POLICY[place] {
            self.end(place, code, Cause::Itself, State::Exited, now);
            if self.dice.chance(70) {
                self.mend_later(place);
            }
            return;
        }
        self.end(place, code, Cause::Itself, State::Restarting, now);
        let container = &mut self.containers[place];
        // It counts when the life ends, not when the next begins.
        container.restart_count += 1;
        // A run of ten seconds begins the back-off anew.
        let ran_ms = now - container.started_at;
        container.back_off_ms = if ran_ms >= 10_000 {
            100
        } else {
            (2 * container.back_off_ms).min(60_000)
        };
        // To set a container up takes its time too.
        let delay = container.back_off_ms + 150;
        self.after(delay, place, Next::Start);
    }

    fn stop(&mut self, place: usize, after: After, now: u64) {
        self.containers[place].is_asked = true;
        self.emit(place, "kill", &[("signal", "15")], now);
        let takes = self.dice.between(20, 900);
        let code = self.dice.pick(&[0, 0, 1, 143]);
        self.after(takes, place, Next::Stopped(code, after));
    }

    fn stopped(&mut self, place: usize, code: i64, after: After, now: u64) {
        let state = if after == After::Lingers {
            State::Dead
        } else {
            State::Exited
        };
        let stop_first = self.dice.chance(50);
        if stop_first {
            self.emit(place, "stop", &[], now);
        }
        self.end(place, code, Cause::Operator, state, now);
        if !stop_first {
            self.emit(place, "stop", &[], now);
        }
        let delay = self.dice.between(1, 2_000);
        match after {
            After::Rest => self.mend_later(place),
            After::Again => self.after(delay, place, Next::Start),
            After::Lingers => self.after(10 * delay, place, Next::Gone),
            After::Removed | After::Anew => {
                self.gone(place, now);
                if after == After::Anew {
                    self.after(delay, place, Next::Make);
                }
            }
        }
        if matches!(after, After::Removed | After::Lingers) {
            self.mend_later(place);
        }
    }

    fn gone(&mut self, place: usize, now: u64) {
        self.emit(place, "destroy", &[], now);
        self.containers[place].state = State::Absent;
        self.containers[place].oom_killed = false;
        self.containers[place].life += 1;
    }

    fn end(&mut self, place: usize, code: i64, cause: Cause, state: State, now: u64) {
        let container = &mut self.containers[place];
        container.state = state;
        container.code = code;
        container.cause = match cause {
            Cause::Itself if container.is_asked => Cause::Unclear,
            cause => cause,
        };
        if cause != Cause::Itself {
            container.loops_since = None;
        }
        container.ended_at = now;
        container.life += 1;
        let code = code.to_string();
        self.emit(place, "die", &[("exitCode", code.as_str())], now);
    }

    fn go_down(&mut self, how: Trouble, now: u64) {
        let running = (0..NAMES.len()).filter(|place| {
            matches!(
                self.containers[*place].state,
                State::Running | State::Paused | State::Restarting
            )
        });
        let running: Vec<usize> = running.collect();
        for place in running {
            match how {
                Trouble::EngineRestart => {
                    self.emit(place, "kill", &[("signal", "15")], now);
                    let code = self.dice.pick(&[0, 137, 143]);
                    self.end(place, code, Cause::Engine, State::Exited, now);
                    self.emit(place, "stop", &[], now);
                }
                Trouble::EngineKilled => {
                    let code = self.dice.pick(&[137, 255]);
                    let container = &mut self.containers[place];
                    (container.state, container.code) = (State::Exited, code);
                    (container.cause, container.ended_at) = (Cause::Engine, now);
                    container.loops_since = None;
                    container.life += 1;
                }
                _ => {}
            }
        }
        (self.up, self.closes_all) = (false, true);
        let lasts = self.dice.pick(&[2_000, 30_000, 200_000]);
        let lasts = self.dice.between(500, lasts);
        self.plans.push((lasts, Step::Up));
    }

    fn come_up(&mut self, now: u64) {
        self.up = true;
        self.history.clear();
        for (place, policy) in POLICY.into_iter().enumerate() {
            let container = &self.containers[place];
            if container.state != State::Exited || container.cause != Cause::Engine {
                continue;
            }
            if policy {
                self.start(place, now);
            } else {
                self.mend_later(place);
            }
        }
    }
}

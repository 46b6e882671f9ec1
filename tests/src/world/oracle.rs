//! The judge: what the machine logs and tells, held against what the world knows.

use std::collections::BTreeMap;

use super::channel::{Channel, Lateness};
use super::detail::{self, Befell, Forms};
use super::frame::{Call, Foot, Frame};
use super::host::{self, Figure};
use super::options::Options;
use super::record::Record;
use super::signals::{Look, Signal};

/// What the world saw the machine learn in one tick.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The envelope that came whole, by the looks at its signals; none if none came.
    pub envelope: Option<BTreeMap<&'static str, Look>>,
    /// Each dependency's whole answer: whether it is a good one, and how long it took.
    pub dependencies: BTreeMap<usize, (bool, u64)>,
    /// The engine's list came whole; whether the listed container was in it.
    pub list: Option<bool>,
    /// Hundredths of the memory that are available.
    pub memory: Option<u64>,
    /// Which envelope it is, and for how long there has been no newer one.
    pub generation: u64,
    /// In milliseconds.
    pub unchanged_ms: u64,
    /// What befell the connections.
    pub befell: Befell,
    /// How the host's other figures stood.
    pub host: BTreeMap<String, Figure>,
}

impl Seen {
    /// Its memory or its load could be read.
    pub fn is_host_there(&self) -> bool {
        let load = self.host.get("load_high");
        self.memory.is_some() || load.is_some_and(|figure| *figure != Figure::Missing)
    }
}

/// The judge.
#[derive(Debug)]
pub struct Oracle {
    options: Options,
    /// Every signal that there ever was.
    pub signals: BTreeMap<String, Signal>,
    /// The orchestrator holds its children.
    holding: bool,
    /// The engine holds its children.
    engine_holding: bool,
    foretold: BTreeMap<String, String>,
    /// Of each signal in the message under way its lines, and what its detail may be.
    expected: Vec<(String, Vec<String>, Forms)>,
    sent: Vec<String>,
    /// What stands around the lines.
    pub frame: Frame,
    /// Lines about signals in accepted messages.
    pub told: u64,
    /// How late the latest of them was.
    pub lateness: Lateness,
}

impl Oracle {
    /// Knows the signals of the configuration.
    pub fn new(options: &Options) -> Self {
        let mut signals = BTreeMap::new();
        let fixed = [
            "orch_down",
            "queue_old",
            "queue_stalled",
            "cost_over",
            "mem_low",
            "orch_stale",
            "failed_jobs",
        ];
        let mut ids: Vec<String> = fixed.map(str::to_owned).into();
        for stage in ["build", "te<s>t & co"] {
            ids.extend([format!("stage_stuck:{stage}"), format!("slow:{stage}")]);
        }
        ids.extend(["a<1>", "17"].map(|agent| format!("agent_overtime:{agent}")));
        if options.docker {
            ids.push("docker_down".to_owned());
            if options.engine.is_none() {
                ids.push("container_down:web".to_owned());
            }
        }
        for place in 0..options.dependencies {
            ids.push(format!("dep_down:d{place}"));
            if place + 1 < options.dependencies {
                ids.push(format!("dep_slow:d{place}"));
            }
        }
        ids.extend(options.host_drawn.iter().flat_map(host::Drawn::ids));
        for id in ids {
            let is_discovered = ["stage_stuck:", "slow:", "agent_overtime:"]
                .iter()
                .any(|kind| id.starts_with(kind));
            let signal = Signal::new(&id, !(is_discovered && options.crowd), options);
            signals.insert(id, signal);
        }
        Self {
            options: options.clone(),
            signals,
            holding: false,
            engine_holding: false,
            foretold: BTreeMap::new(),
            expected: Vec::new(),
            sent: Vec::new(),
            frame: Frame::new(options),
            told: 0,
            lateness: Lateness::default(),
        }
    }

    /// A tick ended: foretells its events.
    pub fn tick(&mut self, seen: &Seen, now: u64) {
        self.frame.ticked(seen, &self.options);
        self.holding = self.master("orch_down", seen, self.holding, now);
        if self.options.docker {
            self.engine_holding = self.master("docker_down", seen, self.engine_holding, now);
        }
        let ids: Vec<String> = self
            .signals
            .values()
            .filter(|one| one.exact)
            .map(|one| one.id.clone())
            .collect();
        for id in ids.iter().filter(|id| !is_master(id)) {
            let look = self.look_at(id, seen);
            self.look(id, look, seen, now);
        }
    }

    /// A master was looked at: tells whether it holds its children from now on.
    fn master(&mut self, id: &str, seen: &Seen, was_holding: bool, now: u64) -> bool {
        let is_up = if id == "orch_down" {
            seen.envelope.is_some()
        } else {
            seen.list.is_some()
        };
        let look = if is_up { Look::Clear } else { Look::Active };
        self.look(id, look, seen, now);
        let firing = self.signals[id].firing_after(self.foretold.get(id));
        if is_up && was_holding && !firing {
            let children = self
                .signals
                .values_mut()
                .filter(|signal| master_of(&signal.id) == Some(id));
            children.for_each(Signal::restart_counts);
            return false;
        }
        was_holding || !is_up
    }

    fn look_at(&self, id: &str, seen: &Seen) -> Look {
        let active_if = |active| if active { Look::Active } else { Look::Clear };
        if id == "container_down:web" {
            return match seen.list {
                Some(is_there) if !self.engine_holding => active_if(!is_there),
                _ => Look::Unknown,
            };
        }
        if master_of(id) == Some("orch_down") {
            return match &seen.envelope {
                Some(looks) if !self.holding => looks.get(id).copied().unwrap_or(Look::Unknown),
                _ => Look::Unknown,
            };
        }
        if let Some(place) = id.strip_prefix("dep_down:d") {
            let answer = seen.dependencies.get(&place.parse().expect("a number"));
            return active_if(!answer.is_some_and(|(good, _)| *good));
        }
        if let Some(place) = id.strip_prefix("dep_slow:d") {
            return match seen.dependencies.get(&place.parse().expect("a number")) {
                Some((true, took)) => active_if(*took > 2_000),
                _ => Look::Unknown,
            };
        }
        if let Some(figure) = seen.host.get(id) {
            return figure.look(self.signals[id].firing);
        }
        match (id, seen.memory) {
            // Two points lie between firing and clear again.
            (_, Some(percent)) if self.signals[id].firing => active_if(percent < 7),
            (_, Some(percent)) => active_if(percent < 5),
            _ => Look::Unknown,
        }
    }

    fn look(&mut self, id: &str, look: Look, seen: &Seen, now: u64) {
        let signal = self.signals.get_mut(id).expect("a known signal");
        let event = signal.look(look, now, &self.options);
        let fires = signal.firing_after(event.as_ref());
        if look == Look::Active || (look == Look::Clear && !fires) {
            let forms = detail::of(id, look, seen, &self.options);
            signal.says(look, forms);
        }
        if let Some(event) = event {
            self.foretold.insert(id.to_owned(), event);
        }
    }

    /// Whether the engine holds its children.
    pub const fn is_engine_holding(&self) -> bool {
        self.engine_holding
    }

    /// Whether a signal fires.
    pub fn is_firing(&self, id: &str) -> bool {
        self.signals.get(id).is_some_and(|signal| signal.firing)
    }

    /// The machine logged an event: tells its signal, and whether that fires now if that changed.
    ///
    /// # Errors
    /// It was not to be, or not now.
    pub fn event(&mut self, line: &str, now: u64, wall_ms: i64) -> Result<(String, Option<bool>), String> {
        let record = Record::read(line, wall_ms)?;
        let (id, event) = (record.id.clone(), record.event.clone());
        let options = &self.options;
        if !self.signals.contains_key(&id) && !may_appear(&id, options) {
            return Err(format!("{id}: event {event:?}, and nothing of the kind was so"));
        }
        let signal = self
            .signals
            .entry(id.clone())
            .or_insert_with(|| Signal::new(&id, false, options));
        if signal.exact {
            let foretold = self.foretold.remove(&id);
            if foretold.as_deref() != Some(&event) {
                return Err(format!("{id}: event {event:?}, foretold was {foretold:?}"));
            }
        }
        record.judge(signal, &signal.forms(), now)?;
        let was_firing = signal.firing;
        signal.logged(&event, now)?;
        signal.logged_at = now;
        if signal.lines(now, 0, options).is_empty() {
            signal.owed_since = None;
        } else {
            signal.owed_since.get_or_insert(now);
        }
        Ok((id, (signal.firing != was_firing).then_some(signal.firing)))
    }

    /// All events of this moment were logged.
    ///
    /// # Errors
    /// One that was foretold was not among them.
    pub fn events_end(&mut self) -> Result<(), String> {
        match self.foretold.pop_first() {
            Some((id, event)) => Err(format!("{id}: event {event:?} was foretold and did not come")),
            None => Ok(()),
        }
    }

    /// The machine made a message now: foretells its lines. The last one may have left some out; masters then go first.
    pub fn composed(&mut self, now: u64, wall_ms: i64, left_some: bool) {
        let foot = self.foot();
        self.frame.composed(foot);
        let mut all: Vec<_> = self
            .signals
            .values()
            .map(|signal| (signal, signal.lines(now, wall_ms, &self.options)))
            .filter(|(_, lines)| !lines.is_empty())
            .map(|(signal, lines)| {
                let (kind, subject) = signal.id.split_once(':').unwrap_or((&signal.id, ""));
                let rank = lines.last().map_or(9, |line| Signal::rank(line));
                (
                    (
                        if left_some && is_master(&signal.id) {
                            0
                        } else {
                            rank
                        },
                        !signal.critical,
                        kind.to_owned(),
                        subject.to_owned(),
                    ),
                    signal.id.clone(),
                    lines,
                )
            })
            .collect();
        all.sort();
        let forms = |id: &str| self.signals[id].forms();
        let expected = all.into_iter().map(|(_, id, lines)| {
            let forms = forms(&id);
            (id, lines, forms)
        });
        self.expected = expected.collect();
        for (id, ..) in &self.expected {
            self.signals.get_mut(id).expect("a known signal").send();
        }
    }

    /// The message's request came: reads it.
    ///
    /// # Errors
    /// It is not what was foretold.
    pub fn message(&mut self, call: &Call) -> Result<Message, String> {
        let parts = self.frame.take(&call.shown)?;
        let mut message = Message {
            is_start: parts.is_start,
            is_again: parts.is_again,
            left: parts.left,
            ..Message::default()
        };
        self.compare(&parts.lines, &mut message)?;
        self.frame.judge(call, &parts)?;
        Ok(message)
    }

    fn compare(&mut self, said: &[&str], message: &mut Message) -> Result<(), String> {
        self.sent.clear();
        let mut said = said.iter();
        let fitting = self.expected.len().saturating_sub(message.left);
        for (id, lines, forms) in self.expected.iter().take(fitting) {
            for expected in lines {
                let line = said.next().ok_or_else(|| format!("lacks {expected:?}"))?;
                let is_so = match expected.split_once('\u{0}') {
                    Some((start, end)) => line
                        .strip_prefix(start)
                        .and_then(|rest| detail::before(rest, end))
                        .is_some_and(|said| detail::fits(said, forms)),
                    None => line == expected,
                };
                if !is_so {
                    return Err(format!(
                        "says {line:?}, foretold was {expected:?} with one of {forms:?}"
                    ));
                }
            }
            message.has_master |= is_master(id);
            self.sent.push(id.clone());
        }
        message.lines = said.len();
        // What found no room is not under way.
        for (id, ..) in self.expected.iter().skip(fitting) {
            self.signals.get_mut(id).expect("a known signal").sent(false, 0);
        }
        match said.next() {
            Some(line) => Err(format!("says {line:?}, which was not foretold")),
            None => Ok(()),
        }
    }

    /// What must stand below a message made now.
    fn foot(&self) -> Foot {
        let options = &self.options;
        // All but those of the engine and of dependencies; 5 of them are the orchestrator's children.
        let fixed = 11;
        let listed = match (&options.engine, options.docker) {
            (_, false) => 0,
            (None, true) => 1,
            (Some(_), true) => 2,
        };
        let dependencies = (2 * options.dependencies).saturating_sub(1);
        // Three of the host's are among the fixed ones.
        let host = options
            .host_drawn
            .as_ref()
            .map_or(0, |drawn| drawn.ids().len() - 3);
        let configured = fixed + host + usize::from(options.docker) + listed + dependencies;
        let discovered = |master: &str| {
            let signals = self.signals.values();
            signals
                .filter(|signal| is_discovered(&signal.id, options) && master_of(&signal.id) == Some(master))
                .filter(|signal| signal.firing || signal.flapping)
                .count()
        };
        let (of_orchestrator, of_engine) = (discovered("orch_down"), discovered("docker_down"));
        let is_bounded = !options.crowd && (options.engine.is_none() || !options.docker);
        // Two stages with two signals each and two agents; a container with four, and three more of the listed one.
        let up_to = |all: usize| if is_bounded { all } else { usize::MAX };
        let counted = self.signals.values().filter(|signal| signal.is_counted).count();
        let in_lists = if options.docker { 6 + 7 } else { 6 };
        let held = |is_held: bool, least: usize, most: usize| is_held.then(|| least..=up_to(most));
        Foot {
            active: self.signals.values().filter(|signal| signal.firing).count(),
            all: configured + of_orchestrator + of_engine + counted..=up_to(configured + in_lists),
            held: [
                ("orch_down", held(self.holding, 5 + of_orchestrator, 5 + 6)),
                (
                    "docker_down",
                    held(self.engine_holding, listed + of_engine, listed),
                ),
            ],
        }
    }

    /// The exchange ended; the machine knows whether its message was taken.
    pub fn ended(&mut self, accepted: bool, now: u64) {
        if accepted {
            self.told += self.sent.len() as u64;
            self.frame.accepted();
        }
        for signal in self.signals.values_mut() {
            let was_sent = signal.sent(accepted, now);
            if signal.lines(now, 0, &self.options).is_empty() {
                signal.owed_since = None;
            } else if was_sent {
                // What is left happened while the message was under way.
                signal.owed_since = Some(signal.logged_at);
            }
        }
    }

    /// Notes how late the lines are that a message just told, over a channel that has been fair since `fair`; to be
    /// called before what it changes is noted.
    pub fn note_lateness(&mut self, channel: &Channel, fair: u64, now: u64) {
        let lines = self.owed().count() as u64;
        let sent = self.sent.iter().filter_map(|id| self.signals.get(id)?.owed_since);
        let late = sent.map(|owed| {
            let from = channel.tellable_from(owed, fair);
            Lateness {
                late_ms: now.saturating_sub(from),
                allowed_ms: channel.told_by(owed, fair, lines).saturating_sub(from),
            }
        });
        self.lateness = late.fold(self.lateness, Lateness::worse);
    }

    fn owed(&self) -> impl Iterator<Item = (&Signal, u64)> {
        let signals = self.signals.values();
        signals.filter_map(|signal| Some((signal, signal.owed_since?)))
    }

    /// Tells a signal of which something should have been told by now, over a channel that has been fair since `fair`.
    pub fn overdue(&self, channel: &Channel, fair: u64, now: u64) -> Option<String> {
        let lines = self.owed().count() as u64;
        if !self.frame.is_started() && now > channel.told_by(0, fair, lines) {
            return Some("the start".to_owned());
        }
        self.owed()
            .find(|(_, owed)| now > channel.told_by(*owed, fair, lines))
            .map(|(signal, _)| signal.id.clone())
    }

    /// Tells what has not settled: firing, flapping, or not told.
    pub fn unsettled(&self, now: u64) -> Option<&str> {
        let open = |signal: &&Signal| {
            signal.firing || signal.flapping || !signal.lines(now, 0, &self.options).is_empty()
        };
        self.signals.values().find(open).map(|signal| signal.id.as_str())
    }
}

impl Signal {
    /// Tells whether it fires once its foretold event is logged.
    fn firing_after(&self, event: Option<&String>) -> bool {
        match event.map(|event| event.split(' ').next().unwrap_or_default()) {
            Some("firing" | "resolved" | "flapping") => !self.firing,
            _ => self.firing,
        }
    }
}

fn is_master(id: &str) -> bool {
    matches!(id, "orch_down" | "docker_down")
}

fn master_of(id: &str) -> Option<&'static str> {
    match id.split(':').next().unwrap_or(id) {
        "queue_old" | "queue_stalled" | "cost_over" | "stage_stuck" | "orch_stale" | "agent_overtime"
        | "failed_jobs" | "slow" => Some("orch_down"),
        _ if id.starts_with("container_") => Some("docker_down"),
        _ => None,
    }
}

/// Whether a signal is known only since it was seen.
fn is_discovered(id: &str, options: &Options) -> bool {
    let listed: &[&str] = if options.engine.is_some() {
        &["container_down:web", "container_down:db"]
    } else {
        &["container_down:web"]
    };
    let kinds = ["stage_stuck:", "slow:", "agent_overtime:", "container_"];
    kinds.iter().any(|kind| id.starts_with(kind)) && !listed.contains(&id)
}

/// A message as a reader sees it.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// It is the start digest.
    pub is_start: bool,
    /// It says that the last one may have arrived.
    pub is_again: bool,
    /// Signals for which there was no room.
    pub left: usize,
    /// Lines about signals.
    pub lines: usize,
    /// A master's line is in it.
    pub has_master: bool,
}

/// Signals that are not foretold one by one: those of a living engine's containers, which have a judge of their own, and what a
/// crowd may bring.
fn may_appear(id: &str, options: &Options) -> bool {
    let of_engine = options.docker && options.engine.is_some() && id.starts_with("container_");
    let of_crowd = ["stage_stuck:", "slow:", "agent_overtime:", "table_full"];
    of_engine || (options.crowd && of_crowd.iter().any(|kind| id.starts_with(kind)))
}

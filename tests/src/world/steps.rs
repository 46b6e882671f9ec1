//! One step after the other: what happens next, what the machine is told of it, and what it wishes then.

use watchdog_core::net::{Connection, FileSystem, Input};
use watchdog_core::time::{Instant, Utc};

use super::grants::wish_of;
use super::peers::Meaning;
use super::signals::Look;
use super::{Event, Wish, World, alertmanager, options, proxy};

impl World<'_> {
    pub(super) fn pass_until(&mut self, end: u64) -> Result<(), String> {
        loop {
            let deadline = self.watchdog.deadline().as_millis();
            self.hash.fold(deadline);
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let next = event.map_or(deadline, |at| at.min(deadline));
            if next > end {
                // A process that stood still may have woken later.
                self.now = self.now.max(end);
                return Ok(());
            }
            if event == Some(next) {
                self.now = self.now.max(next);
                if let Some((_, event)) = self.events.pop_first() {
                    self.happen(event)?;
                }
            } else {
                // An event for a connection that is closed by now lets time pass and gives the machine nothing.
                if next <= self.handled_at {
                    return Err("the next deadline does not lie ahead".to_owned());
                }
                self.now = self.now.max(next);
                self.handle(Input::Time)?;
            }
        }
    }

    pub(super) fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Connected(connection, meaning) if self.is_open(connection) => {
                self.understood(connection, meaning);
                self.handle(Input::Connected(connection))
            }
            Event::Bytes(connection, bytes, meaning) if self.is_open(connection) => {
                self.understood(connection, meaning);
                self.handle(Input::Received(connection, &bytes))
            }
            Event::Closed(connection, why, meaning) if self.is_open(connection) => {
                self.understood(connection, meaning);
                self.open.remove(&connection.slot);
                self.engine_lost(connection);
                self.handle(Input::Closed(connection, why))
            }
            Event::Datagram(from, bytes) => self.handle(Input::Datagram(from, &bytes)),
            Event::Stat(place) => {
                let figures = FileSystem {
                    device: 1,
                    blocks: 100,
                    blocks_available: 50,
                    ..FileSystem::default()
                };
                let drawn = self.host.as_mut().map(|host| host.answer(place));
                match drawn.unwrap_or(Some(Ok(figures))) {
                    Some(answer) => self.handle(Input::FileSystem(place, answer)),
                    None => Ok(()),
                }
            }
            Event::Engine(step) => {
                self.engine_step(step);
                Ok(())
            }
            Event::WallStep => {
                let step = self.wall_dice.between(1, 7_200_000);
                if self.options.wall_steps {
                    self.alerting.clock_is_set(self.now, self.wall_now());
                    let step = i64::try_from(step).unwrap_or(0);
                    self.wall_ms += if self.wall_dice.chance(50) { step } else { -step };
                }
                self.plan(1_200_000, Event::WallStep);
                self.tell_wall()
            }
            Event::Pause => {
                if self.options.pauses {
                    self.now += self.pause_dice.between(1_000, 900_000);
                    self.channel.resumed_at = self.now;
                    let mut ports = self.open.values().map(|(_, port)| *port);
                    if ports.any(|port| matches!(port, 8443 | proxy::PORT)) {
                        self.oracle.frame.missed_connection();
                    }
                    if let Some(living) = &mut self.living {
                        (living.judge.gap_at, living.judge.inspect_gap_at) = (self.now, self.now);
                    }
                    self.alerting.excuse(self.now);
                }
                let next = self.pause_dice.between(600_000, 7_200_000);
                self.plan(next, Event::Pause);
                Ok(())
            }
            // It was closed by the machine meanwhile.
            _ => Ok(()),
        }
    }

    pub(super) fn tell_wall(&mut self) -> Result<(), String> {
        let wall = self.wall_now();
        self.wall_told = (self.now, wall);
        let nanos = u32::try_from(wall.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
        self.handle(Input::Wall(Utc::new(wall.div_euclid(1000), nanos)))
    }

    /// The wall clock as the machine knows it.
    fn told_wall(&self) -> i64 {
        self.wall_told.1 + i64::try_from(self.now - self.wall_told.0).unwrap_or(0)
    }

    pub(super) fn is_open(&self, connection: Connection) -> bool {
        self.open
            .get(&connection.slot)
            .is_some_and(|(open, _)| *open == connection)
    }

    /// The machine is about to have a whole answer.
    pub(super) fn understood(&mut self, connection: Connection, meaning: Option<Meaning>) {
        let took = self.now - self.first_open.get(&connection.slot).copied().unwrap_or(self.now);
        match meaning {
            Some(Meaning::Envelope(mut looks, generation)) => {
                if self.fresh.0 != Some(generation) {
                    self.fresh = (Some(generation), self.now);
                }
                (self.seen.generation, self.seen.unchanged_ms) = (generation, self.now - self.fresh.1);
                let is_stale = self.seen.unchanged_ms >= options::STALE_AFTER_MS;
                looks.insert("orch_stale", if is_stale { Look::Active } else { Look::Clear });
                self.seen.envelope = Some(looks);
            }
            Some(Meaning::Dependency(good)) => {
                let place = usize::from(connection.slot.saturating_sub(16));
                self.seen.dependencies.insert(place, (good, took));
            }
            Some(Meaning::List(is_there)) => self.seen.list = Some(is_there),
            Some(Meaning::Containers(snapshot)) => {
                self.seen.list = Some(true);
                if let Some(living) = &mut self.living {
                    living.judge.listed(&snapshot, self.now);
                    living.judge.observe(&living.engine, self.now);
                }
            }
            Some(Meaning::Happened(sent)) => self.engine_heard(&sent),
            Some(Meaning::Taken) => {
                (self.answered_ok, self.unacknowledged) = (true, false);
                self.accepted_at = Some(self.now);
                self.overflow = self.leaves_some;
            }
            Some(Meaning::Flood(wait_s)) => self.not_before = self.now + 1000 * wait_s.min(900),
            Some(Meaning::Beat) => {
                self.beat.iter_mut().for_each(|beat| beat.answered += 1);
            }
            Some(Meaning::Looked(look)) => self.engine_looked(connection, look),
            None => {}
        }
    }

    pub(super) fn handle(&mut self, input: Input<'_>) -> Result<(), String> {
        self.report.steps += 1;
        self.handled_at = self.now;
        let now = Instant::from_millis(self.now);
        self.watchdog.handle(now, input);
        let mut wishes = Vec::new();
        let mut count = 0;
        while let Some(output) = self.watchdog.poll(now) {
            count += 1;
            if count > 700 {
                return Err("one input led to more than 700 wishes".to_owned());
            }
            wishes.extend(wish_of(output, &mut self.hash)?);
        }
        self.judge(&wishes)?;
        for wish in wishes {
            self.grant(wish)?;
        }
        Ok(())
    }

    /// Holds what was logged, and what came of the message under way, against what was foretold.
    pub(super) fn judge(&mut self, wishes: &[Wish]) -> Result<(), String> {
        let ticked = self.watchdog.ticks() != self.ticks;
        if ticked {
            self.ticks = self.watchdog.ticks();
            self.judge_haste()?;
            let mut seen = std::mem::take(&mut self.seen);
            if let Some(host) = &self.host {
                seen.host = host.end_tick(seen.memory, self.now - self.tick_began)?;
            }
            self.judge_sight(&seen)?;
            self.first_open.retain(|slot, _| *slot < 16);
            self.oracle.tick(&seen, self.now);
            if let Some(living) = &mut self.living {
                living.judge.observe(&living.engine, self.now);
                let holding = self.oracle.is_engine_holding();
                living.judge.tick(seen.list.is_some(), holding, self.now);
            }
            self.ticked_at = self.now;
            if self.ticks == u64::from(self.options.raise_ticks) {
                self.channel.ready_at = self.now;
            }
            if self.ticks >= u64::from(self.options.raise_ticks)
                && let Some(fair) = self.telegram_fair_since()
                && let Some(id) = self.oracle.overdue(&self.channel, fair, self.now)
            {
                return Err(format!("{id} was not told in time"));
            }
            let (wall, names_fair) = (self.wall_now(), self.address_fair_since(alertmanager::PORT));
            self.alerting.tick(self.now, wall, names_fair)?;
        }
        // A truth of K ticks is known an interval for each and a probe's deadline later: if none is late.
        let since = self.ticked_at.max(self.channel.resumed_at);
        if self.now - since > self.options.interval_ms + options::TIMEOUT_MS {
            return Err("a tick is late".to_owned());
        }
        let wall = self.told_wall();
        for wish in wishes {
            if let Wish::Event(line) = wish {
                let (id, change) = self.oracle.event(line, self.now, wall)?;
                if let (Some(living), Some(fires), true) =
                    (&self.living, change, id.starts_with("container_"))
                {
                    living.judge.changed(&id, fires, self.now)?;
                }
            }
        }
        self.oracle.events_end()?;
        if let Some(living) = &mut self.living {
            let is_firing = |id: &str| self.oracle.is_firing(id);
            living.judge.facts(&living.engine, is_firing, self.now)?;
            if ticked {
                living.judge.verdict(is_firing)?;
            }
        }
        self.judge_beats(ticked, wishes)?;
        self.judge_alerts(wishes)?;
        self.judge_call()
    }

    /// What came of the message under way, and what stands in the next one.
    fn judge_call(&mut self) -> Result<(), String> {
        let (delivered, failed) = self.watchdog.telegram().counts();
        if delivered + failed != self.telegram_ends {
            self.telegram_ends = delivered + failed;
            let accepted = std::mem::take(&mut self.answered_ok);
            if let (true, Some(fair)) = (accepted, self.telegram_fair_since()) {
                self.oracle.note_lateness(&self.channel, fair, self.now);
            }
            if accepted {
                self.judge_success()?;
            } else {
                self.judge_failure()?;
            }
            self.channel.ended(accepted, self.overflow, self.now);
            self.oracle.ended(accepted, self.now);
            self.things.composed = false;
        }
        let is_sending = self.watchdog.telegram().errand() != watchdog_core::channel::telegram::Errand::None;
        if is_sending && !self.things.composed {
            self.things.composed = true;
            self.channel.begins(self.now);
            let wall = self.told_wall();
            self.oracle.composed(self.now, wall, self.overflow);
        }
        Ok(())
    }
}

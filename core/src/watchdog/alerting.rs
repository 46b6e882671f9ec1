//! Telling Alertmanagers: who is sent what, when, and what the answer means for the table.
//!
//! Beside the channel to people, not instead of it. Alertmanager does its own waiting and grouping, so a signal is sent as
//! soon as it fires, and again every minute while it does. A round is as many requests as its alerts take, one
//! after the other; each Alertmanager has rounds of its own, so that one that is away holds up no other.

use core::fmt::Write as _;

use heapless::String;

use crate::channel::alertmanager::{self, Alertmanager, CALL_TIMEOUT, Clock, News, Verdict};
use crate::config::Config;
use crate::delivery::Alerted;
use crate::exchange::{Failure, Task};
use crate::limits::ALERTMANAGERS_MAX;
use crate::net::Level;
use crate::table::Table;
use crate::text::{Cut, Detail};
use crate::time::{Instant, Millis};

use super::links::{Owner, Request};
use super::{Mode, Watchdog};

/// All Alertmanagers.
#[derive(Debug)]
pub struct Alerting {
    /// The table changed since it was last looked at.
    changed: bool,
    managers: [Alertmanager; ALERTMANAGERS_MAX],
    tests: [Test; ALERTMANAGERS_MAX],
}

/// How far `notify-test` is with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Begin,
    Asking,
    Accepted,
    Failed,
}

impl Alerting {
    pub(super) const fn new() -> Self {
        Self {
            changed: false,
            managers: [const { Alertmanager::new() }; ALERTMANAGERS_MAX],
            tests: [Test::Begin; ALERTMANAGERS_MAX],
        }
    }

    pub(super) const fn something_changed(&mut self) {
        self.changed = true;
    }

    pub(super) fn manager(&self, place: usize) -> Option<&Alertmanager> {
        self.managers.get(place)
    }

    pub(super) fn head(&mut self, place: usize, status: u16) {
        if let Some(manager) = self.managers.get_mut(place) {
            manager.head(status);
        }
    }

    fn tests(&self, config: Option<&Config>) -> impl Iterator<Item = Test> {
        let count = config.map_or(0, |config| config.alertmanagers.len());
        self.tests.iter().copied().take(count)
    }

    pub(super) fn is_tested(&self, config: Option<&Config>) -> bool {
        self.tests(config)
            .all(|test| matches!(test, Test::Accepted | Test::Failed))
    }

    pub(super) fn is_all_accepted(&self, config: Option<&Config>) -> bool {
        self.tests(config).all(|test| test == Test::Accepted)
    }

    fn set_test(&mut self, place: usize, test: Test) {
        if let Some(known) = self.tests.get_mut(place) {
            *known = test;
        }
    }
}

impl Watchdog<'_> {
    /// Takes the answers, and begins the rounds that are due.
    pub(super) fn advance_alerting(&mut self, now: Instant, config: &Config) {
        if self.mode != Mode::Run {
            return;
        }
        for place in 0..config.alertmanagers.len() {
            if let Some(outcome) = self.take_outcome(Owner::Alertmanager(place)) {
                self.alerts_answered(place, outcome, now, config);
            }
        }
        if core::mem::replace(&mut self.alerting.changed, false) {
            for (place, manager) in (0..config.alertmanagers.len()).zip(&mut self.alerting.managers) {
                manager.look(news(&self.table, place, config), now);
            }
        }
        for place in 0..config.alertmanagers.len() {
            if self.round_at(place).is_some_and(|at| now >= at) {
                self.begin_or_go_on(place, config);
                self.post_alerts(place, now);
            }
        }
    }

    /// A round whose request failed goes on behind it, if there is more; else a new one begins.
    fn begin_or_go_on(&mut self, place: usize, config: &Config) {
        let Some(manager) = self.alerting.managers.get_mut(place) else {
            return;
        };
        if manager.has_stumbled() && has_more(&self.table, place, config) {
            return;
        }
        manager.begin_round();
        self.each_alerted(|alerted| alerted.begin_round(place));
    }

    /// Tells when the next round is to begin, if one is due and none is under way.
    pub(super) fn next_alert_at(&self, config: &Config) -> Option<Instant> {
        let places = 0..config.alertmanagers.len();
        places.filter_map(|place| self.round_at(place)).min()
    }

    fn round_at(&self, place: usize) -> Option<Instant> {
        if self.mode != Mode::Run || self.links.is_busy(Owner::Alertmanager(place)) {
            return None;
        }
        self.alerting.managers.get(place)?.due_at()
    }

    fn each_alerted(&mut self, act: impl Fn(&mut Alerted)) {
        self.table
            .rows_mut()
            .iter_mut()
            .for_each(|row| act(row.alerted_mut()));
    }

    /// Sends the next alerts of a round; which ones is decided when the request is written.
    fn post_alerts(&mut self, place: usize, now: Instant) -> bool {
        if let Some(manager) = self.alerting.managers.get_mut(place) {
            manager.begin();
        }
        self.links.start(
            Owner::Alertmanager(place),
            now,
            Some(now.after(CALL_TIMEOUT)),
            Task::Request,
        )
    }

    fn alerts_answered(
        &mut self,
        place: usize,
        outcome: Result<Millis, Failure>,
        now: Instant,
        config: &Config,
    ) {
        let Some(manager) = self.alerting.managers.get_mut(place) else {
            return;
        };
        let verdict = manager.ended(outcome, now, &mut self.random);
        self.alerting.something_changed();
        match verdict {
            Verdict::Accepted => {
                self.each_alerted(|alerted| alerted.accepted(place));
                if has_more(&self.table, place, config) {
                    self.post_alerts(place, now);
                } else if let Some(manager) = self.alerting.managers.get_mut(place) {
                    manager.round_ended(now);
                }
                return;
            }
            Verdict::Rejected => self.each_alerted(|alerted| alerted.rejected(place)),
            Verdict::Lost => self.each_alerted(|alerted| alerted.doubted(place)),
        }
        self.log_unalerted(place, now, config);
    }

    fn log_unalerted(&mut self, place: usize, now: Instant, config: &Config) {
        let wall = self.wall(now);
        let (Some(manager), Some(url)) = (
            self.alerting.managers.get_mut(place),
            config.alertmanagers.get(place),
        ) else {
            return;
        };
        if manager.should_log(now) {
            let fault = manager.fault();
            self.notes.log(wall, Level::Warn, "undelivered", |line| {
                line.pair("channel", "alertmanager")
                    .pair("url", url)
                    .pair("detail", fault);
            });
        }
    }

    /// `notify-test`: one alert to each, all at once.
    pub(super) fn advance_alert_test(&mut self, now: Instant, config: &Config) {
        for place in 0..config.alertmanagers.len() {
            if self.alerting.tests.get(place) == Some(&Test::Begin) {
                self.alerting.set_test(place, Test::Asking);
                if !self.post_alerts(place, now) {
                    self.alerting.set_test(place, Test::Failed);
                }
            } else if let Some(outcome) = self.take_outcome(Owner::Alertmanager(place)) {
                self.alert_test_answered(place, outcome, now, config);
            }
        }
    }

    fn alert_test_answered(
        &mut self,
        place: usize,
        outcome: Result<Millis, Failure>,
        now: Instant,
        config: &Config,
    ) {
        let (Some(manager), Some(url)) = (
            self.alerting.managers.get_mut(place),
            config.alertmanagers.get(place),
        ) else {
            return;
        };
        let verdict = manager.ended(outcome, now, &mut self.random);
        let fault = Detail::try_from(manager.fault()).unwrap_or_default();
        let mut shown = String::<320>::new();
        let _ = write!(Cut::new(&mut shown), "{url}");
        let test = if verdict == Verdict::Accepted {
            self.telling
                .say(format_args!("alertmanager {shown}: ok, accepted"));
            Test::Accepted
        } else {
            self.telling.say(format_args!(
                "alertmanager {shown}: {fault}; /api/v2/alerts below this URL should take a POST"
            ));
            Test::Failed
        };
        self.alerting.set_test(place, test);
    }

    pub(super) fn clock(&self, now: Instant) -> Clock {
        Clock {
            now,
            wall: self.wall(now),
        }
    }
}

fn news(table: &Table, place: usize, config: &Config) -> News {
    let mut news = News::Nothing;
    for row in table.rows() {
        if !row.is_alerted(place, config) {
            return News::Changed;
        }
        if row.alert(place, config).is_some() {
            news = News::Same;
        }
    }
    news
}

/// Tells whether the round goes on.
fn has_more(table: &Table, place: usize, config: &Config) -> bool {
    let mut rows = table.rows().iter();
    rows.any(|row| row.alert(place, config).is_some() && !row.alerted().is_sent(place))
}

/// Writes the request to an Alertmanager.
pub(super) fn write_request(
    mode: Mode,
    place: usize,
    table: &mut Table,
    config: &Config,
    clock: Clock,
    out: &mut Request,
) -> core::fmt::Result {
    match mode {
        Mode::NotifyTest => alertmanager::emit_test(place, config, clock, out),
        Mode::Run | Mode::Check => alertmanager::emit_alerts(place, table, config, clock, out),
    }
}

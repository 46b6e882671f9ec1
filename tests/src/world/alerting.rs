//! The judge of alerts: what each Alertmanager believes, held against what is true.
//!
//! True of a signal is what the log says (that the log is right judges `oracle`): it goes on while it is firing or
//! flapping, and is not muted. Nothing may be sent that is not true at that moment; and one that can be reached believes what
//! is true, [`TOLD_MS`] after it has become true, and never for want of a word that something is over. A storm, a step of
//! the wall clock and a time in which the process stood still are excuses for as long as [`RECOVERED_MS`] after them.

use std::collections::{BTreeMap, BTreeSet};

use watchdog_core::channel::alertmanager::Alertmanager as Shipped;

use super::alert::{self, Alert};
use super::alertmanager::{Alertmanager, Drawn, Held};
use super::options::Options;
use super::peers::Answer;
use super::request::Request;
use super::signals::Signal;
use super::weather::Fault;

/// What is new is sent at once: a connection, a request under way, a name to look up.
const TOLD_MS: u64 = 5_000;
/// After a storm: the request that it spoiled ends (10 s), the longest wait with its quarter (75 s), the rest of that
/// round, the longest wait again, and a whole round.
const RECOVERED_MS: u64 = 160_000;
/// The same with some thirty requests in a round.
const CROWD_MS: u64 = 30_000;
/// What is firing is said to end so long after it was sent.
const ENDS_AFTER_MS: i64 = 300_000;
/// And is sent again so often.
const RESENT_MS: i64 = 60_000;
const HOUR_MS: u64 = 3_600_000;

/// What is true of one signal.
#[derive(Clone, Copy, Debug, Default)]
struct Truth {
    goes_on: bool,
    since: u64,
    /// When its newest incident began, and when its newest one that is over ended.
    began: u64,
    ended: u64,
    /// Its row may be given away when the table is full.
    is_discovered: bool,
}

/// How the watchdog has dealt with one Alertmanager.
#[derive(Clone, Debug, Default)]
struct Account {
    /// Nothing has been in the way since then.
    fair_from: u64,
    failures_in_a_row: u32,
    not_before: u64,
    counts: (u64, u64),
    /// The last request: each signal, and whether it goes on in it.
    sent: Vec<(String, bool)>,
    /// When the round began that is under way or was the last, and when each of its signals was sent.
    round: (u64, BTreeMap<String, u64>),
    /// Signals of which it was told that they are firing, and not that they are over.
    owes_end: BTreeSet<String>,
    /// Of this hour: requests, failures, moments at which something changed.
    hour: u64,
    requests: u64,
    failures: u64,
    changes: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Alerting {
    /// The peers.
    pub managers: Vec<Alertmanager>,
    accounts: Vec<Account>,
    truth: BTreeMap<String, Truth>,
    options: Options,
}

impl Alerting {
    /// Knows who is configured.
    pub fn new(options: &Options) -> Self {
        let one = |(place, drawn): (u64, &Drawn)| Alertmanager::new(drawn, options.seed, place);
        let managers: Vec<_> = (0..).zip(&options.alertmanagers).map(one).collect();
        Self {
            accounts: vec![Account::default(); managers.len()],
            managers,
            truth: BTreeMap::new(),
            options: options.clone(),
        }
    }

    /// No faults from now on.
    pub fn heal(&mut self, now: u64) {
        self.managers
            .iter_mut()
            .for_each(|manager| manager.weather.heal(now));
    }

    /// The wall clock, which is everybody's, is about to be set. What is over stays over, also if its end lies ahead again.
    pub fn clock_is_set(&mut self, now: u64, wall_ms: i64) {
        for manager in &mut self.managers {
            manager.held.retain(|_, held| held.is_active(wall_ms));
        }
        self.excuse(now);
    }

    /// The process had stood still until now.
    pub fn excuse(&mut self, now: u64) {
        self.accounts
            .iter_mut()
            .for_each(|account| account.fair_from = now);
    }

    /// Something was logged: notes what is true now.
    pub fn note(&mut self, signals: &BTreeMap<String, Signal>, now: u64) {
        if self.managers.is_empty() {
            return;
        }
        for account in &mut self.accounts {
            account.changes += 1;
        }
        for signal in signals.values() {
            let goes_on = !signal.muted && (signal.firing || signal.flapping);
            let truth = self.truth.entry(signal.id.clone()).or_default();
            if truth.goes_on != goes_on {
                (truth.goes_on, truth.since) = (goes_on, now);
            }
            (truth.began, truth.ended) = signal.newest();
            truth.is_discovered = !signal.exact && self.options.crowd;
        }
    }

    /// The watchdog connects.
    ///
    /// # Errors
    /// It was to wait.
    pub fn met(&mut self, place: usize, now: u64) -> Result<Option<Fault>, String> {
        let left = self.accounts[place].not_before.saturating_sub(now);
        if left > 0 {
            return Err(format!(
                "Alertmanager {place} asked {left} ms before its back-off ends"
            ));
        }
        Ok(self.managers[place].met(now))
    }

    /// A request came whole.
    ///
    /// # Errors
    /// It is not what it should be, or not true.
    pub fn taken(
        &mut self,
        place: usize,
        request: &Request<'_>,
        now: u64,
        wall_ms: i64,
    ) -> Result<(Answer, Option<Fault>), String> {
        let (path, login) = self.managers[place].door();
        let is_json = request.field("Content-Type") == Some("application/json");
        if request.method != "POST" || request.path != path || !is_json {
            return Err(format!(
                "{} {} to Alertmanager {place}",
                request.method, request.path
            ));
        }
        if request.field("Authorization") != login {
            return Err(format!("a wrong login for Alertmanager {place}"));
        }
        let alerts = alert::parse(request.body, &self.options)?;
        for alert in &alerts {
            let truth = self.truth.get(&alert.id).copied().unwrap_or_default();
            is_true(alert, truth, now, wall_ms).map_err(|why| format!("alert {}: {why}", alert.id))?;
        }
        let is_another = self.begins_another_round(place, &alerts);
        if is_another && let Some(id) = self.lacking(place, wall_ms) {
            return Err(format!("a whole round to Alertmanager {place} lacks {id}"));
        }
        let manager = &mut self.managers[place];
        let goes_on = |alert: &Alert| (alert.id.clone(), 1000 * alert.ends_s > wall_ms);
        let account = &mut self.accounts[place];
        account.sent = alerts.iter().map(goes_on).collect();
        for (id, goes_on) in &account.sent {
            if *goes_on {
                account.owes_end.insert(id.clone());
            } else if !account.owes_end.contains(id) {
                return Err(format!(
                    "the end of alert {id} is told to one that has heard of it"
                ));
            }
        }
        account.count_request(now, self.options.crowd)?;
        if is_another {
            account.round = (now, BTreeMap::new());
        }
        account
            .round
            .1
            .extend(alerts.iter().map(|alert| (alert.id.clone(), now)));
        let fault = manager.weather.at(now, &mut manager.dice);
        Ok((manager.answer(&alerts, fault, wall_ms), fault))
    }

    /// Tells whether a request begins another round: it holds what was in the last. A signal that changed in between may
    /// have lost its row and got another, which is sent in the same round.
    fn begins_another_round(&self, place: usize, alerts: &[Alert]) -> bool {
        alerts.iter().any(|alert| {
            let sent_at = self.accounts[place].round.1.get(&alert.id);
            let truth = self.truth.get(&alert.id);
            sent_at
                .zip(truth)
                .is_some_and(|(sent_at, truth)| truth.since < *sent_at)
        })
    }

    /// Tells a signal that should have been in the last round and was not.
    fn lacking(&self, place: usize, wall_ms: i64) -> Option<&str> {
        let (began, round) = &self.accounts[place].round;
        let is_lacking = |(id, truth): &(&String, &Truth)| {
            let held = self.managers[place].held.get(*id);
            let is_believed = held.is_some_and(|held| held.is_active(wall_ms) && !held.misled);
            (truth.goes_on || (is_believed && !truth.is_discovered))
                && truth.since < *began
                && !round.contains_key(*id)
        };
        let mut lacking = self.truth.iter().filter(is_lacking);
        lacking.next().map(|(id, _)| id.as_str())
    }

    /// The machine may have had an outcome: takes it from what it counts.
    ///
    /// # Errors
    /// It takes something for accepted that was not.
    pub fn counted(&mut self, place: usize, shipped: &Shipped, now: u64) -> Result<(), String> {
        let account = &mut self.accounts[place];
        let (accepted, failed) = shipped.counts();
        if accepted > self.managers[place].good_answers {
            return Err(format!("Alertmanager {place} has accepted less than that"));
        }
        if accepted > account.counts.0 {
            account.failures_in_a_row = 0;
            for (id, goes_on) in account.sent.drain(..) {
                if !goes_on {
                    account.owes_end.remove(&id);
                }
            }
        }
        if failed > account.counts.1 {
            account.failures += 1;
            let wait = 1000 << account.failures_in_a_row.min(6);
            account.not_before = now + wait.min(60_000);
            account.failures_in_a_row += 1;
        }
        account.counts = (accepted, failed);
        Ok(())
    }

    /// The machine has nothing to send to one, and no request is under way: then it owes it no end, whatever the weather.
    ///
    /// # Errors
    /// It does.
    pub fn idle(&self, place: usize, wall_ms: i64) -> Result<(), String> {
        let is_owed = |(id, held): &(&String, &Held)| {
            held.is_active(wall_ms)
                && !held.misled
                && self
                    .truth
                    .get(*id)
                    .is_none_or(|truth| !truth.goes_on && !truth.is_discovered)
        };
        match self.managers[place].held.iter().find(is_owed) {
            Some((id, _)) => Err(format!("Alertmanager {place} will not be told the end of {id}")),
            None => Ok(()),
        }
    }

    /// A tick ended. `names_fair_since` tells since when names are found, if they are.
    ///
    /// # Errors
    /// One that could have been told believes what is not true.
    pub fn tick(&mut self, now: u64, wall_ms: i64, names_fair_since: Option<u64>) -> Result<(), String> {
        let recovered = RECOVERED_MS + if self.options.crowd { CROWD_MS } else { 0 };
        for (place, manager) in self.managers.iter_mut().enumerate() {
            manager.weather.at(now, &mut manager.dice);
            let account = &mut self.accounts[place];
            account.fair_from = match names_fair_since {
                Some(since) if manager.weather.is_calm() => {
                    account.fair_from.max(since).max(manager.weather.fair_since)
                }
                _ => now,
            };
            let fair_from = account.fair_from + recovered;
            for (id, truth) in &self.truth {
                let for_ms = now.saturating_sub(truth.since.max(fair_from));
                let allowed = TOLD_MS + if self.options.crowd { CROWD_MS } else { 0 };
                if for_ms > allowed {
                    believes(manager, id, *truth, wall_ms, i64::try_from(allowed).unwrap_or(0))
                        .map_err(|why| format!("Alertmanager {place} {why} {id}"))?;
                }
            }
        }
        Ok(())
    }

    /// Tells an alert that is active though nothing is wrong any more. One whose end is not told ends by itself, but not
    /// soon where the clock goes back.
    pub fn unsettled(&self, wall_ms: i64) -> Option<&str> {
        let all = self.managers.iter().flat_map(|manager| &manager.held);
        let is_untold = |id: &str, held: &Held| {
            let is_discovered = self.truth.get(id).is_some_and(|truth| truth.is_discovered);
            self.options.wall_steps && (held.misled || is_discovered)
        };
        let mut active = all.filter(|(id, held)| held.is_active(wall_ms) && !is_untold(id, held));
        active.next().map(|(id, _)| id.as_str())
    }
}

impl Account {
    /// A round each minute, and one or two for each change and each failure, of at most so many requests.
    fn count_request(&mut self, now: u64, crowd: bool) -> Result<(), String> {
        if now / HOUR_MS != self.hour {
            (self.hour, self.requests, self.failures, self.changes) = (now / HOUR_MS, 0, 0, 0);
        }
        self.requests += 1;
        let a_round = if crowd { 40 } else { 2 };
        let rounds = 66 + 2 * (self.changes + self.failures);
        if self.requests > a_round * rounds {
            return Err(format!(
                "{} requests to one Alertmanager in this hour",
                self.requests
            ));
        }
        Ok(())
    }
}

/// An alert says what is true now.
fn is_true(alert: &Alert, truth: Truth, now: u64, wall_ms: i64) -> Result<(), String> {
    let wall_s = |at: u64| (wall_ms - i64::try_from(now - at).unwrap_or(0)).div_euclid(1000);
    let ends_s = if truth.goes_on {
        (wall_ms + ENDS_AFTER_MS).div_euclid(1000)
    } else {
        wall_s(truth.ended)
    };
    if (alert.starts_s, alert.ends_s) == (wall_s(truth.began), ends_s) {
        return Ok(());
    }
    Err(format!(
        "from {} to {}, and true is from {} to {ends_s}",
        alert.starts_s,
        alert.ends_s,
        wall_s(truth.began)
    ))
}

/// An Alertmanager believes what is true, and has heard of it lately.
fn believes(
    manager: &Alertmanager,
    id: &str,
    truth: Truth,
    wall_ms: i64,
    late_ms: i64,
) -> Result<(), &'static str> {
    let held = manager.held.get(id);
    let is_active = held.is_some_and(|held| held.is_active(wall_ms));
    let heard = held.map_or(0, |held| held.ends_ms - ENDS_AFTER_MS);
    match (truth.goes_on, is_active) {
        (true, true) if wall_ms - heard > RESENT_MS + late_ms + 1_000 => {
            Err("has not been told again of the firing")
        }
        (true, false) => Err("does not believe in the firing"),
        // Something else said that all is well, or a full table needed the row: the alert ends by itself.
        (false, true) if !held.is_some_and(|held| held.misled) && !truth.is_discovered => {
            Err("still believes in the firing, which is over,")
        }
        _ => Ok(()),
    }
}

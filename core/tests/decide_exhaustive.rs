//! `decide` against CONTRACTS 5, said anew as predicates over a whole history: every short sequence of observations for a
//! grid of policies and tick gaps, and long histories by chance. Rule 7 (sent means resolved is sent) is delivery's.
//!
//! The predicates know no counters: each looks back over what was seen and what came of it. That they can fail is shown
//! by planted faults, each of which must be caught by the rule that it breaks.

use watchdog_core::decide::{Event, Policy, Raise, State, decide};
use watchdog_core::signal::Observation;
use watchdog_core::time::{Instant, Millis};

const INTERVAL_MS: u64 = 15_000;
const DAY_MS: u64 = 86_400_000;
const OBSERVATIONS: [Observation; 3] = [Observation::Active, Observation::Clear, Observation::Unknown];

type Decide = fn(Observation, &State, Instant, &Policy) -> (State, Option<Event>);

/// One step of a history: what was seen and when, and what `decide` made of it.
#[derive(Clone, Copy, Debug)]
struct Step {
    seen: Observation,
    at: u64,
    firing: bool,
    flapping: bool,
    event: Option<Event>,
}

impl Step {
    fn began_to_flap(&self) -> bool {
        matches!(self.event, Some(Event::Flapping { .. }))
    }
}

/// The rule that a history breaks at its last step.
type Broken = &'static str;

/// A history; its steps but the last one keep the rules.
#[derive(Default)]
struct History(Vec<Step>);

#[expect(
    clippy::indexing_slicing,
    reason = "a test: an index that is out of bounds fails it, as it should"
)]
impl History {
    fn jumped(&self, step: usize, policy: &Policy) -> bool {
        step > 0 && self.0[step].at - self.0[step - 1].at > 3 * policy.interval.as_millis()
    }

    fn firing_before(&self, step: usize) -> bool {
        step > 0 && self.0[step - 1].firing
    }

    fn changed(&self, step: usize) -> bool {
        self.0[step].firing != self.firing_before(step)
    }

    /// The steps that saw `wanted` in a row, newest first, back to the last that saw its contrary, to the last change, or
    /// to a jump of time.
    fn in_a_row(&self, wanted: Observation, policy: &Policy) -> Vec<usize> {
        let last = self.0.len() - 1;
        let mut row = Vec::new();
        for step in (0..=last).rev() {
            let seen = self.0[step].seen;
            if (seen != wanted && seen != Observation::Unknown) || (step < last && self.changed(step)) {
                break;
            }
            if seen == wanted {
                row.push(step);
            }
            if self.jumped(step, policy) {
                break;
            }
        }
        row
    }

    fn last_where(&self, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        (0..self.0.len()).rev().find(|step| wanted(*step))
    }

    fn check(&self, policy: &Policy) -> Result<(), Broken> {
        self.rule_4()?;
        self.rule_6(policy)?;
        self.rule_1(policy)?;
        self.rule_3(policy)?;
        self.rule_5(policy)?;
        self.rule_2(policy)
    }

    fn last(&self) -> (usize, Step, bool) {
        let step = self.0.len() - 1;
        (step, self.0[step], self.firing_before(step))
    }

    /// Fires on the K-th active in a row (or once active for so long), never earlier and never later.
    fn rule_1(&self, policy: &Policy) -> Result<(), Broken> {
        let (_, now, was_firing) = self.last();
        if was_firing {
            let told = matches!(now.event, Some(Event::Firing { .. }));
            return require(!told, "rule 1");
        }
        let row = self.in_a_row(Observation::Active, policy);
        let lasted = row.last().map_or(0, |first| now.at - self.0[*first].at);
        let enough = match policy.raise {
            Raise::Ticks(ticks) => row.len() >= usize::from(ticks.max(1)),
            Raise::For(span) => lasted >= span.as_millis(),
        };
        let due = now.seen == Observation::Active && enough;
        require(now.firing == due, "rule 1")?;
        match now.event {
            Some(Event::Firing { checks, within }) => require(
                due && usize::from(checks) == row.len()
                    && within.as_millis() == lasted + policy.interval.as_millis(),
                "rule 1",
            ),
            _ => require(!due || now.began_to_flap(), "rule 1"),
        }
    }

    /// The first reminder one cooldown after firing (or after `stable`), each next after twice the gap, at most a day.
    fn rule_2(&self, policy: &Policy) -> Result<(), Broken> {
        let (step, now, was_firing) = self.last();
        let told = matches!(now.event, Some(Event::StillFiring { .. }));
        let quiet = now.flapping || now.event == Some(Event::Stable);
        let (Some(cooldown), true, false) = (
            policy.cooldown,
            was_firing && now.seen == Observation::Active,
            quiet,
        ) else {
            return require(!told, "rule 2");
        };
        let fired = self.last_where(|step| self.0[step].firing && self.changed(step));
        let stable = self.last_where(|step| self.0[step].event == Some(Event::Stable));
        let start = fired.max(stable.filter(|step| self.0[*step].firing)).unwrap_or(0);
        let mut gap = cooldown.as_millis().min(DAY_MS);
        let mut since = self.0[start].at;
        for reminder in self.0[start + 1..step].iter() {
            if matches!(reminder.event, Some(Event::StillFiring { .. })) {
                since = reminder.at;
                gap = (gap * 2).min(DAY_MS);
            }
        }
        require(told == (now.at >= since + gap), "rule 2")?;
        let lasted = now.at - self.0[fired.unwrap_or(0)].at;
        match now.event {
            Some(Event::StillFiring { lasted: said }) => require(said.as_millis() == lasted, "rule 2"),
            _ => Ok(()),
        }
    }

    /// Resolves on the M-th clear in a row, exactly once per firing, and says how long it lasted.
    fn rule_3(&self, policy: &Policy) -> Result<(), Broken> {
        let (step, now, was_firing) = self.last();
        let told = matches!(now.event, Some(Event::Resolved { .. }));
        if !was_firing {
            return require(!told, "rule 3");
        }
        let row = self.in_a_row(Observation::Clear, policy);
        let due = now.seen == Observation::Clear && row.len() >= usize::from(policy.clear_ticks.max(1));
        require(now.firing != due, "rule 3")?;
        require(told == (due && !now.began_to_flap()), "rule 3")?;
        let Some(Event::Resolved { lasted }) = now.event else {
            return Ok(());
        };
        let fired =
            self.last_where(|earlier| earlier < step && self.0[earlier].firing && self.changed(earlier));
        require(
            lasted.as_millis() == now.at - self.0[fired.unwrap_or(0)].at,
            "rule 3",
        )
    }

    /// Unknown changes nothing that can be seen, and nothing is told of it.
    fn rule_4(&self) -> Result<(), Broken> {
        let (step, now, was_firing) = self.last();
        let was_flapping = step > 0 && self.0[step - 1].flapping;
        let held = now.event.is_none() && now.firing == was_firing && now.flapping == was_flapping;
        require(now.seen != Observation::Unknown || held, "rule 4")
    }

    /// One `flapping` past the limit, none inside, one `stable` after a whole window without a change.
    fn rule_5(&self, policy: &Policy) -> Result<(), Broken> {
        let (step, now, _) = self.last();
        let was_flapping = step > 0 && self.0[step - 1].flapping;
        let window = policy.flap_window.as_millis();
        if !was_flapping {
            let stable = self.last_where(|step| self.0[step].event == Some(Event::Stable));
            let recent = (stable.map_or(0, |step| step + 1)..=step)
                .filter(|step| self.changed(*step) && now.at - self.0[*step].at <= window)
                .count();
            let due = self.changed(step) && recent >= usize::from(policy.flap_changes);
            require(now.flapping == due && now.event != Some(Event::Stable), "rule 5")?;
            return match now.event {
                Some(Event::Flapping { changes }) => require(due && usize::from(changes) == recent, "rule 5"),
                _ => require(!due, "rule 5"),
            };
        }
        let due = now.seen != Observation::Unknown && !self.changed(step) && self.still_for(policy) >= window;
        require(now.flapping != due, "rule 5")?;
        let changed = self.changed(step) && !now.began_to_flap() && now.event != Some(Event::Stable);
        require(changed || now.event == due.then_some(Event::Stable), "rule 5")
    }

    /// Known time since the last change: between two looks next to each other that both said something.
    fn still_for(&self, policy: &Policy) -> u64 {
        let change = self.last_where(|step| self.changed(step)).unwrap_or(0);
        (change + 1..self.0.len())
            .filter(|step| {
                let known = |step: usize| self.0[step].seen != Observation::Unknown;
                known(*step) && known(*step - 1) && !self.jumped(*step, policy)
            })
            .map(|step| self.0[step].at - self.0[step - 1].at)
            .sum()
    }

    /// A jump of time never ends a firing by itself: only a clear can, and only where one is enough.
    fn rule_6(&self, policy: &Policy) -> Result<(), Broken> {
        let (step, now, was_firing) = self.last();
        let may_end = now.seen == Observation::Clear && policy.clear_ticks <= 1;
        require(
            !(self.jumped(step, policy) && was_firing) || now.firing || may_end,
            "rule 6",
        )
    }
}

fn require(holds: bool, rule: Broken) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(rule) }
}

/// How far apart ticks are, in half intervals, over and over.
const GAPS: [&[u64]; 4] = [&[2], &[2, 2, 2, 7], &[5, 1], &[6, 2, 7]];

fn policies() -> Vec<Policy> {
    let mut all = Vec::new();
    let raises = [
        Raise::Ticks(1),
        Raise::Ticks(2),
        Raise::Ticks(3),
        Raise::For(Millis::from_secs(30)),
    ];
    for raise in raises {
        for clear_ticks in [1, 2] {
            for cooldown in [None, Some(Millis::from_secs(30))] {
                for (flap_changes, window_s) in [(2, 45), (3, 60)] {
                    all.push(Policy {
                        interval: Millis::from_millis(INTERVAL_MS),
                        raise,
                        clear_ticks,
                        cooldown,
                        flap_changes,
                        flap_window: Millis::from_secs(window_s),
                    });
                }
            }
        }
    }
    all
}

/// Takes one step and checks it; the history holds it afterwards.
fn step(
    history: &mut History,
    state: &State,
    seen: Observation,
    at: u64,
    policy: &Policy,
    decide: Decide,
) -> Result<State, Broken> {
    let (next, event) = decide(seen, state, Instant::from_millis(at), policy);
    history.0.push(Step {
        seen,
        at,
        firing: next.is_firing(),
        flapping: next.is_flapping(),
        event,
    });
    history.check(policy)?;
    Ok(next)
}

struct Search<'a> {
    policy: &'a Policy,
    gaps: &'a [u64],
    length: usize,
    decide: Decide,
    history: History,
    tried: u64,
}

#[expect(
    clippy::indexing_slicing,
    reason = "a test: an index that is out of bounds fails it, as it should"
)]
impl Search<'_> {
    fn below(&mut self, state: &State, at: u64) -> Result<(), Broken> {
        let depth = self.history.0.len();
        if depth == self.length {
            return Ok(());
        }
        let now = at + self.gaps[depth % self.gaps.len()] * INTERVAL_MS / 2;
        for seen in OBSERVATIONS {
            self.tried += 1;
            let next = step(&mut self.history, state, seen, now, self.policy, self.decide)?;
            self.below(&next, now)?;
            self.history.0.pop();
        }
        Ok(())
    }
}

/// Tries everything up to a length; tells how many states, or the rule that was broken and the history that broke it.
fn search(length: usize, decide: Decide) -> Result<u64, (Broken, String)> {
    let mut tried = 0;
    for policy in &policies() {
        for gaps in GAPS {
            let mut search = Search {
                policy,
                gaps,
                length,
                decide,
                history: History::default(),
                tried: 0,
            };
            search
                .below(&State::NEW, 0)
                .map_err(|rule| (rule, format!("{policy:?}: {:#?}", search.history.0)))?;
            tried += search.tried;
        }
    }
    Ok(tried)
}

/// Rules 1 to 6 hold for every sequence of nine observations, each policy of the grid and each pattern of gaps.
#[test]
fn every_short_history_keeps_the_rules() {
    let tried = search(9, decide).unwrap();
    println!("decide: {tried} states up to length 9, rules 1 to 6 hold in each");
}

/// The same for longer sequences, which takes some twenty seconds.
#[test]
#[ignore = "takes some twenty seconds; CI runs it"]
fn every_longer_history_keeps_the_rules() {
    let tried = search(12, decide).unwrap();
    println!("decide: {tried} states up to length 12, rules 1 to 6 hold in each");
}

struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The rules hold in long histories too, with policies, gaps and streaks by chance.
#[test]
fn long_histories_keep_the_rules() {
    for seed in 0..300 {
        let mut chance = SplitMix(seed);
        let policy = Policy {
            interval: Millis::from_millis(INTERVAL_MS),
            raise: match chance.below(3) {
                0 => Raise::For(Millis::from_millis(chance.below(10) * INTERVAL_MS)),
                _ => Raise::Ticks(u16::try_from(chance.below(6)).unwrap()),
            },
            clear_ticks: u16::try_from(chance.below(5)).unwrap(),
            cooldown: (chance.below(3) > 0).then(|| Millis::from_secs(1 + chance.below(7200))),
            flap_changes: u8::try_from(2 + chance.below(15)).unwrap(),
            flap_window: Millis::from_secs(60 + chance.below(3600)),
        };
        let (mut history, mut state, mut at) = (History::default(), State::NEW, 0);
        let mut seen = Observation::Clear;
        for _ in 0..400 {
            // What was seen is mostly seen again, or nothing would ever last.
            if chance.below(3) == 0 {
                seen = OBSERVATIONS[usize::try_from(chance.below(3)).unwrap()];
            }
            at += match chance.below(40) {
                0 => chance.below(200_000),
                _ => INTERVAL_MS,
            };
            state = step(&mut history, &state, seen, at, &policy, decide)
                .unwrap_or_else(|rule| panic!("{rule} is broken by seed {seed} in step {}", history.0.len()));
        }
    }
}

fn with_raise(policy: &Policy, change: fn(u16) -> u16) -> Policy {
    let raise = match policy.raise {
        Raise::Ticks(ticks) => Raise::Ticks(change(ticks)),
        hold => hold,
    };
    Policy { raise, ..*policy }
}

/// Each planted fault is caught, by the rule that it breaks.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of faults, not steps")]
fn planted_faults_are_caught() {
    let faults: [(&str, Broken, Decide); 10] = [
        (
            "fires one observation early",
            "rule 1",
            |seen, prev, now, policy| decide(seen, prev, now, &with_raise(policy, |ticks| ticks - 1)),
        ),
        (
            "fires one observation late",
            "rule 1",
            |seen, prev, now, policy| decide(seen, prev, now, &with_raise(policy, |ticks| ticks + 1)),
        ),
        (
            "a clear does not start the count again",
            "rule 1",
            |seen, prev, now, policy| {
                let held = seen == Observation::Clear && prev.is_pending();
                decide(if held { Observation::Unknown } else { seen }, prev, now, policy)
            },
        ),
        ("reminds twice as often", "rule 2", |seen, prev, now, policy| {
            let cooldown = policy
                .cooldown
                .map(|span| Millis::from_millis(span.as_millis() / 2));
            decide(seen, prev, now, &Policy { cooldown, ..*policy })
        }),
        ("resolves twice", "rule 3", |seen, prev, now, policy| {
            let (next, event) = decide(seen, prev, now, policy);
            let again = seen == Observation::Clear && !prev.is_firing();
            let lasted = now.since(prev.fired_at());
            (next, event.or(again.then_some(Event::Resolved { lasted })))
        }),
        ("resolves one clear late", "rule 3", |seen, prev, now, policy| {
            let clear_ticks = policy.clear_ticks + 1;
            decide(
                seen,
                prev,
                now,
                &Policy {
                    clear_ticks,
                    ..*policy
                },
            )
        }),
        ("reminds while unknown", "rule 4", |seen, prev, now, policy| {
            let (next, event) = decide(seen, prev, now, policy);
            let wrong = seen == Observation::Unknown && prev.is_firing();
            let lasted = now.since(prev.fired_at());
            (next, event.or(wrong.then_some(Event::StillFiring { lasted })))
        }),
        ("is stable too early", "rule 5", |seen, prev, now, policy| {
            let flap_window = if prev.is_flapping() {
                policy.interval
            } else {
                policy.flap_window
            };
            decide(
                seen,
                prev,
                now,
                &Policy {
                    flap_window,
                    ..*policy
                },
            )
        }),
        (
            "begins to flap while it flaps",
            "rule 5",
            |seen, prev, now, policy| {
                let (next, event) = decide(seen, prev, now, policy);
                let inside = prev.is_flapping() && prev.is_firing() && !next.is_firing();
                (next, inside.then_some(Event::Flapping { changes: 9 }).or(event))
            },
        ),
        (
            "a jump of time resets nothing",
            "rule 1",
            |seen, prev, now, policy| {
                let interval = policy.interval.times(1000);
                let (next, event) = decide(seen, prev, now, &Policy { interval, ..*policy });
                let event = event.map(|event| match event {
                    Event::Firing { checks, within } => Event::Firing {
                        checks,
                        within: Millis::from_millis(within.as_millis() - 999 * policy.interval.as_millis()),
                    },
                    other => other,
                });
                (next, event)
            },
        ),
    ];
    for (fault, rule, planted) in faults {
        match search(7, planted) {
            Ok(tried) => panic!("{tried} states did not show that it {fault}"),
            // What a jump resets is both: counts in progress, and the time that it stood still.
            Err((broken, _)) if fault.starts_with("a jump") => assert!([rule, "rule 5"].contains(&broken)),
            Err((broken, _)) => assert_eq!(broken, rule, "{fault}"),
        }
    }
    println!("decide: {} planted faults are caught", faults.len());
}

/// A firing state that a jump of time would end is caught by rule 6.
#[test]
fn a_firing_lost_in_a_jump_is_caught() {
    let policy = policies()[0];
    let fired = Event::Firing {
        checks: 1,
        within: policy.interval,
    };
    let step = |at, firing, event| Step {
        seen: Observation::Active,
        at,
        firing,
        flapping: false,
        event,
    };
    let held = History(vec![step(0, true, Some(fired)), step(60_000, true, None)]);
    let lost = History(vec![step(0, true, Some(fired)), step(60_000, false, None)]);
    assert_eq!(
        (held.check(&policy), lost.check(&policy)),
        (Ok(()), Err("rule 6"))
    );
}

//! The oracle's own account of one signal: CONTRACTS 5 and 6 written a second time, from the page and not from the code.

use watchdog_core::time::Millis;

use super::detail::{self, Forms};
use super::options::{Options, RULE_TICKS};

/// What one look at a signal should have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing is wrong.
    Clear,
    /// It can not be told.
    Unknown,
    /// Something is wrong.
    Active,
}

/// What a channel believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Belief {
    /// That nothing is wrong.
    #[default]
    Clear,
    /// That it is firing.
    Firing,
    /// That it flaps.
    Flapping,
}

/// One firing.
#[derive(Clone, Copy, Debug)]
pub struct Incident {
    began: u64,
    ended: Option<u64>,
}

/// One signal.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Its id as people see it.
    pub id: String,
    /// Whether every look at it is known to the oracle, so that every event can be foretold.
    pub exact: bool,
    /// Whether it is critical.
    pub critical: bool,
    /// Whether people hear of it.
    pub muted: bool,
    /// Firing now.
    pub firing: bool,
    /// Flapping now.
    pub flapping: bool,
    streak: u32,
    streak_since: u64,
    changes: Vec<u64>,
    still_ms: u64,
    seen_at: Option<u64>,
    known: bool,
    was_clear: bool,
    /// It never fired and was clear twice in a row: one of a list is then counted among the clear that have no row.
    pub is_counted: bool,
    gap_ms: u64,
    remind_at: u64,
    /// Every firing.
    pub incidents: Vec<Incident>,
    checks: (u32, u64),
    flap_changes: usize,
    belief: Belief,
    told: usize,
    first_told_at: u64,
    reminder: Option<u64>,
    sending: Option<(Belief, usize)>,
    /// Since when there is something to tell.
    pub owed_since: Option<u64>,
    /// When something of it was logged last.
    pub logged_at: u64,
    /// What its detail may be, if all of it is known.
    says: Forms,
}

/// Behind a detail: checks and their time, or nothing.
pub const ANY_CHECKS: &str = " (# checks in #)";
const REMINDER_GAP_MAX: u64 = 24 * 3_600_000;

impl Signal {
    /// A signal that nobody has looked at.
    pub fn new(id: &str, exact: bool, options: &Options) -> Self {
        let kind = id.split(':').next().unwrap_or(id);
        let critical = matches!(
            kind,
            "orch_down"
                | "docker_down"
                | "container_down"
                | "container_oom"
                | "dep_down"
                | "disk_ceiling"
                | "disk_readonly"
                | "mem_low"
                | "table_full"
        );
        Self {
            id: id.to_owned(),
            exact,
            critical,
            muted: options.muted && id == "dep_down:d0",
            firing: false,
            flapping: false,
            streak: 0,
            streak_since: 0,
            changes: Vec::new(),
            still_ms: 0,
            seen_at: None,
            known: false,
            was_clear: false,
            is_counted: false,
            gap_ms: 0,
            remind_at: 0,
            incidents: Vec::new(),
            checks: (0, 0),
            flap_changes: 0,
            belief: Belief::Clear,
            told: 0,
            first_told_at: 0,
            reminder: None,
            sending: None,
            owed_since: None,
            logged_at: 0,
            says: Forms::new(),
        }
    }

    /// A look made these its detail. A subject that is gone from its list is clear without a word.
    pub fn says(&mut self, look: Look, mut forms: Forms) {
        let kinds = ["stage_stuck:", "slow:", "agent_overtime:"];
        if look == Look::Clear && kinds.iter().any(|kind| self.id.starts_with(kind)) {
            self.says.retain(|form| !forms.contains(form));
            forms.append(&mut self.says);
        }
        self.says = forms;
    }

    /// Tells what its detail may be.
    pub fn forms(&self) -> Forms {
        if self.exact {
            return self.says.clone();
        }
        detail::shapes(self.id.split(':').next().unwrap_or_default())
    }

    /// Counts in progress start again.
    pub const fn restart_counts(&mut self) {
        self.streak = 0;
    }

    /// Foretells the event of one look, as `event=...` of its log line; the state is that behind it.
    pub fn look(&mut self, look: Look, now: u64, options: &Options) -> Option<String> {
        let since = now - self.seen_at.unwrap_or(now);
        let jumped = since > 3 * options.interval_ms;
        if jumped {
            self.streak = 0;
        }
        let still = if self.known && !jumped { since } else { 0 };
        self.seen_at = Some(now);
        self.known = look != Look::Unknown;
        // The one stage that is always in the list.
        let is_listed = self.id.ends_with(":te<s>t & co") && self.exact;
        let is_clear = look == Look::Clear;
        self.is_counted = is_listed && is_clear && self.was_clear && self.incidents.is_empty();
        self.was_clear = is_clear;
        if look == Look::Unknown {
            return None;
        }
        if (look == Look::Active) == self.firing {
            self.streak = 0;
            return self.unchanged(look, still, now, options);
        }
        if self.streak == 0 {
            self.streak_since = now;
        }
        self.streak += 1;
        let needed = match self.id.as_str() {
            _ if self.firing => options.clear_ticks,
            "failed_jobs" => RULE_TICKS,
            _ => options.raise_ticks,
        };
        if self.streak < needed {
            return self.unchanged(Look::Unknown, still, now, options);
        }
        Some(self.change(now, options))
    }

    fn unchanged(&mut self, look: Look, still: u64, now: u64, options: &Options) -> Option<String> {
        if self.flapping {
            self.still_ms += still;
            if self.still_ms < options.flap_window_ms {
                return None;
            }
            self.changes.clear();
            self.start_reminders(now, options);
            return Some(format!("stable {}", if self.firing { "firing" } else { "clear" }));
        }
        if look == Look::Active && options.cooldown_ms.is_some() && now >= self.remind_at {
            self.gap_ms = (2 * self.gap_ms).min(REMINDER_GAP_MAX);
            self.remind_at = now + self.gap_ms;
            let lasted = Millis::from_millis(now - self.incidents.last()?.began);
            return Some(format!("still firing {lasted}"));
        }
        None
    }

    const fn start_reminders(&mut self, now: u64, options: &Options) {
        self.gap_ms = match options.cooldown_ms {
            Some(gap) => gap,
            None => 0,
        };
        self.remind_at = now + self.gap_ms;
    }

    /// It fires or resolves; the incident itself is noted with the event.
    fn change(&mut self, now: u64, options: &Options) -> String {
        let event = if self.firing {
            let began = self.incidents.last().map_or(now, |incident| incident.began);
            format!("resolved {}", Millis::from_millis(now - began))
        } else {
            self.checks = (self.streak, now - self.streak_since + options.interval_ms);
            self.start_reminders(now, options);
            format!("firing {}", self.streak)
        };
        self.streak = 0;
        self.still_ms = 0;
        self.changes.push(now);
        self.changes.retain(|at| now - at <= options.flap_window_ms);
        if !self.flapping && self.changes.len() >= options.flap_changes {
            return format!("flapping {}", self.changes.len());
        }
        event
    }

    /// Takes an event that was logged.
    ///
    /// # Errors
    /// It can not follow on what was logged before.
    pub fn logged(&mut self, event: &str, now: u64) -> Result<(), String> {
        let (name, rest) = event.rsplit_once(' ').unwrap_or((event, ""));
        match event.split(' ').next().unwrap_or_default() {
            "firing" if !self.firing => self.begin(now),
            "resolved" if self.firing => self.end(now),
            "flapping" if !self.flapping => {
                self.flapping = true;
                self.flap_changes = rest
                    .parse()
                    .map_err(|_| format!("{event}: no number of changes"))?;
                if self.firing {
                    self.end(now)
                } else {
                    self.begin(now)
                }
            }
            "stable" if self.flapping && (rest == "firing") == self.firing => self.flapping = false,
            "still" if self.firing && !self.flapping => {
                let began = self.incidents.last().map_or(now, |incident| incident.began);
                if self.belief == Belief::Firing && self.told == self.incidents.len() {
                    self.reminder = Some(now - began);
                }
            }
            _ => return Err(format!("{}: {name} can not follow", self.id)),
        }
        Ok(())
    }

    fn begin(&mut self, now: u64) {
        self.firing = true;
        self.incidents.push(Incident {
            began: now,
            ended: None,
        });
    }

    fn end(&mut self, now: u64) {
        self.firing = false;
        if let Some(incident) = self.incidents.last_mut() {
            incident.ended = Some(now);
        }
        if self.belief == Belief::Firing {
            self.reminder = None;
        }
        self.forgo_cost();
    }

    /// People get no line for the end of a cost.
    fn forgo_cost(&mut self) {
        let over = self.told > 0
            && self
                .incidents
                .get(self.told - 1)
                .is_some_and(|told| told.ended.is_some());
        if self.id == "cost_over" && self.belief == Belief::Firing && over {
            self.belief = Belief::Clear;
        }
    }

    /// Foretells the lines that a message made now has about it, each without the reason behind it.
    pub fn lines(&self, now: u64, wall_ms: i64, options: &Options) -> Vec<String> {
        let bad = if self.critical { '🔴' } else { '🟡' };
        let id = &self.id;
        if self.muted {
            return Vec::new();
        }
        match self.belief {
            Belief::Flapping if self.flapping => return Vec::new(),
            Belief::Flapping if self.firing => return vec![format!("{bad} STABLE {id}: firing, \u{0}")],
            Belief::Flapping => {
                let lasted = Millis::from_millis(now - self.first_told_at);
                return vec![format!("🟢 STABLE {id}: clear, after {lasted}")];
            }
            _ if self.flapping => {
                let window = Millis::from_millis(options.flap_window_ms);
                return vec![format!(
                    "🟠 FLAPPING {id}: {} changes in {window}",
                    self.flap_changes
                )];
            }
            Belief::Firing if self.firing && self.told == self.incidents.len() => {
                // The reason stands between; what follows it is looked for at the line's end.
                return self
                    .reminder
                    .map(|lasted| {
                        format!(
                            "{bad} STILL FIRING {id}: \u{0}, for {}",
                            Millis::from_millis(lasted)
                        )
                    })
                    .into_iter()
                    .collect();
            }
            _ => {}
        }
        self.whole_incidents(now, wall_ms, bad)
    }

    fn whole_incidents(&self, now: u64, wall_ms: i64, bad: char) -> Vec<String> {
        let id = &self.id;
        let mut lines = Vec::new();
        if self.belief == Belief::Firing
            && let Some(Incident {
                began,
                ended: Some(ended),
            }) = self.incidents.get(self.told - 1)
        {
            lines.push(format!(
                "🟢 RESOLVED {id}: after {}",
                Millis::from_millis(ended - began)
            ));
        }
        let missed = self.incidents.get(self.told..).unwrap_or_default();
        let over: Vec<_> = missed
            .iter()
            .filter_map(|one| Some((one.began, one.ended?)))
            .collect();
        if let Some((began, ended)) = over.last() {
            let times = if over.len() > 1 {
                format!("{} times, last ", over.len())
            } else {
                String::new()
            };
            let was = if id.contains("_down") {
                "was down"
            } else {
                "was active"
            };
            let lasted = Millis::from_millis(ended - began);
            let until = clock(wall_ms, now - ended);
            lines.push(format!(
                "🟢 RESOLVED {id}: {times}{was} {lasted} until {until}, told late"
            ));
        }
        if self.firing {
            let (checks, within) = self.checks;
            lines.push(match checks {
                2.. if self.exact => {
                    format!(
                        "{bad} FIRING {id}: \u{0} ({checks} checks in {})",
                        Millis::from_millis(within)
                    )
                }
                _ if self.exact => format!("{bad} FIRING {id}: \u{0}"),
                _ => format!("{bad} FIRING {id}: \u{0}{ANY_CHECKS}"),
            });
        }
        lines
    }

    /// A message with its lines is under way.
    pub fn send(&mut self) {
        let belief = match () {
            () if self.flapping => Belief::Flapping,
            () if self.firing => Belief::Firing,
            () => Belief::Clear,
        };
        self.sending = Some((belief, self.incidents.len()));
    }

    /// The message under way was taken, or not; tells whether it told of this.
    pub fn sent(&mut self, accepted: bool, now: u64) -> bool {
        let Some((belief, told)) = self.sending.take().filter(|_| accepted) else {
            return false;
        };
        let again = self.belief == Belief::Firing && belief == Belief::Firing && told != self.told;
        if self.belief == Belief::Clear || again {
            self.first_told_at = now;
        }
        (self.belief, self.told, self.reminder) = (belief, told, None);
        self.forgo_cost();
        true
    }

    /// Tells when its newest incident began, and when its newest one that is over ended.
    pub fn newest(&self) -> (u64, u64) {
        let began = self.incidents.last().map_or(0, |incident| incident.began);
        let ended = self.incidents.iter().rev().find_map(|incident| incident.ended);
        (began, ended.unwrap_or(0))
    }

    /// Where its lines stand in a message.
    pub fn rank(line: &str) -> u8 {
        const RANKS: [(&str, u8); 5] = [
            ("STILL FIRING ", 2),
            ("FIRING ", 1),
            ("RESOLVED ", 3),
            ("FLAPPING ", 4),
            ("STABLE ", 5),
        ];
        let verb = line.split_once(' ').map_or("", |(_, rest)| rest);
        RANKS
            .iter()
            .find(|(name, _)| verb.starts_with(name))
            .map_or(9, |(_, rank)| *rank)
    }
}

/// Tells the wall clock's time so long ago, as late lines show it.
fn clock(wall_ms: i64, ago_ms: u64) -> String {
    let at_ms = wall_ms - i64::try_from(ago_ms).unwrap_or(i64::MAX);
    let at = u64::try_from(at_ms.div_euclid(1000)).unwrap_or(0);
    let text = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(at))
        .to_string();
    let date = if ago_ms >= 86_400_000 {
        format!("{} ", &text[..10])
    } else {
        String::new()
    };
    format!("{date}{}Z", &text[11..16])
}

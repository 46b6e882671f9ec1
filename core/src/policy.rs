//! Which policy decides which signal: the configuration's limits, kind by kind (CONTRACTS 4, "Debounce").

use crate::config::Config;
use crate::decide::{Policy, Raise};
use crate::rule;
use crate::signal::Kind;
use crate::text::Subject;

/// Tells the policy of a signal as it is decided once a tick.
#[must_use]
pub fn of(config: &Config, kind: Kind, subject: &Subject) -> Policy {
    Policy {
        raise: raise(config, kind, subject),
        ..base(config)
    }
}

/// Tells the policy of what the engine states as a fact: one observation is enough.
#[must_use]
pub fn of_fact(config: &Config) -> Policy {
    Policy {
        raise: Raise::Ticks(1),
        ..base(config)
    }
}

/// Tells the policy of a signal in the first ticks after its master's alarm: nothing counts at once.
#[must_use]
pub fn of_cautious(config: &Config, kind: Kind, subject: &Subject) -> Policy {
    let raise = match raise(config, kind, subject) {
        Raise::Ticks(ticks) => Raise::Ticks(ticks.max(config.raise_ticks)),
        hold => hold,
    };
    Policy {
        raise,
        ..base(config)
    }
}

fn base(config: &Config) -> Policy {
    Policy {
        interval: config.interval,
        raise: Raise::Ticks(config.raise_ticks),
        clear_ticks: config.clear_ticks,
        cooldown: config.cooldown,
        flap_changes: config.flap_changes,
        flap_window: config.flap_window,
    }
}

fn raise(config: &Config, kind: Kind, subject: &Subject) -> Raise {
    match kind {
        Kind::OrchDown => Raise::Ticks(config.orchestrator.down_ticks),
        // Their durations replace K, and the agents' own rows have waited them out.
        Kind::AgentStalled | Kind::AgentRunaway => Raise::Ticks(1),
        Kind::DepDown | Kind::DepSlow | Kind::DepCert => {
            let named = config
                .dependencies
                .iter()
                .find(|dependency| dependency.name.as_str() == subject.as_str());
            Raise::Ticks(named.map_or(config.raise_ticks, |dependency| dependency.ticks))
        }
        Kind::Rule(number) => {
            let rule = config.rules.get(usize::from(number));
            match rule.and_then(|rule| rule.raise) {
                Some(rule::Raise::Ticks(ticks)) => Raise::Ticks(ticks),
                Some(rule::Raise::For(span)) => Raise::For(span),
                None => Raise::Ticks(config.raise_ticks),
            }
        }
        _ => Raise::Ticks(config.raise_ticks),
    }
}

//! What operators write: rules and variables.

use std::collections::BTreeSet;

use watchdog_core::config::{self, Config, Facts, Name};
use watchdog_core::rule::{Rule, Scalar};
use watchdog_core::signal::Observation;

/// Variables that one run reads.
const PAIRS_MAX: usize = 24;

/// Asserts that a fault's column stands in the text or just behind it, that white space around a rule changes nothing but the
/// column, and that a container is never equal to anything but unequal to `null`.
pub fn rule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let name: Name = "fuzzed".try_into().expect("a short name fits");
    let columns = text.chars().count() + 1;
    match (
        Rule::compile(&name, text),
        Rule::compile(&name, &format!("  {text}")),
    ) {
        (Ok(rule), Ok(spaced)) => {
            assert_eq!(format!("{rule:?}"), format!("{spaced:?}"));
            let trailing = Rule::compile(&name, &format!("{text} ")).expect("white space may follow");
            assert_eq!(format!("{rule:?}"), format!("{trailing:?}"));
            for seen in [0.0, -1.5, f64::NAN, f64::INFINITY] {
                let observation = rule.holds(Scalar::Number(seen));
                assert!(seen.is_finite() || observation != Observation::Active || !is_of_numbers(&rule));
            }
            let (null, container) = (rule.holds(Scalar::Null), rule.holds(Scalar::Container));
            assert!(container != null || null == Observation::Unknown);
        }
        (Err(fault), Err(spaced)) => {
            assert!((1..=columns).contains(&fault.column), "{fault}");
            assert_eq!(
                (fault.column + 2, fault.expected),
                (spaced.column, spaced.expected)
            );
        }
        (one, other) => panic!("{text:?}: {one:?}, and with white space around it {other:?}"),
    }
}

fn is_of_numbers(rule: &Rule) -> bool {
    matches!(rule.value, watchdog_core::rule::Literal::Number(_))
}

/// Asserts that variables, one `NAME=value` a line, give the same faults and the same configuration in any order, that a
/// fault is one line of bounded length, and that the token is shown nowhere.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut names = BTreeSet::from(["WATCHDOG_TELEGRAM_TOKEN"]);
    let mut variables = vec![("WATCHDOG_TELEGRAM_TOKEN", "123456:the-token-is-secret")];
    let lines = text.lines().filter_map(|line| line.split_once('='));
    variables.extend(lines.take(PAIRS_MAX).filter(|(name, _)| names.insert(name)));
    crate::with_room(|| {
        let forwards = parse(&variables);
        variables.reverse();
        assert_eq!(
            forwards,
            parse(&variables),
            "the order of variables changes what they say"
        );
        if !text.contains("token") {
            for line in &forwards {
                assert!(!line.contains("the-token"), "{line}");
            }
        }
    });
}

/// The faults and the effective configuration, a line each, sorted.
fn parse(variables: &[(&str, &str)]) -> BTreeSet<String> {
    let pairs = crate::given(variables);
    let facts = Facts {
        host_name: "host-1",
        docker_socket_exists: true,
    };
    let mut config = Box::new(Config::EMPTY);
    let mut lines = BTreeSet::new();
    config::parse(&pairs, &facts, &mut config, &mut |fault| {
        let line = fault.to_string();
        assert!(line.len() < 2_000 && !line.contains(char::is_control), "{line:?}");
        lines.insert(line);
    });
    config::effective(&pairs, &config, &mut |name, value, _origin| {
        lines.insert(format!("{name}={value}"));
    });
    lines
}

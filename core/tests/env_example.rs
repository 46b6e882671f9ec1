//! `.env.example` and the code's table of variables must agree, both ways: a name, default or range that changes in one
//! of them and not in the other fails here.

use watchdog_core::config::{Config, Facts, FaultKind, Origin, Pair, VARIABLES, Variable, file_twin, parse};

const EXAMPLE: &str = include_str!("../../.env.example");

/// An assignment that stands commented out in the example, and the comment above it.
struct Entry {
    name: &'static str,
    value: &'static str,
    comment: String,
}

/// Reads the example. Its blocks are divided by empty lines: a comment, then assignments.
fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for block in EXAMPLE.split("\n\n") {
        let mut comment = String::new();
        for line in block.lines() {
            assert!(line.starts_with('#'), "{line:?} is not commented out");
            let text = line.trim_start_matches('#');
            let is_name = |name: &str| {
                name.bytes()
                    .all(|b| b == b'_' || b.is_ascii_uppercase() || b.is_ascii_digit())
            };
            match text.trim_start().split_once('=') {
                Some((name, value)) if is_name(name) => entries.push(Entry {
                    name,
                    value,
                    comment: comment.clone(),
                }),
                _ => comment.push_str(text),
            }
        }
    }
    entries
}

fn variable_of(name: &str) -> Option<&'static Variable> {
    let belongs = |variable: &&Variable| match variable.name().strip_suffix("<NAME>") {
        Some(family) => name.starts_with(family),
        None => variable.name() == name,
    };
    VARIABLES.iter().find(belongs)
}

#[test]
fn every_variable_is_in_the_example_with_its_default_and_range() {
    let entries = entries();
    for variable in VARIABLES {
        let of_it: Vec<_> = entries
            .iter()
            .filter(|entry| file_twin(entry.name).is_none())
            .filter(|entry| variable_of(entry.name).is_some_and(|other| other.name() == variable.name()))
            .collect();
        let is_family = variable.name().ends_with("<NAME>");
        assert!(
            if is_family {
                !of_it.is_empty()
            } else {
                of_it.len() == 1
            },
            "{}",
            variable.name()
        );
        for entry in of_it {
            let sentence = format!(
                "Default: {}. Takes {}.",
                variable.default_words(),
                variable.expects()
            );
            assert!(
                entry.comment.contains(&sentence),
                "{}: expected {sentence:?}",
                entry.name
            );
            assert!(
                entry.comment.trim().find(&sentence) > Some(10),
                "{} has no meaning",
                entry.name
            );
            let names_secret = entry.comment.contains("A secret.");
            let is_secret = variable.masking() == watchdog_core::config::Masking::Whole;
            assert_eq!(names_secret, is_secret, "{}", entry.name);
            if !is_family {
                assert_eq!(entry.value, variable.default_text(), "{}", entry.name);
            }
        }
    }
}

#[test]
fn every_line_of_the_example_is_a_variable_or_a_twin() {
    for entry in entries() {
        let plain = file_twin(entry.name).unwrap_or(entry.name);
        assert!(variable_of(plain).is_some(), "{} is not in the code", entry.name);
    }
}

#[test]
fn every_twin_is_in_the_example_below_its_variable() {
    let entries = entries();
    for variable in VARIABLES {
        let Some(twin) = variable.twin() else { continue };
        let of_it = entries
            .iter()
            .find(|entry| entry.name == twin.replace("<NAME>", "GITEA"))
            .unwrap_or_else(|| panic!("{twin} is missing"));
        assert!(
            of_it.value.is_empty() && of_it.comment.contains(variable.expects()),
            "{twin}"
        );
    }
}

#[test]
fn the_example_taken_at_its_word_has_no_fault() {
    // All lines uncommented: the defaults are valid values, and so are the examples of rules and dependencies.
    let entries = entries();
    let pairs: Vec<_> = entries
        .iter()
        .filter(|entry| file_twin(entry.name).is_none())
        .map(|entry| Pair {
            name: entry.name,
            value: Ok(entry.value),
            origin: Origin::Env,
        })
        .collect();
    let facts = Facts {
        host_name: "host-1",
        docker_socket_exists: true,
    };
    let mut config = Box::new(Config::EMPTY);
    parse(&pairs, &facts, &mut config, &mut |fault| {
        assert_eq!(fault.kind(), FaultKind::Notice, "{fault}");
    });
    assert_eq!((config.rules.len(), config.dependencies.len()), (2, 2));
}

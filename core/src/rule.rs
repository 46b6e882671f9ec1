//! The rule grammar and its evaluation: `PATH OP VALUE [for N|DURATION] [by KEY]` (CONTRACTS 4).
//!
//! Fuzz target: `rule`.

use crate::config::Name;

/// A rule over the envelope, compiled.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `<NAME>` in lower case: the kind of its signals.
    pub name: Name,
}

//! What unhealthy containers' checks last said: a few are kept, so that 512 containers need not hold a text each.

use heapless::Vec;

use super::id::Id;
use super::inspect::Output;

/// Texts that are kept at once. Whoever has more unhealthy containers than that reads the engine's own log; the
/// later signals then say `unhealthy` alone.
const OUTPUTS_MAX: usize = 32;

/// The texts.
#[derive(Debug)]
pub(super) struct Outputs(Vec<(Id, Output), OUTPUTS_MAX>);

impl Outputs {
    /// No texts.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Keeps a container's text in place of its last one.
    pub(super) fn keep(&mut self, id: Id, output: &Output) {
        self.drop_all_but(|other| other != id);
        if !output.is_empty() {
            drop(self.0.push((id, output.clone())));
        }
    }

    /// Drops the texts of the containers for which `is_kept` says no.
    pub(super) fn drop_all_but(&mut self, is_kept: impl Fn(Id) -> bool) {
        self.0.retain(|(id, _)| is_kept(*id));
    }

    /// Tells a container's text; empty if there is none.
    pub(super) fn of(&self, id: Id) -> &str {
        self.0
            .iter()
            .find_map(|(other, output)| (*other == id).then_some(output.as_str()))
            .unwrap_or_default()
    }
}

//! The fixed table of signals: this tick's observations in, transitions out.
//!
//! Probes *stage* what they see; nothing counts until the tick is settled. A document that turns out to be no document
//! is taken back with [`Table::unstage_source`], a key that stands twice with [`Table::unstage`].

use core::fmt;

use crate::signal::{Kind, Observation, Source};
use crate::text::Subject;

/// The table.
#[derive(Debug)]
pub struct Table {}

impl Table {
    /// Stages one observation of this tick. Of two of one signal the worse counts: first by [`Observation`], then by
    /// `badness`, the figure behind it (any unit, greater is worse).
    ///
    /// A discovered subject that is clear and has no row is counted, not kept. What has no room is counted as left out.
    pub fn stage(
        &mut self,
        kind: Kind,
        subject: &Subject,
        observation: Observation,
        badness: f64,
        detail: fmt::Arguments<'_>,
    ) {
        let _ = (kind, subject, observation, badness, detail);
    }

    /// Stages an observation as [`Table::stage`] does; if it is active it is a fact, and counts at once whatever the
    /// signal's K is (CONTRACTS 4, debounce).
    pub fn stage_fact(
        &mut self,
        kind: Kind,
        subject: &Subject,
        observation: Observation,
        badness: f64,
        detail: fmt::Arguments<'_>,
    ) {
        let _ = (kind, subject, observation, badness, detail);
    }

    /// Tells that the kind's list was read to its end this tick: subjects that were not staged are gone, hence clear.
    pub fn list_ended(&mut self, kind: Kind) {
        let _ = kind;
    }

    /// Takes back what was staged for a kind this tick, and that its list had ended.
    pub fn unstage(&mut self, kind: Kind) {
        let _ = kind;
    }

    /// Takes back what was staged for all kinds of a source this tick.
    pub fn unstage_source(&mut self, source: Source) {
        let _ = source;
    }

    /// Tells whether a signal is firing: two-threshold signals need to know (CONTRACTS 4, `disk_ceiling`).
    #[must_use]
    pub fn is_firing(&self, kind: Kind, subject: &Subject) -> bool {
        let _ = (kind, subject);
        false
    }

    /// Counts subjects for which state could not be kept (`table_full`).
    pub fn left_out(&mut self, count: u32) {
        let _ = count;
    }
}

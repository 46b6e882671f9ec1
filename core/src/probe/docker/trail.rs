//! Where in a document an event stands: a stack of places, one byte a level.
//!
//! A document's shape is an enum of the places that matter and two functions from a place to the ones inside it; the
//! rest is [`Shape::ELSEWHERE`]. The rules' masks (`json::path`) serve paths that the operator writes; these
//! shapes are known when the code is written, and stand in it as they stand in the engine's documents.

use crate::json::Event;
use crate::limits::JSON_DEPTH_MAX;

/// A document's places.
pub(super) trait Shape: Copy {
    /// All that is passed over. Its discriminant is 0.
    const ELSEWHERE: Self;
    /// The document itself.
    const TOP: Self;

    /// Tells the place of a key's value, in an object that stands here.
    fn key(self, key: &str) -> Self;

    /// Tells the place of the elements of an array that stands here.
    fn element(self) -> Self;
}

/// What happened at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Visit<'a, P> {
    /// A key: what an equal key said before no longer counts.
    Named(P),
    /// An array or object begins.
    Opened(P),
    /// A string, number or word stands here.
    Value(P, Event<'a>),
    /// The array or object ended.
    Closed(P),
}

/// Follows a document.
#[derive(Debug)]
pub(super) struct Trail<P> {
    stack: [(P, Inside); JSON_DEPTH_MAX],
    depth: usize,
    named: P,
}

/// What stands at a place of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Array,
    Object,
}

impl<P: Shape> Trail<P> {
    /// Stands in front of a document: all zero bits.
    pub(super) const fn new() -> Self {
        Self {
            stack: [(P::ELSEWHERE, Inside::Array); JSON_DEPTH_MAX],
            depth: 0,
            named: P::ELSEWHERE,
        }
    }

    /// Stands in front of a document again.
    pub(super) fn reset(&mut self) {
        self.depth = 0;
    }

    /// Takes one step.
    pub(super) fn step<'a>(&mut self, event: Event<'a>) -> Visit<'a, P> {
        match event {
            Event::Key(key) => {
                let parent = self.parent().map_or(P::ELSEWHERE, |(place, _)| place);
                self.named = key.whole().map_or(P::ELSEWHERE, |key| parent.key(key));
                Visit::Named(self.named)
            }
            Event::ObjectStart => self.open(Inside::Object),
            Event::ArrayStart => self.open(Inside::Array),
            Event::ObjectEnd | Event::ArrayEnd => {
                let place = self.parent().map_or(P::ELSEWHERE, |(place, _)| place);
                self.depth = self.depth.saturating_sub(1);
                Visit::Closed(place)
            }
            value => Visit::Value(self.here(), value),
        }
    }

    fn open<'a>(&mut self, inside: Inside) -> Visit<'a, P> {
        let place = self.here();
        if let Some(slot) = self.stack.get_mut(self.depth) {
            *slot = (place, inside);
        }
        // The reader stops at the depth that the stack holds.
        self.depth = self.depth.saturating_add(1).min(JSON_DEPTH_MAX);
        Visit::Opened(place)
    }

    fn here(&self) -> P {
        match self.parent() {
            None => P::TOP,
            Some((place, Inside::Array)) => place.element(),
            Some((_, Inside::Object)) => self.named,
        }
    }

    fn parent(&self) -> Option<(P, Inside)> {
        self.stack.get(self.depth.checked_sub(1)?).copied()
    }
}

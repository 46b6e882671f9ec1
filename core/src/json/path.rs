//! Paths over the event stream: which of up to 64 patterns a value matches.
//!
//! A [`Matcher`] keeps, for each level of nesting, the set of patterns that match so far, so any number of patterns
//! costs one pass and constant memory. A pattern is a list of [`Segment`]s; the one without any matches the document
//! itself. Patterns are handed in at each step, so they may be static or compiled at run time. Tests: beside the code.

use super::{Event, Text};
use crate::limits::JSON_DEPTH_MAX;

/// Patterns that one matcher can follow: one bit each.
pub const PATTERNS_MAX: usize = 64;

/// One step down into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Segment<'p> {
    /// The value of this key of an object.
    Key(&'p str),
    /// Every element of an array: `[]`.
    Every,
}

/// A set of patterns, by their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Patterns(u64);

impl Patterns {
    /// No pattern.
    pub const NONE: Self = Self(0);

    /// The first `count` patterns, at most [`PATTERNS_MAX`].
    #[must_use]
    pub const fn first(count: usize) -> Self {
        if count >= PATTERNS_MAX {
            return Self(u64::MAX);
        }
        Self((1_u64 << count).wrapping_sub(1))
    }

    /// Tells whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Tells whether `pattern` is one of them.
    #[must_use]
    pub fn contains(self, pattern: usize) -> bool {
        self.into_iter().any(|own| own == pattern)
    }

    fn filter(self, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept = 0;
        let mut rest = self.0;
        while rest != 0 {
            let lowest = rest & rest.wrapping_neg();
            if keep(lowest.trailing_zeros() as usize) {
                kept |= lowest;
            }
            rest ^= lowest;
        }
        Self(kept)
    }
}

/// The numbers of the patterns in a set, lowest first.
impl Iterator for Patterns {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let lowest = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        Some(lowest)
    }
}

/// What one event means to the patterns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Step {
    /// Patterns whose value this event is, or begins, or ends.
    pub matched: Patterns,
    /// Patterns for which whatever came earlier below this path is void, as a key begins its value: that of the
    /// pattern itself or of one of the objects around it. If a key stands twice, the last one replaces the whole earlier
    /// value, so who captures must forget; a key that stands once says it too, when there is nothing to forget.
    ///
    /// It concerns one element alone if the path to it goes through an array.
    pub replaced: Patterns,
    /// Patterns that match down to the object, or to the elements of the array, that begins or ends with this event.
    pub inside: Patterns,
}

/// One level of nesting.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Patterns that match down to this array's elements, or to this object.
    inside: Patterns,
    /// Patterns whose value the container is.
    matched: Patterns,
    container: Container,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// Follows one document.
#[derive(Debug)]
pub struct Matcher {
    levels: [Level; JSON_DEPTH_MAX],
    depth: usize,
    /// Patterns that match down to the key that was read last.
    at_key: Patterns,
}

impl Default for Matcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Matcher {
    /// Makes a matcher in front of a document: all zero bits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            levels: [Level {
                inside: Patterns::NONE,
                matched: Patterns::NONE,
                container: Container::Object,
            }; JSON_DEPTH_MAX],
            depth: 0,
            at_key: Patterns::NONE,
        }
    }

    /// Stands in front of a new document again.
    pub const fn reset(&mut self) {
        self.depth = 0;
        self.at_key = Patterns::NONE;
    }

    /// Tells how many containers are open: after the last event of a document, none.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// Takes the next event and tells what it means to `patterns`, which must be the same for a whole document.
    ///
    /// `segment` tells the segment of a pattern by pattern and place, none past its end.
    pub fn step<'p>(
        &mut self,
        event: &Event<'_>,
        patterns: Patterns,
        segment: impl Fn(usize, usize) -> Option<Segment<'p>>,
    ) -> Step {
        match event {
            Event::Key(key) => {
                self.key(key, segment);
                Step::default()
            }
            Event::ObjectEnd | Event::ArrayEnd => self.leave(),
            Event::ObjectStart => self.enter(patterns, segment, Container::Object),
            Event::ArrayStart => self.enter(patterns, segment, Container::Array),
            _ => self.value(patterns, segment).1,
        }
    }

    fn innermost(&self) -> Option<&Level> {
        self.levels.get(self.depth.checked_sub(1)?)
    }

    fn key<'p>(&mut self, key: &Text<'_>, segment: impl Fn(usize, usize) -> Option<Segment<'p>>) {
        let inside = self.innermost().map_or(Patterns::NONE, |level| level.inside);
        let place = self.depth.saturating_sub(1);
        self.at_key = inside
            .filter(|pattern| matches!(segment(pattern, place), Some(Segment::Key(own)) if key.is(own)));
    }

    /// Tells the patterns that match down to the value that begins now, and what that means.
    fn value<'p>(
        &self,
        patterns: Patterns,
        segment: impl Fn(usize, usize) -> Option<Segment<'p>>,
    ) -> (Patterns, Step) {
        let (down_to, replaced) = match self.innermost() {
            None => (patterns, Patterns::NONE),
            Some(level) if level.container == Container::Array => (level.inside, Patterns::NONE),
            Some(_) => (self.at_key, self.at_key),
        };
        let matched = down_to.filter(|pattern| segment(pattern, self.depth).is_none());
        let step = Step {
            matched,
            replaced,
            inside: Patterns::NONE,
        };
        (down_to, step)
    }

    fn enter<'p>(
        &mut self,
        patterns: Patterns,
        segment: impl Fn(usize, usize) -> Option<Segment<'p>>,
        container: Container,
    ) -> Step {
        let (down_to, step) = self.value(patterns, &segment);
        let inside = match container {
            Container::Object => down_to,
            Container::Array => {
                down_to.filter(|pattern| segment(pattern, self.depth) == Some(Segment::Every))
            }
        };
        if let Some(level) = self.levels.get_mut(self.depth) {
            *level = Level {
                inside,
                matched: step.matched,
                container,
            };
            self.depth = self.depth.saturating_add(1);
        }
        Step { inside, ..step }
    }

    fn leave(&mut self) -> Step {
        let left = self.innermost().map(|level| (level.matched, level.inside));
        let (matched, inside) = left.unwrap_or_default();
        self.depth = self.depth.saturating_sub(1);
        Step {
            matched,
            replaced: Patterns::NONE,
            inside,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::json::Reader;
    use std::vec::Vec;

    use Segment::{Every, Key};

    const PATTERNS: &[&[Segment<'static>]] = &[
        &[],
        &[Key("a")],
        &[Key("a"), Every],
        &[Key("a"), Every, Key("b")],
        &[Key("c"), Key("d")],
        &[Every, Every],
    ];

    fn segment(pattern: usize, place: usize) -> Option<Segment<'static>> {
        PATTERNS[pattern].get(place).copied()
    }

    /// Each event that matches or replaces something, with its sign, and the numbers of the patterns.
    fn steps(document: &str) -> Vec<(char, Vec<usize>, Vec<usize>)> {
        let mut steps = Vec::new();
        let mut matcher = Matcher::new();
        let mut reader = Reader::new();
        let mut sink = |event: Event<'_>| {
            let step = matcher.step(&event, Patterns::first(PATTERNS.len()), segment);
            let sign = match event {
                Event::ObjectStart => '{',
                Event::ObjectEnd => '}',
                Event::ArrayStart => '[',
                Event::ArrayEnd => ']',
                _ => '.',
            };
            if !step.matched.is_empty() || !step.replaced.is_empty() {
                steps.push((sign, step.matched.collect(), step.replaced.collect()));
            }
        };
        reader.feed(document.as_bytes(), &mut sink).unwrap();
        reader.finish(&mut sink).unwrap();
        assert_eq!(matcher.depth(), 0);
        steps
    }

    /// A pattern hears its scalar, and start and end of its container, at its own place and nowhere else.
    #[test]
    fn patterns_match_at_their_place_alone() {
        assert_eq!(
            steps(r#"{"b":1,"a":[{"b":2,"x":{"b":3}},[4],5],"x":{"a":6}}"#),
            [
                ('{', [0].to_vec(), [].to_vec()),
                ('[', [1].to_vec(), [1, 2, 3].to_vec()),
                ('{', [2].to_vec(), [].to_vec()),
                ('.', [3].to_vec(), [3].to_vec()),
                ('}', [2].to_vec(), [].to_vec()),
                ('[', [2].to_vec(), [].to_vec()),
                (']', [2].to_vec(), [].to_vec()),
                ('.', [2].to_vec(), [].to_vec()),
                (']', [1].to_vec(), [].to_vec()),
                ('}', [0].to_vec(), [].to_vec()),
            ]
        );
    }

    /// A key that stands twice says both times that what came before is void, also when its new value has another
    /// shape and the pattern's own place is never reached again.
    #[test]
    fn a_repeated_key_replaces_the_whole_earlier_value() {
        assert_eq!(
            steps(r#"{"c":{"d":1},"c":2}"#),
            [
                ('{', [0].to_vec(), [].to_vec()),
                ('{', [].to_vec(), [4].to_vec()),
                ('.', [4].to_vec(), [4].to_vec()),
                ('.', [].to_vec(), [4].to_vec()),
                ('}', [0].to_vec(), [].to_vec()),
            ]
        );
    }

    /// An object's keys never match `[]`, and an array's elements never match a key.
    #[test]
    fn keys_and_elements_are_not_mistaken_for_one_another() {
        assert_eq!(steps("[[7]]")[1], ('.', [5].to_vec(), [].to_vec()));
        let keyed = steps(r#"{"[]":{"[]":1}}"#);
        assert_eq!(keyed.len(), 2, "{keyed:?}");
        let array = steps(r#"["a",{"a":1}]"#);
        assert_eq!(array.len(), 2, "{array:?}");
    }

    /// The deepest document that the reader accepts is followed to its end.
    #[test]
    fn every_level_of_the_deepest_document_has_room() {
        let deep = "[".repeat(JSON_DEPTH_MAX) + &"]".repeat(JSON_DEPTH_MAX);
        // Start and end of the document and of its only element.
        assert_eq!(steps(&deep).len(), 4);
    }

    /// Sets hold 64 patterns, and the first `count` of them are those below it.
    #[test]
    fn sets_hold_every_pattern() {
        assert_eq!(Patterns::first(64).count(), 64);
        assert_eq!(Patterns::first(3).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(Patterns::first(0).is_empty() && !Patterns::first(3).contains(3));
        assert!(Patterns::first(64).contains(63));
    }
}

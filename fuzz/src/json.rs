//! The JSON reader against `serde_json`.

use std::collections::BTreeMap;

use serde_json::Value;
use watchdog_core::json::{Event, Fault, Reader, Text};
use watchdog_core::limits::JSON_TOKEN_BYTES_MAX;
use watchdog_core::text::Subject;

/// An event that outlives the reader's token.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Open(bool),
    Close,
    Key(String),
    String(String),
    Number(Figure),
    NotFinite,
    Bool(bool),
    Null,
}

/// A number as the reader tells it; the double by its bits, so that zero keeps its sign.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figure {
    double: Option<u64>,
    signed: Option<i64>,
    unsigned: Option<u64>,
}

/// A document as the events describe it, to be laid beside `serde_json`'s.
enum Tree {
    Null,
    NotFinite,
    Bool(bool),
    Number(Figure),
    String(String),
    Array(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

/// Asserts that the same events come however the bytes are cut; that what `serde_json` accepts is accepted with the same
/// values, and the other way round, but for what CONTRACTS 3 names: depth, `NaN` and infinities, bytes that are not
/// UTF-8 (read as U+FFFD, which is asserted too), lone surrogates, and numbers past the doubles.
pub fn json(data: &[u8]) {
    let [whole, others @ ..] = crate::cuts(data).map(|pieces| read(&pieces));
    for other in others {
        assert_eq!(whole, other, "a cut changes what is read");
    }
    let (events, result) = whole;
    let text = String::from_utf8_lossy(data);
    // `serde_json` gives up behind 128 levels and we behind 64: whatever follows is not compared.
    if result == Err(Fault::TooDeep) {
        return;
    }
    match (serde_json::from_str::<Value>(&text), result) {
        (Ok(theirs), Ok(())) => {
            let mut events = events.into_iter();
            let ours = build(&mut events).expect("the events are one document");
            assert_eq!(events.next(), None, "there is one document");
            assert!(is_same(&ours, &theirs), "{text:?} read otherwise than {theirs}");
        }
        (Ok(theirs), Err(fault)) => panic!("{text:?} is {theirs}, and was refused: {fault}"),
        (Err(error), Ok(())) => {
            assert!(
                is_tolerated(&events, &text),
                "{text:?} was read in spite of: {error}"
            );
        }
        (Err(_), Err(_)) => {}
    }
}

fn read(pieces: &[&[u8]]) -> (Vec<Owned>, Result<(), Fault>) {
    let mut events = Vec::new();
    let mut sink = |event: Event<'_>| events.push(own(event));
    let mut reader = Reader::new();
    let fed = pieces.iter().try_for_each(|piece| reader.feed(piece, &mut sink));
    let result = fed.and_then(|()| reader.finish(&mut sink));
    assert_eq!(reader.finish(&mut |_| panic!("nothing follows the end")), result);
    (events, result)
}

fn own(event: Event<'_>) -> Owned {
    match event {
        Event::ObjectStart => Owned::Open(true),
        Event::ArrayStart => Owned::Open(false),
        Event::ObjectEnd | Event::ArrayEnd => Owned::Close,
        Event::Key(text) => Owned::Key(shown(text)),
        Event::String(text) => Owned::String(shown(text)),
        Event::Number(number) => Owned::Number(Figure {
            double: number.as_f64().map(f64::to_bits),
            signed: number.as_i64(),
            unsigned: number.as_u64(),
        }),
        Event::NotFinite => Owned::NotFinite,
        Event::Bool(value) => Owned::Bool(value),
        Event::Null => Owned::Null,
    }
}

/// The whole text, or the subject that a text which is too long is told by.
fn shown(text: Text<'_>) -> String {
    text.whole()
        .map_or_else(|| text.subject().as_str().to_owned(), str::to_owned)
}

fn shown_of(text: &str) -> String {
    if text.len() <= JSON_TOKEN_BYTES_MAX {
        text.to_owned()
    } else {
        Subject::new(text).as_str().to_owned()
    }
}

fn build(events: &mut impl Iterator<Item = Owned>) -> Option<Tree> {
    Some(match events.next()? {
        Owned::Open(true) => {
            let mut members = BTreeMap::new();
            while let Owned::Key(key) = events.next()? {
                members.insert(key, build(events)?);
            }
            Tree::Object(members)
        }
        Owned::Open(false) => {
            let mut elements = Vec::new();
            while let Some(element) = build(events) {
                elements.push(element);
            }
            Tree::Array(elements)
        }
        Owned::Close | Owned::Key(_) => return None,
        Owned::String(text) => Tree::String(text),
        Owned::Number(figure) => Tree::Number(figure),
        Owned::NotFinite => Tree::NotFinite,
        Owned::Bool(value) => Tree::Bool(value),
        Owned::Null => Tree::Null,
    })
}

fn is_same(ours: &Tree, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Tree::Null, Value::Null) => true,
        (Tree::Bool(ours), Value::Bool(theirs)) => ours == theirs,
        (Tree::String(ours), Value::String(theirs)) => *ours == shown_of(theirs),
        (Tree::Number(ours), Value::Number(theirs)) => {
            let double = ours.double == theirs.as_f64().map(f64::to_bits);
            if theirs.is_u64() {
                double && ours.unsigned == theirs.as_u64() && ours.signed == theirs.as_i64()
            } else if theirs.is_i64() {
                double && ours.signed == theirs.as_i64() && ours.unsigned.is_none()
            } else {
                double
            }
        }
        (Tree::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(ours, theirs)| is_same(ours, theirs))
        }
        (Tree::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && theirs
                    .iter()
                    .all(|(key, theirs)| ours.get(&shown_of(key)).is_some_and(|ours| is_same(ours, theirs)))
        }
        _ => false,
    }
}

/// Tells whether a document holds what we read and `serde_json` does not.
fn is_tolerated(events: &[Owned], text: &str) -> bool {
    let has_surrogate = || text.to_ascii_lowercase().contains("\\ud");
    let is_odd = |event: &Owned| match event {
        Owned::NotFinite => true,
        Owned::Number(figure) => figure.double.is_none(),
        _ => false,
    };
    events.iter().any(is_odd) || has_surrogate()
}

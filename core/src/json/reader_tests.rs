//! Tests of the reader: every document against `serde_json`, whole and cut at every place.

extern crate std;

use super::{Event, Fault, Reader};
use crate::limits::{JSON_DEPTH_MAX, JSON_TOKEN_BYTES_MAX};
use crate::text::Subject;
use serde_json::{Map, Value};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// An event that outlives the reader's token.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Open(char),
    Close(char),
    Key(String),
    String(String),
    Number(Option<u64>, Option<i64>, Option<u64>),
    NotFinite,
    Bool(bool),
    Null,
}

fn own(event: Event<'_>) -> Owned {
    match event {
        Event::ObjectStart => Owned::Open('{'),
        Event::ArrayStart => Owned::Open('['),
        Event::ObjectEnd => Owned::Close('}'),
        Event::ArrayEnd => Owned::Close(']'),
        Event::Key(text) => Owned::Key(
            text.whole()
                .map_or_else(|| text.subject().to_string(), String::from),
        ),
        Event::String(text) => Owned::String(
            text.whole()
                .map_or_else(|| text.subject().to_string(), String::from),
        ),
        Event::Number(number) => Owned::Number(
            number.as_f64().map(f64::to_bits),
            number.as_i64(),
            number.as_u64(),
        ),
        Event::NotFinite => Owned::NotFinite,
        Event::Bool(value) => Owned::Bool(value),
        Event::Null => Owned::Null,
    }
}

/// Reads pieces as one document.
fn read_pieces(pieces: &[&[u8]]) -> (Vec<Owned>, Result<(), Fault>) {
    let mut events = Vec::new();
    let mut sink = |event: Event<'_>| events.push(own(event));
    let mut reader = Reader::new();
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| reader.feed(piece, &mut sink));
    }
    result = result.and_then(|()| reader.finish(&mut sink));
    (events, result)
}

fn read(document: &[u8]) -> (Vec<Owned>, Result<(), Fault>) {
    read_pieces(&[document])
}

/// Builds the value that events describe; the last of two equal keys counts.
fn value(events: &mut impl Iterator<Item = Owned>) -> Option<Value> {
    Some(match events.next()? {
        Owned::Open('{') => {
            let mut map = Map::new();
            loop {
                match events.next()? {
                    Owned::Key(key) => map.insert(key, value(events)?),
                    Owned::Close('}') => break Value::Object(map),
                    _ => return None,
                };
            }
        }
        Owned::Open(_) => {
            let mut array = Vec::new();
            while let Some(element) = value(events) {
                array.push(element);
            }
            Value::Array(array)
        }
        Owned::Close(_) | Owned::Key(_) => return None,
        Owned::String(text) => Value::String(text),
        Owned::Number(double, signed, unsigned) => match (unsigned, signed) {
            (Some(number), _) => Value::from(number),
            (_, Some(number)) => Value::from(number),
            _ => Value::from(f64::from_bits(double?)),
        },
        Owned::NotFinite | Owned::Null => Value::Null,
        Owned::Bool(value) => Value::Bool(value),
    })
}

/// Makes `1.0` and `1` one number, as our integers do.
fn with_plain_integers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(double) if number.is_f64() && double.fract() == 0.0 && double.abs() < 1e15 => {
                Value::from(double.to_string().parse::<i64>().unwrap())
            }
            _ => Value::Number(number),
        },
        Value::Array(array) => array.into_iter().map(with_plain_integers).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, with_plain_integers(value)))
            .collect(),
        other => other,
    }
}

/// Documents of every kind that RFC 8259 allows.
const VALID: &[&str] = &[
    "{}",
    "[]",
    " [ ] ",
    "\t\r\n{ }\n",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "42",
    "-42",
    "3.25",
    "1e5",
    "1E+5",
    "1e-5",
    "0e1",
    "0.0",
    "-0.1e-3",
    "123456789012345678",
    "18446744073709551615",
    "-9223372036854775808",
    "1.7976931348623157e308",
    "4.9e-324",
    "[-0]",
    "[0e+1]",
    "[1E22]",
    "[123.456e78]",
    "[1.5]",
    "\"\"",
    "\"a\"",
    " \"a\" ",
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u0041\u00e9\u20ac\u0000""#,
    r#""\ud83d\ude00""#,
    r#""\uD834\uDd1e""#,
    r#""x\ud83d\ude00y\ud83d\ude01""#,
    r#""\uDBFF\uDFFF""#,
    r#""\u2028\u2029\uFEFF\uFFFE""#,
    "\"\u{7f}\"",
    "\"é€😀\u{2028}\u{feff}\u{fffd}\"",
    "\"\u{10ffff}\u{7ff}\u{800}\u{ffff}\u{10000}\"",
    r#"{"a":1}"#,
    r#"{"":0}"#,
    r#"{"a":1,"b":[1,2,{"c":null}],"d":{"e":"f"}}"#,
    r#"{"a":1,"a":2}"#,
    r#"{"a":{"b":1},"a":[]}"#,
    r#"{"\u0061\n":"\u0062"}"#,
    r#"[null,1,"1",{},[],true,false]"#,
    "[1,\n2\t,\r3 , 4]",
    "[[[[[[1]]]]]]",
    r#"{"min":-1.0e+28,"max":1.0e+28}"#,
    r#"[{"id":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]"#,
];

/// Documents that are none, and what is told of them.
const INVALID: &[(&[u8], Fault)] = &[
    (b"", Fault::Empty),
    (b" \n", Fault::Empty),
    (b"\xef\xbb\xbf{}", Fault::UnexpectedByte),
    (b"\xff\xfe{\0}\0", Fault::UnexpectedByte),
    (b"[", Fault::CutShort),
    (b"{", Fault::CutShort),
    (b"[1", Fault::CutShort),
    (b"[1,", Fault::CutShort),
    (b"{\"a\"", Fault::CutShort),
    (b"{\"a\":", Fault::CutShort),
    (b"{\"a\":1", Fault::CutShort),
    (b"{\"a\":1,", Fault::CutShort),
    (b"\"a", Fault::CutShort),
    (b"\"a\\", Fault::CutShort),
    (b"\"\\u00", Fault::CutShort),
    (b"tru", Fault::CutShort),
    (b"-", Fault::CutShort),
    (b"1.", Fault::CutShort),
    (b"1e", Fault::CutShort),
    (b"1e+", Fault::CutShort),
    (b"-Infinit", Fault::CutShort),
    (b"[1,]", Fault::UnexpectedByte),
    (b"[,1]", Fault::UnexpectedByte),
    (b"[1,,2]", Fault::UnexpectedByte),
    (b"[1 2]", Fault::UnexpectedByte),
    (b"[1:2]", Fault::UnexpectedByte),
    (b"[\"a\":1]", Fault::UnexpectedByte),
    (b"{\"a\":1,}", Fault::UnexpectedByte),
    (b"{,\"a\":1}", Fault::UnexpectedByte),
    (b"{\"a\":1,,\"b\":2}", Fault::UnexpectedByte),
    (b"{\"a\" 1}", Fault::UnexpectedByte),
    (b"{\"a\"::1}", Fault::UnexpectedByte),
    (b"{\"a\",1}", Fault::UnexpectedByte),
    (b"{a:1}", Fault::UnexpectedByte),
    (b"{'a':1}", Fault::UnexpectedByte),
    (b"{1:1}", Fault::UnexpectedByte),
    (b"{null:1}", Fault::UnexpectedByte),
    (b"{\"a\"}", Fault::UnexpectedByte),
    (b"{\"a\":}", Fault::UnexpectedByte),
    (b"[}", Fault::UnexpectedByte),
    (b"{]", Fault::UnexpectedByte),
    (b"[1}", Fault::UnexpectedByte),
    (b"{\"a\":1]", Fault::UnexpectedByte),
    (b"]", Fault::UnexpectedByte),
    (b"nul!", Fault::UnexpectedByte),
    (b"nil", Fault::UnexpectedByte),
    (b"True", Fault::UnexpectedByte),
    (b"NULL", Fault::UnexpectedByte),
    (b"nan", Fault::UnexpectedByte),
    (b"Nan", Fault::UnexpectedByte),
    (b"inf", Fault::UnexpectedByte),
    (b"Infinitx", Fault::UnexpectedByte),
    (b"-NaN", Fault::BadNumber),
    (b"+Infinity", Fault::BadNumber),
    (b"truetrue", Fault::TrailingBytes),
    (b"[truex]", Fault::UnexpectedByte),
    (b"/* c */ 1", Fault::UnexpectedByte),
    (b"[1] // c", Fault::TrailingBytes),
    (b"{} {}", Fault::TrailingBytes),
    (b"1 2", Fault::TrailingBytes),
    (b"{}\0", Fault::TrailingBytes),
    (b"[]]", Fault::TrailingBytes),
    (b"\"a\"b", Fault::TrailingBytes),
    (b"+1", Fault::BadNumber),
    (b".5", Fault::BadNumber),
    (b"01", Fault::BadNumber),
    (b"-01", Fault::BadNumber),
    (b"00", Fault::BadNumber),
    (b"[-]", Fault::BadNumber),
    (b"--1", Fault::BadNumber),
    (b"-a", Fault::BadNumber),
    (b"[1.]", Fault::BadNumber),
    (b"1.e1", Fault::BadNumber),
    (b"-.5", Fault::BadNumber),
    (b"[1e]", Fault::BadNumber),
    (b"[1e+]", Fault::BadNumber),
    (b"1ee1", Fault::BadNumber),
    (b"1e1.5", Fault::TrailingBytes),
    (b"1.2.3", Fault::TrailingBytes),
    (b"0x1F", Fault::TrailingBytes),
    (b"[1_000]", Fault::UnexpectedByte),
    (b"\"\n\"", Fault::ControlCharacter),
    (b"\"\t\"", Fault::ControlCharacter),
    (b"\"\0\"", Fault::ControlCharacter),
    (b"\"\x1f\"", Fault::ControlCharacter),
    (b"{\"a\nb\":1}", Fault::ControlCharacter),
    (b"\"\\x41\"", Fault::BadEscape),
    (b"\"\\a\"", Fault::BadEscape),
    (b"\"\\'\"", Fault::BadEscape),
    (b"\"\\U0041\"", Fault::BadEscape),
    (b"\"\\\n\"", Fault::BadEscape),
    (b"\"\\u00g0\"", Fault::BadEscape),
    (b"\"\\u+041\"", Fault::BadEscape),
    (b"\"\\u\"", Fault::BadEscape),
    (b"\"\\ud83d\\u\"", Fault::BadEscape),
    (b"\"\\\xe2\x82\xac\"", Fault::BadEscape),
    (b"[\x0b1]", Fault::UnexpectedByte),
    (b"[\x0c]", Fault::UnexpectedByte),
    (b"[\xc2\xa0]", Fault::UnexpectedByte),
    (b"[\xe2\x81\xa0]", Fault::UnexpectedByte),
    (b"[\xef\xbc\x91]", Fault::UnexpectedByte),
    (b"*", Fault::UnexpectedByte),
    (b"<html></html>", Fault::UnexpectedByte),
];

/// Documents that are read although RFC 8259 does not know them, and the events that they give.
fn tolerated() -> Vec<(&'static [u8], Vec<Owned>)> {
    let string = |text: &str| [Owned::String(text.into())].to_vec();
    [
        (&b"NaN"[..], [Owned::NotFinite].to_vec()),
        (b"Infinity", [Owned::NotFinite].to_vec()),
        (b"-Infinity", [Owned::NotFinite].to_vec()),
        (
            b"[NaN,-Infinity]",
            [
                Owned::Open('['),
                Owned::NotFinite,
                Owned::NotFinite,
                Owned::Close(']'),
            ]
            .to_vec(),
        ),
        (b"1e999", [Owned::Number(None, None, None)].to_vec()),
        (br#""\ud800""#, string("\u{fffd}")),
        (br#""\udc00""#, string("\u{fffd}")),
        (br#""\ud800x""#, string("\u{fffd}x")),
        (br#""\ud800\n""#, string("\u{fffd}\n")),
        (b"\"\\ud800\xc3\xa9\"", string("\u{fffd}é")),
        (b"\"\\ud800\xff\"", string("\u{fffd}\u{fffd}")),
        (b"\"\xe2\x82\\ud800\"", string("\u{fffd}\u{fffd}")),
        (br#""\ud800\ud83d\ude00""#, string("\u{fffd}😀")),
        (br#""\ud83d\u0041""#, string("\u{fffd}A")),
        (br#""\ude00\ud83d""#, string("\u{fffd}\u{fffd}")),
        (br#""\ud83d\ud83d\ud83d""#, string("\u{fffd}\u{fffd}\u{fffd}")),
    ]
    .to_vec()
}

/// Wherever a document is cut in two, or into bytes, it gives the same events and the same fault.
#[test]
fn cuts_change_nothing() {
    let tolerated = tolerated();
    let documents = VALID
        .iter()
        .map(|document| document.as_bytes())
        .chain(INVALID.iter().map(|(document, _)| *document))
        .chain(tolerated.iter().map(|(document, _)| *document));
    for document in documents {
        let whole = read(document);
        for cut in 0..=document.len() {
            let (left, right) = document.split_at(cut);
            assert_eq!(read_pieces(&[left, right]), whole, "{document:?} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = document.chunks(1).collect();
        assert_eq!(read_pieces(&bytes), whole, "{document:?} in bytes");
    }
}

/// What `serde_json` accepts is accepted with the same value.
#[test]
fn valid_documents_have_the_value_that_serde_json_sees() {
    for document in VALID {
        let expected: Value = serde_json::from_str(document).unwrap();
        let (events, result) = read(document.as_bytes());
        assert_eq!(result, Ok(()), "{document}");
        let mut events = events.into_iter();
        let read = value(&mut events).unwrap();
        assert_eq!(
            with_plain_integers(read),
            with_plain_integers(expected),
            "{document}"
        );
        assert_eq!(events.next(), None, "{document}");
    }
}

/// What is no JSON is refused, each with its own reason, and `serde_json` agrees.
#[test]
fn invalid_documents_are_refused_with_their_reason() {
    for (document, fault) in INVALID {
        assert_eq!(
            read(document).1,
            Err(*fault),
            "{:?}",
            String::from_utf8_lossy(document)
        );
        assert!(serde_json::from_slice::<Value>(document).is_err());
    }
}

/// What Python's `json` may write beyond the grammar is read.
#[test]
fn tolerances_read_as_the_contract_says() {
    for (document, events) in tolerated() {
        assert_eq!(
            read(document),
            (events, Ok(())),
            "{:?}",
            String::from_utf8_lossy(document)
        );
    }
}

/// Bytes that are not UTF-8 read as the standard library's lossy conversion reads them: shown for every pair and many
/// triples and quadruples of bytes at the edges of Unicode's table of well-formed sequences.
#[test]
fn bytes_that_are_not_utf8_read_as_the_standard_library_reads_them() {
    const EDGES: &[u8] = &[
        b'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
        0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];
    let check = |bytes: &[u8]| {
        let document = [b"\"", bytes, b"\""].concat();
        let expected = Owned::String(String::from_utf8_lossy(bytes).into_owned());
        assert_eq!(read(&document), ([expected].to_vec(), Ok(())), "{bytes:x?}");
    };
    for first in EDGES {
        for second in EDGES {
            check(&[*first, *second]);
            for third in EDGES {
                check(&[*first, *second, *third]);
                for fourth in [b'a', 0x80, 0x90, 0xbf, 0xc2, 0xf0] {
                    check(&[*first, *second, *third, fourth]);
                }
            }
        }
    }
}

/// 64 levels are read, 65 are too deep, and so are 100,000, at the 65th byte and without a stack to overflow.
#[test]
fn depth_has_its_bound() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let nested = |depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
        assert_eq!(read(nested(JSON_DEPTH_MAX).as_bytes()).1, Ok(()));
        assert_eq!(read(nested(JSON_DEPTH_MAX + 1).as_bytes()).1, Err(Fault::TooDeep));
    }
    assert_eq!(read("[".repeat(100_000).as_bytes()).1, Err(Fault::TooDeep));
    let mixed = "[{\"a\":".repeat(32) + "[]" + &"}]".repeat(32);
    assert_eq!(read(mixed.as_bytes()).1, Err(Fault::TooDeep));
    assert_eq!(Fault::TooDeep.to_string(), "nested too deeply");
}

/// A closing bracket must be of the kind that is open, at every level: each bit of the levels is remembered.
#[test]
fn every_level_remembers_its_kind() {
    let open = "[{\"a\":".repeat(32);
    let close = "}]".repeat(32);
    assert_eq!(read((open.clone() + "1" + &close).as_bytes()).1, Ok(()));
    for wrong in 0..close.len() {
        let mut broken = close.clone().into_bytes();
        broken[wrong] = if broken[wrong] == b'}' { b']' } else { b'}' };
        let document = [open.as_bytes(), b"1", &broken].concat();
        assert_eq!(read(&document).1, Err(Fault::UnexpectedByte), "{wrong}");
    }
}

/// After a fault every further call gives the same fault and no event, until the reader is reset.
#[test]
fn a_fault_stays_until_reset() {
    let mut reader = Reader::new();
    let mut count = 0;
    let mut sink = |_: Event<'_>| count += 1;
    assert_eq!(reader.feed(b"[01", &mut sink), Err(Fault::BadNumber));
    assert_eq!(reader.feed(b"[1]", &mut sink), Err(Fault::BadNumber));
    assert_eq!(reader.finish(&mut sink), Err(Fault::BadNumber));
    assert_eq!(reader.feed_sequence(b"[1]", &mut sink), Err(Fault::BadNumber));
    reader.reset();
    assert_eq!(reader.feed(b"[1]", &mut sink), Ok(()));
    assert_eq!(reader.finish(&mut sink), Ok(()));
    assert_eq!(reader.feed(b" \n", &mut sink), Ok(()));
    assert_eq!(reader.feed(b"x", &mut sink), Err(Fault::TrailingBytes));
    assert_eq!(count, 1 + 3);
}

/// A reset in the middle of anything leaves nothing behind.
#[test]
fn a_reset_forgets_what_was_under_way() {
    let long = "[".to_string() + &"{\"a\":[".repeat(20) + "\"" + &"x".repeat(2000);
    let mut beginnings: Vec<&str> = Vec::from(["\"ab\\ud83d", "\"\\u00", "-12.5e-7", "tru", "{\"a\"", "-0."]);
    beginnings.push(&long);
    for beginning in beginnings {
        let mut reader = Reader::new();
        reader.feed(beginning.as_bytes(), &mut |_| {}).unwrap();
        reader.reset();
        let mut events = Vec::new();
        for document in [&b"\"\\ude00\""[..], b"7", b"{\"b\":\"c\"}"] {
            reader
                .feed(document, &mut |event| events.push(own(event)))
                .unwrap();
            reader.finish(&mut |event| events.push(own(event))).unwrap();
            reader.reset();
        }
        assert_eq!(events[0], Owned::String("\u{fffd}".into()), "{beginning}");
        assert_eq!(
            events[1],
            Owned::Number(Some(7.0_f64.to_bits()), Some(7), Some(7))
        );
        assert_eq!(events.len(), 2 + 4);
    }
}

/// A string longer than the token keeps whole characters from its start, and makes the subject of the whole text,
/// whatever its bytes and wherever it was cut.
#[test]
fn a_long_string_keeps_its_start_and_its_hash() {
    for unit in ["a", "é", "€", "😀", "\\u00e9", "\\ud83d\\ude00", "ab€"] {
        for shift in 0..4 {
            let written = "x".repeat(shift) + &unit.repeat(900);
            let document = format!("\"{written}\"");
            let text: String = serde_json::from_str(&document).unwrap();
            for size in [1, 7, 4096] {
                let mut reader = Reader::new();
                let mut seen = 0;
                for piece in document.as_bytes().chunks(size) {
                    let mut sink = |event: Event<'_>| {
                        let Event::String(read) = event else { panic!() };
                        seen += 1;
                        assert!(text.starts_with(read.start()));
                        assert!(read.start().len() > JSON_TOKEN_BYTES_MAX - 4);
                        assert_eq!(read.whole(), None);
                        assert_eq!(read.subject(), Subject::new(&text));
                    };
                    reader.feed(piece, &mut sink).unwrap();
                }
                assert_eq!(seen, 1);
            }
        }
    }
    let full = "y".repeat(JSON_TOKEN_BYTES_MAX);
    let (events, _) = read(format!("\"{full}\"").as_bytes());
    assert_eq!(events, [Owned::String(full)]);
}

/// Documents in a sequence are told apart, with or without white space between them, however they are cut.
#[test]
fn a_sequence_is_read_document_by_document() {
    let bytes = b"{\"a\":1}\n[2]{}\r\n 3 \"x\"4\ntrue";
    for size in 1..=bytes.len() {
        let mut reader = Reader::new();
        let mut documents = Vec::from([Vec::new()]);
        for piece in bytes.chunks(size) {
            let mut rest = piece;
            loop {
                let document: &mut Vec<Owned> = documents.last_mut().unwrap();
                let mut sink = |event: Event<'_>| document.push(own(event));
                let Some(behind) = reader.feed_sequence(rest, &mut sink).unwrap() else {
                    break;
                };
                assert!(reader.is_between_documents());
                documents.push(Vec::new());
                rest = behind;
            }
        }
        let lengths: Vec<usize> = documents.iter().map(Vec::len).collect();
        assert_eq!(lengths, [4, 3, 2, 1, 1, 1, 1, 0], "in pieces of {size}");
    }
    let mut reader = Reader::new();
    assert_eq!(reader.feed_sequence(b" {\"a\":", &mut |_| {}), Ok(None));
    assert!(!reader.is_between_documents());
    assert_eq!(
        reader.feed_sequence(b"1}}", &mut |_| {}).unwrap(),
        Some(&b"}"[..])
    );
    assert_eq!(
        reader.feed_sequence(b"}", &mut |_| {}),
        Err(Fault::UnexpectedByte)
    );
}

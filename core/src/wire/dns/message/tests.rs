//! Messages against `bytes` written out by hand, and against malicious ones.

use super::*;
use std::vec;
use std::vec::Vec as StdVec;

extern crate std;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

const QUESTION: Question<'static> = Question {
    id: 0x1234,
    name: FullName {
        host: "www.example",
        suffix: "",
    },
    family: Family::V4,
};

/// Writes answers without judging them.
struct Writer(StdVec<u8>);

impl Writer {
    /// A response with `flags` and one question; `records` answers are promised.
    fn new(flags: u16, records: u16, name: &str, kind: u16) -> Self {
        let mut writer = Self(vec![0x12, 0x34]);
        for number in [flags, 1, records, 0, 0] {
            writer.number(number);
        }
        writer.name(name);
        writer.number(kind);
        writer.number(1);
        writer
    }

    fn ok(records: u16) -> Self {
        Self::new(0x8180, records, "www.example", A)
    }

    fn number(&mut self, number: u16) {
        self.0.extend(number.to_be_bytes());
    }

    fn name(&mut self, name: &str) {
        for label in name.split('.') {
            self.0.push(u8::try_from(label.len()).unwrap());
            self.0.extend(label.bytes());
        }
        self.0.push(0);
    }

    /// A record whose owner and data are given as bytes.
    fn record(mut self, owner: &[u8], kind: u16, ttl_s: u32, data: &[u8]) -> Self {
        self.0.extend(owner);
        self.number(kind);
        self.number(1);
        self.0.extend(ttl_s.to_be_bytes());
        self.number(u16::try_from(data.len()).unwrap());
        self.0.extend(data);
        self
    }

    fn parse(&self) -> Option<Reply> {
        parse(&self.0, Carrier::Datagram, &QUESTION)
    }
}

/// A pointer to the question's name.
const OWN: [u8; 2] = [0xc0, 12];

fn found(addresses: &[[u8; 4]], ttl_s: u32) -> Option<Reply> {
    Some(Reply::Found {
        addresses: addresses.iter().map(|octets| IpAddr::from(*octets)).collect(),
        ttl_s,
    })
}

/// A question stands as RFC 1035 has it, to the byte.
#[test]
fn a_question_to_the_byte() {
    let mut out = Query::new();
    let name = FullName {
        host: "www",
        suffix: "example",
    };
    Question { name, ..QUESTION }.emit(&mut out).unwrap();
    let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01";
    assert_eq!(out.as_slice(), expected);
}

/// Every name that is valid fits, the longest too; what is not valid is told.
#[test]
fn names() {
    let label = "x".repeat(63);
    let longest = std::format!("{label}.{label}.{label}.{}", "x".repeat(61));
    assert_eq!(longest.len(), 253);
    let name = |host| FullName { host, suffix: "" };
    assert!(name(&longest).is_valid());
    let mut out = Query::new();
    let question = Question {
        name: name(&longest),
        ..QUESTION
    };
    assert!(question.emit(&mut out).is_some());
    assert_eq!(out.len(), QUERY_BYTES_MAX);

    let too_long = std::format!("{longest}x");
    for bad in [
        "",
        ".",
        "a..b",
        ".a",
        "a.",
        "a b",
        "\u{e9}",
        &too_long,
        &"x".repeat(64),
    ] {
        assert!(!name(bad).is_valid(), "{bad}");
    }
    let with = |host, suffix| FullName { host, suffix };
    assert!(with("a_b", "c.d").is_valid());
    assert!(!with(&longest, "d").is_valid());
    assert!(!with("a", "c..d").is_valid());
}

/// Addresses of the question's name are found, those of other names and types passed over; the least time counts.
#[test]
fn addresses() {
    let answer = Writer::ok(4)
        .record(&OWN, A, 300, &[10, 0, 0, 1])
        .record(b"\x05other\x00", A, 1, &[10, 0, 0, 9])
        .record(&OWN, 16, 1, b"\x03txt")
        .record(b"\x03WWW\x07eXample\x00", A, 60, &[10, 0, 0, 2]);
    assert_eq!(answer.parse(), found(&[[10, 0, 0, 1], [10, 0, 0, 2]], 60));

    let question = Question {
        family: Family::V6,
        ..QUESTION
    };
    let octets = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let answer = Writer::new(0x8180, 1, "www.example", AAAA).record(&OWN, AAAA, 5, &octets);
    let reply = parse(&answer.0, Carrier::Datagram, &question);
    let addresses = [IpAddr::from(octets)].into_iter().collect();
    assert_eq!(reply, Some(Reply::Found { addresses, ttl_s: 5 }));
}

/// Aliases are followed in whatever order they stand, and their times count too.
#[test]
fn aliases() {
    let answer = Writer::ok(3)
        .record(b"\x01b\x00", A, 100, &[10, 0, 0, 1])
        .record(b"\x01a\x00", CNAME, 30, b"\x01b\x00")
        .record(&OWN, CNAME, 200, b"\x01a\x00");
    assert_eq!(answer.parse(), found(&[[10, 0, 0, 1]], 30));

    let dangling = Writer::ok(1).record(&OWN, CNAME, 200, b"\x01a\x00");
    assert_eq!(dangling.parse(), Some(Reply::NoData));

    let chain = |links: u8| {
        let mut writer = Writer::ok(u16::from(links) + 1).record(&OWN, CNAME, 9, b"\x01a\x00");
        for link in 1..links {
            let (owner, target) = ([1, b'a' + link - 1, 0], [1, b'a' + link, 0]);
            writer = writer.record(&owner, CNAME, 9, &target);
        }
        writer
            .record(&[1, b'a' + links - 1, 0], A, 9, &[10, 0, 0, 1])
            .parse()
    };
    assert_eq!(chain(8), found(&[[10, 0, 0, 1]], 9));
    assert_eq!(chain(9), Some(Reply::Unreadable));
    let circle = Writer::ok(1).record(&OWN, CNAME, 9, &OWN);
    assert_eq!(circle.parse(), Some(Reply::Unreadable));
}

/// What the header says of the answer as a whole.
#[test]
fn outcomes() {
    let empty = |flags: u16| Writer::new(flags, 0, "www.example", A).parse();
    assert_eq!(empty(0x8180), Some(Reply::NoData));
    assert_eq!(empty(0x8400), Some(Reply::NoData), "authoritative");
    assert_eq!(
        empty(0x8000),
        Some(Reply::Error(REFUSED)),
        "a referral is no answer"
    );
    assert_eq!(empty(0x8183), Some(Reply::NoName));
    assert_eq!(empty(0x8182), Some(Reply::Error(2)));
    assert_eq!(empty(0x8185), Some(Reply::Error(REFUSED)));
    assert_eq!(empty(0x8380), Some(Reply::Truncated));
    assert_eq!(empty(0x8382), Some(Reply::Truncated));
}

/// What is not the answer to this very question is none at all.
#[test]
fn strangers() {
    let ours = Writer::ok(1).record(&OWN, A, 9, &[10, 0, 0, 1]);
    assert!(ours.parse().is_some());
    let other_id = Question {
        id: 0x1235,
        ..QUESTION
    };
    assert_eq!(parse(&ours.0, Carrier::Datagram, &other_id), None);
    for (flags, why) in [(0x0180, "a question"), (0x8980, "another opcode")] {
        assert_eq!(Writer::new(flags, 0, "www.example", A).parse(), None, "{why}");
    }
    for name in [
        "www.exampl",
        "www.example.com",
        "ww.example",
        "www",
        "example",
        "xwww.example",
    ] {
        assert_eq!(Writer::new(0x8180, 0, name, A).parse(), None, "{name}");
    }
    assert_eq!(Writer::new(0x8180, 0, "www.example", AAAA).parse(), None);
    assert!(
        Writer::new(0x8180, 0, "WWW.eXAMPLE", A).parse().is_some(),
        "case means nothing"
    );

    let mut other_class = Writer::ok(0);
    *other_class.0.last_mut().unwrap() = 3;
    assert_eq!(other_class.parse(), None);
    for questions in [0, 2] {
        let mut counted = Writer::ok(0);
        counted.0[5] = questions;
        assert_eq!(counted.parse(), None);
    }
}

/// Pointers lead back before the name that they end and behind the header, or the answer is unreadable. Every walk ends.
#[test]
fn pointers() {
    // The question is 12 to 29, so the first record's owner is at 29.
    assert_eq!(Writer::ok(0).0.len(), 29);
    for owner in [
        [0xc0, 29],   // itself
        [0xc0, 30],   // its own second byte
        [0xc0, 40],   // forward
        [0xff, 0xff], // beyond the end
        [0xc0, 0],    // the header
        [0xc0, 11],
        [0x40, 12], // types of labels that do not exist
        [0x80, 12],
    ] {
        let answer = Writer::ok(1).record(&owner, A, 9, &[10, 0, 0, 1]);
        assert_eq!(answer.parse(), Some(Reply::Unreadable), "{owner:x?}");
    }
    // Two names that point at each other: the second points back, the first forward.
    let circle = Writer::ok(2)
        .record(&OWN, CNAME, 9, &[0xc0, 45])
        .record(&[0xc0, 41], A, 9, &[10, 0, 0, 1]);
    assert_eq!(circle.parse(), Some(Reply::Unreadable));
    // A tail that is shared in the middle of a name is what pointers are for.
    let tail = Writer::ok(2).record(&OWN, CNAME, 9, &[1, b'a', 0xc0, 16]).record(
        b"\x01a\x07example\x00",
        A,
        9,
        &[10, 0, 0, 1],
    );
    assert_eq!(tail.parse(), found(&[[10, 0, 0, 1]], 9));
}

/// A question that is itself compressed can not be ours: nothing lies before it.
#[test]
fn a_compressed_question() {
    let mut writer = Writer(vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    writer.0.extend([0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(writer.parse(), None);
}

/// A name of more than 255 bytes, put together by pointers, is refused.
#[test]
fn a_name_that_is_too_long() {
    let mut owner = StdVec::new();
    for _ in 0..4 {
        owner.push(63);
        owner.extend([b'x'; 63]);
    }
    owner.push(0);
    let long = Writer::ok(1)
        .record(&OWN, CNAME, 9, &owner)
        .record(&owner, A, 9, &[10, 0, 0, 1]);
    let mut counted = long;
    counted.0[7] = 2;
    assert_eq!(counted.parse(), Some(Reply::Unreadable));
}

/// Lengths and counts that lie: what runs over the end is refused in a datagram, and ends a stream that was cut.
#[test]
fn lies() {
    let one = Writer::ok(5).record(&OWN, A, 9, &[10, 0, 0, 1]);
    assert_eq!(one.parse(), Some(Reply::Unreadable));
    assert_eq!(
        parse(&one.0, Carrier::Stream, &QUESTION),
        found(&[[10, 0, 0, 1]], 9)
    );
    for data in [&[][..], &[10, 0, 0], &[10, 0, 0, 1, 2]] {
        let answer = Writer::ok(1).record(&OWN, A, 9, data);
        assert_eq!(answer.parse(), Some(Reply::Unreadable), "{data:?}");
    }
    let mut long_data = Writer::ok(1).record(&OWN, A, 9, &[10, 0, 0, 1]);
    let place = long_data.0.len() - 6;
    long_data.0[place] = 0xff;
    assert_eq!(long_data.parse(), Some(Reply::Unreadable));

    let whole = Writer::ok(1).record(&OWN, A, 0x8000_0000, &[10, 0, 0, 1]);
    assert_eq!(whole.parse(), found(&[[10, 0, 0, 1]], 0), "the top bit of a time");
    for length in 0..whole.0.len() {
        let cut = parse(&whole.0[..length], Carrier::Datagram, &QUESTION);
        let expected = (length >= 29).then_some(Reply::Unreadable);
        assert_eq!(cut, expected, "cut to {length}");
    }
}

/// Only so many records are looked at and only so many addresses kept.
#[test]
fn bounds() {
    let many = |count: u16, last: bool| {
        let mut writer = Writer::ok(count);
        for number in 1..=count {
            let owner: &[u8] = if last && number < count {
                b"\x01x\x00"
            } else {
                &OWN
            };
            writer = writer.record(owner, A, 9, &[10, 0, 0, u8::try_from(number % 256).unwrap()]);
        }
        writer.parse()
    };
    let Some(Reply::Found { addresses, .. }) = many(20, false) else {
        panic!("found");
    };
    assert_eq!(addresses.len(), addresses.capacity());
    assert!(matches!(many(RECORDS_MAX, true), Some(Reply::Found { .. })));
    assert_eq!(many(RECORDS_MAX + 1, true), Some(Reply::NoData));
}

/// Whatever single byte is changed and wherever the message is cut, reading it ends and does not fail otherwise.
#[test]
fn every_change_of_a_byte() {
    let whole = Writer::ok(2).record(&OWN, CNAME, 9, &[1, b'a', 0xc0, 16]).record(
        b"\x01a\x07example\x00",
        A,
        9,
        &[10, 0, 0, 1],
    );
    let mut outcomes = [0_u32; 2];
    for place in 0..whole.0.len() {
        for value in 0..=255 {
            let mut changed = whole.0.clone();
            changed[place] = value;
            let reply = parse(&changed, Carrier::Datagram, &QUESTION);
            let _ = parse(&changed, Carrier::Stream, &QUESTION);
            outcomes[usize::from(matches!(reply, Some(Reply::Found { .. })))] += 1;
        }
    }
    assert!(outcomes.iter().all(|count| *count > 1000), "{outcomes:?}");
}

//! DNS messages against `simple-dns`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet};
use watchdog_core::limits::ADDRESSES_MAX;
use watchdog_core::wire::dns::Family;
use watchdog_core::wire::dns::message::{
    self, CHAIN_MAX, Carrier, FullName, Query, Question, RECORDS_MAX, Reply,
};

/// The question that seeds answer.
const ID: u16 = 0x1234;
const HOST: &str = "named.example";

/// Asserts that what both read as an answer says the same, that no answer holds more than it may, and that a question
/// which is written is read back as it was meant. The first byte chooses family and carrier, the rest is the message,
/// and, as text, a name to ask for.
pub fn dns(data: &[u8]) {
    let [choice, bytes @ ..] = data else { return };
    let family = if choice & 1 == 0 { Family::V4 } else { Family::V6 };
    let carrier = if choice & 2 == 0 {
        Carrier::Datagram
    } else {
        Carrier::Stream
    };
    if let Ok(host) = std::str::from_utf8(bytes) {
        ask(&Question {
            id: ID,
            name: FullName { host, suffix: "" },
            family,
        });
    }
    let question = Question {
        id: ID,
        name: FullName {
            host: HOST,
            suffix: "",
        },
        family,
    };
    let ours = message::parse(bytes, carrier, &question);
    let Ok(packet) = Packet::parse(bytes) else { return };
    match ours {
        Some(Reply::Found { addresses, ttl_s }) => {
            assert!((1..=ADDRESSES_MAX).contains(&addresses.len()));
            assert_eq!(packet.id(), ID);
            let expected = follow(&packet, family).expect("the aliases end");
            assert_eq!((addresses.to_vec(), ttl_s), expected);
        }
        Some(Reply::NoData) => {
            assert!(follow(&packet, family).is_some_and(|(addresses, _)| addresses.is_empty()));
        }
        _ => {}
    }
}

/// A question goes out and is read by another hand.
fn ask(question: &Question<'_>) {
    if !question.name.is_valid() {
        return;
    }
    let mut query = Query::new();
    question.emit(&mut query).expect("a valid name fits");
    let packet = Packet::parse(&query).expect("what we ask can be read");
    assert_eq!(packet.id(), question.id);
    let [asked] = packet.questions.as_slice() else {
        panic!("one question")
    };
    let meant: Vec<&[u8]> = question
        .name
        .host
        .as_bytes()
        .split(|byte| *byte == b'.')
        .collect();
    assert_eq!(labels(&asked.qname), meant);
    assert_eq!(
        message::parse(&query, Carrier::Datagram, question),
        None,
        "a question is no answer"
    );
}

fn labels<'a>(name: &'a Name<'_>) -> Vec<&'a [u8]> {
    name.as_bytes().collect()
}

fn is_same(one: &Name<'_>, other: &[Vec<u8>]) -> bool {
    let one = labels(one);
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one.eq_ignore_ascii_case(other))
}

/// Follows the question's name through its aliases; none if there are too many.
fn follow(packet: &Packet<'_>, family: Family) -> Option<(Vec<IpAddr>, u32)> {
    let mut owner: Vec<Vec<u8>> = HOST.split('.').map(|label| label.as_bytes().to_vec()).collect();
    let (mut addresses, mut ttl_s) = (Vec::new(), u32::MAX);
    'alias: for _alias in 0..=CHAIN_MAX {
        for record in packet.answers.iter().take(usize::from(RECORDS_MAX)) {
            if record.class != CLASS::IN || record.cache_flush || !is_same(&record.name, &owner) {
                continue;
            }
            // A time to live with its top bit set counts as none (RFC 2181, 8).
            let record_ttl_s = if record.ttl > i32::MAX.unsigned_abs() {
                0
            } else {
                record.ttl
            };
            match (&record.rdata, family) {
                (RData::A(a), Family::V4) => addresses.push(IpAddr::from(Ipv4Addr::from(a.address))),
                (RData::AAAA(aaaa), Family::V6) => addresses.push(IpAddr::from(Ipv6Addr::from(aaaa.address))),
                (RData::CNAME(alias), _) => {
                    ttl_s = ttl_s.min(record_ttl_s);
                    owner = labels(&alias.0).into_iter().map(<[u8]>::to_vec).collect();
                    continue 'alias;
                }
                _ => continue,
            }
            ttl_s = ttl_s.min(record_ttl_s);
        }
        addresses.truncate(ADDRESSES_MAX);
        return Some((addresses, ttl_s));
    }
    None
}

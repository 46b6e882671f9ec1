//! Addresses as text: IPv4 in four decimal numbers, IPv6 as RFC 4291, 2.2 has it. No zones, no ports, no brackets.
//!
//! `core` has a reader too, but one in which a panic can not be shown to be out of reach; it serves as the oracle of the
//! tests. What it takes, this takes, and nothing else.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;

type Groups = Vec<u16, 8>;

/// Reads an address.
#[must_use]
pub fn parse(text: &str) -> Option<IpAddr> {
    let text = text.as_bytes();
    if text.contains(&b':') {
        parse_v6(text).map(IpAddr::V6)
    } else {
        parse_v4(text).map(IpAddr::V4)
    }
}

fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let digits = parts.next()?;
        // A zero in front would mean octal to some readers.
        let is_plain = matches!(digits, [_] | [b'1'..=b'9', _] | [b'1'..=b'9', _, _]);
        let number = is_plain.then(|| parse_digits(digits, 10))??;
        *octet = u8::try_from(number).ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn parse_v6(text: &[u8]) -> Option<Ipv6Addr> {
    let mut segments = [0; 8];
    match text.windows(2).position(|pair| pair == b"::") {
        None => {
            let groups = parse_groups(text)?;
            segments = groups.into_array().ok()?;
        }
        Some(gap_at) => {
            let (head, tail) = text.split_at_checked(gap_at)?;
            let head = if head.contains(&b'.') {
                None
            } else {
                parse_groups(head)
            }?;
            let tail = parse_groups(tail.strip_prefix(b"::")?)?;
            // The gap stands for one group at least.
            if head.len().saturating_add(tail.len()) > 7 {
                return None;
            }
            segments
                .iter_mut()
                .zip(&head)
                .for_each(|(segment, group)| *segment = *group);
            let back = segments.iter_mut().rev().zip(tail.iter().rev());
            back.for_each(|(segment, group)| *segment = *group);
        }
    }
    Some(Ipv6Addr::from(segments))
}

/// Reads groups between colons; the last one may be an IPv4 address.
fn parse_groups(text: &[u8]) -> Option<Groups> {
    let mut groups = Groups::new();
    if text.is_empty() {
        return Some(groups);
    }
    let mut parts = text.split(|byte| *byte == b':').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() && part.contains(&b'.') {
            let [a, b, c, d] = parse_v4(part)?.octets();
            groups.push(u16::from_be_bytes([a, b])).ok()?;
            groups.push(u16::from_be_bytes([c, d])).ok()?;
        } else if part.len() <= 4 {
            groups.push(parse_digits(part, 16)?).ok()?;
        } else {
            return None;
        }
    }
    Some(groups)
}

/// Reads digits and nothing else, at least one, at most four.
fn parse_digits(digits: &[u8], radix: u16) -> Option<u16> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u16, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte.wrapping_sub(b'0'),
            b'a'..=b'f' => byte.wrapping_sub(b'a').wrapping_add(10),
            b'A'..=b'F' => byte.wrapping_sub(b'A').wrapping_add(10),
            _ => return None,
        };
        let digit = u16::from(digit);
        (digit < radix).then_some(())?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::string::String;

    extern crate std;

    fn agrees(text: &str) -> bool {
        let expected = text.parse::<IpAddr>().ok();
        assert_eq!(parse(text), expected, "{text:?}");
        expected.is_some()
    }

    /// The forms that have traps in them read as `core` reads them.
    #[test]
    fn forms() {
        for text in [
            "",
            "0",
            "1.2.3",
            "1.2.3.4",
            "1.2.3.4.5",
            "1.2.3.04",
            "1.2.3.256",
            "1.2.3.0",
            "001.2.3.4",
            "1..3.4",
            "+1.2.3.4",
            "1.2.3.4 ",
            "a.2.3.4",
            "::",
            ":",
            ":::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8::",
            "1::2::3",
            "1:2:3:4:5:6:1.2.3.4",
            "::ffff:1.2.3.4",
            "1.2.3.4::",
            "::1.2.3.4:1",
            "1:2:3:4:5:6:7:1.2.3.4",
            "fe80::1%eth0",
            "[::1]",
            "12345::",
            "::g",
            "FFFF::AbCd",
            ":1::2",
            "1::2:",
            "1:2:3:4::5:6:7:8",
            "1.2.3.4:53",
            "::1.2.3",
            "::01.2.3.4",
            "0000::00001",
        ] {
            agrees(text);
        }
    }

    /// Texts put together by chance of what addresses are made of read as `core` reads them; some of them are
    /// addresses.
    #[test]
    fn by_chance() {
        const PARTS: [&str; 16] = [
            ":", ":", ":", ":", "::", ".", ".", ".", "0", "1", "25", "255", "256", "abcd", "fffff", "1.2.3.4",
        ];
        let mut random = Random::new(3);
        let mut taken = 0;
        for _ in 0..300_000 {
            let mut text = String::new();
            for _ in 0..=random.below(15) {
                text.push_str(PARTS[usize::try_from(random.below(16)).unwrap()]);
            }
            taken += u32::from(agrees(&text));
        }
        assert!(taken > 1_000, "{taken}");
    }
}

//! The end of a certificate's validity, read from its DER (RFC 5280, 4.1) by a bounded walk over the few fields in front of it.
//!
//! It never verifies anything: that is the daemon's TLS, and what it refused comes here as well. It looks at each byte of a
//! header once, allocates nothing, and takes any bytes. Tests: beside the code; fuzz target `cert`.

use crate::time::Utc;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Tells when a certificate's validity ends; none if the bytes are no X.509 certificate.
#[must_use]
pub fn not_after(der: &[u8]) -> Option<Utc> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(fields, VERSION) {
        fields = rest;
    }
    // The serial number, the signature's algorithm and the issuer stand in front.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        fields = expect(fields, tag)?.1;
    }
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    time(tag, text)
}

/// Reads an element of this tag: its content, and what stands behind it.
fn expect(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// Reads one element: its tag, its content, and what stands behind it (X.690, 8.1; DER knows definite lengths alone).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(*first & 0x0f))?;
            let length = digits
                .iter()
                .fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Reads `YYMMDDHHMMSSZ`, of 1950 to 2049, or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
fn time(tag: u8, text: &[u8]) -> Option<Utc> {
    let (century, rest) = match tag {
        UTC_TIME if text.first()? < &b'5' => (&b"20"[..], text),
        UTC_TIME => (&b"19"[..], text),
        GENERALIZED_TIME => text.split_at_checked(2)?,
        _ => return None,
    };
    if rest.len() != 13 || rest.last() != Some(&b'Z') {
        return None;
    }
    // The same time as RFC 3339 writes it.
    let mut written = heapless::Vec::<u8, 24>::new();
    let separators = [&b""[..], b"-", b"-", b"T", b":", b":"];
    for (pair, separator) in rest.chunks(2).zip(separators) {
        let start = if written.is_empty() { century } else { separator };
        for byte in start.iter().chain(pair) {
            written.push(*byte).ok()?;
        }
    }
    written.push(b'Z').ok()?;
    Utc::parse_rfc3339(core::str::from_utf8(&written).ok()?)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut bytes = Vec::from([tag]);
        match content.len() {
            length @ 0..=127 => bytes.push(u8::try_from(length).unwrap()),
            length => bytes.extend([
                0x82,
                u8::try_from(length >> 8).unwrap(),
                u8::try_from(length & 255).unwrap(),
            ]),
        }
        bytes.extend(content);
        bytes
    }

    /// A certificate with this end, as far as it is looked at; the issuer is long enough for a long length.
    fn certificate(version: &[u8], tag: u8, end: &str) -> Vec<u8> {
        let validity = wrap(
            SEQUENCE,
            &[
                &wrap(UTC_TIME, &[b"200101000000Z"]),
                &wrap(tag, &[end.as_bytes()]),
            ],
        );
        let issuer = wrap(SEQUENCE, &[&[0x31; 200]]);
        let algorithm = wrap(SEQUENCE, &[&[6, 1, 42]]);
        let serial = wrap(INTEGER, &[&[1, 2, 3]]);
        let body = wrap(
            SEQUENCE,
            &[version, &serial, &algorithm, &issuer, &validity, &[0x30, 0]],
        );
        wrap(SEQUENCE, &[&body, &[0x30, 0]])
    }

    fn end(tag: u8, text: &str) -> Option<Utc> {
        let version = wrap(VERSION, &[&[2, 1, 2]]);
        let end = not_after(&certificate(&version, tag, text));
        assert_eq!(
            end,
            not_after(&certificate(&[], tag, text)),
            "version 1 has no version field"
        );
        end
    }

    /// Both forms of time are read as RFC 5280 says, and nothing else is.
    #[test]
    fn both_forms_of_time_are_read() {
        let utc = Utc::parse_rfc3339;
        assert_eq!(end(UTC_TIME, "260102030405Z"), utc("2026-01-02T03:04:05Z"));
        assert_eq!(end(UTC_TIME, "491231235959Z"), utc("2049-12-31T23:59:59Z"));
        assert_eq!(end(UTC_TIME, "500101000000Z"), utc("1950-01-01T00:00:00Z"));
        assert_eq!(
            end(GENERALIZED_TIME, "99991231235959Z"),
            utc("9999-12-31T23:59:59Z")
        );
        for (tag, text) in [
            (UTC_TIME, "2601020304Z"),
            (UTC_TIME, "20260102030405Z"),
            (UTC_TIME, "261302030405Z"),
            (UTC_TIME, "260102030405+"),
            (GENERALIZED_TIME, "260102030405Z"),
            (GENERALIZED_TIME, "20260102030405.5Z"),
            (GENERALIZED_TIME, ""),
            (UTC_TIME, ""),
            (SEQUENCE, "260102030405Z"),
        ] {
            assert_eq!(end(tag, text), None, "{text}");
        }
    }

    /// A certificate that is cut short anywhere has no end that could be told, and no damaged byte does harm.
    #[test]
    fn damaged_certificates_do_no_harm() {
        let whole = certificate(&[], UTC_TIME, "260102030405Z");
        for length in 0..whole.len() {
            assert_eq!(not_after(&whole[..length]), None);
        }
        for place in 0..whole.len() {
            for byte in [0, 0x30, 0x7f, 0x80, 0x83, 0x84, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] = byte;
                let _ = not_after(&damaged);
            }
        }
    }
}

//! Answers as a whole: what is read out of them, and what is refused.

use super::*;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

extern crate std;

/// What an answer came to.
#[derive(Debug, PartialEq)]
struct Seen {
    head: Option<Head>,
    body: Vec<u8>,
    end: Result<Progress, Fault>,
}

/// Feeds the parts, then nothing more.
fn read(parts: &[&[u8]]) -> (Response, Seen) {
    let mut response = Response::new();
    let mut seen = Seen {
        head: None,
        body: vec![],
        end: Ok(Progress::NeedMore),
    };
    for part in parts {
        seen.end = response.feed(part, &mut |piece| match piece {
            Piece::Head(head) => {
                assert!(seen.head.replace(*head).is_none(), "one head an answer");
            }
            Piece::Body(bytes) => {
                assert!(!bytes.is_empty() && seen.head.is_some());
                seen.body.extend_from_slice(bytes);
            }
        });
    }
    (response, seen)
}

fn whole(bytes: &[u8]) -> Seen {
    read(&[bytes]).1
}

fn fault(bytes: &[u8]) -> Option<Fault> {
    whole(bytes).end.err()
}

fn head(fields: &str) -> Result<Head, Fault> {
    let seen = whole(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
    seen.end.map(|_| seen.head.unwrap())
}

/// The kinds of answers that the other tests cut into pieces.
const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nbehind the end",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX: y\r\n\r\nmore",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n!",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
    b"SSH-2.0-OpenSSH_9.2\r\n",
];

/// Where the bytes are cut changes nothing: every cut in two, and every byte alone, come to the same.
#[test]
fn cuts_change_nothing() {
    for answer in ANSWERS {
        let expected = whole(answer);
        for cut in 0..=answer.len() {
            let (front, back) = answer.split_at(cut);
            assert_eq!(read(&[front, back]).1, expected, "cut at {cut}");
        }
        let single: Vec<&[u8]> = answer.chunks(1).collect();
        assert_eq!(read(&single).1, expected);
    }
}

/// Each framing finds its body and its end.
#[test]
fn framings() {
    let expect = |place: usize, body: &[u8], end: Progress| {
        let seen = whole(ANSWERS[place]);
        assert_eq!(
            (seen.body.as_slice(), seen.end),
            (body, Ok(end)),
            "answer {place}"
        );
    };
    expect(0, b"hello", Progress::Done);
    expect(1, b"", Progress::Done);
    expect(2, b"", Progress::Done);
    expect(3, b"until the end", Progress::NeedMore);
    expect(4, b"hello0123456789", Progress::Done);
    expect(5, b"!", Progress::Done);
    assert_eq!(whole(ANSWERS[5]).head.unwrap().status, 201);
}

/// Answers that never have a body end with their head, whatever it says.
#[test]
fn no_body_whatever_is_said() {
    for status in [101, 204, 304] {
        let seen = whole(format!("HTTP/1.1 {status} x\r\nContent-Length: 9\r\n\r\n").as_bytes());
        assert_eq!(seen.head.unwrap().framing, Framing::None);
        assert_eq!(seen.end, Ok(Progress::Done));
    }
}

/// Content-Length: digits alone, equal where it stands twice, never beside an encoding.
#[test]
fn lengths() {
    let length = |fields: &str| head(fields).map(|head| head.framing);
    assert_eq!(length("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
    assert_eq!(
        length("content-length: 5, 5\r\nCONTENT-LENGTH:\t005 \r\n"),
        Ok(Framing::Length(5))
    );
    assert_eq!(
        length("Content-Length: 9223372036854775807\r\n"),
        Ok(Framing::Length(i64::MAX as u64))
    );
    for bad in [
        "",
        "+5",
        "-1",
        "5 5",
        "5,",
        ",5",
        "0x5",
        "5.0",
        "9223372036854775808",
        "99999999999999999999999",
    ] {
        assert_eq!(
            length(&format!("Content-Length: {bad}\r\n")),
            Err(Fault::BadLength),
            "{bad}"
        );
    }
    for unequal in [
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
    ] {
        assert_eq!(length(unequal), Err(Fault::UnequalLengths));
    }
    for both in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
    ] {
        assert_eq!(length(both), Err(Fault::LengthAndEncoding));
    }
}

/// Transfer-Encoding is `chunked`, once, in HTTP/1.1, or it is refused.
#[test]
fn encodings() {
    assert_eq!(
        head("Transfer-Encoding:  Chunked \r\n").map(|head| head.framing),
        Ok(Framing::Chunked)
    );
    for bad in [
        "gzip",
        "gzip, chunked",
        "chunked, chunked",
        "",
        "xchunked",
        "chunked;q=1",
    ] {
        assert_eq!(
            head(&format!("Transfer-Encoding: {bad}\r\n")),
            Err(Fault::BadEncoding),
            "{bad}"
        );
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(head(twice), Err(Fault::BadEncoding));
    let old = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(fault(old), Some(Fault::BadEncoding));
}

/// Status lines: 100 to 599, HTTP/1, nothing before them.
#[test]
fn status_lines() {
    let line = |line: &str| fault(format!("{line}\r\n\r\n").as_bytes());
    for good in [
        "HTTP/1.1 599 ",
        "HTTP/1.1 200",
        "HTTP/1.0 404 Not Found",
        "HTTP/1.1 200 \u{e9}",
    ] {
        assert_eq!(line(good), None, "{good}");
    }
    assert_eq!(line("HTTP/1.1 099 x"), Some(Fault::BadStatus(99)));
    assert_eq!(line("HTTP/1.1 600 x"), Some(Fault::BadStatus(600)));
    assert_eq!(line("HTTP/1.1 999 x"), Some(Fault::BadStatus(999)));
    for bad in [
        "HTTP/1.1 20 x",
        "HTTP/1.1 2000 x",
        "HTTP/1.1 abc",
        "HTTP/1.1 +20 x",
    ] {
        assert_eq!(line(bad), Some(Fault::BadStatusLine), "{bad}");
    }
    for other in [
        "HTTP/2 200",
        "http/1.1 200",
        "\r\nHTTP/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "<html>",
        "\u{16}\u{3}\u{1}",
    ] {
        assert_eq!(line(other), Some(Fault::NotHttp), "{other}");
    }
    assert_eq!(line("HTTP/1.7 200 OK"), Some(Fault::NotHttp));
}

/// Another protocol is told from HTTP before its line ends, since it may wait for us.
#[test]
fn another_protocol_is_told_at_once() {
    assert_eq!(fault(b"S"), Some(Fault::NotHttp));
    assert_eq!(fault(b"HTTP/1"), None);
    assert_eq!(fault(b"HTTP/2"), Some(Fault::NotHttp));
}

/// Line ends are CR and LF together, everywhere; fields hold no blank before the colon and are not folded.
#[test]
fn line_ends_and_fields() {
    for bad in [
        "HTTP/1.1 200 OK\nA: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n\n",
        "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\rA: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\r\n\r\n",
    ] {
        assert_eq!(fault(bad.as_bytes()), Some(Fault::BadLineEnd), "{bad:?}");
    }
    for bad in [
        "A : b\r\n",
        "A: b\r\n c\r\n",
        "A\r\n",
        ": b\r\n",
        "A: \u{0}\r\n",
        "\u{e9}: b\r\n",
    ] {
        assert_eq!(head(bad), Err(Fault::BadField), "{bad:?}");
    }
}

/// The limits of a head hold to the byte and to the field, and interim heads are bounded.
#[test]
fn limits_of_a_head() {
    let fields = |count: usize| "A: b\r\n".repeat(count);
    assert!(head(&fields(HTTP_FIELDS_MAX)).is_ok());
    assert_eq!(head(&fields(HTTP_FIELDS_MAX + 1)), Err(Fault::TooManyFields));

    let around = "HTTP/1.1 200 OK\r\nA: \r\n\r\n".len();
    let long = |count: usize| head(&format!("A: {}\r\n", "x".repeat(count - around)));
    assert!(long(HTTP_HEAD_BYTES_MAX).is_ok());
    assert_eq!(long(HTTP_HEAD_BYTES_MAX + 1), Err(Fault::HeadTooLong));

    let interim = |count: usize| {
        format!(
            "{}HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 102 x\r\n\r\n".repeat(count)
        )
    };
    let most = usize::from(head::INTERIM_HEADS_MAX);
    assert_eq!(fault(interim(most).as_bytes()), None);
    assert_eq!(
        fault(interim(most + 1).as_bytes()),
        Some(Fault::TooManyInterimHeads)
    );
}

/// Retry-After in seconds, and the engine's version; nonsense in either is as if it were missing.
#[test]
fn fields_that_are_asked_for() {
    let retry = |value: &str| head(&format!("Retry-After: {value}\r\n")).unwrap().retry_after_s;
    assert_eq!(retry("30"), Some(30));
    assert_eq!(retry("0"), Some(0));
    assert_eq!(retry("99999999999999999999999"), Some(u32::MAX));
    assert_eq!(retry("Fri, 31 Dec 1999 23:59:59 GMT"), None);
    assert_eq!(retry("-1"), None);
    assert_eq!(
        head("Retry-After: 3\r\nRetry-After: 7\r\n")
            .unwrap()
            .retry_after_s,
        Some(7)
    );

    let version = |value: &str| head(&format!("API-Version: {value}\r\n")).unwrap().api_version;
    assert_eq!(version("1.41"), Some((1, 41)));
    for bad in ["1", "1.", ".4", "1.4.1", "1.99999", "x.y", ""] {
        assert_eq!(version(bad), None, "{bad}");
    }
    assert_eq!(head("").unwrap().retry_after_s, None);
    assert_eq!(head("").unwrap().api_version, None);
}

fn chunked(body: &str) -> Seen {
    whole(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes())
}

/// A chunk's size has a digit, is bounded, and its line too.
#[test]
fn chunk_sizes() {
    for (bad, fault) in [
        ("\r\n", Fault::BadChunkSize),
        (";x\r\n", Fault::BadChunkSize),
        (" 5\r\n", Fault::BadChunkSize),
        ("-5\r\n", Fault::BadChunkSize),
        ("0x5\r\n", Fault::BadChunkSize),
        ("5g\r\n", Fault::BadChunkSize),
        ("5\n", Fault::BadChunkSize),
        ("5\rx", Fault::BadLineEnd),
        ("5;x\n", Fault::BadLineEnd),
        ("8000000000000000\r\n", Fault::ChunkTooLarge),
        ("FFFFFFFFFFFFFFFFF\r\n", Fault::ChunkTooLarge),
        ("5\r\nhelloxx", Fault::BadChunkEnd),
        ("5\r\nhello\rx", Fault::BadChunkEnd),
        ("5\r\nhello\n", Fault::BadChunkEnd),
    ] {
        assert_eq!(chunked(bad).end, Err(fault), "{bad:?}");
    }
    assert_eq!(chunked("7fffffffffffffff\r\nabc").body, b"abc");
    assert_eq!(chunked("005 ; x\r\nhello\r\n000\r\n\r\n").end, Ok(Progress::Done));
    let line = |count: usize| chunked(&format!("{}\r\n", "0".repeat(count - 2))).end;
    assert_eq!(line(body::CHUNK_LINE_BYTES_MAX), Ok(Progress::NeedMore));
    assert_eq!(line(body::CHUNK_LINE_BYTES_MAX + 1), Err(Fault::ChunkLineTooLong));
}

/// Trailers are dropped, strictly ended, and bounded in bytes and number.
#[test]
fn trailers() {
    assert_eq!(chunked("0\r\nA: b\r\nC: d\r\n\r\n").end, Ok(Progress::Done));
    for bad in ["0\r\nA: b\n\r\n", "0\r\n\n", "0\r\n\rx", "0\r\nA\rB\r\n\r\n"] {
        assert_eq!(chunked(bad).end, Err(Fault::BadLineEnd), "{bad:?}");
    }
    let fields = |count: usize| chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(count))).end;
    assert_eq!(fields(HTTP_FIELDS_MAX), Ok(Progress::Done));
    assert_eq!(fields(HTTP_FIELDS_MAX + 1), Err(Fault::TrailersTooLong));
    let long = format!("0\r\nA: {}", "x".repeat(HTTP_HEAD_BYTES_MAX));
    assert_eq!(chunked(&long).end, Err(Fault::TrailersTooLong));
}

/// An answer that is cut anywhere is told as cut short, and how; only a body without a length may end with the
/// connection, and then in good order alone.
#[test]
fn cut_short() {
    let text = |bytes: &[u8], closed: Closed| -> String {
        match read(&[bytes]).0.closed(closed) {
            Ok(()) => "whole".into(),
            Err(fault) => format!("{fault}"),
        }
    };
    let length = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n0123456789ab";
    assert_eq!(text(b"", Closed::ByPeer), "connection closed before an answer");
    assert_eq!(
        text(b"HTTP/1.1 2", Closed::Reset),
        "head cut short (connection reset)"
    );
    assert_eq!(text(length, Closed::ByPeer), "body cut short (12 of 40 bytes)");
    assert_eq!(
        text(length, Closed::Reset),
        "body cut short (12 of 40 bytes, connection reset)"
    );
    let open = b"HTTP/1.1 200 OK\r\n\r\nabc";
    assert_eq!(text(open, Closed::ByPeer), "whole");
    assert_eq!(text(open, Closed::Truncated), "body cut short (after 3 bytes)");
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n";
    assert_eq!(text(chunks, Closed::ByPeer), "body cut short (after 3 bytes)");
    assert_eq!(text(ANSWERS[0], Closed::Reset), "whole");
    assert_eq!(
        text(b"HTTP/1.1 100 x\r\n\r\n", Closed::ByPeer),
        "head cut short (connection closed)"
    );
}

/// After a fault the reader gives that fault and nothing else, until it is reset; then it reads as a new one.
#[test]
fn a_fault_stays_until_reset() {
    let mut response = Response::new();
    let bad = Err(Fault::NotHttp);
    assert_eq!(response.feed(b"x", &mut |_| {}), bad);
    assert_eq!(
        response.feed(ANSWERS[0], &mut |_| panic!("nothing counts after a fault")),
        bad
    );
    assert_eq!(response.closed(Closed::ByPeer), Err(Fault::NotHttp));
    response.reset();
    let mut statuses = vec![];
    let end = response.feed(ANSWERS[0], &mut |piece| {
        if let Piece::Head(head) = piece {
            statuses.push(head.status);
        }
    });
    assert_eq!((end, statuses.as_slice()), (Ok(Progress::Done), [200].as_slice()));
}

/// A head that drips costs as much as one that comes at once: every byte is looked at once, and the head is taken
/// apart once. Shown by a head of the greatest size in single bytes, many times over, in well under a second.
#[test]
fn a_dripping_head_is_linear() {
    let bytes = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(16_000));
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        let mut response = Response::new();
        for byte in bytes.as_bytes().chunks(1) {
            assert!(response.feed(byte, &mut |_| {}).is_ok());
        }
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}

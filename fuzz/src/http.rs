//! HTTP answers against a reader that has all of the answer at hand and takes it slowly.

use watchdog_core::limits::{HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX};
use watchdog_core::net::Closed;
use watchdog_core::wire::http::body::CHUNK_LINE_BYTES_MAX;
use watchdog_core::wire::http::{Fault, Framing, Head, Piece, Response};

/// Asserts that a body is accepted, with the same bytes, exactly when the slow reader accepts it, and that no cut changes
/// anything. The first byte chooses the framing and how the connection ends, the second a length.
pub fn http_body(data: &[u8]) {
    #[cfg(feature = "planted")]
    watchdog_core::planted::plant(Some(watchdog_core::planted::Planted::SizeWithoutDigit));
    let [choice, length, body @ ..] = data else { return };
    let closed = if choice & 4 == 0 {
        Closed::ByPeer
    } else {
        Closed::Truncated
    };
    let length = usize::from(*length);
    let (field, expected) = match choice & 3 {
        0 | 1 => ("Transfer-Encoding: chunked\r\n".to_owned(), unchunk(body)),
        2 => (
            format!("Content-Length: {length}\r\n"),
            body.get(..length).map(<[u8]>::to_vec),
        ),
        _ => (String::new(), (closed == Closed::ByPeer).then(|| body.to_vec())),
    };
    let answer = [format!("HTTP/1.1 200 OK\r\n{field}\r\n").as_bytes(), body].concat();
    let [whole, others @ ..] = crate::cuts(&answer).map(|pieces| read(&pieces, closed));
    for other in others {
        assert_eq!(whole, other, "a cut changes what is read");
    }
    let (read, result) = whole;
    assert_eq!(result.map(|()| read).ok(), expected, "{result:?}");
}

/// Asserts that a head reads alike however it is cut, that its status is one that an answer can have, that what frames
/// the body stands in it, and that one which leaves two readings of the framing is refused.
pub fn http_head(data: &[u8]) {
    let [whole, others @ ..] = crate::cuts(data).map(|pieces| head(&pieces));
    for other in others {
        assert_eq!(whole, other, "a cut changes what is read");
    }
    let Some(head) = whole else { return };
    let text = String::from_utf8_lossy(data).to_ascii_lowercase();
    assert!(
        head.status == 101 || (200..=599).contains(&head.status),
        "{}",
        head.status
    );
    match head.framing {
        Framing::Length(length) => {
            assert!(text.contains("content-length"));
            assert!(length <= i64::MAX.unsigned_abs());
        }
        Framing::Chunked => assert!(text.contains("transfer-encoding") && text.contains("chunked")),
        Framing::None => assert!(matches!(head.status, 101 | 204 | 304), "{}", head.status),
        Framing::UntilClose => {}
    }
    let last = text
        .rfind("http/1.")
        .and_then(|at| text.get(at..))
        .unwrap_or_default();
    let lines = || last.split("\r\n").take_while(|line| !line.is_empty());
    let has = |name: &str| lines().any(|line| line.starts_with(name));
    if text.matches("http/1.").count() == 1 && has("content-length:") && has("transfer-encoding:") {
        panic!("two readings of the framing: {text:?}");
    }
}

fn head(pieces: &[&[u8]]) -> Option<Head> {
    let mut head = None;
    let mut response = Response::new();
    let mut sink = |piece: Piece<'_>| match piece {
        Piece::Head(read) => assert_eq!(head.replace(*read), None, "there is one head"),
        Piece::Body(_) => {}
    };
    // A fault in what follows the head says nothing of the head.
    let _ = pieces
        .iter()
        .try_for_each(|piece| response.feed(piece, &mut sink).map(drop));
    head
}

fn read(pieces: &[&[u8]], closed: Closed) -> (Vec<u8>, Result<(), Fault>) {
    let mut body = Vec::new();
    let mut response = Response::new();
    let mut sink = |piece: Piece<'_>| {
        if let Piece::Body(part) = piece {
            assert!(!part.is_empty(), "a part has bytes");
            body.extend_from_slice(part);
        }
    };
    let fed = pieces
        .iter()
        .try_for_each(|piece| response.feed(piece, &mut sink).map(drop));
    let result = response.closed(closed);
    if let Err(fault) = fed {
        assert_eq!(result, Err(fault), "a fault stays");
    }
    (body, result)
}

/// Takes chunks apart as RFC 9112, 7.1 has them; none if anything is not as it should be.
fn unchunk(body: &[u8]) -> Option<Vec<u8>> {
    let mut rest = body;
    let mut data = Vec::new();
    loop {
        let (line, after) = line(rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extension) = line.split_at(digits);
        let is_plain = matches!(extension.first(), None | Some(b';' | b' ' | b'\t'));
        if digits.is_empty() || !is_plain || line.len() + 2 > CHUNK_LINE_BYTES_MAX {
            return None;
        }
        let significant = std::str::from_utf8(digits).ok()?.trim_start_matches('0');
        let size = if significant.is_empty() {
            0
        } else {
            i64::from_str_radix(significant, 16).ok()?
        };
        if size == 0 {
            return are_trailers(after).then_some(data);
        }
        let size = usize::try_from(size).ok()?;
        data.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn are_trailers(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    for _field in 0..=HTTP_FIELDS_MAX {
        let Some((trailer, after)) = line(rest) else {
            return false;
        };
        if bytes.len() - after.len() > HTTP_HEAD_BYTES_MAX {
            return false;
        }
        if trailer.is_empty() {
            return true;
        }
        rest = after;
    }
    false
}

/// Splits behind the first line, which must end with CR and LF and hold neither.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let (line, rest) = bytes.split_at(end);
    Some((line, rest.strip_prefix(b"\r\n")?))
}

//! The head of an answer: found as its bytes come, taken apart by `httparse`, then checked for what that lets pass.
//!
//! The end is found by a small state over single bytes, so a head that drips costs no more than one that comes at once.
//! The same state refuses a line feed without a carriage return: two readers that disagree on line ends disagree on
//! fields. Tests: here and in `http/tests.rs`. Fuzz target: `http_head`.

use heapless::Vec;

use super::Fault;
use crate::limits::{HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX};

/// Interim heads (1xx) before the real one. We ask for none (no `Expect`), and a proxy's early hints are one or two.
pub const INTERIM_HEADS_MAX: u8 = 8;

/// What every answer begins with.
const BEGINNING: &[u8; 7] = b"HTTP/1.";

/// How a body's end is known (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Framing {
    /// There is no body, whatever the fields say.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks up to one of no bytes.
    Chunked,
    /// All up to the connection's end.
    UntilClose,
}

/// What a head says, as far as anything here asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Head {
    /// The status, 100 to 599; 1xx only as 101.
    pub status: u16,
    /// How the body's end is known.
    pub framing: Framing,
    /// `Retry-After` in seconds; none if it is missing or a date. What is past `u32` stands as its greatest.
    pub retry_after_s: Option<u32>,
    /// `Api-Version`, by which a Docker Engine tells the newest version that it speaks.
    pub api_version: Option<(u16, u16)>,
}

/// The head if it is complete, and the bytes that were not read.
pub(super) struct Read<'a> {
    pub(super) head: Option<Head>,
    pub(super) rest: &'a [u8],
}

/// Where in a line the reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing of the head has come.
    Begin,
    /// Inside a line.
    Line,
    /// Behind the carriage return of a line.
    LineCr,
    /// At the start of a line.
    Start,
    /// Behind a carriage return at the start of a line.
    StartCr,
    /// Behind the empty line.
    End,
}

/// Collects a head.
pub(super) struct HeadReader {
    bytes: Vec<u8, HTTP_HEAD_BYTES_MAX>,
    place: Place,
    interim_heads: u8,
}

impl HeadReader {
    pub(super) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            place: Place::Begin,
            interim_heads: 0,
        }
    }

    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.place = Place::Begin;
        self.interim_heads = 0;
    }

    /// Tells whether not one byte has come.
    pub(super) fn is_untouched(&self) -> bool {
        self.place == Place::Begin && self.interim_heads == 0
    }

    /// Reads up to the end of the real head; interim heads are passed over.
    pub(super) fn feed<'a>(&mut self, bytes: &'a [u8]) -> Result<Read<'a>, Fault> {
        let mut rest = bytes;
        while let [byte, tail @ ..] = rest {
            rest = tail;
            self.take(*byte)?;
            if self.place != Place::End {
                continue;
            }
            let head = parse(&self.bytes)?;
            self.bytes.clear();
            self.place = Place::Begin;
            if !is_interim(head.status) {
                return Ok(Read {
                    head: Some(head),
                    rest,
                });
            }
            self.interim_heads = self.interim_heads.saturating_add(1);
            if self.interim_heads > INTERIM_HEADS_MAX {
                return Err(Fault::TooManyInterimHeads);
            }
        }
        Ok(Read { head: None, rest })
    }

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        // Told at the first wrong byte: what speaks another protocol may well wait for us and never end its line.
        if let Some(expected) = BEGINNING.get(self.bytes.len())
            && *expected != byte
        {
            return Err(Fault::NotHttp);
        }
        self.place = match (self.place, byte) {
            (Place::Begin | Place::Line, b'\r') => Place::LineCr,
            (Place::Start, b'\r') => Place::StartCr,
            (Place::LineCr, b'\n') => Place::Start,
            (Place::StartCr, b'\n') => Place::End,
            (Place::LineCr | Place::StartCr, _) | (_, b'\n') => return Err(Fault::BadLineEnd),
            (Place::Begin | Place::Line | Place::Start | Place::End, _) => Place::Line,
        };
        self.bytes.push(byte).map_err(|_full| Fault::HeadTooLong)
    }
}

/// Tells whether another head follows this one. 101 is not followed by one: what follows is another protocol, for which
/// nobody here asked.
const fn is_interim(status: u16) -> bool {
    matches!(status, 100 | 102..=199)
}

/// Takes a whole head apart.
fn parse(bytes: &[u8]) -> Result<Head, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; HTTP_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        // The empty line is there, so a reader that wants more has understood the lines differently.
        Ok(httparse::Status::Partial) => return Err(Fault::BadLineEnd),
        Err(error) => return Err(fault_of(error)),
    }
    let (Some(status), Some(minor)) = (response.code, response.version) else {
        return Err(Fault::BadStatusLine);
    };
    if !(100..=599).contains(&status) {
        return Err(Fault::BadStatus(status));
    }
    let mut found = Fields::NONE;
    for field in response.headers.iter() {
        found.take(field.name, field.value)?;
    }
    Ok(Head {
        status,
        framing: found.framing(status, minor)?,
        retry_after_s: found.retry_after_s,
        api_version: found.api_version,
    })
}

const fn fault_of(error: httparse::Error) -> Fault {
    match error {
        httparse::Error::TooManyHeaders => Fault::TooManyFields,
        httparse::Error::Version => Fault::NotHttp,
        httparse::Error::Status => Fault::BadStatusLine,
        httparse::Error::NewLine => Fault::BadLineEnd,
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::Token => {
            Fault::BadField
        }
    }
}

/// How `Transfer-Encoding` was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Missing,
    Chunked,
    Other,
}

/// What the fields have said so far.
struct Fields {
    length: Option<u64>,
    encoding: Encoding,
    retry_after_s: Option<u32>,
    api_version: Option<(u16, u16)>,
}

impl Fields {
    const NONE: Self = Self {
        length: None,
        encoding: Encoding::Missing,
        retry_after_s: None,
        api_version: None,
    };

    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), Fault> {
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case("content-length") {
            return self.take_length(value);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            self.take_encoding(value);
        } else if name.eq_ignore_ascii_case("retry-after") {
            // Of two the longer wait is the safer one.
            self.retry_after_s = self.retry_after_s.max(parse_seconds(value));
        } else if name.eq_ignore_ascii_case("api-version") {
            self.api_version = parse_version(value);
        }
        Ok(())
    }

    /// Reads one field, which may be a list: what merges equal fields writes `5, 5` (RFC 9110, 8.6).
    fn take_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        for part in value.split(|byte| *byte == b',') {
            let length = parse_length(part.trim_ascii()).ok_or(Fault::BadLength)?;
            if self.length.is_some_and(|before| before != length) {
                return Err(Fault::UnequalLengths);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    fn take_encoding(&mut self, value: &[u8]) {
        let is_first = self.encoding == Encoding::Missing;
        self.encoding = if is_first && value.eq_ignore_ascii_case(b"chunked") {
            Encoding::Chunked
        } else {
            Encoding::Other
        };
    }

    /// Tells the framing in the order of RFC 9112, 6.3, ambiguity refused in place of resolved.
    fn framing(&self, status: u16, minor: u8) -> Result<Framing, Fault> {
        if self.encoding != Encoding::Missing && self.length.is_some() {
            return Err(Fault::LengthAndEncoding);
        }
        // HTTP/1.0 knows no Transfer-Encoding: whoever forwarded it may not have understood it (RFC 9112, 6.1).
        if self.encoding == Encoding::Other || (self.encoding == Encoding::Chunked && minor == 0) {
            return Err(Fault::BadEncoding);
        }
        Ok(match (status, self.encoding, self.length) {
            (100..=199 | 204 | 304, _, _) => Framing::None,
            (_, Encoding::Chunked | Encoding::Other, _) => Framing::Chunked,
            (_, Encoding::Missing, Some(length)) => Framing::Length(length),
            (_, Encoding::Missing, None) => Framing::UntilClose,
        })
    }
}

/// Reads digits and nothing else, at least one, up to 2^63 - 1. Leading zeros mean nothing.
fn parse_length(digits: &[u8]) -> Option<u64> {
    let value = parse_digits(digits, u64::MAX)?;
    (value <= i64::MAX.unsigned_abs()).then_some(value)
}

/// Reads whole seconds; more than `u32` holds is the greatest that it holds.
fn parse_seconds(digits: &[u8]) -> Option<u32> {
    parse_digits(digits, u64::from(u32::MAX)).and_then(|seconds| u32::try_from(seconds).ok())
}

fn parse_version(value: &[u8]) -> Option<(u16, u16)> {
    let dot = value.iter().position(|byte| *byte == b'.')?;
    let (major, minor) = value.split_at_checked(dot)?;
    let number = |digits: &[u8]| u16::try_from(parse_digits(digits, u64::MAX)?).ok();
    Some((number(major)?, number(minor.strip_prefix(b".")?)?))
}

/// Reads digits and nothing else, at least one; what is greater than `greatest` is `greatest`.
fn parse_digits(digits: &[u8], greatest: u64) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| byte.wrapping_sub(b'0'))?;
        Some(
            value
                .saturating_mul(10)
                .saturating_add(u64::from(digit))
                .min(greatest),
        )
    })
}

//! HTTP/1.1 as a client speaks it: one request, one answer, then the connection ends.
//!
//! A probe can build a [`Get`] and nothing else: the type has no method field, and the only other request,
//! [`crate::channel::post::Post`], has fields that nothing outside the channels can fill. An answer goes through
//! [`Response`], any number of bytes at a time; its body is handed on as it comes and never kept.
//!
//! Never: follow a redirect, reuse a connection, guess at framing that two readers could understand differently.
//! Limits: a head of [`HTTP_HEAD_BYTES_MAX`] bytes and [`HTTP_FIELDS_MAX`] fields, [`head::INTERIM_HEADS_MAX`] interim
//! heads before the real one, a chunk's size line of [`body::CHUNK_LINE_BYTES_MAX`] bytes, trailers like a head.
//! RFC 9110 and 9112, and CONTRACTS 3. Tests: beside the code.

pub mod body;
pub mod head;
pub mod request;

pub use body::Progress;
pub use head::{Framing, Head};
pub use request::{Authority, Get};

use core::fmt;

use crate::limits::{HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX};
use crate::net::Closed;
use body::Body;
use head::{HeadReader, Read};

/// Why an answer is no answer. Always the peer's fault, or that of what lies between.
///
/// The tag stands apart from the payloads, so that the first variant is all zero bits and a [`Response`] at rest too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Fault {
    /// The head is longer than [`HTTP_HEAD_BYTES_MAX`].
    HeadTooLong,
    /// The head has more than [`HTTP_FIELDS_MAX`] fields.
    TooManyFields,
    /// What comes does not begin like an answer of HTTP/1.
    NotHttp,
    /// A line of the head or the chunked framing does not end with CR and LF.
    BadLineEnd,
    /// The status line is malformed.
    BadStatusLine,
    /// The status is this number, outside 100 to 599.
    BadStatus(u16),
    /// A field of the head is malformed.
    BadField,
    /// More than [`head::INTERIM_HEADS_MAX`] interim heads came.
    TooManyInterimHeads,
    /// Content-Length stands beside Transfer-Encoding: two readers could disagree on where the body ends.
    LengthAndEncoding,
    /// There are Content-Lengths that differ.
    UnequalLengths,
    /// Content-Length is not a number, or past 2^63.
    BadLength,
    /// Transfer-Encoding is not exactly `chunked`, or the answer is HTTP/1.0, which has none.
    BadEncoding,
    /// A chunk's size has no hex digit or other characters in it.
    BadChunkSize,
    /// A chunk's size is past 2^63.
    ChunkTooLarge,
    /// A chunk's size line is longer than [`body::CHUNK_LINE_BYTES_MAX`].
    ChunkLineTooLong,
    /// A chunk's data is not followed by CR and LF.
    BadChunkEnd,
    /// The trailers are past the limits of a head.
    TrailersTooLong,
    /// The connection ended before the first byte of an answer.
    NoAnswer(Closed),
    /// The connection ended inside the head.
    HeadCutShort(Closed),
    /// The connection ended inside the body.
    BodyCutShort {
        /// How it ended.
        closed: Closed,
        /// Bytes of the body that came.
        got_bytes: u64,
        /// Bytes of the whole body, if the head told.
        of_bytes: Option<u64>,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::HeadTooLong => write!(f, "head over {} KiB", HTTP_HEAD_BYTES_MAX / 1024),
            Self::TooManyFields => write!(f, "head with over {HTTP_FIELDS_MAX} fields"),
            Self::NotHttp => f.write_str("answer is not HTTP"),
            Self::BadLineEnd => f.write_str("line does not end with CR LF"),
            Self::BadStatusLine => f.write_str("malformed status line"),
            Self::BadStatus(status) => write!(f, "impossible status {status}"),
            Self::BadField => f.write_str("malformed header field"),
            Self::TooManyInterimHeads => f.write_str("too many interim answers"),
            Self::LengthAndEncoding => f.write_str("Content-Length together with Transfer-Encoding"),
            Self::UnequalLengths => f.write_str("unequal Content-Lengths"),
            Self::BadLength => f.write_str("malformed Content-Length"),
            Self::BadEncoding => f.write_str("unknown Transfer-Encoding"),
            Self::BadChunkSize => f.write_str("malformed chunk size"),
            Self::ChunkTooLarge => f.write_str("chunk size past 2^63"),
            Self::ChunkLineTooLong => f.write_str("chunk size line too long"),
            Self::BadChunkEnd => f.write_str("malformed end of a chunk"),
            Self::TrailersTooLong => f.write_str("trailers too long"),
            Self::NoAnswer(closed) => write!(f, "{closed} before an answer"),
            Self::HeadCutShort(closed) => write!(f, "head cut short ({closed})"),
            Self::BodyCutShort {
                closed,
                got_bytes,
                of_bytes,
            } => fmt_cut_body(f, closed, got_bytes, of_bytes),
        }
    }
}

/// Writes how much of a body came; how the connection ended is told only if it adds something.
fn fmt_cut_body(
    f: &mut fmt::Formatter<'_>,
    closed: Closed,
    got_bytes: u64,
    of_bytes: Option<u64>,
) -> fmt::Result {
    match of_bytes {
        Some(of_bytes) => write!(f, "body cut short ({got_bytes} of {of_bytes} bytes"),
        None => write!(f, "body cut short (after {got_bytes} bytes"),
    }?;
    match closed {
        Closed::ByPeer | Closed::Truncated => f.write_str(")"),
        other => write!(f, ", {other})"),
    }
}

/// A piece of an answer, in the order in which it came: one head, then any number of body parts.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Piece<'a> {
    /// The head, complete and checked.
    Head(&'a Head),
    /// Bytes of the body, framing taken off. Never empty.
    Body(&'a [u8]),
}

/// Where an answer stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
    Done,
    Failed,
}

/// One answer, read as it comes. Holds the head's buffer: keep it in place and [`Response::reset`] it.
pub struct Response {
    phase: Phase,
    /// Means something in [`Phase::Failed`] alone.
    fault: Fault,
    head: HeadReader,
    body: Body,
}

impl Default for Response {
    fn default() -> Self {
        Self::new()
    }
}

impl Response {
    /// Makes a reader that has read nothing. All zero bits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: Phase::Head,
            fault: Fault::HeadTooLong,
            head: HeadReader::new(),
            body: Body::new(),
        }
    }

    /// Forgets the answer, to read another one.
    pub fn reset(&mut self) {
        self.phase = Phase::Head;
        self.head.reset();
        self.body = Body::new();
    }

    /// Reads the next bytes, any number, and hands their meaning to `sink`.
    ///
    /// Bytes after the end of the answer are passed over: nothing that we asked for can be in them.
    ///
    /// # Errors
    /// The answer is malformed or past a limit. What was handed to `sink` then counts for nothing; later calls give
    /// the same fault.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Piece<'_>)) -> Result<Progress, Fault> {
        let progress = self.advance(bytes, sink);
        self.keep_fault(progress)
    }

    /// Reads the next bytes of an answer whose body is none of HTTP's business, up to the end of its head; tells the head
    /// and the bytes behind it.
    ///
    /// # Errors
    /// The head is malformed or past a limit.
    pub fn feed_head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(Head, &'a [u8])>, Fault> {
        let Read { head, rest } = self.head.feed(bytes)?;
        Ok(head.map(|head| (head, rest)))
    }

    /// Tells that the connection has ended, and asks whether the answer is whole.
    ///
    /// # Errors
    /// It is not: it was cut short, or a fault came before.
    pub fn closed(&mut self, closed: Closed) -> Result<(), Fault> {
        let ended = match self.phase {
            Phase::Done => Ok(()),
            Phase::Failed => Err(self.fault),
            Phase::Head if self.head.is_untouched() => Err(Fault::NoAnswer(closed)),
            Phase::Head => Err(Fault::HeadCutShort(closed)),
            Phase::Body => self.body.closed(closed),
        };
        if ended.is_ok() {
            self.phase = Phase::Done;
        }
        self.keep_fault(ended)
    }

    fn advance(&mut self, bytes: &[u8], sink: &mut impl FnMut(Piece<'_>)) -> Result<Progress, Fault> {
        let mut rest = bytes;
        if self.phase == Phase::Head {
            let Read { head, rest: after } = self.head.feed(rest)?;
            let Some(head) = head else {
                return Ok(Progress::NeedMore);
            };
            self.body.begin(head.framing);
            self.phase = Phase::Body;
            sink(Piece::Head(&head));
            rest = after;
        }
        match self.phase {
            Phase::Body => {
                let progress = self.body.feed(rest, &mut |part| sink(Piece::Body(part)))?;
                if progress == Progress::Done {
                    self.phase = Phase::Done;
                }
                Ok(progress)
            }
            Phase::Failed => Err(self.fault),
            Phase::Head | Phase::Done => Ok(Progress::Done),
        }
    }

    fn keep_fault<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = result {
            self.phase = Phase::Failed;
            self.fault = fault;
        }
        result
    }
}

#[cfg(test)]
mod tests;

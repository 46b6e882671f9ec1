//! The body of an answer: framing taken off, bytes handed on as they come.
//!
//! Chunk sizes are read here and not by `httparse`, which would need the whole line at once and takes one without a
//! digit for the end of the body. Never: keep a byte of the body, or take a body that was cut short for a whole one.
//! Trailers are read to their end and dropped. RFC 9112, 6 and 7. Tests: `http/tests.rs`. Fuzz target: `http_body`.

use super::{Fault, Framing};
use crate::limits::{HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX};
use crate::net::Closed;
use crate::planted::{Planted, is_planted};

/// Bytes of a chunk's size line, extensions included. Sizes are up to 16 digits; extensions mean nothing to us, and
/// nothing that we talk to sends any.
pub const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// Whether an answer has reached its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// More is to come; if the connection ends, it says whether that was the end.
    NeedMore,
    /// All is there.
    Done,
}

/// Where in the body the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The body is through, or has none.
    End,
    /// In the bytes of a body of known length.
    Length,
    /// In a body that ends with the connection.
    UntilClose,
    /// Before the first digit of a chunk's size.
    SizeStart,
    /// In the digits.
    Size,
    /// Behind the digits, in what is passed over.
    Extension,
    /// Behind the carriage return of the size line.
    SizeCr,
    /// In the bytes of a chunk.
    Chunk,
    /// Behind the bytes of a chunk.
    ChunkEnd,
    /// Behind the carriage return after a chunk.
    ChunkCr,
    /// At the start of a trailer's line.
    TrailerStart,
    /// In a trailer's line.
    Trailer,
    /// Behind the carriage return of a trailer's line.
    TrailerCr,
    /// Behind the carriage return of the last, empty line.
    LastCr,
}

/// Takes a body's framing off.
pub(super) struct Body {
    step: Step,
    /// Bytes left of the body or the chunk; while a size is read, the size so far.
    left: u64,
    got_bytes: u64,
    /// Bytes of the line that is read, or of all trailers.
    line_bytes: usize,
    trailer_fields: usize,
}

impl Body {
    pub(super) const fn new() -> Self {
        Self {
            step: Step::End,
            left: 0,
            got_bytes: 0,
            line_bytes: 0,
            trailer_fields: 0,
        }
    }

    pub(super) const fn begin(&mut self, framing: Framing) {
        *self = Self::new();
        match framing {
            Framing::None | Framing::Length(0) => {}
            Framing::Length(length) => {
                self.step = Step::Length;
                self.left = length;
            }
            Framing::Chunked => self.step = Step::SizeStart,
            Framing::UntilClose => self.step = Step::UntilClose,
        }
    }

    /// Reads the next bytes and hands those of the body to `sink`; what follows the body is passed over.
    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<Progress, Fault> {
        let mut rest = bytes;
        loop {
            rest = match self.step {
                Step::End => return Ok(Progress::Done),
                _ if rest.is_empty() => return Ok(Progress::NeedMore),
                Step::UntilClose => {
                    self.hand_on(rest, sink);
                    return Ok(Progress::NeedMore);
                }
                Step::Length | Step::Chunk => self.take_data(rest, sink),
                _ => self.take_framing(rest)?,
            };
        }
    }

    /// Judges the body by how the connection ended.
    pub(super) const fn closed(&self, closed: Closed) -> Result<(), Fault> {
        let of_bytes = match (self.step, closed) {
            (Step::End, _) | (Step::UntilClose, Closed::ByPeer) => return Ok(()),
            (Step::Length, _) => Some(self.got_bytes.saturating_add(self.left)),
            _ => None,
        };
        Err(Fault::BodyCutShort {
            closed,
            got_bytes: self.got_bytes,
            of_bytes,
        })
    }

    fn hand_on(&mut self, part: &[u8], sink: &mut impl FnMut(&[u8])) {
        if !part.is_empty() {
            self.got_bytes = self.got_bytes.saturating_add(part.len() as u64);
            sink(part);
        }
    }

    /// Takes what is there of a known number of bytes, and gives the rest back.
    fn take_data<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (part, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        self.hand_on(part, sink);
        self.left = self.left.saturating_sub(part.len() as u64);
        if self.left == 0 {
            self.step = match self.step {
                Step::Chunk => Step::ChunkEnd,
                _ => Step::End,
            };
        }
        rest
    }

    fn take_framing<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
        let [byte, rest @ ..] = bytes else {
            return Ok(bytes);
        };
        self.step = match self.step {
            Step::SizeStart | Step::Size | Step::Extension | Step::SizeCr => self.take_size(*byte)?,
            Step::ChunkEnd if *byte == b'\r' => Step::ChunkCr,
            Step::ChunkCr if *byte == b'\n' => Step::SizeStart,
            Step::ChunkEnd | Step::ChunkCr => return Err(Fault::BadChunkEnd),
            Step::TrailerStart | Step::Trailer | Step::TrailerCr | Step::LastCr => {
                self.take_trailer(*byte)?
            }
            // These read no framing.
            Step::End | Step::Length | Step::UntilClose | Step::Chunk => self.step,
        };
        Ok(rest)
    }

    fn take_size(&mut self, byte: u8) -> Result<Step, Fault> {
        self.line_bytes = self.line_bytes.saturating_add(1);
        if self.line_bytes > CHUNK_LINE_BYTES_MAX {
            return Err(Fault::ChunkLineTooLong);
        }
        match (self.step, byte) {
            (Step::SizeStart | Step::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.add_digit(byte)?;
                Ok(Step::Size)
            }
            (Step::Size | Step::Extension, b'\r') => Ok(Step::SizeCr),
            (Step::SizeStart, b'\r') if is_planted(Planted::SizeWithoutDigit) => Ok(Step::SizeCr),
            (Step::SizeCr, b'\n') => Ok(self.after_size()),
            (Step::SizeCr, _) | (Step::Extension, b'\n') => Err(Fault::BadLineEnd),
            (Step::Extension, _) | (Step::Size, b';' | b' ' | b'\t') => Ok(Step::Extension),
            _ => Err(Fault::BadChunkSize),
        }
    }

    fn add_digit(&mut self, byte: u8) -> Result<(), Fault> {
        let digit = char::from(byte).to_digit(16).ok_or(Fault::BadChunkSize)?;
        let size = self.left.checked_mul(16).ok_or(Fault::ChunkTooLarge)?;
        self.left = size.saturating_add(u64::from(digit));
        if self.left > i64::MAX.unsigned_abs() {
            return Err(Fault::ChunkTooLarge);
        }
        Ok(())
    }

    const fn after_size(&mut self) -> Step {
        self.line_bytes = 0;
        if self.left == 0 {
            Step::TrailerStart
        } else {
            Step::Chunk
        }
    }

    fn take_trailer(&mut self, byte: u8) -> Result<Step, Fault> {
        self.line_bytes = self.line_bytes.saturating_add(1);
        if self.line_bytes > HTTP_HEAD_BYTES_MAX {
            return Err(Fault::TrailersTooLong);
        }
        match (self.step, byte) {
            (Step::TrailerStart, b'\r') => Ok(Step::LastCr),
            (Step::LastCr, b'\n') => Ok(Step::End),
            (Step::TrailerCr, b'\n') => Ok(Step::TrailerStart),
            (Step::Trailer, b'\r') => Ok(Step::TrailerCr),
            (Step::LastCr | Step::TrailerCr, _) | (_, b'\n') => Err(Fault::BadLineEnd),
            (Step::TrailerStart, _) => {
                self.trailer_fields = self.trailer_fields.saturating_add(1);
                if self.trailer_fields > HTTP_FIELDS_MAX {
                    return Err(Fault::TrailersTooLong);
                }
                Ok(Step::Trailer)
            }
            _ => Ok(Step::Trailer),
        }
    }
}

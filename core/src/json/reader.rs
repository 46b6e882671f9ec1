//! The reader: bytes in, events out, one byte after the other in constant memory.
//!
//! It never recurses (one bit a level says whether a level is an object), never holds more than one token, and never
//! looks ahead, so a document may be cut into pieces anywhere. It is stricter than RFC 8259 in nothing but depth
//! ([`crate::limits::JSON_DEPTH_MAX`]), and more lenient only in what [`crate::json`] names.
//! Tests: `reader_tests.rs`, against `serde_json`. Fuzz target: `json`.

use core::fmt;

use heapless::String;

use super::number::{Place, Scale};
use super::{Event, Text};
use crate::limits::{JSON_DEPTH_MAX, JSON_TOKEN_BYTES_MAX};
use crate::text::Hash;

/// Why bytes are no JSON document. Who wrote the document is at fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// A byte that the grammar does not allow where it stands.
    #[default]
    UnexpectedByte,
    /// A control character, U+0000 to U+001F, stands unescaped in a string.
    ControlCharacter,
    /// A backslash is followed by none of the escapes of RFC 8259, 7.
    BadEscape,
    /// A number that RFC 8259, 6 does not know, such as `01`, `1.` or `+1`.
    BadNumber,
    /// More than [`JSON_DEPTH_MAX`] arrays and objects in one another.
    TooDeep,
    /// The document ended, and something other than white space follows.
    TrailingBytes,
    /// The bytes ended before the document did.
    CutShort,
    /// There were no bytes but white space.
    Empty,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedByte => "unexpected character",
            Self::ControlCharacter => "control character in a string",
            Self::BadEscape => "unknown escape in a string",
            Self::BadNumber => "malformed number",
            Self::TooDeep => "nested too deeply",
            Self::TrailingBytes => "more than one document",
            Self::CutShort => "cut short",
            Self::Empty => "empty",
        })
    }
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value must begin; at the top level this is the start. The first, so that a new reader is all zero bits.
    Value,
    /// Behind `[`: a value or `]`.
    FirstElement,
    /// Behind `{`: a key or `}`.
    FirstKey,
    /// Behind a comma in an object: a key.
    NextKey,
    /// Behind a key.
    Colon,
    /// Behind a value inside an array or object.
    AfterValue,
    /// Inside a string.
    String,
    /// Behind a backslash.
    Escape,
    /// Inside the four hex digits behind `\u`.
    Hex,
    /// Inside a word.
    Word,
    /// Behind `-`.
    Minus,
    /// Behind a number's only integer digit `0`.
    Zero,
    /// Inside a number's integer digits.
    Integer,
    /// Behind a number's point.
    Point,
    /// Inside a number's fraction.
    Fraction,
    /// Behind `e`.
    Exponent,
    /// Behind the sign of an exponent.
    ExponentSign,
    /// Inside an exponent's digits.
    ExponentDigits,
    /// Behind the document.
    End,
    /// A fault was found; it stays.
    Faulty,
}

/// The values that are words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    True,
    False,
    Null,
    NaN,
    Infinity,
}

impl Word {
    const fn letters(self) -> &'static [u8] {
        match self {
            Self::True => b"true",
            Self::False => b"false",
            Self::Null => b"null",
            Self::NaN => b"NaN",
            Self::Infinity => b"Infinity",
        }
    }

    const fn event(self) -> Event<'static> {
        match self {
            Self::True => Event::Bool(true),
            Self::False => Event::Bool(false),
            Self::Null => Event::Null,
            Self::NaN | Self::Infinity => Event::NotFinite,
        }
    }
}

/// A character of several bytes that is under way.
#[derive(Clone, Copy, Debug)]
struct Partial {
    /// Bytes still to come; 0 = nothing is under way.
    missing: u8,
    /// The range that the next byte must be in (Unicode, table 3-7).
    low: u8,
    /// The upper end of that range.
    high: u8,
    /// The bits so far.
    code: u32,
}

/// Reads one JSON document after the other, each in any number of pieces.
///
/// The same document gives the same events however it is cut. After a fault every further call returns it again, until
/// [`Reader::reset`].
#[derive(Debug)]
pub struct Reader {
    state: State,
    fault: Fault,
    /// One bit a level, the innermost lowest: whether it is an object.
    objects: u64,
    depth: usize,
    /// Whether the string under way is a key.
    is_key: bool,
    /// The word under way.
    word: Word,
    /// Letters of the word, or hex digits of the escape, that were there.
    count: u8,
    /// The first bytes of a string, or a number's significant digits.
    token: String<JSON_TOKEN_BYTES_MAX>,
    /// The length of the whole string.
    bytes: u64,
    /// The hash of the whole string, once it is longer than the token.
    hash: Option<Hash>,
    partial: Partial,
    /// The hex digits of an escape so far.
    unit: u16,
    /// A high surrogate that waits for its low one; 0 = none.
    high: u16,
    scale: Scale,
}

const REPLACEMENT: char = '\u{fffd}';

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// Makes a reader in front of a document: all zero bits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Value,
            fault: Fault::UnexpectedByte,
            objects: 0,
            depth: 0,
            is_key: false,
            word: Word::True,
            count: 0,
            token: String::new(),
            bytes: 0,
            hash: None,
            partial: Partial {
                missing: 0,
                low: 0,
                high: 0,
                code: 0,
            },
            unit: 0,
            high: 0,
            scale: Scale::NEW,
        }
    }

    /// Stands in front of a new document again; what was under way is forgotten.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.objects = 0;
        self.depth = 0;
        self.begin_token();
    }

    /// Reads the next piece of the only document; white space may stand around it, nothing else.
    ///
    /// # Errors
    /// What makes the bytes no JSON document; the same again at every further call.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), Fault> {
        let rest = self.read(bytes, sink)?;
        if self.state == State::End && !skip_white(rest).is_empty() {
            return self.fail(Fault::TrailingBytes);
        }
        Ok(())
    }

    /// Reads the next piece of a sequence of documents, up to the end of one: tells the bytes behind a document that
    /// ended, or that all bytes were read and none ended.
    ///
    /// A number at the top level ends at the byte behind it. White space between two documents is allowed and not
    /// asked for, as in `application/jsonl` and in the engine's `/events`.
    ///
    /// # Errors
    /// What makes the bytes no JSON document; the same again at every further call.
    pub fn feed_sequence<'b>(
        &mut self,
        bytes: &'b [u8],
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<Option<&'b [u8]>, Fault> {
        let rest = self.read(bytes, sink)?;
        if self.state != State::End {
            return Ok(None);
        }
        self.state = State::Value;
        Ok(Some(rest))
    }

    /// Tells whether no document is under way: nothing but white space came since the last one ended.
    #[must_use]
    pub fn is_between_documents(&self) -> bool {
        self.state == State::Value && self.depth == 0
    }

    /// Tells that no more bytes come; a number at the top level ends here.
    ///
    /// # Errors
    /// [`Fault::CutShort`] or [`Fault::Empty`] if the document is not complete, or the fault of before.
    pub fn finish(&mut self, sink: &mut impl FnMut(Event<'_>)) -> Result<(), Fault> {
        match self.state {
            State::End => Ok(()),
            State::Faulty => Err(self.fault),
            State::Value if self.depth == 0 => self.fail(Fault::Empty),
            State::Zero | State::Integer | State::Fraction | State::ExponentDigits if self.depth == 0 => {
                self.end_number(sink);
                Ok(())
            }
            _ => self.fail(Fault::CutShort),
        }
    }

    fn fail<T>(&mut self, fault: Fault) -> Result<T, Fault> {
        self.state = State::Faulty;
        self.fault = fault;
        Err(fault)
    }

    /// Reads up to the end of the document or of the bytes, and tells what is left.
    fn read<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(Event<'_>)) -> Result<&'b [u8], Fault> {
        let mut rest = bytes;
        while !rest.is_empty() && self.state != State::End {
            match self.step(rest, sink) {
                Ok(after) => rest = after,
                Err(fault) => return self.fail(fault),
            }
        }
        Ok(rest)
    }

    /// Reads as far as one state reaches, at least one byte or into another state.
    fn step<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(Event<'_>)) -> Result<&'b [u8], Fault> {
        match self.state {
            State::String => self.string(bytes, sink),
            State::Integer if starts_with_digit(bytes) => Ok(self.digits(bytes, Place::Integer)),
            State::Fraction if starts_with_digit(bytes) => Ok(self.digits(bytes, Place::Fraction)),
            State::Value
            | State::FirstElement
            | State::FirstKey
            | State::NextKey
            | State::Colon
            | State::AfterValue => {
                let Some((byte, after)) = skip_white(bytes).split_first() else {
                    return Ok(&[]);
                };
                self.structure(*byte, sink)?;
                Ok(after)
            }
            State::Faulty => Err(self.fault),
            State::End => Ok(bytes),
            _ => {
                let Some((byte, after)) = bytes.split_first() else {
                    return Ok(bytes);
                };
                let taken = self.inside(*byte, sink)?;
                Ok(if taken { after } else { bytes })
            }
        }
    }

    /// Reads a byte that is no white space between tokens.
    fn structure(&mut self, byte: u8, sink: &mut impl FnMut(Event<'_>)) -> Result<(), Fault> {
        match (self.state, byte) {
            (State::FirstElement, b']') | (State::FirstKey, b'}') => {
                self.close(byte, sink);
                Ok(())
            }
            (State::Value | State::FirstElement, _) => self.value(byte, sink),
            (State::FirstKey | State::NextKey, b'"') => {
                self.begin_string();
                self.is_key = true;
                Ok(())
            }
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(())
            }
            (State::AfterValue, b',') => {
                self.state = if self.in_object() {
                    State::NextKey
                } else {
                    State::Value
                };
                Ok(())
            }
            (State::AfterValue, b'}') if self.in_object() => {
                self.close(byte, sink);
                Ok(())
            }
            (State::AfterValue, b']') if !self.in_object() => {
                self.close(byte, sink);
                Ok(())
            }
            _ => Err(Fault::UnexpectedByte),
        }
    }

    /// Begins a value.
    fn value(&mut self, byte: u8, sink: &mut impl FnMut(Event<'_>)) -> Result<(), Fault> {
        match byte {
            b'{' => return self.open(State::FirstKey, sink),
            b'[' => return self.open(State::FirstElement, sink),
            b'"' => {
                self.begin_string();
                self.is_key = false;
            }
            b't' => self.begin_word(Word::True),
            b'f' => self.begin_word(Word::False),
            b'n' => self.begin_word(Word::Null),
            b'N' => self.begin_word(Word::NaN),
            b'I' => self.begin_word(Word::Infinity),
            b'-' => {
                self.begin_token();
                self.scale.negative = true;
                self.state = State::Minus;
            }
            b'0'..=b'9' => {
                self.begin_token();
                self.first_digit(byte);
            }
            b'+' | b'.' => return Err(Fault::BadNumber),
            _ => return Err(Fault::UnexpectedByte),
        }
        Ok(())
    }

    fn open(&mut self, next: State, sink: &mut impl FnMut(Event<'_>)) -> Result<(), Fault> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        let is_object = next == State::FirstKey;
        self.depth = self.depth.saturating_add(1);
        self.objects = (self.objects << 1) | u64::from(is_object);
        self.state = next;
        sink(if is_object {
            Event::ObjectStart
        } else {
            Event::ArrayStart
        });
        Ok(())
    }

    fn close(&mut self, byte: u8, sink: &mut impl FnMut(Event<'_>)) {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        sink(if byte == b'}' {
            Event::ObjectEnd
        } else {
            Event::ArrayEnd
        });
        self.end_value();
    }

    const fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    const fn end_value(&mut self) {
        self.state = if self.depth == 0 {
            State::End
        } else {
            State::AfterValue
        };
    }

    /// Reads a byte inside a word, an escape or a number; tells whether it was taken, or ended a number in front of it.
    fn inside(&mut self, byte: u8, sink: &mut impl FnMut(Event<'_>)) -> Result<bool, Fault> {
        match self.state {
            State::Word => self.word(byte, sink)?,
            State::Escape => self.escape(byte)?,
            State::Hex => self.hex(byte)?,
            _ => return self.number(byte, sink),
        }
        Ok(true)
    }

    const fn begin_word(&mut self, word: Word) {
        self.word = word;
        self.count = 1;
        self.state = State::Word;
    }

    fn word(&mut self, byte: u8, sink: &mut impl FnMut(Event<'_>)) -> Result<(), Fault> {
        let letters = self.word.letters();
        if letters.get(usize::from(self.count)) != Some(&byte) {
            return Err(Fault::UnexpectedByte);
        }
        self.count = self.count.saturating_add(1);
        if usize::from(self.count) == letters.len() {
            sink(self.word.event());
            self.end_value();
        }
        Ok(())
    }
}

/// Strings (RFC 8259, 7).
impl Reader {
    fn begin_token(&mut self) {
        self.token.clear();
        self.bytes = 0;
        self.hash = None;
        self.partial.missing = 0;
        self.high = 0;
        self.scale = Scale::NEW;
    }

    fn begin_string(&mut self) {
        self.begin_token();
        self.state = State::String;
    }

    /// Reads a string up to its end, an escape, or the end of the bytes.
    fn string<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(Event<'_>)) -> Result<&'b [u8], Fault> {
        let (run, rest) = split_where(bytes, |byte| {
            !matches!(byte, 0x20..=0x7f) || matches!(byte, b'"' | b'\\')
        });
        if !run.is_empty() {
            self.settle();
            self.append_ascii(run);
        }
        let Some((byte, after)) = rest.split_first() else {
            return Ok(&[]);
        };
        match byte {
            b'"' => {
                self.settle();
                self.end_string(sink);
            }
            b'\\' => {
                self.settle_character();
                self.state = State::Escape;
            }
            0x80.. => {
                self.settle_surrogate();
                return Ok(self.characters(rest));
            }
            _ => return Err(Fault::ControlCharacter),
        }
        Ok(after)
    }

    fn end_string(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        let text = Text {
            kept: self.token.as_str(),
            bytes: self.bytes,
            hash: self.hash.unwrap_or(Hash::EMPTY),
        };
        if self.is_key {
            sink(Event::Key(text));
            self.state = State::Colon;
        } else {
            sink(Event::String(text));
            self.end_value();
        }
    }

    /// Reads what is in front that is no ASCII: as many whole characters as a look at a few bytes shows, else one byte.
    fn characters<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        const LOOK: usize = 64;
        if self.partial.missing == 0 {
            let (look, _) = bytes.split_at_checked(LOOK).unwrap_or((bytes, &[]));
            let (run, _) = split_where(look, |byte| byte < 0x80);
            let whole = match core::str::from_utf8(run) {
                Ok(_) => run.len(),
                Err(error) => error.valid_up_to(),
            };
            let (whole, rest) = bytes.split_at_checked(whole).unwrap_or((&[], bytes));
            if !whole.is_empty() {
                self.append(core::str::from_utf8(whole).unwrap_or_default());
                return rest;
            }
        }
        let Some((byte, rest)) = bytes.split_first() else {
            return bytes;
        };
        self.continue_character(*byte);
        rest
    }

    /// Reads a byte of a character of several bytes, valid or not, by Unicode's table 3-7: what cannot be continued is
    /// one U+FFFD (the maximal subpart), and the byte in hand begins anew.
    fn continue_character(&mut self, byte: u8) {
        let Partial {
            missing,
            low,
            high,
            code,
        } = self.partial;
        if missing > 0 && (low..=high).contains(&byte) {
            self.partial = Partial {
                missing: missing.saturating_sub(1),
                low: 0x80,
                high: 0xbf,
                code: (code << 6) | u32::from(byte & 0x3f),
            };
            if self.partial.missing == 0 {
                self.append_char(char::from_u32(self.partial.code).unwrap_or(REPLACEMENT));
            }
            return;
        }
        self.settle_character();
        let (missing, low, high, bits) = match byte {
            0xc2..=0xdf => (1, 0x80, 0xbf, 0x1f),
            0xe0 => (2, 0xa0, 0xbf, 0x0f),
            0xed => (2, 0x80, 0x9f, 0x0f),
            0xe1..=0xef => (2, 0x80, 0xbf, 0x0f),
            0xf0 => (3, 0x90, 0xbf, 0x07),
            0xf1..=0xf3 => (3, 0x80, 0xbf, 0x07),
            0xf4 => (3, 0x80, 0x8f, 0x07),
            _ => return self.append_char(REPLACEMENT),
        };
        self.partial = Partial {
            missing,
            low,
            high,
            code: u32::from(byte & bits),
        };
    }

    /// Ends whatever waits for a continuation that does not come.
    fn settle(&mut self) {
        self.settle_character();
        self.settle_surrogate();
    }

    fn settle_character(&mut self) {
        if self.partial.missing > 0 {
            self.partial.missing = 0;
            self.append_char(REPLACEMENT);
        }
    }

    fn settle_surrogate(&mut self) {
        if self.high != 0 {
            self.high = 0;
            self.append_char(REPLACEMENT);
        }
    }

    fn escape(&mut self, byte: u8) -> Result<(), Fault> {
        let character = match byte {
            b'u' => {
                self.unit = 0;
                self.count = 0;
                self.state = State::Hex;
                return Ok(());
            }
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => return Err(Fault::BadEscape),
        };
        self.settle_surrogate();
        self.append_char(character);
        self.state = State::String;
        Ok(())
    }

    fn hex(&mut self, byte: u8) -> Result<(), Fault> {
        let digit = match byte {
            b'0'..=b'9' => byte.wrapping_sub(b'0'),
            b'a'..=b'f' => byte.wrapping_sub(b'a').wrapping_add(10),
            b'A'..=b'F' => byte.wrapping_sub(b'A').wrapping_add(10),
            _ => return Err(Fault::BadEscape),
        };
        self.unit = (self.unit << 4) | u16::from(digit);
        self.count = self.count.saturating_add(1);
        if self.count == 4 {
            self.state = State::String;
            self.end_escape();
        }
        Ok(())
    }

    /// Takes a whole `\uXXXX`: a character, half of one, or a half that is alone.
    fn end_escape(&mut self) {
        let unit = self.unit;
        if (0xdc00..=0xdfff).contains(&unit) && self.high != 0 {
            let high = u32::from(self.high & 0x3ff);
            let code = ((high << 10) | u32::from(unit & 0x3ff)).saturating_add(0x1_0000);
            self.high = 0;
            self.append_char(char::from_u32(code).unwrap_or(REPLACEMENT));
            return;
        }
        self.settle_surrogate();
        if (0xd800..=0xdbff).contains(&unit) {
            self.high = unit;
        } else {
            self.append_char(char::from_u32(u32::from(unit)).unwrap_or(REPLACEMENT));
        }
    }

    fn append_char(&mut self, character: char) {
        self.append(character.encode_utf8(&mut [0; 4]));
    }

    fn append_ascii(&mut self, run: &[u8]) {
        if let Some(hash) = self.hash {
            self.hash = Some(hash.and(run));
            self.bytes = self.bytes.saturating_add(run.len() as u64);
        } else {
            // The run holds bytes below 0x80 alone, so it is UTF-8.
            self.append(core::str::from_utf8(run).unwrap_or_default());
        }
    }

    /// Appends to the string: what is longer than the token is hashed and counted, no more.
    fn append(&mut self, part: &str) {
        self.bytes = self.bytes.saturating_add(part.len() as u64);
        if let Some(hash) = self.hash {
            self.hash = Some(hash.and(part.as_bytes()));
        } else if self.token.push_str(part).is_err() {
            self.hash = Some(Hash::EMPTY.and(self.token.as_bytes()).and(part.as_bytes()));
            for character in part.chars() {
                if self.token.push(character).is_err() {
                    break;
                }
            }
        }
    }
}

/// Numbers (RFC 8259, 6).
impl Reader {
    /// Takes the first integer digit; behind a zero no other may follow.
    fn first_digit(&mut self, byte: u8) {
        self.scale.digit(&mut self.token, byte, Place::Integer);
        self.state = if byte == b'0' { State::Zero } else { State::Integer };
    }

    /// Reads the digits in front, and tells what is behind them.
    fn digits<'b>(&mut self, bytes: &'b [u8], place: Place) -> &'b [u8] {
        let (run, rest) = split_where(bytes, |byte| !byte.is_ascii_digit());
        self.scale.digits(&mut self.token, run, place);
        rest
    }

    /// Reads a byte inside or behind a number, other than a further digit of integer or fraction; tells whether it was
    /// taken.
    fn number(&mut self, byte: u8, sink: &mut impl FnMut(Event<'_>)) -> Result<bool, Fault> {
        match (self.state, byte) {
            (State::Minus, b'0'..=b'9') => self.first_digit(byte),
            (State::Minus, b'I') => self.begin_word(Word::Infinity),
            (State::Point, b'0'..=b'9') => {
                self.scale.digit(&mut self.token, byte, Place::Fraction);
                self.state = State::Fraction;
            }
            (State::Exponent | State::ExponentSign | State::ExponentDigits, b'0'..=b'9') => {
                self.scale.exponent_digit(byte);
                self.state = State::ExponentDigits;
            }
            (State::Exponent, b'+' | b'-') => {
                self.scale.exponent_negative = byte == b'-';
                self.state = State::ExponentSign;
            }
            (State::Zero | State::Integer, b'.') => self.state = State::Point,
            (State::Zero | State::Integer | State::Fraction, b'e' | b'E') => self.state = State::Exponent,
            (State::Zero, b'0'..=b'9')
            | (State::Minus | State::Point | State::Exponent | State::ExponentSign, _) => {
                return Err(Fault::BadNumber);
            }
            _ => {
                self.end_number(sink);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn end_number(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        sink(Event::Number(self.scale.number(&self.token)));
        self.end_value();
    }
}

fn starts_with_digit(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_digit)
}

/// Splits in front of the first byte that is a `boundary`.
fn split_where(bytes: &[u8], boundary: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let run = bytes
        .iter()
        .position(|byte| boundary(*byte))
        .unwrap_or(bytes.len());
    bytes.split_at_checked(run).unwrap_or((bytes, &[]))
}

/// Tells the bytes behind white space (RFC 8259, 2).
fn skip_white(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [b' ' | b'\n' | b'\r' | b'\t', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

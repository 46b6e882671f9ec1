//! DNS messages: a question is written, an answer is read (RFC 1035, 4).
//!
//! An answer is read in place and in bounded work: at most [`RECORDS_MAX`] records, each looked at once for each of at
//! most [`CHAIN_MAX`] aliases. A compression pointer must point before the name that it stands in, so every jump goes
//! further back and the walk ends. Counts in the header are upper bounds, never sizes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;

use super::{Addresses, Family};
use crate::limits::HOST_BYTES_MAX;

/// Records of an answer that are looked at. An answer over 512 bytes comes over TCP, and nobody needs more addresses.
pub const RECORDS_MAX: u16 = 64;
/// Aliases (CNAME) that are followed in one answer. Content networks use three or four.
pub const CHAIN_MAX: usize = 8;
/// Bytes of a question: header, the longest name, type and class.
pub const QUERY_BYTES_MAX: usize = HEADER_BYTES + 255 + 4;

const HEADER_BYTES: usize = 12;
const CLASS_IN: u16 = 1;
const KIND_CNAME: u16 = 5;

/// Bytes of a message that is sent, with room for the length that TCP wants before it.
pub type Query = Vec<u8, { QUERY_BYTES_MAX + 2 }>;

impl Family {
    /// Tells the record type (RFC 1035, 3.2.2, and RFC 3596).
    const fn kind(self) -> u16 {
        match self {
            Self::V4 => 1,
            Self::V6 => 28,
        }
    }
}

/// A name in full: the host, and the search domain behind it, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FullName<'a> {
    /// The host, labels joined by dots, none at the end.
    pub host: &'a str,
    /// The search domain; empty for none.
    pub suffix: &'a str,
}

impl<'a> FullName<'a> {
    /// Tells whether the name can stand in a question: labels of 1 to 63 visible ASCII characters, 253 in all.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let dots = usize::from(!self.suffix.is_empty());
        let bytes = self
            .host
            .len()
            .saturating_add(self.suffix.len())
            .saturating_add(dots);
        let is_label = |label: &[u8]| {
            (1..=63).contains(&label.len()) && label.iter().all(|byte| byte.is_ascii_graphic())
        };
        bytes <= HOST_BYTES_MAX
            && split(self.host).all(is_label)
            && (self.suffix.is_empty() || split(self.suffix).all(is_label))
    }

    fn labels(&self) -> impl Iterator<Item = &'a [u8]> {
        let suffix = split(self.suffix).filter(|label| !label.is_empty());
        split(self.host).chain(suffix)
    }
}

fn split(name: &str) -> impl Iterator<Item = &[u8]> {
    name.as_bytes().split(|byte| *byte == b'.')
}

/// A question: what is asked, and the number that its answer must bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Question<'a> {
    /// The number.
    pub id: u16,
    /// The name.
    pub name: FullName<'a>,
    /// The kind of addresses.
    pub family: Family,
}

impl Question<'_> {
    /// Appends the question's message to `out`; none if it does not fit, as a name that is not valid may not.
    #[must_use]
    pub fn emit(&self, out: &mut Query) -> Option<()> {
        let [id_high, id_low] = self.id.to_be_bytes();
        // Recursion desired, one question, nothing else.
        append(out, &[id_high, id_low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        for label in self.name.labels() {
            append(out, &[u8::try_from(label.len()).ok()?])?;
            append(out, label)?;
        }
        append(out, &[0])?;
        append(out, &self.family.kind().to_be_bytes())?;
        append(out, &CLASS_IN.to_be_bytes())
    }
}

fn append(out: &mut Query, bytes: &[u8]) -> Option<()> {
    bytes.iter().try_for_each(|byte| out.push(*byte)).ok()
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Carrier {
    /// Whole in a datagram.
    Datagram,
    /// Over TCP, of which only the beginning may have been kept: a record that runs over the end was the last one.
    Stream,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reply {
    /// Addresses, at least one, and for how long they hold.
    Found {
        /// The addresses, in the order of the answer.
        addresses: Addresses,
        /// The least time to live of all records on the way, in seconds.
        ttl_s: u32,
    },
    /// The name has none of this family.
    NoData,
    /// The name does not exist.
    NoName,
    /// The answer did not fit into a datagram.
    Truncated,
    /// The server can not answer: its error code, not 0 and not 3.
    Error(u8),
    /// It is the answer to this question, and it can not be read.
    Unreadable,
}

/// Reads a message; none if it is not the answer to this question.
#[must_use]
pub fn parse(bytes: &[u8], carrier: Carrier, question: &Question<'_>) -> Option<Reply> {
    let message = Message { bytes };
    let flags = message.number(2).ok()?;
    // A response (QR) to a standard query (opcode 0), with one question: ours.
    if message.number(0).ok()? != question.id || flags & 0xf800 != 0x8000 || message.number(4).ok()? != 1 {
        return None;
    }
    let answers_at = message.match_question(question).ok()??;
    let code = u8::try_from(flags & 0xf).unwrap_or(0);
    if flags & TRUNCATED != 0 && carrier == Carrier::Datagram {
        return Some(Reply::Truncated);
    }
    Some(match code {
        0 => message
            .collect(answers_at, carrier, question.family)
            .map_or(Reply::Unreadable, |reply| honest(reply, flags)),
        3 => Reply::NoName,
        code => Reply::Error(code),
    })
}

const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
const RECURSION_AVAILABLE: u16 = 0x0080;
/// The error code REFUSED.
pub const REFUSED: u8 = 5;

/// Nothing, said by a server that neither owns the name nor resolves for us, is a referral and no knowledge.
fn honest(reply: Reply, flags: u16) -> Reply {
    if reply == Reply::NoData && flags & (AUTHORITATIVE | RECURSION_AVAILABLE) == 0 {
        return Reply::Error(REFUSED);
    }
    reply
}

/// The bytes break the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

#[derive(Clone, Copy)]
struct Message<'a> {
    bytes: &'a [u8],
}

/// A record, its parts by place.
struct Record {
    kind: u16,
    class: u16,
    ttl_s: u32,
    data_at: usize,
    next_at: usize,
}

impl<'a> Message<'a> {
    fn number(self, at: usize) -> Result<u16, Malformed> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn array<const N: usize>(self, at: usize) -> Result<[u8; N], Malformed> {
        let part = self.bytes.get(at..at.saturating_add(N)).ok_or(Malformed)?;
        part.try_into().map_err(|_length| Malformed)
    }

    /// Tells where the answers begin, if the message's question is this one.
    fn match_question(self, question: &Question<'_>) -> Result<Option<usize>, Malformed> {
        let mut labels = self.labels(HEADER_BYTES);
        for label in question.name.labels() {
            if !label.eq_ignore_ascii_case(labels.next()?) {
                return Ok(None);
            }
        }
        let is_end = labels.next()?.is_empty();
        let at = self.skip_name(HEADER_BYTES)?;
        let is_same = is_end
            && self.number(at)? == question.family.kind()
            && self.number(at.saturating_add(2))? == CLASS_IN;
        Ok(is_same.then_some(at.saturating_add(4)))
    }

    /// Gathers the addresses of the question's name, by way of its aliases.
    fn collect(self, answers_at: usize, carrier: Carrier, family: Family) -> Result<Reply, Malformed> {
        let mut owner_at = HEADER_BYTES;
        let mut addresses = Addresses::new();
        let mut ttl_s = u32::MAX;
        for _alias in 0..=CHAIN_MAX {
            let alias_of = self.pass(
                answers_at,
                carrier,
                owner_at,
                |record| {
                    ttl_s = ttl_s.min(record.ttl_s);
                    if record.kind == family.kind() {
                        // More than there is room for are not needed.
                        let _ = addresses.push(self.address(record, family)?);
                    }
                    Ok(())
                },
                family,
            )?;
            match alias_of {
                Some(target_at) => owner_at = target_at,
                None if addresses.is_empty() => return Ok(Reply::NoData),
                None => return Ok(Reply::Found { addresses, ttl_s }),
            }
        }
        Err(Malformed)
    }

    /// Goes once through the answers, hands on the records of one owner that matter, and tells the place of the name
    /// that the owner is an alias of.
    fn pass(
        self,
        answers_at: usize,
        carrier: Carrier,
        owner_at: usize,
        mut take: impl FnMut(&Record) -> Result<(), Malformed>,
        family: Family,
    ) -> Result<Option<usize>, Malformed> {
        let mut at = answers_at;
        for _record in 0..self.number(6)?.min(RECORDS_MAX) {
            let record = match self.record(at) {
                Ok(record) => record,
                Err(_cut) if carrier == Carrier::Stream => break,
                Err(malformed) => return Err(malformed),
            };
            let record_at = at;
            at = record.next_at;
            let matters = record.class == CLASS_IN
                && (record.kind == KIND_CNAME || record.kind == family.kind())
                && self.is_same_name(record_at, owner_at)?;
            if !matters {
                continue;
            }
            take(&record)?;
            if record.kind == KIND_CNAME {
                // A name that reaches past its record would be read from what follows.
                if self.skip_name(record.data_at)? != record.next_at {
                    return Err(Malformed);
                }
                return Ok(Some(record.data_at));
            }
        }
        Ok(None)
    }

    fn record(self, at: usize) -> Result<Record, Malformed> {
        let at = self.skip_name(at)?;
        let data_at = at.saturating_add(10);
        let data_bytes = usize::from(self.number(at.saturating_add(8))?);
        let next_at = data_at.saturating_add(data_bytes);
        if next_at > self.bytes.len() {
            return Err(Malformed);
        }
        // The top bit of a time to live is not used: one that has it set counts as zero (RFC 2181, 8).
        let ttl_s = i32::from_be_bytes(self.array(at.saturating_add(4))?);
        Ok(Record {
            kind: self.number(at)?,
            class: self.number(at.saturating_add(2))?,
            ttl_s: u32::try_from(ttl_s).unwrap_or(0),
            data_at,
            next_at,
        })
    }

    fn address(self, record: &Record, family: Family) -> Result<IpAddr, Malformed> {
        let data_bytes = record.next_at.saturating_sub(record.data_at);
        match (family, data_bytes) {
            (Family::V4, 4) => Ok(Ipv4Addr::from(self.array::<4>(record.data_at)?).into()),
            (Family::V6, 16) => Ok(Ipv6Addr::from(self.array::<16>(record.data_at)?).into()),
            _ => Err(Malformed),
        }
    }

    const fn labels(self, at: usize) -> Labels<'a> {
        Labels {
            bytes: self.bytes,
            at,
            start_at: at,
            bytes_left: 255,
        }
    }

    fn is_same_name(self, one_at: usize, other_at: usize) -> Result<bool, Malformed> {
        let (mut one, mut other) = (self.labels(one_at), self.labels(other_at));
        loop {
            let (label, other_label) = (one.next()?, other.next()?);
            if !label.eq_ignore_ascii_case(other_label) {
                return Ok(false);
            }
            if label.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Tells the place behind a name, without following where it points.
    fn skip_name(self, at: usize) -> Result<usize, Malformed> {
        let mut at = at;
        loop {
            let length = *self.bytes.get(at).ok_or(Malformed)?;
            let behind = at.saturating_add(1).saturating_add(usize::from(length));
            match length {
                0 => return Ok(behind),
                1..=0x3f => at = behind,
                0xc0..=0xff => return Ok(at.saturating_add(2)),
                0x40..=0xbf => return Err(Malformed),
            }
        }
    }
}

/// The labels of a name, pointers followed.
struct Labels<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the part of the name begins that is read now.
    start_at: usize,
    bytes_left: usize,
}

impl<'a> Labels<'a> {
    /// Reads the next label; the empty one is the end.
    fn next(&mut self) -> Result<&'a [u8], Malformed> {
        loop {
            let length = *self.bytes.get(self.at).ok_or(Malformed)?;
            match length {
                0..=0x3f => return self.take(usize::from(length)),
                0xc0..=0xff => self.jump(length)?,
                0x40..=0xbf => return Err(Malformed),
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let from = self.at.saturating_add(1);
        let to = from.saturating_add(length);
        self.bytes_left = self
            .bytes_left
            .checked_sub(length.saturating_add(1))
            .ok_or(Malformed)?;
        self.at = to;
        self.bytes.get(from..to).ok_or(Malformed)
    }

    /// Follows a pointer, which must lead before the part that it ends: each jump leaves less to jump to.
    fn jump(&mut self, high: u8) -> Result<(), Malformed> {
        let low = *self.bytes.get(self.at.saturating_add(1)).ok_or(Malformed)?;
        let target_at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
        if target_at >= self.start_at || target_at < HEADER_BYTES {
            return Err(Malformed);
        }
        self.at = target_at;
        self.start_at = target_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

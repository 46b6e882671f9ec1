//! A ring of bytes in front of a pipe: whole records, each with its end, written when the pipe can take them.
//!
//! The pipe's reader may hang just when there is much to say. What does not fit, or meets a pipe that is closed or fails, is
//! dropped in whole records and counted, and the count is told once records get through again. It must never block,
//! allocate after its start, or end the program. What waits when the program ends is tried once more and then lost. Limits: [`RING_BYTES`]. Tests: beside `log.rs`.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use watchdog_core::logfmt::LINE_BYTES_MAX;
use watchdog_core::time::{Instant, Millis, Utc};

/// Bytes that wait for the pipe at most. 16 KiB: a start with every variable faulty fits, and it is a quarter of
/// what the kernel's own pipe holds.
pub const RING_BYTES: usize = 16 * 1024;
/// First wait before a pipe that took nothing is tried again; doubled up to [`RETRY_MAX`].
const RETRY_FIRST: Millis = Millis::from_millis(20);
/// Longest wait before a pipe is tried again: once a second costs nothing, and a reader that is back has its lines soon.
const RETRY_MAX: Millis = Millis::from_secs(1);

/// Takes bytes, or says `WouldBlock`: standard output in the daemon, a script in tests.
pub type Sink = fn(&[u8]) -> io::Result<usize>;
/// A record, without its end, that tells how many were dropped.
pub type Account = heapless::Vec<u8, LINE_BYTES_MAX>;

/// The ring before one pipe.
#[derive(Debug)]
pub struct Ring {
    sink: Sink,
    /// The byte that ends a record and is nowhere inside one.
    end: u8,
    account_of: fn(u64, Utc) -> Account,
    bytes: VecDeque<u8>,
    /// Records dropped since the last account of them was laid into the ring.
    dropped: u64,
    /// The account in the ring, until the pipe has taken it: how many records it tells of, and how many bytes
    /// of the ring reach to its end.
    account: Option<(u64, usize)>,
    /// Whether the last byte that got through was inside a record.
    inside: bool,
    retry_at: Instant,
    retry_gap: Millis,
    /// When it was last written.
    flushed_at: Instant,
}

impl Ring {
    /// Makes an empty ring before `sink` for records that end with `end`.
    pub fn new(sink: Sink, end: u8, account_of: fn(u64, Utc) -> Account) -> Self {
        Self {
            sink,
            end,
            account_of,
            bytes: VecDeque::with_capacity(RING_BYTES),
            dropped: 0,
            account: None,
            inside: false,
            retry_at: Instant::ZERO,
            retry_gap: RETRY_FIRST,
            flushed_at: Instant::ZERO,
        }
    }

    /// Lays one record, without its end, into the ring, or counts it as dropped.
    pub fn push(&mut self, record: &[u8], wall: Utc) {
        self.settle_account(record.len().saturating_add(1), wall);
        // A record that came after dropped ones stands behind the account of them or nowhere.
        if self.dropped == 0 && self.append(record) {
            return;
        }
        // A burst of more than the ring holds is no reason to drop while somebody reads.
        self.flush(self.flushed_at, wall);
        if self.dropped > 0 || !self.append(record) {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Counts records as dropped that were lost before they came here.
    #[cfg(feature = "defmt")]
    pub const fn miss(&mut self, records: u64) {
        self.dropped = self.dropped.saturating_add(records);
    }

    /// Writes what the pipe takes now.
    pub fn flush(&mut self, now: Instant, wall: Utc) {
        self.flushed_at = now;
        if now < self.retry_at {
            return;
        }
        loop {
            self.settle_account(0, wall);
            let (front, _) = self.bytes.as_slices();
            if front.is_empty() {
                return;
            }
            match (self.sink)(front) {
                Ok(0) => return self.wait(now),
                Ok(written) => self.written(written),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return self.wait(now);
                }
                Err(_) => return self.fail(now),
            }
        }
    }

    /// Writes what the pipe takes now, whether or not it is time to try again: the last words.
    pub fn finish(&mut self, now: Instant, wall: Utc) {
        self.retry_at = Instant::ZERO;
        self.flush(now, wall);
    }

    /// Tells when [`Ring::flush`] has something to do again; none if nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.bytes.is_empty() || self.dropped > 0).then_some(self.retry_at)
    }

    fn append(&mut self, record: &[u8]) -> bool {
        let bytes = record.len().saturating_add(1);
        if self.bytes.len().saturating_add(bytes) > RING_BYTES {
            return false;
        }
        self.bytes.extend(record);
        self.bytes.push_back(self.end);
        true
    }

    /// Lays the account of what was dropped into the ring, if it and `bytes` more fit and none is there already.
    fn settle_account(&mut self, bytes: usize, wall: Utc) {
        if self.dropped == 0 || self.account.is_some() {
            return;
        }
        let record = (self.account_of)(self.dropped, wall);
        let needed = record.len().saturating_add(1).saturating_add(bytes);
        if self.bytes.len().saturating_add(needed) <= RING_BYTES && self.append(&record) {
            self.account = Some((self.dropped, self.bytes.len()));
            self.dropped = 0;
        }
    }

    fn written(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes.len());
        if let Some(last) = self.bytes.drain(..bytes).next_back() {
            self.inside = last != self.end;
        }
        self.account = self.account.and_then(|(records, end)| {
            let end = end.saturating_sub(bytes);
            (end > 0).then_some((records, end))
        });
        self.retry_gap = RETRY_FIRST;
    }

    fn wait(&mut self, now: Instant) {
        self.retry_at = now.after(self.retry_gap);
        self.retry_gap = self.retry_gap.times(2).min(RETRY_MAX);
    }

    /// Drops all that waits: a pipe that fails does not tell how much of it would ever be read.
    fn fail(&mut self, now: Instant) {
        let ends = self.bytes.iter().filter(|byte| **byte == self.end).count();
        // Neither the account of earlier drops nor a lone end is a record that anyone misses.
        let own = usize::from(self.account.is_some()) + usize::from(self.bytes.front() == Some(&self.end));
        let records = u64::try_from(ends.saturating_sub(own)).unwrap_or(u64::MAX);
        let told = self.account.take().map_or(0, |(records, _)| records);
        self.dropped = self.dropped.saturating_add(records).saturating_add(told);
        self.bytes.clear();
        if self.inside {
            // Whatever gets through next must not be glued to the half record before it.
            self.bytes.push_back(self.end);
        }
        self.retry_gap = RETRY_MAX;
        self.retry_at = now.after(RETRY_MAX);
    }
}

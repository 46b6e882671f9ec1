//! The log: logfmt lines on standard output, through a fixed ring that never makes the loop wait.
//!
//! Standard output may be a pipe whose reader hangs just when there is much to say, so lines are laid into a ring and
//! written when the pipe can take them. What does not fit, or meets a pipe that is closed or fails, is dropped in whole
//! lines and counted, and the count is told once lines get through again. It must never block, allocate after its
//! start, or end the program. Limits: [`RING_BYTES`]. Tests: beside the code, and `daemon/tests/program/stdout.rs` with the real
//! program before a pipe that nobody reads and one that is closed.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use watchdog_core::logfmt::Line;
use watchdog_core::net::Level;
use watchdog_core::time::{Instant, Millis, Utc};

/// Bytes that wait for standard output at most. 16 KiB: a start with every variable faulty fits, and it is a quarter of
/// what the kernel's own pipe holds.
pub const RING_BYTES: usize = 16 * 1024;
/// First wait before a pipe that took nothing is tried again; doubled up to [`RETRY_MAX`].
const RETRY_FIRST: Millis = Millis::from_millis(20);
/// Longest wait before a pipe is tried again: once a second costs nothing, and a reader that is back has its lines soon.
const RETRY_MAX: Millis = Millis::from_secs(1);

/// Takes bytes, or says `WouldBlock`: standard output in the daemon, a script in tests.
pub type Sink = fn(&[u8]) -> io::Result<usize>;

/// The ring before standard output.
#[derive(Debug)]
pub struct Log {
    level: Level,
    sink: Sink,
    ring: VecDeque<u8>,
    /// Lines dropped since the last account of them was laid into the ring.
    dropped: u64,
    /// The account in the ring, until standard output has taken it: how many lines it tells of, and how many bytes
    /// of the ring reach to its end.
    account: Option<(u64, usize)>,
    /// Whether the last byte that got through was inside a line.
    inside_line: bool,
    retry_at: Instant,
    retry_gap: Millis,
    /// When it was last written.
    flushed_at: Instant,
    wall: Utc,
}

impl Log {
    /// Makes an empty ring before `sink` that passes lines of `level` and above.
    pub fn new(level: Level, sink: Sink) -> Self {
        Self {
            level,
            sink,
            ring: VecDeque::with_capacity(RING_BYTES),
            dropped: 0,
            account: None,
            inside_line: false,
            retry_at: Instant::ZERO,
            retry_gap: RETRY_FIRST,
            flushed_at: Instant::ZERO,
            wall: Utc::default(),
        }
    }

    /// Notes the wall clock, for the lines that the daemon itself writes.
    pub const fn set_wall(&mut self, wall: Utc) {
        self.wall = wall;
    }

    /// Lays one line, without its end, into the ring, or counts it as dropped.
    pub fn push(&mut self, level: Level, line: &str) {
        if level > self.level {
            return;
        }
        self.settle_account(line.len().saturating_add(1));
        // A line that came after dropped ones stands behind the account of them or nowhere.
        if self.dropped == 0 && self.append(line) {
            return;
        }
        // A burst of more than the ring holds is no reason to drop while somebody reads.
        self.flush(self.flushed_at);
        if self.dropped > 0 || !self.append(line) {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Lays one line into the ring whatever its level: an event is what all this is for.
    pub fn push_event(&mut self, line: &str) {
        self.push(Level::Error, line);
    }

    /// Begins a line of the daemon's own, to be handed to [`Log::push`].
    pub fn line(&self, level: Level) -> Line {
        Line::new(self.wall, level)
    }

    /// Writes what standard output takes now.
    pub fn flush(&mut self, now: Instant) {
        self.flushed_at = now;
        if now < self.retry_at {
            return;
        }
        loop {
            self.settle_account(0);
            let (front, _) = self.ring.as_slices();
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

    /// Writes what standard output takes now, whether or not it is time to try again: the last words.
    pub fn finish(&mut self, now: Instant) {
        self.retry_at = Instant::ZERO;
        self.flush(now);
    }

    /// Tells when [`Log::flush`] has something to do again; none if nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.ring.is_empty() || self.dropped > 0).then_some(self.retry_at)
    }

    fn append(&mut self, line: &str) -> bool {
        let bytes = line.len().saturating_add(1);
        if self.ring.len().saturating_add(bytes) > RING_BYTES {
            return false;
        }
        self.ring.extend(line.as_bytes());
        self.ring.push_back(b'\n');
        true
    }

    /// Lays the account of what was dropped into the ring, if it and `bytes` more fit and none is there already.
    fn settle_account(&mut self, bytes: usize) {
        if self.dropped == 0 || self.account.is_some() {
            return;
        }
        let mut line = self.line(Level::Warn);
        let line = line
            .pair("event", "log_dropped")
            .pair("lines", self.dropped)
            .as_str();
        let needed = line.len().saturating_add(1).saturating_add(bytes);
        if self.ring.len().saturating_add(needed) <= RING_BYTES && self.append(line) {
            self.account = Some((self.dropped, self.ring.len()));
            self.dropped = 0;
        }
    }

    fn written(&mut self, bytes: usize) {
        let bytes = bytes.min(self.ring.len());
        if let Some(last) = self.ring.drain(..bytes).next_back() {
            self.inside_line = last != b'\n';
        }
        self.account = self.account.and_then(|(lines, end)| {
            let end = end.saturating_sub(bytes);
            (end > 0).then_some((lines, end))
        });
        self.retry_gap = RETRY_FIRST;
    }

    fn wait(&mut self, now: Instant) {
        self.retry_at = now.after(self.retry_gap);
        self.retry_gap = self.retry_gap.times(2).min(RETRY_MAX);
    }

    /// Drops all that waits: a pipe that fails does not tell how much of it would ever be read.
    fn fail(&mut self, now: Instant) {
        let ends = self.ring.iter().filter(|byte| **byte == b'\n').count();
        // Neither the account of earlier drops nor a lone line end is a line that anyone misses.
        let own = usize::from(self.account.is_some()) + usize::from(self.ring.front() == Some(&b'\n'));
        let lines = u64::try_from(ends.saturating_sub(own)).unwrap_or(u64::MAX);
        let told = self.account.take().map_or(0, |(lines, _)| lines);
        self.dropped = self.dropped.saturating_add(lines).saturating_add(told);
        self.ring.clear();
        if self.inside_line {
            // Whatever gets through next must not be glued to the half line before it.
            self.ring.push_back(b'\n');
        }
        self.retry_gap = RETRY_MAX;
        self.retry_at = now.after(RETRY_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(Clone, Copy)]
    enum Pipe {
        Takes(usize),
        Full,
        Broken,
    }

    thread_local! {
        static PIPE: RefCell<(Pipe, Vec<u8>)> = const { RefCell::new((Pipe::Full, Vec::new())) };
    }

    fn sink(bytes: &[u8]) -> io::Result<usize> {
        PIPE.with_borrow_mut(|(pipe, read)| match pipe {
            Pipe::Takes(most) => {
                let taken = bytes.len().min(*most);
                read.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
            Pipe::Full => Err(ErrorKind::WouldBlock.into()),
            Pipe::Broken => Err(ErrorKind::BrokenPipe.into()),
        })
    }

    fn becomes(pipe: Pipe) {
        PIPE.with_borrow_mut(|state| state.0 = pipe);
    }

    fn read() -> String {
        PIPE.with_borrow_mut(|state| String::from_utf8(std::mem::take(&mut state.1)).unwrap())
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn lines_get_through_in_order_however_little_the_pipe_takes() {
        becomes(Pipe::Takes(7));
        let mut log = Log::new(Level::Info, sink);
        log.push(Level::Info, "first line");
        log.push(Level::Debug, "below the level");
        log.push(Level::Error, "second line");
        log.flush(at(0));
        assert_eq!(read(), "first line\nsecond line\n");
        assert_eq!(log.deadline(), None);
    }

    /// A burst of more than the ring holds, between two turns of the loop, loses nothing while somebody reads.
    #[test]
    fn a_burst_gets_through_while_somebody_reads() {
        becomes(Pipe::Takes(4096));
        let mut log = Log::new(Level::Info, sink);
        log.flush(at(1));
        let line = "x".repeat(99);
        for _ in 0..1000 {
            log.push(Level::Info, &line);
        }
        log.flush(at(1));
        assert_eq!(read().lines().count(), 1000);
    }

    #[test]
    fn a_full_pipe_costs_whole_lines_and_the_account_of_them_comes_before_what_follows() {
        becomes(Pipe::Full);
        let mut log = Log::new(Level::Info, sink);
        let line = "x".repeat(999);
        for _ in 0..20 {
            log.push(Level::Info, &line);
            log.flush(at(0));
        }
        // 16 lines of 1000 bytes fit into 16 KiB.
        assert!(log.deadline().is_some_and(|when| when > at(0)));
        becomes(Pipe::Takes(4096));
        log.push(Level::Info, "late");
        log.flush(at(5));
        log.push(Level::Info, "after");
        log.flush(at(5));
        let text = read();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[..16].iter().all(|shown| *shown == line));
        assert!(lines[16].ends_with("event=log_dropped lines=4"), "{}", lines[16]);
        assert_eq!(lines[17..], ["late", "after"]);
    }

    #[test]
    fn a_broken_pipe_counts_every_line_once_however_often_it_is_tried() {
        becomes(Pipe::Broken);
        let mut log = Log::new(Level::Info, sink);
        for second in 0..30 {
            log.push(Level::Info, "lost");
            log.flush(at(second * 2));
        }
        becomes(Pipe::Takes(4096));
        log.flush(at(100));
        assert!(read().ends_with("event=log_dropped lines=30\n"));
        log.flush(at(200));
        assert_eq!((read().as_str(), log.deadline()), ("", None));
    }

    #[test]
    fn a_line_cut_by_a_breaking_pipe_is_ended_before_the_next_one() {
        becomes(Pipe::Takes(4));
        let mut log = Log::new(Level::Info, |bytes| {
            let taken = sink(bytes);
            becomes(Pipe::Broken);
            taken
        });
        log.push(Level::Info, "half a line");
        log.flush(at(0));
        becomes(Pipe::Takes(4096));
        log.sink = sink;
        log.flush(at(10));
        let text = read();
        assert!(
            text.starts_with("half\nts=") && text.ends_with("lines=1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_pipe_that_stays_full_is_tried_less_and_less_often() {
        becomes(Pipe::Full);
        let mut log = Log::new(Level::Info, sink);
        log.push(Level::Info, "waits");
        let mut now = Instant::ZERO;
        let mut tries = 0;
        while now < at(60) {
            log.flush(now);
            now = log.deadline().unwrap();
            tries += 1;
        }
        assert!(tries < 70, "{tries} tries in a minute");
        becomes(Pipe::Takes(4096));
        log.finish(now);
        assert_eq!(read(), "waits\n");
    }
}

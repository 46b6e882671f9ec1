//! The log: logfmt lines on standard output and, with the feature `defmt`, the same as frames on standard error.
//!
//! Lines are laid into a [`Ring`], so that nothing here waits, allocates after its start or ends the program, whatever
//! standard output does. Tests: beside the code, and `daemon/tests/program/stdout.rs` with the real program before a pipe
//! that nobody reads and one that is closed.

use watchdog_core::logfmt::Line;
use watchdog_core::net::Level;
use watchdog_core::time::{Instant, Utc};

#[cfg(feature = "defmt")]
use crate::frames;
use crate::ring::{Account, Ring, Sink};

/// The log's lines, and the ring in front of what takes them.
#[derive(Debug)]
pub struct Log {
    level: Level,
    lines: Ring,
    /// The same as frames, if somebody takes them.
    #[cfg(feature = "defmt")]
    frames: Option<Ring>,
    wall: Utc,
}

impl Log {
    /// Makes an empty log before `sink` that passes lines of `level` and above.
    pub fn new(level: Level, sink: Sink) -> Self {
        Self {
            level,
            lines: Ring::new(sink, b'\n', account),
            #[cfg(feature = "defmt")]
            frames: None,
            wall: Utc::default(),
        }
    }

    /// Gives whatever is logged to `sink` too, as frames.
    #[cfg(feature = "defmt")]
    pub fn with_frames(mut self, sink: Sink) -> Self {
        self.frames = Some(Ring::new(sink, frames::END, frames::account));
        self
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
        self.lines.push(line.as_bytes(), self.wall);
        #[cfg(feature = "defmt")]
        {
            frames::line(level, line);
            self.push_frames();
        }
    }

    /// Lays one line into the ring whatever its level: an event is what all this is for.
    pub fn push_event(&mut self, line: &str) {
        self.lines.push(line.as_bytes(), self.wall);
        // The machine itself has made the event's frame.
        #[cfg(feature = "defmt")]
        self.push_frames();
    }

    /// Begins a line of the daemon's own, to be handed to [`Log::push`].
    pub fn line(&self, level: Level) -> Line {
        Line::new(self.wall, level)
    }

    /// Writes what is taken now.
    pub fn flush(&mut self, now: Instant) {
        self.lines.flush(now, self.wall);
        #[cfg(feature = "defmt")]
        if let Some(frames) = &mut self.frames {
            frames.flush(now, self.wall);
        }
    }

    /// Writes what is taken now, whether or not it is time to try again: the last words.
    pub fn finish(&mut self, now: Instant) {
        self.lines.finish(now, self.wall);
        #[cfg(feature = "defmt")]
        if let Some(frames) = &mut self.frames {
            frames.finish(now, self.wall);
        }
    }

    /// Tells when [`Log::flush`] has something to do again; none if nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        #[cfg(feature = "defmt")]
        let frames = self.frames.as_ref().and_then(Ring::deadline);
        #[cfg(not(feature = "defmt"))]
        let frames = None;
        [self.lines.deadline(), frames].into_iter().flatten().min()
    }

    #[cfg(feature = "defmt")]
    fn push_frames(&mut self) {
        let Some(ring) = &mut self.frames else {
            return;
        };
        let lost = frames::take(|frame| ring.push(frame, self.wall));
        ring.miss(lost);
    }
}

/// Tells of lines that were dropped.
fn account(dropped: u64, wall: Utc) -> Account {
    let mut line = Line::new(wall, Level::Warn);
    line.pair("event", "log_dropped").pair("lines", dropped);
    Account::from_slice(line.as_str().as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::io::{self, ErrorKind};

    #[derive(Clone, Copy)]
    enum Pipe {
        Takes(usize),
        TakesAndBreaks(usize),
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
            Pipe::TakesAndBreaks(most) => {
                read.extend_from_slice(&bytes[..*most]);
                let taken = *most;
                *pipe = Pipe::Broken;
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
        becomes(Pipe::TakesAndBreaks(4));
        let mut log = Log::new(Level::Info, sink);
        log.push(Level::Info, "half a line");
        log.flush(at(0));
        becomes(Pipe::Takes(4096));
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

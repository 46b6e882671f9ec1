//! The log once more as defmt frames (feature `defmt`): composed here, carried by `log.rs`, read by `defmt-print`.
//!
//! A frame holds the number of a format string and its arguments; the strings stay in the binary that was built. What the
//! machine in core logs of a signal it composes itself; every other line of the log becomes a frame with its text. A frame goes
//! as a whole or not at all. Nothing here waits or fails: a frame that is too long, one too many before they are taken, or
//! one begun inside another is dropped and counted. Each thread composes on its own, and only the loop's thread logs. Limits:
//! [`FRAMES_BYTES`]. Test: `tests/frames/tests/decoded.rs` decodes what the real binary writes.

use std::cell::RefCell;
use std::mem;

use watchdog_core::net::Level;
use watchdog_core::time::Utc;

use crate::event_loop::Clock;
use crate::ring::Account;

/// The byte that ends a frame: the encoding has no other zero.
pub const END: u8 = 0;
/// Bytes of the frames that are composed and not taken yet. They are taken after each; the longest, with a line of the log
/// in it, has some 800.
const FRAMES_BYTES: usize = 2048;

// Seconds, as in the log's lines; 32 bits last until 2106.
defmt::timestamp!(
    "{=u32:iso8601s}",
    u32::try_from(Clock::wall().seconds()).unwrap_or(0)
);

/// Begins a frame: what the global logger is asked for first.
pub fn begin() {
    compose(|composer| {
        composer.depth = composer.depth.saturating_add(1);
        if composer.depth == 1 {
            composer.begun = composer.frames.len();
            composer.fits = true;
            composer.encode(|encoder, write| encoder.start_frame(write));
        }
    });
}

/// Adds to the frame.
pub fn add(bytes: &[u8]) {
    compose(|composer| {
        if composer.depth == 1 {
            composer.encode(|encoder, write| encoder.write(bytes, write));
        }
    });
}

/// Ends the frame: it stays if all of it fitted.
pub fn end() {
    compose(|composer| {
        let is_outermost = composer.depth == 1;
        composer.depth = composer.depth.saturating_sub(1);
        if is_outermost {
            composer.encode(|encoder, write| encoder.end_frame(write));
            if composer.fits {
                return;
            }
            composer.frames.truncate(composer.begun);
        }
        composer.lost = composer.lost.saturating_add(1);
    });
}

/// Makes a frame of a line of the log, without the time and the level, which every frame has.
pub fn line(level: Level, line: &str) {
    let text = line.splitn(3, ' ').nth(2).unwrap_or(line);
    match level {
        Level::Error => defmt::error!("{=str}", text),
        Level::Warn => defmt::warn!("{=str}", text),
        Level::Info => defmt::info!("{=str}", text),
        Level::Debug => defmt::debug!("{=str}", text),
    }
}

/// Hands out the frames that were composed, each without its end, and tells how many were lost.
pub fn take(each: impl FnMut(&[u8])) -> u64 {
    let mut taken = (heapless::Vec::new(), 0);
    compose(|composer| {
        taken = (mem::take(&mut composer.frames), mem::take(&mut composer.lost));
    });
    let (frames, lost) = taken;
    frames
        .split(|byte| *byte == END)
        .filter(|frame| !frame.is_empty())
        .for_each(each);
    lost
}

/// Tells of frames that were dropped.
pub fn account(dropped: u64, _wall: Utc) -> Account {
    defmt::warn!("event=log_dropped frames={=u64}", dropped);
    let mut account = Account::new();
    take(|frame| account = Account::from_slice(frame).unwrap_or_default());
    account
}

struct Composer {
    encoder: defmt::Encoder,
    /// Whole frames, each with its end, and behind them the one in the making.
    frames: heapless::Vec<u8, FRAMES_BYTES>,
    /// How many are begun and not ended: a format that logs while it is being formatted begins one inside another.
    depth: u8,
    /// Where the one in the making begins.
    begun: usize,
    /// Whether it still fits.
    fits: bool,
    lost: u64,
}

impl Composer {
    fn encode(&mut self, step: impl FnOnce(&mut defmt::Encoder, &mut dyn FnMut(&[u8]))) {
        let Self {
            encoder,
            frames,
            fits,
            ..
        } = self;
        step(encoder, &mut |bytes| {
            *fits &= frames.extend_from_slice(bytes).is_ok()
        });
    }
}

thread_local! {
    static COMPOSER: RefCell<Composer> = const {
        RefCell::new(Composer {
            encoder: defmt::Encoder::new(),
            frames: heapless::Vec::new(),
            depth: 0,
            begun: 0,
            fits: true,
            lost: 0,
        })
    };
}

/// Every step borrows for itself, and none logs: it is never borrowed already.
fn compose(step: impl FnOnce(&mut Composer)) {
    let _ = COMPOSER.try_with(|composer| composer.try_borrow_mut().map(|mut composer| step(&mut composer)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> (Vec<Vec<u8>>, u64) {
        let mut frames = Vec::new();
        let lost = take(|frame| frames.push(frame.to_vec()));
        (frames, lost)
    }

    /// A frame begun inside another is left out and counted, and the outer one is as it would be without.
    #[test]
    fn a_frame_inside_another_is_counted() {
        let compose = |inside: &dyn Fn()| {
            begin();
            add(&[1, 0, 9]);
            inside();
            add(&[7]);
            end();
        };
        compose(&|| {});
        compose(&|| compose(&|| compose(&|| {})));
        let (frames, lost) = taken();
        assert_eq!((frames.len(), lost), (2, 2));
        assert_eq!(frames[0], frames[1]);
    }

    /// What does not fit costs its own frame, whole, and is counted.
    #[test]
    fn a_frame_that_does_not_fit_is_counted() {
        for length in [10, FRAMES_BYTES, 10] {
            begin();
            add(&vec![1; length]);
            end();
        }
        let (frames, lost) = taken();
        assert_eq!((frames.len(), lost), (2, 1));
        assert_eq!(taken(), (Vec::new(), 0));
    }
}

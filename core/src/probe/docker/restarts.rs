//! How often a container restarted of late: three times are kept, however many there were.

use crate::limits::{RESTARTS_MAX, RESTARTS_WINDOW};
use crate::time::{Instant, Millis};

/// The restarts of one container.
#[derive(Clone, Debug)]
pub(super) struct Restarts {
    /// The latest ones, the oldest first; what was never filled is [`Instant::ZERO`].
    latest: [Instant; RESTARTS_MAX],
    /// Restarts since `began`.
    count: u64,
    /// When the run of restarts began of which none came later than the window after the one before.
    began: Instant,
}

impl Restarts {
    /// No restarts: all zero bits.
    pub(super) const NONE: Self = Self {
        latest: [Instant::ZERO; RESTARTS_MAX],
        count: 0,
        began: Instant::ZERO,
    };

    /// Counts restarts that were noticed now and had not happened at `before`.
    pub(super) fn add(&mut self, count: u64, before: Instant, now: Instant) {
        // Of several restarts in a longer time only the last is known to be recent.
        let count = if now.since(before) > RESTARTS_WINDOW {
            count.min(1)
        } else {
            count
        };
        if count == 0 {
            return;
        }
        if self.is_over(now) {
            self.count = 0;
            self.began = if now.since(before) > RESTARTS_WINDOW {
                now
            } else {
                before
            };
        }
        self.count = self.count.saturating_add(count);
        for _ in 0..count.min(RESTARTS_MAX as u64) {
            self.latest.rotate_left(1);
            if let Some(last) = self.latest.last_mut() {
                *last = now;
            }
        }
    }

    /// Takes over the restarts of the one before it, if these go on from there.
    pub(super) fn follow(&mut self, gone: &Self) {
        if self.count == 0 {
            *self = gone.clone();
        } else if !gone.is_over(self.began) {
            let own = usize::try_from(self.count)
                .unwrap_or(RESTARTS_MAX)
                .min(RESTARTS_MAX);
            let free = RESTARTS_MAX.saturating_sub(own);
            let newest = gone.latest.iter().skip(own);
            for (place, at) in self.latest.iter_mut().take(free).zip(newest) {
                *place = *at;
            }
            self.count = self.count.saturating_add(gone.count);
            self.began = gone.began;
        }
    }

    /// Tells how many there were and in what time, if they are as many as [`RESTARTS_MAX`] within the window.
    pub(super) fn too_many(&self, now: Instant) -> Option<(u64, Millis)> {
        let oldest = self.latest.first()?;
        let newest = self.latest.last()?;
        (self.count >= RESTARTS_MAX as u64 && now.since(*oldest) < RESTARTS_WINDOW)
            .then(|| (self.count, newest.since(self.began)))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.latest
            .last()
            .is_none_or(|newest| now.since(*newest) >= RESTARTS_WINDOW)
            || self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO.after(Millis::from_secs(seconds))
    }

    #[test]
    fn the_third_within_the_window_counts_and_not_before() {
        // Three restarts, one a tick, from the 1000th second on.
        let mut restarts = Restarts::NONE;
        for second in [1000, 1015] {
            restarts.add(1, at(second - 15), at(second));
            assert_eq!(restarts.too_many(at(second)), None);
        }
        restarts.add(1, at(1015), at(1030));
        assert_eq!(restarts.too_many(at(1030)), Some((3, Millis::from_secs(45))));
        // It stays so for as long as the oldest of three is inside the window, and no longer.
        assert!(restarts.too_many(at(1599)).is_some());
        assert_eq!(restarts.too_many(at(1600)), None);
    }

    #[test]
    fn many_at_once_count_in_full() {
        let mut restarts = Restarts::NONE;
        restarts.add(5, at(985), at(1000));
        assert_eq!(restarts.too_many(at(1000)), Some((5, Millis::from_secs(15))));
        restarts.add(u64::MAX, at(1000), at(1015));
        assert_eq!(
            restarts.too_many(at(1015)).map(|(count, _)| count),
            Some(u64::MAX)
        );
    }

    #[test]
    fn of_restarts_in_an_unwatched_time_one_is_recent() {
        let mut restarts = Restarts::NONE;
        restarts.add(9, at(0), at(90_000));
        assert_eq!(restarts.too_many(at(90_000)), None);
    }

    #[test]
    fn a_window_of_quiet_begins_a_new_run() {
        let mut restarts = Restarts::NONE;
        restarts.add(2, at(90), at(100));
        restarts.add(2, at(790), at(800));
        assert_eq!(restarts.too_many(at(800)), None, "two and two, 700 s apart");
        restarts.add(1, at(800), at(810));
        assert_eq!(restarts.too_many(at(810)), Some((3, Millis::from_secs(20))));
    }

    #[test]
    fn what_came_before_and_goes_on_is_followed_up() {
        let run = |seconds: &[u64]| {
            let mut restarts = Restarts::NONE;
            for second in seconds {
                restarts.add(1, at(second - 15), at(*second));
            }
            restarts
        };
        let follow = |gone: &[u64], own: &[u64], now: u64| {
            let mut restarts = run(own);
            restarts.follow(&run(gone));
            restarts.too_many(at(now)).map(|(count, _)| count)
        };
        assert_eq!(follow(&[], &[100, 110, 120], 130), Some(3));
        assert_eq!(follow(&[100, 110, 120], &[], 130), Some(3));
        assert_eq!(follow(&[100], &[110, 120], 130), Some(3));
        assert_eq!(follow(&[100, 110], &[120], 130), Some(3));
        assert_eq!(follow(&[100, 110, 120], &[130, 140, 150, 160], 170), Some(7));
        // One that is of long ago is none of these.
        assert_eq!(follow(&[100], &[1_110, 1_120], 1_130), None);
    }

    #[test]
    fn none_at_the_start_of_time_is_none() {
        assert_eq!(Restarts::NONE.too_many(Instant::ZERO), None);
    }
}

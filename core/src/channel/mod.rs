//! Where messages go: each channel with its own account of what was delivered.

pub mod alertmanager;
pub mod heartbeat;
pub mod post;
pub mod reply;
pub mod telegram;

use crate::random::Random;
use crate::time::Millis;

/// First and longest wait after a failure.
const BACK_OFF_MIN: Millis = Millis::from_secs(1);
const BACK_OFF_MAX: Millis = Millis::from_secs(60);

/// Tells how long a channel waits after so many failures in a row before the last one: doubled from failure to failure.
fn back_off(failures: u32) -> Millis {
    let factor = 1_u64.checked_shl(failures.min(16)).unwrap_or(u64::MAX);
    BACK_OFF_MIN.times(factor).min(BACK_OFF_MAX)
}

/// Adds up to a quarter, so that many that failed together do not try again together.
fn jittered(wait: Millis, random: &mut Random) -> Millis {
    wait.plus(Millis::from_millis(random.below(wait.as_millis() / 4)))
}

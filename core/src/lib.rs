//! The watchdog's machine: everything but its sockets, files and clocks.
//!
//! No std, no allocation, no unsafe code, no input or output: bytes and times come in, wishes go out. Two ways to use it.
//!
//! [`decide`](mod@decide) alone turns what was seen of a signal into what is to be said of it. Three signals, looked at
//! every fifteen seconds, of which the second fires on its third bad look:
//!
//! ```
//! use watchdog_core::decide::{Event, Policy, Raise, State, decide};
//! use watchdog_core::signal::Observation::{self, Active, Clear, Unknown};
//! use watchdog_core::time::{Instant, Millis};
//!
//! let interval = Millis::from_secs(15);
//! let cooldown = Some(Millis::from_secs(4 * 3600));
//! let flap_window = Millis::from_secs(1800);
//! let policy =
//!     Policy { interval, raise: Raise::Ticks(3), clear_ticks: 2, cooldown, flap_changes: 6, flap_window };
//! let mut states = [State::NEW; 3];
//! let looks: [[Observation; 3]; 3] = [[Clear, Active, Unknown], [Clear, Active, Active], [Active, Active, Unknown]];
//! let mut fired = [false; 3];
//! for (tick, look) in (1..).zip(looks) {
//!     let now = Instant::ZERO.after(interval.times(tick));
//!     for (place, seen) in look.into_iter().enumerate() {
//!         let (next, event) = decide(seen, &states[place], now, &policy);
//!         states[place] = next;
//!         fired[place] |= matches!(event, Some(Event::Firing { checks: 3, .. }));
//!     }
//! }
//! assert_eq!(fired, [false, true, false]);
//! ```
//!
//! [`watchdog::Watchdog`] is the whole: it asks for connections and files and says what to log. `examples/by_hand.rs`
//! drives it without an operating system's help. With the feature `defmt` the public types can be logged by it, but for those that
//! hold readers and buffers, and the machine logs each event of a signal.
#![no_std]
#![forbid(unsafe_code)]

pub mod channel;
pub mod config;
pub mod decide;
pub mod delivery;
pub mod digest;
pub mod exchange;
#[cfg(feature = "defmt")]
mod frames;
pub mod json;
pub mod limits;
pub mod logfmt;
pub mod net;
pub mod planted;
pub mod policy;
pub mod probe;
pub mod random;
pub mod rule;
pub mod signal;
pub mod status;
pub mod table;
pub mod text;
pub mod time;
pub mod watchdog;
pub mod wire;

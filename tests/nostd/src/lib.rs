//! The core alone in a static library, with the least that a program without an operating system must bring.
//!
//! It links because nothing in it needs std (whose panic handler would clash with this one) or an allocator (whose
//! symbols nobody provides). `check.sh` also looks the symbols through. With the feature `planted` it must not link.
#![no_std]

use core::panic::PanicInfo;

use watchdog_core::config::Config;
use watchdog_core::net::Input;
use watchdog_core::time::Instant;
use watchdog_core::watchdog::{Mode, Watchdog};

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

static CONFIG: Config = Config::EMPTY;

/// Drives the whole machine once, so that all of it is linked in.
#[unsafe(no_mangle)]
pub fn turn(watchdog: &mut Watchdog<'static>, millis: u64) -> u64 {
    let now = Instant::from_millis(millis);
    watchdog.start(now, &CONFIG, 1, Mode::Run);
    watchdog.handle(now, Input::Time);
    let mut wishes = 0;
    while watchdog.poll(now).is_some() {
        wishes += 1;
    }
    wishes
}

#[cfg(feature = "planted")]
mod planted {
    extern crate alloc;

    /// Allocates, as the core never must.
    #[unsafe(no_mangle)]
    pub fn allocate(length: usize) -> usize {
        alloc::vec![0_u8; core::hint::black_box(length)].len()
    }
}

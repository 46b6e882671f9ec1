//! What is large and static must be all zero bits at the start, or the binary carries it byte by byte: one `None` that is not
//! zero is enough. The linker knows: it puts into `.bss` what is zero, and everything else in front of that.

#![cfg(target_os = "linux")]

use std::sync::Mutex;

use watchdog_core::config::Config;
use watchdog_core::watchdog::Watchdog;

static CONFIG: Mutex<Config> = Mutex::new(Config::EMPTY);
static WATCHDOG: Mutex<Watchdog<'static>> = Mutex::new(Watchdog::new());
static NOT_ZERO: Mutex<u64> = Mutex::new(1);

unsafe extern "C" {
    /// Where `.bss` begins, as GNU's linkers and LLVM's name it.
    static __bss_start: u8;
}

fn is_in_bss<T>(value: &'static T) -> bool {
    let start = &raw const __bss_start;
    (&raw const *value).addr() >= start.addr()
}

#[test]
fn the_configuration_costs_no_bytes_in_the_binary() {
    assert!(is_in_bss(&CONFIG));
    // And the test can tell.
    assert!(!is_in_bss(&NOT_ZERO));
}

#[test]
fn the_whole_machine_costs_no_bytes_in_the_binary() {
    assert!(is_in_bss(&WATCHDOG));
}

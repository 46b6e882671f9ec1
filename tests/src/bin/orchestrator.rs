//! The watchdog.
fn main() {}

//! Nothing but its test: see `tests/found.rs`.

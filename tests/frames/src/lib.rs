//! Nothing but its test: see `tests/decoded.rs`.

//! The watchdog's machine: everything but its sockets, files and clocks.
//!
//! No std, no allocation, no unsafe code, no input or output: bytes and times come in, wishes go out.
#![no_std]
#![forbid(unsafe_code)]

pub mod channel;
pub mod config;
pub mod decide;
pub mod delivery;
pub mod digest;
pub mod exchange;
pub mod json;
pub mod limits;
pub mod logfmt;
pub mod net;
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

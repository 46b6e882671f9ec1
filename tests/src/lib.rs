//! Fakes for faults, and what the end-to-end tests share.
//!
//! - [`fake`]: what the watchdog talks to, each part scripted by the test and recording what it got.
//! - [`harness`]: the real binary as a child process, its lines, its memory, its end.
//! - [`engine`]: a real Docker Engine, and containers in it to break.
//! - [`envelope`], [`html`], [`logfmt`]: the formats of CONTRACTS 3 and 6, read and written independently of the program.
//! - [`world`]: the very machine that ships in virtual time and hostile weather, and what it should have said.
//! - [`strace`]: a run with its system calls recorded or made to fail.
//!
//! Nothing here uses a fixed port, sleeps where it could wait for a condition, or ends a process that it did not start.

pub mod engine;
pub mod envelope;
pub mod fake;
pub mod harness;
pub mod html;
pub mod logfmt;
pub mod strace;
pub mod world;

//! Tests of the real program, started as a process of its own.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod common;
#[cfg(test)]
mod failing_calls;
#[cfg(test)]
mod stdout;

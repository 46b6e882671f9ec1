//! Layer.
pub mod host;

//! Where messages go: each channel with its own account of what was delivered.

pub mod alertmanager;
pub mod heartbeat;
pub mod post;
pub mod reply;
pub mod telegram;

//! What is asked, and how an answer becomes observations.

pub mod dependency;
pub mod docker;
pub mod host;
pub mod orchestrator;

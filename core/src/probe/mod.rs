//! What is asked, and how an answer becomes observations.

pub mod host;
pub mod orchestrator;

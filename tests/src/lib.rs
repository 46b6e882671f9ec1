//! Fakes for faults, and what the end-to-end tests share.

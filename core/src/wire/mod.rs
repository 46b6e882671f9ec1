//! Codecs and protocol machines: bytes in, meaning out, and back. They know nothing of probes and channels.

pub mod certificate;
pub mod dns;
pub mod http;
pub mod proxy;

//! What the watchdog talks to, each scripted by the test, on a port or path of its own, recording what it got.

pub mod dependency;
pub mod dns;
pub mod engine;
pub mod http;
pub mod orchestrator;
pub mod proxy;
pub mod server;
pub mod telegram;
pub mod tls;

pub use dependency::{FakeHttp, FakeSocket};
pub use dns::FakeDns;
pub use engine::{Container, FakeEngine};
pub use http::{Answer, Request};
pub use orchestrator::FakeOrchestrator;
pub use proxy::FakeProxy;
pub use telegram::{FakeTelegram, TelegramAnswer};
pub use tls::FakeHttps;

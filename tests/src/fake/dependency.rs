//! Dependencies: an HTTP server like the orchestrator's, and sockets that only accept.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server::{Handler, Server};

/// An HTTP dependency: every answer is the test's.
pub type FakeHttp = super::orchestrator::FakeOrchestrator;

/// A TCP or unix socket that accepts, and records what is sent to it: for a connect probe that must be nothing.
pub struct FakeSocket {
    server: Server,
    connects: Arc<AtomicUsize>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl FakeSocket {
    /// Listens on a free port.
    pub fn tcp() -> Self {
        Self::of(Server::tcp)
    }

    /// Listens at `path`.
    pub fn unix(path: &Path) -> Self {
        Self::of(|handler| Server::unix(path, handler))
    }

    fn of(listen: impl FnOnce(Handler) -> Server) -> Self {
        let connects = Arc::new(AtomicUsize::new(0));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (counted, recorded) = (Arc::clone(&connects), Arc::clone(&bytes));
        let handler: Handler = Arc::new(move |mut socket, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            socket.read_timeout(Some(Duration::from_secs(5)));
            let mut got = [0; 1024];
            while let Ok(read @ 1..) = socket.read(&mut got) {
                recorded.lock().unwrap().extend_from_slice(&got[..read]);
            }
        });
        Self {
            server: listen(handler),
            connects,
            bytes,
        }
    }

    /// The TCP address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The URL to give to the watchdog.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// How often it was connected to.
    pub fn connects(&self) -> usize {
        self.connects.load(Ordering::SeqCst)
    }

    /// What was sent to it.
    pub fn received(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// Refuses connections from now on.
    pub fn refuse(&mut self) {
        self.server.close();
    }

    /// Accepts again.
    pub fn reopen(&mut self) {
        self.server.reopen();
    }
}

//! An orchestrator whose every answer the test writes.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::http::{Answer, Request};
use super::server::{Handler, Server};
use crate::envelope;

type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

struct Shared {
    script: Mutex<Script>,
    requests: Mutex<Vec<Request>>,
    came: Condvar,
}

/// An HTTP server on a free port that answers as the test's script says and records every request.
///
/// It serves as orchestrator and, under the name [`super::FakeHttp`], as a dependency.
pub struct FakeOrchestrator {
    server: Server,
    shared: Arc<Shared>,
}

impl FakeOrchestrator {
    /// Answers every request as `script` says.
    pub fn start(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            requests: Mutex::default(),
            came: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        let handler: Handler = Arc::new(move |mut socket, stop| {
            let Some(request) = Request::read(&mut socket) else {
                return;
            };
            let answer = (serving.script.lock().unwrap())(&request);
            serving.requests.lock().unwrap().push(request);
            serving.came.notify_all();
            drop(answer.write(&mut socket, stop));
        });
        Self {
            server: Server::tcp(handler),
            shared,
        }
    }

    /// Answers with an envelope in which nothing is wrong and time goes on.
    pub fn healthy() -> Self {
        Self::start(|_| Answer::json(&envelope::healthy()))
    }

    /// Answers every request alike.
    pub fn always(answer: Answer) -> Self {
        Self::start(move |_| answer.clone())
    }

    /// Answers from now on as `script` says.
    pub fn script(&self, script: impl FnMut(&Request) -> Answer + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Answers from now on with this.
    pub fn answer(&self, answer: Answer) {
        self.script(move |_| answer.clone());
    }

    /// Answers from now on with envelopes in which nothing is wrong.
    pub fn heal(&self) {
        self.script(|_| Answer::json(&envelope::healthy()));
    }

    /// Refuses connections until [`FakeOrchestrator::reopen`].
    pub fn refuse(&mut self) {
        self.server.close();
    }

    /// Accepts connections again.
    pub fn reopen(&mut self) {
        self.server.reopen();
    }

    /// The URL of its metrics.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.server.address())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// Waits until so many requests more have come than there were.
    ///
    /// # Panics
    /// If they do not come within `within`.
    pub fn wait_for_more(&self, more: usize, within: Duration) {
        let until = Instant::now() + within;
        let requests = self.shared.requests.lock().unwrap();
        let before = requests.len();
        let left = until.saturating_duration_since(Instant::now());
        let (requests, _) = self
            .shared
            .came
            .wait_timeout_while(requests, left, |all| all.len() < before + more)
            .unwrap();
        let came = requests.len() - before;
        assert!(
            came >= more,
            "{came} requests in {within:?}, {more} were expected"
        );
    }
}

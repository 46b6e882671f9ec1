//! The Telegram Bot API over real TLS, with a CA of its own, as strict as the real one and as unkind as the script says.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::http::Request;
use super::server::{Handler, Server, Socket, Stop};
use super::tls::Identity;
use crate::html;

/// The bot's token in every test; no output may ever hold it.
pub const TOKEN: &str = "7000000001:AAtestTokenThatMustNeverShowUpAnywhere0";
/// The chat in every test.
pub const CHAT_ID: i64 = -1_001_234_567_890;

/// What Telegram says to one `sendMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TelegramAnswer {
    /// Accepted.
    Ok,
    /// 429 with `retry_after`, in seconds.
    TooMany(u64),
    /// This status with a description of Telegram's own, whole, and no parameters.
    Refused(u16, &'static str),
    /// 400 with this after `Bad Request: `.
    BadRequest(&'static str),
    /// 400: the group became a supergroup with this id.
    Migrated(i64),
    /// 401, 403, 404, 5xx with Telegram's own JSON.
    Status(u16),
    /// This status with a body of HTML, as something in between would answer.
    Html(u16),
    /// 200 with a body that is no JSON.
    Garbage,
    /// Accepted, but the connection ends without an answer.
    LostAfterAcceptance,
    /// Not accepted, and the connection is reset.
    Reset,
    /// Nothing at all.
    Stall,
}

/// One `sendMessage` as it came.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// The whole body.
    pub body: Value,
    /// The text as people read it, markup undone.
    pub text: String,
    /// Whether Telegram took it.
    pub accepted: bool,
}

impl Sent {
    /// Whether it makes no sound.
    pub fn is_silent(&self) -> bool {
        self.body["disable_notification"] == true
    }

    /// The line that holds `part`.
    pub fn line(&self, part: &str) -> Option<&str> {
        self.text.lines().find(|line| line.contains(part))
    }
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<TelegramAnswer>>,
    standing: Mutex<Option<TelegramAnswer>>,
    identity: Mutex<Option<TelegramAnswer>>,
    sent: Mutex<Vec<Sent>>,
    /// What the real one would have refused without the script asking for it.
    faults: Mutex<Vec<String>>,
    paths: Mutex<Vec<String>>,
    came: Condvar,
}

/// A Bot API server. Every message that it accepted is in [`FakeTelegram::messages`].
pub struct FakeTelegram {
    server: Server,
    shared: Arc<Shared>,
    identity: Option<Identity>,
}

impl FakeTelegram {
    /// Listens with a certificate for 127.0.0.1, localhost and api.telegram.test.
    pub fn start() -> Self {
        Self::named(&["127.0.0.1", "localhost", "api.telegram.test"])
    }

    /// Listens with a certificate for these names.
    pub fn named(names: &[&str]) -> Self {
        Self::with(Identity::new(names))
    }

    /// Listens with a certificate whose time is over.
    pub fn expired(names: &[&str]) -> Self {
        Self::with(Identity::expired(names))
    }

    fn with(identity: Identity) -> Self {
        let config = Arc::clone(&identity.config);
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let handler: Handler = Arc::new(move |socket, stop| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, socket);
            serving.serve(&mut stream, stop);
        });
        Self {
            server: Server::tcp(handler),
            shared,
            identity: Some(identity),
        }
    }

    /// Listens without TLS, as a Bot API server of one's own does.
    pub fn self_hosted() -> Self {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let handler: Handler = Arc::new(move |mut socket, stop| serving.serve(&mut socket, stop));
        Self {
            server: Server::tcp(handler),
            shared,
            identity: None,
        }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        let scheme = if self.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.server.address())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// The PEM file with its root; without TLS there is none, and the path is one that says so.
    pub fn ca_file(&self) -> &Path {
        self.identity
            .as_ref()
            .map_or(Path::new(""), |identity| identity.ca.path())
    }

    /// Answers the coming messages with these, one each; then as [`FakeTelegram::always`] said, else `Ok`.
    pub fn next(&self, answers: impl IntoIterator<Item = TelegramAnswer>) {
        self.shared.script.lock().unwrap().extend(answers);
    }

    /// Answers all messages with this.
    pub fn always(&self, answer: TelegramAnswer) {
        *self.shared.standing.lock().unwrap() = Some(answer);
    }

    /// Answers `getMe` with this from now on.
    pub fn identify(&self, answer: TelegramAnswer) {
        *self.shared.identity.lock().unwrap() = Some(answer);
    }

    /// Refuses connections until [`FakeTelegram::reopen`].
    pub fn refuse(&mut self) {
        self.server.close();
    }

    /// Accepts connections again.
    pub fn reopen(&mut self) {
        self.server.reopen();
    }

    /// Every `sendMessage`, also those that were not accepted.
    pub fn attempts(&self) -> Vec<Sent> {
        self.shared.sent.lock().unwrap().clone()
    }

    /// The accepted messages.
    pub fn messages(&self) -> Vec<Sent> {
        self.attempts().into_iter().filter(|sent| sent.accepted).collect()
    }

    /// The accepted lines that hold `part`, in their order.
    pub fn lines(&self, part: &str) -> Vec<String> {
        let messages = self.messages();
        let lines = messages.iter().flat_map(|sent| sent.text.lines());
        lines
            .filter(|line| line.contains(part))
            .map(str::to_owned)
            .collect()
    }

    /// What the real Telegram would have refused, though the script did not ask for a refusal. Must stay empty.
    pub fn faults(&self) -> Vec<String> {
        self.shared.faults.lock().unwrap().clone()
    }

    /// Every path that was asked for.
    pub fn paths(&self) -> Vec<String> {
        self.shared.paths.lock().unwrap().clone()
    }

    /// Waits for an accepted message that holds `part`.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn wait_for(&self, part: &str, within: Duration) -> Sent {
        self.wait_until(within, part, |sent| sent.accepted && sent.text.contains(part))
    }

    /// Waits for a message, accepted or not, for which `wanted` holds.
    ///
    /// # Panics
    /// If none comes in time; `what` is then named.
    pub fn wait_until(&self, within: Duration, what: &str, wanted: impl Fn(&Sent) -> bool) -> Sent {
        let sent = self.shared.sent.lock().unwrap();
        let (sent, _) = self
            .shared
            .came
            .wait_timeout_while(sent, within, |sent| !sent.iter().any(&wanted))
            .unwrap();
        let found = sent.iter().find(|sent| wanted(sent)).cloned();
        found.unwrap_or_else(|| panic!("no message with {what:?} in {within:?}; there were {sent:#?}"))
    }
}

/// A connection, with or without TLS.
trait Stream: Read + Write {
    fn socket(&mut self) -> &mut Socket;
    fn finish(&mut self);
}

impl Stream for Socket {
    fn socket(&mut self) -> &mut Socket {
        self
    }

    fn finish(&mut self) {}
}

impl Stream for StreamOwned<ServerConnection, Socket> {
    fn socket(&mut self) -> &mut Socket {
        &mut self.sock
    }

    fn finish(&mut self) {
        self.conn.send_close_notify();
        drop(self.flush());
    }
}

impl Shared {
    fn serve(&self, stream: &mut impl Stream, stop: &Stop) {
        // A client may keep the connection and send several.
        while let Some(request) = Request::read(stream) {
            self.paths.lock().unwrap().push(request.path.clone());
            let Some(answer) = self.decide(&request, stop, stream.socket()) else {
                return;
            };
            if stream.write_all(&answer).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
        stream.finish();
    }

    fn decide(&self, request: &Request, stop: &Stop, socket: &mut Socket) -> Option<Vec<u8>> {
        let method = request.path.strip_prefix(&format!("/bot{TOKEN}/"));
        match (request.method.as_str(), method) {
            (_, Some("getMe")) => {
                if let Some(answer) = &*self.identity.lock().unwrap() {
                    return bytes_of(answer);
                }
                let bot = json!({"id": 7_000_000_001_u64, "is_bot": true, "username": "test_bot"});
                return Some(reply(200, &json!({"ok": true, "result": bot}).to_string()));
            }
            ("POST", Some("sendMessage")) => {}
            _ => {
                self.fault(format!("{} {}", request.method, request.path));
                return Some(refusal(404, "Not Found", None));
            }
        }
        let scripted = self.script.lock().unwrap().pop_front();
        let answer = scripted
            .or_else(|| self.standing.lock().unwrap().clone())
            .unwrap_or(TelegramAnswer::Ok);
        let checked = check(request);
        let accepted = matches!(answer, TelegramAnswer::Ok | TelegramAnswer::LostAfterAcceptance);
        let (body, text, strict) = match checked {
            Ok((body, text)) => (body, text, None),
            Err(fault) => (Value::Null, String::new(), Some(fault)),
        };
        let record = Sent {
            at: Instant::now(),
            body,
            text,
            accepted: accepted && strict.is_none(),
        };
        self.sent.lock().unwrap().push(record);
        self.came.notify_all();
        if let Some(fault) = strict {
            self.fault(fault.clone());
            return Some(refusal(400, &format!("Bad Request: {fault}"), None));
        }
        match answer {
            TelegramAnswer::Stall => socket.hold(stop),
            TelegramAnswer::Reset => socket.reset_on_close(),
            _ => {}
        }
        bytes_of(&answer)
    }

    fn fault(&self, fault: String) {
        self.faults.lock().unwrap().push(fault);
    }
}

/// What goes back; none = the connection just ends.
fn bytes_of(answer: &TelegramAnswer) -> Option<Vec<u8>> {
    Some(match answer {
        TelegramAnswer::Ok => reply(200, &json!({"ok": true, "result": {"message_id": 1}}).to_string()),
        TelegramAnswer::TooMany(seconds) => {
            let description = format!("Too Many Requests: retry after {seconds}");
            refusal(429, &description, Some(json!({"retry_after": seconds})))
        }
        TelegramAnswer::Refused(status, description) => refusal(*status, description, None),
        TelegramAnswer::BadRequest(reason) => refusal(400, &format!("Bad Request: {reason}"), None),
        TelegramAnswer::Migrated(id) => {
            let description = "Bad Request: group chat was upgraded to a supergroup chat";
            refusal(400, description, Some(json!({"migrate_to_chat_id": id})))
        }
        TelegramAnswer::Status(status) => refusal(*status, described(*status), None),
        TelegramAnswer::Html(status) => reply(*status, "<html><body>a proxy was here</body></html>"),
        TelegramAnswer::Garbage => reply(200, "{\"ok\":tr"),
        TelegramAnswer::LostAfterAcceptance | TelegramAnswer::Reset | TelegramAnswer::Stall => return None,
    })
}

const fn described(status: u16) -> &'static str {
    match status {
        401 => "Unauthorized",
        403 => "Forbidden: bot was kicked from the supergroup chat",
        404 => "Not Found",
        _ => "Internal Server Error: restart",
    }
}

fn refusal(status: u16, description: &str, parameters: Option<Value>) -> Vec<u8> {
    let mut body = json!({"ok": false, "error_code": status, "description": description});
    if let Some(parameters) = parameters {
        body["parameters"] = parameters;
    }
    reply(status, &body.to_string())
}

fn reply(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What the real one checks: the JSON, the chat, the length, the markup.
fn check(request: &Request) -> Result<(Value, String), String> {
    let body: Value = serde_json::from_slice(&request.body).map_err(|error| format!("no JSON: {error}"))?;
    if request
        .field("content-type")
        .is_none_or(|kind| !kind.starts_with("application/json"))
    {
        return Err("the content type is not JSON".to_owned());
    }
    let chat = &body["chat_id"];
    if chat.as_i64().is_none()
        && !chat
            .as_str()
            .is_some_and(|chat| chat.starts_with('@') || chat.parse::<i64>().is_ok())
    {
        return Err("chat_id is empty".to_owned());
    }
    let marked = body["text"].as_str().ok_or("message text is empty")?;
    let text = match body["parse_mode"].as_str() {
        Some("HTML") => html::plain(marked).map_err(|fault| format!("can't parse entities: {fault}"))?,
        None => marked.to_owned(),
        Some(other) => return Err(format!("unsupported parse_mode {other}")),
    };
    match text.encode_utf16().count() {
        0 => Err("message text is empty".to_owned()),
        1..=4096 => Ok((body, text)),
        _ => Err("message is too long".to_owned()),
    }
}

/// Reads until the peer closes; for tests that talk to the fake themselves.
///
/// # Panics
/// If the peer's bytes are not UTF-8.
pub fn read_all(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    String::from_utf8(bytes).unwrap()
}

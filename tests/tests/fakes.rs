//! The fakes do what they say: otherwise the tests that stand on them show nothing.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use watchdog_tests::envelope;
use watchdog_tests::fake::dns::{Mood, Record};
use watchdog_tests::fake::telegram::{TOKEN, read_all};
use watchdog_tests::fake::{
    Answer, Container, FakeDns, FakeEngine, FakeOrchestrator, FakeSocket, FakeTelegram, TelegramAnswer,
};

fn get(port: u16) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A healthy orchestrator answers an envelope, records the request, can be refused and come back on its port.
#[test]
fn an_orchestrator_answers_refuses_and_returns() {
    let mut fake = FakeOrchestrator::healthy();
    let text = String::from_utf8(get(fake.port()).unwrap()).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let read: Value = serde_json::from_str(body).unwrap();
    assert_eq!(read["queue"]["depth"], envelope::healthy()["queue"]["depth"]);
    assert_eq!(fake.requests()[0].path, "/metrics");
    fake.refuse();
    assert!(get(fake.port()).is_err());
    fake.reopen();
    assert!(get(fake.port()).is_ok());
}

/// Each fault is the fault that it is called.
#[test]
fn answers_fail_as_they_are_called() {
    let fake = FakeOrchestrator::always(Answer::Reset(b"HTTP/1.1 200".to_vec()));
    assert_eq!(
        get(fake.port()).unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    fake.answer(Answer::cut_short("{\"a\":1}", 3));
    assert!(get(fake.port()).unwrap().ends_with(b"{\"a\""));
    fake.answer(Answer::Drip(b"abc".to_vec(), Duration::from_millis(30)));
    let asked = Instant::now();
    assert_eq!(get(fake.port()).unwrap(), b"abc");
    assert!(asked.elapsed() >= Duration::from_millis(60));
    fake.answer(Answer::long_envelope(1 << 20));
    let bytes = get(fake.port()).unwrap();
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(serde_json::from_slice::<Value>(&bytes[body..]).is_ok() && bytes.len() > 1 << 20);
    fake.answer(Answer::big_head(17 * 1024, "{}"));
    assert!(get(fake.port()).unwrap().len() > 17 * 1024);
}

/// A script sees each request in turn.
#[test]
fn a_script_decides_each_answer() {
    let mut asked = 0;
    let fake = FakeOrchestrator::start(move |_| {
        asked += 1;
        Answer::status(if asked == 1 { 500 } else { 204 })
    });
    assert!(get(fake.port()).unwrap().starts_with(b"HTTP/1.1 500"));
    assert!(get(fake.port()).unwrap().starts_with(b"HTTP/1.1 204"));
}

fn post(telegram: &FakeTelegram, body: &Value) -> String {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(telegram.ca_file()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, telegram.port())).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "POST /bot{TOKEN}/sendMessage HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut reply = [0; 2048];
    let read = stream.read(&mut reply).unwrap_or(0);
    stream.conn.send_close_notify();
    drop(stream.flush());
    String::from_utf8(reply[..read].to_vec()).unwrap()
}

/// Telegram takes good HTML over TLS, refuses what the real one refuses, and follows its script.
#[test]
fn telegram_is_strict_and_scripted() {
    let telegram = FakeTelegram::start();
    let good = json!({"chat_id": -1, "text": "<b>host-1</b>\n🔴 FIRING a &lt; b", "parse_mode": "HTML"});
    assert!(post(&telegram, &good).contains("\"ok\":true"));
    assert_eq!(telegram.messages()[0].text, "host-1\n🔴 FIRING a < b");
    let bad = json!({"chat_id": -1, "text": "a < b", "parse_mode": "HTML"});
    assert!(post(&telegram, &bad).contains("can't parse entities"));
    let long = json!({"chat_id": -1, "text": "x".repeat(4097)});
    assert!(post(&telegram, &long).contains("message is too long"));
    assert_eq!((telegram.messages().len(), telegram.faults().len()), (1, 2));
    telegram.next([TelegramAnswer::TooMany(7), TelegramAnswer::LostAfterAcceptance]);
    assert!(post(&telegram, &good).contains("\"retry_after\":7"));
    assert_eq!(post(&telegram, &good), "");
    assert_eq!(telegram.messages().len(), 2);
}

/// The name server answers both families, follows aliases, and keeps to its mood.
#[test]
fn dns_answers_and_keeps_silent() {
    let dns = FakeDns::start();
    dns.addresses("b.test", &[IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7))]);
    dns.set("a.test", Record::Alias("b.test".to_owned()));
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.connect(dns.address()).unwrap();
    let mut bytes = [0; 512];
    socket.send(question).unwrap();
    let read = socket.recv(&mut bytes).unwrap();
    assert!(
        bytes[..read].starts_with(b"\x12\x34\x81\x80\x00\x01\x00\x02")
            && bytes[..read].ends_with(&[127, 0, 0, 7])
    );
    dns.mood(Mood::Silent);
    socket.send(question).unwrap();
    assert!(socket.recv(&mut bytes).is_err());
    dns.mood(Mood::Truncating);
    socket.send(question).unwrap();
    socket.recv(&mut bytes).unwrap();
    assert_eq!(bytes[2] & 2, 2, "the truncation bit");
    assert_eq!(dns.questions().len(), 3);
}

/// The engine lists, inspects, streams events, and records every request.
#[test]
fn the_engine_lists_and_tells_events() {
    let engine = FakeEngine::start([Container::running("web"), Container::running("db").exited(3)]);
    let ask = |path: &str| {
        let mut stream = UnixStream::connect(engine.folder().join("docker.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n").as_bytes())
            .unwrap();
        stream
    };
    assert!(read_all(&mut ask("/_ping")).contains("Api-Version: 1.52"));
    let list = read_all(&mut ask("/v1.52/containers/json?all=1"));
    assert!(list.contains("/web") && list.contains("Exited (3)"));
    let mut events = ask("/v1.52/events?filters=%7B%7D");
    engine.wait_for_more("/events", 0, Duration::from_secs(1));
    let mut head = [0; 64];
    assert!(events.read(&mut head).unwrap() > 0);
    engine.event("die", "web", &[("exitCode", "3")]);
    assert!(read_all(&mut events).contains("\"exitCode\":\"3\""));
    assert_eq!(engine.requests().len(), 3);
}

/// A socket that only accepts counts its visitors and keeps what they say.
#[test]
fn a_socket_counts_and_records() {
    let fake = FakeSocket::tcp();
    TcpStream::connect(fake.address())
        .unwrap()
        .write_all(b"hello")
        .unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while fake.received() != b"hello" && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!((fake.connects(), fake.received()), (1, b"hello".to_vec()));
}

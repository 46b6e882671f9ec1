//! Tests of the connections against real peers on loopback: TCP, unix sockets, and TLS servers of all kinds.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use watchdog_core::net::TlsFault;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// What one connection was told from its opening to its end, or to the moment when `enough` was there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Story {
    connected: bool,
    received: Vec<u8>,
    closed: Option<Closed>,
}

struct Client {
    poll: Poll,
    connections: Connections,
    connection: Connection,
}

impl Client {
    fn open(tls: Tls, peer: Peer<'_>, server: Option<&str>) -> Self {
        let poll = Poll::new().unwrap();
        let mut connections = Connections::new(tls);
        let connection = Connection {
            slot: 3,
            generation: 7,
        };
        connections.open(poll.registry(), connection, peer, server);
        Self {
            poll,
            connections,
            connection,
        }
    }

    /// Follows the connection until `enough` says so or it has ended; sends `request` once it is open.
    fn follow(&mut self, request: &[u8], enough: impl Fn(&Story) -> bool) -> Story {
        let start = Instant::now();
        let mut story = Story::default();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            loop {
                match self.connections.advance(3, &mut buffer) {
                    None | Some((_, Progress::Idle)) => break,
                    Some((_, Progress::Busy | Progress::Interrupted)) => {}
                    Some((_, Progress::Connected)) => {
                        assert!(!std::mem::replace(&mut story.connected, true));
                        self.connections.write(self.connection, request);
                    }
                    Some((_, Progress::Received(bytes))) => {
                        assert!(story.connected && bytes > 0);
                        story.received.extend_from_slice(&buffer[..bytes]);
                    }
                    Some((told, Progress::Closed(reason))) => {
                        assert_eq!(told, self.connection);
                        story.closed = Some(reason);
                        assert!(self.connections.advance(3, &mut buffer).is_none());
                        return story;
                    }
                }
            }
            if enough(&story) {
                return story;
            }
            assert!(start.elapsed() < PATIENCE, "still waiting after {story:?}");
            let mut events = Events::with_capacity(16);
            self.poll
                .poll(&mut events, Some(Duration::from_millis(500)))
                .unwrap();
            for event in &events {
                self.connections.note_ready(
                    event.token(),
                    event.is_readable() || event.is_read_closed(),
                    event.is_writable() || event.is_write_closed(),
                );
            }
        }
    }

    fn whole_story(&mut self, request: &[u8]) -> Story {
        self.follow(request, |_| false)
    }
}

fn ended(reason: Closed) -> Story {
    Story {
        closed: Some(reason),
        ..Story::default()
    }
}

/// Serves one connection on loopback in a thread of its own.
fn serve(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            serve(stream);
        }
    });
    address
}

fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("watchdog-{name}-{}-{number}", std::process::id()))
}

#[test]
fn a_plain_answer_of_any_length_comes_whole_and_ends_by_the_peer() {
    // 300,000 bytes are more than one buffer and more than one turn's budget.
    let body: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let expected = body.clone();
    let address = serve(move |mut stream| {
        let mut request = [0; 5];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(&request, b"hello");
        stream.write_all(&body).unwrap();
    });
    let story = Client::open(Tls::new(), Peer::Tcp(address), None).whole_story(b"hello");
    assert_eq!(story.closed, Some(Closed::ByPeer));
    assert!(story.connected && story.received == expected);
}

#[test]
fn a_port_that_nobody_listens_on_is_refused() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let story = Client::open(Tls::new(), Peer::Tcp(address), None).whole_story(b"");
    assert_eq!(story, ended(Closed::Refused));
}

#[test]
fn an_address_that_swallows_everything_says_nothing_and_can_be_closed() {
    // A listener whose queue is full: the kernel drops what else would connect, like a firewall that drops. Closing
    // the slot ends the waiting without a word, and the slot serves again.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let fillers: Vec<_> = (0..400)
        .map_while(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok())
        .collect();
    let mut client = Client::open(Tls::new(), Peer::Tcp(address), None);
    let start = Instant::now();
    let story = client.follow(b"", |_| start.elapsed() > Duration::from_millis(700));
    if fillers.len() < 400 {
        assert_eq!(story, Story::default());
    }
    client.connections.close(client.connection);
    assert!(client.connections.advance(3, &mut [0; 64]).is_none());
}

#[test]
fn a_reset_is_told_after_what_came_before_it() {
    let address = serve(|mut stream| {
        let mut request = [0; 1];
        stream.read_exact(&mut request).unwrap();
        // Closing with bytes unread makes the kernel reset the connection.
    });
    let story = Client::open(Tls::new(), Peer::Tcp(address), None).whole_story(b"more than is read");
    assert!(matches!(story.closed, Some(Closed::Reset)), "{story:?}");
}

#[test]
fn a_unix_socket_connects_and_its_absence_its_refusal_and_a_plain_file_are_told_apart() {
    let path = scratch("socket");
    let text = path.to_str().unwrap().to_owned();
    let open = |path: &str| Client::open(Tls::new(), Peer::Unix(path), None).whole_story(b"ping");
    assert_eq!(open(&text), ended(Closed::NotFound));
    assert_eq!(open(&format!("{text}/below")), ended(Closed::NotFound));

    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"pong").unwrap();
    });
    let story = open(&text);
    assert_eq!(
        (story.received.as_slice(), story.closed),
        (b"pong".as_slice(), Some(Closed::ByPeer))
    );
    server.join().unwrap();
    assert_eq!(open(&text), ended(Closed::Refused));

    fs::remove_file(&path).unwrap();
    fs::write(&path, "no socket").unwrap();
    assert_eq!(open(&text), ended(Closed::NotASocket));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(open(&text), ended(Closed::NotASocket));
    fs::remove_dir(&path).unwrap();
    let long = "/tmp/".to_owned() + &"x".repeat(200);
    assert_eq!(open(&long), ended(Closed::Os(libc::ENAMETOOLONG)));
}

#[test]
fn what_belongs_to_an_earlier_use_of_a_slot_is_dropped() {
    let address = serve(|mut stream| {
        let mut request = Vec::new();
        let _ = stream.read_to_end(&mut request);
        assert_eq!(request, b"mine");
        stream.write_all(b"heard").unwrap();
    });
    let mut client = Client::open(Tls::new(), Peer::Tcp(address), None);
    let earlier = Connection {
        slot: 3,
        generation: 6,
    };
    client.connections.note_ready(token(earlier), true, true);
    client.connections.write(earlier, b"not mine");
    client.connections.close(earlier);
    let story = client.follow(b"mine", |story| story.connected);
    assert_eq!(story.closed, None);
    client.connections.close(client.connection);
}

#[test]
fn a_peer_that_takes_nothing_cannot_make_us_keep_more_than_the_bound() {
    let address = serve(|stream| {
        thread::sleep(Duration::from_secs(5));
        drop(stream);
    });
    let mut client = Client::open(Tls::new(), Peer::Tcp(address), None);
    client.follow(b"", |story| story.connected);
    for _ in 0..1000 {
        client.connections.write(client.connection, &[0; 16 * 1024]);
        if let Some((_, Progress::Closed(reason))) = client.connections.advance(3, &mut [0; 64]) {
            assert_eq!(reason, Closed::NoMemory);
            return;
        }
    }
    panic!("16 MB were taken for a peer that reads nothing");
}

/// A root of our own and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A server's certificate for a name, valid in these years.
    fn sign(&self, name: &str, years: (i32, i32)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        server_config(certificate.der().clone(), &key)
    }

    /// A client that trusts this root besides the built-in ones.
    fn trusting(&self) -> Tls {
        let path = scratch("roots");
        fs::write(&path, self.0.pem()).unwrap();
        let mut tls = Tls::new();
        assert_eq!(tls.add_roots(path.to_str().unwrap()), Ok(()));
        fs::remove_file(path).unwrap();
        tls
    }
}

fn server_config(
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: &KeyPair,
) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

#[derive(Clone, Copy)]
enum Farewell {
    CloseNotify,
    Cut,
}

/// A TLS server that hears one line and answers with many bytes.
fn serve_tls(config: Arc<ServerConfig>, body: Vec<u8>, farewell: Farewell) -> SocketAddr {
    serve(move |mut stream| {
        let mut session = ServerConnection::new(config).unwrap();
        let mut request = [0; 5];
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        if tls.read_exact(&mut request).is_err() {
            return;
        }
        assert_eq!(&request, b"hello");
        tls.write_all(&body).unwrap();
        tls.flush().unwrap();
        if matches!(farewell, Farewell::CloseNotify) {
            session.send_close_notify();
            while session.wants_write() {
                session.write_tls(&mut stream).unwrap();
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

fn tls_story(tls: Tls, config: Arc<ServerConfig>, name: &str) -> Story {
    let address = serve_tls(config, Vec::new(), Farewell::CloseNotify);
    Client::open(tls, Peer::Tcp(address), Some(name)).whole_story(b"hello")
}

const GOOD: (i32, i32) = (2020, 2090);

#[test]
fn tls_brings_an_answer_whole_and_tells_a_good_end_from_a_cut() {
    let authority = Authority::new();
    let body: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    for (farewell, reason) in [
        (Farewell::CloseNotify, Closed::ByPeer),
        (Farewell::Cut, Closed::Truncated),
    ] {
        let address = serve_tls(authority.sign("web.example", GOOD), body.clone(), farewell);
        let story =
            Client::open(authority.trusting(), Peer::Tcp(address), Some("web.example")).whole_story(b"hello");
        assert!(story.connected && story.received == body);
        assert_eq!(story.closed, Some(reason));
    }
}

#[test]
fn tls_to_an_address_checks_the_address_in_the_certificate() {
    let authority = Authority::new();
    let story = tls_story(
        authority.trusting(),
        authority.sign("127.0.0.1", GOOD),
        "127.0.0.1",
    );
    assert_eq!((story.connected, story.closed), (true, Some(Closed::ByPeer)));
    let story = tls_story(
        authority.trusting(),
        authority.sign("127.0.0.2", GOOD),
        "127.0.0.1",
    );
    assert_eq!(story, ended(Closed::Tls(TlsFault::WrongName)));
}

#[test]
fn a_bad_certificate_is_named_by_what_is_bad_about_it() {
    let authority = Authority::new();
    let trusting = || authority.trusting();
    let sign = |years| authority.sign("web.example", years);
    let cases = [
        (Tls::new(), sign(GOOD), "web.example", TlsFault::UnknownIssuer),
        (trusting(), sign((2001, 2002)), "web.example", TlsFault::Expired),
        (
            trusting(),
            sign((2088, 2090)),
            "web.example",
            TlsFault::NotYetValid,
        ),
        (trusting(), sign(GOOD), "other.example", TlsFault::WrongName),
        (trusting(), sign(GOOD), "no name", TlsFault::BadServerName),
    ];
    for (tls, config, name, fault) in cases {
        assert_eq!(tls_story(tls, config, name), ended(Closed::Tls(fault)));
    }
    // A trailing dot says that a name is complete, and is no part of it.
    let story = tls_story(trusting(), sign(GOOD), "web.example.");
    assert!(story.connected, "{story:?}");
}

/// The certificate that was refused is handed over once, and is that of the handshake that failed; one that was accepted
/// is none.
#[test]
fn the_refused_certificate_is_handed_over_once() {
    let authority = Authority::new();
    for (years, is_refused) in [((2001, 2002), true), (GOOD, false)] {
        let address = serve_tls(
            authority.sign("web.example", years),
            Vec::new(),
            Farewell::CloseNotify,
        );
        let mut client = Client::open(authority.trusting(), Peer::Tcp(address), Some("web.example"));
        let story = client.follow(b"hello", |story| story.closed.is_some());
        assert_eq!(story.connected, !is_refused, "{story:?}");
        let leaf = client.connections.take_refused_leaf();
        let end = leaf.and_then(|der| watchdog_core::wire::certificate::not_after(&der));
        assert_eq!(end.map(|end| end.date()), is_refused.then_some((2002, 1, 1)));
        assert_eq!(client.connections.take_refused_leaf(), None);
    }
}

#[test]
fn a_self_signed_certificate_is_refused_and_an_authoritys_own_is_told_from_a_servers() {
    // `openssl req -x509` makes the second kind unless told otherwise: a certificate that calls itself an authority may
    // not be a server's (RFC 5280, 4.2.1.9, as webpki reads it), so adding it to the roots would not help.
    for (is_ca, fault) in [
        (IsCa::NoCa, TlsFault::UnknownIssuer),
        (
            IsCa::Ca(BasicConstraints::Unconstrained),
            TlsFault::BadCertificate,
        ),
    ] {
        let mut params = CertificateParams::new(vec!["web.example".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let config = server_config(certificate.der().clone(), &key);
        let story = tls_story(Tls::new(), config, "web.example");
        assert_eq!(story, ended(Closed::Tls(fault)));
    }
}

#[test]
fn what_is_not_tls_is_named_so_and_a_silent_end_is_a_cut() {
    let speaks = |text: &'static [u8]| {
        let address = serve(move |mut stream| {
            let mut hello = [0; 64];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(text).unwrap();
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        Client::open(Tls::new(), Peer::Tcp(address), Some("web.example")).whole_story(b"")
    };
    let not_tls = ended(Closed::Tls(TlsFault::NotTls));
    assert_eq!(
        speaks(b"HTTP/1.1 400 Bad Request\r\n\r\nplain HTTP on a TLS port"),
        not_tls
    );
    assert_eq!(speaks(b"SSH-2.0-OpenSSH_9.2\r\n"), not_tls);
    assert_eq!(speaks(b""), ended(Closed::Truncated));
    // A fatal handshake_failure, as a server sends that shares no cipher suite with us.
    assert_eq!(
        speaks(b"\x15\x03\x03\x00\x02\x02\x28"),
        ended(Closed::Tls(TlsFault::Alert(40)))
    );
    // protocol_version: it shares no version.
    let nothing = ended(Closed::Tls(TlsFault::NothingInCommon));
    assert_eq!(speaks(b"\x15\x03\x03\x00\x02\x02\x46"), nothing);
}

#[test]
fn a_bundle_with_a_broken_part_serves_with_the_rest_and_is_told() {
    use crate::tls::CaFault;
    let authority = Authority::new();
    let path = scratch("bundle");
    let text = path.to_str().unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&path, authority.0.pem() + broken).unwrap();
    let mut tls = Tls::new();
    assert_eq!(tls.add_roots(text), Err(CaFault::Unusable(1)));
    let story = tls_story(tls, authority.sign("web.example", GOOD), "web.example");
    assert!(story.connected, "{story:?}");

    fs::write(&path, "no certificate").unwrap();
    assert_eq!(Tls::new().add_roots(text), Err(CaFault::NoCertificate));
    fs::remove_file(&path).unwrap();
    assert!(matches!(Tls::new().add_roots(text), Err(CaFault::Unreadable(_))));
}

//! A CA of our own, a certificate of it, and an HTTPS server that answers one thing.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http::Request;
use super::server::{Handler, Server};

/// A server's side of TLS, and the PEM file that makes a client trust it.
#[derive(Debug)]
pub struct Identity {
    /// The server's configuration.
    pub config: Arc<ServerConfig>,
    /// The root, as `WATCHDOG_CA_FILE` takes it.
    pub ca: tempfile::NamedTempFile,
}

impl Identity {
    /// Makes a CA and a certificate for these names and addresses.
    pub fn new(names: &[&str]) -> Self {
        Self::of(CertificateParams::new(owned(names)).unwrap())
    }

    /// Makes a CA and a certificate whose time is over.
    pub fn expired(names: &[&str]) -> Self {
        let mut certificate = CertificateParams::new(owned(names)).unwrap();
        certificate.not_before = rcgen::date_time_ymd(2020, 1, 1);
        certificate.not_after = rcgen::date_time_ymd(2021, 1, 1);
        Self::of(certificate)
    }

    fn of(certificate: CertificateParams) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "watchdog tests");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(ca.self_signed(&ca_key).unwrap().pem().as_bytes())
            .unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap();
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        Self {
            config: Arc::new(config),
            ca: file,
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An HTTPS dependency on 127.0.0.1 that answers 200, and counts.
pub struct FakeHttps {
    server: Server,
    identity: Identity,
    served: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakeHttps {
    /// Listens with a certificate for these names.
    pub fn start(names: &[&str]) -> Self {
        Self::with(Identity::new(names))
    }

    /// Listens with this certificate.
    pub fn with(identity: Identity) -> Self {
        let config = Arc::clone(&identity.config);
        let served = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counting, recording) = (Arc::clone(&served), Arc::clone(&requests));
        let handler: Handler = Arc::new(move |socket, _| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, socket);
            let Some(request) = Request::read(&mut stream) else {
                return;
            };
            recording.lock().unwrap().push(request);
            counting.fetch_add(1, Ordering::SeqCst);
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"));
            stream.conn.send_close_notify();
            drop(stream.flush());
        });
        Self {
            server: Server::tcp(handler),
            identity,
            served,
            requests,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// The PEM file with its root.
    pub fn ca_file(&self) -> &Path {
        self.identity.ca.path()
    }

    /// How many requests it answered.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// What was asked.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

//! TLS: the only file that names rustls.
//!
//! Versions 1.2 and 1.3 with ring's cryptography, the Mozilla roots that are built in, and those of `WATCHDOG_CA_FILE`.
//! It never skips a check of a certificate, and never resumes a session: a resumed one shows no certificate, so an
//! expired one would pass for days, and what is kept for it would be most of our memory. Limits: [`CA_FILE_BYTES_MAX`];
//! rustls bounds handshake messages (64 KiB) and records (16 KiB) itself. Tests: beside the code and in `connection.rs`,
//! against real servers.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, TrustAnchor, UnixTime};
use rustls::sign::SigningKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, InvalidMessage,
    RootCertStore, SignatureScheme,
};
use watchdog_core::net::{FileFault, TlsFault};

use crate::settings;

/// Bytes of `WATCHDOG_CA_FILE`. 1 MiB: the bundle of a distribution has some 220 KiB.
pub const CA_FILE_BYTES_MAX: usize = 1024 * 1024;

/// What is wrong with `WATCHDOG_CA_FILE`. Its other roots, and the built-in ones, serve all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaFault {
    /// The file cannot be read.
    Unreadable(FileFault),
    /// Nothing in it is a PEM certificate.
    NoCertificate,
    /// So many of its sections are broken or are no usable root.
    Unusable(usize),
}

impl fmt::Display for CaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WATCHDOG_CA_FILE: ")?;
        match self {
            Self::Unreadable(fault) => fault.fmt(f)?,
            Self::NoCertificate => f.write_str("holds no PEM certificate")?,
            Self::Unusable(count) => write!(f, "{count} of its certificates cannot be used as roots")?,
        }
        f.write_str("; the built-in roots serve")
    }
}

/// What every TLS connection shares. Built at the first one, since many a watchdog has none.
pub struct Tls {
    extra_roots: Vec<TrustAnchor<'static>>,
    config: Option<Arc<ClientConfig>>,
    refused: Refused,
}

/// The certificate that the last refused handshake showed, in DER, until it is asked for.
type Refused = Arc<Mutex<Option<Box<[u8]>>>>;

impl Tls {
    /// Begins with the built-in roots alone.
    pub fn new() -> Self {
        Self {
            extra_roots: Vec::new(),
            config: None,
            refused: Refused::default(),
        }
    }

    /// Adds the roots of a PEM file.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, the operator's fault; what is right in it serves.
    pub fn add_roots(&mut self, path: &str) -> Result<(), CaFault> {
        let pem = settings::read_bounded(path, CA_FILE_BYTES_MAX).map_err(CaFault::Unreadable)?;
        let mut store = RootCertStore::empty();
        let mut unusable = 0_usize;
        for section in CertificateDer::pem_slice_iter(&pem) {
            let added = section.map(|certificate| store.add(certificate));
            if !matches!(added, Ok(Ok(()))) {
                unusable = unusable.saturating_add(1);
            }
        }
        self.config = None;
        let found = store.roots.len();
        self.extra_roots.append(&mut store.roots);
        match (found, unusable) {
            (0, 0) => Err(CaFault::NoCertificate),
            (_, 0) => Ok(()),
            (_, count) => Err(CaFault::Unusable(count)),
        }
    }

    /// Begins a session with the server of that name.
    ///
    /// # Errors
    ///
    /// [`TlsFault::BadServerName`] if no certificate can hold the name, the operator's fault.
    pub fn begin(&mut self, server: &str) -> Result<Session, TlsFault> {
        let name = server.strip_suffix('.').unwrap_or(server);
        let name = ServerName::try_from(name)
            .map_err(|_| TlsFault::BadServerName)?
            .to_owned();
        let config = self.config().map_err(|error| fault_of(&error))?;
        ClientConnection::new(config, name)
            .map(|connection| Session(Box::new(connection)))
            .map_err(|error| fault_of(&error))
    }

    /// Hands over the certificate that was refused since this was last asked, in DER.
    ///
    /// A handshake ends in the step that refuses its certificate, so asked after that step it is that handshake's.
    pub fn take_refused(&self) -> Option<Box<[u8]>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn config(&mut self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = &self.config {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        roots.roots.append(&mut self.extra_roots);
        let provider = CryptoProvider {
            key_provider: &NoKeys,
            ..rustls::crypto::ring::default_provider()
        };
        let provider = Arc::new(provider);
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|_| Error::General(String::new()))?;
        let verifier = Noting {
            webpki,
            refused: Arc::clone(&self.refused),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        self.config = Some(Arc::clone(&config));
        Ok(config)
    }
}

/// Has every certificate verified by webpki, whose word is final, and notes the one that it refuses: when that one ends is
/// worth telling, and rustls forgets it.
#[derive(Debug)]
struct Noting {
    webpki: Arc<WebPkiServerVerifier>,
    refused: Refused,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .webpki
            .verify_server_cert(leaf, intermediates, name, ocsp, now);
        if verified.is_err() {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = Some(leaf.as_ref().into());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Loads no private keys: we never show a certificate of our own, and what signs one stays out of the program.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General(String::new()))
    }
}

/// What a session has to say when it is asked for decrypted bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Plain {
    /// So many bytes stand at the start of the buffer.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The peer has said that this was all.
    Ended,
    /// The connection ended without that word.
    Truncated,
}

/// Why nothing more can be received.
#[derive(Debug)]
pub enum ReceiveError {
    /// The stream below failed, or has nothing now.
    Stream(io::Error),
    /// What came is not what TLS allows, or not from whom it should be.
    Tls(TlsFault),
}

/// One TLS session over a stream that is handed in at each call.
pub struct Session(Box<ClientConnection>);

impl Session {
    /// Tells whether the handshake is not through yet.
    pub fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Tells the certificate that the server has shown, in DER.
    pub fn leaf(&self) -> Option<&[u8]> {
        let chain = self.0.peer_certificates()?;
        chain.first().map(|leaf| leaf.as_ref())
    }

    /// Tells whether encrypted bytes wait to be sent.
    pub fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    /// Takes bytes to be sent encrypted; `false` if the peer has left too much unread.
    #[must_use]
    pub fn queue(&mut self, bytes: &[u8]) -> bool {
        matches!(self.0.writer().write(bytes), Ok(taken) if taken == bytes.len())
    }

    /// Tells the peer that nothing more will come.
    pub fn end(&mut self) {
        self.0.send_close_notify();
    }

    /// Sends some of what waits.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub fn send(&mut self, stream: &mut dyn Write) -> io::Result<usize> {
        self.0.write_tls(stream)
    }

    /// Receives and decrypts some bytes; tells how many came over the wire, 0 at its end.
    ///
    /// # Errors
    ///
    /// Those of the stream, and a [`TlsFault`] of the peer; after that one an alert waits to be sent.
    pub fn receive(&mut self, stream: &mut dyn Read) -> Result<usize, ReceiveError> {
        let received = self.0.read_tls(stream).map_err(ReceiveError::Stream)?;
        let handshaking = self.0.is_handshaking();
        match self.0.process_new_packets() {
            Ok(_) => Ok(received),
            Err(Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            )) if handshaking => Err(ReceiveError::Tls(TlsFault::NotTls)),
            Err(error) => Err(ReceiveError::Tls(fault_of(&error))),
        }
    }

    /// Takes decrypted bytes into the buffer.
    pub fn plain(&mut self, buffer: &mut [u8]) -> Plain {
        match self.0.reader().read(buffer) {
            Ok(0) => Plain::Ended,
            Ok(count) => Plain::Bytes(count),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Plain::Truncated,
            Err(_) => Plain::Nothing,
        }
    }
}

fn fault_of(error: &Error) -> TlsFault {
    match error {
        Error::InvalidCertificate(fault) => certificate_fault(fault),
        Error::NoCertificatesPresented => TlsFault::BadCertificate,
        Error::UnsupportedNameType => TlsFault::BadServerName,
        Error::PeerIncompatible(_)
        | Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity) => {
            TlsFault::NothingInCommon
        }
        Error::AlertReceived(alert) => TlsFault::Alert(u8::from(*alert)),
        _ => TlsFault::Other,
    }
}

fn certificate_fault(error: &CertificateError) -> TlsFault {
    match error {
        CertificateError::UnknownIssuer => TlsFault::UnknownIssuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault::WrongName
        }
        _ => TlsFault::BadCertificate,
    }
}

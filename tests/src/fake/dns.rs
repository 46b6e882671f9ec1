//! A name server over UDP and TCP on one free port (RFC 1035), scripted.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::server;

/// What is known about a name.
#[derive(Clone, Debug)]
pub enum Record {
    /// Its addresses, of either family.
    Addresses(Vec<IpAddr>),
    /// Another name.
    Alias(String),
}

/// How the server behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// Answers.
    #[default]
    Kind,
    /// Says nothing.
    Silent,
    /// Says SERVFAIL.
    Failing,
    /// Over UDP, says that the answer is too long for it.
    Truncating,
    /// Answers with an id that was not asked with, and an address that must never be used.
    Forging,
}

#[derive(Default)]
struct Shared {
    records: Mutex<HashMap<String, Record>>,
    mood: Mutex<Mood>,
    ttl_s: Mutex<u32>,
    /// Name, type, and whether it came over TCP.
    questions: Mutex<Vec<(String, u16, bool)>>,
    ended: AtomicBool,
}

/// The name server.
pub struct FakeDns {
    address: SocketAddr,
    shared: Arc<Shared>,
}

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;

impl FakeDns {
    /// Listens on one port for UDP and TCP.
    pub fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((server::host(), 0)).unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        *shared.ttl_s.lock().unwrap() = 60;
        let (over_udp, over_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(move || over_udp.serve_udp(&udp));
        thread::spawn(move || over_tcp.serve_tcp(&tcp));
        Self { address, shared }
    }

    /// `ip:port`, as `WATCHDOG_NAMESERVER` takes it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what is known about a name.
    pub fn set(&self, name: &str, record: Record) {
        self.shared
            .records
            .lock()
            .unwrap()
            .insert(name.to_owned(), record);
    }

    /// Sets the addresses of a name.
    pub fn addresses(&self, name: &str, addresses: &[IpAddr]) {
        self.set(name, Record::Addresses(addresses.to_vec()));
    }

    /// Sets how it behaves.
    pub fn mood(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Sets the time to live of every answer, in seconds.
    pub fn ttl_s(&self, ttl_s: u32) {
        *self.shared.ttl_s.lock().unwrap() = ttl_s;
    }

    /// Every question: name, type, and whether it came over TCP.
    pub fn questions(&self) -> Vec<(String, u16, bool)> {
        self.shared.questions.lock().unwrap().clone()
    }
}

impl Drop for FakeDns {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut bytes = [0; 4096];
        while !self.ended() {
            let Ok((length, peer)) = socket.recv_from(&mut bytes) else {
                continue;
            };
            if let Some(answer) = self.answer(&bytes[..length], false) {
                drop(socket.send_to(&answer, peer));
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.ended() {
                return;
            }
            let Ok(mut stream) = stream else { continue };
            drop(stream.set_read_timeout(Some(Duration::from_secs(2))));
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut question).is_err() {
                    break;
                }
                let Some(answer) = self.answer(&question, true) else {
                    break;
                };
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                if stream.write_all(&[&length, answer.as_slice()].concat()).is_err() {
                    break;
                }
            }
        }
    }

    fn answer(&self, question: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let (name, kind, end) = question_of(question)?;
        self.questions
            .lock()
            .unwrap()
            .push((name.clone(), kind, over_tcp));
        let mood = *self.mood.lock().unwrap();
        let id = u16::from_be_bytes([question[0], question[1]]);
        let asked = &question[12..end];
        let ttl_s = *self.ttl_s.lock().unwrap();
        match mood {
            Mood::Silent => None,
            Mood::Failing => Some(message(id, 0x8182, asked, &[])),
            Mood::Truncating if !over_tcp => Some(message(id, 0x8380, asked, &[])),
            Mood::Forging => {
                let forged = resource(&[0xc0, 12], TYPE_A, ttl_s, &[127, 0, 0, 99]);
                Some(message(id.wrapping_add(1), 0x8180, asked, &[forged]))
            }
            Mood::Kind | Mood::Truncating => Some(self.records_of(&name, kind, id, asked, ttl_s)),
        }
    }

    fn records_of(&self, name: &str, kind: u16, id: u16, asked: &[u8], ttl_s: u32) -> Vec<u8> {
        let records = self.records.lock().unwrap();
        let mut answers = Vec::new();
        let mut owner = vec![0xc0, 12];
        let mut at = name.to_owned();
        // A chain of aliases is followed a few steps, as a real server does.
        for _ in 0..8 {
            match records.get(&at) {
                Some(Record::Alias(next)) => {
                    let target = encoded(next);
                    answers.push(resource(&owner, TYPE_CNAME, ttl_s, &target));
                    owner = target;
                    at.clone_from(next);
                }
                Some(Record::Addresses(addresses)) => {
                    for address in addresses {
                        match address {
                            IpAddr::V4(v4) if kind == TYPE_A => {
                                answers.push(resource(&owner, TYPE_A, ttl_s, &v4.octets()));
                            }
                            IpAddr::V6(v6) if kind == TYPE_AAAA => {
                                answers.push(resource(&owner, TYPE_AAAA, ttl_s, &v6.octets()));
                            }
                            _ => {}
                        }
                    }
                    return message(id, 0x8180, asked, &answers);
                }
                None => return message(id, 0x8183, asked, &answers),
            }
        }
        message(id, 0x8182, asked, &[])
    }
}

/// Name, type and end of the one question in a message.
fn question_of(message: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
    message.get(at + 3)?;
    Some((labels.join("."), kind, at + 4))
}

fn message(id: u16, flags: u16, question: &[u8], answers: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(answers.len()).unwrap();
    let mut bytes = Vec::new();
    for number in [id, flags, 1, count, 0, 0] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(question);
    bytes.extend(answers.iter().flatten());
    bytes
}

fn resource(owner: &[u8], kind: u16, ttl_s: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut bytes = owner.to_vec();
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&1_u16.to_be_bytes());
    bytes.extend_from_slice(&ttl_s.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

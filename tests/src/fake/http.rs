//! Requests as they were got, and answers right and wrong.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::server::{Socket, Stop};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it was complete.
    pub at: Instant,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body, as long as `Content-Length` says.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads one request; none if the peer closed or sent what is no request.
    pub fn read(stream: &mut impl Read) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        loop {
            let got = stream.read(&mut part).ok().filter(|got| *got > 0)?;
            bytes.extend_from_slice(&part[..got]);
            if let Some(request) = Self::parse(&bytes) {
                return Some(request);
            }
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(head_bytes) = head.parse(bytes).ok()? else {
            return None;
        };
        let (method, path) = (head.method?.to_owned(), head.path?.to_owned());
        let fields: Vec<(String, String)> = head
            .headers
            .iter()
            .map(|field| {
                (
                    field.name.to_lowercase(),
                    String::from_utf8_lossy(field.value).into_owned(),
                )
            })
            .collect();
        let length = fields.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
        let body = bytes.get(head_bytes..head_bytes + length)?.to_vec();
        Some(Self {
            at: Instant::now(),
            method,
            path,
            fields,
            body,
        })
    }

    /// The value of a field, its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a fake answers, and how badly.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, then a close.
    Bytes(Vec<u8>),
    /// The other answer, so much later.
    After(Duration, Box<Answer>),
    /// These bytes, one at a time.
    Drip(Vec<u8>, Duration),
    /// These bytes, then a reset.
    Reset(Vec<u8>),
    /// Nothing, for as long as the peer waits.
    BlackHole,
    /// `head`, then `part` until so many bytes of parts were written, then `tail`.
    Long {
        /// What comes first.
        head: Vec<u8>,
        /// What is repeated.
        part: Vec<u8>,
        /// How often.
        times: u64,
        /// What comes last.
        tail: Vec<u8>,
    },
    /// `head`, then so many parts, each made when it is its turn, then `tail`.
    Made {
        /// What comes first.
        head: Vec<u8>,
        /// Makes a part by its number, from 0 on.
        part: fn(u64) -> Vec<u8>,
        /// How many.
        times: u64,
        /// What comes last.
        tail: Vec<u8>,
    },
}

impl Answer {
    /// A whole answer with a length.
    pub fn http(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = format!("HTTP/1.1 {status} Answer\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("Connection: close\r\n\r\n");
        Self::Bytes([head.as_bytes(), body].concat())
    }

    /// 200 with a JSON body.
    pub fn json(body: &serde_json::Value) -> Self {
        Self::text(&body.to_string())
    }

    /// 200 with this body.
    pub fn text(body: &str) -> Self {
        Self::http(200, &[("Content-Type", "application/json")], body.as_bytes())
    }

    /// A status with a small body of HTML, as proxies send it.
    pub fn status(status: u16) -> Self {
        let fields = [
            ("Content-Type", "text/html"),
            ("Location", "http://127.0.0.1:1/elsewhere"),
        ];
        Self::http(status, &fields, b"<html><body><h1>Sorry</h1></body></html>")
    }

    /// 200 with this body in chunks of `size` bytes.
    pub fn chunked(body: &str, size: usize) -> Self {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.as_bytes().chunks(size) {
            bytes.extend_from_slice(format!("{:x};note=1\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\nTrailer-Field: x\r\n\r\n");
        Self::Bytes(bytes)
    }

    /// A body that ends `missing` bytes before the length that was promised.
    pub fn cut_short(body: &str, missing: usize) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let kept = body
            .as_bytes()
            .get(..body.len().saturating_sub(missing))
            .unwrap_or_default();
        Self::Bytes([head.as_bytes(), kept].concat())
    }

    /// A head of about so many bytes, spread over few fields, and a good body.
    pub fn big_head(bytes: usize, body: &str) -> Self {
        let mut head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
        let mut number = 0;
        while head.len() < bytes {
            number += 1;
            let _ = write!(head, "X-Padding-{number}: {}\r\n", "p".repeat(1000));
        }
        Self::Bytes(format!("{head}\r\n{body}").into_bytes())
    }

    /// A good envelope that is so many bytes long, most of them in a key that nobody knows.
    pub fn long_envelope(bytes: u64) -> Self {
        let part = vec![b'x'; 64 * 1024];
        let times = bytes / (64 * 1024);
        let head = br#"{"padding":""#;
        let tail = br#"","queue":{"depth":4,"running":0,"oldest_age_s":1.0}}"#;
        let length = head.len() as u64 + times * part.len() as u64 + tail.len() as u64;
        let head = [
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
            head,
        ]
        .concat();
        Self::Long {
            head,
            part,
            times,
            tail: tail.to_vec(),
        }
    }

    /// Writes the answer; the connection is closed when the caller drops it.
    ///
    /// # Errors
    /// The peer has gone, which is nobody's fault.
    pub fn write(&self, socket: &mut Socket, stop: &Stop) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => {
                socket.write_all(bytes)?;
                linger(socket, stop);
                Ok(())
            }
            Self::After(duration, answer) => {
                if stop.wait(*duration) {
                    return Ok(());
                }
                answer.write(socket, stop)
            }
            Self::Drip(bytes, every) => {
                for byte in bytes {
                    socket.write_all(&[*byte])?;
                    if stop.wait(*every) {
                        break;
                    }
                }
                Ok(())
            }
            Self::Reset(bytes) => {
                socket.write_all(bytes)?;
                socket.reset_on_close();
                Ok(())
            }
            Self::BlackHole => {
                socket.hold(stop);
                Ok(())
            }
            Self::Long {
                head,
                part,
                times,
                tail,
            } => write_parts(socket, stop, [head, tail], *times, |_| part.into()),
            Self::Made {
                head,
                part,
                times,
                tail,
            } => write_parts(socket, stop, [head, tail], *times, |number| part(number).into()),
        }
    }
}

/// Writes what comes first, so many parts, unless it is to stop, and what comes last.
fn write_parts<'a>(
    socket: &mut Socket,
    stop: &Stop,
    [head, tail]: [&[u8]; 2],
    times: u64,
    part: impl Fn(u64) -> Cow<'a, [u8]>,
) -> io::Result<()> {
    socket.write_all(head)?;
    for number in 0..times {
        socket.write_all(&part(number))?;
        if stop.wait(Duration::ZERO) {
            return Ok(());
        }
    }
    socket.write_all(tail)
}

/// Says that no more comes, and waits for the peer to close first: a close with unread bytes would be a reset, and eat
/// what the peer has not read yet.
fn linger(socket: &mut Socket, stop: &Stop) {
    socket.shut(std::net::Shutdown::Write);
    socket.hold(stop);
}

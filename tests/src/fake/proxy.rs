//! A proxy, by CONNECT and by SOCKS5, that takes a login if it has one, and fails as the test says.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::http::Request;
use super::server::{Handler, Server, Socket, Stop};

/// How the proxy behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Makes tunnels.
    Kind,
    /// Refuses to: 403, or code 2.
    Refusing,
    /// Takes the connection and says nothing.
    Silent,
    /// Speaks neither protocol.
    Foreign,
}

/// What every proxy of one test shares.
struct Shared {
    target: SocketAddr,
    login: Option<&'static str>,
    mood: Mood,
    asked: Mutex<Vec<String>>,
}

/// A proxy all of whose tunnels lead to one address, whatever name was asked for.
pub struct FakeProxy {
    server: Server,
    shared: Arc<Shared>,
}

impl FakeProxy {
    /// Listens; `login` is the `user:password` that it wants.
    pub fn start(target: SocketAddr, login: Option<&'static str>, mood: Mood) -> Self {
        let shared = Arc::new(Shared {
            target,
            login,
            mood,
            asked: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let handler: Handler = Arc::new(move |socket, stop| drop(serving.serve(socket, stop)));
        Self {
            server: Server::tcp(handler),
            shared,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// Every `host:port` that a tunnel was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, mut client: Socket, stop: &Stop) -> io::Result<()> {
        match self.mood {
            Mood::Silent => {
                client.hold(stop);
                return Ok(());
            }
            Mood::Foreign => {
                client.write_all(b"220 mail.example ESMTP\r\n")?;
                client.hold(stop);
                return Ok(());
            }
            Mood::Kind | Mood::Refusing => {}
        }
        let mut first = [0; 1];
        client.read_exact(&mut first)?;
        let is_open = if first == [5] {
            self.socks(&mut client)?
        } else {
            self.connect(&mut client, first[0])?
        };
        if is_open { self.carry(client) } else { Ok(()) }
    }

    /// HTTP's CONNECT.
    fn connect(&self, client: &mut Socket, first: u8) -> io::Result<bool> {
        let Some(request) = Request::read(&mut [first].chain(&mut *client)) else {
            return Ok(false);
        };
        let authorization = request.field("proxy-authorization").map(str::to_owned);
        let wanted = self
            .login
            .map(|login| format!("Basic {}", base64(login.as_bytes())));
        let answer = if request.method != "CONNECT" {
            "405 Method Not Allowed"
        } else if wanted.is_some() && wanted != authorization {
            "407 Proxy Authentication Required"
        } else if self.mood == Mood::Refusing {
            "403 Forbidden"
        } else {
            self.asked.lock().unwrap().push(request.path);
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            return Ok(true);
        };
        client.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
        Ok(false)
    }

    /// SOCKS5, its first byte read; answers dribble, one byte a write.
    fn socks(&self, client: &mut Socket) -> io::Result<bool> {
        let methods = counted(client)?;
        let method = if self.login.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            dribble(client, &[5, 0xff])?;
            return Ok(false);
        }
        dribble(client, &[5, method])?;
        if let Some(login) = self.login {
            exactly(client, 1)?;
            let (user, password) = (counted(client)?, counted(client)?);
            let is_right = [&user[..], b":", &password[..]].concat() == login.as_bytes();
            dribble(client, &[1, u8::from(!is_right)])?;
            if !is_right {
                return Ok(false);
            }
        }
        let head = exactly(client, 4)?;
        let host = match head[3] {
            3 => String::from_utf8(counted(client)?).unwrap(),
            1 => exactly(client, 4)?
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join("."),
            other => panic!("address type {other}"),
        };
        let port = exactly(client, 2)?;
        if self.mood == Mood::Refusing {
            dribble(client, &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0])?;
            return Ok(false);
        }
        let port = u16::from_be_bytes([port[0], port[1]]);
        self.asked.lock().unwrap().push(format!("{host}:{port}"));
        // A name as the bound address: its length is its own.
        dribble(client, b"\x05\x00\x00\x03\x05bound\x00\x00")?;
        Ok(true)
    }

    /// Carries bytes both ways until both ends have ended.
    fn carry(&self, client: Socket) -> io::Result<()> {
        let Socket::Tcp(client) = client else {
            panic!("a proxy listens on TCP");
        };
        let target = TcpStream::connect(self.target)?;
        let (mut from_client, mut to_target) = (client.try_clone()?, target.try_clone()?);
        let there = thread::spawn(move || pass(&mut from_client, &mut to_target));
        pass(&mut { target }, &mut { client });
        drop(there.join());
        Ok(())
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    drop(io::copy(from, to));
    drop(to.shutdown(Shutdown::Write));
}

fn exactly(client: &mut Socket, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn counted(client: &mut Socket) -> io::Result<Vec<u8>> {
    let count = exactly(client, 1)?[0];
    exactly(client, usize::from(count))
}

fn dribble(client: &mut Socket, bytes: &[u8]) -> io::Result<()> {
    bytes.iter().try_for_each(|byte| client.write_all(&[*byte]))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .chain(&[0; 2])
            .take(3)
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
            text.push(if place <= group.len() { digit } else { '=' });
        }
    }
    text
}

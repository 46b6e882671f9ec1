//! Listening, accepting and ending: the part that all fakes have in common.
//!
//! One thread accepts, one thread a connection. Dropping a [`Server`] wakes and ends them all.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

/// How often a held connection looks whether its peer or its server has gone.
const LOOK: Duration = Duration::from_millis(50);

/// Where all fakes of this process listen.
static HOST: OnceLock<Ipv4Addr> = OnceLock::new();

/// Lets the fakes that are started from now on listen at this address, in a program that stands in a network of its own.
///
/// # Panics
/// If one listens already.
pub fn listen_at(host: Ipv4Addr) {
    HOST.set(host).expect("no fake listens yet");
}

/// The address at which fakes listen: the loopback's, if nothing else was said.
pub fn host() -> Ipv4Addr {
    *HOST.get_or_init(|| Ipv4Addr::LOCALHOST)
}

/// Says that the server ends; whoever holds a connection waits on it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Waits for so long, or until the end, and tells whether it is the end.
    pub fn wait(&self, duration: Duration) -> bool {
        let (stopped, changed) = &*self.0;
        let (stopped, _) = changed
            .wait_timeout_while(stopped.lock().unwrap(), duration, |stopped| !*stopped)
            .unwrap();
        *stopped
    }

    fn stop(&self) {
        let (stopped, changed) = &*self.0;
        *stopped.lock().unwrap() = true;
        changed.notify_all();
    }
}

/// An accepted connection, of either kind.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Bounds how long one read waits.
    pub fn read_timeout(&self, timeout: Option<Duration>) {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout).unwrap(),
            Self::Unix(stream) => stream.set_read_timeout(timeout).unwrap(),
        }
    }

    /// Says that no more comes, or ends both directions at once.
    pub fn shut(&self, how: Shutdown) {
        match self {
            Self::Tcp(stream) => drop(stream.shutdown(how)),
            Self::Unix(stream) => drop(stream.shutdown(how)),
        }
    }

    fn twin(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    /// Makes the coming close a reset (TCP; a unix socket is just closed).
    pub fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
        }
    }

    /// Holds the connection without a word until the peer closes it or the server ends.
    pub fn hold(&mut self, stop: &Stop) {
        self.read_timeout(Some(LOOK));
        let mut bytes = [0; 4096];
        while !stop.wait(Duration::ZERO) {
            match self.read(&mut bytes) {
                Ok(0) => return,
                Err(error)
                    if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    return;
                }
                _ => {}
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is done with each accepted connection, on a thread of its own.
pub type Handler = Arc<dyn Fn(Socket, &Stop) + Send + Sync>;

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Socket::Tcp(stream)),
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
        }
    }
}

#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A listening fake. It ends when it is dropped.
pub struct Server {
    address: Address,
    handler: Handler,
    stop: Stop,
    open: Arc<Mutex<HashMap<u64, Socket>>>,
    accepting: Option<JoinHandle<()>>,
    /// The port while nobody listens there.
    held: Option<OwnedFd>,
}

impl Server {
    /// Listens on a free port of the loopback, or of [`listen_at`].
    pub fn tcp(handler: Handler) -> Self {
        let listener = TcpListener::bind((host(), 0)).unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        Self::of(address, Listener::Tcp(listener), handler)
    }

    /// Listens on a unix socket at `path`.
    pub fn unix(path: &Path, handler: Handler) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        Self::of(Address::Unix(path.to_owned()), Listener::Unix(listener), handler)
    }

    fn of(address: Address, listener: Listener, handler: Handler) -> Self {
        let mut server = Self {
            address,
            handler,
            stop: Stop::default(),
            open: Arc::default(),
            accepting: None,
            held: None,
        };
        server.accept(listener);
        server
    }

    fn accept(&mut self, listener: Listener) {
        let stop = Stop::default();
        self.stop = stop.clone();
        let handler = Arc::clone(&self.handler);
        let open = Arc::clone(&self.open);
        self.accepting = Some(thread::spawn(move || {
            for number in 0.. {
                let Ok(socket) = listener.accept() else { return };
                if stop.wait(Duration::ZERO) {
                    return;
                }
                if let Ok(twin) = socket.twin() {
                    open.lock().unwrap().insert(number, twin);
                }
                let (handler, stop, open) = (Arc::clone(&handler), stop.clone(), Arc::clone(&open));
                thread::spawn(move || {
                    handler(socket, &stop);
                    open.lock().unwrap().remove(&number);
                });
            }
        }));
    }

    /// The TCP address.
    pub fn address(&self) -> SocketAddr {
        match &self.address {
            Address::Tcp(address) => *address,
            Address::Unix(path) => panic!("{} is no TCP address", path.display()),
        }
    }

    /// The address as a URL: `tcp://host:port` or `unix:///path`.
    pub fn url(&self) -> String {
        match &self.address {
            Address::Tcp(address) => format!("tcp://{address}"),
            Address::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// Stops listening: from now on a connect is refused. Held connections are closed. The port stays taken, so that nobody
    /// else on this machine comes to listen there.
    pub fn close(&mut self) {
        self.stop();
        if let Address::Tcp(address) = self.address
            && self.held.is_none()
        {
            self.held = Some(hold(address));
        }
    }

    fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else {
            return;
        };
        self.stop.stop();
        match &self.address {
            Address::Tcp(address) => drop(TcpStream::connect(address)),
            Address::Unix(path) => {
                drop(UnixStream::connect(path));
                drop(std::fs::remove_file(path));
            }
        }
        drop(accepting.join());
        self.open
            .lock()
            .unwrap()
            .drain()
            .for_each(|(_, socket)| socket.shut(Shutdown::Both));
    }

    /// Listens again on the address that it had.
    pub fn reopen(&mut self) {
        self.close();
        let listener = match &self.address {
            Address::Tcp(_) => {
                let held = self.held.take().unwrap();
                listen(&held, 128).unwrap();
                Listener::Tcp(TcpListener::from(held))
            }
            Address::Unix(path) => Listener::Unix(UnixListener::bind(path).unwrap()),
        };
        self.accept(listener);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes a port without listening there.
fn hold(address: SocketAddr) -> OwnedFd {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        // Connections that have ended do not keep the port from being taken again.
        set_socket_reuseaddr(&socket, true).unwrap();
        match bind(&socket, &address) {
            Ok(()) => return socket,
            // Another process may hold the port for a moment as its own end of a connection.
            Err(error) => assert!(Instant::now() < until, "{address} is not free again: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

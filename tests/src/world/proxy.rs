//! The proxy in front of Telegram: CONNECT (RFC 9110, 9.3.6) or SOCKS5 (RFC 1928 and 1929), read strictly.
//!
//! Behind it stands the Bot API, whose name the proxy alone looks up; what the API can not be reached for, the proxy says. TLS
//! with the API is not made here: that it is begun before anything else is said in the tunnel, and with whom, is judged.

use super::dice::Dice;
use super::peers::{Answer, NO_HTTP};
use super::weather::{Climate, Fault, Weather};
use watchdog_core::net::{Closed, Connection, TlsFault};

/// Where it listens.
pub const PORT: u16 = 3128;
/// The Bot API behind it, a name that no name server of this world is to be asked for.
pub const TARGET: &str = "api.telegram.test";
const TARGET_PORT: u16 = 8443;
/// In the URL of one that asks for a login.
pub const PASSWORD: &str = "proxyPasswordNeverShown";
const USER: &str = "carrier";
/// `carrier:` and the password, in base64.
const LOGIN: &str = "Proxy-Authorization: Basic Y2Fycmllcjpwcm94eVBhc3N3b3JkTmV2ZXJTaG93bg==\r\n";

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Connect,
    Socks,
}

/// What is drawn of it.
#[derive(Clone, Debug)]
pub struct Drawn {
    way: Way,
    guarded: bool,
    /// TLS is spoken through it.
    secure: bool,
    climate: Climate,
}

/// Draws whether there is one, from a sequence of its own.
pub fn draw(seed: u64) -> Option<Drawn> {
    let mut dice = Dice::new(seed ^ 0x7072_6f78_7900_0000);
    dice.chance(30).then(|| Drawn {
        way: dice.pick(&[Way::Connect, Way::Socks]),
        guarded: dice.chance(50),
        secure: dice.chance(60),
        climate: Climate::draw(Fault::OF_PROXIES, &mut dice),
    })
}

impl Drawn {
    /// Takes its faults away.
    pub fn calm_down(&mut self) {
        self.climate.faults.clear();
    }

    /// Tells `WATCHDOG_TELEGRAM_PROXY`.
    pub fn url(&self, host: &str) -> String {
        let scheme = match self.way {
            Way::Connect => "http",
            Way::Socks => "socks5",
        };
        let login = if self.guarded {
            format!("{USER}:{PASSWORD}@")
        } else {
            String::new()
        };
        format!("{scheme}://{login}{host}:{PORT}")
    }

    /// Tells `WATCHDOG_TELEGRAM_API_URL`.
    pub fn target_url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{TARGET}:{TARGET_PORT}")
    }
}

/// What is expected next on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// SOCKS5's greeting.
    Greeting,
    /// SOCKS5's user and password.
    Password,
    /// Whom to connect to.
    Target,
    /// The beginning of TLS.
    Tls,
    /// Whatever is said to the API.
    Open,
    /// Whatever is said to a page that looks like consent as long as its head alone has come.
    Pretended,
    /// Nothing: it was refused.
    Over,
}

/// The proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    drawn: Drawn,
    /// Its weather.
    pub weather: Weather,
    /// Its own dice.
    pub dice: Dice,
    connection: Option<Connection>,
    step: Step,
}

impl Proxy {
    /// One without a connection.
    pub fn new(drawn: &Drawn, seed: u64) -> Self {
        Self {
            weather: drawn.climate.weather(),
            dice: Dice::new(seed ^ 0x7475_6e6e_656c_0000),
            connection: None,
            step: Step::Over,
            drawn: drawn.clone(),
        }
    }

    /// A connection is being made.
    pub fn met(&mut self, connection: Connection, now: u64) -> Option<Fault> {
        self.connection = Some(connection);
        self.step = match self.drawn.way {
            Way::Connect => Step::Target,
            Way::Socks => Step::Greeting,
        };
        self.weather.at(now, &mut self.dice)
    }

    /// Tells whether what is said on a connection is said to the API.
    pub fn is_open(&self, connection: Connection) -> bool {
        self.connection == Some(connection) && self.step == Step::Open
    }

    /// Takes what was said to it, and answers. `beyond` is what is wrong with the API.
    ///
    /// # Errors
    /// It is not what must be said now.
    pub fn said(
        &mut self,
        connection: Connection,
        bytes: &[u8],
        fault: Option<Fault>,
        beyond: Option<Fault>,
    ) -> Result<(Answer, Option<Fault>), String> {
        if self.connection != Some(connection) {
            return Err("bytes for a proxy that was left".to_owned());
        }
        if self.step == Step::Pretended {
            return Ok((Answer::raw(NO_HTTP), fault));
        }
        let expected = self.expected();
        if bytes != expected {
            let said: String = String::from_utf8_lossy(bytes).chars().take(40).collect();
            return Err(format!("{said:?} to the proxy in step {:?}", self.step));
        }
        let step = self.step;
        // One that closes answers nothing, and one that can not reach the API says so, or nothing.
        let (refuses, fault) = match (step, beyond) {
            (Step::Target, Some(Fault::BlackHole)) => (false, Some(Fault::Silent)),
            (Step::Target, Some(Fault::Refused | Fault::Unreachable)) if fault.is_none() => (true, None),
            _ => (matches!(fault, Some(Fault::Broken | Fault::Forbidden)), fault),
        };
        let answer = match (fault, self.drawn.way) {
            (Some(Fault::Garbage), _) => Answer::raw(NO_HTTP),
            (Some(Fault::Page), _) => Answer::raw(b"HTTP/1.1 200 OK\r\n\r\n<html>sign in</html>"),
            (_, Way::Connect) => Answer::raw(self.connect_answer(refuses)),
            (_, Way::Socks) => Answer::raw(&self.socks_answer(refuses)),
        };
        let is_well = !refuses && !matches!(fault, Some(Fault::Garbage | Fault::Page));
        self.step = match step {
            Step::Target if fault == Some(Fault::Page) && self.drawn.way == Way::Connect => Step::Pretended,
            _ if !is_well => Step::Over,
            Step::Greeting if answer.bytes == [5, 2] => Step::Password,
            Step::Greeting | Step::Password => Step::Target,
            _ if self.drawn.secure => Step::Tls,
            _ => Step::Open,
        };
        Ok((answer, fault))
    }

    /// Tells to the byte what must be said now.
    fn expected(&self) -> Vec<u8> {
        let port = TARGET_PORT.to_be_bytes();
        let counted = |text: &str| {
            let length = u8::try_from(text.len()).expect("short");
            [&[length], text.as_bytes()].concat()
        };
        match (self.step, self.drawn.way) {
            (Step::Target, Way::Connect) => {
                let login = if self.drawn.guarded { LOGIN } else { "" };
                let place = format!("{TARGET}:{TARGET_PORT}");
                format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n").into_bytes()
            }
            (Step::Greeting, _) if self.drawn.guarded => vec![5, 2, 0, 2],
            (Step::Greeting, _) => vec![5, 1, 0],
            (Step::Password, _) => [vec![1], counted(USER), counted(PASSWORD)].concat(),
            (Step::Target, _) => [vec![5, 1, 0, 3], counted(TARGET), port.to_vec()].concat(),
            // Nothing is to be said in these; TLS is begun otherwise.
            _ => Vec::new(),
        }
    }

    fn connect_answer(&mut self, refuses: bool) -> &'static [u8] {
        if refuses {
            return self.dice.pick(&[
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
                "HTTP/1.0 502 Bad Gateway\r\nConnection: close\r\n\r\n<html>",
                "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            ])
            .as_bytes();
        }
        self.dice
            .pick(&[
                "HTTP/1.1 200 Connection established\r\n\r\n",
                "HTTP/1.0 200 OK\r\nVia: 1.0 x\r\n\r\n",
                "HTTP/1.1 204 Fine\r\nContent-Length: 0\r\n\r\n",
            ])
            .as_bytes()
    }

    fn socks_answer(&mut self, refuses: bool) -> Vec<u8> {
        let code = u8::try_from(self.dice.between(1, 9)).expect("small");
        match self.step {
            Step::Greeting if refuses => vec![5, 0xff],
            // One that knows its guests by their address asks for no password.
            Step::Greeting if self.drawn.guarded && self.dice.chance(80) => vec![5, 2],
            Step::Greeting => vec![5, 0],
            Step::Password => vec![1, if refuses { code } else { 0 }],
            _ if refuses => vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0],
            _ => match self.dice.below(3) {
                0 => [vec![5, 0, 0, 1], vec![9; 6]].concat(),
                1 => [vec![5, 0, 0, 4], vec![9; 18]].concat(),
                _ => [vec![5, 0, 7, 3, 4], b"name".to_vec(), vec![0, 80]].concat(),
            },
        }
    }

    /// TLS is to begin in the tunnel: how that ends, if it ends.
    ///
    /// # Errors
    /// Not now, or not with this name.
    pub fn secured(
        &mut self,
        connection: Connection,
        name: &str,
        fault: Option<Fault>,
    ) -> Result<Option<Result<(), Closed>>, String> {
        let is_time = matches!(self.step, Step::Tls | Step::Pretended) && self.drawn.secure;
        if self.connection != Some(connection) || !is_time || name != TARGET {
            return Err(format!("TLS with {name:?} in step {:?}", self.step));
        }
        let fault = match self.step {
            Step::Pretended => Some(Fault::Garbage),
            _ => fault,
        };
        self.step = Step::Over;
        Ok(Some(Err(match fault {
            Some(Fault::Silent | Fault::Stall | Fault::BlackHole) => return Ok(None),
            Some(Fault::Garbage) => Closed::Tls(TlsFault::NotTls),
            Some(Fault::Page | Fault::Forbidden) => Closed::Tls(TlsFault::WrongName),
            Some(Fault::Reset) => Closed::Reset,
            Some(Fault::Cut | Fault::Broken) => Closed::ByPeer,
            _ => {
                self.step = Step::Open;
                return Ok(Some(Ok(())));
            }
        })))
    }
}

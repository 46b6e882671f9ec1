//! `/etc/resolv.conf`: whom to ask, and how names are completed (`resolv.conf(5)`).
//!
//! What is missing or malformed is as that page says for a missing line; nothing here is a fault.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use heapless::{String, Vec};

use super::address;
use super::words::{Token, Words};
use crate::limits::HOST_BYTES_MAX;
use crate::time::Millis;

/// Servers that are asked, as everywhere.
pub const SERVERS_MAX: usize = 3;
/// Search domains, as everywhere before glibc 2.26; Kubernetes writes three to five.
pub const SEARCH_MAX: usize = 6;
/// The greatest `ndots`, as everywhere.
pub const NDOTS_MAX: u8 = 15;
/// The greatest number of seconds a try, and of rounds through the servers: above that a probe's own time is long over.
pub const OPTION_MAX: u8 = 5;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conf {
    /// The servers, in the order in which they are asked.
    pub servers: Vec<SocketAddr, SERVERS_MAX>,
    /// The search domains, without dots at their ends.
    pub search: Vec<String<HOST_BYTES_MAX>, SEARCH_MAX>,
    /// Dots from which on a name is tried as it is before the search domains.
    pub ndots: u8,
    /// Seconds that a server has to answer, 1 to [`OPTION_MAX`].
    pub timeout_s: u8,
    /// How often each server is asked, 1 to [`OPTION_MAX`].
    pub attempts: u8,
}

impl Conf {
    /// A configuration that says nothing, not even the defaults. All zero bits.
    pub const EMPTY: Self = Self {
        servers: Vec::new(),
        search: Vec::new(),
        ndots: 0,
        timeout_s: 0,
        attempts: 0,
    };

    /// Sets what holds without a file, but for the servers, of which there are none yet. A try has one second in place
    /// of the customary five: a probe has five in all, and a server that is near answers in a few milliseconds.
    fn set_defaults(&mut self) {
        self.servers.clear();
        self.search.clear();
        self.ndots = 1;
        self.timeout_s = 1;
        self.attempts = 2;
    }

    /// Tells how long a server has to answer.
    #[must_use]
    pub fn try_timeout(&self) -> Millis {
        Millis::from_secs(u64::from(self.timeout_s))
    }

    /// Tells how many tries a question has, over all servers.
    #[must_use]
    pub fn tries(&self) -> u8 {
        let servers = u8::try_from(self.servers.len()).unwrap_or(u8::MAX);
        self.attempts.saturating_mul(servers)
    }

    /// Tells the server of a try, and its place in the list.
    #[must_use]
    pub fn server_of_try(&self, number: u8) -> Option<(usize, SocketAddr)> {
        let place = usize::from(number).checked_rem(self.servers.len())?;
        self.servers.get(place).map(|server| (place, *server))
    }
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    Nameserver,
    Search,
    Domain,
    Options,
    Skipped,
}

/// Reads the file.
pub struct Reader {
    words: Words,
    line: Line,
    conf: Conf,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// Makes a reader; [`Reader::begin`] puts it at the start of a file. All zero bits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words: Words::new(),
            line: Line::Start,
            conf: Conf::EMPTY,
        }
    }

    /// Goes to the start.
    pub fn begin(&mut self) {
        self.words.reset();
        self.line = Line::Start;
        self.conf.set_defaults();
    }

    /// Reads the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Self { words, line, conf } = self;
        words.feed(bytes, &mut |token| take(line, conf, token));
    }

    /// Reads the file's end and tells what it says. Without a usable server that is the host itself.
    pub fn end(&mut self) -> &mut Conf {
        let Self { words, line, conf } = self;
        words.end(&mut |token| take(line, conf, token));
        if conf.servers.is_empty() {
            push_server(conf, IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        conf
    }
}

fn take(line: &mut Line, conf: &mut Conf, token: Token<'_>) {
    let Token::Word(word) = token else {
        *line = Line::Start;
        return;
    };
    match *line {
        Line::Start => {
            *line = begin_line(conf, word);
        }
        Line::Nameserver => {
            // Names of interfaces behind an address are skipped with it: only a kernel knows their numbers.
            if let Some(address) = address::parse(word) {
                push_server(conf, address);
            }
            *line = Line::Skipped;
        }
        Line::Search => push_search(conf, word),
        Line::Domain => {
            push_search(conf, word);
            *line = Line::Skipped;
        }
        Line::Options => set_option(conf, word),
        Line::Skipped => {}
    }
}

fn begin_line(conf: &mut Conf, keyword: &str) -> Line {
    match keyword {
        "nameserver" => Line::Nameserver,
        "search" => {
            // The last line of the two kinds is the one that counts.
            conf.search.clear();
            Line::Search
        }
        "domain" => {
            conf.search.clear();
            Line::Domain
        }
        "options" => Line::Options,
        _ => Line::Skipped,
    }
}

fn push_server(conf: &mut Conf, address: IpAddr) {
    let _ = conf.servers.push(SocketAddr::new(address, 53));
}

fn push_search(conf: &mut Conf, word: &str) {
    let domain = word.strip_suffix('.').unwrap_or(word);
    if domain.is_empty() {
        return;
    }
    if let Ok(domain) = String::try_from(domain) {
        let _ = conf.search.push(domain);
    }
}

fn set_option(conf: &mut Conf, word: &str) {
    let option = |name: &str| {
        let value = word.strip_prefix(name)?.strip_prefix(':')?;
        let value = value.parse::<u32>().ok()?;
        Some(u8::try_from(value).unwrap_or(u8::MAX))
    };
    if let Some(dots) = option("ndots") {
        conf.ndots = dots.min(NDOTS_MAX);
    } else if let Some(seconds) = option("timeout") {
        conf.timeout_s = in_bounds(seconds);
    } else if let Some(rounds) = option("attempts") {
        conf.attempts = in_bounds(rounds);
    }
}

fn in_bounds(value: u8) -> u8 {
    value.clamp(1, OPTION_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    extern crate std;

    fn read(file: &str) -> Conf {
        let mut reader = Reader::new();
        reader.begin();
        reader.feed(file.as_bytes());
        let conf = reader.end().clone();
        reader.begin();
        file.as_bytes().chunks(1).for_each(|byte| reader.feed(byte));
        assert_eq!(*reader.end(), conf, "where the bytes are cut changes nothing");
        conf
    }

    fn servers(file: &str) -> Vec<std::string::String> {
        read(file).servers.iter().map(ToString::to_string).collect()
    }

    /// Without a file, or with one that says nothing, the host itself is asked, once a second, twice.
    #[test]
    fn defaults() {
        for file in [
            "",
            "# nothing\n; nothing\n",
            "nameserver\nnameserver x\noptions\n",
            "\u{0}\u{1}",
        ] {
            let conf = read(file);
            assert_eq!(servers(file), ["127.0.0.1:53"], "{file:?}");
            assert!(conf.search.is_empty());
            assert_eq!(
                (conf.ndots, conf.timeout_s, conf.attempts, conf.tries()),
                (1, 1, 2, 2)
            );
        }
    }

    /// Three servers of either family; zones and nonsense are skipped, and so is what follows an address.
    #[test]
    fn nameservers() {
        let file = "nameserver 10.0.0.1 10.9.9.9\nnameserver fe80::1%eth0\n  nameserver\t2001:db8::1 # x\n\
            nameserver 10.0.0.300\nnameserver 10.0.0.2\nnameserver 10.0.0.3";
        assert_eq!(servers(file), ["10.0.0.1:53", "[2001:db8::1]:53", "10.0.0.2:53"]);
    }

    /// The last of `search` and `domain` counts; dots at the end go, six are kept.
    #[test]
    fn search_domains() {
        let search = |file: &str| -> Vec<std::string::String> {
            read(file)
                .search
                .iter()
                .map(|domain| domain.as_str().to_string())
                .collect()
        };
        assert_eq!(search("domain a.b\nsearch c.d. e . f\n"), ["c.d", "e", "f"]);
        assert_eq!(search("search c.d e\ndomain a.b x\n"), ["a.b"]);
        assert_eq!(search("search 1 2 3 4 5 6 7\n"), ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(search(&std::format!("search {} a\n", "x".repeat(300))), ["a"]);
    }

    /// Options are held within their bounds, and nonsense leaves what was.
    #[test]
    fn options() {
        let conf = read("options ndots:5 rotate timeout:3 attempts:4\n");
        assert_eq!((conf.ndots, conf.timeout_s, conf.attempts), (5, 3, 4));
        let conf = read("options ndots:99 timeout:0 attempts:4000000000\n");
        assert_eq!(
            (conf.ndots, conf.timeout_s, conf.attempts),
            (NDOTS_MAX, 1, OPTION_MAX)
        );
        let conf = read("options ndots: timeout:x attempts:-1 ndots\n");
        assert_eq!((conf.ndots, conf.timeout_s, conf.attempts), (1, 1, 2));
    }

    /// Tries go round the servers in their order.
    #[test]
    fn tries_go_round() {
        let conf = read("nameserver 10.0.0.1\nnameserver 10.0.0.2\n");
        let places: Vec<usize> = (0..conf.tries())
            .map(|number| conf.server_of_try(number).unwrap().0)
            .collect();
        assert_eq!(places, [0, 1, 0, 1]);
        assert!(Conf::EMPTY.server_of_try(0).is_none());
    }
}

//! One name: where its addresses come from, what is remembered of them, and the questions that are under way for it.
//!
//! A *round* finds the name's addresses anew. It goes through the name's candidates (the search domains, the name
//! itself), asks each for both families at once, each question at one server after the other, and ends with addresses,
//! with the knowledge that there are none, or with DNS being down. Only the second of these forgets a good answer.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::String;

use super::address;
use super::ask::{Ask, Step};
use super::message::{FullName, Question, Reply};
use super::resolv_conf::Conf;
use super::{Addresses, Family, Fault, Lookup};
use crate::limits::HOST_BYTES_MAX;
use crate::planted::{Planted, is_planted};
use crate::random::Random;
use crate::time::{Instant, Millis};

/// The least time that an answer holds: a time to live of zero would mean a question for every connection.
pub const TTL_MIN: Millis = Millis::from_secs(5);
/// The longest time that an answer holds: a name that moves is followed within it, whatever its zone says.
pub const TTL_MAX: Millis = Millis::from_secs(600);
/// How long a failure holds before the name is asked again.
pub const FAILURE_HOLDS: Millis = Millis::from_secs(5);
/// The longest time between two rounds while DNS is down and the last good answer is served.
pub const BACK_OFF_MAX: Millis = Millis::from_secs(60);
/// How long the addresses of one family wait for those of the other: some servers drop what they do not know.
pub const OTHER_FAMILY_WAIT: Millis = Millis::from_millis(300);
/// How long a round may take before the last good answer is served in its place: the time of one try.
pub const STALE_AFTER: Millis = Millis::from_secs(1);

/// What every step of a round needs to know.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) conf: &'a Conf,
    pub(super) random: &'a mut Random,
}

/// Where a name's addresses come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// From the hosts file, else from DNS; `search` applies.
    Relative,
    /// The same for a name that ends with a dot: as it is, alone.
    Absolute,
    /// From itself: it is an address.
    Literal,
    /// From the hosts file, else it is this host (RFC 6761, 6.3): a container may have no hosts file.
    Localhost,
    /// From nowhere.
    Bad,
}

/// The search for a name's addresses.
struct Round {
    /// Whether the round is under way.
    is_running: bool,
    /// Whether it has taken longer than [`STALE_AFTER`].
    is_late: bool,
    begun: Instant,
    candidate: usize,
    /// When the family that has addresses stops waiting for the other.
    grace: Option<Instant>,
    /// What an earlier candidate came to: the name exists without an address.
    exists: bool,
    /// What an earlier candidate failed of.
    trouble: Option<Fault>,
    v4: Ask,
    v6: Ask,
}

/// One name.
pub(super) struct Entry {
    /// In lower case, without the dot at its end.
    host: String<HOST_BYTES_MAX>,
    kind: Kind,
    /// What the hosts file says, and what the one says that is being read.
    hosts: Addresses,
    hosts_read: Addresses,
    /// The last good answer, and until when it is fresh.
    known: Addresses,
    fresh_until: Instant,
    /// Why the last round found nothing; no new round before this time.
    fault: Fault,
    ask_again: Instant,
    /// Rounds in a row that found DNS down.
    down_rounds: u8,
    preferred: Option<IpAddr>,
    round: Round,
}

impl Entry {
    /// Takes a name; none if it is too long to be kept.
    pub(super) fn new(host: &str) -> Option<Self> {
        let (bare, kind) = match host.strip_suffix('.') {
            Some(bare) => (bare, Kind::Absolute),
            None => (host, Kind::Relative),
        };
        let mut text = String::try_from(bare).ok()?;
        text.make_ascii_lowercase();
        let mut entry = Self {
            host: text,
            kind,
            hosts: Addresses::new(),
            hosts_read: Addresses::new(),
            known: Addresses::new(),
            fresh_until: Instant::ZERO,
            fault: Fault::BadName,
            ask_again: Instant::ZERO,
            down_rounds: 0,
            preferred: None,
            round: Round {
                is_running: false,
                is_late: false,
                begun: Instant::ZERO,
                candidate: 0,
                grace: None,
                exists: false,
                trouble: None,
                v4: Ask::idle(),
                v6: Ask::idle(),
            },
        };
        entry.classify();
        Some(entry)
    }

    fn classify(&mut self) {
        let host = self.host.as_str();
        if let Some(address) = address::parse(host) {
            let _ = self.known.push(address);
            self.kind = Kind::Literal;
        } else if host == "localhost" || host.ends_with(".localhost") {
            let _ = self.known.push(Ipv6Addr::LOCALHOST.into());
            let _ = self.known.push(Ipv4Addr::LOCALHOST.into());
            self.kind = Kind::Localhost;
        } else if !self.whole_name().is_valid() {
            self.kind = Kind::Bad;
        }
    }

    /// Tells whether it is an address, which needs no looking up.
    pub(super) fn is_address(&self) -> bool {
        self.kind == Kind::Literal
    }

    /// Tells whether this is the entry of a name as it was registered.
    pub(super) fn is_for(&self, host: &str) -> bool {
        let bare = host.strip_suffix('.');
        let is_absolute = self.kind == Kind::Absolute;
        // For all other kinds the dot at the end makes no difference.
        let same_dot = bare.is_some() == is_absolute || !matches!(self.kind, Kind::Absolute | Kind::Relative);
        same_dot && self.host.eq_ignore_ascii_case(bare.unwrap_or(host))
    }

    /// Tells what is known, and begins a round if it is time to know more.
    pub(super) fn lookup(&mut self, context: &mut Context<'_>) -> Lookup<'_> {
        match self.kind {
            Kind::Bad => return Lookup::Failed(Fault::BadName),
            Kind::Literal => return Lookup::Ready(&self.known),
            _ if !self.hosts.is_empty() => return Lookup::Ready(&self.hosts),
            Kind::Localhost => return Lookup::Ready(&self.known),
            Kind::Relative | Kind::Absolute => {}
        }
        let is_known = !self.known.is_empty();
        if is_known && context.now < self.fresh_until {
            return Lookup::Ready(&self.known);
        }
        if !self.round.is_running && context.now >= self.ask_again {
            self.begin_round(context);
        }
        let is_prompt = self.round.is_running && !self.round.is_late && self.down_rounds == 0;
        if is_known && !is_prompt {
            return Lookup::Stale(&self.known);
        }
        if self.round.is_running {
            return Lookup::Pending;
        }
        Lookup::Failed(self.fault)
    }

    /// Tells what the files or the name alone say, before there is a server to ask.
    pub(super) fn lookup_without_servers(&self) -> Lookup<'_> {
        match self.kind {
            Kind::Bad => Lookup::Failed(Fault::BadName),
            Kind::Literal => Lookup::Ready(&self.known),
            _ if !self.hosts.is_empty() => Lookup::Ready(&self.hosts),
            _ => Lookup::Pending,
        }
    }

    /// Puts the address that worked in front, now and in later answers.
    pub(super) fn prefer(&mut self, address: IpAddr) {
        self.preferred = Some(address);
        put_in_front(&mut self.hosts, self.preferred);
        put_in_front(&mut self.known, self.preferred);
    }

    // The hosts file.

    pub(super) fn hosts_begin(&mut self) {
        self.hosts_read.clear();
    }

    pub(super) fn hosts_line(&mut self, address: IpAddr, name: &str) {
        let is_ours = !matches!(self.kind, Kind::Literal | Kind::Bad)
            && self.host.eq_ignore_ascii_case(name)
            && !self.hosts_read.contains(&address);
        if is_ours {
            let _ = self.hosts_read.push(address);
        }
    }

    pub(super) fn hosts_end(&mut self) {
        self.hosts = in_turn(&self.hosts_read, &[]);
        put_in_front(&mut self.hosts, self.preferred);
    }

    // Rounds.

    /// Begins again with what is under way, and forgets failures: there are other servers now.
    pub(super) fn restart(&mut self, context: &mut Context<'_>) {
        self.ask_again = Instant::ZERO;
        self.down_rounds = 0;
        if self.round.is_running {
            self.begin_round(context);
        }
    }

    fn begin_round(&mut self, context: &mut Context<'_>) {
        self.round.is_running = true;
        self.round.is_late = false;
        self.round.begun = context.now;
        self.round.candidate = 0;
        self.round.exists = false;
        self.round.trouble = None;
        self.ask_candidate(context);
    }

    /// Asks the next candidate that can stand in a question, or ends the round.
    fn ask_candidate(&mut self, context: &mut Context<'_>) {
        loop {
            match self.candidate(context.conf) {
                None => return self.no_candidate_left(context.now),
                Some(name) if name.is_valid() => break,
                Some(_too_long) => self.round.candidate = self.round.candidate.saturating_add(1),
            }
        }
        self.round.grace = None;
        self.round.v4.begin(context.random);
        self.round.v6.begin(context.random);
    }

    fn whole_name(&self) -> FullName<'_> {
        FullName {
            host: self.host.as_str(),
            suffix: "",
        }
    }

    /// Tells the name that is asked now. Names with few dots are most likely local, so the domains come first.
    fn candidate<'a>(&'a self, conf: &'a Conf) -> Option<FullName<'a>> {
        let domains = if self.kind == Kind::Absolute {
            0
        } else {
            conf.search.len()
        };
        let dots = self.host.bytes().filter(|byte| *byte == b'.');
        let dots = dots.fold(0_u8, |count, _dot| count.saturating_add(1));
        let whole_at = if dots >= conf.ndots { 0 } else { domains };
        let number = self.round.candidate;
        if number == whole_at {
            return Some(self.whole_name());
        }
        let domain = number.saturating_sub(usize::from(number > whole_at));
        (domain < domains)
            .then(|| conf.search.get(domain))?
            .map(|suffix| FullName {
                host: self.host.as_str(),
                suffix: suffix.as_str(),
            })
    }

    /// Ends the tries and waits whose time is over.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) {
        if !self.round.is_running {
            return;
        }
        let now = context.now;
        self.round.is_late |= now.since(self.round.begun) >= STALE_AFTER;
        self.round.v4.expire(now, context.conf);
        self.round.v6.expire(now, context.conf);
        self.settle(context);
    }

    /// Tells when something is to be done if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if !self.round.is_running {
            return None;
        }
        let becomes_late = !self.round.is_late && !self.known.is_empty();
        let late = becomes_late.then(|| self.round.begun.after(STALE_AFTER));
        let asks = [
            self.round.v4.deadline(),
            self.round.v6.deadline(),
            late,
            self.round.grace,
        ];
        asks.into_iter().flatten().min()
    }

    /// Acts on what both questions came to.
    fn settle(&mut self, context: &mut Context<'_>) {
        let steps = [self.round.v4.step, self.round.v6.step];
        let is_open = steps.iter().any(|step| step.is_open());
        let one_says = |step: Step| steps.contains(&step);
        // Either tells so much that the other is waited for only briefly: some servers drop questions of a type that
        // they do not know, and some deny the whole name because of it (RFC 4074, 4.2).
        if one_says(Step::Found) || one_says(Step::NoName) {
            let grace = context.now.after(OTHER_FAMILY_WAIT);
            let grace = *self.round.grace.get_or_insert(grace);
            if is_open && context.now < grace {
                return;
            }
        } else if is_open {
            return;
        }
        if one_says(Step::Found) {
            return self.succeed(context.now);
        }
        if one_says(Step::NoData) {
            self.round.exists = true;
        }
        if one_says(Step::NoName) || steps == [Step::NoData; 2] {
            return self.next_candidate(context);
        }
        if one_says(Step::Lost(Fault::TimedOut)) {
            // Every further candidate would take as long again.
            return self.down(context.now, Fault::TimedOut);
        }
        self.round.trouble = steps.iter().find_map(|step| match step {
            Step::Lost(fault) => Some(*fault),
            _ => None,
        });
        self.next_candidate(context);
    }

    fn next_candidate(&mut self, context: &mut Context<'_>) {
        self.round.candidate = self.round.candidate.saturating_add(1);
        self.ask_candidate(context);
    }

    fn no_candidate_left(&mut self, now: Instant) {
        match self.round.trouble {
            // One of the candidates might have been it.
            Some(fault) => self.down(now, fault),
            None if self.round.exists => self.has_none(now, Fault::NoAddress),
            None => self.has_none(now, Fault::NoSuchName),
        }
    }

    fn end_round(&mut self) {
        self.round.is_running = false;
        self.round.grace = None;
        self.round.v4.step = Step::Idle;
        self.round.v6.step = Step::Idle;
    }

    fn succeed(&mut self, now: Instant) {
        let asks = [&self.round.v4, &self.round.v6];
        let found = asks.into_iter().filter(|ask| ask.step == Step::Found);
        let ttl_s = found.map(|ask| ask.ttl_s).min().unwrap_or(0);
        // One that was not answered holds no addresses.
        self.known = in_turn(&self.round.v4.addresses, &self.round.v6.addresses);
        put_in_front(&mut self.known, self.preferred);
        let ttl = Millis::from_secs(u64::from(ttl_s)).max(TTL_MIN).min(TTL_MAX);
        self.fresh_until = now.after(ttl);
        self.down_rounds = 0;
        self.ask_again = Instant::ZERO;
        self.end_round();
    }

    /// Keeps the knowledge that the name has no address; an earlier answer counts no more.
    fn has_none(&mut self, now: Instant, fault: Fault) {
        self.known.clear();
        self.fault = fault;
        self.down_rounds = 0;
        self.ask_again = now.after(FAILURE_HOLDS);
        self.end_round();
    }

    /// Keeps the last good answer and waits, the longer the longer DNS is down. Without one there is nothing to live
    /// on, so it is asked again soon.
    fn down(&mut self, now: Instant, fault: Fault) {
        let doublings = u32::from(self.down_rounds);
        let back_off = FAILURE_HOLDS
            .times(1_u64.checked_shl(doublings).unwrap_or(u64::MAX))
            .min(BACK_OFF_MAX);
        if is_planted(Planted::AddressForgotten) {
            self.known.clear();
        }
        self.fault = fault;
        self.down_rounds = self.down_rounds.saturating_add(1);
        self.ask_again = now.after(if self.known.is_empty() {
            FAILURE_HOLDS
        } else {
            back_off
        });
        self.end_round();
    }

    // Questions and answers.

    pub(super) const fn ask(&self, family: Family) -> &Ask {
        match family {
            Family::V4 => &self.round.v4,
            Family::V6 => &self.round.v6,
        }
    }

    pub(super) const fn ask_mut(&mut self, family: Family) -> &mut Ask {
        match family {
            Family::V4 => &mut self.round.v4,
            Family::V6 => &mut self.round.v6,
        }
    }

    pub(super) fn question<'a>(&'a self, family: Family, conf: &'a Conf) -> Option<Question<'a>> {
        Some(Question {
            id: self.ask(family).id,
            name: self.candidate(conf)?,
            family,
        })
    }

    /// Tells the place of the server whose turn it is.
    pub(super) fn server_place(&self, family: Family, conf: &Conf) -> Option<usize> {
        conf.server_of_try(self.ask(family).tries)
            .map(|(place, _server)| place)
    }

    pub(super) fn answered(&mut self, family: Family, reply: Reply, context: &mut Context<'_>) {
        let (now, conf) = (context.now, context.conf);
        self.ask_mut(family).take(reply, now, conf);
        self.settle(context);
    }

    pub(super) fn try_failed(&mut self, family: Family, fault: Fault, context: &mut Context<'_>) {
        let conf = context.conf;
        self.ask_mut(family).try_failed(fault, conf);
        self.settle(context);
    }
}

/// Puts two lists together, the families in turn, IPv6 first (RFC 8305, 4), each in its order.
fn in_turn(one: &[IpAddr], other: &[IpAddr]) -> Addresses {
    let all = || one.iter().chain(other).copied();
    let mut v6 = all().filter(IpAddr::is_ipv6);
    let mut v4 = all().filter(IpAddr::is_ipv4);
    let mut addresses = Addresses::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return addresses;
        }
        for address in pair.into_iter().flatten() {
            let _ = addresses.push(address);
        }
    }
}

/// Moves one address to the front, if it is there; the ones before it move up by one place.
fn put_in_front(addresses: &mut Addresses, preferred: Option<IpAddr>) {
    let Some(preferred) = preferred.filter(|address| addresses.contains(address)) else {
        return;
    };
    let mut carried = preferred;
    for place in addresses.iter_mut() {
        carried = core::mem::replace(place, carried);
        if carried == preferred {
            return;
        }
    }
}

//! What lies between the watchdog and its peers: two network namespaces, and a thread of this program that carries each packet.
//!
//! The watchdog stands in the near namespace, the peers in the far one, in which this program runs. Each has a TUN device,
//! and what one sends, the other gets: late, out of order, twice, damaged, or never, as [`Conditions`] say. That is what the
//! kernel's netem does, which many kernels lack. Where there is no TUN device either, both stand on one loopback device, and
//! iptables and tc do what they can. No packet leaves the machine. Its tests: below; the devices themselves by each run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::faults::{Dice, Fault, run};

/// The watchdog's address, of a network that is kept for tests of networks (RFC 2544).
const NEAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The address of all peers.
const FAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// The longest packet.
const PACKET_BYTES_MAX: u16 = 1500;
/// A narrow line holds back what it can send within this, and loses the rest, as a router does.
const QUEUE_MAX: Duration = Duration::from_secs(2);
/// How narrow: 16 kbit/s, a TLS handshake takes more than a second.
const NARROW_BYTES_PER_S: u64 = 2000;

/// What happens to packets, in both directions. The parts are percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// All are lost.
    cut: bool,
    lost: u64,
    /// One bit of them is turned over; the checksums must find it.
    damaged: u64,
    doubled: u64,
    /// Each comes so much later,
    delay_ms: u64,
    /// and up to so much later still: what was sent later may come earlier.
    jitter_ms: u64,
    bytes_per_s: Option<u64>,
}

impl Conditions {
    /// The conditions of a fault of the network; none if the fault is another one.
    pub fn of(fault: Fault, dice: &mut Dice) -> Option<Self> {
        let fair = Self::default();
        Some(match fault {
            Fault::Drizzle => Self {
                doubled: 30,
                delay_ms: 2,
                jitter_ms: 40,
                ..fair
            },
            Fault::Loss => Self {
                lost: 10 + dice.below(40),
                ..fair
            },
            Fault::Partition => Self { cut: true, ..fair },
            Fault::Narrow => Self {
                bytes_per_s: Some(NARROW_BYTES_PER_S),
                ..fair
            },
            Fault::Delay => Self {
                delay_ms: 100 + dice.below(500),
                jitter_ms: dice.below(100),
                ..fair
            },
            Fault::Disorder => Self {
                delay_ms: 1,
                jitter_ms: 100 + dice.below(400),
                ..fair
            },
            Fault::Damage => Self {
                damaged: 5 + dice.below(40),
                ..fair
            },
            Fault::Foul => Self {
                lost: 5 + dice.below(10),
                damaged: 5,
                doubled: 50,
                delay_ms: 20 + dice.below(100),
                jitter_ms: 150,
                ..fair
            },
            _ => return None,
        })
    }
}

/// What has happened to packets so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packets {
    /// Sent, by either side.
    pub sent: u64,
    /// Lost, cut off or crowded out.
    pub lost: u64,
    /// Carried with a bit turned over.
    pub damaged: u64,
    /// Carried twice.
    pub doubled: u64,
    /// Sent later and delivered earlier than another one.
    pub overtaking: u64,
}

/// The conditions, and what came of them: both directions share them.
#[derive(Debug, Default)]
pub struct Sky {
    conditions: Conditions,
    packets: Packets,
}

/// What lies between.
pub enum Link {
    /// Threads that carry packets between two namespaces.
    Carried { near: File, sky: Arc<Mutex<Sky>> },
    /// One loopback device, for want of TUN devices.
    Loopback,
}

impl Link {
    /// Joins a namespace for the watchdog to the one that this program is in; if that cannot be done, says so aloud, and
    /// makes do with the loopback device.
    pub fn start(seed: u64) -> Self {
        run(&["ip", "link", "set", "lo", "up"]);
        Self::carried(seed).unwrap_or_else(|why| {
            eprintln!(
                "weather: no TUN device ({why}): no delay, disorder, doubling or damage; packets are lost and held back on the \
                 loopback device"
            );
            Self::Loopback
        })
    }

    fn carried(seed: u64) -> std::io::Result<Self> {
        let near = new_namespace()?;
        let far_device = Arc::new(device("far", FAR, NEAR)?);
        let near_device = Arc::new(within(&near, || device("near", NEAR, FAR))?);
        let sky = Arc::new(Mutex::new(Sky::default()));
        carry(&near_device, &far_device, &sky, Dice::new(seed ^ 0x6e65_6172));
        carry(&far_device, &near_device, &sky, Dice::new(seed ^ 0x0066_6172));
        Ok(Self::Carried { near, sky })
    }

    /// Where the peers must listen.
    pub fn peers(&self) -> Ipv4Addr {
        match self {
            Self::Carried { .. } => FAR,
            Self::Loopback => Ipv4Addr::LOCALHOST,
        }
    }

    /// Does something, such as starting a process, on the watchdog's side.
    pub fn near<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        match self {
            Self::Carried { near, .. } => within(near, act),
            Self::Loopback => act(),
        }
    }

    /// Whether it can do this to packets, or the fault is not one of packets.
    pub fn can(&self, fault: Fault) -> bool {
        match self {
            Self::Carried { .. } => true,
            Self::Loopback => !matches!(
                fault,
                Fault::Delay | Fault::Disorder | Fault::Damage | Fault::Foul
            ),
        }
    }

    /// Lets this happen to packets, if it is a fault of packets.
    pub fn begin(&self, fault: Fault, dice: &mut Dice) {
        match self {
            Self::Carried { sky, .. } => {
                if let Some(conditions) = Conditions::of(fault, dice) {
                    sky.lock().unwrap().conditions = conditions;
                }
            }
            Self::Loopback => begin_on_loopback(fault, dice),
        }
    }

    /// Carries all packets as they are again.
    pub fn end(&self, fault: Fault) {
        match (self, fault) {
            (Self::Carried { sky, .. }, _) => sky.lock().unwrap().conditions = Conditions::default(),
            (Self::Loopback, Fault::Loss | Fault::Partition) => run(&["iptables", "-F", "INPUT"]),
            (Self::Loopback, Fault::Narrow) => run(&["tc", "qdisc", "del", "dev", "lo", "root"]),
            (Self::Loopback, _) => {}
        }
    }

    /// What has happened to packets; none if they are not carried here.
    pub fn packets(&self) -> Option<Packets> {
        match self {
            Self::Carried { sky, .. } => Some(sky.lock().unwrap().packets),
            Self::Loopback => None,
        }
    }
}

fn begin_on_loopback(fault: Fault, dice: &mut Dice) {
    let packets = ["iptables", "-A", "INPUT", "-p", "tcp"];
    let rule = |more: &[&str]| run(&[&packets[..], more].concat());
    match fault {
        Fault::Loss => {
            let part = format!("0.{}", 1 + dice.below(4));
            let random = ["-m", "statistic", "--mode", "random", "--probability", &part];
            rule(&[&random[..], &["-j", "DROP"]].concat());
        }
        Fault::Partition => rule(&["-j", "DROP"]),
        Fault::Narrow => {
            let line = ["rate", "16kbit", "burst", "4kb", "latency", "2s"];
            let root = ["tc", "qdisc", "replace", "dev", "lo", "root", "tbf"];
            run(&[&root[..], &line].concat());
        }
        _ => {}
    }
}

/// A namespace that lives as long as the file: a process makes it, and ends.
fn new_namespace() -> std::io::Result<File> {
    let mut maker = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", "echo made; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = [0; 5];
    maker
        .stdout
        .take()
        .expect("it was asked for")
        .read_exact(&mut said)?;
    let namespace = File::open(format!("/proc/{}/ns/net", maker.id()))?;
    drop(maker.stdin.take());
    maker.wait()?;
    Ok(namespace)
}

/// Does something in another namespace, on a thread that ends with it, since a namespace is a thread's.
fn within<T: Send>(namespace: &File, act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let there = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("a namespace");
            act()
        });
        there.join().expect("it panicked in the namespace")
    })
}

fn device(name: &str, here: Ipv4Addr, there: Ipv4Addr) -> std::io::Result<SyncDevice> {
    let device = DeviceBuilder::new()
        .name(name)
        .mtu(PACKET_BYTES_MAX)
        .build_sync()?;
    let (here, there) = (here.to_string(), there.to_string());
    run(&["ip", "addr", "add", &here, "peer", &there, "dev", name]);
    run(&["ip", "link", "set", name, "up"]);
    Ok(device)
}

/// A packet on its way, and when it arrives.
type Flight = (Instant, Vec<u8>);

/// Carries packets in one direction for as long as this program runs.
fn carry(from: &Arc<SyncDevice>, into: &Arc<SyncDevice>, sky: &Arc<Mutex<Sky>>, dice: Dice) {
    let (from, into, sky) = (Arc::clone(from), Arc::clone(into), Arc::clone(sky));
    let (sender, receiver) = channel();
    thread::spawn(move || take(&from, &sender, &sky, dice));
    thread::spawn(move || deliver(&receiver, &into));
}

fn take(from: &SyncDevice, into: &Sender<Flight>, sky: &Mutex<Sky>, dice: Dice) {
    let mut lane = Lane::new(dice);
    let mut bytes = [0; PACKET_BYTES_MAX as usize];
    loop {
        let got = from.recv(&mut bytes).expect("a packet of the TUN device");
        let flights = lane.carry(&bytes[..got], Instant::now(), &mut sky.lock().unwrap());
        for flight in flights {
            if into.send(flight).is_err() {
                return;
            }
        }
    }
}

fn deliver(from: &Receiver<Flight>, into: &SyncDevice) {
    let mut waiting = BTreeMap::new();
    for number in 0_u64.. {
        let next = match waiting.first_key_value() {
            None => from.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(((due, _), _)) => from.recv_timeout(Instant::saturating_duration_since(due, Instant::now())),
        };
        match next {
            Ok((due, packet)) => drop(waiting.insert((due, number), packet)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(first) = waiting.first_entry()
            && first.key().0 <= Instant::now()
        {
            // What the kernel does not take is one more lost packet.
            drop(into.send(&first.remove()));
        }
    }
}

/// One direction: what becomes of each packet.
struct Lane {
    dice: Dice,
    /// When a narrow line has sent all that it holds.
    free_at: Option<Instant>,
    latest: Option<Instant>,
}

impl Lane {
    fn new(dice: Dice) -> Self {
        Self {
            dice,
            free_at: None,
            latest: None,
        }
    }

    fn carry(&mut self, packet: &[u8], now: Instant, sky: &mut Sky) -> Vec<Flight> {
        let (conditions, packets) = (sky.conditions, &mut sky.packets);
        packets.sent += 1;
        let sent_at = self.through(packet.len() as u64, now, conditions.bytes_per_s);
        let Some(sent_at) = sent_at.filter(|_| !conditions.cut && !self.dice.percent(conditions.lost)) else {
            packets.lost += 1;
            return Vec::new();
        };
        let mut packet = packet.to_vec();
        if self.dice.percent(conditions.damaged) {
            packets.damaged += 1;
            self.damage(&mut packet);
        }
        let mut flights = Vec::new();
        if self.dice.percent(conditions.doubled) {
            packets.doubled += 1;
            flights.push((self.arrives(sent_at, conditions), packet.clone()));
        }
        flights.push((self.arrives(sent_at, conditions), packet));
        for (due, _) in &flights {
            packets.overtaking += u64::from(self.latest.is_some_and(|latest| *due < latest));
            self.latest = self.latest.max(Some(*due));
        }
        flights
    }

    /// When the last of so many bytes has been sent; none if they would have to wait for too long.
    fn through(&mut self, bytes: u64, now: Instant, bytes_per_s: Option<u64>) -> Option<Instant> {
        let Some(bytes_per_s) = bytes_per_s else {
            self.free_at = None;
            return Some(now);
        };
        let begins = self.free_at.unwrap_or(now).max(now);
        let ends = begins + Duration::from_millis(bytes * 1000 / bytes_per_s);
        let fits = begins <= now + QUEUE_MAX;
        if fits {
            self.free_at = Some(ends);
        }
        fits.then_some(ends)
    }

    fn arrives(&mut self, sent_at: Instant, conditions: Conditions) -> Instant {
        let later_ms = conditions.delay_ms + self.dice.below(conditions.jitter_ms + 1);
        sent_at + Duration::from_millis(later_ms)
    }

    fn damage(&mut self, packet: &mut [u8]) {
        let bits = packet.len() as u64 * 8;
        let bit = usize::try_from(self.dice.below(bits.max(1))).expect("a short packet");
        if let Some(byte) = packet.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries so many packets of 100 bytes, a millisecond apart.
    fn carried(conditions: Conditions, count: u64) -> (Vec<Flight>, Packets) {
        let mut sky = Sky {
            conditions,
            packets: Packets::default(),
        };
        let mut lane = Lane::new(Dice::new(7));
        let start = Instant::now();
        let flights = (0..count).flat_map(|number| {
            let now = start + Duration::from_millis(number);
            lane.carry(&[0x55; 100], now, &mut sky)
        });
        (flights.collect(), sky.packets)
    }

    /// In fair weather each packet arrives once, at once, as it was, in order.
    #[test]
    fn fair_weather_changes_nothing() {
        let (flights, packets) = carried(Conditions::default(), 100);
        assert_eq!(flights.len(), 100);
        assert!(flights.is_sorted_by_key(|(due, _)| *due));
        assert!(flights.iter().all(|(_, packet)| packet == &[0x55; 100]));
        assert_eq!(
            packets.lost + packets.damaged + packets.doubled + packets.overtaking,
            0
        );
    }

    /// Each fault of packets does what its name says, and what is counted is what was done.
    #[test]
    fn each_condition_does_what_it_says() {
        let fair = Conditions::default();
        let (flights, packets) = carried(Conditions { cut: true, ..fair }, 100);
        assert!(flights.is_empty() && packets.lost == 100);

        let (flights, packets) = carried(Conditions { lost: 30, ..fair }, 1000);
        assert!((200..400).contains(&packets.lost), "{packets:?}");
        assert_eq!(flights.len() as u64, 1000 - packets.lost);

        let (flights, packets) = carried(Conditions { doubled: 30, ..fair }, 1000);
        assert_eq!(flights.len() as u64, 1000 + packets.doubled);
        assert!((200..400).contains(&packets.doubled), "{packets:?}");

        let (flights, packets) = carried(
            Conditions {
                jitter_ms: 50,
                ..fair
            },
            1000,
        );
        assert!(packets.overtaking > 100 && !flights.is_sorted_by_key(|(due, _)| *due));
    }

    /// A damaged packet has one wrong bit, which no checksum of TCP, UDP or IP can miss.
    #[test]
    fn damage_is_one_bit() {
        let damaged = Conditions {
            damaged: 100,
            ..Conditions::default()
        };
        let (flights, packets) = carried(damaged, 50);
        assert_eq!(packets.damaged, 50);
        for (_, packet) in flights {
            let wrong: u32 = packet.iter().map(|byte| (byte ^ 0x55).count_ones()).sum();
            assert_eq!(wrong, 1);
        }
    }

    /// A narrow line sends as many bytes a second as it may, and loses what would wait for longer than its queue is.
    #[test]
    fn a_narrow_line_is_a_queue() {
        let narrow = Conditions {
            bytes_per_s: Some(NARROW_BYTES_PER_S),
            ..Conditions::default()
        };
        let (flights, packets) = carried(narrow, 100);
        let spans = flights.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(spans.into_iter().all(|span| span == Duration::from_millis(50)));
        assert!((50..70).contains(&packets.lost), "{packets:?}");
    }
}

//! The resolver in a small scripted network, with virtual time.

mod network;

use super::entry::{FAILURE_HOLDS, OTHER_FAMILY_WAIT, STALE_AFTER, TTL_MAX, TTL_MIN};
use super::*;
use crate::limits::CONNECTIONS_MAX;
use crate::net::{Connection, Output, Peer};
use crate::time::{Instant, Millis};
use core::net::SocketAddr;
use network::{Act, SLOT, Seen, World, ready, response, stale};
use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec as StdVec;
use std::{format, vec};

extern crate std;

const ONE: &str = "nameserver 10.0.0.53\n";
const TWO: &str = "nameserver 10.0.0.53\nnameserver 10.0.0.54\n";
const BOTH: Act = Act::Addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"], 60);

/// Both families are asked at once, the families take turns, IPv6 first; only the first question may renew the port.
#[test]
fn both_families_in_turn() {
    let mut world = World::new(ONE, "", |_| BOTH);
    let name = world.register("api.example");
    assert_eq!(
        world.resolve(name),
        (ready(&["2001:db8::1", "192.0.2.1", "192.0.2.2"]), 10)
    );
    let asked: StdVec<_> = world
        .asked
        .iter()
        .map(|asked| (asked.family, asked.fresh))
        .collect();
    assert_eq!(asked, [(Family::V6, true), (Family::V4, false)]);
    assert_eq!(world.asked[0].server, "10.0.0.53:53");
    assert_eq!(world.resolver.deadline(), None, "all is settled");
}

/// An alias is followed, and the shortest time on the way bounds how long the answer holds.
#[test]
fn an_alias() {
    let mut world = World::new(ONE, "", |_| Act::Alias("192.0.2.1", 30));
    let name = world.register("www.example");
    assert_eq!(world.resolve(name).0, ready(&["192.0.2.1"]));
    world.pass(29_000);
    assert_eq!(world.lookup(name), ready(&["192.0.2.1"]));
    assert_eq!(world.asked.len(), 2);
    world.pass(1_001);
    assert_eq!(world.lookup(name), Seen::Pending);
    assert_eq!(world.asked.len(), 4);
}

/// A name's time to live is held within bounds at both ends.
#[test]
fn times_are_clamped() {
    for (ttl_s, held) in [(0, TTL_MIN), (1_000_000, TTL_MAX)] {
        let mut world = World::new(ONE, "", move |_| Act::Addresses(&["192.0.2.1"], ttl_s));
        let name = world.register("www.example");
        world.resolve(name);
        world.pass(held.as_millis() - 10);
        assert_eq!(world.lookup(name), ready(&["192.0.2.1"]));
        world.pass(20);
        assert_eq!(world.lookup(name), Seen::Pending);
    }
}

/// A lost question is sent again after a second, to the next server, and round the list as often as the file says.
#[test]
fn retransmission_goes_round_the_servers() {
    let mut world = World::new(TWO, "", |_| Act::Silent);
    let name = world.register("www.example");
    assert_eq!(world.resolve(name), (Seen::Failed(Fault::TimedOut), 4_000));
    let v4: StdVec<_> = world
        .asked
        .iter()
        .filter(|asked| asked.family == Family::V4)
        .map(|asked| (asked.at - 1_000, asked.server.as_str()))
        .collect();
    let (first, second) = ("10.0.0.53:53", "10.0.0.54:53");
    assert_eq!(v4, [(0, first), (1_000, second), (2_000, first), (3_000, second)]);

    let conf = "nameserver 10.0.0.53\noptions timeout:3 attempts:1\n";
    let mut world = World::new(conf, "", |_| Act::Silent);
    let name = world.register("www.example");
    assert_eq!(world.resolve(name), (Seen::Failed(Fault::TimedOut), 3_000));
}

/// The second server serves when the first one is silent, fails, refuses, or writes nonsense; but for the silent one at
/// once.
#[test]
fn the_second_server() {
    let cases = [
        (Act::Silent, 1_010),
        (Act::Code(2), 20),
        (Act::Code(5), 20),
        (Act::Code(1), 20),
        (Act::Garbage, 20),
    ];
    for (act, took) in cases {
        let mut world = World::new(TWO, "", move |asked| match asked.server.as_str() {
            "10.0.0.53:53" => act.clone(),
            _ => BOTH,
        });
        let name = world.register("www.example");
        let (seen, millis) = world.resolve(name);
        assert!(matches!(seen, Seen::Ready(_)));
        assert_eq!(millis, took);
    }
}

/// When all servers fail, the outcome is what they said, not that one was silent.
#[test]
fn what_servers_said_is_told() {
    for (code, fault) in [(2, Fault::ServerFailed(2)), (5, Fault::Refused)] {
        let mut world = World::new(TWO, "", move |asked| match asked.server.as_str() {
            "10.0.0.53:53" => Act::Code(code),
            _ => Act::Silent,
        });
        let name = world.register("www.example");
        assert_eq!(world.resolve(name).0, Seen::Failed(fault));
    }
}

/// An answer that comes after its question was sent to another server still counts.
#[test]
fn a_late_answer_counts() {
    let mut world = World::new(TWO, "", |asked| match asked.server.as_str() {
        "10.0.0.53:53" => Act::Late(1_500, Box::new(BOTH)),
        _ => Act::Silent,
    });
    let name = world.register("www.example");
    assert_eq!(world.resolve(name).1, 1_500);
}

/// One family's addresses wait for the other only briefly; a family's absence is waited for in full.
#[test]
fn one_family_is_lost() {
    let mut world = World::new(ONE, "", |asked| match asked.family {
        Family::V4 => BOTH,
        Family::V6 => Act::Silent,
    });
    let name = world.register("www.example");
    let took = 10 + OTHER_FAMILY_WAIT.as_millis();
    assert_eq!(world.resolve(name), (ready(&["192.0.2.1", "192.0.2.2"]), took));

    let mut world = World::new(ONE, "", |asked| match asked.family {
        Family::V4 => Act::Addresses(&[], 60),
        Family::V6 => Act::Late(900, Box::new(BOTH)),
    });
    let name = world.register("www.example");
    assert_eq!(world.resolve(name), (ready(&["2001:db8::1"]), 900));
}

/// Whoever looks at the moment when a wait is over sees what came of it, with no poll in between: nothing would wake it
/// afterwards, since all is settled.
#[test]
fn a_look_sees_what_is_over() {
    let mut world = World::new(ONE, "", |asked| match asked.family {
        Family::V4 => BOTH,
        Family::V6 => Act::Silent,
    });
    let name = world.register("www.example");
    assert_eq!(world.lookup(name), Seen::Pending);
    world.step();
    let over = Instant::from_millis(world.next_at().unwrap());
    assert!(matches!(world.resolver.lookup(over, name), Lookup::Ready(_)));

    let conf = "nameserver 10.0.0.53\noptions timeout:1 attempts:1\n";
    let mut world = World::new(conf, "", |_| Act::Silent);
    let name = world.register("www.example");
    assert_eq!(world.lookup(name), Seen::Pending);
    let over = Instant::from_millis(world.next_at().unwrap());
    let failed = Lookup::Failed(Fault::TimedOut);
    assert_eq!(world.resolver.lookup(over, name), failed);
}

/// A server that denies the whole name because it does not know one type does not hide the addresses of the other.
#[test]
fn a_name_denied_for_one_type() {
    let mut world = World::new(ONE, "", |asked| match asked.family {
        Family::V4 => Act::Late(200, Box::new(BOTH)),
        Family::V6 => Act::Code(3),
    });
    let name = world.register("www.example");
    assert_eq!(world.resolve(name), (ready(&["192.0.2.1", "192.0.2.2"]), 200));
}

/// That a name does not exist or has no address is known for a while, then asked again.
#[test]
fn negative_answers_hold_briefly() {
    let cases = [
        (Act::Code(3), Fault::NoSuchName),
        (Act::Addresses(&[], 60), Fault::NoAddress),
    ];
    for (act, fault) in cases {
        let mut world = World::new(ONE, "", move |_| act.clone());
        let name = world.register("www.example");
        assert_eq!(world.resolve(name).0, Seen::Failed(fault));
        assert_eq!(world.asked.len(), 2);
        world.pass(FAILURE_HOLDS.as_millis() - 1);
        assert_eq!(world.lookup(name), Seen::Failed(fault));
        assert_eq!(world.asked.len(), 2);
        world.pass(1);
        assert_eq!(world.lookup(name), Seen::Pending);
        assert_eq!(world.asked.len(), 4);
    }
}

/// Few dots: the domains first. Many: the name first. A dot at the end: the name alone. What exists without an address
/// is told as that.
#[test]
fn search_orders() {
    let conf = "nameserver 10.0.0.53\nsearch a.lan b.lan\n";
    let order = |conf: &str, host: &str| -> StdVec<String> {
        let mut world = World::new(conf, "", |_| Act::Code(3));
        let name = world.register(host);
        assert_eq!(world.resolve(name).0, Seen::Failed(Fault::NoSuchName));
        world.names_asked().into_iter().map(String::from).collect()
    };
    assert_eq!(order(conf, "web"), ["web.a.lan", "web.b.lan", "web"]);
    assert_eq!(order(conf, "web.x"), ["web.x", "web.x.a.lan", "web.x.b.lan"]);
    assert_eq!(order(conf, "web."), ["web"]);
    let five = format!("{conf}options ndots:5\n");
    assert_eq!(
        order(&five, "w.x.y.z"),
        ["w.x.y.z.a.lan", "w.x.y.z.b.lan", "w.x.y.z"]
    );
    assert_eq!(
        order("options ndots:0\nsearch a.lan", "web"),
        ["web", "web.a.lan"]
    );
    let long = format!("{}.{}.{}.x", "a".repeat(63), "b".repeat(63), "c".repeat(63));
    let tight = format!("search {} b.lan\n", "d.".repeat(40));
    assert_eq!(
        order(&tight, &long),
        [long.clone(), format!("{long}.b.lan")],
        "too long is passed over"
    );

    let mut world = World::new(conf, "", |asked| match asked.name.as_str() {
        "web.a.lan" => Act::Addresses(&[], 60),
        "web.b.lan" => Act::Code(3),
        _ => BOTH,
    });
    let name = world.register("web");
    assert!(matches!(world.resolve(name).0, Seen::Ready(_)));
    let mut world = World::new(conf, "", |asked| match asked.name.as_str() {
        "web.a.lan" => Act::Addresses(&[], 60),
        _ => Act::Code(3),
    });
    let name = world.register("web");
    assert_eq!(world.resolve(name).0, Seen::Failed(Fault::NoAddress));
}

/// A domain whose servers fail is passed by, but then the name is not told to be missing.
#[test]
fn a_failing_domain() {
    let conf = "nameserver 10.0.0.53\nsearch a.lan b.lan\n";
    let mut world = World::new(conf, "", |asked| match asked.name.as_str() {
        "web.a.lan" => Act::Code(2),
        _ => Act::Code(3),
    });
    let name = world.register("web");
    assert_eq!(world.resolve(name).0, Seen::Failed(Fault::ServerFailed(2)));
    assert_eq!(world.names_asked(), ["web.a.lan", "web.b.lan", "web"]);
}

/// The hosts file comes first, in any case of letters, and no question is asked; it counts anew when it is read again.
#[test]
fn hosts_file_first() {
    let hosts = "127.0.0.1 localhost\n10.1.0.1 Db db.lan.\n::5 db\n10.1.0.2 db\n10.1.0.1 db\n";
    let mut world = World::new(ONE, "", |_| BOTH);
    let name = world.register("dB");
    let other = world.register("db.lan");
    world.hosts(hosts);
    assert_eq!(world.lookup(name), ready(&["::5", "10.1.0.1", "10.1.0.2"]));
    assert_eq!(world.lookup(other), ready(&["10.1.0.1"]));
    assert!(world.asked.is_empty());

    world.resolver.hosts_begin();
    assert!(
        matches!(world.lookup(name), Seen::Ready(_)),
        "what was said holds until the end"
    );
    world.resolver.hosts_feed(b"10.1.0.3 d");
    world.resolver.hosts_feed(b"b");
    world.resolver.hosts_end();
    assert_eq!(world.lookup(name), ready(&["10.1.0.3"]));
    assert_eq!(world.lookup(other), Seen::Pending, "no longer in the file");
}

/// Addresses need neither file nor server; `localhost` needs no server.
#[test]
fn addresses_and_localhost() {
    let mut resolver = Box::new(Resolver::new());
    let now = Instant::from_millis(1);
    for host in ["192.0.2.7", "2001:db8::7"] {
        let name = resolver.register(host).unwrap();
        let expected: Addresses = [host.parse().unwrap()].into_iter().collect();
        assert_eq!(resolver.lookup(now, name), Lookup::Ready(&expected));
    }
    let mut world = World::new(ONE, "10.0.0.1 192.0.2.7\n", |_| BOTH);
    let name = world.register("localhost");
    assert_eq!(world.lookup(name), ready(&["::1", "127.0.0.1"]));
    let literal = world.register("192.0.2.7");
    world.hosts("127.0.0.5 localhost\n10.0.0.1 192.0.2.7\n");
    assert_eq!(world.lookup(name), ready(&["127.0.0.5"]));
    assert_eq!(world.lookup(literal), ready(&["192.0.2.7"]));
    assert!(world.asked.is_empty());
}

/// Before both files were read nothing is asked, since nobody knows whom; then it is.
#[test]
fn the_files_come_first() {
    let mut resolver = Box::new(Resolver::new());
    resolver.start(1, None, SLOT);
    let now = Instant::from_millis(1);
    let name = resolver.register("www.example").unwrap();
    assert_eq!(resolver.lookup(now, name), Lookup::Pending);
    assert!(resolver.poll(now).is_none());
    resolver.resolv_conf_begin();
    resolver.resolv_conf_end(now);
    assert_eq!(resolver.lookup(now, name), Lookup::Pending);
    assert!(resolver.poll(now).is_none());
    resolver.hosts_begin();
    resolver.hosts_end();
    assert_eq!(resolver.lookup(now, name), Lookup::Pending);
    let Some(Output::Query { server, .. }) = resolver.poll(now) else {
        panic!("a question");
    };
    assert_eq!(server.to_string(), "127.0.0.1:53");
}

/// The server of the configuration is asked in place of the file's, with its port; the file's domains still count.
#[test]
fn a_configured_server() {
    let mut world = World::new("", "", |_| BOTH);
    world
        .resolver
        .start(1, Some("10.9.9.9:5353".parse().unwrap()), SLOT);
    world.conf("nameserver 10.0.0.53\nsearch a.lan\n");
    let name = world.register("web");
    assert!(matches!(world.resolve(name).0, Seen::Ready(_)));
    assert_eq!(world.asked[0].server, "10.9.9.9:5353");
    assert_eq!(world.asked[0].name, "web.a.lan");
}

/// While DNS is down the last good answer is served, at first after a moment, then at once, and DNS is asked again at
/// growing intervals; its return is noticed. A name that is gone is gone.
#[test]
fn the_last_good_answer() {
    let mode = std::rc::Rc::new(std::cell::Cell::new(0));
    let of_script = mode.clone();
    let mut world = World::new(ONE, "", move |_| match of_script.get() {
        0 => Act::Addresses(&["192.0.2.1"], 5),
        1 => Act::Silent,
        2 => Act::Code(2),
        3 => Act::Addresses(&["192.0.2.9"], 5),
        _ => Act::Code(3),
    });
    let name = world.register("www.example");
    world.resolve(name);

    mode.set(1);
    world.pass(6_000);
    assert_eq!(
        world.resolve(name),
        (stale(&["192.0.2.1"]), STALE_AFTER.as_millis())
    );
    world.pass(1_000);
    let before = world.asked.len();
    assert_eq!(world.resolve(name), (stale(&["192.0.2.1"]), 0));
    assert_eq!(world.asked.len(), before, "not asked again at once");

    mode.set(2);
    let mut rounds = StdVec::new();
    for _ in 0..400 {
        let before = world.asked.len();
        assert_eq!(world.lookup(name), stale(&["192.0.2.1"]));
        if world.asked.len() > before {
            rounds.push(world.now);
        }
        world.pass(1_000);
    }
    let gaps: StdVec<u64> = rounds
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / 1_000)
        .collect();
    assert!(
        gaps.is_sorted() && gaps[0] >= 10 && *gaps.last().unwrap() >= 60,
        "{gaps:?}"
    );
    assert!(*gaps.last().unwrap() <= 62, "{gaps:?}");

    mode.set(3);
    world.pass(60_000);
    world.lookup(name);
    world.pass(100);
    assert_eq!(world.lookup(name), ready(&["192.0.2.9"]));

    mode.set(4);
    world.pass(6_000);
    assert_eq!(world.resolve(name).0, Seen::Failed(Fault::NoSuchName));
}

/// Without a good answer a failure holds briefly and does not grow: there is nothing else to live on.
#[test]
fn a_failure_without_an_answer_does_not_back_off() {
    let mut world = World::new(ONE, "", |_| Act::Code(2));
    let name = world.register("www.example");
    for _ in 0..5 {
        let before = world.asked.len();
        assert_eq!(world.resolve(name).0, Seen::Failed(Fault::ServerFailed(2)));
        assert!(world.asked.len() > before);
        world.pass(FAILURE_HOLDS.as_millis());
    }
}

/// A truncated answer is asked again over TCP at the same server, one at a time, and the connection is closed.
#[test]
fn truncated_answers_go_over_tcp() {
    let mut world = World::new(
        TWO,
        "",
        |asked| if asked.over_tcp { BOTH } else { Act::Truncated },
    );
    let name = world.register("www.example");
    let other = world.register("other.example");
    world.lookup(other);
    assert!(matches!(world.resolve(name).0, Seen::Ready(_)));
    world.pass(10);
    assert!(matches!(world.lookup(other), Seen::Ready(_)));
    let over_tcp: StdVec<_> = world.asked.iter().filter(|asked| asked.over_tcp).collect();
    assert_eq!(over_tcp.len(), 4);
    assert!(over_tcp.iter().all(|asked| asked.server == "10.0.0.53:53"));
    assert_eq!((world.closes, world.connection), (4, None));
}

/// When TCP is refused or silent, the next try goes on, and at last the reason is told; nothing stays open.
#[test]
fn tcp_that_fails() {
    let mut world = World::new(ONE, "", |_| Act::Truncated);
    world.refuses_tcp = true;
    let name = world.register("www.example");
    assert_eq!(
        world.resolve(name).0,
        Seen::Failed(Fault::StreamFailed(Closed::Refused))
    );

    let mut world = World::new(ONE, "", |asked| match asked.over_tcp {
        true => Act::Silent,
        false => Act::Truncated,
    });
    let name = world.register("www.example");
    assert_eq!(world.resolve(name).0, Seen::Failed(Fault::TimedOut));
    world.drain();
    assert_eq!(world.connection, None);
    assert!(world.closes > 0);
}

/// What is told of an earlier connection in the slot counts for nothing.
#[test]
fn an_earlier_connection() {
    let mut world = World::new(ONE, "", |asked| match asked.over_tcp {
        true => Act::Silent,
        false => Act::Truncated,
    });
    let name = world.register("www.example");
    world.lookup(name);
    world.pass(10);
    let (connection, _) = world.connection.unwrap();
    let earlier = Connection {
        generation: connection.generation.wrapping_sub(1),
        ..connection
    };
    let now = Instant::from_millis(world.now);
    world.resolver.handle_closed(now, earlier, Closed::Reset);
    world.resolver.handle_received(now, earlier, b"\x00\x00");
    world.drain();
    assert_eq!(world.connection.unwrap().0, connection);
    assert_eq!(world.lookup(name), Seen::Pending);
    world.resolver.handle_received(now, connection, b"\x00\x00");
    world.drain();
    assert_ne!(
        world.connection.map(|open| open.0),
        Some(connection),
        "an empty answer is unreadable"
    );
}

/// Only the server that was asked is believed, only with the right number and question, and nobody else's datagram
/// changes anything.
#[test]
fn forged_answers() {
    let mut world = World::new(TWO, "", |_| Act::Silent);
    let name = world.register("www.example");
    let now = Instant::from_millis(world.now);
    world.lookup(name);
    // What a right answer is made of: the second question that was sent is the one for IPv4.
    world.pass(0);
    let question = |id: u16, host: &str| {
        let mut out = message::Query::new();
        let name = message::FullName { host, suffix: "" };
        let family = Family::V4;
        message::Question { id, name, family }.emit(&mut out).unwrap();
        response(&out, &BOTH, family)
    };
    let first: SocketAddr = "10.0.0.53:53".parse().unwrap();
    let forgers = ["10.0.0.54:53", "10.0.0.53:54", "10.0.0.99:53", "[::1]:53"];
    for id in 0..=u16::MAX {
        let bytes = question(id, "www.example");
        for forger in forgers {
            world
                .resolver
                .handle_datagram(now, forger.parse().unwrap(), &bytes);
        }
        world
            .resolver
            .handle_datagram(now, first, &question(id, "www.exbmple"));
        world
            .resolver
            .handle_datagram(now, first, &bytes[..bytes.len().min(usize::from(id % 29))]);
    }
    // Long enough for one family's addresses to have served alone, had any been believed.
    world.pass(OTHER_FAMILY_WAIT.as_millis());
    assert_eq!(world.lookup(name), Seen::Pending);
    assert_eq!(world.asked.len(), 2, "nothing came of it");
    let now = Instant::from_millis(world.now);
    for id in 0..=u16::MAX {
        world
            .resolver
            .handle_datagram(now, first, &question(id, "WWW.eXample"));
    }
    world.pass(OTHER_FAMILY_WAIT.as_millis());
    assert_eq!(
        world.lookup(name),
        ready(&["192.0.2.1", "192.0.2.2"]),
        "one of them was right"
    );
}

/// New servers are asked at once with what is under way, and failures are forgotten; an unchanged file changes nothing.
#[test]
fn new_servers() {
    let mut world = World::new(ONE, "", |asked| match asked.server.as_str() {
        "10.0.0.53:53" => Act::Silent,
        _ => BOTH,
    });
    let name = world.register("www.example");
    assert_eq!(world.lookup(name), Seen::Pending);
    world.conf(ONE);
    world.drain();
    assert_eq!(world.asked.len(), 2);
    world.conf("nameserver 10.0.0.55\n");
    world.drain();
    assert_eq!(world.asked.len(), 4);
    let (seen, millis) = world.resolve(name);
    assert!(matches!(seen, Seen::Ready(_)));
    assert_eq!(millis, 10);

    let mut world = World::new(ONE, "", |asked| match asked.server.as_str() {
        "10.0.0.53:53" => Act::Code(3),
        _ => BOTH,
    });
    let name = world.register("www.example");
    assert_eq!(world.resolve(name).0, Seen::Failed(Fault::NoSuchName));
    world.conf(TWO.trim_start_matches(ONE));
    assert!(matches!(world.resolve(name).0, Seen::Ready(_)));
}

/// New servers while an exchange over TCP is under way: its connection is closed, and the question begins again.
#[test]
fn new_servers_during_tcp() {
    let mut world = World::new(ONE, "", |asked| match (asked.server.as_str(), asked.over_tcp) {
        ("10.0.0.53:53", false) => Act::Truncated,
        ("10.0.0.53:53", true) => Act::Silent,
        _ => BOTH,
    });
    let name = world.register("www.example");
    world.lookup(name);
    world.pass(10);
    assert!(world.connection.is_some());
    world.conf("nameserver 10.0.0.55\n");
    world.drain();
    assert_eq!((world.connection, world.closes), (None, 1));
    assert!(matches!(world.resolve(name).0, Seen::Ready(_)));
}

/// The address that worked stands first, now and after the next answer; one that is not there changes nothing.
#[test]
fn the_address_that_worked() {
    let mut world = World::new(ONE, "", |_| BOTH);
    let name = world.register("www.example");
    world.resolve(name);
    world.resolver.worked(name, "192.0.2.2".parse().unwrap());
    let expected = ready(&["192.0.2.2", "2001:db8::1", "192.0.2.1"]);
    assert_eq!(world.lookup(name), expected);
    world.pass(61_000);
    assert_eq!(world.resolve(name).0, expected);
    world.resolver.worked(name, "192.0.2.99".parse().unwrap());
    assert_eq!(world.lookup(name), expected);
}

/// Names are registered once, whatever their case; there is room for so many; what is no name fails without a question.
#[test]
fn registration() {
    let mut world = World::new(ONE, "", |_| BOTH);
    let name = world.register("Www.Example");
    assert_eq!(world.register("wWW.eXAMPLE"), name);
    assert_ne!(
        world.register("www.example."),
        name,
        "a dot at the end is another name: no search"
    );
    assert_eq!(world.register("LocalHost."), world.register("localhost"));
    for bad in ["", ".", "a..b", "a b", "h\u{e9}.example", &"x".repeat(64)] {
        let name = world.register(bad);
        assert_eq!(world.lookup(name), Seen::Failed(Fault::BadName), "{bad:?}");
    }
    assert!(world.resolver.register(&"x.".repeat(200)).is_none());
    assert!(world.asked.is_empty());
    let left = (0..200)
        .filter(|number| world.resolver.register(&format!("n{number}")).is_some())
        .count();
    assert!(left < CONNECTIONS_MAX && left > CONNECTIONS_MAX - 12);
    assert_eq!(
        world.register("www.example"),
        name,
        "what is there is still found"
    );
}

/// All names at once, in a network that loses, delays and damages by chance: every lookup ends within its bound, and
/// whenever nothing happens the next deadline lies ahead.
#[test]
fn a_bad_network() {
    for seed in 0..32 {
        let mut random = crate::random::Random::new(seed);
        let conf = "nameserver 10.0.0.53\nnameserver 10.0.0.54\nsearch a.lan\n";
        let mut world = World::new(conf, "", move |_| match random.below(8) {
            0 => Act::Silent,
            1 => Act::Code(u8::try_from(random.below(6)).unwrap()),
            2 => Act::Truncated,
            3 => Act::Garbage,
            4 => Act::Late(random.below(3_000), Box::new(BOTH)),
            5 => Act::Addresses(&[], 60),
            _ => BOTH,
        });
        let names: StdVec<NameId> = (0..20)
            .map(|number| world.register(&format!("n{number}")))
            .collect();
        for _ in 0..10 {
            for name in &names {
                world.lookup(*name);
            }
            for name in &names {
                let (seen, millis) = world.resolve(*name);
                assert_ne!(seen, Seen::Pending, "seed {seed}");
                assert!(millis < 60_000, "seed {seed}");
            }
            world.pass(Millis::from_secs(70).as_millis());
        }
        world.pass(60_000);
        assert_eq!(world.resolver.deadline(), None, "seed {seed}: all is settled");
        assert_eq!(world.connection, None, "seed {seed}");
    }
}

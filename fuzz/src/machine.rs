//! The whole machine, fed inputs and times that the fuzzer chooses.

use std::net::SocketAddr;

use watchdog_core::limits::MESSAGE_BYTES_MAX;
use watchdog_core::net::{Closed, Connection, FileFault, FileSystem, HostFile, Input, Output};
use watchdog_core::time::{Instant, Millis, Utc};
use watchdog_core::watchdog::{Mode, Watchdog};

/// Wishes that one input may bring: each of the 512 signals may have a line, and each of the connections three wishes.
const WISHES_MAX: usize = 2_000;
/// Inputs that are played, so that one run stays short.
const INPUTS_MAX: usize = 256;

/// A wish that stands until it is answered.
#[derive(Clone, Copy)]
enum Open {
    Connection(Connection),
    File(HostFile),
    Path(u8),
    Question(SocketAddr, [u8; 2]),
}

/// Asserts that an input brings a bounded number of wishes, each in bounds, that the next deadline then lies ahead, and that
/// no line of the log and no event holds a secret.
///
/// The bytes are a list of inputs: a byte that chooses, and what it needs. They answer wishes that stand, or come unasked.
pub fn watchdog(data: &[u8]) {
    crate::with_room(|| play(data));
}

fn play(data: &[u8]) {
    let mut watchdog = Box::new(Watchdog::new());
    let mut now = Instant::from_millis(1_000);
    let mut open = Vec::new();
    watchdog.start(now, crate::configuration(), 1, Mode::Run);
    watchdog.handle(now, Input::Wall(Utc::new(1_767_355_200, 0)));
    drain(&mut watchdog, now, &mut open);
    let mut script = Script { rest: data };
    for _input in 0..INPUTS_MAX {
        let Some(choice) = script.byte() else { break };
        step(&mut watchdog, &mut now, &mut open, &mut script, choice);
        drain(&mut watchdog, now, &mut open);
    }
}

/// Plays one input.
fn step(
    watchdog: &mut Watchdog<'_>,
    now: &mut Instant,
    open: &mut Vec<Open>,
    script: &mut Script<'_>,
    choice: u8,
) {
    let place = usize::from(choice >> 3).checked_rem(open.len());
    match (choice & 7, place) {
        (0, _) => {
            *now = watchdog.deadline();
            watchdog.handle(*now, Input::Time);
        }
        (1, _) => {
            let span = u64::from(script.byte().unwrap_or(0));
            *now = now.after(Millis::from_millis(span * span * 8));
            watchdog.handle(*now, Input::Time);
        }
        (2, _) => {
            let connection = Connection {
                slot: choice >> 3,
                generation: u32::from(script.byte().unwrap_or(0)),
            };
            watchdog.handle(*now, Input::Received(connection, script.text()));
        }
        (_, None) => {}
        (3, Some(place)) => refuse(watchdog, *now, open.swap_remove(place)),
        (4, Some(place)) => match open[place] {
            Open::Connection(connection) => watchdog.handle(*now, Input::Connected(connection)),
            other => good(watchdog, *now, other, script),
        },
        (5, Some(place)) => {
            let Open::Connection(connection) = open[place] else {
                return;
            };
            let body = script.text();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            watchdog.handle(*now, Input::Connected(connection));
            watchdog.handle(*now, Input::Received(connection, head.as_bytes()));
            watchdog.handle(*now, Input::Received(connection, body));
        }
        (6, Some(place)) => {
            let Open::Connection(connection) = open[place] else {
                return;
            };
            watchdog.handle(*now, Input::Received(connection, script.text()));
        }
        (_, Some(place)) => {
            let Open::Connection(connection) = open.swap_remove(place) else {
                return;
            };
            watchdog.handle(*now, Input::Closed(connection, Closed::ByPeer));
        }
    }
}

fn refuse(watchdog: &mut Watchdog<'_>, now: Instant, wish: Open) {
    match wish {
        Open::Connection(connection) => watchdog.handle(now, Input::Closed(connection, Closed::Refused)),
        Open::File(file) => watchdog.handle(now, Input::FileEnd(file, Err(FileFault::NotFound))),
        Open::Path(path) => watchdog.handle(now, Input::FileSystem(path, Err(FileFault::Os(5)))),
        Open::Question(from, _) => watchdog.handle(now, Input::Datagram(from, &[])),
    }
}

/// Answers with what the fuzzer wrote.
fn good(watchdog: &mut Watchdog<'_>, now: Instant, wish: Open, script: &mut Script<'_>) {
    match wish {
        Open::Connection(_) => {}
        Open::File(file) => {
            watchdog.handle(now, Input::FilePart(file, script.text()));
            watchdog.handle(now, Input::FileEnd(file, Ok(())));
        }
        Open::Path(path) => {
            let mut figure = || u64::from(script.byte().unwrap_or(0)) << 56 >> 50;
            let (blocks, blocks_available, inodes, inodes_available) =
                (figure(), figure(), figure(), figure());
            let figures = FileSystem {
                device: 1,
                blocks,
                blocks_available,
                inodes,
                inodes_available,
            };
            watchdog.handle(now, Input::FileSystem(path, Ok(figures)));
        }
        Open::Question(from, id) => {
            watchdog.handle(
                now,
                Input::Datagram(from, &[id.as_slice(), script.text()].concat()),
            );
        }
    }
}

/// Takes all wishes, and keeps those that want an answer.
fn drain(watchdog: &mut Watchdog<'_>, now: Instant, open: &mut Vec<Open>) {
    let mut wishes = 0;
    while let Some(wish) = watchdog.poll(now) {
        wishes += 1;
        assert!(
            wishes <= WISHES_MAX,
            "an input brings no more than {WISHES_MAX} wishes"
        );
        match wish {
            Output::Open(connection, ..) => open.push(Open::Connection(connection)),
            Output::Close(connection) => {
                open.retain(|wish| !matches!(wish, Open::Connection(other) if *other == connection));
            }
            Output::ReadFile(file) => open.push(Open::File(file)),
            Output::Stat(path, _) => open.push(Open::Path(path)),
            Output::Query { server, bytes, .. } => {
                let [high, low, ..] = bytes else {
                    panic!("a question has an id")
                };
                open.push(Open::Question(server, [*high, *low]));
            }
            Output::StartTls(..) => {}
            Output::Write(_, bytes) => assert!(!bytes.is_empty() && bytes.len() <= 16 * 1024),
            Output::Log(_, line) | Output::Event(line) => {
                assert!(
                    line.len() <= 2 * MESSAGE_BYTES_MAX && !line.contains('\n'),
                    "{line}"
                );
                for secret in crate::SECRETS {
                    assert!(!line.contains(secret), "a secret stands in {line}");
                }
            }
        }
    }
    assert!(watchdog.deadline() > now, "the next deadline lies ahead");
}

/// The fuzzer's bytes, read from the front.
struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// Bytes with their number in front, in two bytes.
    fn text(&mut self) -> &'a [u8] {
        let bytes = self.byte().unwrap_or(0);
        let more = self.byte().unwrap_or(0);
        let count = usize::from(u16::from_be_bytes([more, bytes])).min(self.rest.len());
        let (text, rest) = self.rest.split_at(count);
        self.rest = rest;
        text
    }
}

//! The whole machine on a host that has neither sockets nor files: its clock is a number, every connection is refused, and
//! its log goes wherever the host can write. Here that is standard output; nothing else in this file needs an operating system.
//!
//! ```text
//! cargo run -p watchdog-core --example by_hand
//! ```

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use watchdog_core::config::{self, Config, Facts};
use watchdog_core::net::{Closed, Connection, FileFault, HostFile, Input, Output};
use watchdog_core::time::{Instant, Millis, Utc};
use watchdog_core::watchdog::{Mode, Watchdog};

/// Large and all zero bits, so both live where they cost no room in the image and are never moved.
static CONFIG: Mutex<Config> = Mutex::new(Config::EMPTY);
static WATCHDOG: Mutex<Watchdog<'static>> = Mutex::new(Watchdog::new());

/// What this host does with a wish that wants an answer.
enum Refused {
    Connection(Connection),
    File(HostFile),
    Path(u8),
}

fn main() -> io::Result<()> {
    let config = Box::leak(Box::new(CONFIG.lock().unwrap_or_else(PoisonError::into_inner)));
    let facts = Facts {
        host_name: "bare-metal",
        docker_socket_exists: false,
    };
    config::parse(&[], &facts, config, &mut |_| {});

    let mut watchdog = WATCHDOG.lock().unwrap_or_else(PoisonError::into_inner);
    let mut now = Instant::ZERO;
    watchdog.start(now, config, 42, Mode::Run);
    watchdog.handle(now, Input::Wall(Utc::new(1_767_355_200, 0)));
    let end = now.after(Millis::from_secs(60));
    while now < end {
        drain(&mut watchdog, now)?;
        // A real host would sleep until then, or until something happens.
        now = watchdog.deadline();
        watchdog.handle(now, Input::Time);
    }
    Ok(())
}

/// Takes every wish, and answers those that want an answer, until none is left.
fn drain(watchdog: &mut Watchdog<'_>, now: Instant) -> io::Result<()> {
    while let Some(wish) = watchdog.poll(now) {
        let refused = match wish {
            Output::Open(connection, ..) => Refused::Connection(connection),
            Output::ReadFile(file) => Refused::File(file),
            Output::Stat(place, _) => Refused::Path(place),
            Output::Log(_, line) | Output::Event(line) => {
                writeln!(io::stdout(), "{line}")?;
                continue;
            }
            _ => continue,
        };
        watchdog.handle(
            now,
            match refused {
                Refused::Connection(connection) => Input::Closed(connection, Closed::Refused),
                Refused::File(file) => Input::FileEnd(file, Err(FileFault::NotFound)),
                Refused::Path(place) => Input::FileSystem(place, Err(FileFault::NotFound)),
            },
        );
    }
    Ok(())
}

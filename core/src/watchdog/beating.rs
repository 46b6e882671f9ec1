//! When the heartbeat goes out, and what is logged of it: at debug, since whoever waits for it notices by itself.

use crate::channel::heartbeat::{Beat, News};
use crate::config::Config;
use crate::exchange::Task;
use crate::net::Level;
use crate::signal::Kind;
use crate::table::Table;
use crate::text::Subject;
use crate::time::Instant;

use super::links::Owner;
use super::{Mode, Watchdog};

impl Watchdog<'_> {
    /// A tick was completed.
    pub(super) fn beat(&mut self, now: Instant, config: &Config) {
        let wanted = self.mode == Mode::Run && self.links.has(Owner::Heartbeat);
        if wanted && self.heartbeat.is_due(self.probing.ticks(), config) {
            let deadline = Some(now.after(config.timeout));
            self.links.start(Owner::Heartbeat, now, deadline, Task::Request);
        }
    }

    /// Takes the outcome of a heartbeat that ended.
    pub(super) fn collect_heartbeat(&mut self, now: Instant) {
        let Some(outcome) = self.take_outcome(Owner::Heartbeat) else {
            return;
        };
        let news = self.heartbeat.ended(outcome);
        let wall = self.wall(now);
        match news {
            News::None => {}
            News::Fails(reason) => self.notes.log(wall, Level::Debug, "heartbeat", |line| {
                line.pair("detail", reason);
            }),
            News::Back(failures) => self.notes.log(wall, Level::Debug, "heartbeat", |line| {
                line.pair("detail", "answered again").pair("failures", failures);
            }),
        }
    }
}

/// Tells what the heartbeat is to say now.
pub(super) fn beat_of(table: &Table, config: &Config) -> Beat {
    let masters = [Kind::OrchDown, Kind::DockerDown];
    let failing = config.heartbeat_fail && masters.iter().any(|kind| table.is_firing(*kind, &Subject::NONE));
    if failing { Beat::Failing } else { Beat::Alive }
}

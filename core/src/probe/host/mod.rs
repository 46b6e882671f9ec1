//! The host probe: what is asked of the host, and how texts of /proc and figures of statvfs become observations.
//!
//! A tick is [`Host::begin_tick`], then [`Host::next`] drained after each answer, then [`Host::settle`]. Every read may
//! fail or never return on its own: its signals are unknown, the others go on. File systems are asked one at a time,
//! those on a network last and those that were late the last time after these; what has not returned is
//! `host_probe_stuck` and is not asked again. Must never take a mount's own options for its file system's, and never ask
//! for a path that the operator did not name. Memory is constant; texts and lines may be of any length.
//! Tests: beside the code of each file. Fuzz target: `host_texts`.

mod call;
mod disk;
mod figure;
mod judge;
mod line;
mod mounts;
mod text;

use call::Call;
use mounts::Mounts;
use text::{Cores, FileNr, LoadAvg, MemInfo, Pressure, Text};

use crate::config;
use crate::limits::DISK_PATHS_MAX;
use crate::net::{FileFault, FileSystem, HostFile};
use crate::table::Table;
use crate::time::Instant;

pub use judge::Summary;

/// What the probe wants read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Want {
    /// A text: answered by [`Host::file_part`] and [`Host::file_end`].
    File(HostFile),
    /// A file system, by its path's place in the configuration: answered by [`Host::file_system`], perhaps never.
    Stat(u8),
}

/// The texts that are read, in this order: where the paths lie must be known before the first of them is asked.
const FILES: [HostFile; 8] = [
    HostFile::MountInfo,
    HostFile::MemInfo,
    HostFile::LoadAvg,
    HostFile::Stat,
    HostFile::FileNr,
    HostFile::PressureMemory,
    HostFile::PressureIo,
    HostFile::PressureCpu,
];

/// One path's file system.
#[derive(Debug)]
struct PathCall {
    call: Call<FileSystem>,
    /// Whether it did not return in time when it was last asked: it then is asked after the others, lest a slow one
    /// take their turn tick after tick.
    was_late: bool,
}

/// The host probe. About 3 KiB.
#[derive(Debug)]
pub struct Host {
    tick: Instant,
    mounts_call: Call<()>,
    mounts: Mounts,
    memory: Text<MemInfo>,
    load: Text<LoadAvg>,
    cores: Text<Cores>,
    handles: Text<FileNr>,
    pressure_memory: Text<Pressure>,
    pressure_io: Text<Pressure>,
    pressure_cpu: Text<Pressure>,
    paths: [PathCall; DISK_PATHS_MAX],
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A probe that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tick: Instant::ZERO,
            mounts_call: Call::Idle,
            mounts: Mounts::new(),
            memory: Text::new(),
            load: Text::new(),
            cores: Text::new(),
            handles: Text::new(),
            pressure_memory: Text::new(),
            pressure_io: Text::new(),
            pressure_cpu: Text::new(),
            paths: [const {
                PathCall {
                    call: Call::Idle,
                    was_late: false,
                }
            }; DISK_PATHS_MAX],
        }
    }

    /// Begins a tick: wants what a configured limit needs, and memory, load and mounts always. What is still under way
    /// from an earlier tick is neither asked again nor waited for; if it returns by [`Host::settle`], it counts.
    pub fn begin_tick(&mut self, now: Instant, config: &config::Host) {
        self.tick = now;
        if self.mounts_call.begin() {
            self.mounts.clear();
        }
        self.memory.begin();
        self.load.begin();
        self.cores.begin();
        self.handles.begin();
        self.pressure_memory.begin();
        self.pressure_io.begin();
        self.pressure_cpu.begin();
        for file in FILES {
            if is_needed(file, config)
                && let Some(call) = self.call(file)
            {
                call.want();
            }
        }
        for path in &mut self.paths {
            path.call.begin();
        }
        if config.disk_ceiling.is_some() || config.inode_ceiling.is_some() {
            for (path, _) in self.paths.iter_mut().zip(&config.disk_paths) {
                path.call.want();
            }
        }
    }

    /// Tells what to read next; none if there is nothing to ask now. Its value may change after [`Host::begin_tick`],
    /// [`Host::file_end`] and [`Host::file_system`].
    #[must_use = "what is told here counts as asked"]
    #[expect(
        clippy::should_implement_trait,
        reason = "a machine that is polled, not an iterator: none is not the end"
    )]
    pub fn next(&mut self) -> Option<Want> {
        let tick = self.tick;
        for file in FILES {
            if self.call(file).is_some_and(|call| call.ask(tick)) {
                return Some(Want::File(file));
            }
        }
        self.next_path()
    }

    fn next_path(&mut self) -> Option<Want> {
        let tick = self.tick;
        let is_busy = self.paths.iter().any(|path| path.call.is_asked(tick));
        if is_busy || self.mounts_call.is_asked(tick) {
            return None;
        }
        let mounts = &self.mounts;
        let (place, path) = (0..DISK_PATHS_MAX)
            .zip(&mut self.paths)
            .filter(|(_, path)| path.call == Call::Wanted)
            .min_by_key(|(place, path)| (path.was_late, mounts.of(*place).is_network()))?;
        path.call.ask(tick);
        u8::try_from(place).ok().map(Want::Stat)
    }

    /// Takes a part of a text; texts that are not the probe's are passed over.
    pub fn file_part(&mut self, config: &config::Host, file: HostFile, bytes: &[u8]) {
        match file {
            HostFile::MountInfo => self.mounts.part(&config.disk_paths, bytes),
            HostFile::MemInfo => self.memory.part(bytes),
            HostFile::LoadAvg => self.load.part(bytes),
            HostFile::Stat => self.cores.part(bytes),
            HostFile::FileNr => self.handles.part(bytes),
            HostFile::PressureMemory => self.pressure_memory.part(bytes),
            HostFile::PressureIo => self.pressure_io.part(bytes),
            HostFile::PressureCpu => self.pressure_cpu.part(bytes),
            HostFile::Hosts | HostFile::ResolvConf => {}
        }
    }

    /// Takes the end of a text.
    pub fn file_end(&mut self, file: HostFile, result: Result<(), FileFault>) {
        match file {
            HostFile::MountInfo => {
                self.mounts.end();
                self.mounts_call.answer(result);
            }
            HostFile::MemInfo => self.memory.end(result),
            HostFile::LoadAvg => self.load.end(result),
            HostFile::Stat => self.cores.end(result),
            HostFile::FileNr => self.handles.end(result),
            HostFile::PressureMemory => self.pressure_memory.end(result),
            HostFile::PressureIo => self.pressure_io.end(result),
            HostFile::PressureCpu => self.pressure_cpu.end(result),
            HostFile::Hosts | HostFile::ResolvConf => {}
        }
    }

    /// Takes what the file system at a path says, in the tick that asked or in any later one.
    pub fn file_system(&mut self, place: u8, result: Result<FileSystem, FileFault>) {
        if let Some(path) = self.paths.get_mut(usize::from(place)) {
            path.was_late &= !path.call.is_asked(self.tick);
            path.call.answer(result);
        }
    }

    /// Tells whether all that this tick asks for has answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let tick = self.tick;
        !FILES
            .into_iter()
            .filter_map(|file| self.call_of(file))
            .any(|call| call.is_open(tick))
            && !self.paths.iter().any(|path| path.call.is_open(tick))
    }

    /// Ends the tick: stages an observation of every signal that has a limit, and of `disk_readonly` and
    /// `host_probe_stuck`; unknown for what has not answered.
    pub fn settle(&mut self, now: Instant, config: &config::Host, table: &mut Table) -> Summary {
        self.mark_late();
        judge::observe(self, now, config, &mut |finding| finding.stage(table));
        judge::summary(self, config)
    }

    fn mark_late(&mut self) {
        for path in &mut self.paths {
            path.was_late |= path.call.is_asked(self.tick);
        }
    }

    fn call(&mut self, file: HostFile) -> Option<&mut Call<()>> {
        match file {
            HostFile::MountInfo => Some(&mut self.mounts_call),
            HostFile::MemInfo => Some(&mut self.memory.call),
            HostFile::LoadAvg => Some(&mut self.load.call),
            HostFile::Stat => Some(&mut self.cores.call),
            HostFile::FileNr => Some(&mut self.handles.call),
            HostFile::PressureMemory => Some(&mut self.pressure_memory.call),
            HostFile::PressureIo => Some(&mut self.pressure_io.call),
            HostFile::PressureCpu => Some(&mut self.pressure_cpu.call),
            HostFile::Hosts | HostFile::ResolvConf => None,
        }
    }

    fn call_of(&self, file: HostFile) -> Option<&Call<()>> {
        match file {
            HostFile::MountInfo => Some(&self.mounts_call),
            HostFile::MemInfo => Some(&self.memory.call),
            HostFile::LoadAvg => Some(&self.load.call),
            HostFile::Stat => Some(&self.cores.call),
            HostFile::FileNr => Some(&self.handles.call),
            HostFile::PressureMemory => Some(&self.pressure_memory.call),
            HostFile::PressureIo => Some(&self.pressure_io.call),
            HostFile::PressureCpu => Some(&self.pressure_cpu.call),
            HostFile::Hosts | HostFile::ResolvConf => None,
        }
    }
}

/// Tells whether a text is needed: memory, load and mounts are cheap, and `check` shows their figures.
fn is_needed(file: HostFile, config: &config::Host) -> bool {
    match file {
        HostFile::MountInfo | HostFile::MemInfo | HostFile::LoadAvg => true,
        HostFile::Stat => config.load_max.is_some(),
        HostFile::FileNr => config.fd_max.is_some(),
        HostFile::PressureMemory => config.pressure_mem_max.is_some(),
        HostFile::PressureIo => config.pressure_io_max.is_some(),
        HostFile::PressureCpu => config.pressure_cpu_max.is_some(),
        HostFile::Hosts | HostFile::ResolvConf => false,
    }
}

/// Tells where a text is, below `WATCHDOG_PROC`.
const fn name(file: HostFile) -> &'static str {
    match file {
        HostFile::MountInfo => "self/mountinfo",
        HostFile::MemInfo => "meminfo",
        HostFile::LoadAvg => "loadavg",
        HostFile::Stat => "stat",
        HostFile::FileNr => "sys/fs/file-nr",
        HostFile::PressureMemory => "pressure/memory",
        HostFile::PressureIo => "pressure/io",
        HostFile::PressureCpu => "pressure/cpu",
        HostFile::Hosts => "/etc/hosts",
        HostFile::ResolvConf => "/etc/resolv.conf",
    }
}

#[cfg(test)]
mod tests;

//! The host's figures against their limits: one finding for each signal, with the figures in words.
//!
//! Pure; the table comes in where a [`Finding`] is staged. Details are given for clear signals too, since `watchdog
//! check` shows them. Tests: `tests.rs` beside this file.

use core::fmt;

use super::call::Missing;
use super::figure::{Hundredths, KiB, Verdict};
use super::text::{Figures, Pressure, Text};
use super::{FILES, Host, name};
use crate::config::{self, Percent};
use crate::net::HostFile;
use crate::signal::{Kind, Observation};
use crate::table::Table;
use crate::text::{Cut, Detail, Subject};
use crate::time::{Instant, Millis};

/// How the host as a source fared in one tick.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Summary {
    /// Whether the host's memory or load could be read.
    pub is_readable: bool,
    /// Memory and load in figures, or why nothing could be read.
    pub detail: Detail,
}

/// What was found about one signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding<'a> {
    pub(super) kind: Kind,
    pub(super) subject: &'a Subject,
    pub(super) verdict: Verdict,
    /// In percent, cores, or reads.
    pub(super) badness: Hundredths,
    pub(super) detail: fmt::Arguments<'a>,
}

impl Finding<'_> {
    /// Hands the finding to the table, which knows whether the signal is firing.
    pub(super) fn stage(&self, table: &mut Table) {
        let observation = match self.verdict {
            Verdict::Clear => Observation::Clear,
            Verdict::Unknown => Observation::Unknown,
            Verdict::Active => Observation::Active,
            Verdict::Between if table.is_firing(self.kind, self.subject) => Observation::Active,
            Verdict::Between => Observation::Clear,
        };
        let badness = f64::from(self.badness.0) / 100.0;
        table.stage(self.kind, self.subject, observation, badness, self.detail);
    }
}

/// Where findings go.
type Sink<'a> = &'a mut dyn FnMut(&Finding<'_>);

/// Judges all that has a limit.
pub(super) fn observe(host: &Host, now: Instant, config: &config::Host, sink: Sink<'_>) {
    let mut judge = Judge {
        host,
        now,
        config,
        sink,
    };
    judge.memory();
    judge.swap();
    judge.load();
    judge.handles();
    judge.pressures();
    judge.disks();
    judge.stuck();
}

/// Tells how the host fared as a whole.
pub(super) fn summary(host: &Host, config: &config::Host) -> Summary {
    let mut detail = Detail::new();
    let mut cut = Cut::new(&mut detail);
    // Writing into a cut text never fails.
    let _ = write_summary(host, config, &mut cut);
    // Our own mounts are read from our own /proc, and paths need none: neither shows that the host's is there.
    let is_readable = host.memory.figures().is_ok() || host.load.figures().is_ok();
    Summary { is_readable, detail }
}

fn write_summary(host: &Host, config: &config::Host, text: &mut dyn fmt::Write) -> fmt::Result {
    match host.memory.figures() {
        Ok(figures) => match (figures.available, figures.total) {
            (Some(available), Some(total)) => {
                write!(text, "{} of {} memory available", KiB(available), KiB(total))?;
            }
            _ => write!(text, "no memory figures in {}/meminfo", config.proc)?,
        },
        Err(missing) => write!(text, "{}/meminfo: {missing}", config.proc)?,
    }
    match host.load.figures() {
        Ok(figures) => match figures.fifteen {
            Some(load) => write!(text, ", 15-minute load {load}"),
            None => Ok(()),
        },
        Err(missing) => write!(text, ", {}/loadavg: {missing}", config.proc),
    }
}

/// The host as it was read, the limits, and where findings go.
pub(super) struct Judge<'a> {
    pub(super) host: &'a Host,
    pub(super) now: Instant,
    pub(super) config: &'a config::Host,
    sink: Sink<'a>,
}

impl Judge<'_> {
    pub(super) fn find(
        &mut self,
        kind: Kind,
        subject: &Subject,
        verdict: Verdict,
        badness: Hundredths,
        detail: fmt::Arguments<'_>,
    ) {
        (self.sink)(&Finding {
            kind,
            subject,
            verdict,
            badness,
            detail,
        });
    }

    pub(super) fn unknown(&mut self, kind: Kind, subject: &Subject, detail: fmt::Arguments<'_>) {
        self.find(kind, subject, Verdict::Unknown, Hundredths(0), detail);
    }

    /// Judges one text's signal by `measure`, or says why the text has nothing to say.
    fn text<F: Figures>(
        &mut self,
        kind: Kind,
        file: HostFile,
        text: &Text<F>,
        measure: impl FnOnce(&mut Self, &F) -> Option<()>,
    ) {
        let config = self.config;
        match text.figures() {
            Err(Missing::Late(since)) => {
                let lasted = self.now.since(since);
                self.unknown(
                    kind,
                    &Subject::NONE,
                    format_args!("{}/{}: no answer for {lasted}", config.proc, name(file)),
                );
            }
            Err(missing) => self.unknown(
                kind,
                &Subject::NONE,
                format_args!("{}/{}: {missing}", config.proc, name(file)),
            ),
            Ok(figures) => {
                if measure(self, figures).is_none() {
                    self.unknown(
                        kind,
                        &Subject::NONE,
                        format_args!("{}/{}: figure missing or out of range", config.proc, name(file)),
                    );
                }
            }
        }
    }

    fn memory(&mut self) {
        let Some(limit) = limit(self.config.mem_available_min) else {
            return;
        };
        let host = self.host;
        self.text(Kind::MemLow, HostFile::MemInfo, &host.memory, |judge, figures| {
            let total = figures.total?;
            let share = Hundredths::share(figures.available?, total)?;
            judge.find(
                Kind::MemLow,
                &Subject::NONE,
                share.against_floor(limit),
                share.shortfall(),
                format_args!("{}% of {} available (limit {limit}%)", share.coarse(), KiB(total)),
            );
            Some(())
        });
    }

    fn swap(&mut self) {
        let Some(limit) = limit(self.config.swap_max) else {
            return;
        };
        let host = self.host;
        self.text(
            Kind::SwapHigh,
            HostFile::MemInfo,
            &host.memory,
            |judge, figures| {
                let total = figures.swap_total?;
                let used = total.checked_sub(figures.swap_free?)?;
                let Some(share) = Hundredths::share(used, total) else {
                    judge.find(
                        Kind::SwapHigh,
                        &Subject::NONE,
                        Verdict::Clear,
                        Hundredths(0),
                        format_args!("no swap"),
                    );
                    return Some(());
                };
                judge.find(
                    Kind::SwapHigh,
                    &Subject::NONE,
                    share.against_ceiling(limit),
                    share,
                    format_args!("{}% of {} swap used (limit {limit}%)", share.coarse(), KiB(total)),
                );
                Some(())
            },
        );
    }

    fn load(&mut self) {
        let Some(limit) = self.config.load_max.map(Hundredths::of_limit) else {
            return;
        };
        let host = self.host;
        self.text(Kind::LoadHigh, HostFile::LoadAvg, &host.load, |judge, figures| {
            let load = figures.fifteen?;
            judge.text(Kind::LoadHigh, HostFile::Stat, &host.cores, |judge, cores| {
                let each = load.each(cores.count)?;
                judge.find(
                    Kind::LoadHigh,
                    &Subject::NONE,
                    each.against_limit(limit),
                    each,
                    format_args!("15-minute load {each} per core (limit {limit})"),
                );
                Some(())
            });
            Some(())
        });
    }

    fn handles(&mut self) {
        let Some(limit) = limit(self.config.fd_max) else {
            return;
        };
        let host = self.host;
        self.text(Kind::FdHigh, HostFile::FileNr, &host.handles, |judge, figures| {
            let (used, most) = (figures.used?, figures.most?);
            let share = Hundredths::share(used, most)?;
            judge.find(
                Kind::FdHigh,
                &Subject::NONE,
                share.against_ceiling(limit),
                share,
                format_args!(
                    "{}% used, {used} of {most} file handles (limit {limit}%)",
                    share.coarse()
                ),
            );
            Some(())
        });
    }

    fn pressures(&mut self) {
        let (host, config) = (self.host, self.config);
        self.pressure(
            Kind::PressureMem,
            HostFile::PressureMemory,
            config.pressure_mem_max,
            &host.pressure_memory,
            (|figures| figures.full, "all tasks stalled on memory for"),
        );
        self.pressure(
            Kind::PressureIo,
            HostFile::PressureIo,
            config.pressure_io_max,
            &host.pressure_io,
            (|figures| figures.full, "all tasks stalled on I/O for"),
        );
        self.pressure(
            Kind::PressureCpu,
            HostFile::PressureCpu,
            config.pressure_cpu_max,
            &host.pressure_cpu,
            (|figures| figures.some, "some task waited for a CPU for"),
        );
    }

    fn pressure(
        &mut self,
        kind: Kind,
        file: HostFile,
        max: Option<Percent>,
        text: &Text<Pressure>,
        (pick, words): (fn(&Pressure) -> Option<Hundredths>, &str),
    ) {
        let Some(limit) = limit(max) else {
            return;
        };
        self.text(kind, file, text, |judge, figures| {
            let share = pick(figures)?;
            judge.find(
                kind,
                &Subject::NONE,
                share.against_ceiling(limit),
                share,
                format_args!("{words} {share}% of the last minute (limit {limit}%)"),
            );
            Some(())
        });
    }

    /// Reads that have not returned. The one that is out longest is named.
    fn stuck(&mut self) {
        let (host, config) = (self.host, self.config);
        let paths = host.paths.iter().zip(&config.disk_paths);
        let paths = paths.filter_map(|(path, named)| match path.call.answered() {
            Err(Missing::Late(since)) => Some((since, "", named.shown.as_str())),
            _ => None,
        });
        let files = FILES
            .into_iter()
            .filter_map(|file| match host.call_of(file)?.answered() {
                Err(Missing::Late(since)) => Some((since, config.proc.as_str(), name(file))),
                _ => None,
            });
        let mut count = 0_u32;
        let mut longest: Option<(Millis, &str, &str)> = None;
        for (since, folder, name) in paths.chain(files) {
            count = count.saturating_add(1);
            let lasted = self.now.since(since);
            if longest.is_none_or(|(longest, ..)| lasted > longest) {
                longest = Some((lasted, folder, name));
            }
        }
        self.stuck_for(count, longest);
    }

    fn stuck_for(&mut self, count: u32, longest: Option<(Millis, &str, &str)>) {
        let kind = Kind::HostProbeStuck;
        let none = &Subject::NONE;
        let Some((lasted, folder, name)) = longest else {
            self.find(
                kind,
                none,
                Verdict::Clear,
                Hundredths(0),
                format_args!("all reads returned"),
            );
            return;
        };
        let badness = Hundredths(count.saturating_mul(100));
        let slash = if folder.is_empty() { "" } else { "/" };
        match count.saturating_sub(1) {
            0 => self.find(
                kind,
                none,
                Verdict::Active,
                badness,
                format_args!("{folder}{slash}{name}: no answer for {lasted}"),
            ),
            more => self.find(
                kind,
                none,
                Verdict::Active,
                badness,
                format_args!("{folder}{slash}{name}: no answer for {lasted}, and {more} more"),
            ),
        }
    }
}

/// Reads a limit in percent.
pub(super) fn limit(percent: Option<Percent>) -> Option<Hundredths> {
    percent.map(|Percent(limit)| Hundredths::of_limit(limit))
}

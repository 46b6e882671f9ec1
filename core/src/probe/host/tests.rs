//! Tests of the host probe as a whole: what it asks and when, and what it finds.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::figure::Verdict;
use super::*;
use crate::config::{DiskPath, Percent};
use crate::signal::{Kind, Observation};
use crate::time::Millis;

const MEMINFO: &str = "MemTotal: 16384000 kB\nMemAvailable: 8192000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
const MOUNTINFO: &str = concat!(
    "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n",
    "2 1 0:50 / /nfs rw - nfs4 there:/export rw\n",
    "3 1 8:2 / /data rw - xfs /dev/sdb ro\n",
    "4 1 8:2 / /again ro - xfs /dev/sdb ro\n",
    "5 1 0:60 / /layers rw - overlay overlay ro\n",
);

fn config(paths: &[&str]) -> config::Host {
    let mut config = config::Config::EMPTY.host;
    config.proc = "/proc".try_into().expect("short");
    for path in paths {
        config
            .disk_paths
            .push(DiskPath {
                shown: (*path).try_into().expect("short"),
                path: (*path).try_into().expect("short"),
            })
            .expect("few");
    }
    config
}

fn full_disk(device: u64) -> FileSystem {
    FileSystem {
        device,
        blocks: 1_000,
        blocks_available: 20,
        inodes: 0,
        inodes_available: 0,
    }
}

/// The texts of a host, by what is asked; what is not in it is not found.
fn answer(host: &mut Host, config: &config::Host, texts: &[(HostFile, &str)], file: HostFile) {
    match texts.iter().find(|(name, _)| *name == file) {
        Some((_, text)) => {
            host.file_part(config, file, text.as_bytes());
            host.file_end(file, Ok(()));
        }
        None => host.file_end(file, Err(FileFault::NotFound)),
    }
}

/// Drains the wants, answers texts at once, and returns the paths that are asked.
fn drain(host: &mut Host, config: &config::Host, texts: &[(HostFile, &str)]) -> Vec<u8> {
    let mut stats = Vec::new();
    while let Some(want) = host.next() {
        match want {
            Want::File(file) => answer(host, config, texts, file),
            Want::Stat(place) => stats.push(place),
        }
    }
    stats
}

/// Everything found, as `signal verdict detail`.
fn found(host: &Host, now: Instant, config: &config::Host) -> Vec<(String, Verdict, String)> {
    let mut list = Vec::new();
    judge::observe(host, now, config, &mut |finding| {
        let id = crate::signal::SignalId {
            kind: finding.kind,
            subject: finding.subject.clone(),
        };
        list.push((id.to_string(), finding.verdict, finding.detail.to_string()));
    });
    list
}

fn find(host: &Host, now: Instant, config: &config::Host, id: &str) -> (Verdict, String) {
    let mut list = found(host, now, config);
    list.retain(|(name, ..)| name == id);
    assert_eq!(list.len(), 1, "{id} is found once");
    let (_, verdict, detail) = list.pop().expect("it is there");
    (verdict, detail)
}

/// Runs one tick in which all texts answer; for signals that need no file system.
fn one_tick(config: &config::Host, texts: &[(HostFile, &str)]) -> Host {
    let mut host = Host::new();
    host.begin_tick(Instant::ZERO, config);
    drain(&mut host, config, texts);
    host
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO.after(Millis::from_secs(seconds))
}

/// Only what a limit needs is read, and mounts first: nothing is known of a path before them.
#[test]
fn a_tick_asks_for_what_the_limits_need() {
    let mut config = config(&["/"]);
    let mut host = Host::new();
    let wants = |host: &mut Host, config: &config::Host| {
        host.begin_tick(Instant::ZERO, config);
        let mut files = Vec::new();
        while let Some(Want::File(file)) = host.next() {
            files.push(file);
            host.file_end(file, Ok(()));
        }
        files
    };
    assert_eq!(
        wants(&mut host, &config),
        [HostFile::MountInfo, HostFile::MemInfo, HostFile::LoadAvg]
    );
    config.load_max = Some(1.0);
    config.fd_max = Some(Percent(90.0));
    config.pressure_mem_max = Some(Percent(10.0));
    config.pressure_io_max = Some(Percent(10.0));
    config.pressure_cpu_max = Some(Percent(10.0));
    assert_eq!(wants(&mut host, &config), FILES);
}

#[test]
fn no_file_system_is_asked_without_a_ceiling_and_none_before_the_mounts_are_known() {
    let mut config = config(&["/"]);
    let mut host = Host::new();
    host.begin_tick(Instant::ZERO, &config);
    assert!(drain(&mut host, &config, &[]).is_empty());
    assert!(host.is_complete());

    config.inode_ceiling = Some(Percent(97.0));
    host.begin_tick(at(15), &config);
    assert_eq!(host.next(), Some(Want::File(HostFile::MountInfo)));
    while let Some(want) = host.next() {
        assert!(matches!(want, Want::File(_)));
    }
    host.file_end(HostFile::MountInfo, Err(FileFault::PermissionDenied));
    assert_eq!(host.next(), Some(Want::Stat(0)));
}

/// One at a time, local ones first: a dead network mount must not stand before a healthy disk.
#[test]
fn file_systems_are_asked_one_by_one_network_last() {
    let mut config = config(&["/nfs", "/", "/data"]);
    config.disk_ceiling = Some(Percent(97.0));
    let texts = [(HostFile::MountInfo, MOUNTINFO)];
    let mut host = Host::new();
    host.begin_tick(Instant::ZERO, &config);
    for place in [1, 2, 0] {
        assert_eq!(drain(&mut host, &config, &texts), [place]);
        assert!(!host.is_complete());
        host.file_system(place, Ok(full_disk(u64::from(place) + 1)));
    }
    assert!(host.is_complete());
    assert_eq!(host.next(), None);
    for id in ["disk_ceiling:/", "disk_ceiling:/nfs", "disk_ceiling:/data"] {
        let (verdict, detail) = find(&host, at(1), &config, id);
        assert_eq!(
            (verdict, detail.as_str()),
            (Verdict::Active, "98% used (limit 97%)")
        );
    }
}

/// The path that hangs is told, stays unasked and unwaited for, and the rest goes on without it.
#[test]
fn a_path_that_does_not_return_is_stuck_and_not_asked_again() {
    let mut config = config(&["/", "/nfs", "/data"]);
    config.disk_ceiling = Some(Percent(97.0));
    let texts = [(HostFile::MountInfo, MOUNTINFO)];
    let mut host = Host::new();
    host.begin_tick(at(0), &config);
    assert_eq!(drain(&mut host, &config, &texts), [0]);
    assert!(!host.is_complete());
    host.mark_late();
    assert_eq!(
        find(&host, at(5), &config, "host_probe_stuck"),
        (Verdict::Active, String::from("/: no answer for 5s"))
    );
    let (verdict, detail) = find(&host, at(5), &config, "disk_ceiling:/");
    assert_eq!((verdict, detail.as_str()), (Verdict::Unknown, "no answer for 5s"));
    let (verdict, detail) = find(&host, at(5), &config, "disk_ceiling:/nfs");
    assert_eq!(
        (verdict, detail.as_str()),
        (Verdict::Unknown, "not asked, another read has not returned")
    );

    host.begin_tick(at(15), &config);
    assert_eq!(drain(&mut host, &config, &texts), [2]);
    host.file_system(2, Ok(full_disk(2)));
    assert_eq!(drain(&mut host, &config, &texts), [1]);
    host.file_system(1, Ok(full_disk(3)));
    assert!(host.is_complete());
    host.mark_late();
    assert_eq!(
        find(&host, at(16), &config, "host_probe_stuck").1,
        "/: no answer for 16s"
    );
    assert_eq!(
        find(&host, at(16), &config, "disk_ceiling:/nfs").0,
        Verdict::Active
    );

    // It returns between two ticks, and is asked after the others until it is in time again.
    host.file_system(0, Ok(full_disk(1)));
    assert_eq!(find(&host, at(20), &config, "host_probe_stuck").0, Verdict::Clear);
    for order in [[2, 1, 0], [0, 2, 1]] {
        host.begin_tick(at(30 + u64::from(order[0])), &config);
        for place in order {
            assert_eq!(drain(&mut host, &config, &texts), [place]);
            host.file_system(place, Ok(full_disk(u64::from(place) + 1)));
        }
        host.mark_late();
    }
}

/// An answer that comes in a later tick counts in that one, and the path is not asked a second time in it.
#[test]
fn a_late_answer_counts_in_the_tick_in_which_it_comes() {
    let mut config = config(&["/"]);
    config.disk_ceiling = Some(Percent(97.0));
    let mut host = Host::new();
    host.begin_tick(at(0), &config);
    assert_eq!(drain(&mut host, &config, &[]), [0]);
    host.begin_tick(at(15), &config);
    assert!(drain(&mut host, &config, &[]).is_empty());
    assert!(host.is_complete(), "what hangs is not waited for");
    host.file_system(0, Ok(full_disk(1)));
    assert!(drain(&mut host, &config, &[]).is_empty());
    assert_eq!(find(&host, at(15), &config, "disk_ceiling:/").0, Verdict::Active);
    host.begin_tick(at(30), &config);
    assert_eq!(find(&host, at(30), &config, "disk_ceiling:/").0, Verdict::Unknown);
    assert_eq!(drain(&mut host, &config, &[]), [0]);
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut config = config(&["/"]);
    config.disk_ceiling = Some(Percent(97.0));
    let mut host = Host::new();
    host.begin_tick(at(0), &config);
    host.file_system(0, Ok(full_disk(1)));
    host.file_system(7, Ok(full_disk(1)));
    host.file_system(255, Ok(full_disk(1)));
    host.file_end(HostFile::Hosts, Ok(()));
    host.file_part(&config, HostFile::ResolvConf, b"x");
    host.file_end(HostFile::PressureCpu, Ok(()));
    assert_eq!(find(&host, at(0), &config, "disk_ceiling:/").0, Verdict::Unknown);
}

/// A text that does not end is told like a path, by its name, and its late end is the next tick's.
#[test]
fn a_text_that_does_not_end_is_stuck_too() {
    let mut config = config(&[]);
    config.mem_available_min = Some(Percent(5.0));
    let mut host = Host::new();
    host.begin_tick(at(0), &config);
    while let Some(want) = host.next() {
        if want == Want::File(HostFile::MemInfo) {
            host.file_part(&config, HostFile::MemInfo, &MEMINFO.as_bytes()[..30]);
        } else if let Want::File(file) = want {
            host.file_end(file, Ok(()));
        }
    }
    assert!(!host.is_complete());
    assert_eq!(
        find(&host, at(5), &config, "host_probe_stuck"),
        (Verdict::Active, String::from("/proc/meminfo: no answer for 5s"))
    );
    assert_eq!(
        find(&host, at(5), &config, "mem_low"),
        (Verdict::Unknown, String::from("/proc/meminfo: no answer for 5s"))
    );
    host.begin_tick(at(15), &config);
    while let Some(Want::File(file)) = host.next() {
        assert_ne!(file, HostFile::MemInfo);
        host.file_end(file, Ok(()));
    }
    assert!(host.is_complete());
    host.file_part(&config, HostFile::MemInfo, &MEMINFO.as_bytes()[30..]);
    host.file_end(HostFile::MemInfo, Ok(()));
    assert_eq!(find(&host, at(16), &config, "mem_low").0, Verdict::Clear);
}

/// One file system seen through several paths counts once: for the first that answers.
#[test]
fn one_file_system_seen_twice_counts_once() {
    let mut config = config(&["/a", "/b", "/c"]);
    config.disk_ceiling = Some(Percent(97.0));
    let mut host = Host::new();
    let verdicts = |host: &Host| {
        ["disk_ceiling:/a", "disk_ceiling:/b", "disk_ceiling:/c"].map(|id| find(host, at(0), &config, id))
    };
    let answers = |host: &mut Host, answers: [Result<FileSystem, FileFault>; 3]| {
        host.begin_tick(at(0), &config);
        for (place, answer) in (0_u8..).zip(answers) {
            assert_eq!(drain(host, &config, &[]), [place]);
            host.file_system(place, answer);
        }
    };
    answers(&mut host, [Ok(full_disk(7)), Ok(full_disk(8)), Ok(full_disk(7))]);
    let [a, b, c] = verdicts(&host);
    assert_eq!((a.0, b.0), (Verdict::Active, Verdict::Active));
    assert_eq!(c, (Verdict::Clear, String::from("same file system as /a")));

    answers(
        &mut host,
        [Err(FileFault::NotFound), Ok(full_disk(8)), Ok(full_disk(7))],
    );
    let [a, b, c] = verdicts(&host);
    assert_eq!(a, (Verdict::Unknown, String::from("not found")));
    assert_eq!((b.0, c.0), (Verdict::Active, Verdict::Active));

    answers(&mut host, [Ok(full_disk(0)), Ok(full_disk(0)), Ok(full_disk(0))]);
    assert!(
        verdicts(&host)
            .iter()
            .all(|(verdict, _)| *verdict == Verdict::Active)
    );
}

#[test]
fn disks_and_inodes_are_judged_by_what_is_left_to_all() {
    let mut config = config(&["/"]);
    config.disk_ceiling = Some(Percent(97.0));
    config.inode_ceiling = Some(Percent(50.0));
    let judge = |figures: FileSystem| {
        let mut host = Host::new();
        host.begin_tick(at(0), &config);
        drain(&mut host, &config, &[]);
        host.file_system(0, Ok(figures));
        let blocks = find(&host, at(0), &config, "disk_ceiling:/");
        let inodes = find(&host, at(0), &config, "inode_ceiling:/");
        (blocks, inodes)
    };
    let of = |blocks, blocks_available, inodes, inodes_available| FileSystem {
        device: 1,
        blocks,
        blocks_available,
        inodes,
        inodes_available,
    };
    let (blocks, inodes) = judge(of(1_000, 31, 100, 49));
    assert_eq!(blocks, (Verdict::Between, String::from("96.9% used (limit 97%)")));
    assert_eq!(inodes, (Verdict::Active, String::from("51% used (limit 50%)")));
    let (blocks, inodes) = judge(of(1_000, 500, 0, 0));
    assert_eq!(blocks, (Verdict::Clear, String::from("50% used (limit 97%)")));
    assert_eq!(
        inodes,
        (Verdict::Clear, String::from("file system without inodes"))
    );
    // Figures that lie alarm nobody, and nobody is told that all is well.
    for lie in [of(0, 0, 1, 2), of(5, 6, 1, u64::MAX), of(1, u64::MAX, 3, 4)] {
        let (blocks, inodes) = judge(lie);
        assert_eq!((blocks.0, inodes.0), (Verdict::Unknown, Verdict::Unknown));
    }
    let (blocks, inodes) = judge(of(u64::MAX, 0, u64::MAX, 0));
    assert_eq!((blocks.0, inodes.0), (Verdict::Active, Verdict::Active));
}

#[test]
fn read_only_is_told_of_disks_that_turn_and_of_no_other() {
    let config = config(&["/", "/nfs", "/data", "/again/sub", "/layers"]);
    let host = one_tick(&config, &[(HostFile::MountInfo, MOUNTINFO)]);
    let see = |id: &str| find(&host, at(0), &config, id);
    assert_eq!(
        see("disk_readonly:/"),
        (Verdict::Clear, String::from("ext4 is writable"))
    );
    assert_eq!(
        see("disk_readonly:/data"),
        (Verdict::Active, String::from("xfs is read-only"))
    );
    assert_eq!(
        see("disk_readonly:/again/sub"),
        (Verdict::Clear, String::from("same file system as /data"))
    );
    assert_eq!(
        see("disk_readonly:/layers"),
        (
            Verdict::Unknown,
            String::from("overlay does not say whether it is read-only")
        )
    );
    assert_eq!(see("disk_readonly:/nfs").0, Verdict::Unknown);
}

#[test]
fn without_mounts_read_only_is_unknown() {
    let config = config(&["/"]);
    let host = one_tick(&config, &[]);
    assert_eq!(
        find(&host, at(0), &config, "disk_readonly:/"),
        (Verdict::Unknown, String::from("mountinfo: not found"))
    );
    let host = one_tick(&config, &[(HostFile::MountInfo, "")]);
    assert_eq!(
        find(&host, at(0), &config, "disk_readonly:/"),
        (Verdict::Unknown, String::from("no mount holds this path"))
    );
}

/// The figures of a clear signal are told as well as those of an active one.
#[test]
fn every_limit_is_judged_with_its_figures() {
    let mut config = config(&[]);
    config.mem_available_min = Some(Percent(5.0));
    config.swap_max = Some(Percent(80.0));
    config.load_max = Some(1.0);
    config.fd_max = Some(Percent(90.0));
    config.pressure_mem_max = Some(Percent(10.0));
    config.pressure_io_max = Some(Percent(10.5));
    config.pressure_cpu_max = Some(Percent(50.0));
    let pressure = "some avg10=0 avg60=55.25 avg300=0 total=0\nfull avg10=99 avg60=9.50 avg300=0 total=0\n";
    let host = one_tick(
        &config,
        &[
            (
                HostFile::MemInfo,
                "MemTotal: 16384000 kB\nMemAvailable: 507904 kB\nSwapTotal: 2097152 kB\nSwapFree: 419430 kB\n",
            ),
            (HostFile::LoadAvg, "9 9 3.44 1/2 3\n"),
            (HostFile::Stat, "cpu 1\ncpu0 1\ncpu1 1\n"),
            (HostFile::FileNr, "1000 0 10000\n"),
            (HostFile::PressureMemory, pressure),
            (HostFile::PressureIo, pressure),
            (HostFile::PressureCpu, pressure),
        ],
    );
    let found: Vec<String> = found(&host, at(0), &config)
        .into_iter()
        .map(|(id, verdict, detail)| format!("{id} {verdict:?}: {detail}"))
        .collect();
    assert_eq!(
        found,
        [
            "mem_low Active: 3.1% of 15.6 GiB available (limit 5%)",
            "swap_high Active: 80% of 2 GiB swap used (limit 80%)",
            "load_high Active: 15-minute load 1.72 per core (limit 1)",
            "fd_high Clear: 10% used, 1000 of 10000 file handles (limit 90%)",
            "pressure_mem Between: all tasks stalled on memory for 9.5% of the last minute (limit 10%)",
            "pressure_io Between: all tasks stalled on I/O for 9.5% of the last minute (limit 10.5%)",
            "pressure_cpu Active: some task waited for a CPU for 55.25% of the last minute (limit 50%)",
            "host_probe_stuck Clear: all reads returned",
        ]
    );
}

/// A kernel that does not keep a figure, and texts that hold nothing, are unknown, with the reason.
#[test]
fn what_cannot_be_read_is_unknown_with_its_reason() {
    let mut config = config(&[]);
    config.mem_available_min = Some(Percent(5.0));
    config.swap_max = Some(Percent(80.0));
    config.load_max = Some(1.0);
    config.pressure_mem_max = Some(Percent(10.0));
    let mut host = Host::new();
    host.begin_tick(at(0), &config);
    while let Some(Want::File(file)) = host.next() {
        match file {
            HostFile::PressureMemory => host.file_end(file, Err(FileFault::NotSupported)),
            HostFile::LoadAvg => answer(&mut host, &config, &[(file, "1 1 1 1/1 1\n")], file),
            _ => host.file_end(file, Ok(())),
        }
    }
    let found: Vec<String> = found(&host, at(0), &config)
        .into_iter()
        .map(|(id, verdict, detail)| format!("{id} {verdict:?}: {detail}"))
        .collect();
    assert_eq!(
        found,
        [
            "mem_low Unknown: /proc/meminfo: figure missing or out of range",
            "swap_high Unknown: /proc/meminfo: figure missing or out of range",
            "load_high Unknown: /proc/stat: figure missing or out of range",
            "pressure_mem Unknown: /proc/pressure/memory: not supported by this kernel",
            "host_probe_stuck Clear: all reads returned",
        ]
    );
}

#[test]
fn figures_that_lie_are_unknown_and_no_swap_is_clear() {
    let mut config = config(&[]);
    config.mem_available_min = Some(Percent(5.0));
    config.swap_max = Some(Percent(80.0));
    config.fd_max = Some(Percent(90.0));
    let host = one_tick(
        &config,
        &[
            (
                HostFile::MemInfo,
                "MemTotal: 5 kB\nMemAvailable: 6 kB\nSwapTotal: 5 kB\nSwapFree: 6 kB\n",
            ),
            (HostFile::FileNr, "9 8 0\n"),
        ],
    );
    for id in ["mem_low", "swap_high", "fd_high"] {
        assert_eq!(find(&host, at(0), &config, id).0, Verdict::Unknown, "{id}");
    }
    let host = one_tick(&config, &[(HostFile::MemInfo, MEMINFO)]);
    assert_eq!(
        find(&host, at(0), &config, "swap_high"),
        (Verdict::Clear, String::from("no swap"))
    );
}

#[test]
fn the_summary_tells_figures_or_the_reason() {
    let config = config(&[]);
    let host = one_tick(
        &config,
        &[
            (HostFile::MemInfo, MEMINFO),
            (HostFile::LoadAvg, "0.1 0.2 0.30 1/1 1\n"),
        ],
    );
    let summary = judge::summary(&host, &config);
    assert!(summary.is_readable);
    assert_eq!(
        summary.detail.as_str(),
        "7.8 GiB of 15.6 GiB memory available, 15-minute load 0.3"
    );
    let summary = judge::summary(&one_tick(&config, &[]), &config);
    assert!(!summary.is_readable);
    assert_eq!(
        summary.detail.as_str(),
        "/proc/meminfo: not found, /proc/loadavg: not found"
    );
}

/// A long path as subject or in a detail is bounded by both.
#[test]
fn a_discovered_name_of_any_length_fits() {
    let long = format!("/{}", "p".repeat(63));
    let config = config(&[long.as_str()]);
    let host = one_tick(&config, &[(HostFile::MountInfo, MOUNTINFO)]);
    assert_eq!(
        find(&host, at(0), &config, &format!("disk_readonly:{long}")).0,
        Verdict::Clear
    );
    assert!(
        found(&host, at(0), &config)
            .iter()
            .all(|(id, ..)| !id.starts_with(Kind::DiskCeiling.name()))
    );
}

/// The probe lives in memory that starts out as zeros, and is small.
#[test]
fn the_probe_is_small() {
    assert!(size_of::<Host>() < 4096, "{}", size_of::<Host>());
}

/// Between its two thresholds a signal that fires stays active, and one that does not stays clear (CONTRACTS 4).
#[test]
fn between_the_thresholds_a_signal_stays_what_it_is() {
    let mut all = config::Config::EMPTY;
    (all.raise_ticks, all.clear_ticks) = (1, 1);
    all.interval = Millis::from_secs(15);
    all.host = config(&["/"]);
    all.host.disk_ceiling = Some(Percent(97.0));
    let subject = crate::text::Subject::new("/");
    let mut table = std::boxed::Box::new(Table::new());
    let id = crate::signal::SignalId {
        kind: Kind::DiskCeiling,
        subject: subject.clone(),
    };
    table.register(id, at(0));
    let mut host = Host::new();
    let mut observe = |tick: u64, blocks_available: u64| {
        host.begin_tick(at(tick), &all.host);
        drain(&mut host, &all.host, &[(HostFile::MemInfo, MEMINFO)]);
        let figures = FileSystem {
            blocks_available,
            ..full_disk(1)
        };
        host.file_system(0, Ok(figures));
        let summary = host.settle(at(tick), &all.host, &mut table);
        assert!(summary.is_readable);
        let staged = table.staged(Kind::DiskCeiling, &subject);
        let staged = staged.map(|(observation, detail)| (observation, detail.to_string()));
        table.settle(at(tick), &all);
        staged.expect("the path is observed")
    };
    for (tick, available, observation, detail) in [
        (15, 40, Observation::Clear, "96% used (limit 97%)"),
        (30, 30, Observation::Active, "97% used (limit 97%)"),
        (45, 40, Observation::Active, "96% used (limit 97%)"),
        (60, 50, Observation::Clear, "95% used (limit 97%)"),
        (75, 40, Observation::Clear, "96% used (limit 97%)"),
    ] {
        assert_eq!(
            observe(tick, available),
            (observation, detail.to_string()),
            "at {tick}s"
        );
    }
}

/// Whatever the texts hold, nothing panics, and how they are cut into parts changes nothing: 2,000 times the texts of a
/// host, damaged, read whole and read in pieces.
#[test]
fn damaged_texts_are_read_alike_whole_and_in_pieces() {
    let mut config = config(&["/", "/nfs/x", "/data"]);
    config.mem_available_min = Some(Percent(5.0));
    config.swap_max = Some(Percent(80.0));
    config.load_max = Some(1.0);
    config.fd_max = Some(Percent(90.0));
    config.pressure_io_max = Some(Percent(10.0));
    let sound = [
        (HostFile::MountInfo, MOUNTINFO),
        (HostFile::MemInfo, MEMINFO),
        (HostFile::LoadAvg, "0.16 0.11 0.07 2/99 7266\n"),
        (HostFile::Stat, "cpu 1\ncpu0 1\ncpu1 1\nintr 5 6\n"),
        (HostFile::FileNr, "639\t0\t2466177\n"),
        (
            HostFile::PressureIo,
            "some avg60=1.68\nfull avg10=0.36 avg60=0.06\n",
        ),
    ];
    let mut random = crate::random::Random::new(3);
    let unharmed = found(&one_tick(&config, &sound), at(1), &config);
    let mut differed = 0;
    for round in 0..2_000 {
        let mut whole = Host::new();
        let mut pieces = Host::new();
        for host in [&mut whole, &mut pieces] {
            host.begin_tick(at(0), &config);
            while let Some(Want::File(_)) = host.next() {}
        }
        for (file, text) in sound {
            let mut text = text.as_bytes().to_vec();
            for _ in 0..random.below(4) {
                let place = usize::try_from(random.below(text.len() as u64)).expect("small");
                match random.below(3) {
                    0 => text[place] = random.draw().to_le_bytes()[0],
                    1 => drop(text.remove(place)),
                    _ => text.insert(place, b" \n0:9-\\/"[(random.draw() & 7) as usize]),
                }
            }
            whole.file_part(&config, file, &text);
            whole.file_end(file, Ok(()));
            let mut rest = text.as_slice();
            while !rest.is_empty() {
                let bytes = usize::try_from(random.below(9)).expect("small").min(rest.len());
                let (part, after) = rest.split_at(bytes);
                pieces.file_part(&config, file, part);
                rest = after;
            }
            pieces.file_end(file, Ok(()));
        }
        let seen = found(&whole, at(1), &config);
        assert_eq!(seen, found(&pieces, at(1), &config), "round {round}");
        differed += usize::from(seen != unharmed);
    }
    assert!(differed > 100, "the damage did nothing");
}

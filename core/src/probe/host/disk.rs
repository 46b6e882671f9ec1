//! The file systems of the configured paths against their limits, and whether they turned read-only.
//!
//! A file system counts once, for the first path that answers for it. Figures that make no sense are unknown.
//! Tests: `tests.rs` beside this file.

use super::call::Missing;
use super::figure::{Hundredths, Verdict};
use super::judge::{Judge, limit};
use crate::config::DiskPath;
use crate::limits::DISK_PATHS_MAX;
use crate::net::FileSystem;
use crate::signal::Kind;
use crate::text::Subject;

impl<'a> Judge<'a> {
    /// Judges every path of the configuration.
    pub(super) fn disks(&mut self) {
        let config = self.config;
        for (place, path) in (0..DISK_PATHS_MAX).zip(&config.disk_paths) {
            let subject = Subject::new(&path.shown);
            self.usage(place, &subject);
            self.read_only(place, &subject);
        }
    }

    /// Blocks and inodes of one path.
    fn usage(&mut self, place: usize, subject: &Subject) {
        let Some(path) = self.host.paths.get(place) else {
            return;
        };
        let limits = [
            (Kind::DiskCeiling, limit(self.config.disk_ceiling)),
            (Kind::InodeCeiling, limit(self.config.inode_ceiling)),
        ];
        let twin = self.twin_by_device(place);
        for (kind, limit) in limits {
            let Some(limit) = limit else { continue };
            match (path.call.answered(), twin) {
                (Err(Missing::Late(since)), _) => {
                    let lasted = self.now.since(since);
                    self.unknown(kind, subject, format_args!("no answer for {lasted}"));
                }
                (Err(missing), _) => self.unknown(kind, subject, format_args!("{missing}")),
                (Ok(_), Some(twin)) => self.same_as(kind, subject, twin),
                (Ok(figures), None) if kind == Kind::DiskCeiling => self.blocks(subject, &figures, limit),
                (Ok(figures), None) => self.inodes(subject, &figures, limit),
            }
        }
    }

    fn blocks(&mut self, subject: &Subject, figures: &FileSystem, limit: Hundredths) {
        // Root's reserve is neither available nor of use to anyone who writes, so it counts as used.
        let used = figures.blocks.checked_sub(figures.blocks_available);
        match used.and_then(|used| Hundredths::share(used, figures.blocks)) {
            Some(share) => self.used(Kind::DiskCeiling, subject, share, limit),
            None => self.unknown(
                Kind::DiskCeiling,
                subject,
                format_args!(
                    "figures make no sense: {} of {} blocks available",
                    figures.blocks_available, figures.blocks
                ),
            ),
        }
    }

    fn inodes(&mut self, subject: &Subject, figures: &FileSystem, limit: Hundredths) {
        if figures.inodes == 0 {
            self.find(
                Kind::InodeCeiling,
                subject,
                Verdict::Clear,
                Hundredths(0),
                format_args!("file system without inodes"),
            );
            return;
        }
        let used = figures.inodes.checked_sub(figures.inodes_available);
        match used.and_then(|used| Hundredths::share(used, figures.inodes)) {
            Some(share) => self.used(Kind::InodeCeiling, subject, share, limit),
            None => self.unknown(
                Kind::InodeCeiling,
                subject,
                format_args!(
                    "figures make no sense: {} of {} inodes available",
                    figures.inodes_available, figures.inodes
                ),
            ),
        }
    }

    fn used(&mut self, kind: Kind, subject: &Subject, share: Hundredths, limit: Hundredths) {
        let verdict = share.against_ceiling(limit);
        self.find(
            kind,
            subject,
            verdict,
            share,
            format_args!("{}% used (limit {limit}%)", share.coarse()),
        );
    }

    /// A path whose file system an earlier path already stands for is clear: it counts once, and what fired for it while
    /// that path could not be read must be able to end.
    fn same_as(&mut self, kind: Kind, subject: &Subject, twin: &DiskPath) {
        self.find(
            kind,
            subject,
            Verdict::Clear,
            Hundredths(0),
            format_args!("same file system as {}", twin.shown),
        );
    }

    /// Finds an earlier path that answered for the same device.
    fn twin_by_device(&self, place: usize) -> Option<&'a DiskPath> {
        let host = self.host;
        let device = |place: usize| {
            let figures = host.paths.get(place)?.call.answered().ok()?;
            // No real device is numbered 0.
            (figures.device != 0).then_some(figures.device)
        };
        let own = device(place)?;
        let earlier = (0..place).zip(&self.config.disk_paths);
        earlier
            .filter(|(earlier, _)| device(*earlier) == Some(own))
            .map(|(_, path)| path)
            .next()
    }

    fn read_only(&mut self, place: usize, subject: &Subject) {
        let kind = Kind::DiskReadonly;
        if let Err(missing) = self.host.mounts_call.answered() {
            self.unknown(kind, subject, format_args!("mountinfo: {missing}"));
            return;
        }
        let mount = self.host.mounts.of(place);
        if !mount.is_known() {
            self.unknown(kind, subject, format_args!("no mount holds this path"));
        } else if !mount.turns_read_only() {
            let fs = mount.kind();
            self.unknown(
                kind,
                subject,
                format_args!("{fs} does not say whether it is read-only"),
            );
        } else if let Some(twin) = self.twin_by_mount(place) {
            self.same_as(kind, subject, twin);
        } else if mount.is_read_only {
            let fs = mount.kind();
            self.find(
                kind,
                subject,
                Verdict::Active,
                Hundredths(100),
                format_args!("{fs} is read-only"),
            );
        } else {
            let fs = mount.kind();
            self.find(
                kind,
                subject,
                Verdict::Clear,
                Hundredths(0),
                format_args!("{fs} is writable"),
            );
        }
    }

    /// Finds an earlier path on the same device by the mounts, which need no call that could hang. Not for the ceilings:
    /// a symbolic link leads to another file system than its own path says.
    fn twin_by_mount(&self, place: usize) -> Option<&'a DiskPath> {
        let mounts = &self.host.mounts;
        let own = mounts.of(place).device;
        let earlier = (0..place).zip(&self.config.disk_paths);
        earlier
            .filter(|(earlier, _)| mounts.of(*earlier).is_known() && mounts.of(*earlier).device == own)
            .map(|(_, path)| path)
            .next()
    }
}

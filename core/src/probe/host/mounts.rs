//! `mountinfo`: on which file system each path of the configuration lies, and whether that turned read-only.
//!
//! Read byte by byte, in constant memory: of a line only the device, the type and whether its super options say `ro` are
//! kept, and the mount point is compared with the paths while it passes. Never looks at the mount's own options (field
//! 6): a `:ro` bind mount says `ro` there of a healthy disk. A path is compared as it is written, symbolic links are not
//! followed. Format: proc_pid_mountinfo(5). Never panics. Tests: beside the code.

use heapless::Vec;

use crate::config::DiskPath;
use crate::limits::DISK_PATHS_MAX;

/// Bytes of a file system's type that are kept: the longest known to us is `fuse.glusterfs` with 14.
const TYPE_BYTES: usize = 24;

/// Types that answer from a network, hence perhaps never.
const NETWORK: [&[u8]; 23] = [
    b"9p",
    b"acfs",
    b"afs",
    b"autofs",
    b"beegfs",
    b"ceph",
    b"cifs",
    b"coda",
    b"fuse",
    b"gfs2",
    b"glusterfs",
    b"gpfs",
    b"lustre",
    b"ncpfs",
    b"nfs",
    b"nfs4",
    b"ocfs2",
    b"orangefs",
    b"panfs",
    b"pvfs2",
    b"smb3",
    b"smbfs",
    b"virtiofs",
];
/// Types that turn themselves read-only when the disk below them fails, and say so in their super options.
const TURNS_READ_ONLY: [&[u8]; 6] = [b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"f2fs"];

/// The file system that a path lies on.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    /// The device's major and minor number, one for each file system.
    pub(super) device: (u32, u32),
    /// Whether its super options say `ro`.
    pub(super) is_read_only: bool,
    /// Bytes of the mount point; 0 = no mount was found.
    point_bytes: u16,
    kind: Vec<u8, TYPE_BYTES>,
}

impl Mount {
    const NONE: Self = Self {
        device: (0, 0),
        is_read_only: false,
        point_bytes: 0,
        kind: Vec::new(),
    };

    /// Tells whether a mount was found.
    pub(super) const fn is_known(&self) -> bool {
        self.point_bytes > 0
    }

    /// Tells the file system's type.
    pub(super) fn kind(&self) -> &str {
        core::str::from_utf8(self.kind.as_slice()).unwrap_or("?")
    }

    /// Tells whether it answers from a network.
    pub(super) fn is_network(&self) -> bool {
        let kind = self.kind.as_slice();
        kind.starts_with(b"fuse.") || NETWORK.contains(&kind)
    }

    /// Tells whether its super options can be trusted to say that it turned read-only.
    pub(super) fn turns_read_only(&self) -> bool {
        TURNS_READ_ONLY.contains(&self.kind.as_slice())
    }
}

/// The mounts of the paths, by their place in the configuration.
#[derive(Debug)]
pub(super) struct Mounts {
    found: [Mount; DISK_PATHS_MAX],
    reader: Reader,
}

impl Mounts {
    /// Nothing read.
    pub(super) const fn new() -> Self {
        Self {
            found: [const { Mount::NONE }; DISK_PATHS_MAX],
            reader: Reader::new(),
        }
    }

    /// Forgets what was read.
    pub(super) fn clear(&mut self) {
        self.found.fill(Mount::NONE);
        self.reader.next_line();
    }

    /// Reads on.
    pub(super) fn part(&mut self, paths: &[DiskPath], part: &[u8]) {
        for &byte in part {
            if byte == b'\n' {
                self.end();
            } else {
                self.reader.read(paths, byte);
            }
        }
    }

    /// Ends a line, and the text: a last line without its end counts.
    pub(super) fn end(&mut self) {
        if self.reader.field == Field::Super {
            for (place, found) in (0..DISK_PATHS_MAX).zip(&mut self.found) {
                // The longest mount point that holds the path; of equal ones the last, for it covers the others.
                if self.reader.point.holds(place) && self.reader.point.bytes >= found.point_bytes {
                    *found = self.reader.mount();
                }
            }
        }
        self.reader.next_line();
    }

    /// Tells the mount of a path.
    pub(super) fn of(&self, place: usize) -> &Mount {
        const NONE: &Mount = &Mount::NONE;
        self.found.get(place).unwrap_or(NONE)
    }
}

/// The field of a line that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// 1: the mount's number.
    Id,
    /// 2: that of its parent.
    Parent,
    /// 3: `major:minor`.
    Device,
    /// 4: what of the file system is mounted.
    Root,
    /// 5: where.
    Point,
    /// 6: the mount's own options.
    Options,
    /// 7: any number of fields, until one is `-`.
    Optional,
    /// 9: the type.
    Kind,
    /// 10: what was mounted.
    From,
    /// 11: the super options, and whatever a later kernel puts behind them.
    Super,
    /// The line makes no sense.
    Bad,
}

/// A line as far as it was read.
#[derive(Debug)]
struct Reader {
    field: Field,
    /// Bytes of this field that were read, at most [`u8::MAX`].
    field_bytes: u8,
    /// Whether this field is `-`, so far.
    is_dash: bool,
    major: Option<u32>,
    number: u32,
    kind: Vec<u8, TYPE_BYTES>,
    point: Point,
    option: Word,
    is_read_only: bool,
}

impl Reader {
    const fn new() -> Self {
        Self {
            field: Field::Id,
            field_bytes: 0,
            is_dash: false,
            major: None,
            number: 0,
            kind: Vec::new(),
            point: Point::new(),
            option: Word::Start,
            is_read_only: false,
        }
    }

    fn next_line(&mut self) {
        *self = Self::new();
    }

    fn mount(&self) -> Mount {
        Mount {
            device: (self.major.unwrap_or(0), self.number),
            // The last option ends with the line.
            is_read_only: self.is_read_only || self.option == Word::ReadOnly,
            point_bytes: self.point.bytes,
            kind: self.kind.clone(),
        }
    }

    fn read(&mut self, paths: &[DiskPath], byte: u8) {
        if byte == b' ' {
            self.end_field(paths);
            self.field_bytes = 0;
            return;
        }
        match self.field {
            Field::Device => self.device(byte),
            Field::Point => self.point.read(paths, byte),
            Field::Optional => self.is_dash = byte == b'-' && self.field_bytes == 0,
            // A longer type is none of ours, whatever it begins with; but what was kept of it must not be taken for one.
            Field::Kind if self.kind.push(byte).is_err() => self.field = Field::Bad,
            Field::Super => self.super_option(byte),
            _ => {}
        }
        self.field_bytes = self.field_bytes.saturating_add(1);
    }

    fn device(&mut self, byte: u8) {
        let digit = byte.wrapping_sub(b'0');
        if byte == b':' && self.major.is_none() && self.field_bytes > 0 {
            self.major = Some(self.number);
            self.number = 0;
        } else if let Some(number) = self.number.checked_mul(10)
            && digit < 10
        {
            self.number = number.saturating_add(u32::from(digit));
        } else {
            self.field = Field::Bad;
        }
    }

    fn super_option(&mut self, byte: u8) {
        if byte == b',' {
            self.end_option();
        } else {
            self.option = self.option.and(byte);
        }
    }

    fn end_option(&mut self) {
        self.is_read_only |= self.option == Word::ReadOnly;
        self.option = Word::Start;
    }

    fn end_field(&mut self, paths: &[DiskPath]) {
        self.field = match self.field {
            Field::Id => Field::Parent,
            Field::Parent => Field::Device,
            Field::Device if self.major.is_none() => Field::Bad,
            Field::Device => Field::Root,
            Field::Root => Field::Point,
            Field::Point => {
                self.point.end(paths);
                Field::Options
            }
            Field::Options => Field::Optional,
            Field::Optional if self.is_dash => Field::Kind,
            Field::Optional => Field::Optional,
            Field::Kind => Field::From,
            Field::From => Field::Super,
            Field::Super => {
                self.end_option();
                // A further field is not an option.
                self.option = Word::Other;
                Field::Super
            }
            Field::Bad => Field::Bad,
        };
        self.is_dash = false;
    }
}

/// An option as far as it was read, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Start,
    R,
    ReadOnly,
    Other,
}

impl Word {
    const fn and(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Start, b'r') => Self::R,
            (Self::R, b'o') => Self::ReadOnly,
            _ => Self::Other,
        }
    }
}

/// A mount point while it passes, and which paths begin with it.
#[derive(Debug)]
struct Point {
    /// Its bytes so far, escapes decoded.
    bytes: u16,
    /// The last of them.
    last: u8,
    /// A bit for each path that differs.
    differs: u16,
    /// How far each path was compared.
    compared: [u16; DISK_PATHS_MAX],
    escape: Option<(u8, u16)>,
}

const _: () = assert!(DISK_PATHS_MAX <= 16, "a bit for each path");

impl Point {
    const fn new() -> Self {
        Self {
            bytes: 0,
            last: 0,
            differs: 0,
            compared: [0; DISK_PATHS_MAX],
            escape: None,
        }
    }

    /// Takes a byte as it stands in the text; the kernel writes blanks, line ends, `#` and `\` as `\` and three octal
    /// digits.
    fn read(&mut self, paths: &[DiskPath], byte: u8) {
        match (self.escape, byte) {
            (None, b'\\') => self.escape = Some((0, 0)),
            (None, plain) => self.compare(paths, plain),
            (Some((digits, value)), b'0'..=b'7') => {
                let value = value
                    .saturating_mul(8)
                    .saturating_add(u16::from(byte.wrapping_sub(b'0')));
                self.escape = Some((digits.saturating_add(1), value));
                if digits == 2 {
                    self.escape = None;
                    match u8::try_from(value) {
                        Ok(decoded) => self.compare(paths, decoded),
                        Err(_) => self.differs = u16::MAX,
                    }
                }
            }
            // No kernel writes that.
            (Some(_), _) => self.differs = u16::MAX,
        }
    }

    fn compare(&mut self, paths: &[DiskPath], byte: u8) {
        self.bytes = self.bytes.saturating_add(1);
        self.last = byte;
        for (place, path) in (0..DISK_PATHS_MAX).zip(paths) {
            if let Some(compared) = self.compared.get_mut(place) {
                match step(path.path.as_bytes(), *compared) {
                    Some((expected, next)) if expected == byte => *compared = next,
                    _ => self.differs |= bit(place),
                }
            }
        }
    }

    /// Ends the mount point: a path lies below it if its own next component begins there.
    fn end(&mut self, paths: &[DiskPath]) {
        if self.escape.is_some() || self.bytes == 0 {
            self.differs = u16::MAX;
        }
        let held = u16::try_from(paths.len()).unwrap_or(u16::MAX);
        // Places without a path are held by no mount.
        self.differs |= u16::MAX.checked_shl(u32::from(held)).unwrap_or(0);
        for (place, path) in (0..DISK_PATHS_MAX).zip(paths) {
            let compared = self.compared.get(place).copied().unwrap_or(0);
            let next = step(path.path.as_bytes(), compared);
            if self.last != b'/' && next.is_some_and(|(byte, _)| byte != b'/') {
                self.differs |= bit(place);
            }
        }
    }

    fn holds(&self, place: usize) -> bool {
        self.differs & bit(place) == 0
    }
}

fn bit(place: usize) -> u16 {
    u32::try_from(place)
        .ok()
        .and_then(|place| 1_u16.checked_shl(place))
        .unwrap_or(0)
}

/// Tells the byte of a path at `at` and where the next one is, as if slashes stood single and none at its end.
fn step(path: &[u8], at: u16) -> Option<(u8, u16)> {
    let byte = *path.get(usize::from(at))?;
    let mut next = at.saturating_add(1);
    if byte != b'/' {
        return Some((byte, next));
    }
    while path.get(usize::from(next)) == Some(&b'/') {
        next = next.saturating_add(1);
    }
    let ends = usize::from(next) >= path.len();
    (at == 0 || !ends).then_some((b'/', next))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec as List;

    /// A Debian host with what people mount: a systemd root, snap images, a read-only bind mount, NFS, sshfs.
    const DEBIAN: &str = concat!(
        "22 27 0:21 / /proc rw,relatime shared:14 - proc proc rw\n",
        "26 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n",
        "27 26 0:23 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw\n",
        "50 26 7:0 / /snap/core/1 ro,nodev,relatime shared:29 - squashfs /dev/loop0 ro\n",
        "60 26 8:17 / /data rw,noatime shared:30 - xfs /dev/sdb1 ro,attr2,inode64\n",
        "61 26 8:17 /sub /srv/export ro,noatime shared:30 master:2 - xfs /dev/sdb1 rw,attr2\n",
        "62 26 0:50 / /mnt/My\\040Share rw,relatime - nfs4 10.0.0.1:/export rw,vers=4.2,addr=10.0.0.1\n",
        "63 26 0:51 / /mnt/ssh rw,nosuid - fuse.sshfs me@there:/ rw,user_id=0\n",
        "64 26 0:52 /@home /home rw,relatime - btrfs /dev/sdc rw,space_cache=v2,subvol=/@home\n",
    );

    fn paths(list: &[&str]) -> List<DiskPath> {
        list.iter()
            .map(|path| DiskPath {
                shown: "x".try_into().expect("short"),
                path: (*path).try_into().expect("short"),
            })
            .collect()
    }

    fn read(list: &[&str], parts: &[&[u8]]) -> Mounts {
        let mut mounts = Mounts::new();
        for part in parts {
            mounts.part(&paths(list), part);
        }
        mounts.end();
        mounts
    }

    fn kinds(list: &[&str], text: &str) -> List<std::string::String> {
        let mounts = read(list, &[text.as_bytes()]);
        (0..list.len())
            .map(|place| mounts.of(place).kind().into())
            .collect()
    }

    #[test]
    fn a_path_lies_on_the_longest_mount_point_that_holds_it() {
        let list = [
            "/",
            "/data",
            "/data/x/y",
            "/database",
            "/snap/core/1/usr",
            "/mnt/My Share/a",
            "/mnt/ssh",
            "/home",
        ];
        let expected = [
            "ext4",
            "xfs",
            "xfs",
            "ext4",
            "squashfs",
            "nfs4",
            "fuse.sshfs",
            "btrfs",
        ];
        assert_eq!(kinds(&list, DEBIAN), expected);
    }

    #[test]
    fn the_text_may_be_split_anywhere_and_end_without_a_line_end() {
        let list = ["/", "/data", "/mnt/My Share", "/srv/export"];
        let text = DEBIAN.trim_end().as_bytes();
        for at in 0..=text.len() {
            let mounts = read(&list, &[&text[..at], &text[at..]]);
            let seen: List<_> = (0..4)
                .map(|place| {
                    let mount = mounts.of(place);
                    (mount.device, mount.kind(), mount.is_read_only, mount.is_network())
                })
                .collect();
            let expected = [
                ((8, 1), "ext4", false, false),
                ((8, 17), "xfs", true, false),
                ((0, 50), "nfs4", false, true),
                ((8, 17), "xfs", false, false),
            ];
            assert_eq!(seen, expected, "split at {at}");
        }
    }

    /// Field 6 is the mount's own: a `:ro` bind mount of a healthy disk, and a writable one of a dead disk.
    #[test]
    fn only_the_super_options_say_read_only() {
        for (own, of_super, is_read_only) in [
            ("ro,relatime", "rw", false),
            ("rw,relatime", "ro", true),
            ("rw", "rw,errors=ro", false),
            ("rw", "rw,rox", false),
            ("rw", "rw,xro", false),
            ("rw", "discard,ro", true),
            ("rw", "ro,discard", true),
            ("rw", "", false),
            ("rw", "rw ro", false),
        ] {
            let text = std::format!("1 0 8:1 / / {own} - ext4 /dev/ro {of_super}\n");
            assert_eq!(
                read(&["/"], &[text.as_bytes()]).of(0).is_read_only,
                is_read_only,
                "{text}"
            );
        }
    }

    /// A later mount covers an earlier one at the same place, wherever longer or shorter ones stand.
    #[test]
    fn of_equal_mount_points_the_last_counts() {
        let text = concat!(
            "1 0 0:2 / / rw - rootfs rootfs rw\n",
            "2 1 8:3 / /a rw - ext4 /dev/c rw\n",
            "3 1 8:1 / / rw - ext4 /dev/a rw\n",
            "4 1 8:2 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u\n",
        );
        assert_eq!(kinds(&["/", "/b", "/a/b"], text), ["overlay", "overlay", "ext4"]);
    }

    #[test]
    fn slashes_too_many_are_one_and_escapes_are_decoded() {
        let text =
            "5 1 8:9 / /a/b\\011\\134\\012\\043c ro shared:1 master:2 propagate_from:3 - f2fs /dev/x rw\n";
        let list = [
            "//a///b\t\\\n#c//",
            "/a/b\t\\\n#c",
            "/a/b\t\\\n#cd",
            "/a",
            "a/b",
            "",
        ];
        assert_eq!(kinds(&list, text), ["f2fs", "f2fs", "", "", "", ""]);
    }

    /// Whatever does not read as a mount leaves every path without one, and the next line reads as ever.
    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        let long = "x".repeat(100_000);
        for bad in [
            "",
            "1",
            "1 0 8:1 / /",
            "1 0 8:1 / / rw - ext4",
            "1 0 8:1 / / rw - ext4 /dev/a",
            "1 0 81 / / rw - ext4 /dev/a rw",
            "1 0 8:1:1 / / rw - ext4 /dev/a rw",
            "1 0 :1 / / rw - ext4 /dev/a rw",
            "1 0 8:99999999999 / / rw - ext4 /dev/a rw",
            "1 0 8:1 /  rw - ext4 /dev/a rw",
            "1 0 8:1 / /\\ rw - ext4 /dev/a rw",
            "1 0 8:1 / /\\04 rw - ext4 /dev/a rw",
            "1 0 8:1 / \\777 rw - ext4 /dev/a rw",
            "1 0 8:1 / / rw shared:1 ext4 /dev/a rw",
            "1 0 8:1 / / rw -- ext4 /dev/a rw",
            "1 0 8:1 / / rw - ext4ext4ext4ext4ext4ext4ext4 /dev/a rw",
            &std::format!("1 0 8:1 / /{long} rw - ext4 /dev/a rw"),
            &long,
        ] {
            let shown = bad.get(..60).unwrap_or(bad);
            assert!(!read(&["/"], &[bad.as_bytes()]).of(0).is_known(), "{shown}");
            let then = std::format!("{bad}\n1 0 8:1 / / rw - ext4 /dev/a rw\n");
            assert_eq!(kinds(&["/"], &then), ["ext4"], "after {shown}");
        }
    }

    #[test]
    fn fields_that_are_passed_over_may_be_of_any_length() {
        let long = "y".repeat(100_000);
        let text =
            std::format!("1 0 8:1 /{long} / rw,{long} {long} - overlay {long} rw,lowerdir={long},ro\n");
        let mounts = read(&["/"], &[text.as_bytes()]);
        assert_eq!(
            (mounts.of(0).kind(), mounts.of(0).is_read_only),
            ("overlay", true)
        );
    }

    #[test]
    fn types_are_told_apart() {
        for (kind, is_network, turns) in [
            ("ext4", false, true),
            ("btrfs", false, true),
            ("fuse.gvfsd-fuse", true, false),
            ("fuseblk", false, false),
            ("nfs", true, false),
            ("nfsd", false, false),
            ("overlay", false, false),
            ("cifs", true, false),
            ("exfat", false, false),
        ] {
            let text = std::format!("1 0 8:1 / / rw - {kind} x rw\n");
            let mounts = read(&["/"], &[text.as_bytes()]);
            assert_eq!(
                (mounts.of(0).is_network(), mounts.of(0).turns_read_only()),
                (is_network, turns),
                "{kind}"
            );
        }
    }

    #[test]
    fn sixteen_paths_each_have_their_mount_and_forget_it() {
        let names: List<_> = (0..16).map(|number| std::format!("/m{number:02}/x")).collect();
        let list: List<&str> = names.iter().map(|name| name.as_str()).collect();
        let text: std::string::String = (0..16)
            .map(|number| std::format!("1 0 8:{number} / /m{number:02} rw - ext4 x rw\n"))
            .collect();
        let mut mounts = read(&list, &[text.as_bytes()]);
        for (place, minor) in (0..16).zip(0..) {
            assert_eq!(mounts.of(place).device, (8, minor));
        }
        assert!(!mounts.of(16).is_known());
        mounts.clear();
        assert!((0..16).all(|place| !mounts.of(place).is_known()));
    }
}

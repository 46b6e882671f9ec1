//! Where the configuration comes from: the environment, the files of `_FILE` twins, and a few facts of the host.
//!
//! What the values mean is core's to say; this only fetches them, once, at the start. It must never wait (a FIFO in a
//! file's place reads as empty) nor keep a secret longer than [`Settings`] lives. Limits: [`FILE_BYTES_MAX`] a file.
//! Tests: beside the code.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

use watchdog_core::config::{self, Config, Facts, Fault, Origin, Pair};
use watchdog_core::net::FileFault;

use crate::sys;

/// Bytes of a file that holds one value. 64 KiB: no value is nearly as long, and a path that was mistaken for another
/// (`/dev/zero`, a log) ends here.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the mounts in which the container's id is looked for. 1 MiB: a container has some dozens of mounts.
const MOUNTS_BYTES_MAX: usize = 1024 * 1024;

const PREFIX: &str = "WATCHDOG_";
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// One variable as it was found.
struct Found {
    name: String,
    value: Result<String, FileFault>,
    origin: Origin,
}

/// All that the configuration is made of.
pub struct Settings {
    found: Vec<Found>,
    host_name: String,
    docker_socket_exists: bool,
}

impl Settings {
    /// Reads the environment and the files that it names.
    pub fn read() -> Self {
        Self {
            found: variables().map(resolve).collect(),
            host_name: sys::hostname().unwrap_or_default(),
            docker_socket_exists: fs::metadata(DOCKER_SOCKET).is_ok_and(|file| file.file_type().is_socket()),
        }
    }

    /// Fills the configuration and tells each fault.
    pub fn parse(&self, config: &mut Config, tell: &mut dyn FnMut(&Fault<'_>)) {
        config::parse(&self.pairs(), &self.facts(), config, tell);
    }

    /// Tells every variable's effective value and where it comes from, secrets masked.
    pub fn effective(&self, config: &Config, tell: &mut dyn FnMut(&str, &dyn std::fmt::Display, Origin)) {
        config::effective(&self.pairs(), config, tell);
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            host_name: &self.host_name,
            docker_socket_exists: self.docker_socket_exists,
        }
    }

    fn pairs<'a>(&'a self) -> Vec<Pair<'a>> {
        let pair = |found: &'a Found| Pair {
            name: &found.name,
            value: found.value.as_deref().map_err(|fault| *fault),
            origin: found.origin,
        };
        self.found.iter().map(pair).collect()
    }
}

/// Tells whether the kill switch leaves the watchdog on, from that one variable and without touching any file.
///
/// Nothing but the word is looked at. A word that this does not know is core's to judge, with all the others; only
/// files may have been read by then.
pub fn is_enabled() -> bool {
    let value = env::var_os("WATCHDOG_ENABLED").unwrap_or_default();
    !matches!(
        value.to_string_lossy().trim().to_ascii_lowercase().as_str(),
        "false" | "0" | "no" | "off"
    )
}

/// Tells the id of the container that this process runs in, if it does: the engine binds its own copies of three files
/// of `/etc` into each container, from a folder that is called like it.
pub fn own_container() -> Option<[u8; 32]> {
    let mounts = read_bounded("/proc/self/mountinfo", MOUNTS_BYTES_MAX).ok()?;
    own_container_in(std::str::from_utf8(&mounts).ok()?)
}

/// Looks into the text of mountinfo: field 4 is where in its file system a mount begins, field 5 where it is mounted.
fn own_container_in(mounts: &str) -> Option<[u8; 32]> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        let is_bound = matches!(mount, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf");
        let (_, id) = root.rsplit_once("/containers/").filter(|_| is_bound)?;
        hex(id.split('/').next()?)
    })
}

/// Reads 64 hexadecimal digits.
fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        if !pair.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Reads a file of at most so many bytes, without waiting for anyone to write it.
///
/// # Errors
///
/// Why it cannot be read; `EFBIG` if it is longer.
pub fn read_bounded(path: &str, bytes_max: usize) -> Result<Vec<u8>, FileFault> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| file_fault(&error))?;
    let mut bytes = Vec::new();
    // One byte more than may be tells a file that is too long from one that just fits.
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| file_fault(&error))?;
    if bytes.len() > bytes_max {
        return Err(FileFault::Os(libc::EFBIG));
    }
    Ok(bytes)
}

fn variables() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        // What is not UTF-8 has its bad bytes replaced, and is judged as that.
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// Puts the file's text in the place of a `_FILE` twin's path.
fn resolve((name, value): (String, String)) -> Found {
    match config::file_twin(&name) {
        Some(twin) if !value.trim().is_empty() => Found {
            name: twin.to_owned(),
            value: read_value(value.trim()),
            origin: Origin::File,
        },
        _ => Found {
            name,
            value: Ok(value),
            origin: Origin::Env,
        },
    }
}

fn read_value(path: &str) -> Result<String, FileFault> {
    let bytes = read_bounded(path, FILE_BYTES_MAX)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn file_fault(error: &io::Error) -> FileFault {
    match error.kind() {
        ErrorKind::NotFound => FileFault::NotFound,
        ErrorKind::PermissionDenied => FileFault::PermissionDenied,
        _ => FileFault::Os(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

/// Tells whether the environment gives Telegram's token or chat, good or not: somebody means it to be used.
pub fn names_telegram() -> bool {
    [
        "WATCHDOG_TELEGRAM_TOKEN",
        "WATCHDOG_TELEGRAM_TOKEN_FILE",
        "WATCHDOG_TELEGRAM_CHAT_ID",
    ]
    .into_iter()
    .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_no_further() {
        let path = env::temp_dir().join(format!("watchdog-settings-{}", std::process::id()));
        let path = path.to_str().unwrap();
        fs::write(path, " secret\n").unwrap();
        assert_eq!(read_value(path).as_deref(), Ok("secret"));
        assert_eq!(read_bounded(path, 8).map(|bytes| bytes.len()), Ok(8));
        assert_eq!(read_bounded(path, 7), Err(FileFault::Os(libc::EFBIG)));
        fs::write(path, b"\xff\xfe").unwrap();
        assert_eq!(read_value(path).as_deref(), Ok("\u{fffd}\u{fffd}"));
        fs::remove_file(path).unwrap();
        assert_eq!(read_value(path), Err(FileFault::NotFound));
        assert_eq!(read_value("/dev/zero"), Err(FileFault::Os(libc::EFBIG)));
        assert_eq!(read_value("/"), Err(FileFault::Os(libc::EISDIR)));
    }

    #[test]
    fn the_containers_id_is_read_from_the_files_that_the_engine_binds_and_from_nothing_else() {
        let id = "0123456789abcdef".repeat(4);
        let bound = format!("717 689 8:1 /docker/containers/{id}/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n");
        let found = own_container_in(&bound).unwrap();
        assert_eq!((found[0], found[7], found[31]), (0x01, 0xef, 0xef));
        // On the host the engine's own mounts name containers too.
        let shm = format!("90 28 0:50 / /var/lib/docker/containers/{id}/mounts/shm rw - tmpfs shm rw\n");
        assert_eq!(own_container_in(&shm), None);
        assert_eq!(own_container_in(&bound.replace("0123", "+123")), None);
        assert_eq!(own_container_in(&bound.replace("0123", "")), None);
        assert_eq!(own_container_in("short\n\n1 2 3\n"), None);
    }
}

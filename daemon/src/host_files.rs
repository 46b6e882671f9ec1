//! What the daemon reads of the host: texts of /proc and /etc, and file systems by statvfs on helper threads.
//!
//! Texts are read on the loop's own thread: the kernel writes them on the spot. A file system may be dead and hold its
//! caller for ever, so it is asked on a helper thread: one serves as long as it returns; while it does not, the next path
//! gets another. A path has at most one call under way, so there are never more than [`HELPERS_MAX`]. Nothing here opens a
//! file for writing, waits for a helper, or panics. Limits: [`FILE_BYTES_MAX`], [`HELPERS_MAX`]. Tests: beside the code.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;
use watchdog_core::limits::DISK_PATHS_MAX;
use watchdog_core::net::{FileFault, FileSystem, HostFile};

use crate::sys;

/// Helper threads at most: one for each path that can hang.
pub const HELPERS_MAX: usize = DISK_PATHS_MAX;
/// Bytes of a helper's stack: it makes two system calls. What it does not touch takes no memory.
const HELPER_STACK_BYTES: usize = 128 * 1024;
/// Bytes of a file that are read at most. 8 MiB: the mounts of a host with some ten thousand of them; a file that never
/// ends must not hold the loop.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes that are read at once: a page, which is what the kernel fills for most of these texts.
const PART_BYTES: usize = 4096;

/// Reads a text and hands its parts to `sink`.
///
/// `proc` is `WATCHDOG_PROC`. The mounts are read below it if it has them, else below `/proc`: they are those of this
/// process either way.
///
/// # Errors
/// The file is not there, may not be read, is not offered by this kernel, is longer than [`FILE_BYTES_MAX`] (EFBIG), or
/// what else the system says. Parts that were handed out before count for nothing then.
pub fn read_file(file: HostFile, proc: &str, sink: &mut dyn FnMut(&[u8])) -> Result<(), FileFault> {
    let below = |name: &str| open(&format!("{proc}/{name}"));
    let file = match file {
        HostFile::MemInfo => below("meminfo"),
        HostFile::LoadAvg => below("loadavg"),
        HostFile::Stat => below("stat"),
        HostFile::FileNr => below("sys/fs/file-nr"),
        HostFile::PressureMemory => below("pressure/memory"),
        HostFile::PressureIo => below("pressure/io"),
        HostFile::PressureCpu => below("pressure/cpu"),
        HostFile::MountInfo => below("self/mountinfo").or_else(|_| open("/proc/self/mountinfo")),
        HostFile::Hosts => open("/etc/hosts"),
        HostFile::ResolvConf => open("/etc/resolv.conf"),
    };
    file.and_then(|file| read(file, sink))
        .map_err(|error| fault(&error))
}

/// Opens a file to be read. Were it a FIFO, neither opening nor reading it would wait for a writer.
fn open(path: &str) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

fn read(mut file: impl Read, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = [0; PART_BYTES];
    let mut total = 0_usize;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(bytes) => {
                total = total.saturating_add(bytes);
                if total > FILE_BYTES_MAX {
                    return Err(io::Error::from_raw_os_error(libc::EFBIG));
                }
                sink(buffer.get(..bytes).unwrap_or_default());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn fault(error: &io::Error) -> FileFault {
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) => FileFault::NotFound,
        (ErrorKind::PermissionDenied, _) => FileFault::PermissionDenied,
        (_, Some(libc::EOPNOTSUPP)) => FileFault::NotSupported,
        (_, number) => FileFault::Os(number.unwrap_or(0)),
    }
}

/// Asks a file system; may never return.
type Ask = fn(&str) -> Result<FileSystem, FileFault>;

/// Asks the file system that `path` lies on.
fn ask(path: &str) -> Result<FileSystem, FileFault> {
    let named = CString::new(path).map_err(|_| FileFault::NotFound)?;
    let figures = sys::statvfs(&named).map_err(|error| fault(&error))?;
    let metadata = fs::metadata(path).map_err(|error| fault(&error))?;
    Ok(FileSystem {
        device: metadata.dev(),
        blocks: figures.f_blocks,
        blocks_available: figures.f_bavail,
        inodes: figures.f_files,
        inodes_available: figures.f_favail,
    })
}

/// A path's answer.
type Answer = (u8, Result<FileSystem, FileFault>);

/// A thread that asks one path at a time.
#[derive(Debug)]
struct Helper {
    paths: Sender<(u8, String)>,
    /// The path whose call has not returned.
    busy_with: Option<u8>,
}

/// The file systems of the configured paths, asked on helper threads.
#[derive(Debug)]
pub struct HostFiles {
    helpers: Vec<Helper>,
    /// From the helpers: which of them, and its answer. None: no helper could be started.
    answers: Receiver<(Option<usize>, Answer)>,
    answered: Sender<(Option<usize>, Answer)>,
    waker: Arc<Waker>,
    ask: Ask,
}

impl HostFiles {
    /// Starts nothing: the first helper is started for the first path. `waker` is woken for each answer.
    pub fn new(waker: Arc<Waker>) -> Self {
        Self::asking(waker, ask)
    }

    fn asking(waker: Arc<Waker>, ask: Ask) -> Self {
        let (answered, answers) = channel();
        Self {
            helpers: Vec::with_capacity(1),
            answers,
            answered,
            waker,
            ask,
        }
    }

    /// Asks a path's file system: on a helper that is free, or on a new one. A path whose call has not returned is not
    /// asked again. A helper that cannot be started is the path's fault in [`HostFiles::results`].
    pub fn stat(&mut self, index: u8, path: &str) {
        if self.helpers.iter().any(|helper| helper.busy_with == Some(index)) {
            return;
        }
        if let Err(fault) = self.hand_over(index, path) {
            // The receiver lives as long as this does, so this cannot fail; nor does the loop stay asleep for want of a
            // wake-up, it looks again at its next deadline.
            let _ = self.answered.send((None, (index, Err(fault))));
            let _ = self.waker.wake();
        }
    }

    fn hand_over(&mut self, index: u8, path: &str) -> Result<(), FileFault> {
        let helper = match self.helpers.iter().position(|helper| helper.busy_with.is_none()) {
            Some(place) => self.helpers.get_mut(place),
            None => {
                let helper = self.start()?;
                self.helpers.push(helper);
                self.helpers.last_mut()
            }
        };
        let helper = helper.ok_or(FileFault::Os(libc::EAGAIN))?;
        helper
            .paths
            .send((index, path.to_owned()))
            .map_err(|_| FileFault::Os(libc::ESRCH))?;
        helper.busy_with = Some(index);
        Ok(())
    }

    fn start(&self) -> Result<Helper, FileFault> {
        let place = self.helpers.len();
        if place >= HELPERS_MAX {
            return Err(FileFault::Os(libc::EAGAIN));
        }
        let (paths, asked) = channel::<(u8, String)>();
        let (answered, waker, ask) = (self.answered.clone(), Arc::clone(&self.waker), self.ask);
        thread::Builder::new()
            .name(String::from("statvfs"))
            .stack_size(HELPER_STACK_BYTES)
            .spawn(move || {
                while let Ok((index, path)) = asked.recv() {
                    let answer = (index, ask(&path));
                    if answered.send((Some(place), answer)).is_err() {
                        // The loop is gone.
                        break;
                    }
                    // A wake-up that fails makes the answer late, not lost.
                    let _ = waker.wake();
                }
            })
            .map_err(|error| fault(&error))?;
        Ok(Helper {
            paths,
            busy_with: None,
        })
    }

    /// Takes an answer that has come; none if there is none now.
    pub fn results(&mut self) -> Option<Answer> {
        let (place, answer) = self.answers.try_recv().ok()?;
        let helper = place.and_then(|place| self.helpers.get_mut(place));
        if let Some(helper) = helper {
            helper.busy_with = None;
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll, Token};
    use std::iter;
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    fn text(file: HostFile, proc: &str) -> Result<String, FileFault> {
        let mut bytes = Vec::new();
        read_file(file, proc, &mut |part| bytes.extend_from_slice(part))?;
        Ok(String::from_utf8(bytes).expect("text"))
    }

    /// Reads this machine's own texts: each that its kernel offers begins as documented.
    #[test]
    fn the_texts_of_this_host_are_read() {
        for (file, start) in [
            (HostFile::MemInfo, "MemTotal:"),
            (HostFile::Stat, "cpu "),
            (HostFile::LoadAvg, ""),
            (HostFile::FileNr, ""),
            (HostFile::MountInfo, ""),
        ] {
            let text = text(file, "/proc").expect("every Linux has it");
            assert!(!text.is_empty() && text.starts_with(start), "{file:?}");
        }
    }

    /// A folder that stands for /proc without mounts in it: the rest is not there, the mounts are our own.
    #[test]
    fn without_mounts_below_proc_our_own_are_read() {
        assert_eq!(text(HostFile::MemInfo, "/no/proc"), Err(FileFault::NotFound));
        assert_eq!(
            text(HostFile::MountInfo, "/no/proc").map(|text| text.is_empty()),
            Ok(false)
        );
    }

    /// Hands out a byte at a time, is interrupted before each, and ends with an error if it has one.
    struct Script {
        left: usize,
        is_interrupted: bool,
        end: Option<i32>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.is_interrupted = !self.is_interrupted;
            if self.is_interrupted {
                return Err(ErrorKind::Interrupted.into());
            }
            if self.left == 0 {
                return self
                    .end
                    .map_or(Ok(0), |number| Err(io::Error::from_raw_os_error(number)));
            }
            self.left -= 1;
            buffer[0] = b'x';
            Ok(1)
        }
    }

    #[test]
    fn reading_goes_on_after_interruptions_and_ends_with_the_fault() {
        let script = |end| Script {
            left: 3,
            is_interrupted: false,
            end,
        };
        let mut bytes = 0;
        assert!(read(script(None), &mut |part| bytes += part.len()).is_ok());
        assert_eq!(bytes, 3);
        for (number, expected) in [
            (libc::EOPNOTSUPP, FileFault::NotSupported),
            (libc::EACCES, FileFault::PermissionDenied),
            (libc::ENOENT, FileFault::NotFound),
            (libc::EMFILE, FileFault::Os(libc::EMFILE)),
        ] {
            let error = read(script(Some(number)), &mut |_| {}).expect_err("it fails");
            assert_eq!(fault(&error), expected);
        }
    }

    #[test]
    fn a_file_that_never_ends_is_given_up() {
        let mut bytes = 0;
        let error = read(io::repeat(b'x'), &mut |part| bytes += part.len()).expect_err("too long");
        assert_eq!(fault(&error), FileFault::Os(libc::EFBIG));
        assert!(bytes <= FILE_BYTES_MAX);
    }

    #[test]
    fn the_root_is_a_file_system_and_a_bad_path_is_a_fault() {
        let figures = ask("/").expect("the root is there");
        assert!(figures.blocks >= figures.blocks_available && figures.blocks > 0);
        assert_eq!(
            figures.device,
            fs::metadata("/").expect("the root is there").dev()
        );
        assert_eq!(ask("/no/such/path"), Err(FileFault::NotFound));
        assert_eq!(ask("/with\0nul"), Err(FileFault::NotFound));
    }

    /// A place where calls hang until it is opened, as a dead mount does.
    struct Gate(Mutex<bool>, Condvar);

    impl Gate {
        const fn closed() -> Self {
            Self(Mutex::new(false), Condvar::new())
        }

        fn open(&self) {
            *self.0.lock().expect("nobody panics with it") = true;
            self.1.notify_all();
        }

        fn pass(&self) {
            let open = self.0.lock().expect("nobody panics with it");
            drop(
                self.1
                    .wait_while(open, |open| !*open)
                    .expect("nobody panics with it"),
            );
        }
    }

    fn asking(ask: Ask) -> (Poll, HostFiles) {
        let poll = Poll::new().expect("descriptors are left");
        let waker = Waker::new(poll.registry(), Token(0)).expect("descriptors are left");
        (poll, HostFiles::asking(Arc::new(waker), ask))
    }

    /// Sleeps until the loop is woken for an answer.
    fn wait(poll: &mut Poll, files: &mut HostFiles) -> Answer {
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(answer) = files.results() {
                return answer;
            }
            poll.poll(&mut events, Some(Duration::from_secs(30)))
                .expect("poll works");
            assert!(!events.is_empty(), "nobody woke the loop");
        }
    }

    const FINE: Result<FileSystem, FileFault> = Ok(FileSystem {
        device: 1,
        blocks: 2,
        blocks_available: 1,
        inodes: 0,
        inodes_available: 0,
    });

    /// While nothing hangs one helper serves every path, and each answer wakes the loop.
    #[test]
    fn one_helper_serves_all() {
        let (mut poll, mut files) = asking(|path| {
            if path == "/gone" {
                Err(FileFault::NotFound)
            } else {
                FINE
            }
        });
        for round in 0..3 {
            files.stat(0, "/");
            assert_eq!(wait(&mut poll, &mut files), (0, FINE), "round {round}");
            files.stat(1, "/gone");
            assert_eq!(wait(&mut poll, &mut files), (1, Err(FileFault::NotFound)));
        }
        assert_eq!(files.helpers.len(), 1);
    }

    /// A path that hangs costs its helper alone, is not asked twice, and is answered when it returns.
    #[test]
    fn a_helper_that_hangs_is_replaced() {
        static GATE: Gate = Gate::closed();
        let (mut poll, mut files) = asking(|path| {
            if path == "/dead" {
                GATE.pass();
            }
            FINE
        });
        files.stat(0, "/dead");
        for round in 0..3 {
            files.stat(0, "/dead");
            files.stat(1, "/");
            assert_eq!(wait(&mut poll, &mut files), (1, FINE), "round {round}");
        }
        assert_eq!(files.helpers.len(), 2);
        assert_eq!(files.results(), None);
        GATE.open();
        assert_eq!(wait(&mut poll, &mut files), (0, FINE));
        files.stat(0, "/dead");
        assert_eq!(wait(&mut poll, &mut files), (0, FINE));
        assert_eq!(files.helpers.len(), 2);
    }

    /// With every path hanging there are as many helpers as paths; one more is a fault, never another thread.
    #[test]
    fn helpers_are_bounded() {
        static GATE: Gate = Gate::closed();
        let (mut poll, mut files) = asking(|_| {
            GATE.pass();
            FINE
        });
        for index in (0..).take(HELPERS_MAX) {
            files.stat(index, "/dead");
        }
        assert_eq!(files.results(), None);
        files.stat(200, "/dead");
        assert_eq!(
            wait(&mut poll, &mut files),
            (200, Err(FileFault::Os(libc::EAGAIN)))
        );
        assert_eq!(files.helpers.len(), HELPERS_MAX);
        GATE.open();
        let mut indices: Vec<u8> = iter::repeat_with(|| wait(&mut poll, &mut files).0)
            .take(HELPERS_MAX)
            .collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq((0..).take(HELPERS_MAX)));
    }
}

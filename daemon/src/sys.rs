//! The system calls that std does not offer, and with the feature `defmt` its global logger: the only unsafe code of the
//! workspace.
//!
//! Each unsafe block is one call, with why it is sound; the logger is unsafe to promise, not to do. Nothing here decides anything, blocks (but [`statvfs`], which
//! only a helper thread may call), panics, or changes a flag of a file description that others share. SIGPIPE needs no
//! call: Rust's runtime ignores it before `main`, so a closed pipe is EPIPE. Tests: beside the code.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

/// Bytes that a pipe takes at once without making the writer wait if poll(2) says that it takes any: PIPE_BUF, and a
/// page, which is what the kernel finds free then.
const PIPE_BYTES: usize = libc::PIPE_BUF;
/// Bytes that a terminal surely takes then: poll(2) promises no more than that there is room, and a write of a page to a
/// terminal that nobody reads was seen to wait for ever.
const TERMINAL_BYTES: usize = 1;
/// Bytes of a host name that are read: Linux allows 64.
const HOST_NAME_BYTES: usize = 256;

/// Asks a path's file system for its figures, statvfs(3). Blocks for as long as the file system does not answer: for
/// ever on a dead network mount.
///
/// # Errors
/// What the system says: the path's or the file system's fault.
pub fn statvfs(path: &CStr) -> io::Result<libc::statvfs> {
    let mut figures = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends with NUL and `figures` has room for the structure; both outlive the call, which keeps neither.
    let result = unsafe { libc::statvfs(path.as_ptr(), figures.as_mut_ptr()) };
    done(result)?;
    // SAFETY: the structure is of integers alone, for which zeros are a value, and the call has filled it in.
    Ok(unsafe { figures.assume_init() })
}

/// Tells the host's name; none if it has none that is text.
#[must_use]
pub fn hostname() -> Option<String> {
    let mut name = [0_u8; HOST_NAME_BYTES];
    // One less than there is, so that the last byte stays NUL whatever the call does.
    let room = name.len().saturating_sub(1);
    // SAFETY: `name` has room for the bytes that the call may write, and outlives it.
    let result = unsafe { libc::gethostname(name.as_mut_ptr().cast(), room) };
    done(result).ok()?;
    let name = CStr::from_bytes_until_nul(&name).ok()?.to_str().ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Draws 64 bits from the system's generator, without waiting for it.
///
/// # Errors
/// The kernel has no randomness yet (early boot), or no such call.
pub fn seed() -> io::Result<u64> {
    let mut bytes = [0_u8; size_of::<u64>()];
    // SAFETY: `bytes` has room for as many bytes as the call is told to write, and outlives it.
    let written = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    if usize::try_from(written) == Ok(bytes.len()) {
        Ok(u64::from_ne_bytes(bytes))
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Writes the first of `bytes` to standard output if that takes them without waiting, and tells how many.
///
/// Standard output is shared, with a shell or with a container's other programs, so it is not made non-blocking; it is asked
/// by poll(2), and given no more than what it then surely takes: a pipe PIPE_BUF, a terminal one byte. A file always takes
/// all. Another writer that fills the same pipe between the two calls could still make this wait.
///
/// # Errors
/// `WouldBlock` if it takes none now; `Interrupted` likewise; `BrokenPipe` if nobody reads any more; anything else that the system says.
pub fn write_stdout(bytes: &[u8]) -> io::Result<usize> {
    static IS_TERMINAL: OnceLock<bool> = OnceLock::new();
    let bytes_max = if *IS_TERMINAL.get_or_init(|| io::stdout().is_terminal()) {
        TERMINAL_BYTES
    } else {
        PIPE_BYTES
    };
    write_ready(libc::STDOUT_FILENO, bytes.get(..bytes_max).unwrap_or(bytes))
}

/// Writes to standard error, which is no terminal, as [`write_stdout`] writes to standard output.
///
/// # Errors
/// As there.
#[cfg(feature = "defmt")]
pub fn write_stderr(bytes: &[u8]) -> io::Result<usize> {
    write_ready(libc::STDERR_FILENO, bytes.get(..PIPE_BYTES).unwrap_or(bytes))
}

/// Where defmt's macros end: every thread composes frames of its own, see `frames.rs`.
#[cfg(feature = "defmt")]
#[defmt::global_logger]
struct FrameLogger;

// SAFETY: a frame that one thread begins is added to and ended by that thread, in memory of its own, so no other needs to be
// kept out in between; one that is begun inside another is left out whole; and every byte goes through the encoder.
#[cfg(feature = "defmt")]
unsafe impl defmt::Logger for FrameLogger {
    fn acquire() {
        crate::frames::begin();
    }

    unsafe fn flush() {}

    unsafe fn release() {
        crate::frames::end();
    }

    unsafe fn write(bytes: &[u8]) {
        crate::frames::add(bytes);
    }
}

fn write_ready(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    if !is_writable(fd)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    // SAFETY: `bytes` is as long as the call is told and outlives it; a descriptor that is closed is an error, no harm.
    let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Tells whether a write would not wait. A pipe whose reader is gone is writable: the write then says so.
fn is_writable(fd: RawFd) -> io::Result<bool> {
    let mut asked = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: there is one structure, as the call is told, and it outlives the call; with time-out 0 it does not wait.
    let ready = unsafe { libc::poll(ptr::from_mut(&mut asked), 1, 0) };
    usize::try_from(ready)
        .map(|ready| ready > 0)
        .map_err(|_| io::Error::last_os_error())
}

/// SIGTERM and SIGINT as a descriptor to be polled.
///
/// They are blocked, not handled, so they interrupt nothing; and they arrive even as PID 1 and where the parent had them
/// ignored, since the kernel drops no signal that is blocked.
#[derive(Debug)]
pub struct Signals(File);

impl Signals {
    /// Blocks the two signals for this thread and those it starts later, and opens the descriptor: to be called before
    /// any thread is started.
    ///
    /// # Errors
    /// What the system says: no descriptors or memory left.
    pub fn new() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: `set` has room for the set that the call makes empty.
        done(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
        for signal in [libc::SIGTERM, libc::SIGINT] {
            // SAFETY: `set` was made a set above.
            done(unsafe { libc::sigaddset(set.as_mut_ptr(), signal) })?;
        }
        // SAFETY: `set` is a set; the former mask is not asked for, which a null pointer says.
        let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
        // SAFETY: `set` is a set; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, set.as_ptr(), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        done(fd)?;
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self(File::from(fd)))
    }

    /// Takes a signal that has arrived, and tells whether one had. Never waits.
    ///
    /// # Errors
    /// What the system says; a signal that is there then stays there.
    pub fn arrived(&self) -> io::Result<bool> {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match (&self.0).read(&mut record) {
            Ok(bytes) => Ok(bytes > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Reads the result of a call that answers -1 when it fails.
fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Stands in for the one function of the C library that the static binary does without: pthread_getattr_np(3) tells that
/// a thread's attributes are not known.
///
/// std asks for the bounds of each thread's stack, to word the message of an overflow. glibc's answer for the main thread
/// reads `/proc/self/maps` by `sscanf`, which brings the reading of every kind of number with it: a hundred KB. Told that
/// it is not known, std goes on; an overflow still ends the program, without that message. Nothing else may be stood in
/// for: what somebody needs would be a bug that no test finds.
// SAFETY: the name is the C library's and so is the signature; linked statically, the program has this one alone.
#[cfg(all(target_feature = "crt-static", target_env = "gnu", not(test)))]
#[unsafe(no_mangle)]
extern "C" fn pthread_getattr_np(
    _thread: libc::pthread_t,
    _attributes: *mut std::ffi::c_void,
) -> std::ffi::c_int {
    libc::ENOSYS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::thread;

    /// The root has blocks, and what is not there says so.
    #[test]
    fn statvfs_tells_figures_or_why_not() {
        let figures = statvfs(c"/").expect("the root is there");
        assert!(figures.f_blocks > 0 && figures.f_bavail <= figures.f_blocks);
        let error = statvfs(c"/no/such/path").expect_err("it is not there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_host_has_the_name_that_the_kernel_knows() {
        let known = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("proc is there");
        assert_eq!(hostname().as_deref(), Some(known.trim()));
    }

    #[test]
    fn two_seeds_differ() {
        assert_ne!(seed().expect("Linux"), seed().expect("Linux"));
    }

    /// A pipe that nobody reads takes what fits and then says so, without waiting; once it is read it takes more.
    #[test]
    fn a_full_pipe_makes_nobody_wait() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let chunk = [b'x'; PIPE_BYTES];
        let mut written = 0;
        let error = loop {
            match write_ready(writer.as_raw_fd(), &chunk) {
                Ok(bytes) => written += bytes,
                Err(error) => break error,
            }
            assert!(written <= 4 * 1024 * 1024, "it never fills");
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(written >= PIPE_BYTES);
        let mut read = vec![0; 2 * PIPE_BYTES];
        reader.read_exact(&mut read).expect("it holds as much");
        assert_eq!(
            write_ready(writer.as_raw_fd(), b"more").expect("there is room"),
            4
        );
    }

    /// Were SIGPIPE not ignored, this test would end the whole test program.
    #[test]
    fn a_pipe_without_a_reader_is_an_error() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let error = write_ready(writer.as_raw_fd(), b"x").expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_socket_that_is_full_makes_nobody_wait() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let chunk = [b'x'; PIPE_BYTES];
        let error = loop {
            if let Err(error) = write_ready(ours.as_raw_fd(), &chunk) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_file_takes_all_and_a_closed_descriptor_is_an_error() {
        let file = File::options()
            .write(true)
            .open("/dev/null")
            .expect("it is there");
        assert_eq!(write_ready(file.as_raw_fd(), b"abc").expect("it takes all"), 3);
        assert_eq!(write_ready(file.as_raw_fd(), b"").expect("nothing to do"), 0);
        let error = write_ready(RawFd::MAX, b"x").expect_err("there is none");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }

    /// A signal that is blocked arrives through the descriptor, once, and ends nothing. It is sent to this thread alone,
    /// since the test program's other threads do not block it.
    #[test]
    fn a_signal_arrives_once_and_ends_nothing() {
        thread::spawn(|| {
            let signals = Signals::new().expect("descriptors are left");
            assert!(!signals.arrived().expect("it can be read"));
            // SAFETY: raise takes a number and sends to the calling thread.
            assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0);
            assert!(signals.arrived().expect("it can be read"));
            assert!(!signals.arrived().expect("it can be read"));
        })
        .join()
        .expect("the thread ends well");
    }
}

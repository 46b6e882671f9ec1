//! One symbol of the C library that the static binary brings itself, so that it does without a tenth of glibc.
//!
//! std asks for the bounds of each thread's stack, to word the message of an overflow. glibc's answer for the main thread
//! reads `/proc/self/maps` by `sscanf`, which brings the reading of every kind of number with it. Whoever asks here is
//! told that it is not known, which std takes for an answer: an overflow still ends the program, without that message.
//! Nothing else may go in here: a stand-in for a function that somebody needs would be a bug that no test finds.

use std::ffi::{c_int, c_void};

/// Tells a thread's attributes, pthread_getattr_np(3): that they are not known.
// SAFETY: the name is the C library's and so is the signature; linked statically, the program has this one alone.
#[unsafe(no_mangle)]
extern "C" fn pthread_getattr_np(_thread: libc::pthread_t, _attributes: *mut c_void) -> c_int {
    libc::ENOSYS
}

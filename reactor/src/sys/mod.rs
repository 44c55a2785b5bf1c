//! The only unsafe code of the reactor: system calls behind typed functions.
//!
//! Each function wraps one call: typed arguments in, `io::Result` out, no policy. What to retry, what an error means and
//! what to do next is decided above, in `backend`, `net` and `signal`.

use std::{io, os::fd::RawFd};

pub(crate) mod bell;
pub(crate) mod devpoll;
#[cfg(target_os = "linux")]
pub(crate) mod epoll;
#[cfg(target_os = "linux")]
mod eventfd;
pub(crate) mod file;
pub(crate) mod io_safe;
pub(crate) mod kqueue;
pub(crate) mod limits;
pub(crate) mod numbers;
#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(target_os = "linux", allow(dead_code, reason = "only tested here"))]
mod pipe;
pub(crate) mod poll;
pub(crate) mod select;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod unowned;

/// The answer of a call that returns -1 for an error, as a `Result`.
#[inline]
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// The same for calls that return a length.
#[inline]
fn check_len(answer: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}

/// A count of seconds in the system's type, cut where that is 32 bits wide.
fn seconds(seconds: i64) -> libc::time_t {
    // On most targets the types are the same and nothing is cut.
    #[allow(clippy::unnecessary_fallible_conversions)]
    libc::time_t::try_from(seconds).unwrap_or(libc::time_t::MAX)
}

/// Is this number an open descriptor of the process?
pub(crate) fn check_open(fd: RawFd) -> io::Result<()> {
    // SAFETY: `F_GETFD` takes no pointer and changes nothing; a number that is not open answers `EBADF`.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).map(drop)
}

//! The only unsafe code of the reactor: system calls behind typed functions.
//!
//! Each function wraps one call: typed arguments in, `io::Result` out, no policy. What to retry, what an error means and
//! what to do next is decided above, in `backend`, `net` and `signal`.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

pub(crate) mod bell;
pub(crate) mod clock;
pub(crate) mod credentials;
pub(crate) mod datagrams;
pub(crate) mod devpoll;
#[cfg(target_os = "linux")]
pub(crate) mod epoll;
#[cfg(all(target_os = "linux", not(levent_libkqueue)))]
mod eventfd;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod io_safe;
pub(crate) mod kqueue;
pub(crate) mod limits;
pub(crate) mod map;
pub(crate) mod message;
pub(crate) mod numbers;
pub(crate) mod pidfd;
#[cfg(any(test, not(target_os = "linux"), levent_libkqueue))]
#[cfg_attr(target_os = "linux", allow(dead_code, reason = "only tested here"))]
mod pipe;
pub(crate) mod poll;
pub(crate) mod progress;
pub(crate) mod select;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod splice;
pub(crate) mod thread;
#[cfg(target_os = "linux")]
pub(crate) mod timerfd;
pub(crate) mod unowned;

/// Puts `new` in the place of `old`: the number of `old` names what `new` named, and what it named before is closed.
///
/// Close-on-exec, where the system can do it in one call; elsewhere a child that another thread starts at that moment inherits it.
fn replace(old: BorrowedFd<'_>, new: OwnedFd) -> io::Result<()> {
    let (source, number) = (new.as_raw_fd(), old.as_raw_fd());
    #[cfg(target_os = "linux")]
    // SAFETY: both are open. The number of `old` stays open all the time, and keeps its owner.
    let answer = unsafe { libc::dup3(source, number, libc::O_CLOEXEC) };
    #[cfg(not(target_os = "linux"))]
    // SAFETY: as above.
    let answer = match unsafe { libc::dup2(source, number) } {
        -1 => -1,
        // SAFETY: the call takes no pointer, and close-on-exec is all that F_SETFD can set.
        _ => unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) },
    };
    check(answer).map(drop)
}

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

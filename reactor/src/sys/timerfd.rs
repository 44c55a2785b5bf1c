//! timerfd(2): a wait in nanoseconds for an epoll that has none of its own.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use super::{check, seconds};

/// A non-blocking, close-on-exec timer on the monotonic clock.
#[derive(Debug)]
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<TimerFd> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: the call takes no pointer.
        let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
        Ok(TimerFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Becomes readable after this time; never, if it is zero. An earlier setting is forgotten, readiness with it.
    pub(crate) fn set(&self, (whole, nanoseconds): (i64, i64)) -> io::Result<()> {
        // SAFETY: all zeros is a setting; some systems have fields of padding that cannot be named.
        let mut setting: libc::itimerspec = unsafe { mem::zeroed() };
        setting.it_value.tv_sec = seconds(whole);
        // Below 10⁹, which every type for it holds.
        setting.it_value.tv_nsec = nanoseconds as _;
        let fd = self.0.as_raw_fd();
        // SAFETY: `setting` lives until the call returns; the old setting is not asked for (null).
        check(unsafe { libc::timerfd_settime(fd, 0, &raw const setting, ptr::null_mut()) })
            .map(drop)
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

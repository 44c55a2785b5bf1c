//! epoll(7), as Linux has it.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use super::check;

pub(crate) use libc::epoll_event as Event;

/// What to do with a descriptor in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Add,
    Modify,
    Delete,
}

/// The kernel's time for `epoll_pwait2`: 64 bits on every processor, which `libc::timespec` is not.
#[repr(C)]
struct KernelTimespec {
    seconds: i64,
    nanoseconds: i64,
}

/// A new epoll descriptor, close-on-exec (EP-16).
pub(crate) fn create() -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointer.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts a new, empty set in the place of one, under the same number.
pub(crate) fn renew(epoll: BorrowedFd<'_>) -> io::Result<()> {
    super::replace(epoll, create()?)
}

/// Adds, modifies or deletes `fd`. A number that is not open is an error of the call (`EBADF`), never undefined.
pub(crate) fn control(
    epoll: BorrowedFd<'_>,
    control: Control,
    fd: RawFd,
    events: u32,
    token: u64,
) -> io::Result<()> {
    let operation = match control {
        Control::Add => libc::EPOLL_CTL_ADD,
        Control::Modify => libc::EPOLL_CTL_MOD,
        Control::Delete => libc::EPOLL_CTL_DEL,
    };
    let mut event = Event { events, u64: token };
    // SAFETY: `event` lives until the call returns; the kernel copies it and keeps no pointer.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd, &mut event) }).map(drop)
}

/// Waits at most `wait_ms` (-1: no limit) and returns how many entries of `events` were written.
#[inline]
pub(crate) fn wait_ms(
    epoll: BorrowedFd<'_>,
    events: &mut [Event],
    wait_ms: libc::c_int,
) -> io::Result<usize> {
    let len = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: `events` stays writable for `len` entries until the call returns; the kernel keeps no pointer to it.
    let n = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), len, wait_ms) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// The same with nanoseconds: `epoll_pwait2`, Linux 5.11. `ENOSYS` before, `EPERM` from some sandboxes.
///
/// A raw system call, because the C library's wrapper is younger (glibc 2.35) than many systems that have the call.
#[inline]
pub(crate) fn wait_ns(
    epoll: BorrowedFd<'_>,
    events: &mut [Event],
    seconds: i64,
    nanoseconds: i64,
) -> io::Result<usize> {
    let len = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    let wait = KernelTimespec {
        seconds,
        nanoseconds,
    };
    // SAFETY: `events` stays writable for `len` entries and `wait` readable until the call returns; no signal mask is
    // given (null), so its size is not looked at. The variadic arguments have the widths of the kernel's prototype:
    // int, pointer, int, pointer, pointer, size_t.
    let n = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            len,
            &raw const wait,
            ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

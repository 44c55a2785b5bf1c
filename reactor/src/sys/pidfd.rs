//! pidfd_open(2): a child as a descriptor.

use std::io;
use std::os::fd::OwnedFd;

/// A descriptor that becomes readable when the process of this number ends. Close-on-exec.
#[cfg(target_os = "linux")]
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    use std::os::fd::{FromRawFd, RawFd};

    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the call takes two numbers and no pointer. A C library need not have it, hence by its number.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match RawFd::try_from(answer) {
        // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Other systems have no such thing.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open(_: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

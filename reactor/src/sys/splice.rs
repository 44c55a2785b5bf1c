//! Moving bytes between descriptors through a pipe in the kernel: Linux's splice(2).

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{pipe, splice};
#[cfg(target_os = "linux")]
pub(crate) use linux::{pipe, splice};

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    use std::ptr;

    use super::super::{check, check_len};

    /// A pipe, non-blocking and close-on-exec: the end to read, and the end to write.
    pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
        let mut ends = [-1; 2];
        // SAFETY: `ends` has room for the two numbers that the call writes, and it keeps no pointer to it.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
        let [reader, writer] = ends;
        // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
        let reader = unsafe { OwnedFd::from_raw_fd(reader) };
        // SAFETY: as above; it is another number.
        let writer = unsafe { OwnedFd::from_raw_fd(writer) };
        Ok((reader, writer))
    }

    /// Moves up to `count` bytes. One of the two is a pipe, and never waited for; the other one is not if it is non-blocking.
    pub(crate) fn splice(
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        count: usize,
    ) -> io::Result<usize> {
        // SAFETY: both are open while borrowed; null offsets mean the descriptors' own positions, and the bytes never come into
        // memory of ours.
        let moved = unsafe {
            libc::splice(
                from.as_raw_fd(),
                ptr::null_mut(),
                to.as_raw_fd(),
                ptr::null_mut(),
                count,
                libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK,
            )
        };
        check_len(moved)
    }
}

/// Other systems have no such call: read and write there.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    pub(crate) fn splice(
        _from: BorrowedFd<'_>,
        _to: BorrowedFd<'_>,
        _count: usize,
    ) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

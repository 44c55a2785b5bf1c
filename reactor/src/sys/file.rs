//! What kind of thing a descriptor is.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd},
};

use super::check;

/// Is this a regular file or a directory? They are always "ready", so waiting for them has no meaning (EP-6).
pub(crate) fn is_regular(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut status = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `status` has room for the one record that the call writes.
    check(unsafe { libc::fstat(fd.as_raw_fd(), status.as_mut_ptr()) })?;
    // SAFETY: integers, of which zero is a value; the C library may leave fields of padding alone.
    let status = unsafe { status.assume_init() };
    Ok(matches!(
        status.st_mode & libc::S_IFMT,
        libc::S_IFREG | libc::S_IFDIR
    ))
}

/// Sets or clears `O_NONBLOCK`; no call is made for what holds already.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    // SAFETY: `fd` is open while borrowed; F_GETFL takes no argument and touches no memory.
    let flags = super::check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let wanted = if nonblocking {
        flags | libc::O_NONBLOCK
    } else {
        flags & !libc::O_NONBLOCK
    };
    if wanted == flags {
        return Ok(());
    }
    // SAFETY: `fd` is open while borrowed; F_SETFL takes an int and touches no memory.
    super::check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, wanted) }).map(drop)
}

/// Sends up to `count` bytes of `file`, from `offset` on, into `to`.
#[cfg(target_os = "linux")]
pub(crate) fn send_file(
    to: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let beyond = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut offset = libc::off64_t::try_from(offset).map_err(beyond)?;
    // SAFETY: both are open while borrowed; `offset` is one integer that the call reads and writes, and it keeps no pointer to it.
    let sent =
        unsafe { libc::sendfile64(to.as_raw_fd(), file.as_raw_fd(), &raw mut offset, count) };
    super::check_len(sent)
}

/// Other systems' calls differ in what they count and how they end: read and write there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn send_file(
    _to: BorrowedFd<'_>,
    _file: BorrowedFd<'_>,
    _offset: u64,
    _count: usize,
) -> io::Result<usize> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// A duplicate with a number of at least `lowest`.
#[cfg(test)]
pub(crate) fn duplicate_from(
    fd: BorrowedFd<'_>,
    lowest: std::os::fd::RawFd,
) -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: the call takes no pointer.
    let new = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) })?;
    // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::fd::AsFd, os::unix::net::UnixStream};

    #[test]
    fn files_and_directories_are_regular() {
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        let directory = File::open("/").unwrap();
        let device = File::open("/dev/null").unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert!(is_regular(file.as_fd()).unwrap());
        assert!(is_regular(directory.as_fd()).unwrap());
        assert!(!is_regular(device.as_fd()).unwrap());
        assert!(!is_regular(socket.as_fd()).unwrap());
    }
}

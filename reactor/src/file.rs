//! System calls for files that std lacks: sending one without reading it, and mapping one.

use std::{io, os::fd::BorrowedFd};

use crate::sys::file;

pub use crate::sys::map::Map;

/// Sends up to `count` bytes of `file`, from `offset` on, into `to`, and returns how many; 0 at the end of the file.
///
/// One `sendfile`: the bytes never come into the program, and the file's own position stays. One call moves at most about 2 GiB.
///
/// # Errors
///
/// `Unsupported` where the system has no such call in Linux's form: there, read and write. `InvalidInput` if one of the two is of a kind that cannot do it;
/// otherwise those of a read of the file and of a write to `to`, `WouldBlock` among them.
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # fn main() -> std::io::Result<()> {
/// use std::{fs::File, io::Read, os::{fd::AsFd, unix::net::UnixStream}};
///
/// let file = File::open("/proc/self/exe")?;
/// let (here, mut there) = UnixStream::pair()?;
/// assert_eq!(levent_reactor::file::send_file(here.as_fd(), file.as_fd(), 1, 3)?, 3);
/// let mut magic = [0; 3];
/// there.read_exact(&mut magic)?;
/// assert_eq!(&magic, b"ELF");
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
pub fn send_file(
    to: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    file::send_file(to, file, offset, count)
}

//! System calls for files and pipes that std lacks: sending a file without reading it, mapping one, and moving bytes through a pipe.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::{file, fork, splice};

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

/// A pipe for bytes on their way from one socket to another, which never come into the program (Linux's `splice`).
///
/// Neither end ever blocks. A pipe has room for so many *pieces*, 16 as a rule, each as large as it came: small packets fill it
/// long before 64 KiB. Hence `WouldBlock` from [`fill`](Pipe::fill) means that nothing came only if the pipe was empty.
///
/// A write of any kind to a socket whose peer is gone answers `BrokenPipe`. `splice`, unlike `send`, has no way to keep the kernel from also
/// raising `SIGPIPE`: Rust programs ignore it from their start; a library in somebody else's program depends on that one doing so.
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # fn main() -> std::io::Result<()> {
/// use std::{io::{ErrorKind, Read, Write}, os::{fd::AsFd, unix::net::UnixStream}};
/// use levent_reactor::file::Pipe;
///
/// let (mut client, here) = UnixStream::pair()?;
/// let (there, mut server) = UnixStream::pair()?;
/// here.set_nonblocking(true)?;
/// let pipe = Pipe::new()?;
/// assert_eq!(pipe.fill(here.as_fd(), 1024).unwrap_err().kind(), ErrorKind::WouldBlock);
/// client.write_all(b"hello")?;
/// assert_eq!(pipe.fill(here.as_fd(), 1024)?, 5);
/// assert_eq!(pipe.drain(there.as_fd(), 5)?, 5);
/// let mut bytes = [0; 5];
/// server.read_exact(&mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Pipe {
    /// A `File`, so that it can be read from.
    reader: File,
    writer: OwnedFd,
    /// The count of forks when it was made.
    forks: u32,
}

impl Pipe {
    /// An empty pipe, closed on exec.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system has no `splice`; that the process or the system is out of descriptors.
    pub fn new() -> io::Result<Pipe> {
        fork::watch();
        let (reader, writer) = splice::pipe()?;
        Ok(Pipe {
            reader: reader.into(),
            writer,
            forks: fork::count(),
        })
    }

    /// Moves up to `count` bytes from `from` into the pipe, and returns how many; 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing now *or* the pipe is full; `InvalidInput` if `from` is of a kind that cannot do it; otherwise those of a
    /// read of `from`.
    pub fn fill(&self, from: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
        splice::splice(from, self.writer.as_fd(), count)
    }

    /// Moves up to `count` bytes from the pipe into `to`, and returns how many.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if `to` is full, or the pipe empty; `InvalidInput` if `to` is of a kind that cannot do it; otherwise those of a write to `to`.
    pub fn drain(&self, to: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
        splice::splice(self.reader.as_fd(), to, count)
    }

    /// Reads what is in the pipe, where [`drain`](Pipe::drain) cannot.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is empty.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.reader).read(buffer)
    }

    /// Was it made before a fork, and is the parent's, too? What goes through it may come out there.
    #[must_use]
    pub fn is_inherited(&self) -> bool {
        self.forks != fork::count()
    }
}

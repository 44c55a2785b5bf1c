//! A bell for systems without eventfd(2): a pair of connected sockets.
//!
//! std makes the pair, close-on-exec on every system; a pipe would need more calls where there is no `pipe2`. Built on Linux for its
//! test alone.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    os::unix::net::UnixStream,
};

use super::check_len;

/// A non-blocking, close-on-exec bell: readable from the first `ring` until the next `drain`.
#[derive(Debug)]
pub(crate) struct Pipe {
    reader: UnixStream,
    writer: UnixStream,
}

impl Pipe {
    /// A bell that is never drained fills up, and then rings no more: an edge needs a byte that finds room.
    pub(crate) const NEEDS_DRAIN: bool = true;

    pub(crate) fn new() -> io::Result<Pipe> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Pipe { reader, writer })
    }

    /// Becomes a new bell under the same numbers. In a forked child: the old one is the parent's.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let Pipe { reader, writer } = Pipe::new()?;
        super::replace(self.reader.as_fd(), reader.into())?;
        super::replace(self.writer.as_fd(), writer.into())
    }

    /// Makes the descriptor readable. Never blocks, never fails, async-signal-safe (it may change `errno`).
    pub(crate) fn ring(&self) {
        ring(self.writer.as_raw_fd());
    }

    /// Takes all rings back.
    pub(crate) fn drain(&self) {
        let mut bytes = [0_u8; 256];
        loop {
            // SAFETY: as many writable bytes as is said.
            let answer = unsafe {
                libc::recv(
                    self.reader.as_raw_fd(),
                    bytes.as_mut_ptr().cast(),
                    bytes.len(),
                    0,
                )
            };
            // A full buffer: there may be more. It ends unless somebody rings 256 times per call. `EAGAIN` says that it did not ring;
            // interrupted or failing otherwise, it stays readable and the next turn drains it again.
            if check_len(answer).ok() != Some(bytes.len()) {
                return;
            }
        }
    }

    /// What [`ring`] is to be given.
    pub(super) fn ringer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// [`Pipe::ring`] for the signal handler, which knows only the number. The caller sees to it that the number is still the bell's
/// (see `sys::signal`, invariant 3).
pub(super) fn ring(fd: RawFd) {
    let one = [1_u8];
    loop {
        // SAFETY: one readable byte; write(2) is async-signal-safe. Both ends are closed together, so nobody is signalled for a
        // pair without a reader.
        match check_len(unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) }) {
            // A write that does not block is interrupted at most by the debugger's kind of events: no bound needed.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // `EAGAIN`: the buffer is full, so the bell has rung.
            _ => return,
        }
    }
}

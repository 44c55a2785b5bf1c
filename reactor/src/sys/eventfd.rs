//! eventfd(2): the bell that ends a base's wait from another thread or from a signal handler.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use super::{check, check_len};

/// A non-blocking, close-on-exec bell: readable from the first `ring` until the next `drain`.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    /// An edge comes with every ring, drained or not.
    pub(crate) const NEEDS_DRAIN: bool = false;

    pub(crate) fn new() -> io::Result<EventFd> {
        // SAFETY: the call takes no pointer.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Becomes a new bell under the same number. In a forked child: the old one is the parent's.
    pub(crate) fn renew(&self) -> io::Result<()> {
        super::replace(self.0.as_fd(), EventFd::new()?.0)
    }

    /// Makes the descriptor readable. Never blocks, never fails, async-signal-safe (it may change `errno`).
    pub(crate) fn ring(&self) {
        ring(self.0.as_raw_fd());
    }

    /// Takes the ring back: one read, whatever the number of rings.
    pub(crate) fn drain(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: eight writable bytes, which is what an eventfd stores.
        let answer =
            unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        // `EAGAIN` says that it did not ring. Interrupted or failing otherwise, it stays readable and the next turn
        // drains it again: nothing is lost by not looking.
        let _ = answer;
    }

    /// What [`ring`] is to be given.
    pub(super) fn ringer(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// [`EventFd::ring`] for the signal handler, which knows only the number. The caller sees to it that the number is
/// still the bell's (see `sys::signal`, invariant 3).
pub(super) fn ring(fd: RawFd) {
    let one = 1_u64.to_ne_bytes();
    loop {
        // SAFETY: eight readable bytes; write(2) is async-signal-safe.
        match check_len(unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) }) {
            // A non-blocking eventfd is interrupted at most by the debugger's kind of events: no bound needed.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // `EAGAIN`: the counter is full, so the bell has rung. Others cannot happen to an eventfd.
            _ => return,
        }
    }
}

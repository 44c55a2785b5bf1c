//! The least epoll that a loop needs, for the programs that must not use levent: the yardstick and the load generator.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What the kernel reports: the ready bits and the key that was added.
pub use libc::epoll_event as Ready;
pub use libc::{EPOLLET, EPOLLIN, EPOLLOUT};

/// An epoll descriptor and room for one batch of reports.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
    batch: Vec<Ready>,
}

impl Epoll {
    /// Makes one that takes up to `batch` reports per call.
    ///
    /// # Errors
    ///
    /// The system's: out of descriptors.
    pub fn new(batch: usize) -> io::Result<Epoll> {
        // SAFETY: the call takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Epoll {
            // SAFETY: the descriptor is open, new, and known to nobody else.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            batch: vec![Ready { events: 0, u64: 0 }; batch],
        })
    }

    /// Watches a descriptor; `key` comes back with each report.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn add(&self, source: &impl AsRawFd, bits: i32, key: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, source, bits, key)
    }

    /// Changes what a descriptor is watched for.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn change(&self, source: &impl AsRawFd, bits: i32, key: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, source, bits, key)
    }

    /// Watches a descriptor no longer.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn remove(&self, source: &impl AsRawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, source, 0, 0)
    }

    fn control(&self, what: i32, source: &impl AsRawFd, bits: i32, key: u64) -> io::Result<()> {
        let mut event = Ready {
            events: bits as u32,
            u64: key,
        };
        // SAFETY: `event` lives until the call returns, and the kernel copies it.
        let result =
            unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), what, source.as_raw_fd(), &mut event) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Waits, for good if `wait_ms` is negative, and returns the reports. An interrupted wait has none.
    ///
    /// # Errors
    ///
    /// The system's.
    #[inline]
    pub fn wait(&mut self, wait_ms: i32) -> io::Result<&[Ready]> {
        let room = self.batch.len() as i32;
        // SAFETY: the batch is writable for `room` entries until the call returns.
        let count = unsafe {
            libc::epoll_wait(self.fd.as_raw_fd(), self.batch.as_mut_ptr(), room, wait_ms)
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(&[]),
                _ => Err(error),
            };
        }
        Ok(&self.batch[..count as usize])
    }
}

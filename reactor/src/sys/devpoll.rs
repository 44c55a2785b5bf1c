//! /dev/poll, as illumos and Solaris have it (poll(7D)).
//!
//! The records are poll(2)'s and exist on every system, so that what is made of them can be tested on every system; the driver does not.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
};

use super::poll::Entry;

/// Has this build the driver?
pub(crate) const PRESENT: bool = cfg!(any(target_os = "illumos", target_os = "solaris"));

/// Of an entry that is written: take the descriptor out of the set. <sys/poll.h>.
pub(crate) const REMOVE: libc::c_short = 0x0800;

/// `DP_POLL` of <sys/devpoll.h>.
const DP_POLL: libc::c_int = 0xD0 << 8 | 1;

/// `struct dvpoll` of <sys/devpoll.h>. The last field is illumos' alone, and for another request; Solaris does not look at it.
#[repr(C)]
struct Request {
    entries: *mut Entry,
    len: libc::nfds_t,
    wait_ms: libc::c_int,
    mask: *mut libc::sigset_t,
}

/// The entry that takes `fd` out of the set.
pub(crate) fn removal(fd: RawFd) -> Entry {
    Entry {
        fd,
        events: REMOVE,
        revents: 0,
    }
}

/// An open driver: a set of descriptors in the kernel.
#[derive(Debug)]
pub(crate) struct Driver(File);

impl Driver {
    /// # Errors
    ///
    /// `Unsupported` where the build has none; else what the system says.
    pub(crate) fn new() -> io::Result<Driver> {
        if !PRESENT {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // Close-on-exec, as std opens everything. A forked child that uses it is refused by the driver.
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open("/dev/poll")?;
        Ok(Driver(options))
    }

    /// Applies entries in their order: each adds its events to those of its descriptor, or takes the descriptor out.
    pub(crate) fn write(&self, entries: &[Entry]) -> io::Result<()> {
        let pointer = entries.as_ptr().cast::<u8>();
        // SAFETY: the entries are integers without padding (int, short, short), so all of their bytes are initialised; the slice ends
        // with the call, before `entries` does.
        let bytes = unsafe { std::slice::from_raw_parts(pointer, size_of_val(entries)) };
        // The driver takes all or nothing, whole entries in any case.
        let n = (&self.0).write(bytes)?;
        if n == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// Waits at most `wait_ms` (-1: no limit) and returns how many entries of `results` were written.
    pub(crate) fn wait(&self, results: &mut [Entry], wait_ms: libc::c_int) -> io::Result<usize> {
        let mut request = Request {
            entries: results.as_mut_ptr(),
            len: results.len() as libc::nfds_t,
            wait_ms,
            mask: std::ptr::null_mut(),
        };
        // SAFETY: the driver reads one `struct dvpoll`, which has this layout, and writes at most `len` entries to `results`, which is
        // writable until the call returns. The kernel keeps no pointer.
        let n = unsafe { libc::ioctl(self.0.as_raw_fd(), DP_POLL as _, &raw mut request) };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }
}

/// The entries are written as bytes: no padding.
const _: () = assert!(size_of::<Entry>() == 4 + 2 + 2);

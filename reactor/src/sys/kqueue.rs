//! kqueue(2), as the BSDs and macOS have it; on Linux libkqueue's, if the build asks for it (`--cfg levent_libkqueue`).
//!
//! The records exist on every system, so that what is made of them can be tested on every system; the calls do not.

use std::{
    io,
    mem::ManuallyDrop,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use super::{check, fork, seconds};

/// The system's own definitions. libc has no constant that is not in this list for each of these systems.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod abi {
    pub(super) use libc::{
        EV_ADD, EV_CLEAR, EV_DELETE, EV_ENABLE, EV_EOF, EV_ERROR, EV_RECEIPT, EVFILT_PROC,
        EVFILT_READ, EVFILT_SIGNAL, EVFILT_WRITE, NOTE_EXIT, kevent as Kevent, kevent, kqueue,
    };

    pub(super) const PRESENT: bool = true;

    /// KQ-3: have a read filter of a file report its end too, as select does. NetBSD and macOS have no such switch.
    #[cfg(target_os = "freebsd")]
    pub(super) const NOTE_EOF: u32 = libc::NOTE_FILE_POLL;
    #[cfg(target_os = "openbsd")]
    pub(super) const NOTE_EOF: u32 = libc::NOTE_EOF;
    #[cfg(not(any(target_os = "freebsd", target_os = "openbsd")))]
    pub(super) const NOTE_EOF: u32 = 0;
}

/// libkqueue's definitions, which are those of FreeBSD before 12 and of macOS.
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
mod abi {
    use std::ffi::{c_int, c_void};

    #[derive(Clone, Copy)]
    #[repr(C)]
    pub(super) struct Kevent {
        pub(super) ident: usize,
        pub(super) filter: i16,
        pub(super) flags: u16,
        pub(super) fflags: u32,
        pub(super) data: isize,
        pub(super) udata: *mut c_void,
    }

    pub(super) const PRESENT: bool = cfg!(levent_libkqueue);
    pub(super) const EVFILT_READ: i16 = -1;
    pub(super) const EVFILT_WRITE: i16 = -2;
    pub(super) const EVFILT_PROC: i16 = -5;
    pub(super) const EVFILT_SIGNAL: i16 = -6;
    pub(super) const NOTE_EXIT: u32 = 0x8000_0000;
    pub(super) const EV_ADD: u16 = 1;
    pub(super) const EV_DELETE: u16 = 2;
    pub(super) const EV_ENABLE: u16 = 4;
    pub(super) const EV_CLEAR: u16 = 0x20;
    pub(super) const EV_RECEIPT: u16 = 0x40;
    pub(super) const EV_ERROR: u16 = 0x4000;
    pub(super) const EV_EOF: u16 = 0x8000;
    /// libkqueue has no such switch; the emulation in the tests has it, as FreeBSD.
    pub(super) const NOTE_EOF: u32 = if PRESENT { 0 } else { 2 };

    #[cfg(levent_libkqueue)]
    #[link(name = "kqueue")]
    unsafe extern "C" {
        pub(super) fn kqueue() -> c_int;
        pub(super) fn kevent(
            kq: c_int,
            changes: *const Kevent,
            change_count: c_int,
            events: *mut Kevent,
            event_count: c_int,
            timeout: *const libc::timespec,
        ) -> c_int;
    }

    /// Never called: without it there is no queue.
    #[cfg(not(levent_libkqueue))]
    pub(super) unsafe fn kqueue() -> c_int {
        -1
    }

    #[cfg(not(levent_libkqueue))]
    pub(super) unsafe fn kevent(
        _: c_int,
        _: *const Kevent,
        _: c_int,
        _: *mut Kevent,
        _: c_int,
        _: *const libc::timespec,
    ) -> c_int {
        -1
    }
}

/// Has this build a kqueue?
pub(crate) const PRESENT: bool = abi::PRESENT;

/// Is it libkqueue's? That one does not notice that a descriptor is closed: what it has of it must be deleted before. And it refuses to
/// add what it has.
pub(crate) const IS_LIBRARY: bool = cfg!(levent_libkqueue);

// The widths of these differ between the systems: NetBSD has 32 bits where the others have 16.
#[allow(clippy::unnecessary_cast)]
mod flags {
    use super::abi;

    pub(crate) const ADD: u32 = abi::EV_ADD as u32;
    pub(crate) const DELETE: u32 = abi::EV_DELETE as u32;
    pub(crate) const ENABLE: u32 = abi::EV_ENABLE as u32;
    pub(crate) const CLEAR: u32 = abi::EV_CLEAR as u32;
    pub(crate) const RECEIPT: u32 = abi::EV_RECEIPT as u32;
    pub(crate) const EOF: u32 = abi::EV_EOF as u32;
    pub(crate) const ERROR: u32 = abi::EV_ERROR as u32;
}
pub(crate) use flags::*;

/// Which of the two filters of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Filter {
    Read,
    Write,
}

/// One change or result, exactly as the kernel wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Event(abi::Kevent);

// SAFETY: the record is integers and one pointer, `udata`, which is null in all that we make, and is handed back by the kernel as it
// was; nothing here reads through it.
unsafe impl Send for Event {}

// The widths differ, and with them which of the conversions do something.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
impl Event {
    /// The change that does `flags` to a filter of a descriptor.
    pub(crate) fn new(fd: RawFd, filter: Filter, flags: u32) -> Event {
        // SAFETY: the record is integers and a pointer; zero is a value of each.
        let mut event: abi::Kevent = unsafe { std::mem::zeroed() };
        event.ident = fd as usize;
        event.filter = match filter {
            Filter::Read => abi::EVFILT_READ,
            Filter::Write => abi::EVFILT_WRITE,
        };
        event.flags = flags as _;
        if filter == Filter::Read {
            event.fflags = abi::NOTE_EOF;
        }
        Event(event)
    }

    /// The change that has a signal counted, whoever handles it.
    #[allow(
        dead_code,
        reason = "for the public module, which only some systems have"
    )]
    pub(crate) fn of_signal(number: libc::c_int) -> Event {
        let mut event = Event::new(number, Filter::Read, ADD | CLEAR);
        event.0.filter = abi::EVFILT_SIGNAL;
        event.0.fflags = 0;
        event
    }

    /// The change that has the end of a process reported.
    #[allow(
        dead_code,
        reason = "for the public module, which only some systems have"
    )]
    pub(crate) fn of_exit(pid: libc::pid_t) -> Event {
        let mut event = Event::new(pid, Filter::Read, ADD | CLEAR);
        event.0.filter = abi::EVFILT_PROC;
        event.0.fflags = abi::NOTE_EXIT as _;
        event
    }

    /// A result, as the kernel would write it.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn result(fd: RawFd, filter: Filter, flags: u32, fflags: u32, data: i64) -> Event {
        let mut event = Event::new(fd, filter, flags);
        event.0.fflags = fflags;
        event.0.data = data as _;
        event
    }

    /// The descriptor: the number that the change was made with, -1 too.
    pub(crate) fn fd(&self) -> RawFd {
        self.0.ident as RawFd
    }

    /// The filter; none of ours for a result that no change of ours can have.
    pub(crate) fn filter(&self) -> Option<Filter> {
        match self.0.filter {
            abi::EVFILT_READ => Some(Filter::Read),
            abi::EVFILT_WRITE => Some(Filter::Write),
            _ => None,
        }
    }

    pub(crate) fn flags(&self) -> u32 {
        self.0.flags.into()
    }

    /// Of a change what is to be noted of a file; of a result with EOF the socket's error, or zero.
    pub(crate) fn notes(&self) -> u32 {
        self.0.fflags
    }

    /// Of a result with ERROR the error's number, or zero if the change succeeded.
    pub(crate) fn error(&self) -> i32 {
        self.0.data as i32
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("fd", &self.fd())
            .field("filter", &self.filter())
            .field("flags", &format_args!("{:#x}", self.flags()))
            .field("notes", &self.notes())
            .field("error", &self.error())
            .finish()
    }
}

/// A kernel's queue. Private to its base.
///
/// A forked child has none of it: there the number is free, or by now another file's. So the child neither uses nor closes it (FORK-8).
/// libkqueue's is inherited, and leaks there.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Not to be touched in another process than the one that made it.
    descriptor: ManuallyDrop<OwnedFd>,
    /// The count of forks then.
    forks: u32,
}

impl Queue {
    /// # Errors
    ///
    /// `Unsupported` where the build has none; else what the system says.
    pub(crate) fn new() -> io::Result<Queue> {
        if !PRESENT {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // SAFETY: the call takes no pointer.
        let fd = check(unsafe { abi::kqueue() })?;
        // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
        let queue = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the call takes no pointer, and close-on-exec is all that F_SETFD can set.
        check(unsafe { libc::fcntl(queue.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
        Ok(Queue {
            descriptor: ManuallyDrop::new(queue),
            forks: fork::count(),
        })
    }

    /// Was it made by this process?
    pub(crate) fn is_ours(&self) -> bool {
        self.forks == fork::count()
    }

    /// kevent(2), in the process that made the queue: applies `changes`, waits at most (seconds, nanoseconds) (None: no limit), and returns how many entries of `results`
    /// were written.
    ///
    /// A change that fails is reported among the results, if there is room, and then nothing is waited for.
    ///
    /// # Errors
    ///
    /// `Interrupted`: the changes have been applied.
    pub(crate) fn kevent(
        &self,
        changes: &[Event],
        results: &mut [Event],
        wait: Option<(i64, i64)>,
    ) -> io::Result<usize> {
        let wait = wait.map(|(whole, nanoseconds)| {
            // SAFETY: all zeros is a time; some systems have fields of padding that cannot be named.
            let mut wait: libc::timespec = unsafe { std::mem::zeroed() };
            wait.tv_sec = seconds(whole);
            // Below 10⁹, which every type for it holds.
            wait.tv_nsec = nanoseconds as _;
            wait
        });
        let wait_pointer = wait.as_ref().map_or(ptr::null(), ptr::from_ref);
        // Lengths are `int`, but for NetBSD; the table of descriptors is far below that.
        let cut = |len: usize| libc::c_int::try_from(len).unwrap_or(libc::c_int::MAX);
        // SAFETY: `Event` is the system's record and nothing else (`repr(transparent)`). `changes` stays readable and `results` writable
        // for the lengths that are given, `wait` readable (or null: no limit), until the call returns; the kernel keeps no pointer.
        let n = unsafe {
            abi::kevent(
                self.descriptor.as_raw_fd(),
                changes.as_ptr().cast(),
                cut(changes.len()) as _,
                results.as_mut_ptr().cast(),
                cut(results.len()) as _,
                wait_pointer,
            )
        };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }
}

impl std::os::fd::AsFd for Queue {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: nobody uses the field after this.
            unsafe { ManuallyDrop::drop(&mut self.descriptor) };
        }
    }
}

#[cfg(all(test, levent_libkqueue))]
mod tests {
    use super::*;
    use crate::sys::check_open;

    /// FORK-8: the number that a queue had in the parent is not closed in the child, where it may be another file's.
    #[test]
    fn child_does_not_close_the_number() {
        let mut queue = Queue::new().unwrap();
        let number = queue.descriptor.as_raw_fd();
        queue.forks = queue.forks.wrapping_add(1);
        assert!(!queue.is_ours());
        drop(queue);
        check_open(number).unwrap();
    }
}

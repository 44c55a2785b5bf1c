//! poll(2).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    ptr,
};

use super::{check, seconds};
use crate::flags::{Interest, Ready};

/// One entry of the set, exactly as the kernel wants it.
pub(crate) use libc::pollfd as Entry;

/// The entry that asks for `interest` of `fd`.
pub(crate) fn entry(fd: RawFd, interest: Interest) -> Entry {
    let mut events = 0;
    if interest.contains(Interest::READ) {
        events |= libc::POLLIN;
    }
    if interest.contains(Interest::WRITE) {
        events |= libc::POLLOUT;
    }
    if interest.contains(Interest::CLOSED) {
        events |= libc::POLLRDHUP;
    }
    Entry {
        fd,
        events,
        revents: 0,
    }
}

/// BK-5, the row of poll: error, hang-up and a closed descriptor mean READ and WRITE in addition to the rest.
pub(crate) fn ready(revents: libc::c_short) -> Ready {
    let mut ready = Ready::NONE;
    if revents & libc::POLLIN != 0 {
        ready |= Ready::READ;
    }
    if revents & libc::POLLOUT != 0 {
        ready |= Ready::WRITE;
    }
    if revents & libc::POLLRDHUP != 0 {
        ready |= Ready::CLOSED;
    }
    if revents & (libc::POLLERR | libc::POLLHUP) != 0 {
        ready |= Ready::READ | Ready::WRITE | Ready::HANGUP;
    }
    if revents & libc::POLLNVAL != 0 {
        ready |= Ready::READ | Ready::WRITE | Ready::INVALID;
    }
    ready
}

/// Waits at most (seconds, nanoseconds) (None: no limit) and returns how many entries have something to report.
pub(crate) fn wait(entries: &mut [Entry], wait: Option<(i64, i64)>) -> io::Result<usize> {
    let wait = wait.map(|(whole, nanoseconds)| {
        // Below 10⁹, which every `c_long` holds.
        let tv_nsec = nanoseconds as libc::c_long;
        libc::timespec {
            tv_sec: seconds(whole),
            tv_nsec,
        }
    });
    let wait_pointer = wait.as_ref().map_or(ptr::null(), ptr::from_ref);
    let len = entries.len() as libc::nfds_t;
    // SAFETY: `entries` stays writable for `len` entries, `wait` readable (or null: no limit), until the call returns;
    // a null signal mask leaves the thread's mask alone. The kernel keeps no pointer.
    let n = unsafe { libc::ppoll(entries.as_mut_ptr(), len, wait_pointer, ptr::null()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// What holds of `fd` now: one poll(2) that does not wait. Error and hang-up are always among the answers.
///
/// # Errors
///
/// `Interrupted` is not among them: the call is repeated, as it cannot have waited.
pub(crate) fn poll_now(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Ready> {
    let mut entry = entry(fd.as_raw_fd(), interest);
    loop {
        // SAFETY: one entry, writable until the call returns.
        match check(unsafe { libc::poll(&mut entry, 1, 0) }) {
            Ok(_) => return Ok(ready(entry.revents)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::fd::AsFd, os::unix::net::UnixStream};

    #[test]
    fn poll_now_sees_the_present() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let both = Interest::READ | Interest::WRITE;
        assert_eq!(poll_now(ours.as_fd(), both).unwrap(), Ready::WRITE);
        assert_eq!(poll_now(ours.as_fd(), Interest::READ).unwrap(), Ready::NONE);
        theirs.write_all(b"x").unwrap();
        assert_eq!(
            poll_now(ours.as_fd(), both).unwrap(),
            Ready::READ | Ready::WRITE
        );
        drop(theirs);
        assert!(
            poll_now(ours.as_fd(), Interest::NONE)
                .unwrap()
                .contains(Ready::HANGUP)
        );
    }
}

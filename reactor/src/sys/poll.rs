//! poll(2).

use std::{io, os::fd::RawFd};

#[cfg(test)]
use std::os::fd::{AsFd, AsRawFd};

use super::check;
use crate::flags::{Interest, Ready};

/// One entry of the set, exactly as the kernel wants it.
pub(crate) use libc::pollfd as Entry;

/// The bit for a peer that will send no more. Where the system has none, nothing: it is never reported.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "illumos"))]
pub(crate) const RDHUP: libc::c_short = libc::POLLRDHUP;
#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "illumos")))]
pub(crate) const RDHUP: libc::c_short = 0;

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
        events |= RDHUP;
    }
    Entry {
        fd,
        events,
        revents: 0,
    }
}

/// BK-5, the row of poll: error, hang-up and a closed descriptor mean READ and WRITE in addition to the rest.
// Where `RDHUP` is zero it is meant to find nothing.
#[allow(clippy::bad_bit_mask)]
pub(crate) fn ready(revents: libc::c_short) -> Ready {
    let mut ready = Ready::NONE;
    if revents & libc::POLLIN != 0 {
        ready |= Ready::READ;
    }
    if revents & libc::POLLOUT != 0 {
        ready |= Ready::WRITE;
    }
    if revents & RDHUP != 0 {
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
#[cfg(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub(crate) fn wait(entries: &mut [Entry], wait: Option<(i64, i64)>) -> io::Result<usize> {
    let wait = wait.map(|(whole, nanoseconds)| {
        // SAFETY: all zeros is a time; some systems have fields of padding that cannot be named.
        let mut wait: libc::timespec = unsafe { std::mem::zeroed() };
        wait.tv_sec = super::seconds(whole);
        // Below 10⁹, which every type for it holds.
        wait.tv_nsec = nanoseconds as _;
        wait
    });
    let wait_pointer = wait.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let len = entries.len() as libc::nfds_t;
    // SAFETY: `entries` stays writable for `len` entries, `wait` readable (or null: no limit), until the call returns;
    // a null signal mask leaves the thread's mask alone. The kernel keeps no pointer.
    let n = unsafe { libc::ppoll(entries.as_mut_ptr(), len, wait_pointer, std::ptr::null()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// The same for systems without ppoll(2), in whole milliseconds, rounded up; a wait that is too long for them is cut.
#[cfg(not(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
pub(crate) fn wait(entries: &mut [Entry], wait: Option<(i64, i64)>) -> io::Result<usize> {
    let wait_ms = wait.map_or(-1, |(whole, nanoseconds)| {
        let ms = whole
            .saturating_mul(1_000)
            .saturating_add((nanoseconds + 999_999) / 1_000_000);
        libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX)
    });
    let len = entries.len() as libc::nfds_t;
    // SAFETY: `entries` stays writable for `len` entries until the call returns. The kernel keeps no pointer.
    let n = unsafe { libc::poll(entries.as_mut_ptr(), len, wait_ms) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// What holds of a descriptor now: one poll(2) that does not wait. Error and hang-up are always among the answers.
///
/// It is known by its number, and may be closed or another file's by now: poll(2) neither reads nor writes it, and answers
/// `INVALID` for a number that is not open. The caller only wakes, or tries, on the answer.
///
/// # Errors
///
/// `Interrupted` is not among them: the call is repeated, as it cannot have waited.
pub(crate) fn poll_number(fd: RawFd, interest: Interest) -> io::Result<Ready> {
    if fd < 0 {
        // The kernel would pass over it.
        return Ok(Ready::INVALID);
    }
    let mut entry = entry(fd, interest);
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
pub(crate) fn poll_now(fd: impl AsFd, interest: Interest) -> io::Result<Ready> {
    poll_number(fd.as_fd().as_raw_fd(), interest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::unix::net::UnixStream};

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

//! epoll: cost by what is ready, edges, early close.

use std::{
    io,
    os::fd::{AsFd, OwnedFd, RawFd},
    sync::Arc,
    time::Duration,
};

use super::{Backend, Method, Report, wait};
use crate::{
    flags::{Interest, Ready},
    sys::epoll::{self, Control, Event},
};

/// EP-9: the result array starts here, and doubles after each wait that filled it …
const FIRST_EVENTS: usize = 32;
/// … up to here. Readiness beyond it is picked up by the next wait.
const MAX_EVENTS: usize = 4096;

const IN: u32 = libc::EPOLLIN as u32;
const PRI: u32 = libc::EPOLLPRI as u32;
const OUT: u32 = libc::EPOLLOUT as u32;
const RDHUP: u32 = libc::EPOLLRDHUP as u32;
const ERR: u32 = libc::EPOLLERR as u32;
const HUP: u32 = libc::EPOLLHUP as u32;
const ET: u32 = libc::EPOLLET as u32;

#[derive(Debug)]
pub(super) struct Epoll {
    /// Private to the base and to threads that drop one of its sources.
    descriptor: Arc<OwnedFd>,
    /// Where the kernel puts its results. Each wait overwrites the front; what was there means nothing.
    events: Vec<Event>,
    /// `epoll_pwait2` works, as far as is known. Cleared for good when the kernel or a sandbox refuses it (EP-12).
    has_nanoseconds: bool,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        Ok(Epoll {
            descriptor: Arc::new(epoll::create()?),
            events: vec![Event { events: 0, u64: 0 }; FIRST_EVENTS],
            has_nanoseconds: true,
        })
    }

    /// The wait proper: how many entries of `events` were written.
    fn wait_raw(&mut self, wait: Option<Duration>) -> io::Result<usize> {
        if let Some(limit) = wait.filter(|limit| self.has_nanoseconds && !limit.is_zero()) {
            let (seconds, nanoseconds) = wait::wait_ns(limit);
            match epoll::wait_ns(
                self.descriptor.as_fd(),
                &mut self.events,
                seconds,
                nanoseconds,
            ) {
                // Linux before 5.11, or a sandbox that knows no newer calls. epoll_pwait2 itself has neither error.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    self.has_nanoseconds = false;
                }
                answer => return answer,
            }
        }
        // Nothing to round for a zero or unlimited wait, so the plain call does.
        epoll::wait_ms(
            self.descriptor.as_fd(),
            &mut self.events,
            wait::wait_ms(wait),
        )
    }
}

impl Backend for Epoll {
    fn method(&self) -> Method {
        Method::Epoll
    }

    fn change(&mut self, fd: RawFd, token: u64, old: Interest, new: Interest) -> io::Result<()> {
        let epoll = self.descriptor.as_fd();
        let control = match (old.is_empty(), new.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => Control::Add,
            (false, false) => Control::Modify,
            (false, true) => Control::Delete,
        };
        let apply = |control| epoll::control(epoll, control, fd, event_bits(new), token);
        let Err(error) = apply(control) else {
            return Ok(());
        };
        match (control, error.raw_os_error()) {
            // EP-2: closed and opened again behind our back; the kernel dropped the old entry.
            (Control::Modify, Some(libc::ENOENT)) => apply(Control::Add),
            // EP-3: a duplicate was put on the same number again. Edges cannot be shared, so there the caller decides.
            (Control::Add, Some(libc::EEXIST)) if !new.contains(Interest::EDGE) => {
                apply(Control::Modify)
            }
            // EP-4: closed before it was deleted, or replaced by something that cannot be in a set.
            (Control::Delete, Some(libc::ENOENT | libc::EBADF | libc::EPERM)) => Ok(()),
            (_, Some(libc::EEXIST)) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!(
                    "descriptor {fd} is already watched for edges here; use one source per descriptor"
                ),
            )),
            // EP-6.
            (_, Some(libc::EPERM)) => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "descriptor {fd} cannot be watched by epoll (a regular file or directory?); \
                     read it directly or on a thread, or choose the poll backend"
                ),
            )),
            _ => Err(error),
        }
    }

    fn wait(&mut self, wait: Option<Duration>, reports: &mut Vec<Report>) -> io::Result<()> {
        let n = match self.wait_raw(wait) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        // The length is exact, so `extend` reserves once and the loop only stores.
        reports.extend(self.events[..n].iter().map(|event| Report {
            token: event.u64,
            ready: ready(event.events),
        }));
        if n == self.events.len() && n < MAX_EVENTS {
            self.events.resize(2 * n, Event { events: 0, u64: 0 });
        }
        Ok(())
    }

    fn shared_descriptor(&self) -> Option<Arc<OwnedFd>> {
        Some(Arc::clone(&self.descriptor))
    }

    fn has_edges(&self) -> bool {
        true
    }

    fn may_trust_short(&self) -> bool {
        true
    }
}

/// What to ask the kernel for. Error and hang-up come unasked.
fn event_bits(interest: Interest) -> u32 {
    let mut bits = 0;
    if interest.contains(Interest::READ) {
        bits |= IN;
    }
    if interest.contains(Interest::WRITE) {
        bits |= OUT;
    }
    if interest.contains(Interest::CLOSED) {
        bits |= RDHUP;
    }
    if interest.contains(Interest::URGENT) {
        bits |= PRI;
    }
    if interest.contains(Interest::EDGE) {
        bits |= ET;
    }
    bits
}

/// BK-5, the row of epoll; a hang-up always says HANGUP too, so that cached readiness wakes everybody.
#[inline(always)]
fn ready(bits: u32) -> Ready {
    // By far the most frequent one.
    if bits == IN {
        return Ready::READ;
    }
    if bits & (ERR | HUP) != 0 {
        return ready_at_end(bits);
    }
    let mut ready = Ready::NONE;
    if bits & IN != 0 {
        ready |= Ready::READ;
    }
    if bits & OUT != 0 {
        ready |= Ready::WRITE;
    }
    if bits & RDHUP != 0 {
        ready |= Ready::CLOSED;
    }
    if bits & PRI != 0 {
        ready |= Ready::URGENT;
    }
    ready
}

/// The rare half of [`ready`].
#[cold]
fn ready_at_end(bits: u32) -> Ready {
    // EP-7, EP-8: an error hides everything else; a hang-up without RDHUP (nobody asked for CLOSED, or not a socket) is
    // READ and WRITE; with RDHUP the kernel's bits say what is meant.
    if bits & ERR != 0 || bits & RDHUP == 0 {
        Ready::READ | Ready::WRITE | Ready::HANGUP
    } else {
        ready(bits & !HUP) | Ready::HANGUP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    /// BK-5, EP-7, EP-8.
    #[test]
    fn mapping_follows_the_table() {
        let both = Ready::READ | Ready::WRITE;
        assert_eq!(ready(0), Ready::NONE);
        assert_eq!(ready(IN), Ready::READ);
        assert_eq!(ready(OUT), Ready::WRITE);
        assert_eq!(ready(IN | RDHUP), Ready::READ | Ready::CLOSED);
        assert_eq!(ready(ERR), both | Ready::HANGUP);
        assert_eq!(ready(ERR | IN | RDHUP), both | Ready::HANGUP);
        assert_eq!(ready(HUP), both | Ready::HANGUP);
        assert_eq!(ready(HUP | RDHUP), Ready::CLOSED | Ready::HANGUP);
        assert_eq!(
            ready(HUP | RDHUP | IN),
            Ready::READ | Ready::CLOSED | Ready::HANGUP
        );
        assert_eq!(ready(HUP | ERR | RDHUP | IN | OUT), both | Ready::HANGUP);
    }

    /// EP-10, EP-12: without the newer call, waits go on in milliseconds and are not early.
    #[test]
    fn falls_back_to_milliseconds() {
        let mut epoll = Epoll::new().unwrap();
        epoll.has_nanoseconds = false;
        let start = std::time::Instant::now();
        let mut reports = Vec::new();
        epoll
            .wait(Some(Duration::from_micros(1500)), &mut reports)
            .unwrap();
        assert!(start.elapsed() >= Duration::from_micros(1500));
        assert!(reports.is_empty());
    }

    /// EP-9: 32, then 64, and no more than 4096.
    #[test]
    fn result_array_doubles_when_full() {
        let mut epoll = Epoll::new().unwrap();
        let bells: Vec<_> = (0..70)
            .map(|_| crate::sys::bell::Bell::new().unwrap())
            .collect();
        for (token, bell) in (0..).zip(&bells) {
            bell.ring();
            epoll
                .change(
                    bell.as_fd().as_raw_fd(),
                    token,
                    Interest::NONE,
                    Interest::READ,
                )
                .unwrap();
        }
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let mut reports = Vec::new();
            epoll.wait(Some(Duration::ZERO), &mut reports).unwrap();
            sizes.push(reports.len());
        }
        assert_eq!(sizes, [32, 64, 70]);
        assert_eq!(epoll.events.len(), 128);
    }
}

//! epoll: cost by what is ready, edges, early close.
//!
//! Two variants. The plain one passes each change of interest on at once. The batched one collects those of level-triggered
//! descriptors until the wait ([`Changes`]); what concerns edges is passed on at once there too, since whoever asks for edges has to
//! know whether the descriptor can be had.
//!
//! Waits are in nanoseconds: by `epoll_pwait2`, or where that is missing by a timer descriptor in the set, or else in milliseconds,
//! rounded up (EP-10).

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::Arc,
    time::Duration,
};

pub(super) use crate::sys::epoll::Event;

use super::changes::{Change, Changes};
use super::{Backend, Batch, Method, Options, Report, wait};
use crate::{
    flags::{Interest, Ready},
    sys::{
        epoll::{self, Control},
        fork,
        timerfd::TimerFd,
    },
};

/// EP-9: the result array starts here, and doubles after each wait that filled it …
const FIRST_EVENTS: usize = 32;
/// … up to here. Readiness beyond it is picked up by the next wait.
const MAX_EVENTS: usize = 4096;

const NO_EVENT: Event = Event { events: 0, u64: 0 };

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
    precision: Precision,
    /// May a timer descriptor be made?
    may_have_timer: bool,
    /// Everything is being registered again, and whoever does that wants to know what is refused: nothing is collected until the
    /// next wait (FORK-4).
    is_reinit: bool,
    /// What the batched variant has collected.
    changes: Option<Changes>,
    /// The count of forks when the descriptor was made: in another process it is the parent's.
    forks: u32,
}

/// How waits are made that are no whole number of milliseconds.
#[derive(Debug)]
enum Precision {
    /// `epoll_pwait2`, as far as is known. Given up for good when the kernel or a sandbox refuses it (EP-12).
    Call,
    /// This timer ends them (EP-11).
    Timer(TimerFd),
    /// They are rounded up.
    Milliseconds,
}

/// The timer's token: no token of the engine's has all bits.
const TIMER: u64 = u64::MAX;

impl Epoll {
    pub(super) fn new(options: Options) -> io::Result<Epoll> {
        Ok(Epoll {
            descriptor: Arc::new(epoll::create()?),
            precision: Precision::Call,
            may_have_timer: options.timer,
            is_reinit: false,
            changes: options.batched.then(Changes::default),
            forks: fork::count(),
        })
    }

    /// Without `epoll_pwait2` there may be a timer descriptor.
    #[cold]
    fn give_up_call(&mut self) {
        self.precision = match self.add_timer() {
            Ok(timer) => Precision::Timer(timer),
            Err(_) => Precision::Milliseconds,
        };
    }

    fn add_timer(&self) -> io::Result<TimerFd> {
        if !self.may_have_timer {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let timer = TimerFd::new()?;
        // Edges: each setting makes its own, and nobody has to read.
        let fd = timer.as_fd().as_raw_fd();
        epoll::control(self.descriptor.as_fd(), Control::Add, fd, IN | ET, TIMER)?;
        Ok(timer)
    }

    /// Passes on what was collected. What is refused is reported: the wait would never tell of it (better than CL-3).
    #[cold]
    fn apply(&mut self, reports: &mut Vec<Report>) {
        let Some(mut changes) = self.changes.take() else {
            return;
        };
        for change in changes.take_all() {
            if self.apply_one(change).is_err() {
                reports.push(Report {
                    token: change.token,
                    ready: Ready::INVALID | Ready::READ | Ready::WRITE,
                });
            }
        }
        self.changes = Some(changes);
    }

    /// The wait proper: how many entries of `events` were written.
    fn wait_raw(&mut self, wait: Option<Duration>, events: &mut [Event]) -> io::Result<usize> {
        let Some(limit) = wait.filter(|limit| !limit.is_zero()) else {
            if let (Precision::Timer(timer), None) = (&self.precision, wait) {
                // Left from a wait that something else ended, it would end this one for nothing. Refused, it does just that.
                let _ = timer.set((0, 0));
            }
            // Nothing to round for a zero or unlimited wait, so the plain call does.
            let wait_ms = if wait.is_some() { 0 } else { -1 };
            return epoll::wait_ms(self.descriptor.as_fd(), events, wait_ms);
        };
        if let Precision::Call = self.precision {
            let (seconds, nanoseconds) = wait::wait_ns(limit);
            match epoll::wait_ns(self.descriptor.as_fd(), events, seconds, nanoseconds) {
                // Linux before 5.11, or a sandbox that knows no newer calls. epoll_pwait2 itself has neither error.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    self.give_up_call();
                }
                answer => return answer,
            }
        }
        match &self.precision {
            Precision::Timer(timer) if timer.set(wait::wait_ns(limit)).is_ok() => {
                self.wait_ms(None, events)
            }
            _ => self.wait_ms(wait, events),
        }
    }

    fn wait_ms(&self, wait: Option<Duration>, events: &mut [Event]) -> io::Result<usize> {
        let wait = wait::wait_ms(wait);
        epoll::wait_ms(self.descriptor.as_fd(), events, wait)
    }

    /// One change, now.
    fn apply_one(&mut self, change: Change) -> io::Result<()> {
        let Change {
            fd,
            token,
            old,
            new,
        } = change;
        let epoll = self.descriptor.as_fd();
        let control = match (old.is_empty(), new.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => Control::Add,
            (false, false) => Control::Modify,
            (false, true) => Control::Delete,
        };
        if self.forks != fork::count() {
            // The set is the parent's, who must not feel what we do (FORK-2).
            return match control {
                Control::Delete => Ok(()),
                _ => Err(fork::stale()),
            };
        }
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
}

impl Backend for Epoll {
    fn method(&self) -> Method {
        match self.changes {
            None => Method::Epoll,
            Some(_) => Method::EpollBatched,
        }
    }

    fn change(&mut self, fd: RawFd, token: u64, old: Interest, new: Interest) -> io::Result<()> {
        let change = Change {
            fd,
            token,
            old,
            new,
        };
        let Some(changes) = &mut self.changes else {
            return self.apply_one(change);
        };
        let may_wait = !(old | new).contains(Interest::EDGE) && Changes::has_room(fd);
        if may_wait && !self.is_reinit && self.forks == fork::count() {
            changes.note(change);
            return Ok(());
        }
        if let Some(before) = changes.take(fd) {
            // Of a file that had the number before, most likely: refused, and to be forgotten.
            let _ = self.apply_one(before);
        }
        self.apply_one(change)
    }

    fn wait(&mut self, wait: Option<Duration>, batch: &mut Batch) -> io::Result<()> {
        batch.clear();
        let mut wait = wait;
        self.is_reinit = false;
        if self
            .changes
            .as_ref()
            .is_some_and(|changes| !changes.is_empty())
        {
            self.apply(&mut batch.reports);
            if !batch.reports.is_empty() {
                wait = Some(Duration::ZERO);
            }
        }
        let events = &mut batch.kernel;
        if events.is_empty() {
            events.resize(FIRST_EVENTS, NO_EVENT);
        }
        let n = match self.wait_raw(wait, events) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        batch.count = n;
        if n == events.len() && n < MAX_EVENTS {
            events.resize(2 * n, NO_EVENT);
        }
        if let Precision::Timer(_) = self.precision {
            // Its own readiness is nobody's business (EP-11).
            let timer = events[..n].iter().position(|event| event.u64 == TIMER);
            if let Some(place) = timer {
                events.copy_within(place + 1..n, place);
                batch.count -= 1;
            }
        }
        Ok(())
    }

    fn reinit(&mut self) -> io::Result<()> {
        epoll::renew(self.descriptor.as_fd())?;
        self.forks = fork::count();
        // A timer would have to be registered again: the next wait asks anew whether one is needed.
        self.precision = Precision::Call;
        // FORK-7: what was collected comes again.
        self.changes = self.changes.as_ref().map(|_| Changes::default());
        self.is_reinit = true;
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

#[inline(always)]
pub(super) fn report(event: &Event) -> Report {
    Report {
        token: event.u64,
        ready: ready(event.events),
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
    use crate::config::Config;

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

    /// EP-16: no program that is started inherits the set.
    #[test]
    fn set_is_closed_on_exec() {
        let epoll = Epoll::new(Config::new().ignore_env().options()).unwrap();
        let fd = epoll.descriptor.as_fd().as_raw_fd();
        let facts = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        let flags = facts
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(flags & libc::O_CLOEXEC, 0, "{facts}");
    }

    /// An epoll on a system without `epoll_pwait2`.
    fn old(timer: bool) -> Box<Epoll> {
        let config = Config::new().ignore_env();
        let config = match timer {
            true => config,
            false => config.disallow_timerfd(),
        };
        let mut epoll = Epoll::new(config.options()).unwrap();
        epoll.give_up_call();
        assert_eq!(matches!(epoll.precision, Precision::Timer(_)), timer);
        Box::new(epoll)
    }

    /// EP-10, EP-11, BASE-15; better than EP-12: without the newer call, waits go on with a timer or in milliseconds, are not early, and report nothing
    /// of their own.
    #[test]
    fn waits_without_the_newer_call() {
        for timer in [true, false] {
            let epoll: &mut dyn Backend = &mut *old(timer);
            let mut reports = Vec::new();
            for _ in 0..3 {
                let start = std::time::Instant::now();
                let wait = Duration::from_micros(1500);
                epoll.wait_into(Some(wait), &mut reports).unwrap();
                assert!(start.elapsed() >= wait);
                assert!(reports.is_empty());
            }
            let bell = crate::sys::bell::Bell::new().unwrap();
            let fd = bell.as_fd().as_raw_fd();
            epoll.change(fd, 7, Interest::NONE, Interest::READ).unwrap();
            bell.ring();
            epoll.wait_into(None, &mut reports).unwrap();
            assert_eq!(reports.len(), 1);
            assert_eq!(reports[0].token, 7);
        }
    }

    /// EP-11: a zero wait polls although the timer is set, and one that is over does not end the next wait early.
    #[test]
    fn timer_of_an_earlier_wait_ends_no_other_one_early() {
        let epoll: &mut dyn Backend = &mut *old(true);
        let bell = crate::sys::bell::Bell::new().unwrap();
        let fd = bell.as_fd().as_raw_fd();
        epoll.change(fd, 7, Interest::NONE, Interest::READ).unwrap();
        bell.ring();
        let mut reports = Vec::new();
        epoll
            .wait_into(Some(Duration::from_millis(2)), &mut reports)
            .unwrap();
        assert_eq!(reports.len(), 1);
        bell.drain();
        reports.clear();
        epoll.wait_into(Some(Duration::ZERO), &mut reports).unwrap();
        let start = std::time::Instant::now();
        epoll
            .wait_into(Some(Duration::from_millis(20)), &mut reports)
            .unwrap();
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(reports.is_empty());
    }

    /// EP-9: 32, then 64, and no more than 4096.
    #[test]
    fn result_array_doubles_when_full() {
        let mut epoll = Epoll::new(Options::default()).unwrap();
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
        let mut batch = Batch::default();
        for _ in 0..3 {
            epoll.wait(Some(Duration::ZERO), &mut batch).unwrap();
            sizes.push(batch.kernel().count());
        }
        assert_eq!(sizes, [32, 64, 70]);
        assert_eq!(batch.kernel.len(), 128);
    }
}

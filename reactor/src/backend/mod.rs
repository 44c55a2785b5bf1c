//! Ways to wait: one trait, one file per system interface.
//!
//! ```text
//! fd table ──change(fd, token, old, new)──▶ backend ──wait──▶ kernel
//! engine   ◀──────── Report { token, ready } ───────┘
//! ```
//!
//! Invariants
//! 1. An interest of NONE means that the descriptor is not in the kernel's set at all. Nothing can report it, so nothing
//!    can spin on it.
//! 2. A report may say more than was asked for (BK-1): an error or hang-up comes unasked. The fd table filters.
//! 3. A report carries the token of the latest successful `change`; whether it still means anything the engine decides.
//! 4. A backend never ends a wait early because of rounding: `wait` rounds up, in one function per unit (TIME-15).
//! 5. A descriptor that was closed while watched upsets nothing. epoll and kqueue forget it silently (EP-13); the others report it
//!    once as INVALID and forget it.
//!
//! kqueue and devpoll are built everywhere, so that what they make of the system's answers is tested everywhere. Where each is used,
//! and where it was run:
//!
//! | | systems | built | mapping tested | run |
//! |---|---|---|---|---|
//! | epoll | Linux | Linux | Linux | Linux |
//! | poll, select | all | all | Linux | Linux |
//! | kqueue | macOS, FreeBSD, NetBSD, OpenBSD, DragonFly; Linux with `--cfg levent_libkqueue` | all of these but DragonFly | Linux, over an emulation of `kevent` | Linux, over libkqueue |
//! | devpoll | illumos, Solaris | illumos, Solaris | Linux, over an emulation of the driver | nowhere |

#[cfg(target_os = "linux")]
mod changes;
#[allow(dead_code, reason = "without the system's calls only tests use it")]
mod devpoll;
#[cfg(target_os = "linux")]
mod epoll;
#[allow(dead_code, reason = "without the system's calls only tests use it")]
mod kqueue;
mod poll;
mod select;
#[cfg(test)]
mod tests;
mod wait;

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
    sync::Arc,
    time::Duration,
};

use crate::{
    flags::{Interest, Ready, bit_set},
    sys,
};

/// One descriptor that has something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// What `change` was given.
    pub(crate) token: u64,
    /// What the kernel said, mapped as BK-5 has it.
    pub(crate) ready: Ready,
}

/// What a wait has found. Kept from wait to wait, for its memory.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// In epoll's own form, which is read where it lies: a copy would cost more than the mapping.
    #[cfg(target_os = "linux")]
    kernel: Vec<epoll::Event>,
    /// How many of those are of this wait. What lies behind them means nothing.
    #[cfg(target_os = "linux")]
    count: usize,
    /// Everything else.
    pub(crate) reports: Vec<Report>,
}

impl Batch {
    /// What the kernel has written, mapped.
    #[cfg(target_os = "linux")]
    #[inline(always)]
    pub(crate) fn kernel(&self) -> impl Iterator<Item = Report> + '_ {
        self.kernel[..self.count].iter().map(epoll::report)
    }

    /// Nothing: only epoll leaves its results there.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn kernel(&self) -> impl Iterator<Item = Report> + '_ {
        std::iter::empty()
    }

    /// Has the last wait found nothing?
    pub(crate) fn is_empty(&self) -> bool {
        self.kernel().next().is_none() && self.reports.is_empty()
    }

    /// Forgets what the last wait found.
    fn clear(&mut self) {
        #[cfg(target_os = "linux")]
        {
            self.count = 0;
        }
        self.reports.clear();
    }
}

/// One way to wait for descriptors.
///
/// Implementations own their kernel object and their tables, and know neither events nor time beyond one wait. They are
/// built on one thread and may be used by another, one at a time.
///
/// | | epoll | kqueue | devpoll | poll | select |
/// |---|---|---|---|---|---|
/// | cost of a wait | what is ready | what is ready | what is ready | what is watched | the highest descriptor |
/// | EDGE | yes | yes (KQ-1) | ignored (FLG-6) | ignored | ignored |
/// | CLOSED | yes | together with READ only | illumos | Linux, FreeBSD, illumos | never reported (FLG-8) |
/// | URGENT | yes | never reported | never reported | never reported | never reported |
/// | unit of a wait | ns, else ms | ns | ms | ns, else ms | µs |
/// | regular files | `PermissionDenied` (EP-6) | ready, but for macOS and NetBSD at the end (KQ-3) | always ready | always ready (PO-5) | always ready |
/// | highest descriptor | any | any | any | any | [`sys::select::LIMIT`] − 1 |
/// | closed while watched | silent | silent | INVALID, once | INVALID, once | INVALID, once |
pub(crate) trait Backend: Send {
    /// Which one this is.
    fn method(&self) -> Method;

    /// Changes what is watched for `fd` from `old` to `new`; NONE is "not in the set". `token` comes back in reports.
    ///
    /// `old` is what the caller believes. Where the kernel or the backend knows better, because the descriptor was
    /// closed or opened again meanwhile, the change is made to fit (EP-2 to EP-4). Deleting what is not there succeeds.
    ///
    /// # Errors
    ///
    /// - `AlreadyExists`: `old` is NONE, `new` has EDGE, and the descriptor is in the set. Edges cannot be shared
    ///   (FLG-9). Without EDGE the entry is replaced.
    /// - `PermissionDenied`: epoll does not take regular files and directories.
    /// - `InvalidInput`: a descriptor above what select can take.
    /// - `EBADF` for a descriptor that is not open, and whatever else the system says.
    fn change(&mut self, fd: RawFd, token: u64, old: Interest, new: Interest) -> io::Result<()>;

    /// Waits (None: no limit; zero: does not block) and says what is ready, in place of what the batch had.
    ///
    /// An interrupted wait is a wait that found nothing (BK-3), and so is one that was cut because the unit could not
    /// express it: the loop looks at its deadlines and waits again.
    fn wait(&mut self, wait: Option<Duration>, batch: &mut Batch) -> io::Result<()>;

    /// Forgets everything. What is shared with another process after a fork is left to that, and made anew; the shared descriptor
    /// keeps its number. The caller registers everything again.
    ///
    /// # Errors
    ///
    /// The system's, for want of a descriptor.
    fn reinit(&mut self) -> io::Result<()>;

    /// The epoll descriptor, shared so that a foreign thread may delete a descriptor from it before closing it. None
    /// elsewhere.
    fn shared_descriptor(&self) -> Option<Arc<OwnedFd>>;

    /// Does EDGE in an interest work?
    fn has_edges(&self) -> bool;

    /// Does a report follow a short transfer whenever more is to be had? Not with edges that say nothing of urgent data: a read stops
    /// short at it, and no edge follows. Without edges each wait asks anew.
    fn may_trust_short(&self) -> bool;
}

/// Takes a descriptor out of a backend that another thread uses, by what [`Backend::shared_descriptor`] gave. It need not be in there.
pub(crate) fn withdraw(shared: &OwnedFd, fd: RawFd) {
    #[cfg(target_os = "linux")]
    {
        use crate::sys::epoll::{Control, control};
        // Refused only if it is not registered there.
        let _ = control(std::os::fd::AsFd::as_fd(shared), Control::Delete, fd, 0, 0);
    }
    // No other backend shares its descriptor.
    #[cfg(not(target_os = "linux"))]
    let _ = (shared, fd);
}

#[cfg(test)]
impl dyn Backend + '_ {
    /// Waits and adds what was found to `reports`.
    pub(crate) fn wait_into(
        &mut self,
        wait: Option<Duration>,
        reports: &mut Vec<Report>,
    ) -> io::Result<()> {
        let mut batch = Batch::default();
        self.wait(wait, &mut batch)?;
        reports.extend(batch.kernel());
        reports.append(&mut batch.reports);
        Ok(())
    }
}

/// How a backend is to be.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "both are epoll's")
)]
pub(crate) struct Options {
    /// epoll: changes are collected until the wait (BASE-14).
    pub(crate) batched: bool,
    /// epoll without `epoll_pwait2`: a timer descriptor may stand in (BASE-15).
    pub(crate) timer: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batched: false,
            timer: true,
        }
    }
}

/// Opens a backend. `Unsupported` for one that is not of this system.
#[cfg_attr(
    not(target_os = "linux"),
    allow(unused_variables, reason = "the options are epoll's")
)]
pub(crate) fn open(method: Method, options: Options) -> io::Result<Box<dyn Backend>> {
    Ok(match method {
        #[cfg(target_os = "linux")]
        Method::Epoll => Box::new(epoll::Epoll::new(options)?),
        #[cfg(target_os = "linux")]
        Method::EpollBatched => Box::new(epoll::Epoll::new(Options {
            batched: true,
            ..options
        })?),
        #[cfg(not(target_os = "linux"))]
        Method::Epoll | Method::EpollBatched => return Err(io::ErrorKind::Unsupported.into()),
        Method::Kqueue => Box::new(kqueue::Kqueue::new(sys::kqueue::Queue::new()?)?),
        Method::DevPoll => Box::new(devpoll::DevPoll::new(sys::devpoll::Driver::new()?)),
        Method::Poll => Box::new(poll::Poll::new()),
        Method::Select => Box::new(select::Select::new()),
    })
}

/// The name of a way to wait. Every system knows all names; what it has is in [`supported`](Method::supported).
///
/// # Examples
///
/// ```
/// use levent_reactor::{Features, Method};
///
/// let first = Method::supported()[0];
/// # #[cfg(target_os = "linux")]
/// assert_eq!(first.name(), "epoll");
/// assert!(first.features().contains(Features::O1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Linux's epoll(7): cost grows with what is ready, not with what is watched.
    Epoll,
    /// epoll, with changes of interest collected until the wait: for programs that add and delete the same events over and over. Not
    /// a candidate of its own (BASE-4): [`Config::batch_changes`](crate::Config::batch_changes) makes it of `Epoll`.
    EpollBatched,
    /// kqueue(2) of the BSDs and macOS: as epoll, and takes files.
    Kqueue,
    /// /dev/poll of illumos and Solaris: the cost of epoll, without edges.
    DevPoll,
    /// poll(2): takes any kind of descriptor.
    Poll,
    /// select(2): for comparison and for odd systems; no descriptor above 65,535, on macOS none above 1,023.
    Select,
}

impl Method {
    /// What this build has, in order of preference, whatever the environment says (INT-17).
    #[must_use]
    pub const fn supported() -> &'static [Method] {
        use Method::{DevPoll, Epoll, Kqueue, Poll, Select};
        match (
            cfg!(target_os = "linux"),
            sys::kqueue::PRESENT,
            sys::devpoll::PRESENT,
        ) {
            (true, false, _) => &[Epoll, Poll, Select],
            // libkqueue stands on epoll itself: for tests, so by name only.
            (true, true, _) => &[Epoll, Poll, Select, Kqueue],
            (false, true, _) => &[Kqueue, Poll, Select],
            (false, false, true) => &[DevPoll, Poll, Select],
            (false, false, false) => &[Poll, Select],
        }
    }

    /// The name, as libevent has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Method::Epoll => "epoll",
            Method::EpollBatched => "epoll (with changelist)",
            Method::Kqueue => "kqueue",
            Method::DevPoll => "devpoll",
            Method::Poll => "poll",
            Method::Select => "select",
        }
    }

    /// What it can do (BASE-6).
    #[must_use]
    pub const fn features(self) -> Features {
        let bits = match self {
            Method::Epoll | Method::EpollBatched => {
                Features::ET.bits() | Features::O1.bits() | Features::EARLY_CLOSE.bits()
            }
            Method::Kqueue => Features::ET.bits() | Features::O1.bits() | Features::FDS.bits(),
            Method::DevPoll => Features::O1.bits() | Features::FDS.bits(),
            Method::Poll if sys::poll::RDHUP != 0 => {
                Features::FDS.bits() | Features::EARLY_CLOSE.bits()
            }
            Method::Poll | Method::Select => Features::FDS.bits(),
        };
        Features::from_bits_truncate(bits)
    }
}

bit_set! {
    /// What a backend can do (BASE-6), with libevent's values.
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_reactor::{Features, Method};
    ///
    /// let needed = Features::FDS;
    /// let fitting: Vec<_> = Method::supported().iter().filter(|m| m.features().contains(needed)).collect();
    /// assert!(fitting.contains(&&Method::Poll) && !fitting.contains(&&Method::Epoll));
    /// ```
    pub struct Features {
        /// Edge triggering.
        ET = 1,
        /// The cost of an activation does not grow with the number of watched descriptors.
        O1 = 2,
        /// Any kind of descriptor, regular files too.
        FDS = 4,
        /// The peer's close is reported without reading what it sent before.
        EARLY_CLOSE = 8,
    }
}

/// A small random number generator (xorshift), so that a scan does not always favour the same descriptors.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new() -> Random {
        // The seed need not be good, only different per backend; the generator must not start at zero.
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`; zero if `limit` is zero.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper half: the lower bits of a xorshift are its weaker ones.
        let draw = (self.0 >> 32) as usize;
        draw.checked_rem(limit).unwrap_or(0)
    }
}

//! The engine of a base: tokens in, active entries out.
//!
//! ```text
//! add, del, activate ──▶ records ──▶ fd table ──▶ backend          (events.rs, fds.rs)
//!                           │  └────▶ deadlines                     (deadlines/)
//! wait ──▶ reports ─────────┴──▶ active queues ──▶ next()           (wait.rs, active.rs, pass.rs)
//!              └──▶ lane slots ──▶ woken wakers                     (lane.rs, alarms.rs)
//! ```
//!
//! Invariants
//! 1. The engine holds no closure, no `Rc` and no thread-local, and calls no foreign code: wakers that are due, and wakers
//!    that are no longer needed, are handed out to be woken or dropped once nothing is borrowed. (Cloning a waker that is
//!    polled with at home is the one exception; one whose clone enters the reactor is treated as one from away.)
//! 2. Whoever holds the engine runs it; it may be built on one thread and run on another.
//! 3. An idle event owns nothing here; a record whose state is idle is released.
//! 4. What the backend watches for a descriptor is what `FdEntry::registered` (events) or `Slot::interest` (lane) says.

pub(crate) mod active;
pub(crate) mod alarms;
mod busy;
pub(crate) mod deadlines;
pub(crate) mod events;
pub(crate) mod fds;
pub(crate) mod lane;
pub(crate) mod pass;
pub(crate) mod record;
mod reinit;
pub(crate) mod signals;
pub(crate) mod spin;
pub(crate) mod wait;

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::Waker;

use self::active::Active;
use self::alarms::Alarms;
use self::busy::Busy;
use self::deadlines::{Deadlines, Due};
use self::fds::FdTable;
use self::lane::Lane;
use self::pass::Pass;
use self::record::Records;
use self::signals::Signals;
use self::spin::Guard;
use crate::backend::{self, Backend, Batch, Method};
use crate::clock::Clock;
use crate::config::{Config, Limits};
use crate::flags::Interest;
use crate::lane::Priority;
use crate::shared::{Loose, Shared};
use crate::sys::fork;

/// What a number given to the backend stands for. Two bits of kind, 30 of generation, 32 of index.
///
/// One bit each for the two frequent kinds: a report is recognised by one test, rather than by the jump table of a `match`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A descriptor watched by events; the index is its number.
    Fd = 1,
    /// A slot of the lane.
    Lane = 2,
}

/// The tokens of the base's own descriptors, the notifier of [`Shared`] and the signal receiver: of no kind.
pub(crate) const BELL: u64 = 0;
pub(crate) const SIGNALS: u64 = 1;

pub(crate) const GENERATION: u64 = (1 << 30) - 1;

#[inline]
pub(crate) fn pack(kind: Kind, generation: u64, index: u32) -> u64 {
    (kind as u64) << 62 | (generation & GENERATION) << 32 | u64::from(index)
}

/// Does a token stand for a thing of this kind?
#[inline]
pub(crate) fn is_kind(token: u64, kind: Kind) -> bool {
    token & (kind as u64) << 62 != 0
}

/// The most there ever were of each kind of thing (INT-7).
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Most {
    pub(crate) added: usize,
    pub(crate) active: usize,
    pub(crate) virtuals: usize,
}

/// The engine.
pub(crate) struct Engine {
    /// The base's number, the same as its [`Shared`]'s. First, since each operation of the lane compares it.
    pub(crate) id: u32,
    pub(crate) lane: Lane,
    pub(crate) shared: Arc<Shared>,
    pub(crate) backend: Box<dyn Backend>,
    /// Does the backend report edges?
    pub(crate) edges: bool,
    /// May a short transfer clear a stream's latch (`Config::trust_short`)?
    pub(crate) trust_short: bool,
    pub(crate) records: Records,
    pub(crate) active: Active,
    pub(crate) fds: FdTable,
    pub(crate) signals: Option<Signals>,
    pub(crate) deadlines: Deadlines,
    pub(crate) alarms: Alarms,
    pub(crate) clock: Clock,
    /// The time of the last wait's end, while the loop holds it (TIME-4).
    pub(crate) cached: Option<u64>,
    /// Is time cached at all (TIME-7)?
    pub(crate) caching: bool,
    /// Memberships of events in the inserted and timed sets. Those in the active and later sets are counted there.
    pub(crate) pending: usize,
    /// References that keep the loop alive without an event.
    pub(crate) virtuals: usize,
    pub(crate) most: Most,
    pub(crate) pass: Pass,
    pub(crate) limits: Limits,
    /// Whether waits ask before they sleep.
    pub(crate) busy: Busy,
    pub(crate) guard: Guard,
    /// The loop shall end when the current pass is done, or after the current callback; a new iteration shall begin.
    pub(crate) exit: bool,
    pub(crate) stop: bool,
    pub(crate) again: bool,
    /// A signal arrived in the current wait.
    pub(crate) signalled: bool,
    /// Deadlines have passed since the last pass.
    pub(crate) expired: bool,
    /// The count of forks when the engine was made, or made its own again.
    pub(crate) forks: u32,
    /// The turn whose reports are being taken in.
    pub(crate) turn: u64,
    /// Mail is being read.
    reading: bool,
    /// The prepare watchers have run for the wait to come.
    pub(crate) prepared: bool,
    /// Where a jumping clock is to go if the wait brings nothing. Set when the wait is chosen, taken when deadlines expire.
    jump: Option<u64>,
    /// Mail has arrived: the driver looks for posted closures.
    pub(crate) mail: bool,
    /// Deferred entries that became active directly in this iteration (ACT-20).
    pub(crate) deferred: u32,
    /// What the last wait found; elsewhere while it is being taken in.
    batch: Option<Box<Batch>>,
    /// Deadlines that have passed; empty, kept for its memory.
    due: Vec<Due>,
    /// Wakers that are due. The driver takes them once the engine is not borrowed.
    pub(crate) woken: Vec<Waker>,
    /// Which of those, by their places, have another priority than the usual one.
    pub(crate) ranked: Vec<(usize, Priority)>,
    /// Wakers to be dropped where nothing is borrowed: dropping one may run foreign code.
    pub(crate) discarded: Vec<Waker>,
}

impl Engine {
    /// Opens a backend and registers the notifier of `shared` with it.
    pub(crate) fn new(
        config: &Config,
        make: impl FnOnce(&dyn Backend) -> io::Result<Arc<Shared>>,
    ) -> io::Result<Engine> {
        fork::watch();
        let mut backend = open(config)?;
        let shared = make(backend.as_ref())?;
        let edges = backend.has_edges();
        let trusted = backend.may_trust_short();
        let interest = if edges {
            Interest::READ | Interest::EDGE
        } else {
            Interest::READ
        };
        backend.change(
            shared.bell.as_fd().as_raw_fd(),
            BELL,
            Interest::NONE,
            interest,
        )?;
        Ok(Engine {
            id: shared.id,
            lane: Lane::new(shared.id),
            shared,
            backend,
            edges,
            trust_short: config.trusts_short() && trusted,
            records: Records::default(),
            active: Active::new(),
            fds: FdTable::default(),
            signals: None,
            deadlines: Deadlines::new(),
            alarms: Alarms::default(),
            clock: config.the_clock(),
            cached: None,
            caching: config.caches_time(),
            pending: 0,
            virtuals: 0,
            most: Most::default(),
            pass: Pass::default(),
            limits: config.limits(),
            guard: Guard::new(config.the_spin_limit()),
            busy: Busy::new(config.the_busy_poll()),
            exit: false,
            stop: false,
            again: false,
            signalled: false,
            expired: false,
            mail: false,
            forks: fork::count(),
            turn: 0,
            reading: false,
            prepared: false,
            jump: None,
            deferred: 0,
            batch: None,
            due: Vec::new(),
            woken: Vec::new(),
            ranked: Vec::new(),
            discarded: Vec::new(),
        })
    }

    /// The time that deadlines are computed from: the cached time if one is held (TIME-5).
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self.cached {
            Some(now) => now,
            None => self.clock.now(),
        }
    }

    /// Active and later entries.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.active.len() + self.active.later_len()
    }

    /// Notes how many there are, after something was added. Once per call from outside and once per wait, rather than for each
    /// event: in between counts only grow, or one grows as the other shrinks.
    #[inline]
    pub(crate) fn note_counts(&mut self) {
        let queued = self.queued();
        self.most.added = self.most.added.max(self.pending + queued);
        self.most.active = self.most.active.max(queued);
        self.most.virtuals = self.most.virtuals.max(self.virtuals);
    }

    /// The same after something became pending.
    #[inline]
    pub(crate) fn note_added(&mut self) {
        self.most.added = self.most.added.max(self.pending + self.queued());
    }

    /// Is anything pending or active that keeps the loop alive (LOOP-4)?
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.pending + self.queued() + self.virtuals == 0
    }

    /// Takes what is due to be woken or dropped.
    pub(crate) fn take_loose(&mut self) -> Loose {
        self.ranked.clear();
        Loose {
            woken: mem::take(&mut self.woken),
            discarded: mem::take(&mut self.discarded),
        }
    }

    /// The same with every waker that is parked here: nobody turns the base any more.
    pub(crate) fn vacate(&mut self) -> Loose {
        let mut loose = self.take_loose();
        self.lane.take_all_wakers(&mut loose.woken);
        self.alarms.take_all_wakers(&mut loose.woken);
        self.prepared = false;
        loose
    }
}

/// The first method that the configuration allows and the system has (BASE-1).
fn open(config: &Config) -> io::Result<Box<dyn Backend>> {
    let mut last = None;
    for &method in Method::supported() {
        if !config.allows(method) {
            continue;
        }
        match backend::open(method, config.options()) {
            Ok(backend) => return Ok(backend),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "no backend qualifies: avoid fewer methods or require fewer features (`Config`, `EVENT_NO*`, `LEVENT_BACKEND`)",
        )
    }))
}

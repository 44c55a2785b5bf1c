//! A descriptor that futures wait for.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use super::{Direction, Priority, away};
use crate::current;
use crate::engine::Engine;
use crate::engine::events::refused;
use crate::engine::lane::{Slot, Waiting};
use crate::shared::drop_all;
use crate::sys;

/// The registration of one descriptor, for futures.
///
/// It holds names only, so it is `Send + Sync` and keeps nothing of its owner's. The owner calls [`release`](Source::release)
/// before it closes the descriptor. Forgetting to is a mistake that costs no memory safety: the registration stays behind, and
/// whoever is given the number next may be woken for nothing, or told that it is registered already.
///
/// The descriptor is asked for once, in [`new`](Source::new): an `AsFd` that answers differently later changes nothing here.
///
/// Polled on the thread whose base it is registered with, it touches plain memory. Anywhere else it works too (see the
/// [module's page](crate::lane)).
///
/// # Example
///
/// ```
/// use levent_reactor::lane::{Direction, Source};
/// use std::io::{Read, Write};
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use std::task::{Context, Poll, Waker};
///
/// # fn main() -> std::io::Result<()> {
/// let (mut here, mut there) = UnixStream::pair()?;
/// here.set_nonblocking(true)?;
/// let source = Source::new(here.as_fd())?;
/// let mut cx = Context::from_waker(Waker::noop());
/// let mut byte = [0];
/// there.write_all(b"x")?;
/// let read = source.poll_io(Direction::Read, &mut cx, || (&here).read(&mut byte));
/// assert!(matches!(read, Poll::Ready(Ok(1))));
/// source.release();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Source {
    /// Names the registration for all time, wherever it moves.
    pub(super) key: u64,
    /// The descriptor's number. Only the registration is known by it; operations are their caller's.
    pub(super) fd: RawFd,
    /// The home: the base's number above, the slot's index below. Read and written relaxed: a stale name is found out by
    /// the key, and whoever moves a registration does so under the lock in `away`.
    home: AtomicU64,
    /// Per direction: what the next poll does first ([`TRY`], [`LOOK`], [`PARKED`], [`SHARED`]). Plain loads and stores; whoever sees an
    /// old value makes one system call, or one visit, too many.
    state: [AtomicU8; 2],
    /// Per direction: the turn of the last short transfer.
    turns: [AtomicU64; 2],
    /// May a short transfer be trusted (`Config::trust_short` of the base that it was made at)?
    trusts_short: bool,
    /// The number of its [`Priority`], for the next home.
    priority: AtomicU8,
}

// The fields are numbers; no broken invariant can be seen through them after a panic.
impl UnwindSafe for Source {}
impl RefUnwindSafe for Source {}

/// The state of one [`Source::poll_waiter`] future: its number once it waits.
///
/// ```
/// use levent_reactor::lane::{Direction, Source, Waiter};
/// use std::os::{fd::AsFd, unix::net::UnixStream};
/// use std::task::{Context, Waker};
///
/// # fn main() -> std::io::Result<()> {
/// let (here, _there) = UnixStream::pair()?;
/// let source = Source::new(here.as_fd())?;
/// let mut cx = Context::from_waker(Waker::noop());
/// // Two futures wait for one direction.
/// let (mut first, mut second) = (Waiter::default(), Waiter::default());
/// assert!(source.poll_waiter(Direction::Read, &mut cx, &mut first).is_pending());
/// assert!(source.poll_waiter(Direction::Read, &mut cx, &mut second).is_pending());
/// source.cancel_waiter(&mut first); // what the first one's `Drop` does
/// source.cancel_waiter(&mut second);
/// source.release();
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Waiter {
    pub(super) id: u64,
}

impl Waiter {
    /// Has it waited since it was made, found ready or cancelled?
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.id != 0
    }
}

/// The next transfer is tried at once.
const TRY: u8 = 0;
/// The last transfer was short: the latch is looked at first.
const LOOK: u8 = 1;
/// A waker was parked, and nothing was transferred since. Whoever is polled now was most likely woken: tried at once. Tells
/// those away that somebody may be waiting at home; or was, and has given up.
pub(super) const PARKED: u8 = 2;
/// The same, by one from away, who knew that of somebody at home: two threads share the source.
pub(super) const SHARED: u8 = 3;

/// What a poll is to do next. Small on purpose: it comes out of the engine in a register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Try the operation.
    Try,
    /// The waker is parked.
    Parked,
    /// The backend refused; the engine keeps the reason.
    Refused,
    /// The slot is not here.
    Away,
}

fn pack(base: u32, index: u32) -> u64 {
    u64::from(base) << 32 | u64::from(index)
}

impl Source {
    /// Registers a descriptor with this thread's base: the one of the innermost loop, else the thread's default base.
    ///
    /// The descriptor should be non-blocking; operations on a blocking one block the loop.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` for a regular file or a directory, on every backend: they are always ready, and reads of them block.
    /// `AlreadyExists` if this base watches the descriptor already. Else what the backend says.
    pub fn new(fd: BorrowedFd<'_>) -> io::Result<Source> {
        if sys::file::is_regular(fd).map_err(|error| refused(error, fd.as_raw_fd()))? {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "a regular file or directory cannot be waited for: read it directly, or on a thread of its own",
            ));
        }
        let raw = fd.as_raw_fd();
        let insert = |engine: &mut Engine| {
            engine
                .lane_insert(raw, None)
                .map(|(index, key)| (pack(engine.id, index), key, engine.trust_short))
        };
        let (home, key, trusts_short) = match current::with(insert) {
            Some(result) => result?,
            None => match current::with_base(&current::base()?, insert) {
                Some(result) => result?,
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::ResourceBusy,
                        "this thread's base is run elsewhere",
                    ));
                }
            },
        };
        Ok(Source {
            key,
            fd: raw,
            home: AtomicU64::new(home),
            state: [AtomicU8::new(TRY), AtomicU8::new(TRY)],
            turns: [AtomicU64::new(0), AtomicU64::new(0)],
            trusts_short,
            priority: AtomicU8::new(Priority::Normal as u8),
        })
    }

    /// Sets how urgent those are who wait for this source, from the next report on. Set from a thread that does not turn its base, it acts after the base's next turn.
    pub fn set_priority(&self, priority: Priority) {
        self.priority.store(priority as u8, Ordering::Relaxed);
        let ranked = self.at_home(|engine, index| engine.lane_rank(index, priority));
        if ranked.is_none() {
            away::rank(self, priority);
        }
    }

    /// How urgent those are who wait for this source.
    #[must_use]
    pub fn priority(&self) -> Priority {
        Priority::from_number(self.priority.load(Ordering::Relaxed))
    }

    /// The home: the base's number, and the slot's index there.
    pub(super) fn home(&self) -> (u32, u32) {
        let home = self.home.load(Ordering::Relaxed);
        ((home >> 32) as u32, home as u32)
    }

    /// Gives the source another home. Only under the lock of moves.
    pub(super) fn settle(&self, base: u32, index: u32) {
        self.home.store(pack(base, index), Ordering::Relaxed);
    }

    /// Is either direction in this state?
    pub(super) fn is(&self, state: u8) -> bool {
        let mut states = self.state.iter();
        states.any(|other| other.load(Ordering::Relaxed) == state)
    }

    /// Acts on the engine if the source's home is the innermost loop of this thread, with the slot's index.
    #[inline]
    fn at_home<R>(&self, f: impl FnOnce(&mut Engine, u32) -> R) -> Option<R> {
        current::with(|engine| {
            let home = self.home.load(Ordering::Relaxed);
            let index = home as u32;
            if (home >> 32) as u32 != engine.id || engine.lane.slot(index, self.key).is_none() {
                return None;
            }
            Some(f(engine, index))
        })
        .flatten()
    }

    /// Parks the waker at home, if the slot is there. With `looks`, only if the latch says that the direction is not ready. The
    /// latch is cleared either way: what it said is used up.
    #[inline]
    fn visit(&self, direction: Direction, waker: &Waker, looks: bool) -> Step {
        // One copy for each case, with nothing left to ask: this is the one visit that every request pays for.
        match (direction, looks) {
            (Direction::Read, true) => self.visit_for::<false, true>(waker),
            (Direction::Read, false) => self.visit_for::<false, false>(waker),
            (Direction::Write, true) => self.visit_for::<true, true>(waker),
            (Direction::Write, false) => self.visit_for::<true, false>(waker),
        }
    }

    #[inline(never)]
    fn visit_for<const WRITE: bool, const LOOKS: bool>(&self, waker: &Waker) -> Step {
        let direction = if WRITE {
            Direction::Write
        } else {
            Direction::Read
        };
        current::with(
            #[inline(always)]
            |engine| {
                let home = self.home.load(Ordering::Relaxed);
                let index = home as u32;
                if (home >> 32) as u32 != engine.id {
                    return Step::Away;
                }
                let Some(slot) = engine.lane.slot(index, self.key) else {
                    return Step::Away;
                };
                let is_ready = LOOKS
                    && (slot.is_ready(direction)
                        || slot.was_told_after(
                            direction,
                            self.turns[direction as usize].load(Ordering::Relaxed),
                        ));
                slot.clear(direction);
                if is_ready {
                    Step::Try
                } else if slot.park_quickly(direction, waker)
                    || engine.lane_park(index, direction, waker)
                {
                    Step::Parked
                } else {
                    Step::Refused
                }
            },
        )
        .unwrap_or(Step::Away)
    }

    /// Tries an operation, and waits if it would block.
    ///
    /// The operation is always tried first. On `WouldBlock` the waker of `cx` is parked in the direction's one place; a
    /// different waker that was there is woken. `Interrupted` is tried again. Counts against the poll's budget.
    ///
    /// # Errors
    ///
    /// Those of the operation, and of the backend if it cannot watch the direction.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped at `Pending` has moved nothing. Its waker stays until the next one replaces it, or
    /// readiness takes it.
    #[inline]
    pub fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        if current::spend(cx).is_pending() {
            return Poll::Pending;
        }
        loop {
            match op() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.park(direction, cx).map(Err);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    self.state[direction as usize].store(TRY, Ordering::Relaxed);
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Tries a byte transfer on a stream socket, and waits if it would block. `len`: how many bytes it can move at most.
    ///
    /// Unlike [`poll_io`](Source::poll_io) it trusts the latch: while the last transfer was short and nothing has been reported
    /// since, it waits without asking the kernel. That saves a system call per request. It is right only for stream sockets,
    /// where a short transfer means that the buffer in the kernel is empty (or full). Where a transfer may be short for other
    /// reasons, `len` is 0: then each wait begins with a transfer that finds nothing.
    ///
    /// # Errors
    ///
    /// As `poll_io`.
    ///
    /// # Cancel safety
    ///
    /// As `poll_io`.
    #[inline]
    pub fn poll_stream(
        &self,
        direction: Direction,
        len: usize,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let state = &self.state[direction as usize];
        if state.load(Ordering::Relaxed) == LOOK {
            let step = self.visit(direction, cx.waker(), true);
            if step == Step::Parked {
                state.store(PARKED, Ordering::Relaxed);
                return Poll::Pending;
            }
            if step == Step::Refused {
                return Poll::Ready(Err(self.refusal()));
            }
            // What the latch said is used up; if the budget is spent now, the next poll has to try without it.
            state.store(TRY, Ordering::Relaxed);
        }
        if current::spend(cx).is_pending() {
            return Poll::Pending;
        }
        loop {
            match op() {
                Ok(moved) => {
                    let is_short = moved < len && moved > 0 && self.trusts_short;
                    let next = if is_short {
                        self.after_short(direction)
                    } else {
                        TRY
                    };
                    state.store(next, Ordering::Relaxed);
                    return Poll::Ready(Ok(moved));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.park(direction, cx).map(Err);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    state.store(TRY, Ordering::Relaxed);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// What the poll after a short transfer does first.
    #[inline]
    fn after_short(&self, direction: Direction) -> u8 {
        self.turns[direction as usize].store(current::turn(), Ordering::Relaxed);
        match direction {
            // The latch was cleared when the reader parked, and is set by a report that found nobody parked; so it says, with
            // the turns, whether anything came since the report that led to this read.
            Direction::Read => LOOK,
            Direction::Write => self.after_short_write(),
        }
    }

    /// The buffer is full. If the backend will tell when it is not any more, the next write can wait without asking.
    #[cold]
    fn after_short_write(&self) -> u8 {
        let cleared = self.at_home(|engine, index| {
            engine
                .lane
                .slot(index, self.key)
                .is_some_and(Slot::clear_write)
        });
        if cleared == Some(true) { LOOK } else { TRY }
    }

    #[cold]
    fn refusal(&self) -> io::Error {
        current::with(|engine| engine.lane.refusal.take())
            .flatten()
            .unwrap_or_else(|| io::Error::other("the backend refused to watch the descriptor"))
    }

    /// Parks after an operation found nothing. `Ready` only with the error that waiting is impossible.
    fn park(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Error> {
        let parked = match self.visit(direction, cx.waker(), false) {
            Step::Parked => Ok(PARKED),
            Step::Refused => Err(self.refusal()),
            Step::Try | Step::Away => away::park(self, direction, None, cx.waker()),
        };
        self.note_parked(direction, parked)
    }

    /// Waits until the direction is ready, for `poll_readable` and `poll_writable`.
    ///
    /// Asks the kernel (one `poll(2)`): readiness from before counts only if it still holds. Parks the waker in the direction's
    /// one place otherwise.
    ///
    /// # Errors
    ///
    /// The kernel's for the descriptor, the backend's for the interest.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed. The waker stays as with `poll_io`.
    pub fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if current::spend(cx).is_pending() {
            return Poll::Pending;
        }
        if !sys::poll::poll_number(self.fd, direction.asked())?.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.park(direction, cx).map(Err)
    }

    /// Waits until the direction is ready, for any number of futures at once.
    ///
    /// # Errors
    ///
    /// As [`poll_ready`](Source::poll_ready).
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it was ready must call [`cancel_waiter`](Source::cancel_waiter).
    pub fn poll_waiter(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        waiter: &mut Waiter,
    ) -> Poll<io::Result<()>> {
        if current::spend(cx).is_pending() {
            return Poll::Pending;
        }
        if !sys::poll::poll_number(self.fd, direction.asked())?.is_empty() {
            self.cancel_waiter(waiter);
            return Poll::Ready(Ok(()));
        }
        if waiter.id == 0 {
            waiter.id = away::next_id();
        }
        let id = waiter.id;
        let waiting = Waiting {
            id,
            direction,
            waker: cx.waker().clone(),
        };
        let parked = self.at_home(|engine, index| {
            if let Some(slot) = engine.lane.slot(index, self.key) {
                slot.clear(direction);
            }
            engine.lane_wait(index, waiting)
        });
        let parked = match parked {
            Some(true) => Ok(PARKED),
            Some(false) => Err(self.refusal()),
            None => away::park(self, direction, Some(id), cx.waker()),
        };
        self.note_parked(direction, parked).map(Err)
    }

    /// Remembers how a waker was parked, or passes on why it cannot be.
    #[inline]
    fn note_parked(&self, direction: Direction, parked: io::Result<u8>) -> Poll<io::Error> {
        // Only now: the move away from a home looks at who had parked there before.
        let (state, poll) = match parked {
            Ok(state) => (state, Poll::Pending),
            Err(error) => (TRY, Poll::Ready(error)),
        };
        self.state[direction as usize].store(state, Ordering::Relaxed);
        poll
    }

    /// Forgets a waiter. Costs nothing if it never waited.
    pub fn cancel_waiter(&self, waiter: &mut Waiter) {
        let id = std::mem::take(&mut waiter.id);
        if id == 0 {
            return;
        }
        match self.at_home(|engine, index| engine.lane_cancel(index, id)) {
            Some(waker) => drop(waker),
            None => away::cancel(self, id),
        }
    }

    /// Has the kernel forget the descriptor until somebody waits for it again; from any thread.
    ///
    /// Those who wait now are woken, and wait anew if they still want to: registered by that, as on another base. Until then
    /// what happens to the descriptor wakes nobody, this base included.
    pub fn rest(&self) {
        let rested = self.at_home(|engine, index| engine.lane_remove(index, true));
        if rested.is_none() {
            // What ends a registration from away wakes, so that a source that moved is looked for.
            away::release(self);
        }
    }

    /// Ends the registration. Called before the descriptor is closed or given away; a second call does nothing.
    pub fn release(&self) {
        let discarded = self.at_home(|engine, index| {
            engine.lane_remove(index, false);
            std::mem::take(&mut engine.discarded)
        });
        match discarded {
            Some(wakers) => drop_all(wakers),
            None => away::release(self),
        }
    }
}

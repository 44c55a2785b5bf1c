//! What a thread runs: its default base, the loops it is inside, and the budget of the task being polled.
//!
//! This is what an executor is made with. The smallest one:
//!
//! ```
//! use levent_reactor::{Remote, Wait, current, lane::Alarm};
//! use std::future::{Future, poll_fn};
//! use std::task::{Context, Poll, Wake};
//! use std::{pin::pin, sync::Arc, time::{Duration, Instant}};
//!
//! /// A wake ends the base's sleep, or makes its next one not happen.
//! struct Notifying(Remote);
//!
//! impl Wake for Notifying {
//!     fn wake(self: Arc<Self>) {
//!         self.0.notify();
//!     }
//! }
//!
//! fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
//!     let mut future = pin!(future);
//!     let entered = current::enter()?; // from here on sources and alarms wait at this thread's base
//!     let waker = Arc::new(Notifying(entered.base()?.remote())).into();
//!     loop {
//!         current::refill(128); // so many operations, then it is the others' turn
//!         if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
//!             return Ok(output);
//!         }
//!         entered.turn(Wait::Block)?;
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let deadline = Instant::now() + Duration::from_millis(1);
//! let mut alarm = Alarm::new();
//! block_on(poll_fn(|cx| alarm.poll_at(deadline, cx)))?;
//! assert!(Instant::now() >= deadline && !current::is_inside());
//! block_on(async {
//!     for _ in 0..1000 {
//!         poll_fn(current::spend).await; // more than one poll may do: the task is woken, and goes on
//!     }
//! })?;
//! # Ok(()) }
//! ```

mod stack;
mod time;

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use crate::base::{Base, Entered};
use crate::clock::Clock;
use crate::config::Config;
use crate::lane::Priority;

pub use stack::is_inside;
pub(crate) use stack::{
    Entry, enter_lazily, enter_with, is_innermost, lease, leave, runs, take, with, with_base,
    with_innermost, with_outer,
};
pub use time::now;

thread_local! {
    /// Made when first needed.
    static BASE: RefCell<Option<Base>> = const { RefCell::new(None) };
    /// Leaf operations left for the current poll. It stands apart from the engine so that counting costs next to nothing.
    static BUDGET: Cell<u32> = const { Cell::new(UNLIMITED) };
}

thread_local! {
    /// How often an operation was refused since the last relief.
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// More than what one poll asks for in vain: a task that waits for so many things at once is rare, and gets no more than one relief too many.
const PATIENCE: u32 = 10_000;
/// As much as a poll has by default.
const RELIEF: u32 = 128;

/// Outside a loop. It is counted down all the same, which is cheaper than to ask.
const UNLIMITED: u32 = u32::MAX;

thread_local! {
    /// The turn that this thread is in: the thread's number above, a count below. Tells a report that came before a transfer from
    /// one that came after it; turns of different threads do not compare.
    static TURN: Cell<u64> = const { Cell::new(0) };
}

thread_local! {
    /// Of the wakers that are being woken.
    static PRIORITY: Cell<Priority> = const { Cell::new(Priority::Normal) };
}

/// How urgent is what the reactor is waking somebody for, on this thread? Executors ask when a task is woken; outside of such wakes it is
/// [`Priority::Normal`].
#[inline]
#[must_use]
pub fn priority() -> Priority {
    PRIORITY.get()
}

/// Makes `priority` what [`priority`] answers while `f` runs, which does not panic.
pub(crate) fn with_priority<R>(priority: Priority, f: impl FnOnce() -> R) -> R {
    let before = PRIORITY.replace(priority);
    let result = f();
    PRIORITY.set(before);
    result
}

/// How many bits of a turn count.
const COUNT_BITS: u32 = 40;

/// The turn that this thread is in.
#[inline]
pub(crate) fn turn() -> u64 {
    TURN.get()
}

/// Begins a turn.
#[inline]
pub(crate) fn next_turn() -> u64 {
    let turn = TURN.get();
    let turn = if turn == 0 { first_turn() } else { turn + 1 };
    TURN.set(turn);
    turn
}

#[cold]
fn first_turn() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only uniqueness counts.
    // Every second number: so the counts of two threads differ by more than a count can.
    THREADS.fetch_add(1, Ordering::Relaxed) << (COUNT_BITS + 1) | 1
}

/// Did `report` come before `transfer`, surely?
#[inline]
pub(crate) fn is_before(report: u64, transfer: u64) -> bool {
    // A turn begins with its reports, and transfers are made in the rest of it: so in the same turn, or a few later. Of turns of
    // two threads the difference is greater, whichever way it is taken.
    transfer.wrapping_sub(report) >> COUNT_BITS == 0
}

/// This thread's default base, made at the first call.
///
/// # Errors
///
/// What making a base may answer: out of descriptors, no backend allowed. `Unsupported` while the thread is ending.
pub fn base() -> io::Result<Base> {
    BASE.try_with(|base| {
        let mut base = base.borrow_mut();
        match &*base {
            Some(base) => Ok(base.clone()),
            None => Ok(base.insert(Base::new()?).clone()),
        }
    })
    .unwrap_or_else(|_| Err(ending()))
}

/// Makes this thread's default base as `config` says. Call it first thing on the thread: futures, tasks and signals use the default base.
///
/// ```
/// use levent_reactor::{Config, current};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// current::init(&Config::new().busy_poll(Duration::from_micros(20)))?;
/// assert!(current::init(&Config::new()).is_err());
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// `AlreadyExists` if there is one, and then that stays; else as [`base`].
pub fn init(config: &Config) -> io::Result<Base> {
    BASE.try_with(|base| {
        let mut base = base.borrow_mut();
        if base.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the thread has its default base already: configure it before anything waits on this thread",
            ));
        }
        let made = base.insert(Base::with_config(config)?).clone();
        drop(time::replace(config.own_clock()));
        Ok(made)
    })
    .unwrap_or_else(|_| Err(ending()))
}

/// Gives this thread another default base, made as `config` says, until the result is dropped: a test has one of its own, with a clock of its own, and leaves
/// the thread as it was.
///
/// Sources and alarms that were made before stay where they are.
///
/// ```
/// use levent_reactor::{Clock, Config, current};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let (clock, _hand) = Clock::jumping(Duration::ZERO);
/// let before = current::base()?;
/// let replaced = current::replace(&Config::new().clock(clock))?;
/// assert_eq!(replaced.base().now(), Duration::ZERO);
/// drop(replaced);
/// assert_eq!(current::base()?.method(), before.method());
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// `ResourceBusy` inside a loop of this thread; else as [`base`].
pub fn replace(config: &Config) -> io::Result<Replaced> {
    if is_inside() {
        return Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "the thread is inside a loop, whose base cannot be replaced: do it before `block_on`",
        ));
    }
    let base = Base::with_config(config)?;
    let before = BASE
        .try_with(|cell| cell.replace(Some(base.clone())))
        .map_err(|_| ending())?;
    Ok(Replaced {
        base,
        before,
        clock: time::replace(config.own_clock()),
    })
}

/// What [`replace`] has put in the place of the thread's default base; dropping it puts that back.
#[derive(Debug)]
pub struct Replaced {
    base: Base,
    before: Option<Base>,
    clock: Option<Clock>,
}

impl Replaced {
    /// The base that is the thread's default one now.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        drop(time::replace(self.clock.take()));
        let before = self.before.take();
        // While the thread ends there is nothing to put back. What is taken out is dropped when nothing is borrowed.
        let ours = BASE.try_with(|cell| cell.replace(before));
        drop(ours);
    }
}

fn ending() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "the thread is ending: it has no base any more",
    )
}

/// Enters a loop over this thread's default base, made and leased only when something needs it.
///
/// While the result lives, sources and alarms polled on this thread wait at this base. Entries nest.
///
/// # Errors
///
/// `ResourceBusy` inside an event callback of that base: its loop is running below and cannot run again (LOOP-12).
pub fn enter() -> io::Result<Entered> {
    Entered::lazy()
}

/// Counts one leaf operation against the budget of the current poll. When it is spent, wakes the task and answers `Pending`.
///
/// Leaf futures of other crates may call it too; sources and alarms do. Without a budget nothing is counted.
#[inline]
pub fn spend(cx: &mut Context<'_>) -> Poll<()> {
    let left = BUDGET.get();
    if left == 0 && is_spent() {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    BUDGET.set(BUDGET.get() - 1);
    Poll::Ready(())
}

/// How many operations has the current poll left? With none, a leaf future's `Pending` may mean no more than that.
#[inline]
#[must_use]
pub fn budget_left() -> u32 {
    BUDGET.get()
}

/// The count has come down to zero. Outside a loop nobody refills it, and nothing is to be bounded: it starts again.
///
/// Inside, the poll has to come to its end for others to have their turn. What is polled within it by a waker of its own, at once and again whenever that is
/// woken (a foreign `block_on` in a task, for example), would be told so for ever: after a long time it is given some more.
#[cold]
fn is_spent() -> bool {
    if !is_inside() {
        BUDGET.set(UNLIMITED);
        return false;
    }
    let refused = REFUSED.get() + 1;
    if refused < PATIENCE {
        REFUSED.set(refused);
        return true;
    }
    REFUSED.set(0);
    BUDGET.set(RELIEF);
    false
}

/// Gives the poll that follows a budget of this many leaf operations. Executors call it before they poll a task.
#[inline]
pub fn refill(operations: u32) {
    BUDGET.set(operations);
}

/// Ends the counting: the thread has left its loop.
pub(crate) fn lift_budget() {
    BUDGET.set(UNLIMITED);
}

/// The number of this thread's default base, if it has been made.
fn default_id() -> Option<u32> {
    BASE.try_with(|base| base.borrow().as_ref().map(|base| base.local.id))
        .ok()
        .flatten()
}

/// Is a callback of this thread's default base running?
pub(crate) fn default_is_in_callback() -> bool {
    BASE.try_with(|base| {
        base.try_borrow()
            .is_ok_and(|base| base.as_ref().is_some_and(Base::is_in_callback))
    })
    .unwrap_or(false)
}

/// Has the thread dropped its default base already, since it is ending?
pub(crate) fn is_ending() -> bool {
    BASE.try_with(|_| ()).is_err()
}

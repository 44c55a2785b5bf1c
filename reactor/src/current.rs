//! What a thread runs: its default base, the engine it has leased, and the budget of the task being polled.
//!
//! ```text
//! thread ──▶ CURRENT: the engine of the innermost loop (this is what the lane touches)
//!        ├─▶ OUTER:   engines of the loops around it, blocked until it ends
//!        └─▶ BASE:    the default base, made when first needed
//! ```
//!
//! Entering a loop costs nothing until something needs the engine: a future that never waits leaves the base alone. So an
//! entered thread may have no engine yet ("intent"); the first turn, or the first operation of the lane, leases it.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use crate::base::{Base, Entered};
use crate::engine::Engine;

/// What the innermost loop of a thread has.
enum Top {
    /// There is no loop.
    Nothing,
    /// The loop is over the default base, whose engine nothing has needed yet.
    Intent,
    /// The leased engine.
    Engine(Box<Engine>),
    /// A loop over the same base was entered further in, and has the engine (the base of this number) until it is left.
    Lent(u32),
    /// The loop was left before those inside it.
    Left,
}

impl Top {
    fn is_engine(&self, id: u32) -> bool {
        matches!(self, Top::Engine(engine) if engine.id == id)
    }
}

thread_local! {
    /// This and `OUTER` have no destructors, so that they are there as long as the thread is: a base or an event may be dropped by the destructor of
    /// another thread-local. Nothing is lost by that: leaving a loop empties them.
    static CURRENT: RefCell<ManuallyDrop<Top>> = const { RefCell::new(ManuallyDrop::new(Top::Nothing)) };
    /// The loops around the innermost, outermost first. Never holds `Top::Nothing`, and is empty while `CURRENT` is that, which
    /// in turn is never `Lent` or `Left`.
    static OUTER: RefCell<ManuallyDrop<Vec<Top>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
    static BASE: RefCell<Option<Base>> = const { RefCell::new(None) };
    /// Leaf operations left for the current poll. It stands apart from the engine so that counting costs next to nothing.
    static BUDGET: Cell<u32> = const { Cell::new(UNLIMITED) };
}

/// Outside a loop. It is counted down all the same, which is cheaper than to ask.
const UNLIMITED: u32 = u32::MAX;

thread_local! {
    /// The turn that this thread is in: the thread's number above, a count below. Tells a report that came before a transfer from
    /// one that came after it; turns of different threads do not compare.
    static TURN: Cell<u64> = const { Cell::new(0) };
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
    .unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the thread is ending: it has no base any more",
        ))
    })
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

/// Is this thread inside one of our loops?
#[must_use]
pub fn is_inside() -> bool {
    // Borrowed means that something of ours is at work on the engine: inside, then.
    CURRENT
        .try_with(|current| {
            current
                .try_borrow()
                .map_or(true, |top| !matches!(**top, Top::Nothing))
        })
        .unwrap_or(false)
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

/// The count has come down to zero. Outside a loop nobody refills it, and nothing is to be bounded: it starts again.
#[cold]
fn is_spent() -> bool {
    let is_inside = is_inside();
    if !is_inside {
        BUDGET.set(UNLIMITED);
    }
    is_inside
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

/// Acts on the engine of the innermost loop. `None` if this thread is inside no loop, or the engine is in use further up the
/// stack (a waker's `clone` that comes back to us): then the caller takes the way from away, which is always right.
/// `f` must not run foreign code.
#[inline(always)]
pub(crate) fn with<R>(f: impl FnOnce(&mut Engine) -> R) -> Option<R> {
    CURRENT
        .try_with(
            #[inline(always)]
            |current| {
                if let Top::Engine(engine) = &mut **current.try_borrow_mut().ok()? {
                    return Some(f(engine));
                }
                with_intended(current, f)
            },
        )
        .ok()
        .flatten()
}

/// As [`with`], where no engine is at hand: leases it first, if the thread means to.
#[cold]
#[inline(never)]
fn with_intended<R>(
    current: &RefCell<ManuallyDrop<Top>>,
    f: impl FnOnce(&mut Engine) -> R,
) -> Option<R> {
    lease_intended(current)?;
    match &mut **current.try_borrow_mut().ok()? {
        Top::Engine(engine) => Some(f(engine)),
        _ => None,
    }
}

/// Takes the engine of a base for a new innermost loop: from rest, or from a loop further out on this thread.
pub(crate) fn take(base: &Base) -> Option<Box<Engine>> {
    let shared = base.shared();
    shared.lease().or_else(|| borrow_outer(shared.id))
}

fn borrow_outer(id: u32) -> Option<Box<Engine>> {
    OUTER.with(|outer| {
        let mut outer = outer.borrow_mut();
        let place = outer.iter_mut().find(|top| top.is_engine(id))?;
        match std::mem::replace(place, Top::Lent(id)) {
            Top::Engine(engine) => Some(engine),
            _ => None,
        }
    })
}

/// Leases the default base's engine if the thread has entered without it.
#[cold]
fn lease_intended(current: &RefCell<ManuallyDrop<Top>>) -> Option<()> {
    if !matches!(**current.borrow(), Top::Intent) {
        return None;
    }
    let base = base().ok()?;
    let engine = take(&base)?;
    *current.borrow_mut() = ManuallyDrop::new(Top::Engine(engine));
    Some(())
}

/// Makes sure that the innermost loop has its engine.
pub(crate) fn lease() -> io::Result<()> {
    if with(|_| ()).is_some() {
        return Ok(());
    }
    // Making the base is what can fail; ask again for the reason.
    base()?;
    Err(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the thread's base is being run elsewhere",
    ))
}

/// Acts on the engine of one base, wherever this thread has it: in the innermost loop, in an outer one, or at rest.
#[inline]
pub(crate) fn with_base<R>(base: &Base, f: impl FnOnce(&mut Engine) -> R) -> Option<R> {
    match with_innermost(base, f) {
        Ok(result) => Some(result),
        Err(f) => with_base_elsewhere(base, f),
    }
}

/// Acts on the engine of one base if its loop is the thread's innermost; gives `f` back if not.
#[inline]
pub(crate) fn with_innermost<R, F: FnOnce(&mut Engine) -> R>(base: &Base, f: F) -> Result<R, F> {
    let id = base.local.id;
    CURRENT.with(move |current| {
        if let Ok(mut current) = current.try_borrow_mut() {
            if let Top::Engine(engine) = &mut **current {
                if engine.id == id {
                    return Ok(f(engine));
                }
            }
        }
        Err(f)
    })
}

#[cold]
fn with_base_elsewhere<R, F: FnOnce(&mut Engine) -> R>(base: &Base, f: F) -> Option<R> {
    let mut f = Some(f);
    with_outer(base.shared().id, &mut f).or_else(|| base.shared().at_rest(f?))
}

/// Acts on the engine of an outer loop of this thread.
pub(crate) fn with_outer<R, F: FnOnce(&mut Engine) -> R>(id: u32, f: &mut Option<F>) -> Option<R> {
    OUTER
        .try_with(|outer| {
            outer
                .try_borrow_mut()
                .ok()?
                .iter_mut()
                .find_map(|top| match top {
                    Top::Engine(engine) if engine.id == id => Some(f.take()?(engine)),
                    _ => None,
                })
        })
        .ok()
        .flatten()
}

/// How a thread entered a loop, so that leaving undoes just that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// The same base's loop was the innermost already.
    Same,
    /// A loop of its own, the n-th on the stack.
    Own(usize),
}

/// Enters with intent: the default base becomes the innermost, without its engine.
pub(crate) fn enter_lazily() -> Entry {
    // The default base may not exist yet; then no engine can be its own.
    let id = BASE
        .try_with(|base| base.borrow().as_ref().map(|base| base.shared().id))
        .ok()
        .flatten();
    let same = CURRENT.with(|current| match &**current.borrow() {
        Top::Engine(engine) => Some(engine.id) == id,
        Top::Intent => true,
        _ => false,
    });
    if same { Entry::Same } else { push(Top::Intent) }
}

/// Enters with an engine at hand.
pub(crate) fn enter_with(engine: Box<Engine>) -> Entry {
    push(Top::Engine(engine))
}

/// Sets what is innermost and returns what was.
fn replace(top: Top) -> Top {
    ManuallyDrop::into_inner(CURRENT.with(|current| current.replace(ManuallyDrop::new(top))))
}

fn push(top: Top) -> Entry {
    let before = replace(top);
    OUTER.with(|outer| {
        let mut outer = outer.borrow_mut();
        if !matches!(before, Top::Nothing) {
            outer.push(before);
        }
        Entry::Own(outer.len())
    })
}

/// Undoes an entry and returns the engine to be put to rest, if one was leased.
pub(crate) fn leave(entry: Entry) -> Option<Box<Engine>> {
    let Entry::Own(place) = entry else {
        return None;
    };
    let left = OUTER.with(|outer| {
        let mut outer = outer.borrow_mut();
        match outer.get_mut(place) {
            // Not the innermost: those inside it stay where they are.
            Some(top) => std::mem::replace(top, Top::Left),
            None => replace(pop(&mut outer)),
        }
    });
    match left {
        Top::Engine(engine) => give_back(engine),
        _ => None,
    }
}

/// The next loop further out that has not been left.
fn pop(outer: &mut ManuallyDrop<Vec<Top>>) -> Top {
    let top = loop {
        match outer.pop() {
            Some(Top::Left) => {}
            Some(top) => break top,
            None => break Top::Nothing,
        }
    };
    if outer.is_empty() {
        // Its memory goes back: nobody else will free it.
        drop(std::mem::take(&mut **outer));
    }
    top
}

/// Gives an engine back to the loop that it was borrowed from, if it was.
fn give_back(engine: Box<Engine>) -> Option<Box<Engine>> {
    let id = engine.id;
    let lender = |top: &Top| matches!(top, Top::Lent(other) if *other == id);
    if CURRENT.with(|current| lender(&current.borrow())) {
        replace(Top::Engine(engine));
        return None;
    }
    OUTER.with(|outer| {
        let mut outer = outer.borrow_mut();
        match outer.iter_mut().find(|top| lender(top)) {
            Some(top) => {
                *top = Top::Engine(engine);
                None
            }
            None => Some(engine),
        }
    })
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

/// Is this thread inside a loop over the base of this number?
pub(crate) fn runs(id: u32) -> bool {
    let default = BASE
        .try_with(|base| base.borrow().as_ref().map(|base| base.local.id))
        .ok()
        .flatten();
    let is_it = |top: &Top| match top {
        Top::Engine(engine) => engine.id == id,
        Top::Lent(other) => *other == id,
        Top::Intent => default == Some(id),
        Top::Nothing | Top::Left => false,
    };
    // Borrowed means that something of ours is at work on the innermost engine, which calls nobody who could ask.
    CURRENT.with(|current| current.try_borrow().is_ok_and(|top| is_it(&top)))
        || OUTER.with(|outer| {
            outer
                .try_borrow()
                .is_ok_and(|outer| outer.iter().any(is_it))
        })
}

/// Is this base's loop the innermost of the thread, with its engine leased?
pub(crate) fn is_innermost(id: u32) -> bool {
    CURRENT.with(|current| current.borrow().is_engine(id))
}

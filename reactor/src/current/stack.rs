//! The loops that a thread is inside, and their engines.
//!
//! ```text
//! thread ──▶ ENGINE: the engine of the innermost loop (this is what the lane touches)
//!        └─▶ OUTER:  the loops around it, blocked until it ends
//! ```
//!
//! Entering a loop costs nothing until something needs the engine: a future that never waits leaves the base alone. So an
//! entered thread may have no engine yet ("intent"); the first turn, or the first operation of the lane, leases it.
//!
//! Invariants
//! 1. `ENGINE` is `Some` exactly while `STATE` is `Leased` and nobody has the engine in hand ([`InHand`]).
//! 2. None of the thread-locals has a destructor, so that they are there as long as the thread is: a base or an event may be dropped by the
//!    destructor of another one. Nothing is lost by that: leaving a loop empties them.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;

use super::{base, default_id};
use crate::base::Base;
use crate::engine::Engine;

/// What the innermost loop of a thread has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no loop.
    Outside,
    /// The loop is over the default base, whose engine nothing has needed yet.
    Intent,
    /// An engine, in its place or in hand.
    Leased,
}

/// What a loop further out has.
enum Outer {
    Intent,
    Engine(Box<Engine>),
    /// Somebody had the engine in hand when the loop inside was entered (a waker's `clone` that enters a loop), and puts it
    /// back where it was.
    Held,
    /// A loop over the same base was entered further in, and has the engine (the base of this number) until it is left.
    Lent(u32),
    /// The loop was left before those inside it.
    Left,
}

impl Outer {
    fn is_engine(&self, id: u32) -> bool {
        matches!(self, Outer::Engine(engine) if engine.id == id)
    }
}

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::Outside) };
    static ENGINE: Cell<ManuallyDrop<Option<Box<Engine>>>> = const { Cell::new(ManuallyDrop::new(None)) };
    /// Outermost first; empty outside all loops.
    static OUTER: RefCell<ManuallyDrop<Vec<Outer>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// The engine out of its place; dropped, also by a panic, it goes back. Whoever asks for it meanwhile finds none.
struct InHand(Option<Box<Engine>>);

impl InHand {
    #[inline(always)]
    fn take() -> Option<InHand> {
        let engine = ManuallyDrop::into_inner(ENGINE.take());
        engine.map(|engine| InHand(Some(engine)))
    }

    #[inline(always)]
    fn engine(&mut self) -> &mut Engine {
        self.0.as_mut().expect("in hand until dropped")
    }
}

impl Drop for InHand {
    #[inline(always)]
    fn drop(&mut self) {
        ENGINE.set(ManuallyDrop::new(self.0.take()));
    }
}

/// Is this thread inside one of our loops?
#[must_use]
pub fn is_inside() -> bool {
    STATE.get() != State::Outside
}

/// Acts on the engine of the innermost loop. `None` if this thread is inside no loop, or the engine is in use further up the
/// stack (a waker's `clone` that comes back to us): then the caller takes the way from away, which is always right.
/// `f` must not run foreign code.
#[inline(always)]
pub(crate) fn with<R>(f: impl FnOnce(&mut Engine) -> R) -> Option<R> {
    // `f` is in one place only, so that it is inlined there, and nothing of it is put into memory for the rare case.
    let mut hand = match InHand::take() {
        Some(hand) => hand,
        None => intended()?,
    };
    Some(f(hand.engine()))
}

/// No engine is at hand: leases it first, if the thread means to.
#[cold]
#[inline(never)]
fn intended() -> Option<InHand> {
    if STATE.get() != State::Intent {
        return None;
    }
    let engine = take(&base().ok()?)?;
    install(Outer::Engine(engine));
    InHand::take()
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

/// Takes the engine of a base for a new innermost loop: from rest, or from a loop further out on this thread.
pub(crate) fn take(base: &Base) -> Option<Box<Engine>> {
    let shared = base.shared();
    shared.lease().or_else(|| borrow_outer(shared.id))
}

fn borrow_outer(id: u32) -> Option<Box<Engine>> {
    OUTER.with(|outer| {
        let mut outer = outer.borrow_mut();
        let place = outer.iter_mut().find(|outer| outer.is_engine(id))?;
        match std::mem::replace(place, Outer::Lent(id)) {
            Outer::Engine(engine) => Some(engine),
            _ => None,
        }
    })
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
#[inline(always)]
pub(crate) fn with_innermost<R, F: FnOnce(&mut Engine) -> R>(base: &Base, f: F) -> Result<R, F> {
    if let Some(mut hand) = InHand::take() {
        let engine = hand.engine();
        if engine.id == base.local.id {
            return Ok(f(engine));
        }
    }
    Err(f)
}

#[cold]
fn with_base_elsewhere<R, F: FnOnce(&mut Engine) -> R>(base: &Base, f: F) -> Option<R> {
    let mut f = Some(f);
    with_outer(base.shared().id, &mut f).or_else(|| base.shared().at_rest(f?))
}

/// Acts on the engine of an outer loop of this thread.
pub(crate) fn with_outer<R, F: FnOnce(&mut Engine) -> R>(id: u32, f: &mut Option<F>) -> Option<R> {
    OUTER.with(|outer| {
        let mut outer = outer.try_borrow_mut().ok()?;
        outer.iter_mut().find_map(|outer| match outer {
            Outer::Engine(engine) if engine.id == id => Some(f.take()?(engine)),
            _ => None,
        })
    })
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
    let is_same = match STATE.get() {
        State::Outside => false,
        State::Intent => true,
        State::Leased => default_id().is_some_and(is_innermost),
    };
    if is_same {
        Entry::Same
    } else {
        push(Outer::Intent)
    }
}

/// Enters with an engine at hand.
pub(crate) fn enter_with(engine: Box<Engine>) -> Entry {
    push(Outer::Engine(engine))
}

/// Is this base's loop the innermost of the thread, with its engine leased?
pub(crate) fn is_innermost(id: u32) -> bool {
    InHand::take().is_some_and(|mut hand| hand.engine().id == id)
}

/// Is this thread inside a loop over the base of this number?
pub(crate) fn runs(id: u32) -> bool {
    let is_default = || default_id() == Some(id);
    let is_it = |outer: &Outer| match outer {
        Outer::Engine(engine) => engine.id == id,
        Outer::Lent(other) => *other == id,
        Outer::Intent => is_default(),
        Outer::Held | Outer::Left => false,
    };
    is_innermost(id)
        || STATE.get() == State::Intent && is_default()
        || OUTER.with(|outer| outer.borrow().iter().any(is_it))
}

/// Makes a loop the innermost.
fn install(top: Outer) {
    let (state, engine) = match top {
        Outer::Intent => (State::Intent, None),
        Outer::Engine(engine) => (State::Leased, Some(engine)),
        // Its engine comes back before anybody asks: whoever holds it puts it here.
        Outer::Held | Outer::Lent(_) | Outer::Left => (State::Leased, None),
    };
    STATE.set(state);
    ENGINE.set(ManuallyDrop::new(engine));
}

/// Takes the innermost loop away; `None` outside all loops.
fn uninstall() -> Option<Outer> {
    let engine = ManuallyDrop::into_inner(ENGINE.take());
    match (STATE.replace(State::Outside), engine) {
        (State::Outside, _) => None,
        (State::Intent, _) => Some(Outer::Intent),
        (State::Leased, Some(engine)) => Some(Outer::Engine(engine)),
        (State::Leased, None) => Some(Outer::Held),
    }
}

fn push(top: Outer) -> Entry {
    let before = uninstall();
    install(top);
    OUTER.with(|outer| {
        let mut outer = outer.borrow_mut();
        outer.extend(before);
        Entry::Own(outer.len())
    })
}

/// Undoes an entry and returns the engine to be put to rest, if one was leased.
pub(crate) fn leave(entry: Entry) -> Option<Box<Engine>> {
    let Entry::Own(place) = entry else {
        return None;
    };
    OUTER.with(|outer| {
        let mut outer = outer.borrow_mut();
        let left = match outer.get_mut(place) {
            // Not the innermost: those inside it stay where they are.
            Some(middle) => Some(std::mem::replace(middle, Outer::Left)),
            None => {
                let left = uninstall();
                // The innermost is for a moment the last of the outer ones, so that one search finds every lender.
                while let Some(Outer::Left) = outer.last() {
                    outer.pop();
                }
                left
            }
        };
        let engine = match left {
            Some(Outer::Engine(engine)) => give_back(engine, &mut outer),
            _ => None,
        };
        if STATE.get() == State::Outside {
            if let Some(next) = outer.pop() {
                install(next);
            }
        }
        if outer.is_empty() {
            // Its memory goes back: nobody else will free it.
            drop(std::mem::take(&mut **outer));
        }
        engine
    })
}

/// Gives an engine back to the loop that it was borrowed from, if it was.
fn give_back(engine: Box<Engine>, outer: &mut [Outer]) -> Option<Box<Engine>> {
    let is_lender = |outer: &&mut Outer| matches!(outer, Outer::Lent(id) if *id == engine.id);
    match outer.iter_mut().find(is_lender) {
        Some(lender) => {
            *lender = Outer::Engine(engine);
            None
        }
        None => Some(engine),
    }
}

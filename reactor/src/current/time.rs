//! The time of the thread: the system's, or that of its default base where that has a clock of its own.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use super::is_inside;
use crate::clock::Clock;

thread_local! {
    /// Is there a clock? Without a destructor, and one load for all who have none.
    static HAS_CLOCK: Cell<bool> = const { Cell::new(false) };
    static CLOCK: RefCell<Option<Clock>> = const { RefCell::new(None) };
}

/// The time by which deadlines on this thread are judged: the system's monotonic clock, unless the thread's default base was made with another
/// ([`init`](super::init), [`replace`](super::replace)) and the thread is inside a loop.
///
/// Timers take their start from here. Code that measures with it instead of [`Instant::now`] can be tested in virtual time.
///
/// # Examples
///
/// ```
/// use std::time::Instant;
///
/// assert!(levent_reactor::current::now() <= Instant::now());
/// ```
#[inline]
#[must_use]
pub fn now() -> Instant {
    match HAS_CLOCK.get() {
        false => Instant::now(),
        true => own_now(),
    }
}

#[cold]
fn own_now() -> Instant {
    // Outside of our loops the background base waits, by the system's clock.
    if !is_inside() {
        return Instant::now();
    }
    let now = CLOCK.try_with(|clock| {
        let clock = clock.borrow();
        clock.as_ref().and_then(|clock| clock.instant(clock.now()))
    });
    now.ok().flatten().unwrap_or_else(Instant::now)
}

/// Changes the clock; returns the one before.
pub(super) fn replace(clock: Option<Clock>) -> Option<Clock> {
    HAS_CLOCK.set(clock.is_some());
    CLOCK.try_with(|cell| cell.replace(clock)).ok().flatten()
}

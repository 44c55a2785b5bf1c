//! How much runs before the reactor gets its turn.
//!
//! Both numbers are counts, not times, because a look at the clock costs as much as a short poll.

use std::cell::Cell;

use levent_reactor::current;

thread_local! {
    // Const and without a destructor: readable at any time, the thread's teardown included.
    static BUDGET: Cell<Budget> = const { Cell::new(Budget::DEFAULT) };
    static POLLS: Cell<usize> = const { Cell::new(0) };
}

/// The bounds that keep one part of a thread's work from starving the others.
///
/// # Examples
///
/// ```
/// let mut budget = levent_executor::budget();
/// budget.polls_per_turn = 16;
/// levent_executor::set_budget(budget);
/// assert_eq!(levent_executor::budget().operations_per_poll, 128);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Polls of tasks and of the main future between two turns of the reactor. Default 64; zero counts as one.
    ///
    /// A [`LocalExecutor`](crate::LocalExecutor) that runs inside `block_on` may make as many once more before it gives way.
    ///
    /// A poll that made many operations on sockets and timers counts as one more for every four of them, so that some 256 operations pass between two turns.
    ///
    /// A turn that does not sleep costs a system call, some 200 ns: spread over 64 polls that is 3 ns each, next to a poll's
    /// own 50 ns and more. At a few microseconds per poll, a timer is late by a fraction of a millisecond.
    pub polls_per_turn: u32,
    /// Operations on sockets and timers that may succeed within one poll before the task has to yield. Default 128.
    ///
    /// An operation costs a microsecond or a few, so that a task that never runs dry holds the others up for some tenths of a millisecond.
    pub operations_per_poll: u32,
    /// How many polls of more urgent tasks may pass over one that is queued, before it has its turn. Default 32. See
    /// [`Priority`](levent_reactor::lane::Priority).
    ///
    /// Background work gets a thirty-third of the polls that way, however much else there is.
    pub patience: u32,
}

impl Budget {
    const DEFAULT: Budget = Budget {
        polls_per_turn: 64,
        operations_per_poll: 128,
        patience: 32,
    };
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::DEFAULT
    }
}

/// How many operations weigh as much as a poll without any.
const OPERATIONS_PER_POLL: usize = 4;

/// As how many polls the one counts that has just ended, and that began with this budget.
#[inline]
pub(crate) fn weight(operations: u32) -> usize {
    1 + operations.saturating_sub(current::budget_left()) as usize / OPERATIONS_PER_POLL
}

/// The bounds of this thread.
pub fn budget() -> Budget {
    BUDGET.get()
}

/// Sets the bounds of this thread, for every executor on it, from the next turn on.
pub fn set_budget(budget: Budget) {
    BUDGET.set(Budget {
        polls_per_turn: budget.polls_per_turn.max(1),
        ..budget
    });
}

/// Adds to the polls that this thread has made. Every executor of the thread counts here, so that a `LocalExecutor` that
/// runs inside `block_on` does not multiply the bound with its own.
pub(crate) fn count_polls(polls: usize) {
    POLLS.set(POLLS.get().wrapping_add(polls));
}

/// How many polls this thread has made since `polls()` returned `start`.
pub(crate) fn polls_since(start: usize) -> usize {
    POLLS.get().wrapping_sub(start)
}

/// The polls of this thread, to be given to [`polls_since`].
pub(crate) fn polls() -> usize {
    POLLS.get()
}

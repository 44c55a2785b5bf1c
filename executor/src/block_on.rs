//! Running one future on the current thread, and the thread's tasks beside it.
//!
//! ```text
//! poll ── ready: done, no reactor was touched
//!   │
//!   ▼
//! enter the base ──▶ ┌ poll each queued task once, then the future if it was woken; again until the budget is
//!                    │ spent or nothing is runnable
//!                    └ turn: without sleep if something is runnable, else until something happens
//! ```
//!
//! Invariants
//! 1. Each call has a waker of its own, made for it: a wake for one call reaches no other, nor the next.
//! 2. The future is not polled after it was ready.
//! 3. The thread sleeps only if the future was not woken since its last poll, no task is queued, and both a foreign wake of
//!    the future and a foreign wake of a task would unpark it.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use levent_reactor::{Wait, current};
use waker_fn::waker_fn;

use crate::budget::{budget, count_polls, polls, polls_since, weight};
use crate::driver::Bell;
use crate::flags::Flags;
use crate::queue::AtHome;
use crate::sleeper::{OnBase, Sleeper};
use crate::stall;

/// Runs `future` on this thread until it is done, and the thread's spawned tasks beside it.
///
/// The thread sleeps in its base. Neither the future nor its output need be `Send` or `'static`. Calls nest: one inside a
/// task, or inside a future that another `block_on` polls, drives the same base and the same tasks, all but those that it is
/// itself called from. Tasks that are not done when it returns wait for the next call.
///
/// A future that is ready at its first poll touches no reactor.
///
/// # Panics
///
/// With the future's own panic; and if there is no base to sleep on: when it cannot be made, is inside a turn (a callback of an
/// event must not block; spawn instead), or fails.
///
/// # Examples
///
/// ```
/// let name = String::from("levent");
/// let length = levent_executor::block_on(async { name.len() });
/// assert_eq!(length, 6);
/// ```
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    // Entering makes and leases nothing yet; it says where this thread's sources wait.
    let entered = match current::enter() {
        Ok(entered) => entered,
        Err(error) => panic!("block_on: {error}"),
    };
    let call = Call::new();
    match call.start(future.as_mut()) {
        Poll::Ready(output) => output,
        Poll::Pending => call.finish(&OnBase::new(entered), future),
    }
}

/// As [`block_on`](block_on()), asleep on something else than the thread's base.
///
/// It drives the same tasks: those of [`spawn`](crate::spawn). Sources and timers still use the thread's base, or the
/// background one if nobody turns that.
///
/// # Panics
///
/// With the future's own panic, and if [`Sleeper::turn`] fails.
///
/// # Examples
///
/// See [`Sleeper`].
pub fn block_on_with<T>(sleeper: &impl Sleeper, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let call = Call::new();
    match call.start(future.as_mut()) {
        Poll::Ready(output) => output,
        Poll::Pending => call.finish(sleeper, future),
    }
}

/// Is a [`block_on`](block_on()), or a [`run`](crate::run()), of this thread under way, so that tasks of [`spawn`](crate::spawn) are polled?
///
/// For adapters: a library that gives its tasks to whatever thread it is polled on can be told that nobody would poll them there.
///
/// # Examples
///
/// ```
/// use levent_executor::{block_on, in_block_on};
///
/// assert!(!in_block_on());
/// assert!(block_on(async { in_block_on() }));
/// ```
#[must_use]
pub fn in_block_on() -> bool {
    CALLS.get() > 0
}

thread_local! {
    /// The calls that this thread is inside of.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// One call of `block_on`: its waker and what that sets.
struct Call {
    flags: Arc<Flags>,
    waker: Waker,
}

impl Call {
    fn new() -> Call {
        let flags = Arc::new(Flags::new());
        let woken = Arc::clone(&flags);
        CALLS.set(CALLS.get() + 1);
        Call {
            flags,
            waker: waker_fn(move || woken.wake()),
        }
    }

    /// The first poll, before there is anything to sleep on.
    fn start<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        self.poll(future, budget().operations_per_poll)
    }

    /// Polls until the future is ready, with tasks and turns between.
    fn finish<F: Future>(&self, sleeper: &impl Sleeper, mut future: Pin<&mut F>) -> F::Output {
        let queue = crate::default::queue();
        let tasks = queue.at_home();
        let mut bell = Bell::new(tasks);
        let unparker = sleeper.unparker();
        self.flags.attach(unparker.clone());
        loop {
            if let Poll::Ready(output) = self.work(tasks, future.as_mut()) {
                return output;
            }
            let runnable = self.flags.is_woken() || !bell.arm(|| unparker.clone());
            check(match runnable {
                true => sleeper.turn(Wait::Poll),
                false if stall::is_on() => stall::sleep(sleeper, tasks, &self.flags),
                false => sleeper.turn(Wait::Block),
            });
        }
    }

    /// What there is to do between two turns, up to the budget: rounds of one poll of each task that is queued now, and then of
    /// the future if it was woken. The future is left out of no round, however many tasks there are.
    fn work<F: Future>(&self, tasks: AtHome<'_>, mut future: Pin<&mut F>) -> Poll<F::Output> {
        let budget = budget();
        let limit = budget.polls_per_turn as usize;
        let start = polls();
        loop {
            let left = limit.saturating_sub(polls_since(start));
            tasks.run_queued(left, budget.operations_per_poll);
            if self.flags.take() {
                let poll = self.poll(future.as_mut(), budget.operations_per_poll);
                if poll.is_ready() {
                    return poll;
                }
                count_polls(weight(budget.operations_per_poll));
            }
            let is_idle = !tasks.has_work() && !self.flags.is_woken();
            if is_idle || polls_since(start) >= limit {
                break;
            }
        }
        Poll::Pending
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>, operations: u32) -> Poll<F::Output> {
        current::refill(operations);
        future.poll(&mut Context::from_waker(&self.waker))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        CALLS.set(CALLS.get() - 1);
    }
}

/// The loop cannot go on without its sleeper, and the call has no error to return: a panic is what is left.
fn check(turned: io::Result<()>) {
    if let Err(error) = turned {
        panic!("block_on: the reactor failed: {error}");
    }
}

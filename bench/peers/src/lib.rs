//! The in-process tests on futures and tasks, written once for every runtime that is a [`Peer`].
//!
//! They do what `micro-ours t1` and `t2` do: the same counts, the same deadlines, the same sequence of pseudo-random numbers, timers
//! polled with a waker that only counts. What they print has the same names.

mod pinned;
mod tasks;
mod timers;

use std::pin::Pin;
use std::time::Duration;

pub use tasks::tasks;
pub use timers::timers;

/// What a runtime offers to the tests.
pub trait Peer {
    /// Its timer as a future.
    type Timer: Future;
    /// What awaits a task.
    type Task: Future;

    /// A timer that has not been polled.
    fn after(&self, duration: Duration) -> Self::Timer;
    /// Moves the deadline of a timer.
    fn set_after(&self, timer: Pin<&mut Self::Timer>, duration: Duration);
    /// A new task of this thread. It may have to be `Send` for the runtime's sake.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Self::Task;
    /// Lets the other tasks run.
    fn yield_now() -> impl Future<Output = ()> + Send + 'static;
}

/// Reports a test that there is not.
///
/// # Panics
///
/// Always.
pub fn no_test(name: &str) -> ! {
    panic!("no test {name:?}: t1 or t2");
}

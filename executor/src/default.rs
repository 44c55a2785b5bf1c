//! The thread's own executor: the tasks of `spawn`, driven by every `block_on` of the thread.

use std::sync::Arc;

use crate::local::LocalExecutor;
use crate::queue::Queue;
use crate::task::Task;

thread_local! {
    static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
}

/// Spawns a future on this thread's executor.
///
/// It runs while a [`block_on`](crate::block_on()) of this thread does, beside that call's future; it need not be `Send`, and
/// `spawn` may be called anywhere on the thread, before a `block_on` too. What is not done when the `block_on` ends waits
/// for the next one, and is dropped when the thread ends. During the thread's teardown, when the executor is gone, the
/// future is dropped at once and the task is a cancelled one.
///
/// # Examples
///
/// ```
/// use levent_executor::{block_on, spawn};
///
/// let early = spawn(async { 1 });
/// let sum = block_on(async { early.await + spawn(async { 2 }).await });
/// assert_eq!(sum, 3);
/// ```
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let mut future = Some(future);
    let spawned = EXECUTOR.try_with(|executor| future.take().map(|future| executor.spawn(future)));
    match (spawned, future) {
        (Ok(Some(task)), _) => task,
        // An executor that is gone at once cancels as the thread's own would have.
        (_, Some(future)) => LocalExecutor::new().spawn(future),
        (_, None) => unreachable!("the future is taken only to be spawned"),
    }
}

/// The queue of the thread's executor; an idle one during the thread's teardown.
pub(crate) fn queue() -> Arc<Queue> {
    EXECUTOR
        .try_with(|executor| Arc::clone(executor.queue()))
        .unwrap_or_else(|_| Arc::new(Queue::new()))
}

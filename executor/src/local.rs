//! The executor for futures that borrow.

use std::fmt;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use levent_reactor::current;

use crate::budget::budget;
use crate::driver::Driver;
use crate::origin::Origin;
use crate::queue::Queue;
use crate::task::{Task, Tasks};

/// An executor whose tasks stay on its thread and may borrow what outlives it.
///
/// It runs when one of the futures of [`run`](LocalExecutor::run) and [`tick`](LocalExecutor::tick) is polled, by
/// [`block_on`](crate::block_on()), by a task, or by any other executor; or when [`try_tick`](LocalExecutor::try_tick) is
/// called. Any number of these may go on at the same time.
///
/// Dropping it cancels its tasks and drops their futures before it returns. If another thread is just waking a task, it
/// waits for the few instructions that takes.
///
/// # Examples
///
/// ```
/// use levent_executor::{LocalExecutor, block_on};
///
/// let words = vec![String::from("le"), String::from("vent")];
/// let executor = LocalExecutor::new();
/// let length = block_on(executor.run(async {
///     let tasks: Vec<_> = words.iter().map(|word| executor.spawn(async { word.len() })).collect();
///     let mut length = 0;
///     for task in tasks {
///         length += task.await;
///     }
///     length
/// }));
/// assert_eq!(length, 6);
/// ```
pub struct LocalExecutor<'a> {
    tasks: Tasks<'a>,
}

// No borrow and no lock is held while foreign code runs, so a panic finds nothing half done.
impl UnwindSafe for LocalExecutor<'_> {}
impl RefUnwindSafe for LocalExecutor<'_> {}

impl<'a> LocalExecutor<'a> {
    /// Makes an executor. It allocates nothing before its first use.
    pub const fn new() -> LocalExecutor<'a> {
        LocalExecutor {
            tasks: Tasks::new(),
        }
    }

    /// Is there no task that has yet to finish?
    pub fn is_empty(&self) -> bool {
        match self.tasks.existing() {
            Some(queue) => queue.at_home().live() == 0,
            None => true,
        }
    }

    /// Spawns a future. It is first polled when the executor runs.
    #[track_caller]
    pub fn spawn<T: 'a>(&self, future: impl Future<Output = T> + 'a) -> Task<T> {
        self.spawn_at(Origin::here(), future)
    }

    /// The same, from this place.
    pub(crate) fn spawn_at<T: 'a>(
        &self,
        origin: Origin,
        future: impl Future<Output = T> + 'a,
    ) -> Task<T> {
        Task::new(self.tasks.spawn(future, origin))
    }

    /// Spawns every future of an iterator and adds the tasks to `handles`.
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_executor::{LocalExecutor, block_on};
    ///
    /// let executor = LocalExecutor::new();
    /// let mut tasks = Vec::new();
    /// executor.spawn_many((1..=3).map(|n| async move { n * n }), &mut tasks);
    /// let last = block_on(executor.run(async { tasks.pop().expect("three were spawned").await }));
    /// assert_eq!(last, 9);
    /// ```
    #[track_caller]
    pub fn spawn_many<T: 'a, F: Future<Output = T> + 'a>(
        &self,
        futures: impl IntoIterator<Item = F>,
        handles: &mut impl Extend<Task<F::Output>>,
    ) {
        let origin = Origin::here();
        handles.extend(
            futures
                .into_iter()
                .map(|future| self.spawn_at(origin, future)),
        );
    }

    /// Runs one task if one is runnable. False if none is.
    ///
    /// # Examples
    ///
    /// ```
    /// let executor = levent_executor::LocalExecutor::new();
    /// let task = executor.spawn(async {});
    /// assert!(executor.try_tick());
    /// assert!(!executor.try_tick());
    /// assert!(task.is_finished());
    /// ```
    pub fn try_tick(&self) -> bool {
        match self.tasks.existing() {
            Some(queue) => queue.at_home().run_up_to(1, budget().operations_per_poll) > 0,
            None => false,
        }
    }

    /// Runs one task, and waits for one to become runnable if none is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a task that it was woken for is left to the next runner.
    pub async fn tick(&self) {
        let mut driver = Driver::new(self.tasks.queue().at_home());
        poll_fn(|cx| {
            driver.awake();
            // Twice at most: what made `park` refuse is there to be run.
            loop {
                let operations = budget().operations_per_poll;
                if driver.queue().run_up_to(1, operations) > 0 {
                    return Poll::Ready(());
                }
                if driver.park(cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Runs tasks until `future` is done.
    ///
    /// Each poll polls `future`, then up to [`Budget::polls_per_turn`](crate::Budget::polls_per_turn) tasks, and then gives
    /// way to whoever polls it, so that the reactor gets its turn.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`; the tasks stay with the executor.
    pub async fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut driver = Driver::new(self.tasks.queue().at_home());
        poll_fn(|cx| {
            driver.awake();
            let budget = budget();
            current::refill(budget.operations_per_poll);
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            let limit = budget.polls_per_turn as usize;
            driver.queue().run_up_to(limit, budget.operations_per_poll);
            if !driver.park(cx) {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// What `block_on` drives.
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        self.tasks.queue()
    }
}

impl Default for LocalExecutor<'_> {
    fn default() -> Self {
        LocalExecutor::new()
    }
}

impl fmt::Debug for LocalExecutor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.tasks.existing().map(|queue| queue.at_home());
        f.debug_struct("LocalExecutor")
            .field("tasks", &at.map_or(0, |at| at.live()))
            .field("has_work", &at.is_some_and(|at| at.has_work()))
            .finish()
    }
}

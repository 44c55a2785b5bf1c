//! The thread's own executor: the tasks of `spawn`, driven by every `block_on` of the thread.
//!
//! A `run` brings an executor of its own, which stands in its place until the run ends. Runs nest; the innermost counts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::local::LocalExecutor;
use crate::on_panic::OnPanic;
use crate::origin::Origin;
use crate::queue::Queue;
use crate::task::Task;

thread_local! {
    static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
    /// Those of the runs that this thread is inside of, the innermost last; `None` for one that takes no more tasks.
    static RUNS: RefCell<Vec<Option<Rc<LocalExecutor<'static>>>>> = const { RefCell::new(Vec::new()) };
    /// How many there are: without a destructor, and one load for those who have no `run`.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Spawns a future on this thread's executor.
///
/// It runs while a [`block_on`](crate::block_on()) of this thread does, beside that call's future; it need not be `Send`, and
/// `spawn` may be called anywhere on the thread, before a `block_on` too. What is not done when the `block_on` ends waits
/// for the next one, and is dropped when the thread ends. During the thread's teardown, when the executor is gone, the
/// future is dropped at once and the task is a cancelled one.
///
/// Inside a [`run`](crate::run()) the task is the run's, and is gone when that ends.
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
#[track_caller]
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let origin = Origin::here();
    if DEPTH.get() > 0 {
        return spawn_in_run(origin, future);
    }
    let mut future = Some(future);
    let spawned = EXECUTOR.try_with(|executor| {
        let future = future.take();
        future.map(|future| executor.spawn_at(origin, future))
    });
    match (spawned, future) {
        (Ok(Some(task)), _) => task,
        // An executor that is gone at once cancels as the thread's own would have.
        (_, Some(future)) => LocalExecutor::new().spawn(future),
        (_, None) => unreachable!("the future is taken only to be spawned"),
    }
}

#[cold]
fn spawn_in_run<T: 'static>(origin: Origin, future: impl Future<Output = T> + 'static) -> Task<T> {
    match innermost() {
        Some(executor) => executor.spawn_at(origin, future),
        // The run drops its tasks: one that is spawned by a destructor meanwhile is cancelled with them.
        None => LocalExecutor::new().spawn(future),
    }
}

/// Sets what a panic of a detached task means for the tasks of [`spawn`] on this thread; inside a [`run`](crate::run()), for those of the run.
///
/// # Examples
///
/// ```
/// levent_executor::set_on_panic(levent_executor::OnPanic::Abort);
/// ```
pub fn set_on_panic(on_panic: OnPanic) {
    queue().at_home().home().set_on_panic(on_panic);
}

/// The queue of the thread's executor; an idle one during the thread's teardown.
pub(crate) fn queue() -> Arc<Queue> {
    if DEPTH.get() > 0 {
        if let Some(executor) = innermost() {
            return Arc::clone(executor.queue());
        }
    }
    EXECUTOR
        .try_with(|executor| Arc::clone(executor.queue()))
        .unwrap_or_else(|_| Arc::new(Queue::new()))
}

fn innermost() -> Option<Rc<LocalExecutor<'static>>> {
    let runs = RUNS.try_with(|runs| runs.borrow().last().cloned());
    runs.ok().flatten().flatten()
}

/// An executor in the place of the thread's own, from `begin` until it is dropped.
pub(crate) struct Instead(Rc<LocalExecutor<'static>>);

impl Instead {
    pub(crate) fn begin() -> Instead {
        let executor = Rc::new(LocalExecutor::new());
        RUNS.with_borrow_mut(|runs| runs.push(Some(Rc::clone(&executor))));
        DEPTH.set(DEPTH.get() + 1);
        Instead(executor)
    }

    pub(crate) fn executor(&self) -> &LocalExecutor<'static> {
        &self.0
    }

    /// Takes no more tasks, and drops those that there are.
    pub(crate) fn close(&self) {
        RUNS.with_borrow_mut(|runs| {
            if let Some(last) = runs.last_mut() {
                *last = None;
            }
        });
        self.0.queue().at_home().close();
    }
}

impl Drop for Instead {
    fn drop(&mut self) {
        RUNS.with_borrow_mut(|runs| {
            runs.pop();
        });
        DEPTH.set(DEPTH.get() - 1);
    }
}

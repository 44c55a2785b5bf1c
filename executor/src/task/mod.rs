//! The handle of a spawned future.
//!
//! `Task` is a newtype over `async_task::Task`, with its methods, so that the cell behind it can be replaced and a `detach`
//! can be recorded without a change for anybody.

#[allow(unsafe_code)]
mod raw;
mod tracked;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) use raw::{HomeCell, Runnable, Tasks, thread_number};
pub(crate) use tracked::Metadata;

/// A spawned future's handle: a future itself, of the output.
///
/// Dropping it cancels the future; [`detach`](Task::detach) lets it go on alone. It is `Send` if the output is, and may be
/// awaited, cancelled and dropped on any thread: the future is polled and dropped on its own.
///
/// # Panics
///
/// Awaiting panics with the future's own payload if the future panicked, and with a message if it was cancelled because its
/// executor was dropped; [`fallible`](Task::fallible) answers `None` in that second case.
///
/// # Examples
///
/// ```
/// use levent_executor::{block_on, spawn};
///
/// let answer = block_on(async {
///     let task = spawn(async { 6 * 7 });
///     task.await
/// });
/// assert_eq!(answer, 42);
/// ```
#[must_use = "a dropped task is cancelled; use `detach` to let it run on its own"]
pub struct Task<T>(async_task::Task<T, Metadata>);

/// A [`Task`] whose output is `None` if its future was dropped before it was done.
///
/// # Examples
///
/// ```
/// use levent_executor::LocalExecutor;
///
/// let executor = LocalExecutor::new();
/// let task = executor.spawn(async { 1 }).fallible();
/// drop(executor);
/// assert_eq!(futures_lite::future::block_on(task), None);
/// ```
#[must_use = "a dropped task is cancelled; use `detach` to let it run on its own"]
pub struct FallibleTask<T>(async_task::FallibleTask<T, Metadata>);

impl<T> Task<T> {
    pub(crate) fn new(task: async_task::Task<T, Metadata>) -> Task<T> {
        Task(task)
    }

    /// Lets the future run on its own. Its output is dropped where it is produced; what a panic of it means is said by [`OnPanic`](crate::OnPanic).
    pub fn detach(self) {
        self.0.metadata().detach();
        self.0.detach();
    }

    /// Cancels the future and waits until it is dropped. Returns its output if it was done already.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future drops the task: it stays cancelled, only nobody waits for that.
    pub async fn cancel(self) -> Option<T> {
        self.0.cancel().await
    }

    /// Makes the output an `Option`: `None`, rather than a panic, if the executor drops the future.
    pub fn fallible(self) -> FallibleTask<T> {
        FallibleTask(self.0.fallible())
    }

    /// Is the future done or cancelled? It may still have to be dropped.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

impl<T> FallibleTask<T> {
    /// Lets the future run on its own, as [`Task::detach`] does.
    pub fn detach(self) {
        self.0.detach();
    }

    /// Cancels the future and waits until it is dropped. Returns its output if it was done already.
    ///
    /// # Cancel safety
    ///
    /// As [`Task::cancel`].
    pub async fn cancel(self) -> Option<T> {
        self.0.cancel().await
    }

    /// Is the future done or cancelled? It may still have to be dropped.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for FallibleTask<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> fmt::Debug for FallibleTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallibleTask")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

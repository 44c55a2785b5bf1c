//! What a task's cell really holds: the future, its membership in the queue's books, and what all its handles can see.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::origin::Origin;
use crate::queue::{Home, Queue};

/// What the task's handle, its wakers and its future share.
pub(crate) struct Metadata {
    pub(super) queue: Arc<Queue>,
    /// Where the task was spawned, if that is recorded.
    pub(crate) origin: Origin,
    /// Nobody will await the task. Set by its handle, wherever that is; never cleared.
    detached: AtomicBool,
    /// The task has a place among the waiting ones. Written and read at home only.
    has_waited: AtomicBool,
}

impl Metadata {
    pub(super) fn new(queue: Arc<Queue>, origin: Origin) -> Metadata {
        Metadata {
            queue,
            origin,
            detached: AtomicBool::new(false),
            has_waited: AtomicBool::new(false),
        }
    }

    /// The books, where the future is.
    fn home(&self) -> &Home {
        self.queue.at_home().home()
    }

    /// Is the task among the waiting ones, wherever it is besides?
    pub(crate) fn has_waited(&self) -> bool {
        self.has_waited.load(Ordering::Relaxed)
    }

    /// Says that nobody will await the task.
    pub(super) fn detach(&self) {
        // Relaxed: nothing is published with it. A panic at the same moment is one of a task that somebody might have awaited.
        self.detached.store(true, Ordering::Relaxed);
    }
}

pin_project! {
    /// A spawned future that its executor can count and reach.
    pub(super) struct Tracked<'q, F> {
        #[pin]
        future: F,
        // Declared after `future`, so dropped after it: a task counts as live until nothing of it is left.
        membership: Membership<'q>,
    }
}

/// One count of the live tasks and, once the task has waited, one entry among the waiting ones.
struct Membership<'q> {
    metadata: &'q Metadata,
    /// The place among the waiting ones; `NO_PLACE` before there is one. Small: every task has it.
    place: u32,
}

/// There are never so many tasks that this is the place of one.
const NO_PLACE: u32 = u32::MAX;

impl<'q, F> Tracked<'q, F> {
    pub(super) fn new(metadata: &'q Metadata, future: F) -> Tracked<'q, F> {
        metadata.home().task_added();
        let place = NO_PLACE;
        Tracked {
            future,
            membership: Membership { metadata, place },
        }
    }
}

impl<F: Future> Future for Tracked<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // The cell catches a panic for whoever awaits the task. For one that nobody does the executor has to know.
        let polled = catch_unwind(AssertUnwindSafe(|| this.future.poll(cx)));
        let poll = match polled {
            Ok(poll) => poll,
            Err(payload) => panicked(this.membership.metadata, payload),
        };
        // A task is in a run queue until its first poll, and can be reached there. Many never wait: they are spared the
        // clone of the waker.
        if poll.is_pending() && this.membership.place == NO_PLACE {
            this.membership.wait(cx);
        }
        poll
    }
}

impl Membership<'_> {
    /// The task waits for the first time.
    #[cold]
    #[inline(never)]
    fn wait(&mut self, cx: &Context<'_>) {
        let metadata = self.metadata;
        metadata.has_waited.store(true, Ordering::Relaxed);
        let waker = cx.waker().clone();
        self.place = metadata.home().task_waits(waker, metadata.origin);
    }
}

/// Goes on with the panic, after noting it.
#[cold]
fn panicked(metadata: &Metadata, payload: Box<dyn Any + Send>) -> ! {
    let is_detached = metadata.detached.load(Ordering::Relaxed);
    resume_unwind(metadata.home().task_panicked(is_detached, payload))
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let place = (self.place != NO_PLACE).then_some(self.place);
        self.metadata.home().task_removed(place);
    }
}

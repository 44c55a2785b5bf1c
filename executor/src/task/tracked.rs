//! What a task's cell really holds: the future, its membership in the queue's books, and what all its handles can see.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::queue::{Home, Queue};

/// What the task's handle, its wakers and its future share.
pub(crate) struct Metadata {
    pub(super) queue: Arc<Queue>,
    /// Nobody will await the task. Set by its handle, wherever that is; never cleared.
    detached: AtomicBool,
}

impl Metadata {
    pub(super) fn new(queue: Arc<Queue>) -> Metadata {
        Metadata {
            queue,
            detached: AtomicBool::new(false),
        }
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
        detached: &'q AtomicBool,
        // Declared after `future`, so dropped after it: a task counts as live until nothing of it is left.
        membership: Membership<'q>,
    }
}

/// One count of the live tasks and, once the task has waited, one entry among the waiting ones.
struct Membership<'q> {
    home: &'q Home,
    slot: Option<usize>,
}

impl<'q, F> Tracked<'q, F> {
    pub(super) fn new(metadata: &'q Metadata, future: F) -> Tracked<'q, F> {
        let home = metadata.queue.at_home().home();
        home.task_added();
        Tracked {
            future,
            detached: &metadata.detached,
            membership: Membership { home, slot: None },
        }
    }
}

impl<F: Future> Future for Tracked<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let (home, detached) = (this.membership.home, *this.detached);
        // The cell catches a panic for whoever awaits the task. For one that nobody does the executor has to know.
        let polled = catch_unwind(AssertUnwindSafe(|| this.future.poll(cx)));
        let poll = match polled {
            Ok(poll) => poll,
            Err(payload) => panicked(home, detached, payload),
        };
        // A task is in a run queue until its first poll, and can be reached there. Many never wait: they are spared the
        // clone of the waker.
        if poll.is_pending() && this.membership.slot.is_none() {
            this.membership.slot = Some(this.membership.home.task_waits(cx.waker().clone()));
        }
        poll
    }
}

/// Goes on with the panic, after noting it.
#[cold]
fn panicked(home: &Home, detached: &AtomicBool, payload: Box<dyn Any + Send>) -> ! {
    let is_detached = detached.load(Ordering::Relaxed);
    resume_unwind(home.task_panicked(is_detached, payload))
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        self.home.task_removed(self.slot);
    }
}

//! What a task's cell really holds: the future, and its membership in the queue's books.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::queue::Home;

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
    home: &'q Home,
    slot: Option<usize>,
}

impl<'q, F> Tracked<'q, F> {
    pub(super) fn new(home: &'q Home, future: F) -> Tracked<'q, F> {
        home.task_added();
        let membership = Membership { home, slot: None };
        Tracked { future, membership }
    }
}

impl<F: Future> Future for Tracked<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let poll = this.future.poll(cx);
        // A task is in a run queue until its first poll, and can be reached there. Many never wait: they are spared the
        // clone of the waker.
        if poll.is_pending() && this.membership.slot.is_none() {
            this.membership.slot = Some(this.membership.home.task_waits(cx.waker().clone()));
        }
        poll
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        self.home.task_removed(self.slot);
    }
}

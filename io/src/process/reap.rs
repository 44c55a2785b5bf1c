//! Children that nobody waits for any more: their end is awaited all the same, so that no zombie is left.
//!
//! There is no task to await it, and `levent-io` knows no executor; so the wait is a future that is polled by its own waker. All it does
//! between two readinesses is to ask for the status, without waiting. It lies in the slot of its own source, by that waker, until the child has ended: in the
//! thread's base, or in the background base when that is left.
//!
//! Invariant: the future is in the `Reaper`, or in the hands of one poll. A wake that finds it gone leaves a note, and the poll goes on.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use levent_reactor::current;

use super::exit::Exit;

/// Sees to it that the child does not stay a zombie.
pub(super) fn reap(exit: Exit) {
    start(async move {
        // An error says that the child is gone already, or that nothing can wait: there is nobody to tell.
        let _ = exit.status().await;
    });
}

/// Polls a future here, and from then on wherever it is woken.
fn start(future: impl Future<Output = ()> + Send + 'static) {
    let reaper = Arc::new(Reaper(Mutex::new(State {
        future: Some(Box::pin(future)),
        is_woken: false,
    })));
    reaper.wake();
}

struct Reaper(Mutex<State>);

struct State {
    /// `None` while it is polled, and after its end.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Woken while it was polled.
    is_woken: bool,
}

impl Reaper {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut state = self.state();
        let future = state.future.take();
        state.is_woken = future.is_none();
        future
    }
}

impl Wake for Reaper {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        while let Some(mut future) = self.take() {
            if poll_apart(future.as_mut(), &waker) {
                // Dropping it here gives the descriptor up, with no lock held.
                return;
            }
            let mut state = self.state();
            state.future = Some(future);
            if !state.is_woken {
                return;
            }
        }
    }
}

/// Polls on nobody's account: whose poll this happens in may have spent its operations, and would have us wait for the next one.
fn poll_apart(future: Pin<&mut (dyn Future<Output = ()> + Send)>, waker: &Waker) -> bool {
    let left = current::budget_left();
    current::refill(u32::MAX);
    let poll = future.poll(&mut Context::from_waker(waker));
    current::refill(left);
    poll.is_ready()
}

#[cfg(test)]
mod tests {
    use super::start;
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::task::Poll;

    /// The waker may be used by whoever is called in the poll: that is no time to poll again, and none to forget it.
    #[test]
    fn wake_during_the_poll_is_one_more_poll() {
        let (sender, receiver) = mpsc::channel();
        let mut polls = 0;
        start(poll_fn(move |cx| {
            polls += 1;
            sender.send(polls).expect("the receiver is there");
            match polls {
                1 => {
                    cx.waker().wake_by_ref();
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        }));
        // The future, and its sender with it, is gone with its end.
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
    }

    /// Woken from elsewhere between two polls, and again after the end.
    #[test]
    fn wake_between_polls_polls() {
        let (sender, receiver) = mpsc::channel();
        let mut polls = 0;
        start(poll_fn(move |cx| {
            polls += 1;
            sender
                .send(cx.waker().clone())
                .expect("the receiver is there");
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        let mut seen = 0;
        while let Ok(waker) = receiver.recv() {
            seen += 1;
            waker.wake_by_ref();
        }
        assert_eq!(seen, 3);
    }
}

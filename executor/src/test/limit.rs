//! The time that a test may take: the system's, whatever the test's own is.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Ready when time is up. A thread that sleeps tells it, and ends with it: a timer at the test's base would go by the test's time, and be something that the
/// test could seem to wait for.
pub(super) struct Limit {
    shared: Arc<Mutex<State>>,
    /// Dropped to end the thread, which is awaited then.
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Default)]
struct State {
    is_up: bool,
    waker: Option<Waker>,
}

impl Limit {
    pub(super) fn new(timeout: Duration) -> Limit {
        let shared: Arc<Mutex<State>> = Arc::default();
        let (sender, receiver) = mpsc::channel::<()>();
        let state = Arc::clone(&shared);
        let thread = thread::Builder::new().name("levent-test".into());
        let thread = thread.spawn(move || {
            if receiver.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.is_up = true;
                let waker = state.waker.take();
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        });
        Limit {
            shared,
            // Without a thread there is no limit; the test is as good.
            thread: thread.ok().map(|thread| (sender, thread)),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_up {
            return Poll::Ready(());
        }
        let is_known = state
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if !is_known {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            // It does not panic, and ends at once.
            let _ = thread.join();
        }
    }
}

//! The time that a test may take: the system's, whatever the test's own is.

use std::pin::Pin;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::run::{Stop, Stopped};

/// Ready when time is up. A thread that sleeps tells it, and ends with it: a timer at the test's base would go by the test's time, and be something that the
/// test could seem to wait for.
pub(super) struct Limit {
    up: Stopped,
    /// Dropped to end the thread, which is awaited then.
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Limit {
    pub(super) fn new(timeout: Duration) -> Limit {
        let stop = Stop::new();
        let up = stop.stopped();
        let (sender, receiver) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("levent-test".into());
        let thread = thread.spawn(move || {
            if receiver.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
                stop.stop();
            }
        });
        Limit {
            up,
            // Without a thread there is no limit; the test is as good.
            thread: thread.ok().map(|thread| (sender, thread)),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.up).poll(cx)
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

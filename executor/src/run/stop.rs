//! `Stop`: one bit, and who waits for it.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Tells a [`run`](crate::run()) to stop, and everybody inside that it stops.
///
/// Cheap to clone, and good on any thread. Kept longer than the run, it does nothing.
///
/// # Examples
///
/// ```
/// use levent_executor::run;
/// use std::thread;
///
/// let report = run(async |stop| {
///     // A supervisor, a signal handler, another runtime …
///     let elsewhere = stop.clone();
///     thread::spawn(move || elsewhere.stop());
///     stop.stopped().await;
///     "told"
/// });
/// assert_eq!(report.output, Some("told"));
/// ```
#[derive(Clone)]
pub struct Stop(Arc<Shared>);

struct Shared {
    /// Set once, before the wakers are taken.
    is_stopped: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// Wakers, by the place of the future that waits; places are used again.
#[derive(Default)]
struct Waiting {
    wakers: Vec<Option<Waker>>,
    vacant: Vec<usize>,
}

impl Stop {
    pub(crate) fn new() -> Stop {
        Stop(Arc::new(Shared {
            is_stopped: AtomicBool::new(false),
            waiting: Mutex::default(),
        }))
    }

    /// Begins to stop. Again it does nothing.
    pub fn stop(&self) {
        // Release: what was done before is seen by who learns of it.
        self.0.is_stopped.store(true, Ordering::Release);
        // Who waits looks at the bit under the lock, so nobody adds a waker after this without seeing it.
        let wakers = std::mem::take(&mut self.0.waiting().wakers);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    /// Is it time to stop?
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Ordering::Acquire)
    }

    /// Waits until it is time to stop. Any number of tasks may, on any threads.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future removes its waker.
    pub fn stopped(&self) -> Stopped {
        Stopped {
            stop: self.clone(),
            place: None,
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No foreign code runs under the lock but the clone of a waker; should that panic, nothing was changed yet.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop")
            .field("is_stopped", &self.is_stopped())
            .finish()
    }
}

/// The future of [`Stop::stopped`].
///
/// # Examples
///
/// ```
/// use levent_executor::{Run, Stop, Stopped};
///
/// fn told(stop: &Stop) -> Stopped {
///     stop.stopped()
/// }
///
/// let report = Run::new().run(async |stop| {
///     stop.stop();
///     told(&stop).await
/// });
/// assert!(report.output.is_some());
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Stopped {
    stop: Stop,
    place: Option<usize>,
}

impl Future for Stopped {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.stop.is_stopped() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let shared = Arc::clone(&self.stop.0);
        let mut waiting = shared.waiting();
        // Looked at under the lock: see `stop`.
        if self.stop.is_stopped() {
            return Poll::Ready(());
        }
        let place = match self.place {
            Some(place) => place,
            None => waiting.vacant.pop().unwrap_or_else(|| {
                waiting.wakers.push(None);
                waiting.wakers.len() - 1
            }),
        };
        let old = waiting.wakers[place].replace(waker);
        drop(waiting);
        drop(old);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut waiting = self.stop.0.waiting();
        // After `stop` there are no places any more.
        let waker = waiting.wakers.get_mut(place).and_then(Option::take);
        waiting.vacant.push(place);
        drop(waiting);
        drop(waker);
    }
}

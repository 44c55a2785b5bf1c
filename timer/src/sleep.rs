//! `Sleep`: a deadline and nothing else.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use levent_reactor::{current, lane::Alarm};

/// Waits for `duration`, counted from this call.
///
/// Zero is ready at the first poll; a duration past what an [`Instant`] can express waits for good.
///
/// # Cancel safety
///
/// Cancel safe: dropping the future deregisters it. Waiting again with a new `sleep` starts anew; to go on with the same
/// deadline, poll `&mut` of the one future, or use [`sleep_until`].
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// levent_executor::block_on(levent_timer::sleep(Duration::from_millis(1)));
/// assert!(start.elapsed() >= Duration::from_millis(1));
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(current::now().checked_add(duration))
}

/// Waits until `deadline`; not at all if it has passed.
///
/// # Cancel safety
///
/// Cancel safe: dropping the future deregisters it.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let deadline = Instant::now() + Duration::from_millis(1);
/// levent_executor::block_on(levent_timer::sleep_until(deadline));
/// assert!(Instant::now() >= deadline);
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(Some(deadline))
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// Polled again after it was ready, it is ready again, unless it has been set to a later deadline.
///
/// # Examples
///
/// ```
/// use levent_timer::{Sleep, sleep};
/// use std::time::Duration;
///
/// // An idle timeout: pushed forward instead of made anew.
/// let mut idle: Sleep = sleep(Duration::from_secs(30));
/// idle.set_after(Duration::from_millis(1));
/// levent_executor::block_on(&mut idle);
/// ```
#[must_use = "a sleep does nothing until it is polled"]
pub struct Sleep {
    alarm: Alarm,
    /// `None` for never.
    deadline: Option<Instant>,
    /// The answer is free: it was waited for. One that comes at once counts against the task's budget, or a loop of zero sleeps
    /// would never let the thread go.
    waited: bool,
}

impl Sleep {
    pub(crate) const fn new(deadline: Option<Instant>) -> Sleep {
        Sleep {
            alarm: Alarm::new(),
            deadline,
            waited: false,
        }
    }

    /// The instant it waits for; `None` if it waits for good.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Moves the deadline, forward or back; a task that awaits the sleep is woken at the new one.
    pub fn set_at(&mut self, deadline: Instant) {
        self.set(Some(deadline));
    }

    /// Moves the deadline to `duration` from now; to never if no [`Instant`] is that far.
    pub fn set_after(&mut self, duration: Duration) {
        self.set(current::now().checked_add(duration));
    }

    fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        self.waited = false;
        self.alarm.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let fired = self.alarm.poll_at(deadline, cx);
        // A poll that is turned away for the budget has waited, too: the next one is free.
        if !std::mem::replace(&mut self.waited, true) && fired.is_ready() {
            return current::spend(cx);
        }
        fired
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

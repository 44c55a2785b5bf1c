//! `Timer`: one deadline that can be set, cleared and repeated; a future and a stream.
//!
//! The names and the behaviour are those that smol's users know.
//!
//! Invariants
//! 1. `due` is the only truth about what the timer waits for. The alarm may be registered for it or not registered, but is
//!    never registered for another deadline: every method that changes `due` resets the alarm in the same breath.
//! 2. A timer without a due instant holds no registration of its own making and takes no waker: polling it is free.
//! 3. One clock reading per poll (the alarm's) and one per relative constructor or setter.
//! 4. A tick that was waited for is free, so that a timer beside a busy future fires even when that future has spent the task's
//!    budget. Ticks that come without a wait (catching up, zero periods) are charged, so that they end the poll at some point.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_core::Stream;
use levent_reactor::{current, lane::Alarm};

/// The period of a timer that fires once: no instant is that far away, so adding it ends the series.
const ONCE: Duration = Duration::MAX;

/// A timer that fires once, or again and again, with the instant that was asked for.
///
/// As a [`Future`] it answers once per deadline; as a [`Stream`] it gives one item per deadline and never ends. After the last
/// deadline both stay pending, and [`will_fire`](Timer::will_fire) is false.
///
/// Intervals **catch up**: when polls come late, every missed tick is given at once, so that after *n* periods *n* items have
/// come. [`interval`](fn@crate::interval) is the one that leaves missed ticks out.
///
/// A zero period is allowed: the stream then has an item at every poll, always the start instant. Each item is one poll, so the
/// executor's budget keeps such a stream from starving other tasks, but it does keep the processor busy.
///
/// The setters keep the waker of a task that awaits the timer: the task is woken at the new deadline, whatever thread set it.
/// A timer that waited for nothing when it was polled (`never`, cleared, done) knows no waker: poll it again after setting it.
///
/// # Cancel safety
///
/// Cancel safe: a tick is consumed only when a poll returns it. Dropping a future made with `StreamExt::next` loses none.
///
/// # Examples
///
/// ```
/// use levent_timer::Timer;
/// use std::time::{Duration, Instant};
///
/// levent_executor::block_on(async {
///     let deadline = Instant::now() + Duration::from_millis(1);
///     assert_eq!(Timer::at(deadline).await, deadline);
///     assert!(Instant::now() >= deadline);
/// });
/// ```
///
/// A stream of ticks:
///
/// ```
/// use futures_lite::StreamExt;
/// use levent_timer::Timer;
/// use std::time::Duration;
///
/// let period = Duration::from_millis(1);
/// levent_executor::block_on(async {
///     let mut ticks = Timer::interval(period);
///     let first = ticks.next().await;
///     assert_eq!(ticks.next().await, first.map(|at| at + period));
/// });
/// ```
pub struct Timer {
    /// The registration: one deadline, one waker. Drops itself.
    alarm: Alarm,
    /// What the next answer will be; `None` for never.
    due: Option<Instant>,
    /// Added to `due` after each answer; `ONCE` ends the series.
    period: Duration,
    /// The next answer is free: the last poll was pending. Cleared by an answer and by the setters; see invariant 4.
    waited: bool,
}

impl Timer {
    /// Makes a timer that fires once, after `duration`.
    ///
    /// The clock is read now, not at the first poll. A duration past what an [`Instant`] can express means never.
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_timer::Timer;
    /// use std::time::Duration;
    ///
    /// assert!(Timer::after(Duration::from_secs(1)).will_fire());
    /// assert!(!Timer::after(Duration::MAX).will_fire());
    /// ```
    #[must_use = "a timer does nothing until it is polled"]
    pub fn after(duration: Duration) -> Timer {
        Timer::new(current::now().checked_add(duration), ONCE)
    }

    /// Makes a timer that fires once, at `instant`; at the first poll if that has passed.
    #[must_use = "a timer does nothing until it is polled"]
    pub const fn at(instant: Instant) -> Timer {
        Timer::new(Some(instant), ONCE)
    }

    /// Makes a timer that never fires, until it is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::future::{FutureExt, ready};
    /// use levent_timer::Timer;
    /// use std::time::{Duration, Instant};
    ///
    /// // An optional deadline without a second kind of future.
    /// let limit: Option<Duration> = None;
    /// let timer = limit.map_or_else(Timer::never, Timer::after);
    /// levent_executor::block_on(async {
    ///     let winner = async { Some(timer.await) }.or(ready(None::<Instant>));
    ///     assert!(winner.await.is_none());
    /// });
    /// ```
    #[must_use = "a timer does nothing until it is polled"]
    pub const fn never() -> Timer {
        Timer::new(None, ONCE)
    }

    /// Makes a timer that fires every `period`, for the first time one period from now.
    ///
    /// See [`Timer`] for zero, and for what happens to missed ticks.
    #[must_use = "a timer does nothing until it is polled"]
    pub fn interval(period: Duration) -> Timer {
        Timer::new(current::now().checked_add(period), period)
    }

    /// Makes a timer that fires at `start` and then every `period`.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    /// use levent_timer::Timer;
    /// use std::time::{Duration, Instant};
    ///
    /// // Two ticks are in the past already: they come at once.
    /// let period = Duration::from_millis(2);
    /// let start = Instant::now() - period;
    /// levent_executor::block_on(async {
    ///     let ticks: Vec<Instant> = Timer::interval_at(start, period).take(3).collect().await;
    ///     assert_eq!(ticks, [start, start + period, start + 2 * period]);
    /// });
    /// ```
    #[must_use = "a timer does nothing until it is polled"]
    pub const fn interval_at(start: Instant, period: Duration) -> Timer {
        Timer::new(Some(start), period)
    }

    const fn new(due: Option<Instant>, period: Duration) -> Timer {
        Timer {
            alarm: Alarm::new(),
            due,
            period,
            waited: false,
        }
    }

    /// Says whether the timer is set: false for a timer that is done, cleared, or was set to never.
    ///
    /// A timer whose deadline has passed and that has not been polled since will still fire.
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_timer::Timer;
    /// use std::time::{Duration, Instant};
    ///
    /// let mut timer = Timer::at(Instant::now());
    /// assert!(timer.will_fire());
    /// levent_executor::block_on(&mut timer);
    /// assert!(!timer.will_fire());
    /// timer.set_after(Duration::from_secs(1));
    /// assert!(timer.will_fire());
    /// ```
    #[must_use]
    pub const fn will_fire(&self) -> bool {
        self.due.is_some()
    }

    /// Takes the deadline away: the timer is pending until it is set again.
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_timer::Timer;
    /// use std::time::Duration;
    ///
    /// let mut timer = Timer::after(Duration::from_secs(1));
    /// timer.clear();
    /// assert!(!timer.will_fire());
    /// ```
    pub fn clear(&mut self) {
        self.set(None, ONCE);
    }

    /// Sets the timer to fire once, `duration` from now; to never if no [`Instant`] is that far.
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_timer::Timer;
    /// use std::time::Duration;
    ///
    /// let mut timer = Timer::after(Duration::from_secs(3600));
    /// timer.set_after(Duration::from_millis(1));
    /// levent_executor::block_on(timer);
    /// ```
    pub fn set_after(&mut self, duration: Duration) {
        self.set(current::now().checked_add(duration), ONCE);
    }

    /// Sets the timer to fire once, at `instant`.
    pub fn set_at(&mut self, instant: Instant) {
        self.set(Some(instant), ONCE);
    }

    /// Sets the timer to fire every `period`, for the first time one period from now.
    pub fn set_interval(&mut self, period: Duration) {
        self.set(current::now().checked_add(period), period);
    }

    /// Sets the timer to fire at `start` and then every `period`.
    pub fn set_interval_at(&mut self, start: Instant, period: Duration) {
        self.set(Some(start), period);
    }

    fn set(&mut self, due: Option<Instant>, period: Duration) {
        self.due = due;
        self.period = period;
        self.waited = false;
        // Moves the registration together with the waker that it has, and does nothing if there is none (invariant 1).
        self.alarm.reset(due);
    }

    /// The one poll behind the future and the stream.
    fn poll_fire(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        if self.alarm.poll_at(due, cx).is_pending() {
            self.waited = true;
            return Poll::Pending;
        }
        // A poll that is turned away here has waited, too: the next one is free.
        if !std::mem::replace(&mut self.waited, true) {
            ready!(current::spend(cx));
        }
        self.waited = false;
        // From the deadline, not from now: a late poll finds the next tick due as well, and so on until it has caught up.
        self.due = due.checked_add(self.period);
        Poll::Ready(due)
    }
}

impl Future for Timer {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        self.poll_fire(cx)
    }
}

impl Stream for Timer {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_fire(cx).map(Some)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = (self.period != ONCE).then_some(self.period);
        f.debug_struct("Timer")
            .field("due", &self.due)
            .field("period", &period)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_past_the_last_instant_mean_never() {
        assert!(!Timer::never().will_fire());
        assert!(!Timer::after(Duration::MAX).will_fire());
        assert!(!Timer::interval(Duration::MAX).will_fire());
        assert!(Timer::after(Duration::ZERO).will_fire());
        assert!(Timer::interval(Duration::ZERO).will_fire());
        assert!(Timer::interval_at(Instant::now(), Duration::MAX).will_fire());
    }

    #[test]
    fn debug_names_what_it_waits_for() {
        let shown = format!("{:?}", Timer::never());
        assert_eq!(shown, "Timer { due: None, period: None, .. }");
        let shown = format!("{:?}", Timer::interval(Duration::from_secs(2)));
        assert!(shown.contains("period: Some(2s)"), "{shown}");
    }
}

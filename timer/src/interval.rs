//! `Interval`: ticks on a fixed grid, missed ones left out.
//!
//! ```text
//! grid      0──────1──────2──────3──────4──────5        Timer::interval gives 1, then 2 and 3 at once, 4, 5
//! polls            ▲          busy   ▲   ▲      ▲       interval gives        1, then 2,             4, 5
//! ```
//!
//! Invariants
//! 1. `next` is on the grid `start + n * period`. Being late moves no later tick, so the ticks do not drift.
//! 2. Only a tick that came without a wait is charged to the task's budget, as in `timer.rs`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_core::Stream;
use levent_reactor::{current, lane::Alarm};

/// Makes ticks every `period`, the first one period from now; missed ticks are left out.
///
/// When a tick is taken late by more than a period, the ticks that have passed meanwhile are skipped and the next one is the first
/// of the grid that lies ahead. After a pause there is one tick, not a burst.
/// [`Timer::interval`](crate::Timer::interval) is the one that catches up.
///
/// A zero period makes every poll a tick. A period past what an [`Instant`] can express makes none.
///
/// # Examples
///
/// ```
/// use levent_timer::interval;
/// use std::time::Duration;
///
/// levent_executor::block_on(async {
///     let mut ticks = interval(Duration::from_millis(1));
///     let first = ticks.tick().await;
///     let second = ticks.tick().await;
///     assert!(second >= first + ticks.period());
/// });
/// ```
pub fn interval(period: Duration) -> Interval {
    Interval::new(current::now().checked_add(period), period)
}

/// Makes ticks at `start` and every `period` after it; otherwise as [`interval`](fn@interval).
///
/// # Examples
///
/// ```
/// use levent_timer::interval_at;
/// use std::time::{Duration, Instant};
///
/// levent_executor::block_on(async {
///     let start = Instant::now();
///     let mut ticks = interval_at(start, Duration::from_secs(60));
///     assert_eq!(ticks.tick().await, start);
/// });
/// ```
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(Some(start), period)
}

/// Regular ticks that skip what was missed; made by [`interval`](fn@interval) and [`interval_at`].
///
/// Also a [`Stream`] of the same instants. The stream never ends.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
/// use levent_timer::{Interval, interval};
/// use std::time::Duration;
///
/// let ticks: Interval = interval(Duration::from_millis(1));
/// levent_executor::block_on(async {
///     assert_eq!(ticks.take(3).count().await, 3);
/// });
/// ```
#[must_use = "an interval does nothing until it is polled"]
pub struct Interval {
    alarm: Alarm,
    /// The next tick; `None` for never.
    next: Option<Instant>,
    period: Duration,
    /// The last poll answered; cleared by a pending one and by `reset`.
    answered: bool,
}

impl Interval {
    const fn new(next: Option<Instant>, period: Duration) -> Interval {
        Interval {
            alarm: Alarm::new(),
            next,
            period,
            answered: false,
        }
    }

    /// Waits for the next tick and answers with its instant on the grid, which a late poll does not change.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a tick is taken only when the future is ready.
    pub const fn tick(&mut self) -> Tick<'_> {
        Tick { interval: self }
    }

    /// The distance of the ticks.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Starts a new grid: the next tick is one period from now.
    pub fn reset(&mut self) {
        self.next = current::now().checked_add(self.period);
        self.answered = false;
        self.alarm.reset(self.next);
    }

    /// Polls for the next tick; what [`tick`](Interval::tick) and the stream are made of.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let Some(due) = self.next else {
            return Poll::Pending;
        };
        if self.alarm.poll_at(due, cx).is_pending() {
            self.answered = false;
            return Poll::Pending;
        }
        if self.answered {
            ready!(current::spend(cx));
        }
        self.answered = true;
        self.next = tick_after(due, self.period, current::now());
        Poll::Ready(due)
    }
}

impl Stream for Interval {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_tick(cx).map(Some)
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("next", &self.next)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

/// The future of [`Interval::tick`].
///
/// # Examples
///
/// ```
/// use levent_timer::{Tick, interval};
/// use std::time::Duration;
///
/// let mut ticks = interval(Duration::from_millis(1));
/// let tick: Tick<'_> = ticks.tick();
/// levent_executor::block_on(tick);
/// ```
#[must_use = "a tick does nothing until it is polled"]
#[derive(Debug)]
pub struct Tick<'a> {
    interval: &'a mut Interval,
}

impl Future for Tick<'_> {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        self.interval.poll_tick(cx)
    }
}

/// The first instant after `now` on the grid through `due`; `None` if there is none.
fn tick_after(due: Instant, period: Duration, now: Instant) -> Option<Instant> {
    let late = now.saturating_duration_since(due);
    if late < period {
        // The usual case, without a division.
        return due.checked_add(period);
    }
    if period.is_zero() {
        return Some(now);
    }
    let since_last = late.as_nanos() % period.as_nanos();
    now.checked_add(period - from_nanos(since_last))
}

/// Exact for every remainder that a `Duration` can leave, unlike `Duration::from_nanos`, which ends at 584 years.
fn from_nanos(nanos: u128) -> Duration {
    const PER_SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / PER_SECOND).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % PER_SECOND).expect("a remainder below 10^9 fits");
    Duration::new(seconds, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn next_tick_is_the_first_on_the_grid_ahead() {
        let due = Instant::now();
        let period = 10 * MS;
        let next = |late: Duration| tick_after(due, period, due + late);
        assert_eq!(next(Duration::ZERO), Some(due + period));
        assert_eq!(next(period - Duration::from_nanos(1)), Some(due + period));
        assert_eq!(next(period), Some(due + 2 * period));
        assert_eq!(
            next(period + Duration::from_nanos(1)),
            Some(due + 2 * period)
        );
        assert_eq!(next(95 * MS), Some(due + 10 * period));
    }

    #[test]
    fn zero_and_endless_periods_have_a_next_tick_or_none() {
        let due = Instant::now();
        assert_eq!(tick_after(due, Duration::ZERO, due), Some(due));
        assert_eq!(tick_after(due, Duration::ZERO, due + MS), Some(due + MS));
        assert_eq!(tick_after(due, Duration::MAX, due + MS), None);
        // A clock that seems to go back is no reason to panic.
        assert_eq!(tick_after(due + MS, MS, due), Some(due + 2 * MS));
    }

    #[test]
    fn nanoseconds_survive_the_whole_range() {
        for duration in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::new(1, 999_999_999),
            Duration::MAX,
        ] {
            assert_eq!(from_nanos(duration.as_nanos()), duration);
        }
    }
}

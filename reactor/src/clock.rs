//! The base's idea of time: nanoseconds since the base was made, from a monotonic clock.
//!
//! Every deadline inside the reactor is such a number, so that the heap compares integers. `u64` lasts 584 years; conversions
//! saturate, and [`NEVER`] is kept for "no deadline".

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sys;

/// A deadline that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// Where a base takes its time from.
///
/// The default is the system's fine monotonic clock. A manual clock moves only when told: tests of timers then need no waiting. A [jumping](Clock::jumping) one
/// need not even be told.
///
/// ```
/// use levent_reactor::{Base, Clock, Config, Event, LoopFlags};
/// use std::cell::Cell;
/// use std::{rc::Rc, time::Duration};
///
/// # fn main() -> std::io::Result<()> {
/// let (clock, hand) = Clock::manual();
/// let base = Base::with_config(&Config::new().clock(clock))?;
/// let runs = Rc::new(Cell::new(0));
/// let timer = Event::timer(&base, { let runs = runs.clone(); move |_, _| runs.set(runs.get() + 1) });
/// timer.add_after(Duration::from_secs(3600))?;
/// base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)?;
/// assert_eq!(runs.get(), 0);
/// hand.advance(Duration::from_secs(3600));
/// base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)?;
/// assert_eq!(runs.get(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    /// What the system's clock said at the origin, or a moment later: readings are a little behind rather than ahead, so that no
    /// deadline is early.
    reading: u64,
    manual: Option<Arc<AtomicU64>>,
    /// How long the loop waits for something to happen, in nanoseconds, before it moves the clock to the next deadline; `None`: it never does.
    jumps: Option<u64>,
}

/// Moves a manual [`Clock`], from any thread. Clones move the same clock.
///
/// ```
/// use levent_reactor::{Base, Clock, Config};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let (clock, hand) = Clock::manual();
/// let base = Base::with_config(&Config::new().clock(clock))?;
/// hand.advance(Duration::from_secs(3600));
/// assert_eq!(base.now(), Duration::from_secs(3600));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ClockHand(Arc<AtomicU64>);

impl ClockHand {
    /// Moves the clock forward. It stops 584 years after its start.
    pub fn advance(&self, by: Duration) {
        let by = nanos(by);
        // Nothing is published with the reading but the reading itself.
        let mut now = self.0.load(Ordering::Relaxed);
        while let Err(seen) = self.0.compare_exchange_weak(
            now,
            now.saturating_add(by).min(NEVER - 1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            now = seen;
        }
    }
}

impl Clock {
    /// The system's monotonic clock.
    #[must_use]
    pub fn system() -> Clock {
        let origin = Instant::now();
        Clock {
            origin,
            reading: sys::clock::monotonic(),
            manual: None,
            jumps: None,
        }
    }

    /// A clock that moves only by its hand. With it a base never sleeps for a deadline.
    #[must_use]
    pub fn manual() -> (Clock, ClockHand) {
        let now = Arc::new(AtomicU64::new(0));
        (
            Clock {
                origin: Instant::now(),
                reading: 0,
                manual: Some(now.clone()),
                jumps: None,
            },
            ClockHand(now),
        )
    }

    /// A manual clock that moves by itself too: when nothing is ready, nothing is posted and a deadline is pending, it jumps to the deadline. A day of retries takes
    /// no longer than the work in it.
    ///
    /// The loop knows what it waits for, and not what other threads or processes are about to send it. Where something of that kind is waited for as well,
    /// let it wait for `grace` of real time before each jump; with zero it looks once. Deadlines are met exactly, in order, and never skipped.
    ///
    /// ```
    /// use levent_reactor::{Base, Clock, Config, Event};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (clock, _hand) = Clock::jumping(Duration::ZERO);
    /// let base = Base::with_config(&Config::new().clock(clock))?;
    /// let timer = Event::timer(&base, |_, _| println!("a day later"));
    /// timer.add_after(Duration::from_secs(24 * 3600))?;
    /// base.dispatch()?; // at once
    /// assert_eq!(base.now(), Duration::from_secs(24 * 3600));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn jumping(grace: Duration) -> (Clock, ClockHand) {
        let (mut clock, hand) = Clock::manual();
        clock.jumps = Some(nanos(grace));
        (clock, hand)
    }

    /// For how many nanoseconds the loop is to wait before it makes the clock [`jump`](Clock::jump), if it may.
    pub(crate) fn jumps(&self) -> Option<u64> {
        self.jumps
    }

    /// Moves a jumping clock to a deadline, unless it is there or further already.
    pub(crate) fn jump(&self, deadline: u64) {
        if let Some(now) = &self.manual {
            now.fetch_max(deadline.min(NEVER - 1), Ordering::Relaxed);
        }
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.manual.is_some()
    }

    /// Reads the clock.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match &self.manual {
            None => sys::clock::monotonic().saturating_sub(self.reading),
            Some(now) => now.load(Ordering::Relaxed),
        }
    }

    /// An instant of the system's clock as a deadline of this one. An instant before the base was made has passed: 0.
    #[inline]
    pub(crate) fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.origin))
    }

    /// The instant of a reading, if the system's clock can express it.
    pub(crate) fn instant(&self, reading: u64) -> Option<Instant> {
        self.origin.checked_add(Duration::from_nanos(reading))
    }
}

/// A duration in nanoseconds; what does not fit becomes [`NEVER`].
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .checked_mul(1_000_000_000)
        .and_then(|n| n.checked_add(u64::from(duration.subsec_nanos())))
        .unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_durations_never_come() {
        assert_eq!(nanos(Duration::MAX), NEVER);
        assert_eq!(nanos(Duration::ZERO), 0);
        assert_eq!(nanos(Duration::new(1, 1)), 1_000_000_001);
    }

    /// A clock that steps back reads the origin rather than wrapping to a time centuries ahead, where everything is due (tokio#4044).
    #[test]
    fn reading_before_the_origin_is_zero() {
        let mut clock = Clock::system();
        clock.reading += 3_600_000_000_000;
        assert_eq!(clock.now(), 0);
        let before = clock.origin.checked_sub(Duration::from_millis(5));
        assert_eq!(before.map(|before| clock.at(before)), Some(0));
    }

    #[test]
    fn manual_clock_stops_short_of_never() {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::MAX);
        hand.advance(Duration::from_nanos(1));
        assert_eq!(clock.now(), NEVER - 1);
    }
}

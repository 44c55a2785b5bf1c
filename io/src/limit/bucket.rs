//! One direction's tokens.

use std::time::{Duration, Instant};

use levent_reactor::lane::Direction;

use super::{Limit, Rate};

/// A token bucket: bytes that may pass, refilled by whole ticks, with debt.
///
/// It has no clock: every call that depends on the time takes it.
///
/// # Examples
///
/// ```
/// use levent_io::limit::{Bucket, Limit};
/// use levent_reactor::lane::Direction;
/// use std::time::{Duration, Instant};
///
/// # fn main() -> std::io::Result<()> {
/// let second = Duration::from_secs(1);
/// let limit = Limit::every(second)?.read(100, 250)?;
/// let start = Instant::now();
/// let mut bucket = Bucket::new(&limit, Direction::Read, start).expect("reading is limited");
/// assert_eq!(bucket.level(start), 100); // one tick's rate, not the burst
/// bucket.take(130);
/// assert_eq!(bucket.level(start + second), 70); // the debt was paid first
/// assert_eq!(bucket.level(start + 10 * second), 250);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    tick: Duration,
    /// At most the burst; below zero after an operation moved more than there was (RL-6).
    level: i64,
    /// The beginning of the last tick that has been counted.
    refilled: Instant,
    /// How many ticks have been counted.
    ticks: u64,
}

impl Bucket {
    /// A bucket for a direction, with one tick's rate in it (RL-4); `None` if the direction is not limited.
    #[must_use]
    pub fn new(limit: &Limit, direction: Direction, now: Instant) -> Option<Bucket> {
        let rate = limit.of(direction)?;
        Some(Bucket {
            rate,
            tick: limit.tick,
            level: rate.per_tick,
            refilled: now,
            ticks: 0,
        })
    }

    /// Takes another limit over: the level is clipped to the new burst, the ticks go on from where they are (RL-7).
    pub(super) fn change(&mut self, limit: &Limit, direction: Direction) {
        if let Some(rate) = limit.of(direction) {
            self.rate = rate;
            self.tick = limit.tick;
            self.level = self.level.min(rate.burst);
        }
    }

    /// How many bytes may pass now; below zero is debt.
    pub fn level(&mut self, now: Instant) -> i64 {
        self.refill(now);
        self.level
    }

    /// Charges bytes that have passed; gives back what is negative, up to the burst (RL-11).
    pub fn take(&mut self, bytes: i64) {
        self.level = self.level.saturating_sub(bytes).min(self.rate.burst);
    }

    /// When the level will be at least `wanted`, if nothing is taken meanwhile; now or earlier if it is already. `None` beyond what the clock can express. More
    /// than the burst is never there: `wanted` counts as that then.
    #[must_use]
    pub fn ready_at(&self, wanted: i64) -> Option<Instant> {
        let missing = i128::from(wanted.min(self.rate.burst)) - i128::from(self.level);
        if missing <= 0 {
            return Some(self.refilled);
        }
        let rate = i128::from(self.rate.per_tick);
        let ticks = (missing + rate - 1) / rate;
        let wait = u128::try_from(ticks)
            .ok()?
            .checked_mul(self.tick.as_millis())?;
        let wait = Duration::from_millis(u64::try_from(wait).ok()?);
        self.refilled.checked_add(wait)
    }

    /// Counts the ticks that have passed. A clock that seems to go back adds nothing.
    pub(super) fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled);
        if elapsed < self.tick {
            return;
        }
        // Both in whole milliseconds, of which a tick has at least one.
        let ticks = u64::try_from(elapsed.as_millis() / self.tick.as_millis()).unwrap_or(u64::MAX);
        let brought = i128::from(self.rate.per_tick) * i128::from(ticks);
        let level = (i128::from(self.level) + brought).min(i128::from(self.rate.burst));
        self.level = i64::try_from(level).unwrap_or(self.rate.burst);
        self.ticks = self.ticks.saturating_add(ticks);
        // At most `elapsed`, so it does not overflow.
        let passed = self.tick.as_millis() * u128::from(ticks);
        if let Ok(passed) = u64::try_from(passed) {
            self.refilled += Duration::from_millis(passed).min(elapsed);
        }
    }

    /// The number of the tick that has been counted last.
    pub(super) fn tick_number(&self) -> u64 {
        self.ticks
    }

    /// When the next tick begins.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.refilled.checked_add(self.tick)
    }

    pub(super) fn per_tick(&self) -> i64 {
        self.rate.per_tick
    }
}

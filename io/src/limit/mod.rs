//! Rate limits: token buckets for streams, and shared ones for groups of them.
//!
//! ```text
//!            Limiter of a stream                         Group
//!  grant ──▶ own bucket ── at least 1? ──▶ share of the group's bucket ──▶ min of both, at most what is wanted
//!               ▲  whole ticks refill            ▲  share = level / members that ask, at least min_share
//!  spend ───────┴────────────────────────────────┘  may go below zero: the debt is paid first
//! ```
//!
//! All numbers are integers: bytes, and ticks of a fixed length. A bucket begins with one tick's rate, is refilled by whole ticks of the monotonic clock, and holds at most its
//! burst (RL-3, RL-4, RL-5). What moves is charged when it has moved.
//!
//! Names in parentheses such as (RL-4) are rules of the specification that the tests cite; `CONFORMANCE.md` of this crate has them all.
//!
//! Invariants
//! 1. A grant is at least one byte, or the task is parked on an alarm: nobody polls, and nobody reads 0 bytes for want of tokens.
//! 2. A bucket's level is never above its burst.

mod bucket;
mod group;
mod limited;
mod limiter;

use std::io;
use std::time::Duration;

use levent_reactor::lane::Direction;

pub use bucket::Bucket;
pub use group::{DEFAULT_MIN_SHARE, Group};
pub use limited::Limited;
pub use limiter::Limiter;

/// The longest tick, in seconds.
const TICK_MAX: u64 = i32::MAX as u64 / 1000;

/// How many bytes may pass in each direction: a rate per tick, and a burst. A value, valid as soon as it exists.
///
/// # Examples
///
/// ```
/// use levent_io::limit::Limit;
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// // 1 MB/s in, in steps of a tenth of a second; after a rest up to 400 kB at once. Nothing limits what goes out.
/// let limit = Limit::every(Duration::from_millis(100))?.read(100_000, 400_000)?;
/// assert!(Limit::every(Duration::ZERO).is_err());
/// assert!(limit.read(0, 10).is_err());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    tick: Duration,
    read: Option<Rate>,
    write: Option<Rate>,
}

/// Bytes in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    /// Each tick brings so many.
    per_tick: i64,
    /// A bucket holds so many at most.
    burst: i64,
}

impl Limit {
    /// No limit yet, with ticks of this length; what is below a millisecond is dropped (RL-2).
    ///
    /// A short tick is smooth, and wakes a busy stream that often: 100 ms is a good one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for less than a millisecond, and for more than 2,147,483 seconds.
    pub fn every(tick: Duration) -> io::Result<Limit> {
        let tick_ms = tick.as_millis();
        match u64::try_from(tick_ms) {
            Ok(tick_ms @ 1..) if tick.as_secs() <= TICK_MAX => Ok(Limit {
                tick: Duration::from_millis(tick_ms),
                read: None,
                write: None,
            }),
            _ => Err(invalid(
                "a tick has at least a millisecond, and at most 2147483 seconds",
            )),
        }
    }

    /// The same number of bytes per second in both directions, with a burst of one second.
    ///
    /// Ticks are 100 ms long, and what is no multiple of 10 bytes is rounded down to one. Below 10,000 bytes, where that would show, they are as close to that as brings a whole number of
    /// bytes, and at most a second.
    ///
    /// ```
    /// # use levent_io::limit::Limit;
    /// # use std::time::Duration;
    /// assert_eq!(Limit::per_second(1_000_000)?.tick(), Duration::from_millis(100));
    /// assert_eq!(Limit::per_second(64)?.tick(), Duration::from_millis(125)); // 8 bytes
    /// assert_eq!(Limit::per_second(19)?.tick(), Duration::from_secs(1));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for 0, and for more than `i64::MAX`.
    pub fn per_second(bytes: u64) -> io::Result<Limit> {
        let tick_ms = match bytes {
            10_000.. => 100,
            // Divides 1000 in all cases, so a second is always among them.
            _ => whole_ticks(bytes)
                .min_by_key(|tick_ms| tick_ms.abs_diff(100))
                .unwrap_or(1000),
        };
        let per_tick = bytes / (1000 / tick_ms);
        Limit::every(Duration::from_millis(tick_ms))?
            .read(per_tick, bytes)?
            .write(per_tick, bytes)
    }

    /// With a limit of reading: `rate` bytes per tick, and at most `burst` at once (RL-1).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a rate of 0, one above the burst, and numbers above `i64::MAX` (RL-2).
    pub fn read(self, rate: u64, burst: u64) -> io::Result<Limit> {
        Ok(Limit {
            read: Some(Rate::new(rate, burst)?),
            ..self
        })
    }

    /// With a limit of writing.
    ///
    /// # Errors
    ///
    /// As [`read`](Limit::read).
    pub fn write(self, rate: u64, burst: u64) -> io::Result<Limit> {
        Ok(Limit {
            write: Some(Rate::new(rate, burst)?),
            ..self
        })
    }

    /// The length of a tick.
    #[must_use]
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// The rate per tick and the burst of a direction; `None` if it is not limited.
    #[must_use]
    pub fn rate(&self, direction: Direction) -> Option<(u64, u64)> {
        let rate = self.of(direction)?;
        // Neither is negative.
        Some((rate.per_tick.unsigned_abs(), rate.burst.unsigned_abs()))
    }

    fn of(&self, direction: Direction) -> Option<Rate> {
        match direction {
            Direction::Read => self.read,
            Direction::Write => self.write,
        }
    }
}

impl Rate {
    fn new(rate: u64, burst: u64) -> io::Result<Rate> {
        let numbers = i64::try_from(rate).ok().zip(i64::try_from(burst).ok());
        match numbers {
            Some((1.., _)) if rate > burst => Err(invalid(
                "the rate is above the burst, so no tick could bring it: a burst is at least the rate of a tick",
            )),
            Some((per_tick @ 1.., burst)) => Ok(Rate { per_tick, burst }),
            Some(_) => Err(invalid(
                "a rate of no bytes would stop the stream for ever: disable the direction instead",
            )),
            None => Err(invalid("rate and burst are at most i64::MAX")),
        }
    }
}

/// The lengths of ticks, in milliseconds, of which a second has a whole number, and which bring a whole number of bytes.
fn whole_ticks(bytes_per_second: u64) -> impl Iterator<Item = u64> {
    (1..=1000)
        .filter(move |tick_ms| 1000 % tick_ms == 0 && bytes_per_second % (1000 / tick_ms) == 0)
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

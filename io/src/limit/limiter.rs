//! What one stream obeys: its own buckets, and those of its group.

use std::mem;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use levent_reactor::current;
use levent_reactor::lane::{Alarm, Direction};

use super::group::Taken;
use super::{Bucket, Group, Limit};

/// The limits of one stream: its own, its group's, or both.
///
/// Before bytes move it is asked how many may, and afterwards it is told how many did. [`Limited`](super::Limited) does that for any stream, and
/// [`BufferedStream`](crate::BufferedStream) has one of its own.
///
/// # Examples
///
/// ```
/// use levent_io::limit::{Limit, Limiter};
/// use levent_reactor::lane::Direction;
/// use std::time::{Duration, Instant};
///
/// # fn main() -> std::io::Result<()> {
/// let second = Duration::from_secs(1);
/// let mut limiter = Limiter::new();
/// limiter.set_limit(Some(Limit::every(second)?.read(1_000, 4_000)?));
/// let now = Instant::now();
/// assert_eq!(limiter.try_grant(Direction::Read, 16_384, now), Ok(1_000));
/// limiter.spend(Direction::Read, 1_000);
/// let later = limiter.try_grant(Direction::Read, 16_384, now).unwrap_err();
/// assert!(later.is_some_and(|later| later <= now + second));
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Limiter {
    limit: Option<Limit>,
    group: Option<Membership>,
    read: Way,
    write: Way,
}

/// A group, and the number that the stream has in it.
#[derive(Debug)]
struct Membership {
    group: Group,
    number: u64,
}

#[derive(Debug, Default)]
struct Way {
    bucket: Option<Bucket>,
    taken: Taken,
    alarm: Alarm,
    /// The last grant was refused. Cleared by the next one that is not.
    is_suspended: bool,
}

impl Limiter {
    /// One that limits nothing.
    #[must_use]
    pub fn new() -> Limiter {
        Limiter::default()
    }

    /// Sets, replaces or removes the stream's own limit.
    ///
    /// The same one again changes nothing. Another clips the levels to its bursts, and the ticks go on (RL-7).
    pub fn set_limit(&mut self, limit: Option<Limit>) {
        if self.limit == limit {
            return;
        }
        let now = current::now();
        self.limit = limit;
        for direction in [Direction::Read, Direction::Write] {
            let way = self.way(direction);
            way.bucket = match (way.bucket.take(), limit) {
                (Some(mut bucket), Some(limit)) if limit.of(direction).is_some() => {
                    bucket.refill(now);
                    bucket.change(&limit, direction);
                    Some(bucket)
                }
                (_, Some(limit)) => Bucket::new(&limit, direction, now),
                (_, None) => None,
            };
        }
        self.ask_again();
    }

    /// The stream's own limit.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// Joins a group, and leaves the one that it was in (RL-12). Joining its own group again changes nothing.
    pub fn join(&mut self, group: &Group) {
        if self.group().is_some_and(|own| own.is(group)) {
            return;
        }
        self.leave();
        self.group = Some(Membership {
            number: group.add_member(),
            group: group.clone(),
        });
    }

    /// Leaves the group; its bucket limits the stream no more (RL-17). False if there is none.
    pub fn leave(&mut self) -> bool {
        let Some(own) = self.group.take() else {
            return false;
        };
        own.group.remove_member(own.number);
        self.read.taken = Taken::default();
        self.write.taken = Taken::default();
        self.ask_again();
        true
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        self.group.as_ref().map(|own| &own.group)
    }

    /// Does neither a limit nor a group apply?
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.limit.is_none() && self.group.is_none()
    }

    /// How many of `want` bytes may move now, at least one; if none, when to ask again (`None`: beyond what the clock can express). Parks nothing.
    ///
    /// The least of what the own bucket, the group and `want` allow (RL-9).
    ///
    /// # Errors
    ///
    /// The time to ask again.
    pub fn try_grant(
        &mut self,
        direction: Direction,
        want: usize,
        now: Instant,
    ) -> Result<usize, Option<Instant>> {
        let granted = self.grant(direction, want, now);
        self.way(direction).is_suspended = granted.is_err();
        granted
    }

    fn grant(
        &mut self,
        direction: Direction,
        want: usize,
        now: Instant,
    ) -> Result<usize, Option<Instant>> {
        let (way, group) = self.way_and_group(direction);
        let mut most = i64::try_from(want).unwrap_or(i64::MAX);
        if let Some(bucket) = &mut way.bucket {
            match bucket.level(now) {
                level @ 1.. => most = most.min(level),
                _ => return Err(bucket.ready_at(1)),
            }
        }
        if let Some(group) = group {
            most = most.min(group.grant(direction, &mut way.taken, now)?);
        }
        Ok(usize::try_from(most).unwrap_or(want))
    }

    /// As [`try_grant`](Limiter::try_grant), and parks the task until there is something, on one alarm per direction.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is charged before [`spend`](Limiter::spend).
    pub fn poll_grant(
        &mut self,
        direction: Direction,
        want: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        if let Ok(granted) = self.try_grant(direction, want, current::now()) {
            return Poll::Ready(granted);
        }
        if let Some(own) = &self.group {
            own.group.park(own.number, direction, cx.waker());
        }
        // Asked again after that: what others give back meanwhile is not missed.
        loop {
            match self.try_grant(direction, want, current::now()) {
                Ok(granted) => return Poll::Ready(granted),
                // Of an alarm that is due already, the bucket hears at the next look.
                Err(Some(at)) if self.way(direction).alarm.poll_at(at, cx).is_ready() => {}
                Err(Some(_)) => return Poll::Pending,
                Err(None) => {
                    let far = current::now() + FAR;
                    let _ = self.way(direction).alarm.poll_at(far, cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Charges bytes that have moved.
    pub fn spend(&mut self, direction: Direction, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let (way, group) = self.way_and_group(direction);
        if let Some(bucket) = &mut way.bucket {
            bucket.take(bytes);
        }
        if let Some(group) = group {
            group.spend(direction, &mut way.taken, bytes);
        }
    }

    /// Charges the own bucket with bytes that passed elsewhere, or gives back what is negative; whoever waits for that is woken (RL-11).
    pub fn charge(&mut self, direction: Direction, bytes: i64) {
        if let Some(bucket) = &mut self.way(direction).bucket {
            bucket.take(bytes);
        }
        if bytes < 0 {
            self.ask_again();
        }
    }

    /// The level of the own bucket; `None` if the direction is not limited.
    pub fn level(&mut self, direction: Direction) -> Option<i64> {
        let bucket = self.way(direction).bucket.as_mut()?;
        Some(bucket.level(current::now()))
    }

    /// Was the last grant in this direction refused?
    #[must_use]
    pub fn is_suspended(&self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.read.is_suspended,
            Direction::Write => self.write.is_suspended,
        }
    }

    fn way(&mut self, direction: Direction) -> &mut Way {
        self.way_and_group(direction).0
    }

    fn way_and_group(&mut self, direction: Direction) -> (&mut Way, Option<&Group>) {
        let way = match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        };
        (way, self.group.as_ref().map(|own| &own.group))
    }

    /// Lets whoever waits ask again at once: what it waits for may be there, or not be needed any more.
    fn ask_again(&mut self) {
        for way in [&mut self.read, &mut self.write] {
            if mem::take(&mut way.is_suspended) {
                way.alarm.reset(Some(current::now()));
            }
        }
    }
}

/// A stand-in for "never" that every clock can express.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Drop for Limiter {
    fn drop(&mut self) {
        if let Some(own) = self.group.take() {
            own.group.remove_member(own.number);
        }
    }
}

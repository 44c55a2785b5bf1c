//! A bucket that many streams share.
//!
//! Each tick begins a round: the level is divided among those who asked in the round before, or among all members if nobody did, and a member has its share of it, at least
//! `min_share`. So the shares of those who have nothing to move go to the others, and it does not matter in which order they ask: libevent divides what is left by the number
//! of all members each time, which favours whoever asks first, and wakes them from a random one on. Another limit, and bytes that are given back, begin a round, too.
//!
//! Invariants
//! 1. Within a round no member is granted more than its share.
//! 2. What all take together is at most what the bucket held, and `min_share` for each member; the debt is paid before anybody is granted more.
//! 3. Nobody is woken under the lock.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use levent_reactor::current;
use levent_reactor::lane::Direction;

use super::{Bucket, Limit, invalid};
use crate::waiting::Waiting;

/// The least share of a member unless it is set, in bytes (RL-14).
pub const DEFAULT_MIN_SHARE: u64 = 64;

/// A rate limit that many streams obey together: see [`Limiter::join`](super::Limiter::join) and
/// [`BufferedStream::set_group`](crate::BufferedStream::set_group).
///
/// Clones are handles to the same group, whose members may be on different threads. A lock is taken for each operation of a member.
///
/// # Examples
///
/// ```
/// use levent_io::limit::{Group, Limit, Limiter};
///
/// # fn main() -> std::io::Result<()> {
/// let all = Group::new(Limit::per_second(10_000_000)?);
/// let mut limiter = Limiter::new();
/// limiter.join(&all);
/// assert_eq!(all.members(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Group(Arc<Mutex<State>>);

struct State {
    limit: Limit,
    read: Way,
    write: Way,
    min_share: i64,
    members: u64,
    /// Those whom the next tick would wake, in case that something changes before; two places for each, one per direction.
    waiting: Waiting,
}

/// One direction.
struct Way {
    /// `None` if the direction is not limited.
    bucket: Option<Bucket>,
    /// What each member may take in this round.
    share: i64,
    /// The first is 1.
    round: u64,
    /// The tick in which it began; another, and `u64::MAX` in any case, begins the next one.
    tick: u64,
    /// How many members have asked in this round.
    asking: u64,
    total: u64,
}

/// What a member has taken in a direction, and when.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The round in which it asked last; 0 for never.
    round: u64,
    bytes: i64,
}

impl Group {
    /// A group without members.
    #[must_use]
    pub fn new(limit: Limit) -> Group {
        let now = current::now();
        let mut state = State {
            limit,
            read: Way::new(&limit, Direction::Read, now),
            write: Way::new(&limit, Direction::Write, now),
            min_share: 0,
            members: 0,
            waiting: Waiting::default(),
        };
        state.min_share = state.clamped(DEFAULT_MIN_SHARE);
        Group(Arc::new(Mutex::new(state)))
    }

    /// Replaces the limit. Levels are clipped to the new bursts (RL-18). Members that wait ask again.
    pub fn set_limit(&self, limit: Limit) {
        let now = current::now();
        let mut state = self.lock();
        if state.limit == limit {
            return;
        }
        state.limit = limit;
        for direction in [Direction::Read, Direction::Write] {
            let way = state.way(direction);
            match &mut way.bucket {
                Some(bucket) if limit.of(direction).is_some() => {
                    bucket.refill(now);
                    bucket.change(&limit, direction);
                }
                bucket => *bucket = Bucket::new(&limit, direction, now),
            }
            way.tick = u64::MAX;
        }
        let share = state.min_share.unsigned_abs();
        state.min_share = state.clamped(share);
        self.wake(state);
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.lock().limit
    }

    /// Sets the least that a member is granted while the group has anything, in bytes. At most the rates count (RL-14).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more than `i64::MAX`.
    pub fn set_min_share(&self, bytes: u64) -> io::Result<()> {
        if i64::try_from(bytes).is_err() {
            return Err(invalid("a share is at most i64::MAX"));
        }
        let mut state = self.lock();
        state.min_share = state.clamped(bytes);
        self.wake(state);
        Ok(())
    }

    /// The least share, as far as the rates allow it.
    #[must_use]
    pub fn min_share(&self) -> u64 {
        self.lock().min_share.unsigned_abs()
    }

    /// How many members there are.
    #[must_use]
    pub fn members(&self) -> usize {
        usize::try_from(self.lock().members).unwrap_or(usize::MAX)
    }

    /// How many bytes the members have moved in a direction since the group was made, or the count was reset (RL-18).
    #[must_use]
    pub fn total(&self, direction: Direction) -> u64 {
        self.lock().way(direction).total
    }

    /// Counts from zero again, in both directions.
    pub fn reset_totals(&self) {
        let mut state = self.lock();
        state.read.total = 0;
        state.write.total = 0;
    }

    /// The level of a direction's bucket; `None` if it is not limited.
    #[must_use]
    pub fn level(&self, direction: Direction) -> Option<i64> {
        let now = current::now();
        let mut state = self.lock();
        let bucket = state.way(direction).bucket.as_mut()?;
        Some(bucket.level(now))
    }

    /// Charges bytes that passed elsewhere, or gives back what is negative, and then members that wait ask again (RL-11, RL-18).
    pub fn charge(&self, direction: Direction, bytes: i64) {
        let mut state = self.lock();
        let way = state.way(direction);
        if let Some(bucket) = &mut way.bucket {
            bucket.take(bytes);
            if bytes < 0 {
                // What is there now is shared out anew.
                way.tick = u64::MAX;
                self.wake(state);
            }
        }
    }

    /// Ends the hold of the lock, and wakes those who wait.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let woken = state.waiting.take_all();
        drop(state);
        woken.wake();
    }

    /// Is it the same group?
    pub(super) fn is(&self, other: &Group) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Counts a member in, and gives it a number.
    pub(super) fn add_member(&self) -> u64 {
        let mut state = self.lock();
        state.members += 1;
        state.waiting.add_member()
    }

    pub(super) fn remove_member(&self, member: u64) {
        let mut state = self.lock();
        state.members = state.members.saturating_sub(1);
        let unused = [Direction::Read, Direction::Write]
            .map(|direction| state.waiting.remove(place(member, direction)));
        drop(state);
        drop(unused);
    }

    /// Has the task woken if something changes before its next tick.
    pub(super) fn park(&self, member: u64, direction: Direction, waker: &Waker) {
        let waker = waker.clone();
        let unused = self.lock().waiting.park(place(member, direction), waker);
        drop(unused);
    }

    /// How much a member may move now, or when it should ask again (`None`: beyond the clock).
    pub(super) fn grant(
        &self,
        direction: Direction,
        taken: &mut Taken,
        now: Instant,
    ) -> Result<i64, Option<Instant>> {
        let mut state = self.lock();
        let (members, min_share) = (state.members.max(1), state.min_share.max(1));
        let way = state.way(direction);
        let Some(bucket) = &mut way.bucket else {
            return Ok(i64::MAX);
        };
        bucket.refill(now);
        let tick = bucket.tick_number();
        if way.tick != tick {
            let asked = if way.asking > 0 { way.asking } else { members };
            way.share = bucket.level(now) / i64::try_from(asked).unwrap_or(i64::MAX);
            way.tick = tick;
            way.round += 1;
            way.asking = 0;
        }
        if taken.round != way.round {
            *taken = Taken {
                round: way.round,
                bytes: 0,
            };
            way.asking += 1;
        }
        // In debt, or with less than anybody's share left, all wait (RL-15, RL-16).
        let later = if taken.bytes > 0 {
            // Who has had something in this round asks behind those who have not: so all have their turn, also where the least share is more than there is for each.
            Duration::from_micros(1)
        } else {
            Duration::ZERO
        };
        let next_tick = bucket.next_tick().and_then(|next| next.checked_add(later));
        if bucket.level(now) < min_share.min(bucket.per_tick()) {
            return Err(bucket.ready_at(min_share).max(next_tick));
        }
        match way.share.max(min_share).saturating_sub(taken.bytes) {
            left @ 1.. => Ok(left),
            _ => Err(next_tick),
        }
    }

    pub(super) fn spend(&self, direction: Direction, taken: &mut Taken, bytes: i64) {
        let mut state = self.lock();
        let way = state.way(direction);
        way.total = way.total.saturating_add(bytes.unsigned_abs());
        if let Some(bucket) = &mut way.bucket {
            bucket.take(bytes);
            taken.bytes = taken.bytes.saturating_add(bytes);
        }
    }

    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member's place in one direction.
fn place(member: u64, direction: Direction) -> u64 {
    member * 2 + direction as u64
}

impl State {
    fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// At most what a tick brings, in either direction.
    fn clamped(&self, share: u64) -> i64 {
        let rates = [&self.read, &self.write].map(|way| way.bucket.as_ref().map(Bucket::per_tick));
        let share = i64::try_from(share).unwrap_or(i64::MAX);
        rates.into_iter().flatten().fold(share, i64::min)
    }
}

impl Way {
    fn new(limit: &Limit, direction: Direction, now: Instant) -> Way {
        Way {
            bucket: Bucket::new(limit, direction, now),
            share: 0,
            round: 0,
            tick: u64::MAX,
            asking: 0,
            total: 0,
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Group")
            .field("limit", &state.limit)
            .field("min_share", &state.min_share)
            .field("members", &state.members)
            .field("read", &state.read.total)
            .field("written", &state.write.total)
            .finish()
    }
}

//! Marks, timeouts, limits, and enabling of directions.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use levent_reactor::current;
use levent_reactor::lane::{Alarm, Direction};

use super::BufferedStream;
use super::quota::Share;
use super::side::End;
use crate::limit::{Group, Limit, Limiter};

/// The high mark of both directions unless it is set, in bytes.
pub const DEFAULT_HIGH_MARK: usize = 64 << 10;

/// The most that one read or write moves unless it is set, in bytes.
pub const DEFAULT_MAX_SINGLE: usize = 64 << 10;

/// What is needed only by streams with timeouts or rate limits.
#[derive(Debug, Default)]
pub(super) struct Timing {
    read: Timer,
    write: Timer,
    pub(super) limiter: Limiter,
    pub(super) share: Option<Share>,
    /// Nobody is late yet: the timers note only since when they run.
    pub(super) is_held: bool,
}

/// A direction's timeout.
#[derive(Debug, Default)]
struct Timer {
    wait: Option<Duration>,
    /// Since when the direction has been waiting; `None` while it does not.
    since: Option<Instant>,
    alarm: Alarm,
}

impl Timing {
    fn timer(&mut self, direction: Direction) -> &mut Timer {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// Bytes moved: they are charged, and the wait begins anew with the next one. Costs a store; the alarm is pushed forward when it is asked again.
    #[inline]
    pub(super) fn moved(&mut self, direction: Direction, bytes: usize) {
        self.timer(direction).since = None;
        if !self.limiter.is_unlimited() {
            self.limiter.spend(direction, bytes);
        }
    }

    /// The direction does not wait at all: suspended, ended, or nothing to send.
    pub(super) fn stop(&mut self, direction: Direction) {
        let timer = self.timer(direction);
        timer.since = None;
        timer.alarm.cancel();
    }

    /// How many of `want` bytes the rate limits let through now. While they let nothing through the timer stands still (RL-20).
    #[inline]
    pub(super) fn poll_grant(
        &mut self,
        direction: Direction,
        want: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        if self.limiter.is_unlimited() {
            return Poll::Ready(want);
        }
        let granted = self.limiter.poll_grant(direction, want, cx);
        if granted.is_pending() {
            self.stop(direction);
        }
        granted
    }

    /// Does the direction's timer run?
    pub(super) fn runs(&self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.read.since.is_some(),
            Direction::Write => self.write.since.is_some(),
        }
    }

    /// `Ready` if the direction has waited too long.
    pub(super) fn poll(&mut self, direction: Direction, cx: &mut Context<'_>) -> Poll<()> {
        let is_held = self.is_held;
        let timer = self.timer(direction);
        let Some(wait) = timer.wait else {
            return Poll::Pending;
        };
        let since = *timer.since.get_or_insert_with(current::now);
        if is_held {
            return Poll::Pending;
        }
        match since.checked_add(wait) {
            Some(deadline) => timer.alarm.poll_at(deadline, cx),
            None => Poll::Pending,
        }
    }
}

impl<S> BufferedStream<S> {
    /// Sets when reading stops and when readers go on, in bytes of the input (BE-23, BE-24).
    ///
    /// - Reading stops at `high` bytes, and an operation that would need more for one line or frame fails with `QuotaExceeded`; `read_exact` and `peek` may
    ///   exceed it by what they were asked for. 0 is no limit.
    /// - A plain read waits until `low` bytes are there, or the end.
    ///
    /// Acts at once. The default is 0 and [`DEFAULT_HIGH_MARK`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `low` is above `high`: nothing would ever be read (BE-28).
    pub fn set_read_marks(&mut self, low: usize, high: usize) -> io::Result<()> {
        self.set_marks(Direction::Read, low, high)
    }

    /// Sets when writers park and when they go on, in bytes of the output (BE-26).
    ///
    /// - At `high` bytes `write` parks and `try_write` takes nothing. 0 is no limit.
    /// - They go on when `low` bytes are left. [`room`](BufferedStream::room) waits for the same.
    ///
    /// Acts at once. The default is half of [`DEFAULT_HIGH_MARK`], and that.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `low` is above `high`.
    pub fn set_write_marks(&mut self, low: usize, high: usize) -> io::Result<()> {
        self.set_marks(Direction::Write, low, high)
    }

    /// The low and the high mark of a direction; a high mark of 0 is none.
    #[must_use]
    pub fn marks(&self, direction: Direction) -> (usize, usize) {
        let side = self.side(direction);
        match side.high() {
            usize::MAX => (side.low(), 0),
            high => (side.low(), high),
        }
    }

    fn set_marks(&mut self, direction: Direction, low: usize, high: usize) -> io::Result<()> {
        if high != 0 && low > high {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the low mark is above the high one, so nothing would ever move: low is at most high, and a high of 0 is none",
            ));
        }
        let len = match direction {
            Direction::Read => self.input.len(),
            Direction::Write => self.output.len(),
        };
        let side = self.side_mut(direction);
        side.set_marks(low, high);
        side.is_full = false;
        side.settle(len);
        if side.is_full {
            if let Some(timing) = &mut self.timing {
                timing.stop(direction);
            }
        }
        self.waiters.wake_all();
        Ok(())
    }

    /// Sets how long the directions may wait; `None` or zero is for ever (BE-61).
    ///
    /// A timeout ends its direction: the operation that waits fails with `TimedOut`, [`event`](BufferedStream::event) tells of it, and nothing is
    /// closed; [`enable`](BufferedStream::enable) goes on (BE-64). What is ready counts before what is late (BE-65).
    ///
    /// - The read timeout counts from the first wait for input until bytes come, which start it anew with the next wait; so do `enable` and this call. Dropping a wait and beginning it
    ///   again does not, so that a `select` in a loop cannot put it off (BE-62), and the time between the two counts. It is noticed while somebody waits. Bytes in the buffer do not matter.
    /// - The write timeout counts while there is something to send, or a connect is under way (BE-63, BE-46).
    /// - Neither counts while its direction is disabled, or held up by a mark or a rate limit (BE-68, RL-20).
    ///
    /// O(1) for each operation.
    pub fn set_timeouts(&mut self, read: Option<Duration>, write: Option<Duration>) {
        let wanted = |wait: Option<Duration>| wait.filter(|wait| !wait.is_zero());
        let (read, write) = (wanted(read), wanted(write));
        if read.is_none() && write.is_none() && self.timing.is_none() {
            return;
        }
        let timing = self.timing.get_or_insert_default();
        for (direction, wait) in [(Direction::Read, read), (Direction::Write, write)] {
            timing.stop(direction);
            timing.timer(direction).wait = wait;
        }
        // Whoever waits asks again, and sets the alarm.
        self.waiters.wake_all();
    }

    /// The timeout of a direction.
    #[must_use]
    pub fn timeout(&self, direction: Direction) -> Option<Duration> {
        let timing = self.timing.as_ref()?;
        match direction {
            Direction::Read => timing.read.wait,
            Direction::Write => timing.write.wait,
        }
    }

    /// Lets a direction go on: after [`disable`](BufferedStream::disable), or after its timeout (BE-4, BE-64). Its timer starts anew.
    ///
    /// After an end of stream or an error there is nothing to go on with, and this changes nothing.
    pub fn enable(&mut self, direction: Direction) {
        let side = self.side_mut(direction);
        side.is_enabled = true;
        if let Some(End::TimedOut) = side.end.as_deref() {
            side.end = None;
        }
        if let Some(timing) = &mut self.timing {
            timing.stop(direction);
        }
        self.waiters.wake_all();
    }

    /// Stops a direction: it makes no system call, and its timer stops; its buffer stays (BE-4).
    ///
    /// Whoever waits for it waits until it is enabled. Events are told on.
    pub fn disable(&mut self, direction: Direction) {
        self.side_mut(direction).is_enabled = false;
        if let Some(timing) = &mut self.timing {
            timing.stop(direction);
        }
    }

    /// Is the direction enabled? Not after [`disable`](BufferedStream::disable), nor after it has ended (BE-19, BE-20, BE-36, BE-64).
    #[must_use]
    pub fn is_enabled(&self, direction: Direction) -> bool {
        let side = self.side(direction);
        side.is_enabled && side.end.is_none()
    }

    /// Sets the most that one operation of the transport moves in a direction, in bytes; 0 is [`DEFAULT_MAX_SINGLE`] (BE-72).
    ///
    /// One read takes at most 68 KiB in any case.
    pub fn set_max_single(&mut self, direction: Direction, bytes: usize) {
        let bytes = if bytes == 0 {
            DEFAULT_MAX_SINGLE
        } else {
            bytes
        };
        self.side_mut(direction).set_max_single(bytes);
    }

    /// The most that one operation of the transport moves in a direction, in bytes.
    #[must_use]
    pub fn max_single(&self, direction: Direction) -> usize {
        self.side(direction).max_single()
    }

    /// Sets, replaces or removes the stream's own rate limit, for what moves between it and its transport (RL-7).
    ///
    /// For bytes below a transport that is more than a socket, those of TLS for example, put a [`Limited`](crate::limit::Limited) there.
    pub fn set_limit(&mut self, limit: Option<Limit>) {
        if limit.is_some() || self.timing.is_some() {
            self.limiter_mut().set_limit(limit);
            self.waiters.wake_all();
        }
    }

    /// Puts the stream into a group that shares a rate limit, out of the one that it was in, or out of any (RL-12).
    pub fn set_group(&mut self, group: Option<&Group>) {
        match group {
            Some(group) => self.limiter_mut().join(group),
            None => {
                if let Some(timing) = &mut self.timing {
                    timing.limiter.leave();
                }
            }
        }
        self.waiters.wake_all();
    }

    /// The stream's rate limits; `None` if it never had one.
    #[must_use]
    pub fn limiter(&self) -> Option<&Limiter> {
        self.timing.as_ref().map(|timing| &timing.limiter)
    }

    /// The stream's rate limits, to charge them with what passed elsewhere, and to look at their levels.
    pub fn limiter_mut(&mut self) -> &mut Limiter {
        &mut self.timing.get_or_insert_default().limiter
    }
}

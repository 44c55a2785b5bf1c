//! A limit for what the buffers of many streams hold together.
//!
//! ```text
//! stream ── settle(bytes held) ──▶ used ◀── settle ── stream
//!    └───── room() ──▶ limit - used; with nothing of its own, always a little
//! ```
//!
//! Invariants
//! 1. `used` is the sum of the members' `charged`; a member that is dropped takes its part out.
//! 2. An empty buffer may always take [`LEAST`] bytes, so no member waits for ever for others that wait for it. The sum exceeds the limit by at most that for each
//!    buffer.
//! 3. Nobody is woken under the lock.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::{BufferedStream, Direction};

/// What a buffer may hold whatever the others do: one small block.
const LEAST: usize = 4 << 10;

/// A limit for the bytes in the buffers of many streams, their inputs and outputs together: those of a base, or of all that a server has.
///
/// While it is used up, its members read no more, `write` parks and `try_write` takes nothing, as at a high mark; a buffer that is empty may still take 4 KiB. They go on as
/// others take or send what they hold. A stream is counted when it is next polled, so bytes that a task has taken and kept silent about still count until then.
///
/// Clones are handles to the same quota, whose members may be on different threads. A lock is taken for each operation of a member.
///
/// # Examples
///
/// ```
/// use levent_io::stream::{Quota, pair};
///
/// # fn main() -> std::io::Result<()> {
/// let quota = Quota::new(64 << 20);
/// let (mut left, _right) = pair();
/// left.set_quota(Some(&quota));
/// left.try_write(b"hello")?;
/// assert_eq!(quota.used(), 5);
/// drop(left);
/// assert_eq!(quota.used(), 0);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Quota(Arc<Mutex<State>>);

struct State {
    limit: usize,
    used: usize,
    /// Members that wait for others to hold less.
    waiting: Vec<Waker>,
}

/// A stream's part of a quota.
pub(super) struct Share {
    quota: Quota,
    charged: usize,
}

impl Quota {
    /// At most `bytes` in all buffers together.
    #[must_use]
    pub fn new(bytes: usize) -> Quota {
        Quota(Arc::new(Mutex::new(State {
            limit: bytes,
            used: 0,
            waiting: Vec::new(),
        })))
    }

    /// The limit, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.lock().limit
    }

    /// Sets the limit. Whoever waits asks again; what is held already stays.
    pub fn set_limit(&self, bytes: usize) {
        let mut state = self.lock();
        state.limit = bytes;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many bytes the members hold, as of their last polls.
    #[must_use]
    pub fn used(&self) -> usize {
        self.lock().used
    }

    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// The member holds so many bytes now. If that is less than before, whoever waits is woken.
    pub(super) fn settle(&mut self, held: usize) {
        if held == self.charged {
            return;
        }
        let mut state = self.quota.lock();
        state.used = (state.used - self.charged).saturating_add(held);
        let is_less = held < self.charged;
        self.charged = held;
        let waiting = match is_less && state.used < state.limit {
            true => mem::take(&mut state.waiting),
            false => Vec::new(),
        };
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many bytes more may come into a buffer that holds `held`.
    pub(super) fn room(&self, held: usize) -> usize {
        let state = self.quota.lock();
        let left = state.limit.saturating_sub(state.used);
        left.max(LEAST.saturating_sub(held))
    }

    /// As `room`; if there is none, the task is woken when others hold less.
    pub(super) fn room_or_wait(&self, held: usize, waker: &Waker) -> usize {
        let room = self.room(held);
        if room > 0 {
            return room;
        }
        // A foreign clone: not under the lock. What became free meanwhile is seen below.
        let waker = waker.clone();
        let mut state = self.quota.lock();
        let left = state.limit.saturating_sub(state.used);
        if left == 0 && !state.waiting.iter().any(|known| known.will_wake(&waker)) {
            state.waiting.push(waker);
        }
        left
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.settle(0);
    }
}

impl<S> BufferedStream<S> {
    /// Counts the stream's buffers under a quota, in the place of the one that it had; `None`: under none.
    pub fn set_quota(&mut self, quota: Option<&Quota>) {
        if quota.is_none() && self.timing.is_none() {
            return;
        }
        let held = self.input.len() + self.output.len();
        let timing = self.timing.get_or_insert_default();
        timing.share = quota.map(|quota| Share {
            quota: quota.clone(),
            charged: 0,
        });
        if let Some(share) = &mut timing.share {
            share.settle(held);
        }
        self.waiters.wake_all();
    }

    /// Tells the quota what the buffers hold. A look at a pointer for streams without timeouts and limits.
    #[inline]
    pub(super) fn settle_quota(&mut self) {
        if let Some(timing) = &mut self.timing {
            if let Some(share) = &mut timing.share {
                share.settle(self.input.len() + self.output.len());
            }
        }
    }

    fn share(&self) -> Option<&Share> {
        self.timing.as_ref()?.share.as_ref()
    }

    /// How many bytes more the quota lets the output hold.
    pub(super) fn quota_room(&mut self) -> usize {
        self.settle_quota();
        self.share()
            .map_or(usize::MAX, |share| share.room(self.output.len()))
    }

    /// Has the task woken when others hold less, if the quota is what the output waits for.
    pub(super) fn wait_for_quota(&self, waker: &Waker) {
        if let Some(share) = self.share() {
            share.room_or_wait(self.output.len(), waker);
        }
    }

    /// The same of the input, for a task that waits for it; its read timer stands still meanwhile (BE-68).
    pub(super) fn poll_quota(&mut self, waker: &Waker) -> usize {
        self.settle_quota();
        let Some(share) = self.share() else {
            return usize::MAX;
        };
        let room = share.room_or_wait(self.input.len(), waker);
        if let (0, Some(timing)) = (room, &mut self.timing) {
            timing.stop(Direction::Read);
        }
        room
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Quota")
            .field("limit", &state.limit)
            .field("used", &state.used)
            .finish()
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("charged", &self.charged)
            .finish_non_exhaustive()
    }
}

//! A limit for what the buffers of many streams hold together.
//!
//! ```text
//! stream ── settle(bytes held) ──▶ used ◀── settle ── stream
//!    └───── room() ──▶ limit - used; with nothing of its own, always a little; and for one stream, whatever it needs
//! ```
//!
//! Who holds bytes and needs more before it can let go would wait for others that may wait for it. So one member at a time goes *beyond* the limit, up to its own marks, until it
//! has let go; the others wait for that.
//!
//! Invariants
//! 1. `used` is the sum of the members' `charged`; a member that is dropped takes its part out.
//! 2. The sum exceeds the limit by at most [`LEAST`] for each buffer, and the high mark of one stream.
//! 3. The member beyond has read more than there was room for, or is about to: one whose transport has nothing for it does not keep others from going.
//! 4. Nobody is woken under the lock.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use super::waiters::Role;
use super::{BufferedStream, Direction};
use crate::waiting::{Waiting, Woken};

/// What a buffer may hold whatever the others do: one small block.
const LEAST: usize = 4 << 10;

/// A limit for the bytes in the buffers of many streams, their inputs and outputs together: those of a base, or of all that a server has.
///
/// While it is used up, its members read no more, `write` parks and `try_write` takes nothing, as at a high mark; a buffer that is empty may still take 4 KiB. They go on as
/// others take or send what they hold. A stream is counted when it is next polled, so bytes that a task has taken and kept silent about still count until then.
///
/// A reader that needs more than its input holds, the rest of a line or a message, may go beyond the limit, one stream at a time and up to its own high mark: two that have half of their
/// messages would wait for each other otherwise. A peer that stops in the middle of a message then holds the others up, until its read timeout: set one.
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
    /// The member that may go beyond the limit.
    beyond: Option<u64>,
    /// Members that wait for others to hold less.
    waiting: Waiting,
}

/// A stream's part of a quota.
pub(super) struct Share {
    quota: Quota,
    number: u64,
    charged: usize,
    /// What it held when it was let beyond the limit.
    before: usize,
}

impl Quota {
    /// At most `bytes` in all buffers together.
    #[must_use]
    pub fn new(bytes: usize) -> Quota {
        Quota(Arc::new(Mutex::new(State {
            limit: bytes,
            used: 0,
            beyond: None,
            waiting: Waiting::default(),
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
        let woken = state.waiting.take_all();
        drop(state);
        woken.wake();
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

impl State {
    fn left(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }
}

impl Share {
    fn new(quota: &Quota) -> Share {
        Share {
            quota: quota.clone(),
            number: quota.lock().waiting.add_member(),
            charged: 0,
            before: 0,
        }
    }

    /// The member holds so many bytes now. If that is less than before, whoever waits is woken.
    pub(super) fn settle(&mut self, held: usize) {
        if held == self.charged {
            return;
        }
        let mut state = self.quota.lock();
        state.used = (state.used - self.charged).saturating_add(held);
        let is_less = held < self.charged;
        self.charged = held;
        let is_back = is_less && self.end_beyond(&mut state, held);
        let woken = match is_back || (is_less && state.left() > 0) {
            true => state.waiting.take_all(),
            false => Woken::nobody(),
        };
        drop(state);
        woken.wake();
    }

    /// Ends the member's time beyond the limit if it has let go of what it held, or the limit is kept again.
    fn end_beyond(&self, state: &mut State, held: usize) -> bool {
        let is_over = state.beyond == Some(self.number) && (held <= LEAST || state.left() > 0);
        if is_over {
            state.beyond = None;
        }
        is_over
    }

    /// How many bytes more may come into a buffer that holds `held`.
    pub(super) fn room(&self, held: usize) -> usize {
        self.quota.lock().left().max(LEAST.saturating_sub(held))
    }

    /// As `room`; if there is none, the task is woken when others hold less. One that `needs` more than it holds may go beyond the limit.
    pub(super) fn room_or_wait(&mut self, held: usize, waker: &Waker, needs: bool) -> usize {
        let room = self.room(held);
        if room > 0 {
            return room;
        }
        // A foreign clone: not under the lock. What became free meanwhile is seen below.
        let waker = waker.clone();
        let mut state = self.quota.lock();
        let left = state.left();
        if left > 0 {
            return left;
        }
        if needs && state.beyond.is_none_or(|member| member == self.number) {
            if state.beyond.replace(self.number).is_none() {
                self.before = self.charged;
            }
            return usize::MAX;
        }
        let unused = state.waiting.park(self.number, waker);
        drop(state);
        drop(unused);
        0
    }

    /// Nothing came: if the member was to go beyond the limit and has not yet, others may.
    pub(super) fn stay(&self) {
        let mut state = self.quota.lock();
        if state.beyond != Some(self.number) || self.charged > self.before {
            return;
        }
        state.beyond = None;
        let woken = state.waiting.take_all();
        drop(state);
        woken.wake();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.settle(0);
        self.before = 0;
        self.stay();
        let unused = self.quota.lock().waiting.remove(self.number);
        drop(unused);
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
        timing.share = quota.map(Share::new);
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

    fn share_mut(&mut self) -> Option<&mut Share> {
        self.timing.as_mut()?.share.as_mut()
    }

    /// How many bytes more the quota lets the output hold.
    pub(super) fn quota_room(&mut self) -> usize {
        self.settle_quota();
        self.share()
            .map_or(usize::MAX, |share| share.room(self.output.len()))
    }

    /// Has the task woken when others hold less, if the quota is what the output waits for.
    pub(super) fn wait_for_quota(&mut self, cx: &mut Context<'_>) {
        let held = self.output.len();
        if self.share().is_some() {
            let joined = self.waiters.join(Role::Writer, cx.waker());
            if let Some(share) = self.share_mut() {
                share.room_or_wait(held, joined.as_ref().unwrap_or(cx.waker()), false);
            }
        }
    }

    /// The same of the input, for a task that waits for it, and perhaps `needs` more than there is; its read timer stands still meanwhile (BE-68).
    pub(super) fn poll_quota(&mut self, waker: &Waker, needs: bool) -> usize {
        self.settle_quota();
        let held = self.input.len();
        let Some(share) = self.share_mut() else {
            return usize::MAX;
        };
        let room = share.room_or_wait(held, waker, needs);
        if let (0, Some(timing)) = (room, &mut self.timing) {
            timing.stop(Direction::Read);
        }
        room
    }

    /// The transport had nothing for the input.
    #[inline]
    pub(super) fn release_quota(&self) {
        if let Some(share) = self.share() {
            share.stay();
        }
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

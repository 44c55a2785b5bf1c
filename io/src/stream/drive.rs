//! The two state machines, fill and drain, and what a task does that has to wait.
//!
//! ```text
//!          ended? ──▶ answer     disabled? ──▶ Pending     full? ──▶ Pending
//! fill ──▶ seam ──▶ n: input grew          │ 0: Eof     │ error: ended     │ Pending: timer ──▶ TimedOut
//! drain ─▶ seam ──▶ n: output shrank, again│            │ error: ended     │ Pending: timer ──▶ TimedOut
//! ```
//!
//! Invariants
//! 1. The transport is asked before the clock: what is ready counts before what is late (BE-65).
//! 2. A timer runs only while its direction waits for the transport: not while it is disabled, full, without allowance, or has nothing to do.

use std::io;
use std::task::{Context, Poll, ready};

use levent_reactor::current;

use super::seam::Request;
use super::side::End;
use super::waiters::Role;
use super::{BufferedStream, Direction, Event};

/// How many operations of a transport that is always ready a poll makes in each direction. A socket's are bounded by the task's budget as well.
const ROUNDS: usize = 64;

impl<S> BufferedStream<S> {
    /// Waits for input as `role`: sends what there is to send, then reads once, up to `most` bytes in the buffer. Answers how many bytes came; 0 is the
    /// end of the stream.
    pub(super) fn poll_input(
        &mut self,
        cx: &mut Context<'_>,
        role: Role,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        // An ended direction is not worth a system call, nor a wait for the connection.
        if let Some(end) = &self.reading.end {
            return Poll::Ready(end.answer(Direction::Read));
        }
        let joined = self.waiters.join(role, cx.waker());
        let with = &mut Context::from_waker(joined.as_ref().unwrap_or(cx.waker()));
        let result = match self.poll_connected(with) {
            Poll::Ready(()) => {
                // Its end is the writers' affair, and an event.
                let _ = self.send(with, role);
                self.read_once(with, role, most, true)
            }
            Poll::Pending => Poll::Pending,
        };
        if result.is_pending() {
            if let Some(end) = &self.reading.end {
                return Poll::Ready(end.answer(Direction::Read));
            }
            self.waiters.park(role, cx.waker());
        }
        result
    }

    /// Waits until the output is sent, or (`is_enough`) has come down far enough. Reads up to the high mark while it waits.
    pub(super) fn poll_output(
        &mut self,
        cx: &mut Context<'_>,
        role: Role,
        is_enough: fn(&mut Self) -> bool,
    ) -> Poll<io::Result<()>> {
        let joined = self.waiters.join(role, cx.waker());
        let with = &mut Context::from_waker(joined.as_ref().unwrap_or(cx.waker()));
        if let Poll::Ready(()) = self.poll_connected(with) {
            let drained = self.send(with, role);
            if drained.is_ready() || is_enough(self) {
                return match drained {
                    Poll::Ready(result) => Poll::Ready(result),
                    Poll::Pending => Poll::Ready(Ok(())),
                };
            }
            self.fill_ahead(with, role, false);
        }
        if let Some(end) = &self.writing.end {
            return Poll::Ready(end.answer(Direction::Write).map(|_| ()));
        }
        self.waiters.park(role, cx.waker());
        Poll::Pending
    }

    /// Waits for something to tell, and drives both directions meanwhile.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.pending.take() {
            return Poll::Ready(event);
        }
        let joined = self.waiters.join(Role::Listener, cx.waker());
        let with = &mut Context::from_waker(joined.as_ref().unwrap_or(cx.waker()));
        if let Poll::Ready(()) = self.poll_connected(with) {
            let _ = self.send(with, Role::Listener);
            self.fill_ahead(with, Role::Listener, true);
        }
        if let Some(event) = self.pending.take() {
            return Poll::Ready(event);
        }
        self.waiters.park(Role::Listener, cx.waker());
        Poll::Pending
    }

    /// Reads once, if there is room below `most`.
    fn read_once(
        &mut self,
        cx: &mut Context<'_>,
        role: Role,
        most: usize,
        is_timed: bool,
    ) -> Poll<io::Result<usize>> {
        if let Some(end) = &self.reading.end {
            return Poll::Ready(end.answer(Direction::Read));
        }
        let room = most.saturating_sub(self.input.len());
        if !self.reading.is_enabled || room == 0 {
            return Poll::Pending;
        }
        let mut want = room.min(self.reading.next_fill());
        if self.timing.is_some() && self.transport.is_some() {
            want = ready!(self.poll_allowance(cx, role, want));
        }
        let Some(transport) = &mut self.transport else {
            return self.check_late(Direction::Read, cx, role);
        };
        let filled = (self.seam)(transport, cx, Request::Fill(&mut self.input, want));
        let side = &mut self.reading;
        match filled {
            Poll::Ready(Ok(0)) => {
                self.ended(Direction::Read, End::Eof);
                self.waiters.moved_by(role);
                Poll::Ready(Ok(0))
            }
            Poll::Ready(Ok(count)) => {
                side.adapt(want, count);
                if let Some(timing) = &mut self.timing {
                    timing.moved(Direction::Read, count);
                    self.settle_quota();
                }
                self.waiters.moved_by(role);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(self.fail(Direction::Read, error, role)),
            Poll::Pending => {
                if self.timing.is_some() {
                    self.release_quota();
                }
                match is_timed {
                    true => self.check_late(Direction::Read, cx, role),
                    false => Poll::Pending,
                }
            }
        }
    }

    /// How much of `want` the rate limits and the quota let in now. Asked right before the transport is, and in this order: what the quota lets beyond its limit is
    /// read at once, or given back.
    fn poll_allowance(&mut self, cx: &mut Context<'_>, role: Role, want: usize) -> Poll<usize> {
        let Some(timing) = &mut self.timing else {
            return Poll::Ready(want);
        };
        let want = ready!(timing.poll_grant(Direction::Read, want, cx));
        match self.poll_quota(cx.waker(), role == Role::Reader) {
            0 => Poll::Pending,
            room => Poll::Ready(want.min(room)),
        }
    }

    /// Reads what comes while somebody waits for something else, up to the high mark, and after that not before the low one is reached again.
    ///
    /// After as many reads as a poll may make the task is woken, so that others have their turn.
    fn fill_ahead(&mut self, cx: &mut Context<'_>, role: Role, is_timed: bool) {
        self.reading.settle(self.input.len());
        for _ in 0..ROUNDS {
            if self.reading.is_full || self.reading.end.is_some() {
                return;
            }
            let filled = self.read_once(cx, role, self.reading.high(), is_timed);
            self.reading.settle(self.input.len());
            if !matches!(filled, Poll::Ready(Ok(1..))) {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    /// Writes until there is nothing left, and has it passed on. `Ready(Ok)` when the output is empty and with the transport's peer or kernel.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, role: Role) -> Poll<io::Result<()>> {
        if self.output.is_empty() && !self.writing.is_held {
            return Poll::Ready(match self.writing.end.as_deref() {
                // Closed and everything sent: there is nothing to complain of.
                Some(End::Closed) | None => Ok(()),
                Some(end) => end.answer(Direction::Write).map(|_| ()),
            });
        }
        let before = self.output.len();
        let result = self.send_some(cx, role);
        self.writing.settle(self.output.len());
        if self.output.len() < before {
            self.settle_quota();
            self.waiters.moved_by(role);
        }
        result
    }

    fn send_some(&mut self, cx: &mut Context<'_>, role: Role) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            let side = &mut self.writing;
            if let Some(end) = &side.end {
                return Poll::Ready(end.answer(Direction::Write).map(|_| ()));
            }
            if !side.is_enabled {
                return Poll::Pending;
            }
            let Some(transport) = &mut self.transport else {
                return self.check_late(Direction::Write, cx, role).map_ok(|_| ());
            };
            let request = if self.output.is_empty() {
                Request::Flush
            } else {
                let mut most = side.max_single();
                if let Some(timing) = &mut self.timing {
                    let want = most.min(self.output.len());
                    most = ready!(timing.poll_grant(Direction::Write, want, cx));
                }
                Request::Drain(&mut self.output, most)
            };
            let is_flush = matches!(request, Request::Flush);
            match (self.seam)(transport, cx, request) {
                Poll::Ready(Ok(_)) if is_flush => {
                    side.is_held = false;
                    if let Some(timing) = &mut self.timing {
                        timing.stop(Direction::Write);
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(0)) => {
                    let error = io::Error::new(
                        io::ErrorKind::WriteZero,
                        "the stream below accepts no more bytes, and says neither that it would block nor why",
                    );
                    return Poll::Ready(self.fail(Direction::Write, error, role).map(|_| ()));
                }
                Poll::Ready(Ok(count)) => {
                    side.is_held = side.has_flush;
                    let is_done = self.output.is_empty() && !side.is_held;
                    if let Some(timing) = &mut self.timing {
                        timing.moved(Direction::Write, count);
                        if is_done {
                            timing.stop(Direction::Write);
                        }
                    }
                    if is_done {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(self.fail(Direction::Write, error, role).map(|_| ()));
                }
                Poll::Pending => return self.check_late(Direction::Write, cx, role).map_ok(|_| ()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Passes the end of writing on, once the output is sent.
    pub(super) fn poll_shut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_output(cx, Role::Writer, |_| false))?;
        if let Some(End::Closed) = self.writing.end.as_deref() {
            return Poll::Ready(Ok(()));
        }
        let joined = self.waiters.join(Role::Writer, cx.waker());
        let with = &mut Context::from_waker(joined.as_ref().unwrap_or(cx.waker()));
        let closed = match &mut self.transport {
            Some(transport) => (self.seam)(transport, with, Request::Close),
            None => Poll::Ready(Ok(0)),
        };
        match closed {
            Poll::Ready(Ok(_)) => {
                self.ended(Direction::Write, End::Closed);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                Poll::Ready(self.fail(Direction::Write, error, Role::Writer).map(|_| ()))
            }
            Poll::Pending => {
                let late = self.check_late(Direction::Write, with, Role::Writer);
                self.waiters.park(Role::Writer, cx.waker());
                late.map_ok(|_| ())
            }
        }
    }

    /// The transport would block: has it done so for too long?
    #[inline(always)]
    pub(super) fn check_late(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
        role: Role,
    ) -> Poll<io::Result<usize>> {
        match self.timing {
            None => Poll::Pending,
            Some(_) => self.check_timer(direction, cx, role),
        }
    }

    #[inline(never)]
    fn check_timer(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
        role: Role,
    ) -> Poll<io::Result<usize>> {
        let Some(timing) = &mut self.timing else {
            return Poll::Pending;
        };
        if current::budget_left() == 0 {
            // Perhaps it was not asked, because the task has done enough for one poll. The next one tells.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(timing.poll(direction, cx));
        self.ended(direction, End::TimedOut);
        self.waiters.moved_by(role);
        Poll::Ready(End::TimedOut.answer(direction))
    }

    fn fail(&mut self, direction: Direction, error: io::Error, role: Role) -> io::Result<usize> {
        let end = End::from(error);
        let answer = end.answer(direction);
        self.ended(direction, end);
        self.waiters.moved_by(role);
        answer
    }
}

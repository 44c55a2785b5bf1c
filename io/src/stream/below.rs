//! A stream as the transport of another: what filters and TLS do with the stream below them.
//!
//! ```text
//! upper stream ──Fill──▶ filter, TLS ──poll_more──▶ input of the lower stream, and its transport
//!              ──Drain─▶             ──poll_room──▶ its output, below the high mark
//!              ──Flush─▶             ──poll_sent──▶ all of it to its transport
//! ```
//!
//! Nobody else waits for the lower stream, so whoever waits for the upper one drives both.
//!
//! Invariants
//! 1. An end of the lower stream is answered as what it is, so that the upper one ends the same way: end of stream, timeout, error (FI-13).
//! 2. A wait for input sends as well, and may finish what was pending there a moment ago. Then nothing below will wake for it any more, so
//!    the waker is woken here. So it is when closing reads.

use std::io;
use std::task::{Context, Poll, ready};

use super::side::End;
use super::waiters::Role;
use super::{BufferedStream, Direction, Event};
use crate::Buffer;

/// The lower stream.
pub(crate) struct Below<S> {
    pub(crate) stream: BufferedStream<S>,
    /// A timeout of the lower stream has been answered. The upper one asks again only when it has been enabled, and that is meant for both.
    told_late: [bool; 2],
    /// What was answered with `Pending` last, of writing.
    pending: Option<Wait>,
}

/// What the upper stream's writing waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Room,
    Sent,
}

impl<S> BufferedStream<S> {
    /// The transport has something to send although nothing has come through this stream.
    pub(crate) fn with_held(mut self, is_held: bool) -> Self {
        self.writing.is_held |= is_held;
        self
    }
}

impl<S> Below<S> {
    pub(crate) fn new(stream: BufferedStream<S>) -> Below<S> {
        Below {
            stream,
            told_late: [false; 2],
            pending: None,
        }
    }

    /// Is there something to send?
    pub(crate) fn has_output(&self) -> bool {
        !self.stream.output.is_empty() || self.stream.writing.is_held
    }

    /// Is there a connect to be waited for?
    pub(crate) fn is_connecting(&self) -> bool {
        self.stream.connecting.is_some()
    }

    /// Waits for the lower stream's connect, whose events become the upper stream's.
    pub(crate) fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.stream;
        ready!(stream.poll_connected(cx));
        let mut is_late = false;
        while let Some(event) = stream.pending.take() {
            is_late |= matches!(event, Event::Timeout(_));
        }
        Poll::Ready(match &stream.writing.end {
            Some(_) if is_late => End::TimedOut.answer(Direction::Write).map(|_| ()),
            Some(end) => end.answer(Direction::Write).map(|_| ()),
            None => Ok(()),
        })
    }

    pub(crate) fn input(&mut self) -> &mut Buffer {
        &mut self.stream.input
    }

    pub(crate) fn output(&mut self) -> &mut Buffer {
        &mut self.stream.output
    }

    /// Reads more into the input, up to its high mark; 0 is the end of the stream.
    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.revive(Direction::Read);
        let stream = &mut self.stream;
        let high = stream.reading.high();
        stream.reading.settle(stream.input.len());
        if stream.input.len() >= high && stream.reading.end.is_none() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "more is needed at once than the high mark of the stream below allows: set a higher one there",
            )));
        }
        let more = stream.poll_input(cx, Role::Reader, high);
        let is_over = match self.pending {
            None => false,
            Some(_) if stream.writing.end.is_some() => true,
            Some(Wait::Room) => stream.space() > 0,
            Some(Wait::Sent) => stream.output.is_empty() && !stream.writing.is_held,
        };
        if is_over {
            self.pending = None;
            cx.waker().wake_by_ref();
        }
        let more = ready!(more);
        self.note(Direction::Read);
        Poll::Ready(more)
    }

    /// Waits until the output is below its high mark, and answers how much more fits.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.stream.space() == 0 || self.stream.writing.end.is_some() {
            ready!(self.poll_send(cx, Wait::Room))?;
        }
        // A quota may be used up again by another thread: a byte more does no harm.
        Poll::Ready(Ok(self.stream.space().max(1)))
    }

    /// Sends all there is.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx, Wait::Sent)
    }

    /// Sends all there is, and then tells the peer that no more comes. Reads up to the high mark while it waits: the upper stream, which is
    /// closing, does not.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.revive(Direction::Write);
        let seen = self.seen();
        let closed = self.stream.poll_shut(cx);
        if self.seen() != seen {
            cx.waker().wake_by_ref();
        }
        self.wrote(closed, Wait::Sent)
    }

    /// As a writer waits, without reading ahead, which is for the upper stream to decide (FI-4).
    fn poll_send(&mut self, cx: &mut Context<'_>, wait: Wait) -> Poll<io::Result<()>> {
        self.revive(Direction::Write);
        let stream = &mut self.stream;
        let joined = stream.waiters.join(Role::Writer, cx.waker());
        let with = &mut Context::from_waker(joined.as_ref().unwrap_or(cx.waker()));
        let mut sent = match stream.poll_connected(with) {
            Poll::Ready(()) => stream.send(with, Role::Writer),
            Poll::Pending => Poll::Pending,
        };
        if sent.is_pending() {
            let has_room = wait == Wait::Room && stream.space() > 0;
            match &stream.writing.end {
                Some(end) => sent = Poll::Ready(end.answer(Direction::Write).map(|_| ())),
                None if has_room => sent = Poll::Ready(Ok(())),
                None => stream.waiters.park(Role::Writer, cx.waker()),
            }
        }
        self.wrote(sent, wait)
    }

    fn wrote(&mut self, sent: Poll<io::Result<()>>, wait: Wait) -> Poll<io::Result<()>> {
        self.pending = sent.is_pending().then_some(wait);
        let sent = ready!(sent);
        self.note(Direction::Write);
        Poll::Ready(sent)
    }

    /// What a reader of the upper stream waits for.
    fn seen(&self) -> (usize, bool) {
        (self.stream.input.len(), self.stream.reading.end.is_some())
    }

    fn is_late(&self, direction: Direction) -> bool {
        let side = self.stream.side(direction);
        side.end.iter().any(|end| end.is_timeout())
    }

    /// What is answered next is how the direction has ended, if it has.
    fn note(&mut self, direction: Direction) {
        self.told_late[direction as usize] = self.is_late(direction);
    }

    fn revive(&mut self, direction: Direction) {
        if std::mem::take(&mut self.told_late[direction as usize]) && self.is_late(direction) {
            self.stream.enable(direction);
        }
    }
}

//! A stage between two streams that changes the bytes: compression, framing, masking.
//!
//! ```text
//!   upper stream          input ◀───── incoming ◀───── input            lower stream, and
//!   BufferedStream                     Stage                            its transport S
//!   <Filter<S, T>>        output ─▶ unsent ─▶ outgoing ─▶ output
//! ```
//!
//! The stage works from one buffer into the other; there is no read and no write in between. As with every stream it runs when somebody waits,
//! so an idle filter takes nothing from the network (FI-4), and a full one goes on when there is room, since whoever made it waits for
//! the same thing (FI-11).
//!
//! Invariants
//! 1. The incoming stage is called only if something has changed since it said `NeedMore`: more bytes, or that no more will come.
//! 2. `Flush` and `Finished` are repeated until the stage has nothing to give; the end of the stream is passed on after that (FI-13).
//! 3. Nothing is given to the outgoing stage while the lower output is at its high mark.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use super::BufferedStream;
use super::below::Below;
use super::seam::Request;
use super::stage::{Mode, Progress, Stage};
use crate::Buffer;

/// How often one poll calls a stage that moves bytes and gives none, or waits for a stream that always has some: then others have their turn.
const ROUNDS: usize = 64;

/// The transport of a stream made by [`BufferedStream::filter`]: a stream and a stage.
pub struct Filter<S, T> {
    below: Below<S>,
    stage: T,
    /// With how many bytes in the source the incoming stage said that it needs more; `None` if it may have more to give.
    starved_at: Option<usize>,
    incoming: Incoming,
    /// Taken from the upper stream, and not yet by the stage, which may want to see more at once than comes at once.
    unsent: Buffer,
    outgoing: Outgoing,
    /// `close` does not close the stream below.
    keeps_open: bool,
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incoming {
    Open,
    /// The stream below has ended, and the stage may have a tail.
    Ending,
    Ended,
}

/// What the outgoing stage has been told of the bytes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outgoing {
    /// It may take more of them when there is room.
    Busy,
    /// It has seen all, and may keep some back.
    Idle,
    Flushed,
    Finished,
}

/// What a [`Filter`] is made of.
#[derive(Debug)]
pub struct FilterParts<S, T> {
    /// The stream below, with the bytes that the stage has not read in its input, and those not sent in its output.
    pub inner: BufferedStream<S>,
    /// The stage.
    pub stage: T,
    /// Bytes that were written and that the stage has not taken.
    pub unsent: Buffer,
}

impl<S> BufferedStream<S> {
    /// A stream whose bytes pass through `stage` on their way from and to this one (FI-1).
    ///
    /// The new stream has buffers, marks and timeouts of its own. This one is [`inner`](Filter::inner) from then on: its settings may be
    /// changed, and its bytes had better be left alone. What it had read already comes through the stage, what was written is sent first. If it
    /// is still connecting, the new stream is, too, and tells of it (FI-5).
    ///
    /// - `flush`, and every wait that sends, calls the stage with [`Mode::Flush`] and then flushes the stream below.
    /// - `close` calls it with [`Mode::Finished`] and then closes the stream below, unless it is [kept open](Filter::keep_open).
    /// - At the end of the stream it is called with [`Mode::Finished`], and what it still has is read before the end (FI-13).
    /// - An error of the stage ends the direction with that error (FI-12). So do ends, errors and timeouts of the stream below, and enabling a
    ///   direction after a timeout does so there.
    /// - A stage that needs more at once than the high mark of the stream below fails with `QuotaExceeded`.
    ///
    /// Filters stack: the result can be filtered. Dropping it drops all of it, and sends nothing.
    ///
    /// # Examples
    ///
    /// See [`Stage`].
    pub fn filter<T: Stage>(self, stage: T) -> BufferedStream<Filter<S, T>> {
        let filter = Filter {
            below: Below::new(self),
            stage,
            starved_at: Some(0),
            incoming: Incoming::Open,
            unsent: Buffer::new(),
            outgoing: Outgoing::Flushed,
            keeps_open: false,
        };
        let is_held = filter.below.has_output();
        let upper = match filter.below.is_connecting() {
            false => BufferedStream::over(filter, seam),
            true => BufferedStream::over_connecting(filter, seam, |filter, cx| {
                filter.below.poll_connected(cx)
            }),
        };
        upper.with_held(is_held)
    }
}

impl<S, T> Filter<S, T> {
    /// The stream below.
    pub fn inner(&self) -> &BufferedStream<S> {
        &self.below.stream
    }

    /// The stream below, for its settings (FI-3).
    pub fn inner_mut(&mut self) -> &mut BufferedStream<S> {
        &mut self.below.stream
    }

    /// The stage.
    pub fn stage(&self) -> &T {
        &self.stage
    }

    /// The stage.
    pub fn stage_mut(&mut self) -> &mut T {
        &mut self.stage
    }

    /// Lets `close` of the upper stream finish the stage and send what there is, and leave the stream below open for what comes next on it.
    pub fn keep_open(&mut self) {
        self.keeps_open = true;
    }

    /// Gives the stream below back, and the stage (FI-16). The upper stream gives the filter: [`into_parts`](BufferedStream::into_parts).
    ///
    /// Nothing is sent. After `flush` or `close` nothing is unsent.
    pub fn into_parts(self) -> FilterParts<S, T> {
        FilterParts {
            inner: self.below.stream,
            stage: self.stage,
            unsent: self.unsent,
        }
    }

    /// Only the stream below.
    pub fn into_inner(self) -> BufferedStream<S> {
        self.below.stream
    }
}

impl<S, T: Stage> Filter<S, T> {
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        for _ in 0..ROUNDS {
            if self.incoming == Incoming::Ended {
                return Poll::Ready(Ok(0));
            }
            let is_ending = self.incoming == Incoming::Ending;
            if is_ending || self.starved_at != Some(self.below.input().len()) {
                let produced = self.call_incoming(buffer, most)?;
                if produced > 0 {
                    return Poll::Ready(Ok(produced));
                }
                if self.starved_at.is_none() {
                    continue;
                }
                if is_ending {
                    self.incoming = Incoming::Ended;
                    if !self.below.input().is_empty() {
                        return Poll::Ready(Err(cut_off()));
                    }
                    continue;
                }
            }
            if ready!(self.below.poll_more(cx))? == 0 {
                self.incoming = Incoming::Ending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One call of the stage. Answers how much it appended.
    fn call_incoming(&mut self, buffer: &mut Buffer, most: usize) -> io::Result<usize> {
        let mode = match self.incoming {
            Incoming::Open => Mode::Normal,
            _ => Mode::Finished,
        };
        let source = self.below.input();
        let before = (source.len(), buffer.len());
        let progress = self.stage.incoming(source, buffer, most, mode)?;
        let after = (source.len(), buffer.len());
        let is_starved = progress == Progress::NeedMore || before == after;
        self.starved_at = is_starved.then_some(after.0);
        Ok(after.1.saturating_sub(before.1))
    }

    fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        if self.outgoing == Outgoing::Busy {
            ready!(self.poll_outgoing(cx, Mode::Normal))?;
        }
        ready!(self.below.poll_room(cx))?;
        let taken = self.unsent.append_from(buffer, most)?;
        self.outgoing = Outgoing::Busy;
        // They are taken, whether there is room for all of them or not.
        match self.poll_outgoing(cx, Mode::Normal) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    /// Calls the stage until it has nothing more to give.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>, mode: Mode) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            let room = ready!(self.below.poll_room(cx))?;
            let destination = self.below.output();
            let before = (self.unsent.len(), destination.len());
            let progress = self
                .stage
                .outgoing(&mut self.unsent, destination, room, mode)?;
            if progress == Progress::NeedMore || before == (self.unsent.len(), destination.len()) {
                self.outgoing = match mode {
                    Mode::Normal => Outgoing::Idle,
                    Mode::Flush => Outgoing::Flushed,
                    Mode::Finished => Outgoing::Finished,
                };
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Outgoing::Busy | Outgoing::Idle = self.outgoing {
            ready!(self.poll_outgoing(cx, Mode::Flush))?;
        }
        self.below.poll_sent(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing != Outgoing::Finished {
            ready!(self.poll_outgoing(cx, Mode::Finished))?;
        }
        if !self.unsent.is_empty() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the stage was told that these are the last bytes, and has not taken all of them",
            )));
        }
        match self.keeps_open {
            true => self.below.poll_sent(cx),
            false => self.below.poll_closed(cx),
        }
    }
}

fn cut_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the stream below has ended, and the stage needs more to make something of its last bytes",
    )
}

fn seam<S, T: Stage>(
    filter: &mut Filter<S, T>,
    cx: &mut Context<'_>,
    request: Request<'_>,
) -> Poll<io::Result<usize>> {
    match request {
        Request::Fill(buffer, most) => filter.poll_fill(cx, buffer, most),
        Request::Drain(buffer, most) => filter.poll_drain(cx, buffer, most),
        Request::Flush => filter.poll_flush(cx).map_ok(|()| 0),
        Request::Close => filter.poll_close(cx).map_ok(|()| 0),
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Filter<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("inner", &self.below.stream)
            .field("incoming", &self.incoming)
            .field("unsent", &self.unsent.len())
            .field("outgoing", &self.outgoing)
            .finish_non_exhaustive()
    }
}

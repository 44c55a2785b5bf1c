//! One direction: read, write, and so on until the end.
//!
//! ```text
//!        ┌────────────────── all written ───────────────────┐
//!        ▼                                                  │
//!   ask the way ── bytes ──▶ deliver ◀── bytes ── read ─────┘
//!        │ nothing this way                        ▲ │
//!        └─────────────────────────────────────────┘ └── end ──▶ flush or close ──▶ done
//! ```
//!
//! Only a read decides that there is nothing, or no more: see `pipe`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use super::error::{Action, Failure, accepts_nothing, claims_too_much};
use crate::buffer::pool::{Block, LARGE};

/// How many times a poll reads, or writes, before others have their turn: half a mebibyte by blocks.
pub(super) const ROUNDS: u32 = 32;

/// How bytes get from one side to the other besides being read and written.
///
/// The state machine tells it of a read that filled its block, asks it for bytes before each read, and has those delivered before it asks
/// again.
pub trait Way: Default + Unpin {
    /// A read has filled its block: there is most likely more.
    fn note_full(&mut self) {}

    /// How many bytes it has taken that are not delivered.
    fn held(&self) -> usize {
        0
    }

    /// Puts bytes that it holds into memory, and says how many.
    fn fetch(&mut self, _memory: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

/// A way that leads from such a reader to such a writer.
pub trait Leads<R: ?Sized, W: ?Sized>: Way {
    /// Takes what the reader has, and says how many bytes that were. 0: read instead.
    fn take(&mut self, _reader: &R) -> io::Result<usize> {
        Ok(0)
    }

    /// Delivers bytes to the writer, and says how many; 0 only if the writer refuses this way: then they are to be fetched and written.
    fn poll_deliver(&mut self, _cx: &mut Context<'_>, _writer: &W) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }
}

/// Bytes are read into memory and written from there: the way of [`copy`](super::copy()), by its name in types.
///
/// # Examples
///
/// ```
/// use levent_io::{Transfer, ThroughMemory};
///
/// /// A copy that a structure keeps.
/// type Copying<'a> = Transfer<'a, &'static [u8], Vec<u8>, ThroughMemory>;
/// ```
#[derive(Debug, Default)]
pub struct ThroughMemory;

impl Way for ThroughMemory {}

impl<R: ?Sized, W: ?Sized> Leads<R, W> for ThroughMemory {}

/// What happens to the writer when everything is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Finish {
    /// It has all the bytes, and may be given more.
    Flush,
    /// It is told that no more come.
    Close,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Open,
    /// The reader has ended.
    Ended,
    Done,
}

/// Reader and writer are handed in at each poll, since two directions share their streams.
pub(super) struct OneWay<V> {
    /// `Some` while `start..end` of it are to be written.
    block: Option<Block>,
    start: usize,
    end: usize,
    copied: u64,
    /// Something was written since the last flush.
    is_dirty: bool,
    phase: Phase,
    finish: Finish,
    way: V,
}

impl<V: Way> OneWay<V> {
    pub(super) fn new(finish: Finish) -> OneWay<V> {
        OneWay {
            block: None,
            start: 0,
            end: 0,
            copied: 0,
            is_dirty: false,
            phase: Phase::Open,
            finish,
            way: V::default(),
        }
    }

    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    pub(super) fn in_transit(&self) -> usize {
        self.end - self.start + self.way.held()
    }

    /// Goes as far as it can. Polled again after it was done, it answers the same; after an error, it tries again.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<Result<u64, Failure>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
        V: Leads<R, W>,
    {
        for _ in 0..ROUNDS {
            if self.block.is_some() {
                ready!(self.poll_write(cx, writer)).map_err(failed(Action::Write))?;
            } else if self.way.held() > 0 {
                ready!(self.poll_deliver(cx, writer)).map_err(failed(Action::Write))?;
            } else {
                match self.phase {
                    Phase::Open => ready!(self.poll_get(cx, reader, writer))?,
                    Phase::Ended => {
                        ready!(self.poll_finish(cx, writer))?;
                        self.phase = Phase::Done;
                    }
                    Phase::Done => return Poll::Ready(Ok(self.copied)),
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Nothing is held: gets bytes, or notes the end.
    fn poll_get<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<Result<(), Failure>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
        V: Leads<R, W>,
    {
        if self.way.take(reader).map_err(failed(Action::Read))? > 0 {
            return Poll::Ready(Ok(()));
        }
        let block = Block::of(LARGE, 0).map_err(failed(Action::Read))?;
        match self.poll_read(cx, reader, block) {
            Poll::Ready(result) => Poll::Ready(result.map_err(failed(Action::Read))),
            Poll::Pending => {
                // The reader has the waker already; whichever of the two is ready first goes on.
                ready!(self.poll_flush(cx, writer))?;
                Poll::Pending
            }
        }
    }

    fn poll_read<R: AsyncRead + Unpin + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        mut block: Block,
    ) -> Poll<io::Result<()>> {
        // Where it answers nothing, the block goes back to the pool.
        match ready!(Pin::new(reader).poll_read(cx, &mut block)) {
            Ok(0) => self.phase = Phase::Ended,
            Ok(count) if count > block.len() => return Poll::Ready(Err(claims_too_much())),
            Ok(count) => {
                if count == block.len() {
                    self.way.note_full();
                }
                (self.start, self.end) = (0, count);
                self.block = Some(block);
            }
            // Counts as a round, so that it cannot go on for ever.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        let Some(block) = &self.block else {
            return Poll::Ready(Ok(()));
        };
        match ready!(Pin::new(writer).poll_write(cx, &block[self.start..self.end])) {
            Ok(0) => return Poll::Ready(Err(accepts_nothing())),
            Ok(count) if count > self.end - self.start => {
                return Poll::Ready(Err(claims_too_much()));
            }
            Ok(count) => {
                self.start += count;
                if self.start == self.end {
                    self.block = None;
                }
                self.note_written(count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }

    fn poll_deliver<R: ?Sized, W: ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>>
    where
        V: Leads<R, W>,
    {
        match ready!(self.way.poll_deliver(cx, writer))? {
            0 => {
                let mut block = Block::of(LARGE, 0)?;
                let count = self.way.fetch(&mut block)?;
                (self.start, self.end) = (0, count);
                self.block = (count > 0).then_some(block);
            }
            count => self.note_written(count),
        }
        Poll::Ready(Ok(()))
    }

    fn note_written(&mut self, count: usize) {
        self.copied += count as u64;
        self.is_dirty = true;
    }

    fn poll_flush<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<Result<(), Failure>> {
        if self.is_dirty {
            ready!(Pin::new(writer).poll_flush(cx)).map_err(failed(Action::Flush))?;
            self.is_dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_finish<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<Result<(), Failure>> {
        match self.finish {
            Finish::Flush => self.poll_flush(cx, writer),
            // Closing flushes.
            Finish::Close => Pin::new(writer)
                .poll_close(cx)
                .map_err(failed(Action::Close)),
        }
    }
}

fn failed(action: Action) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::new(action, error)
}

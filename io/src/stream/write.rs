//! Writing: into the output at once, out of it while somebody waits.
//!
//! Invariant: a call has put its bytes into the output, or has not, when it returns; no future holds bytes.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::AsyncWrite;

use super::waiters::Role;
use super::{BufferedStream, Direction};
use crate::Buffer;

impl<S> BufferedStream<S> {
    /// How many bytes are in the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    /// Puts as much of `data` into the output as fits below its high mark, and says how much that is. Sends nothing.
    ///
    /// # Errors
    ///
    /// That with which writing has ended: `BrokenPipe` after `close`, `TimedOut`, the transport's.
    pub fn try_write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.put(data, 0)
    }

    /// Puts what there is space for, and `least` bytes at least.
    fn put(&mut self, data: &[u8], least: usize) -> io::Result<usize> {
        self.check_writable()?;
        let count = data.len().min(self.space().max(least));
        self.add(|output| output.append(&data[..count]))?;
        self.writing.settle(self.output.len());
        Ok(count)
    }

    /// Adds to the output. Whoever is parked sends the first bytes.
    #[inline]
    fn add<R>(&mut self, add: impl FnOnce(&mut Buffer) -> io::Result<R>) -> io::Result<R> {
        let was_empty = self.output.is_empty();
        let result = add(&mut self.output);
        self.settle_quota();
        if was_empty && !self.output.is_empty() {
            self.waiters.wake_parked();
        }
        result
    }

    /// Puts all of `data` into the output, in this call; the future waits until there is room for more.
    ///
    /// So the output exceeds its high mark by at most one call's data, if the future is awaited.
    ///
    /// # Errors
    ///
    /// That with which writing has ended, and then nothing has been put; if it ends while the future waits, how much was sent is unknown, as with any stream.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the bytes are in the output, whether the future is polled, finished or dropped. It waits for room, and not for the bytes to be sent: that is
    /// [`flush`](BufferedStream::flush).
    pub fn write_all(&mut self, data: &[u8]) -> WriteAll<'_, S> {
        let put = self
            .check_writable()
            .and_then(|()| self.add(|output| output.append(data)));
        WriteAll::new(self, put)
    }

    /// As [`write_all`](BufferedStream::write_all), for all bytes of a buffer, which are moved without a copy.
    pub fn write_buffer(&mut self, data: &mut Buffer) -> WriteAll<'_, S> {
        let put = self
            .check_writable()
            .and_then(|()| self.add(|output| output.append_buffer(data).map(drop)));
        WriteAll::new(self, put)
    }

    /// Waits until the output has room: at once below the high mark, and after that when the low mark is reached.
    ///
    /// # Errors
    ///
    /// That with which writing ends meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub fn room(&mut self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|cx| self.poll_room(cx))
    }

    /// Waits until everything that has been written is with the kernel, or with the transport's peer.
    ///
    /// # Errors
    ///
    /// That with which writing has ended, or ends meanwhile; what was not sent is still in the output.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what has not been sent is sent by the next wait.
    pub fn flush(&mut self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|cx| self.poll_output(cx, Role::Writer, |_| false))
    }

    /// Sends what there is, and then tells the peer that no more comes. Reading goes on.
    ///
    /// # Errors
    ///
    /// As [`flush`](BufferedStream::flush), and those of the transport's end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call it again.
    pub fn close(&mut self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|cx| self.poll_shut(cx))
    }

    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.space() > 0 {
            return Poll::Ready(self.check_writable());
        }
        // Of a quota that is used up, this stream has a part, which it sends now; or others let go first.
        self.wait_for_quota(cx);
        self.poll_output(cx, Role::Writer, |stream| stream.space() > 0)
    }

    fn check_writable(&self) -> io::Result<()> {
        match &self.writing.end {
            Some(end) => end.answer(Direction::Write).map(|_| ()),
            None => Ok(()),
        }
    }

    /// How many bytes a writer may put now.
    pub(super) fn space(&mut self) -> usize {
        self.writing.settle(self.output.len());
        if self.writing.is_full {
            return 0;
        }
        let space = self.writing.high() - self.output.len();
        match self.timing {
            None => space,
            Some(_) => space.min(self.quota_room()),
        }
    }
}

impl<S> AsyncWrite for BufferedStream<S> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(this.poll_room(cx))?;
        // A quota may have been used up again by another thread, and 0 bytes would look like the end: one byte more does no harm.
        Poll::Ready(this.put(buf, 1))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        ready!(this.poll_room(cx))?;
        let mut total = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            let count = this.put(buf, usize::from(total == 0))?;
            total += count;
            if count < buf.len() {
                break;
            }
        }
        Poll::Ready(Ok(total))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_output(cx, Role::Writer, |_| false)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shut(cx)
    }
}

/// Waits for room, after the bytes have been put into the output: the future of [`BufferedStream::write_all`].
#[must_use = "the bytes are in the output already; await this so as not to run ahead of the peer"]
pub struct WriteAll<'a, S> {
    stream: &'a mut BufferedStream<S>,
    /// Why nothing could be put, until it has been told.
    refused: Option<io::Error>,
}

impl<'a, S> WriteAll<'a, S> {
    fn new(stream: &'a mut BufferedStream<S>, put: io::Result<()>) -> Self {
        WriteAll {
            stream,
            refused: put.err(),
        }
    }
}

impl<S> Future for WriteAll<'_, S> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.refused.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => self.stream.poll_room(cx),
        }
    }
}

impl<S> fmt::Debug for WriteAll<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAll")
            .field("output", &self.stream.output.len())
            .field("refused", &self.refused)
            .finish()
    }
}

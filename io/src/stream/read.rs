//! Reading: helpers that take bytes when they have all they want, and the traits.
//!
//! Invariant: between two polls nothing of a helper's result exists but in the input. What is remembered in a future is only where to look on.

use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead};

use super::side::End;
use super::waiters::Role;
use super::{BufferedStream, Event, frame};
use crate::Buffer;
use crate::buffer::Eol;

impl<S> BufferedStream<S> {
    /// How many bytes are in the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input.len()
    }

    /// Waits until there is something in the input, and at least as many bytes as its low mark. Answers how many there are; 0 is the end of the stream.
    ///
    /// The bytes are in [`input`](BufferedStream::input), from where they can be moved without a copy. If they are not taken, the next call is ready at once: one
    /// that needs more than there is calls [`fill_more`](BufferedStream::fill_more).
    ///
    /// # Errors
    ///
    /// `TimedOut`; the transport's, when all that came before it has been taken.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what came is in the input.
    ///
    /// # Examples
    ///
    /// An echo that copies nothing, and does not run ahead of a peer that reads slowly:
    ///
    /// ```
    /// # async fn example<S>(mut stream: levent_io::stream::BufferedStream<S>) -> std::io::Result<()> {
    /// while stream.fill().await? > 0 {
    ///     let (mut input, mut output) = stream.buffers();
    ///     output.append_buffer(&mut input)?;
    ///     stream.room().await?;
    /// }
    /// stream.close().await
    /// # }
    /// ```
    pub fn fill(&mut self) -> impl Future<Output = io::Result<usize>> {
        poll_fn(|cx| {
            ready!(self.poll_low_mark(cx))?;
            Poll::Ready(Ok(self.input.len()))
        })
    }

    /// Waits until more bytes are in the input than at the call, and at least as many as its low mark. Answers how many came; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// `QuotaExceeded` if the input is at its high mark; `TimedOut`; the transport's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what came is in the input.
    pub fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>> {
        let before = self.input.len();
        poll_fn(move |cx| self.poll_more(cx, before))
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, before: usize) -> Poll<io::Result<usize>> {
        loop {
            let len = self.input.len();
            if self.is_at_end() || (len > before && len >= self.reading.low()) {
                return Poll::Ready(Ok(len.saturating_sub(before)));
            }
            if len >= self.reading.high() {
                return Poll::Ready(Err(too_long()));
            }
            ready!(self.poll_input(cx, Role::Reader, self.reading.high()))?;
        }
    }

    /// Fills `buf` completely, or takes nothing.
    ///
    /// Up to `buf.len()` bytes gather in the input, whatever its high mark.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream ends before, and what there is stays in the input; `TimedOut`; the transport's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, unlike that of `AsyncReadExt`: a future that is dropped has taken nothing.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        poll_fn(|cx| self.poll_len(cx, buf.len())).await?;
        if self.input.len() < buf.len() {
            return Err(cut_off());
        }
        self.input.read_exact(buf)?;
        self.taken();
        Ok(())
    }

    /// Waits until `count` bytes are in the input, and shows them; fewer only at the end of the stream. Takes nothing.
    ///
    /// # Errors
    ///
    /// `TimedOut`; the transport's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken in any case.
    pub async fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        poll_fn(|cx| self.poll_len(cx, count)).await?;
        self.input.pull_up(count.min(self.input.len()))
    }

    /// Bytes have left the input.
    pub(super) fn taken(&mut self) {
        let was_full = self.reading.is_full;
        self.reading.settle(self.input.len());
        self.settle_quota();
        if was_full && !self.reading.is_full {
            // Who reads ahead goes on.
            self.waiters.wake_parked();
        }
    }

    /// Has the peer sent its last byte? Some may be in the input.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.reading.end.as_deref(), Some(End::Eof))
    }

    /// `Ready` when there are that many bytes, or no more will come.
    fn poll_len(&mut self, cx: &mut Context<'_>, count: usize) -> Poll<io::Result<()>> {
        let most = self.reading.high().max(count);
        while self.input.len() < count && !self.is_at_end() {
            ready!(self.poll_input(cx, Role::Reader, most))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes everything up to and including `delimiter`; at the end of the stream what is left, and then `None`.
    ///
    /// # Errors
    ///
    /// `QuotaExceeded` if the input reaches its high mark without a delimiter; `InvalidInput` for an empty one; `TimedOut`; the transport's. Nothing is taken then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken nothing.
    pub async fn read_until(&mut self, delimiter: &[u8]) -> io::Result<Option<Vec<u8>>> {
        frame::check_delimiter(delimiter)?;
        let mut looked_at = 0;
        self.take_with(|input, is_end| {
            let found = input.search_in(delimiter, looked_at..);
            // A delimiter may have begun within the last bytes.
            looked_at = (input.len() + 1).saturating_sub(delimiter.len());
            take_or_rest(input, found.map(|at| at + delimiter.len()), is_end)
        })
        .await
    }

    /// Takes a line, without its end; at the end of the stream what is left, and then `None`.
    ///
    /// # Errors
    ///
    /// `QuotaExceeded` if the input reaches its high mark without an end of line: the longest line is as long as that; `TimedOut`; the transport's. Nothing is
    /// taken then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken nothing.
    pub async fn read_line(&mut self, eol: Eol) -> io::Result<Option<Vec<u8>>> {
        self.take_with(|input, is_end| match input.take_line(eol)? {
            Some(line) => Ok(Some(Some(line))),
            None => take_or_rest(input, None, is_end),
        })
        .await
    }

    /// Takes the next message that `decoder` finds; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream ends within a message, which stays in the input; `QuotaExceeded` if a message is longer than the input's high mark; the decoder's;
    /// `TimedOut`; the transport's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # levent_executor::block_on(async {
    /// use levent_io::stream::{LengthPrefixed, pair};
    ///
    /// let (mut sender, mut receiver) = pair();
    /// sender.write_all(b"\x00\x05hello\x00\x00").await?;
    /// sender.close().await?;
    /// let mut decoder = LengthPrefixed::new(2)?;
    /// assert_eq!(receiver.read_frame(&mut decoder).await?.as_deref(), Some(&b"hello"[..]));
    /// assert_eq!(receiver.read_frame(&mut decoder).await?.as_deref(), Some(&b""[..]));
    /// assert_eq!(receiver.read_frame(&mut decoder).await?, None);
    /// # Ok(()) })
    /// # }
    /// ```
    pub async fn read_frame<D: super::Decoder>(
        &mut self,
        decoder: &mut D,
    ) -> io::Result<Option<D::Item>> {
        let mut search = frame::Search::default();
        self.take_with(|input, is_end| search.take(decoder, input, is_end))
            .await
    }

    /// Waits for the next [`Event`], and meanwhile sends the output and reads up to the high mark.
    ///
    /// Each event is told once; several ends of the same kind between two calls are one. When both directions have ended and that has been told, this waits until something is enabled
    /// or there is another transport.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event that has not been answered is still there.
    pub fn event(&mut self) -> impl Future<Output = Event> {
        poll_fn(|cx| self.poll_event(cx))
    }

    /// The next event, if there is one already.
    pub fn take_event(&mut self) -> Option<Event> {
        self.pending.take()
    }

    /// Asks `take` for a result, with more input each time; at the end of the stream it has to have one.
    async fn take_with<T>(
        &mut self,
        mut take: impl FnMut(&mut Buffer, bool) -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        poll_fn(|cx| {
            loop {
                let is_end = self.is_at_end();
                if let Some(taken) = take(&mut self.input, is_end)? {
                    self.taken();
                    return Poll::Ready(Ok(taken));
                }
                let high = self.reading.high();
                if self.input.len() >= high {
                    return Poll::Ready(Err(too_long()));
                }
                ready!(self.poll_input(cx, Role::Reader, high))?;
            }
        })
        .await
    }
}

/// `Some` when it is decided: the first `found` bytes, or at the end all that is left, or that there is nothing.
fn take_or_rest(
    input: &mut Buffer,
    found: Option<usize>,
    is_end: bool,
) -> io::Result<Option<Option<Vec<u8>>>> {
    match found {
        Some(count) => Ok(Some(Some(input.take_vec(count)?))),
        None if !is_end => Ok(None),
        None if input.is_empty() => Ok(Some(None)),
        None => Ok(Some(Some(input.take_vec(input.len())?))),
    }
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::QuotaExceeded,
        "the input is at its high mark: take bytes from it, or set a higher mark",
    )
}

pub(super) fn cut_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the stream has ended before all was there: what came is still in the input",
    )
}

impl<S> AsyncRead for BufferedStream<S> {
    /// Takes what is there, when at least the low mark's number of bytes is, or the end.
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let this = &mut *self;
        ready!(this.poll_low_mark(cx))?;
        let count = this.input.read(buf)?;
        this.taken();
        Poll::Ready(Ok(count))
    }
}

impl<S> AsyncBufRead for BufferedStream<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_low_mark(cx))?;
        // What is not in memory yet, a part of a file that came through a pair, is read now.
        let count = this.input.contiguous_len();
        Poll::Ready(this.input.pull_up(count))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        let this = &mut *self;
        // Refused only if the front is frozen, and this buffer's never is.
        let _ = this.input.drain(amount);
        this.taken();
    }
}

impl<S> BufferedStream<S> {
    /// `Ready` when a plain read has something to take: one byte, or as many as the low mark says, or the end.
    fn poll_low_mark(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let low = self.reading.low().max(1);
        while self.input.len() < low && !self.is_at_end() {
            let most = self.reading.high().max(low);
            if let Err(error) = ready!(self.poll_input(cx, Role::Reader, most)) {
                // What came before the error is readable.
                if self.input.is_empty() {
                    return Poll::Ready(Err(error));
                }
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

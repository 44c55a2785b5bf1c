//! From a reader that has a buffer of its own.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncWrite};

use super::error::{Action, Failure, accepts_nothing, claims_too_much};
use super::one_way::ROUNDS;

/// Copies everything from a buffered reader to a writer, without memory of its own, and returns how many bytes that were.
///
/// As [`copy`](super::copy()) otherwise.
///
/// # Errors
///
/// As [`copy`](super::copy()).
///
/// # Cancel safety
///
/// Cancel safe: what was read and not written is still in the reader's buffer.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # futures_lite::future::block_on(async {
/// let mut reader = futures_lite::io::BufReader::new(&b"hello"[..]);
/// let mut writer = Vec::new();
/// assert_eq!(levent_io::copy_buf(&mut reader, &mut writer).await?, 5);
/// # Ok(()) })
/// # }
/// ```
pub fn copy_buf<'a, R, W>(reader: &'a mut R, writer: &'a mut W) -> CopyBuf<'a, R, W>
where
    R: AsyncBufRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    CopyBuf {
        reader,
        writer,
        copied: 0,
        is_dirty: false,
    }
}

/// The future of [`copy_buf`](copy_buf()), which has an example.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct CopyBuf<'a, R: ?Sized, W: ?Sized> {
    reader: &'a mut R,
    writer: &'a mut W,
    copied: u64,
    /// Something was written since the last flush.
    is_dirty: bool,
}

impl<R, W> CopyBuf<'_, R, W>
where
    R: AsyncBufRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    /// How many bytes the writer has accepted so far.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.copied
    }

    /// One piece; true at the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        let bytes = match Pin::new(&mut *self.reader).poll_fill_buf(cx) {
            Poll::Ready(Ok(bytes)) if !bytes.is_empty() => bytes,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                return Poll::Ready(Ok(false));
            }
            Poll::Ready(Err(error)) => {
                return Poll::Ready(Err(Failure::new(Action::Read, error)));
            }
            // The end, or nothing for now: the writer is to pass on what it has.
            answer => {
                if self.is_dirty {
                    ready!(Pin::new(&mut *self.writer).poll_flush(cx))
                        .map_err(|error| Failure::new(Action::Flush, error))?;
                    self.is_dirty = false;
                }
                return match answer {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(_) => Poll::Ready(Ok(true)),
                };
            }
        };
        let len = bytes.len();
        let error = match ready!(Pin::new(&mut *self.writer).poll_write(cx, bytes)) {
            Ok(0) => accepts_nothing(),
            Ok(count) if count > len => claims_too_much(),
            Ok(count) => {
                Pin::new(&mut *self.reader).consume(count);
                self.copied += count as u64;
                self.is_dirty = true;
                return Poll::Ready(Ok(false));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Poll::Ready(Ok(false));
            }
            Err(error) => error,
        };
        Poll::Ready(Err(Failure::new(Action::Write, error)))
    }
}

impl<R, W> Future for CopyBuf<'_, R, W>
where
    R: AsyncBufRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = &mut *self;
        for _ in 0..ROUNDS {
            let is_end = ready!(this.poll_piece(cx));
            if is_end.map_err(|failure| failure.between("the reader", "the writer"))? {
                return Poll::Ready(Ok(this.copied));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: ?Sized, W: ?Sized> fmt::Debug for CopyBuf<'_, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyBuf")
            .field("copied", &self.copied)
            .finish_non_exhaustive()
    }
}

//! Any stream with a limit: what lies above it, TLS for example, is limited by what is on the wire (RL-19, TL-12).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use levent_reactor::lane::Direction;

use super::Limiter;

/// A stream that obeys a [`Limiter`].
///
/// # Examples
///
/// ```no_run
/// # async fn example(socket: levent_io::net::TcpStream) -> std::io::Result<()> {
/// use futures_lite::AsyncReadExt;
/// use levent_io::limit::{Limit, Limited};
///
/// let mut slow = Limited::new(socket);
/// slow.limiter_mut().set_limit(Some(Limit::per_second(50_000)?));
/// let n = slow.read(&mut [0; 4096]).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Limited<S> {
    stream: S,
    limiter: Limiter,
}

impl<S> Limited<S> {
    /// Limits nothing as yet.
    pub fn new(stream: S) -> Limited<S> {
        Limited {
            stream,
            limiter: Limiter::new(),
        }
    }

    /// The limits.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The limits, to change them.
    pub fn limiter_mut(&mut self) -> &mut Limiter {
        &mut self.limiter
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream below. What is moved through it is not charged.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream without its limits.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if buf.is_empty() || this.limiter.is_unlimited() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let granted = ready!(this.limiter.poll_grant(Direction::Read, buf.len(), cx));
        let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf[..granted]))?;
        this.limiter.spend(Direction::Read, read);
        Poll::Ready(Ok(read))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if buf.is_empty() || this.limiter.is_unlimited() {
            return Pin::new(&mut this.stream).poll_write(cx, buf);
        }
        let granted = ready!(this.limiter.poll_grant(Direction::Write, buf.len(), cx));
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &buf[..granted]))?;
        this.limiter.spend(Direction::Write, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

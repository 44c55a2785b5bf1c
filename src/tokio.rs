//! tokio's traits for our streams, and ours for tokio's; and crates that know only tokio.
//!
//! | You have | and need | Take |
//! |---|---|---|
//! | a stream of ours | `tokio::io::AsyncRead`, `AsyncWrite` | [`Io`] around it |
//! | a stream of tokio's | `futures_io::AsyncRead`, `AsyncWrite` | [`Io`] around it |
//! | a future that uses tokio's sockets, timers or `spawn` | to await it here | `Compat` of the crate async-compat around it |
//!
//! Many crates ask for tokio's traits and nothing else: h2, tokio-tungstenite, tokio-rustls, the codecs of tokio-util. With [`Io`] they run over our
//! sockets, on this thread, without a runtime of tokio's: the feature takes of tokio its traits alone.
//!
//! ```
//! use levent::{net::{TcpListener, TcpStream}, tokio::Io};
//! use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//!
//! # fn main() -> std::io::Result<()> {
//! levent::block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let mut client = Io::new(TcpStream::connect(listener.local_addr()?).await?);
//!     client.write_all(b"one\ntwo\n").await?;
//!     let (server, _) = listener.accept().await?;
//!     let mut lines = BufReader::new(Io::new(server)).lines();
//!     assert_eq!(lines.next_line().await?.as_deref(), Some("one"));
//!     Ok(())
//! })
//! # }
//! ```
//!
//! A crate that opens sockets or sleeps by tokio itself panics outside of a runtime ("there is no reactor running"). async-compat makes one, with one thread,
//! which drives those sockets and timers while the future itself is polled here:
//!
//! ```ignore
//! use async_compat::Compat;
//!
//! levent::block_on(Compat::new(async {
//!     let page = reqwest::get("http://127.0.0.1:8080/").await?.text().await?;
//!     Ok(page)
//! }))
//! ```
//!
//! Such a future may spawn by tokio too (then on that thread, and `Send`), and by [`spawn`](fn@crate::spawn). `examples/ecosystem` has the whole program.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::tokio::io::{self as theirs, ReadBuf};
use futures_io as ours;

use crate::scratch;

/// A stream with the traits of the other side: tokio's for one of ours, ours for one of tokio's.
///
/// Vectored writes are passed on. `close` of ours is `shutdown` of theirs.
///
/// # Cancel safety
///
/// That of the stream inside: nothing is kept here.
///
/// # Examples
///
/// See [the module](self).
#[derive(Clone, Debug)]
pub struct Io<T> {
    inner: T,
}

impl<T> Io<T> {
    /// Wraps a stream.
    pub const fn new(inner: T) -> Io<T> {
        Io { inner }
    }

    /// The stream.
    pub const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The stream.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: ours::AsyncRead + Unpin> theirs::AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = Pin::new(&mut self.inner);
        let initialized = buffer.initialized().len() - buffer.filled().len();
        let room = buffer.remaining();
        // A buffer that has been used before, or that was made of zeros, is read into directly.
        if initialized == room {
            let n = ready!(inner.poll_read(cx, buffer.initialize_unfilled()))?;
            buffer.advance(n);
            return Poll::Ready(Ok(()));
        }
        scratch::read(
            room,
            |bytes| inner.poll_read(cx, bytes),
            |bytes| buffer.put_slice(bytes),
        )
    }
}

impl<T: ours::AsyncBufRead + Unpin> theirs::AsyncBufRead for Io<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().inner).poll_fill_buf(cx)
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        Pin::new(&mut self.inner).consume(n);
    }
}

impl<T: ours::AsyncWrite + Unpin> theirs::AsyncWrite for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        // Who has one slice loses nothing, and `futures_io` has no way to ask.
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }
}

impl<T: theirs::AsyncRead + Unpin> ours::AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(bytes);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<T: theirs::AsyncBufRead + Unpin> ours::AsyncBufRead for Io<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().inner).poll_fill_buf(cx)
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        Pin::new(&mut self.inner).consume(n);
    }
}

impl<T: theirs::AsyncWrite + Unpin> ours::AsyncWrite for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

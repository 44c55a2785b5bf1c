//! One stream as a reader and a writer, for two tasks or two owners.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

/// The reading half of a stream, made by its `split`.
///
/// Owns a handle: the connection is closed when both halves (and all clones of the stream) are gone.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: levent_io::net::TcpStream) -> std::io::Result<()> {
/// use futures_lite::io::AsyncReadExt;
///
/// let (mut reader, writer) = stream.split();
/// let n = reader.read(&mut [0; 1024]).await?;
/// println!("{n} bytes from {}", reader.get_ref().peer_addr()?);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ReadHalf<S>(S);

/// The writing half of a stream, made by its `split`.
///
/// `close` shuts writing down: the peer reads the end of the stream, and reading goes on. Dropping the half does not.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: levent_io::net::TcpStream) -> std::io::Result<()> {
/// use futures_lite::io::{copy, AsyncWriteExt};
///
/// let (reader, mut writer) = stream.split();
/// copy(reader, &mut writer).await?;
/// writer.close().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WriteHalf<S>(S);

/// Makes the halves of two handles to one stream.
pub(crate) fn halves<S: Clone>(stream: S) -> (ReadHalf<S>, WriteHalf<S>) {
    (ReadHalf(stream.clone()), WriteHalf(stream))
}

impl<S> ReadHalf<S> {
    /// The stream, for its addresses and options.
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

impl<S> WriteHalf<S> {
    /// The stream, for its addresses and options.
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadHalf<S> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }

    #[inline]
    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read_vectored(cx, bufs)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteHalf<S> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    #[inline]
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

//! The only way from a buffered stream to what is below it.
//!
//! A stream says "fill this buffer" and "drain that one"; who does it, with which calls, is the transport's affair. It is one function, so that a
//! stream has a pointer of it and no more, and transports that hand over whole chunks (a pair, a filter, TLS) need no `AsyncRead` in between.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use levent_reactor::lane::Direction;

use crate::Buffer;
use crate::net::TcpStream;
use crate::net::unix::UnixStream;

/// What is asked of a transport.
pub(crate) enum Request<'a> {
    /// Append at most this many bytes, at least one; 0 moved is the end of the stream.
    Fill(&'a mut Buffer, usize),
    /// Take at most this many bytes off the front, at least one.
    Drain(&'a mut Buffer, usize),
    /// Pass on what was taken and is still held.
    Flush,
    /// Nothing more will be written: tell the peer.
    Close,
}

/// Answers a request: with the number of bytes moved, or 0.
pub(crate) type Seam<S> = fn(&mut S, &mut Context<'_>, Request<'_>) -> Poll<io::Result<usize>>;

/// The seam of everything that reads and writes.
pub(crate) fn any<S: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut S,
    cx: &mut Context<'_>,
    request: Request<'_>,
) -> Poll<io::Result<usize>> {
    match request {
        Request::Fill(buffer, most) => pending(buffer.read_up_to(&mut Polled(transport, cx), most)),
        Request::Drain(buffer, most) => pending(buffer.write_to(&mut Polled(transport, cx), most)),
        Request::Flush => Pin::new(transport).poll_flush(cx).map_ok(|()| 0),
        Request::Close => Pin::new(transport).poll_close(cx).map_ok(|()| 0),
    }
}

/// The seam of sockets: the latch is asked before a block is taken, and files are sent without being read.
pub(crate) fn socket<S: Socket>(
    socket: &mut S,
    cx: &mut Context<'_>,
    request: Request<'_>,
) -> Poll<io::Result<usize>> {
    match request {
        Request::Fill(buffer, most) => socket.poll_fill(cx, buffer, most),
        Request::Drain(buffer, most) => socket.poll_drain(cx, buffer, most),
        Request::Flush => Poll::Ready(Ok(0)),
        Request::Close => Pin::new(socket).poll_close(cx).map_ok(|()| 0),
    }
}

/// This crate's stream sockets.
pub trait Socket: AsyncWrite + Unpin + sealed::Fill {}

impl Socket for TcpStream {}
impl Socket for UnixStream {}

pub(crate) mod sealed {
    use super::{Buffer, Context, Poll, io};
    use crate::copy::Registered;

    pub trait Fill: Registered {
        fn poll_fill(
            &mut self,
            cx: &mut Context<'_>,
            buffer: &mut Buffer,
            most: usize,
        ) -> Poll<io::Result<usize>>;

        fn poll_drain(
            &mut self,
            cx: &mut Context<'_>,
            buffer: &mut Buffer,
            most: usize,
        ) -> Poll<io::Result<usize>>;
    }
}

/// `short_reads_tell`: as for `byte_stream!`.
macro_rules! socket_fill {
    ($handle:ident, short_reads_tell: $tells:literal) => {
        impl sealed::Fill for $handle {
            #[inline]
            fn poll_fill(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut Buffer,
                most: usize,
            ) -> Poll<io::Result<usize>> {
                let len = if $tells { Buffer::read_len(most) } else { 0 };
                let mut io = self.async_io().get_ref();
                self.async_io()
                    .source()
                    .poll_stream(Direction::Read, len, cx, || {
                        buffer.read_up_to(&mut io, most)
                    })
            }

            #[inline]
            fn poll_drain(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut Buffer,
                most: usize,
            ) -> Poll<io::Result<usize>> {
                let len = buffer.write_len(most);
                let mut io = self.async_io().get_ref();
                self.async_io()
                    .source()
                    .poll_stream(Direction::Write, len, cx, || buffer.send_to(&mut io, most))
            }
        }
    };
}

socket_fill!(TcpStream, short_reads_tell: true);
socket_fill!(UnixStream, short_reads_tell: false);

/// A poll as an operation that would block, for the transfers of `Buffer`.
struct Polled<'a, 'b, S>(&'a mut S, &'a mut Context<'b>);

impl<S: AsyncRead + Unpin> Read for Polled<'_, '_, S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        blocked(Pin::new(&mut *self.0).poll_read(self.1, buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        blocked(Pin::new(&mut *self.0).poll_read_vectored(self.1, bufs))
    }
}

impl<S: AsyncWrite + Unpin> Write for Polled<'_, '_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        blocked(Pin::new(&mut *self.0).poll_write(self.1, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        blocked(Pin::new(&mut *self.0).poll_write_vectored(self.1, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        blocked(Pin::new(&mut *self.0).poll_flush(self.1))
    }
}

fn blocked<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// The way back. A transport that answers `WouldBlock` of its own has registered nothing: it is taken at its word, and waits for ever.
fn pending(result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

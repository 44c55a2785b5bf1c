//! What the six socket handles have in common, and the two streams.
//!
//! Invariant: a handle's `inner` is the only `Arc` it holds of its `Async`, and nobody else keeps one, so that
//! `Arc::into_inner` on the last handle's gives the socket back.

/// Conversions and `Debug` of a socket handle with a field `inner: Arc<Async<$std>>` and a `From<Async<$std>>`.
macro_rules! socket_handle {
    ($handle:ident, $std:ty) => {
        impl From<$handle> for Arc<Async<$std>> {
            /// The shared socket below; the only reference to it unless the handle was cloned.
            fn from(handle: $handle) -> Arc<Async<$std>> {
                handle.inner
            }
        }

        impl TryFrom<$std> for $handle {
            type Error = io::Error;

            /// Puts the socket into non-blocking mode and registers it, as [`Async::new`] does.
            fn try_from(socket: $std) -> io::Result<$handle> {
                Ok($handle::from(Async::new(socket)?))
            }
        }

        impl AsRawFd for $handle {
            fn as_raw_fd(&self) -> RawFd {
                self.inner.as_raw_fd()
            }
        }

        impl fmt::Debug for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}

/// The conversions of all handles but `UnixDatagram`, which does without, as in async-net.
macro_rules! descriptor_handle {
    ($handle:ident, $std:ty) => {
        impl AsFd for $handle {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.inner.as_fd()
            }
        }

        impl TryFrom<OwnedFd> for $handle {
            type Error = io::Error;

            /// Takes the descriptor for a socket of this kind, without asking the system whether it is one.
            fn try_from(fd: OwnedFd) -> io::Result<$handle> {
                Ok($handle::from(Async::<$std>::try_from(fd)?))
            }
        }
    };
}

/// `AsyncRead`, `AsyncWrite` and `StreamSocket` of a stream handle: one `read` or `write`, unless the latch says that it would block.
///
/// `short_reads_tell`: does a read that could have been longer mean that nothing more is there?
macro_rules! byte_stream {
    ($handle:ident, short_reads_tell: $tells:literal) => {
        impl AsyncRead for $handle {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                // Nothing to transfer is done at once, whatever the latch says.
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                let mut io = self.inner.get_ref();
                let len = if $tells { buf.len() } else { 0 };
                self.inner
                    .source()
                    .poll_stream(Direction::Read, len, cx, || io.read(buf))
            }

            #[inline]
            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let mut io = self.inner.get_ref();
                let len = if $tells { vectored_len(bufs) } else { 0 };
                self.inner
                    .source()
                    .poll_stream(Direction::Read, len, cx, || io.read_vectored(bufs))
            }
        }

        impl AsyncWrite for $handle {
            #[inline]
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                // Nothing to transfer is done at once, whatever the latch says.
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                let mut io = self.inner.get_ref();
                self.inner
                    .source()
                    .poll_stream(Direction::Write, buf.len(), cx, || io.write(buf))
            }

            #[inline]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let mut io = self.inner.get_ref();
                let len = vectored_len(bufs);
                self.inner
                    .source()
                    .poll_stream(Direction::Write, len, cx, || io.write_vectored(bufs))
            }

            /// Does nothing: what was written is with the kernel.
            #[inline]
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Shuts writing down: the peer reads the end of the stream after what was written. Reading goes on.
            ///
            /// A peer that is gone already is no error, so that closing twice, or after a reset, is harmless.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(match self.shutdown(Shutdown::Write) {
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                    result => result,
                })
            }
        }

        impl crate::copy::Registered for $handle {
            #[inline]
            fn registration(&self) -> &levent_reactor::lane::Source {
                self.inner.source()
            }

            #[inline]
            fn descriptor(&self) -> BorrowedFd<'_> {
                self.inner.as_fd()
            }
        }
    };
}

/// How many bytes a vectored transfer is sure to attempt.
///
/// A transfer below this length is short because the socket's buffer was empty or full, and clears the latch. The kernel
/// (or the standard library before it) takes only so many slices at once, never fewer than POSIX's 16: a transfer cut for
/// that reason must not look short, or the stream would wait for an edge that has passed.
pub(crate) fn vectored_len<B: std::ops::Deref<Target = [u8]>>(bufs: &[B]) -> usize {
    const SLICES_SURE: usize = 16;
    bufs.iter()
        .take(SLICES_SURE)
        .fold(0, |len, buf| len.saturating_add(buf.len()))
}

pub(crate) use {byte_stream, descriptor_handle, socket_handle};

#[cfg(test)]
mod tests {
    use super::vectored_len;
    use std::io::IoSlice;

    #[test]
    fn only_slices_that_are_surely_taken_count() {
        assert_eq!(vectored_len::<IoSlice<'_>>(&[]), 0);
        assert_eq!(vectored_len(&[IoSlice::new(b"ab"), IoSlice::new(b"c")]), 3);
        assert_eq!(vectored_len(&[IoSlice::new(b"ab"); 16]), 32);
        assert_eq!(vectored_len(&[IoSlice::new(b"ab"); 2000]), 32);
    }
}

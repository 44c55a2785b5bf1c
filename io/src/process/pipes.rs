//! Our ends of a child's pipes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use levent_reactor::net::set_nonblocking;

use crate::Async;

/// One pipe: a std type behind an `Async`, and what the three have in common.
macro_rules! pipe {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(Async<std::process::$name>);

        impl $name {
            pub(super) fn new(pipe: std::process::$name) -> io::Result<$name> {
                Async::new(pipe).map($name)
            }

            /// Makes it the standard stream of another child, for a pipeline. It is in blocking mode again by then, as programs expect it.
            ///
            /// # Errors
            ///
            /// The system's, if the mode cannot be changed.
            pub async fn into_stdio(self) -> io::Result<Stdio> {
                let pipe = self.0.into_inner()?;
                set_nonblocking(pipe.as_fd(), false)?;
                Ok(Stdio::from(pipe))
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }

        impl TryFrom<$name> for OwnedFd {
            type Error = io::Error;

            /// Deregisters the pipe; it stays in non-blocking mode.
            fn try_from(pipe: $name) -> io::Result<OwnedFd> {
                pipe.0.try_into()
            }
        }
    };
}

pipe! {
    /// The writing end of a child's standard input. Dropping it is the end of the input.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use futures_lite::AsyncWriteExt;
    /// use levent_io::process::{Command, Stdio};
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let mut child = Command::new("wc").stdin(Stdio::piped()).spawn()?;
    /// if let Some(mut stdin) = child.stdin.take() {
    ///     stdin.write_all(b"le vent\n").await?;
    /// }
    /// child.status().await?;
    /// # Ok(()) }
    /// ```
    ChildStdin
}

pipe! {
    /// The reading end of a child's standard output.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use levent_io::process::{Command, Stdio};
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// // ls | wc
    /// let mut ls = Command::new("ls").stdout(Stdio::piped()).spawn()?;
    /// if let Some(stdout) = ls.stdout.take() {
    ///     let output = Command::new("wc").stdin(stdout.into_stdio().await?).output().await?;
    ///     println!("{}", String::from_utf8_lossy(&output.stdout));
    /// }
    /// ls.status().await?;
    /// # Ok(()) }
    /// ```
    ChildStdout
}

pipe! {
    /// The reading end of a child's standard error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use futures_lite::AsyncReadExt;
    /// use levent_io::process::{Command, Stdio};
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let mut child = Command::new("cc").stderr(Stdio::piped()).spawn()?;
    /// let mut complaint = String::new();
    /// if let Some(stderr) = &mut child.stderr {
    ///     stderr.read_to_string(&mut complaint).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ChildStderr
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    /// Does nothing: what was written is with the kernel.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// Does nothing either, as in async-process: drop it to end the child's input.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// `AsyncRead` of the two that are read.
macro_rules! readable {
    ($($name:ident)*) => {$(
        impl AsyncRead for $name {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_read(cx, buf)
            }

            fn poll_read_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [io::IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_read_vectored(cx, bufs)
            }
        }
    )*};
}

readable!(ChildStdout ChildStderr);

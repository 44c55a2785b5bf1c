//! The marker trait of types whose I/O leaves their descriptor alone.

use std::{
    borrow::Cow,
    fs::File,
    io::{
        BufReader, BufWriter, LineWriter, Read, Stderr, StderrLock, Stdin, StdinLock, Stdout,
        StdoutLock, Write,
    },
    net::TcpStream,
    os::unix::net::UnixStream,
    process::{ChildStderr, ChildStdin, ChildStdout},
};

/// Types whose `Read` and `Write` never close or replace the descriptor that they lie on.
///
/// A registered source is known to the kernel by its descriptor. Were reading able to close it, the number could be
/// given to another file while the registration stands.
///
/// # Safety
///
/// The implementor promises that its implementations of [`Read`] and [`Write`], for the type itself and for `&mut` and `Box` of it,
/// do not drop, close or exchange the underlying descriptor. Dropping the value itself may close it.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read};
/// use std::net::TcpStream;
/// use levent_reactor::IoSafe;
///
/// struct Counted {
///     stream: TcpStream,
///     bytes: usize,
/// }
///
/// impl Read for Counted {
///     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
///         let n = self.stream.read(buffer)?;
///         self.bytes += n;
///         Ok(n)
///     }
/// }
///
/// // SAFETY: `read` only reads from the stream; nothing ever replaces it.
/// unsafe impl IoSafe for Counted {}
/// ```
pub unsafe trait IoSafe {}

/// One line per type, with one argument for all of them.
macro_rules! io_safe {
    ($($type:ty),* $(,)?) => {
        // SAFETY: types of the standard library whose descriptor is private and set once, by their constructor.
        $(unsafe impl IoSafe for $type {})*
    };
}

io_safe!(
    File,
    Stdin,
    StdinLock<'_>,
    Stdout,
    StdoutLock<'_>,
    Stderr,
    StderrLock<'_>,
    TcpStream,
    UnixStream,
    ChildStdin,
    ChildStdout,
    ChildStderr,
);

// Newer than `rust-version`: `build.rs` looks.
#[cfg(levent_std_pipes)]
#[allow(clippy::incompatible_msrv, reason = "only compiled where they are")]
mod pipes {
    use super::IoSafe;
    use std::io::{PipeReader, PipeWriter};

    io_safe!(PipeReader, PipeWriter);
}

// SAFETY: buffering hands out the inner value only by reference or by value at its own end; `T` does the rest.
unsafe impl<T: IoSafe + Read> IoSafe for BufReader<T> {}
// SAFETY: as for `BufReader`.
unsafe impl<T: IoSafe + Write> IoSafe for BufWriter<T> {}
// SAFETY: as for `BufReader`.
unsafe impl<T: IoSafe + Write> IoSafe for LineWriter<T> {}
// SAFETY: a `Read` of `&T` can do two things. It can use the value behind the reference, which is borrowed for as long as the
// source lives and cannot be dropped or moved by that. And it can put another reference in the place of this one; then operations
// go elsewhere, but the registration is of the number that was asked for once, which the first borrow goes on keeping open.
unsafe impl<T: ?Sized> IoSafe for &T {}
// SAFETY: `Read` and `Write` of `&mut T` are those of `T`, or the implementor's own, for whom the promise holds as well.
unsafe impl<T: ?Sized + IoSafe> IoSafe for &mut T {}
// SAFETY: as for `&mut T`.
unsafe impl<T: ?Sized + IoSafe> IoSafe for Box<T> {}
// SAFETY: a `Cow` has no `Write`, and its `Read` would be that of `T`.
unsafe impl<T: Clone + IoSafe> IoSafe for Cow<'_, T> {}

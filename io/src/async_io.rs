//! `Async<T>`: a descriptor and its registration.
//!
//! Invariants
//! 1. `source` is registered for the descriptor that `io` answered at construction, until `release`. `io` is not asked again: safe
//!    code may answer differently each time.
//! 2. `io` is `Some` until `into_inner` or `drop`, and both release the source first: the reactor never knows a closed
//!    descriptor.
//! 3. The reactor holds names only, never `T`, and no clone of an `Arc` around this: `Arc::into_inner` works.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use levent_reactor::lane::Source;
use levent_reactor::net::set_nonblocking;

/// An async adapter for a descriptor: sockets, pipes, terminals, anything that can become ready.
///
/// An operation that would block is awaited instead: [`read_with`][Async::read_with] and
/// [`write_with`][Async::write_with] run any operation of `T` that way, `AsyncRead` and `AsyncWrite` are there where `T`
/// is [`Read`][io::Read] or [`Write`][io::Write], and the standard library's sockets have methods of their own.
///
/// # Sharing
///
/// `Async<T>` is `Send`, `Sync`, `UnwindSafe` and `RefUnwindSafe` exactly when `T` is, and may be created, waited for and
/// dropped on different threads. To share one, wrap it in an [`Arc`][std::sync::Arc] and use `&Async<T>`: one task may read
/// while another writes. Two tasks that *read* through `AsyncRead` at once displace each other's waker, and each time the
/// displaced one is woken; let such tasks use [`read_with`][Async::read_with], which has room for any number.
///
/// # Caveats
///
/// The descriptor is put into non-blocking mode, which it shares with its duplicates: `Async<Stdin>` also changes the
/// terminal for the parent shell. Regular files are always ready and are refused.
///
/// # Examples
///
/// ```no_run
/// use futures_lite::future;
/// use levent_io::Async;
/// use std::net::TcpListener;
///
/// # fn main() -> std::io::Result<()> {
/// future::block_on(async {
///     let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
///     let (_stream, peer) = listener.accept().await?;
///     println!("accepted {peer}");
///     Ok(())
/// })
/// # }
/// ```
pub struct Async<T> {
    /// The registration. Holds names only.
    source: Source,
    /// Taken by `into_inner`; `Some` for everybody else.
    io: Option<T>,
}

/// Nothing is ever pinned inside.
impl<T> Unpin for Async<T> {}

impl<T: AsFd> Async<T> {
    /// Puts the descriptor into non-blocking mode and registers it with this thread's base.
    ///
    /// On an error `io` is dropped, which closes it if it is owned; the mode may have been changed by then.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` for a regular file or a directory; `AlreadyExists` if the descriptor is registered already, which
    /// leaves the first registration as it is; whatever the system says of a descriptor it does not know.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use levent_io::Async;
    /// use std::os::unix::net::UnixStream;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (left, right) = UnixStream::pair()?;
    /// let left = Async::new(left)?;
    /// # Ok(()) }
    /// ```
    pub fn new(io: T) -> io::Result<Async<T>> {
        set_nonblocking(io.as_fd(), true)?;
        Async::new_nonblocking(io)
    }

    /// Registers a descriptor that is in non-blocking mode already.
    ///
    /// Saves the system calls that set the mode. With a descriptor that is in blocking mode after all, operations block
    /// the thread and with it the whole loop.
    ///
    /// # Errors
    ///
    /// As [`Async::new`].
    pub fn new_nonblocking(io: T) -> io::Result<Async<T>> {
        let source = Source::new(io.as_fd())?;
        Ok(Async {
            source,
            io: Some(io),
        })
    }
}

impl<T> Async<T> {
    /// The inner object.
    ///
    /// Its own operations answer `WouldBlock` where they would block. Do not switch the descriptor back to blocking mode.
    #[inline]
    pub fn get_ref(&self) -> &T {
        self.io.as_ref().expect("only `into_inner` takes it")
    }

    /// Deregisters the descriptor and gives the inner object back, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// None at present; the signature leaves room for a reactor that cannot let go.
    pub fn into_inner(mut self) -> io::Result<T> {
        self.source.release();
        Ok(self.io.take().expect("only `into_inner` takes it"))
    }

    /// The registration, for the operations of this crate.
    #[inline]
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The inner object for operations that want it exclusively. Not public: `T` must not be replaced through it.
    #[inline]
    pub(crate) fn inner_mut(&mut self) -> &mut T {
        self.io.as_mut().expect("only `into_inner` takes it")
    }
}

impl<T> Drop for Async<T> {
    /// Deregisters; the fields' own drops close the descriptor afterwards.
    fn drop(&mut self) {
        if self.io.is_some() {
            self.source.release();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async")
            .field("source", &self.source)
            .field("io", self.get_ref())
            .finish()
    }
}

impl<T> AsRef<T> for Async<T> {
    fn as_ref(&self) -> &T {
        self.get_ref()
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsRawFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}

impl<T: AsFd + From<OwnedFd>> TryFrom<OwnedFd> for Async<T> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Async<T>> {
        Async::new(T::from(fd))
    }
}

impl<T: Into<OwnedFd>> TryFrom<Async<T>> for OwnedFd {
    type Error = io::Error;

    /// Deregisters, as [`Async::into_inner`] does.
    fn try_from(io: Async<T>) -> io::Result<OwnedFd> {
        io.into_inner().map(Into::into)
    }
}

/// `Async::new` as a conversion, for the standard library's sockets.
macro_rules! try_from_std {
    ($($socket:ty),* $(,)?) => {$(
        impl TryFrom<$socket> for Async<$socket> {
            type Error = io::Error;

            /// As [`Async::new`].
            fn try_from(socket: $socket) -> io::Result<Async<$socket>> {
                Async::new(socket)
            }
        }
    )*};
}

try_from_std!(
    TcpListener,
    TcpStream,
    UdpSocket,
    UnixDatagram,
    UnixListener,
    UnixStream
);

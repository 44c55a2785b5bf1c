//! Unix sockets: streams, listeners and datagrams, named by paths.
//!
//! A path that starts with NUL is an abstract name (Linux): it lives outside the file system and goes with its socket.
//!
//! Streams and datagrams carry descriptors beside their bytes: [`UnixStream::send_with_fds`], [`UnixStream::recv_with_fds`].

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as std_unix;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use levent_reactor::lane::Direction;
use levent_reactor::net::unix_address;

use super::handle::{byte_stream, descriptor_handle, socket_handle, vectored_len};
use super::listen::listener_control;
use super::split::{ReadHalf, WriteHalf, halves};
use crate::Async;
use crate::accept::{Accepting, Control};

pub use levent_reactor::net::{PeerCred, Received};
pub use std::os::unix::net::SocketAddr;

/// A Unix listener.
///
/// Clones are handles to the same listener; any number of tasks may accept from it. When descriptors run out it paces
/// itself as [`TcpListener`][super::TcpListener] does. The path stays when the listener is dropped: remove it yourself.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use levent_io::net::unix::UnixListener;
///
/// let listener = UnixListener::bind("/tmp/socket")?;
/// let (_stream, _peer) = listener.accept().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct UnixListener {
    inner: Arc<Async<std_unix::UnixListener>>,
    control: Arc<Control>,
}

impl UnixListener {
    /// Binds a listener to a path; one that starts with NUL is an abstract name.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if the path exists; `InvalidInput` if it is too long for an address.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        Async::<std_unix::UnixListener>::bind(path).map(UnixListener::from)
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says. After an error, the next call pauses first: see [`TcpListener`][super::TcpListener].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let mut accepting = Accepting::new(&*self.inner, Some(&self.control));
        let (stream, peer) = poll_fn(|cx| accepting.poll(cx)).await?;
        Ok((stream.into(), peer))
    }

    /// A stream of connections: [`accept`][UnixListener::accept] without end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            accepting: Accepting::new(&*self.inner, Some(&self.control)),
        }
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().local_addr()
    }
}

impl From<Async<std_unix::UnixListener>> for UnixListener {
    fn from(listener: Async<std_unix::UnixListener>) -> UnixListener {
        UnixListener {
            inner: Arc::new(listener),
            control: Arc::default(),
        }
    }
}

listener_control!(UnixListener, std_unix::UnixListener);
socket_handle!(UnixListener, std_unix::UnixListener);
descriptor_handle!(UnixListener, std_unix::UnixListener);

/// A stream of Unix connections, made by [`UnixListener::incoming`]. Never ends.
///
/// # Cancel safety
///
/// Cancel safe: dropping the stream, or a `next()` of it, loses no connection.
///
/// # Examples
///
/// ```no_run
/// # async fn example(listener: levent_io::net::unix::UnixListener) -> std::io::Result<()> {
/// use futures_lite::StreamExt;
///
/// let mut incoming = listener.incoming();
/// while let Some(stream) = incoming.next().await {
///     println!("{:?} came", stream?.peer_addr()?);
/// }
/// # Ok(()) }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
    accepting: Accepting<'a, std_unix::UnixListener>,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.accepting
            .poll(cx)
            .map(|accepted| Some(accepted.map(|(stream, _)| stream.into())))
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", self.listener)
            .finish()
    }
}

/// A Unix connection.
///
/// The notes of [`TcpStream`][super::TcpStream] on clones, tasks, closing and cancel safety hold here too.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use futures_lite::io::AsyncWriteExt;
/// use levent_io::net::unix::UnixStream;
///
/// let mut stream = UnixStream::connect("/tmp/socket").await?;
/// stream.write_all(b"hello").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct UnixStream {
    inner: Arc<Async<std_unix::UnixStream>>,
}

impl UnixStream {
    /// Connects to the listener at a path; one that starts with NUL is an abstract name.
    ///
    /// # Errors
    ///
    /// `NotFound`, `ConnectionRefused`, `PermissionDenied` as the system says. `WouldBlock` if the listener's backlog is full:
    /// there is nothing that could be waited for, so try again later.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up and closes the socket.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        Async::<std_unix::UnixStream>::connect(path)
            .await
            .map(UnixStream::from)
    }

    /// Two connected streams.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (left, right) = Async::<std_unix::UnixStream>::pair()?;
        Ok((left.into(), right.into()))
    }

    /// The local address of the connection.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().local_addr()
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// What `getpeername(2)` says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().peer_addr()
    }

    /// Shuts one or both directions down, for all handles. Tasks that wait in them are woken.
    ///
    /// # Errors
    ///
    /// What `shutdown(2)` says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.get_ref().shutdown(how)
    }

    /// Splits the stream into a reader and a writer, which two tasks may use at once.
    ///
    /// Costs one more handle, no lock. Closing the writer shuts writing down.
    pub fn split(self) -> (ReadHalf<UnixStream>, WriteHalf<UnixStream>) {
        halves(self)
    }
}

impl UnixStream {
    /// The socket and its registration.
    #[inline]
    pub(crate) fn async_io(&self) -> &Async<std_unix::UnixStream> {
        &self.inner
    }
}

impl From<Async<std_unix::UnixStream>> for UnixStream {
    fn from(stream: Async<std_unix::UnixStream>) -> UnixStream {
        UnixStream {
            inner: Arc::new(stream),
        }
    }
}

socket_handle!(UnixStream, std_unix::UnixStream);
descriptor_handle!(UnixStream, std_unix::UnixStream);
// A read ends where the peer has sent descriptors or urgent data, though more is there (unix(7)).
byte_stream!(UnixStream, short_reads_tell: false);

/// A Unix datagram socket.
///
/// Clones are handles to the same socket; any number of tasks may send and receive at once.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use levent_io::net::unix::UnixDatagram;
///
/// let (left, right) = UnixDatagram::pair()?;
/// left.send(b"ping").await?;
/// let n = right.recv(&mut [0; 16]).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct UnixDatagram {
    inner: Arc<Async<std_unix::UnixDatagram>>,
}

impl UnixDatagram {
    /// Binds a socket to a path; one that starts with NUL is an abstract name.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if the path exists; `InvalidInput` if it is too long for an address.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        Async::<std_unix::UnixDatagram>::bind(path).map(UnixDatagram::from)
    }

    /// A socket without a name, to send from.
    ///
    /// # Errors
    ///
    /// What `socket(2)` says.
    pub fn unbound() -> io::Result<UnixDatagram> {
        Async::<std_unix::UnixDatagram>::unbound().map(UnixDatagram::from)
    }

    /// Two connected sockets.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (left, right) = Async::<std_unix::UnixDatagram>::pair()?;
        Ok((left.into(), right.into()))
    }

    /// Sets the peer of [`send`][UnixDatagram::send] and [`recv`][UnixDatagram::recv].
    ///
    /// # Errors
    ///
    /// What `connect(2)` says.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.inner
            .get_ref()
            .connect_addr(&unix_address(path.as_ref())?)
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().local_addr()
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().peer_addr()
    }

    /// Receives one datagram and its sender. What does not fit into `buf` is cut off.
    ///
    /// # Errors
    ///
    /// What `recvfrom(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.inner.recv_from(buf).await
    }

    /// Sends one datagram to the socket at a path; one that starts with NUL is an abstract name.
    ///
    /// # Errors
    ///
    /// What `sendto(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram was sent if and only if the future answered so.
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.inner.send_to(buf, path).await
    }

    /// Receives one datagram from the connected peer.
    ///
    /// # Errors
    ///
    /// What `recv(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.recv(buf).await
    }

    /// Sends one datagram to the connected peer.
    ///
    /// # Errors
    ///
    /// What `send(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram was sent if and only if the future answered so.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.inner.send(buf).await
    }

    /// Shuts one or both directions down, for all handles. Tasks that wait in them are woken.
    ///
    /// # Errors
    ///
    /// What `shutdown(2)` says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.get_ref().shutdown(how)
    }
}

impl UnixDatagram {
    /// The socket and its registration.
    #[inline]
    pub(super) fn async_io(&self) -> &Async<std_unix::UnixDatagram> {
        &self.inner
    }
}

impl From<Async<std_unix::UnixDatagram>> for UnixDatagram {
    fn from(socket: Async<std_unix::UnixDatagram>) -> UnixDatagram {
        UnixDatagram {
            inner: Arc::new(socket),
        }
    }
}

socket_handle!(UnixDatagram, std_unix::UnixDatagram);

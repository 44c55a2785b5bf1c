//! TCP listeners and streams.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use levent_reactor::lane::Direction;

use super::AsyncToSocketAddrs;
use super::addr::{first_that_works, no_address};
use super::handle::{byte_stream, descriptor_handle, socket_handle, vectored_len};
use super::listen::listener_control;
use super::split::{ReadHalf, WriteHalf, halves};
use crate::Async;
use crate::accept::{Accepting, Control};

/// A TCP listener.
///
/// Clones are handles to the same listener; any number of tasks may accept from it.
///
/// # When descriptors run out
///
/// Without free descriptors (`EMFILE`, `ENFILE`) or memory, [`accept`][TcpListener::accept] returns the error at once and
/// the connection stays in the queue. The *next* accept, by whichever clone, first waits 10 ms, then 20 ms and so on up to
/// one second while the failures go on, so that a loop that only logs the error neither spins nor gives up. The first
/// success ends that. While nobody wants to connect, nothing is reported. A bare [`Async<std::net::TcpListener>`] does not do this. [`ListenOptions`][super::ListenOptions] has other
/// policies.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use levent_io::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:7000").await?;
/// loop {
///     match listener.accept().await {
///         Ok((_stream, peer)) => println!("{peer} came"),
///         Err(error) => eprintln!("accept: {error}"),
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct TcpListener {
    inner: Arc<Async<std::net::TcpListener>>,
    control: Arc<Control>,
}

impl TcpListener {
    /// Binds a listener to the first of the addresses that can be had; port 0 has the system choose one.
    ///
    /// # Errors
    ///
    /// That of the last address tried (`AddrInUse`, `AddrNotAvailable`, `PermissionDenied` …); `InvalidInput` if there is no
    /// address; the resolver's error for a name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: waits for name resolution only.
    pub async fn bind<A: AsyncToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        first_that_works(addr, "bind to", Async::<std::net::TcpListener>::bind)
            .await
            .map(TcpListener::from)
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().local_addr()
    }

    /// Accepts the next connection.
    ///
    /// Connections that broke before they could be accepted are passed over.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says. After an error, the next call pauses first: see [`TcpListener`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut accepting = Accepting::new(&*self.inner, Some(&self.control));
        let (stream, peer) = poll_fn(|cx| accepting.poll(cx)).await?;
        Ok((stream.into(), peer))
    }

    /// A stream of connections: [`accept`][TcpListener::accept] without end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            accepting: Accepting::new(&*self.inner, Some(&self.control)),
        }
    }

    /// The time-to-live of packets sent (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.get_ref().ttl()
    }

    /// Sets the time-to-live of packets sent (`IP_TTL`), 1 to 255 hops.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.get_ref().set_ttl(ttl)
    }
}

impl From<Async<std::net::TcpListener>> for TcpListener {
    fn from(listener: Async<std::net::TcpListener>) -> TcpListener {
        TcpListener {
            inner: Arc::new(listener),
            control: Arc::default(),
        }
    }
}

listener_control!(TcpListener, std::net::TcpListener);
socket_handle!(TcpListener, std::net::TcpListener);
descriptor_handle!(TcpListener, std::net::TcpListener);

/// A stream of TCP connections, made by [`TcpListener::incoming`]. Never ends.
///
/// Errors are paced as those of [`TcpListener::accept`].
///
/// # Cancel safety
///
/// Cancel safe: dropping the stream, or a `next()` of it, loses no connection.
///
/// # Examples
///
/// ```no_run
/// # async fn example(listener: levent_io::net::TcpListener) -> std::io::Result<()> {
/// use futures_lite::StreamExt;
///
/// let mut incoming = listener.incoming();
/// while let Some(stream) = incoming.next().await {
///     println!("{} came", stream?.peer_addr()?);
/// }
/// # Ok(()) }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
    accepting: Accepting<'a, std::net::TcpListener>,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

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

/// A TCP connection.
///
/// Clones are handles to the same connection, which is closed with the last of them. One task may read and another write at
/// the same time, through clones or the halves of [`split`][TcpStream::split]; two tasks that read at once are a mistake,
/// see [the module][super].
///
/// `close` of [`AsyncWrite`] shuts writing down, and the peer reads the end of the stream.
///
/// # Cancel safety
///
/// A single `read` or `write` is cancel safe. `read_exact`, `write_all` and their like are sequences of them: dropped halfway,
/// what is done stays done, and how much that is remains unknown.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
/// use levent_io::net::TcpStream;
///
/// let mut stream = TcpStream::connect("example.com:80").await?;
/// stream.set_nodelay(true)?;
/// stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// let mut page = String::new();
/// stream.read_to_string(&mut page).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TcpStream {
    inner: Arc<Async<std::net::TcpStream>>,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Errors
    ///
    /// That of the last address tried (`ConnectionRefused`, `TimedOut` …); `InvalidInput` if there is no address; the resolver's
    /// error for a name.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up and closes its socket.
    pub async fn connect<A: AsyncToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        connect(None, addr).await
    }

    /// Connects from a local address to the first of the addresses that answers.
    ///
    /// The local one is that of an interface, or has a port that the peer expects; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one address is IPv4 and the other IPv6; `AddrNotAvailable` and `AddrInUse` for the local one; and those of
    /// [`connect`][TcpStream::connect].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up and closes its socket.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use levent_io::net::TcpStream;
    ///
    /// let stream = TcpStream::connect_from(([192, 168, 1, 7], 0).into(), "example.com:80").await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect_from<A: AsyncToSocketAddrs>(
        local: SocketAddr,
        addr: A,
    ) -> io::Result<TcpStream> {
        connect(Some(local), addr).await
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
    /// What `getpeername(2)` says; `NotConnected` after a reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().peer_addr()
    }

    /// Shuts one or both directions down, for all handles. Tasks that wait in them are woken.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer is gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.get_ref().shutdown(how)
    }

    /// Receives data without removing it from the queue; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// What `recv(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed in any case.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.peek(buf).await
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.inner.get_ref().nodelay()
    }

    /// Sends small writes at once (`TCP_NODELAY`) rather than collecting them for a round trip.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.inner.get_ref().set_nodelay(nodelay)
    }

    /// The time-to-live of packets sent (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.get_ref().ttl()
    }

    /// Sets the time-to-live of packets sent (`IP_TTL`), 1 to 255 hops.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.get_ref().set_ttl(ttl)
    }

    /// Splits the stream into a reader and a writer, which two tasks may use at once.
    ///
    /// Costs one more handle, no lock. Closing the writer shuts writing down.
    pub fn split(self) -> (ReadHalf<TcpStream>, WriteHalf<TcpStream>) {
        halves(self)
    }
}

/// Tries the addresses one after the other.
async fn connect<A: AsyncToSocketAddrs>(
    local: Option<SocketAddr>,
    addr: A,
) -> io::Result<TcpStream> {
    let mut last_error = None;
    for addr in addr.to_socket_addrs().await? {
        let attempt = match local {
            Some(local) => Async::<std::net::TcpStream>::connect_from(local, addr).await,
            None => Async::<std::net::TcpStream>::connect(addr).await,
        };
        match attempt {
            Ok(stream) => return Ok(stream.into()),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| no_address("connect to")))
}

impl TcpStream {
    /// The socket and its registration, for buffered streams.
    #[inline]
    pub(crate) fn async_io(&self) -> &Async<std::net::TcpStream> {
        &self.inner
    }
}

impl From<Async<std::net::TcpStream>> for TcpStream {
    fn from(stream: Async<std::net::TcpStream>) -> TcpStream {
        TcpStream {
            inner: Arc::new(stream),
        }
    }
}

socket_handle!(TcpStream, std::net::TcpStream);
descriptor_handle!(TcpStream, std::net::TcpStream);
// Urgent data ends reads early, too; the lane knows when there was some.
byte_stream!(TcpStream, short_reads_tell: true);

//! Methods of `Async<T>` for the standard library's sockets.
//!
//! All of them follow one plan: set the socket up without blocking, try, and wait on `WouldBlock`. Each `async fn` may be
//! awaited by any number of tasks at once and is cancel safe; what is peculiar to one is said there.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use levent_reactor::net::{connect_tcp, connect_tcp_from, connect_unix, listen_tcp, unix_address};

use crate::Async;
use crate::accept::{Accepted, Accepting, Listen};

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`. The standard library's 128 is
/// soon full when thousands of clients come at once, and each that is turned away tries again only after a second.
pub(crate) const BACKLOG: i32 = 1024;

impl Async<TcpListener> {
    /// Binds a listener to an address; port 0 has the system choose one.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` as the system says; those of [`Async::new`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use levent_io::Async;
    /// use std::net::TcpListener;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    /// println!("listening on {}", listener.get_ref().local_addr()?);
    /// # Ok(()) }
    /// ```
    pub fn bind<A: Into<SocketAddr>>(addr: A) -> io::Result<Async<TcpListener>> {
        Async::new_nonblocking(listen_tcp(&addr.into(), BACKLOG)?)
    }

    /// Accepts the next connection.
    ///
    /// Connections that broke before they could be accepted are passed over. When the system has no descriptor or memory
    /// left, the error is returned and the connection stays in the queue: accepting again at once fails again at once.
    /// [`net::TcpListener`][crate::net::TcpListener] paces that; here the caller must.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says, and what [`Async::new`] says of the new descriptor.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(Async<TcpStream>, SocketAddr)> {
        accept(self).await
    }

    /// A stream of connections: [`accept`][Async::<TcpListener>::accept] without end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the stream, or a `next()` of it, loses no connection.
    pub fn incoming(&self) -> impl Stream<Item = io::Result<Async<TcpStream>>> + Send + '_ {
        Incoming(Accepting::new(self, None))
    }
}

impl Async<TcpStream> {
    /// Connects to an address.
    ///
    /// # Errors
    ///
    /// What the connection attempt ended with (`ConnectionRefused`, `TimedOut` …); those of [`Async::new`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up and closes the socket.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use levent_io::Async;
    /// use std::net::TcpStream;
    ///
    /// let stream = Async::<TcpStream>::connect(([127, 0, 0, 1], 7000)).await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect<A: Into<SocketAddr>>(addr: A) -> io::Result<Async<TcpStream>> {
        connected(connect_tcp(&addr.into())?).await
    }

    /// Connects from a local address: that of one interface, or with a port that the peer expects. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one address is IPv4 and the other IPv6; `AddrNotAvailable` and `AddrInUse` for the local one; and those of
    /// [`connect`][Async::<TcpStream>::connect].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up and closes the socket.
    pub async fn connect_from<A: Into<SocketAddr>>(
        local: SocketAddr,
        addr: A,
    ) -> io::Result<Async<TcpStream>> {
        connected(connect_tcp_from(&local, &addr.into())?).await
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
        self.read_with(|io| io.peek(buf)).await
    }
}

/// Waits until a connect that is under way has ended.
async fn connected(stream: TcpStream) -> io::Result<Async<TcpStream>> {
    let stream = Async::new_nonblocking(stream)?;
    // A socket is not writable while it connects; afterwards it is, whatever the outcome, and keeps the error.
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

impl Async<UdpSocket> {
    /// Binds a socket to an address; port 0 has the system choose one.
    ///
    /// # Errors
    ///
    /// As [`bind`][Async::<TcpListener>::bind] of a listener.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use levent_io::Async;
    /// use std::net::UdpSocket;
    ///
    /// let socket = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0))?;
    /// let mut datagram = [0; 1500];
    /// let (n, from) = socket.recv_from(&mut datagram).await?;
    /// socket.send_to(&datagram[..n], from).await?;
    /// # Ok(()) }
    /// ```
    pub fn bind<A: Into<SocketAddr>>(addr: A) -> io::Result<Async<UdpSocket>> {
        Async::new(UdpSocket::bind(addr.into())?)
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
        self.read_with(|io| io.recv_from(buf)).await
    }

    /// Receives one datagram and its sender, and leaves it in the queue.
    ///
    /// # Errors
    ///
    /// What `recvfrom(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed in any case.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.read_with(|io| io.peek_from(buf)).await
    }

    /// Sends one datagram to an address.
    ///
    /// # Errors
    ///
    /// What `sendto(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram was sent if and only if the future answered so.
    pub async fn send_to<A: Into<SocketAddr>>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let addr = addr.into();
        self.write_with(|io| io.send_to(buf, addr)).await
    }

    /// Receives one datagram from the peer that the socket is connected to.
    ///
    /// # Errors
    ///
    /// What `recv(2)` says; a peer that is not there shows as `ConnectionRefused`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(|io| io.recv(buf)).await
    }

    /// Receives one datagram from the connected peer, and leaves it in the queue.
    ///
    /// # Errors
    ///
    /// What `recv(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed in any case.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(|io| io.peek(buf)).await
    }

    /// Sends one datagram to the peer that the socket is connected to.
    ///
    /// # Errors
    ///
    /// What `send(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram was sent if and only if the future answered so.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|io| io.send(buf)).await
    }
}

impl Async<UnixListener> {
    /// Binds a listener to a path; one that starts with NUL is an abstract name.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if the path exists; `InvalidInput` if it is too long for an address; those of [`Async::new`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use levent_io::Async;
    /// use std::os::unix::net::UnixListener;
    ///
    /// let listener = Async::<UnixListener>::bind("/tmp/socket")?;
    /// let (_stream, _peer) = listener.accept().await?;
    /// # Ok(()) }
    /// ```
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Async<UnixListener>> {
        Async::new(UnixListener::bind_addr(&unix_address(path.as_ref())?)?)
    }

    /// Accepts the next connection. The notes of [`accept`][Async::<TcpListener>::accept] hold here too.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says, and what [`Async::new`] says of the new descriptor.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(Async<UnixStream>, UnixAddr)> {
        accept(self).await
    }

    /// A stream of connections: [`accept`][Async::<UnixListener>::accept] without end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the stream, or a `next()` of it, loses no connection.
    pub fn incoming(&self) -> impl Stream<Item = io::Result<Async<UnixStream>>> + Send + '_ {
        Incoming(Accepting::new(self, None))
    }
}

impl Async<UnixStream> {
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
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<Async<UnixStream>> {
        let path = path.as_ref();
        let stream = connect_unix(path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("the backlog of the listener at {path:?} is full; try again later"),
            ),
            _ => error,
        })?;
        let stream = Async::new_nonblocking(stream)?;
        stream.writable().await?;
        if let Some(error) = stream.get_ref().take_error()? {
            return Err(error);
        }
        // Linux reports an unconnected Unix socket as writable, without an error; only a connected one has a peer.
        stream.get_ref().peer_addr()?;
        Ok(stream)
    }

    /// Two connected streams.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says; those of [`Async::new`].
    pub fn pair() -> io::Result<(Async<UnixStream>, Async<UnixStream>)> {
        let (left, right) = UnixStream::pair()?;
        Ok((Async::new(left)?, Async::new(right)?))
    }
}

impl Async<UnixDatagram> {
    /// Binds a socket to a path; one that starts with NUL is an abstract name.
    ///
    /// # Errors
    ///
    /// As [`bind`][Async::<UnixListener>::bind] of a listener.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Async<UnixDatagram>> {
        Async::new(UnixDatagram::bind_addr(&unix_address(path.as_ref())?)?)
    }

    /// A socket without a name, to send from.
    ///
    /// # Errors
    ///
    /// What `socket(2)` says; those of [`Async::new`].
    pub fn unbound() -> io::Result<Async<UnixDatagram>> {
        Async::new(UnixDatagram::unbound()?)
    }

    /// Two connected sockets.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says; those of [`Async::new`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use levent_io::Async;
    /// use std::os::unix::net::UnixDatagram;
    ///
    /// let (left, right) = Async::<UnixDatagram>::pair()?;
    /// left.send(b"ping").await?;
    /// let n = right.recv(&mut [0; 16]).await?;
    /// # Ok(()) }
    /// ```
    pub fn pair() -> io::Result<(Async<UnixDatagram>, Async<UnixDatagram>)> {
        let (left, right) = UnixDatagram::pair()?;
        Ok((Async::new(left)?, Async::new(right)?))
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
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, UnixAddr)> {
        self.read_with(|io| io.recv_from(buf)).await
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
        let address = unix_address(path.as_ref())?;
        self.write_with(|io| io.send_to_addr(buf, &address)).await
    }

    /// Receives one datagram from the peer that the socket is connected to.
    ///
    /// # Errors
    ///
    /// What `recv(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(|io| io.recv(buf)).await
    }

    /// Sends one datagram to the peer that the socket is connected to.
    ///
    /// # Errors
    ///
    /// What `send(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram was sent if and only if the future answered so.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|io| io.send(buf)).await
    }
}

async fn accept<L: Listen>(listener: &Async<L>) -> io::Result<Accepted<L>> {
    let mut accepting = Accepting::new(listener, None);
    poll_fn(|cx| accepting.poll(cx)).await
}

/// What `incoming` answers for a bare `Async` listener.
struct Incoming<'a, L>(Accepting<'a, L>);

impl<L: Listen> Stream for Incoming<'_, L> {
    type Item = io::Result<Async<L::Stream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0
            .poll(cx)
            .map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}

impl<L> fmt::Debug for Incoming<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

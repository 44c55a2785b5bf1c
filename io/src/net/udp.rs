//! UDP sockets. Many datagrams in one call: `batches`.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::AsyncToSocketAddrs;
use super::addr::{first_that_works, no_address};
use super::handle::{descriptor_handle, socket_handle};
use crate::Async;

/// A UDP socket.
///
/// Clones are handles to the same socket; any number of tasks may send and receive at once. Sending is tried first, and
/// awaited only if the kernel's buffer is full.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use levent_io::net::UdpSocket;
///
/// let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// socket.send_to(b"ping", "127.0.0.1:7000").await?;
/// let mut datagram = [0; 1500];
/// let (n, from) = socket.recv_from(&mut datagram).await?;
/// println!("{n} bytes from {from}");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct UdpSocket {
    inner: Arc<Async<std::net::UdpSocket>>,
}

impl UdpSocket {
    /// Binds a socket to the first of the addresses that can be had; port 0 has the system choose one.
    ///
    /// # Errors
    ///
    /// That of the last address tried; `InvalidInput` if there is no address; the resolver's error for a name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: waits for name resolution only.
    pub async fn bind<A: AsyncToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        first_that_works(addr, "bind to", Async::<std::net::UdpSocket>::bind)
            .await
            .map(UdpSocket::from)
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

    /// Sets the peer of [`send`][UdpSocket::send] and [`recv`][UdpSocket::recv] to the first of the addresses that can be
    /// had; from then on the socket receives from it alone.
    ///
    /// # Errors
    ///
    /// That of the last address tried; `InvalidInput` if there is no address; the resolver's error for a name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: waits for name resolution only.
    pub async fn connect<A: AsyncToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        first_that_works(addr, "connect to", |addr| {
            self.inner.get_ref().connect(addr)
        })
        .await
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
        self.inner.peek_from(buf).await
    }

    /// Sends one datagram to the first of the addresses.
    ///
    /// # Errors
    ///
    /// What `sendto(2)` says; `InvalidInput` if there is no address; the resolver's error for a name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram was sent if and only if the future answered so.
    pub async fn send_to<A: AsyncToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let addr = addr
            .to_socket_addrs()
            .await?
            .next()
            .ok_or_else(|| no_address("send to"))?;
        self.inner.send_to(buf, addr).await
    }

    /// Receives one datagram from the connected peer.
    ///
    /// # Errors
    ///
    /// What `recv(2)` says; a peer that is not there shows as `ConnectionRefused`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.recv(buf).await
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
        self.inner.peek(buf).await
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
}

/// Options, passed through: `getsockopt(2)` and `setsockopt(2)` report the errors.
macro_rules! options {
    ($($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $answer:ty;)*) => {
        impl UdpSocket {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                ///
                /// What the system says of the option.
                pub fn $name(&self $(, $arg: $type)*) -> io::Result<$answer> {
                    self.inner.get_ref().$name($($arg),*)
                }
            )*
        }
    };
}

options! {
    /// Whether datagrams may be sent to a broadcast address (`SO_BROADCAST`).
    fn broadcast(&self) -> bool;
    /// Allows datagrams to a broadcast address (`SO_BROADCAST`).
    fn set_broadcast(&self, broadcast: bool) -> ();
    /// Whether multicast datagrams are looped back to this host (`IP_MULTICAST_LOOP`).
    fn multicast_loop_v4(&self) -> bool;
    /// Loops multicast datagrams back to this host (`IP_MULTICAST_LOOP`).
    fn set_multicast_loop_v4(&self, multicast_loop: bool) -> ();
    /// The time-to-live of multicast datagrams sent (`IP_MULTICAST_TTL`).
    fn multicast_ttl_v4(&self) -> u32;
    /// Sets the time-to-live of multicast datagrams sent (`IP_MULTICAST_TTL`), 1 keeps them in the local network.
    fn set_multicast_ttl_v4(&self, ttl: u32) -> ();
    /// Whether IPv6 multicast datagrams are looped back to this host (`IPV6_MULTICAST_LOOP`).
    fn multicast_loop_v6(&self) -> bool;
    /// Loops IPv6 multicast datagrams back to this host (`IPV6_MULTICAST_LOOP`).
    fn set_multicast_loop_v6(&self, multicast_loop: bool) -> ();
    /// The time-to-live of datagrams sent (`IP_TTL`).
    fn ttl(&self) -> u32;
    /// Sets the time-to-live of datagrams sent (`IP_TTL`), 1 to 255 hops.
    fn set_ttl(&self, ttl: u32) -> ();
}

impl UdpSocket {
    /// Joins a multicast group on the interface of an address; `0.0.0.0` leaves the choice to the system.
    ///
    /// # Errors
    ///
    /// What the system says of the option.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.inner
            .get_ref()
            .join_multicast_v4(&multiaddr, &interface)
    }

    /// Leaves a multicast group joined before.
    ///
    /// # Errors
    ///
    /// What the system says of the option.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.inner
            .get_ref()
            .leave_multicast_v4(&multiaddr, &interface)
    }

    /// Joins an IPv6 multicast group on an interface, by its index; 0 leaves the choice to the system.
    ///
    /// # Errors
    ///
    /// What the system says of the option.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.get_ref().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves an IPv6 multicast group joined before.
    ///
    /// # Errors
    ///
    /// What the system says of the option.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner
            .get_ref()
            .leave_multicast_v6(multiaddr, interface)
    }
}

impl UdpSocket {
    /// The socket and its registration.
    #[inline]
    pub(super) fn async_io(&self) -> &Async<std::net::UdpSocket> {
        &self.inner
    }
}

impl From<Async<std::net::UdpSocket>> for UdpSocket {
    fn from(socket: Async<std::net::UdpSocket>) -> UdpSocket {
        UdpSocket {
            inner: Arc::new(socket),
        }
    }
}

socket_handle!(UdpSocket, std::net::UdpSocket);
descriptor_handle!(UdpSocket, std::net::UdpSocket);

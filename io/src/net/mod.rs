//! Sockets ready to use: TCP, UDP and, in [`unix`], Unix sockets.
//!
//! Each type is a handle to a shared [`Async`][crate::Async] socket: `clone` makes another handle to the same socket, which
//! is closed with the last of them. Each converts from and to the `Async` below it, and from the standard library's type.
//!
//! ```text
//! addr      addresses and names ──▶ SocketAddr
//! lookup    names, on threads of their own          ended when idle
//! tcp, unix streams and listeners                   readiness is latched, a short read saves a system call
//! listen    listeners with options: policies without descriptors, disabling, counts
//! udp       datagrams
//! batches   many datagrams in one call
//! descriptors   sent over Unix sockets, and who is at the other end
//! split     one stream as a reader and a writer
//! handle    what the six handles have in common
//! ```
//!
//! # One task per direction
//!
//! A *stream* has room for one reading and one writing task, over all its clones: one of them may read while another
//! writes. Two tasks that read the same stream at once displace each other's waker again and again. Everything else
//! (`accept`, `peek`, datagrams) may be awaited by any number of tasks.

mod addr;
mod batches;
mod descriptors;
mod handle;
mod listen;
mod lookup;
mod split;
mod tcp;
mod udp;
pub mod unix;

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

pub use addr::{AsyncToSocketAddrs, ToSocketAddrsFuture, resolve};
pub use levent_reactor::net::{Batch, Datagram, Datagrams};
pub use listen::{ExhaustionPolicy, ListenOptions, ListenerStats};
pub use split::{ReadHalf, WriteHalf};
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use udp::UdpSocket;

//! The public surface, as smol's users know it: names, parameters, results and conversions, checked by the compiler.
//!
//! Methods are coerced to function pointers; of `async fn`s the answer is named, and that the future is `Send`. The functions are
//! compiled, never called.

#![allow(dead_code, unused_imports, reason = "compiled, never called")]
#![allow(clippy::type_complexity, reason = "the types are the point")]

use futures_lite::Stream;
use levent_io::net::{self, AsyncToSocketAddrs, unix};
use levent_io::{Async, IoSafe, Readable, ReadableOwned, Writable, WritableOwned};
use std::future::Future;
use std::io::{IoSliceMut, Result};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener,
    TcpStream, UdpSocket,
};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The answer of an `async fn`, whose future must be `Send`.
fn answers<T>(_: impl Future<Output = Result<T>> + Send) {}

fn implements<T: From<A>, A>() {}
fn try_implements<T: TryFrom<A, Error = std::io::Error>, A>() {}

type PollFn<T> = fn(&Async<T>, &mut Context<'_>) -> Poll<Result<()>>;

/// No bound on `T` but those of construction.
fn any<T>(io: Async<T>, shared: Arc<Async<T>>, mut exclusive: Async<T>) {
    let _: fn(&Async<T>) -> &T = Async::get_ref;
    let _: fn(Async<T>) -> Result<T> = Async::into_inner;
    let _: unsafe fn(&mut Async<T>) -> &mut T = Async::get_mut;
    let _: PollFn<T> = Async::poll_readable;
    let _: PollFn<T> = Async::poll_writable;
    let _: fn(&Async<T>) -> Readable<'_, T> = Async::readable;
    let _: fn(&Async<T>) -> Writable<'_, T> = Async::writable;
    let _: fn(Arc<Async<T>>) -> ReadableOwned<T> = Async::readable_owned;
    let _: fn(Arc<Async<T>>) -> WritableOwned<T> = Async::writable_owned;
    let _: &T = io.as_ref();
    let _ = (io.read_with(|_: &T| Ok(1)), io.write_with(|_: &T| Ok(1)));
    // SAFETY: nothing is replaced; the function is never called.
    drop(unsafe { exclusive.read_with_mut(|_: &mut T| Ok(1)) });
    // SAFETY: as above.
    drop(unsafe { exclusive.write_with_mut(|_: &mut T| Ok(1)) });
    drop(shared);
}

fn construction<T: AsFd>() {
    let _: fn(T) -> Result<Async<T>> = Async::new;
    let _: fn(T) -> Result<Async<T>> = Async::new_nonblocking;
}

fn owned<T: AsFd + AsRawFd + From<OwnedFd> + Into<OwnedFd> + std::fmt::Debug>() {
    fn bounds<T: AsFd + AsRawFd + std::fmt::Debug>() {}
    bounds::<Async<T>>();
    try_implements::<Async<T>, OwnedFd>();
    try_implements::<OwnedFd, Async<T>>();
}

fn sendable(io: &Async<TcpStream>) {
    answers::<usize>(io.read_with(|io| io.peek(&mut [0])));
    answers::<()>(io.write_with(|_| Ok(())));
    answers::<()>(io.readable());
    answers::<()>(io.writable());
}

fn bare_tcp(listener: &Async<TcpListener>, stream: &Async<TcpStream>) {
    let _: fn(SocketAddr) -> Result<Async<TcpListener>> = Async::<TcpListener>::bind;
    let _: fn(([u8; 4], u16)) -> Result<Async<TcpListener>> = Async::<TcpListener>::bind;
    answers::<(Async<TcpStream>, SocketAddr)>(listener.accept());
    fn is<'a>(_: impl Stream<Item = Result<Async<TcpStream>>> + Send + 'a) {}
    is(listener.incoming());
    answers::<Async<TcpStream>>(Async::<TcpStream>::connect(([127, 0, 0, 1], 1)));
    answers::<usize>(stream.peek(&mut [0]));
    try_implements::<Async<TcpListener>, TcpListener>();
    try_implements::<Async<TcpStream>, TcpStream>();
}

fn bare_udp(socket: &Async<UdpSocket>, addr: SocketAddr) {
    let _: fn(SocketAddr) -> Result<Async<UdpSocket>> = Async::<UdpSocket>::bind;
    answers::<usize>(socket.peek(&mut [0]));
    answers::<(usize, SocketAddr)>(socket.peek_from(&mut [0]));
    answers::<usize>(socket.recv(&mut [0]));
    answers::<(usize, SocketAddr)>(socket.recv_from(&mut [0]));
    answers::<usize>(socket.send(&[0]));
    answers::<usize>(socket.send_to(&[0], addr));
    try_implements::<Async<UdpSocket>, UdpSocket>();
}

fn bare_unix(listener: &Async<UnixListener>, datagram: &Async<UnixDatagram>, path: &Path) {
    let _: fn(&'static str) -> Result<Async<UnixListener>> = Async::<UnixListener>::bind;
    answers::<(Async<UnixStream>, UnixAddr)>(listener.accept());
    fn is<'a>(_: impl Stream<Item = Result<Async<UnixStream>>> + Send + 'a) {}
    is(listener.incoming());
    answers::<Async<UnixStream>>(Async::<UnixStream>::connect(path));
    let _: fn() -> Result<(Async<UnixStream>, Async<UnixStream>)> = Async::<UnixStream>::pair;
    let _: fn(&'static Path) -> Result<Async<UnixDatagram>> = Async::<UnixDatagram>::bind;
    let _: fn() -> Result<Async<UnixDatagram>> = Async::<UnixDatagram>::unbound;
    let _: fn() -> Result<(Async<UnixDatagram>, Async<UnixDatagram>)> = Async::<UnixDatagram>::pair;
    answers::<usize>(datagram.recv(&mut [0]));
    answers::<(usize, UnixAddr)>(datagram.recv_from(&mut [0]));
    answers::<usize>(datagram.send(&[0]));
    answers::<usize>(datagram.send_to(&[0], path));
    try_implements::<Async<UnixListener>, UnixListener>();
    try_implements::<Async<UnixStream>, UnixStream>();
    try_implements::<Async<UnixDatagram>, UnixDatagram>();
}

fn tcp(listener: &'static net::TcpListener, stream: &net::TcpStream, addr: SocketAddr) {
    answers::<net::TcpListener>(net::TcpListener::bind(addr));
    answers::<(net::TcpStream, SocketAddr)>(listener.accept());
    let _: net::Incoming<'static> = listener.incoming();
    let _: fn(&net::TcpListener) -> Result<SocketAddr> = net::TcpListener::local_addr;
    let _: fn(&net::TcpListener) -> Result<u32> = net::TcpListener::ttl;
    let _: fn(&net::TcpListener, u32) -> Result<()> = net::TcpListener::set_ttl;

    answers::<net::TcpStream>(net::TcpStream::connect("localhost:80"));
    answers::<usize>(stream.peek(&mut [0]));
    let _: fn(&net::TcpStream) -> Result<SocketAddr> = net::TcpStream::local_addr;
    let _: fn(&net::TcpStream) -> Result<SocketAddr> = net::TcpStream::peer_addr;
    let _: fn(&net::TcpStream) -> Result<bool> = net::TcpStream::nodelay;
    let _: fn(&net::TcpStream, bool) -> Result<()> = net::TcpStream::set_nodelay;
    let _: fn(&net::TcpStream) -> Result<u32> = net::TcpStream::ttl;
    let _: fn(&net::TcpStream, u32) -> Result<()> = net::TcpStream::set_ttl;
    let _: fn(&net::TcpStream, Shutdown) -> Result<()> = net::TcpStream::shutdown;
    let _: fn(
        net::TcpStream,
    ) -> (
        net::ReadHalf<net::TcpStream>,
        net::WriteHalf<net::TcpStream>,
    ) = net::TcpStream::split;
    fn is<S: Stream<Item = Result<net::TcpStream>>>() {}
    is::<net::Incoming<'_>>();
}

fn udp(socket: &net::UdpSocket, addr: SocketAddr) {
    type S = net::UdpSocket;
    answers::<S>(S::bind(addr));
    answers::<()>(socket.connect(addr));
    answers::<usize>(socket.peek(&mut [0]));
    answers::<(usize, SocketAddr)>(socket.peek_from(&mut [0]));
    answers::<usize>(socket.recv(&mut [0]));
    answers::<(usize, SocketAddr)>(socket.recv_from(&mut [0]));
    answers::<usize>(socket.send(&[0]));
    answers::<usize>(socket.send_to(&[0], ("localhost", 1)));
    let _: fn(&S) -> Result<SocketAddr> = S::local_addr;
    let _: fn(&S) -> Result<SocketAddr> = S::peer_addr;
    let _: fn(&S) -> Result<bool> = S::broadcast;
    let _: fn(&S, bool) -> Result<()> = S::set_broadcast;
    let _: fn(&S, Ipv4Addr, Ipv4Addr) -> Result<()> = S::join_multicast_v4;
    let _: fn(&S, Ipv4Addr, Ipv4Addr) -> Result<()> = S::leave_multicast_v4;
    let _: fn(&S, &Ipv6Addr, u32) -> Result<()> = S::join_multicast_v6;
    let _: fn(&S, &Ipv6Addr, u32) -> Result<()> = S::leave_multicast_v6;
    let _: fn(&S) -> Result<bool> = S::multicast_loop_v4;
    let _: fn(&S, bool) -> Result<()> = S::set_multicast_loop_v4;
    let _: fn(&S) -> Result<bool> = S::multicast_loop_v6;
    let _: fn(&S, bool) -> Result<()> = S::set_multicast_loop_v6;
    let _: fn(&S) -> Result<u32> = S::multicast_ttl_v4;
    let _: fn(&S, u32) -> Result<()> = S::set_multicast_ttl_v4;
    let _: fn(&S) -> Result<u32> = S::ttl;
    let _: fn(&S, u32) -> Result<()> = S::set_ttl;
}

fn unix_streams(listener: &'static unix::UnixListener, path: &Path) {
    type L = unix::UnixListener;
    type S = unix::UnixStream;
    let _: fn(&'static str) -> Result<L> = L::bind;
    answers::<(S, unix::SocketAddr)>(listener.accept());
    let _: unix::Incoming<'static> = listener.incoming();
    let _: fn(&L) -> Result<UnixAddr> = L::local_addr;
    fn is<S: Stream<Item = Result<unix::UnixStream>>>() {}
    is::<unix::Incoming<'_>>();

    answers::<S>(S::connect(path));
    let _: fn() -> Result<(S, S)> = S::pair;
    let _: fn(&S) -> Result<UnixAddr> = S::local_addr;
    let _: fn(&S) -> Result<UnixAddr> = S::peer_addr;
    let _: fn(&S, Shutdown) -> Result<()> = S::shutdown;
    let _: fn(S) -> (net::ReadHalf<S>, net::WriteHalf<S>) = S::split;
}

fn unix_datagrams(socket: &unix::UnixDatagram, path: &Path) {
    type S = unix::UnixDatagram;
    let _: fn(&'static str) -> Result<S> = S::bind;
    let _: fn(&S, &'static str) -> Result<()> = S::connect;
    let _: fn() -> Result<S> = S::unbound;
    let _: fn() -> Result<(S, S)> = S::pair;
    let _: fn(&S) -> Result<UnixAddr> = S::local_addr;
    let _: fn(&S) -> Result<UnixAddr> = S::peer_addr;
    let _: fn(&S, Shutdown) -> Result<()> = S::shutdown;
    answers::<usize>(socket.recv(&mut [0]));
    answers::<(usize, UnixAddr)>(socket.recv_from(&mut [0]));
    answers::<usize>(socket.send(&[0]));
    answers::<usize>(socket.send_to(&[0], path));
}

/// Beyond async-net: many datagrams in one call.
fn batches(bare: &Async<UdpSocket>, socket: &net::UdpSocket, batch: &mut net::Batch) {
    type B = net::Batch;
    answers::<usize>(bare.recv_many(batch));
    answers::<usize>(bare.send_many(batch));
    answers::<usize>(socket.recv_many(batch));
    answers::<usize>(socket.send_many(batch));
    let _: fn(usize, usize) -> B = B::new;
    let _: fn(&mut B, &[u8], Option<SocketAddr>) -> Result<()> = B::push;
    let _: fn(&mut B) -> bool = B::remove_first;
    let _: fn(&mut B) = B::clear;
    let _: fn(&B) -> net::Datagrams<'_> = B::iter;
    let _: [fn(&B) -> usize; 3] = [B::len, B::capacity, B::datagram_size];
    let _: fn(&mut B, BorrowedFd<'_>) -> Result<usize> = B::receive;
    let _: fn(&mut B, BorrowedFd<'_>) -> Result<usize> = B::send;
    fn is<I: IntoIterator<Item = net::Datagram<'static>>>() {}
    is::<&'static B>();
}

/// Beyond async-net: descriptors beside the bytes.
fn passing(
    streams: (&Async<UnixStream>, &unix::UnixStream),
    datagrams: (&Async<UnixDatagram>, &unix::UnixDatagram),
    bufs: &mut [IoSliceMut<'_>],
    (ours, theirs): (&[BorrowedFd<'_>], &mut Vec<OwnedFd>),
) {
    answers::<usize>(streams.0.send_with_fds(&[], ours));
    answers::<usize>(streams.1.send_with_fds(&[], ours));
    answers::<usize>(datagrams.0.send_with_fds(&[], ours));
    answers::<usize>(datagrams.1.send_with_fds(&[], ours));
    answers::<unix::Received>(streams.0.recv_with_fds(bufs, theirs, 1));
    answers::<unix::Received>(streams.1.recv_with_fds(bufs, theirs, 1));
    answers::<unix::Received>(datagrams.0.recv_with_fds(bufs, theirs, 1));
    answers::<unix::Received>(datagrams.1.recv_with_fds(bufs, theirs, 1));
    let _: fn(&Async<UnixStream>) -> Result<unix::PeerCred> = Async::<UnixStream>::peer_cred;
    let _: fn(&unix::UnixStream) -> Result<unix::PeerCred> = unix::UnixStream::peer_cred;
}

/// Every handle converts from and to its `Async`; all but `UnixDatagram` from a descriptor.
fn conversions() {
    macro_rules! handle {
        ($($handle:ty, $std:ty;)*) => {$(
            implements::<$handle, Async<$std>>();
            implements::<Arc<Async<$std>>, $handle>();
            try_implements::<$handle, $std>();
            fn raw<T: AsRawFd + Clone + std::fmt::Debug>() {}
            raw::<$handle>();
        )*};
    }
    {
        handle!(net::TcpListener, TcpListener;);
    }
    {
        handle!(net::TcpStream, TcpStream;);
    }
    {
        handle!(net::UdpSocket, UdpSocket;);
    }
    {
        handle!(unix::UnixListener, UnixListener;);
    }
    {
        handle!(unix::UnixStream, UnixStream;);
    }
    {
        handle!(unix::UnixDatagram, UnixDatagram;);
    }
    fn descriptor<T: AsFd + TryFrom<OwnedFd, Error = std::io::Error>>() {}
    descriptor::<net::TcpListener>();
    descriptor::<net::TcpStream>();
    descriptor::<net::UdpSocket>();
    descriptor::<unix::UnixListener>();
    descriptor::<unix::UnixStream>();
}

fn addresses() {
    fn is<T: AsyncToSocketAddrs + ?Sized>() {}
    is::<SocketAddr>();
    is::<SocketAddrV4>();
    is::<SocketAddrV6>();
    is::<(IpAddr, u16)>();
    is::<(Ipv4Addr, u16)>();
    is::<(Ipv6Addr, u16)>();
    is::<(&str, u16)>();
    is::<(String, u16)>();
    is::<str>();
    is::<&str>();
    is::<String>();
    is::<&[SocketAddr]>();
    is::<&&SocketAddr>();
    answers::<Vec<SocketAddr>>(net::resolve("localhost:80"));
}

/// `async-net`'s root names.
mod names {
    pub(crate) use levent_io::net::unix::{
        Incoming as UnixIncoming, SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream,
    };
    pub(crate) use levent_io::net::{
        AddrParseError, AsyncToSocketAddrs, Incoming, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown,
        SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream, UdpSocket, resolve,
    };
}

fn io_safe() {
    fn is<T: IoSafe + ?Sized>() {}
    is::<TcpStream>();
    is::<UnixStream>();
    is::<std::fs::File>();
    is::<Box<TcpStream>>();
    is::<&UdpSocket>();
}

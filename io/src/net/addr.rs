//! Addresses: literal ones at once, host names on threads of their own.
//!
//! ```text
//! "127.0.0.1:80", ("::1", 80), SocketAddr … ──▶ ready, no thread
//! "example.com:80" ──▶ lookup ──▶ queue ──▶ levent-resolve (≤ 4) ──▶ getaddrinfo ──▶ answer, wake
//! ```
//!
//! What takes a thread is in `lookup`; here is what text and tuples mean.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::lookup::Lookup;

/// Resolves an address or a name to all of its addresses.
///
/// # Errors
///
/// `InvalidInput` if the text is not of the form `host:port`; for a name that cannot be resolved, the resolver's error,
/// which names the host.
///
/// # Cancel safety
///
/// Cancel safe: a lookup under way ends in the background and is forgotten.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use futures_lite::future;
/// use levent_io::net::resolve;
///
/// future::block_on(async {
///     let addresses = resolve("127.0.0.1:80").await?;
///     assert_eq!(addresses, [([127, 0, 0, 1], 80).into()]);
///     Ok(())
/// })
/// # }
/// ```
pub async fn resolve<A: AsyncToSocketAddrs>(addr: A) -> io::Result<Vec<SocketAddr>> {
    Ok(addr.to_socket_addrs().await?.collect())
}

/// What stands for one or more socket addresses: the async counterpart of [`ToSocketAddrs`][std::net::ToSocketAddrs].
///
/// Implemented for [`SocketAddr`] and its two kinds, for pairs of an IP address or a host and a port, for text of the form
/// `host:port`, for slices of [`SocketAddr`], and for references to all of them. Sealed: cannot be implemented elsewhere.
///
/// # Examples
///
/// ```
/// use levent_io::net::{AsyncToSocketAddrs, SocketAddr, resolve};
///
/// async fn first(addr: impl AsyncToSocketAddrs) -> std::io::Result<Option<SocketAddr>> {
///     Ok(resolve(addr).await?.first().copied())
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # futures_lite::future::block_on(async {
/// assert!(first(("::1", 80)).await?.is_some());
/// # Ok(()) })
/// # }
/// ```
pub trait AsyncToSocketAddrs: Sealed {}

impl<T: Sealed + ?Sized> AsyncToSocketAddrs for T {}

/// The method of `AsyncToSocketAddrs`, out of reach for other crates.
pub trait Sealed {
    /// Starts the resolution.
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture;
}

impl Sealed for SocketAddr {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::one(*self)
    }
}

impl Sealed for SocketAddrV4 {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::one(*self)
    }
}

impl Sealed for SocketAddrV6 {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::one(*self)
    }
}

impl Sealed for (IpAddr, u16) {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::one(*self)
    }
}

impl Sealed for (Ipv4Addr, u16) {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::one(*self)
    }
}

impl Sealed for (Ipv6Addr, u16) {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::one(*self)
    }
}

impl Sealed for (&str, u16) {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::host(self.0, self.1)
    }
}

impl Sealed for (String, u16) {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::host(&self.0, self.1)
    }
}

impl Sealed for str {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return ToSocketAddrsFuture::one(address);
        }
        let parts = self
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            Some((host, port)) => ToSocketAddrsFuture::host(host, port),
            None => ToSocketAddrsFuture::ready(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{self}` is no address: expected `host:port`"),
            ))),
        }
    }
}

impl Sealed for String {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        Sealed::to_socket_addrs(self.as_str())
    }
}

impl Sealed for [SocketAddr] {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::ready(Ok(Addresses(Vec::from(self).into_iter())))
    }
}

impl<T: Sealed + ?Sized> Sealed for &T {
    fn to_socket_addrs(&self) -> ToSocketAddrsFuture {
        (**self).to_socket_addrs()
    }
}

/// A resolution under way: the future behind [`resolve`] and behind every `bind` and `connect`.
pub struct ToSocketAddrsFuture(State);

enum State {
    /// `None` once answered.
    Ready(Option<io::Result<Addresses>>),
    Lookup(Arc<Lookup>),
}

/// The addresses found, in the resolver's order.
#[derive(Debug)]
pub struct Addresses(std::vec::IntoIter<SocketAddr>);

impl Iterator for Addresses {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        self.0.next()
    }
}

impl ToSocketAddrsFuture {
    fn ready(result: io::Result<Addresses>) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture(State::Ready(Some(result)))
    }

    fn one(address: impl Into<SocketAddr>) -> ToSocketAddrsFuture {
        ToSocketAddrsFuture::ready(Ok(Addresses(vec![address.into()].into_iter())))
    }

    /// A host that is an address after all needs no resolver.
    fn host(host: &str, port: u16) -> ToSocketAddrsFuture {
        match host.parse::<IpAddr>() {
            Ok(address) => ToSocketAddrsFuture::one((address, port)),
            Err(_) => ToSocketAddrsFuture(State::Lookup(Lookup::new(host, port))),
        }
    }
}

impl Future for ToSocketAddrsFuture {
    type Output = io::Result<Addresses>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Addresses>> {
        match &mut self.0 {
            State::Ready(result) => {
                Poll::Ready(result.take().expect("polled again after it was ready"))
            }
            State::Lookup(lookup) => lookup
                .poll(cx)
                .map_ok(|addresses| Addresses(addresses.into_iter())),
        }
    }
}

impl Drop for ToSocketAddrsFuture {
    fn drop(&mut self) {
        if let State::Lookup(lookup) = &self.0 {
            lookup.abandon();
        }
    }
}

impl fmt::Debug for ToSocketAddrsFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = f.debug_tuple("ToSocketAddrsFuture");
        match &self.0 {
            State::Ready(result) => name.field(result),
            State::Lookup(lookup) => name.field(&lookup.host()),
        };
        name.finish()
    }
}

/// The first of the addresses that `attempt` takes; otherwise the last error.
pub(crate) async fn first_that_works<A: AsyncToSocketAddrs, R>(
    addr: A,
    purpose: &str,
    attempt: impl Fn(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    let mut last_error = None;
    for addr in addr.to_socket_addrs().await? {
        match attempt(addr) {
            Ok(done) => return Ok(done),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| no_address(purpose)))
}

/// The error of an empty list of addresses.
pub(crate) fn no_address(purpose: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("there is no address to {purpose}"),
    )
}

//! quinn's QUIC on our sockets, timers and tasks.
//!
//! [`endpoint`] makes quinn's `Endpoint`, for clients, servers or both; everything else is quinn's own interface, whose streams also have the
//! `futures_io` traits (its feature `futures-io`). Which cryptography there is (`rustls-ring` …) is a feature of quinn: name it in your own manifest.
//!
//! ```
//! use levent::quinn;
//! use ::quinn::{ClientConfig, EndpointConfig};
//! use std::{error::Error, net::SocketAddr};
//!
//! async fn ask(config: EndpointConfig, trusted: ClientConfig, server: SocketAddr) -> Result<Vec<u8>, Box<dyn Error>> {
//!     let mut endpoint = quinn::endpoint(config, None, ([0, 0, 0, 0], 0).into())?;
//!     endpoint.set_default_client_config(trusted);
//!     let connection = endpoint.connect(server, "example.com")?.await?;
//!     let (mut send, mut receive) = connection.open_bi().await?;
//!     send.write_all(b"hello").await?;
//!     send.finish()?;
//!     let answer = receive.read_to_end(1 << 16).await?;
//!     connection.close(0u32.into(), b"done");
//!     endpoint.wait_idle().await;
//!     Ok(answer)
//! }
//! ```
//!
//! A whole program is `quic_echo` in `examples/ecosystem`.
//!
//! # Whose tasks
//!
//! quinn has one task for the endpoint and one for each connection. They are spawned on the thread that makes the endpoint, connects and accepts, and run
//! while a [`block_on`](fn@crate::block_on) of that thread does; streams may be used on any. Inside a [`run`](fn@crate::run) they end with it: say goodbye first, by
//! `Connection::close` and `Endpoint::wait_idle`.
//!
//! Many datagrams go in one call where the kernel has segmentation offload (`UDP_SEGMENT`, `UDP_GRO`), which quinn-udp finds out. Time is that of
//! [`now`](crate::now()), so that idle timeouts are tested in virtual time.

use std::{
    future::Future,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use ::quinn::{
    AsyncTimer, AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, ServerConfig, UdpPoller,
    udp::{RecvMeta, Transmit, UdpSocketState},
};
use levent_io::{Async, WritableOwned};
use levent_timer::Sleep;

/// An endpoint at an address; port 0 takes a free one. With a `ServerConfig` it accepts connections, and in any case it makes some.
///
/// # Errors
///
/// Those of binding the socket.
///
/// # Examples
///
/// See [the module](self).
pub fn endpoint(
    config: EndpointConfig,
    server: Option<ServerConfig>,
    address: SocketAddr,
) -> io::Result<Endpoint> {
    let socket = std::net::UdpSocket::bind(address)?;
    Endpoint::new(config, server, socket, Arc::new(QuinnRuntime))
}

/// What quinn asks a runtime for: sockets, time and tasks, here levent's. For `Endpoint::new` with a socket of one's own.
///
/// # Examples
///
/// ```
/// use levent::quinn::QuinnRuntime;
/// use quinn::{Endpoint, EndpointConfig};
/// use std::{io, net::UdpSocket, sync::Arc};
///
/// fn client(config: EndpointConfig, socket: UdpSocket) -> io::Result<Endpoint> {
///     Endpoint::new(config, None, socket, Arc::new(QuinnRuntime))
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct QuinnRuntime;

impl Runtime for QuinnRuntime {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer(crate::sleep_until(deadline)))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        crate::spawn(future).detach();
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let state = UdpSocketState::new((&socket).into())?;
        let socket = Arc::new(Async::new(socket)?);
        Ok(Arc::new(Socket { socket, state }))
    }

    fn now(&self) -> Instant {
        crate::now()
    }
}

/// Ours, since quinn's trait and the timer crate's type are both foreign here.
#[derive(Debug)]
struct Timer(Sleep);

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.0.set_at(deadline);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

#[derive(Debug)]
struct Socket {
    socket: Arc<Async<std::net::UdpSocket>>,
    state: UdpSocketState,
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller(Arc::clone(&self.socket).writable_owned()))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.state.send(self.socket.get_ref().into(), transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut failed = false;
        self.socket.poll_read_with(cx, |socket| {
            loop {
                match self.state.recv(socket.into(), buffers, metas) {
                    // quinn gives an endpoint up at an error. One that is about an earlier datagram, or about memory, is over with its report.
                    Err(error) if !failed && !is_temporary(&error) => failed = true,
                    received => return received,
                }
            }
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// One that `poll_read_with` deals with.
fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// One task's wait for room in the socket; after an answer it begins anew.
#[derive(Debug)]
struct Poller(WritableOwned<std::net::UdpSocket>);

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

//! TLS over any buffered stream, by `rustls`; with the feature `tls`.
//!
//! ```text
//!  BufferedStream<Tls<S>>   plaintext │ rustls │ records   BufferedStream<S>, and its transport S
//!                 input  ◀── Fill ────┤        ├◀──── input
//!                 output ─── Drain ──▶│        ├────▶ output
//! ```
//!
//! [`client`] and [`server`] make a stream that is to come: the handshake runs while somebody waits, what is written before it is done is sent after it, and
//! [`event`](crate::BufferedStream::event) tells of it. Certificates, versions and the provider of the cryptography are the configuration's, and so
//! the caller's: this crate has none of its own. [`rustls`] is the one it was built with.
//!
//! | Peer does | Reading here |
//! |---|---|
//! | sends `close_notify` | ends; writing goes on |
//! | closes the connection without it | fails with `UnexpectedEof`: somebody else may have cut it; see [`allow_dirty_shutdown`](crate::BufferedStream::allow_dirty_shutdown) |
//! | sends an alert, or what is no TLS | fails with `InvalidData`, and a [`rustls::Error`] in it |
//!
//! `close` sends `close_notify` and flushes it; reading goes on. The stream below stays open until it is dropped or closed itself. Dropping sends
//! nothing: the peer sees a connection that was cut off (TL-9).
//!
//! Timeouts, marks and `enable` are those of every stream; the write timeout also limits the handshake. A rate limit of the stream below counts what is
//! on the wire, handshake included (TL-12), one of the stream above what is said. There is no renegotiation (TL-20).
//!
//! # Examples
//!
//! ```no_run
//! use levent_io::stream::{BufferedStream, Event};
//! use levent_io::tls::{self, rustls};
//! use std::{io, sync::Arc};
//!
//! # async fn example(config: Arc<rustls::ClientConfig>) -> io::Result<()> {
//! let name = "example.com".try_into().map_err(io::Error::other)?;
//! let tcp = BufferedStream::connecting("example.com:443");
//! let mut stream = tls::client(tcp, config, name)?;
//! stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
//! assert_eq!(stream.event().await, Event::Connected);
//! println!("{:?}", stream.get_ref().and_then(|tls| tls.alpn_protocol()));
//! while stream.fill().await? > 0 {
//!     io::copy(&mut stream.input(), &mut io::stdout())?;
//! }
//! stream.close().await
//! # }
//! ```

mod transport;

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::BufferedStream;

pub use rustls;
pub use transport::{Tls, TlsParts};

/// TLS as the client, over `inner`, which may still be connecting (TL-1, TL-3).
///
/// `server_name` is who the peer has to be: the certificate is checked against it.
///
/// # Errors
///
/// `InvalidInput` if the configuration cannot be used for that name. What goes wrong later is told by
/// [`ConnectFailed`](crate::stream::Event::ConnectFailed) and by every operation.
pub fn client<S>(
    inner: BufferedStream<S>,
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
) -> io::Result<BufferedStream<Tls<S>>> {
    let client = ClientConnection::new(config, server_name).map_err(unusable)?;
    Ok(over(inner, client))
}

/// TLS as the server, over `inner` (TL-1, TL-3).
///
/// # Errors
///
/// `InvalidInput` if the configuration cannot be used. What goes wrong later is told by
/// [`ConnectFailed`](crate::stream::Event::ConnectFailed) and by every operation.
///
/// # Examples
///
/// ```no_run
/// use levent_io::net::TcpListener;
/// use levent_io::stream::BufferedStream;
/// use levent_io::tls::{self, rustls};
/// use std::{io, sync::Arc};
///
/// # async fn example(config: Arc<rustls::ServerConfig>) -> io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:8443").await?;
/// let (socket, _) = listener.accept().await?;
/// let mut stream = tls::server(BufferedStream::socket(socket), config)?;
/// stream.write_all(b"hello\n").await?;
/// stream.close().await
/// # }
/// ```
pub fn server<S>(
    inner: BufferedStream<S>,
    config: Arc<ServerConfig>,
) -> io::Result<BufferedStream<Tls<S>>> {
    Ok(over(
        inner,
        ServerConnection::new(config).map_err(unusable)?,
    ))
}

/// TLS with a connection in any state, made or begun elsewhere.
///
/// If its handshake is done there is nothing to come, and no [`Connected`](crate::stream::Event::Connected) (TL-3). Records that were received and not
/// yet given to it are put into `inner` with [`restore`](BufferedStream::restore).
pub fn over<S>(
    inner: BufferedStream<S>,
    connection: impl Into<Connection>,
) -> BufferedStream<Tls<S>> {
    transport::stream(inner, connection.into())
}

fn unusable(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

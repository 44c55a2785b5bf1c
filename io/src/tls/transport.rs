//! The transport: `rustls`' state machine between the buffers of two streams.
//!
//! Invariants
//! 1. What `rustls` has to send is moved to the lower output before anything else is asked: it holds no record between two requests.
//! 2. It is given plaintext only for room below the high mark of the lower output, and records only when the plaintext of the last ones has been
//!    taken. So each direction holds one mark, and a record's worth.
//! 3. Nothing asks the lower stream twice in a poll for what was pending, so a peer that does nothing costs nothing (TL-7).

use std::fmt;
use std::io::{self, BufRead};
use std::task::{Context, Poll, ready};

use rustls::Connection;
use rustls::pki_types::CertificateDer;

use crate::stream::below::Below;
use crate::stream::seam::Request;
use crate::{Buffer, BufferedStream};

/// How many pieces of records without plaintext one poll takes in, before others have their turn.
const ROUNDS: usize = 64;

/// The transport of a TLS stream: see [`client`](super::client) and [`server`](super::server).
///
/// # Examples
///
/// ```
/// use levent_io::BufferedStream;
/// use levent_io::tls::Tls;
///
/// fn is_http2<S>(stream: &BufferedStream<Tls<S>>) -> bool {
///     stream.get_ref().and_then(|tls| tls.alpn_protocol()) == Some(b"h2")
/// }
/// ```
pub struct Tls<S> {
    below: Below<S>,
    /// Some 1,000 bytes that moves of the stream need not carry.
    connection: Box<Connection>,
    allows_dirty_shutdown: bool,
    /// `close_notify` is on its way.
    is_closing: bool,
}

/// What a [`Tls`] is made of.
#[derive(Debug)]
pub struct TlsParts<S> {
    /// The stream below, with the records that have not been read in its input, and those not sent in its output.
    pub inner: BufferedStream<S>,
    /// The TLS connection.
    pub connection: Connection,
}

pub(super) fn stream<S>(
    inner: BufferedStream<S>,
    connection: Connection,
) -> BufferedStream<Tls<S>> {
    let is_handshaking = connection.is_handshaking();
    let mut tls = Tls {
        below: Below::new(inner),
        connection: Box::new(connection),
        allows_dirty_shutdown: false,
        is_closing: false,
    };
    if is_handshaking {
        return BufferedStream::over_connecting(tls, seam, Tls::poll_handshake);
    }
    // Without memory for it, it is moved, or the error told, by the first request.
    let _ = tls.collect();
    let is_held = tls.below.has_output() || tls.connection.wants_write();
    BufferedStream::over(tls, seam).with_held(is_held)
}

impl<S> Tls<S> {
    /// The protocol that was agreed on by ALPN.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// The peer's certificate, and after it those that signed it; `None` if it has sent none, or not yet.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection.peer_certificates()
    }

    /// Everything else there is to know: version, cipher suite, server name.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The connection, to export key material or to change keys. What is read or written through it is missing in the stream.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The stream below.
    pub fn inner(&self) -> &BufferedStream<S> {
        &self.below.stream
    }

    /// The stream below, for its settings, or to close it.
    pub fn inner_mut(&mut self) -> &mut BufferedStream<S> {
        &mut self.below.stream
    }

    /// Takes it apart. Sends nothing, `close_notify` included.
    pub fn into_parts(self) -> TlsParts<S> {
        TlsParts {
            inner: self.below.stream,
            connection: *self.connection,
        }
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.below.poll_connected(cx))?;
        for _ in 0..ROUNDS {
            self.collect()?;
            let sent = self.below.poll_sent(cx)?;
            if !self.connection.is_handshaking() {
                return sent.map(Ok);
            }
            if self.below.input().is_empty() && ready!(self.below.poll_more(cx))? == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer has closed the connection during the TLS handshake",
                )));
            }
            self.advance(cx)?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        for _ in 0..ROUNDS {
            match self.connection.reader().fill_buf() {
                // Empty after the peer's `close_notify`.
                Ok(plaintext) => {
                    let count = plaintext.len().min(most);
                    if count > 0 {
                        buffer.append(&plaintext[..count])?;
                        self.connection.reader().consume(count);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            if self.below.input().is_empty() && ready!(self.below.poll_more(cx))? == 0 {
                return Poll::Ready(match self.allows_dirty_shutdown {
                    true => Ok(0),
                    false => Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the connection has ended without TLS's close_notify: it may have been cut off on the way",
                    )),
                });
            }
            self.advance(cx)?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes in some of what is in the lower input, and moves the answer, if there is one, to the lower output.
    fn advance(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.connection.read_tls(self.below.input())?;
        let state = self.connection.process_new_packets();
        self.collect()?;
        if let Err(error) = state {
            // The alert, as far as it can be sent at once: nobody will wait for a stream that has failed.
            let _ = self.below.poll_sent(cx);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(())
    }

    /// Moves what there is to send to the lower output.
    fn collect(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(self.below.output())?;
        }
        Ok(())
    }

    fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        self.collect()?;
        let room = ready!(self.below.poll_room(cx))?;
        let taken = buffer.write_to(&mut self.connection.writer(), most.min(room))?;
        self.collect()?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.collect()?;
        self.below.poll_sent(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_closing {
            self.is_closing = true;
            self.connection.send_close_notify();
        }
        self.poll_flush(cx)
    }
}

impl<S> BufferedStream<Tls<S>> {
    /// Is a connection that ends without `close_notify` an end of the stream like any other? By default it is an error (TL-8).
    ///
    /// For protocols that tell themselves where a message ends, and peers that do not take leave.
    pub fn allow_dirty_shutdown(&mut self, allowed: bool) {
        if let Some(tls) = self.get_mut() {
            tls.allows_dirty_shutdown = allowed;
        }
    }
}

fn seam<S>(
    tls: &mut Tls<S>,
    cx: &mut Context<'_>,
    request: Request<'_>,
) -> Poll<io::Result<usize>> {
    match request {
        Request::Fill(buffer, most) => tls.poll_fill(cx, buffer, most),
        Request::Drain(buffer, most) => tls.poll_drain(cx, buffer, most),
        Request::Flush => tls.poll_flush(cx).map_ok(|()| 0),
        Request::Close => tls.poll_close(cx).map_ok(|()| 0),
    }
}

impl<S: fmt::Debug> fmt::Debug for Tls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("inner", &self.below.stream)
            .field("version", &self.connection.protocol_version())
            .field("is_handshaking", &self.connection.is_handshaking())
            .finish_non_exhaustive()
    }
}

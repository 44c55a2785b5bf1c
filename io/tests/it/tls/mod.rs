//! TLS, by libevent's rules for its TLS bufferevents, and with `openssl` as the peer.

mod flow;
mod handshake;
mod openssl;
mod shutdown;

use futures_lite::{AsyncRead, AsyncWrite, future};
use levent_io::BufferedStream;
use levent_io::stream::{Event, PairEnd, pair};
use levent_io::tls::rustls::crypto::ring;
use levent_io::tls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use levent_io::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use levent_io::tls::{self, Tls};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use crate::behaviour::{counting, everywhere};

/// Polls once, and says whether it is done.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    future::block_on(future::poll_once(future))
}

/// Polls once, with a waker of the test's choice.
fn poll_with<F: Future>(future: &mut Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// A certificate for `localhost`, made once.
struct Identity {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Identity {
            certificate: made.cert,
            key: made.signing_key,
        }
    })
}

fn server_config() -> ServerConfig {
    let key = PrivatePkcs8KeyDer::from(identity().key.serialize_der());
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity().certificate.der().clone()], key.into())
        .unwrap()
}

fn client_config() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(identity().certificate.der().clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

fn client_over<S>(inner: BufferedStream<S>) -> BufferedStream<Tls<S>> {
    tls::client(inner, Arc::new(client_config()), localhost()).unwrap()
}

fn server_over<S>(inner: BufferedStream<S>) -> BufferedStream<Tls<S>> {
    tls::server(inner, Arc::new(server_config())).unwrap()
}

type End = BufferedStream<Tls<PairEnd>>;

/// A client and a server in memory that have not begun.
fn both() -> (End, End) {
    let (left, right) = pair();
    (client_over(left), server_over(right))
}

/// The same, with the handshake done and told.
async fn connected() -> (End, End) {
    let (mut client, mut server) = both();
    let events = future::zip(client.event(), server.event()).await;
    assert_eq!(events, (Event::Connected, Event::Connected));
    (client, server)
}

/// Bytes that differ from place to place, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x6a09_e667_f3bc_c909_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(step).collect()
}

/// A transport that counts how often it is asked.
struct Counted<T> {
    inner: T,
    asked: Arc<AtomicUsize>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.asked.fetch_add(1, SeqCst);
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked.fetch_add(1, SeqCst);
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

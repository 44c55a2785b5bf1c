//! Adapters for hyper 1: a connection, an executor and a timer.
//!
//! hyper brings its own traits, so that it depends on no runtime. Three small types satisfy them:
//!
//! | hyper asks for | Take |
//! |---|---|
//! | `hyper::rt::Read + Write` | [`Io`] around any `AsyncRead + AsyncWrite` |
//! | `hyper::rt::Executor` (HTTP/2, clients) | [`Exec`] |
//! | `hyper::rt::Timer` (header timeout, keep-alive) | [`HyperTimer`] |
//!
//! A whole server is `examples/hello_http.rs`. The needed parts of hyper (`http1`, `server` …) are features of hyper: name them in your
//! own manifest.
//!
//! There is no unsafe code here, so bytes that hyper reads go through memory that is known to be initialised: one copy, and no
//! buffer per connection.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::hyper::rt;
use futures_io::{AsyncRead, AsyncWrite};
use levent_timer::Sleep;

use crate::scratch;

/// A connection for hyper, around a stream of ours (or of anybody else's that implements the `futures-io` traits).
///
/// Vectored writes are passed on, so that hyper sends head and body in one system call.
///
/// # Examples
///
/// ```no_run
/// use levent::{hyper::Io, net::TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// levent::block_on(async {
///     let stream = TcpStream::connect("127.0.0.1:8080").await?;
///     let _io = Io::new(stream);
///     // hyper::client::conn::http1::handshake(_io), hyper::server::conn::http1::Builder::new().serve_connection(_io, ..)
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Io<T> {
    inner: T,
}

impl<T> Io<T> {
    /// Wraps a stream.
    pub const fn new(inner: T) -> Io<T> {
        Io { inner }
    }

    /// The stream.
    pub const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The stream.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives the stream back, after an upgrade for example. No bytes are kept here.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead + Unpin> rt::Read for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        scratch::read(
            cursor.remaining(),
            |bytes| Pin::new(&mut self.inner).poll_read(cx, bytes),
            |bytes| cursor.put_slice(bytes),
        )
    }
}

impl<T: AsyncWrite + Unpin> rt::Write for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }
}

/// Spawns hyper's futures onto this thread with [`spawn`](fn@crate::spawn), detached; they need not be `Send`.
///
/// # Examples
///
/// ```
/// use hyper::rt::Executor;
///
/// levent::hyper::Exec.execute(async { println!("one of hyper's tasks") });
/// levent::block_on(levent::yield_now());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Exec;

impl<F> rt::Executor<F> for Exec
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        crate::spawn(future).detach();
    }
}

/// hyper's clock: sleeps on the base of the thread that polls them.
///
/// # Examples
///
/// ```
/// use hyper::rt::Timer;
/// use levent::hyper::HyperTimer;
/// use std::time::{Duration, Instant};
///
/// let mut sleep = HyperTimer.sleep(Duration::from_secs(3600));
/// HyperTimer.reset(&mut sleep, Instant::now());
/// levent::block_on(sleep);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

/// Ours, since hyper's trait and the timer crate's type are both foreign here.
struct HyperSleep(Sleep);

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl rt::Sleep for HyperSleep {}

impl rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HyperSleep(crate::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HyperSleep(crate::sleep_until(deadline)))
    }

    /// The time by which the sleeps go, so that hyper's deadlines hold in virtual time too.
    fn now(&self) -> Instant {
        crate::now()
    }

    /// Moves the registration of a sleep that we made, instead of making another: hyper does this for every request.
    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(ours) => ours.get_mut().0.set_at(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

//! Streams that are not there yet: what is written meanwhile is sent when they are.
//!
//! Invariants
//! 1. Nothing happens inside the call that begins a connect (BE-40): the first wait begins it.
//! 2. Its end is told once: `Connected` before anything else (BE-41), or `ConnectFailed` alone (BE-44), and then both directions have ended with the error.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use super::side::End;
use super::{BufferedStream, Direction, Event, seam};
use crate::net::{AsyncToSocketAddrs, TcpStream};

/// What there is to wait for.
pub(super) enum Connecting<S> {
    /// The future of a transport, and what is to be done with that.
    Future(Coming<S>, Option<Prepare<S>>),
    /// The transport is there, and has to connect or shake hands itself.
    Within(Within<S>),
}

/// Never locked: the lock makes a stream `Sync` with futures that are not.
type Coming<S> = Mutex<Pin<Box<dyn Future<Output = io::Result<S>> + Send>>>;

/// Settings of a transport that is still to come.
type Prepare<S> = Box<dyn Fn(&S) + Send + Sync>;

/// Connects a transport that is there.
pub(crate) type Within<S> = fn(&mut S, &mut Context<'_>) -> Poll<io::Result<()>>;

impl<S> Connecting<S> {
    /// `Ready(Some)` with a transport that was not there.
    fn poll(
        &mut self,
        transport: Option<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<S>>> {
        match (self, transport) {
            (Connecting::Future(future, prepare), _) => {
                let future = future.get_mut().unwrap_or_else(PoisonError::into_inner);
                let transport = ready!(future.as_mut().poll(cx))?;
                if let Some(prepare) = prepare {
                    prepare(&transport);
                }
                Poll::Ready(Ok(Some(transport)))
            }
            (Connecting::Within(connect), Some(transport)) => {
                connect(transport, cx).map_ok(|()| None)
            }
            (Connecting::Within(_), None) => Poll::Ready(Ok(None)),
        }
    }

    /// Has this done with a transport that is still to come, in the place of what was to be done.
    pub(super) fn prepare(&mut self, with: Prepare<S>) {
        if let Connecting::Future(_, prepare) = self {
            *prepare = Some(with);
        }
    }
}

impl<S> fmt::Debug for Connecting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connecting")
    }
}

impl BufferedStream<TcpStream> {
    /// Connects, and answers with the stream.
    ///
    /// All addresses of a name are tried, in order, until one answers (BE-50). Names are looked up without holding up the loop (BE-48).
    ///
    /// # Errors
    ///
    /// That of the last address; the resolver's for a name; `InvalidInput` if there is no address.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use levent_io::stream::BufferedStream;
    ///
    /// let mut stream = BufferedStream::connect("localhost:7000").await?;
    /// stream.write_all(b"hello").await?;
    /// stream.close().await
    /// # }
    /// ```
    pub async fn connect<A: AsyncToSocketAddrs>(addr: A) -> io::Result<Self> {
        Ok(BufferedStream::socket(TcpStream::connect(addr).await?))
    }

    /// A stream that connects while it is waited for: what is written before is sent then (BE-43).
    ///
    /// [`event`](BufferedStream::event) tells when it is [`Connected`](Event::Connected), or
    /// [`ConnectFailed`](Event::ConnectFailed); in the second case every operation answers with the error. The write timeout limits the connect (BE-46).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use levent_io::stream::{BufferedStream, Event};
    /// use std::time::Duration;
    ///
    /// let mut stream = BufferedStream::connecting("localhost:7000");
    /// stream.set_timeouts(None, Some(Duration::from_secs(10)));
    /// stream.try_write(b"GET / HTTP/1.0\r\n\r\n")?;
    /// assert_eq!(stream.event().await, Event::Connected);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn connecting<A>(addr: A) -> Self
    where
        A: AsyncToSocketAddrs + Send + Sync + 'static,
    {
        BufferedStream::to_come(seam::socket::<TcpStream>, async move {
            TcpStream::connect(addr).await
        })
        .without_flush()
    }
}

impl<S> BufferedStream<S> {
    /// A stream whose transport is made by `future`.
    pub(crate) fn to_come(
        seam: seam::Seam<S>,
        future: impl Future<Output = io::Result<S>> + Send + 'static,
    ) -> BufferedStream<S> {
        BufferedStream {
            connecting: Some(Box::new(Connecting::Future(
                Mutex::new(Box::pin(future)),
                None,
            ))),
            ..BufferedStream::without(seam)
        }
    }

    /// A stream over `transport`, which has something to do before it can be read and written.
    pub(crate) fn over_connecting(
        transport: S,
        seam: seam::Seam<S>,
        connect: Within<S>,
    ) -> BufferedStream<S> {
        BufferedStream {
            transport: Some(transport),
            connecting: Some(Box::new(Connecting::Within(connect))),
            ..BufferedStream::without(seam)
        }
    }

    /// `Ready` unless a connect is under way. How it ended is in the sides.
    #[inline]
    pub(super) fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.connecting {
            None => Poll::Ready(()),
            Some(_) => self.poll_connecting(cx),
        }
    }

    #[cold]
    fn poll_connecting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(connecting) = &mut self.connecting else {
            return Poll::Ready(());
        };
        match connecting.poll(self.transport.as_mut(), cx) {
            Poll::Ready(Ok(transport)) => {
                self.connecting = None;
                if transport.is_some() {
                    self.transport = transport;
                }
                self.pending.add(Event::Connected);
                if let Some(timing) = &mut self.timing {
                    timing.stop(Direction::Write);
                }
            }
            Poll::Ready(Err(error)) => match End::from(error) {
                // That of the stream below, which is this one's, too.
                End::TimedOut => self.connect_late(),
                end => self.connect_failed(Event::ConnectFailed, end),
            },
            Poll::Pending => {
                let Some(timing) = &mut self.timing else {
                    return Poll::Pending;
                };
                ready!(timing.poll(Direction::Write, cx));
                self.connect_late();
            }
        }
        self.waiters.wake_all();
        Poll::Ready(())
    }

    fn connect_late(&mut self) {
        // The attempt is given up: there is nothing to go on with.
        let late = io::Error::new(
            io::ErrorKind::TimedOut,
            "the connection could not be made within the write timeout",
        );
        self.connect_failed(Event::Timeout(Direction::Write), End::from(late));
    }

    fn connect_failed(&mut self, event: Event, end: End) {
        self.connecting = None;
        self.pending.add(event);
        self.reading.end = Some(Box::new(end.clone()));
        self.writing.end = Some(Box::new(end));
        if let Some(timing) = &mut self.timing {
            timing.stop(Direction::Read);
            timing.stop(Direction::Write);
        }
    }
}

//! Futures that wait for readiness, any number of them per descriptor.
//!
//! `Waiting` is the one of them that the public four, and every operation of this crate that may be awaited by several
//! tasks, are made of.
//!
//! Invariants
//! 1. A waiter that is dropped before it was ready is cancelled: nothing of it stays in the reactor.
//! 2. After an answer, the next poll is a new wait.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use levent_reactor::lane::{Direction, Source, Waiter};

use crate::Async;

/// What keeps an `Async` alive: a borrow or a share of it.
pub(crate) trait Owner {
    fn registration(&self) -> &Source;
}

impl<T> Owner for &Async<T> {
    fn registration(&self) -> &Source {
        self.source()
    }
}

impl<T> Owner for Arc<Async<T>> {
    fn registration(&self) -> &Source {
        self.source()
    }
}

/// One wait for one direction; may be polled again after it was ready.
pub(crate) struct Waiting<O: Owner> {
    owner: O,
    direction: Direction,
    /// The reactor's note of this wait: empty before the first poll and after an answer.
    waiter: Waiter,
}

impl<O: Owner> Waiting<O> {
    pub(crate) fn new(owner: O, direction: Direction) -> Waiting<O> {
        Waiting {
            owner,
            direction,
            waiter: Waiter::default(),
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let source = self.owner.registration();
        source.poll_waiter(self.direction, cx, &mut self.waiter)
    }

    /// Gives the wait up, so that nothing of it wakes; answers whether there was one. The next poll begins another.
    pub(crate) fn cancel(&mut self) -> bool {
        let is_waiting = self.waiter.is_waiting();
        self.owner.registration().cancel_waiter(&mut self.waiter);
        is_waiting
    }
}

impl<O: Owner> Drop for Waiting<O> {
    fn drop(&mut self) {
        self.owner.registration().cancel_waiter(&mut self.waiter);
    }
}

impl<T> Async<T> {
    /// Waits until the descriptor can be read without blocking.
    ///
    /// Any number of tasks may wait, in either direction; all are woken. Readiness that came and went before the call does
    /// not count: the kernel is asked anew. What is awaited may still be gone when you try, since somebody else may have
    /// read: try, and wait again on `WouldBlock`. [`Async::read_with`] does both.
    ///
    /// # Errors
    ///
    /// The backend's error if it refuses the interest.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future removes its waker and consumes no data.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::net::TcpStream;
    /// # async fn example(stream: levent_io::Async<TcpStream>) -> std::io::Result<()> {
    /// stream.readable().await?;
    /// let n = stream.get_ref().peek(&mut [0; 16])?;
    /// # Ok(()) }
    /// ```
    pub fn readable(&self) -> Readable<'_, T> {
        Readable(Waiting::new(self, Direction::Read))
    }

    /// As [`Async::readable`], holding a share of the source rather than a borrow.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future removes its waker and consumes no data.
    pub fn readable_owned(self: Arc<Self>) -> ReadableOwned<T> {
        ReadableOwned(Waiting::new(self, Direction::Read))
    }

    /// Waits until the descriptor can be written without blocking.
    ///
    /// The notes of [`Async::readable`] hold here too.
    ///
    /// # Errors
    ///
    /// The backend's error if it refuses the interest.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future removes its waker and writes no data.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::net::TcpStream;
    /// # async fn example(stream: levent_io::Async<TcpStream>) -> std::io::Result<()> {
    /// stream.writable().await?;
    /// # Ok(()) }
    /// ```
    pub fn writable(&self) -> Writable<'_, T> {
        Writable(Waiting::new(self, Direction::Write))
    }

    /// As [`Async::writable`], holding a share of the source rather than a borrow.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future removes its waker and writes no data.
    pub fn writable_owned(self: Arc<Self>) -> WritableOwned<T> {
        WritableOwned(Waiting::new(self, Direction::Write))
    }
}

/// The public shape of a `Waiting`: `[generics] Name owner`.
macro_rules! ready_future {
    ($(#[$doc:meta])* [$($generics:tt)*] $name:ident $owner:ty) => {
        $(#[$doc])*
        #[must_use = "futures do nothing unless you `.await` or poll them"]
        pub struct $name<$($generics)*>(Waiting<$owner>);

        impl<$($generics)*> Future for $name<$($generics)*> {
            type Output = io::Result<()>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll(cx)
            }
        }

        impl<$($generics)*> fmt::Debug for $name<$($generics)*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("source", self.0.owner.registration())
                    .finish()
            }
        }
    };
}

ready_future! {
    /// The future of [`Async::readable`]: ready when the descriptor can be read.
    ///
    /// `Send` and `Sync` when `T` is `Sync`; `Unpin` always.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(stream: levent_io::Async<std::net::TcpStream>) -> std::io::Result<()> {
    /// let wait = stream.readable();
    /// wait.await?;
    /// # Ok(()) }
    /// ```
    ['a, T] Readable &'a Async<T>
}

ready_future! {
    /// The future of [`Async::writable`]: ready when the descriptor can be written.
    ///
    /// `Send` and `Sync` when `T` is `Sync`; `Unpin` always.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(stream: levent_io::Async<std::net::TcpStream>) -> std::io::Result<()> {
    /// let wait = stream.writable();
    /// wait.await?;
    /// # Ok(()) }
    /// ```
    ['a, T] Writable &'a Async<T>
}

ready_future! {
    /// The future of [`Async::readable_owned`]: ready when the descriptor can be read.
    ///
    /// `Send` and `Sync` when `T` is both; `Unpin` always.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(stream: levent_io::Async<std::net::TcpStream>) -> std::io::Result<()> {
    /// let stream = std::sync::Arc::new(stream);
    /// let wait = stream.clone().readable_owned();
    /// wait.await?;
    /// # Ok(()) }
    /// ```
    [T] ReadableOwned Arc<Async<T>>
}

ready_future! {
    /// The future of [`Async::writable_owned`]: ready when the descriptor can be written.
    ///
    /// `Send` and `Sync` when `T` is both; `Unpin` always.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(stream: levent_io::Async<std::net::TcpStream>) -> std::io::Result<()> {
    /// let stream = std::sync::Arc::new(stream);
    /// let wait = stream.clone().writable_owned();
    /// wait.await?;
    /// # Ok(()) }
    /// ```
    [T] WritableOwned Arc<Async<T>>
}

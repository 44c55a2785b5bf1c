//! Operations that are tried first and awaited on `WouldBlock`.
//!
//! Two ways to wait, since they differ in who may wait:
//!
//! | Way | Room for | Used by |
//! |---|---|---|
//! | `Waiting` (`Source::poll_waiter`) | any number of tasks | `read_with`, `write_with`, and all `async fn`s of the sockets |
//! | `Source::poll_io`, `poll_ready` | one task per direction | `poll_readable`, `poll_writable`, `poll_read_with`, `poll_write_with`, `AsyncRead`, `AsyncWrite` |
//!
//! Invariants
//! 1. An operation that succeeded is reported by the same poll: nothing is lost by dropping the future.
//! 2. Every poll spends from the task's budget, so that a descriptor that is always ready lets other tasks run.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use levent_reactor::current;
use levent_reactor::lane::Direction;

use crate::Async;
use crate::ready::{Owner, Waiting};

impl<T> Async<T> {
    /// Asks whether the descriptor can be read, and else has the task woken when it can.
    ///
    /// Holds one waker per direction, shared with `AsyncRead`: a different second one displaces the first, which is woken.
    /// The kernel is asked anew at each call.
    ///
    /// # Errors
    ///
    /// The backend's error if it refuses the interest.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source().poll_ready(Direction::Read, cx)
    }

    /// Asks whether the descriptor can be written, and else has the task woken when it can.
    ///
    /// Holds one waker per direction, shared with `AsyncWrite`: a different second one displaces the first, which is
    /// woken. The kernel is asked anew at each call.
    ///
    /// # Errors
    ///
    /// The backend's error if it refuses the interest.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source().poll_ready(Direction::Write, cx)
    }

    /// Runs a read operation, as often as it answers `WouldBlock`, each time after waiting for readability.
    ///
    /// The operation is tried at once and must not block. Any number of tasks may wait this way at once. `Interrupted` is
    /// tried again.
    ///
    /// # Errors
    ///
    /// The operation's own, `WouldBlock` and `Interrupted` excepted; the backend's if it refuses the interest.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once the operation has succeeded, the future is done.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::net::UdpSocket;
    /// # async fn example(socket: levent_io::Async<UdpSocket>) -> std::io::Result<()> {
    /// let mut datagram = [0; 1500];
    /// let (n, from) = socket.read_with(|socket| socket.recv_from(&mut datagram)).await?;
    /// # Ok(()) }
    /// ```
    pub async fn read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.try_or_wait(Direction::Read, op).await
    }

    /// Runs a write operation, as often as it answers `WouldBlock`, each time after waiting for writability.
    ///
    /// The notes of [`Async::read_with`] hold here too.
    ///
    /// # Errors
    ///
    /// The operation's own, `WouldBlock` and `Interrupted` excepted; the backend's if it refuses the interest.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once the operation has succeeded, the future is done.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::net::UdpSocket;
    /// # async fn example(socket: levent_io::Async<UdpSocket>) -> std::io::Result<()> {
    /// socket.write_with(|socket| socket.send(b"ping")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.try_or_wait(Direction::Write, op).await
    }

    /// Runs a read operation; on `WouldBlock` the task is woken when the descriptor can be read, and polls again.
    ///
    /// For what has to implement a `poll_` method itself. Holds one waker per direction, shared with `AsyncRead`: a different second one displaces
    /// the first, which is woken. `Interrupted` is tried again.
    ///
    /// # Errors
    ///
    /// Those of [`Async::read_with`].
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_io::Async;
    /// use std::{future::poll_fn, net::UdpSocket};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// levent_executor::block_on(async {
    ///     let socket = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0))?;
    ///     socket.send_to(b"ping", socket.get_ref().local_addr()?).await?;
    ///     let mut datagram = [0; 1500];
    ///     let n = poll_fn(|cx| socket.poll_read_with(cx, |socket| socket.recv(&mut datagram))).await?;
    ///     assert_eq!(&datagram[..n], b"ping");
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source()
            .poll_io(Direction::Read, cx, || op(self.get_ref()))
    }

    /// Runs a write operation; on `WouldBlock` the task is woken when the descriptor can be written, and polls again.
    ///
    /// The notes of [`Async::poll_read_with`] hold here too.
    ///
    /// # Errors
    ///
    /// Those of [`Async::write_with`].
    pub fn poll_write_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source()
            .poll_io(Direction::Write, cx, || op(self.get_ref()))
    }

    async fn try_or_wait<R>(
        &self,
        direction: Direction,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waiting = Waiting::new(self, direction);
        poll_fn(|cx| poll_operation(&mut waiting, cx, || op(self.get_ref()))).await
    }

    /// Runs an operation that wants `T` exclusively.
    ///
    /// The descriptor is borrowed from `T`, so `Source::poll_io` cannot hold it while the operation runs. The operation is
    /// tried here, and `poll_io` is only told of the `WouldBlock`.
    pub(crate) fn poll_mut<R>(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&mut T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(current::spend(cx));
        match uninterrupted(|| op(self.inner_mut())) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.source()
                    .poll_io(direction, cx, || Err(io::ErrorKind::WouldBlock.into()))
            }
            result => Poll::Ready(result),
        }
    }
}

/// Tries `op` and waits on `WouldBlock`, until it answers something else.
pub(crate) fn poll_operation<O: Owner, R>(
    waiting: &mut Waiting<O>,
    cx: &mut Context<'_>,
    mut op: impl FnMut() -> io::Result<R>,
) -> Poll<io::Result<R>> {
    ready!(current::spend(cx));
    // Unbounded as it stands: each round follows a report of readiness, and each report spends from the budget.
    loop {
        match uninterrupted(&mut op) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(waiting.poll(cx))?,
            result => return Poll::Ready(result),
        }
    }
}

/// Tries again as long as a signal handler got in the way; each round is one signal, so no bound is needed.
fn uninterrupted<R>(mut op: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match op() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

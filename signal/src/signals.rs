//! `Signals`: a receiver of the reactor, waited for through a source.
//!
//! ```text
//! kernel ─▶ handler: count[n] += 1, then write eventfd ─▶ base ─▶ waker ─▶ poll: pop, else drain and pop again
//! ```
//!
//! Invariants
//! 1. The handler counts before it writes, and a poll drains before it looks for the last time. So an occurrence is either seen by that
//!    look, or its write comes after the drain and makes the descriptor readable again. The source was registered when the
//!    `Signals` was made and tries before it parks; between the last look and the wait nothing is lost.
//! 2. A poll that finds a count does not drain: the descriptor stays readable, which costs the next poll that finds nothing one
//!    read more and saves every other poll a system call.
//! 3. The source is released before the receiver closes its descriptor.

use std::{
    borrow::Borrow,
    fmt, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use levent_reactor::{
    lane::{Direction, Source},
    signal::Receiver,
};

/// A stream of the signals that the process receives, by their numbers.
///
/// Numbers that came meanwhile are given in ascending order, each as often as it was counted; see the [crate page](crate) for what
/// is counted.
///
/// The items are plain numbers, not results: catching is set up when a number is added, and after that there is nothing about a signal
/// that could fail. The one thing left is the base that waits. If it refuses the wait, which takes a kernel out of memory or
/// out of epoll watches when the stream moves to another thread's base, the stream ends; [`poll_signal`](Signals::poll_signal) gives
/// the reason, and the next poll tries again. Otherwise the stream never ends, also while it catches no number.
///
/// `&Signals` is a stream too, so that numbers can be added and removed while one task waits. Only one task may wait at a time: a second
/// one takes the place of the first and wakes it.
///
/// # Cancel safety
///
/// Cancel safe: an occurrence is taken only when a poll returns it.
///
/// # Examples
///
/// ```no_run
/// use futures_lite::StreamExt;
/// use levent_signal::{SIGUSR1, SIGUSR2, Signals};
///
/// # fn main() -> std::io::Result<()> {
/// let signals = Signals::new([SIGUSR1])?;
/// signals.add(SIGUSR2)?;
/// levent_executor::block_on(async {
///     let first = (&signals).next().await;
///     println!("got {first:?}");
/// });
/// # Ok(())
/// # }
/// ```
pub struct Signals {
    source: Source,
    receiver: Receiver,
}

impl Signals {
    /// Catches `signals` from now on. The list may be empty.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a number that is no signal or cannot be caught: `SIGKILL` and `SIGSTOP`, and the
    /// four that report a fault of the running instruction (`SIGSEGV`, `SIGBUS`, `SIGFPE`, `SIGILL`). No number of the list is
    /// caught then. Also the system's error if it has no descriptor left.
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_signal::{SIGINT, SIGTERM, Signals};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let signals = Signals::new([SIGINT, SIGTERM])?;
    /// let refused = Signals::new([SIGINT, 9]);
    /// assert_eq!(refused.map(drop).map_err(|e| e.kind()), Err(std::io::ErrorKind::InvalidInput));
    /// # drop(signals);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new<I>(signals: I) -> io::Result<Signals>
    where
        I: IntoIterator,
        I::Item: Borrow<i32>,
    {
        let receiver = Receiver::new()?;
        let source = Source::new(receiver.as_fd())?;
        // From here on an early return drops `this`, which gives up what was added so far.
        let this = Signals { source, receiver };
        this.add_signals(signals)?;
        Ok(this)
    }

    /// Catches one more number; one that is caught already stays so.
    ///
    /// # Errors
    ///
    /// As [`new`](Signals::new).
    pub fn add(&self, signal: i32) -> io::Result<()> {
        self.receiver.add(signal)
    }

    /// Gives a number up; one that is not caught is fine.
    ///
    /// Occurrences that were counted and not taken yet are forgotten. If nobody else catches the number, its old disposition is back when this
    /// returns: the next SIGINT may end the process again.
    ///
    /// # Errors
    ///
    /// The system's error if it refuses to put the disposition back; the number is given up all the same.
    pub fn remove(&self, signal: i32) -> io::Result<()> {
        self.receiver.remove(signal)
    }

    /// Catches all of `signals`; under this name for users of async-signal.
    ///
    /// # Errors
    ///
    /// As [`new`](Signals::new). The numbers before the one that is refused are caught.
    pub fn add_signals<I>(&self, signals: I) -> io::Result<()>
    where
        I: IntoIterator,
        I::Item: Borrow<i32>,
    {
        signals
            .into_iter()
            .try_for_each(|signal| self.add(*signal.borrow()))
    }

    /// Gives all of `signals` up; under this name for users of async-signal.
    ///
    /// # Errors
    ///
    /// As [`remove`](Signals::remove). The numbers before the one that fails are given up.
    pub fn remove_signals<I>(&self, signals: I) -> io::Result<()>
    where
        I: IntoIterator,
        I::Item: Borrow<i32>,
    {
        signals
            .into_iter()
            .try_for_each(|signal| self.remove(*signal.borrow()))
    }

    /// Polls for the next number; what the stream is made of, with the error that ends it.
    ///
    /// # Errors
    ///
    /// The base's error if it refuses to wait, see [`Signals`].
    pub fn poll_signal(&self, cx: &mut Context<'_>) -> Poll<io::Result<i32>> {
        self.source.poll_io(Direction::Read, cx, || {
            if let Some(signal) = self.receiver.pop() {
                return Ok(signal);
            }
            self.receiver.drain();
            // The look that counts, invariant 1.
            self.receiver
                .pop()
                .ok_or_else(|| io::ErrorKind::WouldBlock.into())
        })
    }
}

impl Stream for &Signals {
    type Item = i32;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<i32>> {
        self.poll_signal(cx).map(Result::ok)
    }
}

impl Stream for Signals {
    type Item = i32;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<i32>> {
        self.poll_signal(cx).map(Result::ok)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.source.release();
    }
}

/// The descriptor that becomes readable when a signal was counted. To wait on it, not to read from it.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.receiver.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals")
            .field("receiver", &self.receiver)
            .finish_non_exhaustive()
    }
}

//! `Timeout`: a limit on another future.

use std::{
    error::Error,
    fmt,
    future::{Future, IntoFuture},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use pin_project_lite::pin_project;

use crate::Sleep;

/// Gives `future` at most `duration`, counted from this call.
///
/// The future is polled before the deadline is looked at: if both are ready in one poll, its output wins, and a future that is
/// ready at once answers even with a limit of zero. [`Duration::MAX`] is no limit.
///
/// # Errors
///
/// [`Elapsed`] when the limit passes first. It turns into an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut), so that
/// `?` does in a function that answers with [`io::Result`].
///
/// # Cancel safety
///
/// The limit passing, like dropping the `Timeout`, drops nothing but what it holds: the inner future is cancelled when the `Timeout`
/// is dropped. It is as cancel safe as the inner future: pass `&mut future` to go on with it afterwards, or take it back with
/// [`Timeout::into_inner`].
///
/// # Examples
///
/// ```
/// use levent_timer::{sleep, timeout};
/// use std::{io, time::Duration};
///
/// async fn answer() -> u32 {
///     42
/// }
///
/// # fn main() -> io::Result<()> {
/// levent_executor::block_on(async {
///     assert_eq!(timeout(Duration::from_secs(1), answer()).await?, 42);
///
///     let slow = sleep(Duration::from_secs(3600));
///     let error = timeout(Duration::from_millis(1), slow).await.map_err(io::Error::from);
///     assert_eq!(error.map_err(|e| e.kind()), Err(io::ErrorKind::TimedOut));
///     Ok(())
/// })
/// # }
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        limit: crate::sleep(duration),
    }
}

/// Gives `future` until `deadline`; otherwise as [`timeout`].
///
/// # Errors
///
/// [`Elapsed`] when the deadline passes first.
///
/// # Cancel safety
///
/// That of the inner future, see [`timeout`].
///
/// # Examples
///
/// One deadline over several steps:
///
/// ```
/// use levent_timer::timeout_at;
/// use std::{future::ready, time::{Duration, Instant}};
///
/// # fn main() -> std::io::Result<()> {
/// levent_executor::block_on(async {
///     let deadline = Instant::now() + Duration::from_secs(1);
///     timeout_at(deadline, ready("read the head")).await?;
///     timeout_at(deadline, ready("read the body")).await?;
///     Ok(())
/// })
/// # }
/// ```
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        limit: crate::sleep_until(deadline),
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_timer::{Timeout, timeout};
    /// use std::{future::{Ready, ready}, time::Duration};
    ///
    /// let limited: Timeout<Ready<u8>> = timeout(Duration::from_secs(1), ready(7));
    /// assert_eq!(levent_executor::block_on(limited), Ok(7));
    /// ```
    #[must_use = "a timeout does nothing until it is polled"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        limit: Sleep,
    }
}

impl<F> Timeout<F> {
    /// The limited future.
    pub const fn get_ref(&self) -> &F {
        &self.future
    }

    /// The limited future.
    pub const fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// Gives the future back and forgets the limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(this.limit).poll(cx).map(|()| Err(Elapsed(())))
    }
}

/// The error of a [`timeout`] whose limit passed first.
///
/// # Examples
///
/// ```
/// use levent_timer::{Elapsed, timeout};
/// use std::{future::pending, io, time::Duration};
///
/// let outcome: Result<(), Elapsed> = levent_executor::block_on(timeout(Duration::ZERO, pending()));
/// let error = outcome.map_err(io::Error::from).map_err(|e| e.kind());
/// assert_eq!(error, Err(io::ErrorKind::TimedOut));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit passed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

//! `ctrl_c`: the one signal that every program has.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{SIGINT, Signals};

/// Catches SIGINT, which Ctrl-C sends, from now on; the future is ready at the first one.
///
/// Registered by the call itself: a Ctrl-C between it and the first poll is not lost, and does not end the process.
///
/// # Errors
///
/// The system's error if it has no descriptor left. The future's own error is that of [`Signals::poll_signal`].
///
/// # Cancel safety
///
/// Dropping the future gives SIGINT its old disposition back; one that came meanwhile is forgotten. To race it against other
/// work in a loop, keep one future and poll it by `&mut`.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let ctrl_c = levent_signal::ctrl_c()?;
/// println!("Ctrl-C ends this");
/// levent_executor::block_on(ctrl_c)?;
/// println!("bye");
/// # Ok(())
/// # }
/// ```
pub fn ctrl_c() -> io::Result<CtrlC> {
    Signals::new([SIGINT]).map(|signals| CtrlC { signals })
}

/// The future of [`ctrl_c`]. Polled again after it was ready, it waits for the next SIGINT.
///
/// # Examples
///
/// ```
/// use futures_lite::future::{self, FutureExt};
/// use levent_signal::CtrlC;
///
/// # fn main() -> std::io::Result<()> {
/// let mut ctrl_c: CtrlC = levent_signal::ctrl_c()?;
/// let work = future::ready(Ok(()));
/// levent_executor::block_on(work.or(&mut ctrl_c))
/// # }
/// ```
#[must_use = "a future does nothing until it is polled"]
#[derive(Debug)]
pub struct CtrlC {
    signals: Signals,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.signals.poll_signal(cx).map_ok(drop)
    }
}

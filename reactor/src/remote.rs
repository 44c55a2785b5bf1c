//! The handle of a base for other threads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::shared::{Message, Shared};
use crate::{Base, Flags};

/// Reaches a [`Base`] from any thread: `Send + Sync + Clone`, and outliving the base does no harm.
///
/// Every method posts a message and wakes the base if it sleeps; a burst of messages costs one system call (THR-8). Nothing
/// here blocks, and nothing touches the base's state from the calling thread.
///
/// ```
/// use levent_reactor::{Base, LoopFlags};
/// use std::thread;
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let remote = base.remote();
/// let poster = thread::spawn(move || remote.post(|base| base.loop_break()));
/// base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY)?;
/// assert!(base.got_break());
/// poster.join().unwrap()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    pub(crate) fn new(shared: Arc<Shared>) -> Remote {
        Remote { shared }
    }

    /// Ends the base's sleep, or makes its next one not happen. Never blocks, never fails; a base that is gone is left alone.
    #[inline]
    pub fn notify(&self) {
        self.shared.notify();
    }

    /// Runs a closure on the base's thread, in the next iteration of its loop. Closures run in the order they were posted.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone. A closure that was posted and not run before is dropped with the base.
    pub fn post(&self, closure: impl FnOnce(&Base) + Send + 'static) -> io::Result<()> {
        self.shared
            .post_closure(Box::new(closure))
            .map_err(|_| gone())
    }

    /// Activates the events of a descriptor, as [`Base::activate_fd`].
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone.
    pub fn activate_fd(&self, fd: std::os::fd::RawFd, what: Flags) -> io::Result<()> {
        self.post(move |base| base.activate_fd(fd, what))
    }

    /// Activates the events of a signal, as [`Base::activate_signal`].
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone.
    pub fn activate_signal(&self, signal: i32) -> io::Result<()> {
        self.post(move |base| base.activate_signal(signal))
    }

    /// Ends the base's loop: at once if it waits, else after the callback that is running (EXIT-12, EXIT-13). Without a loop that runs
    /// it has no effect (EXIT-2).
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone.
    pub fn loop_break(&self) -> io::Result<()> {
        self.send(Message::Break)?;
        self.shared.attention.call();
        Ok(())
    }

    /// Ends the base's loop, as [`Base::loop_exit`], when it has read the message; `delay` counts from then. Without a loop that runs,
    /// the message waits for the next.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone; with a delay also what adding a timer may answer.
    pub fn loop_exit(&self, delay: Option<Duration>) -> io::Result<()> {
        self.post(move |base| {
            // A timer without a descriptor cannot be refused.
            let _ = base.loop_exit(delay);
        })
    }

    /// Has the base's loop begin a new iteration, as [`Base::loop_continue`]: after the callback that is running, or at the end of the
    /// wait, and then the loop looks for news once more before it runs callbacks.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone.
    pub fn loop_continue(&self) -> io::Result<()> {
        self.send(Message::Continue)?;
        self.shared.attention.call();
        Ok(())
    }

    /// Runs a closure once on the base's thread, `delay` after the base has read the message; without a delay in the next iteration.
    /// As [`Base::once_after`] it keeps the loop alive until then.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone. A closure that has not run is dropped with the base.
    pub fn once_after(
        &self,
        delay: Duration,
        closure: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        self.post(move |base| base.once_after(delay, closure))
    }

    /// The number of the base.
    pub(crate) fn base(&self) -> u32 {
        self.shared.id
    }

    fn send(&self, message: Message) -> io::Result<()> {
        let loose = self.shared.post(message).map_err(|_| gone())?;
        loose.settle();
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the base is gone: keep it alive as long as its remotes are used",
    )
}

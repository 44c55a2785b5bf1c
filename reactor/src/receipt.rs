//! How a thread learns that a base has handled its message.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::current;

/// Says when a base has handled a message. Dropping it is not to care.
///
/// The base handles messages between callbacks, so no callback that ran when the message was sent is running any more; and a base
/// that has ended has handled everything, since none of its callbacks will ever run.
///
/// # Examples
///
/// ```
/// use levent_reactor::{Base, Event, LoopFlags};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let event = Event::interval(&base, |_, _| {});
/// event.add_after(Duration::from_millis(1))?;
/// let (remote, all) = (event.remote().unwrap(), base.remote());
/// let other = std::thread::spawn(move || {
///     remote.del()?.wait()?;
///     // Here the callback is not running, and will not run: what it uses may be torn down.
///     all.loop_break()
/// });
/// base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY)?;
/// other.join().unwrap()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Receipt {
    handled: Receiver<()>,
    base: u32,
}

/// Goes with the message; dropped when it is handled, or with a base that ends.
pub(crate) struct Handled {
    /// Nothing is ever sent: the receiver waits for the end of the channel.
    _end: Sender<()>,
}

impl Receipt {
    pub(crate) fn new(base: u32) -> (Handled, Receipt) {
        let (end, handled) = channel();
        (Handled { _end: end }, Receipt { handled, base })
    }

    /// Blocks until the base has handled the message. A base that nobody runs handles it when its loop is entered next.
    ///
    /// # Errors
    ///
    /// `Deadlock` on the thread that is inside this base's loop: it would wait for itself.
    pub fn wait(&self) -> io::Result<()> {
        self.refuse_at_home()?;
        // The only news is the end.
        let _ = self.handled.recv();
        Ok(())
    }

    /// The same for at most this long. Says whether the message was handled.
    ///
    /// # Errors
    ///
    /// As [`wait`](Receipt::wait).
    pub fn wait_for(&self, time: Duration) -> io::Result<bool> {
        self.refuse_at_home()?;
        Ok(self.handled.recv_timeout(time) != Err(RecvTimeoutError::Timeout))
    }

    /// Has the message been handled?
    #[must_use]
    pub fn is_handled(&self) -> bool {
        self.handled.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected)
    }

    fn refuse_at_home(&self) -> io::Result<()> {
        if !self.is_handled() && current::runs(self.base) {
            return Err(io::Error::new(
                io::ErrorKind::Deadlock,
                "this thread runs the loop that has to handle the message: use the event itself here",
            ));
        }
        Ok(())
    }
}

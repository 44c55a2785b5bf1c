//! The boundary between the executor and whatever it sleeps on: two methods.
//!
//! The executor needs to know nothing of a reactor except how to spend idle time in it and how to end that from another
//! thread. The reactor is one implementation ([`block_on`](crate::block_on()) uses it); a test has a condition variable, a
//! program with a loop of its own has one turn of that loop.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use levent_reactor::{Entered, Remote, Wait};

/// What an executor sleeps on while nothing is runnable.
///
/// # Contract
///
/// - `turn` waits as `wait` says, makes the wakes that have come due, and returns. It may return early for no reason. It must
///   return once it has woken a task on its own thread: such a wake unparks nobody.
/// - An unpark is never lost. If it comes while the thread is not in `turn`, the next `turn` does not sleep; and what
///   the unparking thread wrote before it is visible after that `turn`.
///
/// # Examples
///
/// A sleeper for futures that wait only for other threads:
///
/// ```
/// use levent_executor::{Sleeper, Unparker, block_on_with};
/// use levent_reactor::Wait;
/// use std::{io, thread};
///
/// struct Parked;
///
/// impl Sleeper for Parked {
///     fn turn(&self, wait: Wait) -> io::Result<()> {
///         match wait {
///             Wait::Poll => {}
///             Wait::Block => thread::park(),
///             Wait::AtMost(time) => thread::park_timeout(time),
///         }
///         Ok(())
///     }
///
///     fn unparker(&self) -> Unparker {
///         let thread = thread::current();
///         Unparker::new(move || thread.unpark())
///     }
/// }
///
/// assert_eq!(block_on_with(&Parked, async { 1 + 2 }), 3);
/// ```
pub trait Sleeper {
    /// Waits and does the work of one iteration.
    ///
    /// # Errors
    ///
    /// The sleeper's own; an error ends the executor's loop with a panic, since tasks could not go on either.
    fn turn(&self, wait: Wait) -> io::Result<()>;

    /// A handle that ends the sleep of [`turn`](Sleeper::turn), or makes the next one not happen, from any thread.
    fn unparker(&self) -> Unparker;
}

/// Ends the sleep of one [`Sleeper`], from any thread. Cheap to clone.
///
/// # Examples
///
/// ```
/// use levent_executor::Unparker;
///
/// let thread = std::thread::current();
/// let unparker = Unparker::new(move || thread.unpark());
/// std::thread::spawn(move || unparker.unpark());
/// std::thread::park();
/// ```
#[derive(Clone)]
pub struct Unparker(Kind);

#[derive(Clone)]
enum Kind {
    /// Our reactor.
    Remote(Remote),
    /// Somebody else's loop, or a test.
    Call(Arc<dyn Fn() + Send + Sync>),
    /// An executor that polls our [`LocalExecutor`](crate::LocalExecutor).
    Waker(Waker),
}

impl Unparker {
    /// Makes an unparker from a function.
    ///
    /// The function must not block and must not poll; it is called with no lock held. A panic in it is swallowed.
    pub fn new(unpark: impl Fn() + Send + Sync + 'static) -> Unparker {
        Unparker(Kind::Call(Arc::new(unpark)))
    }

    /// Ends the sleep, or makes the next one not happen.
    pub fn unpark(&self) {
        match &self.0 {
            Kind::Remote(remote) => remote.notify(),
            Kind::Call(call) => call(),
            Kind::Waker(waker) => waker.wake_by_ref(),
        }
    }
}

impl From<Remote> for Unparker {
    fn from(remote: Remote) -> Unparker {
        Unparker(Kind::Remote(remote))
    }
}

impl From<Waker> for Unparker {
    fn from(waker: Waker) -> Unparker {
        Unparker(Kind::Waker(waker))
    }
}

impl fmt::Debug for Unparker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Kind::Remote(_) => "Remote",
            Kind::Call(_) => "Call",
            Kind::Waker(_) => "Waker",
        };
        f.debug_tuple("Unparker").field(&kind).finish()
    }
}

/// The base that this thread has entered.
pub(crate) struct OnBase {
    entered: Entered,
    remote: Remote,
}

impl OnBase {
    /// # Panics
    ///
    /// If the thread's base does not exist yet and cannot be made.
    pub(crate) fn new(entered: Entered) -> OnBase {
        match entered.base() {
            Ok(base) => OnBase {
                remote: base.remote(),
                entered,
            },
            Err(error) => panic!("block_on: this thread's base could not be made: {error}"),
        }
    }
}

impl Sleeper for OnBase {
    fn turn(&self, wait: Wait) -> io::Result<()> {
        self.entered.turn(wait)
    }

    fn unparker(&self) -> Unparker {
        Unparker::from(self.remote.clone())
    }
}

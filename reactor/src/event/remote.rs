//! Events reached from other threads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::{Event, Inner};
use crate::receipt::{Handled, Receipt};
use crate::{Flags, Remote};

thread_local! {
    /// The events of this thread that have been named for others. An entry stays until the event is gone and its name is
    /// looked up once more, or another event is named.
    static NAMED: RefCell<HashMap<u64, Weak<Inner>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

/// Adds, deletes and activates an [`Event`] from any thread: `Send + Sync + Clone`.
///
/// Every method is a message that the base handles in its next iteration, in the order they were sent; it wakes the base if it
/// sleeps. Sending waits for nothing, so nothing can deadlock on a callback that is running (better than DEL-8). Who has to know when
/// the message was handled, [waits](Receipt::wait) for its receipt. Messages about an event that is gone do nothing.
///
/// ```
/// use levent_reactor::{Base, Event, Flags};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let event = Event::timer(&base, |event, _| event.base().unwrap().loop_break());
/// event.add_after(Duration::from_secs(3600))?;
/// let remote = event.remote().unwrap();
/// let other = std::thread::spawn(move || remote.activate(Flags::NONE));
/// base.dispatch()?;
/// other.join().unwrap()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RemoteEvent {
    remote: Remote,
    name: u64,
}

impl RemoteEvent {
    pub(super) fn of(event: &Event) -> Option<RemoteEvent> {
        let remote = event.base()?.remote();
        let mut name = event.inner.remote.get();
        if name == 0 {
            name = NEXT.with(|next| next.replace(next.get() + 1));
            event.inner.remote.set(name);
            NAMED.with(|named| {
                let mut named = named.borrow_mut();
                named.retain(|_, inner| inner.strong_count() > 0);
                named.insert(name, Rc::downgrade(&event.inner));
            });
        }
        Some(RemoteEvent { remote, name })
    }

    /// Makes the event active, as [`Event::activate`].
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone.
    pub fn activate(&self, what: Flags) -> io::Result<()> {
        self.send(move |event| event.activate(what))
    }

    /// Makes the event pending, with a deadline if one is given, counted from when the base reads the message.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone. What the backend says is not known here; it leaves the event as it is.
    pub fn add(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.send(move |event| {
            // Nobody is there to hear of a refusal; the event stays idle, which `pending` shows.
            let _ = match timeout {
                Some(timeout) => event.add_after(timeout),
                None => event.add(),
            };
        })
    }

    /// Makes the event idle. A callback that is running goes on; once the receipt's wait is over, the callback is not running, and
    /// does not run again unless somebody adds or activates the event anew (DEL-8 as a message; DEL-10).
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone.
    pub fn del(&self) -> io::Result<Receipt> {
        let (handled, receipt) = self.receipt();
        self.send(move |event| {
            // The event is idle whatever the backend says (DEL-6).
            let _ = event.del();
            drop(handled);
        })?;
        Ok(receipt)
    }

    /// Cancels the event and has the loop run `finalizer` on the base's thread instead of the callback, as [`Event::finalize`]. Never
    /// while the callback is running (FIN-10). The receipt is for the request; the finalizer runs in the pass that follows.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone; the finalizer is dropped then.
    pub fn finalize(&self, finalizer: impl FnOnce(&Event) + Send + 'static) -> io::Result<Receipt> {
        let (handled, receipt) = self.receipt();
        self.send(move |event| {
            event.finalize(finalizer);
            drop(handled);
        })?;
        Ok(receipt)
    }

    fn receipt(&self) -> (Handled, Receipt) {
        Receipt::new(self.remote.base())
    }

    fn send(&self, f: impl FnOnce(Event) + Send + 'static) -> io::Result<()> {
        let name = self.name;
        self.remote.post(move |_| {
            let inner = NAMED.with(|named| {
                let mut named = named.borrow_mut();
                let inner = named.get(&name).and_then(Weak::upgrade);
                if inner.is_none() {
                    named.remove(&name);
                }
                inner
            });
            if let Some(inner) = inner {
                f(Event::of(inner));
            }
        })
    }
}

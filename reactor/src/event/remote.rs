//! Events reached from other threads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::{Event, Inner};
use crate::{Flags, Remote};

thread_local! {
    /// The events of this thread that have been named for others. An entry stays until the event is gone and its name is
    /// looked up once more, or another event is named.
    static NAMED: RefCell<HashMap<u64, Weak<Inner>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

/// Adds, deletes and activates an [`Event`] from any thread: `Send + Sync + Clone`.
///
/// Every method is a message that the base handles in its next iteration; it wakes the base if it sleeps. Nothing waits for a
/// callback that is running, so nothing can deadlock on it (better than DEL-8). Messages about an event that is gone do nothing.
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

    /// Makes the event idle. A callback that is running goes on.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the base is gone.
    pub fn del(&self) -> io::Result<()> {
        self.send(|event| {
            // The event is idle whatever the backend says (DEL-6).
            let _ = event.del();
        })
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

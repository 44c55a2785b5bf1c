//! Events: a condition, a callback, and the life cycle in between.
//!
//! ```text
//! Event (handle) ──▶ Inner: number, interest, priority, callback
//!                      └── token, while pending or active: the engine's record
//! ```
//!
//! Invariants
//! 1. `token` is set exactly while the engine has a record of the event, and then the base has a handle of it too: a pending
//!    event that was detached lives on. The record comes with the first `add` or `activate` and goes with the last handle. `handles` counts them all; the user's last is gone when one is left.
//! 2. The callback is taken out of the `Inner` while it runs: it may drop the event, delete it, add it again.

mod cycle;
mod flags;
mod remote;

pub use flags::Flags;
pub use remote::RemoteEvent;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::{Rc, Weak};

use crate::base::{Base, Local};
use crate::engine::record::{ACTIVE, Spec, Token};

/// A condition and the callback that runs when it holds: libevent's `struct event`.
///
/// An event is *idle* until it is added or activated. Added, it is *pending*: it waits for its descriptor or signal, for its
/// deadline, or for both. When something happens it becomes *active*, and its callback runs in the loop. Unless it is
/// [persistent](Flags::PERSIST) it is idle again when the callback starts.
///
/// A handle: clones name the same event. When the last one is dropped the event is deleted and its source with it, unless it
/// was [detached](Event::detach). It stays on its base's thread; others reach it by its [`remote`](Event::remote).
///
/// The callback receives the source, what happened, and the event. It may do anything: add, delete or drop events, its own
/// included.
///
/// # Example
///
/// ```
/// use levent_reactor::{Base, Event, Flags};
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let (here, mut there) = UnixStream::pair()?;
/// here.set_nonblocking(true)?;
/// let event = Event::new(&base, here, Flags::READ, |mut stream: &UnixStream, what, _| {
///     assert_eq!(what, Flags::READ);
///     let mut byte = [0];
///     assert_eq!(stream.read(&mut byte).unwrap(), 1);
/// })?;
/// event.add()?;
/// there.write_all(b"x")?;
/// base.dispatch()?;
/// # Ok(()) }
/// ```
pub struct Event {
    pub(crate) inner: Rc<Inner>,
}

/// The event itself. What each callback and each `add` touches comes first, on one cache line with the counts of the `Rc`.
#[repr(C)]
pub(crate) struct Inner {
    pub(crate) handles: Cell<usize>,
    handler: Cell<Option<Box<dyn Handler>>>,
    token: Cell<Option<Token>>,
    /// The base's number: enough to act on its engine where its loop is the innermost.
    base_id: Cell<u32>,
    /// A finalizer has been asked for, or has run: the event is of no use any more (FIN-9).
    finalized: Cell<bool>,
    /// Let go of once it is idle (see [`Event::detach`]).
    detached: Cell<bool>,
    interest: Cell<Flags>,
    priority: Cell<u8>,
    /// Calls of a signal event's callback that are still to come.
    pub(crate) repeat: Cell<u32>,
    number: Cell<RawFd>,
    base: RefCell<Weak<Local>>,
    finalizer: Cell<Option<Finalizer>>,
    /// Its number among those that other threads have handles of; 0 for none.
    remote: Cell<u64>,
}

type Finalizer = Box<dyn FnOnce(&Event)>;

trait Handler {
    fn call(&mut self, event: &Event, what: Flags);

    /// Reads from the memory that the call will need.
    fn touch(&self) -> u8;
}

/// A callback alone.
struct Alone<F> {
    callback: F,
    /// There to be read: of what a closure has captured nothing is known.
    touched: u8,
}

impl<F: FnMut(&Event, Flags)> Handler for Alone<F> {
    #[inline]
    fn call(&mut self, event: &Event, what: Flags) {
        (self.callback)(event, what);
    }

    fn touch(&self) -> u8 {
        self.touched
    }
}

/// A callback with the source that it gets.
struct WithSource<S, F> {
    callback: F,
    source: S,
    touched: u8,
}

impl<S, F: FnMut(&S, Flags, &Event)> Handler for WithSource<S, F> {
    #[inline]
    fn call(&mut self, event: &Event, what: Flags) {
        (self.callback)(&self.source, what, event);
    }

    fn touch(&self) -> u8 {
        self.touched
    }
}

impl Event {
    /// Makes an event for a descriptor. The event owns the source: give it an `OwnedFd` or a socket, or an `Rc` of one to share
    /// it between events.
    ///
    /// The descriptor should be non-blocking. Whether it can be watched is found out when the event is added (EV-5).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `interest` has `SIGNAL` (FLG-2).
    pub fn new<S: AsFd + 'static>(
        base: &Base,
        source: S,
        interest: Flags,
        callback: impl FnMut(&S, Flags, &Event) + 'static,
    ) -> io::Result<Event> {
        if interest.contains(Flags::SIGNAL) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "SIGNAL does not go with a descriptor: make an `Event::signal` beside it",
            ));
        }
        let number = source.as_fd().as_raw_fd();
        Ok(Event::make(
            base,
            number,
            interest,
            Box::new(WithSource {
                callback,
                source,
                touched: 0,
            }),
        ))
    }

    /// Makes a timer: it waits for its deadline only.
    pub fn timer(base: &Base, callback: impl FnMut(&Event, Flags) + 'static) -> Event {
        Event::alone(base, -1, Flags::NONE, callback)
    }

    /// Makes a timer that rings again and again, each time one interval after the last deadline, without drift and without
    /// making up for missed ones (PER-2, PER-4). The interval is what it is added with.
    pub fn interval(base: &Base, callback: impl FnMut(&Event, Flags) + 'static) -> Event {
        Event::alone(base, -1, Flags::PERSIST, callback)
    }

    /// Makes an event for a signal, persistent. The callback runs in the loop, once per occurrence (SIG-5); the event is in
    /// [`number`](Event::number).
    pub fn signal(
        base: &Base,
        signal: i32,
        callback: impl FnMut(&Event, Flags) + 'static,
    ) -> Event {
        Event::alone(base, signal, Flags::SIGNAL | Flags::PERSIST, callback)
    }

    /// Makes an event for a signal that is removed, and the old disposition restored, before its callback runs (FLG-11).
    pub fn signal_once(
        base: &Base,
        signal: i32,
        callback: impl FnMut(&Event, Flags) + 'static,
    ) -> Event {
        Event::alone(base, signal, Flags::SIGNAL, callback)
    }

    /// Makes an event that only [`activate`](Event::activate) runs (EV-13).
    pub fn user(base: &Base, callback: impl FnMut(&Event, Flags) + 'static) -> Event {
        Event::alone(base, -1, Flags::NONE, callback)
    }

    /// Makes an event from a bare number; `sys` has the public, unsafe way to it.
    pub(crate) fn from_number(
        base: &Base,
        number: RawFd,
        interest: Flags,
        callback: impl FnMut(&Event, Flags) + 'static,
    ) -> io::Result<Event> {
        if interest.contains(Flags::SIGNAL) && interest.intersects(Flags::DESCRIPTOR) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an event waits for a signal or for a descriptor: make two of them",
            ));
        }
        Ok(Event::alone(base, number, interest, callback))
    }

    /// Makes an event without a source.
    fn alone(
        base: &Base,
        number: RawFd,
        interest: Flags,
        callback: impl FnMut(&Event, Flags) + 'static,
    ) -> Event {
        let handler = Alone {
            callback,
            touched: 0,
        };
        Event::make(base, number, interest, Box::new(handler))
    }

    fn make(base: &Base, number: RawFd, interest: Flags, handler: Box<dyn Handler>) -> Event {
        let priority = (base.priorities() / 2) as u8;
        Event {
            inner: Rc::new(Inner {
                base: RefCell::new(Rc::downgrade(&base.local)),
                base_id: Cell::new(base.local.id),
                number: Cell::new(number),
                interest: Cell::new(interest),
                priority: Cell::new(priority),
                token: Cell::new(None),
                handler: Cell::new(Some(handler)),
                finalizer: Cell::new(None),
                finalized: Cell::new(false),
                detached: Cell::new(false),
                repeat: Cell::new(0),
                handles: Cell::new(1),
                remote: Cell::new(0),
            }),
        }
    }

    /// One more handle of an event.
    #[inline]
    pub(crate) fn of(inner: Rc<Inner>) -> Event {
        inner.handles.set(inner.handles.get() + 1);
        Event { inner }
    }

    /// The event's base, unless it has ended.
    #[must_use]
    pub fn base(&self) -> Option<Base> {
        self.inner
            .base
            .borrow()
            .upgrade()
            .map(|local| Base { local })
    }

    fn living_base(&self) -> io::Result<Base> {
        self.base().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotConnected,
                "the event's base has ended: keep the base alive, or make a new event",
            )
        })
    }

    /// The descriptor or signal number; -1 for a timer.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.inner.number.get()
    }

    /// The flags that the event was made with.
    #[must_use]
    pub fn interest(&self) -> Flags {
        self.inner.interest.get()
    }

    /// The priority level; 0 is the most urgent.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.inner.priority.get()
    }

    /// Sets the priority level, from the next activation on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the base has no such level, `ResourceBusy` while the event is active (ACT-16), `NotConnected` once the base
    /// has ended.
    pub fn set_priority(&self, priority: u8) -> io::Result<()> {
        let base = self.living_base()?;
        let levels = base.priorities();
        if usize::from(priority) >= levels {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "priority {priority} of {levels} levels: call `Base::set_priorities` first"
                ),
            ));
        }
        if let Some(token) = self.inner.token.get() {
            let is_active = base.with(|engine| {
                let Some(index) = engine.records.find(token) else {
                    return false;
                };
                if engine.records[index].is(ACTIVE) {
                    return true;
                }
                engine.records[index].priority = priority;
                false
            });
            if is_active {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "the event is active: set its priority before",
                ));
            }
        }
        self.inner.priority.set(priority);
        Ok(())
    }
}

impl Inner {
    fn spec(&self) -> Spec {
        Spec {
            number: self.number.get(),
            interest: self.interest.get(),
            priority: self.priority.get(),
            is_detached: self.detached.get(),
        }
    }

    /// The engine has released the record.
    #[inline]
    pub(crate) fn forget_token(&self) {
        self.token.set(None);
    }

    /// Reads from the memory of the callback.
    pub(crate) fn touch(&self) -> u8 {
        let handler = self.handler.take();
        let touched = handler.as_ref().map_or(0, |handler| handler.touch());
        self.handler.set(handler);
        touched
    }

    /// Runs the callback.
    #[inline]
    pub(crate) fn call(&self, event: &Event, what: Flags) {
        // Taken out meanwhile, put back also if it panics, unless the callback has assigned another one.
        struct PutBack<'a>(&'a Inner, Option<Box<dyn Handler>>);
        impl Drop for PutBack<'_> {
            #[inline]
            fn drop(&mut self) {
                let assigned = self.0.handler.take();
                self.0.handler.set(assigned.or_else(|| self.1.take()));
            }
        }
        let mut taken = PutBack(self, self.handler.take());
        if let Some(handler) = &mut taken.1 {
            handler.call(event, what);
        }
    }
}

impl Event {
    /// Releases the record and runs the finalizer, if one was asked for.
    pub(crate) fn run_finalizer(self) {
        let token = self.inner.token.take();
        if let (Some(token), Some(base)) = (token, self.base()) {
            base.with(|engine| engine.release_finalized(token));
            drop(base.let_go(token.index));
        }
        if let Some(finalizer) = self.inner.finalizer.take() {
            finalizer(&self);
        }
    }
}

impl Clone for Event {
    fn clone(&self) -> Event {
        Event::of(self.inner.clone())
    }
}

impl Drop for Event {
    #[inline]
    fn drop(&mut self) {
        let left = self.inner.handles.get() - 1;
        self.inner.handles.set(left);
        // The base's table has a handle of its own while the event is registered.
        if left == 1 {
            self.abandon();
        }
    }
}

impl Event {
    /// Is this the loop's own handle of an event that its user has dropped?
    pub(crate) fn is_abandoned(&self) -> bool {
        // The base's table has one more while the event is registered.
        self.inner.handles.get() == 1 + usize::from(self.inner.token.get().is_some())
    }

    /// The user's last handle is gone.
    #[cold]
    #[inline(never)]
    fn abandon(&self) {
        if self.inner.token.get().is_some() {
            // The backend's refusal concerns a descriptor that was closed behind our back.
            let _ = self.del();
            self.part_if_idle();
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("number", &self.number())
            .field("interest", &self.interest())
            .field("priority", &self.priority())
            .field("pending", &self.is_pending())
            .finish_non_exhaustive()
    }
}

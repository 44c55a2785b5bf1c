//! Change callbacks: who hears how much came and went.
//!
//! ```text
//! operation ──▶ note(added, deleted) ──▶ pending ──▶ notify: round over the observers, newest first
//!                                           ▲                       │
//!                                           └── what they change ───┘  told in the next round
//! ```
//!
//! Invariants
//! 1. A round begins when the operation is complete. The observer that runs is out of the list, and gets the buffer: it may do anything to it, and
//!    to the list.
//! 2. Rounds do not nest. What observers change is added up and told to all in one more round (EB-104).
//! 3. A panicking observer is gone afterwards; the buffer and the others are as before.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use super::Buffer;

/// What happened to a buffer since its observers were last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Change {
    /// The length before.
    pub before: usize,
    /// Bytes that came in.
    pub added: usize,
    /// Bytes that went.
    pub deleted: usize,
}

impl Change {
    /// The length after it: `before + added - deleted`.
    #[must_use]
    pub fn after(&self) -> usize {
        self.before
            .wrapping_add(self.added)
            .wrapping_sub(self.deleted)
    }
}

/// The name of an observer of one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObserverId(u64);

type Callback = Box<dyn FnMut(&mut Buffer, Change) + Send>;

struct Observer {
    id: u64,
    is_enabled: bool,
    /// `None` while it runs. Never locked: the lock makes a `Buffer` `Sync` with callbacks that are not.
    callback: Option<Mutex<Callback>>,
}

#[derive(Default)]
pub(super) struct Observers {
    /// In the order they came, so ids ascend.
    list: Vec<Observer>,
    last_id: u64,
    pending: Option<Change>,
    /// A round is under way. Set and cleared by `notify` alone.
    is_running: bool,
    /// Changes are added up until `deliver_changes`.
    is_deferred: bool,
}

impl Observers {
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    fn find(&mut self, id: u64) -> Option<&mut Observer> {
        self.list.iter_mut().find(|observer| observer.id == id)
    }
}

impl Buffer {
    /// Calls `callback` after each operation that changed the length or the bytes, with the exact counts, once per operation (EB-101).
    ///
    /// Any number of observers; the newest is called first (EB-103). It may change the buffer, which is told to all observers in
    /// one more round when this one is over, and may add, remove, disable and enable observers, itself included. Observers that change the buffer whenever
    /// they are told of a change have no end, as in libevent (EB-104).
    ///
    /// Dropping the buffer is no change (EB-107).
    ///
    /// ```
    /// use levent_io::Buffer;
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let total = Arc::new(AtomicUsize::new(0));
    /// let seen = total.clone();
    /// let mut buffer = Buffer::new();
    /// buffer.observe(move |_, change| {
    ///     seen.fetch_add(change.added, Ordering::Relaxed);
    /// });
    /// buffer.append(b"hello")?;
    /// buffer.drain(2)?;
    /// buffer.append(b", world")?;
    /// assert_eq!(total.load(Ordering::Relaxed), 12);
    /// # Ok(()) }
    /// ```
    pub fn observe(
        &mut self,
        callback: impl FnMut(&mut Buffer, Change) + Send + 'static,
    ) -> ObserverId {
        let observers = self.make_observers();
        observers.last_id += 1;
        let id = observers.last_id;
        observers.list.push(Observer {
            id,
            is_enabled: true,
            callback: Some(Mutex::new(Box::new(callback))),
        });
        ObserverId(id)
    }

    /// Removes an observer. False if it is not there any more (EB-105).
    pub fn remove_observer(&mut self, id: ObserverId) -> bool {
        let Some(observers) = self.observers_mut() else {
            return false;
        };
        let Some(index) = observers
            .list
            .iter()
            .position(|observer| observer.id == id.0)
        else {
            return false;
        };
        let removed = observers.list.remove(index);
        // Its destructor is foreign code; nothing is borrowed now.
        drop(removed);
        true
    }

    /// Removes all observers, forgets the changes they have not been told of, and ends deferring.
    pub fn clear_observers(&mut self) {
        let Some(observers) = self.observers_mut() else {
            return;
        };
        let is_running = observers.is_running;
        let removed = mem::take(&mut observers.list);
        if is_running {
            // The round goes on over an empty list; ids must go on, too.
            observers.pending = None;
            observers.is_deferred = false;
        } else {
            if let Some(rare) = &mut self.rare {
                rare.observers = None;
            }
            self.settle_rare();
        }
        drop(removed);
    }

    /// Lets an observer hear of changes or not. What it missed is not told later (EB-102). False if it is not there any more.
    pub fn enable_observer(&mut self, id: ObserverId, is_enabled: bool) -> bool {
        let observer = self
            .observers_mut()
            .and_then(|observers| observers.find(id.0));
        match observer {
            Some(observer) => {
                observer.is_enabled = is_enabled;
                true
            }
            None => false,
        }
    }

    /// Adds changes up from now on instead of calling the observers; [`deliver_changes`](Buffer::deliver_changes) calls them (EB-108).
    ///
    /// The owner of the buffer decides when that is: in a callback of its loop, or before its task waits.
    pub fn defer_changes(&mut self) {
        self.make_observers().is_deferred = true;
    }

    /// Tells the observers what has been added up since they were last told, in one call each, and defers no more.
    ///
    /// An addition and a removal both count, so `before` and `after` may be the same. No call if nothing happened.
    pub fn deliver_changes(&mut self) {
        if let Some(observers) = self.observers_mut() {
            observers.is_deferred = false;
            self.notify();
        }
    }

    /// Notes a change that has been made: `len` is the new length.
    #[inline]
    pub(super) fn note(&mut self, added: usize, deleted: usize) {
        let len = self.len;
        if let Some(observers) = self.observers_mut() {
            if added != 0 || deleted != 0 {
                let change = observers.pending.get_or_insert_with(|| Change {
                    // Wrapping, since the two may overflow before they cancel.
                    before: len.wrapping_sub(added).wrapping_add(deleted),
                    ..Change::default()
                });
                // Deferred sums may exceed the type over a very long time; they wrap, and `after` stays right.
                change.added = change.added.wrapping_add(added);
                change.deleted = change.deleted.wrapping_add(deleted);
            }
        }
    }

    /// Takes back the note of an addition that was undone.
    pub(super) fn unnote_added(&mut self, added: usize) {
        if let Some(observers) = self.observers_mut() {
            if let Some(change) = &mut observers.pending {
                change.added = change.added.wrapping_sub(added);
                if change.added == 0 && change.deleted == 0 {
                    observers.pending = None;
                }
            }
        }
    }

    /// Tells the observers what is pending. The last step of every operation.
    #[inline]
    pub(super) fn notify(&mut self) {
        if self.observers().is_some() {
            self.run_rounds();
        }
    }

    fn run_rounds(&mut self) {
        // The loop has no bound of its own: it ends when no observer changes the buffer, and the one who does so for ever
        // would recurse for ever in libevent (EB-104).
        while let Some(change) = self.begin_round() {
            let mut before = u64::MAX;
            while let Some((id, callback)) = self.next_observer(before) {
                before = id;
                let mut callback = callback;
                let outcome = catch_unwind(AssertUnwindSafe(|| callback(self, change)));
                match outcome {
                    Ok(()) => self.put_back(id, callback),
                    Err(panic) => {
                        if let Some(observers) = self.observers_mut() {
                            observers.is_running = false;
                            observers.list.retain(|observer| observer.id != id);
                        }
                        resume_unwind(panic);
                    }
                }
            }
            if let Some(observers) = self.observers_mut() {
                observers.is_running = false;
            }
        }
    }

    fn begin_round(&mut self) -> Option<Change> {
        let observers = self.observers_mut()?;
        if observers.is_running || observers.is_deferred {
            return None;
        }
        let change = observers.pending.take()?;
        observers.is_running = true;
        Some(change)
    }

    /// Takes the callback of the newest enabled observer that is older than `before`.
    fn next_observer(&mut self, before: u64) -> Option<(u64, Callback)> {
        let observers = self.observers_mut()?;
        let observer = observers.list.iter_mut().rev().find(|observer| {
            observer.id < before && observer.is_enabled && observer.callback.is_some()
        })?;
        let callback = observer.callback.take()?;
        let callback = callback
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Some((observer.id, callback))
    }

    /// Puts a callback back into the list, unless it has been removed meanwhile.
    fn put_back(&mut self, id: u64, callback: Callback) {
        let observer = self
            .observers_mut()
            .and_then(|observers| observers.find(id));
        match observer {
            Some(observer) => observer.callback = Some(Mutex::new(callback)),
            None => drop(callback),
        }
    }
}

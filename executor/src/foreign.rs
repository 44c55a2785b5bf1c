//! The half of a run queue that other threads may touch.
//!
//! ```text
//! foreign wake ──▶ push, under a short lock ──▶ ring the bells, after the lock
//! home         ──▶ is anything `waiting`? ──▶ drain: swap the vectors ──▶ arm a bell ──▶ sleep
//! ```
//!
//! Invariants
//! 1. `waiting` says whether `items` is non-empty. It changes only under the lock; home reads it without.
//! 2. The push that makes `items` non-empty takes *all* bells and rings them once the lock is free. Later pushes ring
//!    nothing: the bells that were taken then are still on their way, or home is awake.
//! 3. Home sleeps only if its bell was put in while `items` was empty and no drain has found an item since. So either
//!    the bell is still there, or somebody is ringing it.
//! 4. No foreign code runs under the lock: bells are cloned before it and rung, replaced and dropped after it.
//! 5. `close` is called by home, once no item can be on its way; see `queue.rs`.
//!
//! The items and the bells are type parameters so that the models at the end can use plain numbers.

use std::sync::PoisonError;

use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering};

/// Items on their way home, and how to tell home about them.
pub(crate) struct Foreign<T, B> {
    /// Whether `items` is non-empty. Written under the lock only.
    waiting: AtomicBool,
    state: Mutex<State<T, B>>,
    /// Signalled by a push while home stands in [`Foreign::wait`].
    arrived: Condvar,
}

struct State<T, B> {
    items: Vec<T>,
    bells: Bells<B>,
    /// Home stands in [`Foreign::wait`], or is about to.
    awaited: bool,
    /// No item is accepted any more. Never cleared.
    closed: bool,
}

/// The armed bells, by driver. Nearly always there is one, so that one needs no allocation.
pub(crate) struct Bells<B> {
    first: Option<(u64, B)>,
    others: Vec<(u64, B)>,
}

/// What a push owes. To be paid after the lock is free.
#[must_use]
pub(crate) enum Pushed<T, B> {
    /// Somebody was already told, or home is awake.
    Quiet,
    /// Home may be asleep: ring these.
    Ring(Bells<B>),
    /// The queue is closed; the item is the caller's again.
    Refused(T),
}

impl<T, B> Foreign<T, B> {
    pub(crate) fn new() -> Foreign<T, B> {
        Foreign {
            waiting: AtomicBool::new(false),
            state: Mutex::new(State {
                items: Vec::new(),
                bells: Bells::new(),
                awaited: false,
                closed: false,
            }),
            arrived: Condvar::new(),
        }
    }

    /// Is anything queued? May be out of date by the time it is used; see invariant 3 for why that is enough.
    pub(crate) fn is_waiting(&self) -> bool {
        // Acquire pairs with the Release in `push`. It matters to nobody who drains (the lock orders that), but whoever was
        // woken by a bell must see the item that rang it.
        self.waiting.load(Ordering::Acquire)
    }

    /// Queues `item`. Called by any thread.
    pub(crate) fn push(&self, item: T) -> Pushed<T, B> {
        let mut state = self.lock();
        if state.closed {
            return Pushed::Refused(item);
        }
        let was_empty = state.items.is_empty();
        state.items.push(item);
        if !was_empty {
            return Pushed::Quiet;
        }
        self.waiting.store(true, Ordering::Release);
        let bells = state.bells.take_all();
        let awaited = state.awaited;
        drop(state);
        if awaited {
            self.arrived.notify_one();
        }
        match bells.first {
            Some(_) => Pushed::Ring(bells),
            None => Pushed::Quiet,
        }
    }

    /// Swaps what is queued with the empty `items`. Called at home. True if there was anything: then every bell was
    /// taken, and has to be armed anew before the next sleep.
    pub(crate) fn drain(&self, items: &mut Vec<T>) -> bool {
        debug_assert!(items.is_empty());
        let mut state = self.lock();
        std::mem::swap(&mut state.items, items);
        self.waiting.store(false, Ordering::Relaxed);
        !items.is_empty()
    }

    /// Puts in the bell of `driver`, in place of its former one. Called at home. False, and not armed, if something is
    /// queued: the driver must not sleep.
    pub(crate) fn arm(&self, driver: u64, bell: B) -> bool {
        let mut state = self.lock();
        if !state.items.is_empty() {
            // `bell` is an argument, so it is dropped after the guard, which is a local.
            return false;
        }
        let replaced = state.bells.insert(driver, bell);
        drop(state);
        drop(replaced);
        true
    }

    /// Takes out the bell of `driver`, if it is there. Called at home.
    pub(crate) fn disarm(&self, driver: u64) {
        let mut state = self.lock();
        let removed = state.bells.remove(driver);
        drop(state);
        drop(removed);
    }

    /// Blocks until something is queued. Called at home, by an executor that is being dropped, when it knows that
    /// another thread is about to push.
    pub(crate) fn wait(&self) {
        let mut state = self.lock();
        state.awaited = true;
        while state.items.is_empty() {
            state = self
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.awaited = false;
    }

    /// Refuses every item from now on and forgets the bells.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let bells = state.bells.take_all();
        drop(state);
        drop(bells);
    }

    fn lock(&self) -> MutexGuard<'_, State<T, B>> {
        // Nothing panics with the lock held, but a poisoned queue would still be a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Bells<B> {
    const fn new() -> Bells<B> {
        Bells {
            first: None,
            others: Vec::new(),
        }
    }

    fn take_all(&mut self) -> Bells<B> {
        std::mem::replace(self, Bells::new())
    }

    /// Returns the bell that `driver` had.
    fn insert(&mut self, driver: u64, bell: B) -> Option<(u64, B)> {
        let replaced = self.remove(driver);
        match self.first {
            None => self.first = Some((driver, bell)),
            Some(_) => self.others.push((driver, bell)),
        }
        replaced
    }

    fn remove(&mut self, driver: u64) -> Option<(u64, B)> {
        if self.first.as_ref().is_some_and(|(id, _)| *id == driver) {
            return std::mem::replace(&mut self.first, self.others.pop());
        }
        let index = self.others.iter().position(|(id, _)| *id == driver)?;
        Some(self.others.swap_remove(index))
    }
}

impl<B> Iterator for Bells<B> {
    type Item = B;

    fn next(&mut self) -> Option<B> {
        let (_, bell) = self.first.take().or_else(|| self.others.pop())?;
        Some(bell)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn rung(pushed: Pushed<u32, &'static str>) -> Vec<&'static str> {
        match pushed {
            Pushed::Ring(bells) => bells.collect(),
            Pushed::Quiet => Vec::new(),
            Pushed::Refused(item) => panic!("{item} was refused"),
        }
    }

    #[test]
    fn only_the_first_push_rings() {
        let foreign = Foreign::new();
        assert!(foreign.arm(0, "home"));
        assert_eq!(rung(foreign.push(1)), ["home"]);
        assert!(rung(foreign.push(2)).is_empty());
        assert!(!foreign.arm(0, "home"), "armed with items queued");

        let mut items = Vec::new();
        assert!(foreign.drain(&mut items));
        assert_eq!(items, [1, 2]);
        assert!(!foreign.is_waiting());
        assert!(rung(foreign.push(3)).is_empty(), "home is awake");
    }

    #[test]
    fn every_driver_has_one_bell() {
        let foreign = Foreign::new();
        for (driver, bell) in [(0, "old"), (1, "b"), (2, "c"), (0, "a")] {
            assert!(foreign.arm(driver, bell));
        }
        foreign.disarm(1);
        foreign.disarm(7);
        let mut bells = rung(foreign.push(1));
        bells.sort_unstable();
        assert_eq!(bells, ["a", "c"]);
    }

    #[test]
    fn closed_queue_gives_the_item_back() {
        let foreign = Foreign::<u32, ()>::new();
        foreign.close();
        assert!(matches!(foreign.push(9), Pushed::Refused(9)));
        assert!(!foreign.is_waiting());
    }
}

/// Run with
/// `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 cargo test --release --lib loom_ --target-dir target/loom`.
#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::sync::{Arc, Notify};
    use loom::thread;

    fn push(foreign: &Foreign<u32, Arc<Notify>>, item: u32) {
        match foreign.push(item) {
            Pushed::Ring(bells) => bells.for_each(|bell| bell.notify()),
            Pushed::Quiet => {}
            Pushed::Refused(item) => panic!("{item} was refused"),
        }
    }

    /// Invariants 2 and 3: home never sleeps for ever with an item queued. Loom reports a lost bell as a deadlock.
    #[test]
    fn loom_no_item_stays_queued_without_a_bell() {
        loom::model(|| {
            let foreign = Arc::new(Foreign::new());
            let wakers: Vec<_> = (0..2)
                .map(|item| {
                    let foreign = Arc::clone(&foreign);
                    thread::spawn(move || push(&foreign, item))
                })
                .collect();

            let bell = Arc::new(Notify::new());
            let mut items = Vec::new();
            let mut seen = 0;
            let mut armed = false;
            while seen < 2 {
                // As `AtHome::collect` and `Bell::arm` do it.
                if foreign.is_waiting() {
                    if foreign.drain(&mut items) {
                        armed = false;
                    }
                    seen += items.drain(..).count();
                    continue;
                }
                armed = armed || foreign.arm(0, Arc::clone(&bell));
                if armed {
                    bell.wait();
                }
            }
            for waker in wakers {
                waker.join().unwrap();
            }
        });
    }

    /// Invariant 5, as `AtHome::close` does it: it returns only when every claimed item has arrived, so none is refused.
    #[test]
    fn loom_close_waits_for_items_in_foreign_hands() {
        loom::model(|| {
            let foreign = Arc::new(Foreign::<u32, Arc<Notify>>::new());
            // The count is entered when a task is spawned, so long before any push.
            let mut live = 2;
            let wakers: Vec<_> = (0..2)
                .map(|item| {
                    let foreign = Arc::clone(&foreign);
                    thread::spawn(move || push(&foreign, item))
                })
                .collect();

            let mut items = Vec::new();
            loop {
                if foreign.is_waiting() {
                    foreign.drain(&mut items);
                    live -= items.drain(..).count();
                }
                if live == 0 {
                    break;
                }
                if !foreign.is_waiting() {
                    foreign.wait();
                }
            }
            foreign.close();
            assert!(matches!(foreign.push(9), Pushed::Refused(9)));
            for waker in wakers {
                waker.join().unwrap();
            }
        });
    }
}

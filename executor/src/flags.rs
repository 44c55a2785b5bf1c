//! What the waker of one `block_on` call sets.
//!
//! Invariants
//! 1. A wake at home is a plain store: the home thread is the one that would sleep, and it looks before it does.
//! 2. A wake from abroad that finds its flag clear unparks the sleeper. One that finds it set leaves that to whoever set it.
//! 3. The first poll comes before there is a sleeper, so a foreign wake may find no unparker. Then home finds the flag.

use crate::sleeper::Unparker;
use crate::sync::{AtomicBool, OnceLock, Ordering, fence};
use crate::task::thread_number;

/// Whether the call's future is to be polled.
pub(crate) struct Flags {
    /// The thread of the call.
    home: u64,
    /// Woken at home. Only the home thread touches it, so plain loads and stores do.
    at_home: AtomicBool,
    /// Woken from elsewhere.
    abroad: AtomicBool,
    /// How to end the sleep. Empty until the first poll is over; home reads `abroad` after it has filled it in.
    unparker: OnceLock<Unparker>,
}

impl Flags {
    /// Flags of a call on this thread.
    pub(crate) fn new() -> Flags {
        Flags {
            home: thread_number(),
            at_home: AtomicBool::new(false),
            abroad: AtomicBool::new(false),
            unparker: OnceLock::new(),
        }
    }

    /// What the call's waker does. On any thread.
    pub(crate) fn wake(&self) {
        if thread_number() == self.home {
            // Nobody sleeps: this is the thread that would.
            self.at_home.store(true, Ordering::Relaxed);
        } else {
            self.wake_abroad();
        }
    }

    fn wake_abroad(&self) {
        // AcqRel pairs with the swap in `take`: the poll sees what came before the wake. If it was set already, whoever set it
        // unparks, or has.
        if self.abroad.swap(true, Ordering::AcqRel) {
            return;
        }
        // Pairs with the fence in `attach`: either this thread sees the unparker, or home sees the flag.
        fence(Ordering::SeqCst);
        if let Some(unparker) = self.unparker.get() {
            unparker.unpark();
        }
    }

    /// Called once, at home, before the first look at the flags that may lead to sleep.
    pub(crate) fn attach(&self, unparker: Unparker) {
        // Never filled before: a call has one sleeper.
        let _ = self.unparker.set(unparker);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.at_home.load(Ordering::Relaxed) || self.abroad.load(Ordering::Relaxed)
    }

    /// Takes the wakes that have come. Called at home.
    pub(crate) fn take(&self) -> bool {
        let at_home = self.at_home.load(Ordering::Relaxed);
        if at_home {
            self.at_home.store(false, Ordering::Relaxed);
        }
        // Looks before it swaps: a load is free, and a set flag does not go away by itself.
        let abroad =
            self.abroad.load(Ordering::Relaxed) && self.abroad.swap(false, Ordering::AcqRel);
        at_home || abroad
    }
}

/// Run as the models of `foreign.rs`. Loom's threads share one thread of the system, so these call `wake_abroad`.
#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::sync::{Arc, Notify};
    use loom::thread;

    /// Invariants 2 and 3: two wakes race with the first poll, the attachment and the sleep. Home ends up with both, and
    /// sees what came before them. Loom reports a lost one as a deadlock.
    #[test]
    fn loom_no_wake_of_the_call_is_lost() {
        loom::model(|| {
            let flags = Arc::new(Flags::new());
            let cells: Vec<_> = (0..2).map(|_| Arc::new(AtomicBool::new(false))).collect();
            let wakers: Vec<_> = cells
                .iter()
                .map(|cell| {
                    let (flags, cell) = (Arc::clone(&flags), Arc::clone(cell));
                    thread::spawn(move || {
                        cell.store(true, Ordering::Relaxed);
                        flags.wake_abroad();
                    })
                })
                .collect();

            let sleeper = std::sync::Arc::new(Notify::new());
            let unpark = std::sync::Arc::clone(&sleeper);
            flags.attach(Unparker::new(move || unpark.notify()));
            while !cells.iter().all(|cell| cell.load(Ordering::Relaxed)) {
                // As `Call::finish`: poll again if woken, else sleep.
                if !flags.take() && !flags.is_woken() {
                    sleeper.wait();
                }
            }
            for waker in wakers {
                waker.join().unwrap();
            }
        });
    }
}

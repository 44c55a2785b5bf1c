//! The word that tells a notifier whether the base sleeps.
//!
//! ```text
//!            begin                 notify: ring
//!   AWAKE ───────────▶ SLEEPING ────────────────▶ NOTIFIED
//!     │  ◀──────────────  end                        │
//!     │        notify: do not ring                   │ end: there is mail
//!     └──────────────────▶ NOTIFIED ─────────────────┘
//! ```
//!
//! A notifier publishes its message first and calls [`Doze::notify`] after; the base calls [`Doze::begin`] before it sleeps and
//! [`Doze::end`] after, and looks for messages if `end` says so. Then no message is left lying while the base sleeps, and the
//! bell is rung at most once per sleep (THR-7, THR-8).

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const SLEEPING: u8 = 1;
const NOTIFIED: u8 = 2;

#[derive(Debug)]
pub(crate) struct Doze(AtomicU8);

impl Doze {
    pub(crate) fn new() -> Doze {
        Doze(AtomicU8::new(AWAKE))
    }

    /// Says that something was published. True if the caller must ring the bell.
    #[inline]
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        // Release: pairs with the `Acquire` in `begin` and `end`, which then see the message.
        self.0.swap(NOTIFIED, Ordering::AcqRel) == SLEEPING
    }

    /// About to sleep. False if something was published meanwhile: do not sleep, and call `end`.
    #[inline]
    #[must_use]
    pub(crate) fn begin(&self) -> bool {
        self.0
            .compare_exchange(AWAKE, SLEEPING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Awake again. True if something was published since the last `end`.
    #[inline]
    #[must_use]
    pub(crate) fn end(&self) -> bool {
        // Relaxed: a turn that did not sleep and finds nothing published pays one load; the swap does the synchronising.
        if self.0.load(Ordering::Relaxed) == AWAKE {
            return false;
        }
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    /// THR-7, THR-8: no message stays in the box while the base sleeps and no bell is outstanding, and a sleep costs one ring.
    #[test]
    fn loom_no_message_is_slept_over() {
        loom::model(|| {
            let doze = Arc::new(Doze::new());
            let mail = Arc::new(Mutex::new(0));
            let bells = Arc::new(Mutex::new(0));
            let posters: Vec<_> = (0..2)
                .map(|_| {
                    let (doze, mail, bells) = (doze.clone(), mail.clone(), bells.clone());
                    thread::spawn(move || {
                        *mail.lock().unwrap() += 1;
                        if doze.notify() {
                            *bells.lock().unwrap() += 1;
                        }
                    })
                })
                .collect();
            let mut read = 0;
            let (mut rings, mut sleeps) = (0, 0);
            for _ in 0..2 {
                let asleep = doze.begin();
                if asleep {
                    // The kernel's wait: it ends at once if a bell is there.
                    sleeps += 1;
                    rings += std::mem::take(&mut *bells.lock().unwrap());
                }
                if doze.end() {
                    read += std::mem::take(&mut *mail.lock().unwrap());
                }
            }
            for poster in posters {
                poster.join().unwrap();
            }
            // The last sleep: unless a bell is outstanding or `begin` refuses, the box must be empty.
            let asleep = doze.begin();
            let left = *mail.lock().unwrap();
            let outstanding = *bells.lock().unwrap();
            if asleep && outstanding == 0 {
                assert_eq!(left, 0, "a message lies in the box of a base that sleeps");
            }
            assert_eq!(read + left, 2);
            // A ring may come after the sleep that it was for; there is never more than one for each.
            assert!(rings + outstanding <= sleeps);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_ring_per_sleep() {
        let doze = Doze::new();
        assert!(!doze.notify(), "awake: no ring");
        assert!(!doze.begin(), "notified: no sleep");
        assert!(doze.end());
        assert!(doze.begin());
        assert!(doze.notify());
        assert!(!doze.notify(), "merged");
        assert!(doze.end());
        assert!(!doze.end());
    }
}

//! How the drivers of a queue sleep: the two things that must be in place before they do.
//!
//! ```text
//! no work? ──▶ arm the bell, for pushes abroad ──▶ park the waker, for pushes at home ──▶ sleep
//! ```
//!
//! `block_on` needs the bell only: while it sleeps nothing runs at home but what its sleeper's `turn` does, and it looks again
//! after that. `run` and `tick` are futures, and their thread may do anything while they are parked.

use std::task::{Context, Waker};

use crate::queue::AtHome;
use crate::sleeper::Unparker;

/// How foreign threads reach a driver that sleeps.
pub(crate) struct Bell<'q> {
    at: AtHome<'q>,
    driver: u64,
    /// The value of `drains` when this was last armed: if it is still that, no push has been collected since. 0: never.
    armed: u64,
}

impl<'q> Bell<'q> {
    /// The bell of a new driver, not armed yet.
    pub(crate) fn new(at: AtHome<'q>) -> Bell<'q> {
        Bell {
            at,
            driver: at.next_driver(),
            armed: 0,
        }
    }

    /// Gets ready to sleep. False if there is work.
    pub(crate) fn arm(&mut self, unparker: impl FnOnce() -> Unparker) -> bool {
        if self.at.has_work() {
            return false;
        }
        if self.is_armed() {
            return true;
        }
        if !self.at.foreign().arm(self.driver, unparker()) {
            return false;
        }
        self.armed = self.at.drains();
        true
    }

    fn disarm(&mut self) {
        if self.is_armed() {
            self.at.foreign().disarm(self.driver);
        }
        self.armed = 0;
    }

    fn is_armed(&self) -> bool {
        self.armed == self.at.drains()
    }
}

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// A future that drives the queue: `run` or `tick`. Its bell is its waker.
pub(crate) struct Driver<'q> {
    bell: Bell<'q>,
    /// A copy of the waker that the bell was armed with last.
    known: Option<Waker>,
    /// The waker that was parked, if the driver was polled before a push used that up.
    spare: Option<Waker>,
}

impl<'q> Driver<'q> {
    /// A future that is going to drive the queue `at`.
    pub(crate) fn new(at: AtHome<'q>) -> Driver<'q> {
        Driver {
            bell: Bell::new(at),
            known: None,
            spare: None,
        }
    }

    pub(crate) fn queue(&self) -> AtHome<'q> {
        self.bell.at
    }

    /// Says that the driver is being polled: until it parks again, nobody need wake it.
    pub(crate) fn awake(&mut self) {
        if let Some(waker) = self.unpark() {
            self.spare = Some(waker);
        }
    }

    /// Parks the driver until something is queued. Called after `awake`. False if something is queued: then it must run on, or
    /// wake itself.
    pub(crate) fn park(&mut self, cx: &Context<'_>) -> bool {
        let waker = cx.waker();
        let is_known = self
            .known
            .as_ref()
            .is_some_and(|known| known.will_wake(waker));
        if !is_known {
            self.bell.disarm();
            self.known = Some(waker.clone());
            self.spare = None;
        }
        if !self.bell.arm(|| Unparker::from(waker.clone())) {
            return false;
        }
        let parked = self.spare.take().unwrap_or_else(|| waker.clone());
        self.bell.at.park(self.bell.driver, parked);
        true
    }

    fn unpark(&self) -> Option<Waker> {
        self.bell.at.unpark(self.bell.driver)
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        let waker = self.unpark();
        drop(waker);
    }
}

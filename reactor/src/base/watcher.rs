//! Prepare and check watchers: closures around the wait (WAT).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::{Base, Local};
use crate::engine::wait::Sleep;

/// What a prepare watcher is told about the wait that follows.
///
/// ```
/// use levent_reactor::{Base, Event};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let timer = Event::timer(&base, |_, _| {});
/// timer.add_after(Duration::from_millis(1))?;
/// let _watcher = base.on_prepare(|_, info| {
///     assert!(info.wait.is_some_and(|wait| wait <= Duration::from_millis(1)));
/// });
/// base.dispatch()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareInfo {
    /// How long the base is going to wait at most; zero if there is something to do, `None` without limit (WAT-4). What the
    /// watchers add or activate can make it shorter.
    pub wait: Option<Duration>,
}

type Callback = Box<dyn FnMut(&Base, PrepareInfo)>;

struct Slot {
    id: u64,
    /// Taken out while it runs, so that a watcher may remove any, itself included.
    callback: Option<Callback>,
}

/// The watchers of one kind, in order of registration.
#[derive(Default)]
pub(crate) struct Watchers {
    slots: RefCell<Vec<Slot>>,
    next: Cell<u64>,
}

impl Watchers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.borrow().is_empty()
    }

    fn add(&self, callback: Callback) -> u64 {
        let id = self.next.replace(self.next.get() + 1);
        self.slots.borrow_mut().push(Slot {
            id,
            callback: Some(callback),
        });
        id
    }

    fn remove(&self, id: u64) {
        let removed = {
            let mut slots = self.slots.borrow_mut();
            slots
                .iter()
                .position(|slot| slot.id == id)
                .map(|at| slots.remove(at))
        };
        // What the closure owns is dropped where nothing is borrowed.
        drop(removed);
    }

    /// Runs them all; one registered meanwhile runs in the same round (WAT-7).
    fn run(&self, base: &Base, info: PrepareInfo) {
        let mut next = 0;
        loop {
            let found = {
                let mut slots = self.slots.borrow_mut();
                slots
                    .iter_mut()
                    .find(|slot| slot.id >= next)
                    .map(|slot| (slot.id, slot.callback.take()))
            };
            let Some((id, callback)) = found else { return };
            next = id + 1;
            if let Some(callback) = callback {
                let mut back = PutBack {
                    watchers: self,
                    id,
                    callback: Some(callback),
                };
                base.guarded(|| {
                    if let Some(callback) = &mut back.callback {
                        callback(base, info);
                    }
                });
            }
        }
    }
}

/// Puts a callback back where it was taken from, also when it panics; drops it if its watcher is gone.
struct PutBack<'a> {
    watchers: &'a Watchers,
    id: u64,
    callback: Option<Callback>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        let mut slots = self.watchers.slots.borrow_mut();
        if let Some(slot) = slots.iter_mut().find(|slot| slot.id == self.id) {
            slot.callback = self.callback.take();
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum When {
    Prepare,
    Check,
}

/// A closure that runs before or after each wait of a base. Dropping it ends that; [`detach`](Watcher::detach) leaves it to the
/// base.
///
/// Watchers do not keep a loop alive (WAT-9), and may do anything to the base, removing themselves included.
///
/// ```
/// use levent_reactor::{Base, LoopFlags};
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let watcher = base.on_prepare(|_, info| println!("about to wait {:?}", info.wait));
/// base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY | LoopFlags::NONBLOCK)?;
/// drop(watcher);
/// # Ok(()) }
/// ```
#[must_use = "dropping a watcher ends it; `detach` leaves it to the base"]
pub struct Watcher {
    local: Weak<Local>,
    when: When,
    id: u64,
}

impl Watcher {
    /// Leaves the watcher to the base.
    pub fn detach(mut self) {
        self.local = Weak::new();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(local) = self.local.upgrade() {
            match self.when {
                When::Prepare => local.prepare.remove(self.id),
                When::Check => local.check.remove(self.id),
            }
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}

impl Base {
    /// Runs a closure immediately before each wait (WAT-1).
    pub fn on_prepare(&self, callback: impl FnMut(&Base, PrepareInfo) + 'static) -> Watcher {
        let id = self.local.prepare.add(Box::new(callback));
        Watcher {
            local: Rc::downgrade(&self.local),
            when: When::Prepare,
            id,
        }
    }

    /// Runs a closure immediately after each wait, before deadlines are examined and callbacks run (WAT-1).
    pub fn on_check(&self, mut callback: impl FnMut(&Base) + 'static) -> Watcher {
        let id = self
            .local
            .check
            .add(Box::new(move |base, _| callback(base)));
        Watcher {
            local: Rc::downgrade(&self.local),
            when: When::Check,
            id,
        }
    }

    pub(super) fn watch_prepare(&self, sleep: Sleep) {
        let wait = match sleep {
            Sleep::No => Some(Duration::ZERO),
            Sleep::For(nanos) => Some(Duration::from_nanos(nanos)),
            Sleep::Forever => None,
        };
        self.local.prepare.run(self, PrepareInfo { wait });
    }

    pub(super) fn watch_check(&self) {
        self.local.check.run(self, PrepareInfo { wait: None });
    }
}

//! What a base shares with other threads: its mailbox, its notifier, and its engine while nobody runs it.
//!
//! A base at rest belongs to whoever takes its lock; a running one belongs to the thread that runs it, and all others post
//! messages (law 6). The lock is taken once per `block_on` or loop, never per request.
//!
//! Invariants
//! 1. Under any lock of this file runs no foreign code: no waker is cloned, woken or dropped. What is left to be done with
//!    wakers comes out as [`Loose`].
//! 2. A base at rest holds no waker, since nobody turns it: whoever waited in it was woken when it was put to rest, and waits
//!    elsewhere, or here again with the next loop.
//! 3. A message is posted under the lock of `rest`, to a base that runs; so it is read in a turn, or when the base is put to rest.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::task::Waker;
use std::time::Instant;

use crate::Base;
use crate::current;
use crate::doze::Doze;
use crate::engine::Engine;
use crate::lane::{Direction, Priority};
use crate::sys::bell::Bell;
use crate::sys::fork;

/// I found `WouldBlock`: wake me when this direction is ready.
pub(crate) struct Arm {
    pub(crate) fd: RawFd,
    pub(crate) key: u64,
    pub(crate) direction: Direction,
    /// One of any number of `readable()` futures; `None`: whoever has the direction's one place.
    pub(crate) waiter: Option<u64>,
    /// The source's, for a base that does not know it.
    pub(crate) priority: Priority,
    pub(crate) waker: Waker,
}

/// What a thread asks of a base that another thread runs. None of it names a descriptor alone: a key decides.
pub(crate) enum Message {
    /// Parks a waker. Registers the source if the base does not know it.
    Arm(Arm),
    /// A source has another priority.
    Rank {
        fd: RawFd,
        key: u64,
        priority: Priority,
    },
    /// A `readable()` future is gone.
    Cancel {
        fd: RawFd,
        key: u64,
        waiter: u64,
    },
    /// The source is gone, or has another home.
    Forget {
        index: u32,
        fd: RawFd,
        key: u64,
    },
    /// Sets the alarm of a thread outside our loops.
    Alarm {
        key: u64,
        deadline: Instant,
        waker: Waker,
    },
    AlarmReset {
        index: u32,
        key: u64,
        deadline: Instant,
    },
    AlarmForget {
        index: u32,
        key: u64,
    },
    Break,
    Continue,
}

/// A closure for the base's thread.
pub(crate) type Posted = Box<dyn FnOnce(&Base) + Send>;

/// Wakers to be woken, and wakers to be dropped, once no lock is held and nothing is borrowed: both are foreign code.
#[must_use]
#[derive(Default)]
pub(crate) struct Loose {
    pub(crate) woken: Vec<Waker>,
    pub(crate) discarded: Vec<Waker>,
}

impl Loose {
    pub(crate) fn settle(self) {
        drop_all(self.discarded);
        wake_all(self.woken);
    }

    pub(crate) fn append(&mut self, mut other: Loose) {
        self.woken.append(&mut other.woken);
        self.discarded.append(&mut other.discarded);
    }
}

#[derive(Default)]
struct Mailbox {
    messages: Vec<Message>,
    posted: Vec<Posted>,
    closed: bool,
}

/// Asks the loop to look up between two callbacks. A pass that nothing is to be asked about pays one load per callback for it.
#[derive(Default)]
pub(crate) struct Attention(AtomicBool);

impl Attention {
    /// Asks. What it is about must have been published before.
    #[inline]
    pub(crate) fn call(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Has somebody asked?
    #[inline(always)]
    pub(crate) fn is_called(&self) -> bool {
        // Relaxed: who answers synchronises.
        self.0.load(Ordering::Relaxed)
    }

    /// From now on who asks is heard again.
    pub(crate) fn answer(&self) {
        // Acquire: sees what was published before the call. A call that comes after this stays.
        self.0.swap(false, Ordering::AcqRel);
    }
}

/// Where the engine is.
enum Rest {
    /// Not made yet.
    New,
    /// Here: whoever has the lock may act on it.
    Resting(Box<Engine>),
    /// With the thread that runs the base.
    Running,
    /// The base has ended.
    Gone,
}

pub(crate) struct Shared {
    pub(crate) id: u32,
    pub(crate) doze: Doze,
    pub(crate) attention: Attention,
    pub(crate) bell: Bell,
    /// The backend's descriptor where a foreign thread may delete from it (epoll).
    pub(crate) descriptor: Option<Arc<OwnedFd>>,
    /// The count of forks when the base's kernel objects were made.
    pub(crate) forks: AtomicU32,
    mailbox: Mutex<Mailbox>,
    rest: Mutex<Rest>,
}

/// A poisoned lock is taken all the same: nothing that runs under these locks leaves its data half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bases that exist, by number. A source holds its home's number, not a reference.
static BASES: RwLock<Option<HashMap<u32, Weak<Shared>>>> = RwLock::new(None);
static NEXT: AtomicU32 = AtomicU32::new(1);

impl Shared {
    pub(crate) fn new(descriptor: Option<Arc<OwnedFd>>) -> io::Result<Arc<Shared>> {
        // Relaxed: only uniqueness counts. Numbers stay below 2^24, since keys are made of them; a process that makes more
        // bases than that reuses numbers of bases long gone.
        let id = NEXT.fetch_add(1, Ordering::Relaxed) & 0x00ff_ffff;
        let shared = Arc::new(Shared {
            id,
            doze: Doze::new(),
            attention: Attention::default(),
            bell: Bell::new()?,
            descriptor,
            forks: AtomicU32::new(fork::count()),
            mailbox: Mutex::default(),
            rest: Mutex::new(Rest::New),
        });
        let mut bases = BASES.write().unwrap_or_else(PoisonError::into_inner);
        bases
            .get_or_insert_default()
            .insert(id, Arc::downgrade(&shared));
        Ok(shared)
    }

    /// The base of this number, if it still exists.
    pub(crate) fn find(id: u32) -> Option<Arc<Shared>> {
        BASES
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()?
            .get(&id)?
            .upgrade()
    }

    /// Were the base's kernel objects made by this process, and not by the one that it was forked from?
    pub(crate) fn is_ours(&self) -> bool {
        self.forks.load(Ordering::Relaxed) == fork::count()
    }

    /// Ends the base's sleep, or makes its next one not happen.
    #[inline]
    pub(crate) fn notify(&self) {
        if self.doze.notify() {
            self.bell.ring();
        }
    }

    /// Hands a base a message: posts it if the base runs, acts on it if the base is at rest. Gives it back if the base is gone.
    pub(crate) fn post(&self, message: Message) -> Result<Loose, Message> {
        let mut rest = lock(&self.rest);
        match &mut *rest {
            Rest::New | Rest::Gone => Err(message),
            Rest::Resting(engine) => {
                engine.handle(message);
                Ok(engine.vacate())
            }
            Rest::Running => {
                lock(&self.mailbox).messages.push(message);
                drop(rest);
                self.notify();
                Ok(Loose::default())
            }
        }
    }

    /// Posts a closure. Gives it back if the base is gone.
    pub(crate) fn post_closure(&self, closure: Posted) -> Result<(), Posted> {
        {
            let mut mailbox = lock(&self.mailbox);
            if mailbox.closed {
                return Err(closure);
            }
            mailbox.posted.push(closure);
        }
        self.notify();
        Ok(())
    }

    /// Takes the messages, and says whether closures are waiting for the driver.
    pub(crate) fn take_messages(&self) -> (Vec<Message>, bool) {
        let mut mailbox = lock(&self.mailbox);
        (
            std::mem::take(&mut mailbox.messages),
            !mailbox.posted.is_empty(),
        )
    }

    pub(crate) fn take_posted(&self) -> Vec<Posted> {
        std::mem::take(&mut lock(&self.mailbox).posted)
    }

    /// Acts on the engine if the base is at rest. `f` must not run foreign code. What it leaves loose is dealt with after the lock
    /// is gone.
    pub(crate) fn at_rest<R>(&self, f: impl FnOnce(&mut Engine) -> R) -> Option<R> {
        let (result, loose) = {
            let mut rest = lock(&self.rest);
            let Rest::Resting(engine) = &mut *rest else {
                return None;
            };
            (f(engine), engine.take_loose())
        };
        loose.settle();
        Some(result)
    }

    /// Takes the engine to run it. `None` if it runs already, or is gone.
    pub(crate) fn lease(&self) -> Option<Box<Engine>> {
        let mut rest = lock(&self.rest);
        match std::mem::replace(&mut *rest, Rest::Running) {
            Rest::Resting(engine) => Some(engine),
            other => {
                *rest = other;
                None
            }
        }
    }

    /// Puts the engine to rest, and wakes whoever waits in it.
    pub(crate) fn put_back(&self, mut engine: Box<Engine>) {
        let loose = {
            let mut rest = lock(&self.rest);
            engine.read_mail();
            let loose = engine.vacate();
            if !matches!(*rest, Rest::Gone) {
                *rest = Rest::Resting(engine);
            }
            loose
        };
        loose.settle();
    }

    /// Ends the base: no more mail, no engine. Everybody who waits in it is woken, to find a new home.
    pub(crate) fn close(&self) {
        if let Some(bases) = BASES
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            bases.remove(&self.id);
        }
        let rest = std::mem::replace(&mut *lock(&self.rest), Rest::Gone);
        let posted = {
            let mut mailbox = lock(&self.mailbox);
            mailbox.closed = true;
            std::mem::take(&mut mailbox.posted)
        };
        // An engine that some loop still has goes with that loop, and its mail with it.
        if let Rest::Resting(mut engine) = rest {
            engine.vacate().settle();
        }
        drop(posted);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Wakes wakers one by one and returns the emptied list, for its capacity. A waker that panics is its maker's problem: the
/// others are woken all the same.
pub(crate) fn wake_all(wakers: Vec<Waker>) -> Vec<Waker> {
    use_up(wakers, Waker::wake)
}

/// The same, those that are `ranked` by their places before or after the others.
#[cold]
pub(crate) fn wake_in_order(wakers: Vec<Waker>, ranked: Vec<(usize, Priority)>) -> Vec<Waker> {
    let mut ranked = ranked.into_iter().peekable();
    let [mut high, mut usual, mut low] = [const { Vec::new() }; 3];
    for (place, waker) in wakers.into_iter().enumerate() {
        let rank = ranked.next_if(|(ranked, _)| *ranked == place);
        match rank.map_or(Priority::Normal, |(_, priority)| priority) {
            Priority::High => high.push(waker),
            Priority::Normal => usual.push(waker),
            Priority::Low => low.push(waker),
        }
    }
    current::with_priority(Priority::High, || drop(wake_all(high)));
    let emptied = wake_all(usual);
    current::with_priority(Priority::Low, || drop(wake_all(low)));
    emptied
}

/// Drops wakers, in the same way.
pub(crate) fn drop_all(wakers: Vec<Waker>) {
    drop(use_up(wakers, drop));
}

/// Runs foreign code whose panic ends here; the panic hook has reported it.
fn contain(call: impl FnOnce()) {
    let mut result = catch_unwind(AssertUnwindSafe(call));
    // Dropping the payload is foreign code too, and what that throws has a payload again. Somebody who goes on like that is given up on.
    for _ in 0..3 {
        match result {
            Ok(()) => return,
            Err(payload) => result = catch_unwind(AssertUnwindSafe(|| drop(payload))),
        }
    }
    std::mem::forget(result);
}

fn use_up(mut wakers: Vec<Waker>, f: fn(Waker)) -> Vec<Waker> {
    if wakers.is_empty() {
        return wakers;
    }
    let mut due = wakers.drain(..);
    while due.len() > 0 {
        contain(|| due.by_ref().for_each(f));
    }
    drop(due);
    wakers
}

//! The base: the callback layer over the engine.
//!
//! ```text
//! Base (Rc) ──▶ Local: table of pending events, watchers, what runs now
//!                 └──▶ Shared (Arc) ──▶ Engine   (leased to the thread while it is inside the loop)
//! ```
//!
//! Invariants
//! 1. Nothing of the base or the engine is borrowed while a callback, a watcher, a posted closure or a waker runs.
//! 2. `events[i]` is the event of the engine's record `i`, from the moment it is registered until it is released.

mod introspect;
mod once;
mod spin;
mod turn;
mod watcher;

pub use introspect::{Counted, EventInfo, SourceInfo, Waits};
pub use spin::Spin;
pub use turn::{LoopEnd, LoopFlags};
pub use watcher::{PrepareInfo, Watcher};

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use self::watcher::Watchers;
use crate::backend::{Features, Method};
use crate::config::Config;
use crate::current::{self, Entry};
use crate::engine::Engine;
use crate::engine::deadlines::QueueId;
use crate::engine::record::{NIL, Token};
use crate::engine::wait::Sleep;
use crate::shared::Shared;
use crate::{Event, Flags, Remote};

/// The reactor: a backend, its events, timers and signals, and the loop that runs their callbacks.
///
/// A handle: clones name the same base, which ends with the last of them. A base stays on its thread; its [`Remote`] reaches it
/// from others. Events of a base that has ended are idle and cannot be added (BASE-24).
///
/// ```
/// use levent_reactor::{Base, Event};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let timer = Event::timer(&base, |_, _| println!("rings once"));
/// timer.add_after(Duration::from_millis(1))?;
/// base.dispatch()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Base {
    pub(crate) local: Rc<Local>,
}

/// The part of a base that belongs to its thread.
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    /// As in `shared`; at hand here, since every visit to the engine asks.
    pub(crate) id: u32,
    /// By the index of the engine's record.
    pub(crate) events: RefCell<Vec<Option<Event>>>,
    pub(crate) prepare: Watchers,
    pub(crate) check: Watchers,
    /// The record of the event whose callback is running (INT-4), if it is still registered; else [`NIL`].
    running: Cell<u32>,
    /// The same if it is not.
    last: Cell<Option<Event>>,
    /// The empty list that the engine's list of due wakers is swapped with.
    spare: Cell<Vec<Waker>>,
    /// A callback, watcher or posted closure of this base is running: its loop cannot be entered (LOOP-12).
    in_callback: Cell<bool>,
    spin_hook: Cell<Option<spin::Hook>>,
    /// A cached reading, and the wall clock's time that was found to belong to it.
    wall: Cell<(u64, SystemTime)>,
    method: Method,
    /// The wall clock at the time zero of the base's clock, for reported times (TIME-11).
    created: (SystemTime, Instant),
}

/// A duration that many events share as their timeout: setting and clearing such a timeout takes constant time (CT-1).
///
/// Made by [`Base::common_timeout`] and of use only with events of that base.
///
/// ```
/// use levent_reactor::{Base, Event};
/// use std::{io::ErrorKind, time::Duration};
///
/// # fn main() -> std::io::Result<()> {
/// let (base, other) = (Base::new()?, Base::new()?);
/// let idle = base.common_timeout(Duration::from_secs(60))?;
/// assert_eq!(base.common_timeout(Duration::from_secs(60))?, idle);
/// Event::timer(&base, |_, _| {}).add_common(idle)?;
///
/// let refused = Event::timer(&other, |_, _| {}).add_common(idle);
/// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommonTimeout {
    pub(crate) base: u32,
    pub(crate) queue: QueueId,
}

/// How long one [turn](Entered::turn) of a loop may sleep.
///
/// ```
/// use levent_reactor::{Base, Wait};
/// use std::time::{Duration, Instant};
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let entered = base.enter()?;
/// entered.turn(Wait::Poll)?; // looks, and returns at once
/// let begun = Instant::now();
/// entered.turn(Wait::AtMost(Duration::from_millis(2)))?; // a pending event, a message or a waker would end it earlier
/// assert!(begun.elapsed() >= Duration::from_millis(2));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Do not sleep.
    Poll,
    /// Until something happens.
    Block,
    /// At most this long, rounded up to what the backend can express.
    AtMost(Duration),
}

impl Base {
    /// Makes a base with the default configuration.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the environment allows no backend; else what the system says, such as being out of descriptors.
    pub fn new() -> io::Result<Base> {
        Base::with_config(&Config::new())
    }

    /// Makes a base.
    ///
    /// # Errors
    ///
    /// `Unsupported` if no backend qualifies; else what the system says, such as being out of descriptors.
    pub fn with_config(config: &Config) -> io::Result<Base> {
        let mut made = None;
        let result = Engine::new(config, |backend| {
            let shared = Shared::new(backend.shared_descriptor())?;
            made = Some(shared.clone());
            Ok(shared)
        });
        let engine = match result {
            Ok(engine) => engine,
            Err(error) => {
                if let Some(shared) = made {
                    shared.close();
                }
                return Err(error);
            }
        };
        let shared = engine.shared.clone();
        let method = engine.backend.method();
        let created = (
            SystemTime::now(),
            engine.clock.instant(0).unwrap_or_else(Instant::now),
        );
        shared.put_back(Box::new(engine));
        Ok(Base {
            local: Rc::new(Local {
                id: shared.id,
                shared,
                events: RefCell::default(),
                prepare: Watchers::default(),
                check: Watchers::default(),
                running: Cell::new(NIL),
                last: Cell::new(None),
                spare: Cell::default(),
                in_callback: Cell::new(false),
                spin_hook: Cell::new(None),
                wall: Cell::new((u64::MAX, SystemTime::UNIX_EPOCH)),
                method,
                created,
            }),
        })
    }

    pub(crate) fn is_in_callback(&self) -> bool {
        self.local.in_callback.get()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.local.shared
    }

    /// Acts on the engine.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Engine) -> R) -> R {
        current::with_base(self, f)
            .expect("a base's own thread has its engine, or finds it at rest")
    }

    /// The handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote::new(self.local.shared.clone())
    }

    /// Enters this base's loop without running it: while the result lives, sources and alarms polled on this thread wait here,
    /// and [`Entered::turn`] drives them. This is what an executor does. Entries nest; a result that is dropped before those
    /// entered after it leaves just its own loop. Whoever still waits when a loop is left is woken, to wait elsewhere.
    ///
    /// Do not hold the result across an `.await`: the executor that polls you has entered a loop too, and cannot turn it
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` inside a callback of this base: its loop is running below and cannot run again (LOOP-12).
    pub fn enter(&self) -> io::Result<Entered> {
        if self.local.in_callback.get() {
            return Err(busy());
        }
        let entry = if current::is_innermost(self.local.shared.id) {
            Entry::Same
        } else {
            current::enter_with(current::take(self).ok_or_else(busy)?)
        };
        Ok(Entered {
            base: OnceCell::from(self.clone()),
            entry,
        })
    }

    /// Makes this base the child's own after a fork: with a new backend, a new notifier and a new signal receiver, in which
    /// every descriptor and signal is registered again. Timers, active events and the states of all events stay as they were
    /// (FORK-1, FORK-3). The parent notices nothing.
    ///
    /// Until then the base cannot wait in the child: loops answer `Unsupported`, and on epoll and kqueue so does `add` of a
    /// descriptor. What is deleted there stays with the parent (FORK-2). Without a fork it changes nothing that can be seen (FORK-9). It is legal in
    /// callbacks too.
    ///
    /// Only the thread that forked lives on in the child, and so do its bases; locks that other threads of the parent held stay
    /// held (fork(2)).
    ///
    /// # Errors
    ///
    /// The system's, if something could not be made or registered again, such as a descriptor that the child has closed
    /// (FORK-4); everything else is registered all the same.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use levent_reactor::Base;
    ///
    /// # fn fork() -> i32 { 1 }
    /// # fn main() -> std::io::Result<()> {
    /// let base = Base::new()?;
    /// if fork() == 0 {
    ///     base.reinit()?;
    /// }
    /// base.dispatch()?;
    /// # Ok(()) }
    /// ```
    pub fn reinit(&self) -> io::Result<()> {
        self.with(Engine::reinit)
    }

    /// The name and kind of the backend.
    #[must_use]
    pub fn method(&self) -> Method {
        self.local.method
    }

    /// What the backend can do (BASE-6).
    #[must_use]
    pub fn features(&self) -> Features {
        self.local.method.features()
    }

    /// How signals reach the base, by libevent's name for it: always "signal" (INT-16).
    #[must_use]
    pub fn signal_method(&self) -> &'static str {
        "signal"
    }

    /// The number of priority levels.
    #[must_use]
    pub fn priorities(&self) -> usize {
        self.with(|engine| engine.active.levels())
    }

    /// Sets the number of priority levels. Level 0 is the most urgent; new events get the middle one (EV-3).
    ///
    /// Events of levels that are taken away are served by the last one that is left (better than ACT-15).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for 0 and above 255, `ResourceBusy` while anything is active (ACT-13).
    pub fn set_priorities(&self, levels: usize) -> io::Result<()> {
        if !(1..=255).contains(&levels) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{levels} priority levels: choose 1 to 255"),
            ));
        }
        let events: Vec<(u32, u8)> = (0..)
            .zip(self.local.events.borrow().iter())
            .filter_map(|(index, event)| Some((index, event.as_ref()?.priority())))
            .collect();
        self.with(|engine| {
            if engine.active.len() + engine.active.later_len() > 0 {
                let message =
                    "events are active: set the number of priority levels before the loop runs";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            engine.active.set_levels(levels);
            // An event of a level that is taken away is served by the last one that is left (better than ACT-15).
            for (index, priority) in events {
                engine.records[index].priority = priority.min((levels - 1) as u8);
            }
            Ok(())
        })
    }

    /// Registers a duration as a common timeout. The same duration gives the same token (CT-2).
    ///
    /// # Errors
    ///
    /// `Other` when a base has 256 of them already (CT-3).
    pub fn common_timeout(&self, duration: Duration) -> io::Result<CommonTimeout> {
        let nanos = crate::clock::nanos(duration);
        let queue = self.with(|engine| engine.deadlines.common(nanos))?;
        Ok(CommonTimeout {
            base: self.local.shared.id,
            queue,
        })
    }

    /// Activates the events of a descriptor that wait for any of `what` (INT-13); with [`Flags::TIMEOUT`], those that carry the
    /// number and have a deadline (INT-14). Numbers that nobody watches are ignored.
    pub fn activate_fd(&self, fd: RawFd, what: Flags) {
        self.with(|engine| engine.activate_fd(fd, what));
    }

    /// Activates the events of a signal once (INT-15).
    pub fn activate_signal(&self, signal: i32) {
        self.with(|engine| engine.activate_signal(signal, 1));
    }

    /// The time since the base was made, as its callbacks see it: the cached time of the iteration, else the clock's (TIME-4).
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.with(|engine| engine.now()))
    }

    /// The time since the base was made, read from the clock (TIME-12).
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.with(|engine| engine.clock.now()))
    }

    /// The wall clock's time that belongs to [`now`](Base::now): all callbacks of a pass read the same (TIME-8).
    #[must_use]
    pub fn wall_clock(&self) -> SystemTime {
        let Some(cached) = self.with(|engine| engine.cached) else {
            return SystemTime::now();
        };
        // Computed once for each cached reading: the two clocks cannot be read at one moment.
        let (reading, wall) = self.local.wall.get();
        if reading == cached {
            return wall;
        }
        let wall = self.wall_clock_at(cached);
        self.local.wall.set((cached, wall));
        wall
    }

    /// The wall clock's time of a reading of the base's clock, by the offset between the two right now (TIME-10, TIME-11).
    pub(crate) fn wall_clock_at(&self, reading: u64) -> SystemTime {
        let now = self.with(|engine| engine.clock.now());
        let wall = SystemTime::now();
        if reading >= now {
            wall.checked_add(Duration::from_nanos(reading - now))
                .unwrap_or(wall)
        } else {
            wall.checked_sub(Duration::from_nanos(now - reading))
                .unwrap_or(self.local.created.0)
        }
    }

    /// Renews the cached time, after a callback that took long (TIME-9). Outside the loop there is none.
    pub fn update_cache_time(&self) {
        self.with(|engine| {
            let now = engine.clock.now();
            engine.refresh_cache(now);
        });
    }

    /// The event whose callback is running; `None` outside callbacks, and in finalizers (INT-4).
    #[must_use]
    pub fn running_event(&self) -> Option<Event> {
        let running = self.local.running.get();
        if running != NIL {
            return self.event(running);
        }
        let last = self.local.last.take();
        self.local.last.set(last.clone());
        last
    }

    /// Remembers the event behind a record.
    pub(crate) fn keep(&self, token: Token, event: Event) {
        let mut events = self.local.events.borrow_mut();
        let index = token.index as usize;
        if events.len() <= index {
            events.resize_with(index + 1, || None);
        }
        events[index] = Some(event);
    }

    /// Forgets the event behind a record, and returns it to be dropped where nothing is borrowed.
    #[must_use]
    pub(crate) fn let_go(&self, index: u32) -> Option<Event> {
        let event = {
            let mut events = self.local.events.borrow_mut();
            events.get_mut(index as usize).and_then(Option::take)
        };
        if self.local.running.get() == index {
            // Deleted in its own callback: still the running event until that ends, though its place may be another's soon.
            self.local.running.set(NIL);
            self.local.last.set(event.clone());
        }
        event
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base")
            .field("id", &self.local.shared.id)
            .field("method", &self.local.method)
            .finish_non_exhaustive()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // The engine first: no event is pending any more when the callbacks, and what they own, are dropped (BASE-24).
        self.shared.close();
        for event in self.events.take().into_iter().flatten() {
            event.inner.forget_token();
            // BASE-26: a finalizer that was asked for still runs.
            event.run_finalizer();
        }
    }
}

/// A thread inside the loop of a base; see [`Base::enter`] and [`current::enter`](crate::current::enter).
///
/// ```
/// use levent_reactor::{Base, Wait};
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let entered = base.enter()?;
/// entered.turn(Wait::Poll)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Entered {
    /// Empty: the thread's default base, whose engine has not been needed yet. Once this is set, the engine is leased.
    base: OnceCell<Base>,
    entry: Entry,
}

impl Entered {
    pub(crate) fn lazy() -> io::Result<Entered> {
        if current::default_is_in_callback() {
            return Err(busy());
        }
        if current::is_ending() {
            // The destructor of another thread-local: the thread's own base is gone, so one for this loop alone.
            return Base::new()?.enter();
        }
        Ok(Entered {
            base: OnceCell::new(),
            entry: current::enter_lazily(),
        })
    }

    /// One iteration of the loop: waits, then wakes wakers, runs event callbacks of one pass, and posted closures.
    ///
    /// It may return early. It does so after prepare watchers have run, for the caller to see whether they made anything
    /// runnable; the next turn waits.
    ///
    /// # Errors
    ///
    /// The backend's failure, and failing to make the thread's base. `ResourceBusy` if this loop is not the thread's innermost:
    /// then sources and alarms do not wait in it, and a turn could sleep for ever.
    pub fn turn(&self, wait: Wait) -> io::Result<()> {
        let most = match wait {
            Wait::Poll => Sleep::No,
            Wait::Block => Sleep::Forever,
            Wait::AtMost(most) => Sleep::For(crate::clock::nanos(most)),
        };
        match self.base.get() {
            Some(base) => base.turn(most),
            None => self.leased_base()?.turn(most),
        }
    }

    #[cold]
    fn leased_base(&self) -> io::Result<&Base> {
        current::lease()?;
        let base = current::base()?;
        Ok(self.base.get_or_init(|| base))
    }

    /// The base that is entered; makes the thread's default base if need be.
    ///
    /// # Errors
    ///
    /// What making a base may answer.
    pub fn base(&self) -> io::Result<Base> {
        match self.base.get() {
            Some(base) => Ok(base.clone()),
            None => current::base(),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.entry != Entry::Same {
            current::lift_budget();
        }
        if let Some(mut engine) = current::leave(self.entry) {
            // Outside the loop no time is cached (TIME-4).
            engine.cached = None;
            let shared = engine.shared.clone();
            shared.put_back(engine);
        }
    }
}

fn busy() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the base's loop is running below: do not loop or `block_on` inside its callbacks, activate an event or spawn a task instead",
    )
}

//! The run queue of one executor.
//!
//! ```text
//! wake at home ──▶ Home::ready ◀── collect ◀── Foreign::items ◀── wake abroad
//!                      │
//!                      ▼
//!                 run, on the home thread only
//! ```
//!
//! `Home::levels` stands beside `ready` for wakes of another priority than the usual one: see `levels.rs`.
//!
//! Invariants
//! 1. A runnable is run or dropped on the home thread, or never.
//! 2. Nothing of `Home` is borrowed while foreign code runs: polls, drops of futures, wakers. All of it may come back here.
//! 3. A *driver* is whoever runs this queue: a `block_on`, or a future of `LocalExecutor::run` or `tick`. A driver sleeps only
//!    with its bell armed abroad (see `foreign.rs`) and, if it is a future, with its waker in `parked`. All drivers are woken,
//!    not one: a driver that is woken and then dropped takes no wake with it.
//! 4. `live` counts the futures that are not dropped yet. Each is in `ready`, in `waiting`, being run, or in the hands of
//!    a foreign thread between the wake that claimed it and its push. So `close` knows when somebody is still to
//!    come, and waits for that push; a foreign thread runs no user code in between.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use levent_reactor::current;
use levent_reactor::lane::Priority;

use crate::budget::{budget, count_polls, weight};
use crate::foreign::{Foreign, Pushed};
use crate::levels::Levels;
use crate::on_panic::{OnPanic, Payload};
use crate::origin::Origin;
use crate::sleeper::Unparker;
use crate::task::{HomeCell, Runnable};
use crate::waiting::Waiting;

/// Runnables that found their executor gone, in all threads.
static LEAKED: AtomicUsize = AtomicUsize::new(0);

/// The buffer of a burst of foreign wakes is kept for the next one up to this many entries (8 KiB).
const KEPT_CAPACITY: usize = 1024;

/// How many tasks of this process were leaked because they were woken when their executor was gone.
///
/// A future is never dropped on a thread that is not its own; one that cannot be dropped at home is leaked and counted
/// here. An executor that is dropped waits for its runnables, so this stays 0.
///
/// # Examples
///
/// ```
/// assert_eq!(levent_executor::leaked_tasks(), 0);
/// ```
pub fn leaked_tasks() -> usize {
    LEAKED.load(Ordering::Relaxed)
}

/// Both halves. Shared by the executor, its tasks and their wakers.
pub(crate) struct Queue {
    pub(crate) home: HomeCell<Home>,
    foreign: Foreign<Runnable, Unparker>,
}

/// What the home thread alone touches.
pub(crate) struct Home {
    ready: RefCell<VecDeque<Runnable>>,
    /// Those that were woken with another priority than the usual one.
    levels: RefCell<Levels>,
    /// There are some.
    is_ranked: Cell<bool>,
    /// The empty vector that the next `collect` swaps in.
    spare: Cell<Vec<Runnable>>,
    /// Counts the drains that found something: each took all bells out of the foreign half. Starts at 1.
    drains: Cell<u64>,
    /// The drivers that sleep, by number, to be woken by the next push.
    parked: RefCell<Vec<(u64, Waker)>>,
    next_driver: Cell<u64>,
    /// Futures not dropped yet.
    live: Cell<usize>,
    /// How many times `run_each` is on the stack, at most one task in each; more than one where `block_on` nests.
    running: Cell<usize>,
    waiting: RefCell<Waiting>,
    /// Woken when the last future is dropped.
    idle: Cell<Option<Waker>>,
    /// Tasks that were ever spawned, and those that panicked.
    spawned: Cell<u64>,
    panicked: Cell<u64>,
    on_panic: Cell<OnPanic>,
    /// The panic of a detached task, which whoever drives the queue is to go on with.
    failure: Cell<Option<Payload>>,
    has_failed: Cell<bool>,
    /// No task is queued any more. Set at the end of `close`, never cleared.
    closed: Cell<bool>,
    /// A wake is nothing but a push: nobody is in `parked`, and `closed` is not set. Kept beside them, since every wake asks.
    plain: Cell<bool>,
}

impl Queue {
    pub(crate) fn new() -> Queue {
        Queue {
            home: HomeCell::new(Home {
                ready: RefCell::default(),
                levels: RefCell::default(),
                is_ranked: Cell::new(false),
                spare: Cell::default(),
                drains: Cell::new(1),
                parked: RefCell::default(),
                next_driver: Cell::new(0),
                live: Cell::new(0),
                running: Cell::new(0),
                waiting: RefCell::default(),
                idle: Cell::default(),
                spawned: Cell::new(0),
                panicked: Cell::new(0),
                on_panic: Cell::new(OnPanic::Report),
                failure: Cell::default(),
                has_failed: Cell::new(false),
                closed: Cell::new(false),
                plain: Cell::new(true),
            }),
            foreign: Foreign::new(),
        }
    }

    /// The queue as its own thread sees it. Executors are not `Send`, so theirs is that thread.
    pub(crate) fn at_home(&self) -> AtHome<'_> {
        let home = self.home.get();
        AtHome {
            queue: self,
            home: home.expect("an executor never leaves its thread"),
        }
    }

    /// A wake at home, when there is more to do than to push.
    #[cold]
    pub(crate) fn push_and_ring(&self, runnable: Runnable) {
        let at = self.at_home();
        if at.home.closed.get() {
            return drop(runnable);
        }
        at.home.push(runnable);
        at.wake_drivers();
    }

    /// A wake from another thread.
    #[cold]
    pub(crate) fn push_abroad(&self, runnable: Runnable) {
        match self.foreign.push(runnable) {
            Pushed::Quiet => {}
            Pushed::Ring(bells) => bells.for_each(|bell| swallow(|| bell.unpark())),
            Pushed::Refused(runnable) => {
                // Dropping it would drop the future here, and that need not be `Send`.
                std::mem::forget(runnable);
                LEAKED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Home {
    /// Is a wake nothing but a push? False if a driver sleeps, and after `close`.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.plain.get()
    }

    /// Works `plain` out anew, after a change of `parked` or `closed`.
    fn settle(&self) {
        self.plain
            .set(self.parked.borrow().is_empty() && !self.closed.get());
    }

    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) {
        let priority = current::priority();
        if priority != Priority::Normal {
            return self.push_ranked(priority, runnable);
        }
        self.ready.borrow_mut().push_back(runnable);
    }

    #[cold]
    fn push_ranked(&self, priority: Priority, runnable: Runnable) {
        self.levels.borrow_mut().push(priority, runnable);
        self.is_ranked.set(true);
    }

    fn pop(&self) -> Option<Runnable> {
        if self.is_ranked.get() {
            return self.pop_ranked();
        }
        self.ready.borrow_mut().pop_front()
    }

    #[cold]
    fn pop_ranked(&self) -> Option<Runnable> {
        let mut levels = self.levels.borrow_mut();
        let next = levels.pop(&mut self.ready.borrow_mut(), budget().patience);
        self.is_ranked.set(levels.len() > 0);
        next
    }

    /// How many tasks are queued.
    fn queued(&self) -> usize {
        let ready = self.ready.borrow().len();
        match self.is_ranked.get() {
            false => ready,
            true => ready + self.levels.borrow().len(),
        }
    }

    pub(crate) fn task_added(&self) {
        self.live.set(self.live.get() + 1);
        self.spawned.set(self.spawned.get() + 1);
    }

    /// A task panicked. Returns the payload to go on with: whoever awaits the task gets it.
    pub(crate) fn task_panicked(&self, is_detached: bool, payload: Payload) -> Payload {
        self.panicked.set(self.panicked.get() + 1);
        if !is_detached {
            return payload;
        }
        match self.on_panic.get() {
            OnPanic::Report => return payload,
            OnPanic::Stop => {
                self.has_failed.set(true);
                // A second one is dropped: one is enough to stop, and its own report was made.
                let first = self.failure.take().unwrap_or(payload);
                self.failure.set(Some(first));
            }
            OnPanic::Abort => std::process::abort(),
            OnPanic::Call(hook) => hook(payload),
        }
        // Nobody looks at it.
        Box::new(())
    }

    /// Goes on with the panic of a detached task, in whoever drives the queue.
    #[cold]
    fn fail(&self) {
        self.has_failed.set(false);
        if let Some(payload) = self.failure.take() {
            resume_unwind(payload);
        }
    }

    /// What a panic of a detached task means from now on.
    pub(crate) fn set_on_panic(&self, on_panic: OnPanic) {
        self.on_panic.set(on_panic);
    }

    /// How many tasks there have been, and how many of them panicked.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.spawned.get(), self.panicked.get())
    }

    /// Waits until no future is left.
    pub(crate) fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        if self.live.get() == 0 {
            return Poll::Ready(());
        }
        self.idle.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// A task waits for the first time. Returns its place.
    pub(crate) fn task_waits(&self, waker: Waker, origin: Origin) -> u32 {
        self.waiting.borrow_mut().add(waker, origin)
    }

    /// A task's future is dropped.
    pub(crate) fn task_removed(&self, place: Option<u32>) {
        self.live.set(self.live.get() - 1);
        if let Some(place) = place {
            let waker = self.waiting.borrow_mut().remove(place);
            drop(waker);
        }
        if self.live.get() == 0 {
            if let Some(waker) = self.idle.take() {
                swallow(|| waker.wake());
            }
        }
    }
}

/// A queue on its home thread.
#[derive(Clone, Copy)]
pub(crate) struct AtHome<'q> {
    queue: &'q Queue,
    home: &'q Home,
}

impl<'q> AtHome<'q> {
    pub(crate) fn home(self) -> &'q Home {
        self.home
    }

    /// Futures not dropped yet.
    pub(crate) fn live(self) -> usize {
        self.home.live.get()
    }

    /// Where the tasks were spawned that wait or are queued, as far as that was recorded, and how many there.
    pub(crate) fn origins(self) -> Vec<(&'static Location<'static>, usize)> {
        let mut all: Vec<Origin> = self.home.waiting.borrow().origins().collect();
        // Those that have waited before are among the ones above.
        let ready = self.home.ready.borrow();
        all.extend(
            ready
                .iter()
                .map(|runnable| runnable.metadata())
                .filter(|task| !task.has_waited())
                .map(|task| task.origin),
        );
        all.sort_unstable();
        let counted = all.chunk_by(|a, b| a == b);
        counted
            .filter_map(|same| Some((same[0].place()?, same.len())))
            .collect()
    }

    pub(crate) fn has_work(self) -> bool {
        let home = self.home;
        !home.ready.borrow().is_empty() || home.is_ranked.get() || self.queue.foreign.is_waiting()
    }

    /// Runs each of the tasks that are queued now, but at most `limit`, by their [weight]. Returns how many ran.
    pub(crate) fn run_queued(self, limit: usize, operations: u32) -> usize {
        self.collect();
        let queued = self.home.queued();
        if queued == 0 {
            return 0;
        }
        self.run_each(queued, limit, operations)
    }

    /// Runs tasks until none is queued, but at most `limit`, by their [weight]. Returns how many ran.
    pub(crate) fn run_up_to(self, limit: usize, operations: u32) -> usize {
        let mut ran = 0;
        while ran < limit {
            self.collect();
            let more = self.run_each(usize::MAX, limit - ran, operations);
            if more == 0 {
                break;
            }
            ran += more;
        }
        ran
    }

    /// So many tasks at most, and so many by weight.
    fn run_each(self, tasks: usize, limit: usize, operations: u32) -> usize {
        let _running = Running::begin(&self.home.running);
        let (mut left, mut ran) = (tasks, 0);
        while left > 0 && ran < limit {
            // The queue may be shorter than it was: a task that calls `block_on` runs the others.
            let Some(runnable) = self.home.pop() else {
                break;
            };
            current::refill(operations);
            // The cell hands a panic on to the task's awaiter. It unwinds only with a detached task's payload that panics when dropped.
            runnable.run();
            left -= 1;
            ran += weight(operations);
        }
        count_polls(ran);
        if self.home.has_failed.get() {
            self.home.fail();
        }
        ran
    }

    /// Moves what foreign threads have queued behind what is queued here.
    fn collect(self) {
        if !self.queue.foreign.is_waiting() {
            return;
        }
        let mut items = self.home.spare.take();
        if self.queue.foreign.drain(&mut items) {
            self.home.drains.set(self.home.drains.get() + 1);
        }
        self.home.ready.borrow_mut().extend(items.drain(..));
        if items.capacity() <= KEPT_CAPACITY {
            self.home.spare.set(items);
        }
    }

    fn wake_drivers(self) {
        // All of them and each once: one that comes back meanwhile does so for the next push.
        let mut parked = self.home.parked.take();
        for (_, waker) in parked.drain(..) {
            swallow(|| waker.wake());
        }
        let mut now = self.home.parked.borrow_mut();
        if now.is_empty() {
            // For its memory: parking does not allocate each time.
            *now = parked;
        }
        drop(now);
        self.home.settle();
    }

    /// Drops every future, and returns when that is done.
    ///
    /// A future that is being run is left to whoever runs it. That happens only if the thread ends inside a task, as
    /// `process::exit` makes it: it drops the thread's executor and never returns to the task.
    pub(crate) fn close(self) {
        let home = self.home;
        loop {
            // A wake puts the task into `ready`, unless somebody has claimed it already.
            let places = home.waiting.borrow().places();
            for place in 0..places {
                let waker = home.waiting.borrow_mut().take(place);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            self.collect();
            // One by one from the queue, so that a chain of tasks that wake each other when dropped does not recurse.
            loop {
                let Some(runnable) = home.pop() else { break };
                drop(runnable);
            }
            if home.live.get() <= home.running.get() {
                break;
            }
            // Invariant 4: what is left is on its way here.
            if !self.has_work() {
                self.queue.foreign.wait();
            }
        }
        home.closed.set(true);
        home.settle();
        self.queue.foreign.close();
        // The last reference to the queue may be a waker on another thread, which drops nothing of `Home`.
        drop(home.parked.take());
        drop(home.ready.take());
        drop(home.levels.take());
        drop(home.spare.take());
        drop(home.waiting.take());
    }

    /// The number of a new driver.
    pub(crate) fn next_driver(self) -> u64 {
        let driver = self.home.next_driver.get();
        self.home.next_driver.set(driver + 1);
        driver
    }

    /// Changes whenever a drain took all bells out of the foreign half. Never 0.
    pub(crate) fn drains(self) -> u64 {
        self.home.drains.get()
    }

    pub(crate) fn foreign(self) -> &'q Foreign<Runnable, Unparker> {
        &self.queue.foreign
    }

    /// Leaves the waker of a driver, to be woken by the next push here.
    pub(crate) fn park(self, driver: u64, waker: Waker) {
        self.home.parked.borrow_mut().push((driver, waker));
        self.home.settle();
    }

    /// Takes the waker of a driver back, if no push has used it.
    pub(crate) fn unpark(self, driver: u64) -> Option<Waker> {
        let mut parked = self.home.parked.borrow_mut();
        let index = parked.iter().position(|(id, _)| *id == driver)?;
        let (_, waker) = parked.swap_remove(index);
        drop(parked);
        self.home.settle();
        Some(waker)
    }
}

/// One more `run_each` on the stack, until it is dropped.
struct Running<'q>(&'q Cell<usize>);

impl<'q> Running<'q> {
    fn begin(count: &'q Cell<usize>) -> Running<'q> {
        count.set(count.get() + 1);
        Running(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Calls a waker or an unparker, which are foreign code: its panic ends here, since whoever wakes us did nothing wrong and
/// the next bell must ring too. The panic hook has reported it.
fn swallow(call: impl FnOnce()) {
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

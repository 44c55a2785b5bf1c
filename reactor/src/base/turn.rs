//! The loop. One iteration is [`Base::iterate`], whose steps carry the specification's numbers (LOOP-1).

use std::io;
use std::task::Waker;

use super::{Base, Entered, busy};
use crate::Flags;
use crate::current;
use crate::engine::Engine;
use crate::engine::pass::Entry;
use crate::engine::record::NIL;
use crate::engine::wait::Sleep;
use crate::event::Event;
use crate::shared::{drop_all, wake_all, wake_in_order};

crate::flags::bit_set! {
    /// How [`Base::run_loop`] runs; combined with `|`.
    ///
    /// ```
    /// use levent_reactor::{Base, LoopEnd, LoopFlags};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let base = Base::new()?;
    /// assert_eq!(base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)?, LoopEnd::Dry);
    /// # Ok(()) }
    /// ```
    pub struct LoopFlags {
        /// Blocks until something is active, then goes on until nothing is active any more (LOOP-6).
        ONCE = 0x01,
        /// Never blocks; ends with the first iteration that finds nothing active (LOOP-7). With `ONCE`: one look.
        NONBLOCK = 0x02,
        /// Goes on when nothing is pending, waiting for other threads (LOOP-9).
        NO_EXIT_ON_EMPTY = 0x04,
    }
}

/// Why a loop ended.
///
/// ```
/// use levent_reactor::{Base, Flags, Event, LoopEnd};
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// assert_eq!(base.dispatch()?, LoopEnd::Dry); // nothing to wait for
/// let event = Event::user(&base, |event, _| event.base().unwrap().loop_break());
/// event.activate(Flags::NONE);
/// assert_eq!(base.dispatch()?, LoopEnd::Stopped);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopEnd {
    /// Nothing was pending or active any more (libevent's 1).
    Dry,
    /// Exit, break, `ONCE` or `NONBLOCK` ended it (libevent's 0).
    Stopped,
}

/// What keeps the loop going.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// Pending events (the default).
    WhilePending,
    /// Nothing need be pending; exit and break end it.
    UntilTold,
    /// An executor has reasons of its own to stay: exit and break are not for it.
    Always,
}

/// What one iteration did.
enum Iteration {
    /// It left before waiting.
    Left(LoopEnd),
    /// Nothing was active.
    Idle,
    /// A pass ran. `work`: a callback of a user's event was among it.
    Ran { work: bool },
}

/// What follows upon steps 1 to 11. Small, so that it is handed on in registers.
#[derive(Clone, Copy)]
enum Next {
    /// The loop ends.
    Left(LoopEnd),
    /// Nothing is active.
    Idle,
    /// A pass, which begins with this entry.
    Few(Entry),
    /// A pass of so many entries, or of such that have rested for so long, that their events are hardly in the cache.
    Many,
    /// Foreign code is to run before the pass.
    Chores,
}

/// What is to be done between waiting and the pass, with nothing borrowed.
struct Chores {
    woken: Vec<Waker>,
    is_ranked: bool,
    discarded: Vec<Waker>,
    mail: bool,
    active: bool,
}

/// Steps 1 to 5 of an iteration: how long to wait, or why to leave.
#[inline]
fn begin(engine: &mut Engine, most: Sleep, stay: Stay) -> Result<Sleep, LoopEnd> {
    // 1. Clear the continue flag.
    engine.again = false;
    // 2. Leave if told to.
    if stay == Stay::Always {
        engine.exit = false;
        engine.stop = false;
    } else if engine.exit || engine.stop {
        return Err(LoopEnd::Stopped);
    }
    // 4. Leave if nothing is left (before the wait is chosen: that may read the clock).
    if stay == Stay::WhilePending && engine.is_empty() {
        // What other threads have posted may be something.
        if engine.shared.doze.end() {
            engine.read_mail();
        }
        if engine.exit || engine.stop {
            return Err(LoopEnd::Stopped);
        }
        if engine.is_empty() && !engine.mail {
            return Err(LoopEnd::Dry);
        }
    }
    // 3. Choose the wait.
    let sleep = engine.choose_wait(most);
    // 5. Later events become active.
    engine.promote();
    Ok(sleep)
}

/// Step 11, after the wait (7 to 9): passed deadlines become active, and the pass begins unless foreign code comes first.
#[inline]
fn finish(engine: &mut Engine) -> Next {
    engine.expire();
    engine.note_counts();
    if engine.has_chores() {
        Next::Chores
    } else if engine.active.len() == 0 {
        Next::Idle
    } else {
        begin_pass(engine)
    }
}

/// Begins the pass of the iteration, if anything is active (step 12).
#[inline(always)]
fn begin_pass(engine: &mut Engine) -> Next {
    if !engine.begin_pass() {
        Next::Idle
    } else if engine.has_many() {
        Next::Many
    } else {
        Next::Few(engine.next_entry())
    }
}

impl Base {
    /// Runs the loop until nothing is pending, or until it is told to stop (LOOP-3).
    ///
    /// # Errors
    ///
    /// As [`run_loop`](Base::run_loop).
    pub fn dispatch(&self) -> io::Result<LoopEnd> {
        self.run_loop(LoopFlags::NONE)
    }

    /// Runs the loop.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` if this base's loop is running already (LOOP-12); the backend's failure, after which active events stay
    /// queued and the loop may be run again (LOOP-13).
    pub fn run_loop(&self, flags: LoopFlags) -> io::Result<LoopEnd> {
        let _entered = self.begin_loop()?;
        let stay = if flags.contains(LoopFlags::NO_EXIT_ON_EMPTY) {
            Stay::UntilTold
        } else {
            Stay::WhilePending
        };
        let most = if flags.contains(LoopFlags::NONBLOCK) {
            Sleep::No
        } else {
            Sleep::Forever
        };
        loop {
            match self.iterate(most, stay)? {
                Iteration::Left(end) => return Ok(end),
                Iteration::Idle if flags.contains(LoopFlags::NONBLOCK) => {
                    return Ok(LoopEnd::Stopped);
                }
                Iteration::Ran { work } if work && flags.contains(LoopFlags::ONCE) => {
                    if self.with(|engine| engine.active.len() + engine.active.later_len() == 0) {
                        return Ok(LoopEnd::Stopped);
                    }
                }
                Iteration::Idle | Iteration::Ran { .. } => {}
            }
        }
    }

    /// Enters the loop, unless the thread is inside it already, and forgets what ended the one before.
    fn begin_loop(&self) -> io::Result<Option<Entered>> {
        if self.local.in_callback.get() {
            return Err(busy());
        }
        let begin = |engine: &mut Engine| {
            // What other threads asked for before the loop began has no effect on it (EXIT-2).
            if engine.shared.doze.end() {
                engine.read_mail();
            }
            engine.cached = None;
            engine.exit = false;
            engine.stop = false;
        };
        match current::with_innermost(self.local.id, begin) {
            Ok(()) => Ok(None),
            Err(begin) => {
                let entered = self.enter()?;
                self.with(begin);
                Ok(Some(entered))
            }
        }
    }

    /// One iteration for an executor: it has reasons of its own to stay.
    pub(crate) fn turn(&self, most: Sleep) -> io::Result<()> {
        self.iterate(most, Stay::Always).map(drop)
    }

    fn iterate(&self, most: Sleep, stay: Stay) -> io::Result<Iteration> {
        // Without watchers nothing foreign runs before step 12, and one visit to the engine does it all.
        let next = if self.local.prepare.is_empty() && self.local.check.is_empty() {
            self.innermost(|engine| match begin(engine, most, stay) {
                Ok(sleep) => engine.wait(sleep).map(|()| finish(engine)),
                Err(end) => Ok(Next::Left(end)),
            })??
        } else {
            match self.innermost(|engine| begin(engine, most, stay))? {
                Err(end) => Next::Left(end),
                Ok(sleep) => {
                    // 6. Prepare watchers. Better than LOOP-27: what they change counts for the wait.
                    let are_prepared = self.with(|engine| std::mem::take(&mut engine.prepared));
                    if !are_prepared && !self.local.prepare.is_empty() {
                        self.watch_prepare(sleep);
                        if stay == Stay::Always && most != Sleep::No {
                            // They may have woken a task: only the executor knows whether to sleep now (law 1).
                            self.with(|engine| engine.prepared = true);
                            return Ok(Iteration::Idle);
                        }
                    }
                    self.innermost(|engine| {
                        let is_told = engine.stop || engine.exit || engine.again;
                        let most = if is_told { Sleep::No } else { most };
                        let sleep = engine.choose_wait(most);
                        engine.wait(sleep)
                    })??;
                    // 10. Check watchers.
                    self.watch_check();
                    self.with(finish)
                }
            }
        };
        let next = match next {
            Next::Chores => self.do_chores(),
            next => next,
        };
        // 12. One pass.
        Ok(match next {
            Next::Left(end) => Iteration::Left(end),
            Next::Few(first) => Iteration::Ran {
                work: self.run_few(first),
            },
            Next::Many => Iteration::Ran {
                work: self.run_many(),
            },
            Next::Idle | Next::Chores => Iteration::Idle,
        })
    }

    /// Wakes who is to be woken, drops who is not, and runs what was posted.
    #[inline(never)]
    fn do_chores(&self) -> Next {
        let spare = &self.local.spare;
        let chores = self.with(|engine| Chores {
            woken: std::mem::replace(&mut engine.woken, spare.take()),
            is_ranked: !engine.ranked.is_empty(),
            discarded: std::mem::take(&mut engine.discarded),
            mail: std::mem::take(&mut engine.mail),
            active: engine.active.len() > 0,
        });
        if chores.is_ranked {
            let ranked = self.with(|engine| std::mem::take(&mut engine.ranked));
            spare.set(wake_in_order(chores.woken, ranked));
        } else {
            spare.set(wake_all(chores.woken));
        }
        if !chores.discarded.is_empty() {
            drop_all(chores.discarded);
        }
        if chores.mail {
            self.run_posted();
        }
        if chores.active || chores.mail {
            self.with(begin_pass)
        } else {
            Next::Idle
        }
    }

    /// Acts on the engine of the thread's innermost loop, which must be over this base.
    #[inline]
    fn innermost<R>(&self, f: impl FnOnce(&mut Engine) -> R) -> io::Result<R> {
        current::with_innermost(self.local.id, f).map_err(|_| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "this loop is not the thread's innermost: another was entered inside it and not left; drop its `Entered` first, \
                 and hold none across an await",
            )
        })
    }

    fn run_posted(&self) {
        self.tell_spins();
        let mut posted = self.local.shared.take_posted().into_iter();
        while let Some(closure) = posted.next() {
            // A closure that panics leaves the others for the next iteration.
            let rest = Requeue {
                base: self,
                posted: &mut posted,
            };
            self.guarded(|| closure(self));
            drop(rest);
        }
    }

    /// Runs foreign code as a callback of this base.
    pub(super) fn guarded(&self, f: impl FnOnce()) {
        let _leave = self.in_callback();
        f();
    }

    /// From now on a callback of this base is running, until the result is dropped.
    fn in_callback(&self) -> InCallback<'_> {
        InCallback(self, self.local.in_callback.replace(true))
    }

    /// Runs the pass from this entry on: the events of one level (ACT-9). Was it real work (ACT-10)?
    #[inline]
    fn run_few(&self, first: Entry) -> bool {
        let _leave = self.in_callback();
        let mut entry = first;
        let mut work = false;
        while self.run_one(entry) {
            work = true;
            entry = self.next_entry();
        }
        work
    }

    /// The same, looking ahead.
    #[inline(never)]
    fn run_many(&self) -> bool {
        let _leave = self.in_callback();
        let mut work = false;
        loop {
            for _ in 0..self.warm_up() {
                let entry = self.next_entry();
                if !self.run_one(entry) {
                    return work;
                }
                work = true;
            }
        }
    }

    #[inline(always)]
    fn next_entry(&self) -> Entry {
        match current::with_innermost(self.local.id, Engine::next_entry) {
            Ok(entry) => entry,
            Err(next_entry) => self.with(next_entry),
        }
    }

    /// Runs an entry. False if it is the end of the pass.
    #[inline(always)]
    fn run_one(&self, entry: Entry) -> bool {
        // One test for both: what ends the pass is no plain call.
        if entry.is_plain() {
            self.run(entry);
        } else if entry.is_none() {
            return false;
        } else {
            self.run_other(entry);
        }
        true
    }

    /// Touches the events of the next entries, and returns for how many this will do. Where the misses of callbacks add up, one
    /// after the other, those of a plain loop overlap.
    #[inline(never)]
    fn warm_up(&self) -> usize {
        let next = self.with(|engine| engine.upcoming());
        let events = self.local.events.borrow();
        let upcoming = || {
            let events = next.iter().map(|&index| events.get(index as usize));
            events.flatten().flatten()
        };
        // Two rounds: where the callback is stands in the event.
        let events = upcoming().fold(0, |sum, event| sum + event.inner.handles.get());
        let callbacks = upcoming().fold(0, |sum, event| sum ^ event.inner.touch());
        std::hint::black_box((events, callbacks));
        next.len()
    }

    /// Runs one entry's callback.
    #[inline(always)]
    fn run(&self, entry: Entry) {
        if let Some(event) = self.event(entry.index()) {
            let _running = Running::set(self, entry.index());
            event.inner.call(&event, entry.what());
        }
    }

    /// The event of a record.
    #[inline]
    pub(super) fn event(&self, index: u32) -> Option<Event> {
        // Not shared: a plain flag is cheaper to take than a count, and nobody has it meanwhile.
        let events = self.local.events.borrow_mut();
        events.get(index as usize).and_then(Clone::clone)
    }

    /// Runs an entry that is not a plain call.
    #[inline(never)]
    fn run_other(&self, entry: Entry) {
        if entry.is_released() || entry.what().contains(Flags::FINALIZE) {
            return self.run_last(entry);
        }
        if let Some(event) = self.event(entry.index()) {
            let _running = Running::set(self, entry.index());
            self.repeat(&event, entry);
        }
    }

    /// Runs an entry whose event the base lets go of.
    fn run_last(&self, entry: Entry) {
        let Some(event) = self.let_go(entry.index()) else {
            return;
        };
        if entry.is_released() {
            event.inner.forget_token();
        }
        if entry.what().contains(Flags::FINALIZE) {
            // The finalizer may drop the event or make a new one of it; there is no running event meanwhile (FIN-14).
            return event.run_finalizer();
        }
        let before = self.local.last.replace(Some(event.clone()));
        drop(before);
        self.repeat(&event, entry);
        drop(self.local.last.take());
    }

    /// Runs the callback once, or that of a signal event as often as the signal came (SIG-5).
    fn repeat(&self, event: &Event, entry: Entry) {
        let repeat = &event.inner.repeat;
        repeat.set(match entry.is_repeated() {
            true => self.with(|engine| engine.pass.count),
            false => 1,
        });
        while repeat.get() > 0 {
            repeat.set(repeat.get() - 1);
            event.inner.call(event, entry.what());
            // Break drops the remaining calls (EXIT-14); del has set the count to 0 (SIG-9).
            // Dropping the last handle in the callback stops them too.
            if repeat.get() > 0 && (event.is_abandoned() || self.with(|engine| engine.stop)) {
                repeat.set(0);
            }
        }
    }

    /// Ends the loop after the callback that is running; other active events run in the next loop (EXIT-1).
    pub fn loop_break(&self) {
        self.with(|engine| engine.halt());
    }

    /// Has the loop begin a new iteration after the callback that is running (EXIT-10).
    pub fn loop_continue(&self) {
        self.with(|engine| engine.restart());
    }

    /// Did [`loop_break`](Base::loop_break) end the loop that ran last, or is it about to (EXIT-8)?
    #[must_use]
    pub fn got_break(&self) -> bool {
        self.with(|engine| engine.stop)
    }

    /// Did [`loop_exit`](Base::loop_exit) end the loop that ran last, or is it about to (EXIT-8, EXIT-9)?
    #[must_use]
    pub fn got_exit(&self) -> bool {
        self.with(|engine| engine.exit)
    }
}

/// Foreign code runs, on behalf of the base's loop.
struct InCallback<'a>(&'a Base, bool);

impl Drop for InCallback<'_> {
    fn drop(&mut self) {
        self.0.local.in_callback.set(self.1);
    }
}

/// The event that runs, for as long as its callback does.
struct Running<'a>(&'a Base);

impl<'a> Running<'a> {
    #[inline]
    fn set(base: &'a Base, index: u32) -> Running<'a> {
        base.local.running.set(index);
        Running(base)
    }
}

impl Drop for Running<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.0.local.running.replace(NIL) == NIL {
            // It was deleted in its own callback.
            drop(self.0.local.last.take());
        }
    }
}

/// Posts the closures again that a panic kept from running.
struct Requeue<'a, I: Iterator<Item = crate::shared::Posted>> {
    base: &'a Base,
    posted: &'a mut I,
}

impl<I: Iterator<Item = crate::shared::Posted>> Drop for Requeue<'_, I> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for closure in self.posted.by_ref() {
                // The base is alive: it cannot refuse.
                drop(self.base.local.shared.post_closure(closure));
            }
        }
    }
}

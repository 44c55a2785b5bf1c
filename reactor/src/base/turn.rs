//! The loop. One iteration is [`Base::iterate`], whose steps carry the specification's numbers (LOOP-1).

use std::io;
use std::rc::Rc;

use super::Base;
use crate::Flags;
use crate::engine::pass::Entry;
use crate::engine::wait::Sleep;
use crate::event::{Event, Inner};
use crate::shared::wake_all;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopEnd {
    /// Nothing was pending or active any more (libevent's 1).
    Dry,
    /// Exit, break, `ONCE` or `NONBLOCK` ended it (libevent's 0).
    Stopped,
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
        let _entered = self.enter()?;
        self.with(|engine| {
            engine.cached = None;
            engine.exit = false;
            engine.stop = false;
        });
        let most = if flags.contains(LoopFlags::NONBLOCK) {
            Sleep::No
        } else {
            Sleep::Forever
        };
        loop {
            match self.iterate(most, flags.contains(LoopFlags::NO_EXIT_ON_EMPTY))? {
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

    /// One iteration for an executor: it has reasons of its own to stay.
    pub(crate) fn turn(&self, most: Sleep) -> io::Result<()> {
        self.with(|engine| {
            engine.exit = false;
            engine.stop = false;
        });
        self.iterate(most, true).map(drop)
    }

    fn iterate(&self, most: Sleep, stays: bool) -> io::Result<Iteration> {
        enum Step {
            Leave(LoopEnd),
            Wait(Sleep),
        }
        let step = self.with(|engine| {
            // 1. Clear the continue flag.
            engine.again = false;
            // 2. Leave if told to.
            if engine.exit || engine.stop {
                return Step::Leave(LoopEnd::Stopped);
            }
            // 4. Leave if nothing is left (before the wait is chosen: that may read the clock).
            if !stays && engine.is_empty() {
                // What other threads have posted may be something.
                if engine.shared.doze.end() {
                    engine.read_mail();
                }
                if engine.is_empty() && !engine.mail {
                    return Step::Leave(LoopEnd::Dry);
                }
            }
            // 3. Choose the wait.
            let sleep = if engine.mail {
                Sleep::No
            } else {
                engine.choose_wait(most)
            };
            // 5. Later events become active.
            engine.promote();
            Step::Wait(sleep)
        });
        let mut sleep = match step {
            Step::Leave(end) => return Ok(Iteration::Left(end)),
            Step::Wait(sleep) => sleep,
        };
        // 6. Prepare watchers.
        if !self.local.prepare.is_empty() {
            self.watch_prepare(sleep);
            // Better than LOOP-27: what they have changed counts.
            sleep = self.with(|engine| engine.choose_wait(most));
        }
        // 7. to 9. Drop the cached time, wait, leave if that failed, cache the time.
        self.with(|engine| engine.wait(sleep))?;
        // 10. Check watchers.
        if !self.local.check.is_empty() {
            self.watch_check();
        }
        // 11. Passed deadlines become active. With them come the wakers of all that is ready.
        let (woken, discarded, mail) = self.with(|engine| {
            engine.expire();
            (
                std::mem::take(&mut engine.woken),
                std::mem::take(&mut engine.discarded),
                std::mem::take(&mut engine.mail),
            )
        });
        drop(discarded);
        if !woken.is_empty() {
            let empty = wake_all(woken);
            self.with(|engine| engine.keep_woken(empty));
        }
        if mail {
            self.run_posted();
        }
        // 12. One pass.
        Ok(self.process())
    }

    fn run_posted(&self) {
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

    /// Processes active events: one level that did real work (ACT-9, ACT-10).
    fn process(&self) -> Iteration {
        if !self.with(|engine| engine.begin_pass()) {
            return Iteration::Idle;
        }
        let _leave = self.in_callback();
        let mut work = false;
        while let Some(entry) = self.with(|engine| engine.next_entry()) {
            work = true;
            self.run(entry);
        }
        Iteration::Ran { work }
    }

    /// Runs one entry's callback.
    #[inline]
    fn run(&self, entry: Entry) {
        let index = entry.token.index as usize;
        // Taken out of the table while it runs, and put back if it is still registered: no count of references changes.
        let Some(event) = self
            .local
            .events
            .borrow_mut()
            .get_mut(index)
            .and_then(Option::take)
        else {
            return;
        };
        if entry.released {
            event.inner.forget_token();
        }
        if entry.what.contains(Flags::FINALIZE) {
            // The finalizer may drop the event or make a new one of it; there is no running event meanwhile (FIN-14).
            return event.run_finalizer();
        }
        let _running = Running::set(self, &event.inner);
        if entry.count == 1 {
            event.inner.call(&event, entry.what);
        } else {
            self.repeat(&event, entry);
        }
        if event.inner.is_registered_as(entry.token) {
            self.local.events.borrow_mut()[index] = Some(event);
        }
    }

    /// Runs the callback of a signal event as often as the signal came (SIG-5).
    fn repeat(&self, event: &Event, entry: Entry) {
        let repeat = &event.inner.repeat;
        repeat.set(entry.count);
        while repeat.get() > 0 {
            repeat.set(repeat.get() - 1);
            event.inner.call(event, entry.what);
            // Break drops the remaining calls (EXIT-14); del has set the count to 0 (SIG-9).
            if repeat.get() > 0 && self.with(|engine| engine.stop) {
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
    fn set(base: &'a Base, inner: &Rc<Inner>) -> Running<'a> {
        base.local.running.set(Some(inner.clone()));
        Running(base)
    }
}

impl Drop for Running<'_> {
    #[inline]
    fn drop(&mut self) {
        drop(self.0.local.running.take());
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

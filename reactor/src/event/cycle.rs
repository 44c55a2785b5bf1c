//! The life of an event: added, deleted, activated, finalized, handed over.
//!
//! What each call does to the engine's sets is in `engine/events.rs`; here a record is made for an event that becomes pending or
//! active, and let go of when it is idle again.

use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::{Event, Flags, RemoteEvent};
use crate::base::{Base, CommonTimeout};
use crate::current;
use crate::engine::Engine;
use crate::engine::events::Timeout;
use crate::engine::record::{ACTIVE, FINALIZING, INSERTED, LATER, Token};

impl Event {
    /// Makes the event pending, without a deadline; one that it has stays (ADD-5). A timer is not added by this (ADD-2).
    ///
    /// # Errors
    ///
    /// What the backend says of the descriptor: `PermissionDenied` for a regular file on epoll, an error for a closed one, and
    /// for a number it cannot take. `AlreadyExists` if the descriptor is watched with the other trigger mode (FLG-9) or by an
    /// async source. `InvalidInput` for a signal that cannot be caught, and for an event that has been finalized. `QuotaExceeded` for
    /// more than 65,535 events of a kind on one descriptor (ADD-18). `NotConnected` once the base has ended, `Unsupported` in a forked
    /// child on epoll and kqueue before [`Base::reinit`]. On error nothing has changed (ADD-8).
    pub fn add(&self) -> io::Result<()> {
        self.add_with(None)
    }

    /// Makes the event pending with a deadline, replacing one that it has (ADD-6). For a persistent event `timeout` is the
    /// interval, too (ADD-7). Zero expires in the next iteration (ADD-4), [`Duration::MAX`] never.
    ///
    /// # Errors
    ///
    /// As [`add`](Event::add).
    pub fn add_after(&self, timeout: Duration) -> io::Result<()> {
        self.add_with(Some(Timeout::Plain(timeout)))
    }

    /// As [`add_after`](Event::add_after) with a duration that many events share.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the token is of another base (CT-10); else as [`add`](Event::add).
    pub fn add_common(&self, timeout: CommonTimeout) -> io::Result<()> {
        if self.inner.base_id.get() != timeout.base {
            return Err(self.foreign_timeout());
        }
        self.add_with(Some(Timeout::Common(timeout.queue)))
    }

    #[cold]
    fn foreign_timeout(&self) -> io::Error {
        match self.living_base() {
            Ok(_) => io::Error::new(
                io::ErrorKind::InvalidInput,
                "the common timeout is of another base: register it with this one",
            ),
            Err(ended) => ended,
        }
    }

    fn add_with(&self, timeout: Option<Timeout>) -> io::Result<()> {
        let inner = &self.inner;
        if let (Some(token), false) = (inner.token.get(), inner.finalized.get()) {
            let added =
                current::with_innermost(inner.base_id.get(), |engine| engine.add(token, timeout));
            if let Ok(result) = added {
                return result;
            }
        }
        self.add_first(timeout)
    }

    /// Adds an event that has no record yet, or whose loop is not the innermost.
    #[inline(never)]
    fn add_first(&self, timeout: Option<Timeout>) -> io::Result<()> {
        let base = self.living_base()?;
        let inner = &self.inner;
        if inner.finalized.get() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the event has been finalized: make a new one",
            ));
        }
        if let Some(token) = inner.token.get() {
            return base.with(|engine| engine.add(token, timeout));
        }
        if timeout.is_none() && !inner.interest.get().intersects(Flags::SOURCE) {
            return Ok(());
        }
        let spec = inner.spec();
        let token = base.with(|engine| {
            let token = engine.register(spec);
            match engine.add(token, timeout) {
                Ok(()) => Ok(token),
                Err(error) => {
                    engine.release_if_idle(token);
                    Err(error)
                }
            }
        })?;
        inner.token.set(Some(token));
        base.keep(token, self.clone());
        Ok(())
    }

    /// Acts on the engine of the event's base. `None` if the base has ended.
    #[inline]
    fn with_engine<R>(&self, f: impl FnOnce(&mut Engine) -> R) -> Option<R> {
        match current::with_innermost(self.inner.base_id.get(), f) {
            Ok(result) => Some(result),
            Err(f) => Some(self.base()?.with(f)),
        }
    }

    /// The record is gone: forgets its name, and has the base forget the event.
    #[cold]
    fn part(&self) {
        if let (Some(token), Some(base)) = (self.inner.token.take(), self.base()) {
            drop(base.let_go(token.index));
        }
    }

    /// Gives the record of an idle event back.
    pub(super) fn part_if_idle(&self) {
        let Some(token) = self.inner.token.get() else {
            return;
        };
        if self.with_engine(|engine| engine.release_if_idle(token)) == Some(true) {
            self.part();
        }
    }

    /// Makes the event idle: neither pending nor active. Its callback does not run, not even if it was about to (DEL-2). It can be
    /// added again. An event that is being finalized is left alone (DEL-5).
    ///
    /// # Errors
    ///
    /// The backend's, if it refuses to forget the descriptor. The event is idle all the same (DEL-6).
    pub fn del(&self) -> io::Result<()> {
        self.inner.repeat.set(0);
        let Some(token) = self.inner.token.get() else {
            return Ok(());
        };
        if self.with_engine(|engine| engine.del_timer(token)) == Some(true) {
            return Ok(());
        }
        self.del_any(token)
    }

    #[inline(never)]
    fn del_any(&self, token: Token) -> io::Result<()> {
        let deleted =
            self.with_engine(|engine| (engine.del(token), engine.release_if_detached(token)));
        let Some((result, is_released)) = deleted else {
            return Ok(());
        };
        if is_released {
            self.part();
        }
        result
    }

    /// Takes the deadline and the interval away and leaves the rest (DEL-13).
    pub fn remove_timer(&self) {
        let Some(token) = self.inner.token.get() else {
            return;
        };
        let is_released = self.with_engine(|engine| {
            engine.remove_timer(token);
            engine.release_if_detached(token)
        });
        if is_released == Some(true) {
            self.part();
        }
    }

    /// Makes the event active by hand, with `what` (ACT-1). An active event gets the flags merged and runs once (ACT-2). One that has
    /// been finalized, or whose base has ended, is left alone.
    pub fn activate(&self, what: Flags) {
        self.activate_times(what, 1);
    }

    /// As [`activate`](Event::activate); the callback of a signal event runs `count` times, not at all for 0 (ACT-4). If the event is
    /// active already its count stays (ACT-5).
    pub fn activate_times(&self, what: Flags, count: u32) {
        self.queue(|engine, index| engine.activate_times(index, what, count));
    }

    /// Makes the event active in the next iteration, which does not sleep (ACT-19).
    pub fn activate_later(&self, what: Flags) {
        self.queue(|engine, index| engine.activate_later(index, what));
    }

    pub(crate) fn activate_deferred(&self) {
        self.queue(|engine, index| {
            engine.defer(index);
        });
    }

    fn queue(&self, f: impl FnOnce(&mut Engine, u32)) {
        let Some(base) = self.base() else { return };
        let inner = &self.inner;
        if inner.finalized.get() {
            return;
        }
        let known = inner.token.get();
        let spec = inner.spec();
        let token = base.with(|engine| {
            let token = known.unwrap_or_else(|| engine.register(spec));
            if let Some(index) = engine.records.find(token) {
                f(engine, index);
                engine.note_counts();
            }
            token
        });
        if known.is_none() {
            inner.token.set(Some(token));
            base.keep(token, self.clone());
        }
    }

    /// What the event is pending for, and what made it active, of the flags asked for (INT-1).
    #[must_use]
    pub fn pending(&self, mask: Flags) -> Flags {
        let (Some(token), Some(base)) = (self.inner.token.get(), self.base()) else {
            return Flags::NONE;
        };
        base.with(|engine| {
            let Some(index) = engine.records.find(token) else {
                return Flags::NONE;
            };
            let record = &engine.records[index];
            let mut flags = Flags::NONE;
            if record.is(INSERTED) {
                flags |= record.interest & Flags::SOURCE;
            }
            if record.is(ACTIVE | LATER) && !record.is(FINALIZING) {
                flags |= record.what;
            }
            if record.deadline.is_armed() {
                flags |= Flags::TIMEOUT;
            }
            flags & mask & (Flags::SOURCE | Flags::TIMEOUT)
        })
    }

    /// Is the event pending or active?
    #[must_use]
    pub fn is_pending(&self) -> bool {
        let Some(token) = self.inner.token.get() else {
            return false;
        };
        let is_pending = self.with_engine(|engine| {
            let index = engine.records.find(token)?;
            Some(!engine.records[index].is_idle())
        });
        is_pending.flatten().unwrap_or(false)
    }

    /// The deadline in the base's time: as [`Base::now`] counts. `None` without one, and once it has passed.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline_nanos().map(Duration::from_nanos)
    }

    /// The deadline by the wall clock as that is set now (TIME-11). `None` as [`deadline`](Event::deadline).
    #[must_use]
    pub fn deadline_wall_clock(&self) -> Option<SystemTime> {
        let nanos = self.deadline_nanos()?;
        Some(self.base()?.wall_clock_at(nanos))
    }

    fn deadline_nanos(&self) -> Option<u64> {
        let token = self.inner.token.get()?;
        self.base()?.with(|engine| {
            let record = &engine.records[engine.records.find(token)?];
            // Reached, and the callback is still to come (INT-2).
            let is_reached = record.is(ACTIVE | LATER) && record.what.intersects(Flags::TIMEOUT);
            let reached = is_reached.then(|| record.deadline.at());
            record.deadline.armed_at().or(reached.filter(|at| *at > 0))
        })
    }

    /// Moves an idle event to another base. It gets that base's middle priority (EV-11).
    ///
    /// # Errors
    ///
    /// `ResourceBusy` unless the event is idle, `InvalidInput` if it has been finalized.
    pub fn set_base(&self, base: &Base) -> io::Result<()> {
        if self.inner.finalized.get() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the event has been finalized: make a new one",
            ));
        }
        if self.is_pending() {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the event is pending or active: delete it first",
            ));
        }
        self.part_if_idle();
        *self.inner.base.borrow_mut() = Rc::downgrade(&base.local);
        self.inner.base_id.set(base.local.id);
        self.inner.priority.set((base.priorities() / 2) as u8);
        Ok(())
    }

    /// Makes this event what `fresh` is: number, interest, source, callback, base, priority. All handles see it (EV-10). Other
    /// handles of `fresh` are left with an event of no descriptor and no callback.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` if either is pending or active (EV-9), or the callback of `fresh` is running.
    pub fn assign(&self, fresh: Event) -> io::Result<()> {
        if self.is_pending() || fresh.is_pending() {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the event is pending or active: delete it first",
            ));
        }
        let (to, from) = (&self.inner, &fresh.inner);
        if Rc::ptr_eq(to, from) {
            return Ok(());
        }
        self.part_if_idle();
        fresh.part_if_idle();
        let Some(handler) = from.handler.take() else {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the callback of the event to be assigned is running, or was assigned to another event: make a new event",
            ));
        };
        let base = from.base.borrow().clone();
        *to.base.borrow_mut() = base;
        to.base_id.set(from.base_id.get());
        // Other handles of `fresh` must not watch a descriptor whose owner has gone elsewhere.
        to.number.set(from.number.replace(-1));
        to.interest.set(from.interest.replace(Flags::NONE));
        to.priority.set(from.priority.get());
        to.finalized.set(from.finalized.get());
        drop(to.finalizer.replace(from.finalizer.take()));
        drop(to.handler.replace(Some(handler)));
        Ok(())
    }

    /// Cancels the event and has the loop run `finalizer` instead of the callback, at the event's priority (FIN-1).
    ///
    /// From now on the event cannot be added or activated. A second request before the finalizer ran replaces it; one after it
    /// does nothing (FIN-7). If the base ends first, the finalizer runs then (BASE-26); if it has ended, it runs at once.
    pub fn finalize(&self, finalizer: impl FnOnce(&Event) + 'static) {
        let inner = &self.inner;
        inner.repeat.set(0);
        if inner.finalized.get() && inner.token.get().is_none() {
            return;
        }
        let Some(base) = self.base() else {
            inner.finalized.set(true);
            return finalizer(self);
        };
        drop(inner.finalizer.replace(Some(Box::new(finalizer))));
        if inner.finalized.replace(true) {
            return;
        }
        let known = inner.token.get();
        let spec = inner.spec();
        let token = base.with(|engine| {
            let token = known.unwrap_or_else(|| engine.register(spec));
            engine.finalize(token);
            token
        });
        if known.is_none() {
            inner.token.set(Some(token));
            base.keep(token, self.clone());
        }
    }

    /// Leaves the event to its base: it lives, with its source, until it is idle, although no handle is left. Its callback can
    /// still reach it.
    pub fn detach(self) {
        // Counted as one more handle that is never dropped, so that no drop finds itself to be the last.
        self.inner.handles.set(self.inner.handles.get() + 1);
        self.inner.detached.set(true);
        let Some(token) = self.inner.token.get() else {
            return;
        };
        let is_released = self.with_engine(|engine| {
            engine.records.detach(token);
            engine.release_if_detached(token)
        });
        if is_released == Some(true) {
            self.part();
        }
    }

    /// A handle for other threads. `None` once the base has ended.
    #[must_use]
    pub fn remote(&self) -> Option<RemoteEvent> {
        RemoteEvent::of(self)
    }
}

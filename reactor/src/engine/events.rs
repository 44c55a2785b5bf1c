//! The life cycle of events inside the engine: register, add, delete, activate, finalize.
//!
//! What each call does to the sets an event may be in (inserted, timed, active, later) is the specification's table 0.3; the
//! rules are named where the code follows one that is not obvious.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::Engine;
use super::deadlines::{Owner as Timed, QueueId};
use super::fds::Owner;
use super::record::{ACTIVE, DETACHED, FINALIZING, INSERTED, LATER, NIL, Spec, Token};
use super::signals::Signals;
use crate::clock::{NEVER, nanos};
use crate::event::Flags;
use crate::flags::{Interest, Ready};

/// How long until an event times out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timeout {
    Plain(Duration),
    /// The duration of a common-timeout queue.
    Common(QueueId),
}

/// How many deferred entries one iteration makes active directly (ACT-20).
const DEFERRED_PER_ITERATION: u32 = 32;

impl Engine {
    /// Makes a record. It is idle: add or activate it, or release it.
    pub(crate) fn register(&mut self, mut spec: Spec) -> Token {
        // An event of a level that was taken away is served by the last one that is left (better than ACT-15).
        spec.priority = spec.priority.min((self.active.levels() - 1) as u8);
        self.records.insert(spec)
    }

    /// Gives the record back if it is idle, and says whether it did.
    pub(crate) fn release_if_idle(&mut self, token: Token) -> bool {
        match self.records.find(token) {
            Some(index) if self.records[index].is_idle() => {
                let deadline = &mut self.records[index].deadline;
                self.deadlines.forget(Timed::record(index), deadline);
                self.records.release(index);
                true
            }
            _ => false,
        }
    }

    /// The same if nobody can reach the event any more.
    #[inline]
    pub(crate) fn release_if_detached(&mut self, token: Token) -> bool {
        match self.records.find(token) {
            Some(index) if self.records[index].is(DETACHED) => self.release_if_idle(token),
            _ => false,
        }
    }

    /// Makes an event pending (ADD-1 to ADD-18). On error nothing has changed (ADD-8).
    pub(crate) fn add(&mut self, token: Token, timeout: Option<Timeout>) -> io::Result<()> {
        let Some(index) = self.records.find(token) else {
            return Err(stale());
        };
        let record = &self.records[index];
        if record.is(FINALIZING) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the event is being finalized: make a new one instead of adding it",
            ));
        }
        let pending = self.pending;
        // An active event that is not inserted is registered too (better than ADD-11).
        if !record.is(INSERTED) && record.interest.intersects(Flags::SOURCE) {
            self.insert(index)?;
        }
        if let Some(timeout) = timeout {
            self.arm(index, timeout);
        }
        if self.pending > pending {
            self.note_added();
        }
        Ok(())
    }

    /// Sets an event's deadline and, for a persistent one, its interval (ADD-6, ADD-7).
    fn arm(&mut self, index: u32, timeout: Timeout) {
        let (wait, queue) = match timeout {
            Timeout::Plain(duration) => (nanos(duration), None),
            Timeout::Common(queue) => (self.deadlines.duration_of(queue), Some(queue)),
        };
        let record = &mut self.records[index];
        if record.is_persistent() && !record.is_signal() {
            record.interval = wait;
        }
        record.queue = queue;
        // ADD-9: an expiry that has not run yet is replaced by the new deadline, whatever was merged with it.
        if record.what.intersects(Flags::TIMEOUT) && record.is(ACTIVE | LATER) {
            self.deactivate(index);
        }
        let deadline = self.now().saturating_add(wait);
        self.set_deadline(index, deadline);
    }

    /// Stores a deadline, replacing an earlier one.
    #[inline]
    pub(crate) fn set_deadline(&mut self, index: u32, deadline: u64) {
        let record = &mut self.records[index];
        self.pending += usize::from(!record.deadline.is_armed());
        // Longer than the clock can count: pending, but it never comes. The largest deadline stands for it.
        let at = deadline.min(NEVER - 1);
        self.deadlines
            .set(Timed::record(index), &mut record.deadline, at, record.queue);
    }

    #[inline]
    fn clear_deadline(&mut self, index: u32) {
        let deadline = &mut self.records[index].deadline;
        self.pending -= usize::from(deadline.is_armed());
        self.deadlines.clear(deadline);
    }

    /// Takes an event's deadline and interval away and leaves the rest (DEL-13). Better than DEL-15: an expiry that is still
    /// queued keeps its activation but does not re-arm.
    pub(crate) fn remove_timer(&mut self, token: Token) {
        if let Some(index) = self.records.find(token) {
            self.clear_deadline(index);
            let record = &mut self.records[index];
            record.interval = 0;
            record.queue = None;
        }
    }

    /// The same as [`del`](Engine::del) for the most frequent case: an event that is neither registered nor active, nor to be let go of.
    /// False if it is another.
    #[inline]
    pub(crate) fn del_timer(&mut self, token: Token) -> bool {
        let Some(index) = self.records.find(token) else {
            return true;
        };
        if self.records[index].is(INSERTED | ACTIVE | LATER | FINALIZING | DETACHED) {
            return false;
        }
        self.clear_deadline(index);
        let record = &mut self.records[index];
        record.interval = 0;
        record.queue = None;
        true
    }

    /// Makes an event neither pending nor active. The backend's refusal is reported, but the event is gone all the same (DEL-6).
    /// A finalizing event is left alone (DEL-5).
    pub(crate) fn del(&mut self, token: Token) -> io::Result<()> {
        let Some(index) = self.records.find(token) else {
            return Ok(());
        };
        if self.records[index].is(FINALIZING) {
            return Ok(());
        }
        self.cancel(index)
    }

    /// Clears all that `del` clears.
    fn cancel(&mut self, index: u32) -> io::Result<()> {
        self.clear_deadline(index);
        let record = &mut self.records[index];
        // Better than PER-10: the interval is forgotten.
        record.interval = 0;
        record.queue = None;
        self.deactivate(index);
        self.remove(index)
    }

    /// Registers an event for its descriptor or signal.
    pub(crate) fn insert(&mut self, index: u32) -> io::Result<()> {
        let record = &self.records[index];
        let number = record.number;
        if record.is_signal() {
            self.insert_signal(index, number)?;
        } else if number >= 0 {
            self.insert_fd(index, number)?;
        }
        // A negative descriptor is pending all the same, but only time or hand can make it active (ADD-15).
        self.records[index].state |= INSERTED;
        self.pending += 1;
        Ok(())
    }

    /// Takes an event off its descriptor or signal.
    pub(crate) fn remove(&mut self, index: u32) -> io::Result<()> {
        let record = &mut self.records[index];
        if !record.is(INSERTED) {
            return Ok(());
        }
        record.state &= !INSERTED;
        self.pending -= 1;
        let number = record.number;
        if record.is_signal() {
            return self.remove_signal(index, number);
        }
        if number >= 0 {
            return self.remove_fd(index, number);
        }
        Ok(())
    }

    fn insert_fd(&mut self, index: u32, fd: RawFd) -> io::Result<()> {
        self.guard.forgive(fd);
        let interest = self.records[index].interest;
        let edge = interest.intersects(Flags::ET);
        if let Owner::Lane(_) = self.fds.entry(fd)?.owner {
            // It may have been dropped on another thread, and the number be ours since.
            self.read_mail();
        }
        let entry = self.fds.entry(fd)?;
        match entry.owner {
            Owner::Lane(_) => return Err(taken(fd, "an async source of this base")),
            Owner::Events if entry.edge != edge => {
                return Err(taken(
                    fd,
                    "events of the other trigger mode (edge and level do not mix on one descriptor)",
                ));
            }
            Owner::Events | Owner::Nobody => {}
        }
        let mut next = *entry;
        next.count(interest).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::QuotaExceeded,
                format!("descriptor {fd} has 65,535 events of a kind already: delete some, or share them"),
            )
        })?;
        next.edge = edge;
        if next.token == 0 {
            next.renew_token(fd);
        }
        // Told also of what it watches already: the number may have been closed and be another file's by now, which the backend finds
        // out only when it is asked (better than FD-9).
        let wanted = next.wanted();
        self.backend
            .change(fd, next.token, next.registered, wanted)
            .map_err(|error| refused(error, fd))?;
        next.registered = wanted;
        next.owner = Owner::Events;
        let sibling = std::mem::replace(&mut next.head, index);
        *entry = next;
        self.records[index].sibling = sibling;
        Ok(())
    }

    fn remove_fd(&mut self, index: u32, fd: RawFd) -> io::Result<()> {
        self.guard.forgive(fd);
        let interest = self.records[index].interest;
        let sibling = self.records[index].sibling;
        let Some(entry) = self.fds.get_mut(fd) else {
            return Ok(());
        };
        if entry.owner != Owner::Events {
            return Ok(());
        }
        if entry.head == index {
            entry.head = sibling;
        } else {
            let mut at = entry.head;
            while at != NIL && self.records[at].sibling != index {
                at = self.records[at].sibling;
            }
            if at != NIL {
                self.records[at].sibling = sibling;
            }
        }
        entry.uncount(interest);
        let wanted = entry.wanted();
        let mut result = Ok(());
        if wanted != entry.registered {
            result = self
                .backend
                .change(fd, entry.token, entry.registered, wanted)
                .map_err(|error| refused(error, fd));
            entry.registered = if result.is_ok() {
                wanted
            } else {
                Interest::NONE
            };
        }
        if entry.head == NIL {
            entry.owner = Owner::Nobody;
            entry.renew_token(fd);
        }
        result
    }

    fn insert_signal(&mut self, index: u32, signal: i32) -> io::Result<()> {
        if self.signals.is_none() {
            self.signals = Some(Signals::open(self.backend.as_mut())?);
        }
        let signals = self.signals.as_mut().expect("made above");
        self.records[index].sibling = signals.insert(signal, index)?;
        Ok(())
    }

    fn remove_signal(&mut self, index: u32, signal: i32) -> io::Result<()> {
        match &mut self.signals {
            Some(signals) => signals.remove(signal, index, &mut self.records),
            None => Ok(()),
        }
    }

    /// Makes an event active, or merges `what` into an activation that has not run yet (ACT-1, ACT-2).
    pub(crate) fn activate(&mut self, index: u32, what: Flags) {
        let record = &mut self.records[index];
        if record.is(FINALIZING | ACTIVE | LATER) {
            return self.activate_again(index, what);
        }
        record.what = what;
        let priority = record.priority;
        self.active.push(index, &mut self.records);
        self.interrupt(priority);
    }

    #[cold]
    fn activate_again(&mut self, index: u32, what: Flags) {
        let record = &mut self.records[index];
        if record.is(FINALIZING) {
            return;
        }
        record.what |= what;
        if record.is(LATER) {
            let priority = record.priority;
            self.active.remove_later(index, &mut self.records);
            // Still one membership: it only changes queues.
            self.active.push(index, &mut self.records);
            self.interrupt(priority);
        }
    }

    /// As `activate`, for a signal event whose callback is to run `count` times; one that is active already keeps its count
    /// (ACT-4, ACT-5).
    pub(crate) fn activate_times(&mut self, index: u32, what: Flags, count: u32) {
        let record = &mut self.records[index];
        if record.is_signal() && !record.is(ACTIVE | LATER) {
            record.count = count;
        }
        self.activate(index, what);
    }

    /// Makes an event active in the next iteration, which does not sleep (ACT-19).
    pub(crate) fn activate_later(&mut self, index: u32, what: Flags) {
        let record = &mut self.records[index];
        if record.is(FINALIZING) {
            return;
        }
        if record.is(ACTIVE | LATER) {
            record.what |= what;
            return;
        }
        record.what = what;
        if record.is_signal() {
            record.count = 1;
        }
        self.active.push_later(index, &mut self.records);
    }

    /// Queues an event as a deferred entry: in this iteration while its budget lasts, else in the next (ACT-20). Says whether it
    /// was newly queued (ACT-21). A deferred entry never interrupts a less urgent level (ACT-23).
    pub(crate) fn defer(&mut self, index: u32) -> bool {
        if self.records[index].is(ACTIVE | LATER | FINALIZING) {
            return false;
        }
        if self.deferred >= DEFERRED_PER_ITERATION {
            self.activate_later(index, Flags::NONE);
        } else {
            self.deferred += 1;
            let halted = self.pass.halted;
            self.activate(index, Flags::NONE);
            self.pass.halted = halted;
        }
        true
    }

    /// Takes an event out of the active or later queue.
    pub(crate) fn deactivate(&mut self, index: u32) {
        let record = &self.records[index];
        if record.is(ACTIVE) {
            self.active.remove(index, &mut self.records);
        } else if record.is(LATER) {
            self.active.remove_later(index, &mut self.records);
        } else {
            return;
        }
        self.records[index].what = Flags::NONE;
    }

    /// Cancels everything and queues the finalizer (FIN-1). Says whether it was newly asked for.
    pub(crate) fn finalize(&mut self, token: Token) -> bool {
        let Some(index) = self.records.find(token) else {
            return false;
        };
        if self.records[index].is(FINALIZING) {
            return false;
        }
        // A refused removal concerns a descriptor that nobody will watch any more.
        let _ = self.cancel(index);
        self.activate(index, Flags::FINALIZE);
        self.records[index].state |= FINALIZING;
        true
    }

    /// Gives back the record of an event whose finalizer runs now, or whose base ends.
    pub(crate) fn release_finalized(&mut self, token: Token) {
        if let Some(index) = self.records.find(token) {
            self.deactivate(index);
            self.records[index].state &= !FINALIZING;
            self.release_if_idle(token);
        }
    }

    /// Delivers a backend's report to the events of a descriptor (FLG-3, FD-3, FD-4).
    #[inline(always)]
    pub(crate) fn report_fd(&mut self, token: u64, ready: Ready) {
        let Some(entry) = self.fds.named(token) else {
            return;
        };
        if entry.token != token {
            return;
        }
        let first = entry.head;
        // By far the most frequent: one event that wants to read, level-triggered, not active yet.
        if ready == Ready::READ {
            if let Some(record) = self.records.get_mut(first) {
                if record.sibling == NIL && record.is_idle_reader() {
                    record.what = Flags::READ;
                    self.active.push_record(first, record);
                    return;
                }
            }
        }
        self.report_fd_other(token as u32 as RawFd, ready);
    }

    #[inline(never)]
    fn report_fd_other(&mut self, fd: RawFd, ready: Ready) {
        let Some(entry) = self.fds.get_mut(fd) else {
            return;
        };
        if entry.owner != Owner::Events {
            return;
        }
        if ready.intersects(Ready::HANGUP | Ready::INVALID) {
            return self.report_fd_end(fd, ready);
        }
        let first = entry.head;
        self.report_fd_each(first, ready);
    }

    fn report_fd_each(&mut self, first: u32, ready: Ready) {
        let mut at = first;
        while at != NIL {
            let record = &self.records[at];
            let next = record.sibling;
            let mine = Flags::from_ready(ready) & record.interest;
            if !mine.is_empty() {
                let mine = if record.interest.intersects(Flags::ET) {
                    self.with_edge(mine)
                } else {
                    mine
                };
                self.activate(at, mine);
            }
            at = next;
        }
    }

    /// ET comes back only where the backend reports edges (FLG-5).
    #[cold]
    fn with_edge(&self, what: Flags) -> Flags {
        if self.edges { what | Flags::ET } else { what }
    }

    /// Delivers an error, a hang-up, or that the descriptor is closed.
    #[cold]
    #[inline(never)]
    fn report_fd_end(&mut self, fd: RawFd, ready: Ready) {
        let Some(entry) = self.fds.get_mut(fd) else {
            return;
        };
        if ready.contains(Ready::INVALID) {
            // The descriptor was closed behind our back. The backend has dropped it: said once, not in every wait.
            entry.registered = Interest::NONE;
        }
        let mut at = entry.head;
        while at != NIL {
            let record = &self.records[at];
            let next = record.sibling;
            let mut mine = Flags::from_ready(ready) & record.interest;
            if mine.is_empty() && ready.intersects(Ready::HANGUP | Ready::INVALID) {
                // An event that waits for CLOSED alone hears of errors as that: else the wait would end at once for ever (EP-7),
                // or nobody would hear of a refusal.
                mine = Flags::CLOSED & record.interest;
            }
            if !mine.is_empty() {
                let mine = if record.interest.intersects(Flags::ET) {
                    self.with_edge(mine)
                } else {
                    mine
                };
                self.activate(at, mine);
            }
            at = next;
        }
    }

    /// Activates the events of a descriptor by hand (INT-13, INT-14).
    pub(crate) fn activate_fd(&mut self, fd: RawFd, what: Flags) {
        if what.intersects(Flags::TIMEOUT) {
            let timed: Vec<u32> = self
                .records
                .iter()
                .filter(|(_, r)| r.number == fd && r.deadline.is_armed() && !r.is_signal())
                .map(|(i, _)| i)
                .collect();
            for index in timed {
                self.activate(index, Flags::TIMEOUT);
            }
            return;
        }
        let Some(entry) = self.fds.get(fd) else {
            return;
        };
        let mut at = if entry.owner == Owner::Events {
            entry.head
        } else {
            NIL
        };
        while at != NIL {
            let record = &self.records[at];
            let next = record.sibling;
            let mine = what & record.interest & Flags::DESCRIPTOR;
            if !mine.is_empty() {
                self.activate(at, mine);
            }
            at = next;
        }
    }

    /// Activates the events of a signal that has come `count` times. Better than SIG-8: where an event has not run yet for those that
    /// came before, these are added.
    pub(crate) fn signal_arrived(&mut self, signal: i32, count: u32) {
        let mut at = self
            .signals
            .as_ref()
            .map_or(NIL, |signals| signals.head(signal));
        while at != NIL {
            let record = &mut self.records[at];
            let next = record.sibling;
            if record.is(ACTIVE | LATER) {
                record.count = record.count.saturating_add(count);
            }
            self.activate_times(at, Flags::SIGNAL, count);
            at = next;
        }
    }

    /// Activates the events of a signal by hand (INT-15).
    pub(crate) fn activate_signal(&mut self, signal: i32, count: u32) {
        let mut at = self
            .signals
            .as_ref()
            .map_or(NIL, |signals| signals.head(signal));
        while at != NIL {
            let next = self.records[at].sibling;
            self.activate_times(at, Flags::SIGNAL, count);
            at = next;
        }
    }
}

fn stale() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the event is no longer registered")
}

fn taken(fd: RawFd, by: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("descriptor {fd} is already watched by {by}: duplicate it, or delete that first"),
    )
}

/// Adds the descriptor, and what to do, to an error of the backend.
pub(crate) fn refused(error: io::Error, fd: RawFd) -> io::Error {
    let kind = error.kind();
    match error.raw_os_error() {
        // EBADF on every platform.
        Some(9) => io::Error::new(
            kind,
            format!("descriptor {fd} is closed: keep it open as long as it is watched ({error})"),
        ),
        _ => io::Error::new(kind, format!("descriptor {fd}: {error}")),
    }
}

//! The wait and what follows from it: reports, mail, expired deadlines, signals.

use std::io;
use std::mem;
use std::time::Duration;

use super::alarms::Alarms;
use super::deadlines::{Deadline, Due, Owner, Owners};
use super::record::{ACTIVE, INSERTED, LATER, Records};
use super::{Engine, Kind, SIGNALS, is_kind};
use crate::backend::Report;
use crate::current;
use crate::event::Flags;
use crate::flags::Ready;
use crate::shared::Message;
use crate::sys::bell::Bell;
use crate::sys::fork;

/// How long the backend may wait: not at all, for nanoseconds, or without limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sleep {
    No,
    For(u64),
    Forever,
}

/// The list of due deadlines does not keep memory for more than this.
const MANY_DUE: usize = 4096;

impl Engine {
    /// Chooses the wait (LOOP-1, step 3): none if there is anything to do, else until the earliest deadline. The clock is read
    /// afresh, so that callbacks that took long do not make the wait too long (better than TIME-6).
    #[inline]
    pub(crate) fn choose_wait(&mut self, most: Sleep) -> Sleep {
        if most == Sleep::No {
            return most;
        }
        self.choose_sleep(most)
    }

    fn choose_sleep(&mut self, most: Sleep) -> Sleep {
        if self.mail || self.queued() > 0 || !self.woken.is_empty() {
            return Sleep::No;
        }
        let Some(earliest) = self.earliest() else {
            return most;
        };
        let left = earliest.saturating_sub(self.clock.now());
        match most {
            _ if left == 0 => Sleep::No,
            _ if self.clock.is_manual() => self.choose_jump(earliest, most),
            Sleep::For(most) => Sleep::For(left.min(most)),
            _ => Sleep::For(left),
        }
    }

    /// The wait by a clock that moves only when it is told, or when there is nothing else to do.
    #[cold]
    fn choose_jump(&mut self, earliest: u64, most: Sleep) -> Sleep {
        let Some(grace) = self.clock.jumps() else {
            return Sleep::No;
        };
        // Somebody who turns the loop for a while in real time is not to find hours gone.
        if most == Sleep::Forever {
            self.jump = Some(earliest);
        }
        match (grace, most) {
            (0, _) => Sleep::No,
            (grace, Sleep::For(most)) => Sleep::For(grace.min(most)),
            (grace, _) => Sleep::For(grace),
        }
    }

    /// Makes the clock jump, if the wait that was chosen for it has brought nothing.
    #[cold]
    fn jump(&mut self, deadline: u64) {
        let is_quiet = !self.mail
            && !self.signalled
            && self.woken.is_empty()
            && self.queued() == 0
            // What the mail has changed: another deadline may be the earliest now.
            && self.earliest() == Some(deadline);
        if is_quiet {
            self.clock.jump(deadline);
            self.cached = None;
        }
    }

    /// Waits in the backend and takes in what it reports (LOOP-1, steps 7 to 9).
    pub(crate) fn wait(&mut self, sleep: Sleep) -> io::Result<()> {
        self.cached = None;
        if self.forks != fork::count() {
            return Err(fork::stale());
        }
        // Law 1: a message posted before this point makes the wait not happen; one posted after it rings the bell.
        let asleep = sleep != Sleep::No && self.shared.doze.begin();
        let wait = match sleep {
            Sleep::Forever if asleep => None,
            Sleep::For(wait) if asleep => Some(Duration::from_nanos(wait)),
            _ => Some(Duration::ZERO),
        };
        let mut batch = self.batch.take().unwrap_or_default();
        let result = if asleep && !self.busy.is_off() {
            self.busy.wait(&mut *self.backend, wait, &mut batch)
        } else {
            self.backend.wait(wait, &mut batch)
        };
        let notified = self.shared.doze.end();
        self.turn = current::next_turn();
        for report in batch.kernel() {
            // The constant makes one path of the many below.
            if report.ready == Ready::READ {
                self.deliver(report.token, Ready::READ);
            } else {
                self.deliver_other(report);
            }
        }
        if !batch.reports.is_empty() {
            self.deliver_mapped(&batch.reports);
        }
        if self.guard.is_looking() {
            self.look_for_spin(&batch);
        }
        self.batch = Some(batch);
        if notified {
            // Somebody has something to say, and may not have said it to the engine.
            self.jump = None;
            self.read_mail();
        }
        // Nobody asks for the time of an iteration in which only futures are woken: they have clocks of their own.
        if self.caching && (self.active.len() > 0 || !self.deadlines.is_empty() || self.signalled) {
            self.cached = Some(self.clock.now());
        }
        result
    }

    #[inline(never)]
    fn deliver_other(&mut self, report: Report) {
        self.deliver(report.token, report.ready);
    }

    #[inline(always)]
    fn deliver(&mut self, token: u64, ready: Ready) {
        if is_kind(token, Kind::Lane) {
            self.report_lane(token, ready);
        } else if token > SIGNALS {
            self.report_fd(token, ready);
        } else if token == SIGNALS {
            self.signalled = true;
        } else if Bell::NEEDS_DRAIN || !self.edges {
            // With edges nobody ever reads an eventfd's counter; without them it would stay ready (THR-10).
            self.shared.bell.drain();
        }
    }

    #[inline(never)]
    fn deliver_mapped(&mut self, reports: &[Report]) {
        for report in reports {
            self.deliver(report.token, report.ready);
        }
    }

    /// Handles what other threads have posted to the engine. Closures stay in the mailbox: they are the driver's.
    pub(crate) fn read_mail(&mut self) {
        // A message that asks for this is itself read in order: all that it depends on came before it, and what came after must
        // not overtake it.
        if mem::replace(&mut self.reading, true) {
            return;
        }
        let (messages, has_closures) = self.shared.take_messages();
        self.mail |= has_closures;
        for message in messages {
            self.handle(message);
        }
        self.reading = false;
    }

    /// Does what one message asks. Runs no foreign code: the waker in it is moved, or left to be dropped.
    pub(crate) fn handle(&mut self, message: Message) {
        match message {
            Message::Arm(arm) => self.arm_from_away(arm),
            Message::Rank { fd, key, priority } => {
                if let Some(index) = self.lane_find(fd, key) {
                    self.lane_rank(index, priority);
                }
            }
            Message::Cancel { fd, key, waiter } => {
                if let Some(index) = self.lane_find(fd, key) {
                    let waker = self.lane_cancel(index, waiter);
                    self.discarded.extend(waker);
                }
            }
            Message::Forget { index, fd, key } => self.forget_from_away(index, fd, key),
            Message::Alarm {
                key,
                deadline,
                waker,
            } => {
                let deadline = self.clock.at(deadline);
                self.alarm_posted(key, deadline, waker);
            }
            Message::AlarmReset {
                index,
                key,
                deadline,
            } => {
                let deadline = self.clock.at(deadline);
                self.alarm_reset(index, key, deadline);
            }
            Message::AlarmForget { index, key } => {
                let waker = self.alarm_remove(index, key);
                self.discarded.extend(waker);
            }
            Message::Break => self.halt(),
            Message::Continue => self.restart(),
        }
    }

    /// Is there something to be done for which nothing may be borrowed?
    #[inline]
    pub(crate) fn has_chores(&self) -> bool {
        self.mail || !self.woken.is_empty() || !self.discarded.is_empty()
    }

    /// Activates what is due (LOOP-1, step 11): all deadlines that have passed, once, in order, then the signals that arrived,
    /// which queue behind what is already active (LOOP-16).
    #[inline]
    pub(crate) fn expire(&mut self) {
        if !self.deadlines.is_empty() {
            self.expire_deadlines();
        }
        if mem::take(&mut self.signalled) {
            self.take_signals();
        }
    }

    #[inline(never)]
    fn expire_deadlines(&mut self) {
        if let Some(deadline) = self.jump.take() {
            self.jump(deadline);
        }
        let now = self.now();
        let mut due = self.take_due(now);
        self.expired |= !due.is_empty();
        for due in due.drain(..) {
            let owner = due.owner();
            if owner.is_alarm() {
                self.alarm_fire(owner.index());
            } else {
                self.expire_event(owner.index());
            }
        }
        due.shrink_to(MANY_DUE);
        self.due = due;
    }

    #[cold]
    fn take_signals(&mut self) {
        let arrived: Option<Vec<(i32, u32)>> = self
            .signals
            .as_ref()
            .map(|signals| signals.collect().collect());
        for (signal, count) in arrived.into_iter().flatten() {
            self.signal_arrived(signal, count);
        }
    }

    /// The earliest deadline.
    pub(crate) fn earliest(&mut self) -> Option<u64> {
        self.deadlines.earliest(&mut Timed {
            records: &mut self.records,
            alarms: &mut self.alarms,
        })
    }

    /// Who is due, in order.
    #[inline]
    fn take_due(&mut self, now: u64) -> Vec<Due> {
        let mut due = mem::take(&mut self.due);
        let timed = &mut Timed {
            records: &mut self.records,
            alarms: &mut self.alarms,
        };
        self.deadlines.take_due(now, timed, &mut due);
        due
    }

    /// An event's deadline has passed and is not armed any more (PER-6, PER-7, PER-9, PER-13).
    #[inline]
    fn expire_event(&mut self, index: u32) {
        self.pending -= 1;
        let record = &mut self.records[index];
        let rearms = record.is_persistent() && record.interval > 0 && !record.is_signal();
        if !rearms && !record.is(ACTIVE | LATER) && record.is(INSERTED) {
            // Refused only for a descriptor that is closed; the event is over either way.
            let _ = self.remove(index);
        }
        self.activate(index, Flags::TIMEOUT);
    }

    /// Makes the next iteration's entries active and starts its budget of deferred ones (LOOP-1, step 5).
    #[inline]
    pub(crate) fn promote(&mut self) {
        self.deferred = 0;
        if self.active.later_len() > 0 {
            self.deferred = u32::try_from(self.active.later_len()).unwrap_or(u32::MAX);
            self.active.promote(&mut self.records);
        }
    }
}

/// Those that have deadlines.
struct Timed<'a> {
    records: &'a mut Records,
    alarms: &'a mut Alarms,
}

impl Owners for Timed<'_> {
    #[inline]
    fn deadline(&mut self, owner: Owner) -> &mut Deadline {
        if owner.is_alarm() {
            self.alarms.deadline(owner.index())
        } else {
            &mut self.records[owner.index()].deadline
        }
    }
}

//! One pass: the callbacks of one priority level, pulled one by one.
//!
//! `begin` chooses the most urgent level that has something; `next` hands out its entries until the level is empty, or a rule
//! ends the pass early: break, continue, a more urgent activation (ACT-11), or a dispatch limit (LOOP-20 to LOOP-24).
//! The queue is live: entries that become active at this level during the pass run in it (ACT-7).

use super::Engine;
use super::record::{ACTIVE, FINALIZING, INSERTED, Token};
use crate::event::Flags;

/// An entry whose callback is to run now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) token: Token,
    pub(crate) what: Flags,
    /// How many times the callback runs: 1, or a signal's count.
    pub(crate) count: u32,
    /// The record is gone: the event is idle while its callback runs.
    pub(crate) released: bool,
}

/// The state of the pass under way.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    running: bool,
    level: u8,
    /// Callbacks handed out so far.
    handed: u32,
    /// The pass ends before the next callback: break, continue, or something more urgent became active.
    pub(crate) halted: bool,
    /// When the time limit, if any, ends the pass.
    until: Option<u64>,
    /// Is this level limited (LOOP-22)?
    limited: bool,
}

impl Pass {
    /// Notes that an event of this priority became active.
    #[inline]
    pub(crate) fn interrupt(&mut self, priority: u8) {
        self.halted |= self.running && priority < self.level;
    }
}

impl Engine {
    /// Begins a pass over the most urgent level. False if nothing is active.
    pub(crate) fn begin_pass(&mut self) -> bool {
        let Some(level) = self.active.most_urgent() else {
            return false;
        };
        let limited = level >= self.limits.min_priority
            && (self.limits.interval.is_some() || self.limits.callbacks.is_some());
        let until = match self.limits.interval {
            Some(interval) if limited => {
                // LOOP-25: with a time limit the cached time is refreshed when processing starts.
                let now = self.clock.now();
                self.refresh_cache(now);
                Some(now.saturating_add(interval))
            }
            _ => None,
        };
        self.pass = Pass {
            running: true,
            level,
            handed: 0,
            halted: self.stop || self.again,
            until,
            limited,
        };
        true
    }

    /// The next entry of the pass, or `None` when the pass is over.
    #[inline]
    pub(crate) fn next_entry(&mut self) -> Option<Entry> {
        if self.pass.halted || (self.pass.limited && self.limit_reached()) {
            return self.end_pass();
        }
        let Some(index) = self.active.pop(self.pass.level) else {
            return self.end_pass();
        };
        self.pass.handed += 1;
        Some(self.take(index))
    }

    /// Ends the loop after the callback that is running.
    pub(crate) fn halt(&mut self) {
        self.stop = true;
        self.pass.halted = true;
    }

    /// Begins a new iteration after the callback that is running.
    pub(crate) fn restart(&mut self) {
        self.again = true;
        self.pass.halted = true;
    }

    fn end_pass(&mut self) -> Option<Entry> {
        self.pass.running = false;
        None
    }

    /// Has a limit ended the pass? Every pass runs at least one callback (LOOP-23).
    fn limit_reached(&mut self) -> bool {
        if self.pass.handed == 0 {
            return false;
        }
        if let Some(until) = self.pass.until {
            let now = self.clock.now();
            self.refresh_cache(now);
            if now >= until {
                return true;
            }
        }
        self.limits
            .callbacks
            .is_some_and(|most| self.pass.handed >= most.max(1))
    }

    pub(crate) fn refresh_cache(&mut self, now: u64) {
        if self.caching && self.cached.is_some() {
            self.cached = Some(now);
        }
    }

    /// Takes an entry out of its queue and brings the event into the state that its callback shall see: a persistent event
    /// re-armed (PER-1), any other not pending (EV-17).
    #[inline]
    fn take(&mut self, index: u32) -> Entry {
        self.added.down();
        self.queued.down();
        let record = &mut self.records[index];
        record.state &= !ACTIVE;
        let token = Token {
            index,
            generation: record.generation,
        };
        let what = std::mem::replace(&mut record.what, Flags::NONE);
        let mut entry = Entry {
            token,
            what,
            count: record.count,
            released: false,
        };
        if record.is_persistent() && record.interval == 0 && record.is(INSERTED) {
            // The common case: stays as it is.
        } else if record.is(FINALIZING) {
            // Stays unusable until the owner lets go of it (FIN-9).
        } else if record.is_persistent() && record.interval > 0 {
            self.rearm(index, what);
        } else {
            if !record.is_persistent() && (record.is(INSERTED) || record.deadline.is_some()) {
                // The backend's refusal to remove concerns a descriptor that was closed meanwhile; the event is gone anyway.
                let _ = self.del(token);
            }
            // A persistent one is idle now if it was only activated by hand, or timed out without an interval (PER-14, PER-6).
            entry.released = self.release_if_idle(token);
        }
        entry
    }

    /// The next deadline of a persistent event (PER-2 to PER-5, PER-11).
    fn rearm(&mut self, index: u32, what: Flags) {
        let now = self.now();
        let record = &self.records[index];
        let next = if what.intersects(Flags::TIMEOUT) {
            let basis = match record.deadline {
                Some(id) => self.deadlines.deadline(id),
                None => record.expired,
            };
            let next = basis.saturating_add(record.interval);
            // Missed periods are dropped: no burst.
            if next < now {
                now.saturating_add(record.interval)
            } else {
                next
            }
        } else {
            now.saturating_add(record.interval)
        };
        self.set_deadline(index, next);
    }
}

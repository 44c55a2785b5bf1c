//! One pass: the callbacks of one priority level, pulled one by one.
//!
//! `begin` chooses the most urgent level that has something; `next` hands out its entries until the level is empty, or a rule
//! ends the pass early: break, continue, a more urgent activation (ACT-11), or a dispatch limit (LOOP-20 to LOOP-24).
//! The queue is live: entries that become active at this level during the pass run in it (ACT-7).

use std::mem;

use super::Engine;
use super::record::{ACTIVE, FINALIZING, INSERTED, NIL, Token};
use crate::event::Flags;

/// An entry whose callback is to run now, packed into one word so that it comes out of the engine in a register.
///
/// It names its record by the index alone: the record is the event's until the callback runs, or was released by this very entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u64);

/// The record is gone: the event is idle while its callback runs.
const RELEASED: u64 = 1 << 8;
/// The callback does not run once: [`Pass::count`] says how often.
const REPEATED: u64 = 1 << 9;

impl Entry {
    /// The pass is over.
    pub(crate) const NONE: Entry = Entry(u64::MAX);

    /// `more`: [`RELEASED`], [`REPEATED`].
    #[inline]
    fn new(index: u32, what: Flags, more: u64) -> Entry {
        Entry(u64::from(index) << 32 | u64::from(what.bits()) | more)
    }

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self == Entry::NONE
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) fn what(self) -> Flags {
        Flags::from_bits(self.0 as u8)
    }

    /// Is there nothing more to it than to call the callback once?
    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        self.0 & (RELEASED | REPEATED | u64::from(Flags::FINALIZE.bits())) == 0
    }

    #[inline]
    pub(crate) fn is_released(self) -> bool {
        self.0 & RELEASED != 0
    }

    #[inline]
    pub(crate) fn is_repeated(self) -> bool {
        self.0 & REPEATED != 0
    }
}

/// With more active entries than this, some are not in the cache any more when their turn comes.
const MANY: usize = 16;
/// How many entries are looked at ahead: about as many misses as a cpu has under way at a time.
pub(crate) const UPCOMING: usize = 16;

/// The state of the pass under way.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    running: bool,
    level: u8,
    /// Callbacks handed out so far, if the level is limited.
    handed: u32,
    /// The pass ends before the next callback: break, continue, or something more urgent became active.
    pub(crate) halted: bool,
    /// When the time limit, if any, ends the pass.
    until: Option<u64>,
    /// Is this level limited (LOOP-22)?
    limited: bool,
    /// How often the callback of the last entry runs, if that was [`REPEATED`].
    pub(crate) count: u32,
}

impl Pass {
    /// Is there something to be asked before each callback?
    fn is_special(&self) -> bool {
        self.halted || self.limited || self.level != 0
    }
}

impl Engine {
    /// Notes that an event of this priority became active.
    #[inline]
    pub(crate) fn interrupt(&mut self, priority: u8) {
        if self.pass.running && priority < self.pass.level {
            self.halt_pass();
        }
    }

    /// Ends the pass before the next callback.
    fn halt_pass(&mut self) {
        self.pass.halted = true;
        self.shared.attention.call();
    }

    /// Begins a pass over the most urgent level. False if nothing is active.
    pub(crate) fn begin_pass(&mut self) -> bool {
        let Some(mut level) = self.active.most_urgent() else {
            return false;
        };
        if self.limits.aging > 0 {
            level = self.active.aged(level, self.limits.aging);
        }
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
        let halted = self.stop || self.again;
        self.pass = Pass {
            running: true,
            level,
            handed: 0,
            halted,
            until,
            limited,
            count: 0,
        };
        if self.pass.is_special() || self.guard.is_checking {
            self.shared.attention.call();
        }
        true
    }

    /// The next entry of the pass, or [`Entry::NONE`] when the pass is over.
    #[inline(always)]
    pub(crate) fn next_entry(&mut self) -> Entry {
        let next = if self.shared.attention.is_called() {
            self.next_index()
        } else {
            self.active.pop_first()
        };
        match next {
            Some(index) => self.take(index),
            None => self.end_pass(),
        }
    }

    /// Are the entries that wait in the pass worth to be looked at ahead? Those whose time has come have rested longer than those
    /// whose descriptors are busy.
    #[inline]
    pub(crate) fn has_many(&mut self) -> bool {
        let some = if mem::take(&mut self.expired) {
            2
        } else {
            MANY
        };
        self.active.len() > some
    }

    /// The records of the next entries; [`NIL`](super::record::NIL) where there is none.
    pub(crate) fn upcoming(&self) -> [u32; UPCOMING] {
        let next = self.active.upcoming(self.pass.level);
        let mut sum = 0;
        for &index in next.iter().filter(|&&index| index != NIL) {
            sum += u32::from(self.records[index].state);
        }
        std::hint::black_box(sum);
        next
    }

    #[inline(never)]
    fn next_index(&mut self) -> Option<u32> {
        let is_checking = self.guard.is_checking;
        if !is_checking && !self.pass.is_special() {
            // Answered before anything is looked at: what calls from now on is heard before the next callback.
            self.shared.attention.answer();
        }
        if self.shared.doze.end() {
            // Another thread may have told the loop to break (EXIT-13).
            self.read_mail();
        }
        if is_checking {
            self.note_after();
        }
        if self.is_over() {
            return None;
        }
        let index = self.active.pop(self.pass.level)?;
        if is_checking {
            self.note_before(index);
        }
        Some(index)
    }

    /// Ends the loop after the callback that is running.
    pub(crate) fn halt(&mut self) {
        self.stop = true;
        self.halt_pass();
    }

    /// Begins a new iteration after the callback that is running.
    pub(crate) fn restart(&mut self) {
        self.again = true;
        self.halt_pass();
    }

    #[cold]
    fn end_pass(&mut self) -> Entry {
        self.pass.running = false;
        Entry::NONE
    }

    fn is_over(&mut self) -> bool {
        let is_over = self.pass.halted || (self.pass.limited && self.limit_reached());
        self.pass.handed += u32::from(!is_over);
        is_over
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
    #[inline(always)]
    fn take(&mut self, index: u32) -> Entry {
        let record = &mut self.records[index];
        record.state &= !ACTIVE;
        // It stays where it is: the next activation writes over it.
        let what = record.what;
        if record.stays() {
            Entry::new(index, what, 0)
        } else {
            self.take_other(index, what)
        }
    }

    /// The rest of an entry that is not the common one.
    #[inline(never)]
    fn take_other(&mut self, index: u32, what: Flags) -> Entry {
        let record = &self.records[index];
        let token = Token {
            index,
            generation: record.generation,
        };
        self.pass.count = record.count;
        let repeated = if record.count == 1 { 0 } else { REPEATED };
        let released = if self.change(token, what) {
            RELEASED
        } else {
            0
        };
        Entry::new(index, what, repeated | released)
    }

    /// Brings an event that does not simply stay into its new state, and says whether its record is gone: that of a detached event
    /// that is idle now.
    fn change(&mut self, token: Token, what: Flags) -> bool {
        let record = &self.records[token.index];
        if record.is(FINALIZING) {
            // Stays unusable until the owner lets go of it (FIN-9).
            return false;
        }
        if record.is_persistent() && record.interval > 0 {
            self.rearm(token.index, what);
            return false;
        }
        if !record.is_persistent() && (record.is(INSERTED) || record.deadline.is_armed()) {
            // The backend's refusal to remove concerns a descriptor that was closed meanwhile; the event is gone anyway.
            let _ = self.del(token);
        }
        // A persistent one is idle now if it was only activated by hand, or timed out without an interval (PER-14, PER-6).
        self.release_if_detached(token)
    }

    /// The next deadline of a persistent event (PER-2 to PER-5, PER-11).
    fn rearm(&mut self, index: u32, what: Flags) {
        let now = self.now();
        let record = &self.records[index];
        let next = if what.intersects(Flags::TIMEOUT) {
            let next = record.deadline.at().saturating_add(record.interval);
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

//! One pass: the callbacks of one priority level, pulled one by one.
//!
//! `begin` chooses the most urgent level that has something; `next` hands out its entries until the level is empty, or a rule
//! ends the pass early: break, continue, a more urgent activation (ACT-11), or a dispatch limit (LOOP-20 to LOOP-24).
//! The queue is live: entries that become active at this level during the pass run in it (ACT-7).

use std::num::NonZeroU64;

use super::Engine;
use super::record::{ACTIVE, FINALIZING, INSERTED, Token};
use crate::event::Flags;

/// An entry whose callback is to run now, packed into two words so that it comes out of the engine in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Index below, generation above, plus one so that it is never zero.
    token: NonZeroU64,
    /// Flags, `RELEASED`, and in the upper half the count.
    detail: u64,
}

/// The record is gone: the event is idle while its callback runs.
const RELEASED: u64 = 1 << 8;

impl Entry {
    /// The pass is over.
    pub(crate) const NONE: Entry = Entry {
        token: NonZeroU64::MAX,
        detail: 0,
    };

    #[inline]
    fn new(token: Token, what: Flags, count: u32, released: bool) -> Entry {
        let packed = (u64::from(token.generation) << 32 | u64::from(token.index)).wrapping_add(1);
        Entry {
            // An index is never `u32::MAX`, so the sum is neither zero nor the maximum.
            token: NonZeroU64::new(packed).unwrap_or(NonZeroU64::MIN),
            detail: u64::from(what.bits())
                | if released { RELEASED } else { 0 }
                | u64::from(count) << 32,
        }
    }

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.token == NonZeroU64::MAX
    }

    #[inline]
    pub(crate) fn token(self) -> Token {
        let packed = self.token.get() - 1;
        Token {
            index: packed as u32,
            generation: (packed >> 32) as u32,
        }
    }

    #[inline]
    pub(crate) fn what(self) -> Flags {
        Flags::from_bits(self.detail as u8)
    }

    /// How many times the callback runs: 1, or a signal's count.
    #[inline]
    pub(crate) fn count(self) -> u32 {
        (self.detail >> 32) as u32
    }

    #[inline]
    pub(crate) fn is_released(self) -> bool {
        self.detail & RELEASED != 0
    }
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

    /// The next entry of the pass, or [`Entry::NONE`] when the pass is over.
    #[inline(always)]
    pub(crate) fn next_entry(&mut self) -> Entry {
        if self.pass.halted || (self.pass.limited && self.limit_reached()) {
            return self.end_pass();
        }
        let Some(index) = self.active.pop(self.pass.level) else {
            return self.end_pass();
        };
        self.pass.handed += 1;
        self.take(index)
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

    #[cold]
    fn end_pass(&mut self) -> Entry {
        self.pass.running = false;
        Entry::NONE
    }

    /// Has a limit ended the pass? Every pass runs at least one callback (LOOP-23).
    #[cold]
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
        let token = Token {
            index,
            generation: record.generation,
        };
        let what = std::mem::replace(&mut record.what, Flags::NONE);
        let count = record.count;
        // The common case, a persistent event without an interval, stays as it is.
        let stays = record.is_persistent()
            && record.interval == 0
            && record.state & (INSERTED | FINALIZING) == INSERTED;
        Entry::new(token, what, count, !stays && self.change(token, what))
    }

    /// Brings an event that does not simply stay into its new state, and says whether its record is gone.
    #[inline(never)]
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
        if !record.is_persistent() && (record.is(INSERTED) || record.deadline.is_some()) {
            // The backend's refusal to remove concerns a descriptor that was closed meanwhile; the event is gone anyway.
            let _ = self.del(token);
        }
        // A persistent one is idle now if it was only activated by hand, or timed out without an interval (PER-14, PER-6).
        self.release_if_idle(token)
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

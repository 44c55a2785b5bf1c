//! The run: what was the nearest segment, in order.
//!
//! It is only read from its end, where the earliest entry is, so taking that costs nothing. An entry whose owner has left stays as a
//! gap until it comes up.
//!
//! Invariants
//! 1. From the end to the beginning the keys never decrease, gaps included.
//! 2. The last entry is no gap.

use super::places::{Place, Places};
use super::{Entry, NOBODY, Owner};

/// Entries in order, the latest first.
#[derive(Debug, Default)]
pub(super) struct Run(Vec<Entry>);

impl Run {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many entries and gaps there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The earliest entry.
    #[inline]
    pub(super) fn first(&self) -> Option<Entry> {
        self.0.last().copied()
    }

    /// Takes the earliest entry out.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.0.pop();
        self.skip_gaps();
    }

    /// Replaces what there is, which must be nothing.
    pub(super) fn fill(&mut self, entries: Vec<Entry>, places: &mut Places) {
        debug_assert!(self.is_empty());
        self.0 = entries;
        // As `Entry::before` has it, around the wrap.
        let one = self.0.first().map_or(0, |entry| entry.sequence);
        let key = |entry: &Entry| (entry.at, entry.sequence.wrapping_sub(one) as i32);
        self.0
            .sort_unstable_by_key(|entry| std::cmp::Reverse(key(entry)));
        for (index, entry) in (0..).zip(&self.0) {
            places.set(entry.owner, Place::in_run(index));
        }
    }

    /// Takes out every entry whose time is not after `now`.
    pub(super) fn take_until(&mut self, now: u64, taken: &mut Vec<Entry>) {
        let due = self.0.iter().rev().take_while(|entry| entry.at <= now);
        let left = self.0.len() - due.count();
        let due = self.0.drain(left..).rev();
        taken.extend(due.filter(|entry| entry.owner != Owner(NOBODY)));
        self.skip_gaps();
    }

    /// Takes all entries out.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Entry> + use<> {
        let entries = std::mem::take(&mut self.0).into_iter();
        entries.filter(|entry| entry.owner != Owner(NOBODY))
    }

    /// The entry in a place.
    pub(super) fn entry(&self, index: u32) -> Entry {
        self.0[index as usize]
    }

    /// Takes the entry in a place out.
    pub(super) fn remove(&mut self, index: u32) {
        self.0[index as usize].owner = Owner(NOBODY);
        self.skip_gaps();
    }

    #[inline]
    fn skip_gaps(&mut self) {
        while self
            .0
            .last()
            .is_some_and(|last| last.owner == Owner(NOBODY))
        {
            self.0.pop();
        }
    }

    /// Panics unless the invariants of the page hold; returns how many entries there are, and the latest time.
    #[cfg(test)]
    pub(super) fn validate(&self, places: &Places) -> (usize, Option<u64>) {
        let is_gap = |entry: &Entry| entry.owner == Owner(NOBODY);
        assert!(self.first().is_none_or(|first| !is_gap(&first)));
        for pair in self.0.windows(2) {
            assert!(!pair[0].before(&pair[1]), "order of the run");
        }
        let mut len = 0;
        for (index, entry) in (0..).zip(&self.0).filter(|(_, entry)| !is_gap(entry)) {
            len += 1;
            if entry.owner.as_queue().is_none() {
                assert_eq!(places.get(entry.owner), Place::in_run(index));
            }
        }
        (len, self.0.first().map(|entry| entry.at))
    }
}

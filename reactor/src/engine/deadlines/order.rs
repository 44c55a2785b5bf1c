//! The order of entries: which is earliest.
//!
//! ```text
//! heap: what came since the run was made ─┐
//! run: the next few, sorted ──────────────┴▶ first        far: the others, in no order
//! ```
//!
//! A few thousand entries are all in the heap. Of more the heap would miss the cache on every level, so it hands most of them on to
//! the far part, which gives them back in sorted runs.
//!
//! Invariants
//! 1. Whatever is in the heap or the run is before the start of the far part.
//! 2. `places` says where each owner's entry is.

use super::Entry;
use super::far::Far;
use super::heap::Heap;
use super::places::{Place, Places};
use super::run::Run;

/// With more entries than this the heap gives the later ones away.
const MOST_IN_HEAP: usize = if cfg!(test) { 32 } else { 1 << 13 };

/// All entries but those in the queues of common timeouts.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) heap: Heap,
    pub(super) run: Run,
    pub(super) far: Far,
    /// With more entries than this the heap spills into the far part.
    spill_at: usize,
    pub(super) places: Places,
}

impl Order {
    pub(super) fn new() -> Order {
        Order {
            heap: Heap::new(),
            run: Run::default(),
            far: Far::default(),
            spill_at: MOST_IN_HEAP,
            places: Places::default(),
        }
    }

    /// The earliest entry.
    #[inline]
    pub(super) fn first(&mut self) -> Option<Entry> {
        if self.run.is_empty() {
            if self.far.is_empty() || self.heap.len() > 0 {
                return self.heap.first();
            }
            self.refill();
        }
        match (self.run.first(), self.heap.first()) {
            (Some(run), Some(heap)) if heap.before(&run) => Some(heap),
            (run, heap) => run.or(heap),
        }
    }

    /// Takes the earliest entry out, which is this one.
    pub(super) fn pop(&mut self, first: Entry) {
        if self.run.first() == Some(first) {
            self.run.pop();
        } else {
            self.heap.pop(&mut self.places);
        }
    }

    /// Replaces the earliest entry, which is `first`, by one with a later key.
    pub(super) fn replace(&mut self, first: Entry, entry: Entry) {
        if self.run.first() == Some(first) || self.far.accepts(entry.at) {
            self.pop(first);
            self.insert(entry);
        } else {
            self.heap.replace(entry, &mut self.places);
        }
    }

    /// Nothing is left before the far part: sorts what comes next.
    #[cold]
    #[inline(never)]
    fn refill(&mut self) {
        let entries = self.far.pop_few(&mut self.places);
        self.run.fill(entries, &mut self.places);
        self.spill_at = MOST_IN_HEAP.max(2 * self.run.len());
    }

    /// The heap is larger than it should be: gives all of it away but the nearest.
    #[cold]
    #[inline(never)]
    fn spill(&mut self) {
        let mut entries = self.heap.take_all();
        entries.extend(self.run.take_all());
        self.far.push(entries, &mut self.places);
        self.refill();
    }

    /// Adds an entry.
    #[inline]
    pub(super) fn insert(&mut self, entry: Entry) {
        if self.far.accepts(entry.at) {
            return self.far.insert(entry, &mut self.places);
        }
        self.heap.insert(entry, &mut self.places);
        if self.heap.len() > self.spill_at {
            self.spill();
        }
    }

    /// Gives an owner's entry this key if that is earlier.
    pub(super) fn advance(&mut self, entry: Entry) {
        let place = self.places.get(entry.owner);
        if place.list == Place::HEAP {
            self.heap.advance(place.index, entry, &mut self.places);
        } else if entry.before(&self.entry(place)) {
            self.remove(place);
            self.insert(entry);
        }
    }

    pub(super) fn remove(&mut self, place: Place) {
        match place.list {
            Place::HEAP => self.heap.remove(place.index, &mut self.places),
            Place::RUN => self.run.remove(place.index),
            _ => self.far.remove(place, &mut self.places),
        }
    }

    /// Takes out every entry whose time is not after `now`, in no order.
    pub(super) fn take_until(&mut self, now: u64, taken: &mut Vec<Entry>) {
        self.heap.take_until(now, taken, &mut self.places);
        loop {
            self.run.take_until(now, taken);
            if !self.run.is_empty() || !self.far.accepts(now) {
                return;
            }
            // Nothing is left in the heap either, which is all before the far part.
            if self.far.is_nearest_due(now) {
                taken.append(&mut self.far.pop());
            } else {
                self.refill();
            }
        }
    }

    /// The entry in a place.
    pub(super) fn entry(&self, place: Place) -> Entry {
        match place.list {
            Place::HEAP => self.heap.entry(place.index),
            Place::RUN => self.run.entry(place.index),
            _ => self.far.entry(place),
        }
    }

    /// Panics unless the invariants of this page and the three others hold; returns how many entries there are.
    #[cfg(test)]
    pub(super) fn validate(&self) -> usize {
        self.heap.validate(&self.places);
        let (run, latest) = self.run.validate(&self.places);
        let (far, start) = self.far.validate(&self.places);
        let latest = latest.max(self.heap.latest());
        assert!(latest.is_none_or(|latest| latest < start));
        self.heap.len() + run + far
    }
}

//! The far part of the store: entries whose order nobody needs to know yet.
//!
//! ```text
//! heap and run      nearest segment       …          farthest segment
//! ordered           in no order                      in no order
//! at < start ────── start ≤ at < next start ──────── start ≤ at
//! ```
//!
//! A heap of a million entries misses the cache on every level. So the heap keeps a few thousand of the nearest, and the others wait in
//! *segments* of time. A new entry is appended to the one that its time falls into. A segment that has become large is split into
//! parts by time, and the nearest is sorted into the run when nothing else is left before it. Each move reads memory in a row, and an
//! entry moves a few times in all: at most once for every six bits in which two deadlines differ.
//!
//! Nothing ticks, rounds or wraps: a segment's bounds are whatever the entries in it suggest.
//!
//! Invariants
//! 1. The starts of `order` decrease strictly; an entry is not before its segment's start, and before that of the next farther one.
//! 2. `places` has the segment and the index of each owner's entry; of a queue's it has none.

use super::Entry;
use super::places::{Place, Places};

/// A segment with more entries than this is split, which takes half a millisecond or so.
const MOST_IN_SEGMENT: usize = if cfg!(test) { 64 } else { 1 << 15 };
/// How many entries are sorted at a time, unless their times are all equal.
const MOST_SORTED: usize = if cfg!(test) { 8 } else { 1 << 11 };
/// Into how many parts a segment is split: two to the power of this.
const PART_BITS: u32 = 6;

/// A segment, by the number of its entries' list.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    list: u32,
}

/// The segments.
#[derive(Debug, Default)]
pub(super) struct Far {
    /// The nearest is the last.
    order: Vec<Segment>,
    lists: Vec<Vec<Entry>>,
    /// Lists that are in use by no segment: empty, and without memory.
    free: Vec<u32>,
}

impl Far {
    /// Is an entry of this time to be put here?
    #[inline]
    pub(super) fn accepts(&self, at: u64) -> bool {
        self.order.last().is_some_and(|nearest| at >= nearest.start)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Are all entries of the nearest segment due?
    pub(super) fn is_nearest_due(&self, now: u64) -> bool {
        match self.order[..] {
            [.., next, _] => next.start <= now.saturating_add(1),
            _ => false,
        }
    }

    /// The entry in a place.
    pub(super) fn entry(&self, place: Place) -> Entry {
        self.lists[place.list as usize][place.index as usize]
    }

    /// Adds an entry that is accepted.
    pub(super) fn insert(&mut self, entry: Entry, places: &mut Places) {
        let position = self
            .order
            .partition_point(|segment| segment.start > entry.at);
        let list = self.order[position].list;
        let entries = &mut self.lists[list as usize];
        if entries.len() == entries.capacity() {
            // By a half, not by doubling: this is most of the memory of a deadline.
            entries.reserve_exact(entries.len() / 2 + 64);
        }
        let index = entries.len() as u32;
        places.set(entry.owner, Place { list, index });
        entries.push(entry);
        // Entries of one time cannot be parted: then it is tried again when there are twice as many.
        if entries.len() > MOST_IN_SEGMENT && (entries.len() - 1).is_power_of_two() {
            self.split(position, places);
        }
    }

    /// Takes the entry in a place out.
    pub(super) fn remove(&mut self, place: Place, places: &mut Places) {
        let entries = &mut self.lists[place.list as usize];
        entries.swap_remove(place.index as usize);
        if let Some(moved) = entries.get(place.index as usize) {
            places.set(moved.owner, place);
        }
    }

    /// Adds a segment nearer than all there are.
    pub(super) fn push(&mut self, entries: Vec<Entry>, places: &mut Places) {
        let Some(start) = entries.iter().map(|entry| entry.at).min() else {
            return;
        };
        debug_assert!(!self.accepts(start));
        let list = self.new_list(entries);
        self.order.push(Segment { start, list });
        self.note_places(list, places);
    }

    /// Takes the nearest entries: few, unless their times are equal.
    pub(super) fn pop_few(&mut self, places: &mut Places) -> Vec<Entry> {
        while let Some(nearest) = self.order.last() {
            let is_large = self.lists[nearest.list as usize].len() > MOST_SORTED;
            if is_large && self.split(self.order.len() - 1, places) {
                continue;
            }
            let entries = self.pop();
            if !entries.is_empty() {
                return entries;
            }
        }
        Vec::new()
    }

    /// Takes the entries of the nearest segment.
    pub(super) fn pop(&mut self) -> Vec<Entry> {
        match self.order.pop() {
            Some(nearest) => {
                self.free.push(nearest.list);
                std::mem::take(&mut self.lists[nearest.list as usize])
            }
            None => Vec::new(),
        }
    }

    /// Splits a segment into parts of equal width. False if its entries have one time only.
    fn split(&mut self, position: usize, places: &mut Places) -> bool {
        let Segment { start, list } = self.order[position];
        let entries = &self.lists[list as usize];
        let (least, most) = entries.iter().fold((u64::MAX, 0), |(least, most), entry| {
            (entry.at.min(least), entry.at.max(most))
        });
        if least >= most {
            return false;
        }
        let shift = (u64::BITS - (most - least).leading_zeros()).saturating_sub(PART_BITS);
        let part_of = |entry: &Entry| ((entry.at - least) >> shift) as usize;
        let mut sizes = [0; 1 << PART_BITS];
        for entry in entries {
            sizes[part_of(entry)] += 1;
        }
        let entries = std::mem::take(&mut self.lists[list as usize]);
        self.free.push(list);
        let mut lists = [u32::MAX; 1 << PART_BITS];
        let mut segments = Vec::with_capacity(lists.len());
        for (part, &size) in sizes.iter().enumerate().filter(|(_, size)| **size > 0) {
            let list = self.new_list(Vec::with_capacity(size));
            lists[part] = list;
            // What lies before the first entry stays with the first part.
            let is_first = segments.is_empty();
            let start = if is_first {
                start
            } else {
                least + ((part as u64) << shift)
            };
            segments.push(Segment { start, list });
        }
        segments.reverse();
        self.order.splice(position..=position, segments);
        for entry in entries {
            let list = lists[part_of(&entry)];
            let part = &mut self.lists[list as usize];
            let index = part.len() as u32;
            part.push(entry);
            places.set(entry.owner, Place { list, index });
        }
        true
    }

    fn new_list(&mut self, entries: Vec<Entry>) -> u32 {
        match self.free.pop() {
            Some(list) => {
                self.lists[list as usize] = entries;
                list
            }
            None => {
                self.lists.push(entries);
                self.lists.len() as u32 - 1
            }
        }
    }

    fn note_places(&self, list: u32, places: &mut Places) {
        for (index, entry) in (0..).zip(&self.lists[list as usize]) {
            places.set(entry.owner, Place { list, index });
        }
    }

    /// Panics unless the invariants of the page hold; returns how many entries there are, and the least start.
    #[cfg(test)]
    pub(super) fn validate(&self, places: &Places) -> (usize, u64) {
        let (mut len, mut next) = (0, None);
        for segment in &self.order {
            assert!(
                next.is_none_or(|next| segment.start < next),
                "order of segments"
            );
            let entries = &self.lists[segment.list as usize];
            for (index, entry) in (0..).zip(entries) {
                assert!(entry.at >= segment.start && next.is_none_or(|next| entry.at < next));
                if entry.owner.as_queue().is_none() {
                    let list = segment.list;
                    assert_eq!(places.get(entry.owner), Place { list, index });
                }
            }
            len += entries.len();
            next = Some(segment.start);
        }
        assert_eq!(self.lists.len(), self.order.len() + self.free.len());
        (len, next.unwrap_or(u64::MAX))
    }
}

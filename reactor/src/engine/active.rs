//! The queues of active events: one first-in-first-out queue per priority, and the list of those for the next iteration.
//!
//! A queue is an array that is filled at its end and read from its head. An event knows its place in it, so that it leaves in
//! constant time when it is deleted before it ran (DEL-2): its place becomes a gap. A bit per priority finds the most urgent
//! level without looking at 255 queues.

use super::pass::UPCOMING;
use super::record::{ACTIVE, LATER, NIL, Record, Records};

#[derive(Clone, Debug, Default)]
struct Queue {
    /// Indexes of records; [`NIL`] where an event was taken out.
    places: Vec<u32>,
    /// The next place to read.
    head: usize,
    /// The number of the first place; grows when read places are cut off.
    base: u32,
    /// Gaps that are still to be read.
    gaps: usize,
}

/// Room in a queue that has none.
const FIRST_ROOM: usize = 64;

impl Queue {
    /// Events that are queued.
    #[inline]
    fn len(&self) -> usize {
        self.places.len() - self.head - self.gaps
    }

    #[inline(always)]
    fn push(&mut self, index: u32, record: &mut Record) {
        if self.places.len() == self.places.capacity() {
            self.make_room();
        }
        record.place = self.base.wrapping_add(self.places.len() as u32);
        self.places.push(index);
    }

    /// Cuts read places off, or grows. A queue that is refilled while it is read never empties (ACT-8); it must not grow for ever.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self) {
        if self.head * 2 > self.places.len() {
            self.places.drain(..self.head);
            self.base = self.base.wrapping_add(self.head as u32);
            self.head = 0;
        } else {
            self.places.reserve(FIRST_ROOM);
        }
    }

    #[inline]
    fn remove(&mut self, place: u32) {
        self.places[place.wrapping_sub(self.base) as usize] = NIL;
        self.gaps += 1;
    }

    /// Skips gaps; `None` and an empty array when nothing is left.
    fn front(&mut self) -> Option<u32> {
        while let Some(&index) = self.places.get(self.head) {
            if index != NIL {
                return Some(index);
            }
            self.head += 1;
            self.gaps -= 1;
        }
        self.places.clear();
        self.head = 0;
        None
    }

    #[inline]
    fn pop(&mut self) -> Option<u32> {
        match self.places.get(self.head) {
            Some(&index) if index != NIL => {
                self.head += 1;
                Some(index)
            }
            _ => self.pop_behind_gap(),
        }
    }

    /// At a gap, or at the end.
    #[cold]
    #[inline(never)]
    fn pop_behind_gap(&mut self) -> Option<u32> {
        let index = self.front()?;
        self.head += 1;
        Some(index)
    }
}

/// The queues.
#[derive(Debug)]
pub(crate) struct Active {
    /// Level 0, which is all that most bases have.
    first: Queue,
    others: Vec<Queue>,
    /// Bit `p % 64` of word `p / 64`: level `p`, which is not the first, may have something.
    occupied: [u64; 4],
    /// How many events are in the other levels.
    beyond: usize,
    later: Queue,
    /// For how many passes each level has been passed over; empty while nobody asks.
    ages: Vec<u32>,
}

impl Active {
    pub(crate) fn new() -> Active {
        Active {
            first: Queue::default(),
            others: Vec::new(),
            occupied: [0; 4],
            beyond: 0,
            later: Queue::default(),
            ages: Vec::new(),
        }
    }

    /// How many levels there are: 1 to 255.
    #[inline]
    pub(crate) fn levels(&self) -> usize {
        1 + self.others.len()
    }

    #[inline]
    fn level(&mut self, level: u8) -> &mut Queue {
        match level {
            0 => &mut self.first,
            _ => &mut self.others[usize::from(level) - 1],
        }
    }

    /// The next entries of a level; [`NIL`] at gaps, and behind the end.
    pub(crate) fn upcoming(&self, level: u8) -> [u32; UPCOMING] {
        let queue = match level {
            0 => &self.first,
            _ => &self.others[usize::from(level) - 1],
        };
        let waiting = queue.places.iter().skip(queue.head).copied();
        let mut next = [NIL; UPCOMING];
        for (to, from) in next.iter_mut().zip(waiting) {
            *to = from;
        }
        next
    }

    /// The level whose turn it is by age: one that was passed over `most` times, else `level`, the most urgent. The most urgent first
    /// among those that have waited too long.
    #[cold]
    pub(crate) fn aged(&mut self, level: u8, most: u32) -> u8 {
        self.ages.resize(self.levels(), 0);
        let mut chosen = level;
        for other in (0..self.levels() as u8)
            .rev()
            .filter(|other| *other > level)
        {
            let age = &mut self.ages[usize::from(other)];
            if self.others[usize::from(other) - 1].len() == 0 {
                *age = 0;
            } else if *age >= most {
                chosen = other;
            } else {
                *age += 1;
            }
        }
        self.ages[usize::from(chosen)] = 0;
        chosen
    }

    /// Changes the number of levels. Nothing may be active.
    pub(crate) fn set_levels(&mut self, levels: usize) {
        debug_assert_eq!(self.len() + self.later_len(), 0);
        self.others.resize(levels - 1, Queue::default());
        self.occupied = [0; 4];
        for level in std::iter::once(&mut self.first).chain(&mut self.others) {
            level.places.clear();
            (level.head, level.gaps) = (0, 0);
        }
    }

    /// Active entries, without those for later.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.beyond
    }

    /// Entries for the next iteration.
    #[inline]
    pub(crate) fn later_len(&self) -> usize {
        self.later.len()
    }

    /// The most urgent level that is not empty.
    pub(crate) fn most_urgent(&mut self) -> Option<u8> {
        if self.first.front().is_some() {
            return Some(0);
        }
        if self.beyond == 0 {
            return None;
        }
        for word in 0..self.occupied.len() {
            while self.occupied[word] != 0 {
                let level = (word as u32 * 64 + self.occupied[word].trailing_zeros()) as u8;
                if self.level(level).front().is_some() {
                    return Some(level);
                }
                self.occupied[word] &= self.occupied[word] - 1;
            }
        }
        None
    }

    #[inline]
    pub(crate) fn push(&mut self, index: u32, records: &mut Records) {
        self.push_record(index, &mut records[index]);
    }

    /// The same where the record is at hand.
    #[inline(always)]
    pub(crate) fn push_record(&mut self, index: u32, record: &mut Record) {
        record.state |= ACTIVE;
        if record.priority == 0 {
            self.first.push(index, record);
        } else {
            self.push_other(index, record);
        }
    }

    #[inline(never)]
    fn push_other(&mut self, index: u32, record: &mut Record) {
        let level = record.priority;
        self.occupied[usize::from(level / 64)] |= 1 << (level % 64);
        self.beyond += 1;
        self.level(level).push(index, record);
    }

    /// Takes an active event out of its queue.
    pub(crate) fn remove(&mut self, index: u32, records: &mut Records) {
        let record = &mut records[index];
        debug_assert!(record.is(ACTIVE));
        record.state &= !ACTIVE;
        let (level, place) = (record.priority, record.place);
        self.level(level).remove(place);
        self.beyond -= usize::from(level != 0);
    }

    /// Takes the first event of level 0.
    #[inline]
    pub(crate) fn pop_first(&mut self) -> Option<u32> {
        self.first.pop()
    }

    /// Takes the first event of a level.
    pub(crate) fn pop(&mut self, level: u8) -> Option<u32> {
        let index = self.level(level).pop()?;
        self.beyond -= usize::from(level != 0);
        Some(index)
    }

    pub(crate) fn push_later(&mut self, index: u32, records: &mut Records) {
        records[index].state |= LATER;
        self.later.push(index, &mut records[index]);
    }

    pub(crate) fn remove_later(&mut self, index: u32, records: &mut Records) {
        debug_assert!(records[index].is(LATER));
        records[index].state &= !LATER;
        self.later.remove(records[index].place);
    }

    /// Makes all events for later active, in order (LOOP-1, step 5).
    pub(crate) fn promote(&mut self, records: &mut Records) {
        while let Some(index) = self.later.pop() {
            records[index].state &= !LATER;
            self.push(index, records);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Spec;
    use crate::event::Flags;

    fn records(count: u32) -> Records {
        let mut records = Records::default();
        for _ in 0..count {
            records.insert(Spec {
                number: -1,
                interest: Flags::NONE,
                priority: 0,
                is_detached: false,
            });
        }
        records
    }

    fn drain(active: &mut Active, records: &mut Records) -> Vec<u32> {
        let mut order = Vec::new();
        while let Some(level) = active.most_urgent() {
            let index = active.pop(level).unwrap();
            records[index].state &= !ACTIVE;
            order.push(index);
        }
        order
    }

    /// ACT-6, DEL-2: first in, first out, without those that were taken out.
    #[test]
    fn gaps_are_skipped() {
        let mut records = records(5);
        let mut active = Active::new();
        for index in 0..5 {
            active.push(index, &mut records);
        }
        for index in [0, 2, 4] {
            active.remove(index, &mut records);
        }
        active.push(2, &mut records);
        assert_eq!(drain(&mut active, &mut records), [1, 3, 2]);
        assert_eq!(active.len(), 0);
    }

    /// ACT-8: a queue that is refilled for ever does not grow for ever, and places stay right.
    #[test]
    fn endless_pass_keeps_its_size() {
        let mut records = records(3);
        let mut active = Active::new();
        for index in 0..3 {
            active.push(index, &mut records);
        }
        for round in 0..100_000_u32 {
            let index = active.pop(0).unwrap();
            assert_eq!(index, round % 3);
            records[index].state &= !ACTIVE;
            active.push(index, &mut records);
        }
        assert!(active.first.places.capacity() <= 4 * FIRST_ROOM);
        active.remove(1, &mut records);
        assert_eq!(drain(&mut active, &mut records).len(), 2);
    }

    #[test]
    fn most_urgent_level_first() {
        let mut records = records(4);
        let mut active = Active::new();
        active.set_levels(255);
        for (index, priority) in [(0, 254), (1, 64), (2, 63), (3, 200)] {
            records[index].priority = priority;
            active.push(index, &mut records);
        }
        assert_eq!(drain(&mut active, &mut records), [2, 1, 3, 0]);
    }
}

//! Common-timeout queues: entries of one duration in the order in which they expire.
//!
//! With one duration for all, a later setting has a later deadline, so that a queue does what a heap does: setting appends,
//! expiry takes the head, and both cost O(1) however many wait (CT-4). An entry whose owner has left stays as a gap until it
//! comes to the head, or until there are more gaps than entries.
//!
//! Invariants
//! 1. From head to tail the keys never decrease, and equal ones stand in the order in which they were set.
//! 2. No two queues have the same duration (CT-2), and queues are never removed: a `QueueId` stays good.
//! 3. `gaps` counts the gaps, of which the head is none.

use std::collections::VecDeque;
use std::io;

use super::places::{Place, Places};
use super::{Entry, NOBODY, Owner, QueueId};

/// How many queues a base may have (CT-3). Their lookup is linear.
const MOST_QUEUES: usize = 256;
/// With fewer gaps than this a queue is not tidied up.
const FEW_GAPS: usize = 64;

/// One duration and the entries that wait for it.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) duration_ns: u64,
    entries: VecDeque<Entry>,
    /// The number of the head; wraps. Entries are numbered in the order of their coming.
    first: u32,
    gaps: usize,
    /// The latest key there was since the heap has an entry for this queue.
    latest: u64,
    /// Does the heap have an entry for this queue? Never after its head.
    pub(super) announced: bool,
}

impl Queue {
    pub(super) fn new(duration_ns: u64) -> Queue {
        Queue {
            duration_ns,
            entries: VecDeque::new(),
            first: 0,
            gaps: 0,
            latest: 0,
            announced: false,
        }
    }

    /// May an entry of this time stand at the end? Not if its time is counted from before the last one's: that takes a cached
    /// time, or a persistent event re-armed from its deadline.
    #[inline]
    pub(super) fn accepts(&self, at: u64) -> bool {
        !self.announced || at >= self.latest
    }

    /// Appends an entry, which must be accepted, and returns its number.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) -> u32 {
        debug_assert!(self.accepts(entry.at));
        let number = self.first.wrapping_add(self.entries.len() as u32);
        self.latest = entry.at;
        self.entries.push_back(entry);
        number
    }

    /// The first entry.
    #[inline]
    pub(super) fn head(&self) -> Option<Entry> {
        self.entries.front().copied()
    }

    /// Takes the head out.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.entries.pop_front();
        self.first = self.first.wrapping_add(1);
        if self.gaps > 0 {
            self.skip_gaps();
        }
    }

    /// The entry of a number.
    pub(super) fn entry(&self, number: u32) -> Entry {
        self.entries[number.wrapping_sub(self.first) as usize]
    }

    /// Takes the entry of a number out.
    pub(super) fn remove(&mut self, number: u32, places: &mut Places) {
        let index = number.wrapping_sub(self.first) as usize;
        self.entries[index].owner = Owner(NOBODY);
        self.gaps += 1;
        self.skip_gaps();
        if self.gaps > FEW_GAPS && self.gaps * 2 > self.entries.len() {
            self.close_gaps(places);
        }
    }

    #[inline(never)]
    fn skip_gaps(&mut self) {
        while let Some(Entry {
            owner: Owner(NOBODY),
            ..
        }) = self.entries.front()
        {
            self.entries.pop_front();
            self.first = self.first.wrapping_add(1);
            self.gaps -= 1;
        }
    }

    /// Moves the entries together, which each gap has paid for, and gives memory back.
    #[cold]
    fn close_gaps(&mut self, places: &mut Places) {
        self.entries.retain(|entry| entry.owner != Owner(NOBODY));
        self.entries.shrink_to(2 * self.entries.len());
        self.gaps = 0;
        let mut number = self.first;
        for entry in &self.entries {
            places.set(entry.owner, Place::in_queue(number));
            number = number.wrapping_add(1);
        }
    }

    /// Panics unless the invariants of the page hold; returns how many entries there are.
    #[cfg(test)]
    pub(super) fn validate(&self) -> usize {
        let is_gap = |entry: &&Entry| entry.owner == Owner(NOBODY);
        for (one, next) in self.entries.iter().zip(self.entries.iter().skip(1)) {
            assert!(!next.before(one), "order of the queue");
        }
        assert!(self.entries.front().is_none_or(|head| !is_gap(&head)));
        assert_eq!(self.entries.iter().filter(is_gap).count(), self.gaps);
        assert!(self.announced || self.entries.is_empty());
        self.entries.len() - self.gaps
    }
}

/// The queue of this duration, if there is one (CT-2).
pub(super) fn find(queues: &[Queue], duration_ns: u64) -> Option<QueueId> {
    let index = queues
        .iter()
        .position(|queue| queue.duration_ns == duration_ns)?;
    u16::try_from(index).ok().map(QueueId)
}

/// The name of the next queue, or the error of CT-3.
pub(super) fn next_id(queues: &[Queue]) -> io::Result<QueueId> {
    match u16::try_from(queues.len()) {
        Ok(id) if queues.len() < MOST_QUEUES => Ok(QueueId(id)),
        _ => Err(io::Error::other(format!(
            "the base has {MOST_QUEUES} common timeouts already, which is the most; \
             use a plain timeout for this duration, or share one of the registered durations"
        ))),
    }
}

//! Deadlines: who is due, and until when the loop may sleep.
//!
//! ```text
//! owners (records, alarms)             here
//! ┌──────────────────────────┐   ┌──────────────────────────────────────────────────────┐
//! │ Deadline: at, armed, …   │◀──│ order: key, owner  key, owner   key, queue ──▶ queue │──▶ due: earliest first, equal
//! └──────────────────────────┘   └──────────────────────────────────────────────────────┘     ones in the order of setting
//! ```
//!
//! Each owner has its [`Deadline`] in its own memory, beside what else is touched when it is set and when it expires. Here is only
//! its *entry*, in the order of all or in the queue of a common timeout: a key and the owner's name. The key may be too early. So the
//! two most frequent operations, pushing a deadline further away (idle timeouts, on every read) and taking it away (a timeout that
//! was not needed), write the owner's memory and nothing else. When an entry comes up whose key is not its owner's deadline, it is
//! *settled*: it gets the right key, or leaves. Each setting is settled at most once, and most never: the next one overwrites it.
//!
//! The store knows no clock: times are nanoseconds since whatever the caller counts from, and `u64::MAX`, never, is not stored.
//!
//! Invariants
//! 1. The key of an entry is never after the deadline and sequence of its owner. So a first entry that equals its owner's is
//!    exactly the earliest, and one that is after `now` means that nothing is due.
//! 2. Every setting takes the next sequence number, also the lazy one: equal deadlines expire in the order of the last
//!    settings, across plain and common ones (HEAP-5, CT-4).
//! 3. An owner has one entry at most, `Deadline::home` says where, and `places` has the place there. An armed one has an entry.
//! 4. A queue with entries has one entry of its own in the order, never after its head; so may an empty one until that comes up.

mod far;
mod heap;
mod order;
mod places;
mod queues;
mod run;
#[cfg(test)]
mod tests;

use std::io;

use order::Order;
use places::Place;
use queues::Queue;

/// Who has a deadline: the record or the alarm of this index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner(u32);

/// From this number on, owners are queues.
const QUEUES: u32 = u32::MAX - 512;
/// No owner: what fills heap slots that are vacant, and the gaps that owners leave in queues and in the run.
const NOBODY: u32 = u32::MAX;

impl Owner {
    #[inline]
    pub(crate) fn record(index: u32) -> Owner {
        Owner(index << 1)
    }

    #[inline]
    pub(crate) fn alarm(index: u32) -> Owner {
        Owner(index << 1 | 1)
    }

    fn queue(id: QueueId) -> Owner {
        Owner(QUEUES + u32::from(id.0))
    }

    #[inline]
    pub(crate) fn is_alarm(self) -> bool {
        self.0 & 1 != 0
    }

    /// The index of the record or alarm.
    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0 >> 1
    }

    #[inline]
    fn as_queue(self) -> Option<QueueId> {
        (self.0 >= QUEUES).then(|| QueueId((self.0 - QUEUES) as u16))
    }
}

/// How many records, and how many alarms, can be told apart.
pub(crate) const MOST_OWNERS: u32 = QUEUES / 2;

/// Names a common-timeout queue of one store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueueId(u16);

/// Where an owner's entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Home(u16);

impl Home {
    /// It has none.
    const NOWHERE: Home = Home(u16::MAX);
    const ORDER: Home = Home(u16::MAX - 1);

    fn queue(id: QueueId) -> Home {
        Home(id.0)
    }
}

/// A deadline, in the memory of its owner. 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// The last one set, also after it has expired or was taken away.
    at: u64,
    /// When it was set, for the order among equals.
    sequence: u32,
    home: Home,
    armed: bool,
}

impl Deadline {
    /// None, and none yet.
    pub(crate) const NONE: Deadline = Deadline {
        at: 0,
        sequence: 0,
        home: Home::NOWHERE,
        armed: false,
    };

    /// Will it expire?
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.armed
    }

    /// When it expires, if it will.
    #[inline]
    pub(crate) fn armed_at(&self) -> Option<u64> {
        self.armed.then_some(self.at)
    }

    /// When it expires, or did, or would have.
    #[inline]
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Was the entry made for the last setting?
    #[inline]
    fn is_at(&self, entry: &Entry) -> bool {
        self.at == entry.at && self.sequence == entry.sequence
    }

    fn entry(&self, owner: Owner) -> Entry {
        Entry {
            at: self.at,
            sequence: self.sequence,
            owner,
        }
    }
}

/// Where deadlines are.
pub(crate) trait Owners {
    fn deadline(&mut self, owner: Owner) -> &mut Deadline;
}

/// A key with the owner that it stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    at: u64,
    sequence: u32,
    owner: Owner,
}

/// A deadline that has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due(Entry);

impl Due {
    /// Whose it was.
    #[inline]
    pub(crate) fn owner(self) -> Owner {
        self.0.owner
    }
}

/// What is nowhere: after every entry.
const VACANT: Entry = Entry {
    at: u64::MAX,
    sequence: 0,
    owner: Owner(NOBODY),
};

impl Entry {
    /// Whether this entry expires before `other`.
    ///
    /// Sequences are compared around their wrap: right as long as two *equal* deadlines were set less than 2^31 settings
    /// apart. Beyond that the order of those two is arbitrary, their time is not.
    #[inline]
    fn before(&self, other: &Entry) -> bool {
        if self.at == other.at {
            return self.sequence.wrapping_sub(other.sequence) > 1 << 31;
        }
        self.at < other.at
    }
}

/// How many entries [`Deadlines::earliest`] settles at most: beyond that it answers too early rather than late.
const MOST_SETTLED: usize = 256;

/// How many owners are looked at ahead, where there are more than `MANY`: so their cache misses overlap.
const AHEAD: usize = 16;
const MANY: usize = 8;

/// For how many entries at a time lists keep memory.
const KEPT: usize = 4096;

/// All deadlines of a base.
#[derive(Debug)]
pub(crate) struct Deadlines {
    order: Order,
    queues: Vec<Queue>,
    /// Empty: kept for its memory.
    passed: Vec<Entry>,
    /// What the next setting gets; wraps.
    sequence: u32,
    /// How many are armed.
    len: usize,
}

impl Deadlines {
    /// An empty store, which owns no memory yet.
    pub(crate) fn new() -> Deadlines {
        Deadlines {
            order: Order::new(),
            queues: Vec::new(),
            passed: Vec::new(),
            sequence: 0,
            len: 0,
        }
    }

    /// Sets an owner's deadline, armed or not. It expires after those with an equal one.
    ///
    /// O(1) if it is no earlier than the last one that still has an entry, or if it goes to the end of `queue`, which is where a
    /// common timeout that was not set lately goes; else O(log n).
    #[inline]
    pub(crate) fn set(
        &mut self,
        owner: Owner,
        deadline: &mut Deadline,
        at: u64,
        queue: Option<QueueId>,
    ) {
        debug_assert!(at != u64::MAX, "a deadline that never comes is not stored");
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.len += usize::from(!deadline.armed);
        let is_later = at >= deadline.at;
        *deadline = Deadline {
            at,
            sequence,
            home: deadline.home,
            armed: true,
        };
        if deadline.home == Home::NOWHERE || !is_later {
            self.enter(owner, deadline, queue);
        }
    }

    /// Takes a deadline away before it expires. Its entry stays for the next one, until it comes up. O(1).
    #[inline]
    pub(crate) fn clear(&mut self, deadline: &mut Deadline) {
        self.len -= usize::from(deadline.armed);
        deadline.armed = false;
    }

    /// Takes a deadline away for good: its owner's name may be given to another.
    #[inline]
    pub(crate) fn forget(&mut self, owner: Owner, deadline: &mut Deadline) {
        self.clear(deadline);
        if deadline.home != Home::NOWHERE {
            self.withdraw(owner, deadline);
        }
    }

    /// The earliest deadline; never later, and earlier only if there are very many entries before it that have been cleared.
    ///
    /// Settles the entries before it: each was pushed forward or cleared since it was last settled, so they are paid for.
    pub(crate) fn earliest(&mut self, owners: &mut impl Owners) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..MOST_SETTLED {
            let first = self.order.first()?;
            if self.settle(first, owners).is_some() {
                return Some(first.at);
            }
        }
        self.order.first().map(|first| first.at)
    }

    /// Disarms all deadlines that have passed and puts their owners into `due`, in the order of expiry. A deadline equal to `now`
    /// has passed (TIME-13).
    ///
    /// All at once, because that is much cheaper than one by one: the heap closes its holes from below, and the cache misses of
    /// many owners overlap.
    pub(crate) fn take_due(&mut self, now: u64, owners: &mut impl Owners, due: &mut Vec<Due>) {
        if self.order.first().is_none_or(|first| first.at > now) {
            return;
        }
        let mut passed = std::mem::take(&mut self.passed);
        self.order.take_until(now, &mut passed);
        for chunk in passed.chunks(AHEAD) {
            if passed.len() > MANY {
                warm_up(chunk, owners);
            }
            for &entry in chunk {
                match entry.owner.as_queue() {
                    Some(queue) => self.take_due_of(queue, now, owners, due),
                    None => self.take(entry, now, owners, due),
                }
            }
        }
        passed.clear();
        passed.shrink_to(KEPT);
        self.passed = passed;
        // From the oldest setting on, around the wrap.
        let newest = self.sequence;
        due.sort_unstable_by_key(|Due(entry)| (entry.at, entry.sequence.wrapping_sub(newest)));
    }

    /// The owner of an entry whose key has passed is due, or its deadline is a later one, or it has none any more.
    #[inline]
    fn take(&mut self, entry: Entry, now: u64, owners: &mut impl Owners, due: &mut Vec<Due>) {
        let deadline = owners.deadline(entry.owner);
        deadline.home = Home::NOWHERE;
        if !deadline.armed {
            return;
        }
        let entry = deadline.entry(entry.owner);
        if deadline.at <= now {
            deadline.armed = false;
            self.len -= 1;
            due.push(Due(entry));
        } else {
            deadline.home = Home::ORDER;
            self.order.insert(entry);
        }
    }

    /// The same for the entries of a queue, whose own entry has been taken out.
    fn take_due_of(&mut self, id: QueueId, now: u64, owners: &mut impl Owners, due: &mut Vec<Due>) {
        while let Some(head) = self.queues[usize::from(id.0)].head() {
            if head.at > now {
                let owner = Owner::queue(id);
                return self.order.insert(Entry { owner, ..head });
            }
            self.queues[usize::from(id.0)].pop();
            self.take(head, now, owners, due);
        }
        self.queues[usize::from(id.0)].announced = false;
    }

    /// The queue of the common timeout `duration_ns`: the same one for the same duration (CT-1, CT-2).
    ///
    /// # Errors
    ///
    /// `Other` if there are 256 queues and none is of this duration (CT-3).
    pub(crate) fn common(&mut self, duration_ns: u64) -> io::Result<QueueId> {
        if let Some(id) = queues::find(&self.queues, duration_ns) {
            return Ok(id);
        }
        let id = queues::next_id(&self.queues)?;
        self.queues.push(Queue::new(duration_ns));
        Ok(id)
    }

    /// The duration of a common timeout, in nanoseconds.
    pub(crate) fn duration_of(&self, queue: QueueId) -> u64 {
        self.queues[usize::from(queue.0)].duration_ns
    }

    /// How many deadlines are armed.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether none is armed.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Brings the entry of a deadline that was just set where it belongs (invariant 1).
    #[inline(never)]
    fn enter(&mut self, owner: Owner, deadline: &mut Deadline, queue: Option<QueueId>) {
        let entry = deadline.entry(owner);
        match deadline.home {
            Home::NOWHERE => {}
            Home::ORDER => {
                return self.order.advance(entry);
            }
            Home(queue) => {
                let number = self.order.places.get(owner).index;
                if !entry.before(&self.queues[usize::from(queue)].entry(number)) {
                    return;
                }
                self.withdraw(owner, deadline);
            }
        }
        self.order.places.make_room(owner);
        deadline.home = match queue {
            Some(id) if self.queues[usize::from(id.0)].accepts(entry.at) => {
                self.line_up(id, entry);
                Home::queue(id)
            }
            _ => {
                self.order.insert(entry);
                Home::ORDER
            }
        };
    }

    /// Puts an entry at the end of a queue, which has an entry of its own made if this is the first.
    fn line_up(&mut self, id: QueueId, entry: Entry) {
        let queue = &mut self.queues[usize::from(id.0)];
        let place = Place::in_queue(queue.push(entry));
        self.order.places.set(entry.owner, place);
        if !queue.announced {
            queue.announced = true;
            let owner = Owner::queue(id);
            self.order.insert(Entry { owner, ..entry });
        }
    }

    /// Takes an entry out, wherever it is.
    #[inline(never)]
    fn withdraw(&mut self, owner: Owner, deadline: &mut Deadline) {
        let place = self.order.places.get(owner);
        match std::mem::replace(&mut deadline.home, Home::NOWHERE) {
            Home::NOWHERE => {}
            Home::ORDER => self.order.remove(place),
            Home(queue) => {
                self.queues[usize::from(queue)].remove(place.index, &mut self.order.places)
            }
        }
    }

    /// If the first entry is its owner's, or that of a queue whose head is its owner's, returns the owner. Else brings
    /// it nearer to that.
    #[inline]
    fn settle(&mut self, first: Entry, owners: &mut impl Owners) -> Option<Owner> {
        if let Some(queue) = first.owner.as_queue() {
            return self.settle_queue(queue, first, owners);
        }
        let deadline = owners.deadline(first.owner);
        if deadline.armed && deadline.is_at(&first) {
            return Some(first.owner);
        }
        if deadline.armed {
            let entry = deadline.entry(first.owner);
            self.order.replace(first, entry);
        } else {
            deadline.home = Home::NOWHERE;
            self.order.pop(first);
        }
        None
    }

    fn settle_queue(
        &mut self,
        id: QueueId,
        first: Entry,
        owners: &mut impl Owners,
    ) -> Option<Owner> {
        let queue = &mut self.queues[usize::from(id.0)];
        let Some(head) = queue.head() else {
            queue.announced = false;
            self.order.pop(first);
            return None;
        };
        if (head.at, head.sequence) != (first.at, first.sequence) {
            let owner = first.owner;
            self.order.replace(first, Entry { owner, ..head });
            return None;
        }
        let deadline = owners.deadline(head.owner);
        if deadline.armed && deadline.is_at(&head) {
            return Some(head.owner);
        }
        // It was set again, to a time before the queue's last: its place is among the others.
        queue.pop();
        deadline.home = Home::NOWHERE;
        if deadline.armed {
            deadline.home = Home::ORDER;
            let entry = deadline.entry(head.owner);
            self.order.insert(entry);
        }
        None
    }

    /// Panics unless the invariants of the page and of both files hold.
    #[cfg(test)]
    fn validate<'a>(&self, owners: impl Iterator<Item = (Owner, &'a Deadline)>) {
        let entries = self.order.validate();
        let (mut armed, mut in_order, mut in_queues) = (0, 0, 0);
        for (owner, deadline) in owners {
            armed += usize::from(deadline.armed);
            let key = match deadline.home {
                Home::NOWHERE => {
                    assert!(!deadline.armed, "an armed deadline has an entry");
                    continue;
                }
                Home::ORDER => {
                    in_order += 1;
                    self.order.entry(self.order.places.get(owner))
                }
                Home(queue) => {
                    in_queues += 1;
                    self.queues[usize::from(queue)].entry(self.order.places.get(owner).index)
                }
            };
            assert_eq!(key.owner, owner);
            assert!(!deadline.entry(owner).before(&key), "the key is not late");
        }
        let announced = self.queues.iter().filter(|queue| queue.announced).count();
        assert_eq!(entries, in_order + announced);
        assert_eq!(
            self.queues.iter().map(Queue::validate).sum::<usize>(),
            in_queues
        );
        assert_eq!(armed, self.len);
    }
}

/// Touches the deadlines of entries.
#[inline(never)]
fn warm_up(entries: &[Entry], owners: &mut impl Owners) {
    let plain = entries.iter().map(|entry| entry.owner);
    let sum = plain
        .filter(|owner| owner.as_queue().is_none())
        .fold(0, |sum, owner| sum ^ owners.deadline(owner).sequence);
    std::hint::black_box(sum);
}

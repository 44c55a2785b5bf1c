//! The engine's records of events, in one slab.
//!
//! An event gets its record when it first becomes pending or active, and keeps it until it is dropped or goes to another base; a
//! detached event, only until it is idle. A [`Token`] names a record by index and generation, so that a name kept too long is
//! recognised as stale.
//!
//! Records form lists by index: the events of one descriptor or signal (singly linked, newest first), and the
//! active and later queues (arrays of indexes; a record knows its place).

use super::deadlines::{Deadline, MOST_OWNERS, QueueId};
use crate::event::Flags;

/// The index that names no record.
pub(crate) const NIL: u32 = u32::MAX;

/// Names a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Token {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// What an event is made of, as the engine needs to know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// The descriptor or signal number; -1 for neither.
    pub(crate) number: i32,
    pub(crate) interest: Flags,
    pub(crate) priority: u8,
    pub(crate) is_detached: bool,
}

/// Registered for its descriptor or signal.
pub(crate) const INSERTED: u8 = 1 << 0;
/// Queued for its callback in the current processing. Never together with [`LATER`].
pub(crate) const ACTIVE: u8 = 1 << 1;
/// Queued to become active in the next iteration.
pub(crate) const LATER: u8 = 1 << 2;
/// A finalizer has been asked for; nothing but the finalizer will run.
pub(crate) const FINALIZING: u8 = 1 << 3;
/// The record is in use.
pub(crate) const USED: u8 = 1 << 4;
/// Nobody can reach the event once it is idle: its record goes then.
pub(crate) const DETACHED: u8 = 1 << 5;

/// One event, on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Record {
    pub(crate) state: u8,
    pub(crate) priority: u8,
    pub(crate) interest: Flags,
    /// Why the event is active, merged over all causes until the callback starts.
    pub(crate) what: Flags,
    pub(crate) generation: u32,
    pub(crate) number: i32,
    /// How often the callback of an active signal event runs; 1 for all others.
    pub(crate) count: u32,
    /// Armed while the event has one; after that, the one that expired last, the basis of the next (PER-2).
    pub(crate) deadline: Deadline,
    /// The common-timeout queue that the event re-arms in.
    pub(crate) queue: Option<QueueId>,
    /// The place in the active or later queue.
    pub(crate) place: u32,
    /// The next event of the same descriptor or signal.
    pub(crate) sibling: u32,
    /// A persistent event's interval in nanoseconds; 0 for none.
    pub(crate) interval: u64,
}

/// A condition on state and interest, which lie side by side: one load and one comparison for both.
#[derive(Clone, Copy)]
struct Condition {
    mask: u32,
    wanted: u32,
}

impl Condition {
    const fn new(state: [u8; 2], interest: [Flags; 2]) -> Condition {
        Condition {
            mask: u32::from_le_bytes([state[0], 0, interest[0].bits(), 0]),
            wanted: u32::from_le_bytes([state[1], 0, interest[1].bits(), 0]),
        }
    }
}

impl Record {
    #[inline(always)]
    fn meets(&self, condition: Condition) -> bool {
        let bytes = [
            self.state,
            self.priority,
            self.interest.bits(),
            self.what.bits(),
        ];
        u32::from_le_bytes(bytes) & condition.mask == condition.wanted
    }

    /// Does it want to read, level-triggered, and is it neither active nor about to be finalized?
    #[inline(always)]
    pub(crate) fn is_idle_reader(&self) -> bool {
        const CONDITION: Condition = Condition::new(
            [FINALIZING | ACTIVE | LATER, 0],
            [
                Flags::from_bits(Flags::READ.bits() | Flags::ET.bits()),
                Flags::READ,
            ],
        );
        self.meets(CONDITION)
    }

    /// Does its callback change nothing about it: a persistent event of a descriptor, without an interval?
    #[inline(always)]
    pub(crate) fn stays(&self) -> bool {
        const CONDITION: Condition = Condition::new(
            [INSERTED | FINALIZING, INSERTED],
            [
                Flags::from_bits(Flags::PERSIST.bits() | Flags::SIGNAL.bits()),
                Flags::PERSIST,
            ],
        );
        self.meets(CONDITION) && self.interval == 0
    }

    #[inline]
    pub(crate) fn is(&self, state: u8) -> bool {
        self.state & state != 0
    }

    /// Does the event keep its registration when its callback runs?
    #[inline]
    pub(crate) fn is_persistent(&self) -> bool {
        self.interest.intersects(Flags::PERSIST)
    }

    #[inline]
    pub(crate) fn is_signal(&self) -> bool {
        self.interest.intersects(Flags::SIGNAL)
    }

    /// Neither pending nor active.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.state & (INSERTED | ACTIVE | LATER | FINALIZING) == 0 && !self.deadline.is_armed()
    }
}

/// The slab.
#[derive(Debug, Default)]
pub(crate) struct Records {
    records: Vec<Record>,
    free: Vec<u32>,
}

impl Records {
    pub(crate) fn insert(&mut self, spec: Spec) -> Token {
        let fresh = |generation| Record {
            state: USED | if spec.is_detached { DETACHED } else { 0 },
            priority: spec.priority,
            interest: spec.interest,
            what: Flags::NONE,
            generation,
            number: spec.number,
            count: 1,
            deadline: Deadline::NONE,
            queue: None,
            place: 0,
            sibling: NIL,
            interval: 0,
        };
        if let Some(index) = self.free.pop() {
            let record = &mut self.records[index as usize];
            let generation = record.generation;
            *record = fresh(generation);
            return Token { index, generation };
        }
        let index = u32::try_from(self.records.len())
            .ok()
            .filter(|&index| index < MOST_OWNERS)
            .expect("2^31 records are 128 GiB, beyond any number of descriptors and timers");
        self.records.push(fresh(0));
        Token {
            index,
            generation: 0,
        }
    }

    /// Gives a record back. Its token is stale from now on.
    pub(crate) fn release(&mut self, index: u32) {
        let record = &mut self.records[index as usize];
        debug_assert!(record.is_idle() && record.is(USED));
        record.state = 0;
        record.generation = record.generation.wrapping_add(1);
        self.free.push(index);
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Record> {
        self.records.get_mut(index as usize)
    }

    /// The record's index if the token is not stale.
    #[inline]
    pub(crate) fn find(&self, token: Token) -> Option<u32> {
        let record = self.records.get(token.index as usize)?;
        (record.generation == token.generation && record.is(USED)).then_some(token.index)
    }

    /// From now on the event is to be let go of once it is idle.
    pub(crate) fn detach(&mut self, token: Token) {
        if let Some(index) = self.find(token) {
            self[index].state |= DETACHED;
        }
    }

    /// All records in use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        self.records
            .iter()
            .enumerate()
            .filter(|(_, r)| r.is(USED))
            .map(|(i, r)| (i as u32, r))
    }
}

impl std::ops::Index<u32> for Records {
    type Output = Record;
    #[inline]
    fn index(&self, index: u32) -> &Record {
        &self.records[index as usize]
    }
}

impl std::ops::IndexMut<u32> for Records {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Record {
        &mut self.records[index as usize]
    }
}

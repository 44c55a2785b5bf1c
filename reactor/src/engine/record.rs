//! The engine's records of events, in one slab.
//!
//! A record exists only while its event is pending or active; an idle event owns nothing here. A [`Token`] names a record by
//! index and generation, so that a name kept too long is recognised as stale.
//!
//! Records form lists by index: the events of one descriptor or signal (singly linked, newest first), and the
//! active and later queues (arrays of indexes; a record knows its place).

use super::deadlines::{DeadlineId, QueueId};
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

#[derive(Debug)]
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
    /// Set while the event has a deadline.
    pub(crate) deadline: Option<DeadlineId>,
    /// The common-timeout queue that the event re-arms in.
    pub(crate) queue: Option<QueueId>,
    /// The place in the active or later queue.
    pub(crate) place: u32,
    /// The next event of the same descriptor or signal.
    pub(crate) sibling: u32,
    /// A persistent event's interval in nanoseconds; 0 for none.
    pub(crate) interval: u64,
    /// The deadline that expired last, the basis of the next one (PER-2).
    pub(crate) expired: u64,
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

    /// Neither pending nor active: may be released.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.state & (INSERTED | ACTIVE | LATER | FINALIZING) == 0 && self.deadline.is_none()
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
            state: USED,
            priority: spec.priority,
            interest: spec.interest,
            what: Flags::NONE,
            generation,
            number: spec.number,
            count: 1,
            deadline: None,
            queue: None,
            place: 0,
            sibling: NIL,
            interval: 0,
            expired: 0,
        };
        if let Some(index) = self.free.pop() {
            let record = &mut self.records[index as usize];
            let generation = record.generation;
            *record = fresh(generation);
            return Token { index, generation };
        }
        let index = u32::try_from(self.records.len())
            .expect("four thousand million events do not fit into memory");
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

    /// Moves all events of levels that are no more to the last one left.
    pub(crate) fn clamp_priorities(&mut self, last: u8) {
        for record in &mut self.records {
            record.priority = record.priority.min(last);
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

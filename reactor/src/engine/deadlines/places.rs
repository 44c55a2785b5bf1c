//! Where each owner's entry is.

use super::{Owner, QUEUES};

/// Where an entry is: in the list of a far segment, in the run, in a slot of the heap, or by its number in a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) list: u32,
    pub(super) index: u32,
}

impl Place {
    /// No lists of far segments.
    pub(super) const HEAP: u32 = u32::MAX;
    pub(super) const RUN: u32 = u32::MAX - 1;

    #[inline]
    pub(super) fn in_heap(slot: u32) -> Place {
        Place {
            list: Place::HEAP,
            index: slot,
        }
    }

    #[inline]
    pub(super) fn in_run(index: u32) -> Place {
        Place {
            list: Place::RUN,
            index,
        }
    }

    #[inline]
    pub(super) fn in_queue(number: u32) -> Place {
        Place::in_heap(number)
    }
}

/// The place of each owner's entry. Apart from the owners, because a heap writes one place per level when it sinks an entry: eight of
/// them share a cache line here.
#[derive(Debug, Default)]
pub(super) struct Places {
    records: Vec<Place>,
    alarms: Vec<Place>,
}

impl Places {
    #[inline]
    fn of(&mut self, owner: Owner) -> &mut Vec<Place> {
        if owner.is_alarm() {
            &mut self.alarms
        } else {
            &mut self.records
        }
    }

    #[inline]
    pub(super) fn get(&self, owner: Owner) -> Place {
        let places = if owner.is_alarm() {
            &self.alarms
        } else {
            &self.records
        };
        places[owner.index() as usize]
    }

    /// Notes the place of an owner that [`make_room`](Places::make_room) has seen. Queues need none: they are only found first.
    #[inline]
    pub(super) fn set(&mut self, owner: Owner, place: Place) {
        if owner.0 < QUEUES {
            self.of(owner)[owner.index() as usize] = place;
        }
    }

    #[inline]
    pub(super) fn make_room(&mut self, owner: Owner) {
        let index = owner.index() as usize;
        let places = self.of(owner);
        if index >= places.len() {
            places.resize(index + 1, Place::in_heap(0));
        }
    }
}

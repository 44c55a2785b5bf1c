//! Alarms: one deadline and one waker each, the lane's timers.
//!
//! An alarm that expires is freed at once; its owner finds out by the clock when it is polled. Alarms of threads outside our
//! loops are known by key alone, since the poster cannot know the index.

use std::collections::HashMap;
use std::task::Waker;

use super::Engine;
use super::deadlines::{Deadline, MOST_OWNERS, Owner};
use crate::clock::NEVER;

#[derive(Debug)]
struct Slot {
    /// 0 while free.
    key: u64,
    deadline: Deadline,
    waker: Option<Waker>,
    /// Is the key in `Alarms::by_key`?
    posted: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Alarms {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: HashMap<u64, u32>,
}

impl Alarms {
    #[inline]
    fn slot(&mut self, index: u32, key: u64) -> Option<&mut Slot> {
        self.slots
            .get_mut(index as usize)
            .filter(|slot| slot.key == key)
    }

    fn insert(&mut self, slot: Slot) -> u32 {
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                let index = u32::try_from(self.slots.len())
                    .ok()
                    .filter(|&index| index < MOST_OWNERS)
                    .expect("2^31 alarms are 96 GiB, beyond any number of timers");
                self.slots.push(slot);
                index
            }
        }
    }

    fn release(&mut self, index: u32) -> Slot {
        let slot = &mut self.slots[index as usize];
        let old = std::mem::replace(
            slot,
            Slot {
                key: 0,
                deadline: Deadline::NONE,
                waker: None,
                posted: false,
            },
        );
        if old.posted {
            self.by_key.remove(&old.key);
        }
        self.free.push(index);
        old
    }

    pub(crate) fn take_all_wakers(&mut self, woken: &mut Vec<Waker>) {
        for slot in &mut self.slots {
            woken.extend(slot.waker.take());
        }
    }

    /// The deadlines of those that are set.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = u64> + '_ {
        let used = self.slots.iter().filter(|slot| slot.key != 0);
        used.filter_map(|slot| slot.deadline.armed_at())
    }

    #[inline]
    pub(super) fn deadline(&mut self, index: u32) -> &mut Deadline {
        &mut self.slots[index as usize].deadline
    }
}

impl Engine {
    /// Makes an alarm and returns its index and key.
    #[inline]
    pub(crate) fn alarm_insert(&mut self, deadline: u64, waker: &Waker) -> (u32, u64) {
        let key = self.lane.key();
        (
            self.alarm_insert_with(key, deadline, waker.clone(), false),
            key,
        )
    }

    fn alarm_insert_with(&mut self, key: u64, deadline: u64, waker: Waker, posted: bool) -> u32 {
        let index = self.alarms.insert(Slot {
            key,
            deadline: Deadline::NONE,
            waker: Some(waker),
            posted,
        });
        self.alarm_set(index, deadline);
        index
    }

    /// An alarm posted by a thread outside our loops: sets it, or moves the one that its key names.
    pub(crate) fn alarm_posted(&mut self, key: u64, deadline: u64, waker: Waker) {
        match self.alarms.by_key.get(&key) {
            Some(&index) => {
                let old = self.alarms.slots[index as usize].waker.replace(waker);
                self.discarded.extend(old);
                self.alarm_move(index, deadline);
            }
            None => {
                let index = self.alarm_insert_with(key, deadline, waker, true);
                self.alarms.by_key.insert(key, index);
            }
        }
    }

    /// Moves an alarm that is still here and renews its waker; a replaced waker is returned, to be dropped. `Err` if it has
    /// fired.
    #[inline]
    pub(crate) fn alarm_update(
        &mut self,
        index: u32,
        key: u64,
        deadline: u64,
        waker: &Waker,
    ) -> Result<Option<Waker>, ()> {
        let slot = self.alarms.slot(index, key).ok_or(())?;
        let old = match &mut slot.waker {
            Some(same) if same.will_wake(waker) => None,
            other => other.replace(waker.clone()),
        };
        self.alarm_move(index, deadline);
        Ok(old)
    }

    fn alarm_move(&mut self, index: u32, deadline: u64) {
        let deadline = deadline.min(NEVER - 1);
        if self.alarms.slots[index as usize].deadline.at() != deadline {
            self.alarm_set(index, deadline);
        }
    }

    fn alarm_set(&mut self, index: u32, deadline: u64) {
        let slot = &mut self.alarms.slots[index as usize];
        let at = deadline.min(NEVER - 1);
        self.deadlines
            .set(Owner::alarm(index), &mut slot.deadline, at, None);
    }

    /// The index behind a name: as it is, or found by key for an alarm that was posted.
    pub(crate) fn alarm_find(&mut self, index: u32, key: u64) -> Option<u32> {
        if self.alarms.slot(index, key).is_some() {
            return Some(index);
        }
        self.alarms.by_key.get(&key).copied()
    }

    /// Moves an alarm from away, with the waker that it has.
    pub(crate) fn alarm_reset(&mut self, index: u32, key: u64, deadline: u64) {
        if let Some(index) = self.alarm_find(index, key) {
            self.alarm_move(index, deadline);
        }
    }

    /// Ends an alarm. Its waker is returned, to be dropped.
    #[inline]
    pub(crate) fn alarm_remove(&mut self, index: u32, key: u64) -> Option<Waker> {
        let index = self.alarm_find(index, key)?;
        let deadline = &mut self.alarms.slots[index as usize].deadline;
        self.deadlines.forget(Owner::alarm(index), deadline);
        self.alarms.release(index).waker
    }

    /// The deadline of an alarm has passed.
    pub(crate) fn alarm_fire(&mut self, index: u32) {
        let slot = self.alarms.release(index);
        self.woken.extend(slot.waker);
    }
}

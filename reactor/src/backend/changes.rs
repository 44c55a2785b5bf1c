//! Changes of interest that are collected and applied in one go before the wait (CL).
//!
//! One record per descriptor, whatever happens to it between two waits: what the kernel has, and what it shall have. An add
//! that is deleted again costs no call. A delete that is added again does: the number may be another file's by now (CL-2).

use std::os::fd::RawFd;

use crate::flags::Interest;

/// What is to be done about one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) fd: RawFd,
    pub(super) token: u64,
    /// What the kernel has been told.
    pub(super) old: Interest,
    pub(super) new: Interest,
}

/// Numbers beyond this are not collected; Linux opens none above `nr_open`, 2^20 unless raised.
const LIMIT: RawFd = 1 << 22;

#[derive(Debug, Default)]
pub(super) struct Changes {
    list: Vec<Change>,
    /// The place in `list`, plus one, by descriptor; 0 for none.
    places: Vec<u32>,
}

impl Changes {
    /// Can there be an entry for this number? The kernel has an opinion about those that are absurd, and it is asked at once.
    pub(super) fn has_room(fd: RawFd) -> bool {
        (0..LIMIT).contains(&fd)
    }

    /// Notes a change, over what was noted for the descriptor before. There is room.
    pub(super) fn note(&mut self, change: Change) {
        let index = change.fd as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, 0);
        }
        match self.places[index] {
            0 => {
                self.list.push(change);
                self.places[index] = self.list.len() as u32;
            }
            place => {
                let noted = &mut self.list[place as usize - 1];
                (noted.token, noted.new) = (change.token, change.new);
            }
        }
    }

    /// Takes what was noted for one descriptor.
    pub(super) fn take(&mut self, fd: RawFd) -> Option<Change> {
        let place = self.places.get_mut(usize::try_from(fd).ok()?)?;
        let index = (*place as usize).checked_sub(1)?;
        *place = 0;
        let change = self.list.swap_remove(index);
        if let Some(moved) = self.list.get(index) {
            self.places[moved.fd as usize] = index as u32 + 1;
        }
        needed(change)
    }

    /// Takes all, in the order in which descriptors first came up.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Change> + '_ {
        let places = &mut self.places;
        self.list.drain(..).filter_map(|change| {
            places[change.fd as usize] = 0;
            needed(change)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Nothing before and nothing after: nothing to do (CL-1).
fn needed(change: Change) -> Option<Change> {
    (!change.old.is_empty() || !change.new.is_empty()).then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Interest = Interest::NONE;
    const READ: Interest = Interest::READ;
    const WRITE: Interest = Interest::WRITE;

    fn noted(changes: &[(RawFd, Interest, Interest)]) -> Changes {
        let mut all = Changes::default();
        for (token, &(fd, old, new)) in (0..).zip(changes) {
            all.note(Change {
                fd,
                token,
                old,
                new,
            });
        }
        all
    }

    fn taken(mut changes: Changes) -> Vec<(RawFd, u64, Interest, Interest)> {
        let taken: Vec<_> = changes.take_all().collect();
        assert!(changes.is_empty());
        assert!(changes.places.iter().all(|place| *place == 0));
        taken
            .iter()
            .map(|change| (change.fd, change.token, change.old, change.new))
            .collect()
    }

    /// CL-1: added and deleted between two waits: no call.
    #[test]
    fn add_and_delete_cancel() {
        assert_eq!(taken(noted(&[(5, NONE, READ), (5, READ, NONE)])), []);
        let some = noted(&[(5, NONE, READ), (7, NONE, READ), (5, READ, NONE)]);
        assert_eq!(taken(some), [(7, 1, NONE, READ)]);
    }

    /// CL-2: deleted and added again is submitted, with the newest token.
    #[test]
    fn delete_and_add_is_submitted() {
        let both = noted(&[(5, READ, NONE), (5, NONE, READ)]);
        assert_eq!(taken(both), [(5, 1, READ, READ)]);
    }

    #[test]
    fn steps_become_one() {
        let steps = noted(&[(3, READ, READ | WRITE), (3, READ | WRITE, WRITE)]);
        assert_eq!(taken(steps), [(3, 1, READ, WRITE)]);
    }

    #[test]
    fn one_is_taken_out_of_several() {
        let mut changes = noted(&[(1, NONE, READ), (2, NONE, READ), (3, NONE, READ)]);
        assert_eq!(changes.take(1).map(|change| change.fd), Some(1));
        assert_eq!(changes.take(1), None);
        assert_eq!(changes.take(99), None);
        changes.note(Change {
            fd: 3,
            token: 9,
            old: READ,
            new: WRITE,
        });
        assert_eq!(taken(changes), [(3, 9, NONE, WRITE), (2, 1, NONE, READ)]);
    }
}

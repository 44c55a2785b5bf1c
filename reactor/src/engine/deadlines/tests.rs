//! The store against a sorted list, and its rules one by one.

use std::collections::BTreeMap;

use super::*;

/// A deadline of the store below.
type Id = u32;

const NEVER: u64 = u64::MAX;

/// A store with owners: each has a number and a queue, until it expires or is removed.
struct Store {
    deadlines: Deadlines,
    slots: Slots,
    owners: Vec<(u64, Option<QueueId>)>,
    free: Vec<Id>,
}

#[derive(Default)]
struct Slots(Vec<Deadline>);

impl Owners for Slots {
    fn deadline(&mut self, owner: Owner) -> &mut Deadline {
        assert!(!owner.is_alarm() && owner.as_queue().is_none());
        &mut self.0[owner.index() as usize]
    }
}

impl Store {
    fn new() -> Store {
        Store {
            deadlines: Deadlines::new(),
            slots: Slots::default(),
            owners: Vec::new(),
            free: Vec::new(),
        }
    }

    fn insert(&mut self, at: u64, owner: u64) -> Id {
        self.insert_as(at, owner, None)
    }

    fn insert_common(&mut self, queue: QueueId, at: u64, owner: u64) -> Id {
        self.insert_as(at, owner, Some(queue))
    }

    fn insert_as(&mut self, at: u64, owner: u64, queue: Option<QueueId>) -> Id {
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.0.push(Deadline::NONE);
            self.owners.push((0, None));
            self.owners.len() as Id - 1
        });
        self.owners[id as usize] = (owner, queue);
        self.set(id, at);
        id
    }

    fn set(&mut self, id: Id, at: u64) {
        let queue = self.owners[id as usize].1;
        let deadline = &mut self.slots.0[id as usize];
        self.deadlines.set(Owner::record(id), deadline, at, queue);
    }

    fn clear(&mut self, id: Id) {
        self.deadlines.clear(&mut self.slots.0[id as usize]);
    }

    fn remove(&mut self, id: Id) {
        let deadline = &mut self.slots.0[id as usize];
        self.deadlines.forget(Owner::record(id), deadline);
        self.free.push(id);
    }

    fn earliest(&mut self) -> Option<u64> {
        self.deadlines.earliest(&mut self.slots)
    }

    /// What is due, in order: deadlines and owners.
    fn take_due(&mut self, now: u64) -> Vec<(u64, u64)> {
        let mut due = Vec::new();
        self.deadlines.take_due(now, &mut self.slots, &mut due);
        let ids = due.iter().map(|due| due.owner().index());
        let ids: Vec<Id> = ids.collect();
        self.free.extend(&ids);
        let of = |id: Id| (self.slots.0[id as usize].at(), self.owners[id as usize].0);
        ids.into_iter().map(of).collect()
    }

    fn drain(&mut self, now: u64) -> Vec<u64> {
        let due = self.take_due(now).into_iter();
        due.map(|(_, owner)| owner).collect()
    }

    fn entries(&self) -> usize {
        self.deadlines.order.validate()
    }

    fn validate(&self) {
        let owners = (0..).map(Owner::record).zip(&self.slots.0);
        self.deadlines.validate(owners);
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A generator whose seed is printed, so that a failure can be repeated with `LEVENT_SEED`.
fn random() -> Random {
    let given = std::env::var("LEVENT_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(0x9e37_79b9_7f4a_7c15_u64).max(1);
    println!("LEVENT_SEED={seed}");
    Random(seed)
}

/// HEAP-1, HEAP-2: 1024 random deadlines, half of them removed by name, the rest expire in order.
#[test]
fn removed_by_name_and_rest_in_order() {
    let (mut random, mut store) = (random(), Store::new());
    let ids: Vec<_> = (0..1024)
        .map(|owner| store.insert(random.below(1 << 40), owner))
        .collect();
    store.validate();
    for id in ids.iter().step_by(2) {
        store.remove(*id);
        store.validate();
    }
    let mut last = 0;
    for (deadline, owner) in store.take_due(NEVER - 1) {
        assert!(deadline >= last && owner % 2 == 1);
        last = deadline;
    }
    assert!(store.deadlines.is_empty() && store.entries() == 0);
}

/// HEAP-3: what is not armed cannot be taken away; an empty store yields nothing.
#[test]
fn absent_and_empty() {
    let mut store = Store::new();
    assert_eq!(
        (store.take_due(NEVER - 1), store.earliest()),
        (vec![], None)
    );
    let (first, second) = (store.insert(5, 7), store.insert(6, 8));
    for _ in 0..2 {
        store.clear(first);
        assert_eq!((store.deadlines.len(), store.earliest()), (1, Some(6)));
    }
    store.remove(first);
    store.remove(second);
    assert_eq!((store.entries(), store.deadlines.len()), (0, 0));
    assert_eq!(
        (store.take_due(NEVER - 1), store.earliest()),
        (vec![], None)
    );
    store.validate();
}

/// HEAP-5, CT-4: equal deadlines expire in the order of setting, plain and common alike, also across the sequence's wrap.
#[test]
fn equal_deadlines_first_in_first_out() {
    for start in [0, u32::MAX - 20, (1 << 31) - 20] {
        let mut store = Store::new();
        store.deadlines.sequence = start;
        let queue = store.deadlines.common(10).unwrap();
        let ids: Vec<_> = (0..40)
            .map(|owner| match owner % 3 {
                0 => store.insert_common(queue, 10, owner),
                _ => store.insert(10, owner),
            })
            .collect();
        // Set again to the same time, they go behind the others; the way there is of no account.
        store.set(ids[4], 10);
        store.set(ids[0], 3);
        store.set(ids[0], 10);
        store.set(ids[1], 90);
        store.set(ids[1], 10);
        store.validate();
        let expected: Vec<u64> = [2, 3].into_iter().chain(5..40).chain([4, 0, 1]).collect();
        assert_eq!(store.drain(10), expected);
    }
}

/// HEAP-6: setting moves, it never duplicates; later is lazy and still exact.
#[test]
fn set_moves() {
    let mut store = Store::new();
    let first = store.insert(10, 1);
    store.insert(20, 2);
    store.set(first, 30);
    assert_eq!(
        (
            store.deadlines.order.heap.first().unwrap().at,
            store.entries()
        ),
        (10, 2)
    );
    assert_eq!(store.earliest(), Some(20));
    store.set(first, 25);
    store.set(first, 5);
    assert_eq!((store.earliest(), store.deadlines.len()), (Some(5), 2));
    store.set(first, 40);
    assert_eq!(store.drain(39), [2]);
    assert_eq!(store.drain(40), [1]);
}

/// CT-2, CT-3: one queue per duration, 256 at most.
#[test]
fn common_queues_are_shared_and_limited() {
    let mut store = Store::new();
    let ids: Vec<_> = (0..256)
        .map(|duration| store.deadlines.common(duration).unwrap())
        .collect();
    assert_eq!(store.deadlines.common(5).unwrap(), ids[5]);
    assert_eq!(store.deadlines.duration_of(ids[255]), 255);
    assert!(
        store
            .deadlines
            .common(256)
            .unwrap_err()
            .to_string()
            .contains("256")
    );
    assert!(store.deadlines.is_empty());
}

/// CT-4: a queue expires in order and has one entry in the heap; one set from an older clock goes to its place.
#[test]
fn common_queue_is_one_entry() {
    let mut store = Store::new();
    let queue = store.deadlines.common(100).unwrap();
    let ids: Vec<_> = (1..=100)
        .map(|i| store.insert_common(queue, 100 + i, i))
        .collect();
    assert_eq!(store.entries(), 1);
    store.insert_common(queue, 150, 1000);
    assert_eq!(store.entries(), 2);
    store.remove(ids[0]);
    store.validate();
    let expected: Vec<u64> = (2..=50).chain([1000]).chain(51..=100).collect();
    assert_eq!(store.drain(200), expected);
    // Emptied and filled again, earlier and later.
    let id = store.insert_common(queue, 50, 1);
    assert_eq!(store.earliest(), Some(50));
    store.remove(id);
    assert_eq!(store.earliest(), None);
    store.insert_common(queue, 70, 2);
    assert_eq!(store.earliest(), Some(70));
    store.validate();
}

/// TIME-13: a deadline equal to now has passed, one nanosecond later has not.
#[test]
fn equal_to_now_has_passed() {
    for at in [1, 1 << 31, 1 << 32, 1 << 63, NEVER - 1] {
        let mut store = Store::new();
        store.insert(at, 9);
        assert_eq!(store.take_due(at - 1), []);
        assert_eq!(store.take_due(at), [(at, 9)]);
    }
}

/// A deadline of months beside a tick of a second, over the times at which timer wheels wrap (tokio#8334).
#[test]
fn ticks_beside_a_month() {
    const SECOND: u64 = 1_000_000_000;
    for shift in 20..=40 {
        let mut now = (1_u64 << shift).saturating_mul(1_000_000) - 20 * SECOND.min(1 << shift);
        let mut store = Store::new();
        let month = now + 30 * 86_400 * SECOND;
        store.insert(month, 1);
        for _ in 0..100 {
            store.insert(now + SECOND, 2);
            assert_eq!(store.earliest(), Some(now + SECOND));
            now += SECOND;
            assert_eq!(store.drain(now), [2]);
        }
        assert_eq!(store.take_due(month), [(month, 1)]);
    }
}

/// Setting and removing a deadline in the moment of its expiry leaves nothing half linked (embassy@a2aa93f81).
#[test]
fn reset_and_remove_at_expiry() {
    let mut store = Store::new();
    let queue = store.deadlines.common(1).unwrap();
    for now in 1..=1_000_000 {
        store.insert(now, 1);
        let common = store.insert_common(queue, now, 2);
        assert_eq!(store.take_due(now), [(now, 1), (now, 2)]);
        let again = store.insert(now, 3);
        assert_eq!(again, common, "the freed name is used again");
        store.set(again, now + 1);
        assert_eq!(store.take_due(now), []);
        store.remove(again);
        assert!(store.deadlines.is_empty());
    }
    store.validate();
}

/// How many operations the comparison below has. Without optimisation they are too slow for everybody's tests.
const OPERATIONS: u64 = if cfg!(debug_assertions) {
    1_000_000
} else {
    10_000_000
};

/// Promise "timers fire, always": random operations and jumps of the clock, from a nanosecond to 300 years, against a sorted
/// list.
#[test]
fn agrees_with_a_sorted_list() {
    const JUMPS: [u64; 8] = [
        1,
        1000,
        1 << 20,
        1 << 31,
        1 << 32,
        1 << 45,
        1 << 62,
        9_467_280_000_000_000_000,
    ];
    let (mut random, mut store) = (random(), Store::new());
    // The list is keyed by deadline and a setting number that does not wrap.
    let mut sorted: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut live: BTreeMap<u64, (Id, Option<(u64, u64)>)> = BTreeMap::new();
    let queues: Vec<_> = (0..4)
        .map(|i| store.deadlines.common(1 << (10 * i)).unwrap())
        .collect();
    let (mut now, mut expired, mut most) = (0_u64, 0, 0);
    // Close to the wrap of the sequence, which the run then crosses.
    store.deadlines.sequence = u32::MAX - 300_000;
    for stamp in 0..OPERATIONS {
        // Turns of filling and draining, so that the heap is deep as well as nearly empty.
        let filling = stamp & (1 << 15) != 0;
        let span = match random.below(4) {
            0 => 3,
            _ => JUMPS[random.below(8) as usize],
        };
        let deadline = match random.below(8) {
            0 => now.saturating_sub(random.below(5)),
            1 => [1 << 31, 1 << 32, 1 << 63][random.below(3) as usize] - 1 + random.below(3),
            _ => now.saturating_add(random.below(span + 1)).min(NEVER - 1),
        };
        let chosen = live
            .range(random.below(stamp + 1)..)
            .next()
            .map(|(&owner, &(id, key))| (owner, id, key));
        match (random.below(16), chosen) {
            (0..=5, _) => {
                let (id, deadline) = match random.below(2) {
                    0 => (store.insert(deadline, stamp), deadline),
                    _ => {
                        let queue = queues[random.below(4) as usize];
                        let duration = store.deadlines.duration_of(queue);
                        let deadline = now.saturating_add(duration).min(deadline);
                        (store.insert_common(queue, deadline, stamp), deadline)
                    }
                };
                sorted.insert((deadline, stamp), stamp);
                live.insert(stamp, (id, Some((deadline, stamp))));
            }
            (6..=9, Some((owner, id, key))) => {
                store.set(id, deadline);
                key.map(|key| sorted.remove(&key));
                sorted.insert((deadline, stamp), owner);
                live.insert(owner, (id, Some((deadline, stamp))));
            }
            (10, Some((owner, id, key))) => {
                store.clear(id);
                key.map(|key| sorted.remove(&key));
                live.insert(owner, (id, None));
            }
            (11 | 12, Some((owner, id, key))) => {
                store.remove(id);
                key.map(|key| sorted.remove(&key));
                live.remove(&owner);
            }
            (13, _) if random.below(8) == 0 => {
                let jumps = if filling { 6 } else { 8 };
                now = now
                    .saturating_add(JUMPS[random.below(jumps) as usize])
                    .min(NEVER - 1);
            }
            _ => now = now.saturating_add(random.below(4)).min(NEVER - 1),
        }
        assert_eq!(store.deadlines.len(), sorted.len());
        most = most.max(store.deadlines.len());
        if random.below(4) == 0 {
            let expected = sorted.first_key_value().map(|(key, _)| key.0);
            // With very many cleared entries before it the answer is too early at first.
            let mut answer = store.earliest();
            while answer.is_some() && answer < expected {
                answer = store.earliest();
            }
            assert_eq!(answer, expected);
        }
        if !filling && random.below(2) == 0 {
            let later = sorted.split_off(&(now + 1, 0));
            let due: Vec<_> = std::mem::replace(&mut sorted, later)
                .into_iter()
                .map(|((at, _), owner)| (at, owner))
                .collect();
            for (_, owner) in &due {
                live.remove(owner);
            }
            expired += due.len();
            assert_eq!(store.take_due(now), due, "operation {stamp}, now {now}");
        }
        if stamp % 4096 == 0 {
            store.validate();
        }
        // The clock has come to its end: empty the store and start a new one.
        if now >= NEVER - (1 << 40) {
            let rest = std::mem::take(&mut sorted);
            let rest: Vec<_> = rest
                .into_iter()
                .map(|(key, owner)| (key.0, owner))
                .collect();
            assert_eq!(store.take_due(NEVER - 1), rest);
            expired += rest.len();
            for (_, (id, key)) in std::mem::take(&mut live) {
                if key.is_none() {
                    store.remove(id);
                }
            }
            store.validate();
            assert!(store.deadlines.is_empty());
            now = random.below(1 << 33);
        }
    }
    assert!(
        expired > 100_000 && most > 4096,
        "{expired} expired, {most} at a time"
    );
}

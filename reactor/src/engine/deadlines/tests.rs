//! The store against a sorted list, and its rules one by one.

use std::collections::BTreeMap;

use super::heap::{Entry, Heap};
use super::*;

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

fn drain(store: &mut Deadlines, now: u64) -> Vec<u64> {
    std::iter::from_fn(|| store.pop_due(now).map(|(_, owner)| owner)).collect()
}

/// HEAP-1, HEAP-2: 1024 random deadlines, half of them removed by name, the rest expire in order.
#[test]
fn removed_by_name_and_rest_in_order() {
    let (mut random, mut store) = (random(), Deadlines::new());
    let ids: Vec<_> = (0..1024)
        .map(|owner| store.insert(random.below(1 << 40), owner))
        .collect();
    store.validate();
    for id in ids.iter().step_by(2) {
        store.remove(*id);
        store.validate();
    }
    let mut last = 0;
    while let Some((deadline, owner)) = store.pop_due(NEVER - 1) {
        assert!(deadline >= last && owner % 2 == 1);
        last = deadline;
    }
    assert!(store.is_empty() && store.heap.len() == 0);
}

/// HEAP-3: what is not in the heap cannot be removed; an empty store yields nothing. (HEAP-4 asks nothing of us.)
#[test]
fn absent_and_empty() {
    let mut heap = Heap::new();
    assert!(!heap.remove(0));
    let entry = |deadline, node| Entry {
        deadline,
        sequence: 0,
        node,
    };
    heap.insert(entry(5, 7));
    assert!(!heap.remove(3) && !heap.remove(900) && heap.len() == 1);
    assert!(heap.remove(7) && !heap.remove(7) && heap.first().is_none());
    heap.validate();

    let mut store = Deadlines::new();
    assert_eq!((store.pop_due(NEVER - 1), store.earliest()), (None, None));
}

/// HEAP-5, CT-4: equal deadlines expire in the order of setting, plain and common alike, also across the sequence's wrap.
#[test]
fn equal_deadlines_first_in_first_out() {
    for start in [0, u32::MAX - 20, (1 << 31) - 20] {
        let mut store = Deadlines::new();
        store.sequence = start;
        let queue = store.common(10).unwrap();
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
        assert_eq!(drain(&mut store, 10), expected);
    }
}

/// HEAP-6: setting moves, it never duplicates; later is lazy and still exact.
#[test]
fn set_moves() {
    let mut store = Deadlines::new();
    let first = store.insert(10, 1);
    store.insert(20, 2);
    store.set(first, 30);
    assert_eq!(
        (store.heap.first().unwrap().deadline, store.heap.len()),
        (10, 2)
    );
    assert_eq!(store.earliest(), Some(20));
    store.set(first, 25);
    store.set(first, 5);
    assert_eq!((store.earliest(), store.len()), (Some(5), 2));
    store.set(first, 40);
    assert_eq!(drain(&mut store, 39), [2]);
    assert_eq!(drain(&mut store, 40), [1]);
}

/// CT-2, CT-3: one queue per duration, 256 at most.
#[test]
fn common_queues_are_shared_and_limited() {
    let mut store = Deadlines::new();
    let ids: Vec<_> = (0..256)
        .map(|duration| store.common(duration).unwrap())
        .collect();
    assert_eq!(store.common(5).unwrap(), ids[5]);
    assert_eq!(store.duration_of(ids[255]), 255);
    assert!(store.common(256).unwrap_err().to_string().contains("256"));
    assert!(store.is_empty() && store.iter().count() == 0);
}

/// CT-4: a queue expires in order and has one entry in the heap; one set from an older clock goes to its place.
#[test]
fn common_queue_is_one_entry() {
    let mut store = Deadlines::new();
    let queue = store.common(100).unwrap();
    let ids: Vec<_> = (1..=100)
        .map(|i| store.insert_common(queue, 100 + i, i))
        .collect();
    assert_eq!(store.heap.len(), 1);
    let early = store.insert_common(queue, 150, 1000);
    assert_eq!(store.queue(early), Some(queue));
    store.remove(ids[0]);
    store.validate();
    let expected: Vec<u64> = (2..=50).chain([1000]).chain(51..=100).collect();
    assert_eq!(drain(&mut store, 200), expected);
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
        let mut store = Deadlines::new();
        store.insert(at, 9);
        assert_eq!(store.pop_due(at - 1), None);
        assert_eq!(store.pop_due(at), Some((at, 9)));
    }
}

/// A deadline of months beside a tick of a second, over the times at which timer wheels wrap (tokio#8334).
#[test]
fn ticks_beside_a_month() {
    const SECOND: u64 = 1_000_000_000;
    for shift in 20..=40 {
        let mut now = (1_u64 << shift).saturating_mul(1_000_000) - 20 * SECOND.min(1 << shift);
        let mut store = Deadlines::new();
        let month = now + 30 * 86_400 * SECOND;
        store.insert(month, 1);
        for _ in 0..100 {
            store.insert(now + SECOND, 2);
            assert_eq!(store.earliest(), Some(now + SECOND));
            now += SECOND;
            assert_eq!(drain(&mut store, now), [2]);
        }
        assert_eq!(store.pop_due(month), Some((month, 1)));
    }
}

/// Setting and removing a deadline in the moment of its expiry leaves nothing half linked (embassy@a2aa93f81).
#[test]
fn reset_and_remove_at_expiry() {
    let mut store = Deadlines::new();
    let queue = store.common(1).unwrap();
    for now in 1..=1_000_000 {
        let other = store.insert(now, 1);
        store.insert_common(queue, now, 2);
        assert_eq!(store.pop_due(now), Some((now, 1)));
        let again = store.insert(now, 3);
        assert_eq!(again, other, "the freed node is used again");
        store.set(again, now + 1);
        assert_eq!(store.pop_due(now), Some((now, 2)));
        assert_eq!(store.pop_due(now), None);
        store.remove(again);
        assert!(store.is_empty());
    }
    store.validate();
}

/// Promise "timers fire, always": a million random operations and jumps of the clock against a sorted list.
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
    let (mut random, mut store) = (random(), Deadlines::new());
    // The list is keyed by deadline and a setting number that does not wrap.
    let mut sorted: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut live: BTreeMap<u64, (DeadlineId, (u64, u64))> = BTreeMap::new();
    let queues: Vec<_> = (0..4)
        .map(|i| store.common(1 << (10 * i)).unwrap())
        .collect();
    let (mut now, mut expired, mut most) = (0_u64, 0, 0);
    // Close to the wrap of the sequence, which the run then crosses.
    store.sequence = u32::MAX - 300_000;
    for stamp in 0..1_000_000_u64 {
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
                let id = match random.below(2) {
                    0 => store.insert(deadline, stamp),
                    _ => {
                        let queue = queues[random.below(4) as usize];
                        let id = store.insert_common(
                            queue,
                            now.saturating_add(store.duration_of(queue)).min(deadline),
                            stamp,
                        );
                        assert_eq!(store.queue(id), Some(queue));
                        id
                    }
                };
                let key = (store.deadline(id), stamp);
                assert_eq!(store.owner(id), stamp);
                sorted.insert(key, stamp);
                live.insert(stamp, (id, key));
            }
            (6..=10, Some((owner, id, key))) => {
                store.set(id, deadline);
                sorted.remove(&key);
                sorted.insert((deadline, stamp), owner);
                live.insert(owner, (id, (deadline, stamp)));
            }
            (11 | 12, Some((owner, id, key))) => {
                store.remove(id);
                sorted.remove(&key);
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
        assert_eq!(store.len(), sorted.len());
        most = most.max(store.len());
        if random.below(4) == 0 {
            assert_eq!(
                store.earliest(),
                sorted.first_key_value().map(|(key, _)| key.0)
            );
        }
        // Mostly a few, so that some that are due wait while others are set before them.
        for _ in 0..if filling { 0 } else { random.below(4) } {
            let due = sorted
                .first_key_value()
                .filter(|(key, _)| key.0 <= now)
                .map(|(&key, &owner)| (key, owner));
            assert_eq!(
                store.pop_due(now),
                due.map(|(key, owner)| (key.0, owner)),
                "operation {stamp}, now {now}"
            );
            let Some((key, owner)) = due else { break };
            sorted.remove(&key);
            live.remove(&owner);
            expired += 1;
        }
        if stamp % 4096 == 0 {
            store.validate();
        }
        // The clock has come to its end: empty the store and start a new one.
        if now >= NEVER - (1 << 40) {
            for (key, owner) in std::mem::take(&mut sorted) {
                assert_eq!(store.pop_due(NEVER - 1), Some((key.0, owner)));
                expired += 1;
            }
            live.clear();
            store.validate();
            assert!(store.is_empty());
            now = random.below(1 << 33);
        }
    }
    assert!(
        expired > 100_000 && most > 4096,
        "{expired} expired, {most} at a time"
    );
}

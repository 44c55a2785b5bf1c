//! Chapter 13: change callbacks.

use super::{Log, assert_holds};
use levent_io::Buffer;
use levent_io::buffer::Change;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Size before, added, deleted, once per operation, and nothing for no change (EB-101, EB-102).
#[test]
fn log_of_sizes() {
    let mut buffer = Buffer::new();
    let (log, other) = (Log::of(&mut buffer), Log::of(&mut buffer));
    buffer.append(&[b'x'; 36]).unwrap();
    buffer.drain(10).unwrap();
    buffer.prepend(b"Hello").unwrap();
    buffer.append_static(b"reftext").unwrap();
    buffer.drain(usize::MAX).unwrap();
    buffer.drain(5).unwrap();
    buffer.append(b"").unwrap();
    buffer.append(b"1").unwrap();
    let expected = [
        (0, 36, 0),
        (36, 0, 10),
        (26, 5, 0),
        (31, 7, 0),
        (38, 0, 38),
        (0, 1, 0),
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(other.take(), expected);
    let change = Change {
        before: 36,
        added: 0,
        deleted: 10,
    };
    assert_eq!(change.after(), 26);
}

/// A disabled observer misses what happens meanwhile, for good (EB-102, EB-105).
#[test]
fn disabled_observer_misses_changes() {
    let mut buffer = Buffer::new();
    let log = Log::default();
    let copy = log.clone();
    let id = buffer.observe(move |_, change| copy.write(change));
    buffer.append(b"a").unwrap();
    assert!(buffer.enable_observer(id, false));
    buffer.append(b"bb").unwrap();
    assert!(buffer.enable_observer(id, true));
    buffer.append(b"ccc").unwrap();
    assert_eq!(log.take(), [(0, 1, 0), (3, 3, 0)]);
    assert!(buffer.remove_observer(id));
    assert!(!buffer.remove_observer(id));
    assert!(!buffer.enable_observer(id, true));
    buffer.append(b"d").unwrap();
    assert_eq!(log.take(), []);
}

/// The newest is called first (EB-103).
#[test]
fn newest_observer_is_first() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut buffer = Buffer::new();
    for name in 0..3 {
        let order = order.clone();
        buffer.observe(move |_, _| order.lock().unwrap().push(name));
    }
    buffer.append(b"x").unwrap();
    assert_eq!(*order.lock().unwrap(), [2, 1, 0]);
}

/// An observer that changes the buffer: all hear of that in a round of its own, and the operation returns when it is over (EB-104, EB-106).
#[test]
fn observer_may_change_the_buffer() {
    let mut buffer = Buffer::new();
    let log = Log::default();
    let copy = log.clone();
    buffer.observe(move |_, change| copy.write(change));
    buffer.observe(|buffer, change| {
        if change.added > 0 {
            assert_eq!(buffer.drain(usize::MAX).unwrap(), change.added);
        }
    });
    buffer.append(b"hello").unwrap();
    assert_holds(&buffer, b"");
    assert_eq!(log.take(), [(0, 5, 0), (5, 0, 5)]);
}

/// An observer may remove itself and others, and add some, while it runs (EB-104).
#[test]
fn observer_may_change_the_list() {
    let mut buffer = Buffer::new();
    let old = Log::default();
    let copy = old.clone();
    let id = buffer.observe(move |_, change| copy.write(change));
    let added = Log::default();
    let copy = added.clone();
    let own_id = Arc::new(Mutex::new(None));
    let own = own_id.clone();
    let remover = buffer.observe(move |buffer, _| {
        assert!(buffer.remove_observer(id), "it has not run yet");
        assert!(buffer.remove_observer(own.lock().unwrap().unwrap()));
        let copy = copy.clone();
        buffer.observe(move |_, change| copy.write(change));
    });
    *own_id.lock().unwrap() = Some(remover);
    buffer.append(b"x").unwrap();
    assert_eq!((old.take(), added.take()), (vec![], vec![]));
    buffer.append(b"y").unwrap();
    assert_eq!((old.take(), added.take()), (vec![], vec![(1, 1, 0)]));
}

/// All observers go at once, also from within one (EB-106).
#[test]
fn all_observers_are_removed() {
    let mut buffer = Buffer::new();
    let log = Log::of(&mut buffer);
    buffer.observe(|buffer, _| buffer.clear_observers());
    buffer.append(b"x").unwrap();
    buffer.append(b"y").unwrap();
    assert_eq!(log.take(), []);
    let log = Log::of(&mut buffer);
    buffer.clear_observers();
    buffer.append(b"z").unwrap();
    assert_eq!(log.take(), []);
    let log = Log::of(&mut buffer);
    buffer.drain(1).unwrap();
    assert_eq!(log.take(), [(3, 0, 1)]);
}

/// Dropping a buffer is no change (EB-107).
#[test]
fn dropping_is_no_change() {
    let mut buffer = Buffer::from("x");
    let log = Log::of(&mut buffer);
    drop(buffer);
    assert_eq!(log.take(), []);
}

/// Deferred changes are added up and told at once, an addition and a removal both (EB-108).
#[test]
fn deferred_changes_add_up() {
    let mut buffer = Buffer::from("12345");
    let log = Log::of(&mut buffer);
    buffer.defer_changes();
    buffer.append(b"abc").unwrap();
    buffer.drain(3).unwrap();
    assert_eq!(log.take(), []);
    buffer.deliver_changes();
    assert_eq!(log.take(), [(5, 3, 3)]);
    buffer.deliver_changes();
    assert_eq!(log.take(), []);
    buffer.drain(1).unwrap();
    assert_eq!(log.take(), [(5, 0, 1)]);
}

/// A panicking observer is gone; the buffer, its bytes and the other observers are as they should be (EB-101).
#[test]
fn panicking_observer_is_removed() {
    let mut buffer = Buffer::new();
    let log = Log::of(&mut buffer);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    buffer.observe(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose");
    });
    assert!(catch_unwind(AssertUnwindSafe(|| buffer.append(b"x"))).is_err());
    assert_holds(&buffer, b"x");
    buffer.append(b"y").unwrap();
    assert_eq!(log.take(), [(1, 1, 0)]);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

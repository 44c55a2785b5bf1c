//! What another thread asks for, while the loop waits or a callback runs.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use levent_reactor::{Event, Flags, LoopEnd, LoopFlags};

use crate::support::*;

/// B3: the nearest deadline is deleted and another added while the loop waits, by another thread; the next wait is for what is nearest
/// then, and a short one wakes the loop.
#[test]
fn b3_nearest_deadline_changes_abroad() {
    for_each_backend(|base| {
        const HOUR: Duration = Duration::from_secs(3600);
        let (near, far) = (Event::timer(base, |_, _| {}), Event::timer(base, |_, _| {}));
        let end = Event::timer(base, |event, _| event.base().unwrap().loop_break());
        near.add_after(2 * HOUR).unwrap();
        far.add_after(4 * HOUR).unwrap();
        let (waits, is_wait) = mpsc::channel();
        // Nobody listens any more once the end is asked for.
        let watcher = base.on_prepare(move |_, info| {
            let _ = waits.send(info.wait.unwrap());
        });
        let (near, end, remote) = (near.remote().unwrap(), end.remote().unwrap(), base.remote());
        let other = thread::spawn(move || {
            // The waits until one is for `deadline`, which is soon or never.
            let waits_for = |deadline: Duration| {
                while let Ok(wait) = is_wait.recv_timeout(Duration::from_secs(20)) {
                    if wait <= deadline && wait > deadline - HOUR {
                        return true;
                    }
                }
                remote.loop_break().unwrap();
                false
            };
            assert!(waits_for(2 * HOUR), "the first wait");
            near.del().unwrap();
            assert!(waits_for(4 * HOUR), "deleted");
            near.add(Some(HOUR)).unwrap();
            assert!(waits_for(HOUR), "added");
            near.add(Some(3 * HOUR)).unwrap();
            assert!(waits_for(3 * HOUR), "put off");
            end.add(Some(ms(2))).unwrap();
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        other.join().unwrap();
        drop((watcher, far));
    });
}

/// B4: an activation from another thread is not overwritten by the timeout of the same turn.
#[test]
fn b4_activation_and_timeout_are_both_seen() {
    with_manual_clock(|base, hand| {
        let seen = Rc::new(Cell::new(Flags::NONE));
        let saw = seen.clone();
        let event = Event::timer(base, move |_, what| saw.set(saw.get() | what));
        event.add_after(ms(5)).unwrap();
        let remote = event.remote().unwrap();
        thread::spawn(move || remote.activate(Flags::WRITE).unwrap())
            .join()
            .unwrap();
        hand.advance(ms(5));
        look(base);
        look(base);
        assert_eq!(seen.get(), Flags::WRITE | Flags::TIMEOUT);
    });
}

/// B6: what another thread posts costs a turn or two each, beside descriptors where nothing happens, and neither it nor a deadline
/// between two milliseconds makes the waits that follow zero.
#[test]
fn b6_posts_leave_no_wait_of_zero_behind() {
    for_each_backend(|base| {
        const POSTS: u32 = 20;
        let wait = Duration::from_micros(20_300);
        let idle: Vec<_> = (0..20)
            .map(|_| {
                let (here, there) = pair();
                let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, |_, _| {
                    panic!("idle")
                });
                event.add().unwrap();
                (event, there)
            })
            .collect();
        let (turns, zeros) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let watcher = base.on_prepare({
            let (turns, zeros) = (turns.clone(), zeros.clone());
            move |_, info| {
                turns.set(turns.get() + 1);
                zeros.set(zeros.get() + u32::from(info.wait == Some(Duration::ZERO)));
            }
        });
        let remote = base.remote();
        let posts = thread::spawn(move || {
            let (handled, is_handled) = mpsc::channel();
            for _ in 0..POSTS {
                let handled = handled.clone();
                remote.post(move |_| handled.send(()).unwrap()).unwrap();
                is_handled.recv().unwrap();
            }
            remote.loop_break().unwrap();
        });
        assert_eq!(
            base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap(),
            LoopEnd::Stopped
        );
        posts.join().unwrap();
        let during = turns.take();
        assert!(during <= 2 * POSTS + 6, "{during} turns for {POSTS} posts");
        // What was asked for is gone: now it sleeps.
        base.loop_exit(Some(wait)).unwrap();
        zeros.take();
        base.dispatch().unwrap();
        drop((watcher, idle));
        let (turns, zeros) = (turns.take(), zeros.take());
        assert!(
            turns <= 4 && zeros <= 1,
            "{turns} turns, {zeros} without a wait"
        );
    });
}

/// B25: a thread that holds a lock deletes an event whose callback waits for that lock. The deletion returns, so the callback gets its
/// lock; and once the deletion is acknowledged it runs no more, though its descriptor stays readable.
#[test]
fn b25_deletion_does_not_wait_for_the_callback() {
    for_each_backend(|base| {
        let lock = Arc::new(Mutex::new(()));
        let is_deleted = Arc::new(AtomicBool::new(false));
        let (started, is_started) = mpsc::channel();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, {
            let (lock, is_deleted) = (lock.clone(), is_deleted.clone());
            move |_, _| {
                assert!(!is_deleted.load(Ordering::SeqCst));
                // Nobody listens any more but for the first.
                let _ = started.send(());
                soon("the lock", || lock.try_lock().is_ok());
            }
        });
        let (remote, loops) = (event.remote().unwrap(), base.remote());
        let held = lock.clone();
        let (locked, is_locked) = mpsc::channel();
        let other = thread::spawn(move || {
            let guard = held.lock().unwrap();
            locked.send(()).unwrap();
            is_started.recv().unwrap();
            let receipt = remote.del().unwrap();
            assert!(!receipt.is_handled(), "the callback is running");
            drop(guard);
            receipt.wait().unwrap();
            is_deleted.store(true, Ordering::SeqCst);
            loops.loop_break().unwrap();
        });
        is_locked.recv().unwrap();
        event.add().unwrap();
        base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
        other.join().unwrap();
        look(base);
    });
}

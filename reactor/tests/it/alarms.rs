//! Alarms: the deadlines of futures.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use levent_reactor::lane::Alarm;
use levent_reactor::{Event, Wait};

use crate::support::*;

/// A past deadline is ready at the first poll, and registers nothing.
#[test]
fn past_deadline_is_ready() {
    for_each_backend(|base| {
        let _entered = base.enter().unwrap();
        let (wakes, waker) = Wakes::new();
        let mut alarm = Alarm::new();
        assert!(
            alarm
                .poll_at(Instant::now(), &mut Context::from_waker(&waker))
                .is_ready()
        );
        assert_eq!(wakes.count(), 0);
    });
}

/// An alarm is never early, and wakes once.
#[test]
fn never_early() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        for micros in [1, 300, 999, 1000, 1001, 2500] {
            let (wakes, waker) = Wakes::new();
            let mut alarm = Alarm::new();
            let deadline = Instant::now() + Duration::from_micros(micros);
            let mut cx = Context::from_waker(&waker);
            let mut turns = 0;
            while alarm.poll_at(deadline, &mut cx).is_pending() {
                entered.turn(Wait::Block).unwrap();
                turns += 1;
                assert!(wakes.count() <= turns);
            }
            assert!(Instant::now() >= deadline);
            assert!(turns <= 3, "{micros} us took {turns} turns");
        }
    });
}

struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Alarms wake in the order of their deadlines, equal ones in the order they were set.
#[test]
fn in_order_of_deadlines() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let start = Instant::now() + ms(5);
        let mut alarms = Vec::new();
        for (name, at) in [("c", 2), ("a", 0), ("b", 1), ("a2", 0), ("d", 3)] {
            let waker = Waker::from(Arc::new(Named(name, order.clone())));
            let mut alarm = Alarm::new();
            assert!(
                alarm
                    .poll_at(start + ms(at), &mut Context::from_waker(&waker))
                    .is_pending()
            );
            alarms.push(alarm);
        }
        while order.lock().unwrap().len() < 5 {
            entered.turn(Wait::Block).unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["a", "a2", "b", "c", "d"]);
    });
}

/// A cancelled or dropped alarm wakes nobody; a moved one at its new time; polled again it keeps the newer waker.
#[test]
fn cancelled_and_moved() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        let (wakes, waker) = Wakes::new();
        let (newer, new_waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        let now = Instant::now();
        let (mut cancelled, mut dropped, mut moved) = (Alarm::new(), Alarm::new(), Alarm::new());
        for alarm in [&mut cancelled, &mut dropped, &mut moved] {
            assert!(alarm.poll_at(now + ms(3), &mut cx).is_pending());
        }
        cancelled.cancel();
        drop(dropped);
        assert!(
            moved
                .poll_at(now + ms(6), &mut Context::from_waker(&new_waker))
                .is_pending()
        );
        while newer.count() == 0 {
            entered.turn(Wait::Block).unwrap();
        }
        assert!(now.elapsed() >= ms(6));
        assert_eq!(wakes.count(), 0);
        let mut never = Alarm::new();
        assert!(never.poll_at(Instant::now() + ms(1), &mut cx).is_pending());
        never.reset(None);
        entered.turn(Wait::AtMost(ms(4))).unwrap();
        assert_eq!(wakes.count(), 0);
        never.reset(Some(Instant::now()));
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.count(), 1);
    });
}

/// Reset from another thread while its base runs: the base's sleep is made shorter.
#[test]
fn reset_from_another_thread() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        let (wakes, waker) = Wakes::new();
        let mut alarm = Alarm::new();
        let far = Instant::now() + Duration::from_secs(3600);
        assert!(
            alarm
                .poll_at(far, &mut Context::from_waker(&waker))
                .is_pending()
        );
        let thread = std::thread::spawn(move || {
            alarm.reset(Some(Instant::now() + ms(1)));
            alarm
        });
        while wakes.count() == 0 {
            entered.turn(Wait::Block).unwrap();
        }
        drop(thread.join().unwrap());
    });
}

/// Polled on another thread inside its own base, an alarm moves there, and the old home forgets it.
#[test]
fn moves_to_another_thread() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        let (old, waker) = Wakes::new();
        let mut alarm = Alarm::new();
        let deadline = Instant::now() + ms(10);
        assert!(
            alarm
                .poll_at(deadline, &mut Context::from_waker(&waker))
                .is_pending()
        );
        let method = base.method();
        let thread = std::thread::spawn(move || {
            let base = base_on(method);
            let entered = base.enter().unwrap();
            let (wakes, waker) = Wakes::new();
            let mut cx = Context::from_waker(&waker);
            let mut waited = false;
            while alarm.poll_at(deadline, &mut cx).is_pending() {
                waited = true;
                entered.turn(Wait::Block).unwrap();
            }
            // A thread that was held up finds the deadline passed, and waits for nothing.
            assert_eq!(wakes.count() >= 1, waited);
            assert!(Instant::now() >= deadline);
        });
        thread.join().unwrap();
        entered.turn(Wait::AtMost(ms(2))).unwrap();
        entered.turn(Wait::Poll).unwrap();
        assert_eq!(old.count(), 0);
    });
}

/// Outside all loops the background base wakes; never early.
#[test]
fn outside_all_loops() {
    let thread = std::thread::spawn(|| {
        let (wakes, waker) = Wakes::new();
        let mut alarm = Alarm::new();
        let deadline = Instant::now() + ms(3);
        assert!(
            alarm
                .poll_at(deadline, &mut Context::from_waker(&waker))
                .is_pending()
        );
        soon("the alarm", || wakes.count() == 1);
        assert!(Instant::now() >= deadline);
        assert_eq!(
            alarm.poll_at(deadline, &mut Context::from_waker(&waker)),
            Poll::Ready(())
        );
        // Forgotten in time, another wakes nobody.
        let mut dropped = Alarm::new();
        assert!(
            dropped
                .poll_at(Instant::now() + ms(5), &mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(dropped);
        let mut last = Alarm::new();
        let (after, waker) = Wakes::new();
        assert!(
            last.poll_at(Instant::now() + ms(8), &mut Context::from_waker(&waker))
                .is_pending()
        );
        soon("the later alarm", || after.count() == 1);
        assert_eq!(wakes.count(), 1);
    });
    thread.join().unwrap();
}

/// An alarm set, moved and cancelled at random, inside wakes too, loses no wake (B50).
#[test]
fn random_resets_lose_nothing() {
    let base = base_on(levent_reactor::Method::Epoll);
    let entered = base.enter().unwrap();
    let (wakes, waker) = Wakes::new();
    let mut cx = Context::from_waker(&waker);
    let mut alarm = Alarm::new();
    for i in 0..100_000_u64 {
        let deadline = Instant::now() + Duration::from_secs(1 + i % 7);
        assert!(alarm.poll_at(deadline, &mut cx).is_pending());
        match i % 4 {
            0 => alarm.cancel(),
            1 => alarm.reset(Some(Instant::now() + Duration::from_secs(9))),
            _ => {}
        }
    }
    assert_eq!(wakes.count(), 0);
    let deadline = Instant::now() + ms(1);
    while alarm.poll_at(deadline, &mut cx).is_pending() {
        entered.turn(Wait::Block).unwrap();
    }
    // Nothing of the hundred thousand is left behind.
    let mut text = String::new();
    base.dump(&mut text).unwrap();
    assert!(text.contains("alarms: 0, deadlines: 0"), "{text}");
    let event = Event::timer(&base, |_, _| {});
    drop(event);
}

//! A base with nothing to do sleeps: after a wake-up from outside, and until a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use levent_reactor::Wait;

use crate::support::*;

/// Better than THR-10: after one wake-up from outside a base sleeps again, also where the notifier has no edges.
#[test]
fn notifier_is_drained() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        let remote = base.remote();
        // The bell is rung only for a base that sleeps: again and again, until it did.
        let ended = Arc::new(AtomicBool::new(false));
        let is_ended = ended.clone();
        let notifier = std::thread::spawn(move || {
            while !is_ended.load(Ordering::SeqCst) {
                remote.notify();
                std::thread::sleep(ms(2));
            }
        });
        let (mut slept, start) = (0, Instant::now());
        while slept < 3 && start.elapsed() < ms(20_000) {
            let begin = Instant::now();
            entered.turn(Wait::Block).unwrap();
            slept += u32::from(begin.elapsed() > ms(1));
        }
        ended.store(true, Ordering::SeqCst);
        notifier.join().unwrap();
        assert_eq!(slept, 3);
        let start = Instant::now();
        let mut turns = 0;
        while start.elapsed() < ms(30) {
            entered
                .turn(Wait::AtMost(ms(30).saturating_sub(start.elapsed())))
                .unwrap();
            turns += 1;
        }
        assert!(turns <= 6, "{turns} turns");
    });
}

/// TIME-15: a deadline that is no multiple of the unit is not approached by spinning (B6).
#[test]
fn deadlines_are_not_approached_by_spinning() {
    for_each_backend(|base| {
        let turns = std::rc::Rc::new(std::cell::Cell::new(0));
        let _watcher = base.on_prepare({
            let turns = turns.clone();
            move |_, _| turns.set(turns.get() + 1)
        });
        let start = Instant::now();
        let timer = levent_reactor::Event::timer(base, |_, _| {});
        let wait = std::time::Duration::from_micros(20_300);
        timer.add_after(wait).unwrap();
        base.dispatch().unwrap();
        assert!(start.elapsed() >= wait);
        assert!(turns.get() <= 3, "{} turns", turns.get());
    });
}

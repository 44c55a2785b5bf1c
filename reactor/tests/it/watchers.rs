//! WAT: prepare and check watchers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Base, Event, LoopEnd, LoopFlags, Wait, Watcher};

use crate::support::*;

/// WAT-1, WAT-2: watchers run around the wait, in order of registration.
#[test]
fn around_the_wait_in_order() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let note = |name: &'static str| {
            let trace = trace.clone();
            move || trace.push(name)
        };
        let (p1, p2, c1, c2) = (
            note("prepare 1"),
            note("prepare 2"),
            note("check 1"),
            note("check 2"),
        );
        let _watchers = [
            base.on_prepare(move |_, _| p1()),
            base.on_check(move |_| c1()),
            base.on_prepare(move |_, _| p2()),
            base.on_check(move |_| c2()),
        ];
        base.once_after(Duration::ZERO, note("callback"));
        base.dispatch().unwrap();
        trace.assert(["prepare 1", "prepare 2", "check 1", "check 2", "callback"]);
    });
}

/// WAT-4: a prepare watcher is told how long the base is going to wait.
#[test]
fn told_how_long() {
    for_each_backend(|base| {
        let told = Rc::new(Cell::new(None));
        let _watcher = base.on_prepare({
            let told = told.clone();
            move |_, info| told.set(Some(info.wait))
        });
        let entered = base.enter().unwrap();
        entered.turn(Wait::Poll).unwrap();
        assert_eq!(told.take(), Some(Some(Duration::ZERO)));
        entered.turn(Wait::AtMost(ms(2))).unwrap();
        assert_eq!(told.take(), Some(Some(ms(2))));
        base.remote().notify();
        entered.turn(Wait::Block).unwrap();
        let timer = Event::timer(base, |_, _| {});
        timer.add_after(ms(5)).unwrap();
        entered.turn(Wait::Block).unwrap();
        let wait = told.take().unwrap().unwrap();
        assert!(wait > Duration::ZERO && wait <= ms(5), "{wait:?}");
    });
}

/// WAT-5, WAT-7: a dropped watcher stops; watchers may drop any, themselves included, and register new ones.
#[test]
fn watchers_drop_watchers() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let place: Rc<Cell<Option<Watcher>>> = Rc::default();
        let (own, note) = (place.clone(), trace.clone());
        place.set(Some(base.on_prepare(move |base: &Base, _| {
            drop(own.take());
            note.push("first");
            let note = note.clone();
            base.on_prepare(move |_, _| note.push("new")).detach();
        })));
        let turn = || {
            base.run_loop(LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY)
                .unwrap()
        };
        turn();
        trace.assert(["first", "new"]);
        turn();
        trace.assert(["new"]);
    });
}

/// WAT-10: in a check watcher the cached time is fresh.
#[test]
fn check_sees_fresh_time() {
    with_manual_clock(|base, hand| {
        let timer = Event::timer(base, |_, _| {});
        timer.add_after(ms(1)).unwrap();
        let hand2 = hand.clone();
        let _prepare = base.on_prepare(move |_, _| hand2.advance(ms(1)));
        let _check = base.on_check(|base| assert_eq!(base.now(), base.monotonic()));
        look(base);
    });
}

/// WAT-3, WAT-6: watchers of both kinds are given their base, and may ask and change it.
#[test]
fn watchers_use_their_base() {
    with_manual_clock(|base, hand| {
        hand.advance(ms(7));
        let far = Event::timer(base, |_, _| {});
        far.add_after(Duration::from_secs(9)).unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (saw, number) = (seen.clone(), base.remote());
        let prepare = base.on_prepare(move |base, _| {
            saw.borrow_mut().push(("prepare", base.now()));
            base.once_after(Duration::ZERO, || ());
            number.notify();
        });
        let (saw, method) = (seen.clone(), base.method());
        let check = base.on_check(move |base| {
            assert_eq!(base.method(), method);
            saw.borrow_mut().push(("check", base.now()));
        });
        look(base);
        // What the first registered makes the loop go on.
        assert_eq!(seen.borrow()[..2], [("prepare", ms(7)), ("check", ms(7))]);
        drop((prepare, check));
    });
}

/// A prepare watcher that breaks the loop is obeyed before the wait, not after it (better than LOOP-27).
#[test]
fn prepare_watcher_breaks_the_loop() {
    for_each_backend(|base| {
        let far = Event::timer(base, |_, _| {});
        far.add_after(Duration::from_secs(3600)).unwrap();
        let watcher = base.on_prepare(|base, _| base.loop_break());
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        drop(watcher);
    });
}

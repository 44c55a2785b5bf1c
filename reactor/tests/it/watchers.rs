//! WAT: prepare and check watchers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use levent_reactor::{Base, Counted, Event, Flags, LoopEnd, LoopFlags, Wait, Watcher};

use crate::fork::{fork, join};
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

/// WAT-10: in a check watcher the cached time is fresh, in a prepare watcher that of the iteration before. WAT-1: deadlines that came
/// before the check watcher are examined after it.
#[test]
fn check_sees_fresh_time() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::timer(base, trace.note("rang"));
        timer.add_after(ms(1)).unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (hand2, saw) = (hand.clone(), seen.clone());
        let _prepare = base.on_prepare(move |base, _| {
            saw.borrow_mut().push(base.now());
            hand2.advance(ms(1));
        });
        let (hand2, saw, note) = (hand.clone(), seen.clone(), trace.clone());
        let _check = base.on_check(move |base| {
            assert_eq!(base.now(), base.monotonic());
            assert_eq!(base.count(Counted::ACTIVE), 0);
            note.push("check");
            saw.borrow_mut().push(base.now());
            // Cached: it stands still.
            hand2.advance(ms(10));
        });
        let entered = base.enter().unwrap();
        entered.turn(Wait::Poll).unwrap();
        trace.assert(["check", "rang"]);
        entered.turn(Wait::Poll).unwrap();
        trace.assert(["check"]);
        assert_eq!(seen.take(), [ms(0), ms(1), ms(1), ms(12)]);
    });
}

/// WAT-4: what was chosen: the time to the next deadline, and nothing if something is active.
#[test]
fn told_what_was_chosen() {
    for_each_backend(|base| {
        let told = Rc::new(Cell::new(None));
        let saw = told.clone();
        let _watcher = base.on_prepare(move |base, info| {
            saw.set(info.wait);
            // Nobody is to wait that long.
            base.loop_break();
        });
        let timer = Event::timer(base, |_, _| {});
        timer.add_after(Duration::from_secs(3600)).unwrap();
        base.dispatch().unwrap();
        let wait = told.take().unwrap();
        assert!(
            wait > Duration::from_secs(3500) && wait <= Duration::from_secs(3600),
            "{wait:?}"
        );
        timer.activate(Flags::NONE);
        base.dispatch().unwrap();
        assert_eq!(told.take(), Some(Duration::ZERO));
    });
}

/// WAT-5, WAT-7: a watcher that another one drops does not run any more, the rest go on, and the base drops them when it ends.
#[test]
fn watchers_of_others_are_left_alone() {
    for method in methods() {
        let base = base_on(method);
        let trace = Trace::new();
        let place: Rc<Cell<Option<Watcher>>> = Rc::default();
        let (victim, note) = (place.clone(), trace.clone());
        let first = base.on_check(move |_| {
            drop(victim.take());
            note.push("first");
        });
        let note = trace.clone();
        place.set(Some(base.on_check(move |_| note.push("victim"))));
        let (owned, note) = (Rc::new(()), trace.clone());
        let kept = owned.clone();
        base.on_check(move |_| note.push(format!("last {kept:?}")))
            .detach();
        let turn = || {
            base.run_loop(LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY)
                .unwrap()
        };
        turn();
        trace.assert(["first", "last ()"]);
        drop(first);
        turn();
        trace.assert(["last ()"]);
        drop(base);
        assert_eq!(Rc::strong_count(&owned), 1);
    }
}

/// WAT-12, LOOP-14: waits that end empty, and those that a signal of the program's own interrupts, run check watchers.
#[test]
fn empty_and_interrupted_waits_are_checked() {
    extern "C" fn nothing(_: libc::c_int) {}
    if !in_child("watchers::empty_and_interrupted_waits_are_checked") {
        return;
    }
    // SAFETY: all bytes zero are a valid `sigaction` record: no flags, so that calls are interrupted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler does nothing, and the record lives through the call.
    let answer = unsafe { libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut()) };
    assert_eq!(answer, 0);
    for_each_backend(|base| {
        let checks = Rc::new(Cell::new(0));
        let count = checks.clone();
        let _check = base.on_check(move |base| {
            count.set(count.get() + 1);
            base.loop_break();
        });
        let entered = base.enter().unwrap();
        entered.turn(Wait::AtMost(ms(1))).unwrap();
        assert_eq!(checks.replace(0), 1);
        drop(entered);

        let guard = Event::timer(base, |_, _| ());
        guard.add_after(Duration::from_secs(20)).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let is_ended = ended.clone();
        // SAFETY: the call takes no pointer.
        let home = unsafe { libc::pthread_self() };
        let nag = thread::spawn(move || {
            while !is_ended.load(Ordering::SeqCst) {
                // SAFETY: the thread lives until this one was joined.
                assert_eq!(unsafe { libc::pthread_kill(home, libc::SIGUSR2) }, 0);
                thread::sleep(ms(1));
            }
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        ended.store(true, Ordering::SeqCst);
        nag.join().unwrap();
        assert_eq!(checks.get(), 1);
        assert!(guard.is_pending(), "the wait was not interrupted");
    });
}

/// WAT-9: watchers keep no loop alive, do not run in an iteration that is left before its wait, and check watchers not after a wait that
/// failed.
#[test]
fn iterations_that_are_left_are_not_watched() {
    if !in_child("watchers::iterations_that_are_left_are_not_watched") {
        return;
    }
    for_each_backend(|base| {
        let (prepared, checked) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (prepares, checks) = (prepared.clone(), checked.clone());
        let _prepare = base.on_prepare(move |_, _| prepares.set(prepares.get() + 1));
        let _check = base.on_check(move |_| checks.set(checks.get() + 1));
        let counts = || (prepared.take(), checked.take());
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(counts(), (0, 0), "nothing is left");

        // Told to leave in the first iteration, the loop begins a second one and leaves it at once, though a timer is left.
        let timer = Event::timer(base, |_, _| ());
        timer.add_after(Duration::from_secs(20)).unwrap();
        let exit = Event::user(base, |event, _| {
            event.base().unwrap().loop_exit(None).unwrap()
        });
        exit.activate(Flags::NONE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert_eq!(counts(), (1, 1), "told to leave");
        timer.del().unwrap();
    });

    // A child without `reinit` is refused its wait by an epoll that is its parent's.
    let base = base_on(levent_reactor::Method::Epoll);
    join(fork(|| {
        let checked = Rc::new(Cell::new(0));
        let checks = checked.clone();
        let _check = base.on_check(move |_| checks.set(checks.get() + 1));
        let timer = Event::timer(&base, |_, _| ());
        timer.add_after(Duration::ZERO).unwrap();
        assert!(base.dispatch().is_err());
        assert_eq!(checked.get(), 0, "a failed wait");
    }));
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

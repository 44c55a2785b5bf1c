//! Panicking callbacks leave the base usable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use levent_reactor::{Base, Event, Flags, LoopEnd, LoopFlags};

use crate::support::*;

/// Runs the loop and expects a panic to come out of it.
fn panics(base: &Base) {
    assert!(catch_unwind(AssertUnwindSafe(|| base.dispatch())).is_err());
}

/// Asserts that the base loops as ever.
fn works(base: &Base) {
    let trace = Trace::new();
    let (here, _there) = readable_pair();
    let reader = on_fd(base, &here, Flags::READ, trace.note("reader"));
    reader.add().unwrap();
    base.once_after(Duration::ZERO, {
        let trace = trace.clone();
        move || trace.push("once")
    });
    base.run_loop(LoopFlags::ONCE).unwrap();
    let mut ran = trace.take();
    ran.sort();
    assert_eq!(ran, ["once", "reader"]);
    assert!(base.running_event().is_none());
}

/// After a panic in a callback the others that were active run in the next loop.
#[test]
fn panic_in_a_callback() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let bad = Event::user(base, |_, _| panic!("on purpose"));
        let good = Event::user(base, trace.note("good"));
        bad.activate(Flags::NONE);
        good.activate(Flags::NONE);
        panics(base);
        trace.assert([]);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["good"]);
        works(base);
    });
}

/// A persistent event whose callback panicked is pending still, and runs again.
#[test]
fn panic_in_a_persistent_callback() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, {
            let trace = trace.clone();
            move |event, _| {
                trace.push("ran");
                assert!(trace.len() != 1, "on purpose");
                event.del().unwrap();
            }
        });
        event.add().unwrap();
        panics(base);
        assert!(event.is_pending());
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["ran", "ran"]);
        works(base);
    });
}

/// Panics in watchers, one-shots, finalizers, deferred and posted closures.
#[test]
fn panic_elsewhere() {
    for_each_backend(|base| {
        base.once_after(Duration::ZERO, || panic!("on purpose"));
        panics(base);
        works(base);
        Event::user(base, |_, _| {}).finalize(|_| panic!("on purpose"));
        panics(base);
        works(base);
        base.defer(|_| panic!("on purpose"));
        panics(base);
        works(base);
        let watcher = base.on_check(|_| panic!("on purpose"));
        base.once_after(Duration::ZERO, || {});
        panics(base);
        drop(watcher);
        base.dispatch().unwrap();
        works(base);
    });
}

/// A posted closure that panics leaves those behind it for the next iteration, in order.
#[test]
fn panic_in_a_posted_closure() {
    for_each_backend(|base| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let remote = base.remote();
        for i in 0..5 {
            let sender = sender.clone();
            remote
                .post(move |_| {
                    sender.send(i).unwrap();
                    assert!(i != 1, "on purpose");
                })
                .unwrap();
        }
        let look = || base.run_loop(LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY);
        assert!(catch_unwind(AssertUnwindSafe(look)).is_err());
        base.run_loop(LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY)
            .unwrap();
        base.run_loop(LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY)
            .unwrap();
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        works(base);
    });
}

/// A panic during a limited, urgent or signal pass leaves no half-done state: running it again counts from the start.
#[test]
fn panic_among_repeats() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let signal = Event::signal(base, libc::SIGWINCH, {
            let trace = trace.clone();
            move |_, _| {
                trace.push("ran");
                assert!(trace.len() != 2, "on purpose");
            }
        });
        signal.activate_times(Flags::SIGNAL, 3);
        panics(base);
        trace.assert(["ran", "ran"]);
        signal.activate_times(Flags::SIGNAL, 1);
        base.dispatch().unwrap();
        trace.assert(["ran"]);
        works(base);
    });
}

/// A waker whose panic has a payload that panics again when it is dropped takes no other waker with it.
#[test]
fn worst_of_wakers_is_contained() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("the payload's drop");
            }
        }
    }
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: std::sync::Arc<Self>) {
            std::panic::panic_any(Bomb);
        }
    }
    use levent_reactor::{Wait, lane::Alarm};
    use std::task::{Context, Waker};
    let entered = levent_reactor::current::enter().unwrap();
    let bad = Waker::from(std::sync::Arc::new(Bad));
    let (wakes, good) = Wakes::new();
    let at = std::time::Instant::now() + ms(1);
    let (mut first, mut second) = (Alarm::new(), Alarm::new());
    assert!(
        first
            .poll_at(at, &mut Context::from_waker(&bad))
            .is_pending()
    );
    assert!(
        second
            .poll_at(at, &mut Context::from_waker(&good))
            .is_pending()
    );
    while wakes.count() == 0 {
        entered.turn(Wait::AtMost(ms(20_000))).unwrap();
    }
}

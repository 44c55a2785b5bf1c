//! ONCE: one-shot closures.

use std::io::{ErrorKind, Write};
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Counted, Event, Flags, LoopEnd};

use crate::support::*;

/// ONCE-1: immediate one-shots queue behind what is active, in order, and use no timer.
#[test]
fn immediate_ones_run_in_order() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let event = Event::user(base, trace.note("event"));
        event.activate(Flags::NONE);
        for name in ["first", "second"] {
            let trace = trace.clone();
            base.once_after(Duration::ZERO, move || trace.push(name));
        }
        assert_eq!(base.count(Counted::ACTIVE), 3);
        look(base);
        trace.assert(["event", "first", "second"]);
    });
}

/// ONCE-2, ONCE-5: a delayed one keeps the loop alive until it has run, once.
#[test]
fn delayed_one_keeps_the_loop_alive() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        base.once_after(ms(50), {
            let trace = trace.clone();
            move || trace.push("ran")
        });
        assert_eq!(look(base), LoopEnd::Stopped);
        assert_eq!(base.count(Counted::ADDED), 1);
        hand.advance(ms(50));
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["ran"]);
    });
}

/// ONCE-3: a descriptor's one-shot runs on whichever comes first, readiness or time, and never again.
#[test]
fn descriptor_or_time_comes_first() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let note = |name: &'static str| {
            let trace = trace.clone();
            move |_: &Rc<_>, what: Flags| trace.push(format!("{name} {what:?}"))
        };
        let (here, mut there) = readable_pair();
        base.once_fd(
            here.clone(),
            Flags::READ | Flags::ET,
            Some(ms(50)),
            note("ready"),
        )
        .unwrap();
        look(base);
        trace.assert(["ready READ"]);
        there.write_all(b"more").unwrap();
        hand.advance(ms(60));
        assert_eq!(look(base), LoopEnd::Dry);
        let (quiet, _there) = pair();
        base.once_fd(quiet, Flags::READ, Some(ms(50)), note("quiet"))
            .unwrap();
        look(base);
        trace.assert([]);
        hand.advance(ms(50));
        base.dispatch().unwrap();
        trace.assert(["quiet TIMEOUT"]);
    });
}

/// ONCE-4, ERR-23: signals, persistence and no condition at all are refused.
#[test]
fn bad_conditions_are_refused() {
    for_each_backend(|base| {
        let (here, _there) = readable_pair();
        for interest in [
            Flags::SIGNAL,
            Flags::READ | Flags::PERSIST,
            Flags::NONE,
            Flags::TIMEOUT,
        ] {
            let refused = base.once_fd(here.clone(), interest, None, |_, _| panic!("refused"));
            assert_eq!(
                refused.unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{interest:?}"
            );
        }
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// Better than ONCE-6: a one-shot that cannot be registered is an error that leaves the base in order.
#[test]
fn refused_registration_leaves_the_base_in_order() {
    let base = base_on(levent_reactor::Method::Epoll);
    let file = Rc::new(std::fs::File::open("/proc/self/exe").unwrap());
    let refused = base.once_fd(file.clone(), Flags::READ, None, |_, _| panic!("refused"));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(Rc::strong_count(&file), 1);
    assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
}

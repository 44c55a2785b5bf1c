//! EXIT: break, exit and continue.

use std::time::Duration;

use levent_reactor::{Base, Event, Flags, LoopEnd};

use crate::support::*;

/// Three active user events; the first does `act`.
fn three(base: &Base, trace: &Trace, act: impl Fn(&Base) + 'static) -> Vec<Event> {
    let first = Event::user(base, {
        let trace = trace.clone();
        move |event, _| {
            trace.push("a");
            act(&event.base().unwrap());
        }
    });
    let events = vec![
        first,
        Event::user(base, trace.note("b")),
        Event::user(base, trace.note("c")),
    ];
    events.iter().for_each(|event| event.activate(Flags::NONE));
    events
}

/// EXIT-1, EXIT-8, HEAP-5: break ends the loop after the callback; the flag is cleared by the next entry.
#[test]
fn break_ends_after_the_callback() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let _events = three(base, &trace, Base::loop_break);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        trace.assert(["a"]);
        assert!(base.got_break() && !base.got_exit());
        let check = Event::user(base, |event, _| assert!(!event.base().unwrap().got_break()));
        check.activate(Flags::NONE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["b", "c"]);
    });
}

/// EXIT-2, EXIT-11: break and continue outside the loop have no effect.
#[test]
fn break_before_the_loop_is_forgotten() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let _events = three(base, &trace, |_| {});
        base.loop_break();
        base.loop_continue();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["a", "b", "c"]);
    });
}

/// EXIT-3, EXIT-9: exit lets the pass finish, what is appended to it too.
#[test]
fn exit_finishes_the_pass() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let appended = Event::user(base, trace.note("d"));
        let _events = three(base, &trace, move |base| {
            base.loop_exit(None).unwrap();
            assert!(!base.got_exit());
            appended.activate(Flags::NONE);
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        trace.assert(["a", "b", "c", "d"]);
        assert!(base.got_exit() && !base.got_break());
    });
}

/// EXIT-5: exit before the loop ends it after its first pass.
#[test]
fn exit_before_the_loop() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, trace.note("fd"));
        event.add().unwrap();
        base.loop_exit(None).unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        trace.assert(["fd"]);
    });
}

/// EXIT-6, LOOP-19: exits are timers: the earliest wins, the others end a later loop.
#[test]
fn exits_are_timers() {
    with_manual_clock(|base, hand| {
        base.loop_exit(Some(ms(200))).unwrap();
        base.loop_exit(Some(Duration::from_secs(3))).unwrap();
        hand.advance(ms(200));
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert!(base.got_exit());
        hand.advance(Duration::from_secs(3));
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert!(base.got_exit());
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert!(!base.got_exit());
    });
}

/// EXIT-10: continue begins a new iteration after the callback.
#[test]
fn continue_begins_a_new_iteration() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let _watcher = base.on_prepare({
            let trace = trace.clone();
            move |_, _| trace.push("wait")
        });
        let _events = three(base, &trace, Base::loop_continue);
        base.dispatch().unwrap();
        trace.assert(["wait", "a", "wait", "b", "c"]);
    });
}

/// EXIT-13, EXIT-15: break from a watcher ends the loop after at most one callback.
#[test]
fn break_from_a_watcher() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let watcher = base.on_check(Base::loop_break);
        let _events = three(base, &trace, |_| {});
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert!(trace.len() <= 1);
        drop(watcher);
    });
}

/// EXIT-16: both at once are both reported.
#[test]
fn exit_and_break_together() {
    for_each_backend(|base| {
        let trace = Trace::new();
        base.loop_exit(None).unwrap();
        let last = Event::user(base, |event, _| event.base().unwrap().loop_break());
        last.activate(Flags::NONE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert!(base.got_exit() && base.got_break());
        trace.assert([]);
    });
}

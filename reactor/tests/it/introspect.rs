//! INT: looking into a base.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Counted, Event, Flags, Method, VERSION, VERSION_NUMBER};

use crate::support::*;

/// INT-1: `pending` answers with what was asked for, of what holds.
#[test]
fn pending_is_masked() {
    for_each_backend(|base| {
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, |_, _| {});
        event.add_after(Duration::from_secs(9)).unwrap();
        assert_eq!(event.pending(Flags::WRITE), Flags::NONE);
        assert_eq!(
            event.pending(Flags::READ | Flags::WRITE | Flags::PERSIST),
            Flags::READ
        );
        assert_eq!(event.pending(Flags::TIMEOUT), Flags::TIMEOUT);
        assert!(event.deadline_wall_clock().is_some());
    });
}

/// INT-4: the running event is the one whose callback runs, and else there is none.
#[test]
fn running_event() {
    for_each_backend(|base| {
        assert!(base.running_event().is_none());
        let event = Event::signal(base, libc::SIGWINCH, |event, _| {
            let running = event.base().unwrap().running_event().unwrap();
            assert_eq!(running.number(), libc::SIGWINCH);
        });
        event.activate(Flags::SIGNAL);
        base.dispatch().unwrap();
        assert!(base.running_event().is_none());
    });
}

/// INT-5, INT-6: an event counts once for each set it is in.
#[test]
fn counts_are_memberships() {
    for_each_backend(|base| {
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ, |_, _| {});
        event.add_after(Duration::from_secs(9)).unwrap();
        assert_eq!(base.count(Counted::ADDED), 2);
        event.activate(Flags::READ);
        assert_eq!(
            (base.count(Counted::ADDED), base.count(Counted::ACTIVE)),
            (3, 1)
        );
        assert_eq!(base.count(Counted::ADDED | Counted::ACTIVE), 4);
        base.dispatch().unwrap();
        assert_eq!(
            base.count(Counted::ADDED | Counted::ACTIVE | Counted::VIRTUAL),
            0
        );
    });
}

/// INT-7: the maximum survives deletion, and is cleared to zero.
#[test]
fn maximum_is_kept_until_cleared() {
    for_each_backend(|base| {
        let (here, _there) = pair();
        let events = [0, 1].map(|_| on_fd(base, &here, Flags::READ, |_, _| {}));
        events
            .iter()
            .for_each(|event| event.add_after(Duration::from_secs(9)).unwrap());
        events[0].del().unwrap();
        assert_eq!(base.max_count(Counted::ADDED, false), 4);
        assert_eq!(base.max_count(Counted::ADDED, true), 4);
        events[1].del().unwrap();
        assert!(base.max_count(Counted::ADDED, false) <= 2);
        let users = [0, 1, 2].map(|_| Event::user(base, |_, _| {}));
        users.iter().for_each(|event| event.activate(Flags::NONE));
        look(base);
        events[1].activate(Flags::READ);
        look(base);
        assert_eq!(base.max_count(Counted::ACTIVE, true), 3);
    });
}

/// INT-8, INT-11: every pending or active event is shown once, until the closure breaks.
#[test]
fn each_event_is_shown_once() {
    for_each_backend(|base| {
        let events = [0; 5].map(|_| Event::timer(base, |_, _| {}));
        for at in [0, 1, 3] {
            events[at].add_after(Duration::from_secs(9)).unwrap();
        }
        events[1].activate(Flags::READ);
        events[2].activate(Flags::READ);
        let mut shown = 0;
        let end = base.for_each_event(|_| {
            shown += 1;
            ControlFlow::<()>::Continue(())
        });
        assert!(end.is_continue());
        assert_eq!(shown, 4);
        assert_eq!(
            base.for_each_event(|_| ControlFlow::Break(101)),
            ControlFlow::Break(101)
        );
    });
}

/// INT-12: the dump names what is pending and what is active.
#[test]
fn dump_names_events() {
    for_each_backend(|base| {
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, |_, _| {});
        event.add().unwrap();
        event.activate(Flags::READ);
        let mut text = String::new();
        base.dump(&mut text).unwrap();
        assert!(
            text.contains(&format!("  [fd  {}] Read Persist\n", event.number())),
            "{text}"
        );
        assert!(
            text.contains(&format!(
                "  [fd  {}, priority=0] Read active\n",
                event.number()
            )),
            "{text}"
        );
    });
}

/// INT-13, ACT-21: activation by descriptor reaches those that wait for one of the kinds; other numbers are ignored.
#[test]
fn activation_by_descriptor() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let reader = on_fd(base, &here, Flags::READ, trace.note_what("reader"));
        let closer = on_fd(base, &here, Flags::CLOSED, trace.note_what("closer"));
        let idle = on_fd(base, &here, Flags::READ, trace.note_what("idle"));
        reader.add().unwrap();
        closer.add().unwrap();
        base.activate_fd(idle.number(), Flags::READ | Flags::WRITE);
        for number in [-1, 1000, i32::MAX] {
            base.activate_fd(number, Flags::READ);
        }
        look(base);
        trace.assert(["reader READ"]);
    });
}

/// INT-14: with TIMEOUT those that carry the number and have a deadline are activated.
#[test]
fn activation_by_descriptor_with_timeout() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ, trace.note_what("event"));
        event.add_after(Duration::from_secs(600)).unwrap();
        base.activate_fd(event.number(), Flags::READ);
        base.activate_fd(event.number(), Flags::TIMEOUT);
        look(base);
        trace.assert(["event TIMEOUT|READ"]);
    });
}

/// INT-15: activation by signal reaches its events once; other numbers are ignored.
#[test]
fn activation_by_signal() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let event = Event::signal(base, libc::SIGWINCH, trace.note_what("signal"));
        event.add().unwrap();
        for number in [libc::SIGWINCH, 1000, -1] {
            base.activate_signal(number);
        }
        look(base);
        trace.assert(["signal SIGNAL"]);
    });
}

/// INT-16, INT-17, INT-18: names, methods and levels.
#[test]
fn names_and_methods() {
    let names: Vec<_> = Method::supported()
        .iter()
        .map(|method| method.name())
        // In a build with libkqueue, last.
        .filter(|&name| name != "kqueue")
        .collect();
    assert_eq!(names, ["epoll", "poll", "select"]);
    for_each_backend(|base| {
        assert_eq!(base.signal_method(), "signal");
        assert_eq!(base.priorities(), 1);
        base.set_priorities(8).unwrap();
        assert_eq!(base.priorities(), 8);
    });
}

/// INT-2: an event without a timeout has no deadline to report; one that was reached is reported until the callback runs.
#[test]
fn reached_deadline_is_reported() {
    with_manual_clock(|base, hand| {
        let (here, _there) = readable_pair();
        let untimed = on_fd(base, &here, Flags::READ, |_, _| {});
        untimed.add().unwrap();
        assert_eq!(
            (untimed.deadline(), untimed.deadline_wall_clock()),
            (None, None)
        );
        untimed.del().unwrap();
        let second = Rc::new(Event::timer(base, |_, _| {}));
        let sees = second.clone();
        let first = Event::timer(base, move |event, _| {
            // Its own has been delivered; the other's is still to come.
            assert_eq!(event.deadline(), None);
            assert_eq!(sees.pending(Flags::TIMEOUT), Flags::TIMEOUT);
            assert_eq!(sees.deadline(), Some(ms(20)));
            assert!(sees.deadline_wall_clock().is_some());
        });
        first.add_after(ms(10)).unwrap();
        second.add_after(ms(20)).unwrap();
        hand.advance(ms(20));
        look(base);
        assert_eq!(second.deadline(), None);
    });
}

/// INT-9: iteration has an order, of which nothing is promised. Better than INT-10: events for later and those without a
/// descriptor are shown too.
#[test]
fn hidden_events_are_shown() {
    for_each_backend(|base| {
        let later = Event::timer(base, |_, _| {});
        later.activate_later(Flags::WRITE);
        // SAFETY: -1 is no descriptor.
        let bare = unsafe { Event::from_raw_fd(base, -1, Flags::READ, |_, _| {}) }.unwrap();
        bare.add().unwrap();
        let mut shown = Vec::new();
        let _ = base.for_each_event(|info| {
            shown.push((info.is_later, info.is_inserted));
            ControlFlow::<()>::Continue(())
        });
        shown.sort_unstable();
        assert_eq!(shown, [(false, true), (true, false)]);
    });
}

/// INT-19: the version as text and as a number.
#[test]
fn versions_agree() {
    let parts = VERSION.split(['.', '-']).take(3);
    let number = parts.fold(0, |number, part| number << 8 | part.parse::<u32>().unwrap());
    assert_eq!(VERSION_NUMBER >> 8, number);
}

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
        // What is active counts, whether or not it was asked for in the beginning.
        event.activate(Flags::WRITE);
        let all = Flags::from_bits(0xff);
        assert_eq!(
            event.pending(all),
            Flags::TIMEOUT | Flags::READ | Flags::WRITE
        );
        event.del().unwrap();
        let edges = Flags::WRITE | Flags::CLOSED | Flags::ET | Flags::PERSIST;
        let event = on_fd(base, &here, edges, |_, _| {});
        event.add().unwrap();
        assert_eq!(event.pending(all), Flags::WRITE | Flags::CLOSED);
        let event = Event::signal(base, libc::SIGWINCH, |_, _| {});
        event.add().unwrap();
        assert_eq!(event.pending(all), Flags::SIGNAL);
    });
}

/// INT-4: the running event is the one whose callback runs, and else there is none: not in what was posted, nor in watchers.
#[test]
fn running_event() {
    for_each_backend(|base| {
        assert!(base.running_event().is_none());
        let event = Event::signal(base, libc::SIGWINCH, |event, _| {
            let running = event.base().unwrap().running_event().unwrap();
            assert_eq!(running.number(), libc::SIGWINCH);
        });
        event.activate(Flags::SIGNAL);
        let watcher = base.on_check(|base| assert!(base.running_event().is_none()));
        let (posted, is_posted) = std::sync::mpsc::channel();
        let post = move |base: &levent_reactor::Base| {
            posted.send(base.running_event().is_none()).unwrap();
        };
        base.remote().post(post).unwrap();
        base.dispatch().unwrap();
        drop(watcher);
        assert_eq!(is_posted.try_recv(), Ok(true));
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

/// INT-8: every pending or active event is shown once, until the closure breaks.
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

/// INT-12, better than it: the dump names what is pending and what is active, without addresses, and then what libevent does not have.
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
        event.del().unwrap();
        let signal = Event::signal(base, libc::SIGWINCH, |_, _| {});
        signal.add_after(Duration::from_secs(9)).unwrap();
        let later = Event::timer(base, |_, _| {});
        later.activate_later(Flags::TIMEOUT);
        let mut text = String::new();
        base.dump(&mut text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "Inserted events:");
        let timed = lines[1].strip_prefix(&format!(
            "  [sig {}] Signal Persist Timeout=",
            libc::SIGWINCH
        ));
        let (_, fraction) = timed
            .unwrap_or_else(|| panic!("{text}"))
            .split_once('.')
            .unwrap();
        assert_eq!(fraction.len(), 6);
        assert_eq!(lines[2], "Active events:");
        assert_eq!(lines[3], "  [fd  -1, priority=0] Timeout active [NextTime]");
        assert_eq!(lines[4], format!("Method: {}", base.method().name()));
    });
}

/// Better than INT-11, THR-6: what is shown was collected before, so the closure may change the base and its events.
#[test]
fn iteration_may_change_the_base() {
    for_each_backend(|base| {
        let events = [0; 5].map(|_| Event::timer(base, |_, _| {}));
        for event in &events[..3] {
            event.add_after(Duration::from_secs(9)).unwrap();
        }
        let mut shown = 0;
        let _ = base.for_each_event(|_| {
            shown += 1;
            events[..3].iter().for_each(|event| event.del().unwrap());
            events[3].add_after(Duration::from_secs(9)).unwrap();
            events[4].activate(Flags::READ);
            let _ = base.for_each_event(|_| ControlFlow::<()>::Continue(()));
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(shown, 3);
        assert_eq!(base.count(Counted::ADDED), 2);
    });
}

/// INT-17: the methods of the build, in order, whatever the environment forbids.
#[test]
#[cfg(target_os = "linux")]
fn methods_whatever_the_environment() {
    let variables = [
        ("EVENT_NOEPOLL", "1"),
        ("EVENT_NOPOLL", "1"),
        ("LEVENT_BACKEND", ""),
    ];
    if !in_child_with("introspect::methods_whatever_the_environment", &variables) {
        return;
    }
    assert_eq!(
        levent_reactor::Base::new().unwrap().method(),
        Method::Select
    );
    let supported = Method::supported();
    assert_eq!(
        supported[..3],
        [Method::Epoll, Method::Poll, Method::Select]
    );
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

        // In common queues too; kinds beside TIMEOUT do not count, and deadlines stay.
        let token = base.common_timeout(Duration::from_secs(600)).unwrap();
        let common = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note_what("common"),
        );
        common.add_common(token).unwrap();
        let untimed = on_fd(base, &here, Flags::READ, trace.note_what("untimed"));
        untimed.add().unwrap();
        let timer = Event::timer(base, trace.note_what("timer"));
        timer.add_after(Duration::from_secs(600)).unwrap();
        let deadline = common.deadline();
        base.activate_fd(common.number(), Flags::READ | Flags::TIMEOUT);
        assert_eq!(common.deadline(), deadline);
        look(base);
        trace.assert(["common TIMEOUT"]);
        // The number of no descriptor is that of all timers.
        base.activate_fd(-1, Flags::TIMEOUT);
        look(base);
        trace.assert(["timer TIMEOUT"]);
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

//! EV: events and their life cycle.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Base, Counted, Event, Flags, LoopEnd, LoopFlags};

use crate::support::*;

const ALL: Flags = Flags::from_bits(0xff);

/// EV-1, EV-14: a new event is idle.
#[test]
fn new_event_is_idle() {
    for_each_backend(|base| {
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, |_, _| {});
        assert_eq!(event.pending(ALL), Flags::NONE);
        assert!(!event.is_pending() && event.deadline().is_none());
        assert_eq!(base.count(Counted::ADDED), 0);
    });
}

/// EV-2, ERR-2: a bad combination of flags is refused when the event is made.
#[test]
fn signal_with_descriptor_is_refused() {
    let base = Base::new().unwrap();
    let (here, _there) = pair();
    let made = Event::new(&base, here, Flags::SIGNAL | Flags::READ, |_, _, _| {});
    assert_eq!(made.unwrap_err().kind(), ErrorKind::InvalidInput);
    // SAFETY: the number is -1, no descriptor's.
    let made = unsafe { Event::from_raw_fd(&base, -1, Flags::SIGNAL | Flags::CLOSED, |_, _| {}) };
    assert_eq!(made.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// EV-3, EV-4: the default priority is the middle one of the moment, and stays.
#[test]
fn default_priority_is_the_middle() {
    let base = Base::new().unwrap();
    let early = Event::user(&base, |_, _| {});
    for (levels, middle) in [(1, 0), (2, 1), (3, 1), (4, 2), (8, 4), (255, 127)] {
        base.set_priorities(levels).unwrap();
        assert_eq!(Event::timer(&base, |_, _| {}).priority(), middle);
    }
    assert_eq!(early.priority(), 0);
}

/// EV-5: numbers are not looked at before the event is added.
#[test]
fn numbers_are_not_checked_when_made() {
    let base = Base::new().unwrap();
    for number in [-1, 1_000_000, i32::MAX] {
        // SAFETY: no open descriptor has this number, and the event is never added.
        let event = unsafe { Event::from_raw_fd(&base, number, Flags::READ, |_, _| {}) }.unwrap();
        assert_eq!(event.number(), number);
    }
    for signal in [-1, 65] {
        assert_eq!(Event::signal(&base, signal, |_, _| {}).number(), signal);
    }
}

/// EV-6: TIMEOUT in the interest is reported back and does nothing.
#[test]
fn timeout_interest_changes_nothing() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(
            base,
            &here,
            Flags::TIMEOUT | Flags::READ,
            trace.note_what("fd"),
        );
        assert_eq!(event.interest(), Flags::TIMEOUT | Flags::READ);
        event.add().unwrap();
        assert_eq!(event.pending(ALL), Flags::READ);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["fd READ"]);
    });
}

/// EV-7: a timer may carry a descriptor's number, which nobody looks at.
#[test]
fn timer_carries_a_number() {
    with_manual_clock(|base, hand| {
        let seen = Rc::new(Cell::new(0));
        let callback = {
            let seen = seen.clone();
            move |event: &Event, _| seen.set(event.number())
        };
        // SAFETY: without READ, WRITE or CLOSED the number is never used as a descriptor.
        let timer = unsafe { Event::from_raw_fd(base, 7777, Flags::NONE, callback) }.unwrap();
        timer.add_after(ms(1)).unwrap();
        hand.advance(ms(1));
        look(base);
        assert_eq!(seen.get(), 7777);
    });
}

/// EV-8, EV-16: the callback gets its source, what happened, and the event itself.
#[test]
fn callback_gets_source_and_event() {
    for_each_backend(|base| {
        let (here, _there) = readable_pair();
        let number = here.as_raw_fd();
        let ran = Rc::new(Cell::new(0));
        let (ran2, base2) = (ran.clone(), base.clone());
        let event = Event::new(
            base,
            here,
            Flags::READ,
            move |source: &Rc<_>, what, event| {
                assert_eq!(source.as_raw_fd(), number);
                assert_eq!(event.number(), number);
                assert_eq!(what, Flags::READ);
                assert_eq!(base2.running_event().unwrap().number(), number);
                ran2.set(ran2.get() + 1);
            },
        )
        .unwrap();
        event.add().unwrap();
        base.dispatch().unwrap();
        assert_eq!(ran.get(), 1);
        let timer = Event::timer(base, |event, _| assert_eq!(event.number(), -1));
        timer.activate(Flags::NONE);
        look(base);
    });
}

/// EV-9; better than DBG-3: an event that is pending or active cannot be made another. It is an error, always looked for.
#[test]
fn pending_event_is_not_assigned_over() {
    let base = Base::new().unwrap();
    let trace = Trace::new();
    let event = Event::timer(&base, trace.note("old"));
    event.activate(Flags::NONE);
    let refused = event.assign(Event::timer(&base, trace.note("new")));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ResourceBusy);
    look(&base);
    trace.assert(["old"]);
}

/// EV-10: assigning an idle event makes it the other in all respects.
#[test]
fn idle_event_is_assigned_over() {
    let base = Base::new().unwrap();
    base.set_priorities(4).unwrap();
    let trace = Trace::new();
    let event = Event::interval(&base, trace.note("old"));
    event.set_priority(0).unwrap();
    let same = event.clone();
    event
        .assign(Event::timer(&base, trace.note("new")))
        .unwrap();
    assert_eq!((same.priority(), same.interest()), (2, Flags::NONE));
    same.activate(Flags::NONE);
    look(&base);
    trace.assert(["new"]);
}

/// EV-11, ERR-24: an idle event moves to another base and gets its middle priority; one that is pending, active or finalized does not.
#[test]
fn idle_event_changes_base() {
    let (one, other) = (Base::new().unwrap(), Base::new().unwrap());
    other.set_priorities(8).unwrap();
    let trace = Trace::new();
    let event = Event::timer(&one, trace.note("ran"));
    event.add_after(Duration::from_secs(10)).unwrap();
    assert_eq!(
        event.set_base(&other).unwrap_err().kind(),
        ErrorKind::ResourceBusy
    );
    assert_eq!(one.count(Counted::ADDED), 1);
    event.del().unwrap();
    event.activate_later(Flags::NONE);
    assert_eq!(
        event.set_base(&other).unwrap_err().kind(),
        ErrorKind::ResourceBusy
    );
    event.del().unwrap();
    event.set_base(&other).unwrap();
    assert_eq!(event.priority(), 4);
    event.activate(Flags::NONE);
    look(&one);
    trace.assert([]);
    look(&other);
    trace.assert(["ran"]);
    event.finalize(|_| {});
    look(&other);
    assert_eq!(
        event.set_base(&one).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

/// EV-12, EV-19: an event may be dropped inside its own callback, with its source and what the callback owns.
#[test]
fn dropped_in_its_own_callback() {
    for_each_backend(|base| {
        for interest in [Flags::READ, Flags::READ | Flags::PERSIST] {
            let (here, there) = readable_pair();
            let weak = Rc::downgrade(&here);
            let place = Rc::new(RefCell::new(None));
            let runs = Rc::new(Cell::new(0));
            let (place2, runs2, owned) = (place.clone(), runs.clone(), vec![1, 2, 3]);
            let event = Event::new(base, here, interest, move |source: &Rc<_>, _, _| {
                drop(place2.take());
                // Both still live while the callback runs.
                assert!(source.as_raw_fd() >= 0);
                assert_eq!(owned.len(), 3);
                runs2.set(runs2.get() + 1);
            })
            .unwrap();
            event.add_after(Duration::from_secs(5)).unwrap();
            *place.borrow_mut() = Some(event);
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
            assert_eq!(runs.get(), 1);
            assert!(weak.upgrade().is_none(), "the source went with the event");
            drop(there);
        }
    });
}

/// EV-12: dropping the last handle deletes an event in every state; a detached one stays.
#[test]
fn dropping_deletes() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let first = on_fd(base, &here, Flags::READ, trace.note("fd"));
        first.add().unwrap();
        let second = Event::timer(base, trace.note("active"));
        second.activate(Flags::TIMEOUT);
        let kept = second.clone();
        drop((first, second));
        look(base);
        trace.assert(["active"]);
        drop(kept);
        let detached = Event::timer(base, trace.note("detached"));
        detached.add_after(ms(1)).unwrap();
        detached.detach();
        hand.advance(ms(1));
        look(base);
        trace.assert(["detached"]);
        assert_eq!(base.count(Counted::ADDED), 0);
    });
}

/// EV-13: a user event runs when it is triggered, with nothing in `what`.
#[test]
fn user_event_runs_with_nothing() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let event = Event::user(base, trace.note_what("user"));
        event.activate(Flags::NONE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["user NONE"]);
    });
}

/// EV-17, ADD-12: a plain event is idle in its callback, and adding it again is the way to continue.
#[test]
fn plain_event_is_idle_in_its_callback() {
    for_each_backend(|base| {
        let (here, _there) = readable_pair();
        let runs = Rc::new(Cell::new(0));
        let event = on_fd(base, &here, Flags::READ, {
            let runs = runs.clone();
            move |event, _| {
                assert_eq!(event.pending(ALL), Flags::NONE);
                assert!(!event.is_pending());
                runs.set(runs.get() + 1);
                if runs.get() == 1 {
                    event.add().unwrap();
                }
            }
        });
        event.add().unwrap();
        let entered = base.enter().unwrap();
        entered.turn(levent_reactor::Wait::Poll).unwrap();
        assert_eq!(runs.get(), 1, "registered afresh, for the next iteration");
        entered.turn(levent_reactor::Wait::Poll).unwrap();
        entered.turn(levent_reactor::Wait::Poll).unwrap();
        assert_eq!(runs.get(), 2);
    });
}

/// EV-18, FLG-12: a persistent event stays, and runs in every iteration while the condition lasts.
#[test]
fn persistent_event_stays() {
    for_each_backend(|base| {
        let (here, _there) = pair();
        let runs = Rc::new(Cell::new(0));
        let event = on_fd(base, &here, Flags::WRITE | Flags::PERSIST, {
            let runs = runs.clone();
            move |event, what| {
                assert_eq!(what, Flags::WRITE);
                assert_eq!(event.pending(ALL), Flags::WRITE);
                event.add().unwrap();
                runs.set(runs.get() + 1);
            }
        });
        event.add().unwrap();
        for expected in 1..=5 {
            look(base);
            assert_eq!(runs.get(), expected);
        }
    });
}

/// EV-22, INT-3: what an event was made with reads the same before and after it ran.
#[test]
fn assignment_does_not_change() {
    for_each_backend(|base| {
        let (here, _there) = readable_pair();
        let interest = Flags::READ | Flags::PERSIST | Flags::FINALIZE;
        let event = on_fd(base, &here, interest, |_, _| {});
        let read = |event: &Event| (event.number(), event.interest(), event.priority());
        let before = read(&event);
        assert_eq!(before, (here.as_raw_fd(), interest, 0));
        event.add().unwrap();
        look(base);
        look(base);
        assert_eq!(read(&event), before);
        assert!(event.base().is_some());
    });
}

/// EV-12: an event of which its callback owns a handle is no leak: assigning breaks the circle.
#[test]
fn callback_may_own_its_event() {
    let base = Base::new().unwrap();
    let place: Rc<RefCell<Option<Event>>> = Rc::default();
    let owned = Rc::new(());
    let event = Event::timer(&base, {
        let (place, owned) = (place.clone(), owned.clone());
        move |_, _| {
            let _owned = &owned;
            if let Some(event) = place.take() {
                event.del().unwrap();
            }
        }
    });
    event.activate(Flags::NONE);
    *place.borrow_mut() = Some(event);
    base.run_loop(LoopFlags::ONCE).unwrap();
    assert_eq!(Rc::strong_count(&owned), 1);
}

/// EV-10: what was assigned leaves nothing behind: another handle of it watches no descriptor, so that a number which is used again
/// belongs to its new owner alone. An event whose callback runs cannot be assigned to another.
#[test]
fn assigned_event_leaves_nothing_behind() {
    if !in_child("event::assigned_event_leaves_nothing_behind") {
        return;
    }
    for_each_backend(|base| {
        let (here, _there) = UnixStream::pair().unwrap();
        let owner = Event::new(base, here, Flags::READ | Flags::PERSIST, |_, _, _| {}).unwrap();
        let number = owner.number();
        let husk = owner.clone();
        let to = Event::user(base, |_, _| {});
        to.assign(owner).unwrap();
        assert_eq!((to.number(), husk.number()), (number, -1));
        let _ = husk.add();
        drop(to);
        let trace = Trace::new();
        let (other, mut peer) = UnixStream::pair().unwrap();
        assert_eq!(other.as_raw_fd(), number);
        let mut note = trace.note("other");
        let event = Event::new(base, other, Flags::READ, move |_, what, event| {
            note(event, what)
        });
        let event = event.unwrap();
        event.add().unwrap();
        peer.write_all(b"x").unwrap();
        look(base);
        trace.assert(["other"]);

        let idle = Event::user(base, |_, _| {});
        let target = idle.clone();
        let running = Event::user(base, move |event, _| {
            let error = target.assign(event.clone()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
        });
        running.activate(Flags::NONE);
        look(base);
    });
}

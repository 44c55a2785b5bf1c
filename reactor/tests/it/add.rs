//! ADD, DEL: adding and deleting events.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Counted, Event, Flags, LoopEnd, Method, Wait};

use crate::support::*;

const ALL: Flags = Flags::from_bits(0xff);

/// ADD-1, ADD-21, BK-2: added without a timeout, an event is pending for its interest, and readiness from before counts.
#[test]
fn pending_for_its_interest() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::WRITE | Flags::PERSIST,
            trace.note_what("event"),
        );
        event.add().unwrap();
        trace.assert([]);
        assert_eq!(event.pending(ALL), Flags::READ | Flags::WRITE);
        look(base);
        trace.assert(["event READ|WRITE"]);
    });
}

/// ADD-2: a timer added without a timeout is not pending.
#[test]
fn timer_without_timeout_is_not_added() {
    for_each_backend(|base| {
        let timer = Event::timer(base, |_, _| panic!("never"));
        timer.add().unwrap();
        assert!(!timer.is_pending());
        assert_eq!(base.count(Counted::ADDED), 0);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// ADD-3, TIME-5: timeouts added in one callback count from the iteration's time.
#[test]
fn timeouts_count_from_the_cached_time() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timers = [
            Event::timer(base, trace.note("one")),
            Event::timer(base, trace.note("other")),
        ];
        base.once_after(Duration::ZERO, {
            let (timers, hand) = (timers.clone(), hand.clone());
            move || {
                timers[0].add_after(ms(100)).unwrap();
                hand.advance(ms(30));
                timers[1].add_after(ms(100)).unwrap();
            }
        });
        look(base);
        assert_eq!(timers[0].deadline(), timers[1].deadline());
        hand.advance(ms(69));
        look(base);
        trace.assert([]);
        hand.advance(ms(1));
        look(base);
        trace.assert(["one", "other"]);
    });
}

/// ADD-4, TIME-14: a zero timeout expires in the next iteration, so it starves nothing (B1).
#[test]
fn zero_timeout_waits_for_the_next_iteration() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let reader = on_fd(base, &here, Flags::READ | Flags::PERSIST, trace.note("fd"));
        reader.add().unwrap();
        let timer = Event::timer(base, {
            let trace = trace.clone();
            move |event, _| {
                trace.push("timer");
                event.add_after(Duration::ZERO).unwrap();
            }
        });
        timer.add_after(Duration::ZERO).unwrap();
        let entered = base.enter().unwrap();
        for _ in 0..3 {
            entered.turn(Wait::Poll).unwrap();
            trace.assert(["fd", "timer"]);
        }
    });
}

/// ADD-5: adding again without a timeout leaves the deadline.
#[test]
fn adding_again_leaves_the_deadline() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ, trace.note_what("event"));
        event.add_after(ms(100)).unwrap();
        event.add().unwrap();
        assert_eq!(event.deadline(), Some(ms(100)));
        hand.advance(ms(100));
        base.dispatch().unwrap();
        trace.assert(["event TIMEOUT"]);
    });
}

/// ADD-6: adding again with a timeout replaces the deadline, later or earlier.
#[test]
fn adding_again_replaces_the_deadline() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let later = on_fd(base, &here, Flags::READ, trace.note_what("later"));
        later.add_after(ms(50)).unwrap();
        later.add_after(ms(200)).unwrap();
        let earlier = Event::timer(base, trace.note_what("earlier"));
        earlier.add_after(ms(200)).unwrap();
        earlier.add_after(ms(50)).unwrap();
        assert_eq!(later.pending(ALL), Flags::READ | Flags::TIMEOUT);
        assert_eq!(base.count(Counted::ADDED), 3);
        hand.advance(ms(50));
        look(base);
        trace.assert(["earlier TIMEOUT"]);
        hand.advance(ms(149));
        look(base);
        trace.assert([]);
        hand.advance(ms(1));
        look(base);
        trace.assert(["later TIMEOUT"]);
    });
}

/// ADD-7: for a persistent event the interval is replaced, too.
#[test]
fn adding_again_replaces_the_interval() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::interval(base, trace.note("tick"));
        timer.add_after(ms(50)).unwrap();
        timer.add_after(ms(200)).unwrap();
        for (at, ticks) in [(199, 0), (1, 1), (199, 1), (1, 2)] {
            hand.advance(ms(at));
            look(base);
            assert_eq!(trace.len(), ticks);
        }
    });
}

/// ADD-8, EP-5, EP-6: what the backend refuses changes nothing.
#[test]
fn refused_add_changes_nothing() {
    let base = base_on(Method::Epoll);
    let trace = Trace::new();
    let file = Rc::new(std::fs::File::open("/proc/self/exe").unwrap());
    let event = on_fd(&base, &file, Flags::READ, trace.note("event"));
    assert_eq!(
        event.add_after(ms(1)).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(event.pending(ALL), Flags::NONE);
    assert_eq!(base.count(Counted::ADDED), 0);
    assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    trace.assert([]);
}

/// ADD-9: adding an expired event with a timeout cancels the expiry that has not run yet.
#[test]
fn new_timeout_cancels_an_expiry() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let second = Event::timer(base, trace.note("second"));
        let first = Event::timer(base, {
            let (second, trace) = (second.clone(), trace.clone());
            move |_, _| {
                trace.push("first");
                second.add_after(Duration::from_secs(1)).unwrap();
            }
        });
        first.add_after(ms(1)).unwrap();
        second.add_after(ms(1)).unwrap();
        hand.advance(ms(1));
        look(base);
        trace.assert(["first"]);
        hand.advance(Duration::from_secs(1));
        look(base);
        trace.assert(["second"]);
    });
}

/// ADD-10: adding without a timeout cancels nothing.
#[test]
fn add_without_timeout_cancels_nothing() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let second = on_fd(base, &here, Flags::READ, trace.note_what("second"));
        let first = Event::timer(base, {
            let second = second.clone();
            move |_, _| second.add().unwrap()
        });
        first.add_after(ms(1)).unwrap();
        second.add_after(ms(1)).unwrap();
        hand.advance(ms(1));
        look(base);
        trace.assert(["second TIMEOUT"]);
    });
}

/// Better than ADD-11: an active event that is not inserted is registered when it is added.
#[test]
fn active_event_is_registered() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note_what("event"),
        );
        event.activate(Flags::WRITE);
        event.add().unwrap();
        look(base);
        trace.assert(["event WRITE"]);
        assert_eq!(event.pending(ALL), Flags::READ);
        there.write_all(b"x").unwrap();
        look(base);
        trace.assert(["event READ"]);
    });
}

/// ADD-13: an event's own removal before its callback undoes an add that came before in the same pass.
#[test]
fn removal_undoes_an_earlier_add() {
    for_each_backend(|base| {
        let events: Rc<RefCell<Vec<Event>>> = Rc::default();
        let last = Rc::new(Cell::new(9));
        let pairs = [readable_pair(), readable_pair()];
        for (own, (here, _)) in pairs.iter().enumerate() {
            let (all, last) = (events.clone(), last.clone());
            let event = on_fd(base, here, Flags::READ, move |_, _| {
                last.set(own);
                let other = all.borrow()[1 - own].clone();
                other.add().unwrap();
            });
            event.add().unwrap();
            events.borrow_mut().push(event);
        }
        base.enter().unwrap().turn(Wait::Poll).unwrap();
        let pending: Vec<bool> = events.borrow().iter().map(Event::is_pending).collect();
        // The one that the last callback added.
        assert_eq!(pending, [last.get() == 1, last.get() == 0]);
        events.borrow_mut().clear();
    });
}

/// ADD-15, ERR-4: a negative descriptor is pending, counted, and fires by time or hand only.
#[test]
fn negative_descriptor_waits_for_time() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        // SAFETY: -1 is no descriptor.
        let event =
            unsafe { Event::from_raw_fd(base, -1, Flags::READ, trace.note_what("event")) }.unwrap();
        event.add().unwrap();
        assert_eq!(base.count(Counted::ADDED), 1);
        assert_eq!(look(base), LoopEnd::Stopped);
        event.add_after(ms(100)).unwrap();
        hand.advance(ms(100));
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["event TIMEOUT"]);
    });
}

/// ADD-16, ERR-7, ERR-12: numbers that no descriptor or signal has are refused, and cost no table.
#[test]
fn absurd_numbers_are_refused() {
    for_each_backend(|base| {
        for number in [i32::MAX, i32::MAX / 2] {
            // SAFETY: no open descriptor has such a number.
            let event =
                unsafe { Event::from_raw_fd(base, number, Flags::READ, |_, _| {}) }.unwrap();
            assert!(event.add().is_err());
            assert!(event.add_after(ms(1)).is_err());
            assert!(!event.is_pending());
        }
        for signal in [-1, 0, 65, i32::MAX] {
            let event = Event::signal(base, signal, |_, _| {});
            assert_eq!(event.add().unwrap_err().kind(), ErrorKind::InvalidInput);
            assert!(!event.is_pending());
        }
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// ADD-17: the longest timeout never comes, and does not overflow.
#[test]
fn longest_timeout_never_comes() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timers = [
            Event::timer(base, trace.note("once")),
            Event::interval(base, trace.note("often")),
        ];
        hand.advance(ms(1));
        for timer in &timers {
            timer.add_after(Duration::MAX).unwrap();
            assert!(timer.is_pending());
        }
        hand.advance(Duration::from_secs(1 << 33));
        look(base);
        trace.assert([]);
        assert_eq!(base.count(Counted::ADDED), 2);
    });
}

/// DEL-1, ERR-15: deleting makes idle, whatever the state, and twice is harmless.
#[test]
fn deleting_makes_idle() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ, trace.note("event"));
        event.del().unwrap();
        event.add_after(ms(1)).unwrap();
        event.activate(Flags::READ);
        event.del().unwrap();
        event.del().unwrap();
        assert_eq!(event.pending(ALL), Flags::NONE);
        event.activate_later(Flags::READ);
        event.del().unwrap();
        assert_eq!(base.count(Counted::ADDED | Counted::ACTIVE), 0);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert([]);
    });
}

/// DEL-2: an event deleted after it became active does not run.
#[test]
fn deleted_before_it_ran() {
    for_each_backend(|base| {
        let runs = Rc::new(Cell::new(0));
        let events: Rc<RefCell<Vec<Event>>> = Rc::default();
        let pairs: Vec<_> = (0..4).map(|_| readable_pair()).collect();
        for (here, _) in &pairs {
            let (all, runs) = (events.clone(), runs.clone());
            let event = on_fd(base, here, Flags::READ | Flags::PERSIST, move |_, _| {
                runs.set(runs.get() + 1);
                for event in all.take() {
                    event.del().unwrap();
                }
            });
            event.add().unwrap();
            events.borrow_mut().push(event);
        }
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(runs.get(), 1);
    });
}

/// DEL-3, LOOP-4: a persistent timer that deletes itself stops, and the loop runs dry.
#[test]
fn persistent_timer_deletes_itself() {
    for_each_backend(|base| {
        let runs = Rc::new(Cell::new(0));
        let timer = Event::interval(base, {
            let runs = runs.clone();
            move |event, _| {
                runs.set(runs.get() + 1);
                if runs.get() == 3 {
                    event.del().unwrap();
                }
            }
        });
        timer.add_after(ms(1)).unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(runs.get(), 3);
    });
}

/// DEL-4: a deleted event can be added again as it was.
#[test]
fn deleted_event_is_added_again() {
    for_each_backend(|base| {
        base.set_priorities(3).unwrap();
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ, trace.note("event"));
        event.set_priority(2).unwrap();
        for _ in 0..3 {
            event.add().unwrap();
            event.del().unwrap();
        }
        event.add().unwrap();
        assert_eq!(event.priority(), 2);
        base.dispatch().unwrap();
        trace.assert(["event"]);
    });
}

/// DEL-6, EP-4, ERR-16: an event whose descriptor was closed is idle after deletion, whatever the backend says. epoll refuses to
/// change what is left, and has nothing against forgetting the last.
#[test]
fn deleted_after_its_descriptor_closed() {
    if !in_child("add::deleted_after_its_descriptor_closed") {
        return;
    }
    for_each_backend(|base| {
        let (here, _there) = pair();
        let reader = on_fd(base, &here, Flags::READ, |_, _| {});
        let writer = on_fd(base, &here, Flags::WRITE, |_, _| {});
        reader.add().unwrap();
        writer.add().unwrap();
        close_behind(&here, || {
            let refused = reader.del();
            assert_eq!(refused.is_err(), base.method() == Method::Epoll);
            assert!(!reader.is_pending());
            writer.del().unwrap();
        });
        assert!(!writer.is_pending());
        assert_eq!(base.count(Counted::ADDED), 0);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// DEL-9: deleting inside its own callback never waits.
#[test]
fn deleting_inside_its_callback() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, {
            let trace = trace.clone();
            move |event, _| {
                event.del().unwrap();
                event.del().unwrap();
                trace.push("ran");
            }
        });
        event.add_after(ms(500)).unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["ran"]);
    });
}

/// DEL-13: taking the timer away leaves the descriptor and forgets the interval.
#[test]
fn removing_the_timer_leaves_the_descriptor() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note_what("event"),
        );
        event.add_after(ms(75)).unwrap();
        hand.advance(ms(25));
        event.remove_timer();
        event.remove_timer();
        assert_eq!(event.pending(ALL), Flags::READ);
        for _ in 0..2 {
            there.write_all(b"x").unwrap();
            look(base);
            drain(&here);
            assert_eq!(event.deadline(), None, "no interval is left");
            hand.advance(ms(80));
            look(base);
        }
        trace.assert(["event READ", "event READ"]);
    });
}

/// DEL-14: a timer without its deadline is idle.
#[test]
fn removing_the_timer_of_a_timer() {
    with_manual_clock(|base, hand| {
        let timer = Event::timer(base, |_, _| panic!("never"));
        timer.add_after(ms(75)).unwrap();
        timer.remove_timer();
        assert!(!timer.is_pending());
        hand.advance(ms(75));
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// Better than DEL-15: an expiry that is queued when the timer is taken away runs, and does not re-arm.
#[test]
fn removing_an_expired_timer_does_not_rearm() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let second = Event::interval(base, trace.note("second"));
        let first = Event::timer(base, {
            let second = second.clone();
            move |_, _| second.remove_timer()
        });
        first.add_after(ms(10)).unwrap();
        second.add_after(ms(10)).unwrap();
        hand.advance(ms(10));
        look(base);
        trace.assert(["second"]);
        assert!(!second.is_pending());
    });
}

/// ADD-12, EV-17: READ re-added in its callback carries a stream to its end.
#[test]
fn readded_reader_sees_the_end() {
    for_each_backend(|base| {
        let total = Rc::new(Cell::new(0));
        let (here, there) = pair();
        let event = on_fd(base, &here, Flags::READ, {
            let (total, here) = (total.clone(), here.clone());
            move |event, _| {
                let mut chunk = [0; 100];
                match std::io::Read::read(&mut &*here, &mut chunk) {
                    Ok(0) => {}
                    Ok(n) => {
                        total.set(total.get() + n);
                        event.add().unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        event.add().unwrap();
        (&there).write_all(&[7; 4096]).unwrap();
        drop(there);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(total.get(), 4096);
        assert!(here.as_raw_fd() >= 0);
    });
}

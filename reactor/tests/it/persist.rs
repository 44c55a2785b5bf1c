//! PER: persistence and timeouts.

use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Counted, Event, Flags, LoopEnd};

use crate::support::*;

const ALL: Flags = Flags::from_bits(0xff);

/// Notes what happened and when, by the base's clock.
fn timed(trace: &Trace) -> impl FnMut(&Event, Flags) + 'static {
    let trace = trace.clone();
    move |event, what| {
        trace.push(format!(
            "{what:?} at {}",
            event.base().unwrap().now().as_millis()
        ))
    }
}

/// Moves time in steps of 10 ms and looks after each.
fn run(base: &levent_reactor::Base, hand: &levent_reactor::ClockHand, millis: u64) {
    for _ in 0..millis / 10 {
        hand.advance(ms(10));
        look(base);
    }
}

/// PER-1: a persistent event is re-armed before its callback, which can look and cancel.
#[test]
fn rearmed_before_the_callback() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::interval(base, {
            let trace = trace.clone();
            move |event, _| {
                assert_eq!(event.pending(ALL), Flags::TIMEOUT);
                trace.push(format!("next at {}", event.deadline().unwrap().as_millis()));
            }
        });
        timer.add_after(ms(100)).unwrap();
        run(base, hand, 200);
        trace.assert(["next at 200", "next at 300"]);
    });
}

/// PER-2: the next deadline counts from the last one: callbacks that take long cause no drift.
#[test]
fn no_drift() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::interval(base, {
            let (mut note, hand) = (timed(&trace), hand.clone());
            move |event, what| {
                note(event, what);
                hand.advance(ms(20));
            }
        });
        timer.add_after(ms(100)).unwrap();
        while trace.len() < 4 {
            hand.advance(ms(10));
            look(base);
        }
        trace.assert([
            "TIMEOUT at 100",
            "TIMEOUT at 200",
            "TIMEOUT at 300",
            "TIMEOUT at 400",
        ]);
    });
}

/// PER-3, ACT-1: activated by hand without TIMEOUT, the next deadline counts from now.
#[test]
fn hand_restarts_the_interval() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::interval(base, timed(&trace));
        timer.add_after(ms(200)).unwrap();
        run(base, hand, 90);
        hand.advance(ms(10));
        timer.activate(Flags::READ);
        look(base);
        run(base, hand, 500);
        trace.assert(["READ at 100", "TIMEOUT at 300", "TIMEOUT at 500"]);
    });
}

/// PER-4: missed periods are dropped, and the phase moves.
#[test]
fn missed_periods_are_dropped() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::interval(base, timed(&trace));
        timer.add_after(ms(100)).unwrap();
        hand.advance(ms(350));
        look(base);
        look(base);
        trace.assert(["TIMEOUT at 350"]);
        assert_eq!(timer.deadline(), Some(ms(450)));
    });
}

/// PER-5: "now" is the iteration's time, not that after earlier callbacks.
#[test]
fn now_is_the_cached_time() {
    with_manual_clock(|base, hand| {
        let timer = Event::interval(base, |event, _| {
            assert_eq!(event.deadline(), Some(ms(50)));
        });
        base.once_after(Duration::ZERO, {
            let hand = hand.clone();
            move || hand.advance(ms(60))
        });
        timer.add_after(ms(50)).unwrap();
        timer.activate(Flags::READ);
        look(base);
        assert_eq!(timer.deadline(), Some(ms(50)));
    });
}

/// PER-6: a zero interval is none: the event times out once and is gone, its descriptor too.
#[test]
fn zero_interval_is_none() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note_what("event"),
        );
        event.add_after(Duration::ZERO).unwrap();
        look(base);
        trace.assert(["event TIMEOUT"]);
        assert_eq!(event.pending(ALL), Flags::NONE);
        there.write_all(b"x").unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert([]);
    });
}

/// PER-7: in the callback of its timeout a persistent event waits for its descriptor again, another does not.
#[test]
fn timeout_and_the_descriptor() {
    with_manual_clock(|base, hand| {
        for (interest, pending) in [
            (Flags::READ | Flags::PERSIST, Flags::READ),
            (Flags::READ, Flags::NONE),
        ] {
            let (here, _there) = pair();
            let trace = Trace::new();
            let event = on_fd(base, &here, interest, {
                let trace = trace.clone();
                move |event, what| {
                    assert_eq!(what, Flags::TIMEOUT);
                    assert_eq!(event.pending(Flags::READ), pending);
                    trace.push("ran");
                }
            });
            event.add_after(ms(10)).unwrap();
            hand.advance(ms(10));
            look(base);
            trace.assert(["ran"]);
        }
    });
}

/// Better than PER-8: a descriptor closed while its event times out leaves an event that can be deleted and a base that works.
#[test]
fn descriptor_closed_before_the_timeout() {
    if !in_child("persist::descriptor_closed_before_the_timeout") {
        return;
    }
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note_what("event"),
        );
        event.add_after(ms(10)).unwrap();
        close_behind(&here, || {
            hand.advance(ms(10));
            look(base);
        });
        let ran = trace.take();
        assert_eq!(ran.len(), 1, "{ran:?}");
        assert!(ran[0].contains("TIMEOUT"), "{ran:?}");
        let _ = event.del();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// Better than PER-10, DEL-7: deleting forgets the interval.
#[test]
fn deleting_forgets_the_interval() {
    with_manual_clock(|base, _| {
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, |_, _| {});
        event.add_after(Duration::from_secs(5)).unwrap();
        event.del().unwrap();
        event.add().unwrap();
        look(base);
        assert_eq!(event.deadline(), None);
        assert_eq!(event.pending(ALL), Flags::READ);
    });
}

/// PER-11: by hand with TIMEOUT the next deadline lies one interval behind the one that was still to come.
#[test]
fn hand_with_timeout_skips_a_period() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::interval(base, timed(&trace));
        timer.add_after(ms(200)).unwrap();
        run(base, hand, 40);
        hand.advance(ms(10));
        timer.activate(Flags::TIMEOUT);
        look(base);
        run(base, hand, 400);
        trace.assert(["TIMEOUT at 50", "TIMEOUT at 400"]);
    });
}

/// PER-12: readiness cancels the timeout of an event that is not persistent.
#[test]
fn readiness_cancels_the_timeout() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let event = on_fd(base, &here, Flags::READ, trace.note_what("event"));
        event.add_after(ms(50)).unwrap();
        hand.advance(ms(20));
        there.write_all(b"x").unwrap();
        look(base);
        trace.assert(["event READ"]);
        assert_eq!(base.count(Counted::ADDED), 0);
        hand.advance(ms(50));
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert([]);
    });
}

/// PER-14: a persistent event that was never added is idle after a hand ran it.
#[test]
fn hand_does_not_make_pending() {
    for_each_backend(|base| {
        let (here, _there) = readable_pair();
        let trace = Trace::new();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note_what("event"),
        );
        event.activate(Flags::WRITE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["event WRITE"]);
        assert!(!event.is_pending());
    });
}

/// PER-15: the timeout of a persistent descriptor event measures inactivity.
#[test]
fn timeout_measures_inactivity() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, {
            let (mut note, here) = (timed(&trace), here.clone());
            move |event, what| {
                drain(&here);
                note(event, what);
            }
        });
        event.add_after(ms(100)).unwrap();
        for _ in 0..3 {
            hand.advance(ms(60));
            there.write_all(b"x").unwrap();
            look(base);
        }
        run(base, hand, 110);
        trace.assert(["READ at 60", "READ at 120", "READ at 180", "TIMEOUT at 280"]);
    });
}

/// PER-16, CT-6: events change between plain and common timeouts, and re-arm in the queue they were added to.
#[test]
fn rearmed_in_its_queue() {
    with_manual_clock(|base, hand| {
        let (short, long) = (
            base.common_timeout(ms(100)).unwrap(),
            base.common_timeout(ms(200)).unwrap(),
        );
        let runs: Vec<_> = (0..100)
            .map(|_| Rc::new(std::cell::RefCell::new(Vec::new())))
            .collect();
        let mut events = Vec::new();
        for (i, runs) in runs.iter().enumerate() {
            let runs = runs.clone();
            let event = Event::interval(base, move |event, _| {
                runs.borrow_mut()
                    .push(event.base().unwrap().now().as_millis());
                if runs.borrow().len() == 4 {
                    event.del().unwrap();
                }
            });
            match i % 4 {
                0 => event.add_after(ms(100)).unwrap(),
                1 => event.add_after(ms(200)).unwrap(),
                2 => event.add_common(short).unwrap(),
                _ => event.add_common(long).unwrap(),
            }
            match i % 3 {
                0 => event
                    .add_common(if i % 2 == 0 { short } else { long })
                    .unwrap(),
                1 => event
                    .add_after(if i % 2 == 0 { ms(100) } else { ms(200) })
                    .unwrap(),
                _ => {}
            }
            events.push(event);
        }
        run(base, hand, 800);
        for (i, runs) in runs.iter().enumerate() {
            let expected = if i % 2 == 0 {
                [100, 200, 300, 400]
            } else {
                [200, 400, 600, 800]
            };
            assert_eq!(*runs.borrow(), expected, "event {i}");
        }
        assert_eq!(base.count(Counted::ADDED), 0);
    });
}

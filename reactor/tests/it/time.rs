//! TIME, HEAP, CT: time, the order of deadlines, common timeouts.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use levent_reactor::{Base, Config, Counted, Event, Flags, LoopEnd, LoopFlags, Wait};

use crate::support::*;

/// TIME-4, TIME-8, TIME-12: callbacks of a pass read one time; outside the loop, and by `monotonic`, the clock is read.
#[test]
fn pass_has_one_time() {
    with_manual_clock(|base, hand| {
        let wall = Rc::new(Cell::new(None));
        for _ in 0..2 {
            let (base2, hand, wall) = (base.clone(), hand.clone(), wall.clone());
            base.once_after(Duration::ZERO, move || {
                assert_eq!(base2.now(), Duration::ZERO);
                let now = base2.wall_clock();
                assert_eq!(wall.replace(Some(now)).unwrap_or(now), now);
                hand.advance(ms(30));
                assert!(base2.monotonic() > base2.now());
            });
        }
        look(base);
        assert_eq!(base.now(), ms(60));
        let before = SystemTime::now();
        let outside = base.wall_clock();
        assert!(before <= outside && outside <= SystemTime::now());
    });
}

/// TIME-9: renewing the cached time works inside the loop, and makes none outside.
#[test]
fn cached_time_is_renewed() {
    with_manual_clock(|base, hand| {
        let (base2, hand2) = (base.clone(), hand.clone());
        base.once_after(Duration::ZERO, move || {
            hand2.advance(ms(30));
            base2.update_cache_time();
            assert_eq!(base2.now(), ms(30));
        });
        look(base);
        base.update_cache_time();
        hand.advance(ms(5));
        assert_eq!(base.now(), ms(35));
    });
}

/// Better than TIME-6: the wait is computed from a fresh reading.
#[test]
fn wait_is_computed_afresh() {
    for_each_backend(|base| {
        let wait = Rc::new(Cell::new(None));
        let _watcher = base.on_prepare({
            let wait = wait.clone();
            move |_, info| wait.set(info.wait)
        });
        let timer = Event::timer(base, |_, _| {});
        base.once_after(Duration::ZERO, {
            let timer = timer.clone();
            move || {
                timer.add_after(ms(20)).unwrap();
                std::thread::sleep(ms(10));
            }
        });
        base.dispatch().unwrap();
        assert!(wait.get().unwrap() <= ms(11), "{wait:?}");
    });
}

/// TIME-11: the reported deadline is the wall clock's.
#[test]
fn deadline_by_the_wall_clock() {
    for_each_backend(|base| {
        let timer = Event::timer(base, |_, _| {});
        assert_eq!(timer.deadline_wall_clock(), None);
        let before = SystemTime::now();
        timer.add_after(Duration::from_secs(500)).unwrap();
        let left = timer
            .deadline_wall_clock()
            .unwrap()
            .duration_since(before)
            .unwrap();
        assert!(
            left > Duration::from_secs(499) && left < Duration::from_secs(530),
            "{left:?}"
        );
    });
}

/// TIME-13: a deadline equal to now has passed, one nanosecond more has not.
#[test]
fn deadline_equal_to_now_has_passed() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::timer(base, trace.note("rang"));
        timer.add_after(Duration::from_nanos(1000)).unwrap();
        hand.advance(Duration::from_nanos(999));
        look(base);
        trace.assert([]);
        hand.advance(Duration::from_nanos(1));
        look(base);
        trace.assert(["rang"]);
    });
}

/// TIME-14: a timer that re-adds itself with zero runs once per iteration (B1).
#[test]
fn zero_timer_runs_once_per_iteration() {
    with_manual_clock(|base, _| {
        let trace = Trace::new();
        let note = trace.clone();
        let timer = Event::timer(base, move |event, _| {
            note.push("rang");
            event.add_after(Duration::ZERO).unwrap();
        });
        timer.add_after(Duration::ZERO).unwrap();
        let entered = base.enter().unwrap();
        for _ in 0..3 {
            entered.turn(Wait::Poll).unwrap();
            trace.assert(["rang"]);
        }
    });
}

/// Better than TIME-17: a timer never rings early, on any backend.
#[test]
fn timers_are_never_early() {
    for_each_backend(|base| {
        for micros in [1, 500, 1001, 2499] {
            let wait = Duration::from_micros(micros);
            let start = std::time::Instant::now();
            let timer = Event::timer(base, |_, _| {});
            timer.add_after(wait).unwrap();
            base.dispatch().unwrap();
            assert!(start.elapsed() >= wait);
        }
    });
}

/// Better than HEAP-5: equal deadlines ring first in, first out, plain and common alike; HEAP-1, CT-1, CT-4, CT-5.
#[test]
fn equal_deadlines_are_first_in_first_out() {
    with_manual_clock(|base, hand| {
        let common = base.common_timeout(ms(5)).unwrap();
        for shared in [false, true] {
            let next = Rc::new(Cell::new(0));
            let events: Vec<_> = (0..100)
                .map(|i| {
                    let next = next.clone();
                    Event::timer(base, move |_, _| assert_eq!(next.replace(i + 1), i))
                })
                .collect();
            for event in &events {
                if shared {
                    event.add_common(common).unwrap()
                } else {
                    event.add_after(ms(5)).unwrap()
                }
            }
            hand.advance(ms(5));
            look(base);
            assert_eq!(next.get(), 100);
        }
    });
}

/// HEAP-1, HEAP-2: of very many timers, some of them moved and some dropped, each rings in the first look after its deadline, and
/// earlier ones first.
#[test]
fn tens_of_thousands_ring_in_order() {
    const COUNT: u64 = 40_000;
    with_manual_clock(|base, hand| {
        // All different, and in no order.
        let delay = |i: u64| Duration::from_nanos((i * 7_919 % COUNT + 1) * 25_000);
        let (last, rung) = (Rc::new(Cell::new(Duration::ZERO)), Rc::new(Cell::new(0)));
        let mut events: Vec<Option<Event>> = (0..COUNT)
            .map(|i| {
                let (last, rung, due) = (last.clone(), rung.clone(), base.now() + delay(i));
                let event = Event::timer(base, move |event, _| {
                    let now = event.base().unwrap().now();
                    assert!(due <= now && due + ms(10) > now, "{due:?} at {now:?}");
                    assert!(last.replace(due) < due);
                    rung.set(rung.get() + 1);
                });
                // A third are moved, to an earlier time or a later one.
                let detour = [None, Some(ms(2_000)), Some(Duration::from_micros(1))];
                if let Some(detour) = detour[i as usize % 3] {
                    event.add_after(detour).unwrap();
                }
                event.add_after(delay(i)).unwrap();
                Some(event)
            })
            .collect();
        for event in events.iter_mut().step_by(5) {
            drop(event.take());
        }
        for _ in 0..100 {
            hand.advance(ms(10));
            look(base);
        }
        assert_eq!(rung.get(), COUNT - COUNT / 5);
        assert_eq!(base.count(Counted::ADDED), 0);
    });
}

/// HEAP-1, HEAP-2, HEAP-6: thousands of timers added, moved and deleted at random from callbacks each ring once, when the last deadline
/// they were given has come, in the order of these, or are gone.
#[test]
fn random_timers_all_ring() {
    with_manual_clock(|base, hand| {
        let events: Rc<std::cell::RefCell<Vec<Event>>> = Rc::default();
        let random = Rc::new(Cell::new(7_u64));
        let next = move |below: u64| {
            random.set(
                random
                    .get()
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            );
            (random.get() >> 33) % below
        };
        let runs = Rc::new(Cell::new(0));
        let latest = Rc::new(Cell::new(Duration::ZERO));
        let due: Rc<std::cell::RefCell<Vec<Option<Duration>>>> = Rc::default();
        for i in 0..2000 {
            let delay = ms(next(50));
            let (all, next, runs) = (events.clone(), next.clone(), runs.clone());
            let (base2, due2, latest) = (base.clone(), due.clone(), latest.clone());
            let event = Event::timer(base, move |event, _| {
                assert!(!event.is_pending());
                let at = due2.borrow_mut()[i].take().expect("it is armed");
                assert!(latest.replace(at) <= at && at <= base2.now());
                runs.set(runs.get() + 1);
                if runs.get() < 4000 {
                    for _ in 0..10 {
                        let which = next(2000) as usize;
                        let other = all.borrow()[which].clone();
                        due2.borrow_mut()[which] = if next(2) == 0 {
                            let delay = ms(1 + next(50));
                            other.add_after(delay).unwrap();
                            Some(base2.now() + delay)
                        } else {
                            other.del().unwrap();
                            None
                        };
                    }
                }
            });
            event.add_after(delay).unwrap();
            due.borrow_mut().push(Some(delay));
            events.borrow_mut().push(event);
        }
        let mut last = 0;
        while look(base) != LoopEnd::Dry {
            hand.advance(ms(1));
            last += 1;
            assert!(last < 10_000);
        }
        assert_eq!(base.count(Counted::ADDED), 0);
        assert!(runs.get() >= 1000);
        assert!(due.borrow().iter().all(Option::is_none));
        for event in events.take() {
            event.assign(Event::timer(base, |_, _| {})).unwrap();
        }
    });
}

/// CT-2, CT-3, CT-10: equal durations share a token, there are 256, and one of another base is refused.
#[test]
fn tokens_of_common_timeouts() {
    let (base, other) = (Base::new().unwrap(), Base::new().unwrap());
    let token = base.common_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(
        base.common_timeout(Duration::from_micros(5_000_000))
            .unwrap(),
        token
    );
    for i in 1..256 {
        base.common_timeout(Duration::from_nanos(i)).unwrap();
    }
    assert!(base.common_timeout(Duration::from_nanos(256)).is_err());
    let event = Event::timer(&other, |_, _| {});
    assert_eq!(
        event.add_common(token).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

/// CT-8: an active event whose common deadline passes gets TIMEOUT merged.
#[test]
fn common_timeout_of_an_active_event() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let token = base.common_timeout(ms(5)).unwrap();
        let event = Event::timer(base, trace.note_what("event"));
        event.add_common(token).unwrap();
        event.activate(Flags::READ);
        hand.advance(ms(5));
        base.run_loop(LoopFlags::ONCE).unwrap();
        trace.assert(["event TIMEOUT|READ"]);
    });
}

/// CT-7: a base may end with events that wait in common queues: they are idle then, and what nobody else holds is dropped.
#[test]
fn base_ends_with_common_timeouts() {
    for method in methods() {
        let base = base_on(method);
        let token = base.common_timeout(ms(5)).unwrap();
        let owned = Rc::new(());
        let events: Vec<_> = (0..100)
            .map(|_| {
                let owned = owned.clone();
                let event = Event::timer(&base, move |_, _| panic!("{owned:?}"));
                event.add_common(token).unwrap();
                event
            })
            .collect();
        let detached = Event::timer(&base, {
            let owned = owned.clone();
            move |_, _| panic!("{owned:?}")
        });
        detached.add_common(token).unwrap();
        detached.detach();
        drop(base);
        assert!(events.iter().all(|event| !event.is_pending()));
        drop(events);
        assert_eq!(Rc::strong_count(&owned), 1);
    }
}

/// CT-5: plain timers and those of two common timeouts that are due together all run in one iteration, in the order of their deadlines.
#[test]
fn common_and_plain_are_due_together() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let tokens = [ms(3), ms(5)].map(|time| base.common_timeout(time).unwrap());
        let timers = ["plain 5", "common 5", "common 3", "plain 4", "again 5"]
            .map(|name| Event::timer(base, trace.note(name)));
        timers[0].add_after(ms(5)).unwrap();
        timers[1].add_common(tokens[1]).unwrap();
        timers[2].add_common(tokens[0]).unwrap();
        timers[3].add_after(ms(4)).unwrap();
        timers[4].add_common(tokens[1]).unwrap();
        hand.advance(ms(5));
        let entered = base.enter().unwrap();
        entered.turn(Wait::Poll).unwrap();
        trace.assert(["common 3", "plain 4", "plain 5", "common 5", "again 5"]);
    });
}

/// TIME-14: all that is due is active before the first callback runs, in the order of the deadlines.
#[test]
fn due_timers_are_active_before_any_runs() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timers = [3, 1, 2].map(|n| {
            let note = trace.clone();
            let timer = Event::timer(base, move |event, _| {
                let others = event.base().unwrap().count(Counted::ACTIVE);
                note.push(format!("{n}, {others} to come"));
            });
            timer.add_after(ms(n)).unwrap();
            timer
        });
        hand.advance(ms(3));
        look(base);
        trace.assert(["1, 2 to come", "2, 1 to come", "3, 0 to come"]);
        drop(timers);
    });
}

/// TIME-1: deadlines are counted by the monotonic clock, which std's `Instant` reads too. Better than TIME-2: always by the fine one.
#[test]
fn deadlines_follow_the_monotonic_clock() {
    for_each_backend(|base| {
        let timer = Event::timer(base, |_, _| {});
        let (before, at) = (Instant::now(), base.monotonic());
        timer.add_after(Duration::from_secs(9)).unwrap();
        let left = timer.deadline().unwrap() - at;
        let most = Duration::from_secs(9) + before.elapsed();
        assert!(left >= Duration::from_secs(9) && left <= most, "{left:?}");
        // The steps of a fine clock: far below a tick of the scheduler.
        let (mut steps, mut last) = (0, base.monotonic());
        let end = last + ms(5);
        while last < end {
            let now = base.monotonic();
            steps += u32::from(now > last);
            last = now;
        }
        assert!(steps > 10, "{steps} steps in 5 ms");
    });
}

/// TIME-7: without a cached time each use reads the clock.
#[test]
fn uncached_time_is_the_clocks() {
    with_manual_clock_and(Config::no_cache_time, |base, hand| {
        let timer = Rc::new(Event::timer(base, |_, _| {}));
        let (base2, hand2, timer2) = (base.clone(), hand.clone(), timer.clone());
        base.once_after(Duration::ZERO, move || {
            hand2.advance(ms(100));
            assert_eq!(base2.now(), ms(100));
            timer2.add_after(ms(50)).unwrap();
        });
        look(base);
        assert_eq!(timer.deadline(), Some(ms(150)));
    });
}

/// TIME-10: the offset between the clocks is measured at each report, so that a deadline is never reported later than it is.
#[test]
fn reported_deadlines_are_not_late() {
    for_each_backend(|base| {
        let timer = Event::timer(base, |_, _| {});
        for _ in 0..1000 {
            let started = Instant::now();
            timer.add_after(Duration::from_micros(100)).unwrap();
            let reported = timer.deadline_wall_clock().unwrap();
            let latest = SystemTime::now() + Duration::from_micros(100);
            // A step of the wall clock in between would be nobody's fault.
            assert!(
                reported <= latest || started.elapsed() > ms(50),
                "{:?} too late",
                reported.duration_since(latest)
            );
        }
    });
}

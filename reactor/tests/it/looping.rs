//! LOOP: what one run of the loop does.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::{Duration, Instant};

use levent_reactor::{Base, Config, Event, Flags, LoopEnd, LoopFlags, Wait, signal};

use crate::support::*;

fn note_phases(base: &Base, trace: &Trace) {
    let (prepare, check) = (trace.clone(), trace.clone());
    base.on_prepare(move |_, _| prepare.push("prepare"))
        .detach();
    base.on_check(move |_| check.push("check")).detach();
}

/// LOOP-1: the steps of an iteration come in their order.
#[test]
fn steps_come_in_order() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        note_phases(base, &trace);
        let (here, _there) = readable_pair();
        let reader = on_fd(base, &here, Flags::READ, trace.note("fd"));
        reader.add().unwrap();
        let timer = Event::timer(base, trace.note("timer"));
        timer.add_after(ms(1)).unwrap();
        let later = Event::user(base, trace.note("later"));
        later.activate_later(Flags::NONE);
        hand.advance(ms(1));
        base.dispatch().unwrap();
        trace.assert(["prepare", "check", "later", "fd", "timer"]);
    });
}

/// LOOP-2, LOOP-3: a loop that runs dry says so; one that was stopped says that.
#[test]
fn results() {
    for_each_backend(|base| {
        let timer = Event::timer(base, |_, _| {});
        timer.add_after(ms(1)).unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        timer.add_after(Duration::from_secs(60)).unwrap();
        assert_eq!(
            base.run_loop(LoopFlags::NONBLOCK).unwrap(),
            LoopEnd::Stopped
        );
        let (here, _there) = pair();
        let writer = on_fd(base, &here, Flags::WRITE | Flags::PERSIST, |_, _| {});
        writer.add().unwrap();
        assert_eq!(base.run_loop(LoopFlags::ONCE).unwrap(), LoopEnd::Stopped);
        base.loop_exit(None).unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        base.once_after(Duration::ZERO, {
            let base = base.clone();
            move || base.loop_break()
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
    });
}

/// LOOP-5, WAT-9: an empty base returns before watchers and wait.
#[test]
fn empty_base_returns_at_once() {
    for_each_backend(|base| {
        let trace = Trace::new();
        note_phases(base, &trace);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert([]);
    });
}

/// LOOP-6: ONCE goes on until every level that became active has run.
#[test]
fn once_runs_all_levels() {
    for_each_backend(|base| {
        base.set_priorities(2).unwrap();
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        for (name, priority) in [("lazy", 1), ("urgent", 0)] {
            let event = on_fd(base, &here, Flags::READ, trace.note(name));
            event.set_priority(priority).unwrap();
            event.add().unwrap();
            event.detach();
        }
        let idle = Event::timer(base, |_, _| {});
        idle.add_after(Duration::from_secs(60)).unwrap();
        assert_eq!(base.run_loop(LoopFlags::ONCE).unwrap(), LoopEnd::Stopped);
        trace.assert(["urgent", "lazy"]);
    });
}

/// LOOP-6: ONCE blocks until something is active.
#[test]
fn once_blocks() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let timer = Event::interval(base, trace.note("tick"));
        let start = Instant::now();
        timer.add_after(ms(3)).unwrap();
        assert_eq!(base.run_loop(LoopFlags::ONCE).unwrap(), LoopEnd::Stopped);
        assert!(start.elapsed() >= ms(3));
        trace.assert(["tick"]);
    });
}

/// LOOP-7: NONBLOCK alone repeats until an iteration finds nothing.
#[test]
fn nonblock_repeats() {
    for_each_backend(|base| {
        let runs = Rc::new(Cell::new(0));
        let (here, _there) = pair();
        let writer = on_fd(base, &here, Flags::WRITE | Flags::PERSIST, {
            let runs = runs.clone();
            move |event, _| {
                runs.set(runs.get() + 1);
                if runs.get() == 5 {
                    event.del().unwrap();
                }
            }
        });
        writer.add().unwrap();
        let idle = Event::timer(base, |_, _| {});
        idle.add_after(Duration::from_secs(60)).unwrap();
        assert_eq!(
            base.run_loop(LoopFlags::NONBLOCK).unwrap(),
            LoopEnd::Stopped
        );
        assert_eq!(runs.get(), 5);
    });
}

/// LOOP-8: ONCE with NONBLOCK looks once.
#[test]
fn one_look() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let writer = on_fd(
            base,
            &here,
            Flags::WRITE | Flags::PERSIST,
            trace.note("writer"),
        );
        writer.add().unwrap();
        for _ in 0..3 {
            assert_eq!(look(base), LoopEnd::Stopped);
            trace.assert(["writer"]);
        }
    });
}

/// LOOP-10, LOOP-18: what an empty base answers to each flag.
#[test]
fn flags_on_an_empty_base() {
    for_each_backend(|base| {
        let both = LoopFlags::NO_EXIT_ON_EMPTY | LoopFlags::NONBLOCK;
        assert_eq!(base.run_loop(both).unwrap(), LoopEnd::Stopped);
        assert_eq!(base.run_loop(LoopFlags::NONBLOCK).unwrap(), LoopEnd::Dry);
        assert_eq!(base.run_loop(LoopFlags::ONCE).unwrap(), LoopEnd::Dry);
        assert_eq!(
            base.run_loop(LoopFlags::from_bits_truncate(0x80)).unwrap(),
            LoopEnd::Dry
        );
    });
}

/// LOOP-11: ONCE is not ended by a wake-up that brought nothing to run.
#[test]
fn once_outlives_an_idle_wakeup() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let timer = Event::timer(base, trace.note("timer"));
        timer.add_after(ms(30)).unwrap();
        let remote = base.remote();
        let notifier = std::thread::spawn(move || {
            for _ in 0..5 {
                remote.notify();
                std::thread::yield_now();
            }
        });
        assert_eq!(base.run_loop(LoopFlags::ONCE).unwrap(), LoopEnd::Stopped);
        trace.assert(["timer"]);
        notifier.join().unwrap();
    });
}

/// LOOP-12, ERR-22: looping a base inside one of its callbacks is refused and disturbs nothing.
#[test]
fn nested_loop_is_refused() {
    for_each_backend(|base| {
        let trace = Trace::new();
        base.once_after(Duration::ZERO, {
            let (base, trace) = (base.clone(), trace.clone());
            move || {
                assert_eq!(base.dispatch().unwrap_err().kind(), ErrorKind::ResourceBusy);
                assert_eq!(
                    base.run_loop(LoopFlags::NONBLOCK).unwrap_err().kind(),
                    ErrorKind::ResourceBusy
                );
                assert_eq!(base.enter().unwrap_err().kind(), ErrorKind::ResourceBusy);
                trace.push("refused");
            }
        });
        let second = Event::user(base, trace.note("second"));
        second.activate(Flags::NONE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["refused", "second"]);
    });
}

/// LOOP-12, ERR-22: in watchers and posted closures it is refused as well; another base may be looped anywhere.
#[test]
fn other_base_loops_inside_a_callback() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let _watcher = base.on_prepare(|base, _| {
            assert_eq!(base.dispatch().unwrap_err().kind(), ErrorKind::ResourceBusy);
        });
        base.remote()
            .post(|base| assert!(base.dispatch().is_err()))
            .unwrap();
        base.once_after(Duration::ZERO, {
            let (trace, outer) = (trace.clone(), base.clone());
            move || {
                let inner = Base::new().unwrap();
                let timer = Event::timer(&inner, trace.note("inner"));
                timer.add_after(ms(1)).unwrap();
                // The outer base is within reach of the inner loop.
                let trace2 = trace.clone();
                inner.once_after(Duration::ZERO, move || {
                    outer.once_after(Duration::ZERO, move || trace2.push("outer"));
                });
                assert_eq!(inner.dispatch().unwrap(), LoopEnd::Dry);
            }
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["inner", "outer"]);
    });
}

/// LOOP-15: ready descriptors become active before expired timers.
#[test]
fn descriptor_runs_before_expired_timer() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let timer = Event::timer(base, trace.note("timer"));
        timer.add_after(ms(1)).unwrap();
        let (here, _there) = readable_pair();
        let reader = on_fd(base, &here, Flags::READ, trace.note("fd"));
        reader.add().unwrap();
        hand.advance(ms(1));
        base.dispatch().unwrap();
        trace.assert(["fd", "timer"]);
    });
}

/// LOOP-17: everything may be called from callbacks and watchers.
#[test]
fn everything_is_legal_in_a_callback() {
    for_each_backend(|base| {
        let poke = |base: &Base| {
            let (here, _there) = readable_pair();
            let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, |_, _| {});
            event.add_after(ms(1)).unwrap();
            let _ = (
                base.now(),
                base.monotonic(),
                base.wall_clock(),
                base.priorities(),
            );
            base.update_cache_time();
            let _ = base.count(levent_reactor::Counted::ADDED);
            let mut text = String::new();
            base.dump(&mut text).unwrap();
            drop(base.on_check(|_| {}));
            base.activate_fd(event.number(), Flags::READ);
            event.remove_timer();
            event.del().unwrap();
        };
        let _prepare = base.on_prepare(move |base, _| poke(base));
        let _check = base.on_check(poke);
        let timer = Event::timer(base, move |event, _| poke(&event.base().unwrap()));
        timer.add_after(Duration::ZERO).unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// LOOP-19: what break left active runs in the next loop.
#[test]
fn what_break_left_runs_next() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let first = Event::user(base, {
            let trace = trace.clone();
            move |event, _| {
                trace.push("first");
                event.base().unwrap().loop_break();
            }
        });
        let second = Event::user(base, trace.note("second"));
        first.activate(Flags::NONE);
        second.activate(Flags::NONE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        trace.assert(["first"]);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["second"]);
    });
}

/// The passes of a base, as the lengths of the runs between its waits.
fn passes(base: &Base, run: impl FnOnce()) -> Vec<usize> {
    let trace = Trace::new();
    let watcher = base.on_prepare({
        let trace = trace.clone();
        move |_, _| trace.push("wait")
    });
    let _counter = Event::user(base, |_, _| {});
    PASS.with(|pass| pass.set(Some(trace.clone())));
    run();
    PASS.with(Cell::take);
    drop(watcher);
    trace
        .take()
        .split(|entry| entry == "wait")
        .skip(1)
        .map(<[String]>::len)
        .collect()
}

thread_local! {
    static PASS: Cell<Option<Trace>> = const { Cell::new(None) };
}

/// A callback that notes that it ran, for [`passes`].
fn ran() {
    PASS.with(|pass| {
        let trace = pass.take();
        if let Some(trace) = &trace {
            trace.push("ran");
        }
        pass.set(trace);
    });
}

fn actives(base: &Base, n: usize) -> Vec<Event> {
    let events: Vec<_> = (0..n).map(|_| Event::user(base, |_, _| ran())).collect();
    events.iter().for_each(|event| event.activate(Flags::NONE));
    events
}

/// LOOP-20, LOOP-25: with a time limit a pass ends once the interval has passed, and the cached time is kept fresh.
#[test]
fn time_limit_ends_the_pass() {
    with_manual_clock_and(
        |config: Config| config.max_dispatch(Some(ms(10)), None, 0),
        |base, hand| {
            let events: Vec<_> = (0..9)
                .map(|_| {
                    let hand = hand.clone();
                    Event::user(base, move |event, _| {
                        let base = event.base().unwrap();
                        assert_eq!(base.now(), base.monotonic());
                        hand.advance(ms(4));
                        ran();
                    })
                })
                .collect();
            events.iter().for_each(|event| event.activate(Flags::NONE));
            let passes = passes(base, || {
                base.dispatch().unwrap();
            });
            assert_eq!(passes, [3, 3, 3]);
        },
    );
}

/// LOOP-21, LOOP-24: with a count limit passes have that many callbacks, in order.
#[test]
fn count_limit_ends_the_pass() {
    for_each_backend_with(
        |config| config.max_dispatch(None, Some(5), 0),
        |base| {
            let _events = actives(base, 12);
            let passes = passes(base, || {
                base.dispatch().unwrap();
            });
            assert_eq!(passes, [5, 5, 2]);
        },
    );
}

/// LOOP-22: levels below the minimum are not limited.
#[test]
fn urgent_levels_are_not_limited() {
    for_each_backend_with(
        |config| config.max_dispatch(None, Some(1), 1),
        |base| {
            base.set_priorities(2).unwrap();
            let events: Vec<_> = (0..6u8)
                .map(|i| {
                    let event = Event::user(base, |_, _| ran());
                    event.set_priority(i % 2).unwrap();
                    event
                })
                .collect();
            events.iter().for_each(|event| event.activate(Flags::NONE));
            let passes = passes(base, || {
                base.dispatch().unwrap();
            });
            assert_eq!(passes, [3, 1, 1, 1]);
        },
    );
}

/// LOOP-23: every pass makes progress, whatever the limits.
#[test]
fn zero_limits_make_progress() {
    for (interval, count) in [(Some(Duration::ZERO), None), (None, Some(0))] {
        for_each_backend_with(
            |config| config.max_dispatch(interval, count, 0),
            |base| {
                let _events = actives(base, 3);
                let passes = passes(base, || {
                    base.dispatch().unwrap();
                });
                assert_eq!(passes, [1, 1, 1]);
            },
        );
    }
}

/// LOOP-24: after a limited pass the loop looks for more urgent work first.
#[test]
fn limit_lets_urgent_work_in() {
    for_each_backend_with(
        |config| config.max_dispatch(None, Some(1), 1),
        |base| {
            base.set_priorities(2).unwrap();
            let trace = Trace::new();
            let (here, there) = pair();
            let urgent = on_fd(base, &here, Flags::READ, trace.note("urgent"));
            urgent.set_priority(0).unwrap();
            urgent.add().unwrap();
            for _ in 0..2 {
                let (trace, there) = (trace.clone(), there.try_clone().unwrap());
                let event = Event::user(base, move |_, _| {
                    std::io::Write::write_all(&mut &there, b"x").unwrap();
                    trace.push("lazy");
                });
                event.set_priority(1).unwrap();
                event.activate(Flags::NONE);
                event.detach();
            }
            base.dispatch().unwrap();
            trace.assert(["lazy", "urgent", "lazy"]);
        },
    );
}

/// LOOP-26: limits bound a pass, not the call.
#[test]
fn limit_does_not_end_the_call() {
    for_each_backend_with(
        |config| config.max_dispatch(None, Some(1), 0),
        |base| {
            let _events = actives(base, 3);
            let passes = passes(base, || {
                look(base);
            });
            assert_eq!(passes, [1, 1, 1]);
        },
    );
}

/// Better than LOOP-27, WAT-8: what a prepare watcher makes active does not wait.
#[test]
fn prepare_watcher_shortens_the_wait() {
    for_each_backend(|base| {
        let start = Instant::now();
        let event = Event::user(base, |event, _| event.base().unwrap().loop_break());
        let shorter = Event::timer(base, |_, _| {});
        let far = Event::timer(base, |_, _| {});
        far.add_after(Duration::from_secs(60)).unwrap();
        let mut first = true;
        let _watcher = base.on_prepare(move |_, _| {
            if std::mem::take(&mut first) {
                shorter.add_after(ms(1)).unwrap();
            } else {
                event.activate(Flags::NONE);
            }
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert!(start.elapsed() < Duration::from_secs(30));
    });
}

/// LOOP-28: bases in different threads run independently.
#[test]
fn bases_in_threads_run_independently() {
    let threads: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(|| {
                let base = Base::new().unwrap();
                let runs = Rc::new(Cell::new(0));
                let timer = Event::interval(&base, {
                    let runs = runs.clone();
                    move |event, _| {
                        runs.set(runs.get() + 1);
                        if runs.get() == 10 {
                            event.del().unwrap();
                        }
                    }
                });
                timer.add_after(Duration::from_micros(100)).unwrap();
                assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
                runs.get()
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 10);
    }
}

/// LOOP-13, SE-3: a descriptor closed behind the base's back does not stop the loop (better than SE-3, PO-2).
#[test]
fn closed_descriptor_does_not_stop_the_loop() {
    if !in_child("looping::closed_descriptor_does_not_stop_the_loop") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ, trace.note("closed"));
        event.add().unwrap();
        let timer = Event::timer(base, trace.note("timer"));
        timer.add_after(ms(1)).unwrap();
        close_behind(&here, || {
            base.once_after(ms(5), {
                let event = event.clone();
                move || {
                    let _ = event.del();
                }
            });
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        });
        assert!(trace.take().contains(&"timer".to_string()));
    });
}

/// The entered base turns one iteration at a time, and nests.
#[test]
fn turns_are_single_iterations() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let writer = on_fd(
            base,
            &here,
            Flags::WRITE | Flags::PERSIST,
            trace.note("writer"),
        );
        writer.add().unwrap();
        let outer = base.enter().unwrap();
        let inner = base.enter().unwrap();
        inner.turn(Wait::Poll).unwrap();
        trace.assert(["writer"]);
        drop(inner);
        outer.turn(Wait::Block).unwrap();
        trace.assert(["writer"]);
        writer.del().unwrap();
        let start = Instant::now();
        outer.turn(Wait::AtMost(ms(2))).unwrap();
        assert!(start.elapsed() >= ms(2));
        trace.assert([]);
    });
}

/// LOOP-16: a signal queues behind what became active in the wait, timers included.
#[test]
fn expired_timer_runs_before_a_signal() {
    if !in_child("looping::expired_timer_runs_before_a_signal") {
        return;
    }
    with_manual_clock(|base, _| {
        let trace = Trace::new();
        let event = Event::signal(base, signal::SIGUSR1, trace.note("signal"));
        event.add().unwrap();
        let timer = Event::timer(base, trace.note("timer"));
        timer.add_after(Duration::ZERO).unwrap();
        let (here, _there) = readable_pair();
        let reader = on_fd(base, &here, Flags::READ, trace.note("fd"));
        reader.add().unwrap();
        raise(signal::SIGUSR1);
        look(base);
        trace.assert(["fd", "timer", "signal"]);
    });
}

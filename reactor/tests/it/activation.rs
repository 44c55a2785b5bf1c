//! ACT: activation and priorities.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Base, Config, Counted, Event, Flags, LoopEnd, Wait, signal};

use crate::support::*;

const ALL: Flags = Flags::from_bits(0xff);

/// Notes each wait.
fn note_waits(base: &Base, trace: &Trace) {
    let trace = trace.clone();
    base.on_prepare(move |_, _| trace.push("wait")).detach();
}

fn user(base: &Base, trace: &Trace, name: &'static str, priority: u8) -> Event {
    let event = Event::user(base, trace.note(name));
    event.set_priority(priority).unwrap();
    event
}

/// ACT-1: an event that was never added is activated by hand and is idle after.
#[test]
fn activated_without_being_added() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ, trace.note_what("event"));
        event.activate(Flags::WRITE);
        assert_eq!(event.pending(ALL), Flags::WRITE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["event WRITE"]);
        assert!(!event.is_pending());
    });
}

/// ACT-2: activating again merges the flags and keeps the place.
#[test]
fn activating_again_merges() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let first = Event::user(base, trace.note_what("first"));
        let second = Event::user(base, trace.note_what("second"));
        first.activate(Flags::READ);
        second.activate(Flags::NONE);
        first.activate(Flags::WRITE);
        assert_eq!(first.pending(ALL), Flags::READ | Flags::WRITE);
        assert_eq!(base.count(Counted::ACTIVE), 2);
        look(base);
        trace.assert(["first READ|WRITE", "second NONE"]);
    });
}

/// ACT-3: a count means nothing to an event that is no signal's.
#[test]
fn count_is_for_signals() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let timer = Event::timer(base, trace.note("ran"));
        timer.activate_times(Flags::TIMEOUT, 5);
        look(base);
        trace.assert(["ran"]);
    });
}

/// ACT-4, ACT-5: a signal's callback runs as often as the first activation says; none for none.
#[test]
fn signal_runs_count_times() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let event = Event::signal(base, libc::SIGWINCH, trace.note_what("signal"));
        event.activate_times(Flags::SIGNAL, 3);
        look(base);
        trace.assert(["signal SIGNAL"; 3]);
        event.activate_times(Flags::SIGNAL, 0);
        assert_eq!(base.count(Counted::ACTIVE), 1);
        look(base);
        trace.assert([]);
        event.activate_times(Flags::SIGNAL, 1);
        event.activate_times(Flags::SIGNAL, 5);
        look(base);
        trace.assert(["signal SIGNAL"]);
    });
}

/// ACT-6: within a priority callbacks run in order of activation.
#[test]
fn first_in_first_out() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let events = [
            Event::user(base, trace.note("a")),
            Event::user(base, trace.note("b")),
            Event::user(base, trace.note("c")),
        ];
        for order in [[0, 1, 2], [2, 0, 1]] {
            order.iter().for_each(|&i| events[i].activate(Flags::NONE));
            look(base);
            let names: Vec<_> = order.iter().map(|&i| ["a", "b", "c"][i]).collect();
            assert_eq!(trace.take(), names);
        }
    });
}

/// ACT-7: the queue is live: what becomes active at the running level runs in the same pass.
#[test]
fn queue_is_live() {
    for_each_backend(|base| {
        let trace = Trace::new();
        note_waits(base, &trace);
        let second = Event::user(base, trace.note("second"));
        let first = Event::user(base, {
            let (second, trace) = (second.clone(), trace.clone());
            move |_, _| {
                trace.push("first");
                second.activate(Flags::NONE);
            }
        });
        first.activate(Flags::NONE);
        base.dispatch().unwrap();
        trace.assert(["wait", "first", "second"]);
    });
}

/// ACT-8: an event that activates itself holds the pass, unless a limit ends it.
#[test]
fn self_activation_holds_the_pass() {
    for limit in [None, Some(16)] {
        with_manual_clock_and(
            |config: Config| config.max_dispatch(None, limit, 0),
            |base, hand| {
                let fired = Rc::new(Cell::new(false));
                let timer = Event::timer(base, {
                    let fired = fired.clone();
                    move |event, _| {
                        fired.set(true);
                        event.base().unwrap().loop_break();
                    }
                });
                timer.add_after(ms(10)).unwrap();
                hand.advance(ms(10));
                let runs = Rc::new(Cell::new(0));
                // Before the timer in the queue, so that the pass begins with it.
                let hog = Event::user(base, {
                    let (runs, fired) = (runs.clone(), fired.clone());
                    move |event, _| {
                        runs.set(runs.get() + 1);
                        if runs.get() == 1000 {
                            assert_eq!(fired.get(), limit.is_some());
                            event.base().unwrap().loop_break();
                        } else if !fired.get() {
                            event.activate(Flags::NONE);
                        }
                    }
                });
                base.set_priorities(2).unwrap();
                hog.set_priority(0).unwrap();
                timer.set_priority(0).unwrap();
                hog.activate(Flags::NONE);
                // The timer expires in the first iteration behind the hog, and waits for its turn in the live queue.
                let later = Event::timer(base, {
                    let fired = fired.clone();
                    move |_, _| fired.set(true)
                });
                drop(later);
                base.dispatch().unwrap();
                assert!(fired.get());
                assert!(limit.is_none() || runs.get() <= 32, "{} runs", runs.get());
            },
        );
    }
}

/// ACT-9: one iteration runs one level; less urgent ones come after another wait.
#[test]
fn one_level_per_iteration() {
    for_each_backend(|base| {
        base.set_priorities(3).unwrap();
        let trace = Trace::new();
        note_waits(base, &trace);
        let events = [
            user(base, &trace, "two", 2),
            user(base, &trace, "zero", 0),
            user(base, &trace, "one", 1),
        ];
        events.iter().for_each(|event| event.activate(Flags::NONE));
        base.dispatch().unwrap();
        trace.assert(["wait", "zero", "wait", "one", "wait", "two"]);
    });
}

/// ACT-11: a more urgent activation ends the level after the running callback.
#[test]
fn urgent_activation_interrupts() {
    for_each_backend(|base| {
        base.set_priorities(8).unwrap();
        let trace = Trace::new();
        note_waits(base, &trace);
        let urgent = user(base, &trace, "urgent", 0);
        let other = user(base, &trace, "other", 4);
        let first = Event::user(base, {
            let (other, urgent, trace) = (other.clone(), urgent.clone(), trace.clone());
            move |_, _| {
                other.activate(Flags::NONE);
                urgent.activate(Flags::NONE);
                trace.push("first");
            }
        });
        first.activate(Flags::NONE);
        base.dispatch().unwrap();
        trace.assert(["wait", "first", "wait", "urgent", "wait", "other"]);
    });
}

/// ACT-12, EXIT-4, EXIT-7: urgent events starve others, and even the exit.
#[test]
fn urgent_events_starve_others() {
    for (levels, urgent, lazy, expected) in [(3, 0, 2, 0), (2, 0, 1, 1), (1, 0, 0, 3)] {
        for_each_backend(|base| {
            base.set_priorities(levels).unwrap();
            let counts: [Rc<Cell<u32>>; 2] = Default::default();
            let events: Vec<_> = [urgent, lazy]
                .into_iter()
                .enumerate()
                .map(|(i, priority)| {
                    let count = counts[i].clone();
                    let event = Event::timer(base, move |event, _| {
                        count.set(count.get() + 1);
                        if count.get() == 3 {
                            event.base().unwrap().loop_exit(None).unwrap();
                        } else {
                            event.add_after(Duration::ZERO).unwrap();
                        }
                    });
                    event.set_priority(priority).unwrap();
                    event.add_after(Duration::ZERO).unwrap();
                    event
                })
                .collect();
            base.dispatch().unwrap();
            assert_eq!(
                (counts[0].get(), counts[1].get()),
                (3, expected),
                "{levels} levels"
            );
            drop(events);
        });
    }
}

/// ACT-13, ACT-14, ERR-21: there are 1 to 255 levels, and they do not change while something is active.
#[test]
fn number_of_levels() {
    for_each_backend(|base| {
        for bad in [0, 256, 1000, usize::MAX] {
            assert_eq!(
                base.set_priorities(bad).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
        for good in [255, 1, 8, 8] {
            base.set_priorities(good).unwrap();
            assert_eq!(base.priorities(), good);
        }
        let event = Event::user(base, |_, _| {});
        event.activate(Flags::NONE);
        assert_eq!(
            base.set_priorities(8).unwrap_err().kind(),
            ErrorKind::ResourceBusy
        );
        look(base);
        base.set_priorities(8).unwrap();
    });
}

/// Better than ACT-15: events of levels that were taken away run at the last one left.
#[test]
fn taken_levels_are_clamped() {
    with_manual_clock(|base, hand| {
        base.set_priorities(8).unwrap();
        let trace = Trace::new();
        let idle = user(base, &trace, "idle", 7);
        let pending = Event::timer(base, trace.note("pending"));
        pending.set_priority(6).unwrap();
        pending.add_after(ms(1)).unwrap();
        base.set_priorities(2).unwrap();
        idle.activate(Flags::NONE);
        hand.advance(ms(1));
        base.dispatch().unwrap();
        trace.assert(["idle", "pending"]);
    });
}

/// ACT-16, ERR-20: a priority is set while the event is idle or pending, not while it is active, and only within the levels.
#[test]
fn setting_the_priority() {
    for_each_backend(|base| {
        base.set_priorities(3).unwrap();
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ, trace.note("event"));
        assert_eq!(
            event.set_priority(3).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        event.add().unwrap();
        event.set_priority(0).unwrap();
        let rival = user(base, &trace, "rival", 1);
        rival.activate(Flags::NONE);
        assert_eq!(
            rival.set_priority(1).unwrap_err().kind(),
            ErrorKind::ResourceBusy
        );
        look(base);
        trace.assert(["event", "rival"]);
        // An event for later is not active yet.
        rival.activate_later(Flags::NONE);
        rival.set_priority(2).unwrap();
    });
}

/// ACT-19: an event for later runs in the next iteration, which does not sleep; a plain activation brings it forward.
#[test]
fn later_is_the_next_iteration() {
    for_each_backend(|base| {
        let trace = Trace::new();
        note_waits(base, &trace);
        let event = Event::user(base, trace.note_what("later"));
        let first = Event::user(base, {
            let event = event.clone();
            move |_, _| {
                event.activate_later(Flags::READ);
                event.activate_later(Flags::WRITE);
            }
        });
        first.activate(Flags::NONE);
        base.dispatch().unwrap();
        trace.assert(["wait", "wait", "later READ|WRITE"]);
        let now = Event::user(base, {
            let event = event.clone();
            move |_, _| {
                event.activate_later(Flags::READ);
                event.activate(Flags::WRITE);
            }
        });
        now.activate(Flags::NONE);
        base.dispatch().unwrap();
        trace.assert(["wait", "later READ|WRITE"]);
        assert_eq!(base.count(Counted::ADDED), 0);
        event.activate_later(Flags::READ);
        event.del().unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert([]);
    });
}

/// ACT-19: events that put each other off to later do not starve descriptors.
#[test]
fn later_starves_nobody() {
    for_each_backend(|base| {
        let counts: [Rc<Cell<u32>>; 2] = Default::default();
        let (here, _there) = pair();
        let writer = on_fd(base, &here, Flags::WRITE | Flags::PERSIST, {
            let count = counts[0].clone();
            move |_, _| count.set(count.get() + 1)
        });
        writer.add().unwrap();
        let again = Event::user(base, {
            let count = counts[1].clone();
            move |event, _| {
                count.set(count.get() + 1);
                if count.get() == 100 {
                    event.base().unwrap().loop_break();
                }
                event.activate_later(Flags::NONE);
            }
        });
        again.activate_later(Flags::NONE);
        base.dispatch().unwrap();
        assert!(
            counts[0].get().abs_diff(100) <= 1,
            "{} against 100",
            counts[0].get()
        );
    });
}

/// ACT-20: deferred closures spread over iterations, in order, about 32 in each.
#[test]
fn deferred_closures_spread() {
    for_each_backend(|base| {
        let trace = Trace::new();
        note_waits(base, &trace);
        let order = Rc::new(Cell::new(0));
        base.once_after(Duration::ZERO, {
            let (base, trace, order) = (base.clone(), trace.clone(), order.clone());
            move || {
                for i in 0..100 {
                    let (trace, order) = (trace.clone(), order.clone());
                    base.defer(move |_| {
                        assert_eq!(order.replace(i + 1), i);
                        trace.push("deferred");
                    });
                }
            }
        });
        base.dispatch().unwrap();
        assert_eq!(order.get(), 100);
        let ran = trace.take();
        let passes: Vec<_> = ran
            .split(|entry| entry == "wait")
            .map(<[String]>::len)
            .collect();
        assert!(passes.len() > 2, "{passes:?}");
        assert!(passes[1] <= 33, "{passes:?}");
    });
}

/// ACT-22: what arrives while the callback runs is a new activation with its own flags.
#[test]
fn activation_during_the_callback_is_new() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let event = Event::user(base, {
            let trace = trace.clone();
            move |event, what| {
                trace.push(format!("{what:?}"));
                if what == Flags::READ {
                    event.activate(Flags::WRITE);
                }
            }
        });
        event.activate(Flags::READ);
        base.dispatch().unwrap();
        trace.assert(["READ", "WRITE"]);
    });
}

/// ACT-23: a deferred closure does not interrupt a less urgent level.
#[test]
fn deferred_closure_interrupts_nobody() {
    for_each_backend(|base| {
        let trace = Trace::new();
        // Deferred closures have the middle level of 1, which is 0; the events run at level 1.
        base.set_priorities(1).unwrap();
        base.set_priorities(2).unwrap();
        let second = user(base, &trace, "second", 1);
        let first = Event::user(base, {
            let (base, trace) = (base.clone(), trace.clone());
            move |_, _| {
                let trace2 = trace.clone();
                base.defer(move |_| trace2.push("deferred"));
                trace.push("first");
            }
        });
        first.activate(Flags::NONE);
        second.activate(Flags::NONE);
        let entered = base.enter().unwrap();
        entered.turn(Wait::Poll).unwrap();
        assert_eq!(trace.take()[..2], ["first", "second"]);
        entered.turn(Wait::Poll).unwrap();
    });
}

/// ACT-10: what the base does for itself is no level of work: an event of less urgent priority runs in the iteration in which its signal
/// is taken in.
#[test]
fn signal_runs_in_the_iteration_that_takes_it_in() {
    if !in_child("activation::signal_runs_in_the_iteration_that_takes_it_in") {
        return;
    }
    for_each_backend(|base| {
        base.set_priorities(2).unwrap();
        let trace = Trace::new();
        let event = Event::signal(base, signal::SIGUSR1, trace.note("signal"));
        assert_eq!(event.priority(), 1);
        event.add().unwrap();
        let _watcher = base.on_prepare({
            let trace = trace.clone();
            move |_, _| trace.push("wait")
        });
        raise(signal::SIGUSR1);
        look(base);
        trace.assert(["wait", "signal"]);
    });
}

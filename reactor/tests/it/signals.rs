//! SIG: signals, each test in a process of its own.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Base, Event, Flags, LoopEnd, LoopFlags, signal};

use crate::support::*;

fn action(number: i32) -> libc::sigaction {
    // SAFETY: all bytes zero are a valid `sigaction` record, to be filled.
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: with no new action the call only writes the record.
    let answer = unsafe { libc::sigaction(number, std::ptr::null(), &mut old) };
    assert_eq!(answer, 0);
    old
}

fn is_ignored(number: i32) -> bool {
    action(number).sa_sigaction == libc::SIG_IGN
}

fn ignore(number: i32) {
    // SAFETY: ignoring a signal installs no code.
    unsafe { libc::signal(number, libc::SIG_IGN) };
}

/// SIG-1, SIG-3, SIG-5, SIG-6: signals raised before the loop run all their events, as often as they came.
#[test]
fn raised_twice_runs_twice() {
    if !in_child("signals::raised_twice_runs_twice") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let note = |name: &'static str| {
            let trace = trace.clone();
            move |event: &Event, what: Flags| {
                trace.push(format!(
                    "{name} {} {what:?}",
                    event.number() == signal::SIGUSR1
                ))
            }
        };
        let events = [
            Event::signal(base, signal::SIGUSR1, note("one")),
            Event::signal(base, signal::SIGUSR1, note("other")),
        ];
        events.iter().for_each(|event| event.add().unwrap());
        raise(signal::SIGUSR1);
        raise(signal::SIGUSR1);
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
        let mut ran = trace.take();
        ran.sort();
        assert_eq!(
            ran,
            [
                "one true SIGNAL",
                "one true SIGNAL",
                "other true SIGNAL",
                "other true SIGNAL"
            ]
        );
    });
}

/// SIG-2, SIG-13, SIG-22, BASE-24: the old disposition comes back with the last event, and with the base. Until then there is a handler
/// that lets calls go on, and that no signal interrupts.
#[test]
fn disposition_comes_back() {
    if !in_child("signals::disposition_comes_back") {
        return;
    }
    ignore(signal::SIGUSR1);
    for method in crate::support::methods() {
        let base = base_on(method);
        let trace = Trace::new();
        let event = Event::signal(&base, signal::SIGUSR1, trace.note("ran"));
        event.add().unwrap();
        let handler = action(signal::SIGUSR1);
        assert_ne!(handler.sa_sigaction, libc::SIG_IGN);
        assert_ne!(handler.sa_flags & libc::SA_RESTART, 0);
        for number in [signal::SIGUSR2, libc::SIGTERM, libc::SIGALRM] {
            // SAFETY: the call reads the set, which the system has filled.
            assert_eq!(unsafe { libc::sigismember(&handler.sa_mask, number) }, 1);
        }
        event.del().unwrap();
        assert!(is_ignored(signal::SIGUSR1));
        event.add().unwrap();
        raise(signal::SIGUSR1);
        look(&base);
        trace.assert(["ran"]);
        drop(base);
        assert!(is_ignored(signal::SIGUSR1));
        raise(signal::SIGUSR1);
    }
}

/// FLG-11, SIG-23: without PERSIST the disposition is back inside the callback, and the loop runs dry.
#[test]
fn signal_once_gives_up_first() {
    if !in_child("signals::signal_once_gives_up_first") {
        return;
    }
    ignore(signal::SIGUSR1);
    for_each_backend(|base| {
        let ran = Rc::new(Cell::new(0));
        let event = Event::signal_once(base, signal::SIGUSR1, {
            let ran = ran.clone();
            move |_, _| {
                assert!(is_ignored(signal::SIGUSR1));
                ran.set(ran.get() + 1);
            }
        });
        event.add().unwrap();
        raise(signal::SIGUSR1);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(ran.get(), 1);
    });
}

/// SIG-7: a signal raised in its own callback comes in a later iteration.
#[test]
fn raised_in_its_own_callback() {
    if !in_child("signals::raised_in_its_own_callback") {
        return;
    }
    for_each_backend(|base| {
        let runs = Rc::new(Cell::new(0));
        let waits = Rc::new(Cell::new(0));
        let count = waits.clone();
        let _watcher = base.on_check(move |_| count.set(count.get() + 1));
        let event = Event::signal(base, signal::SIGUSR1, {
            let runs = runs.clone();
            let mut last = 0;
            move |event, _| {
                runs.set(runs.get() + 1);
                assert!(waits.get() > last, "in a later iteration");
                last = waits.get();
                if runs.get() < 5 {
                    raise(signal::SIGUSR1);
                } else {
                    event.base().unwrap().loop_exit(None).unwrap();
                }
            }
        });
        event.add().unwrap();
        raise(signal::SIGUSR1);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert_eq!(runs.get(), 5);
    });
}

/// SIG-9, DEL-16, EXIT-14: deleting or breaking in the callback stops the remaining calls.
#[test]
fn remaining_calls_are_stopped() {
    if !in_child("signals::remaining_calls_are_stopped") {
        return;
    }
    for_each_backend(|base| {
        for way in [0, 2] {
            let runs = Rc::new(Cell::new(0));
            let event = Event::signal(base, signal::SIGUSR1, {
                let runs = runs.clone();
                move |event, _| {
                    runs.set(runs.get() + 1);
                    match way {
                        0 => event.del().unwrap(),
                        _ => event.base().unwrap().loop_break(),
                    }
                }
            });
            event.add().unwrap();
            raise(signal::SIGUSR1);
            raise(signal::SIGUSR1);
            look(base);
            look(base);
            assert_eq!(runs.get(), 1, "way {way}");
        }
    });
}

/// SIG-9, EV-12: dropping the last handle in the callback stops the remaining calls.
#[test]
fn dropping_stops_remaining_calls() {
    if !in_child("signals::dropping_stops_remaining_calls") {
        return;
    }
    for_each_backend(|base| {
        let runs = Rc::new(Cell::new(0));
        let place: Rc<RefCell<Option<Event>>> = Rc::default();
        let event = Event::signal(base, signal::SIGUSR1, {
            let (runs, place) = (runs.clone(), place.clone());
            move |_, _| {
                runs.set(runs.get() + 1);
                drop(place.take());
            }
        });
        event.add().unwrap();
        *place.borrow_mut() = Some(event);
        raise(signal::SIGUSR1);
        raise(signal::SIGUSR1);
        look(base);
        assert_eq!(runs.get(), 1);
    });
}

/// Better than SIG-10, SIG-11, SIG-12, SIG-20: every base that asked receives a signal, whatever the order they go in.
#[test]
fn every_base_receives() {
    if !in_child("signals::every_base_receives") {
        return;
    }
    ignore(signal::SIGUSR1);
    let mut bases: Vec<_> = levent_reactor::Method::supported()
        .iter()
        .map(|&method| Some(base_on(method)))
        .collect();
    let trace = Trace::new();
    let events: Vec<_> = bases
        .iter()
        .flatten()
        .map(|base| Event::signal(base, signal::SIGUSR1, trace.note("ran")))
        .collect();
    events.iter().for_each(|event| event.add().unwrap());
    for left in (1..=bases.len()).rev() {
        raise(signal::SIGUSR1);
        for base in bases.iter().flatten() {
            look(base);
        }
        assert_eq!(trace.take().len(), left);
        // Those that end take nothing from the others either.
        let first = bases.len() - left;
        if left % 2 == 0 {
            events[first].del().unwrap();
        } else {
            bases[first] = None;
        }
    }
    assert!(is_ignored(signal::SIGUSR1));
}

/// SIG-15, SIG-16: what cannot be caught is refused; internal things are not counted.
#[test]
fn uncatchable_signals_are_refused() {
    for_each_backend(|base| {
        for number in [signal::SIGKILL, signal::SIGSTOP, libc::SIGSEGV] {
            let event = Event::signal(base, number, |_, _| {});
            assert_eq!(event.add().unwrap_err().kind(), ErrorKind::InvalidInput);
            assert!(!event.is_pending());
        }
        let event = Event::signal(base, signal::SIGWINCH, |_, _| {});
        event.add().unwrap();
        assert_eq!(base.count(levent_reactor::Counted::ADDED), 1);
        event.del().unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// PER-13: a signal event's timeout removes it, persistent or not.
#[test]
fn signal_times_out() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let event = Event::signal(base, signal::SIGWINCH, trace.note_what("signal"));
        event.add_after(ms(10)).unwrap();
        hand.advance(ms(10));
        look(base);
        trace.assert(["signal TIMEOUT"]);
        assert!(!event.is_pending());
    });
}

/// SIG-21, LOOP-14: a signal wakes a sleeping loop, whichever thread takes it.
#[test]
fn signal_wakes_a_sleeping_loop() {
    if !in_child("signals::signal_wakes_a_sleeping_loop") {
        return;
    }
    for_each_backend(|base| {
        let event = Event::signal(base, signal::SIGUSR1, |event, _| {
            event.base().unwrap().loop_break()
        });
        event.add().unwrap();
        let guard = Event::timer(base, |_, _| panic!("not woken"));
        guard.add_after(Duration::from_secs(30)).unwrap();
        // Sent to the process it is likely taken by its first thread, this one; raised it is the other's.
        for send in [kill_self, raise] {
            let thread = std::thread::spawn(move || send(signal::SIGUSR1));
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
            thread.join().unwrap();
        }
    });
}

/// P1 row 20: added and removed while they are raised, signals reach a base at least once and nobody else (B23).
#[test]
fn added_and_removed_while_raised() {
    if !in_child("signals::added_and_removed_while_raised") {
        return;
    }
    ignore(signal::SIGUSR1);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(|| {
                let base = Base::new().unwrap();
                for _ in 0..300 {
                    let runs = Rc::new(Cell::new(0));
                    let event = Event::signal(&base, signal::SIGUSR1, {
                        let runs = runs.clone();
                        move |_, _| runs.set(runs.get() + 1)
                    });
                    event.add().unwrap();
                    raise(signal::SIGUSR1);
                    look(&base);
                    assert!(runs.get() >= 1);
                    event.del().unwrap();
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert!(is_ignored(signal::SIGUSR1));
}

/// SIG-4: the newest event of a signal runs first. Nobody should rely on it.
#[test]
fn newest_event_runs_first() {
    if !in_child("signals::newest_event_runs_first") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let events = ["old", "new"].map(|name| {
            let event = Event::signal(base, signal::SIGUSR1, trace.note(name));
            event.add().unwrap();
            event
        });
        raise(signal::SIGUSR1);
        look(base);
        trace.assert(["new", "old"]);
        drop(events);
    });
}

/// Better than SIG-8: a signal that arrives while the event is still active for an earlier one is counted, not lost.
#[test]
fn arrivals_while_active_add_up() {
    if !in_child("signals::arrivals_while_active_add_up") {
        return;
    }
    for method in methods() {
        // One callback per pass: the event waits, active, while the loop looks for more.
        let base = Base::with_config(&only(method).max_dispatch(None, Some(1), 0)).unwrap();
        let runs = Rc::new(Cell::new(0));
        let counts = runs.clone();
        let event = Event::signal(&base, signal::SIGUSR1, move |_, _| {
            counts.set(counts.get() + 1);
        });
        event.add().unwrap();
        let mut left = 10;
        let raises = Event::user(&base, move |event, _| {
            raise(signal::SIGUSR1);
            left -= 1;
            if left > 0 {
                event.activate_later(Flags::NONE);
            }
        });
        raises.activate(Flags::NONE);
        raise(signal::SIGUSR1);
        look(&base);
        // The last one arrived in the last pass.
        look(&base);
        assert_eq!(runs.get(), 11, "{method:?}");
    }
}

/// SIG-13: with a base goes all that it opened for its signals.
#[test]
#[cfg(target_os = "linux")]
fn base_closes_what_signals_opened() {
    if !in_child("signals::base_closes_what_signals_opened") {
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    for method in methods() {
        let before = open();
        let base = base_on(method);
        let event = Event::signal(&base, signal::SIGUSR1, |_, _| {});
        event.add().unwrap();
        raise(signal::SIGUSR1);
        look(&base);
        drop(base);
        assert_eq!(open(), before, "{method:?}");
        assert!(!event.is_pending());
    }
}

//! FIN: finalizers.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use levent_reactor::{Config, Counted, Event, Flags, LoopEnd, LoopFlags, signal};

use crate::support::*;

fn note(trace: &Trace, name: &'static str) -> impl FnOnce(&Event) + 'static {
    let trace = trace.clone();
    move |_| trace.push(name)
}

/// FIN-1, FIN-8: for an idle, a pending and an active event only the finalizer runs, once, and the loop waits for it.
#[test]
fn finalizer_runs_instead_of_the_callback() {
    for_each_backend(|base| {
        for state in 0..3 {
            let trace = Trace::new();
            let event = Event::timer(base, trace.note("callback"));
            match state {
                0 => {}
                1 => event.add_after(Duration::from_secs(10)).unwrap(),
                _ => event.activate(Flags::READ),
            }
            event.finalize(note(&trace, "finalizer"));
            assert_eq!(event.deadline(), None);
            assert_eq!(base.count(Counted::ADDED | Counted::ACTIVE), 2);
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
            trace.assert(["finalizer"]);
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
            trace.assert([]);
            assert_eq!(base.count(Counted::ADDED | Counted::ACTIVE), 0);
        }
    });
}

/// FIN-2, FIN-14: the finalizer gets its event, and there is no running event meanwhile.
#[test]
fn finalizer_gets_its_event() {
    for_each_backend(|base| {
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ, |_, _| {});
        let ran = Rc::new(Cell::new(false));
        event.finalize({
            let (ran, base, number) = (ran.clone(), base.clone(), event.number());
            move |event| {
                assert_eq!(event.number(), number);
                assert!(base.running_event().is_none());
                ran.set(true);
            }
        });
        base.dispatch().unwrap();
        assert!(ran.get());
    });
}

/// FIN-3, ADD-14, DEL-5, ACT-18, ERR-11, ERR-18: after the request add fails, activation and deletion do nothing, and the finalizer runs.
#[test]
fn requested_event_is_left_alone() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ, trace.note("callback"));
        event.finalize(note(&trace, "finalizer"));
        assert_eq!(event.add().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(
            event.add_after(ms(1)).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        event.activate(Flags::READ);
        event.del().unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["finalizer"]);
    });
}

/// FIN-4: dropping the handle leaves the finalizer to run, and then the event and what it owns go.
#[test]
fn dropped_event_goes_after_its_finalizer() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let weak = Rc::downgrade(&here);
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note("callback"),
        );
        drop(here);
        event.add().unwrap();
        event.finalize(note(&trace, "finalizer"));
        drop(event);
        trace.assert([]);
        assert!(
            weak.upgrade().is_some(),
            "lives until its finalizer has run"
        );
        base.dispatch().unwrap();
        trace.assert(["finalizer"]);
        assert!(weak.upgrade().is_none());
    });
}

/// FIN-5: asked for inside the callback, the finalizer runs after it.
#[test]
fn asked_for_inside_the_callback() {
    for_each_backend(|base| {
        for interest in [Flags::READ, Flags::READ | Flags::PERSIST] {
            let trace = Trace::new();
            let (here, _there) = readable_pair();
            let event = on_fd(base, &here, interest, {
                let trace = trace.clone();
                move |event, _| {
                    event.finalize(note(&trace, "finalizer"));
                    trace.push("callback");
                }
            });
            event.add().unwrap();
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
            trace.assert(["callback", "finalizer"]);
        }
    });
}

/// FIN-6: of two active events whose callbacks finalize both, one callback and two finalizers run.
#[test]
fn finalizing_another_prevents_its_callback() {
    for_each_backend(|base| {
        for persist in [Flags::NONE, Flags::PERSIST] {
            let trace = Trace::new();
            let events: Rc<RefCell<Vec<Event>>> = Rc::default();
            let (here, _there) = readable_pair();
            for _ in 0..2 {
                let (trace, all) = (trace.clone(), events.clone());
                let event = on_fd(base, &here, Flags::READ | persist, move |_, _| {
                    trace.push("callback");
                    for event in all.take() {
                        event.finalize(note(&trace, "finalizer"));
                    }
                });
                event.add().unwrap();
                events.borrow_mut().push(event);
            }
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
            trace.assert(["callback", "finalizer", "finalizer"]);
        }
    });
}

/// FIN-7: a second request before the run replaces the first; one after it does nothing.
#[test]
fn second_request_replaces_the_first() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let event = Event::user(base, trace.note("callback"));
        event.finalize(note(&trace, "first"));
        event.finalize(note(&trace, "second"));
        base.dispatch().unwrap();
        trace.assert(["second"]);
        event.finalize(note(&trace, "third"));
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert([]);
    });
}

/// FIN-9, FIN-11: finalized, an event is of no use until another is assigned to it, which the finalizer may do.
#[test]
fn finalizer_may_assign() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let dead = Event::timer(base, trace.note("callback"));
        dead.finalize(|_| {});
        base.dispatch().unwrap();
        assert_eq!(
            dead.add_after(ms(1)).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        let event = Event::timer(base, trace.note("callback"));
        event.finalize({
            let (base, trace) = (base.clone(), trace.clone());
            move |event| {
                event
                    .assign(Event::timer(&base, trace.note("new")))
                    .unwrap()
            }
        });
        base.dispatch().unwrap();
        event.add_after(Duration::ZERO).unwrap();
        base.dispatch().unwrap();
        trace.assert(["new"]);
        event.finalize(note(&trace, "again"));
        base.dispatch().unwrap();
        trace.assert(["again"]);
    });
}

/// FIN-15: finalizers count as callbacks for limits.
#[test]
fn finalizers_count_for_limits() {
    for_each_backend_with(
        |config: Config| config.max_dispatch(None, Some(1), 0),
        |base| {
            let trace = Trace::new();
            let _watcher = base.on_prepare({
                let trace = trace.clone();
                move |_, _| trace.push("wait")
            });
            for _ in 0..2 {
                Event::user(base, |_, _| {}).finalize(note(&trace, "finalizer"));
            }
            base.dispatch().unwrap();
            trace.assert(["wait", "finalizer", "wait", "finalizer"]);
        },
    );
}

/// Better than FIN-13: asking from another thread for the finalizer of a signal event whose callback is running waits for nothing; the
/// callback, which waits for the request to be over, shows it.
#[test]
fn running_signal_event_is_finalized_from_another_thread() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (started, is_started) = mpsc::channel();
        let (asked, is_asked) = mpsc::channel();
        let event = Event::signal(base, signal::SIGWINCH, {
            let trace = trace.clone();
            move |_, _| {
                started.send(()).unwrap();
                is_asked.recv().unwrap();
                trace.push("callback");
            }
        });
        let remote = event.remote().unwrap();
        let (finalized, is_finalized) = mpsc::channel();
        let thread = thread::spawn(move || {
            is_started.recv().unwrap();
            remote
                .finalize(move |event| {
                    finalized.send(()).unwrap();
                    event.base().unwrap().loop_break();
                })
                .unwrap();
            asked.send(()).unwrap();
        });
        event.activate(Flags::SIGNAL);
        base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
        thread.join().unwrap();
        trace.assert(["callback"]);
        is_finalized.try_recv().unwrap();
    });
}

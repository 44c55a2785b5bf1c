//! Signals, and the programs that fork around them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use levent_reactor::{Base, Event, Flags, Method, signal};

use crate::fork::{fork, join};
use crate::support::*;

/// B21: signals that were counted before a fork and not delivered yet do not keep the child's loop busy.
#[test]
fn b21_child_does_not_spin_on_old_signals() {
    if !in_child("landmarks::signals::b21_child_does_not_spin_on_old_signals") {
        return;
    }
    for method in methods() {
        let base = base_on(method);
        let event = Event::signal(&base, signal::SIGUSR1, |_, _| {});
        event.add().unwrap();
        raise(signal::SIGUSR1);
        join(fork(|| {
            base.reinit().unwrap();
            event.del().unwrap();
            let turns = Rc::new(Cell::new(0));
            let counts = turns.clone();
            let watcher = base.on_check(move |_| counts.set(counts.get() + 1));
            let end = Event::timer(&base, |event, _| event.base().unwrap().loop_break());
            end.add_after(ms(50)).unwrap();
            base.dispatch().unwrap();
            assert!(turns.get() <= 4, "{} turns on {method:?}", turns.get());
            drop(watcher);
        }));
        look(&base);
    }
}

/// B23: while another thread raises a signal without a pause, events of it come and go with their bases. Each hears of it, and nothing is
/// written into the descriptors that are opened under the numbers of those that went.
#[test]
fn b23_handler_writes_into_nothing_else() {
    if !in_child("landmarks::signals::b23_handler_writes_into_nothing_else") {
        return;
    }
    // SAFETY: ignoring a signal installs no code. What arrives after the last event shall not end the process.
    unsafe { libc::signal(signal::SIGUSR1, libc::SIG_IGN) };
    // A base that stays, so that the handler does.
    let stays = Base::new().unwrap();
    let hears = Event::signal(&stays, signal::SIGUSR1, |_, _| {});
    hears.add().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let raises = thread::spawn({
        let is_over = is_over.clone();
        move || {
            while !is_over.load(Ordering::Relaxed) {
                // In this thread, so that the handler runs beside whatever the other does.
                raise(signal::SIGUSR1);
            }
        }
    });
    for method in methods() {
        for _ in 0..100 {
            let base = base_on(method);
            for _ in 0..3 {
                let runs = Rc::new(Cell::new(0));
                let counts = runs.clone();
                let event = Event::signal(&base, signal::SIGUSR1, move |_, _| {
                    counts.set(counts.get() + 1)
                });
                event.add().unwrap();
                raise(signal::SIGUSR1);
                look(&base);
                assert!(runs.get() >= 1, "{method:?}");
                event.del().unwrap();
            }
            // The base goes while the handler still counts for it.
            let last = Event::signal(&base, signal::SIGUSR1, |_, _| {});
            last.add().unwrap();
            drop(base);
            drop(last);
            for (here, there) in (0..8).map(|_| pair()).collect::<Vec<_>>() {
                assert_eq!(drain(&here) + drain(&there), 0, "{method:?}");
            }
        }
    }
    is_over.store(true, Ordering::Relaxed);
    raises.join().unwrap();
    drop((hears, stays));
}

/// B24: a program that begins with all descriptors closed and SIGCHLD ignored hears of its children while it asks for them, and ignores
/// them again after. One that closes the base's own descriptors gets an error, not an abort or a storm.
#[test]
fn b24_closed_descriptors_and_ignored_signals() {
    fn close_all() {
        for number in 3..256 {
            // SAFETY: in a process of its own, where what is closed belongs to nobody who still uses it.
            unsafe { libc::close(number) };
        }
    }
    if !in_child("landmarks::signals::b24_closed_descriptors_and_ignored_signals") {
        return;
    }
    for method in methods() {
        // In a process that ends without dropping anything: what it owns is closed already.
        join(fork(|| {
            close_all();
            // SAFETY: nobody else changes the disposition.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            let base = base_on(method);
            let trace = Trace::new();
            let event = Event::signal(&base, libc::SIGCHLD, trace.note("child"));
            event.add().unwrap();
            join(fork(|| ()));
            look(&base);
            trace.assert(["child"]);
            event.del().unwrap();
            // SAFETY: as above; it puts back what it finds.
            let disposition = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            assert_eq!(disposition, libc::SIG_IGN);
            let (here, there) = pair();
            let read = on_fd(&base, &here, Flags::READ, |_, _| {});
            read.add().unwrap();
            close_all();
            let end = Event::timer(&base, |event, _| event.base().unwrap().loop_break());
            end.add_after(ms(20)).unwrap();
            let result = base.dispatch();
            println!("{method:?}: {result:?}");
            if matches!(method, Method::Epoll | Method::EpollBatched) {
                assert!(result.is_err());
            }
            std::mem::forget((base, event, read, end, here, there));
        }));
    }
}

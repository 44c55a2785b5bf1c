//! FD: several events on one descriptor, and descriptors that go away.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;

use levent_reactor::{Event, Features, Flags, LoopEnd, LoopFlags, Method};

use crate::support::*;

/// FD-1, FD-3: any number of events watch one descriptor, and all run.
#[test]
fn all_readers_run() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let events: Vec<_> = (0..5)
            .map(|_| on_fd(base, &here, Flags::READ, trace.note_what("reader")))
            .collect();
        events.iter().for_each(|event| event.add().unwrap());
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["reader READ"; 5]);
    });
}

/// FD-4: each event gets its own bits; one with both gets one callback with both.
#[test]
fn each_gets_its_own_bits() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let reader = on_fd(base, &here, Flags::READ, trace.note_what("reader"));
        let writer = on_fd(base, &here, Flags::WRITE, trace.note_what("writer"));
        let both = on_fd(
            base,
            &here,
            Flags::READ | Flags::WRITE,
            trace.note_what("both"),
        );
        [&reader, &writer, &both]
            .iter()
            .for_each(|event| event.add().unwrap());
        base.dispatch().unwrap();
        let mut ran = trace.take();
        ran.sort();
        assert_eq!(ran, ["both READ|WRITE", "reader READ", "writer WRITE"]);
    });
}

/// FD-2, FD-5, EP-1: deleting one of several leaves the registration of the others, whatever the order.
#[test]
fn deleting_one_leaves_the_others() {
    for_each_backend(|base| {
        let kinds = [Flags::READ, Flags::WRITE, Flags::READ | Flags::WRITE];
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let (here, _there) = readable_pair();
            let seen: Vec<Rc<Cell<Flags>>> = (0..3).map(|_| Rc::default()).collect();
            let events: Vec<_> = (0..3)
                .map(|i| {
                    let seen = seen[i].clone();
                    on_fd(base, &here, kinds[i] | Flags::PERSIST, move |_, what| {
                        seen.set(what)
                    })
                })
                .collect();
            for i in order {
                events[i].add().unwrap();
            }
            let mut left = vec![0, 1, 2];
            for i in order {
                look(base);
                for (at, seen) in seen.iter().enumerate() {
                    let expected = if left.contains(&at) {
                        kinds[at]
                    } else {
                        Flags::NONE
                    };
                    assert_eq!(
                        seen.take(),
                        expected,
                        "order {order:?}, event {at}, left {left:?}"
                    );
                }
                events[i].del().unwrap();
                left.retain(|&at| at != i);
            }
            assert_eq!(look(base), LoopEnd::Dry);
        }
    });
}

/// FD-5, EP-17: three edge-triggered events of one descriptor, added and deleted in all orders, keep the edge (B48).
#[test]
fn edge_survives_adding_and_deleting() {
    let base = base_on(Method::Epoll);
    let kinds = [Flags::READ, Flags::WRITE, Flags::CLOSED];
    for adding in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        for gone in 0..3 {
            let (here, there) = readable_pair();
            let trace = Trace::new();
            let events: Vec<_> = (0..3)
                .map(|i| {
                    on_fd(
                        &base,
                        &here,
                        kinds[i] | Flags::ET | Flags::PERSIST,
                        trace.note_what("event"),
                    )
                })
                .collect();
            for i in adding {
                events[i].add().unwrap();
            }
            look(&base);
            trace.take();
            events[gone].del().unwrap();
            look(&base);
            trace.take();
            // A new change is one edge for those who are left, and never more than one.
            drop(there);
            look(&base);
            let mut ran = trace.take();
            ran.sort();
            let mut expected: Vec<_> = (0..3)
                .filter(|&i| i != gone)
                .map(|i| format!("event {:?}", kinds[i] | Flags::ET))
                .collect();
            expected.sort();
            assert_eq!(ran, expected, "added {adding:?}, deleted {gone}");
            look(&base);
            trace.assert([]);
        }
    }
}

/// FD-6, FD-7, EP-9: any number of ready descriptors is delivered, each once per look.
#[test]
fn many_ready_descriptors_run_once_each() {
    for_each_backend(|base| {
        let runs: Vec<Rc<Cell<usize>>> = (0..70).map(|_| Rc::default()).collect();
        let mut events = Vec::new();
        for runs in &runs {
            let socket = Rc::new(UnixDatagram::unbound().unwrap());
            let runs = runs.clone();
            let event = on_fd(base, &socket, Flags::WRITE | Flags::PERSIST, move |_, _| {
                runs.set(runs.get() + 1)
            });
            event.add().unwrap();
            events.push(event);
            look(base);
        }
        look(base);
        for (i, runs) in runs.iter().enumerate() {
            // One look after each add and one more: exactly, unless the batch was too small, which later looks make up for.
            let expected = 70 - i + 1;
            assert_eq!(runs.get(), expected, "socket {i}");
        }
    });
}

/// FD-6, PO-1, SE-4: level scans do not always begin with the same descriptor.
#[test]
fn scans_begin_anywhere() {
    for method in [Method::Poll, Method::Select] {
        let base = base_on(method);
        let first = Rc::new(Cell::new(-1));
        let mut events = Vec::new();
        for _ in 0..50 {
            let socket = Rc::new(UnixDatagram::unbound().unwrap());
            let (first, base2) = (first.clone(), base.clone());
            let event = on_fd(
                &base,
                &socket,
                Flags::WRITE | Flags::PERSIST,
                move |event, _| {
                    first.set(event.number());
                    base2.loop_break();
                },
            );
            event.add().unwrap();
            events.push(event);
        }
        let mut seen = std::collections::HashSet::new();
        for _ in 0..40 {
            look(&base);
            seen.insert(first.get());
            // Those that did not run are taken out and put in again, so that the next look scans afresh.
            for event in &events {
                event.del().unwrap();
                event.add().unwrap();
            }
        }
        assert!(seen.len() > 1, "always {seen:?}");
    }
}

/// Better than EP-2: a number that was closed and used again behind the base's back can be watched again.
#[test]
fn reused_number_is_watched() {
    if !in_child("fds::reused_number_is_watched") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let number = here.as_raw_fd();
        let stale = on_fd(base, &here, Flags::READ, trace.note("stale"));
        stale.add().unwrap();
        let (fresh, _peer) = readable_pair();
        dup_onto(&*fresh, number);
        let writer = on_fd(base, &here, Flags::WRITE, trace.note_what("writer"));
        writer.add().unwrap();
        base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)
            .unwrap();
        let ran = trace.take();
        assert!(ran.contains(&"writer WRITE".to_string()), "{ran:?}");
        let _ = stale.del();
        assert_eq!(look(base), LoopEnd::Dry);
    });
}

/// Better than FD-9, FD-2: a number that is another file's by now is watched when an event is added of a kind that is watched already,
/// whether the base has looked in between, and has seen it closed, or not. The event that was there before is of the new file, too.
#[test]
fn reused_number_is_watched_for_the_same_kind() {
    if !in_child("fds::reused_number_is_watched_for_the_same_kind") {
        return;
    }
    for_each_backend(|base| {
        for trigger in [Flags::NONE, Flags::ET] {
            for is_seen_closed in [false, true] {
                let trace = Trace::new();
                let (here, _there) = pair();
                let interest = Flags::READ | Flags::PERSIST | trigger;
                let stale = on_fd(base, &here, interest, trace.note("stale"));
                stale.add().unwrap();
                look(base);
                if is_seen_closed {
                    // Filled with something that is never ready.
                    close_behind(&here, || {
                        look(base);
                    });
                    trace.take();
                }
                let (fresh, mut peer) = readable_pair();
                dup_onto(&*fresh, here.as_raw_fd());
                let reader = on_fd(base, &here, interest, trace.note("reader"));
                reader.add().unwrap();
                for _ in 0..2 {
                    look(base);
                    let mut ran = trace.take();
                    ran.sort();
                    assert_eq!(ran, ["reader", "stale"], "{trigger:?} {is_seen_closed}");
                    drain(&fresh);
                    look(base);
                    trace.assert([]);
                    peer.write_all(b"x").unwrap();
                }
                look(base);
            }
        }
        assert_eq!(look(base), LoopEnd::Dry);
    });
}

/// Better than FD-9: a number that is closed is refused when another event of the same kind is added, where the backend finds out, and
/// is reported at the wait elsewhere.
#[test]
fn closed_number_is_found_out() {
    if !in_child("fds::closed_number_is_found_out") {
        return;
    }
    for_each_backend(|base| {
        // The kernel forgets a closed descriptor; told to change it, it says so. Where changes are collected that is at the wait.
        let finds_out =
            base.features().contains(Features::ET) && base.method() != Method::EpollBatched;
        let trace = Trace::new();
        let (here, _there) = pair();
        let first = on_fd(base, &here, Flags::READ, trace.note("told"));
        let second = on_fd(base, &here, Flags::READ, trace.note("told"));
        first.add().unwrap();
        look(base);
        close_behind(&here, || {
            assert_eq!(second.add().is_err(), finds_out);
            assert_eq!(second.is_pending(), !finds_out);
            look(base);
        });
        assert_eq!(trace.len(), if finds_out { 0 } else { 2 });
        let _ = (first.del(), second.del());
        assert_eq!(look(base), LoopEnd::Dry);
    });
}

/// BK-1, DEL-17: in the callback of one event the source is dropped; the other reports of its batch reach nobody (B13).
#[test]
fn dropped_in_a_callback_of_the_same_batch() {
    for_each_backend(|base| {
        let runs = Rc::new(Cell::new(0));
        let events: Rc<RefCell<Vec<Event>>> = Rc::default();
        let (here, there) = readable_pair();
        drop(there);
        for interest in [Flags::READ, Flags::WRITE] {
            let (runs, all) = (runs.clone(), events.clone());
            let event = on_fd(base, &here, interest | Flags::PERSIST, move |_, _| {
                runs.set(runs.get() + 1);
                all.take();
            });
            event.add().unwrap();
            events.borrow_mut().push(event);
        }
        drop(here);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(runs.get(), 1);
    });
}

/// EP-15: a duplicate keeps the kernel's registration alive; the number can be used again, and no event is of
/// the old file (B15).
#[test]
fn duplicate_of_a_closed_descriptor_is_silent() {
    if !in_child("fds::duplicate_of_a_closed_descriptor_is_silent") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let duplicate = here.try_clone().unwrap();
        let number = here.as_raw_fd();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note("stale"),
        );
        event.add().unwrap();
        // The right order: deleted before it is closed.
        drop(event);
        drop(here);
        let (fresh, _peer) = readable_pair();
        let at = if fresh.as_raw_fd() == number {
            fresh
        } else {
            // The number is free: it becomes another name of the fresh one.
            dup_onto(&*fresh, number);
            // SAFETY: `dup_onto` has just opened the number, and nobody else owns it.
            Rc::new(unsafe {
                <std::os::unix::net::UnixStream as std::os::fd::FromRawFd>::from_raw_fd(number)
            })
        };
        let event = on_fd(base, &at, Flags::READ, trace.note_what("fresh"));
        event.add().unwrap();
        there.write_all(b"x").unwrap();
        look(base);
        trace.assert(["fresh READ"]);
        there.write_all(b"x").unwrap();
        look(base);
        trace.assert([]);
        drop(duplicate);
    });
}

/// EP-15: a descriptor and its duplicate are watched independently.
#[test]
fn duplicates_are_independent() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let duplicate = Rc::new(here.try_clone().unwrap());
        let one = on_fd(base, &here, Flags::READ, trace.note("one"));
        let other = on_fd(base, &duplicate, Flags::READ, trace.note("other"));
        one.add().unwrap();
        other.add().unwrap();
        base.dispatch().unwrap();
        let mut ran = trace.take();
        ran.sort();
        assert_eq!(ran, ["one", "other"]);
    });
}

/// A model of open, add, delete and close in random order, inside callbacks too: no callback is of a dead event.
#[test]
fn random_life_cycles() {
    for_each_backend(|base| {
        struct Live {
            event: Event,
            number: RawFd,
            alive: Rc<Cell<bool>>,
            peer: std::os::unix::net::UnixStream,
        }
        let live: Rc<RefCell<Vec<Live>>> = Rc::default();
        let ran = Rc::new(Cell::new(0));
        let mut random = 0x9e37_79b9_u32;
        let mut next = move |below: u32| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random % below
        };
        for _ in 0..20_000 {
            match next(6) {
                0 | 1 if live.borrow().len() < 20 => {
                    let (here, peer) = pair();
                    let number = here.as_raw_fd();
                    let alive = Rc::new(Cell::new(true));
                    let (mine, all, ran) = (alive.clone(), live.clone(), ran.clone());
                    let event = on_fd(
                        base,
                        &here,
                        Flags::READ | Flags::PERSIST,
                        move |event, _| {
                            assert!(mine.get(), "a dead event ran");
                            assert_eq!(event.number(), number);
                            ran.set(ran.get() + 1);
                            // Every other callback kills somebody, perhaps itself.
                            let victim = ran.get() % 7;
                            let mut live = all.borrow_mut();
                            if victim < live.len() && ran.get() % 2 == 0 {
                                let dead = live.swap_remove(victim);
                                dead.alive.set(false);
                                drop(live);
                                drop(dead);
                            }
                        },
                    );
                    event.add().unwrap();
                    live.borrow_mut().push(Live {
                        event,
                        number,
                        alive,
                        peer,
                    });
                }
                2 => {
                    let at = next(20) as usize;
                    if let Some(live) = live.borrow_mut().get_mut(at) {
                        let _ = live.peer.write(b"x");
                    }
                }
                3 => {
                    let at = next(20) as usize;
                    if let Some(live) = live.borrow().get(at) {
                        live.event.del().unwrap();
                        live.event.add().unwrap();
                        assert_eq!(live.event.number(), live.number);
                    }
                }
                4 => {
                    let at = next(40) as usize;
                    let mut all = live.borrow_mut();
                    if at < all.len() {
                        let dead = all.swap_remove(at);
                        dead.alive.set(false);
                    }
                }
                _ => {
                    look(base);
                }
            }
        }
        assert!(
            ran.get() > 1000,
            "the model ran only {} callbacks",
            ran.get()
        );
        live.borrow_mut().clear();
        assert_eq!(look(base), LoopEnd::Dry);
        assert!(base.features().contains(Features::NONE));
    });
}

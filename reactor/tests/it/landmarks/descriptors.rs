//! Descriptors that are closed, dropped or numbered again behind somebody's back.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use levent_reactor::{Event, Features, Flags, LoopEnd, Method};

use crate::support::*;

/// B7: a descriptor that somebody else closed is one report at most, by `poll` and `select` exactly one, and no wait is cut short by it.
#[test]
fn b7_closed_descriptor_is_reported_once() {
    if !in_child("landmarks::descriptors::b7_closed_descriptor_is_reported_once") {
        return;
    }
    for_each_backend(|base| {
        let (calls, turns) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, {
            let calls = calls.clone();
            move |_, _| calls.set(calls.get() + 1)
        });
        event.add().unwrap();
        look(base);
        let watcher = base.on_prepare({
            let turns = turns.clone();
            move |_, _| turns.set(turns.get() + 1)
        });
        close_behind(&here, || {
            base.loop_exit(Some(ms(50))).unwrap();
            base.dispatch().unwrap();
            // The kernel forgets it with epoll.
            let is_told = matches!(base.method(), Method::Poll | Method::Select);
            assert_eq!(calls.get(), u32::from(is_told));
            assert!(turns.get() <= 4, "{} turns", turns.get());
            let _ = event.del();
        });
        drop(watcher);
    });
}

/// B8: the writer of a full pipe whose reader goes is told once, and the loop ends instead of spinning on a bare hang-up.
#[test]
fn b8_writer_is_told_that_the_reader_is_gone() {
    for_each_backend(|base| {
        let (reader, mut writer) = pipe();
        while writer.write(&[0; 4096]).is_ok() {}
        let calls = Rc::new(Cell::new(0));
        let counts = calls.clone();
        let event = Event::new(
            base,
            writer,
            Flags::WRITE | Flags::PERSIST,
            move |mut writer, _, event: &Event| {
                counts.set(counts.get() + 1);
                if writer.write(b"x").unwrap_err().kind() == ErrorKind::BrokenPipe {
                    event.del().unwrap();
                }
            },
        )
        .unwrap();
        event.add().unwrap();
        look(base);
        assert_eq!(calls.get(), 0);
        drop(reader);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        // A program that another test is starting may have had the reader's end for a moment.
        assert_eq!(calls.get(), 1);
    });
}

/// B13: the callback for READ drops every event and with them the source; WRITE and the error of the same batch reach nobody.
#[test]
fn b13_source_is_dropped_in_the_callback_for_reading() {
    for_each_backend(|base| {
        base.set_priorities(2).unwrap();
        for is_reset in [false, true] {
            let (here, there) = tcp_pair();
            match is_reset {
                // Read, written and failed at once; else read and written, and what is left of the peer tells of our end.
                true => reset(there.try_clone().unwrap()),
                false => there.shutdown(Shutdown::Write).unwrap(),
            }
            let mut there = (!is_reset).then_some(there);
            let here = Rc::new(here);
            let trace = Trace::new();
            let events: Rc<RefCell<Vec<Event>>> = Rc::default();
            for (name, interest) in [
                ("write", Flags::WRITE),
                ("read", Flags::READ),
                ("both", Flags::READ | Flags::WRITE),
            ] {
                let (trace, all) = (trace.clone(), events.clone());
                let event = on_fd(base, &here, interest | Flags::PERSIST, move |_, _| {
                    trace.push(name);
                    all.take();
                });
                event.set_priority(u8::from(name != "read")).unwrap();
                event.add().unwrap();
                events.borrow_mut().push(event);
            }
            drop(here);
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
            trace.assert(["read"]);
            if let Some(there) = &mut there {
                there.set_nonblocking(false).unwrap();
                assert_eq!(there.read(&mut [0]).unwrap(), 0, "our end is closed");
            }
        }
    });
}

/// B15: a descriptor is closed while a duplicate keeps its file open; its number, opened again, is watched as whatever it names now: a new
/// file, of which no event is the old one's, or the old file, which the kernel believes to be watched already.
#[test]
fn b15_duplicate_keeps_the_file_open() {
    if !in_child("landmarks::descriptors::b15_duplicate_keeps_the_file_open") {
        return;
    }
    for_each_backend(|base| {
        for is_closed_first in [false, true] {
            let (here, mut there) = pair();
            let duplicate = here.try_clone().unwrap();
            let number = here.as_raw_fd();
            let old = on_fd(base, &here, Flags::READ | Flags::PERSIST, |_, _| {
                panic!("old")
            });
            old.add().unwrap();
            look(base);
            let fresh = readable_pair();
            let (named, mut end) = match is_closed_first {
                // Deleted too late for the kernel to know which file is meant.
                true => {
                    close_behind(&here, || drop(old.del()));
                    dup_onto(&duplicate, number);
                    (here, there.try_clone().unwrap())
                }
                false => {
                    drop((old, here));
                    dup_onto(&*fresh.0, number);
                    // SAFETY: the number has just been opened, and nobody else owns it.
                    let owned = unsafe { OwnedFd::from_raw_fd(number) };
                    (Rc::new(UnixStream::from(owned)), fresh.1)
                }
            };
            let trace = Trace::new();
            let new = on_fd(base, &named, Flags::READ | Flags::PERSIST, {
                let (trace, named) = (trace.clone(), named.clone());
                move |_, _| {
                    trace.push("new");
                    drain(&named);
                }
            });
            new.add().unwrap();
            if is_closed_first {
                look(base);
                trace.assert([]);
                end.write_all(b"for the new one").unwrap();
            }
            look(base);
            trace.assert(["new"]);
            there.write_all(b"for the old file").unwrap();
            look(base);
            assert_eq!(trace.len(), usize::from(is_closed_first));
            drop(duplicate);
        }
    });
}

/// B17: a number that is deleted, closed and reused at once is the new file's, and nothing of the old one's is left.
#[test]
fn b17_deleted_number_is_free_at_once() {
    for_each_backend(|base| {
        let (spare, mut other_end) = UnixStream::pair().unwrap();
        let number = spare.as_raw_fd();
        let mut here: OwnedFd = spare.into();
        for round in 0..50 {
            let old = Event::new(base, here, Flags::READ, |_, _, _| panic!("deleted")).unwrap();
            old.add().unwrap();
            if round % 2 == 0 {
                look(base);
            }
            other_end.write_all(b"for the old one").unwrap();
            old.del().unwrap();
            drop(old);
            let (fresh, mut fresh_end) = UnixStream::pair().unwrap();
            let calls = Rc::new(Cell::new(0));
            let counts = calls.clone();
            let new = Event::new(base, fresh, Flags::READ, move |_, _, _| {
                counts.set(counts.get() + 1);
            })
            .unwrap();
            new.add().unwrap();
            look(base);
            assert_eq!(calls.get(), 0, "round {round}");
            fresh_end.write_all(b"for the new one").unwrap();
            look(base);
            assert_eq!(calls.get(), 1, "round {round}");
            drop(new);
            let (next, next_end) = UnixStream::pair().unwrap();
            (here, other_end) = (next.into(), next_end);
        }
        // Numbers are given out lowest first, so they were the same again and again, unless another test had them.
        println!("{number}, {}", here.as_raw_fd());
    });
}

/// B48: three events of one descriptor, added and deleted in all orders: those who are left keep their interest and their kind. By edges
/// they hear of a change once and of the next again; by levels, in every turn.
#[test]
fn b48_deleting_one_keeps_the_kind_of_the_others() {
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for_each_backend(|base| {
        let has_edges = base.features().contains(Features::ET);
        let kinds = [Flags::NONE, Flags::ET];
        for kind in &kinds[..1 + usize::from(has_edges)] {
            let (kind, is_edge) = (*kind, *kind == Flags::ET);
            for (adding, deleting) in ORDERS.iter().flat_map(|a| ORDERS.map(|d| (a, d))) {
                let interests = [Flags::READ, Flags::WRITE, Flags::READ | Flags::WRITE];
                let (here, mut there) = readable_pair();
                let seen: [Rc<Cell<Flags>>; 3] = Default::default();
                let events = [0, 1, 2].map(|i| {
                    let seen = seen[i].clone();
                    let flags = interests[i] | kind | Flags::PERSIST;
                    on_fd(base, &here, flags, move |_, what| seen.set(what))
                });
                for &i in adding {
                    events[i].add().unwrap();
                }
                look(base);
                assert_eq!(
                    [0, 1, 2].map(|i| seen[i].take()),
                    interests.map(|i| i | kind)
                );
                let mut is_left = [true; 3];
                for i in deleting {
                    events[i].del().unwrap();
                    is_left[i] = false;
                    let expected = [0, 1, 2].map(|i| match is_left[i] {
                        true => interests[i] | kind,
                        false => Flags::NONE,
                    });
                    let context =
                        format!("{kind:?}, added {adding:?}, deleted {deleting:?} up to {i}");
                    // The change of the registration may be an edge of its own.
                    look(base);
                    let first = [0, 1, 2].map(|i| seen[i].take());
                    look(base);
                    let second = [0, 1, 2].map(|i| seen[i].take());
                    match is_edge {
                        true => assert_eq!(second, [Flags::NONE; 3], "{context}"),
                        false => assert_eq!((first, second), (expected, expected), "{context}"),
                    }
                    there.write_all(b"x").unwrap();
                    look(base);
                    for i in 0..3 {
                        let (what, read) = (seen[i].take(), expected[i] & Flags::READ);
                        assert_eq!(what & read, read, "{context}: event {i} is told {what:?}");
                        assert!(is_left[i] || what == Flags::NONE, "{context}: event {i}");
                    }
                }
            }
        }
    });
}

//! BK, EP, KQ, PO, SE: what backends have in common, and what they do not.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use levent_reactor::{Base, Features, Flags, LoopEnd, LoopFlags, Method};

use crate::support::*;

/// PO-5, EP-6: regular files are refused by epoll and always ready elsewhere. With batched changes the event is told at the wait,
/// once (better than CL-3).
#[test]
fn regular_files() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let file = Rc::new(std::fs::File::open("/proc/self/exe").unwrap());
        let event = on_fd(base, &file, Flags::READ, trace.note_what("file"));
        let takes_files = base.features().contains(Features::FDS);
        let is_batched = base.method() == Method::EpollBatched;
        assert_eq!(event.add().is_ok(), takes_files || is_batched);
        base.dispatch().unwrap();
        assert_eq!(trace.len(), usize::from(takes_files || is_batched));
    });
}

/// BK-5, EP-7: a reset connection wakes readers with READ, writers with WRITE.
#[test]
fn reset_connection() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, there) = tcp_pair();
        let here = Rc::new(here);
        let reader = on_fd(base, &here, Flags::READ, trace.note_what("reader"));
        let writer = on_fd(base, &here, Flags::WRITE, trace.note_what("writer"));
        reset(there);
        reader.add().unwrap();
        writer.add().unwrap();
        base.dispatch().unwrap();
        let mut ran = trace.take();
        ran.sort();
        assert_eq!(ran, ["reader READ", "writer WRITE"]);
    });
}

/// EP-8, PO-4: the peer's close wakes a writer whose socket is full.
#[test]
fn close_wakes_a_full_writer() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, there) = pair();
        fill(&here);
        let writer = on_fd(base, &here, Flags::WRITE, trace.note_what("writer"));
        writer.add().unwrap();
        assert_eq!(look(base), LoopEnd::Stopped);
        drop(there);
        base.dispatch().unwrap();
        trace.assert(["writer WRITE"]);
    });
}

/// PO-2: better than a spin: a descriptor closed behind the base's back is reported once at most, then only times out (B7).
#[test]
fn closed_behind_the_base() {
    if !in_child("backends::closed_behind_the_base") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            trace.note("event"),
        );
        event.add().unwrap();
        close_behind(&here, || {
            for _ in 0..5 {
                look(base);
            }
            assert!(trace.len() <= 1, "said once");
            let _ = event.del();
        });
        base.once_after(Duration::ZERO, || {});
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// KQ-2: the write end of a pipe that nobody reads is writable, since a write would not block: it fails.
#[test]
fn writer_of_a_dead_pipe() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (reader, writer) = pipe();
        drop(reader);
        let event = on_fd(
            base,
            &Rc::new(writer),
            Flags::WRITE,
            trace.note_what("pipe"),
        );
        event.add().unwrap();
        base.dispatch().unwrap();
        trace.assert(["pipe WRITE"]);
    });
}

/// KQ-3: a file can be read at its end too, where files can be watched. NetBSD's, macOS's and libkqueue's kqueue cannot be told so.
#[test]
fn file_at_its_end() {
    for_each_backend(|base| {
        let has_no_switch = cfg!(any(
            target_os = "linux",
            target_os = "netbsd",
            target_vendor = "apple"
        ));
        if !base.features().contains(Features::FDS)
            || base.method() == Method::Kqueue && has_no_switch
        {
            return;
        }
        let trace = Trace::new();
        let mut file = File::open(std::env::current_exe().unwrap()).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
        let event = on_fd(base, &Rc::new(file), Flags::READ, trace.note_what("end"));
        event.add().unwrap();
        base.dispatch().unwrap();
        trace.assert(["end READ"]);
    });
}

/// KQ-5: descriptors of any number, those that a backend might give its own things among them, do not meet what wakes the loop.
#[test]
fn any_number_goes_with_wakes() {
    if !in_child("backends::any_number_goes_with_wakes") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let pipes = [pipe(), pipe()];
        dup_onto(&pipes[0].0, 0);
        dup_onto(&pipes[1].0, 42);
        // SAFETY: just made, in a process that has no other use for this number.
        let forty_two = File::from(unsafe { OwnedFd::from_raw_fd(42) });
        let interest = Flags::READ | Flags::PERSIST;
        let zero = Rc::new(std::io::stdin());
        let events = [
            on_fd(base, &zero, interest, trace.note("zero")),
            on_fd(base, &Rc::new(forty_two), interest, trace.note("forty-two")),
        ];
        events.iter().for_each(|event| event.add().unwrap());
        for (ends, name) in pipes.iter().zip(["zero", "forty-two"]) {
            let (mut reader, mut writer) = (&ends.0, &ends.1);
            let remote = base.remote();
            let poster = thread::spawn(move || remote.post(Base::loop_break).unwrap());
            base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
            assert!(base.got_break());
            poster.join().unwrap();
            look(base);
            trace.assert([]);
            writer.write_all(b"x").unwrap();
            look(base);
            trace.assert([name]);
            assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
        }
        events.iter().for_each(|event| event.del().unwrap());
    });
}

/// BK-6: urgent data is not asked for by events: alone it makes nothing ready to read.
#[test]
#[cfg(target_os = "linux")]
fn urgent_data_is_not_reported() {
    for_each_backend(|base| {
        let (here, there) = tcp_pair();
        let event = on_fd(
            base,
            &Rc::new(here),
            Flags::READ | Flags::PERSIST,
            |_, what| {
                panic!("{what:?}");
            },
        );
        event.add().unwrap();
        // SAFETY: the call reads one byte.
        let sent = unsafe {
            libc::send(
                std::os::fd::AsRawFd::as_raw_fd(&there),
                c"!".as_ptr().cast(),
                1,
                libc::MSG_OOB,
            )
        };
        assert_eq!(sent, 1);
        let timer =
            levent_reactor::Event::timer(base, |event, _| event.base().unwrap().loop_break());
        timer.add_after(ms(20)).unwrap();
        base.dispatch().unwrap();
    });
}

/// Better than EP-7, BK-5: an event that waits for the peer's close alone hears of an error as that; unheard, it would end every wait.
#[test]
fn close_is_heard_as_an_error_too() {
    for method in methods() {
        let base = base_on(method);
        if !base.features().contains(Features::EARLY_CLOSE) {
            continue;
        }
        let trace = Trace::new();
        let (here, there) = tcp_pair();
        let closed = on_fd(
            &base,
            &Rc::new(here),
            Flags::CLOSED,
            trace.note_what("closed"),
        );
        closed.add().unwrap();
        reset(there);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        trace.assert(["closed CLOSED"]);
    }
}

/// PO-4, BK-5: the peer's close is told as READ and CLOSED, where closes are known, to an event that waits for both.
#[test]
fn close_is_read_and_closed() {
    for_each_backend(|base| {
        let what = Rc::new(std::cell::Cell::new(Flags::NONE));
        let told = what.clone();
        let (here, there) = pair();
        let event = on_fd(base, &here, Flags::READ | Flags::CLOSED, move |_, what| {
            told.set(what);
        });
        event.add().unwrap();
        drop(there);
        base.dispatch().unwrap();
        if base.features().contains(Features::EARLY_CLOSE) {
            assert_eq!(what.get(), Flags::READ | Flags::CLOSED);
        } else {
            assert!(what.get().contains(Flags::READ), "{:?}", what.get());
        }
    });
}

/// EP-13: epoll forgets a descriptor that was closed: its events stay pending, and only time out. EP-14: with a duplicate it does not,
/// and they are reported until they are deleted.
#[test]
#[cfg(target_os = "linux")]
fn epoll_and_closed_descriptors() {
    if !in_child("backends::epoll_and_closed_descriptors") {
        return;
    }
    with_manual_clock(|base, hand| {
        if !matches!(base.method(), Method::Epoll | Method::EpollBatched) {
            return;
        }
        let trace = Trace::new();
        let (here, mut there) = pair();
        let event = on_fd(base, &here, Flags::READ, trace.note_what("event"));
        event.add_after(ms(50)).unwrap();
        look(base);
        close_behind(&here, || {
            // Nobody is left to read it.
            assert!(there.write_all(b"x").is_err());
            assert_eq!(look(base), LoopEnd::Stopped);
            trace.assert([]);
            assert!(event.is_pending());
            hand.advance(ms(50));
            look(base);
            trace.assert(["event TIMEOUT"]);
        });

        let (here, mut there) = pair();
        let duplicate = here.try_clone().unwrap();
        let interest = Flags::READ | Flags::PERSIST;
        let event = on_fd(base, &here, interest, trace.note_what("event"));
        event.add().unwrap();
        look(base);
        close_behind(&here, || {
            there.write_all(b"x").unwrap();
            look(base);
            trace.assert(["event READ"]);
            look(base);
            trace.assert(["event READ"]);
            let _ = event.del();
            assert!(!event.is_pending());
            base.once_after(Duration::ZERO, || {});
            look(base);
            trace.assert([]);
        });
        drop(duplicate);
    });
}

/// EP-3: the number of a duplicate that was closed, given to another duplicate of the same file: the kernel has it already.
#[test]
fn duplicate_in_the_place_of_another() {
    if !in_child("backends::duplicate_in_the_place_of_another") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let duplicate = Rc::new(here.try_clone().unwrap());
        let interest = Flags::READ | Flags::PERSIST;
        let original = on_fd(base, &here, interest, trace.note_what("original"));
        let other = on_fd(base, &duplicate, interest, trace.note_what("other"));
        original.add().unwrap();
        other.add().unwrap();
        look(base);
        close_behind(&duplicate, || {
            let _ = other.del();
            look(base);
        });
        trace.assert([]);
        dup_onto(&*here, std::os::fd::AsRawFd::as_raw_fd(&*duplicate));
        let writer = on_fd(base, &duplicate, Flags::WRITE, trace.note_what("writer"));
        writer.add().unwrap();
        there.write_all(b"x").unwrap();
        look(base);
        let mut ran = trace.take();
        ran.sort();
        assert_eq!(ran, ["original READ", "writer WRITE"]);
        original.del().unwrap();
    });
}

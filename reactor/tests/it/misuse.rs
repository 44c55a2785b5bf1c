//! ERR: misuse is an error that says what to do, or is harmless; the base goes on either way.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Counted, Event, Features, Flags, LoopEnd, Method, signal};

use crate::support::*;

const ALL: Flags = Flags::from_bits(0xff);

/// ERR-3, ERR-18, ERR-19; better than ERR-14, ERR-17, ERR-25, EV-20, FIN-12: an event whose base has ended cannot be added, is idle, and
/// is as harmless as any idle event; a finalizer runs at once, since no loop will run it.
#[test]
fn event_without_a_base() {
    for method in crate::support::methods() {
        let base = base_on(method);
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let events = [
            on_fd(&base, &here, Flags::READ, trace.note("callback")),
            Event::timer(&base, trace.note("callback")),
            Event::signal(&base, signal::SIGWINCH, trace.note("callback")),
        ];
        drop(base);
        for event in events {
            assert_eq!(event.add().unwrap_err().kind(), ErrorKind::NotConnected);
            let refused = event.add_after(Duration::ZERO);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotConnected);
            let refused = event.set_priority(0);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotConnected);
            event.del().unwrap();
            event.remove_timer();
            event.activate(Flags::READ);
            event.activate_later(Flags::READ);
            assert_eq!(event.pending(ALL), Flags::NONE);
            assert!(!event.is_pending());
            let finalizer = trace.clone();
            event.finalize(move |_| finalizer.push("finalizer"));
            trace.assert(["finalizer"]);
            event.finalize(|_| panic!("a finalizer has run"));
            assert_eq!(event.add().unwrap_err().kind(), ErrorKind::NotConnected);
        }
        trace.assert([]);
    }
}

/// ERR-17: without a deadline there is nothing to take away, whatever else the event waits for.
#[test]
fn removing_no_timer() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ, trace.note_what("event"));
        event.remove_timer();
        event.add().unwrap();
        event.remove_timer();
        assert_eq!(event.pending(ALL), Flags::READ);
        base.dispatch().unwrap();
        trace.assert(["event READ"]);
        event.remove_timer();
        assert!(!event.is_pending());
    });
}

/// Better than ERR-5: a closed descriptor is refused on poll and select too. Where changes are collected the event is told at the wait.
#[test]
fn closed_descriptor_is_refused() {
    if !in_child("misuse::closed_descriptor_is_refused") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let number = UnixStream::pair().unwrap().0.into_raw_fd();
        // SAFETY: what becomes of an event of a closed descriptor is what is asked here; nobody opens one meanwhile.
        let event =
            unsafe { Event::from_raw_fd(base, number, Flags::READ, trace.note_what("event")) };
        let event = event.unwrap();
        // SAFETY: nobody owns the number.
        assert_eq!(unsafe { libc::close(number) }, 0);
        let is_batched = base.method() == Method::EpollBatched;
        match event.add() {
            Ok(()) => assert!(is_batched),
            Err(error) => assert!(error.to_string().contains("is closed"), "{error}"),
        }
        assert_eq!(event.is_pending(), is_batched);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(trace.len(), usize::from(is_batched));
    });
}

/// ERR-6: a regular file is refused where it cannot be watched, and ready elsewhere. Where changes are collected the event is told at
/// the wait.
#[test]
fn regular_file() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let file = Rc::new(std::fs::File::open("/proc/self/exe").unwrap());
        let event = on_fd(base, &file, Flags::READ, trace.note_what("event"));
        let is_taken = base.features().contains(Features::FDS);
        let is_batched = base.method() == Method::EpollBatched;
        match event.add() {
            Ok(()) => assert!(is_taken || is_batched),
            Err(error) => {
                assert!(!is_taken && !is_batched);
                assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                assert!(error.to_string().contains("poll"), "says what to do");
            }
        }
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(trace.len(), usize::from(is_taken || is_batched));
    });
}

/// ERR-8: signals that the system lets nobody catch are refused.
#[test]
fn uncatchable_signal() {
    for_each_backend(|base| {
        for number in [signal::SIGKILL, signal::SIGSTOP] {
            let event = Event::signal(base, number, |_, _| {});
            assert_eq!(event.add().unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(event.pending(ALL), Flags::NONE);
        }
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    });
}

/// ERR-26: a base has 256 common timeouts; the ones it has go on.
#[test]
fn one_common_timeout_too_many() {
    with_manual_clock(|base, hand| {
        let tokens: Vec<_> = (1..=256)
            .map(|n| base.common_timeout(ms(n)).unwrap())
            .collect();
        let refused = base.common_timeout(ms(257)).unwrap_err();
        assert!(!refused.to_string().is_empty());
        assert_eq!(base.common_timeout(ms(256)).unwrap(), tokens[255]);
        let trace = Trace::new();
        let event = Event::timer(base, trace.note("last"));
        event.add_common(tokens[255]).unwrap();
        hand.advance(ms(256));
        base.dispatch().unwrap();
        trace.assert(["last"]);
    });
}

/// Better than ERR-31: several bases have events of one signal, and all of them run.
#[test]
fn two_bases_with_one_signal() {
    if !in_child("misuse::two_bases_with_one_signal") {
        return;
    }
    for_each_backend(|base| {
        let trace = Trace::new();
        let other = base_on(Method::Poll);
        let events = [
            Event::signal(base, signal::SIGUSR1, trace.note("one")),
            Event::signal(&other, signal::SIGUSR1, trace.note("other")),
        ];
        events.iter().for_each(|event| event.add().unwrap());
        raise(signal::SIGUSR1);
        look(base);
        look(&other);
        trace.assert(["one", "other"]);
    });
}

/// ERR-32: numbers that nobody waits for are ignored, absurd ones included.
#[test]
fn activating_unknown_numbers() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let event = on_fd(base, &here, Flags::READ, trace.note("event"));
        event.add().unwrap();
        for number in [-1, 0, 1_000_000, i32::MAX, i32::MIN] {
            base.activate_fd(number, Flags::READ | Flags::TIMEOUT);
            base.activate_signal(number);
        }
        assert_eq!(base.count(Counted::ACTIVE), 0);
        look(base);
        trace.assert([]);
    });
}

/// ERR-33, WAT-4: before a wait without limit a prepare watcher is told of none.
#[test]
fn wait_without_limit() {
    for_each_backend(|base| {
        let told: Rc<RefCell<Vec<_>>> = Rc::default();
        let (here, _there) = pair();
        let quiet = on_fd(base, &here, Flags::READ, |_, _| {});
        quiet.add().unwrap();
        let last = Event::user(base, |event, _| event.base().unwrap().loop_break());
        let _watcher = base.on_prepare({
            let told = told.clone();
            move |_, info| {
                told.borrow_mut().push(info.wait);
                // What becomes active here keeps the wait from being one.
                last.activate(Flags::NONE);
            }
        });
        base.dispatch().unwrap();
        assert_eq!(told.take(), [None]);
    });
}

/// ADD-18, ERR-35: 65,535 events of a kind watch one descriptor; one more is refused and changes nothing, another kind is taken.
#[test]
fn one_event_too_many() {
    let base = base_on(Method::Poll);
    let (here, _there) = readable_pair();
    let runs = Rc::new(Cell::new(0));
    let reader = || {
        let runs = runs.clone();
        on_fd(&base, &here, Flags::READ, move |_, _| {
            runs.set(runs.get() + 1);
        })
    };
    let events: Vec<_> = (0..65_535).map(|_| reader()).collect();
    events.iter().for_each(|event| event.add().unwrap());
    let more = reader();
    let refused = more.add_after(ms(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(more.pending(ALL), Flags::NONE);
    let writer = on_fd(&base, &here, Flags::WRITE, |_, _| {});
    writer.add().unwrap();
    assert_eq!(base.count(Counted::ADDED), 65_536);
    // A place that becomes free can be taken.
    events[0].del().unwrap();
    more.add().unwrap();
    look(&base);
    assert_eq!(runs.get(), 65_535);
}

//! FLG: interest and result flags.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::time::Duration;

use levent_reactor::{Event, Features, Flags, LoopEnd, LoopFlags};

use crate::support::*;

const ALL: Flags = Flags::from_bits(0xff);

/// FLG-1: the numbers are libevent's.
#[test]
fn numbers_are_libevents() {
    let flags = [
        Flags::TIMEOUT,
        Flags::READ,
        Flags::WRITE,
        Flags::SIGNAL,
        Flags::PERSIST,
        Flags::ET,
        Flags::FINALIZE,
        Flags::CLOSED,
    ];
    for (place, flag) in flags.into_iter().enumerate() {
        assert_eq!(flag.bits(), 1 << place);
    }
}

/// FLG-2: every combination of the table that is good is taken.
#[test]
fn good_combinations_are_taken() {
    for_each_backend(|base| {
        for kinds in [
            Flags::READ,
            Flags::WRITE,
            Flags::CLOSED,
            Flags::READ | Flags::WRITE | Flags::CLOSED,
        ] {
            for extra in [
                Flags::NONE,
                Flags::PERSIST,
                Flags::ET,
                Flags::FINALIZE,
                Flags::TIMEOUT,
            ] {
                let (here, _there) = pair();
                let event = on_fd(base, &here, kinds | extra, |_, _| {});
                event.add().unwrap();
                assert_eq!(event.pending(ALL), kinds);
                event.del().unwrap();
            }
        }
    });
}

/// FLG-3, FLG-7: an event sees only what it asked for, also when the peer has gone.
#[test]
fn readers_see_only_read() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, there) = pair();
        let reader = on_fd(base, &here, Flags::READ, trace.note_what("reader"));
        reader.add().unwrap();
        drop(there);
        look(base);
        trace.assert(["reader READ"]);
        let writer = on_fd(base, &here, Flags::WRITE, trace.note_what("writer"));
        writer.add().unwrap();
        look(base);
        trace.assert(["writer WRITE"]);
    });
}

/// FLG-4, PER-9: readiness, an expired timer and a hand make one callback with all their flags (B4).
#[test]
fn causes_are_merged() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, _there) = pair();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::WRITE,
            trace.note_what("event"),
        );
        event.add_after(ms(10)).unwrap();
        event.activate(Flags::READ);
        hand.advance(ms(10));
        base.dispatch().unwrap();
        trace.assert(["event TIMEOUT|READ|WRITE"]);
    });
}

/// FLG-5, FLG-6, ERR-9, KQ-1: edges are reported once and as such where the backend has them, else the event is level-triggered.
#[test]
fn edges_where_the_backend_has_them() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        there.write_all(b"several").unwrap();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::ET | Flags::PERSIST,
            trace.note_what("event"),
        );
        event.add().unwrap();
        look(base);
        look(base);
        if base.features().contains(Features::ET) {
            trace.assert(["event READ|ET"]);
            there.write_all(b"more").unwrap();
            look(base);
            trace.assert(["event READ|ET"]);
        } else {
            trace.assert(["event READ", "event READ"]);
        }
    });
}

/// FLG-7, LOOP-7: CLOSED is reported with data unread, and again while it lasts.
#[test]
fn closed_is_reported_with_data_unread() {
    for_each_backend(|base| {
        if !base.features().contains(Features::EARLY_CLOSE) {
            return;
        }
        let trace = Trace::new();
        let (here, mut there) = pair();
        there.write_all(b"unread").unwrap();
        let event = on_fd(
            base,
            &here,
            Flags::CLOSED | Flags::PERSIST,
            trace.note_what("event"),
        );
        event.add().unwrap();
        look(base);
        trace.assert([]);
        there.shutdown(Shutdown::Write).unwrap();
        look(base);
        look(base);
        trace.assert(["event CLOSED", "event CLOSED"]);
        assert_eq!(drain(&here), 6);
        event.del().unwrap();
        let once = on_fd(base, &here, Flags::CLOSED, trace.note_what("once"));
        once.add().unwrap();
        assert_eq!(base.run_loop(LoopFlags::NONBLOCK).unwrap(), LoopEnd::Dry);
        trace.assert(["once CLOSED"]);
    });
}

/// FLG-7: an edge of CLOSED is reported once.
#[test]
fn closed_edge_is_reported_once() {
    let base = base_on(levent_reactor::Method::Epoll);
    let trace = Trace::new();
    let (here, there) = pair();
    let event = on_fd(
        &base,
        &here,
        Flags::CLOSED | Flags::ET | Flags::PERSIST,
        trace.note_what("event"),
    );
    event.add().unwrap();
    drop(there);
    assert_eq!(
        base.run_loop(LoopFlags::NONBLOCK).unwrap(),
        LoopEnd::Stopped
    );
    trace.assert(["event ET|CLOSED"]);
}

/// FLG-8, ERR-10: where early closes are unknown CLOSED can be added, keeps the loop alive, and only times out.
#[test]
fn closed_on_select_only_times_out() {
    let base = base_on(levent_reactor::Method::Select);
    let trace = Trace::new();
    let (here, there) = pair();
    drop(there);
    let event = on_fd(&base, &here, Flags::CLOSED, trace.note_what("event"));
    event.add().unwrap();
    assert_eq!(look(&base), LoopEnd::Stopped);
    event.add_after(ms(5)).unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    trace.assert(["event TIMEOUT"]);
}

/// Better than FLG-9, ERR-13, DBG-5: mixing trigger modes on one descriptor is refused in both orders, and the first event goes on.
#[test]
fn trigger_modes_do_not_mix() {
    for_each_backend(|base| {
        for (first, second) in [(Flags::ET, Flags::NONE), (Flags::NONE, Flags::ET)] {
            let trace = Trace::new();
            let (here, _there) = readable_pair();
            let one = on_fd(base, &here, Flags::READ | first, trace.note("one"));
            let other = on_fd(base, &here, Flags::WRITE | second, trace.note("other"));
            one.add().unwrap();
            assert_eq!(
                other.add_after(ms(1)).unwrap_err().kind(),
                ErrorKind::AlreadyExists
            );
            assert!(one.is_pending() && !other.is_pending());
            base.dispatch().unwrap();
            trace.assert(["one"]);
            other.add().unwrap();
            base.dispatch().unwrap();
            trace.assert(["other"]);
        }
    });
}

/// FLG-10: FINALIZE changes nothing for a single thread.
#[test]
fn finalize_flag_changes_nothing() {
    with_manual_clock(|base, hand| {
        let mut traces = Vec::new();
        for extra in [Flags::NONE, Flags::FINALIZE] {
            let trace = Trace::new();
            let (here, _there) = readable_pair();
            let event = on_fd(
                base,
                &here,
                Flags::READ | Flags::PERSIST | extra,
                trace.note_what("event"),
            );
            event.add_after(ms(5)).unwrap();
            look(base);
            drain(&here);
            hand.advance(ms(5));
            look(base);
            event.del().unwrap();
            look(base);
            traces.push(trace.take());
        }
        assert_eq!(traces[0], traces[1]);
        assert_eq!(traces[0], ["event READ", "event TIMEOUT"]);
    });
}

/// FLG-5: PERSIST and FINALIZE come back only if a hand passes them.
#[test]
fn behaviour_flags_do_not_come_back() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (here, _there) = readable_pair();
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST | Flags::FINALIZE,
            trace.note_what("event"),
        );
        event.add_after(Duration::from_secs(9)).unwrap();
        look(base);
        trace.assert(["event READ"]);
        event.del().unwrap();
        let user = Event::user(base, trace.note_what("user"));
        user.activate(Flags::PERSIST);
        look(base);
        trace.assert(["user PERSIST"]);
    });
}

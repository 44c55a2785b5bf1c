//! BK, EP, PO, SE: what backends have in common, and what they do not.

use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Features, Flags, LoopEnd, Method};

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

/// PO-2, EP-13: better than a spin: a descriptor closed behind the base's back is reported once at most, then only times out (B7).
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

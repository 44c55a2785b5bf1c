//! After a fork (FORK): the child makes its base its own, and the parent notices nothing.
//!
//! Every test forks in a process of its own, from its only thread that matters. The child reports by its exit status.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll};

use levent_reactor::lane::{Direction, Source};
use levent_reactor::{Base, Event, Flags, Method, Wait};

use crate::support::{
    Trace, Wakes, base_on, in_child, look, ms, only, pair, raise, with_manual_clock,
};

/// Forks. `body` is the child's whole life; its panic is the child's failure.
pub(crate) fn fork(body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs ordinary code although the parent has threads (the test runner's); it takes no lock that those can
    // hold: the runner's thread waits, and allocation is made safe by the C library.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    if pid == 0 {
        let failed = catch_unwind(AssertUnwindSafe(body)).is_err();
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(i32::from(failed)) };
    }
    pid
}

/// Waits for a child, which must have succeeded.
#[track_caller]
pub(crate) fn join(pid: libc::pid_t) {
    let mut status = -1;
    // SAFETY: the call writes one number.
    let answer = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((answer, status), (pid, 0), "the child failed");
}

/// One body, all backends, each with a base that was made before the fork.
fn on_every_backend(body: impl Fn(&Base)) {
    for method in crate::support::methods() {
        println!("on {}", method.name());
        body(&base_on(method));
    }
}

/// FORK-1, FORK-2, FORK-7, FORK-8: descriptors and signals of before and of after the fork are delivered in the child; the parent's go on,
/// and no signal crosses.
#[test]
fn child_serves_and_parent_goes_on() {
    if !in_child("fork::child_serves_and_parent_goes_on") {
        return;
    }
    on_every_backend(|base| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let note = trace.note_what("socket");
        let read = {
            let mut note = note;
            Event::new(
                base,
                here,
                Flags::READ | Flags::PERSIST,
                move |stream: &Rc<UnixStream>, what, event| {
                    let _ = (&**stream).read(&mut [0; 8]);
                    note(event, what);
                },
            )
        }
        .unwrap();
        read.add().unwrap();
        let first = Event::signal(base, libc::SIGUSR2, trace.note("USR2"));
        first.add().unwrap();
        look(base);
        trace.assert([]);

        join(fork(|| {
            base.reinit().unwrap();
            let second = Event::signal(base, libc::SIGUSR1, trace.note("USR1"));
            second.add().unwrap();
            raise(libc::SIGUSR1);
            raise(libc::SIGUSR2);
            there.write_all(b"x").unwrap();
            // The descriptor and the signals may take two iterations.
            look(base);
            look(base);
            let mut ran = trace.take();
            ran.sort();
            assert_eq!(ran, ["USR1", "USR2", "socket READ"]);
        }));

        look(base);
        trace.assert([]);
        there.write_all(b"y").unwrap();
        look(base);
        trace.assert(["socket READ"]);
        raise(libc::SIGUSR2);
        look(base);
        trace.assert(["USR2"]);
        first.del().unwrap();
        read.del().unwrap();
    });
}

/// FORK-3: deadlines, active events, priorities and states survive.
#[test]
fn states_survive() {
    if !in_child("fork::states_survive") {
        return;
    }
    with_manual_clock(|base, hand| {
        base.set_priorities(2).unwrap();
        let trace = Trace::new();
        let timer = Event::timer(base, trace.note("timer"));
        timer.add_after(ms(100)).unwrap();
        let urgent = Event::user(base, trace.note("urgent"));
        urgent.set_priority(0).unwrap();
        let calm = Event::user(base, trace.note("calm"));
        calm.set_priority(1).unwrap();
        calm.activate(Flags::TIMEOUT);
        urgent.activate(Flags::TIMEOUT);
        let run = || {
            assert!(timer.is_pending() && urgent.is_pending() && calm.is_pending());
            look(base);
            look(base);
            trace.assert(["urgent", "calm"]);
            hand.advance(ms(99));
            look(base);
            trace.assert([]);
            hand.advance(ms(1));
            look(base);
            trace.assert(["timer"]);
        };
        join(fork(|| {
            base.reinit().unwrap();
            run();
        }));
        run();
    });
}

/// FORK-4: what cannot be registered again is an error, and everything else is registered all the same.
#[test]
fn descriptor_closed_in_the_child_is_an_error() {
    if !in_child("fork::descriptor_closed_in_the_child_is_an_error") {
        return;
    }
    on_every_backend(|base| {
        let trace = Trace::new();
        // Given up in the child, as numbers for what is made there: else that could get the closed one.
        let numbers: Vec<_> = (0..16).map(|_| File::open("/dev/null").unwrap()).collect();
        let events: Vec<_> = (0..3)
            .map(|_| {
                let (here, there) = pair();
                let event = Event::new(base, here.clone(), Flags::READ, {
                    let mut note = trace.note("ready");
                    move |_: &Rc<UnixStream>, what, event: &Event| note(event, what)
                })
                .unwrap();
                event.add().unwrap();
                (event, here, there)
            })
            .collect();
        join(fork(|| {
            // SAFETY: the child closes its copy of a number that its `UnixStream` will never use nor close: the child ends by
            // `_exit`.
            unsafe { libc::close(events[1].1.as_raw_fd()) };
            drop(numbers);
            let error = base.reinit().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{error}");
            for place in [0, 2] {
                (&events[place].2).write_all(b"x").unwrap();
            }
            look(base);
            trace.assert(["ready", "ready"]);
        }));
        for (event, ..) in &events {
            event.del().unwrap();
        }
    });
}

/// FORK-5, FD-8: an edge-triggered event still is one in the child.
#[test]
fn edges_stay_edges() {
    if !in_child("fork::edges_stay_edges") {
        return;
    }
    let base = base_on(Method::Epoll);
    let trace = Trace::new();
    let (here, mut there) = pair();
    let event = Event::new(&base, here, Flags::READ | Flags::ET | Flags::PERSIST, {
        let mut note = trace.note_what("edge");
        move |_: &Rc<UnixStream>, what, event: &Event| note(event, what)
    })
    .unwrap();
    event.add().unwrap();
    join(fork(|| {
        base.reinit().unwrap();
        there.write_all(b"x").unwrap();
        look(&base);
        trace.assert(["edge READ|ET"]);
        // Nothing was read, and nothing new has come.
        look(&base);
        trace.assert([]);
    }));
}

/// FORK-6: another thread of the child wakes the child's base, and not the parent's.
#[test]
fn woken_by_the_childs_threads() {
    if !in_child("fork::woken_by_the_childs_threads") {
        return;
    }
    on_every_backend(|base| {
        let posted = Rc::new(Cell::new(0));
        join(fork(|| {
            base.reinit().unwrap();
            let remote = base.remote();
            let poster = std::thread::spawn(move || {
                remote.post(Base::loop_break).unwrap();
            });
            base.run_loop(levent_reactor::LoopFlags::NO_EXIT_ON_EMPTY)
                .unwrap();
            assert!(base.got_break());
            poster.join().unwrap();
        }));
        assert_eq!(posted.get(), 0);
        // A bell that rang in the child would end this wait at once.
        let start = std::time::Instant::now();
        base.enter().unwrap().turn(Wait::AtMost(ms(5))).unwrap();
        assert!(start.elapsed() >= ms(5));
    });
}

/// FORK-9: without a fork it is legal, in a callback too, and events go on.
#[test]
fn reinit_without_a_fork_changes_nothing() {
    on_every_backend(|base| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let event = Event::new(base, here, Flags::READ | Flags::PERSIST, {
            let mut note = trace.note("ready");
            move |stream: &Rc<UnixStream>, what, event: &Event| {
                let _ = (&**stream).read(&mut [0; 8]);
                note(event, what);
                event.base().unwrap().reinit().unwrap();
            }
        })
        .unwrap();
        event.add().unwrap();
        base.reinit().unwrap();
        for _ in 0..3 {
            there.write_all(b"x").unwrap();
            look(base);
            trace.assert(["ready"]);
        }
        event.del().unwrap();
        look(base);
    });
}

/// FORK-1: use without it is a clear error and never the parent's set; giving up what the child inherited disturbs nobody (FORK-2).
#[test]
fn use_without_reinit_is_refused() {
    if !in_child("fork::use_without_reinit_is_refused") {
        return;
    }
    on_every_backend(|base| {
        let trace = Trace::new();
        let (here, mut there) = pair();
        let event = Event::new(base, here, Flags::READ | Flags::PERSIST, {
            let mut note = trace.note("ready");
            move |stream: &Rc<UnixStream>, what, event: &Event| {
                let _ = (&**stream).read(&mut [0; 8]);
                note(event, what);
            }
        })
        .unwrap();
        event.add().unwrap();
        let (waits, mut answers) = pair();
        let source = {
            let _entered = base.enter().unwrap();
            Source::new(waits.as_fd()).unwrap()
        };
        join(fork(|| {
            let error = base.dispatch().unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("reinit"), "{error}");
            if matches!(
                base.method(),
                Method::Epoll | Method::EpollBatched | Method::Kqueue
            ) {
                let (other, _there) = pair();
                let late = Event::new(base, other, Flags::READ, |_, _, _| {}).unwrap();
                assert!(late.add().is_err());
            }
            event.del().unwrap();
            source.release();
        }));
        there.write_all(b"x").unwrap();
        look(base);
        trace.assert(["ready"]);
        // The parent's source is registered still.
        let entered = base.enter().unwrap();
        let (wakes, waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        let mut read = || source.poll_io(Direction::Read, &mut cx, || (&*waits).read(&mut [0; 8]));
        assert!(read().is_pending());
        answers.write_all(b"x").unwrap();
        entered.turn(Wait::AtMost(ms(20_000))).unwrap();
        assert_eq!(wakes.count(), 1);
        assert!(matches!(read(), Poll::Ready(Ok(1))));
        source.release();
        event.del().unwrap();
    });
}

/// FORK-1 for futures: who waits at the fork is woken in both processes when its descriptor is ready there.
#[test]
fn sources_are_registered_again() {
    if !in_child("fork::sources_are_registered_again") {
        return;
    }
    for method in crate::support::methods() {
        let base = Base::with_config(&only(method)).unwrap();
        let entered = base.enter().unwrap();
        let (here, mut there) = pair();
        let source = Source::new(here.as_fd()).unwrap();
        let (wakes, waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        assert!(
            source
                .poll_io(Direction::Read, &mut cx, || (&*here).read(&mut [0; 8]))
                .is_pending()
        );
        let mut run = || {
            there.write_all(b"x").unwrap();
            entered.turn(Wait::AtMost(ms(20_000))).unwrap();
            assert_eq!(wakes.count(), 1);
            assert_eq!((&*here).read(&mut [0; 8]).unwrap(), 1);
        };
        join(fork(|| {
            base.reinit().unwrap();
            run();
        }));
        run();
        source.release();
    }
}

/// A pipe of before the fork is the parent's too, and says so in the child; one of after it is the child's own.
#[cfg(target_os = "linux")]
#[test]
fn inherited_pipe_says_so() {
    if !in_child("fork::inherited_pipe_says_so") {
        return;
    }
    let pipe = levent_reactor::file::Pipe::new().unwrap();
    join(fork(|| {
        assert!(pipe.is_inherited());
        let own = levent_reactor::file::Pipe::new().unwrap();
        assert!(!own.is_inherited());
    }));
    assert!(!pipe.is_inherited());
}

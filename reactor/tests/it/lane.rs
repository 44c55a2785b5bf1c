//! The fast lane at home: sources, latches and waiters, driven by hand-made wakers that count.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use levent_reactor::lane::{Direction, Priority, Source, Waiter};
use levent_reactor::{Base, Entered, Event, Flags, Method, Wait, current};

use crate::support::*;

/// A base entered, a registered socket and its peer.
fn scene(base: &Base) -> (Entered, UnixStream, UnixStream, Source) {
    let entered = base.enter().unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    there.set_nonblocking(true).unwrap();
    let source = Source::new(here.as_fd()).unwrap();
    (entered, here, there, source)
}

fn read(
    source: &Source,
    here: &UnixStream,
    waker: &Waker,
    len: usize,
    tries: &mut u32,
) -> Poll<io::Result<usize>> {
    let mut chunk = vec![0; len];
    source.poll_stream(
        Direction::Read,
        len,
        &mut Context::from_waker(waker),
        || {
            *tries += 1;
            (&mut &*here).read(&mut chunk)
        },
    )
}

fn moved(poll: Poll<io::Result<usize>>) -> Option<usize> {
    match poll {
        Poll::Ready(result) => Some(result.unwrap()),
        Poll::Pending => None,
    }
}

/// The operation is tried first; after `WouldBlock` a report wakes, once.
#[test]
fn tried_first_then_woken() {
    for_each_backend(|base| {
        let (entered, here, mut there, source) = scene(base);
        let (wakes, waker) = Wakes::new();
        let mut tries = 0;
        there.write_all(b"x").unwrap();
        assert_eq!(moved(read(&source, &here, &waker, 1, &mut tries)), Some(1));
        assert_eq!(moved(read(&source, &here, &waker, 1, &mut tries)), None);
        assert_eq!(tries, 2);
        there.write_all(b"y").unwrap();
        assert_eq!(wakes.count(), 0);
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.take(), 1);
        entered.turn(Wait::Poll).unwrap();
        assert_eq!(wakes.take(), 0);
        assert_eq!(moved(read(&source, &here, &waker, 8, &mut tries)), Some(1));
        source.release();
    });
}

/// Ruling 5: a short read of a stream clears the latch, so the next one waits without asking the kernel; a full one does not.
#[test]
fn short_read_clears_the_latch() {
    for_each_backend(|base| {
        let (entered, here, mut there, source) = scene(base);
        let (wakes, waker) = Wakes::new();
        let mut tries = 0;
        there.write_all(b"abc").unwrap();
        assert_eq!(moved(read(&source, &here, &waker, 3, &mut tries)), Some(3));
        assert_eq!(moved(read(&source, &here, &waker, 3, &mut tries)), None);
        assert_eq!(tries, 2, "a full read says nothing about the next");
        there.write_all(b"ab").unwrap();
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.take(), 1);
        assert_eq!(moved(read(&source, &here, &waker, 3, &mut tries)), Some(2));
        assert_eq!(moved(read(&source, &here, &waker, 3, &mut tries)), None);
        // Where kqueue is, urgent data may be behind it.
        let is_trusted = matches!(base.method(), Method::Epoll | Method::EpollBatched)
            || !Method::supported().contains(&Method::Kqueue);
        assert_eq!(
            tries,
            if is_trusted { 3 } else { 4 },
            "a short read is trusted"
        );
        there.write_all(b"z").unwrap();
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.take(), 1);
        assert_eq!(moved(read(&source, &here, &waker, 3, &mut tries)), Some(1));
        source.release();
    });
}

/// Ruling 5: without trust in short transfers, and for `poll_io` always, only `WouldBlock` clears.
#[test]
fn short_read_is_not_trusted_elsewhere() {
    for_each_backend_with(
        |config| config.trust_short(false),
        |base| {
            let (_entered, here, mut there, source) = scene(base);
            let mut tries = 0;
            there.write_all(b"a").unwrap();
            assert_eq!(
                moved(read(&source, &here, Waker::noop(), 3, &mut tries)),
                Some(1)
            );
            assert_eq!(
                moved(read(&source, &here, Waker::noop(), 3, &mut tries)),
                None
            );
            assert_eq!(tries, 2);
            source.release();
        },
    );
    for_each_backend(|base| {
        let (_entered, here, mut there, source) = scene(base);
        let mut tries = 0;
        let mut cx = Context::from_waker(Waker::noop());
        let mut chunk = [0; 8];
        there.write_all(b"a").unwrap();
        for _ in 0..3 {
            let poll = source.poll_io(Direction::Read, &mut cx, || {
                tries += 1;
                (&mut &here).read(&mut chunk)
            });
            assert_eq!(poll.is_ready(), tries == 1);
        }
        assert_eq!(tries, 3);
        source.release();
    });
}

/// Ruling 13: data and the end reported together before one short read: the end is found all the same.
#[test]
fn end_behind_a_short_read_is_found() {
    for_each_backend(|base| {
        let (entered, here, mut there, source) = scene(base);
        let (wakes, waker) = Wakes::new();
        let mut tries = 0;
        assert_eq!(moved(read(&source, &here, &waker, 100, &mut tries)), None);
        there.write_all(b"last words").unwrap();
        drop(there);
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.take(), 1);
        assert_eq!(
            moved(read(&source, &here, &waker, 100, &mut tries)),
            Some(10)
        );
        let mut end = moved(read(&source, &here, &waker, 100, &mut tries));
        for _ in 0..3 {
            if end.is_none() {
                entered.turn(Wait::AtMost(ms(100))).unwrap();
                end = moved(read(&source, &here, &waker, 100, &mut tries));
            }
        }
        assert_eq!(end, Some(0), "the end of the stream");
        source.release();
    });
}

/// The same when the end comes after the data was read short: a report follows.
#[test]
fn end_after_a_short_read_is_reported() {
    for_each_backend(|base| {
        let (entered, here, mut there, source) = scene(base);
        let (wakes, waker) = Wakes::new();
        let mut tries = 0;
        there.write_all(b"abc").unwrap();
        assert_eq!(
            moved(read(&source, &here, &waker, 100, &mut tries)),
            Some(3)
        );
        assert_eq!(moved(read(&source, &here, &waker, 100, &mut tries)), None);
        // What was there when the source was registered may be reported once more.
        entered.turn(Wait::Poll).unwrap();
        wakes.take();
        while moved(read(&source, &here, &waker, 100, &mut tries)).is_some() {}
        drop(there);
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.take(), 1);
        assert_eq!(
            moved(read(&source, &here, &waker, 100, &mut tries)),
            Some(0)
        );
        source.release();
    });
}

/// A writer that finds the socket full is woken when there is room.
#[test]
fn writer_is_woken() {
    for_each_backend(|base| {
        let (entered, here, there, source) = scene(base);
        let (wakes, waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        let chunk = [0; 4096];
        let mut write = || {
            source.poll_stream(Direction::Write, 4096, &mut cx, || {
                (&mut &here).write(&chunk)
            })
        };
        while write().is_ready() {}
        entered.turn(Wait::Poll).unwrap();
        let early = wakes.take();
        assert!(early == 0 || write().is_pending());
        wakes.take();
        drain(&there);
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.take(), 1);
        assert!(write().is_ready());
        source.release();
    });
}

/// One waker per direction: a different one that was there is woken, the same one is not.
#[test]
fn replaced_waker_is_woken() {
    for_each_backend(|base| {
        let (entered, _here, mut there, source) = scene(base);
        let ((first, one), (second, other)) = (Wakes::new(), Wakes::new());
        let poll = |waker: &Waker| {
            let poll = source.poll_ready(Direction::Read, &mut Context::from_waker(waker));
            assert!(poll.is_pending());
        };
        poll(&one);
        poll(&one);
        assert_eq!(first.count(), 0);
        poll(&other);
        // Woken at once or in the next turn, which then does not sleep.
        entered.turn(Wait::Block).unwrap();
        assert_eq!((first.count(), second.count()), (1, 0));
        there.write_all(b"x").unwrap();
        entered.turn(Wait::Block).unwrap();
        assert_eq!((first.count(), second.count()), (1, 1));
        source.release();
    });
}

/// Any number of waiters wait for one direction, and all wake; one that was cancelled does not.
#[test]
fn all_waiters_wake() {
    for_each_backend(|base| {
        let (entered, _here, mut there, source) = scene(base);
        let mut all: Vec<_> = (0..20).map(|_| (Wakes::new(), Waiter::default())).collect();
        for ((_, waker), waiter) in &mut all {
            for _ in 0..2 {
                let mut cx = Context::from_waker(waker);
                assert!(
                    source
                        .poll_waiter(Direction::Read, &mut cx, waiter)
                        .is_pending()
                );
            }
        }
        let (parked, waker) = Wakes::new();
        assert!(
            source
                .poll_ready(Direction::Read, &mut Context::from_waker(&waker))
                .is_pending()
        );
        for (_, waiter) in all.iter_mut().step_by(3) {
            source.cancel_waiter(waiter);
            source.cancel_waiter(waiter);
        }
        there.write_all(b"x").unwrap();
        entered.turn(Wait::Block).unwrap();
        for (i, ((wakes, _), _)) in all.iter().enumerate() {
            assert_eq!(wakes.count(), usize::from(i % 3 != 0), "waiter {i}");
        }
        assert_eq!(parked.count(), 1);
        let ((_, waker), waiter) = &mut all[0];
        let mut cx = Context::from_waker(waker);
        assert!(
            source
                .poll_waiter(Direction::Read, &mut cx, waiter)
                .is_ready()
        );
        source.release();
    });
}

/// Readiness from before satisfies `poll_ready` only if it still holds.
#[test]
fn stale_readiness_does_not_count() {
    for_each_backend(|base| {
        let (entered, here, mut there, source) = scene(base);
        let mut cx = Context::from_waker(Waker::noop());
        there.write_all(b"x").unwrap();
        entered.turn(Wait::Poll).unwrap();
        assert!(source.poll_ready(Direction::Read, &mut cx).is_ready());
        assert!(source.poll_ready(Direction::Read, &mut cx).is_ready());
        drain(&here);
        assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
        source.release();
    });
}

/// A second source for one descriptor is refused, and the first keeps working.
#[test]
fn second_source_is_refused() {
    for_each_backend(|base| {
        let (entered, here, mut there, source) = scene(base);
        assert_eq!(
            Source::new(here.as_fd()).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        let (wakes, waker) = Wakes::new();
        let mut tries = 0;
        assert_eq!(moved(read(&source, &here, &waker, 1, &mut tries)), None);
        assert_eq!(
            Source::new(here.as_fd()).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        there.write_all(b"x").unwrap();
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.take(), 1);
        source.release();
        source.release();
        let again = Source::new(here.as_fd()).unwrap();
        again.release();
    });
}

/// Ruling 18: regular files and directories are refused on every backend.
#[test]
fn regular_file_is_refused() {
    for_each_backend(|base| {
        let _entered = base.enter().unwrap();
        for path in ["/proc/self/exe", "/"] {
            let file = std::fs::File::open(path).unwrap();
            assert_eq!(
                Source::new(file.as_fd()).unwrap_err().kind(),
                ErrorKind::PermissionDenied,
                "{path}"
            );
        }
    });
}

/// Ruling 13: a descriptor of the lane takes no event, and one of an event no source.
#[test]
fn lane_and_events_do_not_mix() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        let (here, _there) = pair();
        let source = Source::new(here.as_fd()).unwrap();
        let event = on_fd(base, &here, Flags::READ, |_, _| {});
        assert_eq!(event.add().unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(!event.is_pending());
        source.release();
        event.add().unwrap();
        assert_eq!(
            Source::new(here.as_fd()).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        entered.turn(Wait::Poll).unwrap();
        assert!(event.is_pending());
    });
}

/// A hang-up wakes readers, writers and waiters alike.
#[test]
fn hangup_wakes_everybody() {
    for_each_backend(|base| {
        let (entered, here, there, source) = scene(base);
        fill(&here);
        let ((reads, reader), (writes, writer), (waits, waiting)) =
            (Wakes::new(), Wakes::new(), Wakes::new());
        let mut waiter = Waiter::default();
        assert!(
            source
                .poll_ready(Direction::Read, &mut Context::from_waker(&reader))
                .is_pending()
        );
        assert!(
            source
                .poll_ready(Direction::Write, &mut Context::from_waker(&writer))
                .is_pending()
        );
        assert!(
            source
                .poll_waiter(
                    Direction::Read,
                    &mut Context::from_waker(&waiting),
                    &mut waiter
                )
                .is_pending()
        );
        entered.turn(Wait::Poll).unwrap();
        drop(there);
        entered.turn(Wait::Block).unwrap();
        assert!(reads.count() >= 1 && writes.count() >= 1 && waits.count() >= 1);
        source.release();
    });
}

/// Sources and events live side by side on one base.
#[test]
fn sources_and_events_side_by_side() {
    for_each_backend(|base| {
        let (entered, _here, mut there, source) = scene(base);
        let trace = Trace::new();
        let timer = Event::timer(base, trace.note("timer"));
        timer.add_after(ms(1)).unwrap();
        let (wakes, waker) = Wakes::new();
        assert!(
            source
                .poll_ready(Direction::Read, &mut Context::from_waker(&waker))
                .is_pending()
        );
        there.write_all(b"x").unwrap();
        while wakes.count() == 0 || timer.is_pending() {
            entered.turn(Wait::Block).unwrap();
        }
        trace.assert(["timer"]);
        source.release();
    });
}

/// A source at rest is unknown to the base, wakes who waited, and is registered again by the next wait.
#[test]
fn rests_until_somebody_waits() {
    for_each_backend(|base| {
        let (entered, here, mut there, source) = scene(base);
        let (wakes, waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        let mut waiter = Waiter::default();
        let mut wait = |waiter: &mut Waiter| {
            let poll = source.poll_waiter(Direction::Read, &mut cx, waiter);
            poll.map(Result::unwrap).is_ready()
        };
        assert!(!wait(&mut waiter));
        let taken = Source::new(here.as_fd()).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        source.rest();
        source.rest();
        entered.turn(Wait::Poll).unwrap();
        assert_eq!(wakes.take(), 1);
        // The base has forgotten the descriptor: another source of it is no mistake.
        Source::new(here.as_fd()).unwrap().release();
        there.write_all(b"x").unwrap();
        entered.turn(Wait::Poll).unwrap();
        assert_eq!(wakes.take(), 0);
        // As if it had never rested.
        assert!(wait(&mut waiter));
        assert_eq!((&here).read(&mut [0; 8]).unwrap(), 1);
        assert!(!wait(&mut waiter));
        there.write_all(b"y").unwrap();
        entered.turn(Wait::Block).unwrap();
        assert_eq!(wakes.take(), 1);
        source.release();
    });
}

/// Who is woken with which priority, in order.
struct Told(u8, Arc<Mutex<Vec<(u8, Priority)>>>);

impl std::task::Wake for Told {
    fn wake(self: Arc<Self>) {
        let mut told = self.1.lock().unwrap();
        told.push((self.0, current::priority()));
    }
}

/// Of those that are ready in one turn the urgent ones are woken first and the others last, each told with what priority; also several waiters of one source, and
/// from the next report on when it is changed. Outside of wakes there is none.
#[test]
fn priorities_order_the_wakes() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let order = [
            Priority::Low,
            Priority::Normal,
            Priority::High,
            Priority::Normal,
            Priority::Low,
            Priority::High,
        ];
        let mut all: Vec<_> = (0..)
            .zip(order)
            .map(|(name, priority)| {
                let (here, there) = UnixStream::pair().unwrap();
                let source = Source::new(here.as_fd()).unwrap();
                source.set_priority(priority);
                assert_eq!(source.priority(), priority);
                let waker = Waker::from(Arc::new(Told(name, told.clone())));
                (source, here, there, waker, Waiter::default())
            })
            .collect();
        for round in 0..3 {
            for (source, _, there, waker, waiter) in &mut all {
                let mut cx = Context::from_waker(waker);
                assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
                let waiting = source.poll_waiter(Direction::Read, &mut cx, waiter);
                assert!(waiting.is_pending());
                there.write_all(b"x").unwrap();
            }
            entered.turn(Wait::Block).unwrap();
            let now = std::mem::take(&mut *told.lock().unwrap());
            let priorities: Vec<_> = now.iter().map(|&(_, priority)| priority).collect();
            assert!(priorities.is_sorted(), "{now:?}");
            for (name, (source, ..)) in (0..).zip(&all) {
                let wakes = now
                    .iter()
                    .filter(|&&told| told == (name, source.priority()));
                assert_eq!(wakes.count(), 2, "round {round}: {now:?}");
            }
            assert_eq!(current::priority(), Priority::Normal);
            for (source, here, ..) in &mut all {
                here.read_exact(&mut [0]).unwrap();
                let next = match source.priority() {
                    Priority::High => Priority::Low,
                    Priority::Low => Priority::Normal,
                    Priority::Normal => Priority::High,
                };
                source.set_priority(next);
            }
        }
        for (source, ..) in all {
            source.release();
        }
    });
}

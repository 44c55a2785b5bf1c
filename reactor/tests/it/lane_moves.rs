//! Sources away from home: other threads, bases at rest and gone, no loop at all, and dropping abroad.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use levent_reactor::lane::{Direction, Priority, Source};
use levent_reactor::{Base, Entered, Method, Wait};

use crate::support::*;

fn sockets() -> (UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    (here, there)
}

fn is_ready(source: &Source, here: &UnixStream, waker: &Waker) -> bool {
    let mut byte = [0];
    let mut cx = Context::from_waker(waker);
    let poll = source.poll_io(Direction::Read, &mut cx, || (&mut &*here).read(&mut byte));
    match poll {
        Poll::Ready(result) => result.unwrap() <= 1,
        Poll::Pending => false,
    }
}

/// Waits for one byte inside a base of this thread's own.
fn receive_inside(method: Method, source: &Source, here: &UnixStream) {
    let base = base_on(method);
    let entered = base.enter().unwrap();
    let (wakes, waker) = Wakes::new();
    let mut turns = 0;
    while !is_ready(source, here, &waker) {
        while wakes.take() == 0 {
            entered.turn(Wait::Block).unwrap();
        }
        turns += 1;
        assert!(turns < 100, "a stale latch sends us round and round");
    }
}

/// Made at one base, polled on another thread inside its own: the source moves, whether its home runs, rests or is gone.
#[test]
fn moves_to_where_it_is_polled() {
    for method in crate::support::methods() {
        for state in ["entered", "at rest", "gone"] {
            println!("{} {state}", method.name());
            let base = base_on(method);
            let (here, mut there) = sockets();
            let entered = base.enter().unwrap();
            let source = Source::new(here.as_fd()).unwrap();
            let entered = if state == "entered" {
                Some(entered)
            } else {
                drop(entered);
                None
            };
            let base = if state == "gone" {
                drop(base);
                None
            } else {
                Some(base)
            };
            let (waits, waiting) = std::sync::mpsc::channel();
            let thread = thread::spawn(move || {
                waits.send(()).unwrap();
                receive_inside(method, &source, &here);
                receive_inside(method, &source, &here);
                source.release();
            });
            waiting.recv().unwrap();
            there.write_all(b"xy").unwrap();
            if let Some(entered) = &entered {
                while !thread.is_finished() {
                    entered.turn(Wait::AtMost(ms(1))).unwrap();
                }
            }
            thread.join().unwrap();
            drop((entered, base));
        }
    }
}

/// Outside all loops a source waits at the background base.
#[test]
fn waits_outside_all_loops() {
    thread::spawn(|| {
        let (here, mut there) = sockets();
        let source = Source::new(here.as_fd()).unwrap();
        let (wakes, waker) = Wakes::new();
        for _ in 0..10 {
            assert!(!is_ready(&source, &here, &waker));
            there.write_all(b"x").unwrap();
            soon("the byte", || wakes.take() > 0);
            assert!(is_ready(&source, &here, &waker));
        }
        source.release();
        source.release();
    })
    .join()
    .unwrap();
}

/// Somebody waits at home, another thread polls the other direction: both are woken.
#[test]
fn two_threads_share_a_source() {
    for method in crate::support::methods() {
        let base = base_on(method);
        let entered = base.enter().unwrap();
        let (here, there) = sockets();
        there.set_nonblocking(true).unwrap();
        fill(&here);
        let source = Source::new(here.as_fd()).unwrap();
        let (reads, reader) = Wakes::new();
        assert!(!is_ready(&source, &here, &reader));
        thread::scope(|scope| {
            let (source, there) = (&source, &there);
            let writer = scope.spawn(move || {
                let base = base_on(method);
                let entered = base.enter().unwrap();
                let (wakes, waker) = Wakes::new();
                let mut cx = Context::from_waker(&waker);
                while source.poll_ready(Direction::Write, &mut cx).is_pending() {
                    drain(there);
                    while wakes.take() == 0 {
                        entered.turn(Wait::AtMost(ms(1))).unwrap();
                    }
                }
                (&mut &*there).write_all(b"x").unwrap();
            });
            while !writer.is_finished() || reads.count() == 0 {
                entered.turn(Wait::AtMost(ms(1))).unwrap();
            }
            writer.join().unwrap();
        });
        assert!(is_ready(&source, &here, &reader));
        source.release();
    }
}

/// When a home ends, those who wait there are woken, to find a new one.
#[test]
fn ending_home_wakes() {
    for_each_backend(|other| {
        let base = base_on(other.method());
        let (here, mut there) = sockets();
        let entered = base.enter().unwrap();
        let source = Source::new(here.as_fd()).unwrap();
        let (wakes, waker) = Wakes::new();
        assert!(!is_ready(&source, &here, &waker));
        drop(entered);
        drop(base);
        assert_eq!(wakes.take(), 1);
        let entered = other.enter().unwrap();
        assert!(!is_ready(&source, &here, &waker));
        there.write_all(b"x").unwrap();
        while wakes.count() == 0 {
            entered.turn(Wait::Block).unwrap();
        }
        assert!(is_ready(&source, &here, &waker));
        source.release();
    });
}

/// P0 row 2, ruling 2: opened, closed and reused at random, at home and away: no wake for a dead source, and none lost.
#[test]
fn random_reuse_of_numbers() {
    struct Live {
        here: UnixStream,
        there: UnixStream,
        source: Source,
        wakes: std::sync::Arc<Wakes>,
        waker: Waker,
    }
    let (away, dropping) = std::sync::mpsc::sync_channel::<Live>(0);
    let dropper = thread::spawn(move || {
        for live in dropping {
            live.source.release();
            drop(live);
        }
    });
    let base = base_on(Method::Epoll);
    let entered = base.enter().unwrap();
    let mut live: Vec<Live> = Vec::new();
    let mut dead: Vec<std::sync::Arc<Wakes>> = Vec::new();
    let mut random = 0x2545_f491_u32;
    for step in 0..100_000 {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let at = (random >> 8) as usize % live.len().max(1);
        match random % 8 {
            0 | 1 if live.len() < 12 => {
                let (here, there) = sockets();
                let (wakes, waker) = Wakes::new();
                let source = Source::new(here.as_fd())
                    .unwrap_or_else(|error| panic!("step {step}: {error}"));
                live.push(Live {
                    here,
                    there,
                    source,
                    wakes,
                    waker,
                });
            }
            2 | 3 if !live.is_empty() => {
                let one = &live[at];
                while is_ready(&one.source, &one.here, &one.waker) {}
            }
            4 if !live.is_empty() => {
                let one = &mut live[at];
                one.there.write_all(b"x").unwrap();
                while is_ready(&one.source, &one.here, &one.waker) {}
                one.wakes.take();
                one.there.write_all(b"x").unwrap();
                entered.turn(Wait::Poll).unwrap();
                assert_eq!(one.wakes.take(), 1, "step {step}: the wake is lost");
            }
            5 if !live.is_empty() => {
                let one = live.swap_remove(at);
                one.source.release();
                // Taken before, and wakes that arrive later would be a dead source's.
                one.wakes.take();
                dead.push(one.wakes.clone());
            }
            6 if !live.is_empty() && step % 5 == 0 => {
                let one = live.swap_remove(at);
                away.send(one).unwrap();
            }
            _ => entered.turn(Wait::Poll).unwrap(),
        }
    }
    drop(away);
    dropper.join().unwrap();
    entered.turn(Wait::Poll).unwrap();
    assert!(
        dead.iter().all(|wakes| wakes.count() == 0),
        "a dead source woke"
    );
    for one in &live {
        one.source.release();
    }
    let mut text = String::new();
    base.dump(&mut text).unwrap();
    assert!(text.contains("Sources: 0"), "{text}");
    drop::<Base>(base.clone());
}

/// Sources of threads outside all loops come and go, and their numbers with them. A message about one that is on its way when it
/// is dropped must not leave the number's next owner without its place: it once registered the next owner's file.
#[test]
fn numbers_come_and_go_outside_all_loops() {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
                for _ in 0..3000 {
                    let (here, mut there) = sockets();
                    let source = Source::new(here.as_fd()).unwrap();
                    assert!(!is_ready(&source, &here, &waker));
                    there.write_all(b"x").unwrap();
                    while !is_ready(&source, &here, &waker) {
                        thread::park();
                    }
                    // On its way while the source goes.
                    assert!(!is_ready(&source, &here, &waker));
                    source.release();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Notes with what priority it is woken.
#[derive(Default)]
struct Told(Mutex<Option<Priority>>);

impl std::task::Wake for Told {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() = Some(levent_reactor::current::priority());
    }
}

/// The background base knows the priority of those who wait there, too.
#[test]
fn priority_outside_all_loops() {
    let waiting = || {
        let (here, mut there) = sockets();
        let source = Source::new(here.as_fd()).unwrap();
        source.set_priority(Priority::High);
        let told = Arc::new(Told::default());
        let waker = Waker::from(told.clone());
        assert!(!is_ready(&source, &here, &waker));
        there.write_all(b"x").unwrap();
        let woken = loop {
            if let Some(priority) = told.0.lock().unwrap().take() {
                break priority;
            }
            thread::yield_now();
        };
        assert_eq!(woken, Priority::High);
        source.release();
    };
    // A thread of its own, which is in no loop.
    thread::spawn(waiting).join().unwrap();
}

/// A source takes its priority along to another base, and it can be set from another thread, whether its home runs or rests.
#[test]
fn priority_moves_along() {
    /// Waits for a byte, and says with what priority it was woken.
    fn priority_of_wake(
        source: &Source,
        entered: &Entered,
        here: &UnixStream,
        there: &mut UnixStream,
    ) -> Priority {
        let told = Arc::new(Told::default());
        let waker = Waker::from(told.clone());
        while told.0.lock().unwrap().is_none() {
            // A move may wake for nothing: then it asks again.
            while is_ready(source, here, &waker) {}
            *told.0.lock().unwrap() = None;
            there.write_all(b"x").unwrap();
            entered.turn(Wait::Block).unwrap();
        }
        let priority = told.0.lock().unwrap().take();
        priority.unwrap()
    }
    for method in crate::support::methods() {
        let (here, mut there) = sockets();
        let first = base_on(method);
        let entered = first.enter().unwrap();
        let source = Source::new(here.as_fd()).unwrap();
        source.set_priority(Priority::High);
        assert_eq!(
            priority_of_wake(&source, &entered, &here, &mut there),
            Priority::High
        );
        // From another thread, while the home runs.
        thread::scope(|scope| {
            scope
                .spawn(|| source.set_priority(Priority::Low))
                .join()
                .unwrap();
        });
        entered.turn(Wait::Poll).unwrap();
        assert_eq!(
            priority_of_wake(&source, &entered, &here, &mut there),
            Priority::Low
        );
        drop(entered);
        // While it rests.
        source.set_priority(Priority::High);
        let entered = first.enter().unwrap();
        assert_eq!(
            priority_of_wake(&source, &entered, &here, &mut there),
            Priority::High
        );
        // Another home.
        let second = base_on(method);
        let inner = second.enter().unwrap();
        assert_eq!(
            priority_of_wake(&source, &inner, &here, &mut there),
            Priority::High
        );
        // Set inside, for the outer loop's.
        drop(inner);
        assert_eq!(
            priority_of_wake(&source, &entered, &here, &mut there),
            Priority::High
        );
        let inner = second.enter().unwrap();
        source.set_priority(Priority::Normal);
        drop(inner);
        assert_eq!(
            priority_of_wake(&source, &entered, &here, &mut there),
            Priority::Normal
        );
        source.release();
    }
}

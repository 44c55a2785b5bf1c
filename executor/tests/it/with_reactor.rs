//! `block_on` on the thread's base.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::zip;
use levent_executor::{LocalExecutor, Task, block_on, leaked_tasks, spawn, yield_now};
use levent_reactor::current;
use levent_reactor::lane::{Alarm, Direction, Priority, Source};

use crate::util::{Guard, Slot, alone};

/// A timer by hand. Never early.
async fn sleep(time: Duration) {
    let deadline = Instant::now() + time;
    let mut alarm = Alarm::new();
    poll_fn(|cx| alarm.poll_at(deadline, cx)).await;
    assert!(Instant::now() >= deadline);
}

const SHORT: Duration = Duration::from_millis(2);

#[test]
fn ready_future_touches_no_reactor() {
    let code = alone("with_reactor::ready_future_touches_no_reactor", || {
        let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let before = descriptors();
        for n in 0..1000 {
            assert_eq!(block_on(async { n }), n);
        }
        assert_eq!(descriptors(), before);
    });
    assert_eq!(code, Some(0));
}

#[test]
fn thread_is_inside_once_the_future_waits() {
    assert!(!current::is_inside());
    block_on(async {
        yield_now().await;
        assert!(current::is_inside());
        spawn(async { assert!(current::is_inside()) }).await;
    });
    assert!(!current::is_inside());
}

/// Promise 11: three levels, timers at each, and a task that goes on beside all of them.
#[test]
fn three_levels_with_timers() {
    let ticks = Rc::new(Cell::new(0));
    let count = Rc::clone(&ticks);
    let ticker = spawn(async move {
        loop {
            sleep(SHORT / 4).await;
            count.set(count.get() + 1);
        }
    });
    let task = spawn(async {
        sleep(SHORT).await;
        block_on(async {
            sleep(SHORT).await;
            let inner = spawn(async {
                block_on(async {
                    sleep(SHORT).await;
                    3
                })
            });
            sleep(SHORT).await;
            inner.await
        })
    });
    assert_eq!(block_on(task), 3);
    assert!(ticks.get() > 0, "the ticker was starved");
    drop(ticker);
}

#[test]
fn timers_of_many_tasks() {
    let tasks: Vec<_> = (0..100u32)
        .map(|n| spawn(async move { sleep(SHORT * (n % 5)).await }))
        .collect();
    block_on(async {
        for task in tasks {
            task.await;
        }
    });
}

/// A timer is served although a task and the future are always ready.
#[test]
fn hog_does_not_starve_the_timer() {
    let hog = spawn(async {
        loop {
            yield_now().await;
        }
    });
    let timer = spawn(sleep(SHORT));
    block_on(async {
        while !timer.is_finished() {
            yield_now().await;
        }
    });
    drop(hog);
}

/// Promise 3: millions of wakes from four threads, none lost.
#[test]
fn foreign_wakes_in_the_millions() {
    let rounds = if cfg!(debug_assertions) {
        20_000
    } else {
        250_000
    };
    let mut threads = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let slot = Slot::default();
        let other = slot.clone();
        threads.push(thread::spawn(move || {
            (0..rounds).for_each(|_| other.wait().wake());
        }));
        tasks.push(spawn(async move {
            for _ in 0..rounds {
                slot.clone().once().await;
            }
            rounds
        }));
    }
    let polls: usize = block_on(async {
        let mut polls = 0;
        for task in tasks {
            polls += task.await;
        }
        polls
    });
    assert_eq!(polls, 4 * rounds);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(leaked_tasks(), 0);
}

#[test]
fn nested_calls_have_different_wakers() {
    block_on(async {
        yield_now().await;
        poll_fn(|outer| {
            block_on(async {
                yield_now().await;
                poll_fn(|inner| {
                    assert!(!inner.waker().will_wake(outer.waker()));
                    Poll::Ready(())
                })
                .await;
            });
            Poll::Ready(())
        })
        .await;
    });
}

#[test]
fn wake_leaks_into_no_other_call() {
    let mut kept = None;
    block_on(async {
        yield_now().await;
        poll_fn(|cx| {
            kept = Some(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
    });
    let kept = kept.unwrap();
    let stray = thread::spawn({
        let kept = kept.clone();
        move || (0..1000).for_each(|_| kept.wake_by_ref())
    });
    let slot = Slot::default();
    let other = slot.clone();
    let real = thread::spawn(move || other.wait().wake());
    let mut polls = 0;
    let mut once = std::pin::pin!(slot.once());
    block_on(poll_fn(|cx| {
        polls += 1;
        kept.wake_by_ref();
        once.as_mut().poll(cx)
    }));
    assert_eq!(polls, 2);
    stray.join().unwrap();
    real.join().unwrap();
}

/// B41: the base and the tasks survive panics at any level.
#[test]
fn panics_leave_the_base_usable() {
    let main = catch_unwind(|| {
        block_on(async {
            sleep(SHORT).await;
            panic!("main, on purpose")
        })
    });
    assert!(main.is_err());
    let nested = spawn(async {
        block_on(async {
            yield_now().await;
            panic!("nested, on purpose")
        })
    });
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(nested))).is_err());
    assert!(!current::is_inside());
    let tasks: Vec<_> = (0..1000).map(|n| spawn(async move { n })).collect();
    block_on(async {
        sleep(SHORT).await;
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, n);
        }
    });
}

#[test]
fn dropped_executor_drops_its_tasks() {
    let alive = Rc::new(Cell::new(0));
    let executor = LocalExecutor::new();
    let kept: Vec<Slot> = (0..10_000).map(|_| Slot::default()).collect();
    for (n, slot) in kept.iter().enumerate() {
        let (guard, slot) = (Guard::new(&alive), slot.clone());
        executor
            .spawn(async move {
                let _guard = guard;
                match n % 3 {
                    0 => slot.forever().await,
                    1 => sleep(Duration::from_secs(3600)).await,
                    _ => pending().await,
                }
            })
            .detach();
    }
    block_on(executor.run(sleep(SHORT)));
    assert_eq!(alive.get(), 10_000);
    drop(executor);
    assert_eq!(alive.get(), 0);
    for waker in kept.iter().filter_map(Slot::take) {
        waker.wake();
    }
    block_on(yield_now());
}

/// Ruling 6, and a base that goes with its thread before or after the tasks that use it.
#[test]
fn thread_ends_with_tasks_that_wait_on_its_base() {
    for _ in 0..20 {
        thread::spawn(|| {
            spawn(sleep(Duration::from_secs(3600))).detach();
            block_on(sleep(SHORT));
        })
        .join()
        .unwrap();
    }
}

/// A destructor may block.
#[test]
fn block_on_inside_drop() {
    struct Blocking;
    impl Drop for Blocking {
        fn drop(&mut self) {
            block_on(sleep(SHORT));
        }
    }
    block_on(async {
        let _blocking = Blocking;
        yield_now().await;
        drop(spawn(async {
            let _blocking = Blocking;
            pending::<()>().await
        }));
        yield_now().await;
    });
}

/// Ruling 15: a callback of an event must not block. The panic says what to do instead.
#[test]
fn block_on_inside_a_callback_panics_with_advice() {
    let done = Rc::new(Cell::new(false));
    let seen = Rc::clone(&done);
    let base = current::base().unwrap();
    let remote = base.remote();
    let (sender, receiver) = std::sync::mpsc::channel();
    remote
        .post(move |_| {
            let caught = catch_unwind(|| block_on(yield_now())).unwrap_err();
            let message = caught.downcast_ref::<String>().cloned();
            sender.send(message.unwrap_or_default()).unwrap();
        })
        .unwrap();
    block_on(async {
        while !seen.get() {
            if let Ok(message) = receiver.try_recv() {
                assert!(message.contains("spawn"), "{message}");
                seen.set(true);
            }
            yield_now().await;
        }
    });
    assert!(done.get());
}

/// Bases, events and `block_on` in the destructors of thread-locals, in either order: nothing panics while a thread ends.
#[test]
fn thread_teardown_is_quiet() {
    use levent_reactor::{Base, Event};
    use std::cell::RefCell;

    struct Last(Option<(Base, Event)>);
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some((_, event)) = &self.0 {
                drop(event.del());
                event.activate(levent_reactor::Flags::NONE);
            }
            self.0 = None;
            assert_eq!(crate::block_on_ready(7), 7);
        }
    }
    thread_local! {
        static EARLY: RefCell<Last> = const { RefCell::new(Last(None)) };
        static LATE: RefCell<Last> = const { RefCell::new(Last(None)) };
    }
    let fill = |last: &RefCell<Last>| {
        let base = Base::new().unwrap();
        let event = Event::timer(&base, |_, _| {});
        event.add_after(std::time::Duration::from_secs(60)).unwrap();
        last.borrow_mut().0 = Some((base, event));
    };
    std::thread::spawn(move || {
        EARLY.with(|_| {});
        levent_executor::block_on(levent_executor::yield_now());
        EARLY.with(fill);
        LATE.with(fill);
    })
    .join()
    .unwrap();
}

/// A socket that is ready, and a task that reads a byte of it, is ready for the next, and notes its number each time.
fn busy_reader(number: usize, priority: Priority, polls: &Rc<RefCell<Vec<usize>>>) -> Task<()> {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    let source = Source::new(here.as_fd()).unwrap();
    source.set_priority(priority);
    let polls = Rc::clone(polls);
    spawn(async move {
        loop {
            // Waits once, and then for the byte that it writes to itself.
            let read = poll_fn(|cx| {
                source.poll_io(Direction::Read, cx, || {
                    let mut byte = [0];
                    (&here).read(&mut byte)
                })
            });
            let wait = async { (&there).write_all(b"x") };
            let (read, _) = zip(read, wait).await;
            read.unwrap();
            polls.borrow_mut().push(number);
        }
    })
}

/// Tasks that are woken for something urgent are polled first, however many others are ready, and those for what can wait have their turn all the same (promise 14).
#[test]
fn urgent_tasks_first_and_none_starves() {
    let polls = Rc::new(RefCell::new(Vec::new()));
    block_on(async {
        yield_now().await;
        // Enough usual ones to fill every turn.
        let mut tasks: Vec<_> = (0..300)
            .map(|_| busy_reader(1, Priority::Normal, &polls))
            .collect();
        tasks.push(busy_reader(2, Priority::Low, &polls));
        tasks.push(busy_reader(0, Priority::High, &polls));
        while polls.borrow().len() < 30_000 {
            sleep(SHORT).await;
        }
    });
    let polls = polls.borrow();
    let longest_gap = |number| {
        let mut gaps = polls.split(|other| *other == number).skip(1);
        gaps.by_ref()
            .map(<[usize]>::len)
            .max()
            .unwrap_or(usize::MAX)
    };
    // A turn polls 64 tasks, and the urgent one is the first of the next; the other one's turn comes after 32 of them, twice a turn at best.
    assert!(longest_gap(0) <= 130, "{}", longest_gap(0));
    assert!(longest_gap(2) <= 1_000, "{}", longest_gap(2));
    let urgent = polls.iter().filter(|other| **other == 0).count();
    let fair = polls.len() / 302;
    assert!(urgent > 2 * fair, "{urgent} of {}", polls.len());
}

/// Tasks that use up their budgets do not keep the reactor waiting for as many operations as all their budgets together (promise 6).
#[test]
fn operations_count_towards_the_turn() {
    let operations = Rc::new(Cell::new(0u32));
    let mut most = 0;
    block_on(async {
        let _hogs: Vec<_> = (0..64)
            .map(|_| {
                let operations = Rc::clone(&operations);
                spawn(poll_fn(move |cx| {
                    while current::spend(cx).is_ready() {
                        operations.set(operations.get() + 1);
                    }
                    Poll::<()>::Pending
                }))
            })
            .collect();
        yield_now().await;
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let source = Source::new(here.as_fd()).unwrap();
        for _ in 0..50 {
            let before = operations.get();
            // It waits first, so that only a turn of the reactor finds the byte.
            let read = poll_fn(|cx| source.poll_io(Direction::Read, cx, || (&here).read(&mut [0])));
            let (read, _) = zip(read, async { (&there).write_all(b"x") }).await;
            read.unwrap();
            most = most.max(operations.get() - before);
        }
        source.release();
    });
    // Two turns at the most, of 256 operations and a poll's 128 each.
    assert!(most <= 2 * (256 + 128), "{most} operations");
}

//! `block_on_with` and the thread's tasks, on a sleeper without a reactor.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::{io, process, thread};

use levent_executor::{
    Budget, LocalExecutor, Sleeper, Unparker, Wait, block_on_with, budget, set_budget, spawn,
    yield_now,
};

use crate::util::{Guard, Parked, Slot, Trace, alone, block_on};

#[test]
fn ready_future_needs_no_sleeper() {
    struct Never;
    impl Sleeper for Never {
        fn turn(&self, _: Wait) -> io::Result<()> {
            unreachable!("turned")
        }
        fn unparker(&self) -> Unparker {
            unreachable!("unparker")
        }
    }
    let text = String::from("borrowed");
    assert_eq!(block_on_with(&Never, async { text.as_str() }), "borrowed");
    assert_eq!(block_on_with(&Never, ready(1)), 1);
}

/// Law 1: with something runnable the loop turns without sleep, and not at every poll.
#[test]
fn budget_bounds_polls_per_turn() {
    let mut small = Budget::default();
    small.polls_per_turn = 8;
    set_budget(small);
    let sleeper = Parked::default();
    block_on_with(&sleeper, async {
        // The first poll comes before the loop.
        for _ in 0..81 {
            yield_now().await;
        }
    });
    assert_eq!(sleeper.polled.get(), 10);
    assert_eq!(sleeper.slept.get(), 0);

    small.polls_per_turn = 0;
    set_budget(small);
    assert_eq!(budget().polls_per_turn, 1);
    block_on(yield_now());
}

#[test]
fn future_and_tasks_take_turns() {
    let trace = Trace::default();
    for name in ["a", "b"] {
        let trace = trace.clone();
        spawn(async move {
            for _ in 0..2 {
                trace.note(name);
                yield_now().await;
            }
        })
        .detach();
    }
    block_on(async {
        for _ in 0..3 {
            trace.note("main");
            yield_now().await;
        }
    });
    assert_eq!(trace.take(), ["main", "a", "b", "main", "a", "b", "main"]);
}

/// Promise 6: a task that is always ready starves neither the future nor the other tasks nor the sleeper.
#[test]
fn hog_starves_nobody() {
    let hog_polls = Rc::new(Cell::new(0u32));
    let count = Rc::clone(&hog_polls);
    spawn(async move {
        loop {
            count.set(count.get() + 1);
            yield_now().await;
        }
    })
    .detach();
    let sleeper = Parked::default();
    block_on_with(&sleeper, async {
        let others: Vec<_> = (0..10).map(|n| spawn(async move { n })).collect();
        for (n, task) in others.into_iter().enumerate() {
            assert_eq!(task.await, n);
        }
    });
    assert!(hog_polls.get() <= 22, "{} polls", hog_polls.get());
}

/// A `LocalExecutor` inside `block_on` does not multiply the bound with its own.
#[test]
fn executor_inside_leaves_the_sleeper_its_turns() {
    let mut small = Budget::default();
    small.polls_per_turn = 10;
    set_budget(small);
    let sleeper = Parked::default();
    let executor = LocalExecutor::new();
    let task = executor.spawn(async {
        for _ in 0..1000 {
            yield_now().await;
        }
    });
    block_on_with(&sleeper, executor.run(task));
    assert!(sleeper.polled.get() >= 50, "{} turns", sleeper.polled.get());
}

/// Ruling 6: what is not done waits for the next call.
#[test]
fn tasks_stay_for_the_next_call() {
    let slot = Slot::default();
    let task = spawn(slot.clone().once());
    block_on(yield_now());
    assert!(!task.is_finished());
    slot.take().unwrap().wake();
    block_on(task);
}

/// B27, promise 3: nothing is lost, whatever the threads do.
#[test]
fn foreign_wakes_of_the_future() {
    let rounds = if cfg!(debug_assertions) {
        20_000
    } else {
        200_000
    };
    let slot = Slot::default();
    let other = slot.clone();
    let waker = thread::spawn(move || (0..rounds).for_each(|_| other.wait().wake()));
    block_on(async {
        for _ in 0..rounds {
            slot.clone().once().await;
        }
    });
    waker.join().unwrap();
}

#[test]
fn foreign_wakes_of_tasks() {
    let rounds = if cfg!(debug_assertions) {
        5_000
    } else {
        50_000
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
        }));
    }
    block_on(async {
        for task in tasks {
            task.await;
        }
    });
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// A wake that comes before there is a sleeper to unpark.
#[test]
fn foreign_wake_during_the_first_poll() {
    for _ in 0..2000 {
        let woken = Arc::new(AtomicUsize::new(0));
        let (mut started, mut thread) = (false, None);
        block_on(poll_fn(|cx| {
            if !started {
                started = true;
                let (waker, woken) = (cx.waker().clone(), Arc::clone(&woken));
                thread = Some(thread::spawn(move || {
                    woken.store(1, Ordering::Relaxed);
                    waker.wake();
                }));
                return Poll::Pending;
            }
            assert_eq!(woken.load(Ordering::Relaxed), 1);
            Poll::Ready(())
        }));
        thread.unwrap().join().unwrap();
    }
}

#[test]
fn nested_calls_have_different_wakers_and_share_the_tasks() {
    let trace = Trace::default();
    let background = {
        let trace = trace.clone();
        spawn(async move {
            yield_now().await;
            trace.note("background");
        })
    };
    block_on(poll_fn(|outer| {
        block_on(poll_fn(|inner| {
            assert!(!inner.waker().will_wake(outer.waker()));
            Poll::Ready(())
        }));
        Poll::Ready(())
    }));
    let task = spawn({
        let trace = trace.clone();
        async move {
            block_on(background);
            trace.note("inner");
            block_on(spawn(async { block_on(yield_now()) }));
            trace.note("innermost");
        }
    });
    block_on(task);
    assert_eq!(trace.take(), ["background", "inner", "innermost"]);
}

/// A wake for the outer call that comes while the inner one sleeps waits for the outer one.
#[test]
fn wake_of_the_outer_call_reaches_it() {
    let slot = Slot::default();
    let other = Slot::default();
    let waker = thread::spawn({
        let (slot, other) = (slot.clone(), other.clone());
        move || {
            let outer = slot.wait();
            let inner = other.wait();
            outer.wake();
            inner.wake();
        }
    });
    let mut polls = 0;
    block_on(poll_fn(|cx| {
        polls += 1;
        match polls {
            1 => {
                slot.put(cx.waker());
                block_on(other.clone().once());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }));
    waker.join().unwrap();
    assert_eq!(polls, 2);
}

#[test]
fn wake_leaks_into_no_other_call() {
    let mut kept: Option<Waker> = None;
    block_on(poll_fn(|cx| {
        kept = Some(cx.waker().clone());
        Poll::Ready(())
    }));
    let kept = kept.unwrap();
    let mut polls = 0;
    let slot = Slot::default();
    let other = slot.clone();
    let real = thread::spawn(move || other.wait().wake());
    block_on(async {
        kept.wake_by_ref();
        let mut once = std::pin::pin!(slot.once());
        poll_fn(|cx| {
            polls += 1;
            kept.wake_by_ref();
            once.as_mut().poll(cx)
        })
        .await;
    });
    real.join().unwrap();
    assert_eq!(polls, 2);
}

/// B41: a panic, nested or not, leaves everything usable.
#[test]
fn panics_leave_the_thread_usable() {
    let nested = spawn(async { block_on(async { panic!("inner, on purpose") }) });
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(nested))).is_err());
    assert!(
        catch_unwind(|| block_on(async {
            yield_now().await;
            panic!("main, on purpose")
        }))
        .is_err()
    );
    let tasks: Vec<_> = (0..1000).map(|n| spawn(async move { n })).collect();
    let sum: i32 = block_on(async {
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        sum
    });
    assert_eq!(sum, 499_500);
}

#[test]
fn failing_sleeper_panics_with_its_error() {
    struct Broken;
    impl Sleeper for Broken {
        fn turn(&self, _: Wait) -> io::Result<()> {
            Err(io::Error::other("out of order"))
        }
        fn unparker(&self) -> Unparker {
            Unparker::from(Waker::noop().clone())
        }
    }
    let payload = catch_unwind(|| block_on_with(&Broken, pending::<()>())).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("out of order"), "{message}");
}

/// The thread's executor is dropped by `exit` while one of its tasks is on the stack: no hang, and the others are dropped.
#[test]
fn exit_inside_a_task() {
    let code = alone("block_on::exit_inside_a_task", || {
        let alive = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let guard = Guard::new(&alive);
            spawn(async move {
                let _guard = guard;
                pending::<()>().await
            })
            .detach();
        }
        spawn(async {
            spawn(async { process::exit(23) }).detach();
            block_on(pending::<()>())
        })
        .detach();
        block_on(pending::<()>());
    });
    assert_eq!(code, Some(23));
}

/// Wakes at home cost no unpark.
#[test]
fn home_wakes_are_plain() {
    struct Counting(Arc<AtomicUsize>);
    impl Sleeper for Counting {
        fn turn(&self, wait: Wait) -> io::Result<()> {
            assert_eq!(wait, Wait::Poll);
            Ok(())
        }
        fn unparker(&self) -> Unparker {
            let unparks = Arc::clone(&self.0);
            Unparker::new(move || {
                unparks.fetch_add(1, Ordering::Relaxed);
            })
        }
    }
    let sleeper = Counting(Arc::default());
    block_on_with(&sleeper, async {
        for _ in 0..1000 {
            spawn(yield_now()).await;
            yield_now().await;
        }
    });
    assert_eq!(sleeper.0.load(Ordering::Relaxed), 0);
}

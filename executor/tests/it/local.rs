//! `LocalExecutor`, under a `block_on` that knows nothing of us.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_lite::future::{self, block_on, zip};
use levent_executor::{Budget, LocalExecutor, leaked_tasks, set_budget, yield_now};

use crate::util::{Guard, Slot, Trace};

struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting_waker() -> (Arc<CountWakes>, Waker) {
    let count = Arc::new(CountWakes(AtomicUsize::new(0)));
    (Arc::clone(&count), Waker::from(count))
}

#[test]
fn tasks_borrow_what_outlives_the_executor() {
    let numbers = RefCell::new(Vec::new());
    let executor = LocalExecutor::new();
    block_on(executor.run(async {
        let a = executor.spawn(async { numbers.borrow_mut().push(1) });
        let b = executor.spawn(async { numbers.borrow_mut().push(2) });
        a.await;
        b.await;
    }));
    assert!(executor.is_empty());
    drop(executor);
    assert_eq!(numbers.into_inner(), [1, 2]);
}

#[test]
fn auto_traits() {
    fn unwind_safe<T: UnwindSafe + RefUnwindSafe + Unpin + Default + std::fmt::Debug>() {}
    unwind_safe::<LocalExecutor<'static>>();
    let executor = const { LocalExecutor::new() };
    assert_eq!(
        format!("{executor:?}"),
        "LocalExecutor { tasks: 0, has_work: false }"
    );
    executor.spawn(pending::<()>()).detach();
    assert_eq!(
        format!("{executor:?}"),
        "LocalExecutor { tasks: 1, has_work: true }"
    );
}

#[test]
fn try_tick_runs_one_task() {
    let executor = LocalExecutor::new();
    assert!(!executor.try_tick());
    assert!(executor.is_empty());
    let (a, b) = (executor.spawn(async {}), executor.spawn(async {}));
    assert!(!executor.is_empty());
    assert!(executor.try_tick());
    assert!(a.is_finished() && !b.is_finished());
    assert!(executor.try_tick());
    assert!(!executor.try_tick());
    assert!(executor.is_empty());
}

#[test]
fn spawn_many_keeps_the_order() {
    let executor = LocalExecutor::new();
    let trace = Trace::default();
    let mut tasks = Vec::new();
    executor.spawn_many(
        (0..3).map(|n| {
            let trace = trace.clone();
            async move { trace.note(n.to_string()) }
        }),
        &mut tasks,
    );
    block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
    assert_eq!(trace.take(), ["0", "1", "2"]);
}

#[test]
fn several_runs_and_ticks_at_once() {
    let executor = LocalExecutor::new();
    let slot = Slot::default();
    let task = executor.spawn(slot.clone().once());
    let other = executor.spawn(async { 5 });
    block_on(async {
        let runs = zip(executor.run(task), executor.run(other));
        let wake = async {
            yield_now().await;
            slot.wait().wake();
        };
        let ticks = async {
            loop {
                executor.tick().await;
            }
        };
        let (((), five), ()) = future::or(zip(runs, wake), ticks).await;
        assert_eq!(five, 5);
    });
}

/// A driver that was woken and then dropped takes no wake with it.
#[test]
fn dropped_tick_leaves_the_wake_to_the_other_driver() {
    let executor = LocalExecutor::new();
    let (first_count, first) = counting_waker();
    let (second_count, second) = counting_waker();
    let mut other = pin!(executor.tick());
    {
        let mut tick = pin!(executor.tick());
        assert!(
            tick.as_mut()
                .poll(&mut Context::from_waker(&first))
                .is_pending()
        );
        assert!(
            other
                .as_mut()
                .poll(&mut Context::from_waker(&second))
                .is_pending()
        );
        executor.spawn(async {}).detach();
    }
    assert_eq!(first_count.0.load(Ordering::SeqCst), 1);
    assert_eq!(second_count.0.load(Ordering::SeqCst), 1);
    assert!(other.poll(&mut Context::from_waker(&second)).is_ready());
}

#[test]
fn parked_driver_is_woken_through_its_newest_waker() {
    let executor = LocalExecutor::new();
    let slot = Slot::default();
    executor.spawn(slot.clone().forever()).detach();
    executor.try_tick();
    let (old_count, old) = counting_waker();
    let (new_count, new) = counting_waker();
    let mut tick = pin!(executor.tick());
    assert!(
        tick.as_mut()
            .poll(&mut Context::from_waker(&old))
            .is_pending()
    );
    assert!(
        tick.as_mut()
            .poll(&mut Context::from_waker(&new))
            .is_pending()
    );
    let waker = slot.take().unwrap();
    thread::spawn(move || waker.wake()).join().unwrap();
    assert_eq!(old_count.0.load(Ordering::SeqCst), 0);
    assert_eq!(new_count.0.load(Ordering::SeqCst), 1);
    assert!(tick.poll(&mut Context::from_waker(&new)).is_ready());
}

/// Promise 6: `run` polls its own future, at most so many tasks, and then gives way.
#[test]
fn run_gives_way_after_its_budget() {
    let mut budget = Budget::default();
    budget.polls_per_turn = 10;
    set_budget(budget);
    let executor = LocalExecutor::new();
    let polls = Rc::new(Cell::new(0));
    let hog = Rc::clone(&polls);
    executor
        .spawn(async move {
            loop {
                hog.set(hog.get() + 1);
                yield_now().await;
            }
        })
        .detach();
    let (count, waker) = counting_waker();
    let mut run = pin!(executor.run(pending::<()>()));
    for turn in 1..=3 {
        assert!(
            run.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        assert_eq!(polls.get(), 10 * turn);
        assert_eq!(count.0.load(Ordering::SeqCst), turn);
    }
}

#[test]
fn drop_drops_every_future() {
    let alive = Rc::new(Cell::new(0));
    let executor = LocalExecutor::new();
    let kept: Vec<Slot> = (0..1000).map(|_| Slot::default()).collect();
    for slot in &kept {
        let (guard, slot) = (Guard::new(&alive), slot.clone());
        executor
            .spawn(async move {
                let _guard = guard;
                slot.forever().await
            })
            .detach();
    }
    // Half have waited, and their wakers are kept elsewhere; half have never been polled.
    for _ in 0..500 {
        executor.try_tick();
    }
    assert_eq!(alive.get(), 1000);
    drop(executor);
    assert_eq!(alive.get(), 0);
    // B28 and promise 3: a wake after the executor is gone does nothing, here and abroad.
    let wakers: Vec<Waker> = kept.iter().filter_map(Slot::take).collect();
    assert_eq!(wakers.len(), 500);
    wakers[0].wake_by_ref();
    thread::spawn(move || wakers.into_iter().for_each(Waker::wake))
        .join()
        .unwrap();
    assert_eq!(leaked_tasks(), 0);
}

/// A task whose destructor wakes and cancels another one, and so on: no recursion, no borrow error.
#[test]
fn drop_of_a_chain_of_tasks() {
    struct Chain(Option<levent_executor::Task<()>>, Slot);
    impl Drop for Chain {
        fn drop(&mut self) {
            if let Some(waker) = self.1.take() {
                waker.wake();
            }
            drop(self.0.take());
        }
    }
    let executor = LocalExecutor::new();
    let mut task = None;
    for _ in 0..50_000 {
        let slot = Slot::default();
        let link = Chain(task.take(), slot.clone());
        task = Some(executor.spawn(async move {
            let _link = link;
            slot.forever().await
        }));
    }
    task.unwrap().detach();
    while executor.try_tick() {}
    drop(executor);
}

#[test]
fn drop_while_other_threads_wake() {
    for _ in 0..if cfg!(debug_assertions) { 200 } else { 2000 } {
        let alive = Rc::new(Cell::new(0));
        let executor = LocalExecutor::new();
        let slots: Vec<Slot> = (0..8).map(|_| Slot::default()).collect();
        let mut tasks = Vec::new();
        for slot in &slots {
            let (guard, slot) = (Guard::new(&alive), slot.clone());
            tasks.push(executor.spawn(async move {
                let _guard = guard;
                slot.forever().await
            }));
        }
        while executor.try_tick() {}
        let threads: Vec<_> = slots
            .chunks(4)
            .map(|slots| {
                let wakers: Vec<Waker> = slots.iter().filter_map(Slot::take).collect();
                thread::spawn(move || wakers.into_iter().for_each(Waker::wake))
            })
            .collect();
        drop(executor);
        assert_eq!(alive.get(), 0);
        for thread in threads {
            thread.join().unwrap();
        }
        drop(tasks);
    }
    assert_eq!(leaked_tasks(), 0);
}

/// A `Task` is `Send` when its output is: dropped and cancelled abroad, its future is still dropped at home.
#[test]
fn task_dropped_abroad_drops_its_future_at_home() {
    let alive = Rc::new(Cell::new(0));
    let executor = LocalExecutor::new();
    let guard = Guard::new(&alive);
    let task = executor.spawn(async move {
        let _guard = guard;
        pending::<()>().await
    });
    executor.try_tick();
    thread::spawn(move || drop(task)).join().unwrap();
    assert_eq!(alive.get(), 1);
    assert!(executor.try_tick());
    assert_eq!(alive.get(), 0);
    assert!(executor.is_empty());
}

/// The last reference to an executor's memory may be a waker on another thread.
#[test]
fn waker_outlives_thread_and_executor() {
    let slot = Slot::default();
    let kept = slot.clone();
    thread::spawn(move || {
        let executor = LocalExecutor::new();
        executor.spawn(kept.forever()).detach();
        executor.try_tick();
    })
    .join()
    .unwrap();
    let waker = slot.take().unwrap();
    waker.wake_by_ref();
    drop(waker.clone());
    waker.wake();
}

/// B27: a wake during the poll queues the task again.
#[test]
fn wake_during_poll_is_not_lost() {
    let executor = LocalExecutor::new();
    let mut left = 1000;
    let task = executor.spawn(poll_fn(move |cx| {
        left -= 1;
        if left == 0 {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake()).join().unwrap();
        Poll::Pending
    }));
    block_on(executor.run(task));
}

#[test]
fn panic_reaches_the_awaiter_and_nobody_else() {
    let executor = LocalExecutor::new();
    let bad = executor.spawn(async { panic!("on purpose") });
    let detached = executor.spawn(async { panic!("on purpose, detached") });
    detached.detach();
    let good = executor.spawn(async { 7 });
    let caught = catch_unwind(AssertUnwindSafe(|| block_on(executor.run(bad))));
    let payload = caught.map(|(): ()| ()).unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
    assert_eq!(block_on(executor.run(good)), 7);
    assert!(executor.is_empty());
}

/// Promise 3: a wake while holding a lock that the task takes cannot deadlock, since a wake never polls.
#[test]
fn wake_under_a_lock_of_the_task() {
    let lock = Arc::new(std::sync::Mutex::new(false));
    let executor = LocalExecutor::new();
    let slot = Slot::default();
    let task = executor.spawn({
        let (lock, slot) = (Arc::clone(&lock), slot.clone());
        poll_fn(move |cx| {
            slot.put(cx.waker());
            if *lock.lock().unwrap() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    });
    let waker = thread::spawn(move || {
        let waker = slot.wait();
        let mut ready = lock.lock().unwrap();
        *ready = true;
        waker.wake();
    });
    block_on(executor.run(task));
    waker.join().unwrap();
}

#[test]
fn foreign_wakes_under_a_foreign_block_on() {
    let executor = LocalExecutor::new();
    for _ in 0..1000 {
        let slot = Slot::default();
        let task = executor.spawn(slot.clone().once());
        let waker = thread::spawn(move || slot.wait().wake());
        block_on(executor.run(task));
        waker.join().unwrap();
    }
}

/// An executor that runs as a task of another one, on another `block_on`.
#[test]
fn executors_nest() {
    let inner = LocalExecutor::new();
    let outer = LocalExecutor::new();
    let slot = Slot::default();
    let inner_task = inner.spawn(slot.clone().once());
    let task = outer.spawn(inner.run(inner_task));
    let waker = thread::spawn(move || slot.wait().wake());
    block_on(outer.run(task));
    waker.join().unwrap();
}

#[test]
fn panicking_waker_is_swallowed() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("bad waker");
        }
    }
    let executor = LocalExecutor::new();
    let bad = Waker::from(Arc::new(Bad));
    let mut tick = pin!(executor.tick());
    assert!(
        tick.as_mut()
            .poll(&mut Context::from_waker(&bad))
            .is_pending()
    );
    let task = executor.spawn(async { 3 });
    assert_eq!(block_on(executor.run(task)), 3);
    assert!(block_on(future::poll_once(tick)).is_none());
}

/// A waker whose panic has a payload that panics again when it is dropped: the loop goes on, and the next driver is woken.
#[test]
fn worst_of_wakers_is_contained() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("the payload's drop");
            }
        }
    }
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: std::sync::Arc<Self>) {
            std::panic::panic_any(Bomb);
        }
    }
    struct Good(std::sync::atomic::AtomicUsize);
    impl std::task::Wake for Good {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    use std::task::{Context, Poll, Waker};
    for abroad in [false, true] {
        let good = std::sync::Arc::new(Good(Default::default()));
        let executor = LocalExecutor::new();
        let slot = std::rc::Rc::new(std::cell::RefCell::new(None::<Waker>));
        let task = executor.spawn({
            let slot = slot.clone();
            std::future::poll_fn(move |cx| {
                *slot.borrow_mut() = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
        });
        let mut first = Box::pin(executor.run(std::future::pending::<()>()));
        let mut second = Box::pin(executor.run(std::future::pending::<()>()));
        while executor.try_tick() {}
        let (bad, fine) = (
            Waker::from(std::sync::Arc::new(Bad)),
            Waker::from(good.clone()),
        );
        assert!(
            first
                .as_mut()
                .poll(&mut Context::from_waker(&bad))
                .is_pending()
        );
        assert!(
            second
                .as_mut()
                .poll(&mut Context::from_waker(&fine))
                .is_pending()
        );
        let waker = slot.borrow_mut().take().unwrap();
        if abroad {
            std::thread::spawn(move || waker.wake()).join().unwrap();
        } else {
            waker.wake();
        }
        assert_eq!(good.0.load(std::sync::atomic::Ordering::SeqCst), 1);
        drop((first, second, task));
    }
}

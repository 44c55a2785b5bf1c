//! The handle.

use std::cell::Cell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

use futures_lite::future::block_on;
use levent_executor::{FallibleTask, LocalExecutor, Task, spawn};

use crate::util::{Guard, Slot};

#[test]
fn send_if_the_output_is() {
    fn send<T: Send + Sync + Unpin>() {}
    send::<Task<u32>>();
    send::<FallibleTask<u32>>();

    trait IsSend {
        const IS_SEND: bool = false;
    }
    impl<T> IsSend for T {}
    struct Is<T>(std::marker::PhantomData<T>);
    #[allow(dead_code)]
    impl<T: Send> Is<T> {
        const IS_SEND: bool = true;
    }
    // The inherent constant wins where its bound holds.
    const {
        assert!(Is::<Task<u32>>::IS_SEND);
        assert!(!Is::<Task<Rc<u32>>>::IS_SEND);
        assert!(!Is::<LocalExecutor<'static>>::IS_SEND);
        assert!(!Is::<&LocalExecutor<'static>>::IS_SEND);
    }
}

#[test]
fn dropped_task_is_cancelled_and_detached_goes_on() {
    let executor = LocalExecutor::new();
    let ran = Rc::new(Cell::new(0));
    let (a, b) = (Rc::clone(&ran), Rc::clone(&ran));
    drop(executor.spawn(async move { a.set(a.get() + 1) }));
    executor.spawn(async move { b.set(b.get() + 10) }).detach();
    while executor.try_tick() {}
    assert_eq!(ran.get(), 10);
}

#[test]
fn cancel_waits_for_the_drop_and_gives_a_finished_output() {
    let executor = LocalExecutor::new();
    let alive = Rc::new(Cell::new(0));
    let guard = Guard::new(&alive);
    let waiting = executor.spawn(async move {
        let _guard = guard;
        pending::<()>().await
    });
    let done = executor.spawn(async { 4 });
    while executor.try_tick() {}
    block_on(executor.run(async {
        assert_eq!(waiting.cancel().await, None);
        assert_eq!(alive.get(), 0);
        assert!(done.is_finished());
        assert_eq!(done.cancel().await, Some(4));
    }));
}

#[test]
fn output_can_be_awaited_on_another_thread() {
    let executor = LocalExecutor::new();
    let task = executor.spawn(async { String::from("home") });
    let other = thread::spawn(move || block_on(task));
    while !other.is_finished() {
        executor.try_tick();
        thread::yield_now();
    }
    assert_eq!(other.join().unwrap(), "home");
}

#[test]
fn task_of_a_dropped_executor() {
    let executor = LocalExecutor::new();
    let fallible = executor.spawn(pending::<()>()).fallible();
    let never_polled = executor.spawn(async {}).fallible();
    let panicking = executor.spawn(pending::<()>());
    executor.try_tick();
    drop(executor);
    assert!(fallible.is_finished());
    assert_eq!(block_on(fallible), None);
    assert_eq!(block_on(never_polled.cancel()), None);
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(panicking))).is_err());
}

/// Ruling 6: what `spawn` was given goes with the thread, on that thread.
#[test]
fn thread_drops_its_tasks() {
    struct Check(thread::ThreadId, std::sync::mpsc::Sender<bool>);
    impl Drop for Check {
        fn drop(&mut self) {
            let at_home = thread::current().id() == self.0;
            let _ = self.1.send(at_home);
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let slot = Slot::default();
    let kept = slot.clone();
    thread::spawn(move || {
        let check = Check(thread::current().id(), sender);
        spawn(async move {
            let _check = check;
            kept.forever().await
        })
        .detach();
        crate::util::block_on(levent_executor::yield_now());
    })
    .join()
    .unwrap();
    assert_eq!(receiver.recv(), Ok(true));
    slot.take().expect("the task was polled").wake();
}

/// `spawn`, and even `block_on`, in a destructor that runs when the thread's executor is gone already.
#[test]
fn spawn_during_the_thread_s_teardown() {
    struct Late(std::sync::mpsc::Sender<Option<u32>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let task = spawn(async { 1 }).fallible();
            let _ = self.0.send(crate::util::block_on(task));
        }
    }
    thread_local! {
        static LATE: Cell<Option<Late>> = const { Cell::new(None) };
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // Destructors run in the reverse order of the first use on glibc, so the executor's goes first.
        LATE.set(Some(Late(sender)));
        spawn(pending::<()>()).detach();
    })
    .join()
    .unwrap();
    // In the other order the executor is still there, and the task runs.
    assert!(matches!(receiver.recv(), Ok(None | Some(1))));
}

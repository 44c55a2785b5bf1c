//! `run`: stop, drain, drop, report; and that nothing is left.

use crate::util::Guard;
use futures_lite::future::{self, FutureExt, pending, poll_fn};
use levent_executor::{OnPanic, Report, Run, Stop, block_on, run, scope, spawn, yield_now};
use levent_reactor::lane::Alarm;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// What a test prints would be the panic hook's; the payload is what counts.
fn payload(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("it panics");
    payload
        .downcast_ref::<&str>()
        .map_or_else(String::new, |text| text.to_string())
}

async fn sleep(duration: Duration) {
    let deadline = Instant::now() + duration;
    let mut alarm = Alarm::new();
    poll_fn(|cx| alarm.poll_at(deadline, cx)).await;
}

#[test]
fn run_answers_and_reports() {
    let report = run(async |_| {
        spawn(async {}).detach();
        spawn(async { 1 }).await
    });
    let Report {
        output,
        spawned,
        cancelled,
        panicked,
        ..
    } = report;
    assert_eq!((output, spawned, cancelled, panicked), (Some(1), 2, 0, 0));
}

/// Tasks go on after the main future has ended, until they are done.
#[test]
fn tasks_are_drained() {
    let trace = Rc::new(RefCell::new(Vec::new()));
    let report = run(async |stop| {
        for name in ["a", "b"] {
            let (trace, stop) = (trace.clone(), stop.clone());
            spawn(async move {
                stop.stopped().await;
                yield_now().await;
                trace.borrow_mut().push(name);
            })
            .detach();
        }
        yield_now().await;
        trace.borrow_mut().push("main");
    });
    assert_eq!(*trace.borrow(), ["main", "a", "b"]);
    assert_eq!(report.cancelled, 0);
}

/// promises 4: at the deadline everything is dropped, however it is held: by wakers elsewhere, by cycles of handles.
#[test]
fn nothing_is_left_of_ten_thousand_tasks() {
    let live = Rc::new(Cell::new(0));
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let report = Run::new().drain(Duration::ZERO).run(async |_| {
        for _ in 0..10_000 {
            let (guard, wakers) = (Guard::new(&live), wakers.clone());
            let task = spawn(async move {
                let _guard = guard;
                poll_fn(|cx| {
                    wakers.lock().unwrap().push(cx.waker().clone());
                    Poll::<()>::Pending
                })
                .await;
            });
            task.detach();
        }
        // A cycle: each holds the other's handle.
        let handles = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..2 {
            let (guard, held) = (Guard::new(&live), handles.clone());
            let task = spawn(async move {
                let _held = (guard, held);
                pending::<()>().await;
            });
            handles.borrow_mut().push(task);
        }
        for _ in 0..400 {
            yield_now().await;
        }
    });
    assert_eq!(live.get(), 0);
    assert_eq!((report.spawned, report.cancelled), (10_002, 10_002));
    for waker in wakers.lock().unwrap().drain(..) {
        waker.wake();
    }
    assert_eq!(levent_executor::leaked_tasks(), 0);
}

/// A main future that does not listen is dropped at the deadline, and so is what it holds.
#[test]
fn main_that_goes_on_is_dropped_at_the_deadline() {
    let live = Rc::new(Cell::new(0));
    let begin = Instant::now();
    let report = Run::new()
        .drain(Duration::from_millis(5))
        .run(async |stop| {
            let _guard = Guard::new(&live);
            spawn(async move { stop.stop() }).detach();
            pending::<()>().await;
        });
    assert!(begin.elapsed() >= Duration::from_millis(5));
    assert_eq!((report.output, report.cancelled, live.get()), (None, 0, 0));
}

/// The time to drain begins when it is told to stop, and is not used up if all are done before.
#[test]
fn draining_ends_with_the_last_task() {
    let begin = Instant::now();
    let report = Run::new().drain(Duration::from_secs(3600)).run(async |_| {
        spawn(sleep(Duration::from_millis(2))).detach();
    });
    assert_eq!(report.cancelled, 0);
    assert!(begin.elapsed() < Duration::from_secs(600));
}

#[test]
fn stop_comes_from_any_thread() {
    let report = run(async |stop| {
        let elsewhere = stop.clone();
        let other = thread::spawn(move || elsewhere.stop());
        // Two that wait, one of which gives up: the other is woken.
        let given_up = stop.stopped();
        assert!(future::poll_once(given_up).await.is_none() || stop.is_stopped());
        stop.stopped().await;
        other.join().expect("it does not panic");
    });
    assert!(report.output.is_some());
}

/// Kept longer than its run, it does nothing; and a future of it is ready.
#[test]
fn stop_outlives_its_run() {
    let kept: RefCell<Option<Stop>> = RefCell::default();
    run(async |stop| *kept.borrow_mut() = Some(stop));
    let stop = kept.take().expect("the run has left it");
    assert!(stop.is_stopped());
    stop.stop();
    block_on(stop.stopped());
}

/// Wakers are removed with their futures, and places are used again: no memory for those who came and went.
#[test]
fn waits_that_were_given_up_leave_nothing() {
    run(async |stop| {
        for _ in 0..10_000 {
            assert!(future::poll_once(stop.stopped()).await.is_none());
        }
        let kept = stop.stopped();
        spawn({
            let stop = stop.clone();
            async move { stop.stop() }
        })
        .detach();
        kept.await;
    });
}

/// Law 9 holds when the main future panics: the tasks are dropped, then the panic goes on.
#[test]
fn panic_of_main_comes_after_the_drop() {
    let live = Rc::new(Cell::new(0));
    let text = payload(|| {
        run(async |_| {
            let guard = Guard::new(&live);
            spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
            .detach();
            yield_now().await;
            panic!("of main");
        });
    });
    assert_eq!((text.as_str(), live.get()), ("of main", 0));
    // The thread's own executor is back, and works.
    assert_eq!(block_on(spawn(async { 2 })), 2);
}

/// Tasks from before wait until the run is over; those of the run are not the thread's.
#[test]
fn runs_own_their_tasks() {
    let ran = Rc::new(Cell::new(false));
    let early = spawn({
        let ran = ran.clone();
        async move { ran.set(true) }
    });
    run(async |_| yield_now().await);
    assert!(!ran.get());
    block_on(early);
    assert!(ran.get());
}

/// A destructor that spawns while the tasks are dropped begins nothing new.
#[test]
fn destructor_that_spawns_gets_a_cancelled_task() {
    struct Spawns(Rc<Cell<bool>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let ran = self.0.clone();
            spawn(async move { ran.set(true) }).detach();
        }
    }
    let ran = Rc::new(Cell::new(false));
    Run::new().drain(Duration::ZERO).run(async |_| {
        let spawns = Spawns(ran.clone());
        spawn(async move {
            let _spawns = spawns;
            pending::<()>().await;
        })
        .detach();
        yield_now().await;
    });
    block_on(yield_now());
    assert!(!ran.get());
    assert_eq!(Rc::strong_count(&ran), 1);
}

/// A run inside a task of a run has its own tasks, and its own end; a `block_on` inside drives the run's.
#[test]
fn runs_nest() {
    let report = run(async |_| {
        let outer = spawn(async {
            let inner = run(async |_| spawn(async { 1 }).await);
            inner.output
        });
        let sibling = spawn(async { 2 });
        let nested = spawn(async { block_on(sibling) });
        (outer.await, nested.await)
    });
    assert_eq!(report.output, Some((Some(1), 2)));
    assert_eq!((report.spawned, report.cancelled), (3, 0));
}

/// promises 12: what each policy does, and that the thread works afterwards.
mod on_panic {
    use super::*;

    fn detached(on_panic: OnPanic) -> Report<()> {
        Run::new().on_panic(on_panic).run(async |_| {
            spawn(async { panic!("nobody awaits it") }).detach();
            yield_now().await;
            yield_now().await;
        })
    }

    fn works() {
        let report = run(async |_| {
            let mut sum = 0;
            for number in 0..1000 {
                sum += spawn(async move { number }).await;
            }
            sum
        });
        assert_eq!(report.output, Some(499_500));
    }

    #[test]
    fn report_leaves_it_at_the_hooks() {
        let report = detached(OnPanic::Report);
        assert_eq!((report.output, report.panicked), (Some(()), 1));
        works();
    }

    #[test]
    fn stop_goes_on_with_the_first() {
        let live = Rc::new(Cell::new(0));
        let text = payload(|| {
            Run::new().on_panic(OnPanic::Stop).run(async |_| {
                let guard = Guard::new(&live);
                spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })
                .detach();
                spawn(async { panic!("the first") }).detach();
                spawn(async { panic!("the second") }).detach();
                pending::<()>().await;
            });
        });
        assert_eq!((text.as_str(), live.get()), ("the first", 0));
        works();
    }

    /// Outside a run as well: `block_on` goes on with it.
    #[test]
    fn stop_ends_block_on() {
        levent_executor::set_on_panic(OnPanic::Stop);
        let text = payload(|| {
            spawn(async { panic!("beside block_on") }).detach();
            block_on(pending::<()>());
        });
        assert_eq!(text, "beside block_on");
        works();
    }

    #[test]
    fn call_gets_the_payload() {
        thread_local!(static SEEN: RefCell<Vec<String>> = RefCell::default());
        let report = detached(OnPanic::Call(|payload| {
            let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
            SEEN.with_borrow_mut(|seen| seen.extend(text));
        }));
        assert_eq!((report.output, report.panicked), (Some(()), 1));
        assert_eq!(SEEN.take(), ["nobody awaits it"]);
        works();
    }

    /// A task that is awaited hands its panic to who awaits it, whatever is set.
    #[test]
    fn awaited_panic_is_the_awaiters() {
        let report = Run::new().on_panic(OnPanic::Abort).run(async |_| {
            let task = spawn(async { panic!("awaited") });
            AssertUnwindSafe(task).catch_unwind().await.is_err()
        });
        assert_eq!((report.output, report.panicked), (Some(true), 1));
    }

    #[test]
    fn abort_ends_the_process() {
        const MARK: &str = "LEVENT_EXECUTOR_CHILD";
        if std::env::var_os(MARK).is_some() {
            detached(OnPanic::Abort);
            return;
        }
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "run::on_panic::abort_ends_the_process",
                "--exact",
                "--nocapture",
            ])
            .env(MARK, "1")
            .output()
            .unwrap();
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.status.signal(), Some(6), "SIGABRT");
    }
}

mod scopes {
    use super::*;

    /// Children may borrow; the scope waits for those that nobody awaits.
    #[test]
    fn scope_waits_for_its_children() {
        let count = Cell::new(0);
        let order = RefCell::new(Vec::new());
        block_on(scope(async |scope| {
            for number in 0..100 {
                let (count, order) = (&count, &order);
                let child = scope.spawn(async move {
                    for _ in 0..number % 7 {
                        yield_now().await;
                    }
                    count.set(count.get() + 1);
                    order.borrow_mut().push(number);
                });
                child.detach();
            }
            assert!(!scope.is_empty());
        }));
        assert_eq!(count.get(), 100);
        assert_eq!(order.borrow().len(), 100);
    }

    /// Dropping the scope's future drops the body and every child.
    #[test]
    fn dropped_scope_drops_its_children() {
        let live = Rc::new(Cell::new(0));
        block_on(async {
            let whole = scope(async |scope| {
                for _ in 0..10 {
                    let guard = Guard::new(&live);
                    let child = scope.spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                    child.detach();
                }
                pending::<()>().await;
            });
            assert!(future::poll_once(whole).await.is_none());
        });
        assert_eq!(live.get(), 0);
    }

    /// One that fails unobserved takes its siblings and the body with it.
    #[test]
    fn childs_panic_is_the_scopes() {
        let live = Rc::new(Cell::new(0));
        let text = payload(|| {
            block_on(scope(async |scope| {
                let guard = Guard::new(&live);
                let sibling = scope.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                sibling.detach();
                scope.spawn(async { panic!("of a child") }).detach();
                pending::<()>().await;
            }));
        });
        assert_eq!((text.as_str(), live.get()), ("of a child", 0));
    }

    /// Under a foreign executor, and inside one another.
    #[test]
    fn scopes_nest_under_any_executor() {
        let words = [String::from("le"), String::from("vent")];
        let nested = scope(async |outer| {
            let lengths = outer.spawn(scope(async |inner| {
                let first = inner.spawn(async { words[0].len() });
                let second = inner.spawn(async { words[1].len() });
                first.await + second.await
            }));
            lengths.await
        });
        assert_eq!(future::block_on(nested), 6);
    }
}

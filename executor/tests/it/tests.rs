//! `levent::test`: what fails a test, and what does not.

use futures_lite::future::{pending, poll_fn, yield_now as other_yield};
use levent_executor::test::{self, Test};
use levent_executor::{Stall, block_on, set_stall, spawn, stall, yield_now};
use levent_reactor::current;
use levent_reactor::lane::{Alarm, Direction, Source, Waiter};
use std::cell::{Cell, RefCell};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SOON: Duration = Duration::from_millis(5);

async fn sleep(duration: Duration) {
    let deadline = current::now() + duration;
    let mut alarm = Alarm::new();
    poll_fn(|cx| alarm.poll_at(deadline, cx)).await;
}

/// Why the test failed.
fn failure(test: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(test)).expect_err("the test fails");
    let text = payload.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map_or_else(String::new, |text| text.to_string())
    })
}

fn quickly() -> Option<Stall> {
    let (idle, waiting) = (SOON, SOON);
    Some(Stall { idle, waiting })
}

#[test]
fn test_answers() {
    let answer = test::run(async || {
        let task = spawn(async { 40 });
        sleep(Duration::from_millis(1)).await;
        task.await + 2
    });
    assert_eq!(answer, 42);
}

/// The bound: a day of retries in less than 50 ms. Of the best of some runs, as the machine has other things to do.
#[test]
fn day_of_retries_takes_no_time() {
    let retries = || {
        let begun = Instant::now();
        let tries = Test::new().virtual_time().run(async || {
            let (begin, mut tries) = (current::now(), 0);
            let mut wait = Duration::from_secs(1);
            while current::now() - begin < DAY {
                tries += 1;
                sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(60));
            }
            tries
        });
        assert!(tries > 1440, "{tries}");
        begun.elapsed()
    };
    let best = (0..5).map(|_| retries()).min();
    assert!(best < Some(Duration::from_millis(50)), "{best:?}");
}

/// Two tasks' deadlines come in the order of time, and what is ready comes before time passes.
#[test]
fn virtual_time_keeps_the_order() {
    let trace = Rc::new(RefCell::new(Vec::new()));
    Test::new().virtual_time().run(async || {
        let tasks: Vec<_> = [(3, "c"), (1, "a"), (2, "b")]
            .into_iter()
            .map(|(days, name)| {
                let trace = trace.clone();
                spawn(async move {
                    sleep(days * DAY).await;
                    trace.borrow_mut().push(name);
                    other_yield().await;
                    trace.borrow_mut().push("then");
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
    assert_eq!(*trace.borrow(), ["a", "then", "b", "then", "c", "then"]);
}

/// The thread's own time, base and settings are back afterwards, after a failure too.
#[test]
fn thread_is_as_it_was() {
    let ours = quickly();
    set_stall(ours);
    failure(|| {
        Test::new().virtual_time().run(async || {
            sleep(DAY).await;
            panic!("of the test");
        })
    });
    assert_eq!(stall(), ours);
    set_stall(None);
    let begun = Instant::now();
    block_on(sleep(Duration::from_millis(2)));
    assert!(begun.elapsed() >= Duration::from_millis(2));
}

/// Nothing can run, and nothing is waited for: the panic says who is there.
#[test]
fn test_that_can_never_end_says_so() {
    let text = failure(|| {
        Test::new().stall(quickly()).run(async || {
            let _task = spawn(pending::<()>());
            pending::<()>().await;
        });
    });
    assert!(
        text.contains("no source, timer or event of this thread"),
        "{text}"
    );
    assert!(text.contains("Tasks: 1"), "{text}");
    assert!(
        text.contains("1 spawned at executor/tests/it/tests.rs"),
        "{text}"
    );
}

/// A socket that stays silent is named.
#[test]
fn test_that_waits_for_a_silent_peer_says_so() {
    let (here, _there) = UnixStream::pair().expect("a pair can be made");
    here.set_nonblocking(true).expect("it is open");
    let source = Cell::new(None);
    let text = failure(|| {
        Test::new()
            .stall(quickly())
            .timeout(DAY)
            .leaks(false)
            .run(async || {
                let made = Source::new(here.as_fd()).expect("it can be registered");
                let mut waiter = Waiter::default();
                // The limit is a timer: without one there is nothing but the socket.
                let waited = poll_fn(|cx| made.poll_waiter(Direction::Read, cx, &mut waiter));
                let _ = waited.await;
                source.set(Some(made));
            });
    });
    assert!(
        text.contains("nothing that is waited for has happened"),
        "{text}"
    );
    assert!(text.contains("somebody waits to read"), "{text}");
}

/// Off by default: a program that waits for another thread does what it should.
#[test]
fn block_on_waits_for_other_threads() {
    assert_eq!(stall(), None);
    let (sender, receiver) = notified();
    let other = thread::spawn(move || {
        thread::sleep(SOON);
        sender.notify();
    });
    block_on(receiver);
    other.join().expect("it does not panic");
}

/// A notifier for another thread, and the future that it makes ready: a foreign wake in a nutshell.
fn notified() -> (Notifier, impl Future<Output = ()>) {
    let shared: std::sync::Arc<std::sync::Mutex<(bool, Option<std::task::Waker>)>> =
        Default::default();
    let theirs = shared.clone();
    let future = poll_fn(move |cx| {
        let mut state = shared.lock().unwrap();
        if state.0 {
            return std::task::Poll::Ready(());
        }
        state.1 = Some(cx.waker().clone());
        std::task::Poll::Pending
    });
    (Notifier(theirs), future)
}

struct Notifier(std::sync::Arc<std::sync::Mutex<(bool, Option<std::task::Waker>)>>);

impl Notifier {
    fn notify(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

/// A foreign wake in time is progress.
#[test]
fn foreign_wake_is_progress() {
    let idle = Duration::from_secs(30);
    let stall = Stall {
        idle,
        waiting: idle,
    };
    Test::new().stall(Some(stall)).run(async || {
        for _ in 0..3 {
            let (notifier, future) = notified();
            let other = thread::spawn(move || notifier.notify());
            future.await;
            other.join().expect("it does not panic");
        }
    });
}

#[test]
fn limit_ends_a_test_that_goes_on() {
    let busy = async || loop {
        yield_now().await;
    };
    let text = failure(|| Test::new().timeout(SOON).run(busy));
    assert!(text.contains("not done after 5ms"), "{text}");
    let text = failure(|| {
        Test::new().timeout(SOON).virtual_time().run(async || {
            loop {
                sleep(DAY).await;
            }
        })
    });
    assert!(text.contains("not done after 5ms"), "{text}");
}

/// What is left gets its time to end within the limit, and no more.
#[test]
fn task_that_never_rests_ends_with_the_limit() {
    let text = failure(|| {
        Test::new().timeout(SOON).run(async || {
            spawn(async {
                loop {
                    yield_now().await;
                }
            })
            .detach();
        });
    });
    assert!(text.contains("not done after 5ms"), "{text}");
}

#[test]
fn tasks_that_are_left_are_named() {
    let text = failure(|| {
        test::run(async || {
            spawn(sleep(DAY)).detach();
            spawn(pending::<()>()).detach();
            yield_now().await;
        });
    });
    assert!(text.contains("tasks are left over"), "{text}");
    assert!(text.contains("Tasks: 2"), "{text}");
    assert_eq!(
        text.matches("1 spawned at executor/tests/it/tests.rs")
            .count(),
        2,
        "{text}"
    );
    assert!(text.contains("Alarm in "), "{text}");
    // Those that can come to their end are given the time.
    test::run(async || {
        spawn(async {
            for _ in 0..100 {
                yield_now().await;
            }
        })
        .detach();
    });
    Test::new()
        .leaks(false)
        .run(async || spawn(pending::<()>()).detach());
}

/// A source and an alarm that live on outside are registered with a base that goes.
#[test]
fn registrations_that_are_left_are_named() {
    let kept = RefCell::new(Vec::new());
    let text = failure(|| {
        test::run(async || {
            let mut alarm = Box::new(Alarm::new());
            let deadline = current::now() + DAY;
            poll_fn(|cx| {
                assert!(alarm.poll_at(deadline, cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            kept.borrow_mut().push(alarm);
        });
    });
    assert!(text.contains("Alarm in "), "{text}");
}

/// A detached task's panic is the test's.
#[test]
fn detached_panic_fails_the_test() {
    let text = failure(|| {
        test::run(async || {
            spawn(async { panic!("of a task") }).detach();
            pending::<()>().await;
        });
    });
    assert_eq!(text, "of a task");
}

/// Two hundred at once, each with timers, tasks and a socket; and none sees another.
#[test]
fn two_hundred_do_not_interfere() {
    let tests: Vec<_> = (0..200)
        .map(|number| {
            thread::spawn(move || {
                let clock = if number % 2 == 0 {
                    Test::new()
                } else {
                    Test::new().virtual_time()
                };
                clock.run(async || {
                    let tasks: Vec<_> = (0..10)
                        .map(|n| {
                            spawn(async move {
                                sleep(Duration::from_micros(100 * n)).await;
                                n
                            })
                        })
                        .collect();
                    let mut sum = 0;
                    for task in tasks {
                        sum += task.await;
                    }
                    // Nested, on the same base.
                    assert_eq!(
                        block_on(async {
                            sleep(Duration::from_micros(10)).await;
                            1
                        }),
                        1
                    );
                    sum
                })
            })
        })
        .collect();
    for test in tests {
        assert_eq!(test.join().expect("it does not fail"), 45);
    }
}

/// `block_on` inside a destructor, while a test goes on and while it fails.
#[test]
fn destructors_may_block() {
    struct Blocks(Rc<Cell<u32>>);
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_on(sleep(Duration::from_micros(10)));
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    test::run(async || {
        let blocks = Blocks(drops.clone());
        spawn(async move { drop(blocks) }).await;
    });
    failure(|| {
        Test::new().leaks(false).run(async || {
            let blocks = Blocks(drops.clone());
            spawn(async move {
                let _blocks = blocks;
                pending::<()>().await;
            })
            .detach();
            yield_now().await;
            panic!("of the test");
        });
    });
    assert_eq!(drops.get(), 2);
}

/// Inside a loop there is no base to be had for it: it says so, and harms nothing.
#[test]
fn test_inside_block_on_is_refused() {
    let text = failure(|| {
        block_on(async {
            yield_now().await;
            test::run(async || ());
        });
    });
    assert!(text.contains("inside a loop"), "{text}");
    assert_eq!(block_on(async { 1 }), 1);
}

//! Tests of async code: with a limit, an end, and time of their own.
//!
//! ```
//! use levent_executor::test;
//! use levent_executor::yield_now;
//!
//! test::run(async || {
//!     yield_now().await;
//! });
//! ```
//!
//! | A test fails if it | Unless told otherwise |
//! |---|---|
//! | is not done in time | 30 s of real time: [`Test::timeout`] |
//! | can never be done: no task can run, and nothing is waited for that could change that | 1 s, or 30 s with sources: [`Test::stall`] |
//! | leaves a task, or a descriptor or timer that is registered with its base | [`Test::leaks`] |
//! | has a detached task that panics | |
//!
//! What it prints then says which tasks there are, by the place where they were spawned, and what they wait for.
//!
//! Each test has a base and an executor of its own, so that any number of them may run in parallel, on one thread one after the other, and inside a program that has
//! loops of its own. Code that blocks the thread is not interrupted: a limit is looked at where the test waits.
//!
//! # Virtual time
//!
//! [`Test::virtual_time`] gives the test a clock that jumps to the next deadline whenever there is nothing else to do: sleeps, timeouts and intervals of any length take
//! no time, and come in the right order. It is for code that takes its time from levent: timers do, and [`current::now`](levent_reactor::current::now()) does;
//! `Instant::now` does not.
//!
//! ```
//! use levent_executor::test::Test;
//! use levent_reactor::{current, lane::Alarm};
//! use std::{future::poll_fn, time::{Duration, Instant}};
//!
//! let begun = Instant::now();
//! Test::new().virtual_time().run(async || {
//!     let tomorrow = current::now() + Duration::from_secs(24 * 3600);
//!     let mut alarm = Alarm::new();
//!     poll_fn(|cx| alarm.poll_at(tomorrow, cx)).await;
//!     assert!(current::now() >= tomorrow);
//! });
//! assert!(begun.elapsed() < Duration::from_secs(3600));
//! ```

mod limit;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use levent_reactor::{Base, Clock, Config, Waits, current};

use crate::default;
use crate::on_panic::OnPanic;
use crate::origin;
use crate::run::Run;
use crate::stall::{Stall, describe, set_stall, stall};
use crate::yield_now::yield_now;

use limit::Limit;

/// Runs a test with the defaults of [`Test`].
///
/// # Panics
///
/// As [`Test::run`].
///
/// # Examples
///
/// ```
/// levent_executor::test::run(async || assert_eq!(1 + 1, 2));
/// ```
pub fn run<T>(body: impl AsyncFnOnce() -> T) -> T {
    Test::new().run(body)
}

/// How a test is to be run.
///
/// # Examples
///
/// ```
/// use levent_executor::test::Test;
/// use std::time::Duration;
///
/// let answer = Test::new().timeout(Duration::from_secs(5)).run(async || 42);
/// assert_eq!(answer, 42);
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Test {
    timeout: Duration,
    stall: Option<Stall>,
    leaks: bool,
    /// The grace before a jump; `None` for the system's time.
    jumps: Option<Duration>,
}

impl Default for Test {
    fn default() -> Test {
        Test::new()
    }
}

impl Test {
    /// The defaults: 30 s of the system's time, nothing may be left.
    pub fn new() -> Test {
        Test {
            timeout: Duration::from_secs(30),
            stall: Some(Stall::default()),
            leaks: true,
            jumps: None,
        }
    }

    /// How long the test may take, in real time.
    pub fn timeout(mut self, most: Duration) -> Test {
        self.timeout = most;
        self
    }

    /// After how long without progress the test fails; `None`: only [`timeout`](Test::timeout) counts.
    pub fn stall(mut self, stall: Option<Stall>) -> Test {
        self.stall = stall;
        self
    }

    /// Does what is left over fail the test? Switch it off where a server goes on that nobody stops.
    pub fn leaks(mut self, fail: bool) -> Test {
        self.leaks = fail;
        self
    }

    /// Lets time jump whenever there is nothing else to do.
    pub fn virtual_time(self) -> Test {
        self.virtual_time_after(Duration::ZERO)
    }

    /// The same, after waiting for so long, in real time, for what other threads and processes may send: they know nothing of the test's time.
    pub fn virtual_time_after(mut self, grace: Duration) -> Test {
        self.jumps = Some(grace);
        self
    }

    /// Runs the test: `body`, and what it spawns.
    ///
    /// # Panics
    ///
    /// With the panic of `body` or of a detached task; if the test takes too long, can never be done, or leaves something over; if there is no base for it:
    /// inside a `block_on`, or without descriptors. Everything the test has spawned is dropped first.
    pub fn run<T>(self, body: impl AsyncFnOnce() -> T) -> T {
        let config = match self.jumps {
            Some(grace) => Config::new().clock(Clock::jumping(grace).0),
            None => Config::new(),
        };
        let replaced = match current::replace(&config) {
            Ok(replaced) => replaced,
            Err(error) => panic!("test: {error}"),
        };
        let _settings = Settings::change(self.stall);
        let base = replaced.base();
        let mut left = String::new();
        let run = Run::new().drain(Duration::ZERO).on_panic(OnPanic::Stop);
        let report = run.run(async |_| {
            let whole = async {
                let output = body().await;
                if self.leaks && !are_tasks_done().await {
                    left = describe(base, default::queue().at_home());
                }
                output
            };
            within(self.timeout, whole, base).await
        });
        let waits = base.waits();
        assert!(left.is_empty(), "test: tasks are left over\n{left}");
        assert!(
            !self.leaks || is_nothing(&waits),
            "test: what is registered was not dropped\n{waits}"
        );
        match report.output {
            Some(output) => output,
            None => unreachable!("the body has ended, or has panicked"),
        }
    }
}

/// The body and what it leaves to its tasks, or a panic when time is up.
async fn within<T>(timeout: Duration, whole: impl Future<Output = T>, base: &Base) -> T {
    let mut limit = Limit::new(timeout);
    let mut whole = pin!(whole);
    poll_fn(|cx| {
        let polled = whole.as_mut().poll(cx);
        if polled.is_pending() && limit.poll(cx).is_ready() {
            let tasks = default::queue();
            let who = describe(base, tasks.at_home());
            panic!("test: not done after {timeout:?}\n{who}");
        }
        polled
    })
    .await
}

/// Lets the tasks run that can; says whether that was the end of all.
async fn are_tasks_done() -> bool {
    let tasks = default::queue();
    // Those that were woken by the end of the body may need some polls, and wake others.
    for _ in 0..1000 {
        if tasks.at_home().live() == 0 {
            return true;
        }
        yield_now().await;
    }
    // A connection's end may still be on its way to whoever waits for it.
    poll_fn(|cx| match tasks.at_home().has_work() {
        true => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await;
    tasks.at_home().live() == 0
}

fn is_nothing(waits: &Waits) -> bool {
    waits.sources.is_empty() && waits.alarms.is_empty()
}

/// What is set for the thread while a test runs, and put back after it.
struct Settings {
    stall: Option<Stall>,
    is_recording: bool,
}

impl Settings {
    fn change(now: Option<Stall>) -> Settings {
        let before = stall();
        set_stall(now);
        Settings {
            stall: before,
            is_recording: origin::record(true),
        }
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        set_stall(self.stall);
        origin::record(self.is_recording);
    }
}

//! The structured entry: what is begun inside ends inside.
//!
//! ```text
//! main and tasks run ── main ends, or somebody stops ──▶ stopping: all go on, and are told
//!                                                          │ all done, or the deadline
//!                                                          ▼
//!                                        main, then every task, is dropped ──▶ report
//! ```
//!
//! Invariants
//! 1. The tasks of `spawn` in between are the run's: they lie in an executor of its own (`default.rs`).
//! 2. The run returns, or goes on with a panic, only when every future of it is dropped. What wakers are left elsewhere wake nobody.
//! 3. A destructor that spawns while tasks are dropped gets a cancelled task: nothing new begins.

mod scope;
mod stop;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use levent_reactor::current;
use levent_reactor::lane::Alarm;

use crate::block_on::block_on;
use crate::default::Instead;
use crate::on_panic::OnPanic;

pub use scope::{Scope, scope};
pub use stop::{Stop, Stopped};

/// Runs a future and all tasks that are spawned meanwhile, and leaves nothing behind: [`Run::new`] with its defaults.
///
/// # Panics
///
/// As [`Run::run`].
///
/// # Examples
///
/// ```
/// use levent_executor::{run, spawn, yield_now};
///
/// let report = run(async |stop| {
///     spawn(async move {
///         // Serves until it is told to stop, and then finishes what it is at.
///         while !stop.is_stopped() {
///             yield_now().await;
///         }
///     })
///     .detach();
///     42
/// });
/// assert_eq!(report.output, Some(42));
/// assert_eq!((report.spawned, report.cancelled), (1, 0));
/// ```
pub fn run<T>(main: impl AsyncFnOnce(Stop) -> T) -> Report<T> {
    Run::new().run(main)
}

/// How to run, and for how long to go on once it is time to stop.
///
/// # Examples
///
/// ```
/// use levent_executor::{OnPanic, Run};
/// use std::time::Duration;
///
/// let run = Run::new().drain(Duration::from_secs(30)).on_panic(OnPanic::Stop);
/// let report = run.run(async |_| "served");
/// assert_eq!(report.output, Some("served"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Run {
    drain: Duration,
    on_panic: OnPanic,
}

/// What became of a run.
///
/// # Examples
///
/// ```
/// use levent_executor::{Run, spawn};
/// use std::{future::pending, time::Duration};
///
/// let report = Run::new().drain(Duration::ZERO).run(async |_| spawn(pending::<()>()).detach());
/// assert_eq!(report.cancelled, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report<T> {
    /// What the main future answered; `None` if it was dropped at the deadline.
    pub output: Option<T>,
    /// How many tasks were spawned.
    pub spawned: u64,
    /// How many of them were not done at the deadline, and were dropped. Those that their own handles cancelled are not counted.
    pub cancelled: u64,
    /// How many panicked.
    pub panicked: u64,
}

impl Default for Run {
    fn default() -> Run {
        Run::new()
    }
}

impl Run {
    /// Drains for 5 s at most; a panic of a detached task is reported by the panic hook.
    pub fn new() -> Run {
        Run {
            drain: Duration::from_secs(5),
            on_panic: OnPanic::Report,
        }
    }

    /// How long the tasks, and the main future if it is not done, may go on once the run is stopping. Zero drops them at once; `Duration::MAX` waits
    /// for all of them.
    pub fn drain(mut self, longest: Duration) -> Run {
        self.drain = longest;
        self
    }

    /// What a panic of a detached task means.
    pub fn on_panic(mut self, on_panic: OnPanic) -> Run {
        self.on_panic = on_panic;
        self
    }

    /// Runs `main` and the tasks that are spawned meanwhile on this thread.
    ///
    /// It stops when `main` ends, or when somebody calls [`Stop::stop`] on the handle that `main` is given. From then on [`Stop::stopped`] is ready, and
    /// everything may go on until it is done or the time to drain is over. Then what is left is dropped, and the run returns.
    ///
    /// Tasks that were spawned before, outside, wait until the run has ended. A run inside a task of another is allowed, and holds up the tasks of that one.
    ///
    /// # Panics
    ///
    /// As [`block_on`](crate::block_on()), with a panic of `main`, and with that of a detached task under [`OnPanic::Stop`]; after everything has been
    /// dropped.
    pub fn run<T>(self, main: impl AsyncFnOnce(Stop) -> T) -> Report<T> {
        let tasks = Instead::begin();
        let queue = tasks.executor().queue();
        queue.at_home().home().set_on_panic(self.on_panic);
        let stop = Stop::new();
        let whole = || {
            let main = pin!(main(stop.clone()));
            block_on(supervise(main, &stop, self.drain, &tasks))
        };
        // Caught to clean up first. Nothing of `whole` is used again.
        let output = catch_unwind(AssertUnwindSafe(whole));
        let left = queue.at_home().live() as u64;
        tasks.close();
        let (spawned, panicked) = queue.at_home().home().counts();
        match output {
            Ok(output) => Report {
                output,
                spawned,
                cancelled: left,
                panicked,
            },
            Err(payload) => resume_unwind(payload),
        }
    }
}

/// Until it is time to drop everything.
async fn supervise<F: Future>(
    mut main: Pin<&mut F>,
    stop: &Stop,
    drain: Duration,
    tasks: &Instead,
) -> Option<F::Output> {
    let mut stopped = stop.stopped();
    let mut output = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = main.as_mut().poll(cx) {
            output = Some(done);
            stop.stop();
        }
        Pin::new(&mut stopped).poll(cx)
    })
    .await;
    let deadline = current::now().checked_add(drain);
    let mut alarm = Alarm::new();
    poll_fn(|cx| {
        if output.is_none() {
            if let Poll::Ready(done) = main.as_mut().poll(cx) {
                output = Some(done);
            }
        }
        let is_late = deadline.is_some_and(|deadline| alarm.poll_at(deadline, cx).is_ready());
        if is_late || output.is_some() && is_idle(tasks, cx) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    output
}

fn is_idle(tasks: &Instead, cx: &Context<'_>) -> bool {
    let queue = tasks.executor().queue();
    queue.at_home().home().poll_idle(cx).is_ready()
}

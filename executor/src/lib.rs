//! A fair executor for one thread, which parks on a `levent` base.
//!
//! ```text
//!        block_on ── polls its future, then tasks, then turns the sleeper
//!        │       └─────────────┐
//!   LocalExecutor (run, tick)  │            default.rs: the thread's own executor, `spawn`
//!        │                     │
//!     Queue ── home half: plain memory, this thread only
//!        └──── foreign half: a lock, an atomic flag, bells
//! ```
//!
//! - [`block_on`](block_on()) runs a future, and the thread's tasks beside it, on the thread's base.
//! - [`spawn`] gives a future to the thread's executor; it need be neither `Send` nor woken from this thread.
//! - [`run`](run()) is `block_on` with an end: whatever was spawned inside is done or dropped when it returns.
//! - [`scope`] has tasks that borrow, inside any future.
//! - [`test`](mod@test) runs tests: with a limit, a look for what is left over, and virtual time.
//! - [`LocalExecutor`] spawns futures that borrow, and runs under any `block_on`.
//! - [`Sleeper`] is all that the executor knows of the reactor; [`block_on_with`] takes any.
//!
//! # Wakers
//!
//! Every waker is `Send + Sync` and may be used from any thread at any time, after its task and its executor are gone too.
//! At home a wake is a push onto plain memory. From elsewhere it is a push under a short lock and, if the thread may sleep,
//! one notification. A wake never blocks on user code, never polls, never fails.
//!
//! # Examples
//!
//! ```
//! use levent_executor::{block_on, spawn, yield_now};
//! use std::{cell::Cell, rc::Rc};
//!
//! let count = Rc::new(Cell::new(0));
//! let total = block_on(async {
//!     let counter = count.clone();
//!     let task = spawn(async move {
//!         for _ in 0..3 {
//!             counter.set(counter.get() + 1);
//!             yield_now().await;
//!         }
//!         counter.get()
//!     });
//!     task.await
//! });
//! assert_eq!(total, 3);
//! ```

#![deny(unsafe_code)]

mod block_on;
mod budget;
mod default;
mod driver;
mod flags;
mod foreign;
mod levels;
mod local;
mod on_panic;
mod origin;
mod queue;
mod run;
mod sleeper;
mod stall;
mod sync;
mod task;
pub mod test;
mod waiting;
mod yield_now;

pub use block_on::{block_on, block_on_with, in_block_on};
pub use budget::{Budget, budget, set_budget};
pub use default::{set_on_panic, spawn};
pub use levent_reactor::Wait;
pub use local::LocalExecutor;
pub use on_panic::OnPanic;
pub use queue::leaked_tasks;
pub use run::{Report, Run, Scope, Stop, Stopped, run, scope};
pub use sleeper::{Sleeper, Unparker};
pub use stall::{Stall, set_stall, stall};
pub use task::{FallibleTask, Task};
pub use yield_now::{YieldNow, yield_now};

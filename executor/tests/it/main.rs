//! The executor's tests, in one binary.
//!
//! `block_on.rs` and `local.rs` need no reactor: a sleeper made of `thread::park`, or a foreign `block_on`. `with_reactor.rs`
//! is about the real one.

mod block_on;
mod local;
mod run;
mod task;
mod tests;
mod util;
mod with_reactor;

/// `block_on` of a value that is there.
fn block_on_ready<T>(value: T) -> T {
    levent_executor::block_on(async { value })
}

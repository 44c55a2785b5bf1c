//! What it means when a task panics that nobody awaits.

use std::any::Any;

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// What a panic of a detached task does, beside the report of std's panic hook, which comes first in any case.
///
/// The panic of a task that is awaited goes to whoever awaits it, whatever is set here. The executor, its base and all other tasks stay usable, unless it
/// says `Abort`.
///
/// # Examples
///
/// ```
/// use levent_executor::{OnPanic, Run, spawn};
///
/// let run = std::panic::catch_unwind(|| {
///     Run::new().on_panic(OnPanic::Stop).run(async |stop| {
///         spawn(async { panic!("of a task that nobody awaits") }).detach();
///         stop.stopped().await
///     })
/// });
/// assert!(run.is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum OnPanic {
    /// Nothing more than the hook's report. The default, as with threads.
    #[default]
    Report,
    /// Whoever drives the executor goes on with the panic once the tasks before its next turn have run: `block_on`, or the [`run`](crate::run()), which drops everything first. Of
    /// several panics the first counts.
    Stop,
    /// Ends the process, as `panic = "abort"` does.
    Abort,
    /// Calls a function with the panic's payload. It must not panic itself: that one has nowhere to go but the hook's report.
    Call(fn(Box<dyn Any + Send>)),
}

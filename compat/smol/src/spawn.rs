//! The global executor: `spawn`, and the threads that run it.

use std::env;
use std::future::{Future, pending};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::thread;

use async_executor::{Executor, Task};
use levent_async_io::block_on;

static EXECUTOR: Executor<'static> = Executor::new();

/// Spawns a future onto the global executor.
///
/// Its threads are started by the first call: as many as `SMOL_THREADS` says, one without it, and one if that is not a positive number.
/// They are named `smol-1` and so on, and live as long as the process; tasks that are not done when it ends are not dropped.
///
/// # Panics
///
/// If the system has no thread for the first of them. When there are only some, they have to do.
///
/// # Examples
///
/// ```
/// use levent_smol as smol;
///
/// let task = smol::spawn(async { 1 + 2 });
/// assert_eq!(smol::block_on(task), 3);
/// ```
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    static STARTED: Once = Once::new();
    STARTED.call_once(start);
    EXECUTOR.spawn(future)
}

fn start() {
    for number in 1..=threads(env::var("SMOL_THREADS").ok().as_deref()) {
        if let Err(error) = worker(number) {
            // Others run already, and run everything.
            assert!(number > 1, "no thread for the executor: {error}");
            break;
        }
    }
}

fn worker(number: usize) -> io::Result<()> {
    let thread = thread::Builder::new().name(format!("smol-{number}"));
    thread.spawn(|| {
        loop {
            // A task's own panic goes to its `Task`; this is for what panics beside them, wakers and destructors. The executor's state
            // is behind its own locks.
            let run = || block_on(EXECUTOR.run(pending::<()>()));
            drop(catch_unwind(AssertUnwindSafe(run)));
        }
    })?;
    Ok(())
}

/// What the variable asks for.
fn threads(variable: Option<&str>) -> usize {
    variable
        .and_then(|number| number.parse::<usize>().ok())
        .map_or(1, |number| number.max(1))
}

#[cfg(test)]
mod tests {
    use super::threads;

    /// smol#381: 0 and less left the executor without a thread.
    #[test]
    fn whatever_the_variable_says_there_is_a_thread() {
        let unset = None;
        for variable in [
            unset,
            Some(""),
            Some("0"),
            Some("-3"),
            Some("many"),
            Some("1"),
        ] {
            assert_eq!(threads(variable), 1, "{variable:?}");
        }
        assert_eq!(threads(Some("4")), 4);
    }
}

//! Scopes: tasks that borrow, and cannot outlive what they borrow from.

use std::fmt;
use std::future::poll_fn;

use crate::local::LocalExecutor;
use crate::on_panic::OnPanic;
use crate::task::Task;

/// Runs `body`, and returns when it and every task that it has spawned into the scope are done.
///
/// The tasks may borrow whatever outlives the scope. They run beside the body, on this thread, whenever the scope's future is polled, by any executor.
///
/// # Panics
///
/// With the body's panic, and with that of a child that nobody awaits. The other children are dropped first.
///
/// # Cancel safety
///
/// Dropping the future drops the body and all children.
///
/// # Examples
///
/// ```
/// use levent_executor::{block_on, scope, yield_now};
/// use std::cell::Cell;
///
/// let count = Cell::new(0);
/// let answer = block_on(scope(async |scope| {
///     for _ in 0..10 {
///         let child = scope.spawn(async {
///             yield_now().await;
///             count.set(count.get() + 1);
///         });
///         child.detach();
///     }
///     "all are done when the scope is"
/// }));
/// assert_eq!((count.get(), answer), (10, "all are done when the scope is"));
/// ```
pub async fn scope<'env, T>(body: impl AsyncFnOnce(&Scope<'env>) -> T) -> T {
    let scope = Scope {
        children: LocalExecutor::new(),
    };
    let home = scope.children.queue().at_home().home();
    // A child that fails alone would be missed: the scope fails with it.
    home.set_on_panic(OnPanic::Stop);
    let all = async {
        let output = body(&scope).await;
        poll_fn(|cx| home.poll_idle(cx)).await;
        output
    };
    scope.children.run(all).await
}

/// Where the children of a [`scope`] are spawned.
///
/// # Examples
///
/// ```
/// use levent_executor::{Scope, Task, block_on, scope};
///
/// fn length<'env>(scope: &Scope<'env>, word: &'env str) -> Task<usize> {
///     scope.spawn(async { word.len() })
/// }
///
/// let words = [String::from("le"), String::from("vent")];
/// let sum = block_on(scope(async |scope| {
///     let lengths = [length(scope, &words[0]), length(scope, &words[1])];
///     let mut sum = 0;
///     for length in lengths {
///         sum += length.await;
///     }
///     sum
/// }));
/// assert_eq!(sum, 6);
/// ```
pub struct Scope<'env> {
    children: LocalExecutor<'env>,
}

impl<'env> Scope<'env> {
    /// Spawns a child. Dropping the task cancels it; detached, it goes on, and the scope waits for it.
    #[track_caller]
    pub fn spawn<T: 'env>(&self, future: impl Future<Output = T> + 'env) -> Task<T> {
        self.children.spawn(future)
    }

    /// Is there no child that has yet to finish?
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("children", &self.children)
            .finish()
    }
}

//! The unsafe part: futures that borrow, memory of one thread behind `Send` handles.
//!
//! ```text
//! Tasks<'a> ──▶ Arc<Queue> ◀── metadata of each task's cell ◀── Runnable, Waker, Task<T>: on any thread
//!                 └ HomeCell<Home>: contents for the home thread only
//! ```
//!
//! What makes `spawn_unchecked` sound, by number:
//!
//! 1. A future is polled and dropped only through a `Runnable` (`async_task` drops it nowhere else). A `Runnable` exists in
//!    four places: here in `schedule`, in the home half of a queue, in its foreign half, and in the hands of the functions of
//!    `queue.rs` that run at home. Of these only the last run or drop it. So a future, which need not be `Send`, stays on the
//!    thread that spawned it: the home of its queue.
//! 2. `Tasks<'a>` is neither `Send` nor `Sync`, so its home is where it is used and dropped.
//! 3. Dropping `Tasks<'a>` returns only when every future of it is dropped. `'a` is invariant and outlives the `Tasks` (it
//!    implements `Drop`, so the drop checker asks for that), so no future is touched after `'a`. Forgetting a `Tasks` leaks the
//!    queue and the futures, which are then never run or dropped by anybody.
//! 4. The schedule function is a function item and captures nothing; it and the metadata, an `Arc<Queue>` and an atomic, are `Send +
//!    Sync + 'static`, so wakers may outlive everything.
//! 5. An output is not `Send` unless `Task<T>` is; it is dropped with the `Task<T>`, or at home if that is detached.

use std::cell::{Cell, OnceCell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tracked::{Metadata, Tracked};
use crate::origin::Origin;
use crate::queue::{Home, Queue};

/// A task that is to be polled.
pub(crate) type Runnable = async_task::Runnable<Metadata>;

/// The number of this thread: never 0, never used again.
#[inline]
pub(crate) fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        // Const and without a destructor, so that it can be read during the thread's teardown too.
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    #[cold]
    fn first() -> u64 {
        // Relaxed: the numbers only have to differ.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        NUMBER.set(number);
        number
    }
    match NUMBER.get() {
        0 => first(),
        number => number,
    }
}

/// A value that only the thread that made it can see.
///
/// Dropped on another thread, it forgets the value: whoever cares empties it at home first, as `Queue::close` does.
pub(crate) struct HomeCell<T> {
    home: u64,
    value: ManuallyDrop<UnsafeCell<T>>,
}

// SAFETY: a `&HomeCell` gives access to the value on the thread `home` alone, and so does dropping it.
unsafe impl<T> Sync for HomeCell<T> {}
// SAFETY: as above; moving the cell moves bytes and touches nothing that the value owns. `home` is not used again for another
// thread, so a cell that outlives its thread is closed for ever.
unsafe impl<T> Send for HomeCell<T> {}

impl<T> HomeCell<T> {
    /// This thread becomes the home.
    pub(crate) fn new(value: T) -> HomeCell<T> {
        HomeCell {
            home: thread_number(),
            value: ManuallyDrop::new(UnsafeCell::new(value)),
        }
    }

    /// The value, on its home thread.
    pub(crate) fn get(&self) -> Option<&T> {
        if thread_number() != self.home {
            return None;
        }
        // SAFETY: only shared references are ever made while the cell lives, and only on the thread that made the value.
        Some(unsafe { &*self.value.get() })
    }
}

impl<T> Drop for HomeCell<T> {
    fn drop(&mut self) {
        if thread_number() == self.home {
            // SAFETY: this is the only place that drops the value, and the cell cannot be used after it.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// Queues a task that was woken, or spawned. Called on any thread; see `queue.rs` for the two halves.
fn schedule(runnable: Runnable) {
    let queue = &runnable.metadata().queue;
    match queue.home.get() {
        Some(home) if home.is_plain() => {
            // An `Arc` clone here would be two atomic read-modify-writes, a third of the price of a wake.
            let home: *const Home = home;
            // SAFETY: `home` lives in the `Arc<Queue>` in the task's cell. The cell lives as long as `runnable`, which
            // `push` puts into the queue and which only this thread takes out again: not before `push` has returned, since
            // `push` on a plain queue does nothing else. `home` is not used after it.
            let home = unsafe { &*home };
            home.push(runnable);
        }
        Some(_) => schedule_and_ring(runnable),
        None => schedule_abroad(runnable),
    }
}

#[cold]
fn schedule_and_ring(runnable: Runnable) {
    let queue = Arc::clone(&runnable.metadata().queue);
    queue.push_and_ring(runnable);
}

#[cold]
fn schedule_abroad(runnable: Runnable) {
    // Once it is pushed, home may run the task to its end and free the cell.
    let queue = Arc::clone(&runnable.metadata().queue);
    queue.push_abroad(runnable);
}

/// The owner of a queue and of the tasks spawned on it.
pub(crate) struct Tasks<'a> {
    /// Made at the first use, so that `new` is const.
    queue: OnceCell<Arc<Queue>>,
    /// Invariant in `'a`, neither `Send` nor `Sync`.
    marker: PhantomData<(Cell<&'a ()>, *mut ())>,
}

impl<'a> Tasks<'a> {
    pub(crate) const fn new() -> Tasks<'a> {
        Tasks {
            queue: OnceCell::new(),
            marker: PhantomData,
        }
    }

    /// The queue, if it was ever used.
    pub(crate) fn existing(&self) -> Option<&Arc<Queue>> {
        self.queue.get()
    }

    pub(crate) fn queue(&self) -> &Arc<Queue> {
        self.queue.get_or_init(|| Arc::new(Queue::new()))
    }

    /// Spawns `future` and queues it for its first poll.
    pub(crate) fn spawn<F>(
        &self,
        future: F,
        origin: Origin,
    ) -> async_task::Task<F::Output, Metadata>
    where
        F: Future + 'a,
        F::Output: 'a,
    {
        let builder = async_task::Builder::new()
            .metadata(Metadata::new(Arc::clone(self.queue()), origin))
            .propagate_panic(true);
        // SAFETY: the four conditions of `spawn_unchecked`, by the points on top of this file. The future is not `Send`: it
        // stays on this thread (1, 2). It is not `'static`: it is dropped before `'a` ends (3). The schedule function is
        // `Send` and `Sync` (4), and `'static` (4). `Tracked` borrows from the metadata, which the cell drops after it.
        let (runnable, task) = unsafe { builder.spawn_unchecked(tracked(future), schedule) };
        runnable.schedule();
        task
    }
}

/// Makes the cell's content from its metadata, which lives as long.
fn tracked<'q, F>(future: F) -> impl FnOnce(&'q Metadata) -> Tracked<'q, F> {
    |metadata| Tracked::new(metadata, future)
}

impl Drop for Tasks<'_> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.get() {
            queue.at_home().close();
        }
    }
}

//! What several test files use.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use levent_executor::{Sleeper, Unparker, Wait, block_on_with};

/// A sleeper without a reactor. Counts its turns.
#[derive(Default)]
pub(crate) struct Parked {
    /// `Wait::Poll` turns.
    pub(crate) polled: Cell<usize>,
    /// `Wait::Block` turns.
    pub(crate) slept: Cell<usize>,
}

impl Sleeper for Parked {
    fn turn(&self, wait: Wait) -> io::Result<()> {
        match wait {
            Wait::Poll => self.polled.set(self.polled.get() + 1),
            Wait::Block => {
                self.slept.set(self.slept.get() + 1);
                thread::park();
            }
            Wait::AtMost(time) => thread::park_timeout(time),
        }
        Ok(())
    }

    fn unparker(&self) -> Unparker {
        let thread = thread::current();
        Unparker::new(move || thread.unpark())
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    block_on_with(&Parked::default(), future)
}

/// Counts itself out when it is dropped.
pub(crate) struct Guard(pub(crate) Rc<Cell<usize>>);

impl Guard {
    pub(crate) fn new(alive: &Rc<Cell<usize>>) -> Guard {
        alive.set(alive.get() + 1);
        Guard(Rc::clone(alive))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// What ran, in order.
#[derive(Clone, Default)]
pub(crate) struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// A place where a future leaves its waker.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Waker>>>);

impl Slot {
    pub(crate) fn put(&self, waker: &Waker) {
        *self.0.lock().unwrap() = Some(waker.clone());
    }

    pub(crate) fn take(&self) -> Option<Waker> {
        self.0.lock().unwrap().take()
    }

    /// Waits on this thread, which is not the future's, until a waker is there.
    pub(crate) fn wait(&self) -> Waker {
        loop {
            if let Some(waker) = self.take() {
                return waker;
            }
            thread::yield_now();
        }
    }

    /// Leaves its waker here at every poll and never ends.
    pub(crate) async fn forever(self) {
        poll_fn(|cx| {
            self.put(cx.waker());
            Poll::Pending
        })
        .await
    }

    /// Leaves its waker here and is done at the second poll.
    pub(crate) async fn once(self) {
        let mut polled = false;
        poll_fn(|cx| {
            if polled {
                return Poll::Ready(());
            }
            polled = true;
            self.put(cx.waker());
            Poll::Pending
        })
        .await
    }
}

/// Runs `body` in a process of its own, where no other test opens descriptors or ends the process. `name` is the test's path.
/// Returns the exit code of that process; in it, `body` runs and the result means nothing.
pub(crate) fn alone(name: &str, body: impl FnOnce()) -> Option<i32> {
    const MARK: &str = "LEVENT_EXECUTOR_ALONE";
    if std::env::var_os(MARK).is_some() {
        body();
        return Some(0);
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(MARK, "1")
        .status()
        .unwrap();
    status.code()
}

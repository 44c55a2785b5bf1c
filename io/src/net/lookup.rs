//! Host names, resolved on threads of their own.
//!
//! ```text
//! first poll ──▶ queue ──▶ levent-resolve (at most 4) ──▶ getaddrinfo ──▶ answer, wake
//!    dropped ──▶ out of the queue, or the answer is forgotten
//! ```
//!
//! The C library's resolver blocks, for many seconds if it must, so the loop's thread never calls it. The threads start with
//! the first name and end when they have had nothing to do for two seconds: a program that uses addresses only has none.
//!
//! Invariants
//! 1. A lookup whose future is dropped leaves the queue; one that a thread has taken runs to its end and is forgotten.
//! 2. The queue is never longer than there are futures that wait.
//! 3. A lookup is in the queue only while a thread lives, or is being started, that will take it; otherwise it has failed.
//! 4. Wakers are cloned, woken and dropped outside the locks.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// How many names are looked up at once, in the whole process.
const THREADS_MAX: usize = 4;
/// How long a thread waits for the next name before it ends.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// One name on its way through the threads.
pub(super) struct Lookup {
    host: String,
    port: u16,
    progress: Mutex<Progress>,
}

/// `Unasked` → `Waiting` → `Done` → `Answered`; and `Answered` from anywhere, when the future is dropped.
enum Progress {
    /// Not polled yet: not in the queue.
    Unasked,
    /// In the queue or with a thread; the waker of the last poll.
    Waiting(Waker),
    Done(io::Result<Vec<SocketAddr>>),
    /// The future has, or will never want, the result.
    Answered,
}

impl Lookup {
    /// A lookup that is not asked for until the first poll.
    pub(super) fn new(host: &str, port: u16) -> Arc<Lookup> {
        Arc::new(Lookup {
            host: host.to_owned(),
            port,
            progress: Mutex::new(Progress::Unasked),
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The addresses, in the library's order. Not to be called again after it was ready.
    pub(super) fn poll(
        self: &Arc<Lookup>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Vec<SocketAddr>>> {
        // Cloned, and an old one dropped, outside the lock: both may run foreign code.
        let waker = cx.waker().clone();
        let mut progress = self.lock();
        match std::mem::replace(&mut *progress, Progress::Answered) {
            Progress::Done(result) => {
                return Poll::Ready(result);
            }
            Progress::Answered => unreachable!("polled again after it was ready"),
            Progress::Waiting(last) => {
                *progress = Progress::Waiting(waker);
                drop(progress);
                drop(last);
            }
            Progress::Unasked => {
                // Registered before it is queued, so that an answer at once finds the waker.
                *progress = Progress::Waiting(waker);
                drop(progress);
                POOL.submit(self);
            }
        }
        Poll::Pending
    }

    /// Hands the result over and wakes the future, if it still waits.
    fn finish(&self, result: io::Result<Vec<SocketAddr>>) {
        let waker = {
            let mut progress = self.lock();
            match std::mem::replace(&mut *progress, Progress::Answered) {
                Progress::Waiting(waker) => {
                    *progress = Progress::Done(result);
                    Some(waker)
                }
                _ => None,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The future is gone: nobody wants the result, or the place in the queue.
    pub(super) fn abandon(self: &Arc<Lookup>) {
        let last = std::mem::replace(&mut *self.lock(), Progress::Answered);
        if matches!(last, Progress::Waiting(_)) {
            POOL.withdraw(self);
        }
    }

    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the C library, which blocks.
fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match ToSocketAddrs::to_socket_addrs(&(host, port)) {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("cannot resolve the host name `{host}`: {error}"),
        )),
    }
}

/// The process's resolver threads.
struct Pool {
    work: Mutex<Work>,
    /// Signalled once per lookup queued.
    queued: Condvar,
}

struct Work {
    queue: VecDeque<Arc<Lookup>>,
    /// Threads that live, at most `THREADS_MAX`.
    threads: usize,
    /// Those of them that wait for `queued`.
    idle: usize,
}

static POOL: Pool = Pool {
    work: Mutex::new(Work {
        queue: VecDeque::new(),
        threads: 0,
        idle: 0,
    }),
    queued: Condvar::new(),
};

impl Pool {
    /// Queues a lookup and sees to it that a thread will take it, or that it fails.
    fn submit(&'static self, lookup: &Arc<Lookup>) {
        let mut work = self.lock();
        work.queue.push_back(lookup.clone());
        if work.idle >= work.queue.len() || work.threads == THREADS_MAX {
            drop(work);
            self.queued.notify_one();
            return;
        }
        // Counted before it runs, so that lookups that come meanwhile see it.
        work.threads += 1;
        drop(work);
        let spawned = thread::Builder::new()
            .name("levent-resolve".to_owned())
            .spawn(move || self.serve());
        if let Err(error) = spawned {
            self.fail_stranded(&error);
        }
    }

    /// A thread could not be started. If there is no other, nobody will come to what is queued.
    fn fail_stranded(&self, error: &io::Error) {
        let mut work = self.lock();
        work.threads -= 1;
        if work.threads > 0 {
            drop(work);
            self.queued.notify_one();
            return;
        }
        let stranded = std::mem::take(&mut work.queue);
        drop(work);
        for lookup in stranded {
            let host = &lookup.host;
            let message = format!("cannot start a thread to resolve `{host}`: {error}");
            lookup.finish(Err(io::Error::new(error.kind(), message)));
        }
    }

    /// Takes a lookup out of the queue, if it is there still.
    fn withdraw(&self, lookup: &Arc<Lookup>) {
        self.lock()
            .queue
            .retain(|queued| !Arc::ptr_eq(queued, lookup));
    }

    /// A thread's life: until nothing came for `IDLE_MAX`.
    fn serve(&self) {
        while let Some(lookup) = self.next() {
            lookup.finish(look_up(&lookup.host, lookup.port));
        }
    }

    /// The next lookup; `None` counts the thread out.
    fn next(&self) -> Option<Arc<Lookup>> {
        let mut work = self.lock();
        work.idle += 1;
        let (mut work, _) = self
            .queued
            .wait_timeout_while(work, IDLE_MAX, |work| work.queue.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        work.idle -= 1;
        let lookup = work.queue.pop_front();
        if lookup.is_none() {
            work.threads -= 1;
        }
        lookup
    }

    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

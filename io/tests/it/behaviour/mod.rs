//! What users rely on, with real descriptors.
//!
//! Every test runs twice: under our executor, where a source is at home in the polling thread's loop, and under a foreign one, where the
//! background base waits.

mod batches;
mod descriptors;
mod listeners;
mod packets;
mod passing;
mod streams;
mod waits;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Runs a test under our own executor, then under a foreign one.
pub(crate) fn everywhere<F: Future<Output = io::Result<()>>>(test: impl Fn() -> F) {
    levent_executor::block_on(test()).expect("under our executor");
    futures_lite::future::block_on(test()).expect("under a foreign executor");
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn counting() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (count.clone(), Waker::from(count))
}

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Lets every other ready task and the reactor have a turn.
pub(crate) async fn turn() {
    futures_lite::future::yield_now().await;
}

/// Polls once, with a waker of the test's choice.
pub(crate) fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// A path in a directory of its own, removed with it.
pub(crate) struct TempDir(std::path::PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> io::Result<TempDir> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("levent-io-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(TempDir(path))
    }

    pub(crate) fn join(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What is left in the temporary directory harms no test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

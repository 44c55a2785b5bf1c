//! In-process tests of monoio: `micro-monoio t1|t2 [epoll|io_uring]`, io_uring by default.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use levent_bench::test_name;
use levent_peers::{Peer, no_test, tasks, timers};
use monoio::task::JoinHandle;
use monoio::time::{Instant, Sleep, sleep};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

struct Monoio;

impl Peer for Monoio {
    type Timer = Sleep;
    type Task = JoinHandle<()>;

    fn after(&self, duration: Duration) -> Sleep {
        sleep(duration)
    }

    fn set_after(&self, timer: Pin<&mut Sleep>, duration: Duration) {
        timer.reset(Instant::now() + duration);
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        monoio::spawn(future)
    }

    /// It has none of its own.
    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        futures_lite::future::yield_now()
    }
}

fn main() -> io::Result<()> {
    if std::env::args().nth(2).as_deref() == Some("epoll") {
        let mut runtime = RuntimeBuilder::<LegacyDriver>::new()
            .enable_timer()
            .build()?;
        runtime.block_on(test());
    } else {
        let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
            .with_entries(4096)
            .enable_timer()
            .build()?;
        runtime.block_on(test());
    }
    Ok(())
}

async fn test() {
    match test_name().as_str() {
        "t1" => timers(&Monoio).await,
        "t2" => tasks(&Monoio).await,
        other => no_test(other),
    }
}

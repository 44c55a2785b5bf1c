//! In-process tests of tokio's current-thread scheduler: `micro-tokio t1|t2`.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use levent_bench::test_name;
use levent_peers::{Peer, no_test, tasks, timers};
use tokio::runtime::Builder;
use tokio::task::{JoinHandle, unconstrained};
use tokio::time::{Instant, Sleep, sleep};

struct Tokio;

impl Peer for Tokio {
    type Timer = Sleep;
    type Task = JoinHandle<()>;

    fn after(&self, duration: Duration) -> Sleep {
        sleep(duration)
    }

    fn set_after(&self, timer: Pin<&mut Sleep>, duration: Duration) {
        timer.reset(Instant::now() + duration);
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tokio::spawn(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        tokio::task::yield_now()
    }
}

fn main() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match test_name().as_str() {
        // Without its budget: after 128 polls in one go a timer would be told to come back instead of being armed.
        "t1" => runtime.block_on(unconstrained(timers(&Tokio))),
        "t2" => runtime.block_on(tasks(&Tokio)),
        other => no_test(other),
    }
    Ok(())
}

//! In-process tests of smol's local executor and timers: `micro-smol t1|t2`.

use std::pin::Pin;
use std::time::Duration;

use levent_bench::test_name;
use levent_peers::{Peer, no_test, tasks, timers};
use smol::{LocalExecutor, Task, Timer};

struct Smol(LocalExecutor<'static>);

impl Peer for Smol {
    type Timer = Timer;
    type Task = Task<()>;

    fn after(&self, duration: Duration) -> Timer {
        Timer::after(duration)
    }

    fn set_after(&self, mut timer: Pin<&mut Timer>, duration: Duration) {
        timer.set_after(duration);
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Task<()> {
        self.0.spawn(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send + 'static {
        smol::future::yield_now()
    }
}

fn main() {
    let peer = Smol(LocalExecutor::new());
    match test_name().as_str() {
        "t1" => smol::block_on(peer.0.run(timers(&peer))),
        "t2" => smol::block_on(peer.0.run(tasks(&peer))),
        other => no_test(other),
    }
}

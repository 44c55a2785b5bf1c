//! `t2`: tasks.

use levent_bench::{OPERATIONS, cpu_nanos, print, rounds};

use crate::Peer;

/// Runs the tests of tasks and prints their results.
pub async fn tasks<P: Peer>(peer: &P) {
    cpu_per("t2_spawn_await_ns", OPERATIONS, async || {
        for _ in 0..OPERATIONS {
            peer.spawn(async {}).await;
        }
    })
    .await;
    cpu_per("t2_spawn_batch_ns", OPERATIONS, async || {
        let mut batch = Vec::with_capacity(1000);
        for _ in 0..OPERATIONS / 1000 {
            batch.extend((0..1000).map(|_| peer.spawn(async {})));
            join(&mut batch).await;
        }
    })
    .await;
    cpu_per("t2_yield_solo_ns", 2_000_000, async || {
        peer.spawn(yields(2_000_000, P::yield_now)).await;
    })
    .await;
    cpu_per("t2_yield_100tasks_ns", 10_000_000, async || {
        let hundred = (0..100).map(|_| peer.spawn(yields(100_000, P::yield_now)));
        join(&mut hundred.collect()).await;
    })
    .await;
}

async fn cpu_per(name: &str, operations: usize, mut f: impl AsyncFnMut()) {
    let mut samples = Vec::new();
    for _ in 0..rounds() {
        let start = cpu_nanos();
        f().await;
        samples.push((cpu_nanos() - start) / operations as f64);
    }
    print(name, samples);
}

async fn yields<F: Future<Output = ()>>(count: u32, yield_now: fn() -> F) {
    for _ in 0..count {
        yield_now().await;
    }
}

async fn join(batch: &mut Vec<impl Future>) {
    for task in batch.drain(..) {
        task.await;
    }
}

//! Everything that can be done with time, in two seconds.
//!
//! ```text
//! cargo run --example timers
//! ```
//!
//! Prints one line per event with the milliseconds since the start: a sleep, a timeout that passes and one that does not, an
//! interval that catches up beside one that skips, a timer that is moved while it is awaited, ten thousand sleeps at once.

use std::{
    future::pending,
    time::{Duration, Instant},
};

use futures_lite::{StreamExt, future};
use levent::{Timer, interval, sleep, sleep_until, spawn, timeout};

const MS: Duration = Duration::from_millis(1);

fn main() {
    levent::block_on(show(Instant::now()));
}

async fn show(start: Instant) {
    let say = |what: &str| println!("{:5} ms  {what}", start.elapsed().as_millis());

    sleep(100 * MS).await;
    say("slept 100 ms");

    let answer = timeout(100 * MS, async { 42 }).await;
    say(&format!("within its limit: {answer:?}"));
    let answer = timeout(100 * MS, pending::<u32>()).await;
    say(&format!("past its limit: {answer:?}"));

    // Both tick every 50 ms, and nobody looks for 180 ms: three ticks were missed.
    let mut catches_up = Timer::interval(50 * MS);
    let mut skips = interval(50 * MS);
    sleep(180 * MS).await;
    for _ in 0..4 {
        catches_up.next().await;
        say("tick of Timer::interval, which catches up");
    }
    sleep(180 * MS).await;
    for _ in 0..2 {
        skips.tick().await;
        say("tick of timer::interval, which skips");
    }

    // Set forward while it is the thing that is waited for.
    let mut far = sleep(Duration::from_secs(3600));
    let first = future::or(
        async {
            (&mut far).await;
            "the far one"
        },
        async {
            sleep(50 * MS).await;
            "the near one"
        },
    )
    .await;
    say(&format!("first of two: {first}"));
    far.set_after(50 * MS);
    far.await;
    say("the far one, after it was set to 50 ms");

    // Each sleep is one entry in a heap: no thread, no descriptor.
    let deadline = Instant::now() + 300 * MS;
    let sleepers: Vec<_> = (0..10_000u32)
        .map(|i| {
            spawn(async move {
                let due = deadline - i % 100 * MS;
                sleep_until(due).await;
                due.elapsed()
            })
        })
        .collect();
    let mut latest = Duration::ZERO;
    for sleeper in sleepers {
        latest = latest.max(sleeper.await);
    }
    say(&format!(
        "10,000 sleeps; none early, the latest by {} µs",
        latest.as_micros()
    ));
}

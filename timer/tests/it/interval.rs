//! `Interval`: the ticks that skip.

use std::time::{Duration, Instant};

use futures_lite::{
    StreamExt,
    future::{self, poll_once},
};
use levent_executor::{block_on, spawn};
use levent_timer::{interval, interval_at, sleep};

const MS: Duration = Duration::from_millis(1);

#[test]
fn ticks_are_on_the_grid_and_never_early() {
    block_on(async {
        let period = 2 * MS;
        let mut ticks = interval(period);
        let first = ticks.tick().await;
        let mut last = first;
        for _ in 0..5 {
            let tick = ticks.tick().await;
            assert!(Instant::now() >= tick);
            assert!(tick >= last + period);
            assert_eq!(
                (tick - first).as_nanos() % period.as_nanos(),
                0,
                "off the grid"
            );
            last = tick;
        }
    });
}

/// Ruling of the design: `interval` skips, `Timer::interval` catches up.
#[test]
fn missed_ticks_are_left_out() {
    block_on(async {
        let period = Duration::from_secs(10);
        let start = Instant::now() - 10 * period - period / 2;
        let mut ticks = interval_at(start, period);
        assert_eq!(poll_once(ticks.tick()).await, Some(start));
        // Ten more have passed. None of them comes now, and the next is half a period ahead.
        assert_eq!(poll_once(ticks.tick()).await, None);
        assert!(
            format!("{ticks:?}").contains(&format!("{:?}", start + 11 * period)),
            "{ticks:?}"
        );
    });
}

#[test]
fn reset_starts_a_new_grid() {
    block_on(async {
        let mut ticks = interval_at(Instant::now() + Duration::from_secs(3600), 2 * MS);
        assert_eq!(poll_once(ticks.tick()).await, None);
        let before = Instant::now();
        ticks.reset();
        assert!(ticks.tick().await >= before + 2 * MS);
    });
}

#[test]
fn dropped_tick_loses_nothing() {
    block_on(async {
        let mut ticks = interval(30 * MS);
        for _ in 0..10 {
            assert_eq!(poll_once(ticks.tick()).await, None);
        }
        ticks.tick().await;
        assert_eq!((&mut ticks).take(2).count().await, 2);
    });
}

#[test]
fn zero_period_ticks_at_every_poll_and_starves_nobody() {
    block_on(async {
        let mut ticks = interval(Duration::ZERO);
        let hog = async { while ticks.next().await.is_some() {} };
        future::or(hog, spawn(sleep(2 * MS))).await;
        assert!(poll_once(interval(Duration::MAX).tick()).await.is_none());
    });
}

//! One stream with a limit of its own.

use std::time::{Duration, Instant};

use levent_io::limit::{Bucket, Limit, Limiter};
use levent_reactor::lane::Direction::{Read, Write};

use super::{TICK, World, ticks};

fn limited(limit: Limit) -> Limiter {
    let mut limiter = Limiter::new();
    limiter.set_limit(Some(limit));
    limiter
}

/// Whole ticks of the monotonic clock refill; a clock that goes back, and a part of a tick, add nothing (RL-5).
#[test]
fn whole_ticks_refill() {
    let start = Instant::now();
    let mut bucket = Bucket::new(&ticks(10, 100), Read, start).unwrap();
    bucket.take(10);
    assert_eq!(bucket.level(start + TICK - Duration::from_nanos(1)), 0);
    assert_eq!(bucket.level(start + TICK), 10);
    // The rest of a tick is not lost when it is looked at in the middle of one.
    assert_eq!(bucket.level(start + TICK * 3 / 2), 10);
    assert_eq!(bucket.level(start + TICK * 2), 20);
    assert_eq!(bucket.level(start), 20);
    // No number of ticks overflows.
    assert_eq!(
        bucket.level(start + Duration::from_secs(u32::MAX.into())),
        100
    );
}

/// It begins with one tick's rate, holds its burst at most, and pays debt before anything passes (RL-3, RL-4, RL-6).
#[test]
fn level_begins_with_a_tick_and_ends_at_the_burst() {
    let start = Instant::now();
    let mut bucket = Bucket::new(&ticks(10, 25), Write, start).unwrap();
    assert_eq!(bucket.level(start), 10);
    bucket.take(45);
    assert_eq!(bucket.level(start), -35);
    assert_eq!(bucket.ready_at(1), Some(start + TICK * 4));
    assert_eq!(bucket.level(start + TICK * 3), -5);
    assert_eq!(bucket.level(start + TICK * 4), 5);
    assert_eq!(bucket.level(start + TICK * 400), 25);
    bucket.take(i64::MIN);
    assert_eq!(bucket.level(start + TICK * 400), 25, "given back");
    bucket.take(i64::MAX);
    bucket.take(i64::MAX);
    assert_eq!(bucket.level(start + TICK * 400), i64::MIN);
    assert_eq!(
        bucket.ready_at(1),
        None,
        "beyond what the clock can express"
    );
}

/// A grant is at least a byte and at most what is wanted and what there is; then the stream waits for the tick that brings the first byte (RL-9, RL-10).
#[test]
fn grants_are_a_byte_at_least() {
    let mut limiter = limited(ticks(10, 40));
    let start = Instant::now();
    assert_eq!(limiter.try_grant(Read, 4, start), Ok(4));
    limiter.spend(Read, 4);
    assert_eq!(limiter.try_grant(Read, 1_000, start), Ok(6));
    // More than was granted may have come: a record of TLS, for example.
    limiter.spend(Read, 20);
    let later = limiter.try_grant(Read, 1, start).unwrap_err().unwrap();
    assert!(limiter.is_suspended(Read) && !limiter.is_suspended(Write));
    assert!(later > start + TICK && later <= start + TICK * 2);
    assert_eq!(limiter.try_grant(Read, 1_000, later), Ok(6));
    assert!(!limiter.is_suspended(Read));
}

/// Reading and writing are limited each for itself (RL-8).
#[test]
fn directions_are_independent() {
    let mut limiter = limited(Limit::every(TICK).unwrap().read(10, 10).unwrap());
    let now = Instant::now();
    limiter.spend(Read, 10);
    assert!(limiter.try_grant(Read, 1, now).is_err());
    assert_eq!(limiter.try_grant(Write, 12_345, now), Ok(12_345));
    assert_eq!(limiter.level(Write), None);
}

/// The same limit again changes nothing; another clips the level and keeps the ticks; none lets everything through (RL-7).
#[test]
fn limits_are_replaced() {
    let mut limiter = limited(ticks(100, 400));
    limiter.spend(Read, 30);
    limiter.set_limit(Some(ticks(100, 400)));
    assert_eq!(limiter.level(Read), Some(70), "not a new bucket");
    limiter.set_limit(Some(ticks(20, 50)));
    assert_eq!(limiter.level(Read), Some(50));
    limiter.spend(Read, 60);
    assert!(limiter.try_grant(Read, 1, Instant::now()).is_err());
    limiter.set_limit(None);
    assert_eq!(limiter.try_grant(Read, 9_999, Instant::now()), Ok(9_999));
    assert!(limiter.is_unlimited() && limiter.level(Read).is_none());
}

/// Bytes that passed elsewhere are charged and given back by hand (RL-11).
#[test]
fn levels_are_charged_by_hand() {
    let mut limiter = limited(ticks(100, 400));
    limiter.charge(Read, 150);
    assert_eq!(limiter.level(Read), Some(-50));
    limiter.charge(Read, -60);
    assert_eq!(limiter.level(Read), Some(10));
    limiter.charge(Read, -1_000_000);
    assert_eq!(limiter.level(Read), Some(400));
    Limiter::new().charge(Read, 5);
}

/// Over a minute the rate is right within 1 %, whatever the size of the operations, and each byte more than the burst is paid for (RL-3, RL-24).
#[test]
fn rate_is_right_over_a_minute() {
    for (rate, burst, want) in [
        (1, 1, 16_384),
        (777, 777, 16_384),
        (12_345, 50_000, 100),
        (100_000, 1_000_000, 1 << 20),
    ] {
        let start = Instant::now();
        let mut world = World::new(start, vec![limited(ticks(rate, burst))]);
        world.run(Duration::from_secs(60), want);
        let expected = (rate * 600) as f64;
        let error = (world.total() as f64 - expected).abs() / expected;
        assert!(
            error < 0.01,
            "{rate} per tick: {} in a minute",
            world.total()
        );
    }
}

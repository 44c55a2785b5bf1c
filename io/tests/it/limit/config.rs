//! What a limit may be.

use std::io;
use std::time::Duration;

use levent_io::limit::{Group, Limit};
use levent_reactor::lane::Direction;

/// A configuration has rates, bursts and a tick, and answers them; it is a value that many streams may have (RL-1).
#[test]
fn limits_say_what_they_are() {
    let limit = Limit::every(Duration::from_millis(250))
        .unwrap()
        .read(10, 40)
        .unwrap();
    assert_eq!(limit.tick(), Duration::from_millis(250));
    assert_eq!(limit.rate(Direction::Read), Some((10, 40)));
    assert_eq!(limit.rate(Direction::Write), None);
    let limit = Limit::per_second(1_000).unwrap();
    assert_eq!(limit.rate(Direction::Read), Some((100, 1_000)));
    assert_eq!(limit.rate(Direction::Write), Some((100, 1_000)));
}

/// A rate per second is kept: below 10,000 bytes to the byte, above that to the ten (RL-24).
#[test]
fn rates_per_second_are_kept() {
    for bytes in (1..=10_100).chain([1_234_567, i64::MAX as u64]) {
        let limit = Limit::per_second(bytes).unwrap();
        let ticks = 1000 / limit.tick().as_millis() as u64;
        let (rate, burst) = limit.rate(Direction::Read).unwrap();
        let exact = if bytes < 10_000 {
            bytes
        } else {
            bytes / 10 * 10
        };
        assert_eq!((rate * ticks, burst), (exact, bytes));
        assert_eq!(limit.rate(Direction::Write), Some((rate, burst)));
    }
}

/// No tick, a negative or an endless one, no rate, a rate above the burst, and numbers that do not fit are refused (RL-2).
#[test]
fn nonsense_is_refused() {
    let refused = |result: io::Result<Limit>| {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    };
    refused(Limit::every(Duration::ZERO));
    refused(Limit::every(Duration::from_micros(999)));
    refused(Limit::every(Duration::from_secs(
        i32::MAX as u64 / 1000 + 1,
    )));
    refused(Limit::every(Duration::from_secs(i32::MAX as u64)));
    refused(Limit::every(Duration::from_secs(u32::MAX as u64 - 1)));
    refused(Limit::every(Duration::MAX));
    let limit = Limit::every(Duration::from_secs(i32::MAX as u64 / 1000)).unwrap();
    refused(limit.read(0, 10));
    refused(limit.read(11, 10));
    refused(limit.write(1, u64::MAX));
    refused(limit.write(u64::MAX, u64::MAX));
    limit.write(i64::MAX as u64, i64::MAX as u64).unwrap();
    refused(Limit::per_second(0));
    refused(Limit::per_second(u64::MAX));
    // What is below a millisecond is dropped first.
    let limit = Limit::every(Duration::from_micros(1_999)).unwrap();
    assert_eq!(limit.tick(), Duration::from_millis(1));
}

/// The least share is 64 bytes unless it is set, and never more than the rates; 0 may be set (RL-14).
#[test]
fn least_share_is_clamped() {
    let group = Group::new(super::ticks(1_000, 4_000));
    assert_eq!(group.min_share(), 64);
    group.set_min_share(5_000).unwrap();
    assert_eq!(group.min_share(), 1_000);
    group.set_limit(super::ticks(10, 10));
    assert_eq!(group.min_share(), 10);
    group.set_min_share(0).unwrap();
    assert_eq!(group.min_share(), 0);
    let error = group.set_min_share(u64::MAX).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

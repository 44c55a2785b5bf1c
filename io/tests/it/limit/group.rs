//! Streams that share a limit.

use std::time::{Duration, Instant};

use levent_io::limit::{Group, Limit, Limiter};
use levent_reactor::lane::Direction::{self, Read, Write};

use super::{TICK, World, ticks};

fn members(group: &Group, count: usize, own: Option<Limit>) -> Vec<Limiter> {
    let member = |_| {
        let mut limiter = Limiter::new();
        limiter.set_limit(own);
        limiter.join(group);
        limiter
    };
    (0..count).map(member).collect()
}

/// libevent's four runs of its throughput test, in invented time and within its own tolerances: 30 streams, a tick of 100 ms, 4.995 s (RL-21, RL-22, RL-24).
#[test]
fn throughput_test() {
    // Own rate, the group's, drained by hand in each tick, expected total.
    for (own, shared, drained, total) in [
        (None, Some(30_000), 0, Some(300_000)),
        (Some(1_000), None, 0, None),
        (Some(1_000), Some(30_000), 0, Some(300_000)),
        (Some(1_000), Some(35_000), 500, Some(300_000)),
    ] {
        let start = Instant::now();
        let limit = |rate: u64| ticks(rate, rate * 4);
        let group = shared.map(|rate| Group::new(limit(rate)));
        let own_limit = own.map(limit);
        let limiters = match &group {
            Some(group) => members(group, 30, own_limit),
            None => (0..30)
                .map(|_| {
                    let mut limiter = Limiter::new();
                    limiter.set_limit(own_limit);
                    limiter
                })
                .collect(),
        };
        let mut world = World::new(start, limiters);
        for _ in 0..50 {
            world.run(Duration::from_micros(99_900), 8_192);
            if let Some(group) = &group {
                group.charge(Read, drained);
            }
        }
        let per_second = |bytes: f64| bytes / 5.0;
        let name = format!("own {own:?}, shared {shared:?}");
        if let Some(total) = total {
            let difference = per_second(world.total() as f64) - f64::from(total);
            assert!(difference.abs() <= 1_000.0, "{name}: {difference} off");
        }
        let mean = per_second(world.mean());
        assert!((mean - 10_000.0).abs() <= 50.0, "{name}: {mean} each");
        let most = if own.is_some() { 50.0 } else { 100.0 };
        let deviation = per_second(world.deviation());
        assert!(deviation <= most, "{name}: deviation {deviation}");
    }
}

/// A hundred streams have the same within 5 % and the group its rate within 1 % over a minute: also where the least share leaves something for 15 of them
/// only in each tick, so that the others go first in the next (RL-13, RL-16).
#[test]
fn hundred_members_are_treated_alike() {
    for (rate, want) in [(100_000, 16_384), (1_000, 16_384), (50_001, 77), (64, 10)] {
        let start = Instant::now();
        let group = Group::new(ticks(rate, rate * 2));
        let mut world = World::new(start, members(&group, 100, None));
        world.run(Duration::from_secs(60), want);
        let error = (world.total() as f64 / (rate * 600) as f64 - 1.0).abs();
        assert!(error < 0.01, "{rate}: {} in a minute", world.total());
        // Where each has a few turns only, one turn more is not unfair.
        let turns = (rate * 600 / 100) as f64 / 64.0;
        let most = f64::max(0.05, 1.5 / turns);
        assert!(world.unfairness() < most, "{rate}: {}", world.unfairness());
        assert_eq!(group.total(Read), world.total());
    }
}

/// Shares of members that want nothing go to those that do, and come back when they ask (RL-13).
#[test]
fn idle_members_leave_their_share() {
    let start = Instant::now();
    let group = Group::new(ticks(10_000, 10_000));
    let _idle = members(&group, 90, None);
    let mut world = World::new(start, members(&group, 10, None));
    world.run(Duration::from_secs(10), 16_384);
    let expected = 10_000.0 * 100.0;
    assert!(
        (world.total() as f64 / expected - 1.0).abs() < 0.02,
        "{}",
        world.total()
    );
    assert!(world.unfairness() < 0.05);
}

/// A group in debt lets nobody through until the debt is paid, whoever made it; what was taken beyond is missing afterwards (RL-6, RL-15).
#[test]
fn debt_is_everybodys() {
    let group = Group::new(ticks(1_000, 1_000));
    let mut all = members(&group, 2, None);
    let start = Instant::now();
    assert_eq!(all[0].try_grant(Read, 400, start), Ok(400));
    all[0].spend(Read, 3_500);
    let later = all[1].try_grant(Read, 1, start).unwrap_err().unwrap();
    assert!(
        later > start + TICK * 2 && later <= start + TICK * 3 + Duration::from_millis(1),
        "{:?}",
        later - start
    );
    assert!(all[1].try_grant(Read, 1, start + TICK).is_err());
    assert!(all[1].try_grant(Read, 1, later).is_ok());
    assert_eq!(
        all[0].try_grant(Write, 77, start),
        Ok(77),
        "the other direction goes on"
    );
}

/// One group at a time; leaving ends its rule, and so does dropping; the own limit stays (RL-12, RL-17).
#[test]
fn members_come_and_go() {
    let (one, other) = (Group::new(ticks(10, 10)), Group::new(ticks(1_000, 1_000)));
    let mut limiter = Limiter::new();
    limiter.set_limit(Some(ticks(500, 500)));
    limiter.join(&one);
    let now = Instant::now();
    assert_eq!(
        limiter.try_grant(Read, 9_999, now),
        Ok(10),
        "the least of both"
    );
    limiter.spend(Read, 10);
    assert!(limiter.try_grant(Read, 1, now).is_err());
    limiter.join(&other);
    limiter.join(&other);
    assert_eq!((one.members(), other.members()), (0, 1));
    assert_eq!(limiter.try_grant(Read, 9_999, now), Ok(490));
    assert!(limiter.leave() && !limiter.leave());
    assert_eq!(other.members(), 0);
    limiter.join(&other);
    drop(limiter);
    assert_eq!(other.members(), 0);
    // A member that joins a group without anything left waits at once.
    other.charge(Read, 5_000);
    let mut late = members(&other, 1, None);
    assert!(late[0].try_grant(Read, 1, now).is_err());
}

/// The limit of a group can be changed while it is used: levels are clipped, and totals go on until they are reset (RL-18).
#[test]
fn groups_change() {
    let group = Group::new(ticks(1_000, 4_000));
    let mut all = members(&group, 1, None);
    all[0].spend(Write, 250);
    assert_eq!((group.total(Write), group.total(Read)), (250, 0));
    assert_eq!(group.level(Write), Some(750));
    group.set_limit(ticks(100, 300));
    assert_eq!(group.level(Write), Some(300));
    assert_eq!(group.limit().rate(Direction::Write), Some((100, 300)));
    group.set_limit(Limit::every(TICK).unwrap().read(5, 5).unwrap());
    assert_eq!(group.level(Write), None);
    assert_eq!(all[0].try_grant(Write, 70_000, Instant::now()), Ok(70_000));
    assert_eq!(group.total(Write), 250);
    group.reset_totals();
    assert_eq!(group.total(Write), 0);
}

/// Members may be on different threads.
#[test]
fn groups_are_shared_between_threads() {
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Group>();
    let group = Group::new(ticks(1_000, 1_000));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut limiter = Limiter::new();
                limiter.join(&group);
                for _ in 0..1_000 {
                    if let Ok(granted) = limiter.try_grant(Read, 3, Instant::now()) {
                        limiter.spend(Read, granted);
                    }
                }
            });
        }
    });
    assert_eq!(group.members(), 0);
    // At least the share of one of four.
    assert!(group.total(Read) >= 250);
}

/// Who has had something asks again behind those who have not, so that all have their turn where a tick brings enough for a few only (RL-13, RL-16).
#[test]
fn the_served_ask_last() {
    let group = Group::new(super::ticks(64, 64));
    let mut all = members(&group, 3, None);
    let now = Instant::now();
    assert_eq!(all[1].try_grant(Direction::Read, 64, now), Ok(64));
    all[1].spend(Direction::Read, 64);
    let next: Vec<_> = all
        .iter_mut()
        .map(|member| member.try_grant(Direction::Read, 64, now).unwrap_err())
        .collect();
    assert!(next[0] < next[1] && next[2] < next[1], "{next:?}");
    assert_eq!(next[0], next[2]);
}

//! Limits that somebody has made up, and random operations on streams that obey them: for the ordinary tests and for the fuzzer, whose inputs are the same bytes.
//!
//! What holds for all of them: nothing panics or overflows; a grant is between one byte and what was wanted; who is refused is told a later time; no bucket is above its burst;
//! nobody moves more than the burst, the ticks and what it was allowed to overdraw.

use std::time::{Duration, Instant};

use levent_io::limit::{Bucket, Group, Limit, Limiter};
use levent_reactor::lane::Direction;

/// Runs the operations that the bytes are, and returns how many grants there were.
pub(crate) fn run(input: &[u8]) -> usize {
    let mut bytes = Bytes(input);
    let Some(limit) = limit(&mut bytes) else {
        return 0;
    };
    let shared = limit_or(&mut bytes, limit);
    let group = Group::new(shared);
    let mut limiters: Vec<Limiter> = (0..1 + bytes.next() % 4).map(|_| Limiter::new()).collect();
    let mut now = Instant::now();
    let start = now;
    let mut lone = Bucket::new(&limit, Direction::Read, now);
    let (mut grants, mut taken) = (0, 0i128);
    while !bytes.0.is_empty() {
        let operation = bytes.next();
        let direction = if operation & 16 == 0 {
            Direction::Read
        } else {
            Direction::Write
        };
        let count = limiters.len();
        let limiter = &mut limiters[usize::from(operation >> 5) % count];
        match operation % 16 {
            0 => limiter.set_limit(Some(limit)),
            1 => limiter.set_limit(Some(shared)),
            2 => limiter.set_limit(None),
            3 => limiter.join(&group),
            4 => {
                limiter.leave();
            }
            5 => group.set_limit(limit_or(&mut bytes, shared)),
            6 => group
                .set_min_share(bytes.number() & i64::MAX as u64)
                .unwrap(),
            7 => limiter.charge(direction, bytes.number() as i64),
            8 => group.charge(direction, bytes.number() as i64),
            9 => {
                let step = Duration::from_millis(u64::from(bytes.next()) * 37);
                now = now.checked_add(step).unwrap_or(now);
            }
            10 => {
                let step = Duration::from_nanos(bytes.number());
                now = now.checked_add(step).unwrap_or(now);
            }
            _ => {
                let want = 1 + usize::from(bytes.next()) * 97;
                match limiter.try_grant(direction, want, now) {
                    Ok(granted) => {
                        assert!((1..=want).contains(&granted));
                        limiter.spend(direction, granted);
                        grants += 1;
                    }
                    Err(Some(later)) => assert!(later > now || limiter.group().is_some()),
                    Err(None) => {}
                }
            }
        }
        if let Some(limit) = limiter.limit() {
            if let Some((level, (_, burst))) = limiter.level(direction).zip(limit.rate(direction)) {
                assert!(i128::from(level) <= i128::from(burst));
            }
        }
        if let Some(bucket) = &mut lone {
            let (rate, burst) = limit.rate(Direction::Read).unwrap();
            let level = bucket.level(now);
            assert!(i128::from(level) <= i128::from(burst));
            if level > 0 {
                bucket.take(level);
                taken += i128::from(level);
            }
            let ticks = (now - start).as_millis() / limit.tick().as_millis() + 1;
            assert!(taken <= i128::from(rate) * ticks as i128);
            assert!(
                bucket
                    .ready_at(1)
                    .is_none_or(|at| at > now || bucket.level(now) > 0)
            );
        }
    }
    grants
}

fn limit_or(bytes: &mut Bytes<'_>, other: Limit) -> Limit {
    limit(bytes).unwrap_or(other)
}

/// One that is accepted; and what must not be is refused.
fn limit(bytes: &mut Bytes<'_>) -> Option<Limit> {
    let tick = Duration::from_millis(bytes.number());
    let Ok(limit) = Limit::every(tick) else {
        assert!(tick.is_zero() || tick.as_secs() > i32::MAX as u64 / 1000);
        return None;
    };
    let rate = |limit: Limit,
                bytes: &mut Bytes<'_>,
                set: fn(Limit, u64, u64) -> std::io::Result<Limit>| {
        let (rate, burst) = (bytes.number(), bytes.number());
        match set(limit, rate, burst) {
            Ok(limit) => {
                assert!(rate > 0 && rate <= burst && burst <= i64::MAX as u64);
                limit
            }
            Err(_) => {
                assert!(rate == 0 || rate > burst || burst > i64::MAX as u64);
                limit
            }
        }
    };
    let limit = rate(limit, bytes, Limit::read);
    Some(rate(limit, bytes, Limit::write))
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    /// A number of any size, small ones being frequent.
    fn number(&mut self) -> u64 {
        let (bits, byte) = (self.next() % 65, u64::from(self.next()));
        let number = byte.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ byte;
        match bits {
            0..8 => byte,
            64 => u64::MAX - byte,
            bits => number >> (64 - u32::from(bits)),
        }
    }
}

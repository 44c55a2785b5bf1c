//! Waits in the units of the system calls: one pure function per unit.
//!
//! All round up (TIME-15): a wait may end late, never early, and 300 µs must not become a busy loop. Zero stays zero. A
//! wait too long for the unit is cut (TIME-16); the loop then finds nothing due and waits again.

use std::time::Duration;

/// The longest wait of epoll in milliseconds: 35 minutes. Old kernels multiplied it by their tick rate in a `long`.
const MAX_WAIT_MS: i32 = 35 * 60 * 1000;

/// Whole milliseconds, at most 35 minutes; -1 for no limit.
pub(super) fn wait_ms(wait: Option<Duration>) -> i32 {
    match wait {
        None => -1,
        Some(wait) => i32::try_from(wait.as_nanos().div_ceil(1_000_000))
            .unwrap_or(MAX_WAIT_MS)
            .min(MAX_WAIT_MS),
    }
}

/// Seconds and whole microseconds.
pub(super) fn wait_us(wait: Duration) -> (i64, i64) {
    let seconds = saturating_seconds(wait);
    match i64::from(wait.subsec_nanos().div_ceil(1_000)) {
        1_000_000 => (seconds.saturating_add(1), 0),
        microseconds => (seconds, microseconds),
    }
}

/// Seconds and nanoseconds: nothing to round.
pub(super) fn wait_ns(wait: Duration) -> (i64, i64) {
    (saturating_seconds(wait), i64::from(wait.subsec_nanos()))
}

fn saturating_seconds(wait: Duration) -> i64 {
    i64::try_from(wait.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: Duration = Duration::from_nanos(1);

    /// TIME-15, TIME-16, EP-10.
    #[test]
    fn milliseconds_round_up_and_are_capped() {
        assert_eq!(wait_ms(None), -1);
        let ms = |wait| wait_ms(Some(wait));
        assert_eq!(ms(Duration::ZERO), 0);
        assert_eq!(ms(NS), 1);
        assert_eq!(ms(Duration::from_micros(1500)), 2);
        assert_eq!(ms(Duration::from_millis(1)), 1);
        assert_eq!(ms(Duration::from_millis(1) + NS), 2);
        assert_eq!(ms(Duration::from_secs(35 * 60) - NS), 2_100_000);
        assert_eq!(ms(Duration::from_secs(35 * 60)), 2_100_000);
        assert_eq!(ms(Duration::from_secs(40 * 60)), 2_100_000);
        assert_eq!(ms(Duration::MAX), 2_100_000);
    }

    /// TIME-15, SE-4.
    #[test]
    fn microseconds_round_up() {
        assert_eq!(wait_us(Duration::ZERO), (0, 0));
        assert_eq!(wait_us(NS), (0, 1));
        assert_eq!(wait_us(Duration::from_micros(7)), (0, 7));
        assert_eq!(wait_us(Duration::from_micros(7) + NS), (0, 8));
        assert_eq!(wait_us(Duration::from_secs(1) - NS), (1, 0));
        assert_eq!(wait_us(Duration::new(3, 999_999_000)), (3, 999_999));
        assert_eq!(
            wait_us(Duration::new(i64::MAX as u64, 999_999_999)),
            (i64::MAX, 0)
        );
        assert_eq!(wait_us(Duration::MAX), (i64::MAX, 0));
    }

    #[test]
    fn nanoseconds_are_exact() {
        assert_eq!(wait_ns(Duration::ZERO), (0, 0));
        assert_eq!(wait_ns(NS), (0, 1));
        assert_eq!(wait_ns(Duration::new(2, 999_999_999)), (2, 999_999_999));
        assert_eq!(wait_ns(Duration::MAX), (i64::MAX, 999_999_999));
    }
}

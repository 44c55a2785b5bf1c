//! Asking without sleeping, for as long as is worth it.
//!
//! A sleep costs what putting a thread away and fetching it back costs, and on a virtual machine also the time until its cpu is awake. Where the next
//! report comes within microseconds, as under one client that answers at once, it is cheaper for the client to ask again and again. Where it does not, that only
//! burns time. So the loop watches itself: what came soon after the last waits is expected to come soon again.
//!
//! ```text
//! wait ──▶ were the last ones short? ──yes──▶ ask without sleeping, up to `most` ──▶ something: hit
//!                   │ no                                     └──▶ nothing: miss, and sleep for the rest
//!                   └──▶ sleep, and look at how long that was: would it have been a hit?
//! ```

use std::io;
use std::time::{Duration, Instant};

use crate::backend::{Backend, Batch};

/// A sleep that would have been a hit is longer than the wait for the report: by the time that falling asleep and waking up take.
const SLEEP_COST: Duration = Duration::from_micros(15);

/// The most credit: how many hits make up for one another's misses.
const CREDIT_MAX: i32 = 8;

/// What a miss costs of it. With one miss for four hits it does not pay.
const MISS: i32 = 4;

/// When to ask and when to sleep.
#[derive(Debug)]
pub(crate) struct Busy {
    /// Zero: never ask.
    most: Duration,
    /// Above zero: it is expected to be worth it.
    credit: i32,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl Busy {
    pub(crate) fn new(most: Duration) -> Busy {
        Busy {
            most,
            credit: 0,
            hits: 0,
            misses: 0,
        }
    }

    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.most.is_zero()
    }

    /// For how long the next wait asks.
    fn patience(&self) -> Duration {
        if self.credit > 0 {
            self.most
        } else {
            Duration::ZERO
        }
    }

    fn hit(&mut self) {
        self.hits += 1;
        self.credit = (self.credit + 1).min(CREDIT_MAX);
    }

    fn miss(&mut self) {
        self.misses += 1;
        self.credit -= MISS;
    }

    /// A sleep without asking has ended, with reports or only because its time was over.
    fn slept(&mut self, time: Duration, has_reports: bool) {
        let would_hit = has_reports && time <= self.most + SLEEP_COST;
        self.credit = if would_hit {
            (self.credit + 1).min(CREDIT_MAX)
        } else {
            (self.credit - 1).max(-CREDIT_MAX)
        };
    }

    /// Waits as the backend does.
    #[inline(never)]
    pub(crate) fn wait(
        &mut self,
        backend: &mut dyn Backend,
        wait: Option<Duration>,
        batch: &mut Batch,
    ) -> io::Result<()> {
        let start = Instant::now();
        let patience = self.patience();
        if patience.is_zero() {
            backend.wait(wait, batch)?;
            self.slept(start.elapsed(), !batch.is_empty());
            return Ok(());
        }
        let asking = wait.map_or(patience, |wait| wait.min(patience));
        let mut asked = Duration::ZERO;
        while asked < asking {
            backend.wait(Some(Duration::ZERO), batch)?;
            if !batch.is_empty() {
                self.hit();
                return Ok(());
            }
            asked = start.elapsed();
        }
        self.miss();
        match wait.map(|wait| wait.saturating_sub(asked)) {
            // The deadline came first.
            Some(Duration::ZERO) => Ok(()),
            rest => backend.wait(rest, batch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_micros(20);

    /// Waits whose reports come after these times, again and again; answers the share of the waits that asked.
    fn share_of_asking(gaps_us: &[u64]) -> f64 {
        let mut busy = Busy::new(MOST);
        let mut asked = 0;
        let total = 10_000;
        for gap in gaps_us.iter().cycle().take(total) {
            let gap = Duration::from_micros(*gap);
            if busy.patience().is_zero() {
                busy.slept(gap + Duration::from_micros(10), true);
            } else {
                asked += 1;
                if gap < MOST { busy.hit() } else { busy.miss() }
            }
        }
        f64::from(asked) / total as f64
    }

    #[test]
    fn asks_where_reports_come_soon() {
        assert!(share_of_asking(&[6]) > 0.99);
        assert!(share_of_asking(&[6, 6, 6, 6, 6, 6, 6, 6, 6, 100]) > 0.9);
        // Under one miss for four hits it goes on, with pauses.
        assert!(share_of_asking(&[6, 6, 6, 6, 100]) > 0.4);
    }

    #[test]
    fn sleeps_where_they_do_not() {
        assert_eq!(share_of_asking(&[100]), 0.0);
        assert_eq!(share_of_asking(&[30]), 0.0);
        assert!(share_of_asking(&[6, 100]) < 0.2);
        assert!(share_of_asking(&[6, 100, 100]) < 0.01);
    }

    #[test]
    fn notices_a_change_soon() {
        let mut busy = Busy::new(MOST);
        for _ in 0..1_000 {
            busy.slept(Duration::from_millis(1), true);
        }
        for _ in 0..10 {
            assert!(busy.patience().is_zero() || busy.credit > 0);
            busy.slept(Duration::from_micros(15), true);
        }
        assert_eq!(busy.patience(), MOST);
        for _ in 0..1_000 {
            busy.hit();
        }
        busy.miss();
        busy.miss();
        assert!(busy.patience().is_zero());
        // A timer's end says nothing of reports.
        busy.slept(Duration::from_micros(1), false);
        assert!(busy.patience().is_zero());
    }
}

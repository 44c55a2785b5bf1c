//! `timeout` and `timeout_at`.

use std::{
    cell::Cell,
    future::{pending, poll_fn, ready},
    io,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use levent_executor::block_on;
use levent_reactor::current;
use levent_timer::{Elapsed, sleep, timeout, timeout_at};

const MS: Duration = Duration::from_millis(1);

#[test]
fn passes_when_the_future_does_not_end() {
    let start = Instant::now();
    let outcome: Result<(), Elapsed> = block_on(timeout(3 * MS, pending()));
    assert!(outcome.is_err());
    assert!(start.elapsed() >= 3 * MS);
    let deadline = Instant::now() + 3 * MS;
    assert!(block_on(timeout_at(deadline, pending::<()>())).is_err());
    assert!(Instant::now() >= deadline);
}

#[test]
fn output_wins_over_a_limit_that_has_passed() {
    assert_eq!(block_on(timeout(Duration::ZERO, ready(1))), Ok(1));
    assert_eq!(block_on(timeout_at(Instant::now(), ready(2))), Ok(2));
    assert!(block_on(timeout(Duration::ZERO, pending::<()>())).is_err());
}

#[test]
fn longest_limit_is_none() {
    assert_eq!(
        block_on(timeout(Duration::MAX, async { sleep(MS).await })),
        Ok(())
    );
}

#[test]
fn becomes_an_io_error_that_says_so() {
    fn checked() -> io::Result<()> {
        block_on(timeout(Duration::ZERO, pending::<()>()))?;
        Ok(())
    }
    let error = checked().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.get_ref().is_some_and(|inner| inner.is::<Elapsed>()));
    assert_eq!(error.to_string(), "the time limit passed");
}

#[test]
fn inner_future_lives_until_the_timeout_is_dropped() {
    block_on(async {
        let token = Rc::new(());
        let held = Rc::clone(&token);
        let mut limited = Box::pin(timeout(MS, async move {
            pending::<()>().await;
            drop(held);
        }));
        assert!(limited.as_mut().await.is_err());
        assert_eq!(Rc::strong_count(&token), 2);
        drop(limited);
        assert_eq!(Rc::strong_count(&token), 1);
    });
}

/// Taken back after the limit, the future goes on where it was.
#[test]
fn borrowed_future_goes_on_after_the_limit() {
    block_on(async {
        // Nothing that ends by the clock: a thread that is held up would find it done.
        let may_end = Cell::new(false);
        let mut work = poll_fn(|_| {
            if may_end.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        assert!(timeout(MS, &mut work).await.is_err());
        may_end.set(true);
        let limited = timeout(Duration::from_secs(3600), work);
        limited.into_inner().await;
    });
}

/// A future that always spends the task's whole budget must not keep the limit from being looked at.
#[test]
fn passes_over_a_future_that_spends_the_budget() {
    block_on(async {
        let spent = Cell::new(0u64);
        let hog = poll_fn(|cx| {
            while current::spend(cx).is_ready() {
                spent.set(spent.get() + 1);
                if spent.get() > 100_000_000 {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        });
        assert_eq!(
            timeout(2 * MS, hog).await.is_err(),
            spent.get() <= 100_000_000
        );
        assert!(
            spent.get() <= 100_000_000,
            "no budget, or the limit was never looked at"
        );
    });
}

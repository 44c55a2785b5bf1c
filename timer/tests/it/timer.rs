//! `Timer` and `Sleep`.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use futures_lite::{
    StreamExt,
    future::{self, poll_once},
};
use levent_executor::{block_on, spawn};
use levent_timer::{Sleep, Timer, sleep, sleep_until};

use crate::trace::Trace;

const MS: Duration = Duration::from_millis(1);
/// Far enough ahead that a first poll finds it pending also on a busy machine.
const AHEAD: Duration = Duration::from_millis(30);
const HOUR: Duration = Duration::from_secs(3600);

/// A small generator (xorshift), so that a failure can be repeated: `LEVENT_SEED=n cargo test`.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let seed = std::env::var("LEVENT_SEED")
            .ok()
            .and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) << 8 | 1);
        println!("LEVENT_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn answers_with_the_instant_asked_for() {
    let deadline = Instant::now() + 3 * MS;
    assert_eq!(block_on(Timer::at(deadline)), deadline);
    assert!(Instant::now() >= deadline);
}

#[test]
fn past_deadline_is_ready_at_the_first_poll() {
    let past = Instant::now();
    // Outside any loop too: nothing has to turn.
    assert_eq!(future::block_on(poll_once(Timer::at(past))), Some(past));
    assert_eq!(block_on(poll_once(Timer::at(past))), Some(past));
    assert_eq!(block_on(poll_once(sleep_until(past))), Some(()));
    assert_eq!(block_on(poll_once(sleep(Duration::ZERO))), Some(()));
    assert!(block_on(poll_once(Timer::after(Duration::ZERO))).is_some());
}

#[test]
fn stays_pending_after_it_fired() {
    block_on(async {
        let mut timer = Timer::after(MS);
        assert!(timer.will_fire());
        (&mut timer).await;
        assert!(!timer.will_fire());
        assert_eq!(poll_once(&mut timer).await, None);
        assert_eq!(poll_once(timer.next()).await, None);
        timer.set_after(MS);
        assert!(timer.will_fire());
        timer.await;
    });
}

#[test]
fn never_and_too_far_stay_pending() {
    block_on(async {
        let mut endless: Sleep = sleep(Duration::MAX);
        assert_eq!(endless.deadline(), None);
        let mut timers = [
            Timer::never(),
            Timer::after(Duration::MAX),
            Timer::interval(Duration::MAX),
            Timer::after(Duration::from_secs(u64::MAX / 4)),
        ];
        for round in 0..3 {
            for timer in &mut timers {
                assert_eq!(poll_once(timer).await, None, "round {round}");
            }
            assert_eq!(poll_once(&mut endless).await, None);
            sleep(MS).await;
        }
    });
}

/// promises 5: none early, none lost, whatever the mixture.
#[test]
fn thousand_sleeps_at_once_are_never_early() {
    let mut random = Random::new();
    block_on(async {
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let wait = Duration::from_nanos(random.below(30_000_000));
                spawn(async move {
                    let deadline = Instant::now() + wait;
                    let answer = Timer::at(deadline).await;
                    assert!(Instant::now() >= deadline, "{wait:?} ended early");
                    assert_eq!(answer, deadline);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
}

/// HEAP-5: by deadline, and equal deadlines in the order of their registration.
#[test]
fn wakes_in_order_of_deadline_then_registration() {
    block_on(async {
        let trace = Trace::default();
        let early = Instant::now() + AHEAD;
        let late = early + AHEAD;
        let mut timers: Vec<Timer> = (0..20)
            .map(|i| Timer::at(if i < 10 { late } else { early }))
            .collect();
        for (number, timer) in timers.iter_mut().enumerate() {
            let waker = trace.waker(number);
            assert!(
                Pin::new(timer)
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        sleep_until(late + MS).await;
        assert_eq!(trace.take(), (10..20).chain(0..10).collect::<Vec<_>>());
    });
}

#[test]
fn dropped_timers_wake_nobody() {
    block_on(async {
        let trace = Trace::default();
        let deadline = Instant::now() + AHEAD;
        for number in 0..10 {
            let waker = trace.waker(number);
            let mut timer = pin!(Timer::at(deadline));
            assert!(
                timer
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        sleep_until(deadline + 2 * MS).await;
        assert_eq!(trace.take(), []);
    });
}

/// The last waker is the one that counts.
#[test]
fn second_waker_takes_the_place_of_the_first() {
    block_on(async {
        let trace = Trace::default();
        let deadline = Instant::now() + AHEAD;
        let mut timer = Timer::at(deadline);
        for number in 0..2 {
            let waker = trace.waker(number);
            assert!(
                Pin::new(&mut timer)
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        sleep_until(deadline + 2 * MS).await;
        assert_eq!(trace.take(), [1]);
    });
}

#[test]
fn reset_while_awaited_moves_the_wake() {
    block_on(async {
        for set in [
            (|t: &mut Timer| t.set_after(MS)) as fn(&mut Timer),
            |t| t.set_at(Instant::now()),
            |t| t.set_interval(MS),
            |t| t.set_interval_at(Instant::now(), HOUR),
            |t| {
                // The waker outlives a deadline that is taken away.
                t.clear();
                t.set_after(MS);
            },
        ] {
            let trace = Trace::default();
            let waker = trace.waker(7);
            let mut timer = Timer::after(HOUR);
            assert!(
                Pin::new(&mut timer)
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            set(&mut timer);
            sleep(3 * MS).await;
            assert_eq!(trace.take(), [7]);
            assert!(poll_once(&mut timer).await.is_some());
        }
    });
}

#[test]
fn pushed_back_it_wakes_once_and_later() {
    block_on(async {
        let trace = Trace::default();
        let waker = trace.waker(1);
        let mut timer = sleep(AHEAD);
        assert!(
            Pin::new(&mut timer)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        timer.set_after(HOUR);
        sleep(AHEAD + 2 * MS).await;
        // A stale wake would be allowed, an answer would not.
        assert_eq!(poll_once(&mut timer).await, None);
        timer.set_after(Duration::ZERO);
        timer.await;
    });
}

#[test]
fn reset_from_another_thread_wakes_the_waiting_one() {
    let timer = Arc::new(Mutex::new(Timer::after(HOUR)));
    let mut setter = None;
    block_on(poll_fn(|cx| {
        let fired = Pin::new(&mut *timer.lock().unwrap()).poll(cx);
        // Started after the first poll: the timer is registered when the thread sets it.
        setter.get_or_insert_with(|| {
            let timer = Arc::clone(&timer);
            thread::spawn(move || timer.lock().unwrap().set_after(MS))
        });
        fired.map(drop)
    }));
    setter.take().unwrap().join().unwrap();
}

#[test]
fn moves_from_thread_to_thread_while_it_waits() {
    for _ in 0..5 {
        let deadline = Instant::now() + AHEAD;
        // Ready only if the thread was held up until the deadline; then the next round.
        let park = move |mut timer: Timer| {
            let parked = block_on(poll_once(&mut timer)).is_none();
            assert!(parked || Instant::now() >= deadline);
            parked.then_some(timer)
        };
        let Some(timer) = park(Timer::at(deadline)) else {
            continue;
        };
        let Some(mut timer) = thread::spawn(move || park(timer)).join().unwrap() else {
            continue;
        };
        // Its last home is gone with the thread; it finds a new one here.
        assert_eq!(block_on(&mut timer), deadline);
        assert!(Instant::now() >= deadline);
    }
}

/// design §4: under a loop that is not ours the background base serves the wait.
#[test]
fn works_under_a_foreign_loop() {
    let deadline = Instant::now() + 2 * MS;
    assert_eq!(future::block_on(Timer::at(deadline)), deadline);
    assert!(Instant::now() >= deadline);
    future::block_on(sleep(MS));
}

#[test]
fn begun_in_a_foreign_loop_it_ends_in_ours_and_back() {
    let mut timer = Timer::interval(MS);
    assert!(future::block_on(timer.next()).is_some());
    assert!(block_on(timer.next()).is_some());
    assert!(future::block_on(timer.next()).is_some());
}

#[test]
fn interval_catches_up() {
    let period = 10 * MS;
    let start = Instant::now() - 5 * period;
    block_on(async {
        let mut timer = Timer::interval_at(start, period);
        for n in 0..=5 {
            // All in the past: at once, none left out.
            assert_eq!(
                poll_once(timer.next()).await,
                Some(Some(start + n * period))
            );
        }
        assert_eq!(timer.next().await, Some(start + 6 * period));
        assert!(Instant::now() >= start + 6 * period);
        assert!(timer.will_fire());
    });
}

#[test]
fn interval_awaited_as_a_future_goes_on() {
    let start = Instant::now();
    let mut timer = Timer::interval_at(start, MS);
    assert_eq!(block_on(&mut timer), start);
    assert_eq!(block_on(&mut timer), start + MS);
}

/// A stream that always has an item must not hold the loop.
#[test]
fn zero_period_ticks_at_every_poll_and_starves_nobody() {
    block_on(async {
        let mut timer = Timer::interval(Duration::ZERO);
        let first = timer.next().await;
        assert_eq!(timer.next().await, first);
        let other = spawn(sleep(2 * MS));
        let mut ticks = 0u64;
        let hog = async {
            while timer.next().await.is_some() {
                ticks += 1
            }
        };
        future::or(hog, other).await;
        assert!(ticks > 0);
    });
}

/// Many moves of one timer leave one registration.
#[test]
fn hundred_thousand_resets_end_in_one_wake() {
    block_on(async {
        let trace = Trace::default();
        let waker = trace.waker(0);
        let mut timer = Timer::after(HOUR);
        assert!(
            Pin::new(&mut timer)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        for i in 0..100_000u32 {
            timer.set_at(Instant::now() + HOUR + i * MS);
        }
        timer.set_after(MS);
        sleep(3 * MS).await;
        assert_eq!(trace.take(), [0]);
        assert!(poll_once(timer).await.is_some());
    });
}

#[test]
fn polled_again_while_pending_it_stays_registered() {
    let mut polls = 0;
    let mut timer = Timer::after(3 * MS);
    block_on(poll_fn(|cx| {
        polls += 1;
        if polls < 100 {
            cx.waker().wake_by_ref();
        }
        match Pin::new(&mut timer).poll(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    }));
}

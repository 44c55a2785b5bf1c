//! Timeouts. In real time, and one-sided: never early; that something is not late is not asked.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use levent_executor::block_on;
use levent_io::BufferedStream;
use levent_io::limit::Limit;
use levent_io::stream::{Direction, Event, pair};
use levent_timer::sleep;

use super::script::{Read, Script, Write};
use super::{tcp, unix};

const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(3_600);

/// A read that waits too long ends its direction and no other; it can be enabled again, with what came meanwhile (BE-61, BE-62, BE-64).
#[test]
fn late_read_ends_reading() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        left.set_timeouts(Some(SHORT), Some(LONG));
        assert_eq!(left.timeout(Direction::Read), Some(SHORT));
        let start = Instant::now();
        let error = left.fill().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        assert!(!left.is_enabled(Direction::Read) && left.is_enabled(Direction::Write));
        assert_eq!(left.take_event(), Some(Event::Timeout(Direction::Read)));
        right.write_all(b"late").await.unwrap();
        right.flush().await.unwrap();
        // Until it is enabled it says the same, whatever came.
        assert_eq!(left.fill().await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(left.take_event(), None);
        left.enable(Direction::Read);
        assert_eq!(left.fill().await.unwrap(), 4);
        left.write_all(b"answer").await.unwrap();
        left.flush().await.unwrap();
        assert_eq!(right.fill().await.unwrap(), 6);
    });
}

/// Bytes that come start the timer anew, and so do `enable` and `set_timeouts`; bytes in the buffer do not matter; a wait that is dropped and begun again does not (BE-62).
#[test]
fn read_timer_starts_anew() {
    block_on(async {
        let wait = Duration::from_millis(60);
        let (mut left, mut right) = pair();
        left.set_timeouts(Some(wait), None);
        let start = Instant::now();
        // Four arrivals, each within the time.
        for _ in 0..4 {
            assert!(poll_once(left.fill_more()).await.is_none());
            sleep(wait / 4).await;
            right.write_all(b"x").await.unwrap();
            right.flush().await.unwrap();
            left.fill_more().await.unwrap();
        }
        let last = Instant::now();
        // Asked again and again: it is late all the same.
        let error = loop {
            match futures_lite::future::or(async { Some(left.fill_more().await) }, async {
                sleep(wait / 10).await;
                None
            })
            .await
            {
                Some(result) => break result.unwrap_err(),
                None => assert!(start.elapsed() < LONG),
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(last.elapsed() >= wait);
        assert_eq!(left.input_len(), 4);

        let again = Instant::now();
        left.enable(Direction::Read);
        assert!(left.fill_more().await.is_err());
        assert!(again.elapsed() >= wait);
        left.enable(Direction::Read);
        assert!(poll_once(left.fill_more()).await.is_none());
        let again = Instant::now();
        left.set_timeouts(Some(wait), None);
        assert!(left.fill_more().await.is_err());
        assert!(again.elapsed() >= wait);
    });
}

/// The write timer runs while there is something to send, and each part that goes starts it anew; an empty output has none (BE-63, BE-67, BE-32).
#[test]
fn write_timer_needs_output() {
    block_on(async {
        let script = Script::writes([Write::Never]);
        let mut stream = BufferedStream::new(script.clone());
        stream.set_timeouts(None, Some(SHORT));
        assert!(poll_once(stream.fill()).await.is_none());
        sleep(SHORT * 2).await;
        stream.flush().await.unwrap();
        assert_eq!(stream.take_event(), None, "nothing to send, nothing late");

        stream.write_all(b"hello").await.unwrap();
        assert!(poll_once(stream.flush()).await.is_none());
        sleep(SHORT * 2).await;
        // One byte goes first: that is in time, whatever the clock says (BE-65).
        script.with(|state| state.writes = [Write::Takes(1), Write::Never].into());
        let start = Instant::now();
        let error = stream.flush().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        assert_eq!(stream.output_len(), 4);
        assert_eq!(stream.take_event(), Some(Event::Timeout(Direction::Write)));
        assert!(stream.is_enabled(Direction::Read));
        script.with(|state| state.writes.clear());
        stream.enable(Direction::Write);
        stream.flush().await.unwrap();
        script.with(|state| assert_eq!(state.written, b"hello"));
    });
}

/// What is ready counts before what is late (BE-65).
#[test]
fn ready_comes_before_late() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        left.set_timeouts(Some(SHORT), None);
        assert!(poll_once(left.fill()).await.is_none());
        right.write_all(b"just in time").await.unwrap();
        right.flush().await.unwrap();
        std::thread::sleep(SHORT * 2);
        assert_eq!(left.fill().await.unwrap(), 12);
        assert_eq!(left.take_event(), None);
    });
}

/// Without a transport both timers run, the write timer as there is output: two events in all; with nothing to send, one (BE-66).
#[test]
fn timers_run_without_a_transport() {
    block_on(async {
        for (output, events) in [(&b"pending"[..], 2), (&b""[..], 1)] {
            let (mut stream, _other) = pair();
            stream.take_transport();
            stream.try_write(output).unwrap();
            stream.set_timeouts(Some(SHORT * 3), Some(SHORT * 2));
            let start = Instant::now();
            let mut seen = Vec::new();
            while seen.len() < events {
                seen.push(stream.event().await);
            }
            assert!(start.elapsed() >= SHORT * 3);
            if events == 2 {
                assert!(seen.contains(&Event::Timeout(Direction::Write)));
            }
            assert!(seen.contains(&Event::Timeout(Direction::Read)));
            assert!(poll_once(stream.event()).await.is_none());
        }
    });
}

/// A timer stands still while its direction is disabled, full, or without allowance; a slow consumer is not late (BE-68, BE-4).
#[test]
fn held_up_is_not_late() {
    block_on(async {
        let script = Script::reads([Read::Bytes(vec![7; 100]), Read::Never]);
        let mut stream = BufferedStream::new(script.clone());
        stream.set_timeouts(Some(SHORT), Some(SHORT));
        stream.set_read_marks(0, 50).unwrap();
        assert_eq!(stream.peek(50).await.unwrap().len(), 50);
        // Full: the listener for events reads no more.
        assert!(poll_once(stream.event()).await.is_none());
        sleep(SHORT * 3).await;
        assert!(poll_once(stream.event()).await.is_none());
        // Disabled, with something to send.
        stream.disable(Direction::Write);
        stream.disable(Direction::Read);
        stream.try_write(b"x").unwrap();
        assert!(poll_once(stream.flush()).await.is_none());
        sleep(SHORT * 3).await;
        assert!(poll_once(stream.event()).await.is_none());

        // Without allowance.
        let (mut left, mut right) = pair();
        right.write_all(b"xy").await.unwrap();
        right.flush().await.unwrap();
        left.set_limit(Some(Limit::every(LONG).unwrap().read(1, 1).unwrap()));
        left.set_timeouts(Some(SHORT), None);
        assert_eq!(left.fill().await.unwrap(), 1);
        assert!(poll_once(left.fill_more()).await.is_none());
        sleep(SHORT * 3).await;
        assert!(poll_once(left.fill_more()).await.is_none());
        assert_eq!(left.take_event(), None);
    });
}

/// A wait that was interrupted by a rate limit begins anew when the limit lets go (RL-20).
#[test]
fn limit_interrupts_a_wait() {
    block_on(async {
        let mut stream = BufferedStream::new(Script::reads([Read::Never]));
        stream.set_timeouts(Some(Duration::from_millis(100)), None);
        stream.set_limit(Some(
            Limit::every(Duration::from_millis(120))
                .unwrap()
                .read(1, 1)
                .unwrap(),
        ));
        assert!(poll_once(stream.fill()).await.is_none());
        let waiting = Instant::now();
        stream.limiter_mut().charge(Direction::Read, 1);
        assert!(poll_once(stream.fill()).await.is_none());
        assert!(stream.limiter().unwrap().is_suspended(Direction::Read));
        sleep(Duration::from_millis(130)).await;
        // Longer ago than the timeout, but not all of it waiting for the transport.
        let start = Instant::now();
        let late = poll_once(stream.fill()).await;
        assert!(late.is_none(), "{late:?} after {:?}", waiting.elapsed());
        assert!(!stream.limiter().unwrap().is_suspended(Direction::Read));
        assert!(stream.fill().await.is_err());
        assert!(start.elapsed() >= Duration::from_millis(100));
    });
}

/// None and zero are no timeout; one that no clock can express never comes.
#[test]
fn no_timeout_is_none() {
    block_on(async {
        let (mut left, _right) = pair();
        left.set_timeouts(Some(Duration::ZERO), None);
        assert_eq!(left.timeout(Direction::Read), None);
        left.set_timeouts(Some(Duration::MAX), Some(Duration::MAX));
        left.try_write(b"x").unwrap();
        assert!(poll_once(left.fill()).await.is_none());
        left.set_timeouts(None, None);
        assert!(poll_once(left.fill()).await.is_none());
    });
}

/// A task that has used up its budget is not late: its stream was not asked (BE-65).
#[test]
fn spent_budget_is_not_late() {
    block_on(async {
        let (mut left, mut right) = unix().unwrap();
        right.set_timeouts(Some(SHORT), None);
        assert!(poll_once(right.fill()).await.is_none());
        left.write_all(b"in time").await.unwrap();
        left.flush().await.unwrap();
        std::thread::sleep(SHORT * 2);
        let (mut busy, mut echo) = unix().unwrap();
        // All in one poll of the task.
        let late = poll_fn(|cx| {
            loop {
                busy.output().append(b"x").unwrap();
                let is_sent = Pin::new(&mut busy.flush()).poll(cx).is_ready();
                if !is_sent || Pin::new(&mut echo.fill()).poll(cx).is_pending() {
                    break Poll::Ready(Pin::new(&mut right.fill()).poll(cx));
                }
                echo.input().drain(1).unwrap();
            }
        })
        .await;
        assert!(late.is_pending(), "{late:?}");
        assert_eq!(right.fill().await.unwrap(), 7);
    });
}

/// The time between two waits counts: a `select` in a loop is one wait (BE-62).
#[test]
fn dropped_wait_counts_on() {
    block_on(async {
        let (_left, mut right) = pair();
        right.set_timeouts(Some(SHORT), None);
        assert!(poll_once(right.fill()).await.is_none());
        std::thread::sleep(SHORT * 2);
        assert!(poll_once(right.fill()).await.unwrap().is_err());
    });
}

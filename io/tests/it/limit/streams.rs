//! Limits on streams, in real time: none is exceeded, and nobody spins while it waits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_executor::block_on;
use levent_io::limit::{Group, Limit, Limited};
use levent_io::stream::{Direction, pair};

use crate::behaviour::{counting, poll_with, turn};

const TICK: Duration = Duration::from_millis(5);

fn limit(rate: u64, burst: u64) -> Limit {
    Limit::every(TICK)
        .and_then(|limit| limit.read(rate, burst))
        .and_then(|limit| limit.write(rate, burst))
        .unwrap()
}

/// Whole ticks since then, with the one that has begun.
fn ticks_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis() / TICK.as_millis()).unwrap() + 1
}

/// A limited reader has at no time more than the ticks have brought, however much there is to read; the bytes are the right ones (RL-10, RL-19).
#[test]
fn reader_keeps_to_its_limit() {
    block_on(async {
        let (mut sender, mut reader) = pair();
        sender.write_all(&[7; 1_000]).await.unwrap();
        sender.flush().await.unwrap();
        let start = Instant::now();
        reader.set_limit(Some(limit(100, 200)));
        let mut read = 0;
        while read < 1_000 {
            let len = reader.fill().await.unwrap() as u64;
            assert!(
                reader
                    .input()
                    .take_vec(1_000)
                    .unwrap()
                    .iter()
                    .all(|&byte| byte == 7)
            );
            read += len;
            assert!(
                read <= ticks_since(start) * 100,
                "{read} after {:?}",
                start.elapsed()
            );
        }
        assert!(start.elapsed() >= TICK * 9);
    });
}

/// The same for a writer, whose flush waits for the ticks.
#[test]
fn writer_keeps_to_its_limit() {
    block_on(async {
        let (mut sender, mut reader) = pair();
        let start = Instant::now();
        sender.set_limit(Some(limit(100, 200)));
        sender.write_all(&[7; 1_000]).await.unwrap();
        sender.flush().await.unwrap();
        assert!(start.elapsed() >= TICK * 9);
        assert_eq!(reader.peek(1_000).await.unwrap().len(), 1_000);
    });
}

/// Counts the wakes of a task, and passes them on.
struct Count {
    wakes: AtomicUsize,
    task: Waker,
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

/// A stream without allowance is woken once in a tick at most, though there is something to read all the time; its timeout does not run meanwhile (RL-20, BE-68).
#[test]
fn suspended_stream_rests_and_is_not_late() {
    block_on(async {
        let (mut sender, mut reader) = pair();
        sender.write_all(&[7; 10]).await.unwrap();
        sender.flush().await.unwrap();
        reader.set_limit(Some(limit(1, 1)));
        reader.set_timeouts(Some(Duration::from_millis(2)), None);
        let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let count = Arc::new(Count {
            wakes: AtomicUsize::new(0),
            task,
        });
        let waker = Waker::from(count.clone());
        let start = Instant::now();
        let mut reading = Box::pin(reader.peek(10));
        let read = poll_fn(|_| reading.as_mut().poll(&mut Context::from_waker(&waker))).await;
        assert_eq!(read.unwrap(), [7; 10]);
        assert!(start.elapsed() >= TICK * 8);
        let wakes = count.wakes.load(Ordering::Relaxed) as u64;
        assert!(wakes <= ticks_since(start) + 1, "{wakes} wakes");
    });
}

/// Removing the limit lets a waiting stream go on at once, and so does leaving the group (RL-7, RL-17).
#[test]
fn removed_limits_let_go() {
    block_on(async {
        let (mut sender, mut reader) = pair();
        sender.write_all(&[7; 100]).await.unwrap();
        sender.flush().await.unwrap();
        let slow = Limit::every(Duration::from_secs(3_600))
            .unwrap()
            .read(1, 1)
            .unwrap();
        reader.set_limit(Some(slow));
        assert_eq!(reader.fill().await.unwrap(), 1);
        assert!(
            futures_lite::future::poll_once(reader.fill_more())
                .await
                .is_none()
        );
        assert!(reader.limiter().unwrap().is_suspended(Direction::Read));
        reader.set_limit(None);
        assert_eq!(reader.fill_more().await.unwrap(), 99);

        sender.write_all(&[7; 100]).await.unwrap();
        sender.flush().await.unwrap();
        let group = Group::new(slow);
        reader.set_group(Some(&group));
        assert_eq!(reader.fill_more().await.unwrap(), 1);
        assert!(
            futures_lite::future::poll_once(reader.fill_more())
                .await
                .is_none()
        );
        reader.set_group(None);
        assert_eq!(reader.fill_more().await.unwrap(), 99);
        assert_eq!(group.total(Direction::Read), 1);
    });
}

/// Any stream can be limited from outside, in both directions (RL-19).
#[test]
fn any_stream_can_be_limited() {
    block_on(async {
        let (left, right) = pair();
        let (mut left, mut right) = (Limited::new(left), Limited::new(right));
        left.limiter_mut().set_limit(Some(limit(100, 100)));
        right.limiter_mut().set_limit(Some(limit(100, 100)));
        let start = Instant::now();
        let sending = async {
            left.write_all(&[7; 1_000]).await.unwrap();
            left.close().await.unwrap();
        };
        let mut received = Vec::new();
        let receiving = async {
            let mut buf = [0; 300];
            loop {
                match right.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => received.extend_from_slice(&buf[..n]),
                }
                assert!(received.len() as u64 <= ticks_since(start) * 100);
            }
        };
        futures_lite::future::zip(sending, receiving).await;
        assert_eq!(received, [7; 1_000]);
    });
}

/// Bytes that are given back, to the stream or to its group, and another limit of the group reach a stream that waits for the next tick, an hour away (RL-11, RL-18).
#[test]
fn gifts_reach_those_who_wait() {
    type Stream = levent_io::BufferedStream<levent_io::stream::PairEnd>;
    let hour = Duration::from_secs(3600);
    let scarce = Limit::every(hour).unwrap().read(10, 10).unwrap();
    let plenty = Limit::every(hour).unwrap().read(20, 20).unwrap();
    let gifts: [fn(&mut Stream, &Group, Limit); 3] = [
        |stream, _, _| stream.limiter_mut().charge(Direction::Read, -10),
        |_, group, _| group.charge(Direction::Read, -10),
        |_, group, plenty| {
            group.set_limit(plenty);
            group.charge(Direction::Read, -10);
        },
    ];
    for (index, gift) in gifts.into_iter().enumerate() {
        block_on(async {
            let (mut sender, mut reader) = pair();
            let group = Group::new(scarce);
            match index {
                0 => reader.set_limit(Some(scarce)),
                _ => reader.set_group(Some(&group)),
            }
            sender.write_all(&[7; 20]).await.unwrap();
            sender.flush().await.unwrap();
            let (wakes, waker) = counting();
            assert!(poll_with(&mut pin!(reader.peek(20)), &waker).is_pending());
            assert_eq!(reader.input_len(), 10);
            gift(&mut reader, &group, plenty);
            for _ in 0..1_000 {
                turn().await;
            }
            assert!(wakes.get() > 0, "it sleeps on");
            assert!(poll_with(&mut pin!(reader.peek(20)), &waker).is_ready());
        });
    }
}

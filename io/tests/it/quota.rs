//! A limit for the buffers of many streams together.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use futures_lite::future::{poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_executor::{block_on, spawn, yield_now};
use levent_io::BufferedStream;
use levent_io::limit::Limit;
use levent_io::stream::{Direction, PairEnd, Quota, pair};

use crate::behaviour::{counting, poll_with};

const SMALL: usize = 4 << 10;

/// What is read and what is to be sent counts, until it is taken, sent, or dropped.
#[test]
fn buffers_are_counted() {
    block_on(async {
        let quota = Quota::new(100_000);
        let (mut left, mut right) = pair();
        left.set_quota(Some(&quota));
        right.set_quota(Some(&quota));
        left.write_all(&[7; 3_000]).await.unwrap();
        assert_eq!(quota.used(), 3_000);
        left.flush().await.unwrap();
        // On the way between the two it is nobody's.
        assert_eq!(quota.used(), 0);
        assert_eq!(right.fill().await.unwrap(), 3_000);
        assert_eq!(quota.used(), 3_000);
        right.read_exact(&mut [0; 1_000]).await.unwrap();
        assert_eq!(quota.used(), 2_000);
        right.set_quota(None);
        assert_eq!(quota.used(), 0);
        right.set_quota(Some(&quota));
        assert_eq!(quota.used(), 2_000);
        drop(right);
        assert_eq!(quota.used(), 0);
    });
}

/// With the quota used up by one stream, others read and write in small pieces, and go on in large ones when it lets go.
#[test]
fn used_up_by_one() {
    block_on(async {
        let quota = Quota::new(10_000);
        let (mut hog, _far) = pair();
        hog.set_quota(Some(&quota));
        hog.disable(Direction::Write);
        assert!(poll_once(hog.write_all(&[7; 10_000])).await.is_none());
        assert_eq!(quota.used(), 10_000);

        let (mut sender, mut reader) = pair();
        reader.set_quota(Some(&quota));
        sender.write_all(&[7; 20_000]).await.unwrap();
        sender.flush().await.unwrap();
        assert_eq!(reader.fill().await.unwrap(), SMALL);
        // What is read ahead while it waits for something else is not worth going beyond the limit.
        let (count, waker) = counting();
        assert!(poll_with(&mut reader.event(), &waker).is_pending());
        assert_eq!(reader.input_len(), SMALL);
        drop(hog);
        assert_eq!(count.get(), 1);
        assert!(poll_with(&mut reader.event(), &waker).is_pending());
        assert_eq!(reader.input_len(), 10_000);
        assert_eq!(quota.used(), 10_000);

        // A writer beside it: its own output may be small.
        quota.set_limit(1);
        let (mut writer, mut far) = pair();
        writer.set_quota(Some(&quota));
        assert_eq!(writer.try_write(&[7; 9_000]).unwrap(), SMALL);
        assert_eq!(writer.try_write(&[7; 9_000]).unwrap(), 0);
        let mut received = vec![0; 9_000];
        let writing = async {
            AsyncWriteExt::write_all(&mut writer, &[7; 9_000 - SMALL])
                .await
                .unwrap();
            writer.flush().await.unwrap();
        };
        let reading = AsyncReadExt::read_exact(&mut far, &mut received);
        zip(writing, reading).await.1.unwrap();
        assert_eq!(received, [7; 9_000]);
        // And one that holds unread input all the while can write, too.
        reader.set_quota(Some(&quota));
        assert_eq!(reader.try_write(b"hello").unwrap(), 5);
    });
}

/// Twenty fast producers over slow consumers: together they never hold more than the quota and a small block per buffer, and all arrives.
#[test]
fn sum_is_kept() {
    const STREAMS: usize = 20;
    const BYTES: usize = 200_000;
    block_on(async {
        let quota = Quota::new(100_000);
        let most = 100_000 + STREAMS * SMALL;
        let mut tasks = Vec::new();
        for index in 0..STREAMS {
            let (mut producer, mut consumer) = pair();
            producer.set_quota(Some(&quota));
            tasks.push(spawn(async move {
                let data = vec![index as u8; BYTES];
                AsyncWriteExt::write_all(&mut producer, &data)
                    .await
                    .unwrap();
                producer.close().await.unwrap();
            }));
            let quota = quota.clone();
            tasks.push(spawn(async move {
                let mut got = 0;
                let mut buf = [0; 777];
                loop {
                    let n = consumer.read(&mut buf).await.unwrap();
                    assert!(buf[..n].iter().all(|&byte| byte == index as u8));
                    got += n;
                    assert!(quota.used() <= most, "{}", quota.used());
                    if n == 0 {
                        break;
                    }
                    yield_now().await;
                }
                assert_eq!(got, BYTES);
            }));
        }
        for task in tasks {
            task.await;
        }
        assert_eq!(quota.used(), 0);
    });
}

/// A writer that waits for others to let go is woken when they do.
#[test]
fn writers_are_woken() {
    let quota = Quota::new(10_000);
    let (mut hog, _far) = pair();
    hog.set_quota(Some(&quota));
    hog.disable(Direction::Write);
    hog.output().append(&[7; 10_000]).unwrap();
    hog.set_quota(Some(&quota));
    let (mut stream, _other) = pair();
    stream.set_quota(Some(&quota));
    stream.disable(Direction::Write);
    assert_eq!(stream.try_write(&[7; 9_000]).unwrap(), SMALL);
    let (count, waker) = counting();
    assert!(poll_with(&mut stream.room(), &waker).is_pending());
    drop(hog);
    assert_eq!(count.get(), 1);
    assert!(poll_with(&mut stream.room(), &waker).is_ready());
}

/// Whose peer has sent `len` bytes.
fn receiver(quota: &Quota, len: usize) -> (BufferedStream<PairEnd>, BufferedStream<PairEnd>) {
    let (mut sender, mut receiver) = pair();
    receiver.set_quota(Some(quota));
    sender.output().append(&vec![7; len]).unwrap();
    assert!(poll_with(&mut sender.flush(), Waker::noop()).is_ready());
    (sender, receiver)
}

/// Readers that hold half a message each, and all of the quota together, do not wait for each other: one at a time goes on, and the next when that one lets go.
#[test]
fn half_messages_do_not_block_each_other() {
    let quota = Quota::new(10_000);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let (mut sender, mut receiver) = receiver(&quota, SMALL);
        assert!(poll_with(&mut receiver.fill(), Waker::noop()).is_ready());
        sender.output().append(&[7; 9_000 - SMALL]).unwrap();
        assert!(poll_with(&mut sender.flush(), Waker::noop()).is_ready());
        streams.push((sender, receiver));
    }
    assert!(quota.used() >= 10_000);
    let wakers: Vec<_> = streams.iter().map(|_| counting()).collect();
    for turn in 0..3 {
        // One has its message, and those behind it wait.
        for (index, (_, receiver)) in streams.iter_mut().enumerate().skip(turn) {
            let message = poll_with(&mut pin!(receiver.peek(9_000)), &wakers[index].1);
            assert_eq!(message.is_ready(), index == turn);
        }
        let before = wakers[2].0.get();
        let first = &mut streams[turn].1;
        let mut message = [0; 9_000];
        assert!(poll_with(&mut pin!(first.read_exact(&mut message)), Waker::noop()).is_ready());
        assert!(wakers[2].0.get() > before || turn == 2);
    }
}

/// A reader whose peer sends nothing keeps nobody from going on, and one that is dropped neither.
#[test]
fn silent_peers_hold_nobody_up() {
    let quota = Quota::new(2 * SMALL);
    let (_sender, mut silent) = receiver(&quota, SMALL);
    let (mut sender, mut other) = receiver(&quota, SMALL);
    for stream in [&mut silent, &mut other] {
        assert!(poll_with(&mut stream.fill(), Waker::noop()).is_ready());
    }
    assert!(poll_with(&mut pin!(silent.peek(9_000)), Waker::noop()).is_pending());
    sender.output().append(&[7; 2_500]).unwrap();
    assert!(poll_with(&mut sender.flush(), Waker::noop()).is_ready());
    assert!(poll_with(&mut pin!(other.peek(6_500)), Waker::noop()).is_ready());
    // Now it is beyond, and the first waits, until it is dropped.
    let (count, waker) = counting();
    assert!(poll_with(&mut pin!(silent.peek(9_000)), &waker).is_pending());
    assert_eq!(count.get(), 0);
    drop(other);
    assert_eq!(count.get(), 1);
}

/// A quota keeps nothing of streams that waited for it and are gone, however long it stays used up.
#[test]
fn nothing_is_kept_for_the_dropped() {
    struct Woken;
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {}
    }
    let quota = Quota::new(1);
    let (mut hog, _far) = pair();
    hog.disable(Direction::Write);
    hog.output().append(&[7; 100]).unwrap();
    hog.set_quota(Some(&quota));
    for _ in 0..10 {
        let (_sender, mut receiver) = receiver(&quota, 9_000);
        let task = Arc::new(Woken);
        let waker = Waker::from(task.clone());
        for _ in 0..2 {
            assert!(poll_with(&mut receiver.event(), &waker).is_pending());
        }
        drop(waker);
        assert!(Arc::strong_count(&task) > 1);
        drop(receiver);
        assert_eq!(Arc::strong_count(&task), 1);
    }
}

/// A higher limit lets go on who waits.
#[test]
fn raised_limit_lets_go() {
    let quota = Quota::new(SMALL);
    let (_sender, mut reader) = receiver(&quota, 9_000);
    let (count, waker) = counting();
    assert!(poll_with(&mut reader.event(), &waker).is_pending());
    assert_eq!(reader.input_len(), SMALL);
    quota.set_limit(1 << 20);
    assert_eq!(count.get(), 1);
    assert!(poll_with(&mut reader.event(), &waker).is_pending());
    assert_eq!(reader.input_len(), 9_000);
}

/// Who cannot read for other reasons, being disabled or without allowance, does not keep the others from going beyond the limit.
#[test]
fn the_held_up_hold_nobody_up() {
    let scarce = Limit::every(Duration::from_secs(3600))
        .and_then(|limit| limit.read(SMALL as u64, SMALL as u64))
        .unwrap();
    for is_limited in [false, true] {
        let quota = Quota::new(2 * SMALL);
        let (_first, mut held_up) = receiver(&quota, 9_000);
        let (_second, mut other) = receiver(&quota, 9_000);
        if is_limited {
            held_up.set_limit(Some(scarce));
        }
        for stream in [&mut held_up, &mut other] {
            assert!(poll_with(&mut stream.fill(), Waker::noop()).is_ready());
        }
        if !is_limited {
            held_up.disable(Direction::Read);
        }
        assert!(poll_with(&mut pin!(held_up.peek(9_000)), Waker::noop()).is_pending());
        assert_eq!(held_up.input_len(), SMALL);
        assert!(poll_with(&mut pin!(other.peek(9_000)), Waker::noop()).is_ready());
    }
}

//! Watermarks, in both directions.

use std::io::ErrorKind;

use futures_lite::future::{poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_executor::{block_on, yield_now};
use levent_io::BufferedStream;
use levent_io::stream::{Direction, pair};

use super::script::{Read, Script, Write};
use super::{bytes, tcp};
use crate::behaviour::{counting, poll_with};

/// libevent's watermark test: the receiver's marks are 10 and 20, the sender's low one is 100, and 65,000 bytes pass. Each time the receiver hears of something there are 10
/// to 20 bytes, and each time the sender has room there are at most 100 left (BE-23, BE-24, BE-26, BE-38, BE-33).
async fn window<S, T>(mut sender: BufferedStream<S>, mut receiver: BufferedStream<T>) {
    receiver.set_read_marks(10, 20).unwrap();
    sender.set_write_marks(100, 1_000).unwrap();
    let data = bytes(65_000);
    let sending = async {
        for piece in data.chunks(1_000) {
            sender.write_all(piece).await.unwrap();
            assert!(sender.output_len() <= 100, "{}", sender.output_len());
        }
        sender.close().await.unwrap();
        assert_eq!(sender.output_len(), 0);
    };
    let mut received = Vec::new();
    let receiving = async {
        loop {
            let len = receiver.fill().await.unwrap();
            let is_end = received.len() + len == 65_000;
            assert!((10..=20).contains(&len) || is_end, "{len}");
            if len == 0 {
                break;
            }
            received.extend(receiver.input().take_vec(len).unwrap());
        }
    };
    zip(sending, receiving).await;
    assert!(received == data);
}

/// Over sockets (BE-23, BE-24, BE-26, BE-38).
#[test]
fn window_over_sockets() {
    block_on(async {
        let (sender, receiver) = tcp().await.unwrap();
        window(sender, receiver).await;
        let (sender, receiver) = super::unix().unwrap();
        window(sender, receiver).await;
    });
}

/// Over a pair (PA-5, BE-23, BE-26).
#[test]
fn window_over_a_pair() {
    block_on(async {
        let (sender, receiver) = pair();
        window(sender, receiver).await;
    });
}

/// Marks act at once: a lower one stops, a higher one or none lets go, each direction for itself, and they can be asked for (BE-24).
#[test]
fn marks_act_at_once() {
    block_on(async {
        let (mut left, mut right) = pair();
        left.write_all(&bytes(1_000)).await.unwrap();
        left.flush().await.unwrap();
        right.set_read_marks(0, 300).unwrap();
        assert_eq!(right.marks(Direction::Read), (0, 300));
        assert_eq!(right.marks(Direction::Write), (32_768, 65_536));
        assert_eq!(right.fill().await.unwrap(), 300);
        let error = right.fill_more().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        right.set_read_marks(0, 500).unwrap();
        assert_eq!(right.fill_more().await.unwrap(), 200);
        right.set_read_marks(0, 200).unwrap();
        assert!(right.fill_more().await.is_err());
        right.set_read_marks(0, 0).unwrap();
        assert_eq!(right.marks(Direction::Read), (0, 0));
        assert_eq!(right.fill_more().await.unwrap(), 500);
    });
}

/// A full input is told of again and again until something is taken, so that who takes a part each time goes on (BE-25).
#[test]
fn full_input_is_told_again() {
    block_on(async {
        let (mut left, mut right) = pair();
        left.write_all(&bytes(1_000)).await.unwrap();
        left.close().await.unwrap();
        right.set_read_marks(0, 100).unwrap();
        let mut received = Vec::new();
        while right.fill().await.unwrap() > 0 {
            received.extend(right.input().take_vec(7).unwrap());
        }
        assert_eq!(received, bytes(1_000));
    });
}

/// A low mark above the high one is refused, in both directions, and changes nothing (BE-28).
#[test]
fn crossed_marks_are_refused() {
    let (mut left, _right) = pair();
    left.set_read_marks(5, 10).unwrap();
    for refused in [left.set_read_marks(11, 10), left.set_write_marks(2, 1)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(left.marks(Direction::Read), (5, 10));
    left.set_read_marks(5, 0).unwrap();
}

/// The write mark is enforced: at it `try_write` takes nothing and `write` parks, and both go on when the low mark is reached, not before (BE-27, BE-26).
#[test]
fn write_mark_is_enforced() {
    block_on(async {
        let script = Script::writes([Write::Never]);
        let mut stream = BufferedStream::new(script.clone());
        stream.set_write_marks(40, 100).unwrap();
        assert_eq!(stream.try_write(&bytes(70)).unwrap(), 70);
        assert_eq!(stream.try_write(&bytes(70)).unwrap(), 30);
        assert_eq!(stream.try_write(&bytes(70)).unwrap(), 0);
        assert!(poll_once(stream.write(b"x")).await.is_none());
        assert!(poll_once(stream.room()).await.is_none());
        // 41 are left: not low enough.
        script.with(|state| state.writes = [Write::Takes(59), Write::Never].into());
        assert!(poll_once(stream.room()).await.is_none());
        assert_eq!(stream.try_write(b"x").unwrap(), 0);
        script.with(|state| state.writes = [Write::Takes(1), Write::Never].into());
        stream.room().await.unwrap();
        assert_eq!(stream.try_write(&bytes(70)).unwrap(), 60);
        assert_eq!(stream.output_len(), 100);
    });
}

/// A fast producer over a consumer that reads a little now and then: what both hold never exceeds the marks and one write.
#[test]
fn fast_producer_is_held_back() {
    block_on(async {
        let (mut producer, mut consumer) = pair();
        producer.set_write_marks(500, 1_000).unwrap();
        consumer.set_read_marks(0, 700).unwrap();
        let sending = async {
            for piece in bytes(200_000).chunks(333) {
                producer.write_all(piece).await.unwrap();
                assert!(producer.output_len() < 1_000 + 333);
            }
            producer.close().await.unwrap();
        };
        let mut received = Vec::new();
        let receiving = async {
            while consumer.fill().await.unwrap() > 0 {
                assert!(consumer.input_len() <= 700);
                received.extend(consumer.input().take_vec(201).unwrap());
                yield_now().await;
            }
        };
        zip(sending, receiving).await;
        assert!(received == bytes(200_000));
    });
}

/// At the mark, one byte below and one above it, many times: it never stalls.
#[test]
fn toggling_at_the_mark() {
    block_on(async {
        let (mut left, mut right) = pair();
        right.set_read_marks(0, 8).unwrap();
        let mut expected = 0u8;
        for step in 0..20_000usize {
            // 7, 8 or 9 at once.
            for _ in 0..7 + step % 3 {
                left.try_write(&[left_byte(&mut expected)]).unwrap();
            }
            left.flush().await.unwrap();
            let mut total = 0;
            while total < 7 + step % 3 {
                let len = right.fill().await.unwrap();
                assert!(len <= 8);
                total += right.input().take_vec(1 + step % 8).unwrap().len();
            }
        }
    });
}

fn left_byte(next: &mut u8) -> u8 {
    *next = next.wrapping_add(1);
    *next
}

/// While reading is stopped at its mark nobody is woken, whatever comes, and nothing is asked of the system: 50 arrivals over a pair and over sockets.
#[test]
fn stopped_stream_rests() {
    async fn rests<S, T>(mut sender: BufferedStream<S>, mut receiver: BufferedStream<T>) {
        receiver.set_read_marks(0, 8).unwrap();
        sender.write_all(&bytes(20)).await.unwrap();
        sender.flush().await.unwrap();
        let (count, waker) = counting();
        while receiver.input_len() < 8 {
            let _ = poll_with(&mut Box::pin(receiver.event()), &waker);
            yield_now().await;
        }
        assert!(poll_with(&mut Box::pin(receiver.event()), &waker).is_pending());
        let before = count.get();
        for _ in 0..50 {
            sender.write_all(b"more").await.unwrap();
            sender.flush().await.unwrap();
            yield_now().await;
        }
        // At most the one that was parked before the mark was reached.
        assert!(count.get() <= before + 1, "{} wakes", count.get() - before);
    }
    block_on(async {
        let (sender, receiver) = pair();
        rests(sender, receiver).await;
        let (sender, receiver) = tcp().await.unwrap();
        rests(sender, receiver).await;
    });
}

/// Two that write at each other without reading go on up to their marks: a wait for room reads ahead, and stops at the high mark, until the low one is reached.
#[test]
fn writers_read_ahead_up_to_the_mark() {
    block_on(async {
        let script = Script::reads([Read::Bytes(bytes(1_000))]);
        script.with(|state| state.writes = [Write::Never].into());
        let mut stream = BufferedStream::new(script.clone());
        stream.set_read_marks(10, 300).unwrap();
        stream.write_all(b"stuck").await.unwrap();
        assert!(poll_once(stream.flush()).await.is_none());
        assert_eq!(stream.input_len(), 300);
        let asked = script.with(|state| state.asked.len());
        // Full, and still full above the low mark.
        assert!(poll_once(stream.flush()).await.is_none());
        stream.input().drain(280).unwrap();
        assert!(poll_once(stream.flush()).await.is_none());
        script.with(|state| assert_eq!(state.asked.len(), asked));
        stream.input().drain(10).unwrap();
        assert!(poll_once(stream.flush()).await.is_none());
        assert_eq!(stream.input_len(), 300);

        // And over real sockets: both write 100,000 bytes before either reads.
        let (mut left, mut right) = tcp().await.unwrap();
        for stream in [&mut left, &mut right] {
            stream.set_read_marks(0, 0).unwrap();
        }
        let data = bytes(4 << 20);
        let both = zip(
            async {
                left.write_all(&data).await.unwrap();
                left.flush().await.unwrap();
            },
            async {
                right.write_all(&data).await.unwrap();
                right.flush().await.unwrap();
            },
        );
        both.await;
        let mut received = vec![0; data.len()];
        AsyncReadExt::read_exact(&mut left, &mut received)
            .await
            .unwrap();
        assert!(received == data);
    });
}

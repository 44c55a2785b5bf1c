//! Pairs in memory.

use std::io::ErrorKind;
use std::time::Duration;

use futures_lite::future::poll_once;
use levent_executor::block_on;
use levent_io::stream::{Direction, Event, pair};

use super::bytes;
use crate::behaviour::{counting, poll_with};

/// What one writes the other reads, in order and without boundaries, and it is moved, not copied (PA-1).
#[test]
fn writes_are_the_others_reads() {
    block_on(async {
        let (mut left, mut right) = pair();
        left.write_all(b"one").await.unwrap();
        left.write_all(b"two").await.unwrap();
        left.output().append_static(b"static memory").unwrap();
        let place = left.output().slices(6..).next().unwrap().as_ptr();
        left.flush().await.unwrap();
        while right.input_len() < 19 {
            right.fill_more().await.unwrap();
        }
        right.input().drain(6).unwrap();
        assert_eq!(right.input().first_slice().as_ptr(), place);
        right.write_all(b"back").await.unwrap();
        right.flush().await.unwrap();
        assert_eq!(left.peek(4).await.unwrap(), b"back");
    });
}

/// Bytes pass when the writer sends and the reader reads, each enabled; until then they stay (PA-4).
#[test]
fn both_have_to_be_enabled() {
    block_on(async {
        let (mut left, mut right) = pair();
        left.disable(Direction::Write);
        right.disable(Direction::Read);
        left.write_all(b"hello").await.unwrap();
        assert!(poll_once(left.flush()).await.is_none());
        left.enable(Direction::Write);
        left.flush().await.unwrap();
        assert!(poll_once(right.fill()).await.is_none());
        right.enable(Direction::Read);
        assert_eq!(right.fill().await.unwrap(), 5);
    });
}

/// The reader's wait is ended by the writer's flush, and the writer's by the reader, by one wake each; nobody's other waits are (PA-2, PA-6, PA-7).
#[test]
fn each_wakes_the_other_once() {
    let (mut left, mut right) = pair();
    let (reads, reader) = counting();
    let (writes, writer) = counting();
    assert!(poll_with(&mut right.fill(), &reader).is_pending());
    left.try_write(b"x").unwrap();
    assert_eq!(reads.get(), 0, "not inside the call that writes");
    assert!(poll_with(&mut left.flush(), &writer).is_ready());
    assert_eq!((reads.get(), writes.get()), (1, 0));
    assert!(poll_with(&mut right.fill(), &reader).is_ready());

    // More than the way between them holds.
    left.output().append(&bytes(200_000)).unwrap();
    assert!(poll_with(&mut left.flush(), &writer).is_pending());
    assert_eq!(writes.get(), 0);
    assert!(poll_with(&mut right.fill_more(), &reader).is_ready());
    assert_eq!(writes.get(), 1);
}

/// The read timer runs while somebody reads; the write timer only while there is something that does not go (PA-8, BE-66, BE-67).
#[test]
fn timers_need_a_reason() {
    block_on(async {
        let short = Duration::from_millis(10);
        let (mut left, mut right) = pair();
        left.set_timeouts(None, Some(short));
        right.set_timeouts(Some(short), Some(short));
        assert_eq!(right.fill().await.unwrap_err().kind(), ErrorKind::TimedOut);
        // The far end does not read: what it cannot take is late.
        left.output().append(&bytes(200_000)).unwrap();
        assert_eq!(left.flush().await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(left.event().await, Event::Timeout(Direction::Write));
        assert_eq!(right.event().await, Event::Timeout(Direction::Read));
        assert_eq!(right.take_event(), None);
    });
}

/// A flush waits until the other end can have everything, marks or not; closing tells it the end, also with nothing sent, and not inside the call (PA-9, PA-10, PA-12).
#[test]
fn flush_and_close() {
    block_on(async {
        let (mut left, mut right) = pair();
        right.set_read_marks(0, 100).unwrap();
        left.write_all(&bytes(8333)).await.unwrap();
        left.flush().await.unwrap();
        left.close().await.unwrap();
        let mut received = Vec::new();
        while right.fill().await.unwrap() > 0 {
            received.extend(right.input().take_vec(100).unwrap());
        }
        assert_eq!(received, bytes(8333));
        assert_eq!(right.event().await, Event::Eof);

        let (mut left, mut right) = pair();
        let (count, waker) = counting();
        assert!(poll_with(&mut Box::pin(right.event()), &waker).is_pending());
        left.close().await.unwrap();
        assert_eq!(count.get(), 1);
        assert_eq!(right.take_event(), None);
        assert_eq!(right.event().await, Event::Eof);
    });
}

/// Dropping one is the end of the stream for the other, after what was sent; its writes fail from then on (PA-11).
#[test]
fn dropped_half_is_an_end() {
    block_on(async {
        let (mut left, mut right) = pair();
        left.write_all(b"sent").await.unwrap();
        left.flush().await.unwrap();
        left.write_all(b"not sent").await.unwrap();
        drop(left);
        assert_eq!(right.peek(100).await.unwrap(), b"sent");
        right.write_all(b"x").await.unwrap();
        assert_eq!(
            right.flush().await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );

        // Waiting reader and waiting writer are woken by the drop.
        let (left, mut right) = pair();
        let (count, waker) = counting();
        right.output().append(&bytes(200_000)).unwrap();
        assert!(poll_with(&mut right.flush(), &waker).is_pending());
        drop(left);
        assert!(count.get() > 0);
        assert!(right.flush().await.is_err());
    });
}

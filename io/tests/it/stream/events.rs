//! What is told, to whom, how often, in which order.

use std::io;

use futures_lite::AsyncReadExt;
use futures_lite::future::poll_once;
use levent_executor::block_on;
use levent_io::BufferedStream;
use levent_io::stream::{Direction, Event, pair};

use super::script::{Read, Script};
use super::tcp;

/// The end of the stream ends reading: what came is still to be read, and writing goes on (BE-19).
#[test]
fn end_leaves_the_input_and_the_output() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        right.write_all(b"last words").await.unwrap();
        right.close().await.unwrap();
        assert_eq!(left.event().await, Event::Eof);
        assert!(!left.is_enabled(Direction::Read) && left.is_enabled(Direction::Write));
        // Enabling brings nothing back.
        left.enable(Direction::Read);
        assert!(!left.is_enabled(Direction::Read));
        assert_eq!(left.input_len(), 10);
        let mut all = String::new();
        left.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "last words");
        assert_eq!(left.fill().await.unwrap(), 0);
        left.write_all(b"thanks").await.unwrap();
        left.flush().await.unwrap();
        assert_eq!(right.peek(6).await.unwrap(), b"thanks");
        assert!(poll_once(left.event()).await.is_none(), "told once");
    });
}

/// An error ends reading, with the system's number, and is answered each time, after what came before it has been taken (BE-20, BE-75).
#[test]
fn error_ends_reading() {
    block_on(async {
        let reads = [
            Read::Bytes(b"before".to_vec()),
            Read::Error(io::Error::from_raw_os_error(104)),
        ];
        let mut stream = BufferedStream::new(Script::reads(reads));
        assert_eq!(stream.fill().await.unwrap(), 6);
        assert_eq!(
            stream.fill_more().await.unwrap_err().raw_os_error(),
            Some(104)
        );
        assert_eq!(stream.event().await, Event::Error(Direction::Read));
        assert_eq!(stream.take_event(), None);
        let mut buf = [0; 10];
        assert_eq!(stream.read(&mut buf).await.unwrap(), 6);
        for _ in 0..3 {
            assert_eq!(
                stream.read(&mut buf).await.unwrap_err().raw_os_error(),
                Some(104)
            );
        }
        assert!(stream.is_enabled(Direction::Write));

        // An error of our own making keeps its words.
        let refusal = io::Error::new(io::ErrorKind::InvalidData, "not my protocol");
        let mut stream = BufferedStream::new(Script::reads([Read::Error(refusal)]));
        for _ in 0..2 {
            let error = stream.fill().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert_eq!(error.to_string(), "not my protocol");
        }
    });
}

/// Several causes before anybody looks are told once each, and both directions' of one kind are two (BE-54, BE-75).
#[test]
fn causes_are_told_once() {
    block_on(async {
        let (mut left, right) = pair();
        left.write_all(b"x").await.unwrap();
        drop(right);
        let _ = left.flush().await;
        let _ = left.fill().await;
        let _ = left.flush().await;
        let _ = left.fill().await;
        assert_eq!(left.take_event(), Some(Event::Eof));
        assert_eq!(left.take_event(), Some(Event::Error(Direction::Write)));
        assert_eq!(left.take_event(), None);
        assert!(poll_once(left.event()).await.is_none());
    });
}

/// Who waits for events sends and reads meanwhile, up to the high mark.
#[test]
fn listening_drives() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        left.set_read_marks(0, 6).unwrap();
        left.write_all(b"question").await.unwrap();
        right.write_all(b"an answer").await.unwrap();
        let listening = levent_executor::spawn(async move {
            let event = left.event().await;
            (event, left)
        });
        assert_eq!(right.peek(8).await.unwrap(), b"question");
        right.flush().await.unwrap();
        drop(right);
        // At the mark nothing is read, so the end is not seen.
        for _ in 0..20 {
            levent_executor::yield_now().await;
        }
        assert!(!listening.is_finished());
        listening.cancel().await;
    });
}

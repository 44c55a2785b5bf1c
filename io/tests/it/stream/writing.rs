//! Writes, and when they are sent.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::AsyncWriteExt;
use futures_lite::future::poll_once;
use levent_executor::block_on;
use levent_io::BufferedStream;
use levent_io::stream::{Direction, Event, pair};

use super::script::{Read, Script, Write};
use super::{bytes, tcp};
use crate::behaviour::{counting, poll_with};

/// Nothing is sent inside the call that writes; it goes out with the next wait, whatever that is for, in one piece (BE-29).
#[test]
fn next_wait_sends() {
    block_on(async {
        for wait in 0..3 {
            let script = Script::reads([Read::Never]);
            let mut stream = BufferedStream::new(script.clone());
            stream.write_all(b"one ").await.unwrap();
            stream.try_write(b"two ").unwrap();
            stream.output().append(b"three").unwrap();
            script.with(|state| assert!(state.offered.is_empty()));
            match wait {
                0 => drop(poll_once(stream.fill()).await),
                1 => stream.flush().await.unwrap(),
                _ => drop(poll_once(stream.event()).await),
            }
            script.with(|state| {
                assert_eq!(
                    (&state.written[..], state.flushes),
                    (&b"one two three"[..], 1)
                )
            });
        }
    });
}

/// One write takes at most the most of a single operation (BE-31, BE-72).
#[test]
fn writes_are_bounded() {
    block_on(async {
        let script = Script::writes([]);
        let mut stream = BufferedStream::new(script.clone());
        stream.set_max_single(Direction::Write, 100);
        stream.write_all(&bytes(250)).await.unwrap();
        stream.flush().await.unwrap();
        script.with(|state| {
            assert_eq!(state.offered, [100, 100, 50]);
            assert_eq!(state.written, bytes(250));
        });
    });
}

/// With an empty output there is nothing to wait for, and nothing is asked of the transport (BE-32, BE-34).
#[test]
fn empty_output_rests() {
    block_on(async {
        let script = Script::reads([Read::Never]);
        let mut stream = BufferedStream::new(script.clone());
        stream.flush().await.unwrap();
        stream.room().await.unwrap();
        assert!(poll_once(stream.fill()).await.is_none());
        stream.disable(Direction::Write);
        stream.enable(Direction::Write);
        stream.flush().await.unwrap();
        script.with(|state| assert!(state.offered.is_empty() && state.flushes == 0));
    });
}

/// Short writes go on where they ended; waits and interruptions are silent (BE-35).
#[test]
fn short_writes_go_on() {
    block_on(async {
        let script = Script::writes([
            Write::Pending,
            Write::Takes(1),
            Write::Error(ErrorKind::Interrupted.into()),
            Write::Pending,
            Write::Takes(7),
        ]);
        let mut stream = BufferedStream::new(script.clone());
        stream.write_all(b"hello, world").await.unwrap();
        stream.flush().await.unwrap();
        script.with(|state| assert_eq!(state.written, b"hello, world"));
        assert_eq!(stream.take_event(), None);
    });
}

/// A write error ends writing, and what was not sent stays; each later write answers the same; reading goes on (BE-36).
#[test]
fn write_error_ends_writing() {
    block_on(async {
        let script = Script::writes([
            Write::Takes(2),
            Write::Error(std::io::Error::from_raw_os_error(32)),
        ]);
        script.with(|state| state.reads = [Read::Bytes(b"still".to_vec()), Read::Never].into());
        let mut stream = BufferedStream::new(script.clone());
        stream.write_all(b"hello").await.unwrap();
        let error = stream.flush().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(32));
        assert!(!stream.is_enabled(Direction::Write) && stream.is_enabled(Direction::Read));
        assert_eq!(stream.output_len(), 3);
        for _ in 0..2 {
            assert_eq!(stream.try_write(b"x").unwrap_err().raw_os_error(), Some(32));
            assert_eq!(
                stream.write_all(b"x").await.unwrap_err().raw_os_error(),
                Some(32)
            );
            assert_eq!(stream.flush().await.unwrap_err().raw_os_error(), Some(32));
        }
        assert_eq!(stream.output_len(), 3, "refused bytes are not taken");
        assert_eq!(stream.event().await, Event::Error(Direction::Write));
        assert_eq!(stream.take_event(), None);
        assert_eq!(stream.fill().await.unwrap(), 5);

        // A transport that takes nothing without saying why is in error, not at an end; with a message, each time.
        let mut stream = BufferedStream::new(Script::writes([Write::Takes(0)]));
        stream.write_all(b"hello").await.unwrap();
        for _ in 0..2 {
            let error = stream.flush().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WriteZero);
            assert!(error.to_string().contains("accepts no more"), "{error}");
        }
    });
}

/// The peer's end does not end our writing; its being gone does (BE-37).
#[test]
fn peers_end_is_not_ours() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        right.close().await.unwrap();
        assert_eq!(left.fill().await.unwrap(), 0);
        assert!(left.is_enabled(Direction::Write));
        left.write_all(b"answer").await.unwrap();
        left.flush().await.unwrap();
        assert_eq!(right.peek(6).await.unwrap(), b"answer");
        drop(right);
        // A reset comes back for what is written now, if not for what was unread.
        let error = loop {
            left.write_all(b"x").await.unwrap();
            if let Err(error) = left.flush().await {
                break error;
            }
            levent_executor::yield_now().await;
        };
        assert!(matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        ));
    });
}

/// Flushing waits for everything, in each direction's time; there are no modes, since nothing else is held back (BE-71).
#[test]
fn flush_waits_for_everything() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        left.write_all(&bytes(8333)).await.unwrap();
        left.flush().await.unwrap();
        left.flush().await.unwrap();
        assert_eq!(right.peek(8333).await.unwrap(), bytes(8333));
        left.write_all(b"last").await.unwrap();
        left.close().await.unwrap();
        left.close().await.unwrap();
        assert_eq!(
            left.try_write(b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        right.input().drain(8333).unwrap();
        assert_eq!(right.peek(9).await.unwrap(), b"last");
        assert_eq!(right.fill_more().await.unwrap(), 0);
    });
}

/// The traits' methods: parts of what is too much, vectors, nothing at all.
#[test]
fn traits_write() {
    block_on(async {
        let (mut left, mut right) = pair();
        left.set_write_marks(0, 10).unwrap();
        let slices = [
            IoSlice::new(b""),
            IoSlice::new(b"abcd"),
            IoSlice::new(b"efghijkl"),
        ];
        assert_eq!(left.write_vectored(&slices).await.unwrap(), 10);
        assert_eq!(left.write(&[]).await.unwrap(), 0);
        AsyncWriteExt::write_all(&mut left, b"mnopqrstuvwxyz")
            .await
            .unwrap();
        AsyncWriteExt::flush(&mut left).await.unwrap();
        assert_eq!(right.peek(24).await.unwrap(), b"abcdefghijmnopqrstuvwxyz");
        AsyncWriteExt::close(&mut left).await.unwrap();
    });
}

/// Parts of a file go out with `sendfile`, between bytes in memory, and in pieces.
#[test]
fn files_are_sent() {
    block_on(async {
        let folder = crate::behaviour::TempDir::new("stream").unwrap();
        let path = folder.join("page");
        std::fs::write(&path, bytes(200_000)).unwrap();
        let (mut left, mut right) = tcp().await.unwrap();
        left.output().append(b"head").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        assert_eq!(left.output().append_file(file, 10, None).unwrap(), 199_990);
        left.output().append(b"tail").unwrap();
        let sending = async { left.close().await.unwrap() };
        let mut received = Vec::new();
        let receiving = async {
            futures_lite::AsyncReadExt::read_to_end(&mut right, &mut received)
                .await
                .unwrap();
        };
        futures_lite::future::zip(sending, receiving).await;
        assert_eq!(received.len(), 199_998);
        assert!(received[..4] == *b"head" && received[199_994..] == *b"tail");
        assert!(received[4..199_994] == bytes(200_000)[10..]);
    });
}

/// Over a transport that is ready for ever, a poll does much and not all: others have their turn, and the task is woken for the rest.
#[test]
fn polls_come_to_an_end() {
    struct Endless;
    impl AsyncRead for Endless {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }
    }
    impl AsyncWrite for Endless {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(1))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let mut stream = BufferedStream::new(Endless);
    stream.set_read_marks(0, 0).unwrap();
    let (wakes, waker) = counting();
    // Without a mark it would read on for ever.
    assert!(poll_with(&mut stream.event(), &waker).is_pending());
    assert!(wakes.get() > 0 && stream.input_len() > 0);
    stream.output().append(&[7; 10_000]).unwrap();
    let before = wakes.get();
    assert!(poll_with(&mut stream.flush(), &waker).is_pending());
    assert!(wakes.get() > before);
    let sent = 10_000 - stream.output_len();
    assert!((1..10_000).contains(&sent), "{sent}");
}

/// What is put into the output after the end of writing is refused, and told; after a timeout it is kept, for when writing is enabled again.
#[test]
fn output_refuses_after_the_end() {
    block_on(async {
        let (mut left, _right) = pair();
        left.close().await.unwrap();
        let refused = left.output().append(b"late").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
        assert!(io::Write::write(&mut left.output(), b"late").is_err());
        assert!(left.output().append_static(b"late").is_err());
        let file = std::fs::File::open("Cargo.toml").unwrap();
        let refused = left.output().append_file(file, 0, None).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(left.output_len(), 0);

        let script = Script::writes([Write::Never]);
        let mut stream = BufferedStream::new(script.clone());
        stream.set_timeouts(None, Some(Duration::from_millis(1)));
        stream.output().append(b"one ").unwrap();
        assert_eq!(
            stream.flush().await.unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        stream.output().append(b"two").unwrap();
        script.with(|state| state.writes.clear());
        stream.enable(Direction::Write);
        stream.flush().await.unwrap();
        script.with(|state| assert_eq!(state.written, b"one two"));
    });
}

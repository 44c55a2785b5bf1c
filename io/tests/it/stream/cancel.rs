//! Dropping a future loses and repeats nothing: every operation of a conversation is dropped at its first, second, third … poll, and begun again.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::Poll;

use futures_lite::future::{poll_fn, zip};
use levent_executor::{block_on, yield_now};
use levent_io::BufferedStream;
use levent_io::buffer::Eol;
use levent_io::stream::{LengthPrefixed, pair};

use super::script::{Read, Script, Write};
use super::{bytes, tcp, unix};

/// Polls a future so many times at most; `None` if it was not ready by then. It is dropped in either case.
async fn within<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The next poll is the one that drops it, so it has to come.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Awaits what `begin` begins, dropping it at its `k`th poll and beginning anew, for `k` 1, 2, 1, 2, 3 … : as it is the caller's turn again each time, others have theirs.
macro_rules! stubborn {
    ($k:expr, $begin:expr) => {{
        let mut attempts = 0usize;
        loop {
            attempts += 1;
            // In the end it has to be let through: a wait for the peer needs more polls than any fixed number.
            let polls = if attempts > 50 { usize::MAX } else { $k };
            match within(polls, $begin).await {
                Some(result) => break result,
                None => yield_now().await,
            }
        }
    }};
}

/// The conversation: one side speaks in every way that there is, the other listens in every way that there is, and answers. Returns what each has received.
async fn talk<S, T>(
    mut left: BufferedStream<S>,
    mut right: BufferedStream<T>,
    k: usize,
) -> (Vec<u8>, Vec<u8>) {
    for stream_marks in [(100, 900), (0, 4096)] {
        left.set_write_marks(stream_marks.0, stream_marks.1)
            .unwrap();
        right.set_read_marks(0, 6_000).unwrap();
    }
    let speaking = async {
        let mut heard = Vec::new();
        // Not begun again: its bytes are in.
        drop(within(k, left.write_all(b"a line\r\nanother, longer line\r\n")).await);
        drop(within(k, left.write_all(&bytes(5_000))).await);
        stubborn!(k, left.room()).unwrap();
        let mut sent = 0;
        let more = bytes(3_000);
        while sent < more.len() {
            sent += left.try_write(&more[sent..]).unwrap();
            stubborn!(k, left.room()).unwrap();
        }
        stubborn!(k, left.flush()).unwrap();
        drop(within(k, left.write_all(b"\x00\x05frame\x00\x00\x0b\xb8")).await);
        drop(within(k, left.write_all(&bytes(3_000))).await);
        drop(within(k, left.write_all(b"until|the rest")).await);
        stubborn!(k, left.close()).unwrap();
        let mut echo = [0; 12];
        stubborn!(k, left.read_exact(&mut echo)).unwrap();
        heard.extend(echo);
        while stubborn!(k, left.fill()).unwrap() > 0 {
            let len = left.input_len();
            heard.extend(left.input().take_vec(len).unwrap());
        }
        heard
    };
    let listening = async {
        let mut heard = Vec::new();
        let mut note = |part: &[u8]| {
            heard.extend((part.len() as u32).to_be_bytes());
            heard.extend(part);
        };
        for _ in 0..2 {
            let line = stubborn!(k, right.read_line(Eol::Crlf)).unwrap();
            note(&line.unwrap());
        }
        let peeked = stubborn!(k, async { right.peek(10).await.map(<[u8]>::to_vec) }).unwrap();
        note(&peeked);
        let mut block = vec![0; 5_000];
        stubborn!(k, right.read_exact(&mut block)).unwrap();
        note(&block);
        let mut block = vec![0; 3_000];
        stubborn!(k, right.read_exact(&mut block)).unwrap();
        note(&block);
        drop(within(k, right.write_all(b"half an echo")).await);
        let mut decoder = LengthPrefixed::new(2).unwrap();
        let frame = stubborn!(k, right.read_frame(&mut decoder)).unwrap();
        note(&frame.unwrap());
        let frame = stubborn!(k, right.read_frame(&mut decoder)).unwrap();
        note(&frame.unwrap());
        let mut wide = LengthPrefixed::new(2).unwrap();
        let frame = stubborn!(k, right.read_frame(&mut wide)).unwrap();
        note(&frame.unwrap());
        let part = stubborn!(k, right.read_until(b"|")).unwrap();
        note(&part.unwrap());
        let rest = stubborn!(k, right.read_until(b"|")).unwrap();
        note(&rest.unwrap());
        assert_eq!(stubborn!(k, right.fill_more()).unwrap(), 0);
        drop(within(k, right.write_all(b", and the rest of it")).await);
        stubborn!(k, right.close()).unwrap();
        heard
    };
    zip(speaking, listening).await
}

/// Over a pair, TCP and a Unix socket pair, dropped at every poll from the first to the eighth: what is heard is what is heard without.
#[test]
fn dropped_at_every_poll() {
    block_on(async {
        let (left, right) = pair();
        let (answer, heard) = talk(left, right, usize::MAX).await;
        assert_eq!(answer, b"half an echo, and the rest of it");
        for k in 1..9 {
            let (left, right) = pair();
            assert!(
                talk(left, right, k).await == (answer.clone(), heard.clone()),
                "pair, {k}"
            );
            let (left, right) = tcp().await.unwrap();
            assert!(
                talk(left, right, k).await == (answer.clone(), heard.clone()),
                "TCP, {k}"
            );
            let (left, right) = unix().unwrap();
            assert!(
                talk(left, right, k).await == (answer.clone(), heard.clone()),
                "Unix, {k}"
            );
        }
    });
}

/// The same over a transport that moves a byte or a few at a time, waits before each, and is interrupted: every poll of every operation is one that it is dropped at.
#[test]
fn dropped_between_any_two_bytes() {
    for piece in [1, 2, 3, 7, 64] {
        let text = b"one\ntwo\r\n\x00\x04four".repeat(3);
        let reads = text.chunks(piece).flat_map(|bytes| {
            [
                Read::Pending,
                Read::Error(io::ErrorKind::Interrupted.into()),
                Read::Bytes(bytes.to_vec()),
            ]
        });
        let script = Script::reads(reads);
        script.with(|state| {
            state.writes = (0..200)
                .flat_map(|_| [Write::Pending, Write::Takes(piece)])
                .collect();
        });
        for k in 1..6 {
            let mut stream = BufferedStream::new(script.clone());
            block_on(async {
                drop(within(k, stream.write_all(&[k as u8; 20])).await);
                let line = stubborn!(k, stream.read_line(Eol::Lf)).unwrap();
                if k > 3 {
                    // Three rounds of text, and then the end.
                    assert_eq!(line, None);
                } else {
                    assert_eq!(line.unwrap(), b"one");
                    let line = stubborn!(k, stream.read_line(Eol::CrlfStrict)).unwrap();
                    assert_eq!(line.unwrap(), b"two");
                    let mut decoder = LengthPrefixed::new(2).unwrap();
                    let frame = stubborn!(k, stream.read_frame(&mut decoder)).unwrap();
                    assert_eq!(frame.unwrap(), b"four");
                }
                stubborn!(k, stream.flush()).unwrap();
            });
            // What was read ahead belongs to the next round's stream.
            let mut parts = stream.into_parts();
            let ahead = parts.input.take_vec(usize::MAX).unwrap();
            if !ahead.is_empty() {
                script.with(|state| state.reads.push_front(Read::Bytes(ahead)));
            }
        }
        let expected: Vec<u8> = (1..6u8).flat_map(|k| [k; 20]).collect();
        script.with(|state| assert_eq!(state.written, expected, "pieces of {piece}"));
    }
}

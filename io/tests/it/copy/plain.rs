//! `copy` and `copy_buf` with readers and writers that do what the test says.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_lite::future::block_on;
use futures_lite::io::{BufReader, Cursor, repeat, sink};
use futures_lite::{AsyncRead, AsyncWrite};
use levent_io::buffer::pool;
use levent_io::net::TcpStream;
use levent_io::{Relay, ThroughPipe, Transfer, copy, copy_bidirectional, copy_buf};

use super::{counting, pattern, poll_with};

/// What a reader answers next.
enum Answer {
    Bytes(&'static [u8]),
    Pending,
    Interrupted,
    Error(ErrorKind),
    /// That many bytes, whatever the room is.
    Claim(usize),
}
use Answer::*;

type Log = Rc<RefCell<Vec<String>>>;

/// Answers in turn; at last, the end.
struct Script(VecDeque<Answer>, Log);

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.0.pop_front() {
            None => Poll::Ready(Ok(0)),
            Some(Bytes(bytes)) => {
                buf[..bytes.len()].copy_from_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            Some(Pending) => {
                self.1.borrow_mut().push("nothing".to_owned());
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Interrupted) => Poll::Ready(Err(ErrorKind::Interrupted.into())),
            Some(Error(kind)) => Poll::Ready(Err(kind.into())),
            Some(Claim(count)) => Poll::Ready(Ok(count)),
        }
    }
}

/// Writes down what is done to it. Takes at most `limit` bytes at once, and claims more by `lie`.
struct Recorder {
    log: Log,
    limit: usize,
    lie: usize,
}

impl Recorder {
    fn note(&self, what: impl Into<String>) {
        self.log.borrow_mut().push(what.into());
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = buf.len().min(self.limit);
        self.note(String::from_utf8_lossy(&buf[..count]));
        Poll::Ready(Ok(count + self.lie))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note("flush");
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note("close");
        Poll::Ready(Ok(()))
    }
}

fn script(answers: impl IntoIterator<Item = Answer>) -> (Script, Recorder, Log) {
    let log = Log::default();
    let writer = Recorder {
        log: log.clone(),
        limit: 3,
        lie: 0,
    };
    let reader = Script(answers.into_iter().collect(), log.clone());
    (reader, writer, log)
}

/// A reader and a writer as one stream.
struct Both(Script, Recorder);

impl AsyncRead for Both {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Both {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.1).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.1).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.1).poll_close(cx)
    }
}

/// Sizes around the block's.
#[test]
fn contents_are_identical() {
    for size in [0, 1, 16_383, 16_384, 16_385, 100_000] {
        let bytes = pattern(size);
        let mut copied = Vec::new();
        let count = block_on(copy(&mut &bytes[..], &mut copied)).unwrap();
        assert_eq!(count, size as u64);
        assert!(copied == bytes, "{size}");
        let mut copied = Vec::new();
        let mut reader = BufReader::with_capacity(1000, Cursor::new(&bytes));
        let count = block_on(copy_buf(&mut reader, &mut copied)).unwrap();
        assert_eq!(count, size as u64);
        assert!(copied == bytes, "{size}");
    }
}

/// The writer is flushed before the reader is waited for, only if something was written since, and at the end; `copy` does not close it. An
/// interrupted reader is asked again.
#[test]
fn writer_is_flushed_before_waiting() {
    let answers = || {
        [
            Pending,
            Bytes(b"abcd"),
            Bytes(b"ef"),
            Pending,
            Pending,
            Interrupted,
            Bytes(b"g"),
        ]
    };
    let expected = [
        "nothing", "abc", "d", "ef", "nothing", "flush", "nothing", "g", "flush",
    ];
    let (mut reader, mut writer, log) = script(answers());
    assert_eq!(block_on(copy(&mut reader, &mut writer)).unwrap(), 7);
    assert_eq!(*log.borrow(), expected);

    let (reader, mut writer, log) = script(answers());
    let mut reader = BufReader::new(reader);
    assert_eq!(block_on(copy_buf(&mut reader, &mut writer)).unwrap(), 7);
    assert_eq!(*log.borrow(), expected);
}

/// The end of one direction closes the other side's writer at once, and the other direction goes on.
#[test]
fn relay_closes_what_has_ended() {
    let (reader, writer, a_log) = script([Bytes(b"ab")]);
    let mut a = Both(reader, writer);
    let (reader, writer, b_log) = script([Pending, Pending, Bytes(b"cd"), Bytes(b"e")]);
    let mut b = Both(reader, writer);
    let moved = block_on(copy_bidirectional(&mut a, &mut b)).unwrap();
    assert_eq!(moved, (2, 3));
    assert_eq!(*a_log.borrow(), ["cd", "e", "close"]);
    assert_eq!(*b_log.borrow(), ["ab", "close", "nothing", "nothing"]);
}

/// A writer that takes nothing is an error, and no endless loop; what was read is still there to be counted.
#[test]
fn writer_that_accepts_nothing() {
    let (mut reader, mut writer, _log) = script([Bytes(b"abcd")]);
    writer.limit = 0;
    let mut copying = copy(&mut reader, &mut writer);
    let error = block_on(&mut copying).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WriteZero, "{error}");
    assert!(error.to_string().contains("write to the writer"), "{error}");
    assert_eq!((copying.copied(), copying.in_transit()), (0, 4));

    let (reader, mut writer, _log) = script([Bytes(b"abcd")]);
    writer.limit = 0;
    let error = block_on(copy_buf(&mut BufReader::new(reader), &mut writer)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WriteZero, "{error}");
}

/// Readers and writers that claim too much get an error, and nobody panics.
#[test]
fn impossible_counts() {
    let (mut reader, mut writer, _log) = script([Claim(usize::MAX)]);
    let error = block_on(copy(&mut reader, &mut writer)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    assert!(error.to_string().contains("the reader"), "{error}");

    for lie in [4, usize::MAX - 3] {
        let (mut reader, mut writer, _log) = script([Bytes(b"abcd")]);
        writer.lie = lie;
        let error = block_on(copy(&mut reader, &mut writer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        let (reader, mut writer, _log) = script([Bytes(b"abcd")]);
        writer.lie = lie;
        let error = block_on(copy_buf(&mut BufReader::new(reader), &mut writer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    }
}

/// An error has its kind, says whose it is, and has the original as its source.
#[test]
fn errors_name_the_side() {
    let fails = || script([Bytes(b"ab"), Error(ErrorKind::TimedOut)]);
    let ends = || script([Pending, Pending]);
    let (reader, writer, _log) = fails();
    let (mut a, (reader, writer, _)) = (Both(reader, writer), ends());
    let mut b = Both(reader, writer);
    let mut relay = copy_bidirectional(&mut a, &mut b);
    let error = block_on(&mut relay).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("read from a"), "{error}");
    let source = error.source().expect("the original");
    let source = source.downcast_ref::<io::Error>().expect("an io::Error");
    assert_eq!(source.kind(), ErrorKind::TimedOut);
    assert_eq!(relay.copied(), (2, 0));

    let (reader, writer, _log) = ends();
    let (mut a, (reader, writer, _)) = (Both(reader, writer), fails());
    let mut b = Both(reader, writer);
    let error = block_on(copy_bidirectional(&mut a, &mut b)).unwrap_err();
    assert!(error.to_string().contains("read from b"), "{error}");
}

/// A pair that is always ready does not keep the thread: the poll ends, and the task is woken.
#[test]
fn endless_pair_lets_others_run() {
    let (count, waker) = counting();
    let (mut reader, mut writer) = (repeat(1), sink());
    let mut copying = copy(&mut reader, &mut writer);
    for polls in 1..4 {
        assert!(poll_with(&mut copying, &waker).is_pending());
        assert_eq!(count.get(), polls);
    }
    assert!((1..=3 << 20).contains(&copying.copied()));

    let (mut reader, mut writer) = (BufReader::new(repeat(1)), sink());
    let mut copying = copy_buf(&mut reader, &mut writer);
    assert!(poll_with(&mut copying, &waker).is_pending());
    assert_eq!(count.get(), 4);
    assert!((1..=1 << 20).contains(&copying.copied()));
}

/// Memory is held while bytes are in it, and not while the reader is waited for.
#[test]
fn waiting_holds_no_memory() {
    // A thread of its own, and so a store of its own.
    let body = || {
        let (_count, waker) = counting();
        let before = pool::held();
        let (mut reader, mut writer, _log) = script([Bytes(b"abcd"), Pending, Bytes(b"e")]);
        let mut copying = copy(&mut reader, &mut writer);
        assert!(poll_with(&mut copying, &waker).is_pending());
        assert_eq!((copying.copied(), copying.in_transit()), (4, 0));
        assert_eq!(pool::held(), before + (16 << 10), "the block has come back");
    };
    std::thread::spawn(body).join().unwrap();
}

/// What is polled after its end says the same again.
#[test]
fn polled_after_the_end() {
    let (_count, waker) = counting();
    let (mut reader, mut writer) = (&b"abc"[..], Vec::new());
    let mut copying = copy(&mut reader, &mut writer);
    for _ in 0..2 {
        assert!(matches!(
            poll_with(&mut copying, &waker),
            Poll::Ready(Ok(3))
        ));
    }
}

/// As `Send` as their streams.
#[test]
fn futures_are_send() {
    fn is_send<T: Send>() {}
    is_send::<Transfer<'_, TcpStream, TcpStream, ThroughPipe>>();
    is_send::<Relay<'_, TcpStream, TcpStream>>();
    is_send::<Relay<'_, TcpStream, TcpStream, ThroughPipe>>();
    is_send::<levent_io::SendFile<'_, TcpStream>>();
}

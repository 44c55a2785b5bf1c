//! Reads of all kinds.

use std::io::{self, ErrorKind};

use futures_lite::future::poll_once;
use futures_lite::{AsyncBufReadExt, AsyncReadExt};
use levent_executor::block_on;
use levent_io::BufferedStream;
use levent_io::buffer::{Buffer, Eol, pool};
use levent_io::stream::{Decoder, Delimited, Direction, LengthPrefixed, pair};

use super::script::{Read, Script};
use super::{bytes, tcp};

fn of(pieces: &[&[u8]]) -> BufferedStream<Script> {
    let reads = pieces
        .iter()
        .flat_map(|piece| [Read::Pending, Read::Bytes(piece.to_vec())]);
    BufferedStream::new(Script::reads(reads))
}

/// A plain read has what one read of the transport brought, and with a low mark at least as much as that, or what there is at the end (BE-15).
#[test]
fn plain_read_waits_for_the_low_mark() {
    block_on(async {
        let mut stream = of(&[b"abc", b"de", b"f", b"gh"]);
        let mut buf = [0; 100];
        assert_eq!(stream.read(&mut buf).await.unwrap(), 3);
        stream.set_read_marks(3, 100).unwrap();
        assert_eq!(stream.read(&mut buf).await.unwrap(), 3);
        assert_eq!(&buf[..3], b"def");
        assert_eq!(stream.read(&mut buf).await.unwrap(), 2, "the end");
        assert_eq!(stream.read(&mut buf).await.unwrap(), 0);
    });
}

/// One read takes at most the most of a single operation, and at most what the high mark leaves; it asks for more as more comes (BE-16, BE-72).
#[test]
fn amounts_are_bounded() {
    block_on(async {
        let script = Script::reads([Read::Bytes(bytes(100_000))]);
        let mut stream = BufferedStream::new(script.clone());
        assert_eq!(stream.max_single(Direction::Read), 65_536);
        stream.peek(65_536).await.unwrap();
        let asked = script.with(|state| std::mem::take(&mut state.asked));
        assert_eq!(asked[0], 4096, "a small block first");
        assert!(asked.len() < 10 && asked.iter().all(|&most| most <= 65_536));

        stream.set_max_single(Direction::Read, 10);
        stream.input().drain(65_536).unwrap();
        stream.peek(100).await.unwrap();
        script.with(|state| assert!(state.asked.iter().all(|&most| most <= 10)));
        stream.set_max_single(Direction::Read, 0);
        assert_eq!(stream.max_single(Direction::Read), 65_536);
        stream.set_read_marks(0, 103).unwrap();
        script.with(|state| state.asked.clear());
        stream.fill_more().await.unwrap();
        script.with(|state| assert_eq!(state.asked, [3]));
    });
}

/// What is left in the input is there the next time; who wants more than that waits for the next arrival (BE-17).
#[test]
fn rest_stays_and_more_is_waited_for() {
    block_on(async {
        let (mut left, mut right) = pair();
        left.write_all(b"one").await.unwrap();
        left.flush().await.unwrap();
        assert_eq!(right.fill().await.unwrap(), 3);
        assert_eq!(
            right.fill().await.unwrap(),
            3,
            "untaken, so there is something"
        );
        assert!(poll_once(right.fill_more()).await.is_none());
        left.write_all(b"two").await.unwrap();
        left.flush().await.unwrap();
        assert_eq!(right.fill_more().await.unwrap(), 3);
        assert_eq!(right.input_len(), 6);
    });
}

/// Waiting and interruptions are nobody's business (BE-18).
#[test]
fn interruptions_are_silent() {
    block_on(async {
        let mut stream = BufferedStream::new(Script::reads([
            Read::Pending,
            Read::Error(ErrorKind::Interrupted.into()),
            Read::Error(ErrorKind::Interrupted.into()),
            Read::Bytes(b"x".to_vec()),
        ]));
        assert_eq!(stream.fill().await.unwrap(), 1);
        assert_eq!(stream.take_event(), None);
    });
}

/// `read` removes at most what there is and is never negative (BE-77): eight of nine, then one, then the end.
#[test]
fn reads_say_how_much() {
    block_on(async {
        let mut stream = of(&[b"123456789"]);
        let mut buf = [0; 8];
        assert_eq!(stream.read(&mut buf).await.unwrap(), 8);
        assert_eq!(stream.read(&mut buf).await.unwrap(), 1);
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
        assert_eq!(stream.read(&mut buf).await.unwrap(), 0);
    });
}

/// All or nothing: what is too short at the end stays in the input, and longer than the high mark is no matter.
#[test]
fn exact_reads_take_all_or_nothing() {
    block_on(async {
        let mut stream = of(&[b"ab", b"cd", b"e"]);
        stream.set_read_marks(0, 2).unwrap();
        let mut buf = [0; 4];
        stream.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"abcd");
        let error = stream.read_exact(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(stream.peek(10).await.unwrap(), b"e");
        stream.read_exact(&mut buf[..1]).await.unwrap();
        stream.read_exact(&mut []).await.unwrap();
    });
}

/// Delimiters that come in pieces are found; the rest at the end is the last piece; one that never comes ends at the high mark, with the bytes in place.
#[test]
fn delimiters_are_found_in_pieces() {
    block_on(async {
        let mut stream = of(&[b"one\r", b"\n\r", b"\ntwo\r\n", b"\r", b"\nrest"]);
        let mut next = async || stream.read_until(b"\r\n\r\n").await.unwrap();
        assert_eq!(next().await.unwrap(), b"one\r\n\r\n");
        assert_eq!(next().await.unwrap(), b"two\r\n\r\n");
        assert_eq!(next().await.unwrap(), b"rest");
        assert_eq!(next().await, None);
        let error = stream.read_until(b"").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        let mut stream = of(&[b"0123456789"]);
        stream.set_read_marks(0, 8).unwrap();
        let error = stream.read_until(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert_eq!(stream.input_len(), 8);
        assert_eq!(stream.read_until(b"7").await.unwrap().unwrap(), b"01234567");
        assert_eq!(stream.read_until(b"x").await.unwrap().unwrap(), b"89");
    });
}

/// Lines of all kinds, and the trait's `lines` over the same stream.
#[test]
fn lines_are_read() {
    block_on(async {
        let mut stream = of(&[b"one\ntw", b"o\r\nthree\0", b"four"]);
        assert_eq!(stream.read_line(Eol::Lf).await.unwrap().unwrap(), b"one");
        assert_eq!(stream.read_line(Eol::Crlf).await.unwrap().unwrap(), b"two");
        assert_eq!(stream.read_line(Eol::Nul).await.unwrap().unwrap(), b"three");
        assert_eq!(stream.read_line(Eol::Lf).await.unwrap().unwrap(), b"four");
        assert_eq!(stream.read_line(Eol::Lf).await.unwrap(), None);

        let stream = of(&[b"a\nb", b"b\nc"]);
        let lines: Vec<io::Result<String>> =
            futures_lite::StreamExt::collect(AsyncBufReadExt::lines(stream)).await;
        let lines: io::Result<Vec<_>> = lines.into_iter().collect();
        assert_eq!(lines.unwrap(), ["a", "bb", "c"]);

        let mut stream = of(&[b"much too long"]);
        stream.set_read_marks(0, 8).unwrap();
        let error = stream.read_line(Eol::Lf).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    });
}

/// Frames come whole, whatever pieces they came in; a cut one is an error and stays; a decoder that finds nothing is told so.
#[test]
fn frames_come_whole() {
    block_on(async {
        let mut stream = of(&[b"\x00", b"\x03a", b"bc\x00\x00\x00", b"\x01d\x00\x05xx"]);
        let mut decoder = LengthPrefixed::new(2).unwrap();
        assert_eq!(
            stream.read_frame(&mut decoder).await.unwrap().unwrap(),
            b"abc"
        );
        assert_eq!(stream.read_frame(&mut decoder).await.unwrap().unwrap(), b"");
        assert_eq!(
            stream.read_frame(&mut decoder).await.unwrap().unwrap(),
            b"d"
        );
        let error = stream.read_frame(&mut decoder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(stream.peek(9).await.unwrap(), b"\x00\x05xx");

        let mut stream = of(&[b"k: v\r", b"\n", b"l: w\r\n"]);
        let mut decoder = Delimited::new(b"\r\n").unwrap();
        assert_eq!(
            stream.read_frame(&mut decoder).await.unwrap().unwrap(),
            b"k: v"
        );
        let mut nothing = |_: &Buffer| Ok(Some(0));
        let error = stream.read_frame(&mut nothing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let mut two = |_: &Buffer| Ok(Some(2));
        let frame: Buffer = stream.read_frame(&mut two).await.unwrap().unwrap();
        assert_eq!(frame.to_vec().unwrap(), b"l:");

        // Longer than the high mark, and longer than memory.
        let mut stream = of(&[&[255; 20]]);
        stream.set_read_marks(0, 16).unwrap();
        let mut decoder = LengthPrefixed::new(4).unwrap();
        let error = stream.read_frame(&mut decoder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        let mut decoder = LengthPrefixed::new(8).unwrap();
        let error = stream.read_frame(&mut decoder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(LengthPrefixed::new(3).is_err() && Delimited::new(b"").is_err());
    });
}

/// An idle stream holds no block: a wait in vain gives back what it took, and bytes that are taken give back theirs.
#[test]
fn idle_stream_holds_nothing() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        for round in 0..3 {
            assert!(poll_once(right.fill()).await.is_none());
            assert_eq!(
                right.input().footprint() + left.output().footprint(),
                0,
                "{round}"
            );
            left.write_all(b"ping").await.unwrap();
            left.flush().await.unwrap();
            let mut buf = [0; 4];
            right.read_exact(&mut buf).await.unwrap();
        }
        // In the thread's store is one block, however often it was taken.
        pool::trim(0);
        for _ in 0..100 {
            left.write_all(b"ping").await.unwrap();
            left.flush().await.unwrap();
            right.read_exact(&mut [0; 4]).await.unwrap();
        }
        assert!(pool::held() <= 2 * 4096, "{}", pool::held());
    });
}

/// A delimiter that comes in two parts is found, wherever it is cut, and what has been searched is not searched again.
#[test]
fn delimiters_come_in_parts() {
    block_on(async {
        for size in 1..=9 {
            let pieces = b"one\r\r\n\r\ntwo\r\n\r\n".chunks(size);
            let script = Script::reads(pieces.map(|piece| Read::Bytes(piece.to_vec())));
            let mut stream = BufferedStream::new(script);
            let mut decoder = Delimited::new(b"\r\n\r\n").unwrap();
            for expected in [&b"one\r"[..], b"two"] {
                let frame = stream.read_frame(&mut decoder).await.unwrap();
                assert_eq!(frame.as_deref(), Some(expected), "{size} bytes each");
            }
            assert_eq!(stream.read_frame(&mut decoder).await.unwrap(), None);
        }

        /// Records how much of its input it had not seen.
        struct Counting(Delimited, Vec<usize>);
        impl Decoder for Counting {
            type Item = Vec<u8>;
            fn frame_len(&mut self, input: &Buffer) -> io::Result<Option<usize>> {
                self.0.frame_len(input)
            }
            fn resume(&mut self, input: &Buffer, seen: usize) -> io::Result<Option<usize>> {
                self.1.push(input.len() - seen);
                self.0.resume(input, seen)
            }
            fn decode(&mut self, frame: Buffer) -> io::Result<Vec<u8>> {
                self.0.decode(frame)
            }
        }
        let reads = [b"ab", b"cd", b"e\n"].map(|piece| Read::Bytes(piece.to_vec()));
        let mut stream = BufferedStream::new(Script::reads(reads));
        let mut decoder = Counting(Delimited::new(b"\n").unwrap(), Vec::new());
        let frame = stream.read_frame(&mut decoder).await.unwrap();
        assert_eq!(frame.as_deref(), Some(&b"abcde"[..]));
        assert_eq!(decoder.1, [2, 2]);
    });
}

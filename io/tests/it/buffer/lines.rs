//! Chapter 9: lines.

use super::{Log, assert_holds, chunked};
use levent_io::Buffer;
use levent_io::buffer::{Eol, Side};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[track_caller]
fn assert_lines(eol: Eol, text: &[u8], expected: &[&[u8]], left: &[u8]) {
    // As one chunk, and as one chunk per byte.
    let pieces: Vec<_> = text.chunks(1).collect();
    for mut buffer in [Buffer::from(text), chunked(&pieces)] {
        for line in expected {
            assert_eq!(buffer.take_line(eol).unwrap().as_deref(), Some(*line));
        }
        assert_eq!(buffer.take_line(eol).unwrap(), None);
        assert_holds(&buffer, left);
    }
}

/// The five ends (EB-67, EB-73).
#[test]
fn five_kinds_of_lines() {
    assert_lines(
        Eol::Any,
        b"complex silly newline\r\n\n\r\n\n\rmore\0\n",
        &[b"complex silly newline", b"more\0"],
        b"",
    );
    assert_lines(
        Eol::Crlf,
        b"Line with\rin the middle\nLine with good crlf\r\n\nfinal\nrest",
        &[
            b"Line with\rin the middle",
            b"Line with good crlf",
            b"",
            b"final",
        ],
        b"rest",
    );
    assert_lines(
        Eol::CrlfStrict,
        b" and a bad crlf\nand a good one\r\n\r\nMore\r",
        &[b" and a bad crlf\nand a good one", b""],
        b"More\r",
    );
    assert_lines(
        Eol::Lf,
        b"An\rand a nl\n\nText",
        &[b"An\rand a nl", b""],
        b"Text",
    );
    assert_lines(Eol::Nul, b"NUL\n\0\0rest\n", &[b"NUL\n", b""], b"rest\n");
}

/// What was half there is a line once the rest has come (EB-73).
#[test]
fn line_completed_later() {
    let mut buffer = Buffer::from("More\r");
    assert_eq!(buffer.take_line(Eol::CrlfStrict).unwrap(), None);
    buffer.append(b"\nText").unwrap();
    assert_eq!(buffer.take_line(Eol::CrlfStrict).unwrap().unwrap(), b"More");
    assert_eq!(buffer.take_line(Eol::Lf).unwrap(), None);
    buffer.append(b"\n").unwrap();
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"Text");
}

/// Where the end lies and how long it is; nothing from the end on (EB-68, EB-69).
#[test]
fn end_of_line_vectors() {
    let buffer = chunked(&[b"string! ", b"\r", b"\n\r\nx\n"]);
    assert_eq!(buffer.search_eol(Eol::Crlf, 0), Some(8..10));
    assert_eq!(buffer.search_eol(Eol::Crlf, 8), Some(8..10));
    assert_eq!(buffer.search_eol(Eol::Crlf, 9), Some(9..10));
    assert_eq!(buffer.search_eol(Eol::CrlfStrict, 9), Some(10..12));
    assert_eq!(buffer.search_eol(Eol::Lf, 0), Some(9..10));
    assert_eq!(buffer.search_eol(Eol::Lf, 10), Some(11..12));
    assert_eq!(buffer.search_eol(Eol::Any, 0), Some(8..12));
    assert_eq!(buffer.search_eol(Eol::Nul, 0), None);
    for eol in [Eol::Any, Eol::Crlf, Eol::CrlfStrict, Eol::Lf, Eol::Nul] {
        assert_eq!(buffer.search_eol(eol, 14), None);
        assert_eq!(buffer.search_eol(eol, usize::MAX), None);
    }
}

/// A CR alone is data, also in front of the CR of an end (EB-70).
#[test]
fn bare_cr_is_data() {
    let buffer = Buffer::from("a\rb\r\r\nc");
    assert_eq!(buffer.search_eol(Eol::Crlf, 0), Some(4..6));
    assert_eq!(buffer.search_eol(Eol::Crlf, 5), Some(5..6));
}

/// A CR LF that comes in two pieces ends two lines of the kind `Any`: the run is as long as it is now (EB-71).
#[test]
fn any_takes_the_run_that_is_there() {
    let mut buffer = Buffer::from("one\r");
    assert_eq!(buffer.take_line(Eol::Any).unwrap().unwrap(), b"one");
    buffer.append(b"\ntwo\n").unwrap();
    assert_eq!(buffer.take_line(Eol::Any).unwrap().unwrap(), b"");
    assert_eq!(buffer.take_line(Eol::Any).unwrap().unwrap(), b"two");
}

/// Line and end go in one change; no line, no change; zero bytes are kept (EB-72).
#[test]
fn line_is_one_change() {
    let mut buffer = Buffer::from("a\0b\r\nrest");
    let log = Log::of(&mut buffer);
    assert_eq!(buffer.take_line(Eol::Crlf).unwrap().unwrap(), b"a\0b");
    assert_eq!(buffer.take_line(Eol::Crlf).unwrap(), None);
    assert_eq!(log.take(), [(9, 0, 5)]);
}

/// An end that lies in two chunks is one (EB-74).
#[test]
fn strict_end_across_chunks() {
    let mut buffer = chunked(&[b"a\r", b"\nb\n\r", b"x\r", b"\n"]);
    assert_eq!(buffer.take_line(Eol::CrlfStrict).unwrap().unwrap(), b"a");
    assert_eq!(
        buffer.take_line(Eol::CrlfStrict).unwrap().unwrap(),
        b"b\n\rx"
    );
    assert_holds(&buffer, b"");
}

/// A line that is there and cannot be copied is still there for the next try, its end included (EB-75).
#[test]
fn line_that_cannot_be_copied_stays() {
    /// Memory that can be looked at so many times.
    struct Fickle(AtomicUsize);
    impl AsRef<[u8]> for Fickle {
        fn as_ref(&self) -> &[u8] {
            match self.0.fetch_sub(1, Ordering::Relaxed) {
                0 => b"",
                _ => b"ne\n",
            }
        }
    }
    // Once to append it, and once to find the end.
    let owner = Arc::new(Fickle(AtomicUsize::new(2)));
    let mut buffer = Buffer::from("li");
    buffer.append_owner(owner).unwrap();
    let log = Log::of(&mut buffer);
    assert!(buffer.take_line(Eol::Lf).is_err());
    assert_eq!((buffer.len(), log.take()), (5, vec![]));
    // The count has wrapped: from now on all is well.
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"line");
}

/// A frozen start gives no line, and keeps it (EB-76).
#[test]
fn frozen_start_keeps_its_lines() {
    let mut buffer = Buffer::from("line\n");
    buffer.freeze(Side::Front);
    assert!(buffer.take_line(Eol::Lf).is_err());
    buffer.unfreeze(Side::Front);
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"line");
}

/// A limit ends lines that are too long, whether they have an end or not; the line stays (EB-77).
#[test]
fn lines_have_a_limit() {
    let mut buffer = Buffer::from("12345");
    assert_eq!(buffer.take_line_within(Eol::Crlf, 5).unwrap(), None);
    buffer.append(b"\r").unwrap();
    assert_eq!(buffer.take_line_within(Eol::Crlf, 5).unwrap(), None);
    buffer.append(b"\n").unwrap();
    let error = buffer.take_line_within(Eol::Crlf, 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(
        buffer.take_line_within(Eol::Crlf, 5).unwrap().unwrap(),
        b"12345"
    );
    buffer.append(b"1234567").unwrap();
    assert!(buffer.take_line_within(Eol::Crlf, 5).is_err());
    assert_eq!(buffer.len(), 7);
}

/// What has been looked through is remembered only as long as it is true: after draining, moving and prepending, and for another kind of
/// end (EB-77).
#[test]
fn remembered_prefix_is_never_wrong() {
    let searched = || {
        let mut buffer = Buffer::from("a\rlong line without that end");
        assert_eq!(buffer.take_line(Eol::Lf).unwrap(), None);
        buffer
    };
    let mut buffer = searched();
    assert_eq!(buffer.take_line(Eol::Any).unwrap().unwrap(), b"a");

    // What lies in front has never been looked at.
    let mut buffer = searched();
    buffer.prepend(b"x\ny").unwrap();
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"x");
    let mut buffer = searched();
    buffer.prepend_buffer(&mut Buffer::from("e\n")).unwrap();
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"e");

    // What comes later lies nearer to the front than it would have.
    let mut buffer = searched();
    buffer.drain(20).unwrap();
    buffer.append(b"\nmore and more text").unwrap();
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"that end");
    let mut buffer = searched();
    Buffer::new().append_from(&mut buffer, 20).unwrap();
    buffer.append(b"\nmore and more text").unwrap();
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"that end");
    let mut buffer = searched();
    Buffer::new().append_buffer(&mut buffer).unwrap();
    buffer.append(b"1\n2\n and more and more text").unwrap();
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"1");
    assert_eq!(buffer.take_line(Eol::Lf).unwrap().unwrap(), b"2");
}

//! Chapter 8: positions and searching.

use super::chunked;
use levent_io::Buffer;
use std::io::{BufRead, Read};

fn animals() -> Buffer {
    chunked(&[b"hello", b"foo", b"cat", b"attack"])
}

/// From 0 to the length, the end included; behind it is an error, and the cursor stays where it was (EB-59).
#[test]
fn positions_go_up_to_the_end() {
    let buffer = animals();
    let mut cursor = buffer.cursor(17).unwrap();
    assert_eq!((cursor.position(), cursor.remaining()), (17, 0));
    assert!(cursor.advance(1).is_err());
    cursor.advance(0).unwrap();
    assert!(buffer.cursor(18).is_err());
    assert!(buffer.cursor(usize::MAX).is_err());
    let mut cursor = buffer.cursor(3).unwrap();
    cursor.advance(10).unwrap();
    assert_eq!(cursor.position(), 13);
    for too_far in [5, usize::MAX, usize::MAX - 12] {
        assert!(cursor.advance(too_far).is_err());
        assert_eq!(cursor.position(), 13);
    }
    cursor.advance(4).unwrap();
    assert_eq!(cursor.remaining(), 0);
}

/// On an empty buffer there is the position 0, and no other (EB-60).
#[test]
fn positions_of_an_empty_buffer() {
    let buffer = Buffer::new();
    let mut cursor = buffer.cursor(0).unwrap();
    assert!(cursor.advance(1).is_err());
    assert_eq!(cursor.fill_buf().unwrap(), b"");
    assert!(buffer.cursor(1).is_err());
    assert_eq!(buffer.byte_at(0), None);
}

/// A cursor reads across chunks and takes nothing; a plain position is good for every buffer state there is (EB-61).
#[test]
fn cursor_reads_without_taking() {
    let mut buffer = animals();
    let mut cursor = buffer.cursor(3).unwrap();
    let mut into = [0; 7];
    cursor.read_exact(&mut into).unwrap();
    assert_eq!(&into, b"lofooca");
    assert_eq!(cursor.slices().collect::<Vec<_>>(), [&b"t"[..], b"attack"]);
    assert_eq!(cursor.search(b"att"), Some(11));
    let mut rest = Vec::new();
    cursor.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"tattack");
    assert_eq!(buffer.len(), 17);
    let position = cursor.position();
    buffer.drain(5).unwrap();
    assert!(buffer.cursor(position).is_err());
    assert_eq!(buffer.byte_at(position), None);
    assert_eq!(buffer.search_in(b"a", position..), None);
}

/// The first match at or behind the start, across chunks (EB-62, EB-63).
#[test]
fn search_vectors() {
    let buffer = animals();
    assert_eq!(buffer.search(b"attack"), Some(11));
    assert_eq!(buffer.search(b"attacker"), None);
    assert_eq!(buffer.search(b"oc"), Some(7));
    assert_eq!(buffer.search_in(b"cat", 7..), Some(8));
    assert_eq!(buffer.search(b"tacking"), None);
    assert_eq!(buffer.search_in(b"foo", 5..), Some(5));
    assert_eq!(buffer.search_in(b"tat", 7..), Some(10));
    assert_eq!(buffer.search_in(b"foo", 6..), None);
    assert_eq!(buffer.search_in(b"hello", 17..), None);
    assert_eq!(buffer.search_in(b"k", 16..), Some(16));
    assert_eq!(buffer.search_in(b"k", 18..), None);
    // Again from a match it is the same one; one further, the next.
    assert_eq!(buffer.search_in(b"a", 9..), Some(9));
    assert_eq!(buffer.search_in(b"a", 10..), Some(11));
}

/// The whole match lies in the range (EB-64).
#[test]
fn search_range_vectors() {
    let buffer = animals();
    assert_eq!(buffer.search_in(b"foo", ..12), Some(5));
    assert_eq!(buffer.search_in(b"foocata", ..12), Some(5));
    assert_eq!(buffer.search_in(b"foocatat", ..12), None);
    assert_eq!(buffer.search_in(b"ack", ..12), None);
    assert_eq!(buffer.search_in(b"attack", ..17), Some(11));
    assert_eq!(buffer.search_in(b"attack", 11..17), Some(11));
    assert_eq!(buffer.search_in(b"attack", 17..17), None);
    assert_eq!(buffer.search_in(b"attack", 11..=16), Some(11));
    assert_eq!(buffer.search_in(b"attack", ..usize::MAX), Some(11));
    assert_eq!(Buffer::new().search_in(b"attack", 0..0), None);
    #[allow(clippy::reversed_empty_ranges, reason = "a range that holds nothing")]
    let reversed = 9..3;
    assert_eq!(buffer.search_in(b"c", reversed), None);
}

/// No bytes at all are found at the start, as `str::find` has it, if that is a position (EB-65).
#[test]
fn empty_pattern_is_found_at_the_start() {
    let buffer = animals();
    assert_eq!(buffer.search(b""), Some(0));
    assert_eq!(buffer.search_in(b"", 4..), Some(4));
    assert_eq!(buffer.search_in(b"", 17..), Some(17));
    assert_eq!(buffer.search_in(b"", 18..), None);
    assert_eq!(Buffer::new().search(b""), Some(0));
}

/// Bytes of earlier, longer content that still lie in the memory behind the end are not found (EB-66).
#[test]
fn stale_bytes_are_not_found() {
    let mut buffer = Buffer::new();
    buffer.append(b"0123456789 needle").unwrap();
    buffer.drain(17).unwrap();
    buffer.append(b"0123456789 n").unwrap();
    assert_eq!(buffer.search(b"needle"), None);
    assert_eq!(buffer.search(b" n"), Some(10));
    assert_eq!(buffer.search(b"e"), None);
    buffer.append(b"eedle").unwrap();
    assert_eq!(buffer.search(b"needle"), Some(11));
}

/// Patterns that begin like themselves, one byte per chunk: no match is missed by going on too far (EB-62).
#[test]
fn periodic_patterns_are_found() {
    let text = b"aabaaabaaaabaab";
    let bytes: Vec<_> = text.chunks(1).collect();
    let buffer = chunked(&bytes);
    for start in 0..text.len() {
        for end in start + 1..=text.len() {
            let what = &text[start..end];
            let expected = text.windows(what.len()).position(|window| window == what);
            assert_eq!(buffer.search(what), expected, "{start}..{end}");
        }
    }
}

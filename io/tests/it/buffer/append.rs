//! Chapter 2: append, prepend, expand.

use super::{Log, assert_holds, chunked, noise};
use levent_io::Buffer;
use levent_io::buffer::Side;
use std::fmt;
use std::io::{self, IoSlice, Write};

/// The tail's room is filled first, and the rest goes into another chunk (EB-12, EB-8).
#[test]
fn append_fills_the_tail_first() {
    let data = noise(30_000);
    let mut buffer = Buffer::new();
    for piece in data.chunks(3000) {
        buffer.append(piece).unwrap();
    }
    assert_holds(&buffer, &data);
    assert!(buffer.slices(..).count() <= 6);
    assert_eq!(buffer.first_slice().len(), 4096);
}

/// Nothing appended is no change, and refused all the same by a frozen end (EB-12).
#[test]
fn empty_append() {
    let mut buffer = Buffer::from("x");
    let log = Log::of(&mut buffer);
    buffer.append(b"").unwrap();
    assert_eq!(log.take(), []);
    buffer.freeze(Side::Back);
    assert!(buffer.append(b"").is_err());
}

/// Drained room in front of few bytes is used before another block is (EB-10).
#[test]
fn tail_is_compacted() {
    let data = noise(4096);
    let mut buffer = Buffer::new();
    buffer.append(&data).unwrap();
    buffer.drain(4000).unwrap();
    let before = buffer.footprint();
    buffer.append(&data[..3000]).unwrap();
    assert_eq!(buffer.footprint(), before);
    assert_eq!(buffer.chunk_count(), 1);
    assert_holds(&buffer, &[&data[4000..], &data[..3000]].concat());
}

/// A failing append has filled no tail: nothing came in (EB-13).
#[test]
fn failure_appends_nothing() {
    let mut buffer = Buffer::from("ab");
    buffer.freeze(Side::Back);
    assert!(
        buffer
            .append_vectored(&[IoSlice::new(b"c"), IoSlice::new(b"d")])
            .is_err()
    );
    assert!(write!(buffer, "e").is_err());
    buffer.unfreeze(Side::Back);
    assert_holds(&buffer, b"ab");
}

/// All vectors in order, their sum as the answer, one change (EB-14).
#[test]
fn vectors_are_appended_in_order() {
    let data = noise(9000);
    let mut buffer = Buffer::new();
    let log = Log::of(&mut buffer);
    let vectors = [&data[..10], &[], &data[10..8000], &data[8000..]].map(IoSlice::new);
    assert_eq!(buffer.append_vectored(&vectors).unwrap(), 9000);
    assert_holds(&buffer, &data);
    assert_eq!(log.take(), [(0, 9000, 0)]);
    assert_eq!(buffer.write_vectored(&vectors[..1]).unwrap(), 10);
    assert_eq!(buffer.append_vectored(&[]).unwrap(), 0);
}

/// Formatted text without a terminator, its length as the answer, one change, however long it is (EB-15).
#[test]
fn formatted_text() {
    let mut buffer = Buffer::new();
    let log = Log::of(&mut buffer);
    assert_eq!(
        buffer
            .append_fmt(format_args!("{} {}", "Hello", "world"))
            .unwrap(),
        11
    );
    assert_eq!(log.take(), [(0, 11, 0)]);
    write!(buffer, "{:>9000}", 7).unwrap();
    assert_eq!(log.take(), [(11, 9000, 0)]);
    assert_eq!(buffer.len(), 9011);
    assert_eq!(buffer.byte_at(9010), Some(b'7'));
}

/// A formatting trait that fails in the middle leaves the buffer as it was, and is no change (EB-15, EB-100).
#[test]
fn failed_formatting_is_undone() {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&"x".repeat(10_000))?;
            Err(fmt::Error)
        }
    }
    let mut buffer = Buffer::from("kept");
    let log = Log::of(&mut buffer);
    let error = buffer.append_fmt(format_args!("abc{Fails}")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other);
    assert_holds(&buffer, b"kept");
    buffer.append(b"!").unwrap();
    assert_eq!(log.take(), [(4, 1, 0)]);
}

/// Prepending uses the drained front, then a new block from its end; shared memory is not written to (EB-16).
#[test]
fn prepend_uses_the_front_room() {
    let mut buffer = Buffer::new();
    buffer.append(b"0123456789").unwrap();
    buffer.drain(4).unwrap();
    buffer.prepend(b"xyz").unwrap();
    assert_holds(&buffer, b"xyz456789");
    assert_eq!(buffer.chunk_count(), 1);
    buffer.prepend(b"abc").unwrap();
    assert_holds(&buffer, b"abcxyz456789");
    assert_eq!(buffer.chunk_count(), 2);
    // The new block was filled from its end.
    buffer.prepend(&[b'-'; 2000]).unwrap();
    assert_eq!(buffer.chunk_count(), 2);

    static TEXT: &[u8] = b"static";
    let mut buffer = Buffer::new();
    buffer.append_static(TEXT).unwrap();
    buffer.drain(3).unwrap();
    buffer.prepend(b"pre").unwrap();
    assert_holds(&buffer, b"pretic");
    assert_eq!(TEXT, b"static");
}

/// Nothing prepended is fine even at a frozen start (EB-16).
#[test]
fn empty_prepend() {
    let mut buffer = Buffer::from("x");
    buffer.freeze(Side::Front);
    buffer.prepend(b"").unwrap();
    assert!(buffer.prepend(b"y").is_err());
    assert_holds(&buffer, b"x");
}

/// A prepend over two chunks is one change with the whole count (EB-17).
#[test]
fn split_prepend_is_one_change() {
    let data = noise(8096);
    let mut buffer = Buffer::new();
    buffer.append(b"12345").unwrap();
    buffer.drain(2).unwrap();
    let log = Log::of(&mut buffer);
    buffer.prepend(&data).unwrap();
    assert_eq!(log.take(), [(3, 8096, 0)]);
    assert_holds(&buffer, &[&data[..], b"345"].concat());
}

/// After `expand` nothing is allocated for that many bytes, in one piece; no change; frozen or not (EB-18).
#[test]
fn expanded_room_is_used() {
    let mut buffer = Buffer::from("some");
    let log = Log::of(&mut buffer);
    buffer.freeze(Side::Back);
    buffer.freeze(Side::Front);
    buffer.expand(100_000).unwrap();
    buffer.unfreeze(Side::Back);
    assert_eq!(log.take(), []);
    assert_holds(&buffer, b"some");
    let memory = buffer.footprint();
    assert!(memory >= 100_000);
    let data = noise(100_000);
    buffer.append(&data).unwrap();
    assert_eq!(buffer.footprint(), memory);
    assert_eq!(buffer.slices(4..).next(), Some(&data[..]));
}

/// Room in the tail is kept; drained room in front is used and the bytes kept; a large tail is not copied (EB-19, EB-20).
#[test]
fn expand_cases() {
    let data = noise(16_000);
    let mut buffer = Buffer::new();
    buffer.expand(10).unwrap();
    buffer.append(&data[..10]).unwrap();
    let address = buffer.first_slice().as_ptr();
    buffer.expand(1000).unwrap();
    assert_eq!(buffer.first_slice().as_ptr(), address);
    // Only where the drained bytes were is there room for so many.
    buffer.append(&data[10..4000]).unwrap();
    buffer.drain(3000).unwrap();
    let memory = buffer.footprint();
    buffer.expand(3000).unwrap();
    assert_eq!(buffer.footprint(), memory);
    assert_holds(&buffer, &data[3000..4000]);
    // A large tail stays where it is.
    let mut buffer = Buffer::new();
    buffer.append(&data).unwrap();
    buffer.drain(4000).unwrap();
    let address = buffer.first_slice().as_ptr();
    buffer.expand(2000).unwrap();
    assert_eq!(buffer.first_slice().as_ptr(), address);
    assert!(buffer.expand(usize::MAX - 5).is_err());
    assert_holds(&buffer, &data[4000..]);
}

/// Iterators, vectors and strings become bytes of a buffer; an iterator cannot be refused, and a frozen end drops its bytes (EB-99).
#[test]
fn std_ways_in() {
    let mut buffer: Buffer = (0..=255).collect();
    buffer.extend(0..=255_u8);
    buffer.extend(&[1, 2, 3]);
    let mut expected: Vec<u8> = (0..=255).chain(0..=255).collect();
    expected.extend([1, 2, 3]);
    assert_holds(&buffer, &expected);
    buffer.extend(vec![5; 2000]);
    assert_eq!(buffer.len(), expected.len() + 2000);
    buffer.freeze(Side::Back);
    buffer.extend([1]);
    assert_eq!(buffer.len(), expected.len() + 2000);
    assert_holds(&Buffer::from(String::from("text")), b"text");
    assert_holds(&chunked(&[b"a", b"b"]), b"ab");
}

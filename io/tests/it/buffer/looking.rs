//! Chapter 7: pull-up and peek.

use super::{Log, assert_holds, chunked, noise};
use levent_io::Buffer;
use levent_io::buffer::Side;
use std::io::{ErrorKind, IoSlice};

/// The first bytes in one piece, whatever they lay in; no change; allowed while frozen; too many are refused (EB-50).
#[test]
fn pull_up_makes_one_piece() {
    let mut buffer = chunked(&[b"abc", b"def", b"ghi"]);
    let log = Log::of(&mut buffer);
    buffer.freeze(Side::Front);
    buffer.freeze(Side::Back);
    let address = buffer.first_slice().as_ptr();
    assert_eq!(buffer.pull_up(3).unwrap().as_ptr(), address);
    assert_eq!(buffer.pull_up(0).unwrap(), b"");
    assert_eq!(buffer.pull_up(5).unwrap(), b"abcde");
    assert_holds(&buffer, b"abcdefghi");
    let error = buffer.pull_up(10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(buffer.pull_up(usize::MAX).is_err());
    assert_eq!(buffer.make_contiguous().unwrap(), b"abcdefghi");
    assert_eq!(buffer.chunk_count(), 1);
    assert_eq!(log.take(), []);
    assert_eq!(Buffer::new().make_contiguous().unwrap(), b"");
}

/// Room behind the first chunk is used, and after draining room in front of it, too (EB-51).
#[test]
fn pull_up_extends_in_place() {
    let data = noise(4096);
    let mut buffer = Buffer::new();
    buffer.append(&data[..1000]).unwrap();
    let address = buffer.first_slice().as_ptr();
    for piece in data[1000..].chunks(1000) {
        buffer.append_buffer(&mut Buffer::from(piece)).unwrap();
    }
    assert_eq!(buffer.pull_up(1500).unwrap(), &data[..1500]);
    assert_eq!(buffer.pull_up(4096).unwrap().as_ptr(), address);
    assert_holds(&buffer, &data);
    buffer.drain(1000).unwrap();
    buffer
        .append_buffer(&mut Buffer::from(&data[..1000]))
        .unwrap();
    assert_eq!(buffer.make_contiguous().unwrap().as_ptr(), address);
    assert_holds(&buffer, &[&data[1000..], &data[..1000]].concat());
}

/// Shared memory is not written into by a pull-up: not a reference, and not a block that another buffer looks into (EB-44, EB-49, EB-51).
#[test]
fn pull_up_leaves_shared_memory_alone() {
    let mut parent = Buffer::new();
    parent.append(b"parent").unwrap();
    let mut view = Buffer::new();
    view.append_view(&mut parent).unwrap();
    parent.append(b"'s own").unwrap();
    view.append(b", view's").unwrap();
    assert_eq!(view.make_contiguous().unwrap(), b"parent, view's");
    assert_eq!(parent.make_contiguous().unwrap(), b"parent's own");
}

/// Room in between that holds nothing is no obstacle (EB-52).
#[test]
fn pull_up_with_spare_room() {
    let mut buffer = Buffer::from("a");
    buffer.expand(9000).unwrap();
    buffer.append_static(b"").unwrap();
    buffer.append_static(b"b").unwrap();
    assert_eq!(buffer.pull_up(2).unwrap(), b"ab");
    assert!(buffer.pull_up(3).is_err());
    buffer.append(b"c").unwrap();
    assert_eq!(buffer.pull_up(3).unwrap(), b"abc");
}

/// What was seen cannot be used after a change: the compiler sees to it. Until then it stays where it is (EB-53).
#[test]
fn view_borrows_the_buffer() {
    let buffer = chunked(&[b"ab", b"cd"]);
    let view = buffer.first_slice();
    assert_eq!(buffer.first_slice().as_ptr(), view.as_ptr());
}

fn peeked(buffer: &Buffer, start: usize, len: usize, slots: usize) -> (usize, Vec<Vec<u8>>) {
    let mut into = vec![IoSlice::new(b"untouched"); slots];
    let needed = buffer.peek(start, len, &mut into);
    let filled = into.iter().take(needed.min(slots));
    (needed, filled.map(|slice| slice.to_vec()).collect())
}

/// The answer is how many slices it takes, and may be more than there is room for (EB-54, EB-55).
#[test]
fn peek_counts_what_it_takes() {
    let text = noise(66);
    let buffer = chunked(&[&text[..22], &text[22..44], &text[44..]]);
    let (needed, seen) = peeked(&buffer, 0, 60, 1);
    assert_eq!((needed, seen), (3, vec![text[..22].to_vec()]));
    let (needed, seen) = peeked(&buffer, 0, 60, 5);
    assert_eq!((needed, seen.concat()), (3, text.clone()));
    // Never cut, and no more than there is.
    assert_eq!(peeked(&buffer, 0, 23, 5).1.concat(), text[..44]);
    assert_eq!(peeked(&buffer, 0, 1000, 5).0, 3);
    assert_eq!(peeked(&buffer, 0, usize::MAX, 0).0, 3);
    assert_eq!(peeked(&buffer, 30, usize::MAX, 1).0, 2);
    assert_holds(&buffer, &text);
}

/// From the middle of a chunk, from the end, and for nothing (EB-56, EB-58).
#[test]
fn peek_from_a_position() {
    let text = noise(66);
    let buffer = chunked(&[&text[..22], &text[22..44], &text[44..]]);
    assert_eq!(peeked(&buffer, 20, 2, 3), (1, vec![text[20..22].to_vec()]));
    assert_eq!(peeked(&buffer, 20, 3, 3).0, 2);
    assert_eq!(peeked(&buffer, 66, 1, 3).0, 0);
    assert_eq!(peeked(&buffer, usize::MAX, usize::MAX, 3).0, 0);
    assert_eq!(peeked(&buffer, 5, 0, 3).0, 0);
    assert_eq!(peeked(&Buffer::new(), 0, 1, 3).0, 0);
}

/// No slice is empty, whatever was appended (EB-57).
#[test]
fn peek_shows_no_empty_slice() {
    let mut buffer = Buffer::from("a");
    buffer.append_static(b"").unwrap();
    buffer.expand(10_000).unwrap();
    buffer.append_static(b"b").unwrap();
    assert_eq!(
        peeked(&buffer, 0, 2, 5),
        (2, vec![b"a".to_vec(), b"b".to_vec()])
    );
    assert_eq!(buffer.slices(1..1).count(), 0);
    assert_eq!(buffer.slices(1..=1).collect::<Vec<_>>(), [b"b"]);
}

//! Chapter 5: moves between buffers.

use super::{Log, assert_holds, chunked, noise};
use levent_io::Buffer;
use levent_io::buffer::Side;
use std::sync::{Arc, Mutex};

/// All chunks move, no byte is copied, the source is empty (EB-34).
#[test]
fn whole_buffers_move() {
    let mut source = chunked(&[b"abc", b"def"]);
    let addresses: Vec<_> = source.slices(..).map(<[u8]>::as_ptr).collect();
    let mut to = Buffer::from("0");
    assert_eq!(to.append_buffer(&mut source).unwrap(), 6);
    assert_holds(&to, b"0abcdef");
    assert_holds(&source, b"");
    assert_eq!(source.footprint(), 0);
    let moved: Vec<_> = to.slices(1..).map(<[u8]>::as_ptr).collect();
    assert_eq!(moved, addresses);
}

/// An empty source is nothing to do, whatever is frozen; otherwise the ends count (EB-34, EB-37, EB-38).
#[test]
fn frozen_ends_refuse_moves() {
    let (mut to, mut source) = (Buffer::from("to"), Buffer::new());
    to.freeze(Side::Back);
    to.freeze(Side::Front);
    source.freeze(Side::Front);
    assert_eq!(to.append_buffer(&mut source).unwrap(), 0);
    assert_eq!(to.prepend_buffer(&mut source).unwrap(), 0);
    assert_eq!(to.append_from(&mut source, 1).unwrap(), 0);
    source.append(b"from").unwrap();
    assert_eq!(to.append_from(&mut source, 0).unwrap(), 0);
    for (to_front, to_back, source_front) in [(true, true, false), (false, false, true)] {
        let set = |buffer: &mut Buffer, side, frozen| match frozen {
            true => buffer.freeze(side),
            false => buffer.unfreeze(side),
        };
        set(&mut to, Side::Front, to_front);
        set(&mut to, Side::Back, to_back);
        set(&mut source, Side::Front, source_front);
        assert!(to.append_buffer(&mut source).is_err());
        assert!(to.prepend_buffer(&mut source).is_err());
        assert!(to.append_from(&mut source, 2).is_err());
        assert_holds(&to, b"to");
        assert_holds(&source, b"from");
    }
}

/// First the source's observers hear of it, then the other's, and both lengths are final by then; in part or as a whole (EB-35, EB-40).
#[test]
fn source_hears_first() {
    for count in [3, 6] {
        let order = Arc::new(Mutex::new(Vec::new()));
        let (mut to, mut source) = (Buffer::from("12"), chunked(&[b"abcd", b"ef"]));
        for (name, buffer) in [("source", &mut source), ("to", &mut to)] {
            let order = order.clone();
            buffer.observe(move |buffer, change| {
                assert_eq!(buffer.len(), change.after());
                order
                    .lock()
                    .unwrap()
                    .push((name, change.added, change.deleted));
            });
        }
        assert_eq!(to.append_from(&mut source, count).unwrap(), count);
        assert_eq!(
            *order.lock().unwrap(),
            [("source", 0, count), ("to", count, 0)]
        );
    }
}

/// Room that was made in either buffer does not come between the bytes (EB-36).
#[test]
fn spare_room_does_not_get_in_the_way() {
    let (mut to, mut source) = (Buffer::new(), Buffer::from("abc"));
    to.expand(5000).unwrap();
    source.expand(5000).unwrap();
    to.append_buffer(&mut source).unwrap();
    to.append(b"def").unwrap();
    source.append(b"new").unwrap();
    assert_holds(&to, b"abcdef");
    assert_holds(&source, b"new");
    to.expand(50_000).unwrap();
    to.append_buffer(&mut source).unwrap();
    to.append(&[b'x'; 30_000]).unwrap();
    assert_eq!(to.search(b"defnewxxx"), Some(3));
    assert_eq!(to.len(), 30_009);
}

/// The same in front (EB-37).
#[test]
fn whole_buffers_move_in_front() {
    let mut to = Buffer::from("3");
    let mut source = chunked(&[b"1", b"2"]);
    let log = Log::of(&mut to);
    assert_eq!(to.prepend_buffer(&mut source).unwrap(), 2);
    assert_holds(&to, b"123");
    assert_holds(&source, b"");
    assert_eq!(log.take(), [(1, 2, 0)]);
    // Room is no content: prepending a buffer that only has some does nothing.
    source.expand(100).unwrap();
    assert_eq!(to.prepend_buffer(&mut source).unwrap(), 0);
    source.append(b"x").unwrap();
    assert_holds(&to, b"123");
    assert_holds(&source, b"x");
    let mut empty = Buffer::new();
    empty.prepend_buffer(&mut to).unwrap();
    assert_holds(&empty, b"123");
}

/// At most what there is; all of it is a whole move (EB-38).
#[test]
fn part_moves_count() {
    let (mut to, mut source) = (Buffer::new(), chunked(&[b"abc", b"def"]));
    let log = Log::of(&mut source);
    assert_eq!(to.append_from(&mut source, 0).unwrap(), 0);
    assert_eq!(to.append_from(&mut source, 2).unwrap(), 2);
    assert_eq!(to.append_from(&mut source, usize::MAX).unwrap(), 4);
    assert_holds(&to, b"abcdef");
    assert_holds(&source, b"");
    assert_eq!(log.take(), [(6, 0, 2), (4, 0, 4)]);
}

/// Whole chunks keep their place; a small rest is copied, a large one shared, and both buffers are independent then (EB-39).
#[test]
fn straddling_chunk_is_cut() {
    let data = noise(12_000);
    for count in [1, 3999, 4000, 4001, 4512, 4513, 6000, 8000, 11_999] {
        let mut source = chunked(&[&data[..4000], &data[4000..8000], &data[8000..]]);
        let second = source.slices(4000..).next().unwrap().as_ptr();
        let mut to = Buffer::from("x");
        to.drain(1).unwrap();
        assert_eq!(to.append_from(&mut source, count).unwrap(), count);
        assert_holds(&to, &data[..count]);
        assert_holds(&source, &data[count..]);
        let is_in_place = to.slices(4000..).next().map(<[u8]>::as_ptr) == Some(second);
        assert_eq!(is_in_place, count > 4512, "{count}");
        // Writing into either is not seen in the other.
        to.append(b"tail").unwrap();
        source.prepend(b"head").unwrap();
        source.make_contiguous().unwrap();
        source.append(b"tail").unwrap();
        assert_holds(&to, &[&data[..count], b"tail"].concat());
        assert_holds(&source, &[b"head", &data[count..], b"tail"].concat());
    }
}

/// What is cut off a reference is not copied either (EB-39, EB-44).
#[test]
fn cut_reference_is_shared() {
    static TEXT: &[u8] = b"0123456789";
    let (mut to, mut source) = (Buffer::new(), Buffer::new());
    source.append_static(TEXT).unwrap();
    to.append_from(&mut source, 4).unwrap();
    assert_eq!(to.first_slice().as_ptr(), TEXT.as_ptr());
    assert_holds(&to, b"0123");
    assert_holds(&source, b"456789");
}

/// A buffer and itself cannot be given to a move at all; one that went through another comes back whole (EB-41).
#[test]
fn there_and_back() {
    let (mut buffer, mut other) = (chunked(&[b"ab", b"cd"]), Buffer::new());
    other.append_buffer(&mut buffer).unwrap();
    buffer.prepend_buffer(&mut other).unwrap();
    assert_holds(&buffer, b"abcd");
    assert_holds(&other, b"");
}

/// Blocks with a few bytes are emptied into the room behind the last one: what many small moves bring takes no more blocks than if it had been appended. References
/// move as they are.
#[test]
fn small_moves_share_blocks() {
    for len in [1, 100, 1024] {
        let mut to = Buffer::new();
        let mut expected = Vec::new();
        for number in 0..300 {
            let mut source = Buffer::new();
            let data = &noise(len + number)[number..];
            source.append(data).unwrap();
            expected.extend(data);
            if number % 2 == 0 {
                to.append_buffer(&mut source).unwrap();
            } else {
                source.append_static(b"left").unwrap();
                to.append_from(&mut source, len).unwrap();
                assert_holds(&source, b"left");
            }
            assert!(source.footprint() == 0, "the block stays behind");
        }
        assert_holds(&to, &expected);
        assert!(
            to.footprint() <= expected.len() / 3 * 4 + 4096,
            "{} bytes lie in {}",
            expected.len(),
            to.footprint()
        );
    }
    let mut to = Buffer::from("block");
    let mut source = Buffer::new();
    source.append_static(b"static").unwrap();
    to.append_buffer(&mut source).unwrap();
    assert_eq!(to.chunk_count(), 2);
}

//! Chapter 3: reserve and commit.

use super::{Log, assert_holds, noise};
use levent_io::Buffer;
use levent_io::buffer::Side;

/// One piece of at least what was asked for; two whose sum is (EB-21, EB-22).
#[test]
fn room_is_at_least_what_was_asked_for() {
    for size in [0, 1, 100, 4096, 4097, 16_384, 100_000] {
        let mut buffer = Buffer::new();
        let log = Log::of(&mut buffer);
        assert!(buffer.reserve(size).unwrap().len() >= size);
        assert!(buffer.reserve_split(size).unwrap().capacity() >= size);
        assert_eq!(log.take(), []);
        assert_holds(&buffer, b"");
        // An idle buffer keeps nothing of what it only looked at.
        assert_eq!(buffer.footprint(), 0);
    }
}

/// Asked again without a commit, the room is the same (EB-22).
#[test]
fn same_room_again() {
    let mut buffer = Buffer::from("x");
    buffer.expand(20_000).unwrap();
    let first = buffer.reserve(20_000).unwrap().as_ptr();
    let again = buffer.reserve(20_000).unwrap().as_ptr();
    assert_eq!(first, again);
    buffer.append(b"y").unwrap();
    let behind = buffer.reserve(100).unwrap().as_ptr();
    assert_eq!(behind, buffer.reserve(100).unwrap().as_ptr());
}

/// A part-full tail gives its rest, and a new block the remainder (EB-23).
#[test]
fn two_pieces_over_a_part_full_tail() {
    let data = noise(10_000);
    let mut buffer = Buffer::new();
    buffer.append(&data[..1000]).unwrap();
    let mut room = buffer.reserve_split(9000).unwrap();
    let [tail, block] = room.pieces();
    assert_eq!(tail.len(), 3096);
    assert!(tail.len() + block.len() >= 9000);
    tail.copy_from_slice(&data[1000..4096]);
    block[..5904].copy_from_slice(&data[4096..]);
    assert_eq!(room.io_slices()[0].len(), 3096);
    assert_eq!(room.commit(9000).unwrap(), 10_000);
    assert_holds(&buffer, &data);
}

/// Each piece may be committed in part or not at all; trailing ones may be left out; one change with the sum (EB-24).
#[test]
fn pieces_are_committed_in_part() {
    let mut buffer = Buffer::from("");
    buffer.append(&[0; 4000]).unwrap();
    let log = Log::of(&mut buffer);
    let fill = |buffer: &mut Buffer, counts: &[usize]| {
        let mut room = buffer.reserve_split(1000).unwrap();
        let [tail, block] = room.pieces();
        tail.fill(1);
        block.fill(2);
        room.commit_parts(counts).unwrap()
    };
    assert_eq!(fill(&mut buffer, &[]), 4000);
    assert_eq!(fill(&mut buffer, &[0, 0]), 4000);
    assert_eq!(log.take(), []);
    assert_eq!(fill(&mut buffer, &[5]), 4005);
    assert_eq!(fill(&mut buffer, &[3, 4, 0]), 4012);
    assert_eq!(log.take(), [(4000, 5, 0), (4005, 7, 0)]);
    let tail = buffer.take_vec(5000).unwrap().split_off(4000);
    assert_eq!(tail, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
}

/// More than was handed out is refused as a whole: nothing is committed (EB-25).
#[test]
fn too_much_is_refused() {
    let mut buffer = Buffer::new();
    buffer.append(&[0; 4000]).unwrap();
    let log = Log::of(&mut buffer);
    for counts in [&[97, 0][..], &[1, usize::MAX], &[1, 1, 1], &[usize::MAX]] {
        let room = buffer.reserve_split(1000).unwrap();
        assert!(room.commit_parts(counts).is_err(), "{counts:?}");
    }
    let room = buffer.reserve(10).unwrap();
    let capacity = room.capacity();
    assert!(room.commit(capacity + 1).is_err());
    assert!(buffer.reserve(10).unwrap().commit_parts(&[1, 1]).is_err());
    assert!(buffer.reserve(10).unwrap().commit(usize::MAX).is_err());
    assert_holds(&buffer, &[0; 4000]);
    assert_eq!(log.take(), []);
}

/// A dropped reservation adds nothing, and what is done next is not disturbed by it (EB-26).
#[test]
fn dropped_reservation_is_void() {
    let mut buffer = Buffer::from("kept");
    buffer.reserve(5000).unwrap().fill(9);
    assert_holds(&buffer, b"kept");
    buffer.append(b", and more").unwrap();
    assert_holds(&buffer, b"kept, and more");
}

/// A frozen end hands out no room; a frozen start does (EB-27).
#[test]
fn frozen_end_has_no_room() {
    let mut buffer = Buffer::new();
    buffer.freeze(Side::Back);
    assert!(buffer.reserve(1).is_err());
    assert!(buffer.reserve_split(1).is_err());
    buffer.unfreeze(Side::Back);
    buffer.freeze(Side::Front);
    buffer.reserve(1).unwrap().commit(1).unwrap();
    assert_eq!(buffer.len(), 1);
}

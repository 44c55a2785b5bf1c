//! Chapter 4: drain, copy out, remove.

use super::{Log, assert_holds, chunked, noise};
use levent_io::Buffer;
use levent_io::buffer::{Side, pool};
use std::io::{BufRead, Read};

/// What is asked for or all there is; one change with the count; nothing for an empty buffer, frozen or not (EB-29).
#[test]
fn drain_takes_what_there_is() {
    let mut buffer = chunked(&[b"abc", b"def"]);
    let log = Log::of(&mut buffer);
    assert_eq!(buffer.drain(0).unwrap(), 0);
    assert_eq!(buffer.drain(4).unwrap(), 4);
    assert_holds(&buffer, b"ef");
    buffer.freeze(Side::Front);
    assert!(buffer.drain(0).is_err());
    assert!(buffer.drain(9).is_err());
    buffer.unfreeze(Side::Front);
    assert_eq!(buffer.drain(usize::MAX).unwrap(), 2);
    assert_eq!(log.take(), [(6, 0, 4), (2, 0, 2)]);
    buffer.freeze(Side::Front);
    assert_eq!(buffer.drain(5).unwrap(), 0);
}

/// Blocks that are used up go back at once, while others are still in use (EB-29).
#[test]
fn drained_blocks_are_released() {
    let mut buffer = Buffer::new();
    for _ in 0..3 {
        buffer.append(&[0; 4096]).unwrap();
    }
    let (memory, held) = (buffer.footprint(), pool::held());
    buffer.drain(4097).unwrap();
    assert_eq!(buffer.footprint(), memory - 4096);
    assert_eq!(pool::held(), held + 4096);
}

/// Copies across chunks, takes nothing; nothing to copy is fine even if frozen (EB-30).
#[test]
fn copy_out_leaves_the_bytes() {
    let mut buffer = chunked(&[b"abc", b"def", b"ghi"]);
    let mut into = [0; 20];
    assert_eq!(buffer.copy_out(&mut into[..7]).unwrap(), 7);
    assert_eq!(&into[..7], b"abcdefg");
    assert_eq!(buffer.copy_out(&mut into).unwrap(), 9);
    assert_holds(&buffer, b"abcdefghi");
    buffer.freeze(Side::Front);
    assert_eq!(buffer.copy_out(&mut []).unwrap(), 0);
    assert!(buffer.copy_out(&mut into).is_err());
    buffer.unfreeze(Side::Front);
    buffer.drain(9).unwrap();
    buffer.freeze(Side::Front);
    assert_eq!(buffer.copy_out(&mut into).unwrap(), 0);
}

/// From a position on, limited to what follows; behind the end is an error (EB-31).
#[test]
fn copy_out_from_a_position() {
    let text = noise(206);
    let buffer = chunked(&[&text[..20], &text[20..86], &text[86..]]);
    let mut into = [0; 300];
    for count in [10, 65, 90, 160, 191] {
        assert_eq!(buffer.copy_out_at(15, &mut into[..count]).unwrap(), count);
        assert_eq!(into[..count], text[15..15 + count]);
    }
    assert_eq!(buffer.copy_out_at(15, &mut into).unwrap(), 191);
    assert_eq!(buffer.copy_out_at(206, &mut into).unwrap(), 0);
    assert!(buffer.copy_out_at(207, &mut into).is_err());
    assert!(buffer.copy_out_at(usize::MAX, &mut []).is_err());
}

/// Removing is copying and draining, as `Read` and as a vector (EB-32).
#[test]
fn remove_copies_and_drains() {
    let mut buffer = chunked(&[b"abc", b"def"]);
    let log = Log::of(&mut buffer);
    let mut into = [0; 4];
    assert_eq!(buffer.read(&mut into).unwrap(), 4);
    assert_eq!(&into, b"abcd");
    assert!(buffer.read_exact(&mut into).is_err());
    assert_holds(&buffer, b"ef");
    assert_eq!(buffer.read(&mut []).unwrap(), 0);
    assert_eq!(buffer.take_vec(10).unwrap(), b"ef");
    assert_eq!(buffer.read(&mut into).unwrap(), 0);
    assert_eq!(log.take(), [(6, 0, 4), (2, 0, 2)]);
    buffer.append(b"x").unwrap();
    buffer.freeze(Side::Front);
    assert!(buffer.read(&mut into).is_err());
    assert!(buffer.take_vec(1).is_err());
}

/// `BufRead` shows the first chunk and takes what was consumed of it (EB-32, EB-98).
#[test]
fn buffered_reading() {
    let mut buffer = chunked(&[b"li", b"ne\nrest"]);
    assert_eq!(buffer.fill_buf().unwrap(), b"li");
    let mut line = String::new();
    buffer.read_line(&mut line).unwrap();
    assert_eq!(line, "line\n");
    buffer.freeze(Side::Front);
    assert!(buffer.fill_buf().is_err());
    buffer.consume(2);
    assert_eq!(buffer.len(), 4);
    buffer.unfreeze(Side::Front);
    buffer.consume(usize::MAX);
    assert_eq!(buffer.fill_buf().unwrap(), b"");
}

//! Chapter 1: shape, size and economy; and how buffers are shared and end (chapter 14).

use super::{assert_holds, chunked};
use levent_io::Buffer;
use levent_io::buffer::pool;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Bytes come out in the order they went in, and the length is known all the time (EB-1, EB-11).
#[test]
fn queue_of_bytes() {
    let mut buffer = Buffer::new();
    assert_eq!((buffer.len(), buffer.contiguous_len()), (0, 0));
    buffer.append(b"one ").unwrap();
    buffer.append_static(b"two").unwrap();
    assert_eq!((buffer.len(), buffer.contiguous_len()), (7, 4));
    assert_eq!(buffer.take_vec(5).unwrap(), b"one t");
    assert_holds(&buffer, b"wo");
}

/// Operations that bring nothing leave no empty chunk anywhere, and what follows them works (EB-3, EB-4, EB-28).
#[test]
fn no_chunk_is_empty() {
    let mut buffer = Buffer::new();
    buffer.append_static(b"").unwrap();
    buffer.prepend(b"row").unwrap();
    buffer.append(b"").unwrap();
    buffer.reserve(0).unwrap().commit(0).unwrap();
    buffer.append_shared(Arc::from([])).unwrap();
    buffer.append_buffer(&mut Buffer::new()).unwrap();
    buffer.prepend_buffer(&mut Buffer::from(vec![])).unwrap();
    assert_holds(&buffer, b"row");
    buffer.drain(3).unwrap();
    assert_holds(&buffer, b"");
    let room = buffer.reserve(5000).unwrap();
    assert!(room.len() >= 5000);
    room.commit(0).unwrap();
    assert_holds(&buffer, b"");
    buffer.append(b"after").unwrap();
    assert_holds(&buffer, b"after");
}

/// More than a block or a length can be is refused, and the bytes stay (EB-6).
#[test]
fn absurd_sizes_are_errors() {
    let mut buffer = Buffer::from("kept");
    for size in [
        usize::MAX,
        usize::MAX - 4,
        isize::MAX as usize,
        isize::MAX as usize - 3,
    ] {
        assert!(buffer.expand(size).is_err());
        assert!(buffer.reserve(size).is_err());
        assert!(buffer.reserve_split(size).is_err());
    }
    assert_holds(&buffer, b"kept");
    // The same megabyte, again and again: a length need not be memory.
    static PAGE: [u8; 1 << 20] = [7; 1 << 20];
    let mut huge = Buffer::new();
    huge.append_static(&PAGE).unwrap();
    for _ in 0..8 {
        let mut view = Buffer::new();
        view.append_view(&mut huge).unwrap();
        huge.append_buffer(&mut view).unwrap();
    }
    assert_eq!(huge.len(), 256 << 20);
    assert_eq!(huge.footprint(), 0);
}

/// After 103,000 small formatted appends less than an eighth of the memory is unused (EB-5, EB-7, EB-8).
#[test]
fn small_appends_fill_their_blocks() {
    let text = "x".repeat(103);
    let mut buffer = Buffer::new();
    for _ in 0..1000 {
        for length in 1..=103 {
            write!(buffer, "{}", &text[..length]).unwrap();
        }
    }
    assert_eq!(buffer.len(), 1000 * 103 * 104 / 2);
    let unused = buffer.footprint() - buffer.len();
    assert!(unused * 8 < buffer.footprint(), "{buffer:?}");
}

/// What is appended behind a huge reference takes a block for its own size (EB-9).
#[test]
fn growth_looks_at_the_data_only() {
    static HUGE: [u8; 8 << 20] = [1; 8 << 20];
    let mut buffer = Buffer::new();
    buffer.append_static(&HUGE).unwrap();
    buffer.append(b"x").unwrap();
    assert!(buffer.footprint() <= 16 << 10, "{buffer:?}");
}

/// An emptied buffer owns no memory; its blocks are the thread's, up to the cap, and a trim frees them (EB-2).
#[test]
fn blocks_come_from_the_pool() {
    pool::trim(0);
    let mut buffer = Buffer::from("");
    assert_eq!(buffer.footprint(), 0);
    buffer.append(&[1; 100]).unwrap();
    buffer.expand(10_000).unwrap();
    assert!(buffer.footprint() > 0);
    assert_eq!(pool::held(), 0);
    buffer.drain(100).unwrap();
    assert_eq!(buffer.footprint(), 0);
    let held = pool::held();
    assert!(held > 0);
    // What was given back is taken again, and not a new block.
    buffer.append(b"x").unwrap();
    assert!(pool::held() < held);
    drop(buffer);
    assert_eq!(pool::held(), held);
    pool::set_cap(held - 1);
    assert!(pool::held() < held);
    let mut many: Vec<_> = (0..10).map(|_| chunked(&[])).collect();
    for buffer in &mut many {
        buffer.append(b"x").unwrap();
    }
    drop(many);
    assert!(pool::held() <= pool::cap());
    pool::set_cap(0);
    Buffer::new().append(b"x").unwrap();
    assert_eq!(pool::held(), 0);
}

/// A buffer goes to another thread, and several share one behind a lock (EB-110, EB-111, EB-112).
#[test]
fn buffers_cross_threads() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let buffer = Buffer::new();
    is_send_and_sync(&buffer);
    let shared = Arc::new(Mutex::new(buffer));
    std::thread::scope(|scope| {
        for letter in [b'a', b'b'] {
            let shared = &shared;
            scope.spawn(move || {
                for _ in 0..100 {
                    shared.lock().unwrap().append(&[letter; 100]).unwrap();
                }
            });
        }
    });
    let buffer = Arc::into_inner(shared).unwrap().into_inner().unwrap();
    let bytes = buffer.to_vec().unwrap();
    assert_eq!(bytes.len(), 20_000);
    assert!(
        bytes
            .chunks(100)
            .all(|run| run.iter().all(|b| *b == run[0]))
    );
}

/// libevent's test of everything at once (EB-115).
#[test]
fn mixed_use() {
    let mut buffer = Buffer::new();
    let mut other = Buffer::new();
    write!(buffer, "hello/{}", 1).unwrap();
    assert_holds(&buffer, b"hello/1");
    buffer.append_buffer(&mut other).unwrap();
    assert_holds(&buffer, b"hello/1");
    write!(other, "/dlanod").unwrap();
    buffer.append_buffer(&mut other).unwrap();
    assert_holds(&buffer, b"hello/1/dlanod");
    assert_holds(&other, b"");
    buffer.drain("hello/".len()).unwrap();
    let zeroes = [0; 512];
    buffer.append(&zeroes).unwrap();
    assert_eq!(buffer.len(), 8 + 512);
    assert_eq!(&buffer.pull_up(519).unwrap()[..8], b"1/dlanod");
    buffer.prepend(b"prepend").unwrap();
    buffer.prepend(b"again, ").unwrap();
    assert_eq!(&buffer.pull_up(20).unwrap()[..16], b"again, prepend1/");
    buffer.drain(usize::MAX).unwrap();
    assert_holds(&buffer, b"");
    for _ in 0..3 {
        other
            .append_buffer(&mut Buffer::from(vec![9; 512]))
            .unwrap();
    }
    assert_eq!(buffer.append_from(&mut other, 1280).unwrap(), 1280);
    assert_holds(&buffer, &[9; 1280]);
    assert_holds(&other, &[9; 256]);
    for _ in 0..3 {
        let before = buffer.len();
        let mut room = buffer.reserve(10_000).unwrap();
        room[..10_000].fill(4);
        room.commit(10_000).unwrap();
        assert_eq!(buffer.len(), before + 10_000);
        assert_eq!(buffer.byte_at(before), Some(4));
        buffer.drain(10_000).unwrap();
    }
    assert_holds(&buffer, &[4; 1280]);
}

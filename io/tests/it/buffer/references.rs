//! Chapter 6: references and views.

use super::{Log, assert_holds, chunked, noise};
use levent_io::Buffer;
use levent_io::buffer::Side;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Memory that counts how often it is let go.
struct Owned(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn owned(bytes: &[u8]) -> (Arc<Owned>, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    (Arc::new(Owned(bytes.to_vec(), dropped.clone())), dropped)
}

fn count(dropped: &AtomicUsize) -> usize {
    dropped.load(Ordering::Relaxed)
}

/// Foreign memory is appended where it lies; refused at a frozen end, the caller's clone is still good (EB-42).
#[test]
fn references_are_not_copied() {
    let (owner, dropped) = owned(b"foreign");
    let shared: Arc<[u8]> = Arc::from(&b"shared"[..]);
    let mut buffer = Buffer::new();
    buffer.freeze(Side::Back);
    assert!(buffer.append_owner(owner.clone()).is_err());
    assert!(buffer.append_shared(shared.clone()).is_err());
    assert!(buffer.append_static(b"static").is_err());
    assert!(buffer.append_static(b"").is_err());
    assert_eq!((count(&dropped), Arc::strong_count(&shared)), (0, 1));
    buffer.unfreeze(Side::Back);
    buffer.append_owner(owner.clone()).unwrap();
    buffer.append_shared(shared.clone()).unwrap();
    buffer.append_static(b"static").unwrap();
    assert_holds(&buffer, b"foreignsharedstatic");
    let addresses: Vec<_> = buffer.slices(..).map(<[u8]>::as_ptr).collect();
    assert_eq!(addresses[..2], [owner.0.as_ptr(), shared.as_ptr()]);
    assert_eq!(buffer.footprint(), 0);
}

/// Let go once: with the last byte, drained or removed, or with the buffer; not by a move (EB-43).
#[test]
fn owner_goes_with_its_last_byte() {
    let mut buffer = Buffer::new();
    let (owner, drained) = owned(b"0123456789");
    buffer.append_owner(owner).unwrap();
    let (owner, removed) = owned(b"abc");
    buffer.append_owner(owner).unwrap();
    let (owner, dropped) = owned(b"xyz");
    buffer.append_owner(owner).unwrap();
    buffer.drain(9).unwrap();
    let mut other = Buffer::new();
    other.append_buffer(&mut buffer).unwrap();
    drop(buffer);
    assert_eq!(count(&drained), 0);
    other.drain(1).unwrap();
    assert_eq!((count(&drained), count(&removed)), (1, 0));
    assert_eq!(other.take_vec(3).unwrap(), b"abc");
    assert_eq!((count(&removed), count(&dropped)), (1, 0));
    drop(other);
    assert_eq!(
        [&drained, &removed, &dropped].map(|one| count(one)),
        [1, 1, 1]
    );
}

/// Whatever is done around it, the foreign memory is never written to (EB-44).
#[test]
fn foreign_memory_is_not_written() {
    let shared: Arc<[u8]> = Arc::from(&b"0123456789"[..]);
    let mut buffer = Buffer::new();
    buffer.append_shared(shared.clone()).unwrap();
    buffer.drain(5).unwrap();
    buffer.prepend(b"abc").unwrap();
    buffer.append(b"def").unwrap();
    assert_holds(&buffer, b"abc56789def");
    buffer.reserve(10).unwrap().fill(1);
    assert_eq!(buffer.make_contiguous().unwrap(), b"abc56789def");
    assert_eq!(&shared[..], b"0123456789");
}

/// A part of the memory is shown, and all of it let go at the end; a part that is not there is refused (EB-45).
#[test]
fn part_of_an_owner() {
    let (owner, dropped) = owned(b"0123456789");
    let mut buffer = Buffer::new();
    for (offset, len) in [(0, 11), (11, 0), (5, 6), (1, usize::MAX)] {
        let error = buffer.append_owner_part(owner.clone(), offset, len);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    buffer.append_owner_part(owner.clone(), 10, 0).unwrap();
    buffer.append_owner_part(owner, 3, 4).unwrap();
    assert_holds(&buffer, b"3456");
    buffer.drain(4).unwrap();
    assert_eq!(count(&dropped), 1);
}

/// No bytes are accepted, are no change, and let go at once (EB-46).
#[test]
fn empty_reference() {
    let (owner, dropped) = owned(b"");
    let mut buffer = Buffer::from("x");
    let log = Log::of(&mut buffer);
    buffer.append_owner(owner).unwrap();
    assert_eq!(count(&dropped), 1);
    assert_eq!(log.take(), []);
    buffer.prepend(b"w").unwrap();
    assert_holds(&buffer, b"wx");
}

/// Both buffers have the bytes, and are drained, added to and dropped on their own (EB-47).
#[test]
fn view_shares_the_bytes() {
    let data = noise(6000);
    let mut source = Buffer::new();
    source.append(&data).unwrap();
    source.append_static(b"static").unwrap();
    let all = [&data[..], b"static"].concat();
    let mut view = Buffer::from("view: ");
    let (told, not_told) = (Log::of(&mut view), Log::of(&mut source));
    source.freeze(Side::Front);
    source.freeze(Side::Back);
    assert_eq!(view.append_view(&mut source).unwrap(), 6006);
    assert_eq!((told.take().len(), not_told.take().len()), (1, 0));
    source.unfreeze(Side::Front);
    source.unfreeze(Side::Back);
    source.append(b" more").unwrap();
    source.drain(10).unwrap();
    source.prepend(b"0").unwrap();
    view.drain(6).unwrap();
    view.append(b"!").unwrap();
    assert_holds(&source, &[b"0", &all[10..], b" more"].concat());
    drop(source);
    assert_holds(&view, &[&all[..], b"!"].concat());
}

/// A view of a view is a view; only a frozen end refuses; nothing is a view of nothing (EB-48, EB-49).
#[test]
fn views_nest() {
    let mut first = chunked(&[b"ab", b"cd"]);
    let (mut second, mut third) = (Buffer::new(), Buffer::new());
    second.append_view(&mut first).unwrap();
    third.expand(5000).unwrap();
    third.append_view(&mut second).unwrap();
    first.append_view(&mut second).unwrap();
    drop(second);
    assert_holds(&first, b"abcdabcd");
    assert_holds(&third, b"abcd");
    third.freeze(Side::Back);
    assert!(third.append_view(&mut first).is_err());
    assert_eq!(third.append_view(&mut Buffer::new()).unwrap(), 0);
    assert_holds(&third, b"abcd");
}

/// Memory that its owner shortens is an error to read, and can still be drained (EB-100).
#[test]
fn inconstant_owner_is_an_error() {
    struct Shrinks(AtomicBool);
    impl AsRef<[u8]> for Shrinks {
        fn as_ref(&self) -> &[u8] {
            if self.0.load(Ordering::Relaxed) {
                b""
            } else {
                b"four"
            }
        }
    }
    let owner = Arc::new(Shrinks(AtomicBool::new(false)));
    let mut buffer = chunked(&[b"ab"]);
    buffer.append_owner(owner.clone()).unwrap();
    buffer.append(b"cd").unwrap();
    owner.0.store(true, Ordering::Relaxed);
    assert!(buffer.to_vec().is_err());
    assert!(buffer.pull_up(4).is_err());
    assert!(buffer.load().is_err());
    assert!(buffer.write_to(&mut Vec::new(), usize::MAX).is_err());
    assert!(buffer.cursor(0).unwrap().advance(5).is_err());
    assert_eq!(buffer.search(b"cd"), None);
    assert_eq!(buffer.drain(6).unwrap(), 6);
    assert_holds(&buffer, b"cd");
}

/// `Bytes` are shared, too.
#[cfg(feature = "bytes")]
#[test]
fn bytes_are_shared() {
    let bytes = bytes::Bytes::from(noise(100));
    let mut buffer = Buffer::new();
    buffer.append_bytes(bytes.slice(10..90)).unwrap();
    assert_eq!(buffer.first_slice().as_ptr(), bytes[10..].as_ptr());
    assert_holds(&buffer, &bytes[10..90]);
}

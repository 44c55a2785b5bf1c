//! Chapter 10: parts of files.

use super::{Log, assert_holds, noise};
use levent_io::Buffer;
use levent_io::buffer::{Segment, Side};
use levent_reactor::file::Map;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An open file without a name that holds `data`.
fn file(data: &[u8]) -> File {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("levent-buffer-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, data).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

/// Writes all of it to a socket and returns what comes out there.
fn through_socket(
    buffer: &mut Buffer,
    write: impl Fn(&mut Buffer, &mut UnixStream) -> io::Result<usize>,
) -> Vec<u8> {
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        there.read_to_end(&mut received).map(|_| received)
    });
    while !buffer.is_empty() {
        assert!(write(buffer, &mut here).unwrap() > 0);
    }
    drop(here);
    reader.join().unwrap().unwrap()
}

/// A part of the file, or all from an offset on, and not more (EB-78, EB-79).
#[test]
fn file_is_appended() {
    let mut buffer = Buffer::from("> ");
    let log = Log::of(&mut buffer);
    assert_eq!(
        buffer.append_file(file(b"0123456789"), 2, Some(3)).unwrap(),
        3
    );
    assert_eq!(buffer.append_file(file(b"0123456789"), 7, None).unwrap(), 3);
    assert_eq!(log.take(), [(2, 3, 0), (5, 3, 0)]);
    assert_holds(&buffer, b"> 234789");
}

/// Parts that are not there are refused, as is what is no regular file; and the file is the caller's again (EB-80, EB-86).
#[test]
fn refused_file_comes_back() {
    let mut buffer = Buffer::from("x");
    let mut own = file(b"0123456789");
    let number = own.as_raw_fd();
    let beyond = [
        (11, None),
        (0, Some(11)),
        (5, Some(6)),
        (u64::MAX, None),
        (1, Some(u64::MAX)),
    ];
    for (offset, len) in beyond {
        let refused = buffer.append_file(own, offset, len).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
        own = Segment::new(refused.file, offset, len).unwrap_err().file;
        assert_eq!(own.as_raw_fd(), number);
    }
    buffer.freeze(Side::Back);
    let refused = buffer.append_file(own, 0, None).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(refused.file.metadata().unwrap().len(), 10);
    let device = File::open("/dev/zero").unwrap();
    let error = io::Error::from(Segment::new(device, 0, Some(1)).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_holds(&buffer, b"x");
}

/// One segment in several buffers, several times, in windows of it (EB-80, EB-81).
#[test]
fn segment_is_shared() {
    let segment = Segment::new(file(b"0123456789"), 1, Some(8)).unwrap();
    let (mut first, mut second) = (Buffer::new(), Buffer::new());
    assert_eq!(first.append_segment(&segment, 0, None).unwrap(), 8);
    assert_eq!(first.append_segment(&segment, 6, None).unwrap(), 2);
    assert_eq!(second.append_segment(&segment, 2, Some(3)).unwrap(), 3);
    for (offset, len) in [(9, None), (0, Some(9)), (8, Some(1)), (usize::MAX, Some(2))] {
        let error = second.append_segment(&segment, offset, len).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    drop(segment);
    assert_holds(&first, b"1234567878");
    drop(first);
    assert_holds(&second, b"345");
}

/// Nothing is read until somebody looks; then the bytes are there for all, and the file's own position is where it was (EB-82, EB-84).
#[test]
fn segment_is_read_when_it_is_looked_at() {
    let own = file(b"0123456789");
    let mut same = own.try_clone().unwrap();
    let segment = Segment::new(own, 3, None).unwrap();
    let mut buffer = Buffer::new();
    buffer.append_segment(&segment, 0, None).unwrap();
    buffer.append_segment(&segment, 1, None).unwrap();
    buffer.drain(1).unwrap();
    let mut other = Buffer::new();
    other.append_from(&mut buffer, 3).unwrap();
    assert!(!segment.is_in_memory());
    assert_eq!(buffer.search(b"789"), Some(0));
    assert!(segment.is_in_memory());
    assert_eq!(same.stream_position().unwrap(), 0);
    assert_holds(&other, b"456");
    assert_holds(&buffer, b"789456789");
}

/// A file that has become shorter is an error to whoever wants the bytes, and not other memory; it can still be drained (EB-82, EB-83).
#[test]
fn shortened_file_is_an_error() {
    let own = file(b"0123456789");
    let same = own.try_clone().unwrap();
    let mut buffer = Buffer::from("a");
    buffer.append_file(own, 0, None).unwrap();
    buffer.append(b"b").unwrap();
    same.set_len(5).unwrap();
    for error in [
        buffer.to_vec().unwrap_err(),
        buffer.load().unwrap_err(),
        buffer.copy_out(&mut [0; 12]).unwrap_err(),
        buffer.pull_up(5).map(drop).unwrap_err(),
        buffer.take_vec(5).unwrap_err(),
        buffer.take_line(levent_io::buffer::Eol::Lf).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
    assert_eq!(buffer.search(b"b"), None);
    assert_eq!(buffer.len(), 12);
    // What is there is still sent; the rest is the error.
    let (mut here, _there) = UnixStream::pair().unwrap();
    assert_eq!(buffer.send_to(&mut here, usize::MAX).unwrap(), 1);
    #[cfg(target_os = "linux")]
    assert_eq!(buffer.send_to(&mut here, usize::MAX).unwrap(), 5);
    let error = buffer.send_to(&mut here, usize::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    buffer.drain(buffer.len() - 1).unwrap();
    assert_holds(&buffer, b"b");
}

/// Cut, moved, shared, searched, copied and pulled up: a segment's bytes are its bytes (EB-33, EB-83).
#[test]
fn segment_is_as_good_as_memory() {
    let data = noise(10_000);
    let segment = Segment::new(file(&data), 0, None).unwrap();
    let fresh = || {
        let mut buffer = Buffer::new();
        let again = Segment::new(file(&data), 0, None).unwrap();
        buffer.append_segment(&again, 0, None).unwrap();
        buffer
    };
    assert_eq!(fresh().pull_up(100).unwrap(), &data[..100]);
    assert_eq!(fresh().byte_at(9_999), Some(data[9_999]));
    let mut into = [0; 50];
    assert_eq!(fresh().copy_out_at(5_000, &mut into).unwrap(), 50);
    assert_eq!(into, data[5_000..5_050]);
    let mut view = Buffer::new();
    view.append_view(&mut fresh()).unwrap();
    assert_holds(&view, &data);
    let (mut front, mut rest) = (Buffer::from("x"), fresh());
    front.append_from(&mut rest, 3_333).unwrap();
    assert_holds(&rest, &data[3_333..]);
    assert_eq!(front.make_contiguous().unwrap()[1..], data[..3_333]);
    segment.load().unwrap();
    assert!(segment.is_in_memory());
}

/// The cleanup runs once, when neither handle nor buffer is left, after the file was closed (EB-85).
#[test]
fn cleanup_runs_last() {
    let own = file(b"0123456789");
    let (number, inode) = (own.as_raw_fd(), own.metadata().unwrap().ino());
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let segment = Segment::new(own, 0, None).unwrap();
    segment.on_release(|| panic!("replaced by the next"));
    segment.on_release(move || {
        // Another test may have been given the number meanwhile, and has another file there.
        let is_there = std::fs::metadata(format!("/proc/self/fd/{number}"));
        assert!(!is_there.is_ok_and(|file| file.ino() == inode));
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut buffer = Buffer::new();
    buffer.append_segment(&segment, 0, None).unwrap();
    let mut other = Buffer::new();
    other.append_from(&mut buffer, 5).unwrap();
    drop(segment);
    buffer.drain(5).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    drop(other);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

/// Whatever the way, exactly the chosen bytes arrive: sent, read piece by piece, from memory, mapped; the whole, parts, windows (EB-82, EB-87).
#[test]
fn every_way_delivers_the_same_bytes() {
    for data in [
        b"the 34 bytes of a small text file.".to_vec(),
        noise(512 << 10),
    ] {
        let size = data.len();
        for (start, len) in [(0, size), (size / 4 + 1, size / 2 - 1)] {
            for (from, count) in [(0, len), (len / 3, len / 2)] {
                let expected = &data[start + from..][..count];
                let filled = |is_loaded: bool| {
                    let segment =
                        Segment::new(file(&data), start as u64, Some(len as u64)).unwrap();
                    if is_loaded {
                        segment.load().unwrap();
                    }
                    let mut buffer = Buffer::from("<");
                    buffer.append_segment(&segment, from, Some(count)).unwrap();
                    buffer.append(b">").unwrap();
                    buffer
                };
                let expected = [b"<", expected, b">"].concat();
                let mut sent = filled(false);
                assert!(through_socket(&mut sent, |b, s| b.send_to(s, usize::MAX)) == expected);
                let mut limited = filled(false);
                assert!(through_socket(&mut limited, |b, s| b.send_to(s, 50_000)) == expected);
                let mut written = filled(false);
                assert!(through_socket(&mut written, |b, s| b.write_to(s, usize::MAX)) == expected);
                let mut loaded = filled(true);
                assert!(through_socket(&mut loaded, |b, s| b.send_to(s, usize::MAX)) == expected);
                // SAFETY: nobody else has the file, which has no name any more.
                #[allow(unsafe_code, reason = "mapping is")]
                let map = unsafe { Map::new(&file(&data), start as u64, len).unwrap() };
                let mut mapped = Buffer::from("<");
                mapped
                    .append_owner_part(Arc::new(map), from, count)
                    .unwrap();
                mapped.append(b">").unwrap();
                assert!(through_socket(&mut mapped, |b, s| b.send_to(s, usize::MAX)) == expected);
            }
        }
    }
}

/// A file that is sent is not read, without a flag that says so before, and a limit holds for it, too (EB-82, EB-95, EB-113).
#[cfg(target_os = "linux")]
#[test]
fn sent_file_is_not_read() {
    let segment = Segment::new(file(b"0123456789"), 0, None).unwrap();
    let mut buffer = Buffer::from("ab");
    buffer.append_segment(&segment, 0, None).unwrap();
    buffer.append(b"c").unwrap();
    let log = Log::of(&mut buffer);
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let mut next = |buffer: &mut Buffer, limit| buffer.send_to(&mut here, limit).unwrap();
    assert_eq!(next(&mut buffer, usize::MAX), 2);
    assert_eq!(next(&mut buffer, 4), 4);
    assert_eq!(next(&mut buffer, usize::MAX), 6);
    assert_eq!(next(&mut buffer, usize::MAX), 1);
    assert!(!segment.is_in_memory());
    assert_eq!(log.take(), [(13, 0, 2), (11, 0, 4), (7, 0, 6), (1, 0, 1)]);
    let mut received = [0; 13];
    there.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"ab0123456789c");
}

/// A full socket refuses a file as it refuses memory, and nothing is lost (EB-96).
#[test]
fn full_socket_refuses_a_file() {
    let data = noise(1 << 20);
    let (mut here, mut there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    let mut buffer = Buffer::new();
    buffer.append_file(file(&data), 0, None).unwrap();
    let refused = loop {
        match buffer.send_to(&mut here, usize::MAX) {
            Ok(count) => assert!(count > 0),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    let sent = data.len() - buffer.len();
    let mut received = vec![0; sent];
    there.read_exact(&mut received).unwrap();
    assert!(received == data[..sent]);
    assert_holds(&buffer, &data[sent..]);
}

/// A descriptor that `sendfile` cannot write to gets the bytes all the same (EB-82).
#[test]
fn unable_descriptor_is_written_to() {
    let mut target = file(b"");
    let path = format!("/proc/self/fd/{}", target.as_raw_fd());
    // The kernel refuses to send into a file that is open for appending.
    let Ok(mut appending) = File::options().append(true).open(path) else {
        return; // no such folder on this system
    };
    let mut buffer = Buffer::new();
    buffer.append_file(file(b"0123456789"), 2, Some(5)).unwrap();
    while !buffer.is_empty() {
        buffer.send_to(&mut appending, usize::MAX).unwrap();
    }
    appending.flush().unwrap();
    let mut text = String::new();
    target.read_to_string(&mut text).unwrap();
    assert_eq!(text, "23456");
}

/// A part of no bytes is nothing to do; of a file that cannot have any it is an error that leaks nothing (EB-88).
#[test]
fn empty_part_of_a_file() {
    let mut buffer = Buffer::from("x");
    let log = Log::of(&mut buffer);
    assert_eq!(buffer.append_file(file(b""), 0, Some(0)).unwrap(), 0);
    assert_eq!(buffer.append_file(file(b"abc"), 3, None).unwrap(), 0);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let segment = Segment::new(file(b"abc"), 0, Some(0)).unwrap();
    segment.on_release(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert!(segment.is_empty());
    segment.load().unwrap();
    buffer.append_segment(&segment, 0, None).unwrap();
    drop(segment);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(log.take(), []);
    assert_holds(&buffer, b"x");
}

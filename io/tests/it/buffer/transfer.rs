//! Chapter 11: reading from and writing to descriptors.

use super::{Log, assert_holds, chunked, noise};
use levent_io::Buffer;
use levent_io::buffer::{DEFAULT_MAX_READ, Side, pool};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::unix::net::UnixStream;

/// A non-blocking pair.
fn pair() -> (UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    for end in [&here, &there] {
        end.set_nonblocking(true).unwrap();
    }
    (here, there)
}

/// A reader and writer that notes how it was called, and moves at most `limit` bytes each time.
struct Scripted {
    calls: Vec<Vec<usize>>,
    limit: usize,
    interruptions: usize,
    written: Vec<u8>,
}

impl Scripted {
    fn new(limit: usize) -> Scripted {
        Scripted {
            calls: vec![],
            limit,
            interruptions: 0,
            written: vec![],
        }
    }

    fn call(&mut self, lengths: Vec<usize>) -> io::Result<()> {
        if self.interruptions > 0 {
            self.interruptions -= 1;
            return Err(ErrorKind::Interrupted.into());
        }
        self.calls.push(lengths);
        Ok(())
    }
}

impl Read for Scripted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(into)])
    }

    fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.call(into.iter().map(|slice| slice.len()).collect())?;
        let mut left = self.limit;
        for slice in into {
            let count = slice.len().min(left);
            slice[..count].fill(7);
            left -= count;
        }
        Ok(self.limit - left)
    }
}

impl Write for Scripted {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(data)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.call(slices.iter().map(|slice| slice.len()).collect())?;
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let count = all.len().min(self.limit);
        self.written.extend(&all[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What one read brings is appended, with one change; the end is 0; nothing there is an error that changes nothing (EB-89).
#[test]
fn read_appends_what_is_there() {
    let (mut here, mut there) = pair();
    let mut buffer = Buffer::from("old ");
    let log = Log::of(&mut buffer);
    let error = buffer.read_from(&mut here, usize::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    there.write_all(b"new").unwrap();
    assert_eq!(buffer.read_from(&mut here, usize::MAX).unwrap(), 3);
    drop(there);
    assert_eq!(buffer.read_from(&mut here, usize::MAX).unwrap(), 0);
    assert_holds(&buffer, b"old new");
    assert_eq!(log.take(), [(4, 3, 0)]);
}

/// A frozen end is refused before anything is read (EB-89).
#[test]
fn frozen_end_reads_nothing() {
    let (mut here, mut there) = pair();
    there.write_all(b"stays").unwrap();
    let mut buffer = Buffer::new();
    buffer.freeze(Side::Back);
    assert!(buffer.read_from(&mut here, 5).is_err());
    buffer.unfreeze(Side::Back);
    assert_eq!(buffer.read_from(&mut here, 9).unwrap(), 5);
    assert_holds(&buffer, b"stays");
}

/// The room of the tail first, then blocks; what was not needed is the pool's again; a short answer takes a small block (EB-90).
#[test]
fn read_has_room_for_the_whole_limit() {
    let mut buffer = Buffer::new();
    let mut reader = Scripted::new(64);
    buffer.read_from(&mut reader, usize::MAX).unwrap();
    assert_eq!(reader.calls, [[4096, DEFAULT_MAX_READ - 4096]]);
    assert_eq!(buffer.footprint(), 4096);
    let held = pool::held();
    buffer.read_from(&mut reader, usize::MAX).unwrap();
    assert_eq!(reader.calls[1][0], 4032);
    assert!(pool::held() >= held);
    assert_eq!(buffer.footprint(), 4096);
    assert_holds(&buffer, &[7; 128]);
    reader.limit = usize::MAX;
    let count = buffer.read_from(&mut reader, usize::MAX).unwrap();
    assert_eq!(count, DEFAULT_MAX_READ);
    assert_holds(&buffer, &vec![7; 128 + DEFAULT_MAX_READ]);
}

/// Never more than the limit, even where there is more room (EB-91).
#[test]
fn read_keeps_to_its_limit() {
    let mut buffer = Buffer::new();
    let mut reader = Scripted::new(usize::MAX);
    for limit in [1, 100, 4096, 5000, 20_000] {
        let before = buffer.len();
        assert_eq!(buffer.read_from(&mut reader, limit).unwrap(), limit);
        assert_eq!(buffer.len(), before + limit);
    }
    let len = buffer.len();
    assert_holds(&buffer, &vec![7; len]);
}

/// The most that a read takes can be set, within reason (EB-92).
#[test]
fn max_read_is_set() {
    let mut buffer = Buffer::new();
    assert_eq!(buffer.max_read(), DEFAULT_MAX_READ);
    for nonsense in [0, i32::MAX as usize + 1, usize::MAX] {
        assert!(buffer.set_max_read(nonsense).is_err());
    }
    buffer.set_max_read(10).unwrap();
    let mut reader = Scripted::new(usize::MAX);
    assert_eq!(buffer.read_from(&mut reader, usize::MAX).unwrap(), 10);
    buffer.set_max_read(i32::MAX as usize).unwrap();
    let count = buffer.read_from(&mut reader, usize::MAX).unwrap();
    assert!(count >= 64 << 10);
    assert_eq!(buffer.len(), 10 + count);
}

/// A limit of nothing asks nobody (EB-93).
#[test]
fn reading_nothing_asks_nobody() {
    let mut reader = Scripted::new(1);
    assert_eq!(Buffer::new().read_from(&mut reader, 0).unwrap(), 0);
    assert_eq!(reader.calls.len(), 0);
}

/// Exactly what was accepted is drained, with one change; nothing to write is 0 and no call (EB-94).
#[test]
fn write_drains_what_was_accepted() {
    let mut buffer = chunked(&[b"abc", b"def", b"ghi"]);
    let log = Log::of(&mut buffer);
    let mut writer = Scripted::new(4);
    assert_eq!(buffer.write_to(&mut writer, usize::MAX).unwrap(), 4);
    assert_holds(&buffer, b"efghi");
    assert_eq!(buffer.write_to(&mut writer, 0).unwrap(), 0);
    assert_eq!(buffer.write_to(&mut writer, 1).unwrap(), 1);
    assert_eq!(buffer.write_to(&mut writer, 100).unwrap(), 4);
    assert_eq!(writer.written, b"abcdefghi");
    let calls = writer.calls.len();
    assert_eq!(buffer.write_to(&mut writer, usize::MAX).unwrap(), 0);
    assert_eq!(writer.calls.len(), calls);
    assert_eq!(log.take(), [(9, 0, 4), (5, 0, 1), (4, 0, 4)]);
}

/// Many pieces in one call, the last cut to the limit (EB-95).
#[test]
fn write_is_vectored() {
    let mut buffer = chunked(&[b"abc", b"def", b"ghi"]);
    let mut writer = Scripted::new(usize::MAX);
    buffer.write_to(&mut writer, 7).unwrap();
    assert_eq!(writer.calls, [[3, 3, 1]]);
    let bytes = noise(200);
    let mut many = chunked(&bytes.chunks(1).collect::<Vec<_>>());
    let mut writer = Scripted::new(usize::MAX);
    while !many.is_empty() {
        many.write_to(&mut writer, usize::MAX).unwrap();
    }
    assert_eq!(writer.written, bytes);
    assert_eq!(writer.calls.len(), 4);
}

/// A full socket takes a part and then refuses; what is left stays, in order (EB-96).
#[test]
fn full_socket_keeps_the_rest() {
    let (mut here, mut there) = pair();
    let data = noise(2 << 20);
    let mut buffer = Buffer::from(&data[..]);
    let mut received = Vec::new();
    let mut refused = 0;
    while received.len() < data.len() {
        match buffer.send_to(&mut here, usize::MAX) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                refused += 1;
                assert_eq!(buffer.byte_at(0), Some(data[data.len() - buffer.len()]));
            }
        }
        let mut input = Buffer::new();
        // Would block: the writer has its turn again.
        if input.read_from(&mut there, usize::MAX).is_ok() {
            received.extend(input.to_vec().unwrap());
        }
    }
    assert!(refused > 0, "the socket was never full");
    assert!(received == data);
    assert!(buffer.is_empty());
}

/// An interrupted call is made again (EB-96).
#[test]
fn interruptions_are_tried_again() {
    let mut peer = Scripted::new(3);
    peer.interruptions = 5;
    let mut buffer = Buffer::new();
    assert_eq!(buffer.read_from(&mut peer, 10).unwrap(), 3);
    peer.interruptions = 5;
    assert_eq!(buffer.write_to(&mut peer, 10).unwrap(), 3);
}

/// A reader or writer that claims to have moved more than there was is an error, and nothing has changed (EB-100).
#[test]
fn false_claims_are_errors() {
    struct Liar;
    impl Read for Liar {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(usize::MAX)
        }
    }
    impl Write for Liar {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            Ok(data.len() + 1)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut buffer = chunked(&[b"a", b"b"]);
    for result in [
        buffer.read_from(&mut Liar, 5),
        buffer.write_to(&mut Liar, 1),
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidData);
    }
    assert_holds(&buffer, b"ab");
}

//! Chapter 12: freezing.

use super::{Log, assert_holds, chunked};
use levent_io::Buffer;
use levent_io::buffer::{Eol, Segment, Side};
use std::io::{BufRead, ErrorKind, IoSlice, Read, Result, Write};
use std::sync::Arc;

type Operation = fn(&mut Buffer) -> Result<()>;

/// What takes at the front.
const FRONT: [(&str, Operation); 13] = [
    ("drain", |b| b.drain(1).map(drop)),
    ("drain nothing", |b| b.drain(0).map(drop)),
    ("read", |b| b.read(&mut [0; 2]).map(drop)),
    ("fill_buf", |b| b.fill_buf().map(drop)),
    ("take_vec", |b| b.take_vec(1).map(drop)),
    ("copy_out", |b| b.copy_out(&mut [0; 2]).map(drop)),
    ("take_line", |b| b.take_line(Eol::Lf).map(drop)),
    ("prepend", |b| b.prepend(b"x")),
    ("prepend_buffer", |b| {
        b.prepend_buffer(&mut Buffer::from("x")).map(drop)
    }),
    ("append_buffer from", |b| {
        Buffer::new().append_buffer(b).map(drop)
    }),
    ("append_from from", |b| {
        Buffer::new().append_from(b, 1).map(drop)
    }),
    ("write_to", |b| b.write_to(&mut Vec::new(), 1).map(drop)),
    ("write_to all", |b| {
        b.write_to(&mut Vec::new(), usize::MAX).map(drop)
    }),
];

/// What adds at the back.
const BACK: [(&str, Operation); 15] = [
    ("append", |b| b.append(b"x")),
    ("append nothing", |b| b.append(b"")),
    ("append_vectored", |b| {
        b.append_vectored(&[IoSlice::new(b"x")]).map(drop)
    }),
    ("write", |b| write!(b, "x")),
    ("append_static", |b| b.append_static(b"x")),
    ("append_shared", |b| b.append_shared(Arc::from(&b"x"[..]))),
    ("append_owner", |b| b.append_owner(Arc::new(vec![1]))),
    ("append_view", |b| {
        b.append_view(&mut Buffer::from("x")).map(drop)
    }),
    ("append_buffer", |b| {
        b.append_buffer(&mut Buffer::from("x")).map(drop)
    }),
    ("append_from", |b| {
        b.append_from(&mut Buffer::from("xy"), 1).map(drop)
    }),
    ("reserve", |b| b.reserve(1).map(drop)),
    ("reserve_split", |b| b.reserve_split(1).map(drop)),
    ("append_segment", |b| {
        b.append_segment(&executable()?, 0, Some(1)).map(drop)
    }),
    ("append_file", |b| {
        Ok(b.append_file(own_file()?, 0, Some(1)).map(drop)?)
    }),
    ("read_from", |b| b.read_from(&mut &b"x"[..], 1).map(drop)),
];

fn own_file() -> Result<std::fs::File> {
    std::fs::File::open(std::env::current_exe()?)
}

fn executable() -> Result<Segment> {
    Ok(Segment::new(own_file()?, 0, Some(10))?)
}

/// The operations that are refused at a frozen end, and change nothing then; all others work (EB-98, EB-99, EB-100).
#[test]
fn frozen_ends_refuse_and_nothing_changes() {
    for (frozen, refused, allowed) in [
        (Side::Front, &FRONT[..], &BACK[..]),
        (Side::Back, &BACK[..], &FRONT[..]),
    ] {
        for (name, operation) in refused {
            let mut buffer = chunked(&[b"li", b"ne\n"]);
            let log = Log::of(&mut buffer);
            buffer.freeze(frozen);
            let error = operation(&mut buffer).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{name}");
            assert!(error.to_string().contains("unfreeze"), "{name}");
            assert_eq!(log.take(), [], "{name}");
            assert_holds(&buffer, b"line\n");
        }
        for (name, operation) in allowed {
            let mut buffer = chunked(&[b"li", b"ne\n"]);
            buffer.freeze(frozen);
            operation(&mut buffer).expect(name);
        }
    }
}

/// Two flags, each set and cleared as often as you like; looking is never refused (EB-97).
#[test]
fn looking_is_never_refused() {
    let mut buffer = chunked(&[b"ab", b"cd"]);
    for _ in 0..2 {
        buffer.freeze(Side::Front);
        buffer.freeze(Side::Back);
    }
    assert!(buffer.is_frozen(Side::Front) && buffer.is_frozen(Side::Back));
    assert_holds(&buffer, b"abcd");
    assert_eq!(buffer.to_vec().unwrap(), b"abcd");
    assert_eq!(buffer.search(b"bc"), Some(1));
    assert_eq!(buffer.cursor(2).unwrap().remaining(), 2);
    assert_eq!(buffer.peek(0, 4, &mut []), 2);
    assert_eq!(buffer.pull_up(3).unwrap(), b"abc");
    buffer.expand(100).unwrap();
    for _ in 0..2 {
        buffer.unfreeze(Side::Back);
    }
    assert!(buffer.is_frozen(Side::Front) && !buffer.is_frozen(Side::Back));
    buffer.append(b"e").unwrap();
    buffer.unfreeze(Side::Front);
    buffer.drain(1).unwrap();
    assert_holds(&buffer, b"bcde");
}

//! What a stream is made of, and how it begins and ends.

use std::io::Write as _;

use futures_lite::AsyncReadExt;
use futures_lite::future::poll_once;
use levent_executor::block_on;
use levent_io::buffer::Buffer;
use levent_io::net::TcpStream;
use levent_io::stream::{Direction, pair};
use levent_io::{Async, BufferedStream};

use super::script::Script;
use super::{bytes, tcp, unix};

/// libevent's basic test: 8333 bytes one way; the receiver leaves them until all are there, and takes them whole; the sender's output is empty then (BE-1, BE-76, BE-10,
/// BE-33).
#[test]
fn carries_8333_bytes() {
    block_on(async {
        let data = bytes(8333);
        let (mut left, mut right) = pair();
        left.write_all(&data).await.unwrap();
        left.flush().await.unwrap();
        assert_eq!(left.output_len(), 0);
        let mut arrivals = 0;
        while right.input_len() < 8333 {
            assert!(right.fill_more().await.unwrap() > 0);
            arrivals += 1;
        }
        assert!(arrivals > 1, "each arrival is told");
        let mut taken = Buffer::new();
        right.input().move_to(&mut taken, usize::MAX).unwrap();
        assert_eq!(taken.to_vec().unwrap(), data);
        right.disable(Direction::Read);
        assert!(!right.is_enabled(Direction::Read));

        // And over both kinds of sockets, as a buffer that is moved.
        let (mut left, mut right) = tcp().await.unwrap();
        left.write_buffer(&mut Buffer::from(data.clone()))
            .await
            .unwrap();
        left.close().await.unwrap();
        let mut received = Vec::new();
        right.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, data);
        let (mut left, mut right) = unix().unwrap();
        left.write_all(&data).await.unwrap();
        left.flush().await.unwrap();
        assert_eq!(right.peek(8333).await.unwrap(), data);
    });
}

/// Sockets, pairs, pipes and anything else that reads and writes can be below; what is below can be asked for (BE-2, BE-11).
#[test]
fn anything_can_be_below() {
    block_on(async {
        let script = Script::default();
        let mut stream = BufferedStream::new(script.clone());
        stream.write_all(b"hello").await.unwrap();
        stream.close().await.unwrap();
        script.with(|state| assert!(state.written == b"hello" && state.is_closed));
        assert_eq!(stream.fill().await.unwrap(), 0);

        let (stream, _other) = tcp().await.unwrap();
        assert!(stream.get_ref().unwrap().peer_addr().is_ok());
        // Any descriptor: a socket pair of the standard library's.
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut stream = BufferedStream::new(Async::new(one).unwrap());
        (&other).write_all(b"x").unwrap();
        assert_eq!(stream.peek(1).await.unwrap(), b"x");
    });
}

/// Both directions are enabled from the beginning, and nothing is read before somebody waits (BE-3, PA-3).
#[test]
fn begins_enabled_and_quiet() {
    block_on(async {
        let script = Script::default();
        let stream = BufferedStream::new(script.clone());
        assert!(stream.is_enabled(Direction::Read) && stream.is_enabled(Direction::Write));
        assert_eq!(stream.timeout(Direction::Read), None);
        assert_eq!(stream.marks(Direction::Read), (0, 65_536));
        script.with(|state| assert!(state.asked.is_empty() && state.offered.is_empty()));
        drop(stream);
        script.with(|state| assert!(!state.is_closed, "a drop says no good-bye"));
        let (left, right) = pair();
        assert!(left.is_enabled(Direction::Read) && right.is_enabled(Direction::Write));
    });
}

/// A disabled direction moves nothing, and its bytes stay; enabling wakes whoever waits (BE-4, BE-13, BE-14).
#[test]
fn disabled_directions_stop() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        left.disable(Direction::Write);
        left.write_all(b"held back").await.unwrap();
        assert!(poll_once(left.flush()).await.is_none());
        assert!(poll_once(right.fill()).await.is_none());
        assert_eq!(left.output_len(), 9);
        left.enable(Direction::Write);
        left.flush().await.unwrap();
        right.disable(Direction::Read);
        assert!(poll_once(right.fill()).await.is_none());
        // Twice is as good as once, and a reason of another kind is independent of it: the mark.
        right.disable(Direction::Read);
        right.set_read_marks(0, 4).unwrap();
        right.enable(Direction::Read);
        assert_eq!(right.fill().await.unwrap(), 4);
        assert!(right.fill_more().await.is_err());
        right.set_read_marks(0, 0).unwrap();
        assert_eq!(right.peek(9).await.unwrap(), b"held back");
    });
}

/// Dropping the stream closes what it owns, and what was not sent is gone; taken apart, nothing is (BE-5, BE-73).
#[test]
fn drop_discards_and_parts_do_not() {
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        left.try_write(b"never sent").unwrap();
        drop(left);
        assert_eq!(right.fill().await.unwrap(), 0);

        let (mut left, mut right) = tcp().await.unwrap();
        right.write_all(b"for the input").await.unwrap();
        right.flush().await.unwrap();
        left.fill().await.unwrap();
        left.try_write(b"for the output").unwrap();
        let mut parts = left.into_parts();
        let mut again = BufferedStream::socket(parts.transport.unwrap());
        again.restore(&mut parts.input, &mut parts.output).unwrap();
        again.flush().await.unwrap();
        assert_eq!(again.peek(13).await.unwrap(), b"for the input");
        assert_eq!(right.peek(14).await.unwrap(), b"for the output");
    });
}

/// Another transport takes the place of the first: buffers, marks and what is enabled stay; the old one comes back open (BE-69).
#[test]
fn transports_are_exchanged() {
    block_on(async {
        let (mut stream, mut first) = tcp().await.unwrap();
        let (second, mut far) = tcp().await.unwrap();
        stream.set_read_marks(1, 100).unwrap();
        stream.try_write(b"to the second").unwrap();
        let old = stream
            .set_transport(second.into_parts().transport.unwrap())
            .unwrap();
        stream.flush().await.unwrap();
        assert_eq!(far.peek(13).await.unwrap(), b"to the second");
        assert_eq!(stream.marks(Direction::Read), (1, 100));
        let mut old = BufferedStream::socket(old);
        old.write_all(b"alive").await.unwrap();
        old.flush().await.unwrap();
        assert_eq!(first.peek(5).await.unwrap(), b"alive");

        // Without one it waits; an end of the last one is forgotten with it.
        drop(far);
        assert_eq!(stream.fill().await.unwrap(), 0);
        assert!(stream.take_transport().is_some());
        assert!(stream.get_ref().is_none());
        assert!(poll_once(stream.fill()).await.is_none());
        stream.set_transport(old.into_parts().transport.unwrap());
        first.write_all(b"hello").await.unwrap();
        first.flush().await.unwrap();
        assert_eq!(stream.fill().await.unwrap(), 5);
    });
}

/// Bytes can be taken from the input and added to the output, and not the other way round: there is no method for it (BE-9).
#[test]
fn views_allow_what_is_allowed() {
    block_on(async {
        let (mut left, mut right) = pair();
        write!(left.output(), "{} and ", 1).unwrap();
        left.output().append_static(b"two").unwrap();
        left.output()
            .append_shared(std::sync::Arc::from(&b" and three"[..]))
            .unwrap();
        assert_eq!(left.output().len(), 19);
        left.flush().await.unwrap();
        right.fill().await.unwrap();
        let mut input = right.input();
        assert_eq!(input.search(b"two"), Some(6));
        assert_eq!(input.drain(6).unwrap(), 6);
        assert_eq!(input.take_vec(3).unwrap(), b"two");
        assert_eq!(input.pull_up(4).unwrap(), b" and");
        let (mut input, mut output) = right.buffers();
        assert_eq!(output.append_from(&mut input, 4).unwrap(), 4);
        assert_eq!(right.input_len(), 6);
        right.flush().await.unwrap();
        assert_eq!(left.peek(4).await.unwrap(), b" and");
    });
}

/// A stream is as `Send` and `Sync` as its transport, and never pinned.
#[test]
fn streams_cross_threads() {
    fn is_all<T: Send + Sync + Unpin>() {}
    is_all::<BufferedStream<TcpStream>>();
    is_all::<BufferedStream<levent_io::stream::PairEnd>>();
    let (mut left, mut right) = pair();
    let sending = std::thread::spawn(move || {
        block_on(async {
            left.write_all(&bytes(300_000)).await.unwrap();
            left.close().await.unwrap();
        });
    });
    block_on(async {
        let mut received = Vec::new();
        right.read_to_end(&mut received).await.unwrap();
        assert!(received == bytes(300_000));
    });
    sending.join().unwrap();
}

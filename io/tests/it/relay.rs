//! `relay`: both ways, half-closed, slow, dropped and dead streams.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use levent_executor::{block_on, spawn};
use levent_io::BufferedStream;
use levent_io::stream::{Direction, PairEnd, pair, relay};

use crate::behaviour::counting;

type Stream = BufferedStream<PairEnd>;
type Relaying<'a> = Pin<Box<dyn Future<Output = io::Result<(u64, u64)>> + 'a>>;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

/// Writes everything, closes, and reads to the end. More than the buffers on the way hold must not go both ways at once: nobody would read.
async fn talk(mut stream: Stream, sent: Vec<u8>) -> Vec<u8> {
    let mut received = Vec::new();
    for piece in sent.chunks(1_000) {
        stream.write_all(piece).await.unwrap();
    }
    stream.close().await.unwrap();
    while stream.fill().await.unwrap() > 0 {
        let len = stream.input_len();
        received.extend(stream.input().take_vec(len).unwrap());
    }
    received
}

/// Both ways at once, of different lengths, through marks of every kind of size; the shorter way's end does not end the other.
#[test]
fn both_ways_to_the_end() {
    for (high, up, down) in [
        (1, 3_000, 500),
        (100, 0, 70_000),
        (4096, 150_000, 150_001),
        (0, 200_000, 0),
    ] {
        block_on(async {
            let (client, mut left) = pair();
            let (mut right, server) = pair();
            for stream in [&mut left, &mut right] {
                stream.set_read_marks(0, high).unwrap();
                stream.set_write_marks(high / 2, high).unwrap();
            }
            let client = spawn(talk(client, bytes(up)));
            let server = spawn(talk(server, bytes(down)));
            let moved = relay(&mut left, &mut right).await.unwrap();
            assert_eq!(moved, (up as u64, down as u64), "high mark {high}");
            assert!(client.await == bytes(down));
            assert!(server.await == bytes(up));
        });
    }
}

/// Dropped at any poll and begun again, it loses and repeats nothing.
#[test]
fn dropped_anywhere_nothing_is_lost() {
    for limit in 1..6 {
        block_on(async {
            let (client, mut left) = pair();
            let (mut right, server) = pair();
            for stream in [&mut left, &mut right] {
                stream.set_read_marks(0, 1_500).unwrap();
                stream.set_write_marks(700, 1_500).unwrap();
            }
            let client = spawn(talk(client, bytes(20_000)));
            let server = spawn(talk(server, bytes(30_000)));
            let moved = loop {
                // Each attempt tells how much it moved only when it is the last one: count by the ends' bytes.
                let mut polls = 0;
                let mut attempt = pin!(relay(&mut left, &mut right));
                let done = std::future::poll_fn(|cx| match attempt.as_mut().poll(cx) {
                    Poll::Ready(result) => Poll::Ready(Some(result)),
                    Poll::Pending if polls == limit => Poll::Ready(None),
                    Poll::Pending => {
                        polls += 1;
                        Poll::Pending
                    }
                })
                .await;
                if let Some(result) = done {
                    break result.unwrap();
                }
            };
            assert!(moved.0 <= 20_000 && moved.1 <= 30_000);
            assert!(client.await == bytes(30_000));
            assert!(server.await == bytes(20_000));
        });
    }
}

/// While neither way moves, nobody is woken: with nothing to read, and with a peer that does not read.
#[test]
fn rests_while_nothing_moves() {
    block_on(async {
        let (mut client, mut left) = pair();
        let (mut right, server) = pair();
        right.set_write_marks(0, 1_000).unwrap();
        let (count, waker) = counting();
        let mut cx = Context::from_waker(&waker);
        let mut relaying: Relaying<'_> = Box::pin(relay(&mut left, &mut right));
        let mut settle = |relaying: &mut Relaying<'_>| {
            let mut polls = 0;
            loop {
                let before = count.get();
                assert!(relaying.as_mut().poll(&mut cx).is_pending());
                polls += 1;
                if count.get() == before {
                    return polls;
                }
            }
        };
        assert_eq!(settle(&mut relaying), 1, "idle");
        // More than the lanes and the buffers hold: it cannot all go.
        client.output().append(&bytes(1 << 20)).unwrap();
        for _ in 0..100 {
            let _ = futures_lite::future::poll_once(client.flush()).await;
            settle(&mut relaying);
        }
        assert!(client.output_len() > 0);
        assert_eq!(settle(&mut relaying), 1, "full");
        drop(relaying);
        // The marks held: no side has read ahead of the other by more than its own.
        assert!(left.input_len() <= left.marks(Direction::Read).1);
        assert!(right.output_len() <= 1_000);
        drop(server);
    });
}

/// A timeout counts only while neither way moves, and is the relay's error, with the side; a peer that is gone is one, too.
#[test]
fn errors_name_the_side() {
    block_on(async {
        let (_client, mut left) = pair();
        let (mut right, server) = pair();
        right.set_timeouts(Some(Duration::from_millis(5)), None);
        let error = relay(&mut left, &mut right).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("second"), "{error}");
        right.set_timeouts(None, None);
        right.enable(Direction::Read);

        drop(server);
        left.restore(&mut "late".into(), &mut "".into()).unwrap();
        let error = relay(&mut left, &mut right).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(
            error.to_string().contains("writing to the second"),
            "{error}"
        );
    });
}

/// Bytes that come one by one, to a peer that does not read, take the memory of bytes and not of blocks.
#[test]
fn trickle_takes_little_memory() {
    let (mut client, mut left) = pair();
    let (mut right, _server) = pair();
    right.disable(Direction::Write);
    right.set_write_marks(0, 1 << 20).unwrap();
    {
        let mut relaying = pin!(relay(&mut left, &mut right));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for byte in bytes(20_000) {
            client.output().append(&[byte]).unwrap();
            assert!(pin!(client.flush()).poll(&mut cx).is_ready());
            assert!(relaying.as_mut().poll(&mut cx).is_pending());
        }
    }
    assert_eq!(right.output_len(), 20_000);
    assert!(
        right.output().footprint() <= 40_000,
        "{}",
        right.output().footprint()
    );
    assert!(right.output().slices(..).collect::<Vec<_>>().concat() == bytes(20_000));
}

/// A side that waits is not late while the other way moves, or a slow reader takes what is there.
#[test]
fn draining_is_no_silence() {
    let timeout = Duration::from_millis(100);
    block_on(async {
        let (mut client, mut left) = pair();
        let (mut right, mut server) = pair();
        right.set_timeouts(Some(timeout), None);
        // 20 bytes each 10 ms, of which there are enough for three times as long.
        let trickle = levent_io::limit::Limit::every(timeout / 10)
            .unwrap()
            .write(20, 20)
            .unwrap();
        right.set_limit(Some(trickle));
        client.write_all(&bytes(600)).await.unwrap();
        client.flush().await.unwrap();
        let relaying = spawn(async move { relay(&mut left, &mut right).await });
        let mut received = [0; 600];
        server.read_exact(&mut received).await.unwrap();
        assert!(received[..] == bytes(600)[..]);
        // And then it is.
        assert_eq!(relaying.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    });
}

/// A stream that still connects has its write timeout for that, and is as dead afterwards as anywhere (BE-46).
#[test]
fn late_connect_ends_it() {
    block_on(async {
        let settings = levent_reactor::net::listen_tcp(&"127.0.0.1:0".parse().unwrap(), 0).unwrap();
        let address = settings.local_addr().unwrap();
        let mut waiting = Vec::new();
        // A full queue, as in the test of the connect alone.
        for _ in 0..8 {
            let mut upstream = BufferedStream::connecting(address);
            upstream.set_timeouts(None, Some(Duration::from_millis(20)));
            let (_client, mut left) = pair();
            let relaying = relay(&mut left, &mut upstream);
            let waited = async {
                levent_timer::sleep(Duration::from_millis(200)).await;
                Ok((0, 0))
            };
            if let Err(error) = futures_lite::future::or(relaying, waited).await {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                assert!(error.to_string().contains("second stream"), "{error}");
                let dead = futures_lite::future::poll_once(upstream.fill()).await;
                let dead = dead.expect("it goes on connecting").unwrap_err();
                assert_eq!(dead.kind(), io::ErrorKind::TimedOut);
                return;
            }
            waiting.push(upstream);
        }
        panic!("the queue takes everybody");
    });
}

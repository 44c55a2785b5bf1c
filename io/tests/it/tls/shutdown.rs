//! How TLS ends: taking leave, being cut off, and what goes on after it.

use super::{Counted, End, client_over, connected, everywhere, poll_once, server_over};
use futures_lite::future;
use levent_io::buffer::Eol;
use levent_io::net::unix::UnixStream;
use levent_io::stream::{BufferedStream, Direction, Event, pair};
use levent_io::tls::Tls;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// `close` takes leave: the peer reads the end of the stream, and goes on writing, which is read here (TL-8, TL-9).
#[test]
fn taking_leave_is_half_a_close() {
    everywhere(async || {
        let (mut client, mut server) = connected().await;
        client.write_all(b"last words").await?;
        client.close().await?;
        assert_eq!(server.peek(11).await?, b"last words");
        assert_eq!(server.event().await, Event::Eof);
        assert!(client.try_write(b"more").is_err());
        server.write_all(b"and mine").await?;
        server.close().await?;
        assert_eq!(client.peek(9).await?, b"and mine");
        assert_eq!(client.event().await, Event::Eof);
        assert_eq!(client.take_event(), None);
        Ok(())
    });
}

/// A connection that ends without leave is an error with the direction in which it was seen; allowed, it is an end like any other (TL-8).
#[test]
fn being_cut_off_is_an_error() {
    everywhere(async || {
        for allowed in [false, true] {
            let (mut client, mut server) = connected().await;
            server.allow_dirty_shutdown(allowed);
            client.write_all(b"half a sen").await?;
            client.flush().await?;
            drop(client);
            assert_eq!(server.peek(10).await?, b"half a sen");
            if allowed {
                assert_eq!(server.event().await, Event::Eof);
                assert_eq!(server.peek(11).await?.len(), 10);
            } else {
                assert_eq!(server.event().await, Event::Error(Direction::Read));
                let error = server.fill_more().await.expect_err("cut off");
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            }
            assert_eq!(server.take_event(), None);
        }
        Ok(())
    });
}

/// Dropping a stream sends nothing, whatever is in its output; closing sends one record (TL-9).
#[test]
fn dropping_sends_nothing() {
    everywhere(async || {
        for closes in [false, true] {
            let (mut client, server) = connected().await;
            // What the server has sent already, tickets, is read first.
            assert!(poll_once(client.fill_more()).is_none());
            let mut wire = server
                .into_parts()
                .transport
                .expect("connected")
                .into_parts()
                .inner;
            if closes {
                client.close().await?;
                assert!(wire.fill_more().await? > 0);
                let count = wire.input_len();
                wire.input().drain(count)?;
            }
            let _ = client.try_write(b"never sent");
            drop(client);
            assert_eq!(wire.fill_more().await?, 0);
        }
        Ok(())
    });
}

/// What has ended asks the transport nothing any more, and may be dropped there and then; the other direction is left as it was (TL-10, TL-17).
#[test]
fn ended_direction_is_quiet() {
    everywhere(async || {
        let asked = Arc::new(AtomicUsize::new(0));
        let (left, right) = UnixStream::pair()?;
        let counted = Counted {
            inner: left,
            asked: asked.clone(),
        };
        let mut client = client_over(BufferedStream::new(counted));
        let mut server = server_over(BufferedStream::socket(right));
        future::zip(client.event(), server.event()).await;
        drop(server);
        assert_eq!(client.event().await, Event::Error(Direction::Read));
        let before = asked.load(SeqCst);
        for _ in 0..5 {
            assert!(poll_once(client.fill_more()).expect("ended").is_err());
            assert!(poll_once(client.event()).is_none());
        }
        assert_eq!(asked.load(SeqCst), before);
        assert!(client.is_enabled(Direction::Write));
        assert!(!client.is_enabled(Direction::Read));
        drop(client);
        Ok(())
    });
}

/// The stream below and its socket are reached and taken out at any time, before the handshake, after it and after the end (TL-16, TL-17).
#[test]
fn stream_below_is_reached() {
    everywhere(async || {
        let (left, right) = pair();
        let client = client_over(left);
        assert_eq!(client.get_ref().map(|tls| tls.inner().input_len()), Some(0));
        drop(client);
        let mut right = right;
        assert_eq!(right.fill_more().await?, 0, "nothing was sent");

        let (mut client, server) = connected().await;
        drop(server);
        assert_eq!(client.event().await, Event::Error(Direction::Read));
        let tls = client.take_transport().expect("connected");
        assert!(client.get_ref().is_none());
        assert!(tls.inner().get_ref().is_some());
        // Another connection in its place: the stream goes on with that.
        let (other, mut peer) = connected().await;
        let other = other.into_parts().transport.expect("connected");
        assert!(client.set_transport(other).is_none());
        peer.write_all(b"a new one").await?;
        peer.flush().await?;
        assert_eq!(client.peek(9).await?, b"a new one");
        Ok(())
    });
}

/// What the exchange of numbers came to at one end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    connected: usize,
    ends: usize,
    errors: usize,
    is_finished: bool,
}

/// Answers each number with the next one, until 1001; who reads that is gone.
async fn count<S>(mut stream: BufferedStream<Tls<S>>, asks: bool) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    if asks {
        stream.write_all(b"1\n").await?;
    }
    loop {
        let line = stream.read_line(Eol::Lf).await;
        while let Some(event) = stream.take_event() {
            match event {
                Event::Connected => outcome.connected += 1,
                Event::Eof => outcome.ends += 1,
                Event::Error(Direction::Read) => outcome.errors += 1,
                other => panic!("{other:?}"),
            }
        }
        let Ok(Some(line)) = line else {
            return Ok(outcome);
        };
        let number: u32 = String::from_utf8(line).unwrap().parse().unwrap();
        if number == 1001 {
            outcome.is_finished = true;
            return Ok(outcome);
        }
        // Directions are switched within the exchange, as often as one likes.
        stream.disable(Direction::Write);
        stream.enable(Direction::Write);
        writeln_to(&mut stream, number + 1).await?;
    }
}

async fn writeln_to<S>(stream: &mut BufferedStream<Tls<S>>, number: u32) -> io::Result<()> {
    stream.write_all(format!("{number}\n").as_bytes()).await
}

/// libevent's main exchange: one end finishes and is gone, and the other hears of it as an end or as an error (TL-23).
#[test]
fn numbers_are_counted_up() {
    everywhere(async || {
        for allowed in [false, true] {
            let (left, right) = UnixStream::pair()?;
            let mut client = client_over(BufferedStream::socket(left));
            let mut server = server_over(BufferedStream::socket(right));
            client.allow_dirty_shutdown(allowed);
            server.allow_dirty_shutdown(allowed);
            let (one, other) = future::try_zip(count(client, true), count(server, false)).await?;
            let mut outcomes = [one, other];
            outcomes.sort_by_key(|outcome| outcome.is_finished);
            let finished = Outcome {
                connected: 1,
                is_finished: true,
                ..Outcome::default()
            };
            let left_behind = Outcome {
                connected: 1,
                ends: usize::from(allowed),
                errors: usize::from(!allowed),
                is_finished: false,
            };
            assert_eq!(outcomes, [left_behind, finished]);
        }
        Ok(())
    });
}

/// Changing keys, what is left of renegotiation, does not disturb what is said (TL-20).
#[test]
fn new_keys_disturb_nobody() {
    everywhere(async || {
        let (mut client, mut server): (End, End) = connected().await;
        for round in 0..20_u8 {
            let tls = client.get_mut().expect("connected");
            let changed = tls.connection_mut().refresh_traffic_keys();
            changed.map_err(io::Error::other)?;
            client.write_all(&[round; 700]).await?;
            client.flush().await?;
            assert_eq!(server.peek(700).await?, [round; 700]);
            server.input().drain(700)?;
            server.write_all(&[round]).await?;
            server.flush().await?;
            assert_eq!(client.peek(1).await?, [round]);
            client.input().drain(1)?;
        }
        Ok(())
    });
}

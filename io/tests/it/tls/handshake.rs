//! How TLS begins: when it is told, what is sent meanwhile, and how it fails.

use super::{
    Counted, both, client_config, client_over, connected, counting, everywhere, identity,
    localhost, poll_once, poll_with, server_config, server_over,
};
use futures_lite::future;
use levent_io::net::TcpListener;
use levent_io::net::unix::UnixStream;
use levent_io::stream::{BufferedStream, Direction, Event, pair, pass, stage};
use levent_io::tls::rustls::pki_types::ServerName;
use levent_io::tls::{self, rustls};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Over a socket and over any other stream, each end is told once that the handshake is done, and by the handshake, not by TCP (TL-1, TL-3).
#[test]
fn connected_is_told_once() {
    everywhere(async || {
        let (mut client, mut server) = connected().await;
        assert!(poll_once(future::zip(client.event(), server.event())).is_none());

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut client = client_over(BufferedStream::connecting(listener.local_addr()?));
        let accepted = async { Ok::<_, io::Error>(listener.accept().await?.0) };
        // The TCP connection is there when this returns: the listener has accepted it.
        let accepted = future::or(accepted, async { panic!("{:?}", client.event().await) }).await?;
        assert!(poll_once(client.event()).is_none());
        let mut server = server_over(BufferedStream::socket(accepted));
        let events = future::zip(client.event(), server.event()).await;
        assert_eq!(events, (Event::Connected, Event::Connected));
        assert!(poll_once(client.event()).is_none());
        let lower = client.get_mut().expect("connected").inner_mut();
        assert_eq!(lower.take_event(), None);
        Ok(())
    });
}

/// What is written before the connection, and before the handshake, is sent after it; so is what is written when it is told (TL-4).
#[test]
fn early_writes_are_sent() {
    everywhere(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut client = client_over(BufferedStream::connecting(listener.local_addr()?));
        client.try_write(b"before, ")?;
        let serve = async {
            let mut server = server_over(BufferedStream::socket(listener.accept().await?.0));
            server.write_all(b"server's").await?;
            server.flush().await?;
            assert_eq!(server.peek(14).await?, b"before, behind");
            Ok(())
        };
        let ask = async {
            assert_eq!(client.event().await, Event::Connected);
            client.write_all(b"behind").await?;
            client.flush().await?;
            assert_eq!(client.peek(8).await?, b"server's");
            Ok(())
        };
        future::try_zip(serve, ask).await.map(drop)
    });
}

/// A connection whose handshake is done goes on in another stream, and tells nothing (TL-1, TL-3, TL-23).
#[test]
fn open_connection_tells_nothing() {
    everywhere(async || {
        let (client, server) = connected().await;
        let again = |stream: super::End| {
            let parts = stream.into_parts();
            assert!(parts.input.is_empty() && parts.output.is_empty());
            let parts = parts.transport.expect("connected").into_parts();
            tls::over(parts.inner, parts.connection)
        };
        let (mut client, mut server) = (again(client), again(server));
        client.write_all(b"once more").await?;
        client.flush().await?;
        assert_eq!(server.peek(9).await?, b"once more");
        server.close().await?;
        assert_eq!(client.event().await, Event::Eof, "and not Connected");
        assert_eq!(server.take_event(), None);
        Ok(())
    });
}

/// The handshake is done when the last of it is with the transport: the peer could not go on without that (TL-3).
#[test]
fn last_flight_is_sent_first() {
    everywhere(async || {
        let (mut client, mut server) = both();
        assert!(poll_once(client.event()).is_none());
        assert!(poll_once(server.event()).is_none());
        let lower = client.get_mut().expect("there").inner_mut();
        lower.disable(Direction::Write);
        assert!(poll_once(client.event()).is_none());
        let lower = client.get_mut().expect("there").inner_mut();
        assert!(lower.output_len() > 0, "it has an answer");
        lower.enable(Direction::Write);
        assert_eq!(client.event().await, Event::Connected);
        assert_eq!(server.event().await, Event::Connected);
        Ok(())
    });
}

/// A configuration that cannot work is an error at once, and the stream below is dropped with it (TL-2).
#[test]
fn unusable_configuration_is_refused() {
    let (left, mut right) = pair();
    let mut config = client_config();
    config.max_fragment_size = Some(1);
    let error = tls::client(left, Arc::new(config), localhost()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(poll_once(right.fill_more()).unwrap().unwrap(), 0);
}

/// The handshake reads and writes whatever is disabled, as long as somebody waits; nobody waiting is all that holds it up (TL-5).
#[test]
fn handshake_needs_only_somebody_who_waits() {
    everywhere(async || {
        let (mut client, mut server) = both();
        client.disable(Direction::Read);
        server.disable(Direction::Read);
        assert!(poll_once(client.event()).is_none(), "nobody waits there");
        let events = future::zip(client.event(), server.event()).await;
        assert_eq!(events, (Event::Connected, Event::Connected));
        Ok(())
    });
}

/// A certificate for somebody else ends the client's handshake with the reason, and the server's with the alert (TL-21).
#[test]
fn wrong_name_fails_at_both_ends() {
    everywhere(async || {
        let (left, right) = pair();
        let name = ServerName::try_from("example.com").unwrap();
        let mut client = tls::client(left, Arc::new(client_config()), name)?;
        let mut server = server_over(right);
        let events = future::zip(client.event(), server.event()).await;
        assert_eq!(events, (Event::ConnectFailed, Event::ConnectFailed));
        for _ in 0..2 {
            let error = client.fill_more().await.expect_err("not the one");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        let error = server.flush().await.expect_err("refused");
        assert!(error.to_string().contains("alert"), "{error}");
        assert!(client.try_write(b"x").is_err());
        Ok(())
    });
}

/// A peer that does not talk TLS, and one that closes at once, are errors (TL-21).
#[test]
fn strangers_are_errors() {
    everywhere(async || {
        let (mut left, right) = pair();
        let mut server = server_over(right);
        left.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
        left.flush().await?;
        assert_eq!(server.event().await, Event::ConnectFailed);
        let error = server.fill_more().await.expect_err("no TLS");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let reason = error.get_ref().expect("a reason").source();
        assert!(reason.is_some_and(|reason| reason.is::<rustls::Error>()));

        let (left, right) = pair();
        let mut client = client_over(left);
        drop(right);
        assert_eq!(client.event().await, Event::ConnectFailed);
        assert!(client.fill_more().await.is_err());
        Ok(())
    });
}

/// What was agreed on, and who the peer is: the client sees the server's certificate, the server none (TL-21, TL-23).
#[test]
fn protocol_and_certificates_are_seen() {
    everywhere(async || {
        let (left, right) = pair();
        let (mut config, mut other) = (client_config(), server_config());
        config.alpn_protocols = vec![b"h2".to_vec(), b"levent".to_vec()];
        other.alpn_protocols = vec![b"levent".to_vec()];
        let mut client = tls::client(left, Arc::new(config), localhost())?;
        let mut server = tls::server(right, Arc::new(other))?;
        future::zip(client.event(), server.event()).await;
        let (client, server) = (client.get_ref().unwrap(), server.get_ref().unwrap());
        assert_eq!(client.alpn_protocol(), Some(&b"levent"[..]));
        assert_eq!(server.alpn_protocol(), Some(&b"levent"[..]));
        let seen = client.peer_certificates().expect("the server's");
        assert_eq!(&seen[0], identity().certificate.der());
        assert!(server.peer_certificates().is_none());
        let version = client.connection().protocol_version();
        assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
        Ok(())
    });
}

/// While the peer does nothing, nothing is done here: waiting asks the transport a few times, and is not woken (TL-7).
#[test]
fn idle_peer_costs_nothing() {
    everywhere(async || {
        let asked = Arc::new(AtomicUsize::new(0));
        let (left, right) = UnixStream::pair()?;
        let counted = Counted {
            inner: left,
            asked: asked.clone(),
        };
        let mut client = client_over(BufferedStream::new(counted));
        let (wakes, waker) = counting();
        assert!(poll_with(&mut pin!(client.event()), &waker).is_pending());
        for _ in 0..100 {
            future::yield_now().await;
        }
        // A hello, a look for the answer, and nothing more.
        assert_eq!(wakes.get(), 0);
        assert!(asked.load(SeqCst) <= 3, "{}", asked.load(SeqCst));

        let mut server = server_over(BufferedStream::socket(right));
        let talk = async {
            assert_eq!(client.event().await, Event::Connected);
            client.write_all(b"question").await?;
            assert_eq!(client.peek(6).await?, b"answer");
            Ok::<_, io::Error>(())
        };
        let answer = async {
            assert_eq!(server.peek(8).await?, b"question");
            server.write_all(b"answer").await?;
            server.flush().await
        };
        future::try_zip(talk, answer).await?;
        let used = asked.load(SeqCst);
        assert!(used <= 100, "asked {used} times for one exchange");
        client.input().drain(6)?;
        let (wakes, waker) = counting();
        assert!(poll_with(&mut pin!(client.fill()), &waker).is_pending());
        assert_eq!(wakes.get(), 0);
        Ok(())
    });
}

/// The write timeout limits the handshake: it is told once, as a timeout, and nothing else is; both directions have ended then (TL-18, TL-19).
#[test]
fn handshake_has_a_limit() {
    everywhere(async || {
        let wait = Duration::from_millis(30);
        let (left, _right) = pair();
        let mut client = client_over(left);
        client.set_timeouts(Some(wait), Some(wait));
        let begun = Instant::now();
        assert_eq!(client.event().await, Event::Timeout(Direction::Write));
        assert!(begun.elapsed() >= wait);
        assert_eq!(client.take_event(), None);
        let error = client.fill_more().await.expect_err("too late");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!client.is_enabled(Direction::Read) && !client.is_enabled(Direction::Write));

        // That of the stream below is told in the same way, whatever it waits for.
        let (left, _right) = pair();
        let mut client = client_over(left);
        client.set_timeouts(None, Some(wait));
        let mut stacked = client.filter(stage(pass, pass));
        assert_eq!(stacked.event().await, Event::Timeout(Direction::Write));
        assert_eq!(stacked.take_event(), None);
        let (mut left, _right) = pair();
        left.set_timeouts(Some(wait), Some(wait));
        let mut client = client_over(left);
        assert_eq!(client.event().await, Event::Timeout(Direction::Write));
        assert_eq!(client.take_event(), None);
        Ok(())
    });
}

/// After the handshake timeouts are those of every stream: the direction is told, and goes on when it is enabled (TL-19).
#[test]
fn later_timeouts_can_be_gone_on_from() {
    everywhere(async || {
        let (mut client, mut server) = connected().await;
        client.set_timeouts(Some(Duration::from_millis(10)), None);
        let error = client.fill_more().await.expect_err("nothing came");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(client.event().await, Event::Timeout(Direction::Read));
        assert!(!client.is_enabled(Direction::Read));
        server.write_all(b"late").await?;
        server.flush().await?;
        client.enable(Direction::Read);
        assert_eq!(client.peek(4).await?, b"late");
        Ok(())
    });
}

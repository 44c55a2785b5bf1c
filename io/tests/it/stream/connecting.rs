//! Streams that are still to come.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_lite::future::poll_once;
use levent_executor::block_on;
use levent_io::BufferedStream;
use levent_io::net::{TcpListener, TcpStream};
use levent_io::stream::{Direction, Event};

/// Nobody listens there: the port was free a moment ago.
async fn refused() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

async fn serve(listener: TcpListener) -> BufferedStream<TcpStream> {
    BufferedStream::socket(listener.accept().await.unwrap().0)
}

/// Nothing happens in the call. What is written before is sent after it; `Connected` is told once, before anything else; the address can be asked for (BE-39, BE-40, BE-41,
/// BE-43, BE-53, BE-55).
#[test]
fn writes_before_it_is_connected() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = BufferedStream::connecting(address);
        assert!(client.get_ref().is_none());
        assert!(
            poll_once(listener.accept()).await.is_none(),
            "nobody has waited"
        );
        client.write_all(b"early").await.unwrap();
        let server = levent_executor::spawn(async move {
            let mut server = serve(listener).await;
            server.write_all(b"welcome").await.unwrap();
            server.close().await.unwrap();
            assert_eq!(server.peek(5).await.unwrap(), b"early");
        });
        let mut buf = [0; 7];
        client.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"welcome");
        server.await;
        assert_eq!(client.fill().await.unwrap(), 0);
        assert_eq!(client.event().await, Event::Connected);
        assert_eq!(client.event().await, Event::Eof);
        assert_eq!(client.take_event(), None);
        assert_eq!(client.get_ref().unwrap().peer_addr().unwrap(), address);
    });
}

/// A refusal is told alone, and once, and is every operation's answer; nothing is read or sent (BE-21, BE-44, BE-45).
#[test]
fn refusal_is_told_alone() {
    block_on(async {
        let mut client = BufferedStream::connecting(refused().await);
        client.write_all(b"nobody will hear").await.unwrap();
        assert_eq!(client.event().await, Event::ConnectFailed);
        assert_eq!(client.take_event(), None);
        for _ in 0..2 {
            for error in [
                client.fill().await.unwrap_err(),
                client.flush().await.unwrap_err(),
                client.try_write(b"x").unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
            }
        }
        let result = BufferedStream::connect(refused().await).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

/// All addresses are tried, one after the other (BE-50); names are looked up, and literals of both families are taken (BE-48).
#[test]
fn all_addresses_are_tried() {
    block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let good = listener.local_addr().unwrap();
        let addresses = [refused().await, good];
        let (client, _server) = futures_lite::future::zip(
            BufferedStream::connect(&addresses[..]),
            serve(listener.clone()),
        )
        .await;
        assert_eq!(
            client.unwrap().get_ref().unwrap().peer_addr().unwrap(),
            good
        );
        let name = format!("localhost:{}", good.port());
        let (client, _server) =
            futures_lite::future::zip(BufferedStream::connect(&*name), serve(listener)).await;
        client.unwrap();
        // A family that the machine does not have is refused by it, and not by us.
        let _ = BufferedStream::connect("[::1]:9").await;
        for nonsense in ["127.0.0.1", "127.0.0.1:99999", "127.0.0.1:http"] {
            let error = BufferedStream::connect(nonsense).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{nonsense}");
        }
    });
}

/// A name that is none fails as a refusal does, with the resolver's error, and not inside the call (BE-49).
#[test]
fn unknown_name_fails_later() {
    block_on(async {
        let mut client = BufferedStream::connecting("not a name:80");
        assert_eq!(client.take_event(), None);
        assert_eq!(client.event().await, Event::ConnectFailed);
        assert!(client.fill().await.is_err());
    });
}

/// The write timeout limits the connect (BE-46).
#[test]
fn connect_is_limited_by_the_write_timeout() {
    block_on(async {
        // A full queue: what comes after it is not answered. Some systems are generous with it, hence several.
        let settings = levent_reactor::net::listen_tcp(&"127.0.0.1:0".parse().unwrap(), 0).unwrap();
        let address = settings.local_addr().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..8 {
            let mut client = BufferedStream::connecting(address);
            client.set_timeouts(None, Some(Duration::from_millis(20)));
            if client.event().await == Event::Timeout(Direction::Write) {
                let error = client.fill().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                assert_eq!(
                    client.try_write(b"x").unwrap_err().kind(),
                    ErrorKind::TimedOut
                );
                assert_eq!(client.take_event(), None);
                return;
            }
            waiting.push(client);
        }
        panic!("the queue takes everybody");
    });
}

/// A disabled direction does not stop the connect, and what was written waits until it is enabled (BE-42, BE-47).
#[test]
fn disabled_stream_connects() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = BufferedStream::connecting(listener.local_addr().unwrap());
        client.disable(Direction::Write);
        client.write_all(b"later").await.unwrap();
        let (event, mut server) = futures_lite::future::zip(client.event(), serve(listener)).await;
        assert_eq!(event, Event::Connected);
        assert!(poll_once(client.flush()).await.is_none());
        assert!(poll_once(server.fill()).await.is_none());
        client.enable(Direction::Write);
        client.flush().await.unwrap();
        assert_eq!(server.peek(5).await.unwrap(), b"later");
    });
}

/// Dropping the stream, or giving it another transport, gives the attempt up; no descriptor is left (BE-51).
#[test]
fn attempt_is_given_up() {
    block_on(async {
        let listener = levent_reactor::net::listen_tcp(&"127.0.0.1:0".parse().unwrap(), 0).unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..2_000 {
            let mut client = BufferedStream::connecting(address);
            let _ = poll_once(client.event()).await;
        }
        // Far more than a process may have, if each had left one.
        let mut client = BufferedStream::connecting("no such name:1");
        let _ = poll_once(client.event()).await;
        assert!(client.take_transport().is_none());
        assert!(poll_once(client.event()).await.is_none());
    });
}

/// Without descriptors the connect fails, and does not hang (BE-52).
#[test]
fn lack_of_descriptors_is_an_error() {
    if !crate::listener::in_child("stream::connecting::lack_of_descriptors_is_an_error") {
        return;
    }
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let mut client = BufferedStream::connecting(address);
        assert_eq!(client.event().await, Event::ConnectFailed);
        assert_eq!(client.fill().await.unwrap_err().raw_os_error(), Some(24));
    });
}

//! Datagrams: UDP and Unix.

use super::{TempDir, everywhere, turn};
use futures_lite::future::{poll_once, try_zip};
use levent_io::Async;
use levent_io::net::unix::UnixDatagram;
use levent_io::net::{Shutdown, SocketAddr, UdpSocket};
use std::io::ErrorKind;

#[test]
fn udp_between_two() {
    everywhere(|| async {
        let left = UdpSocket::bind("127.0.0.1:0").await?;
        let right = UdpSocket::bind(("127.0.0.1", 0)).await?;
        let (left_addr, right_addr) = (left.local_addr()?, right.local_addr()?);
        let mut buffer = [0; 16];

        let ((n, from), _) = try_zip(right.recv_from(&mut buffer), async {
            turn().await;
            left.send_to(b"ping", right_addr).await
        })
        .await?;
        assert_eq!((&buffer[..n], from), (&b"ping"[..], left_addr));

        left.connect(right_addr).await?;
        assert_eq!(left.peer_addr()?, right_addr);
        right.connect(left_addr).await?;
        left.send(b"one").await?;
        assert_eq!(right.peek(&mut buffer).await?, 3);
        assert_eq!(right.peek_from(&mut buffer).await?, (3, left_addr));
        assert_eq!(right.recv(&mut buffer).await?, 3);
        assert!(poll_once(right.recv(&mut buffer)).await.is_none());
        Ok(())
    });
}

/// A datagram is one datagram: what does not fit is cut off, an empty one is received as such.
#[test]
fn udp_keeps_boundaries() {
    everywhere(|| async {
        let left = Async::<std::net::UdpSocket>::bind(([127, 0, 0, 1], 0))?;
        let right = Async::<std::net::UdpSocket>::bind(([127, 0, 0, 1], 0))?;
        let address = right.get_ref().local_addr()?;
        for datagram in [&b"abc"[..], b"", b"de"] {
            left.send_to(datagram, address).await?;
        }
        let mut buffer = [0; 2];
        assert_eq!(right.recv(&mut buffer).await?, 2);
        assert_eq!(right.recv(&mut buffer).await?, 0);
        assert_eq!(right.recv(&mut buffer).await?, 2);
        assert_eq!(&buffer, b"de");
        Ok(())
    });
}

/// Nobody is there: the connected socket hears of it, and goes on.
#[test]
fn udp_refused() {
    everywhere(|| async {
        let nobody = {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            socket.local_addr()?
        };
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(nobody).await?;
        socket.send(b"x").await?;
        let error = socket.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn udp_options_and_errors() {
    everywhere(|| async {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.set_broadcast(true)?;
        assert!(socket.broadcast()?);
        socket.set_ttl(7)?;
        assert_eq!(socket.ttl()?, 7);
        socket.set_multicast_ttl_v4(3)?;
        assert_eq!(socket.multicast_ttl_v4()?, 3);
        socket.set_multicast_loop_v4(false)?;
        assert!(!socket.multicast_loop_v4()?);
        assert_eq!(
            socket.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        let none: &[SocketAddr] = &[];
        assert_eq!(
            socket.send_to(b"x", none).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        let error = UdpSocket::bind(socket.local_addr()?).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        Ok(())
    });
}

#[test]
fn unix_pair() {
    everywhere(|| async {
        let (left, right) = UnixDatagram::pair()?;
        let mut buffer = [0; 16];
        let (n, _) = try_zip(right.recv(&mut buffer), async {
            turn().await;
            left.send(b"ping").await
        })
        .await?;
        assert_eq!(&buffer[..n], b"ping");
        left.shutdown(Shutdown::Both)?;
        assert!(left.send(b"x").await.is_err());
        Ok(())
    });
}

/// Path names and abstract names, and a sender that waits for room.
#[test]
fn unix_names() {
    everywhere(|| async {
        let dir = TempDir::new("datagram")?;
        let abstract_name = format!("\0levent-io-dgram-{}", dir.0.display());
        for name in [dir.join("socket"), abstract_name.into()] {
            let receiver = UnixDatagram::bind(&name)?;
            let sender = UnixDatagram::unbound()?;
            sender.send_to(b"to", &name).await?;
            let mut buffer = [0; 16];
            let (n, from) = receiver.recv_from(&mut buffer).await?;
            assert_eq!(&buffer[..n], b"to");
            assert!(from.is_unnamed());

            sender.connect(&name)?;
            let mut sent = 0_u32;
            while let Some(result) = poll_once(sender.send(&sent.to_ne_bytes())).await {
                result?;
                sent += 1;
            }
            // The queue is full: the next one is sent once there is room.
            let last = sent.to_ne_bytes();
            let (_, ()) = try_zip(sender.send(&last), async {
                for expected in 0..=sent {
                    let mut number = [0; 4];
                    receiver.recv(&mut number).await?;
                    assert_eq!(u32::from_ne_bytes(number), expected);
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    });
}

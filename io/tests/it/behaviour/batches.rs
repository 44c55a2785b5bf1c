//! Many datagrams at once.

use super::{everywhere, turn};
use futures_lite::future::{poll_once, try_zip};
use levent_io::Async;
use levent_io::net::{Batch, UdpSocket};
use std::io::ErrorKind;

/// A receive waits for the first datagram, and takes those that are there by then; the echo needs no addresses.
#[test]
fn batch_is_awaited_and_sent_back() {
    everywhere(|| async {
        let client = UdpSocket::bind("127.0.0.1:0").await?;
        let server = UdpSocket::bind("127.0.0.1:0").await?;
        let mut out = Batch::new(40, 16);
        for number in 0..40_u8 {
            out.push(&[number; 3], Some(server.local_addr()?))?;
        }
        let mut held = Batch::new(64, 16);
        let (came, went) = try_zip(server.recv_many(&mut held), async {
            turn().await;
            client.send_many(&mut out).await
        })
        .await?;
        assert_eq!((came, went), (40, 40));
        assert!(held.iter().all(|datagram| datagram.bytes.len() == 3));
        assert_eq!(server.send_many(&mut held).await?, 40);
        assert_eq!(client.recv_many(&mut out).await?, 40);
        for (number, datagram) in (0..40_u8).zip(&out) {
            assert_eq!(datagram.bytes, [number; 3]);
            assert_eq!(datagram.peer, Some(server.local_addr()?));
        }
        Ok(())
    });
}

/// Small batches over a queue that is longer: nothing waits though no new datagram comes, nothing is lost, and none is there twice.
#[test]
fn long_queue_is_taken_in_pieces() {
    everywhere(|| async {
        let client = UdpSocket::bind("127.0.0.1:0").await?;
        let server = UdpSocket::bind("127.0.0.1:0").await?;
        client.connect(server.local_addr()?).await?;
        for number in 0..50_u8 {
            client.send(&[number]).await?;
        }
        let mut batch = Batch::new(7, 1);
        let mut came = Vec::new();
        while came.len() < 48 {
            // The ways to receive mix.
            let mut byte = [0];
            server.recv(&mut byte).await?;
            came.push(byte[0]);
            server.recv_many(&mut batch).await?;
            came.extend(batch.iter().map(|datagram| datagram.bytes[0]));
        }
        while came.len() < 50 {
            server.recv_many(&mut batch).await?;
            came.extend(batch.iter().map(|datagram| datagram.bytes[0]));
        }
        assert_eq!(came, (0..50).collect::<Vec<_>>());
        // Dropped while it waits: what comes then is the next one's.
        assert!(poll_once(server.recv_many(&mut batch)).await.is_none());
        client.send(b"!").await?;
        assert_eq!(server.recv_many(&mut batch).await?, 1);
        Ok(())
    });
}

/// An empty batch has nothing to wait for; a refused datagram is told, and the way past it.
#[test]
fn sends_that_cannot_be_are_told() {
    everywhere(|| async {
        let socket = Async::<std::net::UdpSocket>::bind(([127, 0, 0, 1], 0))?;
        let address = socket.get_ref().local_addr()?;
        let mut batch = Batch::new(4, 70_000);
        assert_eq!(socket.send_many(&mut batch).await?, 0);
        batch.push(&vec![0; 70_000], Some(address))?;
        batch.push(b"x", Some(address))?;
        assert!(socket.send_many(&mut batch).await.is_err());
        assert!(batch.remove_first());
        assert_eq!(socket.send_many(&mut batch).await?, 1);
        assert_eq!(socket.recv_many(&mut batch).await?, 1);
        let error = batch.push(&[0; 70_001], None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    });
}

//! TCP and Unix streams: bytes, ends, resets, addresses.

use super::{TempDir, everywhere, turn};
use futures_lite::future::{try_zip, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_io::net::unix::{UnixListener, UnixStream};
use levent_io::net::{Shutdown, TcpListener, TcpStream};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::path::Path;

/// Two ends of one connection over the loopback.
async fn connected() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (client, (server, peer)) = try_zip(TcpStream::connect(address), listener.accept()).await?;
    assert_eq!(client.local_addr()?, peer);
    assert_eq!(client.peer_addr()?, server.local_addr()?);
    Ok((client, server))
}

/// Connections come from the address that they are told to, and say so when that cannot be.
#[test]
fn from_a_local_address() {
    everywhere(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let local = SocketAddr::from(([127, 0, 0, 9], 0));
        let (client, (_server, peer)) =
            try_zip(TcpStream::connect_from(local, address), listener.accept()).await?;
        assert_eq!(peer.ip(), local.ip());
        assert_eq!(client.local_addr()?, peer);

        let taken = TcpStream::connect_from(address, address).await;
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
        let v6 = TcpStream::connect_from("[::1]:0".parse().unwrap(), address).await;
        assert_eq!(v6.unwrap_err().kind(), ErrorKind::InvalidInput);
        // A network for documentation, which no interface has.
        let foreign = TcpStream::connect_from(([192, 0, 2, 1], 0).into(), address).await;
        assert_eq!(foreign.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        Ok(())
    });
}

/// The byte at a position of the test pattern; no short period.
fn pattern(position: usize) -> u8 {
    (position.wrapping_mul(2_654_435_761) >> 13) as u8
}

const MEBIBYTE: usize = 1 << 20;

/// Sends the pattern in pieces; `pause` turns of the loop between them.
async fn send(
    stream: &mut (impl AsyncWriteExt + Unpin),
    piece: usize,
    pause: usize,
) -> io::Result<()> {
    let bytes = (0..MEBIBYTE).map(pattern).collect::<Vec<_>>();
    for piece in bytes.chunks(piece) {
        stream.write_all(piece).await?;
        for _ in 0..pause {
            turn().await;
        }
    }
    stream.close().await
}

/// Receives to the end and checks every byte.
async fn receive(
    stream: &mut (impl AsyncReadExt + Unpin),
    piece: usize,
    pause: usize,
) -> io::Result<()> {
    let (mut buffer, mut position) = (vec![0; piece], 0);
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            assert_eq!(position, MEBIBYTE);
            return Ok(());
        }
        for &byte in &buffer[..n] {
            assert_eq!(byte, pattern(position), "at {position}");
            position += 1;
        }
        for _ in 0..pause {
            turn().await;
        }
    }
}

/// 1 MiB through every pace: the slow side fills, or empties, the kernel's buffers again and again.
#[test]
fn slow_reader_and_slow_writer() {
    everywhere(|| async {
        for (out, out_pause, back, back_pause) in [
            (65536, 0, 65536, 0),
            (65536, 0, 1000, 2),
            (1000, 2, 65536, 0),
            (997, 0, 1009, 0),
        ] {
            let (mut client, mut server) = connected().await?;
            try_zip(
                send(&mut client, out, out_pause),
                receive(&mut server, back, back_pause),
            )
            .await?;
            let (mut left, mut right) = UnixStream::pair()?;
            try_zip(
                send(&mut left, out, out_pause),
                receive(&mut right, back, back_pause),
            )
            .await?;
        }
        Ok(())
    });
}

/// Both directions at once, through halves and through clones.
#[test]
fn full_duplex() {
    everywhere(|| async {
        let (client, server) = connected().await?;
        let (mut client_reads, mut client_writes) = client.split();
        let (mut server_reads, mut server_writes) = (server.clone(), server);
        let there = try_zip(
            send(&mut client_writes, 9000, 0),
            receive(&mut server_reads, 7000, 0),
        );
        let back = try_zip(
            send(&mut server_writes, 9000, 0),
            receive(&mut client_reads, 7000, 0),
        );
        try_zip(there, back).await?;
        Ok(())
    });
}

/// `close` ends one direction; the other goes on.
#[test]
fn half_close() {
    everywhere(|| async {
        let (mut client, mut server) = connected().await?;
        client.write_all(b"question").await?;
        client.close().await?;
        let mut question = String::new();
        server.read_to_string(&mut question).await?;
        assert_eq!(question, "question");
        server.write_all(b"answer").await?;
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        assert_eq!(answer, "answer");
        // Closing again, with the peer gone, is no error.
        client.close().await
    });
}

/// Ruling 13: data and FIN that are both there before one short read do not lose the end.
#[test]
fn end_after_data_in_one_batch() {
    everywhere(|| async {
        for rounds in 0..100 {
            let (mut client, mut server) = connected().await?;
            let mut buffer = [0; 1024];
            // The server has waited once, so that its latch is clear.
            if rounds % 2 == 0 {
                let read = futures_lite::future::poll_once(server.read(&mut buffer)).await;
                assert!(read.is_none());
            }
            client.write_all(b"last words").await?;
            client.close().await?;
            turn().await;
            let n = server.read(&mut buffer).await?;
            assert_eq!(&buffer[..n], b"last words");
            assert_eq!(server.read(&mut buffer).await?, 0);
        }
        Ok(())
    });
}

/// A reset reaches both a reader that waits and a writer that comes later.
#[test]
fn reset() {
    everywhere(|| async {
        let (mut client, server) = connected().await?;
        // Data that was not read when the socket closes makes the close a reset.
        client.write_all(b"unread").await?;
        let mut peeked = [0; 6];
        while server.peek(&mut peeked).await? < 6 {}
        let (read, ()) = zip(client.read(&mut [0; 8]), async {
            turn().await;
            drop(server);
        })
        .await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let error = client.write_all(b"too late").await.unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        ));
        Ok(())
    });
}

/// `peek` leaves the data, waits for it, and sees the end.
#[test]
fn peek() {
    everywhere(|| async {
        let (mut client, mut server) = connected().await?;
        let mut peeked = [0; 8];
        let (mut n, ()) = try_zip(server.peek(&mut peeked), async {
            turn().await;
            client.write_all(b"data").await
        })
        .await?;
        // A write that was cut may have been seen in part; the rest is there by now, and what was seen is there still.
        while n < 4 {
            assert!(n > 0 && b"data".starts_with(&peeked[..n]));
            n = server.peek(&mut peeked).await?;
        }
        assert_eq!(&peeked[..n], b"data");
        let mut data = [0; 4];
        server.read_exact(&mut data).await?;
        assert_eq!(&data, b"data");
        client.close().await?;
        assert_eq!(server.peek(&mut peeked).await?, 0);
        Ok(())
    });
}

/// Vectored transfers, more slices than the system takes at once: nothing waits for an edge that has passed.
#[test]
fn vectored() {
    everywhere(|| async {
        let (mut left, mut right) = UnixStream::pair()?;
        let n = left
            .write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")])
            .await?;
        assert_eq!(n, 5);
        let (mut first, mut second) = ([0; 3], [0; 8]);
        let mut into = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(right.read_vectored(&mut into).await?, 5);
        assert_eq!((&first, &second[..2]), (b"abc", &b"de"[..]));

        let many = [IoSlice::new(b"x"); 3000];
        let mut written = 0;
        while written < many.len() {
            written += left.write_vectored(&many[written..]).await?;
        }
        let mut bytes = vec![0; 3000];
        right.read_exact(&mut bytes).await?;
        assert!(bytes.iter().all(|&byte| byte == b'x'));
        Ok(())
    });
}

/// Transfers of nothing are done at once.
#[test]
fn empty_transfers() {
    everywhere(|| async {
        let (mut left, mut right) = UnixStream::pair()?;
        assert_eq!(left.read(&mut []).await?, 0);
        assert_eq!(right.write(&[]).await?, 0);
        left.flush().await
    });
}

/// `shutdown` wakes a reader that waits.
#[test]
fn shutdown_wakes_the_reader() {
    everywhere(|| async {
        let (client, server) = connected().await?;
        let mut reader = client.clone();
        let (n, ()) = try_zip(reader.read(&mut [0; 8]), async {
            turn().await;
            client.shutdown(Shutdown::Read)
        })
        .await?;
        assert_eq!(n, 0);
        drop(server);
        Ok(())
    });
}

#[test]
fn options() {
    everywhere(|| async {
        let (client, _server) = connected().await?;
        client.set_nodelay(true)?;
        assert!(client.nodelay()?);
        client.set_ttl(42)?;
        assert_eq!(client.ttl()?, 42);
        assert!(format!("{client:?}").contains("TcpStream"));
        Ok(())
    });
}

/// Nobody listens: the error of the last address, and with a better one among them a connection.
#[test]
fn connect_refused() {
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let good = listener.local_addr()?;
        // A client's own port: taken, so that nobody else listens there meanwhile, and not listened on.
        let client = std::net::TcpStream::connect(good)?;
        let bad = client.local_addr()?;
        let error = TcpStream::connect(bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        TcpStream::connect(&[bad, good][..]).await?;
        Ok(())
    });
}

#[test]
fn connect_to_unresolvable_name() {
    everywhere(|| async {
        let error = TcpStream::connect("no-such-host.invalid:80")
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("no-such-host.invalid"),
            "{error}"
        );
        Ok(())
    });
}

/// Path names, abstract names, and names that nobody has.
#[test]
fn unix_names() {
    everywhere(|| async {
        let dir = TempDir::new("unix")?;
        let abstract_name = format!("\0levent-io-{}-{:?}", std::process::id(), dir.0);
        for name in [dir.join("socket").as_path(), Path::new(&abstract_name)] {
            let listener = UnixListener::bind(name)?;
            let (mut client, (mut server, _)) =
                try_zip(UnixStream::connect(name), listener.accept()).await?;
            client.write_all(b"hello").await?;
            client.close().await?;
            let mut text = String::new();
            server.read_to_string(&mut text).await?;
            assert_eq!(text, "hello");
            let error = UnixListener::bind(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
        }
        let error = UnixStream::connect(dir.join("nobody")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = UnixStream::connect("\0levent-io-nobody").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let too_long = "x".repeat(200);
        let error = UnixStream::connect(&too_long).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    });
}

/// A Unix listener whose backlog is full refuses for now, with an error that says so, rather than hanging.
#[test]
fn full_unix_backlog() {
    everywhere(|| async {
        levent_reactor::net::raise_descriptor_limit()?;
        let dir = TempDir::new("backlog")?;
        let name = dir.join("socket");
        let _listener = UnixListener::bind(&name)?;
        let mut clients = Vec::new();
        let error = loop {
            match UnixStream::connect(&name).await {
                Ok(client) => clients.push(client),
                Err(error) => break error,
            }
            assert!(clients.len() < 100_000, "no end of the backlog");
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(error.to_string().contains("backlog"), "{error}");
        Ok(())
    });
}

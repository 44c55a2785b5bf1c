//! How much, how fast, and that nothing stands still.

use super::{
    Counted, End, both, client_over, connected, everywhere, noise, poll_once, server_over,
};
use futures_lite::{AsyncRead, AsyncWrite, future};
use levent_io::limit::{Group, Limit};
use levent_io::net::unix::UnixStream;
use levent_io::stream::{BufferedStream, Direction, pair};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;

/// What a record adds to its plaintext, generously.
const OVERHEAD: usize = 64;

/// Writes all of `data` and reads as much at the same time, compares, and takes leave.
async fn talk<S>(
    stream: &mut BufferedStream<levent_io::tls::Tls<S>>,
    data: &[u8],
) -> io::Result<()> {
    let (mut sent, mut got) = (0, Vec::<u8>::new());
    future::poll_fn(|cx| {
        loop {
            let mut is_stuck = true;
            if sent < data.len() {
                let piece = &data[sent..data.len().min(sent + 3000)];
                if let Poll::Ready(count) = Pin::new(&mut *stream).poll_write(cx, piece) {
                    sent += count?;
                    is_stuck = false;
                }
            }
            let mut piece = [0; 2000];
            if let Poll::Ready(count) = Pin::new(&mut *stream).poll_read(cx, &mut piece) {
                got.extend(&piece[..count?]);
                is_stuck = false;
            }
            if got.len() >= data.len() && sent == data.len() {
                return Poll::Ready(Ok::<_, io::Error>(()));
            }
            if is_stuck {
                return Poll::Pending;
            }
        }
    })
    .await?;
    assert!(got == data);
    stream.close().await
}

/// Both ends write a lot at the same time, handshake included, through marks smaller than a record: reading waits for writing and the
/// reverse, and neither for ever (TL-6).
#[test]
fn both_ends_write_at_once() {
    everywhere(async || {
        let data = noise(300_000);
        let (mut client, mut server) = both();
        client.set_write_marks(10, 500)?;
        server.set_read_marks(0, 700)?;
        future::try_zip(talk(&mut client, &data), talk(&mut server, &data)).await?;

        let (left, right) = UnixStream::pair()?;
        let mut left = BufferedStream::socket(left);
        left.set_write_marks(0, 100)?;
        left.set_read_marks(0, 100)?;
        let asked = Arc::new(AtomicUsize::new(0));
        let right = Counted {
            inner: right,
            asked,
        };
        let mut client = client_over(left);
        let mut server = server_over(BufferedStream::new(right));
        future::try_zip(talk(&mut client, &data), talk(&mut server, &data))
            .await
            .map(drop)
    });
}

/// Messages of 1 KiB, taken in halves, below a mark of 5 KiB: all 40 KiB come at both ends although the inputs stay full, and no input exceeds
/// its mark (TL-11).
#[test]
fn full_input_goes_on() {
    const MARK: usize = 5 << 10;
    const TOTAL: usize = 40 << 10;
    async fn side(mut stream: End) -> io::Result<End> {
        stream.set_read_marks(0, MARK)?;
        let (mut sent, mut taken) = (0, 0);
        while taken < TOTAL {
            while sent < TOTAL && stream.output_len() < 4096 {
                stream.output().append(&[3; 1024])?;
                sent += 1024;
            }
            if stream.input_len() < 512 {
                stream.fill_more().await?;
            }
            assert!(stream.input_len() <= MARK);
            taken += stream.input().drain(512)?;
        }
        stream.flush().await?;
        Ok(stream)
    }
    everywhere(async || {
        let (client, server) = both();
        let (client, server) = future::try_zip(side(client), side(server)).await?;
        assert_eq!((client.input_len(), server.input_len()), (0, 0));
        Ok(())
    });
}

/// Small pieces share a record, without being asked to (TL-13).
#[test]
fn small_pieces_share_records() {
    everywhere(async || {
        let (mut client, _server) = connected().await;
        client
            .get_mut()
            .expect("connected")
            .inner_mut()
            .disable(Direction::Write);
        for _ in 0..50 {
            client.output().append_static(b"0123456789")?;
        }
        assert!(poll_once(client.flush()).is_none());
        let wire = client.get_ref().expect("connected").inner().output_len();
        assert!((500..500 + OVERHEAD).contains(&wire), "{wire}");
        Ok(())
    });
}

/// The most that one operation moves is the most that goes into a record at once (TL-14).
#[test]
fn single_writes_are_limited() {
    everywhere(async || {
        let (mut client, mut server) = connected().await;
        client.set_max_single(Direction::Write, 100);
        client
            .get_mut()
            .expect("connected")
            .inner_mut()
            .disable(Direction::Write);
        client.output().append(&[1; 1000])?;
        assert!(poll_once(client.flush()).is_none());
        let lower = client.get_mut().expect("connected").inner_mut();
        let wire = lower.output_len();
        assert!(
            (1000 + 10 * 16..1000 + 10 * OVERHEAD).contains(&wire),
            "{wire}"
        );
        lower.enable(Direction::Write);
        client.flush().await?;
        assert_eq!(server.peek(1000).await?, [1; 1000]);
        Ok(())
    });
}

/// What is encrypted ahead is limited by the lower stream's high mark, what is decrypted ahead by the upper one's; its other marks stay as they
/// were set (TL-15).
#[test]
fn both_directions_are_bounded() {
    everywhere(async || {
        const MARK: usize = 4096;
        let (mut client, mut server) = connected().await;
        let lower = client.get_mut().expect("connected").inner_mut();
        lower.set_write_marks(0, MARK)?;
        lower.disable(Direction::Write);
        client.output().append(&noise(200_000))?;
        assert!(poll_once(client.flush()).is_none());
        let lower = client.get_mut().expect("connected").inner_mut();
        assert!(lower.output_len() >= MARK);
        assert!(
            lower.output_len() <= MARK + OVERHEAD,
            "{}",
            lower.output_len()
        );
        assert!(client.output_len() >= 200_000 - MARK);

        client
            .get_mut()
            .expect("connected")
            .inner_mut()
            .enable(Direction::Write);
        server.set_read_marks(0, 100)?;
        server
            .get_mut()
            .expect("connected")
            .inner_mut()
            .set_read_marks(0, 300)?;
        for _ in 0..50 {
            let _ = poll_once(client.flush());
            assert!(poll_once(server.event()).is_none());
            assert_eq!(server.input_len(), 100);
            assert!(server.get_ref().expect("connected").inner().input_len() <= 300);
        }
        let got = async {
            let mut got = vec![0; 200_000];
            server.read_exact(&mut got).await?;
            assert!(got == noise(200_000));
            Ok(())
        };
        future::try_zip(client.flush(), got).await.map(drop)
    });
}

/// A wait that is dropped at every poll loses and repeats nothing, the handshake included (TL-6).
#[test]
fn dropped_waits_lose_nothing() {
    everywhere(async || {
        let (mut left, right) = pair();
        left.set_write_marks(10, 100)?;
        let (mut client, mut server) = (client_over(left), server_over(right));
        let data = noise(20_000);
        let (mut sent, mut got) = (0, Vec::new());
        while got.len() < data.len() {
            sent += client.try_write(&data[sent..data.len().min(sent + 333)])?;
            let _ = poll_once(client.flush());
            let mut piece = [0; 50];
            if let Some(read) = poll_once(server.read_exact(&mut piece)) {
                read?;
                got.extend(piece);
            }
        }
        assert!(got == data);
        Ok(())
    });
}

/// A flush ends when the records are with the transport (TL-22).
#[test]
fn flush_waits_for_the_transport() {
    everywhere(async || {
        let (mut client, mut server) = connected().await;
        client
            .get_mut()
            .expect("connected")
            .inner_mut()
            .disable(Direction::Write);
        client.write_all(b"now").await?;
        assert!(poll_once(client.flush()).is_none());
        client
            .get_mut()
            .expect("connected")
            .inner_mut()
            .enable(Direction::Write);
        client.flush().await?;
        assert_eq!(client.get_ref().expect("connected").inner().output_len(), 0);
        assert_eq!(server.peek(3).await?, b"now");
        Ok(())
    });
}

/// A limit of the stream below counts what is on the wire, handshake included (TL-12).
#[test]
fn wire_bytes_are_charged() {
    everywhere(async || {
        let group = Group::new(Limit::per_second(1 << 30)?);
        let (left, mut right) = pair();
        right.set_group(Some(&group));
        let (mut client, mut server) = (client_over(left), server_over(right));
        future::zip(client.event(), server.event()).await;
        let (read, written) = (group.total(Direction::Read), group.total(Direction::Write));
        assert!(read > 100 && written > 500, "{read}, {written}");
        client.write_all(&[1; 1000]).await?;
        client.flush().await?;
        assert_eq!(server.peek(1000).await?.len(), 1000);
        let read = group.total(Direction::Read) - read;
        assert!((1001..1500).contains(&read), "{read}");
        Ok(())
    });
}

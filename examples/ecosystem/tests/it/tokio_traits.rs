//! `levent::tokio::Io` in both directions, and tokio's own sockets, timers and tasks inside our `block_on`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_compat::Compat;
use futures_io::AsyncWrite as OurWrite;
use levent::net::{TcpListener, TcpStream};
use levent::spawn;
use levent::test::Test;
use levent::tokio::Io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::support::{in_time, piece};

const MEBIBYTE: u64 = 1 << 20;

/// Our sockets under tokio's traits: into memory that was never written, into memory that was, and to the end of the stream.
#[test]
fn ours_with_their_traits() {
    Test::new().run(async || {
        let (client, server) = connected().await.unwrap();
        let sender = spawn(async move {
            let mut client = Io::new(client);
            client
                .write_all(&piece(1, 0, MEBIBYTE as usize))
                .await
                .unwrap();
            client.flush().await.unwrap();
            client.shutdown().await.unwrap();
        });
        let mut server = Io::new(server);
        let mut uninitialised = Vec::with_capacity(100_000);
        let n = server.read_buf(&mut uninitialised).await.unwrap();
        assert_eq!((n, &uninitialised), (uninitialised.len(), &piece(1, 0, n)));
        let mut exact = vec![0; 50_000];
        server.read_exact(&mut exact).await.unwrap();
        assert_eq!(exact, piece(1, n as u64, 50_000));
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        let from = n as u64 + 50_000;
        assert_eq!(rest, piece(1, from, (MEBIBYTE - from) as usize));
        sender.await;
    });
}

/// tokio's sockets with our traits, both peers polled here: 1 MiB there and back, then the end.
#[test]
fn theirs_with_our_traits() {
    Test::new().run(async || {
        Compat::new(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = spawn(async move {
                let client = TcpStream::connect(address).await.unwrap();
                let (mut reader, mut writer) = (client.clone(), client);
                let sending = spawn(async move {
                    let bytes = piece(7, 0, MEBIBYTE as usize);
                    futures_lite::AsyncWriteExt::write_all(&mut writer, &bytes)
                        .await
                        .unwrap();
                    futures_lite::AsyncWriteExt::close(&mut writer)
                        .await
                        .unwrap();
                });
                let mut received = Vec::new();
                futures_lite::AsyncReadExt::read_to_end(&mut reader, &mut received)
                    .await
                    .unwrap();
                assert!(received == piece(7, 0, MEBIBYTE as usize));
                sending.await;
                received.len() as u64
            });
            let (stream, _) = listener.accept().await.unwrap();
            let (reader, writer) = stream.into_split();
            let mut writer = Io::new(writer);
            // A copy by our traits, between halves of theirs.
            let copied = futures_lite::io::copy(Io::new(reader), &mut writer)
                .await
                .unwrap();
            futures_lite::AsyncWriteExt::close(&mut writer)
                .await
                .unwrap();
            assert_eq!((copied, client.await), (MEBIBYTE, MEBIBYTE));
        })
        .await
    });
}

/// Buffered readers are passed on both ways.
#[test]
fn buffered_readers() {
    Test::new().run(async || {
        let ours = futures_lite::io::BufReader::new(&b"one\ntwo\n"[..]);
        let mut lines = Io::new(ours).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("one"));
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("two"));
        assert_eq!(lines.next_line().await.unwrap(), None);

        let mut theirs = Io::new(BufReader::new(&b"three\n"[..]));
        let mut line = String::new();
        futures_lite::AsyncBufReadExt::read_line(&mut theirs, &mut line)
            .await
            .unwrap();
        assert_eq!(line, "three\n");
    });
}

async fn connected() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

/// Takes what it gets, and counts the slices.
#[derive(Default)]
struct Slices(usize);

impl OurWrite for Slices {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(b.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0 += slices.len();
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Several slices are one write, through both adapters on top of each other.
#[test]
fn slices_stay_together() {
    let mut there = Io::new(Slices::default());
    assert!(there.is_write_vectored());
    let two = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    let mut back = Io::new(&mut there);
    let n = levent::block_on(futures_lite::AsyncWriteExt::write_vectored(&mut back, &two)).unwrap();
    assert_eq!((n, there.get_ref().0), (8, 2));
}

/// What asks for tokio's runtime finds one: timers, tasks, and tasks of ours beside them that it may await.
#[test]
fn their_runtime_inside_ours() {
    let sum = Test::new().run(async || {
        Compat::new(async {
            let late = tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>());
            assert!(late.await.is_err());
            let theirs = tokio::spawn(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                20
            });
            let local = std::rc::Rc::new(22);
            let ours = spawn(async move {
                levent::sleep(Duration::from_millis(1)).await;
                *local
            });
            theirs.await.unwrap() + ours.await
        })
        .await
    });
    assert_eq!(sum, 42);
}

/// The other way round: our sockets and timers inside tokio's runtime.
#[test]
fn ours_inside_their_runtime() {
    in_time(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(inside())
    });
}

async fn inside() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = (Io::new(stream.clone()), Io::new(stream));
        tokio::io::copy(&mut reader, &mut writer).await.unwrap()
    });
    let mut client = Io::new(TcpStream::connect(address).await.unwrap());
    client.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await.unwrap();
    levent::sleep(Duration::from_millis(1)).await;
    client.shutdown().await.unwrap();
    assert_eq!((&answer, echo.await.unwrap()), (b"ping", 4));
    Ok(())
}

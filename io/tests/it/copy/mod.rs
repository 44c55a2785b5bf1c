//! Whole streams from here to there: by memory, through a pipe, from a file.
//!
//! `plain` has readers and writers of the tests' making, the others real sockets, under our executor and a foreign one. What counts the
//! descriptors of the process, or wants system calls to fail, runs in a process of its own.

mod cancel;
mod file;
mod idle;
mod plain;
mod random;
mod refused;
mod relay;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::task::Waker;

use futures_lite::future::{poll_once, try_zip};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use levent_io::net::unix::UnixStream;
use levent_io::net::{TcpListener, TcpStream};
use levent_io::{StreamSocket, copy_bidirectional, splice_bidirectional};

use crate::behaviour::{Count, counting, everywhere, poll_with};
use crate::support::{in_child, is_child, run_child};

/// The sockets that may stand at either end.
trait Socket: StreamSocket + AsyncRead + AsyncWrite + Unpin + Sized {
    async fn pair() -> io::Result<(Self, Self)>;
}

impl Socket for TcpStream {
    async fn pair() -> io::Result<(Self, Self)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?);
        let (client, (server, _)) = try_zip(client, listener.accept()).await?;
        Ok((client, server))
    }
}

impl Socket for UnixStream {
    async fn pair() -> io::Result<(Self, Self)> {
        UnixStream::pair()
    }
}

/// `client ═ a ─relay─ b ═ server`
struct Ends<A, B> {
    client: A,
    a: A,
    b: B,
    server: B,
}

impl<A: Socket, B: Socket> Ends<A, B> {
    async fn new() -> io::Result<Self> {
        let ((client, a), (b, server)) = (A::pair().await?, B::pair().await?);
        Ok(Ends {
            client,
            a,
            b,
            server,
        })
    }
}

/// The two ways that a relay can take.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Memory,
    Pipe,
}

const WAYS: [Way; 2] = [Way::Memory, Way::Pipe];

impl Way {
    async fn relay<A: Socket, B: Socket>(self, a: &mut A, b: &mut B) -> io::Result<(u64, u64)> {
        match self {
            Way::Memory => copy_bidirectional(a, b).await,
            Way::Pipe => splice_bidirectional(a, b).await,
        }
    }
}

/// Bytes without a short period.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|position| (position.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// Round trips of a pair that nobody else knows: while they last, the reactor has looked at everything, again and again.
async fn other_traffic() -> io::Result<()> {
    let (mut here, mut there) = UnixStream::pair()?;
    for _ in 0..20 {
        let mut byte = [0];
        try_zip(there.read_exact(&mut byte), here.write_all(b"x")).await?;
        try_zip(here.read_exact(&mut byte), there.write_all(b"y")).await?;
    }
    Ok(())
}

/// Polls, as an executor would, until it waits and is not woken any more.
async fn settle<F: Future + Unpin>(future: &mut F, count: &Count, waker: &Waker) -> io::Result<()> {
    // Bounded: one that is woken for ever is what is looked for.
    for _ in 0..10_000 {
        let before = count.get();
        assert!(poll_with(future, waker).is_pending(), "it is to wait");
        other_traffic().await?;
        if count.get() == before {
            return Ok(());
        }
    }
    panic!("it is woken again and again, and has nothing to do");
}

/// Writes as much as is taken at once.
async fn push(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    poll_once(stream.write(bytes)).await.unwrap_or(Ok(0))
}

/// Reads what is there, up to a limit; `None` at the end.
async fn pull(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
    into: &mut Vec<u8>,
) -> io::Result<Option<usize>> {
    let mut piece = vec![0; limit];
    match poll_once(stream.read(&mut piece)).await {
        None => Ok(Some(0)),
        Some(Ok(0)) => Ok(None),
        Some(Ok(count)) => {
            into.extend_from_slice(&piece[..count]);
            Ok(Some(count))
        }
        Some(Err(error)) => Err(error),
    }
}

/// How many descriptors the process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

//! Relays under random schedules, polled only when they were woken: a wake that gets lost is a relay that stands still.

use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::AsyncWriteExt;
use futures_lite::future::yield_now;
use levent_io::net::TcpStream;
use levent_io::net::unix::UnixStream;
use levent_io::{copy_bidirectional, splice_bidirectional};

use super::{Ends, Socket, WAYS, Way, counting, pattern, poll_with, pull, push};

/// Numbers of a seed, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    /// Small or large, as likely.
    fn size(&mut self) -> usize {
        let limit = [2, 100, 20_000, 200_000][self.below(4)];
        1 + self.below(limit)
    }
}

/// One end: what it sends, and what has come.
struct End<S> {
    stream: S,
    bytes: Vec<u8>,
    sent: usize,
    has_closed: bool,
    received: Vec<u8>,
    has_end: bool,
}

impl<S: Socket> End<S> {
    fn new(stream: S, random: &mut Random) -> End<S> {
        let len = [0, random.size(), random.size(), 600_000][random.below(4)];
        End {
            stream,
            bytes: pattern(len),
            sent: 0,
            has_closed: false,
            received: Vec::new(),
            has_end: false,
        }
    }

    /// Does something, or nothing. True if something has happened.
    async fn act(&mut self, random: &mut Random) -> io::Result<bool> {
        match random.below(3) {
            0 if self.sent < self.bytes.len() => {
                let piece = random.size().min(self.bytes.len() - self.sent);
                let piece = &self.bytes[self.sent..self.sent + piece];
                let count = push(&mut self.stream, piece).await?;
                self.sent += count;
                Ok(count > 0)
            }
            0 if !self.has_closed => {
                self.has_closed = true;
                self.stream.close().await?;
                Ok(true)
            }
            1 if !self.has_end => {
                let count = pull(&mut self.stream, random.size(), &mut self.received).await?;
                self.has_end = count.is_none();
                Ok(count != Some(0))
            }
            _ => Ok(false),
        }
    }
}

async fn run<A: Socket, B: Socket>(way: Way, seed: u64) -> io::Result<()> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
    let Ends {
        client,
        mut a,
        mut b,
        server,
    } = Ends::<A, B>::new().await?;
    let mut client = End::new(client, &mut random);
    let mut server = End::new(server, &mut random);
    let (count, waker) = counting();
    macro_rules! drive {
        ($relay:expr) => {{
            let mut relay = $relay;
            let mut result = None;
            let mut polled_for = usize::MAX;
            let mut progress = Instant::now();
            while !(client.has_end && server.has_end && result.is_some()) {
                let mut is_progress =
                    client.act(&mut random).await? | server.act(&mut random).await?;
                if result.is_none() && count.get() != polled_for && random.below(4) > 0 {
                    polled_for = count.get();
                    is_progress = true;
                    if let Poll::Ready(answer) = poll_with(&mut relay, &waker) {
                        result = Some(answer?);
                    }
                }
                yield_now().await;
                if is_progress {
                    progress = Instant::now();
                }
                // Only a wake that is lost takes so long.
                let waited = progress.elapsed();
                assert!(waited < Duration::from_secs(20), "{relay:?} stands still");
            }
            result
        }};
    }
    let result = match way {
        Way::Memory => drive!(copy_bidirectional(&mut a, &mut b)),
        Way::Pipe => drive!(splice_bidirectional(&mut a, &mut b)),
    };
    let (there, back) = result.expect("it has ended");
    assert_eq!((there, back), (client.sent as u64, server.sent as u64));
    assert!(client.received == server.bytes && server.received == client.bytes);
    Ok(())
}

/// Random pieces, pauses and ends, both ways at once.
///
/// `LEVENT_SEED` repeats one run, and `LEVENT_RUNS` sets how many there are.
#[test]
fn random_schedules() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("LEVENT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LEVENT_RUNS").unwrap_or(30),
    };
    for seed in seeds {
        println!("LEVENT_SEED={seed} repeats it");
        for way in WAYS {
            let body = async {
                run::<TcpStream, UnixStream>(way, seed).await?;
                run::<UnixStream, UnixStream>(way, seed).await?;
                run::<TcpStream, TcpStream>(way, seed).await
            };
            levent_executor::block_on(body).expect("no error");
        }
    }
}

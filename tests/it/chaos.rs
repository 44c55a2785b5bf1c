//! Contents under faults: short reads and writes, interrupted calls, refused accepts.
//!
//! Every test here compares bytes and ends, and never counts calls, so that it holds with a library preloaded that makes calls
//! fail (`tests/faults/chaos.c`): `LD_PRELOAD=chaos.so CHAOS_SEED=17 it chaos::`. On epoll, `LEVENT_TRUST_SHORT=0` goes with that,
//! since a transfer that was made short on purpose says nothing about the socket. `everything_under_faults` does all of it, where
//! there is a C compiler; `tests/faults/chaos.sh` takes more seeds and more tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use futures_lite::future::{try_zip, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent::net::TcpStream;
use levent::net::unix::UnixStream;
use levent::{block_on, sleep, spawn};

use crate::support::Watchdog;
use crate::support::bytes::{piece, receive, send};
use crate::support::echo::{connected, listener, serve};
use crate::support::process::rerun;

/// Connections that echo at the same time, each with its own contents.
#[test]
fn echo_keeps_contents() {
    let dog = Watchdog::new(30);
    block_on(async {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let server = spawn(serve(listener, Default::default()));
        let clients: Vec<_> = (0..50)
            .map(|id| {
                spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    for round in 0..20 {
                        let sent = piece(id, round * 64, 64);
                        stream.write_all(&sent).await.unwrap();
                        let mut answer = [0; 64];
                        stream.read_exact(&mut answer).await.unwrap();
                        assert_eq!(answer[..], sent, "connection {id}, round {round}");
                    }
                })
            })
            .collect();
        for (id, client) in clients.into_iter().enumerate() {
            dog.note("client", id);
            client.await;
        }
        drop(server);
    });
}

/// 2 MiB each way at once, and both ends seen.
#[test]
fn tcp_carries_both_ways() {
    const TOTAL: u64 = 2 << 20;
    let _dog = Watchdog::new(30);
    block_on(async {
        let (client, server) = connected().await.unwrap();
        let (mut client_in, mut client_out) = client.split();
        let (mut server_in, mut server_out) = server.split();
        let there = try_zip(
            async {
                send(&mut client_out, 1, TOTAL, 50_000).await?;
                client_out.close().await
            },
            receive(&mut server_in, 1, 20_000),
        );
        let back = try_zip(
            async {
                send(&mut server_out, 2, TOTAL, 70_000).await?;
                server_out.close().await
            },
            receive(&mut client_in, 2, 30_000),
        );
        let (((), there), ((), back)) = try_zip(there, back).await.unwrap();
        assert_eq!((there, back), (TOTAL, TOTAL));
    });
}

/// The same through a unix socket, whose short transfers come from other places of the kernel.
#[test]
fn unix_carries_both_ways() {
    const TOTAL: u64 = 2 << 20;
    let _dog = Watchdog::new(30);
    block_on(async {
        let (mut left, mut right) = UnixStream::pair().unwrap();
        let sending = async {
            send(&mut left, 3, TOTAL, 100_000).await?;
            left.close().await
        };
        let (received, ()) = try_zip(receive(&mut right, 3, 10_000), sending)
            .await
            .unwrap();
        assert_eq!(received, TOTAL);
    });
}

/// Vectored writes that are cut anywhere.
#[test]
fn vectored_writes_keep_their_order() {
    let _dog = Watchdog::new(30);
    block_on(async {
        let (mut client, mut server) = connected().await.unwrap();
        let sending = async {
            let bytes = piece(4, 0, 200_000);
            let mut done = 0;
            while done < bytes.len() {
                let (one, two) = bytes[done..].split_at((bytes.len() - done).min(1_000));
                let slices = [
                    std::io::IoSlice::new(one),
                    std::io::IoSlice::new(&two[..two.len().min(3_000)]),
                ];
                done += client.write_vectored(&slices).await?;
            }
            client.close().await
        };
        let (received, ()) = try_zip(receive(&mut server, 4, 7_000), sending)
            .await
            .unwrap();
        assert_eq!(received, 200_000);
    });
}

/// Lengths around the buffer's, each ended by a half-close and answered by what was counted.
#[test]
fn ends_are_seen_after_any_length() {
    let _dog = Watchdog::new(30);
    block_on(async {
        for len in [0, 1, 63, 64, 65, 4_096, 16_384, 16_385, 100_000] {
            let (mut client, mut server) = connected().await.unwrap();
            let counting = async {
                let n = receive(&mut server, 5, 64).await.unwrap();
                server.write_all(&n.to_be_bytes()).await.unwrap();
                server.close().await.unwrap();
            };
            let asking = async {
                send(&mut client, 5, len, 10_000).await.unwrap();
                client.close().await.unwrap();
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).await.unwrap();
                answer
            };
            assert_eq!(zip(asking, counting).await.0, len.to_be_bytes());
        }
    });
}

/// Interrupted waits end no sleep early, and lose none.
#[test]
fn timers_are_never_early() {
    let _dog = Watchdog::new(30);
    block_on(async {
        let sleeping: Vec<_> = (0..200)
            .map(|i| {
                spawn(async move {
                    let (start, duration) = (Instant::now(), Duration::from_micros(i * 500));
                    sleep(duration).await;
                    assert!(start.elapsed() >= duration);
                })
            })
            .collect();
        for sleep in sleeping {
            sleep.await;
        }
    });
}

/// The library, built now; `None`, with a note, where it cannot be.
fn library() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/chaos.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos.so");
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    match built {
        Ok(status) => {
            assert!(status.success(), "cc {}: {status}", source.display());
            Some(library)
        }
        Err(error) => {
            eprintln!("note: skipped, no C compiler: {error}");
            None
        }
    }
}

/// This module once more, in processes with faults: two seeds per backend, or the one of `CHAOS_SEED`.
#[test]
fn everything_under_faults() {
    // In the processes that this starts, and in a run that is preloaded by hand.
    if std::env::var_os("LD_PRELOAD").is_some() {
        return;
    }
    let Some(library) = library() else { return };
    let dog = Watchdog::new(60);
    let library = library.to_str().expect("a path that is text");
    let seeds = match std::env::var("CHAOS_SEED") {
        Ok(seed) => vec![seed],
        Err(_) => vec!["1".into(), "17".into()],
    };
    for backend in ["epoll", "poll", "select"] {
        for seed in &seeds {
            dog.note("backend and seed", format!("{backend}, {seed}"));
            let edges = backend == "epoll";
            let output = rerun(
                &format!("chaos with CHAOS_SEED={seed} on {backend}"),
                &["chaos::"],
                &[
                    ("LD_PRELOAD", library),
                    ("CHAOS_SEED", seed),
                    ("CHAOS_PCT", "25"),
                    // An edge that was used up by a made-up EAGAIN would never come again.
                    ("CHAOS_EAGAIN", if edges { "0" } else { "1" }),
                    ("LEVENT_TRUST_SHORT", if edges { "0" } else { "1" }),
                    ("LEVENT_BACKEND", backend),
                ],
            );
            let injected = output
                .lines()
                .find_map(|line| line.strip_prefix("chaos: injected "))
                .and_then(|count| count.parse::<u64>().ok());
            assert!(injected.is_some_and(|n| n > 100), "injected {injected:?}");
        }
    }
}

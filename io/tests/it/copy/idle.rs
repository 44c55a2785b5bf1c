//! While nothing can move, nobody is woken, and nothing is held.

use std::task::Poll;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_io::net::TcpStream;
use levent_io::net::unix::UnixStream;
use levent_io::{copy_bidirectional, splice_bidirectional};

use super::{
    Ends, Socket, WAYS, Way, counting, descriptors, everywhere, in_child, other_traffic, pattern,
    poll_with, pull, push, settle,
};

/// Runs a body for a relay of each way.
macro_rules! each_way {
    ($ends:ident, |$way:ident, $relay:ident| $body:block) => {
        for $way in WAYS {
            match $way {
                Way::Memory => {
                    #[allow(unused_mut)]
                    let mut $relay = copy_bidirectional(&mut $ends.a, &mut $ends.b);
                    $body
                }
                Way::Pipe => {
                    #[allow(unused_mut)]
                    let mut $relay = splice_bidirectional(&mut $ends.a, &mut $ends.b);
                    $body
                }
            }
        }
    };
}

async fn idle<A: Socket, B: Socket>() -> std::io::Result<()> {
    let mut ends = Ends::<A, B>::new().await?;
    each_way!(ends, |way, relay| {
        let (count, waker) = counting();
        // Before anything, after little, and after much.
        for size in [0, 10, 150_000] {
            let (bytes, mut received, mut sent) = (pattern(size), Vec::new(), 0);
            while received.len() < size {
                sent += push(&mut ends.client, &bytes[sent..]).await?;
                assert!(poll_with(&mut relay, &waker).is_pending());
                pull(&mut ends.server, 40_000, &mut received).await?;
                other_traffic().await?;
            }
            assert!(received == bytes);
            settle(&mut relay, &count, &waker).await?;
            let before = count.get();
            for _ in 0..5 {
                other_traffic().await?;
            }
            assert_eq!(count.get(), before, "{way:?}, after {size}");
            assert_eq!(relay.in_transit(), (0, 0));
        }
        // And it still hears.
        let before = count.get();
        ends.server.write_all(b"x").await?;
        while count.get() == before {
            other_traffic().await?;
        }
        assert!(poll_with(&mut relay, &waker).is_pending());
        assert_eq!(ends.client.read(&mut [0]).await?, 1);
    });
    Ok(())
}

/// Nobody is woken while nothing comes.
#[test]
fn idle_relay_is_not_woken() {
    everywhere(idle::<TcpStream, UnixStream>);
    everywhere(idle::<UnixStream, TcpStream>);
}

async fn full<A: Socket, B: Socket>() -> std::io::Result<()> {
    let mut ends = Ends::<A, B>::new().await?;
    each_way!(ends, |way, relay| {
        let (count, waker) = counting();
        let piece = pattern(100_000);
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        // The sink fills, the relay stops reading, and the source fills, too.
        loop {
            settle(&mut relay, &count, &waker).await?;
            let taken = push(&mut ends.client, &piece).await?;
            sent.extend_from_slice(&piece[..taken]);
            if taken == 0 {
                break;
            }
        }
        // What the kernel does later by itself, such as growing a window, is over at some time.
        settle(&mut relay, &count, &waker).await?;
        let before = count.get();
        for _ in 0..5 {
            other_traffic().await?;
        }
        assert_eq!(count.get(), before, "{way:?}");
        let held = relay.in_transit().0;
        assert!((1..=64 << 10).contains(&held), "{way:?} holds {held}");
        // All of it arrives when the sink is read.
        while received.len() < sent.len() {
            pull(&mut ends.server, 30_000, &mut received).await?;
            assert!(poll_with(&mut relay, &waker).is_pending());
            other_traffic().await?;
        }
        assert!(received == sent, "{way:?}");
        assert_eq!(relay.in_transit(), (0, 0));
    });
    Ok(())
}

/// Nobody is woken while the sink is full, and a bounded number of bytes is held.
#[test]
fn full_sink_does_not_spin() {
    everywhere(full::<UnixStream, UnixStream>);
    everywhere(full::<TcpStream, UnixStream>);
}

/// The same for TCP, whose buffers are large and grow: under one executor.
#[test]
fn full_tcp_sink_does_not_spin() {
    levent_executor::block_on(full::<TcpStream, TcpStream>()).unwrap();
}

/// A hundred relays that have moved much, and wait now, hold no descriptor; the thread keeps a few pipes for all.
#[test]
fn idle_relays_hold_no_pipes() {
    if !in_child("copy::idle::idle_relays_hold_no_pipes") {
        return;
    }
    levent_executor::block_on(async {
        let mut all = Vec::new();
        for _ in 0..100 {
            all.push(Ends::<UnixStream, UnixStream>::new().await?);
        }
        let (_count, waker) = counting();
        let bytes = pattern(100_000);
        let before = descriptors();
        let mut busy = 0;
        let mut relays = Vec::new();
        for ends in &mut all {
            let relay = splice_bidirectional(&mut ends.a, &mut ends.b);
            relays.push((relay, &mut ends.client, &mut ends.server));
        }
        // Each has bytes in its pipe at the same time: their sinks are full.
        for (relay, client, _) in &mut relays {
            while push(client, &bytes).await? > 0 {
                assert!(poll_with(relay, &waker).is_pending());
                other_traffic().await?;
            }
            busy += usize::from(relay.in_transit().0 > 0);
        }
        assert_eq!(busy, 100);
        let most = descriptors() - before;
        assert!(most >= 150, "{most} descriptors for a hundred pipes");
        // Then everything arrives.
        for (relay, _, server) in &mut relays {
            let mut received = Vec::new();
            loop {
                let count = pull(server, 100_000, &mut received).await?;
                let poll = poll_with(relay, &waker);
                assert!(matches!(poll, Poll::Pending));
                other_traffic().await?;
                if count == Some(0) && relay.in_transit() == (0, 0) {
                    break;
                }
            }
        }
        let kept = descriptors() - before;
        assert!(kept <= 8, "{kept} descriptors of a hundred idle relays");
        std::io::Result::Ok(())
    })
    .unwrap();
}

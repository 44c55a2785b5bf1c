//! Dropped in the middle.

use std::task::Poll;

use futures_lite::AsyncReadExt;
use levent_io::net::TcpStream;
use levent_io::net::unix::UnixStream;
use levent_io::{copy, splice};

use super::{
    Ends, Socket, WAYS, Way, counting, descriptors, in_child, other_traffic, pattern, poll_with,
    pull, push,
};

/// Copies with a slow reader, and drops the future after so many polls. True if it was over before.
///
/// What the server gets to see is the beginning of what was sent, and as long as the future said.
async fn dropped_after<A: Socket, B: Socket>(way: Way, polls: usize) -> std::io::Result<bool> {
    let Ends {
        mut client,
        mut a,
        mut b,
        mut server,
    } = Ends::<A, B>::new().await?;
    let (bytes, mut sent, mut received) = (pattern(700_000), 0, Vec::new());
    let (_count, waker) = counting();
    let mut is_over = false;
    let copied;
    // One body for two types.
    macro_rules! drive {
        ($future:expr) => {{
            let mut future = $future;
            for round in 0..polls {
                sent += push(&mut client, &bytes[sent..]).await?;
                if sent == bytes.len() {
                    futures_lite::AsyncWriteExt::close(&mut client).await?;
                }
                if let Poll::Ready(result) = poll_with(&mut future, &waker) {
                    assert_eq!(result?, bytes.len() as u64);
                    is_over = true;
                    break;
                }
                if round % 2 == 1 {
                    pull(&mut server, 50_000, &mut received).await?;
                }
                other_traffic().await?;
            }
            copied = future.copied();
        }};
    }
    match way {
        Way::Memory => drive!(copy(&mut a, &mut b)),
        Way::Pipe => drive!(splice(&mut a, &mut b)),
    }
    drop((a, b));
    // What was accepted arrives although the sockets are closed; a reset can come of bytes that were not read from `a`, and meets the client only.
    server.read_to_end(&mut received).await?;
    assert_eq!(received.len() as u64, copied, "{way:?}, after {polls}");
    assert!(bytes.starts_with(&received), "{way:?}, after {polls}");
    Ok(is_over)
}

/// At every poll: no descriptor stays behind, and the bytes are those that the future has counted.
#[test]
fn dropped_at_every_poll() {
    if !in_child("copy::cancel::dropped_at_every_poll") {
        return;
    }
    levent_executor::block_on(async {
        for way in WAYS {
            dropped_after::<TcpStream, UnixStream>(way, usize::MAX).await?;
            let before = descriptors();
            let mut polls = 0;
            while !dropped_after::<TcpStream, UnixStream>(way, polls).await? {
                dropped_after::<UnixStream, TcpStream>(way, polls).await?;
                polls += 1;
            }
            assert!(polls > 10, "{way:?} was over after {polls} polls");
            let after = descriptors();
            assert!(after <= before + 2, "{way:?}: {before}, then {after}");
        }
        std::io::Result::Ok(())
    })
    .unwrap();
}

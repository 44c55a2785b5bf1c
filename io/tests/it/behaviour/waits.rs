//! Waiting: who is woken, and what counts as readiness.

use super::{counting, everywhere, poll_with, turn};
use futures_lite::future::{poll_fn, poll_once, try_zip, zip};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use levent_io::Async;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The first poll delivers what is there, with no turn of the reactor.
#[test]
fn first_poll_delivers_what_is_there() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        assert_eq!(poll_once((&left).write(b"x")).await.expect("room")?, 1);
        let mut byte = [0];
        assert_eq!(poll_once((&right).read(&mut byte)).await.expect("data")?, 1);
        Ok(())
    });
}

/// Many `readable()` futures wait for one source, and all are woken.
#[test]
fn all_waiters_wake() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        let mut waits = (0..10).map(|_| left.readable()).collect::<Vec<_>>();
        let mut wakes = Vec::new();
        for wait in &mut waits {
            let (count, waker) = counting();
            assert!(poll_with(wait, &waker).is_pending());
            wakes.push(count);
        }
        (&right).write_all(b"x").await?;
        // One more waiter, of this task, so that the reactor is turned until the report is there.
        left.readable().await?;
        while wakes.iter().any(|count| count.get() == 0) {
            turn().await;
        }
        for mut wait in waits {
            let (_, waker) = counting();
            assert!(poll_with(&mut wait, &waker).is_ready());
        }
        Ok(())
    });
}

/// Operations of one's own in `poll_` methods: both directions are waited for, until there is room and until there is something.
#[test]
fn polled_operations() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        let bytes = [7; 4096];
        let total = 1 << 20;
        let writing = async {
            let mut written = 0;
            while written < total {
                let write = |mut socket: &UnixStream| socket.write(&bytes);
                written += poll_fn(|cx| left.poll_write_with(cx, write)).await?;
            }
            left.get_ref().shutdown(std::net::Shutdown::Write)?;
            Ok::<_, std::io::Error>(written)
        };
        let reading = async {
            let (mut buffer, mut read) = (vec![0; 10_000], 0);
            loop {
                let n =
                    poll_fn(|cx| right.poll_read_with(cx, |mut socket| socket.read(&mut buffer)));
                match n.await? {
                    0 => return Ok(read),
                    n => read += n,
                }
            }
        };
        let (written, read) = try_zip(writing, reading).await?;
        assert_eq!(written, read);
        Ok(())
    });
}

/// `poll_readable` has room for one waker: a second one displaces the first, which is woken.
#[test]
fn replaced_waker_is_woken() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        let (first, first_waker) = counting();
        let (second, second_waker) = counting();
        assert!(
            left.poll_readable(&mut Context::from_waker(&first_waker))
                .is_pending()
        );
        assert!(
            left.poll_readable(&mut Context::from_waker(&first_waker))
                .is_pending()
        );
        assert_eq!(first.get(), 0);
        assert!(
            left.poll_readable(&mut Context::from_waker(&second_waker))
                .is_pending()
        );
        while first.get() == 0 {
            turn().await;
        }
        assert_eq!(second.get(), 0);
        (&right).write_all(b"x").await?;
        while second.get() == 0 {
            left.readable().await?;
            turn().await;
        }
        Ok(())
    });
}

/// Readiness that came and went does not satisfy a later `readable()`.
#[test]
fn stale_readiness_does_not_count() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        (&right).write_all(b"x").await?;
        left.readable().await?;
        // Read behind the reactor's back.
        left.read_with(|io| std::io::Read::read(&mut &*io, &mut [0; 8]))
            .await?;
        assert!(poll_once(left.readable()).await.is_none());
        Ok(())
    });
}

/// A dropped wait leaves nothing behind: its waker is released at once.
#[test]
fn dropped_wait_releases_its_waker() {
    everywhere(|| async {
        let (left, _right) = Async::<UnixStream>::pair()?;
        let (count, waker) = counting();
        let mut wait = left.readable();
        assert!(poll_with(&mut wait, &waker).is_pending());
        drop((wait, waker));
        while Arc::strong_count(&count) > 1 {
            turn().await;
        }
        assert_eq!(count.get(), 0);
        Ok(())
    });
}

/// Interest in one direction is kept when the other fires.
#[test]
fn both_directions_at_once() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        // Fill the way out, so that both directions wait.
        while poll_once((&left).write(&[0; 4096])).await.is_some() {}
        let reader = async {
            let mut byte = [0];
            (&left).read_exact(&mut byte).await?;
            Ok::<_, std::io::Error>(byte)
        };
        let peer = async {
            turn().await;
            (&right).write_all(b"x").await?;
            turn().await;
            // Now make room for the writer, which has been waiting all along.
            let mut drained = vec![0; 1 << 20];
            (&right).read(&mut drained).await?;
            Ok(())
        };
        let (byte, ((), ())) =
            try_zip(reader, try_zip(async { left.writable().await }, peer)).await?;
        assert_eq!(&byte, b"x");
        Ok(())
    });
}

/// Several tasks in `read_with` on one source: each byte goes to one, and none is forgotten.
#[test]
fn concurrent_read_with() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        let one = || async {
            let mut byte = [0];
            left.read_with(|io| std::io::Read::read(&mut &*io, &mut byte))
                .await?;
            Ok::<_, std::io::Error>(byte[0])
        };
        let writer = async {
            for byte in 1..=3 {
                turn().await;
                (&right).write_all(&[byte]).await?;
            }
            Ok(())
        };
        let (a, (b, (c, ()))) = try_zip(one(), try_zip(one(), try_zip(one(), writer))).await?;
        assert_eq!(a + b + c, 6);
        Ok(())
    });
}

/// The owned futures hold a share of the source and outlive other handles.
#[test]
fn owned_waits() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        let left = Arc::new(left);
        left.clone().writable_owned().await?;
        let wait = left.clone().readable_owned();
        drop(left);
        let (ready, written) = zip(wait, async {
            turn().await;
            (&right).write_all(b"x").await
        })
        .await;
        ready?;
        written
    });
}

/// `read_with_mut` and `write_with_mut` wait as their shared counterparts do.
#[test]
fn exclusive_operations() {
    everywhere(|| async {
        let (mut left, mut right) = Async::<UnixStream>::pair()?;
        let mut bytes = [0; 2];
        // SAFETY: the operation reads and replaces nothing.
        let read = unsafe { left.read_with_mut(|io| std::io::Read::read(io, &mut bytes)) };
        let write = async {
            turn().await;
            // SAFETY: the operation writes and replaces nothing.
            unsafe { right.write_with_mut(|io| std::io::Write::write(io, b"ab")) }.await
        };
        assert_eq!(try_zip(read, write).await?, (2, 2));
        assert_eq!(&bytes, b"ab");
        Ok(())
    });
}

/// A peer that closed wakes the reader once and does not spin: the second read answers at once.
#[test]
fn end_is_reported_again_and_again() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        drop(right);
        for _ in 0..3 {
            let end = poll_fn(|cx| Pin::new(&mut &left).poll_read(cx, &mut [0])).await?;
            assert_eq!(end, 0);
        }
        assert!(matches!(poll_once(left.readable()).await, Some(Ok(()))));
        let (_, waker) = counting();
        let ready = left.poll_writable(&mut Context::from_waker(&waker));
        assert!(matches!(ready, Poll::Ready(Ok(()))));
        Ok(())
    });
}

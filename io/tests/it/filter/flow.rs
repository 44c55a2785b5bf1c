//! When the stage runs, with how much, and that it never stops for good.

use super::{Asked, Gate, Marker, everywhere, noise, poll_once, wakes_of};
use futures_lite::{AsyncRead, AsyncWrite, future};
use levent_io::net::unix::UnixStream;
use levent_io::stream::{BufferedStream, Direction, Mode, Progress, Stage, pair, pass, stage};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// A stage without functions, and one of two that pass, change nothing (FI-1).
#[test]
fn missing_functions_pass_everything() {
    struct Nothing;
    impl Stage for Nothing {}
    everywhere(async || {
        let (left, right) = pair();
        let (mut left, mut right) = (left.filter(Nothing), right.filter(stage(pass, pass)));
        let data = noise(300_000);
        let sender = async {
            left.write_all(&data).await?;
            left.close().await
        };
        let receiver = async {
            let mut got = vec![0; data.len()];
            right.read_exact(&mut got).await?;
            assert!(got == data);
            assert_eq!(right.fill_more().await?, 0);
            Ok(())
        };
        future::try_zip(sender, receiver).await.map(drop)
    });
}

/// A filter is filtered again; what it consists of can be reached and taken apart (FI-1, FI-3, FI-16).
#[test]
fn filters_stack() {
    everywhere(async || {
        let (left, right) = pair();
        let mut left = left.filter(Marker).filter(Marker).filter(Marker);
        let mut right = right;
        left.write_all(b"x").await?;
        left.flush().await?;
        assert_eq!(right.peek(8).await?, b"+++++++x");
        let mut right = right.filter(Marker).filter(Marker).filter(Marker);
        assert_eq!(right.peek(1).await?, b"x");
        Ok::<_, io::Error>(())
    });
}

/// The stage hears how many bytes are welcome: what the lower output has room for, and what the upper input has (FI-2, FI-10).
#[test]
fn stage_hears_limit_and_mode() {
    let mut calls = Vec::new();
    let (mut left, right) = pair();
    left.set_write_marks(0, 100).unwrap();
    let mut left = left.filter(stage(pass, |source, destination, limit, mode| {
        calls.push((source.len(), limit, mode));
        assert!(destination.len() + limit <= 100);
        pass(source, destination, limit, mode)
    }));
    left.output().append(&[7; 250]).unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    drop(left);
    assert_eq!(
        calls,
        [
            (250, 100, Mode::Normal),
            (150, 100, Mode::Normal),
            (50, 100, Mode::Normal),
            (0, 50, Mode::Flush),
        ]
    );

    let mut limits = Vec::new();
    let mut right = right.filter(stage(
        |source, destination, limit, mode| {
            limits.push((limit, mode));
            pass(source, destination, limit, mode)
        },
        pass,
    ));
    right.set_read_marks(0, 60).unwrap();
    assert_eq!(poll_once(right.fill_more()).unwrap().unwrap(), 60);
    right.input().drain(40).unwrap();
    assert_eq!(poll_once(right.fill_more()).unwrap().unwrap(), 40);
    drop(right);
    assert_eq!(limits, [(60, Mode::Normal), (40, Mode::Normal)]);
}

/// Nothing is read from the transport while nobody waits, nor while the filter's reading is disabled (FI-4).
#[test]
fn idle_filter_reads_nothing() {
    let (gate, asked) = Gate::new(0);
    let mut stream = BufferedStream::new(gate).filter(Marker);
    let _ = stream.try_write(b"x");
    assert_eq!(asked.reads.load(SeqCst), 0);
    stream.disable(Direction::Read);
    assert!(poll_once(stream.fill_more()).is_none());
    assert_eq!(asked.reads.load(SeqCst), 0);
    stream.enable(Direction::Read);
    assert!(poll_once(stream.fill_more()).is_none());
    assert!(asked.reads.load(SeqCst) > 0);
}

/// What is appended is taken by the next wait; what the outgoing stage appends to its own source does not enter it again (FI-6).
#[test]
fn stage_is_not_entered_twice() {
    let mut calls = 0;
    let (left, mut right) = pair();
    let mut left = left.filter(stage(pass, |source, destination, _, _| {
        calls += 1;
        if calls == 1 {
            source.append(b" and more").unwrap();
        }
        destination.append_buffer(source)?;
        Ok(Progress::NeedMore)
    }));
    left.output().append(b"some").unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    poll_once(async {
        assert_eq!(right.peek(13).await.unwrap(), b"some and more");
    })
    .unwrap();
    drop(left);
    assert_eq!(calls, 2, "once for the bytes, once to flush");
}

/// The outgoing stage is not called while the lower output is full, writing is disabled, or there is nothing to write (FI-7, FI-8).
#[test]
fn full_output_holds_the_stage() {
    let (gate, asked) = Gate::new(0);
    let mut lower = BufferedStream::new(gate);
    lower.set_write_marks(0, 1000).unwrap();
    let mut given = Vec::new();
    let mut stream = lower.filter(stage(pass, |source, destination, limit, mode| {
        let before = destination.len();
        let progress = pass(source, destination, limit, mode)?;
        given.push(destination.len() - before);
        Ok(progress)
    }));
    stream.set_write_marks(0, 0).unwrap();
    assert!(poll_once(stream.flush()).unwrap().is_ok(), "nothing to do");
    stream.output().append(&[1; 3500]).unwrap();
    stream.disable(Direction::Write);
    assert!(poll_once(stream.flush()).is_none());
    stream.enable(Direction::Write);
    for _ in 0..3 {
        assert!(poll_once(stream.flush()).is_none());
    }
    let lower = stream.get_ref().unwrap().inner();
    assert_eq!(lower.output_len(), 1000);
    // Room for less than the low mark asks for changes nothing; then all of it.
    asked.takes.store(400, SeqCst);
    assert!(poll_once(stream.flush()).is_none());
    assert_eq!(stream.get_ref().unwrap().inner().output_len(), 600);
    asked.takes.store(usize::MAX, SeqCst);
    assert!(poll_once(stream.flush()).unwrap().is_ok());
    drop(stream);
    assert_eq!(given, [1000, 1000, 1000, 500]);
}

/// What the stage has not taken stays bounded, however slowly the transport takes what it gives (FI-7).
#[test]
fn slow_transport_does_not_fill_the_stage() {
    const TOTAL: usize = 500_000;
    let (gate, asked) = Gate::new(0);
    let mut lower = BufferedStream::new(gate);
    lower.set_write_marks(0, 1000).unwrap();
    let mut stream = lower.filter(stage(pass, pass));
    stream.set_max_single(Direction::Write, 5000);
    stream.output().append(&vec![1; TOTAL]).unwrap();
    for round in 1..=20 {
        asked.takes.store(1000, SeqCst);
        assert!(poll_once(stream.flush()).is_none());
        let out = round * 1000 + stream.get_ref().unwrap().inner().output_len();
        assert!(stream.output_len() >= TOTAL - out - 5000);
    }
}

/// A wait for input also sends, and may send what could not be sent a moment before, when the transport wakes nobody for it any more: then the
/// task is woken to go on (FI-11).
#[test]
fn late_success_is_not_overlooked() {
    /// Takes every second piece it is offered, and never wakes.
    struct Reluctant(bool, Arc<AtomicUsize>);
    impl AsyncRead for Reluctant {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }
    impl AsyncWrite for Reluctant {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0 = !self.0;
            if self.0 {
                return Poll::Pending;
            }
            self.1.fetch_add(buf.len(), SeqCst);
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let taken = Arc::new(AtomicUsize::new(0));
    let mut lower = BufferedStream::new(Reluctant(false, taken.clone()));
    lower.set_write_marks(0, 100).unwrap();
    let mut stream = lower.filter(stage(pass, pass));
    stream.output().append(&[1; 250]).unwrap();
    for _ in 0..10 {
        let (polled, wakes) = wakes_of(stream.fill());
        assert!(polled.is_none());
        if wakes == 0 {
            return assert_eq!(taken.load(SeqCst), 250);
        }
    }
    panic!("it is woken for ever");
}

/// The incoming stage runs while bytes are there and the upper input is below its mark; a reader is told once for all of it (FI-9).
#[test]
fn full_input_holds_the_stage() {
    let (mut left, right) = pair();
    let mut calls = 0;
    let mut right = right.filter(stage(
        |source, destination, limit, mode| {
            calls += 1;
            pass(source, destination, limit, mode)
        },
        pass,
    ));
    right.set_read_marks(0, 100).unwrap();
    left.output().append(&[1; 250]).unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    // A wait for events reads up to the mark, and not past it.
    for _ in 0..3 {
        assert!(poll_once(right.event()).is_none());
        assert_eq!(right.input_len(), 100);
    }
    assert_eq!(right.get_ref().unwrap().inner().input_len(), 150);
    drop(right);
    assert_eq!(calls, 1);
}

/// A header is added to as many bytes as every mark allows, and all of it arrives (FI-11).
#[test]
fn full_levels_are_no_dead_end() {
    everywhere(async || {
        const MARK: usize = 4096;
        let (left, right) = UnixStream::pair()?;
        let mut left = BufferedStream::socket(left);
        let mut right = BufferedStream::socket(right);
        left.set_write_marks(0, MARK)?;
        right.set_read_marks(0, MARK)?;
        let mut is_begun = false;
        let mut left = left.filter(stage(pass, move |source, destination, _, _| {
            if !std::mem::replace(&mut is_begun, true) {
                destination.append(&[b'h'; 20])?;
            }
            destination.append_buffer(source)?;
            Ok(Progress::NeedMore)
        }));
        let mut right = right.filter(stage(pass, pass));
        left.set_write_marks(0, MARK)?;
        right.set_read_marks(0, MARK)?;
        let sender = async {
            left.write_all(&[b'd'; MARK]).await?;
            left.close().await
        };
        let receiver = async {
            let mut total = 0;
            while right.fill_more().await? > 0 {
                assert!(right.input_len() <= MARK);
                total += right.input().drain(100)?;
                while right.input_len() > MARK / 2 {
                    total += right.input().drain(1000)?;
                }
            }
            total += right.input_len();
            assert_eq!(total, MARK + 20);
            Ok(())
        };
        future::try_zip(sender, receiver).await.map(drop)
    });
}

/// Both ends write at each other through full buffers at every level, and nobody waits for ever (FI-11).
#[test]
fn two_writers_do_not_block() {
    everywhere(async || {
        let (left, right) = pair();
        let small = |mut stream: BufferedStream<_>| {
            stream.set_write_marks(10, 100).unwrap();
            stream.set_read_marks(0, 100).unwrap();
            let mut stream = stream.filter(Marker);
            stream.set_write_marks(10, 100).unwrap();
            stream
        };
        let (mut left, mut right) = (small(left), small(right));
        let data = noise(50_000);
        let talk = async |stream: &mut BufferedStream<_>| {
            let mut got = Vec::new();
            for piece in data.chunks(77) {
                stream.write_all(piece).await?;
                let count = stream.input_len();
                got.extend(stream.input().take_vec(count)?);
            }
            stream.close().await?;
            while stream.fill_more().await? > 0 {
                let count = stream.input_len();
                got.extend(stream.input().take_vec(count)?);
            }
            let count = stream.input_len();
            got.extend(stream.input().take_vec(count)?);
            assert!(got == data);
            Ok::<_, io::Error>(())
        };
        future::try_zip(talk(&mut left), talk(&mut right))
            .await
            .map(drop)
    });
}

/// A wait that is dropped at every poll loses and repeats nothing, at either end (FI-11).
#[test]
fn dropped_waits_lose_nothing() {
    everywhere(async || {
        let (left, right) = pair();
        let (mut left, mut right) = (left.filter(Marker), right.filter(Marker));
        left.set_write_marks(5, 50)?;
        right.set_read_marks(0, 64)?;
        let data = noise(5_000);
        let (mut sent, mut got) = (0, Vec::new());
        while got.len() < data.len() {
            if sent < data.len() && poll_once(left.room()).is_some() {
                sent += left.try_write(&data[sent..data.len().min(sent + 33)])?;
            }
            let _ = poll_once(left.flush());
            let mut piece = [0; 10];
            if let Some(read) = poll_once(right.read_exact(&mut piece)) {
                read?;
                got.extend(piece);
            }
        }
        assert!(got == data);
        Ok::<_, io::Error>(())
    });
}

/// Two tasks at one filter, one that reads and one that writes: each is woken for its own (FI-11).
#[test]
fn two_tasks_at_one_filter() {
    everywhere(async || {
        let (near, far) = pair();
        let mut near = near.filter(Marker);
        near.set_write_marks(10, 100)?;
        let near = Mutex::new(near);
        let mut far = far.filter(Marker);
        let data = noise(20_000);
        let writer = async {
            let mut done = 0;
            future::poll_fn(|cx: &mut Context<'_>| {
                while done < data.len() {
                    let mut near = near.lock().unwrap();
                    match Pin::new(&mut *near).poll_write(cx, &data[done..]) {
                        Poll::Ready(count) => done += count?,
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Pin::new(&mut *near.lock().unwrap()).poll_flush(cx)
            })
            .await
        };
        let reader = async {
            let mut got: Vec<u8> = Vec::new();
            future::poll_fn(|cx| {
                while got.len() < data.len() {
                    let mut piece = [0; 50];
                    let mut near = near.lock().unwrap();
                    match Pin::new(&mut *near).poll_read(cx, &mut piece) {
                        Poll::Ready(count) => got.extend(&piece[..count?]),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Poll::Ready(Ok::<_, io::Error>(()))
            })
            .await?;
            assert!(got == data);
            Ok(())
        };
        let echo = async {
            let mut total = 0;
            while total < data.len() {
                total += far.fill_more().await?;
                let (mut input, mut output) = far.buffers();
                output.append_buffer(&mut input)?;
            }
            far.flush().await
        };
        // Each with a waker of its own, as tasks have.
        let executor = levent_executor::LocalExecutor::new();
        let tasks = [executor.spawn(writer)];
        let others = future::try_zip(reader, echo);
        executor
            .run(async {
                others.await?;
                for task in tasks {
                    task.await?;
                }
                Ok(())
            })
            .await
    });
}

/// The gate's counters are those of the transport, so that the tests above mean something.
#[test]
fn gate_counts() {
    let (gate, asked) = Gate::new(3);
    let mut stream = BufferedStream::new(gate);
    let _ = stream.try_write(b"four");
    assert!(poll_once(stream.flush()).is_none());
    let Asked { writes, takes, .. } = &*asked;
    assert_eq!((writes.load(SeqCst), takes.load(SeqCst)), (2, 0));
}

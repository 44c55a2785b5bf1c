//! Several tasks at one stream.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_lite::future::{poll_fn, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_executor::{block_on, spawn};
use levent_io::BufferedStream;
use levent_io::net::TcpListener;
use levent_io::stream::{Direction, Priority, pair, pass, stage};

use super::script::{Script, Write};
use super::{bytes, tcp};
use crate::behaviour::{counting, poll_with};

/// Two tasks with a half each, 2 MiB both ways through small marks: all arrives, and nobody is polled much more often than bytes move.
#[test]
fn halves_on_two_tasks() {
    const BYTES: usize = 2 << 20;
    block_on(async {
        let (mut left, mut right) = tcp().await.unwrap();
        for stream in [&mut left, &mut right] {
            stream.set_read_marks(0, 10_000).unwrap();
            stream.set_write_marks(5_000, 10_000).unwrap();
        }
        let polls = Arc::new(Mutex::new(0usize));
        let mut tasks = Vec::new();
        for stream in [left, right] {
            let (mut reader, mut writer) = futures_lite::io::split(stream);
            let counted = polls.clone();
            tasks.push(spawn(async move {
                let mut received = Vec::new();
                let mut reading = Box::pin(reader.read_to_end(&mut received));
                poll_fn(|cx| {
                    *counted.lock().unwrap() += 1;
                    Future::poll(reading.as_mut(), cx)
                })
                .await
                .unwrap();
                drop(reading);
                assert!(received == bytes(BYTES));
            }));
            let counted = polls.clone();
            tasks.push(spawn(async move {
                let data = bytes(BYTES);
                let mut writing = Box::pin(async {
                    writer.write_all(&data).await?;
                    writer.close().await
                });
                poll_fn(|cx| {
                    *counted.lock().unwrap() += 1;
                    Future::poll(writing.as_mut(), cx)
                })
                .await
                .unwrap();
            }));
        }
        for task in tasks {
            task.await;
        }
        // A wake for each few kilobytes, and everybody is woken by each.
        let polls = *polls.lock().unwrap();
        assert!(polls < 4 * (2 * BYTES / 1_000), "{polls} polls");
    });
}

/// A reader and a writer that both wait for a peer who does nothing: neither wakes the other again and again.
#[test]
fn waiting_tasks_let_each_other_sleep() {
    let (left, _right) = pair();
    let stream = Mutex::new(left);
    let (reads, reader) = counting();
    let (writes, writer) = counting();
    stream
        .lock()
        .unwrap()
        .output()
        .append(&bytes(1 << 20))
        .unwrap();
    let mut polls = 0;
    loop {
        let before = (reads.get(), writes.get());
        assert!(poll_with(&mut stream.lock().unwrap().fill(), &reader).is_pending());
        assert!(poll_with(&mut stream.lock().unwrap().flush(), &writer).is_pending());
        polls += 1;
        if before == (reads.get(), writes.get()) {
            break;
        }
        assert!(polls < 10, "they wake each other for ever");
    }
}

/// Whoever waits, for whatever, is woken by what it waits for, though another task asked last (PA-6).
#[test]
fn nobody_is_forgotten() {
    for last in 0..2 {
        let (left, mut right) = pair();
        let stream = Mutex::new(left);
        let (reads, reader) = counting();
        let (writes, writer) = counting();
        let (_, other) = counting();
        stream
            .lock()
            .unwrap()
            .output()
            .append(&bytes(200_000))
            .unwrap();
        let ask = |which: usize| {
            let mut stream = stream.lock().unwrap();
            match which {
                0 => assert!(poll_with(&mut stream.fill(), &reader).is_pending()),
                _ => assert!(poll_with(&mut stream.flush(), &writer).is_pending()),
            }
        };
        ask(1 - last);
        ask(last);
        let before = (reads.get(), writes.get());
        // Something to read.
        right.try_write(b"x").unwrap();
        assert!(poll_with(&mut right.flush(), &other).is_ready());
        assert!(reads.get() > before.0, "the reader, {last} last");
        assert!(poll_with(&mut stream.lock().unwrap().fill(), &reader).is_ready());
        // Room, until nothing is left to send.
        for _ in 0..20 {
            right.input().drain(usize::MAX).unwrap();
            let _ = poll_with(&mut right.fill(), &other);
            if stream.lock().unwrap().output_len() == 0 {
                break;
            }
            ask_again(&stream, &writer);
        }
        assert!(writes.get() > before.1, "the writer, {last} last");
        assert_eq!(stream.lock().unwrap().output_len(), 0);
    }
}

fn ask_again<S>(stream: &Mutex<BufferedStream<S>>, waker: &Waker) {
    if let Poll::Ready(result) = poll_with(&mut stream.lock().unwrap().flush(), waker) {
        result.unwrap();
    }
}

/// What one task does for another is told to it: its bytes sent, its timeout noticed, by a poll that the other had no part in.
#[test]
fn news_reaches_the_others() {
    block_on(async {
        let script = Script::writes([Write::Never]);
        let stream = Mutex::new(BufferedStream::new(script.clone()));
        let (_, reader) = counting();
        let (writes, writer) = counting();
        stream.lock().unwrap().try_write(b"hello").unwrap();
        assert!(poll_with(&mut stream.lock().unwrap().flush(), &writer).is_pending());
        assert!(poll_with(&mut stream.lock().unwrap().fill(), &reader).is_pending());
        // The transport wakes nobody; the reader happens to be polled.
        script.with(|state| state.writes.clear());
        let before = writes.get();
        assert!(poll_with(&mut stream.lock().unwrap().fill(), &reader).is_pending());
        assert!(writes.get() > before);
        assert!(poll_with(&mut stream.lock().unwrap().flush(), &writer).is_ready());

        script.with(|state| state.writes.push_back(Write::Never));
        let short = Duration::from_millis(10);
        stream.lock().unwrap().set_timeouts(None, Some(short));
        stream.lock().unwrap().try_write(b"hello").unwrap();
        assert!(poll_with(&mut stream.lock().unwrap().flush(), &writer).is_pending());
        std::thread::sleep(short * 2);
        let before = writes.get();
        assert!(poll_with(&mut stream.lock().unwrap().fill(), &reader).is_pending());
        assert!(writes.get() > before);
        let error = match poll_with(&mut stream.lock().unwrap().flush(), &writer) {
            Poll::Ready(Err(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    });
}

/// A reader, a writer and a listener for events at one stream, 4 MiB each way.
#[test]
fn three_tasks_at_one_stream() {
    const BYTES: usize = 4 << 20;
    block_on(async {
        let (left, right) = tcp().await.unwrap();
        let polls = Arc::new(Mutex::new(0usize));
        let mut tasks = Vec::new();
        for stream in [left, right] {
            let stream = Arc::new(Mutex::new(stream));
            let (reader, counted) = (stream.clone(), polls.clone());
            tasks.push(spawn(async move {
                let mut received = 0;
                while received < BYTES {
                    let len = poll_fn(|cx| {
                        *counted.lock().unwrap() += 1;
                        pin!(reader.lock().unwrap().fill()).poll(cx)
                    })
                    .await
                    .unwrap();
                    reader.lock().unwrap().input().drain(len).unwrap();
                    received += len;
                }
            }));
            let (writer, counted) = (stream.clone(), polls.clone());
            tasks.push(spawn(async move {
                for piece in bytes(BYTES).chunks(100_000) {
                    writer.lock().unwrap().output().append(piece).unwrap();
                    poll_fn(|cx| {
                        *counted.lock().unwrap() += 1;
                        pin!(writer.lock().unwrap().flush()).poll(cx)
                    })
                    .await
                    .unwrap();
                }
            }));
            let counted = polls.clone();
            tasks.push(spawn(async move {
                // The other side's drop.
                let event = poll_fn(|cx| {
                    *counted.lock().unwrap() += 1;
                    pin!(stream.lock().unwrap().event()).poll(cx)
                });
                assert!(futures_lite::future::poll_once(event).await.is_none());
            }));
        }
        for task in tasks {
            task.await;
        }
        let polls = *polls.lock().unwrap();
        assert!(polls < 2 * BYTES / 1_000, "{polls} polls");
    });
}

/// Settings reach tasks that wait already: enabling, marks, another transport.
#[test]
fn settings_wake_whoever_waits() {
    let (mut left, mut right) = pair();
    let (count, waker) = counting();
    left.disable(Direction::Read);
    assert!(poll_with(&mut left.fill(), &waker).is_pending());
    left.enable(Direction::Read);
    assert_eq!(count.get(), 1);
    assert!(poll_with(&mut left.fill(), &waker).is_pending());
    left.set_write_marks(0, 1).unwrap();
    assert_eq!(count.get(), 2);
    assert!(poll_with(&mut left.fill(), &waker).is_pending());
    left.restore(&mut "put back".into(), &mut "".into())
        .unwrap();
    assert_eq!(count.get(), 3);
    left.input().drain(8).unwrap();
    assert!(poll_with(&mut left.fill(), &waker).is_pending());
    let end = right.take_transport().unwrap();
    left.take_transport();
    assert_eq!(count.get(), 4);
    assert!(poll_with(&mut left.fill(), &waker).is_pending());
    let before = count.get();
    left.set_transport(end);
    assert!(count.get() > before);
}

/// Requests and answers between two streams, each driven by two tasks that take turns with a lock: a reader that waits holds no lock.
#[test]
fn echo_between_tasks() {
    block_on(async {
        let (mut left, right) = pair();
        let echo = spawn(async move {
            let mut stream = right;
            while stream.fill().await.unwrap() > 0 {
                {
                    let (mut input, mut output) = stream.buffers();
                    output.append_buffer(&mut input).unwrap();
                }
                stream.room().await.unwrap();
            }
            stream.close().await.unwrap();
        });
        for round in 0..1_000usize {
            let data = bytes(1 + round % 300);
            left.write_all(&data).await.unwrap();
            let mut answer = vec![0; data.len()];
            left.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, data);
        }
        let (closed, ()) = zip(left.close(), async {}).await;
        closed.unwrap();
        assert_eq!(left.fill().await.unwrap(), 0);
        echo.await;
    });
}

/// What one task writes another sends that waits for the stream, in whatever role and however the bytes came in; it need not flush (BE-29).
#[test]
fn waiting_task_sends_for_others() {
    type Stream = BufferedStream<levent_io::stream::PairEnd>;
    let writes: [fn(&mut Stream); 7] = [
        |stream| drop(stream.write_all(b"request")),
        |stream| drop(stream.write_buffer(&mut "request".into())),
        |stream| assert_eq!(stream.try_write(b"request").unwrap(), 7),
        |stream| stream.output().append(b"request").unwrap(),
        |stream| stream.output().append_static(b"request").unwrap(),
        |stream| std::io::Write::write_all(&mut stream.output(), b"request").unwrap(),
        |stream| {
            let waker = Waker::noop();
            let mut writing = AsyncWriteExt::write_all(stream, b"request");
            assert!(poll_with(&mut writing, waker).is_ready());
        },
    ];
    for write in writes {
        for is_listener in [false, true] {
            let (mut left, mut right) = pair();
            let (wakes, waker) = counting();
            let wait = |left: &mut Stream| match is_listener {
                false => assert!(poll_with(&mut left.fill(), &waker).is_pending()),
                true => assert!(poll_with(&mut left.event(), &waker).is_pending()),
            };
            wait(&mut left);
            write(&mut left);
            assert_eq!(
                wakes.get(),
                1,
                "nobody is told that there is something to send"
            );
            wait(&mut left);
            assert!(poll_with(&mut pin!(right.peek(7)), &waker).is_ready());
        }
    }
}

/// A task that answers what it has read does not wake itself, alone or beside others.
#[test]
fn answers_wake_nobody() {
    for has_listener in [false, true] {
        let (mut left, mut right) = pair();
        let (wakes, waker) = counting();
        let (_, listener) = counting();
        for _ in 0..3 {
            assert!(poll_with(&mut left.fill(), &waker).is_pending());
            if has_listener {
                assert!(poll_with(&mut left.event(), &listener).is_pending());
            }
            let before = wakes.get();
            right.output().append(b"ping").unwrap();
            assert!(poll_with(&mut right.flush(), Waker::noop()).is_ready());
            assert_eq!(wakes.get(), before + 1);
            assert!(poll_with(&mut left.fill(), &waker).is_ready());
            let (mut input, mut output) = left.buffers();
            output.append_buffer(&mut input).unwrap();
            assert_eq!(wakes.get(), before + 1);
            assert!(poll_with(&mut left.flush(), Waker::noop()).is_ready());
            assert!(poll_with(&mut pin!(right.peek(4)), Waker::noop()).is_ready());
            right.input().drain(4).unwrap();
        }
    }
}

/// Who stopped reading ahead at the high mark goes on when somebody else has taken enough, by whatever means (BE-23).
#[test]
fn emptied_input_wakes_the_listener() {
    type Stream = BufferedStream<levent_io::stream::PairEnd>;
    let takes: [fn(&mut Stream); 5] = [
        |stream| assert_eq!(stream.input().drain(10).unwrap(), 10),
        |stream| drop(stream.input().take_vec(10).unwrap()),
        |stream| {
            let mut to = levent_io::Buffer::new();
            assert_eq!(stream.input().move_to(&mut to, 10).unwrap(), 10);
        },
        |stream| {
            let (mut input, mut output) = stream.buffers();
            output.append_from(&mut input, 10).unwrap();
        },
        |stream| {
            let waker = Waker::noop();
            let mut buf = [0; 10];
            assert!(poll_with(&mut pin!(stream.read_exact(&mut buf)), waker).is_ready());
        },
    ];
    for take in takes {
        let (mut left, mut right) = pair();
        let (wakes, waker) = counting();
        left.set_read_marks(2, 10).unwrap();
        right.output().append(&bytes(15)).unwrap();
        assert!(poll_with(&mut right.close(), Waker::noop()).is_ready());
        assert!(poll_with(&mut left.event(), &waker).is_pending());
        assert_eq!((left.input_len(), wakes.get()), (10, 0));
        take(&mut left);
        assert!(wakes.get() > 0, "the listener sleeps on");
        assert!(poll_with(&mut left.event(), &waker).is_ready());
    }
}

/// Of streams that are ready together the tasks of the urgent ones go first, and those of the others last, also of one that was still connecting when that was set; over
/// a filter it is the socket's (BE-70).
#[test]
fn urgent_streams_go_first() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut peers = Vec::new();
        let mut tasks = Vec::new();
        let priorities = [Priority::Low, Priority::Normal, Priority::High];
        for (number, priority) in (0..).zip(priorities.into_iter().chain(priorities)) {
            let mut stream = BufferedStream::connecting(listener.local_addr().unwrap());
            stream.set_priority(priority);
            let (peer, _) = zip(listener.accept(), stream.event()).await;
            assert_eq!(stream.priority(), priority);
            peers.push(peer.unwrap().0);
            let order = order.clone();
            tasks.push(spawn(async move {
                let mut stream = stream;
                if number < 3 {
                    stream.fill().await.unwrap();
                } else {
                    stream.filter(stage(pass, pass)).fill().await.unwrap();
                }
                order.lock().unwrap().push(priority);
            }));
        }
        // All wait by then.
        crate::behaviour::turn().await;
        for mut peer in peers {
            peer.write_all(b"now").await.unwrap();
        }
        for task in tasks {
            task.await;
        }
        let order = order.lock().unwrap();
        assert!(order.is_sorted(), "{order:?}");
    });
}

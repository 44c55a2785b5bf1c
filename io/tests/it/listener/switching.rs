//! Enabling, disabling and letting go.

use crate::behaviour::{TempDir, counting, everywhere, poll_with, turn};
use futures_lite::future::{poll_once, try_zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_io::Async;
use levent_io::net::unix::UnixStream;
use levent_io::net::{ListenOptions, TcpListener, TcpStream};
use std::io::{self, ErrorKind};
use std::net::TcpStream as StdStream;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

const ANY: &str = "127.0.0.1:0";

/// Lets everything that is due happen, whoever's loop it happens in.
async fn settle() {
    for _ in 0..5 {
        turn().await;
    }
}

/// Does any base watch the listener? A second registration tells.
fn is_watched(listener: &TcpListener) -> bool {
    match Async::new(listener.as_fd()) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            true
        }
    }
}

/// A listener that starts disabled leaves its connections to the kernel and wakes nobody, until it is enabled (LI-4, LI-18).
#[test]
fn disabled_listener_leaves_its_backlog() {
    everywhere(|| async {
        let listener = ListenOptions::new().start_disabled().bind(ANY).await?;
        assert!(!listener.is_enabled());
        let address = listener.local_addr()?;
        let (count, waker) = counting();
        let mut accept = Box::pin(listener.accept());
        assert!(poll_with(&mut accept, &waker).is_pending());
        let _clients = [StdStream::connect(address)?, StdStream::connect(address)?];
        settle().await;
        assert_eq!(count.get(), 0);
        assert!(poll_with(&mut accept, &waker).is_pending());
        assert_eq!(listener.stats().accepted, 0);

        listener.enable();
        assert_eq!(count.get(), 1, "once, though it was polled twice");
        assert!(poll_with(&mut accept, &waker).is_ready());
        listener.accept().await?;
        assert_eq!(listener.stats().accepted, 2);
        Ok(())
    });
}

/// No base watches a disabled listener: connections cost no wakeup of any loop (LI-18).
#[test]
fn disabled_listener_is_not_watched() {
    // Under our executor: elsewhere the registration is another thread's base's.
    levent_executor::block_on(async {
        let listener = ListenOptions::new().bind(ANY).await?;
        assert!(is_watched(&listener));
        assert!(poll_once(listener.accept()).await.is_none());
        listener.disable();
        assert!(!is_watched(&listener));
        listener.enable();
        try_zip(
            TcpStream::connect(listener.local_addr()?),
            listener.accept(),
        )
        .await?;
        assert!(poll_once(listener.accept()).await.is_none());
        assert!(is_watched(&listener));
        let listener = ListenOptions::new().start_disabled().bind(ANY).await?;
        assert!(!is_watched(&listener));
        Ok::<_, io::Error>(())
    })
    .unwrap();
}

/// An accept that waits when the listener is disabled goes on waiting, sleeps through what comes, and takes it once the listener
/// is enabled (LI-10, LI-18).
#[test]
fn waiting_accept_resumes() {
    everywhere(|| async {
        let listener = ListenOptions::new().bind(ANY).await?;
        let clone = listener.clone();
        let (count, waker) = counting();
        let mut accept = Box::pin(listener.accept());
        assert!(poll_with(&mut accept, &waker).is_pending());
        settle().await;
        clone.disable();
        clone.disable();
        // Told, at most once per wait, that it has to wait elsewhere.
        while count.get() == 0 {
            turn().await;
        }
        assert!(poll_with(&mut accept, &waker).is_pending());
        let before = count.get();
        let _client = StdStream::connect(listener.local_addr()?)?;
        settle().await;
        assert_eq!(count.get(), before);
        assert!(poll_with(&mut accept, &waker).is_pending());
        clone.enable();
        clone.enable();
        assert_eq!(count.get(), before + 1);
        assert!(poll_with(&mut accept, &waker).is_ready());
        Ok(())
    });
}

/// Two wait to be accepted, and the listener is disabled after the first: the second stays (LI-10, LI-17).
#[test]
fn disabling_after_one_leaves_the_other() {
    everywhere(|| async {
        let dir = TempDir::new("one")?;
        let listener = ListenOptions::new().bind_unix(dir.join("socket"))?;
        let mut one = UnixStream::connect(dir.join("socket")).await?;
        let mut two = UnixStream::connect(dir.join("socket")).await?;
        one.write_all(b"1").await?;
        two.write_all(b"2").await?;
        for expected in [b"1", b"2"] {
            let (mut stream, _) = listener.accept().await?;
            listener.disable();
            let mut byte = [0];
            stream.read_exact(&mut byte).await?;
            assert_eq!(&byte, expected);
            assert!(poll_once(listener.accept()).await.is_none());
            listener.enable();
        }
        assert_eq!(listener.stats().accepted, 2);
        Ok(())
    });
}

/// Nobody is woken for an accept that was dropped while the listener was disabled (LI-18).
#[test]
fn dropped_accept_is_not_woken() {
    everywhere(|| async {
        let listener = ListenOptions::new().start_disabled().bind(ANY).await?;
        let ((one, waker_one), (two, waker_two)) = (counting(), counting());
        let mut dropped = Box::pin(listener.accept());
        let mut kept = Box::pin(listener.accept());
        assert!(poll_with(&mut dropped, &waker_one).is_pending());
        assert!(poll_with(&mut kept, &waker_two).is_pending());
        drop(dropped);
        listener.enable();
        assert_eq!((one.get(), two.get()), (0, 1));
        Ok(())
    });
}

/// Accepts that are dropped take nothing with them, wherever they wait (LI-18).
#[test]
fn dropped_accepts_lose_nothing() {
    everywhere(|| async {
        let listener = ListenOptions::new().bind(ANY).await?;
        let address = listener.local_addr()?;
        let mut clients = Vec::new();
        for enabled in [true, false, true, false] {
            if enabled {
                listener.enable();
            } else {
                listener.disable();
            }
            let mut accept = Box::pin(listener.accept());
            // With a connection there it would be taken: first comes the wait, then the client.
            if clients.is_empty() || !enabled {
                assert!(poll_once(&mut accept).await.is_none());
            }
            drop(accept);
            clients.push(StdStream::connect(address)?);
        }
        listener.enable();
        for client in &clients {
            let (_, peer) = listener.accept().await?;
            assert_eq!(peer, client.local_addr()?);
        }
        Ok(())
    });
}

/// Switched off and on by other threads while three accept: nothing hangs, and every connection is accepted once (LI-19).
#[test]
fn switched_by_other_threads() {
    const CLIENTS: u64 = 200;
    everywhere(|| async {
        let listener = ListenOptions::new().bind(ANY).await?;
        let address = listener.local_addr()?;
        let accept_here = async |listener: TcpListener| {
            while listener.stats().accepted < CLIENTS {
                // The last one may be another's: then nobody comes any more.
                let accepted = listener.accept();
                let given_up = async {
                    nap().await;
                    Err(io::ErrorKind::TimedOut.into())
                };
                match futures_lite::future::or(accepted, given_up).await {
                    Err(error) if error.kind() == ErrorKind::TimedOut => {}
                    result => drop(result.unwrap()),
                }
            }
        };
        std::thread::scope(|scope| {
            let accepting: Vec<_> = (0..3)
                .map(|i| {
                    let listener = listener.clone();
                    scope.spawn(move || match i {
                        0 => futures_lite::future::block_on(accept_here(listener)),
                        _ => levent_executor::block_on(accept_here(listener)),
                    })
                })
                .collect();
            let switching = listener.clone();
            scope.spawn(move || {
                while switching.stats().accepted < CLIENTS {
                    switching.disable();
                    std::thread::yield_now();
                    switching.enable();
                    std::thread::yield_now();
                }
            });
            for _ in 0..CLIENTS {
                StdStream::connect(address).unwrap();
            }
            for thread in accepting {
                thread.join().unwrap();
            }
        });
        let stats = listener.stats();
        assert_eq!((stats.accepted, stats.errors), (CLIENTS, 0));
        Ok(())
    });
}

/// Waits 50 ms.
async fn nap() {
    let mut alarm = levent_reactor::lane::Alarm::new();
    let deadline = std::time::Instant::now() + Duration::from_millis(50);
    std::future::poll_fn(|cx| alarm.poll_at(deadline, cx)).await;
}

/// The error of a socket that does not listen is reported, each time; the listener stays enabled until it is disabled, which ends
/// the errors (LI-15, LI-17).
#[test]
fn errors_leave_the_listener_enabled() {
    everywhere(|| async {
        let connected = std::net::TcpListener::bind(ANY)?;
        let stream = StdStream::connect(connected.local_addr()?)?;
        let listener = ListenOptions::new().backlog(0).adopt_tcp(stream)?;
        for errors in 1..=3 {
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(listener.is_enabled());
            assert_eq!(listener.stats().errors, errors);
        }
        let stats = listener.stats();
        assert!(stats.paused >= Duration::from_millis(30), "{stats:?}");
        listener.disable();
        let mut accept = pin!(listener.accept());
        assert!(poll_once(&mut accept).await.is_none());
        nap().await;
        assert!(poll_once(&mut accept).await.is_none());
        assert_eq!(listener.stats().errors, 3);
        Ok(())
    });
}

/// Disabled from another thread while it reports one error after the other (LI-19).
#[test]
fn disabled_by_another_thread_among_errors() {
    everywhere(|| async {
        let connected = std::net::TcpListener::bind(ANY)?;
        let stream = StdStream::connect(connected.local_addr()?)?;
        let listener = ListenOptions::new().backlog(0).adopt_tcp(stream)?;
        let other = listener.clone();
        let disabling = std::thread::spawn(move || {
            while other.stats().errors < 2 {
                std::thread::yield_now();
            }
            other.disable();
        });
        let failing = async {
            loop {
                listener.accept().await.unwrap_err();
            }
        };
        let disabled = async {
            while listener.is_enabled() {
                nap().await;
            }
        };
        futures_lite::future::or(failing, disabled).await;
        disabling.join().unwrap();
        assert!(poll_once(listener.accept()).await.is_none());
        Ok(())
    });
}

/// The socket is closed with the last handle, however soon; what was accepted is not (LI-11, LI-20).
#[test]
fn last_handle_closes() {
    everywhere(|| async {
        // A path is nobody else's; a port that is free again may be another test's.
        let dir = TempDir::new("last")?;
        let path = dir.join("socket");
        let listener = ListenOptions::new().bind_unix(&path)?;
        let mut client = UnixStream::connect(&path).await?;
        let clone = listener.clone();
        let (mut stream, _) = listener.accept().await?;
        drop(listener);
        try_zip(UnixStream::connect(&path), clone.accept()).await?;
        // A disabled one goes as well.
        clone.disable();
        drop(clone);
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        stream.write_all(b"!").await?;
        assert_eq!(client.read(&mut [0; 2]).await?, 1);
        Ok(())
    });
}

/// Who wants to keep the socket takes it out (LI-20).
#[test]
fn socket_outlives_its_listener() {
    everywhere(|| async {
        let listener = ListenOptions::new().start_disabled().bind(ANY).await?;
        let address = listener.local_addr()?;
        let shared: Arc<Async<std::net::TcpListener>> = listener.into();
        let socket = Arc::into_inner(shared)
            .expect("the only handle")
            .into_inner()?;
        let _client = StdStream::connect(address)?;
        let again = ListenOptions::new().backlog(0).adopt_tcp(socket)?;
        assert!(poll_once(again.accept()).await.is_some());
        Ok(())
    });
}

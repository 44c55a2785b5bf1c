//! Construction, refusal, release: what becomes of the descriptor.

use super::{TempDir, everywhere};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_io::{Async, net};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// A second `Async` of one descriptor is refused, and the first keeps working.
#[test]
fn second_registration_is_refused() {
    everywhere(|| async {
        let (left, right) = UnixStream::pair()?;
        let mut first = Async::new(&left)?;
        let error = Async::new(&left).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        (&right).write_all(b"x")?;
        let mut byte = [0];
        first.read_exact(&mut byte).await?;
        assert_eq!(&byte, b"x");
        Ok(())
    });
}

/// Ruling 18: `PermissionDenied` for regular files and directories, on every backend.
#[test]
fn regular_file_is_refused() {
    everywhere(|| async {
        let dir = TempDir::new("regular")?;
        let file = std::fs::File::create(dir.join("file"))?;
        assert_eq!(
            Async::new(file).unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        let directory = std::fs::File::open(&dir.0)?;
        assert_eq!(
            Async::new(directory).unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        Ok(())
    });
}

/// `into_inner` deregisters, and the descriptor is still non-blocking; then it may be registered again.
#[test]
fn into_inner_gives_a_nonblocking_descriptor_back() {
    everywhere(|| async {
        let (left, right) = UnixStream::pair()?;
        let left = Async::new(left)?.into_inner()?;
        let error = (&left).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let left = Async::new_nonblocking(left)?;
        (&right).write_all(b"x")?;
        assert_eq!((&left).read(&mut [0]).await?, 1);
        Ok(())
    });
}

/// Dropping deregisters before it closes: the number may be registered again at once, a thousand times.
#[test]
fn reused_number_is_a_new_source() {
    everywhere(|| async {
        for _ in 0..1000 {
            let (left, right) = Async::<UnixStream>::pair()?;
            (&left).write_all(b"x").await?;
            let mut byte = [0];
            (&right).read_exact(&mut byte).await?;
        }
        Ok(())
    });
}

/// A borrowed descriptor is released, not closed.
#[test]
fn borrowed_descriptor_survives() {
    everywhere(|| async {
        let (left, right) = UnixStream::pair()?;
        drop(Async::new(&left)?);
        let mut again = Async::new(&left)?;
        (&right).write_all(b"x")?;
        assert_eq!(again.read(&mut [0]).await?, 1);
        Ok(())
    });
}

/// The reactor keeps no clone: a fresh stream's `Arc` is the only one, before and after it was waited for.
#[test]
fn arc_into_inner_works() {
    everywhere(|| async {
        let (left, right) = net::unix::UnixStream::pair()?;
        let left: Arc<Async<UnixStream>> = left.into();
        let left = Arc::into_inner(left).expect("the only reference");

        let (mut reading, mut writing) = (net::unix::UnixStream::from(left), right);
        let mut byte = [0];
        futures_lite::future::try_zip(reading.read_exact(&mut byte), async {
            super::turn().await;
            writing.write_all(b"x").await
        })
        .await?;
        let reading: Arc<Async<UnixStream>> = reading.into();
        assert!(Arc::into_inner(reading).is_some());
        Ok(())
    });
}

/// Conversions through a bare descriptor keep the number and the connection.
#[test]
fn owned_fd_round_trip() {
    everywhere(|| async {
        let (left, right) = Async::<UnixStream>::pair()?;
        let number = left.as_raw_fd();
        let fd = OwnedFd::try_from(left)?;
        assert_eq!(fd.as_raw_fd(), number);
        let mut left = net::unix::UnixStream::try_from(fd)?;
        (&right).write_all(b"x").await?;
        assert_eq!(left.read(&mut [0]).await?, 1);
        Ok(())
    });
}

/// Made on one thread, waited for on a second, finished and dropped on a third.
#[test]
fn moves_between_threads() {
    let (left, right) = Async::<UnixStream>::pair().expect("made outside every loop");
    let left = std::thread::spawn(move || {
        levent_executor::block_on(async {
            let nothing = futures_lite::future::poll_once(left.readable()).await;
            assert!(nothing.is_none());
            left
        })
    })
    .join()
    .expect("second thread");
    let left = std::thread::spawn(move || {
        futures_lite::future::block_on(async {
            let mut bytes = [0; 5];
            let send = async {
                super::turn().await;
                (&right).write_all(b"hello").await
            };
            futures_lite::future::try_zip((&left).read_exact(&mut bytes), send)
                .await
                .expect("the bytes");
            assert_eq!(&bytes, b"hello");
            drop(right);
            left
        })
    })
    .join()
    .expect("third thread");
    let end = levent_executor::block_on(async { (&left).read(&mut [0]).await });
    assert_eq!(end.expect("the end"), 0);
}

/// Dropped on a thread that was never in a loop, while the home thread is inside one.
#[test]
fn dropped_away_from_home() {
    levent_executor::block_on(async {
        for _ in 0..100 {
            let (left, right) = Async::<UnixStream>::pair().expect("a pair");
            assert!(
                futures_lite::future::poll_once(left.readable())
                    .await
                    .is_none()
            );
            std::thread::spawn(move || drop(left))
                .join()
                .expect("the dropper");
            assert_eq!((&right).read(&mut [0]).await.expect("the end"), 0);
        }
    });
}

/// Safe code may answer another descriptor whenever it is asked: only the first answer counts, and nobody else's registration
/// suffers.
#[test]
fn changing_answers_hurt_nobody() {
    use std::cell::Cell;
    use std::os::fd::{AsFd, BorrowedFd};

    struct Two(UnixStream, Arc<UnixStream>, Cell<bool>);
    impl AsFd for Two {
        fn as_fd(&self) -> BorrowedFd<'_> {
            if self.2.get() {
                self.1.as_fd()
            } else {
                self.0.as_fd()
            }
        }
    }
    let (first, _first_peer) = UnixStream::pair().unwrap();
    let (second, mut peer) = UnixStream::pair().unwrap();
    let second = Arc::new(second);
    let innocent = Async::new(Arc::clone(&second)).unwrap();
    let two = Async::new(Two(first, second, Cell::new(false))).unwrap();
    two.get_ref().2.set(true);
    drop(two);
    let read = std::thread::spawn(move || {
        futures_lite::future::block_on(innocent.read_with(|stream| (&**stream).read(&mut [0])))
    });
    peer.write_all(b"x").unwrap();
    assert_eq!(read.join().unwrap().unwrap(), 1);
}

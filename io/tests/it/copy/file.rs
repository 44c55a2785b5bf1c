//! `send_file`.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures_lite::AsyncReadExt;
use futures_lite::future::try_zip;
use levent_io::net::TcpStream;
use levent_io::net::unix::UnixStream;
use levent_io::send_file;

use super::{
    Socket, counting, everywhere, is_gone, other_traffic, pattern, poll_with, pull, settle,
};

/// A file with some bytes, removed with this.
pub(super) struct TempFile(PathBuf);

impl TempFile {
    pub(super) fn new(bytes: &[u8]) -> TempFile {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("levent-io-copy-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).expect("a temporary file");
        TempFile(path)
    }

    pub(super) fn open(&self) -> File {
        File::open(&self.0).expect("it is there")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // What is left in the temporary directory harms no test.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn sends<S: Socket>() -> std::io::Result<()> {
    let bytes = pattern(1_000_000);
    let temp = TempFile::new(&bytes);
    let file = temp.open();
    for (offset, len) in [
        (0, 0),
        (5, 1),
        (0, 262_144),
        (1, 262_145),
        (7, 999_993),
        (1_000_000, 0),
    ] {
        let (mut here, mut there) = S::pair().await?;
        let mut received = vec![0; len];
        // The reader takes its time.
        let receive = async {
            for piece in received.chunks_mut(20_011) {
                there.read_exact(piece).await?;
                futures_lite::future::yield_now().await;
            }
            Ok(())
        };
        let sending = send_file(&mut here, &file, offset as u64, len as u64);
        let (sent, ()) = try_zip(sending, receive).await?;
        assert_eq!(sent, len as u64);
        assert!(
            received == bytes[offset..offset + len],
            "{len} from {offset}"
        );
    }
    Ok(())
}

/// Contents are the same, from any offset and to a slow reader.
#[test]
fn contents_are_identical() {
    everywhere(sends::<TcpStream>);
    everywhere(sends::<UnixStream>);
}

/// A file that ends too early is an error, which comes after everything that there was.
#[test]
fn file_is_too_short() {
    everywhere(|| async {
        let temp = TempFile::new(b"0123456789");
        let file = temp.open();
        for (offset, there_is) in [(3, 7), (10, 0), (1 << 40, 0)] {
            let (mut here, mut there) = UnixStream::pair()?;
            let mut sending = send_file(&mut here, &file, offset, 100);
            let error = (&mut sending).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
            assert!(error.to_string().contains("the file"), "{error}");
            assert_eq!(sending.sent(), there_is);
            drop(here);
            let mut received = Vec::new();
            there.read_to_end(&mut received).await?;
            assert_eq!(received.len() as u64, there_is);
        }
        Ok(())
    });
}

/// A peer that goes away in the middle is an error of the socket, and what was sent is known.
#[test]
fn peer_goes_away() {
    everywhere(|| async {
        let temp = TempFile::new(&pattern(3_000_000));
        let file = temp.open();
        let (mut here, mut there) = UnixStream::pair()?;
        let mut sending = send_file(&mut here, &file, 0, 3_000_000);
        let leave = async {
            there.read_exact(&mut [0; 1000]).await?;
            drop(there);
            std::io::Result::Ok(())
        };
        let (result, left) = futures_lite::future::zip(&mut sending, leave).await;
        left?;
        let error = result.unwrap_err();
        assert!(is_gone(&error), "{error}");
        assert!(error.to_string().contains("the socket"), "{error}");
        assert!((1000..3_000_000).contains(&sending.sent()));
        Ok(())
    });
}

/// A full socket wakes nobody; dropped there, another one goes on where the first one was.
#[test]
fn full_socket_and_going_on() {
    everywhere(|| async {
        let bytes = pattern(2_000_000);
        let temp = TempFile::new(&bytes);
        let file = temp.open();
        let (mut here, mut there) = UnixStream::pair()?;
        let (count, waker) = counting();
        let mut received = Vec::new();
        let mut done = 0;
        while done < 2_000_000 {
            let mut sending = send_file(&mut here, &file, done, 2_000_000 - done);
            match poll_with(&mut sending, &waker) {
                Poll::Ready(result) => done += result?,
                Poll::Pending => {
                    settle(&mut sending, &count, &waker).await?;
                    done += sending.sent();
                }
            }
            while pull(&mut there, 100_000, &mut received).await? != Some(0) {}
            other_traffic().await?;
        }
        while received.len() < bytes.len() {
            pull(&mut there, 100_000, &mut received).await?;
        }
        assert!(received == bytes);
        Ok(())
    });
}

/// What is not a regular file is read and written, as far as it can be read by position.
#[test]
fn device_is_read() {
    everywhere(|| async {
        let zeroes = File::open("/dev/zero")?;
        let (mut here, mut there) = UnixStream::pair()?;
        let mut received = vec![1; 100_000];
        let sending = send_file(&mut here, &zeroes, 0, 100_000);
        let (sent, ()) = try_zip(sending, there.read_exact(&mut received)).await?;
        assert_eq!(sent, 100_000);
        assert!(received.iter().all(|&byte| byte == 0));
        Ok(())
    });
}
